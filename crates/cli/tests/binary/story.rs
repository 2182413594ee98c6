//! The binary from the first `plan` to `remove`, on simulated machines, with everything that it prints.

use std::fmt::Write as _;

use crate::lab::{Lab, THREE_NODES};

#[test]
fn three_bare_machines_become_a_cluster_and_a_second_up_does_nothing() {
    let mut lab = Lab::with_three_nodes("bring-up");
    lab.note("plan --simulate world.yml");
    assert_eq!(lab.read("world.yml"), "bare: 3\n", "a plan writes nothing");
    assert_eq!(lab.files(), ["cluster.yml", "world.yml"]);
    lab.note("plan --simulate world.yml --detailed-exitcode --quiet");
    lab.note("up --simulate world.yml --quiet");
    let files = ["cluster.windlass-ledger.json", "cluster.windlass-recovery.key", "cluster.yml", "world.yml"];
    assert_eq!(lab.files(), files);
    let world = lab.read("world.yml");
    let ledger = lab.read("cluster.windlass-ledger.json");
    lab.note("up --simulate world.yml");
    lab.note("plan --simulate world.yml --detailed-exitcode");
    assert_eq!(lab.read("world.yml"), world);
    assert_eq!(lab.read("cluster.windlass-ledger.json"), ledger);
    lab.compare("bring-up.out");
}

#[test]
fn an_edited_argument_replaces_its_readers_one_after_another() {
    let mut lab = Lab::with_three_nodes("edit");
    lab.run(&["up", "--simulate", "world.yml"]);
    lab.edit("cluster.yml", "max-pods: 250", "max-pods: 120");
    lab.note("plan --simulate world.yml --detailed-exitcode");
    lab.note("plan --simulate world.yml --verbose");
    lab.note("plan --simulate world.yml --graph dot");
    lab.note("plan --simulate world.yml --graph mermaid");
    lab.note("up --simulate world.yml");
    lab.note("plan --simulate world.yml --detailed-exitcode");
    lab.compare("edit.out");
}

#[test]
fn equal_steps_on_many_nodes_are_one_line() {
    let mut nodes = String::new();
    for number in 1..=40 {
        let role = if number <= 3 { "[controlplane, etcd]" } else { "worker" };
        let _ = writeln!(
            nodes,
            "- {{address: 10.0.0.{number}, hostname_override: node-{number}, user: ops, role: {role}}}"
        );
    }
    let config = format!(
        "kubernetes_version: v1.20.2\nnodes:\n{nodes}network: {{plugin: none}}\nservices: {{kubelet: {{extra_args: {{max-pods: 250}}}}}}\n"
    );
    let mut lab = Lab::new("many").with("cluster.yml", &config).with("world.yml", "bare: 40\n");
    lab.note("plan --simulate world.yml");
    lab.note("up --simulate world.yml --quiet");
    lab.edit("cluster.yml", "max-pods: 250", "max-pods: 120");
    lab.note("plan --simulate world.yml");
    lab.note("plan --simulate world.yml --graph dot");
    lab.compare("many.out");
}

#[test]
fn a_node_out_of_sight_is_held_and_reported() {
    let mut lab = Lab::with_three_nodes("held");
    lab.run(&["up", "--simulate", "world.yml"]);
    lab.edit("world.yml", "- name: node-2\n", "- name: node-2\n  power: 'off'\n");
    lab.note("plan --simulate world.yml");
    lab.note("plan --simulate world.yml --detailed-exitcode --quiet");
    lab.note("up --simulate world.yml --quiet");
    lab.edit("cluster.yml", "max-pods: 250", "max-pods: 120");
    lab.note("up --simulate world.yml --quiet");
    lab.compare("held.out");
}

#[test]
fn a_downgrade_is_refused_at_its_line() {
    let mut lab = Lab::with_three_nodes("refused");
    lab.run(&["up", "--simulate", "world.yml"]);
    let world = lab.read("world.yml");
    lab.edit("cluster.yml", "v1.20.2", "v1.19.16-rancher1-1");
    lab.note("plan --simulate world.yml");
    lab.note("up --simulate world.yml");
    assert_eq!(lab.read("world.yml"), world);
    lab.compare("refused.out");
}

#[test]
fn a_failure_tells_what_why_and_what_was_skipped() {
    let world = "registry: down\nnodes:\n- {name: node-1, address: 10.0.0.1}\n";
    let config = "kubernetes_version: v1.20.2\nnodes: [{address: 10.0.0.1, user: ops, role: [controlplane, etcd, worker]}]\nnetwork: {plugin: none}\n";
    let mut lab = Lab::new("failed").with("cluster.yml", config).with("world.yml", world);
    lab.note("up --simulate world.yml --quiet");
    lab.compare("failed.out");
}

