//! The world: machines with what is on them, the clusters that live there, and the time that passes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use windlass_engine::PortError;
use windlass_model::{
    Component, ContainerName, EtcdData, EtcdLogSeen, FilePath, FileSeen, HostFacts, HostReport, ImageRef,
    Maker, Meeting, NodeFacts, NodeName, Owner, PodRuntime, Timestamp,
};

use crate::docker::Container;
use crate::etcd::{Cluster, MemberData};
use crate::faults::Later;
use crate::files::{FileState, ledger_copy};
use crate::kube::Workload;
use crate::ledger::Shelf;
use crate::machine::Machine;
use crate::minter::Keys;
use crate::run::Run;
use crate::snapshots::SnapshotFile;
use crate::view::View;

/// A fleet of machines in memory, with everything that is on them.
///
/// *Guarantees*: the same world, rules, faults and order of verbs give the same story. Health is never stored:
/// it is worked out of what is there and of the time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct World {
    /// The number of the form in which a file holds it.
    pub(crate) format: Format,
    /// Drives the spread of latencies and the serials of certificates.
    pub(crate) seed: u64,
    /// The time of day at which the world's clock stood at zero.
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
    /// The etcd that is on none of the machines.
    #[serde(skip_serializing_if = "Service::is_up")]
    pub(crate) external_etcd: Service,
    /// What is going to happen by itself.
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

/// The number of the form in which a file holds a world: what is written is the newest, what names none the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Format(pub(crate) u64);

impl Format {
    /// The newest form. A form that an older program would misread has another number; [`World::from_yaml`] reads
    /// every form up to this one.
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
    /// The address by which components reach it; `address` where empty.
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
    /// By what the start-up times of processes are multiplied; zero counts as one.
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
    /// The data of members of etcd, by the directory that holds it.
    #[serde(skip_serializing_if = "is_usual_map")]
    pub(crate) etcd_data: BTreeMap<FilePath, MemberData>,
    /// Snapshots of etcd, and copies of them for a restore.
    #[serde(skip_serializing_if = "is_usual_map")]
    pub(crate) snapshots: BTreeMap<FilePath, SnapshotFile>,
    /// Whose the directories for data of etcd are that are not root's.
    #[serde(skip_serializing_if = "is_usual_map")]
    pub(crate) etcd_owners: BTreeMap<FilePath, Owner>,
    /// Files and directories that others keep here, and that are none of windlass' business.
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) foreign: BTreeSet<FilePath>,
    /// Since when etcd runs here as somebody who may not read its key any more.
    #[serde(skip)]
    pub(crate) etcd_locked_out: Option<u64>,
    /// What etcd says as it ends again and again, where something keeps it from running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) etcd_ends: Option<String>,
    /// What is on disks that are not mounted.
    #[serde(skip_serializing_if = "is_usual_map")]
    pub(crate) unmounted: BTreeMap<FilePath, OffDisk>,
    /// Components that do their work and answer windlass' questions too late, and until when.
    #[serde(skip_serializing_if = "is_usual_map")]
    pub(crate) busy: BTreeMap<Component, u64>,
    /// Whether containers of pods are there.
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) pod_containers: bool,
    /// Which runtime has them.
    #[serde(skip_serializing_if = "is_usual")]
    pub(crate) pod_runtime: PodRuntime,
    /// Where kubelet keeps its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kubelet_root: Option<FilePath>,
}

/// What is on a disk that is not mounted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OffDisk {
    pub(crate) files: BTreeMap<FilePath, std::sync::Arc<FileState>>,
    pub(crate) directories: BTreeSet<FilePath>,
    pub(crate) etcd_data: BTreeMap<FilePath, MemberData>,
    pub(crate) etcd_owners: BTreeMap<FilePath, Owner>,
}

/// A machine's name; empty until the short form of a world file is made whole.
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

/// Whether a service of the outer world answers.
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

