//! The eight properties, each a function of a seed: a cluster, its edits and its faults are derived from the
//! seed.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::PoisonError;

use fastrand::Rng;
use windlass_blueprint::Catalog;
use windlass_course::{Course, Desired, Goal};
use windlass_engine::{Conclusion, End};
use windlass_model::{
    CertSelector, ChosenSnapshot, Inventory, NodeName, Planning, Reissue, Report, Role, Snapshots,
};
use windlass_planner::audit;
use windlass_simulator::{Fault, FaultSchedule, Mischief, SimFleet, World};

use crate::draft::{Deploys, Draft, Era};
use crate::drive::{Driver, Ended, Guardrails, announced, desired_of, reported};
use crate::generate;
use crate::hosts::{self, Host};
use crate::{mishap, restoring};

/// The properties that windlass keeps for all generated clusters, edits and faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// P1: with finitely many faults the plan becomes empty within a limited number of rounds.
    Converges,
    /// P2: after that, planning again gives nothing; running a finished plan twice does no harm.
    Rests,
    /// P3: etcd keeps its majority and unavailable nodes stay within the limits, at every verb.
    NeverUnsafe,
    /// P4: nothing changes except in a step of that subject; `plan` is what `up` does.
    Honest,
    /// P5: equal inputs give equal plans; the order of nodes in the file changes nothing.
    Deterministic,
    /// P6: if the run is killed at any verb and started again, P1 to P3 still hold.
    CrashProof,
    /// P7: `up` then `remove` restores the first world, pulled images excepted.
    LeavesNoTrace,
    /// P8: the audit, written independently of the builder, agrees with every plan.
    Audited,
}

impl Property {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Converges,
        Self::Rests,
        Self::NeverUnsafe,
        Self::Honest,
        Self::Deterministic,
        Self::CrashProof,
        Self::LeavesNoTrace,
        Self::Audited,
    ];

    /// `P1` to `P8`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Converges => "P1",
            Self::Rests => "P2",
            Self::NeverUnsafe => "P3",
            Self::Honest => "P4",
            Self::Deterministic => "P5",
            Self::CrashProof => "P6",
            Self::LeavesNoTrace => "P7",
            Self::Audited => "P8",
        }
    }
}

impl FromStr for Property {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|property| property.label().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("`{text}` is no property: say P1 to P8"))
    }
}

/// How many runs of `up` may be needed after the last fault.
///
/// The first may still meet what the faults left half done; each repairs everything that it sees.
const UPS_UNTIL_CONVERGED: usize = 4;

/// The size of a property's run, for statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Plans made.
    pub plans: u64,
    /// Runs of windlass.
    pub runs: u64,
}

/// Checks a property for one seed.
///
/// # Errors
/// The property is violated; the text says how, with the story of the world.
pub fn check(property: Property, seed: u64, catalog: &'static Catalog) -> Result<Effort, String> {
    check_with(property, seed, catalog, Guardrails::default())
}

/// [`check`] with some guards off.
///
/// # Errors
/// As [`check`].
pub fn check_with(
    property: Property,
    seed: u64,
    catalog: &'static Catalog,
    guardrails: Guardrails,
) -> Result<Effort, String> {
    let mut life = Life::new(property, seed, catalog, guardrails);
    let outcome = match property {
        Property::Converges => life.converges(),
        Property::Rests => life.rests(),
        Property::NeverUnsafe => life.never_unsafe(),
        Property::Honest => life.honest(),
        Property::Deterministic => life.deterministic(),
        Property::CrashProof => life.crash_proof(),
        Property::LeavesNoTrace => life.leaves_no_trace(),
        Property::Audited => life.audited(),
    };
    let outcome = outcome.and_then(|()| match life.driver.complaints().first() {
        None => Ok(()),
        Some(complaint) => Err(complaint.clone()),
    });
    outcome.map(|()| life.effort()).map_err(|what| {
        format!(
            "{} seed {seed}: {what}\n{}\nwhat was done:\n  {}\n\ncluster.yml now:\n{}\nstory:\n{}",
            property.label(),
            life.driver.complaints_in_full().join("\n"),
            life.deeds.join("\n  "),
            life.draft.text(),
            life.driver.fleet.with(|world| world.story()),
        )
    })
}

