//! etcd: data directories, members, majorities, leaders, and the conditions under which etcd does not start.
//!
//! The rules are those of etcd 3.4 and 3.5 (`server/etcdserver/server.go`, `bootstrap.go`,
//! `api/membership/cluster.go`), stricter where etcd would go on and corrupt its data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_engine::PortResult;
use windlass_model::{
    Alarm, Component, ContainerName, Digest, EtcdSeen, FilePath, Health, MemberId, MemberSeen, NodeName,
    Unasked, Usage, Vote,
};

use crate::etcd_places::Found;
use crate::invariants::ViolationKind;
use crate::kube::KubeState;
use crate::process::{EtcdWork, Program, Tls, Work, host_of};
use crate::view::{ClusterView, Standing};
use crate::world::{Node, World, passing};

/// One cluster of etcd, in the state on which its majority agrees, with the objects of Kubernetes that it
/// stores.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself, and none excludes another")]
pub(crate) struct Cluster {
    pub(crate) members: BTreeMap<MemberId, Member>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) removed: BTreeSet<MemberId>,
    /// Whether it has ever had a majority.
    pub(crate) lived: bool,
    /// Whether windlass has been asked to remove it, and has begun to.
    pub(crate) dismantled: bool,
    /// Whether one with the same founders was live before and nothing of it was left.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) reborn: bool,
    #[serde(skip_serializing_if = "Seat::is_usual")]
    pub(crate) seat: Seat,
    /// The minor version on which the members have agreed: that of the oldest, once all were connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<(u32, u32)>,
    pub(crate) leader: Option<MemberId>,
    /// The alarms that members have raised.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) alarms: BTreeMap<MemberId, BTreeSet<Alarm>>,
    /// The size of each member's database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) db_bytes: Option<u64>,
    /// Whether old revisions were deleted: their pages are free.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) compacted: bool,
    /// The sizes of databases that were defragmented since.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) defragmented: BTreeMap<MemberId, u64>,
    /// The term of raft: it grows with each leader.
    pub(crate) term: u64,
    /// Until when there is no leader, after a leader was lost.
    pub(crate) election_until: u64,
    /// Until when its members report the alarm that was lifted last: each learns of it from the log.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) lifted_until: u64,
    pub(crate) kube: KubeState,
}

/// Where the members of a cluster are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Seat {
    #[default]
    OnMachines,
    /// On none of the machines: it is up or down as a whole.
    Elsewhere,
}

impl Seat {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    fn is_usual(&self) -> bool {
        *self == Self::OnMachines
    }
}

/// A member as the others list it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    /// Empty until it has joined, unless it is a founder of the cluster.
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) peer_url: String,
    pub(crate) vote: Vote,
    /// Whether it has ever published itself.
    #[serde(default)]
    pub(crate) started: bool,
    /// Whether it has ever written data.
    #[serde(default)]
    pub(crate) had_data: bool,
    /// Since when it has been connected, without a break.
    #[serde(default)]
    pub(crate) connected_since: Option<u64>,
}

/// The data of one member in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberData {
    pub(crate) cluster: u64,
    pub(crate) member: MemberId,
    /// The directory in which it was written.
    pub(crate) home: FilePath,
    /// Where its log was written, if not with the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<FilePath>,
    /// Whether it was created again by a member that had data before.
    #[serde(default)]
    pub(crate) blank: bool,
    /// How many of the revisions on which its cluster has agreed it lacks, while it is not connected.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) behind: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The state of an etcd process after its start, from its data and arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Boot {
    /// Not computed yet.
    #[default]
    Pending,
    /// It takes part as this member.
    Member { cluster: u64, id: MemberId },
    /// It exited; Docker starts it again.
    Crash { why: String, again_at: u64 },
}

impl Boot {
    pub(crate) fn is_pending(&self) -> bool {
        *self == Self::Pending
    }
}

