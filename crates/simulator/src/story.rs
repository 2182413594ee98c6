//! The log of a run, which prints as a story: one line for each verb.

use std::fmt;
use std::sync::Arc;

use windlass_engine::PortError;
use windlass_model::{ContainerName, FilePath, ImageRef, NodeName, StepId};

/// What happened, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
enum Line {
    Verb { at: u64, number: u64, node: Option<NodeName>, word: &'static str, object: Object, end: End },
    Step { at: u64, id: StepId, end: Option<&'static str> },
    Note { at: u64, text: String },
}

/// The object of a verb; made of shared texts, so that recording costs nothing.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    Nothing,
    Container(ContainerName),
    Renamed(ContainerName, ContainerName),
    Image(ImageRef),
    Path(FilePath),
    Paths(usize, FilePath),
    Text(Arc<str>),
}

/// How a verb ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Well,
    Badly(PortError),
    /// It took effect, and windlass received an error.
    Denied(PortError),
    OperatorDied,
    /// It took effect when nobody was left to receive the result.
    Arrived,
}

impl Story {
    pub(crate) fn tell(
        &mut self,
        at: u64,
        number: u64,
        node: Option<&NodeName>,
        word: &'static str,
        object: Object,
        end: End,
    ) {
        self.lines.push(Line::Verb { at, number, node: node.cloned(), word, object, end });
    }

    pub(crate) fn step(&mut self, at: u64, id: &StepId, end: Option<&'static str>) {
        self.lines.push(Line::Step { at, id: id.clone(), end });
    }

    pub(crate) fn note(&mut self, at: u64, text: impl Into<String>) {
        self.lines.push(Line::Note { at, text: text.into() });
    }

    pub(crate) fn tail(&self, lines: usize) -> Vec<String> {
        let from = self.lines.len().saturating_sub(lines);
        self.lines[from..].iter().map(ToString::to_string).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.lines.clear();
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Milliseconds as seconds with three digits after the point.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}.{:03}s", self.0 / 1_000, self.0 % 1_000)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verb { at, number, node, word, object, end } => {
                let node = node.as_ref().map_or("-", NodeName::as_str);
                write!(f, "{} {number:>5} {node:<10} {word:<12} {object}{end}", Seconds(*at))
            }
            Self::Step { at, id, end: None } => write!(f, "{}       begins     {id}", Seconds(*at)),
            Self::Step { at, id, end: Some(end) } => write!(f, "{}       {end:<10} {id}", Seconds(*at)),
            Self::Note { at, text } => write!(f, "{}     * {text}", Seconds(*at)),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Container(name) => name.fmt(f),
            Self::Renamed(from, to) => write!(f, "{from} to {to}"),
            Self::Image(image) => image.fmt(f),
            Self::Path(path) | Self::Paths(1, path) => path.fmt(f),
            Self::Paths(count, path) => write!(f, "{path} and {} more", count.saturating_sub(1)),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well => Ok(()),
            Self::Badly(error) => write!(f, " ! {error}"),
            Self::Denied(error) => write!(f, " (done) ! {error}"),
            Self::OperatorDied => f.write_str(" ! the operator's machine died"),
            Self::Arrived => f.write_str(" (after the operator's machine died)"),
        }
    }
}
