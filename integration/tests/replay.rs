//! The input of a plan reads back as it was written, and gives the same plan again.

use fastrand::Rng;
use windlass_blueprint::Catalog;
use windlass_course::{Course, Desired, Goal};
use windlass_integration::drive::{Driver, desired_of};
use windlass_integration::generate::{cluster, edit};
use windlass_integration::mishap::death;
use windlass_model::{Planning, Replay};
use windlass_planner::plan;
use windlass_simulator::{FaultSchedule, SimFleet, World};

/// Looks, plans, and plans again from what was written down.
fn replayed(driver: &Driver, desired: &Desired, what: &str) {
    let (seen, planning) =
        driver.look_and_plan(desired, &Goal::Converge).expect("the look as a whole succeeds");
    let intent = Course::new(desired, Goal::Converge).intent_for(&seen);
    let replay = Replay::new("0.0.0", intent, &seen);
    let text = serde_json::to_string(&replay).expect("it has a form in JSON");
    let again: Replay = serde_json::from_str(&text).expect("it reads back");
    assert!(again == replay, "{what}: what was read differs from what was written");
    // Values of environment variables are hidden, and nothing else: so the steps differ at most in those.
    let replanned = plan(&again.intent, &again.inventory);
    assert_eq!(replanned.findings, planning.findings, "{what}");
    assert_eq!(replanned.plan.edges, planning.plan.edges, "{what}");
    let steps = |planning: &Planning| -> Vec<_> {
        planning.plan.steps.iter().map(|step| (step.id.clone(), step.reasons.clone())).collect()
    };
    assert_eq!(steps(&replanned), steps(&planning), "{what}");
    let text = serde_json::to_string(&planning).expect("a plan has a form in JSON");
    let again: Planning = serde_json::from_str(&text).expect("it reads back");
    assert_eq!(again, planning, "{what}");
}

#[test]
fn a_plan_is_made_again_from_what_was_written_down() {
    for seed in 0..24 {
        let mut rng = Rng::with_seed(seed);
        let mut draft = cluster(&mut rng);
        let machines = draft.nodes.len() + 2;
        let driver = Driver::new(SimFleet::new(World::bare(machines).seeded(seed)));
        let read =
            |draft: &_| desired_of(draft, Catalog::builtin()).expect("the generator writes sound files");
        let desired = read(&draft);
        replayed(&driver, &desired, &format!("seed {seed}, bare machines"));
        driver.run(&desired, &Goal::Converge, death(&mut rng, 300));
        replayed(&driver, &desired, &format!("seed {seed}, interrupted"));
        driver.run(&desired, &Goal::Converge, FaultSchedule::default());
        let what = edit(&mut draft, &mut rng, machines);
        replayed(&driver, &read(&draft), &format!("seed {seed}, {what}"));
    }
}
