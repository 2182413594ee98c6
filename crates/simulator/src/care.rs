//! The care of simulated members of etcd: reports, compaction, defragmentation, alarms, leadership.

use std::collections::BTreeMap;

use windlass_engine::{EtcdCare, PortResult};
use windlass_model::{
    Alarm, Component, ETCD_QUOTA, Latency, ListedMember, MemberId, MemberReport, NodeName, Vote,
};

use crate::etcd::{Boot, Cluster, LIFTED};
use crate::invariants::{Deed, ViolationKind};
use crate::ports::SimFleet;
use crate::story::Object;
use crate::world::{World, already, lasting, passing};

/// The size of a database of which nobody has said how large it is.
const USUAL_BYTES: u64 = 4 << 20;
/// Of what a database has grown by, three parts of four are old revisions.
const OLD_PARTS: (u64, u64) = (3, 4);

impl Cluster {
    /// The size of a member's database.
    pub(crate) fn bytes_of(&self, member: MemberId) -> u64 {
        let all = self.db_bytes.unwrap_or(USUAL_BYTES);
        self.defragmented.get(&member).copied().unwrap_or(all)
    }

    /// How many bytes of it are in use.
    fn used_bytes(&self) -> u64 {
        let all = self.db_bytes.unwrap_or(USUAL_BYTES);
        if self.compacted { all - all / OLD_PARTS.1 * OLD_PARTS.0 } else { all }
    }

    /// All databases have this size, of which no page is free.
    pub(crate) fn grow_to(&mut self, bytes: u64) {
        self.db_bytes = Some(bytes);
        self.compacted = false;
        self.defragmented.clear();
    }
}

impl World {
    /// The cluster and member of a machine's etcd, if it answers on its own machine.
    pub(crate) fn member_on(&self, machine: usize) -> PortResult<(u64, MemberId)> {
        let silent = || passing(format!("etcd on {} does not answer", self.nodes[machine].name));
        let container = self.nodes[machine].running(Component::Etcd).ok_or_else(silent)?;
        let Boot::Member { cluster, id } = container.boot else { return Err(silent()) };
        if !self.is_able(container, &mut u64::MAX.clone()) || self.is_busy(machine, Component::Etcd) {
            return Err(silent());
        }
        Ok((cluster, id))
    }

    fn member_report(&self, machine: usize) -> PortResult<MemberReport> {
        let (cluster_id, id) = self.member_on(machine)?;
        let cluster = &self.clusters[&cluster_id];
        let view = self.view.clusters.get(&cluster_id);
        let serves = view.is_some_and(|view| view.serves(id));
        let behind = if serves { 0 } else { self.behind(machine, id) };
        let own = cluster.members.get(&id);
        let version = self.etcd_work(machine).and_then(|(work, _, _)| work.version);
        let revision = cluster.kube.revision.saturating_sub(behind);
        let measured = |p99| Latency { p99_micros: Some(p99), average_micros: p99 / 4, count: 1_000 };
        let others = view.into_iter().flat_map(|view| view.serving.keys()).filter(|other| **other != id);
        Ok(MemberReport {
            id,
            cluster: cluster_id,
            version: version.map_or_else(String::new, |(major, minor)| format!("{major}.{minor}.0")),
            vote: own.map_or(Vote::Voter, |member| member.vote),
            leader: if serves { cluster.leader } else { None },
            term: cluster.term,
            index: revision + cluster.term,
            applied: revision + cluster.term,
            revision,
            db_bytes: cluster.bytes_of(id),
            db_used_bytes: cluster.used_bytes().min(cluster.bytes_of(id)),
            quota_bytes: Some(self.quota_on(machine)),
            alarms: cluster.alarms.clone(),
            errors: if serves { Vec::new() } else { vec!["etcdserver: no leader".to_owned()] },
            members: cluster
                .members
                .iter()
                .map(|(id, member)| ListedMember {
                    id: *id,
                    name: member.name.clone(),
                    peer_url: member.peer_url.clone(),
                    vote: member.vote,
                })
                .collect(),
            fsync: Some(measured(4_000)),
            commit: Some(measured(8_000)),
            peers: if serves {
                others.map(|other| (*other, measured(800))).collect()
            } else {
                BTreeMap::new()
            },
        })
    }

    fn quota_on(&self, machine: usize) -> u64 {
        let etcd = self.nodes[machine].running(Component::Etcd);
        let quota = etcd.and_then(|etcd| etcd.spec.flag("quota-backend-bytes")?.parse().ok());
        quota.unwrap_or(ETCD_QUOTA)
    }

