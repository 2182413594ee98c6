//! The contents of `CoreDNS`' objects: the names of RKE 1 without the faults of its templates, and what each
//! key changes.
#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod world;

use serde_json::{Value, json};
use windlass_model::{AddonKind, DesiredAddon};
use world::{OF_RKE, body, of, problems};

const DEPLOYMENT: &str = "Deployment kube-system/coredns";
const SERVICE: &str = "Service kube-system/kube-dns";
const AUTOSCALER: &str = "Deployment kube-system/coredns-autoscaler";
const PARAMETERS: &str = "ConfigMap kube-system/coredns-autoscaler";

fn coredns(dns: &str) -> DesiredAddon {
    of(dns, "v1.30.5-rancher1-1", OF_RKE, &["10.42.0.0/16"]).remove(&AddonKind::Dns).unwrap()
}

fn corefile(dns: &str) -> String {
    body(&coredns(dns), "ConfigMap kube-system/coredns")["data"]["Corefile"].as_str().unwrap().to_owned()
}

/// The line of the Corefile that begins with this word.
fn line(dns: &str, word: &str) -> String {
    let corefile = corefile(dns);
    let found = corefile.lines().find(|line| line.trim_start().starts_with(word));
    found.unwrap_or_else(|| panic!("no {word} in {corefile}")).trim().to_owned()
}

#[test]
fn its_objects_have_the_names_that_rke_1_gave_them() {
    let addon = coredns("");
    let names: Vec<String> = addon.objects.iter().map(|object| object.object.to_string()).collect();
    assert_eq!(
        names,
        [
            "ServiceAccount kube-system/coredns",
            "ClusterRole system:coredns",
            "ClusterRoleBinding system:coredns",
            "ConfigMap kube-system/coredns",
            SERVICE,
            DEPLOYMENT,
            "ServiceAccount kube-system/coredns-autoscaler",
            "ClusterRole system:coredns-autoscaler",
            "ClusterRoleBinding system:coredns-autoscaler",
            AUTOSCALER,
        ]
    );
    assert_eq!((addon.name.as_str(), addon.origin), ("coredns", None));
    assert_eq!(coredns("dns: {provider: coredns}").origin, Some("dns.provider".into()));
    let selector = json!({"matchLabels": {"k8s-app": "kube-dns"}});
    assert_eq!(body(&coredns(""), DEPLOYMENT)["spec"]["selector"], selector);
    assert_eq!(body(&coredns(""), SERVICE)["spec"]["clusterIP"], json!("10.43.0.10"));
}

#[test]
fn the_number_of_replicas_is_the_autoscalers() {
    let addon = coredns("");
    for deployment in [DEPLOYMENT, AUTOSCALER] {
        assert_eq!(body(&addon, deployment)["spec"].get("replicas"), None, "{deployment}");
    }
    let pod = body(&addon, AUTOSCALER)["spec"]["template"]["spec"].clone();
    let command = pod["containers"][0]["command"].clone();
    assert!(command.as_array().unwrap().contains(&json!("--target=Deployment/coredns")), "{command}");
}

#[test]
fn no_provider_deploys_nothing_and_kube_dns_is_coredns() {
    assert!(!of("dns: {provider: none}", "v1.30.5", OF_RKE, &[]).contains_key(&AddonKind::Dns));
    let addon = coredns("dns: {provider: kube-dns, options: {kube_dns_priority_class_name: own}}");
    assert_eq!(body(&addon, DEPLOYMENT)["spec"]["template"]["spec"]["priorityClassName"], json!("own"));
    assert_eq!(
        problems("dns: {provider: kube-dns}"),
        [
            "warning: dns.provider: CoreDNS is deployed in the place of kube-dns, which nobody maintains any more \
          (write `coredns`)"
        ]
    );
}

#[test]
fn ranges_are_zones_one_after_another() {
    assert_eq!(line("", "kubernetes"), "kubernetes cluster.local in-addr.arpa ip6.arpa {");
    assert_eq!(
        line("dns: {reversecidrs: [10.42.0.0/16, 10.43.0.0/16]}", "kubernetes"),
        "kubernetes cluster.local 10.42.0.0/16 10.43.0.0/16 {"
    );
}

#[test]
fn other_names_are_those_of_the_node_or_of_the_name_servers() {
    assert_eq!(line("", "forward"), "forward . /etc/resolv.conf");
    assert_eq!(
        line("dns: {upstreamnameservers: [192.0.2.53, '192.0.2.54:5353']}", "forward"),
        "forward . 192.0.2.53 192.0.2.54:5353"
    );
    let pod = body(&coredns(""), DEPLOYMENT)["spec"]["template"]["spec"].clone();
    assert_eq!(pod["dnsPolicy"], json!("Default"));
}

#[test]
fn domains_with_name_servers_of_their_own_are_blocks_of_their_own() {
    let text = corefile("dns: {stubdomains: {example.com: [192.0.2.55, 192.0.2.56]}}");
    let block = "example.com:53 {\n    errors\n    cache 30\n    forward . 192.0.2.55 192.0.2.56\n}\n";
    assert_eq!(text.strip_prefix(&corefile("")), Some(block), "{text}");
}

