//! How pods are replaced: `update_strategy` of cluster.yml in Kubernetes' words.

use serde_json::{Value, json};

use crate::problem::Problems;

/// Of a `DaemonSet`: RKE 1's where cluster.yml gives no number of pods.
pub(crate) fn of_daemon_set(given: Option<&Value>) -> Value {
    if word(given) == Some("OnDelete") {
        return json!({"type": "OnDelete"});
    }
    let rolling = rolling(given).filter(|rolling| rolling.get("maxUnavailable").is_some());
    let rolling = rolling.cloned().unwrap_or_else(|| json!({"maxUnavailable": 1}));
    json!({"type": "RollingUpdate", "rollingUpdate": rolling})
}

/// Of a Deployment: `default` is used where cluster.yml gives no number of pods.
pub(crate) fn of_deployment(given: Option<&Value>, default: &Value) -> Value {
    if word(given) == Some("Recreate") {
        return json!({"type": "Recreate"});
    }
    json!({"type": "RollingUpdate", "rollingUpdate": rolling(given).unwrap_or(default)})
}

/// Reports what Kubernetes refuses: an update that may neither remove a pod nor add one. `surge` is how many
/// pods are added where `maxSurge` is absent.
pub(crate) fn check(given: Option<&Value>, surge: &str, path: &str, problems: &mut Problems) {
    let Some(rolling) = rolling(given) else { return };
    let is_zero = |value: &Value| value.as_i64() == Some(0) || matches!(value.as_str(), Some("0" | "0%"));
    let takes_none = rolling.get("maxUnavailable").is_some_and(is_zero);
    let adds_none = rolling.get("maxSurge").map_or_else(|| is_zero(&json!(surge)), is_zero);
    if takes_none && adds_none {
        problems.error(
            &format!("{path}.rollingUpdate"),
            "no pod may be unavailable and none may be added: nothing could be updated".to_owned(),
            Some("allow one more or one less: `maxSurge: 1` or `maxUnavailable: 1`".to_owned()),
        );
    }
}

fn word(given: Option<&Value>) -> Option<&str> {
    given?.get("strategy")?.as_str()
}

/// The limits of a rolling update, where there are any.
fn rolling(given: Option<&Value>) -> Option<&Value> {
    let rolling = given?.get("rollingUpdate")?;
    rolling.as_object().is_some_and(|limits| !limits.is_empty()).then_some(rolling)
}
