//! Whether a plan that only reissues certificates does that and nothing else.

use windlass_model::{Action, CertPart, Component, ContainerState, Content, Maker, NodeName, RestartWhen};

use super::audited::Audited;
use super::fault::Fault;

/// The plan has only steps of these kinds, and what it reissues is used.
pub(super) fn check(audited: &Audited<'_>, faults: &mut Vec<Fault>) {
    check_kinds(audited, faults);
    check_readers(audited, faults);
}

/// Every running container that reads a certificate that is written takes it, or a finding says that it does
/// not.
fn check_readers(audited: &Audited<'_>, faults: &mut Vec<Fault>) {
    for (_, _, action) in audited.actions() {
        let Action::WriteFiles { node, files } = action else { continue };
        let is_written =
            |path| files.get(path).is_some_and(|file| matches!(file.content, Content::Cert { .. }));
        let (Some(facts), Some(desired)) = (audited.facts(node), audited.desired.nodes.get(node)) else {
            continue;
        };
        for (component, container) in &desired.containers {
            let Some(seen) = facts.containers.get(component.as_str()) else { continue };
            // It is unknown which files a container of somebody else has read.
            let spec = if seen.maker == Maker::Windlass { &seen.spec } else { &container.spec };
            let is_left = seen.state == ContainerState::Running
                && spec.reads.keys().any(is_written)
                && !takes_its_files(audited, node, *component)
                && !audited.is_held(node);
            if is_left {
                faults.push(Fault(format!(
                    "{node}/{component} keeps a certificate that is reissued, and no finding says so"
                )));
            }
        }
    }
}

/// Whether a step makes a container read its files.
fn takes_its_files(audited: &Audited<'_>, of: &NodeName, what: Component) -> bool {
    audited.actions().any(|(_, _, action)| match action {
        Action::ReplaceContainer { node, component, .. }
        | Action::RestartContainer { node, component, .. }
        | Action::ReloadContainer { node, component } => node == of && *component == what,
        _ => false,
    })
}

/// Only certificates are issued; only their files are written; containers keep their specs.
fn check_kinds(audited: &Audited<'_>, faults: &mut Vec<Fault>) {
    for (_, id, action) in audited.actions() {
        let fine = match action {
            Action::MintCerts { certs } => {
                certs.keys().all(|name| audited.seen.ledger.certs.contains_key(name))
            }
            Action::CommitLedger { change } => change.is_empty(),
            Action::WriteFiles { files, .. } => files.values().all(|file| match &file.content {
                Content::Cert { part, .. } => matches!(part, CertPart::Certificate | CertPart::Key),
                Content::Ledger => true,
                Content::Text(_) | Content::Secret(_) => false,
            }),
            Action::ReplaceContainer { node, component, spec, .. } => {
                let seen = audited.facts(node).and_then(|facts| facts.containers.get(component.as_str()));
                seen.is_some_and(|seen| seen.spec == *spec)
            }
            // What is broken is repaired before anything is disturbed.
            Action::RestartContainer { node, component, when, .. } => match when {
                RestartWhen::StillSick => true,
                RestartWhen::Always => {
                    *component == Component::Kubelet && audited.seen.kube.node(node).is_none()
                }
            },
            Action::StartContainer { .. }
            | Action::ReloadContainer { .. }
            | Action::RemoveContainer { .. }
            | Action::AwaitHealthy { .. } => true,
            Action::ForgetLedger
            | Action::KeepRoots
            | Action::DropRoots
            | Action::RewriteSecrets { .. }
            | Action::PullImage { .. }
            | Action::SetKernel { .. }
            | Action::RemovePaths { .. }
            | Action::MoveAside { .. }
            | Action::SaveSnapshot { .. }
            | Action::StageSnapshot { .. }
            | Action::RestoreMember { .. }
            | Action::RunContainer { .. }
            | Action::RemovePods { .. }
            | Action::EtcdMemberAdd { .. }
            | Action::EtcdMemberPromote { .. }
            | Action::EtcdMemberRemove { .. }
            | Action::Cordon { .. }
            | Action::Drain { .. }
            | Action::Uncordon { .. }
            | Action::LabelNode { .. }
            | Action::DeleteNodeObject { .. }
            | Action::ApplyObjects { .. }
            | Action::DeleteObjects { .. } => false,
        };
        if !fine {
            faults.push(Fault(format!("{id}: this run reissues certificates and does nothing else")));
        }
    }
}
