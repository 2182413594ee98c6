//! What a step does, as data made whole by the planner: whoever carries it out has nothing left to choose.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::blueprint::{DesiredFile, DesiredKernel, DrainOptions, Taint};
use crate::certificate::DesiredCert;
use crate::component::Component;
use crate::container::ContainerSpec;
use crate::foundation::Foundation;
use crate::inventory::{MemberId, Owned};
use crate::names::{CertName, ContainerName, FilePath, ImageRef, NodeName};
use crate::objects::{AddonKind, DesiredObject, ObjectRef};
use crate::pod_runtime::PodRuntime;
use crate::snapshot::{ChosenSnapshot, MemberRestore, RestoreNote};
use crate::target::LastNode;

/// One thing to do. Every action may already have happened, and then counts as done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Action {
    /// Makes keys and certificates, in memory only; authorities before what they sign.
    MintCerts {
        /// The certificates to make.
        certs: BTreeMap<CertName, DesiredCert>,
    },
    /// Writes the ledger to the operator's disk.
    CommitLedger {
        /// What else becomes true in it, beside freshly minted certificates.
        change: LedgerChange,
    },
    /// Deletes the ledger from the operator's disk, the cluster being gone.
    ForgetLedger,
    /// Writes the ledger's roots, what can never be made anew, into a Secret of Kubernetes.
    KeepRoots,
    /// Makes Docker hold an image.
    PullImage {
        /// Where.
        node: NodeName,
        /// Which.
        image: ImageRef,
    },
    /// Writes files, each whole or not at all.
    WriteFiles {
        /// Where.
        node: NodeName,
        /// The files.
        files: BTreeMap<FilePath, DesiredFile>,
    },
    /// Loads modules into a node's kernel and sets it, until it boots again: files that it reads then make that last.
    SetKernel {
        /// Where.
        node: NodeName,
        /// What it should have loaded, and how it should be set.
        kernel: DesiredKernel,
    },
    /// Deletes files and directories with all that is in them.
    RemovePaths {
        /// Where.
        node: NodeName,
        /// What.
        paths: BTreeSet<FilePath>,
    },
    /// Renames a directory to a name beside it that tells what and when it was, keeping all that is in it.
    MoveAside {
        /// Where.
        node: NodeName,
        /// The directory.
        path: FilePath,
        /// Its new name.
        to: FilePath,
        /// What must hold at the moment before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        guards: Vec<Guard>,
    },
    /// Gives a node its own copy of a snapshot, and reads the copy back.
    StageSnapshot {
        /// Where.
        node: NodeName,
        /// Which.
        snapshot: ChosenSnapshot,
    },
    /// Makes the data of a member out of a node's copy of a snapshot, where no data is.
    RestoreMember {
        /// Where.
        node: NodeName,
        /// Of what, and as whom.
        restore: Box<MemberRestore>,
    },
    /// Creates and starts a container that is not there.
    RunContainer {
        /// Where.
        node: NodeName,
        /// Which component.
        component: Component,
        /// What it is made of.
        spec: Arc<ContainerSpec>,
        /// Arguments appended for the birth of its data; not compared afterwards.
        birth: Vec<Arc<str>>,
    },
    /// Puts a new container in the place of one that differs.
    ReplaceContainer {
        /// Where.
        node: NodeName,
        /// Which component.
        component: Component,
        /// What the new one is made of.
        spec: Arc<ContainerSpec>,
        /// Arguments appended for the birth of its data; not compared afterwards.
        birth: Vec<Arc<str>>,
        /// What must hold at the moment before the old one stops.
        guards: Vec<Guard>,
    },
    /// Starts a container that is not running.
    StartContainer {
        /// Where.
        node: NodeName,
        /// Which component.
        component: Component,
    },
    /// Stops and starts a container that runs but does not do its work.
    RestartContainer {
        /// Where.
        node: NodeName,
        /// Which component.
        component: Component,
        /// Whether it is left alone if it does its work by then.
        when: RestartWhen,
        /// What must hold at the moment before it stops.
        guards: Vec<Guard>,
    },
    /// Makes a container read its files again.
    ReloadContainer {
        /// Where.
        node: NodeName,
        /// Which component.
        component: Component,
    },
    /// Stops and removes a container.
    RemoveContainer {
        /// Where.
        node: NodeName,
        /// Which, by name: it may be one that no component has.
        container: ContainerName,
        /// What must hold at the moment before it stops.
        guards: Vec<Guard>,
    },
    /// Removes the containers of all pods of a node, whichever runtime has them, after kubelet is gone.
    RemovePods {
        /// Where.
        node: NodeName,
        /// Kubelet's own directory: it has one for each pod there.
        #[serde(default)]
        kubelet: FilePath,
        /// The runtime whose pods stay: kubelet goes on with them. The host's network is not touched then.
        #[serde(default)]
        keep: Option<PodRuntime>,
    },
    /// Waits until something is as it should be; changes nothing.
    AwaitHealthy {
        /// What is waited for.
        gate: Gate,
        /// Seconds after which the step fails.
        within_seconds: u32,
    },
    /// Adds a member to etcd as a learner, which does not vote until it has caught up.
    EtcdMemberAdd {
        /// The node of the new member.
        node: NodeName,
        /// Its peer address.
        peer_url: String,
        /// Nodes whose members can be asked.
        via: Vec<NodeName>,
    },
    /// Makes a learner that has caught up a voter.
    EtcdMemberPromote {
        /// The node of the member.
        node: NodeName,
        /// Its peer address.
        peer_url: String,
        /// Nodes whose members can be asked.
        via: Vec<NodeName>,
        /// Seconds after which the step fails.
        within_seconds: u32,
    },
    /// Takes a member out of etcd.
    EtcdMemberRemove {
        /// The member's id.
        id: MemberId,
        /// Its peer address.
        peer_url: String,
        /// Nodes whose members can be asked.
        via: Vec<NodeName>,
        /// What must hold at the moment before.
        guards: Vec<Guard>,
    },
    /// Keeps new pods off a node, and marks that windlass did so.
    Cordon {
        /// The node.
        node: NodeName,
        /// What must hold at the moment before.
        guards: Vec<Guard>,
    },
    /// Moves the pods of a node away.
    Drain {
        /// The node.
        node: NodeName,
        /// How.
        options: DrainOptions,
    },
    /// Lets new pods onto a node that windlass cordoned.
    Uncordon {
        /// The node.
        node: NodeName,
    },
    /// Sets labels and taints of a node object, takes away those no longer desired, and notes which are ours.
    LabelNode {
        /// The node.
        node: NodeName,
        /// What changes.
        change: ObjectChange,
    },
    /// Deletes a node object.
    DeleteNodeObject {
        /// The node.
        node: NodeName,
    },
    /// Notes objects as windlass' own and applies them, one after the other: the fields that windlass answers for.
    ApplyObjects {
        /// What they are for.
        addon: AddonKind,
        /// The objects.
        objects: Vec<DesiredObject>,
    },
    /// Deletes objects that windlass noted as its own, and the note of them.
    DeleteObjects {
        /// The objects, in this order.
        objects: Vec<ObjectRef>,
    },
}

