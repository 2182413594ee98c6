//! The machines compared with each other: their clocks, and whether each is a machine of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use windlass_model::{ClockOf, MachineFault, Meeting, NodeName, ports_between};

use super::examined::{Examined, Wrong, holds, warns};
use crate::context::Context;

/// By how many seconds the clock of a machine may differ before nothing new is put on it.
///
/// k0sctl too draws the line at 30 s from the median. Nothing breaks at once there: windlass' certificates
/// are valid from long before they are issued. But a clock that is so far off is not synchronised, and drifts
/// further.
const CLOCK_HOLDS_SECONDS: u64 = 30;

/// By how many seconds it may differ before that is reported.
///
/// etcd warns of more than one second between members (`etcdserver/api/rafthttp/probing_status.go`); what is
/// measured remotely is accurate to about one second.
const CLOCK_WARNS_SECONDS: u64 = 2;

/// What is wrong with machines compared with others.
pub(super) fn judge<'a>(nodes: &[Examined<'a>], ctx: &Context<'_>) -> Vec<(Examined<'a>, Wrong)> {
    let mut wrongs = Vec::new();
    judge_clocks(nodes, &mut wrongs);
    let doubles = judge_machines_named_twice(nodes, ctx, &mut wrongs);
    judge_names(nodes, &doubles, &mut wrongs);
    judge_ways(nodes, &mut wrongs);
    wrongs
}

/// Clocks are compared with that of most machines; where there is no such majority, with the operator's.
fn judge_clocks<'a>(nodes: &[Examined<'a>], wrongs: &mut Vec<(Examined<'a>, Wrong)>) {
    let common = common_time(nodes);
    let of = if common == 0 { ClockOf::Operator } else { ClockOf::Nodes };
    for node in nodes {
        let off = node.report.clock_ahead_seconds - common;
        if off.unsigned_abs() <= CLOCK_WARNS_SECONDS {
            continue;
        }
        let fault = MachineFault::ClockOff { ahead_seconds: off, of };
        let holds_it = off.unsigned_abs() > CLOCK_HOLDS_SECONDS && node.is_new();
        wrongs.push((*node, if holds_it { holds(fault) } else { warns(fault) }));
    }
}

