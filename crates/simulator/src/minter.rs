//! Keys and certificates as readable symbols, and what the world knows of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_engine::{Minter, PortResult};
use windlass_model::{
    CA_BACKDATED_SECONDS, CertKind, CertName, DesiredCert, Digest, Lineage, San, Secret, StoredCert,
    Timestamp, Usage,
};

use crate::ports::SimFleet;
use crate::world::{World, lasting};

/// A key or certificate that has been issued.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) name: CertName,
    pub(crate) cert: StoredCert,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.name, f)
    }
}

/// Everything that has ever been issued, by digest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Keys {
    all: Vec<Arc<Known>>,
    #[serde(skip)]
    by_certificate: BTreeMap<Digest, (usize, Digest)>,
    #[serde(skip)]
    by_key: BTreeMap<Digest, (usize, Digest)>,
    /// Digests of those certificates that are or were on the operator's disk.
    #[serde(skip)]
    durable: BTreeSet<Digest>,
}

impl Keys {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Rebuilds the indexes after the list was read from a file; everything in a file is stored durably.
    pub(crate) fn revive(&mut self) {
        for known in std::mem::take(&mut self.all) {
            let digest = self.learn(&known.name, &known.cert);
            self.durable.insert(digest);
        }
    }

    /// Records a certificate, if it is new, and returns its digest.
    pub(crate) fn learn(&mut self, name: &CertName, cert: &StoredCert) -> Digest {
        let certificate = Digest::of(&cert.certificate);
        if !self.by_certificate.contains_key(&certificate) {
            let key = Digest::of(cert.key.expose());
            let index = self.all.len();
            self.by_certificate.insert(certificate, (index, key));
            self.by_key.insert(key, (index, certificate));
            self.all.push(Arc::new(Known { name: name.clone(), cert: cert.clone() }));
        }
        certificate
    }

    /// The certificate of this digest and the digest of its key.
    pub(crate) fn certificate(&self, digest: &Digest) -> Option<(&Arc<Known>, Digest)> {
        self.by_certificate.get(digest).map(|(index, key)| (&self.all[*index], *key))
    }

    /// The certificate whose key has this digest.
    pub(crate) fn of_key(&self, digest: &Digest) -> Option<&Arc<Known>> {
        self.by_key.get(digest).map(|(index, _)| &self.all[*index])
    }

    pub(crate) fn make_durable(&mut self, certificate: Digest) {
        self.durable.insert(certificate);
    }

    /// The name of the key or certificate with this digest, if it was issued and is on no disk yet.
    pub(crate) fn not_durable(&self, digest: &Digest) -> Option<&CertName> {
        let (index, certificate) = match (self.by_certificate.get(digest), self.by_key.get(digest)) {
            (Some((index, _)), _) => (*index, *digest),
            (None, Some((index, certificate))) => (*index, *certificate),
            (None, None) => return None,
        };
        (!self.durable.contains(&certificate)).then(|| &self.all[index].name)
    }

    /// Whether one of this name has been issued and written to the operator's disk.
    pub(crate) fn has_durable(&self, name: &CertName) -> bool {
        self.by_certificate
            .iter()
            .any(|(digest, (index, _))| self.all[*index].name == *name && self.durable.contains(digest))
    }

    /// The name of a private key that these bytes contain, if they contain one.
    pub(crate) fn in_clear(&self, bytes: &[u8]) -> Option<&CertName> {
        let text = String::from_utf8_lossy(bytes);
        let is_in = |known: &&Arc<Known>| {
            let key = known.cert.key.expose();
            // As it is, or as a string of JSON.
            text.contains(key.as_str()) || text.contains(key.escape_debug().to_string().as_str())
        };
        self.all.iter().find(is_in).map(|known| &known.name)
    }

