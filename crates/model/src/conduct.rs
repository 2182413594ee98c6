//! How a container behaves with its arguments: where it listens, how its health is checked, and those of its
//! settings that others must know.
//!
//! Flags are read back only here, because `extra_args` may replace any value: for a desired container once,
//! by the blueprint; for an existing one, from its label.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ciphers::Ciphers;
use crate::component::{Component, Manner};
use crate::container::ContainerSpec;
use crate::etcd_places::EtcdPlaces;
use crate::kubelet_shares::KubeletShares;
use crate::names::FilePath;
use crate::pod_runtime::PodRuntime;
use crate::version::KubernetesVersion;

/// How a desired container behaves with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conduct {
    /// How it is asked whether it works; none if it cannot be asked.
    pub probe: Option<Probe>,
    /// The TCP ports at which it listens, each with the flag that sets it, without dashes; empty where none
    /// does.
    pub listens: BTreeMap<u16, Arc<str>>,
    /// The address at which it listens or which it reports, which must be the node's own.
    pub own_address: Option<IpAddr>,
    /// Those of its settings that others must know.
    pub settings: Settings,
}

/// How a container is asked, on its own node, whether it works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The host, as reached from the node itself.
    pub host: Arc<str>,
    /// The TCP port.
    pub port: u16,
    /// The path of the request.
    pub path: Arc<str>,
    /// The protocol and credentials.
    pub manner: Manner,
}

/// Those of a component's settings that others must know.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settings {
    /// Nothing.
    #[default]
    None,
    /// Of etcd.
    Etcd {
        /// The directory of the node that holds its data; none if it is in the container alone, or if the log is.
        data: Option<FilePath>,
        /// The directory of the node that holds its log, where that is not with the data.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<FilePath>,
        /// How many bytes its data may have; none where etcd uses its default, [`ETCD_QUOTA`].
        quota_bytes: Option<u64>,
    },
    /// Of an API server.
    ApiServer {
        /// The addresses of etcd that it uses.
        etcd_servers: Vec<Arc<str>>,
        /// Whether Secrets are encrypted with keys that it reads.
        secrets: SecretsAtRest,
    },
    /// Of kubelet.
    Kubelet {
        /// Whether it runs on a machine with swap.
        on_swap: OnSwap,
        /// Whether it sets or only checks the kernel's settings.
        kernel: KernelDefaults,
        /// The runtime of its pods.
        #[serde(default)]
        pods: PodRuntime,
        /// Whether it runs on a machine with cgroup v1.
        #[serde(default)]
        cgroup_v1: OnCgroupV1,
        /// How it divides processors and memory.
        #[serde(default)]
        shares: KubeletShares,
    },
    /// Of the service proxy.
    Proxy {
        /// The ranges of pods that it knows.
        pod_ranges: Vec<Arc<str>>,
    },
}

/// How an API server stores Secrets, and what else is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretsAtRest {
    /// In plain text.
    Plain,
    /// With these keys.
    By(Ciphers),
    /// Encrypted with unknown keys: `extra_args` name a file of somebody else, or an older windlass did not
    /// record them.
    Encrypted,
}

/// Whether kubelet runs on a machine with swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSwap {
    /// It runs.
    Runs,
    /// It exits.
    Ends,
}

/// What kubelet does with the kernel's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelDefaults {
    /// It sets them as it requires.
    Sets,
    /// It exits where they are not as it requires.
    Checks,
}

/// Whether kubelet runs on a machine with cgroup v1: from 1.35 on it exits there unless
/// `--fail-cgroupv1=false` (kubernetes#134298).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCgroupV1 {
    /// It runs.
    #[default]
    Runs,
    /// It exits.
    Ends,
}

impl Conduct {
    /// How a component behaves with these arguments, in this version where the spec names none.
    pub fn of(component: Component, spec: &ContainerSpec, version: &KubernetesVersion) -> Self {
        Self {
            probe: Probe::of(component, spec),
            listens: listens(component, spec, version),
            own_address: component.nature().own_address.and_then(|flag| spec.flag(flag)).and_then(address_in),
            settings: Settings::of(component, spec),
        }
    }
}

