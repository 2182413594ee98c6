//! Scenarios: texts that a reviewer can read, each run in a simulated world, with their whole output frozen.
//!
//! A scenario is read line by line; `#` begins a comment. The guide is `docs/guides/scenarios.md`.
//!
//! ```text
//! bare 5                                  machines node-1 … node-5; as many as nodes where absent
//! users {replicas: 4, min_available: 3}   what users run; see windlass_simulator::Workload
//! cluster 3 all                           groups of nodes; `all` is etcd+controlplane+worker
//! cluster 3 etcd+controlplane, 2 worker
//! cluster << … >>                         a whole cluster.yml
//!
//! edit services.kubelet.extra_args.max-pods 150
//! edit nodes[node-2].role [etcd, worker]  nodes by name or number; keys with dots between quotes
//! edit remove services.kubelet.extra_args
//! edit add node-4 worker                  edit remove node-4
//! upgrade v1.21.2                         version and image
//!
//! plan                                    look and plan; the whole plan
//! plan rotate all                         plan remove
//! up                                      look, plan and act, round by round; must converge
//! rotate kube-apiserver,kubelet           rotate all
//! remove                                  remove snapshots
//!   … briefly                             below each step only the order that rules and limits impose
//!   … quietly                             only how it ended
//!   … expect held                         or converged, refused, failed, stood-still, death
//!
//! node-2 power-off for 60s                power-on, unreachable, partitioned, reconnected, docker-restarts,
//!                                         slow-start 10, disk-full, busy etcd; permanently without `for`
//! external-etcd down for 60s              external-etcd up
//! registry down for 60s                   bucket down · days 400 · ledger lost · ledger aged · evictions blocked
//! on node-2 docker stop etcd              pause, rm -f, rmi IMAGE, recreate NAME [with ARGUMENT],
//!                                         run other NAME, copy NAME as OTHER
//! on node-2 rm PATH                       rm -r DIRECTORY, chmod 0666 PATH, write PATH << … >>, lose etcd data,
//!                                         etcd ends WORDS, etcd runs again,
//!                                         boots without DIRECTORY, mount DIRECTORY
//! on node-2 etcdctl member add --learner URL
//! on node-2 machine swap on               a fact of the machine, in YAML: clock_ahead_seconds 60, listening [6443],
//!                                         hostname a, machine_id b, free {/: 1000}, or what Docker says of it:
//!                                         operating_system Flatcar, cgroup_driver systemd, selinux on …
//! kubectl cordon node-2                   uncordon, label node-2 k=v, label node-2 k-, taint, delete node
//! kubectl delete KIND NS/NAME             edit KIND NS/NAME POINTER JSON: an object of an add-on, or one field of it
//! kubectl OWNER owns KIND NS/NAME         OWNER makes JSON: somebody else manages it, or creates it
//! kubectl pods of KIND NS/NAME WHY…       its pods do not become ready, and why; `run` makes them
//! kubectl rewrite secrets                 all Secrets are read and written again
//! fault {fault: disk_full, node: node-2}  any other, as YAML of windlass_simulator::Fault
//!
//! at node-2/etcd/replace create: operator dies before
//!                                         in the next run, at that step's first verb of this word
//! at node-2/etcd/replace: node-3 power-off
//!                                         at that step's first verb that changes something
//! at verb 40: verb fails once             or `verb fails`, `verb fails after`
//! wait 60s                                observe · story [words]
//! expect rests                            planning again gives nothing
//! expect no trace                         the machines are as at the beginning, images and snapshots excepted
//! ```

mod config;
mod script;
mod seen;
mod strike;
mod text;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::PoisonError;

use serde_yaml::Value;
use windlass_blueprint::Catalog;
use windlass_course::{Desired, Goal};
use windlass_model::{End, NodeName, Plan, Planning, Report, SpecPath, counted};
use windlass_render::{Detail, Page, Paint, PlanView, Room, RunView, Sight, Width, addresses};
use windlass_simulator::{Fault, FaultSchedule, Fingerprint, SimFleet, Workload, World};
use windlass_spec::SourceMap;

use self::script::{Command, Expected, Line, Moment, Run, Shown};
use crate::drive::{Driver, Ended, announced, desired};

