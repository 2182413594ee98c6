//! The steps by which one member of etcd joins, votes, changes or leaves.

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_model::{
    Action, Because, Component, ContainerState, DesiredNode, Guard, MemberSeen, NodeName, Reason, SpecPath,
    Subject, Vote, Waiting,
};

use super::clear::clear_member;
use super::membership::Membership;
use super::stage::{Etcd, birth_arguments};
use super::via::via;
use crate::builder::{PlanBuilder, StepHandle};
use crate::context::Context;
use crate::files;
use crate::site::Site;

/// Seconds within which a learner must have caught up, besides those for the size of the database.
const CATCH_UP_WITHIN_SECONDS: u32 = 600;
/// How many bytes of the database a learner gets and writes in a second at least: half of what etcd's own guide assumes,
/// 100 MB in 15 s, over a network of 100 Mbit/s at half its load.
const CAUGHT_UP_IN_A_SECOND: u64 = 3_000_000;

/// How long a learner may take: a database of several gigabytes takes longer than the quarter of an hour that is enough for
/// others.
fn catch_up_within_seconds(members: &[MemberSeen]) -> u32 {
    let largest = members.iter().filter_map(|member| member.db_bytes).max().unwrap_or(0);
    let seconds = u32::try_from(largest / CAUGHT_UP_IN_A_SECOND).unwrap_or(u32::MAX);
    CATCH_UP_WITHIN_SECONDS.saturating_add(seconds)
}

/// A sequence of steps that others wait for, or that waits for others: its first and its last step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    pub(super) first: StepHandle,
    pub(super) last: StepHandle,
}

/// Removes a member, unless the rest would have no majority: then the removal is held.
pub(super) fn leave<'a>(
    ctx: &Context<'a>,
    membership: &mut Membership,
    member: &MemberSeen,
    reason: Reason,
    again: LookAgain,
    build: &mut PlanBuilder<'a>,
) -> Option<StepHandle> {
    let node = ctx.node_of_peer(&member.peer_url);
    match membership.after_dropping(&member.peer_url) {
        Some(rest) => *membership = rest,
        None if ctx.may_lose_majority() => *membership = membership.without(&member.peer_url),
        None => {
            let about = match node {
                Some(node) => Subject::Container(node.clone(), Component::Etcd),
                None => Subject::Member(member.id),
            };
            build.hold(about, Waiting::MemberNeeded, None);
            return None;
        }
    }
    let place = node.map_or_else(|| "cluster".to_owned(), ToString::to_string);
    let subject = if node.is_some() { "etcd".to_owned() } else { format!("etcd-{}", member.id) };
    let origins: Vec<SpecPath> = node.and_then(|node| ctx.origin(node)).into_iter().collect();
    Some(build.step(
        place,
        subject,
        Action::EtcdMemberRemove {
            id: member.id,
            peer_url: member.peer_url.clone(),
            via: via(ctx, ctx.seen.etcd.members(), node),
            guards: node.map(|node| leave_guards(ctx, node, again)).unwrap_or_default(),
        },
        vec![reason],
        origins,
    ))
}

/// Whether a member is looked at again before it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookAgain {
    /// It is: it is removed because it seemed to be lost, and may have come back since.
    IsItLost,
    /// It is not: it is removed because it is no longer desired, whether it works or not.
    No,
}

fn leave_guards(ctx: &Context<'_>, node: &NodeName, again: LookAgain) -> Vec<Guard> {
    let majority = majority_guard(ctx, node);
    match again {
        LookAgain::No => vec![majority],
        LookAgain::IsItLost => {
            let via = via(ctx, ctx.seen.etcd.members(), Some(node));
            vec![Guard::EtcdMemberLost { node: node.clone(), via }, majority]
        }
    }
}

/// Clears the node, adds a learner, runs it and lets it vote.
pub(super) fn join<'a>(
    site: &Site<'_, 'a>,
    etcd: &mut Etcd<'a>,
    (name, node): (&'a NodeName, &'a DesiredNode),
    list: &str,
    reason: &Reason,
    build: &mut PlanBuilder<'a>,
) -> Sequence {
    let ctx = site.ctx;
    let members = ctx.seen.etcd.members();
    let cleared = clear_member(ctx, &etcd.left, name, reason, build);
    // What it waits for where nothing is to be cleared: its former member is removed.
    let before = cleared.map(|cleared| cleared.last).or(etcd.left.get(name).copied());
    let add = build.step(
        name,
        Component::Etcd,
        Action::EtcdMemberAdd {
            node: name.clone(),
            peer_url: node.target.peer_url(),
            via: via(ctx, members, Some(name)),
        },
        vec![reason.clone()],
        vec![node.origin.clone()],
    );
    build.after_all(add, before, Because::Needs);
    let run = run(site, (name, node), birth_arguments("existing", list), reason.clone(), build);
    build.after(run, add, Because::Needs);
    let promote = promote(ctx, (name, node), build);
    build.after(promote, run, Because::Needs);
    // A learner that cannot start would block all further members: what it needs is present before it joins.
    let image = node.containers.get(&Component::Etcd).map(|desired| desired.spec.image.clone());
    let pull = image.and_then(|image| site.image(name, &image, build));
    let files = site.files.written.get(name).copied();
    build.after_all(add, pull.into_iter().chain(files), Because::Needs);
    etcd.joined.insert(name, promote);
    Sequence { first: cleared.map_or(add, |cleared| cleared.first), last: promote }
}

