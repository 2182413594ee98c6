//! Runs windlass' own program on a node for one request, in a container that is removed as soon as it has
//! answered.
//!
//! ```text
//! create ─▶ start ─▶ attach ─▶ request on stdin ─▶ answer on stdout ─▶ it exits, and Docker removes it
//! ```
//!
//! If windlass dies, stdin is closed, the program exits, and Docker removes the container all the same. Only
//! a container that was not attached to yet stays; the next run that changes anything removes it. Docker keeps the
//! connection of one that was attached to and never started, even when it is removed, and with it the ssh of the
//! run that died: so it starts first.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions,
};
use futures_util::StreamExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use windlass_engine::{PortError, PortResult};
use windlass_model::ImageRef;
use windlass_sidecar::protocol::{Answer, Asked, PROTOCOL, Request, encode, read};
use windlass_sidecar::{AT_HOST, HOST, IN_HOST, SERVE};

use crate::docker_error::{DockerError, chain, lasting, passing};
use crate::labels;
use crate::link::Link;

/// How long Docker may take to create, attach to or start the container.
const DOCKER_WITHIN: Duration = Duration::from_secs(30);
/// How long a snapshot may take to a bucket and back, or from there: as long as from node to node.
const BUCKET_WITHIN: Duration = Duration::from_secs(6_000);
/// How long the program may take for a request.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// The same for a request that reads or writes a whole snapshot of etcd: 8 GB at 10 MB a second, twice.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(1_800);
/// How much of its error output is read.
const LONGEST_COMPLAINT: usize = 2_000;

/// The result of a request.
#[derive(Debug)]
pub(crate) enum Asking {
    /// The program answered.
    Answered(Answer),
    /// The node does not have the image.
    NoImage,
}

/// Asks the program on a node.
pub(crate) async fn ask(link: &Link, image: &ImageRef, request: Request) -> PortResult<Asking> {
    let body = body(image, &request, link.run_name());
    ask_by(link, body, request).await
}

/// Asks the program in the network of another container.
pub(crate) async fn ask_beside(
    link: &Link,
    image: &ImageRef,
    container: &str,
    request: Request,
) -> PortResult<Asking> {
    let mut body = body(image, &request, link.run_name());
    body.network_disabled = None;
    if let Some(host) = &mut body.host_config {
        host.network_mode = Some(network_of(container));
    }
    ask_by(link, body, request).await
}

/// Docker's word for the network of another container.
pub(crate) fn network_of(container: &str) -> String {
    format!("container:{container}")
}

async fn ask_by(link: &Link, body: ContainerCreateBody, request: Request) -> PortResult<Asking> {
    let verb = verb(&request);
    let name = format!("windlass-node-{verb}-{:08x}", fastrand::u32(..));
    let within = answer_within(&request);
    let document = encode(&Asked { protocol: PROTOCOL, request })
        .map_err(|error| lasting(format!("a request to {}: {error}", link.node)))?;
    let failed = |what: &str, error: DockerError| error.of(&link.node, &format!("{what} {name}"));
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    match link.call(DOCKER_WITHIN, link.docker.create_container(Some(options), body)).await {
        Ok(_) => {}
        Err(error) if error.is(404) => return Ok(Asking::NoImage),
        Err(error) => return Err(failed("create", error)),
    }
    let answer = start_and_ask(link, &name, &document, within, &failed).await;
    if answer.is_err() {
        // It may never have started, and then Docker does not remove it by itself.
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        let _ = link.call(DOCKER_WITHIN, link.docker.remove_container(&name, Some(options))).await;
    }
    answer.map(Asking::Answered)
}

async fn start_and_ask(
    link: &Link,
    name: &str,
    document: &[u8],
    within: Duration,
    failed: &(impl Fn(&str, DockerError) -> PortError + Sync),
) -> PortResult<Answer> {
    link.call(DOCKER_WITHIN, link.docker.start_container(name, None::<StartContainerOptions>))
        .await
        .map_err(|error| failed("start", error))?;
    let options =
        AttachContainerOptionsBuilder::new().stdin(true).stdout(true).stderr(true).stream(true).build();
    let attached = link
        .call(DOCKER_WITHIN, link.docker.attach_container(name, Some(options)))
        .await
        .map_err(|error| failed("attach", error))?;
    let talk = async {
        let mut input = attached.input;
        // It may answer and exit without having read everything.
        let sent = send(&mut input, document).await;
        let mut output = attached.output;
        let (mut answer, mut complaint) = (Vec::new(), Vec::new());
        while let Some(part) = output.next().await {
            match part {
                Ok(LogOutput::StdOut { message }) => answer.extend_from_slice(&message),
                Ok(LogOutput::StdErr { message }) if complaint.len() < LONGEST_COMPLAINT => {
                    complaint.extend_from_slice(&message);
                }
                Ok(_) => {}
                Err(error) => return Err(passing(format!("{name} on {}: {}", link.node, chain(&error)))),
            }
            if is_whole(&answer) {
                break;
            }
        }
        read(answer.as_slice()).map_err(|error| {
            let complaint = String::from_utf8_lossy(&complaint).trim().to_owned();
            let sent = sent.err().map(|error| error.to_string()).unwrap_or_default();
            let reported =
                [complaint, sent, error.to_string()].into_iter().find(|reported| !reported.is_empty());
            passing(format!("{name} on {} gave no answer: {}", link.node, reported.unwrap_or_default()))
        })
    };
    timeout(within, talk).await.unwrap_or_else(|_| Err(failed("ask", DockerError::TimeUp(within))))
}

