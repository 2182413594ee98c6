//! What objects of all add-ons are built of: accounts and roles, tolerations, probes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use windlass_model::KubernetesVersion;

/// Where RKE 1 deployed everything except its ingress controller.
pub(crate) const NAMESPACE: &str = "kube-system";

/// The cluster's CA in every pod with an account.
pub(crate) const SERVICE_ACCOUNT_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// The label of nodes that run pods which are not bound to a node.
pub(crate) const WORKER: &str = "node-role.kubernetes.io/worker";

/// The label by which the pods of an add-on are found.
pub(crate) const APP: &str = "k8s-app";

pub(crate) fn service_account(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": NAMESPACE},
    })
}

/// A role, and its binding to an account.
pub(crate) fn roles(name: &str, account: &str, rules: &Value) -> [Value; 2] {
    roles_in(NAMESPACE, name, account, rules)
}

/// The same for an account of another namespace.
pub(crate) fn roles_in(namespace: &str, name: &str, account: &str, rules: &Value) -> [Value; 2] {
    let mut binding = bind(name, "ClusterRole", name, account);
    binding["subjects"][0]["namespace"] = json!(namespace);
    [cluster_role(name, rules), binding]
}

pub(crate) fn cluster_role(name: &str, rules: &Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    })
}

/// Binds an account to a role, in all namespaces or, where it is a `Role`, in one.
pub(crate) fn bind(name: &str, kind: &str, role: &str, account: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": format!("{kind}Binding"),
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
    })
}

pub(crate) fn config_map(name: &str, data: &BTreeMap<&str, String>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": data,
    })
}

/// All taints with these effects; RKE 1's default.
pub(crate) fn tolerate_all() -> Value {
    json!([{"operator": "Exists", "effect": "NoExecute"}, {"operator": "Exists", "effect": "NoSchedule"}])
}

/// Tolerations of cluster.yml, without empty texts, which Kubernetes does not store.
pub(crate) fn tolerations(given: &[Value]) -> Value {
    let mut kept = given.to_vec();
    for fields in kept.iter_mut().filter_map(Value::as_object_mut) {
        fields.retain(|_, value| value.as_str() != Some(""));
    }
    Value::Array(kept)
}

/// The affinity for nodes that have this label, with one of these values if there are any.
pub(crate) fn on_nodes_with(label: &str, values: &[&str]) -> Value {
    let expression = if values.is_empty() {
        json!({"key": label, "operator": "Exists"})
    } else {
        json!({"key": label, "operator": "In", "values": values})
    };
    json!({"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [expression]}],
    }})
}

/// The label of a node's operating system; kubelet sets it under its later name from 1.14 on.
pub(crate) fn os_label(version: &KubernetesVersion) -> &'static str {
    if version.at_least(1, 14) { "kubernetes.io/os" } else { "beta.kubernetes.io/os" }
}

/// The text of an option, where there is one.
pub(crate) fn option<'a>(options: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    options.get(name).map(String::as_str).filter(|text| !text.is_empty())
}
