//! The planner's rules as switches: all on, but for the tests that prove each of them needed.

/// Which rules hold. [`Rules::ALL`] is what windlass plans with; a test switches one off and sees the
/// simulated world break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent switch")]
pub struct Rules {
    /// What is broken is healed before anything healthy is disturbed.
    pub heal_first: bool,
    /// Nothing healthy of a kind is disturbed while a node of that kind is out of sight.
    pub hold_while_blind: bool,
    /// Members of etcd and API servers are disturbed one after another, each gated on the health of the last.
    pub one_at_a_time: bool,
    /// No more nodes are unavailable at once than cluster.yml allows.
    pub window: bool,
    /// Keys are on this machine's disk, and new authorities on the control-plane nodes, before they are used.
    pub durable_first: bool,
    /// What no live cluster survives is refused: lost keys, two lineages, a majority gone, a founding fact
    /// changed, a version skipped.
    pub refuse: bool,
    /// What is no longer wished goes when what replaces it works.
    pub remove_last: bool,
    /// A member of etcd is taken out only while a majority stands without it.
    pub majority_stands: bool,
    /// etcd goes before the control plane, and the control plane before the nodes: no kubelet is newer than an API
    /// server.
    pub version_order: bool,
    /// A node that somebody else cordoned stays cordoned.
    pub respect_cordons: bool,
}

impl Rules {
    /// All rules hold.
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
    };
}

impl Default for Rules {
    fn default() -> Self {
        Self::ALL
    }
}
