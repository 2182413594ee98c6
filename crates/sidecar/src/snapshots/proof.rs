//! Reads a snapshot back from the disk, and keeps the result as metadata beside it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use windlass_model::{DAMAGED_EXTENSION, Digest, KubernetesVersion, SnapshotProof, Timestamp};

use super::intake::{Intake, NotASnapshot};
use super::tree::{self, Broken, Listed};
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
    pub(crate) ledger_serial: Option<u64>,
}

impl Origin {
    /// What was recorded when it was taken.
    pub(crate) fn of(noted: &SnapshotProof) -> Self {
        Self {
            authority: noted.authority,
            endpoint: noted.endpoint.clone(),
            taken_at: noted.taken_at,
            kubernetes: noted.kubernetes.clone(),
            ledger_serial: noted.ledger_serial,
        }
    }
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
    let Origin { authority, endpoint, taken_at, kubernetes, ledger_serial } = origin;
    let member = endpoint.as_deref().and_then(|endpoint| member_at(endpoint, &contents.members));
    Ok(SnapshotProof {
        format: SnapshotProof::FORMAT,
        sha256: Digest::from_bytes(whole.finalize().into()),
        bytes,
        revision: contents.revision,
        keys: contents.keys,
        keys_by_prefix: contents.keys_by_prefix,
        etcd: contents.etcd,
        kubernetes,
        ledger_serial,
        members: contents.members.into_iter().map(|member| member.name).collect(),
        member,
        authority,
        endpoint,
        taken_at,
        archive_bytes: None,
        checked_at: now,
    })
}

/// The name of the member on the host of this endpoint.
fn member_at(endpoint: &str, members: &[Listed]) -> Option<String> {
    let host = host_of(endpoint)?;
    let is_there = |member: &&Listed| member.peer_urls.iter().any(|url| host_of(url) == Some(host));
    members.iter().find(is_there).map(|member| member.name.clone())
}

/// The host of a URL with a port.
fn host_of(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    authority.rsplit_once(':').map(|(host, _)| host)
}

/// The path of the file that says why a snapshot is damaged.
pub(crate) fn damage_of(snapshot: &Path) -> PathBuf {
    let mut name = snapshot.as_os_str().to_owned();
    name.push(DAMAGED_EXTENSION);
    name.into()
}

/// Why a snapshot is damaged, as it was found when it was read last; none where nothing was found.
pub(crate) fn damage_noted(snapshot: &Path) -> Option<String> {
    let text = fs::read(damage_of(snapshot)).ok()?;
    Some(String::from_utf8_lossy(&text).trim_end().to_owned())
}

/// Records why a snapshot is damaged.
pub(crate) fn note_damage(snapshot: &Path, why: &str) -> io::Result<()> {
    put(&damage_of(snapshot), format!("{}\n", why.replace('\n', " ")).into_bytes())
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
    put(&note_of(snapshot), content)
}

/// Writes a file that only root may read, completely or not at all.
pub(crate) fn put(path: &Path, content: Vec<u8>) -> io::Result<()> {
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
