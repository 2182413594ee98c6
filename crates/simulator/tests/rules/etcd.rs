//! Majorities, and members of etcd that are created, join and leave.

use windlass_engine::{Etcd, Nodes, PortError};
use windlass_model::{
    ContainerSpec, ContainerState, EtcdSeen, Health, MemberId, MemberSeen, NodeName, Owner, Vote,
};
use windlass_simulator::{Fault, Mischief, ViolationKind, run};

use crate::lab::{Lab, name, node, seconds, url};

fn via(numbers: &[usize]) -> Vec<NodeName> {
    numbers.iter().map(|number| node(*number)).collect()
}

async fn member(lab: &Lab, number: usize) -> MemberSeen {
    let EtcdSeen::Members(members) = lab.fleet.members(&via(&[1, 2, 3, 4])).await.unwrap() else {
        panic!("etcd is silent\n{}", lab.story())
    };
    members.into_iter().find(|member| member.peer_url == url(number)).unwrap()
}

async fn leader(lab: &Lab) -> usize {
    for number in 1..=lab.size {
        if let EtcdSeen::Members(members) = lab.fleet.members(&via(&[1, 2, 3])).await.unwrap()
            && members.iter().any(|member| member.leads && member.peer_url == url(number))
        {
            return number;
        }
    }
    panic!("nobody leads")
}

/// A new etcd on this machine, which joins these members.
async fn join(lab: &mut Lab, number: usize, members: &[usize]) {
    lab.certify_etcd(number).await;
    lab.run(number, "etcd", &Lab::etcd_spec(number), &Lab::birth(members, "existing")).await;
}

async fn why(lab: &Lab, number: usize) -> String {
    assert_eq!(lab.seen(number, "etcd").await.state, ContainerState::Crashing, "{}", lab.story());
    lab.fleet.log_tail(&node(number), &name("etcd"), 1).await.unwrap().concat()
}

#[test]
fn two_of_three_are_a_majority_and_one_is_none() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        lab.fleet.with(|world| world.strike(&Fault::PowerOff { node: node(3), seconds: None }));
        seconds(6).await;
        assert_eq!(lab.health(1, "etcd").await, Health::Healthy);
        assert_eq!(member(&lab, 3).await.health, Health::Unhealthy);
        lab.fleet.with(|world| world.strike(&Fault::PowerOff { node: node(2), seconds: None }));
        seconds(6).await;
        assert_eq!(lab.health(1, "etcd").await, Health::Unhealthy);
        assert_eq!(lab.fleet.members(&via(&[1, 2, 3])).await, Ok(EtcdSeen::Silent));
        assert!(lab.fleet.promote(&via(&[1]), &url(3)).await.unwrap_err().is_passing());
    });
}

#[test]
fn a_partitioned_member_serves_nobody_and_the_rest_goes_on() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        lab.fleet.with(|world| world.strike(&Fault::Partitioned { node: node(1), seconds: Some(60) }));
        seconds(6).await;
        assert_eq!(lab.health(1, "etcd").await, Health::Unhealthy);
        assert_eq!(lab.fleet.members(&via(&[1])).await, Ok(EtcdSeen::Silent));
        assert_eq!(lab.health(2, "etcd").await, Health::Healthy);
        seconds(60).await;
        assert_eq!(lab.health(1, "etcd").await, Health::Healthy);
    });
}

#[test]
fn a_member_that_windlass_does_not_reach_still_votes() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        lab.fleet.with(|world| world.strike(&Fault::Unreachable { node: node(1), seconds: None }));
        assert_eq!(member(&lab, 1).await.health, Health::Healthy);
    });
}

#[test]
fn members_with_different_lists_found_no_majority_together() {
    run(async {
        let mut lab = Lab::new(3);
        for number in 1..=3 {
            lab.certify_etcd(number).await;
        }
        lab.run(1, "etcd", &Lab::etcd_spec(1), &Lab::birth(&[1, 2, 3], "new")).await;
        lab.run(2, "etcd", &Lab::etcd_spec(2), &Lab::birth(&[1, 2], "new")).await;
        seconds(60).await;
        assert_eq!(lab.fleet.members(&via(&[1, 2, 3])).await, Ok(EtcdSeen::Silent));
    });
}

