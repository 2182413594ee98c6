//! What no plan may do: when one of these holds, nothing is planned at all, and the finding says what to do.

use std::collections::BTreeSet;

use windlass_model::{
    Birth, CertKind, CertName, Component, ContainerName, EtcdData, Fact, Foundation, Intent,
    KubernetesVersion, Maker, NodeFacts, NodeName, NodeTarget, Refusal, Role, Settings, Subject,
};

use crate::builder::PlanBuilder;
use crate::context::Context;
use crate::etcd::external::{lives_in_external_etcd, refuse_another};

/// Refuses what the world and the desired state allow no plan for.
pub(crate) fn check(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Reissue { .. } if ctx.rules.refuse => {}
        Intent::Converge { .. } | Intent::Reissue { .. } => return,
        // What is to be removed need not be sound, but it must be known.
        Intent::Dismantle { .. } => {
            unreadable_containers(ctx, build);
            return;
        }
    }
    unreadable_containers(ctx, build);
    two_lineages(ctx, build);
    lost_keys(ctx, build);
    unreadable_secrets(ctx, build);
    new_foundation(ctx, build);
    refuse_another(ctx, build);
    renamed_machines(ctx, build);
    moved_members(ctx, build);
    version_jumps(ctx, build);
    lost_data(ctx, build);
}

/// A container whose label a newer windlass wrote is neither replaced nor removed by this one: it does not know what the
/// container is, nor what else there may be on the nodes.
fn unreadable_containers(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    let containers: Vec<(NodeName, ContainerName)> = ctx
        .all_facts()
        .flat_map(|(name, facts)| facts.containers.iter().map(move |container| (name, container)))
        .filter(|(_, (_, seen))| seen.maker == Maker::Unreadable)
        .map(|(name, (container, _))| (name.clone(), container.clone()))
        .collect();
    if !containers.is_empty() {
        build.refuse(Subject::Cluster, Refusal::UnreadableContainers { containers }, None);
    }
}

/// Two clusters' keys are never mixed.
fn two_lineages(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    for (lineage, nodes) in &ctx.seen.ledger.strangers {
        let refusal = Refusal::OtherLineage {
            nodes: nodes.clone(),
            lineage: lineage.clone(),
            own: ctx.seen.ledger.lineage.clone(),
        };
        build.refuse(Subject::Ledger, refusal, None);
    }
}

/// Secrets that are encrypted by a key of the ledger are lost with it: the desired state never lets go of it.
fn unreadable_secrets(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    if ctx.seen.ledger.born == Birth::Expected {
        return;
    }
    let dropped: Vec<CertName> = ctx
        .seen
        .ledger
        .certs
        .iter()
        .filter(|(name, face)| face.wish.kind == CertKind::KeyPair && !ctx.desired.certs.contains_key(*name))
        .map(|(name, _)| name.clone())
        .collect();
    if !dropped.is_empty() {
        build.refuse(Subject::Secrets, Refusal::EncryptionKeysDropped { keys: dropped }, None);
    } else if drops_custom_encryption(ctx) {
        let origin = Some("services.kube-api.secrets_encryption_config".into());
        build.refuse(Subject::Secrets, Refusal::CustomEncryptionDropped, origin);
    }
}

/// The same for keys that cluster.yml carries: who encrypts shows in the API servers that run.
fn drops_custom_encryption(ctx: &Context<'_>) -> bool {
    let api = Component::KubeApiserver;
    let is_own =
        |name: &CertName| ctx.desired.certs.get(name).is_some_and(|cert| cert.kind == CertKind::KeyPair);
    let encrypts = ctx
        .reachable()
        .filter_map(|node| node.facts.containers.get(api.as_str()))
        .any(|seen| seen.maker == Maker::Windlass && Settings::of(api, &seen.spec).encrypts_secrets());
    let goes_on = ctx
        .with_role(Role::ControlPlane)
        .filter_map(|(_, node)| node.containers.get(&api))
        .all(|wish| wish.conduct.settings.encrypts_secrets());
    // One of windlass' own that was not there would not decrypt what another has encrypted.
    let ledger = &ctx.seen.ledger;
    let begins_anew = ctx.desired.certs.keys().any(|name| is_own(name) && !ledger.certs.contains_key(name));
    encrypts && (!goes_on || begins_anew)
}

/// A cluster that lives has keys: without them none is ever made again.
fn lost_keys(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    if ctx.seen.ledger.lineage.is_some() {
        return;
    }
    let alive: BTreeSet<NodeName> = ctx
        .all_facts()
        .filter(|(_, facts)| is_of_a_cluster(facts))
        .map(|(name, _)| name.clone())
        .chain(lives_in_external_etcd(ctx))
        .collect();
    if !alive.is_empty() || !ctx.seen.etcd.members().is_empty() {
        let nodes = alive.into_iter().collect();
        build.refuse(Subject::Ledger, Refusal::LedgerLost { nodes }, None);
        return;
    }
    let containers: BTreeSet<(NodeName, ContainerName)> = ctx
        .reachable()
        .flat_map(|node| node.facts.containers.iter().map(move |container| (node.name, container)))
        .filter(|(_, (container, seen))| {
            seen.maker == Maker::Other && Component::of_container(container).is_some()
        })
        .map(|(name, (container, _))| (name.clone(), container.clone()))
        .collect();
    if !containers.is_empty() {
        let containers = containers.into_iter().collect();
        build.refuse(Subject::Cluster, Refusal::OtherToolsCluster { containers }, None);
        return;
    }
    for role in [Role::ControlPlane, Role::Etcd] {
        if role == Role::Etcd && ctx.desired.etcd.is_external() {
            continue;
        }
        let total = ctx.with_role(role).count();
        let reachable = ctx.with_role(role).filter(|(name, _)| ctx.is_reachable(name)).count();
        if reachable * 2 <= total {
            build.refuse(Subject::Cluster, Refusal::TooFewReachable { role, reachable, total }, None);
            return;
        }
    }
}

