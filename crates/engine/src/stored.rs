//! The parts of a stored certificate, as files contain them, and what is public of it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use windlass_model::{CertFace, CertKind, CertPart, Digest, StoredCert};

/// One part of a certificate, as a file contains it.
pub fn part_of(cert: &StoredCert, part: CertPart) -> Cow<'_, str> {
    match part {
        CertPart::Certificate => Cow::Borrowed(&cert.certificate),
        CertPart::Key => Cow::Borrowed(cert.key.expose()),
        CertPart::Encryption => Cow::Owned(encryption_configuration(cert.key.expose(), Place::First)),
        CertPart::EncryptionBehind => Cow::Owned(encryption_configuration(cert.key.expose(), Place::Behind)),
    }
}

/// What is public of a certificate.
pub fn face_of(cert: &StoredCert) -> CertFace {
    let StoredCert { desired, certificate, key, issued_at, not_before, not_after, issuer } = cert;
    // Leaves are many, and none of them encrypts anything.
    let encryption = |place| {
        (desired.kind == CertKind::KeyPair).then(|| Digest::of(encryption_configuration(key.expose(), place)))
    };
    CertFace {
        desired: desired.clone(),
        issued_at: *issued_at,
        not_before: *not_before,
        not_after: *not_after,
        issuer: *issuer,
        certificate: Digest::of(certificate),
        key: Digest::of(key.expose()),
        encryption: encryption(Place::First),
        encryption_behind: encryption(Place::Behind),
    }
}

/// Where the key is among the providers.
#[derive(Clone, Copy)]
enum Place {
    /// Secrets are written with it.
    First,
    /// Secrets are written in plain text, and read with it too.
    Behind,
}

/// The configuration with which the API server encrypts Secrets, with one key that only the holder of this
/// private key can compute: its digest, which has the 32 bytes that AES-256 requires.
///
/// Unencrypted Secrets are still readable, as with RKE 1.
fn encryption_configuration(private_key: &str, place: Place) -> String {
    let digest = Digest::of(format!("encryption of Secrets\n{private_key}"));
    let secret = STANDARD.encode(digest.as_bytes());
    let key = format!(
        "  - aescbc:
      keys:
      - name: key-1
        secret: {secret}
"
    );
    let plain = "  - identity: {}\n".to_owned();
    let [first, second] = match place {
        Place::First => [key, plain],
        Place::Behind => [plain, key],
    };
    format!(
        "apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources:
  - secrets
  providers:
{first}{second}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_encrypts_secrets_stays_the_same_for_ever() {
        // printf 'encryption of Secrets\nkey' | sha256sum | xxd -r -p | base64
        let configuration = encryption_configuration("key", Place::First);
        let secret = configuration.lines().find_map(|line| line.trim().strip_prefix("secret: "));
        assert_eq!(secret, Some("9voKD+Sa/0ZgOPpfvCit8/uGyCgw/317Bb8i6emjKd8="));
    }
}
