//! Reads a node's files as root through kubelet's container, which has all rights on its host: nothing has to
//! be started, as a container of windlass' own would have to be.
//!
//! One script for the host's own shell reports everything. It must report what [`windlass_sidecar`] would, or
//! nothing: then that is used instead.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use tokio::time::timeout;
use windlass_engine::LookScope;
use windlass_model::{
    Component, ContainerState, Digest, FilePath, Lineage, Maker, Mode, Owner, PidMode, Privilege,
    RollingJournal, RollingSeen, SnapshotProof, SnapshotSeen, SnapshotState, Timestamp, rolling_moment,
};
use windlass_sidecar::protocol::{Seen, SeenFile};

use crate::docker::ASK_WITHIN;
use crate::etcd_places::OfEtcd;
use crate::facts::FAR;
use crate::link::{Link, quoted};
use crate::seen::Listed;

/// How long the script may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Enters the host's mount namespace through its first process, and runs the host's own shell there: an image
/// of kubelet need not have one. In a container with a process namespace of its own that would be the
/// container's mount namespace, so only a container with the host's processes is used.
const ENTER: [&str; 6] = ["nsenter", "--target=1", "--mount", "--", "/bin/sh", "-c"];
/// Reports files, directories and the ledger; the script exits at anything that it cannot report as it
/// should.
const FUNCTIONS: &str = r#"export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
filled() { for e in "$1"/* "$1"/.[!.]* "$1"/..?*; do { [ -e "$e" ] || [ -L "$e" ]; } && return; done; false; }
etcd() { ! filled "$1" || printf 'd %s\n' "$1"; }
dir() { { ! far "$1" && ! filled "$1"; } || printf 'd %s\n' "$1"; }
snap() { n=; for e in "$1"/member/snap/*.snap; do [ -f "$e" ] && { [ -z "$n" ] || [ "$e" -nt "$n" ]; } && n=$e; done
[ -z "$n" ] || printf 's %s %s\n' "$(stat -c %Y -- "$n")" "$1"; }
ledger() { [ -f "$1" ] || return 0
IFS= read -r a < "$1" || exit 1
case "$a" in
'{"format":2,"lineage":"'*'","serial":'*',"ledger":') [ "$(tail -c 13 "$1")" = ',"end":true}' ] || exit 1
printf 'l %s %s\n' "$a" "$1";;
'{') { read -r a && read -r b && read -r c && read -r l && read -r s; } < "$1" || exit 1
[ "$a $b $c
$(tail -c 6 "$1")" = '{ "format": 1, "ledger": {
  }
}' ] || exit 1
printf 'k %s %s %s\n' "$l" "$s" "$1";;
*) exit 1;;
esac; }
"#;
/// Reports the newest periodic snapshot in a directory, and the record of what takes them.
const SNAPSHOTS: &str = r#"shots() { ! far "$1" && [ -d "$1" ] || return 0
printf 'r %s\n' "$1"; n=
for e in "$1"/[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]-[0-9][0-9]-[0-9][0-9]Z_etcd.db; do
[ ! -f "$e" ] || [ -L "$e" ] || n=$e; done
[ -z "$n" ] || { printf 'b %s %s\n' "$(stat -c '%Y %s' -- "$n")" "${n##*/}"
[ ! -f "$n.json" ] || printf 'p %s\n' "$(tr -d '\n' < "$n.json")"
[ ! -f "$n.damaged" ] || printf 'x %s\n' "$(head -n 1 "$n.damaged")"; }
[ ! -f "$1/.windlass-rolling.json" ] || printf 'q %s\n' "$(head -n 1 "$1/.windlass-rolling.json")"; }
"#;
/// After the list of files: the existing ones, all at once.
const FILES: &str = r#"do [ ! -f "$f" ] || set -- "$@" "$f"; done
[ $# = 0 ] || { stat -L -c 'm %a %u %g %n' -- "$@" && sha256sum -- "$@"; } || exit 1
"#;
/// The last line, without which nothing is believed.
const END: &str = "end\n";

/// What root sees; none if this node has no kubelet that could show it, or the report is incomplete.
pub(crate) async fn look(link: &Link, lines: &[Listed], scope: &LookScope, etcd: &OfEtcd) -> Option<Seen> {
    let name = Component::Kubelet.container();
    let may_see_all = lines.iter().any(|line| match line {
        Listed::Known(listed, known) => {
            *listed == name
                && known.maker == Maker::Windlass
                && known.state == ContainerState::Running
                && (known.spec.pid, known.spec.privilege) == (PidMode::Host, Privilege::Privileged)
        }
        _ => false,
    });
    if !may_see_all {
        return None;
    }
    let script = script(scope, etcd);
    let options = CreateExecOptions {
        cmd: Some(ENTER.into_iter().chain([script.as_str()]).collect()),
        user: Some("0:0"),
        attach_stdout: Some(true),
        ..CreateExecOptions::default()
    };
    let created = link.call(ASK_WITHIN, link.docker.create_exec(name.as_str(), options)).await.ok()?;
    let start = link.docker.start_exec(&created.id, None::<StartExecOptions>);
    let StartExecResults::Attached { mut output, .. } = link.call(ASK_WITHIN, start).await.ok()? else {
        return None;
    };
    let all = async {
        let mut all = Vec::new();
        while let Some(part) = output.next().await {
            if let LogOutput::StdOut { message } = part.ok()? {
                all.extend_from_slice(&message);
            }
        }
        Some(all)
    };
    let all = timeout(ANSWER_WITHIN, all).await.ok()??;
    reported(std::str::from_utf8(&all).ok()?)
}

fn script(scope: &LookScope, etcd: &OfEtcd) -> String {
    let is_whole = |path: &&FilePath| path.as_str().starts_with('/');
    let mut script = format!("{FUNCTIONS}{FAR}{SNAPSHOTS}set --\n");
    if scope.files.iter().any(|path| is_whole(&path)) {
        script.push_str("for f in");
        for path in scope.files.iter().filter(is_whole) {
            script.push(' ');
            script.push_str(&quoted(path.as_str()));
        }
        script.push('\n');
        script.push_str(FILES);
    }
    for path in scope.directories.iter().filter(is_whole) {
        let _ = writeln!(script, "dir {}", quoted(path.as_str()));
    }
    for path in etcd.directories() {
        let _ = writeln!(script, "etcd {}", quoted(path.as_str()));
    }
    for data in etcd.data() {
        let _ = writeln!(script, "snap {}", quoted(data.as_str()));
    }
    for ledger in scope.footprints.all().map(|footprint| &footprint.ledger).filter(is_whole) {
        let _ = writeln!(script, "ledger {}", quoted(ledger.as_str()));
    }
    if let Some(snapshots) = &scope.snapshots {
        let _ = writeln!(script, "shots {}", quoted(snapshots.as_str()));
    }
    let _ = writeln!(script, "echo {}", END.trim_end());
    script
}

/// Parses the whole output of the script, or nothing.
fn reported(text: &str) -> Option<Seen> {
    let text = text.strip_suffix(END)?;
    let mut seen = Seen::default();
    let (mut metadata, mut snapshots) = (BTreeMap::new(), Snapshots::default());
    for line in text.lines() {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "r" | "b" | "p" | "x" | "q" => snapshots.take(word, rest)?,
            "m" => {
                let mut words = rest.splitn(4, ' ');
                let mode = Mode(u32::from_str_radix(words.next()?, 8).ok()?);
                let owner = Owner { uid: words.next()?.parse().ok()?, gid: words.next()?.parse().ok()? };
                metadata.insert(words.next()?, (mode, owner));
            }
            "d" => drop(seen.directories.insert(rest.into())),
            "s" => {
                let (written, path) = rest.split_once(' ')?;
                seen.etcd_snapshots.insert(path.into(), written.parse().ok()?);
            }
            "l" => {
                let (path, copy) = ledger(rest)?;
                seen.ledgers.insert(path, copy);
            }
            "k" => {
                let (path, copy) = ledger_of_format_1(rest)?;
                seen.ledgers.insert(path, copy);
            }
            // `DIGEST  PATH`, with a second blank for a file read as text, an asterisk for one read as bytes.
            digits => {
                let path = rest.get(1..)?;
                let digest: Digest = format!("sha256:{digits}").parse().ok()?;
                let (mode, owner) = metadata.remove(path)?;
                seen.files.insert(path.into(), SeenFile { digest, mode, owner });
            }
        }
    }
    seen.rolling = snapshots.seen();
    metadata.is_empty().then_some(seen)
}

