//! What goes wrong on a node, and with which path.

use std::io;

/// What went wrong, and with which path.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The system refused.
    #[error("{path}: {source}")]
    Path {
        /// With what.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It would do harm.
    #[error("{path}: {why}")]
    Refused {
        /// With what.
        path: String,
        /// Why.
        why: String,
    },
}

/// Names the path that an error of the system is about.
pub(crate) trait At<T> {
    /// The error with its path.
    fn at(self, path: impl std::fmt::Display) -> Result<T, Fault>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, path: impl std::fmt::Display) -> Result<T, Fault> {
        self.map_err(|source| Fault::Path { path: path.to_string(), source: source.into() })
    }
}
