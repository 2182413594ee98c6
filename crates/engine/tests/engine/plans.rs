//! Plans by sentence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_model::{
    Action, Because, CertKind, CertName, Ciphers, Component, ContainerSeen, ContainerSpec, ContainerState,
    DesiredCert, Edge, Gate, Guard, Health, Loaded, Maker, NodeName, OnChange, PidMode, Plan, Privilege,
    Reason, Step, StepId,
};

use crate::fake::node;

/// A plan of these steps, named by a word each, with `(before, after)` among them.
pub(crate) fn plan(steps: Vec<(&str, Action)>, edges: &[(&str, &str)]) -> Plan {
    let mut steps: Vec<Step> = steps
        .into_iter()
        .map(|(id, action)| Step {
            id: step_id(id),
            action,
            reasons: vec![Reason::Missing],
            origins: Vec::new(),
        })
        .collect();
    steps.sort_by(|a, b| a.id.cmp(&b.id));
    let index = |id: &str| steps.iter().position(|step| step.id == step_id(id)).unwrap();
    let edges = edges
        .iter()
        .map(|(before, after)| Edge { before: index(before), after: index(after), because: Because::Needs })
        .collect();
    Plan { steps, edges }
}

/// One step.
pub(crate) fn alone(id: &str, action: Action) -> Plan {
    plan(vec![(id, action)], &[])
}

fn step_id(word: &str) -> StepId {
    StepId::new("test", word, "step")
}

/// Pulls an image of this name on a node.
pub(crate) fn pull(number: u8, image: &str) -> Action {
    Action::PullImage { node: node(number), image: image.into() }
}

/// Waits for etcd's container on a node.
pub(crate) fn wait(number: u8, within_seconds: u32) -> Action {
    let gate = Gate::Container { node: node(number), component: Component::Etcd };
    Action::AwaitHealthy { gate, within_seconds }
}

/// An etcd of this version that reads `/etc/ca.pem`.
pub(crate) fn spec(version: &str) -> Arc<ContainerSpec> {
    Arc::new(ContainerSpec {
        image: format!("etcd:{version}").as_str().into(),
        command: vec!["etcd".into()],
        env: BTreeMap::new(),
        binds: Vec::new(),
        pid: PidMode::Own,
        privilege: Privilege::Confined,
        user: None,
        reads: BTreeMap::from([("/etc/ca.pem".into(), OnChange::Replace)]),
        ciphers: Ciphers::default(),
        version: None,
    })
}

/// A healthy container of this version.
pub(crate) fn running(version: &str) -> ContainerSeen {
    ContainerSeen {
        spec: spec(version),
        birth: Vec::new(),
        maker: Maker::Windlass,
        lineage: None,
        state: ContainerState::Running,
        health: Health::Healthy,
        loaded: Loaded::new(),
        ending: None,
    }
}

/// Replaces etcd on a node by this version.
pub(crate) fn replace(number: u8, version: &str, guards: Vec<Guard>) -> Action {
    Action::ReplaceContainer {
        node: node(number),
        component: Component::Etcd,
        spec: spec(version),
        birth: vec!["--initial-cluster-state=existing".into()],
        guards,
        forgets: BTreeSet::new(),
    }
}

/// Runs etcd on a node in this version.
pub(crate) fn run(number: u8, version: &str) -> Action {
    Action::RunContainer {
        node: node(number),
        component: Component::Etcd,
        spec: spec(version),
        birth: vec!["--initial-cluster-state=existing".into()],
        forgets: BTreeSet::new(),
    }
}

/// etcd keeps its majority without `node-<number>`, of three.
pub(crate) fn majority_without(number: u8) -> Guard {
    Guard::EtcdMajorityWithout { node: node(number), via: (1..=3).map(node).collect() }
}

/// These nodes by number.
pub(crate) fn nodes(numbers: impl IntoIterator<Item = u8>) -> BTreeSet<NodeName> {
    numbers.into_iter().map(node).collect()
}

/// Desired certificates by name and issuer.
pub(crate) fn desired(of: &[(&str, Option<&str>)]) -> BTreeMap<CertName, DesiredCert> {
    of.iter()
        .map(|(name, issuer)| {
            let desired = DesiredCert {
                kind: if issuer.is_some() { CertKind::Leaf } else { CertKind::Authority },
                common_name: (*name).to_owned(),
                organizations: Vec::new(),
                issuer: issuer.map(CertName::from),
                usages: BTreeSet::new(),
                sans: BTreeSet::new(),
                valid_days: 365,
                service: None,
            };
            (CertName::from(*name), desired)
        })
        .collect()
}
