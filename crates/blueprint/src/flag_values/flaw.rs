//! What is wrong with a value: what the component refuses, and what only some versions of it do.

use windlass_addons::Severity;

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) severity: Severity,
    /// Completes a sentence that begins with the value: "is no …".
    pub(crate) what: String,
    pub(crate) help: String,
}

#[expect(clippy::unnecessary_wraps, reason = "it is the answer of those who call it")]
pub(super) fn refused(what: impl Into<String>, help: impl Into<String>) -> Option<Flaw> {
    Some(Flaw { severity: Severity::Error, what: what.into(), help: help.into() })
}

#[expect(clippy::unnecessary_wraps, reason = "it is the answer of those who call it")]
pub(super) fn doubtful(what: impl Into<String>, help: impl Into<String>) -> Option<Flaw> {
    Some(Flaw { severity: Severity::Warning, what: what.into(), help: help.into() })
}
