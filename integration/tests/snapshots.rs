//! The program on nodes takes snapshots of a real etcd, with real certificates, and they can be restored.
//!
//! Needs `etcd` and `etcdctl` (Debian: `etcd-server`, `etcd-client`) and a built `windlass`; where etcd is missing,
//! every test says that it is skipped.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test ends where its world cannot be made, and tells if it is skipped"
)]

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use windlass_engine::Minter as _;
use windlass_model::{CertKind, DesiredCert, San, StoredCert, Timestamp, Usage};
use windlass_pki::X509Minter;

const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with certificates for etcd, and what runs in it.
struct World {
    directory: TempDir,
    client_port: u16,
    peer_port: u16,
}

/// A process that ends with the test, and its log.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = fs::File::create(&log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn until_it_says(&self, text: &str) {
        until(text, || self.log().contains(text).then_some(()));
    }

    /// The exit code, and the whole log.
    fn end(mut self) -> (Option<i32>, String) {
        let status = until("the program ends", || self.child.try_wait().unwrap());
        (status.code(), self.log())
    }

    /// Asks it to stop, as Docker does.
    fn stop(self) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.end()
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the tests can run here; prints why not.
fn has_etcd() -> bool {
    let found = ["etcd", "etcdctl"]
        .iter()
        .all(|program| Command::new(program).arg("--version").env("ETCDCTL_API", "3").output().is_ok());
    if !found {
        eprintln!("SKIPPED: there is no etcd and etcdctl on this machine (Debian: etcd-server, etcd-client)");
    }
    found
}

fn windlass() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let beside = test.ancestors().nth(2).unwrap().join("windlass");
    let program = std::env::var_os("WINDLASS").map_or(beside, PathBuf::from);
    assert!(program.is_file(), "{} is missing: cargo build -p windlass", program.display());
    program
}

fn desired(kind: CertKind) -> DesiredCert {
    DesiredCert {
        kind,
        common_name: "kube-etcd".to_owned(),
        organizations: Vec::new(),
        issuer: (kind == CertKind::Leaf).then(|| "kube-etcd-ca".into()),
        usages: BTreeSet::from([Usage::ServerAuth, Usage::ClientAuth]),
        sans: BTreeSet::from([San::parse("127.0.0.1"), San::parse("::1"), San::parse("localhost")]),
        valid_days: 3_650,
        service: None,
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["backup", "ssl", "other"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        symlink(windlass(), directory.path().join("windlass-node")).unwrap();
        let world = Self { directory, client_port: free_port(), peer_port: free_port() };
        world.mint("ssl");
        world.mint("other");
        world
    }

    /// A CA and a leaf of it, as on the nodes of a cluster.
    fn mint(&self, folder: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = Timestamp(now.as_secs());
        let mint = |name: &str, kind, issuer: Option<&StoredCert>| {
            let cert = X509Minter.mint(&name.into(), &desired(kind), issuer, now).unwrap();
            fs::write(self.path(&format!("{folder}/{name}.pem")), &cert.certificate).unwrap();
            fs::write(self.path(&format!("{folder}/{name}-key.pem")), cert.key.expose()).unwrap();
            cert
        };
        let authority = mint("kube-etcd-ca", CertKind::Authority, None);
        mint("kube-etcd", CertKind::Leaf, Some(&authority));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// One member that accepts no client without a certificate; it serves when this returns.
    fn etcd(&self, data: &str) -> Running {
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        let client = self.endpoint();
        let mut command = Command::new("etcd");
        command
            .args(["--name", "one", "--data-dir", &self.file(data), "--client-cert-auth"])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("one={peer}")])
            .args(["--trusted-ca-file", &self.file("ssl/kube-etcd-ca.pem")])
            .args(["--cert-file", &self.file("ssl/kube-etcd.pem")])
            .args(["--key-file", &self.file("ssl/kube-etcd-key.pem")])
            .env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH.replace("aarch64", "arm64"));
        let running = Running::start(&mut command, self.path(&format!("{data}.log")));
        until("etcd serves", || self.etcdctl(&["endpoint", "health"]).status.success().then_some(()));
        running
    }

    fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.client_port)
    }

    fn etcdctl(&self, arguments: &[&str]) -> Output {
        Command::new("etcdctl")
            .args(["--endpoints", &self.endpoint(), "--cacert", &self.file("ssl/kube-etcd-ca.pem")])
            .args(["--cert", &self.file("ssl/kube-etcd.pem"), "--key", &self.file("ssl/kube-etcd-key.pem")])
            .args(arguments)
            .env("ETCDCTL_API", "3")
            .output()
            .unwrap()
    }

    /// The program as in its container, with certificates from a folder.
    fn node(&self, folder: &str, own: &[&str]) -> Running {
        let mut command = Command::new(self.path("windlass-node"));
        command
            .args(own)
            .arg(format!("--directory={}", self.file("backup")))
            .arg(format!("--endpoints={}", self.endpoint()))
            .arg(format!("--cacert={}", self.file(&format!("{folder}/kube-etcd-ca.pem"))))
            .arg(format!("--cert={}", self.file(&format!("{folder}/kube-etcd.pem"))))
            .arg(format!("--key={}", self.file(&format!("{folder}/kube-etcd-key.pem"))));
        Running::start(&mut command, self.path("node.log"))
    }

    fn rolling(&self, every: &str, keep: &str) -> Running {
        self.node("ssl", &["snapshots", &format!("--every={every}"), &format!("--keep={keep}")])
    }

    /// The files in the directory of snapshots, sorted, without what windlass notes about them.
    fn snapshots(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("backup")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| Path::new(name).extension().is_none_or(|extension| extension != "json"));
        names.sort();
        names
    }

    fn finished(&self) -> Vec<String> {
        self.snapshots().into_iter().filter(|name| name.ends_with("_etcd.db")).collect()
    }
}

