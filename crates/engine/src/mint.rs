//! The steps that issue keys and certificates, and that commit, keep and delete the ledger.

use std::collections::BTreeMap;

use windlass_model::{
    Birth, CertKind, CertName, DesiredCert, Ledger, LedgerChange, StoredCert, StoredSecrets,
};

use crate::ledger_file::kept;
use crate::ports::{Clock, Fleet, LedgerStore, Minter};
use crate::run::Run;
use crate::sealed::sealed_roots;
use crate::step_error::{Doing, Done, StepError};

impl<F: Fleet, L: LedgerStore, M: Minter, C: Clock> Run<'_, F, L, M, C> {
    pub(crate) async fn mint_certs(&self, desired: &BTreeMap<CertName, DesiredCert>) -> Done {
        let now = self.ports.clock.now();
        let mut batch: BTreeMap<CertName, StoredCert> = BTreeMap::new();
        for name in issuers_first(desired)? {
            let desired = &desired[name];
            if desired.kind == CertKind::KeyPair && self.keys.has_committed(name) {
                // A plan that is carried out a second time: a key that others may use already stays.
                continue;
            }
            let issuer = match &desired.issuer {
                None => None,
                Some(issuer) => {
                    let stored = batch.get(issuer).cloned().or_else(|| self.keys.issuer(issuer));
                    let missing = || {
                        StepError::unfit(format!("`{name}` is to be signed by `{issuer}`, which is missing"))
                    };
                    Some(stored.ok_or_else(missing)?)
                }
            };
            let minted = self.ports.minter.mint(name, desired, issuer.as_ref(), now);
            batch.insert(name.clone(), minted.doing(|| format!("make `{name}`"))?);
            // Thousands of keys take time; other tasks, and an interrupt, must not wait for all of them.
            tokio::task::yield_now().await;
        }
        self.keys.lock().minted.extend(batch);
        Ok(())
    }

    pub(crate) fn commit_ledger(&self, change: &LedgerChange) -> Done {
        let LedgerChange { nodes, forget, forget_certs, foundation, born, first_members, restore, stored } =
            change;
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
        if restore.is_some() {
            next.restore.clone_from(restore);
            // Nobody knows with what the Secrets in a snapshot are stored.
            next.stored = StoredSecrets::Unknown;
        }
        if !first_members.is_empty() {
            next.first_members.clone_from(first_members);
        }
        if *born {
            next.born = Birth::Born;
            next.first_members.clear();
        }
        if let Some(stored) = stored {
            next.stored.clone_from(&**stored);
        }
        next.serial += 1;
        self.ports.ledger.commit(&next).doing(|| format!("commit the ledger as serial {}", next.serial))?;
        self.ports.fleet.entrust(&next);
        working.committed = Some(next);
        working.minted.clear();
        Ok(())
    }

    /// What is kept is read from the committed ledger, so it is on the operator's disk already; and the key that
    /// opens it is there before.
    pub(crate) async fn keep_roots(&self) -> Done {
        let roots = self.keys.lock().committed.as_ref().and_then(|ledger| {
            let content = sealed_roots(ledger)?;
            Some((self.ports.ledger.keep_recovery_key(ledger), kept(ledger), content))
        });
        let Some((is_openable, kept, content)) = roots else {
            return Err(StepError::unfit("there is no ledger with a CA to keep the roots of".to_owned()));
        };
        is_openable.doing(|| "keep the recovery key".to_owned())?;
        self.ports.fleet.keep_roots(&kept, &content).await.doing(|| "keep the ledger's roots".to_owned())
    }

    pub(crate) async fn drop_roots(&self) -> Done {
        let dropped = self.ports.fleet.drop_roots().await;
        dropped.doing(|| "delete what the cluster keeps of the ledger".to_owned())
    }

    pub(crate) fn forget_ledger(&self) -> Done {
        let mut working = self.keys.lock();
        self.ports.ledger.delete().doing(|| "delete the ledger".to_owned())?;
        working.committed = None;
        Ok(())
    }
}

/// The names of the desired certificates, each after its issuer if that is among them.
fn issuers_first(desired: &BTreeMap<CertName, DesiredCert>) -> Result<Vec<&CertName>, StepError> {
    let mut order: Vec<&CertName> = Vec::with_capacity(desired.len());
    let mut placed = std::collections::BTreeSet::new();
    for first in desired.keys() {
        // Up the chain of issuers that are still to be placed, then down again.
        let mut chain = Vec::new();
        let mut next = Some(first);
        while let Some((name, desired)) = next.and_then(|name| desired.get_key_value(name)) {
            if placed.contains(name) {
                break;
            }
            if chain.contains(&name) {
                return Err(StepError::unfit(format!("`{name}` is to be signed, in the end, by itself")));
            }
            chain.push(name);
            next = desired.issuer.as_ref();
        }
        placed.extend(chain.iter().copied());
        order.extend(chain.into_iter().rev());
    }
    Ok(order)
}