    /// How many revisions a member lacks that others may have.
    pub(crate) fn behind(&self, machine: usize, member: MemberId) -> u64 {
        let mut data = self.nodes[machine].etcd_data.values();
        data.find(|data| data.member == member).map_or(0, |data| data.behind)
    }

    fn compact(&mut self, via: &[NodeName]) -> PortResult<u64> {
        let id = self.answering(via)?;
        let cluster = self.clusters.get_mut(&id).expect("a cluster that answers is there");
        cluster.compacted = true;
        Ok(cluster.kube.revision)
    }

    /// A member that rewrites its database answers nobody meanwhile.
    fn defragment(&mut self, machine: usize) -> PortResult<()> {
        let (cluster_id, id) = self.member_on(machine)?;
        let name = self.nodes[machine].name.clone();
        let view = self.view.clusters.get(&cluster_id).cloned().unwrap_or_default();
        let votes = |member: &&MemberId| {
            self.clusters[&cluster_id].members.get(*member).is_some_and(|member| member.vote == Vote::Voter)
        };
        let others = view.serving.keys().filter(|other| **other != id).filter(votes).count();
        if view.voters > 2 && others < view.voters / 2 + 1 {
            let what = format!("{name} was defragmented while others were down");
            self.violate(ViolationKind::Quorum, what);
        }
        if view.leader == Some(id) && others > 0 {
            self.violate(ViolationKind::Stall, format!("{name} was defragmented while it led"));
        }
        if self.nodes[machine].disk == crate::world::Disk::Full {
            return Err(lasting(format!("{name}: no space left on device")));
        }
        let cluster = self.clusters.get_mut(&cluster_id).expect("it has just been asked");
        let used = cluster.used_bytes();
        cluster.defragmented.insert(id, used);
        self.touch();
        Ok(())
    }

    fn disarm(&mut self, via: &[NodeName], member: MemberId, alarm: Alarm) -> PortResult<()> {
        let id = self.answering(via)?;
        let machine = self.view.clusters[&id].serving.get(&member).copied();
        let quota = machine.map_or(ETCD_QUOTA, |machine| self.quota_on(machine));
        let now = self.now;
        let cluster = self.clusters.get_mut(&id).expect("a cluster that answers is there");
        // The next write finds what has raised it.
        let is_raised_again = alarm == Alarm::Corrupt || cluster.bytes_of(member) >= quota;
        if !is_raised_again && let Some(alarms) = cluster.alarms.get_mut(&member) {
            alarms.remove(&alarm);
            cluster.alarms.retain(|_, alarms| !alarms.is_empty());
            cluster.lifted_until = now + LIFTED;
        }
        self.touch();
        Ok(())
    }

    fn give_leadership(&mut self, via: &[NodeName], peer_url: &str) -> PortResult<()> {
        let id = self.answering(via)?;
        let view = self.view.clusters[&id].clone();
        let cluster = self.clusters.get_mut(&id).expect("a cluster that answers is there");
        let Some((member, listed)) = cluster.by_url(peer_url) else {
            return Err(lasting(format!("etcdserver: member not found: {peer_url}")));
        };
        if listed.vote == Vote::Learner {
            return Err(lasting("etcdserver: leader transferee is a learner"));
        }
        if cluster.leader == Some(member) {
            return Err(already(format!("{peer_url} leads")));
        }
        if !view.serves(member) {
            return Err(passing("etcdserver: request timed out, leader transfer took too long"));
        }
        cluster.leader = Some(member);
        cluster.term += 1;
        self.touch();
        Ok(())
    }
}

impl EtcdCare for SimFleet {
    async fn member_report(&self, node: &NodeName) -> PortResult<MemberReport> {
        self.at(node, "member report", Object::Nothing, Deed::Ask, |world, machine| {
            world.member_report(machine)
        })
        .await
    }

    async fn compact(&self, via: &[NodeName]) -> PortResult<u64> {
        self.api(None, "compact", Object::Nothing, Deed::CareForEtcd, |world| world.compact(via)).await
    }

    async fn defragment(&self, node: &NodeName) -> PortResult<()> {
        self.at(node, "defragment", Object::Nothing, Deed::Defragment, World::defragment).await
    }

    async fn disarm(&self, via: &[NodeName], member: MemberId, alarm: Alarm) -> PortResult<()> {
        let object = Object::Text(format!("{alarm} of {member}").as_str().into());
        self.api(None, "disarm", object, Deed::CareForEtcd, |world| world.disarm(via, member, alarm)).await
    }

    async fn give_leadership(&self, via: &[NodeName], peer_url: &str) -> PortResult<()> {
        let object = Object::Text(peer_url.into());
        self.api(None, "give leadership", object, Deed::MoveLeader, |world| {
            world.give_leadership(via, peer_url)
        })
        .await
    }
}
