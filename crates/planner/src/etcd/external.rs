//! An external etcd: changes of it that are refused, and what the ledger records, since windlass does not
//! connect to it.

use std::collections::BTreeSet;

use windlass_model::{
    Birth, Component, DesiredEtcd, LedgerNews, Maker, NodeFacts, NodeName, Note, Refusal, Settings, Subject,
};

use crate::builder::{PlanBuilder, StepHandle};
use crate::compare::Condition;
use crate::context::Context;
use crate::control_plane::ControlPlane;
use crate::ledger;
use crate::site::Site;

/// Plans the ledger's note that the cluster is live in an external etcd: it is as soon as an API server works
/// with it.
pub(crate) fn note_birth<'a>(
    site: &Site<'_, 'a>,
    control_plane: &ControlPlane<'a>,
    build: &mut PlanBuilder<'a>,
) -> Option<StepHandle> {
    let ctx = site.ctx;
    let DesiredEtcd::External { urls, .. } = &ctx.desired.etcd else { return None };
    let runs =
        |name: &NodeName| matches!(site.condition(name, Component::KubeApiserver), Some(Condition::Sick(_)));
    if !ctx.kube_answers() && ctx.desired.nodes.keys().any(runs) {
        build.note(
            Subject::Etcd,
            Note::ExternalEtcdSuspected { urls: urls.clone() },
            Some("services.etcd.external_urls".into()),
        );
    }
    let waits = &control_plane.heals;
    let begins = ctx.seen.ledger.born == Birth::Expected && !ctx.is_seen_to_live() && !waits.is_empty();
    begins.then(|| ledger::note_birth(site.keys, waits, LedgerNews::ExternalEtcdUsed, build))
}

/// Nodes with containers of windlass and without any ledger: those of a cluster whose etcd is external and
/// whose keys are lost.
pub(crate) fn lives_in_external_etcd(ctx: &Context<'_>) -> Vec<NodeName> {
    if !ctx.desired.etcd.is_external() {
        return Vec::new();
    }
    let serves = |facts: &NodeFacts| {
        let api_server = facts.containers.get(Component::KubeApiserver.as_str());
        api_server.is_some_and(|container| container.maker == Maker::Windlass)
    };
    ctx.all_facts().filter(|(_, facts)| serves(facts)).map(|(name, _)| name.clone()).collect()
}

/// API servers on two sets of members that have none in common would be two clusters under one name.
pub(crate) fn refuse_another(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    let DesiredEtcd::External { urls, .. } = &ctx.desired.etcd else { return };
    let foundation = ctx.seen.ledger.foundation.as_ref();
    let stays = foundation.is_some_and(|was| was.etcd_data == ctx.desired.foundation.etcd_data);
    if !stays {
        // That is refused elsewhere.
        return;
    }
    let desired: BTreeSet<&str> = urls.iter().map(String::as_str).collect();
    let api = Component::KubeApiserver;
    let used: BTreeSet<String> = ctx
        .all_facts()
        .filter_map(|(_, facts)| facts.containers.get(api.as_str()))
        .filter(|container| container.maker == Maker::Windlass)
        .filter_map(|container| match Settings::of(api, &container.spec) {
            Settings::ApiServer { etcd_servers, .. } => Some(etcd_servers),
            _ => None,
        })
        .filter(|servers| !servers.is_empty() && servers.iter().all(|server| !desired.contains(&**server)))
        .map(|servers| servers.join(","))
        .collect();
    for servers in used {
        build.refuse(
            Subject::Etcd,
            Refusal::OtherExternalEtcd { servers },
            Some("services.etcd.external_urls".into()),
        );
    }
}
