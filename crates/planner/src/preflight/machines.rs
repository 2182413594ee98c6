//! The machines side by side: their clocks, and whether each is a machine of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use windlass_model::{Inventory, Meeting, NodeName, ports_between};

use super::{Examined, Wrong, holds, row, warns};

/// By how many seconds the clock of a machine may differ before nothing new is put on it.
///
/// k0sctl draws the line at 30 s from the median too. Nothing breaks at once there: windlass' certificates begin five
/// minutes before they are made. But a clock so far off is kept by nobody, and drifts on until they are not yet valid.
const CLOCK_HOLDS_SECONDS: u64 = 30;

/// By how many seconds it may differ before that is told.
///
/// etcd warns of more than one second between members (`etcdserver/api/rafthttp/probing_status.go`); what is seen from
/// afar is true to about one second.
const CLOCK_WARNS_SECONDS: u64 = 2;

/// What is wrong with machines beside others.
pub(super) fn judge<'a>(nodes: &[Examined<'a>], seen: &Inventory) -> Vec<(Examined<'a>, Wrong)> {
    let mut wrongs = Vec::new();
    judge_clocks(nodes, &mut wrongs);
    let doubles = judge_machines_named_twice(nodes, seen, &mut wrongs);
    judge_names(nodes, &doubles, &mut wrongs);
    judge_ways(nodes, &mut wrongs);
    wrongs
}

/// Clocks are compared with that of most machines; where there is no such time, with the operator's.
fn judge_clocks<'a>(nodes: &[Examined<'a>], wrongs: &mut Vec<(Examined<'a>, Wrong)>) {
    let common = common_time(nodes);
    let than = if common == 0 { "this machine's" } else { "that of most nodes" };
    for node in nodes {
        let off = node.report.clock_ahead_seconds - common;
        if off.unsigned_abs() <= CLOCK_WARNS_SECONDS {
            continue;
        }
        let direction = if off > 0 { "ahead of" } else { "behind" };
        let what = format!("its clock is {} s {direction} {than}", off.unsigned_abs());
        let help = "set it, and let it be kept: `timedatectl set-ntp true`, chrony or ntpd";
        let holds_it = off.unsigned_abs() > CLOCK_HOLDS_SECONDS && node.is_new();
        wrongs.push((*node, if holds_it { holds(what, help) } else { warns(what, help) }));
    }
}

/// By how much the time of most machines is ahead of the operator's: zero unless more than half of at least three
/// agree on another time.
fn common_time(nodes: &[Examined<'_>]) -> i64 {
    let mut ahead: Vec<i64> = nodes.iter().map(|node| node.report.clock_ahead_seconds).collect();
    ahead.sort_unstable();
    let Some(&median) = ahead.get(ahead.len() / 2).filter(|_| ahead.len() >= 3) else { return 0 };
    let agree = ahead.iter().filter(|one| (*one - median).unsigned_abs() <= CLOCK_WARNS_SECONDS).count();
    let is_off = median.unsigned_abs() > CLOCK_WARNS_SECONDS;
    if is_off && agree * 2 > ahead.len() { median } else { 0 }
}

/// Two nodes of cluster.yml that are one machine: the first that is known, or else is named, is it.
fn judge_machines_named_twice<'a>(
    nodes: &[Examined<'a>],
    seen: &Inventory,
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
        same.sort_by_key(|node| !seen.ledger.nodes.contains_key(node.name));
        let first = same[0];
        for double in &same[1..] {
            doubles.insert(double.name);
            let what = format!("it is the same machine as {}", first.name);
            let help = "list a machine once in cluster.yml, with all its roles";
            wrongs.push((*double, holds(what, help)));
        }
    }
    doubles
}

/// Machines of their own that cannot be told apart by name or id.
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
    let mut tell = |same: &[Examined<'a>], what: &str, help: &str| {
        // Those that already live with it are not told at every plan.
        for node in same.iter().filter(|_| same.len() > 1 && same.iter().any(Examined::is_new)) {
            let others = same.iter().filter(|other| other.name != node.name).map(|other| other.name);
            wrongs.push((*node, warns(format!("{what} as {}", row(others)), help)));
        }
    };
    for (name, same) in by_name.iter().filter(|(name, _)| !name.is_empty()) {
        // Kubernetes knows them by the names of cluster.yml, which kubelet is told; logs and people do not.
        tell(
            &same[..],
            &format!("it calls itself `{name}`, the same"),
            "give each machine a name of its own: `hostnamectl set-hostname NAME`; Kubernetes goes by the names of \
             cluster.yml all the same",
        );
    }
    for (_, same) in by_id.iter().filter(|(id, _)| !id.is_empty()) {
        tell(
            &same[..],
            "it has the same /etc/machine-id",
            "machines copied from one image need ids of their own, since systemd makes addresses of interfaces from \
             them: `rm /etc/machine-id && systemd-machine-id-setup`, then reboot",
        );
    }
}

/// Whom a machine does not reach is at fault if nobody else reaches it either; else the machine that asks.
///
/// Machines out of sight are not in question: that is told of them already.
fn judge_ways<'a>(nodes: &[Examined<'a>], wrongs: &mut Vec<(Examined<'a>, Wrong)>) {
    let new: Vec<Examined<'a>> = nodes.iter().filter(|node| node.is_new()).copied().collect();
    if new.iter().all(|node| node.report.unreached.is_empty()) {
        return;
    }
    for other in nodes {
        let own = &other.wish.target.internal_address;
        let missed = |asker: &Examined<'a>| -> Vec<(&'a Meeting, &'a str)> {
            let unreached = asker.report.unreached.iter().filter(|(place, _)| place.address == *own);
            unreached.map(|(place, cause)| (place, &**cause)).collect()
        };
        let askers = new.iter().filter(|asker| {
            asker.name != other.name && !ports_between(&asker.wish.roles, &other.wish.roles).is_empty()
        });
        let (reach, fail): (Vec<_>, Vec<_>) = askers.partition(|asker| missed(asker).is_empty());
        let help = |ports: &BTreeSet<u16>| {
            format!("let TCP {} through between the nodes, or say the right `internal_address`", row(ports))
        };
        if other.is_new() && fail.len() > 1 && fail.len() > reach.len() {
            let all: Vec<(&Meeting, &str)> = fail.iter().flat_map(&missed).collect();
            let ports: BTreeSet<u16> = all.iter().map(|(place, _)| place.port).collect();
            let who = row(fail.iter().map(|asker| asker.name));
            let cause = all.first().map_or("", |(_, cause)| cause);
            let what = format!("{who} do not reach it at {own}, TCP {} ({cause})", row(&ports));
            wrongs.push((*other, holds(what, help(&ports))));
            continue;
        }
        for asker in fail {
            let missed = missed(&asker);
            let ports: BTreeSet<u16> = missed.iter().map(|(place, _)| place.port).collect();
            let cause = missed.first().map_or("", |(_, cause)| cause);
            let what = format!("it does not reach {} at {own}, TCP {} ({cause})", other.name, row(&ports));
            wrongs.push((asker, holds(what, help(&ports))));
        }
    }
}
