//! What must be true before a disruption.

use std::sync::Arc;

use windlass_engine::{GuardSwitch, Limits};
use windlass_model::{
    Action, ContainerState, Ending, EtcdData, Guard, Health, MemberSeen, Readiness, Scheduling, Vote,
};

use crate::fake::{Fake, World, assert_frozen, assignment, node, ready_object, reported, voters};
use crate::plans::{alone, majority_without, nodes, plan, replace, running};

use Health::{Healthy, Unhealthy};

async fn replaced(fake: &Fake, guards: Vec<Guard>) -> bool {
    let done = fake.execute(&alone("a", replace(1, "2", guards)), &assignment(3), &Limits::default()).await;
    done.report.is_complete()
}

fn with_members(members: Vec<MemberSeen>) -> Fake {
    let mut world = World { members, ..World::default() };
    for number in 1..=3 {
        for name in ["etcd", "kube-apiserver"] {
            world.containers.insert((node(number).to_string(), name.into()), running("1"));
        }
        world.objects.insert(node(number), ready_object());
    }
    Fake::new().with(world)
}

#[tokio::test(start_paused = true)]
async fn etcd_keeps_its_majority() {
    let mut learner = voters(&[Healthy, Healthy, Unhealthy]);
    learner[0].vote = Vote::Learner;
    let mut third_learns = voters(&[Healthy, Healthy, Healthy]);
    third_learns[2].vote = Vote::Learner;
    for (members, holds, why) in [
        (voters(&[Healthy, Healthy, Healthy]), true, "two of three remain"),
        (voters(&[Healthy, Healthy, Unhealthy]), false, "one of three would remain"),
        (voters(&[Unhealthy, Healthy, Unhealthy]), true, "it is unhealthy itself"),
        (voters(&[Healthy, Healthy, Healthy, Unhealthy, Healthy]), true, "three of five remain"),
        (voters(&[Healthy, Healthy, Unhealthy, Unhealthy, Healthy]), false, "two of five would remain"),
        (voters(&[Healthy, Healthy, Healthy, Unhealthy]), false, "two of four would remain"),
        (voters(&[Healthy, Healthy]), true, "two have none to spare"),
        (voters(&[Healthy]), true, "one has none to spare"),
        (learner, true, "it does not vote"),
        (third_learns, true, "two voters have none to spare, whoever learns"),
        (voters(&[Healthy, Healthy, Healthy, Healthy, Unhealthy])[1..].to_vec(), true, "it is no member"),
        (Vec::new(), false, "etcd is silent"),
    ] {
        assert_eq!(replaced(&with_members(members), vec![majority_without(1)]).await, holds, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_etcd_lets_through_what_does_not_run_or_stands_alone() {
    let crashing = with_members(Vec::new());
    let key = ("node-1".to_owned(), "etcd".to_owned());
    crashing.world().containers.get_mut(&key).unwrap().state = ContainerState::Crashing;
    // Docker removes a crashing container without complaint, once it is stopped.
    assert!(replaced(&crashing, vec![majority_without(1)]).await);
    let alone = Guard::EtcdMajorityWithout { node: node(1), via: vec![node(1)] };
    assert!(replaced(&with_members(Vec::new()), vec![alone]).await);
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_does_not_hold_fails_its_step_and_changes_nothing() {
    let fake = with_members(voters(&[Healthy, Healthy, Unhealthy]));
    let before = fake.world().containers.clone();
    let plan = alone("a", replace(1, "2", vec![majority_without(1)]));
    let done = fake.execute(&plan, &assignment(3), &Limits::default()).await;
    assert_eq!(fake.world().containers, before);
    assert_frozen("guard_closed", &(fake.take_log() + "\n" + &reported(&done)));
}

#[tokio::test(start_paused = true)]
async fn a_guard_is_given_some_time() {
    let fake = with_members(voters(&[Healthy, Healthy, Unhealthy]));
    let heals = async {
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
        fake.world().members = voters(&[Healthy, Healthy, Healthy]);
    };
    let (holds, ()) = tokio::join!(replaced(&fake, vec![majority_without(1)]), heals);
    assert!(holds);
}

#[tokio::test(start_paused = true)]
async fn with_the_guards_switched_off_nothing_is_asked() {
    let fake = with_members(voters(&[Healthy, Healthy, Unhealthy]));
    let limits = Limits { guards: GuardSwitch::Off, ..Limits::default() };
    let plan = alone("a", replace(1, "2", vec![majority_without(1)]));
    let done = fake.execute(&plan, &assignment(3), &limits).await;
    assert_frozen("guards_off", &(fake.take_log() + "\n" + &reported(&done)));
}

#[tokio::test(start_paused = true)]
async fn another_api_server_works() {
    let unhealthy = |numbers: &[u8]| {
        let fake = with_members(voters(&[Healthy, Healthy, Healthy]));
        for number in numbers {
            let key = (node(*number).to_string(), "kube-apiserver".to_owned());
            fake.world().containers.get_mut(&key).unwrap().health = Unhealthy;
        }
        fake
    };
    let limited = |others: &[u8], limit| Guard::ApiServersBeside {
        node: node(1),
        others: others.iter().map(|number| node(*number)).collect(),
        limit,
    };
    let guard = |others: &[u8]| limited(others, 2);
    assert!(replaced(&unhealthy(&[]), vec![guard(&[2, 3])]).await);
    assert!(replaced(&unhealthy(&[2]), vec![guard(&[2, 3])]).await);
    assert!(!replaced(&unhealthy(&[2, 3]), vec![guard(&[2, 3])]).await);
    assert!(replaced(&unhealthy(&[1, 2, 3]), vec![guard(&[2, 3])]).await, "it is unhealthy itself");
    assert!(replaced(&unhealthy(&[]), vec![guard(&[])]).await, "it is the only one");
    assert!(!replaced(&unhealthy(&[2]), vec![limited(&[2, 3], 1)]).await, "one is down already");
}

fn window(number: u8, limit: usize) -> Guard {
    Guard::Window { node: node(number), among: Arc::new(nodes(1..=3)), new: Arc::default(), limit }
}

#[tokio::test(start_paused = true)]
async fn no_more_nodes_are_unavailable_than_the_limit_allows() {
    let world = |change: &dyn Fn(&mut World)| {
        let fake = with_members(voters(&[Healthy, Healthy, Healthy]));
        change(&mut fake.world());
        fake
    };
    let cordon = |by| move |world: &mut World| world.objects.get_mut(&node(2)).unwrap().scheduling = by;
    let not_ready = |number| {
        move |world: &mut World| world.objects.get_mut(&node(number)).unwrap().ready = Readiness::NotReady
    };
    assert!(replaced(&world(&|_| ()), vec![window(1, 1)]).await);
    assert!(!replaced(&world(&cordon(Scheduling::CordonedByOther)), vec![window(1, 1)]).await);
    assert!(!replaced(&world(&cordon(Scheduling::CordonedByWindlass)), vec![window(1, 1)]).await);
    assert!(!replaced(&world(&not_ready(3)), vec![window(1, 1)]).await);
    assert!(replaced(&world(&not_ready(3)), vec![window(1, 2)]).await);
    assert!(replaced(&world(&not_ready(1)), vec![window(1, 1)]).await, "it is counted out itself");
    let gone = world(&|world| {
        world.objects.remove(&node(2));
    });
    assert!(!replaced(&gone, vec![window(1, 1)]).await, "its object was deleted");
    let beside_a_new_one = |new| {
        let Guard::Window { node, among, new: _, limit } = window(1, 1) else { unreachable!() };
        vec![Guard::Window { node, among, new: Arc::new(new), limit }]
    };
    assert!(replaced(&gone, beside_a_new_one(nodes(2..=2))).await, "who was never there is missed by nobody");
    assert!(!replaced(&world(&not_ready(2)), beside_a_new_one(nodes(2..=2))).await, "it has come meanwhile");
    let both = world(&|world| {
        not_ready(1)(world);
        not_ready(3)(world);
    });
    assert!(replaced(&both, vec![window(1, 1)]).await, "it is unavailable already");
    assert!(!replaced(&world(&|world| world.kube_is_silent = true), vec![window(1, 1)]).await);
}

#[tokio::test(start_paused = true)]
async fn guards_at_once_ask_once_but_a_cordon_makes_them_ask_anew() {
    let fake = with_members(voters(&[Healthy, Healthy, Healthy]));
    let cordon = |number| Action::Cordon { node: node(number), guards: vec![window(number, 1)] };
    // The plan does not make the second wait for the first: the guard keeps the limit all the same.
    let steps =
        vec![("1", cordon(1)), ("2", cordon(2)), ("3", Action::Uncordon { node: node(1) }), ("4", cordon(3))];
    let done = fake
        .execute(&plan(steps, &[("1", "2"), ("2", "3"), ("1", "4")]), &assignment(3), &Limits::default())
        .await;
    assert_frozen("windows", &(fake.take_log() + "\n" + &reported(&done)));
}

/// etcd on `node-1` that exits again and again with this log; the fake has no data of it.
fn ends_saying(fake: &Fake, said: &str) {
    let key = ("node-1".to_owned(), "etcd".to_owned());
    let mut world = fake.world();
    let etcd = world.containers.get_mut(&key).unwrap();
    etcd.state = ContainerState::Crashing;
    etcd.health = Unhealthy;
    etcd.ending = Ending::of_log(&[said.to_owned()]);
}

#[tokio::test(start_paused = true)]
async fn a_member_is_lost_only_if_it_does_not_work_and_cannot_come_back() {
    let removed = "the member has been permanently removed from the cluster";
    for (data, health, said, holds) in [
        (EtcdData::Present, Unhealthy, Some(removed), true),
        (EtcdData::Present, Unhealthy, Some("no space left on device"), false),
        (EtcdData::Present, Healthy, Some(removed), false),
        (EtcdData::Present, Unhealthy, None, false),
        (EtcdData::Absent, Unhealthy, Some("no space left on device"), true),
    ] {
        let fake = with_members(voters(&[health, Healthy, Healthy]));
        fake.world().etcd_data = data;
        if let Some(said) = said {
            ends_saying(&fake, said);
        }
        let lost = Guard::EtcdMemberLost { node: node(1), via: vec![node(2), node(3)] };
        assert_eq!(removed_under(&fake, lost).await, holds, "{data:?} {health:?} {said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_etcd_lists_as_a_member_is_not_cleared() {
    for (members, holds) in [
        (voters(&[Unhealthy, Healthy, Healthy])[1..].to_vec(), true),
        (voters(&[Unhealthy, Healthy, Healthy]), false),
        (Vec::new(), false),
    ] {
        let fake = with_members(members);
        ends_saying(&fake, "anything");
        let out = Guard::EtcdMemberOut { node: node(1), via: vec![node(2), node(3)] };
        assert_eq!(removed_under(&fake, out).await, holds);
    }
}

async fn removed_under(fake: &Fake, guard: Guard) -> bool {
    let remove = Action::RemoveContainer { node: node(1), container: "etcd".into(), guards: vec![guard] };
    let done = fake.execute(&alone("a", remove), &assignment(3), &Limits::default()).await;
    done.report.is_complete()
}
