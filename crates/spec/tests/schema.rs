//! The JSON Schema and the reading agree: what one takes, the other takes.
#![expect(clippy::disallowed_methods, reason = "the tests read files; the crate does not")]
#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use windlass_spec::{Strictness, json_schema, read_with};

/// What a document violates, by the words that the schema uses; it uses no others.
fn violations(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    for word in schema.as_object().into_iter().flat_map(|schema| schema.keys()) {
        let known = [
            "$schema",
            "title",
            "description",
            "deprecated",
            "type",
            "enum",
            "properties",
            "patternProperties",
            "additionalProperties",
            "required",
            "items",
        ];
        assert!(known.contains(&word.as_str()), "{word}");
    }
    if let Some(types) = schema.get("type") {
        let is = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let fits = |name: &Value| name == is || (name == "number" && is == "integer");
        if !types.as_array().unwrap().iter().any(fits) {
            found.push(format!("{path}: {is}"));
            return;
        }
    }
    if let Some(words) = schema.get("enum")
        && !words.as_array().unwrap().contains(value)
    {
        found.push(format!("{path}: no such word"));
    }
    if let (Some(items), Value::Array(values)) = (schema.get("items"), value) {
        for value in values {
            violations(items, value, path, found);
        }
    }
    let Value::Object(entries) = value else { return };
    for (key, value) in entries {
        let path = format!("{path}.{key}");
        let known = schema.get("properties").and_then(|properties| properties.get(key));
        let is_holder =
            schema.get("patternProperties").is_some() && (key.starts_with("x-") || key.starts_with('.'));
        match known.or(schema.get("additionalProperties")) {
            _ if is_holder => {}
            Some(Value::Bool(false)) => found.push(format!("{path}: unknown")),
            Some(schema) => violations(schema, value, &path, found),
            None => {}
        }
    }
    for needed in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if !entries.contains_key(needed.as_str().unwrap()) {
            found.push(format!("{path}: without {needed}"));
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    files
}

/// The document as a reader of YAML 1.2 has it, as editors are; none where it has no such form.
fn document(text: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(text).ok()?;
    let mut value: serde_yaml::Value = serde_yaml::from_str(text.trim_start_matches('\u{feff}')).ok()?;
    value.apply_merge().ok()?;
    serde_json::to_value(value).ok()
}

#[test]
fn what_reading_takes_without_a_word_the_schema_takes_too() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let corpus = tests.join("../../../../shared/corpus");
    let example = tests.join("../../../cluster.example.yml");
    let schema = json_schema();
    let mut compared = 0;
    for file in files(&tests.join("good")).into_iter().chain(files(&corpus)).chain([example]) {
        let text = fs::read(&file).unwrap();
        let reading = read_with(&text, Strictness::Strict);
        let (Some(_), Some(document)) = (reading.spec, document(&text)) else { continue };
        if !reading.diagnostics.is_empty() {
            // What is taken with a warning, an editor may mark.
            continue;
        }
        if file.ends_with("as-people-write.yml") {
            // Its numbers are those of YAML 1.1, which to an editor are texts.
            continue;
        }
        let mut found = Vec::new();
        violations(&schema, &document, "", &mut found);
        assert!(found.is_empty(), "{}: {found:#?}", file.display());
        compared += 1;
    }
    assert!(compared > 3, "{compared}");
}

#[test]
fn of_the_bad_files_the_schema_refuses_those_whose_forms_are_wrong() {
    let schema = json_schema();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let mut missed = Vec::new();
    let mut compared = 0;
    for file in files(&folder) {
        let text = fs::read(&file).unwrap();
        let Some(document) = document(&text) else { continue };
        let is_about_form = |summary: &str| {
            [
                " must be a text",
                " must be a list",
                " must be a map",
                " must be a whole",
                " must be true",
                " cannot be `",
                "unknown key",
            ]
            .iter()
            .any(|words| summary.contains(words))
        };
        let reading = read_with(&text, Strictness::Strict);
        if !reading.diagnostics.iter().any(|found| is_about_form(&found.summary)) {
            continue;
        }
        compared += 1;
        let mut found = Vec::new();
        violations(&schema, &document, "", &mut found);
        if found.is_empty() {
            missed.push(file.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    assert!(compared > 20, "{compared}");
    // A quoted `yes` is no boolean to the reading; an editor that reads YAML 1.2 sees no difference.
    assert_eq!(missed, ["upgrade-limits.yml"]);
}
