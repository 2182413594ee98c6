//! A fleet, a ledger store, a minter and a clock in one: in memory, scripted, recording every verb.

mod cluster;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use windlass_engine::{
    Assignment, Clock, Event, Execution, FilePut, Interrupt, LedgerStore, Limits, Listener, LookScope,
    Minter, NewContainer, Nodes, PodSeen, PortError, PortResult, Ports, Traces, decode, encode,
};
use windlass_model::{
    CertName, ContainerName, ContainerSeen, ContainerState, DesiredCert, DesiredKernel, EtcdData, FilePath,
    FileSeen, Footprint, Footprints, Health, ImageRef, LastNode, Ledger, LedgerCopy, Lineage, Maker,
    MemberId, MemberSeen, Mode, NodeFacts, NodeName, NodeObject, NodeTarget, ObjectsSeen, Outcome, Owner,
    Plan, Readiness, Role, Secret, StoredCert, Timestamp, Vote,
};

/// The time of everything.
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000);
/// Where nodes keep their copy of the ledger.
pub(crate) const COPY: &str = "/etc/kubernetes/windlass/ledger.json";

/// What happens to a verb instead of success.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It fails without effect.
    Before(PortError),
    /// It takes effect, and fails.
    After(PortError),
    /// It never returns, and has no effect.
    HangsBefore,
    /// It takes effect, and never returns.
    HangsAfter,
}

/// The world in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// Containers by node and name.
    pub(crate) containers: BTreeMap<(String, String), ContainerSeen>,
    /// Arguments for the creation of a container's data.
    pub(crate) births: BTreeMap<(String, String), Vec<Arc<str>>>,
    /// Files by node and path.
    pub(crate) files: BTreeMap<(String, String), Vec<u8>>,
    /// The members of etcd; silent if there are none.
    pub(crate) members: Vec<MemberSeen>,
    /// Whether nodes hold the data of a member.
    pub(crate) etcd_data: EtcdData,
    /// Node objects.
    pub(crate) objects: BTreeMap<NodeName, NodeObject>,
    /// Objects of add-ons.
    pub(crate) addon_objects: ObjectsSeen,
    /// Whether no API server answers.
    pub(crate) kube_is_silent: bool,
    /// Pods by node, with what an eviction does to them.
    pub(crate) pods: BTreeMap<String, BTreeMap<PodSeen, Evicted>>,
    /// The operator's ledger.
    pub(crate) ledger: Option<Ledger>,
    /// The serial of the ledger whose keys were set last.
    pub(crate) entrusted: Option<u64>,
    /// Nodes that were enrolled.
    pub(crate) enrolled: BTreeMap<NodeName, LastNode>,
    /// The leases that runs of other machines have.
    pub(crate) leases_of_others: BTreeMap<NodeName, String>,
    /// The leases of this run.
    pub(crate) leases: BTreeSet<NodeName>,
    /// Whether somebody ends the leases of this run.
    pub(crate) leases_end: bool,
}

/// What an eviction does to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evicted {
    /// It is gone at once.
    Goes,
    /// It ends after some time.
    Ends,
    /// A budget blocks it for this many more attempts.
    Blocked(u32),
}

/// The fleet, the store, the minter, the clock and the listener.
#[derive(Debug)]
pub(crate) struct Fake {
    world: Mutex<World>,
    log: Mutex<Vec<String>>,
    faults: Mutex<Vec<(String, u32, Fault)>>,
    /// The verb, counted from zero, that fails in this way whatever it is.
    cut: Mutex<Option<(usize, Fault)>>,
    verbs: Mutex<usize>,
    busy: Mutex<Busy>,
    takes: Duration,
    start: Instant,
}

/// How many verbs were under way at once.
#[derive(Clone, Debug, Default)]
struct Busy {
    now: BTreeMap<String, usize>,
    most_on_a_node: usize,
    most_in_all: usize,
}

