//! Manifests: the objects of Kubernetes in a text of YAML documents, each with the line on which it begins.

use serde_json::Value as Json;
use windlass_model::Secret;

use super::whole::foreign;
use crate::lines::without_mark;
use crate::scalar;
use crate::spec::Manifest;
use crate::yaml::{self, Node, Span, Value, What};

/// The longest text: etcd stores no object of more than 1.5 MiB.
const MAX_BYTES: usize = 16 << 20;

/// What is wrong with a text of manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The line, from 1.
    pub line: usize,
    /// Where in the text, in bytes.
    pub at: usize,
    /// What is wrong, in one line.
    pub summary: String,
    /// What to do about it.
    pub help: String,
}

/// The objects of a text, each with the offset at which it begins, and everything that is wrong with the text.
///
/// Documents are split where kubectl splits them: at lines that begin with `---`. A `List` gives its items.
pub(super) fn objects(text: &str) -> (Vec<(Json, usize)>, Vec<Flaw>) {
    let mut reader = Reader { text, objects: Vec::new(), flaws: Vec::new() };
    if text.len() > MAX_BYTES {
        reader.flaw(
            0,
            format!("the text is larger than {} MiB", MAX_BYTES >> 20),
            "leave out what is no manifest",
        );
        return (reader.objects, reader.flaws);
    }
    for (start, document) in documents(text) {
        reader.document(start, document);
    }
    (reader.objects, reader.flaws)
}

/// The objects of a file that `addons_include` names, and everything that is wrong with it.
pub fn manifests(text: &[u8], name: &str, path: &str) -> (Vec<Manifest>, Vec<Flaw>) {
    let Ok(text) = std::str::from_utf8(text) else {
        let summary = "a byte that is no UTF-8".to_owned();
        return (
            Vec::new(),
            vec![Flaw { line: 1, at: 0, summary, help: "save the file as UTF-8".to_owned() }],
        );
    };
    let text = without_mark(text);
    let (objects, flaws) = objects(text);
    let manifest = |(body, at): (Json, usize)| Manifest {
        body: Secret::new(body),
        from: format!("{name}, line {}", line_of(text, at)),
        path: path.to_owned(),
    };
    (objects.into_iter().map(manifest).collect(), flaws)
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The documents of a text, each with the offset at which it begins.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let is_between = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if is_between {
            documents.push((start, &text[start..at]));
            // What is written behind it belongs to the next one.
            start = at + 3;
        }
        at += line.len();
    }
    documents.push((start, &text[start..]));
    documents
}

struct Reader<'t> {
    text: &'t str,
    objects: Vec<(Json, usize)>,
    flaws: Vec<Flaw>,
}

impl Reader<'_> {
    fn flaw(&mut self, at: usize, summary: impl Into<String>, help: &str) {
        let (line, at) = (line_of(self.text, at), at.min(self.text.len()));
        self.flaws.push(Flaw { line, at, summary: summary.into(), help: help.to_owned() });
    }

    fn document(&mut self, start: usize, document: &str) {
        let parsed = match yaml::parse(document) {
            Ok(parsed) => parsed,
            Err(yaml::Syntax { at, summary, help }) => return self.flaw(start + at, summary, &help),
        };
        for finding in &parsed.findings {
            let at = start + finding.span.start;
            match &finding.what {
                What::Duplicate { .. } => {
                    let summary = format!("`{}` is written twice", finding.path);
                    self.flaw(at, summary, "keep one of them");
                }
                What::SecondDocument => self.flaw(at, "a second document", "write `---` between documents"),
                What::KeyNotText => {
                    self.flaw(at, "a key that is a list or a map", "keys of Kubernetes are texts");
                }
                What::MergeOfNoMap => {
                    self.flaw(at, "`<<` does not name a map", "name a map, or a list of maps");
                }
            }
        }
        if let Some(root) = parsed.root.filter(|root| !matches!(root.value, Value::Null)) {
            self.object(start, &root);
        }
    }

    fn object(&mut self, start: usize, node: &Node<'_>) {
        let at = start + head(node).start;
        let Value::Map(entries) = &node.value else {
            let is = scalar::form_of(&node.value);
            return self.flaw(
                at,
                format!("an object must be a map, not {is}"),
                "begin it with `apiVersion` and `kind`",
            );
        };
        let text = |entries: &[yaml::Entry<'_>], name: &str| -> Option<String> {
            let found = entries.iter().find(|entry| entry.key == name)?;
            match &found.value.value {
                Value::Scalar(scalar) if !scalar.text.is_empty() => Some(scalar.text.to_string()),
                _ => None,
            }
        };
        let (version, kind) = (text(entries, "apiVersion"), text(entries, "kind"));
        let (Some(_), Some(kind)) = (&version, kind) else {
            let lacks = if version.is_none() { "apiVersion" } else { "kind" };
            return self.flaw(
                at,
                format!("an object without `{lacks}`"),
                "every object has `apiVersion`, `kind` and `metadata.name`",
            );
        };
        let items = entries.iter().find(|entry| entry.key == "items");
        if let Some(Value::List(items)) = items.map(|items| &items.value.value)
            && kind.ends_with("List")
        {
            for item in items {
                self.object(start, item);
            }
            return;
        }
        let metadata = entries.iter().find(|entry| entry.key == "metadata");
        let (metadata, place) = match metadata.map(|metadata| (&metadata.value.value, metadata.key_span)) {
            Some((Value::Map(metadata), span)) => (&metadata[..], start + span.start),
            Some((_, span)) => (&[][..], start + span.start),
            None => (&[][..], at),
        };
        if text(metadata, "name").is_none() {
            let (summary, help) = if text(metadata, "generateName").is_some() {
                let summary =
                    format!("a {kind} whose name Kubernetes would make up: each `up` would make another one");
                (summary, "write `name` in the place of `generateName`")
            } else {
                (format!("a {kind} without `metadata.name`"), "give it a name")
            };
            self.flaw(place, summary, help);
            return;
        }
        self.objects.push((foreign(node), at));
    }
}

