//! Keys of Kubernetes' own formats take their usual spelling, whatever their case in the file.
//!
//! RKE 1 read these parts as JSON into Kubernetes' types, for which Go looks at no case; its guide even had
//! `Providers` and `AESCBC` in the configuration of encryption. The API server itself does look.

use std::borrow::Cow;

use crate::path::Path;
use crate::report::Reports;
use crate::schema::{self, Key, Kind};
use crate::strictness::Strictness;
use crate::yaml::{Entry, Span, Value};

/// A key that was written in another case.
struct Respelled {
    path: String,
    span: Span,
    written: String,
    usual: &'static str,
}

/// Gives the keys of all embedded formats of Kubernetes their usual spelling, and tells of it once; where keys must
/// be known, that is an error.
pub(crate) fn settle(root: &mut [Entry<'_>], strictness: Strictness, reports: &mut Reports<'_>) {
    let mut respelled = Vec::new();
    section(schema::CLUSTER, root, Within::Rke, &Path::Top, &mut respelled);
    respelled.sort_by_key(|key| key.span.start);
    let Some((first, others)) = respelled.split_first() else { return };
    let summary = format!("`{}` is taken for `{}`", first.written, first.usual);
    let draft = match strictness {
        Strictness::Lenient => reports.warning(&first.path, first.span, summary),
        Strictness::Strict => reports.error(&first.path, first.span, summary),
    };
    draft.note("RKE 1 looked at no case in formats of Kubernetes; Kubernetes itself does");
    let mut also: Vec<&str> =
        others.iter().map(|other| other.usual).filter(|usual| *usual != first.usual).collect();
    also.sort_unstable();
    also.dedup();
    if !also.is_empty() {
        let names: Vec<String> = also.iter().map(|usual| format!("`{usual}`")).collect();
        draft.help(format!("write {} so, too", names.join(", ")));
    }
}

/// Whose format a part of the file is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Rke,
    Kubernetes,
}

fn section(
    keys: &'static [Key],
    entries: &mut [Entry<'_>],
    within: Within,
    path: &Path<'_>,
    respelled: &mut Vec<Respelled>,
) {
    let is_of_kubernetes = schema::OF_KUBERNETES.iter().any(|format| std::ptr::eq(*format, keys));
    let within = if is_of_kubernetes { Within::Kubernetes } else { within };
    if within == Within::Kubernetes {
        for key in keys {
            if entries.iter().any(|entry| entry.key == key.name) {
                continue;
            }
            if let Some(entry) = entries.iter_mut().find(|entry| entry.key.eq_ignore_ascii_case(key.name)) {
                let written = std::mem::replace(&mut entry.key, Cow::Borrowed(key.name)).into_owned();
                let path = path.key(&written).to_string();
                respelled.push(Respelled { path, span: entry.key_span, written, usual: key.name });
            }
        }
    }
    for entry in entries {
        let Entry { key, value: node, .. } = entry;
        if let Some(known) = schema::find(keys, key) {
            value(known.kind, &mut node.value, within, &path.key(key), respelled);
        }
    }
}

fn value(kind: Kind, found: &mut Value<'_>, within: Within, path: &Path<'_>, respelled: &mut Vec<Respelled>) {
    match (kind, found) {
        (Kind::Section(keys), Value::Map(entries)) => section(keys, entries, within, path, respelled),
        (Kind::Sections(keys), Value::List(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                value(Kind::Section(keys), &mut item.value, within, &path.item(index), respelled);
            }
        }
        (Kind::SectionMap(keys), Value::Map(entries)) => {
            for entry in entries {
                let Entry { key, value: node, .. } = entry;
                value(Kind::Section(keys), &mut node.value, within, &path.key(key), respelled);
            }
        }
        _ => {}
    }
}
