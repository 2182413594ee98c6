//! Snapshots of etcd on simulated machines: what a cluster stored at a time, and members whose data is
//! restored from it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::{PortResult, Snapshots};
use windlass_model::{
    ApiServerTrial, BucketPlace, ChosenSnapshot, Component, Digest, EtcdVersion, FilePath, InBucket,
    KubernetesVersion, MemberId, MemberRestore, Mode, NodeName, Owner, RESTORED_MARK, Rehearsal, Rehearsed,
    SNAPSHOT_EXTENSION, Secret, SecretsRead, SnapshotProof, SnapshotSeen, SnapshotState, SnapshotWanted,
    Timestamp, unpacked_name,
};

use crate::at_rest::{AtRest, named};
use crate::etcd::{Cluster, Member, MemberData, cluster_id, founder_id};
use crate::etcd_places::member_of;
use crate::files::{FileState, is_under};
use crate::invariants::Deed;
use crate::kube::KubeState;
use crate::ports::SimFleet;
use crate::story::Object;
use crate::world::{Disk, World, already, lasting};

/// A snapshot's file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotFile {
    /// What its cluster stored.
    kube: KubeState,
    revision: u64,
    taken_at: Timestamp,
    /// The oldest version of Kubernetes that wrote into it, from its metadata.
    #[serde(default)]
    kubernetes: Option<KubernetesVersion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ledger_serial: Option<u64>,
    /// The version that its members had agreed on.
    etcd: Option<(u32, u32)>,
    /// The CA of its cluster, from its metadata; none without metadata.
    authority: Option<Digest>,
    #[serde(default)]
    condition: Condition,
}

/// Whether a file is still as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Condition {
    #[default]
    Whole,
    Corrupt,
    Truncated,
}

/// How a file is damaged, in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoilt {
    /// Some of its bytes are changed.
    Corrupt,
    /// Its end is missing.
    Truncated,
    /// It is a snapshot of a cluster with another CA.
    Foreign,
    /// A newer etcd wrote it.
    TooNew,
    /// Its cluster is unknown.
    Unnoted,
}

impl SnapshotFile {
    /// The digest of its bytes: of everything in which files differ.
    fn digest(&self) -> Digest {
        Digest::of(format!("{} {} {:?}", self.revision, self.taken_at, self.condition))
    }

    fn keys(&self) -> u64 {
        u64::try_from(self.kube.nodes.len() + self.kube.objects.len()).unwrap_or(u64::MAX)
    }

    /// The Secret with the ledger's roots.
    fn secrets(&self) -> u64 {
        u64::from(self.kube.kept.is_some())
    }

    fn bytes(&self) -> u64 {
        let whole = 65_536 + self.revision * 512;
        if self.condition == Condition::Truncated { whole / 2 } else { whole }
    }

    /// The CA of its cluster, as its metadata says.
    pub(crate) fn authority(&self) -> Option<Digest> {
        self.authority
    }

    pub(crate) fn seen(&self, path: &FilePath, now: Timestamp) -> SnapshotSeen {
        let name = path.as_str().rsplit('/').next().unwrap_or_default().to_owned();
        let of_rke = unpacked_name(&name).is_some();
        // An archive is smaller than what is in it.
        let bytes = if of_rke { self.bytes() / 4 } else { self.bytes() };
        let state = match self.condition {
            Condition::Corrupt => SnapshotState::Damaged("its digest is another".to_owned()),
            Condition::Truncated => SnapshotState::Damaged("its end is missing".to_owned()),
            Condition::Whole => SnapshotState::Proven(Box::new(SnapshotProof {
                member: None,
                format: SnapshotProof::FORMAT,
                sha256: self.digest(),
                bytes: self.bytes(),
                revision: self.revision,
                keys: self.keys(),
                keys_by_prefix: [("/registry/secrets".to_owned(), self.secrets())].into(),
                etcd: self.etcd.map(|(major, minor)| format!("{major}.{minor}.0")),
                kubernetes: self.kubernetes.clone(),
                ledger_serial: self.ledger_serial,
                members: Vec::new(),
                // Nothing that RKE writes says of which cluster a snapshot is.
                authority: self.authority.filter(|_| !of_rke),
                endpoint: None,
                taken_at: Some(self.taken_at),
                archive_bytes: of_rke.then_some(bytes),
                checked_at: now,
            })),
        };
        SnapshotSeen { name, bytes, written_at: self.taken_at, state }
    }
}

pub(crate) fn path_of(directory: &FilePath, name: &str) -> FilePath {
    FilePath::from(format!("{directory}/{name}"))
}

