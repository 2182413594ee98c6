//! Lines of a limited width.

/// The width where there is no terminal.
pub const USUAL_WIDTH: usize = 100;

/// No text is formatted for less than this.
const LEAST_WIDTH: usize = 60;

/// The indentation of the lines below a step or finding.
pub(crate) const BELOW: &str = "      ";

/// How many columns a text may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Width(usize);

impl Width {
    /// This many columns; 60 where it would be fewer.
    pub fn columns(columns: usize) -> Self {
        Self(columns.max(LEAST_WIDTH))
    }

    /// The number of columns.
    pub fn get(self) -> usize {
        self.0
    }
}

impl Default for Width {
    fn default() -> Self {
        Self(USUAL_WIDTH)
    }
}

/// Breaks a text between words, so that the first line begins with `first` and every other one with `rest`.
///
/// Nothing is lost: a word that is longer than a line is broken too, after a comma or slash if there is one.
pub(crate) fn wrap(text: &str, first: &str, rest: &str, width: Width) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && columns(&line) + 1 + columns(word) > width.get() {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        let mut word = word;
        while columns(&line) + columns(word) > width.get() {
            let (head, tail) = word.split_at(break_of(word, width.get() - columns(&line)));
            line.push_str(head);
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            word = tail;
        }
        line.push_str(word);
        is_empty = false;
    }
    if !is_empty || lines.is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// The byte at which a long word is broken, so that at most this many columns are before it.
fn break_of(word: &str, columns: usize) -> usize {
    let end = word.char_indices().nth(columns.max(1)).map_or(word.len(), |(at, _)| at);
    // A break very early would only add a line.
    let behind = |mark: char| word[..end].rfind(mark).map(|at| at + 1).filter(|at| *at > end / 2);
    behind(',').or_else(|| behind('/')).unwrap_or(end)
}

/// How many columns a text takes: everything that is printed here has one column for each character.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().count()
}

/// Removes the middle of a text that is longer than this.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    let count = columns(text);
    if count <= limit {
        return text.to_owned();
    }
    let kept = limit.saturating_sub(1);
    let head: String = text.chars().take(kept.div_ceil(2)).collect();
    let tail: String = text.chars().skip(count - kept / 2).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        let text = "one two three four five six seven eight nine ten eleven twelve";
        let lines = wrap(text, "  - ", "    ", Width::columns(60));
        assert_eq!(lines, ["  - one two three four five six seven eight nine ten eleven", "    twelve"]);
    }

    #[test]
    fn a_word_longer_than_a_line_is_broken_and_nothing_of_it_is_lost() {
        let word = "https://10.0.0.1:2379,".repeat(9);
        let lines = wrap(&word, "  ", "    ", Width::columns(60));
        assert!(lines.iter().all(|line| columns(line) <= 60 && line.ends_with(',')), "{lines:?}");
        assert_eq!(lines.concat().replace(' ', ""), word);
    }

    #[test]
    fn the_middle_is_cut() {
        assert_eq!(cut("0123456789", 10), "0123456789");
        assert_eq!(cut("0123456789", 5), "01…89");
    }

    #[test]
    fn a_very_narrow_terminal_is_taken_for_sixty_columns() {
        assert_eq!(Width::columns(0).get(), 60);
        assert_eq!(Width::columns(133).get(), 133);
    }
}
