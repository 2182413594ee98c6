//! Files, directories, and the processes that read them.

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_engine::{LookScope, Nodes, PortError, Traces};
use windlass_model::{ContainerState, EtcdData, FilePath, Health, Mode, OnChange};
use windlass_simulator::{Fault, Mischief, run};

use crate::lab::{Lab, SSL, footprints, name, node, seconds, spec};

fn paths(paths: &[&str]) -> BTreeSet<FilePath> {
    paths.iter().copied().map(FilePath::from).collect()
}

fn scope(files: &[&str], directories: &[&str]) -> LookScope {
    LookScope {
        files: Arc::new(paths(files)),
        directories: Arc::new(paths(directories)),
        footprints: footprints("/var/lib/etcd", "/etc/kubernetes/windlass/ledger.yml"),
        ..LookScope::default()
    }
}

#[test]
fn a_look_tells_of_the_files_and_directories_that_were_asked_for_and_no_others() {
    run(async {
        let lab = Lab::new(1);
        for path in ["/a/b", "/a/c", "/d/e", "/d-x"] {
            lab.write(1, path, "text").await.unwrap();
        }
        let facts = lab
            .fleet
            .look(&node(1), &scope(&["/a/b", "/missing"], &["/a", "/d", "/empty"]), Traces::None)
            .await
            .unwrap();
        assert_eq!(facts.files.keys().cloned().collect::<BTreeSet<_>>(), paths(&["/a/b"]));
        assert_eq!(facts.directories, paths(&["/a", "/d"]));
        assert_eq!(facts.etcd_data, EtcdData::Absent);
    });
}

#[test]
fn a_look_finds_only_what_lies_at_the_places_of_the_system() {
    run(async {
        let lab = Lab::new(1);
        let text = "lineage: abc\nserial: 7\ncerts: {}\n";
        lab.write(1, "/opt/rke/etc/kubernetes/windlass/ledger.yml", text).await.unwrap();
        let look = async || lab.fleet.look(&node(1), &scope(&[], &[]), Traces::None).await.unwrap();
        let ordinary = look().await;
        assert_eq!((ordinary.prefix, ordinary.ledger), (None, None));
        let system = Mischief::MachineChanged {
            node: node(1),
            fact: "operating_system".to_owned(),
            value: "Flatcar Container Linux".to_owned(),
        };
        lab.fleet.with(|world| world.meddle(&system));
        let flatcar = look().await;
        assert_eq!(flatcar.prefix, Some("/opt/rke".into()));
        assert_eq!(flatcar.ledger.unwrap().serial, 7);
    });
}

#[test]
fn a_look_tells_lineage_and_serial_of_the_ledger_s_copy_in_yaml_and_json() {
    run(async {
        let lab = Lab::new(1);
        let path = "/etc/kubernetes/windlass/ledger.yml";
        for text in
            ["lineage: abc\nserial: 7\ncerts: {}\n", "{\"lineage\":\"abc\",\"serial\":7,\"certs\":{}}"]
        {
            lab.write(1, path, text).await.unwrap();
            let copy =
                lab.fleet.look(&node(1), &scope(&[], &[]), Traces::None).await.unwrap().ledger.unwrap();
            assert_eq!((copy.lineage.as_str(), copy.serial), ("abc", 7));
        }
    });
}

#[test]
fn nothing_is_written_to_a_full_disk() {
    run(async {
        let lab = Lab::new(1);
        lab.fleet.with(|world| world.strike(&Fault::DiskFull { node: node(1), seconds: Some(60) }));
        assert!(matches!(lab.write(1, "/a", "x").await, Err(PortError::Lasting { .. })));
        assert_eq!(lab.fleet.read_file(&node(1), &"/a".into()).await.unwrap(), None);
        seconds(60).await;
        lab.write(1, "/a", "x").await.unwrap();
        assert_eq!(lab.fleet.read_file(&node(1), &"/a".into()).await.unwrap().unwrap().expose(), b"x");
    });
}

#[test]
fn a_directory_goes_with_all_that_is_in_it_and_what_is_not_there_is_no_error() {
    run(async {
        let lab = Lab::new(1);
        lab.write(1, "/a/b/c", "x").await.unwrap();
        lab.write(1, "/a-b", "x").await.unwrap();
        lab.fleet.remove_paths(&node(1), &paths(&["/a", "/nothing"])).await.unwrap();
        let facts =
            lab.fleet.look(&node(1), &scope(&["/a/b/c", "/a-b"], &["/a"]), Traces::None).await.unwrap();
        assert_eq!(facts.files.keys().cloned().collect::<BTreeSet<_>>(), paths(&["/a-b"]));
        assert_eq!(facts.directories, paths(&[]));
    });
}

#[test]
fn a_directory_is_moved_aside_unless_the_target_is_there() {
    run(async {
        let lab = Lab::new(1);
        let (from, to) = (FilePath::from("/a"), FilePath::from("/a.old"));
        lab.fleet.move_aside(&node(1), &from, &to).await.unwrap();
        lab.write(1, "/a/b", "1").await.unwrap();
        lab.fleet.move_aside(&node(1), &from, &to).await.unwrap();
        lab.write(1, "/a/b", "2").await.unwrap();
        assert!(lab.fleet.move_aside(&node(1), &from, &to).await.is_err());
        assert_eq!(lab.fleet.read_file(&node(1), &"/a.old/b".into()).await.unwrap().unwrap().expose(), b"1");
    });
}

