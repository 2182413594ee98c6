//! Live nodes are changed within the limit of unavailable nodes, and drained before an upgrade where
//! cluster.yml says so: broken ones first, then group by group.

use std::collections::BTreeSet;

use windlass_model::{
    Action, Because, Birth, Component, ContainerState, DesiredNode, Emptied, Guard, Intent, Maker, NodeName,
    Readiness, Reason, RestartWhen, Role, Scheduling, Subject, Waiting, WaitsFor,
};

use crate::api_servers::Old;
use crate::builder::{Follows, Lanes, PlanBuilder, StepHandle};
use crate::compare::Condition;
use crate::context::Context;
use crate::drain;
use crate::nodes::{
    BroughtUp, COMPONENTS, Given, Nodes, follows, is_disturbed, needs_proxy_files, port_is_taken, uncordon,
};
use crate::site::{Site, await_container, await_ready};

/// Which nodes share a rolling window, in the order in which they roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    /// Nodes that do not work: nothing is lost by changing them.
    Broken,
    /// Nodes with a control plane.
    ControlPlane,
    /// Nodes with etcd and no control plane: one at a time, whatever the limit of workers.
    Etcd,
    /// Workers only.
    Worker,
}

impl Group {
    const ALL: [Self; 4] = [Self::Broken, Self::ControlPlane, Self::Etcd, Self::Worker];

    fn of(node: &DesiredNode) -> Self {
        if node.has(Role::ControlPlane) {
            Self::ControlPlane
        } else if node.has(Role::Etcd) {
            Self::Etcd
        } else {
            Self::Worker
        }
    }
}

/// Whether a node works now. One that this run leaves without a container may, and is then changed after those
/// that do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Works {
    Not,
    /// When what is missing is started, before any node is changed.
    Soon,
    Now,
}

/// How much of the limit on unavailable workers is left.
#[derive(Debug)]
struct Room {
    /// Workers that somebody else cordoned: they stay so, whatever this plan does.
    cordoned: Vec<NodeName>,
    /// Other workers that are unreachable, and not changed by this plan.
    unreachable: Vec<NodeName>,
    /// Other workers that lack a container which this plan does not run.
    broken: Vec<NodeName>,
    /// How many may be unavailable.
    limit: usize,
}

