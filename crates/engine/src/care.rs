//! The care of etcd on request: defragmentation, the leader's move, and alarms that are lifted.
//!
//! ```text
//! all members are healthy? ─▶ one that does not lead is defragmented ─▶ healthy again? ─▶ the next
//!                                        … the last one hands over first, where another voter can lead
//! ```
//!
//! *Guarantees*: nothing is begun where a member is ill, unknown, or on no known node; no more than one member is
//! busy at a time; each verb either has its effect or leaves things as they were, so a run may end anywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use windlass_model::{Alarm, EtcdSeen, Health, MemberId, MemberReport, MemberSeen, NodeName, Vote};

use crate::etcd_survey::members;
use crate::interrupt::{Interrupt, Urgency};
use crate::ports::{Fleet, PortError};

/// How long a member may take until it is healthy again, and another one until it leads.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);
/// For how long members that are ill when something begins are asked again: one answer is a moment.
const BEGINS_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait between two looks.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// A NOSPACE alarm is lifted where the database has at most this percentage of its quota: with less room it would
/// be raised again at once.
const ENOUGH_ROOM: u64 = 95;

/// Why the care of etcd ended before its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CareError {
    /// No member answers with a majority behind it.
    #[error("no member of etcd answers with a majority behind it")]
    NoMajority,
    /// Not all members are healthy.
    #[error("not all members of etcd are healthy: {}", .what.join("; "))]
    Unwell {
        /// Which, and why.
        what: Vec<String>,
    },
    /// Members hold different data.
    #[error("the alarm CORRUPT is raised by {}: members hold different data", .members.join(", "))]
    Corrupt {
        /// Who raised it.
        members: Vec<String>,
    },
    /// A node has no member.
    #[error("{node} has no member of etcd")]
    NoMember {
        /// The node.
        node: NodeName,
    },
    /// A member does not vote.
    #[error("the member on {node} is a learner: it cannot lead")]
    Learner {
        /// The node.
        node: NodeName,
    },
    /// A database is still too full for its alarm to be lifted.
    #[error(
        "after compaction and defragmentation the database on {node} still has {bytes} of the {quota} bytes of its quota"
    )]
    StillFull {
        /// The node.
        node: NodeName,
        /// Its size.
        bytes: u64,
        /// The most that it may have.
        quota: u64,
    },
    /// A member did not do what it was asked for.
    #[error("{what}: {source}")]
    Verb {
        /// What it was asked for.
        what: String,
        /// Its error.
        source: PortError,
    },
    /// What was asked for did not come about in time.
    #[error("{what} within {} s", SETTLES_WITHIN.as_secs())]
    Late {
        /// What did not.
        what: String,
    },
    /// An alarm was lifted, and is there again.
    #[error("an alarm was lifted, and is raised again")]
    RaisedAgain,
    /// The operator has interrupted it.
    #[error("interrupted")]
    Interrupted,
}

/// How the care ended: what was done, and why no more was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cared<T> {
    /// What was done.
    pub done: T,
    /// Why it ended early; none if all was done.
    pub failed: Option<CareError>,
}

/// A member whose database was defragmented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defragmented {
    /// Its node.
    pub node: NodeName,
    /// The size of its database before, in bytes.
    pub bytes_before: u64,
    /// The size after it.
    pub bytes_after: u64,
}

/// What was done about alarms.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Disarmed {
    /// The revision to which all databases were compacted.
    pub compacted: Option<u64>,
    /// The members that were defragmented.
    pub defragmented: Vec<Defragmented>,
    /// The nodes or names of the members whose alarm was lifted.
    pub disarmed: Vec<String>,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Led {
    /// The node whose member led before; none where nobody did, or on no known node.
    pub before: Option<NodeName>,
    /// The node whose member leads.
    pub now: NodeName,
}

/// The members on their nodes, all of them healthy.
struct Well {
    members: Vec<(NodeName, MemberSeen, MemberReport)>,
    alarms: BTreeMap<MemberId, Vec<Alarm>>,
}

impl Well {
    fn leader(&self) -> Option<&NodeName> {
        self.members.iter().find(|(_, member, _)| member.leads).map(|(node, _, _)| node)
    }

    fn of(&self, node: &NodeName) -> Option<&(NodeName, MemberSeen, MemberReport)> {
        self.members.iter().find(|(on, _, _)| on == node)
    }
}

