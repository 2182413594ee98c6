//! etcd's database and log are on disks of their own, as RKE's advice for large clusters has them, and on one host behind a
//! link: a missing disk founds nothing, a member whose data is lost joins again
//! in its place, a snapshot is restored onto both disks, and `remove` takes all of it.

use std::time::Duration;

use windlass_integration::lab::{
    ALL_ROLES, Cluster, Images, Lab, LabError, LabShape, Node, Windlass, await_that,
};

type Outcome = Result<(), LabError>;

/// Where the disks are mounted on the hosts: the first holds the database, the other the log.
const MOUNTS: [&str; 2] = ["/var/lib/etcd/data", "/var/lib/etcd/wal"];

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn etcd_is_on_two_disks_and_behind_a_link() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(3).with_images_loaded())?;
    let windlass = Windlass::new(&lab)?;
    for node in lab.nodes() {
        node.root("mkdir -p /disks/data /disks/wal")?;
    }
    for number in [1, 2] {
        lab.node(number).root("mkdir -p /var/lib/etcd/data /var/lib/etcd/wal")?;
        mount(lab.node(number))?;
    }
    lab.node(3).root("ln -s /disks/data /disks/wal /var/lib/etcd/")?;
    let roles = [(1, &ALL_ROLES[..]), (2, &ALL_ROLES[..]), (3, &ALL_ROLES[..])];
    let mut cluster = Cluster::of(&lab, Images::Loaded, roles);
    let binds =
        ["/var/lib/etcd/data:/var/lib/rancher/etcd/data", "/var/lib/etcd/wal:/var/lib/rancher/etcd/wal"];
    cluster
        .set("services.etcd.extra_args.data-dir", "/var/lib/rancher/etcd/data/")
        .set("services.etcd.extra_args.wal-dir", "/var/lib/rancher/etcd/wal/wal_dir")
        .set("services.etcd.extra_binds", binds.map(str::to_owned).to_vec())
        .write(&windlass)?;
    windlass.succeeds(["up"])?;
    for node in lab.nodes() {
        node.root("test -s /disks/data/member/snap/db && ls /disks/wal/wal_dir/*.wal")?;
    }
    assert_eq!(windlass.planned()?.code, Some(0));
    windlass.kubectl(&lab).run(["create", "configmap", "kept"])?;

    eprintln!("a member whose container is gone keeps its data");
    lab.node(2).root("docker rm -f etcd")?;
    assert_eq!(windlass.planned()?.changes, ["node-2/etcd/run: missing"]);
    windlass.succeeds(["up"])?;

    for disk in MOUNTS {
        eprintln!("{disk} is missing");
        waits_for_its_disks(lab.node(1), &windlass, disk)?;
    }
    eprintln!("the data behind the link is lost");
    lab.node(3).root("docker rm -f etcd && rm -rf /disks/data/member /disks/wal/wal_dir")?;
    windlass.succeeds(["up"])?;
    lab.node(3).root(
        "test -L /var/lib/etcd/data && test -s /disks/data/member/snap/db && ls /disks/wal/wal_dir/*.wal",
    )?;
    assert_eq!(windlass.planned()?.code, Some(0));
    windlass.kubectl(&lab).run(["get", "configmap", "kept"])?;

    eprintln!("etcd goes back to a snapshot, on both disks");
    windlass.succeeds(["etcd", "snapshot", "save", "before"])?;
    windlass.kubectl(&lab).run(["create", "configmap", "later"])?;
    windlass.succeeds(["etcd", "snapshot", "restore", "before", "--yes"])?;
    let names = windlass.kubectl(&lab).run(["get", "configmaps", "-o", "name"])?;
    assert!(names.contains("configmap/kept") && !names.contains("configmap/later"), "{names}");
    for node in lab.nodes() {
        node.root("test -s /disks/data/member/snap/db && ls /disks/wal/wal_dir/*.wal && ls /disks/wal/wal_dir-aside")?;
        let left = node.root("ls -A /disks/data /disks/wal")?;
        assert!(!left.contains("windlass-restoring"), "{}: {left}", node.name);
    }
    assert_eq!(windlass.planned()?.code, Some(0));

    eprintln!("the cluster is removed");
    windlass.succeeds(["remove", "--force"])?;
    for node in lab.nodes() {
        for left in ["/disks/data/member", "/disks/wal/wal_dir", "/disks/wal/windlass-etcd-log"] {
            assert!(!node.has_path(left)?, "{} has {left}", node.name);
        }
    }
    Ok(())
}

fn mount(node: &Node) -> Outcome {
    node.root("mount --bind /disks/data /var/lib/etcd/data && mount --bind /disks/wal /var/lib/etcd/wal")
        .map(|_| ())
}

/// Without one of its disks etcd does not start, the plan says so and changes nothing; with it the member works again.
fn waits_for_its_disks(node: &Node, windlass: &Windlass, disk: &str) -> Outcome {
    node.root(&format!("docker stop -t 5 etcd && umount {disk}"))?;
    let refused = node.root("docker start etcd 2>&1 || true")?;
    assert!(refused.contains("no such file or directory") || refused.contains("does not exist"), "{refused}");
    let planned = windlass.planned()?;
    assert_eq!(planned.changes, Vec::<String>::new());
    let causes: Vec<&str> = planned.findings.iter().filter_map(|finding| finding["what"].as_str()).collect();
    assert!(causes.iter().any(|what| what.contains("missing") && what.contains(disk)), "{causes:?}");
    node.root("umount /var/lib/etcd/data /var/lib/etcd/wal 2>/dev/null || true")?;
    mount(node)?;
    await_that("the member is seen as stopped", Duration::from_secs(60), || {
        Ok(windlass.planned()?.changes == [format!("{}/etcd/start: stopped", node.name)])
    })?;
    windlass.succeeds(["up"])?;
    Ok(())
}
