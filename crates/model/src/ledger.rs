//! The ledger: only what cannot be observed again, and the public part of it that the planner sees.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::certificate::{BACKDATED_SECONDS, CertKind, CertPart, DesiredCert};
use crate::ciphers::StoredSecrets;
use crate::digest::Digest;
use crate::foundation::Foundation;
use crate::names::{CertName, Lineage, NodeName, Role, SecretName};
use crate::secret::{Secret, exposed};
use crate::snapshot::RestoreNote;
use crate::target::LastNode;
use crate::time::Timestamp;

/// The keys and certificates of a cluster and the nodes of the last `up`.
///
/// Its serialised form contains private keys in clear text: it is written with mode 0600 and never printed.
/// Its `Debug` shows no key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The identity of the cluster whose keys these are; created once, with the first keys.
    pub lineage: Lineage,
    /// Grows by one with every commit: of two copies of one lineage the higher is the newer.
    pub serial: u64,
    /// The keys and certificates.
    pub certs: BTreeMap<CertName, StoredCert>,
    /// The nodes that windlass has put something on and has not cleaned since.
    pub nodes: BTreeMap<NodeName, LastNode>,
    /// The founding settings of the cluster; absent until its first `up`.
    pub foundation: Option<Foundation>,
    /// Whether etcd has once been healthy: from then on new data must never be created in its place.
    pub born: Birth,
    /// The nodes that the first start of etcd names as its members, recorded before it; empty once etcd was healthy.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub first_members: BTreeSet<NodeName>,
    /// The last restore of a snapshot, recorded before it stops anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreNote>,
    /// With what all Secrets in etcd are stored.
    #[serde(default, skip_serializing_if = "StoredSecrets::is_unknown")]
    pub stored: StoredSecrets,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(lineage: Lineage) -> Self {
        Self {
            lineage,
            serial: 0,
            certs: BTreeMap::new(),
            nodes: BTreeMap::new(),
            foundation: None,
            born: Birth::Expected,
            first_members: BTreeSet::new(),
            restore: None,
            stored: StoredSecrets::Unknown,
        }
    }

    /// Its parts that can never be recreated: CAs, bare keys, the nodes that hold copies or data, and the
    /// facts of the cluster. Small enough for one object of Kubernetes, however many workers there are.
    #[must_use]
    pub fn roots(&self) -> Self {
        // The record of a restore is useless to a cluster that is rebuilt from the roots, and how its Secrets
        // are stored is unknown then.
        let Self { lineage, serial, certs, nodes, foundation, born, first_members, restore: _, stored: _ } =
            self;
        let is_root = |cert: &StoredCert| cert.desired.kind != CertKind::Leaf;
        let holds =
            |last: &LastNode| last.roles.contains(&Role::ControlPlane) || last.roles.contains(&Role::Etcd);
        Self {
            lineage: lineage.clone(),
            serial: *serial,
            certs: certs.iter().filter(|(_, cert)| is_root(cert)).map(cloned).collect(),
            nodes: nodes.iter().filter(|(_, last)| holds(last)).map(cloned).collect(),
            foundation: foundation.clone(),
            born: *born,
            first_members: first_members.clone(),
            restore: None,
            stored: StoredSecrets::Unknown,
        }
    }
}

fn cloned<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("lineage", &self.lineage)
            .field("serial", &self.serial)
            .field("certs", &self.certs.keys())
            .field("nodes", &self.nodes.keys())
            .field("born", &self.born)
            .finish_non_exhaustive()
    }
}

/// Whether the cluster has ever been live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Birth {
    /// etcd has not been seen healthy yet.
    #[default]
    Expected,
    /// etcd has been healthy: data exists that must not be lost.
    Born,
}

/// A certificate or key as it was issued.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCert {
    /// The desired state for which it was issued.
    #[serde(rename = "wish")]
    pub desired: DesiredCert,
    /// The certificate in PEM, or the public key of a bare pair.
    pub certificate: String,
    /// The private key in PEM.
    #[serde(serialize_with = "exposed")]
    pub key: Secret<String>,
    /// When it was issued; ledgers of earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// When it becomes valid.
    pub not_before: Timestamp,
    /// When it expires.
    pub not_after: Timestamp,
    /// The digest of the issuer's certificate that signed it; absent if it is self-signed.
    pub issuer: Option<Digest>,
}

/// The public part of the ledger: names, dates and digests, and no key.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgerFace {
    /// The identity of the cluster whose keys these are; absent if there is no ledger yet.
    pub lineage: Option<Lineage>,
    /// The serial of the newest copy.
    pub serial: u64,
    /// The digest of the ledger in its copies.
    pub digest: Option<Digest>,
    /// The digest of its roots, whatever its serial.
    pub roots: Option<Digest>,
    /// The certificates.
    pub certs: BTreeMap<CertName, CertFace>,
    /// The nodes that windlass has put something on and has not cleaned since.
    pub nodes: BTreeMap<NodeName, LastNode>,
    /// The founding settings of the cluster.
    pub foundation: Option<Foundation>,
    /// Whether the cluster has ever been live.
    pub born: Birth,
    /// The nodes that the first start of etcd names as its members, recorded before it; empty once etcd was healthy.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub first_members: BTreeSet<NodeName>,
    /// The last restore of a snapshot, recorded before it stops anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreNote>,
    /// With what all Secrets in etcd are stored.
    #[serde(default, skip_serializing_if = "StoredSecrets::is_unknown")]
    pub stored: StoredSecrets,
    /// Digests of the secrets in cluster.yml.
    pub secrets: BTreeMap<SecretName, Digest>,
    /// Lineages other than this one that were found, and where.
    pub strangers: BTreeMap<Lineage, Vec<NodeName>>,
}

impl LedgerFace {
    /// The digest of one part of a certificate.
    pub fn digest_of(&self, cert: &CertName, part: CertPart) -> Option<Digest> {
        self.certs.get(cert).and_then(|face| match part {
            CertPart::Certificate => Some(face.certificate),
            CertPart::Key => Some(face.key),
            CertPart::Encryption => face.encryption,
            CertPart::EncryptionBehind => face.encryption_behind,
        })
    }
}

/// What is public of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertFace {
    /// The desired state for which it was issued.
    #[serde(rename = "wish")]
    pub desired: DesiredCert,
    /// When it was issued; ledgers of earlier versions do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// When it becomes valid.
    pub not_before: Timestamp,
    /// When it expires.
    pub not_after: Timestamp,
    /// The digest of the issuer's certificate that signed it.
    pub issuer: Option<Digest>,
    /// The digest of the certificate.
    pub certificate: Digest,
    /// The digest of its key.
    pub key: Digest,
    /// The digest of the configuration that encrypts with its key; only of bare key pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Digest>,
    /// The digest of the configuration that writes plain text and reads with its key too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_behind: Option<Digest>,
}

impl CertFace {
    /// When it was issued. Where the ledger does not say, the windlass of that time made it valid from
    /// [`BACKDATED_SECONDS`] before.
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at.unwrap_or_else(|| self.not_before.plus_seconds(BACKDATED_SECONDS))
    }
}
