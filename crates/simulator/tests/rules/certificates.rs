//! Certificates must match, chain, name the peer and be valid now.

use windlass_engine::{Minter, Nodes};
use windlass_model::{CertKind, ContainerState, DesiredCert, Health, Unasked, Usage};
use windlass_simulator::{Fault, ViolationKind, run};

use crate::lab::{Lab, SSL, address, name, node, seconds};

async fn restart(lab: &Lab, number: usize, called: &str) {
    lab.fleet.stop(&node(number), &name(called)).await.unwrap();
    lab.fleet.start(&node(number), &name(called)).await.unwrap();
    seconds(20).await;
}

/// The third member of etcd with a certificate of this desired state.
async fn third_with(desired: impl FnOnce(&mut DesiredCert)) -> (Health, Vec<ViolationKind>) {
    let mut lab = Lab::new(3);
    lab.etcd(3).await;
    let mut other = Lab::desired("kube-etcd", &[&address(3), "127.0.0.1"]);
    desired(&mut other);
    let cert = lab.certify("etcd-3", &other);
    lab.place(3, "etcd", &cert).await;
    assert_eq!(lab.health(3, "etcd").await, Health::Healthy, "what was loaded counts");
    lab.fleet.move_leader_off(3).await;
    restart(&lab, 3, "etcd").await;
    (lab.health(3, "etcd").await, lab.broken())
}

trait MoveOff {
    async fn move_leader_off(&self, number: usize);
}

impl MoveOff for windlass_simulator::SimFleet {
    async fn move_leader_off(&self, number: usize) {
        let via: Vec<_> = (1..=3).map(node).collect();
        windlass_engine::Etcd::move_leader(self, &via, &crate::lab::url(number)).await.unwrap();
    }
}

#[test]
fn a_member_with_a_good_new_certificate_is_healthy() {
    run(async { assert_eq!(third_with(|_| ()).await, (Health::Healthy, vec![])) });
}

#[test]
fn a_member_whose_certificate_does_not_name_it_is_not_healthy() {
    run(async {
        assert_eq!(third_with(|desired| desired.sans.clear()).await, (Health::Unhealthy, vec![]));
    });
}

#[test]
fn a_member_whose_certificate_is_not_for_clients_is_not_healthy() {
    run(async {
        let without = |desired: &mut DesiredCert| {
            desired.usages.remove(&Usage::ClientAuth);
        };
        assert_eq!(third_with(without).await, (Health::Unhealthy, vec![]));
    });
}

#[test]
fn a_member_of_another_authority_is_not_healthy() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        let authority = DesiredCert { kind: CertKind::Authority, ..Lab::desired("ca", &[]) };
        let other = lab.certify("other-ca", &authority);
        let desired =
            DesiredCert { issuer: Some("other-ca".into()), ..Lab::desired("kube-etcd", &[&address(3)]) };
        let cert = lab.certify("etcd-3", &desired);
        lab.place(3, "etcd", &cert).await;
        lab.fleet.move_leader_off(3).await;
        restart(&lab, 3, "etcd").await;
        assert_eq!(lab.health(3, "etcd").await, Health::Unhealthy);
        // Trust is added before it is used: with both CAs in the file the member is accepted.
        let both = format!("{}{}", lab.kept.certs["ca"].certificate, other.certificate);
        for number in 1..=3 {
            lab.write(number, &format!("{SSL}/ca.pem"), &both).await.unwrap();
            lab.fleet.move_leader_off(number).await;
            restart(&lab, number, "etcd").await;
        }
        assert_eq!(lab.health(3, "etcd").await, Health::Healthy);
        // While the third was not accepted, no other could have been stopped.
        assert_eq!(lab.broken(), [ViolationKind::Quorum]);
    });
}

#[test]
fn a_key_that_does_not_match_its_certificate_crashes_the_process() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        let other = lab.certify("etcd-3", &Lab::desired("kube-etcd", &[&address(3)]));
        lab.write(3, &format!("{SSL}/etcd.pem"), &other.certificate).await.unwrap();
        lab.fleet.move_leader_off(3).await;
        restart(&lab, 3, "etcd").await;
        assert_eq!(lab.seen(3, "etcd").await.state, ContainerState::Crashing);
        lab.write(3, &format!("{SSL}/etcd-key.pem"), other.key.expose()).await.unwrap();
        seconds(10).await;
        assert_eq!(lab.health(3, "etcd").await, Health::Healthy);
    });
}