/// How long an election takes after a leader was lost: five heartbeats are missed, then votes are cast. RKE
/// runs etcd with an election timeout of 5,000 ms.
pub(crate) const ELECTION: u64 = 5_000;
/// For how long members still report an alarm that was lifted: each learns of it from the log, when its disk has
/// written that.
pub(crate) const LIFTED: u64 = 1_500;
/// How long a learner takes to catch up.
pub(crate) const CATCH_UP: u64 = 2_000;
/// For how long all voters must have been connected before etcd accepts a new member (`HealthInterval`).
pub(crate) const HEALTH_INTERVAL: u64 = 5_000;
/// After how long Docker restarts a process that exited: the delay grows each time, up to a minute.
fn restart_delay(crashing_for: u64) -> u64 {
    (crashing_for / 2).clamp(1_000, 60_000)
}

/// A number derived from texts; 63 bits, so that any YAML reader keeps it.
pub(crate) fn id_of(parts: &[&str]) -> u64 {
    let digest = Digest::of(parts.join("\n")).to_string();
    u64::from_str_radix(&digest["sha256:".len()..][..16], 16).unwrap_or_default() >> 1
}

/// The cluster whose keys have this prefix in the external etcd.
pub(crate) fn external_cluster(prefix: &str) -> u64 {
    id_of(&["external", prefix])
}

/// A cluster's id, from the peer addresses of its founders and the token.
pub(crate) fn cluster_id(peer_urls: &[&str], token: &str) -> u64 {
    let mut parts = peer_urls.to_vec();
    parts.sort_unstable();
    parts.insert(0, "cluster");
    parts.push(token);
    id_of(&parts)
}

/// A member's id, from its peer address and the token (`NewMember` in `membership/member.go`).
pub(crate) fn founder_id(peer_url: &str, token: &str) -> MemberId {
    MemberId(id_of(&["member", peer_url, token]))
}

impl Cluster {
    pub(crate) fn has_raised(&self, alarm: Alarm) -> bool {
        self.alarms.values().any(|alarms| alarms.contains(&alarm))
    }

    pub(crate) fn is_elsewhere(&self) -> bool {
        self.seat == Seat::Elsewhere
    }

    pub(crate) fn voters(&self) -> usize {
        self.members.values().filter(|member| member.vote == Vote::Voter).count()
    }

    pub(crate) fn by_url(&self, peer_url: &str) -> Option<(MemberId, &Member)> {
        self.members.iter().find(|(_, member)| member.peer_url == peer_url).map(|(id, member)| (*id, member))
    }
}

impl Node {
    /// The file without which Docker does not start a container, if it is missing.
    pub(crate) fn missing_beside(&self, name: &ContainerName) -> Option<&FilePath> {
        let container = self.containers.get(name)?;
        let mut marks = container.beside_data.iter().chain(&container.beside_log);
        marks.find(|path| !self.files.contains_key(*path))
    }
}

/// A member that is older than the version of the cluster exits; one that skips a minor version corrupts what
/// the others write (`MustDetectDowngrade` and `isCompatibleWithCluster` of `server/etcdserver`).
fn check_version(own: Option<(u32, u32)>, agreed: Option<(u32, u32)>) -> Result<(), String> {
    let (Some(own), Some(agreed)) = (own, agreed) else { return Ok(()) };
    let shown = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    if own < agreed {
        let (own, agreed) = (shown(own), shown(agreed));
        return Err(format!(
            "cluster cannot be downgraded (current version: {own} is lower than determined cluster version: {agreed})"
        ));
    }
    if own > (agreed.0, agreed.1 + 1) {
        return Err(format!(
            "incompatible with current running cluster: {} beside {}",
            shown(own),
            shown(agreed)
        ));
    }
    Ok(())
}

/// Whether two members accept each other's certificates, in both directions: each dials the other.
fn trust_each_other(one: &EtcdWork, other: &EtcdWork) -> bool {
    let dials = |from: &EtcdWork, to: &EtcdWork| {
        to.peer.believes(from.peer.cert.as_ref(), Usage::ClientAuth)
            && from.peer.believes(to.peer.cert.as_ref(), Usage::ServerAuth)
    };
    dials(one, other) && dials(other, one)
}

