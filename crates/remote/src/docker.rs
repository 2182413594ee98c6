//! The verbs on containers and images, each of them one call or a few.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use bollard::container::LogOutput;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, DownloadFromContainerOptionsBuilder,
    InspectContainerOptions, KillContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    RenameContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use futures_util::{StreamExt, TryStreamExt};
use serde::Deserialize;
use windlass_engine::{NewContainer, PortResult};
use windlass_model::{
    Component, ContainerName, ContainerSpec, ContainerState, Digest, Ending, FilePath, ImageRef, Loaded,
    OnChange, Secret,
};

use crate::docker_error::{DockerError, already, lasting};
use crate::labels;
use crate::link::Link;
use crate::render::create_body;
use crate::seen::{Known, inspected};

/// How long a query may take.
pub(crate) const ASK_WITHIN: Duration = Duration::from_secs(20);
/// How long a creation, start, renaming or removal may take.
const ACT_WITHIN: Duration = Duration::from_secs(60);
/// How long a pull may make no progress.
const PULL_STANDS_STILL: Duration = Duration::from_secs(300);
/// How long a pull may take in all.
const PULL_WITHIN: Duration = Duration::from_secs(3_600);

/// The inspection of a container; none if it does not exist.
pub(crate) async fn inspect(link: &Link, name: &ContainerName) -> PortResult<Option<Known>> {
    let call = link.docker.inspect_container(name.as_str(), None::<InspectContainerOptions>);
    match link.call(ASK_WITHIN, call).await {
        Ok(seen) => Ok(Some(inspected(&seen))),
        Err(error) if error.is(404) => Ok(None),
        Err(error) => Err(error.of(&link.node, &format!("inspect {name}"))),
    }
}

/// Creates a container.
pub(crate) async fn create(link: &Link, name: &ContainerName, new: &NewContainer) -> PortResult<()> {
    let options = CreateContainerOptionsBuilder::new().name(name.as_str()).build();
    let created = link.call(ACT_WITHIN, link.docker.create_container(Some(options), create_body(new))).await;
    match created {
        Ok(_) => Ok(()),
        Err(error) if error.is(404) => {
            Err(lasting(format!("no such image: {} on {}", new.spec.image, link.node)))
        }
        Err(error) if error.is(409) => {
            let there = inspect(link, name).await?;
            let same = there.is_some_and(|there| {
                there.state == ContainerState::Created
                    && there.spec == new.spec
                    && there.birth == new.birth
                    && there.loaded == new.loaded
            });
            if same {
                already(format!("{name} is created"))
            } else {
                Err(lasting(format!("the container name {name} is already in use on {}", link.node)))
            }
        }
        Err(error) => Err(error.of(&link.node, &format!("create {name}"))),
    }
}

/// Starts a container.
pub(crate) async fn start(link: &Link, name: &ContainerName) -> PortResult<()> {
    let call = link.docker.start_container(name.as_str(), None::<StartContainerOptions>);
    link.call(ACT_WITHIN, call).await.map_err(|error| error.of(&link.node, &format!("start {name}")))
}

/// Stops a container.
pub(crate) async fn stop(link: &Link, name: &ContainerName) -> PortResult<()> {
    let options = StopContainerOptionsBuilder::new().t(grace_seconds(name)).build();
    let call = link.docker.stop_container(name.as_str(), Some(options));
    link.call(ACT_WITHIN, call).await.map_err(|error| error.of(&link.node, &format!("stop {name}")))
}

/// How long a container has to stop by itself before it is killed; for one that runs no component, Docker's
/// default.
fn grace_seconds(name: &ContainerName) -> i32 {
    let grace = Component::of_container(name).map(|component| component.nature().stops_within_seconds);
    grace.and_then(|seconds| i32::try_from(seconds).ok()).unwrap_or(10)
}

/// Renames a container.
pub(crate) async fn rename(link: &Link, from: &ContainerName, to: &ContainerName) -> PortResult<()> {
    let options = RenameContainerOptionsBuilder::new().name(to.as_str()).build();
    match link.call(ACT_WITHIN, link.docker.rename_container(from.as_str(), options)).await {
        Ok(()) => Ok(()),
        Err(error) if error.is(404) && inspect(link, to).await?.is_some() => {
            already(format!("{from} is called {to}"))
        }
        Err(error) => Err(error.of(&link.node, &format!("rename {from} to {to}"))),
    }
}

