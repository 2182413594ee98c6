//! Faults that strike by themselves, and what people do by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_model::{
    Ciphers, Component, ContainerName, ContainerSpec, FilePath, ImageRef, Lineage, Loaded, Maker, MemberId,
    Mode, NodeName, Owner, PidMode, Privilege,
};

use crate::docker::{Container, Phase};
use crate::etcd::{Boot, Cluster, MemberData};
use crate::files::{FileState, is_under};
use crate::kube::{Cordon, NodeState};
use crate::mischief::Mischief;
use crate::world::{Disk, Link, Power, Service, World};

/// A fault, bound to a verb or struck at any time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum Fault {
    /// The verb fails, before it takes effect or after.
    Fails {
        /// Whether it takes effect.
        when: When,
        /// The kind of error.
        how: How,
    },
    /// The operator's machine dies: the run ends here, and its running verbs take no effect.
    OperatorDies {
        /// Whether the verb takes effect.
        when: When,
    },
    /// A machine is switched off; when it comes back, it boots.
    PowerOff {
        /// The machine.
        node: NodeName,
        /// After how many seconds it is switched on again; never where absent.
        #[serde(default)]
        seconds: Option<u64>,
    },
    /// A machine is switched on.
    PowerOn {
        /// The machine.
        node: NodeName,
    },
    /// windlass does not reach a machine; the machines reach each other.
    Unreachable {
        /// The machine.
        node: NodeName,
        /// For how many seconds; permanently where absent.
        #[serde(default)]
        seconds: Option<u64>,
    },
    /// A machine does not reach the others, nor they it; windlass does.
    Partitioned {
        /// The machine.
        node: NodeName,
        /// For how many seconds; permanently where absent.
        #[serde(default)]
        seconds: Option<u64>,
    },
    /// All connections between windlass, the machine and the others work again.
    Reconnected {
        /// The machine.
        node: NodeName,
    },
    /// Docker restarts on a machine: for two seconds it answers nothing, then every container starts.
    DockerRestarts {
        /// The machine.
        node: NodeName,
    },
    /// Processes that start on a machine take many times as long.
    SlowStart {
        /// The machine.
        node: NodeName,
        /// How many times.
        factor: u32,
    },
    /// A component works, and answers windlass' requests too late: it or its disk is busy.
    Busy {
        /// The machine.
        node: NodeName,
        /// The component.
        component: Component,
        /// For how many seconds; permanently where absent.
        #[serde(default)]
        seconds: Option<u64>,
    },
    /// Nothing can be written on a machine.
    DiskFull {
        /// The machine.
        node: NodeName,
        /// For how many seconds; permanently where absent.
        #[serde(default)]
        seconds: Option<u64>,
    },
    /// No image can be pulled.
    RegistryDown {
        /// For how many seconds; permanently where absent.
        #[serde(default)]
        seconds: Option<u64>,
    },
    /// The bucket into which snapshots are copied does not answer.
    BucketDown,
    /// The external etcd does not answer.
    ExternalEtcdDown {
        /// For how many seconds; permanently where absent.
        #[serde(default)]
        seconds: Option<u64>,
    },
    /// It answers again.
    ExternalEtcdUp,
    /// Days pass at once.
    DaysPass {
        /// How many.
        days: u32,
    },
    /// The operator's copy of the ledger is lost.
    LedgerLost,
    /// The operator's copy of the ledger is reset to its state before the last commit.
    LedgerAged,
    /// The clock of the operator's machine is this many seconds ahead of the nodes'.
    OperatorClock {
        /// How many; negative where it is behind.
        ahead_seconds: i64,
    },
    /// The users' disruption budget blocks every eviction from now on.
    EvictionsBlocked,
    /// The users' disruption budget blocks evictions no longer.
    EvictionsUnblocked,
    /// Somebody does something by hand in the middle of a run.
    ByHand(Mischief),
}

/// Whether a verb takes effect before the fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// It does not.
    Before,
    /// It does.
    After,
}

/// The kind of error with which a verb fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// One that may be gone at the next attempt.
    Passing,
    /// One that stays.
    Lasting,
}

/// Which fault strikes at which verb of a run, counted from one.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultSchedule {
    /// The faults.
    pub at_verb: BTreeMap<u64, Fault>,
}

