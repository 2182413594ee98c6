//! Walks the tree of a snapshot: it visits every page, and returns the revision and the keys of etcd in it.
//!
//! ```text
//! page 0, 1   meta: two of them, the one with the higher transaction counts
//! branch      keys and the pages below them        ─┐ every page once, all within the file, keys in order
//! leaf        keys and values, or buckets of their own ─┘
//! bucket key  17 bytes: revision, `_`, number within it; `t` last if the key was deleted → KeyValue of etcd
//! ```
//!
//! The format is that of bbolt 1.3 (`page.go`, `bucket.go`, `db.go`: `meta.validate`), which etcd 3.4 to 3.7
//! write.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::FileExt as _;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const HEADER: usize = 16;
const ELEMENT: usize = 16;
const BUCKET: usize = 16;
/// A meta's bytes before its checksum.
const CHECKED: usize = 56;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
/// The flag of an element that is a bucket.
const IS_BUCKET: u32 = 0x01;
/// No tree of a real database is as deep as this.
const DEEPEST: usize = 64;

/// The contents of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) revision: u64,
    pub(crate) keys: u64,
    pub(crate) keys_by_prefix: BTreeMap<String, u64>,
    pub(crate) etcd: Option<String>,
    /// By name.
    pub(crate) members: Vec<Listed>,
}

/// A member of the cluster, as the database lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// The URLs by which other members reach it.
    pub(crate) peer_urls: Vec<String>,
}

/// Why the tree is invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    Unreadable(#[from] std::io::Error),
    #[error("neither of its two first pages is whole")]
    NoMeta,
    #[error("page {page} {why}")]
    Page { page: u64, why: &'static str },
    #[error("it holds no keys of etcd")]
    NoKeys,
}

/// Reads all of a database of this many bytes.
pub(crate) fn walk(file: &File, bytes: u64) -> Result<Contents, Broken> {
    let mut walk = Walk::begin(file, bytes)?;
    let mut reading = Reading::default();
    let root = walk.root;
    walk.tree(root, 0, &mut |walk, key, value, is_bucket| {
        if !is_bucket {
            return Ok(());
        }
        let Ok(name) = std::str::from_utf8(key) else { return Ok(()) };
        let name = name.to_owned();
        reading.has_keys |= name == "key";
        let reading = &mut reading;
        walk.bucket(value, &mut |_, key, value, _| {
            reading.take(&name, key, value);
            Ok(())
        })
    })?;
    reading.finish()
}

/// The action for every element of a tree.
type Visit<'v> = dyn FnMut(&mut Walk<'_>, &[u8], &[u8], bool) -> Result<(), Broken> + 'v;

struct Walk<'f> {
    file: &'f File,
    page_size: usize,
    /// The pages that the database has.
    pages: u64,
    root: u64,
    visited: BTreeSet<u64>,
}

impl<'f> Walk<'f> {
    fn begin(file: &'f File, bytes: u64) -> Result<Self, Broken> {
        let mut metas = Vec::new();
        // The second meta comes after a page, whose size only a valid meta says.
        for page_size in [4_096_usize, 512, 1_024, 2_048, 8_192, 16_384, 32_768, 65_536] {
            for at in [0, page_size as u64] {
                metas.extend(meta(file, at).filter(|meta| meta.page_size == page_size));
            }
            if !metas.is_empty() {
                break;
            }
        }
        let meta = metas.into_iter().max_by_key(|meta| meta.transaction).ok_or(Broken::NoMeta)?;
        if meta.pages.saturating_mul(meta.page_size as u64) > bytes {
            return Err(Broken::Page { page: meta.pages, why: "is behind the end of the file" });
        }
        Ok(Self {
            file,
            page_size: meta.page_size,
            pages: meta.pages,
            root: meta.root,
            visited: BTreeSet::new(),
        })
    }

    /// Visits all elements of the tree below a page.
    fn tree(&mut self, page: u64, depth: usize, visit: &mut Visit<'_>) -> Result<(), Broken> {
        let broken = |why| Broken::Page { page, why };
        if page < 2 || page >= self.pages {
            return Err(broken("is none of the tree's"));
        }
        if !self.visited.insert(page) || depth > DEEPEST {
            return Err(broken("is in the tree twice"));
        }
        let at = page * self.page_size as u64;
        let mut head = [0; HEADER];
        self.file.read_exact_at(&mut head, at)?;
        let overflow = u64::from(u32_at(&head, 12));
        if u64_at(&head, 0) != page || page + overflow >= self.pages {
            return Err(broken("says that it is another"));
        }
        let mut content = vec![0; self.page_size * usize::try_from(overflow + 1).unwrap_or(1)];
        self.file.read_exact_at(&mut content, at)?;
        self.elements(page, &content, depth, visit)
    }

    fn elements(
        &mut self,
        page: u64,
        content: &[u8],
        depth: usize,
        visit: &mut Visit<'_>,
    ) -> Result<(), Broken> {
        let broken = |why| Broken::Page { page, why };
        let (flags, count) = (u16_at(content, 8), usize::from(u16_at(content, 10)));
        let mut last: Option<Vec<u8>> = None;
        for index in 0..count {
            let at = HEADER + index * ELEMENT;
            let element =
                content.get(at..at + ELEMENT).ok_or_else(|| broken("has elements behind its end"))?;
            let word = |at| u32_at(element, at);
            let slice = |start: u32, length: u32| {
                let start = at.checked_add(start as usize)?;
                content.get(start..start.checked_add(length as usize)?)
            };
            let key = match flags {
                BRANCH => slice(word(0), word(4)),
                LEAF => slice(word(4), word(8)),
                _ => return Err(broken("is no page of a tree")),
            };
            let key = key.ok_or_else(|| broken("has a key behind its end"))?;
            if last.as_deref().is_some_and(|last| last >= key) {
                return Err(broken("has its keys out of order"));
            }
            last = Some(key.to_vec());
            if flags == BRANCH {
                self.tree(u64_at(element, 8), depth + 1, visit)?;
            } else {
                let value = word(4).checked_add(word(8)).and_then(|start| slice(start, word(12)));
                let value = value.ok_or_else(|| broken("has a value behind its end"))?;
                visit(self, key, value, word(0) & IS_BUCKET != 0)?;
            }
        }
        Ok(())
    }