/// The life of one cluster from a seed.
struct Life {
    rng: Rng,
    hosts_rng: Rng,
    /// Draws edits of the keys that encrypt Secrets: on its own, so that all else stays as it was.
    keys_rng: Rng,
    /// Draws snapshots and restores, likewise.
    restores_rng: Rng,
    /// A snapshot that may be restored later.
    kept: Option<ChosenSnapshot>,
    /// Whether the keys of cluster.yml are those of the API servers: one edit needs that of the one before.
    keys_are_settled: bool,
    catalog: &'static Catalog,
    draft: Draft,
    machines: usize,
    hosts: Vec<Host>,
    driver: Driver,
    deeds: Vec<String>,
    runs: u64,
    /// The machines that had a control plane when everything was last as desired: they hold the ledger.
    holders: BTreeSet<usize>,
}

impl Life {
    fn new(property: Property, seed: u64, catalog: &'static Catalog, guardrails: Guardrails) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(31).wrapping_add(property as u64));
        let draft = generate::cluster(&mut rng);
        let holders = draft.nodes.iter().filter(|node| node.control_plane).map(|node| node.machine).collect();
        let machines = draft.nodes.len() + rng.usize(0..=3);
        let mut world = World::bare(machines).seeded(seed);
        // Machines are generated independently of what happens to them.
        let mut hosts_rng = Rng::with_seed(seed.wrapping_mul(37).wrapping_add(property as u64));
        let keys_rng = Rng::with_seed(seed.wrapping_mul(41).wrapping_add(property as u64));
        let restores_rng = Rng::with_seed(seed.wrapping_mul(43).wrapping_add(property as u64));
        let mut hosts = hosts::hosts(&mut hosts_rng, machines);
        if draft.era == Era::OfToday {
            hosts = hosts.into_iter().map(Host::of_today).collect();
        }
        let mut deeds = Vec::new();
        for (host, machine) in hosts.iter().zip(1..) {
            host.changes(&mishap::node_name(machine)).for_each(|change| world.meddle(&change));
            if draft.deploys != Deploys::Nothing {
                let (fact, value) = ("pod_network".to_owned(), "false".to_owned());
                world.meddle(&Mischief::MachineChanged { node: mishap::node_name(machine), fact, value });
            }
            if !host.facts.is_empty() {
                deeds.push(format!("node-{machine} is {:?}", host.facts));
            }
        }
        let mut driver = Driver::new(SimFleet::new(world));
        driver.guardrails = guardrails;
        Self {
            rng,
            hosts_rng,
            keys_rng,
            restores_rng,
            kept: None,
            keys_are_settled: false,
            catalog,
            draft,
            machines,
            hosts,
            driver,
            deeds,
            runs: 0,
            holders,
        }
    }

    fn effort(&self) -> Effort {
        Effort { plans: *self.driver.planned.lock().unwrap_or_else(PoisonError::into_inner), runs: self.runs }
    }

    fn desired(&self) -> Result<Desired, String> {
        desired_of(&self.draft, self.catalog)
    }

    fn up(&mut self, schedule: FaultSchedule) -> Result<Ended, String> {
        self.runs += 1;
        let desired = self.desired()?;
        Ok(self.driver.run(&desired, &Goal::Converge, schedule))
    }

    /// About how many verbs a first bring-up takes.
    fn verbs(&self) -> u64 {
        self.draft.nodes.len() as u64 * 25 + 20
    }

