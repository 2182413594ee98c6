//! The snapshots in a directory, for requests: listed, read back, taken, deleted, and restored into data.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use windlass_model::{
    ChosenSnapshot, FilePath, Owner, RESTORED_MARK, RollingSeen, SNAPSHOT_EXTENSION, SnapshotSeen,
    SnapshotState, SnapshotWanted, Timestamp, rolling_name, unpacked_name,
};

use super::arguments::Target;
use super::journal;
use super::name;
use super::proof::{self, Origin};
use super::record::recorded;
use super::rke;
use super::take::take;
use crate::etcd::Access;
use crate::fault::{At, Fault};
use crate::look::is_absent;
use crate::protocol::{Bytes, FORMING, FORMING_LOG, FileToPut, Forming, Holder};
use crate::put::{make_directory, sync_directory};

const MEMBER: &str = "member";

/// All snapshots in a directory, with what the metadata beside them says; the oldest first.
pub(crate) fn list(directory: &FilePath) -> Result<Vec<SnapshotSeen>, Fault> {
    let entries = match fs::read_dir(directory.as_str()) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries.at(directory)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.at(directory)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') || !is_snapshot(&entry.path(), &name) {
            continue;
        }
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => found.push(seen(&entry.path(), name, &metadata)),
            // Retention may have removed it meanwhile.
            _ => {}
        }
    }
    found.sort_by(|one, other| (one.taken_at(), &one.name).cmp(&(other.taken_at(), &other.name)));
    Ok(found)
}

/// Whether a file is called as snapshots are; one without an extension begins as they do.
fn is_snapshot(path: &Path, name: &str) -> bool {
    name.ends_with(SNAPSHOT_EXTENSION) || rke::form_of(path).is_some()
}

/// The newest periodic snapshot in a directory, and what the process that takes them records; none if there is
/// no such directory.
pub(crate) fn rolling(directory: &Path) -> io::Result<Option<RollingSeen>> {
    let moments = match name::moments_in(directory) {
        Err(error) if is_absent(&error) => return Ok(None),
        moments => moments?,
    };
    let newest = moments.last().map(|moment| {
        let name = rolling_name(*moment);
        let path = directory.join(&name);
        fs::metadata(&path).map(|metadata| seen(&path, name, &metadata))
    });
    let newest = match newest.transpose() {
        // Somebody has removed it meanwhile.
        Err(error) if is_absent(&error) => None,
        newest => newest?,
    };
    Ok(Some(RollingSeen { newest, journal: recorded(directory)? }))
}

/// What is known without reading it.
pub(super) fn seen(path: &Path, name: String, metadata: &fs::Metadata) -> SnapshotSeen {
    let bytes = metadata.len();
    let state = SnapshotState::noted(proof::damage_noted(path), proof::noted(path), bytes);
    let written_at = Timestamp(u64::try_from(metadata.mtime()).unwrap_or_default());
    SnapshotSeen { name, bytes, written_at, state }
}

/// The path of a snapshot that was requested by name: nothing else in the directory, and nothing elsewhere.
pub(super) fn path_of(directory: &FilePath, name: &str) -> Result<PathBuf, Fault> {
    let refused = |why: &str| Fault::Refused { path: format!("{directory}/{name}"), why: why.to_owned() };
    if name.starts_with('.') || name.contains('/') {
        return Err(refused("this is no name of a snapshot"));
    }
    let path = Path::new(directory.as_str()).join(name);
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() && is_snapshot(&path, name) => Ok(path),
        Ok(metadata) if metadata.is_file() => Err(refused("this is no snapshot")),
        Ok(_) => Err(refused("it is no file")),
        Err(error) if is_absent(&error) => Err(refused("there is no such snapshot")),
        Err(error) => Err(error).at(path.display()),
    }
}

/// Reads a snapshot back, and records the result.
pub(crate) fn verify(directory: &FilePath, name: &str) -> Result<SnapshotSeen, Fault> {
    let path = path_of(directory, name)?;
    let former = proof::noted(&path);
    let origin = former.as_ref().map(Origin::of).unwrap_or_default();
    let metadata = fs::metadata(&path).at(path.display())?;
    let mut seen = seen(&path, name.to_owned(), &metadata);
    let proved = match rke::form_of(&path) {
        Some(form) => rke::prove(&path, form)?,
        None => proof::prove(&path, origin, journal::now()).map_err(|error| error.to_string()),
    };
    seen.state = match proved {
        Err(why) => SnapshotState::Damaged(why),
        Ok(proof) if former.is_some_and(|former| former.sha256 != proof.sha256) => {
            SnapshotState::Damaged("its digest is another than when it was taken".to_owned())
        }
        Ok(proof) => {
            proof::note(&path, &proof).at(path.display())?;
            SnapshotState::Proven(Box::new(proof))
        }
    };
    match &seen.state {
        SnapshotState::Damaged(why) => proof::note_damage(&path, why).at(path.display())?,
        SnapshotState::Proven(_) | SnapshotState::Unproven => remove_if_there(&proof::damage_of(&path))?,
    }
    Ok(seen)
}

