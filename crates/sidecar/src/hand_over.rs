//! Gives a directory to a user: the directory, closed to all others, and all its contents.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, fchmod, fchown, fstat, fsync, open,
    openat, statat,
};
use rustix::io::Errno;
use windlass_model::{FilePath, Owner};

use crate::fault::{At, Fault};
use crate::put::make_directory;

/// The mode of a directory that only its owner may enter. etcd warns of any other.
const MODE: Mode = Mode::RWXU;

/// Creates the directory if it is missing, and gives it and all its contents to the owner.
///
/// *Guarantees*: what is as desired already is left alone, and the next run does what an interrupted one
/// has not done. Nothing outside of the directory is touched: no link is followed, and the walk uses open
/// directories, so that nobody can redirect it by replacing a directory with a link meanwhile. The path of
/// the directory itself may contain links: they are root's own.
///
/// *Fails when* somebody else's file system is mounted in it.
pub(crate) fn hand_over(directory: &FilePath, owner: Owner) -> Result<(), Fault> {
    let path = Path::new(directory.as_str());
    make_directory(path).at(directory)?;
    let top = open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).at(directory)?;
    let there = fstat(&top).at(directory)?;
    let heir = Heir { owner, device: there.st_dev };
    let mut changed = Mode::from_raw_mode(there.st_mode) != MODE;
    if changed {
        fchmod(&top, MODE).at(directory)?;
    }
    changed |= heir.take_contents(&top, path)?;
    if changed || !heir.owns(&there) {
        let (user, group) = heir.ids();
        fchown(&top, Some(user), Some(group)).at(directory)?;
        // File systems keep such changes in their order: when the last is durable, so are those before it.
        // Otherwise a loss of power might give files back to root, and Docker alone would start the container
        // again.
        fsync(&top).at(directory)?;
    }
    Ok(())
}

/// The user who gets everything on this device.
struct Heir {
    owner: Owner,
    device: u64,
}

impl Heir {
    /// Gives all contents of a directory to the owner; returns whether any of it belonged to somebody else.
    fn take_contents(&self, directory: &OwnedFd, path: &Path) -> Result<bool, Fault> {
        let mut changed = false;
        for entry in Dir::read_from(directory).at(path.display())? {
            let entry = entry.at(path.display())?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let path = path.join(&*name.to_string_lossy());
            let there = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                // It was deleted meanwhile.
                Err(Errno::NOENT) => continue,
                there => there.at(path.display())?,
            };
            if there.st_dev != self.device {
                self.check_mount(&there, &path)?;
                continue;
            }
            if FileType::from_raw_mode(there.st_mode) == FileType::Directory {
                let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let inner = openat(directory, name, flags, Mode::empty()).at(path.display())?;
                changed |= self.take_contents(&inner, &path)?;
            }
            if !self.owns(&there) {
                let (user, group) = self.ids();
                chownat(directory, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)
                    .at(path.display())?;
                changed = true;
            }
        }
        Ok(changed)
    }

    /// A mounted file system is not given away with the directory: it may be somebody's data. If it belongs
    /// to the owner already, it was meant to be there.
    fn check_mount(&self, there: &Stat, path: &Path) -> Result<(), Fault> {
        if self.owns(there) {
            return Ok(());
        }
        let why = format!(
            "it is mounted there, and is not handed over with what is around it: give it to {} by `chown`",
            self.owner
        );
        Err(Fault::Refused { path: path.display().to_string(), why })
    }

    fn owns(&self, there: &Stat) -> bool {
        (there.st_uid, there.st_gid) == (self.owner.uid, self.owner.gid)
    }

    fn ids(&self) -> (Uid, Gid) {
        (Uid::from_raw(self.owner.uid), Gid::from_raw(self.owner.gid))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_file_system_of_its_own_is_left_alone_if_it_is_the_owners_and_refused_if_not() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("disk"), "x").unwrap();
        let there = fs::metadata(directory.path()).unwrap();
        let top = open(directory.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
        let taken = |uid: u32| {
            let owner = Owner { uid, gid: there.gid() };
            Heir { owner, device: there.dev() + 1 }.take_contents(&top, Path::new("/data"))
        };
        assert!(!taken(there.uid()).unwrap());
        let why = taken(there.uid() + 1).unwrap_err().to_string();
        assert!(why.starts_with("/data/disk: it is mounted there"), "{why}");
    }
}