/// All members, if each is healthy and reports now: an alarm but NOSPACE is an error.
async fn all_well_now<F: Fleet>(fleet: &F, nodes: &BTreeMap<NodeName, String>) -> Result<Well, CareError> {
    let via: Vec<NodeName> = nodes.keys().cloned().collect();
    let listed = match members(fleet, &via).await {
        Ok(EtcdSeen::Members(listed)) => listed,
        Ok(EtcdSeen::Silent) => return Err(CareError::NoMajority),
        Err(source) => {
            return Err(CareError::Verb { what: "the members could not be listed".to_owned(), source });
        }
    };
    let mut alarms: BTreeMap<MemberId, Vec<Alarm>> = BTreeMap::new();
    for member in listed.iter().filter(|member| !member.alarms.is_empty()) {
        alarms.insert(member.id, member.alarms.iter().copied().collect());
    }
    let corrupt: Vec<String> = listed
        .iter()
        .filter(|member| member.alarms.contains(&Alarm::Corrupt))
        .map(|member| member.name.clone())
        .collect();
    if !corrupt.is_empty() {
        return Err(CareError::Corrupt { members: corrupt });
    }
    let asked = listed.into_iter().map(|member| async move {
        let node = nodes.iter().find(|(_, url)| **url == member.peer_url).map(|(node, _)| node);
        let Some(node) = node else {
            return Err(format!("{} ({}) is on no node of cluster.yml", member.name, member.peer_url));
        };
        match member.health {
            Health::Healthy => {}
            Health::Starting => return Err(format!("{node} has just started")),
            Health::Unhealthy => return Err(format!("{node} is unhealthy or does not answer")),
            Health::Unknown(why) => return Err(format!("{node}: {why}")),
        }
        let report = fleet.member_report(node).await.map_err(|error| format!("{node}: {error}"))?;
        Ok((node.clone(), member, report))
    });
    let (well, what): (Vec<_>, Vec<_>) = join_all(asked).await.into_iter().partition(Result::is_ok);
    let what: Vec<String> = what.into_iter().filter_map(Result::err).collect();
    if !what.is_empty() {
        return Err(CareError::Unwell { what });
    }
    let mut members: Vec<_> = well.into_iter().filter_map(Result::ok).collect();
    members.sort_by(|(one, _, _), (other, _, _)| one.cmp(other));
    Ok(Well { members, alarms })
}

/// The same, before something begins.
async fn all_well<F: Fleet>(fleet: &F, nodes: &BTreeMap<NodeName, String>) -> Result<Well, CareError> {
    all_well_within(fleet, nodes, BEGINS_WITHIN).await
}

/// The same, after something was done to one of them.
async fn all_well_again<F: Fleet>(fleet: &F, nodes: &BTreeMap<NodeName, String>) -> Result<Well, CareError> {
    all_well_within(fleet, nodes, SETTLES_WITHIN).await
}

async fn all_well_within<F: Fleet>(
    fleet: &F,
    nodes: &BTreeMap<NodeName, String>,
    within: Duration,
) -> Result<Well, CareError> {
    let deadline = Instant::now() + within;
    loop {
        match all_well_now(fleet, nodes).await {
            Err(CareError::NoMajority | CareError::Unwell { .. } | CareError::Verb { .. })
                if Instant::now() + LOOK_AGAIN_AFTER < deadline =>
            {
                sleep(LOOK_AGAIN_AFTER).await;
            }
            well => return well,
        }
    }
}

