//! A cluster.yml under construction: generated, edited, and written as text, so that every run takes the
//! whole path.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The credentials for an external etcd; their content is never used.
const EXTERNAL_ETCD: &str = "    path: /demo
    ca_cert: |
      -----BEGIN CERTIFICATE-----
      QQ==
      -----END CERTIFICATE-----
    cert: |
      -----BEGIN CERTIFICATE-----
      Qg==
      -----END CERTIFICATE-----
    key: |
      -----BEGIN PRIVATE KEY-----
      Qw==
      -----END PRIVATE KEY-----";

/// The contents of a generated cluster.yml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The nodes, in the order of the file.
    pub nodes: Vec<DraftNode>,
    /// The minor version of Kubernetes: `v1.<minor>.2`.
    pub minor: u32,
    /// The version of etcd after the 3, by the tag of its image: `etcd:v3.4.15`.
    pub etcd: (u32, u32),
    /// The time from which the machines are.
    pub era: Era,
    /// `extra_args` by service.
    pub extra_args: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
    /// `extra_env` of kubelet.
    pub kubelet_env: Option<String>,
    /// `extra_binds` of kube-proxy.
    pub proxy_bind: Option<String>,
    /// Where etcd has its data and its log.
    pub etcd_disks: EtcdDisks,
    /// `authentication.sans`.
    pub sans: BTreeSet<String>,
    /// `services.etcd.snapshot`.
    pub snapshots: bool,
    /// The number of members of an external etcd; none if etcd is on these nodes.
    pub external_etcd: Option<usize>,
    /// `upgrade_strategy.max_unavailable_worker`.
    pub max_unavailable_worker: String,
    /// `upgrade_strategy.max_unavailable_controlplane`.
    pub max_unavailable_controlplane: u32,
    /// `upgrade_strategy.drain`.
    pub drain: bool,
    /// Whether `windlass.pod_runtime` is containerd.
    pub containerd: bool,
    /// What windlass deploys into the cluster.
    pub deploys: Deploys,
    /// By which keys Secrets are encrypted.
    pub keys: Keys,
}

/// By which keys Secrets are encrypted: those of cluster.yml by their names, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// By none.
    Off,
    /// By windlass' own.
    Own,
    /// By `a`, and plain text is read.
    A,
    /// By `b`; `a` and plain text are read.
    BAndA,
    /// By `b` alone.
    B,
    /// In plain text, and `b` is read.
    PlainAndB,
}

impl Keys {
    /// An edit that the state of this one allows; possibly none.
    pub(crate) fn edited(self, rng: &mut fastrand::Rng) -> Self {
        match self {
            Self::Off if rng.bool() => Self::A,
            Self::Off => Self::Own,
            Self::Own | Self::PlainAndB => Self::Off,
            Self::A => Self::BAndA,
            Self::BAndA => Self::B,
            Self::B => Self::PlainAndB,
        }
    }

    /// The section of `kube-api` that asks for it.
    fn text(self) -> String {
        const A: &str = "{aescbc: {keys: [{name: a, secret: QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=}]}}";
        const B: &str =
            "{secretbox: {keys: [{name: b, secret: QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=}]}}";
        const PLAIN: &str = "{identity: {}}";
        let providers: &[&str] = match self {
            Self::Off => return String::new(),
            Self::Own => return "    secrets_encryption_config: {enabled: true}\n".to_owned(),
            Self::A => &[A, PLAIN],
            Self::BAndA => &[B, A, PLAIN],
            Self::B => &[B],
            Self::PlainAndB => &[PLAIN, B],
        };
        format!(
            "    secrets_encryption_config:\n      enabled: true\n      custom_config: \
             {{resources: [{{resources: [secrets], providers: [{}]}}]}}\n",
            providers.join(", ")
        )
    }
}

/// Where a generated etcd has its data and its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtcdDisks {
    /// Where they are without a word in cluster.yml.
    Usual,
    /// The data on a disk of its own, and the log with it.
    Data,
    /// The log on a disk of its own.
    Log,
    /// On a disk each, as Rancher documents it.
    Two,
}

impl EtcdDisks {
    /// The flags, and the mounts that they lead through.
    fn text(self) -> (&'static [(&'static str, &'static str)], &'static [&'static str]) {
        match self {
            Self::Usual => (&[], &[]),
            Self::Data => (&[("data-dir", "/data/etcd")], &["/mnt/ssd:/data:z"]),
            Self::Log => (&[("wal-dir", "/log/etcd")], &["/mnt/ssd:/log"]),
            Self::Two => (
                &[
                    ("data-dir", "/var/lib/rancher/etcd/data/"),
                    ("wal-dir", "/var/lib/rancher/etcd/wal/wal_dir"),
                ],
                &[
                    "/var/lib/etcd/data:/var/lib/rancher/etcd/data:z",
                    "/var/lib/etcd/wal:/var/lib/rancher/etcd/wal:z",
                ],
            ),
        }
    }
}

/// The time from which the machines of a generated cluster are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// Of Kubernetes 1.20 and its like; most have cgroup v1.
    OfDockershim,
    /// With cgroup v2, for versions that start on no other.
    OfToday,
}

