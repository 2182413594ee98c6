//! The contents of flannel's objects: the names of RKE 1, and what each key changes.
#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod world;

use serde_json::{Value, json};
use windlass_model::{AddonKind, DesiredAddon};
use world::{OF_RKE, PUBLISHED, body, of, problems};

const DAEMON_SET: &str = "DaemonSet kube-system/kube-flannel";
const CONFIG: &str = "ConfigMap kube-system/kube-flannel-cfg";

fn flannel(more: &str) -> DesiredAddon {
    let text = format!("network: {{plugin: flannel{more}}}");
    of(&text, "v1.30.5-rancher1-1", OF_RKE, &["10.42.0.0/16"]).remove(&AddonKind::Network).unwrap()
}

fn net_conf(addon: &DesiredAddon) -> Value {
    conf(addon, "net-conf.json")
}

fn conf(addon: &DesiredAddon, key: &str) -> Value {
    serde_json::from_str(body(addon, CONFIG)["data"][key].as_str().unwrap()).unwrap()
}

#[test]
fn its_objects_have_the_names_that_rke_1_gave_them() {
    let addon = flannel("");
    let names: Vec<String> = addon.objects.iter().map(|object| object.object.to_string()).collect();
    assert_eq!(
        names,
        [
            "ServiceAccount kube-system/flannel",
            "ClusterRole flannel",
            "ClusterRoleBinding flannel",
            CONFIG,
            DAEMON_SET
        ]
    );
    assert_eq!(body(&addon, DAEMON_SET)["spec"]["selector"], json!({"matchLabels": {"k8s-app": "flannel"}}));
    assert_eq!((addon.name.as_str(), addon.origin), ("flannel", Some("network.plugin".into())));
}

#[test]
fn another_plugin_and_none_deploy_nothing() {
    for plugin in ["canal", "calico", "none"] {
        let addons = of(&format!("network: {{plugin: {plugin}}}"), "v1.30.5", OF_RKE, &["10.42.0.0/16"]);
        assert!(!addons.contains_key(&AddonKind::Network), "{plugin}");
    }
    assert!(!of("network: {}", "v1.30.5", OF_RKE, &["10.42.0.0/16"]).contains_key(&AddonKind::Network));
}

#[test]
fn it_runs_on_every_node_of_linux_with_no_more_rights_than_it_needs() {
    let addon = flannel("");
    let pod = body(&addon, DAEMON_SET)["spec"]["template"]["spec"].clone();
    assert_eq!(
        pod["tolerations"],
        json!([{"operator": "Exists", "effect": "NoExecute"}, {"operator": "Exists", "effect": "NoSchedule"}])
    );
    assert_eq!(pod["hostNetwork"], json!(true));
    assert_eq!(pod["priorityClassName"], json!("system-node-critical"));
    let flanneld = &pod["containers"][1];
    assert_eq!(
        (flanneld["securityContext"]["privileged"].clone(), flanneld["args"].clone()),
        (json!(false), json!(["--ip-masq", "--kube-subnet-mgr"]))
    );
    assert_eq!(pod["containers"][0]["command"], json!(["/install-cni.sh"]));
}

#[test]
fn the_backend_is_that_of_the_options() {
    assert_eq!(
        net_conf(&flannel("")),
        json!({"Network": "10.42.0.0/16", "EnableNFTables": false,
            "Backend": {"Type": "vxlan", "VNI": 1, "Port": 8472}})
    );
    let backend = |options: &str| net_conf(&flannel(&format!(", options: {{{options}}}")))["Backend"].clone();
    assert_eq!(
        backend("flannel_backend_port: 4789, flannel_backend_vni: 9"),
        json!({"Type": "vxlan", "VNI": 9, "Port": 4789})
    );
    assert_eq!(backend("flannel_backend_type: host-gw"), json!({"Type": "host-gw"}));
    // Zero means unset, as in RKE 1.
    assert_eq!(backend("flannel_backend_port: 0"), json!({"Type": "vxlan", "VNI": 1, "Port": 8472}));
}

#[test]
fn the_largest_packet_is_that_of_pods() {
    let delegate = |more: &str| conf(&flannel(more), "cni-conf.json")["plugins"][0]["delegate"].clone();
    assert_eq!(delegate(", mtu: 1400")["mtu"], json!(1400));
    // Without it flannel takes its own value.
    assert_eq!(delegate("").get("mtu"), None);
}

