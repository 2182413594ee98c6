//! The real fleet: one OpenSSH connection for each node, and everything through it.
//!
//! ```text
//! RemoteFleet ─ Machine ─ Link ─┬─ ssh, one process ─┬─ forward ─▶ Docker's socket      bollard
//!                               │                    ├─ forward ─▶ ports of components  probes, etcd, Kubernetes
//!                               │                    └─ command ─▶ facts for anybody
//!                               ├─ kubelet's container, a command in it ─▶ files as root sees them
//!                               └─ windlass/node, a container for one request ─▶ files, mounts
//! ```

mod aide;
mod clock;
mod docker;
mod docker_error;
mod etcd;
mod etcd_care;
mod etcd_places;
mod facts;
mod fleet;
mod health;
mod https;
mod image;
mod kept_leases;
mod keys;
mod kube;
mod labels;
mod leases;
mod left_overs;
mod link;
mod look;
mod master;
mod metrics;
mod nodes;
mod objects;
mod pods;
mod preflight;
mod rehearsal;
mod render;
mod room;
mod secrets;
mod seen;
mod settings;
mod snapshots;
mod through_kubelet;

pub use clock::SystemClock;
pub use fleet::{MachineStats, RemoteFleet, Stats};
pub use image::ImageError;
pub use settings::{Access, Agent, Bastion, HostKeys, KeySource, Settings};
