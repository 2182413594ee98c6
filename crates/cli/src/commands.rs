//! The commands, from cluster.yml to the exit code.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use windlass_engine::{
    Assignment, Conclusion, End, Interrupt, Options, PortResult, Recover, Silence, Survey, converge,
    observe_and_plan,
};
use windlass_model::Plan;
use windlass_remote::{HostKeys, MachineStats, Stats};
use windlass_render::{Language, PlanView, RunView, Sight, changes, counted, graph, plan, result};
use windlass_spec::Diagnostic;

use crate::access;
use crate::arguments::{Command, Graph};
use crate::course::{Course, Goal};
use crate::exit::Exit;
use crate::json::{DiagnosticsDocument, PlanDocument, RunDocument, RunFacts};
use crate::ledger_file::FileLedger;
use crate::printer::{Printer, Stream, ask, somebody_is_there};
use crate::progress::{Both, Progress};
use crate::real::Real;
use crate::scene::{Run, Scene};
use crate::simulate::Simulation;
use crate::trouble::Trouble;
use crate::wish::{Source, Wish, position};

/// A look that shows machines for which it covered too little is taken again, at most so often: machines are
/// not exchanged that fast.
const LOOKS_FOR_SCOPE: u32 = 3;

/// Carries out a command and tells how the program ends.
pub(crate) fn run(command: &Command) -> Exit {
    let printer = Printer::new(command.common());
    run_with(command, &printer).unwrap_or_else(|trouble| {
        let diagnostic = trouble.diagnostic();
        printer.trouble(&diagnostic);
        let file = command.common().config.display().to_string();
        printer.document(&DiagnosticsDocument::new(file, &[diagnostic], trouble.exit()));
        trouble.exit()
    })
}

fn run_with(command: &Command, printer: &Printer) -> Result<Exit, Trouble> {
    let common = command.common();
    if let Command::Remove(remove) = command
        && !remove.force
        && !somebody_is_there()
    {
        return Err(Trouble::NobodyToAsk);
    }
    let source = Source::read(&common.config)?;
    let (wish, diagnostics) = source.understand();
    printer.diagnostics(&diagnostics, &source);
    let Some(wish) = wish else {
        printer.document(&DiagnosticsDocument::new(source.name(), &diagnostics, Exit::BadInput));
        return Ok(Exit::BadInput);
    };
    if let Some(world) = &common.simulate {
        let scene = Simulation::open(world, FileLedger::beside(source.path()))?;
        let session = Session { command, printer, source: &source, wish: &wish, diagnostics, scene: &scene };
        return simulated_time(session.carry_out());
    }
    let host_keys = if common.ssh_strict { HostKeys::KnownOnly } else { HostKeys::AcceptNew };
    let mut settings = access::settings(&wish, host_keys).map_err(|source| Trouble::OwnProgram { source })?;
    settings.known_hosts.clone_from(&common.ssh_known_hosts);
    let scene = Real::open(&source, settings, wish.endpoint())?;
    let session = Session { command, printer, source: &source, wish: &wish, diagnostics, scene: &scene };
    real_time(async {
        let ended = session.carry_out().await;
        if matches!((command, &ended), (Command::Remove(_), Ok(Exit::Done))) {
            scene.leave_nothing().await;
        }
        scene.close().await;
        ended
    })
}

/// Runs on one thread whose time passes only while everybody waits: simulated minutes take no real time.
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
struct Session<'a, S> {
    command: &'a Command,
    printer: &'a Printer,
    source: &'a Source,
    wish: &'a Wish,
    /// What is to be said of cluster.yml, all of it warnings.
    diagnostics: Vec<Diagnostic>,
    scene: &'a S,
}

