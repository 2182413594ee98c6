//! Why a step is in a plan: data, and its words.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::blueprint::Taint;
use crate::certificate::San;
use crate::container::Difference;
use crate::inventory::ContainerState;
use crate::names::{FilePath, ImageRef, Role};
use crate::objects::{FieldDifference, ObjectRef, PodsReady};
use crate::pod_runtime::PodRuntime;
use crate::time::Timestamp;
use crate::version::KubernetesVersion;
use crate::words::counted;

/// Why a step is there.
///
/// A large plan has tens of thousands of these: rare variants keep what is large in a box.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Reason {
    /// The thing is desired and not there.
    Missing,
    /// A running container differs from the desired one.
    Differs {
        /// In what.
        difference: Difference,
    },
    /// A container is not running.
    NotRunning {
        /// What Docker says of it.
        state: ContainerState,
    },
    /// A container runs but does not do its work.
    Unhealthy,
    /// A container was started moments ago and is not healthy yet.
    Starting,
    /// The containers of pods are to be run by another runtime.
    PodRuntime {
        /// What runs them.
        from: PodRuntime,
        /// What is to run them.
        to: PodRuntime,
    },
    /// The log of a member of etcd may begin with what 3.5 wrote, which the next version cannot read.
    LogOfEtcd35,
    /// Kubernetes changes to another minor version after this.
    BeforeKubernetes {
        /// The oldest version that runs.
        from: KubernetesVersion,
        /// The version in cluster.yml.
        to: KubernetesVersion,
    },
    /// etcd changes to another minor version after this.
    BeforeEtcd {
        /// The oldest version that runs.
        from: Arc<str>,
        /// The desired version.
        to: Arc<str>,
    },
    /// A container with the name of a component was made by somebody else.
    MadeByOther,
    /// A file has other content, mode or owner than desired, or is missing.
    FileDiffers {
        /// The file.
        path: FilePath,
        /// How.
        how: FileDifference,
    },
    /// A setting of the kernel has another value than desired.
    SettingDiffers {
        /// Its name, as `sysctl` has it.
        name: Arc<str>,
        /// The value seen.
        from: Arc<str>,
        /// The value desired.
        to: Arc<str>,
    },
    /// A module of the kernel is not loaded.
    ModuleMissing {
        /// Its name.
        module: Arc<str>,
    },
    /// It is there and no longer desired.
    Unwanted,
    /// Its node lost the role that it belongs to.
    RoleLost {
        /// The role.
        role: Role,
    },
    /// Its node is no longer in cluster.yml.
    NodeLeft,
    /// The cluster is to be removed.
    Dismantled,
    /// A left-over of an interrupted step.
    LeftOver,
    /// A certificate is not there.
    CertMissing,
    /// A certificate differs from the desired one.
    CertDiffers {
        /// In what.
        #[serde(flatten)]
        difference: CertDifference,
    },
    /// A certificate expires soon, or has.
    CertExpires {
        /// When.
        on: Timestamp,
    },
    /// A certificate was signed by a CA that is being replaced, or is not the present one.
    IssuerChanged,
    /// The operator asked for it.
    Requested,
    /// etcd goes back to a snapshot.
    Restored {
        /// Which.
        snapshot: String,
        /// The revision that it holds.
        revision: u64,
        /// When it was taken.
        taken_at: Timestamp,
    },
    /// The ledger lacks what this `up` makes true.
    LedgerBehind {
        /// What.
        #[serde(flatten)]
        news: LedgerNews,
    },
    /// The node object lacks a label or taint, or has one too many.
    ObjectDiffers {
        /// Which.
        #[serde(flatten)]
        difference: NodeObjectDifference,
    },
    /// etcd has no member for this node yet.
    MemberMissing,
    /// The member has lost its data, so it cannot come back as itself.
    MemberLostData,
    /// The member does not come up with the data that it has, while others with the same arguments do.
    MemberDead,
    /// The member joins as a learner first, and votes when it has caught up.
    MemberLearns,
    /// etcd's data on this node belongs to a member that is no more.
    DataOfFormerMember,
    /// Secrets may be stored with a cipher that is no longer first, or that leaves.
    SecretsStoredOtherwise,
    /// The whole cluster's first start.
    FirstStart,
    /// Kubernetes moves from one version to another.
    Upgrade {
        /// The version seen.
        from: KubernetesVersion,
        /// The version desired.
        to: KubernetesVersion,
    },
    /// An earlier run cordoned the node and did not come to open it.
    LeftCordoned,
    /// A container that this plan makes needs it.
    ImageNeeded {
        /// The image.
        image: ImageRef,
    },
    /// The plan itself has cordoned the node, and is done with it.
    DoneWith,
    /// A disturbance before it must have healed.
    Disturbed,
    /// The node's object must be there and ready.
    NotReady,
    /// The kubelet runs, and its node has no object.
    Unregistered,
    /// An object in the cluster is not as desired.
    Object {
        /// Which.
        object: Box<ObjectRef>,
        /// How.
        #[serde(flatten)]
        how: Box<ObjectDifference>,
    },
}

