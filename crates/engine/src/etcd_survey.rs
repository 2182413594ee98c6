//! Looks at etcd alone: at the nodes that have or are to have a member, and at what each member reports.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use windlass_model::{
    Component, EtcdNodeSeen, EtcdSeen, EtcdSurvey, Ledger, NodeName, NodeSeen, Role, RollingSeen, StoredCert,
    Timestamp, rolling_moment,
};

use crate::observe::{enlist, look_at};
use crate::ports::{Assignment, Fleet, LookScope, PortError, PortResult, Traces};

/// The certificate of the member on a node.
const CERTIFICATE: &str = "kube-etcd";

/// Looks at etcd once, and changes nothing. The ledger must be the one that the fleet is entrusted with.
pub async fn survey_etcd<F: Fleet>(
    fleet: &F,
    assignment: &Assignment,
    ledger: Option<&Ledger>,
    now: Timestamp,
) -> EtcdSurvey {
    let is_desired =
        |name: &NodeName| assignment.nodes.get(name).is_some_and(|last| last.roles.contains(&Role::Etcd));
    let mut nodes = enlist(assignment, ledger);
    let was_one = |name: &NodeName| {
        ledger.and_then(|ledger| ledger.nodes.get(name)).is_some_and(|last| last.roles.contains(&Role::Etcd))
    };
    nodes.retain(|name, _| is_desired(name) || was_one(name));
    for (name, last) in &nodes {
        fleet.enrol(name, last);
    }
    let looks = nodes.iter().map(|(name, last)| async move {
        let last_etcd = ledger.and_then(|ledger| ledger.nodes.get(name)?.etcd.clone());
        let scope = LookScope { last_prefix: last.prefix.clone(), last_etcd, ..assignment.scope.clone() };
        let facts = match look_at(fleet, &scope, name, Traces::None).await {
            NodeSeen::InSight(mut facts) => {
                let has_timer = facts.containers.contains_key(&Component::EtcdRollingSnapshots.container());
                if has_timer && facts.rolling.is_none() {
                    facts.rolling = listed(fleet, name, &scope).await;
                }
                Ok(facts)
            }
            NodeSeen::OutOfSight(why) => Err(why),
        };
        let report = match &facts {
            Ok(_) => fleet.member_report(name).await.map(Box::new).map_err(|error| shown(&error)),
            Err(why) => Err(why.clone()),
        };
        let seen = EtcdNodeSeen {
            peer_url: last.target.peer_url(),
            desired: is_desired(name),
            facts,
            report,
            certificate_until: ledger.and_then(|ledger| certificate_of(ledger, name)),
        };
        (name.clone(), seen)
    });
    let nodes: BTreeMap<NodeName, EtcdNodeSeen> = join_all(looks).await.into_iter().collect();
    let answer = nodes.iter().filter(|(_, node)| node.report.is_ok());
    let via: Vec<NodeName> = answer.map(|(name, _)| name.clone()).collect();
    let seen = if via.is_empty() { Ok(EtcdSeen::Silent) } else { members(fleet, &via).await };
    EtcdSurvey { taken_at: now, seen: seen.unwrap_or_default(), nodes }
}

/// The periodic snapshots of a node whose directory for them a look does not read: one on a file system of the
/// network is asked for on purpose only.
async fn listed<F: Fleet>(fleet: &F, node: &NodeName, scope: &LookScope) -> Option<RollingSeen> {
    let snapshots = fleet.snapshots(node, scope.snapshots.as_ref()?).await.ok()?;
    let newest = snapshots
        .into_iter()
        .filter(|snapshot| rolling_moment(&snapshot.name).is_some())
        .max_by_key(|snapshot| rolling_moment(&snapshot.name));
    Some(RollingSeen { newest, journal: None })
}

/// The members; asked once more where the first answer may be due to a moment.
pub(crate) async fn members<F: Fleet>(fleet: &F, via: &[NodeName]) -> PortResult<EtcdSeen> {
    match fleet.members(via).await {
        Err(error) if error.is_passing() => fleet.members(via).await,
        members => members,
    }
}

fn shown(error: &PortError) -> String {
    error.to_string()
}

fn certificate_of(ledger: &Ledger, node: &NodeName) -> Option<Timestamp> {
    let StoredCert { not_after, .. } = ledger.certs.get(format!("{CERTIFICATE}@{node}").as_str())?;
    Some(*not_after)
}
