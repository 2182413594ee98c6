//! The fake's snapshots: it has none, and accepts requests about those of others.

use windlass_engine::{PortResult, Snapshots};
use windlass_model::{
    BucketPlace, ChosenSnapshot, FilePath, InBucket, MemberRestore, NodeName, Rehearsal, Rehearsed, Secret,
    SnapshotSeen, SnapshotWanted,
};

use crate::fake::{Fake, lasting};

impl Snapshots for Fake {
    async fn snapshots(&self, _: &NodeName, _: &FilePath) -> PortResult<Vec<SnapshotSeen>> {
        Ok(Vec::new())
    }

    async fn verify_snapshot(&self, _: &NodeName, _: &FilePath, name: &str) -> PortResult<SnapshotSeen> {
        Err(lasting(name))
    }

    async fn unpack_snapshot(&self, _: &NodeName, _: &FilePath, name: &str) -> PortResult<SnapshotSeen> {
        Err(lasting(name))
    }

    async fn rehearse_snapshot(&self, _: &NodeName, rehearsal: &Rehearsal) -> PortResult<Rehearsed> {
        Err(lasting(&rehearsal.name))
    }

    async fn save_snapshot(&self, _: &NodeName, wanted: &SnapshotWanted) -> PortResult<SnapshotSeen> {
        Err(lasting(&wanted.name))
    }

    async fn delete_snapshot(&self, _: &NodeName, _: &FilePath, name: &str) -> PortResult<()> {
        Err(lasting(name))
    }

    async fn bucket(&self, _: &NodeName, _: &Secret<String>) -> PortResult<Vec<InBucket>> {
        Ok(Vec::new())
    }

    async fn copy_to_bucket(
        &self,
        _: &NodeName,
        _: &Secret<String>,
        _: &FilePath,
        name: &str,
    ) -> PortResult<InBucket> {
        Err(lasting(name))
    }

    async fn fetch_from_bucket(
        &self,
        _: &NodeName,
        _: &Secret<String>,
        _: &FilePath,
        snapshot: &InBucket,
    ) -> PortResult<SnapshotSeen> {
        Err(lasting(&snapshot.snapshot.name))
    }

    async fn delete_from_bucket(
        &self,
        _: &NodeName,
        _: &Secret<String>,
        _: &BucketPlace,
        name: &str,
    ) -> PortResult<()> {
        Err(lasting(name))
    }

    async fn stage_snapshot(&self, node: &NodeName, snapshot: &ChosenSnapshot) -> PortResult<()> {
        self.verb(node.as_str(), format!("{node} stage {}", snapshot.name), |_| Ok(())).await
    }

    async fn restore_member(&self, node: &NodeName, restore: &MemberRestore) -> PortResult<()> {
        self.verb(node.as_str(), format!("{node} restore {}", restore.member), |_| Ok(())).await
    }
}
