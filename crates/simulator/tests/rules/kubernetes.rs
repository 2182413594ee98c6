//! API servers, proxies, node objects and pods.

use std::collections::BTreeSet;

use windlass_engine::{Etcd, Eviction, Kube, Nodes, PodController, PortError};
use windlass_model::{
    DrainOptions, Health, KubeSeen, NodeObject, ObjectChange, Owned, Readiness, Scheduling, Taint,
};
use windlass_simulator::{Fault, FaultSchedule, Mischief, ViolationKind, Workload, World, run};

use crate::lab::{IMAGE, Lab, name, node, seconds};

/// etcd and an API server on the first machine, workers on the others.
async fn cluster(size: usize, workload: Workload) -> Lab {
    let mut lab = Lab::on(World::bare(size).with_images(&[IMAGE]).with_workload(workload), size);
    lab.etcd(1).await;
    lab.api(1, 1).await;
    seconds(6).await;
    for number in 2..=size {
        lab.worker(number, &[1]).await;
    }
    seconds(20).await;
    lab
}

async fn object(lab: &Lab, number: usize) -> Option<NodeObject> {
    lab.fleet.node(&node(number)).await.unwrap()
}

fn drain() -> DrainOptions {
    DrainOptions {
        force: false,
        ignore_daemonsets: true,
        delete_local_data: false,
        grace_period_seconds: None,
        timeout_seconds: 60,
    }
}

#[test]
fn an_api_server_is_healthy_only_while_etcd_is() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        lab.api(1, 3).await;
        seconds(2).await;
        assert_eq!(lab.health(1, "kube-apiserver").await, Health::Starting);
        seconds(4).await;
        assert_eq!(lab.health(1, "kube-apiserver").await, Health::Healthy);
        lab.agent(1, "kube-scheduler").await;
        seconds(2).await;
        assert_eq!(lab.health(1, "kube-scheduler").await, Health::Healthy);
        for number in [2, 3] {
            lab.fleet.with(|world| world.strike(&Fault::PowerOff { node: node(number), seconds: None }));
        }
        seconds(15).await;
        assert_eq!(lab.health(1, "kube-apiserver").await, Health::Unhealthy);
        assert_eq!(lab.health(1, "kube-scheduler").await, Health::Unhealthy);
        assert_eq!(lab.fleet.nodes().await, Ok(KubeSeen::Silent));
        assert!(lab.fleet.node(&node(1)).await.unwrap_err().is_passing());
        assert!(lab.fleet.cordon(&node(1)).await.unwrap_err().is_passing());
    });
}

#[test]
fn an_api_server_does_without_its_own_member_while_another_serves() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        lab.api(1, 3).await;
        lab.fleet.with(|world| {
            world.meddle(&Mischief::ContainerStopped { node: node(1), container: name("etcd") });
        });
        seconds(6).await;
        assert_eq!(lab.health(1, "kube-apiserver").await, Health::Healthy);
    });
}

#[test]
fn nginx_proxy_is_healthy_while_one_loaded_upstream_is() {
    run(async {
        let lab = cluster(2, Workload::default()).await;
        lab.nginx_config(2, &[2]).await;
        assert_eq!(lab.health(2, "nginx-proxy").await, Health::Healthy, "what was loaded counts");
        lab.fleet.reload(&node(2), &name("nginx-proxy")).await.unwrap();
        seconds(20).await;
        assert_eq!(lab.health(2, "nginx-proxy").await, Health::Unhealthy);
        lab.nginx_config(2, &[2, 1]).await;
        lab.fleet.reload(&node(2), &name("nginx-proxy")).await.unwrap();
        assert_eq!(lab.health(2, "nginx-proxy").await, Health::Healthy);
    });
}

#[test]
fn nginx_proxy_and_an_api_server_do_not_share_a_machine() {
    run(async {
        let mut lab = Lab::new(1);
        lab.etcd(1).await;
        lab.api(1, 1).await;
        lab.nginx(1, &[1]).await;
        assert_eq!(
            lab.fleet.log_tail(&node(1), &name("nginx-proxy"), 1).await.unwrap(),
            ["listen tcp: bind: address already in use"]
        );
    });
}

