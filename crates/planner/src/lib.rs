//! Compares a desired state with an Inventory: steps, order, findings; and audits the result.
//!
//! Pure and synchronous: equal inputs give equal plans, to the byte.
//!
//! ```text
//! Context ──▶ preflight ──▶ refusals ──▶ ledger ──▶ Conditions ──▶ files, kernel ──▶ Site
//!                                                                                     │
//! conclude ◀── removals ◀── etcd::leave ◀── node_objects ◀── rolling ◀── nodes ◀── objects ◀── control_plane ◀── etcd
//! ```
//!
//! Each stage gets what the stages before it have returned, and returns its own result; so the types fix
//! their order.

mod alarms;
mod api_servers;
mod audit;
mod before_upgrade;
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
mod encryption;
mod etcd;
mod files;
mod gone;
mod holds;
mod kernel;
mod kubelet_state;
mod ledger;
mod member_places;
mod node_objects;
mod nodes;
mod objects;
mod ownership;
mod pod_runtime;
mod preflight;
mod refusals;
mod reissue;
mod removals;
mod replacements;
mod restore;
mod returned;
mod rewriting;
mod rolling;
mod rules;
mod sight;
mod site;
mod snapshots;

use std::borrow::Cow;
use std::collections::BTreeSet;

pub use audit::{Fault, audit};
pub use encryption::{KeysStage, keys_stage};
pub use rules::Rules;
use windlass_model::{Finding, Intent, Inventory, Planning};

use crate::api_servers::ApiServers;
use crate::builder::{Follows, PlanBuilder};
use crate::conditions::Conditions;
use crate::context::Context;
use crate::site::Site;

/// What is to be done to turn the cluster that was seen into the desired cluster.
///
/// Never fails because of the state of the world: what cannot be done now is announced, held or refused by a
/// finding.
pub fn plan(intent: &Intent, seen: &Inventory) -> Planning {
    plan_by(Rules::ALL, intent, seen)
}

/// The desired machines on which this cluster has never had anything and which belong to another cluster, as
/// findings that hold them. A caller that leaves them out of the desired state keeps their addresses out of
/// certificates and lists too.
pub fn strangers(intent: &Intent, seen: &Inventory) -> Vec<Finding> {
    match intent {
        Intent::Converge { .. } | Intent::Restore { .. } | Intent::Reissue { .. } => {}
        Intent::Dismantle { .. } => return Vec::new(),
    }
    let none = BTreeSet::new();
    preflight::of_other_clusters(&Context::new(Rules::ALL, intent.desired(), seen, intent, &none))
}

/// [`plan`] with some of its rules switched off: for the tests that prove each rule necessary.
#[doc(hidden)]
pub fn plan_by(rules: Rules, intent: &Intent, all_seen: &Inventory) -> Planning {
    let desired = &match intent {
        Intent::Converge { desired, .. }
        | Intent::Restore { desired, .. }
        | Intent::Dismantle { desired, .. } => Cow::Borrowed(desired.as_ref()),
        Intent::Reissue { desired, .. } => Cow::Owned(reissue::as_it_is(desired, all_seen)),
    };
    let mut build = PlanBuilder::new(rules);
    gone::check(intent, all_seen, &mut build);
    let seen: &Inventory = &gone::without(intent, all_seen);
    let all = BTreeSet::new();
    let ctx = Context::new(rules, desired, seen, intent, &all);
    let strangers = preflight::strangers(&ctx, &mut build);
    // What is on them says nothing about this cluster.
    let ctx = Context::new(rules, desired, seen, intent, &strangers);
    if let Some((restore, note)) = restore::before_all(&ctx) {
        return restore::plan(&ctx, restore, note, build);
    }
    let mut unfit = preflight::check(&ctx, &mut build);
    unfit.extend(strangers.iter().cloned());
    // All of it is reported together: the reason why nodes are unreachable may be what is to be repaired.
    restore::refuse_unfinished(&ctx, &mut build);
    let Some(allowed) = refusals::check(&ctx, &mut build) else { return build.finish() };
    let ctx = Context::new(rules, desired, seen, intent, &unfit);
    reissue::hold_old_certificates(&ctx, &mut build);
    let mut keys = ledger::plan(&ctx, allowed, &mut build);
    if ledger::is_without_copy(&ctx, &keys, &mut build) {
        return build.finish();
    }
    keys.rewritten_first = rewriting::before_keys_leave(&ctx, &mut build);
    let conditions = &Conditions::of(&ctx, &keys);
    conditions.hold_unasked(&ctx, &mut build);
    alarms::report(&ctx, &mut build);
    snapshots::report(&ctx, &mut build);
    let left_overs = &clearing::left_overs(&ctx, &mut build);
    let files = &files::plan(&ctx, conditions, &keys, &mut build);
    let kernels = &kernel::plan(&ctx, &keys, files, &mut build);
    let site = &Site { ctx: &ctx, conditions, keys: &keys, files, kernels, left_overs };

    let etcd = etcd::plan(site, &mut build);
    let known = &ApiServers::of(&ctx, conditions);
    let control_plane = control_plane::plan(site, known, &etcd, &mut build);
    before_upgrade::plan(site, &etcd, &control_plane, &mut build);
    let born = etcd.born.or(etcd::external::note_birth(site, &control_plane, &mut build));
    let api_servers = control_plane.api_servers(&ctx, known);
    let objects = objects::apply(site, &control_plane, &mut build);
    let network = objects.network();
    let given =
        nodes::Given { site, known, api_servers, etcd: &etcd, control_plane: &control_plane, network };
    let brought_up = nodes::bring_up(given, &mut build);
    let nodes = rolling::roll(given, brought_up, &mut build);
    nodes::open_left_cordoned(site, &nodes, &mut build);
    let comes_back = Follows::any_of(control_plane.up.values().chain(&etcd.heals));
    node_objects::plan(&ctx, comes_back, &nodes, &mut build);
    objects::await_pods(&ctx, &objects, &nodes, &mut build);

    let left = &etcd::leave::plan(&ctx, known, &etcd, &control_plane, &mut build);
    let before = replacements::Before { given, nodes: &nodes, left };
    let mut conclusion = removals::plan(before, &mut build);
    returned::plan(&ctx, &mut build);
    gone::forget(&ctx, all_seen, &control_plane.all_up(), &mut conclusion, &mut build);
    restore::conclude(&ctx, &control_plane, &mut conclusion);
    objects::delete_unwanted(&ctx, &objects, &mut build);
    rewriting::after_keys_change(&ctx, &keys, (&control_plane, comes_back), &mut conclusion, &mut build);
    ledger::conclude(&ctx, &keys, born, conclusion, &control_plane.all_up(), &mut build);
    build.finish()
}
