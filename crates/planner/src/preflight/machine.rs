//! One machine by itself: whether what is to be created on it can work there.

use std::collections::BTreeMap;

use windlass_model::{
    CRI_DOCKERD_SOCKET, Component, ContainerdCri, CriDockerd, DesiredContainer, HostReport,
    KubernetesVersion, MachineFault, PodRuntime, Privilege, Role, Selinux, Settings, Swap,
};

use super::examined::{Examined, Moves, Wrong, holds, warns};
use super::ports::ports_in_use;
use crate::kernel::BROUGHT_BY_MODULES;

const MEBIBYTE: u64 = 1 << 20;
const GIBIBYTE: u64 = 1 << 30;

/// Free bytes under Docker's directory without which no image is pulled: the largest, of Kubernetes itself,
/// takes about 2 GB, and the others fit beside it only then.
const IMAGES_NEED: u64 = 2 * GIBIBYTE;
/// Free bytes under etcd's directory without which no member is created: its log grows by files of 64 MB
/// (`SegmentSizeBytes` of etcd's `wal` package), and it keeps some of them.
const ETCD_NEEDS: u64 = 512 * MEBIBYTE;
/// Memory of a control-plane node that kubeadm asks for (`ControlPlaneMem`), and RKE of a worker.
const CONTROL_PLANE_MEMORY: u64 = 1_700 * MEBIBYTE;
const WORKER_MEMORY: u64 = 1_000 * MEBIBYTE;
/// The oldest Docker whose API kubelet's dockershim speaks: 1.26 (`MinimumDockerAPIVersion`).
const OLDEST_DOCKER: (u32, u32) = (1, 13);
/// The newest Docker with which RKE 1 ran Kubernetes up to and with this minor version.
const NEWEST_DOCKER: [(u32, (u32, u32)); 4] = [(22, (20, 10)), (24, (24, 0)), (26, (25, 0)), (32, (27, 2))];

/// What is wrong with a machine. What a version needs is not judged where the cluster does not move to it.
pub(super) fn judge(node: &Examined<'_>, version: &KubernetesVersion, moves: Moves) -> Vec<Wrong> {
    let mut wrongs = Vec::new();
    judge_architecture(node, &mut wrongs);
    judge_ports(node, version, &mut wrongs);
    judge_addresses(node, &mut wrongs);
    judge_swap(node, &mut wrongs);
    judge_disk(node, &mut wrongs);
    judge_kernel_settings(node, &mut wrongs);
    judge_selinux(node, &mut wrongs);
    if node.is_new() {
        judge_memory(node, &mut wrongs);
    }
    match moves {
        Moves::ToDesired => {
            judge_docker(node, version, &mut wrongs);
            judge_kubelet(node, &mut wrongs);
            if node.is_new() {
                judge_control_groups(node, version, &mut wrongs);
            }
        }
        Moves::Nowhere => {}
    }
    wrongs
}

/// windlass copies its own program to the machine.
fn judge_architecture(node: &Examined<'_>, wrongs: &mut Vec<Wrong>) {
    let report = node.report;
    let known = !report.architecture.is_empty() && !report.program.is_empty();
    if known && report.architecture != report.program && node.is_new() {
        wrongs.push(holds(MachineFault::Architecture {
            machine: report.architecture.clone(),
            program: report.program.clone(),
        }));
    }
}

/// No other process listens where a component that is to be created will listen.
fn judge_ports(node: &Examined<'_>, version: &KubernetesVersion, wrongs: &mut Vec<Wrong>) {
    let ours = ports_in_use(node.facts, version);
    for (component, desired) in node.absent() {
        let is_taken = |port: &u16| node.report.listening.contains(port) && !ours.contains(port);
        let listens = desired.conduct.listens.iter();
        let taken: BTreeMap<u16, &str> =
            listens.filter(|(port, _)| is_taken(port)).map(|(port, flag)| (*port, &**flag)).collect();
        let Some((_, flag)) = taken.first_key_value() else { continue };
        let ports = taken.keys().copied().collect();
        let mut wrong = holds(MachineFault::PortsTaken { ports, component });
        // Where the place is all nodes, this flag is a more precise one.
        let place = desired.origins.of_flag(flag);
        wrong.origin = place.filter(|place| place.as_str() != "nodes").cloned();
        wrongs.push(wrong);
    }
}

