//! metrics-server: the use of processor and memory, for `kubectl top` and the horizontal autoscaler; in objects named as by
//! RKE 1.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use windlass_model::{AddonKind, DesiredAddon, DesiredObject};
use windlass_spec::ClusterSpec;

use crate::objects::{
    APP, NAMESPACE, SERVICE_ACCOUNT_CA, WORKER, bind, cluster_role, on_nodes_with, os_label, service_account,
    tolerate_all, tolerations,
};
use crate::problem::Problems;
use crate::{Wanted, strategy};

/// The keys of its images.
pub(crate) const IMAGES: [&str; 1] = ["metrics_server"];

const NAME: &str = "metrics-server";
const ROLE: &str = "system:metrics-server";
/// The role that lets whoever may view or edit see metrics too.
const READERS: &str = "system:aggregated-metrics-reader";
const INSECURE: &str = "kubelet-insecure-tls";
const AUTHORITY: &str = "kubelet-certificate-authority";

/// Where cluster.yml asks for it; and where windlass deploys the network that its pods need, unless cluster.yml says
/// `none`.
pub(crate) fn is_desired(spec: &ClusterSpec) -> bool {
    match spec.monitoring.provider.as_deref() {
        Some(provider) => provider != "none",
        None => crate::flannel::is_desired(spec),
    }
}

/// Reports settings that metrics-server cannot use.
pub(crate) fn check(spec: &ClusterSpec, problems: &mut Problems) {
    let monitoring = &spec.monitoring;
    strategy::check(monitoring.update_strategy.as_ref(), "25%", "monitoring.update_strategy", problems);
    if monitoring.replicas == Some(0) {
        problems.warning(
            "monitoring.replicas",
            "without pods of metrics-server `kubectl top` and the autoscaler know nothing".to_owned(),
            Some("write 1 or more, or `provider: none`".to_owned()),
        );
    }
}

pub(crate) fn addon(wanted: &Wanted<'_>) -> Option<DesiredAddon> {
    if !is_desired(wanted.spec) {
        return None;
    }
    let image = wanted.images.get(IMAGES[0])?;
    let mut bodies = vec![service_account(NAME)];
    if wanted.has_roles() {
        bodies.extend(access(wanted));
    }
    bodies.extend([service(), deployment(wanted, image), api_service()]);
    for body in &mut bodies {
        body["metadata"]["labels"][APP] = json!(NAME);
    }
    Some(DesiredAddon {
        name: NAME.to_owned(),
        objects: bodies.into_iter().map(|body| DesiredObject::new(AddonKind::Metrics, body)).collect(),
        origin: wanted.spec.monitoring.provider.as_ref().map(|_| "monitoring.provider".into()),
    })
}

/// Source: `manifests/base/rbac.yaml` of <https://github.com/kubernetes-sigs/metrics-server>. It asks kubelets for
/// `nodes/metrics` from its 0.6 on, which RKE 1 had with Kubernetes 1.23, and for `nodes/stats` before.
fn access(wanted: &Wanted<'_>) -> Vec<Value> {
    let metrics = if wanted.version.at_least(1, 23) { "nodes/metrics" } else { "nodes/stats" };
    let mut readers = cluster_role(
        READERS,
        &json!([{"apiGroups": ["metrics.k8s.io"], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}]),
    );
    for role in ["view", "edit", "admin"] {
        readers["metadata"]["labels"][format!("rbac.authorization.k8s.io/aggregate-to-{role}")] =
            json!("true");
    }
    let own = cluster_role(
        ROLE,
        &json!([
            {"apiGroups": [""], "resources": [metrics], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["pods", "nodes", "namespaces", "configmaps"], "verbs": ["get", "list", "watch"]},
        ]),
    );
    let mut reader =
        bind("metrics-server-auth-reader", "Role", "extension-apiserver-authentication-reader", NAME);
    reader["metadata"]["namespace"] = json!(NAMESPACE);
    let delegator =
        bind("metrics-server:system:auth-delegator", "ClusterRole", "system:auth-delegator", NAME);
    vec![readers, own, reader, delegator, bind(ROLE, "ClusterRole", ROLE, NAME)]
}

fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "selector": {APP: NAME},
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": "https"}],
        },
    })
}

/// It serves with a certificate that it signs itself at each start, so the API server cannot check it.
fn api_service() -> Value {
    json!({
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": true,
            "service": {"name": NAME, "namespace": NAMESPACE},
        },
    })
}

