//! Steps, reasons and numbers in words.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{Action, FileDifference, Finding, Gate, NodeName, Plan, Planning, Reason, Step, Weight};

use crate::layout::{columns, cut};
use crate::page::Detail;
use windlass_model::counted;

/// How many reasons of one kind are given one by one.
const OF_A_KIND: usize = 3;
/// All reasons of a folded step take at most this many columns, about two lines.
const REASONS_WIDTH: usize = 160;
/// One reason of a folded step takes at most this many.
const REASON_WIDTH: usize = 140;

/// Whether a step is a wait that only belongs to a change before it: it gets no line of its own.
pub(crate) fn is_mere_wait(step: &Step) -> bool {
    step.action.only_waits() && step.reasons.iter().all(|reason| *reason == Reason::Disturbed)
}

/// Whether a plan would change anything.
pub fn changes(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| !step.action.only_waits())
}

/// What is true after a step, without the place: `etcd is healthy`, `files are written`.
pub(crate) fn done_words(step: &Step) -> String {
    let done = match &step.action {
        Action::AwaitHealthy { gate, .. } => {
            return match gate {
                Gate::Container { component, .. } => format!("{component} is healthy"),
                Gate::EtcdMember { .. } => "etcd is healthy".to_owned(),
                Gate::EtcdLogSnapshot { .. } => "etcd has snapshotted its log".to_owned(),
                Gate::NodeReady { .. } => "node is ready".to_owned(),
                Gate::Addon { addon, .. } => format!("pods of {addon} are ready"),
            };
        }
        Action::EtcdMemberRemove { .. } => return format!("{} has left etcd", step.id.subject()),
        Action::MintCerts { .. } => "issued",
        Action::CommitLedger { .. } => "committed",
        Action::KeepRoots => "kept in Kubernetes",
        Action::DropRoots => "deleted from Kubernetes",
        Action::RewriteSecrets { .. } => "rewritten",
        Action::PullImage { .. } => "pulled",
        Action::WriteFiles { .. } => "written",
        Action::SetKernel { .. } => "set",
        Action::RemovePaths { .. } | Action::RemoveContainer { .. } | Action::RemovePods { .. } => "removed",
        Action::MoveAside { .. } => "moved aside",
        Action::SaveSnapshot { .. } => "taken and read back",
        Action::StageSnapshot { .. } => "copied and read back",
        Action::RestoreMember { .. } => "restored",
        Action::RunContainer { .. } => "running",
        Action::ReplaceContainer { .. } => "replaced",
        Action::StartContainer { .. } => "started",
        Action::RestartContainer { .. } => "restarted",
        Action::ReloadContainer { .. } => "reloaded",
        Action::EtcdMemberAdd { .. } => "added",
        Action::EtcdMemberPromote { .. } => "promoted",
        Action::Cordon { .. } => "cordoned",
        Action::Drain { .. } => "drained",
        Action::Uncordon { .. } => "uncordoned",
        Action::LabelNode { .. } => "labelled",
        Action::ApplyObjects { .. } => "applied",
        Action::DeleteNodeObject { .. } | Action::DeleteObjects { .. } | Action::ForgetLedger => "deleted",
    };
    let subject = step.id.subject();
    let is = if ["files", "pods", "certificates", "objects"].contains(&subject) { "are" } else { "is" };
    format!("{subject} {is} {done}")
}

/// The reasons of a step; many of one kind are counted, unless everything is to be shown.
pub(crate) fn reasons(reasons: &[Reason], detail: Detail) -> Vec<String> {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for reason in reasons {
        *kinds.entry(kind(reason)).or_default() += 1;
    }
    let mut given: BTreeSet<String> = BTreeSet::new();
    let mut texts: Vec<String> = Vec::new();
    for reason in reasons {
        let kind = kind(reason);
        let count = kinds[&kind];
        if detail == Detail::Everything || count <= OF_A_KIND {
            let text = match reason {
                // The image is the subject of the step.
                Reason::ImageNeeded { .. } => "not on the node yet".to_owned(),
                other => other.to_string(),
            };
            if given.insert(text.clone()) {
                texts.push(text);
            }
        } else if given.insert(kind) {
            texts.push(match reason {
                Reason::FileDiffers { how, .. } => counted_files(count, *how),
                _ => format!("{reason} and {} more", count - 1),
            });
        }
    }
    if detail == Detail::Everything {
        return texts;
    }
    let texts: Vec<String> = texts.iter().map(|text| cut(text, REASON_WIDTH)).collect();
    let mut width = 0;
    let fitting = texts.iter().take_while(|text| {
        width += columns(text) + 2;
        width <= REASONS_WIDTH
    });
    let shown = fitting.count().max(1).min(texts.len());
    let mut fitting = texts[..shown].to_vec();
    if let (Some(last), more @ 1..) = (fitting.last_mut(), texts.len() - shown) {
        *last = format!("{last} and {more} more");
    }
    fitting
}

/// Reasons of one kind are counted together.
fn kind(reason: &Reason) -> String {
    match reason {
        Reason::FileDiffers { how, .. } => format!("file {how:?}"),
        Reason::Differs { .. } => "differs".to_owned(),
        Reason::CertDiffers { .. } => "certificate differs".to_owned(),
        Reason::LedgerBehind { .. } => "ledger".to_owned(),
        other => other.to_string(),
    }
}

fn counted_files(count: usize, how: FileDifference) -> String {
    match how {
        FileDifference::Missing => format!("{count} files missing"),
        FileDifference::Content => format!("{count} files differ in content"),
        FileDifference::Mode => format!("{count} files differ in mode"),
        FileDifference::Owner => format!("{count} files differ in owner"),
        FileDifference::Renewed => format!("{count} files are renewed"),
    }
}

/// The size of a plan and its findings, in one line: `9 steps on 3 nodes, 1 node held`.
pub fn counts(planning: &Planning) -> String {
    let Planning { plan, findings } = planning;
    let work: Vec<&Step> = plan.steps.iter().filter(|step| !step.action.only_waits()).collect();
    let nodes: BTreeSet<&NodeName> = work.iter().filter_map(|step| step.action.node()).collect();
    let waits = plan.steps.len() - work.len();
    let mut parts = Vec::new();
    match (work.len(), nodes.len()) {
        (0, _) if waits > 0 => parts.push("no change".to_owned()),
        (0, _) => {}
        (steps, 0) => parts.push(counted(steps, "step")),
        (steps, nodes) => parts.push(format!("{} on {}", counted(steps, "step"), counted(nodes, "node"))),
    }
    if waits > 0 {
        parts.push(counted(waits, "wait"));
    }
    parts.extend(held(findings));
    let of = |weight| findings.iter().filter(|finding| finding.weight == weight).count();
    match of(Weight::Next) {
        0 => {}
        next => parts.push(format!("{} in a later round", counted(next, "change"))),
    }
    match of(Weight::Refused) {
        0 => {}
        refused => parts.push(format!("{refused} refused")),
    }
    parts.join(", ")
}

/// `1 node held`; none if nothing is.
pub(crate) fn held(findings: &[Finding]) -> Option<String> {
    let held = || findings.iter().filter(|finding| finding.weight == Weight::Held);
    let nodes: BTreeSet<&NodeName> = held().filter_map(|finding| finding.node()).collect();
    match (held().count(), nodes.len()) {
        (0, _) => None,
        (count, 0) => Some(format!("{} held", counted(count, "change"))),
        (_, nodes) => Some(format!("{} held", counted(nodes, "node"))),
    }
}
