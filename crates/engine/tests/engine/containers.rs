//! Replacing a container, complete and interrupted anywhere.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::timeout;
use windlass_engine::Limits;
use windlass_model::{
    Action, Component, ContainerSeen, ContainerState, DesiredKernel, Health, Plan, RestartWhen,
};

use crate::fake::{Fake, Fault, World, assert_frozen, assignment, lasting, node, reported, voters};
use crate::plans::{alone, majority_without, replace, run, running, spec};

fn before() -> World {
    let mut world = World::default();
    for number in 1..=3 {
        world.containers.insert((node(number).to_string(), "etcd".into()), running("1"));
    }
    world.files.insert(("node-1".into(), "/etc/ca.pem".into()), b"ca".to_vec());
    world.members = voters(&[Health::Healthy; 3]);
    world
}

fn upgrade() -> Plan {
    alone("etcd", replace(1, "2", vec![majority_without(1)]))
}

/// The containers of `node-1`, a line each.
fn shown(fake: &Fake) -> String {
    let world = fake.world();
    let mut text = String::new();
    for ((at, name), seen) in world.containers.iter().filter(|((at, _), _)| at == "node-1") {
        let birth = world.births.get(&(at.clone(), name.clone())).map_or(0, Vec::len);
        let loaded = seen.loaded.len();
        writeln!(text, "{at} {name} {} {}, {loaded} loaded, {birth} for birth", seen.spec.image, seen.state)
            .unwrap();
    }
    text
}

