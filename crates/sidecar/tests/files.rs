//! The program on a node, with the requests of windlass, on a directory of its own.

#![expect(clippy::unwrap_used, reason = "all of it is test; a helper of tests may panic as they do")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;

use tempfile::TempDir;
use windlass_model::{Digest, FilePath, Mode, Owner};
use windlass_sidecar::answer;
use windlass_sidecar::protocol::{
    Answer, Asked, Bytes, FORMING, FORMING_LOG, FileToPut, Forming, PROTOCOL, Request, Seen, SeenFile,
    encode, read,
};

struct Host(TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> FilePath {
        self.0.path().join(name).to_str().unwrap().into()
    }

    fn owner(&self) -> Owner {
        let metadata = fs::metadata(self.0.path()).unwrap();
        Owner { uid: metadata.uid(), gid: metadata.gid() }
    }

    fn file(&self, name: &str, content: &str, mode: u32) -> FileToPut {
        let content = Bytes(content.as_bytes().to_vec());
        FileToPut { path: self.path(name), content, mode: Mode(mode), owner: self.owner() }
    }
}

fn ask(request: Request) -> Answer {
    answer(Asked { protocol: PROTOCOL, request })
}

fn look(host: &Host, files: &[&str], directories: &[&str]) -> Seen {
    let all = |names: &[&str]| names.iter().map(|name| host.path(name)).collect();
    let request = Request::Look {
        files: all(files),
        directories: all(directories),
        of_etcd: ["etcd/member/snap", "etcd/member/wal"].map(|name| host.path(name)).into(),
        etcd_data: ["etcd", "opt/etcd"].map(|name| host.path(name)).into(),
        ledgers: ["ledger.json", "opt/ledger.json"].map(|name| host.path(name)).into(),
        snapshots: None,
    };
    match ask(request) {
        Answer::Seen(seen) => *seen,
        other => panic!("{other:?}"),
    }
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn files_are_written_with_mode_and_owner_and_seen_so() {
    let host = Host::new();
    let files = vec![host.file("ssl/ca.pem", "ca", 0o644), host.file("ssl/ca-key.pem", "key", 0o600)];
    assert_eq!(ask(Request::Put { files }), Answer::Done);
    let seen = look(&host, &["ssl/ca-key.pem", "ssl/absent.pem", "ssl"], &["ssl", "absent", "etcd"]);
    let file = SeenFile { digest: Digest::of("key"), mode: Mode(0o600), owner: host.owner() };
    assert_eq!(seen.files.into_iter().collect::<Vec<_>>(), [(host.path("ssl/ca-key.pem"), file)]);
    assert_eq!(seen.directories, BTreeSet::from([host.path("ssl")]));
    assert_eq!(names(&host.0.path().join("ssl")), ["ca-key.pem", "ca.pem"], "nothing unfinished is left");
}

#[test]
fn the_directory_of_a_member_of_etcd_is_for_itself_alone() {
    let host = Host::new();
    assert_eq!(ask(Request::Put { files: vec![host.file("etcd/member/windlass", "", 0o644)] }), Answer::Done);
    let mode = |name: &str| fs::metadata(host.path(name).as_str()).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("etcd/member"), mode("etcd/member/windlass")), (0o700, 0o644));
}

#[test]
fn a_file_that_is_as_desired_is_left_alone() {
    let host = Host::new();
    let put = || assert_eq!(ask(Request::Put { files: vec![host.file("a", "x", 0o640)] }), Answer::Done);
    put();
    let inode = || fs::metadata(host.0.path().join("a")).unwrap().ino();
    let before = inode();
    put();
    assert_eq!(inode(), before);
    fs::set_permissions(host.0.path().join("a"), fs::Permissions::from_mode(0o600)).unwrap();
    put();
    assert_ne!(inode(), before, "another mode is a difference");
}

