//! Snapshots are copied into a bucket of a real S3 server, through failures of it, and bring the cluster back on a new host
//! when nothing but the bucket, the ledger and cluster.yml is left.

use std::time::{Duration, Instant};

use windlass_integration::lab::{
    ALL_ROLES, Cluster, Images, Lab, LabError, LabShape, S3Server, Windlass, await_that,
};

type Outcome = Result<(), LabError>;

const SNAPSHOTS: &str = "/opt/rke/etcd-snapshots";
const FOLDER: &str = "backups/lab";
const SOON: Duration = Duration::from_secs(90);
/// How much is put into etcd, so that a snapshot is uploaded in several parts.
const MEGABYTES: u32 = 48;
/// How long the network is interrupted: less than an upload waits for an answer.
const INTERRUPTED: Duration = Duration::from_secs(8);

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn snapshots_are_copied_and_bring_a_cluster_back_on_a_new_host() -> Outcome {
    let mut lab = Lab::start(&LabShape::nodes(2))?;
    let server = S3Server::start_beside(&lab)?;
    let windlass = Windlass::new(&lab)?;
    cluster(&lab, &server, 1).write(&windlass)?;
    windlass.succeeds(["up"])?;

    eprintln!("the first periodic snapshot is copied, with its metadata");
    await_that("a copy is in the bucket", SOON, || Ok(copies(&server)?.len() == 1))?;
    let periodic = copies(&server)?.remove(0);
    let file = periodic.rsplit('/').next().unwrap_or_default().to_owned();
    let of_member = |name: &str| name.starts_with(FOLDER) && name.contains("/etcd-node-1/");
    assert!(of_member(&periodic) && periodic.ends_with("_etcd.db"), "{periodic}");
    let log = lab.node(1).docker(["logs", "etcd-rolling-snapshots"])?;
    let inspected = lab.node(1).docker(["inspect", "etcd-rolling-snapshots"])?;
    for text in [&log, &inspected] {
        assert!(!text.contains(S3Server::SECRET_KEY), "its keys stand in one file only");
    }
    let described = "stat -c %a:%u:%g /etc/kubernetes/etcd-snapshots-bucket.json";
    assert_eq!(lab.node(1).root(described)?.trim(), "600:0:0");

    eprintln!("one on request goes there, too, and both are in one table");
    let kubectl = windlass.kubectl(&lab);
    kubectl.run(["create", "configmap", "kept"])?;
    windlass.succeeds(["etcd", "snapshot", "save", "mine", "--s3"])?;
    let listed = windlass.succeeds(["etcd", "snapshot", "list"])?;
    for row in
        ["node-1            mine.db", "s3 etcd-node-1    mine.db", &format!("s3 etcd-node-1    {file}")]
    {
        let has_row = listed.lines().any(|line| same_words(line, row));
        assert!(has_row, "`{row}` is not in\n{listed}");
    }
    kubectl.run(["create", "configmap", "later"])?;

    eprintln!("a server that does not answer keeps no snapshot from being taken");
    server.stop()?;
    let ran = windlass.run(["etcd", "snapshot", "save", "alone", "--s3"])?;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("alone.db") && ran.stdout.contains("s3: "), "{}", ran.stdout);
    // Its process starts again, and finds nothing of the bucket.
    lab.node(1).docker(["restart", "etcd-rolling-snapshots"])?;
    let complains =
        || Ok(lab.node(1).root("docker logs etcd-rolling-snapshots 2>&1")?.contains("no copy in the bucket"));
    await_that("the process says that it cannot copy", SOON, complains)?;
    lab.node(1).root(&format!("grep -q '\"copies\":{{.*\"failed\"' {SNAPSHOTS}/.windlass-rolling.json"))?;

    eprintln!("when it is back, what it lacks is copied");
    server.start()?;
    windlass.succeeds(["etcd", "snapshot", "delete", file.trim_end_matches(".db"), "--s3"])?;
    assert!(!copies(&server)?.contains(&periodic));
    lab.node(1).docker(["restart", "etcd-rolling-snapshots"])?;
    await_that("the copy is there again", SOON, || Ok(copies(&server)?.contains(&periodic)))?;

    let periodic = an_upload_is_cut(&lab, &server, &windlass, file.trim_end_matches(".db"))?;
    a_damaged_copy_is_not_taken(&lab, &server, &windlass)?;
    let ran = windlass.run(["etcd", "snapshot", "save", "whole", "--s3"])?;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);

    comes_back_on_another_host(&mut lab, &server, &windlass, &periodic)
}