/// Whether a client reaches a member's client port under the name `host`, and both accept each other's
/// certificates.
pub(crate) fn client_may_talk(client: &Tls, member: &EtcdWork, host: &str) -> bool {
    let named = client.trust.is_none()
        || host == "127.0.0.1"
        || member.client.cert.as_ref().is_some_and(|cert| cert.names(host));
    named
        && member.client.believes(client.cert.as_ref(), Usage::ClientAuth)
        && client.believes(member.client.cert.as_ref(), Usage::ServerAuth)
}

impl World {
    /// Whether etcd of a machine had lost access to its key when this component of another machine was
    /// started.
    pub(crate) fn is_locked_out_for(&self, machine: usize, other: usize, component: Component) -> bool {
        self.nodes[machine].etcd_locked_out.is_some_and(|since| {
            self.nodes[other].running(component).is_some_and(|container| container.since > since)
        })
    }

    /// The etcd process of a machine, if it could serve now.
    pub(crate) fn etcd_work(&self, machine: usize) -> Option<(&EtcdWork, &Boot, u64)> {
        let container = self.nodes[machine].running(Component::Etcd)?;
        let Work::Etcd(work) = &container.program.as_ref()?.work else { return None };
        Some((work, &container.boot, container.ready_at))
    }

    /// Starts every etcd process that is due, and computes majorities, until nothing changes any more.
    pub(crate) fn settle_etcd(&mut self, until: &mut u64) -> BTreeMap<u64, ClusterView> {
        // Each turn at least one process goes from crashed to member, so there are few.
        loop {
            let views: BTreeMap<u64, ClusterView> = self
                .clusters
                .keys()
                .copied()
                .collect::<Vec<_>>()
                .into_iter()
                .map(|id| (id, self.poll(id, until)))
                .collect();
            let mut changed = false;
            for machine in 0..self.nodes.len() {
                changed |= self.boot_etcd(machine, &views, until);
            }
            if !changed {
                return views;
            }
        }
    }

    /// Clusters become live in the external etcd as soon as an API server works there.
    pub(crate) fn guests_settle(&mut self) {
        let served: BTreeSet<u64> = self.view.nodes.iter().filter_map(|node| node.api).collect();
        for id in served {
            let is_one =
                |(other, cluster): (&u64, &Cluster)| *other != id && cluster.lived && !cluster.dismantled;
            let others = self.clusters.iter().any(is_one);
            let begins = match self.clusters.get_mut(&id) {
                None => true,
                Some(cluster) => {
                    // The next cluster adopts what a removed cluster has left there.
                    cluster.dismantled &= !cluster.is_elsewhere() || self.run.rules.dismantling;
                    false
                }
            };
            if begins {
                self.clusters
                    .insert(id, Cluster { seat: Seat::Elsewhere, lived: true, ..Cluster::default() });
                if others {
                    self.violate(
                        ViolationKind::Split,
                        "a second cluster lives in the external etcd".to_owned(),
                    );
                }
            }
        }
    }

    /// Starts the etcd process of a machine if it has just begun or is restarted; whether anything changed.
    fn boot_etcd(&mut self, machine: usize, views: &BTreeMap<u64, ClusterView>, until: &mut u64) -> bool {
        if self.nodes[machine].power == crate::world::Power::Off {
            return false;
        }
        let now = self.now;
        let Some(container) = self.nodes[machine].running(Component::Etcd) else { return false };
        let Some(program) = container.program.clone() else { return false };
        let Work::Etcd(work) = &program.work else { return false };
        if program.crash.is_some() {
            return false;
        }
        match &container.boot {
            Boot::Member { cluster, id } => {
                // A removed member exits by itself.
                if self.clusters.get(cluster).is_some_and(|cluster| cluster.members.contains_key(id)) {
                    return false;
                }
            }
            Boot::Crash { again_at, .. } if *again_at > now => {
                *until = (*until).min(*again_at);
                return false;
            }
            Boot::Pending | Boot::Crash { .. } => {}
        }
        let (before, number) = (container.boot.clone(), container.number);
        let delay = restart_delay(now.saturating_sub(container.since));
        let (boot, founded) = match self.boot(machine, work, views) {
            Ok((cluster, id, founded)) => (Boot::Member { cluster, id }, founded),
            Err(why) => (Boot::Crash { why, again_at: now + delay }, false),
        };
        if let Boot::Crash { again_at, .. } = &boot {
            *until = (*until).min(*again_at);
        }
        let changed = match (&before, &boot) {
            (Boot::Crash { .. }, Boot::Crash { .. }) => false,
            (before, boot) => before != boot,
        };
        if let Some(container) =
            self.nodes[machine].containers.values_mut().find(|container| container.number == number)
        {
            // A restarted process needs its start-up time again.
            if matches!(before, Boot::Crash { .. }) && matches!(boot, Boot::Member { .. }) {
                container.ready_at = now + 2_000;
            }
            container.boot = boot;
        }
        changed || founded
    }

