//! The ledger as a file: how its copies on disk and on nodes are written and read.
//!
//! Format 2, which is written, is JSON whose first and last lines can be read by a shell too, so that a look
//! at a node needs no program there that parses JSON:
//!
//! ```text
//! {"format":2,"lineage":"blue","serial":7,"ledger":
//! …
//! ,"end":true}
//! ```
//!
//! Format 3 is a sealed one, as clusters keep it; see `sealed.rs`.
//!
//! Format 1 is read, and copies in it count as up to date until the next commit: a newer windlass changes
//! nothing by itself.

use serde::{Deserialize, Serialize};
use windlass_model::{Digest, KeptForm, KeptRoots, Ledger, Lineage, Secret};

/// The format that is written. A reader refuses every newer one, since a ledger that is read wrongly loses
/// keys.
const FORMAT: u64 = 2;

/// The format of a sealed ledger.
pub(crate) const SEALED: u64 = 3;

/// Format 1.
#[derive(Serialize)]
struct WrittenV1<'a> {
    format: u64,
    ledger: &'a Ledger,
}

/// Format 1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadV1 {
    #[serde(rename = "format")]
    _format: u64,
    ledger: Ledger,
}

/// Format 2.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadV2 {
    #[serde(rename = "format")]
    _format: u64,
    lineage: Lineage,
    serial: u64,
    ledger: Ledger,
    end: bool,
}

/// What is read of a file before its format is known.
#[derive(Deserialize)]
struct Envelope {
    format: u64,
}

/// Why a ledger cannot be read. It quotes nothing of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerFileError {
    /// It is of a format that this version does not know.
    #[error("the ledger has format {found}; this version reads formats up to {SEALED}")]
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
    /// It is sealed: only the recovery key opens it.
    #[error("the ledger is sealed, as clusters keep it; only its recovery key opens it")]
    Sealed,
    /// It is sealed by another key, or was changed.
    #[error("the ledger is sealed by another key than this recovery key, or it was changed")]
    OtherKey,
    /// It is not a ledger, or something follows it.
    #[error("the ledger cannot be understood from line {line}, column {column}")]
    Broken {
        /// Where it stops being one.
        line: usize,
        /// Where it stops being one.
        column: usize,
    },
}

impl From<serde_json::Error> for LedgerFileError {
    /// Keeps only the place: the text of the error may quote a key.
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        if error.is_eof() { Self::Truncated { line, column } } else { Self::Broken { line, column } }
    }
}

/// The bytes of a ledger; the same for equal ledgers.
pub fn encode(ledger: &Ledger) -> Secret<Vec<u8>> {
    let mut bytes = first_line(ledger).into_bytes();
    serde_json::to_writer_pretty(&mut bytes, ledger)
        .expect("a ledger is plain data, all keys of its maps are text, and memory takes it");
    bytes.extend_from_slice(b"\n,\"end\":true}\n");
    Secret::new(bytes)
}

/// The line from which a shell reads whose ledger it is, and how new.
fn first_line(ledger: &Ledger) -> String {
    let lineage = serde_json::to_string(&ledger.lineage).expect("a text is JSON");
    format!("{{\"format\":{FORMAT},\"lineage\":{lineage},\"serial\":{},\"ledger\":\n", ledger.serial)
}

/// The bytes that a windlass which wrote format 1 would write for this ledger.
fn encode_v1(ledger: &Ledger) -> Secret<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(&WrittenV1 { format: 1, ledger })
        .expect("a ledger is plain data, and all keys of its maps are text");
    bytes.push(b'\n');
    Secret::new(bytes)
}

/// The digest with which the copies of this ledger on nodes, which have these digests, are compared: that of
/// the written format, unless all copies have the older one.
pub(crate) fn digest_of_copies(ledger: &Ledger, copies: &[Digest]) -> Digest {
    let digest = Digest::of(encode(ledger).expose());
    if copies.is_empty() || copies.contains(&digest) {
        return digest;
    }
    let older = Digest::of(encode_v1(ledger).expose());
    if copies.contains(&older) { older } else { digest }
}

