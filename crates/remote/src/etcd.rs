//! etcd through its JSON gateway on the client port of a member, over the connection to that member's node.
//!
//! The gateway is part of etcd and on by default (<https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/>).
//! It writes 64-bit numbers as strings.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use windlass_engine::{Etcd, PortError, PortResult};
use windlass_model::{Alarm, EtcdSeen, Health, MemberId, MemberSeen, NodeName, Unasked, Vote};

use crate::docker_error::{already, lasting, passing};
use crate::fleet::RemoteFleet;
use crate::health::server_name;
use crate::https::{self, Call, Reply, Silence, Speech};
use crate::keys::Keys;
use crate::link::{Counts, Far, Link};

/// The port at which members serve clients.
const CLIENTS: u16 = 2379;
/// How long a member may take to report its health: with a majority behind it, it answers at once.
pub(crate) const HEALTH_WITHIN: Duration = Duration::from_secs(3);
/// How long a change of the membership may take.
pub(crate) const CHANGE_WITHIN: Duration = Duration::from_secs(15);

/// A member that can be asked.
pub(crate) struct Member {
    pub(crate) link: Arc<Link>,
    near: PathBuf,
    speech: Speech,
}

impl Member {
    pub(crate) async fn ask(&self, call: Call<'_>, within: Duration) -> Result<Reply, Silence> {
        Counts::count(&self.link.counts.probes);
        https::ask(&self.near, &self.speech, call, within).await
    }

    /// Whether it is healthy: the answer comes after a read that a majority has confirmed.
    async fn health(&self) -> Health {
        match self.plain_health().await {
            // With an alarm every member reports unhealthy, although it has a majority: the list of alarms
            // goes through the log, which a majority writes. One that is not on the list was perhaps lifted between
            // the two questions.
            Health::Unhealthy => match self.alarms().await {
                Ok(alarms) if !alarms.is_empty() => Health::Healthy,
                Ok(_) => self.plain_health().await,
                Err(_) => Health::Unhealthy,
            },
            health => health,
        }
    }

    /// The alarms that are not disarmed.
    async fn alarms(&self) -> PortResult<Vec<ListedAlarm>> {
        let reply: AlarmReply = self.post("/v3/maintenance/alarm", &json!({}), HEALTH_WITHIN).await?;
        Ok(reply.alarms)
    }

    async fn plain_health(&self) -> Health {
        match self.ask(Call::get("/health"), HEALTH_WITHIN).await {
            Ok(Reply { status: 200, body, .. }) => {
                let is_well =
                    serde_json::from_slice::<HealthReply>(&body).is_ok_and(|reply| reply.health == "true");
                if is_well { Health::Healthy } else { Health::Unhealthy }
            }
            Ok(_) | Err(Silence::Nobody(_)) => Health::Unhealthy,
            Err(Silence::Refused(_)) => Health::Unknown(Unasked::Certificates),
            Err(Silence::Late(_)) => Health::Unknown(Unasked::NoAnswer),
        }
    }

    async fn is_well(&self) -> bool {
        self.health().await == Health::Healthy
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        within: Duration,
    ) -> PortResult<T> {
        let node = &self.link.node;
        let reply = self.ask(Call::post(path, body), within).await;
        let Reply { status, body, .. } =
            reply.map_err(|silence| passing(format!("etcd on {node} does not answer: {silence}")))?;
        if status == 200 {
            let column = |error: serde_json::Error| {
                passing(format!("etcd on {node} answers `{path}` strangely, from column {}", error.column()))
            };
            return serde_json::from_slice(&body).map_err(column);
        }
        if status == 404 {
            return Err(lasting(format!(
                "etcd on {node} has its HTTP gateway switched off (`enable-grpc-gateway`)"
            )));
        }
        let reported = serde_json::from_slice::<ErrorReply>(&body).map(|reply| reply.message).ok();
        let message = reported.flatten().unwrap_or_else(|| format!("HTTP status {status}"));
        Err(meaning(&message))
    }
}

#[derive(Deserialize)]
struct HealthReply {
    health: String,
}

#[derive(Deserialize)]
struct ErrorReply {
    #[serde(alias = "error")]
    message: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct ListReply {
    #[serde(default)]
    pub(crate) members: Vec<ListedMember>,
}

/// A member as the list describes it; the JSON leaves out empty fields.
#[derive(Deserialize)]
pub(crate) struct ListedMember {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(rename = "peerURLs", default)]
    pub(crate) peer_urls: Vec<String>,
    #[serde(rename = "clientURLs", default)]
    pub(crate) client_urls: Vec<String>,
    #[serde(rename = "isLearner", default)]
    pub(crate) is_learner: bool,
}

