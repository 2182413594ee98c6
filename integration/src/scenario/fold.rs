//! Steps that differ in nothing but their node, folded into one and put in the order of execution.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{Because, Edge, Plan, Reason, Step};

use super::show::{details, origins, reasons};

/// Steps that differ in nothing but their node.
pub(super) struct Group {
    pub(super) steps: Vec<usize>,
    pub(super) before: Relations,
    /// Whether the wait for each to be healthy follows at once, and is told with it.
    pub(super) awaited: bool,
}

/// For each reason the steps that are waited for.
pub(super) type Relations = BTreeMap<Because, BTreeSet<Earlier>>;

/// A step that is waited for, as seen from the one that waits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Earlier {
    /// On the same node, by what follows the node in its id.
    Own(String),
    Other(String),
}

/// One node after another: no matter of the single step, so that it does not tell one step from another.
pub(super) fn is_rolling(plan: &Plan, edge: &Edge) -> bool {
    let node = |step: usize| plan.steps[step].action.node();
    matches!(edge.because, Because::OneAtATime | Because::Window)
        && node(edge.before).is_some()
        && node(edge.after).is_some()
        && node(edge.before) != node(edge.after)
}

/// The steps in the order of execution.
pub(super) fn groups(plan: &Plan) -> Vec<Group> {
    let relations = relations(plan);
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let key_of = |index: usize| {
        let step = &plan.steps[index];
        let key = format!(
            "{}|{}|{}|{}|{:?}",
            tail(step),
            reasons(&step.reasons).join("; "),
            origins(step, true).join("; "),
            details(&step.action).join("; "),
            relations[index]
        );
        if step.action.node().is_some() { key } else { format!("{} {key}", step.id) }
    };
    for index in 0..plan.steps.len() {
        // A wait is folded as what it waits for is folded.
        let key = match waited_for(plan, index) {
            Some(earlier) => format!("{} then {}", key_of(earlier), key_of(index)),
            None => key_of(index),
        };
        by_key.entry(key).or_default().push(index);
    }
    let folded: Vec<Vec<usize>> = by_key.into_values().collect();
    let ordered = in_order(plan, &folded).unwrap_or_else(|| {
        // Folded they would wait for each other in a circle.
        plan.in_order().into_iter().map(|index| vec![index]).collect()
    });
    let mut groups: Vec<Group> = ordered
        .into_iter()
        .map(|steps| Group { before: relations[steps[0]].clone(), steps, awaited: false })
        .collect();
    tell_waits_with_what_they_wait_for(plan, &mut groups);
    groups
}

/// The step for which alone a wait waits, if that is the one before it on the same subject of the same node.
fn waited_for(plan: &Plan, wait: usize) -> Option<usize> {
    let mut edges = plan.edges.iter().filter(|edge| edge.after == wait);
    let (edge, None) = (edges.next()?, edges.next()) else { return None };
    let (earlier, step) = (&plan.steps[edge.before], &plan.steps[wait]);
    let same = earlier.action.node() == step.action.node() && subject(&tail(earlier)) == subject(&tail(step));
    (is_wait(step) && same).then_some(edge.before)
}

/// A wait for nothing but the step before it, on each node, becomes part of that step's line.
fn tell_waits_with_what_they_wait_for(plan: &Plan, groups: &mut Vec<Group>) {
    let waited_for: BTreeSet<usize> =
        groups.iter().flat_map(|group| &group.steps).filter_map(|&step| waited_for(plan, step)).collect();
    groups.retain(|group| self::waited_for(plan, group.steps[0]).is_none());
    for group in groups {
        group.awaited = group.steps.iter().all(|step| waited_for.contains(step));
    }
}

/// Whether a step waits only for what goes before it.
pub(super) fn is_wait(step: &Step) -> bool {
    step.action.only_waits() && step.reasons == [Reason::Disturbed]
}

/// What a step is about: its id without node and verb.
fn subject(tail: &str) -> &str {
    tail.rsplit_once('/').map_or(tail, |(subject, _)| subject)
}

