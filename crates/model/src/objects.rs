//! Objects of Kubernetes that windlass manages: their desired state, and how they were seen.

mod compare;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::compare::FieldDifference;
use crate::digest::Digest;
use crate::names::SpecPath;
use crate::secret::HIDDEN;

/// The label of each object that windlass applied: the add-on that it belongs to.
pub const ADDON_LABEL: &str = "windlass.io/addon";
/// The annotation of each object that windlass applied: the digest of what was applied.
pub const APPLIED: &str = "windlass.io/applied";
/// The annotation of an object of a manifest that somebody else had made before: it outlives its manifest.
pub const FOUND: &str = "windlass.io/found";

/// The identity of an object of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Group and version: `apps/v1`, or `v1`.
    pub api_version: Arc<str>,
    /// Its kind, such as `DaemonSet`.
    pub kind: Arc<str>,
    /// Its namespace; empty where it is in none.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl ObjectRef {
    /// The object that a body describes; none if the body lacks version, kind or name.
    pub fn of(body: &Value) -> Option<Self> {
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(Arc::<str>::from);
        Some(Self {
            api_version: text("/apiVersion")?,
            kind: text("/kind")?,
            namespace: text("/metadata/namespace").unwrap_or_default(),
            name: text("/metadata/name")?,
        })
    }

    /// The group; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Whether it is a Job: what it does is done once.
    pub fn is_job(&self) -> bool {
        self.group() == "batch" && &*self.kind == "Job"
    }

    /// Whether it is a Secret: no value of it is shown.
    pub fn is_secret(&self) -> bool {
        self.group().is_empty() && &*self.kind == "Secret"
    }

    /// Whether deleting it deletes what others put into it.
    pub fn holds_others(&self) -> bool {
        match self.group() {
            "" => ["Namespace", "PersistentVolume", "PersistentVolumeClaim"].contains(&&*self.kind),
            "apiextensions.k8s.io" => &*self.kind == "CustomResourceDefinition",
            _ => false,
        }
    }

    /// Whether both are the same object, perhaps in two versions.
    pub fn is_same_object(&self, other: &Self) -> bool {
        (self.group(), &self.kind, &self.namespace, &self.name)
            == (other.group(), &other.kind, &other.namespace, &other.name)
    }
}

/// `DaemonSet kube-system/kube-flannel-ds`
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { api_version: _, kind, namespace, name } = self;
        if namespace.is_empty() { write!(f, "{kind} {name}") } else { write!(f, "{kind} {namespace}/{name}") }
    }
}

/// The purpose of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddonKind {
    /// Pods reach each other.
    Network,
    /// Pods resolve the names of Services.
    Dns,
    /// The use of processor and memory can be asked for.
    Metrics,
    /// Requests from outside reach Services.
    Ingress,
    /// The manifests that cluster.yml contains or names.
    Manifests,
}

impl AddonKind {
    /// All of them, in the order in which they are applied.
    pub const ALL: [Self; 5] = [Self::Network, Self::Dns, Self::Metrics, Self::Ingress, Self::Manifests];

    /// Its word, as in a step's address.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Dns => "dns",
            Self::Metrics => "metrics",
            Self::Ingress => "ingress",
            Self::Manifests => "manifests",
        }
    }

    /// The object that shows that RKE 1 deployed this: the `ConfigMap` of its manifest. None for manifests, as cluster.yml
    /// names each of their objects; and none for Ingress: what RKE 1 deployed is another program, and both want one port.
    ///
    /// Source: `doAddonDeploy` of RKE's `cluster/addons.go` (`NetworkPluginResourceName`, `CoreDNSAddonResourceName`,
    /// `MetricsServerAddonResourceName`).
    pub fn rke_marker(self) -> Option<ObjectRef> {
        let name = match self {
            Self::Network => "rke-network-plugin",
            Self::Dns => "rke-coredns-addon",
            Self::Metrics => "rke-metrics-addon",
            Self::Ingress | Self::Manifests => return None,
        };
        Some(ObjectRef {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: "kube-system".into(),
            name: name.into(),
        })
    }

    /// The add-on of this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for AddonKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One add-on as it should be in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredAddon {
    /// Its name: `flannel`.
    pub name: String,
    /// Its objects, in the order in which they are applied: what others need comes first.
    pub objects: Vec<DesiredObject>,
    /// Where in cluster.yml it is asked for; none where that is the default.
    pub origin: Option<SpecPath>,
}

