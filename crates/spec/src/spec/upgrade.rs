//! `upgrade_strategy`: how many nodes may be away at once, and whether they are drained.

use serde::Serialize;

/// `upgrade_strategy`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UpgradeSpec {
    /// `max_unavailable_worker`.
    pub max_unavailable_worker: Option<MaxUnavailable>,
    /// `max_unavailable_controlplane`.
    pub max_unavailable_controlplane: Option<MaxUnavailable>,
    /// `drain`: drain a node before its containers change.
    pub drain: Option<bool>,
    /// `node_drain_input`; all its keys absent if the file is silent.
    pub node_drain_input: DrainSpec,
}

/// How many nodes may be unavailable at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxUnavailable {
    /// This many; never zero.
    Count(u32),
    /// This part of all nodes of the kind, in percent; 1 to 100.
    Percent(u32),
}

impl MaxUnavailable {
    /// How many of so many nodes that is: rounded down, at least one.
    ///
    /// ```
    /// use windlass_spec::MaxUnavailable;
    ///
    /// assert_eq!(MaxUnavailable::Percent(10).of(25), 2);
    /// assert_eq!(MaxUnavailable::Percent(10).of(3), 1);
    /// assert_eq!(MaxUnavailable::Count(4).of(3), 4);
    /// ```
    pub fn of(self, nodes: usize) -> usize {
        match self {
            Self::Count(count) => (count as usize).max(1),
            Self::Percent(percent) => (nodes.saturating_mul(percent as usize) / 100).max(1),
        }
    }
}

/// `upgrade_strategy.node_drain_input`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DrainSpec {
    /// `force`: delete pods that no controller would bring back.
    pub force: Option<bool>,
    /// `ignore_daemonsets`.
    pub ignore_daemonsets: Option<bool>,
    /// `delete_local_data`: delete pods with emptyDir volumes too.
    pub delete_local_data: Option<bool>,
    /// `grace_period` in seconds; negative for each pod's own.
    pub grace_period: Option<i64>,
    /// `timeout` in seconds.
    pub timeout: Option<i64>,
}
