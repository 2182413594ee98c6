//! The commands, from cluster.yml to the exit code.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use windlass_course::{Course, Desired, Goal};
use windlass_engine::{
    AnotherRun, Clock, Conclusion, End, Interrupt, NotConverged, Options, Recover, Silence, Survey, converge,
    observe_and_plan,
};
use windlass_model::{Inventory, NodeName, Plan, Planning, Reissue, Replay, Restore, counted};
use windlass_remote::{HostKeys, MachineStats, Stats, SystemClock};
use windlass_render::{Language, PlanView, RunView, Sight, changes, graph, plan, result};
use windlass_spec::Diagnostic;

use crate::access;
use crate::arguments::{Command, Graph, PlanArguments};
use crate::command_error::CommandError;
use crate::exit::Exit;
use crate::includes::Includes;
use crate::json::{DiagnosticsDocument, PlanDocument, RunDocument, RunFacts};
use crate::ledger_file::{FileLedger, write_durably};
use crate::lock::{OperatorLock, this_run};
use crate::printer::{Printer, Stream, ask, somebody_is_there};
use crate::progress::{Both, Progress};
use crate::real::Real;
use crate::scene::{Run, Scene};
use crate::simulate::Simulation;
use crate::source::{Source, position};

/// Carries out a command and returns how the program ends.
pub(crate) fn run(command: &Command) -> Exit {
    let printer = Printer::new(command.common());
    run_with(command, &printer).unwrap_or_else(|error| {
        let diagnostic = error.diagnostic();
        printer.error(&diagnostic);
        let file = command.common().config.display().to_string();
        printer.document(&DiagnosticsDocument::new(file, &[diagnostic], error.exit()));
        error.exit()
    })
}

fn run_with(command: &Command, printer: &Printer) -> Result<Exit, CommandError> {
    let common = command.common();
    if asks_first(command) && !somebody_is_there() {
        return Err(CommandError::NobodyToAsk { command: command.name() });
    }
    let source = Source::read(&common.config)?;
    let (desired, diagnostics) = source.understand(includes(command));
    printer.diagnostics_in_brief(&diagnostics, &source);
    let Some(desired) = desired else {
        printer.document(&DiagnosticsDocument::new(source.name(), &diagnostics, Exit::BadInput));
        return Ok(Exit::BadInput);
    };
    if let Some(world) = &common.simulate {
        let scene = Simulation::open(world, FileLedger::beside(source.path()))?;
        let session =
            Session { command, printer, source: &source, desired: &desired, diagnostics, scene: &scene };
        return simulated_time(session.carry_out());
    }
    let _lock = match changes_the_cluster(command) {
        Some(what) => Some(OperatorLock::take(source.path(), what, SystemClock.now())?),
        None => None,
    };
    let host_keys = if common.ssh_strict { HostKeys::KnownOnly } else { HostKeys::AcceptNew };
    let mut settings =
        access::settings(&desired, host_keys).map_err(|source| CommandError::OwnProgram { source })?;
    settings.known_hosts.clone_from(&common.ssh_known_hosts);
    let scene = Real::open(&source, settings, desired.spec().windlass.endpoint.as_ref())?;
    let session =
        Session { command, printer, source: &source, desired: &desired, diagnostics, scene: &scene };
    real_time(async {
        let ended = Box::pin(session.carry_out()).await;
        if matches!((command, &ended), (Command::Remove(_), Ok(Exit::Done))) {
            scene.leave_nothing().await;
        }
        scene.close().await;
        ended
    })
}

/// What a command needs of `addons_include`: whatever looks at objects needs all of it.
fn includes(command: &Command) -> Includes {
    match command {
        Command::Plan(_) | Command::Up(_) => Includes::All,
        Command::Etcd(etcd) if etcd.command.goes_on_with_the_cluster() => Includes::All,
        Command::CertRotate(_) | Command::Remove(_) | Command::Etcd(_) => Includes::Nothing,
    }
}

/// Whether a command asks before it does anything.
fn asks_first(command: &Command) -> bool {
    match command {
        Command::Plan(_) | Command::Up(_) | Command::CertRotate(_) => false,
        Command::Remove(remove) => !remove.force && !remove.plan,
        Command::Etcd(etcd) => etcd.command.asks_first(),
    }
}

