//! Labels and taints of node objects: set where they are missing, removed where only windlass put them.

use std::collections::BTreeSet;

use windlass_model::{
    Action, Because, Birth, Intent, NodeObject, NodeWish, ObjectChange, Owned, Reason, StepId,
};

use crate::builder::PlanBuilder;
use crate::context::Context;
use crate::nodes::Nodes;

/// Plans one patch a node whose object differs.
pub(crate) fn plan(ctx: &Context<'_>, nodes: &Nodes<'_>, build: &mut PlanBuilder<'_>) {
    match ctx.intent {
        Intent::Converge { .. } => {}
        Intent::Reissue { .. } | Intent::Dismantle { .. } => return,
    }
    let blank = NodeObject::default();
    for node in ctx.reachable() {
        let ready = nodes.ready.get(node.name).copied();
        let registers = ready.is_some() && (ctx.kube_answers() || ctx.seen.ledger.born == Birth::Expected);
        let object = match node.object {
            Some(object) => object,
            // It will register, as its kubelet comes up by this plan.
            None if registers => &blank,
            None => continue,
        };
        let Some((change, reasons)) = difference(node.desired, object) else { continue };
        let label = build.step(
            StepId::new(node.name, "node", "label"),
            Action::LabelNode { node: node.name.clone(), change },
            reasons,
            vec![node.desired.origin.clone()],
        );
        build.after_all(label, ready, Because::Needs);
    }
}

/// What must change of a node object, and why; nothing if it is as wished.
fn difference(wish: &NodeWish, object: &NodeObject) -> Option<(ObjectChange, Vec<Reason>)> {
    let labels: std::collections::BTreeMap<_, _> = wish
        .labels
        .iter()
        .filter(|(key, value)| object.labels.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let labels_gone: BTreeSet<_> = object
        .owned
        .labels
        .iter()
        .filter(|key| object.labels.contains_key(*key) && !wish.labels.contains_key(*key))
        .cloned()
        .collect();
    let taints: BTreeSet<_> = wish.taints.difference(&object.taints).cloned().collect();
    let taints_gone: BTreeSet<_> = object
        .owned
        .taints
        .iter()
        .filter(|taint| object.taints.contains(*taint) && !wish.taints.contains(*taint))
        .cloned()
        .collect();
    let owned = Owned { labels: wish.labels.keys().cloned().collect(), taints: wish.taints.clone() };
    let mut what: Vec<String> =
        labels.iter().map(|(key, value)| format!("label {key}={value} set")).collect();
    what.extend(labels_gone.iter().map(|key| format!("label {key} removed")));
    what.extend(taints.iter().map(|taint| format!("taint {taint} set")));
    what.extend(taints_gone.iter().map(|taint| format!("taint {taint} removed")));
    if what.is_empty() && owned != object.owned {
        what.push("windlass' annotation of its labels and taints renewed".to_owned());
    }
    if what.is_empty() {
        return None;
    }
    let reasons = what.into_iter().map(|what| Reason::ObjectDiffers { what }).collect();
    Some((ObjectChange { labels, labels_gone, taints, taints_gone, owned }, reasons))
}
