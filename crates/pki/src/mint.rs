//! Creates keys and certificates: the [`Minter`] of real clusters.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use time::OffsetDateTime;
use windlass_engine::{Minter, PortError, PortResult};
use windlass_model::{
    CA_BACKDATED_SECONDS, CertKind, CertName, DesiredCert, Digest, Lineage, San, Secret, StoredCert,
    Timestamp, Usage,
};

use crate::error::PkiError;
use crate::facts::{CertificateFacts, fits};

/// Creates ECDSA P-256 keys and X.509 certificates.
///
/// *Guarantees*: no two certificates have the same serial number; each becomes valid with its issuer and none
/// is valid longer; the dates in the [`StoredCert`] are those in the certificate.
#[derive(Clone, Copy, Debug, Default)]
pub struct X509Minter;

impl Minter for X509Minter {
    fn lineage(&self) -> Lineage {
        let bytes: [u8; 16] = random().expect("a system without random bytes cannot make keys either");
        Lineage::from(bytes.map(|byte| format!("{byte:02x}")).concat())
    }

    fn mint(
        &self,
        name: &CertName,
        desired: &DesiredCert,
        issuer: Option<&StoredCert>,
        now: Timestamp,
    ) -> PortResult<StoredCert> {
        mint(desired, issuer, now).map_err(|error| PortError::Lasting { what: reported(name, &error) })
    }
}

/// The error with its causes, since the port passes only text on.
fn reported(name: &CertName, error: &PkiError) -> String {
    let mut text = format!("{name}: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn mint(desired: &DesiredCert, issuer: Option<&StoredCert>, now: Timestamp) -> Result<StoredCert, PkiError> {
    let signer = signer(desired, issuer, now)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(PkiError::NotMade)?;
    let of_ca = Timestamp(now.0.saturating_sub(CA_BACKDATED_SECONDS));
    let not_before = signer.as_ref().map_or(of_ca, |signer| signer.not_before);
    let desired_end = now.plus_days(desired.valid_days);
    // A verifier of a chain checks the issuer's dates too: a later end would have no effect.
    let not_after = signer.as_ref().map_or(desired_end, |signer| desired_end.min(signer.not_after));
    let certificate = match &signer {
        _ if desired.kind == CertKind::KeyPair => key.public_key_pem(),
        Some(signer) => {
            let params = parameters(desired, not_before, not_after)?;
            params.signed_by(&key, &signer.issuer).map_err(PkiError::NotMade)?.pem()
        }
        None => {
            parameters(desired, not_before, not_after)?.self_signed(&key).map_err(PkiError::NotMade)?.pem()
        }
    };
    Ok(StoredCert {
        desired: desired.clone(),
        certificate,
        key: Secret::new(key.serialize_pem()),
        issued_at: Some(now),
        not_before,
        not_after,
        issuer: signer.map(|signer| signer.certificate),
    })
}

/// The issuer, checked before anything is created.
struct Signer {
    issuer: Issuer<'static, KeyPair>,
    not_before: Timestamp,
    not_after: Timestamp,
    certificate: Digest,
}

fn signer(
    desired: &DesiredCert,
    given: Option<&StoredCert>,
    now: Timestamp,
) -> Result<Option<Signer>, PkiError> {
    let unfit = |what: &str| Err(PkiError::Unfit { what: what.to_owned() });
    let name = match (desired.kind, &desired.issuer) {
        (CertKind::Leaf, None) => return unfit("a leaf that nobody signs is trusted by nobody"),
        (CertKind::Authority | CertKind::KeyPair, Some(_)) => {
            return unfit("a CA signs itself, and a key without a certificate has no issuer");
        }
        (CertKind::Authority | CertKind::KeyPair, None) => return Ok(None),
        (CertKind::Leaf, Some(name)) => name.to_string(),
    };
    let Some(given) = given else { return Err(PkiError::IssuerMissing { issuer: name }) };
    let facts = match given.desired.kind {
        CertKind::KeyPair => return Err(PkiError::NoAuthority { issuer: name }),
        CertKind::Authority | CertKind::Leaf => CertificateFacts::read(&given.certificate)?,
    };
    if !facts.is_authority {
        return Err(PkiError::NoAuthority { issuer: name });
    }
    if facts.not_after <= now {
        return Err(PkiError::IssuerExpired { issuer: name, ended: facts.not_after });
    }
    if !fits(&given.certificate, given.key.expose())? {
        return Err(PkiError::IssuerKeyDiffers { issuer: name });
    }
    let key = KeyPair::from_pem(given.key.expose()).map_err(|_| PkiError::NotAKey)?;
    let issuer = Issuer::from_ca_cert_pem(&given.certificate, key).map_err(|_| PkiError::NotACertificate)?;
    let CertificateFacts { not_before, not_after, .. } = facts;
    Ok(Some(Signer { issuer, not_before, not_after, certificate: Digest::of(&given.certificate) }))
}

/// The contents of a certificate.
fn parameters(
    desired: &DesiredCert,
    not_before: Timestamp,
    not_after: Timestamp,
) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.not_before = date(not_before)?;
    params.not_after = date(not_after)?;
    params.serial_number = Some(serial_number()?);
    params.distinguished_name = subject(desired)?;
    params.use_authority_key_identifier_extension = true;
    params.subject_alt_names = desired.sans.iter().map(subject_alt_name).collect::<Result<_, _>>()?;
    match desired.kind {
        CertKind::Authority => {
            // It signs leaves and no further CAs.
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        }
        CertKind::Leaf | CertKind::KeyPair => {
            params.is_ca = IsCa::ExplicitNoCa;
            // Key encipherment is for RSA; with ECDSA both sides only sign.
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = desired.usages.iter().map(|usage| purpose(*usage)).collect();
        }
    }
    Ok(params)
}

fn purpose(usage: Usage) -> ExtendedKeyUsagePurpose {
    match usage {
        Usage::ServerAuth => ExtendedKeyUsagePurpose::ServerAuth,
        Usage::ClientAuth => ExtendedKeyUsagePurpose::ClientAuth,
    }
}

fn subject(desired: &DesiredCert) -> Result<DistinguishedName, PkiError> {
    let mut subject = DistinguishedName::new();
    match desired.organizations.as_slice() {
        [] => {}
        [organization] => subject.push(DnType::OrganizationName, organization.as_str()),
        // rcgen keeps one value for each type; losing a group silently would be worse than this.
        _ => {
            let what = "a certificate with several organizations cannot be made".to_owned();
            return Err(PkiError::Unfit { what });
        }
    }
    subject.push(DnType::CommonName, desired.common_name.as_str());
    Ok(subject)
}

fn subject_alt_name(san: &San) -> Result<SanType, PkiError> {
    match san {
        San::Ip(address) => Ok(SanType::IpAddress(*address)),
        San::Dns(name) => name.as_str().try_into().map(SanType::DnsName).map_err(PkiError::NotMade),
    }
}

fn date(moment: Timestamp) -> Result<OffsetDateTime, PkiError> {
    i64::try_from(moment.0)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or_else(|| PkiError::Unfit { what: format!("{moment} is no date that a certificate can have") })
}

/// 126 random bits, positive and always of 16 bytes: an issuer that signs twice for one name, or has lost
/// what it had signed, still repeats none (RFC 5280 4.1.2.2 requires them to be unique for each issuer).
fn serial_number() -> Result<SerialNumber, PkiError> {
    let mut bytes: [u8; 16] = random()?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], PkiError> {
    let mut bytes = [0; LENGTH];
    SystemRandom::new().fill(&mut bytes).map_err(|_| PkiError::NoRandomness)?;
    Ok(bytes)
}
