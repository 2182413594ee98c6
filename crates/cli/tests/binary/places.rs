//! The page of files and containers says what a plan puts on nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::lab::{Lab, compare_file};

/// One node of each role, so that a node shows what its role needs.
const CLUSTER: &str = "\
kubernetes_version: v1.20.2
nodes:
- {address: 10.0.0.1, hostname_override: C, user: ops, role: [controlplane]}
- {address: 10.0.0.2, hostname_override: E, user: ops, role: [etcd]}
- {address: 10.0.0.3, hostname_override: W, user: ops, role: [worker]}
network: {plugin: none}
ingress: {provider: none}
monitoring: {provider: none}
dns: {provider: none}
";

/// Where a generated table ends.
const END: &str = "<!-- end -->";

#[test]
fn files_and_containers_are_reported_as_a_plan_has_them() {
    let lab = Lab::new("places").with("cluster.yml", CLUSTER).with("world.yml", "bare: 3\n");
    let output = lab.run(&["plan", "--simulate", "world.yml", "--output", "json"]);
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps = plan["steps"].as_array().unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/files-and-containers.md");
    let mut text = fs::read_to_string(&page).unwrap();
    for (name, table) in [("containers", containers(steps)), ("files", files(steps))] {
        let begin = format!("<!-- {name} -->");
        let (before, rest) = text.split_once(&begin).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        text = format!("{before}{begin}\n{table}{END}{after}");
    }
    compare_file(&page, text.trim_end());
}

/// One row for each container: its roles, whether it shares the node's network or more, and what it mounts.
fn containers(steps: &[Value]) -> String {
    let mut rows: BTreeMap<&str, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    for (node, action) in of_kind(steps, "run_container") {
        let row = rows.entry(action["component"].as_str().unwrap()).or_default();
        row.0.insert(node);
        row.1.extend(action["spec"]["binds"].as_array().into_iter().flatten().filter_map(Value::as_str));
    }
    let mut table = "| container | roles | mounts |\n|---|---|---|\n".to_owned();
    for (name, (roles, binds)) in rows {
        let binds: Vec<String> = binds.iter().map(|bind| format!("`{bind}`")).collect();
        let _ = writeln!(table, "| `{name}` | {} | {} |", joined(&roles), binds.join(" "));
    }
    table
}

/// One row for each file: its roles and permission bits.
fn files(steps: &[Value]) -> String {
    let mut rows: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for (node, action) in of_kind(steps, "write_files") {
        for file in action["files"].as_array().into_iter().flatten() {
            let key = (file["path"].as_str().unwrap(), file["mode"].as_str().unwrap());
            rows.entry(key).or_default().insert(node);
        }
    }
    let mut table = "| file | roles | mode |\n|---|---|---|\n".to_owned();
    for ((path, mode), roles) in rows {
        let _ = writeln!(table, "| `{path}` | {} | {mode} |", joined(&roles));
    }
    table
}

fn of_kind<'a>(steps: &'a [Value], kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    steps
        .iter()
        .filter(move |step| step["action"]["do"] == kind)
        .map(|step| (step["node"].as_str().unwrap(), &step["action"]))
}

fn joined(roles: &BTreeSet<&str>) -> String {
    // A node is named after its only role; names of nodes are in lower case.
    roles.iter().map(|role| role.to_uppercase()).collect::<Vec<_>>().join(" ")
}
