//! The keys with which an API server writes and reads what it stores; keys are distinguished by digests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The kind of resource that is always encrypted.
pub const SECRETS: &str = "secrets";

/// The provider that encrypts nothing.
const IDENTITY: &str = "identity";

/// For each kind of resource the ciphers that can read it, of which the first one writes; a kind that is
/// missing is plain text.
///
/// Source: <https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/>, "Understanding the encryption at rest
/// configuration".
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ciphers(pub BTreeMap<Arc<str>, Vec<Cipher>>);

/// One cipher with which stored data is written and read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cipher {
    /// The provider, such as `aescbc`.
    pub provider: Arc<str>,
    /// The name of the key, or of the KMS plugin; stored data names it too.
    #[serde(default)]
    pub name: Arc<str>,
    /// The digest of the key; absent where there is none, and for the key that windlass generates, which
    /// never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
}

impl Cipher {
    /// Plain text.
    pub fn identity() -> Self {
        Self { provider: IDENTITY.into(), name: Arc::default(), key: None }
    }

    /// Whether it is plain text.
    pub fn is_identity(&self) -> bool {
        &*self.provider == IDENTITY
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, name, key: _ } = self;
        if name.is_empty() { write!(f, "`{provider}`") } else { write!(f, "the {provider} key `{name}`") }
    }
}

impl Ciphers {
    /// Whether nothing is known of any kind of resource.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ciphers for a kind of resource: those that name it, or else those for its group, or else those for
    /// all.
    pub fn of(&self, resource: &str) -> Vec<Cipher> {
        let group = resource.split_once('.').map_or("", |(_, group)| group);
        let names = [resource.to_owned(), format!("*.{group}"), "*.*".to_owned()];
        let ways = names.iter().find_map(|name| self.0.get(name.as_str()));
        ways.filter(|ways| !ways.is_empty()).cloned().unwrap_or_else(|| vec![Cipher::identity()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_nothing_names_is_plain_text() {
        let key =
            |name: &str| Cipher { provider: "aescbc".into(), name: name.into(), key: Some(Digest::of(name)) };
        let ciphers = Ciphers(BTreeMap::from([
            (SECRETS.into(), vec![key("a")]),
            ("*.example.org".into(), vec![key("b"), Cipher::identity()]),
        ]));
        assert_eq!(ciphers.of(SECRETS), [key("a")]);
        assert_eq!(ciphers.of("things.example.org"), [key("b"), Cipher::identity()]);
        assert_eq!(ciphers.of("configmaps"), [Cipher::identity()]);
        assert_eq!(Ciphers::default().of(SECRETS), [Cipher::identity()]);
    }
}
