//! The meaning of a plan in a few words: what is replaced, restarted, drained or deleted, and which nodes
//! join or leave.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{Action, Because, Component, FilePath, Plan, Reason, Step, StepId, counted};

use crate::below::{at_once, lanes, window};
use crate::layout::{Width, wrap};
use crate::names::{Room, names};

/// A list of nodes takes at most this many columns.
const NODES_WIDTH: usize = 40;
/// A summary is short where it would take more lines than these.
const MOST_LINES: usize = 2;
/// So many kinds of containers that are deleted are named.
const CONTAINERS_SHOWN: usize = 3;

/// The components that are named with their nodes, since users and workloads notice them, with the word for one of
/// them and for several; in this order.
const NAMED: [(Component, &str, &str); 3] = [
    (Component::Etcd, "etcd", "etcd"),
    (Component::KubeApiserver, "API server", "API servers"),
    (Component::Kubelet, "kubelet", "kubelet"),
];

/// How much a summary says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fullness {
    /// All that is replaced, restarted, drained or deleted.
    Whole,
    /// What users and workloads notice; the steps below show the rest.
    Short,
}

/// The meaning of a plan that is not empty, in lines; a short one where the whole would take more than two.
pub(crate) fn summary(plan: &Plan, width: Width) -> Vec<String> {
    let lines = |fullness| wrap(&sentences(plan, fullness).join(" "), "  ", "  ", width);
    let whole = lines(Fullness::Whole);
    if whole.len() <= MOST_LINES { whole } else { lines(Fullness::Short) }
}

fn sentences(plan: &Plan, fullness: Fullness) -> Vec<String> {
    let is_first = plan.steps.iter().any(|step| {
        step.reasons.contains(&Reason::FirstStart)
            || matches!(&step.action, Action::CommitLedger { change } if change.born)
    });
    let joining = if is_first { BTreeSet::new() } else { joining(plan) };
    let mut sentences: Vec<String> = Vec::new();
    let mut say = |label: &str, what: String| {
        if !what.is_empty() {
            sentences.push(format!("{label}: {what}."));
        }
    };
    let started = |step: &Step| match step.action {
        Action::RunContainer { component, .. } | Action::StartContainer { component, .. } => {
            (!joining.contains(step.id.place())).then_some(component)
        }
        _ => None,
    };
    if is_first {
        let named = |step: &Step| started(step).filter(|component| is_named(*component));
        say("First start of the cluster", components(plan, fullness, named));
    } else {
        say("Started", components(plan, fullness, started));
    }
    say("New nodes", nodes(joining.iter().copied()));
    let new_members = at(plan, |step| matches!(step.action, Action::EtcdMemberAdd { .. }));
    let replaced = components(plan, fullness, |step| match step.action {
        Action::ReplaceContainer { component, .. } => Some(component),
        _ => None,
    });
    let restarted = components(plan, fullness, |step| match step.action {
        Action::RestartContainer { component, .. } => Some(component),
        _ => None,
    });
    let disturbances = match fullness {
        Fullness::Whole => {
            say("New etcd members", new_members);
            vec![
                ("Replaced", replaced),
                ("Restarted", restarted),
                ("Drained", drained(plan)),
                ("Nodes that leave", leaving(plan)),
                ("Deleted", deleted(plan)),
                ("Moved aside", moved_aside(plan)),
            ]
        }
        Fullness::Short => {
            let mut all = vec![("Replaced", replaced), ("Restarted", restarted)];
            all.extend(gone_in_short(plan));
            all
        }
    };
    let mut is_gentle = true;
    for (label, what) in disturbances {
        is_gentle &= what.is_empty();
        say(label, what);
    }
    say("Certificates reissued", reissued(plan));
    if is_gentle && !is_first {
        sentences
            .push("No running container is replaced or restarted, nothing is drained or deleted.".to_owned());
    }
    sentences
}

fn is_named(component: Component) -> bool {
    NAMED.iter().any(|(named, ..)| *named == component)
}

fn nodes<'a>(nodes: impl IntoIterator<Item = &'a str>) -> String {
    names(nodes, Room::Columns(NODES_WIDTH))
}

/// The nodes of the steps that satisfy a condition.
fn at(plan: &Plan, is_so: impl Fn(&Step) -> bool) -> String {
    nodes(plan.steps.iter().filter(|step| is_so(step)).map(|step| step.id.place()))
}

/// Nodes whose first kubelet is started: the ledger records them in the same plan.
fn joining(plan: &Plan) -> BTreeSet<&str> {
    let noted: BTreeSet<&str> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::CommitLedger { change } => {
                Some(change.nodes.keys().map(windlass_model::NodeName::as_str))
            }
            _ => None,
        })
        .flatten()
        .collect();
    let kubelets = plan
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::RunContainer { component: Component::Kubelet, .. }));
    kubelets.map(|step| step.id.place()).filter(|place| noted.contains(place)).collect()
}

