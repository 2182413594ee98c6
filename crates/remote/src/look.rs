//! A look at a node: everything at once, over one connection.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::ImageSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, ListImagesOptionsBuilder};
use futures_util::future::join_all;
use windlass_engine::{LookScope, PortError, PortResult, Traces};
use windlass_model::{
    Component, ContainerName, ContainerSeen, ContainerState, Ending, EtcdData, EtcdElsewhere, EtcdLogSeen,
    EtcdPlaces, FilePath, FileSeen, Health, HostFacts, ImageRef, LedgerCopy, Lineage, NodeFacts, OnChange,
    Probe, RollingSeen, Unasked,
};
use windlass_sidecar::protocol::{Answer, Request, Seen, SeenFile};

use crate::aide::{self, Asking, strange};
use crate::docker::{self, ASK_WITHIN, names_of};
use crate::docker_error::lasting;
use crate::etcd_places::{OfEtcd, etcd_there};
use crate::facts::{self, Unprivileged};
use crate::fleet::{Machine, RemoteFleet};
use crate::health;
use crate::left_overs::remove_left_overs_of;
use crate::link::Link;
use crate::preflight;
use crate::seen::{Known, Listed, listed};
use crate::through_kubelet;

impl RemoteFleet {
    /// Everything that is to be known of a machine.
    pub(crate) async fn look_at(
        &self,
        machine: &Machine,
        scope: &LookScope,
        traces: Traces,
    ) -> PortResult<NodeFacts> {
        let link = &*self.link_of(machine).await?;
        let failed =
            |what: &'static str| move |error: crate::docker_error::DockerError| error.of(&link.node, what);
        let containers = async {
            let options = ListContainersOptionsBuilder::new().all(true).build();
            let listed = link.call(ASK_WITHIN, link.docker.list_containers(Some(options))).await;
            listed.map_err(failed("list containers"))
        };
        let images = async {
            let options = ListImagesOptionsBuilder::new().build();
            let images = link.call(ASK_WITHIN, link.docker.list_images(Some(options))).await;
            images.map_err(failed("list images"))
        };
        let info = async {
            link.call(ASK_WITHIN, link.docker.info()).await.map_err(failed("ask Docker about itself"))
        };
        // The containers determine how the files are read.
        let containers_and_files = async {
            let lines: Vec<Listed> = containers.await?.into_iter().map(listed).collect();
            let there = etcd_there(link, &lines).await;
            let etcd = OfEtcd::new(scope, there.as_deref());
            let files = self.files_of(machine, link, &lines, (scope, &etcd), traces).await?;
            Ok::<_, PortError>((lines, there, files))
        };
        let (lines_and_files, images, info, reported) =
            tokio::join!(containers_and_files, images, info, preflight::ask(link, scope));
        let ((lines, etcd_there, files), images, info, reported) =
            (lines_and_files?, images?, info?, reported?);
        let report = Some(reported.report(&info));
        let now = info.system_time.as_deref().and_then(crate::clock::parse).unwrap_or_default().0;
        if traces == Traces::OwnProgram {
            remove_left_overs_of(link, &lines).await;
        }
        let etcd_created = lines.iter().find_map(|line| match line {
            Listed::Known(name, known) if name.as_str() == Component::Etcd.as_str() => Some(known.created),
            _ => None,
        });
        let containers = self.understand(link, lines, &files.seen, now).await?;
        let defaults = HostFacts::default();
        let operating_system = info.operating_system.unwrap_or(defaults.operating_system);
        let prefix = scope.prefix_on(&operating_system).cloned();
        let own = scope.footprints.under(prefix.as_ref());
        if files.hidden.contains(&own.ledger) {
            let what = format!(
                "{} holds a ledger that only root may read, and no image to read it with; `windlass up` brings one",
                link.node
            );
            return Err(lasting(what));
        }
        let etcd_data = files.etcd_at(&own.etcd());
        let elsewhere = scope.etcd_elsewhere(own, etcd_there.as_deref());
        let etcd_elsewhere = elsewhere.into_iter().map(|places| files.elsewhere(places)).collect();
        let Files { seen: files, directories, ledgers, etcd_snapshots, rolling, hidden: _ } = files;
        let ledger = ledgers.get(&own.ledger).cloned();
        let cgroup_driver = info.cgroup_driver.map(|driver| driver.to_string().into());
        Ok(NodeFacts {
            host: HostFacts {
                docker_root: info.docker_root_dir.map_or(defaults.docker_root, Into::into),
                cgroup_driver: cgroup_driver.unwrap_or(defaults.cgroup_driver),
                operating_system,
                architecture: info.architecture.unwrap_or(defaults.architecture),
                resolv_conf: reported.resolv_conf(),
            },
            prefix,
            report,
            images: names_of_images(&images),
            containers,
            files,
            directories: directories.into_iter().filter(|path| scope.directories.contains(path)).collect(),
            etcd_data,
            etcd_elsewhere,
            ledger: ledger.map(|(lineage, serial)| LedgerCopy { lineage, serial }),
            etcd_log: match (etcd_snapshots.get(&own.etcd_data), etcd_created) {
                (Some(written), Some(created)) if *written > created => EtcdLogSeen::SnapshotSinceCreated,
                _ => EtcdLogSeen::Older,
            },
            rolling,
        })
    }

