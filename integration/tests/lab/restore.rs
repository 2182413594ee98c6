//! All data of etcd is deleted on all three members, and a snapshot restores the cluster, even if windlass is killed
//! again and again meanwhile; a damaged one stops nothing.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::Value;
use windlass_integration::lab::{
    ALL_ROLES, Cluster, Images, Killed, Kills, Kubectl, Lab, LabError, LabShape, Node, Windlass,
    await_service, await_that, await_web, start_service, start_web,
};

type Outcome = Result<(), LabError>;

const SNAPSHOTS: &str = "/opt/rke/etcd-snapshots";
const DATA: &str = "/var/lib/etcd";
/// How many `ConfigMap`s exist when the snapshot is taken, and how many keys of etcd beside them.
const OBJECTS: usize = 300;
const KEYS: usize = 10_000;
/// How often a restore is killed, and within how many seconds. The next one goes on from there, so that all of it is
/// reached.
const KILLS: usize = 10;
const LATEST: f64 = 24.0;
/// The address of a Service that is created after a restore.
const NEW_SERVICE: &str = "10.43.0.81";

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

fn create_objects(kubectl: &Kubectl) -> Outcome {
    let mut manifest = String::new();
    for number in 0..OBJECTS {
        let _ = write!(
            manifest,
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: kept-{number}}}\ndata: {{number: \"{number}\"}}\n---\n"
        );
    }
    kubectl.apply(&manifest).map(|_| ())
}

fn lose_all_data(lab: &Lab) -> Outcome {
    for node in lab.nodes() {
        node.root("docker stop etcd")?;
    }
    for node in lab.nodes() {
        node.root(&format!("rm -rf {DATA}/member"))?;
    }
    Ok(())
}

/// All objects, and not the one that came after the snapshot.
fn has_what_the_snapshot_has(kubectl: &Kubectl) -> Outcome {
    let names = kubectl.run(["get", "configmaps", "-o", "name"])?;
    let kept = names.lines().filter(|name| name.starts_with("configmap/kept-")).count();
    assert_eq!(kept, OBJECTS, "{names}");
    assert!(!names.contains("configmap/later"), "what came after the snapshot is not there");
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
    create_objects(&kubectl)?;
    start_web(&lab, &kubectl, Images::Loaded)?;
    let kept = put_many(lab.node(2))?;
    await_web(lab.node(3), 3)?;
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
    lose_all_data(&lab)?;
    let ran = windlass.run(["up"])?;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);

    eprintln!("a snapshot brings it back");
    restore_is_timed(&lab, &windlass)?;
    has_what_the_snapshot_has(&kubectl)?;
    assert!(many(lab.node(1))? == kept, "all keys are those of the snapshot");
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
    let (begun, before) = (Instant::now(), revision(lab.node(1))?);
    windlass.succeeds(["etcd", "snapshot", "restore", OF_RKE, "--of-this-cluster", "--yes"])?;
    eprintln!("restored in {:.1} s", begun.elapsed().as_secs_f64());
    let after = revision(lab.node(1))?;
    assert!(after > before, "watchers have seen {before}, and it is {after} now");
    let names = kubectl.run(["get", "configmaps", "-o", "name"])?;
    assert!(!names.contains("configmap/after"), "{names}");
    for node in lab.nodes() {
        let aside = node.root(&format!("ls {DATA}-aside"))?;
        assert_eq!(aside.lines().count(), 1, "{}: {aside}", node.name);
        assert!(!node.has_path(&format!("{SNAPSHOTS}/.windlass-restore/kept.db"))?);
    }
    Ok(())
}

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn restore_may_be_killed_at_any_moment() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(3).with_images_loaded())?;
    let windlass = Windlass::new(&lab)?;
    Cluster::all_roles(&lab, Images::Loaded).write(&windlass)?;
    windlass.succeeds(["up"])?;
    let kubectl = windlass.kubectl(&lab);
    start_web(&lab, &kubectl, Images::Loaded)?;
    create_objects(&kubectl)?;
    let kept = put_many(lab.node(2))?;
    for node in lab.nodes() {
        await_web(node, 3)?;
    }
    windlass.succeeds(["etcd", "snapshot", "save", "kept", "--node", "node-2"])?;

    let mut kills = Kills::seeded();
    let (mut killed, mut is_done, mut highest) = (0, true, 0);
    while killed < KILLS {
        if is_done {
            // The cluster works, and goes back once more.
            comes_later(&lab, &kubectl)?;
            let seen = revision(lab.node(1))?;
            assert!(seen > highest, "watchers have seen {highest}, and it is {seen} now");
            highest = seen;
        }
        is_done = kills.kill(&windlass, &RESTORE, LATEST)? == Killed::TooLate;
        killed += usize::from(!is_done);
        eprintln!("  {}", how_far(&lab)?);
    }
    let begun = Instant::now();
    windlass.succeeds(RESTORE)?;
    eprintln!("restored in {:.1} s more", begun.elapsed().as_secs_f64());
    has_what_the_snapshot_has(&kubectl)?;
    for node in lab.nodes() {
        assert!(many(node)? == kept, "{}: keys that differ from those of the snapshot", node.name);
    }
    is_one_cluster(&lab)?;
    let seen = revision(lab.node(1))?;
    assert!(seen > highest, "watchers have seen {highest}, and it is {seen} now");
    start_service(&kubectl, "new", NEW_SERVICE)?;
    for node in lab.nodes() {
        await_web(node, 3)?;
        await_service(node, NEW_SERVICE, 3)?;
    }
    let planned = windlass.planned()?;
    assert_eq!((planned.code, planned.changes), (Some(0), vec![]), "{:?}", planned.findings);
    Ok(())
}

