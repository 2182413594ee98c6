//! Clusters by sentence, for the tests of this crate.
#![allow(dead_code, reason = "each test file uses some of them")]

use std::collections::BTreeMap;

use windlass_blueprint::{Catalog, Resolution, resolve};
use windlass_model::{Blueprint, Role};
use windlass_spec::{
    ClusterSpec, DnsSpec, IngressSpec, MonitoringSpec, NetworkPlugin, NetworkSpec, NodeSpec,
};

/// A cluster without nodes and without anything that is deployed into it, at this version.
pub(crate) fn cluster(version: &str) -> ClusterSpec {
    let none = || Some("none".to_owned());
    ClusterSpec {
        cluster_name: Some("demo".to_owned()),
        kubernetes_version: Some(version.parse().expect("tests name versions")),
        network: NetworkSpec { plugin: Some(NetworkPlugin::None), ..NetworkSpec::default() },
        dns: DnsSpec { provider: none(), ..DnsSpec::default() },
        ingress: IngressSpec { provider: none(), ..IngressSpec::default() },
        monitoring: MonitoringSpec { provider: none(), ..MonitoringSpec::default() },
        ..ClusterSpec::default()
    }
}

/// Adds a node named `node-<number>` with addresses made of its number.
pub(crate) fn with_node(mut spec: ClusterSpec, number: usize, roles: &[Role]) -> ClusterSpec {
    spec.nodes.push(NodeSpec {
        address: format!("192.0.2.{number}"),
        port: None,
        internal_address: Some(format!("10.0.{}.{}", number / 256, number % 256)),
        role: roles.iter().copied().collect(),
        hostname_override: Some(format!("node-{number}")),
        user: "ubuntu".to_owned(),
        docker_socket: None,
        ssh_agent_auth: None,
        ssh_key: None,
        ssh_key_path: None,
        ssh_cert: None,
        ssh_cert_path: None,
        labels: BTreeMap::new(),
        taints: Vec::new(),
        windlass: windlass_spec::NodeWindlassSpec::default(),
        node_name: None,
    });
    spec
}

/// All roles.
pub(crate) const ALL: [Role; 3] = [Role::Etcd, Role::ControlPlane, Role::Worker];

/// Resolves with the built-in catalog and ordinary machines.
pub(crate) fn resolved(spec: &ClusterSpec) -> Resolution {
    resolve(spec, Catalog::builtin(), &BTreeMap::new())
}

/// The blueprint; a cluster that has none fails the test with its problems.
pub(crate) fn blueprint(spec: &ClusterSpec) -> Blueprint {
    let resolution = resolved(spec);
    resolution.blueprint.unwrap_or_else(|| panic!("{:#?}", resolution.problems))
}

/// Names every image that a cluster can need, so that a version without images of its own resolves.
pub(crate) fn with_images(mut spec: ClusterSpec) -> ClusterSpec {
    let version = spec.kubernetes_version.as_ref().map_or_else(|| "1".to_owned(), ToString::to_string);
    for (key, tag) in
        [("etcd", "v3.5.12"), ("kubernetes", &version), ("nginx_proxy", "1"), ("pod_infra_container", "1")]
    {
        spec.system_images.insert(key.to_owned(), format!("lab/{key}:{tag}"));
    }
    spec
}
