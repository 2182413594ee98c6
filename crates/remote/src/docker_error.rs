//! Errors of calls to Docker, and their meaning for the engine.

use std::time::Duration;

use bollard::errors::Error;
use windlass_engine::PortError;
use windlass_model::NodeName;

/// Why a call to Docker did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DockerError {
    /// Docker refused.
    Refused {
        /// The status of its answer.
        status: u16,
        /// Its message.
        message: String,
    },
    /// Docker did not answer, or the connection broke.
    Lost(String),
    /// There was no answer in time.
    TimeUp(Duration),
}

impl From<Error> for DockerError {
    fn from(error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                Self::Refused { status: status_code, message }
            }
            // An error in the middle of a pull or a load: again Docker's message.
            Error::DockerStreamError { error } => Self::Refused { status: 500, message: error },
            other => Self::Lost(chain(&other)),
        }
    }
}

/// An error and its causes, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        if !text.contains(&inner) {
            text = format!("{text}: {inner}");
        }
        cause = error.source();
    }
    text
}

/// Parts of messages of Docker and of registries after which another attempt may succeed.
const PASSING: [&str; 12] = [
    "connection refused",
    "connection reset",
    "i/o timeout",
    "timeout exceeded",
    "TLS handshake timeout",
    "context deadline exceeded",
    "unexpected EOF",
    ": EOF",
    "no route to host",
    "temporary failure",
    "server misbehaving",
    "toomanyrequests",
];

impl DockerError {
    /// The error for the engine, where no particular error is expected.
    pub(crate) fn of(self, node: &NodeName, what: &str) -> PortError {
        match self {
            Self::Refused { status, message } => {
                let what = format!("{what} on {node}: {}", message.trim());
                let passes = status == 503 || PASSING.iter().any(|words| message.contains(words));
                if passes { PortError::Passing { what } } else { PortError::Lasting { what } }
            }
            Self::Lost(cause) => PortError::Passing { what: format!("{what} on {node}: {cause}") },
            Self::TimeUp(within) => PortError::Passing {
                what: format!("{what} on {node}: no answer within {} s", within.as_secs()),
            },
        }
    }

    /// Whether this is the status of Docker's answer.
    pub(crate) fn is(&self, wanted: u16) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == wanted)
    }

    /// Whether Docker's answer says this.
    pub(crate) fn says(&self, words: &str) -> bool {
        matches!(self, Self::Refused { message, .. } if message.contains(words))
    }
}

/// The effect existed already.
pub(crate) fn already<T>(what: impl Into<String>) -> Result<T, PortError> {
    Err(PortError::AlreadySo { what: what.into() })
}

/// Another attempt would not help.
pub(crate) fn lasting(what: impl Into<String>) -> PortError {
    PortError::Lasting { what: what.into() }
}

/// Another attempt may help.
pub(crate) fn passing(what: impl Into<String>) -> PortError {
    PortError::Passing { what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_distinguished_from_what_lasts() {
        let refused = |status, message: &str| DockerError::Refused { status, message: message.to_owned() };
        for (error, passes) in [
            (
                refused(
                    500,
                    "Get \"https://r:5000/v2/\": dial tcp 10.0.0.1:5000: connect: connection refused",
                ),
                true,
            ),
            (refused(500, "Get \"https://r:5000/v2/\": no basic auth credentials"), false),
            (refused(404, "manifest for r:5000/etcd:v1 not found: manifest unknown"), false),
            (refused(500, "write /var/lib/docker/tmp/x: no space left on device"), false),
            (refused(503, ""), true),
            (DockerError::Lost("connection closed before message completed".to_owned()), true),
            (DockerError::TimeUp(Duration::from_secs(30)), true),
        ] {
            let error = error.clone().of(&NodeName::from("n1"), "pull x");
            assert_eq!(error.is_passing(), passes, "{error:?}");
        }
    }
}
