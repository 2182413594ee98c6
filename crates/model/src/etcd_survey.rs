//! What was seen of etcd at one moment for a person who cares for it, and what of it is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::component::Component;
use crate::container::ContainerSpec;
use crate::inventory::{Alarm, ContainerState, EtcdSeen, Health, MemberId, NodeFacts, Vote};
use crate::member_report::MemberReport;
use crate::names::NodeName;
use crate::rolling::{RollingFault, RollingSeen, rolling_interval};
use crate::time::Timestamp;

/// A database counts as nearly full from this percentage of its quota on.
pub const NEARLY_FULL: u64 = 80;

/// What was seen of etcd at one moment: by its members, and on their nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdSurvey {
    /// When.
    pub taken_at: Timestamp,
    /// The members, as a majority lists them.
    pub seen: EtcdSeen,
    /// Every node that has or is to have a member.
    pub nodes: BTreeMap<NodeName, EtcdNodeSeen>,
}

/// One node that has or is to have a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdNodeSeen {
    /// The address by which other members reach the one on it.
    pub peer_url: String,
    /// Whether cluster.yml gives it a member.
    pub desired: bool,
    /// What is known of the node; why nothing is, where it did not answer.
    pub facts: Result<Box<NodeFacts>, String>,
    /// What its member reports about itself; why it does not, where it does not.
    pub report: Result<Box<MemberReport>, String>,
    /// Until when its member's certificate is valid, by the ledger.
    pub certificate_until: Option<Timestamp>,
}

impl EtcdNodeSeen {
    /// The container that takes its periodic snapshots, where there is one that runs.
    fn snapshots_container(&self) -> Option<&ContainerSpec> {
        let facts = self.facts.as_ref().ok()?;
        let seen = facts.containers.get(&Component::EtcdRollingSnapshots.container())?;
        (seen.state == ContainerState::Running).then_some(&*seen.spec)
    }

    /// Its periodic snapshots; none where nothing is known of them.
    pub fn rolling(&self) -> Option<&RollingSeen> {
        self.facts.as_ref().ok()?.rolling.as_ref()
    }

    /// How many seconds lie between two of its periodic snapshots; none where nothing takes them.
    pub fn interval(&self) -> Option<u64> {
        rolling_interval(self.snapshots_container()?)
    }
}

/// A member, as a majority or, where there is none, the members that answer list it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedMember<'s> {
    /// Its id.
    pub id: MemberId,
    /// Its name; empty if it has never started.
    pub name: &'s str,
    /// The address by which other members reach it.
    pub peer_url: &'s str,
    /// Whether it votes.
    pub vote: Vote,
    /// The node on which it is, if that is known.
    pub node: Option<&'s NodeName>,
}

impl SurveyedMember<'_> {
    /// Its node, or its name where no node is known.
    pub fn place(&self) -> String {
        match self.node {
            Some(node) => node.to_string(),
            None if self.name.is_empty() => self.peer_url.to_owned(),
            None => self.name.to_owned(),
        }
    }
}

impl EtcdSurvey {
    /// Whether a majority answers.
    pub fn has_majority(&self) -> bool {
        self.seen != EtcdSeen::Silent
    }

    /// The reports of the members that answer, by node.
    pub fn reports(&self) -> impl Iterator<Item = (&NodeName, &MemberReport)> {
        self.nodes.iter().filter_map(|(name, node)| Some((name, &**node.report.as_ref().ok()?)))
    }

    /// The member with the most advanced data of those that answer, and its node; the first by name where several
    /// are equal.
    pub fn most_advanced(&self) -> Option<(&NodeName, &MemberReport)> {
        self.reports().max_by_key(|(name, report)| (report.progress(), std::cmp::Reverse(*name)))
    }

    /// The node whose member has this peer address.
    pub fn node_of(&self, peer_url: &str) -> Option<&NodeName> {
        self.nodes.iter().find(|(_, node)| node.peer_url == peer_url).map(|(name, _)| name)
    }

