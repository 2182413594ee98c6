//! Takes one snapshot: from a member of etcd, through the checks, to a file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

use super::draft::{Draft, Space};
use super::intake::{Intake, NotASnapshot};
use super::journal;
use super::proof::{self, Origin, Unproven};
use crate::etcd::{Access, EtcdError};

/// How long a member may be silent in the middle of a snapshot.
const SILENCE: Duration = Duration::from_secs(60);
/// The disk space that is left for others at least: etcd's own log, which may be on the same disk, grows by
/// files of 64 MB, and a member that finds the disk full stops.
const LEFT_FREE: u64 = 128 << 20;
/// The percentage of the file system that is left for others: below it kubelet evicts pods by default
/// (`nodefs.available<10%`,
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#hard-eviction-thresholds>).
const LEFT_FREE_PERCENT: u64 = 10;
/// The percentage that is left where less than that is free already: kubelet has another limit then, or evicts anyway.
const LEFT_OF_LITTLE_PERCENT: u64 = 1;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    #[error("no endpoint is given")]
    NoEndpoint,
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    #[error("{endpoint} breaks off: {}", status.message())]
    BrokenOff { endpoint: String, status: Box<tonic::Status> },
    #[error("{endpoint} has sent nothing for {} s", SILENCE.as_secs())]
    Silent { endpoint: String },
    #[error("{endpoint}: {source}")]
    Unfit { endpoint: String, source: NotASnapshot },
    #[error(
        "the snapshot has {bytes} bytes and the disk {free} free ones, of which {left} are left to etcd and kubelet"
    )]
    NoRoom { bytes: u64, free: u64, left: u64 },
    #[error("what {endpoint} sent does not read back from the disk: {source}")]
    ReadBack { endpoint: String, source: Unproven },
    #[error("another snapshot is being taken")]
    Busy,
    #[error("`{}` is there already", path.display())]
    Exists { path: PathBuf },
    #[error("`{}` cannot be written", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
}

/// A snapshot that has been taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) bytes: u64,
    pub(crate) endpoint: String,
}

/// Takes a snapshot from the first member that returns a complete one.
///
/// When it returns one, that is durably on the disk. Otherwise nothing of it is left, nor if it is dropped.
pub(crate) async fn take(access: &Access, directory: &Path, name: &str) -> Result<Taken, TakeError> {
    let path = directory.join(name);
    let unwritable = |source| TakeError::Unwritable { path: path.clone(), source };
    if path.exists() {
        return Err(TakeError::Exists { path });
    }
    let mut failed = TakeError::NoEndpoint;
    for endpoint in &access.endpoints {
        // A new one for each: what another member sent is no part of it.
        let mut draft = Draft::begin(directory).map_err(unwritable)?.ok_or(TakeError::Busy)?;
        match receive(access, endpoint, &mut draft, &path).await {
            Ok(bytes) => {
                let origin = Origin {
                    authority: proof::authority_in(&access.authority),
                    endpoint: Some(endpoint.clone()),
                    taken_at: Some(journal::now()),
                    kubernetes: None,
                    ledger_serial: None,
                };
                let proof = proof::prove(draft.path(), origin, journal::now())
                    .map_err(|source| TakeError::ReadBack { endpoint: endpoint.clone(), source })?;
                draft.keep_as(name).map_err(|source| match source.kind() {
                    io::ErrorKind::AlreadyExists => TakeError::Exists { path: path.clone() },
                    _ => unwritable(source),
                })?;
                if let Err(error) = proof::note(&path, &proof) {
                    // A file without metadata is a snapshot all the same; it is read again before it is used.
                    journal::log(&format!("no note beside `{name}`: {error}"));
                }
                return Ok(Taken { bytes, endpoint: endpoint.clone() });
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// How many bytes are left to others.
fn left_free(space: Space) -> u64 {
    let percent = |percent: u64| space.all / 100 * percent;
    let share = percent(LEFT_FREE_PERCENT);
    LEFT_FREE.max(if space.free >= share { share } else { percent(LEFT_OF_LITTLE_PERCENT) })
}

/// Whether a snapshot of this size leaves enough to others.
pub(super) fn check_room(space: Space, bytes: u64) -> Result<(), TakeError> {
    let left = left_free(space);
    if space.free < bytes.saturating_add(left) {
        return Err(TakeError::NoRoom { bytes, free: space.free, left });
    }
    Ok(())
}

async fn receive(access: &Access, endpoint: &str, draft: &mut Draft, path: &Path) -> Result<u64, TakeError> {
    let unwritable = |source| TakeError::Unwritable { path: path.to_owned(), source };
    let silent = || TakeError::Silent { endpoint: endpoint.to_owned() };
    let broken_off =
        |status| TakeError::BrokenOff { endpoint: endpoint.to_owned(), status: Box::new(status) };
    let mut stream = timeout(SILENCE, access.snapshot(endpoint)).await.map_err(|_| silent())??;
    let mut intake = Intake::default();
    let mut is_first = true;
    loop {
        let next = timeout(SILENCE, stream.message()).await.map_err(|_| silent())?;
        let Some(piece) = next.map_err(broken_off)? else { break };
        if is_first {
            let bytes = piece.remaining_bytes.saturating_add(piece.blob.len() as u64);
            check_room(draft.space().map_err(unwritable)?, bytes)?;
            is_first = false;
        }
        intake.take(&piece.blob, piece.remaining_bytes);
        draft.write(&piece.blob).map_err(unwritable)?;
    }
    intake.finish().map_err(|source| TakeError::Unfit { endpoint: endpoint.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_left_to_etcd_and_kubelet() {
        let left = |free, all| left_free(Space { free, all });
        assert_eq!(left(1 << 30, 1 << 30), LEFT_FREE, "a small disk");
        let all = 100_000_000_000;
        assert_eq!(left(all, all), 10_000_000_000);
        assert_eq!(left(10_000_000_000, all), 10_000_000_000, "no snapshot makes it less than a tenth");
        assert_eq!(left(9_000_000_000, all), 1_000_000_000, "it is less already");
    }
}
