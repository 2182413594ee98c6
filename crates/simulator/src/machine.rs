//! The properties of a machine apart from what runs on it: what it reports to a preflight, and what it allows
//! processes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use windlass_model::{
    Component, ContainerSpec, ContainerdCri, CriDockerd, DesiredKernel, Digest, FilePath, HostFacts,
    HostReport, Privilege, Selinux, Swap,
};

use crate::docker::Container;
use crate::world::{Disk, Node};

/// The facts of one machine; a good one by default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "the name that everybody knows it by")]
pub(crate) struct Machine {
    /// The machine's name in the world where absent.
    pub(crate) hostname: Option<String>,
    /// A unique one where absent.
    pub(crate) machine_id: Option<String>,
    pub(crate) architecture: String,
    pub(crate) docker: String,
    pub(crate) clock_ahead_seconds: i64,
    /// Addresses besides those at which it is reached.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Whether it has the addresses at which it is reached; not behind a router that translates them.
    pub(crate) has_own_addresses: bool,
    /// Ports at which processes listen that have nothing to do with Docker.
    pub(crate) listening: BTreeSet<u16>,
    pub(crate) swap: Swap,
    pub(crate) sysctls: BTreeMap<Arc<str>, Arc<str>>,
    pub(crate) modules: BTreeSet<Arc<str>>,
    /// Modules that are not loaded and can be.
    pub(crate) loadable: BTreeSet<Arc<str>>,
    /// Whether it refuses to load any, although they exist.
    pub(crate) refuses_modules: bool,
    /// The settings with which it booted, of those that have changed since; none where a module provided the
    /// setting.
    pub(crate) booted_with: BTreeMap<Arc<str>, Option<Arc<str>>>,
    /// The modules that it has loaded since it booted.
    pub(crate) loaded: BTreeSet<Arc<str>>,
    pub(crate) selinux: Selinux,
    pub(crate) cgroup: Option<u8>,
    pub(crate) containerd: ContainerdCri,
    pub(crate) cri_dockerd: CriDockerd,
    /// Whether somebody has deployed a pod network.
    pub(crate) pod_network: bool,
    pub(crate) memory: Option<u64>,
    pub(crate) free: BTreeMap<FilePath, u64>,
}

impl Default for Machine {
    fn default() -> Self {
        let sysctls = [
            ("net.ipv4.ip_forward", "1"),
            ("net.bridge.bridge-nf-call-iptables", "1"),
            ("net.bridge.bridge-nf-call-ip6tables", "1"),
            ("vm.overcommit_memory", "0"),
            ("vm.panic_on_oom", "0"),
            ("kernel.panic", "0"),
            ("kernel.panic_on_oops", "0"),
            ("kernel.keys.root_maxkeys", "1000000"),
            ("kernel.keys.root_maxbytes", "25000000"),
        ];
        Self {
            hostname: None,
            machine_id: None,
            architecture: ARCHITECTURE.to_owned(),
            docker: "20.10.24".to_owned(),
            clock_ahead_seconds: 0,
            addresses: BTreeSet::new(),
            has_own_addresses: true,
            listening: BTreeSet::new(),
            swap: Swap::Off,
            sysctls: sysctls.map(|(name, value)| (name.into(), value.into())).into(),
            modules: ["br_netfilter", "overlay"].map(Arc::from).into(),
            loadable: BTreeSet::new(),
            refuses_modules: false,
            booted_with: BTreeMap::new(),
            loaded: BTreeSet::new(),
            selinux: Selinux::Off,
            cgroup: Some(1),
            containerd: ContainerdCri::Serves,
            cri_dockerd: CriDockerd::Listens,
            pod_network: true,
            memory: Some(8 << 30),
            free: ["/", "/var/lib/docker"].map(|path| (FilePath::from(path), 50 << 30)).into(),
        }
    }
}

/// What kubelet only checks with `--protect-kernel-defaults`.
///
/// Source: `setupKernelTunables` in `pkg/kubelet/cm/container_manager_linux.go`.
const TUNABLES: [(&str, &str); 6] = [
    ("vm.overcommit_memory", "1"),
    ("vm.panic_on_oom", "0"),
    ("kernel.panic", "10"),
    ("kernel.panic_on_oops", "1"),
    ("kernel.keys.root_maxkeys", "1000000"),
    ("kernel.keys.root_maxbytes", "25000000"),
];

/// The settings that come with a module.
const SETTINGS_OF_MODULES: [(&str, &str); 2] = [
    ("net.bridge.bridge-nf-call-iptables", "br_netfilter"),
    ("net.bridge.bridge-nf-call-ip6tables", "br_netfilter"),
];

/// The architecture of simulated machines, and of the windlass that is copied there.
const ARCHITECTURE: &str = "x86_64";

impl Machine {
    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a program of windlass' own architecture starts here.
    pub(crate) fn runs_windlass(&self) -> bool {
        self.architecture == ARCHITECTURE
    }

