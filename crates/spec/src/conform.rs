//! Compares the tree with the schema: unknown keys, keys without effect, values of the wrong form.

use std::collections::BTreeMap;

use crate::nearest::nearest;
use crate::path::Path;
use crate::report::Reports;
use crate::scalar;
use crate::schema::{self, Key, Kind, Status};
use crate::yaml::{Entry, Node, Span, Value};

/// Reports every key that the schema does not know, that has no effect, or whose value has the wrong form.
///
/// *Guarantees.* If it reports no error, every value that the schema describes has the form it says, or is
/// null. A key that repeats from node to node is told once.
pub(crate) fn conform(root: &[Entry<'_>], reports: &mut Reports<'_>) {
    let mut walk = Walk { reports, sightings: BTreeMap::new() };
    walk.section(schema::CLUSTER, root, &Path::Top, false);
    let Walk { reports, sightings } = walk;
    for (pattern, sighting) in sightings {
        tell(&pattern, sighting, reports);
    }
}

/// How many different keys are told; looking for what each was meant to be takes time.
const MAX_SIGHTINGS: usize = 200;

/// People hang what they repeat by alias under top-level keys that begin so; they mean no setting by it.
const HOLDERS: [&str; 2] = [".", "x-"];

/// How many further places of a repeated key are named.
const MAX_LINES_NAMED: usize = 3;

struct Walk<'w, 't> {
    reports: &'w mut Reports<'t>,
    /// What is told once for all items of a list, by the pattern of its path.
    sightings: BTreeMap<String, Sighting>,
}

struct Sighting {
    what: What,
    path: String,
    span: Span,
    further: usize,
    further_lines: Vec<usize>,
}

enum What {
    Unknown { section: &'static [Key], key: String },
    UnknownByName { names: &'static [&'static str], key: String },
    Idle,
    Void(&'static str),
    Gone(&'static str),
    Alien(&'static str),
}

impl Walk<'_, '_> {
    fn section(&mut self, keys: &'static [Key], entries: &[Entry<'_>], path: &Path<'_>, idle: bool) {
        for entry in entries {
            let path = path.key(&entry.key);
            let Some(key) = schema::key(keys, &entry.key) else {
                let is_top = std::ptr::eq(keys, schema::CLUSTER);
                if is_top && HOLDERS.iter().any(|prefix| entry.key.starts_with(prefix)) {
                    continue;
                }
                let what = || What::Unknown { section: keys, key: entry.key.to_string() };
                self.sight(&path, entry.key_span, what);
                continue;
            };
            let sets_something = has_effect(&entry.value);
            let idle = match key.status {
                Status::Live => idle,
                Status::Idle => true,
                Status::IdleExcept(value) => {
                    !matches!(&entry.value.value, Value::Scalar(scalar) if scalar.text == value)
                }
                Status::Void(reason) => {
                    if sets_something {
                        self.sight(&path, entry.key_span, || What::Void(reason));
                    }
                    false
                }
                Status::Gone(reason) => {
                    if sets_something {
                        self.sight(&path, entry.key_span, || What::Gone(reason));
                    }
                    continue;
                }
                Status::Alien(reason) => {
                    if sets_something {
                        self.sight(&path, entry.key_span, || What::Alien(reason));
                    }
                    continue;
                }
            };
            let is_leaf = !matches!(key.kind, Kind::Section(_) | Kind::Sections(_) | Kind::SectionMap(_));
            if idle && is_leaf && sets_something {
                self.sight(&path, entry.key_span, || What::Idle);
            }
            self.value(key.kind, &entry.value, &path, idle);
        }
    }

    fn value(&mut self, kind: Kind, node: &Node<'_>, path: &Path<'_>, idle: bool) {
        match (kind, &node.value) {
            (_, Value::Null)
            | (Kind::Foreign, _)
            | (Kind::Text | Kind::Secret | Kind::TextOrTexts, Value::Scalar(_)) => {}
            (Kind::Flag, Value::Scalar(scalar)) if scalar::flag(scalar).is_some() => {}
            (Kind::Integer, Value::Scalar(scalar)) if scalar::integer(scalar).is_some() => {}
            (Kind::Texts | Kind::TextOrTexts, Value::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(Kind::Text, item, &path.item(index), idle);
                }
            }
            (Kind::TextMap, Value::Map(entries)) => {
                for entry in entries {
                    self.value(Kind::Text, &entry.value, &path.key(&entry.key), idle);
                }
            }
            (Kind::TextsMap, Value::Map(entries)) => {
                for entry in entries {
                    self.value(Kind::Texts, &entry.value, &path.key(&entry.key), idle);
                }
            }
            (Kind::Section(keys), Value::Map(entries)) => self.section(keys, entries, path, idle),
            (Kind::Sections(keys), Value::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let path = path.item(index);
                    if let Value::Map(entries) = &item.value {
                        self.section(keys, entries, &path, idle);
                    } else {
                        self.value(Kind::Section(keys), item, &path, idle);
                    }
                }
            }
            (Kind::SectionMap(keys), Value::Map(entries)) => {
                for entry in entries {
                    self.value(Kind::Section(keys), &entry.value, &path.key(&entry.key), idle);
                }
            }
            (Kind::Named(names), Value::Map(entries)) => {
                for entry in entries.iter().filter(|entry| !names.contains(&&*entry.key)) {
                    let what = || What::UnknownByName { names, key: entry.key.to_string() };
                    self.sight(&path.key(&entry.key), entry.key_span, what);
                }
            }
            (kind, _) => self.wrong_form(kind, node, path),
        }
    }

    fn wrong_form(&mut self, kind: Kind, node: &Node<'_>, path: &Path<'_>) {
        let is = scalar::form_of(&node.value);
        let name = match path {
            Path::Top => "the file".to_owned(),
            Path::Key(_, key) => format!("`{key}`"),
            Path::Item(Path::Key(_, key), _) => format!("each item of `{key}`"),
            Path::Item(..) => format!("`{path}`"),
        };
        let (must, help) = match (kind, &node.value) {
            (Kind::Text | Kind::Secret | Kind::TextOrTexts | Kind::Foreign, _) => ("a text", None),
            (Kind::Flag, Value::Scalar(scalar)) if scalar.quoted => {
                let would_do = scalar::flag_of(&scalar.text).is_some();
                ("true or false", Some(if would_do { "remove the quotes" } else { "write true or false" }))
            }
            (Kind::Flag, _) => ("true or false", None),
            (Kind::Integer, Value::Scalar(scalar)) if scalar.quoted => {
                let would_do = scalar::integer_of(&scalar.text).is_some();
                ("a whole number", Some(if would_do { "remove the quotes" } else { "write a number" }))
            }
            (Kind::Integer, _) => ("a whole number", None),
            (Kind::Texts, Value::Scalar(_)) => {
                ("a list", Some("begin each value with `- `, on its own line"))
            }
            (Kind::Texts, _) => ("a list", None),
            (Kind::TextMap | Kind::TextsMap, Value::List(_)) => {
                ("a map", Some("write `name: value` without a dash before it"))
            }
            (Kind::TextMap | Kind::TextsMap | Kind::Section(_) | Kind::SectionMap(_) | Kind::Named(_), _) => {
                ("a map", None)
            }
            (Kind::Sections(_), Value::Map(_)) => {
                ("a list", Some("begin each entry with `- ` before its first key"))
            }
            (Kind::Sections(_), _) => ("a list of maps", None),
        };
        let draft = self.reports.error(path, node.span, format!("{name} must be {must}, not {is}"));
        if let Some(help) = help {
            draft.help(help);
        }
    }

    fn sight(&mut self, path: &Path<'_>, span: Span, what: impl FnOnce() -> What) {
        let line = self.reports.line_of(span);
        let pattern = path.pattern();
        if self.sightings.len() >= MAX_SIGHTINGS && !self.sightings.contains_key(&pattern) {
            return;
        }
        self.sightings
            .entry(pattern)
            .and_modify(|seen| {
                seen.further += 1;
                if seen.further_lines.len() < MAX_LINES_NAMED {
                    seen.further_lines.push(line);
                }
            })
            .or_insert_with(|| Sighting {
                what: what(),
                path: path.to_string(),
                span,
                further: 0,
                further_lines: Vec::new(),
            });
    }
}

fn tell(pattern: &str, sighting: Sighting, reports: &mut Reports<'_>) {
    let Sighting { what, path, span, further, further_lines } = sighting;
    let draft = match what {
        What::Unknown { section, key } => {
            let known = section.iter().filter(|key| key.is_current()).map(|key| key.name);
            let near = nearest(&key, known);
            unknown(&key, &path, pattern, near, span, reports)
        }
        What::UnknownByName { names, key } => {
            let near = nearest(&key, names.iter().copied());
            unknown(&key, &path, pattern, near, span, reports)
        }
        What::Idle => reports.warning(&path, span, format!("`{pattern}` is read but has no effect yet")),
        What::Void(reason) => reports.warning(&path, span, format!("`{pattern}` has no effect")).note(reason),
        What::Gone(reason) => {
            reports.warning(&path, span, format!("`{pattern}` is no longer a key")).note(reason)
        }
        What::Alien(reason) => {
            reports.warning(&path, span, format!("`{pattern}` is no key of cluster.yml")).note(reason)
        }
    };
    if further > 0 {
        let lines: Vec<String> = further_lines.iter().map(usize::to_string).collect();
        let more = further - further_lines.len();
        let rest = if more > 0 { format!(" and in {more} more places") } else { String::new() };
        let noun = if lines.len() == 1 { "line" } else { "lines" };
        draft.note(format!("also on {noun} {}{rest}", lines.join(", ")));
    }
}

fn unknown<'r>(
    key: &str,
    path: &str,
    pattern: &str,
    near: Option<&str>,
    span: Span,
    reports: &'r mut Reports<'_>,
) -> &'r mut crate::report::Draft {
    let section = pattern.strip_suffix(key).unwrap_or(pattern).trim_end_matches('.');
    let place = match section {
        "" => "at the top level".to_owned(),
        "nodes[]" => "in a node".to_owned(),
        section => format!("in `{}`", section.trim_end_matches("[]")),
    };
    let draft = reports.warning(path, span, format!("unknown key `{}` {place}", brief(key)));
    let elsewhere = schema::sections_with(key);
    let homes = elsewhere
        .iter()
        .map(|home| if home.is_empty() { "the top level".to_owned() } else { format!("`{home}`") });
    let homes: Vec<String> = homes.take(MAX_LINES_NAMED).collect();
    match near {
        Some(near) => draft.help(format!("did you mean `{near}`?")),
        None if homes.is_empty() => draft.note("it is ignored"),
        None => draft.help(format!("`{key}` belongs in {}", homes.join(" or "))),
    };
    if near.is_some() && !homes.is_empty() {
        draft.note(format!("`{key}` is a key of {}", homes.join(" and ")));
    }
    draft
}

/// A word of the user's, cut where it would drown the message.
pub(crate) fn brief(word: &str) -> String {
    cut(word, 60)
}

/// At most so many letters of a text, none of which steers a terminal.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let clean = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    let mut shown: String = text.chars().take(most).map(clean).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether a value asks for anything: `rke config` writes empty ones for every key it knows.
fn has_effect(node: &Node<'_>) -> bool {
    match &node.value {
        Value::Null => false,
        Value::Scalar(scalar) => {
            !scalar.text.is_empty()
                && scalar::flag(scalar) != Some(false)
                && scalar::integer(scalar) != Some(0)
        }
        Value::List(items) => !items.is_empty(),
        Value::Map(entries) => entries.iter().any(|entry| has_effect(&entry.value)),
    }
}