/// The flags: those of cluster.yml take the place of the same ones.
fn arguments(wanted: &Wanted<'_>, port: u16) -> Vec<String> {
    let spec = wanted.spec;
    let options = &spec.monitoring.options;
    let mut flags: BTreeMap<&str, String> = BTreeMap::from([
        ("cert-dir", "/tmp".to_owned()),
        ("kubelet-preferred-address-types", "InternalIP,ExternalIP,Hostname".to_owned()),
        ("secure-port", port.to_string()),
    ]);
    if has_probes(wanted) {
        flags.insert("metric-resolution", "15s".to_owned());
        flags.insert("kubelet-use-node-status-port", "true".to_owned());
    }
    if spec.services.kubelet.generate_serving_certificate == Some(true) && !options.contains_key(INSECURE) {
        flags.insert(AUTHORITY, SERVICE_ACCOUNT_CA.to_owned());
    } else if !options.contains_key(AUTHORITY) {
        flags.insert(INSECURE, "true".to_owned());
    }
    let given = options.iter().map(|(flag, value)| (flag.trim_start_matches('-'), value.clone()));
    flags.extend(given);
    let written = |(flag, value): (&str, String)| {
        if value.is_empty() { format!("--{flag}") } else { format!("--{flag}={value}") }
    };
    flags.into_iter().map(written).collect()
}

/// It answers whether it is well from its 0.4 on, which RKE 1 had from 1.20.4 on.
fn has_probes(wanted: &Wanted<'_>) -> bool {
    wanted.version.at_least(1, 20)
}

fn deployment(wanted: &Wanted<'_>, image: &str) -> Value {
    let monitoring = &wanted.spec.monitoring;
    let port = if wanted.version.at_least(1, 28) { 10_250 } else { 4_443 };
    let mut selector = monitoring.node_selector.clone();
    selector.insert(os_label(wanted.version).to_owned(), "linux".to_owned());
    let given = &monitoring.tolerations;
    let mut pod = json!({
        "affinity": {"nodeAffinity": on_nodes_with(WORKER, &[])},
        "containers": [container(wanted, image, port)],
        "nodeSelector": selector,
        "priorityClassName": monitoring.priority_class_name.as_deref().unwrap_or("system-cluster-critical"),
        "serviceAccountName": NAME,
        "tolerations": if given.is_empty() { tolerate_all() } else { tolerations(given) },
        "volumes": [{"name": "tmp-dir", "emptyDir": {}}],
    });
    if monitoring.replicas > Some(1) {
        pod["affinity"]["podAntiAffinity"] = json!({"preferredDuringSchedulingIgnoredDuringExecution": [{
            "weight": 100,
            "podAffinityTerm": {
                "labelSelector": {"matchLabels": {APP: NAME}},
                "topologyKey": "kubernetes.io/hostname",
            },
        }]});
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "replicas": monitoring.replicas.unwrap_or(1),
            "selector": {"matchLabels": {APP: NAME}},
            "strategy": strategy::of_deployment(
                monitoring.update_strategy.as_ref(),
                &json!({"maxUnavailable": "25%", "maxSurge": "25%"}),
            ),
            "template": {"metadata": {"labels": {APP: NAME}}, "spec": pod},
        },
    })
}

fn container(wanted: &Wanted<'_>, image: &str, port: u16) -> Value {
    let mut container = json!({
        "name": NAME,
        "image": image,
        "args": arguments(wanted, port),
        "ports": [{"name": "https", "containerPort": port, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "runAsUser": 1000,
        },
        "volumeMounts": [{"name": "tmp-dir", "mountPath": "/tmp"}],
    });
    if has_probes(wanted) {
        let probe = |path: &str| json!({"path": path, "port": "https", "scheme": "HTTPS"});
        container["livenessProbe"] =
            json!({"httpGet": probe("/livez"), "periodSeconds": 10, "failureThreshold": 3});
        container["readinessProbe"] =
            json!({"httpGet": probe("/readyz"), "periodSeconds": 5, "failureThreshold": 3});
    }
    if wanted.version.at_least(1, 28) {
        container["securityContext"]["capabilities"] = json!({"drop": ["ALL"]});
        container["securityContext"]["seccompProfile"] = json!({"type": "RuntimeDefault"});
    }
    container
}
