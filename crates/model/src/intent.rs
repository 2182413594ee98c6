//! The operator's intent for one run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::blueprint::Blueprint;
use crate::certificate::DesiredCert;
use crate::component::Component;
use crate::ledger::CertFace;
use crate::names::NodeName;
use crate::snapshot::ChosenSnapshot;
use crate::time::Timestamp;

/// The operator's intent for one run, with its desired state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// The cluster becomes what cluster.yml says.
    Converge {
        /// What cluster.yml says.
        desired: Arc<Blueprint>,
        /// Former nodes that are gone for good according to the operator: they are forgotten.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        gone: BTreeSet<NodeName>,
    },
    /// Valid certificates are reissued, and what uses them takes the new ones. Everything else in cluster.yml
    /// keeps waiting.
    Reissue {
        /// What cluster.yml says.
        desired: Arc<Blueprint>,
        /// The reissue.
        reissue: Reissue,
    },
    /// etcd is restored from a snapshot, and the cluster on it becomes what cluster.yml says.
    Restore {
        /// What cluster.yml says.
        desired: Arc<Blueprint>,
        /// The snapshot, and when the command began.
        restore: Box<Restore>,
    },
    /// The cluster is removed completely.
    Dismantle {
        /// The cluster without nodes and certificates.
        desired: Arc<Blueprint>,
        /// Whether the snapshots of etcd are kept.
        snapshots: Snapshots,
        /// Nodes that are gone for good according to the operator: they are not waited for.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        gone: BTreeSet<NodeName>,
    },
}

impl Intent {
    /// The cluster becomes what cluster.yml says.
    pub fn converge(desired: Arc<Blueprint>) -> Self {
        Self::Converge { desired, gone: BTreeSet::new() }
    }

    /// The cluster of cluster.yml is removed.
    pub fn dismantle(cluster: &Blueprint, snapshots: Snapshots) -> Self {
        Self::Dismantle { desired: Arc::new(cluster.emptied()), snapshots, gone: BTreeSet::new() }
    }

    /// The same, where these nodes are gone for good according to the operator.
    #[must_use]
    pub fn with_gone(mut self, nodes: &BTreeSet<NodeName>) -> Self {
        match &mut self {
            Self::Converge { gone, .. } | Self::Dismantle { gone, .. } => gone.clone_from(nodes),
            Self::Restore { .. } | Self::Reissue { .. } => {}
        }
        self
    }

    /// The nodes that are gone for good according to the operator; a restore has its own, which it needs only
    /// to know that no member of them comes back.
    pub fn gone(&self) -> Option<&BTreeSet<NodeName>> {
        match self {
            Self::Converge { gone, .. } | Self::Dismantle { gone, .. } => Some(gone),
            Self::Restore { .. } | Self::Reissue { .. } => None,
        }
    }

    /// The desired state, mutable.
    pub(crate) fn desired_mut(&mut self) -> &mut Arc<Blueprint> {
        match self {
            Self::Converge { desired, .. }
            | Self::Reissue { desired, .. }
            | Self::Restore { desired, .. }
            | Self::Dismantle { desired, .. } => desired,
        }
    }

    /// The desired state.
    pub fn desired(&self) -> &Arc<Blueprint> {
        match self {
            Self::Converge { desired, .. }
            | Self::Reissue { desired, .. }
            | Self::Restore { desired, .. }
            | Self::Dismantle { desired, .. } => desired,
        }
    }
}

/// A snapshot to restore.
///
/// The moment is the start of the command: a restore that the ledger records as done at that moment or later
/// is this command's,
/// and is over. An unfinished one from the same file is continued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// The snapshot: it was read back and found intact before the command asked for this.
    pub snapshot: ChosenSnapshot,
    /// When the command began.
    pub asked_at: Timestamp,
    /// Former nodes of etcd that are lost according to the operator: windlass cannot verify it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub gone: BTreeSet<NodeName>,
    /// Set where etcd has lost its majority: then the snapshot is of a member that survived, and becomes the only
    /// member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

