//! Which crate may import which, and that the pure crates import nothing with a runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Which of the other crates each crate may import, outside of tests. The command line may import any.
const BORDERS: [(&str, &[&str]); 12] = [
    ("windlass-model", &[]),
    ("windlass-spec", &["windlass-model"]),
    ("windlass-addons", &["windlass-model", "windlass-spec"]),
    ("windlass-blueprint", &["windlass-model", "windlass-spec", "windlass-addons"]),
    ("windlass-planner", &["windlass-model"]),
    ("windlass-render", &["windlass-model"]),
    ("windlass-engine", &["windlass-model"]),
    (
        "windlass-course",
        &["windlass-model", "windlass-spec", "windlass-blueprint", "windlass-planner", "windlass-engine"],
    ),
    ("windlass-pki", &["windlass-model", "windlass-engine"]),
    ("windlass-remote", &["windlass-model", "windlass-engine", "windlass-sidecar"]),
    ("windlass-sidecar", &["windlass-model"]),
    ("windlass-simulator", &["windlass-model", "windlass-engine"]),
];

/// Crates that use no files, no clock, no process and no network, and await nothing.
const PURE: [&str; 6] = [
    "windlass-model",
    "windlass-spec",
    "windlass-addons",
    "windlass-blueprint",
    "windlass-planner",
    "windlass-render",
];

/// Packages that would bring something to await, or a runtime.
const RUNTIMES: [&str; 11] = [
    "tokio",
    "async-std",
    "async-global-executor",
    "smol",
    "async-executor",
    "async-io",
    "futures",
    "futures-core",
    "futures-executor",
    "futures-util",
    "mio",
];

#[test]
fn crates_import_only_what_lies_below_them() {
    let imports = imports_of_members();
    for (package, allowed) in BORDERS {
        let found = imports.get(package).unwrap_or_else(|| panic!("{package} is a member of the workspace"));
        let beyond: Vec<&String> = found.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
        assert!(beyond.is_empty(), "{package} imports {beyond:?} and may import {allowed:?} only");
    }
}

#[test]
fn every_member_has_borders() {
    let known: BTreeSet<&str> =
        BORDERS.iter().map(|(package, _)| *package).chain(["windlass", "windlass-integration"]).collect();
    let imports = imports_of_members();
    let members: BTreeSet<&str> = imports.keys().map(String::as_str).collect();
    assert_eq!(members, known);
}

#[test]
fn nothing_but_tests_imports_the_integration_crate() {
    for (package, imports) in imports_of_members() {
        assert!(!imports.contains("windlass-integration"), "{package} imports windlass-integration");
    }
}

#[test]
fn no_runtime_is_under_a_pure_crate() {
    for package in PURE {
        let tree = cargo(&["tree", "--edges", "normal", "--prefix", "none", "--package", package]);
        let under: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(under.contains(package), "the tree of {package} begins with itself: {tree}");
        let found: Vec<&&str> = under.iter().filter(|name| RUNTIMES.contains(*name)).collect();
        assert!(found.is_empty(), "{found:?} is in the tree of {package}:\n{tree}");
    }
}

#[test]
fn the_search_for_runtimes_finds_one_where_one_is() {
    let tree = cargo(&["tree", "--edges", "normal", "--prefix", "none", "--package", "windlass-engine"]);
    let under: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(RUNTIMES.iter().any(|runtime| under.contains(runtime)), "{tree}");
}

/// The members of the workspace, and which other members each imports outside of tests.
fn imports_of_members() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo metadata writes JSON");
    let packages = metadata["packages"].as_array().expect("metadata has a list of packages");
    let text = |value: &Value| value.as_str().expect("names in metadata are text").to_owned();
    let members: BTreeSet<String> = packages.iter().map(|package| text(&package["name"])).collect();
    packages
        .iter()
        .map(|package| {
            let imports = package["dependencies"]
                .as_array()
                .expect("a package has a list of dependencies")
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .map(|dependency| text(&dependency["name"]))
                .filter(|name| members.contains(name))
                .collect();
            (text(&package["name"]), imports)
        })
        .collect()
}

/// cargo's answer about what is already on this machine.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["--offline", "--locked"])
        .args(arguments)
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")])
        .output()
        .expect("cargo runs, since it runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}