/// What may be known of a ledger's roots without reading a key. Their digest is always that of format 1, in
/// which clusters keep it.
pub(crate) fn kept(ledger: &Ledger) -> KeptRoots {
    let roots = Ledger { serial: 0, ..ledger.roots() };
    KeptRoots {
        lineage: ledger.lineage.clone(),
        serial: ledger.serial,
        digest: Digest::of(encode_v1(&roots).expose()),
        form: KeptForm::Sealed,
    }
}

/// The ledger in these bytes.
///
/// # Errors
/// It has an unknown format, is truncated or followed by something, or is not a ledger at all.
pub fn decode(bytes: &[u8]) -> Result<Ledger, LedgerFileError> {
    let Envelope { format } = serde_json::from_slice(bytes)?;
    match format {
        1 => {
            let ReadV1 { _format, ledger } = serde_json::from_slice(bytes)?;
            Ok(ledger)
        }
        2 => {
            let ReadV2 { _format, lineage, serial, ledger, end } = serde_json::from_slice(bytes)?;
            if !end || (&lineage, serial) != (&ledger.lineage, ledger.serial) {
                return Err(LedgerFileError::Broken { line: 1, column: 1 });
            }
            Ok(ledger)
        }
        SEALED => Err(LedgerFileError::Sealed),
        found => Err(LedgerFileError::UnknownFormat { found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::ledger;
    use crate::stored::face_of;
    use windlass_model::{CertKind, CertName, LastNode, NodeName, NodeTarget, Role};

    #[test]
    fn a_ledger_reads_back_as_it_was_written_with_its_keys() {
        assert_eq!(decode(encode(&ledger()).expose()), Ok(ledger()));
    }

    #[test]
    fn another_format_is_refused() {
        let bytes = br#"{"format": 4, "ledger": {"keys": []}}"#;
        assert_eq!(decode(bytes), Err(LedgerFileError::UnknownFormat { found: 4 }));
    }

    #[test]
    fn the_first_and_the_last_line_are_meant_for_a_shell() {
        let bytes = encode(&ledger()).expose().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.lines().next(), Some(r#"{"format":2,"lineage":"blue","serial":7,"ledger":"#));
        assert!(text.ends_with("\n}\n,\"end\":true}\n"), "{text}");
        assert_eq!(text.matches("\n,").count(), 1, "no other line begins so");
    }

    #[test]
    fn a_ledger_of_format_1_is_read_and_its_copies_are_good() {
        let older = encode_v1(&ledger()).expose().clone();
        assert_eq!(decode(&older), Ok(ledger()));
        let (older, newer) = (Digest::of(older), Digest::of(encode(&ledger()).expose()));
        for (copies, wanted) in [
            (vec![], newer),
            (vec![older, older], older),
            (vec![older, newer], newer),
            (vec![Digest::of("another")], newer),
            (vec![Digest::of("another"), older], older),
        ] {
            assert_eq!(digest_of_copies(&ledger(), &copies), wanted, "{copies:?}");
        }
    }

    #[test]
    fn a_first_line_that_says_something_else_than_the_ledger_is_an_error() {
        let text = String::from_utf8(encode(&ledger()).expose().clone()).unwrap();
        for (from, to) in [("\"serial\":7,\"l", "\"serial\":8,\"l"), ("\"end\":true", "\"end\":false")] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            assert!(matches!(decode(changed.as_bytes()), Err(LedgerFileError::Broken { .. })));
        }
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
                "key": "PRIVATE",
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
        let issued_at = face_of(&ledger.certs["leaf"]).issued_at();
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
        leaf.desired.kind = CertKind::Leaf;
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
            LastNode { target, roles: [Role::Worker].into(), prefix: None, etcd: None },
        );
        assert_eq!(grown.roots(), Ledger { serial: 8, ..ledger() });
        assert_eq!(kept(&grown).digest, kept(&ledger()).digest);
        assert_eq!((kept(&grown).serial, kept(&ledger()).serial), (8, 7));
    }
}
