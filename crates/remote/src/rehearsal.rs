//! Restores a snapshot into an etcd that nothing else reaches, and asks it what it holds.
//!
//! ```text
//! room on Docker's disk? ─▶ etcdutl snapshot restore, into a volume of its own
//!                        ─▶ etcd on that volume, in a network of its own: only its loopback
//!                        ─▶ etcdctl in that container: revision, keys
//!                        ─▶ where asked, an API server in the same network, and windlass' own program that has it read all
//!                           Secrets                                       ─▶ containers and volume are removed
//! ```
//!
//! Where this run dies in between, the next one that changes anything removes the containers, and the volume with them.

use std::time::{Duration, Instant};

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, Mount, MountType};
use bollard::query_parameters::StartContainerOptions;
use futures_util::StreamExt as _;
use tokio::time::{sleep, timeout};
use windlass_engine::PortResult;
use windlass_model::{ApiServerTrial, EtcdVersion, ImageRef, NodeName, Rehearsal, Rehearsed, SecretsRead};
use windlass_sidecar::protocol::{Answer, Counting, Request};

use crate::aide::{self, Asking};
use crate::docker::ASK_WITHIN;
use crate::docker_error::lasting;
use crate::fleet::RemoteFleet;
use crate::link::Link;
use crate::snapshots::{SHELF, Transient, body};

/// The member, and the URLs at which it listens, in its own network.
const NAME: &str = "rehearsal";
const CLIENT: &str = "http://127.0.0.1:2379";
const PEER: &str = "http://127.0.0.1:2380";
/// The list of all Secrets.
const SECRETS: &str = "/api/v1/secrets";
/// Where its volume is in the containers, and its data in that: etcd's programs create that directory.
const VOLUME: &str = "/rehearsal";
const DATA: &str = "/rehearsal/etcd";
/// What etcd reserves for its log beside the database, in bytes.
const LOG: u64 = 64 << 20;
/// How long the restored etcd may take to answer: it reads the whole database first.
const ANSWERS_WITHIN: Duration = Duration::from_secs(300);
/// How long one question may take.
const QUESTION_WITHIN: Duration = Duration::from_secs(120);
/// How long to wait between two questions.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(250);

impl RemoteFleet {
    pub(crate) async fn rehearse(&self, node: &NodeName, rehearsal: &Rehearsal) -> PortResult<Rehearsed> {
        self.have_done(node, Request::CheckRoom { bytes: rehearsal.bytes.saturating_add(LOG) }).await?;
        let link = self.link(node).await?;
        let restoring = Transient::create(&link, "rehearsal", restoring(&link, rehearsal)).await?;
        let ended = rehearse_with(&link, &restoring, rehearsal, &self.settings.node_image).await;
        restoring.remove().await;
        ended
    }
}

async fn rehearse_with(
    link: &Link,
    restoring: &Transient<'_>,
    rehearsal: &Rehearsal,
    own_image: &ImageRef,
) -> PortResult<Rehearsed> {
    let begun = Instant::now();
    restoring.run().await?;
    let restored_in = begun.elapsed();
    let serving = Transient::create(link, "rehearsal", serving(link, restoring, rehearsal)).await?;
    let ended = async {
        serving.start().await?;
        let (revision, keys) = until_it_answers(link, &serving).await?;
        let answered_in = begun.elapsed().saturating_sub(restored_in);
        let api_server = match &rehearsal.api_server {
            Some(trial) => Some(Box::pin(secrets_read(link, &serving, trial, own_image)).await?),
            None => None,
        };
        Ok(Rehearsed { revision, keys, restored_in, answered_in, api_server })
    }
    .await;
    serving.remove().await;
    ended
}

/// Starts an API server beside the restored etcd, and has it read all Secrets.
async fn secrets_read(
    link: &Link,
    etcd: &Transient<'_>,
    trial: &ApiServerTrial,
    own_image: &ImageRef,
) -> PortResult<SecretsRead> {
    let begun = Instant::now();
    let server = Transient::create(link, "rehearsal", api_server(link, etcd, trial)).await?;
    let ended = async {
        server.start().await?;
        tokio::select! {
            counted = count_secrets(link, &server, trial, own_image) => counted,
            ended = until_it_ends(&server) => {
                ended?;
                Err(lasting("it ends".to_owned()))
            }
        }
    }
    .await;
    let ended = match ended {
        Ok(secrets) => Ok(SecretsRead { secrets, answered_in: begun.elapsed() }),
        Err(error) => Err(lasting(format!(
            "the API server on the restored etcd on {}: {error}; its last words: {}",
            link.node,
            server.last_words().await
        ))),
    };
    server.remove().await;
    ended
}

