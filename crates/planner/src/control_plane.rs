//! API server, controller manager and scheduler: started all at once, changed one node after another.

use std::collections::BTreeMap;

use windlass_model::{
    Action, Because, Birth, Component, ContainerState, DesiredNode, EtcdSeen, Health, NodeName, Reason, Role,
    Subject, Waiting, WaitsFor,
};

use crate::api_servers::{ApiServers, ApiServersAfter};
use crate::builder::{Follows, Lanes, PlanBuilder, StepHandle};
use crate::compare::Condition;
use crate::context::Context;
use crate::etcd::Etcd;
use crate::site::{Changes, Site, await_container};

/// The components of a control-plane node, the API server first: the others connect only to it.
const COMPONENTS: [Component; 3] =
    [Component::KubeApiserver, Component::KubeControllerManager, Component::KubeScheduler];

/// What a plan does with the control plane.
#[derive(Debug, Default)]
pub(crate) struct ControlPlane<'a> {
    /// The wait for each API server that this plan brings up or disturbs.
    pub(crate) up: BTreeMap<&'a NodeName, StepHandle>,
    /// The waits for what it starts: nothing healthy is disturbed before them.
    pub(crate) heals: Vec<StepHandle>,
    /// The ends of its disturbances: the nodes wait for them.
    pub(crate) ends: Vec<StepHandle>,
    /// The steps that start API servers which were not there.
    pub(crate) started: Vec<(&'a NodeName, StepHandle)>,
    /// The removals of nginx-proxy from nodes that become control planes.
    pub(crate) freed: Vec<(&'a NodeName, StepHandle)>,
    /// Whether a change of the control plane is held back.
    pub(crate) held: bool,
    /// The steps that replace, restart or remove containers.
    pub(crate) changed: Changes<'a>,
}

impl<'a> ControlPlane<'a> {
    /// The API servers as this stage leaves them.
    pub(crate) fn api_servers<'p>(
        &'p self,
        ctx: &Context<'_>,
        known: &'p ApiServers,
    ) -> ApiServersAfter<'p, 'a> {
        known.after(ctx, &self.up, &self.changed)
    }

    /// The waits for all API servers that this plan brings up or disturbs.
    pub(crate) fn all_up(&self) -> Vec<StepHandle> {
        self.up.values().copied().collect()
    }
}

/// A control-plane node whose containers are to be disturbed.
#[derive(Debug)]
struct Disturbance<'a> {
    name: &'a NodeName,
    /// Whether the API server works now and would be taken down.
    takes_down_api: bool,
    /// Whether the API server runs, healthy or not.
    runs: bool,
    /// Whether the API server is of an older minor version than desired.
    is_older: bool,
}

/// Plans the control plane.
pub(crate) fn plan<'a>(
    site: &Site<'_, 'a>,
    api_servers: &ApiServers,
    etcd: &Etcd<'a>,
    build: &mut PlanBuilder<'a>,
) -> ControlPlane<'a> {
    let mut stage = Stage { site, api_servers, etcd, control_plane: ControlPlane::default() };
    let nodes: Vec<&'a NodeName> = site
        .ctx
        .reachable()
        .filter(|node| node.desired.has(Role::ControlPlane))
        .map(|node| node.name)
        .collect();
    let mut gaining = Lanes::new(1, Because::OneAtATime);
    for &name in &nodes {
        for component in COMPONENTS {
            stage.bring_up(name, component, &mut gaining, build);
        }
    }
    let disturbed: Vec<Disturbance<'a>> = nodes.iter().filter_map(|name| stage.disturbance(name)).collect();
    stage.roll(disturbed, &gaining, build);
    stage.control_plane
}

/// The running stage: its inputs and what it produces.
struct Stage<'s, 'c, 'a> {
    site: &'s Site<'c, 'a>,
    api_servers: &'s ApiServers,
    etcd: &'s Etcd<'a>,
    control_plane: ControlPlane<'a>,
}

impl<'a> Stage<'_, '_, 'a> {
    /// What only has to be started waits for nothing but what it uses.
    fn bring_up(
        &mut self,
        name: &'a NodeName,
        component: Component,
        gaining: &mut Lanes,
        build: &mut PlanBuilder<'a>,
    ) {
        if self.site.condition(name, component) == Some(&Condition::Absent)
            && let Some((follows, waits_for)) = self.why_not_started(name, component)
        {
            let about = Subject::Container(name.clone(), component);
            build.defer(follows, about, Waiting::NotStarted { waits_for }, self.site.ctx.origin(name));
            return;
        }
        let step = self.site.bring_up(name, component, vec![], build);
        if step.is_none() && !self.settles(name, component, build) {
            return;
        }
        let wait = await_container(name, component, step, build);
        self.control_plane.heals.push(wait);
        if component == Component::KubeApiserver {
            if let Some(step) = step {
                self.needs_ciphers(step, build);
                self.control_plane.started.push((name, step));
            }
            // An API server answers only when etcd does.
            build.after_all(wait, self.etcd.heals.iter().copied(), Because::Needs);
            self.control_plane.up.insert(name, wait);
            if let Some(run) = step
                && let Some(free) = self.free_port(name, build)
            {
                build.after(run, free, Because::Needs);
                gaining.add(build, free, wait);
            }
        } else {
            build.after_all(wait, self.control_plane.up.get(name).copied(), Because::Needs);
        }
    }

