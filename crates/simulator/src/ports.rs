//! The ports of the engine, on the world in memory.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use windlass_engine::{
    Clock, Etcd, Event, Eviction, FilePut, Kube, Listener, LookScope, NewContainer, Nodes, PodSeen,
    PortResult, Traces,
};
use windlass_model::{
    CertName, ContainerName, ContainerSeen, DesiredKernel, DesiredObject, DrainOptions, EtcdSeen, FilePath,
    ImageRef, KeptRoots, KubeSeen, LastNode, Ledger, MemberId, NodeFacts, NodeName, NodeObject, ObjectChange,
    ObjectRef, ObjectsSeen, Outcome as StepOutcome, Owner, PodRuntime, Secret, StoredCert, Timestamp,
};

use crate::faults::FaultSchedule;
use crate::files::FileState;
use crate::invariants::Deed;
use crate::run::{Outcome, RolloutRules, Verb};
use crate::story::Object;
use crate::world::{World, lasting};

/// A handle on a world behind the ports of the engine; clones are handles on the same world.
///
/// *Assumes* a single-threaded runtime with paused time, as [`run`] creates it.
#[derive(Clone, Debug)]
pub struct SimFleet {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    died: Notify,
}

/// After how long no verb is running any more when the operator's machine has died: longer than any verb
/// takes.
const LAST_ARRIVAL: Duration = Duration::from_secs(10);

/// Runs a future on a single-threaded runtime whose time passes only while every task waits.
pub fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without files and sockets needs nothing that could be missing")
        .block_on(future)
}

impl SimFleet {
    /// A handle on this world.
    pub fn new(mut world: World) -> Self {
        world.revive();
        world.run.anchor = None;
        world.run.entrusted = false;
        Self { shared: Arc::new(Shared { world: Mutex::new(world), died: Notify::new() }) }
    }

    /// Begins a run on the world; see [`World::begin_run`].
    pub fn begin_run(&self, rules: RolloutRules, schedule: FaultSchedule) {
        self.with(|world| world.begin_run(rules, schedule));
    }

    /// Reads or changes the world, at this time of the run.
    pub fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.lock();
        world.catch_up();
        act(&mut world)
    }

    /// A copy of the world as it is now.
    pub fn world(&self) -> World {
        self.with(|world| world.clone())
    }

    /// Waits until the operator's machine has died and its running verbs have taken effect or are lost: the
    /// caller of the run drops it then. Until then the run must be polled, as `tokio::select!` does.
    pub async fn died(&self) {
        loop {
            let notified = self.shared.died.notified();
            if self.lock().has_operator_died() {
                break;
            }
            notified.await;
        }
        tokio::time::sleep(LAST_ARRIVAL).await;
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.shared.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn verb<T>(
        &self,
        verb: Verb<'_>,
        effect: impl FnOnce(&mut World) -> PortResult<T>,
    ) -> PortResult<T> {
        let begun = self.lock().begin_verb(&verb);
        let Some((number, latency)) = begun else { return std::future::pending().await };
        tokio::time::sleep(Duration::from_millis(latency)).await;
        let outcome = self.lock().finish_verb(number, verb, effect);
        match outcome {
            Outcome::Returned(result) => result,
            Outcome::OperatorDied => {
                self.shared.died.notify_waiters();
                std::future::pending().await
            }
        }
    }

    pub(crate) async fn at<T>(
        &self,
        node: &NodeName,
        word: &'static str,
        object: Object,
        deed: Deed<'_>,
        effect: impl FnOnce(&mut World, usize) -> PortResult<T>,
    ) -> PortResult<T> {
        let verb = Verb { node: Some(node), word, object, deed };
        self.verb(verb, |world| {
            let machine =
                world.machine_of(node).ok_or_else(|| lasting(format!("{node} was never enrolled")))?;
            effect(world, machine)
        })
        .await
    }

    pub(crate) async fn api<T>(
        &self,
        node: Option<&NodeName>,
        word: &'static str,
        object: Object,
        deed: Deed<'_>,
        effect: impl FnOnce(&mut World) -> PortResult<T>,
    ) -> PortResult<T> {
        self.verb(Verb { node, word, object, deed }, effect).await
    }

    /// A verb on the operator's own machine: it takes no time, and if the machine dies, it returns an error
    /// that nobody receives.
    pub(crate) fn on_operators_machine<T>(
        &self,
        word: &'static str,
        object: Object,
        deed: Deed<'_>,
        effect: impl FnOnce(&mut World) -> PortResult<T>,
    ) -> PortResult<T> {
        let outcome = {
            let mut guard = self.lock();
            let verb = Verb { node: None, word, object, deed };
            match guard.begin_verb(&verb) {
                Some((number, _)) => guard.finish_verb(number, verb, effect),
                None => Outcome::OperatorDied,
            }
        };
        match outcome {
            Outcome::Returned(result) => result,
            Outcome::OperatorDied => {
                self.shared.died.notify_waiters();
                Err(lasting("the operator's machine died"))
            }
        }
    }

    pub(crate) fn mint(
        &self,
        name: &CertName,
        make: impl FnOnce(&mut World) -> PortResult<StoredCert>,
    ) -> PortResult<StoredCert> {
        let object = Object::Text(name.as_str().into());
        self.on_operators_machine("mint", object, Deed::Mint { name }, make)
    }
}

