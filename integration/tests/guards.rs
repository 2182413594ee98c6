//! Each guard switched off alone: in the simulated world the property that it protects is then violated.
//!
//! A guard whose absence no test notices is not needed, or not tested.

use windlass_blueprint::Catalog;
use windlass_course::Goal;
use windlass_engine::GuardSwitch;
use windlass_integration::draft::Draft;
use windlass_integration::drive::{Driver, Guardrails, desired_of};
use windlass_integration::properties::{Property, check_with};
use windlass_model::NodeName;
use windlass_planner::Rules;
use windlass_simulator::{Fault, FaultSchedule, How, Mischief, SimFleet, When, World};

/// How many seeds of each property are searched for one that notices.
const SEEDS: u64 = 400;

/// The properties whose lives are searched.
const LIVES: [Property; 4] =
    [Property::Converges, Property::NeverUnsafe, Property::CrashProof, Property::Honest];

/// Finds a life that breaks the rule `kind` with the guard off, and does not with it on.
fn assert_noticed(what: &str, kind: &str, without: Guardrails, with: Guardrails) {
    let broke = format!("broke {kind}");
    let breaks = |property, seed, guardrails| {
        check_with(property, seed, Catalog::builtin(), guardrails)
            .is_err_and(|reported| reported.lines().next().is_some_and(|line| line.contains(&broke)))
    };
    let noticed = (0..SEEDS).any(|seed| {
        LIVES.into_iter().any(|property| breaks(property, seed, without) && !breaks(property, seed, with))
    });
    assert!(noticed, "without `{what}` nothing breaks {kind} in {SEEDS} seeds that holds with it");
}

/// The planner's rules but one, with the engine's guards on or off; the audit would notice at once.
fn without(switch: fn(&mut Rules), guards: GuardSwitch) -> (Guardrails, Guardrails) {
    let with = Guardrails { guards, audited: false, ..Guardrails::default() };
    let mut without = with;
    switch(&mut without.rules);
    (without, with)
}

#[test]
fn without_heal_first_too_many_nodes_are_down() {
    let (off, on) = without(|rules| rules.heal_first = false, GuardSwitch::Off);
    assert_noticed("heal first", "Window", off, on);
}

#[test]
fn without_hold_while_blind_too_many_nodes_are_down() {
    let (off, on) = without(|rules| rules.hold_while_blind = false, GuardSwitch::Off);
    assert_noticed("hold while blind", "Window", off, on);
}

#[test]
fn without_one_at_a_time_etcd_loses_its_majority() {
    let (off, on) = without(|rules| rules.one_at_a_time = false, GuardSwitch::On);
    assert_noticed("one at a time", "Quorum", off, on);
}

#[test]
fn without_one_at_a_time_too_many_api_servers_are_down() {
    let (off, on) = without(|rules| rules.one_at_a_time = false, GuardSwitch::On);
    assert_noticed("one at a time", "ApiServers", off, on);
}

#[test]
fn without_the_window_too_many_nodes_are_down() {
    let (off, on) = without(|rules| rules.window = false, GuardSwitch::On);
    assert_noticed("window", "Window", off, on);
}

#[test]
fn without_refusals_a_living_cluster_gets_a_new_authority() {
    let desired = desired_of(&Draft::sized(1, 1), Catalog::builtin()).expect("a sized draft is sound");
    // The only copies of the ledger are deleted.
    let copy = Mischief::DirectoryDeleted { node: "node-1".into(), path: "/etc/kubernetes".into() };
    let complaints = |rules: Rules| {
        let mut driver = Driver::new(SimFleet::new(World::bare(2)));
        driver.run(&desired, &Goal::Converge, FaultSchedule::default());
        driver.guardrails = Guardrails { rules, audited: false, ..Guardrails::default() };
        driver.fleet.with(|world| {
            world.meddle(&copy);
            world.strike(&Fault::LedgerLost);
        });
        driver.run(&desired, &Goal::Converge, FaultSchedule::default());
        driver.complaints()
    };
    assert_eq!(complaints(Rules::ALL), Vec::<String>::new());
    let harm = complaints(Rules { refuse: false, ..Rules::ALL });
    assert!(harm.iter().any(|broke| broke.contains("broke NewAuthority")), "{harm:?}");
}