/// Which components are concerned, where, and how many at once: those of [`NAMED`] with their nodes, then the
/// names of the others, which a short summary leaves out.
fn components(plan: &Plan, fullness: Fullness, concerned: impl Fn(&Step) -> Option<Component>) -> String {
    let mut by_component: BTreeMap<Component, Vec<&Step>> = BTreeMap::new();
    for step in &plan.steps {
        if let Some(component) = concerned(step) {
            by_component.entry(component).or_default().push(step);
        }
    }
    // Components that change on the same nodes in the same way are named together.
    let mut parts: Vec<(Vec<&str>, String)> = Vec::new();
    for (component, one, many) in NAMED {
        let Some(steps) = by_component.remove(&component) else { continue };
        let on = nodes(steps.iter().map(|step| step.id.place()));
        let pace = if steps.len() > 1 { pace(plan, &steps) } else { String::new() };
        let part = format!("{on}{pace}");
        let word = if steps.len() == 1 { one } else { many };
        match parts.last_mut() {
            Some((words, same)) if *same == part => words.push(word),
            _ => parts.push((vec![word], part)),
        }
    }
    let mut texts: Vec<String> =
        parts.into_iter().map(|(words, part)| format!("{} on {part}", words.join(" and "))).collect();
    let others: Vec<&str> = by_component.keys().map(|component| component.as_str()).collect();
    if !others.is_empty() && (fullness == Fullness::Whole || texts.is_empty()) {
        texts.push(others.join(", "));
    }
    texts.join("; ")
}

/// ` (one at a time)`; empty where there is no limit.
fn pace(plan: &Plan, steps: &[&Step]) -> String {
    // The guards of a drained node are on its cordon.
    let cordons: Vec<&Step> = plan
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::Cordon { .. }))
        .filter(|cordon| steps.iter().any(|step| step.id.place() == cordon.id.place()))
        .collect();
    let guarded = if at_once(steps).is_some() { steps } else { cordons.as_slice() };
    let because = if window(guarded).is_some() { Because::Window } else { Because::OneAtATime };
    // Unavailable nodes may use up part of the limit: the edges have the rest.
    match at_once(guarded).map(|limit| limit.min(lanes(plan, &in_order(plan, steps), because))) {
        Some(1) => " (one at a time)".to_owned(),
        Some(limit) if limit < steps.len() => format!(" (at most {limit} at once)"),
        Some(_) | None => String::new(),
    }
}

/// The nodes of these steps, in an order in which the steps can be done.
fn in_order<'p>(plan: &'p Plan, steps: &[&Step]) -> Vec<&'p str> {
    let wanted: BTreeSet<&StepId> = steps.iter().map(|step| &step.id).collect();
    let all = plan.in_order().into_iter().map(|index| &plan.steps[index]);
    all.filter(|step| wanted.contains(&step.id)).map(|step| step.id.place()).collect()
}

fn drained(plan: &Plan) -> String {
    let steps: Vec<&Step> =
        plan.steps.iter().filter(|step| matches!(step.action, Action::Drain { .. })).collect();
    let pace = if steps.len() > 1 { pace(plan, &steps) } else { String::new() };
    format!("{}{pace}", nodes(steps.iter().map(|step| step.id.place())))
}

fn leaving(plan: &Plan) -> String {
    at(plan, |step| step.action.node().is_some() && step.reasons.contains(&Reason::NodeLeft))
}

fn deleted(plan: &Plan) -> String {
    let mut texts = Vec::new();
    let members: Vec<&str> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::EtcdMemberRemove { peer_url, .. } => Some(peer_url.as_str()),
            _ => None,
        })
        .collect();
    match members.as_slice() {
        [] => {}
        [peer_url] => texts.push(format!("the etcd member at {peer_url}")),
        many => texts.push(format!("the etcd members at {}", many.join(", "))),
    }
    let containers: Vec<(&str, &Step)> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::RemoveContainer { container, .. } => Some((container.as_str(), step)),
            _ => None,
        })
        .collect();
    if !containers.is_empty() {
        let kinds: BTreeSet<&str> = containers.iter().map(|(name, _)| *name).collect();
        let on = nodes(containers.iter().map(|(_, step)| step.id.place()));
        texts.push(if kinds.len() > CONTAINERS_SHOWN {
            format!("{} on {on}", counted(containers.len(), "container"))
        } else {
            let noun = if containers.len() == 1 { "the container" } else { "the containers" };
            format!("{noun} {} on {on}", kinds.into_iter().collect::<Vec<_>>().join(", "))
        });
    }
    let mut on = |what: &str, at: String| {
        if !at.is_empty() {
            texts.push(format!("{what} {at}"));
        }
    };
    on("all pods on", at(plan, |step| matches!(step.action, Action::RemovePods { .. })));
    on("files on", at(plan, |step| matches!(step.action, Action::RemovePaths { .. })));
    on("node objects of", at(plan, |step| matches!(step.action, Action::DeleteNodeObject { .. })));
    let objects: Vec<String> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::DeleteObjects { objects } => Some(objects.iter().map(ToString::to_string)),
            _ => None,
        })
        .flatten()
        .collect();
    if !objects.is_empty() {
        texts.push(format!("in Kubernetes: {}", objects.join(", ")));
    }
    if plan.steps.iter().any(|step| step.action == Action::ForgetLedger) {
        texts.push("the ledger with all keys".to_owned());
    }
    texts.join("; ")
}

