//! The contents of a certificate: subject, issuer, dates, usages; whether a key fits it, whether an issuer
//! signed it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use rcgen::{KeyPair, PublicKeyData as _};
use windlass_model::{San, Timestamp, Usage};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::ber::BerObjectContent;
use x509_parser::der_parser::parse_der;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::Pem;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

use crate::error::PkiError;

/// The contents of a certificate. None of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The subject's common name; empty if it has none.
    pub common_name: String,
    /// The subject's organizations.
    pub organizations: Vec<String>,
    /// The issuer's common name.
    pub issuer: String,
    /// The serial number in hexadecimal digits.
    pub serial: String,
    /// When it becomes valid.
    pub not_before: Timestamp,
    /// When it expires.
    pub not_after: Timestamp,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// What its key may do, in X.509's terms; empty if it does not say.
    pub key_usages: BTreeSet<&'static str>,
    /// What it may be presented for; empty if it does not say.
    pub usages: BTreeSet<Usage>,
    /// The names and addresses that it is valid for.
    pub sans: BTreeSet<San>,
    /// The identifier of its key, in hexadecimal digits.
    pub key_id: Option<String>,
    /// The identifier of the key that signed it.
    pub authority_key_id: Option<String>,
}

impl CertificateFacts {
    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// There is none, or it is malformed.
    pub fn read(pem: &str) -> Result<Self, PkiError> {
        let pem = first(pem)?;
        let certificate = pem.parse_x509().map_err(|_| PkiError::NotACertificate)?;
        let malformed = |part| PkiError::Malformed { part };
        let authority = certificate.basic_constraints().map_err(|_| malformed("basic constraints"))?;
        let (key_id, authority_key_id) = key_ids(&certificate);
        Ok(Self {
            common_name: common_name(certificate.subject()),
            organizations: certificate
                .subject()
                .iter_organization()
                .filter_map(|name| name.as_str().ok().map(ToOwned::to_owned))
                .collect(),
            issuer: common_name(certificate.issuer()),
            serial: hex(certificate.raw_serial()),
            not_before: moment(certificate.validity().not_before.timestamp()),
            not_after: moment(certificate.validity().not_after.timestamp()),
            is_authority: authority.is_some_and(|constraints| constraints.value.ca),
            key_usages: key_usages(&certificate)?,
            usages: usages(&certificate)?,
            sans: sans(&certificate)?,
            key_id,
            authority_key_id,
        })
    }
}

/// Without what is random in it: serial number and key identifiers.
impl fmt::Display for CertificateFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            common_name,
            organizations,
            issuer,
            serial: _,
            not_before,
            not_after,
            is_authority,
            key_usages,
            usages,
            sans,
            key_id: _,
            authority_key_id: _,
        } = self;
        write!(f, "subject     CN={common_name}")?;
        for organization in organizations {
            write!(f, " O={organization}")?;
        }
        writeln!(f, "\nissuer      CN={issuer}")?;
        writeln!(f, "valid       {not_before} to {not_after}")?;
        writeln!(f, "CA          {}", if *is_authority { "yes" } else { "no" })?;
        writeln!(f, "key usages  {}", key_usages.iter().copied().collect::<Vec<_>>().join(", "))?;
        let usages = usages.iter().map(|usage| match usage {
            Usage::ServerAuth => "server",
            Usage::ClientAuth => "client",
        });
        writeln!(f, "usages      {}", usages.collect::<Vec<_>>().join(", "))?;
        let sans: Vec<String> = sans.iter().map(San::to_string).collect();
        writeln!(f, "names       {}", sans.join(" "))
    }
}

/// Whether a private key belongs to a certificate. The key may be in PKCS#8, in PKCS#1 or in SEC 1, which is
/// what `openssl genrsa` and `openssl ecparam` write.
///
/// # Errors
/// One of them cannot be read.
pub fn fits(certificate: &str, key: &str) -> Result<bool, PkiError> {
    let pem = first(certificate)?;
    let certificate = pem.parse_x509().map_err(|_| PkiError::NotACertificate)?;
    let public = certificate.public_key();
    let blocks = Pem::iter_from_buffer(key.as_bytes()).filter_map(Result::ok);
    let key_block = blocks.into_iter().find(|block| block.label.ends_with("PRIVATE KEY"));
    let key_block = key_block.ok_or(PkiError::NotAKey)?;
    match key_block.label.as_str() {
        "RSA PRIVATE KEY" => {
            let own = modulus(&key_block.contents).ok_or(PkiError::NotAKey)?;
            let Ok(PublicKey::RSA(certified)) = public.parsed() else { return Ok(false) };
            Ok(without_zeros(own) == without_zeros(certified.modulus))
        }
        "EC PRIVATE KEY" => {
            let own = point(&key_block.contents).ok_or(PkiError::NotAKey)?;
            let Ok(PublicKey::EC(certified)) = public.parsed() else { return Ok(false) };
            Ok(own == certified.data())
        }
        _ => {
            let key = KeyPair::from_pem(key).map_err(|_| PkiError::NotAKey)?;
            Ok(public.raw == key.subject_public_key_info())
        }
    }
}