async fn count_secrets(
    link: &Link,
    server: &Transient<'_>,
    trial: &ApiServerTrial,
    own_image: &ImageRef,
) -> PortResult<u64> {
    let request = Request::CountObjects(Counting {
        path: SECRETS.to_owned(),
        authority: trial.authority.clone(),
        certificate: trial.certificate.clone(),
        key: trial.key.clone(),
        ready_within_seconds: ANSWERS_WITHIN.as_secs(),
    });
    match aide::ask_beside(link, own_image, &server.name, request).await? {
        Asking::Answered(Answer::Counted(secrets)) => Ok(secrets),
        Asking::Answered(other) => Err(aide::strange(link, &other)),
        Asking::NoImage => Err(lasting(format!("{own_image} is not on {}", link.node))),
    }
}

async fn until_it_ends(server: &Transient<'_>) -> PortResult<()> {
    while !server.has_ended().await? {
        sleep(ASK_AGAIN_AFTER * 4).await;
    }
    Ok(())
}

/// The container of the API server, in etcd's network: what it reads is mounted, and nothing is made where that is missing.
fn api_server(link: &Link, etcd: &Transient<'_>, trial: &ApiServerTrial) -> ContainerCreateBody {
    let (program, flags) =
        trial.command.split_first().map_or(("", &[][..]), |(first, rest)| (&**first, rest));
    let flags = flags.iter().map(ToString::to_string);
    let mounts = trial.mounts.iter().map(|(source, target)| Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_string()),
        target: Some(target.to_string()),
        read_only: Some(true),
        ..Mount::default()
    });
    let mut body = ContainerCreateBody {
        entrypoint: Some(vec![program.to_owned()]),
        cmd: Some(flags.chain([format!("--etcd-servers={CLIENT}")]).collect()),
        network_disabled: None,
        ..body(link, trial.image.to_string(), vec![])
    };
    if let Some(host) = &mut body.host_config {
        host.network_mode = Some(aide::network_of(&etcd.name));
        host.mounts = Some(mounts.collect());
    }
    body
}

/// The container that makes data of the snapshot, with the volume.
fn restoring(link: &Link, rehearsal: &Rehearsal) -> ContainerCreateBody {
    let Rehearsal { directory, name, image, .. } = rehearsal;
    let version = EtcdVersion::of_image(image.as_str());
    let program = if version.is_some_and(EtcdVersion::restores_by_etcdutl) { "etcdutl" } else { "etcdctl" };
    let command = vec![
        "snapshot".to_owned(),
        "restore".to_owned(),
        format!("{SHELF}/{name}"),
        format!("--name={NAME}"),
        format!("--initial-cluster={NAME}={PEER}"),
        format!("--initial-cluster-token={NAME}"),
        format!("--initial-advertise-peer-urls={PEER}"),
        format!("--data-dir={DATA}"),
    ];
    ContainerCreateBody {
        entrypoint: Some(vec![format!("/usr/local/bin/{program}")]),
        cmd: Some(command),
        env: Some(vec!["ETCDCTL_API=3".to_owned()]),
        volumes: Some(vec![VOLUME.to_owned()]),
        ..body(link, image.to_string(), vec![format!("{directory}:{SHELF}:ro")])
    }
}

/// The container of the etcd on that volume.
fn serving(link: &Link, restoring: &Transient<'_>, rehearsal: &Rehearsal) -> ContainerCreateBody {
    let mut body = ContainerCreateBody {
        entrypoint: Some(vec!["/usr/local/bin/etcd".to_owned()]),
        cmd: Some(vec![
            format!("--name={NAME}"),
            format!("--data-dir={DATA}"),
            format!("--listen-client-urls={CLIENT}"),
            format!("--advertise-client-urls={CLIENT}"),
            format!("--listen-peer-urls={PEER}"),
            format!("--initial-advertise-peer-urls={PEER}"),
            format!("--initial-cluster={NAME}={PEER}"),
            // Its database may be as large as any.
            "--quota-backend-bytes=0".to_owned(),
        ]),
        // Its loopback must be there.
        network_disabled: None,
        ..body(link, rehearsal.image.to_string(), vec![])
    };
    if let Some(host) = &mut body.host_config {
        host.volumes_from = Some(vec![restoring.name.clone()]);
    }
    body
}

