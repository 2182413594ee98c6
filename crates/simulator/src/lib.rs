//! The fleet in memory: stricter than the real one, with faults, invariants and virtual time.
//!
//! ```text
//! SimFleet ── Nodes, Etcd, Kube ──▶ World ◀── Fault, Mischief
//!                                     │
//!                                     ├──▶ story    what happened, one line a verb
//!                                     └──▶ Violation  what windlass must never do, and did
//! ```

mod admission;
mod api_files;
mod arguments;
mod at_rest;
mod bucket;
mod care;
mod docker;
mod etcd;
mod etcd_places;
mod faults;
mod file;
mod files;
mod invariants;
mod kube;
mod kubelet_state;
mod leases;
mod ledger;
mod machine;
mod membership;
mod minter;
mod mischief;
mod objects;
mod ports;
mod process;
mod rolling;
mod run;
mod secrets;
mod snapshots;
mod story;
mod versions;
mod view;
mod world;

pub use faults::{Fault, FaultSchedule, How, When};
pub use file::NotAWorld;
pub use invariants::{Violation, ViolationKind};
pub use kube::Workload;
pub use ledger::MemoryLedger;
pub use minter::SymbolicMinter;
pub use mischief::Mischief;
pub use ports::{SimClock, SimFleet, run};
pub use run::RolloutRules;
pub use snapshots::Spoilt;
pub use world::{Fingerprint, Pace, World};
