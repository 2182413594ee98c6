//! A snapshot while it is written: only one at a time in a directory, and it gets its name only when it is
//! complete.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// One name for all, so that dead processes leave at most one behind, which the next one takes over.
const NAME: &str = ".windlass-snapshot.part";
/// A snapshot contains the whole cluster, including its secrets.
const MODE: u32 = 0o600;

/// How many bytes are written before they are flushed to the disk.
const SYNC_EVERY: usize = 16 << 20;

/// The space on a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// What may still be written.
    pub(crate) free: u64,
    /// All of it.
    pub(crate) all: u64,
}

impl Space {
    /// The space on a file system that was asked.
    pub(crate) fn of(system: &rustix::fs::StatVfs) -> Self {
        let bytes = |blocks: u64| blocks.saturating_mul(system.f_frsize);
        Self { free: bytes(system.f_bavail), all: bytes(system.f_blocks) }
    }
}

/// An unfinished snapshot. It is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    /// Locked as long as it is open.
    file: File,
    /// How many bytes may not be on the disk yet.
    unsynced: usize,
    is_kept: bool,
}

impl Draft {
    /// An empty one; none while another process writes a snapshot there.
    pub(crate) fn begin(directory: &Path) -> io::Result<Option<Self>> {
        let path = directory.join(NAME);
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(MODE)
                .open(&path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => return Ok(None),
                locked => locked?,
            }
            // Between opening and locking, the former holder may have renamed or removed the file.
            if is_at(&file, &path)? {
                file.set_permissions(Permissions::from_mode(MODE))?;
                file.set_len(0)?;
                return Ok(Some(Self { path, file, unsynced: 0, is_kept: false }));
            }
        }
    }

    /// Where it is until it has its name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it to the disk piece by piece: gigabytes at once would stop the log of a member of etcd on the
    /// same disk for seconds.
    pub(crate) fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_all(piece)?;
        self.unsynced += piece.len();
        if self.unsynced >= SYNC_EVERY {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// The space on its file system.
    pub(crate) fn space(&self) -> io::Result<Space> {
        Ok(Space::of(&rustix::fs::fstatvfs(&self.file)?))
    }

    /// Gives it its name, under which there must be nothing; when this returns, a loss of power leaves it there.
    pub(crate) fn keep_as(mut self, name: &str) -> io::Result<()> {
        let target = self.path.with_file_name(name);
        // No other process of windlass can create it meanwhile: there is only one draft.
        if fs::exists(&target)? {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        self.file.sync_all()?;
        fs::rename(&self.path, &target)?;
        self.is_kept = true;
        crate::put::sync_directory(target.parent().unwrap_or(Path::new(".")))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept {
            // If this fails, the next draft is this very file, emptied.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether the open file is the one at this path.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((open.dev(), open.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_draft_is_seen_under_its_name_only_when_it_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let mut draft = Draft::begin(directory.path()).unwrap().unwrap();
        draft.write(b"whole").unwrap();
        assert_eq!(names(directory.path()), [NAME]);
        draft.keep_as("one.db").unwrap();
        assert_eq!(names(directory.path()), ["one.db"]);
        let kept = directory.path().join("one.db");
        assert_eq!(fs::read(&kept).unwrap(), b"whole");
        assert_eq!(fs::metadata(kept).unwrap().permissions().mode() & 0o7777, 0o600);
    }

    #[test]
    fn there_is_one_draft_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = Draft::begin(directory.path()).unwrap().unwrap();
        assert!(Draft::begin(directory.path()).unwrap().is_none());
        first.keep_as("one.db").unwrap();
        assert!(Draft::begin(directory.path()).unwrap().is_some());
    }

    #[test]
    fn what_a_dead_process_left_is_taken_over_and_a_draft_that_is_dropped_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let left = directory.path().join(NAME);
        fs::write(&left, b"half").unwrap();
        fs::set_permissions(&left, Permissions::from_mode(0o644)).unwrap();
        let draft = Draft::begin(directory.path()).unwrap().unwrap();
        let left = fs::metadata(&left).unwrap();
        assert_eq!((left.len(), left.permissions().mode() & 0o7777), (0, 0o600));
        drop(draft);
        assert_eq!(names(directory.path()), [""; 0]);
    }

    #[test]
    fn a_finished_snapshot_is_never_taken_for_a_draft() {
        const WRITERS: usize = 8;
        const EACH: usize = 100;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                scope.spawn(move || {
                    for number in 0..EACH {
                        let name = format!("{writer}-{number}.db");
                        let mut draft = loop {
                            if let Some(draft) = Draft::begin(path).unwrap() {
                                break draft;
                            }
                            std::thread::yield_now();
                        };
                        draft.write(name.as_bytes()).unwrap();
                        draft.keep_as(&name).unwrap();
                    }
                });
            }
        });
        let names = names(path);
        assert_eq!(names.len(), WRITERS * EACH);
        for name in names {
            assert_eq!(fs::read(path.join(&name)).unwrap(), name.as_bytes());
        }
    }

    #[test]
    fn nothing_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("one.db"), b"former").unwrap();
        let draft = Draft::begin(directory.path()).unwrap().unwrap();
        assert_eq!(draft.keep_as("one.db").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(directory.path().join("one.db")).unwrap(), b"former");
        assert_eq!(names(directory.path()), ["one.db"]);
    }
}