impl FaultSchedule {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// One fault at one verb.
    pub fn at(verb: u64, fault: Fault) -> Self {
        Self { at_verb: BTreeMap::from([(verb, fault)]) }
    }

    /// Adds a fault.
    #[must_use]
    pub fn and(mut self, verb: u64, fault: Fault) -> Self {
        self.at_verb.insert(verb, fault);
        self
    }
}

/// A future event that happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Later {
    pub(crate) at: u64,
    pub(crate) what: Happening,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Happening {
    PowerReturns(NodeName),
    SshReturns(NodeName),
    PeersReturn(NodeName),
    DiskReturns(NodeName),
    DockerReturns(NodeName),
    RegistryReturns,
    ExternalEtcdReturns,
}

/// How long Docker takes to restart.
const DOCKER_RESTART: u64 = 2_000;

impl World {
    /// A future event happens.
    pub(crate) fn happen(&mut self, what: Happening) {
        self.run.last_blow = Some(self.now);
        let machine = |world: &Self, node: &NodeName| world.index.get(node).copied();
        match what {
            Happening::PowerReturns(node) => {
                if let Some(machine) = machine(self, &node) {
                    self.power_on(machine);
                }
            }
            Happening::SshReturns(node) => self.on(&node, |node| node.ssh = Link::Open),
            Happening::PeersReturn(node) => self.on(&node, |node| node.peers = Link::Open),
            Happening::DiskReturns(node) => self.on(&node, |node| node.disk = Disk::Free),
            Happening::DockerReturns(node) => {
                if let Some(machine) = machine(self, &node)
                    && self.nodes[machine].power == Power::On
                {
                    self.nodes[machine].docker_back_at = None;
                    self.start_all(machine);
                }
            }
            Happening::RegistryReturns => self.registry = Service::Up,
            Happening::ExternalEtcdReturns => self.external_etcd = Service::Up,
        }
        self.touch();
    }

    fn on(&mut self, node: &NodeName, change: impl FnOnce(&mut crate::world::Node)) {
        if let Some(machine) = self.machine_of(node) {
            change(&mut self.nodes[machine]);
        }
    }

    fn power_on(&mut self, machine: usize) {
        if self.nodes[machine].power == Power::Off {
            self.nodes[machine].power = Power::On;
            self.nodes[machine].docker_back_at = None;
            self.nodes[machine].boot_kernel();
            self.nodes[machine].containers.values_mut().for_each(|container| container.program = None);
            self.start_all(machine);
        }
    }

    fn on_cluster_of(&mut self, node: &NodeName, change: impl FnOnce(&mut Cluster, MemberId)) {
        let boot = self.machine_of(node).and_then(|machine| Some(self.etcd_work(machine)?.1.clone()));
        if let Some(Boot::Member { cluster, id }) = boot
            && let Some(cluster) = self.clusters.get_mut(&cluster)
        {
            change(cluster, id);
        }
    }

    fn boot_without(&mut self, node: &NodeName, path: &FilePath) {
        let Some(machine) = self.machine_of(node) else { return };
        let now = self.now;
        self.nodes[machine].unmount(path);
        for container in self.nodes[machine].containers.values_mut() {
            if matches!(container.phase, Phase::Running | Phase::Paused) {
                container.ends(Phase::Stopped, now);
            }
        }
        self.nodes[machine].power = Power::Off;
        self.power_on(machine);
    }

    fn later(&mut self, seconds: Option<u64>, what: impl FnOnce() -> Happening) {
        if let Some(seconds) = seconds {
            self.later.push(Later { at: self.now + seconds * 1_000, what: what() });
        }
    }

