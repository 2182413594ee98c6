//! The objects of add-ons: applied before nodes are waited for, their pods awaited after, and deleted when no
//! longer desired.

use std::collections::BTreeMap;

use windlass_model::{
    Action, AddonKind, Because, Birth, DesiredAddon, DesiredObject, Gate, Intent, Note, ObjectDifference,
    ObjectRef, ObjectSeen, ObjectsSeen, PodsReady, Readiness, Reason, Role, Subject, Waiting,
};

use crate::builder::{Follows, PlanBuilder, StepHandle};
use crate::context::Context;
use crate::control_plane::ControlPlane;
use crate::nodes::{self, Nodes};
use crate::returned::returned;
use crate::site::Site;

/// How long the plan waits for pods of an add-on: their images may have to be pulled.
const PODS_WITHIN_SECONDS: u32 = 300;
/// The same where nothing in the plan changes them or makes a node ready.
const UNTOUCHED_PODS_WITHIN_SECONDS: u32 = 120;
/// How many differing fields of an object are named as reasons.
const FIELDS_NAMED: usize = 3;

/// What this stage applies.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    steps: BTreeMap<AddonKind, StepHandle>,
    /// Add-ons about which something is held: none of their objects is applied, awaited or deleted.
    held: Vec<AddonKind>,
}

impl Applied {
    /// The step without which no node becomes ready, if this plan applies the network.
    pub(crate) fn network(&self) -> Option<StepHandle> {
        self.steps.get(&AddonKind::Network).copied()
    }
}

/// Applies what differs, as soon as API servers answer.
pub(crate) fn apply<'a>(
    site: &Site<'_, 'a>,
    control_plane: &ControlPlane<'a>,
    build: &mut PlanBuilder<'a>,
) -> Applied {
    let ctx = site.ctx;
    let mut applied = Applied::default();
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => {}
        Intent::Reissue { .. } | Intent::Dismantle { .. } => return applied,
    }
    let comes_first = ctx.seen.ledger.born == Birth::Expected && !control_plane.up.is_empty();
    if !ctx.knows_objects() && !comes_first {
        announce(ctx, control_plane, build);
        return applied;
    }
    let mut before: Option<StepHandle> = None;
    for (kind, addon) in &ctx.desired.addons {
        if let Some(waiting) = why_held(ctx, *kind, addon) {
            build.hold(Subject::Addon(*kind), waiting, addon.origin.clone());
            applied.held.push(*kind);
            continue;
        }
        if is_new_default(ctx, *kind, addon) {
            build.note(Subject::Addon(*kind), Note::DefaultNotAdded { name: addon.name.clone() }, None);
            applied.held.push(*kind);
            continue;
        }
        let Some(step) = apply_one(ctx, *kind, addon, build) else { continue };
        let brings_nodes_back = *kind == AddonKind::Network
            && ctx.reachable().any(|node| nodes::lacks_only_the_network(site, node.name));
        if !brings_nodes_back {
            build.after_all(step, control_plane.all_up(), Because::Needs);
            build.after_all(step, control_plane.ends.iter().copied(), Because::Skew);
        }
        build.after_all(step, before, Because::Needs);
        before = Some(step);
        applied.steps.insert(*kind, step);
    }
    applied
}

/// The objects of a live cluster are unknown where no API server answers: what is to be done about them
/// follows.
fn announce(ctx: &Context<'_>, control_plane: &ControlPlane<'_>, build: &mut PlanBuilder<'_>) {
    let follows = Follows::any_of(&control_plane.up);
    let is_hidden = ctx.seen.ledger.born == Birth::Born && !ctx.desired.addons.is_empty();
    if is_hidden && follows == Follows::ByItself {
        build.defer(follows, Subject::Addons, Waiting::ObjectsUnknown, None);
    }
}

