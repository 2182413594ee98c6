//! From the bytes of a file to a `ClusterSpec`, or to everything that keeps it from being one.
//!
//! ```text
//! bytes ─▶ text ─▶ tree with places ─▶ conforms to the schema? ─▶ sections ─▶ checks across them
//! ```
//!
//! Every stage but the first two goes on after an error, so that all errors are reported at once.

mod access;
mod addons;
mod cloud;
mod cluster;
mod formats;
mod hosts;
mod keys;
mod manifests;
mod nodes;
mod ranges;
mod scheduling;
mod services;
mod syntax;
mod upgrade;
mod urls;
mod versions;
mod whole;
mod windlass;
mod words;

pub use self::manifests::{Flaw, manifests};
pub use self::versions::newest_version;

use std::collections::BTreeMap;

use crate::Reading;
use crate::conform::conform;
use crate::lines::without_mark;
use crate::path::Path;
use crate::report::{LINES_NAMED, Reports, also_on};
use crate::scalar;
use crate::spelling;
use crate::strictness::Strictness;
use crate::view::View;
use crate::yaml::{self, Finding, Span, Value, What};

/// The largest file that is read: sixteen times a cluster of 5,000 nodes.
const MAX_BYTES: usize = 16 << 20;

/// Reads a cluster.yml.
///
/// *Guarantees.* `spec` is absent exactly if one of the diagnostics is an error. No bytes make it panic, and
/// its time and memory are bounded by the length of the text and a constant.
pub fn read(text: &[u8]) -> Reading {
    read_with(text, Strictness::Lenient)
}

/// Reads a cluster.yml, and makes this much of keys that nothing reads.
pub fn read_with(text: &[u8], strictness: Strictness) -> Reading {
    match decode(text) {
        Ok(text) => read_text(without_mark(text), strictness),
        Err((valid, summary, help)) => {
            let mut reports = Reports::new(valid);
            reports.error("", Span { start: valid.len(), end: valid.len() }, summary).help(help);
            Reading { spec: None, partial: None, diagnostics: reports.finish() }
        }
    }
}

/// Why a text is no key of a label or of a taint, if it is none.
pub fn label_key_flaw(text: &str) -> Option<String> {
    syntax::label_key(text).err()
}

/// Why a text is no value of a label or of a taint, if it is none.
pub fn label_value_flaw(text: &str) -> Option<String> {
    syntax::label_value(text).err()
}

/// The text, or the valid part before what is none.
pub(crate) fn decode(bytes: &[u8]) -> Result<&str, (&str, String, &'static str)> {
    if bytes.len() > MAX_BYTES {
        let summary = format!("the file is larger than {} MiB", MAX_BYTES >> 20);
        return Err(("", summary, "a cluster.yml of that size is a mistake"));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = std::str::from_utf8(&bytes[..error.valid_up_to()])
            .expect("the bytes before the first invalid one are valid");
        let is_utf_16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        let what = if is_utf_16 { "the file is UTF-16" } else { "a byte that is no UTF-8" };
        (without_mark(valid), what.to_owned(), "save the file as UTF-8")
    })
}

fn read_text(text: &str, strictness: Strictness) -> Reading {
    let mut reports = Reports::new(text);
    let start = Span::default();
    let spec = match yaml::parse(text) {
        Err(yaml::Syntax { at, summary, help }) => {
            reports.error("", Span { start: at, end: at }, summary).help(help);
            None
        }
        Ok(document) => {
            for (finding, places) in by_path(document.findings) {
                tell(finding, &places, &mut reports);
            }
            match document.root.map(|root| (root.value, root.span)) {
                None | Some((Value::Null, _)) => {
                    let draft = reports.error("", start, "the file is empty");
                    draft.help("it needs at least `nodes`");
                    None
                }
                Some((Value::Map(mut entries), span)) => {
                    spelling::settle(&mut entries, strictness, &mut reports);
                    conform(&entries, strictness, &mut reports);
                    cluster::cluster(View::new(&entries, span, &Path::Top), &mut reports)
                }
                Some((value, span)) => {
                    let is = scalar::form_of(&value);
                    let draft = reports.error("", span, format!("the file must be a map, not {is}"));
                    draft.help("begin with `nodes:`");
                    None
                }
            }
        }
    };
    let (spec, partial) = if reports.has_errors() { (None, spec) } else { (spec, None) };
    Reading { spec, partial, diagnostics: reports.finish() }
}

/// A key that is there several times is found once, with all its places in the order of the file.
fn by_path(findings: Vec<Finding>) -> Vec<(Finding, Vec<Span>)> {
    let mut found: Vec<(Finding, Vec<Span>)> = Vec::with_capacity(findings.len());
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for finding in findings {
        let What::Duplicate { first, .. } = finding.what else {
            found.push((finding, Vec::new()));
            continue;
        };
        let both = [first, finding.span];
        let before = known.get(&finding.path).and_then(|index| found.get_mut(*index));
        if let Some((_, places)) = before {
            places.extend(both);
        } else {
            known.insert(finding.path.clone(), found.len());
            found.push((finding, both.to_vec()));
        }
    }
    for (_, places) in &mut found {
        places.sort_by_key(|place| place.start);
        places.dedup_by_key(|place| place.start);
    }
    found
}

fn tell(finding: Finding, places: &[Span], reports: &mut Reports<'_>) {
    let Finding { path, span, what } = finding;
    match what {
        What::Duplicate { merged, .. } => {
            let (last, others) = places.split_last().map_or((span, places), |(last, others)| (*last, others));
            let lines: Vec<usize> = others.iter().map(|place| reports.line_of(*place)).collect();
            let times = match places.len() {
                0..=2 => "twice".to_owned(),
                times => format!("{times} times"),
            };
            let named = lines.len().min(LINES_NAMED);
            let also = also_on(&lines[..named], lines.len() - named);
            let summary = format!("`{}` is there {times}", crate::conform::brief(&path));
            let draft = reports.warning(&path, last, summary);
            draft.label(also);
            draft.note(if merged {
                "the keys of both are taken together; of a key in both, the later value counts"
            } else {
                "the later value counts, as it did in RKE 1"
            });
            draft.help("write it once");
        }
        What::SecondDocument => {
            reports
                .warning(&path, span, "only the first document of the file is read")
                .help("remove what follows `---`, or keep it in a file of its own");
        }
        What::KeyNotText => {
            reports
                .error(&path, span, "a key must be a text, not a list or a map")
                .help("if `{{ … }}` is a placeholder, fill in the template first");
        }
        What::MergeOfNoMap => {
            reports
                .error(&path, span, "`<<` takes in a map or a list of maps, nothing else")
                .help("write `<<: *name`, where `&name` is before a map");
        }
    }
}
