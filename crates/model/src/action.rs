//! What a step does, as data completed by the planner: its execution makes no choices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::blueprint::{DesiredFile, DesiredKernel, DrainOptions, Taint};
use crate::certificate::DesiredCert;
use crate::ciphers::{Cipher, StoredSecrets};
use crate::component::Component;
use crate::container::ContainerSpec;
use crate::foundation::Foundation;
use crate::inventory::{MemberId, Owned};
use crate::names::{CertName, ContainerName, FilePath, ImageRef, NodeName};
use crate::objects::{AddonKind, DesiredObject, ObjectRef};
use crate::pod_runtime::PodRuntime;
use crate::snapshot::{ChosenSnapshot, MemberRestore, RestoreNote, SnapshotWanted};
use crate::target::LastNode;

/// One thing to do. Every action may have been done already, and then counts as done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Action {
    /// Creates keys and certificates, in memory only; CAs before what they sign.
    MintCerts {
        /// The certificates to create.
        certs: BTreeMap<CertName, DesiredCert>,
    },
    /// Writes the ledger to the operator's disk.
    CommitLedger {
        /// What else becomes true in it, besides freshly issued certificates.
        change: Box<LedgerChange>,
    },
    /// Deletes the ledger from the operator's disk after the cluster is removed.
    ForgetLedger,
    /// Writes the ledger's roots, which can never be recreated, into a Secret of Kubernetes, encrypted.
    KeepRoots,
    /// Deletes that Secret.
    DropRoots,
    /// Reads all Secrets and writes each again, so that all are stored as API servers write now.
    RewriteSecrets {
        /// The cipher with which they write.
        by: Cipher,
    },
    /// Makes Docker hold an image.
    PullImage {
        /// The node.
        node: NodeName,
        /// The image.
        image: ImageRef,
    },
    /// Writes files, each completely or not at all.
    WriteFiles {
        /// The node.
        node: NodeName,
        /// The files.
        files: BTreeMap<FilePath, DesiredFile>,
    },
    /// Loads modules into a node's kernel and changes its settings until the next boot; files that it reads
    /// then keep them.
    SetKernel {
        /// The node.
        node: NodeName,
        /// The modules that it should have loaded, and its settings.
        kernel: DesiredKernel,
    },
    /// Deletes files and directories with all their contents.
    RemovePaths {
        /// The node.
        node: NodeName,
        /// The paths.
        paths: BTreeSet<FilePath>,
    },
    /// Renames a directory, with its contents, to a name beside it that says what it was and when.
    MoveAside {
        /// The node.
        node: NodeName,
        /// The directory.
        path: FilePath,
        /// Its new name.
        to: FilePath,
        /// What must be true immediately before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        guards: Vec<Guard>,
    },
    /// Takes a snapshot of a node's own member of etcd, and reads it back from the disk.
    SaveSnapshot {
        /// The node.
        node: NodeName,
        /// Where it is stored, and how the member is asked. Its name gets the time at which it is taken.
        snapshot: Box<SnapshotWanted>,
    },
    /// Gives a node its own copy of a snapshot, and reads the copy back.
    StageSnapshot {
        /// The node.
        node: NodeName,
        /// The snapshot.
        snapshot: Box<ChosenSnapshot>,
    },
    /// Creates the data of a member from a node's copy of a snapshot, where there is no data.
    RestoreMember {
        /// The node.
        node: NodeName,
        /// From which snapshot, and as which member.
        restore: Box<MemberRestore>,
    },
    /// Creates and starts a missing container.
    RunContainer {
        /// The node.
        node: NodeName,
        /// The component.
        component: Component,
        /// Its spec.
        spec: Arc<ContainerSpec>,
        /// Arguments appended for the creation of its data; not compared afterwards.
        birth: Vec<Arc<str>>,
        /// Files that a former container wrote and this one may refuse: deleted before it starts.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        forgets: BTreeSet<FilePath>,
    },
    /// Replaces a container that differs by a new one.
    ReplaceContainer {
        /// The node.
        node: NodeName,
        /// The component.
        component: Component,
        /// The spec of the new one.
        spec: Arc<ContainerSpec>,
        /// Arguments appended for the creation of its data; not compared afterwards.
        birth: Vec<Arc<str>>,
        /// What must be true immediately before the old one stops.
        guards: Vec<Guard>,
        /// Files that the old one wrote and the new one refuses: deleted once the old one has stopped, before it is
        /// removed.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        forgets: BTreeSet<FilePath>,
    },
    /// Starts a container that is not running.
    StartContainer {
        /// The node.
        node: NodeName,
        /// The component.
        component: Component,
    },
    /// Stops and starts a container that runs but does not work.
    RestartContainer {
        /// The node.
        node: NodeName,
        /// The component.
        component: Component,
        /// Whether it is left alone if it works by then.
        when: RestartWhen,
        /// What must be true immediately before it stops.
        guards: Vec<Guard>,
    },
    /// Makes a container read its files again.
    ReloadContainer {
        /// The node.
        node: NodeName,
        /// The component.
        component: Component,
    },
    /// Stops and removes a container.
    RemoveContainer {
        /// The node.
        node: NodeName,
        /// The name of the container, which need not be that of a component.
        container: ContainerName,
        /// What must be true immediately before it stops.
        guards: Vec<Guard>,
    },
    /// Removes the containers of all pods of a node, in every runtime, after kubelet is removed.
    RemovePods {
        /// The node.
        node: NodeName,
        /// Kubelet's own directory, which has a directory for each pod of the node.
        #[serde(default)]
        kubelet: FilePath,
        /// The runtime whose pods stay: kubelet keeps running them. The host's network is not touched then.
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
    /// Removes a member from etcd.
    EtcdMemberRemove {
        /// The member's id.
        id: MemberId,
        /// Its peer address.
        peer_url: String,
        /// Nodes whose members can be asked.
        via: Vec<NodeName>,
        /// What must be true immediately before.
        guards: Vec<Guard>,
    },
    /// Marks a node as unschedulable, and as cordoned by windlass.
    Cordon {
        /// The node.
        node: NodeName,
        /// What must be true immediately before.
        guards: Vec<Guard>,
    },
    /// Evicts the pods of a node.
    Drain {
        /// The node.
        node: NodeName,
        /// The options of the drain.
        options: DrainOptions,
    },
    /// Makes a node that windlass cordoned schedulable again.
    Uncordon {
        /// The node.
        node: NodeName,
    },
    /// Sets labels and taints of a node object, removes those no longer desired, and records which are ours.
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
    /// Records objects as windlass' own and applies them one after the other, with the fields that windlass
    /// manages.
    ApplyObjects {
        /// What they are for.
        addon: AddonKind,
        /// The objects.
        objects: Vec<DesiredObject>,
    },
    /// Deletes objects that windlass recorded as its own, and their record.
    DeleteObjects {
        /// The objects, in this order.
        objects: Vec<ObjectRef>,
    },
}

