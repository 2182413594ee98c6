//! Wrong input and wrong usage: all problems at once, exit code 64, and nothing touched.

use std::fs;

use crate::lab::Lab;

#[test]
fn a_bad_file_is_reported_in_full_and_nothing_is_touched() {
    let config = "\
nodes:
- {address: 10.0.0.5, user: ops, role: [etcd, controlplan]}
- {address: 10.0.0.5, role: [worker], prot: 22}
kubernetes_version: v1.99.0
";
    let mut lab = Lab::new("bad").with("cluster.yml", config).with("world.yml", "bare: 3\n");
    lab.note("up --simulate world.yml");
    for command in [&["plan"][..], &["cert-rotate"], &["remove", "--force"]] {
        let output = lab.run(&[command, &["--simulate", "world.yml"]].concat());
        assert_eq!(output.status.code(), Some(64));
    }
    lab.note("plan --simulate world.yml --output json");
    assert_eq!(lab.files(), ["cluster.yml", "world.yml"]);
    assert_eq!(lab.read("world.yml"), "bare: 3\n");
    lab.compare("bad.out");
}

#[test]
fn what_only_the_catalog_knows_has_a_place_too() {
    let config = "\
nodes:
- {address: 10.0.0.5, user: ops, role: [etcd, controlplane, worker]}
kubernetes_version: v1.99.0
services:
  etcd:
    snapshott: true
";
    let mut lab = Lab::new("catalog").with("cluster.yml", config).with("world.yml", "bare: 3\n");
    lab.note("plan --simulate world.yml");
    lab.compare("catalog.out");
}

#[test]
fn wrong_usage_ends_with_64() {
    let mut lab = Lab::with_three_nodes("usage").with("no-world.yml", "nodes: 3\n");
    lab.note("");
    lab.note("plan --nonsense");
    lab.note("plan --graph svg --simulate world.yml");
    lab.note("cert-rotate --service kubelet --all --simulate world.yml");
    lab.note("plan --config missing.yml --simulate world.yml");
    lab.note("plan --simulate missing.yml");
    lab.note("plan --simulate no-world.yml");
    lab.note("plan --simulate no-world.yml --output json");
    lab.note("remove --simulate world.yml");
    lab.compare("usage.out");
}

/// Nothing beside the cluster itself.
const NO_ADDONS: &str = "network: {plugin: none}\n\
    dns: {provider: none}\n\
    ingress: {provider: none}\n\
    monitoring: {provider: none}\n";

#[test]
fn machines_that_refuse_ssh_are_named_with_their_cause() {
    // Nothing listens on port 1 of the loopback (tcpmux, RFC 1078).
    let node = |number| {
        format!(
            "- {{address: 127.0.0.{number}, port: 1, hostname_override: node-{number}, user: ops, role: [etcd, controlplane, worker]}}\n"
        )
    };
    let nodes = (1..=3).map(node).collect::<String>();
    let mut lab = Lab::new("real")
        .with("cluster.yml", &format!("nodes:\n{nodes}kubernetes_version: v1.30.5-rancher1-1\n{NO_ADDONS}"));
    lab.note("plan");
    lab.note("up");
    assert_eq!(lab.files(), ["cluster.yml"]);
    lab.compare("real.out");
}

#[test]
fn a_damaged_ledger_is_never_taken_for_none() {
    let mut lab = Lab::with_three_nodes("damaged").with("cluster.windlass-ledger.json", "{");
    lab.note("plan --simulate world.yml");
    lab.note("up --simulate world.yml");
    assert_eq!(lab.read("cluster.windlass-ledger.json"), "{");
    lab.compare("damaged.out");
}

