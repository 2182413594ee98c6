//! The causes of findings: each is a word, with the fields that a person or a program would ask for next.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::foreign::{Foreign, MadeBy};
use super::gone::NotGone;
use super::machine::MachineFault;
use super::restore::RestoreRefused;
use crate::component::Component;
use crate::etcd_places::EtcdPlaces;
use crate::foundation::Fact;
use crate::inventory::{Alarm, Unasked};
use crate::names::{CertName, ContainerName, FilePath, ImageRef, Lineage, NodeName, Role};
use crate::objects::ObjectRef;
use crate::rolling::RollingFault;
use crate::time::Timestamp;
use crate::version::KubernetesVersion;

/// What prevents the next link of a chain of upgrades from beginning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainWaits {
    /// A node is unreachable.
    Unreachable {
        /// The node.
        node: NodeName,
    },
    /// A component is of an earlier link.
    Older {
        /// The node.
        node: NodeName,
        /// The component.
        component: Component,
        /// Its version.
        version: KubernetesVersion,
    },
    /// A node is not ready.
    NotReady {
        /// The node.
        node: NodeName,
    },
    /// A member of etcd is unhealthy.
    MemberUnhealthy {
        /// Its node.
        node: NodeName,
    },
    /// No API server answers.
    KubernetesSilent,
    /// The link before it cannot replace the other workers, since as many as may be unavailable are cordoned by somebody
    /// else.
    Cordoned {
        /// The cordoned workers.
        nodes: Vec<NodeName>,
    },
}

/// The cause. In JSON `cause` is a word, with the fields beside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cause {
    /// Why a plan is refused.
    Refusal(Refusal),
    /// What is desired and not planned.
    Waiting(Waiting),
    /// A machine that is not as it must or should be.
    Machine(MachineFault),
    /// Information.
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
        /// The reason.
        #[serde(flatten)]
        refused: RestoreRefused,
    },
    /// A newer windlass labelled these containers in a form that this one cannot read.
    UnreadableContainers {
        /// The nodes and containers.
        containers: Vec<(NodeName, ContainerName)>,
    },
    /// Nodes hold the ledger of another cluster.
    OtherLineage {
        /// The nodes.
        nodes: Vec<NodeName>,
        /// The lineage of the keys that they hold.
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
        /// The kind of resource.
        resource: Arc<str>,
        /// The keys with which API servers write.
        keys: Vec<String>,
    },
    /// Secrets may still be stored with keys that cluster.yml no longer has, and cannot be rewritten now.
    EncryptionKeyStillNeeded {
        /// The keys.
        keys: Vec<String>,
    },
    /// API servers write plain text, and no provider of cluster.yml reads it.
    PlainTextUnread {
        /// The kind of resource.
        resource: Arc<str>,
    },
    /// The first provider of cluster.yml is one that not all API servers can read yet.
    EncryptionKeyTooNew {
        /// The kind of resource.
        resource: Arc<str>,
        /// The key of that provider.
        key: String,
        /// The nodes whose API server does not read it, or may not.
        nodes: Vec<NodeName>,
    },
    /// A cluster exists on these nodes, and its ledger was not found.
    LedgerLost {
        /// The nodes.
        nodes: Vec<NodeName>,
    },
    /// Data of etcd is on these nodes, it is unknown whose it is, and there is no ledger.
    DataOfSomebody {
        /// The nodes.
        nodes: Vec<NodeName>,
    },
    /// Things that another tool created for a cluster are on the nodes, and there is no ledger.
    OtherToolsCluster {
        /// The tool.
        made_by: MadeBy,
        /// The nodes and containers.
        containers: Vec<(NodeName, ContainerName)>,
        /// The nodes and files.
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
    /// A founding setting of a live cluster changed.
    FoundationChanged {
        /// The fact.
        fact: Fact,
        /// The value with which the cluster was created.
        from: String,
        /// What cluster.yml says.
        to: String,
        /// Whether etcd moves between the cluster's nodes and an external one.
        moves_etcd: bool,
    },
    /// The prefix of all host directories changed.
    PrefixChanged {
        /// The prefix with which the cluster was created; empty for none.
        from: String,
        /// What cluster.yml says; empty for none.
        to: String,
    },
    /// A node is a machine that the cluster knows under another name.
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
        /// The newest running one.
        from: KubernetesVersion,
        /// The desired one.
        to: KubernetesVersion,
    },
    /// cluster.yml names no version, and the default is not the running one.
    VersionNotNamed {
        /// The newest running one.
        runs: KubernetesVersion,
        /// The default.
        default: KubernetesVersion,
    },
    /// The desired version skips a minor version.
    VersionSkipped {
        /// The oldest running one.
        from: KubernetesVersion,
        /// The desired one.
        to: KubernetesVersion,
    },
    /// A link of the chain of upgrades does not support what cluster.yml asks for.
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
    /// Members of etcd work, or have their data, elsewhere than cluster.yml says.
    MemberElsewhere {
        /// The nodes of the members.
        nodes: Vec<NodeName>,
        /// Where they are.
        is: EtcdPlaces,
        /// Where cluster.yml has them.
        desired: EtcdPlaces,
    },
    /// An interrupted run may have started etcd for the first time, with other members, on nodes that are unreachable now.
    FirstStartUnseen {
        /// The nodes.
        nodes: Vec<NodeName>,
    },
    /// The data of every member of etcd is lost.
    EtcdDataLost {
        /// The nodes of the members.
        nodes: Vec<NodeName>,
        /// The nodes that a removal waits for, where it has cleared those of the members.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        waits_for: Vec<NodeName>,
    },
    /// API servers use an external etcd that shares no address with the desired one.
    OtherExternalEtcd {
        /// The addresses that they use.
        servers: String,
    },
    /// A node that is gone for good according to the operator is not.
    NotGone {
        /// Why not.
        because: NotGone,
    },
    /// Fewer nodes are usable than etcd's first start needs.
    FirstStartWithoutMajority {
        /// How many are usable.
        usable: usize,
        /// Of how many.
        total: usize,
    },
}

