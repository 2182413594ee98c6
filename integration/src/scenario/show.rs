//! How plans and reports are shown in a scenario: equal steps of several nodes as one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use windlass_model::{
    Action, Because, FileDifference, Finding, Guard, NodeName, Outcome, Plan, Planning, Reason, Report, Step,
};

use super::fold::{Earlier, Group, groups, is_rolling, is_wait, tail};
use super::script::Shown;

/// So many reasons or certificates of the same kind are told by their number.
const TOLD_ONE_BY_ONE: usize = 4;

/// A plan and its findings.
pub(super) fn planning(planning: &Planning, shown: Shown) -> String {
    let Planning { plan, findings } = planning;
    let mut text = String::new();
    for group in groups(plan) {
        group.show(plan, shown, &mut text);
    }
    for finding in findings {
        show_finding(finding, &mut text);
    }
    if plan.is_empty() {
        text.push_str("  nothing to do\n");
    } else {
        text.push_str(&counts(plan));
    }
    text
}

fn counts(plan: &Plan) -> String {
    let mut signs: BTreeMap<char, usize> = BTreeMap::new();
    for step in &plan.steps {
        *signs.entry(step.action.sign().as_char()).or_default() += 1;
    }
    let signs: Vec<String> = signs.into_iter().map(|(sign, count)| format!("{count} {sign}")).collect();
    let steps = counted(plan.steps.len(), "step");
    format!("  {steps} on {}: {}\n", counted(plan.steps_by_node().len(), "node"), signs.join(", "))
}

pub(super) use windlass_model::counted;

fn show_finding(finding: &Finding, text: &mut String) {
    let Finding { weight, about, cause: _, origin } = finding;
    let (what, help) = (finding.what(), finding.help());
    let origin = origin.as_ref().map(|origin| format!("  [{origin}]")).unwrap_or_default();
    let _ = writeln!(text, "  {weight} {about}: {what}{origin}");
    if !help.is_empty() {
        let _ = writeln!(text, "      = {help}");
    }
}

impl Group {
    fn show(&self, plan: &Plan, shown: Shown, text: &mut String) {
        let first = &plan.steps[self.steps[0]];
        let ids: Vec<&str> = self.steps.iter().map(|step| plan.steps[*step].id.as_str()).collect();
        let id = folded_ids(&ids).join(", ") + if self.awaited { "+await" } else { "" };
        let reasons = reasons(&first.reasons);
        let mut told = reasons.join("; ");
        let origins = origins(first, self.steps.len() > 1);
        if shown == Shown::Whole && !origins.is_empty() {
            let _ = write!(told, "  [{}]", origins.join(", "));
        }
        let sign = first.action.sign().as_char();
        let firm = self.before.iter().filter(|(because, _)| {
            shown == Shown::Whole || !matches!(because, Because::Needs | Because::Gate)
        });
        let mut earlier: Vec<String> =
            firm.map(|(because, earlier)| self.after(plan, *because, earlier)).collect();
        earlier.extend(self.rolls(plan));
        if is_wait(first) {
            // A wait that only ends what goes before it says no more than that.
            let _ = writeln!(text, "{}", format!("  {sign} {id:<38}  {}", earlier.join("; ")).trim_end());
            return;
        }
        if told.chars().count() > 90 && reasons.len() > 1 {
            let _ = writeln!(text, "  {sign} {id}");
            for reason in reasons {
                let _ = writeln!(text, "      {reason}");
            }
            if shown == Shown::Whole && !origins.is_empty() {
                let _ = writeln!(text, "      [{}]", origins.join(", "));
            }
        } else {
            let _ = writeln!(text, "  {sign} {id:<38}  {told}");
        }
        let details = if shown == Shown::Whole { details(&first.action) } else { Vec::new() };
        for line in details.into_iter().chain(earlier) {
            let _ = writeln!(text, "      {line}");
        }
    }