/// Each group after all groups that it waits for; among free ones the order of ids.
fn in_order(plan: &Plan, folded: &[Vec<usize>]) -> Option<Vec<Vec<usize>>> {
    let mut group_of = vec![0; plan.steps.len()];
    for (group, steps) in folded.iter().enumerate() {
        for step in steps {
            group_of[*step] = group;
        }
    }
    let between = |edge: &Edge| (group_of[edge.before], group_of[edge.after]);
    let (rolling, firm): (Vec<&Edge>, Vec<&Edge>) =
        plan.edges.iter().partition(|edge| is_rolling(plan, edge));
    let mut edges: BTreeSet<(usize, usize)> = firm.into_iter().map(between).collect();
    for edge in rolling {
        let (before, after) = between(edge);
        // Within a folded roll the steps of one node wait for later ones of another.
        if !edges.contains(&(before, after)) && !reaches(&edges, after, before) {
            edges.insert((before, after));
        }
    }
    let mut waiting = vec![0_usize; folded.len()];
    for (_, after) in &edges {
        waiting[*after] += 1;
    }
    let mut ready: BTreeSet<(usize, usize)> = (0..folded.len())
        .filter(|group| waiting[*group] == 0)
        .map(|group| (folded[group][0], group))
        .collect();
    let mut order = Vec::new();
    while let Some((_, group)) = ready.pop_first() {
        order.push(folded[group].clone());
        for (_, after) in edges.range((group, 0)..=(group, usize::MAX)) {
            waiting[*after] -= 1;
            if waiting[*after] == 0 {
                ready.insert((folded[*after][0], *after));
            }
        }
    }
    (order.len() == folded.len()).then_some(order)
}

fn reaches(edges: &BTreeSet<(usize, usize)>, from: usize, to: usize) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut next = vec![from];
    while let Some(here) = next.pop() {
        if here == to {
            return true;
        }
        let fresh = edges.range((here, 0)..=(here, usize::MAX)).filter(|(_, after)| seen.insert(*after));
        next.extend(fresh.map(|(_, after)| *after));
    }
    false
}

/// The steps that a step waits for, by reason and by what follows the node in their ids.
type Waits = BTreeMap<(Because, String), BTreeSet<usize>>;

fn relations(plan: &Plan) -> Vec<Relations> {
    let mut waits = vec![Waits::new(); plan.steps.len()];
    for edge in plan.edges.iter().filter(|edge| !is_rolling(plan, edge)) {
        let kind = (edge.because, tail(&plan.steps[edge.before]));
        waits[edge.after].entry(kind).or_default().insert(edge.before);
    }
    // How many steps of one kind wait for the very same steps.
    let mut same = BTreeMap::new();
    for (step, waits) in waits.iter().enumerate() {
        for (kind, earlier) in waits {
            *same.entry((tail(&plan.steps[step]), kind, earlier)).or_insert(0_usize) += 1;
        }
    }
    let relations_of = |(step, waits): (usize, &Waits)| {
        let node = plan.steps[step].action.node();
        let mut relations = Relations::new();
        for (kind, earlier) in waits {
            // What several nodes wait for alike is no matter of this node, even if it happens on it.
            let is_own = same[&(tail(&plan.steps[step]), kind, earlier)] == 1;
            for &earlier in earlier {
                let earlier = &plan.steps[earlier];
                let relation = if is_own && node.is_some() && earlier.action.node() == node {
                    Earlier::Own(kind.1.clone())
                } else {
                    Earlier::Other(earlier.id.to_string())
                };
                relations.entry(kind.0).or_default().insert(relation);
            }
        }
        relations
    };
    waits.iter().enumerate().map(relations_of).collect()
}

/// What follows the node in a step's id.
pub(super) fn tail(step: &Step) -> String {
    step.id.as_str().split_once('/').map_or_else(String::new, |(_, tail)| tail.to_owned())
}
