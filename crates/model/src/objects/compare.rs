//! Compares, field by field, what windlass manages with what Kubernetes has.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::APPLIED;

/// A field whose value differs from the desired one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FieldDifference {
    /// Its path: `spec.template.spec.containers[kube-flannel].image`.
    pub path: String,
    /// Its value on one line; none where it is missing.
    pub from: Option<String>,
    /// The desired value on one line.
    pub to: String,
}

impl fmt::Display for FieldDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            Some(from) => write!(f, "{} {from} → {}", self.path, self.to),
            None => write!(f, "{} {} added", self.path, self.to),
        }
    }
}

/// The fields that identify the elements of a list, as Kubernetes merges them.
///
/// Source: `x-kubernetes-list-map-keys` of Kubernetes' `OpenAPI` schema of `apps/v1` and `v1`. A list whose
/// elements have none of them is one value.
const KEYS: [&[&str]; 6] = [
    &["containerPort", "protocol"],
    &["port", "protocol"],
    &["mountPath"],
    &["name"],
    &["type"],
    &["topologyKey"],
];

pub(super) fn differences(desired: &Value, seen: &Value) -> Vec<FieldDifference> {
    let mut found = Vec::new();
    compare("", desired, Some(seen), &mut found);
    found
}

fn compare(path: &str, desired: &Value, seen: Option<&Value>, found: &mut Vec<FieldDifference>) {
    match (desired, seen) {
        (Value::Object(fields), seen) if seen.is_none_or(Value::is_object) => {
            for (name, desired) in fields.iter().filter(|(name, _)| *name != APPLIED) {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(&below, desired, seen.and_then(|seen| seen.get(name)), found);
            }
        }
        (Value::Array(desired_items), Some(Value::Array(seen_items)))
            if let Some(keys) = keys_of(desired_items) =>
        {
            for desired in desired_items {
                let seen = seen_items.iter().find(|seen| has_same_keys(keys, desired, seen));
                let below = format!("{path}[{}]", one_line(&desired[keys[0]]));
                compare(&below, desired, seen, found);
            }
        }
        (desired, seen) => {
            if !is_same(path, desired, seen) {
                let from = seen.filter(|seen| !is_nothing(seen)).map(one_line);
                found.push(FieldDifference { path: path.to_owned(), from, to: one_line(desired) });
            }
        }
    }
}

/// The fields that identify the elements of a list; none where they are compared as one value.
fn keys_of(items: &[Value]) -> Option<&'static [&'static str]> {
    if items.is_empty() || !items.iter().all(Value::is_object) {
        return None;
    }
    let tells_apart = |keys: &&[&str]| {
        let values: BTreeSet<String> =
            items.iter().map(|item| keys.iter().map(|key| key_of(item, key)).collect()).collect();
        items.iter().all(|item| item.get(keys[0]).is_some()) && values.len() == items.len()
    };
    KEYS.into_iter().find(tells_apart)
}

fn has_same_keys(keys: &[&str], one: &Value, other: &Value) -> bool {
    keys.iter().all(|key| key_of(one, key) == key_of(other, key))
}

/// The value of a key; a protocol that is not given is TCP.
fn key_of(item: &Value, key: &str) -> String {
    match item.get(key) {
        None if key == "protocol" => "\"TCP\"".to_owned(),
        value => value.map(Value::to_string).unwrap_or_default(),
    }
}

/// Whether both have the same meaning: an API server leaves out empty values, and writes quantities in its
/// own form.
fn is_same(path: &str, desired: &Value, seen: Option<&Value>) -> bool {
    let seen = seen.unwrap_or(&Value::Null);
    if desired == seen || (is_nothing(desired) && is_nothing(seen)) {
        return true;
    }
    let is_quantity =
        path.contains(".requests.") || path.contains(".limits.") || path.ends_with(".sizeLimit");
    match (desired, seen) {
        (Value::Array(desired), Value::Array(seen)) => {
            desired.len() == seen.len()
                && desired.iter().zip(seen).all(|(desired, seen)| {
                    let mut found = Vec::new();
                    compare(path, desired, Some(seen), &mut found);
                    found.is_empty()
                })
        }
        _ if is_quantity => quantity(desired).is_some() && quantity(desired) == quantity(seen),
        _ => false,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is) => !is,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// A quantity in thousandths: `100m` and `0.1` are equal.
///
/// Source: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.
fn quantity(value: &Value) -> Option<i128> {
    const UNITS: [(&str, i128); 13] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("Ei", 1 << 60),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("E", 1_000_000_000_000_000_000),
        ("", 1),
    ];
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let (number, unit) = match text.strip_suffix('m') {
        Some(number) => (number, None),
        None => UNITS
            .iter()
            .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|number| (number, Some(*unit))))?,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let thousandths: i128 = format!("{whole}{:0<3}", part.get(..part.len().min(3))?).parse().ok()?;
    match unit {
        Some(unit) => thousandths.checked_mul(unit),
        None => Some(thousandths / 1_000),
    }
}

/// The value on one line, shortened where it is long.
fn one_line(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let is_cut = lines.next().is_some() || first.chars().count() > LONGEST;
    let shown: String = first.chars().take(LONGEST).collect();
    if is_cut { format!("{shown}…") } else { shown }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(desired: &Value, seen: &Value) -> Vec<String> {
        differences(desired, seen).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn fields_of_others_are_no_difference() {
        let desired = json!({"spec": {"a": 1}, "metadata": {"annotations": {APPLIED: "new"}}});
        let seen = json!({"spec": {"a": 1, "replicas": 7}, "metadata": {"annotations": {APPLIED: "old"}}, "status": {}});
        assert_eq!(found(&desired, &seen), Vec::<String>::new());
    }

    #[test]
    fn lists_are_compared_by_their_keys() {
        let desired = json!({"containers": [
            {"name": "a", "image": "x:1", "ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53}]}]});
        let seen = json!({"containers": [{"name": "sidecar"}, {"name": "a", "image": "x:2", "ports": [
            {"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]}]});
        assert_eq!(found(&desired, &seen), ["containers[a].image x:2 → x:1"]);
        let args = json!({"args": ["--a", "--b"]});
        assert_eq!(found(&args, &json!({"args": ["--b", "--a"]})).len(), 1);
        assert_eq!(found(&args, &args), Vec::<String>::new());
    }

    #[test]
    fn nothing_and_absent_are_one() {
        let desired = json!({"a": false, "b": [], "c": {}, "d": "", "e": true});
        assert_eq!(found(&desired, &json!({})), ["e true added"]);
    }

    #[test]
    fn quantities_are_compared_by_what_they_mean() {
        let of = |cpu: &str, memory: &str| json!({"requests": {"cpu": cpu, "memory": memory}});
        let below = |body: Value| json!({"resources": body});
        assert_eq!(found(&below(of("0.1", "1Gi")), &below(of("100m", "1024Mi"))), Vec::<String>::new());
        assert_eq!(found(&below(of("0.2", "1Gi")), &below(of("100m", "1Gi"))).len(), 1);
        assert_eq!(found(&json!({"version": "1"}), &json!({"version": "1.0"})).len(), 1);
    }

    #[test]
    fn rules_of_a_role_are_one_value() {
        let rule =
            |verb: &str| json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": [verb]}]});
        assert_eq!(found(&rule("get"), &rule("get")), Vec::<String>::new());
        assert_eq!(found(&rule("get"), &rule("list")).len(), 1);
    }
}