impl<S: Scene> Session<'_, S> {
    async fn carry_out(&self) -> Result<Exit, Trouble> {
        let exit = self.play().await;
        if self.command.common().stats
            && let Some(stats) = self.scene.stats()
        {
            self.printer.progress(&counts(&stats));
        }
        exit
    }

    async fn play(&self) -> Result<Exit, Trouble> {
        match self.command {
            Command::Plan(plan) => self.plan(plan.graph, plan.detailed_exitcode).await,
            Command::Up(_) => self.act(Goal::Converge, None).await,
            Command::CertRotate(rotate) => self.act(Goal::Reissue(rotate.selector()), None).await,
            Command::Remove(remove) => {
                let goal = Goal::Dismantle(remove.snapshots());
                let agreed = if remove.force { None } else { Some(self.agree(&goal).await?) };
                self.act(goal, agreed).await
            }
        }
    }

    /// `windlass plan`
    async fn plan(&self, language: Option<Graph>, detailed: bool) -> Result<Exit, Trouble> {
        let survey = self.survey(&Course::new(self.wish, Goal::Converge)).await?;
        let planning = &survey.planning;
        let exit = if planning.is_refused() {
            Exit::Failed
        } else if detailed && changes(&planning.plan) {
            Exit::Changes
        } else if planning.is_held() {
            Exit::Held
        } else {
            Exit::Done
        };
        if let Some(language) = language {
            let language = match language {
                Graph::Dot => Language::Dot,
                Graph::Mermaid => Language::Mermaid,
            };
            self.printer.result(&graph(&planning.plan, language));
            return Ok(exit);
        }
        self.printer.result(&self.table(&survey, &Goal::Converge, Stream::Output));
        self.printer.document(&PlanDocument::new(
            &self.wish.blueprint,
            &survey.observation.inventory,
            planning,
            &self.source.places(),
            &self.diagnostics,
            exit,
        ));
        Ok(exit)
    }

    /// Shows what `remove` would do, and asks whether it may; the plan, if it may.
    async fn agree(&self, goal: &Goal) -> Result<Plan, Trouble> {
        let survey = self.survey(&Course::new(self.wish, goal.clone())).await?;
        let nodes = counted(survey.observation.inventory.nodes.len(), "node");
        let cluster = &self.wish.blueprint.cluster;
        let question = format!(
            "\nThis removes the cluster \"{cluster}\" from {nodes}, with everything that runs in it. Type `yes` to remove it: "
        );
        if !survey.planning.plan.is_empty() {
            self.printer.progress(&self.table(&survey, goal, Stream::Progress));
            if !ask(&question) {
                return Err(Trouble::Declined);
            }
        }
        Ok(survey.planning.plan)
    }

    /// `windlass up`, `windlass cert-rotate`, `windlass remove`
    async fn act(&self, goal: Goal, known: Option<Plan>) -> Result<Exit, Trouble> {
        let Self { command, printer, source, wish, diagnostics, scene } = self;
        let course = Course::new(wish, goal.clone());
        let mut run = Run { blueprint: &wish.blueprint, dismantles: course.dismantles(), changed: false };
        scene.begin(run);
        let told = told(&goal, source);
        let progress = Progress::new(printer, source, wish.blueprint.clone(), &told, known);
        let interrupt = Interrupt::default();
        let signals = Signals::new().map_err(|source| Trouble::Signals { source })?;
        let conclusion = tokio::select! {
            conclusion = self.converge(&course, &progress, &interrupt) => {
                conclusion.map_err(|source| Trouble::Look { source })?
            }
            never = signals.obey(&interrupt) => match never {},
        };
        run.changed = !conclusion.reports.is_empty();
        for said in scene.end(run, conclusion.ledger.as_ref())? {
            printer.progress(&said);
        }
        let violations = scene.violations();
        let exit = exit_of(conclusion.end, &violations);
        let (plans, elapsed) = (progress.plans(), progress.elapsed());
        self.tell(&conclusion, &plans, elapsed, &told);
        for violation in &violations {
            printer.result(&format!("windlass did what it must never do: {violation}\n"));
        }
        let facts = RunFacts {
            command: command.name(),
            blueprint: &wish.blueprint,
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
            cluster: &self.wish.blueprint.cluster,
            planning: &survey.planning,
            sight: Sight::of(&survey.observation.inventory),
            detail: self.printer.plan_detail(),
            goal: &told(goal, self.source),
            page: self.printer.page_on(stream, &|path| position(path, &places), &self.source.short_name()),
        })
    }

    /// Looks and plans, and changes nothing.
    async fn survey(&self, course: &Course<'_>) -> Result<Survey, Trouble> {
        let mut assignment = self.wish.assignment(&self.wish.blueprint);
        let mut looks = 0;
        loop {
            looks += 1;
            let plan = |seen: &_| course.plan(seen, &assignment.scope);
            let survey =
                observe_and_plan(&self.scene.ports(), &assignment, plan, &Silence, Recover::InMemory)
                    .await
                    .map_err(|source| Trouble::Look { source })?;
            match course.take_wider() {
                Some(wider) if looks < LOOKS_FOR_SCOPE => assignment = wider,
                _ => return Ok(survey),
            }
        }
    }

    async fn converge(
        &self,
        course: &Course<'_>,
        progress: &Progress<'_>,
        interrupt: &Interrupt,
    ) -> PortResult<Conclusion> {
        let listener = Both(progress, self.scene.listener());
        let options = Options::default();
        let mut assignment: Assignment = self.wish.assignment(&self.wish.blueprint);
        let mut looks = 0;
        loop {
            looks += 1;
            let plan = |seen: &_| course.plan(seen, &assignment.scope);
            let conclusion =
                converge(&self.scene.ports(), &assignment, plan, &options, &listener, interrupt).await?;
            match course.take_wider() {
                Some(wider) if looks < LOOKS_FOR_SCOPE => assignment = wider,
                _ => return Ok(conclusion),
            }
        }
    }
}

/// What is so when the goal is reached.
fn told(goal: &Goal, source: &Source) -> String {
    match goal {
        Goal::Converge | Goal::Reissue(_) => format!("the cluster is as {} says", source.short_name()),
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

/// The signals by which an operator ends a run: from a terminal, and from whatever supervises it.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Makes every signal one request: the first finishes what runs, the second leaves.
    async fn obey(mut self, interrupt: &Interrupt) -> std::convert::Infallible {
        loop {
            tokio::select! {
                Some(()) = self.interrupt.recv() => {}
                Some(()) = self.terminate.recv() => {}
                else => std::future::pending().await,
            }
            interrupt.request();
        }
    }
}

/// How often the machines were asked, one line each, and how much memory this run took at most.
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

/// The most memory that this process has had at once, in bytes; none where the system does not tell.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    kibibytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1_024)
}
