//! Kubernetes: node objects, heartbeats, pods with their disruption budget, and what an API server refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_engine::{Eviction, PodController, PodSeen, PortResult};
use windlass_model::{
    Alarm, Component, DrainOptions, KeptRoots, KubeSeen, NodeName, NodeObject, ObjectChange, ObjectRef,
    Owned, PodRuntime, Readiness, Scheduling, Secret, Taint, kubelet_root,
};

use crate::at_rest::is_plain;
use crate::invariants::ViolationKind;
use crate::objects::Stored;
use crate::process::Work;
use crate::world::{World, lasting, passing};

/// The objects of one cluster.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KubeState {
    pub(crate) nodes: BTreeMap<NodeName, NodeState>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) pods: BTreeMap<String, Pod>,
    /// When objects were deleted: kubelet registers again only at its next heartbeat.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) deleted: BTreeMap<NodeName, u64>,
    /// The roots of a ledger that the cluster keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<KeptRoots>,
    /// The keys with which Secrets are stored, and since when.
    #[serde(skip_serializing_if = "is_plain")]
    pub(crate) stored: BTreeMap<String, u64>,
    /// The objects of add-ons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) objects: Vec<Stored>,
    /// Those that windlass records as its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) noted: Vec<ObjectRef>,
    /// Objects that a webhook refuses, each with its words.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) refused: BTreeMap<String, String>,
    /// Grows with every change.
    pub(crate) revision: u64,
    /// Whether the users have created their pods.
    pub(crate) users: Users,
}

/// A node object.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NodeState {
    pub(crate) labels: BTreeMap<Arc<str>, Arc<str>>,
    pub(crate) taints: BTreeSet<Taint>,
    pub(crate) owned: Owned,
    pub(crate) cordon: Cordon,
    pub(crate) last_heartbeat: u64,
}

/// Whether users have come: some seconds after the first schedulable node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Users {
    #[default]
    Unknown,
    ComeAt(u64),
    Here,
}

/// Who cordoned a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cordon {
    #[default]
    Open,
    ByWindlass,
    ByOther,
    /// Somebody else did, and windlass has put its mark on it.
    ByOtherMarked,
}

/// A pod of the users.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pod {
    pub(crate) controller: Controller,
    pub(crate) local_data: bool,
    pub(crate) node: Option<NodeName>,
    pub(crate) ready_at: u64,
}

/// What recreates a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Controller {
    Elsewhere,
    Nobody,
}

/// What users run on the workers, once there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workload {
    /// Pods that a controller recreates on another node; all are under one disruption budget.
    pub replicas: u32,
    /// How many of them must be ready at any time.
    pub min_available: u32,
    /// Whether a `DaemonSet` has a pod on every node.
    pub daemonset: bool,
    /// Pods that nothing recreates.
    pub bare: u32,
    /// Whether the replicas have data in an `emptyDir`.
    pub local_data: bool,
    /// Whether the budget blocks every eviction permanently.
    pub blocked: bool,
}

impl Workload {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// `--node-monitor-grace-period` as RKE sets it: a node is `NotReady` this long after its last heartbeat.
const GRACE_PERIOD: u64 = 40_000;
/// How often kubelet sends a heartbeat.
const HEARTBEAT: u64 = 10_000;
/// How long after the first node the users come.
const USERS_COME: u64 = 10_000;
/// How many bytes a Secret may hold: <https://kubernetes.io/docs/concepts/configuration/secret/#restriction-data-size>.
const LARGEST_SECRET: usize = 1_048_576;
/// How many characters a label's value may have: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>.
const LONGEST_LABEL: usize = 63;
/// How long a pod takes to be ready on another node.
const POD_START: u64 = 3_000;

impl World {
    /// Kubelets that have been connected until now have sent heartbeats until now.
    pub(crate) fn heartbeats(&mut self) {
        let now = self.now;
        for node in &self.view.nodes {
            if let Some((cluster, name)) = &node.registered
                && let Some(object) = self.clusters.get_mut(cluster).and_then(|c| c.kube.nodes.get_mut(name))
            {
                object.last_heartbeat = now;
            }
        }
    }

