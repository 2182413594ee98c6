//! What a machine tells of itself before anything is changed on it: what a preflight judges.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::component::{API_SERVER_PORT, ETCD_CLIENT_PORT, ETCD_PEER_PORT};
use crate::names::{FilePath, Role, Roles};

/// A machine as an unprivileged user sees it. What could not be read is empty or absent, never guessed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostReport {
    /// The name that it gives itself.
    pub hostname: String,
    /// The id that tells it from all others, of which copied machines have the same.
    pub machine_id: String,
    /// Its architecture, such as `x86_64`.
    pub architecture: String,
    /// The architecture of windlass' own program, which is carried there; empty where nothing is carried.
    pub program: String,
    /// The release of its kernel.
    pub kernel: String,
    /// The version of its Docker.
    pub docker: String,
    /// By how many seconds its clock is ahead of this machine's; behind where negative.
    pub clock_ahead_seconds: i64,
    /// Its addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// The TCP ports at which something listens.
    pub listening: BTreeSet<u16>,
    /// Whether it swaps.
    pub swap: Swap,
    /// Those kernel settings that matter to Kubernetes, by their names; one that the kernel does not know is absent.
    pub sysctls: BTreeMap<Arc<str>, Arc<str>>,
    /// Those kernel modules that matter to Kubernetes and are there, loaded or built in.
    pub modules: BTreeSet<Arc<str>>,
    /// Those kernel modules that matter to Kubernetes and can be loaded, but are not.
    pub loadable: BTreeSet<Arc<str>>,
    /// Whether its Docker confines containers with `SELinux`.
    pub selinux: Selinux,
    /// The version of control groups.
    pub cgroup: Option<u8>,
    /// Whether its containerd serves kubelet; none where that was not asked.
    pub containerd: Option<ContainerdCri>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Free bytes on the disks under these directories.
    pub free: BTreeMap<FilePath, u64>,
    /// Where other nodes will listen and it got no answer, not even a refusal, and why. A machine asks only before
    /// it is taken into the cluster.
    #[serde(with = "crate::pairs")]
    pub unreached: BTreeMap<Meeting, Arc<str>>,
}

/// A place where one node must reach another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Meeting {
    /// The other's address.
    pub address: String,
    /// The TCP port.
    pub port: u16,
}

/// The TCP ports at which a node with these roles must reach one with those: etcd's members each other, API servers
/// etcd, and everybody else the API servers. RKE 1 asks for the same, and for kubelets, of which there may be thousands.
pub fn ports_between(asker: &Roles, other: &Roles) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    let (etcd, control_plane) = (Role::Etcd, Role::ControlPlane);
    if asker.contains(&etcd) && other.contains(&etcd) {
        ports.insert(ETCD_PEER_PORT);
    }
    if asker.contains(&control_plane) && other.contains(&etcd) {
        ports.insert(ETCD_CLIENT_PORT);
    }
    if !asker.contains(&control_plane) && other.contains(&control_plane) {
        ports.insert(API_SERVER_PORT);
    }
    ports
}

impl HostReport {
    /// Free bytes where this path is or would be made: on the disk of the nearest directory that was asked for.
    pub fn free_at(&self, path: &str) -> Option<u64> {
        let holds = |directory: &str| {
            let rest = path.strip_prefix(directory.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let nearest = self.free.iter().filter(|(directory, _)| holds(directory.as_str()));
        nearest.max_by_key(|(directory, _)| directory.as_str().len()).map(|(_, free)| *free)
    }
}

/// Whether a machine swaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Swap {
    /// It does not.
    #[default]
    Off,
    /// It does.
    On,
}

/// Whether a host's containerd answers kubelet, by the interface that Kubernetes calls CRI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerdCri {
    /// It has a socket, and its configuration does not switch CRI off.
    Serves,
    /// Its configuration switches CRI off, as that of Docker's own packages does.
    Off,
    /// It has no socket where it usually is.
    Absent,
}

/// Whether Docker confines containers with `SELinux`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selinux {
    /// It does not.
    #[default]
    Off,
    /// It does: what is not privileged cannot read the host's files.
    On,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_directory_tells_what_is_free() {
        let free = [("/", 1), ("/var/lib/docker", 2), ("/var", 3)];
        let free = free.map(|(path, free)| (FilePath::from(path), free)).into();
        let report = HostReport { free, ..HostReport::default() };
        for (path, free) in
            [("/var/lib/docker/x", 2), ("/var/lib/dockerd", 3), ("/var/lib/etcd", 3), ("/opt", 1), ("/", 1)]
        {
            assert_eq!(report.free_at(path), Some(free), "{path}");
        }
        assert_eq!(HostReport::default().free_at("/"), None);
    }
}
