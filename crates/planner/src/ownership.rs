//! Whether a thing on a node belongs to this cluster or to somebody else, by its labels and by the ledger.
//!
//! A name alone proves nothing: others call containers `etcd` too, and a typing error in an address leads to
//! a machine of another cluster.
//!
//! ```text
//! container  windlass' label, this lineage          ours
//!            windlass' label, no lineage (old)      ours on a node of the ledger
//!            windlass' label, another lineage       another cluster's
//!            RKE's label                            RKE's
//!            no label                               ours if the ledger says that ours was there, and it
//!                                                   uses this cluster's directories: recreated by hand
//! data       of etcd                                ours if the ledger says so, or a member of ours is there
//! ```

use windlass_model::{
    Birth, Component, ContainerName, ContainerSeen, ContainerSpec, EtcdData, FilePath, Footprint, Foreign,
    Lineage, MadeBy, Maker, NodeFacts, NodeName, Role,
};

use crate::context::Context;
use crate::sight::Sighted;

/// Whether windlass made a container for this cluster, whatever its name; labels of earlier releases count on nodes that
/// the ledger knows.
fn bears_our_label(ctx: &Context<'_>, node: &NodeName, seen: &ContainerSeen) -> bool {
    if seen.maker != Maker::Windlass {
        return false;
    }
    match (&seen.lineage, &ctx.lineage) {
        (Some(lineage), Some(own)) => lineage == own,
        (Some(_), None) => false,
        (None, Some(_)) if ctx.seen.ledger.lineage.is_some() => ctx.last(node).is_some(),
        // A cluster whose ledger is lost is removed.
        (None, _) => true,
    }
}

/// Whether a container is this cluster's, so that it may be stopped, replaced and removed.
pub(crate) fn is_ours(
    ctx: &Context<'_>,
    node: &NodeName,
    name: &ContainerName,
    seen: &ContainerSeen,
) -> bool {
    let component = Component::of_successor_or_container(name);
    if ctx.owns_by_name() {
        return seen.maker == Maker::Windlass || component.is_some();
    }
    // An image that somebody committed from a container of ours inherits its labels, but not its name.
    let Some(component) = component else { return false };
    match seen.maker {
        Maker::Windlass => bears_our_label(ctx, node, seen),
        // It is not touched: as long as there is one, everything is refused.
        Maker::Unreadable => ctx.last(node).is_some() || ctx.seen.ledger.lineage.is_none(),
        Maker::Rke => false,
        Maker::Other => stands_for_ours(ctx, node, component, &seen.spec),
    }
}

/// Whether the component of this name on a node is this cluster's.
pub(crate) fn has_ours(ctx: &Context<'_>, node: &NodeName, facts: &NodeFacts, component: Component) -> bool {
    let name = component.container();
    facts.containers.get(&name).is_some_and(|seen| is_ours(ctx, node, &name, seen))
}

/// Whether a container without label is where the ledger says that one of ours was, and uses this cluster's
/// directories.
fn stands_for_ours(ctx: &Context<'_>, node: &NodeName, component: Component, spec: &ContainerSpec) -> bool {
    let role = component.nature().runs.role();
    let Some(last) = ctx.last(node).filter(|last| role.is_none_or(|role| last.roles.contains(&role))) else {
        return false;
    };
    uses(ctx.desired.footprints.under(last.prefix.as_ref()), spec)
}

