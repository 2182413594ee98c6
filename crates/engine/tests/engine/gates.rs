//! Waiting for containers, members and nodes.

use std::time::Duration;

use tokio::time::sleep;
use windlass_engine::Limits;
use windlass_model::{Action, Component, Gate, Health};

use crate::fake::{Fake, Fault, assert_frozen, assignment, node, passing, ready_object, reported, voters};
use crate::plans::{plan, running};

fn gates(within_seconds: u32) -> windlass_model::Plan {
    let gates = [
        ("1", Gate::Container { node: node(1), component: Component::Kubelet }),
        ("2", Gate::EtcdMember { node: node(2) }),
        ("3", Gate::NodeReady { node: node(3), network: windlass_model::PodNetwork::Required }),
    ];
    plan(gates.map(|(id, gate)| (id, Action::AwaitHealthy { gate, within_seconds })).to_vec(), &[])
}

#[tokio::test(start_paused = true)]
async fn a_gate_opens_when_the_thing_is_healthy() {
    let fake = Fake::new();
    fake.fault("kube node node-3", 1, Fault::Before(passing("connection refused")));
    let heals = async {
        sleep(Duration::from_secs(2)).await;
        let mut world = fake.world();
        world.containers.insert(("node-1".into(), "kubelet".into()), running("1"));
        world.members = voters(&[Health::Healthy, Health::Healthy]);
        world.objects.insert(node(3), ready_object());
    };
    let (assignment, limits, plan) = (assignment(3), Limits::default(), gates(60));
    let (done, ()) = tokio::join!(fake.execute(&plan, &assignment, &limits), heals);
    assert_frozen("gates_open", &(fake.take_log() + "\n" + &reported(&done)));
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_stays_closed_tells_what_it_saw_last() {
    let fake = Fake::new();
    {
        let mut world = fake.world();
        let mut kubelet = running("1");
        kubelet.health = Health::Unhealthy;
        world.containers.insert(("node-1".into(), "kubelet".into()), kubelet);
        world.members = voters(&[Health::Healthy]);
    }
    let done = fake.execute(&gates(3), &assignment(3), &Limits::default()).await;
    assert_frozen("gates_closed", &reported(&done));
}
