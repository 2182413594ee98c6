//! The way from the top of the file to a value, written `nodes[2].address`.

use std::fmt;

/// A path that borrows its steps from whoever walks the file; nothing is copied until it is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'a> {
    /// The file as a whole.
    Top,
    /// A key of a map.
    Key(&'a Path<'a>, &'a str),
    /// An item of a list, counted from 0.
    Item(&'a Path<'a>, usize),
}

impl Path<'_> {
    pub(crate) fn key<'a>(&'a self, key: &'a str) -> Path<'a> {
        Path::Key(self, key)
    }

    pub(crate) fn item(&self, index: usize) -> Path<'_> {
        Path::Item(self, index)
    }

    /// The first key of the path; empty for the file as a whole.
    pub(crate) fn root(&self) -> &str {
        match self {
            Path::Top => "",
            Path::Key(Path::Top, key) => key,
            Path::Key(outer, _) | Path::Item(outer, _) => outer.root(),
        }
    }

    /// Whether it is an item of the list under this key.
    pub(crate) fn is_in(&self, list: &str) -> bool {
        matches!(self, Path::Item(Path::Key(_, key), _) if *key == list)
    }

    /// The path with `[]` for every item: the same for all nodes.
    pub(crate) fn pattern(&self) -> String {
        match self {
            Path::Top => String::new(),
            Path::Key(outer, key) => crate::yaml::join(&outer.pattern(), key),
            Path::Item(outer, _) => outer.pattern() + "[]",
        }
    }
}

impl From<Path<'_>> for String {
    fn from(path: Path<'_>) -> Self {
        path.to_string()
    }
}

impl From<&Path<'_>> for String {
    fn from(path: &Path<'_>) -> Self {
        path.to_string()
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Top => Ok(()),
            Path::Key(Path::Top, key) => f.write_str(key),
            Path::Key(outer, key) => write!(f, "{outer}.{key}"),
            Path::Item(outer, index) => write!(f, "{outer}[{index}]"),
        }
    }
}