/// Something desired that is not planned, for now or until a person acts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum Waiting {
    /// API servers read a new key and do not write with it yet; Secrets are rewritten after that.
    KeyLearned {
        /// The key.
        key: String,
        /// What it waits for.
        waits_for: WaitsFor,
    },
    /// Secrets are written in plain text again, and the key is taken away when all of them are.
    KeyLeaves {
        /// The key.
        key: String,
        /// What it waits for.
        waits_for: WaitsFor,
    },
    /// Secrets are not rewritten yet.
    SecretsNotRewritten {
        /// The cipher with which they should be stored.
        cipher: String,
        /// What it waits for.
        waits_for: WaitsFor,
    },
    /// The rest of the cluster, while etcd is restored first.
    AfterRestore,
    /// A later link of the chain of upgrades.
    Link {
        /// Its version of Kubernetes.
        kubernetes: KubernetesVersion,
        /// Its version of etcd; none where etcd is external.
        etcd: Option<String>,
        /// The images that come with it.
        images: BTreeSet<ImageRef>,
        /// The flags that end with it, each with its component.
        ends: BTreeSet<String>,
        /// The flags that begin with it.
        begins: BTreeSet<String>,
        /// What prevents it from beginning.
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
    /// A node where nothing has the lineage of the cluster that is to be removed.
    NotThisClusters {
        /// What is there.
        found: Foreign,
    },
    /// A node has left cluster.yml and is unreachable, and Kubernetes still counts on it.
    FormerNodeReady,
    /// A node that neither cluster.yml nor the ledger has is ready according to Kubernetes, and windlass has managed its object.
    ReturnedNodeReady,
    /// A node has left cluster.yml and is not cleared yet.
    FormerNodeKept {
        /// What its removal waits for.
        waits_for: WaitsFor,
    },
    /// The kubelet of a node has its pods' volumes elsewhere than cluster.yml says: its pods would outlive it without them.
    KubeletMoves {
        /// Its root directory.
        from: FilePath,
        /// The one of cluster.yml.
        to: FilePath,
    },
    /// The containers of a node are not replaced or restarted.
    NodeUnchanged {
        /// What it waits for.
        waits_for: WaitsFor,
    },
    /// A container is missing and is not started.
    NotStarted {
        /// What it waits for.
        waits_for: WaitsFor,
    },
    /// A container runs and cannot work.
    CannotWork {
        /// What it waits for.
        waits_for: WaitsFor,
    },
    /// The control plane of a node is not replaced or restarted.
    ControlPlaneUnchanged {
        /// What it waits for.
        waits_for: WaitsFor,
    },
    /// The control plane of a node that lost the role is not removed.
    ControlPlaneKept {
        /// What it waits for.
        waits_for: WaitsFor,
    },
    /// nginx-proxy keeps its list of API servers, because none of the new list works.
    ProxyListKept,
    /// A container is not replaced for its reissued certificate.
    OldCertificateKept {
        /// Why not.
        #[serde(flatten)]
        obstacle: RestartObstacle,
    },
    /// No API server answers: it is unknown which nodes are registered, and with which labels and taints.
    NodeObjectsUnknown,
    /// No API server answers: it is unknown which objects of add-ons exist.
    ObjectsUnknown,
    /// Nodes have a pod network that windlass did not deploy: no other one is deployed beside it.
    OtherNetworkKept,
    /// The network that windlass deployed is no longer asked for, and pods use it.
    NetworkKept,
    /// Objects with the names of an add-on belong to somebody else.
    ObjectsOfOthers {
        /// The objects.
        objects: Vec<ObjectRef>,
    },
    /// Jobs of manifests were changed after they had been applied.
    JobsChanged {
        /// The Jobs.
        objects: Vec<ObjectRef>,
    },
    /// The cluster does not start: its keys would be on the operator's machine only.
    KeysWithoutCopy,
    /// etcd does not start for the first time, because most of its nodes are unreachable.
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
    /// A running member is not changed while others are down.
    MemberUnchanged,
    /// A member exits again and again, and nothing shows that it cannot recover.
    UnexplainedCrashes {
        /// What its log says; none where it is empty.
        said: Option<String>,
    },
    /// It is unknown whether a container works, so it is left as it is.
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
    /// A member does not run, and nothing of it is in its directory.
    MemberDiskMissing {
        /// The directory.
        path: FilePath,
    },
    /// A member's data or its log is missing, and the other is there.
    MemberIncomplete {
        /// Where they should be.
        places: EtcdPlaces,
    },
    /// A member runs and is unhealthy, and none of its data was found.
    MemberDataUnseen {
        /// The path where its data was expected.
        path: FilePath,
    },
    /// Healthy members are not changed, and none is added or removed.
    MembersUnchanged,
    /// A member is not changed: while it is down the others would have no majority.
    MemberUnchangedForMajority,
    /// A member is not removed: the others would have no majority.
    MemberNeeded,
    /// Members that are to be removed stay: API servers may still use them.
    MembersInUse,
    /// etcd stays on a node that lost the role: its member has not been removed.
    EtcdKept,
}

