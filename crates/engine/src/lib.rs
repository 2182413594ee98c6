//! Observes, executes a plan and converges, through ports; it knows no desired state and makes no decisions.

mod care;
mod containers;
mod converge;
mod credible;
mod disturbed;
mod etcd;
mod etcd_survey;
mod events;
mod execute;
mod files;
#[cfg(test)]
mod fixture;
mod gates;
mod guards;
mod interrupt;
mod keys;
pub mod label;
mod lease;
mod ledger_file;
mod limits;
mod mint;
mod node_objects;
mod objects;
mod observe;
mod ports;
mod ready;
mod restore;
mod run;
mod sealed;
mod step_error;
mod stored;

pub use care::{
    CareError, Cared, Defragmented, Disarmed, Led, defragment, disarm, make_leader, room_to_give,
};
pub use converge::{Conclusion, NotConverged, Options, Survey, converge, observe_and_plan};
pub use etcd_survey::survey_etcd;
pub use events::{Event, Listener, Silence};
pub use execute::{Execution, execute};
pub use interrupt::{Interrupt, Urgency};
pub use label::{Labelled, labels_of, read_labels};
pub use lease::{AnotherRun, with_leases};
pub use ledger_file::{LedgerFileError, decode, encode};
#[doc(hidden)]
pub use limits::GuardSwitch;
pub use limits::Limits;
pub use observe::{Observation, Recover, observe};
pub use ports::{
    Assignment, Clock, Etcd, EtcdCare, Eviction, FilePut, Fleet, Kube, Lease, Leases, LedgerStore, LookScope,
    Minter, NewContainer, Nodes, PodController, PodSeen, PortError, PortResult, Ports, Snapshots, Traces,
};
pub use sealed::RecoveryKey;
pub use stored::{face_of, part_of};
pub use windlass_model::End;