/// The first key of a map, the whole of anything else.
fn head(node: &Node<'_>) -> Span {
    match &node.value {
        Value::Map(entries) => entries.first().map_or(node.span, |entry| entry.key_span),
        _ => node.span,
    }
}

/// A place in a text, in words, for those who do not see the text.
pub(super) fn within(place: Option<usize>, text: &str, at: usize) -> String {
    match place {
        Some(line) => format!("addons, line {line}"),
        None => format!("addons, line {} of its text", line_of(text, at)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(text: &str) -> (Vec<String>, Vec<String>) {
        let (objects, flaws) = objects(text);
        let name = |(body, at): (Json, usize)| {
            format!(
                "{} {} at {}",
                body["kind"].as_str().unwrap(),
                body["metadata"]["name"],
                line_of(text, at)
            )
        };
        let flaw = |flaw: Flaw| format!("{}: {} ({})", flaw.line, flaw.summary, flaw.help);
        (objects.into_iter().map(name).collect(), flaws.into_iter().map(flaw).collect())
    }

    #[test]
    fn documents_are_split_as_kubectl_splits_them() {
        let text = "# first\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n--- # more\n\
            {apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {x: '---'}}\n---\n---\n# nothing\n\
            --- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n";
        let expected = ["Namespace \"a\" at 3", "ConfigMap \"b\" at 7", "ConfigMap \"c\" at 11"];
        assert_eq!(found(text), (expected.map(str::to_owned).to_vec(), Vec::new()));
    }

    #[test]
    fn values_are_what_kubernetes_takes() {
        let (objects, _) = objects(
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: null}\nmode: 0644\nyes: yes\ntext: '1'\n",
        );
        let expected = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "mode": 420,
            "yes": true, "text": "1"});
        assert_eq!(objects[0].0, expected);
    }

    #[test]
    fn a_list_gives_its_items() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n\
            - {apiVersion: v1, metadata: {name: b}}\n";
        let (objects, flaws) = found(text);
        assert_eq!(objects, ["ConfigMap \"a\" at 4"]);
        assert_eq!(flaws.len(), 1, "{flaws:?}");
        assert!(flaws[0].starts_with("5: an object without `kind`"), "{flaws:?}");
    }

    #[test]
    fn each_flaw_has_its_line() {
        for (text, expected) in [
            ("a: [\n", "1: "),
            (
                "---\napiVersion: v1\nkind: Pod\nmetadata:\n  generateName: a-\n",
                "4: a Pod whose name Kubernetes would make up",
            ),
            ("apiVersion: v1\nkind: Pod\n", "1: a Pod without `metadata.name`"),
            ("\n\nkind: Pod\nmetadata: {name: a}\n", "3: an object without `apiVersion`"),
            ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nkind: Job\n", "4: `kind` is written twice"),
            ("- a\n", "1: an object must be a map, not a list"),
            ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n...\napiVersion: v1\n", "5: a second document"),
        ] {
            let (_, flaws) = found(text);
            assert!(flaws.iter().any(|flaw| flaw.starts_with(expected)), "{text}: {flaws:?}");
        }
    }
}