/// How an object in the cluster is not as desired.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum ObjectDifference {
    /// It is not there.
    Missing,
    /// cluster.yml, or windlass, asks for another value than was applied.
    Changed {
        /// The field.
        #[serde(flatten)]
        field: FieldDifference,
    },
    /// Somebody else changed what windlass applied.
    Drifted {
        /// The field.
        #[serde(flatten)]
        field: FieldDifference,
    },
    /// It is there as desired, and bears no mark of windlass, or an old one.
    Unmarked,
    /// It is no longer desired.
    Unwanted,
    /// Not all of its pods are ready.
    PodsNotReady {
        /// How many are.
        pods: PodsReady,
    },
}

impl fmt::Display for ObjectDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Changed { field } => write!(f, "{field}"),
            Self::Drifted { field } => write!(f, "{field}, changed by somebody else"),
            Self::Unmarked => f.write_str("is marked as windlass' own"),
            Self::Unwanted => f.write_str("no longer needed"),
            Self::PodsNotReady { pods } => write!(f, "{pods}"),
        }
    }
}

/// How a file differs from the desired one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileDifference {
    /// It is not there.
    Missing,
    /// Its content.
    Content,
    /// Its permission bits.
    Mode,
    /// Its owner.
    Owner,
    /// Its content will be renewed by this plan.
    Renewed,
}

/// In what a certificate differs from the desired one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "difference")]
pub enum CertDifference {
    /// Its subject: common name or organizations.
    Subject {
        /// The common name that it has.
        from: String,
        /// The common name that it is to have.
        to: String,
    },
    /// Another CA signs it.
    Issuer,
    /// What it may be used for.
    Usages,
    /// It lacks a name or an address.
    SanAdded {
        /// Which.
        san: San,
    },
    /// It bears a name or an address that is not desired.
    SanRemoved {
        /// Which.
        san: San,
    },
}

impl fmt::Display for CertDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject { from, to } => write!(f, "subject {from} → {to}"),
            Self::Issuer => f.write_str("issuer changed"),
            Self::Usages => f.write_str("usages changed"),
            Self::SanAdded { san } => write!(f, "SAN {san} added"),
            Self::SanRemoved { san } => write!(f, "SAN {san} removed"),
        }
    }
}

/// What the ledger, or a copy of it, does not hold yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "news")]
pub enum LedgerNews {
    /// Certificates that this plan makes.
    Certificates {
        /// How many.
        count: usize,
    },
    /// Nodes that are new to it, or have changed.
    Nodes {
        /// How many.
        count: usize,
    },
    /// Nodes on which nothing is left.
    NodesCleared {
        /// How many.
        count: usize,
    },
    /// Certificates that nothing needs any more.
    CertificatesGone {
        /// How many.
        count: usize,
    },
    /// What the cluster is founded on.
    Foundation,
    /// The members that the first start of etcd names.
    FirstMembers {
        /// How many.
        count: usize,
    },
    /// A restore of etcd has begun or ended.
    Restore {
        /// The snapshot.
        snapshot: String,
    },
    /// etcd has started for the first time.
    EtcdBorn,
    /// The API servers work on an etcd that is not of the nodes.
    ExternalEtcdUsed,
    /// Kubernetes keeps nothing of it.
    KeptMissing,
    /// What Kubernetes keeps of it is older.
    KeptOlder,
    /// What Kubernetes keeps of it is in clear.
    KeptInClear,
    /// With what all Secrets are stored.
    SecretsBy {
        /// The cipher, in words.
        cipher: String,
    },
    /// API servers begin to write Secrets with another cipher.
    SecretsMixed,
}

impl fmt::Display for LedgerNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificates { count: 1 } => f.write_str("1 new certificate with its key"),
            Self::Certificates { count } => write!(f, "{count} new certificates with their keys"),
            Self::Nodes { count } => write!(f, "{} new or changed", counted(*count, "node")),
            Self::NodesCleared { count } => write!(f, "{} cleared", counted(*count, "node")),
            Self::CertificatesGone { count } => {
                write!(f, "{} no longer needed", counted(*count, "certificate"))
            }
            Self::Foundation => f.write_str("the founding settings of the cluster"),
            Self::FirstMembers { count } => write!(f, "{} of etcd", counted(*count, "first member")),
            Self::Restore { snapshot } => write!(f, "etcd is restored from {snapshot}"),
            Self::EtcdBorn => f.write_str("etcd has started for the first time"),
            Self::ExternalEtcdUsed => f.write_str("the API servers work on the external etcd"),
            Self::KeptMissing => f.write_str("the Secret kube-system/windlass-ledger is missing"),
            Self::KeptOlder => f.write_str("the Secret kube-system/windlass-ledger is older"),
            Self::SecretsBy { cipher } => write!(f, "all Secrets are stored with {cipher}"),
            Self::SecretsMixed => f.write_str("Secrets are stored in several ways from now on"),
            Self::KeptInClear => f.write_str("the Secret kube-system/windlass-ledger holds keys in clear"),
        }
    }
}

