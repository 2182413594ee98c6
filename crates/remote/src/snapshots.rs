//! Snapshots of etcd on real nodes: requested from windlass' own program there, copied from node to node
//! through this machine without being stored on its disk, and restored into data by etcd's own program.
//!
//! ```text
//! node-1 ── tar of the file, by Docker's archive API ──▶ windlass ── the same stream ──▶ node-2 ─▶ read back there
//! ```

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions, UploadToContainerOptionsBuilder,
    WaitContainerOptions,
};
use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use windlass_engine::{PortResult, Snapshots};
use windlass_model::{
    BucketPlace, ChosenSnapshot, FilePath, InBucket, MemberRestore, NodeName, Rehearsal, Rehearsed, STAGING,
    Secret, SnapshotSeen, SnapshotWanted,
};
use windlass_sidecar::protocol::{Answer, Bytes, FORMING, FORMING_LOG, Forming, Holder, Request};

use crate::aide::strange;
use crate::docker::ASK_WITHIN;
use crate::docker_error::{DockerError, already, lasting};
use crate::fleet::RemoteFleet;
use crate::labels;
use crate::link::Link;

/// How long the transfer of a snapshot may take: 8 GB, the most that etcd's own documents advise, at 3 MB a
/// second.
const CARRY_WITHIN: Duration = Duration::from_secs(3_000);
/// How long etcd's own program may take to create data from one.
const RESTORE_WITHIN: Duration = Duration::from_secs(1_800);
/// The most parts of a snapshot that wait for the network.
const PARTS: usize = 4;
/// How many of the last lines of a failed program are reported.
const LAST_LINES: usize = 5;
/// The path in containers of the directory with snapshots.
pub(crate) const SHELF: &str = "/snapshots";
/// The path in etcd's program of etcd's data directory.
const DATA: &str = "/data";
/// The path there of the directory that holds the directory of etcd's log.
const ABOVE_LOG: &str = "/above-log";

impl Snapshots for RemoteFleet {
    async fn snapshots(&self, node: &NodeName, directory: &FilePath) -> PortResult<Vec<SnapshotSeen>> {
        self.snapshots_by(node, Request::ListSnapshots { directory: directory.clone() }).await
    }

    async fn verify_snapshot(
        &self,
        node: &NodeName,
        directory: &FilePath,
        name: &str,
    ) -> PortResult<SnapshotSeen> {
        let request = Request::VerifySnapshot { directory: directory.clone(), name: name.to_owned() };
        self.one_snapshot(node, request).await
    }

    async fn unpack_snapshot(
        &self,
        node: &NodeName,
        directory: &FilePath,
        name: &str,
    ) -> PortResult<SnapshotSeen> {
        let request = Request::UnpackSnapshot { directory: directory.clone(), name: name.to_owned() };
        self.one_snapshot(node, request).await
    }

    async fn rehearse_snapshot(&self, node: &NodeName, rehearsal: &Rehearsal) -> PortResult<Rehearsed> {
        self.rehearse(node, rehearsal).await
    }

    async fn save_snapshot(&self, node: &NodeName, wanted: &SnapshotWanted) -> PortResult<SnapshotSeen> {
        self.one_snapshot(node, Request::SaveSnapshot(wanted.clone())).await
    }

    async fn delete_snapshot(&self, node: &NodeName, directory: &FilePath, name: &str) -> PortResult<()> {
        let request = Request::DeleteSnapshot { directory: directory.clone(), name: name.to_owned() };
        self.have_done(node, request).await
    }

    async fn bucket(&self, node: &NodeName, description: &Secret<String>) -> PortResult<Vec<InBucket>> {
        self.in_bucket(node, Request::ListBucket { description: bytes_of(description) }).await
    }

    async fn copy_to_bucket(
        &self,
        node: &NodeName,
        description: &Secret<String>,
        directory: &FilePath,
        name: &str,
    ) -> PortResult<InBucket> {
        let request = Request::CopyToBucket {
            description: bytes_of(description),
            directory: directory.clone(),
            name: name.to_owned(),
            member: node.to_string(),
        };
        let copies = self.in_bucket(node, request).await?;
        copies.into_iter().next().ok_or_else(|| lasting(format!("{node} names no copy")))
    }

    async fn fetch_from_bucket(
        &self,
        node: &NodeName,
        description: &Secret<String>,
        directory: &FilePath,
        snapshot: &InBucket,
    ) -> PortResult<SnapshotSeen> {
        let request = Request::FetchFromBucket {
            description: bytes_of(description),
            directory: directory.clone(),
            snapshot: Box::new(snapshot.clone()),
        };
        self.one_snapshot(node, request).await
    }

    async fn delete_from_bucket(
        &self,
        node: &NodeName,
        description: &Secret<String>,
        place: &BucketPlace,
        name: &str,
    ) -> PortResult<()> {
        let (description, place) = (bytes_of(description), place.clone());
        self.have_done(node, Request::DeleteFromBucket { description, place, name: name.to_owned() }).await
    }

