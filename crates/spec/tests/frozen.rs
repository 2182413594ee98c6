//! Whole outputs for whole files, frozen beside them: `bad/*.out` what is said, `good/*.out` what is read.
//!
//! `UPDATE=1 cargo test -p windlass-spec --test frozen` writes them anew.
#![expect(clippy::disallowed_methods, reason = "the tests read files; the crate does not")]
#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use windlass_spec::{Severity, Strictness, read, read_with, render};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    files.sort();
    files
}

/// Compares with the frozen output, or freezes this one.
fn check(file: &Path, output: &str, wrong: &mut Vec<String>) {
    let frozen = file.with_extension("out");
    if std::env::var("UPDATE").is_ok() {
        fs::write(frozen, output).unwrap();
    } else if fs::read_to_string(&frozen).unwrap_or_default() != output {
        wrong.push(format!("{}:\n{output}", file.display()));
    }
}

#[test]
fn bad_files_are_refused_with_all_their_errors() {
    let mut wrong = Vec::new();
    let files = files("bad");
    assert!(files.len() >= 60);
    for file in files {
        let text = fs::read(&file).unwrap();
        // What is wrong only where unknown keys are errors says so in its name.
        let is_strict = file.file_name().unwrap().to_string_lossy().starts_with("strict-");
        let reading = read_with(&text, if is_strict { Strictness::Strict } else { Strictness::Lenient });
        assert!(reading.spec.is_none(), "{}", file.display());
        let mut errors =
            reading.diagnostics.iter().filter(|found| found.severity == Severity::Error).peekable();
        assert!(errors.peek().is_some());
        assert!(errors.all(|error| error.help.is_some()), "{}: what to do?", file.display());
        check(&file, &render(&reading.diagnostics, "cluster.yml", &text), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn good_files_are_read_in_full() {
    let mut wrong = Vec::new();
    for file in files("good") {
        let text = fs::read(&file).unwrap();
        let reading = read(&text);
        let said = render(&reading.diagnostics, "cluster.yml", &text);
        let spec = reading.spec.unwrap_or_else(|| panic!("{}:\n{said}", file.display()));
        let spec = serde_json::to_string_pretty(&spec).unwrap();
        check(&file, &format!("{said}\n{spec}\n"), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_output_holds_a_secret_of_a_file() {
    for file in files("bad").into_iter().chain(files("good")) {
        let text = fs::read(&file).unwrap();
        let reading = read(&text);
        let said = render(&reading.diagnostics, "cluster.yml", &text);
        let all = format!("{said}{reading:?}{}", serde_json::to_string(&reading.diagnostics).unwrap());
        for secret in ["hunter2", "wJalrXUtnFEMI", "AKIAEXAMPLE", "BEGIN RSA"] {
            assert!(!all.contains(secret), "{}: {secret}\n{all}", file.display());
        }
    }
}

#[test]
fn a_diagnostic_for_machines_has_its_place_in_numbers() {
    let reading = read(b"nodes:\n- address: 10.0.0.1\n  user: ops\n  role: [etcd, controlplan]\n");
    let json = serde_json::to_value(&reading.diagnostics).unwrap();
    let expected = serde_json::json!([{
        "severity": "error",
        "summary": "unknown role `controlplan`",
        "place": {
            "path": "nodes[0].role[1]",
            "line": 4,
            "column": 16,
            "end": { "line": 4, "column": 27 }
        },
        "help": "did you mean `controlplane`?"
    }]);
    assert_eq!(json, expected);
}
