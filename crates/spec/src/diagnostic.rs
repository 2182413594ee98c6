//! What is wrong with a file, where, and what to do about it.

use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

/// One thing that a reader of the file should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Whether the file can be used in spite of it.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub summary: String,
    /// Where it is.
    pub place: Place,
    /// What a reader sees beside the marked text; empty for nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// What else is worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but perhaps not as meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A place in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The path to it, such as `nodes[2].address`; empty for the file as a whole.
    pub path: String,
    /// The lines and columns of it; none where the path leads nowhere.
    pub range: Option<Range>,
}

/// With `line`, `column` and `end`, which are null where the path leads nowhere.
impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { path, range } = self;
        let mut place = serializer.serialize_struct("Place", 4)?;
        place.serialize_field("path", path)?;
        place.serialize_field("line", &range.map(|range| range.start.line))?;
        place.serialize_field("column", &range.map(|range| range.start.column))?;
        place.serialize_field("end", &range.map(|range| range.end))?;
        place.end()
    }
}

/// A piece of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// Where it begins.
    pub start: Position,
    /// Where it ends: the place after its last character.
    pub end: Position,
}

/// A place between two characters of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line, counted from 1.
    pub line: u32,
    /// The column in characters, counted from 1.
    pub column: u32,
}
