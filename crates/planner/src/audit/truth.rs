//! Whether the plan is truthful: steps only where something is to be done, and a step or a finding for
//! everything that is to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_model::{
    Action, CertName, Component, ContainerState, Content, DesiredKernel, FilePath, Intent, Maker, NodeFacts,
    NodeName, NodeSeen, Owned, Readiness, Settings, Subject, Weight, kubelet_state_files,
};

use super::audited::{Audited, Ordered};
use super::fault::Fault;

impl Audited<'_> {
    pub(super) fn facts(&self, node: &NodeName) -> Option<&NodeFacts> {
        self.seen.nodes.get(node).and_then(NodeSeen::facts)
    }

    /// All steps with their indexes.
    pub(super) fn actions(&self) -> impl Iterator<Item = (usize, &str, &Action)> {
        self.planning
            .plan
            .steps
            .iter()
            .enumerate()
            .map(|(index, step)| (index, step.id.as_str(), &step.action))
    }

    /// Whether a finding says that nothing is planned on this node.
    fn is_held_as_a_whole(&self, node: &NodeName) -> bool {
        self.planning.findings.iter().any(|finding| finding.holds_all_of() == Some(node))
    }

    /// Whether a finding says that something of the whole cluster waits.
    fn is_cluster_held(&self) -> bool {
        let mut findings = self.planning.findings.iter();
        findings.any(|finding| finding.weight == Weight::Held && holds_nodes(&finding.about))
    }

    /// Whether a finding says that something on this node, or of the whole cluster, waits.
    pub(super) fn is_held(&self, node: &NodeName) -> bool {
        self.planning.findings.iter().any(|finding| {
            let is_about_it = finding.node().map_or(holds_nodes(&finding.about), |of| of == node);
            finding.weight != Weight::Notice && is_about_it
        })
    }
}

/// Whether something of this subject that waits may be why something on a node waits, though it is not about
/// a node.
fn holds_nodes(about: &Subject) -> bool {
    match about {
        Subject::Cluster
        | Subject::Ledger
        | Subject::Secrets
        | Subject::Etcd
        | Subject::Restored
        | Subject::Member(_)
        | Subject::NodeObjects => true,
        // A later link concerns other versions, and objects in the cluster concern no container.
        Subject::Link(_)
        | Subject::Addons
        | Subject::Addon(_)
        | Subject::Certificate(_)
        | Subject::Snapshots
        | Subject::Node(_)
        | Subject::Container(..)
        | Subject::ControlPlane(_)
        | Subject::EtcdData(_) => false,
    }
}

/// Nothing is planned on a node that is unreachable, that a finding holds, or that is not part of this
/// cluster.
pub(super) fn check_places(audited: &Audited<'_>, intent: &Intent, faults: &mut Vec<Fault>) {
    for (_, id, action) in audited.actions() {
        let Some(node) = action.node() else { continue };
        let through_api_only = matches!(action, Action::DeleteNodeObject { .. });
        if audited.facts(node).is_none() && !through_api_only {
            faults.push(Fault(format!("{id}: nobody sees {node}")));
        }
        if audited.is_held_as_a_whole(node) && !through_api_only {
            faults.push(Fault(format!("{id}: a finding holds all of {node}")));
        }
        let is_returned =
            through_api_only
                && audited.seen.kube.node(node).is_some_and(|object| {
                    object.owned != Owned::default() && object.ready != Readiness::Ready
                });
        let ours = is_returned
            || audited.desired.nodes.contains_key(node)
            || audited.seen.ledger.nodes.contains_key(node);
        let must_be_ours = match intent {
            Intent::Converge { .. } | Intent::Restore { .. } | Intent::Reissue { .. } => true,
            // Every reachable node is cleared: the ledger may be lost.
            Intent::Dismantle { .. } => false,
        };
        if !ours && must_be_ours {
            faults.push(Fault(format!("{id}: {node} is neither in cluster.yml nor in the ledger")));
        }
    }
}

