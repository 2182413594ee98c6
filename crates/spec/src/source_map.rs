//! Finds a place in the text by its path, for those who learn later that something there is wrong.

use crate::diagnostic::Place;
use crate::lines::{Lines, without_mark};
use crate::read::decode;
use crate::yaml::{self, Entry, Node, Span, Value};

/// A text and its tree.
///
/// ```
/// let map = windlass_spec::SourceMap::new(b"nodes:\n- address: 10.0.0.5\n  labels: {a.b/c: x}\n");
/// let at = |path| map.place(path).range.map(|range| (range.start.line, range.start.column));
/// assert_eq!(at("nodes[0].address"), Some((2, 12)));
/// assert_eq!(at("nodes[0].labels.a.b/c"), Some((3, 19)));
/// assert_eq!(at("nodes[0].port"), Some((2, 3)), "an absent key has the place of the map that lacks it");
/// ```
#[derive(Debug)]
pub struct SourceMap<'t> {
    lines: Lines<'t>,
    root: Option<Node<'t>>,
}

impl<'t> SourceMap<'t> {
    /// Reads the text; one that is no YAML has places for nothing.
    pub fn new(text: &'t [u8]) -> Self {
        let text = decode(text).map(without_mark).unwrap_or_default();
        let root = yaml::parse(text).ok().and_then(|document| document.root);
        Self { lines: Lines::new(text), root }
    }

    /// The place that a path such as `nodes[2].address` leads to, or that of the nearest thing around it; none for
    /// the file as a whole, and for a path of which the file has not even the first key.
    pub fn place(&self, path: &str) -> Place {
        let range = self.root.as_ref().and_then(|root| find(root, path)).map(|span| self.lines.range(span));
        Place { path: path.to_owned(), range }
    }
}

fn find(root: &Node<'_>, path: &str) -> Option<Span> {
    let mut node = root;
    let mut rest = path;
    let mut span = None;
    loop {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() {
            return span;
        }
        let step = match &node.value {
            Value::Map(entries) => {
                entry(entries, rest).map(|(entry, rest)| (&entry.value, rest, entry.span()))
            }
            Value::List(items) => item(items, rest).map(|(item, rest)| (item, rest, head(item))),
            _ => None,
        };
        let Some((next, left, place)) = step else {
            return span.map(|span| head_or(node, span));
        };
        (node, rest, span) = (next, left, Some(place));
    }
}

/// The entry whose key the path begins with; the longest, because keys may have dots in them.
fn entry<'n, 't, 'p>(entries: &'n [Entry<'t>], path: &'p str) -> Option<(&'n Entry<'t>, &'p str)> {
    let matching = entries.iter().filter_map(|entry| {
        let rest = path.strip_prefix(&*entry.key)?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then_some((entry, rest))
    });
    matching.max_by_key(|(entry, _)| entry.key.len())
}

fn item<'n, 't, 'p>(items: &'n [Node<'t>], path: &'p str) -> Option<(&'n Node<'t>, &'p str)> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((items.get(index.parse::<usize>().ok()?)?, rest))
}

/// The first key of a map, the whole of anything else.
fn head(node: &Node<'_>) -> Span {
    head_or(node, node.span)
}

fn head_or(node: &Node<'_>, otherwise: Span) -> Span {
    match &node.value {
        Value::Map(entries) => entries.first().map_or(otherwise, |entry| entry.key_span),
        _ => otherwise,
    }
}