    /// Kubelets register, pods are scheduled.
    pub(crate) fn settle_kube(&mut self, until: &mut u64) {
        for machine in 0..self.nodes.len() {
            self.register(machine, until);
        }
        self.settle_networks(until);
        // A node that is silent is reported as such from a certain time on.
        let silent = self.clusters.values().flat_map(|cluster| cluster.kube.nodes.values());
        for object in silent {
            let reported_at = object.last_heartbeat + GRACE_PERIOD;
            if object.last_heartbeat < self.now && reported_at > self.now {
                *until = (*until).min(reported_at);
            }
        }
        if self.workload.is_none() {
            return;
        }
        let ids: Vec<u64> = self.clusters.keys().copied().collect();
        for id in ids {
            self.place_pods(id, until);
        }
    }

    fn register(&mut self, machine: usize, until: &mut u64) {
        let now = self.now;
        let Some((cluster, name)) = self.view.nodes[machine].registered.clone() else { return };
        let Some(kubelet) = self.nodes[machine].running(Component::Kubelet) else { return };
        let runtime = PodRuntime::at_endpoint(kubelet.spec.flag("container-runtime-endpoint"));
        let root = kubelet_root(&kubelet.spec);
        let node = &mut self.nodes[machine];
        (node.pod_containers, node.pod_runtime, node.kubelet_root) = (true, runtime, Some(root));
        let Some(kubelet) = self.nodes[machine].running(Component::Kubelet) else { return };
        let Some(program) = kubelet.program.clone() else { return };
        let (Work::Client(client), since) = (&program.work, kubelet.since) else { return };
        let Some(kube) = self.clusters.get_mut(&cluster).map(|cluster| &mut cluster.kube) else { return };
        if let Some(object) = kube.nodes.get_mut(&name) {
            object.last_heartbeat = now;
            return;
        }
        // A kubelet that runs while its object is deleted creates it again at a heartbeat, a new one at once.
        if let Some(deleted) = kube.deleted.get(&name)
            && since <= *deleted
            && deleted + HEARTBEAT > now
        {
            *until = (*until).min(deleted + HEARTBEAT);
            return;
        }
        let text = |text: &str| Arc::<str>::from(text);
        // The label with its name would be invalid, and the API server refuses a Node with it.
        if name.as_str().len() > LONGEST_LABEL {
            return;
        }
        let mut labels: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::from([
            (text("kubernetes.io/hostname"), text(name.as_str())),
            (text("kubernetes.io/os"), text("linux")),
            (text("kubernetes.io/arch"), text("amd64")),
        ]);
        labels.extend(client.labels.iter().map(|(key, value)| (text(key), text(value))));
        let taints = client.taints.iter().map(|(key, value, effect)| Taint {
            key: text(key),
            value: text(value),
            effect: text(effect),
        });
        let taints: Vec<Taint> = taints.collect();
        let is_valid = |(_, value): (&Arc<str>, &Arc<str>)| value.len() <= LONGEST_LABEL;
        if !labels.iter().all(is_valid) || has_equal_taints(&taints) {
            return;
        }
        let object = NodeState {
            labels,
            taints: taints.into_iter().collect(),
            last_heartbeat: now,
            ..NodeState::default()
        };
        kube.nodes.insert(name, object);
        kube.revision += 1;
    }

    fn place_pods(&mut self, id: u64, until: &mut u64) {
        let now = self.now;
        let ready: BTreeSet<NodeName> = self.ready_nodes(id).collect();
        let workload = self.workload;
        let kube = &mut self.clusters.get_mut(&id).expect("the caller took the id from the map").kube;
        let open: Vec<NodeName> = kube
            .nodes
            .iter()
            .filter(|(name, object)| {
                ready.contains(*name)
                    && object.cordon == Cordon::Open
                    && !object.taints.iter().any(|taint| &*taint.effect != "PreferNoSchedule")
            })
            .map(|(name, _)| name.clone())
            .collect();
        if open.is_empty() {
            return;
        }
        if kube.users == Users::Unknown {
            kube.users = Users::ComeAt(now + USERS_COME);
        }
        if let Users::ComeAt(at) = kube.users {
            if at > now {
                *until = (*until).min(at);
                return;
            }
            kube.users = Users::Here;
            let pod = |controller, local_data| Pod { controller, local_data, node: None, ready_at: 0 };
            for number in 0..workload.replicas {
                kube.pods.insert(format!("web-{number}"), pod(Controller::Elsewhere, workload.local_data));
            }
            for number in 0..workload.bare {
                kube.pods.insert(format!("bare-{number}"), pod(Controller::Nobody, false));
            }
        }
        let mut load: BTreeMap<NodeName, usize> = open.into_iter().map(|name| (name, 0)).collect();
        for pod in kube.pods.values() {
            if let Some(count) = pod.node.as_ref().and_then(|node| load.get_mut(node)) {
                *count += 1;
            }
        }
        for pod in kube.pods.values_mut() {
            if pod.node.as_ref().is_some_and(|node| !kube.nodes.contains_key(node)) {
                pod.node = None;
            }
            if pod.node.is_none()
                && let Some((name, count)) = load.iter_mut().min_by_key(|(_, count)| **count)
            {
                pod.node = Some(name.clone());
                pod.ready_at = now + POD_START;
                *count += 1;
            }
            if pod.ready_at > now {
                *until = (*until).min(pod.ready_at);
            }
        }
    }

