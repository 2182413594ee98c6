//! What windlass must never do is detected when it does it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_engine::{Etcd, Event, Kube, LedgerStore, Listener, LookScope, Nodes, Traces};
use windlass_model::{
    Action, CertKind, Component, DesiredCert, FilePath, KubernetesVersion, NodeName, Outcome, Owner, Reason,
    RestartWhen, Step, StepId,
};
use windlass_simulator::{Fault, FaultSchedule, RolloutRules, ViolationKind, run};

use crate::lab::{Lab, SSL, address, footprints, name, node, seconds, url};

fn nodes(numbers: &[usize]) -> BTreeSet<NodeName> {
    numbers.iter().map(|number| node(*number)).collect()
}

fn one(path: &str) -> BTreeSet<FilePath> {
    BTreeSet::from([FilePath::from(path)])
}

/// The run continues with these rules.
fn rule(lab: &Lab, rules: RolloutRules) {
    lab.fleet.begin_run(rules, FaultSchedule::none());
    lab.enrol();
}

async fn stop(lab: &Lab, number: usize, called: &str) {
    lab.fleet.stop(&node(number), &name(called)).await.unwrap();
}

/// A member stops; it has transferred leadership before.
async fn stop_member(lab: &Lab, number: usize) {
    lab.fleet.move_leader(&[node(1), node(2), node(3)], &url(number)).await.unwrap();
    stop(lab, number, "etcd").await;
}

#[test]
fn the_second_of_three_members_must_not_stop() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        stop_member(&lab, 1).await;
        assert_eq!(lab.broken(), []);
        stop_member(&lab, 2).await;
        assert_eq!(lab.broken(), [ViolationKind::Quorum]);
        let violation = lab.fleet.with(|world| world.violations()[0].clone());
        assert_eq!(violation.what, "etcd of 3 voters lost its majority");
        assert!(violation.story.last().is_some_and(|line| line.contains("move leader")));
    });
}

#[test]
fn one_and_two_members_have_no_majority_to_spare_and_may_stop() {
    run(async {
        for size in [1, 2] {
            let mut lab = Lab::new(size);
            lab.etcd(size).await;
            stop(&lab, 1, "etcd").await;
            assert_eq!(lab.broken(), []);
        }
    });
}

#[test]
fn a_fault_of_the_last_two_seconds_excuses_and_an_older_one_does_not() {
    run(async {
        for (wait, broken) in [(1, vec![]), (7, vec![ViolationKind::Quorum])] {
            let mut lab = Lab::new(3);
            lab.etcd(3).await;
            lab.fleet.move_leader(&[node(1)], &url(3)).await.unwrap();
            lab.fleet.with(|world| world.strike(&Fault::PowerOff { node: node(2), seconds: None }));
            seconds(wait).await;
            stop(&lab, 3, "etcd").await;
            assert_eq!(lab.broken(), broken);
        }
    });
}

#[test]
fn a_majority_that_breaks_by_itself_is_nobody_s_fault() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        for number in [1, 2] {
            lab.fleet.with(|world| world.strike(&Fault::PowerOff { node: node(number), seconds: None }));
            seconds(10).await;
        }
        lab.write(3, "/a", "x").await.unwrap();
        stop(&lab, 3, "etcd").await;
        assert_eq!(lab.broken(), []);
    });
}

#[test]
fn data_of_a_member_that_belongs_is_neither_removed_nor_moved_aside() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        stop_member(&lab, 3).await;
        lab.fleet.move_aside(&node(3), &"/var/lib/etcd".into(), &"/var/lib/etcd.old".into()).await.unwrap();
        assert_eq!(lab.broken(), [ViolationKind::DataLoss]);
        stop_member(&lab, 2).await;
        lab.fleet.remove_paths(&node(2), &one("/var/lib")).await.unwrap();
        let broken = lab.broken();
        assert_eq!(broken[1..], [ViolationKind::Quorum, ViolationKind::DataLoss]);
    });
}

#[test]
fn data_of_a_member_that_was_taken_out_may_be_moved_aside() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        lab.fleet.move_leader(&[node(1)], &url(3)).await.unwrap();
        let windlass_model::EtcdSeen::Members(members) = lab.fleet.members(&[node(1)]).await.unwrap() else {
            panic!("etcd is silent")
        };
        let id = members.iter().find(|member| member.peer_url == url(3)).unwrap().id;
        lab.fleet.remove_member(&[node(1)], id).await.unwrap();
        stop(&lab, 3, "etcd").await;
        lab.fleet.move_aside(&node(3), &"/var/lib/etcd".into(), &"/var/lib/etcd.old".into()).await.unwrap();
        assert_eq!(lab.broken(), []);
    });
}

