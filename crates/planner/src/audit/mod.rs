//! Checks a plan against rules of its own reading, apart from how the plan was built.
//!
//! Nothing here is shared with the builder but the documents: what both get wrong they must get wrong twice.

mod dismantle;
mod graph;
mod reissue;
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

/// Every rule that the plan for this intent breaks; none if it is sound.
pub fn audit(intent: &Intent, seen: &Inventory, planning: &Planning) -> Vec<Fault> {
    let mut faults = Vec::new();
    graph::check_shape(planning, &mut faults);
    if !faults.is_empty() {
        return faults;
    }
    let audited = Audited { desired: intent.desired(), seen, planning };
    if planning.is_refused() && !planning.plan.is_empty() {
        faults.push(Fault("something is refused, and yet there are steps".to_owned()));
    }
    truth::check_places(&audited, intent, &mut faults);
    match intent {
        Intent::Converge { .. } => truth::check_nothing_forgotten(&audited, &mut faults),
        Intent::Reissue { .. } => reissue::check(&audited, &mut faults),
        Intent::Dismantle { snapshots, .. } => dismantle::check(&audited, *snapshots, &mut faults),
    }
    if let Some(order) = Order::of(&planning.plan) {
        check_order(&Ordered { audited, order }, intent, &mut faults);
    }
    faults.sort();
    faults.dedup();
    faults
}

/// The rules that ask what comes before what.
fn check_order(ordered: &Ordered<'_>, intent: &Intent, faults: &mut Vec<Fault>) {
    match intent {
        Intent::Converge { .. } => {
            truth::check_containers(ordered, faults);
            truth::check_kernels(ordered, faults);
        }
        Intent::Reissue { .. } => {}
        Intent::Dismantle { .. } => {
            dismantle::check_ledger_goes_last(ordered, faults);
            return;
        }
    }
    truth::check_contents(ordered, faults);
    safety::check_etcd(ordered, faults);
    safety::check_data(ordered, faults);
    safety::check_api_servers(ordered, faults);
    safety::check_workers(ordered, faults);
    safety::check_cordons(ordered, faults);
}

/// What is being audited.
struct Audited<'a> {
    desired: &'a Blueprint,
    seen: &'a Inventory,
    planning: &'a Planning,
}

/// What is being audited, with the order of its steps.
struct Ordered<'a> {
    audited: Audited<'a>,
    order: Order,
}

impl<'a> std::ops::Deref for Ordered<'a> {
    type Target = Audited<'a>;

    fn deref(&self) -> &Audited<'a> {
        &self.audited
    }
}