#[test]
fn a_kubelet_registers_its_node_through_the_local_proxy() {
    run(async {
        let lab = cluster(2, Workload::default()).await;
        assert_eq!(object(&lab, 1).await, None);
        let registered = object(&lab, 2).await.unwrap();
        assert_eq!(registered.ready, Readiness::Ready);
        assert_eq!(registered.labels.get("kubernetes.io/hostname").map(|value| &**value), Some("node-2"));
        lab.fleet.stop(&node(2), &name("nginx-proxy")).await.unwrap();
        assert_eq!(lab.health(2, "kubelet").await, Health::Healthy, "kubelet itself is well");
        assert_eq!(object(&lab, 2).await.unwrap().ready, Readiness::Ready);
        seconds(41).await;
        assert_eq!(object(&lab, 2).await.unwrap().ready, Readiness::NotReady);
        lab.fleet.start(&node(2), &name("nginx-proxy")).await.unwrap();
        seconds(2).await;
        assert_eq!(object(&lab, 2).await.unwrap().ready, Readiness::Ready);
    });
}

#[test]
fn a_deleted_node_comes_back_at_the_next_heart_beat_while_its_kubelet_runs() {
    run(async {
        let lab = cluster(2, Workload::default()).await;
        lab.fleet.delete_node(&node(2)).await.unwrap();
        assert_eq!(object(&lab, 2).await, None);
        seconds(10).await;
        assert!(object(&lab, 2).await.is_some());
        lab.fleet.stop(&node(2), &name("kubelet")).await.unwrap();
        lab.fleet.delete_node(&node(2)).await.unwrap();
        lab.fleet.delete_node(&node(2)).await.unwrap();
        seconds(60).await;
        assert_eq!(object(&lab, 2).await, None);
        lab.fleet.start(&node(2), &name("kubelet")).await.unwrap();
        seconds(2).await;
        assert!(object(&lab, 2).await.is_some());
    });
}

#[test]
fn labels_taints_and_what_is_ours_are_set_in_one_patch() {
    run(async {
        let lab = cluster(2, Workload::default()).await;
        let taint = Taint { key: "a".into(), value: "b".into(), effect: "NoSchedule".into() };
        let owned =
            Owned { labels: BTreeSet::from(["disk".into()]), taints: BTreeSet::from([taint.clone()]) };
        let change = ObjectChange {
            labels: [("disk".into(), "ssd".into())].into(),
            labels_gone: ["kubernetes.io/os".into()].into(),
            taints: [taint.clone()].into(),
            owned: owned.clone(),
            ..ObjectChange::default()
        };
        lab.fleet.patch_node(&node(2), &change).await.unwrap();
        let after = object(&lab, 2).await.unwrap();
        assert_eq!(after.labels.get("disk").map(|value| &**value), Some("ssd"));
        assert!(!after.labels.contains_key("kubernetes.io/os"));
        assert_eq!((after.taints, after.owned), (BTreeSet::from([taint]), owned));
        assert!(!lab.fleet.patch_node(&node(1), &change).await.unwrap_err().is_passing());
        let by_hand =
            Mischief::Labelled { node: node(2), key: "disk".to_owned(), value: Some("hdd".to_owned()) };
        lab.fleet.with(|world| world.meddle(&by_hand));
        assert_eq!(object(&lab, 2).await.unwrap().labels.get("disk").map(|value| &**value), Some("hdd"));
    });
}

#[test]
fn a_cordon_tells_who_set_it() {
    run(async {
        let lab = cluster(3, Workload::default()).await;
        lab.fleet.cordon(&node(2)).await.unwrap();
        assert_eq!(object(&lab, 2).await.unwrap().scheduling, Scheduling::CordonedByWindlass);
        lab.fleet.uncordon(&node(2)).await.unwrap();
        assert_eq!(object(&lab, 2).await.unwrap().scheduling, Scheduling::Open);
        lab.fleet.with(|world| world.meddle(&Mischief::Cordoned { node: node(3) }));
        assert_eq!(object(&lab, 3).await.unwrap().scheduling, Scheduling::CordonedByOther);
        assert_eq!(lab.broken(), []);
        lab.fleet.uncordon(&node(3)).await.unwrap();
        assert_eq!(lab.broken(), [ViolationKind::CordonMark]);
    });
}

