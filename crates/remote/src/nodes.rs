//! The machines, as the engine's port requires them.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bollard::query_parameters::{
    ImportImageOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptions,
};
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use tokio::sync::mpsc;
use windlass_engine::{FilePut, LookScope, NewContainer, Nodes, PortError, PortResult, Traces};
use windlass_model::{
    ContainerName, ContainerSeen, DesiredKernel, FilePath, ImageRef, LastNode, Ledger, Mode, NodeFacts,
    NodeName, Owner, PodRuntime, Secret,
};
use windlass_sidecar::protocol::{Answer, Bytes, FileToPut, Request};

use crate::aide::{self, Asking, strange};
use crate::docker::{self, ASK_WITHIN};
use crate::docker_error::{already, lasting};
use crate::fleet::{Machine, RemoteFleet};
use crate::image::NodeImage;
use crate::labels;
use crate::left_overs::remove_left_overs;
use crate::link::Link;

/// How long the transfer of the image may take.
const LOAD_WITHIN: Duration = Duration::from_secs(600);
/// How long the removal of one container of a pod may take.
const REMOVE_WITHIN: Duration = Duration::from_secs(60);
/// How often the removal of the image is tried while a container of it ends, and how long it waits in
/// between.
const REMOVALS: u32 = 20;
const BETWEEN_REMOVALS: Duration = Duration::from_millis(100);
/// The most parts of the image that wait for the network.
const PARTS: usize = 4;
/// Below this directory are kubelet's mounts, wherever its own is: those of volume plugins.
const KUBELET: &str = "/var/lib/kubelet";

impl Nodes for RemoteFleet {
    fn enrol(&self, node: &NodeName, last: &LastNode) {
        self.enrol_machine(node, last);
    }

    fn entrust(&self, ledger: &Ledger) {
        self.take_keys(ledger);
    }

    async fn look(&self, node: &NodeName, scope: &LookScope, traces: Traces) -> PortResult<NodeFacts> {
        Box::pin(self.look_at(&*self.machine(node)?, scope, traces)).await
    }

    async fn container(&self, node: &NodeName, name: &ContainerName) -> PortResult<Option<ContainerSeen>> {
        self.look_at_container(&*self.machine(node)?, name).await
    }

    async fn pull(&self, node: &NodeName, image: &ImageRef) -> PortResult<()> {
        let machine = self.machine(node)?;
        let link = self.link_of(&machine).await?;
        if *image == self.settings.node_image {
            return self.carry_image(&machine, &link).await;
        }
        docker::pull(&link, image, self.settings.registry_auth.as_ref()).await
    }

    async fn create(&self, node: &NodeName, name: &ContainerName, new: &NewContainer) -> PortResult<()> {
        let marks: Vec<FileToPut> = new
            .beside_data
            .iter()
            .chain(&new.beside_log)
            .map(|path| FileToPut {
                path: path.clone(),
                content: Bytes(Vec::new()),
                mode: Mode::PUBLIC,
                owner: Owner::default(),
            })
            .collect();
        if !marks.is_empty() {
            self.have_done(node, Request::Put { files: marks }).await?;
        }
        docker::create(&*self.link(node).await?, name, new).await
    }

    async fn hand_over(&self, node: &NodeName, directory: &FilePath, owner: Owner) -> PortResult<()> {
        self.have_done(node, Request::HandOver { directory: directory.clone(), owner }).await
    }

    async fn start(&self, node: &NodeName, name: &ContainerName) -> PortResult<()> {
        docker::start(&*self.link(node).await?, name).await
    }

    async fn stop(&self, node: &NodeName, name: &ContainerName) -> PortResult<()> {
        docker::stop(&*self.link(node).await?, name).await
    }

    async fn rename(&self, node: &NodeName, from: &ContainerName, to: &ContainerName) -> PortResult<()> {
        docker::rename(&*self.link(node).await?, from, to).await
    }

    async fn remove(&self, node: &NodeName, name: &ContainerName) -> PortResult<()> {
        docker::remove(&*self.link(node).await?, name).await
    }

    async fn reload(&self, node: &NodeName, name: &ContainerName) -> PortResult<()> {
        docker::reload(&*self.link(node).await?, name).await
    }

    async fn log_tail(&self, node: &NodeName, name: &ContainerName, lines: usize) -> PortResult<Vec<String>> {
        docker::log_tail(&*self.link(node).await?, name, lines).await
    }

