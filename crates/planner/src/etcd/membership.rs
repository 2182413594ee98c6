//! The members of etcd as they are, and as the steps of a plan leave them: voters, learners, members to be
//! removed, and whether there is a majority.

use std::collections::BTreeMap;

use windlass_model::{Health, MemberSeen, NodeName, Vote};

/// The members of etcd, by their peer addresses: the only name that a member has before it has started.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Membership {
    members: BTreeMap<String, Member>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    /// Its name in `--initial-cluster`.
    name: String,
    vote: Vote,
    standing: Standing,
    place: Place,
}

/// Whether a member counts for the majority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It answers as healthy, or will after this plan has started it.
    Stands,
    /// It does not answer, and this plan does not change that.
    Lost,
}

/// Whether cluster.yml asks for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Desired,
    Leaving,
    /// It is added by this plan.
    Joining,
}

impl Membership {
    /// The members as etcd lists them, beside the nodes that should have one, by their peer addresses.
    pub(crate) fn of(members: &[MemberSeen], desired: &BTreeMap<String, &NodeName>) -> Self {
        let members = members
            .iter()
            .map(|seen| {
                let node = desired.get(&seen.peer_url);
                let name = node.map_or_else(|| seen.name.clone(), |node| member_name(node));
                // One that has never started has no name yet, and the flag requires one.
                let name = if name.is_empty() { format!("member-{}", seen.id) } else { name };
                let healthy = seen.health == Health::Healthy;
                let member = Member {
                    name,
                    vote: seen.vote,
                    standing: if healthy { Standing::Stands } else { Standing::Lost },
                    place: if node.is_some() { Place::Desired } else { Place::Leaving },
                };
                (seen.peer_url.clone(), member)
            })
            .collect();
        Self { members }
    }

    /// One member for each of these nodes, where etcd cannot be asked for its members.
    pub(crate) fn desired(desired: &BTreeMap<String, &NodeName>) -> Self {
        let member =
            |(peer_url, node): (&String, &&NodeName)| (peer_url.clone(), Member::joining(node, Vote::Voter));
        Self { members: desired.iter().map(member).collect() }
    }

    /// Those that vote.
    pub(crate) fn voters(&self) -> usize {
        self.members.values().filter(|member| member.vote == Vote::Voter).count()
    }

    /// The voters that are up.
    pub(crate) fn standing(&self) -> usize {
        let stands = |member: &&Member| member.vote == Vote::Voter && member.standing == Standing::Stands;
        self.members.values().filter(stands).count()
    }

    /// Whether a member is in the list that is not in cluster.yml.
    pub(crate) fn is_leaving(&self, peer_url: &str) -> bool {
        self.members.get(peer_url).is_some_and(|member| member.place == Place::Leaving)
    }

    /// Whether any member is to be removed.
    pub(crate) fn has_leaving(&self) -> bool {
        self.members.values().any(|member| member.place == Place::Leaving)
    }

    /// This plan starts the member, so it will be up.
    pub(crate) fn heals(&mut self, peer_url: &str) {
        if let Some(member) = self.members.get_mut(peer_url) {
            member.standing = Standing::Stands;
        }
    }

    /// This plan adds a member on this node, first as a learner.
    pub(crate) fn joins(&mut self, peer_url: &str, node: &NodeName) {
        self.members.insert(peer_url.to_owned(), Member::joining(node, Vote::Learner));
    }

    /// This plan lets a learner vote, which happens only when it has caught up, so it will be up.
    pub(crate) fn promoted(&mut self, peer_url: &str) {
        if let Some(member) = self.members.get_mut(peer_url) {
            member.vote = Vote::Voter;
            member.standing = Standing::Stands;
        }
    }

    /// The members without this one; none if those that are up would be no majority of the voters.
    ///
    /// Source: <https://etcd.io/docs/v3.4/faq/>, "What is failure tolerance?": a majority is more than half of the
    /// voters, and learners are not counted.
    pub(crate) fn after_dropping(&self, peer_url: &str) -> Option<Self> {
        let rest = self.without(peer_url);
        let votes = self.members.get(peer_url).is_some_and(|member| member.vote == Vote::Voter);
        let is_majority = rest.standing() * 2 > rest.voters();
        (!votes || is_majority).then_some(rest)
    }

