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
            /// Takes the text as it is; the code that reads it from outside has checked it.
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
    /// An image with its tag or digest, in the form that Docker gets.
    ImageRef
}
name! {
    /// An absolute path on a node.
    FilePath
}
name! {
    /// The prefix of host directories, such as `/opt/rke`.
    Prefix
}
name! {
    /// A certificate's name in the ledger: `kube-ca`, or `kube-node@node-1` for that of a single node.
    CertName
}
name! {
    /// The name of a secret in cluster.yml, such as `registry-auth`; its value is never in a document.
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
    /// The name of a certificate that only this node has.
    pub fn of_node(base: &str, node: &NodeName) -> Self {
        Self::from(format!("{base}@{node}"))
    }

    /// The name without the node it belongs to.
    pub fn base(&self) -> &str {
        self.0.split_once('@').map_or(&self.0, |(base, _)| base)
    }

    /// The only node that has the certificate, if it belongs to one node.
    pub fn node(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, node)| node)
    }
}

/// A role of a node in the cluster.
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
