//! What is no longer desired is removed last: the components and files of roles that nodes have lost.

use std::collections::BTreeSet;

use windlass_model::{
    Because, Component, DesiredNode, EtcdSeen, FilePath, Guard, Intent, NodeName, Note, Reason, Role,
    Subject, Waiting,
};

use crate::builder::{Lanes, PlanBuilder, StepHandle};
use crate::clearing::{remove_container, remove_paths};
use crate::context::Context;
use crate::departures;
use crate::dismantle;
use crate::etcd::clear::clear_member;
use crate::etcd::leave::Left;
use crate::ledger::{Conclusion, as_it_still_is};
use crate::nodes::{Given, port_is_taken};
use crate::ownership::{has_our_data, has_ours};
use crate::replacements::{Before, members_follow, what_replaces_an_api_server, why_api_servers_stay};
use crate::sight::Sighted;
use crate::site::{Changes, await_container, await_ready};

/// Plans all removals: their replacements are up by then. Returns what becomes true in the ledger by them.
pub(crate) fn plan<'a>(before: Before<'_, '_, 'a>, build: &mut PlanBuilder<'a>) -> Conclusion {
    let ctx = before.given.site.ctx;
    let mut conclusion = Conclusion::default();
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => {}
        Intent::Reissue { .. } => return conclusion,
        Intent::Dismantle { snapshots, .. } => {
            dismantle::plan(ctx, *snapshots, build);
            return conclusion;
        }
    }
    let mut lanes = Lanes::new(1, Because::OneAtATime);
    for node in ctx.reachable() {
        let mut stage = OfNode { before, node: *node, removed: Changes::default(), ready: None };
        stage.note_foreign_containers(build);
        stage.lost_etcd(&mut conclusion, build);
        stage.lost_control_plane(&mut lanes, &mut conclusion, build);
        stage.unwanted_files(build);
    }
    for (name, last) in &ctx.seen.ledger.nodes {
        if !ctx.desired.nodes.contains_key(name) {
            departures::plan(before, name, last, &mut conclusion, build);
        }
    }
    conclusion
}

/// The removals of one desired node.
struct OfNode<'s, 'c, 'a> {
    before: Before<'s, 'c, 'a>,
    node: Sighted<'a>,
    removed: Changes<'a>,
    /// The wait for the node that these removals cause.
    ready: Option<StepHandle>,
}

impl<'a> OfNode<'_, '_, 'a> {
    fn is_desired(&self, component: Component) -> bool {
        self.node.desired.containers.contains_key(&component)
    }

    /// Whether the node has a component of ours that it should not have.
    fn is_unwanted(&self, component: Component) -> bool {
        let Sighted { name, facts, .. } = self.node;
        !self.is_desired(component) && has_ours(self.before.given.site.ctx, name, facts, component)
    }

    fn note_foreign_containers(&self, build: &mut PlanBuilder<'a>) {
        let Sighted { name, facts, .. } = self.node;
        for component in Component::ALL.into_iter().filter(|component| !self.is_desired(*component)) {
            if facts.containers.contains_key(component.as_str()) && !self.is_unwanted(component) {
                build.note(Subject::Container(name.clone(), component), Note::ForeignContainer, None);
            }
        }
    }

    fn remove(
        &mut self,
        component: Component,
        guards: Vec<Guard>,
        reason: Reason,
        build: &mut PlanBuilder<'a>,
    ) -> StepHandle {
        let step = remove_container(self.node.name, &component.container(), guards, reason, build);
        self.removed.insert((self.node.name, component), step);
        step
    }

    /// etcd and its snapshots.
    fn lost_etcd(&mut self, conclusion: &mut Conclusion, build: &mut PlanBuilder<'a>) {
        let Sighted { name, desired, .. } = self.node;
        if self.is_unwanted(Component::EtcdRollingSnapshots) {
            self.remove(Component::EtcdRollingSnapshots, vec![], lost(desired, Role::Etcd), build);
        }
        let ctx = self.before.given.site.ctx;
        let holds_data = || has_our_data(ctx, name, self.node.facts);
        if !self.is_unwanted(Component::Etcd) && (self.is_desired(Component::Etcd) || !holds_data()) {
            return;
        }
        if !may_clear_member(ctx, self.before.left, name) {
            let about = Subject::Container(name.clone(), Component::Etcd);
            build.defer(members_follow(self.before), about, Waiting::EtcdKept, ctx.origin(name));
            return;
        }
        let reason = Reason::RoleLost { role: Role::Etcd };
        if let Some(cleared) = clear_member(ctx, self.before.left, name, &reason, build) {
            self.removed.insert((name, Component::Etcd), cleared.last);
            self.lost_role(Role::Etcd, cleared.last, conclusion);
        }
    }

    /// The ledger drops a role when nothing of it is left on the node.
    fn lost_role(&self, role: Role, gone: StepHandle, conclusion: &mut Conclusion) {
        let Sighted { name, desired, facts, .. } = self.node;
        let last = conclusion.change.nodes.entry(name.clone());
        let last = last.or_insert_with(|| as_it_still_is(self.before.given.site.ctx, name, desired, facts));
        last.roles.remove(&role);
        conclusion.after.push(gone);
    }

