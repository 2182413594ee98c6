//! The plan: an acyclic graph of typed steps, with a reason on every step and every edge.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::blueprint::Content;
use crate::names::{NodeName, SpecPath};
use crate::reason::Reason;

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