#[test]
fn founders_may_come_one_after_another_and_arguments_do_not_matter_afterwards() {
    run(async {
        let mut lab = Lab::new(3);
        for number in 1..=3 {
            lab.certify_etcd(number).await;
        }
        for number in 1..=2 {
            lab.run(number, "etcd", &Lab::etcd_spec(number), &Lab::birth(&[1, 2, 3], "new")).await;
        }
        seconds(10).await;
        lab.run(3, "etcd", &Lab::etcd_spec(3), &Lab::birth(&[1, 2, 3], "new")).await;
        seconds(3).await;
        assert_eq!(member(&lab, 3).await.health, Health::Healthy);
        lab.fleet.stop(&node(3), &name("etcd")).await.unwrap();
        lab.fleet.remove(&node(3), &name("etcd")).await.unwrap();
        lab.run(3, "etcd", &Lab::etcd_spec(3), &[]).await;
        seconds(3).await;
        assert_eq!(member(&lab, 3).await.health, Health::Healthy);
    });
}

#[test]
fn etcd_as_another_user_reaches_only_data_that_were_handed_over_to_it() {
    run(async {
        let mut lab = Lab::new(1);
        lab.certify_etcd(1).await;
        let mut spec = Lab::etcd_spec(1);
        spec.user = Some("52034:52034".into());
        // Whether it may read its keys is tested elsewhere.
        spec.reads.clear();
        let owner = Owner { uid: 52034, gid: 52034 };
        let hand_over = async || {
            lab.fleet.hand_over(&node(1), &"/var/lib/etcd".into(), owner).await.unwrap();
        };
        let refused = "cannot access data directory: open /var/lib/etcd: permission denied";
        lab.run(1, "etcd", &spec, &Lab::birth(&[1], "new")).await;
        seconds(3).await;
        assert_eq!(why(&lab, 1).await, refused, "Docker makes it as root's");
        hand_over().await;
        seconds(12).await;
        assert_eq!(lab.health(1, "etcd").await, Health::Healthy, "{}", lab.story());
        let restart = Fault::DockerRestarts { node: node(1) };
        lab.fleet.with(|world| world.strike(&restart));
        seconds(30).await;
        assert_eq!(lab.health(1, "etcd").await, Health::Healthy, "it is its own once and for all");

        let path = "/var/lib/etcd".into();
        lab.fleet.with(|world| world.meddle(&Mischief::DirectoryDeleted { node: node(1), path }));
        lab.fleet.with(|world| world.strike(&restart));
        seconds(30).await;
        assert_eq!(why(&lab, 1).await, refused, "Docker makes it again, as root's");
        lab.fleet.stop(&node(1), &name("etcd")).await.unwrap();
        hand_over().await;
        lab.fleet.start(&node(1), &name("etcd")).await.unwrap();
        seconds(3).await;
        let tail = lab.fleet.log_tail(&node(1), &name("etcd"), 1).await.unwrap().concat();
        assert_ne!(tail, refused);
    });
}

#[test]
fn a_member_that_lost_its_data_does_not_come_back_as_itself() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        lab.fleet.with(|world| world.meddle(&Mischief::EtcdDataLost { node: node(3) }));
        seconds(3).await;
        let id = member(&lab, 3).await.id;
        assert_eq!(why(&lab, 3).await, format!("member {id} has already been bootstrapped"));
        lab.fleet.stop(&node(3), &name("etcd")).await.unwrap();
        lab.fleet.remove(&node(3), &name("etcd")).await.unwrap();
        lab.run(3, "etcd", &Lab::etcd_spec(3), &Lab::birth(&[1, 2, 3], "existing")).await;
        assert_eq!(why(&lab, 3).await, format!("member {id} had data and has lost it"));
        assert_eq!(lab.broken(), []);
    });
}

#[test]
fn a_member_with_lost_data_that_meets_nobody_at_first_crashes_when_it_does() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        let cut = Fault::Partitioned { node: node(3), seconds: Some(60) };
        lab.fleet.with(|world| world.strike(&cut));
        lab.fleet.with(|world| world.meddle(&Mischief::EtcdDataLost { node: node(3) }));
        seconds(3).await;
        assert_eq!(lab.seen(3, "etcd").await.state, ContainerState::Running);
        seconds(60).await;
        lab.fleet.stop(&node(3), &name("etcd")).await.unwrap();
        lab.fleet.start(&node(3), &name("etcd")).await.unwrap();
        assert_eq!(
            why(&lab, 3).await,
            "tocommit is out of range: was the raft log corrupted, truncated, or lost?"
        );
    });
}

