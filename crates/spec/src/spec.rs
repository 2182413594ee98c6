//! The desired state as cluster.yml states it: plain data, optional where the file may be silent.
//!
//! Two habits of the format hold throughout. An empty text (`""`) and `null` mean that the file is silent,
//! because `rke config` writes every key whether or not it has a value. And a text is kept as its source has
//! it: `1.20` stays `1.20`.

mod access;
mod addons;
mod cloud;
mod node;
mod ranges;
mod service;
mod upgrade;
mod windlass;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::access::{
    AuthenticationSpec, AuthorizationMode, BastionSpec, EcrSpec, RegistrySpec, WebhookSpec,
};
pub use self::addons::{
    DnsSpec, IngressSpec, Manifest, MonitoringSpec, NetworkPlugin, NetworkSpec, NodeLocalDnsSpec,
};
pub use self::cloud::CloudProviderSpec;
pub use self::node::{NodeSpec, TaintEffect, TaintSpec};
pub use self::ranges::{Cidr, NotACidr, NotAPortRange, PortRange};
pub use self::service::{
    Argument, AuditLogSpec, BackupSpec, EtcdSpec, EventRateLimitSpec, KubeApiSpec, KubeControllerSpec,
    KubeletSpec, PodSecurity, S3Spec, SecretsEncryptionSpec, ServiceSpec, ServicesSpec,
};
pub use self::upgrade::{DrainSpec, MaxUnavailable, UpgradeSpec};
pub use self::windlass::{
    EndpointSpec, LedgerInClusterSpec, LocalPortsSpec, NodeWindlassSpec, PodRuntimeSpec, WindlassSpec,
};
use windlass_model::KubernetesVersion;

/// Everything in a cluster.yml that takes effect.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
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
    /// `cri_dockerd_stream_server_address`.
    pub cri_dockerd_stream_server_address: Option<String>,
    /// `cri_dockerd_stream_server_port`.
    pub cri_dockerd_stream_server_port: Option<u16>,
    /// `cloud_provider`; absent if nothing of it is set.
    pub cloud_provider: Option<CloudProviderSpec>,
    /// `dns`.
    pub dns: DnsSpec,
    /// `ingress`.
    pub ingress: IngressSpec,
    /// `monitoring`.
    pub monitoring: MonitoringSpec,
    /// `addons`: manifests of the user's own.
    pub addons: Option<String>,
    /// The objects of `addons`, and of what `addons_include` names once whoever reads cluster.yml has read that too.
    #[serde(skip)]
    pub manifests: Vec<Manifest>,
    /// `addons_include`: files or URLs of manifests of the user's own.
    pub addons_include: Vec<String>,
    /// `addon_job_timeout` in seconds.
    pub addon_job_timeout: Option<u32>,
    /// `windlass`: what RKE 1 does not have.
    pub windlass: WindlassSpec,
}