impl DesiredAddon {
    /// The images of its pods, in order, each once.
    pub fn images(&self) -> Vec<&str> {
        let mut images: Vec<&str> = self.objects.iter().flat_map(|object| images_of(&object.body)).collect();
        images.sort_unstable();
        images.dedup();
        images
    }
}

fn images_of(body: &Value) -> Vec<&str> {
    let Some(pod) = body.pointer("/spec/template/spec") else { return Vec::new() };
    ["initContainers", "containers"]
        .into_iter()
        .filter_map(|list| pod[list].as_array())
        .flatten()
        .filter_map(|container| container["image"].as_str())
        .collect()
}

/// One object as it should be: the fields that windlass manages, and no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredObject {
    /// Which object.
    pub object: ObjectRef,
    /// What is applied, with the label of its add-on and its own digest.
    pub body: Arc<Value>,
    /// Where its manifest is, in words: `web.yml, line 12`; none for windlass' own objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Arc<str>>,
}

impl DesiredObject {
    /// The object that a body describes, as part of an add-on.
    ///
    /// # Panics
    /// The body lacks version, kind or name.
    pub fn new(addon: AddonKind, mut body: Value) -> Self {
        body["metadata"]["labels"][ADDON_LABEL] = json!(addon.as_str());
        let object = ObjectRef::of(&body).expect("a body has a version, a kind and a name");
        let digest = Digest::of(body.to_string().as_bytes());
        body["metadata"]["annotations"][APPLIED] = json!(digest.short());
        Self { object, body: Arc::new(body), from: None }
    }

    /// The same object, of a manifest at this place.
    #[must_use]
    pub fn from(self, place: &str) -> Self {
        Self { from: Some(place.into()), ..self }
    }

    /// The same object, which somebody else had made before.
    #[must_use]
    pub fn found(mut self) -> Self {
        Arc::make_mut(&mut self.body)["metadata"]["annotations"][FOUND] = json!("true");
        self
    }

    /// How the object that was seen differs: fields that windlass manages and that have another value.
    ///
    /// Fields that Kubernetes has added to an element of a list are no difference either. A value of a Secret is named
    /// and not shown.
    pub fn differences(&self, seen: &Value) -> Vec<FieldDifference> {
        let mut found = compare::differences(&self.body, seen);
        if self.object.is_secret() {
            for field in found.iter_mut().filter(|field| field.path.starts_with("data.")) {
                field.from = field.from.as_ref().map(|_| HIDDEN.to_owned());
                HIDDEN.clone_into(&mut field.to);
            }
        }
        found
    }

    /// Whether what was applied last is what is desired now: then somebody else caused a difference.
    pub fn is_applied(&self, seen: &Value) -> bool {
        let applied = |body: &Value| body["metadata"]["annotations"][APPLIED].as_str().map(str::to_owned);
        applied(seen).is_some() && applied(seen) == applied(&self.body)
    }
}

/// What was seen of the objects that windlass manages.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectsSeen {
    /// No API server answered.
    #[default]
    Unknown,
    /// An API server answered.
    Seen {
        /// The existing ones among those that are desired or recorded, as Kubernetes has them.
        objects: Vec<ObjectSeen>,
        /// Those that windlass recorded before it applied them.
        noted: Vec<ObjectRef>,
    },
}

impl ObjectsSeen {
    /// The object, if it was seen.
    pub fn get(&self, object: &ObjectRef) -> Option<&ObjectSeen> {
        match self {
            Self::Unknown => None,
            Self::Seen { objects, .. } => objects.iter().find(|seen| seen.object.is_same_object(object)),
        }
    }
}

/// One object as an API server has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSeen {
    /// Which object.
    pub object: ObjectRef,
    /// All of it except `metadata.managedFields`.
    pub body: Arc<Value>,
}

impl ObjectSeen {
    /// Whether windlass applied it.
    pub fn is_ours(&self) -> bool {
        is_ours(&self.body)
    }

    /// The add-on that its label names.
    pub fn addon(&self) -> Option<AddonKind> {
        self.body["metadata"]["labels"][ADDON_LABEL].as_str().and_then(AddonKind::of_word)
    }

    /// Whether somebody else had made it before a manifest named it.
    pub fn is_found(&self) -> bool {
        self.body["metadata"]["annotations"][FOUND].is_string()
    }

    /// How many of its pods are ready; none where it has no pods.
    pub fn pods(&self) -> Option<PodsReady> {
        PodsReady::of(&self.body)
    }
}

