//! The documents describe what the binary does.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::lab::{Lab, compare_file};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_commands_are_described_as_the_help_tells_them() {
    let lab = Lab::new("help");
    let mut text = "# Commands\n\nWhat `--help` prints; a test keeps this page true.\n".to_owned();
    let snapshots =
        ["list", "save", "verify", "delete", "fetch", "restore"].map(|verb| format!("etcd snapshot {verb}"));
    let care = ["status", "defrag", "move-leader", "disarm", "recover"].map(|verb| format!("etcd {verb}"));
    let commands = ["", "plan", "up", "remove", "cert-rotate"].map(str::to_owned).into_iter();
    let files = ["validate", "config", "schema"].map(str::to_owned);
    for command in commands.chain(care).chain(snapshots).chain(files) {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        arguments.push("--help");
        let output = lab.run(&arguments);
        assert_eq!(output.status.code(), Some(0));
        let help = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        let _ = write!(
            text,
            "\n## `windlass {}`\n\n```text\n{}\n```\n",
            arguments.join(" "),
            lines.join("\n").trim_end()
        );
    }
    compare_file(&root().join("docs/reference/commands.md"), text.trim_end());
}

#[test]
fn the_example_is_a_plan_for_machines_as_it_names_them() {
    let example = std::fs::read_to_string(root().join("cluster.example.yml")).unwrap();
    let mut lab = Lab::new("example").with("cluster.yml", &example).with("world.yml", "bare: 4\n");
    lab.note("plan --simulate world.yml");
    lab.note("up --simulate world.yml --quiet");
    lab.note("plan --simulate world.yml");
    lab.compare("example.out");
}

#[test]
fn the_first_cluster_of_the_guide_is_sound() {
    let guide = std::fs::read_to_string(root().join("docs/guides/first-cluster.md")).unwrap();
    let (_, rest) = guide.split_once("```yaml\n").unwrap();
    let (config, _) = rest.split_once("```").unwrap();
    let lab = Lab::new("first").with("cluster.yml", config).with("world.yml", "bare: 5\n");
    assert_eq!(lab.run(&["validate", "--strict"]).status.code(), Some(0));
    assert_eq!(lab.run(&["up", "--simulate", "world.yml"]).status.code(), Some(0));
}

#[test]
fn the_guide_can_be_followed() {
    let guide = root().join("docs/guides/simulate");
    let read = |name: &str| std::fs::read_to_string(guide.join(name)).unwrap();
    let lab =
        Lab::new("guide").with("cluster.yml", &read("cluster.yml")).with("world.yml", &read("world.yml"));
    for (arguments, code) in [
        (&["plan", "--detailed-exitcode"][..], 2),
        (&["up"], 0),
        (&["up"], 0),
        (&["cert-rotate", "--service", "kubelet"], 0),
        (&["remove", "--force"], 0),
    ] {
        let output = lab.run(&[arguments, &["--simulate", "world.yml"]].concat());
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