    /// A fault strikes now.
    pub fn strike(&mut self, fault: &Fault) {
        self.settle(self.now);
        self.run.last_blow = Some(self.now);
        self.run.story.note(self.now, format!("{fault:?}"));
        match fault {
            Fault::Fails { .. } | Fault::OperatorDies { .. } => {}
            Fault::PowerOff { node, seconds } => {
                self.on(node, |machine| machine.power = Power::Off);
                let name = self.machine_name(node);
                self.later(*seconds, || Happening::PowerReturns(name));
            }
            Fault::PowerOn { node } => {
                if let Some(machine) = self.machine_of(node) {
                    self.power_on(machine);
                }
            }
            Fault::Unreachable { node, seconds } => {
                self.on(node, |machine| machine.ssh = Link::Cut);
                let name = self.machine_name(node);
                self.later(*seconds, || Happening::SshReturns(name));
            }
            Fault::Partitioned { node, seconds } => {
                self.on(node, |machine| machine.peers = Link::Cut);
                let name = self.machine_name(node);
                self.later(*seconds, || Happening::PeersReturn(name));
            }
            Fault::Reconnected { node } => self.on(node, |machine| {
                machine.ssh = Link::Open;
                machine.peers = Link::Open;
            }),
            Fault::DockerRestarts { node } => self.docker_restarts(node),
            Fault::SlowStart { node, factor } => self.on(node, |machine| machine.slowness = *factor),
            Fault::Busy { node, component, seconds } => {
                let until = seconds.map_or(u64::MAX, |seconds| self.now + seconds * 1_000);
                self.on(node, |machine| {
                    machine.busy.insert(*component, until);
                });
            }
            Fault::DiskFull { node, seconds } => {
                self.on(node, |machine| machine.disk = Disk::Full);
                let name = self.machine_name(node);
                self.later(*seconds, || Happening::DiskReturns(name));
            }
            Fault::RegistryDown { seconds } => {
                self.registry = Service::Down;
                self.later(*seconds, || Happening::RegistryReturns);
            }
            Fault::BucketDown => self.bucket.down_since = Some(self.time()),
            Fault::ExternalEtcdDown { seconds } => {
                self.external_etcd = Service::Down;
                self.later(*seconds, || Happening::ExternalEtcdReturns);
            }
            Fault::ExternalEtcdUp => self.external_etcd = Service::Up,
            Fault::DaysPass { days } => self.start.0 = self.start.0.plus_days(*days),
            Fault::LedgerLost => self.shelf.lose(),
            Fault::LedgerAged => self.shelf.age(),
            Fault::OperatorClock { ahead_seconds } => self.operator_ahead_seconds = *ahead_seconds,
            Fault::EvictionsBlocked => self.workload.blocked = true,
            Fault::EvictionsUnblocked => self.workload.blocked = false,
            Fault::ByHand(mischief) => self.meddle(mischief),
        }
        self.touch();
        self.settle(self.now);
    }

    /// Whether a machine has no container and no file: another one could be in its place.
    pub fn is_unused(&self, node: &NodeName) -> bool {
        let machine = self.nodes.iter().find(|machine| machine.name.0 == *node);
        machine.is_some_and(|machine| machine.containers.is_empty() && machine.files.is_empty())
    }

    /// Whether somebody other than windlass has cordoned a node.
    pub fn is_cordoned_by_hand(&self, node: &NodeName) -> bool {
        self.clusters
            .values()
            .filter_map(|cluster| cluster.kube.nodes.get(node))
            .any(|object| matches!(object.cordon, Cordon::ByOther))
    }

    fn machine_name(&self, node: &NodeName) -> NodeName {
        self.machine_of(node).map_or_else(|| node.clone(), |machine| self.nodes[machine].name.0.clone())
    }

    /// Its containers stop; those with restart `always` start when it is back, stopped by hand or not.
    fn docker_restarts(&mut self, node: &NodeName) {
        let Some(machine) = self.machine_of(node) else { return };
        let now = self.now;
        let node = &mut self.nodes[machine];
        node.docker_back_at = Some(now + DOCKER_RESTART);
        for container in node.containers.values_mut() {
            if matches!(container.phase, Phase::Running | Phase::Paused) {
                container.ends(Phase::Stopped, now);
                container.boot = crate::etcd::Boot::Pending;
            }
        }
        let what = Happening::DockerReturns(node.name.0.clone());
        self.later.push(Later { at: now + DOCKER_RESTART, what });
    }

