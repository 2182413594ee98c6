//! Moves the contents of a directory aside by renaming only: no byte is copied, so it needs no disk space,
//! and no time that grows with their size.
//!
//! ```text
//! an ordinary directory     /var/lib/etcd           ─▶ /var/lib/etcd-aside/7
//! a disk of its own         /var/lib/etcd/member    ─▶ /var/lib/etcd/aside/7/member     and a link where it was to be
//! a link to /ssd/etcd       /ssd/etcd/member        ─▶ /ssd/etcd/aside/7/member         and a link where it was to be
//! ```
//!
//! A disk cannot be renamed, and a link must keep naming the disk that somebody chose. A disk below the directory stays
//! where it is: etcd's log on it is moved aside within it, by a step of its own.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use windlass_model::FilePath;

use crate::fault::{At, Fault};
use crate::look::is_absent;
use crate::mounts::mounts;
use crate::put::{make_directory, sync_directory};

/// The directory within a disk of its own into which data is moved. etcd only warns of files that it does not
/// know there (`identifyDataDirOrDie` of `server/etcdmain/etcd.go`).
const INSIDE: &str = "aside";

/// Moves a directory, or all its contents, aside; a missing one has been moved already.
pub(crate) fn move_aside(path: &FilePath, to: &FilePath) -> Result<(), Fault> {
    set_aside(Path::new(path.as_str()), Path::new(to.as_str()), &mounts()?)
}

fn set_aside(from: &Path, to: &Path, mounts: &BTreeSet<PathBuf>) -> Result<(), Fault> {
    let is_link = match fs::symlink_metadata(from) {
        Err(error) if is_absent(&error) => return Ok(()),
        metadata => metadata.at(from.display())?.is_symlink(),
    };
    let real = match fs::canonicalize(from) {
        // A link to something that does not exist.
        Err(error) if is_absent(&error) => return Ok(()),
        real => real.at(from.display())?,
    };
    let holds_a_mount = mounts.iter().any(|mount| mount.starts_with(&real));
    if is_link || holds_a_mount {
        return set_contents_aside(&real, to, mounts);
    }
    if to.symlink_metadata().is_ok() {
        return Err(Fault::Refused { path: to.display().to_string(), why: "it is there already".to_owned() });
    }
    let parent = to.parent().unwrap_or(Path::new("/"));
    make_directory(parent).at(parent.display())?;
    fs::rename(from, to).at(from.display())?;
    sync_directory(parent).at(parent.display())
}

/// Moves the contents of a directory into one below it, and creates a link under the given name. If this is
/// interrupted, the next run moves the rest.
fn set_contents_aside(real: &Path, to: &Path, mounts: &BTreeSet<PathBuf>) -> Result<(), Fault> {
    let kept = real.join(INSIDE).join(to.file_name().unwrap_or_default());
    let mut entries = Vec::new();
    for entry in fs::read_dir(real).at(real.display())? {
        let name = entry.at(real.display())?.file_name();
        // What is mounted there would be moved with it; what a file system puts there itself belongs to nobody.
        let is_mounted = mounts.iter().any(|mount| mount.starts_with(real.join(&name)));
        if name != INSIDE && name != "lost+found" && !is_mounted {
            entries.push(name);
        }
    }
    let is_linked = fs::read_link(to).is_ok_and(|there| there == kept);
    if entries.is_empty() && (is_linked || !kept.exists()) {
        return Ok(());
    }
    if !is_linked && to.symlink_metadata().is_ok() {
        return Err(Fault::Refused { path: to.display().to_string(), why: "it is there already".to_owned() });
    }
    make_directory(&kept).at(kept.display())?;
    for name in entries {
        fs::rename(real.join(&name), kept.join(&name)).at(real.join(&name).display())?;
    }
    sync_directory(&kept).at(kept.display())?;
    sync_directory(real).at(real.display())?;
    if is_linked {
        return Ok(());
    }
    let parent = to.parent().unwrap_or(Path::new("/"));
    make_directory(parent).at(parent.display())?;
    symlink(&kept, to).at(to.display())?;
    sync_directory(parent).at(parent.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_disk_of_its_own_keeps_what_is_moved_aside() {
        let host = tempfile::tempdir().unwrap();
        let (disk, to) = (host.path().join("etcd"), host.path().join("etcd-aside/7"));
        fs::create_dir_all(disk.join("member/wal")).unwrap();
        fs::create_dir(disk.join("lost+found")).unwrap();
        let mounts = BTreeSet::from([fs::canonicalize(&disk).unwrap()]);
        set_aside(&disk, &to, &mounts).unwrap();
        assert_eq!(names(&disk), ["aside", "lost+found"]);
        assert_eq!(names(&disk.join("aside/7")), ["member"]);
        assert_eq!(names(&to), ["member"], "the name that was given leads there");
        set_aside(&disk, &to, &mounts).unwrap();
        assert_eq!(names(&disk.join("aside/7")), ["member"], "what is moved already stays so");
    }

    #[test]
    fn a_move_that_was_cut_off_is_finished() {
        let host = tempfile::tempdir().unwrap();
        let (disk, to) = (host.path().join("etcd"), host.path().join("etcd-aside/7"));
        fs::create_dir_all(disk.join("member")).unwrap();
        fs::create_dir_all(disk.join("aside/7/first")).unwrap();
        set_aside(&disk, &to, &BTreeSet::from([fs::canonicalize(&disk).unwrap()])).unwrap();
        assert_eq!(names(&to), ["first", "member"]);
    }

    #[test]
    fn a_link_goes_on_naming_the_disk_that_somebody_chose() {
        let host = tempfile::tempdir().unwrap();
        let (link, ssd) = (host.path().join("etcd"), host.path().join("ssd/etcd"));
        fs::create_dir_all(ssd.join("member")).unwrap();
        symlink(&ssd, &link).unwrap();
        let to = host.path().join("etcd-aside/7");
        set_aside(&link, &to, &BTreeSet::new()).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), ssd);
        assert_eq!(names(&ssd), ["aside"]);
        assert_eq!(names(&to), ["member"]);
    }

    #[test]
    fn a_disk_within_is_not_carried_along() {
        let host = tempfile::tempdir().unwrap();
        let from = host.path().join("etcd");
        fs::create_dir_all(from.join("disk/wal")).unwrap();
        fs::create_dir(from.join("member")).unwrap();
        let mounts = BTreeSet::from([fs::canonicalize(from.join("disk")).unwrap()]);
        let to = host.path().join("etcd-aside/7");
        set_aside(&from, &to, &mounts).unwrap();
        assert_eq!(names(&to), ["member"]);
        assert_eq!(names(&from), ["aside", "disk"]);
        set_aside(&from.join("disk/wal"), &from.join("disk/wal-aside/7"), &mounts).unwrap();
        assert_eq!(names(&from.join("disk")), ["wal-aside"]);
    }
}
