//! etcd is restored from a snapshot, whatever was lost and whenever the run is killed: there is one cluster,
//! in the state of the snapshot, and nothing is stopped before every member's node has a copy that was read
//! back.
#![expect(clippy::unwrap_used, reason = "all of it is test; a helper of tests may panic as they do")]

use windlass_blueprint::Catalog;
use windlass_course::{Desired, Goal};
use windlass_engine::{Nodes as _, Snapshots as _};
use windlass_integration::draft::Draft;
use windlass_integration::drive::{Driver, Ended, desired_of};
use windlass_integration::restoring::{DIRECTORY, chosen, goal, save};
use windlass_model::{Action, ChosenSnapshot, Component, End, FilePath, Health, NodeName, Role, Scheduling};
use windlass_simulator::{Fault, FaultSchedule, Mischief, SimFleet, Spoilt, When, World};

const NAME: &str = "kept.db";

/// A cluster of three members and two workers with a snapshot, and what was done to it since.
struct Lived {
    driver: Driver,
    desired: Desired,
    members: Vec<NodeName>,
    workers: Vec<NodeName>,
    snapshot: ChosenSnapshot,
}

impl Lived {
    /// One worker was cordoned before the snapshot, the other one after it.
    fn new() -> Self {
        let draft = Draft::sized(3, 2);
        let desired = desired_of(&draft, Catalog::builtin()).unwrap();
        let mut world = World::default();
        for (name, node) in &desired.ordinary().nodes {
            world = world.machine(name.as_str(), &node.target.address);
        }
        let driver = Driver::new(SimFleet::new(world));
        let up = driver.run(&desired, &Goal::Converge, FaultSchedule::none());
        assert!(up.is_converged(), "{up:?}");
        let with = |role| desired.ordinary().with_role(role).map(|(name, _)| name.clone()).collect();
        let members: Vec<NodeName> = with(Role::Etcd);
        let workers: Vec<NodeName> = with(Role::Worker);
        let close = |node: &NodeName| driver.fleet.with(|world| world.meddle(&cordoned(node)));
        close(&workers[0]);
        let seen = save(&driver, &desired, &members[0], NAME).unwrap();
        close(&workers[1]);
        let snapshot = chosen(&members[0], &seen).unwrap();
        Self { driver, desired, members, workers, snapshot }
    }

    fn goal(&self) -> Goal {
        goal(self.snapshot.clone())
    }

    fn restore(&self, schedule: FaultSchedule) -> Ended {
        self.driver.run(&self.desired, &self.goal(), schedule)
    }

    /// etcd is stopped first: with the arguments of its first start it would create a new cluster where there
    /// is no data.
    fn lose_data_of(&self, nodes: &[NodeName]) {
        let meddle = |mischief: Mischief| self.driver.fleet.with(|world| world.meddle(&mischief));
        for node in nodes {
            meddle(Mischief::ContainerStopped { node: node.clone(), container: Component::Etcd.container() });
        }
        for node in nodes {
            meddle(Mischief::EtcdDataLost { node: node.clone() });
        }
    }

    /// The cluster is that of the snapshot, there is only one, and no rule was broken.
    fn assert_restored(&self, what: &str) {
        let story = || self.driver.fleet.with(|world| world.story());
        assert_eq!(
            self.driver.complaints(),
            [""; 0],
            "{what}\n{}",
            self.driver.complaints_in_full().join("\n")
        );
        self.driver.fleet.with(|world| assert_eq!(world.living_clusters(), 1, "{what}"));
        let (seen, planning) = self.driver.look_and_plan(&self.desired, &Goal::Converge).unwrap();
        assert!(planning.plan.is_empty(), "{what}: {planning:#?}\n{}", story());
        let scheduling = |worker: &NodeName| seen.kube.node(worker).map(|object| object.scheduling);
        let closed = Some(Scheduling::CordonedByOther);
        assert_eq!(scheduling(&self.workers[0]), closed, "{what}: what was before it is there");
        assert_eq!(scheduling(&self.workers[1]), Some(Scheduling::Open), "{what}: what came after it is not");
        assert_eq!(seen.etcd.members().len(), 3, "{what}");
        assert!(seen.etcd.members().iter().all(|member| member.health == Health::Healthy), "{what}");
        assert!(seen.ledger.restore.is_some_and(|note| note.done_at.is_some()), "{what}: it is over");
    }
}

fn cordoned(node: &NodeName) -> Mischief {
    Mischief::Cordoned { node: node.clone() }
}