#[test]
fn a_cluster_that_has_lived_and_is_begun_anew_is_a_loss_of_data() {
    run(async {
        let mut lab = Lab::new(1);
        lab.etcd(1).await;
        lab.fleet.with(|world| world.meddle(&Mischief::EtcdDataLost { node: node(1) }));
        seconds(3).await;
        assert_eq!(lab.broken(), [ViolationKind::DataLoss]);
    });
}

#[test]
fn a_learner_joins_catches_up_and_is_promoted() {
    run(async {
        let mut lab = Lab::new(4);
        lab.etcd(3).await;
        seconds(5).await;
        lab.fleet.add_learner(&via(&[1]), &url(4)).await.unwrap();
        assert!(matches!(lab.fleet.add_learner(&via(&[1]), &url(4)).await, Err(PortError::AlreadySo { .. })));
        assert!(!member(&lab, 4).await.has_started());
        assert!(lab.fleet.promote(&via(&[1]), &url(4)).await.unwrap_err().is_passing());
        join(&mut lab, 4, &[1, 2, 3, 4]).await;
        assert!(lab.fleet.promote(&via(&[1]), &url(4)).await.unwrap_err().is_passing());
        seconds(5).await;
        assert_eq!(member(&lab, 4).await.vote, Vote::Learner);
        lab.fleet.promote(&via(&[1]), &url(4)).await.unwrap();
        let joined = member(&lab, 4).await;
        assert_eq!(
            (joined.name.as_str(), joined.vote, joined.health),
            ("etcd-4", Vote::Voter, Health::Healthy)
        );
        assert!(matches!(lab.fleet.promote(&via(&[1]), &url(4)).await, Err(PortError::AlreadySo { .. })));
        assert_eq!(lab.broken(), []);
    });
}

#[test]
fn who_joins_must_know_exactly_the_members_and_be_one_of_them() {
    run(async {
        let mut lab = Lab::new(4);
        lab.etcd(3).await;
        join(&mut lab, 4, &[1, 2, 3, 4]).await;
        assert!(why(&lab, 4).await.starts_with("error validating peerURLs"));
        lab.fleet.stop(&node(4), &name("etcd")).await.unwrap();
        lab.fleet.remove(&node(4), &name("etcd")).await.unwrap();
        seconds(5).await;
        lab.fleet.add_learner(&via(&[1]), &url(4)).await.unwrap();
        lab.run(4, "etcd", &Lab::etcd_spec(4), &Lab::birth(&[1, 2, 4], "existing")).await;
        assert!(why(&lab, 4).await.starts_with("error validating peerURLs"));
    });
}

#[test]
fn nobody_is_let_in_while_a_voter_is_not_connected_and_there_is_one_learner_at_most() {
    run(async {
        let mut lab = Lab::new(5);
        lab.etcd(3).await;
        lab.fleet.with(|world| world.strike(&Fault::PowerOff { node: node(3), seconds: Some(60) }));
        seconds(10).await;
        let refused = lab.fleet.add_learner(&via(&[1]), &url(4)).await.unwrap_err();
        assert_eq!(refused, PortError::Passing { what: "etcdserver: unhealthy cluster".to_owned() });
        seconds(53).await;
        lab.fleet.add_learner(&via(&[1]), &url(4)).await.unwrap_err();
        seconds(10).await;
        lab.fleet.add_learner(&via(&[1]), &url(4)).await.unwrap();
        let refused = lab.fleet.add_learner(&via(&[1]), &url(5)).await.unwrap_err();
        assert!(!refused.is_passing());
    });
}

#[test]
fn a_learner_that_never_starts_costs_no_majority_and_a_promoted_one_that_stops_does() {
    run(async {
        let mut lab = Lab::new(4);
        lab.etcd(2).await;
        seconds(5).await;
        lab.fleet.add_learner(&via(&[1]), &url(3)).await.unwrap();
        assert_eq!(lab.health(1, "etcd").await, Health::Healthy);
        join(&mut lab, 3, &[1, 2, 3]).await;
        seconds(5).await;
        lab.fleet.promote(&via(&[1]), &url(3)).await.unwrap();
        for number in [2, 3] {
            lab.fleet.with(|world| world.strike(&Fault::PowerOff { node: node(number), seconds: None }));
        }
        seconds(6).await;
        assert_eq!(lab.fleet.members(&via(&[1])).await, Ok(EtcdSeen::Silent));
    });
}

