//! Draining a node.

use std::collections::BTreeMap;

use windlass_engine::{Limits, PodController, PodSeen};
use windlass_model::{Action, DrainOptions};

use crate::fake::{Evicted, Fake, Fault, assert_frozen, assignment, lasting, node, passing, reported};
use crate::plans::alone;

const OPTIONS: DrainOptions = DrainOptions {
    force: false,
    ignore_daemonsets: true,
    delete_local_data: false,
    grace_period_seconds: None,
    timeout_seconds: 30,
};

fn pod(name: &str, controller: PodController) -> PodSeen {
    PodSeen { namespace: "shop".to_owned(), name: name.to_owned(), controller, local_data: false }
}

fn with_pods(pods: Vec<(PodSeen, Evicted)>) -> Fake {
    let fake = Fake::new();
    fake.world().pods = BTreeMap::from([("node-1".to_owned(), pods.into_iter().collect())]);
    fake
}

async fn drained(fake: &Fake, options: DrainOptions) -> String {
    let plan = alone("a", Action::Drain { node: node(1), options });
    let done = fake.execute(&plan, &assignment(1), &Limits::default()).await;
    fake.take_log() + "\n" + &reported(&done)
}

#[tokio::test(start_paused = true)]
async fn a_drain_evicts_what_goes_elsewhere_and_waits_for_a_budget() {
    let fake = with_pods(vec![
        (pod("web", PodController::Elsewhere), Evicted::Goes),
        (pod("db", PodController::Elsewhere), Evicted::Blocked(2)),
        (pod("agent", PodController::DaemonSet), Evicted::Goes),
    ]);
    fake.fault("kube evict web", 1, Fault::Before(passing("connection lost")));
    assert_frozen("drain", &drained(&fake, OPTIONS).await);
}

#[tokio::test(start_paused = true)]
async fn a_drain_blocked_until_its_time_is_up_names_the_pods() {
    let fake = with_pods(vec![
        (pod("db", PodController::Elsewhere), Evicted::Blocked(999)),
        (pod("slow", PodController::Elsewhere), Evicted::Ends),
    ]);
    assert_frozen("drain_blocked", &drained(&fake, OPTIONS).await);
}

#[tokio::test(start_paused = true)]
async fn a_drain_evicts_nothing_where_a_pod_must_not_go() {
    let mut cache = pod("cache", PodController::Elsewhere);
    cache.local_data = true;
    let pods = || {
        vec![
            (pod("web", PodController::Elsewhere), Evicted::Goes),
            (pod("lonely", PodController::Nobody), Evicted::Goes),
            (cache.clone(), Evicted::Goes),
            (pod("agent", PodController::DaemonSet), Evicted::Goes),
        ]
    };
    let text = drained(&with_pods(pods()), OPTIONS).await
        + &drained(&with_pods(pods()), DrainOptions { force: true, ..OPTIONS }).await
        + &drained(&with_pods(pods()), DrainOptions { ignore_daemonsets: false, ..OPTIONS }).await
        + &drained(&with_pods(pods()), DrainOptions { force: true, delete_local_data: true, ..OPTIONS })
            .await;
    assert_frozen("drain_refused", &text);
}

#[tokio::test(start_paused = true)]
async fn a_lasting_refusal_of_an_eviction_ends_the_drain() {
    let fake = with_pods(vec![(pod("web", PodController::Elsewhere), Evicted::Goes)]);
    fake.fault("kube evict web", 1, Fault::Before(lasting("forbidden")));
    assert_frozen("drain_forbidden", &drained(&fake, OPTIONS).await);
}
