//! Snapshots that RKE 1 took: recognised, read back and unpacked.
//!
//! ```text
//! NAME.zip   backup/NAME                      the snapshot, as etcd gave it      ─▶ rke-NAME.db
//!            etc/kubernetes/NAME.rkestate     the state, with all keys: never read
//! NAME       the snapshot itself, without an extension (RKE before 0.2)          ─▶ rke-NAME.db
//! ```
//!
//! Nothing of RKE's is changed or deleted by this; what was found is in metadata beside the file, as for other snapshots.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use windlass_model::{RKE_ARCHIVE_EXTENSION, SnapshotProof, Timestamp, unpacked_name};
use zip::ZipArchive;
use zip::result::ZipError;

use super::draft::Draft;
use super::intake::begins_as_database;
use super::journal;
use super::proof::{self, Origin};
use super::take::{TakeError, check_room};
use crate::fault::{At, Fault};

/// The directory in an archive that holds the snapshot alone.
const BACKUP: &str = "backup/";
/// How much is unpacked at once.
const PIECE: usize = 1 << 20;

/// How RKE stored a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In an archive.
    Archive,
    /// As it is, in a file without an extension of its own.
    Plain,
}

/// What a file in a directory of snapshots is of RKE's; none where it is nothing of RKE's.
pub(super) fn form_of(path: &Path) -> Option<Form> {
    let name = path.file_name()?.to_str()?;
    if name.starts_with('.') || unpacked_name(name).is_none() {
        return None;
    }
    if name.ends_with(RKE_ARCHIVE_EXTENSION) {
        return Some(Form::Archive);
    }
    let mut beginning = Vec::new();
    File::open(path).ok()?.take(64).read_to_end(&mut beginning).ok()?;
    begins_as_database(&beginning).then_some(Form::Plain)
}

/// Why nothing was unpacked.
#[derive(Debug, thiserror::Error)]
enum UnpackError {
    /// The archive is no usable one: no other attempt will find it otherwise.
    #[error("{0}")]
    Damaged(String),
    /// This node cannot unpack it now.
    #[error(transparent)]
    Now(#[from] io::Error),
    #[error(transparent)]
    Room(#[from] TakeError),
}

impl From<ZipError> for UnpackError {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::Io(error) => Self::Now(error),
            error => Self::Damaged(format!("the archive of RKE cannot be read: {error}")),
        }
    }
}

/// Reads a snapshot of RKE back: its metadata, or why it is damaged. An archive is unpacked for that, into a file that goes
/// afterwards.
pub(super) fn prove(path: &Path, form: Form) -> Result<Result<SnapshotProof, String>, Fault> {
    let now = journal::now();
    match form {
        Form::Plain => Ok(proof::prove(path, origin_of(path), now).map_err(|error| error.to_string())),
        Form::Archive => Ok(unpacked(path, form)?.and_then(|draft| proved(path, form, &draft, now))),
    }
}

/// A snapshot of RKE in a draft, in the form of windlass, and its metadata.
pub(super) fn unpack(path: &Path, form: Form) -> Result<(Draft, SnapshotProof), Fault> {
    let refused = |why: String| Fault::Refused { path: path.display().to_string(), why };
    let draft = unpacked(path, form)?.map_err(refused)?;
    let mut proof = proved(path, form, &draft, journal::now()).map_err(refused)?;
    proof.archive_bytes = None;
    Ok((draft, proof))
}

/// What is known without reading: nothing says of which cluster it is.
fn origin_of(path: &Path) -> Origin {
    let written = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let since = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    Origin { taken_at: since.map(|since| Timestamp(since.as_secs())), ..Origin::default() }
}

fn proved(path: &Path, form: Form, draft: &Draft, now: Timestamp) -> Result<SnapshotProof, String> {
    let mut proof = proof::prove(draft.path(), origin_of(path), now).map_err(|error| error.to_string())?;
    proof.archive_bytes = (form == Form::Archive)
        .then(|| fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default());
    Ok(proof)
}

/// The snapshot in a file of RKE, in a draft; why not, where the file is damaged.
fn unpacked(path: &Path, form: Form) -> Result<Result<Draft, String>, Fault> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let refused = |why: String| Fault::Refused { path: path.display().to_string(), why };
    let mut draft = Draft::begin(directory)
        .at(directory.display())?
        .ok_or_else(|| refused("another snapshot is being written on this node: try again".to_owned()))?;
    match write_into(&mut draft, path, form) {
        Ok(()) => Ok(Ok(draft)),
        Err(UnpackError::Damaged(why)) => Ok(Err(why)),
        Err(error @ (UnpackError::Now(_) | UnpackError::Room(_))) => Err(refused(journal::reported(&error))),
    }
}

