//! Compares a Blueprint with an Inventory: steps, order, findings; and audits what it made.
//!
//! Pure and synchronous: equal inputs give equal plans, to the byte.

mod audit;
mod builder;
mod certificates;
mod compare;
mod control_plane;
mod dismantle;
mod etcd;
mod etcd_external;
mod etcd_silent;
mod files;
mod node_objects;
mod nodes;
mod planner;
mod refusals;
mod removals;
mod rules;
mod sight;

pub use audit::{Fault, audit};
pub use rules::Rules;
use windlass_model::{Blueprint, Intent, Inventory, Planning};

use crate::planner::Planner;

/// What is to be done to make the cluster that was seen the cluster that is wished.
///
/// Never fails because of the world: what cannot be done now is held or refused by a finding.
pub fn plan(wish: &Blueprint, seen: &Inventory, intent: &Intent) -> Planning {
    plan_by(Rules::ALL, wish, seen, intent)
}

/// [`plan`] with some of its rules switched off: for the tests that show what each rule is good for.
#[doc(hidden)]
pub fn plan_by(rules: Rules, wish: &Blueprint, seen: &Inventory, intent: &Intent) -> Planning {
    let mut planner = Planner::new(rules, wish, seen, intent);
    if let Intent::Dismantle { .. } = intent {
        planner.dismantle();
        return planner.finish();
    }
    if planner.refuses() {
        // Why they are away may be what is to be mended.
        planner.report_nodes_out_of_sight();
        return planner.finish();
    }
    planner.report_nodes_out_of_sight();
    planner.certificates();
    if planner.keys_would_be_here_only() {
        return planner.finish();
    }
    planner.compare();
    planner.left_overs();
    planner.files();
    planner.etcd();
    planner.control_plane();
    planner.nodes();
    planner.node_objects();
    planner.etcd_leave();
    planner.removals();
    planner.conclude();
    planner.finish()
}