/// Revision and number of keys in what etcdctl prints as `fields`, the only form in which it counts.
fn counted(said: &str) -> Option<(u64, u64)> {
    let field = |name: &str| {
        let mut fields = said.lines().filter_map(|line| line.split_once(" : "));
        fields.find(|(of, _)| of.trim().trim_matches('"') == name)?.1.trim().parse().ok()
    };
    Some((field("Revision")?, field("Count")?))
}

/// The revision and the number of keys, when it answers.
async fn until_it_answers(link: &Link, serving: &Transient<'_>) -> PortResult<(u64, u64)> {
    let question = ["get", "", "--from-key", "--count-only", "--write-out=fields"];
    let deadline = Instant::now() + ANSWERS_WITHIN;
    loop {
        let said = ask(link, serving, &question).await?;
        match counted(&said) {
            Some(counted) => return Ok(counted),
            None if serving.has_ended().await? => {
                return Err(lasting(format!(
                    "the restored etcd on {} ends: {}",
                    link.node,
                    serving.last_words().await
                )));
            }
            None if Instant::now() >= deadline => {
                return Err(lasting(format!(
                    "the restored etcd on {} has not answered within {} s: {}",
                    link.node,
                    ANSWERS_WITHIN.as_secs(),
                    serving.last_words().await
                )));
            }
            None => sleep(ASK_AGAIN_AFTER).await,
        }
    }
}

/// What etcdctl prints on stdout; nothing where it cannot be started.
async fn ask(link: &Link, serving: &Transient<'_>, question: &[&str]) -> PortResult<String> {
    let endpoints = format!("--endpoints={CLIENT}");
    let options = CreateExecOptions {
        cmd: Some(
            ["/usr/local/bin/etcdctl", endpoints.as_str()]
                .into_iter()
                .chain(question.iter().copied())
                .collect(),
        ),
        env: Some(vec!["ETCDCTL_API=3"]),
        attach_stdout: Some(true),
        ..CreateExecOptions::default()
    };
    let Ok(created) = link.call(ASK_WITHIN, link.docker.create_exec(serving.name.as_str(), options)).await
    else {
        return Ok(String::new());
    };
    let start = link.docker.start_exec(&created.id, None::<bollard::exec::StartExecOptions>);
    let Ok(StartExecResults::Attached { mut output, .. }) = link.call(ASK_WITHIN, start).await else {
        return Ok(String::new());
    };
    let all = async {
        let mut all = Vec::new();
        while let Some(Ok(part)) = output.next().await {
            if let LogOutput::StdOut { message } = part {
                all.extend_from_slice(&message);
            }
        }
        all
    };
    let all = timeout(QUESTION_WITHIN, all).await.unwrap_or_default();
    Ok(String::from_utf8_lossy(&all).into_owned())
}

impl Transient<'_> {
    async fn start(&self) -> PortResult<()> {
        let Self { link, name } = self;
        link.call(ASK_WITHIN, link.docker.start_container(name, None::<StartContainerOptions>))
            .await
            .map_err(|error| error.of(&link.node, &format!("start {name}")))
    }

    async fn has_ended(&self) -> PortResult<bool> {
        let Self { link, name } = self;
        let seen = link
            .call(ASK_WITHIN, link.docker.inspect_container(name, None))
            .await
            .map_err(|error| error.of(&link.node, &format!("inspect {name}")))?;
        Ok(!seen.state.and_then(|state| state.running).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revision_and_keys_are_read_from_what_etcdctl_prints() {
        let said = "\"ClusterID\" : 14841639068965178418\n\"MemberID\" : 10276657743932975437\n\"Revision\" : 2\n\
                    \"RaftTerm\" : 2\n\"More\" : false\n\"Count\" : 1\n";
        assert_eq!(counted(said), Some((2, 1)));
        assert_eq!(counted("Error: context deadline exceeded"), None);
    }
}
