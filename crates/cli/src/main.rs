//! The command `windlass`: reads cluster.yml, shows what is to be done, and does it.
//!
//! ```text
//! arguments ─▶ commands ─▶ wish ─▶ course ─▶ render, json ─▶ printer
//!                            │        │
//!                       cluster.yml   └─ engine, on the machines of `simulate`
//! ```

mod arguments;
mod commands;
mod course;
mod exit;
mod json;
mod ledger_file;
mod printer;
mod progress;
mod render;
mod simulate;
mod trouble;
mod wish;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::arguments::Arguments;
use crate::exit::Exit;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let exit = match Arguments::try_parse() {
        Ok(arguments) => commands::run(&arguments.command),
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
