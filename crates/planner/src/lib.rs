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
mod kernel;
mod node_objects;
mod nodes;
mod planner;
mod preflight;
mod refusals;
mod removals;
mod rules;
mod sight;

use std::borrow::Cow;

pub use audit::{Fault, audit};
pub use rules::Rules;
use windlass_model::{Blueprint, Intent, Inventory, Planning};

use crate::planner::Planner;
use crate::preflight::Preflight;

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
        planner.refuse_unreadable_containers();
        if planner.findings.is_empty() {
            planner.dismantle();
        }
        return planner.finish();
    }
    let preflight = if rules.preflight { Preflight::of(wish, seen) } else { Preflight::default() };
    planner.findings.extend(preflight.findings.iter().cloned());
    // All of it is told together: why nodes are away may be what is to be mended.
    planner.report_nodes_out_of_sight();
    if planner.refuses() {
        return planner.finish();
    }
    let usable = preflight.usable(seen);
    if let Cow::Owned(usable) = &usable {
        let findings = planner.findings;
        planner = Planner::new(rules, wish, usable, intent);
        planner.findings = findings;
    }
    planner.certificates();
    if planner.keys_would_be_here_only() {
        return planner.finish();
    }
    planner.compare();
    planner.left_overs();
    planner.files();
    planner.kernels();
    planner.etcd();
    planner.control_plane();
    planner.nodes();
    planner.node_objects();
    planner.etcd_leave();
    planner.removals();
    planner.conclude();
    planner.finish()
}