    fn edit(&mut self) {
        let what = generate::edit(&mut self.draft, &mut self.rng, self.machines);
        self.deeds.push(format!("edit: {what}"));
        // An external etcd keeps its Secrets after `remove`, and nobody has their keys then.
        let may_encrypt = self.keys_are_settled && self.draft.external_etcd.is_none();
        if may_encrypt && self.keys_rng.u8(0..4) == 0 {
            self.keys_are_settled = false;
            self.draft.keys = self.draft.keys.edited(&mut self.keys_rng);
            self.deeds.push(format!("edit: keys {:?}", self.draft.keys));
        }
    }

    /// Whether cluster.yml still names a node that holds a copy of the ledger, or needs none.
    ///
    /// An operator who loses the ledger and removes every node with a copy of it from cluster.yml has lost
    /// the keys.
    fn may_lose_ledger(&self) -> bool {
        self.draft.nodes.iter().any(|node| node.control_plane && self.holders.contains(&node.machine))
    }

    fn trouble(&mut self, count: usize) -> FaultSchedule {
        let verbs = self.verbs();
        let mut schedule = mishap::schedule(&mut self.rng, &self.draft, verbs, count);
        if !self.may_lose_ledger() {
            schedule.at_verb.retain(|_, fault| *fault != Fault::LedgerLost);
        }
        self.deeds.push(format!("up with {:?}", schedule.at_verb));
        schedule
    }

    /// How many members of etcd may lose their data.
    fn expendable_members(&self) -> usize {
        self.members().len().saturating_sub(1) / 2
    }

    /// The machines that are to have a member of etcd.
    fn members(&self) -> BTreeSet<usize> {
        self.draft.nodes.iter().filter(|node| node.etcd).map(|node| node.machine).collect()
    }

    /// A few changes by hand of a cluster that is as desired.
    fn meddle(&mut self, count: usize, mut expendable: usize) {
        for _ in 0..count {
            let fault = mishap::mischief(&mut self.rng, &self.draft, &self.hosts, &mut expendable);
            if matches!(fault, Fault::LedgerLost | Fault::LedgerAged) && !self.may_lose_ledger() {
                continue;
            }
            self.deeds.push(format!("{fault:?}"));
            self.driver.fleet.with(|world| world.strike(&fault));
        }
        if self.hosts_rng.u8(0..6) == 0 {
            let drafted = &self.draft.nodes[self.hosts_rng.usize(0..self.draft.nodes.len())];
            let change = hosts::change(&mut self.hosts_rng, mishap::node_name(drafted.machine));
            self.deeds.push(format!("{change:?}"));
            self.driver.fleet.with(|world| world.meddle(&change));
        }
    }

    /// In some lives the new machines of cluster.yml are of another architecture, until the calm.
    fn try_another_architecture(&mut self) {
        if self.hosts_rng.u8(0..3) != 0 {
            return;
        }
        for drafted in &self.draft.nodes {
            let name = mishap::node_name(drafted.machine);
            if self.driver.fleet.with(|world| world.is_unused(&name)) {
                let change = hosts::with_architecture(name, "aarch64");
                self.deeds.push(format!("{change:?}"));
                self.driver.fleet.with(|world| world.meddle(&change));
            }
        }
    }

    /// All external faults end, and time passes.
    fn calm(&mut self) {
        let names: Vec<NodeName> = self.driver.fleet.with(|world| world.names().cloned().collect());
        self.driver.fleet.with(|world| {
            world.wait(1_100);
            world.strike(&Fault::EvictionsUnblocked);
            for node in names {
                world.strike(&Fault::PowerOn { node: node.clone() });
                world.strike(&Fault::Reconnected { node: node.clone() });
                world.strike(&Fault::SlowStart { node: node.clone(), factor: 1 });
                world.meddle(&hosts::with_architecture(node.clone(), hosts::ARCHITECTURE));
                if world.is_cordoned_by_hand(&node) {
                    world.strike(&Fault::ByHand(Mischief::Uncordoned { node }));
                }
            }
            world.wait(60);
        });
    }