#[test]
fn evicted_pods_start_elsewhere_and_the_budget_makes_others_wait() {
    run(async {
        let lab =
            cluster(3, Workload { replicas: 4, min_available: 3, daemonset: true, ..Workload::default() })
                .await;
        let pods = lab.fleet.pods(&node(2)).await.unwrap();
        let kinds: Vec<PodController> = pods.iter().map(|pod| pod.controller).collect();
        assert_eq!(kinds, [PodController::Elsewhere, PodController::Elsewhere, PodController::DaemonSet]);
        lab.fleet.cordon(&node(2)).await.unwrap();
        assert_eq!(lab.fleet.evict(&pods[0], &drain()).await, Ok(Eviction::Granted));
        assert_eq!(lab.fleet.evict(&pods[1], &drain()).await, Ok(Eviction::Blocked));
        seconds(4).await;
        assert_eq!(lab.fleet.evict(&pods[1], &drain()).await, Ok(Eviction::Granted));
        seconds(4).await;
        assert_eq!(lab.fleet.pods(&node(2)).await.unwrap().len(), 1, "the pod of the DaemonSet stays");
        assert_eq!(lab.fleet.pods(&node(3)).await.unwrap().len(), 5);
        assert_eq!(lab.broken(), []);
    });
}

#[test]
fn with_no_other_node_evicted_pods_wait() {
    run(async {
        let lab = cluster(2, Workload { replicas: 1, ..Workload::default() }).await;
        let pods = lab.fleet.pods(&node(2)).await.unwrap();
        lab.fleet.cordon(&node(2)).await.unwrap();
        assert_eq!(lab.fleet.evict(&pods[0], &drain()).await, Ok(Eviction::Granted));
        seconds(60).await;
        assert_eq!(lab.fleet.pods(&node(2)).await.unwrap(), []);
        lab.fleet.uncordon(&node(2)).await.unwrap();
        assert_eq!(lab.fleet.pods(&node(2)).await.unwrap().len(), 1);
    });
}

#[test]
fn a_budget_can_block_for_ever() {
    run(async {
        let lab = cluster(3, Workload { replicas: 2, ..Workload::default() }).await;
        lab.fleet.with(|world| world.strike(&Fault::EvictionsBlocked));
        let pods = lab.fleet.pods(&node(2)).await.unwrap();
        for _ in 0..3 {
            seconds(600).await;
            assert_eq!(lab.fleet.evict(&pods[0], &drain()).await, Ok(Eviction::Blocked));
        }
    });
}

#[test]
fn a_pod_that_nobody_brings_back_and_local_data_are_evicted_only_where_that_is_allowed() {
    run(async {
        let workload = Workload { replicas: 1, bare: 1, local_data: true, ..Workload::default() };
        let lab = cluster(2, workload).await;
        let pods = lab.fleet.pods(&node(2)).await.unwrap();
        let all = DrainOptions { force: true, delete_local_data: true, ..drain() };
        let taken = lab.fleet.world();
        for pod in &pods {
            lab.fleet.evict(pod, &all).await.unwrap();
        }
        assert_eq!(lab.broken(), []);
        lab.fleet.with(|world| *world = taken);
        for pod in &pods {
            lab.fleet.evict(pod, &drain()).await.unwrap();
        }
        assert_eq!(lab.broken(), [ViolationKind::Drain, ViolationKind::Drain]);
    });
}

#[test]
fn nobody_answers_whom_the_keys_were_not_handed_to() {
    run(async {
        let lab = Lab::new(1);
        lab.fleet.begin_run(Lab::rules(), FaultSchedule::none());
        let refused =
            PortError::Lasting { what: "nobody has handed over the keys of etcd and Kubernetes".to_owned() };
        assert_eq!(lab.fleet.nodes().await, Err(refused.clone()));
        assert_eq!(lab.fleet.members(&[node(1)]).await, Err(refused));
        lab.fleet.entrust(&lab.kept);
        assert_eq!(lab.fleet.nodes().await, Ok(KubeSeen::Silent));
    });
}
