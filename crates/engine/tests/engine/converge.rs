//! The loop, and how it ends.

use std::sync::atomic::{AtomicU32, Ordering};

use windlass_engine::{Conclusion, End, Interrupt, Options, Recover, converge, observe_and_plan};
use windlass_model::{Action, Finding, Inventory, Plan, Planning, Subject, Waiting, Weight};

use crate::fake::{Fake, Fault, assert_frozen, assignment, lasting, reported};
use crate::plans::{alone, plan, pull, run, wait};

fn steps(plan: Plan) -> Planning {
    Planning { plan, findings: Vec::new() }
}

fn finding(weight: Weight) -> Finding {
    Finding { weight, about: Subject::Etcd, cause: Waiting::MembersUnchanged.into(), origin: None }
}

/// Runs etcd on `node-1` until it is there.
fn until_it_runs(inventory: &Inventory) -> Planning {
    let facts = inventory.nodes["node-1"].facts().unwrap();
    if facts.containers.contains_key("etcd") {
        return Planning::default();
    }
    steps(plan(vec![("1", pull(1, "a")), ("2", run(1, "1")), ("3", wait(1, 5))], &[("1", "2"), ("2", "3")]))
}

async fn conclude(fake: &Fake, plan: impl Fn(&Inventory) -> Planning) -> Conclusion {
    let options = Options::default();
    converge(&fake.ports(), &assignment(1), plan, &options, fake, &Interrupt::default()).await.unwrap()
}

fn ended(conclusion: &Conclusion) -> (End, u32, usize) {
    (conclusion.end, conclusion.rounds, conclusion.reports.len())
}

#[tokio::test(start_paused = true)]
async fn it_looks_plans_and_acts_until_nothing_is_left() {
    let fake = Fake::new();
    let conclusion = conclude(&fake, until_it_runs).await;
    assert_eq!(ended(&conclusion), (End::Converged, 2, 1));
    assert_frozen("converge", &fake.take_log());
}

#[tokio::test(start_paused = true)]
async fn a_round_that_fails_but_gets_something_done_is_followed_by_another() {
    let fake = Fake::new();
    fake.fault("node-1 create etcd", 1, Fault::Before(lasting("disk full")));
    let conclusion = conclude(&fake, until_it_runs).await;
    assert_eq!(ended(&conclusion), (End::Converged, 3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_round_that_changes_nothing_and_leaves_the_same_plan_is_the_last() {
    let fake = Fake::new();
    fake.fault("node-1 pull a", 99, Fault::Before(lasting("no such image")));
    let conclusion = conclude(&fake, |_| steps(alone("a", pull(1, "a")))).await;
    assert_eq!(ended(&conclusion), (End::Failed, 2, 1));
    assert_frozen("stands_still", &fake.take_log());
}

#[tokio::test(start_paused = true)]
async fn waiting_is_no_progress() {
    let fake = Fake::new();
    fake.world().containers.insert(("node-1".into(), "etcd".into()), crate::plans::running("1"));
    let conclusion = conclude(&fake, |_| steps(alone("a", wait(1, 5)))).await;
    assert_eq!(ended(&conclusion), (End::StoodStill, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_tells_another_time_alone_is_the_same() {
    let fake = Fake::new();
    let round = AtomicU32::new(0);
    let conclusion = conclude(&fake, |_| {
        let to = format!("/b/{}", round.fetch_add(1, Ordering::Relaxed));
        let action = Action::MoveAside {
            node: "node-1".into(),
            path: "/a".into(),
            to: to.as_str().into(),
            guards: vec![],
        };
        steps(alone("a", action))
    })
    .await;
    assert_eq!(ended(&conclusion), (End::StoodStill, 4, 3));
}

#[tokio::test(start_paused = true)]
async fn one_plan_again_and_again_is_given_up_though_its_steps_are_done() {
    let fake = Fake::new();
    let conclusion = conclude(&fake, |_| steps(alone("a", pull(1, "a")))).await;
    assert_eq!(ended(&conclusion), (End::StoodStill, 4, 3));
}

#[tokio::test(start_paused = true)]
async fn plans_that_never_end_are_given_up_in_the_end() {
    let fake = Fake::new();
    let round = AtomicU32::new(0);
    let conclusion = conclude(&fake, |_| {
        let image = format!("image-{}", round.fetch_add(1, Ordering::Relaxed));
        steps(alone("a", pull(1, &image)))
    })
    .await;
    assert_eq!(ended(&conclusion), (End::StoodStill, 21, 20));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_carried_out_in_any_part() {
    let fake = Fake::new();
    let conclusion = conclude(&fake, |_| Planning {
        plan: alone("a", pull(1, "a")),
        findings: vec![finding(Weight::Refused)],
    })
    .await;
    assert_eq!(ended(&conclusion), (End::Refused, 1, 0));
    assert_eq!(fake.verbs(), 1, "one look, and nothing else");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_back_is_reported_at_the_end() {
    let planning = Planning { findings: vec![finding(Weight::Held)], ..Planning::default() };
    let conclusion = conclude(&Fake::new(), |_| planning.clone()).await;
    assert_eq!(ended(&conclusion), (End::Held, 1, 0));
    assert_eq!(conclusion.planning, planning);
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_ends_the_loop_in_a_look_and_in_a_plan() {
    let fake = Fake::new();
    let interrupt = Interrupt::default();
    interrupt.request();
    let options = Options::default();
    let before = converge(&fake.ports(), &assignment(1), until_it_runs, &options, &fake, &interrupt).await;
    assert_eq!(ended(&before.unwrap()), (End::Interrupted, 0, 0));

    let interrupt = Interrupt::default();
    let planned = |inventory: &Inventory| {
        interrupt.request();
        until_it_runs(inventory)
    };
    let within = converge(&fake.ports(), &assignment(1), planned, &options, &fake, &interrupt).await.unwrap();
    assert_eq!(ended(&within), (End::Interrupted, 1, 1));
    let execution = windlass_engine::Execution { report: within.reports[0].clone(), ledger: None };
    assert_eq!(
        reported(&execution),
        "test/1/step: interrupted\ntest/2/step: interrupted\ntest/3/step: interrupted\n"
    );
}

#[tokio::test(start_paused = true)]
async fn a_plan_alone_changes_nothing() {
    let fake = Fake::new();
    let survey = observe_and_plan(&fake.ports(), &assignment(1), until_it_runs, &fake, Recover::InMemory)
        .await
        .unwrap();
    assert_eq!(survey.planning.plan.steps.len(), 3);
    assert_frozen("plan_alone", &fake.take_log());
}