    /// Whether the members that are up would be no majority while this one is down. One or two voters have none to spare, and
    /// cannot be changed otherwise.
    pub(crate) fn needs_for_majority(&self, peer_url: &str) -> bool {
        let stands = |member: &&Member| member.vote == Vote::Voter && member.standing == Standing::Stands;
        let is_up = self.members.get(peer_url).as_ref().is_some_and(stands);
        self.voters() > 2 && is_up && (self.standing() - 1) * 2 <= self.voters()
    }

    /// The members without this one, whatever majority is left.
    pub(crate) fn without(&self, peer_url: &str) -> Self {
        let mut rest = self.clone();
        rest.members.remove(peer_url);
        rest
    }

    /// The value of `--initial-cluster`, in the order of the peer addresses.
    pub(crate) fn initial_cluster(&self) -> String {
        let members: Vec<String> =
            self.members.iter().map(|(peer_url, member)| format!("{}={peer_url}", member.name)).collect();
        members.join(",")
    }
}

impl Member {
    fn joining(node: &NodeName, vote: Vote) -> Self {
        Self { name: member_name(node), vote, standing: Standing::Lost, place: Place::Joining }
    }
}

/// A member's name, in RKE's form.
pub(crate) fn member_name(node: &NodeName) -> String {
    format!("etcd-{node}")
}

#[cfg(test)]
mod tests {
    use windlass_model::MemberId;

    use super::*;

    fn member(number: u64, vote: Vote, health: Health) -> MemberSeen {
        MemberSeen {
            id: MemberId(number),
            name: format!("etcd-node-{number}"),
            peer_url: peer(number),
            vote,
            health,
            leads: number == 1,
            alarms: std::collections::BTreeSet::new(),
            db_bytes: None,
        }
    }

    fn peer(number: u64) -> String {
        format!("https://10.0.0.{number}:2380")
    }

    /// Voters with these states of health; none of them is on a node of cluster.yml.
    fn voters(health: &[Health]) -> Membership {
        let members: Vec<MemberSeen> =
            (1..).zip(health).map(|(number, health)| member(number, Vote::Voter, *health)).collect();
        Membership::of(&members, &BTreeMap::new())
    }

    const UP: Health = Health::Healthy;
    const DOWN: Health = Health::Unhealthy;

    #[test]
    fn a_member_is_dropped_only_while_the_rest_is_a_majority() {
        for (health, drop, may) in [
            (&[UP, UP, UP][..], 1, true),
            (&[UP, UP, DOWN], 3, true),
            (&[UP, UP, DOWN], 1, false),
            (&[UP, DOWN], 2, true),
            (&[UP, DOWN], 1, false),
            (&[UP, UP, UP, DOWN, DOWN], 4, true),
            (&[UP, UP, UP, DOWN, DOWN], 1, false),
            (&[UP], 1, false),
        ] {
            assert_eq!(
                voters(health).after_dropping(&peer(drop)).is_some(),
                may,
                "{health:?} without {drop}"
            );
        }
    }

    #[test]
    fn a_member_that_heals_counts_once_however_often_it_is_named() {
        let mut members = voters(&[UP, DOWN, DOWN]);
        assert_eq!((members.voters(), members.standing()), (3, 1));
        members.heals(&peer(2));
        members.heals(&peer(2));
        assert_eq!(members.standing(), 2);
        assert!(members.after_dropping(&peer(3)).is_some());
    }

    #[test]
    fn a_learner_counts_for_nothing_until_it_votes() {
        let mut members = Membership::of(
            &[member(1, Vote::Voter, UP), member(2, Vote::Learner, UP), member(3, Vote::Voter, DOWN)],
            &BTreeMap::new(),
        );
        assert_eq!((members.voters(), members.standing()), (2, 1));
        assert!(members.after_dropping(&peer(2)).is_some(), "a learner takes no vote with it");
        members.promoted(&peer(2));
        assert_eq!((members.voters(), members.standing()), (3, 2));
    }

    #[test]
    fn who_is_in_no_cluster_yml_is_to_leave() {
        let members = voters(&[UP]);
        assert!(members.is_leaving(&peer(1)) && members.has_leaving());
        assert!(!members.without(&peer(1)).has_leaving());
        assert_eq!(members.initial_cluster(), "etcd-node-1=https://10.0.0.1:2380");
    }

    #[test]
    fn a_member_without_a_name_is_listed_all_the_same() {
        let mut nameless = member(10, Vote::Learner, DOWN);
        nameless.name.clear();
        let members = Membership::of(&[nameless], &BTreeMap::new());
        assert_eq!(members.initial_cluster(), "member-a=https://10.0.0.10:2380");
    }
}
