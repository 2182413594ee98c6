//! What the planner noticed, announces, holds back or refuses: a weight, a subject and a cause, each as data.
//!
//! ```text
//! weight   refused · held · next · notice      what becomes of it
//! about    cluster · etcd · node-1/kubelet …   where
//! cause    a word and its fields               why; [`words`] alone turns it into text
//! ```

mod cause;
mod words;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::cause::{Cause, ClockOf, KeptByKubernetes, MachineFault, Note, Refusal, Waiting, WaitsFor};
use crate::component::Component;
use crate::inventory::MemberId;
use crate::names::{CertName, NodeName, SpecPath};
use crate::plan::{Plan, Step};

/// A plan together with what was noticed while making it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Planning {
    /// What is to be done.
    pub plan: Plan,
    /// What was noticed, announced, held back or refused; sorted.
    pub findings: Vec<Finding>,
}

/// Something that the planner noticed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// What becomes of it.
    pub weight: Weight,
    /// What it is about.
    pub about: Subject,
    /// What the matter is.
    #[serde(flatten)]
    pub cause: Cause,
    /// The place in cluster.yml, if it stems from there.
    pub origin: Option<SpecPath>,
}

/// The weight of a finding; the order is that of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Nothing at all is done until a person changes cluster.yml or the hosts.
    Refused,
    /// Something desired is not planned: it waits for a person or for the world.
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

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The whole cluster.
    Cluster,
    /// The ledger.
    Ledger,
    /// The Secrets in etcd.
    Secrets,
    /// etcd as a whole.
    Etcd,
    /// The snapshots of etcd.
    Snapshots,
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
            | Self::Ledger
            | Self::Secrets
            | Self::Etcd
            | Self::Snapshots
            | Self::Certificate(_)
            | Self::Member(_) => None,
            Self::Node(node) | Self::Container(node, _) | Self::ControlPlane(node) | Self::EtcdData(node) => {
                Some(node)
            }
        }
    }

    /// Whether a step is on this subject.
    pub fn covers(&self, step: &Step) -> bool {
        let (place, subject) = (step.id.place(), step.id.subject());
        match self {
            Self::Cluster | Self::Ledger | Self::Secrets | Self::Snapshots | Self::Certificate(_) => false,
            Self::Etcd => subject.starts_with("etcd") && subject != Component::EtcdRollingSnapshots.as_str(),
            Self::Member(id) => place == "cluster" && subject == format!("etcd-{id}"),
            Self::Node(node) => place == node.as_str(),
            Self::Container(node, component) => {
                place == node.as_str()
                    && (subject == component.as_str()
                        || (*component == Component::Etcd && subject.starts_with("etcd")))
            }
            Self::ControlPlane(node) => {
                let of_control_plane =
                    [Component::KubeApiserver, Component::KubeControllerManager, Component::KubeScheduler];
                place == node.as_str()
                    && of_control_plane.into_iter().any(|component| component.as_str() == subject)
            }
            Self::EtcdData(node) => place == node.as_str() && subject == "etcd-data",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("cluster"),
            Self::Ledger => f.write_str("cluster/ledger"),
            Self::Secrets => f.write_str("cluster/secrets"),
            Self::Etcd => f.write_str("cluster/etcd"),
            Self::Snapshots => f.write_str("cluster/snapshots"),
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
                            | Waiting::OtherClustersNode
                    )
            );
        self.node().filter(|_| holds_all)
    }

    /// What is the matter, in one line.
    pub fn what(&self) -> String {
        words::what(&self.cause)
    }

    /// What it waits for, or what to do about it, in one line.
    pub fn help(&self) -> String {
        words::help(self)
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
        self.findings.iter().any(|finding| finding.weight == Weight::Next && finding.about.covers(step))
    }

    fn has(&self, weight: Weight) -> bool {
        self.findings.iter().any(|finding| finding.weight == weight)
    }
}