    async fn put_files(&self, node: &NodeName, files: &[FilePut]) -> PortResult<()> {
        let files = files
            .iter()
            .map(|FilePut { path, content, mode, owner }| FileToPut {
                path: path.clone(),
                content: Bytes(content.expose().clone()),
                mode: *mode,
                owner: *owner,
            })
            .collect();
        self.have_done(node, Request::Put { files }).await
    }

    async fn set_kernel(&self, node: &NodeName, kernel: &DesiredKernel) -> PortResult<()> {
        let DesiredKernel { modules, sysctls } = kernel.clone();
        self.have_done(node, Request::SetKernel { modules, sysctls }).await
    }

    async fn read_file(&self, node: &NodeName, path: &FilePath) -> PortResult<Option<Secret<Vec<u8>>>> {
        let link = self.link(node).await?;
        match aide::ask(&link, &self.settings.node_image, Request::Read { path: path.clone() }).await? {
            Asking::Answered(Answer::Content(content)) => {
                Ok(content.map(|Bytes(content)| Secret::new(content)))
            }
            Asking::Answered(other) => Err(strange(&link, &other)),
            Asking::NoImage => Err(lasting(format!("{node} has no image to read {path} with"))),
        }
    }

    async fn remove_paths(&self, node: &NodeName, paths: &BTreeSet<FilePath>) -> PortResult<()> {
        self.have_done(node, Request::Remove { paths: paths.clone() }).await
    }

    async fn move_aside(&self, node: &NodeName, path: &FilePath, to: &FilePath) -> PortResult<()> {
        self.have_done(node, Request::Move { path: path.clone(), to: to.clone() }).await
    }

    async fn remove_pods(
        &self,
        node: &NodeName,
        kubelet: &FilePath,
        keep: Option<PodRuntime>,
    ) -> PortResult<()> {
        let machine = self.machine(node)?;
        let link = self.link_of(&machine).await?;
        if !keep.is_some_and(PodRuntime::is_docker) {
            remove_pods(&link).await?;
        }
        if keep != Some(PodRuntime::Containerd) {
            self.have_done(node, Request::RemovePods { kubelet: kubelet.clone() }).await?;
        }
        if keep.is_some() {
            return Ok(());
        }
        self.have_done(node, Request::CleanNetwork).await?;
        let below = BTreeSet::from([kubelet.clone(), FilePath::from(KUBELET)]);
        self.have_done(node, Request::Unmount { below }).await
    }
}

impl RemoteFleet {
    /// Sends a request, and accepts only its success as an answer.
    pub(crate) async fn have_done(&self, node: &NodeName, request: Request) -> PortResult<()> {
        let machine = self.machine(node)?;
        let link = self.link_of(&machine).await?;
        match self.ask(&machine, &link, request).await? {
            Answer::Done => Ok(()),
            other => Err(strange(&link, &other)),
        }
    }

    /// Copies the image with this very program to a node that is not known to have it.
    pub(crate) async fn have_image(&self, machine: &Machine, link: &Link) -> PortResult<()> {
        if machine.has_image.load(Ordering::Relaxed) {
            return Ok(());
        }
        accept(self.carry_image(machine, link).await)
    }

    /// Sends a request to the program on a node, and copies it there first if needed.
    pub(crate) async fn ask(&self, machine: &Machine, link: &Link, request: Request) -> PortResult<Answer> {
        self.have_image(machine, link).await?;
        let image = &self.settings.node_image;
        match aide::ask(link, image, request.clone()).await? {
            Asking::Answered(answer) => Ok(answer),
            Asking::NoImage => {
                // Somebody has removed it since.
                machine.has_image.store(false, Ordering::Relaxed);
                accept(self.carry_image(machine, link).await)?;
                match aide::ask(link, image, request).await? {
                    Asking::Answered(answer) => Ok(answer),
                    Asking::NoImage => Err(lasting(format!("{image} does not stay on {}", link.node))),
                }
            }
        }
    }

    /// Removes the image of windlass' own program from every machine that is connected and runs no container
    /// of it.
    ///
    /// *Assumes* that no verb is running. What cannot be removed stays; nothing depends on it.
    pub async fn remove_images(&self) {
        let removals = self.machines().into_iter().map(|machine| async move {
            let Some(link) = machine.connected() else { return };
            machine.has_image.store(false, Ordering::Relaxed);
            let name = self.settings.node_image.as_str();
            for _ in 0..REMOVALS {
                let call = link.docker.remove_image(name, None::<RemoveImageOptions>, None);
                match link.call(ASK_WITHIN, call).await {
                    // The container of the last request may still be ending.
                    Err(error) if error.is(409) => tokio::time::sleep(BETWEEN_REMOVALS).await,
                    _ => break,
                }
            }
        });
        join_all(removals).await;
    }