impl Nodes for SimFleet {
    fn enrol(&self, node: &NodeName, last: &LastNode) {
        let mut world = self.lock();
        let machine = world.nodes.iter().position(|machine| machine.address == last.target.address);
        world.run.enrolled.insert(node.clone(), machine);
        world.touch();
    }

    fn entrust(&self, _ledger: &Ledger) {
        self.lock().run.entrusted = true;
    }

    async fn look(&self, node: &NodeName, scope: &LookScope, _traces: Traces) -> PortResult<NodeFacts> {
        self.at(node, "look", Object::Nothing, Deed::Ask, |world, machine| {
            world.run.machines_seen.insert(machine);
            Ok(world.facts(machine, node, scope))
        })
        .await
    }

    async fn container(&self, node: &NodeName, name: &ContainerName) -> PortResult<Option<ContainerSeen>> {
        self.at(node, "container", Object::Container(name.clone()), Deed::Ask, |world, machine| {
            world.docker_answers(machine)?;
            Ok(world.nodes[machine].containers.get(name).map(|container| world.seen(machine, container)))
        })
        .await
    }

    async fn pull(&self, node: &NodeName, image: &ImageRef) -> PortResult<()> {
        self.at(node, "pull", Object::Image(image.clone()), Deed::Pull { image }, |world, machine| {
            world.pull(machine, image)
        })
        .await
    }

    async fn create(&self, node: &NodeName, name: &ContainerName, new: &NewContainer) -> PortResult<()> {
        self.at(node, "create", Object::Container(name.clone()), Deed::Create { name }, |world, machine| {
            world.create(machine, name, new)
        })
        .await
    }

    async fn hand_over(&self, node: &NodeName, directory: &FilePath, owner: Owner) -> PortResult<()> {
        let object = Object::Path(directory.clone());
        self.at(node, "hand over", object, Deed::HandOver { directory }, |world, machine| {
            world.hand_over(machine, directory, owner)
        })
        .await
    }

    async fn start(&self, node: &NodeName, name: &ContainerName) -> PortResult<()> {
        self.at(node, "start", Object::Container(name.clone()), Deed::Start { name }, |world, machine| {
            world.start(machine, name)
        })
        .await
    }

    async fn stop(&self, node: &NodeName, name: &ContainerName) -> PortResult<()> {
        self.at(node, "stop", Object::Container(name.clone()), Deed::Stop { name }, |world, machine| {
            world.stop(machine, name)
        })
        .await
    }

    async fn rename(&self, node: &NodeName, from: &ContainerName, to: &ContainerName) -> PortResult<()> {
        let object = Object::Renamed(from.clone(), to.clone());
        self.at(node, "rename", object, Deed::Rename { from }, |world, machine| {
            world.rename(machine, from, to)
        })
        .await
    }

    async fn remove(&self, node: &NodeName, name: &ContainerName) -> PortResult<()> {
        self.at(node, "remove", Object::Container(name.clone()), Deed::Remove { name }, |world, machine| {
            world.remove(machine, name)
        })
        .await
    }

    async fn reload(&self, node: &NodeName, name: &ContainerName) -> PortResult<()> {
        self.at(node, "reload", Object::Container(name.clone()), Deed::Reload { name }, |world, machine| {
            world.reload(machine, name)
        })
        .await
    }

    async fn log_tail(&self, node: &NodeName, name: &ContainerName, lines: usize) -> PortResult<Vec<String>> {
        self.at(node, "log", Object::Container(name.clone()), Deed::Ask, |world, machine| {
            world.log_tail(machine, name, lines)
        })
        .await
    }

