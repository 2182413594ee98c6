//! Equal steps on many nodes as one line, in the order in which they are done.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{Because, Plan, Sign, Step};

use crate::below::{details, origins, waits};
use crate::group::{After, Group, room};
use crate::names::names;
use crate::page::{Detail, Page};
use crate::words::{done_words, is_mere_wait, reasons};

/// One step of the table, or equal ones on many nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sign: Sign,
    pub(crate) subject: String,
    pub(crate) verb: &'static str,
    pub(crate) reasons: Vec<String>,
    /// What it does in particular, what it waits for, and the places in cluster.yml that cause it.
    pub(crate) below: Vec<String>,
}

/// The lines of a plan's table.
pub(crate) fn lines(plan: &Plan, page: &Page<'_>, detail: Detail) -> Vec<Line> {
    groups(plan, detail).iter().map(|group| line(plan, group, page, detail)).collect()
}

fn groups(plan: &Plan, detail: Detail) -> Vec<Group<'_>> {
    let everything = detail == Detail::Everything;
    let before = plan.predecessors();
    let depths = depths(plan, &before);
    let mut groups: BTreeMap<_, Group<'_>> = BTreeMap::new();
    for (index, step) in plan.steps.iter().enumerate() {
        if is_mere_wait(step) && !everything {
            continue;
        }
        let (reasons, details) = (reasons(&step.reasons, detail), details(step, detail));
        let apart = (everything || step.id.place() == "cluster").then_some(index);
        let key = (
            step.id.subject(),
            step.action.verb(),
            step.action.sign(),
            reasons.clone(),
            details.clone(),
            own_gates(plan, step, &before[index]),
            apart,
        );
        let group = groups.entry(key).or_insert_with(|| Group {
            steps: Vec::new(),
            first: step,
            reasons,
            details,
            after: After::new(),
        });
        group.steps.push((depths[index], index));
        add_waits(&mut group.after, plan, step, &before[index], detail);
    }
    let mut groups: Vec<Group<'_>> = groups.into_values().collect();
    for group in &mut groups {
        group.steps.sort_unstable();
    }
    // By the earliest time, and then in the order of ids.
    groups.sort_by_key(|group| group.steps.first().copied());
    groups
}

/// What a step waits for on its own node: a kubelet that waits for a drain does not equal one that does not.
fn own_gates(plan: &Plan, step: &Step, before: &[(usize, Because)]) -> BTreeSet<String> {
    before
        .iter()
        .filter(|(earlier, because)| {
            *because == Because::Gate && plan.steps[*earlier].id.place() == step.id.place()
        })
        .map(|(earlier, _)| done_words(&plan.steps[*earlier]))
        .collect()
}

/// How many steps must be done one after another before each.
fn depths(plan: &Plan, before: &[Vec<(usize, Because)>]) -> Vec<usize> {
    let mut depths = vec![0; plan.steps.len()];
    for index in plan.in_order() {
        depths[index] = before[index].iter().map(|(earlier, _)| depths[*earlier] + 1).max().unwrap_or(0);
    }
    depths
}

fn add_waits(after: &mut After, plan: &Plan, step: &Step, before: &[(usize, Because)], detail: Detail) {
    for (earlier, because) in before {
        let is_shown = match because {
            // The inputs of a step are plain from the order of the lines.
            Because::Needs => detail == Detail::Everything,
            Because::Gate => detail != Detail::Brief,
            _ => true,
        };
        if !is_shown {
            continue;
        }
        let earlier = &plan.steps[*earlier];
        let places = after.entry(*because).or_default().entry(done_words(earlier)).or_default();
        if earlier.id.place() == step.id.place() {
            places.here = true;
        } else {
            places.at.insert(earlier.id.place().to_owned());
        }
    }
}

fn line(plan: &Plan, group: &Group<'_>, page: &Page<'_>, detail: Detail) -> Line {
    let Group { first, reasons, details, .. } = group;
    let subject = match group.steps.as_slice() {
        [_] => format!("{}/{}", first.id.place(), first.id.subject()),
        _ => format!("{} on {}", first.id.subject(), names(group.nodes(plan), room(detail))),
    };
    let mut below = details.clone();
    below.extend(waits(plan, group, detail));
    if detail != Detail::Brief {
        below.extend(origins(plan, group, page, detail));
    }
    Line { sign: first.action.sign(), subject, verb: first.action.verb(), reasons: reasons.clone(), below }
}
