//! What the catalog makes of a cluster.yml that could be read: errors and warnings with their places.

use serde::Serialize;
use windlass_model::SpecPath;
pub use windlass_spec::Severity;

/// Something about a cluster.yml that only the catalog can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether there can be a blueprint in spite of it.
    pub severity: Severity,
    /// Where in cluster.yml.
    pub path: SpecPath,
    /// What is wrong, in one line.
    pub summary: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Where problems are gathered.
#[derive(Debug, Default)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl Problems {
    pub(crate) fn error(&mut self, path: &str, summary: String, help: Option<String>) {
        self.0.push(Problem { severity: Severity::Error, path: path.into(), summary, help });
    }

    pub(crate) fn warning(&mut self, path: &str, summary: String, help: Option<String>) {
        self.0.push(Problem { severity: Severity::Warning, path: path.into(), summary, help });
    }

    pub(crate) fn has_error(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }
}