#[test]
fn without_remove_last_nodes_lose_their_way_to_the_api() {
    let (off, on) = without(|rules| rules.remove_last = false, GuardSwitch::On);
    assert_noticed("remove last", "Window", off, on);
}

#[test]
fn without_the_majority_rule_a_leader_leaves_etcd_unprepared() {
    // etcd itself refuses a removal that loses the majority (`mayRemoveMember`); the only visible effect is a
    // leader that is removed without a transfer of leadership.
    let (off, on) = without(|rules| rules.majority_stands = false, GuardSwitch::On);
    assert_noticed("majority stands", "Stall", off, on);
}

#[test]
fn without_the_order_of_versions_a_kubelet_is_newer_than_an_api_server() {
    let (off, on) = without(|rules| rules.version_order = false, GuardSwitch::On);
    assert_noticed("order of versions", "Skew", off, on);
}

#[test]
fn without_respect_for_cordons_a_node_closed_by_hand_is_opened() {
    let (off, on) = without(|rules| rules.respect_cordons = false, GuardSwitch::On);
    assert_noticed("respect cordons", "CordonMark", off, on);
}

#[test]
fn without_the_engines_guards_faults_in_the_middle_of_a_run_cost_more_than_they_must() {
    let (off, _) = without(|_| (), GuardSwitch::Off);
    let (on, _) = without(|_| (), GuardSwitch::On);
    assert_noticed("guards at the moment before", "Stall", off, on);
    assert_noticed("guards at the moment before", "ApiServers", off, on);
}

#[test]
fn without_preflight_a_machine_that_cannot_be_used_is_begun_on() {
    let desired = desired_of(&Draft::sized(1, 1), Catalog::builtin()).expect("a sized draft is sound");
    // Somebody's web server uses the port of the worker's kubelet.
    let taken = Mischief::MachineChanged {
        node: "node-2".into(),
        fact: "listening".to_owned(),
        value: "[10250]".to_owned(),
    };
    let containers_beside_it = |rules: Rules| {
        let mut driver = Driver::new(SimFleet::new(World::bare(2)));
        driver.guardrails = Guardrails { rules, audited: false, ..Guardrails::default() };
        driver.fleet.with(|world| world.meddle(&taken));
        driver.run(&desired, &Goal::Converge, FaultSchedule::default());
        let (seen, _) = driver.look_and_plan(&desired, &Goal::Converge).expect("all are in sight");
        seen.nodes[&NodeName::from("node-2")].facts().map_or(0, |facts| facts.containers.len())
    };
    assert_eq!(containers_beside_it(Rules::ALL), 0);
    assert_ne!(containers_beside_it(Rules { preflight: false, ..Rules::ALL }), 0);
}

/// The first write of the ledger's copy fails, the operator's machine dies `later` verbs after that with its
/// disk, and `up` runs again from another machine: whether that one can continue.
fn survives_the_loss_of_the_operators_disk(rules: Rules, later: u64) -> bool {
    let desired = desired_of(&Draft::sized(1, 1), Catalog::builtin()).expect("a sized draft is sound");
    let driver = |guarded: Rules| {
        let mut driver = Driver::new(SimFleet::new(World::bare(2)));
        driver.guardrails = Guardrails { rules: guarded, audited: false, ..Guardrails::default() };
        driver
    };
    let rehearsal = driver(rules);
    rehearsal.run(&desired, &Goal::Converge, FaultSchedule::default());
    let story = rehearsal.fleet.with(|world| world.story());
    let written = story
        .lines()
        .find(|line| line.contains("write") && line.contains("ledger.json"))
        .and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .expect("a first start writes a copy of the ledger, and the story numbers its verbs");
    let mut schedule = FaultSchedule::default();
    schedule.at_verb.insert(written, Fault::Fails { when: When::Before, how: How::Lasting });
    schedule.at_verb.insert(written + later, Fault::OperatorDies { when: When::After });
    let driver = driver(rules);
    driver.run(&desired, &Goal::Converge, schedule);
    driver.fleet.with(|world| world.strike(&Fault::LedgerLost));
    driver.fleet.with(|world| world.wait(60));
    (0..3).any(|_| driver.run(&desired, &Goal::Converge, FaultSchedule::default()).is_converged())
}

