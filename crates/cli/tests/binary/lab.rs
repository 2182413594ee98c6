//! A directory of its own for each test, in which the real binary runs; and frozen transcripts of it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A directory with a cluster.yml and a world, and the transcript of what ran there.
pub(crate) struct Lab {
    directory: PathBuf,
    transcript: String,
}

/// Three nodes with all roles.
pub(crate) const THREE_NODES: &str = "\
cluster_name: demo
kubernetes_version: v1.20.2
nodes:
  - {address: 10.0.0.1, hostname_override: node-1, user: ops, role: [controlplane, etcd, worker]}
  - {address: 10.0.0.2, hostname_override: node-2, user: ops, role: [controlplane, etcd, worker]}
  - {address: 10.0.0.3, hostname_override: node-3, user: ops, role: [controlplane, etcd, worker]}
network: {plugin: none}
services:
  kubelet:
    extra_args:
      max-pods: 250
dns: {provider: none}
ingress: {provider: none}
monitoring: {provider: none}
";

impl Lab {
    /// An empty directory, which is deleted with the lab.
    pub(crate) fn new(test: &str) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        Self { directory, transcript: String::new() }
    }

    /// Three bare machines and a desired state for them.
    pub(crate) fn with_three_nodes(test: &str) -> Self {
        Self::new(test).with("cluster.yml", THREE_NODES).with("world.yml", "bare: 3\n")
    }

    /// Adds a file.
    pub(crate) fn with(self, name: &str, text: &str) -> Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Replaces a text in a file that contains it once.
    pub(crate) fn edit(&mut self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {name}");
        fs::write(self.path(name), text.replace(from, to)).unwrap();
        let _ = writeln!(self.transcript, "# edit {name}: {} → {}\n", from.trim(), to.trim());
    }

    /// Runs the binary without recording it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_windlass"))
            .args(arguments)
            .current_dir(&self.directory)
            .env_remove("WINDLASS_CONFIG")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs the binary and records everything that it printed.
    pub(crate) fn note(&mut self, arguments: &str) -> Output {
        let output = self.run(&arguments.split_whitespace().collect::<Vec<_>>());
        let _ = writeln!(self.transcript, "$ windlass {arguments}");
        for (stream, bytes) in [("", &output.stdout), ("stderr: ", &output.stderr)] {
            for line in String::from_utf8_lossy(bytes).lines() {
                let _ =
                    writeln!(self.transcript, "{}", format!("{stream}{}", without_times(line)).trim_end());
            }
        }
        let _ = writeln!(self.transcript, "exit {}\n", output.status.code().unwrap_or(-1));
        output
    }

    /// The names of all files in the directory.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Compares the transcript with the frozen one; `UPDATE=1` freezes it again.
    pub(crate) fn compare(self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen").join(name);
        compare_file(&path, self.transcript.trim_end());
        fs::remove_dir_all(&self.directory).unwrap();
    }
}

/// Compares a text with a file; `UPDATE=1` writes the file.
pub(crate) fn compare_file(path: &Path, text: &str) {
    let text = format!("{text}\n");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        return;
    }
    let frozen = fs::read_to_string(path).unwrap_or_default();
    if let Some(difference) = first_difference(&frozen, &text) {
        panic!("{} is out of date; `UPDATE=1` writes it anew.\n{difference}", path.display());
    }
}

/// The first line in which two texts differ.
fn first_difference(frozen: &str, text: &str) -> Option<String> {
    let (mut old, mut new) = (frozen.lines(), text.lines());
    let mut number = 1;
    loop {
        match (old.next(), new.next()) {
            (None, None) => return (frozen != text).then(|| "They differ at their ends.".to_owned()),
            (old, new) if old == new => number += 1,
            (old, new) => {
                let shown = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
                return Some(format!("line {number}\n  was: {}\n  is:  {}", shown(old), shown(new)));
            }
        }
    }
}

/// Numbers of seconds and milliseconds vary with the simulated pace: `12.3s` becomes `…s`.
fn without_times(line: &str) -> String {
    let line = match line.split_once("\"milliseconds\": ") {
        Some((before, _)) => format!("{before}\"milliseconds\": …,"),
        None => line.to_owned(),
    };
    let letters: Vec<char> = line.chars().collect();
    let mut text = String::new();
    let mut at = 0;
    while at < letters.len() {
        let digits =
            |from: usize| letters[from..].iter().take_while(|letter| letter.is_ascii_digit()).count();
        let whole = digits(at);
        let is_start = at == 0 || !(letters[at - 1].is_alphanumeric() || "._-:/".contains(letters[at - 1]));
        let is_time = is_start
            && whole > 0
            && letters.get(at + whole) == Some(&'.')
            && digits(at + whole + 1) == 1
            && letters.get(at + whole + 2) == Some(&'s')
            && letters.get(at + whole + 3).is_none_or(|letter| !letter.is_alphanumeric());
        if is_time {
            text.push_str("…s");
            at += whole + 3;
        } else {
            let step = whole.max(1);
            text.extend(&letters[at..at + step]);
            at += step;
        }
    }
    // Progress begins with a time in its own column.
    if text.trim_start().starts_with("…s") { format!("  {}", text.trim_start()) } else { text }
}
