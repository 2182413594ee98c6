//! Why the pods of an object are not ready: the node, the cause in Kubernetes' words, the last warning, the
//! end of the log.

use serde::Deserialize;
use serde_json::Value;
use windlass_engine::PortResult;
use windlass_model::ObjectRef;

use crate::fleet::RemoteFleet;
use crate::https::Call;
use crate::kube::{refused, understood};
use crate::objects::path_of;

/// How many lines of a log are read.
const LOG_LINES: usize = 3;

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    items: Vec<Value>,
}

impl RemoteFleet {
    /// One line for each pod of the object that is not ready.
    pub(crate) async fn pods_wait(&self, object: &ObjectRef) -> PortResult<Vec<String>> {
        let owner = self.json(&path_of(object)).await?;
        let Some(labels) = owner["spec"]["selector"]["matchLabels"].as_object() else {
            return Ok(Vec::new());
        };
        let selector: Vec<String> =
            labels.iter().filter_map(|(key, value)| Some(format!("{key}%3D{}", value.as_str()?))).collect();
        let namespace = &object.namespace;
        let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={}", selector.join("%2C"));
        let mut lines = Vec::new();
        for pod in self.list(&path).await?.iter().filter(|pod| !is_ready(pod)) {
            lines.push(self.why_pod_waits(namespace, pod).await?);
        }
        Ok(lines)
    }

    async fn why_pod_waits(&self, namespace: &str, pod: &Value) -> PortResult<String> {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let node = pod["spec"]["nodeName"].as_str().unwrap_or("no node yet");
        let mut said = format!("{name} on {node}");
        if let Some(why) = state_of(pod) {
            said = format!("{said}: {why}");
        }
        let path = format!(
            "/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.name%3D{name}%2Ctype%3DWarning"
        );
        let events = self.list(&path).await?;
        let last = events.iter().max_by_key(|event| event["lastTimestamp"].as_str().unwrap_or_default());
        if let Some(message) = last.and_then(|event| event["message"].as_str()) {
            said = format!("{said}; {}", message.lines().next().unwrap_or_default());
        }
        if restarts(pod) > 0
            && let Some(line) = self.last_of_log(namespace, name).await
        {
            said = format!("{said}; its log ends: {line}");
        }
        Ok(said)
    }

    async fn last_of_log(&self, namespace: &str, pod: &str) -> Option<String> {
        let path =
            format!("/api/v1/namespaces/{namespace}/pods/{pod}/log?previous=true&tailLines={LOG_LINES}");
        let reply = self.api(|| Call::get(&path).accepting("*/*")).await.ok()?;
        let text = String::from_utf8_lossy(&reply.body);
        (reply.status == 200).then(|| text.lines().last().unwrap_or_default().to_owned())
    }

    async fn list(&self, path: &str) -> PortResult<Vec<Value>> {
        let reply = self.api(|| Call::get(path)).await?;
        if reply.status != 200 {
            return Err(refused("ask the API server", &reply));
        }
        understood::<List>(&reply).map(|list| list.items)
    }

    async fn json(&self, path: &str) -> PortResult<Value> {
        let reply = self.api(|| Call::get(path)).await?;
        if reply.status != 200 {
            return Err(refused("ask the API server", &reply));
        }
        understood(&reply)
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .filter_map(|list| pod["status"][list].as_array())
        .flatten()
}

fn restarts(pod: &Value) -> u64 {
    containers(pod).filter_map(|container| container["restartCount"].as_u64()).sum()
}

/// The first container's reason to wait, or why the pod is not scheduled.
fn state_of(pod: &Value) -> Option<String> {
    let waiting = containers(pod)
        .filter_map(|container| {
            let waiting = container["state"].get("waiting")?;
            let reason = waiting["reason"].as_str()?;
            let image = container["image"].as_str().unwrap_or_default();
            let is_of_image = reason.contains("Image");
            Some(if is_of_image { format!("{reason} {image}") } else { reason.to_owned() })
        })
        // Containers that only wait for the failing one give no better reason.
        .min_by_key(|reason| ["PodInitializing", "ContainerCreating"].contains(&reason.as_str()));
    let conditions = pod["status"]["conditions"].as_array();
    let unscheduled = || {
        let mut conditions = conditions.into_iter().flatten();
        let condition = conditions.find(|it| it["type"] == "PodScheduled" && it["status"] == "False")?;
        condition["message"].as_str().map(str::to_owned)
    };
    waiting.or_else(unscheduled).or_else(|| pod["status"]["phase"].as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_container_with_the_fault_is_named_before_those_that_wait_for_it() {
        let pod = json!({"status": {"phase": "Pending",
            "initContainerStatuses": [{"image": "x:1", "state": {"waiting": {"reason": "ImagePullBackOff"}}}],
            "containerStatuses": [{"image": "y", "restartCount": 2, "state": {"waiting": {"reason": "PodInitializing"}}}]}});
        assert_eq!(state_of(&pod), Some("ImagePullBackOff x:1".to_owned()));
        assert_eq!(restarts(&pod), 2);
        assert!(!is_ready(&pod));
    }

    #[test]
    fn a_pod_that_no_node_takes_says_why() {
        let pod = json!({"status": {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]}});
        assert_eq!(state_of(&pod), Some("0/3 nodes are available".to_owned()));
    }
}