    /// Runs `up` until everything is as desired.
    fn settle(&mut self) -> Result<(), String> {
        self.calm();
        self.deeds.push("calm, then up".to_owned());
        let mut last = String::new();
        for _ in 0..UPS_UNTIL_CONVERGED {
            match self.up(FaultSchedule::default())? {
                Ended::Concluded(conclusion) if conclusion.end == End::Converged => {
                    let holders = self.draft.nodes.iter().filter(|node| node.control_plane);
                    self.holders = holders.map(|node| node.machine).collect();
                    self.keys_are_settled = true;
                    return Ok(());
                }
                Ended::Concluded(conclusion) => {
                    last = in_words(&conclusion);
                    if conclusion.end == End::Refused {
                        break;
                    }
                }
                Ended::Taken(another) => return Err(format!("taken by {another:?}")),
                Ended::Died => "the ledger could not be read".clone_into(&mut last),
            }
        }
        Err(format!("did not converge: {last}"))
    }

    /// Edits, faults during runs, changes by hand; settled in between.
    fn live(&mut self, chapters: usize, faults: usize) -> Result<(), String> {
        let count = self.rng.usize(0..=faults);
        let schedule = self.trouble(count);
        self.up(schedule)?;
        self.settle()?;
        self.save_or_restore()?;
        for _ in 0..chapters {
            if self.rng.u8(0..3) == 0 {
                let count = self.rng.usize(1..=2);
                self.meddle(count, self.expendable_members());
            } else {
                self.edit();
                if self.rng.u8(0..4) == 0 {
                    self.edit_beside();
                }
                self.try_another_architecture();
            }
            let count = self.rng.usize(0..=faults);
            let schedule = self.trouble(count);
            self.up(schedule)?;
            self.settle()?;
            self.save_or_restore()?;
        }
        Ok(())
    }

    /// Now and then a snapshot is taken, and a later chapter ends with its restore.
    fn save_or_restore(&mut self) -> Result<(), String> {
        if self.draft.external_etcd.is_some() || self.restores_rng.bool() {
            return Ok(());
        }
        if let Some(snapshot) = self.kept.take() {
            return self.restore(snapshot);
        }
        let desired = self.desired()?;
        let members: Vec<&NodeName> =
            desired.ordinary().with_role(Role::Etcd).map(|(name, _)| name).collect();
        let node = members[self.restores_rng.usize(0..members.len())];
        self.deeds.push(format!("a snapshot on {node}"));
        let saved = restoring::save(&self.driver, &desired, node, &format!("kept-{}", self.deeds.len()))?;
        self.kept = restoring::chosen(node, &saved);
        Ok(())
    }

    /// etcd goes back to the snapshot, through faults and deaths; and the cluster is as desired again.
    fn restore(&mut self, snapshot: ChosenSnapshot) -> Result<(), String> {
        let desired = self.desired()?;
        let nodes = &desired.ordinary().nodes;
        if !nodes.get(&snapshot.node).is_some_and(|node| node.has(Role::Etcd)) {
            return Ok(());
        }
        self.deeds.push(format!("restore {} of {}", snapshot.name, snapshot.node));
        let goal = restoring::goal(snapshot);
        let (_, shown) = self.driver.look_and_plan(&desired, &goal)?;
        if shown.is_refused() {
            self.deeds.push("refused".to_owned());
            return Ok(());
        }
        let verbs = self.verbs();
        let mut schedule = match self.restores_rng.u8(0..3) {
            0 => FaultSchedule::default(),
            1 => mishap::death(&mut self.restores_rng, verbs),
            _ => mishap::schedule(&mut self.restores_rng, &self.draft, verbs, 2),
        };
        if !self.may_lose_ledger() {
            schedule.at_verb.retain(|_, fault| *fault != Fault::LedgerLost);
        }
        self.deeds.push(format!("with {:?}", schedule.at_verb));
        self.driver.run(&desired, &goal, schedule);
        self.calm();
        self.deeds.push("calm, then the same restore".to_owned());
        let mut last = String::new();
        for _ in 0..UPS_UNTIL_CONVERGED {
            match self.driver.run(&desired, &goal, FaultSchedule::default()) {
                // A node that has left since comes back with its object, which is held until Kubernetes misses it.
                Ended::Concluded(conclusion) if matches!(conclusion.end, End::Converged | End::Held) => {
                    let living = self.driver.fleet.with(|world| world.living_clusters());
                    if living != 1 {
                        return Err(format!("{living} clusters of etcd live"));
                    }
                    return self.settle();
                }
                Ended::Concluded(conclusion) => last = in_words(&conclusion),
                ended => last = format!("{ended:?}"),
            }
        }
        Err(format!("the restore did not end: {last}"))
    }