/// By how much the time of most machines is ahead of the operator's: zero unless more than half of at least two agree on
/// another time.
pub(super) fn common_time(nodes: &[Examined<'_>]) -> i64 {
    let mut ahead: Vec<i64> = nodes.iter().map(|node| node.report.clock_ahead_seconds).collect();
    ahead.sort_unstable();
    let Some(&median) = ahead.get(ahead.len() / 2).filter(|_| ahead.len() >= 2) else { return 0 };
    let agree = ahead.iter().filter(|one| (*one - median).unsigned_abs() <= CLOCK_WARNS_SECONDS).count();
    let is_off = median.unsigned_abs() > CLOCK_WARNS_SECONDS;
    if is_off && agree * 2 > ahead.len() { median } else { 0 }
}

/// Two nodes of cluster.yml that are one machine: the known one keeps it, or else the one named first.
fn judge_machines_named_twice<'a>(
    nodes: &[Examined<'a>],
    ctx: &Context<'_>,
    wrongs: &mut Vec<(Examined<'a>, Wrong)>,
) -> BTreeSet<&'a NodeName> {
    let mut machines: BTreeMap<(&str, &str, &BTreeSet<IpAddr>), Vec<Examined<'a>>> = BTreeMap::new();
    for node in nodes {
        let report = node.report;
        if !report.machine_id.is_empty() && !report.addresses.is_empty() {
            let own = (report.machine_id.as_str(), report.hostname.as_str(), &report.addresses);
            machines.entry(own).or_default().push(*node);
        }
    }
    let mut doubles = BTreeSet::new();
    for (_, mut same) in machines.into_iter().filter(|(_, same)| same.len() > 1) {
        same.sort_by_key(|node| ctx.last(node.name).is_none());
        let first = same[0];
        for double in &same[1..] {
            doubles.insert(double.name);
            wrongs.push((*double, holds(MachineFault::SameMachine { other: first.name.clone() })));
        }
    }
    doubles
}

/// Different machines that cannot be distinguished by name or id.
fn judge_names<'a>(
    nodes: &[Examined<'a>],
    doubles: &BTreeSet<&NodeName>,
    wrongs: &mut Vec<(Examined<'a>, Wrong)>,
) {
    let mut by_name: BTreeMap<&str, Vec<Examined<'a>>> = BTreeMap::new();
    let mut by_id: BTreeMap<&str, Vec<Examined<'a>>> = BTreeMap::new();
    for node in nodes.iter().filter(|node| !doubles.contains(node.name)) {
        by_name.entry(&node.report.hostname).or_default().push(*node);
        by_id.entry(&node.report.machine_id).or_default().push(*node);
    }
    // Machines that already work with it are not reported at every plan.
    let mut report = |same: &[Examined<'a>], fault: &dyn Fn(Vec<NodeName>) -> MachineFault| {
        for node in same.iter().filter(|_| same.len() > 1 && same.iter().any(Examined::is_new)) {
            let others = same.iter().map(|other| other.name).filter(|name| *name != node.name);
            wrongs.push((*node, warns(fault(others.cloned().collect()))));
        }
    };
    for (name, same) in by_name.iter().filter(|(name, _)| !name.is_empty()) {
        // Kubernetes knows them by the names of cluster.yml, which kubelet gets; logs and people do not.
        report(same, &|others| MachineFault::SameHostname { hostname: (*name).to_owned(), others });
    }
    for (_, same) in by_id.iter().filter(|(id, _)| !id.is_empty()) {
        report(same, &|others| MachineFault::SameMachineId { others });
    }
}

/// A machine that another does not reach is at fault if nobody else reaches it either; otherwise the one that
/// asked is.
///
/// Unreachable machines are not considered: they are reported already.
fn judge_ways<'a>(nodes: &[Examined<'a>], wrongs: &mut Vec<(Examined<'a>, Wrong)>) {
    let new: Vec<Examined<'a>> = nodes.iter().filter(|node| node.is_new()).copied().collect();
    if new.iter().all(|node| node.report.unreached.is_empty()) {
        return;
    }
    for other in nodes {
        let own = &other.desired.target.internal_address;
        let missed = |asker: &Examined<'a>| -> Vec<(&'a Meeting, &'a str)> {
            let unreached = asker.report.unreached.iter().filter(|(place, _)| place.address == *own);
            unreached.map(|(place, cause)| (place, &**cause)).collect()
        };
        let askers = new.iter().filter(|asker| {
            asker.name != other.name && !ports_between(&asker.desired.roles, &other.desired.roles).is_empty()
        });
        let (reach, fail): (Vec<_>, Vec<_>) = askers.partition(|asker| missed(asker).is_empty());
        if other.is_new() && fail.len() > 1 && fail.len() > reach.len() {
            let all: Vec<(&Meeting, &str)> = fail.iter().flat_map(&missed).collect();
            wrongs.push((
                *other,
                holds(MachineFault::NotReachedBy {
                    others: fail.iter().map(|asker| asker.name.clone()).collect(),
                    address: own.clone(),
                    ports: all.iter().map(|(place, _)| place.port).collect(),
                    error: all.first().map(|(_, error)| (*error).to_owned()).unwrap_or_default(),
                }),
            ));
            continue;
        }
        for asker in fail {
            let missed = missed(&asker);
            wrongs.push((
                asker,
                holds(MachineFault::DoesNotReach {
                    other: other.name.clone(),
                    address: own.clone(),
                    ports: missed.iter().map(|(place, _)| place.port).collect(),
                    error: missed.first().map(|(_, error)| (*error).to_owned()).unwrap_or_default(),
                }),
            ));
        }
    }
}
