//! What an API server refuses of the objects that have pods: selectors, tolerations and strategies that are none.
//!
//! Sources: `ValidatePodSpec` and `ValidateTolerations` in `pkg/apis/core/validation`, `ValidateDeploymentStrategy` in
//! `pkg/apis/apps/validation` of kubernetes/kubernetes.

use serde_json::Value;

/// Why the object is refused, as the API server says it; nothing where it is taken.
pub(crate) fn refusal(kind: &str, body: &Value) -> Option<String> {
    let template = match kind {
        "Pod" => body,
        "CronJob" => &body["spec"]["jobTemplate"]["spec"]["template"],
        "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet" | "Job" => &body["spec"]["template"],
        _ => return None,
    };
    selector(&template["spec"]["nodeSelector"])
        .or_else(|| template["spec"]["tolerations"].as_array()?.iter().find_map(toleration))
        .or_else(|| strategy(kind, &body["spec"]))
}

fn selector(selector: &Value) -> Option<String> {
    let invalid = |what: &str| format!("spec.template.spec.nodeSelector: Invalid value: \"{what}\"");
    selector.as_object()?.iter().find_map(|(key, value)| {
        let value = value.as_str()?;
        if !is_key(key) {
            Some(invalid(key))
        } else if !is_value(value) {
            Some(invalid(value))
        } else {
            None
        }
    })
}

fn toleration(toleration: &Value) -> Option<String> {
    let text = |name: &str| toleration[name].as_str().unwrap_or_default();
    let invalid = |name: &str, why: &str| {
        Some(format!("spec.template.spec.tolerations.{name}: Invalid value: \"{}\": {why}", text(name)))
    };
    let exists = text("operator") == "Exists";
    if text("key").is_empty() && !exists {
        return invalid("operator", "operator must be Exists when `key` is empty");
    }
    if !text("key").is_empty() && !is_key(text("key")) {
        return invalid("key", "name part must consist of alphanumeric characters");
    }
    if exists && !text("value").is_empty() {
        return invalid("operator", "value must be empty when `operator` is 'Exists'");
    }
    if !is_value(text("value")) {
        return invalid("value", "a valid label must consist of alphanumeric characters");
    }
    if !toleration["tolerationSeconds"].is_null() && text("effect") != "NoExecute" {
        return invalid("effect", "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    None
}

fn strategy(kind: &str, spec: &Value) -> Option<String> {
    let strategy = &spec["strategy"];
    let is_refused =
        kind == "Deployment" && strategy["type"] == "Recreate" && !strategy["rollingUpdate"].is_null();
    is_refused.then(|| {
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"
            .to_owned()
    })
}

fn is_key(key: &str) -> bool {
    let (domain, name) = key.split_once('/').map_or(("", key), |(domain, name)| (domain, name));
    let of_domain =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.".contains(letter);
    domain.chars().all(of_domain) && !name.is_empty() && is_value(name) && !key.starts_with('/')
}

fn is_value(value: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric();
    value.is_empty()
        || (value.len() <= 63
            && value.chars().all(|letter| is_plain(letter) || "-_.".contains(letter))
            && value.starts_with(is_plain)
            && value.ends_with(is_plain))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_that_no_api_server_takes_are_refused() {
        let of = |spec: Value| refusal("Deployment", &json!({"spec": {"template": {"spec": spec}}}));
        for right in [
            json!({}),
            json!({"nodeSelector": {"kubernetes.io/os": "linux", "a": ""}}),
            json!({"tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoSchedule"}]}),
            json!({"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]}),
        ] {
            assert_eq!(of(right.clone()), None, "{right}");
        }
        for wrong in [
            json!({"nodeSelector": {"a": "b c"}}),
            json!({"nodeSelector": {"a b": "c"}}),
            json!({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}),
            json!({"tolerations": [{"effect": "NoSchedule"}]}),
            json!({"tolerations": [{"key": "a", "value": "b c"}]}),
            json!({"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 5}]}),
        ] {
            assert!(of(wrong.clone()).is_some(), "{wrong}");
        }
        let recreate = json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}});
        assert!(refusal("Deployment", &recreate).is_some());
        assert_eq!(refusal("ConfigMap", &recreate), None);
    }
}
