//! etcd: its first start, its repair, members that join and leave, one at a time and never below a majority.
//!
//! ```text
//! found    it has never been live           all members at once                             (silent.rs)
//! revive   it was live, and is silent       members with data are started, nothing else     (silent.rs)
//! roll     its members are known            start ─▶ repair ─▶ drop ─▶ join ─▶ change       (roll.rs)
//!                                           ╰ at once ╯ ╰── one at a time, each gated ──╯
//! leave    after the control plane          members that are no longer desired              (leave.rs)
//! ```

pub(crate) mod clear;
pub(crate) mod external;
pub(crate) mod leave;
mod member_steps;
mod membership;
mod roll;
mod silent;
mod stage;
mod via;

use windlass_model::{
    Action, Because, Birth, Component, EtcdLogSeen, EtcdSeen, Gate, Intent, LogSnapshots, MemberSeen, Reason,
    Role,
};

pub(crate) use self::membership::member_name;
pub(crate) use self::stage::{Etcd, initial_cluster};
use crate::builder::PlanBuilder;
use crate::compare::Condition;
use crate::context::Context;
use crate::ledger;
use crate::site::{Site, await_container};

/// How etcd is planned.
enum Strategy<'a> {
    /// Not at all: etcd is external, or the cluster is to be removed.
    Nothing,
    /// It has never been live.
    Found,
    /// It was live, and no majority answers.
    Revive,
    /// A majority lists its members.
    Roll(&'a [MemberSeen]),
}

impl<'a> Strategy<'a> {
    fn of(ctx: &Context<'a>) -> Self {
        match ctx.intent {
            Intent::Dismantle { .. } => return Self::Nothing,
            Intent::Converge { .. } | Intent::Restore { .. } | Intent::Reissue { .. } => {}
        }
        if ctx.desired.etcd.is_external() {
            return Self::Nothing;
        }
        match &ctx.seen.etcd {
            EtcdSeen::Members(members) => Self::Roll(members),
            EtcdSeen::Silent if ctx.seen.ledger.born == Birth::Expected => Self::Found,
            EtcdSeen::Silent => Self::Revive,
        }
    }
}

/// Plans etcd, except for healthy members that leave: they are removed when the control plane no longer uses
/// them.
pub(crate) fn plan<'a>(site: &Site<'_, 'a>, build: &mut PlanBuilder<'a>) -> Etcd<'a> {
    let mut etcd = match Strategy::of(site.ctx) {
        Strategy::Nothing => return Etcd::default(),
        Strategy::Found => silent::found(site, build),
        Strategy::Revive => silent::revive(site, build),
        Strategy::Roll(members) => roll::plan(site, members, build),
    };
    // Once it is healthy the ledger says so, and new data is never created again. Where it is live already,
    // the first commit says so.
    let ledger = &site.ctx.seen.ledger;
    if ledger.born == Birth::Expected && site.ctx.seen.etcd == EtcdSeen::Silent && !etcd.heals.is_empty() {
        etcd.born = Some(ledger::note_birth_of_etcd(site.keys, &etcd.heals, build));
    }
    rolling_snapshots(site, &mut etcd, build);
    log_snapshots(site, &mut etcd, build);
    etcd
}

/// Seconds within which a member snapshots its log when asked to do so early: Kubernetes writes more than one
/// entry a second.
const LOG_SNAPSHOT_WITHIN_SECONDS: u32 = 300;

/// Where a later version of etcd cannot read what 3.5 wrote into the log, the plan waits until the members'
/// logs begin after that.
fn log_snapshots<'a>(site: &Site<'_, 'a>, etcd: &mut Etcd<'a>, build: &mut PlanBuilder<'a>) {
    match site.ctx.desired.etcd_log {
        LogSnapshots::Whenever => return,
        LogSnapshots::Awaited => {}
    }
    for node in site.ctx.reachable().filter(|node| node.desired.has(Role::Etcd)) {
        let changed = etcd.changed.get(&(node.name, Component::Etcd)).copied();
        if changed.is_none() && node.facts.etcd_log == EtcdLogSeen::SnapshotSinceCreated {
            continue;
        }
        let wait = build.step(
            node.name,
            "etcd-log",
            Action::AwaitHealthy {
                gate: Gate::EtcdLogSnapshot { node: node.name.clone() },
                within_seconds: LOG_SNAPSHOT_WITHIN_SECONDS,
            },
            vec![Reason::LogOfEtcd35],
            vec![],
        );
        build.after_all(wait, changed, Because::Needs);
        build.after_all(wait, etcd.ends.iter().copied(), Because::Needs);
    }
}

/// The containers that take snapshots of etcd periodically: no step waits for them.
fn rolling_snapshots<'a>(site: &Site<'_, 'a>, etcd: &mut Etcd<'a>, build: &mut PlanBuilder<'a>) {
    let component = Component::EtcdRollingSnapshots;
    for node in site.ctx.reachable() {
        let name = node.name;
        let mut step = site.bring_up(name, component, vec![], build);
        if step.is_none() {
            step = site.disturb(name, component, vec![], vec![], build);
            etcd.changed.extend(step.map(|step| ((name, component), step)));
        }
        let settling = site.condition(name, component) == Some(&Condition::Settling);
        if step.is_some() || settling {
            let wait = await_container(name, component, step, build);
            build.after_all(wait, etcd.heals.iter().copied(), Because::Needs);
            build.after_all(wait, etcd.joined.get(name).copied(), Because::Needs);
        }
    }
}
