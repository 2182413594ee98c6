//! Observes, executes a plan and converges, through ports; knows nothing of wishes and decides nothing.

mod events;
mod ports;

pub use events::{Event, Listener, Silence};
pub use ports::{
    Assignment, Clock, Etcd, Eviction, FilePut, Fleet, Kube, LedgerStore, LookScope, Minter, NewContainer,
    Nodes, PodController, PodSeen, PortError, PortResult, Ports,
};
