//! What runs the containers of pods on a node. The components run in Docker in any case.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kubelet has the containers of pods run by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodRuntime {
    /// Docker, which kubelet speaks with itself: before Kubernetes 1.24.
    #[default]
    Dockershim,
    /// Docker, through cri-dockerd.
    CriDockerd,
    /// The host's containerd, which Docker uses as well.
    Containerd,
    /// Another one, at an address that cluster.yml gives by `extra_args`.
    Other,
}

/// Where the host's containerd answers, by CRI too unless that is switched off.
pub const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";
/// Where the host's containerd is configured.
pub const CONTAINERD_CONFIG: &str = "/etc/containerd/config.toml";
/// Where cri-dockerd answers, from Kubernetes 1.24 on.
pub const CRI_DOCKERD_SOCKET: &str = "/var/run/cri-dockerd.sock";
/// Where cri-dockerd answers before Kubernetes 1.24, as RKE 1 had it.
pub const DOCKERSHIM_SOCKET: &str = "/var/run/dockershim.sock";

impl PodRuntime {
    /// The runtime behind kubelet's `--container-runtime-endpoint`; none stands for dockershim.
    pub fn at_endpoint(endpoint: Option<&str>) -> Self {
        let Some(endpoint) = endpoint else { return Self::Dockershim };
        let path = endpoint.strip_prefix("unix://").unwrap_or(endpoint);
        // `/var/run` is `/run` on every system of today.
        let is = |socket: &str| path.trim_start_matches("/var") == socket.trim_start_matches("/var");
        if is(CONTAINERD_SOCKET) {
            Self::Containerd
        } else if is(CRI_DOCKERD_SOCKET) || is(DOCKERSHIM_SOCKET) {
            Self::CriDockerd
        } else {
            Self::Other
        }
    }

    /// Whether the containers of pods are Docker's.
    pub fn is_docker(self) -> bool {
        matches!(self, Self::Dockershim | Self::CriDockerd)
    }
}

impl fmt::Display for PodRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dockershim => "Docker",
            Self::CriDockerd => "Docker through cri-dockerd",
            Self::Containerd => "containerd",
            Self::Other => "another runtime",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_is_known_by_its_socket() {
        let at = |endpoint| PodRuntime::at_endpoint(Some(endpoint));
        assert_eq!(at("unix:///run/containerd/containerd.sock"), PodRuntime::Containerd);
        assert_eq!(at("/var/run/containerd/containerd.sock"), PodRuntime::Containerd);
        assert_eq!(at("unix:///var/run/cri-dockerd.sock"), PodRuntime::CriDockerd);
        assert_eq!(at("/var/run/dockershim.sock"), PodRuntime::CriDockerd);
        assert_eq!(at("unix:///run/crio/crio.sock"), PodRuntime::Other);
        assert_eq!(PodRuntime::at_endpoint(None), PodRuntime::Dockershim);
    }
}
