//! The loop: look, plan, act, and look again, until nothing is left to do or nothing helps.

use windlass_model::{Action, End, Inventory, Ledger, Outcome, Plan, Planning, Report};

use crate::events::{Event, Listener};
use crate::execute::{Execution, execute};
use crate::interrupt::{Interrupt, Urgency};
use crate::lease::{self, AnotherRun, keepers};
use crate::limits::Limits;
use crate::observe::{FIRST_PATIENCE, Observation, PATIENCE_AFTER_STEPS, Recover, observe_patiently};
use crate::ports::{Assignment, Clock, Fleet, LedgerStore, Minter, PortError, PortResult, Ports};

/// How long the loop continues, and how much it does at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What other runs are shown of this one, while it has its leases; none takes no leases.
    pub holder: Option<String>,
    /// How much is done at once in a round, and how often a step is tried.
    pub limits: Limits,
    /// How many plans are carried out at most.
    pub max_rounds: u32,
    /// How often the same plan is carried out in a row, though some of its steps succeed each time.
    pub same_plan: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { holder: None, limits: Limits::default(), max_rounds: 20, same_plan: 3 }
    }
}

/// A look and the plan made from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// What was seen.
    pub observation: Observation,
    /// The plan and the findings.
    pub planning: Planning,
}

/// Why the loop did not begin, or could not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotConverged {
    /// The ledger cannot be read or recovered.
    #[error(transparent)]
    Look(#[from] PortError),
    /// Another run changes the cluster now.
    #[error("another windlass works on this cluster: {}", .0.holder)]
    Taken(AnotherRun),
}

/// How the loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// Why it ended.
    pub end: End,
    /// How many looks were taken.
    pub rounds: u32,
    /// The last planning; empty if the run was interrupted before the first.
    pub planning: Planning,
    /// The last inventory; none if the run was interrupted before the first look was taken.
    pub inventory: Option<Inventory>,
    /// The ledger, with its keys, as it is now.
    pub ledger: Option<Ledger>,
    /// The results of the plans, first to last.
    pub reports: Vec<Report>,
}

/// Looks once, and plans. Changes nothing but, with [`Recover::AndKeep`], the operator's ledger.
///
/// # Errors
/// The ledger cannot be read.
pub async fn observe_and_plan<F: Fleet, L: LedgerStore, M: Minter, C: Clock>(
    ports: &Ports<'_, F, L, M, C>,
    assignment: &Assignment,
    mut plan: impl FnMut(&Inventory) -> Planning,
    listener: &dyn Listener,
    recover: Recover,
) -> PortResult<Survey> {
    survey(ports, assignment, &mut plan, listener, recover, 1).await
}

async fn survey<F: Fleet, L: LedgerStore, M: Minter, C: Clock>(
    ports: &Ports<'_, F, L, M, C>,
    assignment: &Assignment,
    plan: &mut impl FnMut(&Inventory) -> Planning,
    listener: &dyn Listener,
    recover: Recover,
    round: u32,
) -> PortResult<Survey> {
    listener.hear(Event::LookBegins { round });
    let patience = if round == 1 { FIRST_PATIENCE } else { PATIENCE_AFTER_STEPS };
    let observation = observe_patiently(ports, assignment, listener, recover, patience).await?;
    listener.hear(Event::Looked { inventory: &observation.inventory });
    let planning = plan(&observation.inventory);
    listener.hear(Event::Planned { round, planning: &planning });
    Ok(Survey { observation, planning })
}

/// Looks, plans and acts until the plan is empty, or continuing does not help.
///
/// *Guarantees*: no part of a refused planning is ever carried out, and none while another run has a lease on
/// a control-plane node that this one reaches. What was done is remembered only to notice that the loop makes
/// no progress.
///
/// # Errors
/// The ledger cannot be read or recovered, or another run changes the cluster.
pub async fn converge<F: Fleet, L: LedgerStore, M: Minter, C: Clock>(
    ports: &Ports<'_, F, L, M, C>,
    assignment: &Assignment,
    plan: impl FnMut(&Inventory) -> Planning,
    options: &Options,
    listener: &dyn Listener,
    interrupt: &Interrupt,
) -> Result<Conclusion, NotConverged> {
    let conclusion = round_by_round(ports, assignment, plan, options, listener, interrupt).await;
    ports.fleet.end_leases().await;
    conclusion
}

