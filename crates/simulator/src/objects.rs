//! Objects of add-ons: an API server's store with field managers, the pods of workloads, and the network that
//! they provide.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use windlass_engine::{PortError, PortResult};
use windlass_model::{
    ADDON_LABEL, AddonKind, Component, DesiredObject, NodeName, ObjectRef, ObjectSeen, ObjectsSeen, is_ours,
};

use crate::kube::{Cordon, KubeState};
use crate::world::{World, lasting};

/// One object as the API server has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored {
    pub(crate) object: ObjectRef,
    pub(crate) body: Value,
    /// What windlass applied last: a field that the next application leaves out is removed.
    #[serde(default)]
    applied: Value,
    /// The other manager of all its fields; none where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// Why its pods do not become ready; none where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
    created_at: u64,
    changed_at: u64,
}

/// How long a controller takes to see a change.
const OBSERVED_AFTER: u64 = 1_000;
/// How long pods take to be ready.
const PODS_START: u64 = 3_000;
/// How long an API server takes to serve a kind that was defined.
const ESTABLISHED_AFTER: u64 = 700;
/// Namespaces that every cluster has.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
/// The managers whose fields windlass may take over, according to its own list.
const NOBODY: [&str; 3] = ["kubectl", "rke", "before-first-apply"];

impl Stored {
    fn has_pods(&self) -> bool {
        ["DaemonSet", "Deployment"].contains(&&*self.object.kind)
    }

    fn brings_network(&self) -> bool {
        &*self.object.kind == "DaemonSet"
            && self.body["metadata"]["labels"][ADDON_LABEL] == json!(AddonKind::Network.as_str())
    }

    /// Changes the body; the controller sees a new generation where the desired state changed.
    fn change(&mut self, now: u64, change: impl FnOnce(&mut Value)) -> bool {
        let before = self.body.clone();
        change(&mut self.body);
        let is_changed = self.body != before;
        if self.body["spec"] != before["spec"] {
            let generation = before["metadata"]["generation"].as_u64().unwrap_or_default();
            self.body["metadata"]["generation"] = json!(generation + 1);
            self.changed_at = now;
        }
        is_changed
    }
}

impl KubeState {
    fn find(&mut self, object: &ObjectRef) -> Option<&mut Stored> {
        self.objects.iter_mut().find(|stored| stored.object.is_same_object(object))
    }

    /// Whether the kind of an object is Kubernetes' own, or that of a definition which is there since a moment.
    fn knows_kind(&self, object: &ObjectRef, now: u64) -> bool {
        let defines = |stored: &Stored| {
            let spec = &stored.body["spec"];
            &*stored.object.kind == "CustomResourceDefinition"
                && spec["group"] == json!(object.group())
                && spec["names"]["kind"] == json!(&*object.kind)
                && stored.created_at + ESTABLISHED_AFTER <= now
        };
        let group = object.group();
        !group.contains('.') || group.ends_with(".k8s.io") || self.objects.iter().any(defines)
    }

    fn has_namespace(&self, object: &ObjectRef) -> bool {
        let name = &object.namespace;
        let is_made = |stored: &Stored| &*stored.object.kind == "Namespace" && stored.object.name == *name;
        name.is_empty() || NAMESPACES.contains(&&**name) || self.objects.iter().any(is_made)
    }
}

impl World {
    pub(crate) fn kube_objects(&self, wanted: &[ObjectRef]) -> ObjectsSeen {
        let Some(id) = self.api() else { return ObjectsSeen::Unknown };
        let kube = &self.clusters[&id].kube;
        let is_asked = |stored: &&Stored| {
            wanted.iter().chain(&kube.noted).any(|object| object.is_same_object(&stored.object))
        };
        let objects = kube
            .objects
            .iter()
            .filter(is_asked)
            .map(|stored| ObjectSeen {
                object: stored.object.clone(),
                body: self.with_status(id, stored).into(),
            })
            .collect();
        ObjectsSeen::Seen { objects, noted: kube.noted.clone() }
    }

