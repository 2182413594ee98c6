//! Keeps the lease of a run: runs as long as windlass sends signs of life.

use std::io::{Read as _, stdin};
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// How often windlass sends a sign of life.
pub const BEAT: Duration = Duration::from_secs(10);
/// After how long without one its machine counts as gone.
const SILENCE: Duration = Duration::from_secs(60);
/// The same of the first one: windlass sends it at once.
const FIRST: Duration = Duration::from_secs(4);

/// Returns when stdin ends, or nothing arrives for [`SILENCE`], at first for [`FIRST`].
pub(crate) fn keep() -> ExitCode {
    let (beat, beats) = channel();
    thread::spawn(move || {
        let (mut input, mut bytes) = (stdin().lock(), [0; 64]);
        while input.read(&mut bytes).is_ok_and(|count| count > 0) && beat.send(()).is_ok() {}
    });
    let mut patience = FIRST;
    while beats.recv_timeout(patience).is_ok() {
        patience = SILENCE;
    }
    ExitCode::SUCCESS
}
