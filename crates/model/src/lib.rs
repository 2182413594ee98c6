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
mod component;
mod conduct;
mod container;
mod digest;
mod finding;
mod footprint;
mod foundation;
mod host_report;
mod intent;
mod inventory;
mod ledger;
mod names;
mod pairs;
mod permission;
mod plan;
mod replay;
mod report;
mod secret;
mod target;
mod time;
mod version;
mod words;

pub use action::{Action, Gate, Guard, LedgerChange, ObjectChange, RestartWhen, Sign};
pub use blueprint::{
    Blueprint, BlueprintOrigins, ContainerWish, Content, DrainOptions, EtcdWish, FileWish, KernelWish, Limit,
    NodeWish, Rollout, Taint,
};
pub use certificate::{BACKDATED_SECONDS, CertKind, CertPart, CertWish, San, Usage};
pub use component::{
    API_SERVER_PORT, Asked, Component, ETCD_CLIENT_PORT, ETCD_PEER_PORT, Listening, Manner, Nature, Runs,
    SUCCESSOR,
};
pub use conduct::{Conduct, KernelDefaults, OnSwap, Probe, SecretsAtRest, Settings, listens};
pub use container::{Change, ContainerSpec, Difference, Loaded, OnChange, Origins, Part, PidMode, Privilege};
pub use digest::{Digest, NotADigest};
pub use finding::{
    Cause, ClockOf, Finding, KeptByKubernetes, MachineFault, Note, Planning, Refusal, Subject, Waiting,
    WaitsFor, Weight,
};
pub use footprint::{Elsewhere, Footprint, Footprints, Holds};
pub use foundation::{EtcdPlace, Fact, Foundation};
pub use host_report::{HostReport, Meeting, Swap, ports_between};
pub use intent::{CertSelector, Intent, Reissue, Snapshots};
pub use inventory::{
    ContainerSeen, ContainerState, EtcdData, EtcdSeen, FileSeen, Health, HostFacts, Inventory, KeptRoots,
    KubeSeen, LedgerCopy, Maker, MemberId, MemberSeen, NodeFacts, NodeObject, NodeSeen, Owned, Readiness,
    Scheduling, Vote,
};
pub use ledger::{Birth, CertFace, Ledger, LedgerFace, StoredCert};
pub use names::{
    CertName, ContainerName, FilePath, ImageRef, Lineage, NodeName, Prefix, Role, Roles, SecretName, SpecPath,
};
pub use permission::{Mode, Owner};
pub use plan::{Because, Edge, FileDifference, Plan, Reason, Step, StepId};
pub use replay::{Replay, ReplaySchema};
pub use report::{End, Failure, Outcome, Report};
pub use secret::{HIDDEN, Secret, exposed};
pub use target::{LastNode, NodeTarget};
pub use time::{NotATimestamp, Timestamp};
pub use version::{DEFAULT_KUBERNETES, KubernetesVersion, NotAVersion};
pub use words::{counted, row_of};