    /// Somebody does something by hand now. If its object does not exist, nothing happens.
    pub fn meddle(&mut self, mischief: &Mischief) {
        self.settle(self.now);
        self.run.last_blow = Some(self.now);
        self.run.story.note(self.now, format!("{mischief:?}"));
        match mischief {
            Mischief::ContainerRemoved { .. }
            | Mischief::ContainerStopped { .. }
            | Mischief::ContainerPaused { .. }
            | Mischief::ContainerEdited { .. }
            | Mischief::ContainerRecreated { .. }
            | Mischief::ForeignContainer { .. }
            | Mischief::ClustersContainer { .. }
            | Mischief::ContainerLeftOver { .. } => self.meddle_with_container(mischief),
            Mischief::ImageRemoved { .. }
            | Mischief::FileDeleted { .. }
            | Mischief::FileEdited { .. }
            | Mischief::FileMode { .. }
            | Mischief::DirectoryDeleted { .. }
            | Mischief::MachineChanged { .. }
            | Mischief::ForeignData { .. }
            | Mischief::EtcdDataLost { .. }
            | Mischief::EtcdEnds { .. }
            | Mischief::EtcdEndsNoMore { .. }
            | Mischief::MemberAdded { .. } => self.meddle_with_machine(mischief),
            Mischief::Cordoned { .. }
            | Mischief::Uncordoned { .. }
            | Mischief::Labelled { .. }
            | Mischief::Tainted { .. }
            | Mischief::NodeObjectDeleted { .. } => self.meddle_with_object(mischief),
            Mischief::ObjectDeleted { .. }
            | Mischief::ObjectEdited { .. }
            | Mischief::ObjectOwned { .. }
            | Mischief::ObjectMade { .. }
            | Mischief::ObjectRefused { .. }
            | Mischief::PodsBroken { .. } => self.meddle_with_addon(mischief),
            Mischief::SecretsRewritten => self.rewrite_secrets(),
            Mischief::BootsWithoutDisk { node, path } => self.boot_without(node, path),
            Mischief::DiskMounted { node, path } => self.on(node, |machine| machine.mount(path)),
            Mischief::EtcdAlarm { node, alarm } => self.on_cluster_of(node, |cluster, member| {
                cluster.alarms.entry(member).or_default().insert(*alarm);
            }),
            Mischief::EtcdDisarmed { node } => self.on_cluster_of(node, |cluster, _| cluster.alarms.clear()),
            Mischief::OperatorElsewhere { node, holder } => {
                self.on(node, |machine| machine.operator_elsewhere = Some(holder.clone()));
            }
            Mischief::OperatorElsewhereEnds { node } => {
                self.on(node, |machine| machine.operator_elsewhere = None);
            }
            Mischief::MemberBehind { node, revisions } => self.on(node, |machine| {
                machine.etcd_data.values_mut().for_each(|data| data.behind = *revisions);
            }),
            Mischief::SnapshotsFail { node, why } => {
                self.on(node, |machine| machine.rolling.obstacle = Some(why.clone()));
            }
            Mischief::SnapshotsSucceed { node } => self.on(node, |machine| machine.rolling.obstacle = None),
            Mischief::SnapshotDamaged { node } => {
                self.on(node, |machine| machine.rolling.damaged = Some("its digest is another".to_owned()));
            }
            Mischief::EtcdGrows { node, bytes } => {
                self.on_cluster_of(node, |cluster, _| cluster.grow_to(*bytes));
            }
        }
        self.touch();
        self.settle(self.now);
    }

    fn meddle_with_container(&mut self, mischief: &Mischief) {
        let now = self.now;
        match mischief {
            Mischief::ContainerRemoved { node, container } => {
                self.on(node, |machine| drop(machine.containers.remove(container)));
            }
            Mischief::ContainerStopped { node, container } => {
                self.on_container(node, container, |container| {
                    container.ends(Phase::Stopped, now);
                    container.boot = crate::etcd::Boot::Pending;
                });
            }
            Mischief::ContainerPaused { node, container } => {
                self.on_container(node, container, |container| {
                    if container.phase == Phase::Running {
                        container.ends(Phase::Paused, now);
                    }
                });
            }
            Mischief::ContainerEdited { node, container, argument } => {
                self.recreate(node, container, |spec| edit(spec, argument), Maker::Windlass);
            }
            Mischief::ContainerRecreated { node, container } => {
                self.recreate(node, container, |_| (), Maker::Other);
            }
            Mischief::ForeignContainer { node, container } => {
                if let Some(machine) = self.machine_of(node) {
                    self.insert_foreign(machine, container, Maker::Other, None);
                }
            }
            Mischief::ClustersContainer { node, container, lineage } => {
                if let Some(machine) = self.machine_of(node) {
                    let maker = if lineage.is_some() { Maker::Windlass } else { Maker::Rke };
                    self.insert_foreign(machine, container, maker, lineage.clone());
                }
            }
            Mischief::ContainerLeftOver { node, container, name } => {
                if let Some(machine) = self.machine_of(node)
                    && let Some(there) = self.nodes[machine].containers.get(container).cloned()
                {
                    let copy =
                        self.container_of(name, &there.spec, &there.birth, &there.declared, there.maker);
                    let (kind, lineage, phase) = (there.kind, there.lineage, Phase::Stopped);
                    let copy = Container { kind, lineage, phase, ..copy };
                    self.nodes[machine].containers.insert(name.clone(), copy);
                }
            }
            _ => {}
        }
    }