#[test]
fn a_process_without_a_file_that_it_reads_crashes_until_the_file_comes() {
    run(async {
        let lab = Lab::new(1);
        lab.write(1, "/etc/kubernetes/other", "x").await.unwrap();
        let desired = spec(&["snapshots".to_owned()], &[format!("{SSL}/ca.pem")]);
        lab.run(1, "etcd-rolling-snapshots", &desired, &[]).await;
        assert_eq!(lab.seen(1, "etcd-rolling-snapshots").await.state, ContainerState::Crashing);
        lab.write(1, &format!("{SSL}/ca.pem"), "x").await.unwrap();
        seconds(2).await;
        assert_eq!(lab.health(1, "etcd-rolling-snapshots").await, Health::Healthy);
    });
}

#[test]
fn a_process_that_is_not_root_must_be_allowed_to_read_its_files() {
    run(async {
        let lab = Lab::new(1);
        let path = format!("{SSL}/ca.pem");
        lab.write(1, &path, "x").await.unwrap();
        let mut desired = spec(&["snapshots".to_owned()], std::slice::from_ref(&path));
        desired.user = Some("1000:1000".into());
        lab.run(1, "etcd-rolling-snapshots", &desired, &[]).await;
        assert_eq!(lab.seen(1, "etcd-rolling-snapshots").await.state, ContainerState::Crashing);
        lab.write_as(1, &path, "x", Mode::PUBLIC).await.unwrap();
        assert_eq!(lab.seen(1, "etcd-rolling-snapshots").await.state, ContainerState::Running);
    });
}

#[test]
fn what_counts_is_what_was_loaded_and_a_reload_loads_only_what_may_be_reloaded() {
    run(async {
        let lab = Lab::new(1);
        let (once, again) = ("/etc/kubernetes/once", "/etc/kubernetes/again");
        for path in [once, again] {
            lab.write(1, path, "1").await.unwrap();
        }
        let mut desired = spec(&["nginx".to_owned()], &[]);
        desired.reads.insert(once.into(), OnChange::Replace);
        desired.reads.insert(again.into(), OnChange::Reload);
        lab.run(1, "nginx-proxy", &desired, &[]).await;
        let first = lab.seen(1, "nginx-proxy").await.loaded;
        for path in [once, again] {
            lab.write(1, path, "2").await.unwrap();
        }
        assert_eq!(lab.seen(1, "nginx-proxy").await.loaded, first);
        lab.fleet.reload(&node(1), &name("nginx-proxy")).await.unwrap();
        let second = lab.seen(1, "nginx-proxy").await.loaded;
        assert_eq!(second[once], first[once]);
        assert_ne!(second[again], first[again]);
    });
}

#[test]
fn a_file_that_is_itself_mounted_is_not_reloaded() {
    run(async {
        let lab = Lab::new(1);
        let path = "/etc/kubernetes/nginx.conf";
        lab.write(1, path, "1").await.unwrap();
        let mut desired = spec(&["nginx".to_owned()], &[]);
        desired.binds.push(format!("{path}:/etc/nginx/nginx.conf").into());
        desired.reads.insert(path.into(), OnChange::Reload);
        lab.run(1, "nginx-proxy", &desired, &[]).await;
        let first = lab.seen(1, "nginx-proxy").await.loaded;
        lab.write(1, path, "2").await.unwrap();
        lab.fleet.reload(&node(1), &name("nginx-proxy")).await.unwrap();
        assert_eq!(lab.seen(1, "nginx-proxy").await.loaded, first);
    });
}

#[test]
fn kubelet_s_directory_is_busy_while_pods_run_and_comes_back_while_kubelet_runs() {
    run(async {
        let mut lab = Lab::new(1);
        lab.etcd(1).await;
        lab.api(1, 1).await;
        lab.agent(1, "kubelet").await;
        seconds(8).await;
        let root = paths(&["/var/lib/kubelet"]);
        let there = scope(&[], &["/var/lib/kubelet", "/var/log/pods"]);
        assert!(lab.fleet.remove_paths(&node(1), &root).await.is_err());
        lab.fleet.remove_pods(&node(1), &FilePath::from("/var/lib/kubelet"), None).await.unwrap();
        assert!(lab.fleet.remove_paths(&node(1), &root).await.is_err(), "kubelet brings its pods back");
        lab.fleet.stop(&node(1), &name("kubelet")).await.unwrap();
        lab.fleet.remove_pods(&node(1), &FilePath::from("/var/lib/kubelet"), None).await.unwrap();
        assert_eq!(
            lab.fleet.look(&node(1), &there, Traces::None).await.unwrap().directories,
            *there.directories
        );
        lab.fleet.remove_paths(&node(1), &there.directories).await.unwrap();
        assert_eq!(lab.fleet.look(&node(1), &there, Traces::None).await.unwrap().directories, paths(&[]));
    });
}

#[test]
fn what_people_do_to_files_by_hand_is_seen() {
    run(async {
        let lab = Lab::new(1);
        let path = FilePath::from("/a");
        lab.write(1, "/a", "x").await.unwrap();
        let seen = async || {
            lab.fleet
                .look(&node(1), &scope(&["/a"], &[]), Traces::None)
                .await
                .unwrap()
                .files
                .get("/a")
                .copied()
        };
        let first = seen().await.unwrap();
        let meddle = |mischief: Mischief| lab.fleet.with(|world| world.meddle(&mischief));
        meddle(Mischief::FileMode { node: node(1), path: path.clone(), mode: Mode(0o777) });
        assert_eq!(seen().await.unwrap().mode, Mode(0o777));
        meddle(Mischief::FileEdited { node: node(1), path: path.clone(), text: "y".to_owned() });
        assert_ne!(seen().await.unwrap().digest, first.digest);
        meddle(Mischief::FileDeleted { node: node(1), path });
        assert_eq!(seen().await, None);
    });
}
