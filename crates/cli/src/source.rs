//! cluster.yml from the disk: read, resolved, and with a place for everything that is reported about it
//! later.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_blueprint::{Catalog, Problem};
use windlass_course::Desired;
use windlass_model::SpecPath;
use windlass_spec::{ClusterSpec, Diagnostic, Severity, SourceMap, Strictness};

use crate::command_error::CommandError;
use crate::includes::{Includes, include};
use crate::pairs;
use crate::ssh_pairs;

/// A cluster.yml as text, with the names by which messages refer to it.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    text: Vec<u8>,
}

impl Source {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, CommandError> {
        match fs::read(path) {
            Ok(bytes) => Ok(Self { path: path.to_owned(), text: from_utf_16(&bytes).unwrap_or(bytes) }),
            Err(source) => Err(CommandError::ConfigUnreadable { path: path.to_owned(), source }),
        }
    }

    /// Where it was read from.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file as the operator named it.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The name without directories, for lines that name it often.
    pub(crate) fn short_name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// Its bytes.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The positions of paths such as `nodes[2].role`.
    pub(crate) fn places(&self) -> SourceMap<'_> {
        SourceMap::new(&self.text)
    }

    /// The desired state, if nothing is wrong with the file; and everything to be reported about it.
    pub(crate) fn understand(&self, includes: Includes) -> (Option<Desired>, Vec<Diagnostic>) {
        self.understand_with(Strictness::Lenient, includes)
    }

    /// The same, with this treatment of unknown keys.
    pub(crate) fn understand_with(
        &self,
        strictness: Strictness,
        includes: Includes,
    ) -> (Option<Desired>, Vec<Diagnostic>) {
        let mut reading = windlass_spec::read_with(&self.text, strictness);
        if strictness == Strictness::Strict {
            // An unknown key must not hide what else is wrong.
            reading.spec = windlass_spec::read(&self.text).spec;
        }
        let places = self.places();
        let Some(mut spec) = reading.spec.take() else {
            if let Some(partial) = reading.partial.take() {
                let errors = reading.diagnostics.iter().filter(|found| found.severity == Severity::Error);
                let unread: Vec<String> = errors.map(|error| error.place.path.clone()).collect();
                let problems = windlass_blueprint::problems(&partial, Catalog::builtin(), &unread);
                add(&mut reading.diagnostics, problems, &partial, &places);
            }
            return (None, reading.diagnostics);
        };
        let found = include(&mut spec, &self.path, includes, &places);
        let spec = Arc::new(spec);
        let (desired, problems) = Desired::new(spec.clone(), Catalog::builtin());
        reading.diagnostics.extend(found);
        add(&mut reading.diagnostics, problems, &spec, &places);
        let is_refused = reading.diagnostics.iter().any(|found| found.severity == Severity::Error);
        (desired.filter(|_| !is_refused), reading.diagnostics)
    }
}

/// The UTF-8 of a file that begins with the byte order mark of UTF-16, as some editors write it and RKE 1
/// reads it; none for other files.
fn from_utf_16(bytes: &[u8]) -> Option<Vec<u8>> {
    let of_pair: fn([u8; 2]) -> u16 = match bytes.get(..2)? {
        [0xff, 0xfe] => u16::from_le_bytes,
        [0xfe, 0xff] => u16::from_be_bytes,
        _ => return None,
    };
    let (pairs, []) = bytes[2..].as_chunks::<2>() else { return None };
    let units = pairs.iter().copied().map(of_pair);
    Some(char::decode_utf16(units).collect::<Result<String, _>>().ok()?.into_bytes())
}

/// Adds what others than the reader report about the file, each at its place.
fn add(
    diagnostics: &mut Vec<Diagnostic>,
    problems: Vec<Problem>,
    spec: &ClusterSpec,
    places: &SourceMap<'_>,
) {
    // How many more there are comes behind those that are shown.
    let rest = diagnostics.pop_if(|last| last.place.range.is_none());
    let before = diagnostics.len();
    diagnostics.extend(problems.into_iter().map(|problem| diagnostic(problem, places)));
    diagnostics.extend(pairs::check(spec, places));
    diagnostics.extend(ssh_pairs::check(spec, places));
    if diagnostics.len() > before {
        diagnostics.sort_by_key(|diagnostic| diagnostic.place.range.map(|range| range.start));
    }
    diagnostics.extend(rest);
}

fn diagnostic(problem: Problem, places: &SourceMap<'_>) -> Diagnostic {
    let Problem { severity, path, summary, help } = problem;
    let place = places.place(path.as_str());
    Diagnostic { severity, summary, place, label: String::new(), notes: Vec::new(), help }
}

/// The line and column of a path, both from one.
pub(crate) fn position(path: &SpecPath, places: &SourceMap<'_>) -> Option<(u32, u32)> {
    places.place(path.as_str()).range.map(|range| (range.start.line, range.start.column))
}

#[cfg(test)]
mod tests {
    use super::from_utf_16;

    #[test]
    fn utf_16_is_read_in_both_orders_and_nothing_else_is_touched() {
        let units: Vec<u16> = "nodes: [é]\n".encode_utf16().collect();
        let file = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
            mark.into_iter().chain(units.iter().flat_map(|unit| bytes(*unit))).collect::<Vec<u8>>()
        };
        let expected = Some("nodes: [é]\n".as_bytes().to_vec());
        assert_eq!(from_utf_16(&file([0xff, 0xfe], u16::to_le_bytes)), expected);
        assert_eq!(from_utf_16(&file([0xfe, 0xff], u16::to_be_bytes)), expected);
        assert_eq!(from_utf_16(b"nodes: []\n"), None);
        assert_eq!(from_utf_16(&[0xff, 0xfe, 0x6e]), None);
    }
}
