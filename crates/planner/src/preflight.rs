//! What must be so on the machines before anything is changed on them: judged from their own reports.
//!
//! ```text
//! reports ─┬─▶ node by node     ports, disk, swap, architecture, addresses, Docker …   (machine.rs)
//!          └─▶ side by side     clocks, one machine under two names, equal names and ids   (machines.rs)
//!                   │
//!                   ▼
//!   finding: held    the node is planned for as if it were out of sight; the others go on
//!   finding: notice  unwise, and nothing waits for it
//!   finding: refused a first start that could not have a majority: nothing is planned at all
//! ```
//!
//! A node on which windlass has made nothing yet is judged strictly. On one that already works only that holds which
//! keeps a container from being made: a live node is not taken out of the plan for what it has lived with so far.

mod machine;
mod machines;
mod ports;

use std::borrow::Cow;
use std::collections::BTreeSet;

use windlass_model::{
    Birth, Blueprint, ContainerWish, EtcdSeen, Finding, FindingKind, HostReport, Inventory, Maker, NodeFacts,
    NodeName, NodeSeen, NodeWish, Role, SpecPath,
};

/// What the reports of the machines mean for a plan.
#[derive(Debug, Default)]
pub(crate) struct Preflight {
    pub(crate) findings: Vec<Finding>,
    /// The nodes on which nothing may be planned.
    pub(crate) unfit: BTreeSet<NodeName>,
}

/// A wished node that told of itself.
#[derive(Clone, Copy, Debug)]
struct Examined<'a> {
    name: &'a NodeName,
    wish: &'a NodeWish,
    facts: &'a NodeFacts,
    report: &'a HostReport,
}

/// Something that is wrong with a machine.
#[derive(Debug)]
struct Wrong {
    /// Whether nothing can be planned there, or it is only unwise.
    weight: Weight,
    what: String,
    help: String,
    origin: Option<SpecPath>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Holds,
    Warns,
}

impl<'a> Examined<'a> {
    /// Whether windlass has made nothing there yet.
    fn is_new(&self) -> bool {
        !self.facts.containers.values().any(|container| container.maker == Maker::Windlass)
    }

    /// The wished containers that are still to be made.
    fn absent(&self) -> impl Iterator<Item = (windlass_model::Component, &'a ContainerWish)> {
        let facts = self.facts;
        let is_absent =
            move |component: &windlass_model::Component| !facts.containers.contains_key(component.as_str());
        let wished = self.wish.containers.iter();
        wished.filter(move |(component, _)| is_absent(component)).map(|(component, wish)| (*component, wish))
    }
}

impl Preflight {
    /// Judges all machines that told of themselves.
    pub(crate) fn of(wish: &Blueprint, seen: &Inventory) -> Self {
        let examined: Vec<Examined<'_>> = wish
            .nodes
            .iter()
            .filter_map(|(name, wish)| {
                let facts = seen.nodes.get(name)?.facts()?;
                Some(Examined { name, wish, facts, report: facts.report.as_ref()? })
            })
            .collect();
        let mut preflight = Self::default();
        let side_by_side = machines::judge(&examined, seen);
        for node in &examined {
            let wrongs = machine::judge(node, &wish.version);
            for wrong in wrongs {
                preflight.tell(node, wrong);
            }
        }
        for (node, wrong) in side_by_side {
            preflight.tell(&node, wrong);
        }
        preflight.refuse_first_start_without_majority(wish, seen);
        preflight
    }

    fn tell(&mut self, node: &Examined<'_>, wrong: Wrong) {
        let Wrong { weight, what, help, origin } = wrong;
        let (kind, help) = match weight {
            Weight::Holds => {
                self.unfit.insert(node.name.clone());
                (FindingKind::Held, format!("{help}; nothing is planned there until then"))
            }
            Weight::Warns => (FindingKind::Notice, help),
        };
        self.findings.push(Finding {
            kind,
            subject: node.name.to_string(),
            node: Some(node.name.clone()),
            what,
            help,
            origin: origin.or_else(|| Some(node.wish.origin.clone())),
        });
    }

    /// Members of etcd are told of all others at their first start: without a majority they would only wait.
    fn refuse_first_start_without_majority(&mut self, wish: &Blueprint, seen: &Inventory) {
        if self.unfit.is_empty() || seen.ledger.born == Birth::Born || seen.etcd != EtcdSeen::Silent {
            return;
        }
        let of_etcd: Vec<&NodeName> = wish.with_role(Role::Etcd).map(|(name, _)| name).collect();
        let in_sight = |name: &&&NodeName| seen.nodes.get(**name).and_then(NodeSeen::facts).is_some();
        let usable = of_etcd.iter().filter(in_sight).filter(|name| !self.unfit.contains(**name)).count();
        if usable * 2 > of_etcd.len() || !of_etcd.iter().any(|name| self.unfit.contains(*name)) {
            return;
        }
        self.findings.push(Finding {
            kind: FindingKind::Refused,
            subject: "cluster/etcd".to_owned(),
            node: None,
            what: format!(
                "etcd cannot start for the first time: {usable} of its {} nodes can be used, and that is no majority",
                of_etcd.len()
            ),
            help: "mend what is told of the other nodes, or take them out of cluster.yml".to_owned(),
            origin: None,
        });
    }

    /// What was seen, with the nodes that cannot be used out of sight.
    pub(crate) fn usable<'i>(&self, seen: &'i Inventory) -> Cow<'i, Inventory> {
        let mut seen = Cow::Borrowed(seen);
        for name in &self.unfit {
            // What holds it has been told; nobody reads this text.
            seen.to_mut()
                .nodes
                .insert(name.clone(), NodeSeen::OutOfSight("held by its preflight".to_owned()));
        }
        seen
    }
}

/// A wrong that keeps everything from a node.
fn holds(what: String, help: impl Into<String>) -> Wrong {
    Wrong { weight: Weight::Holds, what, help: help.into(), origin: None }
}

/// A wrong that is only unwise.
fn warns(what: String, help: impl Into<String>) -> Wrong {
    Wrong { weight: Weight::Warns, what, help: help.into(), origin: None }
}

/// Names in a row: `a`, `a and b`, `a, b and c`.
fn row<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}
