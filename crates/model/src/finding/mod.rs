//! What the planner reports, announces, holds or refuses: a weight, a subject and a cause, each as data.
//!
//! ```text
//! weight   refused · held · next · notice      the consequence
//! about    cluster · etcd · node-1/kubelet …   the subject
//! cause    a word and its fields               the reason; only [`words`] and [`remedies`] turn it into text
//! ```

mod cause;
mod etcd_data;
mod foreign;
mod gone;
mod kubelet;
mod machine;
mod remedies;
mod restore;
mod words;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::cause::{
    Cause, ChainWaits, KeptByKubernetes, Note, Refusal, RestartObstacle, Waiting, WaitsFor,
};
pub use self::foreign::{Foreign, MadeBy};
pub use self::gone::NotGone;
pub use self::machine::{ClockOf, MachineFault};
pub use self::restore::RestoreRefused;
use crate::action::Action;
use crate::ciphers::ENCRYPTION_FILE;
use crate::component::Component;
use crate::inventory::MemberId;
use crate::names::{CertName, FilePath, NodeName, SpecPath};
use crate::objects::AddonKind;
use crate::plan::{Plan, Step};
use crate::reason::Reason;
use crate::version::KubernetesVersion;

/// A plan together with the findings that came with it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Planning {
    /// What is to be done.
    pub plan: Plan,
    /// What was reported, announced, held or refused; sorted.
    pub findings: Vec<Finding>,
}

/// Something that the planner found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Its consequence.
    pub weight: Weight,
    /// Its subject.
    pub about: Subject,
    /// Its cause.
    #[serde(flatten)]
    pub cause: Cause,
    /// The place in cluster.yml that causes it, if there is one.
    pub origin: Option<SpecPath>,
}

/// The weight of a finding; the order is that of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Nothing at all is done until a person changes cluster.yml or the hosts.
    Refused,
    /// Something desired is not planned: a person must act first, or something outside must change.
    Held,
    /// Something desired is not in this plan: this same `up` does it by itself in a later round.
    Next,
    /// Worth knowing; nothing waits for it.
    Notice,
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Refused => "refused",
            Self::Held => "held",
            Self::Next => "next",
            Self::Notice => "notice",
        })
    }
}

/// The subject of a finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The whole cluster.
    Cluster,
    /// A link of a chain of upgrades, by its version of Kubernetes.
    Link(KubernetesVersion),
    /// The ledger.
    Ledger,
    /// The Secrets in etcd.
    Secrets,
    /// etcd as a whole.
    Etcd,
    /// The snapshots of etcd.
    Snapshots,
    /// Everything that follows the restore of etcd.
    Restored,
    /// The objects of the nodes in Kubernetes.
    NodeObjects,
    /// The objects of all add-ons.
    Addons,
    /// The objects of one add-on.
    Addon(AddonKind),
    /// A certificate or CA.
    Certificate(CertName),
    /// A member of etcd that is on no known node.
    Member(MemberId),
    /// A node.
    Node(NodeName),
    /// A container of a node.
    Container(NodeName, Component),
    /// The API server, controller manager and scheduler of a node.
    ControlPlane(NodeName),
    /// etcd's data on a node.
    EtcdData(NodeName),
}

impl Subject {
    /// The node, if it is about one.
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Cluster
            | Self::Link(_)
            | Self::Ledger
            | Self::Secrets
            | Self::Etcd
            | Self::Snapshots
            | Self::Restored
            | Self::NodeObjects
            | Self::Addons
            | Self::Addon(_)
            | Self::Certificate(_)
            | Self::Member(_) => None,
            Self::Node(node) | Self::Container(node, _) | Self::ControlPlane(node) | Self::EtcdData(node) => {
                Some(node)
            }
        }
    }

    /// Whether a step concerns this subject.
    pub fn covers(&self, step: &Step) -> bool {
        let (place, subject) = (step.id.place(), step.id.subject());
        match self {
            Self::Cluster | Self::Ledger | Self::Snapshots | Self::Certificate(_) => false,
            Self::Secrets => changes_how_secrets_are_stored(step),
            Self::Link(_) => comes_with_a_version(&step.action),
            Self::Restored => true,
            Self::NodeObjects => {
                // A kubelet registers its node at its start.
                matches!(step.action, Action::LabelNode { .. } | Action::DeleteObjects { .. })
                    || step.reasons.contains(&Reason::Unregistered)
            }
            Self::Addons => place == "cluster" && AddonKind::of_word(subject).is_some(),
            Self::Addon(addon) => place == "cluster" && subject == addon.as_str(),
            Self::Etcd => subject.starts_with("etcd") && subject != Component::EtcdRollingSnapshots.as_str(),
            Self::Member(id) => place == "cluster" && subject == format!("etcd-{id}"),
            Self::Node(node) => place == node.as_str(),
            Self::Container(node, component) => {
                let is_of_component = match component {
                    // The keys of a member that leaves go with it.
                    Component::Etcd => subject.starts_with("etcd") || removes_keys_of_etcd(&step.action),
                    // It registers its node, which gets its labels and taints then.
                    Component::Kubelet => {
                        subject == component.as_str() || matches!(step.action, Action::LabelNode { .. })
                    }
                    _ => subject == component.as_str(),
                };
                place == node.as_str() && is_of_component
            }
            Self::ControlPlane(node) => {
                place == node.as_str() && Component::named(subject).is_some_and(Component::is_control_plane)
            }
            Self::EtcdData(node) => place == node.as_str() && subject == "etcd-data",
        }
    }
}