#[test]
fn a_certificate_overwritten_by_hand_crashes_the_process_at_its_next_start() {
    run(async {
        let mut lab = Lab::new(3);
        lab.etcd(3).await;
        let nonsense = windlass_simulator::Mischief::FileEdited {
            node: node(3),
            path: format!("{SSL}/etcd.pem").into(),
            text: "nonsense".to_owned(),
        };
        lab.fleet.with(|world| world.meddle(&nonsense));
        assert_eq!(lab.health(3, "etcd").await, Health::Healthy);
        lab.fleet.move_leader_off(3).await;
        restart(&lab, 3, "etcd").await;
        assert_eq!(lab.seen(3, "etcd").await.state, ContainerState::Crashing);
    });
}

#[test]
fn when_certificates_have_expired_nothing_is_healthy_any_more() {
    run(async {
        let mut lab = Lab::new(1);
        lab.etcd(1).await;
        lab.api(1, 1).await;
        seconds(6).await;
        assert_eq!(lab.health(1, "kube-apiserver").await, Health::Healthy);
        lab.fleet.with(|world| world.strike(&Fault::DaysPass { days: 3_649 }));
        assert_eq!(lab.health(1, "kube-apiserver").await, Health::Healthy);
        lab.fleet.with(|world| world.strike(&Fault::DaysPass { days: 2 }));
        seconds(20).await;
        let refused = Health::Unknown(Unasked::Certificates);
        assert_eq!(lab.health(1, "kube-apiserver").await, refused, "neither believes the other any more");
        assert_eq!(lab.health(1, "etcd").await, refused);
    });
}

#[test]
fn a_certificate_is_good_no_longer_than_its_authority() {
    run(async {
        let mut lab = Lab::new(1);
        let authority = DesiredCert { kind: CertKind::Authority, valid_days: 10, ..Lab::desired("ca", &[]) };
        lab.certify("ca", &authority);
        lab.etcd(1).await;
        lab.fleet.with(|world| world.strike(&Fault::DaysPass { days: 11 }));
        seconds(20).await;
        assert_eq!(lab.health(1, "etcd").await, Health::Unknown(Unasked::Certificates));
        assert!(lab.mint("late", &Lab::desired("late", &[])).is_err(), "an expired authority signs nothing");
    });
}

#[test]
fn an_api_server_must_be_named_by_127_0_0_1_and_by_its_addresses() {
    run(async {
        for missing in ["127.0.0.1", "10.0.0.1"] {
            let mut lab = Lab::new(1);
            lab.etcd(1).await;
            lab.api(1, 1).await;
            let sans = ["127.0.0.1", "10.0.0.1"].into_iter().filter(|san| *san != missing);
            let desired = Lab::desired("kube-apiserver", &sans.collect::<Vec<_>>());
            let cert = lab.certify("kube-apiserver-1", &desired);
            lab.place(1, "kube-apiserver", &cert).await;
            restart(&lab, 1, "kube-apiserver").await;
            assert_eq!(lab.health(1, "kube-apiserver").await, Health::Unhealthy, "without {missing}");
        }
    });
}

#[test]
fn a_kubelet_acts_only_for_the_node_of_its_certificate() {
    run(async {
        let mut lab = Lab::new(1);
        lab.agent(1, "kubelet").await;
        seconds(2).await;
        assert_eq!(lab.health(1, "kubelet").await, Health::Healthy);
        let mut desired = Lab::desired("system:node:node-2", &[]);
        desired.organizations = vec!["system:nodes".to_owned()];
        let cert = lab.certify("kubelet-1", &desired);
        lab.place(1, "kubelet", &cert).await;
        restart(&lab, 1, "kubelet").await;
        assert_eq!(lab.health(1, "kubelet").await, Health::Unhealthy);
    });
}

#[test]
fn certificates_are_readable_unique_and_the_same_for_the_same_seed() {
    run(async {
        let mut lab = Lab::new(1);
        let desired = Lab::desired("kube-etcd", &["10.0.0.1", "a.example"]);
        let (first, second) = (lab.certify("etcd", &desired), lab.certify("etcd", &desired));
        assert_eq!(
            first.certificate,
            format!(
                "-----BEGIN CERTIFICATE-----\nname=etcd serial=0-3 issuer={} cn=kube-etcd o= usages=server,client \
                 sans=10.0.0.1,a.example not_before=2025-12-31T00:00:00Z \
                 not_after=2035-12-30T00:00:00Z\n-----END CERTIFICATE-----\n",
                first.issuer.unwrap().short()
            )
        );
        assert_ne!(first.certificate, second.certificate);
        assert_ne!(first.key.expose(), second.key.expose());
        assert_eq!(Lab::new(1).certify("etcd", &desired).certificate, first.certificate);
        assert_ne!(lab.minter.lineage(), lab.minter.lineage());
        assert!(lab.minter.mint(&"x".into(), &desired, None, first.not_before).is_err());
    });
}
