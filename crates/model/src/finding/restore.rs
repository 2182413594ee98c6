//! Why a restore of etcd is refused before it stops anything, and what to do about it.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::names::NodeName;
use crate::words::{named, row_of};

/// Why a restore is refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum RestoreRefused {
    /// A restore is unfinished: the members hold data of two different times.
    Unfinished {
        /// Its snapshot.
        snapshot: String,
        /// Whether it recovers etcd from a lost majority.
        recovers: bool,
    },
    /// etcd is to be recovered from a lost majority, and has one.
    MajorityAnswers,
    /// etcd is to be recovered from a lost majority, and may have one again.
    MajorityMayReturn {
        /// The nodes, or the names of members on no known node, that are not known to be lost.
        places: Vec<String>,
    },
    /// Nodes that are gone for good according to the operator answer.
    GoneAnswers {
        /// The nodes.
        nodes: Vec<NodeName>,
    },
    /// cluster.yml gives no member to the node whose member goes on.
    SurvivorLeaves {
        /// The node.
        node: NodeName,
    },
    /// The etcd is external.
    ExternalEtcd,
    /// The snapshot was taken from a cluster with another CA.
    OtherCluster {
        /// The digest of that CA.
        authority: Digest,
        /// The digest of this cluster's CA.
        own: Digest,
    },
    /// It is unknown from which cluster the snapshot was taken.
    UnknownCluster {
        /// The snapshot.
        snapshot: String,
    },
    /// The snapshot holds data of a newer etcd than the one that would run.
    TooNew {
        /// The version that its members had agreed on.
        snapshot: String,
        /// The version that cluster.yml asks for.
        desired: String,
    },
    /// Nodes that are to have members are unreachable.
    Unreachable {
        /// The nodes.
        nodes: Vec<NodeName>,
    },
    /// Former members may keep running without the reachable nodes.
    MajorityElsewhere {
        /// Their nodes.
        nodes: Vec<NodeName>,
    },
}

impl RestoreRefused {
    pub(super) fn what(&self) -> String {
        match self {
            Self::Unfinished { snapshot, recovers: false } => {
                format!("a restore of etcd from {snapshot} was begun and is not finished")
            }
            Self::Unfinished { snapshot, recovers: true } => {
                format!("a recovery of etcd from {snapshot} was begun and is not finished")
            }
            Self::MajorityAnswers => "etcd has a majority: there is nothing to recover from".to_owned(),
            Self::MajorityMayReturn { places } => format!(
                "etcd may have a majority again, and would be two clusters then: {} may come back",
                row_of(places, 6)
            ),
            Self::GoneAnswers { nodes } => {
                format!("{} should be gone for good, and can be reached", named(nodes))
            }
            Self::SurvivorLeaves { node } => {
                format!("etcd goes on from the member on {node}, and cluster.yml gives it none")
            }
            Self::ExternalEtcd => {
                "the cluster lives in an etcd that windlass does not run, and cannot restore".to_owned()
            }
            Self::OtherCluster { authority, own } => format!(
                "the snapshot is of another cluster: its CA has the digest {}, and this cluster's has {}",
                authority.short(),
                own.short()
            ),
            Self::UnknownCluster { snapshot } => {
                format!("nothing says of which cluster {snapshot} is a snapshot")
            }
            Self::TooNew { snapshot, desired } => format!(
                "the snapshot holds data of etcd {snapshot}, and cluster.yml asks for etcd {desired}, which cannot read it"
            ),
            Self::Unreachable { nodes } => {
                format!(
                    "nodes of etcd are unreachable, and all of them are restored together: {}",
                    named(nodes)
                )
            }
            Self::MajorityElsewhere { nodes } => format!(
                "{} had members of etcd and are unreachable: together they may still be this cluster",
                named(nodes)
            ),
        }
    }

    pub(super) fn help(&self) -> String {
        match self {
            Self::Unfinished { recovers: true, .. } => "finish it with `windlass etcd recover`".to_owned(),
            Self::MajorityAnswers => "`windlass up` repairs the members that are down".to_owned(),
            Self::MajorityMayReturn { .. } => {
                "bring their machines back and run `windlass up`; add `--gone NODE` for each machine that is gone for good, \
                 and `--abandon NODE` for each that can be reached and whose member cannot be started any more"
                    .to_owned()
            }
            Self::GoneAnswers { .. } => "take `--gone` away, or switch the machine off for good".to_owned(),
            Self::SurvivorLeaves { .. } => {
                "give it the role `etcd` again until the recovery is over".to_owned()
            }
            Self::Unfinished { snapshot, .. } => format!(
                "finish it with `windlass etcd snapshot restore {snapshot}`, or restore another snapshot"
            ),
            Self::ExternalEtcd => "restore it by its own tools".to_owned(),
            Self::OtherCluster { .. } => {
                "choose a snapshot of this cluster: `windlass etcd snapshot list` shows them".to_owned()
            }
            Self::UnknownCluster { .. } => {
                "if you know that it is of this cluster, add `--of-this-cluster`".to_owned()
            }
            Self::TooNew { .. } => {
                "set the version in cluster.yml that the cluster had when the snapshot was taken".to_owned()
            }
            Self::Unreachable { .. } => {
                "make them reachable, or remove from cluster.yml those that are gone for good".to_owned()
            }
            Self::MajorityElsewhere { .. } => {
                "make them reachable, or, if they are gone for good and can never start again, add `--gone NODE` for each"
                    .to_owned()
            }
        }
    }
}
