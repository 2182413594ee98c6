//! Files on nodes: written before the containers that read them. Lists of API servers, and files whose owner
//! changes with etcd, are written at a moment of their own.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{
    Action, Because, Component, Content, DesiredFile, DesiredNode, ENCRYPTION_FILE, FileDifference, FilePath,
    NodeName, OnChange, Reason, SpecPath,
};

use crate::builder::{PlanBuilder, StepHandle};
use crate::compare::Condition;
use crate::conditions::Conditions;
use crate::context::Context;
use crate::ledger::Keys;

/// Files of one node that differ, and why each is written.
pub(crate) type Differing = (BTreeMap<FilePath, DesiredFile>, Vec<Reason>);

/// The files that are written, and those that wait for their moment.
#[derive(Debug, Default)]
pub(crate) struct Files<'a> {
    /// The write of all files of a node that do not have to wait.
    pub(crate) written: BTreeMap<&'a NodeName, StepHandle>,
    /// Existing lists of API servers that change: they wait until the new API servers in them work.
    pub(crate) late: BTreeMap<&'a NodeName, Differing>,
    /// Files that are given to another user together with etcd: they wait for the moment right before it is
    /// replaced.
    pub(crate) handed: BTreeMap<&'a NodeName, Differing>,
}

/// Plans one write for each node, of all files that differ there and do not have to wait.
pub(crate) fn plan<'a>(
    ctx: &Context<'a>,
    conditions: &Conditions<'_, 'a>,
    keys: &Keys,
    build: &mut PlanBuilder<'a>,
) -> Files<'a> {
    let mut planned = Files::default();
    for (node, differing) in ctx.reachable().zip(conditions.files()) {
        let (mut now, mut late, mut handed) =
            (Differing::default(), Differing::default(), Differing::default());
        let etcd_is_replaced =
            matches!(conditions.of_container(node.name, Component::Etcd), Some(Condition::Differs { .. }));
        for &(path, desired, how) in differing {
            let waits = how != FileDifference::Missing && is_read_again(node.desired, path);
            let is_handed_over = etcd_is_replaced
                && is_read_by_etcd(node.desired, path)
                && node.facts.files.get(path).is_some_and(|seen| seen.owner != desired.owner);
            let (files, reasons) = match (waits, is_handed_over) {
                (true, _) => &mut late,
                (false, true) => &mut handed,
                (false, false) => &mut now,
            };
            files.insert(path.clone(), desired.clone());
            reasons.push(Reason::FileDiffers { path: path.clone(), how });
        }
        if !now.0.is_empty() {
            planned.written.insert(node.name, write(keys, node.name, "files", now, build));
        }
        if !late.0.is_empty() {
            planned.late.insert(node.name, late);
        }
        if !handed.0.is_empty() {
            planned.handed.insert(node.name, handed);
        }
    }
    planned
}

/// Plans the write of these files, after the keys in them are stored.
pub(crate) fn write(
    keys: &Keys,
    node: &NodeName,
    subject: &str,
    (files, reasons): Differing,
    build: &mut PlanBuilder<'_>,
) -> StepHandle {
    let holds_minted = files.values().any(|desired| match &desired.content {
        Content::Cert { cert, .. } => keys.minted.contains_key(cert),
        Content::Text(_) | Content::Secret(_) | Content::Ledger => false,
    });
    let holds_ciphers = files.keys().any(|path| path.as_str().ends_with(ENCRYPTION_FILE));
    let origins: BTreeSet<SpecPath> =
        files.values().flat_map(|desired| keys.places_of(desired)).cloned().collect();
    let step = build.step(
        node,
        subject,
        Action::WriteFiles { node: node.clone(), files },
        reasons,
        origins.into_iter().collect(),
    );
    build.after_all(step, keys.commit, Because::DurableFirst);
    if holds_ciphers {
        // An API server that restarts by itself reads the new file.
        for (before, because) in keys.before_other_ciphers() {
            build.after(step, before, because);
        }
    }
    let copies = if holds_minted { keys.copies_before_minted() } else { keys.copies_before_any() };
    build.after_all(step, copies.iter().copied(), Because::DurableFirst);
    step
}

/// Whether etcd of the node reads this file.
fn is_read_by_etcd(node: &DesiredNode, path: &FilePath) -> bool {
    node.containers.get(&Component::Etcd).is_some_and(|etcd| etcd.spec.reads.contains_key(path))
}

/// Whether a container of the node reads this file again while it runs.
fn is_read_again(node: &DesiredNode, path: &FilePath) -> bool {
    node.containers.values().any(|desired| desired.spec.reads.get(path) == Some(&OnChange::Reload))
}
