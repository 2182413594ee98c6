//! Snapshots in a bucket, for requests: listed, copied there, fetched into a node's directory, and deleted.

use std::fs;
use std::path::Path;

use windlass_model::{BucketPlace, FilePath, InBucket, SnapshotSeen, SnapshotState};

use super::draft::Draft;
use super::journal;
use super::proof::{self, Origin};
use super::shelf::{self, path_of};
use super::take;
use crate::bucket::{Bucket, BucketError};
use crate::fault::{At, Fault};
use crate::protocol::Bytes;
use crate::put::make_directory;

fn in_bucket<T>(work: impl Future<Output = Result<T, BucketError>>) -> Result<T, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().at("the bucket")?;
    runtime.block_on(work).map_err(|error| refused("the bucket", journal::reported(&error)))
}

fn refused(path: impl Into<String>, why: impl Into<String>) -> Fault {
    Fault::Refused { path: path.into(), why: why.into() }
}

fn described(description: &Bytes) -> Result<Bucket, Fault> {
    Bucket::described(&description.0).map_err(|error| refused("the bucket", journal::reported(&error)))
}

/// All snapshots in a bucket.
pub(crate) fn list(description: &Bytes) -> Result<Vec<InBucket>, Fault> {
    let bucket = described(description)?;
    in_bucket(bucket.list())
}

/// Copies a snapshot of this node into a bucket, unless it is there. One of which nothing says from which cluster it
/// is, or that is not known to be intact, is not copied.
pub(crate) fn copy(
    description: &Bytes,
    directory: &FilePath,
    name: &str,
    member: &str,
) -> Result<InBucket, Fault> {
    let path = path_of(directory, name)?;
    let proof = proof::noted(&path).filter(|_| proof::damage_noted(&path).is_none());
    let proof = proof.ok_or_else(|| refused(name, "it is not known to be intact: verify it first"))?;
    let authority = proof.authority.ok_or_else(|| refused(name, "nothing says from which cluster it is"))?;
    let member = proof.member.clone().unwrap_or_else(|| member.to_owned());
    let place = BucketPlace::of(authority, &member);
    let bucket = described(description)?;
    in_bucket(async {
        if !bucket.complete(&place).await?.iter().any(|there| there == name) {
            bucket.keep(&place, &path, &proof).await?;
        }
        Ok(())
    })?;
    let metadata = fs::metadata(&path).at(path.display())?;
    Ok(InBucket { place, snapshot: shelf::seen(&path, name.to_owned(), &metadata) })
}

/// Fetches a snapshot into a node's directory, closed to all but root, and reads it back there before it gets its name.
/// It leaves as much room as one that is taken.
pub(crate) fn fetch(
    description: &Bytes,
    directory: &FilePath,
    wanted: &InBucket,
) -> Result<SnapshotSeen, Fault> {
    let name = &wanted.snapshot.name;
    let place = Path::new(directory.as_str());
    make_directory(place).at(directory)?;
    if name.contains('/') || name.starts_with('.') {
        return Err(refused(name, "this is no name of a snapshot"));
    }
    let path = place.join(name);
    if path.exists() {
        return Err(refused(path.display().to_string(), "a file of this name is there already"));
    }
    let mut draft = Draft::begin(place)
        .at(directory)?
        .ok_or_else(|| refused(name, "another snapshot is being written on this node: try again"))?;
    take::check_room(draft.space().at(directory)?, wanted.snapshot.bytes)
        .map_err(|error| refused(name, journal::reported(&error)))?;
    let bucket = described(description)?;
    let (bytes, sha256) = in_bucket(bucket.fetch(&wanted.place, name, |piece| draft.write(piece)))?;
    if wanted.place.is_of_rke() {
        draft.keep_as(name).at(path.display())?;
        return intact_archive(directory, name, &path);
    }
    let noted = wanted.snapshot.proof();
    if let Some(noted) = noted.filter(|noted| noted.sha256 != sha256) {
        let why = format!("it arrived with the digest {sha256}, and was taken with {}", noted.sha256);
        return Err(refused(name, why));
    }
    let origin = noted.map(Origin::of).unwrap_or_default();
    let proof = proof::prove(draft.path(), origin, journal::now())
        .map_err(|error| refused(name, format!("{bytes} bytes arrived: {error}")))?;
    draft.keep_as(name).at(path.display())?;
    proof::note(&path, &proof).at(path.display())?;
    let metadata = fs::metadata(&path).at(path.display())?;
    Ok(shelf::seen(&path, name.clone(), &metadata))
}

/// Reads an archive of RKE back that has just arrived; a damaged one does not stay.
fn intact_archive(directory: &FilePath, name: &str, path: &Path) -> Result<SnapshotSeen, Fault> {
    let seen = shelf::verify(directory, name)?;
    let SnapshotState::Damaged(why) = &seen.state else { return Ok(seen) };
    shelf::delete(directory, name)?;
    Err(refused(path.display().to_string(), why.clone()))
}

/// Deletes a snapshot in a bucket.
pub(crate) fn delete(description: &Bytes, place: &BucketPlace, name: &str) -> Result<(), Fault> {
    if place.is_of_rke() {
        return Err(refused(name, "it is an archive of RKE, and nothing says of which cluster"));
    }
    let bucket = described(description)?;
    in_bucket(bucket.delete(place, name))
}