#[test]
fn the_first_snapshot_comes_at_once_is_whole_and_can_be_restored() {
    if !has_etcd() {
        return;
    }
    let world = World::new();
    let etcd = world.etcd("data");
    assert!(world.etcdctl(&["put", "greeting", "hello"]).status.success());
    // More than one message of the stream.
    let much = "x".repeat(500_000);
    for number in 0..4 {
        assert!(world.etcdctl(&["put", &format!("much-{number}"), &much[..100_000]]).status.success());
    }
    let node = world.rolling("12h", "6");
    let snapshot = until("there is a snapshot", || world.finished().pop());
    let (code, log) = node.stop();
    assert_eq!(code, Some(0), "{log}");
    let path = world.path("backup").join(&snapshot);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(world.snapshots(), [snapshot]);
    assert!(!log.contains("no snapshot"), "{log}");
    drop(etcd);

    let peer = format!("http://127.0.0.1:{}", world.peer_port);
    let restored = Command::new("etcdctl")
        .args(["snapshot", "restore", path.to_str().unwrap(), "--name", "one"])
        .args(["--data-dir", &world.file("restored"), "--initial-cluster", &format!("one={peer}")])
        .args(["--initial-advertise-peer-urls", &peer])
        .env("ETCDCTL_API", "3")
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let _etcd = world.etcd("restored");
    let found = world.etcdctl(&["get", "greeting", "--print-value-only"]);
    assert_eq!(String::from_utf8_lossy(&found.stdout), "hello\n");
}