/// What windlass deploys into a generated cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deploys {
    /// Nothing: somebody else has deployed a pod network.
    Nothing,
    /// flannel, with this `network.mtu`, and possibly `CoreDNS`, metrics-server and manifests.
    Network {
        /// `network.mtu`.
        mtu: u32,
        /// Whether the others are deployed too.
        names: bool,
    },
}

/// One node of a generated cluster.yml.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each role is there or not")]
pub struct DraftNode {
    /// The number of its machine: `node-<machine>`.
    pub machine: usize,
    /// Whether it has etcd.
    pub etcd: bool,
    /// Whether it has the control plane.
    pub control_plane: bool,
    /// Whether it is a worker.
    pub worker: bool,
    /// Its labels.
    pub labels: BTreeMap<&'static str, String>,
    /// Whether it has a taint of its own.
    pub tainted: bool,
}

impl Deploys {
    /// The sections of cluster.yml that ask for it.
    fn text(self) -> String {
        match self {
            Self::Nothing => "network: {plugin: none}\n".to_owned(),
            Self::Network { mtu, names } => {
                let provider = if names { "coredns" } else { "none" };
                format!("network: {{plugin: flannel, mtu: {mtu}}}\ndns: {{provider: {provider}}}\n")
            }
        }
    }

    /// The sections at the end.
    fn last_text(self) -> &'static str {
        match self {
            Self::Network { names: true, .. } => MANIFESTS,
            Self::Nothing | Self::Network { .. } => "monitoring: {provider: none}\n",
        }
    }
}

