//! What Docker refuses, and how containers start and stop.

use windlass_engine::{Nodes, PortError, Traces};
use windlass_model::{ContainerState, Health, Maker};
use windlass_simulator::{Fault, FaultSchedule, Mischief, World, run};

use crate::lab::{IMAGE, Lab, name, node, seconds, spec};

fn nothing() -> windlass_model::ContainerSpec {
    let mut spec = spec(&["sleep".to_owned()], &[]);
    spec.binds.clear();
    spec
}

fn lasting<T: std::fmt::Debug>(result: Result<T, PortError>) -> String {
    match result.unwrap_err() {
        PortError::Lasting { what } => what,
        other => panic!("{other:?} may pass"),
    }
}

#[test]
fn a_container_is_not_created_without_its_image() {
    run(async {
        let lab = Lab::on(World::bare(1), 1);
        assert_eq!(
            lasting(lab.create(1, "a", &nothing(), &[]).await),
            format!("no such image: {IMAGE} on node-1")
        );
        lab.fleet.pull(&node(1), &IMAGE.into()).await.unwrap();
        lab.create(1, "a", &nothing(), &[]).await.unwrap();
    });
}

#[test]
fn a_name_in_use_is_refused_unless_the_very_same_container_was_created_before() {
    run(async {
        let lab = Lab::new(1);
        lab.create(1, "a", &nothing(), &[]).await.unwrap();
        assert!(matches!(lab.create(1, "a", &nothing(), &[]).await, Err(PortError::AlreadySo { .. })));
        let mut other = nothing();
        other.command.push("--x".into());
        assert_eq!(
            lasting(lab.create(1, "a", &other, &[]).await),
            "the container name a is already in use on node-1"
        );
        lab.fleet.start(&node(1), &name("a")).await.unwrap();
        lasting(lab.create(1, "a", &nothing(), &[]).await);
    });
}

#[test]
fn a_missing_mount_source_in_the_configuration_is_an_error_and_elsewhere_none() {
    run(async {
        let lab = Lab::new(1);
        let mut mounting = nothing();
        mounting.binds.push("/var/lib/anything:/x".into());
        lab.create(1, "a", &mounting, &[]).await.unwrap();
        mounting.binds.push("/etc/kubernetes:/etc/kubernetes".into());
        lasting(lab.create(1, "b", &mounting, &[]).await);
        lab.write(1, "/etc/kubernetes/x", "x").await.unwrap();
        lab.create(1, "b", &mounting, &[]).await.unwrap();
    });
}

#[test]
fn an_absent_container_is_neither_started_nor_stopped_nor_renamed_and_is_removed_already() {
    run(async {
        let lab = Lab::new(1);
        let absent = name("absent");
        lasting(lab.fleet.start(&node(1), &absent).await);
        lasting(lab.fleet.stop(&node(1), &absent).await);
        lasting(lab.fleet.rename(&node(1), &absent, &name("b")).await);
        assert!(matches!(lab.fleet.remove(&node(1), &absent).await, Err(PortError::AlreadySo { .. })));
        assert_eq!(lab.fleet.container(&node(1), &absent).await, Ok(None));
    });
}

#[test]
fn a_running_container_is_not_removed_and_a_name_in_use_is_not_taken() {
    run(async {
        let lab = Lab::new(1);
        lab.run(1, "a", &nothing(), &[]).await;
        lab.create(1, "b", &nothing(), &[]).await.unwrap();
        lasting(lab.fleet.remove(&node(1), &name("a")).await);
        lasting(lab.fleet.rename(&node(1), &name("a"), &name("b")).await);
        lab.fleet.stop(&node(1), &name("a")).await.unwrap();
        assert!(matches!(lab.fleet.stop(&node(1), &name("a")).await, Err(PortError::AlreadySo { .. })));
        lab.fleet.remove(&node(1), &name("a")).await.unwrap();
        lab.fleet.rename(&node(1), &name("b"), &name("a")).await.unwrap();
        assert!(matches!(
            lab.fleet.rename(&node(1), &name("b"), &name("a")).await,
            Err(PortError::AlreadySo { .. })
        ));
    });
}

#[test]
fn a_paused_container_is_not_started() {
    run(async {
        let lab = Lab::new(1);
        lab.run(1, "kubelet", &nothing(), &[]).await;
        let paused = Mischief::ContainerPaused { node: node(1), container: name("kubelet") };
        lab.fleet.with(|world| world.meddle(&paused));
        assert_eq!(lab.seen(1, "kubelet").await.state, ContainerState::Paused);
        lasting(lab.fleet.start(&node(1), &name("kubelet")).await);
        lab.fleet.stop(&node(1), &name("kubelet")).await.unwrap();
        lab.fleet.start(&node(1), &name("kubelet")).await.unwrap();
    });
}

#[test]
fn a_stopped_container_stays_stopped_until_docker_restarts() {
    run(async {
        let lab = Lab::new(1);
        lab.run(1, "a", &nothing(), &[]).await;
        lab.fleet.stop(&node(1), &name("a")).await.unwrap();
        seconds(600).await;
        assert_eq!(lab.seen(1, "a").await.state, ContainerState::Stopped);
        lab.fleet.with(|world| world.strike(&Fault::DockerRestarts { node: node(1) }));
        assert!(lab.fleet.container(&node(1), &name("a")).await.unwrap_err().is_passing());
        seconds(3).await;
        assert_eq!(lab.seen(1, "a").await.state, ContainerState::Running);
    });
}

