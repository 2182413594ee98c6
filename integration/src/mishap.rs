//! Faults and mischief from a seed: what may happen to a cluster that can still be repaired afterwards.

use fastrand::Rng;
use windlass_model::{Component, FilePath, Mode, NodeName, ObjectRef};
use windlass_simulator::{Fault, FaultSchedule, How, Mischief, When};

use crate::draft::{Draft, DraftNode};
use crate::hosts::Host;

/// Kernel settings that somebody has changed.
const FORGETFUL: &str = r#"{net.ipv4.ip_forward: "0", net.bridge.bridge-nf-call-iptables: "1",
    vm.overcommit_memory: "2", vm.panic_on_oom: "0", kernel.panic: "0", kernel.panic_on_oops: "1",
    kernel.keys.root_maxkeys: "200", kernel.keys.root_maxbytes: "20000"}"#;

/// The name of a machine.
pub fn node_name(machine: usize) -> NodeName {
    NodeName::from(format!("node-{machine}"))
}

/// Faults that strike during a run, at verbs up to `verbs`.
pub fn schedule(rng: &mut Rng, draft: &Draft, verbs: u64, count: usize) -> FaultSchedule {
    let mut schedule = FaultSchedule::default();
    for _ in 0..count {
        schedule.at_verb.insert(rng.u64(1..=verbs.max(1)), fault(rng, draft));
    }
    schedule
}

/// The operator's machine dies at some verb.
pub fn death(rng: &mut Rng, verbs: u64) -> FaultSchedule {
    let when = if rng.bool() { When::Before } else { When::After };
    let mut schedule = FaultSchedule::default();
    schedule.at_verb.insert(rng.u64(1..=verbs.max(1)), Fault::OperatorDies { when });
    schedule
}

fn fault(rng: &mut Rng, draft: &Draft) -> Fault {
    let node = node_name(draft.nodes[rng.usize(0..draft.nodes.len())].machine);
    let seconds = Some([3, 20, 60, 200, 1_000][rng.usize(0..5)]);
    match rng.u32(0..20) {
        0..=4 => Fault::Fails {
            when: if rng.bool() { When::Before } else { When::After },
            how: if rng.u8(0..3) == 0 { How::Lasting } else { How::Passing },
        },
        5..=7 => Fault::PowerOff { node, seconds },
        8..=9 => Fault::Unreachable { node, seconds },
        10..=11 => Fault::Partitioned { node, seconds },
        12..=13 => Fault::DockerRestarts { node },
        14 => Fault::SlowStart { node, factor: rng.u32(2..=15) },
        15 => Fault::DiskFull { node, seconds },
        16 if draft.external_etcd.is_some() => Fault::ExternalEtcdDown { seconds },
        16 => Fault::RegistryDown { seconds },
        17 => Fault::LedgerLost,
        18 => Fault::EvictionsBlocked,
        _ => Fault::OperatorDies { when: if rng.bool() { When::Before } else { When::After } },
    }
}

/// Something done by hand to a cluster that is as desired; at most `etcd` of its members may lose their data.
pub fn mischief(rng: &mut Rng, draft: &Draft, hosts: &[Host], etcd: &mut usize) -> Fault {
    let drafted = &draft.nodes[rng.usize(0..draft.nodes.len())];
    let node = node_name(drafted.machine);
    let host = &hosts[drafted.machine - 1];
    let components = components(drafted, draft);
    let component = components[rng.usize(0..components.len())];
    let container = component.container();
    let by_hand = match rng.u32(0..20) {
        0..=1 => Mischief::ContainerRemoved { node, container },
        2..=3 => Mischief::ContainerStopped { node, container },
        4 => Mischief::ContainerPaused { node, container },
        5 => Mischief::ContainerEdited { node, container, argument: "--v=9".to_owned() },
        6 => Mischief::ContainerRecreated { node, container },
        7 => Mischief::ContainerLeftOver { node, name: format!("{component}.next").into(), container },
        8 => Mischief::FileDeleted { node, path: file(rng, drafted, host) },
        9 => Mischief::FileEdited { node, path: file(rng, drafted, host), text: "nonsense\n".to_owned() },
        10 => Mischief::FileMode { node, path: file(rng, drafted, host), mode: Mode(0o666) },
        11 => {
            let member = draft.nodes.iter().find(|node| node.etcd && rng.bool());
            match member {
                Some(member) if *etcd > 0 => {
                    *etcd -= 1;
                    Mischief::EtcdDataLost { node: node_name(member.machine) }
                }
                _ => Mischief::Uncordoned { node },
            }
        }
        12 => Mischief::Labelled {
            node,
            key: "node-role.kubernetes.io/worker".to_owned(),
            value: rng.bool().then(|| "false".to_owned()),
        },
        13 => Mischief::Cordoned { node },
        14 => Mischief::NodeObjectDeleted { node },
        15 => Mischief::MachineChanged { node, fact: "sysctls".to_owned(), value: FORGETFUL.to_owned() },
        17 => Mischief::ObjectDeleted { object: object(rng) },
        18 => Mischief::ObjectEdited {
            object: object(rng),
            pointer: "/metadata/labels/windlass.io~1addon".to_owned(),
            value: "\"edited\"".to_owned(),
        },
        16 => return Fault::DaysPass { days: [1, 200, 340, 366, 500][rng.usize(0..5)] },
        _ => return if rng.bool() { Fault::LedgerLost } else { Fault::LedgerAged },
    };
    Fault::ByHand(by_hand)
}

/// An object of an add-on; where nothing is deployed, no object has its name.
fn object(rng: &mut Rng) -> ObjectRef {
    let (api_version, kind, name) = [
        ("apps/v1", "DaemonSet", "kube-flannel"),
        ("v1", "ConfigMap", "kube-flannel-cfg"),
        ("v1", "Service", "kube-dns"),
        ("apps/v1", "Deployment", "coredns"),
    ][rng.usize(0..4)];
    ObjectRef {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace: "kube-system".into(),
        name: name.into(),
    }
}

fn components(node: &DraftNode, draft: &Draft) -> Vec<Component> {
    let mut components = vec![Component::Kubelet, Component::KubeProxy];
    if node.etcd {
        components.push(Component::Etcd);
        if draft.snapshots {
            components.push(Component::EtcdRollingSnapshots);
        }
    }
    if node.control_plane {
        components.extend([
            Component::KubeApiserver,
            Component::KubeControllerManager,
            Component::KubeScheduler,
        ]);
    } else {
        components.push(Component::NginxProxy);
    }
    components
}

fn file(rng: &mut Rng, node: &DraftNode, host: &Host) -> FilePath {
    let ssl = "/etc/kubernetes/ssl";
    let mut paths = vec![
        format!("{ssl}/kube-ca.pem"),
        format!("{ssl}/kube-node.pem"),
        format!("{ssl}/kube-node-key.pem"),
        format!("{ssl}/kubecfg-kube-proxy.yaml"),
        "/etc/sysctl.d/90-windlass.conf".to_owned(),
    ];
    if node.etcd {
        paths.push(format!("{ssl}/kube-etcd.pem"));
    }
    if node.control_plane {
        paths.extend([
            format!("{ssl}/kube-apiserver.pem"),
            format!("{ssl}/kube-service-account-token-key.pem"),
        ]);
    } else {
        paths.push("/etc/kubernetes/nginx-proxy/nginx.conf".to_owned());
    }
    let path = paths.swap_remove(rng.usize(0..paths.len()));
    // Files that the operating system reads at boot get no prefix.
    if path.starts_with("/etc/sysctl.d/") { FilePath::from(path) } else { host.path(&path) }
}
