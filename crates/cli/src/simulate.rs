//! Simulated machines: a world that is read from a file and written back.

use std::fs;
use std::path::{Path, PathBuf};

use windlass_engine::{LedgerStore, Listener, PortResult, Ports};
use windlass_model::Ledger;
use windlass_simulator::{
    FaultSchedule, MemoryLedger, RolloutRules, SimClock, SimFleet, SymbolicMinter, World,
};

use crate::command_error::CommandError;
use crate::ledger_file::{FileLedger, write_durably};
use crate::scene::{Run, Scene};

/// A world from a file, behind the ports of the engine.
#[derive(Debug)]
pub(crate) struct Simulation {
    path: PathBuf,
    fleet: SimFleet,
    ledger: SimulatedLedger,
    minter: SymbolicMinter,
    clock: SimClock,
}

impl Simulation {
    /// Reads the world of this file; the operator's copy of the ledger is in another, as in a real run.
    pub(crate) fn open(path: &Path, file: FileLedger) -> Result<Self, CommandError> {
        let path = path.to_owned();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(CommandError::WorldUnreadable { path, source }),
        };
        match World::from_yaml(&text) {
            Ok(world) => {
                let fleet = SimFleet::new(world);
                let (minter, clock) = (SymbolicMinter::new(&fleet), SimClock::new(&fleet));
                let ledger = SimulatedLedger::of(&fleet, file)?;
                Ok(Self { path, fleet, ledger, minter, clock })
            }
            Err(source) => Err(CommandError::NotAWorld { path, source }),
        }
    }

    /// Writes the world back to its file.
    fn save(&self) -> Result<(), CommandError> {
        let path = || self.path.clone();
        let text = self
            .fleet
            .world()
            .to_yaml()
            .map_err(|source| CommandError::NotAWorld { path: path(), source })?;
        // It holds the keys of the simulated cluster, which open nothing.
        write_durably(&self.path, text.as_bytes(), None)
            .map_err(|source| CommandError::WorldUnwritable { path: path(), source })
    }
}

impl Scene for Simulation {
    type Fleet = SimFleet;
    type Ledger = SimulatedLedger;
    type Minter = SymbolicMinter;
    type Clock = SimClock;

    fn ports(&self) -> Ports<'_, SimFleet, SimulatedLedger, SymbolicMinter, SimClock> {
        let Self { path: _, fleet, ledger, minter, clock } = self;
        Ports { fleet, ledger, minter, clock }
    }

    fn begin(&self, run: Run<'_>) {
        let rules = match (run.dismantles, run.restore) {
            (true, _) => RolloutRules::dismantle(),
            (false, Some(restore)) => RolloutRules::restore(run.blueprint, restore),
            (false, None) => RolloutRules::of(run.blueprint),
        };
        self.fleet.begin_run(rules, FaultSchedule::none());
    }

    fn listener(&self) -> &dyn Listener {
        &self.fleet
    }

    fn end(&self, run: Run<'_>, _ledger: Option<&Ledger>) -> Result<Vec<String>, CommandError> {
        if run.changed {
            self.save()?;
        }
        Ok(Vec::new())
    }

    fn remember(&self, run: Run<'_>) -> Result<(), CommandError> {
        if run.changed { self.save() } else { Ok(()) }
    }

    fn violations(&self) -> Vec<String> {
        self.fleet.with(|world| world.violations().iter().map(ToString::to_string).collect())
    }
}

/// The ledger as in a real run, in a file; the world records which ledger is stored, since it checks that
/// nothing leaves this machine before.
#[derive(Debug)]
pub(crate) struct SimulatedLedger {
    file: FileLedger,
    world: MemoryLedger,
}

impl SimulatedLedger {
    /// The file may be newer than the world, if the last run died before it wrote the world back.
    fn of(fleet: &SimFleet, file: FileLedger) -> Result<Self, CommandError> {
        let world = MemoryLedger::new(fleet);
        let look = |source| CommandError::Look { source };
        let present = file.read().map_err(look)?;
        if let Some(ledger) = present.filter(|ledger| fleet.with(|world| world.ledger() != Some(ledger))) {
            world.commit(&ledger).map_err(look)?;
        }
        Ok(Self { file, world })
    }
}

impl LedgerStore for SimulatedLedger {
    fn read(&self) -> PortResult<Option<Ledger>> {
        self.file.read()
    }

    fn commit(&self, ledger: &Ledger) -> PortResult<()> {
        self.file.commit(ledger)?;
        self.world.commit(ledger)
    }

    fn keep_recovery_key(&self, ledger: &Ledger) -> PortResult<()> {
        self.file.keep_recovery_key(ledger)
    }

    fn delete(&self) -> PortResult<()> {
        self.file.delete()?;
        self.world.delete()
    }
}