/// How etcd goes on after its majority is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// The node whose member goes on: the most advanced of those that answer.
    pub node: NodeName,
    /// The voters as the members that answer list them: their names by peer address. Empty where an interrupted
    /// recovery is continued.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub voters: BTreeMap<String, String>,
    /// Reachable nodes whose members are given up by the operator, although their data is there.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub abandoned: BTreeSet<NodeName>,
}

/// Valid certificates to reissue: the selected ones that were issued before a moment.
///
/// The moment is the start of the command, so each certificate is reissued once, in whichever round, and the
/// ledger shows whether it was: nothing has to be remembered from round to round.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reissue {
    /// The certificates.
    pub which: CertSelector,
    /// Those issued at this moment or later have been reissued already.
    pub issued_before: Timestamp,
}

impl Reissue {
    /// Whether a certificate is to be reissued, by its date in the ledger. One that does not exist yet is
    /// issued anyway.
    pub fn selects(&self, desired: &DesiredCert, face: Option<&CertFace>) -> bool {
        self.which.selects(desired) && face.is_some_and(|face| face.issued_at() < self.issued_before)
    }
}

/// Which certificates are to be reissued; never CAs and never the service-account key.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertSelector {
    /// None.
    #[default]
    None,
    /// Those of these components.
    Services(BTreeSet<Component>),
    /// All that components present.
    All,
}

impl CertSelector {
    /// Whether it selects this certificate.
    pub fn selects(&self, desired: &DesiredCert) -> bool {
        match self {
            Self::None => false,
            Self::Services(services) => desired.service.is_some_and(|service| services.contains(&service)),
            Self::All => desired.kind == crate::certificate::CertKind::Leaf,
        }
    }
}

/// Whether the snapshots of etcd are kept when a cluster is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Snapshots {
    /// They stay on the nodes.
    Keep,
    /// They are deleted with everything else.
    Delete,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::{BACKDATED_SECONDS, CertKind};
    use crate::digest::Digest;

    fn desired(kind: CertKind, service: Option<Component>) -> DesiredCert {
        DesiredCert {
            kind,
            common_name: "x".to_owned(),
            organizations: Vec::new(),
            issuer: None,
            usages: BTreeSet::new(),
            sans: BTreeSet::new(),
            valid_days: 1,
            service,
        }
    }

    fn face(desired: &DesiredCert, issued_at: Option<u64>, not_before: u64) -> CertFace {
        CertFace {
            desired: desired.clone(),
            issued_at: issued_at.map(Timestamp),
            not_before: Timestamp(not_before),
            not_after: Timestamp(u64::MAX),
            issuer: None,
            certificate: Digest::of("certificate"),
            key: Digest::of("key"),
            encryption: None,
            encryption_behind: None,
        }
    }

    #[test]
    fn a_certificate_is_reissued_once() {
        let leaf = desired(CertKind::Leaf, Some(Component::Kubelet));
        let reissue = Reissue { which: CertSelector::All, issued_before: Timestamp(1_000) };
        let selects =
            |issued_at, not_before| reissue.selects(&leaf, Some(&face(&leaf, issued_at, not_before)));
        assert!(selects(Some(999), 699));
        assert!(!selects(Some(1_000), 700), "this command has issued it");
        // As in earlier versions.
        assert!(selects(None, 999 - BACKDATED_SECONDS));
        assert!(!selects(None, 1_000 - BACKDATED_SECONDS));
        assert!(!reissue.selects(&leaf, None), "one that is missing is issued anyway");
    }

    #[test]
    fn only_what_is_selected_is_reissued() {
        let kubelet = desired(CertKind::Leaf, Some(Component::Kubelet));
        let ca = desired(CertKind::Authority, None);
        let selects = |which: CertSelector, desired: &DesiredCert| {
            let reissue = Reissue { which, issued_before: Timestamp(1_000) };
            reissue.selects(desired, Some(&face(desired, Some(1), 1)))
        };
        assert!(selects(CertSelector::Services([Component::Kubelet].into()), &kubelet));
        assert!(!selects(CertSelector::Services([Component::KubeProxy].into()), &kubelet));
        assert!(!selects(CertSelector::All, &ca));
        assert!(!selects(CertSelector::None, &kubelet));
    }
}