/// Containers are created as desired, from an image that is on the node, and only where they are not as
/// desired already.
pub(super) fn check_containers(audited: &Ordered<'_>, faults: &mut Vec<Fault>) {
    for (index, id, action) in audited.actions() {
        let (node, component, spec) = match action {
            Action::RunContainer { node, component, spec, .. }
            | Action::ReplaceContainer { node, component, spec, .. } => (node, *component, spec),
            _ => continue,
        };
        let desired = audited.desired.nodes.get(node).and_then(|desired| desired.containers.get(&component));
        if desired.is_none_or(|desired| desired.spec != *spec) {
            faults.push(Fault(format!("{id}: nothing desires this container")));
        }
        let Some(facts) = audited.facts(node) else { continue };
        let pulled = audited.actions().any(|(earlier, _, other)| {
            matches!(other, Action::PullImage { node: of, image } if of == node && *image == spec.image)
                && audited.order.comes_before(earlier, index)
        });
        if !facts.images.contains(&spec.image) && !pulled {
            faults.push(Fault(format!("{id}: the image is not there, and nothing pulls it before")));
        }
        let seen = facts.containers.get(component.as_str());
        if let (Action::ReplaceContainer { forgets, .. }, Component::Kubelet, Some(seen)) =
            (action, component, seen)
            && Settings::of(component, &seen.spec).shares() != Settings::of(component, spec).shares()
            && *forgets != kubelet_state_files(spec)
        {
            faults
                .push(Fault(format!("{id}: the new kubelet refuses the state of the old one, which stays")));
        }
        if let (Action::ReplaceContainer { .. }, Some(seen)) = (action, seen) {
            let rewritten = spec.reads.keys().any(|path| {
                written_by(audited, node, path).is_some()
                    || facts.files.get(path).map(|file| file.digest) != seen.loaded.get(path).copied()
            });
            if spec.differences_from(&seen.spec).is_empty() && !rewritten {
                faults.push(Fault(format!("{id}: the container is as desired")));
            }
        }
    }
}

fn written_by(audited: &Audited<'_>, node: &NodeName, path: &FilePath) -> Option<usize> {
    audited.actions().find_map(|(index, _, action)| match action {
        Action::WriteFiles { node: of, files } if of == node && files.contains_key(path) => Some(index),
        _ => None,
    })
}

/// Whether a container reads its files again after all of these steps.
fn is_read_again(audited: &Ordered<'_>, container: (&NodeName, Component), after: [usize; 2]) -> bool {
    audited.actions().any(|(index, _, action)| {
        matches!(action, Action::ReloadContainer { node, component } if (node, *component) == container)
            && after.iter().all(|&step| audited.order.comes_before(step, index))
    })
}

