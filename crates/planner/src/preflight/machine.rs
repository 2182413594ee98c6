//! One machine by itself: whether what is to be made on it can live there.

use std::collections::BTreeMap;

use windlass_model::{Component, HostReport, KubernetesVersion, Role, Settings, Swap};

use super::ports::ports_in_use;
use super::{Examined, Wrong, holds, row, warns};
use crate::kernel::BROUGHT_BY_MODULES;

const MEBIBYTE: u64 = 1 << 20;
const GIBIBYTE: u64 = 1 << 30;

/// Free bytes under Docker's directory without which no image is pulled: the largest, of Kubernetes itself, takes about
/// 2 GB, and the others fit beside it only then.
const IMAGES_NEED: u64 = 2 * GIBIBYTE;
/// Free bytes under etcd's directory without which no member is made: its log grows by files of 64 MB (`SegmentSizeBytes`
/// of etcd's `wal` package), and it holds some of them.
const ETCD_NEEDS: u64 = 512 * MEBIBYTE;
/// How large etcd's data may grow where no flag says otherwise (`DefaultQuotaBytes` of `server/etcdserver/quota.go`).
const ETCD_QUOTA: u64 = 2 * GIBIBYTE;
/// Memory of a control-plane node that kubeadm asks for (`ControlPlaneMem`), and RKE of a worker.
const CONTROL_PLANE_MEMORY: u64 = 1_700 * MEBIBYTE;
const WORKER_MEMORY: u64 = 1_000 * MEBIBYTE;
/// The oldest Docker whose API kubelet's dockershim speaks: 1.26 (`MinimumDockerAPIVersion`).
const OLDEST_DOCKER: (u32, u32) = (1, 13);
/// The newest Docker with which RKE 1 ran Kubernetes up to and with this minor version.
const NEWEST_DOCKER: [(u32, (u32, u32)); 4] = [(22, (20, 10)), (24, (24, 0)), (26, (25, 0)), (32, (27, 2))];

/// What is wrong with a machine.
pub(super) fn judge(node: &Examined<'_>, version: &KubernetesVersion) -> Vec<Wrong> {
    let mut wrongs = Vec::new();
    judge_architecture(node, &mut wrongs);
    judge_ports(node, version, &mut wrongs);
    judge_addresses(node, &mut wrongs);
    judge_swap(node, &mut wrongs);
    judge_disk(node, &mut wrongs);
    judge_docker(node, version, &mut wrongs);
    judge_kernel_settings(node, &mut wrongs);
    if node.is_new() {
        judge_control_groups(node, version, &mut wrongs);
        judge_memory(node, &mut wrongs);
    }
    wrongs
}

/// windlass carries its own program there.
fn judge_architecture(node: &Examined<'_>, wrongs: &mut Vec<Wrong>) {
    let report = node.report;
    let known = !report.architecture.is_empty() && !report.program.is_empty();
    if known && report.architecture != report.program && node.is_new() {
        wrongs.push(holds(
            format!(
                "its architecture is {}, and this windlass, which is carried there, is made for {}",
                report.architecture, report.program
            ),
            "use a machine of that architecture",
        ));
    }
}

/// Nobody else listens where a component that is to be made will listen.
fn judge_ports(node: &Examined<'_>, version: &KubernetesVersion, wrongs: &mut Vec<Wrong>) {
    let ours = ports_in_use(node.facts, version);
    for (component, wish) in node.absent() {
        let is_taken = |port: &u16| node.report.listening.contains(port) && !ours.contains(port);
        let taken: BTreeMap<u16, &str> = wish
            .conduct
            .listens
            .iter()
            .filter(|(port, _)| is_taken(port))
            .map(|(port, flag)| (*port, &**flag))
            .collect();
        let Some((first, flag)) = taken.first_key_value() else { continue };
        let (noun, verb) = if taken.len() > 1 { ("ports", "are") } else { ("port", "is") };
        let mut wrong = holds(
            format!("{noun} {}, which {component} needs, {verb} taken by something else", row(taken.keys())),
            format!("stop it: `ss -ltnp sport = :{first}` tells root what it is"),
        );
        // Where all nodes are the place, this one is a better one.
        let place = wish.origins.of_flag(flag);
        wrong.origin = place.filter(|place| place.as_str() != "nodes").cloned();
        wrongs.push(wrong);
    }
}