#[test]
fn a_process_that_starts_again_and_again_takes_no_more_of_them() {
    if !has_etcd() {
        return;
    }
    let world = World::new();
    let _etcd = world.etcd("data");
    fs::write(world.path("backup/.windlass-snapshot.part"), "left by a process that was killed").unwrap();
    let node = world.rolling("1h", "6");
    let first = until("there is a snapshot", || Some(world.finished()).filter(|found| !found.is_empty()));
    node.stop();
    for _ in 0..3 {
        fs::write(world.path("backup/.windlass-snapshot.part"), "left by a process that was killed").unwrap();
        let node = world.rolling("1h", "6");
        node.until_it_says("the next is due in");
        let (_, log) = node.stop();
        assert!(!log.contains("bytes from"), "{log}");
        assert_eq!(world.snapshots(), first);
    }
}

#[test]
fn the_timer_goes_on_and_removes_only_its_own_old_ones() {
    if !has_etcd() {
        return;
    }
    let world = World::new();
    let _etcd = world.etcd("data");
    let foreign = [
        "2020-01-01T00:00:00Z_etcd",
        "2020-01-01T00:00:00Z_etcd.zip",
        "before-upgrade.db",
        "pki.bundle.tar.gz",
    ];
    for name in foreign {
        fs::write(world.path("backup").join(name), "not windlass'").unwrap();
    }
    let old = "2020-01-01T00-00-00Z_etcd.db";
    fs::write(world.path("backup").join(old), "windlass', long ago").unwrap();
    let node = world.rolling("1s", "2");
    let mut seen = BTreeSet::new();
    until("four snapshots have come", || {
        seen.extend(world.finished().into_iter().filter(|name| name != old));
        (seen.len() >= 4).then_some(())
    });
    until("two are left", || (world.finished().len() == 2).then_some(()));
    let (code, log) = node.stop();
    assert_eq!(code, Some(0));
    assert!(!world.finished().contains(&old.to_owned()), "{log}");
    for name in foreign {
        assert_eq!(fs::read_to_string(world.path("backup").join(name)).unwrap(), "not windlass'");
    }
}

#[test]
fn etcd_that_is_not_there_yet_is_waited_for() {
    if !has_etcd() {
        return;
    }
    let world = World::new();
    let node = world.rolling("1h", "6");
    node.until_it_says("tried again in 5 s");
    let _etcd = world.etcd("data");
    until("there is a snapshot", || world.finished().pop());
    let (code, log) = node.stop();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn it_ends_at_once_when_it_is_asked_to_in_the_middle_of_a_wait() {
    if !has_etcd() {
        return;
    }
    let world = World::new();
    let node = world.rolling("1h", "6");
    node.until_it_says("tried again in 5 s");
    let begun = Instant::now();
    let (code, log) = node.stop();
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(world.snapshots(), [""; 0], "{log}");
}

#[test]
fn with_certificates_of_another_authority_there_is_no_snapshot() {
    if !has_etcd() {
        return;
    }
    let world = World::new();
    let _etcd = world.etcd("data");
    let (code, log) = world.node("other", &["snapshot", "--name=stolen"]).end();
    assert_eq!(code, Some(1));
    assert!(log.contains("no snapshot: https://127.0.0.1:"), "{log}");
    assert_eq!(world.snapshots(), [""; 0], "{log}");
}

#[test]
fn one_on_request_has_the_name_that_was_asked_for_and_takes_nobodys_place() {
    if !has_etcd() {
        return;
    }
    let world = World::new();
    let _etcd = world.etcd("data");
    let (code, log) = world.node("ssl", &["snapshot", "--name=before-upgrade"]).end();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(world.snapshots(), ["before-upgrade.db"]);
    let status = |path: &Path| {
        let path = path.to_str().unwrap();
        Command::new("etcdctl").args(["snapshot", "status", path]).env("ETCDCTL_API", "3").output().unwrap()
    };
    assert!(status(&world.path("backup/before-upgrade.db")).status.success());
    let (code, log) = world.node("ssl", &["snapshot", "--name=before-upgrade"]).end();
    assert_eq!(code, Some(1));
    assert!(log.contains("is there already"), "{log}");
    let (code, _) = world.node("ssl", &["snapshot", "--name=../escape"]).end();
    assert_eq!(code, Some(64));
}
