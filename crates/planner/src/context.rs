//! The read-only input of a plan: the desired state, what was seen, the intent, and what follows from these
//! alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_model::{
    AddonKind, Birth, Blueprint, Component, DesiredNode, EtcdSeen, Intent, Inventory, KubeSeen, LastNode,
    Lineage, NodeFacts, NodeName, NodeObject, NodeSeen, Note, ObjectsSeen, Readiness, Role, SpecPath,
    Subject,
};

use crate::builder::PlanBuilder;
use crate::rules::Rules;
use crate::sight::{Sight, Sighted};

/// The input of a plan. Nothing in it changes while the plan is made.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// Read in `holds.rs` alone: its questions are what the stages ask.
    pub(crate) rules: Rules,
    pub(crate) desired: &'a Blueprint,
    pub(crate) seen: &'a Inventory,
    pub(crate) intent: &'a Intent,
    /// Identifies what belongs to this cluster; none before its first `up`.
    pub(crate) lineage: Option<Lineage>,
    /// Nodes on which nothing may be planned: for the plan they are unreachable.
    unfit: &'a BTreeSet<NodeName>,
    /// The desired nodes that are reachable.
    pub(crate) sight: Sight<'a>,
    /// All desired workers: those that share the limit of unavailable nodes.
    pub(crate) workers: Arc<BTreeSet<NodeName>>,
    /// Those of them that have never worked, as far as can be known.
    pub(crate) new_workers: Arc<BTreeSet<NodeName>>,
}

impl<'a> Context<'a> {
    /// Joins the desired state with what was seen; the nodes in `unfit` count as unreachable.
    pub(crate) fn new(
        rules: Rules,
        desired: &'a Blueprint,
        seen: &'a Inventory,
        intent: &'a Intent,
        unfit: &'a BTreeSet<NodeName>,
    ) -> Self {
        let mut context = Self {
            rules,
            desired,
            seen,
            intent,
            lineage: lineage_of(seen, intent),
            unfit,
            sight: Sight::new(desired, seen, unfit),
            workers: Arc::new(desired.with_role(Role::Worker).map(|(name, _)| name.clone()).collect()),
            new_workers: Arc::default(),
        };
        context.new_workers = Arc::new(context.workers_never_seen());
        context
    }

    /// The workers that Kubernetes does not know and has never known, as far as can be known.
    fn workers_never_seen(&self) -> BTreeSet<NodeName> {
        let is_new = |name: &NodeName| match &self.seen.kube {
            KubeSeen::Nodes(objects) if objects.contains_key(name) => false,
            kube => match self.facts(name) {
                Some(facts) => !facts.containers.contains_key(Component::Kubelet.as_str()),
                None => *kube != KubeSeen::Silent || !self.seen.ledger.nodes.contains_key(name),
            },
        };
        self.workers.iter().filter(|name| is_new(name)).cloned().collect()
    }

    // Nodes.

