//! Checks a plan against rules of its own reading, apart from how the plan was built.
//!
//! Nothing here is shared with the builder but the documents: what both get wrong they must get wrong twice.

mod graph;
mod safety;
mod truth;

use windlass_model::{Blueprint, Intent, Inventory, Planning};

use self::graph::Order;

/// A rule that a plan breaks, in words that name the step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault(pub String);

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every rule that the plan breaks; none if it is sound.
pub fn audit(wish: &Blueprint, seen: &Inventory, intent: &Intent, planning: &Planning) -> Vec<Fault> {
    let mut faults = Vec::new();
    graph::check_shape(planning, &mut faults);
    if !faults.is_empty() {
        return faults;
    }
    let audited = Audited { wish, seen, planning, order: Order::of(&planning.plan) };
    if planning.is_refused() && !planning.plan.is_empty() {
        faults.push(Fault("something is refused, and yet there are steps".to_owned()));
    }
    truth::check_places(&audited, intent, &mut faults);
    if let Intent::Converge { .. } = intent {
        truth::check_containers(&audited, &mut faults);
        truth::check_contents(&audited, &mut faults);
        truth::check_nothing_forgotten(&audited, &mut faults);
        truth::check_kernels(&audited, &mut faults);
        safety::check_etcd(&audited, &mut faults);
        safety::check_data(&audited, &mut faults);
        safety::check_api_servers(&audited, &mut faults);
        safety::check_workers(&audited, &mut faults);
        safety::check_cordons(&audited, &mut faults);
    }
    faults.sort();
    faults.dedup();
    faults
}

/// What is being audited.
struct Audited<'a> {
    wish: &'a Blueprint,
    seen: &'a Inventory,
    planning: &'a Planning,
    order: Order,
}
