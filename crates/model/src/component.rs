//! The components of a node: the name of each, where it runs, where it listens, and how its health is
//! checked.
//!
//! A new component is a line of [`Component`] with its row in [`Component::nature`], and a recipe in the catalog.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::{ContainerName, Role, Roles};

/// The TCP port of an API server where no flag sets another.
pub const API_SERVER_PORT: u16 = 6443;
/// The TCP port at which a member of etcd serves clients where no flag sets another.
pub const ETCD_CLIENT_PORT: u16 = 2379;
/// The TCP port at which members of etcd reach each other.
pub const ETCD_PEER_PORT: u16 = 2380;

/// One of the containers that windlass runs on nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// The member of etcd.
    Etcd,
    /// The periodic snapshots of etcd.
    EtcdRollingSnapshots,
    /// The API server.
    KubeApiserver,
    /// The controller manager.
    KubeControllerManager,
    /// The scheduler.
    KubeScheduler,
    /// The forwarder from a node without an API server to all API servers.
    NginxProxy,
    /// The node agent.
    Kubelet,
    /// The service proxy.
    KubeProxy,
}

/// The properties of a component that are the same in every cluster.
#[derive(Debug)]
pub struct Nature {
    /// The container's name, which is RKE's name too.
    pub name: &'static str,
    /// On which nodes it runs.
    pub runs: Runs,
    /// Where it listens.
    pub listens: &'static [Listening],
    /// How it is asked whether it works; none if it has no such endpoint.
    pub asked: Option<Asked>,
    /// For how many seconds after its start it counts as starting while it does not answer.
    pub starts_within_seconds: u64,
    /// How many seconds it has to stop by itself before Docker kills it.
    pub stops_within_seconds: u32,
    /// The flag with an address that must be the node's own, without dashes.
    pub own_address: Option<&'static str>,
    /// Flags, without dashes, that count when its data is created and never again: the step that starts it
    /// adds them.
    pub birth_flags: &'static [&'static str],
}

/// On which nodes a component runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// On those with this role.
    With(Role),
    /// On those without it.
    Without(Role),
    /// On all.
    Everywhere,
}

impl Runs {
    /// Whether it runs on a node with these roles.
    pub fn on(self, roles: &Roles) -> bool {
        match self {
            Self::With(role) => roles.contains(&role),
            Self::Without(role) => !roles.contains(&role),
            Self::Everywhere => true,
        }
    }

    /// The role without which it does not run.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::With(role) => Some(role),
            Self::Without(_) | Self::Everywhere => None,
        }
    }
}

/// A TCP port at which a component listens.
#[derive(Debug)]
pub struct Listening {
    /// The flag that sets it, without dashes; empty where none does.
    pub flag: &'static str,
    /// The port where the flag is not given; 0 for none.
    pub otherwise: u16,
    /// The first minor version of Kubernetes 1 in which the component no longer has this port.
    pub until_minor: Option<u32>,
}

/// How a component is asked whether it works.
#[derive(Debug)]
pub struct Asked {
    /// The flag that sets the port, without dashes; empty where none does.
    pub flag: &'static str,
    /// The port where the flag is not given.
    pub otherwise: u16,
    /// The path of the request.
    pub path: &'static str,
    /// The protocol and credentials.
    pub manner: Manner,
}

/// The protocol and credentials for a component's endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// Plain HTTP.
    Clear,
    /// TLS with a self-signed certificate: it cannot be verified, and on the machine itself it need not be.
    Unchecked,
    /// TLS, as an administrator of Kubernetes.
    Kube,
    /// TLS, as a client of etcd, at the address that its certificate must name.
    Etcd,
}

/// How long most components have to stop, which is Docker's default. All but the API server finish in less.
const STOPS: u32 = 10;
/// How long the API server has. When it is stopped it no longer listens, removes its address from the Service
/// `kubernetes` and answers earlier requests; then it waits for watches to end, which they do not, for up to
/// a minute (`ShutdownTimeout` of k8s.io/apiserver). Scheduler and controller manager beside it give up their
/// leases after ten seconds without it (`--leader-elect-renew-deadline`), and a new one serves four seconds
/// after its start.
const API_SERVER_STOPS: u32 = 3;
/// How long most components wait for others at their start: for etcd's majority, for an API server, for
/// Docker.
const STARTS: u64 = 60;

const fn at(flag: &'static str, otherwise: u16) -> Listening {
    Listening { flag, otherwise, until_minor: None }
}

/// An insecure port, open by default until it was removed in this minor version.
const fn insecure(flag: &'static str, otherwise: u16, minor: u32) -> Listening {
    Listening { flag, otherwise, until_minor: Some(minor) }
}

const fn asked(flag: &'static str, otherwise: u16, path: &'static str, manner: Manner) -> Asked {
    Asked { flag, otherwise, path, manner }
}

/// The properties of most components.
const USUAL: Nature = Nature {
    name: "",
    runs: Runs::Everywhere,
    listens: &[],
    asked: None,
    starts_within_seconds: STARTS,
    stops_within_seconds: STOPS,
    own_address: None,
    birth_flags: &[],
};

// Sources of the flags and ports: `cmd/*/app/options` and `pkg/cluster/ports/ports.go` of Kubernetes 1.20 to
// 1.32,
// `etcd --help` of 3.4. kube-apiserver refuses any insecure port but 0 from 1.20 on; the others were removed
// in 1.23
// (kubernetes#96345).