#[test]
fn parameters_in_part_keep_the_other_defaults() {
    let of = |dns: &str| {
        let addon = coredns(dns);
        let text = body(&addon, PARAMETERS)["data"]["linear"].as_str().unwrap().to_owned();
        let pod = body(&addon, AUTOSCALER)["spec"]["template"]["spec"].clone();
        let flag = pod["containers"][0]["command"][4].as_str().unwrap().to_owned();
        assert_eq!(flag, format!("--default-params={{\"linear\":{text}}}"));
        serde_json::from_str::<Value>(&text).unwrap()
    };
    assert_eq!(
        of("dns: {linear_autoscaler_params: {nodes_per_replica: 2, max: 8}}"),
        json!({"coresPerReplica": 128, "nodesPerReplica": 2, "min": 1, "max": 8,
            "preventSinglePointFailure": true})
    );
    assert_eq!(
        of("dns: {linear_autoscaler_params: {prevent_single_point_failure: false, cores_per_replica: 0.5}}"),
        json!({"coresPerReplica": 0.5, "nodesPerReplica": 4, "min": 1, "preventSinglePointFailure": false})
    );
    assert_eq!(
        of("dns: {linear_autoscaler_params: {cores_per_replica: 0, max: 0}}"),
        json!({"nodesPerReplica": 4, "min": 1, "preventSinglePointFailure": true})
    );
    // Without the key the autoscaler creates its configuration itself, and it may be changed by hand.
    assert!(!coredns("").objects.iter().any(|object| object.object.to_string() == PARAMETERS));
}

#[test]
fn tolerations_take_the_place_of_the_defaults() {
    let of = |dns: &str, deployment: &str| {
        body(&coredns(dns), deployment)["spec"]["template"]["spec"]["tolerations"].clone()
    };
    let own = "dns: {tolerations: [{key: a, operator: Exists, value: '', effect: NoSchedule}]}";
    // Kubernetes does not store empty texts: with one there would always be a difference.
    let kept = json!([{"key": "a", "operator": "Exists", "effect": "NoSchedule"}]);
    assert_eq!((of(own, DEPLOYMENT), of(own, AUTOSCALER)), (kept.clone(), kept));
    assert_eq!(of("", DEPLOYMENT).as_array().map(Vec::len), Some(3));
    assert_eq!(of("", AUTOSCALER).as_array().map(Vec::len), Some(2));
}

#[test]
fn the_update_strategy_is_in_the_words_of_kubernetes() {
    let of = |dns: &str| body(&coredns(dns), DEPLOYMENT)["spec"]["strategy"].clone();
    assert_eq!(
        of(""),
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}})
    );
    assert_eq!(of("dns: {update_strategy: {strategy: Recreate}}"), json!({"type": "Recreate"}));
    assert_eq!(
        of("dns: {update_strategy: {rollingUpdate: {maxUnavailable: 25%}}}"),
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%"}})
    );
}

#[test]
fn impossible_values_are_errors_with_their_places() {
    for (dns, expected) in [
        (
            "upstreamnameservers: [192.0.2.53, ns.example.com]",
            "error: dns.upstreamnameservers[1]: `ns.example.com` is no address of a name server (write an IP \
             address, with a port where it is not 53: `192.0.2.53:5353`)",
        ),
        (
            "stubdomains: {'.': [192.0.2.53]}",
            "error: dns.stubdomains..: `.` is every domain, for which CoreDNS asks `upstreamnameservers` (write \
             its name servers under `dns.upstreamnameservers`)",
        ),
        (
            "stubdomains: {example.com: []}",
            "warning: dns.stubdomains.example.com: `example.com` has no name servers: no effect (list their \
             addresses)",
        ),
        (
            "reversecidrs: ['10.42.0.0/16 10.43.0.0/16']",
            "error: dns.reversecidrs[0]: `10.42.0.0/16 10.43.0.0/16` is no range of addresses and no zone \
             (write a range such as `10.42.0.0/16`)",
        ),
        (
            "linear_autoscaler_params: {nodes_per_replica: -1}",
            "error: dns.linear_autoscaler_params.nodes_per_replica: `nodes_per_replica` is -1, less than nothing \
             (write 1 or more)",
        ),
        (
            "linear_autoscaler_params: {min: 3, max: 2}",
            "error: dns.linear_autoscaler_params.max: `max` is 2 and `min` is 3 (write a `max` that is at least \
             `min`)",
        ),
        (
            "update_strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 0}}",
            "error: dns.update_strategy.rollingUpdate: no pod may be unavailable and none may be added: nothing \
             could be updated (allow one more or one less: `maxSurge: 1` or `maxUnavailable: 1`)",
        ),
    ] {
        assert_eq!(problems(&format!("dns: {{{dns}}}")), [expected], "{dns}");
    }
    let many = vec!["192.0.2.53"; 16].join(", ");
    assert_eq!(
        problems(&format!("dns: {{upstreamnameservers: [{many}]}}")),
        ["error: dns.upstreamnameservers: 16 name servers, and CoreDNS asks 15 at most (leave some out)"]
    );
    assert!(problems("dns: {provider: none, upstreamnameservers: [ns.example.com]}").is_empty());
}
