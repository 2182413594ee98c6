//! What one node should be: how it is reached, its containers, files, images, labels and taints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_model::{
    Component, DesiredNode, FilePath, HostFacts, ImageRef, NodeName, NodeTarget, PodRuntime, Prefix, Role,
    SpecPath, Taint,
};

use crate::cluster::{Cluster, Member};
use crate::containers::{self, Prepared};
use crate::files::Places;
use crate::kernel::Kernels;
use crate::values::{ClusterValues, NodeValues};
use windlass_addons::Problems;

/// All that nodes with the same prefix and the same runtime of pods share.
pub(crate) struct Kit {
    pub(crate) places: Places,
    prepared: BTreeMap<Component, Prepared>,
    kernels: Kernels,
}

impl Kit {
    pub(crate) fn new(cluster: &Cluster<'_>, prefix: &str, runtime: PodRuntime) -> Self {
        let values = ClusterValues::new(cluster, prefix);
        let places = Places::new(cluster, prefix);
        let prepared = Component::ALL
            .into_iter()
            .filter_map(|component| {
                Some((component, containers::prepare(component, cluster, &values, &places, runtime)?))
            })
            .collect();
        Self { places, prepared, kernels: Kernels::new() }
    }

    /// A component's container as far as no node is needed for it.
    pub(crate) fn prepared(&self, component: Component) -> Option<&Prepared> {
        self.prepared.get(&component)
    }

    /// What a node should be.
    pub(crate) fn node(
        &self,
        name: &NodeName,
        node: &Member<'_>,
        facts: &HostFacts,
        cluster: &Cluster<'_>,
        prefix: Option<&Prefix>,
    ) -> DesiredNode {
        let values = NodeValues::new(name, node, facts, cluster);
        let mut files = self.places.of_node(name, node, cluster);
        let containers = components(node, cluster)
            .filter_map(|component| {
                Some((component, self.prepared.get(&component)?.on_node(&values, &files)))
            })
            .collect();
        let (kernel, kernel_files) = self.kernels.of(&containers);
        files.extend(kernel_files.iter().cloned());
        DesiredNode {
            origin: SpecPath::from(format!("nodes[{}]", node.index)),
            target: target(node, cluster),
            roles: node.spec.role.clone(),
            prefix: prefix.cloned(),
            containers,
            files,
            kernel: Arc::clone(kernel),
            images: images_of_pods(cluster),
            labels: labels(node),
            taints: taints(node),
            taint_places: places_of_taints(node),
        }
    }
}

/// The components that run on a node.
fn components(node: &Member<'_>, cluster: &Cluster<'_>) -> impl Iterator<Item = Component> {
    let has_snapshots = cluster.takes_snapshots();
    Component::ALL.into_iter().filter(move |component| {
        component.nature().runs.on(&node.spec.role)
            && (*component != Component::EtcdRollingSnapshots || has_snapshots)
    })
}

fn target(node: &Member<'_>, cluster: &Cluster<'_>) -> NodeTarget {
    let socket = node.spec.docker_socket.as_deref().unwrap_or("/var/run/docker.sock");
    NodeTarget {
        address: node.spec.address.clone(),
        port: node.spec.port.unwrap_or(22),
        user: node.spec.user.clone(),
        internal_address: node.spec.internal_address().to_owned(),
        docker_socket: FilePath::from(socket),
        key_path: node.spec.ssh_key_path.as_ref().or(cluster.spec.ssh_key_path.as_ref()).cloned(),
    }
}

/// Every pod has a pause container.
fn images_of_pods(cluster: &Cluster<'_>) -> BTreeSet<ImageRef> {
    cluster.images.of("pod_infra_container").map(|pause| pause.image.clone()).into_iter().collect()
}

const LABELS_OF_ROLES: [(Role, &str); 3] = [
    (Role::Etcd, "node-role.kubernetes.io/etcd"),
    (Role::ControlPlane, "node-role.kubernetes.io/controlplane"),
    (Role::Worker, "node-role.kubernetes.io/worker"),
];

const ETCD_TAINT: &str = "node-role.kubernetes.io/etcd";
const CONTROL_PLANE_TAINT: &str = "node-role.kubernetes.io/controlplane";

/// The user's labels, and one for each role; the keys of roles are not the user's to set.
fn labels(node: &Member<'_>) -> BTreeMap<Arc<str>, Arc<str>> {
    let of_user = node.spec.labels.iter().filter(|(key, _)| !is_label_of_role(key));
    let of_roles = LABELS_OF_ROLES.iter().filter(|(role, _)| node.has(*role)).map(|(_, key)| (*key, "true"));
    of_user
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .chain(of_roles)
        .map(|(key, value)| (key.into(), value.into()))
        .collect()
}