#[test]
fn a_healthy_cluster_goes_back() {
    let lived = Lived::new();
    let ended = lived.restore(FaultSchedule::none());
    assert!(ended.is_converged(), "{ended:?}\n{}", lived.driver.fleet.with(|world| world.story()));
    lived.assert_restored("healthy");
}

#[test]
fn all_data_lost_comes_back() {
    let lived = Lived::new();
    lived.lose_data_of(&lived.members);
    let ended = lived.restore(FaultSchedule::none());
    assert!(ended.is_converged(), "{ended:?}\n{}", lived.driver.fleet.with(|world| world.story()));
    lived.assert_restored("all data lost");
}

#[test]
fn the_data_of_one_member_lost_comes_back() {
    for member in 0..3 {
        let lived = Lived::new();
        lived.lose_data_of(&lived.members[member..=member]);
        assert!(lived.restore(FaultSchedule::none()).is_converged());
        lived.assert_restored(&format!("data of member {member} lost"));
    }
}

#[test]
fn a_second_restore_is_another_one() {
    let lived = Lived::new();
    assert!(lived.restore(FaultSchedule::none()).is_converged());
    lived.driver.fleet.with(|world| world.meddle(&cordoned(&lived.workers[1])));
    assert!(lived.restore(FaultSchedule::none()).is_converged());
    lived.assert_restored("restored twice");
}

/// Killed at every verb, before it takes effect or after, and begun again.
#[test]
fn killed_at_any_verb_and_begun_again_it_ends() {
    for (all_lost, stride) in [(true, 1), (false, 3)] {
        let begin = || {
            let lived = Lived::new();
            if all_lost {
                lived.lose_data_of(&lived.members);
            }
            lived
        };
        let lived = begin();
        assert!(lived.restore(FaultSchedule::none()).is_converged());
        let verbs = lived.driver.fleet.with(|world| world.verbs());
        assert!(verbs > 50, "{verbs}");
        for verb in (1..=verbs).step_by(stride) {
            let when = if verb % 2 == 0 { When::Before } else { When::After };
            let what = format!("killed at verb {verb} of {verbs}, {when:?}, all lost: {all_lost}");
            let lived = begin();
            lived.restore(FaultSchedule::at(verb, Fault::OperatorDies { when }));
            if verb % 5 == 0 {
                // An `up` in between makes no second cluster of what is half done.
                lived.driver.run(&lived.desired, &Goal::Converge, FaultSchedule::none());
                assert_eq!(lived.driver.complaints(), [""; 0], "{what}, then up");
            }
            let ended = lived.restore(FaultSchedule::none());
            let story = || lived.driver.fleet.with(|world| world.story());
            assert!(ended.is_converged(), "{what}: {ended:?}\n{}", story());
            lived.assert_restored(&what);
        }
    }
}

/// Only the same restore brings up members with data of two different times: `up` and `cert-rotate` say so.
#[test]
fn as_long_as_a_restore_is_unfinished_every_other_command_is_refused() {
    let lived = Lived::new();
    assert!(lived.restore(FaultSchedule::none()).is_converged());
    let verbs = lived.driver.fleet.with(|world| world.verbs());
    let mut unfinished = 0;
    for verb in (1..=verbs).step_by(3) {
        let lived = Lived::new();
        lived.restore(FaultSchedule::at(verb, Fault::OperatorDies { when: When::After }));
        let (seen, planning) = lived.driver.look_and_plan(&lived.desired, &lived.goal()).unwrap();
        let is_noted = seen.ledger.restore.is_some_and(|note| note.done_at.is_none());
        let remains =
            planning.plan.steps.iter().any(|step| matches!(step.action, Action::RestoreMember { .. }));
        if !(is_noted && remains) {
            continue;
        }
        unfinished += 1;
        let all = windlass_model::Reissue::default();
        for goal in [Goal::Converge, Goal::Reissue(all)] {
            let (_, planning) = lived.driver.look_and_plan(&lived.desired, &goal).unwrap();
            assert!(planning.is_refused(), "killed at verb {verb}, {goal:?}: {planning:#?}");
        }
    }
    assert!(unfinished > 5, "{unfinished}");
}