#[test]
fn a_member_that_works_and_is_desired_must_not_be_taken_out() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        rule(&lab, RolloutRules { etcds: nodes(&[1, 2, 3]), ..Lab::rules() });
        lab.fleet.move_leader(&[node(1)], &url(3)).await.unwrap();
        let windlass_model::EtcdSeen::Members(members) = lab.fleet.members(&[node(1)]).await.unwrap() else {
            panic!("etcd is silent")
        };
        let id = members.iter().find(|member| member.peer_url == url(3)).unwrap().id;
        lab.fleet.remove_member(&[node(1)], id).await.unwrap();
        assert_eq!(lab.broken(), [ViolationKind::Member]);
    });
}

#[test]
fn a_kubelet_must_not_be_newer_than_an_api_server() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(1).await;
        rule(&lab, RolloutRules { controlplanes: nodes(&[1, 2]), ..Lab::rules() });
        lab.version = Some(KubernetesVersion::new(1, 20, 2));
        lab.api(1, 1).await;
        lab.version = Some(KubernetesVersion::new(1, 21, 0));
        lab.api(2, 1).await;
        seconds(30).await;
        assert_eq!(lab.broken(), [], "API servers may be one minor version apart");
        lab.worker(3, &[1, 2]).await;
        assert_eq!(lab.broken(), [ViolationKind::Skew, ViolationKind::Skew], "kubelet and kube-proxy");
    });
}

#[test]
fn api_servers_must_not_be_two_minor_versions_apart() {
    run(async {
        let mut lab = Lab::new(2);
        lab.etcd(1).await;
        rule(&lab, RolloutRules { controlplanes: nodes(&[1, 2]), ..Lab::rules() });
        lab.version = Some(KubernetesVersion::new(1, 20, 2));
        lab.api(1, 1).await;
        seconds(30).await;
        lab.version = Some(KubernetesVersion::new(1, 22, 0));
        lab.api(2, 1).await;
        assert_eq!(lab.broken(), [ViolationKind::Skew]);
    });
}

#[test]
fn a_second_cluster_of_etcd_is_a_split() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(2).await;
        lab.certify_etcd(3).await;
        lab.run(3, "etcd", &Lab::etcd_spec(3), &Lab::birth(&[3], "new")).await;
        seconds(3).await;
        assert_eq!(lab.broken(), [ViolationKind::Split]);
    });
}

#[test]
fn after_a_cluster_was_dismantled_another_may_be_founded_on_the_same_machines() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        rule(&lab, RolloutRules { honest: false, ..RolloutRules::dismantle() });
        for number in 1..=3 {
            stop(&lab, number, "etcd").await;
            lab.fleet.remove(&node(number), &name("etcd")).await.unwrap();
            lab.fleet.remove_paths(&node(number), &one("/var/lib/etcd")).await.unwrap();
        }
        rule(&lab, Lab::rules());
        lab.etcd(3).await;
        let authority = DesiredCert { kind: CertKind::Authority, ..Lab::desired("ca", &[]) };
        assert_eq!(lab.broken(), []);
        lab.mint("ca", &authority).unwrap();
        assert_eq!(lab.broken(), [ViolationKind::NewAuthority], "the new cluster lives by it");
    });
}

#[test]
fn no_more_workers_become_unavailable_than_the_limit_allows() {
    run(async {
        let mut lab = Lab::new(4);
        let rules = RolloutRules { workers: nodes(&[2, 3, 4]), ..Lab::rules() };
        rule(&lab, rules);
        lab.etcd(1).await;
        lab.api(1, 1).await;
        for number in 2..=4 {
            lab.worker(number, &[1]).await;
        }
        seconds(10).await;
        stop(&lab, 2, "kube-proxy").await;
        stop(&lab, 2, "kubelet").await;
        assert_eq!(lab.broken(), []);
        stop(&lab, 3, "nginx-proxy").await;
        assert_eq!(lab.broken(), [ViolationKind::Window]);
        assert_eq!(
            lab.fleet.with(|world| world.violations()[0].what.clone()),
            "unavailable workers over 1: node-2, node-3"
        );
        stop(&lab, 3, "kubelet").await;
        lab.fleet.cordon(&node(4)).await.unwrap();
        assert_eq!(lab.broken(), [ViolationKind::Window, ViolationKind::Window]);
    });
}