/// Removes a container that does not run.
pub(crate) async fn remove(link: &Link, name: &ContainerName) -> PortResult<()> {
    let options = RemoveContainerOptionsBuilder::new().v(true).build();
    match link.call(ACT_WITHIN, link.docker.remove_container(name.as_str(), Some(options))).await {
        Ok(()) => Ok(()),
        Err(error) if error.is(404) || error.says("is already in progress") => {
            already(format!("{name} is gone"))
        }
        Err(error) => Err(error.of(&link.node, &format!("remove {name}"))),
    }
}

/// Makes a container read its files again, and records in it their digests.
pub(crate) async fn reload(link: &Link, name: &ContainerName) -> PortResult<()> {
    let Some(known) = inspect(link, name).await? else {
        return Err(lasting(format!("no such container: {name} on {}", link.node)));
    };
    // The digests are taken before the reload: if the files change in between, the record has the older ones,
    // and the next look asks for another reload.
    let mut read = reloaded(link, name, &known).await?.unwrap_or_default();
    for (path, _) in known.spec.reads.iter().filter(|(_, change)| **change == OnChange::Reload) {
        if let Some(inner) = inside(&known.spec, path)
            && let Some(content) = file_in(link, name, &inner).await?
        {
            read.insert(path.clone(), Digest::of(&content));
        }
    }
    let options = KillContainerOptionsBuilder::new().signal("HUP").build();
    link.call(ACT_WITHIN, link.docker.kill_container(name.as_str(), Some(options)))
        .await
        .map_err(|error| error.of(&link.node, &format!("reload {name}")))?;
    note_reloaded(link, name, &read).await
}

/// What a container has loaded: its label, updated by what a reload has read since.
pub(crate) async fn loaded(link: &Link, name: &ContainerName, known: &Known) -> PortResult<Loaded> {
    let mut loaded = known.loaded.clone();
    if let Some(read) = reloaded(link, name, known).await? {
        loaded.extend(read);
    }
    Ok(loaded)
}

/// The record in a container; none if it was never reloaded.
async fn reloaded(link: &Link, name: &ContainerName, known: &Known) -> PortResult<Option<Loaded>> {
    if !known.spec.reads.values().any(|change| *change == OnChange::Reload) {
        return Ok(None);
    }
    let note = file_in(link, name, labels::RELOADED).await?;
    Ok(note.and_then(|content| serde_json::from_slice(&content).ok()))
}

async fn note_reloaded(link: &Link, name: &ContainerName, read: &Loaded) -> PortResult<()> {
    let content = serde_json::to_vec(read).expect("digests by paths are JSON");
    let mut header = tar::Header::new_ustar();
    let mut archive = tar::Builder::new(Vec::new());
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    let appended =
        archive.append_data(&mut header, labels::RELOADED.trim_start_matches('/'), content.as_slice());
    let archive = appended.and_then(|()| archive.into_inner()).expect("memory takes a small archive");
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    let call =
        link.docker.upload_to_container(name.as_str(), Some(options), bollard::body_full(archive.into()));
    link.call(ACT_WITHIN, call)
        .await
        .map_err(|error| error.of(&link.node, &format!("note what {name} has read")))
}

/// A file as a container sees it; none if it does not exist there.
async fn file_in(link: &Link, name: &ContainerName, path: &str) -> PortResult<Option<Vec<u8>>> {
    let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
    let stream = link.docker.download_from_container(name.as_str(), Some(options));
    let call = stream.try_fold(Vec::new(), |mut all, part| async move {
        all.extend_from_slice(&part);
        Ok(all)
    });
    let archive = match link.call(ASK_WITHIN, call).await {
        Ok(archive) => archive,
        Err(error) if error.is(404) => return Ok(None),
        Err(error) => return Err(error.of(&link.node, &format!("read {path} in {name}"))),
    };
    let mut archive = tar::Archive::new(archive.as_slice());
    let Ok(mut entries) = archive.entries() else { return Ok(None) };
    let Some(Ok(mut entry)) = entries.next() else { return Ok(None) };
    let mut content = Vec::new();
    Ok(std::io::Read::read_to_end(&mut entry, &mut content).is_ok().then_some(content))
}