/// The word for a command that changes the cluster: one at a time does.
fn changes_the_cluster(command: &Command) -> Option<&'static str> {
    match command {
        Command::Plan(_) => None,
        Command::CertRotate(rotate) if rotate.plan => None,
        Command::Remove(remove) if remove.plan => None,
        Command::Etcd(etcd) if !etcd.command.changes() => None,
        Command::Etcd(_) | Command::Up(_) | Command::CertRotate(_) | Command::Remove(_) => {
            Some(command.name())
        }
    }
}

/// Runs on one thread whose time passes only while every task waits: simulated minutes take no real time.
fn simulated_time<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime needs a few file descriptors, which every process has")
        .block_on(future)
}

/// Runs on one thread: there is little to compute, and much to wait for.
fn real_time<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs a few file descriptors, which every process has")
        .block_on(future)
}

/// One run of the program.
pub(crate) struct Session<'a, S> {
    pub(crate) command: &'a Command,
    pub(crate) printer: &'a Printer,
    source: &'a Source,
    pub(crate) desired: &'a Desired,
    /// What is reported about cluster.yml, all of it warnings.
    diagnostics: Vec<Diagnostic>,
    pub(crate) scene: &'a S,
}

impl<S: Scene> Session<'_, S> {
    async fn carry_out(&self) -> Result<Exit, CommandError> {
        let exit = self.play().await;
        if self.command.common().stats
            && let Some(stats) = self.scene.stats()
        {
            self.printer.progress(&counts(&stats));
        }
        exit
    }

    async fn play(&self) -> Result<Exit, CommandError> {
        match self.command {
            Command::Plan(plan) => self.plan(plan).await,
            Command::Up(_) => self.act(Goal::Converge, None).await,
            Command::CertRotate(rotate) => {
                let issued_before = self.scene.ports().clock.now();
                let goal = Goal::Reissue(Reissue { which: rotate.selector(), issued_before });
                if rotate.plan { self.preview(&goal).await } else { self.act(goal, None).await }
            }
            Command::Etcd(etcd) => Box::pin(self.etcd(&etcd.command)).await,
            Command::Remove(remove) => {
                let goal = Goal::Dismantle(remove.snapshots());
                if remove.plan {
                    return self.preview(&goal).await;
                }
                let agreed = if remove.force { None } else { Some(self.agree(&goal).await?) };
                self.act(goal, agreed).await
            }
        }
    }

    /// `windlass plan`
    async fn plan(&self, arguments: &PlanArguments) -> Result<Exit, CommandError> {
        let survey = self.survey(&Goal::Converge).await?;
        if let Some(path) = &arguments.save_replay {
            self.save_replay(path, &survey.observation.inventory)?;
        }
        let mut exit = exit_of_plan(&survey.planning);
        if arguments.detailed_exitcode && exit != Exit::Failed && changes(&survey.planning.plan) {
            exit = Exit::Changes;
        }
        match arguments.graph {
            Some(language) => {
                let language = match language {
                    Graph::Dot => Language::Dot,
                    Graph::Mermaid => Language::Mermaid,
                };
                self.printer.result(&graph(&survey.planning.plan, language));
            }
            None => self.show(&survey, &Goal::Converge, exit),
        }
        Ok(exit)
    }

    /// What another command would do.
    pub(crate) async fn preview(&self, goal: &Goal) -> Result<Exit, CommandError> {
        let survey = self.survey(goal).await?;
        let exit = exit_of_plan(&survey.planning);
        self.show(&survey, goal, exit);
        Ok(exit)
    }

    fn show(&self, survey: &Survey, goal: &Goal, exit: Exit) {
        self.printer.result(&self.table(survey, goal, Stream::Output));
        self.printer.document(&PlanDocument::new(
            self.desired.ordinary(),
            &survey.observation.inventory,
            &survey.planning,
            &self.source.places(),
            &self.diagnostics,
            exit,
        ));
    }

    /// Writes the input of a plan to a file.
    fn save_replay(&self, path: &Path, seen: &Inventory) -> Result<(), CommandError> {
        let intent = Course::new(self.desired, Goal::Converge).with_gone(&self.gone()).intent_for(seen);
        let replay = Replay::new(env!("CARGO_PKG_VERSION"), intent, seen);
        let mut text = serde_json::to_vec_pretty(&replay).expect("plain data with keys of text is JSON");
        text.push(b'\n');
        write_durably(path, &text, None)
            .map_err(|source| CommandError::ReplayUnwritable { path: path.to_owned(), source })
    }

    /// Shows what a command would do, and asks for confirmation; returns the plan if it is given.
    pub(crate) async fn agree(&self, goal: &Goal) -> Result<Plan, CommandError> {
        let survey = self.survey(goal).await?;
        let nodes = counted(survey.observation.inventory.nodes.len(), "node");
        let cluster = &self.desired.ordinary().cluster;
        let question = match goal {
            Goal::Restore(Restore { recovery: Some(recovery), .. }) => format!(
                "\nThis makes etcd of the cluster \"{cluster}\" go on from the member on {} alone: what only other members knew is \
                 gone, and none of them may ever start again. Type `yes` to recover it: ",
                recovery.node
            ),
            Goal::Restore(Restore { snapshot, .. }) => format!(
                "\nThis brings the cluster \"{cluster}\" back to {}, taken {}: what was written since then is gone. Type `yes` to \
                 restore it: ",
                snapshot.name, snapshot.taken_at
            ),
            Goal::Converge | Goal::Reissue(_) | Goal::Dismantle(_) => format!(
                "\nThis removes the cluster \"{cluster}\" from {nodes}, with everything that runs in it. Type `yes` to remove it: "
            ),
        };
        if !survey.planning.plan.is_empty() {
            self.printer.progress(&self.table(&survey, goal, Stream::Progress));
            if !ask(&question) {
                return Err(CommandError::Declined { command: self.command.name() });
            }
        }
        Ok(survey.planning.plan)
    }

    /// `windlass up`, `windlass cert-rotate`, `windlass remove`
    pub(crate) async fn act(&self, goal: Goal, known: Option<Plan>) -> Result<Exit, CommandError> {
        let Self { command, printer, source, desired, diagnostics, scene } = self;
        let blueprint = desired.ordinary();
        let dismantles = matches!(goal, Goal::Dismantle(_));
        let restore = match &goal {
            Goal::Restore(restore) => Some(restore.clone()),
            Goal::Converge | Goal::Reissue(_) | Goal::Dismantle(_) => None,
        };
        let mut run = Run { blueprint, dismantles, restore: restore.as_ref(), changed: false };
        scene.begin(run);
        let reported = reported(&goal, source);
        let progress = Progress::new(printer, source, blueprint.clone(), &reported, known);
        let interrupt = Interrupt::default();
        let signals = Signals::new().map_err(|source| CommandError::Signals { source })?;
        let conclusion = tokio::select! {
            conclusion = self.converge(goal, &progress, &interrupt) => conclusion?,
            never = signals.obey(&interrupt) => match never {},
        };
        run.changed = !conclusion.reports.is_empty();
        for said in scene.end(run, conclusion.ledger.as_ref())? {
            printer.progress(&said);
        }
        let violations = scene.violations();
        let exit = exit_of(conclusion.end, &violations);
        let (plans, elapsed) = (progress.plans(), progress.elapsed());
        self.tell(&conclusion, &plans, elapsed, &reported);
        for violation in &violations {
            printer.result(&format!("windlass did what it must never do: {violation}\n"));
        }
        let facts = RunFacts {
            command: command.name(),
            blueprint,
            conclusion: &conclusion,
            plans: &plans,
            elapsed,
            violations: &violations,
            diagnostics,
            exit,
        };
        printer.document(&RunDocument::new(&facts, &source.places()));
        Ok(exit)
    }

    fn tell(&self, conclusion: &Conclusion, plans: &[Plan], elapsed: Duration, goal: &str) {
        let places = self.source.places();
        self.printer.result(&result(&RunView {
            command: self.command.name(),
            goal,
            end: conclusion.end,
            planning: &conclusion.planning,
            plans,
            reports: &conclusion.reports,
            elapsed: Some(elapsed),
            page: self.printer.page(&|path| position(path, &places), &self.source.short_name()),
        }));
    }

    fn table(&self, survey: &Survey, goal: &Goal, stream: Stream) -> String {
        let places = self.source.places();
        plan(&PlanView {
            head: "plan",
            cluster: &self.desired.ordinary().cluster,
            planning: &survey.planning,
            sight: Sight::of(&survey.observation.inventory),
            detail: self.printer.plan_detail(),
            goal: &reported(goal, self.source),
            page: self.printer.page_on(stream, &|path| position(path, &places), &self.source.short_name()),
        })
    }

    /// The nodes that are gone for good according to the operator.
    fn gone(&self) -> BTreeSet<NodeName> {
        match self.command {
            Command::Plan(plan) => plan.gone.names(),
            Command::Up(up) => up.gone.names(),
            Command::Remove(remove) => remove.gone.names(),
            // A restore has its own; the others have nothing to do with nodes that left.
            Command::CertRotate(_) | Command::Etcd(_) => BTreeSet::new(),
        }
    }

    /// Looks and plans, and changes nothing.
    pub(crate) async fn survey(&self, goal: &Goal) -> Result<Survey, CommandError> {
        let mut course = Course::new(self.desired, goal.clone()).with_gone(&self.gone());
        let assignment = course.assignment();
        let plan = |seen: &_| course.plan(seen);
        observe_and_plan(&self.scene.ports(), &assignment, plan, &Silence, Recover::InMemory)
            .await
            .map_err(|source| CommandError::Look { source })
    }

    async fn converge(
        &self,
        goal: Goal,
        progress: &Progress<'_>,
        interrupt: &Interrupt,
    ) -> Result<Conclusion, CommandError> {
        let listener = Both(progress, self.scene.listener());
        let mut course = Course::new(self.desired, goal).with_gone(&self.gone());
        let assignment = course.assignment();
        let plan = |seen: &_| course.plan(seen);
        let ports = self.scene.ports();
        let holder = Some(this_run(self.command.name(), ports.clock.now()));
        let options = Options { holder, ..Options::default() };
        converge(&ports, &assignment, plan, &options, &listener, interrupt).await.map_err(|why| match why {
            NotConverged::Look(source) => CommandError::Look { source },
            NotConverged::Taken(AnotherRun { node, holder }) => CommandError::Taken { node, holder },
        })
    }
}