    /// What is known of a node, desired or not, if it is reachable and fit.
    pub(crate) fn facts(&self, node: &NodeName) -> Option<&'a NodeFacts> {
        match self.sight.of(node) {
            Some(node) => Some(node.facts),
            // It may no longer be desired.
            None if self.unfit.contains(node) => None,
            None => self.seen.nodes.get(node)?.facts(),
        }
    }

    pub(crate) fn is_reachable(&self, node: &NodeName) -> bool {
        self.facts(node).is_some()
    }

    /// The desired nodes that are reachable.
    pub(crate) fn reachable(&self) -> impl Iterator<Item = &Sighted<'a>> {
        self.sight.iter()
    }

    /// Every reachable node, desired or not, with what is known of it.
    pub(crate) fn all_facts(&self) -> impl Iterator<Item = (&'a NodeName, &'a NodeFacts)> {
        let fit = self.seen.nodes.iter().filter(|(name, _)| !self.unfit.contains(*name));
        fit.filter_map(|(name, node)| Some((name, node.facts()?)))
    }

    /// The desired nodes with this role, by name.
    pub(crate) fn with_role(&self, role: Role) -> impl Iterator<Item = (&'a NodeName, &'a DesiredNode)> {
        self.desired.with_role(role)
    }

    /// Whether a node should have this role.
    pub(crate) fn should_have(&self, node: &NodeName, role: Role) -> bool {
        self.desired.nodes.get(node).is_some_and(|node| node.has(role))
    }

    /// The node as the last `up` left it.
    pub(crate) fn last(&self, node: &NodeName) -> Option<&'a LastNode> {
        self.seen.ledger.nodes.get(node)
    }

    /// Whether a node had this role when the ledger was last written.
    pub(crate) fn had(&self, node: &NodeName, role: Role) -> bool {
        self.last(node).is_some_and(|last| last.roles.contains(&role))
    }

    /// The object of a node in Kubernetes.
    pub(crate) fn object(&self, node: &NodeName) -> Option<&'a NodeObject> {
        match self.sight.of(node) {
            Some(node) => node.object,
            None => self.seen.kube.node(node),
        }
    }

    /// The place of a desired node in cluster.yml.
    pub(crate) fn origin(&self, node: &NodeName) -> Option<SpecPath> {
        self.desired.nodes.get(node).map(|node| node.origin.clone())
    }

    // The cluster.

    /// Whether etcd has no majority. An external etcd is never asked, so it never counts as silent.
    pub(crate) fn etcd_is_silent(&self) -> bool {
        self.seen.etcd == EtcdSeen::Silent && !self.desired.etcd.is_external()
    }

    /// Whether an API server answers.
    pub(crate) fn kube_answers(&self) -> bool {
        matches!(self.seen.kube, KubeSeen::Nodes(_))
    }

    /// Whether it is known which objects of add-ons exist.
    pub(crate) fn knows_objects(&self) -> bool {
        self.seen.objects != ObjectsSeen::Unknown
    }

    /// Whether windlass deploys a pod network.
    pub(crate) fn brings_network(&self) -> bool {
        self.desired.addons.contains_key(&AddonKind::Network)
    }

    /// Whether some node has a pod network, or may have one: a ready node shows it, and a live cluster that
    /// does not answer may have had one.
    pub(crate) fn has_pod_network(&self) -> bool {
        match &self.seen.kube {
            KubeSeen::Nodes(objects) => objects.values().any(|object| object.ready == Readiness::Ready),
            KubeSeen::Silent => self.seen.ledger.born == Birth::Born,
        }
    }

    /// Reports which nodes lack only a pod network.
    pub(crate) fn note_missing_network(&self, build: &mut PlanBuilder<'_>) {
        if self.brings_network() {
            return;
        }
        let lacks =
            |node: &&Sighted<'_>| node.object.is_some_and(|object| object.ready == Readiness::LacksNetwork);
        let nodes: Vec<NodeName> = self.reachable().filter(lacks).map(|node| node.name.clone()).collect();
        if !nodes.is_empty() {
            build.note(Subject::Cluster, Note::NetworkMissing { nodes }, Some("network.plugin".into()));
        }
    }

    /// Whether the cluster is seen to be live: etcd or an API server answers.
    pub(crate) fn is_seen_to_live(&self) -> bool {
        self.seen.etcd != EtcdSeen::Silent || (self.desired.etcd.is_external() && self.kube_answers())
    }

    // Addresses of etcd's members.

    /// The peer address of a node of cluster.yml or of the ledger.
    pub(crate) fn peer_url(&self, node: &NodeName) -> Option<String> {
        let target = match self.desired.nodes.get(node) {
            Some(node) => &node.target,
            None => &self.last(node)?.target,
        };
        Some(target.peer_url())
    }

    /// The node whose member of etcd has this address.
    pub(crate) fn node_of_peer(&self, peer_url: &str) -> Option<&'a NodeName> {
        self.seen.nodes.keys().find(|name| self.peer_url(name).as_deref() == Some(peer_url))
    }
}

/// Why a node that was contacted is unreachable; none if it answers.
pub(crate) fn why_unreachable(seen: Option<&NodeSeen>) -> Option<String> {
    match seen {
        Some(NodeSeen::InSight(_)) => None,
        Some(NodeSeen::OutOfSight(error)) => Some(error.clone()),
        None => Some("nobody looked".to_owned()),
    }
}

/// The lineage of this cluster: that of its ledger. Where a cluster without ledger is to be removed, it is
/// the one on all its containers.
fn lineage_of(seen: &Inventory, intent: &Intent) -> Option<Lineage> {
    let ledger = &seen.ledger;
    match intent {
        Intent::Dismantle { .. } if ledger.lineage.is_none() => {}
        Intent::Converge { .. }
        | Intent::Reissue { .. }
        | Intent::Restore { .. }
        | Intent::Dismantle { .. } => {
            return ledger.lineage.clone();
        }
    }
    let containers =
        seen.nodes.values().filter_map(|node| node.facts()).flat_map(|facts| facts.containers.values());
    let mut lineages: BTreeSet<&Lineage> = containers.filter_map(|seen| seen.lineage.as_ref()).collect();
    lineages.extend(ledger.strangers.keys());
    match lineages.len() {
        1 => lineages.pop_first().cloned(),
        _ => None,
    }
}
