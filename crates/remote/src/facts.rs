//! What an unprivileged user of a node can see: a script that only reads, and the parser of its output.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use windlass_engine::LookScope;
use windlass_model::{Digest, FilePath, FileSeen, Mode, Owner};

use crate::etcd_places::OfEtcd;
use crate::link::quoted;

/// What can be known of files and directories without being root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unprivileged {
    pub(crate) files: BTreeMap<FilePath, FileSeen>,
    pub(crate) directories: BTreeSet<FilePath>,
    /// Of these nothing is known, or not everything.
    pub(crate) hidden: BTreeSet<FilePath>,
}

impl Unprivileged {
    /// Whether root would see nothing more.
    pub(crate) fn is_whole(&self) -> bool {
        self.hidden.is_empty()
    }
}

/// The kinds of file systems whose directories may not answer, as patterns of a shell, and a function that says whether
/// a path is on one: then it is not touched.
pub(crate) const FAR: &str = r#"n=
while read -r s p t r; do case $t in nfs*|cifs|smb*|ceph|9p|afs|lustre|beegfs|autofs|fuse*) n="$n$p
";; esac; done < /proc/self/mounts
far() { l=$1; while [ -n "$l" ] && [ "$l" != / ]; do case "
$n" in *"
$l
"*) return;; esac; l=${l%/*}; done; false; }
"#;

/// A script that reports the files and directories of a scope. One line each: `f MODE UID GID DIGEST PATH`
/// for a file, `d PATH` for a directory that is not empty, `h PATH` for what is hidden; no line for what does
/// not exist.
pub(crate) fn script(scope: &LookScope, etcd: &OfEtcd) -> String {
    let mut script = FAR.to_owned();
    script.push_str(
        r#"near() { p=$1; while [ ! -e "$p" ]; do p=${p%/*}; [ -n "$p" ] || p=/; done
[ "$p" = "$1" ] || [ -x "$p" ] || { echo "h $1"; false; }; }
file() { near "$1" || return; [ -f "$1" ] || return
if [ -r "$1" ] && s=$(sha256sum < "$1"); then echo "f $(stat -L -c '%a %u %g' "$1") ${s%% *} $1"; else echo "h $1"; fi; }
dir() { ! far "$1" || { echo "h $1"; return; }; etcd "$1"; }
etcd() { near "$1" || return; [ -d "$1" ] || return
if [ -r "$1" ]; then [ -z "$(ls -A "$1")" ] || echo "d $1"; else echo "h $1"; fi; }
"#,
    );
    let mut call = |function: &str, path: &FilePath| {
        if path.as_str().starts_with('/') {
            let _ = writeln!(script, "{function} {}", quoted(path.as_str()));
        }
    };
    scope.files.iter().for_each(|path| call("file", path));
    let ledgers = scope.footprints.all().map(|footprint| &footprint.ledger);
    ledgers.filter(|path| !scope.files.contains(*path)).for_each(|path| call("file", path));
    scope.directories.iter().for_each(|path| call("dir", path));
    etcd.directories().iter().for_each(|path| call("etcd", path));
    script
}

/// Parses the output of the script.
pub(crate) fn reported(text: &str) -> Unprivileged {
    let mut seen = Unprivileged::default();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("f", rest)) => {
                if let Some((path, file)) = file(rest) {
                    seen.files.insert(path, file);
                }
            }
            Some(("d", path)) => {
                seen.directories.insert(path.into());
            }
            Some(("h", path)) => {
                seen.hidden.insert(path.into());
            }
            _ => {}
        }
    }
    seen
}

fn file(rest: &str) -> Option<(FilePath, FileSeen)> {
    let mut words = rest.splitn(5, ' ');
    let mode = Mode(u32::from_str_radix(words.next()?, 8).ok()?);
    let owner = Owner { uid: words.next()?.parse().ok()?, gid: words.next()?.parse().ok()? };
    let digest: Digest = format!("sha256:{}", words.next()?).parse().ok()?;
    Some((words.next()?.into(), FileSeen { digest, mode, owner }))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;
    use std::sync::Arc;

    use windlass_model::{Footprint, Footprints};

    use super::*;

    #[test]
    fn what_the_script_says_is_understood() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| FilePath::from(directory.path().join(name).to_str().unwrap());
        fs::write(path("a 'b").as_str(), "x").unwrap();
        fs::set_permissions(path("a 'b").as_str(), fs::Permissions::from_mode(0o640)).unwrap();
        fs::create_dir_all(path("etcd/member/wal").as_str()).unwrap();
        fs::write(path("etcd/member/wal/0").as_str(), "").unwrap();
        fs::create_dir(path("empty").as_str()).unwrap();
        let scope = LookScope {
            files: Arc::new(BTreeSet::from([path("a 'b"), path("absent/x")])),
            directories: Arc::new(BTreeSet::from([path("etcd"), path("empty"), path("none")])),
            footprints: ordinary(path("etcd"), path("ledger")),
            ..LookScope::default()
        };
        let output =
            Command::new("sh").arg("-c").arg(script(&scope, &OfEtcd::new(&scope, None))).output().unwrap();
        let seen = reported(&String::from_utf8(output.stdout).unwrap());
        let files: Vec<_> =
            seen.files.iter().map(|(path, file)| (path.clone(), file.digest, file.mode)).collect();
        assert_eq!(files, [(path("a 'b"), Digest::of("x"), Mode(0o640))]);
        assert_eq!(seen.directories, BTreeSet::from([path("etcd"), path("etcd/member/wal")]));
        assert!(seen.is_whole());
    }

    #[test]
    fn a_directory_of_the_network_is_not_touched() {
        let fake = FAR.replace("/proc/self/mounts", "/dev/stdin");
        let mounts = "s:/x /mnt/nfs nfs4 rw 0 0\n/dev/sda / ext4 rw 0 0\nx /fuse/a fuse.sshfs rw 0 0\n";
        for (path, is_far) in [
            ("/mnt/nfs", true),
            ("/mnt/nfs/a/b", true),
            ("/mnt/nfsx", false),
            ("/mnt", false),
            ("/fuse/a/x", true),
            ("/", false),
        ] {
            let mut shell = Command::new("sh")
                .args(["-c", &format!("{fake}far {path}")])
                .stdin(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut shell.stdin.take().unwrap(), mounts.as_bytes()).unwrap();
            assert_eq!(shell.wait().unwrap().success(), is_far, "{path}");
        }
    }

    fn ordinary(etcd_data: FilePath, ledger: FilePath) -> Arc<Footprints> {
        let ordinary = Footprint { etcd_data, ledger, ..Footprint::default() };
        Arc::new(Footprints { ordinary, ..Footprints::default() })
    }
}
