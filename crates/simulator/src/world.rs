//! The world: machines with what is on them, their clusters, and the time that passes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use windlass_engine::PortError;
use windlass_model::{
    Component, ContainerName, EtcdElsewhere, EtcdLogSeen, FilePath, FileSeen, HostFacts, HostReport,
    ImageRef, Maker, Meeting, NodeFacts, NodeName, Owner, PodRuntime, Timestamp,
};

use crate::bucket::Bucket;
use crate::docker::Container;
use crate::etcd::{Cluster, MemberData};
use crate::etcd_places::MemberLog;
use crate::faults::Later;
use crate::files::{FileState, ledger_copy};
use crate::kube::Workload;
use crate::ledger::Shelf;
use crate::machine::Machine;
use crate::minter::Keys;
use crate::rolling::Rolling;
use crate::run::Run;
use crate::snapshots::SnapshotFile;
use crate::view::View;

/// A fleet of machines in memory, with everything on them.
///
/// *Guarantees*: the same world, rules, faults and order of verbs give the same story. Health is never
/// stored: it is computed from the state and the time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct World {
    /// The number of its format in a file.
    pub(crate) format: Format,
    /// Determines the spread of latencies and the serials of certificates.
    pub(crate) seed: u64,
    /// The time of day at the zero of the world's clock.
    pub(crate) start: Start,
    /// Milliseconds since then.
    pub(crate) now: u64,
    pub(crate) nodes: Vec<Node>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) clusters: BTreeMap<u64, Cluster>,
    #[serde(skip_serializing_if = "Keys::is_empty")]
    pub(crate) keys: Keys,
    #[serde(skip_serializing_if = "Shelf::is_empty")]
    pub(crate) shelf: Shelf,
    #[serde(skip_serializing_if = "Service::is_up")]
    pub(crate) registry: Service,
    #[serde(skip_serializing_if = "Bucket::is_untouched")]
    pub(crate) bucket: Bucket,
    /// The external etcd.
    #[serde(skip_serializing_if = "Service::is_up")]
    pub(crate) external_etcd: Service,
    /// Future events that happen by themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) later: Vec<Later>,
    /// What users run, once there are nodes for it.
    #[serde(skip_serializing_if = "Workload::is_none")]
    pub(crate) workload: Workload,
    #[serde(skip_serializing_if = "Pace::is_usual")]
    pub(crate) pace: Pace,
    /// By how much the operator's clock is ahead of the world's.
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) operator_ahead_seconds: i64,
    pub(crate) containers_made: u64,
    pub(crate) minted: u64,
    #[serde(skip)]
    pub(crate) index: BTreeMap<NodeName, usize>,
    #[serde(skip)]
    pub(crate) run: Run,
    #[serde(skip)]
    pub(crate) view: View,
}

/// The number of a world's format in a file: the newest is written, a file without a number has the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Format(pub(crate) u64);

impl Format {
    /// The newest format. A format that an older program would read wrongly has another number;
    /// [`World::from_yaml`] reads every format up to this one.
    pub(crate) const NEWEST: Self = Self(1);
}

impl Default for Format {
    fn default() -> Self {
        Self::NEWEST
    }
}

/// The time of day at which a world begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Start(pub(crate) Timestamp);

impl Default for Start {
    fn default() -> Self {
        // 2026-01-01T00:00:00Z; any date would do.
        Self(Timestamp(1_767_225_600))
    }
}