impl ListedMember {
    pub(crate) fn id(&self) -> PortResult<MemberId> {
        self.id.parse().map(MemberId).map_err(|_| passing(format!("`{}` is no id of a member", self.id)))
    }

    pub(crate) fn is(&self, peer_url: &str) -> bool {
        self.peer_urls.iter().any(|url| url == peer_url)
    }
}

#[derive(Deserialize, Default)]
struct StatusReply {
    #[serde(default)]
    header: Header,
    #[serde(default)]
    leader: String,
    #[serde(rename = "dbSize", default)]
    db_size: String,
}

#[derive(Deserialize)]
struct AlarmReply {
    #[serde(default)]
    alarms: Vec<ListedAlarm>,
}

#[derive(Deserialize)]
struct ListedAlarm {
    #[serde(rename = "memberID", default)]
    member_id: String,
    #[serde(default)]
    alarm: String,
}

impl ListedAlarm {
    fn kind(&self) -> Option<Alarm> {
        match self.alarm.as_str() {
            "NOSPACE" => Some(Alarm::NoSpace),
            "CORRUPT" => Some(Alarm::Corrupt),
            _ => None,
        }
    }
}

#[derive(Deserialize, Default)]
struct Header {
    #[serde(default)]
    member_id: String,
}

#[derive(Deserialize)]
pub(crate) struct Done {}

/// The meaning of etcd's error messages (`api/v3rpc/rpctypes/error.go`).
fn meaning(message: &str) -> PortError {
    let what = format!("etcd: {}", message.trim_start_matches("etcdserver: "));
    let says = |words: &str| message.contains(words);
    if says("Peer URLs already exists") || says("member ID already exist") {
        return PortError::AlreadySo { what };
    }
    if says("can only promote a learner member which is in sync") || says("unhealthy cluster") {
        return PortError::Passing { what };
    }
    if says("can only promote a learner member") {
        return PortError::AlreadySo { what };
    }
    let lasts =
        ["too many learner", "not enough started", "member not found", "permission denied", "bad leader"];
    if lasts.iter().any(|words| says(words)) {
        return PortError::Lasting { what };
    }
    // A lost leader, a request that timed out, a server that stops: all of it passes.
    PortError::Passing { what }
}

impl Etcd for RemoteFleet {
    async fn members(&self, via: &[NodeName]) -> PortResult<EtcdSeen> {
        let keys = self.needed_keys()?;
        let Some(member) = self.answering(via, &keys).await else { return Ok(EtcdSeen::Silent) };
        let listed = list(&member).await?;
        let seen = join_all(listed.iter().map(|listed| self.member_seen(&member, listed, &keys))).await;
        let mut seen: Vec<MemberSeen> = seen.into_iter().collect::<PortResult<_>>()?;
        if member.plain_health().await == Health::Unhealthy {
            for raised in member.alarms().await.unwrap_or_default() {
                let id = raised.member_id.parse().map(MemberId);
                let by = seen.iter_mut().find(|member| Ok(member.id) == id);
                if let (Some(by), Some(alarm)) = (by, raised.kind()) {
                    by.alarms.insert(alarm);
                }
            }
        }
        Ok(EtcdSeen::Members(seen))
    }

    async fn add_learner(&self, via: &[NodeName], peer_url: &str) -> PortResult<()> {
        let member = self.needed_member(via).await?;
        let body = json!({ "peerURLs": [peer_url], "isLearner": true });
        member.post::<Done>("/v3/cluster/member/add", &body, CHANGE_WITHIN).await.map(|_| ())
    }

    async fn promote(&self, via: &[NodeName], peer_url: &str) -> PortResult<()> {
        let member = self.needed_member(via).await?;
        let listed = list(&member).await?;
        let Some(learner) = listed.iter().find(|listed| listed.is(peer_url)) else {
            return Err(lasting(format!("etcd has no member {peer_url}")));
        };
        if !learner.is_learner {
            return already(format!("{peer_url} votes"));
        }
        let body = json!({ "ID": learner.id });
        member.post::<Done>("/v3/cluster/member/promote", &body, CHANGE_WITHIN).await.map(|_| ())
    }

    async fn remove_member(&self, via: &[NodeName], id: MemberId) -> PortResult<()> {
        let member = self.needed_member(via).await?;
        let body = json!({ "ID": id.0.to_string() });
        match member.post::<Done>("/v3/cluster/member/remove", &body, CHANGE_WITHIN).await {
            Err(PortError::Lasting { what }) if what.contains("member not found") => already(what),
            ended => ended.map(|_| ()),
        }
    }

