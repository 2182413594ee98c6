//! The steps that copy a snapshot of etcd to a node and create a member's data from it.

use windlass_model::{ChosenSnapshot, MemberRestore, NodeName};

use crate::ports::{Clock, Fleet, LedgerStore, Minter};
use crate::run::Run;
use crate::step_error::{Doing, Done, accept_already_so};

impl<F: Fleet, L: LedgerStore, M: Minter, C: Clock> Run<'_, F, L, M, C> {
    pub(crate) async fn stage_snapshot(&self, node: &NodeName, snapshot: &ChosenSnapshot) -> Done {
        accept_already_so(self.ports.fleet.stage_snapshot(node, snapshot).await)
            .doing(|| format!("copy {} from {} to {node}", snapshot.name, snapshot.node))
    }

    pub(crate) async fn restore_member(&self, node: &NodeName, restore: &MemberRestore) -> Done {
        accept_already_so(self.ports.fleet.restore_member(node, restore).await)
            .doing(|| format!("make the data of {} on {node} of {}", restore.member, restore.snapshot.name))
    }
}
