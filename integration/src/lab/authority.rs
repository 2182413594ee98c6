//! A certificate authority made for one test, for servers that stand beside the cluster.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::LabError;

/// An authority that nothing trusts yet.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, both in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// A new one of this name.
    ///
    /// # Errors
    /// There is no randomness for a key.
    pub fn new(name: &str) -> Result<Self, LabError> {
        let made = || -> Result<Self, rcgen::Error> {
            let mut authority = named(name, &[])?;
            authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate()?;
            let certificate = authority.self_signed(&key)?.pem();
            Ok(Self { certificate, issuer: Issuer::new(authority, key) })
        };
        made().map_err(|source| LabError::NoCertificate { name: name.to_owned(), source })
    }

    /// Its own certificate, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for this name, and a server's at these addresses or host names.
    ///
    /// # Errors
    /// An address cannot stand in a certificate.
    pub fn issue(&self, name: &str, places: &[&str]) -> Result<Issued, LabError> {
        let made = || -> Result<Issued, rcgen::Error> {
            let key = KeyPair::generate()?;
            let certificate = named(name, places)?.signed_by(&key, &self.issuer)?.pem();
            Ok(Issued { certificate, key: key.serialize_pem() })
        };
        made().map_err(|source| LabError::NoCertificate { name: name.to_owned(), source })
    }
}

fn named(name: &str, places: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let places: Vec<String> = places.iter().map(|&place| place.to_owned()).collect();
    let mut parameters = CertificateParams::new(places)?;
    parameters.distinguished_name.push(DnType::CommonName, name);
    Ok(parameters)
}
