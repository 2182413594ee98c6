//! The end of a cluster: everything goes, all nodes at once, and the ledger last.

use std::collections::BTreeSet;

use windlass_model::{
    Action, Because, Component, ContainerName, EtcdWish, FilePath, FindingKind, Holds, Intent, LedgerChange,
    Maker, NodeFacts, NodeName, NodeSeen, Reason, Snapshots, StepId,
};

use crate::builder::StepHandle;
use crate::planner::Planner;

/// The steps that clear a node.
struct Cleared {
    all: Vec<StepHandle>,
    api_server: Option<StepHandle>,
    etcd: Option<StepHandle>,
}

impl<'a> Planner<'a> {
    /// Plans the removal of the whole cluster from every node in sight.
    pub(crate) fn dismantle(&mut self) {
        let kept: &[Holds] = match self.intent {
            Intent::Dismantle { snapshots: Snapshots::Delete } => &[],
            Intent::Dismantle { snapshots: Snapshots::Keep } | Intent::Converge { .. } => &[Holds::Snapshots],
        };
        let mut done = Vec::new();
        let mut cleaned: BTreeSet<NodeName> = BTreeSet::new();
        let mut away = Vec::new();
        let (mut api_servers, mut members) = (Vec::new(), Vec::new());
        let seen = self.seen;
        for (name, node) in &seen.nodes {
            match node {
                NodeSeen::InSight(facts) => {
                    if self.is_anothers(name) {
                        self.find(
                            FindingKind::Held,
                            name,
                            Some(name),
                            "belongs to another cluster",
                            "remove it with that cluster's own cluster.yml",
                            None,
                        );
                        continue;
                    }
                    let gone = self.clear_node(name, facts, kept);
                    done.extend(gone.all);
                    api_servers.extend(gone.api_server);
                    members.extend(gone.etcd);
                    cleaned.insert(name.clone());
                }
                NodeSeen::OutOfSight(cause) => away.push((name, cause)),
            }
        }
        for member in members {
            // An API server that is told to end waits for etcd, to say there that it is gone.
            self.builder.after_all(member, api_servers.iter().copied(), Because::RemoveLast);
        }
        for (name, cause) in &away {
            self.find(
                FindingKind::Held,
                *name,
                Some(name),
                format!("out of sight: {cause}"),
                "it is not cleaned; the ledger is kept, and the next `windlass remove` that sees it goes on",
                None,
            );
        }
        let holds_snapshots = |(path, holds): (&FilePath, &Holds)| {
            let is_there =
                |node: &NodeSeen| node.facts().is_some_and(|facts| facts.directories.contains(path));
            (*holds == Holds::Snapshots && kept.contains(holds) && seen.nodes.values().any(is_there))
                .then(|| path.clone())
        };
        if let Some(path) = self.wish.footprints.ordinary.directories.iter().find_map(holds_snapshots) {
            self.find(
                FindingKind::Notice,
                "cluster/snapshots",
                None,
                format!("the snapshots of etcd in {path} are kept"),
                "they are all that is left of the cluster's data; `--delete-snapshots` removes them too",
                None,
            );
        }
        if let EtcdWish::External { urls, prefix } = &self.wish.etcd {
            self.find(
                FindingKind::Notice,
                "cluster/etcd",
                None,
                format!("all that the cluster knew is kept in the external etcd, under {prefix}"),
                format!("`etcdctl --endpoints={} del --prefix {prefix}/` removes it too", urls.join(",")),
                Some("services.etcd.external_urls".into()),
            );
        }
        self.drop_ledger(&cleaned, away.is_empty(), &done);
    }

    fn is_anothers(&self, name: &NodeName) -> bool {
        self.seen.ledger.strangers.values().any(|nodes| nodes.contains(name))
    }

    /// Clears one node: containers, pods, then files and directories.
    fn clear_node(&mut self, name: &'a NodeName, facts: &'a NodeFacts, kept: &[Holds]) -> Cleared {
        let ours: Vec<&ContainerName> = facts
            .containers
            .iter()
            .filter(|(container, seen)| {
                seen.maker == Maker::Windlass || Component::of_container(container).is_some()
            })
            .map(|(container, _)| container)
            .collect();
        let mut removed = Vec::new();
        let (mut kubelet, mut proxy, mut api_server, mut etcd) = (None, None, None, None);
        for container in ours {
            let step = self.remove_container(name, container, vec![], Reason::Dismantled);
            match Component::of_container(container) {
                Some(Component::Kubelet) => kubelet = Some(step),
                Some(Component::KubeProxy) => proxy = Some(step),
                Some(Component::KubeApiserver) => api_server = Some(step),
                Some(Component::Etcd) => etcd = Some(step),
                _ => {}
            }
            removed.push(step);
        }
        if kubelet.is_some() || self.has_pod_state(facts) {
            let pods = self.builder.step(
                StepId::new(name, "pods", "remove"),
                Action::RemovePods { node: name.clone() },
                vec![Reason::Dismantled],
                vec![],
            );
            // kubelet would start them anew, and kube-proxy write its rules anew.
            self.builder.after_all(pods, kubelet.into_iter().chain(proxy), Because::Needs);
            removed.push(pods);
        }
        let paths: BTreeSet<FilePath> = self.traces(facts, kept);
        if !paths.is_empty() {
            let remove = self.builder.step(
                StepId::new(name, "files", "remove"),
                Action::RemovePaths { node: name.clone(), paths },
                vec![Reason::Dismantled],
                vec![],
            );
            self.builder.after_all(remove, removed.iter().copied(), Because::RemoveLast);
            removed.push(remove);
        }
        Cleared { all: removed, api_server, etcd }
    }

    /// The ledger goes when nothing is left that would need it.
    fn drop_ledger(&mut self, cleaned: &BTreeSet<NodeName>, all: bool, done: &[StepHandle]) {
        if self.seen.ledger.lineage.is_none() {
            return;
        }
        let step = if all {
            self.builder.step(
                StepId::new("cluster", "ledger", "forget"),
                Action::ForgetLedger,
                vec![Reason::Dismantled],
                vec![],
            )
        } else {
            let forget: BTreeSet<NodeName> =
                self.seen.ledger.nodes.keys().filter(|name| cleaned.contains(*name)).cloned().collect();
            if forget.is_empty() {
                return;
            }
            self.builder.step(
                StepId::new("cluster", "ledger", "conclude"),
                Action::CommitLedger { change: LedgerChange { forget, ..LedgerChange::default() } },
                vec![Reason::Dismantled],
                vec![],
            )
        };
        self.builder.after_all(step, done.iter().copied(), Because::RemoveLast);
    }
}
