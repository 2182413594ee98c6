//! How much is done at once, how often a step is tried, and whether guards are checked.

use std::time::Duration;

/// How much is done at once, and how often a step is tried. None of it changes the result of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps that run at once on one node: more would only wait for its disk.
    pub steps_on_a_node: usize,
    /// Steps that run at once in all: each may be a connection of the operator's machine.
    pub steps_in_all: usize,
    /// Steps that only wait, at once in all. They take no place of the others, since what they wait for may
    /// be done by steps that have not begun.
    pub waits_in_all: usize,
    /// How often a step is tried while it meets passing errors.
    pub attempts: u32,
    /// How long a step waits after the first passing error; each further wait is twice as long.
    pub first_delay: Duration,
    /// The longest that a step waits between two attempts.
    pub longest_delay: Duration,
    /// Whether guards are checked.
    #[doc(hidden)]
    pub guards: GuardSwitch,
}

/// Whether guards are checked: off only in tests that prove them necessary.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum GuardSwitch {
    /// They are.
    #[default]
    On,
    /// They are not.
    Off,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps_on_a_node: 4,
            steps_in_all: 64,
            waits_in_all: 256,
            attempts: 5,
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(8),
            guards: GuardSwitch::On,
        }
    }
}
