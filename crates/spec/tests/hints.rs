//! What is said of every key that is misspelt, in each of the ways that people misspell: frozen where it is not the key
//! that was meant.
//!
//! `UPDATE=1 cargo test -p windlass-spec --test hints` writes it again. A hint that leads astray is worse than none: each
//! line of the frozen file is one to read.
#![expect(clippy::disallowed_methods, reason = "the tests read files; the crate does not")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use windlass_spec::{json_schema, read};

/// A section by its path, with what stands before and after its keys in a file.
struct Section {
    path: String,
    before: String,
    after: String,
    keys: Vec<String>,
}

fn sections(schema: &Value, path: &str, before: &str, after: &str, found: &mut Vec<Section>) {
    let mut inner = |schema: &Value, path: &str, open: &str, close: &str| {
        sections(schema, path, &format!("{before}{open}"), &format!("{close}{after}"), found);
    };
    if let Some(items) = schema.get("items") {
        return inner(items, &format!("{path}[]"), "[", "]");
    }
    if let Some(any) = schema.get("additionalProperties").filter(|any| any.get("properties").is_some()) {
        return inner(any, &format!("{path}.<name>"), "{name: ", "}");
    }
    let Some(keys) = schema.get("properties").and_then(Value::as_object) else { return };
    for (key, below) in keys {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        inner(below, &path, &format!("{{{key}: "), "}");
    }
    let (before, after) = (before.to_owned(), after.to_owned());
    found.push(Section { path: path.to_owned(), before, after, keys: keys.keys().cloned().collect() });
}

/// The ways to misspell a key, each by its name.
fn misspellings(key: &str) -> Vec<(&'static str, String)> {
    let letters: Vec<char> = key.chars().collect();
    let mut found = Vec::new();
    if letters.len() > 4 {
        found.push(("without its last letter", letters[..letters.len() - 1].iter().collect()));
        let mut swapped = letters.clone();
        swapped.swap(letters.len() / 2, letters.len() / 2 - 1);
        found.push(("two letters swapped", swapped.into_iter().collect()));
    }
    found.push((
        "with other strokes",
        key.chars()
            .map(|letter| match letter {
                '_' => '-',
                '-' => '_',
                letter => letter,
            })
            .collect(),
    ));
    let mut camel = String::new();
    for part in key.split(['_', '-']) {
        let mut rest = part.chars();
        match rest.next() {
            Some(first) if !camel.is_empty() => camel.extend(first.to_uppercase()),
            first => camel.extend(first),
        }
        camel.extend(rest);
    }
    found.push(("in one word", camel));
    found.push(("in capital letters", key.to_uppercase()));
    found.push(match key.strip_suffix('s') {
        Some(singular) => ("as one", singular.to_owned()),
        None => ("as several", format!("{key}s")),
    });
    if let Some((start, _)) = key.rsplit_once(['_', '-']) {
        found.push(("without its last word", start.to_owned()));
    }
    found.push(("as an image", format!("{key}_image")));
    found
}

#[test]
fn a_misspelt_key_is_known_again_or_nothing_false_is_said() {
    let mut all = Vec::new();
    sections(&json_schema(), "", "", "", &mut all);
    assert!(all.len() > 50, "{}", all.len());
    let (mut right, mut text) = (0, String::new());
    for Section { path, before, after, keys } in &all {
        let mut by_way: BTreeMap<&str, Vec<(String, &str)>> = BTreeMap::new();
        for key in keys {
            for (way, misspelt) in misspellings(key) {
                if !keys.contains(&misspelt) && !misspelt.is_empty() {
                    by_way.entry(way).or_default().push((misspelt, key));
                }
            }
        }
        for (way, words) in by_way {
            let entries: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\": 1")).collect();
            let document = format!("{before}{{{}}}{after}\n", entries.join(", "));
            let reading = read(document.as_bytes());
            for (word, key) in words {
                let said = reading.diagnostics.iter().find(|found| {
                    found.summary.contains(&format!("`{word}`")) && found.summary.starts_with("unknown key")
                });
                let help = said.and_then(|said| said.help.as_deref()).unwrap_or("nothing");
                if help == format!("did you mean `{key}`?") {
                    right += 1;
                } else if help != "remove it" && help != "nothing" {
                    writeln!(text, "{path}: `{word}` ({key} {way}): {help}").unwrap();
                }
            }
        }
    }
    let text = format!("{right} are known again; of the others is said, where not `remove it`:\n\n{text}");
    let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hints.txt");
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(&frozen, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&frozen).unwrap_or_default());
}