/// Why nothing of an add-on is applied: others have its names, or its function.
fn why_held(ctx: &Context<'_>, kind: AddonKind, addon: &DesiredAddon) -> Option<Waiting> {
    let ObjectsSeen::Seen { objects: _, noted } = &ctx.seen.objects else { return None };
    let is_noted = |object: &ObjectRef| noted.iter().any(|noted| noted.is_same_object(object));
    // cluster.yml names each object of a manifest: whoever made it, its fields are to be these.
    let of_rke = kind == AddonKind::Manifests
        || kind.rke_marker().is_some_and(|marker| ctx.seen.objects.get(&marker).is_some());
    let foreign: Vec<ObjectRef> = addon
        .objects
        .iter()
        .filter(|_| !of_rke)
        .filter(|desired| ctx.seen.objects.get(&desired.object).is_some_and(|seen| !seen.is_ours()))
        .map(|desired| desired.object.clone())
        .collect();
    if !foreign.is_empty() {
        return Some(Waiting::ObjectsOfOthers { objects: foreign });
    }
    let is_there = |desired: &DesiredObject| {
        is_noted(&desired.object) || ctx.seen.objects.get(&desired.object).is_some()
    };
    let has_other_network = kind == AddonKind::Network
        && ctx.reachable().any(|node| node.object.is_some_and(|object| object.ready == Readiness::Ready))
        && !addon.objects.iter().any(is_there);
    has_other_network.then_some(Waiting::OtherNetworkKept)
}

/// Whether an add-on that cluster.yml does not name would come into a living cluster: its network is windlass' own and
/// carries pods, and nothing of this add-on was ever recorded. A newer windlass, or a newer Kubernetes, is no reason
/// to take ports of the nodes. A first run that was interrupted has no ready node yet.
fn is_new_default(ctx: &Context<'_>, kind: AddonKind, addon: &DesiredAddon) -> bool {
    let ObjectsSeen::Seen { objects: _, noted } = &ctx.seen.objects else { return false };
    let is_noted = |object: &ObjectRef| noted.iter().any(|noted| noted.is_same_object(object));
    let lives = || {
        let network = ctx.desired.addons.get(&AddonKind::Network);
        let is_carried =
            network.is_some_and(|network| network.objects.iter().any(|own| is_noted(&own.object)));
        is_carried
            && ctx.reachable().any(|node| node.object.is_some_and(|object| object.ready == Readiness::Ready))
    };
    let of_rke = kind.rke_marker().is_some_and(|marker| ctx.seen.objects.get(&marker).is_some());
    addon.origin.is_none()
        && matches!(kind, AddonKind::Metrics | AddonKind::Ingress)
        && !of_rke
        && !addon.objects.iter().any(|desired| is_noted(&desired.object))
        && lives()
}

/// Applies those objects of an add-on that differ; none if all are as desired.
fn apply_one<'a>(
    ctx: &Context<'a>,
    kind: AddonKind,
    addon: &DesiredAddon,
    build: &mut PlanBuilder<'a>,
) -> Option<StepHandle> {
    let mut reasons = Vec::new();
    let mut objects = Vec::new();
    let mut changed_jobs = Vec::new();
    for desired in &addon.objects {
        let is_job = kind == AddonKind::Manifests && desired.object.is_job();
        let differences = if is_job { of_job(ctx, desired) } else { differences(ctx, desired) };
        if differences.is_empty() {
            continue;
        }
        if is_job && differences.iter().any(|how| matches!(how, ObjectDifference::Changed { .. })) {
            changed_jobs.push(desired.object.clone());
            continue;
        }
        let reason = |how| Reason::Object { object: Box::new(desired.object.clone()), how: Box::new(how) };
        reasons.extend(differences.into_iter().take(FIELDS_NAMED).map(reason));
        objects.push(if is_found(ctx, kind, desired) { desired.clone().found() } else { desired.clone() });
    }
    if !changed_jobs.is_empty() {
        let waiting = Waiting::JobsChanged { objects: changed_jobs };
        build.hold(Subject::Addon(kind), waiting, addon.origin.clone());
    }
    if objects.is_empty() {
        return None;
    }
    if kind == AddonKind::Metrics && objects.iter().any(believes_any_kubelet) {
        build.note(Subject::Addon(kind), Note::KubeletsUnverified, addon.origin.clone());
    }
    let origins = addon.origin.clone().into_iter().collect();
    let action = Action::ApplyObjects { addon: kind, objects };
    Some(build.step("cluster", kind, action, reasons, origins))
}