/// A definition and its object in the wrong order, and a Job.
const MANIFESTS: &str = "addons: |
  {apiVersion: example.org/v1, kind: Widget, metadata: {name: first, namespace: shop}}
  ---
  apiVersion: apiextensions.k8s.io/v1
  kind: CustomResourceDefinition
  metadata: {name: widgets.example.org}
  spec: {group: example.org, scope: Namespaced, names: {kind: Widget, plural: widgets}}
  ---
  {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
  ---
  {apiVersion: batch/v1, kind: Job, metadata: {name: stock, namespace: shop}, spec: {template: {spec: {}}}}
";

impl DraftNode {
    /// A node without roles, for struct update syntax.
    pub fn new(machine: usize) -> Self {
        Self {
            machine,
            etcd: false,
            control_plane: false,
            worker: false,
            labels: BTreeMap::new(),
            tainted: false,
        }
    }
}

/// The address of a machine, as in the simulated world.
pub fn address(machine: usize) -> String {
    format!("10.0.{}.{}", machine / 250, machine % 250)
}

impl Draft {
    /// A cluster of nodes in one version, with nothing special.
    pub fn of(nodes: Vec<DraftNode>) -> Self {
        Self {
            nodes,
            minor: 20,
            etcd: (4, 15),
            era: Era::OfDockershim,
            extra_args: BTreeMap::new(),
            kubelet_env: None,
            proxy_bind: None,
            etcd_disks: EtcdDisks::Usual,
            sans: BTreeSet::new(),
            snapshots: true,
            external_etcd: None,
            max_unavailable_worker: "1".to_owned(),
            max_unavailable_controlplane: 1,
            drain: false,
            containerd: false,
            deploys: Deploys::Nothing,
            keys: Keys::Off,
        }
    }

    /// This many nodes with etcd and control plane, and this many workers.
    pub fn sized(control_planes: usize, workers: usize) -> Self {
        let control_plane = |machine| DraftNode {
            etcd: true,
            control_plane: true,
            worker: workers == 0,
            ..DraftNode::new(machine)
        };
        let worker = |machine| DraftNode { worker: true, ..DraftNode::new(machine) };
        let all = control_planes + workers;
        let nodes = (1..=control_planes).map(control_plane).chain((control_planes + 1..=all).map(worker));
        Self::of(nodes.collect())
    }

    /// Another MTU, or the names of Services on and off; what, in words. Beside somebody else's network windlass brings none.
    pub(crate) fn edit_deploys(&mut self, rng: &mut fastrand::Rng) -> String {
        match &mut self.deploys {
            Deploys::Nothing => return "nothing".to_owned(),
            Deploys::Network { mtu, .. } if rng.bool() => *mtu = if *mtu == 1_400 { 1_450 } else { 1_400 },
            Deploys::Network { names, .. } => *names = !*names,
        }
        "what is deployed".to_owned()
    }

    /// `upgrade_strategy`.
    fn strategy(&self) -> String {
        format!(
            "upgrade_strategy:\n  max_unavailable_worker: \"{}\"\n  max_unavailable_controlplane: \"{}\"\n  \
             drain: {}\n  node_drain_input: {{force: true, ignore_daemonsets: true, delete_local_data: \
             true, grace_period: -1, timeout: 120}}\n",
            self.max_unavailable_worker, self.max_unavailable_controlplane, self.drain
        )
    }

    /// The text of cluster.yml.
    pub fn text(&self) -> String {
        let mut text = String::from("nodes:\n");
        for node in &self.nodes {
            let roles: Vec<&str> =
                [(node.etcd, "etcd"), (node.control_plane, "controlplane"), (node.worker, "worker")]
                    .into_iter()
                    .filter_map(|(has, role)| has.then_some(role))
                    .collect();
            let DraftNode { machine, .. } = node;
            let _ = write!(
                text,
                "- address: {}\n  hostname_override: node-{machine}\n  user: ops\n  role: [{}]\n",
                address(*machine),
                roles.join(", ")
            );
            if !node.labels.is_empty() {
                text.push_str("  labels:\n");
                for (key, value) in &node.labels {
                    let _ = writeln!(text, "    {key}: {value}");
                }
            }
            if node.tainted {
                text.push_str("  taints:\n  - {key: dedicated, value: db, effect: NoSchedule}\n");
            }
        }
        let _ = write!(
            text,
            "kubernetes_version: v1.{minor}.2\nsystem_images:\n  etcd: lab/etcd:v3.{etcd_minor}.{etcd_patch}\n  kubernetes: \
             lab/hyperkube:v1.{minor}.2\n  nginx_proxy: lab/nginx:1.22\n  pod_infra_container: lab/pause:3.2\n",
            minor = self.minor,
            etcd_minor = self.etcd.0,
            etcd_patch = self.etcd.1,
        );
        text += &self.strategy();
        if !self.sans.is_empty() {
            let sans: Vec<&str> = self.sans.iter().map(String::as_str).collect();
            let _ = writeln!(text, "authentication: {{sans: [{}]}}", sans.join(", "));
        }
        if self.containerd {
            text.push_str("windlass: {pod_runtime: containerd}\n");
        }
        text += &self.deploys.text();
        text.push_str("services:\n");
        for service in ["etcd", "kube-api", "kube-controller", "scheduler", "kubelet", "kubeproxy"] {
            let _ = writeln!(text, "  {service}:");
            let mut silent = true;
            if service == "etcd" {
                let _ = writeln!(text, "    snapshot: {}", self.snapshots);
                if let Some(members) = self.external_etcd {
                    let urls: Vec<String> =
                        (1..=members).map(|member| format!("https://10.9.0.{member}:2379")).collect();
                    let _ = writeln!(text, "    external_urls: [{}]\n{EXTERNAL_ETCD}", urls.join(", "));
                }
                silent = false;
            }
            if service == "kube-api" && self.keys != Keys::Off {
                text.push_str(&self.keys.text());
                silent = false;
            }
            if let (true, Some(env)) = (service == "kubelet", &self.kubelet_env) {
                let _ = writeln!(text, "    extra_env: [\"{env}\"]");
                silent = false;
            }
            if let (true, Some(bind)) = (service == "kubeproxy", &self.proxy_bind) {
                let _ = writeln!(text, "    extra_binds: [\"{bind}\"]");
                silent = false;
            }
            silent &= !self.add_arguments(service, &mut text);
            if silent {
                text.pop();
                text.push_str(" {}\n");
            }
        }
        text += self.deploys.last_text();
        text
    }

    /// `extra_binds` and `extra_args` of a service; whether it has any.
    fn add_arguments(&self, service: &str, text: &mut String) -> bool {
        let is_own_etcd = service == "etcd" && self.external_etcd.is_none();
        let disks = if is_own_etcd { self.etcd_disks } else { EtcdDisks::Usual };
        let (flags, binds) = disks.text();
        if !binds.is_empty() {
            let _ = writeln!(text, "    extra_binds: {binds:?}");
        }
        let own = self.extra_args.get(service).into_iter().flatten();
        let arguments: Vec<(&str, &str)> =
            own.map(|(flag, value)| (*flag, value.as_str())).chain(flags.iter().copied()).collect();
        if !arguments.is_empty() {
            text.push_str("    extra_args:\n");
            for (flag, value) in &arguments {
                let _ = writeln!(text, "      {flag}: \"{value}\"");
            }
        }
        !binds.is_empty() || !arguments.is_empty()
    }

    /// The machines in the file.
    pub fn machines(&self) -> BTreeSet<usize> {
        self.nodes.iter().map(|node| node.machine).collect()
    }
}
