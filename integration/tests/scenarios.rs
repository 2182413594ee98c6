//! Every scenario, compared with the output frozen beside it; `UPDATE=1` writes it again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use windlass_blueprint::Catalog;
use windlass_integration::scenario;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/simulator/scenarios");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the scenarios are there")
        .map(|entry| entry.expect("a readable entry").path())
        .collect();
    paths.sort();
    paths
}

fn scenarios() -> Vec<PathBuf> {
    let only = std::env::var("ONLY").unwrap_or_default();
    files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .filter(|path| path.to_string_lossy().contains(&only))
        .collect()
}

/// What is wrong with one scenario.
fn check(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a readable scenario");
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let reported = match scenario::run(&text, Catalog::builtin()) {
        Ok(reported) => reported,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let mut wrongs: Vec<String> = reported.wrongs.iter().map(|wrong| format!("{name}: {wrong}")).collect();
    let frozen = path.with_extension("out");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&frozen, &reported.output).expect("a writable folder");
    } else if fs::read_to_string(&frozen).unwrap_or_default() != reported.output {
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

#[test]
fn no_line_of_a_plan_or_result_is_wider_than_a_hundred_columns() {
    let own = ["story", "observe"];
    for path in files().iter().filter(|path| path.extension().is_some_and(|extension| extension == "out")) {
        let text = fs::read_to_string(path).expect("a readable output");
        let mut is_rendered = false;
        for line in text.lines() {
            match line.strip_prefix("> ") {
                Some(command) => is_rendered = !own.iter().any(|own| command.starts_with(own)),
                // Lines of the scenario itself begin with two blanks and a word of its own.
                None if is_rendered && !line.starts_with("  warning: ") && !line.starts_with("  !! ") => {
                    assert!(line.chars().count() <= 100, "{}: {line}", path.display());
                }
                None => {}
            }
        }
    }
}

#[test]
fn a_line_that_is_not_understood_is_named() {
    let error = scenario::run("cluster 1 all\n\nup quickly\n", Catalog::builtin());
    assert_eq!(
        error,
        Err("line 3: `quickly` is neither `quietly`, `briefly`, `gone` nor `expect`: up quickly".to_owned())
    );
}

#[test]
fn a_run_that_ends_otherwise_than_expected_is_wrong_whatever_is_frozen() {
    let reported = scenario::run("cluster 1 all\nup quietly expect held\n", Catalog::builtin());
    assert_eq!(reported.map(|reported| reported.wrongs), Ok(vec!["expected was End(Held)".to_owned()]));
}

#[test]
fn a_trace_that_is_left_is_wrong_whatever_is_frozen() {
    let reported = scenario::run(
        "cluster 1 all\nup quietly\nremove quietly\non node-1 docker run other etcd\nexpect no trace\n",
        Catalog::builtin(),
    );
    assert_eq!(
        reported.map(|reported| reported.wrongs),
        Ok(vec!["node-1 still has container etcd".to_owned()])
    );
}

#[test]
fn steps_that_are_left_are_wrong_whatever_is_frozen() {
    let reported = scenario::run(
        "cluster 1 all\nup quietly\non node-1 docker stop kubelet\nexpect rests\n",
        Catalog::builtin(),
    );
    assert_eq!(reported.map(|reported| reported.wrongs), Ok(vec!["planning again gives steps".to_owned()]));
}

#[test]
fn no_frozen_output_is_left_without_its_scenario() {
    let frozen = |path: &Path| path.extension().is_some_and(|extension| extension == "out");
    let orphans: Vec<PathBuf> =
        files().into_iter().filter(|path| frozen(path) && !path.with_extension("txt").exists()).collect();
    assert_eq!(orphans, Vec::<PathBuf>::new());
}
