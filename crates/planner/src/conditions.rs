//! What is to be done about every desired container and file of every reachable node.

use std::collections::BTreeMap;

use windlass_model::{
    CertName, Component, Content, FileDifference, FilePath, FileWish, NodeName, Readiness, Reason, Scheduling,
};

use crate::compare::{Condition, Contents, conditions};
use crate::context::Context;
use crate::sight::Sight;

/// A desired file that differs, and how.
pub(crate) type DifferingFile<'a> = (&'a FilePath, &'a FileWish, FileDifference);

/// The conditions of all reachable nodes, in the order of [`Context::reachable`].
#[derive(Debug)]
pub(crate) struct Conditions<'c, 'a> {
    sight: &'c Sight<'a>,
    nodes: Vec<OfNode<'a>>,
}

/// The conditions of one node.
#[derive(Debug)]
struct OfNode<'a> {
    /// In the order of components.
    containers: Vec<(Component, Condition)>,
    /// The copy of the ledger aside.
    files: Vec<DifferingFile<'a>>,
}

impl<'c, 'a> Conditions<'c, 'a> {
    /// Compares everything, once it is known which certificates this plan makes.
    pub(crate) fn of(ctx: &'c Context<'a>, minted: &BTreeMap<CertName, Vec<Reason>>) -> Self {
        let contents = Contents::new(ctx.seen, minted);
        let (kube_answers, etcd_is_silent) = (ctx.kube_answers(), ctx.etcd_is_silent());
        let nodes = ctx
            .reachable()
            .map(|node| {
                let files = contents.files(node.desired, node.facts);
                let mut containers: Vec<(Component, Condition)> =
                    conditions(node.desired, &files, node.facts).collect();
                if kube_answers && node.object.is_none() {
                    // A kubelet registers its node once, at its start (`registerWithAPIServer`).
                    amend(&mut containers, Component::Kubelet, |kubelet| {
                        (*kubelet == Condition::Good).then(|| Condition::Sick(vec![Reason::Unregistered]))
                    });
                }
                excuse_dependents(&mut containers, etcd_is_silent, kube_answers);
                let differing = files.into_iter().filter(|file| file.wish.content != Content::Ledger);
                let files =
                    differing.filter_map(|file| Some((file.path, file.wish, file.differs?))).collect();
                OfNode { containers, files }
            })
            .collect();
        Self { sight: &ctx.sight, nodes }
    }

    /// What is to be done about a desired container of a reachable node.
    pub(crate) fn of_container(&self, node: &NodeName, component: Component) -> Option<&Condition> {
        find(&self.nodes[self.sight.index_of(node)?].containers, component)
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

    /// Whether the node does its work for pods now: all its containers work, its object is ready and open.
    pub(crate) fn is_available(&self, node: &NodeName) -> bool {
        let works = |component| self.of_container(node, component).is_none_or(Condition::works);
        works(Component::Kubelet)
            && works(Component::KubeProxy)
            && works(Component::NginxProxy)
            && self.sight.of(node).and_then(|node| node.object).is_some_and(|object| {
                object.ready == Readiness::Ready && object.scheduling == Scheduling::Open
            })
    }

    /// Whether Kubernetes moves to another version by this plan.
    pub(crate) fn kubernetes_moves(&self) -> bool {
        self.nodes.iter().any(|node| {
            find(&node.containers, Component::KubeApiserver).is_some_and(Condition::has_new_image)
        })
    }
}

fn find(conditions: &[(Component, Condition)], component: Component) -> Option<&Condition> {
    conditions.iter().find(|(of, _)| *of == component).map(|(_, condition)| condition)
}

/// Puts another condition in the place of a component's, if `other` gives one.
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

/// What runs and cannot work because something else does not is left alone: a restart would not help.
fn excuse_dependents(conditions: &mut [(Component, Condition)], etcd_is_silent: bool, kube_answers: bool) {
    let waits = |sick: &Condition| matches!(sick, Condition::Sick(_)).then_some(Condition::Waiting);
    if etcd_is_silent {
        amend(conditions, Component::KubeApiserver, waits);
    }
    if find(conditions, Component::KubeApiserver).is_some_and(|condition| !condition.works()) {
        amend(conditions, Component::KubeControllerManager, waits);
        amend(conditions, Component::KubeScheduler, waits);
    }
    if !kube_answers {
        amend(conditions, Component::NginxProxy, waits);
    }
}
