//! How many pods of `CoreDNS` there are: cluster-proportional-autoscaler counts the workers and their processor cores.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use windlass_spec::DnsSpec;

use super::NAME as TARGET;
use crate::Wanted;
use crate::objects::{
    APP, NAMESPACE, WORKER, config_map, on_nodes_with, option, os_label, roles, service_account,
    tolerate_all, tolerations,
};
use crate::problem::Problems;

/// Its account, Deployment and configuration.
const NAME: &str = "coredns-autoscaler";
const ROLE: &str = "system:coredns-autoscaler";
const PARAMETERS: &str = "dns.linear_autoscaler_params";

pub(super) fn objects(wanted: &Wanted<'_>, image: &str) -> Vec<Value> {
    let dns = &wanted.spec.dns;
    let mut bodies = vec![service_account(NAME)];
    if wanted.has_roles() {
        bodies.extend(roles(ROLE, NAME, &rules()));
    }
    // By default it creates its configuration itself, and does not read the default again. So where
    // cluster.yml has parameters, windlass writes the configuration; where it has none, it may be changed by
    // hand.
    if dns.linear_autoscaler_params.is_some() {
        bodies.push(config_map(NAME, &BTreeMap::from([("linear", linear(dns))])));
    }
    bodies.push(deployment(wanted, image));
    bodies
}

/// RKE 1's parameters, each replaced by the value of cluster.yml if there is one; in RKE 1's order, so that
/// its pods are as desired.
fn linear(dns: &DnsSpec) -> String {
    let default = |number: u32| Some(json!(number));
    let parameters = [
        ("cores_per_replica", "coresPerReplica", default(128)),
        ("nodes_per_replica", "nodesPerReplica", default(4)),
        ("min", "min", default(1)),
        ("max", "max", None),
        ("prevent_single_point_failure", "preventSinglePointFailure", Some(json!(true))),
    ];
    let parameters: Vec<String> = parameters
        .into_iter()
        .filter_map(|(key, name, default)| {
            let value = given(dns, key).cloned().or(default)?;
            // Zero means unset, as in RKE 1.
            (value.as_f64() != Some(0.0)).then(|| format!("\"{name}\":{value}"))
        })
        .collect();
    format!("{{{}}}", parameters.join(","))
}

/// Reports parameters that the autoscaler refuses, and with which it would exit.
///
/// Source: `pkg/autoscaler/controller/linearcontroller` of
/// <https://github.com/kubernetes-sigs/cluster-proportional-autoscaler>.
pub(super) fn check(dns: &DnsSpec, problems: &mut Problems) {
    let number = |key: &str| given(dns, key).and_then(Value::as_f64);
    for key in ["cores_per_replica", "nodes_per_replica", "min", "max"] {
        if let Some(found) = number(key).filter(|number| *number < 0.0) {
            problems.error(
                &format!("{PARAMETERS}.{key}"),
                format!("`{key}` is {found}, less than nothing"),
                Some("write 1 or more".to_owned()),
            );
        }
    }
    let least = number("min").unwrap_or(1.0);
    if let Some(most) = number("max").filter(|most| (0.0..least).contains(most) && *most > 0.0) {
        problems.error(
            &format!("{PARAMETERS}.max"),
            format!("`max` is {most} and `min` is {least}"),
            Some("write a `max` that is at least `min`".to_owned()),
        );
    }
}

fn given<'a>(dns: &'a DnsSpec, key: &str) -> Option<&'a Value> {
    dns.linear_autoscaler_params.as_ref()?.get(key)
}

fn rules() -> Value {
    json!([
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["replicationcontrollers/scale"], "verbs": ["get", "update"]},
        {
            "apiGroups": ["extensions", "apps"],
            "resources": ["deployments/scale", "replicasets/scale"],
            "verbs": ["get", "update"],
        },
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create"]},
    ])
}

fn deployment(wanted: &Wanted<'_>, image: &str) -> Value {
    let dns = &wanted.spec.dns;
    let mut pod = json!({
        "affinity": {"nodeAffinity": on_nodes_with(WORKER, &[])},
        "containers": [container(wanted, image)],
        "nodeSelector": {os_label(wanted.version): "linux"},
        "serviceAccountName": NAME,
        "tolerations": if dns.tolerations.is_empty() { tolerate_all() } else { tolerations(&dns.tolerations) },
    });
    let class = |name: &str| option(&dns.options, name);
    let priority = class("coredns_autoscaler_priority_class_name")
        .or_else(|| class("kube_dns_autoscaler_priority_class_name"));
    if let Some(priority) = priority {
        pod["priorityClassName"] = json!(priority);
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {APP: NAME}},
        "spec": {
            "selector": {"matchLabels": {APP: NAME}},
            "template": {"metadata": {"labels": {APP: NAME}}, "spec": pod},
        },
    })
}

fn container(wanted: &Wanted<'_>, image: &str) -> Value {
    let probe = json!({"path": "/healthz", "port": 8080, "scheme": "HTTP"});
    let system = os_label(wanted.version);
    let mut container = json!({
        "name": "autoscaler",
        "image": image,
        "command": [
            "/cluster-proportional-autoscaler",
            format!("--namespace={NAMESPACE}"),
            format!("--configmap={NAME}"),
            format!("--target=Deployment/{TARGET}"),
            format!("--default-params={{\"linear\":{}}}", linear(&wanted.spec.dns)),
            format!("--nodelabels={WORKER}=true,{system}=linux"),
            "--logtostderr=true",
            "--v=2",
        ],
        "resources": {"requests": {"cpu": "20m", "memory": "10Mi"}},
    });
    // RKE 1 uses it from its 1.8 on, which it had with Kubernetes 1.19.
    if wanted.version.at_least(1, 19) {
        container["readinessProbe"] = json!({"httpGet": probe});
        container["livenessProbe"] = json!({
            "httpGet": probe,
            "initialDelaySeconds": 60,
            "timeoutSeconds": 5,
            "failureThreshold": 5,
        });
    }
    container
}