    /// The members: as a majority lists them, otherwise as any member that answers does.
    pub fn members(&self) -> Vec<SurveyedMember<'_>> {
        let mut members: BTreeMap<MemberId, SurveyedMember<'_>> = BTreeMap::new();
        for member in self.seen.members() {
            members.insert(
                member.id,
                SurveyedMember {
                    id: member.id,
                    name: &member.name,
                    peer_url: &member.peer_url,
                    vote: member.vote,
                    node: self.node_of(&member.peer_url),
                },
            );
        }
        if !self.has_majority() {
            for member in self.reports().flat_map(|(_, report)| &report.members) {
                members.entry(member.id).or_insert_with(|| SurveyedMember {
                    id: member.id,
                    name: &member.name,
                    peer_url: &member.peer_url,
                    vote: member.vote,
                    node: self.node_of(&member.peer_url),
                });
            }
        }
        let mut members: Vec<_> = members.into_values().collect();
        members.sort_by_key(|member| (member.place(), member.id));
        members
    }

    /// The alarms that are raised, by the member that raised them.
    pub fn alarms(&self) -> BTreeMap<MemberId, BTreeSet<Alarm>> {
        let mut alarms: BTreeMap<MemberId, BTreeSet<Alarm>> = BTreeMap::new();
        for member in self.seen.members().iter().filter(|member| !member.alarms.is_empty()) {
            alarms.entry(member.id).or_default().extend(&member.alarms);
        }
        for (id, raised) in self.reports().flat_map(|(_, report)| &report.alarms) {
            alarms.entry(*id).or_default().extend(raised);
        }
        alarms
    }

    /// Everything that is wrong, or that could not be asked.
    pub fn problems(&self) -> Vec<EtcdProblem> {
        let mut problems = Vec::new();
        if !self.has_majority() {
            problems.push(EtcdProblem::NoMajority);
        }
        let members = self.members();
        for member in &members {
            problems.extend(self.member_down(member));
        }
        let place_of = |id: MemberId| {
            let member = members.iter().find(|member| member.id == id);
            member.map_or_else(|| format!("member {id}"), SurveyedMember::place)
        };
        for (id, raised) in self.alarms() {
            problems
                .extend(raised.iter().map(|alarm| EtcdProblem::Alarm { place: place_of(id), alarm: *alarm }));
        }
        for (name, node) in &self.nodes {
            problems.extend(self.problems_on(name, node, &members));
        }
        problems
    }

    /// Why a member counts as down.
    fn member_down(&self, member: &SurveyedMember<'_>) -> Option<EtcdProblem> {
        let listed = self.seen.members().iter().find(|seen| seen.id == member.id);
        let health = listed.map(|seen| seen.health);
        let node = member.node.and_then(|name| self.nodes.get(name));
        let why = match (health, node.map(|node| (&node.facts, &node.report))) {
            (Some(Health::Healthy), None | Some((_, Ok(_)))) | (None, Some((_, Ok(_)))) => return None,
            (_, Some((Err(why), _))) => format!("its node is unreachable: {why}"),
            (_, Some((_, Err(why)))) => why.clone(),
            (Some(Health::Starting), _) => "it has just started".to_owned(),
            (Some(Health::Unknown(why)), _) => why.to_string(),
            (Some(_), Some((_, Ok(_)))) => "it says that it is unhealthy".to_owned(),
            (_, None) => "it is on no node of cluster.yml, and is not healthy".to_owned(),
        };
        Some(EtcdProblem::MemberDown { place: member.place(), why })
    }

    fn problems_on(
        &self,
        name: &NodeName,
        node: &EtcdNodeSeen,
        members: &[SurveyedMember<'_>],
    ) -> Vec<EtcdProblem> {
        let mut problems = Vec::new();
        let is_listed = members.iter().any(|member| member.peer_url == node.peer_url);
        if node.desired && !is_listed && (self.has_majority() || !members.is_empty()) {
            problems.push(EtcdProblem::NoMember { node: name.clone() });
        }
        let report = node.report.as_ref().ok();
        if let Some(percent) = report.and_then(|report| report.quota_percent())
            && percent >= NEARLY_FULL
        {
            problems.push(EtcdProblem::NearlyFull { node: name.clone(), percent });
        }
        if let Some(until) = node.certificate_until
            && until <= self.taken_at
        {
            problems.push(EtcdProblem::CertificateExpired { node: name.clone(), on: until });
        }
        if node.desired && is_listed && node.facts.is_ok() {
            problems.extend(self.snapshots_wrong(name, node));
        }
        problems
    }

    fn snapshots_wrong(&self, name: &NodeName, node: &EtcdNodeSeen) -> Option<EtcdProblem> {
        let facts = node.facts.as_ref().ok()?;
        if !facts.containers.contains_key(&Component::EtcdRollingSnapshots.container()) {
            // They are switched off, or `windlass plan` says that the container is missing.
            return None;
        }
        let node_name = name.clone();
        let Some(every) = node.interval() else {
            return Some(EtcdProblem::SnapshotsStopped { node: node_name });
        };
        match node.rolling() {
            None => Some(EtcdProblem::SnapshotsUnknown { node: node_name }),
            Some(rolling) => rolling
                .fault(every, self.taken_at)
                .map(|fault| EtcdProblem::Snapshots { node: node_name, fault }),
        }
    }
}

