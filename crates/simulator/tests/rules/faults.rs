//! Faults strike at their verb and for their time.

use std::time::Duration;

use windlass_engine::{Clock, LedgerStore, Nodes, PortError};
use windlass_model::ContainerState;
use windlass_simulator::{Fault, FaultSchedule, How, Mischief, SimFleet, When, World, run};

use crate::lab::{IMAGE, Lab, name, node, seconds, spec};

fn fails(when: When, how: How) -> Fault {
    Fault::Fails { when, how }
}

async fn is_there(lab: &Lab, path: &str) -> bool {
    lab.fleet.read_file(&node(1), &path.into()).await.unwrap().is_some()
}

#[test]
fn a_verb_fails_before_it_takes_effect_or_after() {
    run(async {
        let lab = Lab::new(1);
        let faults =
            FaultSchedule::at(1, fails(When::Before, How::Passing)).and(3, fails(When::After, How::Lasting));
        lab.begin(faults);
        assert!(lab.write(1, "/a", "x").await.unwrap_err().is_passing());
        assert!(!is_there(&lab, "/a").await);
        assert!(!lab.write(1, "/b", "x").await.unwrap_err().is_passing());
        assert!(is_there(&lab, "/b").await);
        lab.write(1, "/c", "x").await.unwrap();
    });
}

#[test]
fn when_the_operator_s_machine_dies_its_verbs_never_return_and_whoever_drives_is_reported() {
    run(async {
        for (when, written) in [(When::Before, false), (When::After, true)] {
            let lab = Lab::new(1);
            lab.begin(FaultSchedule::at(2, Fault::OperatorDies { when }));
            let work = async {
                lab.write(1, "/a", "x").await.unwrap();
                lab.write(1, "/b", "x").await.unwrap();
                unreachable!("nobody is left to hear of it");
            };
            tokio::select! {
                biased;
                () = lab.fleet.died() => (),
                () = work => (),
            }
            assert!(lab.fleet.with(|world| world.has_operator_died()));
            let lost = tokio::time::timeout(Duration::from_secs(60), lab.write(1, "/c", "x")).await;
            assert!(lost.is_err());
            lab.begin(FaultSchedule::none());
            assert!(is_there(&lab, "/a").await);
            assert_eq!(is_there(&lab, "/b").await, written);
            assert!(!is_there(&lab, "/c").await);
        }
    });
}

#[test]
fn what_was_on_its_way_when_the_operator_s_machine_died_arrives_or_is_lost() {
    let arrived = run(async {
        let lab = Lab::new(1);
        lab.begin(FaultSchedule::at(1, Fault::OperatorDies { when: When::Before }));
        let paths: Vec<String> = (1..=8).map(|number| format!("/{number}")).collect();
        let write = |number: usize| lab.write(1, &paths[number], "x");
        let work = async {
            let _ =
                tokio::join!(write(0), write(1), write(2), write(3), write(4), write(5), write(6), write(7));
        };
        tokio::select! {
            biased;
            () = lab.fleet.died() => (),
            () = work => (),
        }
        lab.begin(FaultSchedule::none());
        let mut arrived = 0;
        for path in &paths {
            arrived += usize::from(is_there(&lab, path).await);
        }
        arrived
    });
    assert!((1..8).contains(&arrived), "{arrived} of 8");
}

#[test]
fn the_operator_s_machine_can_die_before_or_after_a_commit() {
    run(async {
        for (when, serial) in [(When::Before, 1), (When::After, 2)] {
            let mut lab = Lab::new(1);
            lab.begin(FaultSchedule::at(1, Fault::OperatorDies { when }));
            lab.kept.serial = 2;
            assert!(lab.ledger.commit(&lab.kept).is_err());
            lab.fleet.died().await;
            lab.begin(FaultSchedule::none());
            assert_eq!(lab.ledger.read().unwrap().unwrap().serial, serial);
        }
    });
}

#[test]
fn the_operator_s_ledger_is_lost_or_grows_old() {
    run(async {
        let mut lab = Lab::new(1);
        lab.certify("a", &Lab::desired("a", &[]));
        lab.fleet.with(|world| world.strike(&Fault::LedgerAged));
        assert_eq!(lab.ledger.read().unwrap().unwrap().serial, 1);
        lab.fleet.with(|world| world.strike(&Fault::LedgerLost));
        assert_eq!(lab.ledger.read(), Ok(None));
    });
}

#[test]
fn a_machine_is_out_of_sight_while_it_is_off_and_boots_when_it_comes_back() {
    run(async {
        let lab = Lab::new(1);
        let mut desired = spec(&["sleep".to_owned()], &[]);
        desired.binds.clear();
        lab.create(1, "created", &desired, &[]).await.unwrap();
        lab.run(1, "started", &desired, &[]).await;
        lab.fleet.with(|world| world.strike(&Fault::PowerOff { node: node(1), seconds: Some(30) }));
        let begun = lab.fleet.with(|world| world.elapsed());
        assert!(matches!(lab.write(1, "/a", "x").await, Err(PortError::OutOfSight { .. })));
        assert!(lab.fleet.with(|world| world.elapsed()) >= begun + 2_500, "finding out takes time");
        seconds(30).await;
        lab.write(1, "/a", "x").await.unwrap();
        assert_eq!(lab.seen(1, "created").await.state, ContainerState::Created);
        assert_eq!(lab.seen(1, "started").await.state, ContainerState::Running);
    });
}