    /// Makes an API server wait until it may have the keys that it gets.
    fn needs_ciphers(&self, step: StepHandle, build: &mut PlanBuilder<'_>) {
        for (before, because) in self.site.keys.before_other_ciphers() {
            build.after(step, before, because);
        }
    }

    /// Whether a cluster that was live has no etcd, and this plan starts none: an API server could only wait.
    fn etcd_is_lost(&self) -> bool {
        let ctx = self.site.ctx;
        ctx.etcd_is_silent() && ctx.seen.ledger.born == Birth::Born && self.etcd.heals.is_empty()
    }

    /// Why a missing container is not started yet.
    fn why_not_started(&self, name: &NodeName, component: Component) -> Option<(Follows, WaitsFor)> {
        let api = Component::KubeApiserver;
        let is_lost = self.etcd_is_lost();
        if is_lost && component == api {
            Some((Follows::Not, WaitsFor::EtcdMajority))
        } else if is_lost && self.site.condition(name, api) == Some(&Condition::Absent) {
            Some((Follows::Not, WaitsFor::OwnApiServer))
        } else if self.api_servers.version_is_unknown() {
            Some((Follows::Not, WaitsFor::ApiServersOfUnknownVersion))
        } else if self.api_servers.may_be_behind_proxy(self.site.ctx, name) {
            Some((Follows::Not, WaitsFor::ApiServerBehindProxy))
        } else if component != api && self.api_servers.is_older(name) {
            let follows = self.follows_api_server(name);
            Some((follows, WaitsFor::OwnApiServerUpgraded))
        } else {
            None
        }
    }

    /// What waits for a node's own API server follows by itself if this plan replaces or restarts that one.
    fn follows_api_server(&self, name: &NodeName) -> Follows {
        if self.site.conditions.is_disturbed(name, Component::KubeApiserver) {
            Follows::ByItself
        } else {
            Follows::Not
        }
    }

    /// Whether a running container will work by itself, or once what this plan starts works.
    fn settles(&self, name: &NodeName, component: Component, build: &mut PlanBuilder<'a>) -> bool {
        let is_api_server = component == Component::KubeApiserver;
        let will_work = if is_api_server {
            !self.etcd.heals.is_empty()
        } else {
            self.control_plane.up.contains_key(name)
        };
        match self.site.condition(name, component) {
            Some(Condition::Settling) => true,
            Some(Condition::Waiting) if will_work => true,
            Some(Condition::Waiting) => {
                let waits_for = if is_api_server { WaitsFor::EtcdMajority } else { WaitsFor::OwnApiServer };
                let follows = if is_api_server { Follows::Not } else { self.follows_api_server(name) };
                let about = Subject::Container(name.clone(), component);
                let waiting = Waiting::CannotWork { waits_for };
                build.defer(follows, about, waiting, self.site.ctx.origin(name));
                false
            }
            _ => false,
        }
    }

    /// On a node that becomes a control plane, nginx-proxy holds the API server's port: it is removed first.
    fn free_port(&mut self, name: &'a NodeName, build: &mut PlanBuilder<'a>) -> Option<StepHandle> {
        let ctx = self.site.ctx;
        let proxy = Component::NginxProxy;
        ctx.facts(name)?.containers.get(proxy.as_str())?;
        // Where no API server answers, the node is not available, and the guard could not be checked.
        let guards = self.site.window_guard(name).into_iter().filter(|_| ctx.kube_answers()).collect();
        let image = &ctx.desired.nodes[name].containers[&Component::KubeApiserver].spec.image;
        let pull = self.site.image(name, image, build);
        let remove = build.step(
            name,
            proxy,
            Action::RemoveContainer { node: name.clone(), container: proxy.container(), guards },
            vec![Reason::Unwanted],
            vec![ctx.desired.nodes[name].origin.clone()],
        );
        // The node is without an API server in between: nothing else may delay it.
        let files = self.site.files.written.get(name).copied();
        build.after_all(remove, pull.into_iter().chain(files), Because::Needs);
        build.after_all(remove, self.etcd.heals.iter().copied(), Because::HealFirst);
        self.control_plane.changed.insert((name, proxy), remove);
        self.control_plane.freed.push((name, remove));
        Some(remove)
    }

