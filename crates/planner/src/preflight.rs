//! What must be true of the machines before anything is changed on them: judged from their own reports.
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
//! A node on which windlass has made nothing yet is judged strictly. A node that already works is held only
//! by what prevents a container from being created: a live node is not taken out of the plan for something
//! that it has worked with so far.

mod examined;
mod machine;
mod machines;
mod ports;

use std::collections::BTreeSet;

use windlass_model::{
    Birth, EtcdSeen, Finding, Intent, MachineFault, NodeName, Note, Refusal, Role, Subject, Waiting, Weight,
};

use self::examined::{Examined, Moves, Wrong};
use crate::builder::PlanBuilder;
use crate::context::{Context, why_unreachable};
use crate::ownership::{Stranger, in_the_way};
use crate::refusals;
use crate::sight::Sighted;

/// Holds desired nodes that belong to another cluster, or where somebody else's things are in this cluster's
/// places.
pub(crate) fn strangers(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) -> BTreeSet<NodeName> {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } | Intent::Reissue { .. } => {}
        Intent::Dismantle { .. } => return BTreeSet::new(),
    }
    let mut strangers = BTreeSet::new();
    for node in ctx.reachable() {
        let Some((stranger, found)) = in_the_way(ctx, node) else { continue };
        let fault = match stranger {
            Stranger::Machine => MachineFault::OfAnotherCluster { found },
            Stranger::Things => MachineFault::NamesTaken { found },
        };
        strangers.insert(node.name.clone());
        let origin = Some(node.desired.origin.clone());
        build.find(Weight::Held, Subject::Node(node.name.clone()), fault, origin);
    }
    strangers
}

/// The desired machines that belong to another cluster, each with the finding that says so.
pub(crate) fn of_other_clusters(ctx: &Context<'_>) -> Vec<Finding> {
    let finding = |node: &Sighted<'_>| match in_the_way(ctx, node)? {
        (Stranger::Machine, found) => Some(Finding {
            weight: Weight::Held,
            about: Subject::Node(node.name.clone()),
            cause: MachineFault::OfAnotherCluster { found }.into(),
            origin: Some(node.desired.origin.clone()),
        }),
        (Stranger::Things, _) => None,
    };
    ctx.reachable().filter_map(finding).collect()
}

/// Judges all machines that sent a report, and says which nodes are unreachable. Returns the nodes on which
/// nothing may be planned.
pub(crate) fn check(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) -> BTreeSet<NodeName> {
    let mut unfit = BTreeSet::new();
    if ctx.judges_machines() {
        let examined: Vec<Examined<'_>> = ctx
            .reachable()
            .filter_map(|node| {
                let report = node.facts.report.as_ref()?;
                Some(Examined { name: node.name, desired: node.desired, facts: node.facts, report })
            })
            .collect();
        let version = &ctx.desired.version;
        let moves = if refusals::version_jump(ctx).is_none() { Moves::ToDesired } else { Moves::Nowhere };
        let alone = examined.iter().flat_map(|node| {
            machine::judge(node, version, moves).into_iter().map(move |wrong| (*node, wrong))
        });
        let common = machines::common_time(&examined);
        if common != 0 {
            build.note(Subject::Cluster, Note::OperatorClockOff { ahead_seconds: -common }, None);
        }
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

/// Members of etcd get the list of all others at their first start: without a majority they would only wait.
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

/// Nothing is planned on unreachable nodes, and nothing else changes because they are unreachable.
fn report_unreachable(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    for (name, node) in &ctx.desired.nodes {
        if let Some(error) = why_unreachable(ctx.seen.nodes.get(name)) {
            let waiting = Waiting::NodeUnreachable { roles: node.roles.iter().copied().collect(), error };
            build.hold(Subject::Node(name.clone()), waiting, Some(node.origin.clone()));
        }
    }
}
