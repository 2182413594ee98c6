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

#[cfg(test)]
mod tests {
    use windlass_model::{Action, NodeName, Planning, Reason, Step};

    use super::*;

    /// A run of one round over so many nodes, all of which were to be uncordoned.
    fn told(end: End, nodes: usize, outcome: impl Fn(usize) -> Outcome) -> String {
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
        let conclusion = Conclusion {
            end,
            rounds: 2,
            planning: Planning { plan: plan.clone(), findings: vec![] },
            inventory: None,
            ledger: None,
            reports: vec![report],
        };
        result(&RunView {
            command: "up",
            goal: "the cluster is as cluster.yml says",
            conclusion: &conclusion,
            plans: &[plan],
            elapsed: Duration::from_millis(1_500),
            places: &SourceMap::new(b""),
            file: "cluster.yml",
            paint: Paint::Plain,
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
    fn a_failure_is_told_with_causes_log_and_what_was_skipped() {
        let skipped = || Outcome::Skipped { because: StepId::new("node-01", "node", "uncordon") };
        let text = told(End::Failed, 5, |index| if index == 0 { failed() } else { skipped() });
        assert_eq!(
            text,
            "\
failed
  · node-01/node/uncordon
    uncordon on node-01, because: still cordoned by an earlier run
    error: uncordon
    cause: no API server answers
    tried 5 times
    the last lines of its log:
      | one
      | two
    skipped because of it: node-02/node/uncordon, node-03/node/uncordon, 2 more
  = help: mend the cause, then run `windlass up` again: it goes on from here

failed after 0 steps in 1.5s; left: 5 steps on 5 nodes
"
        );
    }

    #[test]
    fn of_many_failures_the_first_are_told() {
        let text = told(End::Failed, 30, |_| failed());
        assert_eq!(text.matches("  · node-").count(), FAILURES_SHOWN);
        assert_eq!(
            text.matches("  · and 20 failures more, which `--output json` tells in full\n").count(),
            1
        );
    }

    #[test]
    fn an_interrupted_run_says_how_far_it_came() {
        let text =
            told(End::Interrupted, 3, |index| if index == 0 { Outcome::Done } else { Outcome::Interrupted });
        assert_eq!(text, "interrupted after 1 step in 1.5s; run it again to go on\n");
    }

    #[test]
    fn a_run_that_stands_still_says_so() {
        let text = told(End::StoodStill, 1, |_| Outcome::Done);
        let wanted = "stands still after 1 step in 1.5s: the same plan is left though no step failed \
                      (1 step on 1 node)\n";
        assert_eq!(text, wanted);
    }
}