/// The condition for restarting a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartWhen {
    /// It still does not work.
    StillSick,
    /// In any case: what it must do again it does only at its start.
    Always,
}

/// What becomes true in the ledger through a commit.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgerChange {
    /// Nodes to record, or to record again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<NodeName, LastNode>,
    /// Nodes to remove.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub forget: BTreeSet<NodeName>,
    /// Certificates to remove.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub forget_certs: BTreeSet<CertName>,
    /// The founding settings of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foundation: Option<Foundation>,
    /// Whether the commit records that the cluster has been live.
    pub born: bool,
    /// The members that the first start of etcd names from now on.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub first_members: BTreeSet<NodeName>,
    /// The restore that begins, or that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreNote>,
    /// With what all Secrets are stored from now on, or that this is unknown from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Box<StoredSecrets>>,
}

impl LedgerChange {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The change of a node object.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObjectChange {
    /// Labels to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Labels to remove.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub labels_gone: BTreeSet<Arc<str>>,
    /// Taints to set.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub taints: BTreeSet<Taint>,
    /// Taints to remove.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub taints_gone: BTreeSet<Taint>,
    /// All that windlass manages afterwards.
    pub owned: Owned,
}

/// Something that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// This container is healthy.
    Container {
        /// The node.
        node: NodeName,
        /// The component.
        component: Component,
    },
    /// This node's member of etcd is healthy and there is a majority.
    EtcdMember {
        /// The node of the member.
        node: NodeName,
    },
    /// This node's member of etcd has snapshotted its log since its container was created.
    EtcdLogSnapshot {
        /// The node of the member.
        node: NodeName,
    },
    /// This node's object exists and is ready.
    NodeReady {
        /// The node.
        node: NodeName,
        /// Whether there must be a pod network.
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

/// Whether a node must have a pod network to count as ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PodNetwork {
    /// It must.
    #[default]
    Required,
    /// No node of the cluster has one yet, and windlass deploys none: the operator needs the cluster to
    /// deploy one.
    NotYet,
}

impl PodNetwork {
    /// Whether there must be one.
    pub fn is_required(&self) -> bool {
        *self == Self::Required
    }
}

/// What must be true immediately before a disruption; it is checked again then, since the plan is older.
///
/// A guard that is not satisfied fails its step, and nothing changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// A majority of etcd's voters is healthy without this node's member, unless that one is unhealthy
    /// itself.
    ///
    /// Leadership is moved off the member first. A cluster of one or two voters has no majority without one
    /// and is allowed to go on: there is no other way to change it.
    EtcdMajorityWithout {
        /// The node of the member.
        node: NodeName,
        /// Nodes whose members can be asked.
        via: Vec<NodeName>,
    },
    /// Fewer than `limit` of the other API servers are unavailable, and at least one is healthy, unless this
    /// node's own is unhealthy itself.
    ApiServersBeside {
        /// The node.
        node: NodeName,
        /// The other nodes with an API server.
        others: Vec<NodeName>,
        /// How many API servers may be unavailable at once.
        limit: usize,
    },
    /// Fewer than `limit` of these nodes are unavailable, not counting this one.
    Window {
        /// The node that is about to be disrupted.
        node: NodeName,
        /// The nodes that share the limit.
        among: Arc<BTreeSet<NodeName>>,
        /// Those of them that have never existed: without an object they do not count as unavailable.
        new: Arc<BTreeSet<NodeName>>,
        /// How many of them may be unavailable at once.
        limit: usize,
    },
    /// The member of this node does not work and cannot recover: its node and the other members confirm it
    /// again.
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
            | Self::DropRoots
            | Self::RewriteSecrets { .. }
            | Self::EtcdMemberRemove { .. }
            | Self::ApplyObjects { .. }
            | Self::DeleteObjects { .. } => None,
            Self::PullImage { node, .. }
            | Self::WriteFiles { node, .. }
            | Self::SetKernel { node, .. }
            | Self::RemovePaths { node, .. }
            | Self::MoveAside { node, .. }
            | Self::SaveSnapshot { node, .. }
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

