//! The wish as cluster.yml states it: plain data, optional where the file may be silent.
//!
//! Two habits of the format hold throughout. An empty text (`""`) and `null` mean that the file is silent,
//! because `rke config` writes every key whether or not it has a value. And a text is kept as its source has
//! it: `1.20` stays `1.20`.

mod access;
mod node;
mod ranges;
mod service;
mod upgrade;
mod windlass;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::access::{AuthenticationSpec, AuthorizationMode, BastionSpec, RegistrySpec, WebhookSpec};
pub use self::node::{NodeSpec, TaintEffect, TaintSpec};
pub use self::ranges::{Cidr, NotACidr, NotAPortRange, PortRange};
pub use self::service::{
    AuditLogSpec, BackupSpec, EtcdSpec, KubeApiSpec, KubeControllerSpec, KubeletSpec, S3Spec, ServiceSpec,
    ServicesSpec,
};
pub use self::upgrade::{DrainSpec, MaxUnavailable, UpgradeSpec};
pub use self::windlass::{EndpointSpec, WindlassSpec};
use windlass_model::KubernetesVersion;

/// Everything in a cluster.yml that takes effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterSpec {
    /// `cluster_name`: the name in kubeconfigs.
    pub cluster_name: Option<String>,
    /// `kubernetes_version`.
    pub kubernetes_version: Option<KubernetesVersion>,
    /// `nodes`, in the order of the file; never empty.
    pub nodes: Vec<NodeSpec>,
    /// `services`.
    pub services: ServicesSpec,
    /// `network`.
    pub network: NetworkSpec,
    /// `authentication`.
    pub authentication: AuthenticationSpec,
    /// `authorization.mode`.
    pub authorization: Option<AuthorizationMode>,
    /// `system_images`: image by key (`etcd`, `kubernetes`, `pod_infra_container` …), only keys with a value.
    pub system_images: BTreeMap<String, String>,
    /// `private_registries`, in the order of the file, which decides the default one.
    pub private_registries: Vec<RegistrySpec>,
    /// `prefix_path`: what host directories are put under; an absolute path.
    pub prefix_path: Option<String>,
    /// `upgrade_strategy`.
    pub upgrade_strategy: UpgradeSpec,
    /// `ssh_key_path`: the private key of nodes and bastion that name none.
    pub ssh_key_path: Option<String>,
    /// `ssh_cert_path`: the SSH certificate of nodes and bastion that name none.
    pub ssh_cert_path: Option<String>,
    /// `ssh_agent_auth`: use the operator's SSH agent for all nodes and the bastion.
    pub ssh_agent_auth: Option<bool>,
    /// `bastion_host`: the host through which every node is reached; absent without an address.
    pub bastion_host: Option<BastionSpec>,
    /// `enable_cri_dockerd`: let kubelet talk to Docker through cri-dockerd.
    pub enable_cri_dockerd: Option<bool>,
    /// `windlass`: what RKE 1 does not have.
    pub windlass: WindlassSpec,
}

/// `network`: how pods reach each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NetworkSpec {
    /// `network.plugin`.
    pub plugin: Option<NetworkPlugin>,
    /// `network.options`: settings of the plugin, such as `canal_iface`.
    pub options: BTreeMap<String, String>,
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
}
