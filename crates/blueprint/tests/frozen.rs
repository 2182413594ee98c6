//! Whole blueprints as text, frozen beside the test; `UPDATE=1` writes them anew.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "the frozen texts are files")]

mod world;

use windlass_blueprint::render;
use windlass_model::Role;
use windlass_spec::ClusterSpec;
use world::{ALL, blueprint, cluster, with_node};

fn frozen(name: &str, spec: &ClusterSpec) {
    frozen_text(name, &render(&blueprint(spec)));
}

fn frozen_text(name: &str, text: &str) {
    let path = format!("{}/tests/frozen/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(&path, text).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, before, "{path} differs; `UPDATE=1 cargo test` writes it anew");
}

fn all_in_one(version: &str) -> ClusterSpec {
    with_node(cluster(version), 1, &ALL)
}

fn three_of_all(version: &str) -> ClusterSpec {
    (1..=3).fold(cluster(version), |spec, number| with_node(spec, number, &ALL))
}

fn three_and_two_workers(version: &str) -> ClusterSpec {
    let masters = (1..=3)
        .fold(cluster(version), |spec, number| with_node(spec, number, &[Role::Etcd, Role::ControlPlane]));
    (4..=5).fold(masters, |spec, number| with_node(spec, number, &[Role::Worker]))
}

fn one_of_each(version: &str) -> ClusterSpec {
    let roles = [Role::Etcd, Role::ControlPlane, Role::Worker];
    roles.iter().zip(1..).fold(cluster(version), |spec, (role, number)| with_node(spec, number, &[*role]))
}

#[test]
fn one_node_with_all_roles() {
    frozen("all-in-one-1.20", &all_in_one("v1.20.2"));
    frozen("all-in-one-1.30", &all_in_one("v1.30.5-rancher1-1"));
}

#[test]
fn three_nodes_with_all_roles() {
    frozen("three-of-all-1.20", &three_of_all("v1.20.2"));
}

#[test]
fn three_for_control_and_two_workers() {
    frozen("three-and-two-1.20", &three_and_two_workers("v1.20.2"));
    frozen("three-and-two-1.30", &three_and_two_workers("v1.30.5-rancher1-1"));
}

#[test]
fn a_node_for_each_role() {
    frozen("one-of-each-1.30", &one_of_each("v1.30.5-rancher1-1"));
}
