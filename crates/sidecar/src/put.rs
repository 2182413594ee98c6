//! Writes files so that each is complete or missing, even after a loss of power.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use windlass_model::Digest;

use crate::fault::{At, Fault};
use crate::look;
use crate::protocol::{FileToPut, SeenFile};

/// The suffix of a file while it is written. A left-over of an interrupted run is overwritten.
const UNFINISHED: &str = ".windlass-new";

/// Writes files in order. One that is as desired already keeps its time of change.
pub(crate) fn put(files: &[FileToPut]) -> Result<(), Fault> {
    files.iter().try_for_each(put_one)
}

fn put_one(file: &FileToPut) -> Result<(), Fault> {
    let FileToPut { path, content, mode, owner } = file;
    let there = look::read(path)?.map(|(seen, _)| seen);
    if there == Some(SeenFile { digest: Digest::of(&content.0), mode: *mode, owner: *owner }) {
        return Ok(());
    }
    let target = Path::new(path.as_str());
    let (Some(directory), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(Fault::Refused { path: path.to_string(), why: "no path of a file".to_owned() });
    };
    make_directory(directory).at(directory.display())?;
    let unfinished = directory.join(format!("{}{UNFINISHED}", name.to_string_lossy()));
    let written = write(&unfinished, file).and_then(|()| fs::rename(&unfinished, target));
    if written.is_err() {
        // What is left of a key must not stay; if this fails too, the next attempt overwrites it.
        let _ = fs::remove_file(&unfinished);
    }
    written.at(path)?;
    sync_directory(directory).at(directory.display())
}

fn write(unfinished: &Path, file: &FileToPut) -> io::Result<()> {
    match fs::remove_file(unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // No other user may open it before it has its mode and owner.
    let mut unfinished = OpenOptions::new().write(true).create_new(true).mode(0o600).open(unfinished)?;
    unfinished.write_all(&file.content.0)?;
    fchown(&unfinished, Some(file.owner.uid), Some(file.owner.gid))?;
    unfinished.set_permissions(fs::Permissions::from_mode(file.mode.0))?;
    unfinished.sync_all()
}

/// Creates a directory and its parents, and makes sure that they survive a loss of power.
pub(crate) fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        make_directory(parent)?;
    }
    match DirBuilder::new().mode(mode_of(directory)).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    directory.parent().map_or(Ok(()), sync_directory)
}

/// The mode of a directory that is created for a file. etcd creates its own `member` for itself only, and
/// warns of any other mode (`CheckDirPermission` in etcd's `client/pkg/fileutil`).
fn mode_of(directory: &Path) -> u32 {
    if directory.ends_with("member") { 0o700 } else { 0o755 }
}

pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