/// Addresses that components listen at, or say they have, are the machine's own.
fn judge_addresses(node: &Examined<'_>, wrongs: &mut Vec<Wrong>) {
    let own = &node.report.addresses;
    if own.is_empty() {
        return;
    }
    let mut told = false;
    for (component, wish) in node.absent() {
        // kubelet ends with "node IP not found in the host's network interfaces", the others with "cannot assign
        // requested address".
        let Some(address) = wish.conduct.own_address else { continue };
        if !address.is_unspecified() && !address.is_loopback() && !own.contains(&address) && !told {
            told = true;
            wrongs.push(holds(
                format!(
                    "it does not have the address {address}, which {component} needs; it has {}",
                    row(own)
                ),
                "say one of its own as `internal_address` in cluster.yml",
            ));
        }
    }
    let internal = node.wish.target.internal_address.parse().ok();
    if let Some(internal) = internal.filter(|address| node.is_new() && !told && !own.contains(address)) {
        wrongs.push(warns(
            format!("it does not have the address {internal} of cluster.yml itself; it has {}", row(own)),
            "right where a router or cloud translates addresses, if the other nodes reach it there; else say its own \
             as `internal_address`",
        ));
    }
}

/// kubelet does not start where swap is on, unless it is told otherwise.
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
    let mut wrong = holds(
        "swap is on, and kubelet does not start with it".to_owned(),
        "switch it off (`swapoff -a`, and its lines in /etc/fstab), or say `services.kubelet.fail_swap_on: false`",
    );
    wrong.origin = kubelet.origins.of_flag("fail-swap-on").cloned();
    wrongs.push(wrong);
}

/// There is room for what is to be made.
fn judge_disk(node: &Examined<'_>, wrongs: &mut Vec<Wrong>) {
    let docker_root = &node.facts.host.docker_root;
    let pulls = node.absent().any(|(_, wish)| !node.facts.images.contains(&wish.spec.image));
    // A directory that was not asked for may be another disk.
    let free = node.report.free.get(docker_root).copied();
    if let Some(free) = free.filter(|free| pulls && *free < IMAGES_NEED) {
        wrongs.push(holds(
            format!(
                "{} are free under {docker_root}, and the images that it lacks need {}",
                size(free),
                size(IMAGES_NEED)
            ),
            "make room: `docker system df` tells what takes it",
        ));
    }
    let Some((_, etcd)) = node.absent().find(|(component, _)| *component == Component::Etcd) else { return };
    let Settings::Etcd { data: Some(data), quota_bytes } = &etcd.conduct.settings else { return };
    let Some(free) = node.report.free_at(data.as_str()) else { return };
    let quota = quota_bytes.unwrap_or(ETCD_QUOTA);
    if free < ETCD_NEEDS {
        wrongs.push(holds(
            format!("{} are free under {data}, and etcd needs {}", size(free), size(ETCD_NEEDS)),
            "make room there, or give it a disk of its own",
        ));
    } else if free < quota {
        wrongs.push(warns(
            format!("{} are free under {data}, and etcd may grow to {}", size(free), size(quota)),
            "make room there, or give it a disk of its own: etcd stops where its disk is full",
        ));
    }
}

fn size(bytes: u64) -> String {
    // Tenths of a gibibyte, or whole mebibytes: nobody asks for more.
    if bytes >= GIBIBYTE {
        format!("{}.{} GiB", bytes / GIBIBYTE, bytes % GIBIBYTE * 10 / GIBIBYTE)
    } else {
        format!("{} MiB", bytes / MEBIBYTE)
    }
}

