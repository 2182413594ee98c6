//! Checks a plan against rules that are written independently of how the plan was built.
//!
//! Nothing here is shared with the builder except the documents: a mistake must be made twice to go
//! unnoticed.

mod audited;
mod dismantle;
mod fault;
mod graph;
mod reissue;
mod restore;
mod safety;
mod truth;

use windlass_model::{Intent, Inventory, Planning};

use self::audited::{Audited, Ordered};
pub use self::fault::Fault;
use self::graph::Order;

/// Every rule that the plan for this intent breaks; empty if it is sound.
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
        Intent::Restore { .. } if restore::is_one(planning) => {}
        Intent::Converge { .. } | Intent::Restore { .. } => {
            truth::check_nothing_forgotten(&audited, &mut faults);
        }
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

/// The rules about the order of steps.
fn check_order(ordered: &Ordered<'_>, intent: &Intent, faults: &mut Vec<Fault>) {
    match intent {
        Intent::Restore { .. } if restore::is_one(ordered.planning) => {
            restore::check(ordered, faults);
            return;
        }
        Intent::Converge { .. } | Intent::Restore { .. } => {
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
