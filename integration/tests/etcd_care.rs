//! etcd is looked after on request: its status, defragmentation, the leader's move, alarms that are lifted; and
//! snapshots that are overdue are reported.
#![expect(clippy::unwrap_used, reason = "all of it is test; a helper of tests may panic as they do")]

use std::collections::BTreeMap;

use windlass_blueprint::Catalog;
use windlass_course::{Course, Desired, Goal};
use windlass_engine::{
    CareError, Cared, Defragmented, Interrupt, Nodes as _, defragment, disarm, make_leader, survey_etcd,
};
use windlass_integration::draft::Draft;
use windlass_integration::drive::{Driver, desired_of};
use windlass_model::{Alarm, Cause, EtcdProblem, EtcdSurvey, NodeName, Note, Role, RollingFault, Weight};
use windlass_simulator::{Fault, FaultSchedule, Mischief, RolloutRules, SimFleet, When, World};

/// A cluster of three members.
struct Lived {
    driver: Driver,
    desired: Desired,
    members: Vec<NodeName>,
}

impl Lived {
    fn new() -> Self {
        let draft = Draft::sized(3, 1);
        let desired = desired_of(&draft, Catalog::builtin()).unwrap();
        let mut world = World::default();
        for (name, node) in &desired.ordinary().nodes {
            world = world.machine(name.as_str(), &node.target.address);
        }
        let driver = Driver::new(SimFleet::new(world));
        let up = driver.run(&desired, &Goal::Converge, FaultSchedule::none());
        assert!(up.is_converged(), "{up:?}");
        let members = desired.ordinary().with_role(Role::Etcd).map(|(name, _)| name.clone()).collect();
        Self { driver, desired, members }
    }

    fn meddle(&self, mischief: &Mischief) {
        self.driver.fleet.with(|world| world.meddle(mischief));
    }

    fn strike(&self, fault: &Fault) {
        self.driver.fleet.with(|world| world.strike(fault));
    }

    fn wait(&self, seconds: u64) {
        self.driver.fleet.with(|world| world.wait(seconds));
    }

    /// Where each member is, as a command knows it.
    fn nodes(&self) -> BTreeMap<NodeName, String> {
        let all = self.desired.ordinary().last_nodes();
        let ledger = self.driver.fleet.with(|world| world.ledger().cloned()).unwrap();
        self.driver.fleet.entrust(&ledger);
        for (name, last) in &all {
            self.driver.fleet.enrol(name, last);
        }
        self.members.iter().map(|name| (name.clone(), all[name].target.peer_url())).collect()
    }

    fn begin(&self, schedule: FaultSchedule) -> BTreeMap<NodeName, String> {
        self.driver.fleet.begin_run(RolloutRules::default(), schedule);
        self.nodes()
    }

    fn survey(&self) -> EtcdSurvey {
        self.begin(FaultSchedule::none());
        let fleet = &self.driver.fleet;
        let assignment = Course::new(&self.desired, Goal::Converge).assignment();
        let (ledger, now) = fleet.with(|world| (world.ledger().cloned(), world.time()));
        windlass_simulator::run(survey_etcd(fleet, &assignment, ledger.as_ref(), now))
    }

    /// What is wrong, in words.
    fn problems(&self) -> Vec<String> {
        self.survey().problems().iter().map(ToString::to_string).collect()
    }

    fn defragment(&self) -> Cared<Vec<Defragmented>> {
        let nodes = self.begin(FaultSchedule::none());
        let interrupt = Interrupt::default();
        windlass_simulator::run(defragment(&self.driver.fleet, &nodes, &interrupt, |_| {}))
    }

    /// The nodes of the defragmentations in the story of the last run, in order.
    fn defragmented(&self) -> Vec<NodeName> {
        let story = self.driver.fleet.with(|world| world.story());
        let lines = story.lines().filter(|line| line.contains("defragment"));
        let on = |line: &str| self.members.iter().find(|node| line.contains(node.as_str())).cloned();
        lines.filter_map(on).collect()
    }

    fn leader(&self) -> NodeName {
        let survey = self.survey();
        let (node, _) = survey.reports().find(|(_, report)| report.leads()).unwrap();
        node.clone()
    }

    fn assert_no_complaints(&self, what: &str) {
        assert_eq!(self.driver.complaints(), [""; 0], "{what}");
    }
}

#[test]
fn a_healthy_etcd_has_no_problems() {
    let lived = Lived::new();
    let survey = lived.survey();
    assert_eq!(survey.problems(), []);
    assert_eq!(survey.reports().count(), 3);
    let (_, leader) = survey.reports().find(|(_, report)| report.leads()).unwrap();
    assert_eq!((leader.peers.len(), leader.members.len()), (2, 3));
    for node in survey.nodes.values() {
        assert!(node.rolling().is_some_and(|rolling| rolling.newest.is_some()), "the first comes at once");
        assert!(node.certificate_until.is_some());
    }
}

