//! What a run has taken down: guards count it as unavailable, however healthy it looked a moment ago.

use std::collections::BTreeSet;

use windlass_model::NodeName;

/// What this run has taken down and has not seen healthy since.
pub(crate) type Disturbed = BTreeSet<(Kind, NodeName)>;

/// What a disruption takes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A member of etcd.
    Etcd,
    /// An API server.
    ApiServer,
    /// A node, as a place for pods.
    Node,
}
