//! Why a text is no YAML, in words that say what to do.

use std::borrow::Cow;

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
    pub(crate) help: Cow<'static, str>,
}

/// The parser's refusal in words that say what to do, where more is known than "unexpected".
pub(super) fn refusal(text: &str, error: &ScanError) -> Syntax {
    let at = byte_offset(text, *error.marker());
    if let Some((at, blank)) = odd_indentation(text, at) {
        return Syntax {
            at,
            summary: format!(
                "not YAML: the line begins with a blank that is no space (U+{:04X})",
                u32::from(blank)
            ),
            help: "indent it by spaces: text copied from a web page often has such blanks".into(),
        };
    }
    if let Some(at) = line_of_template(text, at) {
        return Syntax {
            at,
            summary: "not YAML: a place that a template fills in".to_owned(),
            help: "fill in the template first: windlass reads what comes of it".into(),
        };
    }
    let is_of_lines =
        matches!(error.kind(), ErrorKind::SimpleKeyExpected | ErrorKind::ExpectedBlockMappingKey)
            || error.info().contains("mapping value");
    if let Some((at, right)) = colon_without_blank(text, at).filter(|_| is_of_lines) {
        return Syntax {
            at,
            summary: "not YAML: a key with no blank behind its colon".to_owned(),
            help: format!("put a blank after the colon: `{right}`").into(),
        };
    }
    if let Some(at) = stray_first_line(text, at) {
        return Syntax {
            at,
            summary: "not YAML: a line that is neither `key: value` nor `- item`".to_owned(),
            help: "remove it if it was copied along, such as the prompt of a shell; else a `:` is missing"
                .into(),
        };
    }
    if let Some(at) = quoted_by_mail(text, at) {
        return Syntax {
            at,
            summary: "not YAML: a line that begins with `>`".to_owned(),
            help: "take the sign away from all lines: text copied from a mail often has it".into(),
        };
    }
    if let Some(at) = fence(text, at) {
        return Syntax {
            at,
            summary: "not YAML: a line of three backquotes".to_owned(),
            help: "remove it: it was copied along, from a page that shows the file".into(),
        };
    }
    if matches!(error.kind(), ErrorKind::SimpleKeyExpected)
        && let Some(at) = dash_without_blank(text, at)
    {
        return Syntax {
            at,
            summary: "not YAML: a `-` with no blank behind it".to_owned(),
            help: "put a blank after each `-`".into(),
        };
    }
    let (summary, help) = words(error);
    Syntax { at, summary: format!("not YAML: {summary}"), help: help.into() }
}

/// The line at which reading stopped, with its place.
fn line_at(text: &str, at: usize) -> (usize, &str) {
    let start = text[..at].rfind('\n').map_or(0, |line| line + 1);
    (start, text[start..].lines().next().unwrap_or_default())
}

/// Where a line is that a mail quotes, if reading stopped on it.
fn quoted_by_mail(text: &str, at: usize) -> Option<usize> {
    let (start, line) = line_at(text, at);
    line.strip_prefix("> ").is_some_and(|rest| rest.contains(':') || rest.starts_with("- ")).then_some(start)
}

/// Where a fence of Markdown is, if reading stopped at one.
fn fence(text: &str, at: usize) -> Option<usize> {
    let (start, line) = line_at(text, at);
    line.trim_start().starts_with("```").then_some(start)
}

/// Where the item of a list begins that has no blank behind its dash, on the line at which reading stopped or the one
/// before.
fn dash_without_blank(text: &str, at: usize) -> Option<usize> {
    let (start, line) = line_at(text, at);
    let before = (start > 0).then(|| line_at(text, start - 1));
    [Some((start, line)), before].into_iter().flatten().find_map(|(start, line)| {
        let words = line.trim_start();
        let is_it = words
            .strip_prefix('-')
            .is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_alphabetic()));
        is_it.then_some(start + line.len() - words.len())
    })
}

/// Where a key begins that has no blank behind its colon, on the line at which reading stopped or the last one before that
/// says anything, and what it should be.
fn colon_without_blank(text: &str, at: usize) -> Option<(usize, String)> {
    const LONGEST: usize = 60;
    let (start, line) = line_at(text, at);
    let mut before = text[..start].len();
    let before = loop {
        if before == 0 {
            break None;
        }
        let (start, line) = line_at(text, before - 1);
        if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
            break Some((start, line));
        }
        before = start;
    };
    [Some((start, line)), before].into_iter().flatten().find_map(|(start, line)| {
        let words = line.trim();
        let words = words.strip_prefix("- ").unwrap_or(words).trim_start();
        let (key, value) = words.split_once(':')?;
        let of_key = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        let is_key = key.starts_with(|letter: char| letter.is_ascii_alphabetic()) && key.chars().all(of_key);
        // A URL, a mount and an image with a tag have other signs than a key and its value.
        let is_value =
            !value.is_empty() && !value.starts_with([' ', '\t', '/', ':']) && !value.contains(": ");
        let is_it = is_key && is_value && words.len() <= LONGEST;
        is_it.then(|| (start + line.find(words).unwrap_or_default(), format!("{key}: {value}")))
    })
}

