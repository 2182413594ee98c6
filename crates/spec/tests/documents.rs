//! The documents that follow from the table of keys: the reference, the JSON Schema, the example.
#![expect(clippy::disallowed_methods, reason = "the tests read files; the crate does not")]
#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use windlass_spec::{json_schema, read, reference};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn check(path: &Path, text: &str) {
    if std::env::var("UPDATE").is_ok() {
        fs::write(path, text).unwrap();
    }
    let frozen = fs::read_to_string(path).unwrap_or_default();
    assert!(frozen == text, "{} differs; `UPDATE=1 cargo test` writes it anew", path.display());
}

#[test]
fn the_reference_is_the_table_of_keys() {
    check(&root().join("docs/reference/cluster-yml.md"), &reference());
}

/// Every path of keys in a JSON Schema that takes effect, lists and maps of sections left out of the path.
fn paths(schema: &Value, path: &str, found: &mut Vec<String>) {
    let inner = [Some(schema), schema.get("items"), schema.get("additionalProperties")];
    for properties in inner.into_iter().flatten().filter_map(|schema| schema.get("properties")?.as_object()) {
        for (name, property) in properties {
            let about = property["description"].as_str().unwrap();
            if about.contains("Without effect")
                || about.contains("the fabric")
                || about.starts_with("No longer")
            {
                continue;
            }
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            found.push(path.clone());
            paths(property, &path, found);
        }
    }
}

#[test]
fn the_example_names_every_key_of_the_table() {
    let example = fs::read_to_string(root().join("cluster.example.yml")).unwrap();
    let reading = read(example.as_bytes());
    assert_eq!(reading.diagnostics, [], "the example is without fault");

    let words: std::collections::BTreeSet<&str> = example
        .lines()
        .map(|line| line.trim_start_matches([' ', '#', '-']))
        .filter_map(|line| line.split_once(':').map(|(key, _)| key.trim()))
        .collect();
    let mut keys = Vec::new();
    paths(&json_schema(), "", &mut keys);
    // Those of aci and of Kubernetes' own formats are many: the reference has them.
    let left_to_reference =
        ["aci_", "custom_config.", "policy.", "admission_configuration.", "event_rate_limit.configuration."];
    let missing: Vec<&String> = keys
        .iter()
        .filter(|key| !left_to_reference.iter().any(|part| key.contains(part)))
        .filter(|key| !words.contains(key.rsplit('.').next().unwrap()))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
