//! Clusters and edits from a seed: every mix of roles, every kind of change that a live cluster survives.

use fastrand::Rng;

use crate::draft::{Deploys, Draft, DraftNode, Era, EtcdDisks};

/// Arguments that an edit may set, by service, with values that differ from the defaults.
const ARGUMENTS: [(&str, &str, [&str; 3]); 8] = [
    ("etcd", "quota-backend-bytes", ["4294967296", "6442450944", "8589934592"]),
    ("kube-api", "max-requests-inflight", ["500", "800", "1200"]),
    ("kube-controller", "node-monitor-period", ["5s", "7s", "9s"]),
    ("scheduler", "kube-api-qps", ["50", "70", "90"]),
    ("kubelet", "max-pods", ["110", "150", "250"]),
    ("kubelet", "protect-kernel-defaults", ["true", "true", "false"]),
    ("kubeproxy", "proxy-mode", ["iptables", "ipvs", "ipvs"]),
    ("kube-api", "event-ttl", ["1h0m0s", "2h0m0s", "3h0m0s"]),
];

/// Versions of etcd after the 3, each with a way to the next.
const ETCDS: [(u32, u32); 5] = [(4, 15), (5, 21), (5, 35), (6, 16), (7, 3)];

/// A cluster of 1 to 50 nodes; small ones are far more likely.
pub fn cluster(rng: &mut Rng) -> Draft {
    let size = match rng.u32(0..100) {
        0..=59 => rng.usize(1..=5),
        60..=89 => rng.usize(6..=12),
        90..=97 => rng.usize(13..=25),
        _ => rng.usize(26..=50),
    };
    let nodes: Vec<DraftNode> = (1..=size)
        .map(|machine| {
            let mut node = DraftNode {
                etcd: rng.bool(),
                control_plane: rng.bool(),
                worker: rng.bool(),
                ..DraftNode::new(machine)
            };
            if size > 7 && machine > 7 {
                node.etcd = false;
                node.control_plane = node.control_plane && machine < 12;
            }
            if !(node.etcd || node.control_plane || node.worker) {
                node.worker = true;
            }
            node
        })
        .collect();
    let mut draft = Draft::of(nodes);
    make_sound(&mut draft, rng);
    if rng.u8(0..3) == 0 {
        draft.era = Era::OfToday;
        draft.minor = rng.u32(28..=36);
        draft.etcd = ETCDS[rng.usize(1..4)];
    } else {
        draft.minor = rng.u32(20..=23);
    }
    draft.snapshots = rng.u8(0..4) > 0;
    draft.drain = rng.bool();
    draft.containerd = rng.u8(0..4) == 0;
    ["1", "2", "10%", "30%"][rng.usize(0..4)].clone_into(&mut draft.max_unavailable_worker);
    draft.max_unavailable_controlplane = if rng.u8(0..5) == 0 { 2 } else { 1 };
    if rng.u8(0..8) == 0 {
        draft.external_etcd = Some(rng.usize(1..=3));
        make_sound(&mut draft, rng);
    }
    if rng.u8(0..3) == 0 {
        draft.deploys = Deploys::Network { mtu: 1_400, names: rng.bool() };
    }
    draft.etcd_disks = etcd_disks(&mut rng.clone());
    draft
}

/// Where etcd has its data and its log: in two of three clusters where it usually has them. What else a seed brings about
/// does not depend on it.
fn etcd_disks(rng: &mut Rng) -> EtcdDisks {
    match rng.u8(0..9) {
        0 => EtcdDisks::Data,
        1 => EtcdDisks::Log,
        2 => EtcdDisks::Two,
        _ => EtcdDisks::Usual,
    }
}

/// At least one node of each role, and no more than seven members of etcd.
fn make_sound(draft: &mut Draft, rng: &mut Rng) {
    let pick = |rng: &mut Rng, draft: &Draft| rng.usize(0..draft.nodes.len());
    if draft.external_etcd.is_some() {
        for node in &mut draft.nodes {
            node.etcd = false;
            node.worker |= !node.control_plane;
        }
    } else if !draft.nodes.iter().any(|node| node.etcd) {
        let index = pick(rng, draft);
        draft.nodes[index].etcd = true;
    }
    if !draft.nodes.iter().any(|node| node.control_plane) {
        let index = pick(rng, draft);
        draft.nodes[index].control_plane = true;
    }
    if !draft.nodes.iter().any(|node| node.worker) {
        let index = pick(rng, draft);
        draft.nodes[index].worker = true;
    }
}

