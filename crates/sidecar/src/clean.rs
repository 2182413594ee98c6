//! Deletes, moves aside and unmounts, and never deletes through a mount: what is mounted may be somebody's data.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount as unmount_at};
use windlass_model::FilePath;

use crate::fault::{At, Fault};
use crate::look::is_absent;
use crate::put::sync_directory;

/// Where the kernel tells what is mounted.
const MOUNTS: &str = "/proc/self/mountinfo";
/// What follows the name of a directory while it is copied.
const UNFINISHED: &str = ".windlass-new";

/// Deletes files, and directories with all that is in them.
pub(crate) fn remove(paths: &BTreeSet<FilePath>) -> Result<(), Fault> {
    let mounts = mounts()?;
    for path in paths {
        let target = match fs::canonicalize(path.as_str()) {
            Err(error) if is_absent(&error) => PathBuf::from(path.as_str()),
            canonical => canonical.at(path)?,
        };
        if let Some(inner) = mounts.iter().find(|mount| mount.starts_with(&target) && **mount != target) {
            let why = format!("{} is mounted in it, and is not deleted with it", inner.display());
            return Err(Fault::Refused { path: path.to_string(), why });
        }
    }
    paths.iter().try_for_each(|path| remove_one(Path::new(path.as_str()), &mounts))
}

fn remove_one(path: &Path, mounts: &BTreeSet<PathBuf>) -> Result<(), Fault> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if is_absent(&error) => return Ok(()),
        metadata => metadata.at(path.display())?,
    };
    if !metadata.is_dir() {
        return fs::remove_file(path).at(path.display());
    }
    if !mounts.contains(path) {
        return fs::remove_dir_all(path).at(path.display());
    }
    // A disk of its own stays mounted, and is emptied.
    for entry in fs::read_dir(path).at(path.display())? {
        remove_one(&entry.at(path.display())?.path(), mounts)?;
    }
    Ok(())
}

/// Renames a directory; one that is not there is moved already.
pub(crate) fn move_aside(path: &FilePath, to: &FilePath) -> Result<(), Fault> {
    let (from, target) = (Path::new(path.as_str()), Path::new(to.as_str()));
    let is_there = match fs::symlink_metadata(from) {
        Err(error) if is_absent(&error) => false,
        metadata => metadata.at(path).map(|_| true)?,
    };
    if !is_there {
        return Ok(());
    }
    if target.symlink_metadata().is_ok() {
        return Err(Fault::Refused { path: to.to_string(), why: "it is there already".to_owned() });
    }
    let parent = target.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).at(parent.display())?;
    let mounts = mounts()?;
    if mounts.contains(from) {
        return move_contents(from, target, &mounts);
    }
    fs::rename(from, target).at(path)?;
    sync_directory(parent).at(parent.display())
}

/// A disk of its own cannot be renamed: what is on it is copied, made durable, given its name, and only then deleted.
fn move_contents(from: &Path, target: &Path, mounts: &BTreeSet<PathBuf>) -> Result<(), Fault> {
    let mut unfinished = target.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    match fs::remove_dir_all(&unfinished) {
        Err(error) if !is_absent(&error) => return Err(error).at(unfinished.display()),
        _ => copy(from, &unfinished)?,
    }
    fs::rename(&unfinished, target).at(target.display())?;
    sync_directory(target.parent().unwrap_or(Path::new("/"))).at(target.display())?;
    remove_one(from, mounts)
}

/// Copies a tree with modes and owners; what is neither directory, file nor link is left out.
fn copy(from: &Path, to: &Path) -> Result<(), Fault> {
    let metadata = fs::symlink_metadata(from).at(from.display())?;
    let kind = metadata.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(from).at(from.display())?;
        symlink(target, to).at(to.display())?;
    } else if kind.is_dir() {
        fs::create_dir(to).at(to.display())?;
        for entry in fs::read_dir(from).at(from.display())? {
            let entry = entry.at(from.display())?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else if kind.is_file() {
        fs::copy(from, to).at(to.display())?;
    } else {
        return Ok(());
    }
    lchown(to, Some(metadata.uid()), Some(metadata.gid())).at(to.display())?;
    if kind.is_symlink() {
        return Ok(());
    }
    fs::set_permissions(to, fs::Permissions::from_mode(metadata.mode() & 0o7777)).at(to.display())?;
    sync_directory(to).at(to.display())
}

/// Unmounts whatever is mounted below, the deepest and the last first.
pub(crate) fn unmount(below: &BTreeSet<FilePath>) -> Result<(), Fault> {
    let is_below = |mount: &Path| {
        let text = mount.to_string_lossy();
        below.iter().any(|end| text.contains(&format!("{end}/")))
    };
    // Something may be mounted over something: each pass takes one layer off.
    loop {
        let mounts: Vec<PathBuf> = mounts()?.into_iter().filter(|mount| is_below(mount)).collect();
        if mounts.is_empty() {
            return Ok(());
        }
        for mount in mounts.iter().rev() {
            let plain = unmount_at(mount, UnmountFlags::NOFOLLOW);
            let gone = match plain {
                // In use: it goes when its last user does, and is out of the tree at once.
                Err(rustix::io::Errno::BUSY) => {
                    unmount_at(mount, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
                }
                // A mount below went with the one above it.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
                other => other,
            };
            gone.at(mount.display())?;
        }
    }
}

/// The places at which something is mounted.
fn mounts() -> Result<BTreeSet<PathBuf>, Fault> {
    let text = fs::read(MOUNTS).at(MOUNTS)?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(mount_point).collect())
}

/// The fifth field of a line, in which blanks and the like are written in octal (proc(5)).
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let field = line.split(|byte| *byte == b' ').nth(4)?;
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| behind.get(..3)).flatten().and_then(octal);
        if let Some(byte) = octal {
            path.push(byte);
            rest = &behind[3..];
        } else {
            path.push(*first);
            rest = behind;
        }
    }
    Some(PathBuf::from(OsString::from_vec(path)))
}

fn octal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_with_a_blank_is_read_back() {
        let line = br"36 35 98:0 /mnt1 /mnt\040two rw,noatime master:1 - ext3 /dev/root rw";
        assert_eq!(mount_point(line), Some(PathBuf::from("/mnt two")));
    }
}