impl Fake {
    /// An empty world in which verbs take no time.
    pub(crate) fn new() -> Self {
        Self {
            world: Mutex::default(),
            log: Mutex::default(),
            faults: Mutex::default(),
            cut: Mutex::default(),
            verbs: Mutex::default(),
            busy: Mutex::default(),
            takes: Duration::ZERO,
            start: Instant::now(),
        }
    }

    /// Every verb takes this long.
    pub(crate) fn slow(mut self, takes: Duration) -> Self {
        self.takes = takes;
        self
    }

    /// This world instead of an empty one.
    pub(crate) fn with(self, world: World) -> Self {
        *self.world() = world;
        self
    }

    /// The world, to be read or changed.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The next `times` verbs that are recorded as `verb` fail in this way.
    pub(crate) fn fault(&self, verb: &str, times: u32, fault: Fault) {
        self.faults.lock().unwrap().push((verb.to_owned(), times, fault));
    }

    /// The verb of this number fails in this way.
    pub(crate) fn cut(&self, verb: usize, fault: Fault) {
        *self.cut.lock().unwrap() = Some((verb, fault));
    }

    /// How many verbs there were.
    pub(crate) fn verbs(&self) -> usize {
        *self.verbs.lock().unwrap()
    }

    /// How many verbs were under way at once, on a node and in all.
    pub(crate) fn busiest(&self) -> (usize, usize) {
        let busy = self.busy.lock().unwrap();
        (busy.most_on_a_node, busy.most_in_all)
    }

    /// Everything that was recorded, and clears the record.
    pub(crate) fn take_log(&self) -> String {
        let lines = std::mem::take(&mut *self.log.lock().unwrap());
        lines.into_iter().fold(String::new(), |text, line| text + &line + "\n")
    }

    /// Carries out a plan with the ledger in the store.
    pub(crate) async fn execute(&self, plan: &Plan, assignment: &Assignment, limits: &Limits) -> Execution {
        self.execute_until(plan, assignment, limits, &Interrupt::default()).await
    }

    /// Carries out a plan that may be interrupted.
    pub(crate) async fn execute_until(
        &self,
        plan: &Plan,
        assignment: &Assignment,
        limits: &Limits,
        interrupt: &Interrupt,
    ) -> Execution {
        let ledger = self.world().ledger.clone();
        windlass_engine::execute(plan, ledger, &self.ports(), assignment, limits, self, interrupt).await
    }

    /// Itself, as all ports of the engine.
    pub(crate) fn ports(&self) -> Ports<'_, Self, Self, Self, Self> {
        Ports { fleet: self, ledger: self, minter: self, clock: self }
    }

    fn write_down(&self, line: &str) {
        let seconds = self.start.elapsed().as_secs_f64();
        self.log.lock().unwrap().push(format!("{seconds:6.1}  {line}"));
    }

    fn fault_of(&self, verb: &str) -> Option<Fault> {
        let number = {
            let mut verbs = self.verbs.lock().unwrap();
            *verbs += 1;
            *verbs - 1
        };
        if let Some((_, fault)) = self.cut.lock().unwrap().as_ref().filter(|(cut, _)| *cut == number) {
            return Some(fault.clone());
        }
        let mut faults = self.faults.lock().unwrap();
        let (_, times, fault) = faults.iter_mut().find(|(of, times, _)| of == verb && *times > 0)?;
        *times -= 1;
        Some(fault.clone())
    }

    pub(crate) async fn verb<T>(
        &self,
        place: &str,
        verb: String,
        effect: impl FnOnce(&mut World) -> PortResult<T>,
    ) -> PortResult<T> {
        let fault = self.fault_of(&verb);
        self.write_down(&format!("  {verb}"));
        self.begin(place);
        sleep(self.takes).await;
        let result = match fault {
            None => effect(&mut self.world()),
            Some(Fault::Before(error)) => Err(error),
            Some(Fault::After(error)) => effect(&mut self.world()).and(Err(error)),
            Some(Fault::HangsBefore) => std::future::pending().await,
            Some(Fault::HangsAfter) => {
                let _ = effect(&mut self.world());
                std::future::pending().await
            }
        };
        *self.busy.lock().unwrap().now.get_mut(place).unwrap() -= 1;
        if let Err(error) = &result {
            self.write_down(&format!("  {verb}: {error}"));
        }
        result
    }

    fn begin(&self, place: &str) {
        let mut busy = self.busy.lock().unwrap();
        *busy.now.entry(place.to_owned()).or_default() += 1;
        let (here, all) = (busy.now[place], busy.now.values().sum());
        busy.most_on_a_node = busy.most_on_a_node.max(here);
        busy.most_in_all = busy.most_in_all.max(all);
    }

    /// A verb on a container that must exist.
    async fn on_container<T>(
        &self,
        node: &NodeName,
        name: &ContainerName,
        verb: &str,
        effect: impl FnOnce(&mut ContainerSeen) -> PortResult<T>,
    ) -> PortResult<T> {
        let key = (node.to_string(), name.to_string());
        self.verb(node.as_str(), format!("{node} {verb} {name}"), |world| {
            match world.containers.get_mut(&key) {
                None => Err(lasting(&format!("no such container: {name}"))),
                Some(container) => effect(container),
            }
        })
        .await
    }
}

