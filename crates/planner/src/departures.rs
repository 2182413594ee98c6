//! Nodes that have left cluster.yml are drained, cleared, and removed from the ledger.

use windlass_model::{
    Action, Because, Component, Emptied, EtcdSeen, Guard, Holds, LastNode, NodeName, Note, Readiness, Reason,
    Role, Scheduling, Subject, Waiting, WaitsFor,
};

use crate::builder::{Follows, PlanBuilder, StepHandle};
use crate::clearing::{
    has_pod_state, note_foreign_containers, remove_container, remove_paths, remove_pods, root_of_pods, traces,
};
use crate::context::Context;
use crate::drain;
use crate::etcd::clear::clear_member;
use crate::ledger::Conclusion;
use crate::ownership::{has_our_data, has_ours};
use crate::replacements::{Before, members_follow, what_replaces_an_api_server, why_api_servers_stay};

/// The components of a node, in the order in which they are removed; etcd is cleared separately.
const COMPONENTS: [Component; 7] = [
    Component::Kubelet,
    Component::KubeProxy,
    Component::NginxProxy,
    Component::EtcdRollingSnapshots,
    Component::KubeControllerManager,
    Component::KubeScheduler,
    Component::KubeApiserver,
];

/// Plans that a node which has left cluster.yml is cleared and then removed from the ledger.
pub(crate) fn plan<'a>(
    before: Before<'_, '_, 'a>,
    name: &'a NodeName,
    last: &'a LastNode,
    conclusion: &mut Conclusion,
    build: &mut PlanBuilder<'a>,
) {
    let ctx = before.given.site.ctx;
    let Some(facts) = ctx.facts(name) else {
        unreachable(ctx, name, build);
        return;
    };
    if let Some((follows, waits_for)) = why_kept(before, name, last) {
        let about = Subject::Node(name.clone());
        build.defer(follows, about, Waiting::FormerNodeKept { waits_for }, None);
        return;
    }
    let emptied = empty_of_pods(ctx, name, build);
    let replacements = what_replaces_an_api_server(before);
    let mut done: Vec<StepHandle> = emptied.into_iter().collect();
    let (mut kubelet, mut proxy) = (emptied, None);
    note_foreign_containers(ctx, name, facts, build);
    let ours = |component: &Component| has_ours(ctx, name, facts, *component);
    for component in COMPONENTS.into_iter().filter(ours) {
        let is_api_server = component == Component::KubeApiserver;
        let guards: Vec<Guard> =
            before.given.site.api_guard(name).into_iter().filter(|_| is_api_server).collect();
        let step = remove_container(name, &component.container(), guards, Reason::NodeLeft, build);
        build.after_all(step, emptied, Because::Needs);
        build.after_all(step, replacements.iter().copied(), Because::RemoveLast);
        match component {
            Component::Kubelet => kubelet = Some(step),
            Component::KubeProxy => proxy = Some(step),
            _ => {}
        }
        done.push(step);
    }
    let cleared = clear_member(ctx, before.left, name, &Reason::NodeLeft, build);
    // Its member is removed from etcd before the node is removed from the ledger.
    done.extend(cleared.map(|cleared| cleared.last).or(before.left.get(name).copied()));
    let footprint = ctx.desired.footprints.under(facts.prefix.as_ref());
    if kubelet != emptied || has_pod_state(footprint, facts) {
        let gone = kubelet.into_iter().chain(proxy);
        let root = root_of_pods(ctx, name, facts);
        done.push(remove_pods(name, root, None, Reason::NodeLeft, gone, build));
    }
    if ctx.object(name).is_some() || !ctx.kube_answers() {
        let delete = delete_object(name, build);
        build.after_all(delete, kubelet, Because::Needs);
        build.after_all(delete, before.given.control_plane.all_up(), Because::Needs);
        done.push(delete);
    }
    let paths = traces(ctx, name, facts, &[Holds::Snapshots, Holds::EtcdData]);
    done.extend(remove_paths(name, paths, Reason::NodeLeft, done.iter().copied(), build));
    conclusion.change.forget.insert(name.clone());
    let certs = ctx.seen.ledger.certs.keys();
    let of_node = certs.filter(|cert| cert.node() == Some(name.as_str()));
    conclusion.change.forget_certs.extend(of_node.cloned());
    conclusion.after.extend(done);
}

/// Why a node is not cleared now, and whether a later round does it.
fn why_kept(before: Before<'_, '_, '_>, name: &NodeName, last: &LastNode) -> Option<(Follows, WaitsFor)> {
    let ctx = before.given.site.ctx;
    let peer_url = ctx.peer_url(name);
    let is_member = ctx.seen.etcd.members().iter().any(|member| Some(&member.peer_url) == peer_url.as_ref());
    let has_data = ctx.facts(name).is_some_and(|facts| has_our_data(ctx, name, facts));
    if has_data && ctx.seen.etcd == EtcdSeen::Silent {
        Some((members_follow(before), WaitsFor::EtcdMajorityWithThisData))
    } else if is_member && !before.left.contains_key(name) {
        Some((Follows::Not, WaitsFor::MemberLeft))
    } else if last.roles.contains(&Role::ControlPlane) {
        why_api_servers_stay(before).map(|waits_for| (Follows::Not, waits_for))
    } else {
        None
    }
}

/// Drains a node that is to be removed, if cluster.yml has nodes drained. Returns the drain.
fn empty_of_pods(ctx: &Context<'_>, name: &NodeName, build: &mut PlanBuilder<'_>) -> Option<StepHandle> {
    match ctx.desired.rollout.leaving {
        Emptied::Drained => {}
        Emptied::AsItIs => return None,
    }
    // A dead node is not drained: its pods would never end.
    let object = ctx.object(name).filter(|object| object.ready == Readiness::Ready)?;
    let cordon_by = (object.scheduling == Scheduling::Open).then(Vec::new);
    Some(drain::plan(ctx, name, cordon_by, &[Reason::NodeLeft], &[], build).last)
}

fn unreachable(ctx: &Context<'_>, name: &NodeName, build: &mut PlanBuilder<'_>) {
    match ctx.object(name) {
        // A kubelet that still runs would only register the node again.
        Some(object) if object.ready == Readiness::Ready => {
            build.hold(Subject::Node(name.clone()), Waiting::FormerNodeReady, None);
        }
        object => {
            build.note(Subject::Node(name.clone()), Note::FormerNodeUnreachable, None);
            if object.is_some() {
                delete_object(name, build);
            }
        }
    }
}

fn delete_object(name: &NodeName, build: &mut PlanBuilder<'_>) -> StepHandle {
    build.step(name, "node", Action::DeleteNodeObject { node: name.clone() }, vec![Reason::NodeLeft], vec![])
}
