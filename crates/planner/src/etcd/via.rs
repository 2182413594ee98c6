//! Through which nodes etcd can be asked.

use windlass_model::{Health, MemberSeen, NodeName, Role};

use crate::context::Context;
use crate::ownership::may_hold_a_member;

/// All nodes whose members can be asked, including unreachable ones, since they count: those most likely to
/// answer first, and `except` after its equals. While etcd does not list its members, every node with data of
/// a member may be one.
pub(super) fn via(ctx: &Context<'_>, members: &[MemberSeen], except: Option<&NodeName>) -> Vec<NodeName> {
    let mut nodes: Vec<(bool, bool, bool, NodeName)> = ctx
        .seen
        .nodes
        .keys()
        .filter_map(|name| {
            let is_or_may_be_one =
                ctx.should_have(name, Role::Etcd) || (members.is_empty() && may_hold_a_member(ctx, name));
            if members.is_empty() && !is_or_may_be_one {
                return None;
            }
            let peer = ctx.peer_url(name)?;
            let member = members.iter().find(|member| member.peer_url == peer);
            (member.is_some() || is_or_may_be_one).then(|| {
                let healthy = member.is_some_and(|member| member.health == Health::Healthy);
                (!ctx.is_reachable(name), Some(name) == except, !healthy, name.clone())
            })
        })
        .collect();
    nodes.sort();
    nodes.into_iter().map(|(_, _, _, name)| name).collect()
}
