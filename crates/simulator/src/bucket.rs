//! The bucket into which snapshots are copied: one for all machines, which may not answer.

use serde::{Deserialize, Serialize};
use windlass_engine::PortResult;
use windlass_model::{BucketPlace, FilePath, InBucket, NodeName, SnapshotSeen, SnapshotState, Timestamp};

use crate::snapshots::{SnapshotFile, path_of};
use crate::world::{Disk, World, lasting};

/// What is in it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bucket {
    objects: Vec<BucketObject>,
    /// Since when it does not answer; none where it does.
    pub(crate) down_since: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BucketObject {
    place: BucketPlace,
    name: String,
    file: SnapshotFile,
}

impl BucketObject {
    fn seen(&self, now: Timestamp) -> InBucket {
        let mut snapshot = self.file.seen(&self.name.as_str().into(), now);
        if self.place.is_of_rke() {
            // RKE writes no metadata.
            snapshot.state = SnapshotState::Unproven;
        }
        InBucket { place: self.place.clone(), snapshot }
    }

    fn is(&self, place: &BucketPlace, name: &str) -> bool {
        self.place == *place && self.name == name
    }
}

impl Bucket {
    pub(crate) fn is_untouched(&self) -> bool {
        self.objects.is_empty() && self.down_since.is_none()
    }
}

impl World {
    fn answering_bucket(&mut self) -> PortResult<&mut Bucket> {
        match self.bucket.down_since {
            Some(_) => Err(lasting("the bucket: error sending request: connection refused")),
            None => Ok(&mut self.bucket),
        }
    }

    pub(crate) fn list_bucket(&mut self) -> PortResult<Vec<InBucket>> {
        let now = self.time();
        Ok(self.answering_bucket()?.objects.iter().map(|object| object.seen(now)).collect())
    }

    pub(crate) fn copy_to_bucket(
        &mut self,
        machine: usize,
        node: &NodeName,
        directory: &FilePath,
        name: &str,
    ) -> PortResult<InBucket> {
        let now = self.time();
        let path = path_of(directory, name);
        let file = self.snapshot_at(machine, &path)?.clone();
        if file.seen(&path, now).proof().is_none() {
            return Err(lasting(format!("{path}: it is not known to be intact: verify it first")));
        }
        let authority = file.authority();
        let authority =
            authority.ok_or_else(|| lasting(format!("{path}: nothing says from which cluster it is")))?;
        let place = BucketPlace::of(authority, &format!("etcd-{node}"));
        let bucket = self.answering_bucket()?;
        if !bucket.objects.iter().any(|object| object.is(&place, name)) {
            bucket.objects.push(BucketObject { place: place.clone(), name: name.to_owned(), file });
        }
        let object = bucket.objects.iter().find(|object| object.is(&place, name));
        object.map(|object| object.seen(now)).ok_or_else(|| lasting("the bucket lost it"))
    }

    pub(crate) fn fetch_from_bucket(
        &mut self,
        machine: usize,
        directory: &FilePath,
        wanted: &InBucket,
    ) -> PortResult<SnapshotSeen> {
        let now = self.time();
        let name = &wanted.snapshot.name;
        let path = path_of(directory, name);
        if self.nodes[machine].snapshots.contains_key(&path) {
            return Err(lasting(format!("{path}: a file of this name is there already")));
        }
        if self.nodes[machine].disk == Disk::Full {
            return Err(lasting(format!("{path}: no space left on device")));
        }
        let objects = &self.answering_bucket()?.objects;
        let found = objects.iter().find(|object| object.is(&wanted.place, name));
        let file = found.ok_or_else(|| lasting(format!("{name}: not found")))?.file.clone();
        let seen = file.seen(&path, now);
        if seen.proof().is_none() {
            return Err(lasting(format!("{name}: it is not what was taken")));
        }
        self.nodes[machine].snapshots.insert(path, file);
        Ok(seen)
    }

    pub(crate) fn delete_from_bucket(&mut self, place: &BucketPlace, name: &str) -> PortResult<()> {
        if place.is_of_rke() {
            return Err(lasting(format!(
                "{name}: it is an archive of RKE, and nothing says of which cluster"
            )));
        }
        self.answering_bucket()?.objects.retain(|object| !object.is(place, name));
        Ok(())
    }
}
