//! One run at a time: leases on the control-plane nodes, before anything is changed.

use std::collections::BTreeSet;
use std::future::pending;
use std::time::Duration;

use windlass_engine::{
    AnotherRun, Assignment, Conclusion, End, Interrupt, Lease, Leases, NotConverged, Options, PortResult,
    converge,
};
use windlass_model::{
    Finding, Foreign, Inventory, MadeBy, NodeName, Planning, Role, Subject, Waiting, Weight,
};

use crate::fake::{Fake, Fault, assignment, passing};
use crate::plans::{plan, pull};

impl Leases for Fake {
    async fn take_lease(&self, node: &NodeName, _: &str) -> PortResult<Lease> {
        self.verb(node.as_str(), format!("{node} lease"), |world| {
            if let Some(holder) = world.leases_of_others.get(node) {
                return Ok(Lease::Anothers { holder: holder.clone() });
            }
            world.leases.insert(node.clone());
            Ok(Lease::Ours)
        })
        .await
    }

    async fn end_leases(&self) {
        self.world().leases.clear();
    }

    async fn leases_lost(&self) {
        if self.world().leases.is_empty() {
            return pending().await;
        }
        while !self.world().leases_end {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Three nodes with a control plane.
fn three() -> Assignment {
    let mut assignment = assignment(3);
    for node in assignment.nodes.values_mut() {
        node.roles.insert(Role::ControlPlane);
    }
    assignment
}

async fn run(fake: &Fake) -> Result<Conclusion, NotConverged> {
    run_with(fake, Vec::new()).await
}

async fn run_with(fake: &Fake, findings: Vec<Finding>) -> Result<Conclusion, NotConverged> {
    let options = Options { holder: Some("up, process 7 on here".to_owned()), ..Options::default() };
    let pulls = |_: &Inventory| Planning {
        plan: plan(vec![("1", pull(1, "a")), ("2", pull(1, "b"))], &[("1", "2")]),
        findings: findings.clone(),
    };
    converge(&fake.ports(), &three(), pulls, &options, fake, &Interrupt::default()).await
}

#[tokio::test(start_paused = true)]
async fn a_run_takes_a_lease_on_every_control_plane_node_and_gives_all_back() {
    let fake = Fake::new();
    assert_eq!(run(&fake).await.unwrap().end, End::StoodStill);
    let log = fake.take_log();
    let at = |line: &str| log.find(line).unwrap_or_else(|| panic!("{line} in\n{log}"));
    assert!((1..=3).all(|node| at(&format!("node-{node} lease")) < at("node-1 pull a")), "{log}");
    assert_eq!(log.matches("lease").count(), 3, "later rounds keep them:\n{log}");
    assert!(fake.world().leases.is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_another_run_has_a_lease_nothing_is_done_and_none_is_kept() {
    for node in ["node-1", "node-3"] {
        let fake = Fake::new();
        let holder = "up, process 9 on elsewhere".to_owned();
        fake.world().leases_of_others.insert(node.into(), holder.clone());
        let taken = AnotherRun { node: node.into(), holder };
        assert_eq!(run(&fake).await, Err(NotConverged::Taken(taken)));
        assert!(!fake.take_log().contains("pull"));
        assert!(fake.world().leases.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_put_on_a_node_that_is_held_as_a_whole() {
    let fake = Fake::new();
    let (made_by, containers, files) = (MadeBy::Somebody, BTreeSet::new(), BTreeSet::new());
    let found = Foreign { made_by, containers, files, etcd_data: None };
    let stranger = Finding {
        weight: Weight::Held,
        about: Subject::Node("node-1".into()),
        cause: Waiting::NotThisClusters { found }.into(),
        origin: None,
    };
    assert_eq!(run_with(&fake, vec![stranger]).await.unwrap().end, End::StoodStill);
    let log = fake.take_log();
    assert!(!log.contains("node-1 lease") && log.contains("node-2 lease"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_gives_no_lease_is_left_out_after_three_attempts() {
    let fake = Fake::new();
    fake.fault("node-2 lease", 3, Fault::Before(passing("no space left on device")));
    assert_eq!(run(&fake).await.unwrap().end, End::StoodStill);
    let log = fake.take_log();
    assert!(log.contains("no lease on node-2: no space left on device"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_leases_are_ended_begins_no_further_step() {
    let fake = Fake::new();
    fake.world().leases_end = true;
    assert_eq!(run(&fake).await.unwrap().end, End::Interrupted);
    let log = fake.take_log();
    assert!(log.contains("leases lost"), "{log}");
    assert!(!log.contains("pull b"), "{log}");
}
