//! Removes windlass' things from a node: containers, pods, files. Shared by roles that are lost, nodes that
//! have left, and the removal of a cluster.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{
    Action, Because, Component, ContainerName, EtcdData, FilePath, Footprint, Guard, Holds, Intent,
    KUBELET_STATE_FILES, KUBELETS_OWN, NodeFacts, NodeName, Note, PodRuntime, Reason, Subject, kubelet_root,
};

use crate::builder::{PlanBuilder, StepHandle};
use crate::context::Context;
use crate::member_places::member_directories;
use crate::ownership::{is_our_place, is_ours};

/// Plans the removal of what an interrupted step has left behind: nothing uses it, but it occupies names that
/// other steps need.
pub(crate) fn left_overs<'a>(
    ctx: &Context<'a>,
    build: &mut PlanBuilder<'a>,
) -> BTreeMap<&'a NodeName, Vec<StepHandle>> {
    let mut removals: BTreeMap<&'a NodeName, Vec<StepHandle>> = BTreeMap::new();
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } | Intent::Reissue { .. } => {}
        // They are removed with everything else.
        Intent::Dismantle { .. } => return removals,
    }
    for (name, facts) in ctx.all_facts() {
        let left_over = facts.containers.iter().filter(|(container, seen)| {
            Component::of_container(container).is_none() && is_ours(ctx, name, container, seen)
        });
        for (container, _) in left_over {
            let step = remove_container(name, container, vec![], Reason::LeftOver, build);
            removals.entry(name).or_default().push(step);
        }
    }
    removals
}

/// Stops and removes a container.
pub(crate) fn remove_container(
    name: &NodeName,
    container: &ContainerName,
    guards: Vec<Guard>,
    reason: Reason,
    build: &mut PlanBuilder<'_>,
) -> StepHandle {
    build.step(
        name,
        container,
        Action::RemoveContainer { node: name.clone(), container: container.clone(), guards },
        vec![reason],
        vec![],
    )
}

/// Removes the pods of a node and their remains, once kubelet and kube-proxy are removed: kubelet would start
/// the pods again, and kube-proxy would write its rules again.
pub(crate) fn remove_pods(
    name: &NodeName,
    kubelet: FilePath,
    keep: Option<PodRuntime>,
    reason: Reason,
    after: impl IntoIterator<Item = StepHandle>,
    build: &mut PlanBuilder<'_>,
) -> StepHandle {
    let action = Action::RemovePods { node: name.clone(), kubelet, keep };
    let pods = build.step(name, "pods", action, vec![reason], vec![]);
    build.after_all(pods, after, Because::Needs);
    pods
}

/// Where the pods of a node have their volumes: in the root directory of the kubelet that is there, or else in that of cluster.yml.
pub(crate) fn root_of_pods(ctx: &Context<'_>, name: &NodeName, facts: &NodeFacts) -> FilePath {
    let footprint = ctx.desired.footprints.under(facts.prefix.as_ref());
    present_root(ctx, name, facts).unwrap_or_else(|| footprint.kubelet.clone())
}

/// Removes files and directories after these steps; none if the list is empty.
pub(crate) fn remove_paths(
    name: &NodeName,
    paths: BTreeSet<FilePath>,
    reason: Reason,
    after: impl IntoIterator<Item = StepHandle>,
    build: &mut PlanBuilder<'_>,
) -> Option<StepHandle> {
    if paths.is_empty() {
        return None;
    }
    let remove =
        build.step(name, "files", Action::RemovePaths { node: name.clone(), paths }, vec![reason], vec![]);
    build.after_all(remove, after, Because::RemoveLast);
    Some(remove)
}

/// Whether kubelet has left something of pods on a node.
pub(crate) fn has_pod_state(footprint: &Footprint, facts: &NodeFacts) -> bool {
    footprint
        .directories
        .iter()
        .any(|(path, holds)| *holds == Holds::PodState && facts.directories.contains(path))
}