/// One machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Node {
    pub(crate) name: NodeNameOrEmpty,
    pub(crate) address: String,
    /// The address at which components reach it; `address` where empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) internal_address: String,
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) host: HostFacts,
    #[serde(skip_serializing_if = "Machine::is_usual")]
    pub(crate) machine: Machine,
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) power: Power,
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) ssh: Link,
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) peers: Link,
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) disk: Disk,
    /// While Docker restarts: when it is back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) docker_back_at: Option<u64>,
    /// The factor of the start-up times of processes; zero counts as one.
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) slowness: u32,
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) images: BTreeSet<ImageRef>,
    #[serde(skip_serializing_if = "is_usual_map")]
    pub(crate) containers: BTreeMap<ContainerName, Container>,
    #[serde(skip_serializing_if = "is_usual_map")]
    pub(crate) files: BTreeMap<FilePath, std::sync::Arc<FileState>>,
    /// Directories in which processes have left something.
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) directories: BTreeSet<FilePath>,
    /// The data of members of etcd, by its directory.
    #[serde(skip_serializing_if = "is_usual_map")]
    pub(crate) etcd_data: BTreeMap<FilePath, MemberData>,
    /// The logs of members that are not with the data, by their directories.
    #[serde(skip_serializing_if = "is_usual_map")]
    pub(crate) etcd_logs: BTreeMap<FilePath, MemberLog>,
    /// Snapshots of etcd, and copies of them for a restore.
    #[serde(skip_serializing_if = "is_usual_map")]
    pub(crate) snapshots: BTreeMap<FilePath, SnapshotFile>,
    /// The periodic snapshots of etcd.
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) rolling: Rolling,
    /// The owners of the directories for data of etcd that do not belong to root.
    #[serde(skip_serializing_if = "is_usual_map")]
    pub(crate) etcd_owners: BTreeMap<FilePath, Owner>,
    /// Files and directories of others here, which do not concern windlass.
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) foreign: BTreeSet<FilePath>,
    /// Since when etcd runs here as a user who may not read its key any more.
    #[serde(skip)]
    pub(crate) etcd_locked_out: Option<u64>,
    /// The message with which etcd exits again and again, where something keeps it from running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) etcd_ends: Option<String>,
    /// The contents of disks that are not mounted.
    #[serde(skip_serializing_if = "is_usual_map")]
    pub(crate) unmounted: BTreeMap<FilePath, OffDisk>,
    /// Directories that are disks of their own within others: what is deleted above them stays there.
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) disks: BTreeSet<FilePath>,
    /// Components that work and answer windlass' requests too late, and until when.
    #[serde(skip_serializing_if = "is_usual_map")]
    pub(crate) busy: BTreeMap<Component, u64>,
    /// The run on another machine that has this node's lease: its command, process and machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operator_elsewhere: Option<String>,
    /// Whether there are containers of pods.
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) pod_containers: bool,
    /// Their runtime.
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) pod_runtime: PodRuntime,
    /// The root directory of the kubelet that made them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kubelet_root: Option<FilePath>,
}

/// The contents of a disk that is not mounted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OffDisk {
    pub(crate) files: BTreeMap<FilePath, std::sync::Arc<FileState>>,
    pub(crate) directories: BTreeSet<FilePath>,
    pub(crate) etcd_data: BTreeMap<FilePath, MemberData>,
    #[serde(skip_serializing_if = "is_usual_map")]
    pub(crate) etcd_logs: BTreeMap<FilePath, MemberLog>,
    pub(crate) etcd_owners: BTreeMap<FilePath, Owner>,
}

/// A machine's name; empty until the short form of a world file is completed.
pub(crate) type NodeNameOrEmpty = Name;

/// A node's name with a default.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Name(pub(crate) NodeName);

impl Default for Name {
    fn default() -> Self {
        Self(NodeName::from(""))
    }
}

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a machine is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Power {
    #[default]
    On,
    Off,
}

/// Whether a connection works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Link {
    #[default]
    Open,
    Cut,
}

/// Whether anything can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Disk {
    #[default]
    Free,
    Full,
}

/// Whether a service outside of the machines answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Service {
    #[default]
    Up,
    Down,
}

impl Service {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    fn is_up(&self) -> bool {
        *self == Self::Up
    }
}

/// How long verbs take, in milliseconds; each varies by half of that in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// A query to a machine, etcd or an API server.
    pub question: u64,
    /// A change by Docker, except `stop`.
    pub docker: u64,
    /// Stopping a container.
    pub stop: u64,
    /// Pulling an image that is not on the machine.
    pub pull: u64,
    /// Writing or deleting files.
    pub files: u64,
    /// A change of etcd's membership or of an object of Kubernetes.
    pub api: u64,
    /// Detecting that a machine does not answer.
    pub out_of_sight: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { question: 10, docker: 40, stop: 400, pull: 3_000, files: 20, api: 20, out_of_sight: 5_000 }
    }
}

impl Pace {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_usual_map<K, V>(map: &BTreeMap<K, V>) -> bool {
    map.is_empty()
}

/// Another attempt would not help.
pub(crate) fn lasting(what: impl Into<String>) -> PortError {
    PortError::Lasting { what: what.into() }
}

/// The next attempt may succeed.
pub(crate) fn passing(what: impl Into<String>) -> PortError {
    PortError::Passing { what: what.into() }
}

/// The effect existed already.
pub(crate) fn already(what: impl Into<String>) -> PortError {
    PortError::AlreadySo { what: what.into() }
}

impl World {
    /// Machines `node-1`, `node-2` … at 10.0.0.1, 10.0.0.2 … with Docker and nothing else.
    pub fn bare(machines: usize) -> Self {
        let mut world = Self::default();
        for number in 1..=machines {
            world =
                world.machine(&format!("node-{number}"), &format!("10.0.{}.{}", number / 250, number % 250));
        }
        world
    }

