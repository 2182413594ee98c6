//! The format as a JSON Schema, from the same table that reading goes by: for editors and for other programs.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::conform::HOLDERS;
use crate::schema::{CLUSTER, Key, Kind, Status};

/// The JSON Schema of cluster.yml (draft 7, which editors understand).
///
/// A document that it accepts has values of the right forms and no unknown keys; what depends on several keys,
/// on the version or on the machines, only reading tells.
pub fn json_schema() -> Value {
    let mut schema = map(CLUSTER);
    let holders: Vec<String> = HOLDERS.iter().map(|holder| holder.replace('.', "\\.")).collect();
    schema.insert("patternProperties".to_owned(), json!({ format!("^({})", holders.join("|")): true }));
    schema.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    schema.insert("title".to_owned(), json!("cluster.yml in the format of RKE 1, as windlass reads it"));
    Value::Object(schema)
}

/// A map with these keys, and no others.
fn map(keys: &[Key]) -> Map<String, Value> {
    let properties: Map<String, Value> = keys
        .iter()
        .filter(|key| !matches!(key.status, Status::Alien(_)))
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let needed: Vec<&str> = keys.iter().filter(|key| key.needed).map(|key| key.name).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!(["object", "null"]));
    schema.insert("properties".to_owned(), Value::Object(properties));
    schema.insert("additionalProperties".to_owned(), json!(false));
    if !needed.is_empty() {
        schema.insert("required".to_owned(), json!(needed));
    }
    schema
}

fn property(key: &Key) -> Value {
    let mut schema = form(key.kind);
    let mut about = sentence(key.about);
    if !key.default.is_empty() {
        about.push_str(" Default: ");
        about.push_str(key.default);
        about.push('.');
    }
    match key.status {
        Status::Live | Status::Alien(_) => {}
        Status::Gone { .. } => about.insert_str(0, "No longer a key. "),
        Status::Later => about.push_str(" Not yet deployed."),
        Status::Idle(reason) => about.push_str(&format_reason(" Without effect yet: ", reason)),
        Status::Void(reason) => about.push_str(&format_reason(" Without effect: ", reason)),
        Status::Old(successor) => about.push_str(&format_reason(" Old form of ", successor)),
    }
    schema.insert("description".to_owned(), json!(about));
    if matches!(key.status, Status::Old(_) | Status::Void(_) | Status::Gone { .. }) {
        schema.insert("deprecated".to_owned(), json!(true));
    }
    Value::Object(schema)
}

fn format_reason(head: &str, reason: &str) -> String {
    format!("{head}{reason}.")
}

/// A line of the table as a sentence.
pub(crate) fn sentence(line: &str) -> String {
    let mut letters = line.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}

fn form(kind: Kind) -> Map<String, Value> {
    let schema = match kind {
        // A text takes any scalar and keeps its source.
        Kind::Text | Kind::Secret | Kind::IntegerOrText => json!({ "type": SCALAR }),
        Kind::Word(words) | Kind::WordOr(words, _) => {
            let words: Vec<Value> =
                words.iter().map(|word| json!(word)).chain([json!(""), Value::Null]).collect();
            json!({ "enum": words })
        }
        // What reads YAML 1.2 takes `yes` for a text; reading follows YAML 1.1.
        Kind::Flag => json!({ "enum": *FLAGS }),
        Kind::Integer => json!({ "type": ["integer", "null"] }),
        Kind::Number => json!({ "type": ["number", "null"] }),
        Kind::Texts => json!({ "type": ["array", "null"], "items": { "type": SCALAR } }),
        Kind::TextOrTexts => {
            json!({ "type": ["array", "string", "number", "boolean", "null"], "items": { "type": SCALAR } })
        }
        Kind::TextMap | Kind::Options(_) => {
            json!({ "type": ["object", "null"], "additionalProperties": { "type": SCALAR } })
        }
        Kind::TextsMap => json!({
            "type": ["object", "null"],
            "additionalProperties": { "type": ["array", "null"], "items": { "type": SCALAR } },
        }),
        Kind::Section(keys) => return map(keys),
        Kind::Sections(keys) => json!({ "type": ["array", "null"], "items": map(keys) }),
        Kind::SectionMap(keys) => json!({ "type": ["object", "null"], "additionalProperties": map(keys) }),
        Kind::Foreign => json!({}),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// All forms of the two.
static FLAGS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let words =
        ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF"];
    [Value::Bool(true), Value::Bool(false), Value::Null].into_iter().chain(words.map(Value::from)).collect()
});

const SCALAR: [&str; 4] = ["string", "number", "boolean", "null"];
