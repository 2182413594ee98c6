//! By which keys API servers encrypt, read from `secrets_encryption_config`: names and digests, never a key.

use std::sync::Arc;

use serde_json::Value;
use windlass_model::{Cipher, Ciphers, Digest, SECRETS};
use windlass_spec::KubeApiSpec;

/// The ways to write and read for each kind of resources: of `custom_config`, or of windlass' own key.
pub(crate) fn ciphers(api: &KubeApiSpec) -> Ciphers {
    let custom = api.secrets_encryption.as_ref().and_then(|encryption| encryption.custom_config.as_ref());
    if let Some(config) = custom {
        return ciphers_in(config.expose());
    }
    // The engine makes the file from the ledger; see `encryption_configuration` there.
    let own = Cipher { provider: "aescbc".into(), name: "key-1".into(), key: None };
    Ciphers([(Arc::from(SECRETS), vec![own, Cipher::identity()])].into())
}

/// The first entry for a kind of resources counts, as for an API server.
fn ciphers_in(config: &Value) -> Ciphers {
    let mut ciphers = Ciphers::default();
    for entry in items(config, "resources") {
        let ways: Vec<Cipher> = items(entry, "providers")
            .filter_map(Value::as_object)
            .flatten()
            .flat_map(|(kind, settings)| ways_of(kind, settings))
            .collect();
        for resource in items(entry, "resources").filter_map(Value::as_str) {
            ciphers.0.entry(resource.into()).or_insert_with(|| ways.clone());
        }
    }
    ciphers
}

/// A provider with keys is as many ways as it has keys.
fn ways_of(kind: &str, settings: &Value) -> Vec<Cipher> {
    let text = |value: &Value, name: &str| -> Arc<str> {
        value.get(name).and_then(Value::as_str).unwrap_or_default().into()
    };
    if settings.get("keys").is_none() {
        return vec![Cipher { provider: kind.into(), name: text(settings, "name"), key: None }];
    }
    let key = |key: &Value| Cipher {
        provider: kind.into(),
        name: text(key, "name"),
        key: Some(Digest::of(text(key, "secret").as_bytes())),
    };
    items(settings, "keys").map(key).collect()
}

fn items<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_key_is_a_way_of_its_own_and_the_first_entry_of_a_kind_counts() {
        let config = json!({"resources": [
            {"resources": ["secrets"], "providers": [
                {"secretbox": {"keys": [{"name": "a", "secret": "x"}, {"name": "b", "secret": "y"}]}},
                {"kms": {"name": "vault", "endpoint": "unix:///x"}},
                {"identity": {}},
            ]},
            {"resources": ["secrets", "configmaps"], "providers": [{"identity": {}}]},
        ]});
        let ciphers = ciphers_in(&config);
        let shown = |resource: &str| ciphers.of(resource).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            shown("secrets"),
            ["the secretbox key `a`", "the secretbox key `b`", "the kms key `vault`", "`identity`"]
        );
        assert_eq!(shown("configmaps"), ["`identity`"]);
        let other = ciphers_in(&json!({"resources": [{"resources": ["secrets"], "providers": [
            {"secretbox": {"keys": [{"name": "a", "secret": "z"}]}}]}]}));
        assert_ne!(other.of("secrets")[0], ciphers.of("secrets")[0]);
    }
}
