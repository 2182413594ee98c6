//! A whole cluster in the simulated world.

use crate::lab::{Lab, node, seconds};
use windlass_engine::{Kube, Nodes, Traces};
use windlass_model::{Health, KubeSeen, Readiness};
use windlass_simulator::run;

#[test]
fn a_cluster_made_by_hand_comes_up_and_breaks_no_rule() {
    run(async {
        let mut lab = Lab::new(4);
        lab.etcd(3).await;
        lab.api(1, 3).await;
        lab.api(2, 3).await;
        seconds(6).await;
        lab.worker(4, &[1, 2]).await;
        lab.agent(1, "kubelet").await;
        seconds(2).await;
        for (number, called) in [
            (1, "kube-apiserver"),
            (2, "kube-apiserver"),
            (4, "nginx-proxy"),
            (4, "kubelet"),
            (4, "kube-proxy"),
        ] {
            assert_eq!(lab.health(number, called).await, Health::Healthy, "{called}\n{}", lab.story());
        }
        let KubeSeen::Nodes(nodes) = lab.fleet.nodes().await.unwrap() else { panic!("{}", lab.story()) };
        assert_eq!(nodes.keys().cloned().collect::<Vec<_>>(), [node(1), node(4)]);
        assert!(nodes.values().all(|object| object.ready == Readiness::Ready));
        assert_eq!(lab.broken(), [], "{}", lab.story());
        let _ = lab.fleet.look(&node(1), &windlass_engine::LookScope::default(), Traces::None).await.unwrap();
    });
}
