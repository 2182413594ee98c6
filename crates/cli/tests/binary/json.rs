//! What programs read, and that nothing that windlass prints contains a secret.

use crate::lab::Lab;
use serde_json::{Value, json};

#[test]
fn plan_and_run_are_documents_of_the_described_form() {
    let config = "\
kubernetes_version: v1.20.2
nodes:
- {address: 10.0.0.1, hostname_override: node-1, user: ops, role: [controlplane, etcd]}
network: {plugin: none}
services:
  kubeproxy:
    extra_env: [MODE=fast]
    extra_args: {v: 2}
";
    let mut lab = Lab::new("json").with("cluster.yml", config).with("world.yml", "bare: 1\n");
    lab.run(&["up", "--simulate", "world.yml"]);
    lab.edit("cluster.yml", "v: 2", "v: 4");
    lab.note("plan --simulate world.yml --output json");
    lab.note("up --simulate world.yml --output json --quiet");
    lab.compare("json.out");
}

#[test]
fn a_failure_tells_its_causes_and_what_it_kept_from_being_done() {
    let world = "registry: down\nnodes:\n- {name: node-1, address: 10.0.0.1}\n";
    let config = "kubernetes_version: v1.20.2\nnodes: [{address: 10.0.0.1, user: ops, role: [controlplane, etcd, worker]}]\nnetwork: {plugin: none}\n";
    let lab = Lab::new("failed-json").with("cluster.yml", config).with("world.yml", world);
    let output = lab.run(&["up", "--simulate", "world.yml", "--output", "json", "--quiet"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let outcome_of = |id: &str| {
        let outcomes = document["rounds"][0].as_array().unwrap();
        outcomes.iter().find(|outcome| outcome["id"] == id).unwrap().clone()
    };
    let pull = "10.0.0.1/rancher/coreos-etcd:v3.4.14-rancher1/pull";
    assert_eq!(
        outcome_of(pull),
        json!({
            "id": pull,
            "node": "10.0.0.1",
            "verb": "pull",
            "outcome": "failed",
            "failure": {
                "causes": [
                    "pull rancher/coreos-etcd:v3.4.14-rancher1 on 10.0.0.1",
                    "registry: connection refused",
                ],
                "attempts": 5,
            },
        })
    );
    assert_eq!(
        outcome_of("10.0.0.1/etcd/run"),
        json!({
            "id": "10.0.0.1/etcd/run",
            "node": "10.0.0.1",
            "verb": "run",
            "outcome": "skipped",
            "because": pull,
        })
    );
    assert_eq!(document["end"], "failed");
}

#[test]
fn the_standard_output_is_one_document() {
    let lab = Lab::with_three_nodes("one-document");
    for (arguments, schema) in [
        (&["plan"][..], "windlass/plan/1"),
        (&["up"], "windlass/run/1"),
        (&["plan"], "windlass/plan/1"),
        (&["cert-rotate", "--all"], "windlass/run/1"),
        (&["remove"], "windlass/diagnostics/1"),
        (&["remove", "--force"], "windlass/run/1"),
    ] {
        let arguments = [arguments, &["--simulate", "world.yml", "--output", "json"]].concat();
        let output = lab.run(&arguments);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["schema"], schema);
        assert_eq!(document["exit"], output.status.code().unwrap());
    }
}

#[test]
fn no_secret_is_in_anything_that_is_said() {
    const SECRETS: [&str; 7] = [
        "hunter2",
        "b3BzOmh1bnRlcjI", // `ops:hunter2` in base64, as Docker's configuration has it
        "s3-of-mine",
        "webhook-token",
        "keyOfMySsh",
        "environment-of-mine",
        "PRIVATE KEY",
    ];
    let config = "\
kubernetes_version: v1.20.2
nodes:
- address: 10.0.0.1
  user: ops
  role: [controlplane, etcd, worker]
  ssh_key: \"-----BEGIN RSA PRIVATE KEY-----\\nkeyOfMySsh\\n-----END RSA PRIVATE KEY-----\"
network: {plugin: none}
private_registries:
- {url: registry.example.org, user: ops, password: hunter2}
authentication:
  webhook: {config_file: webhook-token}
services:
  etcd:
    backup_config:
      s3backupconfig: {access_key: s3-of-mine, secret_key: s3-of-mine, bucket_name: b, endpoint: e.example.org}
  kubelet:
    extra_env: [TOKEN=environment-of-mine]
";
    let mut lab = Lab::new("secrets").with("cluster.yml", config).with("world.yml", "bare: 1\n");
    let check = |lab: &Lab, arguments: &[&str]| {
        let output = lab.run(&[arguments, &["--simulate", "world.yml"]].concat());
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(!said.is_empty());
        for secret in SECRETS {
            assert!(!said.contains(secret), "`windlass {}` says {secret}", arguments.join(" "));
        }
        output.status.code()
    };
    let looks = |lab: &Lab| {
        for arguments in [
            &["plan"][..],
            &["plan", "--verbose"],
            &["plan", "--output", "json"],
            &["plan", "--graph", "dot"],
            &["plan", "--graph", "mermaid"],
        ] {
            check(lab, arguments);
        }
    };
    looks(&lab);
    assert_eq!(check(&lab, &["up", "--verbose"]), Some(0));
    lab.edit("cluster.yml", "TOKEN=environment-of-mine", "TOKEN=environment-of-mine-too");
    lab.edit("cluster.yml", "password: hunter2", "password: hunter23");
    looks(&lab);
    assert_eq!(check(&lab, &["up", "--output", "json"]), Some(0));
    assert_eq!(check(&lab, &["cert-rotate", "--output", "json", "--verbose"]), Some(0));
    // A mistake beside a secret is shown with its line.
    lab.edit("cluster.yml", "password: hunter23}", "password: hunter2, urk: x, is_default: perhaps}");
    assert_eq!(check(&lab, &["plan"]), Some(64));
    assert_eq!(check(&lab, &["plan", "--output", "json"]), Some(64));
}