/// Lets a learner vote when it has caught up.
pub(super) fn promote(
    ctx: &Context<'_>,
    (name, node): (&NodeName, &DesiredNode),
    build: &mut PlanBuilder<'_>,
) -> StepHandle {
    build.step(
        name,
        Component::Etcd,
        Action::EtcdMemberPromote {
            node: name.clone(),
            peer_url: node.target.peer_url(),
            via: via(ctx, ctx.seen.etcd.members(), Some(name)),
            within_seconds: catch_up_within_seconds(ctx.seen.etcd.members()),
        },
        vec![Reason::MemberLearns],
        vec![node.origin.clone()],
    )
}

/// Runs etcd on a node that is or will be cleared, whatever is there now.
fn run<'a>(
    site: &Site<'_, 'a>,
    (name, node): (&'a NodeName, &'a DesiredNode),
    birth: Vec<Arc<str>>,
    reason: Reason,
    build: &mut PlanBuilder<'a>,
) -> StepHandle {
    let desired = &node.containers[&Component::Etcd];
    let image = site.image(name, &desired.spec.image, build);
    let step = build.step(
        name,
        Component::Etcd,
        Action::RunContainer {
            node: name.clone(),
            component: Component::Etcd,
            spec: desired.spec.clone(),
            birth,
            forgets: BTreeSet::new(),
        },
        vec![reason],
        vec![node.origin.clone()],
    );
    site.needs_ground(step, name, image, build);
    hand_files_over(site, name, step, build);
    step
}

/// Replaces or restarts a member that differs or is sick, after its files have been given to the user as whom
/// it runs.
pub(super) fn disturb<'a>(
    site: &Site<'_, 'a>,
    etcd: &mut Etcd<'a>,
    name: &'a NodeName,
    birth: Vec<Arc<str>>,
    build: &mut PlanBuilder<'a>,
) -> Option<Sequence> {
    let guards = vec![majority_guard(site.ctx, name)];
    let step = site.disturb(name, Component::Etcd, birth, guards, build)?;
    etcd.changed.insert((name, Component::Etcd), step);
    let handed = hand_files_over(site, name, step, build);
    Some(Sequence { first: handed.unwrap_or(step), last: step })
}

/// Plans that etcd's files are given to the user as whom this step runs it, right before the step: etcd reads
/// its key at each handshake, and the others lose a member that can no longer read it.
fn hand_files_over(
    site: &Site<'_, '_>,
    name: &NodeName,
    step: StepHandle,
    build: &mut PlanBuilder<'_>,
) -> Option<StepHandle> {
    let differing = site.files.handed.get(name)?.clone();
    let write = files::write(site.keys, name, "etcd", differing, build);
    build.after(step, write, Because::Needs);
    Some(write)
}

/// Starts the member of a node that is to be removed: the others may need its vote until then.
pub(super) fn start_leaving_member(
    ctx: &Context<'_>,
    name: &NodeName,
    build: &mut PlanBuilder<'_>,
) -> Option<StepHandle> {
    let container = ctx.facts(name)?.containers.get(Component::Etcd.as_str())?;
    let down = matches!(container.state, ContainerState::Stopped | ContainerState::Created);
    down.then(|| {
        build.step(
            name,
            Component::Etcd,
            Action::StartContainer { node: name.clone(), component: Component::Etcd },
            vec![Reason::NotRunning { state: container.state }],
            vec![],
        )
    })
}

/// A guard that the other members are a majority, checked right before this node's member is disturbed.
fn majority_guard(ctx: &Context<'_>, node: &NodeName) -> Guard {
    let via = via(ctx, ctx.seen.etcd.members(), None);
    Guard::EtcdMajorityWithout { node: node.clone(), via }
}

/// Whether this member is a learner.
pub(super) fn learns(member: &MemberSeen) -> bool {
    member.vote == Vote::Learner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learner_has_longer_the_larger_the_database_is() {
        let member = |db_bytes| MemberSeen {
            id: windlass_model::MemberId(1),
            name: "etcd-node-1".to_owned(),
            peer_url: "https://10.0.0.1:2380".to_owned(),
            vote: Vote::Voter,
            health: windlass_model::Health::Healthy,
            leads: true,
            alarms: BTreeSet::new(),
            db_bytes,
        };
        assert_eq!(catch_up_within_seconds(&[member(None)]), 600);
        let gigabytes = 8 << 30;
        assert_eq!(catch_up_within_seconds(&[member(Some(20 << 20)), member(Some(gigabytes))]), 600 + 2_863);
    }
}