#[test]
fn what_was_waited_for_in_vain_shows_its_log() {
    let world = "nodes:\n- {name: node-1, address: 10.0.0.1, slowness: 100000}\n";
    let config = "kubernetes_version: v1.20.2\nnodes: [{address: 10.0.0.1, user: ops, role: [controlplane, etcd, worker]}]\nnetwork: {plugin: none}\n";
    let mut lab = Lab::new("slow").with("cluster.yml", config).with("world.yml", world);
    lab.note("up --simulate world.yml --quiet");
    lab.compare("slow.out");
}

#[test]
fn an_upgrade_goes_from_etcd_to_the_workers() {
    let mut lab = Lab::new("upgrade").with("world.yml", "bare: 7\n").with(
        "cluster.yml",
        "\
kubernetes_version: v1.20.2
nodes:
- {address: 10.0.0.1, hostname_override: node-1, user: ops, role: [controlplane, etcd]}
- {address: 10.0.0.2, hostname_override: node-2, user: ops, role: [controlplane, etcd]}
- {address: 10.0.0.3, hostname_override: node-3, user: ops, role: [controlplane, etcd]}
- {address: 10.0.0.4, hostname_override: node-4, user: ops, role: [worker]}
- {address: 10.0.0.5, hostname_override: node-5, user: ops, role: [worker]}
- {address: 10.0.0.6, hostname_override: node-6, user: ops, role: [worker]}
- {address: 10.0.0.7, hostname_override: node-7, user: ops, role: [worker]}
network: {plugin: none}
upgrade_strategy: {drain: true, max_unavailable_worker: 2}
",
    );
    lab.note("up --simulate world.yml --quiet");
    lab.edit("cluster.yml", "v1.20.2", "v1.20.15-rancher2-2");
    lab.note("plan --simulate world.yml");
    lab.note("up --simulate world.yml --quiet");
    lab.edit(
        "cluster.yml",
        "- {address: 10.0.0.7, hostname_override: node-7, user: ops, role: [worker]}\n",
        "",
    );
    lab.note("plan --simulate world.yml");
    lab.note("up --simulate world.yml --quiet");
    lab.compare("upgrade.out");
}

#[test]
fn certificates_are_made_anew_once() {
    let mut lab = Lab::with_three_nodes("rotate");
    lab.run(&["up", "--simulate", "world.yml"]);
    let (world, ledger) = (lab.read("world.yml"), lab.read("cluster.windlass-ledger.json"));
    lab.note("cert-rotate --plan --simulate world.yml --service kubelet");
    assert_eq!((lab.read("world.yml"), lab.read("cluster.windlass-ledger.json")), (world, ledger));
    lab.note("cert-rotate --simulate world.yml --service kubelet");
    lab.note("plan --simulate world.yml");
    let before = lab.read("cluster.windlass-ledger.json");
    lab.note("cert-rotate --simulate world.yml --quiet");
    assert_ne!(lab.read("cluster.windlass-ledger.json"), before);
    lab.note("cert-rotate --simulate world.yml --service kube-dns");
    lab.compare("rotate.out");
}

#[test]
fn a_snapshot_is_taken_listed_read_back_and_restored() {
    let mut lab = Lab::with_three_nodes("restore");
    lab.run(&["up", "--simulate", "world.yml"]);
    lab.note("etcd snapshot save mine --simulate world.yml");
    lab.note("etcd snapshot-save --name mine --node node-2 --simulate world.yml");
    lab.note("etcd snapshot list --simulate world.yml");
    lab.note("etcd snapshot list --simulate world.yml --output json");
    lab.note("etcd snapshot verify mine --node node-1 --simulate world.yml");
    lab.note("etcd snapshot rehearse mine --node node-1 --simulate world.yml");
    lab.note("etcd snapshot rehearse mine --node node-1 --output json --simulate world.yml");
    let world = lab.read("world.yml");
    lab.note("etcd snapshot restore mine --simulate world.yml");
    lab.note("etcd snapshot restore other --yes --simulate world.yml");
    lab.note("etcd snapshot restore mine --node node-1 --plan --simulate world.yml");
    assert_eq!(lab.read("world.yml"), world, "nothing was done yet");
    lab.note("etcd snapshot-restore --name mine --node node-1 --force --simulate world.yml");
    lab.note("plan --simulate world.yml");
    lab.note("etcd snapshot delete mine --simulate world.yml");
    lab.note("etcd snapshot list --simulate world.yml");
    lab.compare("restore.out");
}