    fn disturbance(&self, name: &'a NodeName) -> Option<Disturbance<'a>> {
        let api = Component::KubeApiserver;
        let container = self.site.ctx.facts(name)?.containers.get(api.as_str());
        let is_disturbed =
            COMPONENTS.into_iter().any(|component| self.site.conditions.is_disturbed(name, component));
        is_disturbed.then(|| Disturbance {
            name,
            runs: container.is_some_and(|container| container.state == ContainerState::Running),
            is_older: self.api_servers.is_older(name),
            takes_down_api: matches!(
                self.site.condition(name, api),
                Some(Condition::Differs { works: true, .. })
            ),
        })
    }

    /// Disturbs containers node by node, broken ones first.
    fn roll(&mut self, mut disturbed: Vec<Disturbance<'a>>, gaining: &Lanes, build: &mut PlanBuilder<'a>) {
        let ctx = self.site.ctx;
        let total = ctx.with_role(Role::ControlPlane).count();
        // Whatever the limit allows, one API server keeps running.
        let limit = ctx.desired.rollout.max_unavailable_controlplane.of(total).min(total.saturating_sub(1));
        let control_planes = || ctx.with_role(Role::ControlPlane).map(|(name, _)| name);
        let unreachable = control_planes().filter(|name| !ctx.is_reachable(name)).count();
        let blind = control_planes().filter(|name| ctx.holds_back(name)).count();
        let capacity = limit.max(1).saturating_sub(blind);
        let etcd_is_silent = ctx.etcd_is_silent();
        disturbed.sort_by_key(|node| (node.takes_down_api, node.name));
        let mut lanes = Lanes::new(capacity.max(1), Because::OneAtATime);
        let heals = self.control_plane.heals.clone();
        for node in disturbed {
            if let Some(waits_for) = self.why_not_changed(&node, capacity, unreachable) {
                let about = Subject::ControlPlane(node.name.clone());
                build.hold(about, Waiting::ControlPlaneUnchanged { waits_for }, ctx.origin(node.name));
                self.control_plane.held = true;
                continue;
            }
            let Some((first, last)) = self.disturb(node.name, build) else { continue };
            build.after_all(first, self.etcd.ends.iter().copied(), Because::Skew);
            if node.takes_down_api || etcd_is_silent {
                let healed = heals.iter().chain(&self.etcd.heals).copied();
                build.after_all(first, healed, Because::HealFirst);
            }
            lanes.add(build, first, last);
        }
        self.control_plane.ends.extend(gaining.open_ends().iter().chain(lanes.open_ends()));
    }

    /// Why a node's control plane is not changed now.
    fn why_not_changed(
        &self,
        node: &Disturbance<'_>,
        capacity: usize,
        unreachable: usize,
    ) -> Option<WaitsFor> {
        let ctx = self.site.ctx;
        // Without etcd no API server works: whether one has a fault of its own cannot be known.
        let blames_etcd = ctx.etcd_is_silent() && self.etcd.heals.is_empty();
        // An unreachable one may have a still older version, and API servers may differ by one at most:
        // <https://kubernetes.io/releases/version-skew-policy/#kube-apiserver>.
        let may_skip = node.is_older && unreachable > 0;
        let loses_etcd = node.takes_down_api && !a_desired_member_works(ctx, self.etcd);
        let is_blind = node.takes_down_api && capacity == 0;
        let is_held = is_blind || may_skip || loses_etcd || (node.runs && blames_etcd);
        is_held.then_some(if blames_etcd {
            WaitsFor::EtcdMajority
        } else if loses_etcd {
            WaitsFor::DesiredMember
        } else {
            WaitsFor::ControlPlanesReachable
        })
    }

    /// Changes one node: API server, wait, then the two that connect to it, wait.
    fn disturb(
        &mut self,
        name: &'a NodeName,
        build: &mut PlanBuilder<'a>,
    ) -> Option<(StepHandle, StepHandle)> {
        let mut first = None;
        let mut last: Option<StepHandle> = None;
        for component in COMPONENTS {
            let is_api_server = component == Component::KubeApiserver;
            let guards = self.site.api_guard(name).into_iter().filter(|_| is_api_server).collect();
            let Some(step) = self.site.disturb(name, component, vec![], guards, build) else { continue };
            self.control_plane.changed.insert((name, component), step);
            build.after_all(step, last, Because::Gate);
            let wait = await_container(name, component, Some(step), build);
            if is_api_server {
                self.needs_ciphers(step, build);
                self.control_plane.up.insert(name, wait);
            } else {
                build.after_all(wait, self.control_plane.up.get(name).copied(), Because::Needs);
            }
            first = first.or(Some(step));
            last = Some(wait);
        }
        Some((first?, last?))
    }
}

/// Whether an API server that knows only the members of cluster.yml finds one that works, now or after this
/// plan.
fn a_desired_member_works(ctx: &Context<'_>, etcd: &Etcd<'_>) -> bool {
    let EtcdSeen::Members(members) = &ctx.seen.etcd else { return true };
    let works = |node: &DesiredNode| {
        let peer_url = node.target.peer_url();
        members.iter().any(|member| member.peer_url == peer_url && member.health == Health::Healthy)
    };
    ctx.desired.etcd.is_external()
        || !etcd.joined.is_empty()
        || !etcd.heals.is_empty()
        || ctx.with_role(Role::Etcd).any(|(_, node)| works(node))
}
