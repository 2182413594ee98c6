//! What is to be done about every desired container and file of every reachable node.

use windlass_model::{
    Component, ContainerState, Content, DesiredFile, FileDifference, FilePath, Health, NodeName, Readiness,
    Reason, Scheduling, Subject, Unasked, Waiting,
};

use crate::alarms;
use crate::builder::PlanBuilder;
use crate::compare::{Condition, Contents, conditions};
use crate::context::Context;
use crate::ledger::Keys;
use crate::sight::Sight;

/// A desired file that differs, and how.
pub(crate) type DifferingFile<'a> = (&'a FilePath, &'a DesiredFile, FileDifference);

/// The conditions of all reachable nodes, in the order of [`Context::reachable`].
#[derive(Debug)]
pub(crate) struct Conditions<'c, 'a> {
    sight: &'c Sight<'a>,
    nodes: Vec<OfNode<'a>>,
    /// Whether this plan changes the version of Kubernetes.
    kubernetes_moves: bool,
    /// Whether an API server that cluster.yml asks for works now.
    one_api_server_works: bool,
}

/// The conditions of one node.
#[derive(Debug)]
struct OfNode<'a> {
    /// In the order of components.
    containers: Vec<(Component, Condition)>,
    /// Without the copy of the ledger.
    files: Vec<DifferingFile<'a>>,
}

impl<'c, 'a> Conditions<'c, 'a> {
    /// Compares everything, once it is known which certificates this plan issues.
    pub(crate) fn of(ctx: &'c Context<'a>, keys: &Keys) -> Self {
        let contents = Contents::new(ctx.seen, keys);
        let nodes: Vec<OfNode<'a>> = ctx
            .reachable()
            .map(|node| {
                let files = contents.files(node.desired, node.facts);
                let mut containers: Vec<(Component, Condition)> =
                    conditions(node.desired, &files, node.facts, keys).collect();
                if ctx.kube_answers() && node.object.is_none() {
                    // A kubelet registers its node once, at its start (`registerWithAPIServer`).
                    amend(&mut containers, Component::Kubelet, |kubelet| {
                        (*kubelet == Condition::Good).then(|| Condition::Sick(vec![Reason::Unregistered]))
                    });
                }
                if is_healthy_member(ctx, node.name) {
                    // Its peers have received an answer from it, or windlass has a moment later.
                    amend(&mut containers, Component::Etcd, |etcd| {
                        let is_ill = matches!(etcd, Condition::Settling)
                            || *etcd == Condition::Sick(vec![Reason::Unhealthy]);
                        let is_alarmed = alarms::is_raised(ctx) && is_ill;
                        (is_alarmed || matches!(etcd, Condition::Unasked(_))).then_some(Condition::Good)
                    });
                }
                excuse_dependents(ctx, &mut containers);
                let differing = files.into_iter().filter(|file| file.desired.content != Content::Ledger);
                let files =
                    differing.filter_map(|file| Some((file.path, file.desired, file.differs?))).collect();
                OfNode { containers, files }
            })
            .collect();
        // Asked for each node, and the same for all of them.
        let api_servers = || nodes.iter().filter_map(|node| find(&node.containers, Component::KubeApiserver));
        let kubernetes_moves = api_servers().any(Condition::has_new_image);
        let one_api_server_works = api_servers().any(Condition::works);
        Self { sight: &ctx.sight, nodes, kubernetes_moves, one_api_server_works }
    }

    /// What is to be done about a desired container of a reachable node.
    pub(crate) fn of_container(&self, node: &NodeName, component: Component) -> Option<&Condition> {
        find(&self.nodes[self.sight.index_of(node)?].containers, component)
    }

    /// Holds containers that could not be asked whether they work.
    pub(crate) fn hold_unasked(&self, ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
        for (node, conditions) in ctx.reachable().zip(&self.nodes) {
            for (component, condition) in &conditions.containers {
                if let Condition::Unasked(why) = condition {
                    let about = Subject::Container(node.name.clone(), *component);
                    build.hold(about, Waiting::HealthUnknown { why: *why }, None);
                }
            }
        }
    }

    /// The desired files that differ, node by node in the order of [`Context::reachable`].
    pub(crate) fn files(&self) -> impl Iterator<Item = &[DifferingFile<'a>]> {
        self.nodes.iter().map(|node| node.files.as_slice())
    }