/// What was reported of the snapshots.
#[derive(Default)]
struct Snapshots {
    is_read: bool,
    newest: Option<(Timestamp, u64, String)>,
    proof: Option<SnapshotProof>,
    damage: Option<String>,
    journal: Option<RollingJournal>,
}

impl Snapshots {
    /// Takes a line; none if it cannot be understood. What is no metadata is none, as for the program.
    fn take(&mut self, word: &str, rest: &str) -> Option<()> {
        match word {
            "r" => self.is_read = true,
            "b" => {
                let mut words = rest.splitn(3, ' ');
                let written_at = Timestamp(words.next()?.parse().ok()?);
                let bytes = words.next()?.parse().ok()?;
                let name = words.next()?;
                rolling_moment(name)?;
                self.newest = Some((written_at, bytes, name.to_owned()));
            }
            "p" => self.proof = serde_json::from_str(rest).ok(),
            "x" => self.damage = Some(rest.to_owned()),
            _ => self.journal = serde_json::from_str(rest).ok(),
        }
        Some(())
    }

    fn seen(self) -> Option<RollingSeen> {
        let Self { is_read, newest, proof, damage, journal } = self;
        let newest = newest.map(|(written_at, bytes, name)| {
            let state = SnapshotState::noted(damage, proof, bytes);
            SnapshotSeen { name, bytes, written_at, state }
        });
        let journal = journal.filter(|journal| journal.format == RollingJournal::FORMAT);
        is_read.then_some(RollingSeen { newest, journal })
    }
}

