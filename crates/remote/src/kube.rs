//! Kubernetes through any API server that answers, over the connection to its own node.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use windlass_engine::{Eviction, Kube, PodController, PodSeen, PortError, PortResult};
use windlass_model::{
    API_SERVER_PORT, DesiredObject, DrainOptions, KeptRoots, KubeSeen, NodeName, NodeObject, ObjectChange,
    ObjectRef, ObjectsSeen, Owned, Readiness, Scheduling, Secret, Taint,
};

use crate::docker_error::{lasting, passing};
use crate::fleet::{Machine, RemoteFleet, locked};
use crate::health::server_name;
use crate::https::{self, Call, Reply, Silence, Speech};
use crate::link::{Counts, Far};

const NAME: &str = "kubernetes";
/// How long an API server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How long to wait before the next API server is asked the same.
const HURRY_AFTER: Duration = Duration::from_secs(2);
/// How many objects are asked for at once.
const PAGE: usize = 500;
/// How often a change is tried when others change the same object.
const TRIES: usize = 5;

/// Which labels and taints of a node object are windlass', as JSON.
const OWNED: &str = "windlass.io/owned";
/// The object with the ledger's roots in Kubernetes.
const KEPT_NAMESPACE: &str = "kube-system";
const KEPT_NAME: &str = "windlass-ledger";
const SECRETS_PATH: &str = "/api/v1/namespaces/kube-system/secrets";
const KEPT_PATH: &str = "/api/v1/namespaces/kube-system/secrets/windlass-ledger";
/// The annotation of that object that describes them without a key.
const KEPT: &str = "windlass.io/kept";
/// The annotation of a node that windlass has cordoned.
const CORDONED: &str = "windlass.io/cordoned";
/// Taints whose keys begin with these are Kubernetes' own.
const OWN_TAINTS: [&str; 2] = ["node.kubernetes.io/", "node.cloudprovider.kubernetes.io/"];
/// The annotation of a pod that kubelet created from a file: it cannot be evicted.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// A page of a list.
#[derive(Deserialize)]
pub(crate) struct Page<T> {
    #[serde(default)]
    pub(crate) metadata: PageMeta,
    #[serde(default = "Vec::new")]
    pub(crate) items: Vec<T>,
}

#[derive(Deserialize, Default)]
pub(crate) struct PageMeta {
    #[serde(rename = "continue", default)]
    pub(crate) rest: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    name: String,
    namespace: String,
    resource_version: String,
    labels: BTreeMap<Arc<str>, Arc<str>>,
    annotations: BTreeMap<String, String>,
    owner_references: Vec<OwnerReference>,
}

