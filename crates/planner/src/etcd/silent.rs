//! etcd while no majority answers: its first start, and its revival from the data that its nodes hold.

use std::sync::Arc;

use windlass_model::{
    Action, Because, CertName, Component, ContainerState, EtcdData, NodeName, Reason, Role, Subject, Unasked,
    Waiting,
};

use super::member_steps::{disturb, start_leaving_member};
use super::membership::Membership;
use super::stage::{Etcd, birth_arguments, desired_members};
use crate::builder::{Follows, Lanes, PlanBuilder, StepHandle};
use crate::compare::Condition;
use crate::context::Context;
use crate::member_places::is_disk_there;
use crate::ownership::has_our_member;
use crate::sight::Sighted;
use crate::site::{Site, await_container};

// The first start.

/// All members at once, each with the list of all the others.
pub(super) fn found<'a>(site: &Site<'_, 'a>, build: &mut PlanBuilder<'a>) -> Etcd<'a> {
    let ctx = site.ctx;
    let mut etcd = Etcd::default();
    let desired: Vec<&'a NodeName> = ctx.with_role(Role::Etcd).map(|(name, _)| name).collect();
    let reachable: Vec<&'a NodeName> =
        desired.iter().filter(|name| ctx.is_reachable(name)).copied().collect();
    if reachable.len() * 2 <= desired.len() {
        for name in reachable {
            let about = Subject::Container(name.clone(), Component::Etcd);
            build.hold(about, Waiting::FirstStartUnreachable, ctx.origin(name));
        }
        return etcd;
    }
    let list = Membership::desired(&desired_members(ctx)).initial_cluster();
    if let Some(members) = other_list(ctx, &list) {
        build.hold(Subject::Etcd, Waiting::FirstStartInterrupted { members }, None);
        return etcd;
    }
    let birth = birth_arguments("new", &list);
    for &name in &reachable {
        if let Some(step) = site.bring_up(name, Component::Etcd, birth.clone(), build) {
            build.after_all(step, site.keys.commit, Because::DurableFirst);
            let wait = await_container(name, Component::Etcd, Some(step), build);
            etcd.heals.push(wait);
        }
    }
    if reachable.iter().any(|name| is_unasked(site, name)) {
        hold_disturbed(site, &reachable, build);
    } else {
        repair_without_majority(site, &mut etcd, &reachable, &birth, build);
    }
    etcd
}

/// The list of members that an earlier, interrupted first start gave to etcd, if it differs from this one.
///
/// Its data cannot be used with another list, and it is unknown whether it was ever live: so it is left
/// alone.
fn other_list(ctx: &Context<'_>, list: &str) -> Option<String> {
    ctx.all_facts().find_map(|(_, facts)| {
        let container = facts.containers.get(Component::Etcd.as_str())?;
        let given =
            container.birth.iter().find_map(|argument| argument.strip_prefix("--initial-cluster="))?;
        (given != list).then(|| given.to_owned())
    })
}

// Revival.

/// The cluster was live and no majority answers: members with data are started, nothing else is touched.
pub(super) fn revive<'a>(site: &Site<'_, 'a>, build: &mut PlanBuilder<'a>) -> Etcd<'a> {
    let ctx = site.ctx;
    let mut etcd = Etcd::default();
    let birth = birth_arguments("existing", &Membership::desired(&desired_members(ctx)).initial_cluster());
    let holders: Vec<&'a NodeName> = ctx
        .all_facts()
        .filter(|(name, facts)| has_our_member(ctx, name, facts))
        .map(|(name, _)| name)
        .collect();
    hold_without_data(ctx, build);
    for &name in &holders {
        let step = if ctx.should_have(name, Role::Etcd) {
            site.bring_up(name, Component::Etcd, birth.clone(), build)
        } else {
            start_leaving_member(ctx, name, build)
        };
        if let Some(step) = step {
            etcd.heals.push(await_container(name, Component::Etcd, Some(step), build));
        }
    }
    let members_come_up = !etcd.heals.is_empty();
    // Those that could not be asked may be a majority: etcd is not broken merely because nobody received an
    // answer.
    let is_silence_known = !holders.iter().any(|name| is_unasked(site, name));
    let founders =
        if is_silence_known { remove_founders(site, &mut etcd, &holders, build) } else { Vec::new() };
    if !is_silence_known {
        hold_disturbed(site, &holders, build);
    } else if !members_come_up {
        let repaired = repair_without_majority(site, &mut etcd, &holders, &birth, build);
        for step in repaired {
            build.after_all(step, founders.iter().copied(), Because::Gate);
        }
    } else {
        for name in holders.iter().filter(|name| site.conditions.is_disturbed(name, Component::Etcd)) {
            let about = Subject::Container((*name).clone(), Component::Etcd);
            build.defer(Follows::ByItself, about, Waiting::MemberUnchanged, ctx.origin(name));
        }
    }
    // A member joins as soon as there is a majority.
    let follows = Follows::any_of(&etcd.heals);
    let had_members = ctx.seen.ledger.nodes.keys().filter(|name| ctx.had(name, Role::Etcd));
    let lost: Vec<NodeName> = had_members.filter(|name| !ctx.is_reachable(name)).cloned().collect();
    for name in without_data(ctx, &holders) {
        let about = Subject::Container(name.clone(), Component::Etcd);
        let waiting = Waiting::NoDataToRevive { holders: lost.clone() };
        build.defer(follows, about, waiting, ctx.origin(name));
    }
    etcd
}

