//! Whether a plan that only reissues certificates does that and nothing else.

use windlass_model::{Action, Content, RestartWhen};

use super::{Audited, Fault};

/// Only certificates are made; only their files are written; containers keep the specs that they have.
pub(super) fn check(audited: &Audited<'_>, faults: &mut Vec<Fault>) {
    for (_, id, action) in audited.actions() {
        let fine = match action {
            Action::MintCerts { certs } => {
                certs.keys().all(|name| audited.seen.ledger.certs.contains_key(name))
            }
            Action::CommitLedger { change } => change.is_empty(),
            Action::WriteFiles { files, .. } => {
                files.values().all(|file| matches!(file.content, Content::Cert { .. } | Content::Ledger))
            }
            Action::ReplaceContainer { node, component, spec, .. } => {
                let seen = audited.facts(node).and_then(|facts| facts.containers.get(component.as_str()));
                seen.is_some_and(|seen| seen.spec == *spec)
            }
            // What is broken is healed before anything is disturbed.
            Action::RestartContainer { when, .. } => *when == RestartWhen::StillSick,
            Action::StartContainer { .. }
            | Action::ReloadContainer { .. }
            | Action::RemoveContainer { .. }
            | Action::AwaitHealthy { .. } => true,
            Action::ForgetLedger
            | Action::KeepRoots
            | Action::PullImage { .. }
            | Action::SetKernel { .. }
            | Action::RemovePaths { .. }
            | Action::MoveAside { .. }
            | Action::RunContainer { .. }
            | Action::RemovePods { .. }
            | Action::EtcdMemberAdd { .. }
            | Action::EtcdMemberPromote { .. }
            | Action::EtcdMemberRemove { .. }
            | Action::Cordon { .. }
            | Action::Drain { .. }
            | Action::Uncordon { .. }
            | Action::LabelNode { .. }
            | Action::DeleteNodeObject { .. } => false,
        };
        if !fine {
            faults.push(Fault(format!("{id}: this run reissues certificates and does nothing else")));
        }
    }
}
