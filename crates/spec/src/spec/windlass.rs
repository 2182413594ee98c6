//! `windlass`: the keys that RKE 1 does not have.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use serde::Serialize;
use windlass_model::KubernetesVersion;

/// `windlass`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WindlassSpec {
    /// `endpoint`: the name or address that stands for all API servers, such as a load balancer's.
    pub endpoint: Option<EndpointSpec>,
    /// `certificate_validity`: how long certificates that are no authority's are valid; whole days, at least 60.
    pub certificate_validity: Option<Duration>,
    /// `pod_runtime`: what runs the containers of pods, on nodes that say nothing else.
    pub pod_runtime: Option<PodRuntimeSpec>,
    /// `token_issuer`: who issues the tokens of service accounts: a URL, or `rke` as RKE 1 had it.
    pub token_issuer: Option<String>,
    /// `drain_leaving`: drain a node before it leaves.
    pub drain_leaving: Option<bool>,
    /// `snapshot_before_upgrade`: take a snapshot of etcd before a minor version changes.
    pub snapshot_before_upgrade: Option<bool>,
    /// `ledger_in_cluster`: whether the cluster keeps the CAs and keys of the ledger.
    pub ledger_in_cluster: Option<LedgerInClusterSpec>,
    /// `local_ports`: whether ports that the node alone needs can be reached from elsewhere.
    pub local_ports: Option<LocalPortsSpec>,
    /// `checksums`: the SHA-256, in hexadecimal digits, of what `addons_include` names.
    pub checksums: BTreeMap<String, String>,
    /// `links`: versions of Kubernetes that a chain of upgrades goes through, at most one of each minor version, with the
    /// images that each has beside those that follow from `system_images`.
    pub links: BTreeMap<KubernetesVersion, BTreeMap<String, String>>,
}

/// `windlass` of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NodeWindlassSpec {
    /// `pod_runtime`: what runs the containers of pods there.
    pub pod_runtime: Option<PodRuntimeSpec>,
}

/// What runs the containers of pods. The components run in Docker in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PodRuntimeSpec {
    /// Docker: through dockershim before Kubernetes 1.24, through cri-dockerd from then on.
    Docker,
    /// The host's containerd.
    Containerd,
}

impl PodRuntimeSpec {
    /// The word in cluster.yml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
        }
    }
}

/// Whether the cluster keeps the CAs and keys of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LedgerInClusterSpec {
    /// In a Secret that only the recovery key opens.
    Encrypted,
    /// Not at all.
    None,
}

impl LedgerInClusterSpec {
    /// The word in cluster.yml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Encrypted => "encrypted",
            Self::None => "none",
        }
    }
}

/// Whether ports that the node alone needs can be reached from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalPortsSpec {
    /// Only from the node itself.
    Closed,
    /// From everywhere, as in RKE 1.
    Open,
}

impl LocalPortsSpec {
    /// The word in cluster.yml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }
}

/// A name or address with a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointSpec {
    /// A host name or an address, without brackets.
    pub host: String,
    /// The port; never zero.
    pub port: u16,
}

/// As in a URL: `api.example.org:6443`, `[fd00::1]:6443`.
impl fmt::Display for EndpointSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.parse::<Ipv6Addr>().is_ok() {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}
