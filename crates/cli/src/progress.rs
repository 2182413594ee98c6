//! Prints progress while the engine works: a line for each step that begins and ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use windlass_engine::{Event, Listener};
use windlass_model::{Blueprint, Outcome, Plan, StepId};
use windlass_render::{PlanView, Sight, failure_in_a_line, plan, seconds};

use crate::printer::Printer;
use crate::source::{Source, position};

/// Prints the events that it gets, shows each plan before it is carried out, and remembers the plans.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    printer: &'a Printer,
    source: &'a Source,
    blueprint: Arc<Blueprint>,
    goal: &'a str,
    /// A plan that the operator has seen already.
    known: Option<Plan>,
    began: Instant,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    sight: Sight,
    running: BTreeMap<StepId, Instant>,
    plans: Vec<Plan>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(
        printer: &'a Printer,
        source: &'a Source,
        blueprint: Arc<Blueprint>,
        goal: &'a str,
        known: Option<Plan>,
    ) -> Self {
        Self { printer, source, blueprint, goal, known, began: Instant::now(), heard: Mutex::default() }
    }

    /// How long it has been listening.
    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.began.elapsed()
    }

    /// The plans that were to be carried out, first to last.
    pub(crate) fn plans(&self) -> Vec<Plan> {
        self.heard().plans.clone()
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, word: &str, what: &str) {
        self.printer.progress(&format!("{:>8}  {word:<7} {what}\n", seconds(self.elapsed())));
    }
}

impl Listener for Progress<'_> {
    fn hear(&self, event: Event<'_>) {
        let paint = self.printer.progress_paint;
        match event {
            Event::LookBegins { round: 1 } => self.say("look", "at all nodes"),
            Event::LookBegins { round } => self.say("look", &format!("again, after round {}", round - 1)),
            Event::Looked { inventory } => self.heard().sight = Sight::of(inventory),
            Event::LedgerRecovered { from, serial } => {
                self.say("ledger", &format!("brought back from {from} (serial {serial})"));
            }
            Event::Planned { round, planning } => {
                if planning.plan.is_empty() || planning.is_refused() {
                    return;
                }
                let mut heard = self.heard();
                let is_repeated = heard.plans.last() == Some(&planning.plan);
                let is_known = self.known.as_ref() == Some(&planning.plan);
                heard.plans.push(planning.plan.clone());
                if is_repeated {
                    self.printer.detail("what is left is the same plan\n\n");
                }
                if is_repeated || is_known {
                    return;
                }
                let title = if round == 1 { "plan".to_owned() } else { format!("plan of round {round}") };
                let places = self.source.places();
                let text = plan(&PlanView {
                    head: &title,
                    cluster: &self.blueprint.cluster,
                    planning,
                    sight: heard.sight,
                    detail: self.printer.plan_detail(),
                    goal: self.goal,
                    page: self.printer.page(&|path| position(path, &places), &self.source.short_name()),
                });
                self.printer.detail(&format!("{text}\n"));
            }
            Event::StepBegins { step } => {
                self.heard().running.insert(step.id.clone(), Instant::now());
                self.say("begins", step.id.as_str());
            }
            Event::StepWaits { step, attempt, error, delay } => {
                let again = seconds(delay);
                self.say("retries", &format!("{} in {again}, after attempt {attempt}: {error}", step.id));
            }
            Event::StepEnds { step, outcome } => {
                let began = self.heard().running.remove(&step.id);
                let took = began.map_or_else(String::new, |began| format!("  {}", seconds(began.elapsed())));
                match outcome {
                    Outcome::Done => self.say("done", &format!("{}{}", step.id, paint.faint(took))),
                    Outcome::Failed(failure) => {
                        let why = failure_in_a_line(failure);
                        self.say("failed", &paint.bad(format!("{}: {why}", step.id)));
                    }
                    Outcome::Skipped { because } => {
                        self.say("skipped", &format!("{} because of {because}", step.id));
                    }
                    Outcome::Interrupted => self.say("left", step.id.as_str()),
                }
            }
            Event::LeaseNotTaken { node, error } => {
                self.say("no lease", &format!("on {node}, so other runs are not kept away there: {error}"));
            }
            Event::LeasesLost => {
                self.say(
                    "stop",
                    "this run lost its leases, so another may begin; running steps are finished",
                );
            }
            Event::Interrupted => {
                self.say("stop", "running steps are finished; interrupt again to leave at once");
            }
        }
    }
}

/// Two listeners.
pub(crate) struct Both<'a>(pub(crate) &'a dyn Listener, pub(crate) &'a dyn Listener);

impl Listener for Both<'_> {
    fn hear(&self, event: Event<'_>) {
        let Self(one, other) = self;
        one.hear(event);
        other.hear(event);
    }
}