/// How a command ends that only shows a plan.
fn exit_of_plan(planning: &Planning) -> Exit {
    if planning.is_refused() {
        Exit::Failed
    } else if planning.is_held() {
        Exit::Held
    } else {
        Exit::Done
    }
}

fn reported(goal: &Goal, source: &Source) -> String {
    match goal {
        Goal::Reissue(_) => "the certificates are reissued".to_owned(),
        Goal::Restore(Restore { snapshot, .. }) => {
            format!("etcd is back at {}, and the cluster is as {} says", snapshot.name, source.short_name())
        }
        Goal::Converge => format!("the cluster is as {} says", source.short_name()),
        Goal::Dismantle(_) => "nothing of the cluster is left on its nodes".to_owned(),
    }
}

fn exit_of(end: End, violations: &[String]) -> Exit {
    match end {
        _ if !violations.is_empty() => Exit::Failed,
        End::Converged => Exit::Done,
        End::Held => Exit::Held,
        End::Refused | End::Failed | End::Interrupted | End::StoodStill => Exit::Failed,
    }
}

/// The signals by which an operator interrupts a run: from a terminal, or from what supervises it.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The terminal is gone, as when the operator's own connection breaks; none under `nohup`, which keeps a run
    /// going without one.
    hang_up: Option<Signal>,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: if ignores_hang_up() { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// Turns every signal into a request: the first finishes what runs, the second leaves.
    pub(crate) async fn obey(mut self, interrupt: &Interrupt) -> std::convert::Infallible {
        loop {
            let hangs_up = async {
                match &mut self.hang_up {
                    Some(hang_up) => hang_up.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(()) = self.interrupt.recv() => {}
                Some(()) = self.terminate.recv() => {}
                Some(()) = hangs_up => {}
                else => std::future::pending().await,
            }
            interrupt.request();
        }
    }
}

/// How often the machines were asked, one line each, and the peak memory of this run.
fn counts(stats: &Stats) -> String {
    let own = peak_memory().map(|bytes| format!("windlass: peak memory {} MB\n", bytes.div_ceil(1_000_000)));
    let lines = stats.nodes.iter().map(|(node, asked)| {
        let MachineStats { ssh_connections, docker_calls, commands, probes } = asked;
        format!("{node}: SSH connections {ssh_connections}, Docker calls {docker_calls}, commands {commands}, probes {probes}\n")
    });
    let bastion = (stats.bastion_connections > 0)
        .then(|| format!("bastion: SSH connections {}\n", stats.bastion_connections));
    lines.chain(bastion).chain(own).collect()
}

/// Whether whatever began this process made it ignore that its terminal goes away.
fn ignores_hang_up() -> bool {
    let ignored = own_status("SigIgn:").and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 1)
}

/// What the system says of this process, by the beginning of its line.
fn own_status(label: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix(label))?.to_owned())
}

/// The peak memory of this process in bytes; none where the system does not report it.
fn peak_memory() -> Option<u64> {
    let kibibytes = own_status("VmHWM:")?;
    kibibytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1_024)
}