    /// From when until when a certificate is valid: its own dates, and no longer than its issuer.
    pub(crate) fn validity(&self, cert: &StoredCert) -> (Timestamp, Timestamp) {
        let issuer = cert.issuer.as_ref().and_then(|digest| self.certificate(digest));
        let until = issuer.map_or(cert.not_after, |(known, _)| known.cert.not_after.min(cert.not_after));
        (cert.not_before, until)
    }
}

/// Creates keys and certificates that are readable text, unique, and the same for the same seed and order.
#[derive(Clone, Debug)]
pub struct SymbolicMinter {
    fleet: SimFleet,
}

impl SymbolicMinter {
    /// A minter whose certificates this world can read.
    pub fn new(fleet: &SimFleet) -> Self {
        Self { fleet: fleet.clone() }
    }
}

impl Minter for SymbolicMinter {
    fn lineage(&self) -> Lineage {
        self.fleet.with(|world| {
            world.minted += 1;
            Lineage::from(format!("lineage-{}-{}", world.seed, world.minted))
        })
    }

    fn mint(
        &self,
        name: &CertName,
        desired: &DesiredCert,
        issuer: Option<&StoredCert>,
        now: Timestamp,
    ) -> PortResult<StoredCert> {
        self.fleet.mint(name, |world| {
            if desired.kind != CertKind::Leaf {
                world.judge_new_authority(name);
            }
            world.mint(name, desired, issuer, now)
        })
    }
}

impl World {
    pub(crate) fn mint(
        &mut self,
        name: &CertName,
        desired: &DesiredCert,
        given: Option<&StoredCert>,
        now: Timestamp,
    ) -> PortResult<StoredCert> {
        let given = given.filter(|_| desired.issuer.is_some());
        let issuer = match (&desired.issuer, given) {
            (Some(desired), None) => return Err(lasting(format!("{name}: its issuer {desired} is missing"))),
            (Some(desired), Some(given)) if given.desired.kind != CertKind::Authority => {
                return Err(lasting(format!("{name}: {desired} is no CA")));
            }
            (Some(desired), Some(given)) if given.not_after <= now => {
                return Err(lasting(format!("{name}: its issuer {desired} has expired")));
            }
            (Some(_), Some(given)) => Some(Digest::of(&given.certificate)),
            (None, _) => None,
        };
        self.minted += 1;
        let (seed, serial) = (self.seed, self.minted);
        // What an issuer has signed is no older than the issuer.
        let not_before =
            given.map_or(Timestamp(now.0.saturating_sub(CA_BACKDATED_SECONDS)), |ca| ca.not_before);
        let not_after = match given {
            // No verifier would accept it for longer.
            Some(issuer) => now.plus_days(desired.valid_days).min(issuer.not_after),
            None => now.plus_days(desired.valid_days),
        };
        let joined = |texts: &mut dyn Iterator<Item = String>| texts.collect::<Vec<_>>().join(",");
        let sans = joined(&mut desired.sans.iter().map(San::to_string));
        let groups = joined(&mut desired.organizations.iter().cloned());
        let usages = joined(&mut desired.usages.iter().map(|usage| {
            match usage {
                Usage::ServerAuth => "server",
                Usage::ClientAuth => "client",
            }
            .to_owned()
        }));
        let by = issuer.map_or_else(|| "self".to_owned(), |digest| digest.short());
        let label = if desired.kind == CertKind::KeyPair { "PUBLIC KEY" } else { "CERTIFICATE" };
        let cert = StoredCert {
            desired: desired.clone(),
            certificate: format!(
                "-----BEGIN {label}-----\nname={name} serial={seed}-{serial} issuer={by} cn={} o={groups} \
                 usages={usages} sans={sans} not_before={not_before} not_after={not_after}\n-----END {label}-----\n",
                desired.common_name
            ),
            key: Secret::new(format!(
                "-----BEGIN PRIVATE KEY-----\nname={name} serial={seed}-{serial}\n-----END PRIVATE KEY-----\n"
            )),
            issued_at: Some(now),
            not_before,
            not_after,
            issuer,
        };
        self.keys.learn(name, &cert);
        Ok(cert)
    }
}
