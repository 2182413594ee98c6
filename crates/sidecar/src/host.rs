//! The host's own programs, run in its own mount namespace.

use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

/// Where a host may have its programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs a program of the host; none if it has no such program.
pub(crate) fn run(program: &str, arguments: &[&str], input: Option<&[u8]>) -> io::Result<Option<Output>> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", PATH);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        spawned => spawned?,
    };
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.unwrap_or_default())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(Some(output));
    }
    let reported = String::from_utf8_lossy(&output.stderr);
    let last =
        reported.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed without a word");
    Err(io::Error::other(format!("{program}: {last}")))
}