/// Whether what is here was made for a cluster: etcd's data, or what only joins one that has its keys.
fn is_of_a_cluster(facts: &NodeFacts) -> bool {
    facts.etcd_data == EtcdData::Present
        || facts.containers.iter().any(|(container, seen)| {
            seen.maker != Maker::Other && Component::of_container(container).is_some()
        })
}

/// What the cluster was founded on stays as it is.
fn new_foundation(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    let desired = &ctx.desired.foundation;
    let Some(was) = ctx.seen.ledger.foundation.as_ref().filter(|_| ctx.may_live()) else { return };
    for ((fact, from), (_, to)) in was.facts().into_iter().zip(desired.facts()) {
        if from == to {
            continue;
        }
        let is_external = was.is_on_external_etcd() || desired.is_on_external_etcd();
        let refusal = Refusal::FoundationChanged {
            fact,
            from: from.clone(),
            to: to.clone(),
            moves_etcd: fact == Fact::EtcdData && is_external,
        };
        build.refuse(Subject::Cluster, refusal, ctx.desired.origins.foundation.get(&fact).cloned());
    }
}

/// A machine has one name in a living cluster.
fn renamed_machines(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    let nodes = ctx.seen.ledger.nodes.iter();
    for (former, last) in nodes.filter(|(name, _)| !ctx.desired.nodes.contains_key(*name)) {
        let is_same = |target: &NodeTarget| {
            target.address == last.target.address || target.internal_address == last.target.internal_address
        };
        if let Some((name, node)) = ctx.desired.nodes.iter().find(|(_, node)| is_same(&node.target)) {
            let refusal = Refusal::NodeRenamed { former: former.clone() };
            build.refuse(Subject::Node(name.clone()), refusal, Some(node.origin.clone()));
        }
    }
}

/// A member of etcd has one address in a living cluster.
fn moved_members(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    if ctx.seen.ledger.born != Birth::Born {
        return;
    }
    for (name, node) in &ctx.desired.nodes {
        let Some(last) = ctx.last(name).filter(|last| last.roles.contains(&Role::Etcd)) else { continue };
        let (from, to) = (&last.target.internal_address, &node.target.internal_address);
        if from != to {
            let refusal = Refusal::MemberMoved { from: from.clone(), to: to.clone() };
            build.refuse(Subject::Node(name.clone()), refusal, Some(node.origin.clone()));
        }
    }
}

/// Kubernetes goes one minor version at a time, and never back.
///
/// Source: <https://kubernetes.io/releases/version-skew-policy/>, "Supported component upgrade order".
fn version_jumps(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    let of = |component: Component| -> BTreeSet<&KubernetesVersion> {
        ctx.all_facts()
            .filter_map(|(_, facts)| facts.containers.get(component.as_str()))
            .filter_map(|container| container.spec.version.as_ref())
            .collect()
    };
    let mut versions = of(Component::KubeApiserver);
    if versions.is_empty() {
        versions = of(Component::Kubelet);
    }
    let (Some(&oldest), Some(&newest)) = (versions.first(), versions.last()) else { return };
    let desired = &ctx.desired.version;
    let refusal = if desired.numbers() < newest.numbers() {
        Refusal::VersionBack { from: newest.clone(), to: desired.clone() }
    } else if (desired.major, desired.minor) > (oldest.major, oldest.minor + 1) {
        Refusal::VersionSkipped { from: oldest.clone(), to: desired.clone() }
    } else {
        return;
    };
    build.refuse(Subject::Cluster, refusal, ctx.desired.origins.version.clone());
}

/// A cluster that has lived and whose data is gone is never started anew.
fn lost_data(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    let ledger = &ctx.seen.ledger;
    let was_external = ledger.foundation.as_ref().is_some_and(Foundation::is_on_external_etcd);
    if ledger.born != Birth::Born || !ctx.etcd_is_silent() || was_external {
        return;
    }
    let had_etcd = ledger.nodes.keys().filter(|name| ctx.had(name, Role::Etcd));
    let etcd_nodes: BTreeSet<&NodeName> =
        ctx.with_role(Role::Etcd).map(|(name, _)| name).chain(had_etcd).collect();
    let could_hold_data =
        |name: &&NodeName| ctx.facts(name).is_none_or(|facts| facts.etcd_data == EtcdData::Present);
    if !etcd_nodes.iter().any(could_hold_data) {
        let nodes = etcd_nodes.into_iter().cloned().collect();
        build.refuse(Subject::Etcd, Refusal::EtcdDataLost { nodes }, None);
    }
}
