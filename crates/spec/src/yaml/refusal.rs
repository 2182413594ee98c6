//! Why a text is no YAML, in words that say what to do.

use granit_parser::{ErrorKind, ScanError};

use super::{MAX_NESTING, byte_offset};

/// Why a text is no YAML.
#[derive(Debug)]
pub(crate) struct Syntax {
    /// Where reading stopped.
    pub(crate) at: usize,
    /// Why.
    pub(crate) summary: String,
    /// What to do about it.
    pub(crate) help: Option<&'static str>,
}

/// The parser's refusal in words that say what to do, where more is known than "unexpected".
pub(super) fn refusal(text: &str, error: &ScanError) -> Syntax {
    let at = byte_offset(text, *error.marker());
    let (summary, help) = match error.kind() {
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            ("a tab cannot indent".to_owned(), Some("YAML indents by spaces alone"))
        }
        ErrorKind::RecursionLimitExceeded => (
            format!("nested more than {MAX_NESTING} levels deep"),
            Some("no key of cluster.yml is nested that deep"),
        ),
        ErrorKind::UnknownAnchor => (
            "this alias names no anchor".to_owned(),
            Some(
                "an anchor (`&name`) must stand before its alias (`*name`); quote a text that begins with `*`",
            ),
        ),
        ErrorKind::UnexpectedCharacter { character } => {
            (format!("a value cannot begin with `{}`", character.escape_debug()), Some("quote the text"))
        }
        ErrorKind::UnclosedQuotedScalar => {
            ("this quote is never closed".to_owned(), Some("close it with the same kind of quote"))
        }
        ErrorKind::UnclosedFlowCollection { open } => (
            format!("this `{open}` is never closed"),
            Some(if *open == '[' { "close the list with `]`" } else { "close the map with `}`" }),
        ),
        ErrorKind::InvalidQuotedScalarIndent => (
            "the next line of a quoted text is not indented".to_owned(),
            Some("close the quote, or indent the line further than the key"),
        ),
        ErrorKind::CommentNotSeparated => {
            ("no space before a comment".to_owned(), Some("put a space before `#`"))
        }
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::ExpectedBlockSequenceEntry => (
            "this line fits neither the lines before it nor the map or list they are in".to_owned(),
            Some("align it with the keys or dashes it belongs to"),
        ),
        ErrorKind::InvalidColonPlacement
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::ExpectedFlowMappingSeparator => (
            "this cannot follow inside brackets".to_owned(),
            Some("is a `[` or `{` before it not closed, or a comma missing?"),
        ),
        ErrorKind::SimpleKeyExpected => {
            ("a line that is neither `key: value` nor `- item`".to_owned(), Some("is a `:` missing?"))
        }
        _ => (error.info(), None),
    };
    Syntax { at, summary: format!("not YAML: {summary}"), help }
}