impl World {
    /// Damages a snapshot, wherever it is.
    pub fn spoil_snapshots(&mut self, name: &str, how: Spoilt) {
        let is_meant = |path: &FilePath| path.as_str().ends_with(name);
        let files = self.nodes.iter_mut().flat_map(|node| node.snapshots.iter_mut());
        for (_, file) in files.filter(|(path, _)| is_meant(path)) {
            match how {
                Spoilt::Corrupt => file.condition = Condition::Corrupt,
                Spoilt::Truncated => file.condition = Condition::Truncated,
                Spoilt::Foreign => file.authority = Some(Digest::of("another cluster")),
                Spoilt::TooNew => file.etcd = Some((9, 9)),
                Spoilt::Unnoted => file.authority = None,
            }
        }
    }

    /// How many clusters of etcd are live, or could be with what is on the machines.
    pub fn living_clusters(&self) -> usize {
        self.clusters.iter().filter(|(id, cluster)| cluster.lived && self.could_live(**id)).count()
    }

    /// Whether a majority of a cluster's members has its data where it was written.
    fn could_live(&self, id: u64) -> bool {
        let Some(cluster) = self.clusters.get(&id) else { return false };
        let at_home = |member: &MemberId| {
            let gone = &self.run.rules.gone;
            let there = self.nodes.iter().filter(|node| !gone.contains(&node.name.0));
            there.flat_map(|node| &node.etcd_data).any(|(path, data)| {
                data.cluster == id && data.member == *member && *path == data.home && !data.blank
            })
        };
        cluster.members.keys().filter(|member| at_home(member)).count() * 2 > cluster.voters()
    }

    /// Clusters whose data was moved aside or lost are no longer live: another one may replace them.
    pub(crate) fn judge_superseded(&mut self) {
        for id in self.clusters.keys().copied().collect::<Vec<_>>() {
            let is_dead = !self.could_live(id);
            if let Some(cluster) = self.clusters.get_mut(&id).filter(|cluster| !cluster.is_elsewhere()) {
                cluster.dismantled |= is_dead && cluster.lived;
            }
        }
    }

    /// Whether a machine has an intact copy for a restore, or data that was restored from one.
    fn is_ready_for_restore(&self, machine: usize) -> bool {
        let node = &self.nodes[machine];
        let staging = format!("/{}/", windlass_model::STAGING);
        let is_copy = |(path, file): (&FilePath, &SnapshotFile)| {
            path.as_str().contains(&staging) && file.condition == Condition::Whole
        };
        node.snapshots.iter().any(is_copy)
            || node.files.keys().any(|file| file.as_str().ends_with(RESTORED_MARK))
    }

    /// What is stopped in a run that restores although not every member's node has an intact copy.
    pub(crate) fn stopped_too_early(&self, verb: &crate::run::Verb<'_>) -> Option<String> {
        if !self.run.rules.restoring {
            return None;
        }
        let (Deed::Stop { name } | Deed::Remove { name }) = &verb.deed else { return None };
        let component = Component::of_container(name)
            .filter(|component| *component == Component::Etcd || component.is_control_plane())?;
        let of_etcd = self.run.rules.etcds.iter().filter_map(|node| self.machine_of(node));
        let mut unready = of_etcd.filter(|machine| !self.is_ready_for_restore(*machine));
        let machine = unready.next()?;
        Some(format!("{component} was stopped before {} had its copy", self.nodes[machine].name))
    }

    fn snapshots(&self, machine: usize, directory: &FilePath) -> Vec<SnapshotSeen> {
        let now = self.time();
        let is_inside = |path: &FilePath| {
            path.as_str()
                .strip_prefix(directory.as_str())
                .is_some_and(|rest| rest.starts_with('/') && !rest[1..].contains('/'))
        };
        let files = self.nodes[machine].snapshots.iter().filter(|(path, _)| is_inside(path));
        files.map(|(path, file)| file.seen(path, now)).collect()
    }

    pub(crate) fn snapshot_at(&self, machine: usize, path: &FilePath) -> PortResult<&SnapshotFile> {
        let missing = || lasting(format!("{path}: there is no such snapshot"));
        self.nodes[machine].snapshots.get(path).ok_or_else(missing)
    }