/// On what condition a container is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartWhen {
    /// It still does not do its work.
    StillSick,
    /// In any case: what it must do again it does at its start only.
    Always,
}

/// What becomes true in the ledger by a commit.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgerChange {
    /// Nodes to note, or to note anew.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<NodeName, LastNode>,
    /// Nodes to forget.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub forget: BTreeSet<NodeName>,
    /// Certificates to forget.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub forget_certs: BTreeSet<CertName>,
    /// What the cluster is founded on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foundation: Option<Foundation>,
    /// Whether it becomes true that the cluster has lived.
    pub born: bool,
    /// The restore that begins, or that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreNote>,
}

impl LedgerChange {
    /// Whether nothing becomes true by it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What changes of a node object.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObjectChange {
    /// Labels to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Labels to take away.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub labels_gone: BTreeSet<Arc<str>>,
    /// Taints to set.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub taints: BTreeSet<Taint>,
    /// Taints to take away.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub taints_gone: BTreeSet<Taint>,
    /// All that windlass answers for afterwards.
    pub owned: Owned,
}

/// Something that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// This container answers as it should.
    Container {
        /// Where.
        node: NodeName,
        /// Which component.
        component: Component,
    },
    /// This node's member of etcd is healthy and a majority stands.
    EtcdMember {
        /// The node of the member.
        node: NodeName,
    },
    /// This node's member of etcd has made a snapshot of its log since its container was created.
    EtcdLogSnapshot {
        /// The node of the member.
        node: NodeName,
    },
    /// This node's object exists and is ready.
    NodeReady {
        /// The node.
        node: NodeName,
        /// Whether there must be a network for pods.
        #[serde(default, skip_serializing_if = "PodNetwork::is_required")]
        network: PodNetwork,
    },
    /// The pods of these objects are ready.
    Addon {
        /// What they are for.
        addon: AddonKind,
        /// The objects that have pods.
        objects: Vec<ObjectRef>,
        /// How many pods of a `DaemonSet` may be missing: nodes that are not ready have none.
        may_miss: usize,
    },
}

