//! The shape of the graph: addresses, reasons, no cycles; and which step always comes before which.

use std::collections::BTreeSet;

use windlass_model::{Plan, Planning};

use super::fault::Fault;

/// Addresses are unique and sorted, every step has a reason, edges end at existing steps, no step waits for
/// itself.
pub(super) fn check_shape(planning: &Planning, faults: &mut Vec<Fault>) {
    let Plan { steps, edges } = &planning.plan;
    let mut seen = BTreeSet::new();
    for step in steps {
        if !seen.insert(&step.id) {
            faults.push(Fault(format!("{} is there twice", step.id)));
        }
        if step.reasons.is_empty() {
            faults.push(Fault(format!("{} has no reason", step.id)));
        }
        if let Some(node) = step.action.node()
            && !step.id.as_str().starts_with(&format!("{node}/"))
        {
            faults.push(Fault(format!("{} acts on {node}", step.id)));
        }
    }
    if !steps.is_sorted_by(|one, other| one.id < other.id) {
        faults.push(Fault("the steps are not sorted".to_owned()));
    }
    if edges.iter().any(|edge| edge.before >= steps.len() || edge.after >= steps.len()) {
        faults.push(Fault("an edge leads nowhere".to_owned()));
        return;
    }
    if planning.plan.in_order().len() < steps.len() {
        faults.push(Fault("the edges close a cycle".to_owned()));
    }
}

/// For plans with more steps than this the whole order is not computed, and rules that need it are not
/// checked: it takes one bit for every pair of steps.
const ORDER_LIMIT: usize = 6_000;

/// Which step always comes before which, as one row of bits for each step.
pub(super) struct Order {
    rows: Vec<Vec<u64>>,
}

impl Order {
    /// The order of a plan; none if it has too many steps.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let count = plan.steps.len();
        if count > ORDER_LIMIT {
            return None;
        }
        let words = count.div_ceil(64);
        let mut rows = vec![vec![0_u64; words]; count];
        let before = plan.predecessors();
        for step in plan.in_order() {
            let mut row = vec![0_u64; words];
            for &(earlier, _) in &before[step] {
                row[earlier / 64] |= 1 << (earlier % 64);
                for (word, bits) in row.iter_mut().zip(&rows[earlier]) {
                    *word |= bits;
                }
            }
            rows[step] = row;
        }
        Some(Self { rows })
    }

    /// Whether `earlier` is done before `later` begins, in every execution.
    pub(super) fn comes_before(&self, earlier: usize, later: usize) -> bool {
        self.rows[later][earlier / 64] >> (earlier % 64) & 1 == 1
    }

    /// Whether the two can never run at the same time.
    pub(super) fn never_together(&self, one: usize, other: usize) -> bool {
        self.comes_before(one, other) || self.comes_before(other, one)
    }
}
