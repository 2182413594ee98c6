//! What the planner noticed, held back or refuses, each with its reason.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::{NodeName, SpecPath};
use crate::plan::Plan;

/// A plan together with what was noticed while making it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Planning {
    /// What is to be done.
    pub plan: Plan,
    /// What was noticed, held back or refused; sorted.
    pub findings: Vec<Finding>,
}

/// Something that the planner noticed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// What it is about: a node's name, `node-1/etcd`, `cluster`.
    pub subject: String,
    /// The node, if it is about one.
    pub node: Option<NodeName>,
    /// What is the matter.
    pub what: String,
    /// What it waits for or what to do.
    pub help: String,
    /// The place in cluster.yml, if it stems from there.
    pub origin: Option<SpecPath>,
}

/// The weight of a finding; the order is that of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Nothing is done until cluster.yml or the world is mended by a person.
    Refused,
    /// Something wished is not planned now; it will be when what it waits for has come.
    Held,
    /// Worth knowing; nothing is held back by it.
    Notice,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Refused => "refused",
            Self::Held => "held",
            Self::Notice => "notice",
        })
    }
}

impl Planning {
    /// Whether anything was refused.
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.kind == FindingKind::Refused)
    }

    /// Whether anything is held back.
    pub fn is_held(&self) -> bool {
        self.findings.iter().any(|finding| finding.kind == FindingKind::Held)
    }
}