/// The path in a container of a path of the host, through its deepest mount.
fn inside(spec: &ContainerSpec, path: &FilePath) -> Option<String> {
    spec.binds
        .iter()
        .filter_map(|bind| {
            let mut parts = bind.splitn(3, ':');
            let (source, target) = (parts.next()?.trim_end_matches('/'), parts.next()?);
            let rest = path.as_str().strip_prefix(source)?;
            (rest.is_empty() || rest.starts_with('/'))
                .then(|| (source.len(), format!("{}{rest}", target.trim_end_matches('/'))))
        })
        .max()
        .map(|(_, path)| path)
}

/// How many lines of a run of etcd are read: a panic ends with a stack trace.
const LINES_OF_A_RUN: usize = 200;

/// How the last run of etcd ended, if it exits again and again; none where that is unknown.
pub(crate) async fn ending(link: &Link, name: &ContainerName, state: ContainerState) -> Option<Ending> {
    let is_etcd = Component::of_container(name) == Some(Component::Etcd);
    if !is_etcd || state != ContainerState::Crashing {
        return None;
    }
    let call = link.docker.inspect_container(name.as_str(), None::<InspectContainerOptions>);
    let started = link.call(ASK_WITHIN, call).await.ok()?.state?.started_at?;
    // The cause of an earlier end may have been repaired since.
    let since = crate::clock::parse(&started)?.0;
    Ending::of_log(&log_since(link, name, LINES_OF_A_RUN, since).await.ok()?)
}

/// The last lines of a container's log.
pub(crate) async fn log_tail(link: &Link, name: &ContainerName, lines: usize) -> PortResult<Vec<String>> {
    log_since(link, name, lines, 0).await
}

/// The last lines of a container's log since a moment, in seconds since 1970.
async fn log_since(link: &Link, name: &ContainerName, lines: usize, since: u64) -> PortResult<Vec<String>> {
    let since = i32::try_from(since).unwrap_or(i32::MAX);
    let options =
        LogsOptionsBuilder::new().stdout(true).stderr(true).since(since).tail(&lines.to_string()).build();
    let call =
        link.docker.logs(name.as_str(), Some(options)).try_fold(Vec::new(), |mut all, part| async move {
            match part {
                LogOutput::StdErr { message }
                | LogOutput::StdOut { message }
                | LogOutput::Console { message } => {
                    all.extend_from_slice(&message);
                }
                LogOutput::StdIn { .. } => {}
            }
            Ok(all)
        });
    let bytes = link
        .call(ASK_WITHIN, call)
        .await
        .map_err(|error| error.of(&link.node, &format!("read the log of {name}")))?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    Ok(all.iter().skip(all.len().saturating_sub(lines)).map(ToString::to_string).collect())
}

/// Pulls an image.
pub(crate) async fn pull(link: &Link, image: &ImageRef, auth: Option<&Secret<String>>) -> PortResult<()> {
    if link.call(ASK_WITHIN, link.docker.inspect_image(image.as_str())).await.is_ok() {
        return already(format!("{image} is there"));
    }
    let (name, tag) = split(image.as_str());
    let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).build();
    let credentials = auth.and_then(|auth| credentials(auth, image.as_str()));
    let stream = link.docker.create_image(Some(options), None, credentials);
    let call = async {
        tokio::pin!(stream);
        loop {
            match tokio::time::timeout(PULL_STANDS_STILL, stream.next()).await {
                Err(_) => {
                    let error = format!("nothing came for {} s: i/o timeout", PULL_STANDS_STILL.as_secs());
                    return Err(bollard::errors::Error::DockerStreamError { error });
                }
                Ok(Some(Ok(progress))) => {
                    if let Some(error) = progress.error_detail.and_then(|detail| detail.message) {
                        return Err(bollard::errors::Error::DockerStreamError { error });
                    }
                }
                Ok(Some(Err(error))) => return Err(error),
                Ok(None) => return Ok(()),
            }
        }
    };
    link.call(PULL_WITHIN, call).await.map_err(|error| match error {
        DockerError::Refused { message, .. }
            if message.contains("unauthorized") || message.contains("no basic auth") =>
        {
            lasting(format!("pull {image} on {}: the registry refuses the credentials: {message}", link.node))
        }
        error => error.of(&link.node, &format!("pull {image}")),
    })
}

