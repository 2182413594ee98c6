//! The care of etcd's members: what one reports about itself, compaction, defragmentation, alarms, leadership.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use windlass_engine::{EtcdCare, PortResult};
use windlass_model::{Alarm, ListedMember, MemberId, MemberReport, NodeName, Vote};

use crate::docker_error::{already, lasting, passing};
use crate::etcd::{CHANGE_WITHIN, Done, HEALTH_WITHIN, ListReply, Member, list};
use crate::fleet::RemoteFleet;
use crate::https::Call;
use crate::metrics::{self, Metrics};

/// How long a member may take to write its metrics.
const METRICS_WITHIN: Duration = Duration::from_secs(5);
/// How long a member may take to delete old revisions from its database.
const COMPACTS_WITHIN: Duration = Duration::from_secs(300);
/// How long a member may take to rewrite its database: 8 GB, the most that etcd's own documents advise, at 5 MB a
/// second.
const DEFRAGMENTS_WITHIN: Duration = Duration::from_secs(1_800);

/// `StatusResponse` of etcd's `rpc.proto`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    header: Header,
    version: String,
    leader: String,
    #[serde(rename = "raftTerm")]
    term: String,
    #[serde(rename = "raftIndex")]
    index: String,
    #[serde(rename = "raftAppliedIndex")]
    applied: String,
    #[serde(rename = "dbSize")]
    db_size: String,
    #[serde(rename = "dbSizeInUse")]
    db_size_in_use: String,
    /// From 3.6 on.
    #[serde(rename = "dbSizeQuota")]
    db_size_quota: String,
    #[serde(rename = "isLearner")]
    is_learner: bool,
    errors: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Header {
    cluster_id: String,
    member_id: String,
    revision: String,
}

#[derive(Deserialize)]
struct RangeReply {
    #[serde(default)]
    header: Header,
}

/// etcd leaves out what is zero.
fn number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

impl Status {
    fn report(self, listed: Vec<ListedMember>, metrics: Metrics) -> MemberReport {
        let Self {
            header,
            version,
            leader,
            term,
            index,
            applied,
            db_size,
            db_size_in_use,
            db_size_quota,
            is_learner,
            errors,
        } = self;
        let Metrics { fsync, commit, peers, quota_bytes } = metrics;
        let (alarms, errors) = alarms_of(errors);
        MemberReport {
            id: MemberId(number(&header.member_id)),
            cluster: number(&header.cluster_id),
            version,
            vote: if is_learner { Vote::Learner } else { Vote::Voter },
            leader: Some(number(&leader)).filter(|id| *id != 0).map(MemberId),
            term: number(&term),
            index: number(&index),
            applied: number(&applied),
            revision: number(&header.revision),
            db_bytes: number(&db_size),
            db_used_bytes: number(&db_size_in_use),
            quota_bytes: Some(number(&db_size_quota)).filter(|quota| *quota > 0).or(quota_bytes),
            alarms,
            errors,
            members: listed,
            fsync,
            commit,
            peers,
        }
    }
}

/// The alarms among the errors that a member reports, which it writes as `memberID:123 alarm:NOSPACE `, and the rest.
fn alarms_of(errors: Vec<String>) -> (BTreeMap<MemberId, BTreeSet<Alarm>>, Vec<String>) {
    let mut alarms: BTreeMap<MemberId, BTreeSet<Alarm>> = BTreeMap::new();
    let mut others = Vec::new();
    for error in errors {
        let word = |name: &str| error.split_whitespace().find_map(|word| word.strip_prefix(name));
        let alarm = match word("alarm:") {
            Some("NOSPACE") => Some(Alarm::NoSpace),
            Some("CORRUPT") => Some(Alarm::Corrupt),
            _ => None,
        };
        match (alarm, word("memberID:").and_then(|id| id.parse().ok())) {
            (Some(alarm), Some(id)) => drop(alarms.entry(MemberId(id)).or_default().insert(alarm)),
            _ => others.push(error),
        }
    }
    (alarms, others)
}

async fn metrics_of(member: &Member) -> Metrics {
    let call = Call::get("/metrics").accepting("text/plain");
    match member.ask(call, METRICS_WITHIN).await {
        Ok(reply) if reply.status == 200 => metrics::read(&String::from_utf8_lossy(&reply.body)),
        // They may be served at an address of their own, or not at all: what they say is unknown then.
        Ok(_) | Err(_) => Metrics::default(),
    }
}

async fn listed_by(member: &Member) -> PortResult<Vec<ListedMember>> {
    // Without a majority a member lists what it knows, if it is not asked to ask others first.
    let path = "/v3/cluster/member/list";
    let reply: ListReply = member.post(path, &json!({}), HEALTH_WITHIN).await?;
    let listed = reply.members.into_iter().map(|listed| {
        Ok(ListedMember {
            id: listed.id()?,
            vote: if listed.is_learner { Vote::Learner } else { Vote::Voter },
            peer_url: listed.peer_urls.first().cloned().unwrap_or_default(),
            name: listed.name,
        })
    });
    listed.collect()
}

