//! The causes of findings, each a word with the fields that a person or a program would ask for next.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::foreign::{Foreign, MadeBy};
use super::restore::RestoreRefused;
use crate::component::Component;
use crate::foundation::Fact;
use crate::host_report::ContainerdCri;
use crate::inventory::{Alarm, Unasked};
use crate::names::{CertName, ContainerName, FilePath, ImageRef, Lineage, NodeName, Role};
use crate::objects::ObjectRef;
use crate::time::Timestamp;
use crate::version::KubernetesVersion;

/// What keeps the next link of a chain of upgrades from being begun.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainWaits {
    /// A node is unreachable.
    Unreachable {
        /// Which.
        node: NodeName,
    },
    /// A component is of an earlier link.
    Older {
        /// On which node.
        node: NodeName,
        /// Which.
        component: Component,
        /// Its version.
        version: KubernetesVersion,
    },
    /// A node is not ready.
    NotReady {
        /// Which.
        node: NodeName,
    },
    /// A member of etcd is unhealthy.
    MemberUnhealthy {
        /// Its node.
        node: NodeName,
    },
    /// No API server answers.
    KubernetesSilent,
}

/// What is the matter. In JSON `cause` is a word, and the fields stand beside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cause {
    /// What no plan may do.
    Refusal(Refusal),
    /// What is desired and not planned.
    Waiting(Waiting),
    /// A machine that is not as it must be, or not as it should be.
    Machine(MachineFault),
    /// What is worth knowing.
    Note(Note),
}

