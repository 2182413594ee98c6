//! Why a step did not succeed, from the outermost cause inwards.

use std::error::Error;

use windlass_model::{ContainerName, NodeName};

use crate::ports::{PortError, PortResult};

/// Why one attempt at a step did not succeed. No variant contains a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// A verb failed.
    #[error("{doing}")]
    Verb { doing: String, source: PortError },
    /// A container was created and did not start.
    #[error("start {container} on {node}")]
    NotStarted { container: ContainerName, node: NodeName, source: PortError },
    /// The condition of a disruption was not met for as long as was waited.
    #[error("{guard} (waited {seconds} s)")]
    Unguarded { guard: String, seconds: u64, source: Seen },
    /// What was waited for did not happen.
    #[error("waited {seconds} s in vain for {wanted}")]
    TimeUp { wanted: String, seconds: u32, source: Seen },
    /// Some objects of manifests could not be applied.
    #[error("{} of {of} objects of manifests are not applied", failed.len())]
    Manifests { of: usize, failed: Vec<Unapplied> },
    /// The step cannot be carried out as it is.
    #[error("{what}")]
    Unfit { what: String },
}

/// An object of a manifest that could not be applied.
#[derive(Debug)]
pub(crate) struct Unapplied {
    /// The place of the manifest; empty where it has none.
    pub(crate) from: String,
    /// The object.
    pub(crate) object: String,
    /// Why not.
    pub(crate) error: PortError,
}

/// What was last seen of the thing that was waited for.
#[derive(Debug, thiserror::Error)]
#[error("last seen: {0}")]
pub(crate) struct Seen(pub(crate) String);

impl StepError {
    pub(crate) fn unfit(what: impl Into<String>) -> Self {
        Self::Unfit { what: what.into() }
    }

    /// The port's error, if the same step may succeed a moment later.
    pub(crate) fn passing(&self) -> Option<&PortError> {
        match self {
            Self::Verb { source, .. } | Self::NotStarted { source, .. } => {
                Some(source).filter(|source| source.is_passing())
            }
            Self::Manifests { of: _, failed } => {
                failed.iter().map(|unapplied| &unapplied.error).find(|error| error.is_passing())
            }
            Self::Unguarded { .. } | Self::TimeUp { .. } | Self::Unfit { .. } => None,
        }
    }

    /// Whether the log of the container may explain it.
    pub(crate) fn is_explained_by_the_log(&self) -> bool {
        match self {
            Self::NotStarted { source, .. } => !matches!(source, PortError::OutOfSight { .. }),
            Self::TimeUp { .. } => true,
            // Before a start, the log would be that of an unrelated container.
            Self::Verb { .. } | Self::Unguarded { .. } | Self::Manifests { .. } | Self::Unfit { .. } => false,
        }
    }

    /// The error and its causes, outermost first. What a cause repeats from the one before it is left out: a
    /// port names what it did, and so does the step.
    pub(crate) fn causes(&self) -> Vec<String> {
        let mut outer = self.to_string();
        let mut causes = vec![outer.clone()];
        let mut cause = self.source();
        while let Some(error) = cause {
            let inner = error.to_string();
            let rest = inner.strip_prefix(&outer).and_then(|rest| rest.strip_prefix(": "));
            causes.push(rest.unwrap_or(&inner).to_owned());
            outer = inner;
            cause = error.source();
        }
        if let Self::Manifests { of: _, failed } = self {
            causes.extend(failed.iter().map(|Unapplied { from, object, error }| {
                let what = error.to_string();
                // A port names the object that it was asked to apply.
                let what = what.strip_prefix("apply ").unwrap_or(&what);
                let what =
                    if what.starts_with(object) { what.to_owned() } else { format!("{object}: {what}") };
                if from.is_empty() { what } else { format!("{from}: {what}") }
            }));
        }
        causes
    }
}

/// The result of the body of a step.
pub(crate) type Done = Result<(), StepError>;

/// Adds what was being done when a verb failed.
pub(crate) trait Doing<T> {
    /// Turns an error into a step's error that says what was being done.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StepError>;
}

impl<T> Doing<T> for PortResult<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StepError> {
        self.map_err(|source| StepError::Verb { doing: what(), source })
    }
}

/// Counts an effect that existed already as success: every verb may have taken effect before.
pub(crate) fn accept_already_so(result: PortResult<()>) -> PortResult<()> {
    match result {
        Err(PortError::AlreadySo { .. }) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn causes(of_port: &str) -> Vec<String> {
        let source = PortError::Lasting { what: of_port.to_owned() };
        StepError::Verb { doing: "pull x on node-1".to_owned(), source }.causes()
    }

    #[test]
    fn each_object_that_was_not_applied_is_a_cause() {
        let unapplied = |what: &str| Unapplied {
            from: "web.yml, line 3".to_owned(),
            object: "ConfigMap a/b".to_owned(),
            error: PortError::Lasting { what: what.to_owned() },
        };
        let failed = vec![unapplied("apply ConfigMap a/b: refused"), unapplied("no API server answers")];
        assert_eq!(
            StepError::Manifests { of: 3, failed }.causes(),
            [
                "2 of 3 objects of manifests are not applied",
                "web.yml, line 3: ConfigMap a/b: refused",
                "web.yml, line 3: ConfigMap a/b: no API server answers",
            ]
        );
    }

    #[test]
    fn a_cause_does_not_repeat_what_was_being_done() {
        assert_eq!(causes("pull x on node-1: no space left"), ["pull x on node-1", "no space left"]);
        assert_eq!(causes("pull x on node-10: lost"), ["pull x on node-1", "pull x on node-10: lost"]);
        assert_eq!(causes("no space left"), ["pull x on node-1", "no space left"]);
    }
}
