//! A ledger that was lost, or is older than a copy on a node.

use std::fmt::Write as _;

use windlass_engine::{Assignment, Observation, PortResult, Recover, observe};
use windlass_model::{Ledger, Lineage, NodeSeen, Role};

use crate::fake::{COPY, Fake, Fault, assert_frozen, assignment, copy_of, last_node, node, passing};
use crate::plans::running;

fn ledger(lineage: &str, serial: u64, nodes: &[u8]) -> Ledger {
    let mut ledger = Ledger::new(Lineage::from(lineage));
    ledger.serial = serial;
    ledger.nodes =
        nodes.iter().map(|number| (node(*number), last_node(*number, &[Role::ControlPlane]))).collect();
    ledger
}

fn put_copy(fake: &Fake, number: u8, ledger: &Ledger) {
    fake.world().files.insert((node(number).to_string(), COPY.to_owned()), copy_of(ledger));
}

async fn look(fake: &Fake, assignment: &Assignment, recover: Recover) -> PortResult<Observation> {
    observe(&fake.ports(), assignment, fake, recover).await
}

fn reported(fake: &Fake, observation: &PortResult<Observation>) -> String {
    let mut text = fake.take_log();
    match observation {
        Err(error) => writeln!(text, "error: {error}").unwrap(),
        Ok(Observation { inventory, ledger }) => {
            for (node, seen) in &inventory.nodes {
                match seen {
                    NodeSeen::InSight(_) => writeln!(text, "{node} in sight").unwrap(),
                    NodeSeen::OutOfSight(cause) => writeln!(text, "{node} out of sight: {cause}").unwrap(),
                }
            }
            writeln!(text, "ledger: {ledger:?}").unwrap();
            writeln!(text, "strangers: {:?}", inventory.ledger.strangers).unwrap();
        }
    }
    writeln!(text, "kept: {:?}", fake.world().ledger).unwrap();
    text
}

#[tokio::test(start_paused = true)]
async fn a_missing_ledger_is_brought_back_and_its_nodes_are_looked_at() {
    let fake = Fake::new();
    // node-1's copy names node-3, and node-3 has a still newer one.
    put_copy(&fake, 1, &ledger("blue", 4, &[1, 3]));
    put_copy(&fake, 2, &ledger("blue", 3, &[1]));
    put_copy(&fake, 3, &ledger("blue", 5, &[1, 3, 4]));
    let observation = look(&fake, &assignment(2), Recover::AndKeep).await;
    assert_eq!(fake.world().enrolled.len(), 4);
    assert_eq!(fake.world().entrusted, Some(5));
    assert_frozen("recovered", &reported(&fake, &observation));
}

#[tokio::test(start_paused = true)]
async fn a_plan_recovers_in_memory_only() {
    let fake = Fake::new();
    fake.world().ledger = Some(ledger("blue", 2, &[]));
    put_copy(&fake, 1, &ledger("blue", 4, &[1]));
    let observation = look(&fake, &assignment(1), Recover::InMemory).await;
    assert_frozen("recovered_in_memory", &reported(&fake, &observation));
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_no_keeper_of_a_newer_ledger() {
    let fake = Fake::new();
    let mut own = ledger("blue", 2, &[]);
    own.nodes.insert(node(3), last_node(3, &[Role::Worker]));
    fake.world().ledger = Some(own.clone());
    put_copy(&fake, 3, &ledger("blue", 9, &[1, 3]));
    let observation = look(&fake, &assignment(1), Recover::AndKeep).await.unwrap();
    assert_eq!(observation.ledger, Some(own));
}

#[tokio::test(start_paused = true)]
async fn a_copy_with_an_address_for_a_shell_is_not_believed() {
    let fake = Fake::new();
    let mut forged = ledger("blue", 4, &[1]);
    let mut last = last_node(2, &[Role::Worker]);
    last.target.address = "x$(reboot)".to_owned();
    forged.nodes.insert(node(2), last);
    put_copy(&fake, 1, &forged);
    let error = look(&fake, &assignment(1), Recover::AndKeep).await.unwrap_err().to_string();
    let why = "node-1: an address in it is none that cluster.yml could have";
    assert_eq!(error, format!("the newest ledger of this cluster, serial 4, cannot be read back ({why})"));
    assert_eq!(fake.world().enrolled.len(), 1, "nobody is led to another place");
}

#[tokio::test(start_paused = true)]
async fn an_older_copy_changes_nothing() {
    let fake = Fake::new();
    fake.world().ledger = Some(ledger("blue", 4, &[]));
    put_copy(&fake, 1, &ledger("blue", 3, &[7]));
    let observation = look(&fake, &assignment(1), Recover::AndKeep).await;
    assert_frozen("older_copy", &reported(&fake, &observation));
}

#[tokio::test(start_paused = true)]
async fn a_strangers_ledger_is_reported_and_never_taken() {
    let fake = Fake::new();
    fake.world().ledger = Some(ledger("blue", 1, &[]));
    put_copy(&fake, 1, &ledger("blue", 2, &[]));
    put_copy(&fake, 2, &ledger("red", 7, &[]));
    let observation = look(&fake, &assignment(2), Recover::AndKeep).await;
    assert_frozen("stranger", &reported(&fake, &observation));
}

#[tokio::test(start_paused = true)]
async fn of_two_clusters_without_a_ledger_neither_is_taken() {
    let fake = Fake::new();
    put_copy(&fake, 1, &ledger("blue", 2, &[]));
    put_copy(&fake, 2, &ledger("red", 7, &[]));
    let observation = look(&fake, &assignment(2), Recover::AndKeep).await;
    assert_frozen("two_strangers", &reported(&fake, &observation));
}

#[tokio::test(start_paused = true)]
async fn a_newest_copy_that_cannot_be_understood_is_an_error_and_never_none() {
    let fake = Fake::new();
    put_copy(&fake, 1, &ledger("blue", 2, &[]));
    fake.world().files.insert(("node-2".into(), COPY.into()), b"{\"format\": 1, \"ledger\": {".to_vec());
    let observation = look(&fake, &assignment(2), Recover::AndKeep).await;
    assert_frozen("unreadable_copy", &reported(&fake, &observation));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_answer_is_an_entry() {
    let fake = Fake::new();
    fake.world().containers.insert(("node-1".into(), "etcd".into()), running("1"));
    let mut stopped = running("1");
    stopped.state = windlass_model::ContainerState::Stopped;
    fake.world().containers.insert(("node-2".into(), "kube-apiserver".into()), stopped.clone());
    fake.world().containers.insert(("node-2".into(), "etcd".into()), running("1"));
    fake.world().containers.insert(("node-1".into(), "etcd".into()), stopped);
    fake.fault("node-1 look", 1, Fault::Before(passing("connection lost")));
    fake.fault("node-3 look", 2, Fault::Before(passing("connection lost")));
    fake.fault("node-4 look", 1, Fault::HangsBefore);
    let observation = look(&fake, &assignment(4), Recover::AndKeep).await;
    assert_frozen("out_of_sight", &reported(&fake, &observation));
}
