//! The fleet in memory: stricter than the real one, with faults, invariants and virtual time.
//!
//! ```text
//! SimFleet ── Nodes, Etcd, Kube ──▶ World ◀── Fault, Mischief
//!                                     │
//!                                     ├──▶ story    what happened, one line a verb
//!                                     └──▶ Violation  what windlass must never do, and did
//! ```

mod docker;
mod etcd;
mod faults;
mod file;
mod files;
mod invariants;
mod kube;
mod ledger;
mod machine;
mod minter;
mod ports;
mod process;
mod run;
mod story;
mod versions;
mod view;
mod world;

pub use faults::{Fault, FaultSchedule, How, Mischief, When};
pub use file::NotAWorld;
pub use invariants::{Violation, ViolationKind};
pub use kube::Workload;
pub use ledger::MemoryLedger;
pub use minter::SymbolicMinter;
pub use ports::{SimClock, SimFleet, run};
pub use run::RolloutRules;
pub use world::{Fingerprint, Pace, World};
