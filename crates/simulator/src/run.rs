//! One run of windlass in the world: its rules, its faults, its verbs one after another.

use std::collections::{BTreeMap, BTreeSet};

use tokio::runtime;
use tokio::time::Instant;
use windlass_engine::{PortError, PortResult};
use windlass_model::{Action, Blueprint, FilePath, NodeName, Restore, Role, Step, StepId};

use crate::faults::{Fault, FaultSchedule, How, When};
use crate::invariants::{Deed, Violation};
use crate::story::{End, Object, Story};
use crate::world::{World, lasting};

/// What the blueprint allows windlass to do to live nodes, in the form that the invariants need.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RolloutRules {
    /// The nodes that are to be workers.
    pub workers: BTreeSet<NodeName>,
    /// The nodes that are to have a member of etcd.
    pub etcds: BTreeSet<NodeName>,
    /// The nodes that are to have an API server.
    pub controlplanes: BTreeSet<NodeName>,
    /// How many workers may be unavailable at once.
    pub max_unavailable_worker: usize,
    /// How many API servers may be unavailable at once.
    pub max_unavailable_controlplane: usize,
    /// Whether the cluster is to be removed: then availability does not matter.
    pub dismantling: bool,
    /// Whether etcd is restored from a snapshot: then it stops, and the API servers with it, once every
    /// member's node is ready.
    pub restoring: bool,
    /// The machines that are gone for good according to the operator: their data counts no more.
    pub gone: BTreeSet<NodeName>,
    /// Whether every change must belong to a step that has begun; needs [`crate::SimFleet`] as a listener.
    pub honest: bool,
}

impl RolloutRules {
    /// The rules of this blueprint, with every change in a step.
    pub fn of(blueprint: &Blueprint) -> Self {
        let with = |role| blueprint.with_role(role).map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
        let (workers, controlplanes) = (with(Role::Worker), with(Role::ControlPlane));
        Self {
            max_unavailable_worker: blueprint.rollout.max_unavailable_worker.of(workers.len()),
            max_unavailable_controlplane: blueprint
                .rollout
                .max_unavailable_controlplane
                .of(controlplanes.len()),
            workers,
            etcds: with(Role::Etcd),
            controlplanes,
            dismantling: false,
            restoring: false,
            gone: BTreeSet::new(),
            honest: true,
        }
    }

    /// The rules of a run that restores etcd of this blueprint from a snapshot: on all members, or on the one that
    /// goes on alone.
    pub fn restore(blueprint: &Blueprint, restore: &Restore) -> Self {
        let all = Self::of(blueprint);
        let etcds = match &restore.recovery {
            None => all.etcds.clone(),
            Some(recovery) => BTreeSet::from([recovery.node.clone()]),
        };
        Self { restoring: true, gone: restore.gone.clone(), etcds, ..all }
    }

    /// The rules of a run that removes the cluster.
    pub fn dismantle() -> Self {
        Self { dismantling: true, honest: true, ..Self::default() }
    }
}

/// The state of the present run; it is not stored with the world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) rules: RolloutRules,
    pub(crate) schedule: FaultSchedule,
    pub(crate) enrolled: BTreeMap<NodeName, Option<usize>>,
    /// Whether windlass has passed on the keys of etcd and Kubernetes.
    pub(crate) entrusted: bool,
    pub(crate) verbs: u64,
    pub(crate) story: Story,
    pub(crate) violations: Vec<Violation>,
    pub(crate) active: BTreeMap<StepId, Action>,
    pub(crate) operator: Operator,
    pub(crate) last_blow: Option<u64>,
    /// The last time at which a worker began to be reported as not ready.
    pub(crate) last_darkening: Option<u64>,
    /// Where copies of the ledger may be, by the scopes of looks.
    pub(crate) ledger_paths: BTreeSet<FilePath>,
    pub(crate) workers_seen: BTreeSet<usize>,
    pub(crate) apis_seen: BTreeSet<usize>,
    /// The machines that this run has looked at.
    pub(crate) machines_seen: BTreeSet<usize>,
    pub(crate) reborn: BTreeSet<u64>,
    /// Which API server cannot read Secrets of which key: its machine, and since when it runs.
    pub(crate) unreadable: BTreeSet<(usize, u64, String)>,
    /// The ciphers with which Secrets are stored although the ledger denies it, and which are reported.
    pub(crate) unnoted: BTreeSet<String>,
    /// A moment of a runtime's clock, and the world's time at it.
    pub(crate) anchor: Option<(runtime::Id, Instant, u64)>,
}

/// Whether the machine on which windlass runs is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Operator {
    #[default]
    Alive,
    Dead,
}

