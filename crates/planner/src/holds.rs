//! What the stages of a plan ask where a rule holds something back. All other rules are switched off where
//! their edges, guards and refusals are added, in `builder.rs`.

use windlass_model::NodeName;

use crate::context::Context;

impl Context<'_> {
    /// Whether nothing healthy of a node's kind is disturbed now, since the node is unreachable.
    pub(crate) fn holds_back(&self, node: &NodeName) -> bool {
        self.rules.hold_while_blind && !self.is_reachable(node)
    }

    /// Whether kubelets wait until no API server is older than they are.
    pub(crate) fn orders_versions(&self) -> bool {
        self.rules.version_order
    }

    /// Whether machines are judged before anything is put on them.
    pub(crate) fn judges_machines(&self) -> bool {
        self.rules.preflight
    }

    /// Whether a cluster may become live with keys that only this machine's disk holds.
    pub(crate) fn may_lose_keys(&self) -> bool {
        !self.rules.durable_first
    }

    /// Whether a member is removed even where the rest has no majority.
    pub(crate) fn may_lose_majority(&self) -> bool {
        !self.rules.majority_stands
    }

    /// Whether nodes that somebody else cordoned are uncordoned.
    pub(crate) fn opens_cordons_of_others(&self) -> bool {
        !self.rules.respect_cordons
    }

    /// Whether whatever has a component's name, or lies in its place, counts as this cluster's.
    pub(crate) fn owns_by_name(&self) -> bool {
        !self.rules.own_only
    }
}
