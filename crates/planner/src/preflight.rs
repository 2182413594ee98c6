//! What must be so on the machines before anything is changed on them: judged from their own reports.
//!
//! ```text
//! reports ─┬─▶ node by node     ports, disk, swap, architecture, addresses, Docker …   (machine.rs)
//!          └─▶ side by side     clocks, one machine under two names, equal names and ids   (machines.rs)
//!                   │
//!                   ▼
//!   finding: held    the node is planned for as if it were unreachable; the others go on
//!   finding: notice  unwise, and nothing waits for it
//!   finding: refused a first start that could not have a majority: nothing is planned at all
//! ```
//!
//! A node on which windlass has made nothing yet is judged strictly. On one that already works only that holds which
//! keeps a container from being made: a live node is not taken out of the plan for what it has lived with so far.

mod machine;
mod machines;
mod ports;

use std::collections::BTreeSet;

use windlass_model::{
    Birth, Component, ContainerWish, EtcdSeen, HostReport, MachineFault, Maker, NodeFacts, NodeName,
    NodeWish, Refusal, Role, SpecPath, Subject, Waiting, Weight,
};

use crate::builder::PlanBuilder;
use crate::context::{Context, why_unreachable};

/// A desired node that reported about itself.
#[derive(Clone, Copy, Debug)]
struct Examined<'a> {
    name: &'a NodeName,
    desired: &'a NodeWish,
    facts: &'a NodeFacts,
    report: &'a HostReport,
}

/// Something that is wrong with a machine.
#[derive(Debug)]
struct Wrong {
    /// Held where nothing can be planned there, noticed where it is only unwise.
    weight: Weight,
    fault: MachineFault,
    origin: Option<SpecPath>,
}

impl<'a> Examined<'a> {
    /// Whether windlass has made nothing there yet.
    fn is_new(&self) -> bool {
        !self.facts.containers.values().any(|container| container.maker == Maker::Windlass)
    }

    /// The desired containers that are still to be made.
    fn absent(&self) -> impl Iterator<Item = (Component, &'a ContainerWish)> {
        let facts = self.facts;
        let is_absent = move |component: &Component| !facts.containers.contains_key(component.as_str());
        let wished = self.desired.containers.iter();
        wished.filter(move |(component, _)| is_absent(component)).map(|(component, wish)| (*component, wish))
    }
}

/// Judges all machines that reported about themselves, and says which nodes are unreachable. Returns the nodes on which
/// nothing may be planned.
pub(crate) fn check(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) -> BTreeSet<NodeName> {
    let mut unfit = BTreeSet::new();
    if ctx.rules.preflight {
        let examined: Vec<Examined<'_>> = ctx
            .reachable()
            .filter_map(|node| {
                let report = node.facts.report.as_ref()?;
                Some(Examined { name: node.name, desired: node.desired, facts: node.facts, report })
            })
            .collect();
        let version = &ctx.desired.version;
        let alone = examined
            .iter()
            .flat_map(|node| machine::judge(node, version).into_iter().map(move |wrong| (*node, wrong)));
        for (node, wrong) in alone.chain(machines::judge(&examined, ctx)) {
            let Wrong { weight, fault, origin } = wrong;
            if weight == Weight::Held {
                unfit.insert(node.name.clone());
            }
            let origin = origin.or_else(|| Some(node.desired.origin.clone()));
            build.find(weight, Subject::Node(node.name.clone()), fault, origin);
        }
        first_start_without_majority(ctx, &unfit, build);
    }
    report_unreachable(ctx, build);
    unfit
}

/// Members of etcd are given the list of all others at their first start: without a majority they would only wait.
fn first_start_without_majority(ctx: &Context<'_>, unfit: &BTreeSet<NodeName>, build: &mut PlanBuilder<'_>) {
    if unfit.is_empty() || ctx.seen.ledger.born == Birth::Born || ctx.seen.etcd != EtcdSeen::Silent {
        return;
    }
    let of_etcd: Vec<&NodeName> = ctx.with_role(Role::Etcd).map(|(name, _)| name).collect();
    let total = of_etcd.len();
    let usable = of_etcd.iter().filter(|name| ctx.is_reachable(name) && !unfit.contains(**name)).count();
    if usable * 2 <= total && of_etcd.iter().any(|name| unfit.contains(*name)) {
        build.refuse(Subject::Etcd, Refusal::FirstStartWithoutMajority { usable, total }, None);
    }
}

/// Nothing is planned on unreachable nodes, and nothing else changes because they are away.
fn report_unreachable(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    for (name, node) in &ctx.desired.nodes {
        if let Some(error) = why_unreachable(ctx.seen.nodes.get(name)) {
            let waiting = Waiting::NodeUnreachable { roles: node.roles.iter().copied().collect(), error };
            build.hold(Subject::Node(name.clone()), waiting, Some(node.origin.clone()));
        }
    }
}

/// A wrong that keeps everything from a node.
fn holds(fault: MachineFault) -> Wrong {
    Wrong { weight: Weight::Held, fault, origin: None }
}

/// A wrong that is only unwise.
fn warns(fault: MachineFault) -> Wrong {
    Wrong { weight: Weight::Notice, fault, origin: None }
}