const ETCD: Nature = Nature {
    name: "etcd",
    runs: Runs::With(Role::Etcd),
    listens: &[
        at("listen-client-urls", ETCD_CLIENT_PORT),
        at("listen-peer-urls", ETCD_PEER_PORT),
        at("listen-metrics-urls", 0),
    ],
    asked: Some(asked("listen-client-urls", ETCD_CLIENT_PORT, "/health", Manner::Etcd)),
    starts_within_seconds: 30,
    own_address: Some("listen-peer-urls"),
    birth_flags: &["initial-cluster", "initial-cluster-state", "initial-cluster-token"],
    ..USUAL
};

const ETCD_ROLLING_SNAPSHOTS: Nature =
    Nature { name: "etcd-rolling-snapshots", runs: Runs::With(Role::Etcd), ..USUAL };

const KUBE_APISERVER: Nature = Nature {
    name: "kube-apiserver",
    runs: Runs::With(Role::ControlPlane),
    listens: &[at("secure-port", API_SERVER_PORT)],
    asked: Some(asked("secure-port", API_SERVER_PORT, "/readyz", Manner::Kube)),
    stops_within_seconds: API_SERVER_STOPS,
    ..USUAL
};

const KUBE_CONTROLLER_MANAGER: Nature = Nature {
    name: "kube-controller-manager",
    runs: Runs::With(Role::ControlPlane),
    listens: &[at("secure-port", 10257), insecure("port", 10252, 23)],
    asked: Some(asked("secure-port", 10257, "/healthz", Manner::Unchecked)),
    ..USUAL
};

const KUBE_SCHEDULER: Nature = Nature {
    name: "kube-scheduler",
    runs: Runs::With(Role::ControlPlane),
    listens: &[at("secure-port", 10259), insecure("port", 10251, 23)],
    asked: Some(asked("secure-port", 10259, "/healthz", Manner::Unchecked)),
    ..USUAL
};

/// It listens where an API server would, by its configuration, which windlass writes.
const NGINX_PROXY: Nature = Nature {
    name: "nginx-proxy",
    runs: Runs::Without(Role::ControlPlane),
    listens: &[at("", API_SERVER_PORT)],
    asked: Some(asked("", API_SERVER_PORT, "/readyz", Manner::Kube)),
    ..USUAL
};

const KUBELET: Nature = Nature {
    name: "kubelet",
    listens: &[at("port", 10250), at("healthz-port", 10248), at("read-only-port", 0)],
    asked: Some(asked("healthz-port", 10248, "/healthz", Manner::Clear)),
    own_address: Some("node-ip"),
    ..USUAL
};

const KUBE_PROXY: Nature = Nature {
    name: "kube-proxy",
    listens: &[at("healthz-bind-address", 10256), at("metrics-bind-address", 10249)],
    asked: Some(asked("healthz-bind-address", 10256, "/healthz", Manner::Clear)),
    own_address: Some("bind-address"),
    ..USUAL
};

impl Component {
    /// All components, in the order in which a node's table is shown.
    pub const ALL: [Self; 8] = [
        Self::Etcd,
        Self::EtcdRollingSnapshots,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::NginxProxy,
        Self::Kubelet,
        Self::KubeProxy,
    ];

    /// The properties that are the same in every cluster.
    pub const fn nature(self) -> &'static Nature {
        match self {
            Self::Etcd => &ETCD,
            Self::EtcdRollingSnapshots => &ETCD_ROLLING_SNAPSHOTS,
            Self::KubeApiserver => &KUBE_APISERVER,
            Self::KubeControllerManager => &KUBE_CONTROLLER_MANAGER,
            Self::KubeScheduler => &KUBE_SCHEDULER,
            Self::NginxProxy => &NGINX_PROXY,
            Self::Kubelet => &KUBELET,
            Self::KubeProxy => &KUBE_PROXY,
        }
    }

    /// The container's name, which is RKE's name too.
    pub const fn as_str(self) -> &'static str {
        self.nature().name
    }

    /// The component of the container of this name, if it is one of ours.
    pub fn of_container(name: &ContainerName) -> Option<Self> {
        Self::named(name.as_str())
    }

    /// The component that a container of this name runs or is about to run: one that is created beside the
    /// old one is called `NAME.next` until it replaces it.
    pub fn of_successor_or_container(name: &ContainerName) -> Option<Self> {
        let name = name.as_str();
        Self::named(name.strip_suffix(SUCCESSOR).unwrap_or(name))
    }

    /// The component of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|component| component.as_str() == name)
    }

    /// The name of its container.
    pub fn container(self) -> ContainerName {
        ContainerName::from(self.as_str())
    }

    /// Whether it is part of the control plane proper.
    pub fn is_control_plane(self) -> bool {
        self.nature().runs == Runs::With(Role::ControlPlane)
    }
}

/// The suffix of the name of a container's successor.
pub const SUCCESSOR: &str = ".next";

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_components_are_listed_once_and_have_names_of_their_own() {
        for (index, component) in Component::ALL.into_iter().enumerate() {
            assert_eq!(component as usize, index);
            assert_eq!(Component::named(component.as_str()), Some(component));
        }
    }

    #[test]
    fn a_successor_runs_the_component_whose_place_it_will_take() {
        assert_eq!(Component::of_successor_or_container(&"etcd.next".into()), Some(Component::Etcd));
        assert_eq!(Component::of_container(&"etcd.next".into()), None);
        assert_eq!(Component::of_successor_or_container(&"etcd.next.next".into()), None);
    }
}