    pub(crate) fn note_objects(&mut self, ours: &[ObjectRef], gone: &[ObjectRef]) -> PortResult<()> {
        let (_, kube) = self.kube()?;
        let before = kube.noted.clone();
        kube.noted.retain(|noted| !gone.iter().chain(ours).any(|object| object.is_same_object(noted)));
        kube.noted.extend(ours.iter().cloned());
        kube.noted.sort();
        if kube.noted != before {
            kube.revision += 1;
        }
        Ok(())
    }

    pub(crate) fn apply_object(&mut self, desired: &DesiredObject) -> PortResult<()> {
        let now = self.now;
        let (_, kube) = self.kube()?;
        let DesiredObject { object, body, from: _ } = desired;
        if !kube.knows_kind(object, now) {
            let what = format!(
                "apply {object}: the API server knows no kind {} of {}",
                object.kind, object.api_version
            );
            return Err(PortError::Passing { what });
        }
        if let Some(why) = kube.refused.get(&object.to_string()) {
            return Err(lasting(format!("apply {object}: {why}")));
        }
        if let Some(why) = crate::admission::refusal(&object.kind, body) {
            return Err(lasting(format!("apply {object}: {why}")));
        }
        if !kube.has_namespace(object) {
            return Err(lasting(format!("apply {object}: namespaces \"{}\" not found", object.namespace)));
        }
        let is_changed = match kube.find(object) {
            None => {
                let mut body = Value::clone(body);
                if &*object.kind == "Deployment" && body["spec"]["replicas"].is_null() {
                    body["spec"]["replicas"] = json!(1);
                }
                body["metadata"]["generation"] = json!(1);
                kube.objects.push(Stored {
                    object: object.clone(),
                    body,
                    applied: Value::clone(&desired.body),
                    owner: None,
                    broken: None,
                    created_at: now,
                    changed_at: now,
                });
                kube.objects.sort_by(|one, other| one.object.cmp(&other.object));
                true
            }
            Some(stored) => {
                refuse_immutable(stored, desired)?;
                if let Some(owner) = &stored.owner {
                    if !NOBODY.iter().any(|nobody| owner.starts_with(nobody))
                        && let Some(field) = desired.differences(&stored.body).first()
                    {
                        return Err(lasting(format!(
                            "{object} is not changed, as somebody else answers for it: {} belongs to {owner}",
                            field.path
                        )));
                    }
                    if owner.starts_with("kubectl") || owner.starts_with("rke") {
                        stored.owner = None;
                    }
                }
                let former = std::mem::replace(&mut stored.applied, Value::clone(body));
                stored.change(now, |live| {
                    forget(live, &former, body);
                    merge(live, body);
                })
            }
        };
        if is_changed {
            kube.revision += 1;
            self.touch();
        }
        Ok(())
    }

    /// What windlass may delete: objects with its marks.
    pub(crate) fn delete_own_object(&mut self, object: &ObjectRef) -> PortResult<()> {
        let (_, kube) = self.kube()?;
        if kube.find(object).is_some_and(|stored| is_ours(&stored.body)) {
            self.delete_object(object)?;
        }
        Ok(())
    }

    pub(crate) fn delete_object(&mut self, object: &ObjectRef) -> PortResult<()> {
        let (_, kube) = self.kube()?;
        let before = kube.objects.len();
        kube.objects.retain(|stored| !stored.object.is_same_object(object));
        if kube.objects.len() < before {
            kube.revision += 1;
            self.touch();
        }
        Ok(())
    }

    pub(crate) fn why_pods_wait(&mut self, object: &ObjectRef) -> PortResult<Vec<String>> {
        let (_, kube) = self.kube()?;
        let Some(stored) = kube.find(object) else { return Ok(Vec::new()) };
        let name = stored.object.name.clone();
        Ok(stored.broken.iter().map(|why| format!("{name}-x on a node: {why}")).collect())
    }