    /// One container, with its health checked now.
    pub(crate) async fn look_at_container(
        &self,
        machine: &Machine,
        name: &ContainerName,
    ) -> PortResult<Option<ContainerSeen>> {
        let link = &*self.link_of(machine).await?;
        let Some(known) = docker::inspect(link, name).await? else { return Ok(None) };
        let loaded = docker::loaded(link, name, &known).await?;
        let now = windlass_engine::Clock::now(&crate::clock::SystemClock).0;
        let health = self.health(link, name, &known, now).await;
        let ending = docker::ending(link, name, known.state).await;
        Ok(Some(seen(known, loaded, health, ending)))
    }

    async fn understand(
        &self,
        link: &Link,
        lines: Vec<Listed>,
        files: &BTreeMap<FilePath, FileSeen>,
        now: u64,
    ) -> PortResult<BTreeMap<ContainerName, ContainerSeen>> {
        let each = lines.into_iter().map(|line| async {
            let (name, known) = match line {
                Listed::Foreign | Listed::Transient { .. } => return Ok(None),
                Listed::Known(name, known) => (name, known),
                Listed::Unclear(name) => match docker::inspect(link, &name).await? {
                    Some(known) => (name, known),
                    None => return Ok(None),
                },
            };
            // The record of a reload is read only where the label alone would require another.
            let is_stale = known.spec.reads.iter().any(|(path, change)| {
                *change == OnChange::Reload
                    && files.get(path).map(|file| &file.digest) != known.loaded.get(path)
            });
            let loaded = async {
                if is_stale { docker::loaded(link, &name, &known).await } else { Ok(known.loaded.clone()) }
            };
            let (loaded, health, ending) = tokio::join!(
                loaded,
                self.health(link, &name, &known, now),
                docker::ending(link, &name, known.state)
            );
            let loaded = loaded?;
            Ok(Some((name, seen(known, loaded, health, ending))))
        });
        let all: Vec<Option<(ContainerName, ContainerSeen)>> =
            join_all(each).await.into_iter().collect::<PortResult<_>>()?;
        Ok(all.into_iter().flatten().collect())
    }

    async fn health(&self, link: &Link, name: &ContainerName, known: &Known, now: u64) -> Health {
        if known.state != ContainerState::Running {
            return Health::Unhealthy;
        }
        let component = Component::of_successor_or_container(name);
        let Some((component, probe)) =
            component.and_then(|component| Some((component, Probe::of(component, &known.spec)?)))
        else {
            return Health::Healthy;
        };
        let starts_within = component.nature().starts_within_seconds;
        match health::ask(link, &probe, self.keys().as_deref()).await {
            Health::Unhealthy | Health::Unknown(Unasked::NoAnswer)
                if known.since.is_within(starts_within, now) =>
            {
                Health::Starting
            }
            health => health,
        }
    }

