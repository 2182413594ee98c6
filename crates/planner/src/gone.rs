//! Nodes that are gone for good, as the operator says: they are forgotten, and nothing waits for them.
//!
//! Only a node that does not answer can be gone, and only one that cluster.yml does not ask for. The other
//! stages plan as if there had never been such a node; a member of etcd that was there is then one of no node,
//! and leaves under the same conditions as any other.

use std::borrow::Cow;
use std::collections::BTreeSet;

use windlass_model::{
    Action, Because, Intent, Inventory, KubeSeen, NodeName, NotGone, Reason, Refusal, Subject,
};

use crate::builder::{PlanBuilder, StepHandle};
use crate::context::Context;
use crate::ledger::Conclusion;

/// The nodes of an intent that are gone, as far as can be seen.
fn gone<'i>(intent: &'i Intent, seen: &Inventory) -> impl Iterator<Item = &'i NodeName> {
    let is_gone = |name: &&NodeName| why_not(intent, seen, name).is_none();
    intent.gone().into_iter().flatten().filter(is_gone)
}

/// Why a node is not gone.
fn why_not(intent: &Intent, seen: &Inventory, name: &NodeName) -> Option<NotGone> {
    let answers = seen.nodes.get(name).is_some_and(|node| node.facts().is_some());
    if intent.desired().nodes.contains_key(name) {
        Some(NotGone::InClusterYml)
    } else if answers {
        Some(NotGone::Answers)
    } else if seen.ledger.nodes.contains_key(name) || seen.nodes.contains_key(name) {
        None
    } else {
        Some(NotGone::Unknown)
    }
}

/// Refuses to forget nodes that are not gone.
pub(crate) fn check(intent: &Intent, seen: &Inventory, build: &mut PlanBuilder<'_>) {
    for name in intent.gone().into_iter().flatten() {
        if let Some(because) = why_not(intent, seen, name) {
            build.refuse(Subject::Node(name.clone()), Refusal::NotGone { because }, None);
        }
    }
}

/// What was seen, without the nodes that are gone.
pub(crate) fn without<'s>(intent: &Intent, seen: &'s Inventory) -> Cow<'s, Inventory> {
    let names: BTreeSet<&NodeName> = gone(intent, seen).collect();
    if names.is_empty() {
        return Cow::Borrowed(seen);
    }
    let mut rest = seen.clone();
    rest.nodes.retain(|name, _| !names.contains(name));
    rest.ledger.nodes.retain(|name, _| !names.contains(name));
    Cow::Owned(rest)
}

/// Plans that the nodes which are gone leave Kubernetes and the ledger.
pub(crate) fn forget(
    ctx: &Context<'_>,
    seen: &Inventory,
    api_servers: &[StepHandle],
    conclusion: &mut Conclusion,
    build: &mut PlanBuilder<'_>,
) {
    match ctx.intent {
        Intent::Converge { .. } => {}
        // A removal deletes the ledger as a whole.
        Intent::Dismantle { .. } | Intent::Restore { .. } | Intent::Reissue { .. } => return,
    }
    for name in gone(ctx.intent, seen) {
        let is_known = match &ctx.seen.kube {
            KubeSeen::Nodes(objects) => objects.contains_key(name),
            KubeSeen::Silent => !api_servers.is_empty(),
        };
        if is_known {
            let delete = Action::DeleteNodeObject { node: name.clone() };
            let delete = build.step(name, "node", delete, vec![Reason::NodeLeft], vec![]);
            build.after_all(delete, api_servers.iter().copied(), Because::Needs);
            conclusion.after.push(delete);
        }
        // Its certificates are of no node then, and go with the others that nothing needs.
        conclusion.change.forget.insert(name.clone());
    }
}
