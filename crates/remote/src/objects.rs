//! Objects of add-ons in Kubernetes: recorded, applied on the server's side, read and deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use windlass_engine::{PortError, PortResult};
use windlass_model::{DesiredObject, Digest, ObjectRef, ObjectSeen, ObjectsSeen};

use crate::docker_error::lasting;
use crate::fleet::RemoteFleet;
use crate::https::{Call, Reply};
use crate::kube::{refused, understood};

/// windlass' name among the managers of fields.
const FIELD_MANAGER: &str = "windlass";
/// Where windlass records which objects it applied: one key for each.
const NOTE_PATH: &str = "/api/v1/namespaces/kube-system/configmaps/windlass-objects";
const NOTES_PATH: &str = "/api/v1/namespaces/kube-system/configmaps";
/// How many objects are requested at once.
const AT_ONCE: usize = 8;
/// Managers whose fields are taken over: kubectl, whose changes are drift, and RKE's jobs, which call
/// kubectl. Kubernetes calls the state before the first application `before-first-apply`.
const NOBODY: [&str; 3] = ["kubectl", "rke", "before-first-apply"];

#[derive(Deserialize, Default)]
#[serde(default)]
struct NoteReply {
    data: BTreeMap<String, String>,
}

/// The resources of a group and version: `APIResourceList`.
#[derive(Clone, Debug, Deserialize, Default)]
#[serde(default)]
struct Resources {
    resources: Vec<Resource>,
}

