//! What an API server refuses of the files that its flags name: it exits right after its start.
//!
//! Sources: `LoadPolicyFromBytes` of `k8s.io/apiserver/pkg/audit/policy/reader.go`, `ValidateConfiguration` of
//! `plugin/pkg/admission/eventratelimit/apis/eventratelimit/validation` of kubernetes/kubernetes.

use serde_yaml::Value;

/// Why the policy of auditing is refused.
pub(crate) fn audit_policy(text: &str) -> Option<String> {
    let policy: Value = serde_yaml::from_str(text).ok()?;
    let is_empty = policy.get("rules").and_then(Value::as_sequence).is_none_or(Vec::is_empty);
    is_empty.then(|| "loading audit policy file: loaded illegal policy with 0 rules".to_owned())
}

/// Why the configuration of admission is refused.
pub(crate) fn admission(text: &str) -> Option<String> {
    let file: Value = serde_yaml::from_str(text).ok()?;
    let plugins = file.get("plugins")?.as_sequence()?;
    let of_plugin = |plugin: &&Value| plugin.get("name").and_then(Value::as_str) == Some("EventRateLimit");
    event_rate_limit(plugins.iter().find(of_plugin)?.get("configuration")?)
}

fn event_rate_limit(configuration: &Value) -> Option<String> {
    let limits =
        configuration.get("limits").and_then(Value::as_sequence).map(Vec::as_slice).unwrap_or_default();
    if limits.is_empty() {
        return Some("invalid EventRateLimit configuration: limits: must not be empty".to_owned());
    }
    limits.iter().enumerate().find_map(|(index, limit)| {
        let is_positive =
            |name: &str| limit.get(name).and_then(Value::as_i64).is_some_and(|number| number > 0);
        let wrong = ["burst", "qps"].into_iter().find(|name| !is_positive(name))?;
        Some(format!("invalid EventRateLimit configuration: limits[{index}].{wrong}: must be positive"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_rules() {
        assert!(audit_policy("{kind: Policy, rules: []}").is_some());
        assert!(audit_policy("kind: Policy").is_some());
        assert_eq!(audit_policy("rules: [{level: Metadata}]"), None);
    }

    #[test]
    fn a_limit_of_events_is_positive() {
        let file = |limits: &str| {
            format!("plugins: [{{name: EventRateLimit, configuration: {{limits: [{limits}]}}}}]")
        };
        assert_eq!(admission(&file("{type: Server, qps: 50, burst: 100}")), None);
        assert_eq!(admission("plugins: [{name: PodSecurity, configuration: {}}]"), None);
        for wrong in ["", "{type: Server, qps: 0, burst: 100}", "{type: Server, qps: 5}"] {
            assert!(admission(&file(wrong)).is_some(), "{wrong}");
        }
    }
}
