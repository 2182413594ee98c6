//! Add-ons of a cluster.yml and a version, for the tests of this crate.
#![allow(dead_code, reason = "each test file uses some of them")]

use std::collections::BTreeMap;

use serde_json::Value;
use windlass_addons::{Problem, Problems, Wanted, addons, check};
use windlass_model::{AddonKind, DesiredAddon};
use windlass_spec::{Cidr, ClusterSpec, read};

/// Images as RKE 1 had them in its last version of 1.30.
pub(crate) const OF_RKE: [(&str, &str); 6] = [
    ("coredns", "rancher/mirrored-coredns-coredns:1.11.1"),
    ("coredns_autoscaler", "rancher/mirrored-cluster-proportional-autoscaler:v1.8.9"),
    ("flannel", "rancher/mirrored-flannel-flannel:v0.25.1"),
    ("flannel_cni", "rancher/flannel-cni:v1.4.1-rancher1"),
    ("ingress_traefik", "docker.io/library/traefik:v3.7.13"),
    ("metrics_server", "rancher/mirrored-metrics-server:v0.7.1"),
];

/// Images as they are published.
pub(crate) const PUBLISHED: [(&str, &str); 6] = [
    ("coredns", "registry.k8s.io/coredns/coredns:v1.14.2"),
    ("coredns_autoscaler", "registry.k8s.io/cpa/cluster-proportional-autoscaler:v1.9.0"),
    ("flannel", "docker.io/flannel/flannel:v0.28.9"),
    ("flannel_cni", "docker.io/flannel/flannel-cni-plugin:v1.9.1-flannel3"),
    ("ingress_traefik", "docker.io/library/traefik:v3.7.13"),
    ("metrics_server", "registry.k8s.io/metrics-server/metrics-server:v0.8.0"),
];

/// Reads sections of a cluster.yml with one node; its network is flannel where they name none.
pub(crate) fn spec(text: &str) -> ClusterSpec {
    let network = if text.contains("network:") { "" } else { "network: {plugin: flannel}\n" };
    let text = format!(
        "nodes: [{{address: 192.0.2.1, user: ops, role: [etcd, controlplane, worker]}}]\n{network}{text}\n"
    );
    let reading = read(text.as_bytes());
    reading.spec.unwrap_or_else(|| panic!("{text}\n{:#?}", reading.diagnostics))
}

/// The add-ons of such a cluster.
pub(crate) fn of(
    text: &str,
    version: &str,
    images: [(&'static str, &str); 6],
    pod_ranges: &[&str],
) -> BTreeMap<AddonKind, DesiredAddon> {
    let spec = spec(text);
    let pod_ranges: Vec<Cidr> = pod_ranges.iter().map(|range| range.parse().unwrap()).collect();
    let version = version.parse().unwrap();
    let images = images.into_iter().map(|(key, image)| (key, image.to_owned())).collect();
    addons(&Wanted {
        spec: &spec,
        version: &version,
        pod_ranges: &pod_ranges,
        cluster_dns: "10.43.0.10",
        cluster_domain: "cluster.local",
        images: &images,
    })
}

/// The body of an object of an add-on.
pub(crate) fn body(addon: &DesiredAddon, object: &str) -> Value {
    let found = addon.objects.iter().find(|found| found.object.to_string() == object);
    let names = || addon.objects.iter().map(|object| object.object.to_string()).collect::<Vec<_>>();
    found.map_or_else(|| panic!("no {object} among {:?}", names()), |found| (*found.body).clone())
}

/// What is reported of sections of a cluster.yml.
pub(crate) fn problems(text: &str) -> Vec<String> {
    problems_at(text, "v1.30.5")
}

/// The same with a version of Kubernetes.
pub(crate) fn problems_at(text: &str, version: &str) -> Vec<String> {
    let mut problems = Problems::default();
    check(&spec(text), &version.parse().unwrap(), &mut problems);
    let line = |Problem { severity, path, summary, help }: Problem| {
        format!("{severity}: {path}: {summary} ({})", help.unwrap_or_default())
    };
    problems.0.into_iter().map(line).collect()
}