    /// Visits all elements of a bucket, whose root is a page of its own or is in its value.
    fn bucket(&mut self, value: &[u8], visit: &mut Visit<'_>) -> Result<(), Broken> {
        if value.len() < BUCKET {
            return Err(Broken::Page { page: 0, why: "has a bucket that is none" });
        }
        match u64_at(value, 0) {
            0 if value.len() >= BUCKET + HEADER => self.elements(0, &value[BUCKET..], 0, visit),
            0 => Err(Broken::Page { page: 0, why: "has a bucket that is none" }),
            root => self.tree(root, 0, visit),
        }
    }
}

struct Meta {
    page_size: usize,
    root: u64,
    pages: u64,
    transaction: u64,
}

/// The meta at this place, if it is valid.
fn meta(file: &File, at: u64) -> Option<Meta> {
    let mut bytes = [0; HEADER + CHECKED + 8];
    file.read_exact_at(&mut bytes, at).ok()?;
    let meta = &bytes[HEADER..];
    let is_whole = u32_at(meta, 0) == MAGIC
        && u32_at(meta, 4) == VERSION
        && u64_at(meta, CHECKED) == fnv1a(&meta[..CHECKED]);
    is_whole.then(|| Meta {
        page_size: u32_at(meta, 8) as usize,
        root: u64_at(meta, 16),
        pages: u64_at(meta, 40),
        transaction: u64_at(meta, 48),
    })
}

/// The 64-bit FNV-1a, with which bbolt checks its metas.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes[at..].first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The contents of etcd's buckets.
#[derive(Default)]
struct Reading {
    has_keys: bool,
    revision: u64,
    /// The keys by the hash of their names: the number of their prefix, and whether they exist.
    keys: HashMap<u64, (usize, bool)>,
    prefixes: Vec<String>,
    numbers: HashMap<String, usize>,
    etcd: Option<String>,
    members: Vec<Listed>,
}

/// The part of a `KeyValue` with its name (`mvccpb.KeyValue` of etcd's `api/mvccpb/kv.proto`).
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

impl Reading {
    fn take(&mut self, bucket: &str, key: &[u8], value: &[u8]) {
        match bucket {
            "key" => self.take_key(key, value),
            "cluster" if key == b"clusterVersion" => {
                self.etcd = Some(String::from_utf8_lossy(value).into_owned());
            }
            "members" => {
                let member: Option<serde_json::Value> = serde_json::from_slice(value).ok();
                self.members.extend(member.as_ref().and_then(listed));
            }
            _ => {}
        }
    }

    fn take_key(&mut self, key: &[u8], value: &[u8]) {
        let Some(revision) = key.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)) else { return };
        self.revision = self.revision.max(revision);
        let Some(name) = name_of(value) else { return };
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let lives = key.len() == 17;
        let number = self.number_of(&prefix_of(&name));
        self.keys.insert(hasher.finish(), (number, lives));
    }

    fn number_of(&mut self, prefix: &str) -> usize {
        if let Some(number) = self.numbers.get(prefix) {
            return *number;
        }
        let number = self.prefixes.len();
        self.prefixes.push(prefix.to_owned());
        self.numbers.insert(prefix.to_owned(), number);
        number
    }

    fn finish(self) -> Result<Contents, Broken> {
        if !self.has_keys {
            return Err(Broken::NoKeys);
        }
        let mut keys_by_prefix = BTreeMap::new();
        let living = self.keys.values().filter(|(_, lives)| *lives);
        for (number, _) in living {
            *keys_by_prefix.entry(self.prefixes[*number].clone()).or_insert(0) += 1;
        }
        let mut members = self.members;
        members.sort();
        Ok(Contents {
            revision: self.revision,
            keys: keys_by_prefix.values().sum(),
            keys_by_prefix,
            etcd: self.etcd,
            members,
        })
    }
}

/// `membership.Member` of etcd, as it writes it in JSON.
fn listed(member: &serde_json::Value) -> Option<Listed> {
    let name = member.get("name")?.as_str()?.to_owned();
    let urls = member.get("peerURLs").and_then(serde_json::Value::as_array);
    let urls = urls.into_iter().flatten().filter_map(|url| url.as_str()).map(str::to_owned);
    Some(Listed { name, peer_urls: urls.collect() })
}

/// The name of a key: the first field of its record, whatever follows.
fn name_of(value: &[u8]) -> Option<Vec<u8>> {
    use prost::Message as _;
    KeyValue::decode(value).ok().map(|record| record.key)
}

/// The first two parts of a name: `/registry/pods`.
fn prefix_of(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).take(2).collect();
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_go() {
        // `fnv.New64a` of Go's `hash/fnv`.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn keys_count_by_the_first_two_parts_of_their_names() {
        assert_eq!(prefix_of(b"/registry/pods/default/a"), "/registry/pods");
        assert_eq!(prefix_of(b"/registry/apiregistration.k8s.io/x"), "/registry/apiregistration.k8s.io");
        assert_eq!(prefix_of(b"foo"), "/foo");
    }

    #[test]
    fn what_is_no_database_has_no_tree() {
        let file = tempfile::tempfile().unwrap();
        assert!(matches!(walk(&file, 0), Err(Broken::NoMeta)));
    }
}
