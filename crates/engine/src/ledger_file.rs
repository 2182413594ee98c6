//! The ledger as a file: how its copies on disk and on nodes are written and read.

use serde::{Deserialize, Serialize};
use windlass_model::{Digest, KeptRoots, Ledger, Secret};

/// The only format so far. A reader refuses every other, since a misread ledger loses keys.
const FORMAT: u64 = 1;

#[derive(Serialize)]
struct Written<'a> {
    format: u64,
    ledger: &'a Ledger,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    #[serde(rename = "format")]
    _format: u64,
    ledger: Ledger,
}

/// What is known of a file before its format is.
#[derive(Deserialize)]
struct Envelope {
    format: u64,
}

/// Why a ledger cannot be read. Tells nothing of what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerFileError {
    /// It is of a format that this version does not know.
    #[error("the ledger has format {found}; this version reads format {FORMAT}")]
    UnknownFormat {
        /// The format that it names.
        found: u64,
    },
    /// It ends too early.
    #[error("the ledger ends in the middle, at line {line}, column {column}")]
    Truncated {
        /// Where it ends.
        line: usize,
        /// Where it ends.
        column: usize,
    },
    /// It is no ledger, or something follows it.
    #[error("the ledger cannot be understood from line {line}, column {column}")]
    Broken {
        /// Where it ceases to be one.
        line: usize,
        /// Where it ceases to be one.
        column: usize,
    },
}

impl From<serde_json::Error> for LedgerFileError {
    /// Keeps the place only: the text of the error may quote a key.
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        if error.is_eof() { Self::Truncated { line, column } } else { Self::Broken { line, column } }
    }
}

/// The bytes of a ledger; equal ledgers give equal bytes.
pub fn encode(ledger: &Ledger) -> Secret<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(&Written { format: FORMAT, ledger })
        .expect("a ledger is plain data, and all keys of its maps are text");
    bytes.push(b'\n');
    Secret::new(bytes)
}

/// What may be known of a ledger's roots without reading a key.
pub(crate) fn kept(ledger: &Ledger) -> KeptRoots {
    let roots = Ledger { serial: 0, ..ledger.roots() };
    KeptRoots {
        lineage: ledger.lineage.clone(),
        serial: ledger.serial,
        digest: Digest::of(encode(&roots).expose()),
    }
}

/// The ledger in these bytes.
///
/// # Errors
/// It is of an unknown format, truncated or followed by something, or no ledger at all.
pub fn decode(bytes: &[u8]) -> Result<Ledger, LedgerFileError> {
    let Envelope { format } = serde_json::from_slice(bytes)?;
    if format != FORMAT {
        return Err(LedgerFileError::UnknownFormat { found: format });
    }
    let Read { _format, ledger } = serde_json::from_slice(bytes)?;
    Ok(ledger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use windlass_model::{
        CertKind, CertName, CertWish, LastNode, Lineage, NodeName, NodeTarget, Role, StoredCert, Timestamp,
    };

    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(Lineage::from("blue"));
        ledger.serial = 7;
        let wish = CertWish {
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
            wish,
            certificate: "CERTIFICATE".to_owned(),
            key: Secret::new("KEY".to_owned()),
            issued_at: None,
            not_before: Timestamp(0),
            not_after: Timestamp(1),
            issuer: None,
        };
        ledger.certs.insert(CertName::from("kube-ca"), cert);
        ledger
    }

    #[test]
    fn a_ledger_reads_back_as_it_was_written_with_its_keys() {
        assert_eq!(decode(encode(&ledger()).expose()), Ok(ledger()));
    }

    #[test]
    fn another_format_is_refused() {
        let bytes = br#"{"format": 2, "ledger": {"keys": []}}"#;
        assert_eq!(decode(bytes), Err(LedgerFileError::UnknownFormat { found: 2 }));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let whole = encode(&ledger());
        let text = whole.expose().trim_ascii_end();
        for length in 0..text.len() {
            decode(&text[..length]).unwrap_err();
        }
    }

    #[test]
    fn whatever_follows_a_ledger_is_an_error() {
        let mut bytes = encode(&ledger()).expose().clone();
        bytes.extend_from_slice(b"{}");
        assert!(matches!(decode(&bytes), Err(LedgerFileError::Broken { column: 1, .. })));
    }

    #[test]
    fn an_error_quotes_nothing() {
        let bytes = br#"{"format": 1, "ledger": {"lineage": "blue", "serial": "hunter2"}}"#;
        let error = decode(bytes).unwrap_err();
        assert_eq!(error.to_string(), "the ledger cannot be understood from line 1, column 63");
    }

    #[test]
    fn a_ledger_of_an_earlier_version_says_neither_places_nor_when_it_was_issued() {
        let text = r#"{"format": 1, "ledger": {
            "lineage": "blue",
            "serial": 7,
            "certs": {"leaf": {
                "wish": {"kind": "leaf", "common_name": "system:node", "valid_days": 3650},
                "certificate": "CERTIFICATE",
                "key": "KEY",
                "not_before": 1767225600,
                "not_after": 2082758400,
                "issuer": null
            }},
            "nodes": {"node-1": {
                "target": {
                    "address": "10.0.0.1",
                    "port": 22,
                    "user": "ops",
                    "internal_address": "10.0.0.1",
                    "docker_socket": "/var/run/docker.sock"
                },
                "roles": ["etcd"]
            }},
            "foundation": null,
            "born": "born"
        }}"#;
        let ledger = decode(text.as_bytes()).unwrap();
        assert_eq!(ledger.nodes["node-1"].prefix, None);
        let issued_at = ledger.certs["leaf"].face().issued_at();
        assert_eq!(issued_at.to_string(), "2026-01-01T00:05:00Z");
        let written = encode(&ledger);
        let written = std::str::from_utf8(written.expose()).unwrap();
        assert!(!written.contains("prefix") && !written.contains("issued_at"), "{written}");
    }

    #[test]
    fn the_roots_are_the_same_whatever_leaves_workers_and_serial_are() {
        let mut grown = ledger();
        grown.serial = 8;
        let mut leaf = grown.certs[&CertName::from("kube-ca")].clone();
        leaf.wish.kind = CertKind::Leaf;
        grown.certs.insert(CertName::from("kubelet@node-9"), leaf);
        let target = NodeTarget {
            address: "10.0.0.9".to_owned(),
            port: 22,
            user: "ops".to_owned(),
            internal_address: "10.0.0.9".to_owned(),
            docker_socket: "/var/run/docker.sock".into(),
            key_path: None,
        };
        grown.nodes.insert(
            NodeName::from("node-9"),
            LastNode { target, roles: [Role::Worker].into(), prefix: None },
        );
        assert_eq!(grown.roots(), Ledger { serial: 8, ..ledger() });
        assert_eq!(kept(&grown).digest, kept(&ledger()).digest);
        assert_eq!((kept(&grown).serial, kept(&ledger()).serial), (8, 7));
    }
}
