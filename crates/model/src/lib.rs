//! The shared words of windlass and the documents that its stages hand on.
//!
//! ```text
//! ClusterSpec ─▶ Blueprint ─┐
//!                           ├─▶ Planning ─▶ Report
//!   machines ─▶ Inventory ──┘
//! ```
//!
//! Everything here is plain data: ordered collections, no clock, no files, no secrets but in [`Secret`].

mod action;
mod blueprint;
mod certificate;
mod container;
mod digest;
mod finding;
mod host_report;
mod intent;
mod inventory;
mod ledger;
mod names;
mod plan;
mod report;
mod secret;
mod time;
mod version;

pub use action::{Action, Gate, Guard, LedgerChange, ObjectChange, RestartWhen, Sign};
pub use blueprint::{
    Blueprint, BlueprintOrigins, ContainerWish, Content, DrainOptions, EtcdWish, FileWish, Footprint,
    Foundation, Holds, KernelWish, Limit, Mode, NodeTarget, NodeWish, Owner, Rollout, Taint,
};
pub use certificate::{CertKind, CertPart, CertWish, San, Usage};
pub use container::{Change, ContainerSpec, Difference, Loaded, OnChange, Origins, PidMode, Privilege};
pub use digest::{Digest, NotADigest};
pub use finding::{
    Cause, ClockOf, Fact, Finding, KeptByKubernetes, MachineFault, Note, Planning, Refusal, Subject, Waiting,
    WaitsFor, Weight,
};
pub use host_report::{HostReport, Meeting, Swap, ports_between};
pub use intent::{CertSelector, Intent, Snapshots};
pub use inventory::{
    ContainerSeen, ContainerState, EtcdData, EtcdSeen, FileSeen, Health, HostFacts, Inventory, KeptRoots,
    KubeSeen, LedgerCopy, Maker, MemberId, MemberSeen, NodeFacts, NodeObject, NodeSeen, Owned, Readiness,
    Scheduling, Vote,
};
pub use ledger::{Birth, CertFace, LastNode, Ledger, LedgerFace, StoredCert};
pub use names::{
    CertName, Component, ContainerName, FilePath, ImageRef, Lineage, NodeName, Role, Roles, SecretName,
    SpecPath,
};
pub use plan::{Because, Edge, FileDifference, Plan, Reason, Step, StepId};
pub use report::{End, Failure, Outcome, Report};
pub use secret::{HIDDEN, Secret, exposed};
pub use time::{NotATimestamp, Timestamp};
pub use version::{KubernetesVersion, NotAVersion};