fn is_label_of_role(key: &str) -> bool {
    LABELS_OF_ROLES.iter().any(|(_, label)| *label == key)
}

/// The user's taints, and those that keep pods off nodes that are no workers.
fn taints(node: &Member<'_>) -> BTreeSet<Taint> {
    let of_user = taints_of_user(node).map(|(_, taint)| taint);
    let of_roles =
        [(Role::Etcd, ETCD_TAINT, "NoExecute"), (Role::ControlPlane, CONTROL_PLANE_TAINT, "NoSchedule")]
            .into_iter()
            .filter(|(role, ..)| node.has(*role) && !node.has(Role::Worker))
            .map(|(_, key, effect)| Taint { key: key.into(), value: "true".into(), effect: effect.into() });
    of_user.chain(of_roles).collect()
}

/// The user's taints, each with its index in the file.
fn taints_of_user(node: &Member<'_>) -> impl Iterator<Item = (usize, Taint)> {
    let own = node.spec.taints.iter().enumerate().filter(|(_, taint)| !is_taint_of_role(&taint.key));
    own.map(|(index, taint)| {
        let (key, value, effect) =
            (taint.key.as_str().into(), taint.value.as_str().into(), taint.effect.as_str().into());
        (index, Taint { key, value, effect })
    })
}

fn places_of_taints(node: &Member<'_>) -> BTreeMap<Taint, SpecPath> {
    let place = |index| SpecPath::from(format!("nodes[{}].taints[{index}]", node.index));
    taints_of_user(node).map(|(index, taint)| (taint, place(index))).collect()
}

/// The labels that kubelet gives its node, and gives again as it starts.
///
/// Source: `updateDefaultLabels` in `pkg/kubelet/kubelet_node_status.go` of kubernetes/kubernetes.
const LABELS_OF_KUBELET: [&str; 3] = ["kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch"];

/// The taints that Kubernetes puts on a node by its state, and takes away by that.
///
/// Source: <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>, "Taint based Evictions" and "Taint
/// Nodes by Condition".
const TAINTS_OF_STATE: [&str; 7] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
    "node.kubernetes.io/unschedulable",
];

fn is_taint_of_role(key: &str) -> bool {
    [ETCD_TAINT, CONTROL_PLANE_TAINT].contains(&key)
}

/// Tells of what the file asks for in vain: labels, taints and flags that windlass alone decides on.
pub(crate) fn warn_of_reserved(cluster: &Cluster<'_>, problems: &mut Problems) {
    // What is so of many nodes is said at the first.
    let mut seen: BTreeMap<(&str, &str), (String, usize)> = BTreeMap::new();
    for (index, node) in cluster.spec.nodes.iter().enumerate() {
        let is_reserved = |key: &str| is_label_of_role(key) || LABELS_OF_KUBELET.contains(&key);
        let labels = node.labels.keys().filter(|key| is_reserved(key));
        let labels = labels.map(|key| ("label", key.as_str(), format!("nodes[{index}].labels.{key}")));
        let is_reserved = |key: &str| is_taint_of_role(key) || TAINTS_OF_STATE.contains(&key);
        let taints = node.taints.iter().enumerate().filter(|(_, taint)| is_reserved(&taint.key));
        let taints = taints
            .map(|(place, taint)| ("taint", taint.key.as_str(), format!("nodes[{index}].taints[{place}]")));
        for (kind, key, place) in labels.chain(taints) {
            seen.entry((kind, key)).and_modify(|(_, more)| *more += 1).or_insert((place, 0));
        }
    }
    for ((kind, key), (place, more)) in seen {
        let also = match more {
            0 => String::new(),
            1 => ", here and in one more place".to_owned(),
            more => format!(", here and in {more} more places"),
        };
        let (by, help) = if LABELS_OF_KUBELET.contains(&key) {
            ("kubelet, each time that it starts", "take it out, or choose a key of your own")
        } else if TAINTS_OF_STATE.contains(&key) {
            ("Kubernetes, by the state of the node", "take it out, or choose a key of your own")
        } else {
            ("`role`", "take it out; it has no effect")
        };
        let summary = format!("the {kind} `{key}` is decided by {by}{also}");
        problems.warning(&place, summary, Some(help.to_owned()));
    }
    let arguments = &cluster.spec.services.etcd.service;
    for flag in Component::Etcd.nature().birth_flags {
        if let Some(argument) = arguments.argument(flag) {
            problems.warning(
                &format!("services.etcd.{}", argument.path()),
                format!("windlass alone decides on `{flag}`, when a member is born"),
                Some("take it out; it has no effect".to_owned()),
            );
        }
    }
}
