//! Text from nodes cannot control the operator's terminal: logs of containers, names of pods and messages of
//! Docker are printed without the characters that do.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What is printed in the place of such a character.
const REPLACEMENT: char = '\u{fffd}';

/// Whether a character moves the cursor, begins an escape sequence, or changes the direction of what follows.
///
/// Sources: ECMA-48 for the controls, and <https://www.unicode.org/reports/tr9/> for the directions.
fn controls(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text without characters that control a terminal; lines, tabs and windlass' own colours stay.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    let is_kept = |letter: char| matches!(letter, '\n' | '\t') || !controls(letter);
    if text.chars().all(is_kept) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = colour(rest).unwrap_or(letter.len_utf8());
        let (part, after) = rest.split_at(length);
        if is_kept(letter) || length > letter.len_utf8() {
            clean.push_str(part);
        } else {
            clean.push(REPLACEMENT);
        }
        rest = after;
    }
    Cow::Owned(clean)
}

/// The length of the escape at the beginning of a text that selects a colour or emphasis, and no more: it
/// changes neither the position nor the text.
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|letter: char| !(letter.is_ascii_digit() || letter == ';'))?;
    parameters[end..].starts_with('m').then_some("\u{1b}[".len() + end + 1)
}

/// A JSON document in which these characters are escapes: a program reads the same text, and a terminal shows
/// them as letters. Outside its strings a document has none of them but the ends of lines.
pub(crate) fn escaped_in_json(document: &str) -> Cow<'_, str> {
    let is_kept = |letter: char| letter == '\n' || !controls(letter);
    if document.chars().all(is_kept) {
        return Cow::Borrowed(document);
    }
    let mut clean = String::with_capacity(document.len());
    for letter in document.chars() {
        if is_kept(letter) {
            clean.push(letter);
        } else {
            // All of them are in Unicode's first plane, so one escape is enough.
            let _ = write!(clean, "\\u{:04x}", u32::from(letter));
        }
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_is_replaced() {
        // The title, the clipboard, the cursor, a hidden line, C1's control sequence, and reversed text.
        for evil in
            ["\u{1b}]0;title\u{7}", "\u{1b}]52;c;cm0=\u{7}", "\u{1b}[2J", "\rdone", "\u{9b}2J", "\u{202e}txt"]
        {
            let shown = harmless(evil);
            assert!(!shown.chars().any(controls), "{shown:?}");
            assert!(shown.contains(REPLACEMENT), "{shown:?}");
        }
    }

    #[test]
    fn lines_tabs_colours_and_all_scripts_stay() {
        for text in ["a\tb\nc\n", "\u{1b}[31;1mbad\u{1b}[0m", "größer 数 ─▶"] {
            assert_eq!(harmless(text), text);
        }
        assert_eq!(harmless("\u{1b}[31;1"), "\u{fffd}[31;1");
    }

    #[test]
    fn a_program_reads_from_json_what_was_written() {
        let said = "\u{1b}[2J\u{9b}2J\u{202e}größer\n".to_owned();
        let document = serde_json::to_string_pretty(&[&said]).unwrap();
        let shown = escaped_in_json(&document);
        assert!(!shown.chars().any(|letter| letter != '\n' && controls(letter)), "{shown:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [said]);
    }
}
