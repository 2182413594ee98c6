//! A world that was written to a file continues where it was left.

use windlass_engine::{Kube, Nodes};
use windlass_model::{EtcdSeen, Health, KubeSeen};
use windlass_simulator::{Fault, RolloutRules, SimFleet, ViolationKind, Workload, World, run};

use crate::lab::{IMAGE, Lab, name, node, seconds};

async fn cluster() -> Lab {
    let workload = Workload { replicas: 2, ..Workload::default() };
    let mut lab = Lab::on(World::bare(3).with_images(&[IMAGE]).with_workload(workload), 3);
    lab.etcd(1).await;
    lab.api(1, 1).await;
    seconds(6).await;
    lab.worker(2, &[1]).await;
    lab.worker(3, &[1]).await;
    seconds(30).await;
    lab
}

#[test]
fn a_number_of_bare_machines_is_a_world() {
    let short = World::from_yaml("bare: 3").unwrap();
    assert_eq!(short.to_yaml().unwrap(), World::bare(3).to_yaml().unwrap());
    let listed = World::from_yaml(
        "nodes:\n- {name: node-1, address: 10.0.0.1}\n- {name: node-2, address: 10.0.0.2}\n- {name: node-3, \
         address: 10.0.0.3, internal_address: 10.0.0.3}\n",
    );
    assert_eq!(listed.unwrap().to_yaml().unwrap(), World::bare(3).to_yaml().unwrap());
    let refused = |text| World::from_yaml(text).unwrap_err().to_string();
    assert_eq!(refused("bear: 3"), "the text describes no world");
    assert_eq!(refused("nodes: [{name: a}]"), "nodes[0] needs a name and an address");
    assert_eq!(
        refused("nodes: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.1}]"),
        "two nodes have the name or address `10.0.0.1`"
    );
}

#[test]
fn a_world_reads_back_as_it_was_written_and_lives_on() {
    let (text, lab) = run(async {
        let lab = cluster().await;
        lab.fleet.with(|world| world.strike(&Fault::PowerOff { node: node(3), seconds: Some(60) }));
        lab.fleet.cordon(&node(2)).await.unwrap();
        (lab.fleet.world().to_yaml().unwrap(), lab)
    });
    let again = World::from_yaml(&text).unwrap();
    assert_eq!(again.to_yaml().unwrap(), text);
    assert_eq!(again.fingerprint(), lab.fleet.with(|world| world.fingerprint()));
    run(async {
        let mut revived = lab;
        revived.fleet = SimFleet::new(again);
        revived.begin(windlass_simulator::FaultSchedule::none());
        for (number, called) in [(1, "etcd"), (1, "kube-apiserver"), (2, "nginx-proxy"), (2, "kubelet")] {
            assert_eq!(revived.health(number, called).await, Health::Healthy, "{called}");
        }
        let EtcdSeen::Members(members) =
            windlass_engine::Etcd::members(&revived.fleet, &[node(1)]).await.unwrap()
        else {
            panic!("etcd is silent")
        };
        assert_eq!(members.len(), 1);
        seconds(70).await;
        assert_eq!(revived.health(3, "kubelet").await, Health::Healthy);
        let KubeSeen::Nodes(nodes) = revived.fleet.nodes().await.unwrap() else { panic!("no API server") };
        assert_eq!(nodes.len(), 2);
        assert_eq!(
            revived.fleet.pods(&node(2)).await.unwrap().len()
                + revived.fleet.pods(&node(3)).await.unwrap().len(),
            2
        );
        assert_eq!(revived.broken(), []);
    });
}

#[test]
fn the_keys_of_a_world_are_known_after_it_was_read_back() {
    run(async {
        let lab = cluster().await;
        let again = World::from_yaml(&lab.fleet.world().to_yaml().unwrap()).unwrap();
        let ledger = again.ledger().unwrap().clone();
        assert_eq!(ledger, lab.kept);
        let mut revived = lab;
        revived.fleet = SimFleet::new(again);
        revived.begin(windlass_simulator::FaultSchedule::none());
        revived.place(1, "etcd", &ledger.certs["etcd-1"]).await;
        assert_eq!(revived.broken(), []);
        revived.minter = windlass_simulator::SymbolicMinter::new(&revived.fleet);
        let authority = ledger.certs["ca"].desired.clone();
        revived.mint("ca", &authority).unwrap();
        assert_eq!(revived.broken(), [ViolationKind::NewAuthority]);
    });
}

#[test]
fn a_fingerprint_forgets_images_and_snapshots_and_nothing_else() {
    run(async {
        let lab = Lab::new(1);
        let bare = lab.fleet.with(|world| world.fingerprint());
        lab.fleet.pull(&node(1), &"other:1".into()).await.unwrap();
        lab.write(1, "/etc/kubernetes/x", "x").await.unwrap();
        let mut spec = crate::lab::spec(&["snapshots".to_owned()], &[]);
        spec.binds.push("/opt/rke/etcd-snapshots:/backup".into());
        lab.run(1, "etcd-rolling-snapshots", &spec, &[]).await;
        let used = lab.fleet.with(|world| world.fingerprint());
        assert_eq!(
            used.nodes[&node(1)],
            ["container etcd-rolling-snapshots", "file /etc/kubernetes/x 0600 0:0 2d711642"]
        );
        lab.fleet.begin_run(RolloutRules::dismantle(), windlass_simulator::FaultSchedule::none());
        lab.enrol();
        lab.fleet.stop(&node(1), &name("etcd-rolling-snapshots")).await.unwrap();
        lab.fleet.remove(&node(1), &name("etcd-rolling-snapshots")).await.unwrap();
        lab.fleet.remove_paths(&node(1), &["/etc/kubernetes".into()].into()).await.unwrap();
        assert_eq!(lab.fleet.with(|world| world.fingerprint()), bare);
    });
}
