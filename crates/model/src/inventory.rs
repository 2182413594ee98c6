//! What was seen, and when: node by node, and the cluster as etcd and the API server report it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::blueprint::Taint;
use crate::container::{ContainerSpec, Loaded};
use crate::digest::Digest;
use crate::ending::Ending;
use crate::etcd_places::{EtcdData, EtcdElsewhere};
use crate::host_report::HostReport;
use crate::ledger::LedgerFace;
use crate::names::{ContainerName, FilePath, ImageRef, Lineage, NodeName, Prefix};
use crate::objects::ObjectsSeen;
use crate::permission::{Mode, Owner};
use crate::rolling::RollingSeen;
use crate::time::Timestamp;
use crate::version::KubernetesVersion;

/// Everything that was seen in one look. An unreachable node is an entry, never an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// When the look was taken.
    pub taken_at: Timestamp,
    /// Every node of cluster.yml and of the ledger.
    pub nodes: BTreeMap<NodeName, NodeSeen>,
    /// etcd, as its own members report it.
    pub etcd: EtcdSeen,
    /// Kubernetes, as an API server reports it.
    pub kube: KubeSeen,
    /// The roots of a ledger that Kubernetes keeps; none if it keeps none, or if no API server answers.
    pub kept: Option<KeptRoots>,
    /// The objects of add-ons, as an API server reports them.
    #[serde(default)]
    pub objects: ObjectsSeen,
    /// The public part of the ledger.
    pub ledger: LedgerFace,
}

/// One node as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeSeen {
    /// It answered.
    InSight(Box<NodeFacts>),
    /// It did not answer, for this reason.
    OutOfSight(String),
}

impl NodeSeen {
    /// What is known of the node, if it answered.
    pub fn facts(&self) -> Option<&NodeFacts> {
        match self {
            Self::InSight(facts) => Some(facts),
            Self::OutOfSight(_) => None,
        }
    }
}

/// What one node reported.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeFacts {
    /// What the blueprint must know of the machine.
    pub host: HostFacts,
    /// The prefix of host directories there, where it is another than ordinary machines have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Prefix>,
    /// The input of a preflight of it; none where it is not known.
    pub report: Option<HostReport>,
    /// The images on it.
    pub images: BTreeSet<ImageRef>,
    /// Its containers by name: those that windlass created, and those that have a name of windlass.
    pub containers: BTreeMap<ContainerName, ContainerSeen>,
    /// The existing files of the footprint.
    pub files: BTreeMap<FilePath, FileSeen>,
    /// The existing directories of the footprint that are not empty, `etcd_data` among them.
    pub directories: BTreeSet<FilePath>,
    /// Whether the places of etcd in cluster.yml, on this node, hold a member.
    pub etcd_data: EtcdData,
    /// Other places where a member may be, and whether they hold one: those of the container that is there, and
    /// those of the ledger.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub etcd_elsewhere: Vec<EtcdElsewhere>,
    /// The copy of the ledger on it, in the place for it on this node.
    pub ledger: Option<LedgerCopy>,
    /// Where the log of its member of etcd begins.
    #[serde(default)]
    pub etcd_log: EtcdLogSeen,
    /// The periodic snapshots of etcd on it; none where it has no directory for them, or that was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling: Option<RollingSeen>,
}

impl NodeFacts {
    /// Whether anything of a member of etcd is there, wherever: the whole, or what is left of it.
    pub fn holds_a_member(&self) -> bool {
        let elsewhere = self.etcd_elsewhere.iter().map(|elsewhere| elsewhere.data);
        [self.etcd_data].into_iter().chain(elsewhere).any(|data| data != EtcdData::Absent)
    }
}

/// What the blueprint must know of a machine to decide what should run there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostFacts {
    /// Docker's root directory.
    pub docker_root: FilePath,
    /// Docker's cgroup driver, which kubelet must share.
    pub cgroup_driver: Arc<str>,
    /// The operating system as Docker names it.
    pub operating_system: String,
    /// The architecture as Docker names it, such as `x86_64`.
    pub architecture: String,
    /// The file with the real name servers: another than `/etc/resolv.conf` where systemd-resolved runs.
    pub resolv_conf: FilePath,
}

