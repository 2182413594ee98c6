//! A cluster.yml in the making: generated, edited, and written as text, so that every run goes the whole way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What is shown to an etcd that is not of the nodes; nobody reads what is in it.
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

/// What a generated cluster.yml says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The nodes, in the order of the file.
    pub nodes: Vec<DraftNode>,
    /// The minor version of Kubernetes: `v1.<minor>.2`.
    pub minor: u32,
    /// A tag of etcd's image: `etcd:v3.4.<tag>`.
    pub etcd_tag: u32,
    /// `extra_args` by service.
    pub extra_args: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
    /// `extra_env` of kubelet.
    pub kubelet_env: Option<String>,
    /// `extra_binds` of kube-proxy.
    pub proxy_bind: Option<String>,
    /// `authentication.sans`.
    pub sans: BTreeSet<String>,
    /// `services.etcd.snapshot`.
    pub snapshots: bool,
    /// Whether etcd is not of these nodes: how many members it has then.
    pub external_etcd: Option<usize>,
    /// `upgrade_strategy.max_unavailable_worker`.
    pub max_unavailable_worker: String,
    /// `upgrade_strategy.max_unavailable_controlplane`.
    pub max_unavailable_controlplane: u32,
    /// `upgrade_strategy.drain`.
    pub drain: bool,
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

impl DraftNode {
    /// A node with these roles.
    pub fn new(machine: usize, etcd: bool, control_plane: bool, worker: bool) -> Self {
        Self { machine, etcd, control_plane, worker, labels: BTreeMap::new(), tainted: false }
    }
}

/// The address of a machine, as the simulated world gives it.
pub fn address(machine: usize) -> String {
    format!("10.0.{}.{}", machine / 250, machine % 250)
}

impl Draft {
    /// A cluster of nodes in one version, with nothing special.
    pub fn of(nodes: Vec<DraftNode>) -> Self {
        Self {
            nodes,
            minor: 20,
            etcd_tag: 15,
            extra_args: BTreeMap::new(),
            kubelet_env: None,
            proxy_bind: None,
            sans: BTreeSet::new(),
            snapshots: true,
            external_etcd: None,
            max_unavailable_worker: "1".to_owned(),
            max_unavailable_controlplane: 1,
            drain: false,
        }
    }

    /// So many nodes with etcd and control plane, and so many workers.
    pub fn sized(control_planes: usize, workers: usize) -> Self {
        let nodes = (1..=control_planes)
            .map(|machine| DraftNode::new(machine, true, true, workers == 0))
            .chain((1..=workers).map(|worker| DraftNode::new(control_planes + worker, false, false, true)));
        Self::of(nodes.collect())
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
            "kubernetes_version: v1.{minor}.2\nsystem_images:\n  etcd: lab/etcd:v3.4.{etcd}\n  kubernetes: \
             lab/hyperkube:v1.{minor}.2\n  nginx_proxy: lab/nginx:1.22\n  pod_infra_container: lab/pause:3.2\n",
            minor = self.minor,
            etcd = self.etcd_tag,
        );
        let _ = write!(
            text,
            "upgrade_strategy:\n  max_unavailable_worker: \"{}\"\n  max_unavailable_controlplane: \"{}\"\n  \
             drain: {}\n  node_drain_input: {{force: true, ignore_daemonsets: true, delete_local_data: \
             true, grace_period: -1, timeout: 120}}\n",
            self.max_unavailable_worker, self.max_unavailable_controlplane, self.drain
        );
        if !self.sans.is_empty() {
            let sans: Vec<&str> = self.sans.iter().map(String::as_str).collect();
            let _ = writeln!(text, "authentication: {{sans: [{}]}}", sans.join(", "));
        }
        text.push_str("network: {plugin: none}\nservices:\n");
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
            if let (true, Some(env)) = (service == "kubelet", &self.kubelet_env) {
                let _ = writeln!(text, "    extra_env: [\"{env}\"]");
                silent = false;
            }
            if let (true, Some(bind)) = (service == "kubeproxy", &self.proxy_bind) {
                let _ = writeln!(text, "    extra_binds: [\"{bind}\"]");
                silent = false;
            }
            if let Some(arguments) = self.extra_args.get(service).filter(|arguments| !arguments.is_empty()) {
                text.push_str("    extra_args:\n");
                for (flag, value) in arguments {
                    let _ = writeln!(text, "      {flag}: \"{value}\"");
                }
                silent = false;
            }
            if silent {
                text.pop();
                text.push_str(" {}\n");
            }
        }
        text
    }

    /// The machines that the file names.
    pub fn machines(&self) -> BTreeSet<usize> {
        self.nodes.iter().map(|node| node.machine).collect()
    }
}