#[test]
fn two_families_of_addresses_are_two_networks() {
    let of = |ranges: &[&str]| {
        let addons = of("network: {plugin: flannel}", "v1.30.5", OF_RKE, ranges);
        let mut conf = net_conf(&addons[&AddonKind::Network]);
        conf.as_object_mut().unwrap().retain(|key, _| key.contains("IPv") || key == "Network");
        conf
    };
    assert_eq!(
        of(&["10.42.0.0/16", "fd00:42::/56"]),
        json!({"Network": "10.42.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:42::/56"})
    );
    assert_eq!(
        of(&["fd00:42::/56"]),
        json!({"EnableIPv4": false, "EnableIPv6": true, "IPv6Network": "fd00:42::/56"})
    );
}

#[test]
fn the_option_of_the_interface_counts_before_the_section_of_the_provider() {
    let arguments = |more: &str| {
        let daemon_set = body(&flannel(more), DAEMON_SET);
        daemon_set["spec"]["template"]["spec"]["containers"][1]["args"].as_array().unwrap()[2..].to_vec()
    };
    assert_eq!(arguments(", flannel_network_provider: {iface: eth1}"), [json!("--iface=eth1")]);
    let both = ", options: {flannel_iface: eth2}, flannel_network_provider: {iface: eth1}";
    assert_eq!(arguments(both), [json!("--iface=eth2")]);
}

#[test]
fn a_changed_configuration_replaces_the_pods_and_nothing_else_does() {
    let reload = |more: &str| {
        let template = body(&flannel(more), DAEMON_SET)["spec"]["template"].clone();
        template["metadata"]["annotations"]["windlass.io/reload"].clone()
    };
    assert_ne!(reload(", options: {flannel_backend_vni: 9}"), reload(""));
    assert_eq!(reload(", options: {flannel_iface: eth1}"), reload(""));
}

#[test]
fn published_images_are_installed_as_flannel_does() {
    let text = "network: {plugin: flannel}";
    let addons = of(text, "v1.37.2", PUBLISHED, &["10.42.0.0/16"]);
    let pod = body(&addons[&AddonKind::Network], DAEMON_SET)["spec"]["template"]["spec"].clone();
    let commands: Vec<Value> = pod["initContainers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|container| json!([container["image"], container["command"][0]]))
        .collect();
    assert_eq!(
        commands,
        [
            json!(["docker.io/flannel/flannel-cni-plugin:v1.9.1-flannel3", "cp"]),
            json!(["docker.io/flannel/flannel:v0.28.9", "/opt/bin/install-conf"]),
        ]
    );
    assert_eq!(pod["containers"][0]["readinessProbe"]["httpGet"]["path"], json!("/readyz"));
}

#[test]
fn images_that_are_not_known_leave_add_ons_out() {
    let spec = world::spec("network: {plugin: flannel}");
    let (version, images) = ("v1.30.5".parse().unwrap(), [("flannel", "a/flannel:1".to_owned())].into());
    let wanted = windlass_addons::Wanted {
        spec: &spec,
        version: &version,
        pod_ranges: &[],
        cluster_dns: "10.43.0.10",
        cluster_domain: "cluster.local",
        images: &images,
    };
    assert!(windlass_addons::addons(&wanted).is_empty());
}

#[test]
fn impossible_values_are_errors_with_their_places() {
    let of = |more: &str| problems(&format!("network: {{plugin: flannel, {more}}}"));
    assert_eq!(
        of("options: {flannel_backend_type: vxlann}"),
        [
            "error: network.options.flannel_backend_type: flannel has no backend `vxlann` (did you mean `vxlan`?)"
        ]
    );
    assert_eq!(
        of("options: {flannel_backend_port: 84721, flannel_backend_vni: many}"),
        [
            "error: network.options.flannel_backend_port: `84721` is no port (write a number from 1 to 65535)",
            "error: network.options.flannel_backend_vni: `many` is no network identifier of VXLAN (write a \
             number from 1 to 16777215)"
        ]
    );
    assert_eq!(
        of("options: {flannel_backend_type: host-gw, flannel_backend_port: 8472}"),
        [
            "warning: network.options.flannel_backend_port: `flannel_backend_port` has no effect: the backend is \
          host-gw (remove it)"
        ]
    );
    assert_eq!(
        of("options: {flannel_backend_type: wireguard}"),
        ["warning: network.options.flannel_backend_type: flannel's backend `wireguard` is not tried with \
          windlass, and its own settings have no keys here (take vxlan, or host-gw where all nodes are in one \
          network)"]
    );
    assert_eq!(
        of("update_strategy: {rollingUpdate: {maxUnavailable: 0}}"),
        ["error: network.update_strategy.rollingUpdate: no pod may be unavailable and none may be added: \
          nothing could be updated (allow one more or one less: `maxSurge: 1` or `maxUnavailable: 1`)"]
    );
    assert!(problems("network: {plugin: canal, options: {canal_iface: eth0}}").is_empty());
}
