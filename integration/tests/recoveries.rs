//! etcd goes on from the member that is left when its majority is gone for good, whenever the run is killed; and it
//! does not while a majority may come back.
#![expect(clippy::unwrap_used, reason = "all of it is test; a helper of tests may panic as they do")]

use std::collections::BTreeSet;

use windlass_blueprint::Catalog;
use windlass_course::{Course, Desired, Goal};
use windlass_engine::{Nodes as _, survey_etcd};
use windlass_integration::draft::Draft;
use windlass_integration::drive::{Driver, Ended, desired_of};
use windlass_integration::restoring::{chosen, save};
use windlass_model::{
    Cause, Component, End, EtcdSurvey, Health, KubeSeen, NodeName, Recovery, Refusal, Restore,
    RestoreRefused, Role, Scheduling, Timestamp, Vote,
};
use windlass_simulator::{Fault, FaultSchedule, Mischief, RolloutRules, SimFleet, When, World};

const NAME: &str = "recover-now";

/// A cluster whose members have a node each, with a worker that was cordoned by hand.
struct Lived {
    driver: Driver,
    desired: Desired,
    members: Vec<NodeName>,
    worker: NodeName,
}

impl Lived {
    fn of(members: usize) -> Self {
        let draft = Draft::sized(members, 1);
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
        let worker = workers.into_iter().find(|worker| !members.contains(worker)).unwrap();
        let lived = Self { driver, desired, members, worker };
        lived.meddle(&Mischief::Cordoned { node: lived.worker.clone() });
        lived
    }

    fn meddle(&self, mischief: &Mischief) {
        self.driver.fleet.with(|world| world.meddle(mischief));
    }

    /// The machines of all members but the first ones are switched off for good.
    fn lose_all_but(&self, left: usize) -> BTreeSet<NodeName> {
        let lost: BTreeSet<NodeName> = self.members[left..].iter().cloned().collect();
        for node in &lost {
            let fault = Fault::PowerOff { node: node.clone(), seconds: None };
            self.driver.fleet.with(|world| world.strike(&fault));
        }
        lost
    }

    fn survey(&self) -> EtcdSurvey {
        let fleet = &self.driver.fleet;
        fleet.begin_run(RolloutRules::default(), FaultSchedule::none());
        let assignment = Course::new(&self.desired, Goal::Converge).assignment();
        let (ledger, now) = fleet.with(|world| (world.ledger().cloned(), world.time()));
        fleet.entrust(ledger.as_ref().unwrap());
        windlass_simulator::run(survey_etcd(fleet, &assignment, ledger.as_ref(), now))
    }

    /// What the command does before it plans: chooses a member, and takes its snapshot.
    fn recovery(&self, gone: &BTreeSet<NodeName>) -> Restore {
        let survey = self.survey();
        let (node, report) = survey.most_advanced().unwrap();
        let taken = save(&self.driver, &self.desired, node, NAME).unwrap();
        let snapshot = chosen(node, &taken).unwrap();
        let voters = report.members.iter().filter(|member| member.vote == Vote::Voter);
        let recovery = Recovery {
            node: node.clone(),
            voters: voters.map(|member| (member.peer_url.clone(), member.name.clone())).collect(),
            abandoned: BTreeSet::new(),
        };
        Restore { snapshot, asked_at: Timestamp(0), gone: gone.clone(), recovery: Some(recovery) }
    }

    fn run(&self, restore: &Restore, schedule: FaultSchedule) -> Ended {
        self.driver.run(&self.desired, &Goal::Restore(restore.clone()), schedule)
    }

    fn refusals(&self, restore: &Restore) -> Vec<RestoreRefused> {
        let goal = Goal::Restore(restore.clone());
        let (_, planning) = self.driver.look_and_plan(&self.desired, &goal).unwrap();
        let refused = planning.findings.iter().filter_map(|finding| match &finding.cause {
            Cause::Refusal(Refusal::Restore { refused }) => Some(refused.clone()),
            _ => None,
        });
        refused.collect()
    }