/// Docker is one that kubelet can talk to.
fn judge_docker(node: &Examined<'_>, version: &KubernetesVersion, wrongs: &mut Vec<Wrong>) {
    let told = node.report.docker.as_str();
    let mut numbers = told.split(['.', '-', '+', '~']).map_while(|number| number.parse().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else { return };
    let makes_kubelet = node.absent().any(|(component, _)| component == Component::Kubelet);
    if (major, minor) < OLDEST_DOCKER && makes_kubelet {
        wrongs.push(holds(
            format!("its Docker {told} is too old for kubelet"),
            "install Docker 20.10 or later",
        ));
        return;
    }
    let tried =
        NEWEST_DOCKER.iter().find(|(until, _)| !version.at_least(1, until + 1)).map(|(_, newest)| *newest);
    if let Some(newest) = tried.filter(|newest| node.is_new() && (major, minor) > *newest) {
        wrongs.push(warns(
            format!("its Docker {told} is newer than any that RKE 1 ran Kubernetes {version} with"),
            format!("it may well work; {}.{} is the newest that is known to", newest.0, newest.1),
        ));
    }
}

/// What windlass does not set by itself: settings that the kernel does not have, for want of a module.
fn judge_kernel_settings(node: &Examined<'_>, wrongs: &mut Vec<Wrong>) {
    let HostReport { sysctls, modules, loadable, .. } = node.report;
    if sysctls.is_empty() || !node.is_new() {
        return;
    }
    // A module of ours brings these when it is loaded.
    let is_loadable = node.wish.kernel.modules.iter().any(|module| loadable.contains(module));
    let comes = |name: &str| is_loadable && name.starts_with(BROUGHT_BY_MODULES);
    let missing: Vec<&str> = node
        .wish
        .kernel
        .sysctls
        .keys()
        .map(|name| &**name)
        .filter(|name| !sysctls.contains_key(*name) && !comes(name))
        .collect();
    if missing.is_empty() {
        return;
    }
    let absent: Vec<&str> = node
        .wish
        .kernel
        .modules
        .iter()
        .map(|module| &**module)
        .filter(|module| !modules.contains(*module))
        .collect();
    let help = if absent.is_empty() {
        "use a kernel that has it, as every distribution's own does".to_owned()
    } else {
        format!("install the kernel module {}, as every distribution's own kernel has it", row(absent))
    };
    wrongs.push(warns(
        format!("its kernel does not know {}: pods may not reach each other, or no Services", row(missing)),
        help,
    ));
}

/// Control groups are there, in a version that this Kubernetes knows.
fn judge_control_groups(node: &Examined<'_>, version: &KubernetesVersion, wrongs: &mut Vec<Wrong>) {
    match node.report.cgroup {
        // Source: <https://kubernetes.io/docs/concepts/architecture/cgroups/>: stable from 1.25 on.
        Some(2) if !version.at_least(1, 25) => wrongs.push(warns(
            format!("it has control groups of version 2, which Kubernetes knows fully only from v1.25 on, not {version}"),
            "boot it with `systemd.unified_cgroup_hierarchy=0`, or wish a later Kubernetes",
        )),
        Some(_) => {}
        None => wrongs.push(warns(
            "it shows no control groups under /sys/fs/cgroup, without which kubelet does not start".to_owned(),
            "mount them; every usual system does so as it boots",
        )),
    }
}

fn judge_memory(node: &Examined<'_>, wrongs: &mut Vec<Wrong>) {
    let (needed, what) = if node.wish.has(Role::ControlPlane) {
        (CONTROL_PLANE_MEMORY, "a control-plane node")
    } else {
        (WORKER_MEMORY, "a node")
    };
    if let Some(memory) = node.report.memory.filter(|memory| *memory < needed) {
        wrongs.push(warns(
            format!("it has {} of memory, and {what} wants {}", size(memory), size(needed)),
            "give it more, or wish less of it",
        ));
    }
}