/// Unpacks a snapshot of RKE beside it, in the form of windlass, and reads it back before it gets its name. Where it is
/// there already, that is the result.
pub(crate) fn unpack(directory: &FilePath, name: &str) -> Result<SnapshotSeen, Fault> {
    let path = path_of(directory, name)?;
    let refused = |why: String| Fault::Refused { path: path.display().to_string(), why };
    let (Some(form), Some(target)) = (rke::form_of(&path), unpacked_name(name)) else {
        return Err(refused("it is no snapshot of RKE".to_owned()));
    };
    let at = path.with_file_name(&target);
    let (draft, proof) = rke::unpack(&path, form)?;
    if !at.exists() {
        draft.keep_as(&target).at(at.display())?;
        proof::note(&at, &proof).at(at.display())?;
    } else if proof::noted(&at).is_none_or(|noted| noted.sha256 != proof.sha256) {
        return Err(refused(format!("`{target}` is there, and is another snapshot: delete it first")));
    }
    let metadata = fs::metadata(&at).at(at.display())?;
    Ok(seen(&at, target, &metadata))
}

/// Takes a snapshot of the member on this node, and reads it back.
pub(crate) fn save(wanted: &SnapshotWanted) -> Result<SnapshotSeen, Fault> {
    let SnapshotWanted { directory, name, endpoint, authority, certificate, key, kubernetes, ledger_serial } =
        wanted;
    let refused = |why: String| Fault::Refused { path: format!("{directory}/{name}"), why };
    let file = name::requested(name).map_err(|why| refused(why.to_owned()))?;
    make_directory(Path::new(directory.as_str())).at(directory)?;
    let target = Target {
        access: Access {
            endpoints: vec![endpoint.clone()],
            authority: authority.as_str().into(),
            certificate: certificate.as_str().into(),
            key: key.as_str().into(),
        },
        directory: directory.as_str().into(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().at(directory)?;
    runtime
        .block_on(take(&target.access, &target.directory, &file))
        .map_err(|error| refused(journal::reported(&error)))?;
    let path = target.directory.join(&file);
    if let Some(mut proof) = proof::noted(&path) {
        (proof.kubernetes, proof.ledger_serial) = (kubernetes.clone(), *ledger_serial);
        proof::note(&path, &proof).at(path.display())?;
    }
    let metadata = fs::metadata(&path).at(path.display())?;
    Ok(seen(&path, file, &metadata))
}

/// Whether the file system of this program's own container has room for so many bytes.
pub(crate) fn check_dockers_room(bytes: u64) -> Result<(), Fault> {
    let system = rustix::fs::statvfs("/").map_err(io::Error::from).at("Docker's disk")?;
    super::take::check_room(super::draft::Space::of(&system), bytes)
        .map_err(|error| Fault::Refused { path: "Docker's disk".to_owned(), why: journal::reported(&error) })
}

/// Deletes a snapshot and its metadata.
pub(crate) fn delete(directory: &FilePath, name: &str) -> Result<(), Fault> {
    let path = path_of(directory, name)?;
    fs::remove_file(&path).at(path.display())?;
    remove_if_there(&proof::note_of(&path))?;
    remove_if_there(&proof::damage_of(&path))?;
    sync_directory(Path::new(directory.as_str())).at(directory)
}

fn remove_if_there(path: &Path) -> Result<(), Fault> {
    match fs::remove_file(path) {
        Err(error) if !is_absent(&error) => Err(error).at(path.display()),
        _ => Ok(()),
    }
}

// Copies for a restore.

/// Whether this node's copy of the chosen snapshot is there and, byte for byte, what was chosen; what is something else under
/// its name goes. On the node that holds the snapshot a copy is made where there is none.
pub(crate) fn hold_copy(snapshot: &ChosenSnapshot, holder: Holder) -> Result<bool, Fault> {
    let staged = snapshot.staged();
    let staged = Path::new(staged.as_str());
    if let Some(directory) = staged.parent() {
        make_directory(directory).at(directory.display())?;
    }
    if holder == Holder::ThisNode && !staged.exists() {
        let from = path_of(&snapshot.directory, &snapshot.name)?;
        // Two names of one file: retention may remove the first.
        match fs::hard_link(&from, staged) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                fs::copy(&from, staged).map(|_| ()).at(staged.display())?;
            }
            _ => {}
        }
    }
    if !staged.exists() {
        return Ok(false);
    }
    let proof = proof::prove(staged, Origin::default(), journal::now());
    if proof.is_ok_and(|proof| proof.sha256 == snapshot.sha256) {
        return Ok(true);
    }
    remove_if_there(staged)?;
    Ok(false)
}

