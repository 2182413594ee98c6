//! From what is seen to what is to be done, for each command: the function that the engine's loop plans by.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_engine::{Assignment, LookScope};
use windlass_model::{Blueprint, CertName, CertSelector, Digest, Intent, Inventory, Planning, Snapshots};

use crate::wish::{Wish, scope};

/// What a command is after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The cluster becomes what cluster.yml says.
    Converge,
    /// These certificates are made anew, once.
    Reissue(CertSelector),
    /// The cluster goes.
    Dismantle(Snapshots),
}

/// The way from a look to a plan.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    wish: &'a Wish,
    goal: Goal,
    memory: RefCell<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// The certificates as they were at the first look: those of them that are still there are to be made anew.
    old_certs: Option<BTreeMap<CertName, Digest>>,
    /// What a look must cover, if a look showed machines for which it covered too little.
    wider: Option<Arc<Blueprint>>,
}

impl<'a> Course<'a> {
    pub(crate) fn new(wish: &'a Wish, goal: Goal) -> Self {
        Self { wish, goal, memory: RefCell::default() }
    }

    /// Whether the cluster is to be removed.
    pub(crate) fn dismantles(&self) -> bool {
        matches!(self.goal, Goal::Dismantle(_))
    }

    /// Plans for what was seen.
    ///
    /// Where the look covered too little for these machines, nothing is planned, and [`Self::take_wider`] tells
    /// what to cover.
    pub(crate) fn plan(&self, seen: &Inventory, covered: &LookScope) -> Planning {
        let blueprint = self.wish.for_machines(seen);
        if !covers(covered, &scope(&blueprint)) {
            self.memory.borrow_mut().wider = Some(blueprint);
            return Planning::default();
        }
        let intent = match &self.goal {
            Goal::Reissue(selector) if self.is_left_to_reissue(selector, &blueprint, seen) => {
                Intent::Converge { reissue: selector.clone() }
            }
            Goal::Converge | Goal::Reissue(_) => Intent::converge(),
            Goal::Dismantle(snapshots) => {
                let intent = Intent::Dismantle { snapshots: *snapshots };
                return windlass_planner::plan(&blueprint.emptied(), seen, &intent);
            }
        };
        windlass_planner::plan(&blueprint, seen, &intent)
    }

    /// Whether a certificate that is to be made anew is still the one of the first look.
    ///
    /// Without this memory every round of the loop would make them anew again.
    fn is_left_to_reissue(&self, selector: &CertSelector, blueprint: &Blueprint, seen: &Inventory) -> bool {
        let certs = &seen.ledger.certs;
        let mut memory = self.memory.borrow_mut();
        let old = memory.old_certs.get_or_insert_with(|| {
            certs.iter().map(|(name, face)| (name.clone(), face.certificate)).collect()
        });
        let in_sight = |cert: &CertName| {
            cert.node().is_none_or(|node| seen.nodes.get(node).is_some_and(|node| node.facts().is_some()))
        };
        blueprint.certs.iter().filter(|(name, wish)| selector.selects(wish) && in_sight(name)).any(
            |(name, _)| match (old.get(name), certs.get(name)) {
                (Some(old), Some(face)) => *old == face.certificate,
                // One that was not there is made anyway, and is new then.
                _ => false,
            },
        )
    }

    /// What the engine must be told for the next try, if the look covered too little.
    pub(crate) fn take_wider(&self) -> Option<Assignment> {
        self.memory.borrow_mut().wider.take().map(|blueprint| self.wish.assignment(&blueprint))
    }
}

fn covers(one: &LookScope, other: &LookScope) -> bool {
    one.files.is_superset(&other.files) && one.directories.is_superset(&other.directories)
}