/// A verb as it is asked for.
#[derive(Debug)]
pub(crate) struct Verb<'a> {
    pub(crate) node: Option<&'a NodeName>,
    pub(crate) word: &'static str,
    pub(crate) object: Object,
    pub(crate) deed: Deed<'a>,
}

/// The result of a verb.
pub(crate) enum Outcome<T> {
    Returned(PortResult<T>),
    /// Nobody is left to receive it.
    OperatorDied,
}

impl World {
    /// Begins a run: verbs and faults are counted from one again, no node is enrolled, the story continues.
    pub fn begin_run(&mut self, rules: RolloutRules, schedule: FaultSchedule) {
        let run = &mut self.run;
        run.rules = rules;
        run.schedule = schedule;
        run.enrolled.clear();
        run.entrusted = false;
        run.verbs = 0;
        run.active.clear();
        run.machines_seen.clear();
        run.operator = Operator::Alive;
        run.story.note(self.now, "a run begins");
        let keep = |nodes: &BTreeSet<NodeName>, world: &Self| {
            nodes.iter().filter_map(|node| world.index.get(node).copied()).collect::<BTreeSet<usize>>()
        };
        let workers = keep(&self.run.rules.workers, self);
        let controlplanes = keep(&self.run.rules.controlplanes, self);
        self.run.workers_seen.retain(|machine| workers.contains(machine));
        self.run.apis_seen.retain(|machine| controlplanes.contains(machine));
        self.touch();
        self.settle(self.now);
    }

    /// The story so far: one line for each verb, with time, number, node, verb, object and result.
    pub fn story(&self) -> String {
        self.run.story.to_string()
    }

    /// Clears the story so far.
    pub fn clear_story(&mut self) {
        self.run.story.clear();
    }

    /// What windlass did and must not do.
    pub fn violations(&self) -> &[Violation] {
        &self.run.violations
    }

    /// How many verbs the present run has asked for.
    pub fn verbs(&self) -> u64 {
        self.run.verbs
    }

    /// Whether the machine on which windlass ran has died in this run.
    pub fn has_operator_died(&self) -> bool {
        self.run.operator == Operator::Dead
    }

    /// A step begins: its changes are allowed from now on.
    pub fn step_begins(&mut self, step: &Step) {
        self.run.story.step(self.now, &step.id, None);
        self.run.active.insert(step.id.clone(), step.action.clone());
    }

    /// A step has ended.
    pub fn step_ends(&mut self, step: &Step, how: &'static str) {
        self.run.story.step(self.now, &step.id, Some(how));
        self.run.active.remove(&step.id);
    }

    /// Lets time pass without any action.
    pub fn wait(&mut self, seconds: u64) {
        self.settle(self.now + seconds * 1_000);
        self.run.anchor = None;
    }

    /// The clock of the run's runtime, in this world's milliseconds.
    pub(crate) fn catch_up(&mut self) {
        let Ok(runtime) = runtime::Handle::try_current().map(|handle| handle.id()) else { return };
        let instant = Instant::now();
        // Clocks of two runtimes are unrelated.
        let (_, anchor, at) = match self.run.anchor {
            Some(known @ (id, ..)) if id == runtime => known,
            _ => *self.run.anchor.insert((runtime, instant, self.now)),
        };
        let passed = u64::try_from(instant.saturating_duration_since(anchor).as_millis()).unwrap_or(u64::MAX);
        self.settle(at.saturating_add(passed).max(self.now));
    }

    /// A verb begins: its number, and how long it takes in milliseconds; none if the operator's machine is
    /// dead.
    pub(crate) fn begin_verb(&mut self, verb: &Verb<'_>) -> Option<(u64, u64)> {
        self.catch_up();
        if self.run.operator == Operator::Dead {
            return None;
        }
        self.run.verbs += 1;
        let number = self.run.verbs;
        let machine = verb.node.and_then(|node| self.machine_of(node));
        let pace = &self.pace;
        let usual = match &verb.deed {
            _ if verb.deed.is_on_a_machine() && machine.is_some_and(|m| !self.is_in_sight(m)) => {
                pace.out_of_sight
            }
            Deed::Pull { image } => {
                let is_there = machine.is_some_and(|machine| self.nodes[machine].images.contains(*image));
                if is_there { pace.question } else { pace.pull }
            }
            Deed::Stop { .. } => pace.stop,
            Deed::Create { .. }
            | Deed::Start { .. }
            | Deed::Rename { .. }
            | Deed::Remove { .. }
            | Deed::Reload { .. }
            | Deed::SetKernel { .. }
            | Deed::RemovePods => pace.docker,
            Deed::SaveSnapshot
            | Deed::StageSnapshot { .. }
            | Deed::RestoreMember { .. }
            | Deed::Defragment => pace.pull,
            Deed::PutFiles { .. }
            | Deed::HandOver { .. }
            | Deed::RemovePaths { .. }
            | Deed::MoveAside { .. } => pace.files,
            Deed::AddLearner { .. }
            | Deed::Promote { .. }
            | Deed::RemoveMember { .. }
            | Deed::MoveLeader
            | Deed::CareForEtcd
            | Deed::Cordon
            | Deed::Uncordon
            | Deed::Evict { .. }
            | Deed::PatchNode
            | Deed::ChangeObject
            | Deed::RewriteSecrets
            | Deed::KeepRoots { .. }
            | Deed::DeleteNode => pace.api,
            Deed::Ask | Deed::AskApi | Deed::Mint { .. } | Deed::Commit { .. } | Deed::DeleteLedger => {
                pace.question
            }
        };
        Some((number, (usual / 2 + spread(self.seed, number) % usual.max(1)).max(1)))
    }

