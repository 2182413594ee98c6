//! The steps that take a snapshot of etcd, copy it to a node and create a member's data from it.

use windlass_model::{ChosenSnapshot, MemberRestore, NodeName, SnapshotWanted};

use crate::ports::{Clock, Fleet, LedgerStore, Minter};
use crate::run::Run;
use crate::step_error::{Doing, Done, accept_already_so};

impl<F: Fleet, L: LedgerStore, M: Minter, C: Clock> Run<'_, F, L, M, C> {
    /// The snapshot's name ends with the time, so that it never meets an earlier one.
    pub(crate) async fn save_snapshot(&self, node: &NodeName, wanted: &SnapshotWanted) -> Done {
        let now = self.ports.clock.now().to_string().replace(':', "-");
        let ledger_serial = self.keys.lock().committed.as_ref().map(|ledger| ledger.serial);
        let name = format!("{}-{now}", wanted.name);
        let wanted = SnapshotWanted { name, ledger_serial, ..wanted.clone() };
        let saved = self.ports.fleet.save_snapshot(node, &wanted).await;
        saved.map(drop).doing(|| format!("take the snapshot {} of the member of {node}", wanted.name))
    }

    pub(crate) async fn stage_snapshot(&self, node: &NodeName, snapshot: &ChosenSnapshot) -> Done {
        accept_already_so(self.ports.fleet.stage_snapshot(node, snapshot).await)
            .doing(|| format!("copy {} from {} to {node}", snapshot.name, snapshot.node))
    }

    pub(crate) async fn restore_member(&self, node: &NodeName, restore: &MemberRestore) -> Done {
        accept_already_so(self.ports.fleet.restore_member(node, restore).await)
            .doing(|| format!("make the data of {} on {node} of {}", restore.member, restore.snapshot.name))
    }
}
