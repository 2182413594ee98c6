//! The operator's copy of the ledger, in memory, so that it can be lost and reset to an older state.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_engine::{LedgerStore, PortResult};
use windlass_model::{FilePath, Ledger};

use crate::invariants::Deed;
use crate::ports::SimFleet;
use crate::story::Object;
use crate::world::World;

/// The part of the operator's disk with the ledger.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Shelf {
    pub(crate) present: Option<Arc<Ledger>>,
    /// Earlier states, oldest first.
    #[serde(skip)]
    former: Vec<Arc<Ledger>>,
    /// The highest serial that was ever stored.
    highest: u64,
}

impl Shelf {
    pub(crate) fn is_empty(&self) -> bool {
        self.present.is_none() && self.highest == 0
    }

    pub(crate) fn highest_serial(&self) -> u64 {
        self.highest
    }

    pub(crate) fn lose(&mut self) {
        self.present = None;
    }

    /// The copy is reset to its state before the last commit, as from a backup.
    pub(crate) fn age(&mut self) {
        if let Some(former) = self.former.pop() {
            self.present = Some(former);
        }
    }
}

impl World {
    pub(crate) fn commit(&mut self, ledger: &Ledger) {
        for (name, cert) in &ledger.certs {
            let digest = self.keys.learn(name, cert);
            self.keys.make_durable(digest);
        }
        self.shelf.highest = self.shelf.highest.max(ledger.serial);
        if let Some(former) = self.shelf.present.replace(Arc::new(ledger.clone())) {
            self.shelf.former.push(former);
        }
    }

    /// The operator's copy of the ledger.
    pub fn ledger(&self) -> Option<&Ledger> {
        self.shelf.present.as_deref()
    }

    /// Whether a machine holds a copy of this very ledger, so that writing it to the operator's disk only
    /// recovers it.
    pub(crate) fn is_brought_back(&self, ledger: &Ledger) -> bool {
        let copies = |path: &FilePath| {
            let files = self.nodes.iter().filter_map(|node| node.files.get(path));
            files.filter_map(|file| crate::files::ledger_copy(file)).collect::<Vec<_>>()
        };
        self.run
            .ledger_paths
            .iter()
            .flat_map(copies)
            .any(|copy| copy.lineage == ledger.lineage && copy.serial >= ledger.serial)
    }
}

/// The operator's copy of the ledger, in memory.
#[derive(Clone, Debug)]
pub struct MemoryLedger {
    fleet: SimFleet,
}

impl MemoryLedger {
    /// The operator's disk of this world.
    pub fn new(fleet: &SimFleet) -> Self {
        Self { fleet: fleet.clone() }
    }
}

impl LedgerStore for MemoryLedger {
    fn read(&self) -> PortResult<Option<Ledger>> {
        self.fleet.with(|world| Ok(world.ledger().cloned()))
    }

    fn commit(&self, ledger: &Ledger) -> PortResult<()> {
        let object = Object::Text(format!("serial {}", ledger.serial).into());
        self.fleet.on_operators_machine("commit", object, Deed::Commit { ledger }, |world| {
            world.commit(ledger);
            Ok(())
        })
    }

    fn keep_recovery_key(&self, _: &Ledger) -> PortResult<()> {
        Ok(())
    }

    fn delete(&self) -> PortResult<()> {
        self.fleet.on_operators_machine("forget", Object::Nothing, Deed::DeleteLedger, |world| {
            world.shelf.lose();
            Ok(())
        })
    }
}
