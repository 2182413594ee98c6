//! Errors on a node, with the path that they concern.

use std::io;

/// An error, with the path that it concerns.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The system call failed.
    #[error("{path}: {source}")]
    Path {
        /// The path.
        path: String,
        /// The error.
        source: io::Error,
    },
    /// It would do harm.
    #[error("{path}: {why}")]
    Refused {
        /// The path.
        path: String,
        /// The reason.
        why: String,
    },
}

/// Adds the path to an error of the system.
pub(crate) trait At<T> {
    /// The error with its path.
    fn at(self, path: impl std::fmt::Display) -> Result<T, Fault>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, path: impl std::fmt::Display) -> Result<T, Fault> {
        self.map_err(|source| Fault::Path { path: path.to_string(), source: source.into() })
    }
}
