//! The present time, errors in one line, and lines in a container's log.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use windlass_model::Timestamp;

pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_secs())
}

/// The error and its causes in one line.
pub(crate) fn reported(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// One line in the container's log.
pub(super) fn log(line: &str) {
    // A log that cannot be written is no reason to stop taking snapshots.
    let _ = writeln!(std::io::stderr(), "{} {line}", now());
}
