//! The ledger's roots as the cluster keeps them: encrypted, so that whoever may read Secrets reads no key.
//!
//! ```text
//! key of kube-ca ──HMAC──▶ recovery key ──AES-256-GCM──▶ {"format":3,"lineage":…,"serial":…,"nonce":…,"sealed":…}
//! ```
//!
//! Every holder of the ledger can compute the recovery key. The operator has it as a file too, for the day on
//! which no ledger is left but this one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use serde::{Deserialize, Serialize};
use windlass_model::{CertName, Ledger, Lineage, Secret};

use crate::ledger_file::{LedgerFileError, SEALED, decode, encode};

/// The CA from whose key the recovery key is derived. Every cluster has it.
const AUTHORITY: &str = "kube-ca";

/// What the recovery key is derived for: the same key gives other keys for other purposes.
const PURPOSE: &[u8] = b"windlass: the ledger in the cluster";

/// The first word of the file that holds a recovery key.
const FILE_WORD: &str = "windlass-recovery-1";

/// The key that opens what the cluster keeps of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryKey {
    lineage: Lineage,
    key: Secret<[u8; 32]>,
}

/// A sealed ledger. What is outside the seal is protected against changes too.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    format: u64,
    lineage: Lineage,
    serial: u64,
    nonce: String,
    sealed: String,
}

impl Envelope {
    fn context(&self) -> Vec<u8> {
        format!("windlass ledger {SEALED} {} {}", self.serial, self.lineage).into_bytes()
    }
}

impl RecoveryKey {
    /// The recovery key of this ledger; none before it has a CA.
    pub fn of(ledger: &Ledger) -> Option<Self> {
        let authority = ledger.certs.get(&CertName::from(AUTHORITY))?;
        let private = hmac::Key::new(hmac::HMAC_SHA256, authority.key.expose().as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(hmac::sign(&private, PURPOSE).as_ref());
        Some(Self { lineage: ledger.lineage.clone(), key: Secret::new(key) })
    }

    /// The identity of the cluster whose ledger it opens.
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// The content of its file: one line.
    pub fn text(&self) -> Secret<String> {
        Secret::new(format!("{FILE_WORD} {} {}\n", self.lineage, STANDARD.encode(self.key.expose())))
    }

    /// The recovery key in the text of a file; none if there is none in it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (word, lineage, key) = (words.next()?, words.next()?, words.next()?);
        if word != FILE_WORD || words.next().is_some() {
            return None;
        }
        let key = STANDARD.decode(key).ok()?.try_into().ok()?;
        Some(Self { lineage: Lineage::from(lineage), key: Secret::new(key) })
    }

    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM, self.key.expose()).expect("the key has 32 bytes");
        LessSafeKey::new(key)
    }

    /// The nonce for this text: equal only for equal texts, so that no randomness is needed and equal ledgers
    /// give equal bytes.
    fn nonce(&self, context: &[u8], text: &[u8]) -> [u8; NONCE_LEN] {
        let mut signed = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.key.expose()));
        signed.update(&(context.len() as u64).to_be_bytes());
        signed.update(context);
        signed.update(text);
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&signed.sign().as_ref()[..NONCE_LEN]);
        nonce
    }

    /// A ledger as only the holders of this key can read it.
    pub fn seal(&self, ledger: &Ledger) -> Secret<Vec<u8>> {
        let mut text = encode(ledger).expose().clone();
        let mut envelope = Envelope {
            format: SEALED,
            lineage: ledger.lineage.clone(),
            serial: ledger.serial,
            nonce: String::new(),
            sealed: String::new(),
        };
        let context = envelope.context();
        let nonce = self.nonce(&context, &text);
        self.cipher()
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&context), &mut text)
            .expect("a ledger is far below the 64 GiB that the cipher takes");
        envelope.nonce = STANDARD.encode(nonce);
        envelope.sealed = STANDARD.encode(&text);
        let mut bytes = serde_json::to_vec(&envelope).expect("an envelope is plain data");
        bytes.push(b'\n');
        Secret::new(bytes)
    }

    /// The ledger in a sealed one.
    ///
    /// # Errors
    /// It is not sealed by this key, was changed, or is no sealed ledger.
    pub fn open(&self, bytes: &[u8]) -> Result<Ledger, LedgerFileError> {
        let envelope: Envelope = serde_json::from_slice(bytes)?;
        let open = || {
            let nonce = STANDARD.decode(&envelope.nonce).ok()?.try_into().ok()?;
            let mut text = STANDARD.decode(&envelope.sealed).ok()?;
            let (nonce, context) = (Nonce::assume_unique_for_key(nonce), envelope.context());
            let length = self.cipher().open_in_place(nonce, Aad::from(&context), &mut text).ok()?.len();
            text.truncate(length);
            Some(text)
        };
        let text = open().ok_or(LedgerFileError::OtherKey)?;
        decode(&text)
    }
}