#[test]
fn without_durable_first_the_loss_of_one_disk_loses_the_keys_of_a_cluster() {
    let off = Rules { durable_first: false, ..Rules::ALL };
    let moments = (5..120).step_by(5);
    assert!(moments.clone().any(|later| !survives_the_loss_of_the_operators_disk(off, later)));
    for later in moments {
        assert!(survives_the_loss_of_the_operators_disk(Rules::ALL, later), "{later} verbs later");
    }
}

/// What a run does to somebody else's etcd on a worker, when the worker and when the cluster is removed.
fn harm_to_somebodys_etcd(rules: Rules, goal: &Goal, draft: &Draft) -> Vec<String> {
    let whole = desired_of(&Draft::sized(1, 2), Catalog::builtin()).expect("a sized draft is sound");
    let then = desired_of(draft, Catalog::builtin()).expect("a sized draft is sound");
    let node = NodeName::from("node-3");
    let mut driver = Driver::new(SimFleet::new(World::bare(3)));
    driver.run(&whole, &Goal::Converge, FaultSchedule::default());
    driver.guardrails = Guardrails { rules, audited: false, ..Guardrails::default() };
    driver.fleet.with(|world| {
        world.meddle(&Mischief::ForeignContainer { node: node.clone(), container: "etcd".into() });
        world.meddle(&Mischief::ForeignData { node, path: "/var/lib/etcd".into() });
    });
    driver.run(&then, goal, FaultSchedule::default());
    driver.complaints()
}

#[test]
fn without_the_rule_of_ownership_the_etcd_of_others_is_lost() {
    let (stays, leaves) = (Draft::sized(1, 2), Draft::sized(1, 1));
    let off = Rules { own_only: false, ..Rules::ALL };
    for (goal, draft) in
        [(Goal::Converge, &leaves), (Goal::Dismantle(windlass_model::Snapshots::Keep), &stays)]
    {
        assert_eq!(harm_to_somebodys_etcd(Rules::ALL, &goal, draft), Vec::<String>::new());
        let harm = harm_to_somebodys_etcd(off, &goal, draft);
        assert!(harm.iter().any(|broke| broke.contains("broke Foreign")), "{harm:?}");
    }
}

/// What a plan does that removes a member which works again by then.
fn harm_to_a_member_that_came_back(rules: Rules) -> Vec<String> {
    let desired = desired_of(&Draft::sized(3, 0), Catalog::builtin()).expect("a sized draft is sound");
    let node = NodeName::from("node-2");
    let mut driver = Driver::new(SimFleet::new(World::bare(3)));
    driver.run(&desired, &Goal::Converge, FaultSchedule::default());
    driver.guardrails = Guardrails { rules, audited: false, ..Guardrails::default() };
    driver.fleet.with(|world| {
        let said = "walpb: crc mismatch".to_owned();
        world.meddle(&Mischief::EtcdEnds { node: node.clone(), said });
        world.wait(30);
    });
    let (_, planning) = driver.look_and_plan(&desired, &Goal::Converge).expect("all are in sight");
    assert!(planning.plan.step("node-2/etcd/leave").is_some(), "{:#?}", planning.plan.steps);
    driver.fleet.with(|world| {
        world.meddle(&Mischief::EtcdEndsNoMore { node });
        world.wait(120);
    });
    driver.carry_out(&desired, &planning.plan);
    driver.complaints()
}

#[test]
fn without_a_second_look_a_member_that_works_again_is_taken_out() {
    assert_eq!(harm_to_a_member_that_came_back(Rules::ALL), Vec::<String>::new());
    let harm = harm_to_a_member_that_came_back(Rules { look_again: false, ..Rules::ALL });
    assert!(harm.iter().any(|broke| broke.contains("broke Member")), "{harm:?}");
}
