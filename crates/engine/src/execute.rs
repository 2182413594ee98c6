//! Carries out a plan: every step after those before it, within caps, with bounded retries.

use std::collections::BTreeMap;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep;
use windlass_model::{Failure, Ledger, Outcome, Plan, Report, Step, StepId};

use crate::events::{Event, Listener};
use crate::interrupt::{Interrupt, Urgency};
use crate::limits::Limits;
use crate::ports::{Assignment, Clock, Fleet, LedgerStore, Minter, Ports};
use crate::ready::Ready;
use crate::run::Run;
use crate::step_error::StepError;

/// How many lines of a container's log a failure contains.
const LOG_LINES: usize = 20;

/// The result of carrying out a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The result of every step.
    pub report: Report,
    /// The ledger as it was last committed.
    pub ledger: Option<Ledger>,
}

/// Carries out a plan on nodes that a look has enrolled.
///
/// *Guarantees*: a step begins only when all steps before it are done; a failed step skips those after it and
/// nothing else; nothing that was issued leaves this machine before the ledger that contains it is stored. If
/// the execution is dropped or left at any moment, the next look and plan repair what is half done.
///
/// *Assumes*: `ledger` is from the look from which the plan was made.
pub async fn execute<F: Fleet, L: LedgerStore, M: Minter, C: Clock>(
    plan: &Plan,
    ledger: Option<Ledger>,
    ports: &Ports<'_, F, L, M, C>,
    assignment: &Assignment,
    limits: &Limits,
    listener: &dyn Listener,
    interrupt: &Interrupt,
) -> Execution {
    let run = Run::new(ports, assignment, limits, ledger);
    let mut outcomes: BTreeMap<StepId, Outcome> = BTreeMap::new();
    let mut ready = Ready::new(plan, limits);
    let mut running = FuturesUnordered::new();
    let mut urgency = Urgency::None;
    loop {
        while urgency == Urgency::None
            && interrupt.urgency() == Urgency::None
            && let Some(index) = ready.begin()
        {
            let step = &plan.steps[index];
            listener.hear(Event::StepBegins { step });
            let (run, limits) = (&run, limits);
            running
                .push(async move { (index, step_to_its_end(run, step, limits, listener, interrupt).await) });
        }
        tokio::select! {
            biased;
            () = interrupt.reached(Urgency::Leave) => {
                if urgency == Urgency::None {
                    listener.hear(Event::Interrupted);
                }
                break;
            }
            () = interrupt.reached(Urgency::Finish), if urgency == Urgency::None => {
                urgency = Urgency::Finish;
                listener.hear(Event::Interrupted);
            }
            ended = running.next() => {
                let Some((index, outcome)) = ended else { break };
                let step = &plan.steps[index];
                listener.hear(Event::StepEnds { step, outcome: &outcome });
                match &outcome {
                    Outcome::Done => ready.done(index),
                    Outcome::Failed(_) => {
                        let because = &step.id;
                        outcomes.extend(ready.failed(index).into_iter().map(|later| {
                            (plan.steps[later].id.clone(), Outcome::Skipped { because: because.clone() })
                        }));
                    }
                    Outcome::Interrupted | Outcome::Skipped { .. } => {}
                }
                outcomes.insert(step.id.clone(), outcome);
            }
        }
    }
    drop(running);
    // Every step without an outcome was interrupted or never began. (An acyclic plan leaves nothing else.)
    for step in &plan.steps {
        outcomes.entry(step.id.clone()).or_insert(Outcome::Interrupted);
    }
    Execution { report: Report { outcomes }, ledger: run.into_ledger() }
}

/// Tries a step until it is done, fails permanently, or has been tried often enough.
async fn step_to_its_end<F: Fleet, L: LedgerStore, M: Minter, C: Clock>(
    run: &Run<'_, F, L, M, C>,
    step: &Step,
    limits: &Limits,
    listener: &dyn Listener,
    interrupt: &Interrupt,
) -> Outcome {
    let mut attempt = 1;
    let mut delay = limits.first_delay;
    loop {
        let tried = tokio::select! {
            biased;
            tried = run.carry_out(&step.action) => tried,
            // Waiting changes nothing, so it may be interrupted in the middle.
            () = interrupt.reached(Urgency::Finish), if step.action.only_waits() => return Outcome::Interrupted,
        };
        let Err(error) = tried else { return Outcome::Done };
        let Some(passing) = error.passing().filter(|_| attempt < limits.attempts) else {
            return Outcome::Failed(failure(run, step, &error, attempt).await);
        };
        listener.hear(Event::StepWaits { step, attempt, error: passing, delay });
        sleep(delay).await;
        attempt += 1;
        delay = (delay * 2).min(limits.longest_delay);
    }
}

async fn failure<F: Fleet, L: LedgerStore, M: Minter, C: Clock>(
    run: &Run<'_, F, L, M, C>,
    step: &Step,
    error: &StepError,
    attempts: u32,
) -> Failure {
    let log =
        if error.is_explained_by_the_log() { run.log_of(&step.action, LOG_LINES).await } else { Vec::new() };
    Failure { causes: error.causes(), attempts, log }
}
