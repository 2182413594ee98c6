//! Labels and taints of node objects: set where they are missing, removed where only windlass put them.

use std::collections::BTreeSet;

use windlass_model::{
    Action, Because, Birth, DesiredNode, Intent, NodeObject, NodeObjectDifference, ObjectChange, Owned,
    Reason, SpecPath, Subject, Waiting,
};

use crate::builder::{Follows, PlanBuilder};
use crate::context::Context;
use crate::nodes::Nodes;

/// Plans one patch for each node whose object differs; `comes_back` says whether Kubernetes answers after
/// this plan.
pub(crate) fn plan(ctx: &Context<'_>, comes_back: Follows, nodes: &Nodes<'_>, build: &mut PlanBuilder<'_>) {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => {}
        Intent::Reissue { .. } | Intent::Dismantle { .. } => return,
    }
    announce(ctx, comes_back, build);
    let blank = NodeObject::default();
    for node in ctx.reachable() {
        let ready = nodes.ready.get(node.name).copied();
        let registers = ready.is_some() && (ctx.kube_answers() || ctx.seen.ledger.born == Birth::Expected);
        let object = match node.object {
            Some(object) => object,
            // It will register, as this plan starts its kubelet.
            None if registers => &blank,
            None => continue,
        };
        let Some((change, reasons)) = difference(node.desired, object) else { continue };
        let origins = origins(node.desired, &change);
        let label = build.step(
            node.name,
            "node",
            Action::LabelNode { node: node.name.clone(), change },
            reasons,
            origins,
        );
        build.after_all(label, ready, Because::Needs);
    }
}

/// The objects of a live cluster are unknown where no API server answers: what is to be done about them
/// follows.
fn announce(ctx: &Context<'_>, comes_back: Follows, build: &mut PlanBuilder<'_>) {
    let is_hidden = !ctx.kube_answers() && ctx.seen.ledger.born == Birth::Born;
    if is_hidden && comes_back == Follows::ByItself {
        build.defer(comes_back, Subject::NodeObjects, Waiting::NodeObjectsUnknown, None);
    }
}

/// What must change of a node object, and why; nothing if it is as desired.
fn difference(desired: &DesiredNode, object: &NodeObject) -> Option<(ObjectChange, Vec<Reason>)> {
    let labels: std::collections::BTreeMap<_, _> = desired
        .labels
        .iter()
        .filter(|(key, value)| object.labels.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let labels_gone: BTreeSet<_> = object
        .owned
        .labels
        .iter()
        .filter(|key| object.labels.contains_key(*key) && !desired.labels.contains_key(*key))
        .cloned()
        .collect();
    let taints: BTreeSet<_> = desired.taints.difference(&object.taints).cloned().collect();
    let taints_gone: BTreeSet<_> = object
        .owned
        .taints
        .iter()
        .filter(|taint| object.taints.contains(*taint) && !desired.taints.contains(*taint))
        .cloned()
        .collect();
    let owned = Owned { labels: desired.labels.keys().cloned().collect(), taints: desired.taints.clone() };
    let set = labels
        .iter()
        .map(|(key, value)| NodeObjectDifference::LabelSet { key: key.clone(), value: value.clone() });
    let mut differences: Vec<NodeObjectDifference> = set.collect();
    differences.extend(labels_gone.iter().map(|key| NodeObjectDifference::LabelRemoved { key: key.clone() }));
    differences.extend(taints.iter().map(|taint| NodeObjectDifference::TaintSet { taint: taint.clone() }));
    differences
        .extend(taints_gone.iter().map(|taint| NodeObjectDifference::TaintRemoved { taint: taint.clone() }));
    if differences.is_empty() && owned != object.owned {
        differences.push(NodeObjectDifference::Annotation);
    }
    if differences.is_empty() {
        return None;
    }
    let reasons = differences.into_iter().map(|difference| Reason::ObjectDiffers { difference }).collect();
    Some((ObjectChange { labels, labels_gone, taints, taints_gone, owned }, reasons))
}

/// The node in cluster.yml, whose roles determine most of it; or its own labels and taints, where these change.
fn origins(desired: &DesiredNode, change: &ObjectChange) -> Vec<SpecPath> {
    let is_own = |key: &str| !key.starts_with("node-role.kubernetes.io/");
    let labels = change.labels.keys().filter(|key| is_own(key));
    let labels = labels.map(|key| SpecPath::from(format!("{}.labels.{key}", desired.origin)));
    let taints = change.taints.iter().filter_map(|taint| desired.taint_places.get(taint).cloned());
    let own: Vec<SpecPath> = labels.chain(taints).collect();
    if own.is_empty() { vec![desired.origin.clone()] } else { own }
}
