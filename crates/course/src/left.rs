//! The inventory as a plan would leave it, as far as a chain of upgrades looks at it.

use std::collections::BTreeSet;

use windlass_model::{
    Action, EtcdLogSeen, EtcdSeen, Gate, Health, Inventory, KubeSeen, NodeName, NodeSeen, Plan, Readiness,
};

use crate::desired::Desired;

/// What will be seen once the plan is done: its containers as it creates them, and what it works on as it should be.
pub(crate) fn left_by(plan: &Plan, desired: &Desired, seen: &Inventory) -> Inventory {
    let mut left = seen.clone();
    for step in &plan.steps {
        act(&step.action, &mut left);
    }
    let nodes = &desired.ordinary().nodes;
    let acted_on: BTreeSet<&NodeName> = plan.steps.iter().filter_map(|step| step.action.node()).collect();
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
        KubeSeen::Silent if !plan.is_empty() => {
            left.kube = KubeSeen::Nodes(std::collections::BTreeMap::new())
        }
        KubeSeen::Silent => {}
    }
    left
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
        Action::AwaitHealthy { gate: Gate::EtcdLogSnapshot { .. }, .. } => {
            facts.etcd_log = EtcdLogSeen::SnapshotSinceCreated;
        }
        _ => {}
    }
}
