//! etcd runs as a user of its own, who owns its data from the moment when it starts so.

use std::time::Duration;

use windlass_integration::lab::{
    ALL_ROLES, Cluster, Images, Lab, LabError, LabShape, Node, Windlass, await_that,
};

use crate::cluster::snapshots::snapshots;

type Outcome = Result<(), LabError>;

const DATA: &str = "/var/lib/etcd";
/// The user as whom RKE's guide for hardened clusters runs etcd.
const USER: u32 = 52_034;

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn etcd_is_given_its_data_when_it_becomes_another_user() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(3).with_images_loaded())?;
    let windlass = Windlass::new(&lab)?;
    let mut cluster = Cluster::of(&lab, Images::Loaded, [(1, &ALL_ROLES[..])]);
    cluster.write(&windlass)?;
    let (first, second, third) = (lab.node(1), lab.node(2), lab.node(3));
    windlass.succeeds(["up"])?;
    assert_eq!(user_of_etcd(first)?, "0:0");

    eprintln!("a disk that cannot be written to");
    become_a_user(&mut cluster).write(&windlass)?;
    first.root(&format!("mount -o remount,bind,ro {DATA}"))?;
    let ran = windlass.run(["up"])?;
    first.root(&format!("mount -o remount,bind,rw {DATA}"))?;
    let said = format!("{}{}", ran.stdout, ran.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(ran.code, Some(1), "{said}");
    for words in ["give /var/lib/etcd on node-1 to the user", "node-1: /var/lib/etcd: Read-only file system"]
    {
        assert!(said.contains(words), "`{words}` is not in: {said}");
    }

    eprintln!("the same, with a disk that can be");
    windlass.succeeds(["up"])?;
    is_its_own(first)?;
    works(&lab, &windlass, &["node-1"])?;

    eprintln!("root again");
    cluster.remove("services.etcd.uid").remove("services.etcd.gid").write(&windlass)?;
    windlass.succeeds(["up"])?;
    assert_eq!(user_of_etcd(first)?, "0:0");
    works(&lab, &windlass, &["node-1"])?;
    let log = first.root("docker logs etcd 2>&1")?.to_lowercase();
    let complaints: Vec<&str> = log.lines().filter(|line| line.contains("permission")).collect();
    assert_eq!(complaints, Vec::<&str>::new());

    eprintln!("the user again, of whom not all is any more; and members that begin with an empty directory");
    become_a_user(&mut cluster).write(&windlass)?;
    windlass.succeeds(["up"])?;
    is_its_own(first)?;
    cluster.add_node(&lab, 2, &["etcd", "worker"]).add_node(&lab, 3, &["etcd", "worker"]).write(&windlass)?;
    windlass.succeeds(["up"])?;
    for node in [first, second, third] {
        is_its_own(node)?;
    }
    await_that("node-2 has a snapshot", Duration::from_secs(30), || Ok(snapshots(second)?.len() == 1))?;
    works(&lab, &windlass, &["node-1", "node-2", "node-3"])?;

    eprintln!("root again, member by member: each can read its key as long as it needs it");
    let before = lab.state()?;
    cluster.remove("services.etcd.uid").remove("services.etcd.gid").write(&windlass)?;
    windlass.succeeds(["up"])?;
    let changes = lab.state()?.since(&before);
    let disturbed: Vec<&String> = changes
        .iter()
        .filter(|change| change.contains("kube-apiserver") || change.contains("kubelet"))
        .collect();
    assert_eq!(disturbed, Vec::<&String>::new(), "{changes:?}");
    for node in [first, second, third] {
        assert_eq!(user_of_etcd(node)?, "0:0", "{}", node.name);
    }
    works(&lab, &windlass, &["node-1", "node-2", "node-3"])
}

fn become_a_user(cluster: &mut Cluster) -> &mut Cluster {
    cluster.set("services.etcd.uid", USER).set("services.etcd.gid", USER)
}

/// The user and group of the process.
fn user_of_etcd(node: &Node) -> Result<String, LabError> {
    let status = node.root("cat /proc/$(docker inspect -f '{{.State.Pid}}' etcd)/status")?;
    let number =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    Ok(format!("{}:{}", number("Uid:").unwrap_or_default(), number("Gid:").unwrap_or_default()))
}

/// The process runs as the user, and only that user may read its data.
fn is_its_own(node: &Node) -> Outcome {
    assert_eq!(user_of_etcd(node)?, format!("{USER}:{USER}"), "{}", node.name);
    assert_eq!(node.root(&format!("stat -c '%u:%g %a' {DATA}"))?.trim(), format!("{USER}:{USER} 700"));
    let others = node.root(&format!("find {DATA} ! -uid {USER} -o ! -gid {USER}"))?;
    assert_eq!(others, "", "{}", node.name);
    assert_ne!(node.root(&format!("ls {DATA}/member/wal"))?, "", "it holds something");
    Ok(())
}

fn works(lab: &Lab, windlass: &Windlass, nodes: &[&str]) -> Outcome {
    assert_eq!(windlass.kubectl(lab).ready_nodes()?, nodes);
    let planned = windlass.planned()?;
    assert_eq!((planned.code, planned.changes, planned.findings), (Some(0), vec![], vec![]));
    Ok(())
}