impl EtcdCare for RemoteFleet {
    async fn member_report(&self, node: &NodeName) -> PortResult<MemberReport> {
        let keys = self.needed_keys()?;
        let member = self.member_on(node, &keys).await?;
        let nothing = json!({});
        let (status, listed, metrics) = tokio::join!(
            member.post::<Status>("/v3/maintenance/status", &nothing, HEALTH_WITHIN),
            listed_by(&member),
            metrics_of(&member)
        );
        Ok(status?.report(listed?, metrics))
    }

    async fn compact(&self, via: &[NodeName]) -> PortResult<u64> {
        let member = self.needed_member(via).await?;
        // Any key does: the header has the revision on which a majority agrees.
        let range: RangeReply =
            member.post("/v3/kv/range", &json!({ "key": "AA==", "keys_only": true }), HEALTH_WITHIN).await?;
        let revision = number(&range.header.revision);
        if revision == 0 {
            return Err(passing("etcd does not say its revision"));
        }
        let body = json!({ "revision": revision.to_string(), "physical": true });
        match member.post::<Done>("/v3/kv/compaction", &body, COMPACTS_WITHIN).await {
            Err(error) if error.to_string().contains("has been compacted") => Ok(revision),
            ended => ended.map(|_| revision),
        }
    }

    async fn defragment(&self, node: &NodeName) -> PortResult<()> {
        let keys = self.needed_keys()?;
        let member = self.member_on(node, &keys).await?;
        member.post::<Done>("/v3/maintenance/defragment", &json!({}), DEFRAGMENTS_WITHIN).await.map(|_| ())
    }

    async fn disarm(&self, via: &[NodeName], id: MemberId, alarm: Alarm) -> PortResult<()> {
        let member = self.needed_member(via).await?;
        let body =
            json!({ "action": "DEACTIVATE", "memberID": id.0.to_string(), "alarm": alarm.to_string() });
        member.post::<Done>("/v3/maintenance/alarm", &body, CHANGE_WITHIN).await.map(|_| ())
    }

    async fn give_leadership(&self, via: &[NodeName], peer_url: &str) -> PortResult<()> {
        let keys = self.needed_keys()?;
        let member = self.needed_member(via).await?;
        let listed = list(&member).await?;
        let Some(target) = listed.iter().find(|listed| listed.is(peer_url)) else {
            return Err(lasting(format!("etcd has no member {peer_url}")));
        };
        let status: Status = member.post("/v3/maintenance/status", &json!({}), HEALTH_WITHIN).await?;
        if status.leader == target.id {
            return already(format!("{peer_url} leads"));
        }
        let Some(leader) = listed.iter().find(|listed| listed.id == status.leader) else {
            return Err(passing("no member leads"));
        };
        let Some((leader, _)) = self.member_for(&member, leader, &keys).await else {
            return Err(passing("the leader cannot be asked"));
        };
        // Only the leader itself can transfer leadership.
        let body = json!({ "targetID": target.id });
        leader.post::<Done>("/v3/maintenance/transfer-leadership", &body, CHANGE_WITHIN).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_etcd_writes_it() {
        let text = r#"{"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"9","raft_term":"2"},
            "version":"3.5.21","dbSize":"2097152","leader":"10276657743932975437","raftIndex":"14","raftTerm":"2",
            "raftAppliedIndex":"13","errors":["memberID:10276657743932975437 alarm:NOSPACE ","etcdserver: no leader"],
            "dbSizeInUse":"1048576"}"#;
        let status: Status = serde_json::from_str(text).unwrap();
        let report =
            status.report(Vec::new(), Metrics { quota_bytes: Some(4_194_304), ..Metrics::default() });
        assert!(report.leads());
        assert_eq!((report.term, report.index, report.applied, report.revision), (2, 14, 13, 9));
        assert_eq!((report.free_bytes(), report.quota_percent()), (1_048_576, Some(50)));
        assert_eq!(report.alarms, [(report.id, [Alarm::NoSpace].into())].into());
        assert_eq!(report.errors, ["etcdserver: no leader"]);
        let alone = r#"{"header":{"cluster_id":"1","member_id":"2"},"dbSizeQuota":"100","isLearner":true}"#;
        let status: Status = serde_json::from_str(alone).unwrap();
        let report = status.report(Vec::new(), Metrics::default());
        assert_eq!((report.leader, report.quota_bytes, report.vote), (None, Some(100), Vote::Learner));
    }
}
