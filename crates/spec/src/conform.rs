//! Compares the tree with the schema: unknown keys, keys without effect, values of the wrong form.

use std::collections::BTreeMap;

use crate::meant::{Looks, Unknown, hint, home};
use crate::nearest::nearest;
use crate::path::Path;
use crate::report::{Draft, Reports, also_on};
use crate::scalar;
use crate::schema::{self, Key, Kind, Status};
use crate::strictness::Strictness;
use crate::template::{NO_VARIABLES, is_template};
use crate::view::{View, text_of};
use crate::yaml::{Entry, Node, Span, Value};

/// Reports every key that the schema does not know, that has no effect, or whose value has the wrong form.
///
/// *Guarantees.* If it reports no error, every value that the schema describes has the form it says, or is
/// null. A key that repeats from node to node is reported once.
pub(crate) fn conform(root: &[Entry<'_>], strictness: Strictness, reports: &mut Reports<'_>) {
    let plugin = View::new(root, Span::default(), &Path::Top)
        .section("network", &Path::Key(&Path::Top, "network"))
        .string("plugin");
    let mut walk = Walk { reports, sightings: BTreeMap::new(), read: Readers::Some };
    walk.section(schema::CLUSTER, root, &Path::Top);
    let Walk { reports, sightings, read: _ } = walk;
    for sighting in sightings.into_values() {
        tell(sighting, plugin.as_deref(), strictness, reports);
    }
}

/// How many different keys are reported; looking for what each was meant to be takes time.
const MAX_SIGHTINGS: usize = 200;

/// People hang what they repeat by alias under top-level keys that begin so; they mean no setting by it.
pub(crate) const HOLDERS: [&str; 2] = [".", "x-"];

/// How many further places of a repeated key are named.
const MAX_LINES_NAMED: usize = 3;

struct Walk<'w, 't> {
    reports: &'w mut Reports<'t>,
    /// What is reported once, by its cause: for all items of a list the pattern of their path, for keys that have no effect
    /// the reason of it.
    sightings: BTreeMap<String, Sighting>,
    /// Whether somebody reads what is being compared.
    read: Readers,
}

/// Whether somebody reads a part of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    Some,
    /// It is switched off by `enabled`, so that RKE 1 looked at no value in it.
    None,
}

/// Sections that nobody reads as long as they do not say `enabled: true`.
const SWITCHED: [&[Key]; 3] = [schema::AUDIT_LOG, schema::EVENT_RATE_LIMIT, schema::SECRETS_ENCRYPTION];

struct Sighting {
    what: What,
    pattern: String,
    path: String,
    span: Span,
    /// The line on which it was seen last.
    last_line: usize,
    further: usize,
    further_lines: Vec<usize>,
    /// Other keys of the same cause.
    others: Vec<String>,
}