    /// A second edit at once, but never two upgrades.
    fn edit_beside(&mut self) {
        let minor = self.draft.minor;
        self.edit();
        self.draft.minor = minor.max(self.draft.minor.min(minor));
    }

    fn converges(&mut self) -> Result<(), String> {
        let chapters = self.rng.usize(1..=3);
        self.live(chapters, 4)
    }

    fn rests(&mut self) -> Result<(), String> {
        self.live(1, 2)?;
        self.rest()?;
        self.edit();
        let desired = self.desired()?;
        self.driver.run(&desired, &Goal::Converge, FaultSchedule::default());
        let plans: Vec<Planning> = self.driver.plans.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.settle()?;
        self.rest()?;
        if let Some(planning) = plans.last() {
            self.deeds.push("the last plan once more".to_owned());
            self.driver.carry_out(&desired, &planning.plan);
            self.settle()?;
            self.rest()?;
        }
        Ok(())
    }

    /// Planning again gives nothing.
    fn rest(&mut self) -> Result<(), String> {
        let desired = self.desired()?;
        let (_, planning) = self.driver.look_and_plan(&desired, &Goal::Converge)?;
        if planning.plan.is_empty() && !planning.is_held() {
            return Ok(());
        }
        let steps: Vec<String> =
            planning.plan.steps.iter().map(|step| format!("{} {}", step.id, step.reasons[0])).collect();
        Err(format!("planning again gives steps: {} {:?}", steps.join(", "), planning.findings))
    }

    fn never_unsafe(&mut self) -> Result<(), String> {
        let chapters = self.rng.usize(1..=3);
        self.live(chapters, 8)
    }

    fn honest(&mut self) -> Result<(), String> {
        self.live(0, 1)?;
        for _ in 0..2 {
            let expendable = self.expendable_members();
            let members = self.members();
            // Several things at once, as they come: one alone hardly ever takes a second round.
            for _ in 0..self.rng.usize(1..=3) {
                self.edit();
            }
            // Where those that stay are no majority of etcd's members, nothing else happens to it: a person waits until it has
            // moved. A member that leaves gets no new certificate, say, and may be needed.
            let stay = self.members().intersection(&members).count();
            let moves = stay * 2 <= members.len();
            let by_hand = if moves && !members.is_empty() { 0 } else { self.rng.usize(0..=2) };
            self.meddle(by_hand, expendable.min(self.expendable_members()));
            // What was done by hand has shown by then: two looks at a world that is changing differ.
            self.driver.fleet.with(|world| world.wait(60));
            let goal = match self.rng.u8(0..10) {
                0 => Goal::Reissue(Reissue { which: CertSelector::All, ..Reissue::default() }),
                1 => Goal::Dismantle(Snapshots::Keep),
                _ => Goal::Converge,
            };
            self.deeds.push(format!("{goal:?}"));
            self.does_as_shown(&goal)?;
            if matches!(goal, Goal::Dismantle(_)) {
                return Ok(());
            }
            self.settle()?;
        }
        Ok(())
    }

