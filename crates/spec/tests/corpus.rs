//! Real cluster.yml files, where they are at hand: nothing is refused that RKE 1 took.
#![expect(clippy::disallowed_methods, reason = "the tests read files; the crate does not")]
#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use windlass_spec::{SourceMap, read, render};

/// What RKE 1 refused too, by the number in the file's name.
const REFUSED: [(&str, &str); 3] =
    [("003", "`nodes` is null"), ("020", "its nodes have no `user`"), ("029", "`snapshot` is a quoted text")];

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    files
}

#[test]
fn real_files_are_refused_only_where_rke_1_refused_them() {
    for file in files() {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read(&file).unwrap();
        let reading = read(&text);
        let said = render(&reading.diagnostics, &name, &text);
        let refused = REFUSED.iter().find(|(number, _)| name.starts_with(number));
        assert_eq!(reading.spec.is_none(), refused.is_some(), "{name}: {refused:?}\n{said}");
    }
}

#[test]
fn every_place_in_a_real_file_is_found_again_by_its_path() {
    for file in files() {
        let text = fs::read(&file).unwrap();
        let map = SourceMap::new(&text);
        for diagnostic in read(&text).diagnostics {
            if diagnostic.summary.ends_with("is there twice") {
                // Reported at both places, which have one path.
                continue;
            }
            let place = map.place(&diagnostic.place.path);
            let lines = |range: Option<windlass_spec::Range>| range.map(|range| range.start.line);
            let (again, reported) = (lines(place.range), lines(diagnostic.place.range));
            // A key is reported where the key stands; its value may begin on the line after.
            assert!(
                again >= reported && again <= reported.map(|line| line + 1),
                "{}: {diagnostic:?}",
                file.display()
            );
        }
    }
}
