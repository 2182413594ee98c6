//! A desired state that is written and read again is the same.
#![expect(clippy::disallowed_methods, reason = "the tests read files; the crate does not")]
#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

mod write;

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use windlass_spec::{ClusterSpec, json_schema, read};
use write::write;

/// Without the lines of manifests, which depend on how the file is written.
fn without_lines(spec: &ClusterSpec) -> ClusterSpec {
    let mut spec = spec.clone();
    spec.manifests.iter_mut().for_each(|manifest| manifest.from.clear());
    spec
}

fn same_again(text: &[u8], what: &str) {
    let Some(spec) = read(text).spec else { return };
    let written = write(&spec);
    let again = read(written.as_bytes());
    let again = again.spec.unwrap_or_else(|| panic!("{what}\n{written}\n{:#?}", again.diagnostics));
    // Compared in clear, since a secret shows nothing of itself.
    assert!(without_lines(&spec) == without_lines(&again), "{what}\n{written}\n---\n{}", write(&again));
}

#[test]
fn the_files_of_the_tests_and_the_corpus_are_read_as_they_are_written() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut count = 0;
    for folder in [tests.join("good"), tests.join("../../../../shared/corpus"), tests.join("../../..")] {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.extension().is_some_and(|extension| extension == "yml") {
                same_again(&fs::read(&path).unwrap(), &path.display().to_string());
                count += 1;
            }
        }
    }
    assert!(count >= 6, "{count}");
}

/// Texts that look like something else, and the rest of Unicode.
fn text() -> BoxedStrategy<Value> {
    prop_oneof![
        3 => "[a-z][a-z0-9]{0,8}".prop_map(Value::from),
        1 => prop::sample::select(vec![
            "1.20", "0700", "true", "yes", "~", "null", "- x", "a: b", "#", "{", "10%", "22", "10.0.0.1",
            "10.42.0.0/16", "72h", "*", "&a", "!!str x", "é\u{1f600}", " ", "\"", "'", "a\nb",
        ]).prop_map(Value::from),
        1 => "\\PC{0,6}".prop_map(Value::from),
    ]
    .boxed()
}

/// A value of a JSON Schema, keys left out at will; texts that a key does not take are for reading to refuse.
fn value(schema: &Value) -> BoxedStrategy<Value> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let plain = |word: &&Value| {
            word.is_boolean() || word.is_null() || !schema["enum"].as_array().unwrap().contains(&json!(true))
        };
        let words: Vec<Value> = words.iter().filter(plain).cloned().collect();
        return prop::sample::select(words).boxed();
    }
    let types: Vec<&str> = schema
        .get("type")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if types.contains(&"object") {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let needed = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
            let fields: Vec<BoxedStrategy<Option<(String, Value)>>> = properties
                .iter()
                .map(|(name, schema)| {
                    let name = name.clone();
                    let chance = if needed.contains(&json!(name)) { 0.97 } else { 0.12 };
                    let field = value(schema).prop_map(move |value| (name.clone(), value));
                    prop::option::weighted(chance, field).boxed()
                })
                .collect();
            return fields.prop_map(|fields| Value::Object(fields.into_iter().flatten().collect())).boxed();
        }
        let item = schema.get("additionalProperties").map_or_else(|| Just(Value::Null).boxed(), value);
        return prop::collection::btree_map("[a-z][a-z-]{0,6}", item, 0..3)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
            .boxed();
    }
    if types.contains(&"array") {
        let item = schema.get("items").map_or_else(text, value);
        return prop::collection::vec(item, 0..3).prop_map(Value::Array).boxed();
    }
    if types.contains(&"string") {
        return text();
    }
    if types.is_empty() {
        return prop_oneof![text(), any::<i32>().prop_map(Value::from), any::<bool>().prop_map(Value::from)]
            .boxed();
    }
    if types.contains(&"integer") {
        return prop_oneof![0..100_000_i64, -3..3_i64].prop_map(Value::from).boxed();
    }
    (0..1_000_i32).prop_map(|number| json!(f64::from(number) / 8.0)).boxed()
}

/// Any document of the format around nodes that are in order, since without them nothing is read.
fn documents() -> BoxedStrategy<Value> {
    value(&json_schema())
        .prop_map(|mut document| {
            document["nodes"] = json!([
                {"address": "10.0.0.1", "user": "ops", "role": ["controlplane", "etcd"], "labels": {"a": "true"}},
                {"address": "10.0.0.2", "user": "ops", "role": "worker", "port": 2222,
                 "taints": [{"key": "x", "effect": "NoSchedule"}]},
            ]);
            document
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_document_that_is_read_is_read_again_as_it_is_written(document in documents()) {
        // A section that reading refuses is taken out, until the rest can be read.
        let mut document = document;
        for _ in 0..60 {
            let text = document.to_string();
            let reading = read(text.as_bytes());
            if reading.spec.is_some() {
                same_again(text.as_bytes(), &text);
                break;
            }
            let wrong = reading.diagnostics.iter().find(|found| found.severity == windlass_spec::Severity::Error);
            let path = wrong.map(|found| found.place.path.clone()).unwrap_or_default();
            remove(&mut document, &path);
        }
    }
}

/// Takes out what a path leads to, as far as it leads.
fn remove(value: &mut Value, path: &str) {
    let mut at = value;
    let parts: Vec<&str> = path.split(['.', '[']).collect();
    for (depth, part) in parts.iter().enumerate() {
        let Value::Object(entries) = at else { return };
        let is_last = depth + 1 == parts.len();
        let goes_on = entries.get(*part).is_some_and(Value::is_object);
        if is_last || !goes_on {
            if entries.remove(*part).is_none() {
                entries.clear();
            }
            return;
        }
        at = entries.get_mut(*part).unwrap();
    }
}
