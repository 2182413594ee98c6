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
    images: [(&'static str, &str); 6],
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

#[test]
fn metrics_server_of_rkes_images() {
    frozen("metrics-server-of-rke", AddonKind::Metrics, "", "v1.30.5-rancher1-1", OF_RKE, POD_RANGE);
}

#[test]
fn metrics_server_of_published_images() {
    frozen("metrics-server-published", AddonKind::Metrics, "", "v1.37.2", PUBLISHED, POD_RANGE);
}

#[test]
fn metrics_server_with_all_its_keys() {
    let text = "
monitoring:
  provider: metrics-server
  replicas: 2
  options: {v: '2', metric-resolution: 30s}
  node_selector: {metrics: here}
  update_strategy: {strategy: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  tolerations: [{key: dedicated, operator: Equal, value: metrics, effect: NoSchedule}]
  metrics_server_priority_class_name: own-critical
services: {kubelet: {generate_serving_certificate: true}}";
    frozen(
        "metrics-server-with-all-keys",
        AddonKind::Metrics,
        text,
        "v1.22.17-rancher1-2",
        OF_RKE,
        POD_RANGE,
    );
}

#[test]
fn traefik_by_default() {
    frozen("traefik-by-default", AddonKind::Ingress, "", "v1.37.2", PUBLISHED, POD_RANGE);
}

#[test]
fn traefik_with_all_its_keys() {
    let text = "
ingress:
  provider: traefik
  network_mode: hostNetwork
  http_port: 8080
  https_port: 8443
  node_selector: {edge: here}
  default_ingress_class: false
  update_strategy: {strategy: RollingUpdate, rollingUpdate: {maxUnavailable: 2}}
  options: {proxy-body-size: 8m, proxy-buffering: 'on', proxy-read-timeout: '30'}
  extra_args: {default-ssl-certificate: ingress-nginx/own, default-backend-service: web/other, log.level: DEBUG}
  extra_envs: [{name: TZ, value: UTC}]
  extra_volumes: [{name: own, emptyDir: {}}]
  extra_volume_mounts: [{name: own, mountPath: /own}]
  nginx_ingress_controller_priority_class_name: own-critical
authorization: {mode: none}";
    frozen("traefik-with-all-keys", AddonKind::Ingress, text, "v1.30.5-rancher1-1", OF_RKE, POD_RANGE);
}