fn write_into(draft: &mut Draft, path: &Path, form: Form) -> Result<(), UnpackError> {
    let mut file = File::open(path)?;
    if form == Form::Plain {
        let bytes = file.metadata()?.len();
        return copy(&mut file, bytes, draft);
    }
    let mut archive = ZipArchive::new(file)?;
    let name = snapshot_in(&archive).map_err(|found| {
        UnpackError::Damaged(format!("the archive has {found} files in `{BACKUP}`, and not one"))
    })?;
    let mut inside = archive.by_name(&name)?;
    let bytes = inside.size();
    copy(&mut inside, bytes, draft)
}

/// The name of the only file that may be the snapshot; how many there are, where that is not one.
fn snapshot_in(archive: &ZipArchive<File>) -> Result<String, usize> {
    let names = archive.file_names().filter_map(Result::ok);
    let mut inside: Vec<_> =
        names.filter(|name| name.starts_with(BACKUP) && !name.ends_with('/')).map(Cow::into_owned).collect();
    let count = inside.len();
    inside.pop().filter(|_| count == 1).ok_or(count)
}

/// Writes exactly so many bytes: what an archive announces is what there must be room for.
fn copy(from: &mut impl io::Read, bytes: u64, draft: &mut Draft) -> Result<(), UnpackError> {
    check_room(draft.space()?, bytes)?;
    let mut piece = vec![0; PIECE];
    let mut written: u64 = 0;
    loop {
        let read = from.read(&mut piece).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        written += read as u64;
        if written > bytes {
            return Err(UnpackError::Damaged(format!(
                "the archive holds more than the {bytes} bytes it announces"
            )));
        }
        draft.write(&piece[..read])?;
    }
    if written == bytes {
        Ok(())
    } else {
        Err(UnpackError::Damaged(format!("it ends after {written} of {bytes} bytes")))
    }
}

/// What does not unpack is damaged; a disk that does not answer says nothing of it.
fn unreadable(error: io::Error) -> UnpackError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            UnpackError::Damaged(format!("the archive is damaged: {error}"))
        }
        _ if error.raw_os_error().is_none() => {
            UnpackError::Damaged(format!("the archive is damaged: {error}"))
        }
        _ => UnpackError::Now(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom, Write as _};
    use std::path::PathBuf;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// An archive with these files, as RKE writes it.
    fn archive(directory: &Path, name: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let path = directory.join(name);
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for (name, content) in files {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    fn content_of(path: &Path) -> Result<Vec<u8>, String> {
        unpacked(path, Form::Archive).unwrap().map(|draft| fs::read(draft.path()).unwrap())
    }

    const STATE: (&str, &[u8]) = ("etc/kubernetes/mine.rkestate", b"keys");

    #[test]
    fn the_snapshot_alone_is_unpacked_and_nothing_stays() {
        let directory = tempfile::tempdir().unwrap();
        let database = vec![7; 3 * PIECE + 5];
        let path = archive(directory.path(), "mine.zip", &[("backup/mine", &database), STATE]);
        assert_eq!(content_of(&path), Ok(database));
        let left: Vec<_> =
            fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["mine.zip"]);
    }

    #[test]
    fn an_archive_that_holds_something_else_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |name: &str, files: &[(&str, &[u8])]| {
            content_of(&archive(directory.path(), name, files)).unwrap_err()
        };
        assert!(refused("none.zip", &[STATE]).contains("0 files in `backup/`"));
        assert!(refused("two.zip", &[("backup/a", b"1"), ("backup/b", b"2")]).contains("2 files"));
        let path = archive(directory.path(), "foreign.zip", &[("backup/mine", b"no database")]);
        let why = prove(&path, Form::Archive).unwrap().unwrap_err();
        assert!(why.contains("no database"), "{why}");
        fs::write(directory.path().join("text.zip"), b"this is no archive").unwrap();
        assert!(content_of(&directory.path().join("text.zip")).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_changed_byte_in_an_archive_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let database: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let path = archive(directory.path(), "mine.zip", &[("backup/mine", &database)]);
        let mut file = File::options().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(5_000)).unwrap();
        file.write_all(&[0xFF; 3]).unwrap();
        assert!(content_of(&path).unwrap_err().contains("the archive is damaged"));
    }

    #[test]
    fn files_of_rke_are_recognised_by_name_and_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let mut database = vec![0; 16];
        database.extend_from_slice(&0xED0C_DAED_u32.to_le_bytes());
        let form = |name: &str, content: &[u8]| {
            let path = directory.path().join(name);
            fs::write(&path, content).unwrap();
            form_of(&path)
        };
        assert_eq!(form("2020-01-31T12:00:00Z_etcd", &database), Some(Form::Plain));
        assert_eq!(form("mine.zip", b"PK"), Some(Form::Archive));
        assert_eq!(form("mine.db", &database), None, "one of windlass");
        assert_eq!(form("mine.db.json", b"{}"), None);
        assert_eq!(form("pki.bundle.tar.gz", &[31; 64]), None);
        assert_eq!(form(".hidden", &database), None);
    }
}
