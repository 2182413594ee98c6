//! What Kubernetes needs of a node's kernel, and the two files that make it so whenever the node boots.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use windlass_model::{
    Component, Content, DesiredContainer, DesiredFile, DesiredKernel, FilePath, Mode, Owner, Settings,
};

/// Read by `systemd-modules-load`, and by the start-up scripts of systems without systemd.
const MODULES_FILE: &str = "/etc/modules-load.d/windlass.conf";
/// Read by `systemd-sysctl` and by `sysctl --system`: after what a distribution brings, before the administrator's
/// own `/etc/sysctl.conf`.
const SYSCTLS_FILE: &str = "/etc/sysctl.d/90-windlass.conf";

/// Makes bridges show their packets to iptables.
const BRIDGE: &str = "br_netfilter";

/// What lets pods reach each other and Services.
///
/// Source: <https://kubernetes.io/docs/setup/production-environment/container-runtimes/>. IPv6 forwarding is left
/// alone: a machine that learns its routes from routers would no longer listen to them.
const FORWARDING: [(&str, &str); 2] =
    [("net.ipv4.ip_forward", "1"), ("net.bridge.bridge-nf-call-iptables", "1")];
const FORWARDING_IPV6: (&str, &str) = ("net.bridge.bridge-nf-call-ip6tables", "1");

/// What kubelet sets by itself at its start, and only checks with `--protect-kernel-defaults`.
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

/// Why a kernel is set in one way or another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Needs {
    has_ipv6: bool,
    /// Kubelet only checks what it would else set.
    kubelet_only_checks: bool,
}

/// A kernel's desired state, and the files by which it becomes so at every start.
type Made = (Arc<DesiredKernel>, [(FilePath, DesiredFile); 2]);

/// The few ways in which the kernels of a cluster are set, each made once.
pub(crate) struct Kernels(BTreeMap<Needs, Made>);

impl Kernels {
    pub(crate) fn new() -> Self {
        let both = [false, true];
        let all = both
            .into_iter()
            .flat_map(|has_ipv6| both.map(|kubelet_only_checks| Needs { has_ipv6, kubelet_only_checks }));
        let made = |needs| {
            let kernel = desired(needs);
            let files = files(&kernel);
            (needs, (Arc::new(kernel), files))
        };
        Self(all.map(made).collect())
    }

    /// What a node with these containers needs.
    pub(crate) fn of(&self, containers: &BTreeMap<Component, DesiredContainer>) -> &Made {
        let settings = || containers.values().map(|desired| &desired.conduct.settings);
        &self.0[&Needs {
            has_ipv6: settings().any(|settings| match settings {
                Settings::Proxy { pod_ranges } => pod_ranges.iter().any(|range| range.contains(':')),
                _ => false,
            }),
            kubelet_only_checks: settings().any(Settings::checks_kernel),
        }]
    }
}

fn desired(needs: Needs) -> DesiredKernel {
    let sysctls = FORWARDING
        .into_iter()
        .chain(needs.has_ipv6.then_some(FORWARDING_IPV6))
        .chain(TUNABLES.into_iter().filter(|_| needs.kubelet_only_checks));
    DesiredKernel {
        modules: [Arc::from(BRIDGE)].into(),
        sysctls: sysctls.map(|(name, value)| (name.into(), value.into())).collect(),
    }
}

/// The files by which a kernel becomes as desired at every start.
fn files(kernel: &DesiredKernel) -> [(FilePath, DesiredFile); 2] {
    let DesiredKernel { modules, sysctls } = kernel;
    let head = "# Written by windlass: what Kubernetes needs of the kernel.\n";
    let modules = modules.iter().fold(head.to_owned(), |text, module| text + module + "\n");
    let mut settings = head.to_owned();
    for (name, value) in sysctls {
        writeln!(settings, "{name} = {value}").expect("a String takes every text");
    }
    [(MODULES_FILE, modules), (SYSCTLS_FILE, settings)].map(|(path, text)| {
        let content = Content::Text(text.into());
        (path.into(), DesiredFile { content, mode: Mode::PUBLIC, owner: Owner::default(), origin: None })
    })
}

/// The paths of these files.
pub(crate) fn paths() -> [FilePath; 2] {
    [MODULES_FILE, SYSCTLS_FILE].map(FilePath::from)
}
