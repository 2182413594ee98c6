//! Equal steps on many nodes, and what they wait for.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{Because, Plan, Step};

use crate::names::Room;
use crate::page::Detail;

/// A list of nodes in a line takes at most this many columns.
const NAMES_WIDTH: usize = 32;

/// Steps that differ only in their node, what they wait for and what causes them.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    /// The indexes of the steps, each with how many steps must be done one after another before it.
    pub(crate) steps: Vec<(usize, usize)>,
    pub(crate) first: &'a Step,
    pub(crate) reasons: Vec<String>,
    pub(crate) details: Vec<String>,
    pub(crate) after: After,
}

/// What steps wait for, by the reason and by the condition.
pub(crate) type After = BTreeMap<Because, BTreeMap<String, Places>>;

/// Where something is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Places {
    /// Some of the steps wait for it on their own node.
    pub(crate) here: bool,
    /// Some wait for it on these.
    pub(crate) at: BTreeSet<String>,
}

impl Group<'_> {
    /// The nodes of its steps.
    pub(crate) fn nodes<'p>(&self, plan: &'p Plan) -> BTreeSet<&'p str> {
        self.steps.iter().map(|(_, index)| plan.steps[*index].id.place()).collect()
    }
}

/// How long a list of nodes may be.
pub(crate) fn room(detail: Detail) -> Room {
    if detail == Detail::Everything { Room::All } else { Room::Columns(NAMES_WIDTH) }
}