    fn after(&self, plan: &Plan, because: Because, earlier: &BTreeSet<Earlier>) -> String {
        let own = earlier.iter().filter_map(|earlier| match earlier {
            Earlier::Own(tail) if self.steps.len() == 1 => {
                let node = plan.steps[self.steps[0]].action.node().map_or("", NodeName::as_str);
                Some(format!("{node}/{tail}"))
            }
            Earlier::Own(tail) => Some(format!("its {tail}")),
            Earlier::Other(_) => None,
        });
        let others: Vec<&str> = earlier
            .iter()
            .filter_map(|earlier| match earlier {
                Earlier::Own(_) => None,
                Earlier::Other(id) => Some(id.as_str()),
            })
            .collect();
        let names: Vec<String> = own.chain(folded_ids(&others)).collect();
        format!("after {} ({because})", names.join(", "))
    }

    /// Which node comes after which, by the step that is waited for and the reason.
    fn rolls(&self, plan: &Plan) -> Vec<String> {
        let mut rolls: BTreeMap<(Because, String), Vec<(&str, &str)>> = BTreeMap::new();
        for edge in plan.edges.iter().filter(|edge| is_rolling(plan, edge)) {
            let node = |step: usize| plan.steps[step].action.node().map(NodeName::as_str);
            if let (true, Some(before), Some(after)) =
                (self.steps.contains(&edge.after), node(edge.before), node(edge.after))
            {
                let waited_for = tail(&plan.steps[edge.before]);
                rolls.entry((edge.because, waited_for)).or_default().push((before, after));
            }
        }
        rolls
            .into_iter()
            .map(|((because, waited_for), pairs)| match pairs.as_slice() {
                [(before, _)] if self.steps.len() == 1 => format!("after {before}/{waited_for} ({because})"),
                pairs => {
                    format!("after {waited_for} of the one before ({because}): {}", chains(pairs).join(", "))
                }
            })
            .collect()
    }
}

/// Pairs that follow on each other as chains: `node-1 → 2 → 3`.
fn chains(pairs: &[(&str, &str)]) -> Vec<String> {
    let mut left: Vec<(&str, &str)> = pairs.to_vec();
    let mut chains = Vec::new();
    while !left.is_empty() {
        let begins = left.iter().position(|(before, _)| left.iter().all(|(_, after)| after != before));
        let (before, mut last) = left.remove(begins.unwrap_or(0));
        let mut chain = format!("{before} → {}", last.trim_start_matches("node-"));
        while let Some(next) = left.iter().position(|(before, _)| *before == last) {
            (_, last) = left.remove(next);
            let _ = write!(chain, " → {}", last.trim_start_matches("node-"));
        }
        chains.push(chain);
    }
    chains
}

/// Ids that differ in their node only become one: `node-1…3/etcd/await`.
pub(super) fn folded_ids(ids: &[&str]) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for id in ids {
        let (place, tail) = id.split_once('/').unwrap_or((id, ""));
        places.entry(tail).or_default().push(place);
    }
    places.into_iter().map(|(tail, places)| format!("{}/{tail}", folded_names(&places))).collect()
}

/// `node-1…3` for three nodes in a row, `node-{1,4}` for others.
pub(super) fn folded_names(names: &[&str]) -> String {
    let numbers: Option<BTreeSet<usize>> =
        names.iter().map(|name| name.strip_prefix("node-")?.parse().ok()).collect();
    let Some(numbers) = numbers.filter(|numbers| numbers.len() > 1) else { return names.join(", ") };
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let runs: Vec<String> = runs
        .into_iter()
        .flat_map(|(first, last)| match last - first {
            0 => vec![first.to_string()],
            1 => vec![first.to_string(), last.to_string()],
            _ => vec![format!("{first}…{last}")],
        })
        .collect();
    if let ([run], true) = (runs.as_slice(), runs[0].contains('…')) {
        return format!("node-{run}");
    }
    format!("node-{{{}}}", runs.join(","))
}

pub(super) fn origins(step: &Step, folded: bool) -> Vec<String> {
    let origins = step.origins.iter().map(|origin| {
        let origin = origin.to_string();
        match (folded, origin.strip_prefix("nodes["), origin.split_once(']')) {
            (true, Some(_), Some((_, rest))) => format!("nodes[…]{rest}"),
            _ => origin,
        }
    });
    let distinct: BTreeSet<String> = origins.collect();
    distinct.into_iter().collect()
}

