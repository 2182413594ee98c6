//! This version reads what earlier versions wrote, and changes nothing because of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use windlass_model::{Intent, Inventory, Replay};

use crate::lab::Lab;

/// A file that version 1 of the formats wrote, or read.
fn sample(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/formats/v1").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// A cluster as the program left it that wrote version 1 of all formats.
fn cluster_of_version_1(test: &str) -> Lab {
    Lab::new(test).with("cluster.yml", &sample("cluster.yml")).with("world.yml", &sample("world.yml")).with(
        "cluster.windlass-ledger.json",
        &std::fs::read_to_string("../engine/tests/formats/v1/ledger.json").unwrap(),
    )
}

/// Nothing is done on a cluster of an earlier version, but that the keys which it keeps are sealed, and Secrets that
/// were there before they were encrypted are rewritten.
fn only_secrets_are_put_right(lab: &Lab) {
    let document = lab.run(&["plan", "--simulate", "world.yml", "--output", "json"]);
    let document: Value = serde_json::from_slice(&document.stdout).unwrap();
    let steps = document["steps"].as_array().unwrap().iter().map(|step| step["id"].as_str().unwrap());
    let steps: BTreeSet<&str> = steps.collect();
    assert!(steps.contains("cluster/ledger/keep") && steps.contains("cluster/secrets/rewrite"), "{steps:?}");
    let others = |id: &&&str| !id.contains("/ledger/") && !id.starts_with("cluster/secrets/");
    assert_eq!(steps.iter().find(others), None, "{steps:?}");
    assert_eq!(document["findings"], Value::Array(vec![]));
    assert_eq!(lab.run(&["up", "--simulate", "world.yml", "--quiet"]).status.code(), Some(0));
    let output = lab.run(&["plan", "--simulate", "world.yml", "--detailed-exitcode"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn no_container_is_replaced_on_a_cluster_of_version_1() {
    let lab = cluster_of_version_1("formats");
    let plan = ["plan", "--simulate", "world.yml", "--detailed-exitcode"];
    only_secrets_are_put_right(&lab);
    // Nor is there a difference after a change and its reversal.
    for value in ["251", "250"] {
        let config = sample("cluster.yml").replace("max-pods: 250", &format!("max-pods: {value}"));
        std::fs::write(lab.path("cluster.yml"), config).unwrap();
        let output = lab.run(&["up", "--simulate", "world.yml", "--quiet"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(lab.run(&plan).status.code(), Some(0));
}

#[test]
fn no_container_is_replaced_on_a_cluster_with_lineage_on_its_containers_and_a_ledger_of_format_2() {
    let file = |name: &str| {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/formats/v2").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let (world, ledger) = (file("world.yml"), file("ledger.json"));
    assert!(world.starts_with("format: 1\n") && world.contains("lineage: ") && world.contains("ciphers"));
    assert!(ledger.starts_with("{\"format\":2,"));
    let lab = Lab::new("formats-2")
        .with("cluster.yml", &file("cluster.yml"))
        .with("world.yml", &world)
        .with("cluster.windlass-ledger.json", &ledger);
    only_secrets_are_put_right(&lab);
}

#[test]
fn a_container_that_a_newer_version_made_is_left_alone() {
    let mut lab = cluster_of_version_1("newer");
    let world = lab.read("world.yml").replacen("maker: windlass", "maker: unreadable", 1);
    std::fs::write(lab.path("world.yml"), &world).unwrap();
    lab.note("plan --simulate world.yml");
    lab.note("up --simulate world.yml");
    lab.note("remove --force --simulate world.yml");
    assert_eq!(lab.read("world.yml"), world);
    lab.compare("newer.out");
}

#[test]
fn a_world_of_a_newer_version_is_refused() {
    let mut lab = Lab::with_three_nodes("newer-world").with("world.yml", "format: 2\nnodes: []\nmoons: 3\n");
    let output = lab.note("plan --simulate world.yml");
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("format 2"), "{said}");
}

#[test]
fn documents_have_all_that_version_1_has() {
    let lab = Lab::new("documents-v1")
        .with("cluster.yml", &sample("cluster.yml"))
        .with("world.yml", "bare: 3\n")
        .with("bad.yml", &sample("bad.yml"));
    let run = |arguments: &[&str]| -> Value { serde_json::from_slice(&lab.run(arguments).stdout).unwrap() };
    let json = ["--simulate", "world.yml", "--output", "json"];
    let plan = run(&[&["plan"][..], &json].concat());
    let up = run(&[&["up", "--quiet"][..], &json].concat());
    let changed =
        sample("cluster.yml").replace("max-pods: 250", "max-pods: 251").replace("disk: ssd", "disk: hdd");
    std::fs::write(lab.path("cluster.yml"), changed).unwrap();
    let change = run(&[&["plan"][..], &json].concat());
    let diagnostics = run(&["validate", "--config", "bad.yml", "--output", "json"]);
    for (name, document) in
        [("plan.json", plan), ("run.json", up), ("change.json", change), ("diagnostics.json", diagnostics)]
    {
        let sample: Value = serde_json::from_str(&sample(name)).unwrap();
        assert_eq!(
            document["schema"], sample["schema"],
            "{name}: a new schema needs new samples beside these"
        );
        let (mut old, mut new) = (BTreeSet::new(), BTreeSet::new());
        fields(&sample, "", &mut old);
        fields(&document, "", &mut new);
        // A place that is not in the file is null, as the page of JSON output says.
        let is_null = |field: &String| {
            let path = field.rsplit_once(' ').map_or(field.as_str(), |(path, _)| path);
            path.match_indices('.')
                .map(|(at, _)| &path[..at])
                .chain([path])
                .any(|path| new.contains(&format!("{path} null")))
        };
        let gone: Vec<&String> = old.difference(&new).filter(|field| !is_null(field)).collect();
        assert!(gone.is_empty(), "{name} lacks {gone:#?}");
    }
}

/// Every field of a document with the kind of its value; the entries of lists count as one.
fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    found.insert(format!("{path} {kind}"));
    match value {
        Value::Array(items) => items.iter().for_each(|item| fields(item, &format!("{path}[]"), found)),
        Value::Object(entries) => {
            entries.iter().for_each(|(key, value)| fields(value, &format!("{path}.{key}"), found));
        }
        _ => {}
    }
}

#[test]
fn what_a_plan_was_made_from_can_be_kept_for_a_bug_report() {
    let config = sample("cluster.yml").replace("MODE=fast", "MODE=hunter2-env");
    let lab = cluster_of_version_1("replay").with("cluster.yml", &config);
    let output =
        lab.run(&["plan", "--simulate", "world.yml", "--save-replay", "replay.json", "--output", "json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = lab.read("replay.json");
    assert!(!text.contains("hunter2"), "no secret is in it");
    for key in ["-----BEGIN", "private key"] {
        assert!(!text.contains(key), "{key}");
    }
    let Replay { schema: _, windlass: _, intent, inventory } = serde_json::from_str(&text).unwrap();
    assert!(matches!(intent, Intent::Converge { .. }));
    let planning = windlass_planner::plan(&intent, &inventory);
    let ids = |inventory: &Inventory| inventory.nodes.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(ids(&inventory), ["node-1", "node-2", "node-3"]);
    let steps: Vec<&str> = planning.plan.steps.iter().map(|step| step.id.as_str()).collect();
    let shown: Vec<&str> =
        document["steps"].as_array().unwrap().iter().map(|step| step["id"].as_str().unwrap()).collect();
    assert!(shown.contains(&"node-1/kubelet/replace"), "{shown:?}");
    assert_eq!(steps, shown);
}
