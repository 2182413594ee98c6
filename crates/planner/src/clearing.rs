//! What takes windlass' things off a node: containers, pods, files; shared by roles that are lost, nodes that have left,
//! and the end of a cluster.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{
    Action, Because, Component, ContainerName, FilePath, Footprint, Guard, Holds, Intent, LastNode, Maker,
    NodeFacts, NodeName, Reason, StepId,
};

use crate::builder::{PlanBuilder, StepHandle};
use crate::context::Context;

/// Plans the removal of what an interrupted step has left behind: nothing uses it, but it holds names that other steps
/// need.
pub(crate) fn left_overs<'a>(
    ctx: &Context<'a>,
    build: &mut PlanBuilder<'a>,
) -> BTreeMap<&'a NodeName, Vec<StepHandle>> {
    let mut removals: BTreeMap<&'a NodeName, Vec<StepHandle>> = BTreeMap::new();
    match ctx.intent {
        Intent::Converge { .. } | Intent::Reissue { .. } => {}
        // They go with everything else.
        Intent::Dismantle { .. } => return removals,
    }
    for (name, facts) in ctx.all_facts() {
        let left_over = facts.containers.iter().filter(|(container, seen)| {
            seen.maker == Maker::Windlass && Component::of_container(container).is_none()
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
        StepId::new(name, container, "remove"),
        Action::RemoveContainer { node: name.clone(), container: container.clone(), guards },
        vec![reason],
        vec![],
    )
}

/// Removes the pods of a node and what they left, once kubelet and kube-proxy are gone: kubelet would start them anew,
/// and kube-proxy write its rules anew.
pub(crate) fn remove_pods(
    name: &NodeName,
    reason: Reason,
    after: impl IntoIterator<Item = StepHandle>,
    build: &mut PlanBuilder<'_>,
) -> StepHandle {
    let pods = build.step(
        StepId::new(name, "pods", "remove"),
        Action::RemovePods { node: name.clone() },
        vec![reason],
        vec![],
    );
    build.after_all(pods, after, Because::Needs);
    pods
}

/// Removes files and directories, after these steps; none if there are none.
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
    let remove = build.step(
        StepId::new(name, "files", "remove"),
        Action::RemovePaths { node: name.clone(), paths },
        vec![reason],
        vec![],
    );
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

/// What of the footprint exists on a node, but for directories that hold what is kept.
pub(crate) fn traces(footprint: &Footprint, facts: &NodeFacts, kept: &[Holds]) -> BTreeSet<FilePath> {
    let directories: BTreeSet<FilePath> = footprint
        .all_directories()
        .into_iter()
        .filter(|(path, holds)| !kept.contains(holds) && facts.directories.contains(path))
        .map(|(path, _)| path)
        .collect();
    let covered = |file: &FilePath| {
        directories.iter().any(|directory| {
            file.as_str().strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/'))
        })
    };
    let files: Vec<FilePath> = facts
        .files
        .keys()
        .filter(|path| footprint.files.contains(*path) || **path == footprint.ledger)
        .filter(|path| !covered(path))
        .cloned()
        .collect();
    directories.into_iter().chain(files).collect()
}

/// Whether a node has this component, made by windlass, or on a node where windlass had one.
pub(crate) fn is_ours(component: Component, facts: &NodeFacts, last: Option<&LastNode>) -> bool {
    let role = component.nature().runs.role();
    facts.containers.get(component.as_str()).is_some_and(|seen| {
        seen.maker == Maker::Windlass
            || last.is_some_and(|last| role.is_none_or(|role| last.roles.contains(&role)))
    })
}
