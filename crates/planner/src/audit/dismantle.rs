//! Whether a plan that removes a cluster removes all of it, and nothing that is to be kept.

use std::collections::BTreeSet;

use windlass_model::{Action, Component, ContainerName, Holds, Maker, NodeName, Snapshots};

use super::audited::{Audited, Ordered};
use super::fault::Fault;

/// Nothing is created; every container of windlass is removed from every node that is not held; snapshots
/// that are to be kept are not touched.
pub(super) fn check(audited: &Audited<'_>, snapshots: Snapshots, faults: &mut Vec<Fault>) {
    let mut removed: BTreeSet<(&NodeName, &ContainerName)> = BTreeSet::new();
    let kept: Vec<_> = audited
        .desired
        .footprints
        .all()
        .flat_map(|footprint| &footprint.directories)
        .filter(|(_, holds)| **holds == Holds::Snapshots && snapshots == Snapshots::Keep)
        .map(|(path, _)| path)
        .collect();
    for (_, id, action) in audited.actions() {
        match action {
            Action::RemoveContainer { node, container, .. } => drop(removed.insert((node, container))),
            Action::RemovePaths { paths, .. } => {
                if let Some(path) = kept.iter().find(|path| paths.contains(**path)) {
                    faults.push(Fault(format!("{id}: deletes the snapshots in {path}")));
                }
            }
            Action::RemovePods { .. } | Action::CommitLedger { .. } | Action::ForgetLedger => {}
            _ => faults.push(Fault(format!("{id}: the cluster is to be removed"))),
        }
    }
    for (node, facts) in &audited.seen.nodes {
        let Some(facts) = facts.facts().filter(|_| !audited.is_held(node)) else { continue };
        let left = facts.containers.iter().find(|(container, seen)| {
            let is_anothers = seen.lineage.is_some() && seen.lineage != audited.seen.ledger.lineage;
            seen.maker == Maker::Windlass
                && Component::of_successor_or_container(container).is_some()
                && !(is_anothers && audited.seen.ledger.lineage.is_some())
                && !removed.contains(&(node, *container))
        });
        if let Some((container, _)) = left {
            faults.push(Fault(format!("{node}/{container} is not removed, and no finding says so")));
        }
    }
}

/// The ledger is deleted last, when nothing is left that needs it.
pub(super) fn check_ledger_goes_last(audited: &Ordered<'_>, faults: &mut Vec<Fault>) {
    for (index, id, action) in audited.actions() {
        let is_last = || {
            let steps = 0..audited.planning.plan.steps.len();
            steps.filter(|other| *other != index).all(|other| audited.order.comes_before(other, index))
        };
        if matches!(action, Action::ForgetLedger) && !is_last() {
            faults.push(Fault(format!("{id}: the ledger goes before something that needs it")));
        }
    }
}
