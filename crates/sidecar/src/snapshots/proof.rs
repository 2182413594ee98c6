//! Reads a snapshot back from the disk, and keeps the result as metadata beside it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use windlass_model::{Digest, KubernetesVersion, SnapshotProof, Timestamp};

use super::intake::{Intake, NotASnapshot};
use super::tree::{self, Broken};
use crate::protocol::FileToPut;

/// The suffix of the name of a snapshot's metadata.
const NOTE: &str = ".json";
/// How much of a file is read at once.
const PIECE: usize = 1 << 20;

/// Why a file is not a usable snapshot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unproven {
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    NotASnapshot(#[from] NotASnapshot),
    #[error("the database in it is damaged: {0}")]
    Broken(#[from] Broken),
}

/// What is known of a snapshot from when it was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) authority: Option<Digest>,
    pub(crate) endpoint: Option<String>,
    pub(crate) taken_at: Option<Timestamp>,
    pub(crate) kubernetes: Option<KubernetesVersion>,
}

/// Reads all of a file: the digest that etcd appended, and every page of its tree.
pub(crate) fn prove(path: &Path, origin: Origin, now: Timestamp) -> Result<SnapshotProof, Unproven> {
    let mut file = File::open(path)?;
    let (mut intake, mut whole) = (Intake::default(), Sha256::new());
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        intake.take(&piece[..read], 0);
        whole.update(&piece[..read]);
    }
    let bytes = intake.finish()?;
    let contents = tree::walk(&file, bytes)?;
    let Origin { authority, endpoint, taken_at, kubernetes } = origin;
    Ok(SnapshotProof {
        format: SnapshotProof::FORMAT,
        sha256: Digest::from_bytes(whole.finalize().into()),
        bytes,
        revision: contents.revision,
        keys: contents.keys,
        keys_by_prefix: contents.keys_by_prefix,
        etcd: contents.etcd,
        kubernetes,
        members: contents.members,
        authority,
        endpoint,
        taken_at,
        checked_at: now,
    })
}

/// The path of a snapshot's metadata.
pub(crate) fn note_of(snapshot: &Path) -> PathBuf {
    let mut name = snapshot.as_os_str().to_owned();
    name.push(NOTE);
    name.into()
}

/// The metadata beside a snapshot; none where there is none of a known format.
pub(crate) fn noted(snapshot: &Path) -> Option<SnapshotProof> {
    let proof: SnapshotProof = serde_json::from_slice(&fs::read(note_of(snapshot)).ok()?).ok()?;
    (proof.format == SnapshotProof::FORMAT).then_some(proof)
}

/// Writes the metadata beside a snapshot.
pub(crate) fn note(snapshot: &Path, proof: &SnapshotProof) -> io::Result<()> {
    let mut content = serde_json::to_vec_pretty(proof).map_err(io::Error::other)?;
    content.push(b'\n');
    let path = note_of(snapshot);
    let file = FileToPut {
        path: path.to_string_lossy().into_owned().into(),
        content: crate::protocol::Bytes(content),
        mode: windlass_model::Mode(0o600),
        owner: windlass_model::Owner::default(),
    };
    crate::put::put(&[file]).map_err(|error| io::Error::other(error.to_string()))
}

/// The digest of the certificate in a file.
pub(crate) fn authority_in(path: &Path) -> Option<Digest> {
    fs::read(path).ok().map(Digest::of)
}