    fn insert_foreign(
        &mut self,
        machine: usize,
        name: &ContainerName,
        maker: Maker,
        lineage: Option<Lineage>,
    ) {
        let made = self.container_of(name, &foreign_spec(), &[], &Loaded::new(), maker);
        let foreign = Container { foreign: true, lineage, ..made };
        self.nodes[machine].containers.insert(name.clone(), foreign);
        self.begin_process(machine, name);
    }

    fn meddle_with_machine(&mut self, mischief: &Mischief) {
        match mischief {
            Mischief::ImageRemoved { node, image } => {
                self.on(node, |machine| drop(machine.images.take(image)));
            }
            Mischief::FileDeleted { node, path } => {
                self.on(node, |machine| drop(machine.files.remove(path)));
                self.files_changed(node);
            }
            Mischief::FileEdited { node, path, text } => {
                self.on(node, |machine| {
                    let (mode, owner) = machine
                        .files
                        .get(path)
                        .map_or_else(|| (Mode::PUBLIC, Owner::default()), |file| (file.mode, file.owner));
                    let file = FileState::new(text.as_bytes(), mode, owner);
                    machine.files.insert(path.clone(), Arc::new(file));
                });
                self.files_changed(node);
            }
            Mischief::FileMode { node, path, mode } => {
                self.on(node, |machine| {
                    if let Some(file) = machine.files.get_mut(path) {
                        Arc::make_mut(file).mode = *mode;
                    }
                });
                self.files_changed(node);
            }
            Mischief::DirectoryDeleted { node, path } => {
                self.on(node, |machine| {
                    machine.files.retain(|file, _| !is_under(file.as_str(), path.as_str()));
                    machine.directories.retain(|file| !is_under(file.as_str(), path.as_str()));
                    machine.delete_etcd(|file| is_under(file, path.as_str()));
                    machine.etcd_owners.retain(|file, _| !is_under(file.as_str(), path.as_str()));
                });
                self.files_changed(node);
            }
            Mischief::MachineChanged { node, fact, value } => {
                self.on(node, |node| node.set_fact(fact, value));
                self.files_changed(node);
            }
            Mischief::ForeignData { node, path } => self.on(node, |machine| {
                // Of an external cluster.
                let (cluster, member) = (u64::MAX, MemberId(u64::MAX));
                let data =
                    MemberData { cluster, member, home: path.clone(), log: None, blank: false, behind: 0 };
                machine.etcd_data.insert(path.clone(), data);
                machine.foreign.insert(path.clone());
            }),
            Mischief::EtcdDataLost { node } => self.lose_etcd_data(node),
            Mischief::EtcdEnds { node, said } => {
                self.on(node, |machine| machine.etcd_ends = Some(said.clone()));
                self.restart_etcd_process(node);
            }
            Mischief::EtcdEndsNoMore { node } => {
                self.on(node, |machine| machine.etcd_ends = None);
                self.restart_etcd_process(node);
            }
            Mischief::MemberAdded { node, peer_url } => {
                // If it is refused, it changes nothing, as by hand.
                let _ = self.add_learner(std::slice::from_ref(node), peer_url);
            }
            _ => {}
        }
    }

    fn meddle_with_addon(&mut self, mischief: &Mischief) {
        match mischief {
            Mischief::ObjectDeleted { object } => {
                // Where no API server answers, kubectl fails too.
                let _ = self.delete_object(object);
            }
            Mischief::ObjectEdited { object, pointer, value } => {
                if let Ok(value) = serde_json::from_str(value) {
                    self.edit_object(object, pointer, &value);
                }
            }
            Mischief::ObjectOwned { object, owner } => self.own_object(object, owner),
            Mischief::ObjectMade { body, owner } => {
                if let Ok(body) = serde_json::from_str(body) {
                    self.make_object(&body, owner);
                }
            }
            Mischief::ObjectRefused { object, why } => self.refuse_object(object, why.as_deref()),
            Mischief::PodsBroken { object, why } => self.break_pods(object, why.as_deref()),
            _ => {}
        }
    }

