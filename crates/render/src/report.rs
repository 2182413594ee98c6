//! The result of a run: the failures with everything that explains them, and a last line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use windlass_model::{End, Failure, Outcome, Plan, Planning, Report, StepId, counted};

use crate::findings::findings;
use crate::layout::{BELOW, wrap};
use crate::names::{Room, addresses, some};
use crate::page::{Detail, Page};
use crate::words::{counts, held, reasons};

/// How many failures are shown in full.
const FAILURES_SHOWN: usize = 10;
/// How many of the skipped steps are named.
const SKIPPED_SHOWN: usize = 4;

/// The input of the text of a run's result.
#[derive(Debug)]
pub struct RunView<'a> {
    /// The command, as it would be typed again.
    pub command: &'a str,
    /// What is true at a good end: `the cluster is as cluster.yml says`.
    pub goal: &'a str,
    /// How the run ended.
    pub end: End,
    /// What was planned last.
    pub planning: &'a Planning,
    /// The plans of all rounds.
    pub plans: &'a [Plan],
    /// Their results.
    pub reports: &'a [Report],
    /// How long it took; none if it is not to be shown.
    pub elapsed: Option<Duration>,
    /// Where the text goes.
    pub page: Page<'a>,
}

/// `12.3s`
pub fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

/// The causes of a failure, for a line of progress.
pub fn failure_in_a_line(failure: &Failure) -> String {
    failure.causes.join(": ")
}

/// The failures of the last round, the findings, and how it ended.
pub fn result(view: &RunView<'_>) -> String {
    let RunView { end, planning, plans, reports, page, .. } = view;
    let mut text = String::new();
    // A plan is remembered for every round that was carried out, and for one that was left before.
    if let Some((report, plan)) = reports.iter().zip(*plans).next_back()
        && matches!(end, End::Failed | End::Interrupted)
    {
        text.push_str(&failures(report, plan, view.command, page));
    }
    text.push_str(&findings(&planning.findings, page, Detail::Folded));
    let is_bad = matches!(end, End::Failed | End::Refused | End::StoodStill);
    for line in wrap(&last_line(view), "", "  ", page.width) {
        let line = if is_bad { page.paint.bad(line) } else { page.paint.strong(line) };
        let _ = writeln!(text, "{line}");
    }
    text
}

/// The steps that failed, each with its causes, its log and what was skipped because of it; empty if none did.
pub fn failures(report: &Report, plan: &Plan, command: &str, page: &Page<'_>) -> String {
    let count = report.failures().count();
    if count == 0 {
        return String::new();
    }
    let mut skipped: BTreeMap<&StepId, Vec<&str>> = BTreeMap::new();
    for (id, outcome) in &report.outcomes {
        if let Outcome::Skipped { because } = outcome {
            skipped.entry(because).or_default().push(id.as_str());
        }
    }
    let mut text = format!("{}\n", page.paint.bad("failed"));
    for (id, failure) in report.failures().take(FAILURES_SHOWN) {
        let _ = writeln!(text, "  · {}", page.paint.strong(id));
        let skipped = skipped.get(id).map_or(&[][..], Vec::as_slice);
        for line in failed(id, failure, skipped, plan, page) {
            let _ = writeln!(text, "{line}");
        }
    }
    if count > FAILURES_SHOWN {
        let more = counted(count - FAILURES_SHOWN, "more failure");
        let _ = writeln!(text, "  · {more}, which `--output json` shows in full");
    }
    let help = format!("help: fix the cause, then run `windlass {command}` again: it continues from there");
    for line in wrap(&help, "  = ", "    ", page.width) {
        let _ = writeln!(text, "{line}");
    }
    text.push('\n');
    text
}

fn failed(id: &StepId, failure: &Failure, skipped: &[&str], plan: &Plan, page: &Page<'_>) -> Vec<String> {
    const REST: &str = "        ";
    let Failure { causes, attempts, log } = failure;
    let mut lines = Vec::new();
    let mut say = |text: &str| lines.extend(wrap(text, BELOW, REST, page.width));
    if let Some(step) = plan.step(id.as_str()) {
        say(&format!("planned because: {}", reasons(&step.reasons, Detail::Folded).join(", ")));
    }
    for (depth, cause) in causes.iter().enumerate() {
        say(&format!("{}: {cause}", if depth == 0 { "error" } else { "cause" }));
    }
    if *attempts > 1 {
        say(&format!("tried {attempts} times"));
    }
    if !log.is_empty() {
        say("the last lines of its log:");
        lines.extend(log.iter().flat_map(|line| wrap(line, "        | ", "        |   ", page.width)));
    }
    if !skipped.is_empty() {
        let folded = addresses(skipped.iter().copied(), Room::Columns(40));
        let text = format!("skipped because of it: {}", some(&folded, SKIPPED_SHOWN));
        lines.extend(wrap(&text, BELOW, REST, page.width));
    }
    lines
}