impl Default for HostFacts {
    fn default() -> Self {
        Self {
            docker_root: FilePath::from("/var/lib/docker"),
            cgroup_driver: Arc::from("cgroupfs"),
            operating_system: "Linux".to_owned(),
            architecture: "x86_64".to_owned(),
            resolv_conf: FilePath::from("/etc/resolv.conf"),
        }
    }
}

/// Where the log of a member of etcd begins: with the newest snapshot of it that the member took
/// (`member/snap/*.snap`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EtcdLogSeen {
    /// This is unknown, or the member has taken none since its container was created.
    #[default]
    Older,
    /// The member has taken a snapshot since its container was created.
    SnapshotSinceCreated,
}

/// A copy of the ledger on a node, as far as it is known without reading its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerCopy {
    /// The identity of the cluster whose keys these are.
    pub lineage: Lineage,
    /// Its serial.
    pub serial: u64,
}

/// The roots of a ledger ([`crate::Ledger::roots`]) in Kubernetes, as far as they are known without reading a
/// key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRoots {
    /// The identity of the cluster whose keys these are.
    pub lineage: Lineage,
    /// The serial of the ledger when they were written.
    pub serial: u64,
    /// The digest of the roots, whatever the serial.
    pub digest: Digest,
    /// Whether who reads the Secret reads the keys.
    #[serde(default, skip_serializing_if = "KeptForm::is_clear")]
    pub form: KeptForm,
}

/// Whether who reads what the cluster keeps of a ledger reads its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptForm {
    /// In clear, as earlier versions wrote it.
    #[default]
    Clear,
    /// Encrypted: only the recovery key opens it.
    Sealed,
}

impl KeptForm {
    /// Whether the keys are in clear.
    pub fn is_clear(&self) -> bool {
        *self == Self::Clear
    }
}

/// A container as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSeen {
    /// What it really runs with: the label's spec where image, command, mounts and the rest agree with the
    /// label, otherwise what `inspect` reports.
    pub spec: Arc<ContainerSpec>,
    /// The arguments after those of the spec that counted only when its data was created.
    pub birth: Vec<Arc<str>>,
    /// Who made it.
    pub maker: Maker,
    /// The cluster for which windlass created it; none if somebody else did, or a windlass that did not label
    /// that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Lineage>,
    /// Its state in Docker.
    pub state: ContainerState,
    /// What the component itself reports.
    pub health: Health,
    /// The digests of the files that it has loaded.
    pub loaded: Loaded,
    /// How its last run ended, where it exits again and again and its log was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

/// The creator of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maker {
    /// windlass: it has windlass' label.
    Windlass,
    /// windlass, with a label that this version cannot read: of a newer format, or damaged.
    Unreadable,
    /// RKE 1: it has RKE's label.
    Rke,
    /// Somebody else.
    Other,
}

/// The state of a container in Docker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// Created, never started.
    Created,
    /// Runs.
    Running,
    /// Exits again and again, and is started again each time.
    Crashing,
    /// Exited or stopped.
    Stopped,
    /// Paused by `docker pause`.
    Paused,
}

impl fmt::Display for ContainerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "created but not started",
            Self::Running => "running",
            Self::Crashing => "in a crash loop",
            Self::Stopped => "stopped",
            Self::Paused => "paused",
        })
    }
}

/// What a component reports about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It reports that it works.
    Healthy,
    /// It was started moments ago and does not answer yet.
    Starting,
    /// It reports that it does not work, or nothing listens at its address.
    Unhealthy,
    /// It could not be asked: it may work or not. Nothing is stopped, restarted, removed or moved because of
    /// this.
    Unknown(Unasked),
}

impl Health {
    /// Why it is unknown whether it works; none if that is known.
    pub fn unasked(self) -> Option<Unasked> {
        match self {
            Self::Unknown(why) => Some(why),
            Self::Healthy | Self::Starting | Self::Unhealthy => None,
        }
    }
}

/// Why a component could not be asked whether it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unasked {
    /// The request did not get through the connection to the node.
    NoWay,
    /// Something accepted the request, and did not answer in time: it may be busy.
    NoAnswer,
    /// The component and windlass do not accept each other's certificates.
    Certificates,
}

