//! Reads files and directories, and changes nothing, not even a time of access.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use serde::Deserialize;
use windlass_model::{Digest, FilePath, Lineage, Mode, Owner};

use crate::fault::{At, Fault};
use crate::mounts::remote_mounts;
use crate::protocol::{Bytes, Seen, SeenFile};

/// How long a directory may take to answer: its disk may hang.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The directories of etcd that are looked at.
pub(crate) struct Etcd {
    /// Of which is asked whether they are filled.
    pub(crate) directories: BTreeSet<FilePath>,
    /// Data directories, whose newest snapshot of the log is asked for.
    pub(crate) data: BTreeSet<FilePath>,
}

/// Takes one look.
pub(crate) fn look(
    files: &BTreeSet<FilePath>,
    ledgers: &BTreeSet<FilePath>,
    directories: &BTreeSet<FilePath>,
    etcd: &Etcd,
) -> Result<Seen, Fault> {
    let mut seen = Seen::default();
    for path in files.union(ledgers) {
        let Some((file, content)) = read(path)? else { continue };
        if ledgers.contains(path)
            && let Some(copy) = copy(&content)
        {
            seen.ledgers.insert(path.clone(), copy);
        }
        if files.contains(path) {
            seen.files.insert(path.clone(), file);
        }
    }
    let far = remote_mounts()?;
    let is_far = |path: &FilePath| Path::new(path.as_str()).ancestors().any(|above| far.contains(above));
    for path in directories {
        if is_far(path) || within_time(path, is_filled).transpose().at(path)?.unwrap_or(true) {
            seen.directories.insert(path.clone());
        }
    }
    for path in &etcd.directories {
        let slow = || io::Error::other(format!("no answer within {} s", ANSWER_WITHIN.as_secs()));
        if within_time(path, is_filled).unwrap_or_else(|| Err(slow())).at(path)? {
            seen.directories.insert(path.clone());
        }
    }
    for path in &etcd.data {
        if let Some(written) = newest_snapshot(&Path::new(path.as_str()).join("member/snap")).at(path)? {
            seen.etcd_snapshots.insert(path.clone(), written);
        }
    }
    Ok(seen)
}

/// What a directory answers, where it is not on a file system of the network and answers in time without an error.
pub(crate) fn if_near<T: Send + 'static>(
    path: &FilePath,
    ask: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Option<T> {
    let far = remote_mounts().ok()?;
    let is_far = Path::new(path.as_str()).ancestors().any(|above| far.contains(above));
    if is_far { None } else { within_time(path, ask)?.ok() }
}

/// The answer of a directory; none if it is not there in time. What still waits for it ends with the process.
fn within_time<T: Send + 'static>(
    path: &FilePath,
    ask: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Option<io::Result<T>> {
    let (sender, receiver) = mpsc::channel();
    let path = path.clone();
    thread::spawn(move || {
        // Nobody listens any more where it took too long.
        let _ = sender.send(ask(Path::new(path.as_str())));
    });
    receiver.recv_timeout(ANSWER_WITHIN).ok()
}

/// When the newest snapshot of a member's log was written.
fn newest_snapshot(directory: &Path) -> io::Result<Option<u64>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if is_absent(&error) => return Ok(None),
        entries => entries?,
    };
    let mut newest = None;
    for entry in entries {
        let entry = entry?;
        if Path::new(&entry.file_name()).extension().is_none_or(|extension| extension != "snap") {
            continue;
        }
        match entry.metadata() {
            // etcd removes old ones by itself.
            Err(error) if is_absent(&error) => {}
            metadata => newest = newest.max(u64::try_from(metadata?.mtime()).ok()),
        }
    }
    Ok(newest)
}

/// The content of a file.
pub(crate) fn content(path: &FilePath) -> Result<Option<Bytes>, Fault> {
    Ok(read(path)?.map(|(_, content)| Bytes(content)))
}

/// A file with its content; none if nothing exists at this path, or something that is not a file.
pub(crate) fn read(path: &FilePath) -> Result<Option<(SeenFile, Vec<u8>)>, Fault> {
    let Some(mut file) = open(Path::new(path.as_str())).at(path)? else { return Ok(None) };
    let metadata = file.metadata().at(path)?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let mut content = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.read_to_end(&mut content).at(path)?;
    let seen = SeenFile {
        digest: Digest::of(&content),
        mode: Mode(metadata.mode() & 0o7777),
        owner: Owner { uid: metadata.uid(), gid: metadata.gid() },
    };
    Ok(Some((seen, content)))
}

fn open(path: &Path) -> io::Result<Option<File>> {
    let flags = |flags: OFlags| i32::try_from(flags.bits()).unwrap_or(0);
    // A pipe instead of a file must not block the look.
    let quiet = OFlags::NOATIME | OFlags::NONBLOCK;
    let mut opened = OpenOptions::new().read(true).custom_flags(flags(quiet)).open(path);
    if matches!(&opened, Err(error) if error.kind() == io::ErrorKind::PermissionDenied) {
        // Only an owner may use NOATIME.
        opened = OpenOptions::new().read(true).custom_flags(flags(OFlags::NONBLOCK)).open(path);
    }
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_filled(path: &Path) -> io::Result<bool> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().transpose()?.is_some()),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether nothing of the kind exists at the path: nothing at all, or something else on the way.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[derive(Deserialize)]
struct Envelope {
    ledger: Face,
}

#[derive(Deserialize)]
struct Face {
    lineage: Lineage,
    serial: u64,
}

/// Whose ledger it is, as far as is known without its keys; none if it cannot be parsed.
fn copy(content: &[u8]) -> Option<(Lineage, u64)> {
    let Envelope { ledger: Face { lineage, serial } } = serde_json::from_slice(content).ok()?;
    Some((lineage, serial))
}
