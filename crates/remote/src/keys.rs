//! The credentials for etcd and Kubernetes from the ledger, as ready clients.

use std::cmp::Reverse;
use std::sync::Arc;

use rustls::ClientConfig;
use windlass_model::{Ledger, StoredCert, Timestamp};

use crate::https::client;

/// The names in the ledger of the required certificates.
const KUBE_CA: &str = "kube-ca";
const ETCD_CA: &str = "kube-etcd-ca";
const ADMIN: &str = "kube-admin";
/// Certificates that members of etcd accept from a client, by their names without the node.
const ETCD_CLIENTS: [&str; 2] = ["kube-apiserver-etcd-client", "kube-etcd"];

/// Ready clients; each is absent if the ledger lacks what it needs, or it cannot be used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(crate) kube: Option<Arc<ClientConfig>>,
    pub(crate) etcd: Option<Arc<ClientConfig>>,
}

impl Keys {
    /// Those of a ledger, at this time.
    pub(crate) fn of(ledger: &Ledger, now: Timestamp) -> Self {
        let certificate = |name: &str| ledger.certs.get(name);
        let ready = |authority: &str, own: Option<&StoredCert>| {
            let (authority, own) = (certificate(authority)?, own?);
            client(&authority.certificate, Some((&own.certificate, own.key.expose()))).ok()
        };
        Self { kube: ready(KUBE_CA, certificate(ADMIN)), etcd: ready(ETCD_CA, client_of_etcd(ledger, now)) }
    }
}

/// The certificate that is presented to members: the valid one that is valid longest. That of an unreachable
/// node is not renewed, and members refuse it once it has expired.
fn client_of_etcd(ledger: &Ledger, now: Timestamp) -> Option<&StoredCert> {
    let is_valid = |cert: &StoredCert| cert.not_before <= now && now < cert.not_after;
    let rank = |base: &str| ETCD_CLIENTS.iter().position(|known| *known == base);
    ledger
        .certs
        .iter()
        .filter_map(|(name, cert)| Some((rank(name.base())?, cert)))
        .min_by_key(|(rank, cert)| (!is_valid(cert), *rank, Reverse(cert.not_after)))
        .map(|(_, cert)| cert)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use windlass_model::{CertKind, CertName, DesiredCert, Secret};

    use super::*;

    fn stored(name: &str, from: u64, until: u64) -> (CertName, StoredCert) {
        let desired = DesiredCert {
            kind: CertKind::Leaf,
            common_name: name.to_owned(),
            organizations: Vec::new(),
            sans: BTreeSet::new(),
            usages: BTreeSet::new(),
            issuer: None,
            valid_days: 1,
            service: None,
        };
        let cert = StoredCert {
            desired,
            certificate: name.to_owned(),
            key: Secret::new(String::new()),
            issued_at: None,
            not_before: Timestamp(from),
            not_after: Timestamp(until),
            issuer: None,
        };
        (CertName::from(name), cert)
    }

    #[test]
    fn members_are_shown_a_certificate_that_is_valid() {
        let shown = |certs: &[(&str, u64, u64)]| {
            let certs = certs.iter().map(|(name, from, until)| stored(name, *from, *until)).collect();
            let ledger = Ledger { certs, ..Ledger::new("l".into()) };
            client_of_etcd(&ledger, Timestamp(100)).map(|cert| cert.certificate.clone())
        };
        let client = "kube-apiserver-etcd-client";
        let members = ["kube-etcd@1", "kube-etcd@2", "kube-etcd@3"];
        for (certs, wanted) in [
            (&[(client, 0, 200), (members[0], 0, 900)][..], Some(client)),
            (&[(client, 0, 99), (members[0], 0, 200)], Some(members[0])),
            (&[(members[0], 0, 99), (members[1], 0, 150), (members[2], 0, 200)], Some(members[2])),
            (&[(members[0], 101, 200), (members[1], 0, 150)], Some(members[1])),
            (&[(members[0], 0, 50), (members[1], 0, 99)], Some(members[1])),
            (&[("kube-admin", 0, 200)], None),
        ] {
            assert_eq!(shown(certs).as_deref(), wanted, "{certs:?}");
        }
    }
}