    fn save_snapshot(&mut self, machine: usize, wanted: &SnapshotWanted) -> PortResult<SnapshotSeen> {
        let SnapshotWanted { directory, name, authority, kubernetes, ledger_serial, .. } = wanted;
        let name = format!("{}{SNAPSHOT_EXTENSION}", name.trim_end_matches(SNAPSHOT_EXTENSION));
        let path = path_of(directory, &name);
        if self.nodes[machine].snapshots.contains_key(&path) {
            return Err(lasting(format!("{path} is there already")));
        }
        if self.nodes[machine].disk == Disk::Full {
            return Err(lasting(format!("{}: no space left on device", self.nodes[machine].name)));
        }
        // A member gives what it has, with a majority or without.
        let (id, member) = self.member_on(machine).map_err(|error| lasting(error.to_string()))?;
        let serves = self.view.clusters.get(&id).is_some_and(|view| view.serves(member));
        let behind = if serves { 0 } else { self.behind(machine, member) };
        let cluster = &self.clusters[&id];
        let now = self.time();
        let mut kube = cluster.kube.clone();
        kube.revision = kube.revision.saturating_sub(behind);
        let file = SnapshotFile {
            revision: kube.revision,
            kube,
            taken_at: now,
            etcd: cluster.version,
            kubernetes: kubernetes.clone(),
            ledger_serial: *ledger_serial,
            authority: self.nodes[machine].files.get(authority).map(|file| file.digest),
            condition: Condition::Whole,
        };
        let seen = file.seen(&path, now);
        self.nodes[machine].snapshots.insert(path, file);
        Ok(seen)
    }

    fn unpack_snapshot(
        &mut self,
        machine: usize,
        directory: &FilePath,
        name: &str,
    ) -> PortResult<SnapshotSeen> {
        let path = path_of(directory, name);
        let file = self.snapshot_at(machine, &path)?.clone();
        let Some(target) = unpacked_name(name) else {
            return Err(lasting(format!("{path}: it is no snapshot of RKE")));
        };
        if file.condition != Condition::Whole {
            return Err(lasting(format!("{path}: the archive is damaged")));
        }
        if self.nodes[machine].disk == Disk::Full {
            return Err(lasting(format!("{}: no space left on device", self.nodes[machine].name)));
        }
        let target = path_of(directory, &target);
        let there = self.nodes[machine]
            .snapshots
            .entry(target.clone())
            .or_insert_with(|| SnapshotFile { authority: None, ..file.clone() });
        if there.digest() != file.digest() {
            return Err(lasting(format!("{target} is there, and is another snapshot")));
        }
        let there = there.clone();
        Ok(there.seen(&target, self.time()))
    }

    fn rehearse(&self, machine: usize, rehearsal: &Rehearsal) -> PortResult<Rehearsed> {
        let Rehearsal { directory, name, bytes: _, image, api_server } = rehearsal;
        let node = &self.nodes[machine];
        if node.disk == Disk::Full {
            return Err(lasting(format!("{}: no space left on device", node.name)));
        }
        if !node.images.contains(image) {
            return Err(lasting(format!("{image} is not on {}", node.name)));
        }
        let path = path_of(directory, name);
        let file = self.snapshot_at(machine, &path)?;
        let own = EtcdVersion::of_image(image.as_str()).map(EtcdVersion::minor);
        if file.condition != Condition::Whole || own.is_some_and(|own| Some(own) < file.etcd) {
            return Err(lasting(format!("{image} cannot read {path}")));
        }
        let (restored_in, answered_in) = (Duration::from_millis(700), Duration::from_millis(1_300));
        let api_server = match api_server {
            Some(trial) if !node.images.contains(&trial.image) => {
                return Err(lasting(format!("{} is not on {}", trial.image, node.name)));
            }
            Some(trial) => Some(SecretsRead {
                secrets: self.secrets_read(machine, file, trial)?,
                answered_in: Duration::from_millis(4_200),
            }),
            None => None,
        };
        Ok(Rehearsed { revision: file.revision, keys: file.keys(), restored_in, answered_in, api_server })
    }

    /// How many Secrets the API server of a trial reads: it must have the keys of all of them.
    fn secrets_read(&self, machine: usize, file: &SnapshotFile, trial: &ApiServerTrial) -> PortResult<u64> {
        let flag = trial.command.iter().find_map(|flag| flag.strip_prefix("--encryption-provider-config="));
        let on_host = |path: &str| {
            let mut mounts = trial.mounts.iter();
            mounts
                .find_map(|(source, target)| Some(format!("{source}{}", path.strip_prefix(target.as_str())?)))
        };
        let text = flag.and_then(on_host).and_then(|path| {
            let file = self.nodes[machine].files.get(&FilePath::from(path))?;
            Some(file.text().to_owned())
        });
        let at_rest = text.map_or(Ok(AtRest::Plain), |text| AtRest::read(&text)).map_err(lasting)?;
        match file.kube.stored.keys().find(|way| !at_rest.reads(way)) {
            Some(way) => {
                Err(lasting(format!("/api/v1/secrets: 500: unable to transform key: {}", named(way))))
            }
            None => Ok(file.secrets()),
        }
    }