/// Addresses at which components listen, or which they report, belong to the machine.
fn judge_addresses(node: &Examined<'_>, wrongs: &mut Vec<Wrong>) {
    let own = &node.report.addresses;
    if own.is_empty() {
        return;
    }
    let mut reported = false;
    for (component, desired) in node.absent() {
        // kubelet exits with "node IP not found in the host's network interfaces", the others with "cannot
        // assign requested address".
        let Some(address) = desired.conduct.own_address else { continue };
        if !address.is_unspecified() && !address.is_loopback() && !own.contains(&address) && !reported {
            reported = true;
            wrongs.push(holds(MachineFault::AddressMissing { address, component, has: own.clone() }));
        }
    }
    let internal = node.desired.target.internal_address.parse().ok();
    if let Some(internal) = internal.filter(|address| node.is_new() && !reported && !own.contains(address)) {
        wrongs.push(warns(MachineFault::AddressTranslated { address: internal, has: own.clone() }));
    }
}

/// kubelet does not start where swap is on, unless configured otherwise.
fn judge_swap(node: &Examined<'_>, wrongs: &mut Vec<Wrong>) {
    if node.report.swap == Swap::Off {
        return;
    }
    let Some((_, kubelet)) = node.absent().find(|(component, _)| *component == Component::Kubelet) else {
        return;
    };
    if !kubelet.conduct.settings.ends_on_swap() {
        return;
    }
    let mut wrong = holds(MachineFault::SwapOn);
    wrong.origin = kubelet.origins.of_flag("fail-swap-on").cloned();
    wrongs.push(wrong);
}

/// There is enough disk space for what is to be created.
fn judge_disk(node: &Examined<'_>, wrongs: &mut Vec<Wrong>) {
    let docker_root = &node.facts.host.docker_root;
    let pulls = node.absent().any(|(_, desired)| !node.facts.images.contains(&desired.spec.image));
    // A directory that was not asked for may be on another disk.
    let free = node.report.free.get(docker_root).copied();
    if let Some(free) = free.filter(|free| pulls && *free < IMAGES_NEED) {
        let path = docker_root.clone();
        wrongs.push(holds(MachineFault::NoRoomForImages { path, free, needed: IMAGES_NEED }));
    }
    let Some((_, etcd)) = node.absent().find(|(component, _)| *component == Component::Etcd) else { return };
    let Settings::Etcd { data: Some(data), quota_bytes, .. } = &etcd.conduct.settings else { return };
    let Some(free) = node.report.free_at(data.as_str()) else { return };
    let quota = quota_bytes.unwrap_or(windlass_model::ETCD_QUOTA);
    let path = data.to_string();
    if free < ETCD_NEEDS {
        wrongs.push(holds(MachineFault::NoRoomForEtcd { path, free, needed: ETCD_NEEDS }));
    } else if free < quota {
        wrongs.push(warns(MachineFault::LittleRoomForEtcd { path, free, quota }));
    }
}

