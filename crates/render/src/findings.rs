//! What was refused, held, announced or reported, each with what to do.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use windlass_model::{Finding, Weight};

use crate::layout::wrap;
use crate::names::{Room, addresses};
use crate::page::{Detail, Page, is_a_mere_node};

/// The nodes of one finding take at most this many columns.
const NODES_WIDTH: usize = 80;

/// A section for each weight; equal findings on many nodes are one. Empty if there are none.
pub fn findings(findings: &[Finding], page: &Page<'_>, detail: Detail) -> String {
    let mut text = String::new();
    for weight in [Weight::Refused, Weight::Held, Weight::Next, Weight::Notice] {
        let mut order: Vec<(String, String)> = Vec::new();
        let mut alike: BTreeMap<(String, String), Vec<&Finding>> = BTreeMap::new();
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
        let head = head(weight);
        let head = if weight == Weight::Refused { page.paint.bad(head) } else { page.paint.strong(head) };
        let _ = writeln!(text, "{head}");
        for key in order {
            for line in lines(&alike[&key], &key, page, detail) {
                let _ = writeln!(text, "{line}");
            }
        }
        text.push('\n');
    }
    text
}

fn head(weight: Weight) -> &'static str {
    match weight {
        Weight::Refused => "refused: nothing is done until this is fixed",
        Weight::Held => "held: waits for a person or for the hosts",
        Weight::Next => "next: this same `up` does it in a later round",
        Weight::Notice => "notice",
    }
}

fn lines(
    alike: &[&Finding],
    (what, help): &(String, String),
    page: &Page<'_>,
    detail: Detail,
) -> Vec<String> {
    const REST: &str = "    ";
    let room = if detail == Detail::Everything { Room::All } else { Room::Columns(NODES_WIDTH) };
    let about: Vec<String> = alike.iter().map(|finding| finding.about.to_string()).collect();
    let subjects = addresses(about.iter().map(String::as_str), room).join(", ");
    // A text in brackets continues the subject.
    let colon = if what.starts_with('(') { "" } else { ":" };
    let mut lines = wrap(&format!("{subjects}{colon} {what}"), "  · ", REST, page.width);
    if let Some(origin) = alike.first().and_then(|finding| finding.origin.as_ref())
        && !is_a_mere_node(origin)
    {
        lines.extend(wrap(&page.spot_of(origin), "    --> ", "        ", page.width));
    }
    if !help.is_empty() {
        lines.extend(wrap(help, "    = ", "      ", page.width));
    }
    lines
}
