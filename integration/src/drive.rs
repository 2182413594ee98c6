//! One run of windlass in a simulated world: the same loop that the binary runs.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use windlass_blueprint::Catalog;
use windlass_course::{Course, Desired, Goal};
use windlass_engine::{
    AnotherRun, Clock, Conclusion, End, GuardSwitch, NotConverged, Options, Ports, Recover, converge,
    observe_and_plan,
};
use windlass_model::{
    Cause, Finding, Inventory, NodeName, Plan, Planning, Reissue, Restore, Step, Timestamp, Waiting, Weight,
};
use windlass_planner::{Rules, audit, plan_by};
use windlass_render::Sight;
use windlass_simulator::{FaultSchedule, MemoryLedger, RolloutRules, SimClock, SimFleet, SymbolicMinter};

use crate::draft::Draft;

/// The validity of a leaf in days in simulated runs: shorter than its CA's, so that it can expire alone.
const LEAF_DAYS: u32 = 365;

/// Reads and resolves the text of a draft.
///
/// # Errors
/// The text is not accepted, with its problems: a fault of the generator or of windlass.
pub fn desired_of(draft: &Draft, catalog: &'static Catalog) -> Result<Desired, String> {
    desired(&draft.text(), catalog)
}

thread_local! {
    /// The text that was read last, and what came of it: a run asks for the same many times.
    static LATEST: RefCell<Option<(&'static Catalog, String, Desired)>> = const { RefCell::new(None) };
}

/// Reads and resolves the text of a cluster.yml.
///
/// # Errors
/// The text is not accepted, with its problems.
pub fn desired(text: &str, catalog: &'static Catalog) -> Result<Desired, String> {
    let known = LATEST.with_borrow(|latest| {
        let (of, known, desired) = latest.as_ref()?;
        (ptr::eq(*of, catalog) && known == text).then(|| desired.clone())
    });
    if let Some(desired) = known {
        return Ok(desired);
    }
    let desired = read(text, catalog)?;
    LATEST.set(Some((catalog, text.to_owned(), desired.clone())));
    Ok(desired)
}

fn read(text: &str, catalog: &'static Catalog) -> Result<Desired, String> {
    let reading = windlass_spec::read(text.as_bytes());
    let Some(spec) = reading.spec else {
        return Err(windlass_spec::render(&reading.diagnostics, "cluster.yml", text.as_bytes()));
    };
    let (desired, problems) = Desired::new(Arc::new(spec), catalog);
    desired.map(|desired| desired.with_leaf_days(LEAF_DAYS)).ok_or_else(|| format!("{problems:?}"))
}

/// The goal of a command that begins now: what it reissues was issued before.
fn beginning(goal: &Goal, now: Timestamp) -> Goal {
    match goal {
        Goal::Reissue(reissue) => Goal::Reissue(Reissue { issued_before: now, ..reissue.clone() }),
        Goal::Restore(restore) => Goal::Restore(Restore { asked_at: now, ..restore.clone() }),
        Goal::Converge | Goal::Dismantle(_) => goal.clone(),
    }
}

/// How windlass is run: all its rules and guards on, unless a test proves one necessary.
#[derive(Clone, Copy, Debug)]
pub struct Guardrails {
    /// The planner's rules.
    pub rules: Rules,
    /// Whether the engine checks guards immediately before a disruption.
    pub guards: GuardSwitch,
    /// Whether every plan is audited.
    pub audited: bool,
}

impl Default for Guardrails {
    fn default() -> Self {
        Self { rules: Rules::ALL, guards: GuardSwitch::On, audited: true }
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// windlass ended by itself.
    Concluded(Box<Conclusion>),
    /// Another run changes the cluster.
    Taken(AnotherRun),
    /// The machine on which it ran died.
    Died,
}

impl Ended {
    /// Whether everything is as desired.
    pub fn is_converged(&self) -> bool {
        matches!(self, Self::Concluded(conclusion) if conclusion.end == End::Converged)
    }
}

/// A world with windlass beside it, and all plans and violations.
#[derive(Debug)]
pub struct Driver {
    /// The world.
    pub fleet: SimFleet,
    /// How windlass is run.
    pub guardrails: Guardrails,
    /// The nodes that are gone for good according to the operator.
    pub gone: BTreeSet<NodeName>,
    /// The faults that the audit found in any plan.
    pub audit_faults: Mutex<Vec<String>>,
    /// The plans of the last run that were not empty.
    pub plans: Mutex<Vec<Planning>>,
    /// How many nodes were reachable when each of them was made.
    pub sights: Mutex<Vec<Sight>>,
    /// How many plans were made in all.
    pub planned: Mutex<u64>,
}

impl Driver {
    /// Takes the driver of this world.
    pub fn new(fleet: SimFleet) -> Self {
        Self {
            fleet,
            guardrails: Guardrails::default(),
            gone: BTreeSet::new(),
            audit_faults: Mutex::new(Vec::new()),
            plans: Mutex::new(Vec::new()),
            sights: Mutex::new(Vec::new()),
            planned: Mutex::new(0),
        }
    }

    fn plan(&self, course: &mut Course<'_>, seen: &Inventory) -> Planning {
        let intent = course.intent_for(seen);
        let rules = self.guardrails.rules;
        let planning = course.plan_by(seen, |intent, seen| plan_by(rules, intent, seen));
        if self.guardrails.audited {
            let faults = audit(&intent, seen, &planning);
            let mut kept = self.audit_faults.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.is_empty() && !faults.is_empty() {
                kept.extend(faults.into_iter().map(|fault| fault.0));
                kept.push(reported(seen, &planning));
            }
        }
        *self.planned.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        if !planning.plan.is_empty() {
            self.plans.lock().unwrap_or_else(PoisonError::into_inner).push(planning.clone());
            self.sights.lock().unwrap_or_else(PoisonError::into_inner).push(Sight::of(seen));
        }
        planning
    }

    /// Runs to the end, or until the machine dies.
    pub fn run(&self, desired: &Desired, goal: &Goal, schedule: FaultSchedule) -> Ended {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.sights.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let rules = match goal {
            Goal::Converge | Goal::Reissue(_) => RolloutRules::of(desired.ordinary()),
            Goal::Restore(restore) => RolloutRules::restore(desired.ordinary(), restore),
            Goal::Dismantle(_) => RolloutRules::dismantle(),
        };
        self.fleet.begin_run(rules, schedule);
        let ledger = MemoryLedger::new(&self.fleet);
        let minter = SymbolicMinter::new(&self.fleet);
        let clock = SimClock::new(&self.fleet);
        let mut course = Course::new(desired, beginning(goal, clock.now())).with_gone(&self.gone);
        let assignment = course.assignment();
        let mut options = Options { holder: Some("up".to_owned()), ..Options::default() };
        options.limits.guards = self.guardrails.guards;
        let interrupt = windlass_engine::Interrupt::default();
        windlass_simulator::run(async {
            let ports = Ports { fleet: &self.fleet, ledger: &ledger, minter: &minter, clock: &clock };
            let plan = |seen: &Inventory| self.plan(&mut course, seen);
            tokio::select! {
                biased;
                () = self.fleet.died() => Ended::Died,
                ended = converge(&ports, &assignment, plan, &options, &self.fleet, &interrupt) => {
                    match ended {
                        Ok(conclusion) => Ended::Concluded(Box::new(conclusion)),
                        Err(NotConverged::Taken(another)) => Ended::Taken(another),
                        Err(NotConverged::Look(_)) => Ended::Died,
                    }
                }
            }
        })
    }

    /// Looks and plans, and does nothing.
    ///
    /// # Errors
    /// The look failed as a whole.
    pub fn look_and_plan(&self, desired: &Desired, goal: &Goal) -> Result<(Inventory, Planning), String> {
        self.fleet.begin_run(RolloutRules::of(desired.ordinary()), FaultSchedule::default());
        let ledger = MemoryLedger::new(&self.fleet);
        let minter = SymbolicMinter::new(&self.fleet);
        let clock = SimClock::new(&self.fleet);
        let mut course = Course::new(desired, beginning(goal, clock.now())).with_gone(&self.gone);
        let assignment = course.assignment();
        windlass_simulator::run(async {
            let ports = Ports { fleet: &self.fleet, ledger: &ledger, minter: &minter, clock: &clock };
            let plan = |seen: &Inventory| self.plan(&mut course, seen);
            let survey = observe_and_plan(&ports, &assignment, plan, &self.fleet, Recover::InMemory)
                .await
                .map_err(|error| error.to_string())?;
            Ok((survey.observation.inventory, survey.planning))
        })
    }

    /// Carries out a plan that was made earlier, whatever the state of the world is now.
    pub fn carry_out(&self, desired: &Desired, plan: &Plan) {
        let assignment = Course::new(desired, Goal::Converge).assignment();
        self.fleet.begin_run(RolloutRules::of(desired.ordinary()), FaultSchedule::default());
        let ledger = MemoryLedger::new(&self.fleet);
        let minter = SymbolicMinter::new(&self.fleet);
        let clock = SimClock::new(&self.fleet);
        let options = Options::default();
        windlass_simulator::run(async {
            let ports = Ports { fleet: &self.fleet, ledger: &ledger, minter: &minter, clock: &clock };
            let seen = windlass_engine::observe(&ports, &assignment, &self.fleet, Recover::AndKeep).await;
            if let Ok(seen) = seen {
                let interrupt = windlass_engine::Interrupt::default();
                windlass_engine::execute(
                    plan,
                    seen.ledger,
                    &ports,
                    &assignment,
                    &options.limits,
                    &self.fleet,
                    &interrupt,
                )
                .await;
            }
        });
    }

    /// What was seen and planned, for the analysis of a fault.
    #[doc(hidden)]
    pub fn complaints_in_full(&self) -> Vec<String> {
        self.audit_faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What windlass did and must not do, and what the audit found; empty if all is well.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints: Vec<String> =
            self.fleet.with(|world| world.violations().iter().map(ToString::to_string).collect());
        complaints.extend(
            self.audit_faults
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .map(|fault| format!("audit: {fault}")),
        );
        complaints
    }
}

/// A planning and its input, in short.
pub(crate) fn reported(seen: &Inventory, planning: &Planning) -> String {
    let mut text = String::from("planned:\n");
    for step in &planning.plan.steps {
        let _ = writeln!(text, "  {} because {}", step.id, step.reasons[0]);
    }
    for finding in &planning.findings {
        let _ = writeln!(text, "  {} {}: {}", finding.weight, finding.about, finding.what());
    }
    let _ = writeln!(text, "seen: {:?}", seen.etcd);
    for (name, node) in &seen.nodes {
        match node.facts() {
            None => {
                let _ = writeln!(text, "  {name} out of sight");
            }
            Some(facts) => {
                let containers: Vec<String> = facts
                    .containers
                    .iter()
                    .map(|(name, seen)| format!("{name} {:?}/{:?}", seen.state, seen.health))
                    .collect();
                let _ = writeln!(
                    text,
                    "  {name} etcd data {:?}, {:?}: {}",
                    facts.etcd_data,
                    seen.kube.node(name).map(|object| (object.ready, object.scheduling)),
                    containers.join(", ")
                );
            }
        }
    }
    let _ = writeln!(
        text,
        "ledger: {:?} serial {} born {:?}",
        seen.ledger.lineage, seen.ledger.serial, seen.ledger.born
    );
    text
}

/// Whether the first plan of a run contained or announced everything that later ones did, and the run left
/// nothing undone that was announced. This is true without faults: what breaks in the middle cannot be
/// announced.
pub(crate) fn announced(plans: &[Planning], conclusion: &Conclusion) -> Result<(), String> {
    let last = &conclusion.planning;
    if let Some(left) = last.findings.iter().find(|finding| finding.weight == Weight::Next) {
        return Err(format!("announced and left undone: {}: {}", left.about, left.what()));
    }
    // What is held at the end was held from the beginning.
    let was_next = |held: &&Finding| {
        let mut findings = plans.iter().flat_map(|planning| &planning.findings);
        let is_same = |next: &Finding| (&next.about, &next.cause) == (&held.about, &held.cause);
        held.weight == Weight::Held && findings.any(|next| next.weight == Weight::Next && is_same(next))
    };
    // Which nodes somebody cordoned, and which are not ready, only an API server says: a plan without one says that it does not
    // know the nodes, and what holds the rest is seen when it answers.
    let is_blind = |finding: &Finding| finding.cause == Cause::from(Waiting::NodeObjectsUnknown);
    let was_blind = plans.first().is_some_and(|first| first.findings.iter().any(is_blind));
    if let Some(held) = last.findings.iter().find(was_next).filter(|_| !was_blind) {
        return Err(format!(
            "announced for a later round, and held: {}: {}\n{}\nat first:\n{}",
            held.about,
            held.what(),
            findings_of(last),
            plans.first().map(findings_of).unwrap_or_default()
        ));
    }
    let Some((first, later)) = plans.split_first() else { return Ok(()) };
    let is_known = |step: &Step| first.announces(step) || first.plan.step(step.id.as_str()).is_some();
    for (round, planning) in (2..).zip(later) {
        if let Some(step) = planning.plan.steps.iter().find(|step| !step.only_supports() && !is_known(step)) {
            return Err(format!(
                "round {round} has {} ({}), which the first plan does not announce\n{}",
                step.id,
                step.reasons[0],
                findings_of(first)
            ));
        }
    }
    Ok(())
}

/// What was found, a line each.
fn findings_of(planning: &Planning) -> String {
    let lines = planning.findings.iter().map(|finding| {
        let Finding { weight, about, .. } = finding;
        format!("  {weight} {about}: {}", finding.what())
    });
    lines.collect::<Vec<_>>().join("\n")
}