    /// The member as which a starting etcd takes part, or why it exits. The flag says whether a cluster was
    /// created.
    fn boot(
        &mut self,
        machine: usize,
        work: &EtcdWork,
        views: &BTreeMap<u64, ClusterView>,
    ) -> Result<(u64, MemberId, bool), String> {
        if let Some(said) = &self.nodes[machine].etcd_ends {
            return Err(said.clone());
        }
        // What Docker creates, and what etcd as root has left, belongs to root only: etcd closes its
        // directories to others.
        let owner = self.nodes[machine].etcd_owners.get(&work.data).copied().unwrap_or_default();
        if work.user.uid != 0 && work.user != owner {
            return Err(format!("cannot access data directory: open {}: permission denied", work.data));
        }
        if let Found::Whole(data) = self.nodes[machine].found_by(work)? {
            let agreed = self.clusters.get(&data.cluster).and_then(|cluster| cluster.version);
            check_version(work.version, agreed)?;
            return self.boot_with_data(machine, data).map(|(cluster, id)| (cluster, id, false));
        }
        if !work.initial_cluster.iter().any(|(name, url)| *name == work.name && *url == work.peer_url) {
            return Err(format!(
                "couldn't find local name \"{}\" in the initial cluster configuration",
                work.name
            ));
        }
        if work.existing { self.join(machine, work, views) } else { self.found(machine, work) }.map(
            |(cluster, id, blank, founded)| {
                let (home, log) = (work.data.clone(), work.log.clone());
                self.nodes[machine].write_member(MemberData {
                    cluster,
                    member: id,
                    home,
                    log,
                    blank,
                    behind: 0,
                });
                if let Some(member) = self.clusters.get_mut(&cluster).and_then(|c| c.members.get_mut(&id)) {
                    member.had_data = true;
                }
                (cluster, id, founded)
            },
        )
    }

    /// With data, arguments for its creation are ignored: the process is the member that its data says.
    fn boot_with_data(&self, machine: usize, data: &MemberData) -> Result<(u64, MemberId), String> {
        let Some(cluster) = self.clusters.get(&data.cluster) else {
            return Err("cluster of the data is unknown".to_owned());
        };
        if !cluster.members.contains_key(&data.member) {
            return Err("the member has been permanently removed from the cluster".to_owned());
        }
        // A member that lost its log and meets one that has it panics: the commit index is out of range.
        let others_remember = || {
            self.nodes.iter().enumerate().any(|(other, node)| {
                self.are_connected(machine, other)
                    && node.etcd_data.values().any(|there| there.cluster == data.cluster && !there.blank)
            })
        };
        if data.blank && others_remember() {
            return Err(
                "tocommit is out of range: was the raft log corrupted, truncated, or lost?".to_owned()
            );
        }
        Ok((data.cluster, data.member))
    }