/// Whether a node must have a network for pods to be counted as ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PodNetwork {
    /// It must.
    #[default]
    Required,
    /// No node of the cluster has one yet, and windlass brings none: whoever does needs the cluster for it.
    NotYet,
}

impl PodNetwork {
    /// Whether there must be one.
    pub fn is_required(&self) -> bool {
        *self == Self::Required
    }
}

/// What must hold at the moment before a disruption; looked at anew then, since the plan is older.
///
/// A guard that does not hold fails its step and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// A majority of etcd's voters is healthy without this node's member, unless that one is unhealthy itself.
    ///
    /// Leadership is moved off the member first. A cluster of one or two voters has no majority to spare and
    /// is let through: there is no other way to change it.
    EtcdMajorityWithout {
        /// The node of the member.
        node: NodeName,
        /// Nodes whose members can be asked.
        via: Vec<NodeName>,
    },
    /// Of the other API servers fewer than `limit` are unavailable, and at least one is healthy, unless this
    /// node's own is unhealthy itself.
    ApiServersBeside {
        /// The node.
        node: NodeName,
        /// The other nodes with an API server.
        others: Vec<NodeName>,
        /// How many API servers may be unavailable at once.
        limit: usize,
    },
    /// Of these nodes fewer than `limit` are unavailable, this node not counted.
    Window {
        /// The node that is about to be disrupted.
        node: NodeName,
        /// The nodes that share the limit.
        among: Arc<BTreeSet<NodeName>>,
        /// Those of them that have never been there: without an object they are missed by nobody.
        new: Arc<BTreeSet<NodeName>>,
        /// How many of them may be unavailable at once.
        limit: usize,
    },
    /// The member of this node does not work and cannot come back: its own node and the other members say so again.
    EtcdMemberLost {
        /// The node of the member.
        node: NodeName,
        /// Nodes whose members can be asked.
        via: Vec<NodeName>,
    },
    /// etcd lists no member of this node, and none works there.
    EtcdMemberOut {
        /// The node.
        node: NodeName,
        /// Nodes whose members can be asked.
        via: Vec<NodeName>,
    },
}