#[derive(Clone, Debug, Deserialize, Default)]
#[serde(default)]
struct Resource {
    name: String,
    kind: String,
    namespaced: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Conflict {
    details: Details,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Details {
    causes: Vec<Cause>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cause {
    reason: String,
    message: String,
    field: String,
}

/// What becomes of fields that another manager answers for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Conflicts {
    /// The apply is refused, and names them.
    Refused,
    /// They become windlass' own.
    Taken,
}

impl RemoteFleet {
    pub(crate) async fn objects_seen(&self, wanted: &[ObjectRef]) -> PortResult<ObjectsSeen> {
        let noted = match self.noted().await {
            Ok(noted) => noted,
            Err(error) if error.is_passing() => return Ok(ObjectsSeen::Unknown),
            Err(error) => return Err(error),
        };
        let mut asked: Vec<ObjectRef> = wanted.to_vec();
        asked.extend(
            noted.iter().filter(|noted| !wanted.iter().any(|one| one.is_same_object(noted))).cloned(),
        );
        let defined: BTreeSet<Arc<str>> = asked
            .iter()
            .filter(|object| !is_of_kubernetes(object.group()))
            .map(|object| object.api_version.clone())
            .collect();
        let mut known = BTreeMap::new();
        for version in defined {
            let resources = self.resources(&version).await?;
            known.insert(version, resources);
        }
        let objects: Vec<Option<ObjectSeen>> = stream::iter(asked)
            .map(|object| {
                let path = match known.get(&object.api_version) {
                    Some(resources) => defined_path(&object, resources).ok(),
                    None => Some(path_of(&object)),
                };
                async move {
                    match path {
                        Some(path) => self.object_at(object, &path).await,
                        None => Ok(None),
                    }
                }
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(ObjectsSeen::Seen { objects: objects.into_iter().flatten().collect(), noted })
    }

    async fn noted(&self) -> PortResult<Vec<ObjectRef>> {
        let reply = self.api(|| Call::get(NOTE_PATH)).await?;
        match reply.status {
            200 => {
                let note: NoteReply = understood(&reply)?;
                Ok(note.data.values().filter_map(|text| serde_json::from_str(text).ok()).collect())
            }
            404 => Ok(Vec::new()),
            _ => Err(refused("ask for the ConfigMap windlass-objects", &reply)),
        }
    }

    /// The resources that others have defined under a group and version; none where nobody has, yet.
    async fn resources(&self, api_version: &str) -> PortResult<Resources> {
        let path = format!("/apis/{api_version}");
        let reply = self.api(|| Call::get(&path)).await?;
        match reply.status {
            200 => understood(&reply),
            404 => Ok(Resources::default()),
            _ => Err(refused(&format!("ask for the resources of {api_version}"), &reply)),
        }
    }

    /// The path of an object, whoever defined its kind.
    async fn found_path(&self, object: &ObjectRef) -> PortResult<String> {
        if is_of_kubernetes(object.group()) {
            return Ok(path_of(object));
        }
        defined_path(object, &self.resources(&object.api_version).await?)
    }

    async fn object_at(&self, object: ObjectRef, path: &str) -> PortResult<Option<ObjectSeen>> {
        let reply = self.api(|| Call::get(path)).await?;
        match reply.status {
            200 => {
                let mut body: Value = understood(&reply)?;
                if let Some(metadata) = body["metadata"].as_object_mut() {
                    metadata.remove("managedFields");
                }
                Ok(Some(ObjectSeen { object, body: body.into() }))
            }
            // Where its kind is unknown, the object does not exist either.
            404 => Ok(None),
            _ => Err(refused(&format!("ask for {object}"), &reply)),
        }
    }

    pub(crate) async fn note_refs(&self, ours: &[ObjectRef], gone: &[ObjectRef]) -> PortResult<()> {
        let text = |object: &ObjectRef| serde_json::to_string(object).expect("names are JSON");
        let mut data: Map<String, Value> =
            gone.iter().map(|object| (note_key(object), Value::Null)).collect();
        data.extend(ours.iter().map(|object| (note_key(object), json!(text(object)))));
        let patch = json!({ "data": data });
        let body = || Some(("application/merge-patch+json", patch.to_string().into_bytes()));
        let call = || Call { method: Method::PATCH, body: body(), ..Call::get(NOTE_PATH) };
        let mut reply = self.api(call).await?;
        if reply.status == 404 {
            data.retain(|_, value| !value.is_null());
            let note = json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": { "name": "windlass-objects", "namespace": "kube-system" },
                "data": data,
            });
            reply = self.api(|| Call::post(NOTES_PATH, &note)).await?;
        }
        match reply.status {
            200 | 201 => Ok(()),
            _ => Err(refused("write the ConfigMap windlass-objects", &reply)),
        }
    }

    /// Server-side apply, at first without force: another manager of one of our fields is named.
    ///
    /// Source: <https://kubernetes.io/docs/reference/using-api/server-side-apply/>.
    pub(crate) async fn apply(&self, desired: &DesiredObject) -> PortResult<()> {
        let path = self.found_path(&desired.object).await?;
        let reply = self.apply_by(desired, &path, Conflicts::Refused).await?;
        if reply.status == 404 && !is_of_kubernetes(desired.object.group()) {
            // An API server lists a kind a moment before it serves it.
            let PortError::Lasting { what } = refused(&format!("apply {}", desired.object), &reply) else {
                return applied(desired, &reply);
            };
            return Err(PortError::Passing { what });
        }
        if reply.status != 409 {
            return applied(desired, &reply);
        }
        let owners = owners_in(&reply);
        if owners.is_empty() {
            return applied(desired, &reply);
        }
        let others: Vec<String> = owners
            .iter()
            .filter(|(manager, _)| !NOBODY.iter().any(|nobody| manager.starts_with(nobody)))
            .map(|(manager, field)| format!("{field} belongs to {manager}"))
            .collect();
        if others.is_empty() {
            return applied(desired, &self.apply_by(desired, &path, Conflicts::Taken).await?);
        }
        let object = &desired.object;
        Err(lasting(format!(
            "{object} is not changed, as somebody else answers for it: {}",
            others.join("; ")
        )))
    }

    async fn apply_by(&self, desired: &DesiredObject, path: &str, conflicts: Conflicts) -> PortResult<Reply> {
        let force = conflicts == Conflicts::Taken;
        let path = format!("{path}?fieldManager={FIELD_MANAGER}&force={force}");
        let body = || Some(("application/apply-patch+yaml", desired.body.to_string().into_bytes()));
        self.api(|| Call { method: Method::PATCH, body: body(), ..Call::get(&path) }).await
    }

    /// Reads it again, and deletes that very object and no later one of its name.
    pub(crate) async fn delete(&self, object: &ObjectRef) -> PortResult<()> {
        let path = match self.found_path(object).await {
            Ok(path) => path,
            // With its kind went the object.
            Err(PortError::Passing { .. }) if !is_of_kubernetes(object.group()) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(seen) = self.object_at(object.clone(), &path).await?.filter(ObjectSeen::is_ours) else {
            return Ok(());
        };
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": { "uid": seen.body["metadata"]["uid"] },
        });
        let body = || Some(("application/json", options.to_string().into_bytes()));
        let reply = self.api(|| Call { method: Method::DELETE, body: body(), ..Call::get(&path) }).await?;
        match reply.status {
            200 | 202 | 404 => Ok(()),
            _ => Err(refused(&format!("delete {object}"), &reply)),
        }
    }
}

fn applied(desired: &DesiredObject, reply: &Reply) -> PortResult<()> {
    match reply.status {
        200 | 201 => Ok(()),
        _ => Err::<(), PortError>(refused(&format!("apply {}", desired.object), reply)),
    }
}

/// Which manager owns which fields, from the API server's refusal: `conflict with "helm" using apps/v1`.
fn owners_in(reply: &Reply) -> Vec<(String, String)> {
    let conflict: Conflict = serde_json::from_slice(&reply.body).unwrap_or_default();
    conflict
        .details
        .causes
        .into_iter()
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| (cause.message.split('"').nth(1).unwrap_or_default().to_owned(), cause.field))
        .collect()
}

/// Keys of a `ConfigMap` may not contain all characters of object names.
fn note_key(object: &ObjectRef) -> String {
    Digest::of(object.to_string().as_bytes()).short()
}

/// Whether a group is Kubernetes' own, so that the resource of a kind follows from the kind.
fn is_of_kubernetes(group: &str) -> bool {
    const OWN: [&str; 17] = [
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    ];
    !group.contains('.') || OWN.contains(&group)
}