    /// One member has everything, there is one cluster, and nothing was broken.
    fn assert_recovered(&self, survivor: &NodeName, what: &str) {
        let story = || self.driver.fleet.with(|world| world.story());
        assert_eq!(self.driver.complaints(), [""; 0], "{what}\n{}", story());
        let (seen, _) = self.driver.look_and_plan(&self.desired, &Goal::Converge).unwrap();
        assert_eq!(self.driver.complaints(), [""; 0], "{what}");
        let members = seen.etcd.members();
        assert_eq!(members.len(), 1, "{what}: {members:?}\n{}", story());
        assert_eq!(members[0].name, format!("etcd-{survivor}"), "{what}");
        assert_eq!(members[0].health, Health::Healthy, "{what}");
        let KubeSeen::Nodes(objects) = &seen.kube else {
            panic!("{what}: no API server answers\n{}", story())
        };
        assert_eq!(objects[&self.worker].scheduling, Scheduling::CordonedByOther, "{what}: nothing is lost");
        let note = seen.ledger.restore.unwrap();
        assert!(note.recovers && note.done_at.is_some(), "{what}: {note:?}");
    }
}

fn ended(ended: &Ended) -> End {
    match ended {
        Ended::Concluded(conclusion) => conclusion.end,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_of_three_hosts_are_gone_and_it_grows_back() {
    let lived = Lived::of(3);
    let gone = lived.lose_all_but(1);
    let restore = lived.recovery(&gone);
    assert_eq!(
        ended(&lived.run(&restore, FaultSchedule::none())),
        End::Held,
        "the lost nodes are in cluster.yml"
    );
    lived.assert_recovered(&lived.members[0], "two of three");

    // New machines at the addresses of the lost ones.
    for node in &gone {
        lived.driver.fleet.with(|world| world.strike(&Fault::PowerOn { node: node.clone() }));
        lived.meddle(&Mischief::ContainerRemoved {
            node: node.clone(),
            container: Component::Etcd.container(),
        });
        lived.meddle(&Mischief::EtcdDataLost { node: node.clone() });
    }
    let up = lived.driver.run(&lived.desired, &Goal::Converge, FaultSchedule::none());
    assert!(up.is_converged(), "{up:?}\n{}", lived.driver.fleet.with(|world| world.story()));
    assert_eq!(lived.driver.complaints(), [""; 0]);
    assert_eq!(lived.survey().problems(), []);
    assert_eq!(lived.survey().members().len(), 3);
}

/// A machine that was called gone comes back with its data, while the other one is still away: its member finds no majority, the
/// cluster that goes on is not disturbed, and nothing is changed before both are seen.
#[test]
fn one_that_was_called_gone_and_comes_back_disturbs_nothing() {
    let lived = Lived::of(3);
    let gone = lived.lose_all_but(1);
    let restore = lived.recovery(&gone);
    lived.run(&restore, FaultSchedule::none());
    let back = gone.first().unwrap().clone();
    lived.driver.fleet.with(|world| world.strike(&Fault::PowerOn { node: back.clone() }));
    let up = lived.driver.run(&lived.desired, &Goal::Converge, FaultSchedule::none());
    assert_eq!(lived.driver.complaints(), [""; 0], "{}", lived.driver.fleet.with(|world| world.story()));
    assert_eq!(ended(&up), End::Held);
    let (seen, _) = lived.driver.look_and_plan(&lived.desired, &Goal::Converge).unwrap();
    let [member] = seen.etcd.members() else { panic!("{:?}", seen.etcd) };
    assert_eq!((member.peer_url.as_str(), member.health), ("https://10.0.0.1:2380", Health::Healthy));
}

/// Killed at every verb, before it takes effect or after, and begun again.
#[test]
fn killed_at_any_verb_and_begun_again_it_ends() {
    let begin = || {
        let lived = Lived::of(3);
        let gone = lived.lose_all_but(1);
        let restore = lived.recovery(&gone);
        (lived, restore)
    };
    let (lived, restore) = begin();
    assert_eq!(ended(&lived.run(&restore, FaultSchedule::none())), End::Held);
    let verbs = lived.driver.fleet.with(|world| world.verbs());
    assert!(verbs > 30, "{verbs}");
    for verb in 1..=verbs {
        let when = if verb % 2 == 0 { When::Before } else { When::After };
        let what = format!("killed at verb {verb} of {verbs}, {when:?}");
        let (lived, restore) = begin();
        lived.run(&restore, FaultSchedule::at(verb, Fault::OperatorDies { when }));
        if verb % 5 == 0 {
            lived.driver.run(&lived.desired, &Goal::Converge, FaultSchedule::none());
            assert_eq!(lived.driver.complaints(), [""; 0], "{what}, then up");
        }
        // The command that goes on does not ask the members again: they may be stopped.
        let recovery = restore.recovery.clone().map(|recovery| Recovery { voters: [].into(), ..recovery });
        let noted = lived.driver.fleet.with(|world| {
            world
                .ledger()
                .and_then(|ledger| ledger.restore.clone())
                .is_some_and(|note| note.done_at.is_none())
        });
        let again = if noted { Restore { recovery, ..restore } } else { restore };
        let run = lived.run(&again, FaultSchedule::none());
        let story = || lived.driver.fleet.with(|world| world.story());
        // One that was over already is refused: etcd has a majority.
        assert!(matches!(ended(&run), End::Held | End::Refused), "{what}: {run:?}\n{}", story());
        lived.assert_recovered(&lived.members[0], &what);
    }
}

#[test]
fn the_most_advanced_member_goes_on() {
    for (behind, best) in [([0, 3], 0), ([3, 0], 1), ([1, 1], 0)] {
        let lived = Lived::of(5);
        let gone = lived.lose_all_but(2);
        for (member, revisions) in behind.into_iter().enumerate() {
            lived.meddle(&Mischief::MemberBehind { node: lived.members[member].clone(), revisions });
        }
        let restore = lived.recovery(&gone);
        assert_eq!(restore.recovery.as_ref().unwrap().node, lived.members[best], "{behind:?}");
        // The other one that is left joins again.
        assert_eq!(lived.refusals(&restore), [], "{behind:?}");
        lived.run(&restore, FaultSchedule::none());
        assert_eq!(lived.driver.complaints(), [""; 0], "{behind:?}");
        let survey = lived.survey();
        assert!(survey.has_majority(), "{:?}", survey.problems());
    }
}

#[test]
fn while_a_majority_may_come_back_it_is_refused() {
    let nobody = BTreeSet::new();
    let lived = Lived::of(3);
    let gone = lived.lose_all_but(1);
    let places = |nodes: &[&NodeName]| nodes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (second, third) = (&lived.members[1], &lived.members[2]);
    let before = lived.driver.fleet.with(|world| world.fingerprint());
    let restore = lived.recovery(&nobody);
    let may_return = |nodes: &[&NodeName]| RestoreRefused::MajorityMayReturn { places: places(nodes) };
    assert_eq!(lived.refusals(&restore), [may_return(&[second, third])]);
    let one = BTreeSet::from([second.clone()]);
    let restore = Restore { gone: one, ..restore };
    assert_eq!(lived.refusals(&restore), [may_return(&[third])]);
    assert_eq!(ended(&lived.run(&restore, FaultSchedule::none())), End::Refused);
    assert_eq!(lived.driver.fleet.with(|world| world.fingerprint()), before, "nothing was changed");
    assert_eq!(lived.refusals(&Restore { gone: gone.clone(), ..restore }), []);

    // One that can be reached and is merely stopped may come back, unless it is given up.
    let lived = Lived::of(3);
    let (second, third) = (lived.members[1].clone(), lived.members[2].clone());
    let power_off = Fault::PowerOff { node: third.clone(), seconds: None };
    lived.driver.fleet.with(|world| world.strike(&power_off));
    lived
        .meddle(&Mischief::ContainerStopped { node: second.clone(), container: Component::Etcd.container() });
    let restore = lived.recovery(&BTreeSet::from([third.clone()]));
    assert_eq!(lived.refusals(&restore), [may_return(&[&second])]);
    let called_gone = Restore { gone: BTreeSet::from([second.clone(), third.clone()]), ..restore.clone() };
    assert!(
        lived.refusals(&called_gone).contains(&RestoreRefused::GoneAnswers { nodes: vec![second.clone()] })
    );
    let given_up =
        restore.recovery.clone().map(|recovery| Recovery { abandoned: [second.clone()].into(), ..recovery });
    let given_up = Restore { recovery: given_up, ..restore };
    assert_eq!(lived.refusals(&given_up), []);
    lived.run(&given_up, FaultSchedule::none());
    assert_eq!(lived.driver.complaints(), [""; 0]);

    // With a majority there is nothing to recover from.
    let lived = Lived::of(3);
    let restore = lived.recovery(&nobody);
    assert!(lived.refusals(&restore).contains(&RestoreRefused::MajorityAnswers));
}
