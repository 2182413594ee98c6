//! The events that the engine reports while it works: nothing below the command line prints.

use std::time::Duration;

use windlass_model::{Inventory, NodeName, Outcome, Planning, Step};

use crate::ports::PortError;

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A look begins; rounds count from one.
    LookBegins {
        /// The round.
        round: u32,
    },
    /// The look is taken.
    Looked {
        /// What was seen.
        inventory: &'a Inventory,
    },
    /// The ledger was recovered from a node, because the operator's copy was missing or older.
    LedgerRecovered {
        /// The node that held the newest copy.
        from: &'a NodeName,
        /// Its serial.
        serial: u64,
    },
    /// The plan of this round is made.
    Planned {
        /// The round.
        round: u32,
        /// The plan and the findings.
        planning: &'a Planning,
    },
    /// A step begins.
    StepBegins {
        /// The step.
        step: &'a Step,
    },
    /// A step met a passing error and will be tried again.
    StepWaits {
        /// The step.
        step: &'a Step,
        /// How often it has been tried.
        attempt: u32,
        /// The error.
        error: &'a PortError,
        /// How long it waits.
        delay: Duration,
    },
    /// A step ended.
    StepEnds {
        /// The step.
        step: &'a Step,
        /// Its result.
        outcome: &'a Outcome,
    },
    /// A node could not give a lease: runs of other machines do not meet there.
    LeaseNotTaken {
        /// The node.
        node: &'a NodeName,
        /// The error.
        error: &'a PortError,
    },
    /// The leases of this run are gone: it ends as if it was interrupted.
    LeasesLost,
    /// The run was interrupted: running steps are finished, no new one begins.
    Interrupted,
}

/// Receives events.
pub trait Listener: Sync {
    /// Receives an event; returns at once.
    fn hear(&self, event: Event<'_>);
}

/// Ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silence;

impl Listener for Silence {
    fn hear(&self, _: Event<'_>) {}
}
