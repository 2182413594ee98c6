//! What the catalog and the add-ons report about a cluster.yml that could be read: errors and warnings with
//! their places.

use serde::Serialize;
use windlass_model::SpecPath;
pub use windlass_spec::Severity;

/// A problem of a cluster.yml that its syntax does not show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether there can be a blueprint despite it.
    pub severity: Severity,
    /// Where in cluster.yml.
    pub path: SpecPath,
    /// What is wrong, in one line.
    pub summary: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Collects problems.
#[derive(Clone, Debug, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds a problem because of which there is no blueprint.
    pub fn error(&mut self, path: &str, summary: String, help: Option<String>) {
        self.0.push(Problem { severity: Severity::Error, path: path.into(), summary, help });
    }

    /// Adds something that the operator should know.
    pub fn warning(&mut self, path: &str, summary: String, help: Option<String>) {
        self.0.push(Problem { severity: Severity::Warning, path: path.into(), summary, help });
    }

    /// Whether there can be no blueprint.
    pub fn has_error(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }
}