impl Probe {
    /// How a component with these arguments is asked.
    pub fn of(component: Component, spec: &ContainerSpec) -> Option<Self> {
        let asked = component.nature().asked.as_ref()?;
        let value = given(spec, asked.flag).and_then(|value| value.split(',').next());
        let port = value.map_or(asked.otherwise, |value| port_in(value, asked.otherwise));
        let own = "127.0.0.1";
        let host = match asked.manner {
            // Its certificate names the address at which it listens.
            Manner::Etcd => value.and_then(host_in).filter(|host| !is_any(host)).unwrap_or(own),
            Manner::Clear | Manner::Unchecked | Manner::Kube => own,
        };
        (port != 0).then(|| Self { host: host.into(), port, path: asked.path.into(), manner: asked.manner })
    }
}

impl Settings {
    /// Whether they belong to a kubelet that exits where the kernel is not set as it requires.
    pub fn checks_kernel(&self) -> bool {
        matches!(self, Self::Kubelet { kernel: KernelDefaults::Checks, .. })
    }

    /// Whether they belong to a kubelet that exits on a machine with swap.
    pub fn ends_on_swap(&self) -> bool {
        matches!(self, Self::Kubelet { on_swap: OnSwap::Ends, .. })
    }

    /// Whether they belong to a kubelet that exits on a machine with cgroup v1.
    pub fn ends_on_cgroup_v1(&self) -> bool {
        matches!(self, Self::Kubelet { cgroup_v1: OnCgroupV1::Ends, .. })
    }

    /// The runtime of pods, where they belong to a kubelet.
    pub fn pod_runtime(&self) -> Option<PodRuntime> {
        match self {
            Self::Kubelet { pods, .. } => Some(*pods),
            Self::None | Self::Etcd { .. } | Self::ApiServer { .. } | Self::Proxy { .. } => None,
        }
    }

    /// How a kubelet divides processors and memory; none where they belong to another component.
    pub fn shares(&self) -> Option<&KubeletShares> {
        match self {
            Self::Kubelet { shares, .. } => Some(shares),
            _ => None,
        }
    }

    /// How an API server stores Secrets; none where they belong to another component.
    pub fn secrets(&self) -> Option<&SecretsAtRest> {
        match self {
            Self::ApiServer { secrets, .. } => Some(secrets),
            _ => None,
        }
    }

    /// The settings of a component with these arguments.
    pub fn of(component: Component, spec: &ContainerSpec) -> Self {
        let list = |flag: &str| -> Vec<Arc<str>> {
            spec.flag(flag).into_iter().flat_map(|value| value.split(',')).map(Arc::from).collect()
        };
        match component {
            Component::Etcd => {
                let (data, log) =
                    EtcdPlaces::of(spec).map_or((None, None), |places| (Some(places.data), places.log));
                let quota = spec.flag("quota-backend-bytes").and_then(|bytes| bytes.parse().ok());
                Self::Etcd { data, log, quota_bytes: quota.filter(|bytes| *bytes > 0) }
            }
            Component::KubeApiserver => Self::ApiServer {
                etcd_servers: list("etcd-servers"),
                secrets: match spec.flag("encryption-provider-config") {
                    Some(_) if spec.ciphers.is_empty() => SecretsAtRest::Encrypted,
                    Some(_) => SecretsAtRest::By(spec.ciphers.clone()),
                    None => SecretsAtRest::Plain,
                },
            },
            Component::Kubelet => Self::Kubelet {
                on_swap: match spec.flag("fail-swap-on") {
                    Some("false") => OnSwap::Runs,
                    _ => OnSwap::Ends,
                },
                kernel: match spec.flag("protect-kernel-defaults") {
                    Some("true") => KernelDefaults::Checks,
                    _ => KernelDefaults::Sets,
                },
                pods: PodRuntime::at_endpoint(spec.flag("container-runtime-endpoint")),
                cgroup_v1: match spec.flag("fail-cgroupv1") {
                    Some(value) if value != "false" => OnCgroupV1::Ends,
                    None if spec.version.as_ref().is_some_and(|version| version.at_least(1, 35)) => {
                        OnCgroupV1::Ends
                    }
                    _ => OnCgroupV1::Runs,
                },
                shares: KubeletShares::of(spec),
            },
            Component::KubeProxy => Self::Proxy { pod_ranges: list("cluster-cidr") },
            Component::EtcdRollingSnapshots
            | Component::KubeControllerManager
            | Component::KubeScheduler
            | Component::NginxProxy => Self::None,
        }
    }
}