    fn stage_snapshot(&mut self, machine: usize, snapshot: &ChosenSnapshot) -> PortResult<()> {
        let staged = snapshot.staged();
        let is_chosen =
            |file: &SnapshotFile| file.condition == Condition::Whole && file.digest() == snapshot.sha256;
        if self.nodes[machine].snapshots.get(&staged).is_some_and(is_chosen) {
            return Err(already(format!("{staged} is there")));
        }
        self.nodes[machine].snapshots.remove(&staged);
        let from = self.machine_of(&snapshot.node).filter(|from| self.is_in_sight(*from));
        let from = from.ok_or_else(|| lasting(format!("{} is unreachable", snapshot.node)))?;
        if self.nodes[machine].disk == Disk::Full {
            return Err(lasting(format!("{}: no space left on device", self.nodes[machine].name)));
        }
        let file = self.snapshot_at(from, &path_of(&snapshot.directory, &snapshot.name))?.clone();
        if !is_chosen(&file) {
            return Err(lasting(format!("{} is not what was chosen", snapshot.name)));
        }
        self.nodes[machine].snapshots.insert(staged, file);
        Ok(())
    }

    fn restore_member(&mut self, machine: usize, restore: &MemberRestore) -> PortResult<()> {
        let MemberRestore { snapshot, image, data, log, member, peer_url, members, token, .. } = restore;
        let node = &self.nodes[machine];
        let mark = path_of(data, RESTORED_MARK);
        // What was moved aside may lie in the same directory.
        if node.holds_etcd_under(&member_of(data)) {
            let is_ours = node.files.get(&mark).is_some_and(|file| file.text() == token);
            let what = format!("{data} on {} holds data", node.name);
            return Err(if is_ours { already(what) } else { lasting(what) });
        }
        if let Some(log) = log.as_ref().filter(|log| node.holds_etcd_under(log.as_str())) {
            return Err(lasting(format!("{log} on {} holds the log of a member", node.name)));
        }
        if node.running(Component::Etcd).is_some() {
            return Err(lasting(format!("etcd runs on {}", node.name)));
        }
        if !node.images.contains(image) {
            return Err(lasting(format!("{image} is not on {}", node.name)));
        }
        let staged = snapshot.staged();
        let file = self.snapshot_at(machine, &staged)?.clone();
        if file.condition != Condition::Whole || file.digest() != snapshot.sha256 {
            return Err(lasting(format!("{staged} is damaged")));
        }
        let own = EtcdVersion::of_image(image.as_str()).map(EtcdVersion::minor);
        if own.is_some_and(|own| Some(own) < file.etcd) {
            return Err(lasting(format!("{image} cannot read what a newer etcd wrote")));
        }
        let list: Vec<(&str, &str)> = members.split(',').filter_map(|pair| pair.split_once('=')).collect();
        if !list.contains(&(member.as_str(), peer_url.as_str())) {
            return Err(lasting(format!("{member} is none of {members}")));
        }
        let urls: Vec<&str> = list.iter().map(|(_, url)| *url).collect();
        let id = cluster_id(&urls, token);
        let own = founder_id(peer_url, token);
        self.judge_superseded();
        let cluster = self.clusters.entry(id).or_insert_with(|| Cluster {
            members: list.iter().map(|(name, url)| (founder_id(url, token), restored(name, url))).collect(),
            kube: file.kube,
            ..Cluster::default()
        });
        if let Some(member) = cluster.members.get_mut(&own) {
            member.had_data = true;
        }
        let node = &mut self.nodes[machine];
        let made = MemberData {
            cluster: id,
            member: own,
            home: data.clone(),
            log: log.clone(),
            blank: false,
            behind: 0,
        };
        node.write_member(made);
        let content = FileState::new(token.as_bytes(), Mode(0o600), Owner::default());
        node.files.insert(mark, std::sync::Arc::new(content));
        node.snapshots.remove(&staged);
        node.etcd_owners.retain(|path, _| !is_under(path.as_str(), data.as_str()));
        self.touch();
        Ok(())
    }
}

