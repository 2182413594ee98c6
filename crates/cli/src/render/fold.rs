//! Equal steps on many nodes as one line, in the order in which they are done.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{Action, Because, Guard, Plan, Sign, Step};
use windlass_spec::SourceMap;

use crate::render::findings::is_a_mere_node;
use crate::render::words::{done_words, is_mere_wait, place, reasons, subject};
use crate::source::Origin;

/// From so many lines on that differ only in what they wait for, they become one.
const FOLD_FROM: usize = 4;
/// So many of the things that a line waits for are named.
const AFTER_SHOWN: usize = 2;
/// Names of nodes are given while they take no more than this.
const NAMES_WIDTH: usize = 16;

/// One line of a plan's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sign: Sign,
    pub(crate) subject: String,
    pub(crate) verb: &'static str,
    pub(crate) reason: String,
    /// `after node-1/etcd is healthy (one at a time)`; empty if it waits for nothing worth telling.
    pub(crate) after: String,
    /// Where in cluster.yml it stems from; empty if from the world.
    pub(crate) origin: String,
}

/// Steps that become one line if they are many.
#[derive(Debug)]
struct Group<'a> {
    /// The earliest moment, and then the order of ids.
    position: (usize, usize),
    steps: Vec<usize>,
    sign: Sign,
    subject: &'a str,
    verb: &'static str,
    reason: String,
    origin: String,
    after: After,
}

/// What a step waits for, reason by reason, as seen from its own node.
type After = BTreeMap<Because, BTreeMap<String, Places>>;

/// Where something is waited for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Places {
    /// On the very node of the step that waits.
    Here,
    /// On these.
    At(BTreeSet<String>),
}

/// The lines of a plan; every step on its own line if all are wanted.
pub(crate) fn lines(plan: &Plan, places: &SourceMap<'_>, file: &str, all: bool) -> Vec<Line> {
    let groups = groups(plan, places, file, all);
    let folded = if all { groups } else { fold(groups, plan) };
    folded.into_iter().map(|group| line(plan, &group)).collect()
}

fn groups<'a>(plan: &'a Plan, places: &SourceMap<'_>, file: &str, all: bool) -> Vec<Group<'a>> {
    let before = plan.predecessors();
    let depths = depths(plan, &before);
    let mut origins = Origins { places, file, known: BTreeMap::new() };
    let mut groups: BTreeMap<_, Group<'a>> = BTreeMap::new();
    for (index, step) in plan.steps.iter().enumerate() {
        if is_mere_wait(step) && !all {
            continue;
        }
        let after = after(plan, step, &before[index], all);
        let reason = reasons(&step.reasons, all);
        let origin = if all || tells_its_origin(step) { origins.of(step, all) } else { String::new() };
        let (sign, subject, verb) = (step.action.sign(), subject(step), step.action.verb());
        let apart = if all || place(step) == "cluster" { Some(index) } else { None };
        let key = (subject, verb, sign, reason.clone(), origin.clone(), after.clone(), apart);
        let position = (depths[index], index);
        let group = groups.entry(key).or_insert_with(|| Group {
            position,
            steps: Vec::new(),
            sign,
            subject,
            verb,
            reason,
            origin,
            after,
        });
        group.position = group.position.min(position);
        group.steps.push(index);
    }
    let mut groups: Vec<Group<'a>> = groups.into_values().collect();
    groups.sort_by_key(|group| group.position);
    groups
}

/// How many steps must be done one after another before each.
fn depths(plan: &Plan, before: &[Vec<(usize, Because)>]) -> Vec<usize> {
    let mut depths = vec![0; plan.steps.len()];
    for index in plan.in_order() {
        depths[index] = before[index].iter().map(|(earlier, _)| depths[*earlier] + 1).max().unwrap_or(0);
    }
    depths
}

/// Whether it is worth telling where a step stems from: not for the mere presence of a node.
fn tells_its_origin(step: &Step) -> bool {
    use windlass_model::{FileDifference, Reason};
    step.reasons.iter().any(|reason| match reason {
        Reason::Missing | Reason::ImageNeeded { .. } | Reason::FirstStart => false,
        Reason::FileDiffers { how, .. } => *how == FileDifference::Content,
        _ => true,
    })
}

/// Finds each place once.
struct Origins<'a> {
    places: &'a SourceMap<'a>,
    file: &'a str,
    known: BTreeMap<String, String>,
}

impl Origins<'_> {
    fn of(&mut self, step: &Step, all: bool) -> String {
        const SHOWN: usize = 2;
        let paths: Vec<_> =
            step.origins.iter().filter(|path| all || !is_a_mere_node(path.as_str())).collect();
        let shown = if all { paths.len() } else { SHOWN };
        let mut texts: Vec<String> = Vec::new();
        for path in paths.iter().take(shown) {
            let (places, file) = (self.places, self.file);
            let text = self.known.entry(path.as_str().to_owned()).or_insert_with(|| {
                let Origin { path, line, .. } = Origin::of(path, places);
                line.map_or_else(|| format!("{file} {path}"), |line| format!("{file}:{line} {path}"))
            });
            texts.push(text.clone());
        }
        if paths.len() > shown {
            texts.push(format!("{} more", paths.len() - shown));
        }
        texts.join(", ")
    }
}

