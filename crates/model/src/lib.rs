//! The shared vocabulary of windlass and the documents that its stages pass on.
//!
//! ```text
//! ClusterSpec ─▶ Blueprint ─┐
//!                           ├─▶ Planning ─▶ Report
//!   machines ─▶ Inventory ──┘
//! ```
//!
//! Everything here is plain data: ordered collections, no clock, no files, no secrets except in [`Secret`].

mod action;
mod blueprint;
mod bucket;
mod certificate;
mod ciphers;
mod component;
mod conduct;
mod container;
mod digest;
mod ending;
mod etcd_places;
mod etcd_survey;
mod etcd_version;
mod finding;
mod footprint;
mod foundation;
mod host_report;
mod intent;
mod inventory;
mod kubelet_shares;
mod ledger;
mod member_report;
mod names;
mod objects;
mod pairs;
mod permission;
mod plan;
mod pod_runtime;
mod reason;
mod rehearsal;
mod replay;
mod report;
mod rolling;
mod secret;
mod snapshot;
mod target;
mod time;
mod version;
mod words;

pub use action::{Action, Gate, Guard, LedgerChange, ObjectChange, PodNetwork, RestartWhen, Sign};
pub use blueprint::{
    BeforeUpgrade, Blueprint, BlueprintOrigins, Content, DesiredContainer, DesiredEtcd, DesiredFile,
    DesiredKernel, DesiredNode, DrainOptions, Emptied, LedgerInCluster, Limit, LogSnapshots, Rollout, Taint,
};
pub use bucket::{BucketPlace, InBucket};
pub use certificate::{BACKDATED_SECONDS, CA_BACKDATED_SECONDS, CertKind, CertPart, DesiredCert, San, Usage};
pub use ciphers::{Cipher, Ciphers, ENCRYPTION_FILE, KeysPhase, SECRETS, StoredSecrets};
pub use component::{
    API_SERVER_PORT, Asked, Component, ETCD_CLIENT_PORT, ETCD_PEER_PORT, Listening, Manner, Nature, Runs,
    SUCCESSOR,
};
pub use conduct::{
    Conduct, ETCD_QUOTA, KernelDefaults, OnCgroupV1, OnSwap, Probe, SecretsAtRest, Settings, listens,
};
pub use container::{
    Change, ContainerSpec, Difference, Loaded, OnChange, Origins, Part, PidMode, Privilege, clean,
};
pub use digest::{Digest, NotADigest};
pub use ending::{Ending, Outlook};
pub use etcd_places::{EtcdData, EtcdElsewhere, EtcdPlaces, aside_of};
pub use etcd_survey::{EtcdNodeSeen, EtcdProblem, EtcdSurvey, NEARLY_FULL, SurveyedMember};
pub use etcd_version::{EtcdVersion, tag_of};
pub use finding::{
    Cause, ChainWaits, ClockOf, Finding, Foreign, KeptByKubernetes, MachineFault, MadeBy, NotGone, Note,
    Planning, Refusal, RestartObstacle, RestoreRefused, Subject, Waiting, WaitsFor, Weight,
};
pub use footprint::{Elsewhere, Footprint, Footprints, Holds};
pub use foundation::{EtcdPlace, Fact, Foundation, LocalPorts};
pub use host_report::{ContainerdCri, CriDockerd, HostReport, Meeting, Selinux, Swap, ports_between};
pub use intent::{CertSelector, Intent, Recovery, Reissue, Restore, Snapshots};
pub use inventory::{
    Alarm, ContainerSeen, ContainerState, EtcdLogSeen, EtcdSeen, FileSeen, Health, HostFacts, Inventory,
    KeptForm, KeptRoots, KubeSeen, LedgerCopy, Maker, MemberId, MemberSeen, NodeFacts, NodeObject, NodeSeen,
    Owned, Readiness, Scheduling, Unasked, Vote,
};
pub use kubelet_shares::{
    KUBELET_STATE_FILES, KUBELETS_OWN, KubeletShares, kubelet_root, kubelet_state_files,
};
pub use ledger::{Birth, CertFace, Ledger, LedgerFace, StoredCert};
pub use member_report::{Latency, ListedMember, MemberReport};
pub use names::{
    CertName, ContainerName, FilePath, ImageRef, Lineage, NodeName, Prefix, Role, Roles, SecretName, SpecPath,
};
pub use objects::{
    ADDON_LABEL, APPLIED, AddonKind, DesiredAddon, DesiredObject, FOUND, FieldDifference, ObjectRef,
    ObjectSeen, ObjectsSeen, PodsReady, is_ours,
};
pub use permission::{Mode, Owner};
pub use plan::{Because, Edge, Plan, Step, StepId};
pub use pod_runtime::{
    CONTAINERD_CONFIG, CONTAINERD_SOCKET, CRI_DOCKERD_SOCKET, DOCKERSHIM_SOCKET, PodRuntime,
};
pub use reason::{
    CertDifference, FileDifference, LedgerNews, NodeObjectDifference, ObjectDifference, Reason,
};
pub use rehearsal::{ApiServerTrial, Rehearsal, Rehearsed, SecretsRead};
pub use replay::{Replay, ReplaySchema};
pub use report::{End, Failure, Outcome, Report};
pub use rolling::{
    CopiesJournal, DAMAGED_EXTENSION, FailedSnapshot, ROLLING_JOURNAL, RollingFault, RollingJournal,
    RollingSeen, rolling_interval, rolling_moment, rolling_name,
};
pub use secret::{HIDDEN, Secret, exposed};
pub use snapshot::{
    ChosenSnapshot, MemberRestore, RESTORED_MARK, RKE_ARCHIVE_EXTENSION, RestoreNote, SNAPSHOT_EXTENSION,
    STAGING, SnapshotProof, SnapshotSeen, SnapshotState, SnapshotWanted, unpacked_name,
};
pub use target::{LastNode, NodeTarget};
pub use time::{NotATimestamp, Timestamp};
pub use version::{DEFAULT_KUBERNETES, KubernetesVersion, NotAVersion};
pub use words::{counted, row_of};