    /// API server, controller manager and scheduler.
    fn lost_control_plane(
        &mut self,
        lanes: &mut Lanes,
        conclusion: &mut Conclusion,
        build: &mut PlanBuilder<'a>,
    ) {
        let Before { given: Given { site, .. }, nodes, .. } = self.before;
        let name = self.node.name;
        let unwanted: Vec<Component> =
            [Component::KubeControllerManager, Component::KubeScheduler, Component::KubeApiserver]
                .into_iter()
                .filter(|component| self.is_unwanted(*component))
                .collect();
        if unwanted.is_empty() {
            return;
        }
        if let Some(waits_for) = why_api_servers_stay(self.before) {
            let about = Subject::ControlPlane(name.clone());
            build.hold(about, Waiting::ControlPlaneKept { waits_for }, site.ctx.origin(name));
            return;
        }
        let replacements = what_replaces_an_api_server(self.before);
        let reason = lost(self.node.desired, Role::ControlPlane);
        let (mut first, mut last) = (None, None);
        for component in unwanted {
            let is_api_server = component == Component::KubeApiserver;
            let guards = site.api_guard(name).into_iter().chain(site.window_guard(name));
            let guards = guards.filter(|_| is_api_server).collect();
            let step = self.remove(component, guards, reason.clone(), build);
            build.after_all(step, last, Because::RemoveLast);
            build.after_all(step, replacements.iter().copied(), Because::RemoveLast);
            first = first.or(Some(step));
            last = Some(step);
        }
        if let Some(&gone) = self.removed.get(&(name, Component::KubeApiserver)) {
            self.lost_role(Role::ControlPlane, gone, conclusion);
        }
        last = self.bring_up_proxy(last, build).or(last);
        if let (Some(first), Some(last)) = (first, last) {
            if lanes.begins_lane() {
                build.after_all(first, nodes.ends.iter().copied(), Because::Window);
            }
            lanes.add(build, first, last);
        }
    }

    /// The port is free: nginx-proxy, the node's connection to the other API servers, is started.
    fn bring_up_proxy(
        &mut self,
        gone: Option<StepHandle>,
        build: &mut PlanBuilder<'a>,
    ) -> Option<StepHandle> {
        let Before { given: Given { site, .. }, nodes, .. } = self.before;
        let Sighted { name, desired, .. } = self.node;
        if !port_is_taken(site.ctx, name) {
            return None;
        }
        let run = site.bring_up(name, Component::NginxProxy, vec![], build)?;
        build.after_all(run, nodes.proxy_files.get(name).copied(), Because::Needs);
        build.after_all(run, gone, Because::Needs);
        if let (Some(&apiserver), Some(proxy)) = (
            self.removed.get(&(name, Component::KubeApiserver)),
            desired.containers.get(&Component::NginxProxy),
        ) {
            let pull = site.image(name, &proxy.spec.image, build);
            let files = site.files.written.get(name).copied();
            build.after_all(apiserver, pull.into_iter().chain(files), Because::Needs);
        }
        let wait = await_container(name, Component::NginxProxy, Some(run), build);
        if nodes.ready.contains_key(name) {
            return Some(wait);
        }
        let ready = await_ready(site.ctx, name, Reason::Disturbed, build);
        build.after(ready, wait, Because::Needs);
        build.after_all(ready, self.before.given.network, Because::Needs);
        self.ready = Some(ready);
        Some(ready)
    }

    /// Files of ours that the node's roles do not need, removed once no container there reads them.
    fn unwanted_files(&self, build: &mut PlanBuilder<'a>) {
        let Before { given: Given { site, etcd, control_plane, .. }, nodes, .. } = self.before;
        let Sighted { name, desired, facts, .. } = self.node;
        let footprint = site.ctx.desired.footprints.under(facts.prefix.as_ref());
        let ours = |path: &FilePath| footprint.files.contains(path) || *path == footprint.ledger;
        let unwanted: BTreeSet<FilePath> = facts
            .files
            .keys()
            .filter(|path| ours(path) && !desired.files.contains_key(*path))
            .cloned()
            .collect();
        if unwanted.is_empty() {
            return;
        }
        let mut after = Vec::new();
        let mut kept = BTreeSet::new();
        for (container, seen) in &facts.containers {
            let Some(component) = Component::of_container(container) else { continue };
            let read: Vec<&FilePath> =
                seen.spec.reads.keys().filter(|path| unwanted.contains(*path)).collect();
            if read.is_empty() {
                continue;
            }
            let key = (name, component);
            let mut changes =
                [&self.removed, &control_plane.changed, &nodes.changed, &etcd.changed].into_iter();
            match changes.find_map(|changed| changed.get(&key)) {
                Some(&step) => after.push(step),
                None => kept.extend(read.into_iter().cloned()),
            }
        }
        let paths: BTreeSet<FilePath> = unwanted.difference(&kept).cloned().collect();
        let ready = self.ready.or(nodes.ready.get(name).copied());
        let after = after.into_iter().chain(site.files.written.get(name).copied()).chain(ready);
        remove_paths(name, paths, Reason::Unwanted, after, build);
    }
}

/// Whether a node's member has been removed from etcd, or this plan removes it.
fn may_clear_member(ctx: &Context<'_>, left: &Left<'_>, name: &NodeName) -> bool {
    match &ctx.seen.etcd {
        EtcdSeen::Silent => false,
        EtcdSeen::Members(members) => {
            let peer_url = ctx.peer_url(name);
            left.contains_key(name)
                || !members.iter().any(|member| Some(&member.peer_url) == peer_url.as_ref())
        }
    }
}

/// Why a component of this role is no longer desired on a node: the role is lost, or the feature is off.
fn lost(node: &DesiredNode, role: Role) -> Reason {
    if node.has(role) { Reason::Unwanted } else { Reason::RoleLost { role } }
}