    /// What is checked again right before it disturbs something, if it does.
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

    /// The same, mutable.
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

    /// The files and directories that it deletes, if it may delete any.
    pub fn deletes(&self) -> Option<&BTreeSet<FilePath>> {
        match self {
            Self::RemovePaths { paths, .. }
            | Self::RunContainer { forgets: paths, .. }
            | Self::ReplaceContainer { forgets: paths, .. } => Some(paths),
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
            Self::RewriteSecrets { .. } => "rewrite",
            Self::PullImage { .. } => "pull",
            Self::WriteFiles { .. } => "write",
            Self::SetKernel { .. } => "set",
            Self::RemovePaths { .. } | Self::RemoveContainer { .. } | Self::RemovePods { .. } => "remove",
            Self::MoveAside { .. } => "move aside",
            Self::SaveSnapshot { .. } => "save",
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
            Self::DeleteNodeObject { .. } | Self::DeleteObjects { .. } | Self::DropRoots => "delete",
            Self::ApplyObjects { .. } => "apply",
        }
    }

    /// What it does to the world, as the first character of its line in a plan.
    pub fn sign(&self) -> Sign {
        match self {
            Self::MintCerts { .. }
            | Self::PullImage { .. }
            | Self::SaveSnapshot { .. }
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
            | Self::DropRoots
            | Self::ForgetLedger => Sign::Removes,
            Self::AwaitHealthy { .. } => Sign::Waits,
            Self::CommitLedger { .. }
            | Self::KeepRoots
            | Self::RewriteSecrets { .. }
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
