//! The keys of a run: created in memory, committed to the ledger, and used only after that.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use windlass_model::{CertName, CertPart, Content, Ledger, Lineage, Secret, StoredCert};

use crate::ledger_file::encode;
use crate::step_error::StepError;
use crate::stored::part_of;

/// The ledger while a plan is carried out.
///
/// *Guarantees*: [`Keys::content`] returns nothing that a stored ledger does not contain.
#[derive(Debug)]
pub(crate) struct Keys(Mutex<Working>);

/// What [`Keys`] protects.
pub(crate) struct Working {
    /// The ledger as the store last confirmed it.
    pub(crate) committed: Option<Ledger>,
    /// What is issued and not yet committed.
    pub(crate) minted: BTreeMap<CertName, StoredCert>,
    /// The identity for a first ledger, kept so that a second try at its commit writes the same one.
    pub(crate) lineage: Option<Lineage>,
}

impl std::fmt::Debug for Working {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Working")
            .field("committed", &self.committed)
            .field("minted", &self.minted.keys())
            .finish_non_exhaustive()
    }
}

impl Keys {
    pub(crate) fn new(committed: Option<Ledger>) -> Self {
        Self(Mutex::new(Working { committed, minted: BTreeMap::new(), lineage: None }))
    }

    pub(crate) fn into_committed(self) -> Option<Ledger> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).committed
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Working> {
        // Every change of it is a single assignment, so a panic elsewhere leaves it complete.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The identity of these keys, as far as the disk has it.
    pub(crate) fn lineage(&self) -> Option<Lineage> {
        self.lock().committed.as_ref().map(|ledger| ledger.lineage.clone())
    }

    /// Whether the committed ledger has this certificate or key.
    pub(crate) fn has_committed(&self, name: &CertName) -> bool {
        self.lock().committed.as_ref().is_some_and(|ledger| ledger.certs.contains_key(name))
    }

    /// A certificate for signing others: the newest, committed or not, since signing does not reveal it.
    pub(crate) fn issuer(&self, name: &CertName) -> Option<StoredCert> {
        let working = self.lock();
        let committed = || working.committed.as_ref()?.certs.get(name);
        working.minted.get(name).or_else(committed).cloned()
    }

    /// The content of a file, if it may leave this machine.
    pub(crate) fn content(
        &self,
        content: &Content,
        secret: impl FnOnce(&windlass_model::SecretName) -> Option<Secret<String>>,
    ) -> Result<Secret<Vec<u8>>, StepError> {
        match content {
            Content::Text(text) => Ok(Secret::new(text.as_bytes().to_vec())),
            Content::Secret(name) => secret(name)
                .map(|secret| Secret::new(secret.expose().clone().into_bytes()))
                .ok_or_else(|| StepError::unfit(format!("the secret `{name}` is not in cluster.yml"))),
            Content::Cert { cert, part } => self.committed_part(cert, *part),
            Content::Ledger => self
                .lock()
                .committed
                .as_ref()
                .map(encode)
                .ok_or_else(|| StepError::unfit("there is no ledger yet that a copy could be written of")),
        }
    }

    /// A certificate or key from the committed ledger, never one that a crash could lose.
    fn committed_part(&self, cert: &CertName, part: CertPart) -> Result<Secret<Vec<u8>>, StepError> {
        let working = self.lock();
        if working.minted.contains_key(cert) {
            let what =
                format!("`{cert}` is made but not yet in the ledger, so it must not leave this machine");
            return Err(StepError::unfit(what));
        }
        working
            .committed
            .as_ref()
            .and_then(|ledger| ledger.certs.get(cert))
            .map(|stored| Secret::new(part_of(stored, part).as_bytes().to_vec()))
            .ok_or_else(|| StepError::unfit(format!("`{cert}` is not in the ledger")))
    }
}
