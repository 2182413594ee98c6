//! How long a look waits for what does not answer.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use windlass_engine::{Observation, Recover, observe};
use windlass_model::{Health, KubeSeen, Unasked};

use crate::fake::{Fake, Fault, assignment};
use crate::plans::running;

/// Looks at an API server of this health, and how long that takes.
async fn look_at_a_server(health: Health, hangs: bool) -> Option<(KubeSeen, Duration)> {
    let fake = Fake::new();
    let mut server = running("1");
    server.health = health;
    fake.world().containers.insert(("node-1".into(), "kube-apiserver".into()), server);
    if hangs {
        fake.fault("kube nodes", 1, Fault::HangsBefore);
    }
    let began = Instant::now();
    let (ports, assignment) = (fake.ports(), assignment(1));
    let look = observe(&ports, &assignment, &fake, Recover::InMemory);
    let Observation { inventory, .. } = timeout(Duration::from_secs(60), look).await.ok()?.unwrap();
    Some((inventory.kube, began.elapsed()))
}

#[tokio::test(start_paused = true)]
async fn api_servers_that_do_not_work_are_asked_briefly() {
    for health in [Health::Unhealthy, Health::Unknown(Unasked::NoAnswer)] {
        let (kube, took) = look_at_a_server(health, true).await.unwrap();
        assert_eq!(kube, KubeSeen::Silent);
        assert!(took <= Duration::from_secs(16), "{took:?}");
        let (kube, _) = look_at_a_server(health, false).await.unwrap();
        assert_ne!(kube, KubeSeen::Silent, "one that answers nevertheless is heard");
    }
    let seen = look_at_a_server(Health::Healthy, true).await;
    assert_eq!(seen, None, "for one that works its own time limit counts");
}