#[test]
fn whatever_is_wrong_with_a_member_is_told() {
    let lived = Lived::new();
    let node = lived.members[2].clone();
    lived.strike(&Fault::Unreachable { node: node.clone(), seconds: None });
    // It works, and only windlass does not reach it: that is unknown, and reported.
    let problems = lived.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("node-3: its member does not work: its node is unreachable"),
        "{problems:?}"
    );

    let lived = Lived::new();
    lived.meddle(&Mischief::ContainerStopped { node: node.clone(), container: "etcd".into() });
    let problems = lived.survey().problems();
    assert!(
        matches!(&problems[..], [EtcdProblem::MemberDown { place, .. }] if *place == node.to_string()),
        "{problems:?}"
    );
    lived.meddle(&Mischief::ContainerStopped { node: lived.members[1].clone(), container: "etcd".into() });
    let problems = lived.survey().problems();
    assert!(problems.contains(&EtcdProblem::NoMajority), "{problems:?}");
    assert_eq!(problems.len(), 3, "the members are known from the one that answers: {problems:?}");

    let lived = Lived::new();
    lived.meddle(&Mischief::EtcdAlarm { node, alarm: Alarm::NoSpace });
    lived.meddle(&Mischief::EtcdGrows { node: lived.members[0].clone(), bytes: 1_900_000_000 });
    let problems = lived.problems();
    assert_eq!(problems[0], "node-3: its member has raised the alarm NOSPACE");
    assert_eq!(problems.len(), 4, "and each database is nearly full: {problems:?}");
}

/// Overdue, failing and damaged snapshots are notices of a plan, and problems of the status.
#[test]
fn stale_snapshots_are_told_and_nothing_waits_for_them() {
    let stale = |lived: &Lived| -> Vec<(NodeName, RollingFault)> {
        let (_, planning) = lived.driver.look_and_plan(&lived.desired, &Goal::Converge).unwrap();
        assert!(planning.plan.is_empty(), "{planning:#?}");
        let findings = planning.findings.iter().filter_map(|finding| match &finding.cause {
            Cause::Note(Note::SnapshotsStale { fault }) => {
                assert_eq!(finding.weight, Weight::Notice);
                Some((finding.node()?.clone(), fault.clone()))
            }
            _ => None,
        });
        findings.collect()
    };
    let lived = Lived::new();
    let node = lived.members[1].clone();
    lived.strike(&Fault::DaysPass { days: 3 });
    assert_eq!(stale(&lived), [], "they were taken meanwhile");

    lived.meddle(&Mischief::SnapshotsFail { node: node.clone(), why: "no room".to_owned() });
    lived.wait(11 * 3_600);
    assert_eq!(stale(&lived), [], "none is due yet");
    lived.wait(2 * 3_600);
    let found = stale(&lived);
    assert!(
        matches!(&found[..], [(on, RollingFault::Failing { why, .. })] if *on == node && why == "no room"),
        "{found:?}"
    );
    let problems = lived.survey().problems();
    assert!(
        matches!(&problems[..], [EtcdProblem::Snapshots { node: on, .. }] if *on == node),
        "{problems:?}"
    );
    lived.meddle(&Mischief::SnapshotsSucceed { node: node.clone() });
    assert_eq!(stale(&lived), []);

    lived.meddle(&Mischief::SnapshotDamaged { node: node.clone() });
    let found = stale(&lived);
    assert!(matches!(&found[..], [(on, RollingFault::Damaged { .. })] if *on == node), "{found:?}");
    lived.assert_no_complaints("snapshots");
}

#[test]
fn a_defragmentation_ends_with_the_member_that_led() {
    let lived = Lived::new();
    let led = lived.leader();
    lived.meddle(&Mischief::EtcdGrows { node: led.clone(), bytes: 1_000_000_000 });
    let cared = lived.defragment();
    assert_eq!(cared.failed, None);
    assert_eq!(lived.defragmented().len(), 3);
    assert_eq!(lived.defragmented().last(), Some(&led));
    assert_ne!(lived.leader(), led, "it has handed over");
    lived.assert_no_complaints("defragmented");
    lived.driver.fleet.begin_run(RolloutRules::default(), FaultSchedule::none());
    let (_, planning) = lived.driver.look_and_plan(&lived.desired, &Goal::Converge).unwrap();
    assert!(planning.plan.is_empty(), "{planning:#?}");
}