/// Whether windlass applied an object: it has the label of an add-on, or the digest of what was applied. Both
/// come with the application itself, so an object without them belongs to somebody else, whatever windlass
/// recorded.
pub fn is_ours(body: &Value) -> bool {
    let metadata = &body["metadata"];
    metadata["labels"][ADDON_LABEL].is_string() || metadata["annotations"][APPLIED].is_string()
}

/// How many pods of a `DaemonSet` or a Deployment are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PodsReady {
    /// How many run what is desired, and are ready.
    pub ready: u64,
    /// How many should.
    pub of: u64,
}

impl PodsReady {
    /// From the status of an object; none where its kind has no pods. Nothing counts as ready while the
    /// controller has not seen the newest generation yet.
    ///
    /// Source: `DaemonSetStatus` and `DeploymentStatus` of Kubernetes' `apps/v1`.
    pub fn of(body: &Value) -> Option<Self> {
        let status = &body["status"];
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let (of, updated, available) = match body["kind"].as_str()? {
            "DaemonSet" => {
                (number(&status["desiredNumberScheduled"]), "updatedNumberScheduled", "numberAvailable")
            }
            "Deployment" => {
                (body["spec"]["replicas"].as_u64().unwrap_or(1), "updatedReplicas", "availableReplicas")
            }
            _ => return None,
        };
        let is_observed =
            number(&status["observedGeneration"]) >= number(&body["metadata"]["generation"]).max(1);
        let ready = number(&status[updated]).min(number(&status[available])).min(of);
        Some(if is_observed { Self { ready, of } } else { Self { ready: 0, of: of.max(1) } })
    }

    /// Whether none is missing.
    pub fn is_whole(self) -> bool {
        self.ready >= self.of
    }
}

impl fmt::Display for PodsReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} pods ready", self.ready, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daemon_set(generation: u64, observed: u64, updated: u64, available: u64) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": "a", "namespace": "b", "generation": generation},
            "status": {"observedGeneration": observed, "desiredNumberScheduled": 3,
                "updatedNumberScheduled": updated, "numberAvailable": available}})
    }

    #[test]
    fn pods_are_ready_when_the_newest_generation_is_available_everywhere() {
        let ready = |body: Value| PodsReady::of(&body).map(|pods| (pods.ready, pods.of, pods.is_whole()));
        assert_eq!(ready(daemon_set(2, 2, 3, 3)), Some((3, 3, true)));
        assert_eq!(ready(daemon_set(2, 2, 2, 3)), Some((2, 3, false)));
        assert_eq!(ready(daemon_set(3, 2, 3, 3)), Some((0, 3, false)));
        // A DaemonSet that no controller has seen yet desires no pod: that is not being ready.
        assert_eq!(ready(json!({"kind": "DaemonSet", "metadata": {}})), Some((0, 1, false)));
        assert_eq!(ready(json!({"kind": "ConfigMap"})), None);
    }

    #[test]
    fn what_was_applied_is_known_again() {
        let body =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}});
        let desired = DesiredObject::new(AddonKind::Dns, body.clone());
        assert!(desired.is_applied(&desired.body));
        assert!(!desired.is_applied(&body), "nobody noted what was applied");
        let mut other = body;
        other["data"]["x"] = json!("2");
        assert!(!DesiredObject::new(AddonKind::Dns, other).is_applied(&desired.body));
        assert_eq!(desired.object.to_string(), "ConfigMap a");
    }

    #[test]
    fn values_of_a_secret_are_not_shown() {
        let body = |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"x": value}});
        let desired = DesiredObject::new(AddonKind::Manifests, body("bmV3"));
        let found: Vec<String> = desired.differences(&body("b2xk")).iter().map(ToString::to_string).collect();
        assert!(found.contains(&"data.x «secret» → «secret»".to_owned()), "{found:?}");
    }

    #[test]
    fn defaults_in_a_list_are_no_difference() {
        let of = |port: Value| {
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "a"},
                "spec": {"egress": [{"ports": [port]}]}})
        };
        let desired = DesiredObject::new(AddonKind::Manifests, of(json!({"endPort": 8})));
        let seen = |port: Value| {
            let mut seen = Value::clone(&desired.body);
            seen["spec"] = of(port)["spec"].clone();
            seen
        };
        assert_eq!(desired.differences(&seen(json!({"endPort": 8, "protocol": "TCP"}))), []);
        assert_eq!(desired.differences(&seen(json!({"endPort": 9, "protocol": "TCP"}))).len(), 1);
    }
}