    async fn put_files(&self, node: &NodeName, files: &[FilePut]) -> PortResult<()> {
        let object =
            files.first().map_or(Object::Nothing, |first| Object::Paths(files.len(), first.path.clone()));
        let written: Vec<(FilePath, Arc<FileState>)> = files
            .iter()
            .map(|FilePut { path, content, mode, owner }| {
                (path.clone(), Arc::new(FileState::new(content.expose(), *mode, *owner)))
            })
            .collect();
        self.at(node, "write", object, Deed::PutFiles { files: &written }, |world, machine| {
            world.put_files(machine, &written)
        })
        .await
    }

    async fn set_kernel(&self, node: &NodeName, kernel: &DesiredKernel) -> PortResult<()> {
        self.at(node, "set kernel", Object::Nothing, Deed::SetKernel { kernel }, |world, machine| {
            world.set_kernel(machine, kernel)
        })
        .await
    }

    async fn read_file(&self, node: &NodeName, path: &FilePath) -> PortResult<Option<Secret<Vec<u8>>>> {
        self.at(node, "read", Object::Path(path.clone()), Deed::Ask, |world, machine| {
            Ok(world.nodes[machine].files.get(path).map(|file| Secret::new(file.content.to_vec())))
        })
        .await
    }

    async fn remove_paths(&self, node: &NodeName, paths: &BTreeSet<FilePath>) -> PortResult<()> {
        let object = paths.first().map_or(Object::Nothing, |first| Object::Paths(paths.len(), first.clone()));
        self.at(node, "remove", object, Deed::RemovePaths { paths }, |world, machine| {
            world.remove_paths(machine, paths)
        })
        .await
    }

    async fn move_aside(&self, node: &NodeName, path: &FilePath, to: &FilePath) -> PortResult<()> {
        self.at(node, "move aside", Object::Path(path.clone()), Deed::MoveAside { path }, |world, machine| {
            world.move_aside(machine, path, to)
        })
        .await
    }

    async fn remove_pods(
        &self,
        node: &NodeName,
        _kubelet: &FilePath,
        keep: Option<PodRuntime>,
    ) -> PortResult<()> {
        self.at(node, "remove pods", Object::Nothing, Deed::RemovePods, |world, machine| {
            world.remove_pods(machine, keep)
        })
        .await
    }
}

fn text(text: &str) -> Object {
    Object::Text(text.into())
}

impl Etcd for SimFleet {
    async fn members(&self, via: &[NodeName]) -> PortResult<EtcdSeen> {
        self.api(None, "members", Object::Nothing, Deed::AskApi, |world| Ok(world.members(via))).await
    }

    async fn add_learner(&self, via: &[NodeName], peer_url: &str) -> PortResult<()> {
        self.api(None, "add learner", text(peer_url), Deed::AddLearner { peer_url }, |world| {
            world.add_learner(via, peer_url)
        })
        .await
    }

    async fn promote(&self, via: &[NodeName], peer_url: &str) -> PortResult<()> {
        self.api(None, "promote", text(peer_url), Deed::Promote { peer_url }, |world| {
            world.promote(via, peer_url)
        })
        .await
    }

    async fn remove_member(&self, via: &[NodeName], id: MemberId) -> PortResult<()> {
        self.api(None, "remove", text(&format!("member {id}")), Deed::RemoveMember { id }, |world| {
            world.remove_member(via, id)
        })
        .await
    }

    async fn move_leader(&self, via: &[NodeName], away_from: &str) -> PortResult<()> {
        self.api(None, "move leader", text(away_from), Deed::MoveLeader, |world| {
            world.move_leader(via, away_from)
        })
        .await
    }
}

impl Kube for SimFleet {
    async fn nodes(&self) -> PortResult<KubeSeen> {
        self.api(None, "nodes", Object::Nothing, Deed::AskApi, |world| Ok(world.kube_nodes())).await
    }

    async fn node(&self, node: &NodeName) -> PortResult<Option<NodeObject>> {
        self.api(Some(node), "node", Object::Nothing, Deed::AskApi, |world| world.kube_node(node)).await
    }

    async fn cordon(&self, node: &NodeName) -> PortResult<()> {
        self.api(Some(node), "cordon", Object::Nothing, Deed::Cordon, |world| world.cordon(node)).await
    }