fn after(plan: &Plan, step: &Step, before: &[(usize, Because)], all: bool) -> After {
    let mut told: BTreeMap<Because, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (earlier, because) in before {
        // What a step is made from is plain from the order of the lines.
        if *because == Because::Needs && !all {
            continue;
        }
        let earlier = &plan.steps[*earlier];
        let at = told.entry(*because).or_default().entry(done_words(earlier)).or_default();
        at.insert(place(earlier).to_owned());
    }
    let own = place(step);
    let seen_from_here = |at: BTreeSet<String>| {
        if at.len() == 1 && at.contains(own) { Places::Here } else { Places::At(at) }
    };
    told.into_iter()
        .map(|(because, told)| {
            (because, told.into_iter().map(|(words, at)| (words, seen_from_here(at))).collect())
        })
        .collect()
}

/// Makes one of groups that differ in nothing but what they wait for, if they are many.
fn fold<'a>(groups: Vec<Group<'a>>, plan: &Plan) -> Vec<Group<'a>> {
    let key = |group: &Group<'a>| {
        (group.subject, group.verb, group.sign, group.reason.clone(), group.origin.clone())
    };
    let mut alike: BTreeMap<_, Vec<Group<'a>>> = BTreeMap::new();
    for group in groups {
        let apart = (place(&plan.steps[group.steps[0]]) == "cluster").then_some(group.position);
        alike.entry((key(&group), apart)).or_default().push(group);
    }
    let mut folded = Vec::new();
    for mut groups in alike.into_values() {
        if groups.len() < FOLD_FROM {
            folded.append(&mut groups);
            continue;
        }
        let mut groups = groups.into_iter();
        let Some(mut first) = groups.next() else { continue };
        for group in groups {
            first.position = first.position.min(group.position);
            first.steps.extend(group.steps);
            for (because, told) in group.after {
                let all = first.after.entry(because).or_default();
                for (words, places) in told {
                    match (all.get_mut(&words), places) {
                        (None, places) => {
                            all.insert(words, places);
                        }
                        (Some(Places::At(at)), Places::At(more)) => at.extend(more),
                        // Some wait at their own node: then all that is said is what they wait for.
                        (Some(known), Places::Here) | (Some(known @ Places::Here), Places::At(_)) => {
                            *known = Places::Here;
                        }
                    }
                }
            }
        }
        first.steps.sort_unstable();
        folded.push(first);
    }
    folded.sort_by_key(|group| group.position);
    folded
}

fn line(plan: &Plan, group: &Group<'_>) -> Line {
    let nodes: Vec<&str> = group.steps.iter().map(|index| place(&plan.steps[*index])).collect();
    let subject = match nodes.as_slice() {
        [node] => format!("{node}/{}", group.subject),
        nodes => format!("{} on {}", group.subject, names(nodes)),
    };
    Line {
        sign: group.sign,
        subject,
        verb: group.verb,
        reason: group.reason.clone(),
        after: after_words(plan, group),
        origin: group.origin.clone(),
    }
}

fn names(nodes: &[&str]) -> String {
    let names = nodes.join(", ");
    if names.len() <= NAMES_WIDTH { names } else { format!("{} nodes", nodes.len()) }
}

fn after_words(plan: &Plan, group: &Group<'_>) -> String {
    let many = group.steps.len() > 1;
    let mut texts = Vec::new();
    for (because, told) in &group.after {
        // Steps that wait for one another are told by their number, not by their names.
        let among_themselves = many && told.values().all(|places| matches!(places, Places::At(_)));
        match because {
            Because::OneAtATime if among_themselves => texts.push("one at a time".to_owned()),
            Because::Window if among_themselves => {
                texts.push(match window(plan, group) {
                    Some(1) => "one at a time".to_owned(),
                    Some(limit) => format!("at most {limit} at once"),
                    None => "within the limit of unavailable nodes".to_owned(),
                });
            }
            _ => {
                let mut parts: Vec<String> =
                    told.iter().take(AFTER_SHOWN).map(|(words, places)| told_at(words, places)).collect();
                if told.len() > AFTER_SHOWN {
                    parts.push(format!("{} more", told.len() - AFTER_SHOWN));
                }
                texts.push(format!("after {} ({because})", parts.join(", ")));
            }
        }
    }
    texts.dedup();
    texts.join("; ")
}

fn told_at(words: &str, places: &Places) -> String {
    match places {
        Places::Here => words.to_owned(),
        Places::At(at) => match at.iter().collect::<Vec<_>>().as_slice() {
            [one] if *one == "cluster" => words.to_owned(),
            [one] => format!("{one}/{words}"),
            many => {
                format!("{words} on {}", names(&many.iter().map(|name| name.as_str()).collect::<Vec<_>>()))
            }
        },
    }
}

/// The limit of unavailable nodes that a guard of these steps names.
fn window(plan: &Plan, group: &Group<'_>) -> Option<usize> {
    group.steps.iter().find_map(|index| {
        let (Action::ReplaceContainer { guards, .. }
        | Action::RestartContainer { guards, .. }
        | Action::RemoveContainer { guards, .. }
        | Action::Cordon { guards, .. }) = &plan.steps[*index].action
        else {
            return None;
        };
        guards.iter().find_map(|guard| match guard {
            Guard::Window { limit, .. } => Some(*limit),
            Guard::EtcdMajorityWithout { .. } | Guard::ApiServersBeside { .. } => None,
        })
    })
}
