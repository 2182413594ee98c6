//! Desired certificates: subject, issuer, usages; never the keys themselves.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::component::Component;
use crate::names::CertName;

/// How long before it is issued a CA becomes valid, in seconds; what it signs becomes valid when it does.
///
/// A certificate is dated by the clock of the machine that creates it. A node whose clock is behind that one
/// would refuse it as not yet valid, after everything was reported as done. So no certificate becomes valid
/// at the moment when it is created: no operator's clock is off by as much as this. kubeadm has leaves begin
/// with their CA for the same reason (<https://github.com/kubernetes/kubernetes/pull/113618>).
pub const CA_BACKDATED_SECONDS: u64 = 86_400;

/// How long before it was issued a certificate of earlier releases became valid, in seconds.
pub const BACKDATED_SECONDS: u64 = 300;

/// A certificate with its key, as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredCert {
    /// What kind of thing it is.
    pub kind: CertKind,
    /// The subject's common name.
    pub common_name: String,
    /// The subject's organizations: for Kubernetes these are groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<String>,
    /// Its issuer; absent if it is self-signed or a bare key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<CertName>,
    /// What it may be used for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub usages: BTreeSet<Usage>,
    /// The names and addresses that it is valid for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sans: BTreeSet<San>,
    /// Days from its issue until it expires.
    pub valid_days: u32,
    /// The component that presents it, by which `cert-rotate --service` selects; none for CAs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Component>,
}

/// What kind of key or certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertKind {
    /// A CA.
    Authority,
    /// A certificate that a component presents.
    Leaf,
    /// A key pair without a certificate, such as the one that signs service-account tokens.
    KeyPair,
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Usage {
    /// Presented by a server.
    ServerAuth,
    /// Presented by a client.
    ClientAuth,
}

/// A subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum San {
    /// An address.
    Ip(IpAddr),
    /// A host name.
    Dns(String),
}

impl San {
    /// An address if the text is one, else a host name in lower case.
    pub fn parse(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Dns(text.to_ascii_lowercase()), Self::Ip)
    }
}

impl fmt::Display for San {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Dns(name) => f.write_str(name),
        }
    }
}

/// A part of a certificate with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertPart {
    /// The certificate, in PEM; for a bare key pair its public key.
    Certificate,
    /// The private key, in PEM.
    Key,
    /// An `EncryptionConfiguration` of Kubernetes whose key is derived from the private key: Secrets are
    /// encrypted with it.
    Encryption,
    /// The same with the key behind: Secrets are written in plain text, and read in both ways.
    EncryptionBehind,
}
