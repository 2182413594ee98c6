//! What no plan may do: if one of these is true, nothing is planned at all, and the finding says what to do.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{
    Birth, ChosenSnapshot, Component, ContainerName, ContainerState, EtcdData, EtcdPlace, EtcdPlaces,
    EtcdVersion, Fact, FilePath, Foreign, Foundation, ImageRef, Intent, KubernetesVersion, MadeBy, Maker,
    NodeFacts, NodeName, NodeTarget, Refusal, Role, Subject,
};

use crate::builder::{Allowed, PlanBuilder};
use crate::context::Context;
use crate::encryption;
use crate::etcd::external::{lives_in_external_etcd, refuse_another};
use crate::ownership::{self, may_live};

/// Refuses what was seen or desired and makes any plan impossible; none if anything was refused.
pub(crate) fn check(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) -> Option<Allowed> {
    refuse(ctx, build);
    build.allowed()
}

fn refuse(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } | Intent::Reissue { .. } => {}
        // A cluster that is to be removed need not be sound, but it must be known.
        Intent::Dismantle { .. } => {
            unreadable_containers(ctx, build);
            another_prefix(ctx, build);
            return;
        }
    }
    unreadable_containers(ctx, build);
    two_lineages(ctx, build);
    lost_keys(ctx, build);
    encryption::check(ctx, build);
    new_foundation(ctx, build);
    refuse_another(ctx, build);
    renamed_machines(ctx, build);
    moved_members(ctx, build);
    members_elsewhere(ctx, build);
    if let Some(refusal) = version_jump(ctx) {
        build.refuse(Subject::Cluster, refusal, ctx.desired.origins.version.clone());
    } else {
        // The image of etcd follows the version where cluster.yml names none: one cause is reported once.
        etcd_jumps(ctx, build);
    }
    lost_data(ctx, build);
    first_start_beside_unseen(ctx, build);
}

/// The same before etcd is restored: what it holds, and where, does not matter then.
pub(crate) fn check_for_restore(ctx: &Context<'_>, snapshot: &ChosenSnapshot, build: &mut PlanBuilder<'_>) {
    unreadable_containers(ctx, build);
    two_lineages(ctx, build);
    lost_keys(ctx, build);
    // The cluster goes on by these versions once etcd is restored: it is refused before anything stops.
    let refusal = match version_jump(ctx) {
        // An older Kubernetes goes on with a snapshot from before the newer one wrote.
        Some(Refusal::VersionBack { .. }) if snapshot.is_read_by(&ctx.desired.version) => None,
        Some(refusal @ (Refusal::VersionBack { .. } | Refusal::VersionNotNamed { .. })) => Some(refusal),
        _ => None,
    };
    if let Some(refusal) = refusal {
        build.refuse(Subject::Cluster, refusal, ctx.desired.origins.version.clone());
    }
}

/// This windlass neither replaces nor removes a container whose label a newer one wrote: it does not know
/// what the container is, nor what else may be on the nodes.
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

/// The keys of two clusters are never mixed. A machine of another cluster is held elsewhere; here it is one
/// of this cluster's own, or it is unknown which cluster is meant.
fn two_lineages(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    for (lineage, nodes) in &ctx.seen.ledger.strangers {
        let nodes: Vec<NodeName> = nodes.iter().filter(|node| ctx.is_reachable(node)).cloned().collect();
        if nodes.is_empty() {
            continue;
        }
        let refusal =
            Refusal::OtherLineage { nodes, lineage: lineage.clone(), own: ctx.seen.ledger.lineage.clone() };
        build.refuse(Subject::Ledger, refusal, None);
    }
}

