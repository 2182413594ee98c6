//! What must be in place before something is removed.

use windlass_model::{NodeName, Readiness, Role, WaitsFor};

use crate::builder::{Follows, StepHandle};
use crate::etcd::leave::Left;
use crate::nodes::{Given, Nodes};

/// What the stages before have planned, as removals need it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before<'s, 'c, 'a> {
    pub(crate) given: Given<'s, 'c, 'a>,
    pub(crate) nodes: &'s Nodes<'a>,
    /// The steps that take members out of etcd.
    pub(crate) left: &'s Left<'a>,
}

/// Why no API server is removed, and whether the removal follows by itself: those that stay are not as
/// desired even after this plan, or none of them works; or a node in use is unreachable, and its nginx-proxy
/// cannot be given another address.
pub(crate) fn why_api_servers_stay(before: Before<'_, '_, '_>) -> Option<WaitsFor> {
    let Given { site, api_servers, control_plane, .. } = before.given;
    let ctx = site.ctx;
    if !api_servers.one_stays() || control_plane.held {
        return Some(WaitsFor::ApiServersAsDesired);
    }
    let is_at_work =
        |name: &NodeName| ctx.object(name).is_some_and(|object| object.ready == Readiness::Ready);
    let mut others = ctx.desired.nodes.iter().filter(|(_, node)| !node.has(Role::ControlPlane));
    let (unseen, _) = others.find(|(name, _)| !ctx.is_reachable(name) && is_at_work(name))?;
    Some(WaitsFor::WorkerReachable(unseen.clone()))
}

/// The waits for everything that replaces an API server that is removed.
pub(crate) fn what_replaces_an_api_server(before: Before<'_, '_, '_>) -> Vec<StepHandle> {
    let Before { given: Given { control_plane, .. }, nodes, .. } = before;
    control_plane.ends.iter().chain(&control_plane.heals).chain(&nodes.reloads).copied().collect()
}

/// Whether members of etcd that are held now are removed in a later round: when this plan gives etcd a
/// majority again.
pub(crate) fn members_follow(before: Before<'_, '_, '_>) -> Follows {
    let Given { site, etcd, .. } = before.given;
    if site.ctx.etcd_is_silent() { Follows::any_of(&etcd.heals) } else { Follows::Not }
}
