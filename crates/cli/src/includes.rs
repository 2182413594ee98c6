//! What `addons_include` names: files relative to cluster.yml, and URLs, read into the cluster.yml that was read.

use std::path::Path;
use std::process::Command;

use windlass_model::Digest;
use windlass_spec::{ClusterSpec, Diagnostic, Flaw, Severity, SourceMap, manifests};

/// How many flaws of one file are shown.
const FLAWS_SHOWN: usize = 10;
/// The largest answer to a request, in bytes.
const MAX_BYTES: &str = "16777216";

/// What is read of `addons_include`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Includes {
    /// Files and URLs: the manifests are to be applied, or compared.
    All,
    /// Files alone: no request leaves the machine.
    Files,
    /// Nothing: no manifest is looked at.
    Nothing,
}

/// Adds what is read to the cluster.yml, and gives everything that is wrong with it.
pub(crate) fn include(
    spec: &mut ClusterSpec,
    beside: &Path,
    what: Includes,
    places: &SourceMap<'_>,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if what == Includes::Nothing {
        return found;
    }
    for (word, _) in spec.windlass.checksums.iter().filter(|(word, _)| !spec.addons_include.contains(word)) {
        let path = format!("windlass.checksums.{word}");
        let summary = format!("`{word}` is not among `addons_include`: no effect");
        found.push(diagnostic(Severity::Warning, &path, summary, "write it as it is written there", places));
    }
    for (index, word) in spec.addons_include.clone().iter().enumerate() {
        let path = format!("addons_include[{index}]");
        let is_url = word.starts_with("http://") || word.starts_with("https://");
        let sum = spec.windlass.checksums.get(word);
        if word.starts_with("http://") && sum.is_none() {
            let summary = format!("`{word}` is not encrypted: others on the way can change what is applied");
            let help = "write `https`, or its SHA-256 under `windlass.checksums`";
            found.push(diagnostic(Severity::Warning, &path, summary, help, places));
        }
        if is_url && what == Includes::Files {
            continue;
        }
        let text = match if is_url { fetched(word) } else { read(beside, word) } {
            Ok(text) => text,
            Err((summary, help)) => {
                found.push(diagnostic(Severity::Error, &path, summary, help, places));
                continue;
            }
        };
        let is = Digest::of(&text).to_string();
        if let Some(sum) = sum.filter(|sum| is != format!("sha256:{sum}")) {
            let summary = format!("`{word}` has the checksum {is}, not sha256:{sum}");
            let help = "look at what changed in it, then write its new checksum under `windlass.checksums`";
            found.push(diagnostic(Severity::Error, &path, summary, help, places));
            continue;
        }
        let (objects, flaws) = manifests(&text, word, &path);
        found.extend(flawed(word, &path, flaws, places));
        spec.manifests.extend(objects);
    }
    found
}

fn flawed(word: &str, path: &str, flaws: Vec<Flaw>, places: &SourceMap<'_>) -> Vec<Diagnostic> {
    let more = flaws.len().saturating_sub(FLAWS_SHOWN);
    let mut found: Vec<Diagnostic> = flaws
        .into_iter()
        .take(FLAWS_SHOWN)
        .map(|Flaw { line, at: _, summary, help }| {
            diagnostic(Severity::Error, path, format!("{word}:{line}: {summary}"), &help, places)
        })
        .collect();
    if let Some(last) = found.last_mut().filter(|_| more > 0) {
        last.notes.push(format!("{more} more are not shown"));
    }
    found
}

type Flawed = (String, &'static str);

fn read(beside: &Path, word: &str) -> Result<Vec<u8>, Flawed> {
    let directory = beside.parent().unwrap_or(Path::new("."));
    std::fs::read(directory.join(word)).map_err(|error| {
        (
            format!("`{word}` cannot be read: {error}"),
            "files are relative to the directory of cluster.yml; URLs begin with `https://`",
        )
    })
}

/// By the operator's curl: it knows the proxies and the authorities of this machine.
fn fetched(url: &str) -> Result<Vec<u8>, Flawed> {
    let asked = Command::new("curl")
        .args([
            "--fail",
            "--silent",
            "--show-error",
            "--location",
            "--connect-timeout",
            "10",
            "--max-time",
            "60",
        ])
        .args(["--proto", "=http,https", "--max-filesize", MAX_BYTES, "--"])
        .arg(url)
        .output();
    match asked {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said =
                said.lines().last().unwrap_or("curl says nothing").trim_start_matches("curl: ").to_owned();
            Err((format!("`{url}` cannot be fetched: {said}"), "try `curl` with it on this machine"))
        }
        Err(error) => Err((
            format!("`{url}` cannot be fetched: curl does not start: {error}"),
            "install curl on this machine",
        )),
    }
}

fn diagnostic(
    severity: Severity,
    path: &str,
    summary: String,
    help: &str,
    places: &SourceMap<'_>,
) -> Diagnostic {
    let place = places.place(path);
    Diagnostic {
        severity,
        summary,
        place,
        label: String::new(),
        notes: Vec::new(),
        help: Some(help.to_owned()),
    }
}