impl From<Refusal> for Cause {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl From<Waiting> for Cause {
    fn from(waiting: Waiting) -> Self {
        Self::Waiting(waiting)
    }
}

impl From<MachineFault> for Cause {
    fn from(fault: MachineFault) -> Self {
        Self::Machine(fault)
    }
}

impl From<Note> for Cause {
    fn from(note: Note) -> Self {
        Self::Note(note)
    }
}

/// Why nothing at all is planned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum Refusal {
    /// etcd cannot be restored, or was restored in part.
    Restore {
        /// Why.
        #[serde(flatten)]
        refused: RestoreRefused,
    },
    /// A newer windlass labelled these containers in a form that this one does not read.
    UnreadableContainers {
        /// Where, and which.
        containers: Vec<(NodeName, ContainerName)>,
    },
    /// Nodes hold the ledger of another cluster.
    OtherLineage {
        /// Which nodes.
        nodes: Vec<NodeName>,
        /// Whose keys they hold.
        lineage: Lineage,
        /// This cluster's; none if it has no ledger.
        own: Option<Lineage>,
    },
    /// Secrets are encrypted with keys of the ledger that cluster.yml no longer asks for.
    EncryptionKeysDropped {
        /// The keys.
        keys: Vec<CertName>,
    },
    /// Secrets are encrypted with keys of cluster.yml, and it no longer asks for encryption.
    CustomEncryptionDropped,
    /// What API servers write is encrypted with keys that no provider of cluster.yml has.
    EncryptionKeyLost {
        /// The kind of resources.
        resource: Arc<str>,
        /// The keys by which API servers write.
        keys: Vec<String>,
    },
    /// API servers write plain text, and no provider of cluster.yml reads it.
    PlainTextUnread {
        /// The kind of resources.
        resource: Arc<str>,
    },
    /// The first provider of cluster.yml is one that not all API servers can read yet.
    EncryptionKeyTooNew {
        /// The kind of resources.
        resource: Arc<str>,
        /// The key of that provider.
        key: String,
        /// The nodes whose API server does not read it, or may not.
        nodes: Vec<NodeName>,
    },
    /// A cluster exists on these nodes, and its ledger was not found.
    LedgerLost {
        /// Which nodes.
        nodes: Vec<NodeName>,
    },
    /// Data of etcd is on these nodes, nothing tells whose it is, and there is no ledger.
    DataOfSomebody {
        /// Which nodes.
        nodes: Vec<NodeName>,
    },
    /// What another tool made for a cluster is on the nodes, and there is no ledger.
    OtherToolsCluster {
        /// Which tool.
        made_by: MadeBy,
        /// Where, and which containers.
        containers: Vec<(NodeName, ContainerName)>,
        /// Where, and which files.
        files: Vec<(NodeName, FilePath)>,
    },
    /// Too few nodes of a role are reachable to know whether a cluster exists.
    TooFewReachable {
        /// The role.
        role: Role,
        /// How many are reachable.
        reachable: usize,
        /// Of how many.
        total: usize,
    },
    /// A founding fact of a living cluster changed.
    FoundationChanged {
        /// Which.
        fact: Fact,
        /// What the cluster was founded on.
        from: String,
        /// What cluster.yml says.
        to: String,
        /// Whether etcd moves to or from one that is not of the cluster's nodes.
        moves_etcd: bool,
    },
    /// The prefix of all host directories changed.
    PrefixChanged {
        /// What the cluster was founded on; empty for none.
        from: String,
        /// What cluster.yml says; empty for none.
        to: String,
    },
    /// A node is a machine that the cluster knows by another name.
    NodeRenamed {
        /// That name.
        former: NodeName,
    },
    /// The address of a member of etcd changed.
    MemberMoved {
        /// Its address in etcd.
        from: String,
        /// Its address in cluster.yml.
        to: String,
    },
    /// The desired version is older than a running one.
    VersionBack {
        /// The newest that runs.
        from: KubernetesVersion,
        /// The desired one.
        to: KubernetesVersion,
    },
    /// cluster.yml names no version, and the default is not what runs.
    VersionNotNamed {
        /// The newest that runs.
        runs: KubernetesVersion,
        /// The default.
        default: KubernetesVersion,
    },
    /// The desired version skips a minor version.
    VersionSkipped {
        /// The oldest that runs.
        from: KubernetesVersion,
        /// The desired one.
        to: KubernetesVersion,
    },
    /// A link of the chain of upgrades cannot be what cluster.yml asks for.
    LinkImpossible {
        /// Its version of Kubernetes.
        kubernetes: KubernetesVersion,
        /// What is wrong.
        problems: Vec<String>,
    },
    /// The desired etcd is of an older minor version than a member that runs.
    EtcdBack {
        /// The image of that member.
        from: ImageRef,
        /// The desired image.
        to: ImageRef,
    },
    /// The desired etcd is more than one minor version newer than a member that runs.
    EtcdSkipped {
        /// The image of that member.
        from: ImageRef,
        /// The desired image.
        to: ImageRef,
    },
    /// The data of every member of etcd is gone.
    EtcdDataLost {
        /// The nodes of the members.
        nodes: Vec<NodeName>,
    },
    /// API servers use an external etcd that shares no address with the desired one.
    OtherExternalEtcd {
        /// The addresses that they use.
        servers: String,
    },
    /// Fewer nodes can be used than etcd's first start needs.
    FirstStartWithoutMajority {
        /// How many can be used.
        usable: usize,
        /// Of how many.
        total: usize,
    },
}

