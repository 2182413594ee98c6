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
mod commands;
mod exit;
mod file_commands;
mod json;
mod kubeconfig;
mod ledger_file;
mod pairs;
mod printer;
mod progress;
mod questions;
mod real;
mod scene;
mod simulate;
mod source;
mod ssh_pairs;
mod trouble;

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
    let exit = match Arguments::try_parse() {
        Ok(Arguments { task: Task::Cluster(command) }) => commands::run(&command),
        Ok(Arguments { task: Task::File(command) }) => file_commands::run(&command),
        Err(error) => {
            // A closed pipe is no reason to end otherwise.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
                _ => Exit::BadInput,
            }
        }
    };
    exit.into()
}

/// The arguments for the program that runs on nodes, if this is a call of it: by its name, as in its image.
fn on_node() -> Option<Vec<OsString>> {
    let mut arguments = std::env::args_os();
    let name = arguments.next()?;
    (Path::new(&name).file_name()? == windlass_sidecar::PROGRAM).then(|| arguments.collect())
}
