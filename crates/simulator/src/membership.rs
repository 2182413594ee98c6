//! Changes of etcd's membership and leader, and which of them etcd refuses.

use windlass_engine::PortResult;
use windlass_model::{MemberId, NodeName, Vote};

use crate::etcd::{CATCH_UP, HEALTH_INTERVAL, Member, id_of};
use crate::world::{World, already, lasting, passing};

impl World {
    /// `mayAddMember` with strict reconfiguration checks: no member is accepted while a voter is not
    /// connected, and has been for five seconds; and there is one learner at most (`ErrTooManyLearners`).
    pub(crate) fn add_learner(&mut self, via: &[NodeName], peer_url: &str) -> PortResult<()> {
        let id = self.answering(via)?;
        let now = self.now;
        let leader = self.view.clusters[&id].leader;
        let cluster = self.clusters.get_mut(&id).expect("a cluster that answers is there");
        if cluster.by_url(peer_url).is_some() {
            return Err(already(format!("etcdserver: peer URLs already exist: {peer_url}")));
        }
        if cluster.members.values().any(|member| member.vote == Vote::Learner) {
            return Err(lasting("etcdserver: too many learner members in cluster"));
        }
        let all_connected =
            cluster.members.iter().filter(|(id, _)| Some(**id) != leader).all(|(_, member)| {
                member.connected_since.is_some_and(|since| since + HEALTH_INTERVAL <= now)
            });
        if !all_connected {
            return Err(passing("etcdserver: unhealthy cluster"));
        }
        let member = MemberId(id_of(&["joined", peer_url, &now.to_string()]));
        let learner = Member {
            name: String::new(),
            peer_url: peer_url.to_owned(),
            vote: Vote::Learner,
            started: false,
            had_data: false,
            connected_since: None,
        };
        cluster.members.insert(member, learner);
        self.touch();
        Ok(())
    }

    /// `mayPromote`: the learner must have caught up.
    pub(crate) fn promote(&mut self, via: &[NodeName], peer_url: &str) -> PortResult<()> {
        let id = self.answering(via)?;
        let now = self.now;
        let cluster = self.clusters.get_mut(&id).expect("a cluster that answers is there");
        let Some(member) = cluster.members.values_mut().find(|member| member.peer_url == peer_url) else {
            return Err(lasting(format!("etcdserver: member not found: {peer_url}")));
        };
        if member.vote == Vote::Voter {
            return Err(already(format!("{peer_url} votes")));
        }
        if member.connected_since.is_none_or(|since| since + CATCH_UP > now) {
            return Err(passing(
                "etcdserver: can only promote a learner member which is in sync with leader",
            ));
        }
        member.vote = Vote::Voter;
        self.touch();
        Ok(())
    }

    /// `mayRemoveMember`: the rest must have a majority of started members, and, unless the removed one is
    /// down anyway, a majority of connected ones.
    pub(crate) fn remove_member(&mut self, via: &[NodeName], member: MemberId) -> PortResult<()> {
        let id = self.answering(via)?;
        let view = &self.view.clusters[&id];
        let cluster = self.clusters.get_mut(&id).expect("a cluster that answers is there");
        let Some(leaving) = cluster.members.get(&member) else {
            return Err(already(format!("etcdserver: member {member} not found")));
        };
        if leaving.vote == Vote::Voter {
            let rest: Vec<(&MemberId, &Member)> = cluster
                .members
                .iter()
                .filter(|(id, other)| **id != member && other.vote == Vote::Voter)
                .collect();
            let majority = rest.len() / 2 + 1;
            if rest.iter().filter(|(_, other)| other.started).count() < majority {
                return Err(lasting("etcdserver: re-configuration failed due to not enough started members"));
            }
            let connected = rest.iter().filter(|(id, _)| view.serves(**id)).count();
            if view.serves(member) && connected < majority {
                return Err(passing("etcdserver: unhealthy cluster"));
            }
        }
        cluster.members.remove(&member);
        cluster.removed.insert(member);
        self.touch();
        Ok(())
    }

    /// Another voter leads from now on, without an election.
    pub(crate) fn move_leader(&mut self, via: &[NodeName], away_from: &str) -> PortResult<()> {
        let id = self.answering(via)?;
        let view = &self.view.clusters[&id];
        let cluster = self.clusters.get_mut(&id).expect("a cluster that answers is there");
        let leads = cluster.leader.and_then(|leader| cluster.members.get(&leader));
        if leads.is_none_or(|leader| leader.peer_url != away_from) {
            return Ok(());
        }
        let next = cluster
            .members
            .iter()
            .find(|(id, member)| {
                member.vote == Vote::Voter && member.peer_url != away_from && view.serves(**id)
            })
            .map(|(id, _)| *id);
        match next {
            Some(next) => {
                cluster.leader = Some(next);
                cluster.term += 1;
                self.touch();
                Ok(())
            }
            None => Ok(()),
        }
    }
}
