//! Kubelet, kube-proxy and nginx-proxy of every node: new ones all at once; `rolling.rs` changes live ones.

use std::collections::BTreeMap;

use windlass_model::{
    Action, Because, Birth, Component, ContainerState, DesiredNode, Difference, Intent, NodeName, NodeObject,
    Readiness, Reason, Role, Scheduling, Subject, Waiting, WaitsFor,
};

use crate::api_servers::{ApiServers, ApiServersAfter, Old};
use crate::builder::{Follows, PlanBuilder, StepHandle};
use crate::compare::Condition;
use crate::context::Context;
use crate::control_plane::ControlPlane;
use crate::etcd::Etcd;
use crate::files;
use crate::site::{Changes, Site, await_container, await_container_as, await_ready, await_reconnected};

/// The components of a node, in the order in which they are changed: the connection to the API first.
pub(crate) const COMPONENTS: [Component; 3] =
    [Component::NginxProxy, Component::Kubelet, Component::KubeProxy];

/// What a plan does with the nodes.
#[derive(Debug, Default)]
pub(crate) struct Nodes<'a> {
    /// The last step of this plan that brings a node up again.
    pub(crate) ready: BTreeMap<&'a NodeName, StepHandle>,
    /// The ends of its disturbances.
    pub(crate) ends: Vec<StepHandle>,
    /// The waits for nginx-proxies that read a new list of API servers.
    pub(crate) reloads: Vec<StepHandle>,
    /// The waits for what it starts.
    pub(crate) heals: Vec<StepHandle>,
    /// The waits for what it repairs on broken workers, where these need no API server of this plan.
    pub(crate) repaired: Vec<(&'a NodeName, StepHandle)>,
    /// The waits for nginx-proxies that were down and start on the list of API servers that they have.
    pub(crate) old_lists: BTreeMap<&'a NodeName, StepHandle>,
    /// The writes of changed lists of API servers.
    pub(crate) proxy_files: BTreeMap<&'a NodeName, StepHandle>,
    /// The steps that replace or restart containers.
    pub(crate) changed: Changes<'a>,
}

/// The nodes after what they lack has been started, before anything of them is replaced or restarted.
#[derive(Debug)]
pub(crate) struct BroughtUp<'a>(pub(crate) Nodes<'a>);

/// The inputs of the stage of the nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'s, 'c, 'a> {
    pub(crate) site: &'s Site<'c, 'a>,
    pub(crate) known: &'s ApiServers,
    pub(crate) api_servers: ApiServersAfter<'s, 'a>,
    pub(crate) etcd: &'s Etcd<'a>,
    pub(crate) control_plane: &'s ControlPlane<'a>,
    /// The step that deploys the pod network, without which no node becomes ready.
    pub(crate) network: Option<StepHandle>,
}

/// Starts what is absent or down on the nodes, and has lists of API servers read again.
pub(crate) fn bring_up<'a>(given: Given<'_, '_, 'a>, build: &mut PlanBuilder<'a>) -> BroughtUp<'a> {
    let mut nodes = Nodes::default();
    write_proxy_files(given, &mut nodes, build);
    let stays_old = why_nothing_new_starts(given);
    for node in given.site.ctx.reachable() {
        let heal = bring_up_node(given, &mut nodes, (node.name, node.desired), stays_old.as_ref(), build);
        nodes.heals.extend(heal);
        reload_proxy(given, &mut nodes, node.name, build);
    }
    for (name, _) in &given.control_plane.freed {
        // Nothing else is disturbed before its kubelet has its connection again.
        let ready = await_reconnected(given.site.ctx, name, build);
        build.after_all(ready, given.control_plane.up.get(name).copied(), Because::Needs);
        nodes.heals.push(ready);
    }
    match given.site.ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => given.site.ctx.note_missing_network(build),
        Intent::Reissue { .. } | Intent::Dismantle { .. } => {}
    }
    BroughtUp(nodes)
}

/// Whether a container of the node is replaced or restarted.
pub(crate) fn is_disturbed(site: &Site<'_, '_>, node: &NodeName) -> bool {
    COMPONENTS.into_iter().any(|component| site.conditions.is_disturbed(node, component))
}