    /// `--initial-cluster-state=new` without data.
    fn found(&mut self, machine: usize, work: &EtcdWork) -> Result<(u64, MemberId, bool, bool), String> {
        let urls: Vec<&str> = work.initial_cluster.iter().map(|(_, url)| url.as_str()).collect();
        let founded = cluster_id(&urls, &work.token);
        let own = founder_id(&work.peer_url, &work.token);
        // It asks the peers first whether a live cluster has it already (`isMemberBootstrapped`).
        if let Some(live) = self.remembered_cluster(machine, work) {
            let cluster = &self.clusters[&live];
            if let Some((id, member)) = cluster.by_url(&work.peer_url) {
                if member.had_data || member.started {
                    return Err(format!("member {id} has already been bootstrapped"));
                }
                if live != founded {
                    return Err("cluster ID mismatch".to_owned());
                }
                return Ok((live, id, false, false));
            }
        }
        let mut data = self.nodes.iter().flat_map(|node| &node.etcd_data);
        // Nobody reads what was moved aside.
        let is_new = data.all(|(path, there)| there.cluster != founded || *path != there.home);
        if is_new {
            // No peer remembers anything: the cluster begins empty, even if one with this id was live.
            let reborn = self.clusters.get(&founded).is_some_and(|former| former.lived && !former.dismantled);
            let members = work.initial_cluster.iter().map(|(name, url)| {
                let member = Member {
                    name: name.clone(),
                    peer_url: url.clone(),
                    vote: Vote::Voter,
                    started: false,
                    had_data: false,
                    connected_since: None,
                };
                (founder_id(url, &work.token), member)
            });
            let cluster = Cluster { members: members.collect(), reborn, ..Cluster::default() };
            self.clusters.insert(founded, cluster);
        }
        match self.clusters[&founded].members.get(&own) {
            Some(member) => Ok((founded, own, member.had_data, is_new)),
            None => Err("the member has been permanently removed from the cluster".to_owned()),
        }
    }

    /// `--initial-cluster-state=existing` without data.
    fn join(
        &mut self,
        machine: usize,
        work: &EtcdWork,
        views: &BTreeMap<u64, ClusterView>,
    ) -> Result<(u64, MemberId, bool, bool), String> {
        let Some(live) = self.answering_cluster(machine, work, views) else {
            return Err("could not retrieve cluster information from the given URLs".to_owned());
        };
        let cluster = &self.clusters[&live];
        check_version(work.version, cluster.version)?;
        let desired: BTreeSet<&str> = work.initial_cluster.iter().map(|(_, url)| url.as_str()).collect();
        let there: BTreeSet<&str> = cluster.members.values().map(|member| member.peer_url.as_str()).collect();
        // `ValidateClusterAndAssignIDs`: the two lists must be the same.
        if desired != there {
            return Err("error validating peerURLs: member count is unequal or unmatched member".to_owned());
        }
        let Some((id, member)) = cluster.by_url(&work.peer_url) else {
            return Err("error validating peerURLs: unmatched member".to_owned());
        };
        // etcd would start and, without its former votes, could violate what the others agreed on.
        if member.had_data {
            return Err(format!("member {id} had data and has lost it"));
        }
        Ok((live, id, false, false))
    }

    /// The cluster that any process at the peer addresses of `--initial-cluster` belongs to.
    ///
    /// The process answers from its own memory, with or without a majority: the handler of
    /// `/members` asks no other member (`peerMembersHandler` of etcd's `etcdhttp`).
    fn remembered_cluster(&self, machine: usize, work: &EtcdWork) -> Option<u64> {
        work.initial_cluster.iter().filter(|(_, url)| *url != work.peer_url).find_map(|(_, url)| {
            let other = self.machine_at(machine, host_of(url))?;
            let (theirs, boot, _) = self.etcd_work(other)?;
            let Boot::Member { cluster, .. } = boot else { return None };
            let answers = self.nodes[other]
                .running(Component::Etcd)
                .is_some_and(|container| self.is_able(container, &mut u64::MAX.clone()));
            (answers && self.are_connected(machine, other) && trust_each_other(work, theirs))
                .then_some(*cluster)
        })
    }

    /// The cluster with a majority that answers at any of the peer addresses of `--initial-cluster`.
    fn answering_cluster(
        &self,
        machine: usize,
        work: &EtcdWork,
        views: &BTreeMap<u64, ClusterView>,
    ) -> Option<u64> {
        work.initial_cluster.iter().filter(|(_, url)| *url != work.peer_url).find_map(|(_, url)| {
            let other = self.machine_at(machine, host_of(url))?;
            let (theirs, boot, _) = self.etcd_work(other)?;
            let Boot::Member { cluster, id } = boot else { return None };
            let answers = views.get(cluster).is_some_and(|view| view.serves(*id));
            (answers && self.are_connected(machine, other) && trust_each_other(work, theirs))
                .then_some(*cluster)
        })
    }