    fn ready_nodes(&self, id: u64) -> impl Iterator<Item = NodeName> + '_ {
        self.clusters[&id]
            .kube
            .nodes
            .iter()
            .filter(move |(name, object)| self.is_ready(id, name, object))
            .map(|(name, _)| name.clone())
    }

    pub(crate) fn is_ready(&self, id: u64, name: &NodeName, object: &NodeState) -> bool {
        let connected = self.view.nodes.iter().any(|node| {
            node.registered.as_ref().is_some_and(|(cluster, registered)| *cluster == id && registered == name)
        });
        connected || object.last_heartbeat + GRACE_PERIOD > self.now
    }

    /// Since when an API server reports that this machine is not ready, if one does.
    pub(crate) fn dark_since(&self, machine: usize) -> Option<u64> {
        let name = self.kubelet_name(machine);
        self.view.nodes.iter().filter_map(|node| node.api).find_map(|id| {
            let object = self.clusters.get(&id)?.kube.nodes.get(&name)?;
            (!self.is_ready(id, &name, object)).then_some(object.last_heartbeat + GRACE_PERIOD)
        })
    }

    /// Whether the node object of this machine has the taint of a role that takes no pods.
    pub(crate) fn keeps_pods_away(&self, machine: usize) -> bool {
        let name = self.kubelet_name(machine);
        let mut objects = self.clusters.values().filter_map(|cluster| cluster.kube.nodes.get(&name));
        objects
            .any(|object| object.taints.iter().any(|taint| taint.key.starts_with("node-role.kubernetes.io/")))
    }

    /// Whether this machine is cordoned in any cluster.
    pub(crate) fn is_cordoned(&self, machine: usize) -> bool {
        let name = self.kubelet_name(machine);
        self.clusters.values().any(|cluster| {
            !cluster.dismantled
                && cluster.kube.nodes.get(&name).is_some_and(|node| node.cordon != Cordon::Open)
        })
    }

    /// Whether a pod is on a node, or on none any more.
    pub(crate) fn is_pod_on(&self, pod: &str, node: &NodeName) -> bool {
        self.clusters
            .values()
            .filter_map(|cluster| cluster.kube.pods.get(pod))
            .all(|pod| pod.node.as_ref().is_none_or(|there| there == node))
    }

    /// The name under which the kubelet of a machine registers.
    pub(crate) fn kubelet_name(&self, machine: usize) -> NodeName {
        let node = &self.nodes[machine];
        let kubelet = node.containers.values().find(|container| container.kind == Some(Component::Kubelet));
        kubelet
            .and_then(|kubelet| kubelet.spec.flag("hostname-override"))
            .map_or_else(|| node.name.0.clone(), NodeName::from)
    }

    /// The cluster behind the first healthy API server that windlass reaches.
    pub(crate) fn api(&self) -> Option<u64> {
        (0..self.nodes.len())
            .filter(|machine| self.is_in_sight(*machine))
            .filter(|machine| !self.is_busy(*machine, Component::KubeApiserver))
            .find_map(|machine| self.view.nodes[machine].api)
    }

    pub(crate) fn kube(&mut self) -> PortResult<(u64, &mut KubeState)> {
        let id = self.api().ok_or_else(|| passing("no API server answers"))?;
        let cluster = self.clusters.get_mut(&id).ok_or_else(|| passing("no API server answers"))?;
        Ok((id, &mut cluster.kube))
    }

    pub(crate) fn has_pod_network(&self, name: &NodeName) -> bool {
        self.machine_of(name).is_none_or(|machine| self.nodes[machine].machine.pod_network)
    }

