//! What is tried again, how often, and what counts as done.

use windlass_engine::{Limits, PortError};

use crate::fake::{Fake, Fault, already, assert_frozen, assignment, lasting, node, passing, reported};
use crate::plans::{alone, plan, pull, run};

#[tokio::test(start_paused = true)]
async fn a_passing_error_is_tried_again_ever_later_and_not_for_ever() {
    let fake = Fake::new();
    fake.fault("node-1 pull a", 2, Fault::Before(passing("connection lost")));
    let away = PortError::OutOfSight { node: node(2), cause: "no route to host".to_owned() };
    fake.fault("node-2 pull b", 99, Fault::Before(away));
    let plan = plan(vec![("a", pull(1, "a")), ("b", pull(2, "b"))], &[]);
    let done = fake.execute(&plan, &assignment(2), &Limits::default()).await;
    assert_frozen("retries", &(fake.take_log() + "\n" + &reported(&done)));
}

#[tokio::test(start_paused = true)]
async fn a_lasting_error_is_not_tried_again_and_brings_the_log() {
    let fake = Fake::new();
    fake.fault("node-1 start etcd", 1, Fault::Before(lasting("exec format error")));
    let done = fake.execute(&alone("a", run(1, "1")), &assignment(1), &Limits::default()).await;
    assert_frozen("lasting", &(fake.take_log() + "\n" + &reported(&done)));
}

#[tokio::test(start_paused = true)]
async fn what_is_so_already_is_done() {
    let fake = Fake::new();
    fake.fault("node-1 pull a", 1, Fault::Before(already("the image is there")));
    let done = fake.execute(&alone("a", pull(1, "a")), &assignment(1), &Limits::default()).await;
    assert_eq!(reported(&done), "test/a/step: done\n");
}

#[tokio::test(start_paused = true)]
async fn a_container_that_an_attempt_left_behind_is_used() {
    let fake = Fake::new();
    fake.fault("node-1 create etcd", 1, Fault::After(passing("connection lost")));
    let done = fake.execute(&alone("a", run(1, "1")), &assignment(1), &Limits::default()).await;
    assert_frozen("left_behind", &(fake.take_log() + "\n" + &reported(&done)));
}

#[tokio::test(start_paused = true)]
async fn a_container_that_nobody_planned_with_is_left_alone() {
    let fake = Fake::new();
    fake.world().containers.insert(("node-1".into(), "etcd".into()), crate::plans::running("0"));
    let done = fake.execute(&alone("a", run(1, "1")), &assignment(1), &Limits::default()).await;
    let reported = reported(&done);
    assert_eq!(
        reported,
        "test/a/step: failed, tried 1 times\n    another container named etcd has appeared on node-1 since the \
         plan was made\n"
    );
}
