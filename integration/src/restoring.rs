//! Snapshots that are taken and restored in the life of a cluster.

use windlass_course::{Desired, Goal};
use windlass_engine::{Nodes as _, Snapshots as _};
use windlass_model::{ChosenSnapshot, FilePath, NodeName, Restore, SnapshotSeen, SnapshotWanted, Timestamp};
use windlass_simulator::{FaultSchedule, RolloutRules};

use crate::drive::Driver;

/// Where etcd's nodes keep their snapshots.
pub const DIRECTORY: &str = "/opt/rke/etcd-snapshots";

/// Takes a snapshot of a node's member, as `windlass etcd snapshot save` does.
///
/// # Errors
/// It cannot be taken.
pub fn save(driver: &Driver, desired: &Desired, node: &NodeName, name: &str) -> Result<SnapshotSeen, String> {
    let desired = desired.ordinary().nodes.get(node).ok_or("it is not in cluster.yml")?;
    let (directory, name) = (FilePath::from(DIRECTORY), name.to_owned());
    let wanted =
        SnapshotWanted::of_member(node, desired, directory, name).ok_or("it is to have no member")?;
    driver.fleet.begin_run(RolloutRules::default(), FaultSchedule::none());
    driver.fleet.enrol(node, &desired.last());
    let saved = windlass_simulator::run(async { driver.fleet.save_snapshot(node, &wanted).await });
    saved.map_err(|error| error.to_string())
}

/// The snapshot as a restore chooses it; none if it has not been read back.
pub fn chosen(node: &NodeName, seen: &SnapshotSeen) -> Option<ChosenSnapshot> {
    let proof = seen.proof()?;
    Some(ChosenSnapshot {
        node: node.clone(),
        directory: FilePath::from(DIRECTORY),
        name: seen.name.clone(),
        sha256: proof.sha256,
        bytes: proof.bytes,
        revision: proof.revision,
        taken_at: seen.taken_at(),
        etcd: proof.etcd.clone(),
        kubernetes: proof.kubernetes.clone(),
        authority: proof.authority,
    })
}

/// The goal of a command that restores this snapshot.
pub fn goal(snapshot: ChosenSnapshot) -> Goal {
    Goal::Restore(Restore { snapshot, asked_at: Timestamp(0), gone: [].into(), recovery: None })
}
