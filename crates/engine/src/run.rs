//! One run of a plan: what the bodies of steps share, and which body carries out which action.

use std::collections::BTreeMap;

use tokio::time::Instant;
use windlass_model::{Action, Component, ContainerName, Gate, KubeSeen, LastNode, Ledger, NodeName, Role};

use crate::disturbed::Disturbed;
use crate::keys::Keys;
use crate::limits::Limits;
use crate::observe::enlist;
use crate::ports::{Assignment, Clock, Fleet, LedgerStore, Minter, Ports};
use crate::step_error::Done;

/// What the bodies of steps share.
pub(crate) struct Run<'a, F, L, M, C> {
    pub(crate) ports: &'a Ports<'a, F, L, M, C>,
    pub(crate) assignment: &'a Assignment,
    pub(crate) limits: &'a Limits,
    pub(crate) keys: Keys,
    /// The node objects as guards last saw them, so that many guards at once ask once.
    pub(crate) node_objects: tokio::sync::Mutex<Option<(Instant, KubeSeen)>>,
    /// What this run has taken down and has not seen healthy since.
    pub(crate) disturbed: tokio::sync::Mutex<Disturbed>,
    /// Every node that a look has enrolled.
    nodes: BTreeMap<NodeName, LastNode>,
}

impl<'a, F: Fleet, L: LedgerStore, M: Minter, C: Clock> Run<'a, F, L, M, C> {
    pub(crate) fn new(
        ports: &'a Ports<'a, F, L, M, C>,
        assignment: &'a Assignment,
        limits: &'a Limits,
        ledger: Option<Ledger>,
    ) -> Self {
        let nodes = enlist(assignment, ledger.as_ref());
        let node_objects = tokio::sync::Mutex::new(None);
        let disturbed = tokio::sync::Mutex::default();
        Self { ports, assignment, limits, keys: Keys::new(ledger), node_objects, disturbed, nodes }
    }

    pub(crate) fn into_ledger(self) -> Option<Ledger> {
        self.keys.into_committed()
    }

    /// Carries out an action once. Interrupted between any two verbs and begun again, it reaches the same
    /// end.
    pub(crate) async fn carry_out(&self, action: &Action) -> Done {
        match action {
            Action::MintCerts { certs } => self.mint_certs(certs).await,
            Action::CommitLedger { change } => self.commit_ledger(change),
            Action::ForgetLedger => self.forget_ledger(),
            Action::KeepRoots => self.keep_roots().await,
            Action::DropRoots => self.drop_roots().await,
            Action::RewriteSecrets { by: _ } => self.rewrite_secrets().await,
            Action::PullImage { node, image } => self.pull_image(node, image).await,
            Action::WriteFiles { node, files } => self.write_files(node, files).await,
            Action::SetKernel { node, kernel } => self.set_kernel(node, kernel).await,
            Action::RemovePaths { node, paths } => self.remove_paths(node, paths).await,
            Action::MoveAside { node, path, to, guards } => self.move_aside(node, path, to, guards).await,
            Action::SaveSnapshot { node, snapshot } => self.save_snapshot(node, snapshot).await,
            Action::StageSnapshot { node, snapshot } => self.stage_snapshot(node, snapshot).await,
            Action::RestoreMember { node, restore } => self.restore_member(node, restore).await,
            Action::RunContainer { node, component, spec, birth, forgets } => {
                self.run_container(node, &component.container(), (spec, birth), forgets).await
            }
            Action::ReplaceContainer { node, component, spec, birth, guards, forgets } => {
                self.replace_container(node, &component.container(), (spec, birth), guards, forgets).await
            }
            Action::StartContainer { node, component } => {
                self.start_container(node, &component.container()).await
            }
            Action::RestartContainer { node, component, when, guards } => {
                self.restart_container(node, &component.container(), *when, guards).await
            }
            Action::ReloadContainer { node, component } => {
                self.reload_container(node, &component.container()).await
            }
            Action::RemoveContainer { node, container, guards } => {
                self.remove_container(node, container, guards).await
            }
            Action::RemovePods { node, kubelet, keep } => self.remove_pods(node, kubelet, *keep).await,
            Action::AwaitHealthy { gate, within_seconds } => self.await_healthy(gate, *within_seconds).await,
            Action::EtcdMemberAdd { node: _, peer_url, via } => self.add_member(peer_url, via).await,
            Action::EtcdMemberPromote { node: _, peer_url, via, within_seconds } => {
                self.promote_member(peer_url, via, *within_seconds).await
            }
            Action::EtcdMemberRemove { id, peer_url, via, guards } => {
                self.remove_member(*id, peer_url, via, guards).await
            }
            Action::Cordon { node, guards } => self.cordon(node, guards).await,
            Action::Drain { node, options } => self.drain(node, options).await,
            Action::Uncordon { node } => self.uncordon(node).await,
            Action::LabelNode { node, change } => self.label_node(node, change).await,
            Action::DeleteNodeObject { node } => self.delete_node_object(node).await,
            Action::ApplyObjects { addon, objects } => self.apply_objects(*addon, objects).await,
            Action::DeleteObjects { objects } => self.delete_objects(objects).await,
        }
    }