/// Something that is wrong with etcd, or could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "problem")]
pub enum EtcdProblem {
    /// No member answers with a majority behind it.
    NoMajority,
    /// A member does not work, or could not be asked.
    MemberDown {
        /// Its node, or its name where no node is known.
        place: String,
        /// What is known of it.
        why: String,
    },
    /// A node of etcd has no member.
    NoMember {
        /// The node.
        node: NodeName,
    },
    /// An alarm is raised.
    Alarm {
        /// The node of the member that raised it, or its name.
        place: String,
        /// The alarm.
        alarm: Alarm,
    },
    /// A database is nearly full.
    NearlyFull {
        /// The node.
        node: NodeName,
        /// How many percent of its quota it has.
        percent: u64,
    },
    /// The certificate of a member has expired.
    CertificateExpired {
        /// The node.
        node: NodeName,
        /// When.
        on: Timestamp,
    },
    /// The periodic snapshots of a node are not as they should be.
    Snapshots {
        /// The node.
        node: NodeName,
        /// What is wrong with them.
        fault: RollingFault,
    },
    /// The container that takes the periodic snapshots of a node does not run.
    SnapshotsStopped {
        /// The node.
        node: NodeName,
    },
    /// Nothing could be read of the periodic snapshots of a node.
    SnapshotsUnknown {
        /// The node.
        node: NodeName,
    },
}

impl EtcdProblem {
    /// What to do about it, or how to learn more.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoMajority => {
                "bring the other members' nodes back and run `windlass up`; if they are gone for good, `windlass etcd recover`"
            }
            Self::MemberDown { .. } | Self::NoMember { .. } | Self::SnapshotsStopped { .. } => {
                "`windlass plan` says what `windlass up` would do about it"
            }
            Self::Alarm { alarm: Alarm::NoSpace, .. } => {
                "delete what fills etcd or raise `quota-backend-bytes`, then `windlass etcd disarm`"
            }
            Self::Alarm { alarm: Alarm::Corrupt, .. } => {
                "members hold different data: see the guide on backup and restore before anything else"
            }
            Self::NearlyFull { .. } => {
                "`windlass etcd defrag` gives back free pages; then see what fills etcd"
            }
            Self::CertificateExpired { .. } => "`windlass up` issues a new one",
            Self::Snapshots { .. } | Self::SnapshotsUnknown { .. } => {
                "`windlass etcd snapshot list` shows what is there, `docker logs etcd-rolling-snapshots` on the node why"
            }
        }
    }
}

impl fmt::Display for EtcdProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMajority => f.write_str("etcd: no member answers with a majority behind it"),
            Self::MemberDown { place, why } => write!(f, "{place}: its member does not work: {why}"),
            Self::NoMember { node } => write!(f, "{node}: it has no member of etcd"),
            Self::Alarm { place, alarm } => write!(f, "{place}: its member has raised the alarm {alarm}"),
            Self::NearlyFull { node, percent } => {
                write!(f, "{node}: its database has {percent} % of its quota")
            }
            Self::CertificateExpired { node, on } => {
                write!(f, "{node}: the certificate of its member expired on {on}")
            }
            Self::Snapshots { node, fault } => write!(f, "{node}: {fault}"),
            Self::SnapshotsStopped { node } => {
                write!(f, "{node}: the container that takes its snapshots does not run")
            }
            Self::SnapshotsUnknown { node } => write!(f, "{node}: nothing could be read of its snapshots"),
        }
    }
}