/// A member as in a restored database: it has a name, and has never been connected.
fn restored(name: &str, peer_url: &str) -> Member {
    Member {
        name: name.to_owned(),
        peer_url: peer_url.to_owned(),
        vote: windlass_model::Vote::Voter,
        started: false,
        had_data: false,
        connected_since: None,
    }
}

fn text(text: &str) -> Object {
    Object::Text(text.into())
}

impl Snapshots for SimFleet {
    async fn snapshots(&self, node: &NodeName, directory: &FilePath) -> PortResult<Vec<SnapshotSeen>> {
        self.at(node, "list snapshots", Object::Path(directory.clone()), Deed::Ask, |world, machine| {
            Ok(world.snapshots(machine, directory))
        })
        .await
    }

    async fn verify_snapshot(
        &self,
        node: &NodeName,
        directory: &FilePath,
        name: &str,
    ) -> PortResult<SnapshotSeen> {
        let path = path_of(directory, name);
        self.at(node, "verify", Object::Path(path.clone()), Deed::Ask, |world, machine| {
            let now = world.time();
            Ok(world.snapshot_at(machine, &path)?.seen(&path, now))
        })
        .await
    }

    async fn unpack_snapshot(
        &self,
        node: &NodeName,
        directory: &FilePath,
        name: &str,
    ) -> PortResult<SnapshotSeen> {
        self.at(node, "unpack", text(name), Deed::SaveSnapshot, |world, machine| {
            world.unpack_snapshot(machine, directory, name)
        })
        .await
    }

    async fn rehearse_snapshot(&self, node: &NodeName, rehearsal: &Rehearsal) -> PortResult<Rehearsed> {
        self.at(node, "rehearse", text(&rehearsal.name), Deed::Ask, |world, machine| {
            world.rehearse(machine, rehearsal)
        })
        .await
    }

    async fn save_snapshot(&self, node: &NodeName, wanted: &SnapshotWanted) -> PortResult<SnapshotSeen> {
        self.at(node, "save snapshot", text(&wanted.name), Deed::SaveSnapshot, |world, machine| {
            world.save_snapshot(machine, wanted)
        })
        .await
    }

    async fn delete_snapshot(&self, node: &NodeName, directory: &FilePath, name: &str) -> PortResult<()> {
        let path = path_of(directory, name);
        self.at(node, "delete snapshot", text(name), Deed::SaveSnapshot, |world, machine| {
            world.snapshot_at(machine, &path)?;
            world.nodes[machine].snapshots.remove(&path);
            Ok(())
        })
        .await
    }

    async fn bucket(&self, node: &NodeName, _: &Secret<String>) -> PortResult<Vec<InBucket>> {
        self.at(node, "list bucket", text("snapshots"), Deed::Ask, |world, _| world.list_bucket()).await
    }

    async fn copy_to_bucket(
        &self,
        node: &NodeName,
        _: &Secret<String>,
        directory: &FilePath,
        name: &str,
    ) -> PortResult<InBucket> {
        self.at(node, "copy to bucket", text(name), Deed::SaveSnapshot, |world, machine| {
            world.copy_to_bucket(machine, node, directory, name)
        })
        .await
    }

    async fn fetch_from_bucket(
        &self,
        node: &NodeName,
        _: &Secret<String>,
        directory: &FilePath,
        snapshot: &InBucket,
    ) -> PortResult<SnapshotSeen> {
        let name = &snapshot.snapshot.name;
        self.at(node, "fetch from bucket", text(name), Deed::SaveSnapshot, |world, machine| {
            world.fetch_from_bucket(machine, directory, snapshot)
        })
        .await
    }

    async fn delete_from_bucket(
        &self,
        node: &NodeName,
        _: &Secret<String>,
        place: &BucketPlace,
        name: &str,
    ) -> PortResult<()> {
        self.at(node, "delete from bucket", text(name), Deed::SaveSnapshot, |world, _| {
            world.delete_from_bucket(place, name)
        })
        .await
    }

    async fn stage_snapshot(&self, node: &NodeName, snapshot: &ChosenSnapshot) -> PortResult<()> {
        self.at(node, "stage", text(&snapshot.name), Deed::StageSnapshot { snapshot }, |world, machine| {
            world.stage_snapshot(machine, snapshot)
        })
        .await
    }

    async fn restore_member(&self, node: &NodeName, restore: &MemberRestore) -> PortResult<()> {
        self.at(node, "restore", text(&restore.member), Deed::RestoreMember { restore }, |world, machine| {
            world.restore_member(machine, restore)
        })
        .await
    }
}
