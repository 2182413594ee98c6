//! Manifests of the user's own: in which order they are applied, and what is left out of them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use windlass_model::{AddonKind, DesiredAddon, DesiredObject, ObjectRef};
use windlass_spec::{ClusterSpec, Manifest};

use crate::problem::Problems;

/// Kinds of Kubernetes' own groups that are in no namespace.
///
/// Source: `kubectl api-resources --namespaced=false` of 1.16 to 1.37.
const CLUSTER_SCOPED: &[(&str, &[&str])] = &[
    ("", &["ComponentStatus", "Namespace", "Node", "PersistentVolume"]),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("networking.k8s.io", &["ClusterCIDR", "IPAddress", "IngressClass", "ServiceCIDR"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("policy", &["PodSecurityPolicy"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding"]),
    ("resource.k8s.io", &["DeviceClass", "DeviceTaintRule", "ResourceSlice"]),
    ("scheduling.k8s.io", &["PriorityClass"]),
    (
        "storage.k8s.io",
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"],
    ),
    ("storagemigration.k8s.io", &["StorageVersionMigration"]),
];

/// Kubernetes' own groups beside those with kinds in no namespace.
const NAMESPACED: [&str; 7] = [
    "apps",
    "authentication.k8s.io",
    "autoscaling",
    "batch",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "extensions",
];

/// What comes first, in this order: what others are in, are kinds of, or run as.
const FIRST: [(&str, &str); 10] = [
    ("", "Namespace"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("", "ServiceAccount"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("", "ConfigMap"),
    ("", "Secret"),
];

/// What Kubernetes writes itself, and refuses or ignores from others.
const WRITTEN_BY_KUBERNETES: [&str; 7] = [
    "creationTimestamp",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

pub(crate) fn addon(spec: &ClusterSpec) -> Option<DesiredAddon> {
    let first = spec.manifests.first()?;
    let mut objects: Vec<DesiredObject> = objects(spec).into_iter().map(|(desired, _)| desired).collect();
    // Objects of one rank stay in the user's order.
    objects.sort_by_key(|desired| rank(&desired.object));
    Some(DesiredAddon { name: "manifests".to_owned(), objects, origin: Some(first.path.as_str().into()) })
}

/// Reports objects that are in two manifests, or that windlass itself deploys.
pub(crate) fn check(spec: &ClusterSpec, others: &[ObjectRef], problems: &mut Problems) {
    let mut seen: Vec<(ObjectRef, &Manifest)> = Vec::new();
    for (desired, manifest) in objects(spec) {
        let object = desired.object;
        if others.iter().any(|other| other.is_same_object(&object)) {
            problems.error(
                &manifest.path,
                format!("{}: {object} is what windlass itself deploys", manifest.from),
                Some("leave it out, or write `none` as the provider of it".to_owned()),
            );
        }
        match seen.iter().find(|(other, _)| other.is_same_object(&object)) {
            Some((_, first)) => problems.error(
                &manifest.path,
                format!("{}: {object} is there before, in {}", manifest.from, first.from),
                Some("keep one of them".to_owned()),
            ),
            None => seen.push((object, manifest)),
        }
    }
}

fn objects(spec: &ClusterSpec) -> Vec<(DesiredObject, &Manifest)> {
    let scopes = scopes_of_definitions(spec);
    let object = |manifest: &'_ Manifest| {
        let mut body = manifest.body.expose().clone();
        clean(&mut body);
        place(&mut body, &scopes);
        DesiredObject::new(AddonKind::Manifests, body).from(&manifest.from)
    };
    spec.manifests.iter().map(|manifest| (object(manifest), manifest)).collect()
}

fn rank(object: &ObjectRef) -> usize {
    let is = |(group, kind): &(&str, &str)| object.group() == *group && &*object.kind == *kind;
    FIRST.iter().position(is).unwrap_or(FIRST.len())
}

/// By group and kind, whether the objects of a definition are in namespaces.
type Scopes<'a> = BTreeMap<(&'a str, &'a str), bool>;

fn scopes_of_definitions(spec: &ClusterSpec) -> Scopes<'_> {
    let bodies = spec.manifests.iter().map(|manifest| manifest.body.expose());
    bodies
        .filter(|body| body["kind"] == "CustomResourceDefinition")
        .filter_map(|body| {
            let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
            let is_namespaced = text("/spec/scope")? == "Namespaced";
            Some(((text("/spec/group")?, text("/spec/names/kind")?), is_namespaced))
        })
        .collect()
}

/// Leaves out what Kubernetes writes, and writes a Secret's texts as Kubernetes stores them: else there would be a
/// difference for ever.
fn clean(body: &mut Value) {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = body["metadata"].as_object_mut() {
        metadata.retain(|name, _| !WRITTEN_BY_KUBERNETES.contains(&name.as_str()));
        for map in ["labels", "annotations"] {
            if metadata.get(map).is_some_and(|value| !value.is_object()) {
                metadata.remove(map);
            }
        }
    }
    if let Some(annotations) = body.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    if body["kind"] == "Secret"
        && body["apiVersion"] == "v1"
        && let Some(Value::Object(texts)) =
            body.as_object_mut().and_then(|fields| fields.remove("stringData"))
    {
        for (name, text) in texts {
            let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
            body["data"][name] = json!(STANDARD.encode(text));
        }
    }
}

/// Gives an object the namespace that kubectl gives it: `default` where its kind is in namespaces and it names none.
fn place(body: &mut Value, scopes: &Scopes<'_>) {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let of_kubernetes = CLUSTER_SCOPED.iter().find(|(own, _)| *own == group).map(|(_, kinds)| *kinds);
    let is_namespaced = match scopes.get(&(group, kind)) {
        Some(is_namespaced) => Some(*is_namespaced),
        None if NAMESPACED.contains(&group) => Some(true),
        // Of a kind that others define, the manifest tells by naming a namespace or not.
        None => of_kubernetes.map(|kinds| !kinds.contains(&kind)),
    };
    let Some(metadata) = body["metadata"].as_object_mut() else { return };
    match is_namespaced {
        Some(true) => {
            metadata.entry("namespace").or_insert_with(|| json!("default"));
        }
        Some(false) => drop(metadata.remove("namespace")),
        None => {}
    }
}
