//! The operator's copy of the ledger: one file beside cluster.yml, readable only by its owner; and beside it
//! the recovery key, which opens what the cluster keeps of the ledger.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use windlass_engine::{LedgerFileError, LedgerStore, PortError, PortResult, RecoveryKey, decode, encode};
use windlass_model::Ledger;

/// The operator's copy of the ledger in a file.
///
/// *Guarantees*: the file is whole at every moment; when a commit returns, it is durable, by the rules of
/// POSIX: the content is flushed before the rename, the directory after it.
#[derive(Debug)]
pub(crate) struct FileLedger {
    path: PathBuf,
    recovery: PathBuf,
}

impl FileLedger {
    /// The ledger of this cluster.yml: `cluster.windlass-ledger.json` beside `cluster.yml`, and
    /// `cluster.windlass-recovery.key` beside it.
    pub(crate) fn beside(config: &Path) -> Self {
        Self {
            path: config.with_extension("windlass-ledger.json"),
            recovery: config.with_extension("windlass-recovery.key"),
        }
    }

    /// Opens a ledger as a cluster keeps it, which was put in the place of the file.
    fn open(&self, sealed: &[u8]) -> PortResult<Ledger> {
        let missing = || {
            let what = format!("it is sealed, and its recovery key `{}` is missing", self.recovery.display());
            self.lasting("read", what)
        };
        let key = self.recovery_key().ok_or_else(missing)?;
        key.open(sealed).map_err(|error| self.lasting("read", error))
    }

    /// The recovery key in its file.
    fn recovery_key(&self) -> Option<RecoveryKey> {
        RecoveryKey::parse(&fs::read_to_string(&self.recovery).ok()?)
    }

    /// Writes the recovery key of this ledger beside it. That of another cluster, which may be all that opens
    /// its snapshots, is renamed and kept.
    fn write_recovery_key(&self, ledger: &Ledger) -> io::Result<()> {
        let Some(key) = RecoveryKey::of(ledger) else { return Ok(()) };
        match self.recovery_key() {
            Some(there) if there == key => return Ok(()),
            Some(there) if there.lineage() != key.lineage() => {
                fs::rename(&self.recovery, self.recovery.with_extension(format!("{}.key", there.lineage())))?;
            }
            Some(_) | None => {}
        }
        write_durably(&self.recovery, key.text().expose().as_bytes(), Some(0o600))
    }

    fn lasting(&self, doing: &str, cause: impl std::fmt::Display) -> PortError {
        PortError::Lasting {
            what: format!("the ledger `{}` cannot be {doing}: {cause}", self.path.display()),
        }
    }
}