/// The result of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The whole output.
    pub output: String,
    /// What is wrong, whatever the frozen output is: an expectation that is not met, a broken rule.
    pub wrongs: Vec<String>,
}

/// Runs a scenario.
///
/// # Errors
/// A line is invalid or cannot be carried out.
pub fn run(text: &str, catalog: &'static Catalog) -> Result<Reported, String> {
    let lines = script::read(text)?;
    let mut stage = Stage::new(catalog);
    for Line { number, text, command } in &lines {
        stage.begin(text);
        stage.carry_out(command).map_err(|what| format!("line {number}: {text}: {what}"))?;
    }
    Ok(stage.reported)
}

/// A scenario that is running.
struct Stage {
    catalog: &'static Catalog,
    machines: Option<usize>,
    users: Workload,
    file: Value,
    moments: Vec<(Moment, Fault)>,
    begun: Option<Begun>,
    reported: Reported,
    complaints: usize,
    warned: BTreeSet<String>,
    /// What was shown last, if nothing has happened since.
    last_shown: Option<Planning>,
}

/// The world, once something has happened in it.
struct Begun {
    driver: Driver,
    first: Fingerprint,
}

impl Stage {
    fn new(catalog: &'static Catalog) -> Self {
        Self {
            catalog,
            machines: None,
            users: Workload::default(),
            file: Value::Null,
            moments: Vec::new(),
            begun: None,
            reported: Reported::default(),
            complaints: 0,
            warned: BTreeSet::new(),
            last_shown: None,
        }
    }

    /// Shows a command, separated from the output before it.
    fn begin(&mut self, command: &str) {
        let output = &mut self.reported.output;
        if output.lines().last().is_some_and(|line| !line.starts_with("> ")) {
            output.push('\n');
        }
        let _ = writeln!(output, "> {command}");
    }

    fn carry_out(&mut self, command: &Command) -> Result<(), String> {
        if !matches!(command, Command::Up(_) | Command::At(..)) {
            self.last_shown = None;
        }
        match command {
            Command::Bare(machines) => self.machines = Some(*machines),
            Command::Users(users) => self.users = *users,
            Command::Cluster(text) => {
                self.file = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
            }
            Command::Sized(groups) => {
                self.file =
                    serde_yaml::from_str(&config::sized(groups)).map_err(|error| error.to_string())?;
            }
            Command::Edit(edit) => edit.apply(&mut self.file)?,
            Command::Plan(run) => self.plan(run)?,
            Command::Up(run) => self.up(run)?,
            Command::Strike(fault) => self.world(|world| world.strike(fault)),
            Command::At(moment, fault) => self.moments.push((moment.clone(), fault.clone())),
            Command::Wait(seconds) => self.world(|world| world.wait(*seconds)),
            Command::Observe => {
                let Some(desired) = self.desired() else { return Ok(()) };
                let (seen, _) = self.begun().driver.look_and_plan(&desired, &Goal::Converge)?;
                self.reported.output.push_str(&seen::inventory(&seen));
            }
            Command::Story(words) => self.story(words),
            Command::ExpectRests => {
                let Some(desired) = self.desired() else { return Ok(()) };
                let (seen, planning) = self.begun().driver.look_and_plan(&desired, &Goal::Converge)?;
                if !planning.plan.is_empty() {
                    self.show_plan("plan", &desired, &planning, Sight::of(&seen), &Run::converge());
                    self.wrong("planning again gives steps");
                }
                self.complain();
            }
            Command::ExpectNoTrace => {
                let (now, first) = {
                    let begun = self.begun();
                    (begun.driver.fleet.with(|world| world.fingerprint()), begun.first.clone())
                };
                for (node, lines) in &now.nodes {
                    for line in lines.iter().filter(|line| !first.nodes[node].contains(line)) {
                        let _ = writeln!(self.reported.output, "  {node} still has {line}");
                        self.reported.wrongs.push(format!("{node} still has {line}"));
                    }
                }
            }
        }
        Ok(())
    }

