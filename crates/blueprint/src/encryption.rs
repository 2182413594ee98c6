//! By which keys API servers encrypt, read from `secrets_encryption_config`: names and digests, never a key.
//!
//! On the way to the keys of cluster.yml API servers have the same ones in another order: what is written now
//! stays first until all of them read what will be.

use std::sync::Arc;

use serde_json::Value;
use windlass_model::{
    Blueprint, CertPart, Cipher, Ciphers, Component, Content, Digest, KeysPhase, SECRETS, Secret, SecretName,
};
use windlass_spec::KubeApiSpec;

use crate::texts;

/// The secret with the user's own configuration of how Secrets are encrypted.
pub(crate) const ENCRYPTION_CONFIG: &str = "encryption-config";

/// The desired state in which API servers write with this cipher, which they should read as well.
#[must_use]
pub fn with_first(mut blueprint: Blueprint, first: &Cipher, phase: KeysPhase) -> Blueprint {
    for node in blueprint.nodes.values_mut() {
        if let Some(api) = node.containers.get_mut(&Component::KubeApiserver) {
            let spec = Arc::make_mut(&mut api.spec);
            spec.ciphers = spec.ciphers.with_first(first);
        }
        for file in node.files.values_mut() {
            match &mut file.content {
                Content::Cert { part, .. } if *part == CertPart::Encryption && first.is_identity() => {
                    *part = CertPart::EncryptionBehind;
                }
                Content::Secret(name) if name.as_str() == ENCRYPTION_CONFIG => *name = name_with_first(first),
                _ => {}
            }
        }
    }
    blueprint.keys_phase = phase;
    blueprint
}

/// The name of the user's configuration with this cipher first.
fn name_with_first(first: &Cipher) -> SecretName {
    let Cipher { provider, name, key } = first;
    let key = key.as_ref().map(Digest::short).unwrap_or_default();
    SecretName::from(format!("{ENCRYPTION_CONFIG}-{provider}-{name}-{key}"))
}

/// The user's configuration, as it is and with each of its ciphers first.
pub(crate) fn configurations(config: &Value) -> Vec<(SecretName, Secret<String>)> {
    let ciphers = ciphers_in(config);
    let text = |config: &Value| Secret::new(texts::encryption(config));
    let others = ciphers.all().into_iter().filter(|first| ciphers.with_first(first) != ciphers);
    std::iter::once((SecretName::from(ENCRYPTION_CONFIG), text(config)))
        .chain(others.map(|first| (name_with_first(&first), text(&reordered(config, &first)))))
        .collect()
}

/// A configuration in which this cipher is first, for each kind of resources that it reads.
///
/// Its provider moves with all its keys: old API servers read with the first provider of a kind only.
fn reordered(config: &Value, first: &Cipher) -> Value {
    let mut config = config.clone();
    for entry in config.get_mut("resources").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(providers) = entry.get_mut("providers").and_then(Value::as_array_mut) else { continue };
        if let Some(index) = providers.iter().position(|provider| ways_in(provider).contains(first)) {
            providers[..=index].rotate_right(1);
            put_key_first(&mut providers[0], first);
        }
    }
    config
}

/// Moves the key of this cipher to the front of its provider.
fn put_key_first(provider: &mut Value, first: &Cipher) {
    let keys = provider.get_mut(&*first.provider).and_then(|settings| settings.get_mut("keys"));
    if let Some(keys) = keys.and_then(Value::as_array_mut)
        && let Some(index) = keys.iter().position(|key| way_of(&first.provider, key) == *first)
    {
        keys[..=index].rotate_right(1);
    }
}

/// The ways to write and read for each kind of resources: of `custom_config`, or of windlass' own key.
pub(crate) fn ciphers(api: &KubeApiSpec) -> Ciphers {
    let custom = api.secrets_encryption.as_ref().and_then(|encryption| encryption.custom_config.as_ref());
    if let Some(config) = custom {
        return ciphers_in(config.expose());
    }
    // The engine makes the file from the ledger; see `encryption_configuration` there.
    Ciphers([(Arc::from(SECRETS), vec![Cipher::own(), Cipher::identity()])].into())
}

/// The first entry for a kind of resources counts, as for an API server.
fn ciphers_in(config: &Value) -> Ciphers {
    let mut ciphers = Ciphers::default();
    for entry in items(config, "resources") {
        let ways: Vec<Cipher> = items(entry, "providers").flat_map(ways_in).collect();
        for resource in items(entry, "resources").filter_map(Value::as_str) {
            ciphers.0.entry(resource.into()).or_insert_with(|| ways.clone());
        }
    }
    ciphers
}

/// A provider with keys is as many ways as it has keys.
fn ways_in(provider: &Value) -> Vec<Cipher> {
    let kinds = provider.as_object().into_iter().flatten();
    let ways = kinds.flat_map(|(kind, settings)| {
        if settings.get("keys").is_none() {
            return vec![Cipher { provider: kind.as_str().into(), name: text(settings, "name"), key: None }];
        }
        items(settings, "keys").map(|key| way_of(kind, key)).collect()
    });
    ways.collect()
}

fn way_of(kind: &str, key: &Value) -> Cipher {
    let secret = text(key, "secret");
    Cipher { provider: kind.into(), name: text(key, "name"), key: Some(Digest::of(secret.as_bytes())) }
}

fn text(value: &Value, name: &str) -> Arc<str> {
    value.get(name).and_then(Value::as_str).unwrap_or_default().into()
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

    #[test]
    fn a_key_moves_to_the_front_with_its_provider() {
        let config = json!({"resources": [
            {"resources": ["secrets"], "providers": [
                {"secretbox": {"keys": [{"name": "c", "secret": "z"}]}},
                {"aescbc": {"keys": [{"name": "a", "secret": "x"}, {"name": "b", "secret": "y"}]}},
                {"identity": {}},
            ]},
            {"resources": ["configmaps"], "providers": [{"identity": {}}]},
        ]});
        let ciphers = ciphers_in(&config);
        let first = ciphers.of("secrets")[2].clone();
        let moved = ciphers_in(&reordered(&config, &first));
        let shown: Vec<String> = moved.of("secrets").iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["the aescbc key `b`", "the aescbc key `a`", "the secretbox key `c`", "`identity`"]
        );
        assert_eq!(moved.of("configmaps"), ciphers.of("configmaps"));
        let names: Vec<SecretName> = configurations(&config).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 4, "as it is, and with each other cipher first: {names:?}");
    }
}