    /// Copies the image with this very program to a node, and removes what interrupted runs left behind.
    async fn carry_image(&self, machine: &Machine, link: &Link) -> PortResult<()> {
        let _one_at_a_time = machine.loading.lock().await;
        if machine.has_image.load(Ordering::Relaxed) {
            return already(format!("{} is there", self.settings.node_image));
        }
        remove_left_overs(link).await?;
        let image = self.image().await?;
        let name = &self.settings.node_image;
        let there = link.call(ASK_WITHIN, link.docker.inspect_image(name.as_str())).await;
        let is_there = there.is_ok_and(|seen| {
            let labels = seen.config.and_then(|config| config.labels).unwrap_or_default();
            labels.get(labels::PROGRAM) == Some(&image.digest.to_string())
        });
        if !is_there {
            load(link, image).await?;
        }
        machine.has_image.store(true, Ordering::Relaxed);
        if is_there { already(format!("{name} is there")) } else { Ok(()) }
    }

    async fn image(&self) -> PortResult<Arc<NodeImage>> {
        let (program, name) = (self.settings.program.clone(), self.settings.node_image.clone());
        let image = self.image.get_or_try_init(|| async move {
            let made = tokio::task::spawn_blocking(move || NodeImage::of(&program, &name)).await;
            made.map_err(|error| lasting(error.to_string()))?
                .map(Arc::new)
                .map_err(|error| lasting(error.to_string()))
        });
        image.await.cloned()
    }
}

fn accept(result: PortResult<()>) -> PortResult<()> {
    match result {
        Err(PortError::AlreadySo { .. }) => Ok(()),
        other => other,
    }
}

/// Streams the image to Docker, with a few parts of it in memory at a time.
async fn load(link: &Link, image: Arc<NodeImage>) -> PortResult<()> {
    let (sender, receiver) = mpsc::channel(PARTS);
    let writing = tokio::task::spawn_blocking(move || {
        let mut writer = std::io::BufWriter::with_capacity(256 << 10, Parts(sender));
        let written = image.write(&mut writer).and_then(|()| writer.flush());
        // Docker stops reading once it has refused: then Docker's error counts.
        written.err().filter(|error| error.kind() != std::io::ErrorKind::BrokenPipe)
    });
    let parts = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|part| (Ok::<_, std::io::Error>(part), receiver))
    });
    let options = ImportImageOptionsBuilder::new().quiet(true).build();
    let call = link.docker.import_image_stream(options, parts, None).try_for_each(|_| async { Ok(()) });
    let loaded = link.call(LOAD_WITHIN, call).await;
    if let Ok(Some(error)) = writing.await {
        return Err(lasting(format!("read windlass' own program: {error}")));
    }
    loaded.map_err(|error| error.of(&link.node, "load windlass' own image"))
}

struct Parts(mpsc::Sender<hyper::body::Bytes>);

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let part = hyper::body::Bytes::copy_from_slice(bytes);
        self.0.blocking_send(part).map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Removes all containers that kubelet created: each has a label of its pod.
async fn remove_pods(link: &Link) -> PortResult<()> {
    let filters = HashMap::from([("label", vec!["io.kubernetes.pod.uid"])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let lines = link
        .call(ASK_WITHIN, link.docker.list_containers(Some(options)))
        .await
        .map_err(|error| error.of(&link.node, "list the containers of pods"))?;
    for id in lines.into_iter().filter_map(|line| line.id) {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match link.call(REMOVE_WITHIN, link.docker.remove_container(&id, Some(options))).await {
            Ok(()) => {}
            Err(error) if error.is(404) || error.is(409) => {}
            Err(error) => return Err(error.of(&link.node, "remove a container of a pod")),
        }
    }
    Ok(())
}

#[expect(dead_code, reason = "a compiler's proof that futures of verbs can go to any thread")]
fn all_futures_are_send(fleet: &RemoteFleet, node: &NodeName, scope: &LookScope) {
    fn is_send(_: impl Send) {}
    is_send(fleet.look(node, scope, Traces::None));
    is_send(fleet.put_files(node, &[]));
    is_send(fleet.remove_pods(node, &FilePath::from("/var/lib/kubelet"), None));
}