    /// The object as an API server returns it now.
    fn with_status(&self, id: u64, stored: &Stored) -> Value {
        let mut body = stored.body.clone();
        if !stored.has_pods() {
            return body;
        }
        let generation = body["metadata"]["generation"].as_u64().unwrap_or(1);
        let is_observed = stored.changed_at + OBSERVED_AFTER <= self.now;
        let is_started = stored.changed_at + PODS_START <= self.now && stored.broken.is_none();
        let observed = if is_observed { generation } else { generation - 1 };
        let kube = &self.clusters[&id].kube;
        body["status"] = if &*stored.object.kind == "DaemonSet" {
            let nodes: Vec<&NodeName> = kube
                .nodes
                .iter()
                .filter(|(_, node)| is_selected(&stored.body, &node.labels))
                .map(|(name, _)| name)
                .collect();
            let runs = |name: &&&NodeName| {
                let name: &NodeName = name;
                kube.nodes.get(name).is_some_and(|object| self.is_ready(id, name, object))
                    && (stored.brings_network() || self.has_pod_network(name))
            };
            let ready = if is_started { nodes.iter().filter(runs).count() } else { 0 };
            json!({"observedGeneration": observed, "desiredNumberScheduled": nodes.len(),
                "updatedNumberScheduled": if is_observed { nodes.len() } else { 0 }, "numberAvailable": ready})
        } else {
            let replicas = body["spec"]["replicas"].as_u64().unwrap_or(1);
            let takes = |(name, object): (&NodeName, &crate::kube::NodeState)| {
                object.cordon == Cordon::Open
                    && self.is_ready(id, name, object)
                    && self.has_pod_network(name)
                    && object.labels.contains_key("node-role.kubernetes.io/worker")
            };
            let ready = if is_started && kube.nodes.iter().any(takes) { replicas } else { 0 };
            json!({"observedGeneration": observed, "updatedReplicas": replicas, "availableReplicas": ready})
        };
        body
    }

    /// The started pods of a network have written its configuration to their nodes; it stays there.
    pub(crate) fn settle_networks(&mut self, until: &mut u64) {
        for machine in 0..self.nodes.len() {
            if self.nodes[machine].machine.pod_network
                || self.nodes[machine].running(Component::Kubelet).is_none()
            {
                continue;
            }
            let Some((cluster, _)) = &self.view.nodes[machine].registered else { continue };
            let Some(kube) = self.clusters.get(cluster).map(|cluster| &cluster.kube) else { continue };
            let brings = |stored: &&Stored| stored.brings_network() && stored.broken.is_none();
            let Some(at) = kube.objects.iter().find(brings).map(|stored| stored.created_at + PODS_START)
            else {
                continue;
            };
            if at <= self.now {
                self.nodes[machine].machine.pod_network = true;
            } else {
                *until = (*until).min(at);
            }
        }
        for stored in self.clusters.values().flat_map(|cluster| &cluster.kube.objects) {
            for at in [OBSERVED_AFTER, PODS_START].map(|after| stored.changed_at + after) {
                if at > self.now {
                    *until = (*until).min(at);
                }
            }
        }
    }

    fn by_hand_on(&mut self, object: &ObjectRef, change: impl FnOnce(&mut Stored, u64)) {
        let now = self.now;
        let Ok((_, kube)) = self.kube() else { return };
        if let Some(stored) = kube.find(object) {
            change(stored, now);
            kube.revision += 1;
            self.touch();
        }
    }

    /// `kubectl edit`: one field, in JSON.
    pub(crate) fn edit_object(&mut self, object: &ObjectRef, pointer: &str, value: &Value) {
        self.by_hand_on(object, |stored, now| {
            stored.change(now, |body| {
                if let Some(field) = body.pointer_mut(pointer) {
                    field.clone_from(value);
                }
            });
        });
    }

    /// Another manager owns its fields from now on.
    pub(crate) fn own_object(&mut self, object: &ObjectRef, owner: &str) {
        self.by_hand_on(object, |stored, _| stored.owner = Some(owner.to_owned()));
    }

    /// Its pods are kept from being ready, or no longer.
    pub(crate) fn break_pods(&mut self, object: &ObjectRef, why: Option<&str>) {
        self.by_hand_on(object, |stored, now| {
            stored.broken = why.map(str::to_owned);
            stored.changed_at = now;
        });
    }