async fn send(input: &mut Pin<Box<dyn AsyncWrite + Send>>, document: &[u8]) -> std::io::Result<()> {
    input.write_all(document).await?;
    input.flush().await
}

/// Whether the document is complete: what follows is Docker removing the container, which need not be
/// awaited.
fn is_whole(answer: &[u8]) -> bool {
    let Some((length, rest)) = answer.split_first_chunk() else { return false };
    rest.len() >= u32::from_be_bytes(*length) as usize
}

fn verb(request: &Request) -> &'static str {
    match request {
        Request::Look { .. } => "look",
        Request::Put { .. } => "put",
        Request::SetKernel { .. } => "kernel",
        Request::Read { .. } => "read",
        Request::Remove { .. } => "remove",
        Request::Move { .. } => "move",
        Request::HandOver { .. } => "hand-over",
        Request::RemovePods { .. } => "pods",
        Request::CleanNetwork => "network",
        Request::Unmount { .. } => "unmount",
        Request::ListSnapshots { .. } => "list-snapshots",
        Request::VerifySnapshot { .. } => "verify-snapshot",
        Request::UnpackSnapshot { .. } => "unpack-snapshot",
        Request::CheckRoom { .. } => "room",
        Request::CountObjects(_) => "count",
        Request::SaveSnapshot(_) => "save-snapshot",
        Request::DeleteSnapshot { .. } => "delete-snapshot",
        Request::ListBucket { .. }
        | Request::CopyToBucket { .. }
        | Request::FetchFromBucket { .. }
        | Request::DeleteFromBucket { .. } => "bucket",
        Request::HoldCopy { .. } | Request::AcceptCopy { .. } => "copy-snapshot",
        Request::PrepareMember(_) | Request::AdoptMember(_) => "restore",
    }
}

/// How long the program may take: longer where it depends on the size of etcd's data.
fn answer_within(request: &Request) -> Duration {
    match request {
        Request::VerifySnapshot { .. }
        | Request::UnpackSnapshot { .. }
        | Request::SaveSnapshot(_)
        | Request::CountObjects(_)
        | Request::ListBucket { .. }
        | Request::HoldCopy { .. }
        | Request::AcceptCopy { .. }
        | Request::PrepareMember(_)
        | Request::AdoptMember(_) => SNAPSHOT_WITHIN,
        Request::CopyToBucket { .. } | Request::FetchFromBucket { .. } => BUCKET_WITHIN,
        _ => ANSWER_WITHIN,
    }
}

fn body(image: &ImageRef, request: &Request, run: &str) -> ContainerCreateBody {
    // Only these concern the mounts or the kernel; they need the host's own mount namespace, and all
    // privileges.
    let in_host = match request {
        Request::Look { .. }
        | Request::Put { .. }
        | Request::Read { .. }
        | Request::HandOver { .. }
        | Request::ListSnapshots { .. }
        | Request::VerifySnapshot { .. }
        | Request::UnpackSnapshot { .. }
        | Request::CheckRoom { .. }
        | Request::CountObjects(_)
        | Request::SaveSnapshot(_)
        | Request::DeleteSnapshot { .. }
        | Request::ListBucket { .. }
        | Request::CopyToBucket { .. }
        | Request::FetchFromBucket { .. }
        | Request::DeleteFromBucket { .. }
        | Request::HoldCopy { .. }
        | Request::AcceptCopy { .. }
        | Request::PrepareMember(_)
        | Request::AdoptMember(_) => false,
        Request::SetKernel { .. }
        | Request::Remove { .. }
        | Request::Move { .. }
        | Request::RemovePods { .. }
        | Request::CleanNetwork
        | Request::Unmount { .. } => true,
    };
    // Settings of the network are those of the container's network namespace.
    let in_network = matches!(
        request,
        Request::CleanNetwork
            | Request::SetKernel { .. }
            | Request::SaveSnapshot(_)
            | Request::ListBucket { .. }
            | Request::CopyToBucket { .. }
            | Request::FetchFromBucket { .. }
            | Request::DeleteFromBucket { .. }
    );
    let host = HostConfig {
        auto_remove: Some(true),
        network_mode: Some(if in_network { "host" } else { "none" }.to_owned()),
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        ipc_mode: Some("none".to_owned()),
        // Where Docker maps users, root in the container must be root on the host all the same.
        userns_mode: Some("host".to_owned()),
        privileged: in_host.then_some(true),
        pid_mode: in_host.then(|| "host".to_owned()),
        binds: (!in_host).then(|| vec![format!("/:{HOST}:rslave")]),
        // SELinux denies a confined container access to the host's files.
        security_opt: Some(vec!["label=disable".to_owned()]),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(image.to_string()),
        cmd: Some(vec![SERVE.to_owned(), if in_host { IN_HOST } else { AT_HOST }.to_owned()]),
        user: Some("0:0".to_owned()),
        labels: Some(HashMap::from([(labels::TRANSIENT.to_owned(), run.to_owned())])),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(true),
        stdin_once: Some(true),
        network_disabled: Some(!in_network),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

/// An answer to another request than was sent, or the program's own error.
pub(crate) fn strange(link: &Link, answer: &Answer) -> PortError {
    match answer {
        Answer::Failed(why) => lasting(format!("{}: {why}", link.node)),
        _ => lasting(format!("{}: the program there answers another question", link.node)),
    }
}