/// How long verbs take, in milliseconds; each is spread by half of itself either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// A question to a machine, etcd or an API server.
    pub question: u64,
    /// A change by Docker, but for `stop`.
    pub docker: u64,
    /// Stopping a container.
    pub stop: u64,
    /// Pulling an image that is not there.
    pub pull: u64,
    /// Writing or deleting files.
    pub files: u64,
    /// A change of etcd's membership or of an object of Kubernetes.
    pub api: u64,
    /// Finding out that a machine does not answer.
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

/// Trying again would not help.
pub(crate) fn lasting(what: impl Into<String>) -> PortError {
    PortError::Lasting { what: what.into() }
}

/// The next try may succeed.
pub(crate) fn passing(what: impl Into<String>) -> PortError {
    PortError::Passing { what: what.into() }
}

/// The effect was there.
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

    /// One machine more, with Docker and nothing else.
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

    /// Makes whole what is not written to a file: indexes, and what processes are.
    pub(crate) fn revive(&mut self) {
        self.index =
            self.nodes.iter().enumerate().map(|(index, node)| (node.name.0.clone(), index)).collect();
        for machine in 0..self.nodes.len() {
            self.understand(machine);
        }
        self.touch();
    }

    /// The machine that a node of cluster.yml is: by the address at which it was enrolled, else by its name.
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

    /// Something has changed: what follows from it must be worked out anew.
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

    /// What follows is worked out at each moment at which something changes by itself, not only at the last one:
    /// from the moment that a member connects, say, counts for how long it has been connected.
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

    /// Everything that a look tells of a machine.
    pub(crate) fn facts(
        &mut self,
        machine: usize,
        name: &NodeName,
        scope: &windlass_engine::LookScope,
    ) -> NodeFacts {
        self.run.ledger_paths.extend(scope.footprints.all().map(|footprint| footprint.ledger.clone()));
        let node = &self.nodes[machine];
        // Only what lies at the places that this machine's system has is found.
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
        // The smaller of the two sets is walked: a scope names every file that any role may have.
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
            etcd_data: if node.has_etcd_data_under(&own.etcd_data) {
                EtcdData::Present
            } else {
                EtcdData::Absent
            },
            ledger: node.files.get(&own.ledger).and_then(|file| ledger_copy(file)),
            etcd_log: self.etcd_log(node),
        }
    }

    /// What a machine tells of itself; clocks are compared with the operator's.
    fn report_of(&self, node: &Node, unreached: BTreeMap<Meeting, std::sync::Arc<str>>) -> HostReport {
        let report = node.report();
        let clock_ahead_seconds = report.clock_ahead_seconds - self.operator_ahead_seconds;
        HostReport { unreached, clock_ahead_seconds, ..report }
    }

    /// The time of day on the operator's machine.
    pub(crate) fn operators_time(&self) -> Timestamp {
        Timestamp(self.time().0.saturating_add_signed(self.operator_ahead_seconds))
    }

    /// Where the log of the machine's member begins: one that snapshots its log early does so half a minute after its start,
    /// as Kubernetes writes more than an entry a second.
    fn etcd_log(&self, node: &Node) -> EtcdLogSeen {
        const HALF_A_MINUTE: u64 = 30_000;
        let is_past = node.containers.values().any(|container| {
            container.kind == Some(windlass_model::Component::Etcd)
                && container.runs()
                && container
                    .spec
                    .flag("snapshot-count")
                    .and_then(|count| count.parse().ok())
                    .is_some_and(|count: u32| count <= 100)
                && self.now >= container.since + HALF_A_MINUTE
        });
        if is_past { EtcdLogSeen::SnapshotSinceCreated } else { EtcdLogSeen::Older }
    }

    /// What is on the machines, line by line, but for pulled images and snapshots; and what lives on them.
    ///
    /// Two worlds with equal fingerprints are equal to whoever uses the machines.
    pub fn fingerprint(&self) -> Fingerprint {
        let of_node = |node: &Node| {
            let containers = node.containers.keys().map(|name| format!("container {name}"));
            // What lies in data that was moved aside belongs to it.
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
            containers.chain(files).chain(directories).chain(data).chain(pods).collect()
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