/// The TCP ports at which a component with these arguments listens, each with the flag that sets it, without
/// dashes; without ports that are switched off by 0.
pub fn listens(
    component: Component,
    spec: &ContainerSpec,
    version: &KubernetesVersion,
) -> BTreeMap<u16, Arc<str>> {
    let version = spec.version.as_ref().unwrap_or(version);
    let mut ports = BTreeMap::new();
    for place in component.nature().listens {
        if place.until_minor.is_some_and(|minor| version.at_least(1, minor)) {
            continue;
        }
        let flag: Arc<str> = place.flag.into();
        match given(spec, place.flag) {
            Some(value) => {
                ports.extend(value.split(',').map(|one| (port_in(one, place.otherwise), flag.clone())));
            }
            None => drop(ports.insert(place.otherwise, flag)),
        }
    }
    ports.remove(&0);
    ports
}

fn given<'a>(spec: &'a ContainerSpec, flag: &str) -> Option<&'a str> {
    spec.flag(flag).filter(|_| !flag.is_empty())
}

/// The port in `6443`, `0.0.0.0:10249`, `[::]:10249`, `https://10.0.0.1:2379/`; the default where it contains
/// none.
fn port_in(value: &str, otherwise: u16) -> u16 {
    let place = place_in(value);
    if let Ok(port) = place.parse() {
        return port;
    }
    match place.rsplit_once(':') {
        // The last group of a bare IPv6 address is no port.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => port.parse().unwrap_or(otherwise),
        _ => otherwise,
    }
}

/// The address in `10.0.0.1`, `10.0.0.1:2380`, `https://[fd00::1]:2380`.
fn address_in(value: &str) -> Option<IpAddr> {
    let place = place_in(value.rsplit(',').next()?);
    place.parse().ok().or_else(|| host_in(place)?.parse().ok())
}

/// The host in `10.0.0.1:2380`, `https://[fd00::1]:2380`.
fn host_in(value: &str) -> Option<&str> {
    let (host, _) = place_in(value).rsplit_once(':')?;
    Some(host.trim_matches(['[', ']']))
}

fn place_in(value: &str) -> &str {
    value.rsplit("//").next().unwrap_or(value).trim_end_matches('/')
}

fn is_any(host: &str) -> bool {
    ["0.0.0.0", "::", ""].contains(&host)
}