    fn begun(&mut self) -> &Begun {
        let nodes = self.file.get("nodes").and_then(Value::as_sequence).map_or(0, Vec::len);
        let (machines, users) = (self.machines.unwrap_or(nodes), self.users);
        self.begun.get_or_insert_with(|| {
            let world = World::bare(machines).with_workload(users);
            let first = world.fingerprint();
            Begun { driver: Driver::new(SimFleet::new(world)), first }
        })
    }

    fn world<T>(&mut self, act: impl FnOnce(&mut World) -> T) -> T {
        self.begun().driver.fleet.with(act)
    }

    fn wrong(&mut self, what: &str) {
        let _ = writeln!(self.reported.output, "  !! {what}");
        self.reported.wrongs.push(what.to_owned());
    }

    /// The present cluster.yml.
    fn text(&self) -> String {
        serde_yaml::to_string(&self.file).expect("what was read from YAML can be written as YAML")
    }

    /// The desired state of cluster.yml; none if it is not accepted, which is then reported.
    fn desired(&mut self) -> Option<Desired> {
        let text = self.text();
        self.warn(&text);
        match desired(&text, self.catalog) {
            Ok(desired) => Some(desired),
            Err(diagnostics) => {
                for line in diagnostics.lines() {
                    let _ = writeln!(self.reported.output, "  {line}");
                }
                None
            }
        }
    }

    /// Reports once what in cluster.yml has no effect.
    fn warn(&mut self, text: &str) {
        let reading = windlass_spec::read(text.as_bytes());
        if reading.spec.is_none() {
            return;
        }
        for diagnostic in reading.diagnostics {
            let warning = format!("  warning: {} [{}]", diagnostic.summary, diagnostic.place.path);
            if self.warned.insert(warning.clone()) {
                let _ = writeln!(self.reported.output, "{warning}");
            }
        }
    }

    fn plan(&mut self, run: &Run) -> Result<(), String> {
        let Some(desired) = self.desired() else { return Ok(()) };
        self.say_gone(run);
        let before = self.world(|world| world.fingerprint());
        let (seen, planning) = self.begun().driver.look_and_plan(&desired, &run.goal)?;
        self.show_plan("plan", &desired, &planning, Sight::of(&seen), run);
        if before != self.world(|world| world.fingerprint()) {
            self.wrong("`plan` changed the world");
        }
        self.last_shown = Some(planning);
        self.complain();
        Ok(())
    }

    /// Says to windlass which nodes are gone for good.
    fn say_gone(&mut self, run: &Run) {
        self.begun();
        if let Some(begun) = &mut self.begun {
            begun.driver.gone.clone_from(&run.gone);
        }
    }

    fn up(&mut self, run: &Run) -> Result<(), String> {
        let Some(desired) = self.desired() else { return Ok(()) };
        self.say_gone(run);
        let schedule = self.schedule(&desired, run)?;
        let is_undisturbed = schedule == FaultSchedule::default();
        self.world(World::clear_story);
        let ended = self.begun().driver.run(&desired, &run.goal, schedule);
        self.show_rounds(&desired, run, &ended);
        self.show_end(run, &ended);
        if let Ended::Concluded(conclusion) = &ended
            && is_undisturbed
            && conclusion.reports.iter().all(Report::is_complete)
        {
            let plans = self.begun().driver.plans.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Err(unannounced) = announced(&plans, conclusion) {
                self.wrong(unannounced.lines().next().unwrap_or_default());
            }
        }
        self.complain();
        self.last_shown = None;
        Ok(())
    }

