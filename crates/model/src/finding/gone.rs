//! What is said of nodes that left cluster.yml and are not reached.

use serde::{Deserialize, Serialize};

/// Why a node is not gone for good, whatever the operator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotGone {
    /// cluster.yml asks for it.
    InClusterYml,
    /// It answers.
    Answers,
    /// The ledger has no node of this name.
    Unknown,
}

/// A former node that may have died a moment ago.
pub(super) const FORMER_READY: &str =
    "has left cluster.yml and is unreachable, and Kubernetes calls it ready";
/// What helps then.
pub(super) const FORMER_READY_HELP: &str = "make it reachable to have it cleared; where the machine is gone, Kubernetes notices \
     within a minute, and the next `windlass up` deletes its node object, or `windlass up --gone` with its name at once";

/// What is wrong with a node that is in neither cluster.yml nor the ledger, while Kubernetes calls it ready.
pub(super) const RETURNED_READY: &str =
    "is in neither cluster.yml nor the ledger, and Kubernetes calls it ready";
/// What helps then.
pub(super) const RETURNED_READY_HELP: &str = "where a snapshot brought it back, Kubernetes notices within a minute that nothing \
     runs there, and the next `windlass up` deletes its node object; where a kubelet runs there, put the node back into \
     cluster.yml, and then take it out again";

impl NotGone {
    /// Why it is not forgotten.
    pub(super) fn what(self) -> String {
        let why = match self {
            Self::InClusterYml => "cluster.yml asks for it",
            Self::Answers => "it answers",
            Self::Unknown => "the ledger has no node of this name",
        };
        format!("cannot be forgotten: {why}")
    }

    /// What to do.
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::InClusterYml => "remove it from cluster.yml first",
            Self::Answers => "leave `--gone` away: it is cleared as every node that is reached",
            Self::Unknown => "check the name; a node that was forgotten already needs no `--gone`",
        }
    }
}
