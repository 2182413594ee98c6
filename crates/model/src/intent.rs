//! What the operator wants of one run.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::certificate::CertWish;
use crate::component::Component;

/// What the operator wants of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// The cluster becomes what cluster.yml says.
    Converge {
        /// Certificates to make anew though they are good.
        reissue: CertSelector,
    },
    /// The cluster goes, and leaves nothing behind.
    Dismantle {
        /// What becomes of the snapshots of etcd.
        snapshots: Snapshots,
    },
}

impl Intent {
    /// The cluster becomes what cluster.yml says, and nothing more.
    pub fn converge() -> Self {
        Self::Converge { reissue: CertSelector::None }
    }
}

/// Which certificates are to be made anew; never authorities and never the service-account key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertSelector {
    /// None.
    None,
    /// Those of these components.
    Services(BTreeSet<Component>),
    /// All that components present.
    All,
}

impl CertSelector {
    /// Whether it selects this certificate.
    pub fn selects(&self, wish: &CertWish) -> bool {
        match self {
            Self::None => false,
            Self::Services(services) => wish.service.is_some_and(|service| services.contains(&service)),
            Self::All => wish.kind == crate::certificate::CertKind::Leaf,
        }
    }
}

/// What becomes of the snapshots of etcd when a cluster is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Snapshots {
    /// They stay on the nodes.
    Keep,
    /// They are deleted with everything else.
    Delete,
}