/// The modulus of an `RSAPrivateKey` (RFC 8017, A.1.2): the second item of the sequence.
fn modulus(der: &[u8]) -> Option<&[u8]> {
    let (_, key) = parse_der(der).ok()?;
    match key.content {
        BerObjectContent::Sequence(items) => match items.into_iter().nth(1)?.content {
            BerObjectContent::Integer(modulus) => Some(modulus),
            _ => None,
        },
        _ => None,
    }
}

/// The public point of an `ECPrivateKey` (RFC 5915): the bit string after the tag 1, where it is given.
fn point(der: &[u8]) -> Option<&[u8]> {
    let (_, key) = parse_der(der).ok()?;
    let BerObjectContent::Sequence(items) = key.content else { return None };
    let tagged = items.into_iter().find_map(|item| match item.content {
        BerObjectContent::Unknown(any) if any.header.tag().0 == 1 => Some(any.data),
        _ => None,
    })?;
    match parse_der(tagged).ok()?.1.content {
        BerObjectContent::BitString(_, bits) => Some(bits.data),
        _ => None,
    }
}

/// A number's bytes without leading zeros for the sign bit.
fn without_zeros(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|byte| **byte == 0).count()..]
}

/// Whether `issuer` is a CA, is the one that the certificate names, and its key signed the certificate. Dates
/// are up to the caller.
///
/// # Errors
/// One of them cannot be read.
pub fn is_signed_by(certificate: &str, issuer: &str) -> Result<bool, PkiError> {
    let (pem, issuer) = (first(certificate)?, first(issuer)?);
    let certificate = pem.parse_x509().map_err(|_| PkiError::NotACertificate)?;
    let issuer = issuer.parse_x509().map_err(|_| PkiError::NotACertificate)?;
    Ok(issuer.is_ca()
        && certificate.issuer() == issuer.subject()
        && certificate.verify_signature(Some(issuer.public_key())).is_ok())
}

/// The first certificate of a PEM text that may hold more.
fn first(text: &str) -> Result<Pem, PkiError> {
    Pem::iter_from_buffer(text.as_bytes())
        .filter_map(Result::ok)
        .find(|pem| pem.label == "CERTIFICATE")
        .ok_or(PkiError::NotACertificate)
}

/// Dates before 1970 count as 1970: nothing of a cluster is that old.
fn moment(seconds: i64) -> Timestamp {
    Timestamp(u64::try_from(seconds).unwrap_or_default())
}

fn common_name(name: &X509Name<'_>) -> String {
    name.iter_common_name().find_map(|name| name.as_str().ok()).unwrap_or_default().to_owned()
}

fn key_usages(certificate: &X509Certificate<'_>) -> Result<BTreeSet<&'static str>, PkiError> {
    let usage = certificate.key_usage().map_err(|_| PkiError::Malformed { part: "key usages" })?;
    let Some(usage) = usage.map(|extension| extension.value) else { return Ok(BTreeSet::new()) };
    let named = [
        ("digitalSignature", usage.digital_signature()),
        ("nonRepudiation", usage.non_repudiation()),
        ("keyEncipherment", usage.key_encipherment()),
        ("dataEncipherment", usage.data_encipherment()),
        ("keyAgreement", usage.key_agreement()),
        ("keyCertSign", usage.key_cert_sign()),
        ("cRLSign", usage.crl_sign()),
    ];
    Ok(named.into_iter().filter_map(|(name, is_set)| is_set.then_some(name)).collect())
}

fn usages(certificate: &X509Certificate<'_>) -> Result<BTreeSet<Usage>, PkiError> {
    let usage = certificate.extended_key_usage().map_err(|_| PkiError::Malformed { part: "usages" })?;
    let Some(usage) = usage.map(|extension| extension.value) else { return Ok(BTreeSet::new()) };
    let server = (usage.any || usage.server_auth).then_some(Usage::ServerAuth);
    let client = (usage.any || usage.client_auth).then_some(Usage::ClientAuth);
    Ok(server.into_iter().chain(client).collect())
}

/// Names of other kinds than addresses and host names are left out: no component uses them.
fn sans(certificate: &X509Certificate<'_>) -> Result<BTreeSet<San>, PkiError> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| PkiError::Malformed { part: "alternative names" })?;
    let Some(names) = names.map(|extension| extension.value) else { return Ok(BTreeSet::new()) };
    let known = names.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(San::Dns(name.to_ascii_lowercase())),
        GeneralName::IPAddress(bytes) => <[u8; 4]>::try_from(*bytes)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
            .ok()
            .map(San::Ip),
        _ => None,
    });
    Ok(known.collect())
}

/// The identifiers of the certificate's own key and of its issuer's.
fn key_ids(certificate: &X509Certificate<'_>) -> (Option<String>, Option<String>) {
    let (mut own, mut issuers) = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => own = Some(hex(id.0)),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                issuers = id.key_identifier.as_ref().map(|id| hex(id.0));
            }
            _ => {}
        }
    }
    (own, issuers)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