    async fn stage_snapshot(&self, node: &NodeName, snapshot: &ChosenSnapshot) -> PortResult<()> {
        let holder = if *node == snapshot.node { Holder::ThisNode } else { Holder::OtherNode };
        if self.is_held(node, Request::HoldCopy { snapshot: snapshot.clone(), holder }).await? {
            return Ok(());
        }
        let changed = || lasting(format!("{} on {node} is not what was chosen", snapshot.name));
        if holder == Holder::ThisNode {
            return Err(changed());
        }
        self.carry(node, snapshot).await?;
        let arrived = self.is_held(node, Request::AcceptCopy { snapshot: snapshot.clone() }).await?;
        if arrived { Ok(()) } else { Err(changed()) }
    }

    async fn restore_member(&self, node: &NodeName, restore: &MemberRestore) -> PortResult<()> {
        let MemberRestore { snapshot, data, log, token, .. } = restore;
        let forming =
            Forming { data: data.clone(), log: log.clone(), token: token.clone(), staged: snapshot.staged() };
        if self.is_held(node, Request::PrepareMember(forming.clone())).await? {
            return already(format!("the data in {data} on {node} is of this restore"));
        }
        form(&*self.link(node).await?, restore).await?;
        self.have_done(node, Request::AdoptMember(forming)).await
    }
}

impl RemoteFleet {
    async fn answer_of(&self, node: &NodeName, request: Request) -> PortResult<Answer> {
        let machine = self.machine(node)?;
        let link = self.link_of(&machine).await?;
        match self.ask(&machine, &link, request).await? {
            failed @ Answer::Failed(_) => Err(strange(&link, &failed)),
            answer => Ok(answer),
        }
    }

    async fn snapshots_by(&self, node: &NodeName, request: Request) -> PortResult<Vec<SnapshotSeen>> {
        match self.answer_of(node, request).await? {
            Answer::Snapshots(snapshots) => Ok(snapshots),
            other => Err(strange(&*self.link(node).await?, &other)),
        }
    }

    async fn in_bucket(&self, node: &NodeName, request: Request) -> PortResult<Vec<InBucket>> {
        match self.answer_of(node, request).await? {
            Answer::InBucket(copies) => Ok(copies),
            other => Err(strange(&*self.link(node).await?, &other)),
        }
    }

    async fn one_snapshot(&self, node: &NodeName, request: Request) -> PortResult<SnapshotSeen> {
        let snapshots = self.snapshots_by(node, request).await?;
        snapshots.into_iter().next().ok_or_else(|| lasting(format!("{node} names no snapshot")))
    }

    async fn is_held(&self, node: &NodeName, request: Request) -> PortResult<bool> {
        match self.answer_of(node, request).await? {
            Answer::Held(held) => Ok(held),
            other => Err(strange(&*self.link(node).await?, &other)),
        }
    }

    /// Copies a snapshot to where copies for a restore arrive.
    async fn carry(&self, node: &NodeName, snapshot: &ChosenSnapshot) -> PortResult<()> {
        let (from, to) = (self.link(&snapshot.node).await?, self.link(node).await?);
        let image = self.settings.node_image.to_string();
        let binds = vec![format!("{}:{SHELF}", snapshot.directory)];
        let source = Transient::create(&from, "carry", body(&from, image.clone(), binds.clone())).await?;
        let target = match Transient::create(&to, "carry", body(&to, image, binds)).await {
            Ok(target) => target,
            Err(error) => {
                source.remove().await;
                return Err(error);
            }
        };
        let carried = pipe(&source, &target, &snapshot.name).await;
        source.remove().await;
        target.remove().await;
        carried
    }
}

fn bytes_of(description: &Secret<String>) -> Bytes {
    Bytes(description.expose().as_bytes().to_vec())
}

/// Streams a file from one container into the other, with a few parts of it in memory at a time.
async fn pipe(source: &Transient<'_>, target: &Transient<'_>, name: &str) -> PortResult<()> {
    let (sender, receiver) = mpsc::channel(PARTS);
    let read = async {
        let options = DownloadFromContainerOptionsBuilder::new().path(&format!("{SHELF}/{name}")).build();
        let mut parts = source.link.docker.download_from_container(&source.name, Some(options));
        while let Some(part) = parts.next().await {
            let failed =
                part.as_ref().err().map(|error| DockerError::Lost(crate::docker_error::chain(error)));
            let part = part.map_err(std::io::Error::other);
            if sender.send(part).await.is_err() || failed.is_some() {
                return failed.map_or(Ok(()), Err);
            }
        }
        drop(sender);
        Ok(())
    };
    let parts = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|part| (part, receiver))
    });
    let options = UploadToContainerOptionsBuilder::new().path(&format!("{SHELF}/{STAGING}")).build();
    let write =
        target.link.docker.upload_to_container(&target.name, Some(options), bollard::body_try_stream(parts));
    let write = target.link.call(CARRY_WITHIN, write);
    let (read, written) = tokio::join!(read, write);
    read.map_err(|error| error.of(&source.link.node, &format!("read {name}")))?;
    written.map_err(|error| error.of(&target.link.node, &format!("write {name}")))
}

