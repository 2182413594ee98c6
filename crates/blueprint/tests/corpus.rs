//! Real cluster.yml files, where they are at hand: what each comes to, in a few frozen lines.
#![expect(clippy::disallowed_methods, reason = "the tests read files; the crate does not")]
#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use windlass_blueprint::{Catalog, resolve};
use windlass_model::Role;
use windlass_spec::read;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    files
}

/// Nodes by role, version, images, and what is said of the file; none of its own texts but these.
fn summary(text: &[u8]) -> String {
    let mut summary = String::new();
    let reading = read(text);
    for found in &reading.diagnostics {
        let line = found.place.range.map_or(0, |range| range.start.line);
        writeln!(summary, "  {} {line}: {}", found.severity, found.summary).unwrap();
    }
    let Some(spec) = reading.spec else { return summary + "  refused\n" };
    let resolution = resolve(&spec, Catalog::builtin(), &BTreeMap::new());
    for problem in &resolution.problems {
        writeln!(summary, "  {} {}: {}", problem.severity, problem.path, problem.summary).unwrap();
    }
    let Some(blueprint) = resolution.blueprint else { return summary + "  no blueprint\n" };
    let count = |role| blueprint.nodes.values().filter(|node| node.has(role)).count();
    let (planes, members, workers) = (count(Role::ControlPlane), count(Role::Etcd), count(Role::Worker));
    let nodes = blueprint.nodes.len();
    writeln!(summary, "  {nodes} nodes: {planes} controlplane, {members} etcd, {workers} worker").unwrap();
    writeln!(summary, "  Kubernetes {}", blueprint.version).unwrap();
    let mut images: Vec<String> = blueprint
        .nodes
        .values()
        .flat_map(|node| node.containers.values().map(|desired| desired.spec.image.to_string()))
        .collect();
    images.sort();
    images.dedup();
    writeln!(summary, "  {}", images.join("\n  ")).unwrap();
    summary
}

#[test]
fn real_files_come_to_what_is_frozen() {
    let files = files();
    if files.is_empty() {
        return;
    }
    let mut text = String::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        writeln!(text, "{name}\n{}", summary(&fs::read(&file).unwrap())).unwrap();
    }
    let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen/corpus.txt");
    if std::env::var("UPDATE").is_ok() {
        fs::write(&frozen, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&frozen).unwrap_or_default());
}
