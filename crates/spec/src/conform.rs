//! Compares the tree with the schema: unknown keys, keys without effect, values of the wrong form.

use std::collections::BTreeMap;

use crate::nearest::nearest;
use crate::path::Path;
use crate::report::Reports;
use crate::scalar;
use crate::schema::{self, Key, Kind, Status};
use crate::strictness::Strictness;
use crate::yaml::{Entry, Node, Span, Value};

/// Reports every key that the schema does not know, that has no effect, or whose value has the wrong form.
///
/// *Guarantees.* If it reports no error, every value that the schema describes has the form it says, or is
/// null. A key that repeats from node to node is told once.
pub(crate) fn conform(root: &[Entry<'_>], strictness: Strictness, reports: &mut Reports<'_>) {
    let mut walk = Walk { reports, sightings: BTreeMap::new() };
    walk.section(schema::CLUSTER, root, &Path::Top);
    let Walk { reports, sightings } = walk;
    for (pattern, sighting) in sightings {
        tell(&pattern, sighting, strictness, reports);
    }
}

/// How many different keys are told; looking for what each was meant to be takes time.
const MAX_SIGHTINGS: usize = 200;

/// People hang what they repeat by alias under top-level keys that begin so; they mean no setting by it.
pub(crate) const HOLDERS: [&str; 2] = [".", "x-"];

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
    Unknown {
        section: &'static [Key],
        key: String,
        /// The empty section right before it, of which it is a key.
        empty: Option<&'static Key>,
    },
    /// In a map whose keys are the user's, but which are not these.
    UnknownByName {
        names: &'static [&'static str],
        key: String,
    },
    /// In such a map, and a key of the section around it.
    TooDeep {
        key: String,
    },
    Idle(&'static str),
    Void(&'static str),
    Gone {
        successor: Option<&'static str>,
        why: &'static str,
    },
    Alien(&'static str),
}

impl Walk<'_, '_> {
    fn section(&mut self, keys: &'static [Key], entries: &[Entry<'_>], path: &Path<'_>) {
        if schema::OF_API_SERVER.iter().any(|format| std::ptr::eq(*format, keys)) {
            self.needed(keys, entries, path);
        }
        let mut empty: Option<&'static Key> = None;
        for entry in entries {
            let path = path.key(&entry.key);
            let Some(key) = schema::find(keys, &entry.key) else {
                let is_top = std::ptr::eq(keys, schema::CLUSTER);
                if is_top && HOLDERS.iter().any(|prefix| entry.key.starts_with(prefix)) {
                    continue;
                }
                let empty =
                    empty.filter(|empty| schema::find(schema::children(empty.kind), &entry.key).is_some());
                let what = || What::Unknown { section: keys, key: entry.key.to_string(), empty };
                self.sight(&path, entry.key_span, what);
                continue;
            };
            empty = Some(key).filter(|_| matches!(entry.value.value, Value::Null));
            let told = match key.status {
                Status::Live | Status::Later | Status::Old(_) => None,
                Status::Idle(reason) => Some(What::Idle(reason)),
                Status::Void(reason) => Some(What::Void(reason)),
                Status::Gone { successor, why } => Some(What::Gone { successor, why }),
                Status::Alien(reason) => Some(What::Alien(reason)),
            };
            if let Some(told) = told
                && has_effect(&entry.value)
            {
                self.sight(&path, entry.key_span, || told);
            }
            if key.is_current() {
                self.value(key.kind, keys, &entry.value, &path);
            }
        }
    }

    /// Reports what a format of Kubernetes cannot be without.
    fn needed(&mut self, keys: &'static [Key], entries: &[Entry<'_>], path: &Path<'_>) {
        // Where nothing at all is written, nothing is asked for.
        let Some(first) = entries.first() else { return };
        for key in keys.iter().filter(|key| key.needed) {
            let is_there = entries
                .iter()
                .any(|entry| entry.key == key.name && !matches!(entry.value.value, Value::Null));
            if !is_there {
                self.reports
                    .error(
                        path.key(key.name),
                        first.key_span,
                        format!("`{}` is missing beside this", key.name),
                    )
                    .help("the API server does not start without it");
            }
        }
    }

    /// Compares a value with its form; `siblings` are the keys of the section that it stands in.
    fn value(&mut self, kind: Kind, siblings: &'static [Key], node: &Node<'_>, path: &Path<'_>) {
        match (kind, &node.value) {
            (_, Value::Null)
            | (Kind::Foreign, _)
            | (Kind::Text | Kind::Secret | Kind::TextOrTexts | Kind::IntegerOrText, Value::Scalar(_)) => {}
            (Kind::Flag, Value::Scalar(scalar)) if scalar::flag(scalar).is_some() => {}
            (Kind::Integer, Value::Scalar(scalar)) if scalar::integer(scalar).is_some() => {}
            (Kind::Number, Value::Scalar(scalar)) if scalar::number(scalar).is_some() => {}
            (Kind::Word(words), Value::Scalar(scalar)) => {
                if !scalar.text.is_empty() && !words.contains(&&*scalar.text) {
                    self.unknown_word(words, &scalar.text, node, path);
                }
            }
            (Kind::Texts | Kind::TextOrTexts, Value::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(Kind::Text, &[], item, &path.item(index));
                }
            }
            (Kind::TextMap, Value::Map(entries)) => {
                for entry in entries {
                    self.name_of_a_map(&[], siblings, entry, path);
                    self.value(Kind::Text, &[], &entry.value, &path.key(&entry.key));
                }
            }
            (Kind::Options(names), Value::Map(entries)) => {
                for entry in entries {
                    self.name_of_a_map(names, siblings, entry, path);
                    self.value(Kind::Text, &[], &entry.value, &path.key(&entry.key));
                }
            }
            (Kind::TextsMap, Value::Map(entries)) => {
                for entry in entries {
                    self.name_of_a_map(&[], siblings, entry, path);
                    self.value(Kind::Texts, &[], &entry.value, &path.key(&entry.key));
                }
            }
            (Kind::Section(keys), Value::Map(entries)) => self.section(keys, entries, path),
            (Kind::Sections(keys), Value::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let path = path.item(index);
                    if let Value::Map(entries) = &item.value {
                        self.section(keys, entries, &path);
                    } else {
                        self.value(Kind::Section(keys), &[], item, &path);
                    }
                }
            }
            (Kind::SectionMap(keys), Value::Map(entries)) => {
                for entry in entries {
                    self.value(Kind::Section(keys), &[], &entry.value, &path.key(&entry.key));
                }
            }
            (kind, _) => self.wrong_form(kind, node, path),
        }
    }

    /// A name in a map whose names are the user's: perhaps it was meant for the section around the map.
    fn name_of_a_map(
        &mut self,
        names: &'static [&'static str],
        siblings: &'static [Key],
        entry: &Entry<'_>,
        path: &Path<'_>,
    ) {
        let Path::Key(_, map) = path else { return };
        // Labels may be called anything; flags and options have no names like these.
        let is_own = !matches!(*map, "labels" | "node_selector") && entry.key.contains('_');
        let key = || entry.key.to_string();
        let path = path.key(&entry.key);
        if is_own && schema::find(siblings, &entry.key).is_some_and(Key::is_current) {
            self.sight(&path, entry.key_span, || What::TooDeep { key: key() });
        } else if !names.is_empty() && !names.contains(&&*entry.key) && !entry.key.starts_with("aci_") {
            if schema::find(siblings, &entry.key).is_some() {
                self.sight(&path, entry.key_span, || What::TooDeep { key: key() });
            } else {
                self.sight(&path, entry.key_span, || What::UnknownByName { names, key: key() });
            }
        }
    }

    fn unknown_word(&mut self, words: &'static [&'static str], text: &str, node: &Node<'_>, path: &Path<'_>) {
        let name = match path {
            Path::Key(_, key) => *key,
            Path::Top | Path::Item(..) => "value",
        };
        let draft = self.reports.error(path, node.span, format!("`{name}` cannot be `{}`", brief(text)));
        match nearest(text, words.iter().copied()) {
            Some(near) => draft.help(format!("did you mean `{near}`?")),
            None => draft.help(format!("write one of {}", words.join(", "))),
        };
    }

    fn wrong_form(&mut self, kind: Kind, node: &Node<'_>, path: &Path<'_>) {
        let is = scalar::form_of(&node.value);
        let name = match path {
            Path::Top => "the file".to_owned(),
            Path::Key(_, key) => format!("`{key}`"),
            Path::Item(Path::Key(_, key), _) => format!("each item of `{key}`"),
            Path::Item(..) => format!("`{path}`"),
        };
        let is_item = matches!(path, Path::Item(..));
        let must = must(kind, &node.value);
        self.reports.error(path, node.span, format!("{name} must be {must}, not {is}")).help(remedy(
            kind,
            &node.value,
            path,
            is_item,
        ));
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

/// What a value of this kind is, in words.
fn must(kind: Kind, value: &Value<'_>) -> &'static str {
    match kind {
        Kind::Text
        | Kind::Secret
        | Kind::Word(_)
        | Kind::TextOrTexts
        | Kind::IntegerOrText
        | Kind::Foreign => "a text",
        Kind::Flag => "true or false",
        Kind::Integer => "a whole number",
        Kind::Number => "a number",
        Kind::Texts => "a list",
        Kind::TextMap | Kind::Options(_) | Kind::TextsMap | Kind::Section(_) | Kind::SectionMap(_) => "a map",
        Kind::Sections(_) if matches!(value, Value::Map(_)) => "a list",
        Kind::Sections(_) => "a list of maps",
    }
}

/// How a value of the wrong form becomes one of the right form.
fn remedy(kind: Kind, value: &Value<'_>, path: &Path<'_>, is_item: bool) -> String {
    let parent = match path {
        Path::Key(Path::Key(_, parent), _) => *parent,
        _ => "",
    };
    let help = match (kind, value) {
        (Kind::Integer | Kind::Number | Kind::Flag, Value::Scalar(scalar))
            if !scalar.quoted && scalar.text.contains(" //") =>
        {
            "a comment begins with `#`"
        }
        (Kind::Flag, Value::Scalar(scalar)) if scalar.quoted && scalar::flag_of(&scalar.text).is_some() => {
            "remove the quotes"
        }
        (Kind::Flag, _) => "write `true` or `false`",
        (Kind::Integer, Value::Scalar(scalar))
            if scalar.quoted && scalar::integer_of(&scalar.text).is_some() =>
        {
            "remove the quotes"
        }
        (Kind::Number, Value::Scalar(scalar)) if scalar.quoted && scalar.text.parse::<f64>().is_ok() => {
            "remove the quotes"
        }
        (Kind::Integer | Kind::Number, Value::Scalar(scalar)) => {
            let digits: String = scalar.text.chars().take_while(char::is_ascii_digit).take(9).collect();
            let rest = &scalar.text[digits.len()..];
            let is_unit =
                !rest.is_empty() && rest.chars().all(|letter| letter.is_alphabetic() || letter == '%');
            if is_unit && !digits.is_empty() {
                return format!("write the number alone: `{digits}`");
            }
            if matches!(kind, Kind::Integer) {
                "write a whole number, such as `10`"
            } else {
                "write a number, such as `1.5`"
            }
        }
        (Kind::Integer | Kind::Number, _) => "write one number",
        (Kind::Text, Value::List(_)) if parent == "extra_args" => {
            "write one text, with commas between; a flag that is given several times belongs under `extra_args_array`"
        }
        (Kind::Text, Value::Map(_)) if parent == "extra_args" => {
            "write one text, as in `feature-gates: A=true,B=false`"
        }
        (
            Kind::Text
            | Kind::Secret
            | Kind::Word(_)
            | Kind::TextOrTexts
            | Kind::IntegerOrText
            | Kind::Foreign,
            Value::List(_),
        ) => "write one text, without brackets or a dash",
        (
            Kind::Text
            | Kind::Secret
            | Kind::Word(_)
            | Kind::TextOrTexts
            | Kind::IntegerOrText
            | Kind::Foreign,
            _,
        ) => "write one text behind the colon; quote one that begins with `{`, or has `: ` in it",
        (Kind::Texts, Value::Map(_)) if matches!(path, Path::Key(_, "extra_env" | "win_extra_env")) => {
            "write each as `- NAME=value`"
        }
        (Kind::Texts, Value::Map(_)) => "write each as `- value`",
        (Kind::Texts, _) => "begin each value with `- `, on its own line",
        (Kind::Sections(_), Value::Map(_)) => "begin each entry with `- ` before its first key",
        (
            Kind::TextMap | Kind::Options(_) | Kind::TextsMap | Kind::Section(_) | Kind::SectionMap(_),
            Value::List(items),
        ) => {
            if items.is_empty() {
                "write nothing behind the colon, or `{}`"
            } else {
                "write `name: value` without a dash before it"
            }
        }
        (Kind::Section(keys) | Kind::Sections(keys), _) => {
            let first = keys.iter().find(|key| key.needed).or(keys.first()).map_or("name", |key| key.name);
            return if is_item || matches!(kind, Kind::Sections(_)) {
                format!("begin each entry with `- ` and a key, such as `- {first}: …`")
            } else {
                format!("write its keys below it, indented deeper, such as `{first}: …`")
            };
        }
        (Kind::TextMap | Kind::Options(_) | Kind::TextsMap | Kind::SectionMap(_), _) => {
            "write `name: value` below it, indented deeper"
        }
    };
    help.to_owned()
}

fn tell(pattern: &str, sighting: Sighting, strictness: Strictness, reports: &mut Reports<'_>) {
    let Sighting { what, path, span, further, further_lines } = sighting;
    let unknown = |summary: String, reports: &mut Reports<'_>| match strictness {
        Strictness::Lenient => reports.warning(&path, span, summary).id(),
        Strictness::Strict => reports.error(&path, span, summary).id(),
    };
    let id = match what {
        What::Unknown { section, key, empty } => {
            let known = section.iter().filter(|key| key.is_current()).map(|key| key.name);
            let near = nearest(&key, known).or_else(|| other_name(&key, section));
            let section = section_of(pattern, &key);
            let id = unknown(format!("unknown key `{}` {}", brief(&key), place(section)), reports);
            let draft = reports.draft(id);
            if let Some(empty) = empty {
                let belongs = home(&schema::path_below(section, empty));
                draft.note("it is lost here").help(format!("indent it deeper: `{key}` belongs {belongs}"));
            } else {
                hint(&key, section, near, draft);
            }
            id
        }
        What::UnknownByName { names, key } => {
            let section = section_of(pattern, &key);
            let id = unknown(format!("unknown key `{}` {}", brief(&key), place(section)), reports);
            hint(&key, section, nearest(&key, names.iter().copied()), reports.draft(id));
            id
        }
        What::TooDeep { key } => {
            let section = section_of(pattern, &key);
            let outer = section.rsplit_once('.').map_or("", |(outer, _)| outer);
            let id = unknown(format!("`{}` is one level too deep {}", brief(&key), place(section)), reports);
            let help = format!("indent it less: it belongs {}", place(outer));
            reports.draft(id).note("it is lost here").help(help);
            id
        }
        What::Idle(reason) => reports
            .warning(&path, span, format!("`{pattern}` is read but has no effect yet"))
            .note(reason)
            .id(),
        What::Void(reason) => {
            reports.warning(&path, span, format!("`{pattern}` has no effect")).note(reason).id()
        }
        What::Gone { successor, why } => {
            let id = unknown(format!("`{pattern}` is no longer a key"), reports);
            let help = successor.map_or("remove it".to_owned(), |successor| format!("write `{successor}`"));
            reports.draft(id).note(why).help(help).id()
        }
        What::Alien(reason) => {
            let id = unknown(format!("`{pattern}` is no key of cluster.yml"), reports);
            let wraps = pattern == "rancher_kubernetes_engine_config";
            let help = if wraps { "remove the line, and indent what is under it less" } else { "remove it" };
            reports.draft(id).note(reason).help(help).id()
        }
    };
    if further > 0 {
        let lines: Vec<String> = further_lines.iter().map(usize::to_string).collect();
        let more = further - further_lines.len();
        let rest = if more > 0 { format!(" and in {more} more places") } else { String::new() };
        let noun = if lines.len() == 1 { "line" } else { "lines" };
        reports.draft(id).note(format!("also on {noun} {}{rest}", lines.join(", ")));
    }
}

/// The section of a key, by the patterns of their paths.
fn section_of<'p>(pattern: &'p str, key: &str) -> &'p str {
    pattern.strip_suffix(key).unwrap_or(pattern).trim_end_matches('.')
}

