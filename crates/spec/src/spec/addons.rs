//! What becomes objects in the cluster: the pod network, names, requests from outside, metrics, own manifests.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use windlass_model::Secret;

/// `network`: how pods reach each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NetworkSpec {
    /// `network.plugin`.
    pub plugin: Option<NetworkPlugin>,
    /// `network.options`: settings of the plugin, such as `canal_iface`.
    pub options: BTreeMap<String, String>,
    /// `mtu`; absent for the plugin's own.
    pub mtu: Option<u32>,
    /// `node_selector` of the plugin's `DaemonSet`s.
    pub node_selector: BTreeMap<String, String>,
    /// `update_strategy` of the plugin's `DaemonSet`s, in Kubernetes' format.
    pub update_strategy: Option<Value>,
    /// `tolerations` of the plugin's Deployments, in Kubernetes' format.
    pub tolerations: Vec<Value>,
    /// `calico_network_provider.cloudprovider`.
    pub calico_cloud_provider: Option<String>,
    /// `canal_network_provider.iface`.
    pub canal_iface: Option<String>,
    /// `flannel_network_provider.iface`.
    pub flannel_iface: Option<String>,
    /// `weave_network_provider.password`.
    pub weave_password: Option<Secret<String>>,
    /// `aci_network_provider`; it holds keys.
    pub aci: Option<Secret<Value>>,
}

/// The network plugins that the format knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkPlugin {
    /// Flannel's network with Calico's policies.
    Canal,
    /// Flannel alone.
    Flannel,
    /// Calico alone.
    Calico,
    /// Weave Net; gone from Kubernetes 1.30 on.
    Weave,
    /// Cisco ACI.
    Aci,
    /// None: the user brings a network.
    None,
}

impl NetworkPlugin {
    /// All plugins with the word that cluster.yml uses for each.
    pub const ALL: [(&'static str, Self); 6] = [
        ("canal", Self::Canal),
        ("flannel", Self::Flannel),
        ("calico", Self::Calico),
        ("weave", Self::Weave),
        ("aci", Self::Aci),
        ("none", Self::None),
    ];

    /// The word that cluster.yml uses.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, plugin)| *plugin == self).map_or("none", |(word, _)| word)
    }
}

/// `dns`: who resolves the names of Services.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DnsSpec {
    /// `provider`: `coredns`, `kube-dns` or `none`.
    pub provider: Option<String>,
    /// `options`: priority classes.
    pub options: BTreeMap<String, String>,
    /// `upstreamnameservers`; those of the node if empty.
    pub upstream_nameservers: Vec<String>,
    /// `reversecidrs`.
    pub reverse_cidrs: Vec<String>,
    /// `stubdomains`: name servers by domain.
    pub stub_domains: BTreeMap<String, Vec<String>>,
    /// `node_selector`.
    pub node_selector: BTreeMap<String, String>,
    /// `nodelocal`; absent without an address.
    pub node_local: Option<NodeLocalDnsSpec>,
    /// `update_strategy`, in Kubernetes' format.
    pub update_strategy: Option<Value>,
    /// `linear_autoscaler_params`, by the names of cluster.yml.
    pub linear_autoscaler_params: Option<Value>,
    /// `tolerations`, in Kubernetes' format.
    pub tolerations: Vec<Value>,
}

/// `dns.nodelocal`: a cache on every node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeLocalDnsSpec {
    /// `ip_address` that the cache listens on, and that pods ask.
    pub ip_address: String,
    /// `update_strategy`, in Kubernetes' format.
    pub update_strategy: Option<Value>,
    /// `node_selector`.
    pub node_selector: BTreeMap<String, String>,
    /// `node_local_dns_priority_class_name`.
    pub priority_class_name: Option<String>,
}

/// `ingress`: how requests from outside reach Services.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IngressSpec {
    /// `provider`: `traefik`, `nginx` or `none`.
    pub provider: Option<String>,
    /// `options`: keys of the controller's `ConfigMap`.
    pub options: BTreeMap<String, String>,
    /// `node_selector`.
    pub node_selector: BTreeMap<String, String>,
    /// `extra_args`: flags of the controller.
    pub extra_args: BTreeMap<String, String>,
    /// `dns_policy`.
    pub dns_policy: Option<String>,
    /// `extra_envs`, in Kubernetes' format.
    pub extra_envs: Vec<Value>,
    /// `extra_volumes`, in Kubernetes' format.
    pub extra_volumes: Vec<Value>,
    /// `extra_volume_mounts`, in Kubernetes' format.
    pub extra_volume_mounts: Vec<Value>,
    /// `update_strategy`, in Kubernetes' format.
    pub update_strategy: Option<Value>,
    /// `http_port`.
    pub http_port: Option<u16>,
    /// `https_port`.
    pub https_port: Option<u16>,
    /// `network_mode`: `hostPort`, `hostNetwork` or `none`.
    pub network_mode: Option<String>,
    /// `tolerations`, in Kubernetes' format.
    pub tolerations: Vec<Value>,
    /// `default_backend`.
    pub default_backend: Option<bool>,
    /// `default_http_backend_priority_class_name`.
    pub default_backend_priority_class_name: Option<String>,
    /// `nginx_ingress_controller_priority_class_name`.
    pub controller_priority_class_name: Option<String>,
    /// `default_ingress_class`.
    pub default_ingress_class: Option<bool>,
}

/// `monitoring`: who serves the metrics of pods and nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MonitoringSpec {
    /// `provider`: `metrics-server` or `none`.
    pub provider: Option<String>,
    /// `options`: flags of metrics-server.
    pub options: BTreeMap<String, String>,
    /// `node_selector`.
    pub node_selector: BTreeMap<String, String>,
    /// `update_strategy`, in Kubernetes' format.
    pub update_strategy: Option<Value>,
    /// `replicas`.
    pub replicas: Option<u32>,
    /// `tolerations`, in Kubernetes' format.
    pub tolerations: Vec<Value>,
    /// `metrics_server_priority_class_name`.
    pub priority_class_name: Option<String>,
}

/// One object of the user's own. It may be a Secret, so it is not shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Manifest {
    /// The object, as Kubernetes takes it.
    pub body: Secret<Value>,
    /// Where it is, in words: `web.yml, line 12`.
    pub from: String,
    /// The path in cluster.yml by which it came.
    pub path: String,
}
