//! `windlass etcd …`: its status, defragmentation, the leader, alarms; each looks at the nodes of etcd alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use windlass_course::{Course, Goal};
use windlass_engine::{
    Assignment, CareError, Cared, Clock as _, Defragmented, Disarmed, Event, Interrupt, Led,
    LedgerStore as _, Listener, Nodes as _, Urgency, defragment, disarm, make_leader, room_to_give,
    survey_etcd, with_leases,
};
use windlass_model::{Alarm, EtcdSurvey, LastNode, Ledger, NodeName, Role};

use crate::arguments::EtcdCommand;
use crate::command_error::CommandError;
use crate::commands::{Session, Signals};
use crate::etcd_status::{StatusDocument, bytes, status_text};
use crate::exit::Exit;
use crate::lock::this_run;
use crate::printer::Printer;
use crate::scene::Scene;

/// What was done about etcd, for programs.
#[derive(Debug, Serialize)]
struct CareDocument {
    schema: &'static str,
    exit: u8,
    command: &'static str,
    /// Why it ended early; `null` if all was done.
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    defragmented: Option<Vec<DefragmentedDocument>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would_give: Option<Vec<RoomDocument>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compacted_to: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disarmed: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<LeaderDocument>,
}

#[derive(Debug, Serialize)]
struct DefragmentedDocument {
    node: NodeName,
    bytes_before: u64,
    bytes_after: u64,
}

#[derive(Debug, Serialize)]
struct RoomDocument {
    node: NodeName,
    db_bytes: u64,
    free_bytes: u64,
}

#[derive(Debug, Serialize)]
struct LeaderDocument {
    before: Option<NodeName>,
    now: NodeName,
}

impl CareDocument {
    fn new(command: &'static str, failed: Option<&CareError>) -> Self {
        Self {
            schema: "windlass/etcd-care/1",
            exit: exit_of(failed).code(),
            command,
            error: failed.map(chain),
            defragmented: None,
            would_give: None,
            compacted_to: None,
            disarmed: None,
            leader: None,
        }
    }
}

impl From<&Defragmented> for DefragmentedDocument {
    fn from(done: &Defragmented) -> Self {
        let Defragmented { node, bytes_before, bytes_after } = done;
        Self { node: node.clone(), bytes_before: *bytes_before, bytes_after: *bytes_after }
    }
}

fn exit_of(failed: Option<&CareError>) -> Exit {
    if failed.is_some() { Exit::Failed } else { Exit::Done }
}

/// An error with its causes, in one line.
fn chain(error: &CareError) -> String {
    match error {
        CareError::Verb { what, source } => format!("{what}: {source}"),
        other => other.to_string(),
    }
}

/// What to do about an error.
fn help(error: &CareError) -> &'static str {
    match error {
        CareError::NoMajority => {
            "`windlass etcd status` names the members that do not answer; bring their nodes back, and run `windlass up`"
        }
        CareError::NoMember { .. } | CareError::Learner { .. } => {
            "`windlass etcd status` shows the members, and which of them vote"
        }
        CareError::Unwell { .. } => {
            "nothing is done to one member while another is ill: `windlass plan` says what `windlass up` would do"
        }
        CareError::Corrupt { .. } => {
            "which of them is right no program can know: take a snapshot of each member, and see the guide on backup and restore"
        }
        CareError::StillFull { .. } | CareError::RaisedAgain => {
            "delete what fills etcd (`windlass etcd snapshot list --output json` counts keys by kind), or raise \
             `quota-backend-bytes` in `services.etcd.extra_args` and run `windlass up`; then run this again"
        }
        CareError::Verb { .. } | CareError::Late { .. } | CareError::Interrupted => {
            "nothing is left half done: run it again when `windlass etcd status` finds nothing wrong"
        }
    }
}

