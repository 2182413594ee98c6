//! The format as a page for people, from the same table that reading goes by.

use std::fmt::Write as _;

use crate::json_schema::sentence;
use crate::schema::{CLUSTER, Key, Kind, Status, children, path_below};

/// The page `docs/reference/cluster-yml.md`: every key, its form, its default and what it does.
pub fn reference() -> String {
    let mut page = "\
# cluster.yml

Every key of the format: all of RKE 1's, and under `windlass` a few that are not. Only `nodes` is needed. This page is
generated from the table that reading goes by; `windlass schema` prints the same as a JSON Schema, for editors.

A **text** takes any scalar and keeps it as it is written: `1.20` stays `1.20`. A **flag** is `true` or `false`, also
written `yes`, `no`, `on` or `off`, never quoted. A key without a value, and an empty text, mean that the file is
silent. What else is worth knowing of each key, and what differs from RKE 1, is in
[the guide](../guides/from-rke.md).
"
    .to_owned();
    let mut left: Vec<(String, &'static [Key])> = vec![(String::new(), CLUSTER)];
    while let Some((path, keys)) = left.pop() {
        section(&path, keys, &mut page);
        let below = keys.iter().filter(|key| key.is_current() && !children(key.kind).is_empty());
        let below: Vec<_> = below.map(|key| (path_below(&path, key), children(key.kind))).collect();
        left.extend(below.into_iter().rev());
    }
    page
}

/// A cluster.yml without nodes in which every other key stands as a comment, with its default and meaning.
pub fn skeleton() -> String {
    let mut file = "\
# A cluster.yml in the format of RKE 1, with every key as a comment. Only `nodes` is needed.
"
    .to_owned();
    fill(CLUSTER, 0, &mut file);
    file
}

fn fill(keys: &[Key], depth: usize, file: &mut String) {
    for key in keys.iter().filter(|key| key.is_current() && !matches!(key.status, Status::Void(_))) {
        let indent = "  ".repeat(depth);
        if depth == 0 {
            file.push('\n');
        }
        let default =
            if key.default.is_empty() { String::new() } else { format!(" Default: {}.", key.default) };
        // The nodes are the one thing that a file cannot be without.
        let (mark, value) = if key.name == "nodes" { ("", " []") } else { ("#", "") };
        let _ =
            writeln!(file, "{indent}# {}{default}\n{mark}{indent}{}:{value}", sentence(key.about), key.name);
        let (below, depth) = match key.kind {
            Kind::Section(keys) => (keys, depth + 1),
            Kind::Sections(keys) => (keys, depth + 2),
            Kind::SectionMap(keys) => {
                let _ = writeln!(file, "#{indent}  name:");
                (keys, depth + 2)
            }
            _ => (&[][..], depth),
        };
        fill(below, depth, file);
    }
}

fn section(path: &str, keys: &[Key], page: &mut String) {
    let head = if path.is_empty() { "The top level".to_owned() } else { format!("`{path}`") };
    let mut line = |text: &str| {
        page.push_str(text);
        page.push('\n');
    };
    line(&format!("\n## {head}\n"));
    line("| key | form | default | |");
    line("|---|---|---|---|");
    for key in keys.iter().filter(|key| key.is_current()) {
        line(&row(key));
    }
    let former: Vec<&Key> = keys.iter().filter(|key| !key.is_current()).collect();
    if !former.is_empty() {
        line("\nKeys that are found in files, and what became of them:\n");
        for key in former {
            line(&format!("- `{}`: {}", key.name, key.about));
        }
    }
}

fn row(key: &Key) -> String {
    let Key { name, kind, status, about, default, needed } = key;
    let default = match (default.is_empty(), needed) {
        (_, true) => "**needed**".to_owned(),
        (true, false) => String::new(),
        (false, false) => (*default).to_owned(),
    };
    let mut about = sentence(about);
    match status {
        Status::Live | Status::Gone { .. } | Status::Alien(_) => {}
        Status::Later => about.push_str(" *Not yet deployed.*"),
        Status::Idle(reason) => {
            let _ = write!(about, " *Without effect yet: {reason}.*");
        }
        Status::Void(reason) => {
            let _ = write!(about, " *Without effect: {reason}.*");
        }
        Status::Old(successor) => {
            let _ = write!(about, " *Old form of {successor}.*");
        }
    }
    format!("| `{name}` | {} | {} | {} |", form(*kind), cell(&default), cell(&about))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn form(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Secret => "secret text".to_owned(),
        Kind::Word(words) | Kind::WordOr(words, _) => {
            words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
        Kind::Flag => "flag".to_owned(),
        Kind::Integer => "whole number".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::IntegerOrText => "whole number or text".to_owned(),
        Kind::Texts => "list of texts".to_owned(),
        Kind::TextOrTexts => "text or list of texts".to_owned(),
        Kind::TextMap | Kind::Options(_) => "map of texts".to_owned(),
        Kind::TextsMap => "map of lists of texts".to_owned(),
        Kind::Section(_) => "map".to_owned(),
        Kind::Sections(_) => "list of maps".to_owned(),
        Kind::SectionMap(_) => "map of maps, by names of your choice".to_owned(),
        Kind::Foreign => "as Kubernetes or the plugin has it".to_owned(),
    }
}