    /// The last lines of the log of the container that an action concerns; none where they cannot be read.
    pub(crate) async fn log_of(&self, action: &Action, lines: usize) -> Vec<String> {
        let Some((node, container)) = concerned(action) else { return Vec::new() };
        let mut log = self.ports.fleet.log_tail(node, &container, lines).await.unwrap_or_default();
        log.split_off(log.len().saturating_sub(lines))
    }

    /// The address of the etcd member that belongs on this node, if the node is known.
    pub(crate) fn peer_url(&self, node: &NodeName) -> Option<String> {
        self.nodes.get(node).map(|last| last.target.peer_url())
    }

    /// The nodes through which etcd can be asked, this one first.
    pub(crate) fn etcd_via(&self, node: &NodeName) -> Vec<NodeName> {
        let others = self
            .nodes
            .iter()
            .filter(|(name, last)| *name != node && last.roles.contains(&Role::Etcd))
            .map(|(name, _)| name);
        std::iter::once(node).chain(others).cloned().collect()
    }
}

/// The container whose log may show why an action failed.
fn concerned(action: &Action) -> Option<(&NodeName, ContainerName)> {
    match action {
        Action::RunContainer { node, component, .. }
        | Action::ReplaceContainer { node, component, .. }
        | Action::StartContainer { node, component }
        | Action::RestartContainer { node, component, .. }
        | Action::ReloadContainer { node, component } => Some((node, component.container())),
        Action::AwaitHealthy { gate, .. } => match gate {
            Gate::Container { node, component } => Some((node, component.container())),
            Gate::EtcdMember { node } | Gate::EtcdLogSnapshot { node } => {
                Some((node, Component::Etcd.container()))
            }
            Gate::NodeReady { node, .. } => Some((node, Component::Kubelet.container())),
            Gate::Addon { .. } => None,
        },
        Action::EtcdMemberPromote { node, .. } => Some((node, Component::Etcd.container())),
        Action::MintCerts { .. }
        | Action::CommitLedger { .. }
        | Action::ForgetLedger
        | Action::KeepRoots
        | Action::DropRoots
        | Action::RewriteSecrets { .. }
        | Action::PullImage { .. }
        | Action::WriteFiles { .. }
        | Action::SetKernel { .. }
        | Action::RemovePaths { .. }
        | Action::MoveAside { .. }
        | Action::SaveSnapshot { .. }
        | Action::StageSnapshot { .. }
        | Action::RestoreMember { .. }
        | Action::RemoveContainer { .. }
        | Action::RemovePods { .. }
        | Action::EtcdMemberAdd { .. }
        | Action::EtcdMemberRemove { .. }
        | Action::Cordon { .. }
        | Action::Drain { .. }
        | Action::Uncordon { .. }
        | Action::LabelNode { .. }
        | Action::DeleteNodeObject { .. }
        | Action::ApplyObjects { .. }
        | Action::DeleteObjects { .. } => None,
    }
}