    async fn move_leader(&self, via: &[NodeName], away_from: &str) -> PortResult<()> {
        let keys = self.needed_keys()?;
        let member = self.needed_member(via).await?;
        let listed = list(&member).await?;
        let Some(own) = listed.iter().find(|listed| listed.is(away_from)) else { return Ok(()) };
        let status: StatusReply = member.post("/v3/maintenance/status", &json!({}), HEALTH_WITHIN).await?;
        if status.leader != own.id {
            return Ok(());
        }
        let others: Vec<&ListedMember> =
            listed.iter().filter(|other| other.id != own.id && !other.is_learner).collect();
        let seen = join_all(others.iter().map(|other| self.member_seen(&member, other, &keys))).await;
        let healthy = seen.into_iter().flatten().find(|seen| seen.health == Health::Healthy);
        let (Some(next), Some((leader, _))) = (healthy, self.member_for(&member, own, &keys).await) else {
            return Ok(());
        };
        // Only the leader itself can transfer leadership.
        let body = json!({ "targetID": next.id.0.to_string() });
        leader.post::<Done>("/v3/maintenance/transfer-leadership", &body, CHANGE_WITHIN).await.map(|_| ())
    }
}

pub(crate) async fn list(member: &Member) -> PortResult<Vec<ListedMember>> {
    // A member that has fallen behind answers from its own state, unless it has to ask its leader first.
    let path = "/v3/cluster/member/list";
    let reply: PortResult<ListReply> =
        member.post(path, &json!({ "linearizable": true }), HEALTH_WITHIN).await;
    match reply {
        // etcd 3.4 does not know the field.
        Err(error) if error.to_string().contains("unknown field") => {
            Ok(member.post::<ListReply>(path, &json!({}), HEALTH_WITHIN).await?.members)
        }
        reply => Ok(reply?.members),
    }
}

impl RemoteFleet {
    /// The first member that answers with a majority behind it; all are asked at once, since some may take
    /// long to fail.
    async fn answering(&self, via: &[NodeName], keys: &Keys) -> Option<Member> {
        let mut asked: FuturesUnordered<_> = via
            .iter()
            .map(|node| async move {
                let member = self.member_on(node, keys).await.ok()?;
                member.is_well().await.then_some(member)
            })
            .collect();
        while let Some(answer) = asked.next().await {
            if answer.is_some() {
                return answer;
            }
        }
        None
    }

    pub(crate) async fn needed_member(&self, via: &[NodeName]) -> PortResult<Member> {
        let keys = self.needed_keys()?;
        let answering = self.answering(via, &keys).await;
        answering.ok_or_else(|| passing("no member of etcd answers with a majority behind it"))
    }

    pub(crate) async fn member_on(&self, node: &NodeName, keys: &Keys) -> PortResult<Member> {
        let machine = self.machine(node)?;
        let link = self.link_of(&machine).await?;
        let host = machine.last.target.internal_address.trim_matches(['[', ']']).to_owned();
        member_through(link, &host, CLIENTS, keys).await
    }

    /// A connection to a listed member: over its own node where that is connected, otherwise through the one
    /// that answers.
    pub(crate) async fn member_for(
        &self,
        answering: &Member,
        listed: &ListedMember,
        keys: &Keys,
    ) -> Option<(Member, Asked)> {
        let url = listed.peer_urls.first()?;
        let (host, _) = host_and_port(url)?;
        let port =
            listed.client_urls.first().and_then(|url| host_and_port(url)).map_or(CLIENTS, |(_, port)| port);
        let own = match self.machine_at(&host) {
            Some(machine) => machine.connected(),
            None => None,
        };
        let from = if own.is_some() { Asked::OnItsNode } else { Asked::ByAPeer };
        let link = own.unwrap_or_else(|| answering.link.clone());
        Some((member_through(link, &host, port, keys).await.ok()?, from))
    }

    async fn member_seen(
        &self,
        answering: &Member,
        listed: &ListedMember,
        keys: &Keys,
    ) -> PortResult<MemberSeen> {
        let (health, status) = match self.member_for(answering, listed, keys).await {
            None => (Health::Unknown(Unasked::NoWay), None),
            Some((member, from)) => {
                let status = async {
                    member.post::<StatusReply>("/v3/maintenance/status", &json!({}), HEALTH_WITHIN).await.ok()
                };
                let (health, status) = tokio::join!(member.health(), status);
                (as_seen(from, health), status)
            }
        };
        let led = |status: &StatusReply| !status.leader.is_empty() && status.leader != "0";
        // A learner serves no reads: it counts as healthy if it follows a leader.
        let follows = listed.is_learner && status.as_ref().is_some_and(led);
        let health = if follows { Health::Healthy } else { health };
        Ok(MemberSeen {
            id: listed.id()?,
            name: listed.name.clone(),
            peer_url: listed.peer_urls.first().cloned().unwrap_or_default(),
            vote: if listed.is_learner { Vote::Learner } else { Vote::Voter },
            health,
            alarms: BTreeSet::new(),
            db_bytes: status.as_ref().and_then(|status| status.db_size.parse().ok()),
            leads: status.is_some_and(|status| led(&status) && status.leader == status.header.member_id),
        })
    }
}

