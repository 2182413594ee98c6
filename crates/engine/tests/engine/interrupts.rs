//! Interrupted once, and twice.

use std::time::Duration;

use tokio::time::sleep;
use windlass_engine::{Interrupt, Limits};

use crate::fake::{Fake, assert_frozen, assignment, reported};
use crate::plans::{plan, pull, wait};

/// `a` and `b` run, `c` waits, `d` comes after `a`; interrupted this many seconds apart, or before all.
async fn interrupted_at(seconds: &[f64]) -> String {
    let fake = Fake::new().slow(Duration::from_secs(10));
    let steps = vec![("a", pull(1, "a")), ("b", pull(2, "b")), ("c", wait(3, 600)), ("d", pull(1, "d"))];
    let plan = plan(steps, &[("a", "d")]);
    let interrupt = Interrupt::default();
    if seconds.is_empty() {
        interrupt.request();
    }
    let (assignment, limits) = (assignment(3), Limits::default());
    let requests = async {
        for seconds in seconds {
            sleep(Duration::from_secs_f64(*seconds)).await;
            interrupt.request();
        }
    };
    let (done, ()) = tokio::join!(fake.execute_until(&plan, &assignment, &limits, &interrupt), requests);
    fake.take_log() + "\n" + &reported(&done)
}

#[tokio::test(start_paused = true)]
async fn interrupted_once_running_steps_finish_and_none_begins() {
    assert_frozen("interrupted_once", &interrupted_at(&[4.0]).await);
}

#[tokio::test(start_paused = true)]
async fn interrupted_twice_the_run_ends_at_once() {
    assert_frozen("interrupted_twice", &interrupted_at(&[4.0, 2.0]).await);
}

#[tokio::test(start_paused = true)]
async fn interrupted_before_it_begins_nothing_is_done() {
    assert_frozen("interrupted_before", &interrupted_at(&[]).await);
}