    /// Why kubelet does not start here, if the machine is the reason.
    pub(crate) fn keeps_from_starting(
        &self,
        kind: Option<Component>,
        spec: &ContainerSpec,
        docker: &HostFacts,
    ) -> Option<String> {
        if kind == Some(Component::Kubelet)
            && let Some(why) = self.keeps_kubelet_from_starting(spec)
        {
            return Some(why);
        }
        // Source: `NewDockerService` in `pkg/kubelet/dockershim/docker_service.go`.
        let driver = spec.flag("cgroup-driver").unwrap_or("cgroupfs");
        if kind == Some(Component::Kubelet) && driver != &*docker.cgroup_driver {
            return Some(format!(
                "misconfiguration: kubelet cgroup driver: \"{driver}\" is different from docker cgroup driver: \"{}\"",
                docker.cgroup_driver
            ));
        }
        if self.selinux == Selinux::On && spec.privilege == Privilege::Confined {
            let path = spec.reads.keys().next();
            if let Some(path) = path {
                return Some(format!("open {path}: permission denied"));
            }
        }
        let minds_swap = kind == Some(Component::Kubelet) && spec.flag("fail-swap-on") != Some("false");
        if minds_swap && self.swap == Swap::On {
            return Some("running with swap on is not supported, please disable swap!".to_owned());
        }
        let only_checks =
            kind == Some(Component::Kubelet) && spec.flag("protect-kernel-defaults") == Some("true");
        let is_other = |(name, wanted): &&(&str, &str)| {
            only_checks && self.sysctls.get(*name).is_none_or(|value| &**value != *wanted)
        };
        let (name, wanted) = TUNABLES.iter().find(is_other)?;
        Some(format!("invalid kernel flag: {name}, expected value: {wanted}"))
    }

    /// What kubelets of later versions require.
    fn keeps_kubelet_from_starting(&self, spec: &ContainerSpec) -> Option<String> {
        let at_least = |minor| spec.version.as_ref().is_some_and(|version| version.at_least(1, minor));
        // Source: kubernetes#134298.
        let fails = spec.flag("fail-cgroupv1").map_or(at_least(35), |value| value != "false");
        if self.cgroup == Some(1) && fails {
            return Some("kubelet is configured to not run on a host using cgroup v1".to_owned());
        }
        let endpoint = spec.flag("container-runtime-endpoint").unwrap_or_default();
        if endpoint.ends_with("/cri-dockerd.sock") && self.cri_dockerd != CriDockerd::Listens {
            return Some(
                "validate CRI v1 runtime API for endpoint \"unix:///var/run/cri-dockerd.sock\": dial unix: connect: no such file \
                 or directory"
                    .to_owned(),
            );
        }
        if endpoint.ends_with("/containerd.sock") && self.containerd != ContainerdCri::Serves {
            return Some(
                "validate CRI v1 runtime API for endpoint \"unix:///run/containerd/containerd.sock\": rpc error: code = \
                 Unimplemented desc = unknown service runtime.v1.RuntimeService"
                    .to_owned(),
            );
        }
        None
    }

    /// Loads modules and changes settings; an error in words where there is no such module or setting.
    pub(crate) fn set_kernel(&mut self, kernel: &DesiredKernel) -> Result<(), String> {
        for module in &kernel.modules {
            if self.modules.contains(module) {
                continue;
            }
            if self.refuses_modules {
                return Err(format!("could not insert '{module}': Operation not permitted"));
            }
            if !self.loadable.remove(module) {
                return Err(format!("module {module} not found"));
            }
            self.modules.insert(module.clone());
            self.loaded.insert(module.clone());
            for (name, _) in SETTINGS_OF_MODULES.iter().filter(|(_, of)| *of == &**module) {
                let before = self.sysctls.insert((*name).into(), "1".into());
                self.booted_with.entry((*name).into()).or_insert(before);
            }
        }
        for (name, value) in &kernel.sysctls {
            let Some(set) = self.sysctls.get_mut(name) else {
                return Err(format!("{name}: no such setting"));
            };
            if set != value {
                let before = std::mem::replace(set, value.clone());
                self.booted_with.entry(name.clone()).or_insert(Some(before));
            }
        }
        Ok(())
    }

    /// What was only set in the running kernel is lost.
    fn boot(&mut self) {
        for module in std::mem::take(&mut self.loaded) {
            self.modules.remove(&module);
            self.loadable.insert(module);
        }
        for (name, value) in std::mem::take(&mut self.booted_with) {
            match value {
                Some(value) => drop(self.sysctls.insert(name, value)),
                None => drop(self.sysctls.remove(&name)),
            }
        }
    }
}

/// The same facts with one set to a value in YAML; none if there is no such fact, or the value does not fit.
fn with<T: Serialize + DeserializeOwned>(facts: &T, fact: &str, value: &str) -> Option<T> {
    let mut facts = serde_yaml::to_value(facts).ok()?;
    let place = facts.as_mapping_mut()?.get_mut(fact)?;
    *place = serde_yaml::from_str(value).ok()?;
    serde_yaml::from_value(facts).ok()
}