    /// Which members of a cluster are up, whether there is a majority, and which member leads.
    fn poll(&mut self, id: u64, until: &mut u64) -> ClusterView {
        let now = self.now;
        let up: Vec<(MemberId, usize, Arc<Program>)> = (0..self.nodes.len())
            .filter_map(|machine| {
                let container = self.nodes[machine].running(Component::Etcd)?;
                let Boot::Member { cluster, id: member } = container.boot else { return None };
                (cluster == id
                    && self.nodes[machine].power == crate::world::Power::On
                    && self.is_able(container, until))
                .then(|| Some((member, machine, container.program.clone()?)))?
            })
            .collect();
        let linked = |one: &(MemberId, usize, Arc<Program>), other: &(MemberId, usize, Arc<Program>)| {
            let (Work::Etcd(ours), Work::Etcd(theirs)) = (&one.2.work, &other.2.work) else { return false };
            one.0 == other.0
                || (self.are_connected(one.1, other.1)
                    && !self.is_locked_out_for(one.1, other.1, Component::Etcd)
                    && !self.is_locked_out_for(other.1, one.1, Component::Etcd)
                    && trust_each_other(ours, theirs))
        };
        let Some(cluster) = self.clusters.get(&id) else { return ClusterView::default() };
        let votes =
            |member: &MemberId| cluster.members.get(member).is_some_and(|member| member.vote == Vote::Voter);
        let majority = cluster.voters() / 2 + 1;
        // A leader needs a majority connected to it; raft requires no more than such a star.
        let candidates: Vec<MemberId> = up
            .iter()
            .filter(|one| votes(&one.0))
            .filter(|one| up.iter().filter(|other| votes(&other.0) && linked(one, other)).count() >= majority)
            .map(|one| one.0)
            .collect();
        let mut leader = cluster.leader;
        let mut election_until = cluster.election_until;
        if leader.is_some_and(|leader| !candidates.contains(&leader)) {
            leader = None;
            election_until = now + ELECTION;
        }
        if leader.is_none() && !candidates.is_empty() {
            if now >= election_until {
                leader = candidates.iter().min().copied();
            } else {
                *until = (*until).min(election_until);
            }
        }
        let serving: BTreeMap<MemberId, usize> = up
            .iter()
            .find(|one| Some(one.0) == leader)
            .map(|centre| {
                let known = |one: &&(MemberId, usize, Arc<Program>)| {
                    cluster.members.contains_key(&one.0) && linked(centre, one)
                };
                up.iter().filter(known).map(|one| (one.0, one.1)).collect()
            })
            .unwrap_or_default();
        let view = ClusterView {
            voters: cluster.voters(),
            standing: if candidates.is_empty() { Standing::Broken } else { Standing::Quorate },
            leader,
            serving,
        };
        let names: Vec<(MemberId, String)> = up
            .iter()
            .filter_map(|(member, _, program)| match &program.work {
                Work::Etcd(work) => Some((*member, work.name.clone())),
                _ => None,
            })
            .collect();
        let of_work = |work: &Work| match work {
            Work::Etcd(work) => work.version,
            _ => None,
        };
        let versions = up.iter().filter(|one| view.serving.contains_key(&one.0));
        let oldest = versions.map(|one| of_work(&one.2.work)).min().flatten();
        if let Some(cluster) = self.clusters.get_mut(&id)
            && view.serving.len() == cluster.members.len()
        {
            // It never decreases.
            cluster.version = cluster.version.max(oldest);
        }
        self.note(id, &view, election_until, &names);
        view
    }