/// What is desired and not planned, for now or until a person acts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum Waiting {
    /// The cluster on an etcd that is restored first.
    AfterRestore,
    /// A later link of the chain of upgrades.
    Link {
        /// Its version of Kubernetes.
        kubernetes: KubernetesVersion,
        /// Its version of etcd; none where etcd is none of the cluster's nodes.
        etcd: Option<String>,
        /// The images that come with it.
        images: BTreeSet<ImageRef>,
        /// The flags that end with it, each with its component.
        ends: BTreeSet<String>,
        /// The flags that begin with it.
        begins: BTreeSet<String>,
        /// What keeps it from being begun.
        waits: Option<ChainWaits>,
    },
    /// A node does not answer.
    NodeUnreachable {
        /// Its roles.
        roles: Vec<Role>,
        /// Why it does not answer.
        error: String,
    },
    /// A node that is to be cleared by `remove` does not answer.
    NodeUnreachableForRemoval {
        /// Why it does not answer.
        error: String,
    },
    /// A node on which nothing bears the lineage of the cluster that is to be removed.
    NotThisClusters {
        /// What is there.
        found: Foreign,
    },
    /// A node has left cluster.yml and is not cleared yet.
    FormerNodeKept {
        /// What that waits for.
        waits_for: WaitsFor,
    },
    /// The containers of a node are not replaced or restarted.
    NodeUnchanged {
        /// What that waits for.
        waits_for: WaitsFor,
    },
    /// A container is missing and is not started.
    NotStarted {
        /// What that waits for.
        waits_for: WaitsFor,
    },
    /// A container runs and cannot do its work.
    CannotWork {
        /// What that waits for.
        waits_for: WaitsFor,
    },
    /// The control plane of a node is not replaced or restarted.
    ControlPlaneUnchanged {
        /// What that waits for.
        waits_for: WaitsFor,
    },
    /// The control plane of a node that lost the role is not removed.
    ControlPlaneKept {
        /// What that waits for.
        waits_for: WaitsFor,
    },
    /// nginx-proxy keeps its list of API servers: none of the new list works.
    ProxyListKept,
    /// A container that windlass did not make keeps the certificate that it has read, though that is reissued.
    OldCertificateKept,
    /// No API server answers: nobody knows which nodes are registered, and with which labels and taints.
    NodeObjectsUnknown,
    /// No API server answers: nobody knows which objects of add-ons are there.
    ObjectsUnknown,
    /// Nodes have a network for pods that windlass did not bring: no other one is put beside it.
    OtherNetworkKept,
    /// The network that windlass brought is no longer asked for, and pods use it.
    NetworkKept,
    /// Objects with the names of an add-on belong to somebody else.
    ObjectsOfOthers {
        /// Which.
        objects: Vec<ObjectRef>,
    },
    /// The cluster does not start: its keys would be on the operator's machine only.
    KeysWithoutCopy,
    /// etcd does not start for the first time: most of its nodes are unreachable.
    FirstStartUnreachable,
    /// etcd has begun its first start with other members.
    FirstStartInterrupted {
        /// The members, as `--initial-cluster` lists them.
        members: String,
    },
    /// A node of etcd holds no data, and etcd has no majority to join.
    NoDataToRevive {
        /// Unreachable nodes that had a member, and may hold its data.
        holders: Vec<NodeName>,
    },
    /// A member that runs is not changed while others are down.
    MemberUnchanged,
    /// A member ends again and again, and nothing shows that it cannot come back.
    UnexplainedCrashes {
        /// What its log says; none where it says nothing.
        said: Option<String>,
    },
    /// Nobody knows whether a container does its work, so it is left as it is.
    HealthUnknown {
        /// Why it could not be asked.
        why: Unasked,
    },
    /// Members have raised an alarm, and etcd refuses requests until somebody disarms it.
    EtcdAlarm {
        /// The alarm.
        alarm: Alarm,
        /// The names of the members that have raised it.
        members: Vec<String>,
    },
    /// A member does not run, and its directory is empty.
    MemberDiskMissing {
        /// The directory.
        path: FilePath,
    },
    /// A member runs, is not healthy, and none of its data was found.
    MemberDataUnseen {
        /// Where its data was looked for.
        path: FilePath,
    },
    /// Healthy members are not changed, and none joins or leaves.
    MembersUnchanged,
    /// A member is not removed: the others would have no majority.
    MemberNeeded,
    /// Members that are to leave stay: API servers may still use them.
    MembersInUse,
    /// etcd stays on a node that lost the role: its member has not left.
    EtcdKept,
}