/// Holds members that may have their data, though it is not seen where it should be: a part of it is missing, or etcd
/// runs or was merely stopped.
fn hold_without_data(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    for node in ctx.reachable().filter(|node| node.desired.has(Role::Etcd)) {
        let Sighted { name, facts, .. } = *node;
        let places = ctx.desired.footprints.under(facts.prefix.as_ref()).etcd();
        let state = facts.containers.get(Component::Etcd.as_str()).map(|etcd| etcd.state);
        let waiting = match (facts.etcd_data, state) {
            (EtcdData::Incomplete, _) => Waiting::MemberIncomplete { places },
            (EtcdData::Absent, Some(ContainerState::Running | ContainerState::Paused)) => {
                Waiting::MemberDataUnseen { path: places.data }
            }
            (EtcdData::Absent, Some(ContainerState::Stopped | ContainerState::Created))
                if !is_disk_there(ctx, facts) =>
            {
                Waiting::MemberDiskMissing { path: places.data }
            }
            (EtcdData::Present | EtcdData::Absent, _) => continue,
        };
        build.hold(Subject::Container(name.clone(), Component::Etcd), waiting, ctx.origin(name));
    }
}

/// Holds everything that would take down a container of etcd that answered while others could not be asked.
fn hold_disturbed<'a>(site: &Site<'_, 'a>, holders: &[&'a NodeName], build: &mut PlanBuilder<'a>) {
    for name in holders.iter().filter(|name| site.conditions.is_disturbed(name, Component::Etcd)) {
        let about = Subject::Container((*name).clone(), Component::Etcd);
        build.hold(about, Waiting::MemberUnchanged, site.ctx.origin(name));
    }
}

/// Whether the container of etcd runs and could not be asked. One whose certificate nobody accepts counts
/// only where it gets no new one, and where its certificate is not known to have expired: its peers refuse that too.
fn is_unasked(site: &Site<'_, '_>, name: &NodeName) -> bool {
    let seen = site.ctx.facts(name).and_then(|facts| facts.containers.get(Component::Etcd.as_str()));
    let why =
        seen.filter(|seen| seen.state == ContainerState::Running).and_then(|seen| seen.health.unasked());
    match why {
        Some(Unasked::NoWay | Unasked::NoAnswer) => true,
        Some(Unasked::Certificates) => {
            !site.conditions.is_disturbed(name, Component::Etcd) && !has_expired(site.ctx, name)
        }
        None => false,
    }
}

/// Whether the certificate of the node's member has expired.
fn has_expired(ctx: &Context<'_>, name: &NodeName) -> bool {
    let cert = CertName::of_node("kube-etcd", name);
    ctx.seen.ledger.certs.get(&cert).is_some_and(|face| face.not_after <= ctx.seen.taken_at)
}

/// A process without data that still has the arguments of the first start creates a new cluster as soon as no
/// peer announces the old one: it is removed before any member is touched.
fn remove_founders<'a>(
    site: &Site<'_, 'a>,
    etcd: &mut Etcd<'a>,
    holders: &[&'a NodeName],
    build: &mut PlanBuilder<'a>,
) -> Vec<StepHandle> {
    let ctx = site.ctx;
    let mut founders = Vec::new();
    for name in without_data(ctx, holders) {
        let Some(facts) = ctx.facts(name) else { continue };
        let is_lost = match facts.containers.get(Component::Etcd.as_str()).map(|seen| seen.state) {
            Some(ContainerState::Crashing) => true,
            Some(ContainerState::Created | ContainerState::Stopped) => is_disk_there(ctx, facts),
            Some(ContainerState::Running | ContainerState::Paused) | None => false,
        };
        if is_lost {
            let step = build.step(
                name,
                Component::Etcd,
                Action::RemoveContainer {
                    node: name.clone(),
                    container: Component::Etcd.container(),
                    guards: vec![],
                },
                vec![Reason::MemberLostData],
                vec![],
            );
            etcd.changed.insert((name, Component::Etcd), step);
            founders.push(step);
        }
    }
    founders
}

/// The reachable nodes of etcd that hold no data.
fn without_data<'a>(ctx: &Context<'a>, holders: &[&NodeName]) -> Vec<&'a NodeName> {
    let of_etcd = ctx.with_role(Role::Etcd).map(|(name, _)| name);
    let has_nothing = |name: &&NodeName| {
        ctx.facts(name).is_some_and(|facts| facts.etcd_data == EtcdData::Absent) && !holders.contains(name)
    };
    of_etcd.filter(has_nothing).collect()
}

/// Replaces or restarts what runs without a majority, one after another.
///
/// Nothing becomes healthy before there is a majority, so the waits come after the last repair. Members that
/// are yet to be started are started first: the majority may form with them, and must not be broken as it
/// forms. Returns the steps that take something down.
fn repair_without_majority<'a>(
    site: &Site<'_, 'a>,
    etcd: &mut Etcd<'a>,
    nodes: &[&'a NodeName],
    birth: &[Arc<str>],
    build: &mut PlanBuilder<'a>,
) -> Vec<StepHandle> {
    let starts = etcd.heals.clone();
    let mut lanes = Lanes::new(1, Because::OneAtATime);
    let mut repaired = Vec::new();
    for &name in nodes {
        if site.condition(name, Component::Etcd) == Some(&Condition::Settling) {
            etcd.heals.push(await_container(name, Component::Etcd, None, build));
        }
        let Some(steps) = disturb(site, etcd, name, birth.to_vec(), build) else { continue };
        build.after_all(steps.last, starts.iter().copied(), Because::HealFirst);
        lanes.add(build, steps.last, steps.last);
        repaired.push((name, steps.last));
    }
    for &(name, step) in &repaired {
        let wait = await_container(name, Component::Etcd, Some(step), build);
        build.after_all(wait, lanes.open_ends().to_vec(), Because::Gate);
        etcd.heals.push(wait);
    }
    etcd.ends.extend(lanes.open_ends());
    repaired.into_iter().map(|(_, step)| step).collect()
}