fn last_line(view: &RunView<'_>) -> String {
    let RunView { goal, end, planning, reports, elapsed, .. } = view;
    let mut within = Vec::new();
    if reports.len() > 1 {
        within.push(counted(reports.len(), "round"));
    }
    within.extend(elapsed.map(seconds));
    let within = if within.is_empty() { String::new() } else { format!(" in {}", within.join(", ")) };
    let took = format!("{}{within}", counted(done(view.plans, reports), "step"));
    match end {
        End::Converged if reports.is_empty() => format!("nothing to do: {goal}"),
        End::Converged => format!("done: {took}; {goal}"),
        End::Held => {
            let held = held(&planning.findings).unwrap_or_default();
            if reports.is_empty() {
                format!("nothing to do now: {held}")
            } else {
                format!("done except what is held: {took}, {held}")
            }
        }
        End::Refused if reports.is_empty() => "refused: nothing was done".to_owned(),
        End::Refused => format!("refused after {took}: nothing further was done"),
        End::Failed => format!("failed after {took}; left: {}", counts(planning)),
        End::Interrupted => format!("interrupted after {took}; run it again to continue"),
        End::StoodStill => {
            let left = counts(planning);
            format!("stopped after {took}: the same plan is left although no step failed ({left})")
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

#[cfg(test)]
mod tests {
    use windlass_model::{Action, NodeName, Reason, Step};

    use super::*;
    use crate::layout::Width;
    use crate::paint::Paint;

    /// The result of a run of one round over this many nodes, all of which were to be uncordoned.
    fn text(end: End, nodes: usize, outcome: impl Fn(usize) -> Outcome) -> String {
        let steps: Vec<Step> = (1..=nodes)
            .map(|number| {
                let node = NodeName::from(format!("node-{number:02}"));
                Step {
                    id: StepId::new(&node, "node", "uncordon"),
                    action: Action::Uncordon { node },
                    reasons: vec![Reason::LeftCordoned],
                    origins: vec![],
                }
            })
            .collect();
        let outcomes = steps.iter().enumerate().map(|(index, step)| (step.id.clone(), outcome(index)));
        let report = Report { outcomes: outcomes.collect() };
        let plan = Plan { steps, edges: vec![] };
        result(&RunView {
            command: "up",
            goal: "the cluster is as cluster.yml says",
            end,
            planning: &Planning { plan: plan.clone(), findings: vec![] },
            plans: &[plan],
            reports: &[report],
            elapsed: Some(Duration::from_millis(1_500)),
            page: Page {
                places: &|_| None,
                file: "cluster.yml",
                width: Width::default(),
                paint: Paint::Plain,
            },
        })
    }

    fn failed() -> Outcome {
        Outcome::Failed(Failure {
            causes: vec!["uncordon".to_owned(), "no API server answers".to_owned()],
            attempts: 5,
            log: vec!["one".to_owned(), "two".to_owned()],
        })
    }

    #[test]
    fn a_failure_is_shown_with_causes_log_and_what_was_skipped() {
        let skipped = || Outcome::Skipped { because: StepId::new("node-01", "node", "uncordon") };
        let text = text(End::Failed, 5, |index| if index == 0 { failed() } else { skipped() });
        assert_eq!(
            text,
            "\
failed
  · node-01/node/uncordon
      planned because: still cordoned by an earlier run
      error: uncordon
      cause: no API server answers
      tried 5 times
      the last lines of its log:
        | one
        | two
      skipped because of it: node/uncordon on node-02…node-05
  = help: fix the cause, then run `windlass up` again: it continues from there

failed after 0 steps in 1.5s; left: 5 steps on 5 nodes
"
        );
    }

    #[test]
    fn of_many_failures_the_first_are_shown() {
        let text = text(End::Failed, 30, |_| failed());
        assert_eq!(text.matches("  · node-").count(), FAILURES_SHOWN);
        assert_eq!(text.matches("  · 20 more failures, which `--output json` shows in full\n").count(), 1);
    }

    #[test]
    fn an_interrupted_run_says_how_far_it_came() {
        let text =
            text(End::Interrupted, 3, |index| if index == 0 { Outcome::Done } else { Outcome::Interrupted });
        assert_eq!(text, "interrupted after 1 step in 1.5s; run it again to continue\n");
    }

    #[test]
    fn a_run_that_only_repeats_itself_says_so() {
        let text = text(End::StoodStill, 1, |_| Outcome::Done);
        let expected = "stopped after 1 step in 1.5s: the same plan is left although no step failed (1 step on 1 node)\n";
        assert_eq!(text.replace("\n  ", " "), expected);
    }
}