impl Action {
    /// The node that it acts on, if it acts on one.
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::MintCerts { .. }
            | Self::CommitLedger { .. }
            | Self::ForgetLedger
            | Self::KeepRoots
            | Self::EtcdMemberRemove { .. }
            | Self::ApplyObjects { .. }
            | Self::DeleteObjects { .. } => None,
            Self::PullImage { node, .. }
            | Self::WriteFiles { node, .. }
            | Self::SetKernel { node, .. }
            | Self::RemovePaths { node, .. }
            | Self::MoveAside { node, .. }
            | Self::StageSnapshot { node, .. }
            | Self::RestoreMember { node, .. }
            | Self::RunContainer { node, .. }
            | Self::ReplaceContainer { node, .. }
            | Self::StartContainer { node, .. }
            | Self::RestartContainer { node, .. }
            | Self::ReloadContainer { node, .. }
            | Self::RemoveContainer { node, .. }
            | Self::RemovePods { node, .. }
            | Self::EtcdMemberAdd { node, .. }
            | Self::EtcdMemberPromote { node, .. }
            | Self::Cordon { node, .. }
            | Self::Drain { node, .. }
            | Self::Uncordon { node }
            | Self::LabelNode { node, .. }
            | Self::DeleteNodeObject { node } => Some(node),
            Self::AwaitHealthy { gate, .. } => gate.node(),
        }
    }

    /// What is looked at again right before it disturbs something, if it does.
    pub fn guards(&self) -> &[Guard] {
        match self {
            Self::ReplaceContainer { guards, .. }
            | Self::RestartContainer { guards, .. }
            | Self::RemoveContainer { guards, .. }
            | Self::MoveAside { guards, .. }
            | Self::EtcdMemberRemove { guards, .. }
            | Self::Cordon { guards, .. } => guards,
            _ => &[],
        }
    }

    /// The same, to be changed.
    pub fn guards_mut(&mut self) -> Option<&mut Vec<Guard>> {
        match self {
            Self::ReplaceContainer { guards, .. }
            | Self::RestartContainer { guards, .. }
            | Self::RemoveContainer { guards, .. }
            | Self::MoveAside { guards, .. }
            | Self::EtcdMemberRemove { guards, .. }
            | Self::Cordon { guards, .. } => Some(guards),
            _ => None,
        }
    }

    /// Whether it only waits, and changes nothing.
    pub fn only_waits(&self) -> bool {
        matches!(self, Self::AwaitHealthy { .. })
    }

    /// The word for it in a plan's table.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::MintCerts { .. } => "mint",
            Self::CommitLedger { .. } => "commit",
            Self::ForgetLedger => "forget",
            Self::KeepRoots => "keep",
            Self::PullImage { .. } => "pull",
            Self::WriteFiles { .. } => "write",
            Self::SetKernel { .. } => "set",
            Self::RemovePaths { .. } | Self::RemoveContainer { .. } | Self::RemovePods { .. } => "remove",
            Self::MoveAside { .. } => "move aside",
            Self::StageSnapshot { .. } => "copy",
            Self::RestoreMember { .. } => "restore",
            Self::RunContainer { .. } => "run",
            Self::ReplaceContainer { .. } => "replace",
            Self::StartContainer { .. } => "start",
            Self::RestartContainer { .. } => "restart",
            Self::ReloadContainer { .. } => "reload",
            Self::AwaitHealthy { .. } => "await",
            Self::EtcdMemberAdd { .. } => "join",
            Self::EtcdMemberPromote { .. } => "promote",
            Self::EtcdMemberRemove { .. } => "leave",
            Self::Cordon { .. } => "cordon",
            Self::Drain { .. } => "drain",
            Self::Uncordon { .. } => "uncordon",
            Self::LabelNode { .. } => "label",
            Self::DeleteNodeObject { .. } | Self::DeleteObjects { .. } => "delete",
            Self::ApplyObjects { .. } => "apply",
        }
    }

    /// What it does to the world, as the first character of its line in a plan.
    pub fn sign(&self) -> Sign {
        match self {
            Self::MintCerts { .. }
            | Self::PullImage { .. }
            | Self::StageSnapshot { .. }
            | Self::RestoreMember { .. }
            | Self::RunContainer { .. }
            | Self::EtcdMemberAdd { .. } => Sign::Adds,
            Self::RemovePaths { .. }
            | Self::RemoveContainer { .. }
            | Self::RemovePods { .. }
            | Self::EtcdMemberRemove { .. }
            | Self::DeleteNodeObject { .. }
            | Self::DeleteObjects { .. }
            | Self::ForgetLedger => Sign::Removes,
            Self::AwaitHealthy { .. } => Sign::Waits,
            Self::CommitLedger { .. }
            | Self::KeepRoots
            | Self::WriteFiles { .. }
            | Self::SetKernel { .. }
            | Self::MoveAside { .. }
            | Self::ReplaceContainer { .. }
            | Self::StartContainer { .. }
            | Self::RestartContainer { .. }
            | Self::ReloadContainer { .. }
            | Self::EtcdMemberPromote { .. }
            | Self::Cordon { .. }
            | Self::Drain { .. }
            | Self::Uncordon { .. }
            | Self::LabelNode { .. }
            | Self::ApplyObjects { .. } => Sign::Changes,
        }
    }
}

/// What a step does to the world, in one character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// `+`
    Adds,
    /// `~`
    Changes,
    /// `-`
    Removes,
    /// `.`
    Waits,
}

impl Sign {
    /// The character.
    pub fn as_char(self) -> char {
        match self {
            Self::Adds => '+',
            Self::Changes => '~',
            Self::Removes => '-',
            Self::Waits => '.',
        }
    }
}

impl Gate {
    /// The node at which it looks; none where it asks Kubernetes about pods of many.
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Container { node, .. }
            | Self::EtcdMember { node }
            | Self::EtcdLogSnapshot { node }
            | Self::NodeReady { node, .. } => Some(node),
            Self::Addon { .. } => None,
        }
    }
}