/// Why a container that runs is not replaced by one like it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "obstacle")]
pub enum RestartObstacle {
    /// windlass did not create it, so it is unknown which files it has read.
    MadeByOther,
    /// A file that it reads at its start is not on the node.
    FileMissing {
        /// Its path.
        path: FilePath,
    },
    /// It is a kubelet with another cgroup driver than its machine's container runtime.
    CgroupDriver,
    /// It is a kubelet that exits where this setting of the kernel has another value than it requires.
    KernelSetting {
        /// Its name, as `sysctl` has it.
        name: Arc<str>,
    },
}

/// Information; nothing waits for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum Note {
    /// A node has left cluster.yml and does not answer.
    FormerNodeUnreachable,
    /// Somebody else made a container with the name of a component.
    ForeignContainer,
    /// Data of an etcd that did not belong to this cluster.
    ForeignData {
        /// Its path.
        path: FilePath,
    },
    /// Data of a former member is kept.
    FormerDataKept {
        /// Its path.
        path: String,
    },
    /// API servers run and do not answer, and the etcd that they use is external.
    ExternalEtcdSuspected {
        /// Its addresses.
        urls: Vec<String>,
    },
    /// The data of the cluster stays in the external etcd.
    ExternalEtcdDataKept {
        /// Its addresses.
        urls: Vec<String>,
        /// The prefix of the keys.
        prefix: String,
    },
    /// API servers no longer read what was written with these keys.
    EncryptionKeyLeaves {
        /// The kind of resource.
        resource: Arc<str>,
        /// The keys.
        keys: Vec<String>,
    },
    /// Nodes lack only a pod network.
    NetworkMissing {
        /// The nodes.
        nodes: Vec<NodeName>,
    },
    /// The clock of the operator's machine differs from that of the nodes, which agree with each other.
    OperatorClockOff {
        /// Seconds that it is ahead; behind where negative.
        ahead_seconds: i64,
    },
    /// The database of etcd is close to its quota.
    EtcdNearlyFull {
        /// How many bytes the largest has.
        bytes: u64,
        /// How many it may have.
        quota: u64,
    },
    /// There is no fresh and intact snapshot of the member of a node.
    SnapshotsStale {
        /// What is wrong.
        fault: RollingFault,
    },
    /// Snapshots stay on the nodes.
    SnapshotsKept {
        /// Their path.
        path: FilePath,
    },
    /// What RKE 1 deploys by default is not in this cluster, which lives without it.
    DefaultNotAdded {
        /// The add-on.
        name: String,
    },
    /// metrics-server cannot check the certificates of kubelets.
    KubeletsUnverified,
    /// Objects of manifests are no longer desired, and are left.
    ObjectsKept {
        /// The objects.
        objects: Vec<ObjectRef>,
    },
    /// A CA expires soon, or has expired.
    CaExpires {
        /// Its expiry.
        on: Timestamp,
    },
    /// Kubernetes holds a ledger that is not overwritten.
    LedgerInKubernetesKept {
        /// The ledger that is kept.
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
    /// etcd has a majority, for which this node's data may be needed.
    EtcdMajorityWithThisData,
    /// The member of the node has been removed from etcd.
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
    /// An API server of unknown version, which may be older, is reachable.
    ApiServersOfUnknownVersion,
    /// An API server that nginx-proxy of the node may use is reachable.
    ApiServerBehindProxy,
    /// Every control-plane node is reachable.
    ControlPlanesReachable,
    /// Every API server reads the new key.
    KeyReadEverywhere,
    /// Every API server writes with this cipher.
    CipherEverywhere,
    /// All Secrets are rewritten.
    SecretsRewritten,
    /// Every node of its kind is reachable.
    NodesReachable,
    /// A worker that is ready and unreachable becomes reachable: its nginx-proxy may know no other API
    /// server.
    WorkerReachable(NodeName),
    /// Enough workers are available.
    AvailableWorkers {
        /// How many others are unavailable.
        unavailable: usize,
        /// Those among them that somebody has cordoned.
        cordoned: Vec<NodeName>,
        /// Those among them that do not answer.
        unreachable: Vec<NodeName>,
        /// Those among them that lack a container.
        #[serde(default)]
        broken: Vec<NodeName>,
        /// How many may be unavailable.
        limit: usize,
    },
}
