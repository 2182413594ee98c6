//! The plan: an acyclic graph of typed steps, with a reason on every step and every edge.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::blueprint::Content;
use crate::container::Difference;
use crate::inventory::ContainerState;
use crate::names::{FilePath, ImageRef, NodeName, Role, SpecPath};
use crate::objects::{FieldDifference, ObjectRef, PodsReady};
use crate::pod_runtime::PodRuntime;
use crate::time::Timestamp;
use crate::version::KubernetesVersion;

/// What is to be done, in what order, and why. Steps are sorted by their ids, edges by their ends.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// The order among them.
    pub edges: Vec<Edge>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its address, unique in the plan.
    pub id: StepId,
    /// What it does.
    pub action: Action,
    /// Why; never empty.
    pub reasons: Vec<Reason>,
    /// The places in cluster.yml that cause it; empty if the state of the machines does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<SpecPath>,
}

impl Step {
    /// Whether it only serves other steps, or records what they did: it waits, pulls an image, or writes the
    /// ledger.
    pub fn only_supports(&self) -> bool {
        match &self.action {
            Action::AwaitHealthy { .. }
            | Action::PullImage { .. }
            | Action::CommitLedger { .. }
            | Action::KeepRoots => true,
            Action::WriteFiles { files, .. } => files.values().all(|file| file.content == Content::Ledger),
            _ => false,
        }
    }
}

/// A step's address, such as `node-2/etcd/replace`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(Arc<str>);

impl StepId {
    /// The address from its parts: the node (or `cluster`), the subject and the verb.
    pub fn new(place: impl fmt::Display, subject: impl fmt::Display, verb: &str) -> Self {
        Self(format!("{place}/{subject}/{verb}").into())
    }

    /// The address of the step that does this there: its verb is the last word of the action's.
    pub fn of(place: impl fmt::Display, subject: impl fmt::Display, action: &Action) -> Self {
        let verb = action.verb();
        Self::new(place, subject, verb.rsplit(' ').next().unwrap_or(verb))
    }

    /// The text of the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The node, or `cluster`.
    pub fn place(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(place, _)| place)
    }

    /// The subject of the step, without the verb.
    pub fn subject(&self) -> &str {
        let rest = self.0.split_once('/').map_or(&*self.0, |(_, rest)| rest);
        rest.rsplit_once('/').map_or(rest, |(subject, _)| subject)
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One step must be done before another begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    /// The index of the earlier step.
    pub before: usize,
    /// The index of the later step.
    pub after: usize,
    /// The reason.
    pub because: Because,
}

/// Why one step comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// The later one uses what the earlier one makes.
    Needs,
    /// What is broken is repaired before anything healthy is disturbed.
    HealFirst,
    /// What the earlier one waits for must be healthy first.
    Gate,
    /// Members of etcd, and API servers, are disturbed one at a time.
    OneAtATime,
    /// No more nodes are unavailable at once than the limit allows.
    Window,
    /// What the earlier one writes must be stored before anything derived from it leaves this machine.
    DurableFirst,
    /// etcd before the control plane, the control plane before the nodes: Kubernetes' version skew policy
    /// (<https://kubernetes.io/releases/version-skew-policy/>).
    Skew,
    /// What is no longer desired is removed when its replacement works.
    RemoveLast,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Needs => "needs it",
            Self::HealFirst => "repair before disturbing",
            Self::Gate => "must be healthy first",
            Self::OneAtATime => "one at a time",
            Self::Window => "limit of unavailable nodes",
            Self::DurableFirst => "must be stored first",
            Self::Skew => "etcd, then control plane, then nodes",
            Self::RemoveLast => "removed last",
        })
    }
}

/// Why a step is in the plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Reason {
    /// It is desired and missing.
    Missing,
    /// A running container differs from the desired one.
    Differs {
        /// The difference.
        difference: Difference,
    },
    /// A container is not running.
    NotRunning {
        /// Its state in Docker.
        state: ContainerState,
    },
    /// A container runs but does not work.
    Unhealthy,
    /// A container was started moments ago and is not healthy yet.
    Starting,
    /// The pods are to be run by another runtime.
    PodRuntime {
        /// What runs them.
        from: PodRuntime,
        /// What is to run them.
        to: PodRuntime,
    },
    /// The log of a member of etcd may begin with what 3.5 wrote, which the next version cannot read.
    LogOfEtcd35,
    /// Somebody else made a container with the name of a component.
    MadeByOther,
    /// A file has other content, mode or owner than desired, or is missing.
    FileDiffers {
        /// The file.
        path: FilePath,
        /// The difference.
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
    /// It exists and is no longer desired.
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
    /// A certificate does not exist.
    CertMissing,
    /// A certificate differs from the desired one.
    CertDiffers {
        /// The difference in words: `SAN lb.example.org added`.
        how: String,
    },
    /// A certificate expires soon, or has expired.
    CertExpires {
        /// Its expiry.
        on: Timestamp,
    },
    /// A certificate was signed by a CA that is being replaced, or is not the present one.
    IssuerChanged,
    /// The operator requested it.
    Requested,
    /// etcd is restored from a snapshot.
    Restored {
        /// The name of the snapshot.
        snapshot: String,
        /// Its revision.
        revision: u64,
        /// When it was taken.
        taken_at: Timestamp,
    },
    /// The ledger lacks what this `up` makes true.
    LedgerBehind {
        /// What, in words.
        what: String,
    },
    /// The node object lacks a label or taint, or has one too many.
    ObjectDiffers {
        /// What, in words: `label disk=ssd added`.
        what: String,
    },
    /// etcd has no member for this node yet.
    MemberMissing,
    /// The member has lost its data, so it cannot recover as itself.
    MemberLostData,
    /// The member does not start with the data that it has, while others with the same arguments do.
    MemberDead,
    /// The member joins as a learner first, and becomes a voter when it has caught up.
    MemberLearns,
    /// etcd's data on this node belongs to a removed member.
    DataOfFormerMember,
    /// The first start of the whole cluster.
    FirstStart,
    /// Kubernetes is upgraded from one version to another.
    Upgrade {
        /// The version seen.
        from: KubernetesVersion,
        /// The version desired.
        to: KubernetesVersion,
    },
    /// An earlier run cordoned the node and did not uncordon it.
    LeftCordoned,
    /// A container that this plan creates needs it.
    ImageNeeded {
        /// The image.
        image: ImageRef,
    },
    /// The plan itself has cordoned the node, and is done with it.
    DoneWith,
    /// What an earlier step disturbed must be healthy again.
    Disturbed,
    /// The node's object must exist and be ready.
    NotReady,
    /// The kubelet runs, and its node has no object.
    Unregistered,
    /// An object in the cluster is not as desired.
    Object {
        /// The object.
        object: ObjectRef,
        /// The difference.
        #[serde(flatten)]
        how: ObjectDifference,
    },
}

