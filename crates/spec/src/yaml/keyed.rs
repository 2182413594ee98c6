//! The entries of a map, found by key without a long search.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Entry;

/// The entries of a map with an index that is made only where a search would be slow.
pub(super) struct Keyed<'t> {
    pub(super) entries: Vec<Entry<'t>>,
    index: BTreeMap<Cow<'t, str>, usize>,
}

/// Up to here a search from the front is faster than a tree.
const SMALL_MAP: usize = 24;

impl<'t> Keyed<'t> {
    pub(super) fn with_capacity(entries: usize) -> Self {
        Self { entries: Vec::with_capacity(entries), index: BTreeMap::new() }
    }

    pub(super) fn position(&self, key: &str) -> Option<usize> {
        if self.entries.len() <= SMALL_MAP {
            self.entries.iter().position(|entry| entry.key == key)
        } else {
            self.index.get(key).copied()
        }
    }

    pub(super) fn push(&mut self, entry: Entry<'t>) {
        let position = self.entries.len();
        self.entries.push(entry);
        if position == SMALL_MAP {
            self.index = self.entries.iter().map(|entry| entry.key.clone()).zip(0..).collect();
        } else if position > SMALL_MAP {
            self.index.insert(self.entries[position].key.clone(), position);
        }
    }
}

impl<'t> From<Vec<Entry<'t>>> for Keyed<'t> {
    fn from(entries: Vec<Entry<'t>>) -> Self {
        let mut keyed = Self::with_capacity(entries.len());
        for entry in entries {
            keyed.push(entry);
        }
        keyed
    }
}
