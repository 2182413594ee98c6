//! Compares a desired state with an Inventory: steps, order, findings; and audits what it made.
//!
//! Pure and synchronous: equal inputs give equal plans, to the byte.
//!
//! ```text
//! Context ──▶ preflight ──▶ refusals ──▶ ledger ──▶ Conditions ──▶ files, kernel ──▶ Site
//!                                                                                     │
//! conclude ◀── removals ◀── etcd::leave ◀── node_objects ◀── nodes ◀── control_plane ◀── etcd
//! ```
//!
//! Each stage is handed what the stages before it have made, and returns what it makes itself; so their order is that of
//! the types.

mod api_servers;
mod audit;
mod builder;
mod certificates;
mod clearing;
mod compare;
mod conditions;
mod context;
mod control_plane;
mod departures;
mod dismantle;
mod drain;
mod etcd;
mod files;
mod kernel;
mod ledger;
mod node_objects;
mod nodes;
mod preflight;
mod refusals;
mod reissue;
mod removals;
mod replacements;
mod rolling;
mod rules;
mod sight;
mod site;

use std::borrow::Cow;
use std::collections::BTreeSet;

pub use audit::{Fault, audit};
pub use rules::Rules;
use windlass_model::{Intent, Inventory, Planning};

use crate::api_servers::ApiServers;
use crate::builder::PlanBuilder;
use crate::conditions::Conditions;
use crate::context::Context;
use crate::site::Site;

/// What is to be done to make the cluster that was seen the cluster that is desired.
///
/// Never fails because of the world: what cannot be done now is announced, held or refused by a finding.
pub fn plan(intent: &Intent, seen: &Inventory) -> Planning {
    plan_by(Rules::ALL, intent, seen)
}

/// [`plan`] with some of its rules switched off: for the tests that show what each rule is good for.
#[doc(hidden)]
pub fn plan_by(rules: Rules, intent: &Intent, seen: &Inventory) -> Planning {
    let desired = &match intent {
        Intent::Converge { desired } | Intent::Dismantle { desired, .. } => Cow::Borrowed(desired.as_ref()),
        Intent::Reissue { desired, .. } => Cow::Owned(reissue::as_it_is(desired, seen)),
    };
    let mut build = PlanBuilder::new(rules);
    let all = BTreeSet::new();
    let ctx = Context::new(rules, desired, seen, intent, &all);
    let unfit = preflight::check(&ctx, &mut build);
    // All of it is said together: why nodes are unreachable may be what is to be repaired.
    refusals::check(&ctx, &mut build);
    if build.is_refused() {
        return build.finish();
    }
    let ctx = Context::new(rules, desired, seen, intent, &unfit);
    let keys = ledger::plan(&ctx, &mut build);
    if ledger::is_without_copy(&ctx, &keys, &mut build) {
        return build.finish();
    }
    let conditions = &Conditions::of(&ctx, &keys.minted);
    let left_overs = &clearing::left_overs(&ctx, &mut build);
    let files = &files::plan(&ctx, conditions, &keys, &mut build);
    let kernels = &kernel::plan(&ctx, &keys, files, &mut build);
    let site = &Site { ctx: &ctx, conditions, keys: &keys, files, kernels, left_overs };

    let etcd = etcd::plan(site, &mut build);
    let known = &ApiServers::of(&ctx, conditions);
    let control_plane = control_plane::plan(site, known, &etcd, &mut build);
    let born = etcd.born.or(etcd::external::note_birth(site, &control_plane, &mut build));
    let api_servers = control_plane.api_servers(&ctx, known);
    let given = nodes::Given { site, known, api_servers, etcd: &etcd, control_plane: &control_plane };
    let mut nodes = nodes::bring_up(given, &mut build);
    rolling::roll(given, &mut nodes, &mut build);
    nodes::open_left_cordoned(site, &nodes, &mut build);
    node_objects::plan(&ctx, &nodes, &mut build);

    let left = &etcd::leave::plan(&ctx, known, &etcd, &control_plane, &mut build);
    let before = replacements::Before { given, nodes: &nodes, left };
    let conclusion = removals::plan(before, &mut build);
    ledger::conclude(&ctx, &keys, born, conclusion, &control_plane.all_up(), &mut build);
    build.finish()
}