    /// `plan` changes nothing; what it shows is what is done; and each later round does what the first plan announces.
    fn does_as_shown(&mut self, goal: &Goal) -> Result<(), String> {
        let desired = self.desired()?;
        let before = self.driver.fleet.with(|world| world.fingerprint());
        let (_, shown) = self.driver.look_and_plan(&desired, goal)?;
        if before != self.driver.fleet.with(|world| world.fingerprint()) {
            return Err("`plan` changed the world".to_owned());
        }
        self.runs += 1;
        let ended = self.driver.run(&desired, goal, FaultSchedule::default());
        let plans = self.driver.plans.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let done = plans.first().cloned().unwrap_or_default();
        if skeleton(&shown) != skeleton(&done) {
            return Err(format!(
                "`plan` showed {:?} and {goal:?} did {:?}",
                skeleton(&shown),
                skeleton(&done)
            ));
        }
        if let Ended::Concluded(conclusion) = ended {
            self.deeds.push(format!("{} rounds", conclusion.reports.len()));
            // What a rotation holds at first it may do later: it holds more than it must.
            let holds_more = matches!(goal, Goal::Reissue(_));
            if !holds_more && conclusion.reports.iter().all(Report::is_complete) {
                announced(&plans, &conclusion)?;
            }
        }
        Ok(())
    }

    fn deterministic(&mut self) -> Result<(), String> {
        let count = self.rng.usize(0..=3);
        let schedule = self.trouble(count);
        self.up(schedule)?;
        if self.rng.bool() {
            self.settle()?;
            self.meddle(2, self.expendable_members());
        }
        self.edit();
        let desired = self.desired()?;
        let (seen, shown) = self.driver.look_and_plan(&desired, &Goal::Converge)?;
        let again = |desired: &Desired| Course::new(desired, Goal::Converge).plan(&seen);
        if again(&desired) != shown {
            return Err("two plans of equal inputs differ".to_owned());
        }
        self.rng.shuffle(&mut self.draft.nodes);
        let shuffled = self.desired()?;
        let other = again(&shuffled);
        if without_origins(&shown) != without_origins(&other) {
            return Err("another order of nodes gives another plan".to_owned());
        }
        Ok(())
    }

    fn crash_proof(&mut self) -> Result<(), String> {
        let chapters = self.rng.usize(1..=3);
        for chapter in 0..chapters {
            if chapter > 0 {
                self.edit();
            }
            for _ in 0..self.rng.usize(1..=3) {
                let verbs = self.verbs();
                let mut schedule = mishap::death(&mut self.rng, verbs);
                if self.rng.u8(0..3) == 0 {
                    schedule.at_verb.extend(self.trouble(1).at_verb);
                }
                self.deeds.push(format!("up with {:?}", schedule.at_verb));
                self.up(schedule)?;
                match self.rng.u8(0..4) {
                    0 if self.may_lose_ledger() => self.strike(&Fault::LedgerLost),
                    1 if self.may_lose_ledger() => self.strike(&Fault::LedgerAged),
                    _ => {}
                }
            }
            self.settle()?;
            self.rest()?;
            self.save_or_restore()?;
        }
        Ok(())
    }

    fn strike(&mut self, fault: &Fault) {
        self.deeds.push(format!("{fault:?}"));
        self.driver.fleet.with(|world| world.strike(fault));
    }

