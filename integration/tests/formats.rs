//! What earlier versions of windlass wrote is read, and has the same meaning today.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use windlass_blueprint::Catalog;
use windlass_course::{Desired, Goal};
use windlass_engine::{Labelled, decode, read_labels};
use windlass_integration::drive::{Driver, desired};
use windlass_model::{Birth, CertName, Ciphers, Component, ContainerSpec, EtcdPlace, NodeName};
use windlass_simulator::{SimFleet, World};

/// The cluster.yml of the program which wrote version 1 of all formats.
const CLUSTER: &str = include_str!("../../crates/cli/tests/formats/v1/cluster.yml");
/// The state of its simulated machines.
const WORLD: &str = include_str!("../../crates/cli/tests/formats/v1/world.yml");
/// The labels of its containers, by node and name.
const LABELS: &str = include_str!("../../crates/engine/tests/formats/v1/labels.json");
/// The operator's copy of its ledger.
const LEDGER: &[u8] = include_bytes!("../../crates/engine/tests/formats/v1/ledger.json");

/// With the issuer of that time, which a live cluster keeps.
fn sample() -> Desired {
    let text = format!("{CLUSTER}\nwindlass: {{token_issuer: rke, local_ports: open}}\n");
    desired(&text, Catalog::builtin()).expect("it was a cluster.yml, and stays one")
}

#[test]
fn containers_with_labels_of_version_1_are_as_the_same_cluster_yml_asks() {
    let desired = sample();
    let blueprint = desired.ordinary();
    let all: BTreeMap<String, HashMap<String, String>> =
        serde_json::from_str(LABELS).expect("the sample is JSON");
    let mut seen = BTreeSet::new();
    for (place, labels) in all {
        let Labelled::Ours(container) = read_labels(&labels) else { panic!("{place}: {labels:?}") };
        let (node, name) = place.split_once('/').expect("a node and a name");
        let component = Component::named(name).expect("a component");
        let desired = &blueprint.nodes[&NodeName::from(node)].containers[&component];
        assert_eq!(desired.spec.differences_from(&container.spec), [], "{place}");
        // Only the labels of later releases have the keys that encrypt.
        let mut as_labelled = ContainerSpec::clone(&desired.spec);
        as_labelled.ciphers = Ciphers::default();
        // Only those of later releases cannot write what configures them.
        for bind in &mut as_labelled.binds {
            if let Some(writable) = bind.strip_suffix("/etc/kubernetes:ro") {
                *bind = format!("{writable}/etc/kubernetes").into();
            }
        }
        assert_eq!(as_labelled, *container.spec, "{place}");
        assert_eq!(container.loaded.len(), container.spec.reads.len(), "{place}");
        assert_eq!(component == Component::Etcd, !container.birth.is_empty(), "{place}");
        seen.insert(component);
    }
    assert_eq!(seen, Component::ALL.into(), "there is a sample of every component");
}

#[test]
fn a_ledger_of_version_1_is_read() {
    let ledger = decode(LEDGER).expect("it is a ledger");
    assert!(ledger.serial > 0);
    assert_eq!(ledger.born, Birth::Born);
    let names: Vec<&str> = ledger.nodes.keys().map(NodeName::as_str).collect();
    assert_eq!(names, ["node-1", "node-2", "node-3"]);
    let bases: BTreeSet<&str> = ledger.certs.keys().map(CertName::base).collect();
    assert!(bases.is_superset(&["kube-ca", "kube-node", "kube-service-account-token"].into()), "{bases:?}");
    let foundation = ledger.foundation.expect("it was founded");
    assert_eq!(foundation, sample().ordinary().foundation);
    assert!(matches!(foundation.etcd_data, EtcdPlace::OnNodes { .. }));
}

#[test]
fn only_secrets_are_put_right_in_a_world_of_version_1() {
    let driver = Driver::new(SimFleet::new(World::from_yaml(WORLD).expect("it is a world")));
    let (_, planning) = driver.look_and_plan(&sample(), &Goal::Converge).expect("all nodes are reached");
    // No container is replaced. What the cluster keeps of the ledger is no longer in clear, and Secrets that were
    // there before they were encrypted are rewritten.
    let steps: Vec<&str> = planning.plan.steps.iter().map(|step| step.id.as_str()).collect();
    let others = |id: &&&str| !id.contains("/ledger/") && **id != "cluster/secrets/rewrite";
    assert_eq!(steps.iter().find(others), None, "{steps:?}");
    assert!(steps.contains(&"cluster/ledger/keep"), "{steps:?}");
    assert_eq!(planning.findings, []);
    assert_eq!(driver.complaints(), Vec::<String>::new());
}
