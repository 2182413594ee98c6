//! etcd is looked after: its status, defragmentation, the leader, alarms.

use crate::lab::Lab;

#[test]
fn etcd_is_looked_after() {
    let mut lab = Lab::with_three_nodes("etcd");
    lab.note("etcd status --simulate world.yml");
    lab.note("up --simulate world.yml --quiet");
    lab.note("etcd status --simulate world.yml");
    lab.note("etcd status --simulate world.yml --quiet");
    lab.note("etcd status --simulate world.yml --output json");
    lab.note("etcd defrag --simulate world.yml --plan");
    lab.note("etcd defrag --simulate world.yml");
    lab.note("etcd move-leader node-1 --simulate world.yml");
    lab.note("etcd move-leader node-3 --simulate world.yml --output json");
    lab.note("etcd move-leader node-9 --simulate world.yml");
    lab.note("etcd disarm --simulate world.yml");
    lab.note("plan --simulate world.yml --quiet");
    lab.compare("etcd.out");
}

#[test]
fn a_member_that_is_down_is_a_problem_and_stops_all_care() {
    let mut lab = Lab::with_three_nodes("etcd-down");
    assert_eq!(lab.run(&["up", "--simulate", "world.yml"]).status.code(), Some(0));
    let world = lab.read("world.yml");
    let second = world.rfind("- name: node-2").unwrap();
    let (before, after) = world.split_at(second);
    let lab_world = format!("{before}{}", after.replacen("  address:", "  power: off\n  address:", 1));
    std::fs::write(lab.path("world.yml"), lab_world).unwrap();
    for command in ["status", "defrag", "move-leader node-1", "disarm"] {
        lab.note(&format!("etcd {command} --simulate world.yml"));
    }
    lab.compare("etcd-down.out");
}

#[test]
fn etcd_goes_on_from_the_member_that_is_left() {
    let mut lab = Lab::with_three_nodes("etcd-recover");
    assert_eq!(lab.run(&["up", "--simulate", "world.yml"]).status.code(), Some(0));
    lab.note("etcd recover --simulate world.yml --yes");
    let world = lab.read("world.yml");
    let second = world.rfind("- name: node-2").unwrap();
    let (before, after) = world.split_at(second);
    let lost = format!("{before}{}", after.replace("\n  address:", "\n  power: off\n  address:"));
    std::fs::write(lab.path("world.yml"), lost).unwrap();
    lab.note("etcd recover --simulate world.yml --yes --quiet");
    lab.note("etcd recover --simulate world.yml --plan --gone node-2 --gone node-3");
    lab.note("etcd recover --simulate world.yml --yes --quiet --gone node-2 --gone node-3");
    lab.note("etcd status --simulate world.yml --quiet");
    lab.compare("etcd-recover.out");
}
