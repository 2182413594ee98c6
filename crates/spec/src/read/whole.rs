//! Subtrees that are kept whole: as JSON, whose forms are those that the schema gives them.

use serde_json::{Map, Number, Value as Json};

use crate::scalar;
use crate::schema::{self, Kind};
use crate::view::View;
use crate::yaml::{Entry, Node, Scalar, Value};

/// The value of a key as JSON; nothing if it is absent, empty, or asks for nothing.
pub(super) fn whole(view: View<'_, '_>, keys: &'static [schema::Key], name: &str) -> Option<Json> {
    let entry = view.entry(name)?;
    let kind = schema::find(keys, name).map_or(Kind::Foreign, |key| key.kind);
    Some(json(kind, &entry.value)).filter(|json| !is_empty(json))
}

/// A value in nobody's format as JSON.
pub(super) fn foreign(node: &Node<'_>) -> Json {
    json(Kind::Foreign, node)
}

/// The items of a list as JSON.
pub(super) fn all(view: View<'_, '_>, keys: &'static [schema::Key], name: &str) -> Vec<Json> {
    match whole(view, keys, name) {
        Some(Json::Array(items)) => items,
        _ => Vec::new(),
    }
}

fn is_empty(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(entries) => entries.is_empty(),
        _ => false,
    }
}

/// A value in the form that its kind asks for; nulls are left out of maps, since they mean silence.
fn json(kind: Kind, node: &Node<'_>) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(scalar) => of_scalar(kind, scalar),
        Value::List(items) => {
            let kind = match kind {
                Kind::Sections(keys) => Kind::Section(keys),
                Kind::Texts | Kind::TextOrTexts => Kind::Text,
                kind => kind,
            };
            Json::Array(items.iter().map(|item| json(kind, item)).collect())
        }
        Value::Map(entries) => Json::Object(of_map(kind, entries)),
    }
}

fn of_map(kind: Kind, entries: &[Entry<'_>]) -> Map<String, Json> {
    let kind_of = |name: &str| match kind {
        Kind::Section(keys) => schema::find(keys, name).map_or(Kind::Foreign, |key| key.kind),
        Kind::SectionMap(keys) => Kind::Section(keys),
        Kind::TextMap | Kind::Options(_) => Kind::Text,
        Kind::TextsMap => Kind::Texts,
        _ => Kind::Foreign,
    };
    entries
        .iter()
        .filter(|entry| !matches!(entry.value.value, Value::Null))
        .map(|entry| (entry.key.to_string(), json(kind_of(&entry.key), &entry.value)))
        .collect()
}

fn of_scalar(kind: Kind, scalar: &Scalar<'_>) -> Json {
    let text = || Json::String(scalar.text.to_string());
    let number = || scalar::number(scalar).and_then(Number::from_f64).map(Json::Number);
    let integer = || scalar::integer(scalar).map(|integer| Json::Number(integer.into()));
    let flag = || scalar::flag(scalar).map(Json::Bool);
    let found = match kind {
        Kind::Flag => flag(),
        Kind::Integer | Kind::IntegerOrText => integer(),
        Kind::Number => integer().or_else(number),
        Kind::Foreign => flag().or_else(integer).or_else(number),
        _ => None,
    };
    found.unwrap_or_else(text)
}
