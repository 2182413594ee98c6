//! The wish: cluster.yml from the disk, read, resolved, and with a place for whatever is said of it later.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_blueprint::{Catalog, Problem, resolve};
use windlass_engine::{Assignment, LookScope};
use windlass_model::{Blueprint, HostFacts, Inventory, LastNode, NodeName, Secret, SecretName, SpecPath};
use windlass_spec::{ClusterSpec, Diagnostic, EndpointSpec, Severity, SourceMap, Strictness};

use crate::pairs;
use crate::ssh_pairs;
use crate::trouble::Trouble;

/// A cluster.yml as text, with the names by which it is spoken of.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    text: Vec<u8>,
}

impl Source {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, Trouble> {
        match fs::read(path) {
            Ok(text) => Ok(Self { path: path.to_owned(), text }),
            Err(source) => Err(Trouble::ConfigUnreadable { path: path.to_owned(), source }),
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

    /// Where paths such as `nodes[2].role` lead.
    pub(crate) fn places(&self) -> SourceMap<'_> {
        SourceMap::new(&self.text)
    }

    /// What it wishes, if nothing is wrong with it; and all that is to be said of it.
    pub(crate) fn understand(&self) -> (Option<Wish>, Vec<Diagnostic>) {
        self.understand_with(Strictness::Lenient)
    }

    /// The same, with so much made of keys that nothing reads.
    pub(crate) fn understand_with(&self, strictness: Strictness) -> (Option<Wish>, Vec<Diagnostic>) {
        let mut reading = windlass_spec::read_with(&self.text, strictness);
        if strictness == Strictness::Strict {
            // A key that nothing reads keeps nobody from saying what else is wrong.
            reading.spec = windlass_spec::read(&self.text).spec;
        }
        let places = self.places();
        let Some(spec) = reading.spec.take() else {
            if let Some(partial) = reading.partial.take() {
                let problems = windlass_blueprint::problems(&partial, Catalog::builtin());
                add(&mut reading.diagnostics, problems, &partial, &places);
            }
            return (None, reading.diagnostics);
        };
        let resolution = resolve(&spec, Catalog::builtin(), &BTreeMap::new());
        add(&mut reading.diagnostics, resolution.problems, &spec, &places);
        let is_refused = reading.diagnostics.iter().any(|found| found.severity == Severity::Error);
        let wish = resolution.blueprint.filter(|_| !is_refused).map(|blueprint| {
            let blueprint = Arc::new(blueprint);
            let latest = RefCell::new((BTreeMap::new(), blueprint.clone()));
            Wish { spec, blueprint, secrets: resolution.secrets.into_iter().collect(), latest }
        });
        (wish, reading.diagnostics)
    }
}

/// Adds what others than the reader have to say of the file, each at its place.
fn add(
    diagnostics: &mut Vec<Diagnostic>,
    problems: Vec<Problem>,
    spec: &ClusterSpec,
    places: &SourceMap<'_>,
) {
    let before = diagnostics.len();
    diagnostics.extend(problems.into_iter().map(|problem| diagnostic(problem, places)));
    diagnostics.extend(pairs::check(spec, places));
    diagnostics.extend(ssh_pairs::check(spec, places));
    if diagnostics.len() > before {
        diagnostics.sort_by_key(|diagnostic| diagnostic.place.range.map(|range| range.start));
    }
}

fn diagnostic(problem: Problem, places: &SourceMap<'_>) -> Diagnostic {
    let Problem { severity, path, summary, help } = problem;
    let place = places.place(path.as_str());
    Diagnostic { severity, summary, place, label: String::new(), notes: Vec::new(), help }
}

/// What a cluster.yml wishes.
#[derive(Debug)]
pub(crate) struct Wish {
    spec: ClusterSpec,
    /// The wish for ordinary machines.
    pub(crate) blueprint: Arc<Blueprint>,
    secrets: BTreeMap<SecretName, Secret<String>>,
    /// The machines that were seen last, and the wish for them.
    latest: RefCell<(BTreeMap<NodeName, HostFacts>, Arc<Blueprint>)>,
}

impl Wish {
    /// The complete wish for the machines that were seen.
    pub(crate) fn for_machines(&self, seen: &Inventory) -> Arc<Blueprint> {
        let ordinary = HostFacts::default();
        // Ordinary machines are what is assumed of those that were not seen.
        let hosts: BTreeMap<NodeName, HostFacts> = seen
            .nodes
            .iter()
            .filter_map(|(name, node)| Some((name.clone(), node.facts()?.host.clone())))
            .filter(|(_, host)| *host != ordinary)
            .collect();
        let mut latest = self.latest.borrow_mut();
        if latest.0 != hosts {
            let blueprint = resolve(&self.spec, Catalog::builtin(), &hosts).blueprint.expect(
                "what is wrong with a file does not depend on machines, and nothing was wrong with it",
            );
            *latest = (hosts, Arc::new(blueprint));
        }
        latest.1.clone()
    }

    /// cluster.yml as it was written.
    pub(crate) fn spec(&self) -> &ClusterSpec {
        &self.spec
    }

    /// A secret that cluster.yml carries.
    pub(crate) fn secret(&self, name: &str) -> Option<&Secret<String>> {
        self.secrets.get(&SecretName::from(name))
    }

    /// The name or address that stands for all API servers.
    pub(crate) fn endpoint(&self) -> Option<&EndpointSpec> {
        self.spec.windlass.endpoint.as_ref()
    }

    /// What the engine is told of the wish.
    pub(crate) fn assignment(&self, blueprint: &Blueprint) -> Assignment {
        let nodes = blueprint
            .nodes
            .iter()
            .map(|(name, node)| {
                (name.clone(), LastNode { target: node.target.clone(), roles: node.roles.clone() })
            })
            .collect();
        Assignment { nodes, scope: scope(blueprint), secrets: self.secrets.clone() }
    }
}

/// What a look must cover to tell all that this wish is about.
pub(crate) fn scope(blueprint: &Blueprint) -> LookScope {
    let footprint = &blueprint.footprint;
    let mut files = footprint.files.clone();
    files.insert(footprint.ledger.clone());
    LookScope {
        files: Arc::new(files),
        directories: Arc::new(footprint.all_directories().into_keys().collect()),
        etcd_data: footprint.etcd_data.clone(),
        ledger: footprint.ledger.clone(),
        peers: Arc::new(LookScope::peers_of(&blueprint.nodes)),
    }
}

/// The line and column of a path, both from one.
pub(crate) fn position(path: &SpecPath, places: &SourceMap<'_>) -> Option<(u32, u32)> {
    places.place(path.as_str()).range.map(|range| (range.start.line, range.start.column))
}
