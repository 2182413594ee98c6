//! What a machine reports about itself before anything is changed on it: the input of a preflight.

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
    /// Its own host name.
    pub hostname: String,
    /// Its machine id, which copied machines share.
    pub machine_id: String,
    /// Its architecture, such as `x86_64`.
    pub architecture: String,
    /// The architecture of windlass' own program for it; empty where none is copied there.
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
    /// The kernel settings that matter to Kubernetes, by their names; one that the kernel does not know is
    /// absent.
    pub sysctls: BTreeMap<Arc<str>, Arc<str>>,
    /// The kernel modules that matter to Kubernetes and are present, loaded or built in.
    pub modules: BTreeSet<Arc<str>>,
    /// The kernel modules that matter to Kubernetes and can be loaded, but are not.
    pub loadable: BTreeSet<Arc<str>>,
    /// Whether its Docker confines containers with `SELinux`.
    pub selinux: Selinux,
    /// The version of control groups.
    pub cgroup: Option<u8>,
    /// Whether its containerd serves kubelet; none where that was not asked.
    pub containerd: Option<ContainerdCri>,
    /// Whether cri-dockerd listens there; none where that was not asked.
    #[serde(default)]
    pub cri_dockerd: Option<CriDockerd>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Free bytes on the disks under these directories.
    pub free: BTreeMap<FilePath, u64>,
    /// Addresses of other nodes from which it got no answer, not even a refusal, and the error. A machine
    /// checks this only before it joins the cluster.
    #[serde(with = "crate::pairs")]
    pub unreached: BTreeMap<Meeting, Arc<str>>,
}

/// An address at which one node must reach another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Meeting {
    /// The other's address.
    pub address: String,
    /// The TCP port.
    pub port: u16,
}

/// The TCP ports at which a node with these roles must reach one with those: etcd's members each other, API
/// servers etcd, and all nodes the API servers. RKE 1 requires the same, and kubelets too, of which there may
/// be thousands.
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
    /// Free bytes where this path is or would be created: on the disk of the nearest directory whose space
    /// was reported.
    pub fn free_at(&self, path: &str) -> Option<u64> {
        let holds = |directory: &str| {
            let rest = path.strip_prefix(directory.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let nearest = self.free.iter().filter(|(directory, _)| holds(directory.as_str()));
        nearest.max_by_key(|(directory, _)| directory.as_str().len()).map(|(_, free)| *free)
    }
}

/// Whether a machine uses swap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Swap {
    /// It does not.
    #[default]
    Off,
    /// It does.
    On,
}

/// Whether a host's containerd serves kubelet through CRI.
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

/// Whether cri-dockerd listens on a host, by which kubelet reaches Docker from 1.24 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CriDockerd {
    /// It has a socket where kubelet looks for it.
    Listens,
    /// It has none.
    Absent,
}

/// Whether Docker confines containers with `SELinux`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selinux {
    /// It does not.
    #[default]
    Off,
    /// It does: unprivileged containers cannot read the host's files.
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
