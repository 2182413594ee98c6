//! Labels and taints of node objects: set where they are missing, taken away where only windlass put them.

use std::collections::BTreeSet;

use windlass_model::{
    Action, Because, Birth, NodeName, NodeObject, NodeWish, ObjectChange, Owned, Reason, StepId,
};

use crate::planner::Planner;

impl<'a> Planner<'a> {
    /// Plans one patch a node whose object differs.
    pub(crate) fn node_objects(&mut self) {
        let nodes: Vec<(&'a NodeName, &'a NodeWish)> =
            self.nodes_in_sight().map(|(name, node, _)| (name, node)).collect();
        let blank = NodeObject::default();
        for (name, node) in nodes {
            let object = match self.object(name) {
                Some(object) => object,
                // It will register, as its kubelet comes up by this plan.
                None if self.ready.contains_key(name)
                    && (self.kube_answers() || self.seen.ledger.born == Birth::Expected) =>
                {
                    &blank
                }
                None => continue,
            };
            let Some((change, reasons)) = difference(node, object) else { continue };
            let label = self.builder.step(
                StepId::new(name, "node", "label"),
                Action::LabelNode { node: name.clone(), change },
                reasons,
                vec![node.origin.clone()],
            );
            self.builder.after_all(label, self.ready.get(name).copied(), Because::Needs);
        }
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
    what.extend(labels_gone.iter().map(|key| format!("label {key} taken away")));
    what.extend(taints.iter().map(|taint| format!("taint {taint} set")));
    what.extend(taints_gone.iter().map(|taint| format!("taint {taint} taken away")));
    if what.is_empty() && owned != object.owned {
        what.push("windlass' note of its labels and taints renewed".to_owned());
    }
    if what.is_empty() {
        return None;
    }
    let reasons = what.into_iter().map(|what| Reason::ObjectDiffers { what }).collect();
    Some((ObjectChange { labels, labels_gone, taints, taints_gone, owned }, reasons))
}