enum What {
    Unknown {
        section: &'static [Key],
        key: String,
        /// The empty section right before it, of which it is a key.
        empty: Option<&'static Key>,
        /// The keys beside it.
        present: Vec<String>,
        value: Looks,
    },
    /// In a map whose keys are the user's, but which are not these.
    UnknownByName {
        names: &'static [&'static str],
        key: String,
    },
    /// A text in which something else should have filled in a value.
    Variable,
    /// A text between quotes that are none to YAML.
    Quotes,
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
        let outer = self.read;
        let is_on = |entry: &Entry<'_>| {
            entry.key == "enabled"
                && matches!(&entry.value.value, Value::Scalar(scalar) if scalar::flag(scalar) == Some(true))
        };
        if SWITCHED.iter().any(|switched| std::ptr::eq(*switched, keys)) && !entries.iter().any(is_on) {
            self.read = Readers::None;
        }
        self.entries(keys, entries, path);
        self.read = outer;
    }

    /// An error, or a warning where nobody reads it.
    fn wrong(&mut self, path: &Path<'_>, span: Span, summary: String) -> &mut Draft {
        match self.read {
            Readers::Some => self.reports.error(path, span, summary),
            Readers::None => self.reports.warning(path, span, summary),
        }
    }

    fn entries(&mut self, keys: &'static [Key], entries: &[Entry<'_>], path: &Path<'_>) {
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
                // So many are shown to know of; a map of thousands is no section of this format.
                let present =
                    || entries.iter().take(MAX_SIGHTINGS).map(|entry| entry.key.to_string()).collect();
                let what = || What::Unknown {
                    section: keys,
                    key: entry.key.to_string(),
                    empty,
                    present: present(),
                    value: Looks::of(text_of(&entry.value)),
                };
                self.sight(&path, entry.key_span, None, what);
                continue;
            };
            empty = Some(key).filter(|_| matches!(entry.value.value, Value::Null));
            let reported = match key.status {
                Status::Live | Status::Later | Status::Old(_) => None,
                Status::Idle(reason) => Some((reason, What::Idle(reason))),
                Status::Void(reason) => Some((reason, What::Void(reason))),
                Status::Gone { successor, why } => Some((why, What::Gone { successor, why })),
                Status::Alien(reason) => Some((reason, What::Alien(reason))),
            };
            if let Some((reason, reported)) = reported
                && has_effect(&entry.value)
            {
                self.sight(&path, entry.key_span, Some(reason), || reported);
            }
            if key.is_current() {
                let outer = self.read;
                // RKE 1 went on where Kubernetes refused these objects; `up` says what Kubernetes says.
                let is_of_kubernetes = |format: &&[Key]| std::ptr::eq(*format, schema::children(key.kind));
                if matches!(path.root(), "ingress" | "monitoring")
                    && schema::OF_KUBERNETES.iter().any(is_of_kubernetes)
                {
                    self.read = Readers::None;
                }
                self.value(key.kind, keys, &entry.value, &path);
                self.read = outer;
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
                let summary = format!("`{}` is missing beside this", key.name);
                self.wrong(&path.key(key.name), first.key_span, summary)
                    .help("the API server does not start without it");
            }
        }
    }

    /// Compares a value with its form; `siblings` are the keys of the section that it stands in.
    fn value(&mut self, kind: Kind, siblings: &'static [Key], node: &Node<'_>, path: &Path<'_>) {
        if let (Kind::Text | Kind::Secret | Kind::TextOrTexts, Value::Scalar(scalar)) = (kind, &node.value) {
            self.text(&scalar.text, node.span, path);
        }
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
            (Kind::WordOr(words, otherwise), Value::Scalar(scalar)) => {
                // What any other word means there is said with what comes of it.
                let is_told = path.pattern() == "authorization.mode";
                if !scalar.text.is_empty() && !words.contains(&&*scalar.text) && !is_told {
                    self.other_word(words, otherwise, &scalar.text, node, path);
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

    /// Says of a text that it is a template, or stands between quotes of print.
    fn text(&mut self, text: &str, span: Span, path: &Path<'_>) {
        if is_template(text) && !is_looked_at(path) {
            self.sight(path, span, Some("variable"), || What::Variable);
        }
        let is_print = |letter: char| matches!(letter, '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}');
        if !text.is_ascii()
            && text.starts_with(is_print)
            && text.ends_with(is_print)
            && path.root() != "addons"
        {
            self.sight(path, span, Some("quotes"), || What::Quotes);
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
        let is_flag = *map == "extra_args" && FLAGS_TOO.contains(&&*entry.key);
        if is_own && !is_flag && schema::find(siblings, &entry.key).is_some_and(Key::is_current) {
            self.sight(&path, entry.key_span, None, || What::TooDeep { key: key() });
        } else if !names.is_empty() && !names.contains(&&*entry.key) && !entry.key.starts_with("aci_") {
            if schema::find(siblings, &entry.key).is_some() {
                self.sight(&path, entry.key_span, None, || What::TooDeep { key: key() });
            } else {
                self.sight(&path, entry.key_span, None, || What::UnknownByName { names, key: key() });
            }
        }
    }

    fn unknown_word(&mut self, words: &'static [&'static str], text: &str, node: &Node<'_>, path: &Path<'_>) {
        let name = match path {
            Path::Key(_, key) => *key,
            Path::Top | Path::Item(..) => "value",
        };
        let draft = self.wrong(path, node.span, format!("`{name}` cannot be `{}`", brief(text)));
        match nearest(text, words.iter().copied()) {
            Some(near) => draft.help(format!("did you mean `{near}`?")),
            None => draft.help(format!("write one of {}", words.join(", "))),
        };
    }

    /// A word that RKE 1 took for another without saying so.
    fn other_word(
        &mut self,
        words: &'static [&'static str],
        otherwise: &str,
        text: &str,
        node: &Node<'_>,
        path: &Path<'_>,
    ) {
        let section = match path {
            Path::Key(outer, _) => outer.to_string(),
            Path::Top | Path::Item(..) => String::new(),
        };
        let summary = format!("`{}` is taken for `{otherwise}`, as in RKE 1", brief(text));
        let near = nearest(text, words.iter().copied()).filter(|near| *near != otherwise);
        let draft = self.reports.warning(path, node.span, summary);
        match near {
            Some(near) => draft.help(format!("did you mean `{near}`?")),
            None => draft.help(format!("write one of {} in `{section}`", words.join(", "))),
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
        let must = must(kind, &node.value);
        // Of a block the line with its sign is meant, not the first below it.
        let is_block = matches!(&node.value, Value::Scalar(scalar) if scalar.block);
        let span = if is_block { self.reports.line_before(node.span) } else { node.span };
        self.reports.error(path, span, format!("{name} must be {must}, not {is}")).help(remedy(
            kind,
            &node.value,
            path,
        ));
    }

    /// Keeps what is seen at a place; of a cause that is not this key alone, it is reported once.
    fn sight(
        &mut self,
        path: &Path<'_>,
        span: Span,
        cause: Option<&'static str>,
        what: impl FnOnce() -> What,
    ) {
        let line = self.reports.line_of(span);
        let pattern = path.pattern();
        let cause = cause.map_or_else(|| pattern.clone(), |cause| format!("\0{cause}"));
        if self.sightings.len() >= MAX_SIGHTINGS && !self.sightings.contains_key(&cause) {
            return;
        }
        self.sightings
            .entry(cause)
            .and_modify(|seen| {
                let is_same = seen.pattern == pattern || matches!(seen.what, What::Variable | What::Quotes);
                if is_same {
                    // Of several on one line one says enough.
                    if seen.last_line != line {
                        seen.further += 1;
                        if seen.further_lines.len() < MAX_LINES_NAMED {
                            seen.further_lines.push(line);
                        }
                    }
                    seen.last_line = line;
                } else if seen.others.len() < MAX_SIGHTINGS
                    && !seen.others.iter().any(|other| other.starts_with(&format!("`{pattern}`")))
                {
                    seen.others.push(format!("`{pattern}` on line {line}"));
                }
            })
            .or_insert_with(|| Sighting {
                what: what(),
                pattern,
                path: path.to_string(),
                span,
                last_line: line,
                further: 0,
                further_lines: Vec::new(),
                others: Vec::new(),
            });
    }
}

/// Keys that are flags of the same meaning, too: the programs of Kubernetes take `_` for `-`.
const FLAGS_TOO: [&str; 5] =
    ["cluster_cidr", "cluster_domain", "fail_swap_on", "service_cluster_ip_range", "service_node_port_range"];

/// Whether a text is looked at where it is read, or may have such signs in it for others.
fn is_looked_at(path: &Path<'_>) -> bool {
    const LOOKED_AT: [&str; 10] = [
        "ssh_key",
        "address",
        "internal_address",
        "hostname_override",
        "port",
        "sans",
        "cluster_domain",
        "cluster_dns_server",
        "kubernetes_version",
        "labels",
    ];
    let key = match path {
        Path::Item(Path::Key(_, key), _) | Path::Key(_, key) => key,
        _ => "",
    };
    let outer = match path {
        Path::Key(Path::Key(_, outer), _) => outer,
        _ => "",
    };
    let is_of_others = matches!(path.root(), "addons" | "ingress" | "dns")
        || matches!(key, "customCloudProvider" | "config_file" | "cloud_config");
    is_of_others || LOOKED_AT.contains(&key) || LOOKED_AT.contains(&outer)
}

/// What a value of this kind is, in words.
fn must(kind: Kind, value: &Value<'_>) -> &'static str {
    match kind {
        Kind::Text
        | Kind::Secret
        | Kind::Word(_)
        | Kind::WordOr(..)
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

fn is_item(path: &Path<'_>) -> bool {
    matches!(path, Path::Item(..))
}

/// How a sign or a blank that is missing, or is one too many, makes another form of a value.
fn remedy_of_signs(kind: Kind, value: &Value<'_>, path: &Path<'_>) -> Option<String> {
    Some(match (kind, value) {
        (_, Value::Scalar(scalar)) if scalar.block && wants_a_map(kind) => {
            "take the sign after the colon away, so that the lines below are keys".to_owned()
        }
        (_, Value::Scalar(scalar)) if wants_a_map(kind) && lacks_blank(&scalar.text).is_some() => {
            format!("put a blank after the colon: `{}`", lacks_blank(&scalar.text).unwrap_or_default())
        }
        (Kind::Texts | Kind::Sections(_), Value::Scalar(scalar)) if scalar.text.starts_with('-') => {
            "put a blank after each `-`".to_owned()
        }
        (Kind::Section(_), Value::Scalar(_)) if is_item(path) && path.is_in("taints") => {
            "write it like `{key: dedicated, value: gpu, effect: NoSchedule}`".to_owned()
        }
        (Kind::Text, Value::Map(entries)) if is_item(path) && is_env(path) && entries.len() == 1 => {
            let value = text_of(&entries[0].value).unwrap_or_default();
            format!("write `- {}={}`", brief(&entries[0].key), brief(value))
        }
        (Kind::Sections(keys), Value::Map(entries))
            if !entries.is_empty()
                && entries.iter().all(|entry| matches!(entry.value.value, Value::Map(_))) =>
        {
            let first = keys.iter().find(|key| key.needed).or(keys.first()).map_or("name", |key| key.name);
            let name = if schema::find(keys, "hostname_override").is_some() {
                "; a node's name goes under `hostname_override`"
            } else {
                ""
            };
            format!("write a list in the place of names: `- {first}: …` for each{name}")
        }
        _ => return None,
    })
}

/// How a value of the wrong form becomes one of the right form.
fn remedy(kind: Kind, value: &Value<'_>, path: &Path<'_>) -> String {
    let parent = match path {
        Path::Key(Path::Key(_, parent), _) => *parent,
        _ => "",
    };
    if let Some(help) = remedy_of_signs(kind, value, path) {
        return help;
    }
    match kind {
        Kind::Flag | Kind::Integer | Kind::Number => remedy_of_numbers(kind, value, path),
        _ => remedy_of_structure(kind, value, path, parent),
    }
}

/// How a value becomes a number or a switch.
fn remedy_of_numbers(kind: Kind, value: &Value<'_>, path: &Path<'_>) -> String {
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
        (Kind::Integer | Kind::Number, Value::Scalar(scalar))
            if counted(path).is_some() && span_of_time(&scalar.text).is_some() =>
        {
            return counted_help(path, &scalar.text);
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
        _ => "write one number",
    };
    help.to_owned()
}

/// What a number counts for which people write a time.
#[derive(Clone, Copy)]
enum Counted {
    /// So many seconds are one.
    Time(&'static str, u64),
    Snapshots,
}

fn counted(path: &Path<'_>) -> Option<Counted> {
    match path {
        Path::Key(_, "interval_hours") => Some(Counted::Time("hours", 3_600)),
        Path::Key(_, "timeout" | "grace_period" | "addon_job_timeout") => Some(Counted::Time("seconds", 1)),
        Path::Key(Path::Key(_, "backup_config"), "retention") => Some(Counted::Snapshots),
        _ => None,
    }
}

/// The seconds of a number with one unit of time.
fn span_of_time(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn counted_help(path: &Path<'_>, text: &str) -> String {
    match (counted(path), span_of_time(text)) {
        (Some(Counted::Time(unit, length)), Some(seconds)) if seconds.is_multiple_of(length) => {
            format!("it counts {unit}: write `{}`", seconds / length)
        }
        (Some(Counted::Time(unit, _)), _) => format!("it counts whole {unit}: write `1` or more"),
        _ => "it counts snapshots: write how many are kept, such as `6`".to_owned(),
    }
}

/// How a value becomes a text, a list or a section.
fn remedy_of_structure(kind: Kind, value: &Value<'_>, path: &Path<'_>, parent: &str) -> String {
    let help = match (kind, value) {
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
            | Kind::WordOr(..)
            | Kind::TextOrTexts
            | Kind::IntegerOrText
            | Kind::Foreign,
            Value::List(_),
        ) => "write one text, without brackets or a dash",
        (
            Kind::Text
            | Kind::Secret
            | Kind::Word(_)
            | Kind::WordOr(..)
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
            return if is_item(path) || matches!(kind, Kind::Sections(_)) {
                format!("begin each entry with `- ` and a key, such as `- {first}: …`")
            } else {
                format!("write its keys below it, indented deeper, such as `{first}: …`")
            };
        }
        _ => "write `name: value` below it, indented deeper",
    };
    help.to_owned()
}

/// Whether a value of this kind is written as keys below it.
fn wants_a_map(kind: Kind) -> bool {
    matches!(kind, Kind::TextMap | Kind::Options(_) | Kind::TextsMap | Kind::Section(_) | Kind::SectionMap(_))
}

/// A text such as `v:2` with the blank that would make a key and its value of it.
fn lacks_blank(text: &str) -> Option<String> {
    let (key, value) = text.split_once(':')?;
    let of_key = |letter: char| letter.is_ascii_alphanumeric() || "_.-/".contains(letter);
    let is_key = !key.is_empty() && key.chars().all(of_key) && !value.is_empty() && !value.starts_with("//");
    (is_key && !value.contains(char::is_whitespace)).then(|| brief(&format!("{key}: {value}")))
}

fn is_env(path: &Path<'_>) -> bool {
    matches!(path, Path::Item(Path::Key(_, "extra_env" | "win_extra_env"), _))
}

fn tell(sighting: Sighting, plugin: Option<&str>, strictness: Strictness, reports: &mut Reports<'_>) {
    let Sighting { what, pattern, path, span, last_line: _, further, further_lines, others } = sighting;
    let unknown = |summary: String, reports: &mut Reports<'_>| match strictness {
        Strictness::Lenient => reports.warning(&path, span, summary).id(),
        Strictness::Strict => reports.error(&path, span, summary).id(),
    };
    let id = match what {
        What::Unknown { section, key, empty, present, value } => {
            let known: Vec<&str> =
                section.iter().filter(|key| key.is_current()).map(|key| key.name).collect();
            let section = section_of(&pattern, &key);
            let id = unknown(format!("unknown key `{}` {}", brief(&key), place(section)), reports);
            let draft = reports.draft(id);
            if let Some(empty) = empty {
                let belongs = home(&schema::path_below(section, empty));
                draft.note("it is lost here").help(format!("indent it deeper: `{key}` belongs {belongs}"));
            } else {
                hint(&Unknown { key: &key, section, known, present: &present, plugin, value }, draft);
            }
            id
        }
        What::UnknownByName { names, key } => {
            let section = section_of(&pattern, &key);
            let id = unknown(format!("unknown key `{}` {}", brief(&key), place(section)), reports);
            let known = names.to_vec();
            let value = Looks::Otherwise;
            hint(&Unknown { key: &key, section, known, present: &[], plugin, value }, reports.draft(id));
            id
        }
        What::TooDeep { key } => {
            let section = section_of(&pattern, &key);
            let outer = section.rsplit_once('.').map_or("", |(outer, _)| outer);
            let id = unknown(format!("`{}` is one level too deep {}", brief(&key), place(section)), reports);
            let help = format!("indent it less: it belongs {}", place(outer));
            reports.draft(id).note("it is lost here").help(help);
            id
        }
        What::Variable => {
            reports.warning(&path, span, "a variable that nobody fills in").help(NO_VARIABLES).id()
        }
        What::Quotes => reports
            .warning(&path, span, "these quotes are a part of the text")
            .note("they are quotes of print: text copied from a web page often has them")
            .help("write `\"` or `'`, or no quotes")
            .id(),
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
        let note = also_on(&further_lines, further - further_lines.len());
        reports.draft(id).note(note);
    }
    if !others.is_empty() {
        reports.draft(id).note(format!("the same is so of {}", others.join(", ")));
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
