//! The wished nodes in sight side by side with what was seen of them, joined once for all subjects.

use std::cell::Cell;

use windlass_model::{
    Blueprint, Component, FileDifference, FilePath, FileWish, Inventory, NodeFacts, NodeName, NodeObject,
    NodeWish,
};

use crate::compare::Condition;

/// A wished node in sight.
#[derive(Debug)]
pub(crate) struct Sighted<'a> {
    pub(crate) name: &'a NodeName,
    pub(crate) wish: &'a NodeWish,
    pub(crate) facts: &'a NodeFacts,
    pub(crate) object: Option<&'a NodeObject>,
    /// What is to be done about its wished containers, in the order of components.
    pub(crate) conditions: Vec<(Component, Condition)>,
    /// Its wished files that differ, the copy of the ledger aside.
    pub(crate) files: Vec<(&'a FilePath, &'a FileWish, FileDifference)>,
}

/// The wished nodes in sight, by name.
#[derive(Debug, Default)]
pub(crate) struct Sight<'a> {
    nodes: Vec<Sighted<'a>>,
    /// Where the last search ended: subjects go from node to node in order, so that the next one mostly ends
    /// there too, or one further. With thousands of nodes a search by names costs more than what it is for.
    last: Cell<usize>,
}

impl<'a> Sight<'a> {
    /// Joins what is wished with what was seen.
    pub(crate) fn new(wish: &'a Blueprint, seen: &'a Inventory) -> Self {
        let mut looks = seen.nodes.iter().peekable();
        let nodes = wish
            .nodes
            .iter()
            .filter_map(|(name, wish)| {
                while looks.next_if(|(looked_at, _)| *looked_at < name).is_some() {}
                let (_, look) = looks.next_if(|(looked_at, _)| *looked_at == name)?;
                let object = seen.kube.node(name);
                Some(Sighted { name, wish, facts: look.facts()?, object, conditions: vec![], files: vec![] })
            })
            .collect();
        Self { nodes, last: Cell::new(0) }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Sighted<'a>> {
        self.nodes.iter()
    }

    /// All of them, to be compared.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Sighted<'a>> {
        self.nodes.iter_mut()
    }

    /// The node of this name, if it is wished and in sight.
    pub(crate) fn of(&self, name: &NodeName) -> Option<&Sighted<'a>> {
        let last = self.last.get();
        let near = [last, last + 1].into_iter().find(|&at| {
            // Names are nearly always those of the wish itself: the same place in memory is the same name.
            self.nodes.get(at).is_some_and(|node| std::ptr::eq(node.name, name))
        });
        let at = near.or_else(|| self.nodes.binary_search_by(|node| node.name.cmp(name)).ok())?;
        self.last.set(at);
        self.nodes.get(at)
    }
}