#[test]
fn a_worker_that_is_cut_off_counts_and_one_that_never_worked_does_not() {
    run(async {
        let mut lab = Lab::new(5);
        rule(&lab, RolloutRules { workers: nodes(&[2, 3, 4, 5]), ..Lab::rules() });
        lab.etcd(1).await;
        lab.api(1, 1).await;
        for number in 2..=4 {
            lab.worker(number, &[1]).await;
        }
        seconds(10).await;
        stop(&lab, 2, "kubelet").await;
        assert_eq!(lab.broken(), []);
        lab.fleet.start(&node(2), &name("kubelet")).await.unwrap();
        lab.fleet.with(|world| world.strike(&Fault::PowerOff { node: node(4), seconds: None }));
        seconds(50).await;
        stop(&lab, 2, "kubelet").await;
        assert_eq!(lab.broken(), [ViolationKind::Window], "by now the API tells that it is not ready");
    });
}

#[test]
fn the_last_of_several_api_servers_does_not_stop_and_a_lone_one_may() {
    run(async {
        let mut lab = Lab::new(2);
        rule(&lab, RolloutRules { controlplanes: nodes(&[1, 2]), ..Lab::rules() });
        lab.etcd(1).await;
        lab.api(1, 1).await;
        seconds(6).await;
        stop(&lab, 1, "kube-apiserver").await;
        lab.fleet.start(&node(1), &name("kube-apiserver")).await.unwrap();
        lab.api(2, 1).await;
        seconds(6).await;
        stop(&lab, 1, "kube-apiserver").await;
        stop(&lab, 2, "kube-apiserver").await;
        assert_eq!(lab.broken(), [], "it came to serve a moment ago: whoever looked did not see it");
        lab.fleet.start(&node(2), &name("kube-apiserver")).await.unwrap();
        seconds(10).await;
        stop(&lab, 2, "kube-apiserver").await;
        assert_eq!(lab.broken(), [ViolationKind::ApiServers]);
    });
}

#[test]
fn an_api_server_that_leaves_goes_only_after_another_one_serves() {
    run(async {
        let mut lab = Lab::new(2);
        rule(&lab, RolloutRules { controlplanes: nodes(&[1, 2]), ..Lab::rules() });
        lab.etcd(1).await;
        lab.api(1, 1).await;
        lab.api(2, 1).await;
        seconds(10).await;
        lab.fleet.with(|world| world.strike(&Fault::PowerOff { node: node(2), seconds: None }));
        seconds(5).await;
        stop(&lab, 1, "kube-apiserver").await;
        assert_eq!(lab.broken(), [ViolationKind::ApiServers]);
    });
}

#[test]
fn keys_are_in_the_ledger_before_they_are_on_a_machine() {
    run(async {
        let mut lab = Lab::new(1);
        let cert = lab.mint("etcd", &Lab::desired("kube-etcd", &[])).unwrap();
        lab.write(1, &format!("{SSL}/etcd-key.pem"), cert.key.expose()).await.unwrap();
        assert_eq!(lab.broken(), [ViolationKind::DurableFirst]);
        lab.kept.certs.insert("etcd".into(), cert.clone());
        lab.ledger.commit(&lab.kept).unwrap();
        lab.write(1, &format!("{SSL}/etcd-key.pem"), cert.key.expose()).await.unwrap();
        assert_eq!(lab.broken().len(), 1);
    });
}

#[test]
fn a_copy_of_the_ledger_goes_to_a_machine_only_after_it_was_committed() {
    run(async {
        let lab = Lab::new(1);
        let path = "/etc/kubernetes/windlass/ledger.yml";
        let scope = LookScope { footprints: footprints("/var/lib/etcd", path), ..LookScope::default() };
        lab.fleet.look(&node(1), &scope, Traces::None).await.unwrap();
        lab.write(1, path, "lineage: x\nserial: 1\n").await.unwrap();
        assert_eq!(lab.broken(), []);
        lab.write(1, path, "lineage: x\nserial: 2\n").await.unwrap();
        assert_eq!(lab.broken(), [ViolationKind::DurableFirst]);
    });
}

#[test]
fn an_authority_by_which_a_cluster_lives_is_not_made_anew_and_other_certificates_may_be() {
    run(async {
        let mut lab = Lab::new(1);
        let authority = DesiredCert { kind: CertKind::Authority, ..Lab::desired("ca", &[]) };
        lab.certify("ca", &authority);
        lab.etcd(1).await;
        lab.mint("etcd-1", &Lab::desired("kube-etcd", &[&address(1)])).unwrap();
        assert_eq!(lab.broken(), []);
        lab.mint("ca", &authority).unwrap();
        assert_eq!(lab.broken(), [ViolationKind::NewAuthority]);
    });
}

fn step(action: Action) -> Step {
    Step {
        id: StepId::new("node-1", "x", action.verb()),
        action,
        reasons: vec![Reason::Missing],
        origins: vec![],
    }
}

