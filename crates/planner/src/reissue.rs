//! The desired state of a run that only reissues certificates: the cluster as it is.
//!
//! Whatever else waits in cluster.yml (another version, another argument, a node that comes or goes) keeps
//! waiting: this run does not desire it.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_model::{
    Blueprint, CertPart, Component, Conduct, ContainerSeen, ContainerState, Content, DesiredContainer,
    DesiredKernel, DesiredNode, Intent, Inventory, KubernetesVersion, Limit, Maker, NodeFacts, NodeSeen,
    RestartObstacle, Role, Settings, Subject, Waiting,
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
            Some(facts) => keep_what_is_there(node, facts, &desired.version),
            None => node.containers.clear(),
        }
        node.files.retain(|_, file| is_of_certificates(&file.content));
        node.kernel = DesiredKernel::default().into();
        node.images.clear();
    }
    // Where roles change in cluster.yml, a share of nodes is the smaller one of those before and after.
    let smaller = |limit: Limit, role: Role| {
        let allowed = |of: &Blueprint| limit.of(of.with_role(role).count());
        Limit::Count(u32::try_from(allowed(desired).min(allowed(&cluster))).unwrap_or(u32::MAX))
    };
    let rollout = &desired.rollout;
    let limits = (
        smaller(rollout.max_unavailable_worker, Role::Worker),
        smaller(rollout.max_unavailable_controlplane, Role::ControlPlane),
    );
    (cluster.rollout.max_unavailable_worker, cluster.rollout.max_unavailable_controlplane) = limits;
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

/// Whether a file changes with certificates alone. By which keys Secrets are stored is not changed by this run.
fn is_of_certificates(content: &Content) -> bool {
    match content {
        Content::Cert { part, .. } => matches!(part, CertPart::Certificate | CertPart::Key),
        Content::Ledger => true,
        Content::Text(_) | Content::Secret(_) => false,
    }
}

/// The containers that windlass created there and that would start again, with the specs that they have.
fn keep_what_is_there(node: &mut DesiredNode, facts: &NodeFacts, version: &KubernetesVersion) {
    let desired = std::mem::take(&mut node.containers);
    let kept: BTreeMap<Component, DesiredContainer> = desired
        .into_iter()
        .filter_map(|(component, desired)| {
            let seen =
                facts.containers.get(component.as_str()).filter(|seen| seen.maker == Maker::Windlass)?;
            if obstacle(node, facts, (component, &desired), seen).is_some() {
                return None;
            }
            let conduct = Conduct::of(component, &seen.spec, version).into();
            Some((component, DesiredContainer { spec: seen.spec.clone(), conduct, ..desired }))
        })
        .collect();
    node.containers = kept;
}

/// Why a container that runs would not start again: this run writes no file but certificates, and sets no kernel.
fn obstacle(
    node: &DesiredNode,
    facts: &NodeFacts,
    (component, desired): (Component, &DesiredContainer),
    seen: &ContainerSeen,
) -> Option<RestartObstacle> {
    let is_made = |path| {
        let file = node.files.get(path);
        file.is_some_and(|file| is_of_certificates(&file.content))
    };
    let missing = seen.spec.reads.keys().find(|path| !facts.files.contains_key(*path) && !is_made(*path));
    if let Some(path) = missing {
        return Some(RestartObstacle::FileMissing { path: path.clone() });
    }
    if component != Component::Kubelet {
        return None;
    }
    // Source: `validateCgroupDriver` of dockershim, and `--cgroup-driver` of kubelet.
    if desired.spec.flag("cgroup-driver") != seen.spec.flag("cgroup-driver") {
        return Some(RestartObstacle::CgroupDriver);
    }
    let checks = Settings::of(component, &seen.spec).checks_kernel();
    let report = facts.report.as_ref().filter(|_| checks)?;
    let differs =
        |(name, value): &(&Arc<str>, &Arc<str>)| report.sysctls.get(*name).is_some_and(|now| now != *value);
    let (name, _) = node.kernel.sysctls.iter().find(differs)?;
    Some(RestartObstacle::KernelSetting { name: name.clone() })
}

/// Holds containers that keep using a certificate that is reissued: this run does not replace a container
/// that windlass did not create, as it is unknown which files that has read, nor one that would not start again.
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
            let is_up = |seen: &&ContainerSeen| {
                matches!(seen.state, ContainerState::Running | ContainerState::Paused)
            };
            let Some(seen) = node.facts.containers.get(component.as_str()).filter(is_up) else { continue };
            let obstacle = match seen.maker {
                Maker::Other | Maker::Rke => Some(RestartObstacle::MadeByOther),
                // Its label is of a newer windlass: a refusal says so.
                Maker::Unreadable => None,
                Maker::Windlass => obstacle(should_be, node.facts, (*component, container), seen),
            };
            if let Some(obstacle) = obstacle.filter(|_| reads_one) {
                let about = Subject::Container(node.name.clone(), *component);
                build.hold(about, Waiting::OldCertificateKept { obstacle }, None);
            }
        }
    }
}
