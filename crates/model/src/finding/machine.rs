//! What is wrong with a machine: found before anything is put on it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::foreign::Foreign;
use crate::component::Component;
use crate::host_report::ContainerdCri;
use crate::names::{FilePath, NodeName};
use crate::version::KubernetesVersion;

/// What is wrong with a machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum MachineFault {
    /// It has things that were created for another cluster.
    OfAnotherCluster {
        /// What was found.
        found: Foreign,
    },
    /// Somebody else's containers have the names that this cluster's need.
    NamesTaken {
        /// What was found.
        found: Foreign,
    },
    /// windlass' program is built for another architecture.
    Architecture {
        /// The machine's.
        machine: String,
        /// The program's.
        program: String,
    },
    /// Another process listens at ports that a component needs.
    PortsTaken {
        /// The ports.
        ports: BTreeSet<u16>,
        /// The component.
        component: Component,
    },
    /// The machine lacks an address that a component needs.
    AddressMissing {
        /// The address.
        address: IpAddr,
        /// The component.
        component: Component,
        /// The addresses that it has.
        has: BTreeSet<IpAddr>,
    },
    /// The machine lacks the address that cluster.yml gives it.
    AddressTranslated {
        /// The address.
        address: IpAddr,
        /// The addresses that it has.
        has: BTreeSet<IpAddr>,
    },
    /// Swap is on.
    SwapOn,
    /// Too little disk space for images.
    NoRoomForImages {
        /// Docker's directory.
        path: FilePath,
        /// Free bytes.
        free: u64,
        /// Needed bytes.
        needed: u64,
    },
    /// Too little disk space for etcd.
    NoRoomForEtcd {
        /// etcd's directory.
        path: String,
        /// Free bytes.
        free: u64,
        /// Needed bytes.
        needed: u64,
    },
    /// Less disk space than etcd's data may need.
    LittleRoomForEtcd {
        /// etcd's directory.
        path: String,
        /// Free bytes.
        free: u64,
        /// The quota in bytes.
        quota: u64,
    },
    /// Docker is too old for kubelet.
    DockerTooOld {
        /// Its version.
        version: String,
    },
    /// Docker is newer than any that is known to work with this Kubernetes.
    DockerUntried {
        /// Its version.
        version: String,
        /// Kubernetes'.
        kubernetes: KubernetesVersion,
        /// The newest known to work: major and minor version.
        newest: (u32, u32),
    },
    /// The kernel lacks settings.
    SettingsUnknown {
        /// The settings.
        settings: Vec<Arc<str>>,
        /// The modules that would provide them.
        modules: Vec<Arc<str>>,
    },
    /// cgroup v2, with a Kubernetes that supports it only in part.
    CgroupV2 {
        /// Kubernetes' version.
        kubernetes: KubernetesVersion,
    },
    /// cgroup v1, on which kubelet of this version does not start.
    CgroupV1 {
        /// kubelet's version.
        kubernetes: KubernetesVersion,
    },
    /// No control groups.
    NoCgroups,
    /// containerd is to run pods, and it does not serve kubelet.
    Containerd {
        /// What it does instead.
        serves: ContainerdCri,
    },
    /// kubelet is to reach Docker through cri-dockerd, and it does not listen.
    CriDockerd,
    /// Docker confines containers with `SELinux`.
    Selinux {
        /// Components that could not read their files on the machine.
        components: Vec<Component>,
    },
    /// Little memory.
    LittleMemory {
        /// Bytes that it has.
        has: u64,
        /// Bytes that it should have.
        wants: u64,
        /// Whether it is a control-plane node.
        control_plane: bool,
    },
    /// The clock is off.
    ClockOff {
        /// Seconds that it is ahead.
        ahead_seconds: i64,
        /// Compared with which clock.
        of: ClockOf,
    },
    /// It is the same machine as another node.
    SameMachine {
        /// The other node.
        other: NodeName,
    },
    /// It has the same host name as others.
    SameHostname {
        /// The name.
        hostname: String,
        /// The others.
        others: Vec<NodeName>,
    },
    /// It has the same machine id as others.
    SameMachineId {
        /// The others.
        others: Vec<NodeName>,
    },
    /// Others do not reach it.
    NotReachedBy {
        /// The others.
        others: Vec<NodeName>,
        /// Its address.
        address: String,
        /// The TCP ports.
        ports: BTreeSet<u16>,
        /// Their error.
        error: String,
    },
    /// It does not reach another node.
    DoesNotReach {
        /// The other.
        other: NodeName,
        /// That node's address.
        address: String,
        /// The TCP ports.
        ports: BTreeSet<u16>,
        /// Its error.
        error: String,
    },
}

/// A clock that others are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockOf {
    /// The operator's machine.
    Operator,
    /// Most nodes.
    Nodes,
}