/// Replaces and restarts what differs or is sick, group by group, within the limits.
pub(crate) fn roll<'a>(
    given: Given<'_, '_, 'a>,
    brought_up: BroughtUp<'a>,
    build: &mut PlanBuilder<'a>,
) -> Nodes<'a> {
    let BroughtUp(mut nodes) = brought_up;
    let site = given.site;
    // A node that becomes a control plane waits for the workers that are repaired: it comes after them.
    let waits_for_workers =
        |node: &DesiredNode| !given.control_plane.freed.is_empty() && Group::of(node) != Group::Worker;
    let somebody_stays_broken = site.ctx.workers.iter().any(|name| stays_broken(site.ctx, name));
    let mut rolling: Vec<(Group, bool, Works, &'a NodeName)> = site
        .ctx
        .reachable()
        .filter(|node| is_disturbed(site, node.name))
        .map(|node| {
            let works = site.conditions.is_available(node.name);
            // It is available again when its API server is, and must stay so beside one that is not.
            let recovers = somebody_stays_broken && site.conditions.lacks_its_api_server(node.name);
            let stays = (works || recovers) && !stays_broken(site.ctx, node.name);
            let group = if stays { Group::of(node.desired) } else { Group::Broken };
            let works = match works {
                true => Works::Now,
                false if site.conditions.soon_runs_pods(node.name) => Works::Soon,
                false => Works::Not,
            };
            (group, waits_for_workers(node.desired), works, node.name)
        })
        .collect();
    rolling.sort_unstable();
    let rolling: Vec<(Group, &'a NodeName)> =
        rolling.into_iter().map(|(group, _, _, name)| (group, name)).collect();
    let room = &room_beside(given, &rolling);
    let mut before = Previous { ends: Vec::new(), because: Because::Window };
    for group in Group::ALL {
        let members: Vec<&'a NodeName> =
            rolling.iter().filter(|(of, _)| *of == group).map(|(_, name)| *name).collect();
        let ends = roll_group(given, &mut nodes, group, &members, room, &before, build);
        if !ends.is_empty() {
            let because = if group == Group::Broken { Because::HealFirst } else { Because::Window };
            before = Previous { ends, because };
        }
    }
    nodes.ends.extend(before.ends);
    repair_before_gaining(given, &nodes, build);
    nodes
}

/// A worker that becomes a control plane is unavailable for a moment: the broken workers are repaired before.
fn repair_before_gaining(given: Given<'_, '_, '_>, nodes: &Nodes<'_>, build: &mut PlanBuilder<'_>) {
    for (gaining, free) in &given.control_plane.freed {
        for (_, repaired) in nodes.repaired.iter().filter(|(name, _)| name != gaining) {
            // A broken nginx-proxy may itself need the new API server.
            build.after_if_possible(*free, *repaired, Because::HealFirst);
        }
    }
}

/// The last steps of the group that was changed before, and why the next one waits for them.
struct Previous {
    ends: Vec<StepHandle>,
    because: Because,
}

/// Changes the nodes of one group, after those of the groups `before` it. Returns the last steps.
fn roll_group<'a>(
    given: Given<'_, '_, 'a>,
    nodes: &mut Nodes<'a>,
    group: Group,
    members: &[&'a NodeName],
    room: &Room,
    before: &Previous,
    build: &mut PlanBuilder<'a>,
) -> Vec<StepHandle> {
    let Given { site, etcd, control_plane, .. } = given;
    let width = width_of(given, group, members, room);
    let mut lanes = Lanes::new(width, Because::Window);
    for &name in members {
        if group != Group::Broken && (width == 0 || is_blind_to(given, group)) {
            hold(Follows::Not, name, why_no_room(room), given, build);
            continue;
        }
        if let Some(moves) = site.moves_kubelet(name) {
            let kubelet = site.ctx.desired.nodes[name].containers.get(&Component::Kubelet);
            let flag = kubelet.and_then(|kubelet| kubelet.origins.of_flag("root-dir").cloned());
            build.hold(Subject::Node(name.clone()), moves, flag.or_else(|| site.ctx.origin(name)));
            continue;
        }
        let healthy = group != Group::Broken;
        if let Some((follows, waits_for)) = why_wait_for_the_api(given, name) {
            if !healthy && follows == Follows::ByItself {
                start_as_it_is(given, nodes, name, build);
            }
            hold(follows, name, waits_for, given, build);
            continue;
        }
        let is_first = comes_before_gaining(given, name, group);
        let moves = site.conditions.kubernetes_moves();
        if is_first && moves && start_as_it_is(given, nodes, name, build) {
            hold(Follows::ByItself, name, WaitsFor::ApiServersUpgraded, given, build);
            continue;
        }
        let Some((first, last)) = disturb_node(given, nodes, name, group, build) else { continue };
        let keeps_version = is_only_restarted(site, name) || is_first && !moves;
        if lanes.begins_lane() {
            build.after_all(first, before.ends.iter().copied(), before.because);
            // What is only restarted has the version that it had, and others may wait for its node.
            if healthy || !keeps_version {
                build.after_all(first, etcd.ends.iter().chain(&control_plane.ends).copied(), Because::Skew);
            }
            if healthy {
                let healed = nodes.heals.iter().chain(&control_plane.heals).chain(&etcd.heals);
                build.after_all(first, healed.copied(), Because::HealFirst);
            }
        }
        lanes.add(build, first, last);
    }
    lanes.open_ends().to_vec()
}

/// How many nodes of a group may be changed at once.
fn width_of(given: Given<'_, '_, '_>, group: Group, members: &[&NodeName], room: &Room) -> usize {
    let ctx = given.site.ctx;
    let worker_room = room.limit.saturating_sub(room.away());
    let own_room = match group {
        Group::Broken => room.limit,
        Group::ControlPlane => {
            let control_planes = ctx.with_role(Role::ControlPlane).count();
            ctx.desired.rollout.max_unavailable_controlplane.of(control_planes)
        }
        Group::Etcd => 1,
        Group::Worker => worker_room,
    };
    let has_workers = members.iter().any(|name| ctx.workers.contains(*name));
    if group != Group::Broken && has_workers { own_room.min(worker_room) } else { own_room }
}

fn hold(
    follows: Follows,
    name: &NodeName,
    waits_for: WaitsFor,
    given: Given<'_, '_, '_>,
    build: &mut PlanBuilder<'_>,
) {
    let about = Subject::Node(name.clone());
    build.defer(follows, about, Waiting::NodeUnchanged { waits_for }, given.site.ctx.origin(name));
}

impl Room {
    /// How many workers are unavailable and will be after this plan.
    fn away(&self) -> usize {
        self.cordoned.len() + self.unreachable.len() + self.broken.len()
    }
}

fn why_no_room(room: &Room) -> WaitsFor {
    if room.away() > 0 {
        WaitsFor::AvailableWorkers {
            unavailable: room.away(),
            cordoned: room.cordoned.clone(),
            unreachable: room.unreachable.clone(),
            broken: room.broken.clone(),
            limit: room.limit,
        }
    } else {
        WaitsFor::NodesReachable
    }
}

/// Why a node must wait for API servers: none answers, or its new kubelet would be newer than they are.
fn why_wait_for_the_api(given: Given<'_, '_, '_>, name: &NodeName) -> Option<(Follows, WaitsFor)> {
    let site = given.site;
    let works = site.condition(name, Component::Kubelet).is_some_and(Condition::works);
    let lives = site.ctx.seen.ledger.born == Birth::Born;
    if !site.ctx.kube_answers() && works && lives {
        let follows = Follows::any_of(&given.control_plane.up);
        return Some((follows, WaitsFor::ApiServer));
    }
    let upgrades = [Component::Kubelet, Component::KubeProxy]
        .into_iter()
        .any(|component| site.conditions.has_new_image(name, component));
    let old: Old = given.api_servers.why_old().filter(|_| upgrades)?;
    Some((follows(old), WaitsFor::ApiServersUpgraded))
}

/// How much of the limit is left beside the workers that are unavailable and stay so, whatever this plan
/// does.
fn room_beside(given: Given<'_, '_, '_>, rolling: &[(Group, &NodeName)]) -> Room {
    let ctx = given.site.ctx;
    let rolls: BTreeSet<&NodeName> = rolling.iter().map(|(_, name)| *name).collect();
    let is_cordoned = |name: &NodeName| {
        ctx.object(name).is_some_and(|object| object.scheduling == Scheduling::CordonedByOther)
    };
    let is_away = |name: &NodeName| !rolls.contains(name) && ctx.holds_back(name);
    let (mut cordoned, mut unreachable, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for name in ctx.workers.iter() {
        if is_cordoned(name) {
            cordoned.push(name.clone());
        } else if is_away(name) {
            unreachable.push(name.clone());
        } else if stays_broken(ctx, name) {
            broken.push(name.clone());
        }
    }
    let limit = ctx.desired.rollout.max_unavailable_worker.of(ctx.workers.len());
    Room { cordoned, unreachable, broken, limit }
}

/// Whether a worker lacks a container that this run does not bring: one that only reissues certificates runs none.
fn stays_broken(ctx: &Context<'_>, name: &NodeName) -> bool {
    let desired = match ctx.intent {
        Intent::Reissue { desired, .. } => desired.nodes.get(name),
        Intent::Converge { .. } | Intent::Restore { .. } | Intent::Dismantle { .. } => None,
    };
    let (Some(desired), Some(facts)) = (desired, ctx.facts(name)) else { return false };
    // An API server that leaves the node holds the port of nginx-proxy until then, and serves in its place.
    let has_api_server = facts.containers.contains_key(Component::KubeApiserver.as_str());
    COMPONENTS.into_iter().any(|component| {
        desired.containers.contains_key(&component)
            && !facts.containers.contains_key(component.as_str())
            && !(component == Component::NginxProxy && has_api_server)
    })
}

/// Whether a broken worker is repaired before another becomes a control plane: it waits for no control plane then.
fn comes_before_gaining(given: Given<'_, '_, '_>, name: &NodeName, group: Group) -> bool {
    group == Group::Broken && !given.control_plane.freed.is_empty() && given.site.ctx.workers.contains(name)
}

/// Whether no container of the node becomes another one, and none waits for an API server.
fn is_only_restarted(site: &Site<'_, '_>, name: &NodeName) -> bool {
    let differs = |component| matches!(site.condition(name, component), Some(Condition::Differs { .. }));
    let proxy = site.condition(name, Component::NginxProxy);
    let proxy_waits = matches!(proxy, Some(Condition::Sick(reasons)) if reasons.contains(&Reason::Unhealthy));
    !COMPONENTS.into_iter().any(differs) && !proxy_waits
}

/// Whether nothing healthy of this group may be disturbed because the consequences cannot be seen.
fn is_blind_to(given: Given<'_, '_, '_>, group: Group) -> bool {
    let ctx = given.site.ctx;
    let away = || {
        let of_group = ctx.desired.nodes.iter().filter(|(_, node)| Group::of(node) == group);
        of_group.filter(|(name, _)| ctx.holds_back(name)).count()
    };
    match group {
        Group::ControlPlane => {
            let total = ctx.with_role(Role::ControlPlane).count();
            away() >= ctx.desired.rollout.max_unavailable_controlplane.of(total)
        }
        Group::Etcd => away() > 0,
        Group::Worker | Group::Broken => false,
    }
}

/// Starts the containers of a broken node that were stopped or paused and cannot become the desired ones yet, so that it is
/// available while others change. Returns whether there are any.
fn start_as_it_is<'a>(
    given: Given<'_, '_, 'a>,
    nodes: &mut Nodes<'a>,
    name: &'a NodeName,
    build: &mut PlanBuilder<'a>,
) -> bool {
    let site = given.site;
    let Some(facts) = site.ctx.facts(name) else { return false };
    let mut waits = Vec::new();
    for component in COMPONENTS {
        let Some(Condition::Differs { reasons, .. }) = site.condition(name, component) else { continue };
        let Some(seen) = facts.containers.get(component.as_str()) else { continue };
        let action = match seen.state {
            ContainerState::Stopped | ContainerState::Created => {
                Action::StartContainer { node: name.clone(), component }
            }
            ContainerState::Paused => Action::RestartContainer {
                node: name.clone(),
                component,
                when: RestartWhen::StillSick,
                guards: site.window_guard(name).into_iter().collect(),
            },
            // The new one may be what repairs it.
            ContainerState::Running | ContainerState::Crashing => continue,
        };
        let has_port = component != Component::NginxProxy || !port_is_taken(site.ctx, name);
        if !has_port || seen.maker != Maker::Windlass {
            continue;
        }
        let is_why = |reason: &&Reason| matches!(reason, Reason::NotRunning { .. });
        let reasons = reasons.iter().filter(is_why).cloned().collect();
        let start = build.step(name, component, action, reasons, vec![]);
        build.after_all(start, site.files.written.get(name).copied(), Because::Needs);
        waits.push(await_container(name, component, Some(start), build));
    }
    if waits.is_empty() {
        return false;
    }
    let ready = await_ready(site.ctx, name, Reason::Disturbed, build);
    build.after_all(ready, waits.iter().copied(), Because::Needs);
    build.after_all(ready, given.network, Because::Needs);
    nodes.ready.insert(name, ready);
    nodes.ends.push(ready);
    nodes.repaired.extend(waits.into_iter().map(|wait| (name, wait)));
    true
}

/// Changes one node: cordon and drain if cluster.yml says so, one container after another, ready, uncordon.
fn disturb_node<'a>(
    given: Given<'_, '_, 'a>,
    nodes: &mut Nodes<'a>,
    name: &'a NodeName,
    group: Group,
    build: &mut PlanBuilder<'a>,
) -> Option<(StepHandle, StepHandle)> {
    let Given { site, control_plane, .. } = given;
    let ctx = site.ctx;
    // Where no API server answers it could not be checked, and the new one waits for this node: it works as little as before.
    let is_checked = ctx.kube_answers() || !comes_before_gaining(given, name, group);
    let mut guards: Vec<Guard> = site.window_guard(name).into_iter().filter(|_| is_checked).collect();
    let object = ctx.object(name);
    let scheduling = object.map(|object| object.scheduling).unwrap_or_default();
    let runtimes = site.changes_runtime(name);
    let divides = site.divides_otherwise(name);
    let drains = (drains(given, name) || runtimes.is_some() || divides.is_some())
        && object.is_some_and(|object| object.ready == Readiness::Ready)
        && (group != Group::Broken || scheduling != Scheduling::Open);
    let drained = if drains {
        let (reasons, origins) = match (runtimes, divides) {
            (Some((from, to)), _) => (vec![Reason::PodRuntime { from, to }], vec![]),
            (None, Some(divides)) => divides,
            (None, None) => (upgrade_reasons(given, name), vec!["upgrade_strategy.drain".into()]),
        };
        let cordon_by = (scheduling == Scheduling::Open).then(|| std::mem::take(&mut guards));
        Some(drain::plan(ctx, name, cordon_by, &reasons, &origins, build))
    } else {
        None
    };
    let mut first = drained.map(|drained| drained.first);
    let mut last = drained.map(|drained| drained.last);
    let mut waits = Vec::new();
    for component in COMPONENTS {
        let is_done = port_is_taken(ctx, name) || nodes.old_lists.contains_key(name);
        if component == Component::NginxProxy && is_done {
            continue;
        }
        let (begins, step) = match runtimes.filter(|_| component == Component::Kubelet) {
            Some(runtimes) => site.change_runtime(name, runtimes, guards.clone(), build),
            None => match site.disturb(name, component, vec![], guards.clone(), build) {
                Some(step) => (step, step),
                None => continue,
            },
        };
        nodes.changed.insert((name, component), step);
        needs_proxy_files(nodes, name, component, begins, build);
        build.after_all(begins, last, Because::Gate);
        let wait = await_container(name, component, Some(step), build);
        first = first.or(Some(begins));
        last = Some(wait);
        waits.push(wait);
    }
    let first = first?;
    let keeps_version = is_only_restarted(site, name) || !site.conditions.kubernetes_moves();
    if comes_before_gaining(given, name, group) && keeps_version {
        // Its readiness may wait for the network, and with it for the control plane.
        nodes.repaired.extend(waits.iter().map(|wait| (name, *wait)));
    }
    if drains {
        is_ready_before(given, name, first, build);
    }
    let ready = await_ready(ctx, name, Reason::Disturbed, build);
    build.after_all(ready, waits, Because::Needs);
    build.after_all(ready, given.network, Because::Needs);
    build.after_all(ready, control_plane.up.get(name).copied(), Because::Needs);
    nodes.ready.insert(name, ready);
    let mut last = ready;
    let cordons = drains && scheduling == Scheduling::Open;
    if cordons || scheduling == Scheduling::CordonedByWindlass {
        let reason = if cordons { Reason::DoneWith } else { Reason::LeftCordoned };
        last = uncordon(name, reason, build);
        build.after(last, ready, Because::Needs);
    }
    Some((first, last))
}