#[test]
fn a_dead_member_may_go_and_a_living_one_only_if_a_majority_of_the_rest_is_connected() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        let ids = [member(&lab, 1).await.id, member(&lab, 2).await.id, member(&lab, 3).await.id];
        lab.fleet.with(|world| world.strike(&Fault::PowerOff { node: node(3), seconds: None }));
        seconds(6).await;
        let refused = lab.fleet.remove_member(&via(&[1]), ids[1]).await.unwrap_err();
        assert_eq!(refused.to_string(), "etcdserver: unhealthy cluster");
        lab.fleet.remove_member(&via(&[1]), ids[2]).await.unwrap();
        assert!(matches!(
            lab.fleet.remove_member(&via(&[1]), ids[2]).await,
            Err(PortError::AlreadySo { .. })
        ));
        lab.fleet.remove_member(&via(&[1]), ids[1]).await.unwrap();
        seconds(6).await;
        assert!(!lab.fleet.remove_member(&via(&[1]), ids[0]).await.unwrap_err().is_passing());
    });
}

#[test]
fn a_member_that_was_taken_out_crashes_for_ever() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        let id: MemberId = member(&lab, 3).await.id;
        lab.fleet.move_leader(&via(&[1]), &url(3)).await.unwrap();
        lab.fleet.remove_member(&via(&[1]), id).await.unwrap();
        for _ in 0..2 {
            seconds(30).await;
            assert_eq!(why(&lab, 3).await, "the member has been permanently removed from the cluster");
        }
        assert_eq!(lab.broken(), []);
    });
}

#[test]
fn when_the_leader_stops_nobody_answers_for_five_seconds_unless_it_handed_over() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        let first = leader(&lab).await;
        lab.fleet.move_leader(&via(&[first]), &url(first)).await.unwrap();
        lab.fleet.stop(&node(first), &name("etcd")).await.unwrap();
        let second = leader(&lab).await;
        assert_ne!(first, second);
        assert_eq!(lab.broken(), []);
        lab.fleet.start(&node(first), &name("etcd")).await.unwrap();
        seconds(3).await;
        lab.fleet.stop(&node(second), &name("etcd")).await.unwrap();
        assert_eq!(lab.broken(), [ViolationKind::Stall]);
        assert_eq!(lab.fleet.members(&via(&[1, 2, 3])).await, Ok(EtcdSeen::Silent));
        seconds(5).await;
        assert_ne!(leader(&lab).await, second);
    });
}

fn with_a_log_of_its_own(number: usize, bind: &str) -> ContainerSpec {
    let mut spec = Lab::etcd_spec(number);
    spec.command.push("--wal-dir=/wal/log".into());
    spec.binds.push(bind.into());
    spec
}

#[test]
fn etcd_does_not_come_back_on_a_database_without_its_log() {
    run(async {
        let mut lab = Lab::new(3);
        for number in 1..=3 {
            lab.certify_etcd(number).await;
        }
        for number in 1..=3 {
            let spec = with_a_log_of_its_own(number, "/mnt/ssd:/wal");
            lab.run(number, "etcd", &spec, &Lab::birth(&[1, 2, 3], "new")).await;
        }
        seconds(12).await;
        assert_eq!(lab.health(3, "etcd").await, Health::Healthy, "{}", lab.story());
        lab.fleet.stop(&node(3), &name("etcd")).await.unwrap();
        let path = "/mnt/ssd/log".into();
        lab.fleet.with(|world| world.meddle(&Mischief::DirectoryDeleted { node: node(3), path }));
        lab.fleet.start(&node(3), &name("etcd")).await.unwrap();
        seconds(3).await;
        let id = member(&lab, 3).await.id;
        assert_eq!(why(&lab, 3).await, format!("member {id} has already been bootstrapped"));
    });
}

#[test]
fn a_log_that_is_a_mount_itself_cannot_be_created() {
    run(async {
        let mut lab = Lab::new(1);
        lab.certify_etcd(1).await;
        let spec = with_a_log_of_its_own(1, "/mnt/ssd:/wal/log");
        lab.run(1, "etcd", &spec, &Lab::birth(&[1], "new")).await;
        seconds(3).await;
        assert_eq!(
            why(&lab, 1).await,
            "failed to create WAL: rename /wal/log.tmp /wal/log: device or resource busy"
        );
    });
}
