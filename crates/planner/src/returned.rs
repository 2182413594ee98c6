//! Node objects of nodes that have left, which a restored snapshot has brought back.
//!
//! The ledger knows their machines no more, so nothing of windlass runs there, and nobody else deletes the objects: pods of
//! `DaemonSet`s would be missed on them for good.

use windlass_model::{
    Action, Intent, KubeSeen, NodeName, NodeObject, Owned, Readiness, Reason, Subject, Waiting,
};

use crate::builder::PlanBuilder;
use crate::context::Context;

/// The node objects that windlass has managed, of nodes that neither cluster.yml nor the ledger has.
pub(crate) fn returned<'c, 'a>(
    ctx: &'c Context<'a>,
) -> impl Iterator<Item = (&'a NodeName, &'a NodeObject)> + 'c {
    let objects = match &ctx.seen.kube {
        KubeSeen::Nodes(objects) => Some(objects),
        KubeSeen::Silent => None,
    };
    let is_known = move |name: &NodeName| {
        ctx.desired.nodes.contains_key(name)
            || ctx.seen.ledger.nodes.contains_key(name)
            || ctx.intent.gone().is_some_and(|gone| gone.contains(name))
    };
    let all = objects.into_iter().flatten();
    all.filter(move |(name, object)| !is_known(name) && object.owned != Owned::default())
}

/// Plans that they are deleted, once Kubernetes has noticed that no kubelet reports there: one that runs would
/// register again, and its pods would be gone.
pub(crate) fn plan(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => {}
        Intent::Dismantle { .. } | Intent::Reissue { .. } => return,
    }
    for (name, object) in returned(ctx) {
        if object.ready == Readiness::Ready {
            build.hold(Subject::Node(name.clone()), Waiting::ReturnedNodeReady, None);
        } else {
            let delete = Action::DeleteNodeObject { node: name.clone() };
            build.step(name, "node", delete, vec![Reason::NodeLeft], vec![]);
        }
    }
}