/// A live cluster has keys: if they are lost, they are never recreated.
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
    if let Some(refusal) = other_tools_cluster(ctx) {
        build.refuse(Subject::Cluster, refusal, None);
        return;
    }
    // Where etcd is external, its members may be on the same machines.
    let keeps_data =
        |facts: &NodeFacts| facts.etcd_data != EtcdData::Absent && !ctx.desired.etcd.is_external();
    let with_data = ctx.all_facts().filter(|(_, facts)| keeps_data(facts));
    let nodes: Vec<NodeName> = with_data.map(|(name, _)| name.clone()).collect();
    if !nodes.is_empty() {
        build.refuse(Subject::Ledger, Refusal::DataOfSomebody { nodes }, None);
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

/// What another tool made for a cluster on the desired nodes.
fn other_tools_cluster(ctx: &Context<'_>) -> Option<Refusal> {
    let found: Vec<(NodeName, Foreign)> = ctx
        .reachable()
        .map(|node| (node.name.clone(), ownership::found_on(ctx, node.name, node.facts)))
        .filter(|(_, found)| !found.containers.is_empty() || !found.files.is_empty())
        .collect();
    // One that names its tool says more than one that does not.
    let made_by = found.iter().map(|(_, found)| &found.made_by).find(|by| **by != MadeBy::Somebody);
    let made_by = made_by.unwrap_or(&MadeBy::Somebody).clone();
    let each = |node: &NodeName, found: &Foreign| -> Vec<(NodeName, ContainerName)> {
        found.containers.iter().map(|container| (node.clone(), container.clone())).collect()
    };
    let files = found.iter().flat_map(|(node, found)| found.files.iter().map(move |file| (node, file)));
    (!found.is_empty()).then(|| Refusal::OtherToolsCluster {
        made_by,
        containers: found.iter().flat_map(|(node, found)| each(node, found)).collect(),
        files: files.map(|(node, file)| (node.clone(), file.clone())).collect(),
    })
}

/// Whether windlass created what is here for a cluster: only its keys allow joining it.
fn is_of_a_cluster(facts: &NodeFacts) -> bool {
    facts.containers.iter().any(|(container, seen)| {
        matches!(seen.maker, Maker::Windlass | Maker::Unreadable)
            && Component::of_container(container).is_some()
    })
}

/// The founding settings of the cluster stay as they are.
fn new_foundation(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    let desired = &ctx.desired.foundation;
    let Some(was) = ctx.seen.ledger.foundation.as_ref().filter(|_| may_live(ctx)) else { return };
    for ((fact, from), (_, to)) in was.facts().into_iter().zip(desired.facts()) {
        if from == to {
            continue;
        }
        if let Some((from, to)) =
            prefixes(&was.etcd_data, &desired.etcd_data).filter(|_| fact == Fact::EtcdData)
        {
            let (from, to) = (from.to_owned(), to.to_owned());
            let origin = ctx.desired.origins.foundation.get(&fact).cloned();
            build.refuse(Subject::Cluster, Refusal::PrefixChanged { from, to }, origin);
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

/// The prefixes of two places of etcd's data that differ in nothing else.
fn prefixes<'p>(from: &'p EtcdPlace, to: &'p EtcdPlace) -> Option<(&'p str, &'p str)> {
    let (EtcdPlace::OnNodes { directory: was, inside }, EtcdPlace::OnNodes { directory: is, inside: other }) =
        (from, to)
    else {
        return None;
    };
    let before = |directory: &'p FilePath| directory.as_str().strip_suffix("/var/lib/etcd");
    (inside == other && was != is).then(|| Some((before(was)?, before(is)?)))?
}

/// What is to be removed is where the cluster was made: under another prefix nothing of it would be found.
fn another_prefix(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    let desired = &ctx.desired.foundation.etcd_data;
    let Some(was) = ctx.seen.ledger.foundation.as_ref() else { return };
    let EtcdPlace::OnNodes { inside, .. } = desired else { return };
    // The place inside the container may be another: only the directory of the node counts.
    let EtcdPlace::OnNodes { directory, .. } = &was.etcd_data else { return };
    let was = EtcdPlace::OnNodes { directory: directory.clone(), inside: inside.clone() };
    if let Some((from, to)) = prefixes(&was, desired) {
        let (from, to) = (from.to_owned(), to.to_owned());
        let origin = ctx.desired.origins.foundation.get(&Fact::EtcdData).cloned();
        build.refuse(Subject::Cluster, Refusal::PrefixChanged { from, to }, origin);
    }
}

/// A member of etcd stays where its data is: elsewhere it would begin without it.
fn members_elsewhere(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    let foundation = ctx.seen.ledger.foundation.as_ref();
    if foundation.is_some_and(|was| was.etcd_data != ctx.desired.foundation.etcd_data) && may_live(ctx) {
        // It is refused by its cause.
        return;
    }
    let mut found: BTreeMap<(EtcdPlaces, EtcdPlaces), Vec<NodeName>> = BTreeMap::new();
    for node in ctx.reachable().filter(|node| node.desired.has(Role::Etcd)) {
        let facts = node.facts;
        let own = ctx.desired.footprints.under(facts.prefix.as_ref()).etcd();
        if !ownership::is_our_place(ctx, node.name, facts) || ctx.desired.etcd.is_external() {
            continue;
        }
        let there =
            facts.containers.get(Component::Etcd.as_str()).and_then(|seen| EtcdPlaces::of(&seen.spec));
        let runs = runs(facts);
        let works_in = facts.etcd_elsewhere.iter().find(|elsewhere| {
            let is_filled = elsewhere.data != EtcdData::Absent;
            let is_left = is_filled && facts.etcd_data == EtcdData::Absent;
            is_left || (there.as_ref() == Some(&elsewhere.places) && (is_filled || runs))
        });
        if let Some(elsewhere) = works_in {
            found.entry((elsewhere.places.clone(), own)).or_default().push(node.name.clone());
        }
    }
    for ((is, desired), nodes) in found {
        build.refuse(Subject::Etcd, Refusal::MemberElsewhere { nodes, is, desired }, None);
    }
}

fn runs(facts: &NodeFacts) -> bool {
    let etcd = facts.containers.get(Component::Etcd.as_str());
    etcd.is_some_and(|etcd| matches!(etcd.state, ContainerState::Running | ContainerState::Paused))
}

/// A machine keeps its name in a live cluster.
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

/// A member of etcd keeps its address in a live cluster.
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

/// Kubernetes is upgraded one minor version at a time, never back, and only when cluster.yml names a version:
/// the default differs between releases of windlass.
///
/// Source: <https://kubernetes.io/releases/version-skew-policy/>, "Supported component upgrade order".
pub(crate) fn version_jump(ctx: &Context<'_>) -> Option<Refusal> {
    let of = |component: Component| -> BTreeSet<&KubernetesVersion> {
        ctx.all_facts()
            .filter_map(|(_, facts)| facts.containers.get(component.as_str()))
            .filter_map(|container| container.spec.version.as_ref())
            .collect()
    };
    let mut versions = of(Component::KubeApiserver);
    // A restore may go on with an older version; a node that was away has a newer kubelet then.
    if versions.is_empty() && !matches!(ctx.intent, Intent::Restore { .. }) {
        versions = of(Component::Kubelet);
    }
    let (&oldest, &newest) = (versions.first()?, versions.last()?);
    let desired = &ctx.desired.version;
    if ctx.desired.origins.version.is_none() && desired.numbers() != newest.numbers() {
        Some(Refusal::VersionNotNamed { runs: newest.clone(), default: desired.clone() })
    } else if desired.numbers() < newest.numbers() {
        Some(Refusal::VersionBack { from: newest.clone(), to: desired.clone() })
    } else if (desired.major, desired.minor) > (oldest.major, oldest.minor + 1) {
        Some(Refusal::VersionSkipped { from: oldest.clone(), to: desired.clone() })
    } else {
        None
    }
}

/// etcd is upgraded one minor version at a time, and never back: a member exits that is older than the
/// version on which all have agreed ("cluster cannot be downgraded").
///
/// Source: <https://etcd.io/docs/v3.5/upgrades/upgrade_3_5/>, "Upgrade requirements", and `IsValidVersionChange` of
/// `server/etcdserver/api/membership/downgrade.go`.
fn etcd_jumps(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    let desired = ctx.with_role(Role::Etcd).find_map(|(_, node)| node.containers.get(&Component::Etcd));
    let Some(desired) = desired.filter(|_| may_live(ctx)) else { return };
    let to = &desired.spec.image;
    let minor = |image: &ImageRef| EtcdVersion::of_image(image.as_str()).map(EtcdVersion::minor);
    let Some(wanted) = minor(to) else { return };
    let members = ctx
        .all_facts()
        .filter(|(_, facts)| facts.holds_a_member())
        .filter_map(|(_, facts)| facts.containers.get(Component::Etcd.as_str()))
        .filter(|seen| seen.maker == Maker::Windlass);
    let run: BTreeMap<(u32, u32), &ImageRef> =
        members.filter_map(|seen| Some((minor(&seen.spec.image)?, &seen.spec.image))).collect();
    let (Some((oldest, from_oldest)), Some((newest, from_newest))) =
        (run.first_key_value(), run.last_key_value())
    else {
        return;
    };
    let refusal = if wanted < *newest {
        Refusal::EtcdBack { from: (*from_newest).clone(), to: to.clone() }
    } else if wanted > (oldest.0, oldest.1 + 1) {
        Refusal::EtcdSkipped { from: (*from_oldest).clone(), to: to.clone() }
    } else {
        return;
    };
    build.refuse(Subject::Etcd, refusal, desired.origins.image.clone());
}

/// etcd does not start for the first time while an earlier, interrupted first start may have started it with another list of
/// members on nodes that are unreachable: it may live there. What is seen of it says which list that was.
fn first_start_beside_unseen(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    let is_there =
        || ctx.all_facts().any(|(_, facts)| facts.containers.contains_key(Component::Etcd.as_str()));
    if ctx.seen.ledger.born == Birth::Born || !ctx.etcd_is_silent() || is_there() {
        return;
    }
    let ledger = &ctx.seen.ledger;
    let named = ledger.first_members.iter().filter(|name| ledger.nodes.contains_key(*name));
    let mut had: BTreeSet<&NodeName> = named.collect();
    if ledger.first_members.is_empty() {
        // Ledgers of earlier versions do not name them.
        had.extend(ledger.nodes.keys().filter(|name| ctx.had(name, Role::Etcd)));
    }
    let desired: BTreeSet<&NodeName> = ctx.with_role(Role::Etcd).map(|(name, _)| name).collect();
    let unseen: Vec<NodeName> = had.iter().filter(|name| !ctx.is_reachable(name)).copied().cloned().collect();
    if had != desired && !unseen.is_empty() {
        build.refuse(Subject::Etcd, Refusal::FirstStartUnseen { nodes: unseen }, None);
    }
}

/// A cluster that was live and whose data is lost is never created again.
fn lost_data(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    let ledger = &ctx.seen.ledger;
    let was_external = ledger.foundation.as_ref().is_some_and(Foundation::is_on_external_etcd);
    if ledger.born != Birth::Born || !ctx.etcd_is_silent() || was_external {
        return;
    }
    let had_etcd = ledger.nodes.keys().filter(|name| ctx.had(name, Role::Etcd));
    let etcd_nodes: BTreeSet<&NodeName> =
        ctx.with_role(Role::Etcd).map(|(name, _)| name).chain(had_etcd).collect();
    // etcd that runs has its data, wherever that is.
    let could_hold_data =
        |name: &&NodeName| ctx.facts(name).is_none_or(|facts| facts.holds_a_member() || runs(facts));
    if !etcd_nodes.iter().any(could_hold_data) {
        // What a removal has cleared is no longer in the ledger; what it waits for is.
        let is_cleared = !etcd_nodes.iter().any(|name| ledger.nodes.contains_key(*name));
        let waits_for = if is_cleared { ledger.nodes.keys().cloned().collect() } else { Vec::new() };
        let nodes = etcd_nodes.into_iter().cloned().collect();
        build.refuse(Subject::Etcd, Refusal::EtcdDataLost { nodes, waits_for }, None);
    }
}
