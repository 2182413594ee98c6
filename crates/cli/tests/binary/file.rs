//! `validate`, `config` and `schema`: what they report about a file, and that they change nothing.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use crate::lab::Lab;

const DOUBTFUL: &str = "\
nodes:
- {address: 10.0.0.5, user: ops, role: [etcd, controlplane, worker], prot: 22}
kubernetes_version: v1.27.0-rancher1-1
services:
  etcd:
  snapshot: true
  kubelet:
    extra_args: {container-runtime: remote}
network: {plugin: none}
dns: {provider: none}
ingress: {provider: none}
monitoring: {provider: none}
";

fn answered(lab: &Lab, arguments: &[&str], answers: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_windlass"))
        .args(arguments)
        .current_dir(lab.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_file_is_validated_without_a_machine() {
    let mut lab = Lab::new("validate").with("cluster.yml", DOUBTFUL);
    lab.note("validate");
    lab.note("validate --strict");
    lab.note("validate --strict --output json");
    lab.note("validate --config missing.yml");
    assert_eq!(lab.files(), ["cluster.yml"]);
    lab.compare("validate.out");
}

/// A machine that runs a recent Kubernetes.
const TODAY: &str = "\
nodes:
- {name: node-1, address: 10.0.0.1, machine: {cgroup: 2}, host: {cgroup_driver: systemd}}
";

#[test]
fn a_file_is_made_of_answers_and_can_be_planned_from() {
    let answers = "\n1\n10.0.0.1\n\n\nops\ny\ny\ny\nnode-1\n\n\nnone\n\n\n\n\n\n\n\nn\n";
    let mut lab = Lab::new("config").with("world.yml", TODAY);
    let output = answered(&lab, &["config"], answers);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let mode = std::fs::metadata(lab.path("cluster.yml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
    // It is never overwritten.
    assert_eq!(answered(&lab, &["config"], answers).status.code(), Some(1));
    assert_eq!(answered(&lab, &["config", "--print"], "").status.code(), Some(64));
    lab.note("validate");
    lab.note("plan --simulate world.yml --quiet");
    lab.note("config --list-version");
    lab.note("config --system-images --version v1.28.9-rancher1-1");
    lab.note("config --system-images --version v1.28.9");
    lab.note("config --system-images --version 1.20.15");
    lab.note("config --empty --print --list-version");
    lab.compare("config.out");
}

#[test]
fn an_empty_file_lacks_nothing_but_nodes() {
    let mut lab = Lab::new("skeleton");
    let output = answered(&lab, &["config", "--empty", "--name", "new.yml"], "");
    assert_eq!(output.status.code(), Some(0));
    lab.note("validate --config new.yml");
    lab.compare("skeleton.out");
}

#[test]
fn the_schema_is_one_json_document() {
    let output = Lab::new("schema").run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        schema["properties"]["nodes"]["items"]["required"],
        serde_json::json!(["address", "role", "user"])
    );
}

#[test]
fn the_key_of_encrypted_secrets_is_never_given_up() {
    let encrypted = "services: {kube-api: {secrets_encryption_config: {enabled: true}}}\n";
    let config = format!(
        "kubernetes_version: v1.20.2\nnodes: [{{address: 10.0.0.1, hostname_override: node-1, user: ops, role: [controlplane, etcd, worker]}}]\n\
         {encrypted}network: {{plugin: none}}\ndns: {{provider: none}}\ningress: {{provider: none}}\n\
         monitoring: {{provider: none}}\n"
    );
    let mut lab = Lab::new("encryption").with("cluster.yml", &config).with("world.yml", "bare: 1\n");
    lab.note("up --simulate world.yml --quiet");
    lab.note("plan --simulate world.yml");
    lab.edit("cluster.yml", "enabled: true", "enabled: false");
    lab.note("plan --simulate world.yml");
    lab.compare("encryption.out");
}