impl<S: Scene> Session<'_, S> {
    /// `windlass etcd …`
    pub(crate) async fn etcd(&self, command: &EtcdCommand) -> Result<Exit, CommandError> {
        if let EtcdCommand::Snapshot(snapshot) = command {
            return self.snapshot(snapshot).await;
        }
        if self.desired.ordinary().etcd.is_external() {
            return Err(CommandError::ExternalEtcd);
        }
        match command {
            EtcdCommand::Snapshot(snapshot) => self.snapshot(snapshot).await,
            EtcdCommand::Status(_) => self.etcd_status().await,
            EtcdCommand::Defrag(arguments) if arguments.plan => self.etcd_room().await,
            EtcdCommand::Defrag(_) => self.etcd_defrag().await,
            EtcdCommand::MoveLeader(arguments) => {
                self.etcd_move_leader(&NodeName::from(arguments.node.as_str())).await
            }
            EtcdCommand::Disarm(_) => self.etcd_disarm().await,
            EtcdCommand::Recover(arguments) => Box::pin(self.etcd_recover(arguments)).await,
        }
    }

    fn etcd_assignment(&self) -> Assignment {
        Course::new(self.desired, Goal::Converge).assignment()
    }

    pub(crate) fn own_ledger(&self) -> Result<Ledger, CommandError> {
        let ledger = self.scene.ports().ledger.read().map_err(|source| CommandError::Look { source })?;
        let ledger = ledger.ok_or(CommandError::NoLedger)?;
        self.scene.ports().fleet.entrust(&ledger);
        Ok(ledger)
    }

    /// What is seen of etcd now.
    pub(crate) async fn etcd_survey(&self) -> Result<EtcdSurvey, CommandError> {
        let ports = self.scene.ports();
        let ledger = self.own_ledger()?;
        Ok(survey_etcd(ports.fleet, &self.etcd_assignment(), Some(&ledger), ports.clock.now()).await)
    }

    /// `windlass etcd status`
    async fn etcd_status(&self) -> Result<Exit, CommandError> {
        let survey = self.etcd_survey().await?;
        let problems = survey.problems();
        let exit = if problems.is_empty() { Exit::Done } else { Exit::Failed };
        let cluster = &self.desired.ordinary().cluster;
        self.printer.detail(&status_text(cluster, &survey));
        self.printer.result(&problem_lines(&problems));
        self.printer.document(&StatusDocument::new(cluster, &survey, &problems, exit));
        Ok(exit)
    }

    /// `windlass etcd defrag --plan`
    async fn etcd_room(&self) -> Result<Exit, CommandError> {
        let nodes = self.nodes_of_etcd(&self.own_ledger()?);
        let room = room_to_give(self.scene.ports().fleet, &nodes).await;
        let mut document = CareDocument::new("etcd defrag --plan", room.as_ref().err());
        if let Ok(room) = &room {
            let mut text = String::new();
            for (node, all, free) in room {
                let _ = writeln!(text, "{node}: {} of {} would be given back", bytes(*free), bytes(*all));
            }
            self.printer.result(&text);
            document.would_give = Some(
                room.iter()
                    .map(|(node, db_bytes, free_bytes)| RoomDocument {
                        node: node.clone(),
                        db_bytes: *db_bytes,
                        free_bytes: *free_bytes,
                    })
                    .collect(),
            );
        }
        self.tell_failure(room.as_ref().err());
        self.printer.document(&document);
        Ok(exit_of(room.as_ref().err()))
    }

    /// `windlass etcd defrag`
    async fn etcd_defrag(&self) -> Result<Exit, CommandError> {
        let printer = self.printer;
        let fleet = self.scene.ports().fleet;
        let interrupted = || Cared { done: Vec::new(), failed: Some(CareError::Interrupted) };
        let cared = self
            .caring(interrupted, async |nodes, interrupt| {
                defragment(fleet, &nodes, interrupt, |one| printer.progress(&defragmented_line(one))).await
            })
            .await?;
        let Cared { done, failed } = cared;
        let mut document = CareDocument::new("etcd defrag", failed.as_ref());
        document.defragmented = Some(done.iter().map(DefragmentedDocument::from).collect());
        if failed.is_none() || !done.is_empty() {
            printer.result(&defragmented_total(&done));
        }
        self.end_care(&document, failed.as_ref(), !done.is_empty())
    }

    /// `windlass etcd move-leader`
    async fn etcd_move_leader(&self, target: &NodeName) -> Result<Exit, CommandError> {
        let fleet = self.scene.ports().fleet;
        let led = self
            .caring(|| Err(CareError::Interrupted), async |nodes, _| make_leader(fleet, &nodes, target).await)
            .await?;
        let mut document = CareDocument::new("etcd move-leader", led.as_ref().err());
        if let Ok(Led { before, now }) = &led {
            let text = match before {
                Some(before) if before == now => format!("{now} leads already\n"),
                Some(before) => format!("{now} leads; {before} did before\n"),
                None => format!("{now} leads\n"),
            };
            self.printer.result(&text);
            document.leader = Some(LeaderDocument { before: before.clone(), now: now.clone() });
        }
        self.end_care(&document, led.as_ref().err(), led.is_ok())
    }

    /// `windlass etcd disarm`
    async fn etcd_disarm(&self) -> Result<Exit, CommandError> {
        let printer = self.printer;
        let fleet = self.scene.ports().fleet;
        let interrupted = || Cared { done: Disarmed::default(), failed: Some(CareError::Interrupted) };
        let cared = self
            .caring(interrupted, async |nodes, interrupt| {
                disarm(fleet, &nodes, interrupt, |one| printer.progress(&defragmented_line(one))).await
            })
            .await?;
        let Cared { done: Disarmed { compacted, defragmented, disarmed }, failed } = cared;
        let mut document = CareDocument::new("etcd disarm", failed.as_ref());
        document.defragmented = Some(defragmented.iter().map(DefragmentedDocument::from).collect());
        document.compacted_to = compacted;
        document.disarmed = Some(disarmed.clone());
        let mut text = String::new();
        if let Some(revision) = compacted {
            let _ = writeln!(text, "compacted to revision {revision}");
            text.push_str(&defragmented_total(&defragmented));
        }
        if !disarmed.is_empty() {
            let _ = writeln!(text, "{} lifted of {}", Alarm::NoSpace, disarmed.join(", "));
        } else if failed.is_none() {
            text.push_str("no alarm is raised\n");
        }
        printer.result(&text);
        self.end_care(&document, failed.as_ref(), compacted.is_some())
    }

    fn end_care(
        &self,
        document: &CareDocument,
        failed: Option<&CareError>,
        changed: bool,
    ) -> Result<Exit, CommandError> {
        self.tell_failure(failed);
        self.keep(if changed { Exit::Done } else { Exit::Failed })?;
        self.printer.document(document);
        Ok(exit_of(failed))
    }

    fn tell_failure(&self, failed: Option<&CareError>) {
        if let Some(error) = failed {
            self.printer.result(&format!("failed: {}\n  {}\n", chain(error), help(error)));
        }
    }

    /// The nodes that may have a member, with its peer address.
    pub(crate) fn nodes_of_etcd(&self, ledger: &Ledger) -> BTreeMap<NodeName, String> {
        let fleet = self.scene.ports().fleet;
        let mut nodes: BTreeMap<NodeName, LastNode> = ledger.nodes.clone();
        nodes.extend(self.desired.ordinary().last_nodes());
        for (name, last) in &nodes {
            fleet.enrol(name, last);
        }
        let of_etcd = nodes.into_iter().filter(|(_, last)| last.roles.contains(&Role::Etcd));
        of_etcd.map(|(name, last)| (name, last.target.peer_url())).collect()
    }

    /// Does something to etcd while this run has its leases, until it is interrupted twice.
    pub(crate) async fn caring<T>(
        &self,
        interrupted: impl FnOnce() -> T,
        work: impl AsyncFnOnce(BTreeMap<NodeName, String>, &Interrupt) -> T,
    ) -> Result<T, CommandError> {
        let ports = self.scene.ports();
        let ledger = self.own_ledger()?;
        let nodes = self.nodes_of_etcd(&ledger);
        let keepers: Vec<NodeName> = ledger
            .nodes
            .iter()
            .filter(|(_, last)| last.roles.contains(&Role::ControlPlane))
            .map(named)
            .collect();
        let holder = this_run(self.command.name(), ports.clock.now());
        let interrupt = Interrupt::default();
        let signals = Signals::new().map_err(|source| CommandError::Signals { source })?;
        let listener = Shown(self.printer);
        let done =
            with_leases(ports.fleet, &keepers, &holder, &listener, &interrupt, work(nodes, &interrupt));
        tokio::select! {
            done = done => done.map_err(|another| CommandError::Taken { node: another.node, holder: another.holder }),
            () = interrupt.reached(Urgency::Leave) => Ok(interrupted()),
            never = signals.obey(&interrupt) => match never {},
        }
    }
}

