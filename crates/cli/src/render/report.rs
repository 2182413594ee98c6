//! What became of a run: the failures with all that helps to understand them, and a last line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use windlass_engine::{Conclusion, End};
use windlass_model::{Failure, Outcome, Plan, Report, StepId};
use windlass_spec::SourceMap;

use crate::render::findings::findings;
use crate::render::paint::Paint;
use crate::render::words::{counted, counts, held, reasons};

/// So many failures are told in full.
const FAILURES_SHOWN: usize = 10;
/// So many of the steps that were skipped are named.
const SKIPPED_SHOWN: usize = 2;

/// All that the result of a run tells.
#[derive(Debug)]
pub(crate) struct RunView<'a> {
    /// The command, as it would be typed again.
    pub(crate) command: &'a str,
    /// What is so at a good end: `the cluster is as cluster.yml says`.
    pub(crate) goal: &'a str,
    pub(crate) conclusion: &'a Conclusion,
    /// The plans of all rounds.
    pub(crate) plans: &'a [Plan],
    pub(crate) elapsed: Duration,
    pub(crate) places: &'a SourceMap<'a>,
    pub(crate) file: &'a str,
    pub(crate) paint: Paint,
}

/// `12.3s`
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

/// The innermost cause of a failure, for a line of progress.
pub(crate) fn failure_in_a_line(failure: &Failure) -> String {
    failure.causes.join(": ")
}

/// The failures of the last round, the findings, and how it ended.
pub(crate) fn result(view: &RunView<'_>) -> String {
    let RunView { conclusion, places, file, paint, .. } = view;
    let mut text = String::new();
    // A plan is remembered for every round that was carried out, and for one that was left before.
    let mut rounds = conclusion.reports.iter().zip(view.plans);
    if let Some((report, plan)) = rounds.next_back()
        && matches!(conclusion.end, End::Failed | End::Interrupted)
    {
        text.push_str(&failures(report, plan, view));
    }
    text.push_str(&findings(&conclusion.planning.findings, places, file, *paint));
    let line = last_line(view);
    let line = if matches!(conclusion.end, End::Failed | End::Refused | End::StoodStill) {
        paint.bad(line)
    } else {
        paint.strong(line)
    };
    let _ = writeln!(text, "{line}");
    text
}

fn failures(report: &Report, plan: &Plan, view: &RunView<'_>) -> String {
    let mut skipped: BTreeMap<&StepId, Vec<&StepId>> = BTreeMap::new();
    for (id, outcome) in &report.outcomes {
        if let Outcome::Skipped { because } = outcome {
            skipped.entry(because).or_default().push(id);
        }
    }
    let mut text = String::new();
    let count = report.failures().count();
    if count > 0 {
        let _ = writeln!(text, "{}", view.paint.bad("failed"));
    }
    for (id, failure) in report.failures().take(FAILURES_SHOWN) {
        let Failure { causes, attempts, log } = failure;
        let _ = writeln!(text, "  · {}", view.paint.strong(id));
        if let Some(step) = plan.step(id.as_str()) {
            let at =
                step.action.node().map_or_else(|| "on this machine".to_owned(), |node| format!("on {node}"));
            let why = reasons(&step.reasons, false);
            let _ = writeln!(text, "    {} {at}, because: {why}", step.action.verb());
        }
        for (depth, cause) in causes.iter().enumerate() {
            let word = if depth == 0 { "error" } else { "cause" };
            let _ = writeln!(text, "    {word}: {cause}");
        }
        if *attempts > 1 {
            let _ = writeln!(text, "    tried {attempts} times");
        }
        if !log.is_empty() {
            let _ = writeln!(text, "    the last lines of its log:");
            for line in log {
                let _ = writeln!(text, "      | {line}");
            }
        }
        if let Some(skipped) = skipped.get(id) {
            let mut names: Vec<String> =
                skipped.iter().take(SKIPPED_SHOWN).map(ToString::to_string).collect();
            if skipped.len() > SKIPPED_SHOWN {
                names.push(format!("{} more", skipped.len() - SKIPPED_SHOWN));
            }
            let _ = writeln!(text, "    skipped because of it: {}", names.join(", "));
        }
    }
    if count > FAILURES_SHOWN {
        let more = counted(count - FAILURES_SHOWN, "failure");
        let _ = writeln!(text, "  · and {more} more, which `--output json` tells in full");
    }
    if count > 0 {
        let _ = writeln!(
            text,
            "  = help: mend the cause, then run `windlass {}` again: it goes on from here\n",
            view.command
        );
    }
    text
}

fn last_line(view: &RunView<'_>) -> String {
    let RunView { goal, conclusion, plans, elapsed, .. } = view;
    let done = done(plans, &conclusion.reports);
    let took = format!("{} in {}", counted(done, "step"), seconds(*elapsed));
    match conclusion.end {
        End::Converged if conclusion.reports.is_empty() => format!("nothing to do: {goal}"),
        End::Converged => format!("done: {took}; {goal}"),
        End::Held => {
            let held = held(&conclusion.planning.findings).unwrap_or_default();
            if conclusion.reports.is_empty() {
                format!("nothing to do now, {held}")
            } else {
                format!("done but for what is held: {took}, {held}")
            }
        }
        End::Refused if conclusion.reports.is_empty() => "refused: nothing was done".to_owned(),
        End::Refused => format!("refused after {took}: nothing further was done"),
        End::Failed => {
            let left = counts(&conclusion.planning);
            format!("failed after {took}; left: {left}")
        }
        End::Interrupted => format!("interrupted after {took}; run it again to go on"),
        End::StoodStill => {
            let left = counts(&conclusion.planning);
            format!("stands still after {took}: the same plan is left though no step failed ({left})")
        }
    }
}

/// How many steps that change something are done.
fn done(plans: &[Plan], reports: &[Report]) -> usize {
    plans
        .iter()
        .zip(reports)
        .flat_map(|(plan, report)| {
            plan.steps.iter().filter(|step| {
                !step.action.only_waits() && report.outcomes.get(&step.id) == Some(&Outcome::Done)
            })
        })
        .count()
}
