//! Shows diagnostics as a person reads them: what, where, the line itself, and what to do.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use windlass_model::HIDDEN;

use crate::diagnostic::{Diagnostic, Place, Range};
use crate::lines::{Lines, without_mark};
use crate::read::decode;
use crate::schema;
use crate::yaml;

/// How much of a line is shown; a longer one is cut around what is marked.
const MAX_WIDTH: usize = 160;

/// Renders diagnostics of this text, one after another with a blank line between.
///
/// What follows the key of a password or of a private key on a shown line is hidden, and so are lines of PEM.
///
/// ```
/// let text = b"nodes:\n- address: 10.0.0.5\n  user: ops\n  role: [etcd, controlplan]\n";
/// let reading = windlass_spec::read(text);
/// assert_eq!(
///     windlass_spec::render(&reading.diagnostics, "cluster.yml", text),
///     "\
/// error: unknown role `controlplan`
///  --> cluster.yml:4:16
///   |
/// 4 |   role: [etcd, controlplan]
///   |                ^^^^^^^^^^^
///   = help: did you mean `controlplane`?
/// "
/// );
/// ```
pub fn render(diagnostics: &[Diagnostic], file_name: &str, text: &[u8]) -> String {
    let text = match decode(text) {
        Ok(text) => without_mark(text),
        Err((valid, ..)) => valid,
    };
    let lines = Lines::new(text);
    let secrets = Secrets::of(text, &lines);
    let mut output = String::new();
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        if index > 0 {
            output.push('\n');
        }
        render_one(diagnostic, file_name, &lines, &secrets, &mut output);
    }
    output
}

fn render_one(
    diagnostic: &Diagnostic,
    file: &str,
    lines: &Lines<'_>,
    secrets: &Secrets,
    output: &mut String,
) {
    let Diagnostic { severity, summary, place: Place { path: _, range }, label, notes, help } = diagnostic;
    let mut line = |text: String| {
        output.push_str(text.trim_end());
        output.push('\n');
    };
    line(format!("{severity}: {summary}"));
    let gutter = match range {
        None => {
            line(format!(" --> {file}"));
            String::new()
        }
        Some(range) => {
            let number = range.start.line.to_string();
            let gutter = " ".repeat(number.len());
            line(format!("{gutter}--> {file}:{}:{}", range.start.line, range.start.column));
            let source = lines.line(range.start.line as usize);
            if !source.trim().is_empty() {
                let (shown, marks) = excerpt(source, *range, secrets);
                line(format!("{gutter} |"));
                line(format!("{number} | {shown}"));
                line(format!("{gutter} | {marks} {label}"));
            } else if !label.is_empty() {
                line(format!("{gutter} = {label}"));
            }
            gutter
        }
    };
    for note in notes {
        line(format!("{gutter} = note: {note}"));
    }
    if let Some(help) = help {
        line(format!("{gutter} = help: {help}"));
    }
}

/// The line with its secrets hidden and its control characters made harmless, and the marks under it.
fn excerpt(source: &str, range: Range, secrets: &Secrets) -> (String, String) {
    let from = (range.start.column as usize).saturating_sub(1);
    let (shown, hidden_from) = conceal(source, range.start.line, secrets);
    let mut letters: Vec<char> = shown.chars().map(harmless).collect();
    let to = if range.end.line == range.start.line {
        (range.end.column as usize).saturating_sub(1)
    } else {
        // Of something that goes on over several lines, what stands on the first is marked.
        shown.trim_end().chars().count()
    };
    let to = if hidden_from.is_some() { to.min(letters.len()) } else { to };
    let (mut from, mut to) = (from.min(letters.len()), to.max(from + 1));
    if letters.len() > MAX_WIDTH {
        let start = from.saturating_sub(MAX_WIDTH / 2).min(letters.len() - MAX_WIDTH);
        letters = letters[start..start + MAX_WIDTH].to_vec();
        (from, to) = (from - start, (to - start).min(MAX_WIDTH).max(from - start + 1));
        letters.push('…');
        if start > 0 {
            letters[0] = '…';
        }
    }
    let mut marks = " ".repeat(from);
    let _ = write!(marks, "{}", "^".repeat(to - from));
    (letters.into_iter().collect(), marks)
}

