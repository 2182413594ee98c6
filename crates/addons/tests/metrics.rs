//! The contents of metrics-server's objects: the names of RKE 1, and what each key changes.
#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod world;

use serde_json::json;
use windlass_model::{AddonKind, DesiredAddon};
use world::{OF_RKE, body, of, problems};

const DEPLOYMENT: &str = "Deployment kube-system/metrics-server";

fn metrics(text: &str, version: &str) -> DesiredAddon {
    of(text, version, OF_RKE, &[]).remove(&AddonKind::Metrics).unwrap()
}

fn arguments(text: &str) -> Vec<String> {
    let container =
        body(&metrics(text, "v1.30.5"), DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0].clone();
    serde_json::from_value(container["args"].clone()).unwrap()
}

#[test]
fn its_objects_have_the_names_that_rke_1_gave_them() {
    let addon = metrics("", "v1.30.5");
    let names: Vec<String> = addon.objects.iter().map(|object| object.object.to_string()).collect();
    assert_eq!(
        names,
        [
            "ServiceAccount kube-system/metrics-server",
            "ClusterRole system:aggregated-metrics-reader",
            "ClusterRole system:metrics-server",
            "RoleBinding kube-system/metrics-server-auth-reader",
            "ClusterRoleBinding metrics-server:system:auth-delegator",
            "ClusterRoleBinding system:metrics-server",
            "Service kube-system/metrics-server",
            DEPLOYMENT,
            "APIService v1beta1.metrics.k8s.io",
        ]
    );
    assert_eq!(addon.origin, None);
}

#[test]
fn it_is_there_where_windlass_deploys_the_network_or_cluster_yml_asks() {
    let is_there = |text: &str| of(text, "v1.30.5", OF_RKE, &[]).contains_key(&AddonKind::Metrics);
    assert!(is_there("") && is_there("network: {plugin: none}\nmonitoring: {provider: metrics-server}"));
    assert!(!is_there("monitoring: {provider: none}") && !is_there("network: {plugin: none}"));
}

#[test]
fn kubelets_are_checked_where_their_certificates_are_of_the_cluster() {
    const INSECURE: &str = "--kubelet-insecure-tls=true";
    let checked = "--kubelet-certificate-authority=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
    let serving = "services: {kubelet: {generate_serving_certificate: true}}\n";
    let has = |text: &str, flag: &str| arguments(text).iter().any(|argument| argument == flag);
    assert!(has("", INSECURE) && !has("", checked));
    assert!(has(serving, checked) && !has(serving, INSECURE));
    let forced = format!("{serving}monitoring: {{options: {{kubelet-insecure-tls: 'true'}}}}");
    assert!(has(&forced, INSECURE) && !has(&forced, checked));
}

#[test]
fn an_option_takes_the_place_of_the_same_flag() {
    let of = arguments("monitoring: {options: {metric-resolution: 30s, v: '2'}}");
    let resolutions: Vec<&String> =
        of.iter().filter(|flag| flag.starts_with("--metric-resolution")).collect();
    assert_eq!(
        (resolutions, of.contains(&"--v=2".to_owned())),
        (vec![&"--metric-resolution=30s".to_owned()], true)
    );
}

#[test]
fn each_version_has_the_port_and_the_rights_of_its_release() {
    let of = |version: &str| {
        let addon = metrics("", version);
        let port = body(&addon, DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0]["ports"][0].clone();
        let rights = body(&addon, "ClusterRole system:metrics-server")["rules"][0]["resources"].clone();
        (port["containerPort"].clone(), rights)
    };
    assert_eq!(of("v1.30.5"), (json!(10250), json!(["nodes/metrics"])));
    assert_eq!(of("v1.22.17"), (json!(4443), json!(["nodes/stats"])));
}

#[test]
fn doubtful_values_are_reported() {
    assert_eq!(
        problems("monitoring: {replicas: 0}"),
        [
            "warning: monitoring.replicas: without pods of metrics-server `kubectl top` and the autoscaler know nothing \
          (write 1 or more, or `provider: none`)"
        ]
    );
}
