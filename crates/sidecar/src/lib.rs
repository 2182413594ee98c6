//! The program on a node: the binary of windlass again, in the image `windlass/node`.
//!
//! ```text
//! windlass-node serve --at-host    one request on stdin, one answer on stdout: files, looks, cleaning
//! windlass-node lease              keeps the lease of a run, as long as that lives
//! windlass-node snapshots …        the rolling snapshots of etcd
//! windlass-node snapshot --name=…  one snapshot of etcd
//! ```

mod api_server;
mod aside;
mod bucket;
mod clean;
mod etcd;
mod fault;
mod hand_over;
mod host;
mod kernel;
mod lease;
mod look;
mod mounts;
mod network;
mod pods;
pub mod protocol;
mod put;
mod serve;
mod snapshots;

use std::ffi::OsString;
use std::process::ExitCode;

pub use lease::BEAT;
pub use serve::{AT_HOST, HOST, IN_HOST, answer};
pub use snapshots::{ONCE, ROLLING};

/// The name of the program in the image, by which the binary of windlass knows that it runs on a node.
pub const PROGRAM: &str = "windlass-node";
/// The verb that answers one request.
pub const SERVE: &str = "serve";

/// The verb that keeps the lease of a run.
pub const LEASE: &str = "lease";

/// The exit code for a verb that this version does not know, as in sysexits.
const USAGE: u8 = 64;

/// Runs the program; the arguments are those after its name.
pub fn run(arguments: &[OsString]) -> ExitCode {
    match arguments.split_first() {
        Some((verb, rest)) if verb == SERVE => serve::serve(rest),
        Some((verb, [])) if verb == LEASE => lease::keep(),
        Some((verb, rest)) if verb == ROLLING => snapshots::run_rolling(rest),
        Some((verb, rest)) if verb == ONCE => snapshots::run_once(rest),
        _ => ExitCode::from(USAGE),
    }
}
