//! How much is shown, how wide and in which colours, and the positions of paths in cluster.yml.

use windlass_model::SpecPath;

use crate::layout::Width;
use crate::paint::Paint;

/// How much of a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Only findings and counts.
    Counts,
    /// As folded, but below a step only the order that rules and limits impose.
    Brief,
    /// Equal steps on many nodes in one line.
    Folded,
    /// Every step on its own line, with all reasons, waits, paths and guards.
    Everything,
}

/// What every text here needs to know of the reader and of cluster.yml.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    /// The line and column of a path of cluster.yml, both from one; none where the file does not contain it.
    pub places: &'a dyn Fn(&SpecPath) -> Option<(u32, u32)>,
    /// The name of that file.
    pub file: &'a str,
    /// How wide the lines may be.
    pub width: Width,
    /// Whether they are coloured.
    pub paint: Paint,
}

impl Page<'_> {
    /// `cluster.yml:11 services.kubelet.extra_args`
    pub(crate) fn line_of(&self, path: &SpecPath) -> String {
        let file = self.file;
        match (self.places)(path) {
            Some((line, _)) => format!("{file}:{line} {path}"),
            None => format!("{file} {path}"),
        }
    }

    /// `cluster.yml:11:7 services.kubelet.extra_args`
    pub(crate) fn spot_of(&self, path: &SpecPath) -> String {
        let file = self.file;
        match (self.places)(path) {
            Some((line, column)) => format!("{file}:{line}:{column} {path}"),
            None => format!("{file} {path}"),
        }
    }
}

impl std::fmt::Debug for Page<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { places: _, file, width, paint } = self;
        f.debug_struct("Page")
            .field("file", file)
            .field("width", width)
            .field("paint", paint)
            .finish_non_exhaustive()
    }
}

/// Whether a path is that of a node as a whole: its name says as much.
pub(crate) fn is_a_mere_node(path: &SpecPath) -> bool {
    let index = path.as_str().strip_prefix("nodes[").and_then(|rest| rest.strip_suffix(']'));
    index.is_some_and(|index| index.bytes().all(|digit| digit.is_ascii_digit()))
}