/// Name and tag, or name and digest; without either, Docker would pull every tag.
fn split(image: &str) -> (&str, &str) {
    if let Some((name, digest)) = image.split_once('@') {
        return (name, digest);
    }
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

#[derive(Deserialize)]
struct DockerConfig {
    auths: std::collections::BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    auth: String,
}

/// The credentials for the registry of an image.
fn credentials(config: &Secret<String>, image: &str) -> Option<DockerCredentials> {
    let DockerConfig { auths } = serde_json::from_str(config.expose()).ok()?;
    let registry = registry(image);
    let host = |url: &str| {
        let bare = url.trim_start_matches("https://").trim_start_matches("http://");
        bare.split('/').next().unwrap_or(bare).to_owned()
    };
    let (url, Auth { auth }) = auths.into_iter().find(|(url, _)| host(url) == registry)?;
    let plain = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
    let (user, password) = plain.split_once(':')?;
    Some(DockerCredentials {
        username: Some(user.to_owned()),
        password: Some(password.to_owned()),
        serveraddress: Some(url),
        ..DockerCredentials::default()
    })
}

/// The host of the registry in an image's name; Docker Hub's where it has none.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => {
            if host == "docker.io" {
                "index.docker.io"
            } else {
                host
            }
        }
        _ => "index.docker.io",
    }
}

/// All names that refer to an image which Docker lists under this one.
pub(crate) fn names_of(listed: &str) -> BTreeSet<ImageRef> {
    let mut names = BTreeSet::from([ImageRef::from(listed)]);
    let has_host =
        listed.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']) || host == "localhost");
    if !has_host {
        let mut long = vec![listed.to_owned()];
        if !listed.contains('/') {
            long.push(format!("library/{listed}"));
        }
        for name in long {
            for host in ["docker.io", "index.docker.io"] {
                names.insert(format!("{host}/{name}").into());
            }
            names.insert(name.into());
        }
    }
    let untagged: Vec<ImageRef> =
        names.iter().filter_map(|name| name.as_str().strip_suffix(":latest")).map(ImageRef::from).collect();
    names.extend(untagged);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_asked_for_by_name_and_tag() {
        for (image, wanted) in [
            ("etcd", ("etcd", "latest")),
            ("r:5000/etcd", ("r:5000/etcd", "latest")),
            ("r:5000/etcd:v1", ("r:5000/etcd", "v1")),
            ("etcd@sha256:12", ("etcd", "sha256:12")),
        ] {
            assert_eq!(split(image), wanted);
        }
    }

    #[test]
    fn each_registry_has_its_own_credentials() {
        let auth = |text: &str| STANDARD.encode(text);
        let config = serde_json::json!({ "auths": {
            "https://index.docker.io/v1/": { "auth": auth("hub:a:b") },
            "r:5000": { "auth": auth("own:c") },
        }});
        let config = Secret::new(config.to_string());
        let user =
            |image: &str| credentials(&config, image).map(|it| (it.username.unwrap(), it.password.unwrap()));
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(user("r:5000/lab/etcd:v1"), pair("own", "c"));
        assert_eq!(user("rancher/etcd:v1"), pair("hub", "a:b"));
        assert_eq!(user("docker.io/rancher/etcd:v1"), pair("hub", "a:b"));
        assert_eq!(user("quay.io/etcd:v1"), None);
    }

    #[test]
    fn an_image_is_known_by_all_its_names() {
        let names = |listed| names_of(listed).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(names("r:5000/etcd:v1"), "r:5000/etcd:v1");
        assert_eq!(
            names("rancher/etcd:v1"),
            "docker.io/rancher/etcd:v1 index.docker.io/rancher/etcd:v1 rancher/etcd:v1"
        );
        assert_eq!(names_of("nginx:latest").len(), 12);
    }
}
