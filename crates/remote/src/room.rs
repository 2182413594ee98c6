//! The private directory of one run: control sockets, forwards and inline keys. It is deleted with the run.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};
use windlass_model::Secret;

/// The prefix of the names of these directories.
const PREFIX: &str = "windlass-";
/// The file that a run keeps locked for as long as it lives.
const LOCK: &str = "lock";
/// The longest path of a directory that leaves room for the name of a socket: those are limited to 107 bytes,
/// and ssh adds 17 while it creates one.
const LONGEST: usize = 70;

/// The directory of this run.
#[derive(Debug)]
pub(crate) struct Room {
    path: PathBuf,
    /// Kept locked: it shows other runs that this one is alive.
    _lock: File,
    made: AtomicU64,
}

impl Room {
    /// Creates one, and removes those of dead runs.
    pub(crate) fn new() -> io::Result<Self> {
        let parent = parent();
        clear_dead(&parent);
        loop {
            let name = format!("{PREFIX}{:08x}", fastrand::u32(..));
            let path = parent.join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            let lock = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path.join(LOCK))?;
            flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            return Ok(Self { path, _lock: lock, made: AtomicU64::new(0) });
        }
    }

    /// The name of this run on nodes: who runs it on which machine, and the directory there.
    pub(crate) fn run(&self) -> String {
        format!("{}:{}", own_name(), self.path.display())
    }

    /// Whether a run of this name was one of this user on this machine, and has died. For other runs this is
    /// unknown: their directories may be elsewhere, and this user may not read them.
    pub(crate) fn has_died(&self, run: &str) -> bool {
        let Some(path) = run.strip_prefix(&own_name()).and_then(|rest| rest.strip_prefix(':')) else {
            return false;
        };
        let path = Path::new(path);
        // Those of dead runs were removed when this run began, or have released their lock since.
        path.parent() == self.path.parent()
            && match File::open(path.join(LOCK)) {
                Ok(lock) => flock(&lock, FlockOperation::NonBlockingLockShared).is_ok(),
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            }
    }

    /// An unused path in it.
    pub(crate) fn path(&self, kind: &str) -> PathBuf {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.path.join(format!("{kind}{number}"))
    }

    /// A file in it that only this user may read.
    pub(crate) fn keep(&self, content: &Secret<String>) -> io::Result<PathBuf> {
        let path = self.path("key");
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(content.expose().as_bytes())?;
        if !content.expose().ends_with('\n') {
            // ssh considers a key without its last line break damaged.
            file.write_all(b"\n")?;
        }
        Ok(path)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // If this fails, the next run removes it.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The boot of the machine, the mount namespace of this process, and the user: two containers may share a
/// host's name, and no directory.
fn own_name() -> String {
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let view = fs::metadata("/proc/self/ns/mnt").map(|it| it.ino()).unwrap_or_default();
    let user = rustix::process::geteuid().as_raw();
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{name}:{}:{view}:{user}", read("/proc/sys/kernel/random/boot_id"))
}

fn parent() -> PathBuf {
    let temporary = std::env::temp_dir();
    if temporary.as_os_str().len() > LONGEST { PathBuf::from("/tmp") } else { temporary }
}

/// Removes the directories of this user's runs that are no longer locked. Their ssh processes end by
/// themselves when they have not been used for a while.
fn clear_dead(parent: &Path) {
    let own = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && fs::symlink_metadata(&path).is_ok_and(|it| it.is_dir() && it.uid() == own);
        if is_ours
            && let Ok(lock) = File::open(path.join(LOCK))
            && flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_goes_with_its_run_and_a_dead_one_is_cleared_away() {
        let parent = tempfile::tempdir().unwrap();
        let dead = parent.path().join("windlass-dead");
        let living = parent.path().join("windlass-living");
        let other = parent.path().join("other");
        for path in [&dead, &living, &other] {
            fs::create_dir(path).unwrap();
            File::create(path.join(LOCK)).unwrap();
        }
        let held = File::open(living.join(LOCK)).unwrap();
        flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
        clear_dead(parent.path());
        assert_eq!([dead.exists(), living.exists(), other.exists()], [false, true, true]);
    }

    #[test]
    fn a_run_is_dead_when_nobody_holds_its_lock() {
        let (room, other) = (Room::new().unwrap(), Room::new().unwrap());
        assert!(!room.has_died(&other.run()));
        let run = other.run();
        drop(other);
        assert!(room.has_died(&run));
        assert!(!room.has_died(&format!("elsewhere{run}")), "nobody knows of other machines");
        let parent = room.path.parent().unwrap().to_owned();
        let elsewhere = format!("{}:/nowhere/windlass-1", own_name());
        assert!(!room.has_died(&elsewhere), "runs with another temporary directory may live");
        let anothers = own_name().rsplit_once(':').unwrap().0.to_owned();
        let anothers = format!("{anothers}:4294967294:{}", parent.join("windlass-1").display());
        assert!(!room.has_died(&anothers), "the runs of others may live");
    }

    #[test]
    fn an_inline_key_is_for_its_owner_alone_and_ends_with_its_line() {
        let room = Room::new().unwrap();
        let path = room.keep(&Secret::new("key".to_owned())).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "key\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(room);
        assert!(!path.exists());
    }
}
