//! Which files of a crate import each other in a circle: only those that are named here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The circles that remain, by crate, each as the set of its files. docs/architecture.md says why.
const ALLOWED: [(&str, &[&str]); 10] = [
    // A file and its parts: it has the type or the tools that they share, and calls them.
    ("addons", &["coredns", "coredns::autoscaler"]),
    ("addons", &["flannel", "flannel::pods"]),
    ("addons", &["traefik", "traefik::flags", "traefik::pods"]),
    (
        "integration",
        &[
            "lab",
            "lab::api",
            "lab::authority",
            "lab::balancer",
            "lab::cluster",
            "lab::command",
            "lab::floor",
            "lab::kills",
            "lab::kubectl",
            "lab::node",
            "lab::planned",
            "lab::prober",
            "lab::s3_server",
            "lab::snapshot",
            "lab::state",
            "lab::stops",
            "lab::web",
            "lab::windlass",
            "lab::writer",
        ],
    ),
    ("model", &["finding", "finding::remedies"]),
    ("model", &["objects", "objects::compare"]),
    (
        "spec",
        &[
            "schema",
            "schema::aci",
            "schema::addons",
            "schema::cloud",
            "schema::kubernetes",
            "schema::nodes",
            "schema::services",
            "schema::top",
        ],
    ),
    ("spec", &["spec", "spec::service"]),
    ("spec", &["yaml", "yaml::keyed", "yaml::refusal"]),
    // The world.
    (
        "simulator",
        &[
            "bucket",
            "docker",
            "etcd",
            "etcd_places",
            "faults",
            "files",
            "invariants",
            "kube",
            "ledger",
            "machine",
            "minter",
            "objects",
            "ports",
            "process",
            "rolling",
            "run",
            "snapshots",
            "view",
            "world",
        ],
    ),
];

#[test]
fn no_files_of_a_crate_import_each_other_in_a_circle_but_those_that_are_named() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("integration/ is in the workspace");
    let mut crates: Vec<_> = fs::read_dir(root.join("crates"))
        .expect("crates/ is in the workspace")
        .map(|entry| entry.expect("a directory lists its entries").path())
        .collect();
    crates.push(root.join("integration"));
    let mut found: BTreeSet<(String, Vec<String>)> = BTreeSet::new();
    for path in crates {
        let name = path.file_name().expect("a crate has a name").to_string_lossy().into_owned();
        let circles = circles(&imports(&path.join("src")));
        found.extend(circles.into_iter().map(|circle| (name.clone(), circle)));
    }
    let allowed: BTreeSet<(String, Vec<String>)> = ALLOWED
        .into_iter()
        .map(|(name, files)| (name.to_owned(), files.iter().copied().map(str::to_owned).collect()))
        .collect();
    let new: Vec<_> = found.difference(&allowed).collect();
    assert!(new.is_empty(), "files import each other in a circle: {new:#?}");
    let gone: Vec<_> = allowed.difference(&found).collect();
    assert!(gone.is_empty(), "these circles are no more, so take them out of the list: {gone:#?}");
}

#[test]
fn the_search_finds_circles_in_every_form_of_an_import() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let imports = imports_of(&BTreeMap::from([
        file("a", "use crate::{b, c::Thing};"),
        file("b", "fn f() { crate::d::e::g() }"),
        file("c", ""),
        file("d::e", "use super::super::a::Other;\n#[cfg(test)]\nmod tests { use crate::c; }"),
        file("f", "use super::g::X;"),
        file("g", "use crate::f::Y;"),
        file("h", "mod i;\nfn f() { i::work() }"),
        file("h::i", "use super::Shared;"),
        file("j", "mod k;\npub use self::k::Thing;\nfn k::not() {}"),
        file("j::k", ""),
    ]));
    let names = |names: &[&str]| names.iter().copied().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(circles(&imports), [names(&["a", "b", "d::e"]), names(&["f", "g"]), names(&["h", "h::i"])]);
}

type Imports = BTreeMap<String, BTreeSet<String>>;

/// Which files of a crate each of its files imports, by the paths of their modules.
fn imports(source: &Path) -> Imports {
    let mut texts = BTreeMap::new();
    collect(source, "", &mut texts);
    imports_of(&texts)
}

fn collect(directory: &Path, prefix: &str, texts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).expect("a crate has sources") {
        let path = entry.expect("a directory lists its entries").path();
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        if path.is_dir() {
            // Programs are crates of their own.
            if name != "bin" {
                collect(&path, &format!("{prefix}{name}::"), texts);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") && name != "lib" {
            let module = if name == "mod" {
                prefix.trim_end_matches("::").to_owned()
            } else {
                prefix.to_owned() + &name
            };
            texts.insert(module, fs::read_to_string(&path).expect("sources are text"));
        }
    }
}

fn imports_of(texts: &BTreeMap<String, String>) -> Imports {
    let of = |module: &String, text: &String| {
        // Tests may import any file.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let mut found = BTreeSet::new();
        for path in paths(module, text).into_iter().chain(parts(module, text)) {
            let mut path: &[String] = &path;
            while !path.is_empty() && !texts.contains_key(&path.join("::")) {
                path = &path[..path.len() - 1];
            }
            let target = path.join("::");
            if !target.is_empty() && target != *module {
                found.insert(target);
            }
        }
        found
    };
    texts.iter().map(|(module, text)| (module.clone(), of(module, text))).collect()
}

/// The paths in a text that begin with `crate` or `super`, from the root of the crate.
fn paths(module: &str, text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = ["crate::", "super::"].iter().filter_map(|word| rest.find(word)).min() {
        let is_whole =
            !rest[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':');
        rest = &rest[at..];
        let mut base: Vec<String> = Vec::new();
        if let Some(after) = rest.strip_prefix("crate::") {
            rest = after;
        } else {
            base = module.split("::").map(str::to_owned).collect();
            while let Some(after) = rest.strip_prefix("super::") {
                base.pop();
                rest = after;
            }
        }
        if !is_whole {
            continue;
        }
        let group = rest.strip_prefix('{').and_then(|group| group.split('}').next());
        let ends: Vec<&str> = match group {
            Some(group) => group.split(',').collect(),
            None => vec![rest],
        };
        for end in ends {
            let names = end.trim().split("::").map(|name| {
                let end = name.find(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
                name[..end.unwrap_or(name.len())].to_owned()
            });
            found.push(base.iter().cloned().chain(names).collect());
        }
    }
    found
}

/// The own modules of a file: `mod part;` and, further on, `part::thing`.
fn parts(module: &str, text: &str) -> Vec<Vec<String>> {
    let own = text.lines().filter_map(|line| {
        let line = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    let is_named = |part: &&str| {
        text.match_indices(&format!("{part}::")).any(|(at, _)| {
            let before = text[..at].strip_suffix("self::").unwrap_or(&text[..at]);
            !before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':')
        })
    };
    own.filter(is_named).map(|part| module.split("::").chain([part]).map(str::to_owned).collect()).collect()
}

/// The groups of files each of which reaches all others of its group, sorted.
fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        imports.keys().map(|file| (file, reached_from(file, imports))).collect();
    let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
    for (file, from_here) in &reached {
        if from_here.contains(file) {
            let circle = from_here.iter().filter(|other| reached[**other].contains(file));
            circles.insert(circle.map(|other| (*other).clone()).collect());
        }
    }
    circles.into_iter().collect()
}

fn reached_from<'i>(file: &String, imports: &'i Imports) -> BTreeSet<&'i String> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&String> = imports[file].iter().collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(&imports[file]);
        }
    }
    reached
}
