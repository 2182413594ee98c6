//! The desired state of a run that only reissues certificates: the cluster as it is.
//!
//! Whatever else waits in cluster.yml (another version, another argument, a node that comes or goes) keeps
//! waiting: this run does not desire it.

use std::collections::BTreeMap;

use windlass_model::{
    Blueprint, Component, ContainerSeen, ContainerState, Content, DesiredContainer, DesiredKernel,
    DesiredNode, Intent, Inventory, Maker, NodeFacts, NodeSeen, Subject, Waiting,
};

use crate::builder::PlanBuilder;
use crate::context::Context;

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
        node.kernel = DesiredKernel::default().into();
        node.images.clear();
    }
    if let Some(foundation) = &ledger.foundation {
        cluster.foundation = foundation.clone();
    }
    // Nothing is upgraded, so nothing is older than this version.
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

/// The containers that windlass created there, with the specs that they have.
fn keep_what_is_there(node: &mut DesiredNode, facts: &NodeFacts) {
    let desired = std::mem::take(&mut node.containers);
    let is_ours = |seen: &&ContainerSeen| seen.maker == Maker::Windlass;
    let kept: BTreeMap<Component, DesiredContainer> = desired
        .into_iter()
        .filter_map(|(component, desired)| {
            let seen = facts.containers.get(component.as_str()).filter(is_ours)?;
            Some((component, DesiredContainer { spec: seen.spec.clone(), ..desired }))
        })
        .collect();
    node.containers = kept;
}

/// Holds containers that keep using a certificate that is reissued: this run does not replace a container
/// that windlass did not create, and it is unknown which files that has read.
pub(crate) fn hold_old_certificates(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    let (desired, reissue) = match ctx.intent {
        Intent::Reissue { desired, reissue } => (desired, reissue),
        Intent::Converge { .. } | Intent::Restore { .. } | Intent::Dismantle { .. } => return,
    };
    for node in ctx.reachable() {
        let Some(should_be) = desired.nodes.get(node.name) else { continue };
        for (component, container) in &should_be.containers {
            let reads_one = container.spec.reads.keys().any(|path| {
                match should_be.files.get(path).map(|file| &file.content) {
                    Some(Content::Cert { cert, .. }) => {
                        desired.certs.get(cert).is_some_and(|cert| reissue.which.selects(cert))
                    }
                    _ => false,
                }
            });
            let runs_unlabelled = |seen: &ContainerSeen| {
                matches!(seen.maker, Maker::Other | Maker::Rke)
                    && matches!(seen.state, ContainerState::Running | ContainerState::Paused)
            };
            let seen = node.facts.containers.get(component.as_str());
            if reads_one && seen.is_some_and(runs_unlabelled) {
                let about = Subject::Container(node.name.clone(), *component);
                build.hold(about, Waiting::OldCertificateKept, None);
            }
        }
    }
}