#[test]
fn what_a_run_left_unfinished_is_written_over() {
    let host = Host::new();
    fs::write(host.0.path().join("a.windlass-new"), "half").unwrap();
    assert_eq!(ask(Request::Put { files: vec![host.file("a", "whole", 0o600)] }), Answer::Done);
    assert_eq!(names(host.0.path()), ["a"]);
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let host = Host::new();
    fs::create_dir(host.0.path().join("a")).unwrap();
    let reported = ask(Request::Put { files: vec![host.file("a", "x", 0o600)] });
    let wanted = format!("{}: Is a directory (os error 21)", host.path("a"));
    assert_eq!(reported, Answer::Failed(wanted));
    assert_eq!(names(host.0.path()), ["a"]);
}

#[test]
fn data_of_etcd_and_whose_ledger_it_is_are_seen() {
    let host = Host::new();
    assert!(look(&host, &[], &[]).directories.is_empty());
    fs::create_dir_all(host.0.path().join("etcd/member/wal")).unwrap();
    assert!(look(&host, &[], &[]).directories.is_empty(), "the log has not been written yet");
    fs::write(host.0.path().join("etcd/member/wal/0.wal"), "").unwrap();
    let ledger = r#"{"format": 1, "ledger": {"lineage": "blue", "serial": 7, "certs": {}}}"#;
    fs::write(host.0.path().join("ledger.json"), ledger).unwrap();
    let seen = look(&host, &["ledger.json"], &["etcd"]);
    assert!(seen.directories.contains(host.path("etcd/member/wal").as_str()));
    assert_eq!(seen.ledgers, [(host.path("ledger.json"), ("blue".into(), 7))].into());
    assert_eq!(seen.directories.len(), 2);
}

#[test]
fn a_file_is_read_back_and_an_absent_one_is_none() {
    let host = Host::new();
    fs::write(host.0.path().join("a"), "x").unwrap();
    let read = |name: &str| ask(Request::Read { path: host.path(name) });
    assert_eq!(read("a"), Answer::Content(Some(Bytes(b"x".to_vec()))));
    assert_eq!(read("b"), Answer::Content(None));
    assert_eq!(read("a/b"), Answer::Content(None));
}

#[test]
fn removing_what_is_not_there_is_no_error() {
    let host = Host::new();
    fs::create_dir_all(host.0.path().join("a/b/c")).unwrap();
    let remove = || ask(Request::Remove { paths: BTreeSet::from([host.path("a"), host.path("x")]) });
    assert_eq!(remove(), Answer::Done);
    assert_eq!(remove(), Answer::Done);
    assert_eq!(names(host.0.path()), [""; 0]);
}

#[test]
fn what_a_link_leads_to_is_removed_and_the_link_stays() {
    let host = Host::new();
    fs::create_dir_all(host.path("ssd/etcd/member").as_str()).unwrap();
    fs::write(host.path("kept").as_str(), "").unwrap();
    symlink(host.path("ssd/etcd").as_str(), host.path("etcd").as_str()).unwrap();
    symlink(host.path("kept").as_str(), host.path("ssd/etcd/link").as_str()).unwrap();
    let remove = || ask(Request::Remove { paths: BTreeSet::from([host.path("etcd")]) });
    assert_eq!(remove(), Answer::Done);
    assert_eq!(remove(), Answer::Done);
    assert_eq!(names(&host.0.path().join("ssd/etcd")), [""; 0]);
    assert!(fs::exists(host.path("kept").as_str()).unwrap(), "a link within is deleted, and not followed");
    assert!(fs::symlink_metadata(host.path("etcd").as_str()).unwrap().is_symlink());
}

