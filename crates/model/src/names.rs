//! The names of things: parsed at the edge, trusted within, cheap to clone.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is; whoever reads it from outside has checked it.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// A node's Kubernetes name: `hostname_override` in lower case, or else its address.
    NodeName
}
name! {
    /// A container's name on a node, such as `kube-apiserver`.
    ContainerName
}
name! {
    /// An image with its tag or digest, as Docker is asked for it.
    ImageRef
}
name! {
    /// An absolute path on a node.
    FilePath
}
name! {
    /// What is put before the paths of host directories, such as `/opt/rke`.
    Prefix
}
name! {
    /// A certificate's name in the ledger: `kube-ca`, or `kube-node@node-1` for one node's own.
    CertName
}
name! {
    /// The name of a secret that cluster.yml carries, such as `registry-auth`; its value is never in a document.
    SecretName
}
name! {
    /// A place in cluster.yml, such as `services.kubelet.extra_args.max-pods` or `nodes[2].role`.
    SpecPath
}
name! {
    /// The identity of a cluster's keys: two ledgers with different lineages are two clusters.
    Lineage
}

impl Default for FilePath {
    fn default() -> Self {
        Self::from("")
    }
}

impl CertName {
    /// The name of a certificate that one node alone holds.
    pub fn of_node(base: &str, node: &NodeName) -> Self {
        Self::from(format!("{base}@{node}"))
    }

    /// The name without the node it belongs to.
    pub fn base(&self) -> &str {
        self.0.split_once('@').map_or(&self.0, |(base, _)| base)
    }
}

/// What a node does in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs a member of etcd.
    Etcd,
    /// Runs API server, controller manager and scheduler.
    ControlPlane,
    /// Runs the users' pods.
    Worker,
}

impl Role {
    /// The word that cluster.yml uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ControlPlane => "controlplane",
            Self::Worker => "worker",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The roles of one node.
pub type Roles = BTreeSet<Role>;

/// One of the containers that windlass runs on nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// The member of etcd.
    Etcd,
    /// The timer that snapshots etcd.
    EtcdRollingSnapshots,
    /// The API server.
    KubeApiserver,
    /// The controller manager.
    KubeControllerManager,
    /// The scheduler.
    KubeScheduler,
    /// The forwarder from a node without an API server to all API servers.
    NginxProxy,
    /// The node agent.
    Kubelet,
    /// The service proxy.
    KubeProxy,
}

impl Component {
    /// All components, in the order in which a node's table is shown.
    pub const ALL: [Self; 8] = [
        Self::Etcd,
        Self::EtcdRollingSnapshots,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::NginxProxy,
        Self::Kubelet,
        Self::KubeProxy,
    ];

    /// The container's name, which is RKE's name too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::EtcdRollingSnapshots => "etcd-rolling-snapshots",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::NginxProxy => "nginx-proxy",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
        }
    }

    /// The component that a container of this name runs, if it is one of ours.
    pub fn of_container(name: &ContainerName) -> Option<Self> {
        Self::named(name.as_str())
    }

    /// The component of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|component| component.as_str() == name)
    }

    /// The name of its container.
    pub fn container(self) -> ContainerName {
        ContainerName::from(self.as_str())
    }

    /// Whether it belongs to the control plane proper.
    pub fn is_control_plane(self) -> bool {
        matches!(self, Self::KubeApiserver | Self::KubeControllerManager | Self::KubeScheduler)
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
