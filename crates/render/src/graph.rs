//! A plan as a picture: steps, their order and its reasons, for Graphviz and for Mermaid.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use windlass_model::{Because, Plan};

/// A plan of more steps is drawn folded: equal steps of all nodes as one.
const WHOLE_UP_TO: usize = 60;

/// A language of graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Graphviz' own.
    Dot,
    /// Mermaid, which many viewers of Markdown draw.
    Mermaid,
}

/// The plan's graph in this language.
pub fn graph(plan: &Plan, language: Language) -> String {
    let drawn = if plan.steps.len() <= WHOLE_UP_TO { Drawn::Whole } else { Drawn::Folded };
    let picture = Picture::of(plan, drawn);
    match language {
        Language::Dot => dot(&picture),
        Language::Mermaid => mermaid(&picture),
    }
}

/// How steps become boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drawn {
    /// Each step is one.
    Whole,
    /// Equal steps of all nodes are one.
    Folded,
}

/// Boxes and arrows.
#[derive(Debug)]
struct Picture {
    boxes: Vec<String>,
    arrows: BTreeMap<(usize, usize), BTreeSet<Because>>,
}

impl Picture {
    fn of(plan: &Plan, drawn: Drawn) -> Self {
        let mut groups: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let mut boxes: Vec<(String, usize)> = Vec::new();
        let of_step: Vec<usize> = plan
            .steps
            .iter()
            .map(|step| {
                let name = match drawn {
                    Drawn::Whole => step.id.to_string(),
                    Drawn::Folded => {
                        let at = if step.id.place() == "cluster" { "cluster/" } else { "" };
                        format!("{at}{} {}", step.id.subject(), step.action.verb())
                    }
                };
                let (index, _) = *groups.entry(name.clone()).or_insert((boxes.len(), 0));
                if index == boxes.len() {
                    boxes.push((name, 0));
                }
                boxes[index].1 += 1;
                index
            })
            .collect();
        let mut arrows: BTreeMap<(usize, usize), BTreeSet<Because>> = BTreeMap::new();
        for edge in &plan.edges {
            let (from, to) = (of_step[edge.before], of_step[edge.after]);
            arrows.entry((from, to)).or_default().insert(edge.because);
        }
        let boxes = boxes
            .into_iter()
            .map(|(name, count)| if count > 1 { format!("{name} on {count} nodes") } else { name })
            .collect();
        Self { boxes, arrows }
    }

    /// Each arrow with its reasons; that something is needed is not written.
    fn arrows(&self) -> impl Iterator<Item = (usize, usize, String)> {
        self.arrows.iter().map(|((from, to), because)| {
            let reasons: Vec<String> = because
                .iter()
                .filter(|because| **because != Because::Needs)
                .map(ToString::to_string)
                .collect();
            (*from, *to, reasons.join(", "))
        })
    }
}

fn dot(picture: &Picture) -> String {
    let mut text = "digraph plan {\n  rankdir=LR;\n  node [shape=box, fontname=monospace];\n".to_owned();
    for (index, name) in picture.boxes.iter().enumerate() {
        let _ = writeln!(text, "  s{index} [label=\"{}\"];", escaped(name));
    }
    for (from, to, reasons) in picture.arrows() {
        let label = if reasons.is_empty() { String::new() } else { format!(" [label=\"{reasons}\"]") };
        let _ = writeln!(text, "  s{from} -> s{to}{label};");
    }
    text.push_str("}\n");
    text
}

fn mermaid(picture: &Picture) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (index, name) in picture.boxes.iter().enumerate() {
        let _ = writeln!(text, "  s{index}[\"{}\"]", name.replace('"', "#quot;"));
    }
    for (from, to, reasons) in picture.arrows() {
        let label = if reasons.is_empty() { String::new() } else { format!("|\"{reasons}\"|") };
        let _ = writeln!(text, "  s{from} -->{label} s{to}");
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
