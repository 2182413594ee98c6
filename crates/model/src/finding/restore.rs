//! Why a restore of etcd is refused before it stops anything, and what to do about it.

use serde::{Deserialize, Serialize};

use super::words::named;
use crate::digest::Digest;
use crate::names::NodeName;

/// Why a restore is refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum RestoreRefused {
    /// A restore is unfinished: the members hold data of two different times.
    Unfinished {
        /// Its snapshot.
        snapshot: String,
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
    /// etcd's data is in a directory where windlass does not put any.
    DataElsewhere {
        /// The node.
        node: NodeName,
        /// The flag that sets it.
        flag: String,
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
            Self::Unfinished { snapshot } => {
                format!("a restore of etcd from {snapshot} was begun and is not finished")
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
            Self::DataElsewhere { node, flag } => {
                format!("etcd on {node} keeps its data at a place of its own: {flag}")
            }
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
            Self::Unfinished { snapshot } => format!(
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
            Self::DataElsewhere { .. } => {
                "take the flag out of `services.etcd.extra_args`, or restore by hand with etcdutl".to_owned()
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