/// The roots of a ledger as the cluster keeps them; none before it has a CA.
pub(crate) fn sealed_roots(ledger: &Ledger) -> Option<Secret<Vec<u8>>> {
    Some(RecoveryKey::of(ledger)?.seal(&ledger.roots()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::ledger;

    fn sealed(ledger: &Ledger) -> Vec<u8> {
        sealed_roots(ledger).unwrap().expose().clone()
    }

    #[test]
    fn the_holder_of_the_recovery_key_opens_it_and_nobody_reads_a_key_in_it() {
        let (key, bytes) = (RecoveryKey::of(&ledger()).unwrap(), sealed(&ledger()));
        assert_eq!(key.open(&bytes), Ok(ledger()));
        assert_eq!(RecoveryKey::parse(key.text().expose()).unwrap().open(&bytes), Ok(ledger()));
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("PRIVATE") && !text.contains(&STANDARD.encode("PRIVATE")), "{text}");
        assert!(!format!("{key:?}").contains(&STANDARD.encode(key.key.expose())));
    }

    #[test]
    fn equal_ledgers_are_sealed_alike_and_others_by_another_nonce() {
        assert_eq!(sealed(&ledger()), sealed(&ledger()));
        let next = Ledger { serial: 8, ..ledger() };
        let nonce = |bytes: Vec<u8>| serde_json::from_slice::<Envelope>(&bytes).unwrap().nonce;
        assert_ne!(nonce(sealed(&ledger())), nonce(sealed(&next)));
    }

    #[test]
    fn a_sealed_ledger_of_another_key_or_that_was_changed_is_an_error() {
        let mut other = ledger();
        other.certs.get_mut(&CertName::from(AUTHORITY)).unwrap().key = Secret::new("OTHER".to_owned());
        let other = RecoveryKey::of(&other).unwrap();
        assert_eq!(other.open(&sealed(&ledger())), Err(LedgerFileError::OtherKey));
        let text = String::from_utf8(sealed(&ledger())).unwrap();
        let key = RecoveryKey::of(&ledger()).unwrap();
        for (from, to) in [("\"serial\":7", "\"serial\":9"), ("\"blue\"", "\"red\"")] {
            assert_eq!(key.open(text.replacen(from, to, 1).as_bytes()), Err(LedgerFileError::OtherKey));
        }
    }

    #[test]
    fn without_the_key_a_sealed_ledger_says_that_it_is_one() {
        assert_eq!(decode(&sealed(&ledger())), Err(LedgerFileError::Sealed));
    }

    #[test]
    fn the_recovery_key_of_a_cluster_stays_the_same_for_ever() {
        // printf 'windlass: the ledger in the cluster' | openssl dgst -sha256 -hmac PRIVATE -binary | base64
        let text = RecoveryKey::of(&ledger()).unwrap().text().expose().clone();
        assert_eq!(text, "windlass-recovery-1 blue ym5cJCIUIGEE9RWIq/nKnYHjEtWYSV/R7DsVYjTMDZ4=\n");
    }
}