/// The first line of a ledger, as [`windlass_engine::encode`] writes it for a shell, and where the ledger is.
fn ledger(line: &str) -> Option<(FilePath, (Lineage, u64))> {
    let rest = line.strip_prefix("{\"format\":2,\"lineage\":\"")?;
    let (lineage, rest) = rest.split_once("\",\"serial\":")?;
    let (serial, path) = rest.split_once(",\"ledger\": ")?;
    whose(lineage, serial, path)
}

/// The fourth and fifth line of a ledger of format 1, and where it is: `"lineage": "…", "serial": 7, /etc/kubernetes/…`
fn ledger_of_format_1(lines: &str) -> Option<(FilePath, (Lineage, u64))> {
    let (lineage, rest) = lines.strip_prefix("\"lineage\": \"")?.split_once("\", \"serial\": ")?;
    let (serial, path) = rest.split_once(", ")?;
    whose(lineage, serial, path)
}

fn whose(lineage: &str, serial: &str, path: &str) -> Option<(FilePath, (Lineage, u64))> {
    let is_plain = !lineage.contains(['"', '\\']);
    let copy = (Lineage::from(lineage), serial.parse().ok()?);
    is_plain.then(|| (FilePath::from(path), copy))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;
    use std::sync::Arc;

    use windlass_engine::encode;
    use windlass_model::{Elsewhere, Footprint, Footprints, Ledger};
    use windlass_sidecar::answer;
    use windlass_sidecar::protocol::{Answer, Asked, PROTOCOL, Request};

    use super::*;
    use crate::look::ledgers;

    struct Host(tempfile::TempDir);

    impl Host {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> FilePath {
            self.0.path().join(name).to_str().unwrap().into()
        }

        fn file(&self, name: &str, content: &[u8], mode: u32) {
            fs::write(self.path(name).as_str(), content).unwrap();
            fs::set_permissions(self.path(name).as_str(), fs::Permissions::from_mode(mode)).unwrap();
        }

        /// An ordinary footprint and another.
        fn footprints(&self) -> Arc<Footprints> {
            let at = |etcd: &str, ledger: &str| Footprint {
                etcd_data: self.path(etcd),
                ledger: self.path(ledger),
                ..Footprint::default()
            };
            let elsewhere = Elsewhere {
                systems: BTreeSet::new(),
                prefix: "/opt/rke".into(),
                footprint: at("opt etcd", "opt ledger.json"),
            };
            Arc::new(Footprints { ordinary: at("etcd", "ledger.json"), elsewhere: vec![elsewhere] })
        }

        fn scope(&self, files: &[&str], directories: &[&str]) -> LookScope {
            let all = |names: &[&str]| Arc::new(names.iter().map(|name| self.path(name)).collect());
            LookScope {
                files: all(files),
                directories: all(directories),
                footprints: self.footprints(),
                ..LookScope::default()
            }
        }
    }

    fn by_script(scope: &LookScope) -> Option<Seen> {
        let output =
            Command::new("sh").arg("-c").arg(script(scope, &OfEtcd::new(scope, None))).output().unwrap();
        reported(&String::from_utf8(output.stdout).unwrap())
    }

    fn by_program(scope: &LookScope) -> Seen {
        let etcd = OfEtcd::new(scope, None);
        let request = Request::Look {
            files: (*scope.files).clone(),
            directories: (*scope.directories).clone(),
            of_etcd: etcd.directories(),
            etcd_data: etcd.data(),
            ledgers: ledgers(scope),
            snapshots: scope.snapshots.clone(),
        };
        match answer(Asked { protocol: PROTOCOL, request }) {
            Answer::Seen(seen) => *seen,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_script_tells_what_the_program_would() {
        let host = Host::new();
        let names = ["a 'b", "set", "link", "dangling", "pipe", "absent/x", "empty/x", "etcd"];
        let scope = host.scope(&names, &["etcd", "empty", "hidden", "linked", "a 'b", "none"]);
        assert_eq!(by_script(&scope), Some(by_program(&scope)), "nothing is there");

        host.file("a 'b", b"x", 0o640);
        host.file("set", b"", 0o4755);
        symlink("a 'b", host.path("link").as_str()).unwrap();
        symlink("nowhere", host.path("dangling").as_str()).unwrap();
        assert!(Command::new("mkfifo").arg(host.path("pipe").as_str()).status().unwrap().success());
        fs::create_dir_all(host.path("etcd/member/wal").as_str()).unwrap();
        fs::create_dir(host.path("empty").as_str()).unwrap();
        fs::create_dir(host.path("hidden").as_str()).unwrap();
        host.file("hidden/.x", b"", 0o600);
        symlink("hidden", host.path("linked").as_str()).unwrap();
        let mut ledger = Ledger::new(Lineage::from("blue"));
        ledger.serial = 7;
        host.file("ledger.json", encode(&ledger).expose(), 0o600);
        let seen = by_script(&scope);
        assert_eq!(seen, Some(by_program(&scope)));
        let copies = [(host.path("ledger.json"), (Lineage::from("blue"), 7))];
        assert_eq!(seen.unwrap().ledgers, copies.into());
        host.file("opt ledger.json", encode(&ledger).expose(), 0o600);
        assert_eq!(by_script(&scope), Some(by_program(&scope)));
        assert_eq!(by_program(&scope).ledgers.len(), 2);

        fs::create_dir_all(host.path("etcd/member/snap").as_str()).unwrap();
        assert_eq!(by_script(&scope), Some(by_program(&scope)), "no snapshot yet");
        host.file("etcd/member/snap/0000000000000002-0000000000000033.snap", b"", 0o600);
        host.file("etcd/member/snap/db", b"", 0o600);
        assert_eq!(by_script(&scope), Some(by_program(&scope)));
        assert_eq!(by_program(&scope).etcd_snapshots.len(), 1);
        host.file("etcd/member/wal/0", b"", 0o600);
        assert_eq!(by_script(&scope), Some(by_program(&scope)));
        assert!(by_program(&scope).directories.contains(host.path("etcd/member/wal").as_str()));
        fs::create_dir_all(host.path("opt etcd/member/wal").as_str()).unwrap();
        host.file("opt etcd/member/wal/0", b"", 0o600);
        assert_eq!(by_script(&scope), Some(by_program(&scope)));
        assert!(by_program(&scope).directories.contains(host.path("opt etcd/member/wal").as_str()));
    }

    #[test]
    fn the_script_tells_of_snapshots_what_the_program_would() {
        let host = Host::new();
        let scope = LookScope { snapshots: Some(host.path("a 'b/shots")), ..host.scope(&[], &[]) };
        let both = |what: &str| {
            let seen = by_script(&scope);
            assert_eq!(seen, Some(by_program(&scope)), "{what}");
            seen.unwrap().rolling
        };
        assert_eq!(both("no directory"), None);
        fs::create_dir_all(host.path("a 'b/shots").as_str()).unwrap();
        assert_eq!(both("nothing in it"), Some(RollingSeen::default()));
        let put =
            |name: &str, content: &str| host.file(&format!("a 'b/shots/{name}"), content.as_bytes(), 0o600);
        put("9999_etcd.db", "of somebody");
        put("2026-01-31T12-00-00Z_etcd.db", "older");
        put("2026-01-31T18-00-00Z_etcd.db", "newer");
        put("by-hand.db", "by hand");
        let newest = both("without metadata").unwrap().newest.unwrap();
        assert_eq!((newest.name.as_str(), newest.bytes), ("2026-01-31T18-00-00Z_etcd.db", 5));
        assert_eq!(newest.state, SnapshotState::Unproven);
        let proof = |bytes| {
            format!(
                "{{\n  \"format\": 1,\n  \"sha256\": \"{}\",\n  \"bytes\": {bytes},\n  \"revision\": 7,\n  \"keys\": 3,\n  \
                 \"keys_by_prefix\": {{\"/a b\": 3}},\n  \"checked_at\": 9\n}}\n",
                Digest::of("x")
            )
        };
        put("2026-01-31T18-00-00Z_etcd.db.json", &proof(5));
        let newest = both("with metadata").unwrap().newest.unwrap();
        assert_eq!(newest.proof().map(|proof| proof.revision), Some(7));
        put("2026-01-31T18-00-00Z_etcd.db.json", &proof(6));
        assert!(matches!(both("resized").unwrap().newest.unwrap().state, SnapshotState::Damaged(_)));
        put("2026-01-31T18-00-00Z_etcd.db.json", "{");
        assert_eq!(both("no metadata").unwrap().newest.unwrap().state, SnapshotState::Unproven);
        put("2026-01-31T18-00-00Z_etcd.db.damaged", "its digest is another\n");
        let damaged = SnapshotState::Damaged("its digest is another".to_owned());
        assert_eq!(both("damaged").unwrap().newest.unwrap().state, damaged);
        put(
            ".windlass-rolling.json",
            "{\"format\":1,\"started_at\":5,\"failed\":{\"since\":6,\"why\":\"a b\"}}\n",
        );
        assert_eq!(both("with a journal").unwrap().journal.unwrap().failed.unwrap().why, "a b");
        put(".windlass-rolling.json", "{\"format\":2,\"started_at\":5}\n");
        assert_eq!(both("of a later version").unwrap().journal, None);
    }

    #[test]
    fn a_ledger_that_is_not_as_windlass_writes_it_is_left_to_the_program() {
        let host = Host::new();
        let scope = host.scope(&[], &[]);
        let whole = encode(&Ledger::new(Lineage::from("blue"))).expose().clone();
        // Except the last line break, which JSON does not need.
        for length in 0..whole.len() - 1 {
            host.file("ledger.json", &whole[..length], 0o600);
            assert_eq!(by_script(&scope), None, "{length} bytes");
        }
        host.file("ledger.json", br#"{"format":1,"ledger":{"lineage":"blue","serial":7}}"#, 0o600);
        assert_eq!(by_script(&scope), None);
        host.file("ledger.json", br#"{"format":3,"lineage":"blue","serial":7,"ledger":{}}"#, 0o600);
        assert_eq!(by_script(&scope), None);
    }

    #[test]
    fn the_script_understands_a_ledger_of_format_1() {
        let host = Host::new();
        let scope = host.scope(&[], &[]);
        let whole = include_bytes!("../../engine/tests/formats/v1/ledger.json");
        host.file("ledger.json", whole, 0o600);
        assert_eq!(by_script(&scope).unwrap().ledgers.len(), 1);
        assert_eq!(by_script(&scope), Some(by_program(&scope)));
        for length in [1, 20, whole.len() / 2, whole.len() - 2] {
            host.file("ledger.json", &whole[..length], 0o600);
            assert_eq!(by_script(&scope), None, "{length} bytes");
        }
    }

    #[test]
    fn what_is_not_reported_to_the_end_is_not_reported() {
        let digits = "0".repeat(64);
        let whole = format!("m 600 0 0 /a b\n{digits}  /a b\nend\n");
        assert!(reported(&whole).is_some_and(|seen| seen.files.contains_key("/a b")));
        for length in 0..whole.len() {
            assert_eq!(reported(&whole[..length]), None);
        }
        assert_eq!(reported("m 600 0 0 /a\nend\n"), None, "a file without its digest");
        assert_eq!(reported("sh: not found\nend\n"), None);
    }
}