impl LedgerStore for FileLedger {
    fn read(&self) -> PortResult<Option<Ledger>> {
        match fs::read(&self.path) {
            Ok(bytes) => match decode(&bytes) {
                Err(LedgerFileError::Sealed) => self.open(&bytes).map(Some),
                decoded => decoded.map(Some).map_err(|error| self.lasting("read", error)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.lasting("read", error)),
        }
    }

    fn commit(&self, ledger: &Ledger) -> PortResult<()> {
        self.keep_recovery_key(ledger)?;
        write_durably(&self.path, encode(ledger).expose(), Some(0o600))
            .map_err(|error| self.lasting("written", error))
    }

    fn keep_recovery_key(&self, ledger: &Ledger) -> PortResult<()> {
        self.write_recovery_key(ledger).map_err(|cause| PortError::Lasting {
            what: format!("the recovery key `{}` cannot be written: {cause}", self.recovery.display()),
        })
    }

    fn delete(&self) -> PortResult<()> {
        match fs::remove_file(&self.path) {
            Ok(()) => flush_directory(&self.path).map_err(|error| self.lasting("deleted", error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.lasting("deleted", error)),
        }
    }
}

/// Replaces a file with this content, completely or not at all.
///
/// Without a mode the file keeps that of its predecessor.
pub(crate) fn write_durably(path: &Path, content: &[u8], mode: Option<u32>) -> io::Result<()> {
    let mode = mode.or_else(|| Some(fs::metadata(path).ok()?.permissions().mode())).unwrap_or(0o644);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let draft = path.with_file_name(name);
    // A draft that a dead run has left may have any mode.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    flush_directory(path)
}

fn flush_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use windlass_model::{CertKind, CertName, DesiredCert, Lineage, Secret, StoredCert, Timestamp};

    use super::*;

    fn ledger_with_ca(lineage: &str) -> Ledger {
        let mut ledger = Ledger::new(Lineage::from(lineage));
        let desired = DesiredCert {
            kind: CertKind::Authority,
            common_name: "kube-ca".to_owned(),
            organizations: Vec::new(),
            issuer: None,
            usages: BTreeSet::new(),
            sans: BTreeSet::new(),
            valid_days: 3650,
            service: None,
        };
        let cert = StoredCert {
            desired,
            certificate: "CERTIFICATE".to_owned(),
            key: Secret::new(format!("key of {lineage}")),
            issued_at: None,
            not_before: Timestamp(0),
            not_after: Timestamp(1),
            issuer: None,
        };
        ledger.certs.insert(CertName::from("kube-ca"), cert);
        ledger
    }

    #[test]
    fn a_sealed_ledger_in_the_place_of_the_file_is_opened_by_the_recovery_key_beside_it() {
        in_a_directory(|directory| {
            let store = FileLedger::beside(&directory.join("prod.yml"));
            let ledger = ledger_with_ca("blue");
            store.commit(&ledger).unwrap();
            assert_eq!(store.recovery, directory.join("prod.windlass-recovery.key"));
            assert_eq!(fs::metadata(&store.recovery).unwrap().permissions().mode() & 0o7777, 0o600);
            let sealed = RecoveryKey::of(&ledger).unwrap().seal(&ledger);
            fs::write(&store.path, sealed.expose()).unwrap();
            assert_eq!(store.read(), Ok(Some(ledger.clone())));
            store.commit(&ledger).unwrap();
            store.delete().unwrap();
            assert!(store.recovery.exists(), "a snapshot may be left that only it opens");
            fs::write(&store.path, sealed.expose()).unwrap();
            fs::remove_file(&store.recovery).unwrap();
            let Err(PortError::Lasting { what }) = store.read() else { panic!("it was read") };
            assert!(what.ends_with("prod.windlass-recovery.key` is missing"), "{what}");
        });
    }

    #[test]
    fn the_recovery_key_of_another_cluster_is_kept_under_another_name() {
        in_a_directory(|directory| {
            let store = FileLedger::beside(&directory.join("prod.yml"));
            store.commit(&ledger_with_ca("blue")).unwrap();
            let blue = fs::read_to_string(&store.recovery).unwrap();
            store.commit(&ledger_with_ca("red")).unwrap();
            let kept = directory.join("prod.windlass-recovery.blue.key");
            assert_eq!(fs::read_to_string(kept).unwrap(), blue);
            assert_ne!(fs::read_to_string(&store.recovery).unwrap(), blue);
        });
    }

    fn in_a_directory(test: impl FnOnce(&Path)) {
        let directory = std::env::temp_dir().join(format!(
            "windlass-ledger-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        fs::create_dir_all(&directory).unwrap();
        test(&directory);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_ledger_is_its_owners_alone_and_reads_back() {
        in_a_directory(|directory| {
            let store = FileLedger::beside(&directory.join("prod.yml"));
            assert_eq!(store.path, directory.join("prod.windlass-ledger.json"));
            assert_eq!(store.read(), Ok(None));
            let ledger = Ledger::new(Lineage::from("blue"));
            store.commit(&ledger).unwrap();
            store.commit(&ledger).unwrap();
            assert_eq!(fs::metadata(&store.path).unwrap().permissions().mode() & 0o7777, 0o600);
            assert_eq!(store.read(), Ok(Some(ledger)));
            assert_eq!(fs::read_dir(directory).unwrap().count(), 1, "no draft is left");
            store.delete().unwrap();
            store.delete().unwrap();
            assert_eq!(store.read(), Ok(None));
        });
    }

    #[test]
    fn a_damaged_ledger_is_an_error_and_never_none() {
        in_a_directory(|directory| {
            let store = FileLedger::beside(&directory.join("cluster.yml"));
            fs::write(&store.path, b"{").unwrap();
            let Err(PortError::Lasting { what }) = store.read() else { panic!("it was read") };
            assert!(what.ends_with("the ledger ends in the middle, at line 1, column 1"), "{what}");
        });
    }

    #[test]
    fn a_draft_of_a_run_that_died_is_no_obstacle() {
        in_a_directory(|directory| {
            let store = FileLedger::beside(&directory.join("cluster.yml"));
            fs::write(directory.join("cluster.windlass-ledger.json.new"), b"half").unwrap();
            store.commit(&Ledger::new(Lineage::from("blue"))).unwrap();
            assert!(store.read().unwrap().is_some());
        });
    }
}
