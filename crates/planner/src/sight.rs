//! The desired nodes that are reachable, together with what was seen of them, joined once for all subjects.

use std::cell::Cell;
use std::collections::BTreeSet;

use windlass_model::{Blueprint, DesiredNode, Inventory, NodeFacts, NodeName, NodeObject};

/// A desired node that is reachable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighted<'a> {
    pub(crate) name: &'a NodeName,
    pub(crate) desired: &'a DesiredNode,
    pub(crate) facts: &'a NodeFacts,
    pub(crate) object: Option<&'a NodeObject>,
}

/// The desired nodes that are reachable, by name.
#[derive(Debug, Default)]
pub(crate) struct Sight<'a> {
    nodes: Vec<Sighted<'a>>,
    /// Where the last search ended: subjects go from node to node in order, so the next search mostly ends
    /// there or one further. With thousands of nodes a search by name costs more than the work on the node.
    last: Cell<usize>,
}

impl<'a> Sight<'a> {
    /// Joins the desired state with what was seen, without the nodes in `unfit`.
    pub(crate) fn new(desired: &'a Blueprint, seen: &'a Inventory, unfit: &BTreeSet<NodeName>) -> Self {
        let mut looks = seen.nodes.iter().peekable();
        let nodes = desired
            .nodes
            .iter()
            .filter_map(|(name, desired)| {
                while looks.next_if(|(looked_at, _)| *looked_at < name).is_some() {}
                let (_, look) = looks.next_if(|(looked_at, _)| *looked_at == name)?;
                let facts = look.facts().filter(|_| !unfit.contains(name))?;
                Some(Sighted { name, desired, facts, object: seen.kube.node(name) })
            })
            .collect();
        Self { nodes, last: Cell::new(0) }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Sighted<'a>> {
        self.nodes.iter()
    }

    /// The index of the node of this name, if it is desired and reachable.
    pub(crate) fn index_of(&self, name: &NodeName) -> Option<usize> {
        let last = self.last.get();
        let near = [last, last + 1].into_iter().find(|&at| {
            // Names are nearly always those of the desired state itself: the same place in memory is the same name.
            self.nodes.get(at).is_some_and(|node| std::ptr::eq(node.name, name))
        });
        let at = near.or_else(|| self.nodes.binary_search_by(|node| node.name.cmp(name)).ok())?;
        self.last.set(at);
        Some(at)
    }

    /// The node of this name, if it is desired and reachable.
    pub(crate) fn of(&self, name: &NodeName) -> Option<&Sighted<'a>> {
        self.nodes.get(self.index_of(name)?)
    }
}
