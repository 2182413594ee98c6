//! Every certificate of a whole cluster: its contents frozen, and verified by a verifier that did not create
//! it.
#![expect(clippy::unwrap_used, reason = "a test ends where a certificate cannot be made or read")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pki_types::pem::PemObject as _;
use pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use windlass_blueprint::{Catalog, resolve};
use windlass_engine::{Minter as _, PortError, part_of};
use windlass_model::{
    CA_BACKDATED_SECONDS, CertKind, CertName, CertPart, DesiredCert, Digest, San, Secret, StoredCert,
    Timestamp, Usage,
};
use windlass_pki::{CertificateFacts, X509Minter, fits, is_signed_by};

/// 2026-03-01T12:00:00Z
const NOW: Timestamp = Timestamp(1_772_366_400);

const CLUSTER: &str = "
kubernetes_version: v1.20.2
nodes:
- {address: 10.0.0.1, internal_address: 192.168.0.1, hostname_override: one, user: ops, role: [controlplane, etcd]}
- {address: 10.0.0.2, hostname_override: two, user: ops, role: [worker]}
network: {plugin: none}
authentication: {sans: [API.example.org, 203.0.113.9, \"fd00::9\"]}
services: {kubelet: {generate_serving_certificate: true}}
";

fn mint(
    certs: &BTreeMap<CertName, StoredCert>,
    name: &CertName,
    desired: &DesiredCert,
) -> Result<StoredCert, PortError> {
    let issuer = desired.issuer.as_ref().and_then(|issuer| certs.get(issuer));
    X509Minter.mint(name, desired, issuer, NOW)
}

/// All certificates that a cluster.yml asks for.
fn cluster() -> BTreeMap<CertName, StoredCert> {
    let spec = windlass_spec::read(CLUSTER.as_bytes()).spec.unwrap();
    let blueprint = resolve(&spec, Catalog::builtin(), &BTreeMap::new()).blueprint.unwrap();
    let mut certs = BTreeMap::new();
    for signed in [false, true] {
        for (name, desired) in
            blueprint.certs.iter().filter(|(_, desired)| desired.issuer.is_some() == signed)
        {
            let cert = mint(&certs, name, desired).unwrap();
            certs.insert(name.clone(), cert);
        }
    }
    certs
}

fn authority(name: &str) -> StoredCert {
    X509Minter.mint(&name.into(), &desired_ca(name), None, NOW).unwrap()
}

fn desired_ca(name: &str) -> DesiredCert {
    DesiredCert {
        kind: CertKind::Authority,
        common_name: name.to_owned(),
        organizations: Vec::new(),
        issuer: None,
        usages: BTreeSet::new(),
        sans: BTreeSet::new(),
        valid_days: 3_650,
        service: None,
    }
}

fn desired_leaf(issuer: &str) -> DesiredCert {
    DesiredCert {
        kind: CertKind::Leaf,
        issuer: Some(issuer.into()),
        usages: BTreeSet::from([Usage::ServerAuth]),
        ..desired_ca("leaf")
    }
}

/// The minter's refusal as text.
fn refusal(desired: &DesiredCert, issuer: Option<&StoredCert>) -> String {
    X509Minter.mint(&"leaf".into(), desired, issuer, NOW).err().unwrap().to_string()
}

/// Whether the verifier accepts it, with only this CA as its anchor.
fn verifies(leaf: &str, authority: &str, usage: KeyUsage, at: Timestamp) -> Result<(), webpki::Error> {
    let leaf = CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap();
    let authority = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
    let anchor = anchor_from_trusted_cert(&authority).unwrap();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at.0));
    EndEntityCert::try_from(&leaf)
        .unwrap()
        .verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &[anchor], &[], at, usage, None, None)
        .map(|_| ())
}

fn serves_as(leaf: &str, name: &str) -> bool {
    let leaf = CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    EndEntityCert::try_from(&leaf).unwrap().verify_is_valid_for_subject_name(&name).is_ok()
}