#[test]
fn every_change_lies_under_a_step_of_its_node_and_subject() {
    run(async {
        let lab = Lab::new(2);
        rule(&lab, RolloutRules { honest: true, ..Lab::rules() });
        lab.fleet.look(&node(1), &LookScope::default(), Traces::None).await.unwrap();
        assert_eq!(lab.broken(), [], "a look changes nothing");
        lab.write(1, "/a", "x").await.unwrap();
        assert_eq!(lab.broken(), [ViolationKind::Dishonest]);
        assert_eq!(lab.fleet.with(|world| world.violations()[0].what.clone()), "write node-1 /a");
        let desired = windlass_model::DesiredFile {
            content: windlass_model::Content::Text(Arc::from("x")),
            mode: windlass_model::Mode::PUBLIC,
            owner: windlass_model::Owner::default(),
            origin: None,
        };
        let files = BTreeMap::from([(FilePath::from("/b"), desired)]);
        let write = step(Action::WriteFiles { node: node(1), files });
        lab.fleet.hear(Event::StepBegins { step: &write });
        lab.write(1, "/b", "x").await.unwrap();
        assert_eq!(lab.broken().len(), 1);
        lab.write(2, "/b", "x").await.unwrap();
        assert_eq!(lab.broken().len(), 2, "another node");
        lab.write(1, "/c", "x").await.unwrap();
        assert_eq!(lab.broken().len(), 3, "another file");
        lab.fleet.hear(Event::StepEnds { step: &write, outcome: &Outcome::Done });
        lab.write(1, "/b", "x").await.unwrap();
        assert_eq!(lab.broken().len(), 4, "the step has ended");
    });
}

#[test]
fn a_step_of_one_component_may_not_touch_another() {
    run(async {
        let lab = Lab::new(1);
        let mut desired = crate::lab::spec(&["sleep".to_owned()], &[]);
        desired.binds.clear();
        lab.run(1, "kubelet", &desired, &[]).await;
        lab.run(1, "kube-proxy", &desired, &[]).await;
        rule(&lab, RolloutRules { honest: true, ..Lab::rules() });
        let restart = |component| Action::RestartContainer {
            node: node(1),
            component,
            when: RestartWhen::Always,
            guards: vec![],
        };
        lab.fleet.hear(Event::StepBegins { step: &step(restart(Component::Kubelet)) });
        stop(&lab, 1, "kubelet").await;
        assert_eq!(lab.broken(), []);
        stop(&lab, 1, "kube-proxy").await;
        assert_eq!(lab.broken(), [ViolationKind::Dishonest]);
    });
}

#[test]
fn the_data_of_etcd_changes_its_owner_only_under_a_step_of_etcd() {
    run(async {
        let lab = Lab::new(1);
        lab.write(1, "/etc/kubernetes/x", "x").await.unwrap();
        lab.create(1, "etcd", &Lab::etcd_spec(1), &[]).await.unwrap();
        rule(&lab, RolloutRules { honest: true, ..Lab::rules() });
        let start = step(Action::StartContainer { node: node(1), component: Component::Etcd });
        let hand_over = async |uid, directory: &str| {
            lab.fleet.hand_over(&node(1), &directory.into(), Owner { uid, gid: uid }).await.unwrap();
        };
        lab.fleet.hear(Event::StepBegins { step: &start });
        hand_over(7, "/var/lib/etcd").await;
        assert_eq!(lab.broken(), []);
        hand_over(7, "/var/lib/other").await;
        assert_eq!(lab.broken(), [ViolationKind::Dishonest], "that is not its data");
        lab.fleet.hear(Event::StepEnds { step: &start, outcome: &Outcome::Done });
        hand_over(8, "/var/lib/etcd").await;
        assert_eq!(lab.broken().len(), 2);
    });
}

#[test]
fn a_ledger_that_a_node_holds_may_be_brought_back_without_a_step() {
    run(async {
        let mut lab = Lab::new(1);
        let path = "/etc/kubernetes/windlass/ledger.yml";
        let scope = LookScope { footprints: footprints("/var/lib/etcd", path), ..LookScope::default() };
        let text = format!("lineage: {}\nserial: {}\n", lab.kept.lineage, lab.kept.serial);
        lab.write(1, path, &text).await.unwrap();
        lab.fleet.with(|world| world.strike(&Fault::LedgerLost));
        rule(&lab, RolloutRules { honest: true, ..Lab::rules() });
        lab.fleet.look(&node(1), &scope, Traces::None).await.unwrap();
        lab.ledger.commit(&lab.kept).unwrap();
        assert_eq!(lab.broken(), []);
        lab.kept.serial += 1;
        lab.ledger.commit(&lab.kept).unwrap();
        assert_eq!(lab.broken(), [ViolationKind::Dishonest]);
    });
}