    /// Writes a text as users see it without a terminal, with the places of cluster.yml.
    fn on_page(&self, write: impl FnOnce(Page<'_>) -> String) -> String {
        let text = self.text();
        let map = SourceMap::new(text.as_bytes());
        let places = |path: &SpecPath| {
            map.place(path.as_str()).range.map(|range| (range.start.line, range.start.column))
        };
        write(Page { places: &places, file: "cluster.yml", width: Width::default(), paint: Paint::Plain })
    }

    /// The text of a plan as users see it.
    fn show_plan(&mut self, head: &str, desired: &Desired, planning: &Planning, sight: Sight, run: &Run) {
        let detail = if run.shown == Shown::Brief { Detail::Brief } else { Detail::Folded };
        let (cluster, goal) = (&desired.ordinary().cluster, goal(&run.goal));
        let text = self.on_page(|page| {
            windlass_render::plan(&PlanView { head, cluster, planning, sight, detail, goal, page })
        });
        self.reported.output.push_str(&text);
    }

    fn show_rounds(&mut self, desired: &Desired, run: &Run, ended: &Ended) {
        if run.shown == Shown::Quiet {
            return;
        }
        let driver = &self.begun().driver;
        let plannings = driver.plans.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sights = driver.sights.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (reports, end) = match ended {
            Ended::Concluded(conclusion) => (conclusion.reports.as_slice(), Some(conclusion.end)),
            Ended::Taken(_) | Ended::Died => (&[][..], None),
        };
        for (index, (planning, sight)) in plannings.iter().zip(sights).enumerate() {
            let head = if index == 0 { "plan".to_owned() } else { format!("plan of round {}", index + 1) };
            let same = plannings[..index].iter().position(|earlier| earlier == planning);
            if index == 0 && self.last_shown.as_ref() == Some(planning) {
                let _ = writeln!(self.reported.output, "{head}: as above");
            } else if let Some(same) = same {
                let _ = writeln!(self.reported.output, "{head}: as in round {}", same + 1);
            } else {
                self.show_plan(&head, desired, planning, sight, run);
            }
            let became = match reports.get(index) {
                // The text of the end shows the failures of the last round.
                Some(_) if index + 1 == reports.len() && matches!(end, Some(End::Failed)) => String::new(),
                Some(report) => self.what_became(report, &planning.plan, run),
                None if matches!(ended, Ended::Died) && index + 1 == plannings.len() => {
                    let story = self.world(|world| world.story());
                    format!("{}\n", how_far(&story, planning.plan.steps.len()))
                }
                None => "not carried out\n".to_owned(),
            };
            if !became.is_empty() {
                self.reported.output.push('\n');
                self.reported.output.push_str(&became);
            }
            self.reported.output.push('\n');
        }
    }

    /// The result of a round.
    fn what_became(&self, report: &Report, plan: &Plan, run: &Run) -> String {
        if report.is_complete() {
            return format!("all {} done\n", counted(report.outcomes.len(), "step"));
        }
        let command = command(&run.goal);
        let failures = self.on_page(|page| windlass_render::failures(report, plan, command, &page));
        failures.trim_end_matches('\n').to_owned() + "\n"
    }

    fn show_end(&mut self, run: &Run, ended: &Ended) {
        let died = self.world(|world| world.has_operator_died());
        let (text, is) = match ended {
            Ended::Concluded(conclusion) => {
                let plannings = &self.begun().driver.plans;
                let plannings = plannings.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let plans: Vec<Plan> = plannings.into_iter().map(|planning| planning.plan).collect();
                let text = self.on_page(|page| {
                    windlass_render::result(&RunView {
                        command: command(&run.goal),
                        goal: goal(&run.goal),
                        end: conclusion.end,
                        planning: &conclusion.planning,
                        plans: &plans,
                        reports: &conclusion.reports,
                        // It would change with every latency.
                        elapsed: None,
                        page,
                    })
                });
                (text, Expected::End(conclusion.end))
            }
            Ended::Taken(another) => {
                let text = format!(
                    "another windlass works on this cluster: {}, by its lease on {}\n",
                    another.holder, another.node
                );
                (text, Expected::Taken)
            }
            Ended::Died if died => ("the operator's machine died\n".to_owned(), Expected::Death),
            Ended::Died => ("the ledger could not be read\n".to_owned(), Expected::Death),
        };
        self.reported.output.push_str(&text);
        let expected = run.expected.unwrap_or(Expected::End(End::Converged));
        if is != expected {
            self.wrong(&format!("expected was {expected:?}"));
        }
    }

    /// The faults of the next run, each at the number of its verb.
    fn schedule(&mut self, desired: &Desired, run: &Run) -> Result<FaultSchedule, String> {
        let mut schedule = FaultSchedule::default();
        for (moment, fault) in std::mem::take(&mut self.moments) {
            let verb = match moment {
                Moment::Verb(verb) => verb,
                Moment::Step { id, word } => {
                    // What has not happened yet is found by a rehearsal on a copy of the world.
                    let rehearsal = Driver::new(SimFleet::new(self.world(|world| world.clone())));
                    rehearsal.fleet.with(World::clear_story);
                    rehearsal.run(desired, &run.goal, schedule.clone());
                    let story = rehearsal.fleet.with(|world| world.story());
                    verb_of(&story, &id, word.as_deref())
                        .ok_or_else(|| format!("no such verb in `{id}`; the story was:\n{story}"))?
                }
            };
            schedule = schedule.and(verb, fault);
        }
        Ok(schedule)
    }

    fn story(&mut self, words: &[String]) {
        let story = self.world(|world| world.story());
        for line in story.lines() {
            // The time is left out: it would change with every latency.
            let Some((_, line)) = line.trim_start().split_once(' ') else { continue };
            let is_shown = if words.is_empty() {
                !is_question(line)
            } else {
                words.iter().any(|word| line.contains(word.as_str()))
            };
            if is_shown {
                let _ = writeln!(self.reported.output, "  {}", without_number(line));
            }
        }
    }

    /// Reports every rule that was broken since the last report.
    fn complain(&mut self) {
        let complaints = self.begun().driver.complaints();
        let fresh: Vec<String> = complaints.iter().skip(self.complaints).cloned().collect();
        self.complaints = complaints.len();
        for complaint in fresh {
            self.wrong(&complaint);
        }
    }
}

/// What is true where nothing is left to do for a goal.
fn goal(goal: &Goal) -> &'static str {
    match goal {
        Goal::Reissue(_) => "the certificates are reissued",
        Goal::Restore(_) => "etcd is back at the snapshot, and the cluster is as cluster.yml says",
        Goal::Converge => "the cluster is as cluster.yml says",
        Goal::Dismantle(_) => "nothing of the cluster is left on its nodes",
    }
}