    async fn uncordon(&self, node: &NodeName) -> PortResult<()> {
        self.api(Some(node), "uncordon", Object::Nothing, Deed::Uncordon, |world| world.uncordon(node)).await
    }

    async fn pods(&self, node: &NodeName) -> PortResult<Vec<PodSeen>> {
        self.api(Some(node), "pods", Object::Nothing, Deed::AskApi, |world| world.pods(node)).await
    }

    async fn evict(&self, pod: &PodSeen, options: &DrainOptions) -> PortResult<Eviction> {
        self.api(None, "evict", text(&pod.name), Deed::Evict { pod: &pod.name }, |world| {
            world.evict(pod, options)
        })
        .await
    }

    async fn patch_node(&self, node: &NodeName, change: &ObjectChange) -> PortResult<()> {
        self.api(Some(node), "patch", Object::Nothing, Deed::PatchNode, |world| {
            world.patch_node(node, change)
        })
        .await
    }

    async fn objects(&self, wanted: &[ObjectRef]) -> PortResult<ObjectsSeen> {
        self.api(None, "objects", Object::Nothing, Deed::AskApi, |world| Ok(world.kube_objects(wanted))).await
    }

    async fn note_objects(&self, ours: &[ObjectRef], gone: &[ObjectRef]) -> PortResult<()> {
        let object = text(&format!("{} more, {} fewer", ours.len(), gone.len()));
        self.api(None, "note", object, Deed::ChangeObject, |world| world.note_objects(ours, gone)).await
    }

    async fn apply_object(&self, object: &DesiredObject) -> PortResult<()> {
        let about = text(&object.object.to_string());
        self.api(None, "apply", about, Deed::ChangeObject, |world| world.apply_object(object)).await
    }

    async fn delete_object(&self, object: &ObjectRef) -> PortResult<()> {
        let about = text(&object.to_string());
        self.api(None, "delete", about, Deed::ChangeObject, |world| world.delete_own_object(object)).await
    }

    async fn why_pods_wait(&self, object: &ObjectRef) -> PortResult<Vec<String>> {
        let about = text(&object.to_string());
        self.api(None, "why pods wait", about, Deed::AskApi, |world| world.why_pods_wait(object)).await
    }

    async fn delete_node(&self, node: &NodeName) -> PortResult<()> {
        self.api(Some(node), "delete node", Object::Nothing, Deed::DeleteNode, |world| {
            world.delete_node(node)
        })
        .await
    }

    async fn kept_roots(&self) -> PortResult<Option<KeptRoots>> {
        self.api(None, "kept roots", Object::Nothing, Deed::AskApi, World::kept_roots).await
    }

    async fn keep_roots(&self, kept: &KeptRoots, content: &Secret<Vec<u8>>) -> PortResult<()> {
        self.api(None, "keep roots", Object::Nothing, Deed::KeepRoots { kept }, |world| {
            world.keep_roots(kept, content)
        })
        .await
    }

    async fn rewrite_secrets(&self, rest: Option<&str>) -> PortResult<Option<String>> {
        let is_last = rest.is_some();
        self.api(None, "rewrite secrets", Object::Nothing, Deed::RewriteSecrets, move |world| {
            world.rewrite_page(is_last)
        })
        .await
    }

    async fn drop_roots(&self) -> PortResult<()> {
        self.api(None, "drop roots", Object::Nothing, Deed::ChangeObject, World::drop_roots).await
    }
}

/// Records which steps have begun, so that the world knows to which step a change belongs.
impl Listener for SimFleet {
    fn hear(&self, event: Event<'_>) {
        match event {
            Event::StepBegins { step } => self.with(|world| world.step_begins(step)),
            Event::StepEnds { step, outcome } => {
                let how = match outcome {
                    StepOutcome::Done => "done",
                    StepOutcome::Failed(_) => "failed",
                    StepOutcome::Skipped { .. } => "skipped",
                    StepOutcome::Interrupted => "left",
                };
                self.with(|world| world.step_ends(step, how));
            }
            _ => {}
        }
    }
}

/// The world's time of day.
#[derive(Clone, Debug)]
pub struct SimClock {
    fleet: SimFleet,
}

impl SimClock {
    /// The clock of this world.
    pub fn new(fleet: &SimFleet) -> Self {
        Self { fleet: fleet.clone() }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.fleet.with(|world| world.operators_time())
    }
}