fn believes_any_kubelet(desired: &DesiredObject) -> bool {
    let arguments =
        desired.body.pointer("/spec/template/spec/containers/0/args").and_then(|args| args.as_array());
    arguments.into_iter().flatten().any(|argument| argument == "--kubelet-insecure-tls=true")
}

/// Whether somebody else had made an object of a manifest before.
fn is_found(ctx: &Context<'_>, kind: AddonKind, desired: &DesiredObject) -> bool {
    let seen = ctx.seen.objects.get(&desired.object);
    kind == AddonKind::Manifests && seen.is_some_and(|seen| !seen.is_ours() || seen.is_found())
}

/// How a Job of a manifest is not as desired. One that was applied and is gone has done its work: Kubernetes deletes it
/// where `ttlSecondsAfterFinished` says so. It is recorded after it was applied, not before, so one that is recorded
/// was applied; one that is there and not recorded was applied by a run that did not reach its end.
fn of_job(ctx: &Context<'_>, desired: &DesiredObject) -> Vec<ObjectDifference> {
    let ObjectsSeen::Seen { noted, .. } = &ctx.seen.objects else { return differences(ctx, desired) };
    let is_noted = noted.iter().any(|noted| noted.is_same_object(&desired.object));
    match ctx.seen.objects.get(&desired.object) {
        None if is_noted => Vec::new(),
        Some(seen) if desired.is_applied(&seen.body) => {
            if is_noted {
                Vec::new()
            } else {
                vec![ObjectDifference::Unmarked]
            }
        }
        _ => differences(ctx, desired),
    }
}

fn differences(ctx: &Context<'_>, desired: &DesiredObject) -> Vec<ObjectDifference> {
    let Some(seen) = ctx.seen.objects.get(&desired.object) else { return vec![ObjectDifference::Missing] };
    let is_applied = desired.is_applied(&seen.body);
    let found: Vec<ObjectDifference> = desired
        .differences(&seen.body)
        .into_iter()
        .map(|field| {
            if is_applied { ObjectDifference::Drifted { field } } else { ObjectDifference::Changed { field } }
        })
        .collect();
    // A field that cluster.yml no longer sets is known only from the last application.
    if found.is_empty() && !is_applied { vec![ObjectDifference::Unmarked] } else { found }
}

/// Waits for the pods of what was applied, and of existing workloads that miss pods.
pub(crate) fn await_pods<'a>(
    ctx: &Context<'a>,
    applied: &Applied,
    nodes: &Nodes<'a>,
    build: &mut PlanBuilder<'a>,
) {
    let may_miss = ctx.desired.nodes.keys().filter(|name| !will_be_ready(ctx, nodes, name)).count()
        + returned(ctx).count();
    let a_worker_is_ready = ctx.with_role(Role::Worker).any(|(name, _)| will_be_ready(ctx, nodes, name));
    for (kind, addon) in &ctx.desired.addons {
        if !(ctx.knows_objects() || applied.steps.contains_key(kind)) || applied.held.contains(kind) {
            continue;
        }
        let with_pods: Vec<&DesiredObject> = addon
            .objects
            .iter()
            .filter(|desired| PodsReady::of(&desired.body).is_some())
            .filter(|desired| a_worker_is_ready || &*desired.object.kind == "DaemonSet")
            .collect();
        let step = applied.steps.get(kind).copied();
        let mut reasons: Vec<Reason> =
            with_pods.iter().filter_map(|desired| not_whole(ctx, desired, may_miss)).collect();
        if step.is_some() && reasons.is_empty() {
            reasons.push(Reason::Disturbed);
        }
        if with_pods.is_empty() || reasons.is_empty() {
            continue;
        }
        let gate = Gate::Addon {
            addon: *kind,
            objects: with_pods.iter().map(|desired| desired.object.clone()).collect(),
            may_miss,
        };
        // What nothing in this plan changes has had its time.
        let is_touched = step.is_some() || !nodes.ready.is_empty();
        let within_seconds = if is_touched { PODS_WITHIN_SECONDS } else { UNTOUCHED_PODS_WITHIN_SECONDS };
        let action = Action::AwaitHealthy { gate, within_seconds };
        let wait = build.step("cluster", kind, action, reasons, vec![]);
        build.after_all(wait, step, Because::Needs);
        build.after_all(wait, nodes.ready.values().copied(), Because::Needs);
        // DNS is useful only to pods that reach each other.
        build.after_all(wait, applied.network(), Because::Needs);
    }
}

