//! What runs on a node: the binary of windlass again, in the image `windlass/node`.
//!
//! ```text
//! windlass-node serve       one request on stdin, one answer on stdout: files, looks, cleaning
//! windlass-node snapshots   the rolling snapshots of etcd
//! ```

use std::ffi::OsString;
use std::process::ExitCode;

/// The name of the program in the image: the binary of windlass knows by it that it runs on a node.
pub const PROGRAM: &str = "windlass-node";

/// The exit code for a verb that this version does not know, as in sysexits.
const USAGE: u8 = 64;

/// Runs the program; the arguments are those behind its name.
pub fn run(arguments: &[OsString]) -> ExitCode {
    let verb = arguments.first().and_then(|verb| verb.to_str());
    verbs(verb.unwrap_or_default())
}

fn verbs(_verb: &str) -> ExitCode {
    ExitCode::from(USAGE)
}
