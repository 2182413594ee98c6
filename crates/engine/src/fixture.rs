//! A ledger for tests.

use std::collections::BTreeSet;

use windlass_model::{CertKind, CertName, DesiredCert, Ledger, Lineage, Secret, StoredCert, Timestamp};

/// The seventh ledger of a cluster, with one CA whose key is `PRIVATE`.
pub(crate) fn ledger() -> Ledger {
    let mut ledger = Ledger::new(Lineage::from("blue"));
    ledger.serial = 7;
    let desired = DesiredCert {
        kind: CertKind::Authority,
        common_name: "kube-ca".to_owned(),
        organizations: Vec::new(),
        issuer: None,
        usages: BTreeSet::new(),
        sans: BTreeSet::new(),
        valid_days: 3650,
        service: None,
    };
    let cert = StoredCert {
        desired,
        certificate: "CERTIFICATE".to_owned(),
        key: Secret::new("PRIVATE".to_owned()),
        issued_at: None,
        not_before: Timestamp(0),
        not_after: Timestamp(1),
        issuer: None,
    };
    ledger.certs.insert(CertName::from("kube-ca"), cert);
    ledger
}
