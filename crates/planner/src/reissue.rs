//! The desired state of a run that only reissues certificates: the cluster as it is.
//!
//! Whatever else waits in cluster.yml (another version, another argument, a node that comes or goes) stays waiting: it is
//! no part of what this run desires.

use std::collections::BTreeMap;

use windlass_model::{
    Blueprint, Component, ContainerSeen, ContainerWish, Content, Inventory, KernelWish, Maker, NodeFacts,
    NodeSeen, NodeWish,
};

/// The cluster as it is, with the files and certificates of cluster.yml.
pub(crate) fn as_it_is(desired: &Blueprint, seen: &Inventory) -> Blueprint {
    let mut cluster = desired.clone();
    let ledger = &seen.ledger;
    cluster.nodes.retain(|name, _| ledger.nodes.contains_key(name));
    for (name, node) in &mut cluster.nodes {
        if let Some(last) = ledger.nodes.get(name) {
            node.roles.clone_from(&last.roles);
        }
        match seen.nodes.get(name).and_then(NodeSeen::facts) {
            Some(facts) => keep_what_is_there(node, facts),
            None => node.containers.clear(),
        }
        node.files.retain(|_, file| matches!(file.content, Content::Cert { .. } | Content::Ledger));
        node.kernel = KernelWish::default().into();
        node.images.clear();
    }
    if let Some(foundation) = &ledger.foundation {
        cluster.foundation = foundation.clone();
    }
    // Nothing is upgraded, so nothing is older than this.
    let api_servers = seen
        .nodes
        .values()
        .filter_map(NodeSeen::facts)
        .filter_map(|facts| facts.containers.get(Component::KubeApiserver.as_str()));
    if let Some(oldest) = api_servers.filter_map(|seen| seen.spec.version.clone()).min() {
        cluster.version = oldest;
    }
    cluster
}

/// The containers that windlass made there, of the very specs that they have.
fn keep_what_is_there(node: &mut NodeWish, facts: &NodeFacts) {
    let wishes = std::mem::take(&mut node.containers);
    let is_ours = |seen: &&ContainerSeen| seen.maker == Maker::Windlass;
    let kept: BTreeMap<Component, ContainerWish> = wishes
        .into_iter()
        .filter_map(|(component, wish)| {
            let seen = facts.containers.get(component.as_str()).filter(is_ours)?;
            Some((component, ContainerWish { spec: seen.spec.clone(), ..wish }))
        })
        .collect();
    node.containers = kept;
}