/// The command that has this goal.
fn command(goal: &Goal) -> &'static str {
    match goal {
        Goal::Restore(_) => "etcd snapshot restore",
        Goal::Converge => "up",
        Goal::Reissue(_) => "cert-rotate",
        Goal::Dismantle(_) => "remove",
    }
}

/// How far an interrupted run came in its last plan.
fn how_far(story: &str, steps: usize) -> String {
    let mut begun: Vec<&str> = Vec::new();
    let mut done = 0;
    for line in story.lines() {
        match line.split_whitespace().collect::<Vec<&str>>().as_slice() {
            [_, "begins", id] => begun.push(id),
            [_, "done", id] => {
                done += 1;
                begun.retain(|other| other != id);
            }
            _ => {}
        }
    }
    let mut text = format!("{done} of {steps} steps done, under way:");
    if begun.is_empty() {
        text.push_str(" none");
    }
    for address in addresses(begun, Room::All) {
        let _ = write!(text, "\n  {address}");
    }
    text
}

/// Verbs that change nothing.
const QUESTIONS: [&str; 8] = ["look", "container", "log", "read", "members", "nodes", "node", "pods"];

fn is_question(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let numbered = words.next().is_some_and(|word| word.parse::<u64>().is_ok());
    numbered && words.nth(1).is_some_and(|word| QUESTIONS.contains(&word))
}

fn without_number(line: &str) -> &str {
    let line = line.trim_start();
    line.trim_start_matches(|digit: char| digit.is_ascii_digit()).trim_start()
}

/// The number of the first verb on a step's node after the step has begun, of this word or of any that
/// changes something.
fn verb_of(story: &str, id: &str, word: Option<&str>) -> Option<u64> {
    let node = NodeName::from(id.split('/').next()?);
    let mut lines = story.lines().map(|line| line.split_whitespace().collect::<Vec<&str>>());
    lines.find(|words| words.get(1..) == Some(&["begins", id]))?;
    lines.find_map(|words| {
        let number: u64 = words.get(1)?.parse().ok()?;
        let here = words.get(2).is_some_and(|place| *place == node.as_str() || *place == "-");
        let verb = words.get(3..)?.join(" ");
        let meant = match word {
            Some(word) => verb.starts_with(word),
            None => !words.get(3).is_some_and(|word| QUESTIONS.contains(word)),
        };
        (here && meant).then_some(number)
    })
}
