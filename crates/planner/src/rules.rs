//! The planner's rules as switches: all on, except in the tests that prove each of them necessary.

use windlass_model::{Because, Guard};

/// Which rules apply. windlass plans with [`Rules::ALL`]; a test switches one off and sees the simulated
/// cluster break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent switch")]
pub struct Rules {
    /// What is broken is repaired before anything healthy is disturbed.
    pub heal_first: bool,
    /// Nothing healthy of a kind is disturbed while a node of that kind is unreachable.
    pub hold_while_blind: bool,
    /// Members of etcd and API servers are disturbed one after another, each gated on the health of the last.
    pub one_at_a_time: bool,
    /// No more nodes are unavailable at once than cluster.yml allows.
    pub window: bool,
    /// Keys are on this machine's disk, and new CAs on the control-plane nodes, before they are used.
    pub durable_first: bool,
    /// A change that no live cluster survives is refused: lost keys, two lineages, a majority lost, a
    /// founding setting changed, a version skipped.
    pub refuse: bool,
    /// What is no longer desired is removed when its replacement works.
    pub remove_last: bool,
    /// A member of etcd is removed only while there is a majority without it.
    pub majority_stands: bool,
    /// etcd is changed before the control plane, and the control plane before the nodes: no kubelet is newer
    /// than an API server.
    pub version_order: bool,
    /// A node that somebody else cordoned stays cordoned.
    pub respect_cordons: bool,
    /// Nothing is put on a machine on which it cannot work.
    pub preflight: bool,
    /// Only what this cluster made is stopped, replaced, moved or deleted.
    pub own_only: bool,
    /// A member is looked at again before it is removed from etcd, and before its data is moved.
    pub look_again: bool,
}

impl Rules {
    /// All rules apply.
    pub const ALL: Self = Self {
        heal_first: true,
        hold_while_blind: true,
        one_at_a_time: true,
        window: true,
        durable_first: true,
        refuse: true,
        remove_last: true,
        majority_stands: true,
        version_order: true,
        respect_cordons: true,
        preflight: true,
        own_only: true,
        look_again: true,
    };

    /// Whether the rule applies that orders steps for this reason. What a step uses always comes first.
    pub(crate) fn order_by(self, because: Because) -> bool {
        match because {
            Because::Needs | Because::Gate => true,
            Because::HealFirst => self.heal_first,
            Because::OneAtATime => self.one_at_a_time,
            Because::Window => self.window,
            Because::DurableFirst => self.durable_first,
            Because::Skew => self.version_order,
            Because::RemoveLast => self.remove_last,
        }
    }

    /// Whether the rule applies that checks again by this guard.
    pub(crate) fn ask_for(self, guard: &Guard) -> bool {
        match guard {
            Guard::EtcdMajorityWithout { .. } => self.one_at_a_time && self.majority_stands,
            Guard::ApiServersBeside { .. } => self.one_at_a_time,
            Guard::Window { .. } => self.window,
            Guard::EtcdMemberLost { .. } | Guard::EtcdMemberOut { .. } => self.look_again,
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::ALL
    }
}
