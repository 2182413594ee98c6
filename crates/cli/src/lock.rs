//! One operator at a time: a lock beside the ledger file, held by the process of the run that changes the cluster.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use windlass_model::Timestamp;

use crate::command_error::CommandError;

/// How many bytes of another run's description are shown at most.
const LONGEST: u64 = 300;

/// The lock on a cluster's ledger file. The system releases it with the process that holds it, however that
/// ends.
#[derive(Debug)]
pub(crate) struct OperatorLock {
    path: PathBuf,
    _file: File,
}

impl OperatorLock {
    /// Takes the lock for a command that changes the cluster of this cluster.yml.
    ///
    /// # Errors
    /// Another run holds it, or the file cannot be written.
    pub(crate) fn take(config: &Path, command: &str, now: Timestamp) -> Result<Self, CommandError> {
        let path = config.with_extension("windlass-ledger.lock");
        let unwritable = |source: io::Error| CommandError::LockUnwritable { path: path.clone(), source };
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(unwritable)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    return Err(CommandError::Locked { path: path.clone(), holder: holder(&mut file) });
                }
                Err(error) => return Err(unwritable(error.into())),
            }
            // The run that held it deletes the file as it ends: then this lock is on a file that is gone.
            let is_there = std::fs::metadata(&path).is_ok_and(|there| {
                file.metadata().is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino()))
            });
            if is_there {
                let words = format!("{}\n", this_run(command, now));
                file.set_len(0).and_then(|()| file.write_all(words.as_bytes())).map_err(unwritable)?;
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for OperatorLock {
    fn drop(&mut self) {
        // As long as the file is locked no other run takes it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The description of the run that holds the lock, without characters that control a terminal.
fn holder(file: &mut File) -> String {
    let mut said = String::new();
    let read = file.rewind().and_then(|()| file.take(LONGEST).read_to_string(&mut said));
    let said: String = said.chars().filter(|letter| !letter.is_control()).collect();
    match read {
        Ok(_) if !said.is_empty() => said,
        _ => "a run that has just begun".to_owned(),
    }
}

/// How other runs are shown this one: `up, process 7 on host, since 2026-01-01T00:00:00Z`.
pub(crate) fn this_run(command: &str, now: Timestamp) -> String {
    format!("{command}, process {} on {}, since {now}", std::process::id(), machine())
}

fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "this machine".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_holds_the_lock_and_the_next_learns_who() {
        let directory = std::env::temp_dir().join(format!("windlass-lock-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let config = directory.join("prod.yml");
        let path = directory.join("prod.windlass-ledger.lock");
        let held = OperatorLock::take(&config, "up", Timestamp(0)).unwrap();
        let Err(CommandError::Locked { path: named, holder }) =
            OperatorLock::take(&config, "remove", Timestamp(1))
        else {
            panic!("two runs hold it")
        };
        let own = format!("up, process {} on {}, since 1970-01-01T00:00:00Z", std::process::id(), machine());
        assert_eq!((named, holder), (path.clone(), own));
        drop(held);
        assert!(!path.exists());
        // What a killed run has left is no obstacle.
        std::fs::write(&path, "up, process 1 on elsewhere, since long ago, and long words").unwrap();
        let held = OperatorLock::take(&config, "up", Timestamp(2)).unwrap();
        let words = std::fs::read_to_string(&path).unwrap();
        assert!(words.ends_with("since 1970-01-01T00:00:02Z\n"), "{words}");
        drop(held);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