    /// Records the state on which a cluster agrees now.
    fn note(&mut self, id: u64, view: &ClusterView, election_until: u64, names: &[(MemberId, String)]) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(&id) else { return };
        if view.leader.is_some() && view.leader != cluster.leader {
            cluster.term += 1;
        }
        cluster.leader = view.leader;
        cluster.election_until = election_until;
        for (member_id, member) in &mut cluster.members {
            if view.serving.contains_key(member_id) {
                member.started = true;
                member.connected_since.get_or_insert(now);
                if let Some((_, name)) = names.iter().find(|(id, _)| id == member_id)
                    && member.name != *name
                {
                    member.name.clone_from(name);
                }
            } else {
                member.connected_since = None;
            }
        }
        if view.leader.is_some() && !cluster.lived {
            cluster.lived = true;
            let others = self
                .clusters
                .iter()
                .any(|(other, cluster)| *other != id && cluster.lived && !cluster.dismantled);
            if others {
                self.violate(ViolationKind::Split, "a second cluster of etcd has come to life".to_owned());
            }
            if self.clusters[&id].reborn {
                self.violate(
                    ViolationKind::DataLoss,
                    "a cluster that had lived was started as a new one".to_owned(),
                );
            }
        }
        self.judge_rebirth(id, view);
    }

    /// A cluster that was live may continue only with the data that it has stored.
    fn judge_rebirth(&mut self, id: u64, view: &ClusterView) {
        let cluster = &self.clusters[&id];
        if view.leader.is_none() || !cluster.lived || cluster.dismantled || self.run.reborn.contains(&id) {
            return;
        }
        let all_blank = view.serving.iter().all(|(member, machine)| {
            self.nodes[*machine].etcd_data.values().any(|data| data.member == *member && data.blank)
        });
        if all_blank {
            self.run.reborn.insert(id);
            self.violate(
                ViolationKind::DataLoss,
                "a cluster that had lived was started as a new one without its data".to_owned(),
            );
        }
    }

    /// The serving member of the first machine of `via` that windlass reaches and that answers.
    fn asked(&self, via: &[NodeName]) -> Option<u64> {
        via.iter().filter_map(|node| self.machine_of(node)).find_map(|machine| {
            if !self.is_in_sight(machine) || self.docker_answers(machine).is_err() {
                return None;
            }
            let (_, boot, _) = self.etcd_work(machine)?;
            let Boot::Member { cluster, id } = boot else { return None };
            let answers = !self.is_busy(machine, Component::Etcd)
                && self.view.clusters.get(cluster).is_some_and(|view| view.serves(*id));
            answers.then_some(*cluster)
        })
    }

    /// What a member reports about itself: through the connection of its own machine, where there is one.
    fn health_of_member(&self, id: MemberId, cluster: &Cluster, view: &ClusterView) -> Health {
        match view.serving.get(&id) {
            Some(machine) if !self.is_busy(*machine, Component::Etcd) => {
                if self.now < cluster.lifted_until {
                    Health::Unhealthy
                } else {
                    Health::Healthy
                }
            }
            Some(machine) if self.is_in_sight(*machine) => Health::Unknown(Unasked::NoAnswer),
            Some(_) | None => Health::Unhealthy,
        }
    }

    /// As [`Self::asked`], for verbs that need an answer.
    pub(crate) fn answering(&self, via: &[NodeName]) -> PortResult<u64> {
        self.asked(via).ok_or_else(|| passing("etcdserver: no member answers with a majority behind it"))
    }

    pub(crate) fn members(&self, via: &[NodeName]) -> EtcdSeen {
        let Some(id) = self.asked(via) else { return EtcdSeen::Silent };
        let (cluster, view) = (&self.clusters[&id], &self.view.clusters[&id]);
        EtcdSeen::Members(
            cluster
                .members
                .iter()
                .map(|(id, member)| MemberSeen {
                    id: *id,
                    name: member.name.clone(),
                    peer_url: member.peer_url.clone(),
                    vote: member.vote,
                    health: self.health_of_member(*id, cluster, view),
                    leads: view.leader == Some(*id),
                    alarms: cluster.alarms.get(id).cloned().unwrap_or_default(),
                    db_bytes: cluster.db_bytes.map(|_| cluster.bytes_of(*id)),
                })
                .collect(),
        )
    }
}