#[test]
fn after_a_boot_every_container_runs_and_of_two_for_one_port_the_older_one_wins() {
    run(async {
        let mut lab = Lab::new(1);
        lab.etcd(1).await;
        lab.fleet.stop(&node(1), &name("etcd")).await.unwrap();
        lab.fleet.rename(&node(1), &name("etcd"), &name("etcd-old")).await.unwrap();
        lab.run(1, "etcd", &Lab::etcd_spec(1), &Lab::birth(&[1], "new")).await;
        // A single member that starts again waits for an election.
        seconds(6).await;
        assert_eq!(lab.health(1, "etcd").await, Health::Healthy);
        let boot = Fault::PowerOff { node: node(1), seconds: Some(60) };
        lab.fleet.with(|world| world.strike(&boot));
        assert!(matches!(
            lab.fleet.container(&node(1), &name("etcd")).await,
            Err(PortError::OutOfSight { .. })
        ));
        seconds(70).await;
        assert_eq!(lab.seen(1, "etcd").await.state, ContainerState::Crashing);
        assert_eq!(lab.seen(1, "etcd-old").await.state, ContainerState::Running);
        assert_eq!(
            lab.fleet.log_tail(&node(1), &name("etcd"), 5).await.unwrap(),
            ["listen tcp: bind: address already in use"]
        );
    });
}

#[test]
fn a_pull_takes_seconds_and_fails_while_the_registry_is_down() {
    run(async {
        let lab = Lab::on(World::bare(1), 1);
        let begun = lab.fleet.with(|world| world.elapsed());
        lab.fleet.pull(&node(1), &"one:1".into()).await.unwrap();
        assert!(lab.fleet.with(|world| world.elapsed()) >= begun + 1_500);
        lab.fleet.with(|world| world.strike(&Fault::RegistryDown { seconds: Some(60) }));
        assert!(lab.fleet.pull(&node(1), &"two:1".into()).await.unwrap_err().is_passing());
        lab.fleet.pull(&node(1), &"one:1".into()).await.unwrap();
        seconds(60).await;
        lab.fleet.pull(&node(1), &"two:1".into()).await.unwrap();
    });
}

#[test]
fn a_process_needs_its_start_up_time_and_longer_on_a_slow_machine() {
    run(async {
        let lab = Lab::new(1);
        lab.run(1, "etcd-rolling-snapshots", &nothing(), &[]).await;
        assert_eq!(lab.health(1, "etcd-rolling-snapshots").await, Health::Starting);
        seconds(1).await;
        assert_eq!(lab.health(1, "etcd-rolling-snapshots").await, Health::Healthy);
        lab.fleet.with(|world| world.strike(&Fault::SlowStart { node: node(1), factor: 30 }));
        lab.fleet.stop(&node(1), &name("etcd-rolling-snapshots")).await.unwrap();
        lab.fleet.start(&node(1), &name("etcd-rolling-snapshots")).await.unwrap();
        seconds(20).await;
        assert_eq!(lab.health(1, "etcd-rolling-snapshots").await, Health::Starting);
        seconds(11).await;
        assert_eq!(lab.health(1, "etcd-rolling-snapshots").await, Health::Healthy);
    });
}

#[test]
fn a_look_shows_what_windlass_made_and_what_has_a_name_of_windlass_and_nothing_else() {
    run(async {
        let lab = Lab::new(1);
        lab.run(1, "made-by-windlass", &nothing(), &[]).await;
        for container in ["kubelet", "database"] {
            let foreign = Mischief::ForeignContainer { node: node(1), container: name(container) };
            lab.fleet.with(|world| world.meddle(&foreign));
        }
        let facts =
            lab.fleet.look(&node(1), &windlass_engine::LookScope::default(), Traces::None).await.unwrap();
        let makers: Vec<_> =
            facts.containers.iter().map(|(name, seen)| (name.as_str(), seen.maker)).collect();
        assert_eq!(makers, [("kubelet", Maker::Other), ("made-by-windlass", Maker::Windlass)]);
    });
}

#[test]
fn what_was_made_by_hand_is_seen_with_all_its_arguments_and_no_files() {
    run(async {
        let mut lab = Lab::new(1);
        lab.etcd(1).await;
        let by_hand = Mischief::ContainerRecreated { node: node(1), container: name("etcd") };
        lab.fleet.with(|world| world.meddle(&by_hand));
        let seen = lab.seen(1, "etcd").await;
        assert_eq!(seen.maker, Maker::Other);
        assert!(seen.spec.reads.is_empty() && seen.loaded.is_empty());
        let births = seen.spec.command.iter().filter(|text| text.starts_with("--initial-cluster="));
        assert_eq!(births.count(), 1);
        let edited = Mischief::ContainerEdited {
            node: node(1),
            container: name("etcd"),
            argument: "--name=changed".to_owned(),
        };
        lab.fleet.with(|world| world.meddle(&edited));
        assert_eq!(lab.seen(1, "etcd").await.spec.flag("name"), Some("changed"));
    });
}

#[test]
fn a_verb_on_a_node_that_was_never_enrolled_fails_lastingly() {
    run(async {
        let lab = Lab::new(1);
        lab.fleet.begin_run(Lab::rules(), FaultSchedule::none());
        lasting(lab.fleet.pull(&node(1), &IMAGE.into()).await);
    });
}