    fn meddle_with_object(&mut self, mischief: &Mischief) {
        match mischief {
            Mischief::Cordoned { node } => self.on_object(node, |object| object.cordon = Cordon::ByOther),
            Mischief::Uncordoned { node } => self.on_object(node, |object| object.cordon = Cordon::Open),
            Mischief::Labelled { node, key, value } => self.on_object(node, |object| match value {
                Some(value) => {
                    object.labels.insert(Arc::from(key.as_str()), Arc::from(value.as_str()));
                }
                None => drop(object.labels.remove(key.as_str())),
            }),
            Mischief::Tainted { node, taint } => {
                self.on_object(node, |object| {
                    object.taints.insert(taint.clone());
                });
            }
            Mischief::NodeObjectDeleted { node } => {
                let now = self.now;
                for cluster in self.clusters.values_mut() {
                    if cluster.kube.nodes.remove(node).is_some() {
                        cluster.kube.deleted.insert(node.clone(), now);
                    }
                }
            }
            _ => {}
        }
    }

    fn files_changed(&mut self, node: &NodeName) {
        if let Some(machine) = self.machine_of(node) {
            self.running_make_directories_again(machine);
            self.crashed_read_again(machine);
        }
    }

    fn on_container(&mut self, node: &NodeName, name: &ContainerName, change: impl FnOnce(&mut Container)) {
        self.on(node, |machine| {
            if let Some(container) = machine.containers.get_mut(name) {
                change(container);
            }
        });
    }

    fn on_object(&mut self, node: &NodeName, change: impl FnOnce(&mut NodeState)) {
        let living = self.clusters.values_mut().find(|cluster| cluster.kube.nodes.contains_key(node));
        if let Some(object) = living.and_then(|cluster| cluster.kube.nodes.get_mut(node)) {
            change(object);
        }
    }

    fn recreate(
        &mut self,
        node: &NodeName,
        name: &ContainerName,
        change: impl FnOnce(&mut ContainerSpec),
        maker: Maker,
    ) {
        let Some(machine) = self.machine_of(node) else { return };
        let Some(there) = self.nodes[machine].containers.remove(name) else { return };
        let mut spec = ContainerSpec::clone(&there.spec);
        change(&mut spec);
        let made = self.container_of(name, &Arc::new(spec), &there.birth, &there.declared, maker);
        let lineage = there.lineage.filter(|_| maker == Maker::Windlass);
        self.nodes[machine].containers.insert(name.clone(), Container { lineage, ..made });
        self.begin_process(machine, name);
    }

    fn lose_etcd_data(&mut self, node: &NodeName) {
        let Some(machine) = self.machine_of(node) else { return };
        self.nodes[machine].lose_members();
        self.nodes[machine].files.retain(|file, _| !file.as_str().ends_with(windlass_model::RESTORED_MARK));
        self.restart_etcd_process(node);
    }

    /// The process of etcd exits, and Docker starts it again.
    fn restart_etcd_process(&mut self, node: &NodeName) {
        let Some(machine) = self.machine_of(node) else { return };
        let running: Vec<ContainerName> = self.nodes[machine]
            .containers
            .iter()
            .filter(|(_, container)| {
                container.runs() && container.kind == Some(windlass_model::Component::Etcd)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in running {
            self.begin_process(machine, &name);
        }
    }
}

/// Replaces the argument of the same flag by this one, or appends it.
fn edit(spec: &mut ContainerSpec, argument: &str) {
    let flag = argument.split('=').next().unwrap_or(argument);
    let same = |there: &&mut Arc<str>| there.split('=').next() == Some(flag);
    match spec.command.iter_mut().find(same) {
        Some(there) => *there = Arc::from(argument),
        None => spec.command.push(Arc::from(argument)),
    }
}

fn foreign_spec() -> Arc<ContainerSpec> {
    Arc::new(ContainerSpec {
        image: ImageRef::from("example/other:1"),
        command: vec![Arc::from("/bin/other")],
        env: BTreeMap::new(),
        binds: Vec::new(),
        pid: PidMode::default(),
        privilege: Privilege::default(),
        user: None,
        reads: BTreeMap::new(),
        ciphers: Ciphers::default(),
        version: None,
    })
}
