//! Secrets in etcd: the keys with which they are stored, and whether every serving API server can read them.

use std::collections::{BTreeMap, BTreeSet};

use windlass_engine::PortResult;
use windlass_model::{Cipher, Component, StoredSecrets};

use crate::at_rest::{AtRest, named};
use crate::invariants::ViolationKind;
use crate::process::Work;
use crate::world::World;

/// A cipher as [`named`] gives it.
fn in_words(cipher: &Cipher) -> String {
    if cipher.is_identity() {
        cipher.provider.to_string()
    } else {
        format!("{} {}", cipher.provider, cipher.name)
    }
}

/// An API server that serves.
struct Serving {
    machine: usize,
    cluster: u64,
    secrets: AtRest,
    /// When its process began.
    since: u64,
}

impl World {
    /// Every API server that serves stores Secrets, and must read all that are stored: where it cannot, each
    /// list and watch of Secrets through it fails.
    pub(crate) fn settle_secrets(&mut self) {
        let serving = self.serving();
        let now = self.now;
        for Serving { cluster, secrets, .. } in &serving {
            if let Some(cluster) = self.clusters.get_mut(cluster) {
                cluster.kube.stored.entry(secrets.writes().to_owned()).or_insert(now);
            }
        }
        let mut found = BTreeSet::new();
        for Serving { machine, cluster, secrets, since } in &serving {
            let Some(cluster) = self.clusters.get(cluster) else { continue };
            let unread = cluster.kube.stored.keys().filter(|way| !secrets.reads(way));
            found.extend(unread.map(|way| (*machine, *since, way.clone())));
        }
        let fresh: Vec<_> = found.difference(&self.run.unreadable).cloned().collect();
        self.run.unreadable = found;
        for (machine, _, way) in fresh {
            let name = &self.nodes[machine].name;
            let what = format!("the API server of {name} cannot read Secrets of {}", named(&way));
            self.violate(ViolationKind::Unreadable, what);
        }
        self.judge_note(&serving);
    }

    /// The ledger says with what all Secrets are stored: keys are taken away by it, so it must be true.
    fn judge_note(&mut self, serving: &[Serving]) {
        // An older copy from a backup is brought up to date before anything is planned.
        let newest = self.shelf.highest_serial();
        let ledger = self.ledger().filter(|ledger| ledger.serial == newest);
        let noted: BTreeSet<String> = match ledger.map(|ledger| &ledger.stored) {
            Some(StoredSecrets::By(cipher)) => BTreeSet::from([in_words(cipher)]),
            Some(StoredSecrets::Among(ciphers)) => ciphers.iter().map(in_words).collect(),
            Some(StoredSecrets::Unknown) | None => return,
        };
        let stored = serving.first().and_then(|serving| self.clusters.get(&serving.cluster));
        let other =
            stored.and_then(|cluster| cluster.kube.stored.keys().find(|way| !noted.contains(&named(way))));
        if let Some(other) = other.map(String::as_str).map(named) {
            if self.run.unnoted.insert(other.clone()) {
                let noted: Vec<String> = noted.into_iter().collect();
                let what = format!(
                    "the ledger says that all Secrets are of {}, and some are of {other}",
                    noted.join(" or ")
                );
                self.violate(ViolationKind::Unreadable, what);
            }
        } else {
            self.run.unnoted.clear();
        }
    }

    /// A page of Secrets is read and written again; with the last one, none is left as it was.
    pub(crate) fn rewrite_page(&mut self, is_last: bool) -> PortResult<Option<String>> {
        self.kube()?;
        if !is_last {
            return Ok(Some("the rest".to_owned()));
        }
        self.rewrite_secrets();
        Ok(None)
    }

    /// All Secrets are read and written again, by an API server that serves.
    pub(crate) fn rewrite_secrets(&mut self) {
        let now = self.now;
        for Serving { cluster, secrets, .. } in self.serving() {
            if let Some(cluster) = self.clusters.get_mut(&cluster) {
                cluster.kube.stored = BTreeMap::from([(secrets.writes().to_owned(), now)]);
            }
        }
        self.touch();
    }

    fn serving(&self) -> Vec<Serving> {
        let nodes = self.view.nodes.iter().enumerate();
        let serving = nodes.filter_map(|(machine, node)| {
            let container = self.nodes[machine].running(Component::KubeApiserver)?;
            let Work::Api(work) = &container.program.as_ref()?.work else { return None };
            let (secrets, since) = (work.secrets.clone(), container.since);
            Some(Serving { machine, cluster: node.api?, secrets, since })
        });
        serving.collect()
    }
}