impl fmt::Display for Unasked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoWay => "the question does not get through the connection to the node",
            Self::NoAnswer => "no answer came in time",
            Self::Certificates => "it and windlass do not accept each other's certificates",
        })
    }
}

/// A file as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSeen {
    /// The digest of its content.
    pub digest: Digest,
    /// Permission bits.
    pub mode: Mode,
    /// Its owner.
    pub owner: Owner,
}

/// etcd as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EtcdSeen {
    /// No member could be asked, or none answered with a majority behind it.
    #[default]
    Silent,
    /// The members, as a majority lists them.
    Members(Vec<MemberSeen>),
}

impl EtcdSeen {
    /// The members; none if etcd was silent.
    pub fn members(&self) -> &[MemberSeen] {
        match self {
            Self::Silent => &[],
            Self::Members(members) => members,
        }
    }
}

/// One member of etcd as the others list it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSeen {
    /// Its id, in hexadecimal as in etcdctl.
    pub id: MemberId,
    /// Its name; empty if it has never started.
    pub name: String,
    /// The address by which other members reach it, such as `https://10.0.0.1:2380`.
    pub peer_url: String,
    /// Whether it votes.
    pub vote: Vote,
    /// Whether it reported healthy when it was asked.
    pub health: Health,
    /// Whether it leads.
    pub leads: bool,
    /// The alarms that it has raised, and that are not disarmed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub alarms: BTreeSet<Alarm>,
    /// The size of its database on the disk in bytes, including free pages; none where it was not reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db_bytes: Option<u64>,
}

/// An alarm of etcd: one member raises it, and all members refuse some requests until it is disarmed.
///
/// Source: `AlarmType` of `api/etcdserverpb/rpc.proto`, `applierV3Capped` and `applierV3Corrupt` of `server/etcdserver`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// The database has reached its quota: etcd accepts no request that needs space.
    NoSpace,
    /// Members hold different data: etcd neither reads nor writes.
    Corrupt,
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoSpace => "NOSPACE",
            Self::Corrupt => "CORRUPT",
        })
    }
}

impl MemberSeen {
    /// Whether it has ever started and published its name.
    pub fn has_started(&self) -> bool {
        !self.name.is_empty()
    }
}

/// A member's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub u64);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a member counts towards the majority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vote {
    /// It does.
    Voter,
    /// It is a learner (etcd 3.4 and later: <https://etcd.io/docs/v3.4/learning/design-learner/>).
    Learner,
}

/// Kubernetes as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KubeSeen {
    /// No API server answered.
    #[default]
    Silent,
    /// The node objects.
    Nodes(BTreeMap<NodeName, NodeObject>),
}

impl KubeSeen {
    /// The object of this node, if an API server answered and has it.
    pub fn node(&self, name: &NodeName) -> Option<&NodeObject> {
        match self {
            Self::Silent => None,
            Self::Nodes(nodes) => nodes.get(name),
        }
    }
}

/// A node object of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeObject {
    /// Whether its Ready condition is true.
    pub ready: Readiness,
    /// Why that condition is not true, in Kubernetes' words; empty if it is, or if no reason is given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why_not_ready: String,
    /// The version that its kubelet last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubelet: Option<KubernetesVersion>,
    /// Whether pods may be scheduled on it.
    pub scheduling: Scheduling,
    /// All its labels.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// All its taints except those that Kubernetes sets by itself.
    pub taints: BTreeSet<Taint>,
    /// Which labels and taints windlass put there, according to its annotation on the node.
    pub owned: Owned,
}

/// The labels and taints of a node object that windlass put there and therefore may remove.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Owned {
    /// Keys of labels.
    pub labels: BTreeSet<Arc<str>>,
    /// Whole taints.
    pub taints: BTreeSet<Taint>,
}

/// A node's Ready condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// True.
    Ready,
    /// False, only because the pod network is missing.
    LacksNetwork,
    /// False or unknown.
    #[default]
    NotReady,
}

/// Whether pods may be scheduled on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheduling {
    /// They may.
    #[default]
    Open,
    /// They may not: windlass cordoned it for an upgrade, and will uncordon it.
    CordonedByWindlass,
    /// They may not: somebody else cordoned it, and windlass does not change that.
    CordonedByOther,
}
