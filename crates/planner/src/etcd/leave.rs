//! Removes healthy members that are no longer desired, once the control plane knows those that stay.

use std::collections::BTreeMap;

use windlass_model::{Because, Health, Intent, MemberSeen, NodeName, Reason, Role, Subject, Waiting};

use super::member_steps::{LookAgain, leave};
use super::stage::Etcd;
use crate::api_servers::ApiServers;
use crate::builder::{Lanes, PlanBuilder, StepHandle};
use crate::context::Context;
use crate::control_plane::ControlPlane;

/// The steps that remove members from etcd, by node: those of the stage of etcd, and these.
pub(crate) type Left<'a> = BTreeMap<&'a NodeName, StepHandle>;

/// Plans the removal of healthy members that are no longer desired.
pub(crate) fn plan<'a>(
    ctx: &Context<'a>,
    api_servers: &ApiServers,
    etcd: &Etcd<'a>,
    control_plane: &ControlPlane<'a>,
    build: &mut PlanBuilder<'a>,
) -> Left<'a> {
    let mut left = etcd.left.clone();
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => {}
        // A reissue leaves members as they are, and a cluster that is removed needs no majority.
        Intent::Reissue { .. } | Intent::Dismantle { .. } => return left,
    }
    let leaving: Vec<&'a MemberSeen> = ctx
        .seen
        .etcd
        .members()
        .iter()
        .filter(|member| member.health == Health::Healthy && etcd.membership.is_leaving(&member.peer_url))
        .collect();
    if leaving.is_empty() || etcd.held {
        return left;
    }
    if control_plane.held || api_servers.one_holds_back(ctx) {
        build.hold(Subject::Etcd, Waiting::MembersInUse, None);
        return left;
    }
    let mut membership = etcd.membership.clone();
    let mut lanes = Lanes::new(1, Because::OneAtATime);
    for member in leaving {
        let node = ctx.node_of_peer(&member.peer_url);
        let reason = if node.is_some_and(|node| ctx.desired.nodes.contains_key(node)) {
            Reason::RoleLost { role: Role::Etcd }
        } else {
            Reason::NodeLeft
        };
        let Some(step) = leave(ctx, &mut membership, member, reason, LookAgain::No, build) else { continue };
        if lanes.begins_lane() {
            let before = etcd.ends.iter().chain(&control_plane.ends).chain(&control_plane.heals);
            build.after_all(step, before.copied(), Because::RemoveLast);
            build.after_all(step, etcd.heals.iter().copied(), Because::HealFirst);
        }
        lanes.add(build, step, step);
        if let Some(node) = node {
            left.insert(node, step);
        }
    }
    left
}