#[test]
fn moving_aside_happens_once_and_never_onto_something() {
    let host = Host::new();
    fs::create_dir_all(host.0.path().join("etcd/member")).unwrap();
    let aside = || ask(Request::Move { path: host.path("etcd"), to: host.path("aside/1") });
    assert_eq!(aside(), Answer::Done);
    assert_eq!(aside(), Answer::Done);
    assert_eq!(names(&host.0.path().join("aside/1")), ["member"]);
    fs::create_dir(host.0.path().join("etcd")).unwrap();
    assert_eq!(aside(), Answer::Failed(format!("{}: it is there already", host.path("aside/1"))));
}

fn hand_over(host: &Host, name: &str, owner: Owner) -> Answer {
    ask(Request::HandOver { directory: host.path(name), owner })
}

/// Owner, permission bits and time of change of a path itself.
fn state(host: &Host, name: &str) -> (Owner, u32, (i64, i64)) {
    let metadata = fs::symlink_metadata(host.path(name).as_str()).unwrap();
    let owner = Owner { uid: metadata.uid(), gid: metadata.gid() };
    (owner, metadata.mode() & 0o7777, (metadata.ctime(), metadata.ctime_nsec()))
}

/// The user to whom tests may give files: root may give them to anybody, others only to themselves.
fn heir(host: &Host) -> Owner {
    let own = host.owner();
    if own.uid == 0 { Owner { uid: 52_034, gid: 52_035 } } else { own }
}

#[test]
fn a_directory_that_is_not_there_is_made_for_its_owner_alone() {
    let host = Host::new();
    let heir = heir(&host);
    assert_eq!(hand_over(&host, "lib/etcd", heir), Answer::Done);
    let (owner, mode, _) = state(&host, "lib/etcd");
    assert_eq!((owner, mode), (heir, 0o700));
    let (owner, mode, _) = state(&host, "lib");
    assert_eq!((owner, mode), (host.owner(), 0o755), "what is above it stays root's");
}

#[test]
fn all_that_lies_in_a_directory_is_handed_over_with_it_and_nothing_beside_it() {
    let host = Host::new();
    let heir = heir(&host);
    fs::create_dir_all(host.path("etcd/member/wal").as_str()).unwrap();
    fs::create_dir(host.path("outside").as_str()).unwrap();
    for name in ["etcd/member/wal/0.wal", "etcd/member/wal/1.tmp", "outside/key"] {
        fs::write(host.path(name).as_str(), "x").unwrap();
        fs::set_permissions(host.path(name).as_str(), fs::Permissions::from_mode(0o640)).unwrap();
    }
    symlink(host.path("outside").as_str(), host.path("etcd/member/link").as_str()).unwrap();
    symlink("nowhere", host.path("etcd/dangling").as_str()).unwrap();
    fs::set_permissions(host.path("etcd").as_str(), fs::Permissions::from_mode(0o755)).unwrap();
    let outside = (state(&host, "outside"), state(&host, "outside/key"));
    // An earlier run was interrupted after this file.
    lchown(host.path("etcd/member/wal/1.tmp").as_str(), Some(heir.uid), Some(heir.gid)).unwrap();

    assert_eq!(hand_over(&host, "etcd", heir), Answer::Done);
    let all = ["etcd", "etcd/member", "etcd/member/wal", "etcd/member/wal/0.wal", "etcd/member/wal/1.tmp"];
    for name in all.into_iter().chain(["etcd/member/link", "etcd/dangling"]) {
        assert_eq!(state(&host, name).0, heir, "{name}");
    }
    assert_eq!((state(&host, "etcd").1, state(&host, "etcd/member/wal/0.wal").1), (0o700, 0o640));
    assert_eq!((state(&host, "outside"), state(&host, "outside/key")), outside, "no link is followed");

    let before = all.map(|name| state(&host, name));
    assert_eq!(hand_over(&host, "etcd", heir), Answer::Done);
    assert_eq!(all.map(|name| state(&host, name)), before, "what is so already is left alone");
}