#[test]
fn the_version_is_reported() {
    let output = Lab::new("version").run(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    let version = format!("windlass {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), version);
}

#[test]
fn the_config_can_be_named_by_the_environment() {
    let lab = Lab::with_three_nodes("environment");
    fs::rename(lab.path("cluster.yml"), lab.path("other.yml")).unwrap();
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_windlass"))
        .args(["plan", "--quiet", "--simulate", "world.yml", "--detailed-exitcode"])
        .env("WINDLASS_CONFIG", "other.yml")
        .current_dir(lab.path(""))
        .output()
        .unwrap()
        .status;
    assert_eq!(status.code(), Some(2));
}

const CERT: &str = include_str!("../../../pki/tests/foreign/elliptic.pem");
const KEY: &str = include_str!("../../../pki/tests/foreign/elliptic-sec1.key");
const OTHER_KEY: &str = include_str!("../../../pki/tests/foreign/other-pkcs1.key");
const AUTHORITY: &str = include_str!("../../../pki/tests/foreign/authority.pem");

/// A PEM as the value of a key.
fn block(name: &str, pem: &str, depth: usize) -> String {
    let lines: Vec<String> = pem.lines().map(|line| format!("{:1$}{line}\n", "", depth + 2)).collect();
    format!("{:1$}{name}: |\n{2}", "", depth, lines.concat())
}

fn on_external_etcd(key: &str) -> String {
    format!(
        "kubernetes_version: v1.20.2\nnodes: [{{address: 10.0.0.1, hostname_override: node-1, user: ops, role: [controlplane, worker]}}]\n\
         {NO_ADDONS}services:\n  etcd:\n    external_urls: [\"https://10.9.0.1:2379\"]\n    path: /demo\n{}{}{}",
        block("ca_cert", AUTHORITY, 4),
        block("cert", CERT, 4),
        block("key", key, 4),
    )
}

#[test]
fn a_certificate_that_does_not_fit_its_key_is_reported_at_its_line() {
    use base64::Engine as _;
    let encode = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
    let webhook = format!(
        "authentication:\n  strategy: x509|webhook\n  webhook:\n    config_file: |\n      users:\n      - user: \
         {{client-certificate-data: {}, client-key-data: {}}}\n",
        encode(CERT),
        encode(OTHER_KEY),
    );
    let bad = on_external_etcd(OTHER_KEY) + &webhook;
    let mut lab = Lab::new("pairs")
        .with("bad.yml", &bad)
        .with("cluster.yml", &on_external_etcd(KEY))
        .with("world.yml", "bare: 1\n");
    lab.note("validate --config bad.yml");
    lab.note("validate");
    lab.note("up --simulate world.yml --quiet");
    lab.note("plan --simulate world.yml");
    lab.compare("pairs.out");
}

#[test]
fn an_ssh_certificate_that_does_not_fit_its_key_is_reported_at_its_line() {
    const KEY: &str = include_str!("../ssh/node");
    const OTHER_KEY: &str = include_str!("../ssh/other");
    const CERT: &str = include_str!("../ssh/node-cert.pub");
    const HOST_CERT: &str = include_str!("../ssh/host-cert.pub");
    let nodes = format!(
        "nodes:\n- {{address: 10.0.0.1, user: ops, role: [controlplane, etcd, worker]}}\n- address: 10.0.0.2\n  \
         user: ops\n  role: [worker]\n  ssh_key_path: other\n- address: 10.0.0.3\n  user: ops\n  role: [worker]\n  \
         ssh_cert: {}\n{}- {{address: 10.0.0.4, user: ops, role: [worker], ssh_cert_path: missing}}\n",
        CERT.trim(),
        block("ssh_key", OTHER_KEY, 2),
    );
    let common =
        "kubernetes_version: v1.20.15-rancher2-2\nssh_key_path: node\nssh_cert_path: node-cert.pub\n";
    let bastion = "bastion_host: {address: 10.0.0.9, user: ops, ssh_cert_path: host-cert.pub}\n";
    let fitting = "nodes: [{address: 10.0.0.1, user: ops, role: [controlplane, etcd, worker]}]\n";
    let mut lab = Lab::new("ssh-pairs")
        .with("bad.yml", &format!("{nodes}{common}{bastion}{NO_ADDONS}"))
        .with("cluster.yml", &format!("{fitting}{common}{NO_ADDONS}"))
        .with("node", KEY)
        .with("other", OTHER_KEY)
        .with("node-cert.pub", CERT)
        .with("host-cert.pub", HOST_CERT);
    lab.note("validate --config bad.yml");
    lab.note("validate");
    lab.compare("ssh-pairs.out");
}
