//! An etcd that is not of the cluster's nodes: what is refused about it, and what is noted where nobody can ask it.

use std::collections::BTreeSet;

use windlass_model::{
    Birth, Component, EtcdWish, FindingKind, Maker, NodeFacts, NodeName, NodeSeen, Settings,
};

use crate::compare::Condition;
use crate::planner::Planner;

impl Planner<'_> {
    /// The cluster has begun to live in an etcd of somebody else's as soon as an API server works on it.
    pub(crate) fn note_birth_in_external_etcd(&mut self) {
        let EtcdWish::External { urls, .. } = &self.wish.etcd else { return };
        if self.seen.ledger.born == Birth::Expected && !self.is_seen_to_live() && !self.api_heals.is_empty() {
            let waits = self.api_heals.clone();
            self.commit_birth(waits, "the API servers work on the external etcd");
        }
        let runs = |name: &NodeName| {
            matches!(self.condition(name, Component::KubeApiserver), Some(Condition::Sick(_)))
        };
        if !self.kube_answers() && self.wish.nodes.keys().any(runs) {
            self.find(
                FindingKind::Notice,
                "cluster/etcd",
                None,
                "API servers run and none answers: it may be etcd that does not",
                format!(
                    "windlass does not ask an external etcd: see `etcdctl endpoint health` for {}",
                    urls.join(", ")
                ),
                Some("services.etcd.external_urls".into()),
            );
        }
    }

    /// Whose containers stand on nodes without any ledger: those of a cluster that lives elsewhere and has lost
    /// its keys.
    pub(crate) fn lives_in_external_etcd(&self) -> Vec<NodeName> {
        if !self.wish.etcd.is_external() {
            return Vec::new();
        }
        let holds = |node: &NodeSeen| {
            let of_ours = |facts: &NodeFacts| {
                facts
                    .containers
                    .get(Component::KubeApiserver.as_str())
                    .is_some_and(|container| container.maker == Maker::Windlass)
            };
            node.facts().is_some_and(of_ours)
        };
        self.seen.nodes.iter().filter(|(_, node)| holds(node)).map(|(name, _)| name.clone()).collect()
    }

    /// API servers on two sets of members that have none in common would be two clusters under one name.
    pub(crate) fn refuse_other_external_etcd(&mut self) {
        let EtcdWish::External { urls, .. } = &self.wish.etcd else { return };
        let stays = self
            .seen
            .ledger
            .foundation
            .as_ref()
            .is_some_and(|was| was.etcd_data == self.wish.foundation.etcd_data);
        if !stays {
            // That is refused by itself.
            return;
        }
        let wished: BTreeSet<&str> = urls.iter().map(String::as_str).collect();
        let api = Component::KubeApiserver;
        let asked: BTreeSet<String> = self
            .seen
            .nodes
            .values()
            .filter_map(NodeSeen::facts)
            .filter_map(|facts| facts.containers.get(api.as_str()))
            .filter(|container| container.maker == Maker::Windlass)
            .filter_map(|container| match Settings::of(api, &container.spec) {
                Settings::ApiServer { etcd_servers, .. } => Some(etcd_servers),
                _ => None,
            })
            .filter(|servers| !servers.is_empty() && servers.iter().all(|server| !wished.contains(&**server)))
            .map(|servers| servers.join(","))
            .collect();
        for servers in asked {
            self.find(
                FindingKind::Refused,
                "cluster/etcd",
                None,
                format!("API servers ask etcd at {servers}, and cluster.yml names none of these"),
                "if it is the same etcd at other addresses, name one of the old beside the new, run `windlass \
                 up`, and take the old out then; another etcd knows nothing of this cluster: build a second one \
                 on it"
                    .to_owned(),
                Some("services.etcd.external_urls".into()),
            );
        }
    }
}