/// The network is interrupted while a snapshot of several parts is uploaded, then the server loses its power: what is
/// not whole is not there. Returns the copy of the periodic snapshot that is taken in place of this one.
fn an_upload_is_cut(
    lab: &Lab,
    server: &S3Server,
    windlass: &Windlass,
    periodic: &str,
) -> Result<String, LabError> {
    let node = lab.node(1);
    node.root(&format!(
        "head -c 1000000 /dev/urandom > /tmp/fill
         seq 1 {MEGABYTES} | xargs -P 4 -I % sh -c 'docker exec -i etcd etcdctl put /fill-% < /tmp/fill > /dev/null'"
    ))?;
    let has = |name: &str| Ok(server.objects()?.iter().any(|object| object.ends_with(name)));
    let save = |name: &'static str| move || windlass.run(["etcd", "snapshot", "save", name, "--s3"]);

    eprintln!("the network is interrupted while a snapshot is uploaded");
    server.slow_down()?;
    let address = server.endpoint.split(':').next().unwrap_or_default();
    let ran = std::thread::scope(|scope| {
        let saving = scope.spawn(save("interrupted"));
        server.await_part()?;
        node.cut_off_from_address(address)?;
        server.hurry()?;
        std::thread::sleep(INTERRUPTED);
        assert!(!saving.is_finished() && !has("interrupted.db")?, "the upload is not at its end");
        node.reconnect_to_address(address)?;
        saving.join().expect("it does not panic")
    })?;
    assert_eq!(ran.code, Some(0), "it goes on: {}{}", ran.stdout, ran.stderr);
    eprintln!("saved in {:.1?}", ran.took);
    assert!(copies(server)?.iter().any(|copy| copy.ends_with("/interrupted.db")));

    eprintln!("the server loses its power while a periodic snapshot is copied");
    server.slow_down()?;
    windlass.succeeds(["etcd", "snapshot", "delete", periodic])?;
    windlass.succeeds(["etcd", "snapshot", "delete", periodic, "--s3"])?;
    node.docker(["restart", "etcd-rolling-snapshots"])?;
    server.await_part()?;
    server.kill()?;
    server.hurry()?;
    let failed = format!("grep -q '\"copies\":{{.*\"failed\"' {SNAPSHOTS}/.windlass-rolling.json");
    await_that("the copy has failed", SOON, || node.as_root(&failed).ran().map(|ran| ran.is_success()))?;
    let taken = node.root(&format!("cd {SNAPSHOTS} && ls *_etcd.db"))?.trim().to_owned();
    assert!(taken.lines().count() == 1 && !taken.starts_with(periodic), "another was taken: {taken}");
    assert!(!server.objects()?.iter().any(|object| object.contains(&taken)), "half a copy is none");
    server.start()?;
    let is_it = |copy: &String| copy.ends_with(&taken);
    await_that("it is copied", SOON, || Ok(copies(server)?.iter().any(is_it)))?;
    windlass.succeeds(["etcd", "snapshot", "verify", &taken])?;
    Ok(copies(server)?.into_iter().find(is_it).unwrap_or_default())
}