const RESTORE: [&str; 5] = ["etcd", "snapshot", "restore", "kept", "--yes"];

/// Puts [`KEYS`] keys, a hundred in a transaction.
const PUT_MANY: &str = "
    seq 0 99 | xargs -P 4 -I % sh -c '{
        echo
        for number in $(seq 0 99); do echo put /windlass-lab/%-$number value-of-%-$number; done
        echo; echo
    } | docker exec -i etcd etcdctl txn > /dev/null'";

/// Returns them as [`many`] does.
fn put_many(node: &Node) -> Result<String, LabError> {
    let begun = Instant::now();
    node.root(PUT_MANY)?;
    let kept = many(node)?;
    assert_eq!(kept.lines().count(), KEYS, "one line each");
    eprintln!("{KEYS} keys in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(kept)
}

/// The same keys, with their values in order.
fn many(node: &Node) -> Result<String, LabError> {
    let read = "docker exec etcd etcdctl get --prefix /windlass-lab/ -w fields | grep -E '^\"(Key|Value)\"' | paste - -";
    node.root(read)
}

/// What is written after the snapshot: an object, a key, and another value of one that it has.
fn comes_later(lab: &Lab, kubectl: &Kubectl) -> Outcome {
    kubectl.run(["create", "configmap", "later"])?;
    for key in ["later", "7-7"] {
        lab.node(1).docker(["exec", "etcd", "etcdctl", "put", &format!("/windlass-lab/{key}"), "later"])?;
    }
    Ok(())
}

/// The revision of etcd.
fn revision(node: &Node) -> Result<u64, LabError> {
    let answer = node.docker(["exec", "etcd", "etcdctl", "get", "/none", "-w", "json"])?;
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    assert!(answer["header"]["revision"].is_u64(), "{answer:#}");
    Ok(answer["header"]["revision"].as_u64().unwrap_or_default())
}

/// On how many nodes there is data, and runs what: where a run was killed.
fn how_far(lab: &Lab) -> Result<String, LabError> {
    let (mut data, mut members, mut servers) = (0, 0, 0);
    for node in lab.nodes() {
        data += usize::from(node.has_path(&format!("{DATA}/member"))?);
        let components = node.components()?;
        let runs = |name: &str| usize::from(components.get(name).is_some_and(|seen| seen.state == "running"));
        members += runs("etcd");
        servers += runs("kube-apiserver");
    }
    Ok(format!("{data} nodes have data, {members} run etcd, {servers} an API server"))
}

/// Restores without interruption: how long the API takes to give what the snapshot has, and a new Service to answer.
fn restore_is_timed(lab: &Lab, windlass: &Windlass) -> Outcome {
    let kubectl = windlass.kubectl(lab);
    let limit = Duration::from_secs(180);
    let begun = Instant::now();
    std::thread::scope(|scope| -> Outcome {
        let restore = scope.spawn(|| windlass.succeeds(RESTORE));
        await_that("the API has what the snapshot has", limit, || {
            kubectl.run(["get", "configmap", "kept-0"]).map(|_| true)
        })?;
        let api = begun.elapsed().as_secs_f64();
        start_service(&kubectl, "timed", NEW_SERVICE)?;
        await_service(lab.node(3), NEW_SERVICE, 3)?;
        let service = begun.elapsed().as_secs_f64();
        restore.join().expect("it does not panic")?;
        eprintln!(
            "restored {KEYS} keys: the API answers after {api:.1} s (wanted: at most 60), a new Service after {service:.1} s"
        );
        Ok(())
    })
}

/// All members know the same three of the same cluster.
fn is_one_cluster(lab: &Lab) -> Outcome {
    let mut seen = Vec::new();
    for node in lab.nodes() {
        let listed = node.docker(["exec", "etcd", "etcdctl", "member", "list", "-w", "json"])?;
        let listed: Value = serde_json::from_str(&listed).unwrap_or_default();
        let members = listed["members"].as_array().cloned().unwrap_or_default();
        assert_eq!(members.len(), 3, "{listed:#}");
        assert!(members.iter().all(|member| member["isLearner"] != true), "{listed:#}");
        assert!(listed["header"]["cluster_id"].is_number(), "{listed:#}");
        seen.push((listed["header"]["cluster_id"].clone(), members));
    }
    assert!(seen.iter().all(|of| *of == seen[0]), "{seen:#?}");
    Ok(())
}