    fn leaves_no_trace(&mut self) -> Result<(), String> {
        let before = self.driver.fleet.with(|world| world.fingerprint());
        let chapters = self.rng.usize(0..=2);
        self.live(chapters, 2)?;
        let desired = self.desired()?;
        let dismantle = Goal::Dismantle(Snapshots::Keep);
        if self.rng.bool() {
            let verbs = self.verbs() / 2;
            let schedule = mishap::death(&mut self.rng, verbs);
            self.deeds.push(format!("remove with {:?}", schedule.at_verb));
            self.driver.run(&desired, &dismantle, schedule);
            if self.rng.bool() {
                self.strike(&Fault::LedgerLost);
            }
        }
        self.calm();
        self.deeds.push("remove".to_owned());
        for _ in 0..2 {
            if self.driver.run(&desired, &dismantle, FaultSchedule::default()).is_converged() {
                break;
            }
        }
        let mut after = self.driver.fleet.with(|world| world.fingerprint());
        // The former data of a member on a node that has left is kept for its owner.
        let here: Vec<NodeName> = desired.ordinary().nodes.keys().cloned().collect();
        for (node, lines) in &mut after.nodes {
            lines.retain(|line| here.contains(node) || !line.contains(" moved aside "));
        }
        if before != after {
            let left: Vec<String> = after
                .nodes
                .iter()
                .flat_map(|(node, lines)| lines.iter().map(move |line| format!("{node}: {line}")))
                .collect();
            return Err(format!("left behind: {}", left.join(", ")));
        }
        if self.driver.fleet.with(|world| world.ledger().is_some()) {
            return Err("the ledger was left behind".to_owned());
        }
        let (_, planning) = self.driver.look_and_plan(&desired, &dismantle)?;
        if !planning.plan.is_empty() {
            return Err(format!("a second `remove` has {:?}", skeleton(&planning)));
        }
        if self.rng.u8(0..3) == 0 {
            self.settle()?;
        }
        Ok(())
    }

    fn audited(&mut self) -> Result<(), String> {
        let count = self.rng.usize(0..=3);
        let schedule = self.trouble(count);
        self.up(schedule)?;
        for _ in 0..6 {
            if self.rng.bool() {
                self.edit();
            }
            let schedule = self.trouble(1);
            // Nothing is settled here, so it is unknown where copies of the ledger are.
            for fault in schedule.at_verb.values().filter(|fault| **fault != Fault::LedgerLost) {
                self.driver.fleet.with(|world| world.strike(fault));
            }
            let desired = self.desired()?;
            let (seen, planning) = self.driver.look_and_plan(&desired, &Goal::Converge)?;
            Self::complain_of(&desired, &seen, &planning)?;
            if self.rng.u8(0..3) == 0 {
                self.driver.fleet.with(|world| world.wait(30));
                let schedule = self.trouble(2);
                self.up(schedule)?;
            }
        }
        Ok(())
    }

    fn complain_of(desired: &Desired, seen: &Inventory, planning: &Planning) -> Result<(), String> {
        let intent = Course::new(desired, Goal::Converge).intent_for(seen);
        match audit(&intent, seen, planning).first() {
            None => Ok(()),
            Some(fault) => Err(format!("audit: {fault}")),
        }
    }
}

/// How a run ended, with its findings and failures, and what was seen at last.
fn in_words(conclusion: &Conclusion) -> String {
    let findings = conclusion.planning.findings.iter();
    let findings: Vec<String> =
        findings.map(|finding| format!("{} {}: {}", finding.weight, finding.about, finding.what())).collect();
    let failures = conclusion.reports.iter().flat_map(Report::failures);
    let failures: Vec<String> = failures.map(|(id, failure)| format!("{id}: {:?}", failure.causes)).collect();
    let seen = conclusion.inventory.as_ref();
    let seen = seen.map(|seen| reported(seen, &conclusion.planning)).unwrap_or_default();
    format!("{:?}\n  {}\n  {}\n{seen}", conclusion.end, findings.join("\n  "), failures.join("\n  "))
}

/// The addresses of a plan's steps, and the order among them.
fn skeleton(planning: &Planning) -> Vec<String> {
    let steps = &planning.plan.steps;
    steps
        .iter()
        .map(|step| step.id.to_string())
        .chain(
            planning
                .plan
                .edges
                .iter()
                .map(|edge| format!("{} → {}", steps[edge.before].id, steps[edge.after].id)),
        )
        .collect()
}

fn without_origins(planning: &Planning) -> Planning {
    let mut planning = planning.clone();
    for step in &mut planning.plan.steps {
        step.origins.clear();
        if let windlass_model::Action::WriteFiles { files, .. } = &mut step.action {
            for file in files.values_mut() {
                file.origin = None;
            }
        }
    }
    for finding in &mut planning.findings {
        finding.origin = None;
    }
    planning.findings.sort();
    planning
}
