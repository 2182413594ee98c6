//! Every scenario, compared with the output frozen beside it; `UPDATE=1` writes it anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use windlass_blueprint::Catalog;
use windlass_integration::scenario;

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/simulator/scenarios");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the scenarios are there")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .filter(|path| std::env::var("ONLY").map_or(true, |only| path.to_string_lossy().contains(&only)))
        .collect();
    paths.sort();
    paths
}

/// What is wrong with one scenario.
fn check(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a readable scenario");
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let told = match scenario::run(&text, Catalog::builtin()) {
        Ok(told) => told,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let mut wrongs: Vec<String> = told.wrongs.iter().map(|wrong| format!("{name}: {wrong}")).collect();
    let frozen = path.with_extension("out");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&frozen, &told.output).expect("a writable folder");
    } else if fs::read_to_string(&frozen).unwrap_or_default() != told.output {
        wrongs.push(format!("{name}: other output than frozen; see it with UPDATE=1 and git diff"));
    }
    wrongs
}

#[test]
fn every_scenario_tells_what_is_frozen_beside_it() {
    let queue = Mutex::new(scenarios().into_iter());
    let wrongs = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(path) = queue.lock().expect("nobody panics with it").next() else { break };
                    let found = check(&path);
                    wrongs.lock().expect("nobody panics with it").extend(found);
                }
            });
        }
    });
    let wrongs = wrongs.into_inner().expect("nobody panics with it");
    assert!(wrongs.is_empty(), "{}", wrongs.join("\n"));
}
