//! The order and the number of steps at once.

use std::time::Duration;

use windlass_engine::{Limits, Silence};
use windlass_model::{Action, Because, Edge, Plan, Reason, Step, StepId};

use crate::fake::{Fake, Fault, assert_frozen, assignment, lasting, node, reported};
use crate::plans::{plan, pull, wait};

#[tokio::test(start_paused = true)]
async fn a_step_begins_when_those_before_it_are_done_lowest_first() {
    let fake = Fake::new().slow(Duration::from_secs(1));
    let steps =
        ["a", "b", "c", "d", "e"].map(|word| (word, pull(if word < "c" { 1 } else { 2 }, word))).to_vec();
    let plan = plan(steps, &[("c", "a"), ("d", "a"), ("a", "b"), ("d", "b")]);
    let done = fake.execute(&plan, &assignment(2), &Limits::default()).await;
    assert!(done.report.is_complete());
    assert_frozen("order", &fake.take_log());
}

#[tokio::test(start_paused = true)]
async fn no_more_steps_run_at_once_than_the_limits_allow() {
    let words: Vec<String> = (0..40).map(|number| format!("{number:02}")).collect();
    let all_on = |nodes: u8| {
        let steps =
            (0_u8..).zip(&words).map(|(i, word)| (word.as_str(), pull(1 + i % nodes, word))).collect();
        plan(steps, &[])
    };
    for (nodes, limits, busiest) in [
        (1, Limits::default(), (4, 4)),
        (8, Limits::default(), (4, 32)),
        (8, Limits { steps_in_all: 10, ..Limits::default() }, (2, 10)),
        (8, Limits { steps_on_a_node: 1, ..Limits::default() }, (1, 8)),
    ] {
        let fake = Fake::new().slow(Duration::from_secs(1));
        let done = fake.execute(&all_on(nodes), &assignment(nodes), &limits).await;
        assert!(done.report.is_complete());
        assert_eq!(fake.busiest(), busiest);
    }
}

#[tokio::test(start_paused = true)]
async fn steps_that_wait_stand_in_nobodys_way() {
    let fake = Fake::new().slow(Duration::from_secs(1));
    let limits = Limits { steps_on_a_node: 1, steps_in_all: 1, ..Limits::default() };
    let plan = plan(vec![("a", wait(1, 60)), ("b", wait(1, 60)), ("c", crate::plans::run(1, "1"))], &[]);
    let done = fake.execute(&plan, &assignment(1), &limits).await;
    assert!(done.report.is_complete(), "{}", reported(&done));
}

#[tokio::test(start_paused = true)]
async fn a_failed_step_skips_what_comes_after_it_and_nothing_else() {
    let fake = Fake::new();
    fake.fault("node-1 pull b", 1, Fault::Before(lasting("no such image")));
    let steps = ["a", "b", "c", "d", "e", "f"].map(|word| (word, pull(1, word))).to_vec();
    // a ─▶ b ─▶ c ─▶ e     d ─▶ e     d ─▶ f
    let plan = plan(steps, &[("a", "b"), ("b", "c"), ("c", "e"), ("d", "e"), ("b", "e"), ("d", "f")]);
    let done = fake.execute(&plan, &assignment(1), &Limits::default()).await;
    assert_frozen("skipped", &reported(&done));
}

#[tokio::test(start_paused = true)]
async fn fifty_thousand_steps_are_carried_out_in_a_moment() {
    const NODES: usize = 5_000;
    const EACH: usize = 10;
    let steps = (0..NODES * EACH)
        .map(|i| Step {
            id: StepId::new(format!("{i:06}"), "image", "pull"),
            action: Action::PullImage { node: node_name(i / EACH), image: "i".into() },
            reasons: vec![Reason::Missing],
            origins: Vec::new(),
        })
        .collect();
    // A chain on each node, and all after the first step of the first node.
    let edge = |before, after| Edge { before, after, because: Because::Needs };
    let edges = (1..NODES * EACH).map(|i| if i % EACH == 0 { edge(0, i) } else { edge(i - 1, i) }).collect();
    let plan = Plan { steps, edges };
    let fake = Fake::new();
    let done = windlass_engine::execute(
        &plan,
        None,
        &fake.ports(),
        &assignment(1),
        &Limits::default(),
        &Silence,
        &windlass_engine::Interrupt::default(),
    )
    .await;
    assert!(done.report.is_complete());
    assert_eq!(fake.verbs(), NODES * EACH);
}

fn node_name(number: usize) -> windlass_model::NodeName {
    if number == 0 { node(1) } else { windlass_model::NodeName::from(format!("worker-{number}")) }
}