/// How large etcd's data may grow where no flag says otherwise (`DefaultQuotaBytes` of `server/etcdserver/quota.go`).
pub const ETCD_QUOTA: u64 = 2 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{PidMode, Privilege};

    fn spec(component: Component, flags: &[&str], binds: &[&str]) -> ContainerSpec {
        ContainerSpec {
            image: "x".into(),
            command: std::iter::once(component.as_str())
                .chain(flags.iter().copied())
                .map(Arc::from)
                .collect(),
            env: BTreeMap::new(),
            binds: binds.iter().copied().map(Arc::from).collect(),
            pid: PidMode::Own,
            privilege: Privilege::Confined,
            user: None,
            reads: BTreeMap::new(),
            ciphers: Ciphers::default(),
            version: None,
        }
    }

    #[test]
    fn a_port_is_found_in_every_form_of_a_flag() {
        for (value, port) in [
            ("6443", 6443),
            ("0", 0),
            ("0.0.0.0:10249", 10249),
            ("127.0.0.1", 7),
            ("[::]:10249", 10249),
            ("fd00::2379", 7),
            ("https://10.0.0.1:2379/", 2379),
            ("https://[fd00::1]:2379", 2379),
        ] {
            assert_eq!(port_in(value, 7), port, "{value}");
        }
    }

    #[test]
    fn an_address_is_found_in_every_form_of_a_flag() {
        for (value, address) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("10.0.0.1:2380", Some("10.0.0.1")),
            ("https://10.0.0.1:2380/", Some("10.0.0.1")),
            ("https://[fd00::1]:2380", Some("fd00::1")),
            ("fd00::1", Some("fd00::1")),
            ("https://name:2380", None),
        ] {
            assert_eq!(address_in(value), address.map(|text| text.parse().unwrap()), "{value}");
        }
    }

    #[test]
    fn each_component_is_asked_where_it_listens() {
        let local = |port, path: &'static str| Some(("127.0.0.1".to_owned(), port, path.to_owned()));
        for (component, flags, wanted) in [
            (
                Component::Etcd,
                &["--listen-client-urls=https://10.0.0.1:2379"][..],
                Some(("10.0.0.1".to_owned(), 2379, "/health".to_owned())),
            ),
            (
                Component::Etcd,
                &["--listen-client-urls=https://[fd00::1]:2379,https://127.0.0.1:2379"],
                Some(("fd00::1".to_owned(), 2379, "/health".to_owned())),
            ),
            (Component::Etcd, &["--listen-client-urls=https://0.0.0.0:2379"], local(2379, "/health")),
            (Component::KubeApiserver, &["--secure-port=7443"], local(7443, "/readyz")),
            (Component::KubeApiserver, &[], local(6443, "/readyz")),
            (Component::KubeControllerManager, &[], local(10257, "/healthz")),
            (Component::KubeScheduler, &["--secure-port=0"], None),
            (Component::Kubelet, &["--healthz-port=0"], None),
            (Component::KubeProxy, &["--healthz-bind-address=127.0.0.1"], local(10256, "/healthz")),
            (Component::KubeProxy, &["--healthz-bind-address=0.0.0.0:1"], local(1, "/healthz")),
            (Component::NginxProxy, &[], local(6443, "/readyz")),
            (Component::EtcdRollingSnapshots, &[], None),
        ] {
            let probe = Probe::of(component, &spec(component, flags, &[]));
            let found = probe.map(|probe| (probe.host.to_string(), probe.port, probe.path.to_string()));
            assert_eq!(found, wanted, "{component} {flags:?}");
        }
    }

    #[test]
    fn a_component_listens_where_its_flags_say_or_else_where_it_does_by_itself() {
        let ports = |component, flags: &[&str], version: &str| {
            let version = version.parse().unwrap();
            listens(component, &spec(component, flags, &[]), &version).into_keys().collect::<Vec<_>>()
        };
        let manager = Component::KubeControllerManager;
        assert_eq!(ports(manager, &[], "v1.22.0"), [10252, 10257]);
        assert_eq!(ports(manager, &["--port=0"], "v1.22.0"), [10257]);
        assert_eq!(ports(manager, &[], "v1.23.0"), [10257]);
        let two = "--listen-client-urls=https://10.0.0.1:2379,https://127.0.0.1:4001";
        assert_eq!(ports(Component::Etcd, &[two], "v1.23.0"), [2379, 2380, 4001]);
    }

    #[test]
    fn settings_are_those_of_the_last_word_on_the_command_line() {
        let settings = |component, flags: &[&str], binds: &[&str]| {
            Settings::of(component, &spec(component, flags, binds))
        };
        assert_eq!(
            settings(Component::Kubelet, &["--fail-swap-on=false", "--protect-kernel-defaults=true"], &[]),
            Settings::Kubelet {
                on_swap: OnSwap::Runs,
                kernel: KernelDefaults::Checks,
                pods: PodRuntime::Dockershim,
                cgroup_v1: OnCgroupV1::Runs,
                shares: KubeletShares::default(),
            }
        );
        assert_eq!(
            settings(Component::Kubelet, &[], &[]),
            Settings::Kubelet {
                on_swap: OnSwap::Ends,
                kernel: KernelDefaults::Sets,
                pods: PodRuntime::Dockershim,
                cgroup_v1: OnCgroupV1::Runs,
                shares: KubeletShares::default(),
            }
        );
        assert_eq!(
            settings(
                Component::Etcd,
                &["--data-dir=/var/lib/rancher/etcd/", "--quota-backend-bytes=0"],
                &["/var/lib/etcd:/var/lib/rancher/etcd/:z"]
            ),
            Settings::Etcd { data: Some("/var/lib/etcd".into()), log: None, quota_bytes: None }
        );
        assert_eq!(
            settings(
                Component::KubeApiserver,
                &["--etcd-servers=a,b", "--encryption-provider-config=/x"],
                &[]
            ),
            Settings::ApiServer {
                etcd_servers: vec!["a".into(), "b".into()],
                secrets: SecretsAtRest::Encrypted
            }
        );
    }
}
