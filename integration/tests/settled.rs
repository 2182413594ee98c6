//! What is measured as *nothing to do* is what windlass finds after it has done everything.

use std::collections::BTreeSet;

use windlass_blueprint::Catalog;
use windlass_course::Goal;
use windlass_integration::draft::Draft;
use windlass_integration::drive::{Driver, desired_of};
use windlass_integration::settled::{fresh_inventory, settled_inventory};
use windlass_integration::speed::{Case, cluster_text, desired_in, text_to_plan};
use windlass_model::{
    ContainerSeen, Digest, Intent, Inventory, KeptRoots, KubeSeen, LedgerFace, Lineage, MemberSeen, NodeSeen,
};
use windlass_planner::{audit, plan};
use windlass_simulator::{FaultSchedule, SimFleet, World};

#[test]
fn nothing_is_to_be_done_on_a_settled_cluster() {
    for nodes in [3, 8, 50] {
        let text = cluster_text(nodes);
        let seen = Case::NothingToDo.inventory(&desired_in(&text));
        let (intent, planning) = text_to_plan(&text, &seen);
        assert!(planning.plan.is_empty(), "{nodes} nodes: {:#?}", planning.plan.steps);
        assert_eq!(planning.findings, [], "{nodes} nodes");
        assert_eq!(audit(&intent, &seen, &planning), []);
    }
}

#[test]
fn everything_is_to_be_done_on_fresh_machines() {
    let desired = desired_in(&cluster_text(3));
    let seen = fresh_inventory(&desired);
    let planning = plan(&Intent::converge(desired.clone().into()), &seen);
    let runs = planning.plan.steps.iter().filter(|step| step.id.to_string().ends_with("/run")).count();
    let expected: usize = desired.nodes.values().map(|node| node.containers.len()).sum();
    assert_eq!(runs, expected);
}

#[test]
fn a_settled_cluster_looks_as_the_simulated_one_does_after_up() {
    for draft in [Draft::sized(3, 0), Draft::sized(3, 2)] {
        let machines = draft.nodes.len();
        let driver = Driver::new(SimFleet::new(World::bare(machines)));
        let desired = desired_of(&draft, Catalog::builtin()).expect("a plain draft is a cluster.yml");
        let ended = driver.run(&desired, &Goal::Converge, FaultSchedule::default());
        assert!(ended.is_converged(), "{ended:?}");
        let (seen, planning) = driver.look_and_plan(&desired, &Goal::Converge).expect("all are in sight");
        assert!(planning.plan.is_empty());
        let (made, seen) = (kinds(&settled_inventory(desired.ordinary())), kinds(&seen));
        let only = |these: &BTreeSet<String>, those: &BTreeSet<String>| -> Vec<String> {
            these.difference(those).cloned().collect()
        };
        assert_eq!((only(&made, &seen), only(&seen, &made)), (vec![], vec![]), "{machines} machines");
    }
}

/// The part of an inventory that does not depend on which keys were issued, and when; one line each.
fn kinds(seen: &Inventory) -> BTreeSet<String> {
    let Inventory { taken_at: _, nodes, etcd, kube, kept, objects: _, ledger } = seen;
    let mut kinds = BTreeSet::new();
    for (node, seen) in nodes {
        let NodeSeen::InSight(facts) = seen else { continue };
        let mut tell = |what: String| kinds.insert(format!("{node}: {what}"));
        tell(format!("{:?}", facts.host));
        tell(format!("images {:?}", facts.images));
        tell(format!("directories {:?}", facts.directories));
        tell(format!("etcd data {:?}", facts.etcd_data));
        tell(format!("holds the ledger: {}", facts.ledger.is_some()));
        for (path, file) in &facts.files {
            tell(format!("{path} {} {}", file.mode, file.owner));
        }
        for (name, container) in &facts.containers {
            let ContainerSeen { spec, birth, maker, lineage, state, health, loaded, ending: _ } = container;
            let loaded: Vec<_> = loaded.keys().collect();
            let lineage = lineage.is_some();
            tell(format!("{name} {maker:?} {lineage} {state:?} {health:?} {spec:?} {birth:?} {loaded:?}"));
        }
    }
    for member in etcd.members() {
        // Which member leads, and its id, vary.
        let MemberSeen { id: _, name, peer_url, vote, health, leads: _, alarms: _, db_bytes: _ } = member;
        kinds.insert(format!("member {name} {peer_url} {vote:?} {health:?}"));
    }
    if let KubeSeen::Nodes(objects) = kube {
        kinds.extend(objects.iter().map(|(name, object)| format!("{name} {object:?}")));
    }
    kinds.insert(format!("Kubernetes keeps the roots: {}", kept.is_some()));
    let LedgerFace { nodes, certs, foundation, born, secrets, strangers, .. } = ledger;
    kinds.extend(certs.iter().map(|(name, cert)| {
        format!("{name} {:?} issued by another: {}", cert.desired, cert.issuer.is_some())
    }));
    let secrets: Vec<_> = secrets.keys().collect();
    kinds.insert(format!("{nodes:?} {foundation:?} {born:?} {secrets:?} {strangers:?}"));
    kinds
}

#[test]
fn what_kubernetes_keeps_of_another_or_a_newer_ledger_is_never_overwritten() {
    let desired = desired_of(&Draft::sized(3, 1), Catalog::builtin()).expect("a sized draft is sound");
    let steps_and_findings = |change: fn(&mut KeptRoots)| {
        let mut seen = settled_inventory(desired.ordinary());
        change(seen.kept.as_mut().expect("a settled cluster keeps the roots"));
        let planning = plan(&Intent::converge(desired.ordinary().clone()), &seen);
        (planning.plan.steps.len(), planning.findings.len())
    };
    assert_eq!(steps_and_findings(|_| ()), (0, 0));
    assert_eq!(steps_and_findings(|kept| kept.lineage = Lineage::from("another")), (0, 1));
    assert_eq!(steps_and_findings(|kept| kept.serial += 1), (0, 1));
    // An older one is written again.
    assert_eq!(steps_and_findings(|kept| kept.digest = Digest::of("older")), (1, 0));
}
