//! Clears a node of a former member: its container is removed, its data is moved aside and kept.

use std::collections::BTreeMap;

use windlass_model::{Action, Because, Component, EtcdSeen, Guard, NodeName, Note, Reason, Subject};

use super::via::via;
use crate::builder::{PlanBuilder, StepHandle};
use crate::context::Context;
use crate::member_places::{aside, member_directories};
use crate::ownership::{has_our_data, has_ours};

/// The steps that clear a node: the first and the last of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cleared {
    pub(crate) first: StepHandle,
    pub(crate) last: StepHandle,
}

/// Removes the container of a former member and moves its data aside, after the steps by which members
/// `left`. None if nothing of it exists.
pub(crate) fn clear_member<'a>(
    ctx: &Context<'a>,
    left: &BTreeMap<&'a NodeName, StepHandle>,
    name: &'a NodeName,
    reason: &Reason,
    build: &mut PlanBuilder<'a>,
) -> Option<Cleared> {
    let facts = ctx.facts(name)?;
    let left = left.get(name).copied();
    let guards = member_out(ctx, name);
    let mut cleared: Option<Cleared> = None;
    if has_ours(ctx, name, facts, Component::Etcd) {
        let remove = build.step(
            name,
            Component::Etcd,
            Action::RemoveContainer {
                node: name.clone(),
                container: Component::Etcd.container(),
                guards: guards.clone(),
            },
            vec![reason.clone()],
            vec![],
        );
        build.after_all(remove, left, Because::Needs);
        cleared = Some(Cleared { first: remove, last: remove });
    }
    if has_our_data(ctx, name, facts) {
        for (subject, path) in member_directories(ctx, facts) {
            let to = aside(ctx, &path);
            build.note(Subject::EtcdData(name.clone()), Note::FormerDataKept { path: to.to_string() }, None);
            let action = Action::MoveAside { node: name.clone(), path, to, guards: guards.clone() };
            let aside = build.step(name, subject, action, vec![Reason::DataOfFormerMember], vec![]);
            build.after_all(aside, cleared.map(|cleared| cleared.last).or(left), Because::Needs);
            cleared = Some(Cleared { first: cleared.map_or(aside, |cleared| cleared.first), last: aside });
        }
    }
    cleared
}

/// A node whose member works by then keeps its container and its data, if etcd can be asked at all.
fn member_out(ctx: &Context<'_>, name: &NodeName) -> Vec<Guard> {
    match &ctx.seen.etcd {
        EtcdSeen::Silent => Vec::new(),
        EtcdSeen::Members(members) => {
            vec![Guard::EtcdMemberOut { node: name.clone(), via: via(ctx, members, Some(name)) }]
        }
    }
}
