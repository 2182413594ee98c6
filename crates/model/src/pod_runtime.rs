//! What runs the containers of pods on a node. The components always run in Docker.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The runtime that kubelet uses for pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodRuntime {
    /// Docker, which kubelet calls directly: before Kubernetes 1.24.
    #[default]
    Dockershim,
    /// Docker, through cri-dockerd.
    CriDockerd,
    /// The host's containerd, which Docker uses as well.
    Containerd,
    /// Another one, at an address that cluster.yml sets by `extra_args`.
    Other,
}

/// The socket of the host's containerd, including CRI unless that is switched off.
pub const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";
/// The configuration file of the host's containerd.
pub const CONTAINERD_CONFIG: &str = "/etc/containerd/config.toml";
/// The socket of cri-dockerd, from Kubernetes 1.24 on.
pub const CRI_DOCKERD_SOCKET: &str = "/var/run/cri-dockerd.sock";
/// The socket of cri-dockerd before Kubernetes 1.24, as in RKE 1.
pub const DOCKERSHIM_SOCKET: &str = "/var/run/dockershim.sock";

impl PodRuntime {
    /// The runtime behind kubelet's `--container-runtime-endpoint`; without it kubelet uses dockershim.
    pub fn at_endpoint(endpoint: Option<&str>) -> Self {
        let Some(endpoint) = endpoint else { return Self::Dockershim };
        let path = endpoint.strip_prefix("unix://").unwrap_or(endpoint);
        // `/var/run` is `/run` on every present system.
        let is = |socket: &str| path.trim_start_matches("/var") == socket.trim_start_matches("/var");
        if is(CONTAINERD_SOCKET) {
            Self::Containerd
        } else if is(CRI_DOCKERD_SOCKET) || is(DOCKERSHIM_SOCKET) {
            Self::CriDockerd
        } else {
            Self::Other
        }
    }

    /// Whether Docker runs the containers of pods.
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