#[test]
fn nothing_is_defragmented_while_a_member_is_ill_or_differs() {
    let lived = Lived::new();
    let node = lived.members[2].clone();
    lived.meddle(&Mischief::ContainerStopped { node: node.clone(), container: "etcd".into() });
    assert!(matches!(lived.defragment().failed, Some(CareError::Unwell { .. })));
    assert_eq!(lived.defragmented(), []);
    lived.meddle(&Mischief::ContainerStopped { node: lived.members[1].clone(), container: "etcd".into() });
    assert_eq!(lived.defragment().failed, Some(CareError::NoMajority));

    let lived = Lived::new();
    lived.strike(&Fault::Unreachable { node: node.clone(), seconds: None });
    assert!(matches!(lived.defragment().failed, Some(CareError::Unwell { .. })), "unknown is not healthy");

    let lived = Lived::new();
    lived.meddle(&Mischief::EtcdAlarm { node, alarm: Alarm::Corrupt });
    assert!(matches!(lived.defragment().failed, Some(CareError::Corrupt { .. })));
    lived.assert_no_complaints("refused");
}

/// Killed at every verb, before it takes effect or after: the cluster is as it was, and the next run finishes.
#[test]
fn the_care_may_be_killed_at_any_verb() {
    let full = || {
        let lived = Lived::new();
        let node = lived.members[0].clone();
        lived.meddle(&Mischief::EtcdGrows { node: node.clone(), bytes: 3_000_000_000 });
        lived.meddle(&Mischief::EtcdAlarm { node, alarm: Alarm::NoSpace });
        lived
    };
    let disarmed = |lived: &Lived, schedule| {
        let nodes = lived.begin(schedule);
        let interrupt = Interrupt::default();
        windlass_simulator::run(async {
            tokio::select! {
                biased;
                () = lived.driver.fleet.died() => None,
                cared = disarm(&lived.driver.fleet, &nodes, &interrupt, |_| {}) => Some(cared),
            }
        })
    };
    let lived = full();
    let cared = disarmed(&lived, FaultSchedule::none()).unwrap();
    let verbs = lived.driver.fleet.with(|world| world.verbs());
    assert_eq!(cared.failed, None);
    assert_eq!((cared.done.defragmented.len(), cared.done.disarmed.len()), (3, 1));
    assert!(cared.done.compacted.is_some());
    assert_eq!(lived.problems(), [""; 0]);
    assert!(verbs > 20, "{verbs}");
    for verb in 1..=verbs {
        let when = if verb % 2 == 0 { When::Before } else { When::After };
        let lived = full();
        disarmed(&lived, FaultSchedule::at(verb, Fault::OperatorDies { when }));
        let (_, planning) = lived.driver.look_and_plan(&lived.desired, &Goal::Converge).unwrap();
        assert!(planning.plan.is_empty(), "killed at verb {verb}: {planning:#?}");
        let cared = disarmed(&lived, FaultSchedule::none()).unwrap();
        assert_eq!(cared.failed, None, "killed at verb {verb}");
        assert_eq!(lived.problems(), [""; 0], "killed at verb {verb}");
        lived.assert_no_complaints(&format!("killed at verb {verb}"));
    }
}

#[test]
fn an_alarm_stays_where_there_is_no_room_or_data_differs() {
    let lived = Lived::new();
    let node = lived.members[0].clone();
    lived.meddle(&Mischief::EtcdGrows { node: node.clone(), bytes: 9_000_000_000 });
    lived.meddle(&Mischief::EtcdAlarm { node: node.clone(), alarm: Alarm::NoSpace });
    let disarmed = |lived: &Lived| {
        let nodes = lived.begin(FaultSchedule::none());
        windlass_simulator::run(disarm(&lived.driver.fleet, &nodes, &Interrupt::default(), |_| {}))
    };
    assert!(matches!(disarmed(&lived).failed, Some(CareError::StillFull { .. })));
    assert!(lived.problems().iter().any(|problem| problem.contains("NOSPACE")));
    lived.meddle(&Mischief::EtcdAlarm { node, alarm: Alarm::Corrupt });
    let cared = disarmed(&lived);
    assert!(matches!(cared.failed, Some(CareError::Corrupt { .. })));
    assert_eq!(cared.done.compacted, None, "nothing was changed");
    let cared = disarmed(&Lived::new());
    assert_eq!((cared.failed, cared.done), (None, windlass_engine::Disarmed::default()));
}

#[test]
fn the_leader_moves_where_it_is_told_to() {
    let lived = Lived::new();
    let before = lived.leader();
    let moved = |lived: &Lived, target: &NodeName| {
        let nodes = lived.begin(FaultSchedule::none());
        windlass_simulator::run(make_leader(&lived.driver.fleet, &nodes, target))
    };
    for target in &lived.members {
        assert_eq!(moved(&lived, target).unwrap().now, *target);
        assert_eq!(lived.leader(), *target);
    }
    assert_eq!(moved(&lived, &before).unwrap().now, before);
    let nobody = NodeName::from("node-9");
    assert_eq!(moved(&lived, &nobody), Err(CareError::NoMember { node: nobody }));
    lived.assert_no_complaints("moved");
}
