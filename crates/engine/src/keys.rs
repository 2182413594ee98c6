//! Keys and certificates: minted in memory, committed to the ledger, and only then let out.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use windlass_model::{
    Birth, CertName, CertPart, CertWish, Content, Ledger, LedgerChange, Lineage, Secret, StoredCert,
};

use crate::ledger_file::{encode, kept};
use crate::ports::{Clock, Fleet, LedgerStore, Minter};
use crate::run::Run;
use crate::step_error::{Doing, Done, StepError};
use crate::stored::part_of;

/// The ledger while a plan is carried out.
///
/// *Guarantees*: [`Keys::content`] gives out nothing that a durable ledger does not hold.
#[derive(Debug)]
pub(crate) struct Keys(Mutex<Working>);

struct Working {
    /// The ledger as the store last confirmed it.
    committed: Option<Ledger>,
    /// What is minted and not yet committed.
    minted: BTreeMap<CertName, StoredCert>,
    /// The identity for a first ledger, kept so that a second try at its commit writes the same one.
    lineage: Option<Lineage>,
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

    fn lock(&self) -> MutexGuard<'_, Working> {
        // Every change of it is a single assignment, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A certificate for signing others: the newest, committed or not, since signing gives nothing out.
    fn issuer(&self, name: &CertName) -> Option<StoredCert> {
        let working = self.lock();
        let committed = || working.committed.as_ref()?.certs.get(name);
        working.minted.get(name).or_else(committed).cloned()
    }

    /// What belongs into a file, if it may leave this machine.
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

    /// A certificate or key out of the committed ledger, never one that a crash could lose.
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

impl<F: Fleet, L: LedgerStore, M: Minter, C: Clock> Run<'_, F, L, M, C> {
    pub(crate) async fn mint_certs(&self, wishes: &BTreeMap<CertName, CertWish>) -> Done {
        let now = self.ports.clock.now();
        let mut batch: BTreeMap<CertName, StoredCert> = BTreeMap::new();
        for name in issuers_first(wishes)? {
            let wish = &wishes[name];
            let issuer = match &wish.issuer {
                None => None,
                Some(issuer) => {
                    let stored = batch.get(issuer).cloned().or_else(|| self.keys.issuer(issuer));
                    let missing = || {
                        StepError::unfit(format!("`{name}` is to be signed by `{issuer}`, which is missing"))
                    };
                    Some(stored.ok_or_else(missing)?)
                }
            };
            let minted = self.ports.minter.mint(name, wish, issuer.as_ref(), now);
            batch.insert(name.clone(), minted.doing(|| format!("make `{name}`"))?);
            // Thousands of keys take their time; others, and an interrupt, must not wait for all of them.
            tokio::task::yield_now().await;
        }
        self.keys.lock().minted.extend(batch);
        Ok(())
    }

    pub(crate) fn commit_ledger(&self, change: &LedgerChange) -> Done {
        let LedgerChange { nodes, forget, forget_certs, foundation, born } = change;
        let mut working = self.keys.lock();
        let mut next = match &working.committed {
            Some(ledger) => ledger.clone(),
            None => Ledger::new(working.lineage.get_or_insert_with(|| self.ports.minter.lineage()).clone()),
        };
        next.nodes.retain(|node, _| !forget.contains(node));
        next.nodes.extend(nodes.clone());
        next.certs.retain(|cert, _| !forget_certs.contains(cert));
        next.certs.extend(working.minted.clone());
        if foundation.is_some() {
            next.foundation.clone_from(foundation);
        }
        if *born {
            next.born = Birth::Born;
        }
        next.serial += 1;
        self.ports.ledger.commit(&next).doing(|| format!("commit the ledger as serial {}", next.serial))?;
        self.ports.fleet.entrust(&next);
        working.committed = Some(next);
        working.minted.clear();
        Ok(())
    }

    /// What is kept is read back from the committed ledger, so it is on the operator's disk already.
    pub(crate) async fn keep_roots(&self) -> Done {
        let roots = self.keys.lock().committed.as_ref().map(|ledger| (kept(ledger), encode(&ledger.roots())));
        let Some((kept, content)) = roots else {
            return Err(StepError::unfit("there is no ledger to keep the roots of".to_owned()));
        };
        self.ports.fleet.keep_roots(&kept, &content).await.doing(|| "keep the ledger's roots".to_owned())
    }

    pub(crate) fn forget_ledger(&self) -> Done {
        let mut working = self.keys.lock();
        self.ports.ledger.delete().doing(|| "delete the ledger".to_owned())?;
        working.committed = None;
        Ok(())
    }
}

/// The names of the wishes, each after its issuer if that is among them.
fn issuers_first(wishes: &BTreeMap<CertName, CertWish>) -> Result<Vec<&CertName>, StepError> {
    let mut order: Vec<&CertName> = Vec::with_capacity(wishes.len());
    let mut placed = std::collections::BTreeSet::new();
    for first in wishes.keys() {
        // Up the chain of issuers that are still to be placed, then down again.
        let mut chain = Vec::new();
        let mut next = Some(first);
        while let Some((name, wish)) = next.and_then(|name| wishes.get_key_value(name)) {
            if placed.contains(name) {
                break;
            }
            if chain.contains(&name) {
                return Err(StepError::unfit(format!("`{name}` is to be signed, in the end, by itself")));
            }
            chain.push(name);
            next = wish.issuer.as_ref();
        }
        placed.extend(chain.iter().copied());
        order.extend(chain.into_iter().rev());
    }
    Ok(order)
}
