//! A plan as a table: sign, subject, verb, reason, what it waits for, and where in cluster.yml it stems from.

use std::fmt::Write as _;

use windlass_model::{Blueprint, Inventory, NodeSeen, Planning};
use windlass_spec::SourceMap;

use crate::render::findings::findings;
use crate::render::fold::{Line, lines};
use crate::render::paint::Paint;
use crate::render::words::{counted, counts, held};

/// The subject's column is at most so wide: a longer one pushes its line aside.
const SUBJECT_WIDTH: usize = 64;
/// Likewise the reason's.
const REASON_WIDTH: usize = 40;

/// How many nodes were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Sight {
    pub(crate) seen: usize,
    pub(crate) away: usize,
}

impl Sight {
    pub(crate) fn of(inventory: &Inventory) -> Self {
        let seen = inventory.nodes.values().filter(|node| matches!(node, NodeSeen::InSight(_))).count();
        Self { seen, away: inventory.nodes.len() - seen }
    }
}

/// How much of a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Only findings and counts.
    Counts,
    /// Equal steps on many nodes in one line.
    Folded,
    /// Every step on a line of its own, with all reasons.
    Everything,
}

/// All that a plan's table tells.
#[derive(Debug)]
pub(crate) struct PlanView<'a> {
    /// `plan`, or what else stands at the head of it.
    pub(crate) head: &'a str,
    pub(crate) blueprint: &'a Blueprint,
    pub(crate) planning: &'a Planning,
    pub(crate) sight: Sight,
    /// Where the paths of cluster.yml lead.
    pub(crate) places: &'a SourceMap<'a>,
    /// The name of that file.
    pub(crate) file: &'a str,
    /// How much of the steps is shown.
    pub(crate) detail: Detail,
    pub(crate) paint: Paint,
    /// What is so where nothing is to be done: `the cluster is as cluster.yml says`.
    pub(crate) goal: &'a str,
}

/// The plan with its findings and a last line of counts.
pub(crate) fn plan(view: &PlanView<'_>) -> String {
    let PlanView { head, blueprint, planning, sight, places, file, detail, paint, goal } = view;
    let mut text =
        format!("{head} for cluster \"{}\": {} seen", blueprint.cluster, counted(sight.seen, "node"));
    if sight.away > 0 {
        let _ = write!(text, ", {} out of sight", sight.away);
    }
    text.push_str("\n\n");
    if *detail != Detail::Counts {
        let table = lines(&planning.plan, places, file, *detail == Detail::Everything);
        text.push_str(&self::table(&table, *paint));
        if !table.is_empty() {
            text.push('\n');
        }
    }
    text.push_str(&findings(&planning.findings, places, file, *paint));
    text.push_str(&paint.strong(last_line(planning, goal)));
    text.push('\n');
    text
}

fn last_line(planning: &Planning, goal: &str) -> String {
    if planning.is_refused() {
        format!("refused: nothing is planned until that is mended ({})", counts(planning))
    } else if !planning.plan.is_empty() {
        counts(planning)
    } else if let Some(held) = held(&planning.findings) {
        format!("nothing to do now, {held}")
    } else {
        format!("nothing to do: {goal}")
    }
}

fn table(lines: &[Line], paint: Paint) -> String {
    let width = |of: fn(&Line) -> &str, limit: usize| {
        lines.iter().map(|line| of(line).chars().count()).filter(|width| *width <= limit).max().unwrap_or(0)
    };
    let subject_width = width(|line| &line.subject, SUBJECT_WIDTH);
    let verb_width = width(|line| line.verb, SUBJECT_WIDTH);
    let reason_width = width(|line| &line.reason, REASON_WIDTH);
    let mut text = String::new();
    for Line { sign, subject, verb, reason, after, origin } in lines {
        let sign_painted = paint.sign(*sign, sign.as_char());
        let mut line = format!("{subject:<subject_width$}   {verb:<verb_width$}   {reason:<reason_width$}");
        for more in [after, origin] {
            if !more.is_empty() {
                line = format!("{line}   {more}");
            }
        }
        let _ = writeln!(text, "  {sign_painted} {}", line.trim_end());
    }
    text
}