fn a_damaged_copy_is_not_taken(lab: &Lab, server: &S3Server, windlass: &Windlass) -> Outcome {
    eprintln!("a damaged copy is not taken for a snapshot");
    let mine = copies(server)?.into_iter().find(|name| name.ends_with("/mine.db")).unwrap_or_default();
    lab.node(1)
        .root(&format!("mv {SNAPSHOTS}/mine.db {SNAPSHOTS}/mine.kept; rm {SNAPSHOTS}/mine.db.json"))?;
    server.damage(&mine)?;
    let ran = windlass.run(["etcd", "snapshot", "fetch", "mine"])?;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(!lab.node(1).has_path(&format!("{SNAPSHOTS}/mine.db"))?);
    let left = lab.node(1).root(&format!("ls -A {SNAPSHOTS}"))?;
    assert!(!left.contains(".part"), "{left}");
    windlass.succeeds(["etcd", "snapshot", "delete", "mine", "--s3"])?;
    lab.node(1).root(&format!("mv {SNAPSHOTS}/mine.kept {SNAPSHOTS}/again.db"))?;
    windlass.succeeds(["etcd", "snapshot", "verify", "again"])?;
    Ok(())
}

/// The only host is gone, with all that was on it.
fn comes_back_on_another_host(
    lab: &mut Lab,
    server: &S3Server,
    windlass: &Windlass,
    periodic: &String,
) -> Outcome {
    eprintln!("the host is gone, and another, bare one gets the cluster from the bucket");
    lab.remove_node_including_data(1)?;
    cluster(lab, server, 2).write(windlass)?;
    let planned = windlass.run(["etcd", "snapshot", "restore", "whole", "--plan", "--gone", "node-1"])?;
    assert_eq!(planned.code, Some(1), "{}{}", planned.stdout, planned.stderr);
    assert!(planned.stderr.contains("snapshot fetch whole"), "{}", planned.stderr);
    let begun = Instant::now();
    let ran = windlass.run(["etcd", "snapshot", "restore", "whole", "--yes", "--gone", "node-1"])?;
    eprintln!("restored in {:.1} s", begun.elapsed().as_secs_f64());
    // Kubernetes calls the lost node ready for a minute, as the snapshot has it: until then its object is held.
    assert!(matches!(ran.code, Some(0 | 3)), "{}{}", ran.stdout, ran.stderr);
    // It holds every Secret.
    let kept = lab.node(2).root(&format!("stat -c %a:%u:%g {SNAPSHOTS}/whole.db"))?;
    assert_eq!(kept.trim(), "600:0:0");
    let kubectl = windlass.kubectl(lab);
    let names = kubectl.run(["get", "configmaps", "-o", "name"])?;
    for name in ["configmap/kept", "configmap/later"] {
        assert!(names.contains(name), "{names}");
    }
    windlass.succeeds(["up", "--gone", "node-1"])?;
    let of_new = |name: &String| name.contains("/etcd-node-2/");
    await_that("the new member copies its own", SOON, || Ok(copies(server)?.iter().any(of_new)))?;
    assert!(copies(server)?.contains(periodic), "what another member has there stays");
    Ok(())
}

/// One node with all roles, whose snapshots go into the server's bucket.
fn cluster(lab: &Lab, server: &S3Server, number: usize) -> Cluster {
    let mut cluster = Cluster::of(lab, Images::FromRegistry, [(number, &ALL_ROLES[..])]);
    let bucket = "services.etcd.backup_config.s3backupconfig";
    cluster.set("services.etcd.backup_config.interval_hours", 1);
    for (key, value) in [
        ("endpoint", server.endpoint.as_str()),
        ("custom_ca", &server.authority),
        ("region", S3Server::REGION),
        ("bucket_name", S3Server::BUCKET),
        ("folder", FOLDER),
        ("access_key", S3Server::ACCESS_KEY),
        ("secret_key", S3Server::SECRET_KEY),
    ] {
        cluster.set(&format!("{bucket}.{key}"), value);
    }
    cluster
}

/// The snapshots in the bucket that have their metadata.
fn copies(server: &S3Server) -> Result<Vec<String>, LabError> {
    let objects = server.objects()?;
    let has_note = |name: &&String| objects.contains(&format!("{name}.json"));
    Ok(objects.iter().filter(has_note).cloned().collect())
}

/// Whether a line of a table begins with these words.
fn same_words(line: &str, row: &str) -> bool {
    let mut words = line.split_whitespace();
    row.split_whitespace().all(|word| words.next() == Some(word))
}