/// What is worth knowing; nothing waits for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum Note {
    /// A node has left cluster.yml and does not answer.
    FormerNodeUnreachable,
    /// A container with the name of a component was made by somebody else.
    ForeignContainer,
    /// Data of an etcd that was none of this cluster's.
    ForeignData {
        /// Where.
        path: FilePath,
    },
    /// Data of a former member is kept.
    FormerDataKept {
        /// Where.
        path: String,
    },
    /// API servers run and do not answer, and the etcd that they use is not of the cluster's nodes.
    ExternalEtcdSuspected {
        /// Its addresses.
        urls: Vec<String>,
    },
    /// What the cluster stored stays in the etcd that is not of its nodes.
    ExternalEtcdDataKept {
        /// Its addresses.
        urls: Vec<String>,
        /// The prefix of the keys.
        prefix: String,
    },
    /// API servers no longer read what was written with these keys.
    EncryptionKeyLeaves {
        /// The kind of resources.
        resource: Arc<str>,
        /// The keys.
        keys: Vec<String>,
    },
    /// Nodes lack only a network for pods.
    NetworkMissing {
        /// Which.
        nodes: Vec<NodeName>,
    },
    /// The clock of the operator's machine differs from that of the nodes, which agree with each other.
    OperatorClockOff {
        /// Seconds that it is ahead; behind where negative.
        ahead_seconds: i64,
    },
    /// The database of etcd has almost grown to its quota.
    EtcdNearlyFull {
        /// How many bytes the largest takes.
        bytes: u64,
        /// How many it may take.
        quota: u64,
    },
    /// Snapshots stay on the nodes.
    SnapshotsKept {
        /// Where.
        path: FilePath,
    },
    /// A CA expires soon, or has.
    CaExpires {
        /// When.
        on: Timestamp,
    },
    /// Kubernetes holds a ledger that is not overwritten.
    LedgerInKubernetesKept {
        /// Which.
        kept: KeptByKubernetes,
    },
}

/// A ledger in Kubernetes that windlass leaves alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptByKubernetes {
    /// That of another cluster.
    OtherCluster,
    /// A newer one, with this serial.
    Newer(u64),
}

/// What something waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitsFor {
    /// etcd has a majority.
    EtcdMajority,
    /// etcd has a majority; this node's data may be needed for it.
    EtcdMajorityWithThisData,
    /// The member of the node has left etcd.
    MemberLeft,
    /// A member on a node of cluster.yml works: the API server would know no other.
    DesiredMember,
    /// An API server answers.
    ApiServer,
    /// The API server of the same node works.
    OwnApiServer,
    /// The API server of the same node has the new version.
    OwnApiServerUpgraded,
    /// Every API server has the new version.
    ApiServersUpgraded,
    /// The other API servers are as desired.
    ApiServersAsDesired,
    /// An API server of unknown version is reachable: it may be older.
    ApiServersOfUnknownVersion,
    /// An API server to which nginx-proxy of the node leads is reachable.
    ApiServerBehindProxy,
    /// Every control-plane node is reachable.
    ControlPlanesReachable,
    /// Every node of its kind is reachable.
    NodesReachable,
    /// A worker that is ready and unreachable is reachable: its nginx-proxy may know no other API server.
    WorkerReachable(NodeName),
    /// Enough workers are available.
    AvailableWorkers {
        /// How many others are unavailable.
        unavailable: usize,
        /// Those among them that somebody has cordoned.
        cordoned: Vec<NodeName>,
        /// Those among them that do not answer.
        unreachable: Vec<NodeName>,
        /// How many may be.
        limit: usize,
    },
}

