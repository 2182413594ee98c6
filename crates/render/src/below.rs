//! The lines below a step: what it does in particular, what it waits for, and what causes it.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{Action, Because, Difference, FileDifference, Guard, Plan, Reason, Step};

use crate::group::{Group, Places, room};
use crate::names::{Room, names, some};
use crate::page::{Detail, Page, is_a_mere_node};

/// How many of the things that a step waits for are named.
const WAITS_SHOWN: usize = 3;
/// The order of a roll is given for up to this many nodes.
const ROLL_SHOWN: usize = 6;
/// How many deleted paths are named.
const PATHS_SHOWN: usize = 3;
/// How many kinds of certificates are named.
const CERTS_SHOWN: usize = 8;
/// How many places in cluster.yml are named.
const ORIGINS_SHOWN: usize = 2;

/// What an action does beyond its subject and verb.
pub(crate) fn details(step: &Step, detail: Detail) -> Vec<String> {
    let everything = detail == Detail::Everything;
    if detail == Detail::Brief {
        return Vec::new();
    }
    let limit = |shown: usize| if everything { usize::MAX } else { shown };
    let mut details = Vec::new();
    match &step.action {
        Action::MintCerts { certs } => {
            let mut bases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for name in certs.keys() {
                let node = name.as_str().split_once('@').map(|(_, node)| node);
                bases.entry(name.base()).or_default().extend(node);
            }
            let certs: Vec<String> = bases
                .into_iter()
                .map(|(base, nodes)| match nodes.as_slice() {
                    [] => base.to_owned(),
                    nodes => format!("{base} of {}", names(nodes.iter().copied(), room(detail))),
                })
                .collect();
            details.push(some(&certs, limit(CERTS_SHOWN)));
        }
        Action::RemovePaths { paths, .. } => {
            let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
            details.push(some(&paths, limit(PATHS_SHOWN)));
        }
        Action::ReplaceContainer { forgets, .. } if !forgets.is_empty() => {
            let paths: Vec<String> = forgets.iter().map(ToString::to_string).collect();
            details.push(format!("deletes {}, which the new one refuses", some(&paths, limit(PATHS_SHOWN))));
        }
        Action::MoveAside { path, to, .. } => details.push(format!("{path} → {to}")),
        Action::EtcdMemberRemove { peer_url, .. } => details.push(format!("the member at {peer_url}")),
        _ => {}
    }
    if everything {
        if let Action::RunContainer { birth, .. } | Action::ReplaceContainer { birth, .. } = &step.action
            && !birth.is_empty()
        {
            details.push(birth.join(" "));
        }
        details.extend(step.action.guards().iter().map(guard));
    }
    details
}

fn guard(guard: &Guard) -> String {
    let beside = |limit: usize, of: usize, what: &str| match limit {
        1 => format!("only if no other of {of} {what} is unavailable at that moment"),
        limit => format!("only if fewer than {limit} others of {of} {what} are unavailable at that moment"),
    };
    match guard {
        Guard::EtcdMajorityWithout { .. } => {
            "only if etcd keeps its majority without this member at that moment".to_owned()
        }
        Guard::ApiServersBeside { limit, others, .. } => beside(*limit, others.len() + 1, "API servers"),
        Guard::Window { among, limit, .. } => beside(*limit, among.len(), "workers"),
        Guard::EtcdMemberLost { .. } => {
            "only if the member does not work at that moment, and cannot come back".to_owned()
        }
        Guard::EtcdMemberOut { .. } => "only if etcd has no member here at that moment".to_owned(),
    }
}