/// Turns what arrived under the snapshot's own name beside the staged copies into the copy.
pub(crate) fn accept_copy(snapshot: &ChosenSnapshot) -> Result<bool, Fault> {
    let staged = snapshot.staged();
    let staged = Path::new(staged.as_str());
    let arrived = staged.with_file_name(&snapshot.name);
    let file = File::open(&arrived).at(arrived.display())?;
    file.sync_all().at(arrived.display())?;
    fs::rename(&arrived, staged).at(staged.display())?;
    hold_copy(snapshot, Holder::OtherNode)
}

// Data of a member.

/// Whether a member's data is of this restore. Otherwise its directories are ready for that: data of another member is
/// an error, and what an earlier attempt left goes.
pub(crate) fn is_formed(forming: &Forming) -> Result<bool, Fault> {
    let data = Path::new(forming.data.as_str());
    if has_mark(&data.join(MEMBER), &forming.token)? {
        return Ok(true);
    }
    let other = |what: &str, path: &Path| {
        let why = format!("{what} of another member is there: it is never overwritten");
        Err(Fault::Refused { path: path.display().to_string(), why })
    };
    if data.join(MEMBER).exists() {
        return other("data", data);
    }
    if let Some(log) = forming.log.as_ref().map(|log| Path::new(log.as_str())) {
        let above = log.parent().unwrap_or(log);
        let formed = above.join(FORMING_LOG);
        if is_filled(log).at(log.display())? {
            // The log gets its name first: an earlier attempt ended between the two.
            if formed.exists() || !has_mark(&data.join(FORMING).join(MEMBER), &forming.token)? {
                return other("the log", log);
            }
            adopt(forming)?;
            return Ok(true);
        }
        make_directory(above).at(above.display())?;
        remove_tree(&formed)?;
    }
    make_directory(data).at(data.display())?;
    remove_tree(&data.join(FORMING))?;
    Ok(false)
}

/// Whether a member's directory has the mark of this restore.
fn has_mark(member: &Path, token: &str) -> Result<bool, Fault> {
    let mark = member.join(Path::new(RESTORED_MARK).file_name().unwrap_or_default());
    match fs::read(&mark) {
        Ok(content) => Ok(content == token.as_bytes()),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(error).at(mark.display()),
    }
}

/// Whether there is anything in a directory.
fn is_filled(directory: &Path) -> io::Result<bool> {
    match fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove_tree(path: &Path) -> Result<(), Fault> {
    match fs::remove_dir_all(path) {
        Err(error) if !is_absent(&error) => Err(error).at(path.display()),
        _ => Ok(()),
    }
}

/// Turns the data that was created beside it into the data, with its mark, all at once; removes the node's
/// copy of the snapshot. A log at a place of its own gets its name before: without the data it is recognised by the mark.
pub(crate) fn adopt(forming: &Forming) -> Result<(), Fault> {
    let Forming { data, log, token, staged } = forming;
    let data = Path::new(data.as_str());
    let formed = data.join(FORMING).join(MEMBER);
    let mark = formed.join(Path::new(RESTORED_MARK).file_name().unwrap_or_default());
    let file = FileToPut {
        path: mark.to_string_lossy().into_owned().into(),
        content: Bytes(token.as_bytes().to_vec()),
        mode: windlass_model::Mode(0o600),
        owner: Owner::default(),
    };
    crate::put::put(&[file])?;
    sync_tree(&formed).at(formed.display())?;
    if let Some(log) = log.as_ref().map(|log| Path::new(log.as_str())) {
        let above = log.parent().unwrap_or(log);
        let formed = above.join(FORMING_LOG);
        if formed.exists() {
            sync_tree(&formed).at(formed.display())?;
            fs::rename(&formed, log).at(formed.display())?;
            sync_directory(above).at(above.display())?;
        }
    }
    fs::rename(&formed, data.join(MEMBER)).at(formed.display())?;
    sync_directory(data).at(data.display())?;
    remove_tree(&data.join(FORMING))?;
    remove_if_there(Path::new(staged.as_str()))
}

/// Makes all contents of a directory durable: the program that created them does not guarantee that.
fn sync_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_directory(directory)
}