/// Plans the writes of changed lists of API servers, when the new API servers in them work.
fn write_proxy_files<'a>(given: Given<'_, '_, 'a>, nodes: &mut Nodes<'a>, build: &mut PlanBuilder<'a>) {
    // The list changes to the API servers of cluster.yml when one of these works.
    if !given.api_servers.one_stays() {
        return;
    }
    let Given { site, control_plane, .. } = given;
    let one_works = site.conditions.one_api_server_works();
    for (name, differing) in &site.files.late {
        let step = files::write(site.keys, name, "nginx-proxy", differing.clone(), build);
        // A proxy that does not run has nothing to lose, and its node is not available until it does: a roll may wait for it.
        let proxy = site.condition(name, Component::NginxProxy);
        let is_down = match proxy {
            Some(Condition::Absent | Condition::Down(_)) => true,
            Some(Condition::Sick(reasons)) => !reasons.contains(&Reason::Unhealthy),
            _ => false,
        };
        if !(is_down && one_works) {
            build.after_all(step, control_plane.all_up(), Because::RemoveLast);
        }
        nodes.proxy_files.insert(name, step);
    }
}

/// Why no new kubelet or kube-proxy is started: an API server stays older, or may be.
fn why_nothing_new_starts(given: Given<'_, '_, '_>) -> Option<(Follows, WaitsFor)> {
    let old = given.api_servers.why_old().filter(|_| given.known.on_the_way());
    match old {
        Some(old) => Some((follows(old), WaitsFor::ApiServersUpgraded)),
        None if given.known.oldest_for_kubelets_is_unknown() => {
            Some((Follows::Not, WaitsFor::ApiServersOfUnknownVersion))
        }
        None => None,
    }
}

/// This plan removes an old API server that leaves.
pub(crate) fn follows(old: Old) -> Follows {
    match old {
        Old::Leaving => Follows::ByItself,
        Old::Held => Follows::Not,
    }
}

/// Starts what is absent or down, and waits for the node to be ready. Returns the last wait.
fn bring_up_node<'a>(
    given: Given<'_, '_, 'a>,
    nodes: &mut Nodes<'a>,
    (name, desired): (&'a NodeName, &'a DesiredNode),
    stays_old: Option<&(Follows, WaitsFor)>,
    build: &mut PlanBuilder<'a>,
) -> Option<StepHandle> {
    let Given { site, control_plane, .. } = given;
    let mut waits = Vec::new();
    let mut held = false;
    for component in COMPONENTS {
        if component == Component::NginxProxy && port_is_taken(site.ctx, name) {
            // The node is losing its control plane: the removal starts the proxy.
            held = true;
            continue;
        }
        if let Some((follows, waits_for)) = stays_old
            && component != Component::NginxProxy
            && site.condition(name, component) == Some(&Condition::Absent)
        {
            let about = Subject::Container(name.clone(), component);
            let waiting = Waiting::NotStarted { waits_for: waits_for.clone() };
            build.defer(*follows, about, waiting, site.ctx.origin(name));
            held = true;
            continue;
        }
        let Some(wait) = bring_up_component(given, nodes, name, component, build) else { continue };
        waits.push(wait);
        let finds_one = proxy_finds_one(given) || nodes.old_lists.contains_key(name);
        let needs_control_plane =
            site.conditions.kubernetes_moves() || component == Component::NginxProxy && !finds_one;
        // A control plane is asked through its own API server.
        let has_its_own = !desired.has(Role::ControlPlane)
            || site.condition(name, Component::KubeApiserver).is_some_and(Condition::works);
        if has_its_own && !needs_control_plane {
            nodes.repaired.push((name, wait));
        }
    }
    if (waits.is_empty() && !is_not_ready(site.ctx, name)) || is_disturbed(site, name) || held {
        return waits.last().copied();
    }
    let is_untouched = waits.is_empty();
    let reason = if is_untouched { Reason::NotReady } else { Reason::Disturbed };
    let ready = await_ready(site.ctx, name, reason, build);
    build.after_all(ready, waits, Because::Needs);
    build.after_all(ready, given.network, Because::Needs);
    let lacks_network = is_untouched && lacks_only_the_network(site, name);
    if lacks_network {
        nodes.repaired.push((name, ready));
    }
    // Readiness is what an API server reports.
    match control_plane.up.get(name) {
        Some(&own) => build.after(ready, own, Because::Needs),
        None if desired.has(Role::ControlPlane) || lacks_network => {}
        None => build.after_all(ready, control_plane.all_up(), Because::Needs),
    }
    nodes.ready.insert(name, ready);
    Some(ready)
}

