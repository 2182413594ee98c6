//! Whole add-ons as JSON, frozen beside the test; `UPDATE=1` writes them again.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "the frozen texts are files")]

mod world;

use windlass_model::AddonKind;
use world::{OF_RKE, PUBLISHED, of};

fn frozen(
    name: &str,
    kind: AddonKind,
    text: &str,
    version: &str,
    images: [(&'static str, &str); 4],
    ranges: &[&str],
) {
    let addons = of(text, version, images, ranges);
    let bodies: Vec<_> = addons[&kind].objects.iter().map(|object| &object.body).collect();
    let text = serde_json::to_string_pretty(&bodies).unwrap() + "\n";
    let path = format!("{}/tests/frozen/{name}.json", env!("CARGO_MANIFEST_DIR"));
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(&path, &text).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, before, "{path} differs; `UPDATE=1 cargo test` writes it again");
}

const POD_RANGE: &[&str] = &["10.42.0.0/16"];

#[test]
fn flannel_of_rkes_images() {
    let text = "network: {plugin: flannel}";
    frozen("flannel-of-rke", AddonKind::Network, text, "v1.30.5-rancher1-1", OF_RKE, POD_RANGE);
}

#[test]
fn flannel_of_published_images() {
    let text = "network: {plugin: flannel}";
    frozen("flannel-published", AddonKind::Network, text, "v1.37.2", PUBLISHED, POD_RANGE);
}

#[test]
fn flannel_with_all_its_keys() {
    let text = "
network:
  plugin: flannel
  options:
    flannel_backend_type: vxlan
    flannel_backend_port: 8473
    flannel_backend_vni: 7
    flannel_iface: ^en.*
    kube_flannel_priority_class_name: own-critical
  node_selector: {net: here}
  update_strategy: {strategy: RollingUpdate, rollingUpdate: {maxUnavailable: 20%}}
authorization: {mode: none}";
    let ranges = &["10.42.0.0/16", "fd00:42::/56"];
    frozen("flannel-with-all-keys", AddonKind::Network, text, "v1.13.12-rancher1-1", OF_RKE, ranges);
}

#[test]
fn coredns_of_rkes_images() {
    frozen("coredns-of-rke", AddonKind::Dns, "", "v1.30.5-rancher1-1", OF_RKE, POD_RANGE);
}

#[test]
fn coredns_of_published_images() {
    frozen("coredns-published", AddonKind::Dns, "", "v1.37.2", PUBLISHED, POD_RANGE);
}

#[test]
fn coredns_with_all_its_keys() {
    let text = "
dns:
  provider: coredns
  upstreamnameservers: [192.0.2.53, '192.0.2.54:5353']
  reversecidrs: [10.42.0.0/16, 10.43.0.0/16]
  stubdomains: {example.com: [192.0.2.55], corp.example: [192.0.2.56, 192.0.2.57]}
  node_selector: {dns: here}
  update_strategy: {strategy: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  linear_autoscaler_params: {nodes_per_replica: 2, max: 8}
  tolerations: [{key: dedicated, operator: Equal, value: dns, effect: NoSchedule}]
  options: {coredns_priority_class_name: own-critical, coredns_autoscaler_priority_class_name: own-less}
authorization: {mode: none}";
    frozen("coredns-with-all-keys", AddonKind::Dns, text, "v1.13.12-rancher1-1", OF_RKE, POD_RANGE);
}
