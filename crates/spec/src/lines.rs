//! A text cut into lines, so that an offset can be given as line and column.

use crate::diagnostic::{Position, Range};
use crate::yaml::Span;

/// The byte order mark that some editors put before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text without a byte order mark: what every place is counted in.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// A text with the places where its lines begin.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        // YAML ends a line at a line feed, a carriage return, or both in this order.
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter_map(|(at, byte)| match byte {
            b'\n' => Some(at + 1),
            b'\r' if bytes.get(at + 1) != Some(&b'\n') => Some(at + 1),
            _ => None,
        });
        Self { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// The line, counted from 1.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).max(1)
    }

    /// The text of a line that is counted from 1, without its end.
    pub(crate) fn line(&self, line: usize) -> &'t str {
        let start = self.starts.get(line.wrapping_sub(1)).copied().unwrap_or(self.text.len());
        let end = self.starts.get(line).copied().unwrap_or(self.text.len());
        self.text[start..end].trim_end_matches(['\n', '\r'])
    }

    /// Where a line that is counted from 1 begins.
    pub(crate) fn start_of(&self, line: usize) -> usize {
        self.starts.get(line.wrapping_sub(1)).copied().unwrap_or(self.text.len())
    }

    /// What stands on the line before something; the thing itself where there is none.
    pub(crate) fn line_before(&self, span: Span) -> Span {
        let line = self.line_of(span.start);
        if line < 2 {
            return span;
        }
        let text = self.line(line - 1);
        let start = self.starts[line - 2] + (text.len() - text.trim_start().len());
        Span { start, end: start + text.trim().len() }
    }

    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self.line_of(offset);
        let start = self.starts[line - 1];
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count());
        Position { line: narrow(line), column: narrow(column + 1) }
    }

    pub(crate) fn range(&self, span: Span) -> Range {
        let start = self.position(span.start);
        let end = if span.end > span.start { self.position(span.end) } else { start };
        Range { start, end }
    }
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_end_is_counted() {
        let lines = Lines::new("a\nbä\r\nc\rd");
        let place = |offset| {
            let Position { line, column } = lines.position(offset);
            (line, column)
        };
        assert_eq!(place(0), (1, 1));
        assert_eq!(place(2), (2, 1));
        assert_eq!(place(5), (2, 3));
        assert_eq!(place(7), (3, 1));
        assert_eq!(place(9), (4, 1));
        assert_eq!(place(10), (4, 2));
        assert_eq!((1..=5).map(|line| lines.line(line)).collect::<Vec<_>>(), ["a", "bä", "c", "d", ""]);
    }
}
