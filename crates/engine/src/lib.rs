//! Observes, executes a plan and converges, through ports; knows nothing of wishes and decides nothing.

mod containers;
mod converge;
mod etcd;
mod events;
mod execute;
mod files;
mod gates;
mod guards;
mod interrupt;
mod keys;
mod ledger_file;
mod node_objects;
mod observe;
mod ports;
mod ready;
mod run;
mod step_error;

pub use converge::{Conclusion, Options, Survey, converge, observe_and_plan};
pub use events::{Event, Listener, Silence};
#[doc(hidden)]
pub use execute::GuardSwitch;
pub use execute::{Execution, Limits, execute};
pub use interrupt::{Interrupt, Urgency};
pub use ledger_file::{LedgerFileError, decode, encode};
pub use observe::{Observation, Recover, observe};
pub use ports::{
    Assignment, Clock, Etcd, Eviction, FilePut, Fleet, Kube, LedgerStore, LookScope, Minter, NewContainer,
    Nodes, PodController, PodSeen, PortError, PortResult, Ports,
};
pub use windlass_model::End;
