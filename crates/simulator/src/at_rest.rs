//! The effect of an `EncryptionConfiguration` on an API server: the keys with which it writes and reads
//! Secrets.
//!
//! An API server writes with the first provider of its configuration and reads with all of them; without one it writes
//! and reads plain text: <https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/>.

use std::collections::BTreeMap;

use serde_yaml::Value;

/// Plain text, as a provider.
const IDENTITY: &str = "identity";

/// How an API server stores Secrets: all ciphers with which it reads them; it writes with the first.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) enum AtRest {
    #[default]
    Plain,
    By(Vec<String>),
}

impl AtRest {
    /// What an `EncryptionConfiguration` sets for Secrets.
    ///
    /// # Errors
    /// The API server would exit with it.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let bad = |what: &str| format!("error while parsing encryption provider configuration: {what}");
        let document: Value = serde_yaml::from_str(text).map_err(|error| bad(&error.to_string()))?;
        let groups =
            document.get("resources").and_then(Value::as_sequence).ok_or_else(|| bad("no resources"))?;
        let is_of_secrets = |group: &&Value| {
            let names = group.get("resources").and_then(Value::as_sequence).into_iter().flatten();
            names.filter_map(Value::as_str).any(|name| ["secrets", "*.", "*.*"].contains(&name))
        };
        let Some(group) = groups.iter().find(is_of_secrets) else { return Ok(Self::Plain) };
        let providers = group.get("providers").and_then(Value::as_sequence).into_iter().flatten();
        let mut ways = Vec::new();
        for provider in providers.filter_map(Value::as_mapping).flat_map(|provider| provider.iter()) {
            let (kind, settings) = (provider.0.as_str().unwrap_or_default(), provider.1);
            let text = |value: &Value, key: &str| {
                value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            match settings.get("keys").and_then(Value::as_sequence) {
                Some(keys) => ways.extend(
                    keys.iter().map(|key| format!("{kind}:{}:{}", text(key, "name"), text(key, "secret"))),
                ),
                None if kind == IDENTITY => ways.push(IDENTITY.to_owned()),
                None => ways.push(format!("{kind}:{}", text(settings, "name"))),
            }
        }
        if ways.is_empty() { Err(bad("no providers")) } else { Ok(Self::By(ways)) }
    }

    /// How it writes.
    pub(crate) fn writes(&self) -> &str {
        match self {
            Self::Plain => IDENTITY,
            Self::By(ways) => &ways[0],
        }
    }

    /// Whether it reads what was written with this cipher.
    pub(crate) fn reads(&self, way: &str) -> bool {
        match self {
            Self::Plain => way == IDENTITY,
            Self::By(ways) => ways.iter().any(|own| own == way),
        }
    }
}

/// A cipher by its provider and the name of its key, without the key.
pub(crate) fn named(way: &str) -> String {
    way.splitn(3, ':').take(2).collect::<Vec<_>>().join(" ")
}

/// Whether nothing but plain text has ever been stored.
pub(crate) fn is_plain(stored: &BTreeMap<String, u64>) -> bool {
    stored.keys().all(|way| AtRest::Plain.reads(way))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_key_by_key() {
        let text = "
resources:
- resources: [configmaps]
  providers: [{identity: {}}]
- resources: [secrets]
  providers:
  - aescbc: {keys: [{name: a, secret: x}, {name: b, secret: y}]}
  - kms: {name: vault, endpoint: unix:///x}
  - identity: {}
";
        let ways = ["aescbc:a:x", "aescbc:b:y", "kms:vault", "identity"].map(str::to_owned).to_vec();
        assert_eq!(AtRest::read(text), Ok(AtRest::By(ways)));
        assert_eq!(AtRest::read("resources: [{resources: [configmaps]}]"), Ok(AtRest::Plain));
        assert!(AtRest::read("resources: [{resources: [secrets], providers: []}]").is_err());
        assert_eq!(named("aescbc:a:x"), "aescbc a");
    }
}