/// The path of an object whose kind others have defined; a passing error where nobody has, yet.
fn defined_path(object: &ObjectRef, resources: &Resources) -> PortResult<String> {
    let ObjectRef { api_version, kind, namespace, name } = object;
    // `widgets/status` is of the kind Widget too.
    let found = resources.resources.iter().find(|one| one.kind == **kind && !one.name.contains('/'));
    let Some(Resource { name: resource, kind: _, namespaced }) = found else {
        let what = format!("apply {object}: the API server knows no kind {kind} of {api_version}");
        return Err(PortError::Passing { what });
    };
    match (namespaced, namespace.is_empty()) {
        (true, false) => Ok(format!("/apis/{api_version}/namespaces/{namespace}/{resource}/{name}")),
        (false, true) => Ok(format!("/apis/{api_version}/{resource}/{name}")),
        (true, true) => {
            Err(lasting(format!("apply {object}: a {kind} is in a namespace: write `metadata.namespace`")))
        }
        (false, false) => {
            Err(lasting(format!("apply {object}: a {kind} is in no namespace: remove `metadata.namespace`")))
        }
    }
}

/// The path of an object of one of Kubernetes' own groups.
pub(crate) fn path_of(object: &ObjectRef) -> String {
    let ObjectRef { api_version, kind, namespace, name } = object;
    let root = if api_version.contains('/') { "apis" } else { "api" };
    let namespace = if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
    format!("/{root}/{api_version}{namespace}/{}/{name}", resource_of(kind))
}

/// The resource of a kind: its plural in small letters.
///
/// Source: `UnsafeGuessKindToResource` of Kubernetes' `apimachinery/pkg/api/meta/restmapper.go`.
fn resource_of(kind: &str) -> String {
    let small = kind.to_lowercase();
    if small == "endpoints" {
        small
    } else if small.ends_with('s') {
        format!("{small}es")
    } else if let Some(stem) = small.strip_suffix('y') {
        format!("{stem}ies")
    } else {
        format!("{small}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(api_version: &str, kind: &str, namespace: &str, name: &str) -> ObjectRef {
        ObjectRef {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    #[test]
    fn each_object_has_its_path() {
        let path = |version, kind, namespace, name| path_of(&object(version, kind, namespace, name));
        assert_eq!(
            path("v1", "ConfigMap", "kube-system", "a"),
            "/api/v1/namespaces/kube-system/configmaps/a"
        );
        assert_eq!(
            path("rbac.authorization.k8s.io/v1", "ClusterRole", "", "system:coredns"),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:coredns"
        );
        assert!(path("networking.k8s.io/v1", "Ingress", "a", "b").ends_with("/ingresses/b"));
        assert!(path("networking.k8s.io/v1", "NetworkPolicy", "a", "b").ends_with("/networkpolicies/b"));
    }

    #[test]
    fn kinds_of_others_are_where_their_definition_says() {
        let resources: Resources = serde_json::from_str(
            r#"{"resources":[{"name":"mice/status","kind":"Mouse","namespaced":true},
            {"name":"mice","kind":"Mouse","namespaced":true},{"name":"zoos","kind":"Zoo","namespaced":false}]}"#,
        )
        .unwrap();
        let path = |kind, namespace| {
            defined_path(&object("example.org/v1", kind, namespace, "a"), &resources)
                .map_err(|error| error.to_string())
        };
        assert_eq!(path("Mouse", "b"), Ok("/apis/example.org/v1/namespaces/b/mice/a".to_owned()));
        assert_eq!(path("Zoo", ""), Ok("/apis/example.org/v1/zoos/a".to_owned()));
        for (kind, namespace, why) in [
            ("Mouse", "", "apply Mouse a: a Mouse is in a namespace: write `metadata.namespace`"),
            ("Zoo", "b", "apply Zoo b/a: a Zoo is in no namespace: remove `metadata.namespace`"),
            ("Cat", "b", "apply Cat b/a: the API server knows no kind Cat of example.org/v1"),
        ] {
            assert_eq!(path(kind, namespace), Err(why.to_owned()));
        }
        assert!(is_of_kubernetes("apps") && is_of_kubernetes("") && !is_of_kubernetes("example.org"));
        assert!(!is_of_kubernetes("gateway.networking.k8s.io"));
    }

    #[test]
    fn owners_of_fields_are_found_in_a_refusal() {
        let body = br#"{"kind":"Status","reason":"Conflict","details":{"causes":[
            {"reason":"FieldManagerConflict","message":"conflict with \"helm\" using apps/v1","field":".spec.replicas"}]}}"#;
        let reply = Reply { status: 409, api_version: None, body: body.to_vec() };
        assert_eq!(owners_in(&reply), [("helm".to_owned(), ".spec.replicas".to_owned())]);
        let reply = Reply { status: 409, api_version: None, body: b"{}".to_vec() };
        assert_eq!(owners_in(&reply), []);
    }
}
