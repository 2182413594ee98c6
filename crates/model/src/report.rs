//! The result of each step of a plan, and of the run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plan::StepId;

/// The outcome of every step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// The outcomes by step.
    pub outcomes: BTreeMap<StepId, Outcome>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything is as desired.
    Converged,
    /// Everything is as desired except what findings hold.
    Held,
    /// Something was refused; nothing was done in that round.
    Refused,
    /// Steps failed, and continuing does not help.
    Failed,
    /// The run was interrupted.
    Interrupted,
    /// No step failed, and yet the same plan remains.
    StoodStill,
}

/// The result of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is done, or was done already.
    Done,
    /// It failed.
    Failed(Failure),
    /// It was not tried because this step failed, was skipped or was left.
    Skipped {
        /// The first step that failed before it.
        because: StepId,
    },
    /// It did not begin, or its end was not awaited, because the run was interrupted.
    Interrupted,
}

/// How a step failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error and its causes, outermost first.
    pub causes: Vec<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// The last lines of the container's log, if the step concerns a container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl Report {
    /// The steps that failed, with their failures.
    pub fn failures(&self) -> impl Iterator<Item = (&StepId, &Failure)> {
        self.outcomes.iter().filter_map(|(id, outcome)| match outcome {
            Outcome::Failed(failure) => Some((id, failure)),
            Outcome::Done | Outcome::Skipped { .. } | Outcome::Interrupted => None,
        })
    }

    /// Whether every step is done.
    pub fn is_complete(&self) -> bool {
        self.outcomes.values().all(|outcome| *outcome == Outcome::Done)
    }
}