/// Whether a step rewrites Secrets, or changes by which keys an API server reads and writes them.
fn changes_how_secrets_are_stored(step: &Step) -> bool {
    let is_configuration = |path: &FilePath| path.as_str().ends_with(ENCRYPTION_FILE);
    match &step.action {
        Action::RewriteSecrets { .. } => true,
        Action::WriteFiles { files, .. } => files.keys().all(is_configuration),
        Action::RemovePaths { paths, .. } => paths.iter().all(is_configuration),
        _ => step.id.subject() == Component::KubeApiserver.as_str(),
    }
}

fn removes_keys_of_etcd(action: &Action) -> bool {
    let Action::RemovePaths { paths, .. } = action else { return false };
    paths.iter().all(|path| path.as_str().contains("/kube-etcd"))
}

/// Whether a step of this kind may follow from another version of Kubernetes and etcd. Such steps remove and
/// move nothing.
fn comes_with_a_version(action: &Action) -> bool {
    match action {
        Action::CommitLedger { .. }
        | Action::PullImage { .. }
        | Action::SaveSnapshot { .. }
        | Action::WriteFiles { .. }
        | Action::SetKernel { .. }
        | Action::RunContainer { .. }
        | Action::ReplaceContainer { .. }
        | Action::StartContainer { .. }
        | Action::RestartContainer { .. }
        | Action::ReloadContainer { .. }
        | Action::AwaitHealthy { .. }
        | Action::Cordon { .. }
        | Action::Drain { .. }
        | Action::Uncordon { .. }
        | Action::LabelNode { .. }
        | Action::ApplyObjects { .. }
        | Action::KeepRoots => true,
        Action::MintCerts { .. }
        | Action::RemovePaths { .. }
        | Action::MoveAside { .. }
        | Action::RemoveContainer { .. }
        | Action::RemovePods { .. }
        | Action::EtcdMemberAdd { .. }
        | Action::EtcdMemberPromote { .. }
        | Action::EtcdMemberRemove { .. }
        | Action::DeleteNodeObject { .. }
        | Action::DeleteObjects { .. }
        | Action::StageSnapshot { .. }
        | Action::RestoreMember { .. }
        | Action::DropRoots
        | Action::RewriteSecrets { .. }
        | Action::ForgetLedger => false,
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("cluster"),
            Self::Link(version) => write!(f, "cluster/{version}"),
            Self::Ledger => f.write_str("cluster/ledger"),
            Self::Secrets => f.write_str("cluster/secrets"),
            Self::Etcd => f.write_str("cluster/etcd"),
            Self::Snapshots => f.write_str("cluster/snapshots"),
            Self::Restored => f.write_str("cluster/restored"),
            Self::NodeObjects => f.write_str("cluster/nodes"),
            Self::Addons => f.write_str("cluster/addons"),
            Self::Addon(addon) => write!(f, "cluster/{addon}"),
            Self::Certificate(cert) => write!(f, "cluster/{cert}"),
            Self::Member(id) => write!(f, "cluster/etcd-{id}"),
            Self::Node(node) => write!(f, "{node}"),
            Self::Container(node, component) => write!(f, "{node}/{component}"),
            Self::ControlPlane(node) => write!(f, "{node}/control-plane"),
            Self::EtcdData(node) => write!(f, "{node}/etcd-data"),
        }
    }
}

impl Finding {
    /// The node, if it is about one.
    pub fn node(&self) -> Option<&NodeName> {
        self.about.node()
    }

    /// The node on which nothing at all is planned because of this.
    pub fn holds_all_of(&self) -> Option<&NodeName> {
        let holds_all = self.weight == Weight::Held
            && matches!(
                self.cause,
                Cause::Machine(_)
                    | Cause::Waiting(
                        Waiting::NodeUnreachable { .. }
                            | Waiting::NodeUnreachableForRemoval { .. }
                            | Waiting::NotThisClusters { .. }
                    )
            );
        self.node().filter(|_| holds_all)
    }

    /// The cause in words, on one line.
    pub fn what(&self) -> String {
        words::what(&self.cause)
    }

    /// What it waits for, or what to do about it, on one line.
    pub fn help(&self) -> String {
        remedies::help(self)
    }
}

impl Planning {
    /// Whether anything was refused.
    pub fn is_refused(&self) -> bool {
        self.has(Weight::Refused)
    }

    /// Whether anything is held back.
    pub fn is_held(&self) -> bool {
        self.has(Weight::Held)
    }

    /// Whether a step of a later round is announced.
    pub fn announces(&self, step: &Step) -> bool {
        let covers = |step: &Step| {
            self.findings.iter().any(|finding| finding.weight == Weight::Next && finding.about.covers(step))
        };
        let alone = |node: &NodeName, path: &FilePath| Step {
            action: Action::RemovePaths { node: node.clone(), paths: [path.clone()].into() },
            ..step.clone()
        };
        match &step.action {
            // One step removes the files of a node that nobody needs any more, for whatever reason.
            Action::RemovePaths { node, paths } => {
                covers(step) || paths.iter().all(|path| covers(&alone(node, path)))
            }
            _ => covers(step),
        }
    }

    fn has(&self, weight: Weight) -> bool {
        self.findings.iter().any(|finding| finding.weight == weight)
    }
}
