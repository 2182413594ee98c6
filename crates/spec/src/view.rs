//! A map of the file seen through its keys: what is absent, empty or of the wrong form is simply not there.

use std::collections::BTreeMap;

use crate::path::Path;
use crate::scalar;
use crate::yaml::{Entry, Node, Span, Value};

/// A map at its path. Wrong forms were reported when the tree was compared with the schema.
#[derive(Clone, Copy)]
pub(crate) struct View<'a, 't> {
    entries: &'a [Entry<'t>],
    /// Where the map is, or the nearest thing around it that is there.
    pub(crate) span: Span,
    pub(crate) path: &'a Path<'a>,
}

impl<'a, 't> View<'a, 't> {
    pub(crate) fn new(entries: &'a [Entry<'t>], span: Span, path: &'a Path<'a>) -> Self {
        Self { entries, span, path }
    }

    /// A key that has a value.
    pub(crate) fn entry(&self, name: &str) -> Option<&'a Entry<'t>> {
        self.entries.iter().find(|entry| entry.key == name && !matches!(entry.value.value, Value::Null))
    }

    /// A key, whether or not it has a value.
    pub(crate) fn key(&self, name: &str) -> Option<&'a Entry<'t>> {
        self.entries.iter().find(|entry| entry.key == name)
    }

    /// Where a key's value is, or the map if it has none.
    pub(crate) fn span_of(&self, name: &str) -> Span {
        self.key(name).map_or(self.span, Entry::span)
    }

    /// The first line of the map: what is pointed at when a key is missing.
    pub(crate) fn head(&self) -> Span {
        self.entries.first().map_or(self.span, |entry| entry.key_span)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        text_of(&self.entry(name)?.value).filter(|text| !text.is_empty())
    }

    pub(crate) fn string(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match &self.entry(name)?.value.value {
            Value::Scalar(scalar) => scalar::flag(scalar),
            _ => None,
        }
    }

    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        match &self.entry(name)?.value.value {
            Value::Scalar(scalar) => scalar::integer(scalar),
            _ => None,
        }
    }

    /// The texts of a list with their places; empty ones are left out.
    pub(crate) fn texts(&self, name: &str) -> Vec<(usize, &'a str, Span)> {
        match self.entry(name).map(|entry| &entry.value.value) {
            Some(Value::List(items)) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| Some((index, text_of(item)?, item.span)))
                .filter(|(_, text, _)| !text.is_empty())
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The texts of a list without their places.
    pub(crate) fn strings(&self, name: &str) -> Vec<String> {
        self.texts(name).into_iter().map(|(_, text, _)| text.to_owned()).collect()
    }

    /// The entries of a map from names that the user chooses.
    pub(crate) fn names(&self, name: &str) -> &'a [Entry<'t>] {
        match self.entry(name).map(|entry| &entry.value.value) {
            Some(Value::Map(entries)) => entries,
            _ => &[],
        }
    }

    /// A map from names to texts; a name without a value has an empty one.
    pub(crate) fn text_map(&self, name: &str) -> BTreeMap<String, String> {
        texts_by_name(self.names(name))
    }

    /// All keys of this map with their texts.
    pub(crate) fn text_map_of_all(&self) -> BTreeMap<String, String> {
        texts_by_name(self.entries)
    }

    /// A section; one that is absent has no keys and the place of this map.
    pub(crate) fn section<'b>(&self, name: &str, path: &'b Path<'b>) -> View<'b, 't>
    where
        'a: 'b,
    {
        match self.entry(name) {
            Some(Entry { value: Node { value: Value::Map(entries), span }, .. }) => {
                View::new(entries, *span, path)
            }
            _ => View::new(&[], self.span_of(name), path),
        }
    }

    /// The items of a list of maps: an index and a map for each.
    pub(crate) fn items(&self, name: &str) -> Vec<(usize, &'a [Entry<'t>], Span)> {
        match self.entry(name).map(|entry| &entry.value.value) {
            Some(Value::List(items)) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| match &item.value {
                    Value::Map(entries) => Some((index, entries.as_slice(), item.span)),
                    Value::Null => Some((index, [].as_slice(), item.span)),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// The text of a scalar.
pub(crate) fn text_of<'a>(node: &'a Node<'_>) -> Option<&'a str> {
    match &node.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        _ => None,
    }
}

fn texts_by_name(entries: &[Entry<'_>]) -> BTreeMap<String, String> {
    // What is of the wrong form was reported, and is nothing: not an empty text.
    let texts = entries.iter().filter_map(|entry| match &entry.value.value {
        Value::Null => Some((entry.key.to_string(), String::new())),
        _ => Some((entry.key.to_string(), text_of(&entry.value)?.to_owned())),
    });
    texts.collect()
}
