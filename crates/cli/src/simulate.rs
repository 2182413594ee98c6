//! Simulated machines: a world that is read from a file and written back.

use std::fs;
use std::path::{Path, PathBuf};

use windlass_engine::{LedgerStore, PortResult};
use windlass_model::Ledger;
use windlass_simulator::{MemoryLedger, SimClock, SimFleet, SymbolicMinter, World};

use crate::ledger_file::{FileLedger, write_durably};
use crate::trouble::Trouble;

/// A world from a file, behind the ports of the engine.
#[derive(Debug)]
pub(crate) struct Simulation {
    path: PathBuf,
    pub(crate) fleet: SimFleet,
    pub(crate) minter: SymbolicMinter,
    pub(crate) clock: SimClock,
}

impl Simulation {
    /// Reads the world of this file.
    pub(crate) fn open(path: &Path) -> Result<Self, Trouble> {
        let path = path.to_owned();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(Trouble::WorldUnreadable { path, source }),
        };
        match World::from_yaml(&text) {
            Ok(world) => {
                let fleet = SimFleet::new(world);
                let (minter, clock) = (SymbolicMinter::new(&fleet), SimClock::new(&fleet));
                Ok(Self { path, fleet, minter, clock })
            }
            Err(source) => Err(Trouble::NotAWorld { path, source }),
        }
    }

    /// The operator's copy of the ledger, of which the world hears too.
    ///
    /// The file may be ahead of the world, if the last run died before it wrote the world back.
    pub(crate) fn ledger(&self, file: FileLedger) -> Result<SimulatedLedger, Trouble> {
        let world = MemoryLedger::new(&self.fleet);
        let look = |source| Trouble::Look { source };
        let present = file.read().map_err(look)?;
        if let Some(ledger) = present.filter(|ledger| self.fleet.with(|world| world.ledger() != Some(ledger)))
        {
            world.commit(&ledger).map_err(look)?;
        }
        Ok(SimulatedLedger { file, world })
    }

    /// Writes the world back to its file.
    pub(crate) fn save(&self) -> Result<(), Trouble> {
        let path = || self.path.clone();
        let text =
            self.fleet.world().to_yaml().map_err(|source| Trouble::NotAWorld { path: path(), source })?;
        // It holds the keys of the simulated cluster, which open nothing.
        write_durably(&self.path, text.as_bytes(), None)
            .map_err(|source| Trouble::WorldUnwritable { path: path(), source })
    }

    /// What windlass must never do and did in this run, as the world saw it.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.fleet.with(|world| world.violations().iter().map(ToString::to_string).collect())
    }
}

/// The ledger as in a real run, in a file; the world takes note of what is durable, since it checks that
/// nothing leaves this machine before.
#[derive(Debug)]
pub(crate) struct SimulatedLedger {
    file: FileLedger,
    world: MemoryLedger,
}

impl LedgerStore for SimulatedLedger {
    fn read(&self) -> PortResult<Option<Ledger>> {
        self.file.read()
    }

    fn commit(&self, ledger: &Ledger) -> PortResult<()> {
        self.file.commit(ledger)?;
        self.world.commit(ledger)
    }

    fn delete(&self) -> PortResult<()> {
        self.file.delete()?;
        self.world.delete()
    }
}
