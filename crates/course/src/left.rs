//! The inventory as a plan would leave it, as far as a chain of upgrades looks at it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_blueprint::Link;
use windlass_model::{
    Action, EtcdLogSeen, EtcdSeen, Finding, Gate, Health, Inventory, KubeSeen, NodeName, NodeSeen, Planning,
    Readiness, Weight,
};

use crate::desired::Desired;

/// What will be seen once the plan is done, and what follows by itself: its containers as it creates them, and what it works
/// on as it should be.
pub(crate) fn left_by(planning: &Planning, link: &Link, desired: &Desired, seen: &Inventory) -> Inventory {
    let plan = &planning.plan;
    let mut left = seen.clone();
    let follows = planning.findings.iter().filter(|finding| finding.weight == Weight::Next);
    let followers: BTreeSet<&NodeName> = follows.filter_map(Finding::node).collect();
    for node in &followers {
        bring_to(link, node, &mut left);
    }
    for step in &plan.steps {
        act(&step.action, &mut left);
    }
    let nodes = &desired.ordinary().nodes;
    let acted_on: BTreeSet<&NodeName> =
        plan.steps.iter().filter_map(|step| step.action.node()).chain(followers).collect();
    if let EtcdSeen::Members(members) = &mut left.etcd {
        let urls: BTreeSet<String> =
            acted_on.iter().filter_map(|name| Some(nodes.get(*name)?.target.peer_url())).collect();
        for member in members.iter_mut().filter(|member| urls.contains(&member.peer_url)) {
            member.health = Health::Healthy;
        }
    }
    match &mut left.kube {
        KubeSeen::Nodes(objects) => {
            for (_, object) in objects.iter_mut().filter(|(name, _)| acted_on.contains(name)) {
                object.ready = Readiness::Ready;
            }
        }
        KubeSeen::Silent if !plan.is_empty() => left.kube = KubeSeen::Nodes(BTreeMap::new()),
        KubeSeen::Silent => {}
    }
    left
}

/// A node whose containers are replaced in a later round of the same `up`.
fn bring_to(link: &Link, node: &NodeName, left: &mut Inventory) {
    let Some(NodeSeen::InSight(facts)) = left.nodes.get_mut(node) else { return };
    for container in facts.containers.values_mut().filter(|container| container.spec.version.is_some()) {
        Arc::make_mut(&mut container.spec).version = Some(link.kubernetes.clone());
    }
}

/// The effect of one step on containers.
fn act(action: &Action, left: &mut Inventory) {
    let facts = action.node().and_then(|node| match left.nodes.get_mut(node) {
        Some(NodeSeen::InSight(facts)) => Some(facts),
        _ => None,
    });
    let Some(facts) = facts else { return };
    match action {
        Action::RunContainer { component, spec, .. } | Action::ReplaceContainer { component, spec, .. } => {
            if let Some(container) = facts.containers.get_mut(component.as_str()) {
                container.spec = spec.clone();
            }
        }
        Action::RemoveContainer { container, .. } => drop(facts.containers.remove(container)),
        Action::AwaitHealthy { gate: Gate::EtcdLogSnapshot { .. }, .. } => {
            facts.etcd_log = EtcdLogSeen::SnapshotSinceCreated;
        }
        _ => {}
    }
}
