//! Shortens lists of node names.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::counted;

use crate::layout::columns;

/// From this many consecutive nodes on, they are written as a range.
const RANGE_FROM: usize = 3;

/// How long a list of names may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// As long as needed.
    All,
    /// This many columns; beyond that the nodes are counted.
    Columns(usize),
}

/// The names of nodes: `node-1…node-5, node-8`, or `12 nodes` where that would be too long.
pub fn names<'a>(nodes: impl IntoIterator<Item = &'a str>, room: Room) -> String {
    let nodes: BTreeSet<&str> = nodes.into_iter().collect();
    let text = ranges(&nodes).join(", ");
    match room {
        Room::Columns(limit) if columns(&text) > limit => counted(nodes.len(), "node"),
        Room::Columns(_) | Room::All => text,
    }
}

/// Addresses such as `node-1/etcd` or `node-1/etcd/replace`: those that differ only in their node become one,
/// `etcd on node-1…node-3`.
pub fn addresses<'a>(addresses: impl IntoIterator<Item = &'a str>, room: Room) -> Vec<String> {
    let mut order: Vec<&str> = Vec::new();
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for address in addresses {
        let (place, rest) = match address.split_once('/') {
            // Addresses of the cluster have no node.
            Some(("cluster", _)) => (address, address),
            Some(parts) => parts,
            None => (address, ""),
        };
        let at = places.entry(rest).or_default();
        if at.is_empty() {
            order.push(rest);
        }
        at.push(place);
    }
    let text = |rest: &str| match (places[rest].as_slice(), rest) {
        ([whole], rest) if *whole == rest => rest.to_owned(),
        (nodes, "") => names(nodes.iter().copied(), room),
        ([place], rest) => format!("{place}/{rest}"),
        (nodes, rest) => format!("{rest} on {}", names(nodes.iter().copied(), room)),
    };
    order.into_iter().map(text).collect()
}

/// The first of many texts: `a, b, 3 more`.
pub(crate) fn some(texts: &[String], shown: usize) -> String {
    if texts.len() <= shown {
        return texts.join(", ");
    }
    format!("{}, {} more", texts[..shown].join(", "), texts.len() - shown)
}

/// A name as the part before its number, and the number.
fn parts(name: &str) -> Option<(&str, u64)> {
    let digits = name.len() - name.trim_end_matches(|character: char| character.is_ascii_digit()).len();
    let (stem, number) = name.split_at(name.len() - digits);
    Some((stem, number.parse().ok()?))
}

fn follows(earlier: &str, later: &str) -> bool {
    let (Some((stem, number)), Some((other, next))) = (parts(earlier), parts(later)) else { return false };
    // `node-09` is followed by `node-10`, and `node-9` too; `node-9` is not followed by `node-010`.
    let is_padded =
        |name: &str, stem: &str| name[stem.len()..].starts_with('0') && name.len() > stem.len() + 1;
    let same_form = earlier.len() == later.len() || !(is_padded(earlier, stem) || is_padded(later, other));
    stem == other && number + 1 == next && same_form
}

fn ranges(nodes: &BTreeSet<&str>) -> Vec<String> {
    let mut sorted: Vec<&str> = nodes.iter().copied().collect();
    // By number, so that `node-10` comes after `node-9`.
    sorted.sort_by_key(|name| parts(name).map_or((*name, 0), |(stem, number)| (stem, number)));
    let mut runs: Vec<Vec<&str>> = Vec::new();
    for name in sorted {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| follows(last, name)) => run.push(name),
            _ => runs.push(vec![name]),
        }
    }
    runs.into_iter()
        .flat_map(|run| match run.as_slice() {
            [first, .., last] if run.len() >= RANGE_FROM => vec![format!("{first}…{last}")],
            few => few.iter().map(|name| (*name).to_owned()).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(nodes: &[&str]) -> String {
        names(nodes.iter().copied(), Room::All)
    }

    #[test]
    fn nodes_in_a_row_are_a_range() {
        assert_eq!(all(&["node-1", "node-2", "node-3", "node-5"]), "node-1…node-3, node-5");
        assert_eq!(all(&["node-1", "node-2"]), "node-1, node-2");
        assert_eq!(all(&["node-8", "node-9", "node-10"]), "node-8…node-10");
        assert_eq!(all(&["w-08", "w-09", "w-10"]), "w-08…w-10");
        assert_eq!(all(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]), "10.0.0.1…10.0.0.3");
        assert_eq!(all(&["a", "b", "c"]), "a, b, c");
        assert_eq!(all(&["a-1", "b-2", "c-3"]), "a-1, b-2, c-3");
        assert_eq!(all(&["n-9", "n-010", "n-11"]), "n-9, n-010, n-11");
    }

    #[test]
    fn names_that_take_too_much_room_are_counted() {
        assert_eq!(names(["alpha", "beta", "gamma"], Room::Columns(10)), "3 nodes");
        assert_eq!(names(["alpha", "beta", "gamma"], Room::Columns(18)), "alpha, beta, gamma");
    }

    #[test]
    fn addresses_that_differ_in_their_node_are_one() {
        let folded = |list: &[&str]| addresses(list.iter().copied(), Room::All);
        assert_eq!(
            folded(&["node-1/etcd", "node-2/etcd", "node-2/kubelet", "node-3/etcd"]),
            ["etcd on node-1…node-3", "node-2/kubelet"]
        );
        assert_eq!(folded(&["node-1", "node-2", "cluster/etcd"]), ["node-1, node-2", "cluster/etcd"]);
        assert_eq!(
            folded(&["cluster/ledger/write", "node-1/ledger/write"]),
            ["cluster/ledger/write", "node-1/ledger/write"]
        );
    }
}
