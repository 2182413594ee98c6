//! Which flags, variables and mounts which versions get: every cut-off by name, and the rest frozen.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "the frozen text is a file")]

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use windlass_model::{Component, ContainerSpec, Role};
use windlass_spec::ClusterSpec;
use world::{ALL, blueprint, cluster, with_images, with_node};

/// All minor versions of Kubernetes 1 whose flags are known.
const MINORS: RangeInclusive<u32> = 20..=32;

/// One node with all roles and a worker, at this minor version.
fn at(minor: u32) -> ClusterSpec {
    let spec = with_images(cluster(&format!("v1.{minor}.0")));
    with_node(with_node(spec, 1, &ALL), 2, &[Role::Worker])
}

fn container(spec: &ClusterSpec, component: Component) -> ContainerSpec {
    let blueprint = blueprint(spec);
    let desired = blueprint.nodes.values().find_map(|node| node.containers.get(&component)).unwrap();
    (*desired.spec).clone()
}

/// Arguments, variables and mounts as texts: what a version can have or lack.
fn parts(spec: &ClusterSpec, component: Component) -> Vec<String> {
    let container = container(spec, component);
    let arguments = container.command.iter().map(ToString::to_string);
    let env = container.env.iter().map(|(name, value)| format!("env {name}={value}"));
    let binds = container.binds.iter().map(|bind| format!("bind {bind}"));
    arguments.chain(env).chain(binds).collect()
}

/// For each part of a component the minor versions that have it, in the order of the parts.
fn presence(component: Component, change: impl Fn(&mut ClusterSpec, u32)) -> Vec<(String, BTreeSet<u32>)> {
    let mut order: Vec<String> = Vec::new();
    let mut minors: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for minor in MINORS {
        let mut spec = at(minor);
        change(&mut spec, minor);
        for part in parts(&spec, component) {
            if !minors.contains_key(&part) {
                order.push(part.clone());
            }
            minors.entry(part).or_default().insert(minor);
        }
    }
    order.into_iter().map(|part| (part.clone(), minors[&part].clone())).collect()
}

/// Each part that some minor version lacks, as `component part: v1.20-v1.23`.
fn cut_offs(change: impl Fn(&mut ClusterSpec, u32) + Copy) -> Vec<String> {
    Component::ALL
        .into_iter()
        .flat_map(|component| {
            presence(component, change)
                .into_iter()
                .filter(|(_, minors)| minors.len() < MINORS.count())
                .map(move |(part, minors)| format!("{component} {part}: {}", spans(&minors)))
        })
        .collect()
}

/// Versions without gaps as `first-last`.
fn spans(minors: &BTreeSet<u32>) -> String {
    let mut spans: Vec<(u32, u32)> = Vec::new();
    for &minor in minors {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == minor => *last = minor,
            _ => spans.push((minor, minor)),
        }
    }
    spans.iter().map(|(first, last)| format!("v1.{first}-v1.{last}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_cut_off_is_where_kubernetes_and_rke_have_it() {
    assert_eq!(
        cut_offs(|_, _| ()),
        [
            "etcd --enable-v2=true: v1.20-v1.21",
            "kube-apiserver --insecure-port=0: v1.20-v1.23",
            "kube-controller-manager --address=0.0.0.0: v1.20-v1.23",
            "kube-controller-manager --pod-eviction-timeout=5m0s: v1.20-v1.26",
            "kube-controller-manager --port=0: v1.20-v1.22",
            "kube-controller-manager --authentication-kubeconfig=/etc/kubernetes/ssl/kubecfg-kube-controller-manager.yaml: v1.22-v1.32",
            "kube-controller-manager --authorization-kubeconfig=/etc/kubernetes/ssl/kubecfg-kube-controller-manager.yaml: v1.22-v1.32",
            "kube-scheduler --address=0.0.0.0: v1.20-v1.23",
            "kube-scheduler --port=0: v1.20-v1.22",
            "kube-scheduler --authentication-kubeconfig=/etc/kubernetes/ssl/kubecfg-kube-scheduler.yaml: v1.22-v1.32",
            "kube-scheduler --authorization-kubeconfig=/etc/kubernetes/ssl/kubecfg-kube-scheduler.yaml: v1.22-v1.32",
            "kubelet --cni-bin-dir=/opt/cni/bin: v1.20-v1.23",
            "kubelet --cni-conf-dir=/etc/cni/net.d: v1.20-v1.23",
            "kubelet --network-plugin=cni: v1.20-v1.23",
            "kubelet --container-runtime=remote: v1.24-v1.26",
            "kubelet --container-runtime-endpoint=unix:///var/run/cri-dockerd.sock: v1.24-v1.32",
            "kubelet bind /var/lib/cri-dockerd:/var/lib/cri-dockerd: v1.24-v1.32",
        ]
    );
}

#[test]
fn cri_dockerd_before_1_24_is_reached_at_the_place_of_dockershim() {
    let seen = cut_offs(|spec, minor| spec.enable_cri_dockerd = (minor >= 21).then_some(true));
    let about_runtime: Vec<&String> = seen.iter().filter(|line| line.contains("runtime")).collect();
    assert_eq!(
        about_runtime,
        [
            "kubelet --container-runtime=remote: v1.21-v1.26",
            "kubelet --container-runtime-endpoint=/var/run/dockershim.sock: v1.21-v1.23",
            "kubelet --container-runtime-endpoint=unix:///var/run/cri-dockerd.sock: v1.24-v1.32",
        ]
    );
}

#[test]
fn flags_of_etcd_follow_the_version_in_its_tag() {
    let flags = |tag: &str| {
        let mut spec = at(20);
        spec.system_images.insert("etcd".to_owned(), format!("lab/etcd:{tag}"));
        let etcd = container(&spec, Component::Etcd);
        (etcd.flag("advertise-client-urls").unwrap().to_owned(), etcd.flag("cipher-suites").is_some())
    };
    let (both, one) = ("https://10.0.0.1:2379,https://10.0.0.1:4001", "https://10.0.0.1:2379");
    for (tag, urls, ciphers) in [
        ("v3.4.3-rancher1", both, false),
        ("v3.4.3-rancher99", one, false),
        ("v3.4.3", one, false),
        ("v3.4.14-rancher1", one, false),
        ("v3.4.15-rancher1", one, true),
        ("v3.4.23", one, true),
        ("v3.5.12", one, true),
        ("latest", one, true),
    ] {
        assert_eq!(flags(tag), (urls.to_owned(), ciphers), "{tag}");
    }
}

#[test]
fn two_releases_alone_check_etcd_for_corruption_at_its_start() {
    let checks = |version: &str| {
        let spec = with_node(with_images(cluster(version)), 1, &ALL);
        container(&spec, Component::Etcd).flag("experimental-initial-corrupt-check").is_some()
    };
    for (version, expected) in [
        ("v1.22.7-rancher1-1", false),
        ("v1.22.7-rancher1-2", true),
        ("v1.23.4-rancher1-2", true),
        ("v1.23.5-rancher1-1", false),
    ] {
        assert_eq!(checks(version), expected, "{version}");
    }
}

#[test]
fn all_flags_of_all_versions_are_frozen() {
    let mut text = String::new();
    for component in Component::ALL {
        writeln!(text, "{component}").unwrap();
        for (part, minors) in presence(component, |_, _| ()) {
            writeln!(text, "  {} {part}", spans(&minors)).unwrap();
        }
    }
    let path = format!("{}/tests/frozen/flags.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(&path, &text).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, before, "{path} differs; `UPDATE=1 cargo test` writes it anew");
}