/// Has etcd's own program create data from a node's copy, in a directory beside the final place.
async fn form(link: &Link, restore: &MemberRestore) -> PortResult<()> {
    let MemberRestore { snapshot, image, data, log, member, peer_url, members, token, bump_revision } =
        restore;
    let directory = &snapshot.directory;
    let staged = snapshot.staged();
    let seen = staged.as_str().replacen(directory.as_str(), SHELF, 1);
    // The flags came to 3.5.10 with etcdutl, which is the only program that restores from 3.6 on; before,
    // etcdctl does.
    let program = if bump_revision.is_some() { "etcdutl" } else { "etcdctl" };
    let mut command = vec![
        "snapshot".to_owned(),
        "restore".to_owned(),
        seen,
        format!("--name={member}"),
        format!("--initial-cluster={members}"),
        format!("--initial-cluster-token={token}"),
        format!("--initial-advertise-peer-urls={peer_url}"),
        format!("--data-dir={DATA}/{FORMING}"),
    ];
    if let Some(bump) = bump_revision {
        command.extend([format!("--bump-revision={bump}"), "--mark-compacted".to_owned()]);
    }
    let mut binds = vec![format!("{directory}:{SHELF}:ro"), format!("{data}:{DATA}")];
    if let Some((above, _)) = log.as_ref().and_then(|log| log.as_str().rsplit_once('/')) {
        binds.push(format!("{above}:{ABOVE_LOG}"));
        command.push(format!("--wal-dir={ABOVE_LOG}/{FORMING_LOG}"));
    }
    let mut body = body(link, image.to_string(), binds);
    body.entrypoint = Some(vec![format!("/usr/local/bin/{program}")]);
    body.cmd = Some(command);
    body.env = Some(vec!["ETCDCTL_API=3".to_owned()]);
    let container = Transient::create(link, "restore", body).await?;
    let formed = container.run().await;
    container.remove().await;
    formed
}

/// A container for one task, which this run removes.
pub(crate) struct Transient<'l> {
    pub(crate) link: &'l Link,
    pub(crate) name: String,
}

impl<'l> Transient<'l> {
    pub(crate) async fn create(link: &'l Link, verb: &str, body: ContainerCreateBody) -> PortResult<Self> {
        let name = format!("windlass-node-{verb}-{:08x}", fastrand::u32(..));
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        link.call(ASK_WITHIN, link.docker.create_container(Some(options), body))
            .await
            .map_err(|error| error.of(&link.node, &format!("create {name}")))?;
        Ok(Self { link, name })
    }

    /// Runs it to its end; an error with its last lines if it does not succeed.
    pub(crate) async fn run(&self) -> PortResult<()> {
        let Self { link, name } = self;
        let failed = |what: &str, error: DockerError| error.of(&link.node, &format!("{what} {name}"));
        link.call(ASK_WITHIN, link.docker.start_container(name, None::<StartContainerOptions>))
            .await
            .map_err(|error| failed("start", error))?;
        let wait = async {
            let mut ends = link.docker.wait_container(name, None::<WaitContainerOptions>);
            match ends.next().await {
                Some(Ok(_)) | None => Ok(0),
                Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
                Some(Err(error)) => Err(error),
            }
        };
        let code = link.call(RESTORE_WITHIN, wait).await.map_err(|error| failed("wait for", error))?;
        if code == 0 {
            return Ok(());
        }
        Err(lasting(format!("{name} on {} ended with {code}: {}", link.node, self.last_words().await)))
    }

    /// The last lines of its log.
    pub(crate) async fn last_words(&self) -> String {
        let Self { link, name } = self;
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("20").build();
        let logs = link.docker.logs(name, Some(options)).try_fold(String::new(), |text, part| async move {
            Ok(text + &String::from_utf8_lossy(&part.into_bytes()))
        });
        let said = link.call(ASK_WITHIN, logs).await.unwrap_or_default();
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("; ")
    }

    pub(crate) async fn remove(&self) {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        // If it stays, it is a left-over like others: the next run that changes anything removes it.
        let _ =
            self.link.call(ASK_WITHIN, self.link.docker.remove_container(&self.name, Some(options))).await;
    }
}

pub(crate) fn body(link: &Link, image: String, binds: Vec<String>) -> ContainerCreateBody {
    let host = HostConfig {
        network_mode: Some("none".to_owned()),
        log_config: Some(HostConfigLogConfig { typ: Some("json-file".to_owned()), config: None }),
        // Where Docker maps users, root in the container must be root on the host all the same.
        userns_mode: Some("host".to_owned()),
        binds: Some(binds),
        // SELinux denies a confined container access to the host's files.
        security_opt: Some(vec!["label=disable".to_owned()]),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(image),
        user: Some("0:0".to_owned()),
        labels: Some(HashMap::from([(labels::TRANSIENT.to_owned(), link.run_name().to_owned())])),
        network_disabled: Some(true),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}