/// How an object in the cluster differs from the desired one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum ObjectDifference {
    /// It does not exist.
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
    /// It exists as desired, and has no mark of windlass, or an old one.
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
    /// It does not exist.
    Missing,
    /// Its content.
    Content,
    /// Its permission bits.
    Mode,
    /// Its owner.
    Owner,
    /// This plan changes its content.
    Renewed,
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
            Self::CertDiffers { how } => f.write_str(how),
            Self::CertExpires { on } => write!(f, "expires {on}"),
            Self::IssuerChanged => f.write_str("signed by another CA than the current one"),
            Self::Requested => f.write_str("requested"),
            Self::Restored { snapshot, revision, taken_at } => {
                write!(f, "etcd goes back to {snapshot}, revision {revision}, taken {taken_at}")
            }
            Self::LedgerBehind { what } | Self::ObjectDiffers { what } => f.write_str(what),
            Self::MemberMissing => f.write_str("etcd has no member for this node"),
            Self::MemberLostData => f.write_str("the member's data is gone"),
            Self::MemberDead => f.write_str("the member does not start with its data"),
            Self::MemberLearns => f.write_str("joined as a learner, becomes a voter when it has caught up"),
            Self::DataOfFormerMember => f.write_str("data of a former member"),
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

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether it is the same as an earlier plan, except for the time in the names under which data is kept
    /// aside.
    pub fn repeats(&self, earlier: &Self) -> bool {
        let is_same = |(one, other): (&Step, &Step)| {
            one == other
                || match (&one.action, &other.action) {
                    (
                        Action::MoveAside { node, path, to: _, guards },
                        Action::MoveAside {
                            node: earlier_node,
                            path: earlier_path,
                            to: _,
                            guards: earlier_guards,
                        },
                    ) => {
                        (node, path, guards) == (earlier_node, earlier_path, earlier_guards)
                            && (&one.id, &one.reasons, &one.origins)
                                == (&other.id, &other.reasons, &other.origins)
                    }
                    _ => false,
                }
        };
        self.edges == earlier.edges
            && self.steps.len() == earlier.steps.len()
            && self.steps.iter().zip(&earlier.steps).all(is_same)
    }

    /// The step of this address.
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id.as_str() == id)
    }

    /// For each step, the steps that it waits for, with the reasons.
    pub fn predecessors(&self) -> Vec<Vec<(usize, Because)>> {
        let mut before = vec![Vec::new(); self.steps.len()];
        for edge in &self.edges {
            before[edge.after].push((edge.before, edge.because));
        }
        before
    }

    /// The indexes of all steps, each after those that it waits for; otherwise in the order of ids.
    ///
    /// Returns fewer than all steps if the edges close a cycle.
    pub fn in_order(&self) -> Vec<usize> {
        let mut waiting = vec![0_usize; self.steps.len()];
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); self.steps.len()];
        for edge in &self.edges {
            waiting[edge.after] += 1;
            after[edge.before].push(edge.after);
        }
        let mut ready: BTreeSet<usize> = (0..self.steps.len()).filter(|&i| waiting[i] == 0).collect();
        let mut order = Vec::with_capacity(self.steps.len());
        while let Some(next) = ready.pop_first() {
            order.push(next);
            for &later in &after[next] {
                waiting[later] -= 1;
                if waiting[later] == 0 {
                    ready.insert(later);
                }
            }
        }
        order
    }

    /// How many steps act on each node.
    pub fn steps_by_node(&self) -> BTreeMap<&NodeName, usize> {
        let mut counts = BTreeMap::new();
        for node in self.steps.iter().filter_map(|step| step.action.node()) {
            *counts.entry(node).or_default() += 1;
        }
        counts
    }
}