impl Node {
    /// Sets one fact of the machine, or of its Docker, to a value in YAML: the architecture belongs to both.
    pub(crate) fn set_fact(&mut self, fact: &str, value: &str) {
        if let Some(machine) = with(&self.machine, fact, value) {
            self.machine = machine;
        }
        if let Some(host) = with(&self.host, fact, value) {
            self.host = host;
        }
        self.defend_ports();
    }

    /// Boots: the kernel loses what was set, and the system sets it as its files say.
    pub(crate) fn boot_kernel(&mut self) {
        self.machine.boot();
        let read = |path: &str| {
            let lines = self.files.get(path).map(|file| file.text().lines()).into_iter().flatten();
            lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
        };
        let modules = read("/etc/modules-load.d/windlass.conf").map(Arc::from).collect();
        let settings = read("/etc/sysctl.d/90-windlass.conf").filter_map(|line| line.split_once('='));
        let sysctls = settings.map(|(name, value)| (name.trim().into(), value.trim().into())).collect();
        // A line that fails does not affect the others.
        let _ = self.machine.set_kernel(&DesiredKernel { modules, sysctls: BTreeMap::new() });
        for one in sysctls_one_by_one(sysctls) {
            let _ = self.machine.set_kernel(&one);
        }
    }

    /// What it reports to a preflight.
    pub(crate) fn report(&self) -> HostReport {
        let Machine {
            hostname,
            machine_id,
            architecture,
            docker,
            clock_ahead_seconds,
            addresses,
            has_own_addresses,
            listening,
            swap,
            sysctls,
            modules,
            loadable,
            refuses_modules: _,
            booted_with: _,
            loaded: _,
            selinux,
            cgroup,
            containerd,
            cri_dockerd,
            pod_network: _,
            memory,
            free,
        } = &self.machine;
        let name = self.name.as_str();
        let own = [&self.address, &self.internal_address].into_iter().filter(|_| *has_own_addresses);
        let ours = self.containers.values().filter(|container| listens(container)).flat_map(ports_of);
        let mut free = free.clone();
        if self.disk == Disk::Full {
            for free in free.values_mut() {
                *free = 0;
            }
        }
        HostReport {
            hostname: hostname.clone().unwrap_or_else(|| name.to_owned()),
            machine_id: machine_id.clone().unwrap_or_else(|| Digest::of(name).short()),
            architecture: architecture.clone(),
            program: ARCHITECTURE.to_owned(),
            kernel: "6.1.0".to_owned(),
            docker: docker.clone(),
            clock_ahead_seconds: *clock_ahead_seconds,
            addresses: own
                .filter_map(|address| address.parse().ok())
                .chain(addresses.iter().copied())
                .collect(),
            listening: listening.iter().copied().chain([22]).chain(ours).collect(),
            swap: *swap,
            sysctls: sysctls.clone(),
            modules: modules.clone(),
            loadable: loadable.clone(),
            selinux: *selinux,
            cgroup: *cgroup,
            containerd: Some(*containerd),
            cri_dockerd: Some(*cri_dockerd),
            memory: *memory,
            free,
            unreached: BTreeMap::new(),
        }
    }

    /// Whether a process outside the world's containers has a port that this one needs.
    pub(crate) fn keeps_port_from(&self, container: &Container) -> bool {
        let taken = &self.machine.listening;
        !taken.is_empty() && ports_of(container).any(|port| taken.contains(&port))
    }

    /// Removes ports from other processes at which containers listen already.
    pub(crate) fn defend_ports(&mut self) {
        let held: BTreeSet<u16> =
            self.containers.values().filter(|container| listens(container)).flat_map(ports_of).collect();
        self.machine.listening.retain(|port| !held.contains(port));
    }
}

fn sysctls_one_by_one(sysctls: BTreeMap<Arc<str>, Arc<str>>) -> impl Iterator<Item = DesiredKernel> {
    sysctls.into_iter().map(|one| DesiredKernel { modules: BTreeSet::new(), sysctls: [one].into() })
}

/// Whether a container's process is up.
fn listens(container: &Container) -> bool {
    container.runs() && container.program.as_ref().is_some_and(|program| program.crash.is_none())
}

/// The ports of a component, as its program has them.
fn ports_of(container: &Container) -> impl Iterator<Item = u16> {
    let flag = |name: &str, otherwise: u16| {
        container.spec.flag(name).map_or(otherwise, |value| value.parse().unwrap_or(otherwise))
    };
    let ports = match container.kind {
        Some(Component::Etcd) => vec![2379, 2380],
        Some(Component::KubeApiserver) => vec![flag("secure-port", 6443)],
        Some(Component::NginxProxy) => vec![6443],
        Some(Component::KubeControllerManager) => vec![flag("secure-port", 10257)],
        Some(Component::KubeScheduler) => vec![flag("secure-port", 10259)],
        Some(Component::Kubelet) => vec![flag("port", 10250), flag("healthz-port", 10248)],
        Some(Component::KubeProxy) => vec![10249, 10256],
        Some(Component::EtcdRollingSnapshots) | None => vec![],
    };
    ports.into_iter().filter(|port| *port != 0)
}