/// What the steps wait for, and why, a line for each reason.
pub(crate) fn waits(plan: &Plan, group: &Group<'_>, detail: Detail) -> Vec<String> {
    let nodes = group.nodes(plan);
    let mut texts: Vec<String> = Vec::new();
    for (because, waited_for) in &group.after {
        let rolls = nodes.len() > 1 && matches!(because, Because::OneAtATime | Because::Window);
        let mut parts: Vec<String> = Vec::new();
        let mut rolled = false;
        for (words, Places { here, at }) in waited_for {
            // Nodes that wait for one another are a roll; its order is given once.
            let (inside, outside): (Vec<&str>, Vec<&str>) =
                at.iter().map(String::as_str).partition(|node| rolls && nodes.contains(node));
            rolled |= !inside.is_empty();
            if *here || !outside.is_empty() {
                // Where some wait on their own node, only what they wait for is named.
                let at_own = || with_article(words);
                parts.push(if *here { at_own() } else { at_places(words, &outside, room(detail)) });
            }
        }
        if rolled {
            let text = roll(plan, group, *because);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        if !parts.is_empty() {
            let shown = if detail == Detail::Everything { usize::MAX } else { WAITS_SHOWN };
            let parts = some(&parts, shown);
            texts.push(match because {
                Because::Needs | Because::Gate => format!("after {parts}"),
                because => format!("after {parts} ({because})"),
            });
        }
    }
    texts
}

fn at_places(words: &str, at: &[&str], room: Room) -> String {
    match at {
        ["cluster"] => with_article(words),
        [node] => format!("{node}/{words}"),
        nodes => format!("{words} on {}", names(nodes.iter().copied(), room)),
    }
}

/// Components are called by their names; other subjects get an article.
fn with_article(words: &str) -> String {
    let things = ["certificates", "files", "kernel", "ledger", "node", "pods"];
    let is_thing = words.split(' ').next().is_some_and(|word| things.contains(&word));
    if is_thing { format!("the {words}") } else { words.to_owned() }
}

/// How many nodes are changed at once, and in which order.
fn roll(plan: &Plan, group: &Group<'_>, because: Because) -> String {
    let steps: Vec<&Step> = group.steps.iter().map(|(_, index)| &plan.steps[*index]).collect();
    let limit = at_once(&steps).or_else(|| {
        let nodes = group.nodes(plan);
        let same_nodes: Vec<&Step> =
            plan.steps.iter().filter(|step| nodes.contains(step.id.place())).collect();
        (because == Because::Window).then(|| window(&same_nodes)).flatten()
    });
    let depths: BTreeSet<usize> = group.steps.iter().map(|(depth, _)| *depth).collect();
    // Steps each of which comes after another one run one at a time, whatever the limit is.
    let in_a_row = depths.len() == steps.len();
    // Unavailable nodes may use up part of the limit: the edges have the rest.
    let mut order: Vec<(usize, &str)> =
        group.steps.iter().map(|(depth, index)| (*depth, plan.steps[*index].id.place())).collect();
    // A step that waits has more steps before it than the one that it waits for.
    order.sort_unstable();
    let places: Vec<&str> = order.into_iter().map(|(_, place)| place).collect();
    let limit = limit.map(|limit| limit.min(lanes(plan, &places, because)));
    match (limit, because) {
        (Some(limit @ 2..), _) => return format!("at most {limit} at once"),
        (None, Because::Window) if !in_a_row => return "within the limit of unavailable nodes".to_owned(),
        _ => {}
    }
    if !in_a_row || steps.len() > ROLL_SHOWN {
        return "one at a time".to_owned();
    }
    let order: Vec<&str> = steps.iter().map(|step| step.id.place()).collect();
    format!("one at a time: {}", order.join(", then "))
}

/// How many nodes of a roll are changed at once at most, by the edges between them; `places` are the nodes in an order
/// in which they can be changed.
pub(crate) fn lanes(plan: &Plan, places: &[&str], because: Because) -> usize {
    let nodes: BTreeSet<&str> = places.iter().copied().collect();
    let place = |index: usize| plan.steps[index].id.place();
    let mut before: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for edge in plan.edges.iter().filter(|edge| edge.because == because) {
        let (earlier, later) = (place(edge.before), place(edge.after));
        if earlier != later && nodes.contains(earlier) && nodes.contains(later) {
            before.entry(later).or_default().insert(earlier);
        }
    }
    let mut turns: BTreeMap<&str, usize> = BTreeMap::new();
    for node in places {
        let earlier = before.get(node).into_iter().flatten();
        let turn = earlier.filter_map(|node| turns.get(node)).max().map_or(0, |turn| turn + 1);
        turns.insert(node, turn);
    }
    let mut at_once: BTreeMap<usize, usize> = BTreeMap::new();
    for turn in turns.into_values() {
        *at_once.entry(turn).or_default() += 1;
    }
    at_once.into_values().max().unwrap_or(1)
}

/// How many of these may be disturbed at once, by their guards.
pub(crate) fn at_once(steps: &[&Step]) -> Option<usize> {
    let guards = steps.iter().flat_map(|step| step.action.guards());
    guards
        .filter_map(|guard| match guard {
            Guard::EtcdMajorityWithout { .. } => Some(1),
            Guard::ApiServersBeside { limit, .. } | Guard::Window { limit, .. } => Some(*limit),
            Guard::EtcdMemberLost { .. } | Guard::EtcdMemberOut { .. } => None,
        })
        .min()
}

pub(crate) fn window(steps: &[&Step]) -> Option<usize> {
    let guards = steps.iter().flat_map(|step| step.action.guards());
    guards
        .filter_map(|guard| match guard {
            Guard::Window { limit, .. } => Some(*limit),
            Guard::EtcdMajorityWithout { .. }
            | Guard::ApiServersBeside { .. }
            | Guard::EtcdMemberLost { .. }
            | Guard::EtcdMemberOut { .. } => None,
        })
        .min()
}

/// The places in cluster.yml that cause the steps.
pub(crate) fn origins(plan: &Plan, group: &Group<'_>, page: &Page<'_>, detail: Detail) -> Option<String> {
    let everything = detail == Detail::Everything;
    let mut paths = Vec::new();
    let mut known = BTreeSet::new();
    for (_, index) in &group.steps {
        let step = &plan.steps[*index];
        if !everything && !shows_its_origin(step) {
            continue;
        }
        for path in step.origins.iter().filter(|path| everything || !is_a_mere_node(path)) {
            if known.insert(path) {
                paths.push(path);
            }
        }
    }
    let shown = if everything { paths.len() } else { ORIGINS_SHOWN };
    let mut texts: Vec<String> = paths.iter().take(shown).map(|path| page.line_of(path)).collect();
    if paths.len() > shown {
        texts.push(format!("{} more", paths.len() - shown));
    }
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// Whether the cause of a step is worth a line: not the mere presence of a node.
fn shows_its_origin(step: &Step) -> bool {
    step.reasons.iter().any(|reason| match reason {
        Reason::Missing
        | Reason::ImageNeeded { .. }
        | Reason::SecretsStoredOtherwise
        | Reason::FirstStart
        // The step that writes the file names its cause.
        | Reason::Differs { difference: Difference::File { .. } } => false,
        Reason::FileDiffers { how, .. } => *how == FileDifference::Content,
        _ => true,
    })
}
