//! Plain English in the documents and in what the program prints: a list of words that may not be in them.
//!
//! Checked are README.md, cluster.example.yml, the pages under `docs`, the outputs of the binary that its
//! tests freeze, and the string literals of the crates, without comments and tests. Whole words are matched
//! in upper and lower case, also across the end of a line; `OutOfSight`, `out_of_sight` and `out-of-sight`
//! are names, not English.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Words that may not be used, and better ones.
const WORDS: &[(&[&str], &str)] = &[
    (&["told"], "`says`, `reports`, `a warning`, `is given`"),
    (&["tell of", "tells of", "tell the same", "tells the same"], "`describe`, `report`, `print the same`"),
    (&["anew", "afresh"], "`again`; of certificates `reissued` or `renewed`"),
    (&["lest"], "`so that … not`"),
    (&["whosoever", "whoever"], "`anyone who`, or the subject itself"),
    (&["mend", "mends", "mended", "mending"], "`repair`, `fix`"),
    (&["puzzle", "puzzles"], "`unexplained`; of a container `crash loop`"),
    (&["out of sight"], "`unreachable`"),
    (&["in sight"], "`reachable`"),
    (&["cut off", "cut short"], "`interrupted`; of a network `disconnected`"),
    (&["authority", "authorities"], "`CA`, `CAs`"),
    (&["wish", "wishes", "wished"], "`desired`, `desired state`"),
    (&["stands"], "`is`, `are`; of a majority `remains`"),
    (&["for ever"], "`forever`, `permanently`"),
    (&["reckon", "reckons", "reckoned"], "`count`, `expect`"),
    (&["befall", "befalls", "befell"], "`happens to`"),
    (&["seldom"], "`rarely`"),
    (&["goes dark", "burnt down"], "`becomes unavailable`, `is destroyed`"),
    (&["looked over"], "`checked`"),
    (&["relieved of its office"], "`after leadership has been moved`"),
    (&["whence", "thereof", "hither", "thither", "hitherto"], "a plain word"),
];

struct Word {
    text: String,
    line: usize,
    /// Whether only blanks are between it and the word before.
    follows: bool,
}

/// One text with its first line: a whole page, or a string literal.
struct Piece {
    line: usize,
    text: String,
}

struct Violation {
    file: String,
    line: usize,
    word: &'static str,
    better: &'static str,
}

#[test]
fn no_mannered_word_is_printed_or_documented() {
    let mut wrongs = String::new();
    for Violation { file, line, word, better } in all_violations() {
        let _ = writeln!(wrongs, "{file}:{line}: `{word}`; better: {better}");
    }
    assert!(wrongs.is_empty(), "words that do not belong in documents and output:\n{wrongs}");
}

#[test]
fn words_are_found_in_literals_and_not_in_comments_names_and_tests() {
    let source = r##"
        //! Told in a comment.
        /* "anew" /* "mend" */ "lest" */
        const A: &str = "the node is out of \
                         sight, and \"Told\"";
        const B: &str = r#"made "anew" here"#.or("is:\nlest");
        const C: (char, char, &[u8]) = ('"', '\'', b"wish");
        #[serde(rename = "wish")]
        fn d<'a>(told: &'a str) -> String { format!("{told} of {told:?}, {{wishes}} OutOfSight out-of-sight") }
        #[cfg(test)]
        mod tests {
            const E: &str = "mended";
        }
    "##;
    let mut found: Vec<(usize, &str)> = Vec::new();
    for piece in literals(source) {
        found.extend(violations_in(&piece).map(|(line, word, _)| (line, word)));
    }
    assert_eq!(
        found,
        [(4, "out of sight"), (5, "told"), (6, "anew"), (6, "lest"), (7, "wish"), (9, "wishes")],
        "line and word of each"
    );
}

#[test]
fn words_are_found_across_the_lines_of_a_page() {
    let page = Piece { line: 1, text: "Whoever is out\nof sight. In. Sight, `told`\n".to_owned() };
    let found: Vec<(usize, &str)> = violations_in(&page).map(|(line, word, _)| (line, word)).collect();
    assert_eq!(found, [(1, "whoever"), (1, "out of sight"), (2, "told")]);
}

fn all_violations() -> Vec<Violation> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = vec![root.join("README.md"), root.join("cluster.example.yml")];
    files.extend(files_below(&root.join("docs"), "md"));
    files.extend(files_below(&root.join("crates/cli/tests/frozen"), "out"));
    for folder in entries(&root.join("crates")) {
        files.extend(files_below(&folder.join("src"), "rs"));
    }
    assert!(files.len() > 200, "only {} files were found", files.len());

    let mut violations = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = path.strip_prefix(&root).expect("every file is below the root").display().to_string();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        let pieces = if is_source { literals(&text) } else { vec![Piece { line: 1, text }] };
        for (line, word, better) in pieces.iter().flat_map(violations_in) {
            violations.push(Violation { file: file.clone(), line, word, better });
        }
    }
    violations
}