fn frozen(name: &str, text: &str) {
    let path = format!("{}/tests/frozen/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(&path, text).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, before, "{path} differs; `UPDATE=1 cargo test` writes it anew");
}

#[test]
fn every_certificate_of_a_cluster_says_what_it_should() {
    let mut text = String::new();
    for (name, cert) in cluster() {
        let body = if cert.desired.kind == CertKind::KeyPair {
            "a key pair: no certificate\n".to_owned()
        } else {
            CertificateFacts::read(&cert.certificate).unwrap().to_string()
        };
        text.push_str(name.as_str());
        text.push('\n');
        for line in body.lines() {
            text.push_str(format!("  {line}").trim_end());
            text.push('\n');
        }
        text.push('\n');
    }
    frozen("cluster", &text);
}

#[test]
fn what_was_made_is_what_was_desired() {
    for (name, cert) in cluster() {
        let expected_end = NOW.plus_days(cert.desired.valid_days);
        assert_eq!(cert.not_before, Timestamp(NOW.0 - CA_BACKDATED_SECONDS), "{name}");
        assert_eq!(cert.not_after, expected_end, "{name}");
        if cert.desired.kind == CertKind::KeyPair {
            continue;
        }
        let facts = CertificateFacts::read(&cert.certificate).unwrap();
        assert_eq!((facts.not_before, facts.not_after), (cert.not_before, cert.not_after), "{name}");
        assert_eq!(facts.common_name, cert.desired.common_name, "{name}");
        assert_eq!(facts.organizations, cert.desired.organizations, "{name}");
        assert_eq!(facts.sans, cert.desired.sans, "{name}");
        assert_eq!(facts.usages, cert.desired.usages, "{name}");
        assert_eq!(facts.is_authority, cert.desired.kind == CertKind::Authority, "{name}");
    }
}

#[test]
fn a_leaf_verifies_by_its_own_authority_and_by_no_other() {
    let certs = cluster();
    let authorities: Vec<(&CertName, &StoredCert)> =
        certs.iter().filter(|(_, cert)| cert.desired.kind == CertKind::Authority).collect();
    assert_eq!(authorities.len(), 3);
    let mut judged = 0;
    for (name, leaf) in certs.iter().filter(|(_, cert)| cert.desired.kind == CertKind::Leaf) {
        for (authority, cert) in &authorities {
            let is_its_own = leaf.desired.issuer.as_ref() == Some(authority);
            for (usage, purpose) in
                [(Usage::ServerAuth, KeyUsage::server_auth()), (Usage::ClientAuth, KeyUsage::client_auth())]
            {
                let found = verifies(&leaf.certificate, &cert.certificate, purpose, NOW);
                let expected = is_its_own && leaf.desired.usages.contains(&usage);
                assert_eq!(found.is_ok(), expected, "{name} by {authority} for {usage:?}: {found:?}");
                judged += 1;
            }
            assert_eq!(is_signed_by(&leaf.certificate, &cert.certificate).unwrap(), is_its_own);
            assert_eq!(leaf.issuer == Some(Digest::of(&cert.certificate)), is_its_own);
        }
    }
    assert_eq!(judged, 14 * 3 * 2);
}

#[test]
fn a_new_authority_of_the_same_name_does_not_verify_what_the_former_one_signed() {
    let (former, latter) = (authority("kube-ca"), authority("kube-ca"));
    let leaf = X509Minter.mint(&"leaf".into(), &desired_leaf("kube-ca"), Some(&former), NOW).unwrap();
    let by = |authority: &StoredCert| {
        verifies(&leaf.certificate, &authority.certificate, KeyUsage::server_auth(), NOW).is_ok()
    };
    assert_eq!((by(&former), by(&latter)), (true, false));
    assert!(!is_signed_by(&leaf.certificate, &latter.certificate).unwrap());
}

#[test]
fn a_certificate_is_accepted_by_clocks_that_are_behind_and_not_after_its_end() {
    let certs = cluster();
    let (leaf, authority) = (&certs["kube-etcd@one"], &certs["kube-etcd-ca"]);
    let at = |moment: u64| {
        let moment = Timestamp(moment);
        verifies(&leaf.certificate, &authority.certificate, KeyUsage::client_auth(), moment).is_ok()
    };
    let end = leaf.not_after.0;
    assert_eq!(
        [at(NOW.0 - CA_BACKDATED_SECONDS - 1), at(NOW.0 - CA_BACKDATED_SECONDS), at(end), at(end + 1)],
        [false, true, true, false]
    );
}

#[test]
fn a_leaf_begins_with_its_authority_whatever_the_clock_of_who_makes_it() {
    let ca = authority("kube-ca");
    let hour = 3_600;
    for now in [Timestamp(NOW.0 - hour), NOW, Timestamp(NOW.0 + hour)] {
        let leaf = X509Minter.mint(&"leaf".into(), &desired_leaf("kube-ca"), Some(&ca), now).unwrap();
        assert_eq!((leaf.not_before, leaf.issued_at), (ca.not_before, Some(now)));
        let found = verifies(&leaf.certificate, &ca.certificate, KeyUsage::server_auth(), NOW);
        assert!(found.is_ok(), "{found:?}");
    }
}

#[test]
fn a_server_is_known_by_each_of_its_names_and_addresses() {
    let certs = cluster();
    let server = &certs["kube-apiserver@one"].certificate;
    for name in ["api.example.org", "203.0.113.9", "fd00::9", "10.43.0.1", "one", "10.0.0.1", "192.168.0.1"] {
        assert!(serves_as(server, name), "{name}");
    }
    assert!(!serves_as(server, "10.0.0.2"));
    let member = &certs["kube-etcd@one"].certificate;
    assert!(serves_as(member, "127.0.0.1") && serves_as(member, "192.168.0.1"));
}

#[test]
fn keys_fit_their_own_certificates_and_are_pkcs8() {
    let certs = cluster();
    for (name, cert) in &certs {
        let key = part_of(cert, CertPart::Key);
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{name}");
        assert!(
            matches!(PrivateKeyDer::from_pem_slice(key.as_bytes()), Ok(PrivateKeyDer::Pkcs8(_))),
            "{name}"
        );
        if cert.desired.kind != CertKind::KeyPair {
            assert!(fits(&cert.certificate, &key).unwrap(), "{name}");
        }
    }
    let other = part_of(&certs["kube-node@two"], CertPart::Key);
    assert!(!fits(&certs["kube-node@one"].certificate, &other).unwrap());
    let pair = &certs["kube-service-account-token"];
    assert!(pair.certificate.starts_with("-----BEGIN PUBLIC KEY-----\n"));
}

#[test]
fn serial_numbers_and_keys_repeat_nowhere() {
    let certs: Vec<StoredCert> = cluster().into_values().chain(cluster().into_values()).collect();
    let facts = certs.iter().filter_map(|cert| CertificateFacts::read(&cert.certificate).ok());
    let serials: BTreeSet<String> = facts.map(|facts| facts.serial).collect();
    assert_eq!(serials.len(), 2 * 17);
    assert!(serials.iter().all(|serial| serial.len() == 32));
    let keys: BTreeSet<Digest> = certs.iter().map(|cert| Digest::of(cert.key.expose())).collect();
    assert_eq!(keys.len(), certs.len());
}

#[test]
fn the_identifier_of_the_signing_key_is_that_of_the_authority() {
    let certs = cluster();
    let facts = |name: &str| CertificateFacts::read(&certs[name].certificate).unwrap();
    let (authority, leaf) = (facts("kube-ca"), facts("kube-apiserver@one"));
    assert!(authority.key_id.is_some());
    assert_eq!(leaf.authority_key_id, authority.key_id);
    assert_eq!(authority.authority_key_id, authority.key_id);
    assert_ne!(leaf.key_id, authority.key_id);
}

#[test]
fn no_leaf_outlives_its_authority() {
    let short = X509Minter
        .mint(&"kube-ca".into(), &DesiredCert { valid_days: 10, ..desired_ca("kube-ca") }, None, NOW)
        .unwrap();
    let leaf = X509Minter.mint(&"leaf".into(), &desired_leaf("kube-ca"), Some(&short), NOW).unwrap();
    assert_eq!(leaf.not_after, short.not_after);
    assert_eq!(CertificateFacts::read(&leaf.certificate).unwrap().not_after, short.not_after);
}

#[test]
fn what_nobody_could_trust_is_not_made() {
    let authority = authority("kube-ca");
    let leaf = X509Minter.mint(&"leaf".into(), &desired_leaf("kube-ca"), Some(&authority), NOW).unwrap();
    let desired_pair = DesiredCert { kind: CertKind::KeyPair, ..desired_ca("pair") };
    let pair = X509Minter.mint(&"pair".into(), &desired_pair, None, NOW).unwrap();
    let desired_expired = DesiredCert { valid_days: 0, ..desired_ca("kube-ca") };
    let expired = X509Minter.mint(&"kube-ca".into(), &desired_expired, None, NOW).unwrap();
    let foreign_key = StoredCert { key: leaf.key.clone(), ..authority.clone() };
    let no_key = StoredCert { key: Secret::new("hunter2".to_owned()), ..authority.clone() };
    let desired = desired_leaf("kube-ca");
    let orphan = DesiredCert { issuer: None, ..desired.clone() };
    let crowd = DesiredCert { organizations: vec!["a".to_owned(), "b".to_owned()], ..desired.clone() };
    let wordy = DesiredCert { sans: BTreeSet::from([San::Dns("straße".to_owned())]), ..desired.clone() };
    let under = DesiredCert { issuer: Some("kube-ca".into()), ..desired_ca("sub") };
    let refusals = [
        refusal(&desired, None),
        refusal(&desired, Some(&leaf)),
        refusal(&desired, Some(&pair)),
        refusal(&desired, Some(&expired)),
        refusal(&desired, Some(&foreign_key)),
        refusal(&desired, Some(&no_key)),
        refusal(&orphan, Some(&authority)),
        refusal(&crowd, Some(&authority)),
        refusal(&wordy, Some(&authority)),
        refusal(&under, Some(&authority)),
    ];
    frozen("refusals", &(refusals.join("\n") + "\n"));
}

#[test]
fn lineages_repeat_nowhere() {
    let (one, other) = (X509Minter.lineage(), X509Minter.lineage());
    assert_ne!(one, other);
    assert_eq!(one.as_str().len(), 32);
}

#[test]
fn keys_that_openssl_wrote_are_distinguished_from_others_in_every_format() {
    macro_rules! file {
        ($name:literal) => {
            include_str!(concat!("foreign/", $name))
        };
    }
    let elliptic = file!("elliptic.pem");
    let rsa = file!("rsa.pem");
    for (cert, key, wanted) in [
        (elliptic, file!("elliptic-pkcs8.key"), true),
        (elliptic, file!("elliptic-sec1.key"), true),
        (elliptic, file!("other-sec1.key"), false),
        (elliptic, file!("rsa-pkcs1.key"), false),
        (rsa, file!("rsa-pkcs1.key"), true),
        (rsa, file!("other-pkcs1.key"), false),
        (rsa, file!("elliptic-pkcs8.key"), false),
        (file!("authority.pem"), file!("other-sec1.key"), true),
    ] {
        assert_eq!(fits(cert, key).unwrap(), wanted, "{cert}{key}");
    }
    assert!(fits(elliptic, "no key").is_err());
    assert!(fits(elliptic, elliptic).is_err());
}
