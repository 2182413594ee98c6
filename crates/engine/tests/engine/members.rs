//! Joining and leaving etcd.

use windlass_engine::Limits;
use windlass_model::{Action, Health, MemberId, NodeName, Vote};

use crate::fake::{Fake, Fault, assert_frozen, assignment, lasting, node, passing, reported, voters};
use crate::plans::{majority_without, plan};

const NEW: &str = "https://10.0.0.4:2380";

fn via() -> Vec<NodeName> {
    (1..=3).map(node).collect()
}

fn join() -> windlass_model::Plan {
    let add = Action::EtcdMemberAdd { node: node(4), peer_url: NEW.to_owned(), via: via() };
    let promote =
        Action::EtcdMemberPromote { node: node(4), peer_url: NEW.to_owned(), via: via(), within_seconds: 60 };
    plan(vec![("add", add), ("promote", promote)], &[("add", "promote")])
}

#[tokio::test(start_paused = true)]
async fn a_member_learns_then_votes_and_joins_only_once() {
    let fake = Fake::new();
    fake.world().members = voters(&[Health::Healthy; 3]);
    fake.fault("etcd add https://10.0.0.4:2380", 1, Fault::After(passing("connection lost")));
    fake.fault("etcd promote https://10.0.0.4:2380", 2, Fault::Before(passing("it has not caught up")));
    let first = fake.execute(&join(), &assignment(4), &Limits::default()).await;
    let second = fake.execute(&join(), &assignment(4), &Limits::default()).await;
    let joined = fake.world().members.iter().filter(|member| member.peer_url == NEW).count();
    assert_eq!(joined, 1);
    assert!(fake.world().members.iter().all(|member| member.vote == Vote::Voter));
    assert_frozen("join", &(fake.take_log() + "\n" + &reported(&first) + &reported(&second)));
}

#[tokio::test(start_paused = true)]
async fn a_learner_that_never_catches_up_is_reported() {
    let fake = Fake::new();
    fake.world().members = voters(&[Health::Healthy; 3]);
    fake.fault("etcd promote https://10.0.0.4:2380", 999, Fault::Before(passing("it has not caught up")));
    let done = fake.execute(&join(), &assignment(4), &Limits::default()).await;
    assert_frozen("never_catches_up", &reported(&done));
}

#[tokio::test(start_paused = true)]
async fn a_member_leaves_under_guard_and_only_once() {
    let leave = Action::EtcdMemberRemove {
        id: MemberId(1),
        peer_url: "https://10.0.0.1:2380".to_owned(),
        via: via(),
        guards: vec![majority_without(1)],
    };
    let plan = plan(vec![("leave", leave)], &[]);
    let fake = Fake::new();
    fake.world().members = voters(&[Health::Healthy; 3]);
    let first = fake.execute(&plan, &assignment(3), &Limits::default()).await;
    let second = fake.execute(&plan, &assignment(3), &Limits::default()).await;
    assert_frozen("leave", &(fake.take_log() + "\n" + &reported(&first) + &reported(&second)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_etcd_is_asked_again_and_a_refusal_is_not() {
    let fake = Fake::new();
    let silent = fake.execute(&join(), &assignment(4), &Limits::default()).await;
    fake.world().members = voters(&[Health::Healthy; 3]);
    fake.fault("etcd add https://10.0.0.4:2380", 1, Fault::Before(lasting("too many learners")));
    let refused = fake.execute(&join(), &assignment(4), &Limits::default()).await;
    assert_frozen("cannot_join", &(reported(&silent) + &reported(&refused)));
}