#[test]
fn a_snapshot_of_rke_is_read_back_unpacked_and_restored() {
    let mut lab = Lab::with_three_nodes("rke-snapshot");
    lab.run(&["up", "--simulate", "world.yml"]);
    lab.note("etcd snapshot save mine --node node-2 --quiet --simulate world.yml");
    // As if RKE had taken it.
    let (ours, of_rke) = ("/opt/rke/etcd-snapshots/mine.db:", "/opt/rke/etcd-snapshots/mine.zip:");
    lab.edit("world.yml", ours, of_rke);
    lab.note("etcd snapshot list --simulate world.yml");
    lab.note("etcd snapshot verify mine.zip --output json --simulate world.yml");
    lab.note("etcd snapshot rehearse mine --simulate world.yml");
    lab.note("etcd snapshot rehearse mine --api-server --output json --simulate world.yml");
    lab.note("etcd snapshot rehearse mine --api-server --simulate world.yml");
    lab.note("etcd snapshot list --simulate world.yml");
    lab.note("etcd snapshot restore mine --plan --quiet --simulate world.yml");
    lab.note("etcd snapshot restore mine --of-this-cluster --plan --simulate world.yml");
    lab.note("etcd snapshot restore mine --of-this-cluster --yes --simulate world.yml");
    lab.note("etcd snapshot list --simulate world.yml");
    lab.note("etcd snapshot delete mine.zip --simulate world.yml");
    lab.note("etcd snapshot list --simulate world.yml");
    lab.compare("rke-snapshot.out");
}

#[test]
fn a_snapshot_goes_into_a_bucket_and_comes_back() {
    let mut lab = Lab::with_three_nodes("bucket");
    lab.run(&["up", "--simulate", "world.yml"]);
    lab.note("etcd snapshot save mine --s3 --simulate world.yml");
    let bucket = "{bucket_name: etcd, endpoint: s3.lan, access_key: AKIA, secret_key: hunter2}";
    let etcd = format!("services:\n  etcd: {{backup_config: {{s3backupconfig: {bucket}}}}}\n");
    lab.edit("cluster.yml", "services:\n", &etcd);
    lab.note("etcd snapshot save mine --s3 --simulate world.yml");
    lab.note("etcd snapshot list --simulate world.yml");
    lab.note("etcd snapshot list --output json --simulate world.yml");
    lab.note("etcd snapshot fetch mine --node node-1 --simulate world.yml");
    lab.note("etcd snapshot save both --node node-1 --s3 --quiet --simulate world.yml");
    lab.note("etcd snapshot save both --node node-2 --s3 --quiet --simulate world.yml");
    lab.note("etcd snapshot fetch both --node node-3 --simulate world.yml");
    lab.note("etcd snapshot fetch both --node node-3 --member etcd-node-2 --simulate world.yml");
    lab.note("etcd snapshot delete mine --simulate world.yml");
    lab.note("etcd snapshot restore mine --plan --simulate world.yml");
    lab.note("etcd snapshot fetch mine --node node-2 --simulate world.yml");
    lab.note("etcd snapshot delete mine --simulate world.yml");
    lab.note("etcd snapshot restore mine --yes --quiet --simulate world.yml");
    lab.note("etcd snapshot delete mine --s3 --simulate world.yml");
    lab.note("etcd snapshot fetch mine --simulate world.yml");
    std::fs::remove_file(lab.path("cluster.windlass-ledger.json")).unwrap();
    lab.note("etcd snapshot delete both --s3 --simulate world.yml");
    lab.compare("bucket.out");
}

