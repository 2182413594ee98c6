//! etcd is looked after on real members: its status, the leader's move, a full database that is repaired, and two of
//! three hosts that are gone for good.

use std::time::{Duration, Instant};

use serde_json::Value;
use windlass_integration::lab::{ALL_ROLES, Cluster, Images, Lab, LabError, LabShape, Windlass, await_that};

type Outcome = Result<(), LabError>;

/// The most that etcd may have in this test: a fresh Kubernetes needs about a fifth of it.
const QUOTA: &str = "25000000";
/// How long a cluster may take to have its first snapshots, and to see what has just happened.
const SOON: Duration = Duration::from_secs(60);

/// The status as a document, and the exit code.
fn status(windlass: &Windlass) -> Result<(Option<i32>, Value), LabError> {
    let ran = windlass.run(["etcd", "status", "--output", "json"])?;
    let document = serde_json::from_str(&ran.stdout);
    assert!(document.is_ok(), "{}{}", ran.stdout, ran.stderr);
    Ok((ran.code, document.unwrap_or_default()))
}

fn problems(status: &Value) -> String {
    let problems = status["problems"].as_array().into_iter().flatten();
    problems.filter_map(|problem| problem["what"].as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn etcd_is_looked_after_and_survives_the_loss_of_two_hosts() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(4).with_images_loaded())?;
    let windlass = Windlass::new(&lab)?;
    let roles = [(1, &ALL_ROLES[..]), (2, &ALL_ROLES[..]), (3, &ALL_ROLES[..])];
    let mut cluster = Cluster::of(&lab, Images::Loaded, roles);
    cluster.set("services.etcd.extra_args.quota-backend-bytes", QUOTA).write(&windlass)?;
    windlass.succeeds(["up"])?;
    let kubectl = windlass.kubectl(&lab);

    eprintln!("the status has real numbers");
    await_that("nothing is wrong with etcd", SOON, || Ok(status(&windlass)?.0 == Some(0)))?;
    eprintln!("{}", windlass.succeeds(["etcd", "status"])?);
    let (_, seen) = status(&windlass)?;
    assert_eq!(seen["members"].as_array().map(Vec::len), Some(3), "{seen:#}");
    for member in seen["members"].as_array().into_iter().flatten() {
        assert_eq!(member["vote"], "voter", "{member:#}");
        for number in ["raft_term", "raft_index", "revision", "db_bytes", "db_used_bytes", "certificate_days"]
        {
            assert!(member[number].as_u64().is_some_and(|number| number > 0), "{number}: {member:#}");
        }
        assert_eq!(member["quota_bytes"].to_string(), QUOTA, "{member:#}");
        assert!(member["fsync"]["count"].as_u64().is_some_and(|count| count > 10), "{member:#}");
        assert_eq!(member["peer_round_trip"].as_object().map(serde_json::Map::len), Some(2), "{member:#}");
        assert_eq!(member["snapshots"]["state"], "proven", "{member:#}");
    }

    eprintln!("the leader moves");
    let leader = seen["leader"].as_str().unwrap_or_default();
    let next = if leader == "node-1" { "node-2" } else { "node-1" };
    windlass.succeeds(["etcd", "move-leader", next])?;
    assert_eq!(status(&windlass)?.1["leader"], next);

    a_full_database_is_mended(&lab, &windlass)?;
    kubectl.run(["create", "configmap", "after-the-alarm"])?;

    eprintln!("a member that is down is a problem, and stops all care");
    lab.node(3).root("docker stop etcd")?;
    let (code, seen) = status(&windlass)?;
    assert_eq!(code, Some(1));
    assert!(problems(&seen).contains("node-3: its member does not work"), "{}", problems(&seen));
    let ran = windlass.run(["etcd", "defrag"])?;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    windlass.succeeds(["up"])?;

    two_of_three_hosts_are_lost(&lab, &windlass, &mut cluster)
}

fn a_full_database_is_mended(lab: &Lab, windlass: &Windlass) -> Outcome {
    eprintln!("a database is filled");
    let before = lab.state()?;
    lab.node(1).root(
        "head -c 1000000 /dev/zero | tr '\\0' x > /tmp/fill
         for number in $(seq 1 40); do docker exec -i etcd etcdctl put /windlass-fill < /tmp/fill || exit 0; done",
    )?;
    let (code, seen) = status(windlass)?;
    assert_eq!(code, Some(1));
    assert!(problems(&seen).contains("NOSPACE"), "{}", problems(&seen));
    let ran = windlass.run(["up"])?;
    assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("NOSPACE"), "{}", ran.stdout);
    assert_eq!(lab.state()?.since(&before), [""; 0], "nothing is restarted");
    let begun = Instant::now();
    eprintln!("{}", windlass.succeeds(["etcd", "disarm"])?);
    eprintln!("repaired in {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(lab.state()?.since(&before), [""; 0], "nothing is restarted");
    let (code, seen) = status(windlass)?;
    assert_eq!(code, Some(0), "{}", problems(&seen));
    eprintln!("{}", windlass.succeeds(["etcd", "defrag", "--plan"])?);
    eprintln!("{}", windlass.succeeds(["etcd", "defrag"])?);
    assert_eq!(windlass.succeeds(["etcd", "disarm"])?, "no alarm is raised\n");
    Ok(())
}

fn two_of_three_hosts_are_lost(lab: &Lab, windlass: &Windlass, cluster: &mut Cluster) -> Outcome {
    eprintln!("two of three hosts are gone");
    let kubectl = windlass.kubectl(lab);
    kubectl.run(["create", "configmap", "before-the-loss"])?;
    for number in [2, 3] {
        lab.node(number).power_off()?;
    }
    let ran = windlass.run(["etcd", "recover", "--plan"])?;
    assert_eq!(ran.code, Some(1), "they may come back: {}{}", ran.stdout, ran.stderr);
    let said = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("may come back"), "{}", ran.stdout);
    let begun = Instant::now();
    let ran = windlass.run(["etcd", "recover", "--gone", "node-2", "--gone", "node-3", "--yes"])?;
    eprintln!("recovered in {:.1} s\n{}", begun.elapsed().as_secs_f64(), ran.stdout);
    assert_eq!(ran.code, Some(3), "the lost nodes are still in cluster.yml: {}{}", ran.stdout, ran.stderr);
    let names = kubectl.run(["get", "configmaps", "-o", "name"])?;
    assert!(names.contains("before-the-loss"), "{names}");
    assert!(!lab.node(1).root("ls /var/lib/etcd-aside")?.is_empty(), "its former data is kept");

    eprintln!("it grows back");
    let roles = [(1, &ALL_ROLES[..]), (4, &ALL_ROLES[..])];
    *cluster = Cluster::of(lab, Images::Loaded, roles);
    cluster.set("services.etcd.extra_args.quota-backend-bytes", QUOTA).write(windlass)?;
    windlass.succeeds(["up", "--gone", "node-2", "--gone", "node-3"])?;
    await_that("nothing is wrong with etcd", SOON, || Ok(status(windlass)?.0 == Some(0)))?;
    let (_, seen) = status(windlass)?;
    assert_eq!(seen["members"].as_array().map(Vec::len), Some(2), "{seen:#}");
    kubectl.await_ready_nodes(2, Duration::from_secs(120))?;
    Ok(())
}