async fn round_by_round<F: Fleet, L: LedgerStore, M: Minter, C: Clock>(
    ports: &Ports<'_, F, L, M, C>,
    assignment: &Assignment,
    mut plan: impl FnMut(&Inventory) -> Planning,
    options: &Options,
    listener: &dyn Listener,
    interrupt: &Interrupt,
) -> Result<Conclusion, NotConverged> {
    let Options { holder, limits, max_rounds, same_plan } = options;
    let mut holder = holder.as_deref();
    let mut conclusion = Conclusion {
        end: End::Interrupted,
        rounds: 0,
        planning: Planning::default(),
        inventory: None,
        ledger: None,
        reports: Vec::new(),
    };
    let mut progress = Progress::default();
    loop {
        let round = conclusion.rounds + 1;
        // A look changes nothing, so it may be interrupted in the middle.
        let survey = tokio::select! {
            biased;
            () = interrupt.reached(Urgency::Finish) => {
                listener.hear(Event::Interrupted);
                return Ok(conclusion);
            }
            survey = survey(ports, assignment, &mut plan, listener, Recover::AndKeep, round) => survey?,
        };
        let Survey { observation: Observation { inventory, ledger }, planning } = survey;
        conclusion.rounds = round;
        let keepers = keepers(assignment, &inventory, &planning);
        conclusion.inventory = Some(inventory);
        conclusion.planning = planning;
        conclusion.ledger.clone_from(&ledger);
        let failed = conclusion.reports.last().is_some_and(|report| report.failures().next().is_some());
        let in_vain = if failed { End::Failed } else { End::StoodStill };
        if let Some(end) = end_of(&conclusion.planning) {
            conclusion.end = end;
            return Ok(conclusion);
        }
        if round > *max_rounds || progress.stands_still(&conclusion.planning.plan, *same_plan) {
            conclusion.end = in_vain;
            return Ok(conclusion);
        }
        if let Some(holder) = holder.take() {
            lease::take(ports.fleet, &keepers, holder, listener).await.map_err(NotConverged::Taken)?;
        }
        let Execution { report, ledger } = tokio::select! {
            biased;
            never = lease::end_with_leases(ports.fleet, listener, interrupt) => match never {},
            execution = execute(&conclusion.planning.plan, ledger, ports, assignment, limits, listener, interrupt) => execution,
        };
        progress.note(&conclusion.planning.plan, &report);
        conclusion.ledger = ledger;
        conclusion.reports.push(report);
        if interrupt.urgency() != Urgency::None {
            conclusion.end = End::Interrupted;
            return Ok(conclusion);
        }
    }
}

/// How the loop ends with this planning, if no part of it is to be carried out.
fn end_of(planning: &Planning) -> Option<End> {
    if planning.is_refused() {
        Some(End::Refused)
    } else if !planning.plan.is_empty() {
        None
    } else if planning.is_held() {
        Some(End::Held)
    } else {
        Some(End::Converged)
    }
}

/// Whether a step changes anything permanently. A restart that has not helped once does not help twice.
fn brings_nearer(action: &Action) -> bool {
    !action.only_waits() && !matches!(action, Action::RestartContainer { .. })
}

/// What the last rounds achieved.
#[derive(Debug, Default)]
struct Progress {
    /// The plan of the last round.
    last: Option<Plan>,
    /// How many rounds in a row had that plan.
    in_a_row: u32,
    /// Whether a step of the last round succeeded that brings the cluster nearer to the desired state.
    changed: bool,
}

impl Progress {
    fn note(&mut self, plan: &Plan, report: &Report) {
        let is_same = self.last.as_ref().is_some_and(|last| plan.repeats(last));
        self.in_a_row = if is_same { self.in_a_row + 1 } else { 1 };
        self.changed = plan
            .steps
            .iter()
            .any(|step| brings_nearer(&step.action) && report.outcomes.get(&step.id) == Some(&Outcome::Done));
        if !is_same {
            self.last = Some(plan.clone());
        }
    }

    /// Whether carrying out this plan would only repeat what did not help.
    fn stands_still(&self, plan: &Plan, same_plan: u32) -> bool {
        self.last.as_ref().is_some_and(|last| plan.repeats(last))
            && (!self.changed || self.in_a_row >= same_plan)
    }
}