    fn object(&self, id: u64, name: &NodeName, object: &NodeState) -> NodeObject {
        NodeObject {
            why_not_ready: String::new(),
            kubelet: self.machine_of(name).and_then(|machine| self.version_of(machine, Component::Kubelet)),
            ready: match (self.is_ready(id, name, object), self.has_pod_network(name)) {
                (true, true) => Readiness::Ready,
                (true, false) => Readiness::LacksNetwork,
                (false, _) => Readiness::NotReady,
            },
            scheduling: match object.cordon {
                Cordon::Open => Scheduling::Open,
                Cordon::ByWindlass | Cordon::ByOtherMarked => Scheduling::CordonedByWindlass,
                Cordon::ByOther => Scheduling::CordonedByOther,
            },
            labels: object.labels.clone(),
            taints: object.taints.clone(),
            owned: object.owned.clone(),
        }
    }

    pub(crate) fn kube_nodes(&self) -> KubeSeen {
        let Some(id) = self.api() else { return KubeSeen::Silent };
        let nodes = &self.clusters[&id].kube.nodes;
        KubeSeen::Nodes(
            nodes.iter().map(|(name, node)| (name.clone(), self.object(id, name, node))).collect(),
        )
    }

    pub(crate) fn kube_node(&self, name: &NodeName) -> PortResult<Option<NodeObject>> {
        let id = self.api().ok_or_else(|| passing("no API server answers"))?;
        Ok(self.clusters[&id].kube.nodes.get(name).map(|node| self.object(id, name, node)))
    }

    fn change_node(
        &mut self,
        name: &NodeName,
        change: impl FnOnce(&mut NodeState) -> Option<(ViolationKind, String)>,
    ) -> PortResult<()> {
        let (id, _) = self.kube()?;
        if self.clusters[&id].has_raised(Alarm::NoSpace) {
            return Err(passing("etcdserver: mvcc: database space exceeded"));
        }
        let (_, kube) = self.kube()?;
        let object =
            kube.nodes.get_mut(name).ok_or_else(|| lasting(format!("nodes \"{name}\" not found")))?;
        let complaint = change(object);
        kube.revision += 1;
        self.touch();
        if let Some((kind, what)) = complaint {
            self.violate(kind, what);
        }
        Ok(())
    }

    pub(crate) fn cordon(&mut self, name: &NodeName) -> PortResult<()> {
        self.change_node(name, |object| {
            object.cordon = match object.cordon {
                Cordon::Open | Cordon::ByWindlass => Cordon::ByWindlass,
                Cordon::ByOther | Cordon::ByOtherMarked => Cordon::ByOtherMarked,
            };
            None
        })
    }

    pub(crate) fn uncordon(&mut self, name: &NodeName) -> PortResult<()> {
        self.change_node(name, |object| {
            let complaint = matches!(object.cordon, Cordon::ByOther | Cordon::ByOtherMarked)
                .then(|| (ViolationKind::CordonMark, format!("{name} was cordoned by somebody else")));
            object.cordon = Cordon::Open;
            complaint
        })
    }

    pub(crate) fn pods(&mut self, name: &NodeName) -> PortResult<Vec<PodSeen>> {
        let daemonset = self.workload.daemonset;
        let (_, kube) = self.kube()?;
        let seen = |pod: &str, controller, local_data| PodSeen {
            namespace: "default".to_owned(),
            name: pod.to_owned(),
            controller,
            local_data,
        };
        let mut pods: Vec<PodSeen> = kube
            .pods
            .iter()
            .filter(|(_, pod)| pod.node.as_ref() == Some(name))
            .map(|(pod_name, pod)| {
                let controller = match pod.controller {
                    Controller::Elsewhere => PodController::Elsewhere,
                    Controller::Nobody => PodController::Nobody,
                };
                seen(pod_name, controller, pod.local_data)
            })
            .collect();
        if daemonset && kube.nodes.contains_key(name) {
            pods.push(seen(&format!("agent-{name}"), PodController::DaemonSet, false));
        }
        Ok(pods)
    }