/// Changes one thing, or a few; returns the change in words. The result is always one that a live cluster
/// survives.
pub fn edit(draft: &mut Draft, rng: &mut Rng, machines: usize) -> String {
    let before = draft.clone();
    for _ in 0..8 {
        let what = one_edit(draft, rng, machines);
        make_sound(draft, rng);
        let keeps_a_member = draft
            .nodes
            .iter()
            .any(|node| node.etcd && before.nodes.iter().any(|was| was.machine == node.machine && was.etcd));
        // It is rare that all members of a cluster are replaced at once: keep it rare.
        let keeps_a_member = keeps_a_member || draft.external_etcd.is_some();
        if *draft != before && (keeps_a_member || rng.u8(0..4) == 0) {
            return what;
        }
        *draft = before.clone();
    }
    "nothing".to_owned()
}

fn add_node(draft: &mut Draft, rng: &mut Rng, machines: usize) -> String {
    let free: Vec<usize> =
        (1..=machines).filter(|machine| draft.nodes.iter().all(|node| node.machine != *machine)).collect();
    let Some(&machine) = free.get(rng.usize(0..free.len().max(1))) else {
        return "nothing".to_owned();
    };
    let mut node = DraftNode {
        etcd: rng.u8(0..3) == 0,
        control_plane: rng.u8(0..3) == 0,
        worker: rng.bool(),
        ..DraftNode::new(machine)
    };
    if !(node.etcd || node.control_plane || node.worker) {
        node.worker = true;
    }
    draft.nodes.push(node);
    format!("add node-{machine}")
}

fn other_roles(node: &mut DraftNode, rng: &mut Rng) -> String {
    match rng.u8(0..3) {
        0 => node.etcd = !node.etcd,
        1 => node.control_plane = !node.control_plane,
        _ => node.worker = !node.worker,
    }
    if !(node.etcd || node.control_plane || node.worker) {
        node.worker = true;
    }
    format!("other roles for node-{}", node.machine)
}

fn one_edit(draft: &mut Draft, rng: &mut Rng, machines: usize) -> String {
    let index = rng.usize(0..draft.nodes.len());
    match rng.u32(0..16) {
        0..=3 => {
            let (service, flag, values) = ARGUMENTS[rng.usize(0..ARGUMENTS.len())];
            let arguments = draft.extra_args.entry(service).or_default();
            if arguments.remove(flag).is_some() && rng.bool() {
                return format!("remove {service} {flag}");
            }
            let value = values[rng.usize(0..values.len())];
            arguments.insert(flag, value.to_owned());
            format!("set {service} {flag}={value}")
        }
        4 => {
            // A chain of upgrades now and then; the newest versions do not start on machines of the time of 1.20.
            let newest = if draft.era == Era::OfToday { 37 } else { 33 };
            draft.minor = newest.min(draft.minor + [1, 1, 1, 2, 3][rng.usize(0..5)]);
            format!("upgrade to 1.{}", draft.minor)
        }
        5 => {
            if let Some(members) = &mut draft.external_etcd {
                *members = if *members == 3 { 1 } else { *members + 1 };
                return format!("an external etcd of {members}");
            }
            let newer = ETCDS.into_iter().find(|version| *version > draft.etcd);
            draft.etcd = newer.filter(|_| rng.u8(0..3) == 0).unwrap_or((draft.etcd.0, draft.etcd.1 + 1));
            format!("etcd image 3.{}.{}", draft.etcd.0, draft.etcd.1)
        }
        6 => add_node(draft, rng, machines),
        7 if draft.nodes.len() > 1 => {
            let node = draft.nodes.remove(index);
            format!("take node-{} out", node.machine)
        }
        8 => other_roles(&mut draft.nodes[index], rng),
        9 => {
            let node = &mut draft.nodes[index];
            if node.labels.remove("disk").is_none() {
                node.labels.insert("disk", "ssd".to_owned());
            }
            format!("label of node-{}", node.machine)
        }
        10 => {
            let node = &mut draft.nodes[index];
            node.tainted = !node.tainted;
            format!("taint of node-{}", node.machine)
        }
        11 => {
            if draft.sans.pop_first().is_none() {
                draft.sans.insert("lb.example.org".to_owned());
            }
            "sans".to_owned()
        }
        12 => {
            if rng.bool() {
                draft.kubelet_env = match draft.kubelet_env {
                    Some(_) => None,
                    None => Some("HTTP_PROXY=http://10.9.9.9:3128".to_owned()),
                };
            } else {
                draft.proxy_bind = match draft.proxy_bind {
                    Some(_) => None,
                    None => Some("/opt/proxy:/opt/proxy:ro".to_owned()),
                };
            }
            "environment or mount".to_owned()
        }
        14 => draft.edit_deploys(rng),
        13 => {
            draft.containerd = !draft.containerd;
            "the runtime of pods".to_owned()
        }
        _ => {
            draft.snapshots = !draft.snapshots;
            "rolling snapshots".to_owned()
        }
    }
}