/// The words of the list in a text: line, word, the better one; in the order of the text.
fn violations_in(piece: &Piece) -> impl Iterator<Item = (usize, &'static str, &'static str)> {
    let words = words_of(piece);
    let mut found = Vec::new();
    for (at, first) in words.iter().enumerate() {
        for (phrases, better) in WORDS {
            for phrase in *phrases {
                let is_there = phrase.split(' ').enumerate().all(|(place, wanted)| {
                    let word = words.get(at + place);
                    word.is_some_and(|word| word.text == wanted && (place == 0 || word.follows))
                });
                if is_there {
                    found.push((first.line, *phrase, *better));
                }
            }
        }
    }
    found.into_iter()
}

/// The words of a text in lower case. `-` and `_` belong to a word, so names and options do not count as
/// English.
fn words_of(piece: &Piece) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut line = piece.line;
    let mut follows = true;
    let mut is_open = false;
    for character in piece.text.chars() {
        if character.is_alphanumeric() || matches!(character, '-' | '_') {
            if !is_open {
                words.push(Word { text: String::new(), line, follows });
            }
            if let Some(word) = words.last_mut() {
                word.text.extend(character.to_lowercase());
            }
            (is_open, follows) = (true, true);
        } else {
            is_open = false;
            follows &= character.is_whitespace();
            line += usize::from(character == '\n');
        }
    }
    words
}

/// The string literals of a Rust source up to its tests, as they are read.
fn literals(source: &str) -> Vec<Piece> {
    let mut marks = source.match_indices("#[cfg(test)]");
    let tests = marks.find(|(at, mark)| source[at + mark.len()..].trim_start().starts_with("mod "));
    let source = tests.map_or(source, |(at, _)| &source[..at]);
    let mut pieces = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(next) = rest.chars().next() {
        let (length, text) = token(rest, next);
        // The name of a field in a stored format is fixed, and not English.
        let is_name = source[..source.len() - rest.len()].ends_with("rename = ");
        if let Some(text) = text.filter(|_| !is_name) {
            pieces.push(Piece { line, text: as_read(text) });
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    pieces
}

/// The length of the next comment, literal, word or character, and the text if it is a string literal.
fn token(rest: &str, next: char) -> (usize, Option<&str>) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), None);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), None);
    }
    if next == '"' {
        let length = quoted(rest, '"');
        return (length, Some(&rest[1..length - 1]));
    }
    if let Some(raw) = raw_string(rest) {
        return raw;
    }
    if next == '\'' {
        // A character; a lifetime has no second quote right after it.
        let is_character = rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'');
        return (if is_character { quoted(rest, '\'') } else { 1 }, None);
    }
    let word = rest.find(|character: char| !character.is_alphanumeric() && character != '_');
    (word.unwrap_or(rest.len()).max(next.len_utf8()), None)
}

/// `r"…"` or `r#"…"#`, with any number of `#`; a `b` before it is a word of its own unless it begins a raw
/// string.
fn raw_string(rest: &str) -> Option<(usize, Option<&str>)> {
    let behind = rest.strip_prefix('r').or_else(|| rest.strip_prefix("br"))?;
    let hashes = behind.find(|character| character != '#')?;
    let text = behind[hashes..].strip_prefix('"')?;
    let end = text.find(&format!("\"{}", "#".repeat(hashes)))?;
    let before = rest.len() - text.len();
    Some((before + end + 1 + hashes, Some(&text[..end])))
}

/// The length of a literal with its quotes; a backslash escapes the next character.
fn quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if character == '\\' {
            is_escaped = true;
        } else if character == quote {
            return at + 1;
        }
    }
    panic!("a literal that does not end: {}", rest.lines().next().unwrap_or_default())
}

/// The length of a comment that may contain others.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The text as it is read: without escapes, and without each `{name}` of a format string; `{{` is a brace.
fn as_read(text: &str) -> String {
    let mut read = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => read.push(characters.next_if(|next| matches!(next, '\n' | '"')).unwrap_or_else(|| {
                characters.next();
                ' '
            })),
            '{' if characters.next_if_eq(&'{').is_none() => {
                read.push('{');
                // A brace that does not belong to a format string is closed after a blank, or never.
                let name = characters.clone().take_while(|next| !matches!(next, '}' | '\n' | ' ')).count();
                if characters.clone().nth(name) == Some('}') {
                    characters.nth(name);
                }
            }
            _ => read.push(character),
        }
    }
    read
}

fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in entries(folder) {
        if path.is_dir() {
            files.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files
}

/// What is in a folder, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> =
        read.map(|entry| entry.expect("a folder of the repository can be listed").path()).collect();
    paths.sort();
    paths
}