    /// A webhook refuses an object from now on, or no longer.
    pub(crate) fn refuse_object(&mut self, object: &ObjectRef, why: Option<&str>) {
        let Ok((_, kube)) = self.kube() else { return };
        match why {
            Some(why) => drop(kube.refused.insert(object.to_string(), why.to_owned())),
            None => drop(kube.refused.remove(&object.to_string())),
        }
    }

    /// Somebody else creates an object.
    pub(crate) fn make_object(&mut self, body: &Value, owner: &str) {
        let now = self.now;
        let Some(object) = ObjectRef::of(body) else { return };
        let Ok((_, kube)) = self.kube() else { return };
        if kube.find(&object).is_none() {
            kube.objects.push(Stored {
                object,
                body: body.clone(),
                applied: Value::Null,
                owner: Some(owner.to_owned()),
                broken: None,
                created_at: now,
                changed_at: now,
            });
            kube.revision += 1;
            self.touch();
        }
    }
}

/// Which pods belong to a controller cannot be changed.
///
/// Source: `ValidateDaemonSetUpdate` and `ValidateDeploymentUpdate` of Kubernetes' `pkg/apis/apps/validation`.
fn refuse_immutable(stored: &Stored, desired: &DesiredObject) -> PortResult<()> {
    let selector = |body: &Value| body["spec"]["selector"].clone();
    let template = |body: &Value| body["spec"]["template"].clone();
    if stored.object.is_job() && template(&stored.body) != template(&desired.body) {
        return Err(lasting(format!("apply {}: spec.template: field is immutable", desired.object)));
    }
    if stored.has_pods() && selector(&stored.body) != selector(&desired.body) {
        return Err(lasting(format!("apply {}: spec.selector: field is immutable", desired.object)));
    }
    let cluster_ip = |body: &Value| body["spec"]["clusterIP"].clone();
    if &*stored.object.kind == "Service" && cluster_ip(&stored.body) != cluster_ip(&desired.body) {
        return Err(lasting(format!("apply {}: spec.clusterIP: field is immutable", desired.object)));
    }
    Ok(())
}

fn is_selected(
    body: &Value,
    labels: &std::collections::BTreeMap<std::sync::Arc<str>, std::sync::Arc<str>>,
) -> bool {
    let none = Map::new();
    let pod = &body["spec"]["template"]["spec"];
    let selector = pod["nodeSelector"].as_object().unwrap_or(&none);
    // kubelet labels its node with its system, which is Linux here.
    let has = |key: &str, value: Option<&str>| match labels.get(key) {
        Some(label) => value.is_none_or(|value| value == &**label),
        None => key.ends_with("kubernetes.io/os") && value.is_none_or(|value| value == "linux"),
    };
    let required = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchExpressions";
    let expressions = pod.pointer(required).and_then(Value::as_array);
    let suits = |expression: &Value| {
        let key = expression["key"].as_str().unwrap_or_default();
        match expression["values"].as_array() {
            Some(values) => values.iter().any(|value| has(key, value.as_str())),
            None => has(key, None),
        }
    };
    selector.iter().all(|(key, value)| has(key, value.as_str()))
        && expressions.into_iter().flatten().all(suits)
}

/// Removes what was applied before and no longer is.
fn forget(live: &mut Value, former: &Value, now: &Value) {
    let (Some(fields), Value::Object(former)) = (live.as_object_mut(), former) else { return };
    for (name, former) in former {
        match (now.get(name), fields.get_mut(name)) {
            (None, Some(_)) => drop(fields.remove(name)),
            (Some(now), Some(live)) => forget(live, former, now),
            _ => {}
        }
    }
}

/// Sets the fields of `live` to those of `desired`, and leaves others as they are; a list is one value.
fn merge(live: &mut Value, desired: &Value) {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => {
            for (name, desired) in desired {
                merge(live.entry(name.clone()).or_insert(Value::Null), desired);
            }
        }
        (live, desired) => live.clone_from(desired),
    }
}