/// A file that is not an intact snapshot of this cluster stops nothing.
#[test]
fn what_cannot_be_used_stops_nothing() {
    for (spoilt, is_refused) in [
        (Spoilt::Corrupt, false),
        (Spoilt::Truncated, false),
        (Spoilt::Foreign, true),
        (Spoilt::TooNew, true),
        (Spoilt::Unnoted, true),
    ] {
        let mut lived = Lived::new();
        lived.driver.fleet.with(|world| world.spoil_snapshots(NAME, spoilt));
        if is_refused {
            // Damage that is known is known before anything is planned; the other files are damaged after
            // they were chosen.
            let node = lived.members[0].clone();
            let last = lived.desired.ordinary().last_nodes();
            lived.driver.fleet.begin_run(windlass_simulator::RolloutRules::default(), FaultSchedule::none());
            lived.driver.fleet.enrol(&node, &last[&node]);
            let directory = FilePath::from(DIRECTORY);
            let verify = async { lived.driver.fleet.verify_snapshot(&node, &directory, NAME).await };
            let seen = windlass_simulator::run(verify).unwrap();
            lived.snapshot = chosen(&node, &seen).unwrap();
        }
        let before = lived.driver.fleet.with(|world| world.fingerprint());
        let Ended::Concluded(conclusion) = lived.restore(FaultSchedule::none()) else { unreachable!() };
        let expected = if is_refused { End::Refused } else { End::Failed };
        assert_eq!(conclusion.end, expected, "{spoilt:?}: {conclusion:#?}");
        assert_eq!(lived.driver.complaints(), [""; 0], "{spoilt:?}");
        if is_refused {
            assert_eq!(lived.driver.fleet.with(|world| world.fingerprint()), before, "{spoilt:?}");
        }
        let (seen, _) = lived.driver.look_and_plan(&lived.desired, &Goal::Converge).unwrap();
        assert!(seen.etcd.members().iter().all(|member| member.health == Health::Healthy), "{spoilt:?}");
        assert!(
            matches!(seen.kube, windlass_model::KubeSeen::Nodes(_)),
            "{spoilt:?}: the API server answers"
        );
    }
}

/// An unreachable node of etcd may hold the cluster: nothing is created in its place.
#[test]
fn an_unreachable_member_is_waited_for() {
    let lived = Lived::new();
    let node = lived.members[2].clone();
    lived.driver.fleet.with(|world| world.strike(&Fault::Unreachable { node, seconds: None }));
    let Ended::Concluded(conclusion) = lived.restore(FaultSchedule::none()) else { unreachable!() };
    assert_eq!(conclusion.end, End::Refused);
    assert_eq!(lived.driver.complaints(), [""; 0]);
}

/// Kubernetes does not go back with etcd: what would be refused afterwards is refused before anything stops.
#[test]
fn an_older_version_of_kubernetes_stops_nothing() {
    let mut lived = Lived::new();
    let draft = Draft { minor: 19, ..Draft::sized(3, 2) };
    assert!(draft.minor < Draft::sized(3, 2).minor);
    lived.desired = desired_of(&draft, Catalog::builtin()).unwrap();
    let before = lived.driver.fleet.with(|world| world.fingerprint());
    let Ended::Concluded(conclusion) = lived.restore(FaultSchedule::none()) else { unreachable!() };
    assert_eq!(conclusion.end, End::Refused, "{conclusion:#?}");
    assert_eq!(lived.driver.complaints(), [""; 0]);
    assert_eq!(lived.driver.fleet.with(|world| world.fingerprint()), before);
}

/// A cluster that was upgraded after all of this, and whose cluster.yml names the former version again: the snapshot is the one
/// that `up` took before.
fn upgraded() -> Lived {
    let mut lived = Lived::new();
    let former = lived.desired.clone();
    let draft = Draft { minor: 21, ..Draft::sized(3, 2) };
    let later = desired_of(&draft, Catalog::builtin()).unwrap();
    let up = lived.driver.run(&later, &Goal::Converge, FaultSchedule::none());
    assert!(up.is_converged(), "{up:?}");
    lived.desired = former;
    let directory = FilePath::from(DIRECTORY);
    let before = lived.members.iter().find_map(|member| {
        lived.driver.fleet.enrol(member, &later.ordinary().last_nodes()[member]);
        let look = async { lived.driver.fleet.snapshots(member, &directory).await };
        let snapshots = windlass_simulator::run(look).unwrap();
        let before = snapshots.into_iter().find(|snapshot| snapshot.name.starts_with("before-v1.21.2"));
        before.and_then(|snapshot| chosen(member, &snapshot))
    });
    lived.snapshot = before.expect("`up` took one");
    lived
}

fn versions_of(lived: &Lived, component: Component) -> Vec<String> {
    let (seen, _) = lived.driver.look_and_plan(&lived.desired, &Goal::Converge).unwrap();
    let facts = seen.nodes.values().filter_map(windlass_model::NodeSeen::facts);
    let versions = facts.filter_map(|facts| facts.containers.get(component.as_str())?.spec.version.clone());
    versions.map(|version| version.to_string()).collect()
}