/// Docker is one that kubelet can talk to.
fn judge_docker(node: &Examined<'_>, version: &KubernetesVersion, wrongs: &mut Vec<Wrong>) {
    let docker = node.report.docker.as_str();
    let mut numbers = docker.split(['.', '-', '+', '~']).map_while(|number| number.parse().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else { return };
    let makes_kubelet = node.absent().any(|(component, _)| component == Component::Kubelet);
    if (major, minor) < OLDEST_DOCKER && makes_kubelet {
        wrongs.push(holds(MachineFault::DockerTooOld { version: docker.to_owned() }));
        return;
    }
    let tried =
        NEWEST_DOCKER.iter().find(|(until, _)| !version.at_least(1, until + 1)).map(|(_, newest)| *newest);
    if let Some(newest) = tried.filter(|newest| node.is_new() && (major, minor) > *newest) {
        wrongs.push(warns(MachineFault::DockerUntried {
            version: docker.to_owned(),
            kubernetes: version.clone(),
            newest,
        }));
    }
}

/// What windlass does not set: settings that the kernel lacks because a module is missing.
fn judge_kernel_settings(node: &Examined<'_>, wrongs: &mut Vec<Wrong>) {
    let HostReport { sysctls, modules, loadable, .. } = node.report;
    if sysctls.is_empty() || !node.is_new() {
        return;
    }
    // One of our modules provides these when it is loaded.
    let is_loadable = node.desired.kernel.modules.iter().any(|module| loadable.contains(module));
    let comes = |name: &str| is_loadable && name.starts_with(BROUGHT_BY_MODULES);
    let settings: Vec<_> = node
        .desired
        .kernel
        .sysctls
        .keys()
        .filter(|name| !sysctls.contains_key(*name) && !comes(name))
        .cloned()
        .collect();
    if settings.is_empty() {
        return;
    }
    let modules = node.desired.kernel.modules.iter().filter(|module| !modules.contains(*module));
    wrongs.push(warns(MachineFault::SettingsUnknown { settings, modules: modules.cloned().collect() }));
}

/// The machine has what a kubelet that is to be created, or recreated with another version or runtime,
/// requires.
fn judge_kubelet(node: &Examined<'_>, wrongs: &mut Vec<Wrong>) {
    let Some(kubelet) = node.desired.containers.get(&Component::Kubelet) else { return };
    let runs_so = node.facts.containers.get(Component::Kubelet.as_str()).is_some_and(|seen| {
        let now = Settings::of(Component::Kubelet, &seen.spec);
        now.pod_runtime() == kubelet.conduct.settings.pod_runtime()
            && now.ends_on_cgroup_v1() == kubelet.conduct.settings.ends_on_cgroup_v1()
    });
    if runs_so {
        return;
    }
    let settings = &kubelet.conduct.settings;
    if let (Some(1), true, Some(version)) =
        (node.report.cgroup, settings.ends_on_cgroup_v1(), &kubelet.spec.version)
    {
        let mut wrong = holds(MachineFault::CgroupV1 { kubernetes: version.clone() });
        wrong.origin = kubelet.origins.of_flag("fail-cgroupv1").cloned();
        wrongs.push(wrong);
    }
    match (settings.pod_runtime(), node.report.containerd) {
        (Some(PodRuntime::Containerd), Some(serves)) if serves != ContainerdCri::Serves => {
            wrongs.push(holds(MachineFault::Containerd { serves }));
        }
        _ => {}
    }
    // dockershim has a socket of its own, which says nothing of cri-dockerd.
    let endpoint = kubelet.spec.flag("container-runtime-endpoint").unwrap_or_default();
    if endpoint.ends_with(CRI_DOCKERD_SOCKET) && node.report.cri_dockerd == Some(CriDockerd::Absent) {
        wrongs.push(holds(MachineFault::CriDockerd));
    }
}

/// Unprivileged containers can read the files that are put there for them.
fn judge_selinux(node: &Examined<'_>, wrongs: &mut Vec<Wrong>) {
    if node.report.selinux == Selinux::Off {
        return;
    }
    let reads = |desired: &DesiredContainer| {
        desired.spec.privilege == Privilege::Confined && !desired.spec.reads.is_empty()
    };
    let components: Vec<Component> =
        node.absent().filter(|(_, desired)| reads(desired)).map(|(component, _)| component).collect();
    if !components.is_empty() {
        wrongs.push(holds(MachineFault::Selinux { components }));
    }
}

/// Control groups exist, in a version that this Kubernetes supports.
fn judge_control_groups(node: &Examined<'_>, version: &KubernetesVersion, wrongs: &mut Vec<Wrong>) {
    match node.report.cgroup {
        // Source: <https://kubernetes.io/docs/concepts/architecture/cgroups/>: stable from 1.25 on.
        Some(2) if !version.at_least(1, 25) => {
            wrongs.push(warns(MachineFault::CgroupV2 { kubernetes: version.clone() }));
        }
        Some(_) => {}
        None => wrongs.push(warns(MachineFault::NoCgroups)),
    }
}

fn judge_memory(node: &Examined<'_>, wrongs: &mut Vec<Wrong>) {
    let control_plane = node.desired.has(Role::ControlPlane);
    let wants = if control_plane { CONTROL_PLANE_MEMORY } else { WORKER_MEMORY };
    if let Some(has) = node.report.memory.filter(|memory| *memory < wants) {
        wrongs.push(warns(MachineFault::LittleMemory { has, wants, control_plane }));
    }
}