    /// Adds a machine with Docker and nothing else.
    #[must_use]
    pub fn machine(mut self, name: &str, address: &str) -> Self {
        self.nodes.push(Node {
            name: Name(NodeName::from(name)),
            address: address.to_owned(),
            internal_address: address.to_owned(),
            ..Node::default()
        });
        self.revive();
        self
    }

    /// The same world with another spread of latencies and other serials.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The same world with users who run this, once there are nodes for it.
    #[must_use]
    pub fn with_workload(mut self, workload: Workload) -> Self {
        self.workload = workload;
        self
    }

    /// The same world with other latencies.
    #[must_use]
    pub fn at_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The same world with these images on every machine.
    #[must_use]
    pub fn with_images(mut self, names: &[&str]) -> Self {
        for node in &mut self.nodes {
            node.images.extend(crate::docker::images(names));
        }
        self
    }

    /// The names of the machines.
    pub fn names(&self) -> impl Iterator<Item = &NodeName> {
        self.nodes.iter().map(|node| &node.name.0)
    }

    /// Address and internal address of a machine.
    pub fn addresses(&self, name: &NodeName) -> Option<(&str, &str)> {
        let node = &self.nodes[*self.index.get(name)?];
        Some((&node.address, &node.internal_address))
    }

    /// Milliseconds since the world began.
    pub fn elapsed(&self) -> u64 {
        self.now
    }

    /// The time of day.
    pub fn time(&self) -> Timestamp {
        self.start.0.plus_seconds(self.now / 1_000)
    }

    /// Computes what is not written to a file: indexes, and the processes.
    pub(crate) fn revive(&mut self) {
        self.index =
            self.nodes.iter().enumerate().map(|(index, node)| (node.name.0.clone(), index)).collect();
        for machine in 0..self.nodes.len() {
            self.understand(machine);
        }
        self.touch();
    }

    /// The machine of a node of cluster.yml: by the address at which it was enrolled, else by its name.
    pub(crate) fn machine_of(&self, node: &NodeName) -> Option<usize> {
        self.run.enrolled.get(node).copied().flatten().or_else(|| self.index.get(node).copied())
    }

    /// The machine at this address, seen from `machine`.
    pub(crate) fn machine_at(&self, machine: usize, host: &str) -> Option<usize> {
        if host == "127.0.0.1" || host == "localhost" || host == "::1" {
            return Some(machine);
        }
        self.nodes.iter().position(|node| node.internal_address == host || node.address == host)
    }

    /// Whether traffic between two machines flows.
    pub(crate) fn are_connected(&self, one: usize, other: usize) -> bool {
        let on = |machine: usize| self.nodes[machine].power == Power::On;
        let open = |machine: usize| self.nodes[machine].peers == Link::Open;
        on(one) && on(other) && (one == other || (open(one) && open(other)))
    }

    /// Whether windlass reaches a machine.
    pub(crate) fn is_in_sight(&self, machine: usize) -> bool {
        let node = &self.nodes[machine];
        node.power == Power::On && node.ssh == Link::Open
    }

    /// Something has changed: its consequences must be computed again.
    pub(crate) fn touch(&mut self) {
        self.view.stale = true;
    }

    /// Lets time pass up to `to`, with everything that happens by itself until then, in order.
    pub(crate) fn settle(&mut self, to: u64) {
        while let Some(index) = (0..self.later.len())
            .filter(|index| self.later[*index].at <= to)
            .min_by_key(|index| self.later[*index].at)
        {
            let later = self.later.swap_remove(index);
            self.pass(later.at);
            self.happen(later.what);
        }
        self.pass(to);
    }

    /// The consequences are computed at each time at which something changes by itself, not only at the last
    /// one: for example, how long a member has been connected depends on when it connected.
    fn pass(&mut self, to: u64) {
        if self.view.stale {
            self.refresh();
        }
        while self.view.until <= to {
            self.now = self.now.max(self.view.until);
            self.refresh();
        }
        self.now = self.now.max(to);
    }

