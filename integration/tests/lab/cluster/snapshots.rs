//! Periodic snapshots on every node of etcd: the first at once, then at an interval, the oldest removed, each
//! one intact.

use std::time::Duration;

use windlass_integration::lab::{Cluster, Lab, LabError, Node, Windlass, await_that};

type Outcome = Result<(), LabError>;

const DIRECTORY: &str = "/opt/rke/etcd-snapshots";
/// The interval, and how many snapshots are kept with it.
const EVERY_SECONDS: u32 = 5;
const KEPT: usize = 3;

/// The names of a node's snapshots, oldest first. An unfinished one has another kind of name.
pub(crate) fn snapshots(node: &Node) -> Result<Vec<String>, LabError> {
    Ok(node.root(&format!("cd {DIRECTORY} && ls -- *.db || true"))?.lines().map(str::to_owned).collect())
}

/// With an interval of half a day there is one already.
pub(crate) fn come_at_once(lab: &Lab) -> Outcome {
    for node in &lab.nodes()[..3] {
        await_that(&format!("{} has a snapshot", node.name), Duration::from_secs(30), || {
            Ok(snapshots(node)?.len() == 1)
        })?;
    }
    for node in &lab.nodes()[3..] {
        assert!(!node.has_path(DIRECTORY)?, "{} has no etcd", node.name);
    }
    Ok(())
}

/// With a short interval they are taken and removed.
pub(crate) fn come_and_go(lab: &Lab, windlass: &Windlass, cluster: &mut Cluster) -> Outcome {
    cluster.set("services.etcd.creation", format!("{EVERY_SECONDS}s"));
    let retention = EVERY_SECONDS * u32::try_from(KEPT).expect("a few");
    cluster.set("services.etcd.retention", format!("{retention}s")).write(windlass)?;
    let before = lab.state()?;
    let first: Vec<Vec<String>> = lab.nodes()[..3].iter().map(snapshots).collect::<Result<_, _>>()?;
    windlass.succeeds(["up"])?;
    let replaced = [1, 2, 3].map(|number| format!("node-{number} etcd-rolling-snapshots created"));
    assert_eq!(lab.state()?.since(&before), replaced);

    for (node, first) in lab.nodes()[..3].iter().zip(&first) {
        let what = format!("{KEPT} new snapshots on {}", node.name);
        await_that(&what, Duration::from_secs(90), || {
            let seen = snapshots(node)?;
            // A new one exists before the oldest is removed.
            assert!(seen.len() <= KEPT + 1, "{}: {seen:?}", node.name);
            assert_eq!(broken(node)?, "", "{}: what has its name is whole", node.name);
            Ok(seen.len() == KEPT && first.iter().all(|old| !seen.contains(old)))
        })?;
        // etcd's own tool agrees: `etcdutl`, the only one that reads snapshots since 3.6.
        let newest = snapshots(node)?.pop().unwrap_or_default();
        let image = node.root("docker inspect -f '{{.Config.Image}}' etcd")?;
        let status = node.docker([
            "run",
            "--rm",
            "--volume",
            &format!("{DIRECTORY}:/snapshots:ro"),
            image.trim(),
            "etcdutl",
            "snapshot",
            "status",
            &format!("/snapshots/{newest}"),
        ])?;
        assert_eq!(status.split(',').count(), 5, "hash, revision, keys, size and storage version: {status}");
    }
    Ok(())
}

/// Snapshots whose last 32 bytes are not the SHA-256 of the rest, which etcd appends.
fn broken(node: &Node) -> Result<String, LabError> {
    node.root(&format!(
        "cd {DIRECTORY} && for file in *_etcd.db; do
           told=$(tail -c 32 $file 2>/dev/null | od -An -v -tx1 | tr -d ' \\n')
           found=$(head -c -32 $file 2>/dev/null | sha256sum | cut -c1-64)
           [ $found = \"$told\" ] || [ ! -e $file ] || echo $file
         done"
    ))
}