    /// Whether a container is replaced or restarted, if anything is done about it.
    pub(crate) fn is_disturbed(&self, node: &NodeName, component: Component) -> bool {
        matches!(self.of_container(node, component), Some(Condition::Differs { .. } | Condition::Sick(_)))
    }

    /// Whether a container is replaced by one of another image.
    pub(crate) fn has_new_image(&self, node: &NodeName, component: Component) -> bool {
        self.of_container(node, component).is_some_and(Condition::has_new_image)
    }

    /// Whether the node can run pods now: all its containers work, its object is ready and schedulable.
    pub(crate) fn is_available(&self, node: &NodeName) -> bool {
        let Some(seen) = self.sight.of(node) else { return false };
        self.runs_pods(node)
            && seen.object.is_some_and(|object| {
                object.ready == Readiness::Ready && object.scheduling == Scheduling::Open
            })
    }

    /// Whether only an API server of its own that does not work keeps a node from being available.
    pub(crate) fn lacks_its_api_server(&self, node: &NodeName) -> bool {
        let api = self.of_container(node, Component::KubeApiserver);
        self.runs_pods(node) && api.is_some_and(|api| !api.works())
    }

    /// Whether a node runs pods as soon as the containers that are missing or stopped run, which waits for no other node.
    pub(crate) fn soon_runs_pods(&self, node: &NodeName) -> bool {
        let is_started = |of: &Condition| matches!(of, Condition::Absent | Condition::Down(_));
        self.runs_pods_if(node, |of| of.works() || is_started(of))
    }

    /// Whether all containers of a node that pods need work.
    fn runs_pods(&self, node: &NodeName) -> bool {
        self.runs_pods_if(node, Condition::works)
    }

    fn runs_pods_if(&self, node: &NodeName, works: impl Fn(&Condition) -> bool) -> bool {
        let works = |component| self.of_container(node, component).is_none_or(&works);
        let Some(seen) = self.sight.of(node) else { return false };
        // An API server that leaves the node holds the port of nginx-proxy until then, and serves in its place.
        let has_api_server = seen.facts.containers.contains_key(Component::KubeApiserver.as_str());
        works(Component::Kubelet)
            && works(Component::KubeProxy)
            && (works(Component::NginxProxy) || has_api_server)
    }

    /// Whether this plan changes the version of Kubernetes.
    pub(crate) fn kubernetes_moves(&self) -> bool {
        self.kubernetes_moves
    }

    /// Whether an API server that cluster.yml asks for works now.
    pub(crate) fn one_api_server_works(&self) -> bool {
        self.one_api_server_works
    }
}

fn find(conditions: &[(Component, Condition)], component: Component) -> Option<&Condition> {
    conditions.iter().find(|(of, _)| *of == component).map(|(_, condition)| condition)
}

/// Whether etcd lists the member of this node as healthy.
fn is_healthy_member(ctx: &Context<'_>, node: &NodeName) -> bool {
    let peer_url = ctx.peer_url(node);
    let mut members = ctx.seen.etcd.members().iter();
    members.any(|member| Some(&member.peer_url) == peer_url.as_ref() && member.health == Health::Healthy)
}

/// Replaces the condition of a component if `other` returns one.
fn amend(
    conditions: &mut [(Component, Condition)],
    component: Component,
    other: impl FnOnce(&Condition) -> Option<Condition>,
) {
    let Some((_, condition)) = conditions.iter_mut().find(|(of, _)| *of == component) else { return };
    if let Some(other) = other(condition) {
        *condition = other;
    }
}

/// What runs and cannot work because something else does not is left alone: a restart would not help. It does
/// help a paused container.
fn excuse_dependents(ctx: &Context<'_>, conditions: &mut [(Component, Condition)]) {
    let paused = Reason::NotRunning { state: ContainerState::Paused };
    let waits = |condition: &Condition| {
        let is_excused = match condition {
            Condition::Sick(reasons) => !reasons.contains(&paused),
            // It is itself waiting for an answer.
            Condition::Unasked(why) => *why == Unasked::NoAnswer,
            _ => false,
        };
        is_excused.then_some(Condition::Waiting)
    };
    if ctx.etcd_is_silent() || alarms::is_raised(ctx) {
        amend(conditions, Component::KubeApiserver, waits);
    }
    if find(conditions, Component::KubeApiserver).is_some_and(|condition| !condition.works()) {
        amend(conditions, Component::KubeControllerManager, waits);
        amend(conditions, Component::KubeScheduler, waits);
    }
    if !ctx.kube_answers() {
        amend(conditions, Component::NginxProxy, waits);
    }
}