/// Waits until a member leads, or does not lead any more.
async fn until_led<F: Fleet>(
    fleet: &F,
    nodes: &BTreeMap<NodeName, String>,
    is_so: impl Fn(Option<&NodeName>) -> bool,
) -> Result<bool, CareError> {
    let deadline = Instant::now() + SETTLES_WITHIN;
    loop {
        let well = all_well_again(fleet, nodes).await?;
        if well.leader().is_some() && is_so(well.leader()) {
            return Ok(true);
        }
        if Instant::now() + LOOK_AGAIN_AFTER >= deadline {
            return Ok(false);
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// How much room a defragmentation would give: for each node the size of its member's database, and how much of it
/// is free, in bytes.
///
/// # Errors
/// Not all members are healthy.
pub async fn room_to_give<F: Fleet>(
    fleet: &F,
    nodes: &BTreeMap<NodeName, String>,
) -> Result<Vec<(NodeName, u64, u64)>, CareError> {
    let well = all_well(fleet, nodes).await?;
    Ok(well
        .members
        .iter()
        .map(|(node, _, report)| (node.clone(), report.db_bytes, report.free_bytes()))
        .collect())
}

/// Defragments all members, one at a time, the leader last; `nodes` are those that may have one, with its peer
/// address. `tell` hears of each that is done.
pub async fn defragment<F: Fleet>(
    fleet: &F,
    nodes: &BTreeMap<NodeName, String>,
    interrupt: &Interrupt,
    mut tell: impl FnMut(&Defragmented),
) -> Cared<Vec<Defragmented>> {
    let mut done: Vec<Defragmented> = Vec::new();
    let mut next = all_well(fleet, nodes).await;
    let failed = loop {
        let well = match next {
            Ok(well) => well,
            Err(error) => break Some(error),
        };
        let is_left = |node: &NodeName| done.iter().all(|done| done.node != *node);
        let mut left: Vec<_> = well.members.iter().filter(|(node, _, _)| is_left(node)).collect();
        left.sort_by_key(|(_, member, _)| member.leads);
        let Some((node, member, report)) = left.first() else { break None };
        if interrupt.urgency() != Urgency::None {
            break Some(CareError::Interrupted);
        }
        match defragment_one(fleet, nodes, (node, member, report)).await {
            Ok(one) => {
                tell(&one);
                done.push(one);
            }
            Err(error) => break Some(error),
        }
        next = all_well_again(fleet, nodes).await;
    };
    Cared { done, failed }
}

async fn defragment_one<F: Fleet>(
    fleet: &F,
    nodes: &BTreeMap<NodeName, String>,
    (node, member, report): (&NodeName, &MemberSeen, &MemberReport),
) -> Result<Defragmented, CareError> {
    let via: Vec<NodeName> = nodes.keys().cloned().collect();
    let failed = |what: String| move |source| CareError::Verb { what, source };
    if member.leads {
        // It answers nobody while its database is rewritten: another one leads then, if there is one.
        let what = || format!("{node} could not hand over before it is defragmented");
        fleet.move_leader(&via, &member.peer_url).await.map_err(failed(what()))?;
        let voters = report.members.iter().filter(|listed| listed.vote == Vote::Voter).count();
        if voters > 1 && !until_led(fleet, nodes, |leader| leader != Some(node)).await? {
            return Err(CareError::Late { what: format!("{node} still leads, and hands over to nobody") });
        }
    }
    fleet.defragment(node).await.map_err(failed(format!("the member on {node} was not defragmented")))?;
    let well = all_well_again(fleet, nodes).await?;
    let after = well.of(node).map(|(_, _, report)| report.db_bytes).unwrap_or_default();
    Ok(Defragmented { node: node.clone(), bytes_before: report.db_bytes, bytes_after: after })
}

/// Makes the member on a node the leader.
///
/// # Errors
/// Not all members are healthy, the node has none or one that does not vote, or etcd refuses.
pub async fn make_leader<F: Fleet>(
    fleet: &F,
    nodes: &BTreeMap<NodeName, String>,
    target: &NodeName,
) -> Result<Led, CareError> {
    let well = all_well(fleet, nodes).await?;
    let before = well.leader().cloned();
    let Some((_, member, _)) = well.of(target) else {
        return Err(CareError::NoMember { node: target.clone() });
    };
    if member.vote == Vote::Learner {
        return Err(CareError::Learner { node: target.clone() });
    }
    if before.as_ref() != Some(target) {
        let via: Vec<NodeName> = nodes.keys().cloned().collect();
        let what = format!("leadership was not given to {target}");
        match fleet.give_leadership(&via, &member.peer_url).await {
            Ok(()) | Err(PortError::AlreadySo { .. }) => {}
            Err(source) => return Err(CareError::Verb { what, source }),
        }
        if !until_led(fleet, nodes, |leader| leader == Some(target)).await? {
            return Err(CareError::Late { what: format!("{target} did not become the leader") });
        }
    }
    Ok(Led { before, now: target.clone() })
}

/// Lifts NOSPACE alarms, after all databases were compacted and defragmented, if there is room then.
pub async fn disarm<F: Fleet>(
    fleet: &F,
    nodes: &BTreeMap<NodeName, String>,
    interrupt: &Interrupt,
    tell: impl FnMut(&Defragmented),
) -> Cared<Disarmed> {
    let mut done = Disarmed::default();
    let failed = disarm_all(fleet, nodes, interrupt, tell, &mut done).await.err();
    Cared { done, failed }
}

async fn disarm_all<F: Fleet>(
    fleet: &F,
    nodes: &BTreeMap<NodeName, String>,
    interrupt: &Interrupt,
    tell: impl FnMut(&Defragmented),
    done: &mut Disarmed,
) -> Result<(), CareError> {
    let via: Vec<NodeName> = nodes.keys().cloned().collect();
    if all_well(fleet, nodes).await?.alarms.is_empty() {
        return Ok(());
    }
    let what = || "the databases were not compacted".to_owned();
    let compacted = fleet.compact(&via).await.map_err(|source| CareError::Verb { what: what(), source })?;
    done.compacted = Some(compacted);
    let Cared { done: defragmented, failed } = defragment(fleet, nodes, interrupt, tell).await;
    done.defragmented = defragmented;
    if let Some(error) = failed {
        return Err(error);
    }
    let well = all_well_again(fleet, nodes).await?;
    for (node, _, report) in &well.members {
        if let Some(quota) = report.quota_bytes
            && report.db_bytes.saturating_mul(100) >= quota.saturating_mul(ENOUGH_ROOM)
        {
            return Err(CareError::StillFull { node: node.clone(), bytes: report.db_bytes, quota });
        }
    }
    for (node, member, _) in &well.members {
        for alarm in well.alarms.get(&member.id).into_iter().flatten() {
            let what = format!("the alarm {alarm} of {node} was not lifted");
            fleet.disarm(&via, member.id, *alarm).await.map_err(|source| CareError::Verb { what, source })?;
            done.disarmed.push(node.to_string());
        }
    }
    // A member reports an alarm until it has read in the log that it was lifted.
    if all_well_again(fleet, nodes).await?.alarms.is_empty() { Ok(()) } else { Err(CareError::RaisedAgain) }
}
