//! The language of scenarios: a text becomes commands, each with its line.

use std::collections::BTreeSet;

use windlass_course::Goal;
use windlass_model::{CertSelector, Component, End, NodeName, Reissue, Snapshots};
use windlass_simulator::{Fault, Workload};

use super::config::Edit;
use super::strike;
use super::text::{cut, number};

/// One command of a scenario.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Its line, from one.
    pub(super) number: usize,
    /// Its text, without the block.
    pub(super) text: String,
    /// Its meaning.
    pub(super) command: Command,
}

/// The meaning of a line.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// This many machines.
    Bare(usize),
    /// What the users run.
    Users(Workload),
    /// The text of a whole cluster.yml.
    Cluster(String),
    /// Groups of nodes with their roles.
    Sized(Vec<(usize, Vec<String>)>),
    /// A change of cluster.yml.
    Edit(Edit),
    /// Look and plan.
    Plan(Run),
    /// Look, plan and act until nothing is left to do.
    Up(Run),
    /// Something happens now.
    Strike(Fault),
    /// Something happens in the next run.
    At(Moment, Fault),
    /// Seconds pass.
    Wait(u64),
    /// Show what windlass sees.
    Observe,
    /// Show the verbs of the last run that contain one of these words; all that change something if none is
    /// given.
    Story(Vec<String>),
    /// Planning again gives nothing.
    ExpectRests,
    /// The machines are as they were at the beginning, images and snapshots excepted.
    ExpectNoTrace,
}

/// What is run, and how it is shown.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) goal: Goal,
    pub(super) shown: Shown,
    pub(super) expected: Option<Expected>,
    /// The nodes that are gone for good according to the operator.
    pub(super) gone: BTreeSet<NodeName>,
}

impl Run {
    /// `up`
    pub(super) fn converge() -> Self {
        Self { goal: Goal::Converge, shown: Shown::Whole, expected: None, gone: BTreeSet::new() }
    }
}

/// How much of a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Whole,
    /// Plans, and below each step only the order that limits and rules impose.
    Brief,
    /// How it ended.
    Quiet,
}

/// How a run is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    End(End),
    Death,
    /// Another run changes the cluster.
    Taken,
}

/// A moment of the next run.
#[derive(Clone, Debug)]
pub(super) enum Moment {
    /// At the verb of this number.
    Verb(u64),
    /// At the first verb, or the first of this word, after a step has begun.
    Step { id: String, word: Option<String> },
}

/// Reads a scenario.
///
/// # Errors
/// A line is invalid; the text names it.
pub(super) fn read(text: &str) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    let mut rest = text.lines().enumerate();
    while let Some((index, line)) = rest.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (said, block) = match line.strip_suffix("<<") {
            None => (line, None),
            Some(said) => {
                let mut block = String::new();
                loop {
                    match rest.next() {
                        None => return Err(format!("line {}: `<<` without `>>`", index + 1)),
                        Some((_, line)) if line.trim() == ">>" => break,
                        Some((_, line)) => {
                            block.push_str(line);
                            block.push('\n');
                        }
                    }
                }
                (said.trim(), Some(block))
            }
        };
        let command = command(said, block).map_err(|what| format!("line {}: {what}: {line}", index + 1))?;
        lines.push(Line { number: index + 1, text: said.to_owned(), command });
    }
    Ok(lines)
}

fn command(said: &str, block: Option<String>) -> Result<Command, String> {
    let (first, rest) = cut(said);
    Ok(match first {
        "bare" => Command::Bare(number(rest)?),
        "users" => Command::Users(serde_yaml::from_str(rest).map_err(|error| error.to_string())?),
        "cluster" => match block {
            Some(text) => Command::Cluster(text),
            None => Command::Sized(groups(rest)?),
        },
        "edit" | "upgrade" => Command::Edit(Edit::read(first, rest)?),
        "plan" => Command::Plan(planned(rest)?),
        "up" => Command::Up(run(Goal::Converge, rest)?),
        "rotate" => {
            let (which, rest) = cut(rest);
            Command::Up(run(rotation(which)?, rest)?)
        }
        "remove" => {
            let (snapshots, rest) = removal(rest);
            Command::Up(run(Goal::Dismantle(snapshots), rest)?)
        }
        "at" => {
            let (moment, what) = rest.split_once(": ").ok_or("`at` wants `: ` and a fault")?;
            Command::At(moment_of(moment)?, strike::read(what.trim(), block)?)
        }
        "wait" => Command::Wait(strike::seconds(rest)?),
        "observe" => Command::Observe,
        "story" => Command::Story(rest.split_whitespace().map(str::to_owned).collect()),
        "expect" => match rest {
            "rests" => Command::ExpectRests,
            "no trace" => Command::ExpectNoTrace,
            _ => return Err("expected is `rests` or `no trace`".to_owned()),
        },
        _ => Command::Strike(strike::read(said, block)?),
    })
}

fn groups(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    text.split(',')
        .map(|group| {
            let (count, roles) = cut(group);
            let roles = if roles == "all" { "etcd+controlplane+worker" } else { roles };
            Ok((number(count)?, roles.split('+').map(str::to_owned).collect()))
        })
        .collect()
}

fn planned(rest: &str) -> Result<Run, String> {
    let (first, after) = cut(rest);
    match first {
        "rotate" => {
            let (which, after) = cut(after);
            run(rotation(which)?, after)
        }
        "remove" => {
            let (snapshots, after) = removal(after);
            run(Goal::Dismantle(snapshots), after)
        }
        _ => run(Goal::Converge, rest),
    }
}

fn removal(rest: &str) -> (Snapshots, &str) {
    match rest.strip_prefix("snapshots") {
        Some(rest) => (Snapshots::Delete, rest),
        None => (Snapshots::Keep, rest),
    }
}

fn rotation(which: &str) -> Result<Goal, String> {
    let reissue = if which == "all" {
        CertSelector::All
    } else {
        let services: Result<BTreeSet<Component>, String> = which
            .split(',')
            .map(|name| Component::named(name).ok_or_else(|| format!("no component `{name}`")))
            .collect();
        CertSelector::Services(services?)
    };
    // The moment is when the command begins.
    Ok(Goal::Reissue(Reissue { which: reissue, ..Reissue::default() }))
}

fn run(goal: Goal, modifiers: &str) -> Result<Run, String> {
    let mut run = Run { goal, ..Run::converge() };
    let mut words = modifiers.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "quietly" => run.shown = Shown::Quiet,
            "briefly" => run.shown = Shown::Brief,
            "expect" => run.expected = Some(expected(words.next().unwrap_or_default())?),
            "gone" => {
                run.gone.insert(words.next().unwrap_or_default().into());
            }
            _ => return Err(format!("`{word}` is neither `quietly`, `briefly`, `gone` nor `expect`")),
        }
    }
    Ok(run)
}

fn expected(word: &str) -> Result<Expected, String> {
    Ok(match word {
        "converged" => Expected::End(End::Converged),
        "held" => Expected::End(End::Held),
        "refused" => Expected::End(End::Refused),
        "failed" => Expected::End(End::Failed),
        "stood-still" => Expected::End(End::StoodStill),
        "death" => Expected::Death,
        "taken" => Expected::Taken,
        _ => return Err(format!("a run does not end `{word}`")),
    })
}

fn moment_of(text: &str) -> Result<Moment, String> {
    let (first, rest) = cut(text);
    if first == "verb" {
        return Ok(Moment::Verb(number(rest)?));
    }
    let word = (!rest.is_empty()).then(|| rest.to_owned());
    Ok(Moment::Step { id: first.to_owned(), word })
}