/// What a node object lacks, or has too many.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "difference")]
pub enum NodeObjectDifference {
    /// It lacks a label, or has it with another value.
    LabelSet {
        /// Its key.
        key: Arc<str>,
        /// The value desired.
        value: Arc<str>,
    },
    /// It has a label that windlass set and that is no longer desired.
    LabelRemoved {
        /// Its key.
        key: Arc<str>,
    },
    /// It lacks a taint.
    TaintSet {
        /// Which.
        taint: Taint,
    },
    /// It has a taint that windlass set and that is no longer desired.
    TaintRemoved {
        /// Which.
        taint: Taint,
    },
    /// The annotation by which windlass knows its own labels and taints is old.
    Annotation,
}

impl fmt::Display for NodeObjectDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LabelSet { key, value } => write!(f, "label {key}={value} set"),
            Self::LabelRemoved { key } => write!(f, "label {key} removed"),
            Self::TaintSet { taint } => write!(f, "taint {taint} set"),
            Self::TaintRemoved { taint } => write!(f, "taint {taint} removed"),
            Self::Annotation => f.write_str("windlass' annotation of its labels and taints renewed"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Differs { difference } => write!(f, "{difference}"),
            Self::NotRunning { state } => write!(f, "{state}"),
            Self::Unhealthy => f.write_str("running but unhealthy"),
            Self::Starting => f.write_str("not healthy yet"),
            Self::PodRuntime { from, to } => write!(f, "pods run by {from} → {to}"),
            Self::LogOfEtcd35 => f.write_str("its log may hold what etcd 3.5 wrote, which 3.7 cannot read"),
            Self::BeforeKubernetes { from, to } => write!(f, "before Kubernetes {from} → {to}"),
            Self::BeforeEtcd { from, to } => write!(f, "before etcd {from} → {to}"),
            Self::MadeByOther => f.write_str("not created by windlass"),
            Self::FileDiffers { path, how } => match how {
                FileDifference::Missing => write!(f, "{path} missing"),
                FileDifference::Content => write!(f, "{path} differs in content"),
                FileDifference::Mode => write!(f, "{path} differs in mode"),
                FileDifference::Owner => write!(f, "{path} differs in owner"),
                FileDifference::Renewed => write!(f, "{path} is renewed"),
            },
            Self::SettingDiffers { name, from, to } => write!(f, "{name} {from} → {to}"),
            Self::ModuleMissing { module } => write!(f, "module {module} is not loaded"),
            Self::Unwanted => f.write_str("no longer needed"),
            Self::RoleLost { role } => write!(f, "the node is no longer {role}"),
            Self::NodeLeft => f.write_str("the node is no longer in cluster.yml"),
            Self::Dismantled => f.write_str("the cluster is removed"),
            Self::LeftOver => f.write_str("left over from an interrupted run"),
            Self::CertMissing => f.write_str("does not exist yet"),
            Self::CertDiffers { difference } => write!(f, "{difference}"),
            Self::CertExpires { on } => write!(f, "expires {on}"),
            Self::IssuerChanged => f.write_str("signed by another CA than the current one"),
            Self::Requested => f.write_str("requested"),
            Self::Restored { snapshot, revision, taken_at } => {
                write!(f, "etcd goes back to {snapshot}, revision {revision}, taken {taken_at}")
            }
            Self::LedgerBehind { news } => write!(f, "{news}"),
            Self::ObjectDiffers { difference } => write!(f, "{difference}"),
            Self::MemberMissing => f.write_str("etcd has no member for this node"),
            Self::MemberLostData => f.write_str("the member's data is gone"),
            Self::MemberDead => f.write_str("the member does not start with its data"),
            Self::MemberLearns => f.write_str("joined as a learner, becomes a voter when it has caught up"),
            Self::DataOfFormerMember => f.write_str("data of a former member"),
            Self::SecretsStoredOtherwise => f.write_str("some may be stored in another way"),
            Self::FirstStart => f.write_str("first start of the cluster"),
            Self::Upgrade { from, to } => write!(f, "upgrade {from} → {to}"),
            Self::LeftCordoned => f.write_str("still cordoned by an earlier run"),
            Self::ImageNeeded { image } => write!(f, "{image} is not on the node"),
            Self::DoneWith => f.write_str("cordoned by this plan, which has finished with it"),
            Self::Disturbed => f.write_str("must be healthy before the plan continues"),
            Self::NotReady => f.write_str("not ready yet"),
            Self::Unregistered => f.write_str("the node has no object in Kubernetes"),
            Self::Object { object, how } => write!(f, "{object}: {how}"),
        }
    }
}