    /// The time of a verb has come: faults strike, it takes effect, and the invariants are checked.
    pub(crate) fn finish_verb<T>(
        &mut self,
        number: u64,
        verb: Verb<'_>,
        effect: impl FnOnce(&mut Self) -> PortResult<T>,
    ) -> Outcome<T> {
        self.catch_up();
        if self.run.operator == Operator::Dead {
            // What was running when the operator's machine died takes effect or is lost: one of every two.
            let arrives = verb.deed.is_remote() && spread(self.seed, number).is_multiple_of(2);
            if arrives && self.reach(&verb).and_then(|()| self.do_under_watch(&verb, effect)).is_ok() {
                self.tell(number, verb, End::Arrived);
            }
            return Outcome::OperatorDied;
        }
        let mut after = None;
        match self.run.schedule.at_verb.remove(&number) {
            Some(Fault::OperatorDies { when: When::Before }) => return self.die(number, verb),
            Some(Fault::Fails { when: When::Before, how }) => {
                let error = how.error();
                self.tell(number, verb, End::Badly(error.clone()));
                return Outcome::Returned(Err(error));
            }
            Some(fault @ (Fault::OperatorDies { .. } | Fault::Fails { .. })) => after = Some(fault),
            Some(fault) => self.strike(&fault),
            None => {}
        }
        let result = self.reach(&verb).and_then(|()| self.do_under_watch(&verb, effect));
        match (after, result) {
            (Some(Fault::OperatorDies { .. }), _) => self.die(number, verb),
            (Some(Fault::Fails { how, .. }), Ok(_)) => {
                let error = how.error();
                self.tell(number, verb, End::Denied(error.clone()));
                Outcome::Returned(Err(error))
            }
            (_, Ok(value)) => {
                self.tell(number, verb, End::Well);
                Outcome::Returned(Ok(value))
            }
            (_, Err(error)) => {
                self.tell(number, verb, End::Badly(error.clone()));
                Outcome::Returned(Err(error))
            }
        }
    }

    fn tell(&mut self, number: u64, verb: Verb<'_>, end: End) {
        self.run.story.tell(self.now, number, verb.node, verb.word, verb.object, end);
    }

    fn die<T>(&mut self, number: u64, verb: Verb<'_>) -> Outcome<T> {
        self.run.operator = Operator::Dead;
        self.tell(number, verb, End::OperatorDied);
        Outcome::OperatorDied
    }

    /// Whether windlass has the keys, or reaches the machine, for a verb.
    fn reach(&self, verb: &Verb<'_>) -> PortResult<()> {
        if verb.deed.is_on_an_api() && !self.run.entrusted {
            return Err(lasting("nobody has handed over the keys of etcd and Kubernetes"));
        }
        let (Some(node), true) = (verb.node, verb.deed.is_on_a_machine()) else { return Ok(()) };
        match self.run.enrolled.get(node) {
            None => Err(lasting(format!("{node} was never enrolled"))),
            Some(None) => {
                Err(PortError::OutOfSight { node: node.clone(), cause: "no route to host".to_owned() })
            }
            Some(Some(machine)) if !self.is_in_sight(*machine) => {
                Err(PortError::OutOfSight { node: node.clone(), cause: "connection timed out".to_owned() })
            }
            Some(Some(_)) => Ok(()),
        }
    }
}

impl How {
    fn error(self) -> PortError {
        match self {
            Self::Passing => PortError::Passing { what: "connection reset by peer".to_owned() },
            Self::Lasting => PortError::Lasting { what: "input/output error".to_owned() },
        }
    }
}

/// A number that looks random and is the same for the same seed and verb (`SplitMix64`).
fn spread(seed: u64, number: u64) -> u64 {
    let mut mixed = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