#[derive(Deserialize)]
struct OwnerReference {
    kind: String,
    #[serde(default)]
    controller: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct NodeReply {
    metadata: Meta,
    spec: NodeSpec,
    status: NodeStatus,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct NodeSpec {
    unschedulable: bool,
    taints: Vec<Map<String, Value>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct NodeStatus {
    conditions: Vec<Condition>,
    #[serde(rename = "nodeInfo")]
    node_info: NodeInfo,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct NodeInfo {
    kubelet_version: String,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PodReply {
    metadata: Meta,
    spec: PodSpec,
    status: PodStatus,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PodSpec {
    volumes: Vec<Map<String, Value>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PodStatus {
    phase: String,
}

#[derive(Deserialize)]
struct ObjectReply {
    #[serde(default)]
    metadata: Meta,
}

#[derive(Deserialize)]
struct StatusReply {
    #[serde(default)]
    message: String,
}

fn taint(entry: &Map<String, Value>) -> Option<Taint> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let key = text("key");
    let is_own = OWN_TAINTS.iter().any(|prefix| key.starts_with(prefix));
    (!is_own).then(|| Taint { key: key.into(), value: text("value").into(), effect: text("effect").into() })
}

/// Whether kubelet names the pod network as the only thing that it lacks: several reasons are in brackets.
///
/// Source: `runtimeErrorsFn` in `pkg/kubelet/runtime.go` and `ReadyCondition` in `pkg/kubelet/nodestatus/setters.go`.
fn lacks_network(why: &str) -> bool {
    let why = why.strip_prefix("container ").unwrap_or(why);
    why.starts_with("runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady")
}

impl NodeReply {
    fn is_marked(&self) -> bool {
        self.metadata.annotations.contains_key(CORDONED)
    }

    fn object(&self) -> NodeObject {
        let condition = self.status.conditions.iter().find(|condition| condition.kind == "Ready");
        let is_ready = condition.is_some_and(|condition| condition.status == "True");
        let why =
            (!is_ready).then(|| condition.map_or_else(String::new, |condition| condition.message.clone()));
        NodeObject {
            ready: match &why {
                None => Readiness::Ready,
                Some(why) if lacks_network(why) => Readiness::LacksNetwork,
                Some(_) => Readiness::NotReady,
            },
            why_not_ready: why.unwrap_or_default(),
            kubelet: self.status.node_info.kubelet_version.parse().ok(),
            scheduling: match (self.spec.unschedulable, self.is_marked()) {
                (false, _) => Scheduling::Open,
                (true, true) => Scheduling::CordonedByWindlass,
                (true, false) => Scheduling::CordonedByOther,
            },
            labels: self.metadata.labels.clone(),
            taints: self.spec.taints.iter().filter_map(taint).collect(),
            owned: self
                .metadata
                .annotations
                .get(OWNED)
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default(),
        }
    }

    /// The single patch that makes a change, if nobody else changes the object meanwhile.
    fn patch(&self, change: &ObjectChange) -> Value {
        let ObjectChange { labels, labels_gone, taints, taints_gone, owned } = change;
        let gone = labels_gone.iter().map(|key| (key.to_string(), Value::Null));
        let set = labels.iter().map(|(key, value)| (key.to_string(), json!(&**value)));
        let labels: Map<String, Value> = gone.chain(set).collect();
        let desired: BTreeSet<Taint> = taints.clone();
        let mut all: Vec<Value> = self
            .spec
            .taints
            .iter()
            .filter(|entry| {
                taint(entry).is_none_or(|it| !taints_gone.contains(&it) && !desired.contains(&it))
            })
            .cloned()
            .map(Value::Object)
            .collect();
        all.extend(desired.iter().map(
            |Taint { key, value, effect }| json!({ "key": &**key, "value": &**value, "effect": &**effect }),
        ));
        let note = serde_json::to_string::<Owned>(owned).expect("keys and taints are JSON");
        json!({
            "metadata": {
                "resourceVersion": self.metadata.resource_version,
                "labels": labels,
                "annotations": { OWNED: note },
            },
            "spec": { "taints": all },
        })
    }
}

impl PodReply {
    /// As a drain must know it; none if there is nothing to evict.
    fn seen(self) -> Option<PodSeen> {
        let Self { metadata, spec, status } = self;
        let has_ended = ["Succeeded", "Failed"].contains(&status.phase.as_str());
        if has_ended || metadata.annotations.contains_key(MIRROR) {
            return None;
        }
        let controller = match metadata.owner_references.iter().find(|owner| owner.controller) {
            Some(owner) if owner.kind == "DaemonSet" => PodController::DaemonSet,
            Some(_) => PodController::Elsewhere,
            None => PodController::Nobody,
        };
        Some(PodSeen {
            namespace: metadata.namespace,
            name: metadata.name,
            controller,
            local_data: spec.volumes.iter().any(|volume| volume.contains_key("emptyDir")),
        })
    }
}

impl Kube for RemoteFleet {
    async fn nodes(&self) -> PortResult<KubeSeen> {
        match self.all::<NodeReply>("/api/v1/nodes?").await {
            Ok(nodes) => {
                let pair = |node: NodeReply| (NodeName::from(node.metadata.name.as_str()), node.object());
                Ok(KubeSeen::Nodes(nodes.into_iter().map(pair).collect()))
            }
            Err(error) if error.is_passing() => Ok(KubeSeen::Silent),
            Err(error) => Err(error),
        }
    }

    async fn node(&self, node: &NodeName) -> PortResult<Option<NodeObject>> {
        Ok(self.node_reply(node).await?.map(|reply| reply.object()))
    }

    async fn cordon(&self, node: &NodeName) -> PortResult<()> {
        self.change_node(node, |reply| {
            // windlass must not uncordon what somebody else has cordoned.
            if reply.spec.unschedulable {
                return None;
            }
            Some(json!({
                "metadata": {
                    "resourceVersion": reply.metadata.resource_version,
                    "annotations": { CORDONED: "true" },
                },
                "spec": { "unschedulable": true },
            }))
        })
        .await
    }

    async fn uncordon(&self, node: &NodeName) -> PortResult<()> {
        self.change_node(node, |reply| {
            if !reply.is_marked() {
                return None;
            }
            Some(json!({
                "metadata": {
                    "resourceVersion": reply.metadata.resource_version,
                    "annotations": { CORDONED: null },
                },
                "spec": { "unschedulable": null },
            }))
        })
        .await
    }

    async fn pods(&self, node: &NodeName) -> PortResult<Vec<PodSeen>> {
        let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{node}&");
        Ok(self.all::<PodReply>(&path).await?.into_iter().filter_map(PodReply::seen).collect())
    }

    async fn evict(&self, pod: &PodSeen, options: &DrainOptions) -> PortResult<Eviction> {
        let PodSeen { namespace, name, .. } = pod;
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction");
        let delete = options.grace_period_seconds.map(|seconds| json!({ "gracePeriodSeconds": seconds }));
        loop {
            let is_old = self.old_evictions.load(Ordering::Relaxed);
            let body = json!({
                "apiVersion": if is_old { "policy/v1beta1" } else { "policy/v1" },
                "kind": "Eviction",
                "metadata": { "namespace": namespace, "name": name },
                "deleteOptions": delete,
            });
            let reply = self.api(|| Call::post(&path, &body)).await?;
            match reply.status {
                200 | 201 | 404 => return Ok(Eviction::Granted),
                429 => return Ok(Eviction::Blocked),
                // Before Kubernetes 1.22 the newer version does not exist.
                400 if !is_old => self.old_evictions.store(true, Ordering::Relaxed),
                _ => return Err(refused(&format!("evict {namespace}/{name}"), &reply)),
            }
        }
    }

    async fn patch_node(&self, node: &NodeName, change: &ObjectChange) -> PortResult<()> {
        self.change_node(node, |reply| Some(reply.patch(change))).await
    }

    async fn kept_roots(&self) -> PortResult<Option<KeptRoots>> {
        // Only the metadata: a look transfers no key.
        let call = || {
            Call::get(KEPT_PATH)
                .accepting("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json")
        };
        let reply = self.api(call).await?;
        match reply.status {
            200 => Ok(kept_in(&understood::<ObjectReply>(&reply)?.metadata)),
            404 => Ok(None),
            _ => Err(refused("ask for the Secret windlass-ledger", &reply)),
        }
    }

    async fn keep_roots(&self, kept: &KeptRoots, content: &Secret<Vec<u8>>) -> PortResult<()> {
        let text = std::str::from_utf8(content.expose()).map_err(|_| lasting("a ledger is text"))?;
        let note = serde_json::to_string(kept).expect("a lineage, a number and a digest are JSON");
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "windlass.io/ledger",
            "metadata": { "name": KEPT_NAME, "namespace": KEPT_NAMESPACE, "annotations": { KEPT: note } },
            "stringData": { "ledger": text },
        });
        let body = || Some(("application/merge-patch+json", secret.to_string().into_bytes()));
        let patch = || Call { method: Method::PATCH, body: body(), ..Call::get(KEPT_PATH) };
        let mut reply = self.api(patch).await?;
        if reply.status == 404 {
            reply = self.api(|| Call::post(SECRETS_PATH, &secret)).await?;
        }
        match reply.status {
            200 | 201 => Ok(()),
            _ => Err(refused("write the Secret windlass-ledger", &reply)),
        }
    }

    async fn rewrite_secrets(&self, rest: Option<&str>) -> PortResult<Option<String>> {
        self.rewrite_page(rest).await
    }

    async fn drop_roots(&self) -> PortResult<()> {
        let reply = self.api(|| Call { method: Method::DELETE, ..Call::get(KEPT_PATH) }).await?;
        match reply.status {
            200 | 202 | 404 => Ok(()),
            _ => Err(refused("delete the Secret windlass-ledger", &reply)),
        }
    }

    async fn objects(&self, wanted: &[ObjectRef]) -> PortResult<ObjectsSeen> {
        self.objects_seen(wanted).await
    }

    async fn note_objects(&self, ours: &[ObjectRef], gone: &[ObjectRef]) -> PortResult<()> {
        self.note_refs(ours, gone).await
    }

    async fn apply_object(&self, object: &DesiredObject) -> PortResult<()> {
        self.apply(object).await
    }

    async fn delete_object(&self, object: &ObjectRef) -> PortResult<()> {
        self.delete(object).await
    }

    async fn why_pods_wait(&self, object: &ObjectRef) -> PortResult<Vec<String>> {
        self.pods_wait(object).await
    }

    async fn delete_node(&self, node: &NodeName) -> PortResult<()> {
        let path = node_path(node);
        let reply = self.api(|| Call { method: Method::DELETE, ..Call::get(&path) }).await?;
        match reply.status {
            200 | 202 | 404 => Ok(()),
            _ => Err(refused(&format!("delete the node object of {node}"), &reply)),
        }
    }
}

/// The description of the ledger's roots on the object that keeps them; none if it cannot be parsed.
fn kept_in(metadata: &Meta) -> Option<KeptRoots> {
    serde_json::from_str(metadata.annotations.get(KEPT)?).ok()
}

fn node_path(node: &NodeName) -> String {
    format!("/api/v1/nodes/{node}")
}

/// The meaning of an API server's refusal.
pub(crate) fn refused(what: &str, Reply { status, body, .. }: &Reply) -> PortError {
    let reported = serde_json::from_slice::<StatusReply>(body).map(|reply| reply.message).unwrap_or_default();
    let reported = if reported.is_empty() { format!("HTTP status {status}") } else { reported };
    let what = format!("{what}: {reported}");
    match status {
        // A conflict, a time-out, a server that starts or is too busy.
        409 | 429 | 500 | 502..=504 => PortError::Passing { what },
        _ => PortError::Lasting { what },
    }
}

impl RemoteFleet {
    async fn node_reply(&self, node: &NodeName) -> PortResult<Option<NodeReply>> {
        let path = node_path(node);
        let reply = self.api(|| Call::get(&path)).await?;
        match reply.status {
            200 => understood(&reply).map(Some),
            404 => Ok(None),
            _ => Err(refused(&format!("ask for the node object of {node}"), &reply)),
        }
    }

    /// Changes a node object by one patch of its present state; again if somebody else changed it first.
    async fn change_node(
        &self,
        node: &NodeName,
        change: impl Fn(&NodeReply) -> Option<Value>,
    ) -> PortResult<()> {
        let path = node_path(node);
        let mut tries = 0;
        loop {
            tries += 1;
            let Some(now) = self.node_reply(node).await? else {
                return Err(lasting(format!("there is no node object of {node}")));
            };
            let Some(change) = change(&now) else { return Ok(()) };
            let body = || Some(("application/merge-patch+json", change.to_string().into_bytes()));
            let reply = self.api(|| Call { method: Method::PATCH, body: body(), ..Call::get(&path) }).await?;
            match reply.status {
                200 => return Ok(()),
                409 if tries < TRIES => {}
                _ => return Err(refused(&format!("patch the node object of {node}"), &reply)),
            }
        }
    }

    /// All objects of a list, page by page. The path ends with `?` or `&`.
    async fn all<T: DeserializeOwned>(&self, path: &str) -> PortResult<Vec<T>> {
        let mut all = Vec::new();
        let mut rest: Option<String> = None;
        loop {
            let page = rest.as_ref().map(|rest| format!("&continue={rest}")).unwrap_or_default();
            let page = format!("{path}limit={PAGE}{page}");
            let reply = self.api(|| Call::get(&page)).await?;
            if reply.status != 200 {
                return Err(refused("ask the API server", &reply));
            }
            let Page { metadata, items } = understood::<Page<T>>(&reply)?;
            all.extend(items);
            match metadata.rest.filter(|rest| !rest.is_empty()) {
                Some(more) => rest = Some(more),
                None => return Ok(all),
            }
        }
    }

    /// Asks the API servers until one answers, the one that answered last time first. Changes go to one after another; what
    /// only reads goes to the next as well after [`HURRY_AFTER`], for one that hangs takes [`ANSWER_WITHIN`] to say nothing.
    pub(crate) async fn api<'c>(&self, call: impl Fn() -> Call<'c>) -> PortResult<Reply> {
        let keys = self.needed_keys()?;
        let Some(config) = keys.kube.clone() else {
            return Err(lasting("the ledger holds no certificate of the administrator"));
        };
        let speech = Speech::Tls(config, server_name(NAME));
        let mut machines = self.control_planes();
        let last = locked(&self.last_api).clone();
        // Connected ones come before those that may take long to fail.
        machines.sort_by_key(|machine| (Some(&machine.name) != last.as_ref(), machine.connected().is_none()));
        let mut causes = Vec::new();
        let mut asked = FuturesUnordered::new();
        let mut rest = machines.into_iter();
        let only_reads = call().method == Method::GET;
        loop {
            // A question that only reads is put to the next one as well if no answer comes for a while.
            let may_hurry = only_reads && rest.len() > 0;
            let next = async {
                if may_hurry {
                    sleep(HURRY_AFTER).await;
                } else {
                    pending::<()>().await;
                }
            };
            let (name, answer) = tokio::select! {
                Some(answered) = asked.next() => answered,
                () = next, if !asked.is_empty() => {
                    if let Some(machine) = rest.next() {
                        asked.push(self.ask_api(machine, &speech, call()));
                    }
                    continue;
                }
                else => match rest.next() {
                    Some(machine) => {
                        asked.push(self.ask_api(machine, &speech, call()));
                        continue;
                    }
                    None => break,
                },
            };
            match answer {
                // It answers, but not for itself: etcd is silent, say, or it has just started.
                Ok(reply) if [500, 502, 503, 504].contains(&reply.status) => {
                    causes.push(format!("{name}: HTTP status {}", reply.status));
                }
                Ok(reply) => {
                    *locked(&self.last_api) = Some(name);
                    return Ok(reply);
                }
                Err(cause) => causes.push(format!("{name}: {cause}")),
            }
        }
        let causes = if causes.is_empty() { "there is none".to_owned() } else { causes.join("; ") };
        Err(passing(format!("no API server answers ({causes})")))
    }

    async fn ask_api(
        &self,
        machine: Arc<Machine>,
        speech: &Speech,
        call: Call<'_>,
    ) -> (NodeName, Result<Reply, String>) {
        let ask = async {
            let link = self.link_of(&machine).await.map_err(|error| error.to_string())?;
            let far = Far::Port("127.0.0.1".to_owned(), API_SERVER_PORT);
            let near = link.forward(&far).await.map_err(|error| error.to_string())?;
            Counts::count(&link.counts.probes);
            https::ask(&near, speech, call, ANSWER_WITHIN)
                .await
                .map_err(|silence: Silence| silence.to_string())
        };
        let answer = ask.await;
        (machine.name.clone(), answer)
    }
}

pub(crate) fn understood<T: DeserializeOwned>(reply: &Reply) -> PortResult<T> {
    serde_json::from_slice(&reply.body).map_err(|error| {
        passing(format!("the API server answers strangely, from column {}: {error}", error.column()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = r#"{
        "metadata": {"name": "n1", "resourceVersion": "7", "labels": {"a": "1", "b": "2"},
            "annotations": {"windlass.io/owned": "{\"labels\":[\"a\"],\"taints\":[]}"}},
        "spec": {"unschedulable": true, "taints": [
            {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": "2020-01-01T00:00:00Z"},
            {"key": "dedicated", "value": "x", "effect": "NoExecute"},
            {"key": "old", "effect": "NoSchedule"}]},
        "status": {
                "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
                "nodeInfo": {"kubeletVersion": "v1.37.2"}
            }
    }"#;

    fn taint_of(key: &str, value: &str, effect: &str) -> Taint {
        Taint { key: key.into(), value: value.into(), effect: effect.into() }
    }

    #[test]
    fn a_node_object_is_understood() {
        let reply: NodeReply = serde_json::from_str(NODE).unwrap();
        let object = reply.object();
        assert_eq!((object.ready, object.scheduling), (Readiness::Ready, Scheduling::CordonedByOther));
        assert_eq!(
            object.taints.into_iter().collect::<Vec<_>>(),
            [taint_of("dedicated", "x", "NoExecute"), taint_of("old", "", "NoSchedule")]
        );
        assert_eq!(object.owned.labels, BTreeSet::from(["a".into()]));
    }

    #[test]
    fn one_patch_sets_and_takes_away_and_leaves_what_is_kubernetes_own() {
        let reply: NodeReply = serde_json::from_str(NODE).unwrap();
        let change = ObjectChange {
            labels: BTreeMap::from([("c".into(), "3".into())]),
            labels_gone: BTreeSet::from(["b".into()]),
            taints: BTreeSet::from([
                taint_of("new", "", "NoSchedule"),
                taint_of("dedicated", "x", "NoExecute"),
            ]),
            taints_gone: BTreeSet::from([taint_of("old", "", "NoSchedule")]),
            owned: Owned { labels: BTreeSet::from(["c".into()]), taints: BTreeSet::new() },
        };
        let patch = reply.patch(&change);
        assert_eq!(
            patch,
            json!({
                "metadata": {
                    "resourceVersion": "7",
                    "labels": { "b": null, "c": "3" },
                    "annotations": { "windlass.io/owned": "{\"labels\":[\"c\"],\"taints\":[]}" },
                },
                "spec": { "taints": [
                    { "key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule",
                      "timeAdded": "2020-01-01T00:00:00Z" },
                    { "key": "dedicated", "value": "x", "effect": "NoExecute" },
                    { "key": "new", "value": "", "effect": "NoSchedule" },
                ] },
            })
        );
    }

    #[test]
    fn pods_are_reported_by_who_brings_them_back() {
        let page = r#"{"metadata": {"continue": ""}, "items": [
            {"metadata": {"namespace": "a", "name": "done"}, "status": {"phase": "Succeeded"}},
            {"metadata": {"namespace": "a", "name": "mirror", "annotations": {"kubernetes.io/config.mirror": "x"}}},
            {"metadata": {"namespace": "a", "name": "agent", "ownerReferences": [{"kind": "DaemonSet", "controller": true}]}},
            {"metadata": {"namespace": "a", "name": "web", "ownerReferences": [{"kind": "ReplicaSet", "controller": true}]},
             "spec": {"volumes": [{"name": "x", "emptyDir": {}}]}},
            {"metadata": {"namespace": "a", "name": "alone"}, "spec": {"volumes": [{"name": "x", "secret": {}}]}}]}"#;
        let page: Page<PodReply> = serde_json::from_str(page).unwrap();
        let seen: Vec<(String, PodController, bool)> = page
            .items
            .into_iter()
            .filter_map(PodReply::seen)
            .map(|pod| (pod.name, pod.controller, pod.local_data))
            .collect();
        assert_eq!(
            seen,
            [
                ("agent".to_owned(), PodController::DaemonSet, false),
                ("web".to_owned(), PodController::Elsewhere, true),
                ("alone".to_owned(), PodController::Nobody, false),
            ]
        );
    }
}
