//! The ledger: only what cannot be observed again, and the public face of it that the planner sees.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::certificate::{BACKDATED_SECONDS, CertKind, CertPart, DesiredCert};
use crate::digest::Digest;
use crate::foundation::Foundation;
use crate::names::{CertName, Lineage, NodeName, Role, SecretName};
use crate::secret::{Secret, exposed};
use crate::snapshot::RestoreNote;
use crate::target::LastNode;
use crate::time::Timestamp;

/// The keys and certificates of a cluster and the nodes of the last `up`.
///
/// Its serialised form holds private keys in clear: it is written with mode 0600 and shown to nobody.
/// Its `Debug` shows no key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Which cluster's keys these are; made once, with the first keys.
    pub lineage: Lineage,
    /// Grows by one with every commit: of two copies of one lineage the higher is the newer.
    pub serial: u64,
    /// The keys and certificates.
    pub certs: BTreeMap<CertName, StoredCert>,
    /// The nodes that windlass has put something on and has not cleaned since.
    pub nodes: BTreeMap<NodeName, LastNode>,
    /// What the cluster is founded on; absent until it is first brought up.
    pub foundation: Option<Foundation>,
    /// Whether etcd has once been healthy: from then on its data must never be started anew.
    pub born: Birth,
    /// The last restore of a snapshot, from before it stopped anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreNote>,
}

impl Ledger {
    /// A ledger with nothing in it yet.
    pub fn new(lineage: Lineage) -> Self {
        Self {
            lineage,
            serial: 0,
            certs: BTreeMap::new(),
            nodes: BTreeMap::new(),
            foundation: None,
            born: Birth::Expected,
            restore: None,
        }
    }

    /// What of it can never be made anew: authorities, bare keys, the nodes that hold copies or data, and the facts
    /// of the cluster. Small enough for one object of Kubernetes, however many workers there are.
    #[must_use]
    pub fn roots(&self) -> Self {
        // A note of a restore is of no use to a cluster that was made of it.
        let Self { lineage, serial, certs, nodes, foundation, born, restore: _ } = self;
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
            restore: None,
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

/// Whether the cluster has ever lived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Birth {
    /// etcd has not been seen healthy yet.
    #[default]
    Expected,
    /// etcd has been healthy: data exists that must not be lost.
    Born,
}

/// A certificate or key as it was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCert {
    /// The desired state that it fulfils.
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
    /// When it begins to be valid.
    pub not_before: Timestamp,
    /// When it ends to be valid.
    pub not_after: Timestamp,
    /// The digest of the issuer's certificate that signed it; absent if nobody else did.
    pub issuer: Option<Digest>,
}

/// What may be known of the ledger by everybody: names, dates and digests, and no key.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgerFace {
    /// Which cluster's keys these are; absent if there is no ledger yet.
    pub lineage: Option<Lineage>,
    /// The serial of the newest copy.
    pub serial: u64,
    /// The digest of the ledger as a copy of it holds it.
    pub digest: Option<Digest>,
    /// The digest of its roots, whatever its serial.
    pub roots: Option<Digest>,
    /// The certificates.
    pub certs: BTreeMap<CertName, CertFace>,
    /// The nodes that windlass has put something on and has not cleaned since.
    pub nodes: BTreeMap<NodeName, LastNode>,
    /// What the cluster is founded on.
    pub foundation: Option<Foundation>,
    /// Whether the cluster has ever lived.
    pub born: Birth,
    /// The last restore of a snapshot, from before it stopped anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreNote>,
    /// Digests of the secrets that cluster.yml carries.
    pub secrets: BTreeMap<SecretName, Digest>,
    /// Lineages other than this one that were found, and where.
    pub strangers: BTreeMap<Lineage, Vec<NodeName>>,
}

impl LedgerFace {
    /// The digest of one half of a certificate.
    pub fn digest_of(&self, cert: &CertName, part: CertPart) -> Option<Digest> {
        self.certs.get(cert).and_then(|face| match part {
            CertPart::Certificate => Some(face.certificate),
            CertPart::Key => Some(face.key),
            CertPart::Encryption => face.encryption,
        })
    }
}

/// What may be known of a certificate by everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertFace {
    /// The desired state that it was made for.
    #[serde(rename = "wish")]
    pub desired: DesiredCert,
    /// When it was issued; ledgers of earlier versions do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// When it begins to be valid.
    pub not_before: Timestamp,
    /// When it ends to be valid.
    pub not_after: Timestamp,
    /// The digest of the issuer's certificate that signed it.
    pub issuer: Option<Digest>,
    /// The digest of the certificate.
    pub certificate: Digest,
    /// The digest of its key.
    pub key: Digest,
    /// The digest of the configuration that encrypts by its key; of bare key pairs alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Digest>,
}

impl CertFace {
    /// When it was issued. Where the ledger does not say, windlass of then had it begin [`BACKDATED_SECONDS`] before.
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at.unwrap_or_else(|| self.not_before.plus_seconds(BACKDATED_SECONDS))
    }
}