/// Whether pods of the node can be ready after this plan.
fn will_be_ready(ctx: &Context<'_>, nodes: &Nodes<'_>, name: &windlass_model::NodeName) -> bool {
    nodes.ready.contains_key(name)
        || (ctx.is_reachable(name) && ctx.object(name).is_some_and(|object| object.ready == Readiness::Ready))
}

/// The missing pods, except those on nodes that are not ready and those of what does not exist yet.
fn not_whole(ctx: &Context<'_>, desired: &DesiredObject, may_miss: usize) -> Option<Reason> {
    let pods = ctx.seen.objects.get(&desired.object)?.pods()?;
    let may_miss = if &*desired.object.kind == "DaemonSet" { may_miss as u64 } else { 0 };
    let how = ObjectDifference::PodsNotReady { pods };
    (pods.ready + may_miss < pods.of)
        .then(|| Reason::Object { object: Box::new(desired.object.clone()), how: Box::new(how) })
}

/// Deletes what windlass applied and cluster.yml no longer asks for, after everything else.
pub(crate) fn delete_unwanted<'a>(ctx: &Context<'a>, applied: &Applied, build: &mut PlanBuilder<'a>) {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => {}
        Intent::Reissue { .. } | Intent::Dismantle { .. } => return,
    }
    let ObjectsSeen::Seen { noted, .. } = &ctx.seen.objects else { return };
    let desired = || ctx.desired.addons.values().flat_map(|addon| &addon.objects);
    let mut unwanted: Vec<&ObjectRef> = noted
        .iter()
        .filter(|noted| !desired().any(|desired| desired.object.is_same_object(noted)))
        // A note is written before the object, and outlives it: somebody else may have created another one of
        // that name.
        .filter(|noted| ctx.seen.objects.get(noted).is_none_or(ObjectSeen::is_ours))
        .collect();
    if !ctx.desired.addons.contains_key(&AddonKind::Network) {
        // An object that is not marked as part of another add-on may be part of the network.
        let carries = |object: &ObjectRef| {
            ctx.seen
                .objects
                .get(object)
                .is_some_and(|seen| seen.addon().is_none_or(|of| of == AddonKind::Network))
        };
        let before = unwanted.len();
        unwanted.retain(|object| !carries(object));
        if unwanted.len() < before {
            build.hold(
                Subject::Addon(AddonKind::Network),
                Waiting::NetworkKept,
                Some("network.plugin".into()),
            );
        }
    }
    let stays = |object: &&ObjectRef| {
        ctx.seen.objects.get(object).is_some_and(|seen| object.holds_others() || seen.is_found())
    };
    let kept: Vec<ObjectRef> = unwanted.iter().copied().filter(stays).cloned().collect();
    if !kept.is_empty() {
        unwanted.retain(|object| !stays(object));
        build.note(Subject::Addons, Note::ObjectsKept { objects: kept }, None);
    }
    if unwanted.is_empty() {
        return;
    }
    unwanted.sort_by_key(|object| (rank(object), *object));
    let reasons = unwanted
        .iter()
        .map(|object| Reason::Object {
            object: Box::new((*object).clone()),
            how: Box::new(ObjectDifference::Unwanted),
        })
        .collect();
    let action = Action::DeleteObjects { objects: unwanted.into_iter().cloned().collect() };
    let step = build.step("cluster", "objects", action, reasons, vec![]);
    build.after_all(step, applied.steps.values().copied(), Because::RemoveLast);
}

/// An object that uses others is deleted before them.
fn rank(object: &ObjectRef) -> usize {
    const LAST: [&str; 6] =
        ["ClusterRoleBinding", "RoleBinding", "ClusterRole", "Role", "ConfigMap", "ServiceAccount"];
    LAST.iter().position(|kind| *kind == &*object.kind).map_or(0, |at| at + 1)
}