/// A passing error.
pub(crate) fn passing(what: &str) -> PortError {
    PortError::Passing { what: what.to_owned() }
}

/// A lasting error.
pub(crate) fn lasting(what: &str) -> PortError {
    PortError::Lasting { what: what.to_owned() }
}

/// An effect that existed already.
pub(crate) fn already(what: &str) -> PortError {
    PortError::AlreadySo { what: what.to_owned() }
}

/// A node of these roles at `10.0.0.<number>`.
pub(crate) fn last_node(number: u8, roles: &[Role]) -> LastNode {
    let target = NodeTarget {
        address: format!("lab-{number}"),
        port: 22,
        user: "operator".to_owned(),
        internal_address: format!("10.0.0.{number}"),
        docker_socket: FilePath::from("/var/run/docker.sock"),
        key_path: None,
    };
    LastNode { target, roles: roles.iter().copied().collect(), prefix: None, etcd: None }
}

/// `node-1`, `node-2` and so on, all of them etcd and control plane.
pub(crate) fn assignment(nodes: u8) -> Assignment {
    let nodes = (1..=nodes)
        .map(|number| (node(number), last_node(number, &[Role::Etcd, Role::ControlPlane])))
        .collect();
    let ordinary = Footprint { ledger: FilePath::from(COPY), ..Footprint::default() };
    let footprints = Arc::new(Footprints { ordinary, ..Footprints::default() });
    let scope = LookScope { footprints, ..LookScope::default() };
    Assignment { nodes, scope, objects: Arc::default(), secrets: BTreeMap::new() }
}

/// `node-<number>`.
pub(crate) fn node(number: u8) -> NodeName {
    NodeName::from(format!("node-{number}"))
}

/// A healthy voter for each health; the first leads.
pub(crate) fn voters(healths: &[Health]) -> Vec<MemberSeen> {
    let mut members: Vec<MemberSeen> = (1..)
        .zip(healths)
        .map(|(number, health)| MemberSeen {
            id: MemberId(number),
            name: format!("node-{number}"),
            peer_url: format!("https://10.0.0.{number}:2380"),
            vote: Vote::Voter,
            health: *health,
            leads: false,
            alarms: std::collections::BTreeSet::new(),
            db_bytes: None,
        })
        .collect();
    if let Some(leader) = members.iter_mut().find(|member| member.health == Health::Healthy) {
        leader.leads = true;
    }
    members
}

/// A node object that is ready and schedulable.
pub(crate) fn ready_object() -> NodeObject {
    NodeObject { ready: Readiness::Ready, ..NodeObject::default() }
}