/// The reasons in words; many of a kind that a first bring-up has by the dozen are counted.
pub(super) fn reasons(reasons: &[Reason]) -> Vec<String> {
    let kind = |reason: &Reason| match reason {
        Reason::FileDiffers { how: FileDifference::Missing, .. } => Some("files missing"),
        Reason::FileDiffers { how: FileDifference::Renewed, .. } => Some("files are made anew"),
        _ => None,
    };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for kind in reasons.iter().filter_map(kind) {
        *counts.entry(kind).or_default() += 1;
    }
    counts.retain(|_, count| *count > TOLD_ONE_BY_ONE);
    let mut told: Vec<String> = reasons
        .iter()
        .filter(|reason| kind(reason).is_none_or(|kind| !counts.contains_key(kind)))
        .map(ToString::to_string)
        .collect();
    told.dedup();
    told.extend(counts.into_iter().map(|(kind, count)| format!("{count} {kind}")));
    told
}

/// What an action says beyond its id and reasons.
pub(super) fn details(action: &Action) -> Vec<String> {
    let mut details = Vec::new();
    let (birth, guards): (&[_], &[Guard]) = match action {
        Action::RunContainer { birth, .. } => (birth, &[]),
        Action::ReplaceContainer { birth, guards, .. } => (birth, guards),
        Action::RestartContainer { guards, .. }
        | Action::RemoveContainer { guards, .. }
        | Action::EtcdMemberRemove { guards, .. }
        | Action::Cordon { guards, .. } => (&[], guards),
        _ => (&[], &[]),
    };
    match action {
        Action::MintCerts { certs } => {
            let mut bases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for name in certs.keys() {
                bases.entry(name.base()).or_default().extend(name.node());
            }
            let certs: Vec<String> = bases
                .into_iter()
                .map(|(base, nodes)| match nodes.as_slice() {
                    [] => base.to_owned(),
                    nodes => format!("{base} of {}", folded_names(nodes)),
                })
                .collect();
            details.push(certs.join(", "));
        }
        Action::RemovePaths { paths, .. } => {
            details.extend(paths.iter().map(ToString::to_string));
        }
        Action::MoveAside { path, to, .. } => details.push(format!("{path} → {to}")),
        Action::EtcdMemberAdd { peer_url, via, .. } | Action::EtcdMemberRemove { peer_url, via, .. } => {
            let via: Vec<&str> = via.iter().map(NodeName::as_str).collect();
            details.push(format!("{peer_url}, asked of {}", folded_names(&via)));
        }
        _ => {}
    }
    if !birth.is_empty() {
        details.push(birth.join(" "));
    }
    for guard in guards {
        details.push(match guard {
            Guard::EtcdMajorityWithout { .. } => "only if etcd keeps its majority without it".to_owned(),
            Guard::ApiServersBeside { limit, others, .. } => {
                format!("only if {}", beside(*limit, others.len() + 1, "API servers"))
            }
            Guard::Window { among, limit, .. } => {
                format!("only if {}", beside(*limit, among.len(), "workers"))
            }
        });
    }
    details
}

fn beside(limit: usize, of: usize, what: &str) -> String {
    match limit {
        1 => format!("no other of {of} {what} is away"),
        limit => format!("fewer than {limit} others of {of} {what} are away"),
    }
}

/// What did not become done.
pub(super) fn report(report: &Report) -> String {
    let mut text = String::new();
    let done = report.outcomes.values().filter(|outcome| **outcome == Outcome::Done).count();
    let _ = writeln!(text, "  {done} of {} steps done", report.outcomes.len());
    for (id, failure) in report.failures() {
        let times =
            if failure.attempts > 1 { format!(" ({} attempts)", failure.attempts) } else { String::new() };
        let _ = writeln!(text, "  ! {id} failed{times}: {}", failure.causes.join(": "));
        for line in &failure.log {
            let _ = writeln!(text, "      | {line}");
        }
    }
    let mut skipped: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (id, outcome) in &report.outcomes {
        let because = match outcome {
            Outcome::Done | Outcome::Failed(_) => continue,
            Outcome::Skipped { because } => format!("skipped because of {because}"),
            Outcome::Interrupted => "left because of the interrupt".to_owned(),
        };
        skipped.entry(because).or_default().push(id.as_str());
    }
    for (because, ids) in skipped {
        let _ = writeln!(text, "  {because}: {}", folded_ids(&ids).join(", "));
    }
    text
}