fn named((name, _): (&NodeName, &LastNode)) -> NodeName {
    name.clone()
}

fn problem_lines(problems: &[windlass_model::EtcdProblem]) -> String {
    if problems.is_empty() {
        return "nothing is wrong\n".to_owned();
    }
    let mut text = String::new();
    for problem in problems {
        let _ = writeln!(text, "wrong: {problem}\n  {}", problem.help());
    }
    text
}

fn defragmented_line(done: &Defragmented) -> String {
    let Defragmented { node, bytes_before, bytes_after } = done;
    let given = bytes_before.saturating_sub(*bytes_after);
    format!("{node}: {} given back, {} are left\n", bytes(given), bytes(*bytes_after))
}

fn defragmented_total(done: &[Defragmented]) -> String {
    let given: u64 = done.iter().map(|one| one.bytes_before.saturating_sub(one.bytes_after)).sum();
    let members = windlass_model::counted(done.len(), "member");
    format!("defragmented {members}: {} given back in all\n", bytes(given))
}

/// Says what a person should know of leases.
struct Shown<'p>(&'p Printer);

impl Listener for Shown<'_> {
    fn hear(&self, event: Event<'_>) {
        match event {
            Event::LeaseNotTaken { node, error } => self
                .0
                .progress(&format!("no lease on {node}, so other runs are not kept away there: {error}\n")),
            Event::LeasesLost => {
                self.0
                    .progress("this run lost its leases, so another may begin: it ends after this member\n");
            }
            _ => {}
        }
    }
}
