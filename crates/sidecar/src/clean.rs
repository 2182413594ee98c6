//! Deletes and unmounts, and never deletes through a mount: what is mounted may be somebody's data.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount as unmount_at};
use windlass_model::FilePath;

use crate::fault::{At, Fault};
use crate::look::is_absent;
use crate::mounts::mounts;

/// Deletes files, and directories with all their contents. A disk that is a named path, or contains one,
/// stays mounted: only what is named is deleted there.
pub(crate) fn remove(paths: &BTreeSet<FilePath>) -> Result<(), Fault> {
    let mounts = mounts()?;
    let mut targets = BTreeSet::new();
    for path in paths {
        targets.insert(match fs::canonicalize(path.as_str()) {
            Err(error) if is_absent(&error) => PathBuf::from(path.as_str()),
            canonical => canonical.at(path)?,
        });
    }
    for path in paths {
        let target = fs::canonicalize(path.as_str()).unwrap_or_else(|_| PathBuf::from(path.as_str()));
        let is_meant = |mount: &Path| targets.iter().any(|target| target.starts_with(mount));
        let foreign =
            |mount: &&PathBuf| mount.starts_with(&target) && **mount != target && !is_meant(mount.as_path());
        if let Some(inner) = mounts.iter().find(foreign) {
            let why = format!("{} is mounted in it, and is not deleted with it", inner.display());
            return Err(Fault::Refused { path: path.to_string(), why });
        }
    }
    remove_deepest_first(paths, &mounts)
}

/// The way to a path may lead through a link in a directory that is deleted, too.
fn remove_deepest_first(paths: &BTreeSet<FilePath>, mounts: &BTreeSet<PathBuf>) -> Result<(), Fault> {
    paths.iter().rev().try_for_each(|path| remove_all(Path::new(path.as_str()), mounts))
}

/// Deletes a path. A link that somebody put there to a directory elsewhere stays, as a separate disk does,
/// and that directory is emptied: it has what was written through the link.
fn remove_all(path: &Path, mounts: &BTreeSet<PathBuf>) -> Result<(), Fault> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if is_absent(&error) => return Ok(()),
        metadata => metadata.at(path.display())?,
    };
    let is_directory = path.is_dir();
    if !is_directory {
        return fs::remove_file(path).at(path.display());
    }
    let real = fs::canonicalize(path).at(path.display())?;
    if real.parent().is_none() {
        let why = "it is the root of the file system".to_owned();
        return Err(Fault::Refused { path: path.display().to_string(), why });
    }
    if metadata.is_symlink() || mounts.contains(&real) {
        return empty(&real, mounts);
    }
    remove_one(&real, mounts)
}

/// Deletes all contents of a directory except what is mounted there and the directories that lead to it.
fn empty(directory: &Path, mounts: &BTreeSet<PathBuf>) -> Result<(), Fault> {
    for entry in fs::read_dir(directory).at(directory.display())? {
        remove_one(&entry.at(directory.display())?.path(), mounts)?;
    }
    Ok(())
}

fn remove_one(path: &Path, mounts: &BTreeSet<PathBuf>) -> Result<(), Fault> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if is_absent(&error) => return Ok(()),
        metadata => metadata.at(path.display())?,
    };
    if !metadata.is_dir() {
        return fs::remove_file(path).at(path.display());
    }
    if mounts.contains(path) {
        return Ok(());
    }
    if mounts.iter().any(|mount| mount.starts_with(path)) {
        return empty(path, mounts);
    }
    fs::remove_dir_all(path).at(path.display())
}

/// Unmounts everything that is mounted below these directories, the deepest and the last first. A disk that
/// is one of the directories stays, and so does whatever is mounted elsewhere, whatever its name.
pub(crate) fn unmount(below: &BTreeSet<FilePath>) -> Result<(), Fault> {
    // The kernel names a mount by its place without links.
    let below: BTreeSet<PathBuf> = below
        .iter()
        .flat_map(|path| [Some(PathBuf::from(path.as_str())), fs::canonicalize(path.as_str()).ok()])
        .flatten()
        .filter(|path| path.parent().is_some())
        .collect();
    let is_below =
        |mount: &Path| below.iter().any(|above| mount.starts_with(above) && mount != above.as_path());
    // Mounts may be stacked: each pass removes one layer.
    loop {
        let mounts: Vec<PathBuf> = mounts()?.into_iter().filter(|mount| is_below(mount)).collect();
        if mounts.is_empty() {
            return Ok(());
        }
        for mount in mounts.iter().rev() {
            let plain = unmount_at(mount, UnmountFlags::NOFOLLOW);
            let gone = match plain {
                // In use: it is removed with its last user, and leaves the tree at once.
                Err(rustix::io::Errno::BUSY) => {
                    unmount_at(mount, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
                }
                // A mount below was removed with the one above it.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
                other => other,
            };
            gone.at(mount.display())?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_stays_and_is_emptied_only_where_it_is_named() {
        let host = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(host.path()).unwrap();
        let at = |path: &str| root.join(path);
        for path in ["etcd/data/member", "etcd/wal/wal_dir", "etcd/old", "other/x"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        // Two disks within one directory; one of them contains the named path.
        let mounts = BTreeSet::from([at("etcd/data"), at("etcd/wal")]);
        for named in ["etcd", "etcd/data", "etcd/wal/wal_dir"] {
            remove_all(&at(named), &mounts).unwrap();
        }
        let exist = ["etcd/data", "etcd/data/member", "etcd/wal", "etcd/wal/wal_dir", "etcd/old", "other/x"];
        assert_eq!(exist.map(|path| at(path).exists()), [true, false, true, false, false, true]);
    }

    #[test]
    fn what_is_named_behind_a_link_goes_before_the_link() {
        let host = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(host.path()).unwrap();
        let at = |path: &str| root.join(path);
        for path in ["etcd", "disk/member/snap", "disk/other"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        std::os::unix::fs::symlink(at("disk"), at("etcd/data")).unwrap();
        let named = |path: &str| FilePath::from(at(path).to_str().unwrap());
        let paths = BTreeSet::from([named("etcd"), named("etcd/data/member")]);
        remove_deepest_first(&paths, &BTreeSet::new()).unwrap();
        let exist = ["etcd", "disk/member", "disk/other"];
        assert_eq!(exist.map(|path| at(path).exists()), [false, false, true]);
    }
}
