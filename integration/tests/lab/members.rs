//! Members of etcd are added, replaced and removed while a client writes fifty times a second: no acknowledged write is
//! lost, and none waits longer than an election takes.

use std::collections::BTreeSet;

use serde_json::Value;
use windlass_integration::lab::{
    ALL_ROLES, Cluster, Images, Lab, LabError, LabShape, Windlass, Writer, api_balancer,
};

type Outcome = Result<(), LabError>;

/// The longest time in seconds without an acknowledged write where a leader dies: followers miss it after one to two
/// election timeouts of 5 s (`--election-timeout` as RKE has it), and then vote, all on the two cores that six hosts
/// share here.
const ELECTION: f64 = 15.0;
/// The same where none dies, one election timeout: a leader that is to stop hands over first, and another API server
/// takes the writes of one that stops.
const HANDED_OVER: f64 = 5.0;

const ETCD: &[&str] = &["etcd"];
const WITHOUT_ETCD: &[&str] = &["controlplane", "worker"];

/// A cluster with two API servers, on nodes 1 and 2, and a client that writes through a balancer in front of them.
struct World {
    lab: Lab,
    windlass: Windlass,
    writer: Writer,
    /// How many writes had failed before this phase.
    failed: usize,
}

impl World {
    fn start() -> Result<Self, LabError> {
        let lab = Lab::start(&LabShape::nodes(5).with_images_loaded().undisturbed())?;
        let windlass = Windlass::new(&lab)?;
        let balancer = lab.start_balancer(&api_balancer(&lab.nodes()[..2]))?;
        cluster(&lab, WITHOUT_ETCD, &[]).write(&windlass)?;
        windlass.succeeds(["up"])?;
        let writer = Writer::start(&format!("{balancer}:6443"), &windlass.kubeconfig())?;
        Ok(Self { lab, windlass, writer, failed: 0 })
    }

    /// Does this while the client writes, which may wait this many seconds at most.
    fn during(&mut self, what: &str, limit: f64, change: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        let begun = self.writer.now();
        change(self)?;
        let ended = self.writer.now();
        let written = self.writer.so_far();
        let (gap, at) = written.longest_gap(begun, ended);
        let count = written.acknowledged.iter().filter(|(at, _)| (begun..ended).contains(at)).count();
        let failed = &written.failures[self.failed..];
        self.failed = written.failures.len();
        eprintln!(
            "{what}: {count} writes acknowledged in {:.0} s and {} not; the longest gap is {gap:.2} s, after {:.0} s",
            ended - begun,
            failed.len(),
            at - begun
        );
        for why in failed.iter().map(|(_, why)| why).collect::<BTreeSet<_>>().into_iter().take(5) {
            eprintln!("  {why}");
        }
        assert!(gap <= limit, "{what}: no write was acknowledged for {gap:.1} s");
        Ok(())
    }

    /// Makes node 2 have these roles, and these the other nodes of etcd; then node 1 and they are the members.
    fn up(&self, second: &[&str], others: &[usize], arguments: &[&str]) -> Outcome {
        cluster(&self.lab, second, others).write(&self.windlass)?;
        self.windlass.succeeds(["up"].iter().chain(arguments).copied())?;
        let own = if second.contains(&"etcd") { vec![1, 2] } else { vec![1] };
        let expected = own.iter().chain(others).map(|number| format!("etcd-node-{number}")).collect();
        assert_eq!(voters(&self.lab)?, expected);
        Ok(())
    }

    fn leads(&self, node: &str) -> Outcome {
        self.windlass.succeeds(["etcd", "move-leader", node]).map(|_| ())
    }
}

fn cluster(lab: &Lab, second: &[&str], others: &[usize]) -> Cluster {
    let first = [(1, &ALL_ROLES[..]), (2, second)];
    Cluster::of(lab, Images::Loaded, first.into_iter().chain(others.iter().map(|number| (*number, ETCD))))
}

/// The members that vote, as that on node 1 knows them.
fn voters(lab: &Lab) -> Result<BTreeSet<String>, LabError> {
    let listed = lab.node(1).docker(["exec", "etcd", "etcdctl", "member", "list", "-w", "json"])?;
    let listed: Value = serde_json::from_str(&listed).unwrap_or_default();
    let members = listed["members"].as_array().into_iter().flatten();
    let voters = members.filter(|member| member["isLearner"] != true);
    Ok(voters.filter_map(|member| member["name"].as_str()).map(str::to_owned).collect())
}

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn members_come_and_go_under_a_writer() -> Outcome {
    let mut world = World::start()?;
    world.during("one member becomes three", HANDED_OVER, |world| world.up(WITHOUT_ETCD, &[3, 4], &[]))?;
    world.during("three become five", HANDED_OVER, |world| world.up(&ALL_ROLES, &[3, 4, 5], &[]))?;
    world.leads("node-3")?;
    world.during("the leader loses its disk", ELECTION, |world| {
        world.lab.node(3).root("docker rm -f etcd && rm -rf /var/lib/etcd/member")?;
        world.up(&ALL_ROLES, &[3, 4, 5], &[])
    })?;
    world.leads("node-4")?;
    world.during("the leader's host is gone for good, and another takes its place", ELECTION, |world| {
        world.lab.remove_node_including_data(4)?;
        world.lab.add_nodes(1)?;
        world.up(&ALL_ROLES, &[3, 5, 6], &["--gone", "node-4"])
    })?;
    world.leads("node-5")?;
    world.during("five become three, and the leader is not one of them", HANDED_OVER, |world| {
        world.up(&ALL_ROLES, &[3], &[])
    })?;

    let World { lab, windlass, writer, .. } = world;
    let written = writer.stop();
    let there = windlass.kubectl(&lab).run(["get", "configmaps", "-o", "name"])?;
    let there: BTreeSet<&str> = there.lines().filter_map(|line| line.strip_prefix("configmap/")).collect();
    let lost: Vec<_> =
        written.acknowledged.iter().filter(|(_, name)| !there.contains(name.as_str())).collect();
    assert_eq!(lost, Vec::<&(f64, String)>::new());
    eprintln!("{} acknowledged writes, and all are there", written.acknowledged.len());
    let planned = windlass.planned()?;
    assert_eq!((planned.code, planned.changes), (Some(0), vec![]), "{:?}", planned.findings);
    Ok(())
}