#[test]
fn a_directory_behind_a_link_of_roots_own_is_handed_over_there() {
    let host = Host::new();
    fs::create_dir_all(host.path("disk/etcd").as_str()).unwrap();
    symlink("disk/etcd", host.path("etcd").as_str()).unwrap();
    assert_eq!(hand_over(&host, "etcd", heir(&host)), Answer::Done);
    assert_eq!(state(&host, "disk/etcd").0, heir(&host));
    assert_eq!(state(&host, "etcd").0, host.owner());
}

#[test]
fn what_cannot_be_handed_over_is_named() {
    let host = Host::new();
    fs::write(host.path("etcd").as_str(), "").unwrap();
    let reported = hand_over(&host, "etcd", heir(&host));
    assert_eq!(reported, Answer::Failed(format!("{}: Not a directory (os error 20)", host.path("etcd"))));
}

#[test]
fn another_version_of_the_question_is_refused() {
    let asked = Asked { protocol: PROTOCOL + 1, request: Request::Read { path: "/x".into() } };
    assert!(matches!(answer(asked), Answer::Failed(_)));
}

#[test]
fn a_document_reads_back_and_a_truncated_one_is_an_error_that_quotes_nothing() {
    let host = Host::new();
    let asked =
        Asked { protocol: PROTOCOL, request: Request::Put { files: vec![host.file("a", "hunter2", 0o600)] } };
    let bytes = encode(&asked).unwrap();
    assert_eq!(read::<Asked>(bytes.as_slice()).unwrap(), asked);
    assert!(!format!("{asked:?}").contains("hunter2"));
    for length in 0..bytes.len() {
        read::<Asked>(&bytes[..length]).unwrap_err();
    }
}

/// A restored member whose log is on a disk of its own: the log gets its name first, and an attempt that ends between the two is
/// finished by the next one.
#[test]
fn a_restored_log_gets_its_name_before_the_data() {
    let host = Host::new();
    if host.owner() != Owner::default() {
        // The mark belongs to root, as etcd's data does.
        return;
    }
    let forming = Forming {
        data: host.path("data"),
        log: Some(host.path("wal/wal_dir")),
        token: "windlass-7".to_owned(),
        staged: host.path("kept.db"),
    };
    let form = || {
        for (path, content) in [
            (format!("data/{FORMING}/member/snap/db"), "database"),
            (format!("wal/{FORMING_LOG}/0.wal"), "log"),
            ("kept.db".to_owned(), "snapshot"),
        ] {
            let path = host.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    };
    let prepare = || ask(Request::PrepareMember(forming.clone()));
    let is_whole = || {
        let root = host.0.path();
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        assert_eq!(
            (read("data/member/snap/db"), read("wal/wal_dir/0.wal")),
            ("database".into(), "log".into())
        );
        assert_eq!(names(&root.join("wal")), ["wal_dir"]);
        assert_eq!(names(&root.join("data")), ["member"]);
        assert!(!root.join("kept.db").exists());
    };
    form();
    assert_eq!(prepare(), Answer::Held(false), "what an attempt left before it had a mark goes");
    assert!(names(&host.0.path().join("wal")).is_empty());
    form();
    assert_eq!(ask(Request::AdoptMember(forming.clone())), Answer::Done);
    is_whole();
    assert_eq!(prepare(), Answer::Held(true));

    // As if it had ended between the two names.
    let root = host.0.path();
    fs::create_dir(root.join("data").join(FORMING)).unwrap();
    fs::rename(root.join("data/member"), root.join("data").join(FORMING).join("member")).unwrap();
    fs::write(root.join("kept.db"), "snapshot").unwrap();
    assert_eq!(prepare(), Answer::Held(true));
    is_whole();

    fs::remove_dir_all(root.join("data/member")).unwrap();
    assert!(matches!(prepare(), Answer::Failed(why) if why.contains("log of another member")));
    is_kept(&root.join("wal/wal_dir/0.wal"));
}

fn is_kept(path: &Path) {
    assert!(path.exists(), "{}", path.display());
}