/// Compares a text with a file beside the tests; with `UPDATE=1` in the environment writes the file.
pub(crate) fn assert_frozen(name: &str, text: &str) {
    let path = format!("{}/tests/engine/frozen/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let frozen = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, frozen, "differs from {path}");
}

/// The result of every step, a line each, with causes and logs.
pub(crate) fn reported(execution: &Execution) -> String {
    let mut text = String::new();
    for (id, outcome) in &execution.report.outcomes {
        match outcome {
            Outcome::Done => writeln!(text, "{id}: done").unwrap(),
            Outcome::Interrupted => writeln!(text, "{id}: interrupted").unwrap(),
            Outcome::Skipped { because } => writeln!(text, "{id}: skipped because of {because}").unwrap(),
            Outcome::Failed(failure) => {
                writeln!(text, "{id}: failed, tried {} times", failure.attempts).unwrap();
                for cause in &failure.causes {
                    writeln!(text, "    {cause}").unwrap();
                }
                for line in &failure.log {
                    writeln!(text, "    | {line}").unwrap();
                }
            }
        }
    }
    text
}

impl Listener for Fake {
    fn hear(&self, event: Event<'_>) {
        self.write_down(&match event {
            Event::LookBegins { round } => format!("look {round}"),
            Event::Looked { inventory } => format!("looked: {} nodes", inventory.nodes.len()),
            Event::LedgerRecovered { from, serial } => {
                format!("ledger recovered from {from}: serial {serial}")
            }
            Event::Planned { round, planning } => {
                format!(
                    "plan {round}: {} steps, {} findings",
                    planning.plan.steps.len(),
                    planning.findings.len()
                )
            }
            Event::StepBegins { step } => format!("{} begins", step.id),
            Event::StepWaits { step, attempt, error, delay } => {
                format!("{} waits {delay:?} after attempt {attempt}: {error}", step.id)
            }
            Event::StepEnds { step, outcome } => {
                let outcome = match outcome {
                    Outcome::Done => "done",
                    Outcome::Failed(_) => "failed",
                    Outcome::Skipped { .. } => "skipped",
                    Outcome::Interrupted => "interrupted",
                };
                format!("{} ends: {outcome}", step.id)
            }
            Event::LeaseNotTaken { node, error } => format!("no lease on {node}: {error}"),
            Event::LeasesLost => "leases lost".to_owned(),
            Event::Interrupted => "interrupted".to_owned(),
        });
    }
}

impl Nodes for Fake {
    fn entrust(&self, ledger: &Ledger) {
        self.world().entrusted = Some(ledger.serial);
    }

    fn enrol(&self, node: &NodeName, last: &LastNode) {
        self.world().enrolled.insert(node.clone(), last.clone());
    }

    async fn look(&self, node: &NodeName, scope: &LookScope, _traces: Traces) -> PortResult<NodeFacts> {
        self.verb(node.as_str(), format!("{node} look"), |world| {
            let here = |at: &str| at == node.as_str();
            let copy = world.files.get(&(node.to_string(), scope.footprints.ordinary.ledger.to_string()));
            let ledger = copy.map(|bytes| match decode(bytes) {
                Ok(ledger) => LedgerCopy { lineage: ledger.lineage, serial: ledger.serial },
                Err(_) => LedgerCopy { lineage: Lineage::from("blue"), serial: 9 },
            });
            let containers = world
                .containers
                .iter()
                .filter(|((at, _), _)| here(at))
                .map(|((_, name), seen)| (ContainerName::from(name.as_str()), seen.clone()))
                .collect();
            let files = world
                .files
                .iter()
                .filter(|((at, path), _)| here(at) && scope.files.contains(path.as_str()))
                .map(|((_, path), bytes)| {
                    let digest = windlass_model::Digest::of(bytes);
                    let seen = FileSeen { digest, mode: Mode::PUBLIC, owner: Owner::default() };
                    (FilePath::from(path.as_str()), seen)
                })
                .collect();
            let etcd_data = world.etcd_data;
            Ok(NodeFacts { containers, files, ledger, etcd_data, ..NodeFacts::default() })
        })
        .await
    }

    async fn container(&self, node: &NodeName, name: &ContainerName) -> PortResult<Option<ContainerSeen>> {
        let key = (node.to_string(), name.to_string());
        self.verb(node.as_str(), format!("{node} container {name}"), |world| {
            Ok(world.containers.get(&key).cloned())
        })
        .await
    }

    async fn set_kernel(&self, node: &NodeName, kernel: &DesiredKernel) -> PortResult<()> {
        let settings: Vec<String> =
            kernel.sysctls.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.verb(node.as_str(), format!("{node} set kernel {}", settings.join(" ")), |_| Ok(())).await
    }

    async fn pull(&self, node: &NodeName, image: &ImageRef) -> PortResult<()> {
        self.verb(node.as_str(), format!("{node} pull {image}"), |_| Ok(())).await
    }

    async fn create(&self, node: &NodeName, name: &ContainerName, new: &NewContainer) -> PortResult<()> {
        let key = (node.to_string(), name.to_string());
        self.verb(node.as_str(), format!("{node} create {name}"), |world| {
            if world.containers.contains_key(&key) {
                return Err(lasting(&format!("the name {name} is in use")));
            }
            world.births.insert(key.clone(), new.birth.clone());
            world.containers.insert(
                key,
                ContainerSeen {
                    spec: new.spec.clone(),
                    birth: new.birth.clone(),
                    maker: Maker::Windlass,
                    lineage: new.lineage.clone(),
                    state: ContainerState::Created,
                    health: Health::Unhealthy,
                    loaded: new.loaded.clone(),
                    ending: None,
                },
            );
            Ok(())
        })
        .await
    }

    async fn hand_over(&self, node: &NodeName, directory: &FilePath, owner: Owner) -> PortResult<()> {
        self.verb(node.as_str(), format!("{node} hand over {directory} to {owner}"), |_| Ok(())).await
    }

    async fn start(&self, node: &NodeName, name: &ContainerName) -> PortResult<()> {
        self.on_container(node, name, "start", |container| {
            if container.state == ContainerState::Running {
                return Err(already("it runs"));
            }
            container.state = ContainerState::Running;
            container.health = Health::Healthy;
            Ok(())
        })
        .await
    }

    async fn stop(&self, node: &NodeName, name: &ContainerName) -> PortResult<()> {
        let key = (node.to_string(), name.to_string());
        self.verb(node.as_str(), format!("{node} stop {name}"), |world| {
            match world.containers.get_mut(&key) {
                None => Err(lasting("no such container")),
                Some(container) => {
                    container.state = ContainerState::Stopped;
                    container.health = Health::Unhealthy;
                    Ok(())
                }
            }
        })
        .await
    }

    async fn rename(&self, node: &NodeName, from: &ContainerName, to: &ContainerName) -> PortResult<()> {
        let key = |name: &ContainerName| (node.to_string(), name.to_string());
        self.verb(node.as_str(), format!("{node} rename {from} {to}"), |world| {
            if world.containers.contains_key(&key(to)) {
                return Err(lasting(&format!("the name {to} is in use")));
            }
            let container =
                world.containers.remove(&key(from)).ok_or_else(|| lasting("no such container"))?;
            let birth = world.births.remove(&key(from)).unwrap_or_default();
            world.containers.insert(key(to), container);
            world.births.insert(key(to), birth);
            Ok(())
        })
        .await
    }

    async fn remove(&self, node: &NodeName, name: &ContainerName) -> PortResult<()> {
        let key = (node.to_string(), name.to_string());
        self.verb(node.as_str(), format!("{node} remove {name}"), |world| match world.containers.get(&key) {
            None => Ok(()),
            Some(container) if container.state == ContainerState::Running => Err(lasting("it runs")),
            Some(_) => {
                world.containers.remove(&key);
                world.births.remove(&key);
                Ok(())
            }
        })
        .await
    }

    async fn reload(&self, node: &NodeName, name: &ContainerName) -> PortResult<()> {
        self.on_container(node, name, "reload", |_| Ok(())).await
    }

    async fn log_tail(&self, node: &NodeName, name: &ContainerName, lines: usize) -> PortResult<Vec<String>> {
        self.on_container(node, name, "log", |_| Ok((0..=lines).map(|line| format!("line {line}")).collect()))
            .await
    }

    async fn put_files(&self, node: &NodeName, files: &[FilePut]) -> PortResult<()> {
        let reported: Vec<String> = files
            .iter()
            .map(|put| {
                let text = String::from_utf8_lossy(put.content.expose());
                let shown =
                    if text.len() > 40 { format!("{} lines", text.lines().count()) } else { text.into() };
                format!("{}={shown}", put.path)
            })
            .collect();
        self.verb(node.as_str(), format!("{node} put {}", reported.join(" ")), |world| {
            for FilePut { path, content, mode: _, owner: _ } in files {
                world.files.insert((node.to_string(), path.to_string()), content.expose().clone());
            }
            Ok(())
        })
        .await
    }

    async fn read_file(&self, node: &NodeName, path: &FilePath) -> PortResult<Option<Secret<Vec<u8>>>> {
        let key = (node.to_string(), path.to_string());
        self.verb(node.as_str(), format!("{node} read {path}"), |world| {
            Ok(world.files.get(&key).cloned().map(Secret::new))
        })
        .await
    }

    async fn remove_paths(&self, node: &NodeName, paths: &BTreeSet<FilePath>) -> PortResult<()> {
        self.verb(node.as_str(), format!("{node} remove paths {paths:?}"), |_| Ok(())).await
    }

    async fn move_aside(&self, node: &NodeName, path: &FilePath, to: &FilePath) -> PortResult<()> {
        self.verb(node.as_str(), format!("{node} move {path} {to}"), |_| Ok(())).await
    }

    async fn remove_pods(
        &self,
        node: &NodeName,
        _kubelet: &FilePath,
        _keep: Option<windlass_model::PodRuntime>,
    ) -> PortResult<()> {
        self.verb(node.as_str(), format!("{node} remove pods"), |_| Ok(())).await
    }
}

impl LedgerStore for Fake {
    fn read(&self) -> PortResult<Option<Ledger>> {
        Ok(self.world().ledger.clone())
    }

    fn commit(&self, ledger: &Ledger) -> PortResult<()> {
        let certs: Vec<&str> = ledger.certs.keys().map(CertName::as_str).collect();
        let verb = format!("ledger commit {} serial {} [{}]", ledger.lineage, ledger.serial, certs.join(" "));
        self.write_down(&format!("  {verb}"));
        if let Some(Fault::Before(error)) = self.fault_of(&verb) {
            return Err(error);
        }
        self.world().ledger = Some(ledger.clone());
        Ok(())
    }

    fn keep_recovery_key(&self, _: &Ledger) -> PortResult<()> {
        Ok(())
    }

    fn delete(&self) -> PortResult<()> {
        self.write_down("  ledger delete");
        self.world().ledger = None;
        Ok(())
    }
}

impl Minter for Fake {
    fn lineage(&self) -> Lineage {
        self.write_down("  new lineage");
        Lineage::from("blue")
    }

    fn mint(
        &self,
        name: &CertName,
        desired: &DesiredCert,
        issuer: Option<&StoredCert>,
        now: Timestamp,
    ) -> PortResult<StoredCert> {
        let by = issuer.map_or_else(|| "itself".to_owned(), |issuer| issuer.certificate.clone());
        self.write_down(&format!("  mint {name} signed by {by}"));
        Ok(StoredCert {
            desired: desired.clone(),
            certificate: format!("cert of {name}"),
            key: Secret::new(format!("key of {name}")),
            issued_at: Some(now),
            not_before: now,
            not_after: now.plus_days(desired.valid_days),
            issuer: issuer.map(|issuer| windlass_engine::face_of(issuer).certificate),
        })
    }
}

impl Clock for Fake {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// A ledger of this lineage and serial, as a node holds a copy of it.
pub(crate) fn copy_of(ledger: &Ledger) -> Vec<u8> {
    encode(ledger).expose().clone()
}