/// What the parser met, and what to do about it.
fn words(error: &ScanError) -> (String, &'static str) {
    match error.kind() {
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            ("a tab cannot indent".to_owned(), "YAML indents by spaces alone")
        }
        ErrorKind::RecursionLimitExceeded => (
            format!("nested more than {MAX_NESTING} levels deep"),
            "no key of cluster.yml is nested that deep",
        ),
        ErrorKind::UnknownAnchor => (
            "this alias names no anchor".to_owned(),
            "an anchor (`&name`) must stand before its alias (`*name`); quote a text that begins with `*`",
        ),
        ErrorKind::UnexpectedCharacter { character: '%' } => (
            "a value cannot begin with `%`".to_owned(),
            "if something else is to fill it in, let it do so first; else quote the text",
        ),
        ErrorKind::UnexpectedCharacter { character: '`' } => {
            ("a value cannot begin with a backquote".to_owned(), "quote the text by `\"` or `'`")
        }
        ErrorKind::UnexpectedCharacter { character } => {
            (format!("a value cannot begin with `{}`", character.escape_debug()), "quote the text")
        }
        ErrorKind::UnclosedQuotedScalar => {
            ("this quote is never closed".to_owned(), "close it with the same kind of quote")
        }
        ErrorKind::UnclosedFlowCollection { open } => (
            format!("this `{open}` is never closed"),
            if *open == '[' { "close the list with `]`" } else { "close the map with `}`" },
        ),
        ErrorKind::InvalidQuotedScalarIndent => (
            "the next line of a quoted text is not indented".to_owned(),
            "close the quote, or indent the line further than the key",
        ),
        ErrorKind::CommentNotSeparated => ("no space before a comment".to_owned(), "put a space before `#`"),
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::ExpectedBlockSequenceEntry => (
            "this line fits neither the lines before it nor the map or list they are in".to_owned(),
            "align it with the keys or dashes it belongs to",
        ),
        ErrorKind::InvalidColonPlacement
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::ExpectedFlowMappingSeparator => (
            "this cannot follow inside brackets".to_owned(),
            "is a `[` or `{` before it not closed, or a comma missing?",
        ),
        ErrorKind::SimpleKeyExpected => {
            ("a line that is neither `key: value` nor `- item`".to_owned(), "is a `:` missing?")
        }
        _ => {
            let why = error.info();
            let help = if why.contains("hexadecimal") || why.contains("escape") {
                "between double quotes a backslash begins an escape: use single quotes for a path"
            } else if why.contains("mapping value") {
                "quote a text that has `: ` in it; else look at how this line and the one before are indented"
            } else {
                "look at this line and the one before it: is an indentation, a quote or a bracket amiss?"
            };
            (why, help)
        }
    }
}

/// Where a template's `{% … %}` is on the line at which reading stopped, or on the one before.
fn line_of_template(text: &str, at: usize) -> Option<usize> {
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    let start = text[..at].rfind('\n').unwrap_or(0);
    let start = text[..start].rfind('\n').map_or(0, |line| line + 1);
    let found = text[start..end].find("{%")?;
    text[start + found..end].contains("%}").then_some(start + found)
}

/// The first line of the text that says anything, if reading went on behind it, and it is no part of a map or a list.
fn stray_first_line(text: &str, at: usize) -> Option<usize> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let words = line.trim();
        if !words.is_empty() && !words.starts_with('#') && words != "---" && !words.starts_with('%') {
            // `[root@host dir]# vi cluster.yml`
            let is_prompt = words.starts_with('[') && (words.contains("]# ") || words.contains("]$ "));
            let begins_value =
                words.starts_with(['{', '[', '"', '\'', '&', '*', '!', '|', '>', '@', '`', '}', ']', ',']);
            let is_of_yaml = !is_prompt
                && (words.contains(": ") || words.ends_with(':') || words.starts_with("- ") || begins_value);
            let is_before = is_prompt || start + line.len() <= at;
            return (!is_of_yaml && is_before && !line.starts_with([' ', '\t'])).then_some(start);
        }
        start += line.len();
    }
    None
}

/// The first blank other than a space in the indentation of a line up to that at which reading stopped.
fn odd_indentation(text: &str, at: usize) -> Option<(usize, char)> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if start > at {
            return None;
        }
        let mut letters = line.char_indices().take_while(|(_, letter)| is_blank(*letter));
        if let Some((offset, blank)) = letters.find(|(_, letter)| !letter.is_ascii()) {
            return Some((start + offset, blank));
        }
        start += line.len();
    }
    None
}

/// Whether it looks like a blank: also those of no width, which Unicode does not count as white space.
fn is_blank(letter: char) -> bool {
    (letter.is_whitespace() && letter != '\n' && letter != '\r') || matches!(letter, '\u{200B}' | '\u{FEFF}')
}