    /// A pod is evicted if its disruption budget allows it. The pod of a `DaemonSet` is back at once.
    pub(crate) fn evict(&mut self, pod: &PodSeen, options: &DrainOptions) -> PortResult<Eviction> {
        let (now, workload) = (self.now, self.workload);
        let (id, kube) = self.kube()?;
        let Some(there) = kube.pods.get(&pod.name) else { return Ok(Eviction::Granted) };
        let (controller, local_data) = (there.controller, there.local_data);
        if controller == Controller::Elsewhere {
            let ready: BTreeSet<NodeName> = self.ready_nodes(id).collect();
            let counts = |pod: &Pod| {
                pod.controller == Controller::Elsewhere
                    && pod.ready_at <= now
                    && pod.node.as_ref().is_some_and(|node| ready.contains(node))
            };
            let pods = &self.clusters[&id].kube.pods;
            let available = pods.values().filter(|pod| counts(pod)).count();
            let is_counted = pods.get(&pod.name).is_some_and(counts);
            if workload.blocked || (is_counted && available <= workload.min_available as usize) {
                return Ok(Eviction::Blocked);
            }
        }
        if controller == Controller::Nobody && !options.force {
            self.violate(ViolationKind::Drain, format!("{} is brought back by nobody", pod.name));
        }
        if local_data && !options.delete_local_data {
            self.violate(ViolationKind::Drain, format!("{} loses its local data", pod.name));
        }
        let (_, kube) = self.kube()?;
        match controller {
            Controller::Nobody => drop(kube.pods.remove(&pod.name)),
            Controller::Elsewhere => {
                if let Some(pod) = kube.pods.get_mut(&pod.name) {
                    pod.node = None;
                }
            }
        }
        kube.revision += 1;
        self.touch();
        Ok(Eviction::Granted)
    }

    pub(crate) fn patch_node(&mut self, name: &NodeName, change: &ObjectChange) -> PortResult<()> {
        let (_, kube) = self.kube()?;
        let there = kube.nodes.get(name).into_iter().flat_map(|object| &object.taints);
        let taints: BTreeSet<&Taint> =
            there.filter(|taint| !change.taints_gone.contains(*taint)).chain(&change.taints).collect();
        if has_equal_taints(taints) {
            let why = "taints must be unique by key and effect pair";
            return Err(lasting(format!("Node \"{name}\" is invalid: metadata.taints: {why}")));
        }
        if let Some((key, value)) = change.labels.iter().find(|(_, value)| value.len() > LONGEST_LABEL) {
            let why = format!("{key}: \"{value}\": must be no more than {LONGEST_LABEL} characters");
            return Err(lasting(format!("Node \"{name}\" is invalid: metadata.labels: {why}")));
        }
        self.change_node(name, |object| {
            let ObjectChange { labels, labels_gone, taints, taints_gone, owned } = change;
            object.labels.retain(|key, _| !labels_gone.contains(key));
            object.labels.extend(labels.iter().map(|(key, value)| (key.clone(), value.clone())));
            object.taints.retain(|taint| !taints_gone.contains(taint));
            object.taints.extend(taints.iter().cloned());
            object.owned = owned.clone();
            None
        })
    }

    pub(crate) fn delete_node(&mut self, name: &NodeName) -> PortResult<()> {
        let now = self.now;
        let (_, kube) = self.kube()?;
        if kube.nodes.remove(name).is_some() {
            kube.deleted.insert(name.clone(), now);
            kube.revision += 1;
            self.touch();
        }
        Ok(())
    }

    pub(crate) fn kept_roots(&mut self) -> PortResult<Option<KeptRoots>> {
        let (_, kube) = self.kube()?;
        Ok(kube.kept.clone())
    }

    pub(crate) fn keep_roots(&mut self, kept: &KeptRoots, content: &Secret<Vec<u8>>) -> PortResult<()> {
        let (_, kube) = self.kube()?;
        if content.expose().len() > LARGEST_SECRET {
            return Err(lasting("Secret \"windlass-ledger\" is invalid: data: Too long"));
        }
        kube.kept = Some(kept.clone());
        kube.revision += 1;
        if let Some(name) = self.keys.in_clear(content.expose()) {
            self.violate(ViolationKind::InClear, format!("the key of {name} goes into a Secret in clear"));
        }
        Ok(())
    }

    pub(crate) fn drop_roots(&mut self) -> PortResult<()> {
        let (_, kube) = self.kube()?;
        kube.kept = None;
        kube.revision += 1;
        Ok(())
    }
}

/// Whether two taints have the same key and the same effect (`validateNodeTaints` of Kubernetes'
/// `core/validation`).
fn has_equal_taints<'t>(taints: impl IntoIterator<Item = &'t Taint>) -> bool {
    let mut seen = BTreeSet::new();
    taints.into_iter().any(|taint| !seen.insert((&taint.key, &taint.effect)))
}