/// Starts one component of a node, if it is down. Returns the wait for it.
fn bring_up_component<'a>(
    given: Given<'_, '_, 'a>,
    nodes: &mut Nodes<'a>,
    name: &'a NodeName,
    component: Component,
    build: &mut PlanBuilder<'a>,
) -> Option<StepHandle> {
    let Given { site, control_plane, .. } = given;
    let on_old_list = component == Component::NginxProxy && starts_on_its_old_list(given, name);
    let mut step = site.bring_up(name, component, vec![], build);
    if step.is_none() && on_old_list {
        step = site.disturb(name, component, vec![], site.window_guard(name).into_iter().collect(), build);
    }
    let settles = match site.condition(name, component) {
        Some(Condition::Settling) => true,
        Some(Condition::Waiting) if !control_plane.up.is_empty() => true,
        Some(Condition::Waiting) => {
            let about = Subject::Container(name.clone(), component);
            let waiting = Waiting::CannotWork { waits_for: WaitsFor::ApiServer };
            build.hold(about, waiting, site.ctx.origin(name));
            false
        }
        _ => false,
    };
    if step.is_none() && !settles {
        return None;
    }
    if let Some(step) = step.filter(|_| component == Component::Kubelet)
        && site.condition(name, component) == Some(&Condition::Absent)
    {
        site.clear_other_pods(name, step, build);
    }
    if on_old_list {
        let wait = await_container_as("await-started", (name, component), step, build);
        nodes.old_lists.insert(name, wait);
        return Some(wait);
    }
    if let Some(step) = step {
        needs_proxy_files(nodes, name, component, step, build);
        if site.conditions.kubernetes_moves() && component != Component::NginxProxy {
            // A kubelet must not be newer than the API servers.
            build.after_all(step, control_plane.ends.iter().copied(), Because::Skew);
        }
    }
    let wait = await_container(name, component, step, build);
    if component == Component::NginxProxy && !proxy_finds_one(given) {
        build.after_all(wait, control_plane.all_up(), Because::Needs);
    }
    Some(wait)
}

/// Whether an nginx-proxy that starts now finds an API server of its list that works.
fn proxy_finds_one(given: Given<'_, '_, '_>) -> bool {
    given.site.ctx.kube_answers() && given.site.conditions.one_api_server_works()
}

/// Whether an nginx-proxy that is down, paused or missing starts before its new list of API servers is written: none of
/// cluster.yml works yet, and one that leaves answers. The node may have to be available for the change that brings up
/// the new one.
fn starts_on_its_old_list(given: Given<'_, '_, '_>, name: &NodeName) -> bool {
    let site = given.site;
    let paused = Reason::NotRunning { state: ContainerState::Paused };
    let is_down = match site.condition(name, Component::NginxProxy) {
        Some(Condition::Down(_) | Condition::Absent) => true,
        Some(Condition::Sick(reasons)) => reasons.contains(&paused),
        _ => false,
    };
    is_down
        && site.files.late.contains_key(name)
        && site.ctx.kube_answers()
        && !site.conditions.one_api_server_works()
}

/// Makes a step on nginx-proxy wait for its list of API servers.
pub(crate) fn needs_proxy_files(
    nodes: &Nodes<'_>,
    name: &NodeName,
    component: Component,
    step: StepHandle,
    build: &mut PlanBuilder<'_>,
) {
    if component == Component::NginxProxy {
        build.after_all(step, nodes.proxy_files.get(name).copied(), Because::Needs);
    }
}