    /// Everything that a look reports about a machine.
    pub(crate) fn facts(
        &mut self,
        machine: usize,
        name: &NodeName,
        scope: &windlass_engine::LookScope,
    ) -> NodeFacts {
        let rolling = scope.snapshots.as_ref().and_then(|_| self.rolling(machine));
        self.run.ledger_paths.extend(scope.footprints.all().map(|footprint| footprint.ledger.clone()));
        let node = &self.nodes[machine];
        // Only what is in the places for this machine's operating system is found.
        let prefix = scope.prefix_on(&node.host.operating_system);
        let own = scope.footprints.under(prefix);
        let cut_off = |place: &Meeting| {
            let other = self.machine_at(machine, &place.address);
            !other.is_some_and(|other| self.are_connected(machine, other))
        };
        let unreached = if node.containers.is_empty() {
            let places = scope.meetings_of(name).into_iter().filter(cut_off);
            places.map(|place| (place, std::sync::Arc::from("no answer within 2 s"))).collect()
        } else {
            BTreeMap::new()
        };
        let seen = |file: &FileState| FileSeen { digest: file.digest, mode: file.mode, owner: file.owner };
        let etcd = node.containers.get(windlass_model::Component::Etcd.as_str());
        let etcd_elsewhere = scope
            .etcd_elsewhere(own, etcd.map(|etcd| &*etcd.spec))
            .into_iter()
            .map(|places| EtcdElsewhere { data: node.etcd_at(&places), places })
            .collect();
        // The smaller of the two sets is iterated: a scope names every file that any role may have.
        let files = node
            .files
            .iter()
            .filter(|(path, _)| scope.files.contains(*path))
            .map(|(path, file)| (path.clone(), seen(file)))
            .collect();
        NodeFacts {
            host: node.host.clone(),
            prefix: prefix.cloned(),
            report: Some(self.report_of(node, unreached)),
            images: node.images.clone(),
            containers: node
                .containers
                .iter()
                .filter(|(name, container)| {
                    !matches!(container.maker, Maker::Other | Maker::Rke)
                        || windlass_model::Component::of_container(name).is_some()
                })
                .map(|(name, container)| (name.clone(), self.seen(machine, container)))
                .collect(),
            files,
            directories: scope
                .directories
                .iter()
                .filter(|path| node.holds_anything_under(path.as_str()))
                .cloned()
                .collect(),
            etcd_data: node.etcd_at(&own.etcd()),
            etcd_elsewhere,
            ledger: node.files.get(&own.ledger).and_then(|file| ledger_copy(file)),
            etcd_log: self.etcd_log(node),
            rolling,
        }
    }

    /// What a machine reports about itself; clocks are compared with the operator's.
    fn report_of(&self, node: &Node, unreached: BTreeMap<Meeting, std::sync::Arc<str>>) -> HostReport {
        let report = node.report();
        let clock_ahead_seconds = report.clock_ahead_seconds - self.operator_ahead_seconds;
        HostReport { unreached, clock_ahead_seconds, ..report }
    }

    /// The time of day on the operator's machine.
    pub(crate) fn operators_time(&self) -> Timestamp {
        Timestamp(self.time().0.saturating_add_signed(self.operator_ahead_seconds))
    }

    /// Where the log of the machine's member begins.
    fn etcd_log(&self, node: &Node) -> EtcdLogSeen {
        let is_past = node.containers.values().any(|container| container.has_snapshotted_log(self.now));
        if is_past { EtcdLogSeen::SnapshotSinceCreated } else { EtcdLogSeen::Older }
    }

    /// What is on the machines, line by line, except pulled images and snapshots; and which clusters are live
    /// on them.
    ///
    /// Two worlds with equal fingerprints are equal for anybody who uses the machines.
    pub fn fingerprint(&self) -> Fingerprint {
        let of_node = |node: &Node| {
            let containers = node.containers.keys().map(|name| format!("container {name}"));
            // The contents of data that was moved aside belong to it.
            let is_aside = |file: &FilePath| {
                let mut aside = node.etcd_data.iter().filter(|(path, data)| **path != data.home);
                aside.any(|(path, _)| crate::files::is_under(file.as_str(), path.as_str()))
            };
            let files = node.files.iter().filter(|(path, _)| !is_aside(path)).map(|(path, file)| {
                format!("file {path} {} {} {}", file.mode, file.owner, file.digest.short())
            });
            let directories = node
                .directories
                .iter()
                .filter(|path| !crate::docker::is_snapshots(path))
                .map(|path| format!("directory {path}"));
            let data = node.etcd_data.iter().map(|(path, data)| {
                if *path == data.home {
                    format!("etcd data {path}")
                } else {
                    format!("etcd data moved aside {path}")
                }
            });
            let pods = node.pod_containers.then(|| "containers of pods".to_owned());
            let logs = node.etcd_logs.iter().map(|(path, log)| {
                if *path == log.home {
                    format!("etcd log {path}")
                } else {
                    format!("etcd log moved aside {path}")
                }
            });
            containers.chain(files).chain(directories).chain(data).chain(logs).chain(pods).collect()
        };
        Fingerprint { nodes: self.nodes.iter().map(|node| (node.name.0.clone(), of_node(node))).collect() }
    }
}

/// What is on the machines; see [`World::fingerprint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Lines by machine, such as `container etcd`.
    pub nodes: BTreeMap<NodeName, Vec<String>>,
}
