//! All data of etcd is deleted on all three members, and a snapshot restores the cluster; a damaged one stops
//! nothing.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use windlass_integration::lab::{ALL_ROLES, Cluster, Images, Lab, LabError, LabShape, Windlass};

type Outcome = Result<(), LabError>;

const SNAPSHOTS: &str = "/opt/rke/etcd-snapshots";
const DATA: &str = "/var/lib/etcd";
/// How many `ConfigMap`s exist when the snapshot is taken.
const KEYS: usize = 300;

/// A periodic snapshot of RKE.
const OF_RKE: &str = "2026-01-31T12:00:00Z_etcd.zip";

/// The snapshot `kept` as RKE would have stored it: in an archive with the cluster's state, and as versions before 0.2 did.
fn take_as_rke_did(lab: &Lab) -> Outcome {
    let node = lab.node(2);
    let file =
        BASE64.decode(node.root(&format!("base64 -w0 {SNAPSHOTS}/kept.db"))?.trim()).unwrap_or_default();
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [
        ("backup/2026-01-31T12:00:00Z_etcd", file.as_slice()),
        ("etc/kubernetes/2026-01-31T12:00:00Z_etcd.rkestate", b"{}"),
    ] {
        let begun = archive.start_file(name, zip::write::SimpleFileOptions::default());
        assert!(begun.is_ok() && archive.write_all(content).is_ok(), "{name}");
    }
    let archive = archive.finish().map(Cursor::into_inner).unwrap_or_default();
    assert!(archive.len() < file.len(), "{} bytes of {}", archive.len(), file.len());
    node.as_root(&format!("base64 -d > {SNAPSHOTS}/{OF_RKE}")).with_input(BASE64.encode(archive)).output()?;
    node.root(&format!("cp {SNAPSHOTS}/kept.db {SNAPSHOTS}/plain"))?;
    Ok(())
}

/// A snapshot is restored for a trial beside the living member, and nothing of that is left, nor noticed.
fn a_trial_leaves_nothing(lab: &Lab, windlass: &Windlass) -> Outcome {
    eprintln!("a trial");
    let what_is_there = "docker ps -aq --no-trunc; docker volume ls -q; ls -A /opt/rke/etcd-snapshots";
    let (before, there) = (lab.state()?, lab.node(2).root(what_is_there)?);
    let said = windlass.succeeds(["etcd", "snapshot", "rehearse", "kept", "--api-server"])?;
    eprintln!("{said}");
    assert_eq!(said.matches("as in the file").count(), 3, "revision, keys and Secrets: {said}");
    assert_eq!(lab.state()?.since(&before), [""; 0]);
    assert_eq!(lab.node(2).root(what_is_there)?, there);
    Ok(())
}

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn all_data_of_etcd_is_lost_and_comes_back() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(3).with_images_loaded())?;
    let windlass = Windlass::new(&lab)?;
    let roles = [(1, &ALL_ROLES[..]), (2, &ALL_ROLES[..]), (3, &ALL_ROLES[..])];
    Cluster::of(&lab, Images::Loaded, roles).write(&windlass)?;
    windlass.succeeds(["up"])?;
    let kubectl = windlass.kubectl(&lab);
    let mut manifest = String::new();
    for number in 0..KEYS {
        let _ = write!(
            manifest,
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: key-{number}}}\ndata: {{number: \"{number}\"}}\n---\n"
        );
    }
    kubectl.apply(&manifest)?;
    windlass.succeeds(["etcd", "snapshot", "save", "kept", "--node", "node-2"])?;
    let listed = windlass.succeeds(["etcd", "snapshot", "list"])?;
    assert!(listed.contains("kept.db"), "{listed}");
    kubectl.run(["create", "configmap", "later"])?;

    eprintln!("a spoilt snapshot stops nothing");
    lab.node(2).root(&format!(
        "cd {SNAPSHOTS} && cp kept.db spoilt.db && printf x | dd of=spoilt.db bs=1 seek=50000 conv=notrunc 2>/dev/null"
    ))?;
    let before = lab.state()?;
    let ran = windlass.run(["etcd", "snapshot", "restore", "spoilt", "--yes"])?;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("cannot be used"), "{}", ran.stderr);
    assert_eq!(lab.state()?.since(&before), [""; 0]);

    a_trial_leaves_nothing(&lab, &windlass)?;

    eprintln!("all data is lost");
    for node in lab.nodes() {
        node.root("docker stop etcd")?;
    }
    for node in lab.nodes() {
        node.root(&format!("rm -rf {DATA}/member"))?;
    }
    let ran = windlass.run(["up"])?;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);

    eprintln!("a snapshot brings it back");
    let begun = Instant::now();
    windlass.succeeds(["etcd", "snapshot", "restore", "kept", "--yes"])?;
    eprintln!("restored in {:.1} s", begun.elapsed().as_secs_f64());
    let names = kubectl.run(["get", "configmaps", "-o", "name"])?;
    let kept = names.lines().filter(|name| name.starts_with("configmap/key-")).count();
    assert_eq!(kept, KEYS, "{names}");
    assert!(!names.contains("configmap/later"), "what came after the snapshot is not there");
    kubectl.await_ready_nodes(3, Duration::from_secs(120))?;
    kubectl.run(["create", "configmap", "after"])?;
    windlass.succeeds(["up"])?;
    let planned = windlass.run(["plan", "--detailed-exitcode"])?;
    assert_eq!(planned.code, Some(0), "{}", planned.stdout);

    eprintln!("a healthy cluster goes back, too, by a snapshot of RKE");
    take_as_rke_did(&lab)?;
    let listed = windlass.succeeds(["etcd", "snapshot", "list"])?;
    assert!(listed.contains(OF_RKE) && listed.contains("plain  "), "{listed}");
    windlass.succeeds(["etcd", "snapshot", "verify", OF_RKE])?;
    windlass.succeeds(["etcd", "snapshot", "verify", "plain"])?;
    let left = lab.node(2).root(&format!("ls -A {SNAPSHOTS}"))?;
    assert!(
        !left.contains("rke-") && !left.contains(".part"),
        "what was unpacked to be read is gone: {left}"
    );
    let ran = windlass.run(["etcd", "snapshot", "restore", OF_RKE, "--yes"])?;
    assert_eq!(ran.code, Some(1), "nothing says of which cluster it is: {}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("--of-this-cluster"), "{}", ran.stdout);
    let begun = Instant::now();
    windlass.succeeds(["etcd", "snapshot", "restore", OF_RKE, "--of-this-cluster", "--yes"])?;
    eprintln!("restored in {:.1} s", begun.elapsed().as_secs_f64());
    let names = kubectl.run(["get", "configmaps", "-o", "name"])?;
    assert!(!names.contains("configmap/after"), "{names}");
    for node in lab.nodes() {
        let aside = node.root(&format!("ls {DATA}-aside"))?;
        assert_eq!(aside.lines().count(), 1, "{}: {aside}", node.name);
        assert!(!node.has_path(&format!("{SNAPSHOTS}/.windlass-restore/kept.db"))?);
    }
    Ok(())
}
