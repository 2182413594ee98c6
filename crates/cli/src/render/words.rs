//! Steps, reasons and numbers in words.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{Action, FileDifference, Finding, Gate, NodeName, Plan, Planning, Reason, Step, Weight};

pub(crate) use windlass_model::counted;

/// The place of a step: a node's name, or `cluster`.
pub(crate) fn place(step: &Step) -> &str {
    step.id.as_str().split_once('/').map_or(step.id.as_str(), |(place, _)| place)
}

/// What a step is about, without the place and the verb.
pub(crate) fn subject(step: &Step) -> &str {
    let id = step.id.as_str();
    let rest = id.split_once('/').map_or(id, |(_, rest)| rest);
    rest.rsplit_once('/').map_or(rest, |(subject, _)| subject)
}

/// Whether a step is a wait that only belongs to a change before it: not worth a line of its own.
pub(crate) fn is_mere_wait(step: &Step) -> bool {
    step.action.only_waits() && step.reasons.iter().all(|reason| *reason == Reason::Disturbed)
}

/// Whether a plan would change anything.
pub(crate) fn changes(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| !step.action.only_waits())
}

/// What is so when a step is done, without the place: `etcd is healthy`, `kubelet replaced`.
pub(crate) fn done_words(step: &Step) -> String {
    let done = match &step.action {
        Action::AwaitHealthy { gate, .. } => {
            return match gate {
                Gate::Container { component, .. } => format!("{component} is healthy"),
                Gate::EtcdMember { .. } => "etcd is healthy".to_owned(),
                Gate::NodeReady { .. } => "node is ready".to_owned(),
            };
        }
        Action::MintCerts { .. } => "minted",
        Action::CommitLedger { .. } => "committed",
        Action::ForgetLedger => "forgotten",
        Action::KeepRoots => "kept",
        Action::PullImage { .. } => "pulled",
        Action::WriteFiles { .. } => "written",
        Action::SetKernel { .. } => "set",
        Action::RemovePaths { .. } | Action::RemoveContainer { .. } | Action::RemovePods { .. } => "removed",
        Action::MoveAside { .. } => "moved aside",
        Action::RunContainer { .. } => "runs",
        Action::ReplaceContainer { .. } => "replaced",
        Action::StartContainer { .. } => "started",
        Action::RestartContainer { .. } => "restarted",
        Action::ReloadContainer { .. } => "reloaded",
        Action::EtcdMemberAdd { .. } => "joined",
        Action::EtcdMemberPromote { .. } => "promoted",
        Action::EtcdMemberRemove { .. } => "left",
        Action::Cordon { .. } => "cordoned",
        Action::Drain { .. } => "drained",
        Action::Uncordon { .. } => "uncordoned",
        Action::LabelNode { .. } => "labelled",
        Action::DeleteNodeObject { .. } => "deleted",
    };
    format!("{} {done}", subject(step))
}

/// Reasons in one line; many of one kind are counted, unless all are wanted.
pub(crate) fn reasons(reasons: &[Reason], all: bool) -> String {
    const SHOWN: usize = 3;
    const WIDTH: usize = 80;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for reason in reasons {
        *kinds.entry(kind(reason)).or_default() += 1;
    }
    let mut told: BTreeSet<String> = BTreeSet::new();
    let mut texts: Vec<String> = Vec::new();
    for reason in reasons {
        let kind = kind(reason);
        let count = kinds[&kind];
        if all || count <= SHOWN {
            let text = match reason {
                // The image is the subject of the step.
                Reason::ImageNeeded { .. } => "not on the node yet".to_owned(),
                other => other.to_string(),
            };
            if told.insert(text.clone()) {
                texts.push(text);
            }
        } else if told.insert(kind.clone()) {
            texts.push(match reason {
                Reason::FileDiffers { how, .. } => counted_files(count, *how),
                Reason::Differs { .. } => format!("{reason} and {} more", count - 1),
                _ => format!("{reason} (and {} more)", count - 1),
            });
        }
    }
    if all {
        return texts.join(", ");
    }
    let mut width = 0;
    let fitting = texts.iter().take_while(|text| {
        width += text.chars().count();
        width <= WIDTH
    });
    let shown = fitting.count().max(1);
    let mut line = texts[..shown.min(texts.len())].join(", ");
    if texts.len() > shown {
        line = format!("{line} and {} more", texts.len() - shown);
    }
    line
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
        FileDifference::Content => format!("{count} files have other content"),
        FileDifference::Mode => format!("{count} files have another mode"),
        FileDifference::Owner => format!("{count} files have another owner"),
        FileDifference::Renewed => format!("{count} files are made anew"),
    }
}

/// The size of a plan and of what was found, in one line: `9 steps on 3 nodes, 1 node held`.
pub(crate) fn counts(planning: &Planning) -> String {
    let Planning { plan, findings } = planning;
    let work: Vec<&Step> = plan.steps.iter().filter(|step| !step.action.only_waits()).collect();
    let nodes: BTreeSet<&NodeName> = work.iter().filter_map(|step| step.action.node()).collect();
    let waits = plan.steps.len() - work.len();
    let mut parts = Vec::new();
    match (work.len(), nodes.len()) {
        (0, _) if waits > 0 => parts.push("nothing but to wait".to_owned()),
        (0, _) => {}
        (steps, 0) => parts.push(counted(steps, "step")),
        (steps, nodes) => parts.push(format!("{} on {}", counted(steps, "step"), counted(nodes, "node"))),
    }
    if waits > 0 {
        parts.push(counted(waits, "wait"));
    }
    if let Some(held) = held(findings) {
        parts.push(held);
    }
    let refused = findings.iter().filter(|finding| finding.weight == Weight::Refused).count();
    if refused > 0 {
        parts.push(format!("{refused} refused"));
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
