//! The keys with which an API server writes and reads what it stores; keys are distinguished by digests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The kind of resource that is always encrypted.
pub const SECRETS: &str = "secrets";

/// The file with an API server's configuration of encryption, below the directory of certificates.
pub const ENCRYPTION_FILE: &str = "/ssl/encryption.yaml";

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

    /// The key that windlass generates.
    pub fn own() -> Self {
        Self { provider: "aescbc".into(), name: "key-1".into(), key: None }
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

    /// The same, where each kind of resources that this cipher can read is written with it too.
    #[must_use]
    pub fn with_first(&self, first: &Cipher) -> Self {
        let mut ciphers = self.clone();
        for ways in ciphers.0.values_mut() {
            if let Some(index) = ways.iter().position(|way| way == first) {
                ways[..=index].rotate_right(1);
            }
        }
        ciphers
    }

    /// Every cipher once, in the order of the kinds of resources.
    pub fn all(&self) -> Vec<Cipher> {
        let mut all: Vec<Cipher> = Vec::new();
        for way in self.0.values().flatten() {
            if !all.contains(way) {
                all.push(way.clone());
            }
        }
        all
    }
}

/// With what the Secrets in etcd are stored, as far as the ledger can say.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredSecrets {
    /// In several ways, or nobody knows.
    #[default]
    Unknown,
    /// All with this cipher: they were rewritten, and no API server has written with another since.
    By(Cipher),
    /// Each with one of these: all were with one of them, and API servers have written with the others since.
    Among(BTreeSet<Cipher>),
}

impl StoredSecrets {
    /// Whether nobody knows.
    pub fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }
}

/// How far the keys of API servers are from those that cluster.yml has.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeysPhase {
    /// They are those of cluster.yml.
    #[default]
    Asked,
    /// All API servers learn to read a cipher; in the next round they write with it.
    Learns(Cipher),
    /// Secrets are written in plain text again; when all are, the key is taken away.
    Leaves(Cipher),
}

impl KeysPhase {
    /// Whether they are those of cluster.yml.
    pub fn is_asked(&self) -> bool {
        *self == Self::Asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cipher_moves_to_the_front_where_it_is_read() {
        let key = |name: &str| Cipher { provider: "aescbc".into(), name: name.into(), key: None };
        let ciphers = Ciphers(BTreeMap::from([
            (SECRETS.into(), vec![key("a"), key("b"), Cipher::identity()]),
            ("configmaps".into(), vec![key("a")]),
        ]));
        let first = ciphers.with_first(&Cipher::identity());
        assert_eq!(first.of(SECRETS), [Cipher::identity(), key("a"), key("b")]);
        assert_eq!(first.of("configmaps"), [key("a")]);
        assert_eq!(ciphers.all(), [key("a"), key("b"), Cipher::identity()]);
    }

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