#[test]
fn an_archive_of_rke_comes_back_from_the_bucket() {
    let mut lab = Lab::with_three_nodes("rke-bucket");
    lab.run(&["up", "--simulate", "world.yml"]);
    let bucket = "{bucket_name: etcd, endpoint: s3.lan, access_key: AKIA, secret_key: hunter2}";
    let etcd = format!("services:\n  etcd: {{backup_config: {{s3backupconfig: {bucket}}}}}\n");
    lab.edit("cluster.yml", "services:\n", &etcd);
    lab.note("etcd snapshot save mine --s3 --quiet --simulate world.yml");
    lab.note("etcd snapshot delete mine --simulate world.yml");
    // As if RKE had put it there.
    let world = lab.read("world.yml");
    let ours = world.find("cluster: 94be84ab47c46fd9").expect("the place in the bucket");
    let ends = ours + world[ours..].find("mine.db").expect("the name of the copy") + "mine.db".len();
    let of_rke = "cluster: ''\n      member: ''\n    name: mine.zip";
    lab.edit("world.yml", &world[ours..ends], of_rke);
    lab.note("etcd snapshot list --simulate world.yml");
    lab.note("etcd snapshot restore mine --plan --simulate world.yml");
    lab.note("etcd snapshot fetch mine --node node-2 --simulate world.yml");
    lab.note("etcd snapshot delete mine --simulate world.yml");
    lab.note("etcd snapshot restore mine --of-this-cluster --yes --quiet --simulate world.yml");
    lab.note("etcd snapshot delete mine --s3 --simulate world.yml");
    lab.note("etcd snapshot list --simulate world.yml");
    lab.compare("rke-bucket.out");
}

#[test]
fn remove_asks_and_leaves_nothing() {
    let mut lab = Lab::with_three_nodes("remove");
    lab.run(&["up", "--simulate", "world.yml"]);
    let world = lab.read("world.yml");
    lab.note("remove --plan --simulate world.yml");
    let output = lab.run(&["remove", "--plan", "--output", "json", "--simulate", "world.yml"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&document["schema"], &document["exit"]), (&"windlass/plan/1".into(), &0.into()));
    assert_eq!(lab.read("world.yml"), world, "a plan writes nothing");
    lab.note("remove --simulate world.yml");
    assert_eq!(lab.read("world.yml"), world, "nobody agreed");
    lab.note("remove --simulate world.yml --force --delete-snapshots");
    assert_eq!(lab.files(), ["cluster.windlass-recovery.key", "cluster.yml", "world.yml"]);
    lab.note("remove --simulate world.yml --force");
    lab.compare("remove.out");
}

#[test]
fn a_lost_ledger_is_brought_back_from_a_node() {
    let mut lab = Lab::with_three_nodes("lost");
    lab.run(&["up", "--simulate", "world.yml"]);
    let ledger = lab.read("cluster.windlass-ledger.json");
    std::fs::remove_file(lab.path("cluster.windlass-ledger.json")).unwrap();
    lab.note("plan --simulate world.yml");
    let files = ["cluster.windlass-recovery.key", "cluster.yml", "world.yml"];
    assert_eq!(lab.files(), files, "a plan writes nothing");
    lab.note("up --simulate world.yml");
    assert_eq!(lab.read("cluster.windlass-ledger.json"), ledger);
    lab.compare("lost.out");
}

#[test]
fn a_machine_with_another_prefix_is_looked_at_there() {
    let world = "nodes:\n- {name: node-1, address: 10.0.0.1}\n- {name: node-2, address: 10.0.0.2, host: {operating_system: Flatcar Container Linux}}\n";
    let config = "\
kubernetes_version: v1.20.2
nodes:
- {address: 10.0.0.1, hostname_override: node-1, user: ops, role: [controlplane, etcd]}
- {address: 10.0.0.2, hostname_override: node-2, user: ops, role: [worker]}
network: {plugin: none}
";
    let mut lab = Lab::new("prefix").with("cluster.yml", config).with("world.yml", world);
    lab.note("up --simulate world.yml --quiet");
    lab.note("plan --simulate world.yml");
    lab.compare("prefix.out");
}

#[test]
fn another_config_has_a_ledger_of_its_own() {
    let lab = Lab::with_three_nodes("config").with("prod.yml", THREE_NODES);
    let output = lab.run(&["up", "--simulate", "world.yml", "--config", "prod.yml"]);
    assert_eq!(output.status.code(), Some(0));
    let files =
        ["cluster.yml", "prod.windlass-ledger.json", "prod.windlass-recovery.key", "prod.yml", "world.yml"];
    assert_eq!(lab.files(), files);
}

#[test]
fn a_run_that_died_before_it_wrote_the_world_is_taken_up_again() {
    let lab = Lab::with_three_nodes("died");
    lab.run(&["up", "--simulate", "world.yml"]);
    let world = lab.read("world.yml");
    lab.run(&["cert-rotate", "--simulate", "world.yml"]);
    let lab = lab.with("world.yml", &world);
    let output = lab.run(&["up", "--quiet", "--simulate", "world.yml"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let output = lab.run(&["plan", "--detailed-exitcode", "--simulate", "world.yml"]);
    assert_eq!(output.status.code(), Some(0));
}
