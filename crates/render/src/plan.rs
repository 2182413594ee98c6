//! A plan: its meaning, its steps as a table, its findings and its counts.

use std::fmt::Write as _;

use windlass_model::{Inventory, NodeSeen, Planning, counted};

use crate::findings::findings;
use crate::fold::{Line, lines};
use crate::layout::{BELOW, Width, columns, wrap};
use crate::page::{Detail, Page};
use crate::paint::Paint;
use crate::summary::summary;
use crate::words::{counts, held};

/// What is to the right of the subject's column has at least this many columns.
const RIGHT_OF_SUBJECT: usize = 40;

/// How many nodes were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sight {
    /// Those that were reachable.
    pub reachable: usize,
    /// The others.
    pub unreachable: usize,
}

impl Sight {
    /// Counts the nodes of an inventory.
    pub fn of(inventory: &Inventory) -> Self {
        let reachable = inventory.nodes.values().filter(|node| matches!(node, NodeSeen::InSight(_))).count();
        Self { reachable, unreachable: inventory.nodes.len() - reachable }
    }
}

/// The input of the text of a plan.
#[derive(Debug)]
pub struct PlanView<'a> {
    /// `plan`, or another heading.
    pub head: &'a str,
    /// The name of the cluster.
    pub cluster: &'a str,
    /// The plan and its findings.
    pub planning: &'a Planning,
    /// How many nodes were looked at.
    pub sight: Sight,
    /// How much of the steps is shown.
    pub detail: Detail,
    /// What is true where nothing is to be done: `the cluster is as cluster.yml says`.
    pub goal: &'a str,
    /// Where the text goes.
    pub page: Page<'a>,
}

/// The plan with its meaning, its findings and a last line of counts; one line if there is nothing to say.
pub fn plan(view: &PlanView<'_>) -> String {
    let PlanView { head, cluster, planning, sight, detail, goal, page } = view;
    let Planning { plan, findings: found } = planning;
    let mut text = String::new();
    if !plan.is_empty() || !found.is_empty() {
        let _ =
            write!(text, "{head} for cluster \"{cluster}\": {} reachable", counted(sight.reachable, "node"));
        if sight.unreachable > 0 {
            let _ = write!(text, ", {} unreachable", sight.unreachable);
        }
        text.push_str("\n\n");
    }
    if *detail != Detail::Counts && !plan.is_empty() {
        for line in summary(plan, page.width) {
            let _ = writeln!(text, "{line}");
        }
        text.push('\n');
        text.push_str(&table(&lines(plan, page, *detail), page.width, page.paint));
        text.push('\n');
    }
    text.push_str(&findings(found, page, *detail));
    for line in wrap(&last_line(planning, goal), "", "  ", page.width) {
        let _ = writeln!(text, "{}", page.paint.strong(line));
    }
    text
}

fn last_line(planning: &Planning, goal: &str) -> String {
    if planning.is_refused() {
        format!("refused: nothing is planned until that is fixed ({})", counts(planning))
    } else if !planning.plan.is_empty() {
        counts(planning)
    } else if let Some(held) = held(&planning.findings) {
        format!("nothing to do now: {held}")
    } else {
        format!("nothing to do: {goal}")
    }
}

fn table(lines: &[Line], width: Width, paint: Paint) -> String {
    let widest = |of: fn(&Line) -> &str, limit: usize| {
        lines.iter().map(|line| columns(of(line))).filter(|width| *width <= limit).max().unwrap_or(0)
    };
    let subjects = widest(|line| &line.subject, width.get() - RIGHT_OF_SUBJECT);
    let verbs = widest(|line| line.verb, width.get());
    let mut text = String::new();
    for Line { sign, subject, verb, reasons, below } in lines {
        let reasons = reasons.join(", ");
        let mark = format!("  {} ", sign.as_char());
        let whole = format!("{mark}{subject:<subjects$}  {verb:<verbs$}  {reasons}");
        let printed = if columns(&whole) <= width.get() {
            vec![whole.trim_end().to_owned()]
        } else {
            let head = format!("{mark}{subject:<subjects$}  {verb}");
            let mut printed = if columns(&head) <= width.get() {
                vec![head]
            } else {
                wrap(&format!("{subject} {verb}"), &mark, BELOW, width)
            };
            printed.extend(wrap(&reasons, BELOW, BELOW, width));
            printed
        };
        let sign = paint.sign(*sign, sign.as_char());
        for line in printed {
            match line.strip_prefix(&mark) {
                Some(rest) => drop(writeln!(text, "  {sign} {rest}")),
                None => drop(writeln!(text, "{line}")),
            }
        }
        for line in below.iter().flat_map(|line| wrap(line, BELOW, &format!("{BELOW}  "), width)) {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}