/// A section in words.
fn place(section: &str) -> String {
    match section {
        "" => "at the top level".to_owned(),
        "nodes[]" => "in a node".to_owned(),
        section => format!("in `{}`", section.trim_end_matches("[]")),
    }
}

/// The names that the programs have elsewhere, by the key that stands for each here.
const OTHER_NAMES: [(&str, &str); 8] = [
    ("kube-apiserver", "kube-api"),
    ("apiserver", "kube-api"),
    ("kube-controller-manager", "kube-controller"),
    ("controller-manager", "kube-controller"),
    ("kube-scheduler", "scheduler"),
    ("kube-proxy", "kubeproxy"),
    ("cni", "network"),
    ("version", "kubernetes_version"),
];

/// The key of this section that stands for what others call so.
fn other_name(key: &str, section: &'static [Key]) -> Option<&'static str> {
    let plain = key.to_lowercase().replace('_', "-");
    let (_, name) = OTHER_NAMES.iter().find(|(other, _)| *other == plain)?;
    schema::find(section, name).map(|key| key.name)
}

/// What was meant by an unknown key, as far as it can be told.
fn hint(key: &str, section: &str, near: Option<&str>, draft: &mut crate::report::Draft) {
    let elsewhere = schema::sections_with(key);
    if let Some(near) = near {
        draft.help(format!("did you mean `{near}`?"));
        if !elsewhere.is_empty() {
            let homes: Vec<String> =
                elsewhere.iter().take(MAX_LINES_NAMED).map(|section| name(section)).collect();
            draft.note(format!("`{key}` is a key of {}", homes.join(" and ")));
        }
        return;
    }
    let parent = |path: &str| path.rsplit_once('.').map_or(String::new(), |(outer, _)| outer.to_owned());
    let deeper = elsewhere.iter().find(|home| !home.is_empty() && parent(home) == section);
    let shallower = elsewhere.iter().rfind(|home| {
        home.is_empty() || section.strip_prefix(home.as_str()).is_some_and(|rest| rest.starts_with('.'))
    });
    if let Some(nearest) = deeper {
        draft.note("it is lost here").help(format!("indent it deeper: `{key}` belongs {}", home(nearest)));
    } else if let Some(nearest) = shallower.filter(|_| !section.is_empty()) {
        draft.note("it is lost here").help(format!("indent it less: `{key}` belongs {}", home(nearest)));
    } else if !elsewhere.is_empty() {
        let homes: Vec<String> =
            elsewhere.iter().take(MAX_LINES_NAMED).map(|section| home(section)).collect();
        draft.note("it is lost here").help(format!("`{key}` belongs {}", homes.join(" or ")));
    } else if section.starts_with("services.") && key.contains('-') {
        draft.note("it is ignored").help("if it is a flag, write it under `extra_args`");
    } else {
        draft.note("it is ignored").help("remove it");
    }
}

/// A section by name.
fn name(section: &str) -> String {
    match section.strip_suffix("[]") {
        _ if section.is_empty() => "the top level".to_owned(),
        Some(list) => format!("an entry of `{list}`"),
        None => format!("`{section}`"),
    }
}

/// Where a key belongs, in words.
fn home(section: &str) -> String {
    if section.is_empty() { "at the top level".to_owned() } else { format!("in {}", name(section)) }
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