/// What is drained, leaves or is deleted. All that is on nodes that leave goes with them, and is not listed.
fn gone_in_short(plan: &Plan) -> Vec<(&'static str, String)> {
    let places = |is_so: &dyn Fn(&Step) -> bool| -> BTreeSet<&str> {
        plan.steps.iter().filter(|step| is_so(step)).map(|step| step.id.place()).collect()
    };
    let drains = |step: &Step| matches!(step.action, Action::Drain { .. });
    let leaving = places(&|step| step.action.node().is_some() && step.reasons.contains(&Reason::NodeLeft));
    let cleared = places(&|step| is_deletion(step) || matches!(step.action, Action::MoveAside { .. }));
    if leaving.is_empty() || !cleared.is_subset(&leaving) {
        return vec![
            ("Drained", drained(plan)),
            ("Nodes that leave", nodes(leaving)),
            ("Deleted", deleted_in_short(plan)),
            ("Data moved aside", at(plan, |step| matches!(step.action, Action::MoveAside { .. }))),
        ];
    }
    let drained_first = places(&drains).is_subset(&leaving) && plan.steps.iter().any(drains);
    let first = if drained_first { "drained, then cleared" } else { "cleared" };
    let keeps_data = plan.steps.iter().any(|step| matches!(step.action, Action::MoveAside { .. }));
    let data = if keeps_data { "; etcd's data is kept there" } else { "" };
    let leave = format!("{} ({first}{data})", nodes(leaving));
    let mut all = vec![("Nodes that leave", leave)];
    if !drained_first {
        all.insert(0, ("Drained", drained(plan)));
    }
    all
}

/// Whether a step deletes something from a node.
fn is_deletion(step: &Step) -> bool {
    matches!(
        step.action,
        Action::RemoveContainer { .. }
            | Action::RemovePods { .. }
            | Action::RemovePaths { .. }
            | Action::DeleteNodeObject { .. }
    )
}

/// What is deleted, counted, and on which nodes.
fn deleted_in_short(plan: &Plan) -> String {
    let count = |is_so: fn(&Action) -> bool| plan.steps.iter().filter(|step| is_so(&step.action)).count();
    let mut texts: Vec<String> = Vec::new();
    for (what, count) in [
        ("etcd member", count(|action| matches!(action, Action::EtcdMemberRemove { .. }))),
        ("container", count(|action| matches!(action, Action::RemoveContainer { .. }))),
        ("node object", count(|action| matches!(action, Action::DeleteNodeObject { .. }))),
    ] {
        if count > 0 {
            texts.push(counted(count, what));
        }
    }
    if count(|action| matches!(action, Action::RemovePods { .. })) > 0 {
        texts.push("pods".to_owned());
    }
    if count(|action| matches!(action, Action::RemovePaths { .. })) > 0 {
        texts.push("files".to_owned());
    }
    let at = nodes(plan.steps.iter().filter(|step| is_deletion(step)).map(|step| step.id.place()));
    let mut text = texts.join(", ");
    if !at.is_empty() {
        text = format!("{text} on {at}");
    }
    let objects: usize = plan
        .steps
        .iter()
        .map(|step| match &step.action {
            Action::DeleteObjects { objects } => objects.len(),
            _ => 0,
        })
        .sum();
    let mut texts: Vec<String> = Some(text).filter(|text| !text.is_empty()).into_iter().collect();
    if objects > 0 {
        texts.push(format!("{} in Kubernetes", counted(objects, "object")));
    }
    if plan.steps.iter().any(|step| step.action == Action::ForgetLedger) {
        texts.push("the ledger with all keys".to_owned());
    }
    texts.join("; ")
}

fn moved_aside(plan: &Plan) -> String {
    let mut places: BTreeMap<&FilePath, Vec<&str>> = BTreeMap::new();
    for step in &plan.steps {
        if let Action::MoveAside { path, .. } = &step.action {
            places.entry(path).or_default().push(step.id.place());
        }
    }
    let texts: Vec<String> =
        places.into_iter().map(|(path, at)| format!("{path} on {}", nodes(at))).collect();
    texts.join("; ")
}

fn reissued(plan: &Plan) -> String {
    let count: usize = plan
        .steps
        .iter()
        .filter(|step| step.reasons.iter().any(|reason| *reason != Reason::CertMissing))
        .map(|step| match &step.action {
            Action::MintCerts { certs } => certs.len(),
            _ => 0,
        })
        .sum();
    if count == 0 { String::new() } else { count.to_string() }
}