#[tokio::test(start_paused = true)]
async fn a_replacement_is_made_before_the_old_one_stops() {
    let fake = Fake::new().with(before());
    let done = fake.execute(&upgrade(), &assignment(3), &Limits::default()).await;
    assert_frozen("replace", &(fake.take_log() + "\n" + &reported(&done) + &shown(&fake)));
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_cannot_be_made_leaves_the_old_one_running() {
    let fake = Fake::new().with(before());
    fake.fault("node-1 create etcd.next", 1, Fault::Before(lasting("no such image")));
    let done = fake.execute(&upgrade(), &assignment(3), &Limits::default()).await;
    assert_frozen("replace_cannot", &(fake.take_log() + "\n" + &reported(&done) + &shown(&fake)));
}

/// Interrupts a run at every verb, before and after its effect, and runs what a planner would plan next.
async fn cut_everywhere(world: World, plan: &Plan, again: impl Fn(&Fake) -> Plan, end: &str) {
    let whole = Fake::new().with(world.clone());
    whole.execute(plan, &assignment(3), &Limits::default()).await;
    assert_eq!(shown(&whole), end);
    for verb in 0..whole.verbs() {
        for fault in [Fault::HangsBefore, Fault::HangsAfter] {
            let fake = Fake::new().with(world.clone());
            fake.cut(verb, fault.clone());
            let (assignment, limits) = (assignment(3), Limits::default());
            let cut = timeout(Duration::from_secs(3600), fake.execute(plan, &assignment, &limits)).await;
            assert!(cut.is_err(), "verb {verb} was not cut off");
            let done = fake.execute(&again(&fake), &assignment, &limits).await;
            assert!(done.report.is_complete(), "{verb} {fault:?}: {}", reported(&done));
            assert_eq!(shown(&fake), end, "cut off at verb {verb}, {fault:?}");
        }
    }
}

const UPGRADED: &str = "node-1 etcd etcd:2 running, 1 loaded, 1 for birth\n";

#[tokio::test(start_paused = true)]
async fn a_replacement_cut_off_anywhere_and_repeated_comes_to_the_same_end() {
    cut_everywhere(before(), &upgrade(), |_| upgrade(), UPGRADED).await;
}

#[tokio::test(start_paused = true)]
async fn a_replacement_cut_off_anywhere_is_ended_by_what_is_planned_then() {
    let again = |fake: &Fake| {
        let there = fake.world().containers.contains_key(&("node-1".into(), "etcd".into()));
        if there { upgrade() } else { alone("etcd", run(1, "2")) }
    };
    cut_everywhere(before(), &upgrade(), again, UPGRADED).await;
}

#[tokio::test(start_paused = true)]
async fn a_first_start_cut_off_anywhere_and_repeated_comes_to_the_same_end() {
    let mut world = before();
    world.containers.remove(&("node-1".into(), "etcd".into()));
    let plan = alone("etcd", run(1, "2"));
    cut_everywhere(world, &plan, |_| plan.clone(), UPGRADED).await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_cut_off_anywhere_and_repeated_comes_to_the_same_end() {
    let mut world = before();
    let mut left_over = running("2");
    left_over.state = windlass_model::ContainerState::Created;
    world.containers.insert(("node-1".into(), "etcd.next".into()), left_over);
    let plan = alone(
        "etcd",
        Action::RemoveContainer {
            node: node(1),
            container: "etcd".into(),
            guards: vec![majority_without(1)],
        },
    );
    cut_everywhere(world, &plan, |_| plan.clone(), "").await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_cut_off_anywhere_and_repeated_comes_to_the_same_end() {
    let plan = alone(
        "etcd",
        Action::RestartContainer {
            when: RestartWhen::Always,
            node: node(1),
            component: Component::Etcd,
            guards: vec![majority_without(1)],
        },
    );
    let end = "node-1 etcd etcd:1 running, 0 loaded, 0 for birth\n";
    cut_everywhere(before(), &plan, |_| plan.clone(), end).await;
}

#[tokio::test(start_paused = true)]
async fn the_small_verbs_of_containers_are_one_call_each() {
    let fake = Fake::new().with(before());
    let (node, component) = (node(1), Component::Etcd);
    let plan = crate::plans::plan(
        vec![
            ("1", Action::ReloadContainer { node: node.clone(), component }),
            ("2", Action::StartContainer { node: node.clone(), component }),
            ("3", Action::RemovePods { node: node.clone(), kubelet: "/var/lib/kubelet".into(), keep: None }),
            ("4", Action::RemovePaths { node: node.clone(), paths: ["/a".into()].into() }),
            (
                "5",
                Action::MoveAside { node: node.clone(), path: "/a".into(), to: "/b".into(), guards: vec![] },
            ),
            ("6", Action::SetKernel { node, kernel: forwarding() }),
        ],
        &[("1", "2"), ("2", "3"), ("3", "4"), ("4", "5"), ("5", "6")],
    );
    let done = fake.execute(&plan, &assignment(3), &Limits::default()).await;
    assert_frozen("small_verbs", &(fake.take_log() + "\n" + &reported(&done)));
}

/// An etcd that runs as the user 7 and keeps its data on the node.
fn of_a_user(version: &str) -> std::sync::Arc<windlass_model::ContainerSpec> {
    let mut spec = (*spec(version)).clone();
    spec.command.push("--data-dir=/data/".into());
    spec.binds.push("/var/lib/etcd:/data".into());
    spec.user = Some("7:8".into());
    spec.into()
}

#[tokio::test(start_paused = true)]
async fn the_data_of_an_etcd_that_is_not_root_is_its_users_before_each_start() {
    const GIVEN: &str = "node-1 hand over /var/lib/etcd to 7:8";
    let node = node(1);
    let component = Component::Etcd;
    let seen = |state| ContainerSeen { spec: of_a_user("1"), state, ..running("1") };
    let birth = Vec::new;
    for (there, action) in [
        (
            None,
            Action::RunContainer {
                node: node.clone(),
                component,
                spec: of_a_user("1"),
                birth: birth(),
                forgets: BTreeSet::new(),
            },
        ),
        (
            Some(ContainerState::Running),
            Action::ReplaceContainer {
                node: node.clone(),
                component,
                spec: of_a_user("2"),
                birth: birth(),
                guards: vec![],
                forgets: BTreeSet::new(),
            },
        ),
        (Some(ContainerState::Stopped), Action::StartContainer { node: node.clone(), component }),
        (
            Some(ContainerState::Running),
            Action::RestartContainer {
                node: node.clone(),
                component,
                when: RestartWhen::Always,
                guards: vec![],
            },
        ),
    ] {
        let mut world = World::default();
        world.files.insert((node.to_string(), "/etc/ca.pem".into()), b"ca".to_vec());
        if let Some(state) = there {
            world.containers.insert((node.to_string(), "etcd".into()), seen(state));
        }
        let fake = Fake::new().with(world);
        let done = fake.execute(&alone("etcd", action.clone()), &assignment(3), &Limits::default()).await;
        assert!(done.report.is_complete(), "{}", reported(&done));
        let log = fake.take_log();
        let place = |wanted: &str| log.lines().position(|line| line.contains(wanted));
        let (given, started) = (place(GIVEN), place("node-1 start etcd"));
        assert!(given.is_some() && given < started, "{action:?}\n{log}");
        assert!(place("node-1 stop etcd").is_none_or(|stopped| Some(stopped) < given), "{log}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_data_of_an_etcd_that_runs_or_is_root_is_left_alone() {
    let node = node(1);
    let start = || alone("etcd", Action::StartContainer { node: node.clone(), component: Component::Etcd });
    let of_user = ContainerSeen { spec: of_a_user("1"), ..running("1") };
    let of_root = ContainerSeen { state: ContainerState::Stopped, ..running("1") };
    for seen in [of_user, of_root] {
        let mut world = World::default();
        world.containers.insert((node.to_string(), "etcd".into()), seen);
        let fake = Fake::new().with(world);
        let done = fake.execute(&start(), &assignment(3), &Limits::default()).await;
        assert!(done.report.is_complete(), "{}", reported(&done));
        assert!(!fake.take_log().contains("hand over"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_next_one_refuses_is_deleted_between_the_stop_of_the_old_one_and_its_removal() {
    let node = node(1);
    let state = windlass_model::FilePath::from("/var/lib/kubelet/cpu_manager_state");
    let mut world = World::default();
    world.files.insert((node.to_string(), "/etc/ca.pem".into()), b"ca".to_vec());
    world.files.insert((node.to_string(), state.to_string()), b"none".to_vec());
    world.containers.insert((node.to_string(), "etcd".into()), running("1"));
    let action = Action::ReplaceContainer {
        node: node.clone(),
        component: Component::Etcd,
        spec: spec("2"),
        birth: vec![],
        guards: vec![],
        forgets: [state].into(),
    };
    let fake = Fake::new().with(world);
    let done = fake.execute(&alone("etcd", action), &assignment(3), &Limits::default()).await;
    assert!(done.report.is_complete(), "{}", reported(&done));
    let log = fake.take_log();
    let place = |wanted: &str| log.lines().position(|line| line.contains(wanted)).expect(wanted);
    let verbs = [place("stop etcd"), place("cpu_manager_state"), place("rename"), place("start etcd")];
    assert!(verbs.is_sorted(), "{log}");
}

fn forwarding() -> DesiredKernel {
    DesiredKernel { sysctls: [("net.ipv4.ip_forward".into(), "1".into())].into(), ..DesiredKernel::default() }
}