/// What is written is known by then, stored by then, and written before it is read.
pub(super) fn check_contents(audited: &Ordered<'_>, faults: &mut Vec<Fault>) {
    let mut minted: BTreeMap<&CertName, usize> = BTreeMap::new();
    let mut commits = Vec::new();
    let mut holders: BTreeMap<&NodeName, Vec<usize>> = BTreeMap::new();
    for (index, _, action) in audited.actions() {
        match action {
            Action::MintCerts { certs } => minted.extend(certs.keys().map(|cert| (cert, index))),
            Action::CommitLedger { .. } => commits.push(index),
            Action::WriteFiles { node, files }
                if files.values().any(|desired| desired.content == Content::Ledger) =>
            {
                holders.entry(node).or_default().push(index);
            }
            _ => {}
        }
    }
    let new_roots = minted
        .keys()
        .any(|cert| audited.desired.certs.get(*cert).is_some_and(|desired| desired.issuer.is_none()));
    for (index, id, action) in audited.actions() {
        match action {
            Action::WriteFiles { files, .. } => {
                for (path, desired) in files {
                    let Content::Cert { cert, .. } = &desired.content else { continue };
                    match minted.get(cert) {
                        Some(&mint) => {
                            let durable = commits.iter().any(|&commit| {
                                audited.order.comes_before(mint, commit)
                                    && audited.order.comes_before(commit, index)
                            });
                            if !durable {
                                faults
                                    .push(Fault(format!("{id}: {path} is written before {cert} is durable")));
                            }
                            let all_hold_keys = !new_roots
                                || holders.values().all(|copies| {
                                    copies.iter().any(|&copy| audited.order.comes_before(copy, index))
                                });
                            if !all_hold_keys {
                                faults.push(Fault(format!(
                                    "{id}: {path} is written before every control plane holds the keys"
                                )));
                            }
                        }
                        None if !audited.seen.ledger.certs.contains_key(cert) => {
                            faults.push(Fault(format!("{id}: {cert} is nowhere and nothing makes it")));
                        }
                        None => {}
                    }
                }
            }
            Action::RunContainer { node, component, spec, .. }
            | Action::ReplaceContainer { node, component, spec, .. } => {
                for path in spec.reads.keys() {
                    let there = audited.facts(node).is_some_and(|facts| facts.files.contains_key(path));
                    match written_by(audited, node, path) {
                        Some(write)
                            if !audited.order.comes_before(write, index)
                                && !is_read_again(audited, (node, *component), [index, write]) =>
                        {
                            faults.push(Fault(format!("{id}: {path} may be written after it is read")));
                        }
                        None if !there => {
                            faults.push(Fault(format!("{id}: {path} is not there and nothing writes it")));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// Kernels are set as desired wherever they differ, and before the kubelets that only check them.
pub(super) fn check_kernels(audited: &Ordered<'_>, faults: &mut Vec<Fault>) {
    if audited.planning.is_refused() {
        return;
    }
    let mut set: BTreeMap<&NodeName, (usize, &DesiredKernel)> = BTreeMap::new();
    for (index, id, action) in audited.actions() {
        let Action::SetKernel { node, kernel } = action else { continue };
        let desired = audited.desired.nodes.get(node).is_some_and(|desired| {
            kernel.modules.is_subset(&desired.kernel.modules)
                && kernel.sysctls.iter().all(|(name, value)| desired.kernel.sysctls.get(name) == Some(value))
        });
        if !desired {
            faults.push(Fault(format!("{id}: nothing desires this of the kernel")));
        }
        set.insert(node, (index, kernel));
    }
    for (name, desired) in &audited.desired.nodes {
        let report = audited.facts(name).and_then(|facts| facts.report.as_ref());
        let is_held = audited.is_held_as_a_whole(name) || audited.is_cluster_held();
        let Some(report) = report.filter(|_| !is_held) else { continue };
        let differs = |(setting, value): &(&Arc<str>, &Arc<str>)| {
            report.sysctls.get(*setting).is_some_and(|seen| seen != *value)
        };
        let differing: Vec<&Arc<str>> =
            desired.kernel.sysctls.iter().filter(differs).map(|(setting, _)| setting).collect();
        let step = set.get(name);
        for setting in &differing {
            if step.is_none_or(|(_, kernel)| !kernel.sysctls.contains_key(*setting)) {
                faults.push(Fault(format!("{name}: {setting} is not as desired, and no step sets it")));
            }
        }
        let only_checks = desired
            .containers
            .get(&Component::Kubelet)
            .is_some_and(|kubelet| kubelet.conduct.settings.checks_kernel());
        let Some((index, _)) = step.filter(|_| only_checks && !differing.is_empty()) else { continue };
        for (later, id, action) in audited.actions() {
            let starts_kubelet = matches!(
                action,
                Action::RunContainer { node, component: Component::Kubelet, .. }
                | Action::ReplaceContainer { node, component: Component::Kubelet, .. } if node == name
            );
            if starts_kubelet && !audited.order.comes_before(*index, later) {
                faults.push(Fault(format!("{id}: kubelet may start before the kernel is as it wants")));
            }
        }
    }
}

/// Everything that is not as desired on a reachable node has a step, or a finding that says why not.
pub(super) fn check_nothing_forgotten(audited: &Audited<'_>, faults: &mut Vec<Fault>) {
    if audited.planning.is_refused() {
        return;
    }
    let mut subjects: BTreeSet<(&NodeName, &str)> = BTreeSet::new();
    for (_, id, action) in audited.actions() {
        if let (Some(node), Some(subject)) = (action.node(), id.split('/').nth(1)) {
            subjects.insert((node, subject));
        }
    }
    for (name, desired) in &audited.desired.nodes {
        let Some(facts) = audited.facts(name) else {
            if !audited.is_held(name) {
                faults.push(Fault(format!("{name} is unreachable, and no finding says so")));
            }
            continue;
        };
        for (component, container) in &desired.containers {
            let as_desired = facts.containers.get(component.as_str()).is_some_and(|seen| {
                seen.state == ContainerState::Running
                    && container.spec.differences_from(&seen.spec).is_empty()
            });
            if !as_desired && !subjects.contains(&(name, component.as_str())) && !audited.is_held(name) {
                faults.push(Fault(format!(
                    "{name}/{component} is not as desired, and no step nor finding says so"
                )));
            }
        }
        for (container, seen) in &facts.containers {
            let component = Component::of_container(container);
            let undesired = component.is_none_or(|component| !desired.containers.contains_key(&component));
            if undesired
                && Component::of_successor_or_container(container).is_some()
                && seen.maker == Maker::Windlass
                && !subjects.contains(&(name, container.as_str()))
                && !audited.is_held(name)
            {
                faults.push(Fault(format!(
                    "{name}/{container} is not desired, and no step nor finding says so"
                )));
            }
        }
    }
}