/// The way back from an upgrade: the former version in cluster.yml, and the snapshot from before it. Killed at any verb and
/// begun again, it ends.
#[test]
fn an_upgrade_is_undone_by_the_snapshot_from_before_it() {
    let lived = upgraded();
    assert_eq!(versions_of(&lived, Component::Kubelet), vec!["v1.21.2"; 5]);
    let ended = lived.restore(FaultSchedule::none());
    let verbs = lived.driver.fleet.with(|world| world.verbs());
    let check = |lived: &Lived, ended: &Ended, what: &str| {
        let story = || lived.driver.fleet.with(|world| world.story());
        assert!(ended.is_converged(), "{what}: {ended:?}\n{}", story());
        assert_eq!(lived.driver.complaints(), [""; 0], "{what}: {:?}", lived.driver.complaints_in_full());
        for component in [Component::KubeApiserver, Component::Kubelet, Component::KubeProxy] {
            let versions = versions_of(lived, component);
            assert!(
                !versions.is_empty() && versions.iter().all(|of| of == "v1.20.2"),
                "{what}: {versions:?}"
            );
        }
        let (_, planning) = lived.driver.look_and_plan(&lived.desired, &Goal::Converge).unwrap();
        assert!(planning.plan.is_empty(), "{what}: {planning:#?}");
    };
    check(&lived, &ended, "undone");
    for verb in (1..=verbs).step_by(7) {
        let when = if verb % 2 == 0 { When::Before } else { When::After };
        let what = format!("killed at verb {verb} of {verbs}, {when:?}");
        let lived = upgraded();
        lived.restore(FaultSchedule::at(verb, Fault::OperatorDies { when }));
        let ended = lived.restore(FaultSchedule::none());
        check(&lived, &ended, &what);
    }
}

/// A snapshot of an unknown Kubernetes, or of the newer one, is no way back.
#[test]
fn an_upgrade_is_not_undone_by_a_snapshot_from_after_it() {
    for kubernetes in [None, Some("v1.21.2")] {
        let mut lived = upgraded();
        lived.snapshot.kubernetes = kubernetes.map(|version| version.parse().unwrap());
        let before = lived.driver.fleet.with(|world| world.fingerprint());
        let Ended::Concluded(conclusion) = lived.restore(FaultSchedule::none()) else { unreachable!() };
        assert_eq!(conclusion.end, End::Refused, "{conclusion:#?}");
        assert_eq!(lived.driver.fleet.with(|world| world.fingerprint()), before);
    }
}

/// A worker that left after the snapshot comes back with it as an object: nobody misses its pods, and once Kubernetes misses it,
/// `up` deletes it.
#[test]
fn a_node_that_has_left_since_comes_back_as_an_object_and_goes() {
    let mut lived = Lived::new();
    let fewer = desired_of(&Draft::sized(3, 1), Catalog::builtin()).unwrap();
    let left = lived.workers.iter().find(|worker| !fewer.ordinary().nodes.contains_key(*worker)).unwrap();
    lived.desired = fewer;
    let up = || lived.driver.run(&lived.desired, &Goal::Converge, FaultSchedule::none());
    let has_object = || {
        let (seen, _) = lived.driver.look_and_plan(&lived.desired, &Goal::Converge).unwrap();
        seen.kube.node(left).is_some()
    };
    assert!(up().is_converged() && !has_object());
    let Ended::Concluded(conclusion) = lived.restore(FaultSchedule::none()) else { unreachable!() };
    assert_eq!(conclusion.end, End::Held, "{conclusion:#?}");
    assert!(has_object());
    lived.driver.fleet.with(|world| world.wait(60));
    assert!(up().is_converged() && !has_object());
    assert_eq!(lived.driver.complaints(), [""; 0], "{:?}", lived.driver.complaints_in_full());
}

/// etcd's containers are gone, and a controller manager is still there: it is removed before any data is moved.
#[test]
fn what_is_left_of_the_control_plane_goes_before_data_moves() {
    let lived = Lived::new();
    for node in &lived.members {
        let removed = |container| Mischief::ContainerRemoved { node: node.clone(), container };
        let meddle = |mischief: Mischief| lived.driver.fleet.with(|world| world.meddle(&mischief));
        meddle(removed(Component::Etcd.container()));
        meddle(removed(Component::KubeApiserver.container()));
    }
    assert!(lived.restore(FaultSchedule::none()).is_converged());
    lived.assert_restored("what is left of the control plane");
}