#[test]
fn an_unreachable_machine_goes_on_and_comes_back_as_it_was() {
    run(async {
        let lab = Lab::new(1);
        lab.fleet.with(|world| world.strike(&Fault::Unreachable { node: node(1), seconds: None }));
        assert!(matches!(lab.write(1, "/a", "x").await, Err(PortError::OutOfSight { .. })));
        lab.fleet.with(|world| world.strike(&Fault::Reconnected { node: node(1) }));
        lab.write(1, "/a", "x").await.unwrap();
    });
}

#[test]
fn a_fault_strikes_at_its_verb() {
    run(async {
        let lab = Lab::new(2);
        lab.begin(FaultSchedule::at(2, Fault::Unreachable { node: node(1), seconds: Some(600) }));
        lab.write(1, "/a", "x").await.unwrap();
        assert!(lab.write(1, "/b", "x").await.is_err());
        lab.write(2, "/b", "x").await.unwrap();
    });
}

#[test]
fn time_is_that_of_the_runtime_and_years_pass_in_a_moment() {
    run(async {
        let lab = Lab::new(1);
        let begun = lab.clock.now();
        seconds(90).await;
        assert_eq!(lab.clock.now().seconds_since(begun), 90);
        lab.fleet.with(|world| world.strike(&Fault::DaysPass { days: 365 }));
        assert_eq!(lab.clock.now(), begun.plus_days(365).plus_seconds(90));
    });
}

#[test]
fn a_world_goes_on_in_another_runtime_where_the_first_one_left_it() {
    let fleet = run(async {
        let lab = Lab::new(1);
        seconds(100_000).await;
        lab.clock.now();
        lab.fleet
    });
    let (before, after) = run(async {
        fleet.begin_run(Lab::rules(), FaultSchedule::none());
        let before = fleet.with(|world| world.elapsed());
        seconds(5).await;
        (before, fleet.with(|world| world.elapsed()))
    });
    assert_eq!((before, after), (100_000_000, 100_005_000));
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed| {
        run(async {
            let mut lab = Lab::on(World::bare(2).with_images(&[IMAGE]).seeded(seed), 2);
            lab.etcd(2).await;
            lab.story()
        })
    };
    assert_eq!(story(1), story(1));
    assert_ne!(story(1), story(2));
}

#[test]
fn a_story_tells_time_number_node_verb_object_and_what_came_of_it() {
    let story = run(async {
        let lab = Lab::on(World::bare(1).with_images(&[IMAGE]), 1);
        lab.fleet.with(World::clear_story);
        lab.begin(FaultSchedule::at(3, fails(When::After, How::Passing)));
        let mut desired = spec(&["sleep".to_owned()], &[]);
        desired.binds.clear();
        lab.create(1, "a", &desired, &[]).await.unwrap();
        lab.fleet.start(&node(1), &name("b")).await.unwrap_err();
        lab.write(1, "/x", "x").await.unwrap_err();
        lab.story()
    });
    let words: Vec<String> =
        story.lines().map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        words,
        [
            "* a run begins",
            "1 node-1 create a",
            "2 node-1 start b ! no such container: b on node-1",
            "3 node-1 write /x (done) ! connection reset by peer",
        ]
    );
}

#[test]
fn faults_and_mischief_read_back_from_a_scenario_file() {
    let text = "3:
  fault: power_off
  node: node-1
  seconds: 60
7:
  fault: by_hand
  by_hand: container_edited
  node: node-2
  container: kubelet
  argument: --v=9
9:
  fault: fails
  when: after
  how: passing
";
    let schedule: FaultSchedule = serde_yaml::from_str(text).unwrap();
    let edited =
        Mischief::ContainerEdited { node: node(2), container: name("kubelet"), argument: "--v=9".to_owned() };
    let wanted = FaultSchedule::at(3, Fault::PowerOff { node: node(1), seconds: Some(60) })
        .and(7, Fault::ByHand(edited))
        .and(9, fails(When::After, How::Passing));
    assert_eq!(schedule, wanted);
    assert_eq!(serde_yaml::to_string(&schedule).unwrap(), text);
}

#[test]
fn what_is_not_there_cannot_be_meddled_with() {
    let fleet = SimFleet::new(World::bare(1));
    let absent = name("absent");
    for mischief in [
        Mischief::ContainerRemoved { node: node(1), container: absent.clone() },
        Mischief::ContainerStopped { node: node(9), container: absent.clone() },
        Mischief::ContainerRecreated { node: node(1), container: absent },
        Mischief::EtcdDataLost { node: node(1) },
        Mischief::Cordoned { node: node(1) },
    ] {
        fleet.with(|world| world.meddle(&mischief));
    }
    assert_eq!(fleet.with(|world| world.fingerprint()), World::bare(1).fingerprint());
}