/// The node from which a member is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Through the connection to its own node.
    OnItsNode,
    /// From the node of another member: its own is not connected.
    ByAPeer,
}

/// A member that does not answer on its own node may be busy. One that a peer cannot reach is useless to its
/// peers.
fn as_seen(from: Asked, health: Health) -> Health {
    match (from, health) {
        (Asked::ByAPeer, Health::Unknown(Unasked::NoAnswer | Unasked::NoWay)) => Health::Unhealthy,
        (_, health) => health,
    }
}

async fn member_through(link: Arc<Link>, host: &str, port: u16, keys: &Keys) -> PortResult<Member> {
    let Some(config) = keys.etcd.clone() else {
        return Err(lasting("the ledger holds no certificate that etcd would take"));
    };
    let near = link.forward(&Far::Port(host.to_owned(), port)).await?;
    Ok(Member { link, near, speech: Speech::Tls(config, server_name(host)) })
}

/// Host and port of a URL.
fn host_and_port(url: &str) -> Option<(String, u16)> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let (host, port) = authority.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_etcd_says_is_distinguished() {
        let kind = |message: &str| match meaning(message) {
            PortError::AlreadySo { .. } => "already",
            PortError::Passing { .. } => "passing",
            PortError::Lasting { .. } => "lasting",
            PortError::OutOfSight { .. } => "out of sight",
        };
        for (message, wanted) in [
            ("etcdserver: Peer URLs already exists", "already"),
            ("etcdserver: can only promote a learner member", "already"),
            ("etcdserver: can only promote a learner member which is in sync with leader", "passing"),
            ("etcdserver: unhealthy cluster", "passing"),
            ("etcdserver: request timed out", "passing"),
            ("etcdserver: leader changed", "passing"),
            ("etcdserver: too many learner members in cluster", "lasting"),
            ("etcdserver: re-configuration failed due to not enough started members", "lasting"),
            ("etcdserver: member not found", "lasting"),
        ] {
            assert_eq!(kind(message), wanted, "{message}");
        }
    }

    #[test]
    fn a_member_is_unknown_only_where_its_own_node_was_asked() {
        let late = Health::Unknown(Unasked::NoAnswer);
        assert_eq!(as_seen(Asked::OnItsNode, late), late);
        assert_eq!(as_seen(Asked::ByAPeer, late), Health::Unhealthy);
        let refused = Health::Unknown(Unasked::Certificates);
        assert_eq!(as_seen(Asked::ByAPeer, refused), refused);
        assert_eq!(as_seen(Asked::ByAPeer, Health::Healthy), Health::Healthy);
    }

    #[test]
    fn alarms_are_read_as_etcd_writes_them() {
        let text = r#"{"header":{"raft_term":"2"},"alarms":[{"memberID":"10276657743932975437","alarm":"NOSPACE"},
            {"memberID":"1","alarm":"CORRUPT"},{"memberID":"2"}]}"#;
        let reply: AlarmReply = serde_json::from_str(text).unwrap();
        let kinds: Vec<_> = reply.alarms.iter().map(ListedAlarm::kind).collect();
        assert_eq!(kinds, [Some(Alarm::NoSpace), Some(Alarm::Corrupt), None]);
    }

    #[test]
    fn a_list_of_members_is_read_as_etcd_writes_it() {
        let text = r#"{"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437"},"members":[
            {"ID":"10276657743932975437","name":"etcd-n1","peerURLs":["https://10.0.0.1:2380"],
             "clientURLs":["https://10.0.0.1:2379"]},
            {"ID":"1","peerURLs":["https://[fd00::2]:2380"],"isLearner":true}]}"#;
        let reply: ListReply = serde_json::from_str(text).unwrap();
        assert_eq!(reply.members[0].id().unwrap().to_string(), "8e9e05c52164694d");
        assert!(reply.members[1].is_learner && reply.members[1].name.is_empty());
        assert_eq!(host_and_port(&reply.members[1].peer_urls[0]), Some(("fd00::2".to_owned(), 2380)));
    }
}