/// What is wrong with a machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum MachineFault {
    /// It has what was made for another cluster.
    OfAnotherCluster {
        /// What.
        found: Foreign,
    },
    /// Somebody else's containers have the names that this cluster's need.
    NamesTaken {
        /// Which.
        found: Foreign,
    },
    /// windlass' program is made for another architecture.
    Architecture {
        /// The machine's.
        machine: String,
        /// The program's.
        program: String,
    },
    /// Something else listens at ports that a component needs.
    PortsTaken {
        /// The ports.
        ports: BTreeSet<u16>,
        /// The component.
        component: Component,
    },
    /// The machine lacks an address that a component needs.
    AddressMissing {
        /// The address.
        address: IpAddr,
        /// The component.
        component: Component,
        /// The addresses that it has.
        has: BTreeSet<IpAddr>,
    },
    /// The machine lacks the address that cluster.yml gives it.
    AddressTranslated {
        /// The address.
        address: IpAddr,
        /// The addresses that it has.
        has: BTreeSet<IpAddr>,
    },
    /// Swap is on.
    SwapOn,
    /// Too little room for images.
    NoRoomForImages {
        /// Docker's directory.
        path: FilePath,
        /// Free bytes.
        free: u64,
        /// Needed bytes.
        needed: u64,
    },
    /// Too little room for etcd.
    NoRoomForEtcd {
        /// etcd's directory.
        path: String,
        /// Free bytes.
        free: u64,
        /// Needed bytes.
        needed: u64,
    },
    /// Less room than etcd's data may grow to.
    LittleRoomForEtcd {
        /// etcd's directory.
        path: String,
        /// Free bytes.
        free: u64,
        /// The quota in bytes.
        quota: u64,
    },
    /// Docker is too old for kubelet.
    DockerTooOld {
        /// Its version.
        version: String,
    },
    /// Docker is newer than any that is known to work with this Kubernetes.
    DockerUntried {
        /// Its version.
        version: String,
        /// Kubernetes'.
        kubernetes: KubernetesVersion,
        /// The newest known to work: major and minor version.
        newest: (u32, u32),
    },
    /// The kernel lacks settings.
    SettingsUnknown {
        /// Which.
        settings: Vec<Arc<str>>,
        /// The modules that would bring them.
        modules: Vec<Arc<str>>,
    },
    /// cgroup v2, with a Kubernetes that supports it only in part.
    CgroupV2 {
        /// Kubernetes' version.
        kubernetes: KubernetesVersion,
    },
    /// cgroup v1, on which kubelet of this version does not start.
    CgroupV1 {
        /// kubelet's version.
        kubernetes: KubernetesVersion,
    },
    /// No control groups.
    NoCgroups,
    /// Pods are to be run by containerd, and it does not serve kubelet.
    Containerd {
        /// What it does instead.
        serves: ContainerdCri,
    },
    /// Docker confines containers with `SELinux`.
    Selinux {
        /// Components that could not read what is on the machine.
        components: Vec<Component>,
    },
    /// Little memory.
    LittleMemory {
        /// Bytes that it has.
        has: u64,
        /// Bytes that it should have.
        wants: u64,
        /// Whether it is a control-plane node.
        control_plane: bool,
    },
    /// The clock is off.
    ClockOff {
        /// Seconds that it is ahead.
        ahead_seconds: i64,
        /// Of what.
        of: ClockOf,
    },
    /// It is the same machine as another node.
    SameMachine {
        /// The other node.
        other: NodeName,
    },
    /// It has the same host name as others.
    SameHostname {
        /// The name.
        hostname: String,
        /// The others.
        others: Vec<NodeName>,
    },
    /// It has the same machine id as others.
    SameMachineId {
        /// The others.
        others: Vec<NodeName>,
    },
    /// Others do not reach it.
    NotReachedBy {
        /// The others.
        others: Vec<NodeName>,
        /// Its address.
        address: String,
        /// The TCP ports.
        ports: BTreeSet<u16>,
        /// What they saw.
        error: String,
    },
    /// It does not reach another node.
    DoesNotReach {
        /// The other.
        other: NodeName,
        /// That node's address.
        address: String,
        /// The TCP ports.
        ports: BTreeSet<u16>,
        /// What it saw.
        error: String,
    },
}

/// A clock that others are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockOf {
    /// The operator's machine.
    Operator,
    /// Most nodes.
    Nodes,
}