/// The image, and whatever else the new kubelet needs, is present before the node is drained or touched.
fn is_ready_before<'a>(
    given: Given<'_, '_, 'a>,
    name: &'a NodeName,
    first: StepHandle,
    build: &mut PlanBuilder<'a>,
) {
    let site = given.site;
    let kubelet = site.ctx.desired.nodes[name].containers.get(&Component::Kubelet);
    let pull = kubelet.and_then(|kubelet| site.image(name, &kubelet.spec.image, build));
    build.after_all(first, pull, Because::Needs);
    let ground = site.files.written.get(name).into_iter().chain(site.kernels.get(name));
    build.after_all(first, ground.copied(), Because::Needs);
}

/// Whether the node is drained before it is changed: for a new kubelet, if cluster.yml says so.
fn drains(given: Given<'_, '_, '_>, name: &NodeName) -> bool {
    let site = given.site;
    site.ctx.desired.rollout.upgraded == Emptied::Drained
        && site.ctx.workers.contains(name)
        && site.conditions.has_new_image(name, Component::Kubelet)
}

fn upgrade_reasons(given: Given<'_, '_, '_>, name: &NodeName) -> Vec<Reason> {
    let site = given.site;
    let seen = site
        .ctx
        .facts(name)
        .and_then(|facts| facts.containers.get(Component::Kubelet.as_str()))
        .and_then(|container| container.spec.version.clone());
    let to = &site.ctx.desired.version;
    match (seen, site.condition(name, Component::Kubelet)) {
        (Some(from), _) if from != *to => vec![Reason::Upgrade { from, to: to.clone() }],
        (_, Some(Condition::Differs { reasons, .. })) => reasons.clone(),
        _ => vec![Reason::Requested],
    }
}
