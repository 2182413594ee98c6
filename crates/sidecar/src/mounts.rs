//! What is mounted, as the kernel lists it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::fault::{At, Fault};

/// Where the kernel lists the mounts.
const MOUNTS: &str = "/proc/self/mountinfo";

/// The kinds of file systems whose directories may not answer, beside those of FUSE.
const REMOTE: [&str; 11] =
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "9p", "afs", "lustre", "beegfs", "autofs"];

/// The mount points.
pub(crate) fn mounts() -> Result<BTreeSet<PathBuf>, Fault> {
    let text = fs::read(MOUNTS).at(MOUNTS)?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(mount_point).collect())
}

/// The mount points of file systems that may wait for another machine, or for a program.
pub(crate) fn remote_mounts() -> Result<BTreeSet<PathBuf>, Fault> {
    let text = fs::read(MOUNTS).at(MOUNTS)?;
    let is_remote = |line: &&[u8]| {
        let line = String::from_utf8_lossy(line);
        let kind = line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next());
        kind.is_some_and(|kind| REMOTE.contains(&kind) || kind.starts_with("fuse"))
    };
    Ok(text.split(|byte| *byte == b'\n').filter(is_remote).filter_map(mount_point).collect())
}

/// The fifth field of a line, in which blanks and similar characters are written in octal (proc(5)).
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