/// What no output may show, by the names of keys, and by place where the text is YAML.
struct Secrets {
    names: Vec<&'static str>,
    /// The offset in each line from which on it is hidden.
    from: BTreeMap<u32, usize>,
}

impl Secrets {
    fn of(text: &str, lines: &Lines<'_>) -> Self {
        let mut from = BTreeMap::new();
        let root = yaml::parse(text).ok().and_then(|document| document.root);
        for span in root.iter().flat_map(schema::secret_spans) {
            let range = lines.range(span);
            let source = lines.line(range.start.line as usize);
            let column = range.start.column as usize - 1;
            let start = source.char_indices().nth(column).map_or(source.len(), |(offset, _)| offset);
            let first = from.entry(range.start.line).or_insert(start);
            *first = (*first).min(start);
            // A block ends where the next key begins, and the line of that is none of its own.
            let before_end = lines.line(range.end.line as usize).chars().take(range.end.column as usize - 1);
            let is_past = range.end.line > range.start.line && before_end.clone().all(char::is_whitespace);
            let last = range.end.line - u32::from(is_past);
            from.extend((range.start.line + 1..=last).map(|line| (line, 0)));
        }
        Self { names: schema::secret_names(), from }
    }
}

/// Hides a secret, what follows the key of one, and lines that look like a piece of a PEM text.
fn conceal(source: &str, line: u32, secrets: &Secrets) -> (String, Option<usize>) {
    let trimmed = source.trim();
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    let is_pem = trimmed.contains("PRIVATE KEY") || (trimmed.len() >= 40 && trimmed.bytes().all(is_base64));
    let mut cut = is_pem.then(|| source.len() - source.trim_start().len());
    if let Some(from) = secrets.from.get(&line).filter(|from| **from < source.trim_end().len()) {
        cut = Some(cut.map_or(*from, |cut| cut.min(*from)));
    }
    for name in &secrets.names {
        for (at, _) in source.match_indices(name) {
            let before = source[..at].chars().next_back();
            let is_word = |letter: char| letter.is_alphanumeric() || "_-".contains(letter);
            let rest = source[at + name.len()..].trim_start_matches(['"', '\'']);
            let after_key = rest.trim_start().strip_prefix(':').filter(|value| !value.trim().is_empty());
            if before.is_none_or(|letter| !is_word(letter))
                && let Some(value) = after_key
            {
                let from = source.len() - value.trim_start().len();
                cut = Some(cut.map_or(from, |cut| cut.min(from)));
            }
        }
    }
    match cut {
        Some(cut) => (format!("{}{HIDDEN}", &source[..cut]), Some(cut)),
        None => (source.to_owned(), None),
    }
}

/// A tab is one column wide here, and no character of a file may steer the reader's terminal.
fn harmless(letter: char) -> char {
    match letter {
        '\t' => ' ',
        // Marks that turn the direction of writing could show a line as something it is not.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        letter if letter.is_control() => '\u{fffd}',
        letter => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let hide = |source| conceal(source, 1, &Secrets::of("", &Lines::new(""))).0;
        assert_eq!(hide("    password: hunter2"), "    password: «secret»");
        assert_eq!(hide("  - {url: x, \"password\" : hunter2}"), "  - {url: x, \"password\" : «secret»");
        assert_eq!(hide("ssh_key: |-"), "ssh_key: «secret»");
        assert_eq!(hide("ssh_key_path: ~/.ssh/id_rsa"), "ssh_key_path: ~/.ssh/id_rsa");
        assert_eq!(hide("  -----BEGIN RSA PRIVATE KEY-----"), "  «secret»");
        assert_eq!(hide("   MIIEpAIBAAKCAQEAxM0vX5c1k7a6bq0W5m4mR8n1Zp3Vn2b9"), "   «secret»");
        assert_eq!(hide("password:"), "password:");
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_marked() {
        let source = format!("a: {}", "x".repeat(1000));
        let position = |column| crate::Position { line: 1, column };
        let (shown, marks) = excerpt(
            &source,
            Range { start: position(900), end: position(905) },
            &Secrets::of("", &Lines::new("")),
        );
        assert_eq!(shown.chars().count(), MAX_WIDTH + 1);
        assert!(marks.chars().count() <= MAX_WIDTH);
        assert_eq!(marks.trim(), "^^^^^");
    }
}
