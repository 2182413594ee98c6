//! What was refused, held or noticed, each with what to do.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use windlass_model::{Finding, Weight};
use windlass_spec::SourceMap;

use crate::render::paint::Paint;
use crate::source::Origin;

/// So many subjects of one finding are named.
const NAMED: usize = 3;

/// Sections `refused`, `held` and `notice`; equal findings on many nodes are told once. Empty if there are none.
pub(crate) fn findings(findings: &[Finding], places: &SourceMap<'_>, file: &str, paint: Paint) -> String {
    let mut text = String::new();
    for weight in [Weight::Refused, Weight::Held, Weight::Next, Weight::Notice] {
        let mut alike: BTreeMap<(String, String), Vec<&Finding>> = BTreeMap::new();
        let mut order: Vec<(String, String)> = Vec::new();
        for finding in findings.iter().filter(|finding| finding.weight == weight) {
            let key = (finding.what(), finding.help());
            let group = alike.entry(key.clone()).or_default();
            if group.is_empty() {
                order.push(key);
            }
            group.push(finding);
        }
        if order.is_empty() {
            continue;
        }
        let head = if weight == Weight::Refused { paint.bad(weight) } else { paint.strong(weight) };
        let _ = writeln!(text, "{head}");
        for key in order {
            let (group, (what, help)) = (&alike[&key], &key);
            let subjects = subjects(group);
            // A text in brackets tells more of the subject.
            let colon = if what.starts_with('(') { "" } else { ":" };
            let _ = writeln!(text, "  · {subjects}{colon} {what}");
            if let Some(origin) = group.first().and_then(|finding| finding.origin.as_ref())
                && !is_a_mere_node(origin.as_str())
            {
                let Origin { path, line, column } = Origin::of(origin, places);
                let at = match (line, column) {
                    (Some(line), Some(column)) => format!("{file}:{line}:{column} {path}"),
                    _ => format!("{file} {path}"),
                };
                let _ = writeln!(text, "    --> {at}");
            }
            if !help.is_empty() {
                let _ = writeln!(text, "    = help: {help}");
            }
        }
        text.push('\n');
    }
    text
}

/// Whether a path leads to a node as a whole: its name tells as much.
pub(crate) fn is_a_mere_node(path: &str) -> bool {
    path.starts_with("nodes[") && path.ends_with(']')
}

fn subjects(alike: &[&Finding]) -> String {
    let named: Vec<String> = alike.iter().take(NAMED).map(|finding| finding.about.to_string()).collect();
    let mut text = named.join(", ");
    if alike.len() > NAMED {
        let _ = write!(text, " and {} more", alike.len() - NAMED);
    }
    text
}
