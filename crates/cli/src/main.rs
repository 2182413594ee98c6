//! The command `windlass`: reads cluster.yml, shows what is to be done, and does it.
//!
//! ```text
//! arguments ─▶ commands ─▶ source ─▶ windlass_course ─▶ render, json ─▶ printer
//!                             │             │
//!                        cluster.yml        └─ engine, on the machines of a scene:
//!                                              `real`, over SSH, or `simulate`, out of a file
//! ```

mod access;
mod arguments;
mod bucket;
mod command_error;
mod commands;
mod etcd;
mod etcd_recover;
mod etcd_status;
mod exit;
mod file_commands;
mod harmless;
mod includes;
mod json;
mod kubeconfig;
mod ledger_file;
mod lock;
mod pairs;
mod printer;
mod progress;
mod questions;
mod real;
mod rehearse;
mod scene;
mod simulate;
mod snapshots;
mod snapshots_found;
mod source;
mod ssh_pairs;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::arguments::{Arguments, Task};
use crate::exit::Exit;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(arguments) = on_node() {
        return windlass_sidecar::run(&arguments);
    }
    let exit = match Arguments::try_parse_from(as_spelled_here(std::env::args_os())) {
        Ok(Arguments { task: Task::Cluster(command) }) => commands::run(&command),
        Ok(Arguments { task: Task::File(command) }) => file_commands::run(&command),
        Err(error) => {
            // A closed pipe is no reason for another exit code.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
                _ => Exit::BadInput,
            }
        }
    };
    exit.into()
}

/// RKE's spellings become windlass' own: `etcd snapshot-save --name NAME` is `etcd snapshot save NAME`.
fn as_spelled_here(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let given: Vec<OsString> = arguments.collect();
    let is_rkes = |word: &OsString| matches!(word.to_str(), Some("snapshot-save" | "snapshot-restore"));
    let (Some("etcd"), Some(word)) = (given.get(1).and_then(|word| word.to_str()), given.get(2)) else {
        return given;
    };
    if !is_rkes(word) {
        return given;
    }
    let verb = word.to_string_lossy().trim_start_matches("snapshot-").to_owned();
    let mut spelled: Vec<OsString> = given[..2].to_vec();
    spelled.extend(["snapshot".into(), verb.into()]);
    for argument in &given[3..] {
        match argument.to_str() {
            Some("--name") => {}
            Some(text) if text.starts_with("--name=") => spelled.push(text["--name=".len()..].into()),
            _ => spelled.push(argument.clone()),
        }
    }
    spelled
}

/// The arguments for the program that runs on nodes, if it was called by the name that it has in its image.
fn on_node() -> Option<Vec<OsString>> {
    let mut arguments = std::env::args_os();
    let name = arguments.next()?;
    (Path::new(&name).file_name()? == windlass_sidecar::PROGRAM).then(|| arguments.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_rke_are_taken() {
        let spelled = |words: &str| {
            let words = as_spelled_here(words.split(' ').map(OsString::from));
            words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            spelled("windlass etcd snapshot-save --name mine --config c.yml"),
            "windlass etcd snapshot save mine --config c.yml"
        );
        assert_eq!(
            spelled("windlass etcd snapshot-restore --name=mine"),
            "windlass etcd snapshot restore mine"
        );
        assert_eq!(spelled("windlass up --name x"), "windlass up --name x");
    }
}