/// Whether a container mounts a directory of the footprint, or names a file in it.
fn uses(footprint: &Footprint, spec: &ContainerSpec) -> bool {
    let is_own = |path: &str| {
        let path = path.trim_end_matches('/');
        let inside = |directory: &FilePath| {
            path.strip_prefix(directory.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        footprint.files.contains(path) || footprint.all_directories().keys().any(inside)
    };
    let sources = spec.binds.iter().filter_map(|bind| bind.split(':').next());
    let values = spec.command.iter().filter_map(|argument| argument.split_once('=')).map(|(_, value)| value);
    sources.chain(values).any(is_own)
}

/// Whether a node is known to be this cluster's: by the ledger, by a copy of it, or by a container.
pub(crate) fn is_known(ctx: &Context<'_>, node: &NodeName, facts: &NodeFacts) -> bool {
    ctx.last(node).is_some()
        || (ctx.lineage.is_some() && facts.ledger.as_ref().map(|copy| &copy.lineage) == ctx.lineage.as_ref())
        || facts.containers.iter().any(|(name, seen)| {
            Component::of_successor_or_container(name).is_some() && bears_our_label(ctx, node, seen)
        })
}

/// Whether there is anything of a member of etcd on a node, and it belongs to this cluster.
pub(crate) fn has_our_data(ctx: &Context<'_>, node: &NodeName, facts: &NodeFacts) -> bool {
    facts.holds_a_member() && is_our_place(ctx, node, facts)
}

/// Whether a node holds all of a member of this cluster where cluster.yml has it: only then etcd may be started there.
pub(crate) fn has_our_member(ctx: &Context<'_>, node: &NodeName, facts: &NodeFacts) -> bool {
    facts.etcd_data == EtcdData::Present && has_our_data(ctx, node, facts)
}

/// Whether the places of etcd on a node belong to this cluster, whatever is there.
pub(crate) fn is_our_place(ctx: &Context<'_>, node: &NodeName, facts: &NodeFacts) -> bool {
    ctx.owns_by_name() || may_have_our_data(ctx, node, facts)
}

/// Whether a member of this cluster was on a node, and nobody else's has replaced it.
fn may_have_our_data(ctx: &Context<'_>, node: &NodeName, facts: &NodeFacts) -> bool {
    let is_there = facts.containers.contains_key(Component::Etcd.as_str());
    has_ours(ctx, node, facts, Component::Etcd) || (!is_there && ctx.had(node, Role::Etcd))
}

/// Whether a node has data of a member, or had etcd when it was last seen.
pub(crate) fn may_hold_a_member(ctx: &Context<'_>, node: &NodeName) -> bool {
    match ctx.facts(node) {
        Some(facts) => has_our_data(ctx, node, facts),
        None => ctx.had(node, Role::Etcd),
    }
}

/// Whether the cluster may be live, though the ledger does not say so yet, because the run that would have
/// recorded it was interrupted.
pub(crate) fn may_live(ctx: &Context<'_>) -> bool {
    ctx.seen.ledger.born == Birth::Born
        || ctx.is_seen_to_live()
        || ctx.all_facts().any(|(name, facts)| has_our_data(ctx, name, facts))
}

/// What keeps this cluster from using a desired node: it belongs to another cluster, or somebody else's
/// things are where this cluster's must be. Only a cluster that has a lineage can decide this; before, the
/// same is refused as a whole.
pub(crate) fn in_the_way(ctx: &Context<'_>, node: &Sighted<'_>) -> Option<(Stranger, Foreign)> {
    ctx.lineage.as_ref()?;
    let Sighted { name, desired, facts, .. } = *node;
    let is_known = is_known(ctx, name, facts);
    let is_desired = |container: &ContainerName| {
        Component::of_successor_or_container(container)
            .is_some_and(|component| desired.containers.contains_key(&component))
    };
    let mut found = found_on(ctx, name, facts);
    found.etcd_data = found.etcd_data.filter(|_| desired.has(Role::Etcd));
    let is_anothers = found.made_by != MadeBy::Somebody;
    if is_known || !is_anothers {
        found.containers.retain(is_desired);
    }
    if is_known {
        found.files.clear();
        // The rest then shows whose it is.
        found.made_by = made_by(ctx, facts, &found);
    }
    let stranger = if is_known { Stranger::Things } else { Stranger::Machine };
    (!found.is_empty()).then_some((stranger, found))
}

/// What does not belong to this cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stranger {
    /// The whole machine: this cluster has never had anything on it.
    Machine,
    /// Some things on a machine of this cluster.
    Things,
}

/// Everything that was found on a node and does not belong to this cluster.
pub(crate) fn found_on(ctx: &Context<'_>, node: &NodeName, facts: &NodeFacts) -> Foreign {
    let containers = facts.containers.iter().filter(|(name, seen)| {
        Component::of_successor_or_container(name).is_some() && !is_ours(ctx, node, name, seen)
    });
    let footprint = ctx.desired.footprints.under(facts.prefix.as_ref());
    let marks = MadeBy::MARKS.iter().filter(|(path, _)| facts.files.contains_key(*path));
    let is_strange = |copy: &Lineage| Some(copy) != ctx.lineage.as_ref();
    let strange_ledger =
        facts.ledger.as_ref().filter(|copy| is_strange(&copy.lineage)).map(|_| footprint.ledger.clone());
    let data = facts.etcd_data != EtcdData::Absent && !has_our_data(ctx, node, facts);
    let mut found = Foreign {
        made_by: MadeBy::Somebody,
        containers: containers.map(|(name, _)| name.clone()).collect(),
        files: marks.map(|(path, _)| FilePath::from(*path)).chain(strange_ledger).collect(),
        etcd_data: data.then(|| footprint.etcd_data.clone()),
    };
    found.made_by = made_by(ctx, facts, &found);
    found
}

/// Who made what was found, as far as any of it shows.
fn made_by(ctx: &Context<'_>, facts: &NodeFacts, found: &Foreign) -> MadeBy {
    let seen = || found.containers.iter().filter_map(|name| facts.containers.get(name));
    let of_copy = facts
        .ledger
        .as_ref()
        .map(|copy| &copy.lineage)
        .filter(|_| found.files.contains(&ctx.desired.footprints.under(facts.prefix.as_ref()).ledger));
    let of_label = seen().find_map(|seen| seen.lineage.as_ref());
    if let Some(lineage) = of_label.or(of_copy) {
        return MadeBy::Cluster(lineage.clone());
    }
    if seen().any(|seen| matches!(seen.maker, Maker::Windlass | Maker::Unreadable)) {
        return MadeBy::SomeCluster;
    }
    if seen().any(|seen| seen.maker == Maker::Rke) {
        return MadeBy::Rke;
    }
    let mark = MadeBy::MARKS.iter().find(|(path, _)| found.files.contains(*path));
    mark.map_or(MadeBy::Somebody, |(_, tool)| tool.clone())
}