/// Which parts of the footprint exist on a node, except directories that hold what is kept, and data of
/// another etcd.
pub(crate) fn traces(
    ctx: &Context<'_>,
    name: &NodeName,
    facts: &NodeFacts,
    kept: &[Holds],
) -> BTreeSet<FilePath> {
    let footprint = ctx.desired.footprints.under(facts.prefix.as_ref());
    let is_ours = is_our_place(ctx, name, facts);
    let is_others = |path: &FilePath, holds: Holds| {
        holds == Holds::EtcdData
            && !is_ours
            && (*path == footprint.etcd_data || lies_within(&footprint.etcd_data, path))
    };
    let mut directories: BTreeSet<FilePath> = footprint
        .all_directories()
        .into_iter()
        .filter(|(path, holds)| {
            !kept.contains(holds) && facts.directories.contains(path) && !is_others(path, *holds)
        })
        .map(|(path, _)| path)
        .collect();
    if is_ours && !kept.contains(&Holds::EtcdData) {
        directories.extend(member_directories(ctx, facts).into_iter().map(|(_, path)| path));
    }
    let covered = |file: &FilePath| directories.iter().any(|directory| lies_within(file, directory));
    let files: Vec<FilePath> = facts
        .files
        .keys()
        .filter(|path| footprint.files.contains(*path) || **path == footprint.ledger)
        .filter(|path| !covered(path))
        .cloned()
        .collect();
    let marks = marks_of_logs(footprint, facts, is_ours && !kept.contains(&Holds::EtcdData));
    let own = kubelets_own(ctx, name, facts);
    directories.into_iter().chain(files).chain(marks).chain(own).collect()
}

/// The files beside logs of etcd that have disks of their own. Such a disk may be mounted within a directory that goes, and
/// only what is named goes from there. A look covers those of cluster.yml; others are deleted if they exist.
fn marks_of_logs(footprint: &Footprint, facts: &NodeFacts, with_elsewhere: bool) -> Vec<FilePath> {
    let seen = footprint.etcd().beside_log().filter(|mark| facts.files.contains_key(mark));
    let elsewhere =
        facts.etcd_elsewhere.iter().filter(|elsewhere| with_elsewhere && elsewhere.data != EtcdData::Absent);
    seen.into_iter().chain(elsewhere.filter_map(|elsewhere| elsewhere.places.beside_log())).collect()
}

/// What kubelet has in a root directory that somebody chose: there may be other things beside it. A look covers the
/// directories at the place of cluster.yml; at another place, where the kubelet that is there works, they are deleted if
/// they exist.
fn kubelets_own(ctx: &Context<'_>, name: &NodeName, facts: &NodeFacts) -> Vec<FilePath> {
    let is_chosen = |root: &FilePath| !root.as_str().ends_with("/var/lib/kubelet");
    let footprint = ctx.desired.footprints.under(facts.prefix.as_ref());
    let within = |root: &FilePath, name: &str| FilePath::from(format!("{root}/{name}"));
    let mut own = Vec::new();
    let desired = Some(&footprint.kubelet).filter(|root| is_chosen(root));
    let is_used =
        |root: &&FilePath| KUBELETS_OWN.iter().any(|name| facts.directories.contains(&within(root, name)));
    if let Some(root) = desired.filter(is_used) {
        own.extend(KUBELET_STATE_FILES.map(|name| within(root, name)));
    }
    let present = present_root(ctx, name, facts).filter(is_chosen);
    if let Some(root) = present.filter(|root| *root != footprint.kubelet) {
        own.extend(KUBELETS_OWN.iter().chain(&KUBELET_STATE_FILES).map(|name| within(&root, name)));
    }
    own
}

/// The root directory of this cluster's kubelet on a node, as its container has it.
fn present_root(ctx: &Context<'_>, name: &NodeName, facts: &NodeFacts) -> Option<FilePath> {
    let kubelet = Component::Kubelet.container();
    let seen = facts.containers.get(&kubelet).filter(|seen| is_ours(ctx, name, &kubelet, seen))?;
    Some(kubelet_root(&seen.spec))
}

fn lies_within(path: &FilePath, directory: &FilePath) -> bool {
    path.as_str().strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

/// Reports containers on a cleared node that have the name of a component and belong to somebody else.
pub(crate) fn note_foreign_containers(
    ctx: &Context<'_>,
    name: &NodeName,
    facts: &NodeFacts,
    build: &mut PlanBuilder<'_>,
) {
    for (container, seen) in &facts.containers {
        if let Some(component) = Component::of_container(container)
            && !is_ours(ctx, name, container, seen)
        {
            build.note(Subject::Container(name.clone(), component), Note::ForeignContainer, None);
        }
    }
}