    /// What is known of a node's files, as root where `traces` allows it or it leaves none.
    async fn files_of(
        &self,
        machine: &Machine,
        link: &Link,
        lines: &[Listed],
        (scope, etcd): (&LookScope, &OfEtcd),
        traces: Traces,
    ) -> PortResult<Files> {
        if let Some(seen) = through_kubelet::look(link, lines, scope, etcd).await {
            return Ok(seen.into());
        }
        let request = || Request::Look {
            files: (*scope.files).clone(),
            directories: (*scope.directories).clone(),
            of_etcd: etcd.directories(),
            etcd_data: etcd.data(),
            ledgers: ledgers(scope),
            snapshots: scope.snapshots.clone(),
        };
        if let Asking::Answered(Answer::Seen(seen)) =
            aide::ask(link, &self.settings.node_image, request()).await?
        {
            return Ok((*seen).into());
        }
        let unprivileged = facts::reported(&link.run(&facts::script(scope, etcd)).await?);
        if unprivileged.is_whole() {
            return Ok(Files::partly(unprivileged, scope));
        }
        if traces == Traces::OwnProgram {
            return match self.ask(machine, link, request()).await? {
                Answer::Seen(seen) => Ok((*seen).into()),
                other => Err(strange(link, &other)),
            };
        }
        Ok(Files::partly(unprivileged, scope))
    }
}

fn names_of_images(images: &[ImageSummary]) -> BTreeSet<ImageRef> {
    let all = images.iter().flat_map(|image| image.repo_tags.iter().chain(&image.repo_digests));
    all.filter(|name| !name.contains("<none>")).flat_map(|name| names_of(name)).collect()
}

/// Where a copy of the ledger may be.
pub(crate) fn ledgers(scope: &LookScope) -> BTreeSet<FilePath> {
    absolute(scope.footprints.all().map(|footprint| &footprint.ledger))
}

/// A scope without footprints has no places.
fn absolute<'a>(paths: impl Iterator<Item = &'a FilePath>) -> BTreeSet<FilePath> {
    paths.filter(|path| path.as_str().starts_with('/')).cloned().collect()
}

/// What is known of a node's files.
struct Files {
    seen: BTreeMap<FilePath, FileSeen>,
    /// The directories that are filled, those of etcd among them.
    directories: BTreeSet<FilePath>,
    ledgers: BTreeMap<FilePath, (Lineage, u64)>,
    /// When the newest snapshot of a member's log was written.
    etcd_snapshots: BTreeMap<FilePath, u64>,
    /// The periodic snapshots of etcd, where they were read.
    rolling: Option<RollingSeen>,
    /// Of these nothing is known.
    hidden: BTreeSet<FilePath>,
}

impl Files {
    /// Whether a directory is filled; one of which nothing is known counts as filled.
    fn is_filled(&self, path: &FilePath) -> bool {
        self.directories.contains(path) || self.hidden.contains(path)
    }

    fn etcd_at(&self, places: &EtcdPlaces) -> EtcdData {
        places.hold(|path| self.is_filled(path))
    }

    fn elsewhere(&self, places: EtcdPlaces) -> EtcdElsewhere {
        EtcdElsewhere { data: self.etcd_at(&places), places }
    }

    /// What an unprivileged user sees; a hidden directory counts as filled.
    fn partly(seen: Unprivileged, scope: &LookScope) -> Self {
        let Unprivileged { files, directories, hidden } = seen;
        let directories = directories.into_iter().chain(hidden.iter().cloned());
        let files: BTreeMap<_, _> =
            files.into_iter().filter(|(path, _)| scope.files.contains(path)).collect();
        Self {
            directories: directories.collect(),
            seen: files,
            ledgers: BTreeMap::new(),
            etcd_snapshots: BTreeMap::new(),
            rolling: None,
            hidden,
        }
    }
}

impl From<Seen> for Files {
    fn from(seen: Seen) -> Self {
        let Seen { files, directories, ledgers, etcd_snapshots, rolling } = seen;
        let file = |(path, SeenFile { digest, mode, owner })| (path, FileSeen { digest, mode, owner });
        Self {
            seen: files.into_iter().map(file).collect(),
            directories,
            ledgers,
            etcd_snapshots,
            rolling,
            hidden: BTreeSet::new(),
        }
    }
}

fn seen(
    known: Known,
    loaded: windlass_model::Loaded,
    health: Health,
    ending: Option<Ending>,
) -> ContainerSeen {
    let Known { id: _, spec, birth, maker, lineage, state, loaded: _, since: _, created: _ } = known;
    ContainerSeen { spec, birth, maker, lineage, state, health, loaded, ending }
}