/// Whether a node lacks nothing but a pod network that this plan brings, and an API server says so: it becomes ready
/// before anything is done that may have to wait until it is available.
pub(crate) fn lacks_only_the_network(site: &Site<'_, '_>, name: &NodeName) -> bool {
    let lacks = |object: &NodeObject| object.ready == Readiness::LacksNetwork;
    // Objects of another version are for API servers of that version.
    site.ctx.brings_network()
        && !site.conditions.kubernetes_moves()
        && site.ctx.kube_answers()
        && site.ctx.object(name).is_some_and(lacks)
}

/// Whether a node is not ready; where that is unknown, whether it cannot be ready yet.
fn is_not_ready(ctx: &Context<'_>, name: &NodeName) -> bool {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => {}
        // A node that was not ready before is not waited for.
        Intent::Reissue { .. } | Intent::Dismantle { .. } => return false,
    }
    if ctx.kube_answers() {
        let counts = |ready| match ready {
            Readiness::Ready => false,
            Readiness::LacksNetwork => ctx.brings_network(),
            Readiness::NotReady => true,
        };
        ctx.object(name).is_none_or(|object| counts(object.ready))
    } else {
        ctx.seen.ledger.born == Birth::Expected
    }
}

/// Whether an API server that is no longer desired still holds the port of nginx-proxy.
pub(crate) fn port_is_taken(ctx: &Context<'_>, name: &NodeName) -> bool {
    let desired =
        |component| ctx.desired.nodes.get(name).is_some_and(|node| node.containers.contains_key(&component));
    desired(Component::NginxProxy)
        && !desired(Component::KubeApiserver)
        && ctx
            .facts(name)
            .is_some_and(|facts| facts.containers.contains_key(Component::KubeApiserver.as_str()))
}

/// A changed list of API servers is read again while nginx runs.
fn reload_proxy<'a>(
    given: Given<'_, '_, 'a>,
    nodes: &mut Nodes<'a>,
    name: &'a NodeName,
    build: &mut PlanBuilder<'a>,
) {
    let component = Component::NginxProxy;
    let site = given.site;
    let started = nodes.old_lists.get(name).copied();
    let (reasons, origins) = match (site.condition(name, component), started) {
        (Some(Condition::Reload { reasons, origins, .. }), _) => (reasons.clone(), origins.clone()),
        (_, Some(_)) => {
            let changed = site.files.late[name].0.keys().cloned();
            let changed = changed.map(|path| Reason::Differs { difference: Difference::File { path } });
            (changed.collect(), vec![])
        }
        _ => return,
    };
    if !given.api_servers.one_stays() {
        let about = Subject::Container(name.clone(), component);
        build.hold(about, Waiting::ProxyListKept, given.site.ctx.origin(name));
        return;
    }
    let reload = build.step(
        name,
        component,
        Action::ReloadContainer { node: name.clone(), component },
        reasons,
        origins,
    );
    build.after_all(reload, started, Because::Needs);
    let written = nodes.proxy_files.get(name).or(given.site.files.written.get(name)).copied();
    build.after_all(reload, written, Because::Needs);
    nodes.reloads.push(await_container(name, component, Some(reload), build));
}

/// Uncordons the nodes that an earlier run cordoned and that have nothing left to be done.
pub(crate) fn open_left_cordoned<'a>(site: &Site<'_, 'a>, nodes: &Nodes<'a>, build: &mut PlanBuilder<'a>) {
    match site.ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => {}
        Intent::Reissue { .. } | Intent::Dismantle { .. } => return,
    }
    for node in site.ctx.reachable() {
        let cordoned = node.object.is_some_and(|object| match object.scheduling {
            Scheduling::CordonedByWindlass => true,
            Scheduling::CordonedByOther => site.ctx.opens_cordons_of_others(),
            Scheduling::Open => false,
        });
        if cordoned && !is_disturbed(site, node.name) {
            let uncordon = uncordon(node.name, Reason::LeftCordoned, build);
            build.after_all(uncordon, nodes.ready.get(node.name).copied(), Because::Needs);
        }
    }
}

/// Uncordons a node.
pub(crate) fn uncordon(name: &NodeName, reason: Reason, build: &mut PlanBuilder<'_>) -> StepHandle {
    build.step(name, "node", Action::Uncordon { node: name.clone() }, vec![reason], vec![])
}
