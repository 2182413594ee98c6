//! What no plan may do: when one of these holds, nothing is planned at all, and the finding says what to do.

use std::collections::BTreeSet;

use windlass_model::{
    Birth, CertKind, CertName, Component, EtcdData, Fact, Finding, FindingKind, Foundation, Intent,
    KubernetesVersion, Maker, NodeFacts, NodeName, NodeSeen, NodeTarget, Role, Settings, row_of,
};

use crate::planner::Planner;

impl Planner<'_> {
    /// Whether the world and the wish allow no plan; each reason becomes a finding.
    pub(crate) fn refuses(&mut self) -> bool {
        if !self.rules.refuse {
            return false;
        }
        let refused =
            |findings: &[Finding]| findings.iter().any(|finding| finding.kind == FindingKind::Refused);
        self.refuse_unreadable_containers();
        self.refuse_two_lineages();
        self.refuse_lost_keys();
        self.refuse_unreadable_secrets();
        self.refuse_new_foundation();
        self.refuse_other_external_etcd();
        self.refuse_moved_machines();
        self.refuse_version_jumps();
        self.refuse_lost_majority();
        refused(&self.findings)
    }

    fn refuse(
        &mut self,
        subject: &str,
        what: String,
        help: String,
        origin: Option<windlass_model::SpecPath>,
    ) {
        self.find(FindingKind::Refused, subject, None, what, help, origin);
    }

    /// A container whose label a newer windlass wrote is neither replaced nor removed by this one: it does not know
    /// what the container is, nor what else there may be on the nodes.
    pub(crate) fn refuse_unreadable_containers(&mut self) {
        let unreadable: Vec<String> = self
            .seen
            .nodes
            .iter()
            .filter_map(|(name, node)| Some((name, node.facts()?)))
            .flat_map(|(name, facts)| facts.containers.iter().map(move |container| (name, container)))
            .filter(|(_, (_, seen))| seen.maker == Maker::Unreadable)
            .map(|(name, (container, _))| format!("{container} on {name}"))
            .collect();
        if !unreadable.is_empty() {
            self.refuse(
                "cluster",
                format!("this version of windlass cannot read the labels of {}", row_of(&unreadable, 4)),
                "a newer windlass made these containers: use that version or a later one".to_owned(),
                None,
            );
        }
    }

    /// Two clusters' keys are never mixed.
    fn refuse_two_lineages(&mut self) {
        for (lineage, nodes) in &self.seen.ledger.strangers {
            let own = self.seen.ledger.lineage.as_ref().map_or("none", |own| own.as_str());
            self.refuse(
                "cluster/ledger",
                format!(
                    "{} belong to another cluster: their ledger is of lineage {lineage}, this one's of {own}",
                    list(nodes)
                ),
                "take these nodes out of cluster.yml, or run `windlass remove` on them with their own \
                 cluster.yml first"
                    .to_owned(),
                None,
            );
        }
    }

    /// Secrets that are encrypted by a key of the ledger are lost with it: the wish never lets go of it.
    fn refuse_unreadable_secrets(&mut self) {
        if !matches!(self.intent, Intent::Converge { .. }) || self.seen.ledger.born == Birth::Expected {
            return;
        }
        let unwished: Vec<String> = self
            .seen
            .ledger
            .certs
            .iter()
            .filter(|(name, face)| {
                face.wish.kind == CertKind::KeyPair && !self.wish.certs.contains_key(*name)
            })
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        if !unwished.is_empty() {
            self.refuse(
                "cluster/secrets",
                format!(
                    "Secrets in etcd are encrypted by {}, and cluster.yml no longer asks for it",
                    unwished.join(", ")
                ),
                "they could never be read again: write `secrets_encryption_config: {enabled: true}` without \
                 `custom_config`; to take encryption back is not done yet"
                    .to_owned(),
                None,
            );
            return;
        }
        self.refuse_to_forget_users_encryption();
    }

    /// The same for keys that cluster.yml carries: who encrypts shows in the API servers that run.
    fn refuse_to_forget_users_encryption(&mut self) {
        const KEYS: &str = "services.kube-api.secrets_encryption_config";
        let api = Component::KubeApiserver;
        let is_own =
            |name: &CertName| self.wish.certs.get(name).is_some_and(|wish| wish.kind == CertKind::KeyPair);
        let encrypts = self
            .nodes_in_sight()
            .filter_map(|(_, _, facts)| facts.containers.get(api.as_str()))
            .any(|seen| seen.maker == Maker::Windlass && Settings::of(api, &seen.spec).encrypts_secrets());
        let goes_on = self
            .with_role(Role::ControlPlane)
            .filter_map(|(_, node)| node.containers.get(&api))
            .all(|wish| wish.conduct.settings.encrypts_secrets());
        // One of windlass' own that was not there would not decrypt what another has encrypted.
        let begins_anew =
            self.wish.certs.keys().any(|name| is_own(name) && !self.seen.ledger.certs.contains_key(name));
        if encrypts && (!goes_on || begins_anew) {
            self.refuse(
                "cluster/secrets",
                "Secrets in etcd are encrypted by the keys of `custom_config`, and cluster.yml no longer has them"
                    .to_owned(),
                "they could never be read again: leave `custom_config`, put `identity: {}` first in its providers \
                 and write all Secrets anew (`kubectl get secrets -A -o json | kubectl replace -f -`) to have them \
                 in plain text; keys are changed the same way, the new one first and the old one behind it"
                    .to_owned(),
                Some(KEYS.into()),
            );
        }
    }

    /// A cluster that lives has keys: without them none is ever made anew.
    fn refuse_lost_keys(&mut self) {
        if self.seen.ledger.lineage.is_some() {
            return;
        }
        let alive: BTreeSet<NodeName> = self
            .seen
            .nodes
            .iter()
            .filter(|(_, node)| node.facts().is_some_and(is_of_a_cluster))
            .map(|(name, _)| name.clone())
            .chain(self.lives_in_external_etcd())
            .collect();
        if !alive.is_empty() || !self.seen.etcd.members().is_empty() {
            self.refuse(
                "cluster/ledger",
                format!("a cluster lives here ({}), and its ledger with its keys is nowhere", list(&Vec::from_iter(alive))),
                "bring back the ledger file, or the control-plane node that holds a copy of it; or restore a \
                 snapshot; or run `windlass remove` and begin anew"
                    .to_owned(),
                None,
            );
            return;
        }
        let made_by_others: BTreeSet<String> = self
            .nodes_in_sight()
            .flat_map(|(name, _, facts)| facts.containers.iter().map(move |container| (name, container)))
            .filter(|(_, (container, seen))| {
                seen.maker == Maker::Other && Component::of_container(container).is_some()
            })
            .map(|(name, (container, _))| format!("{container} on {name}"))
            .collect();
        if !made_by_others.is_empty() {
            let names: Vec<&str> = made_by_others.iter().map(String::as_str).collect();
            self.refuse(
                "cluster",
                format!("another tool's cluster seems to live here: {}", names.join(", ")),
                "windlass does not replace what it did not make and has no keys of; if nobody needs these \
                 containers, remove them"
                    .to_owned(),
                None,
            );
            return;
        }
        for role in [Role::ControlPlane, Role::Etcd] {
            if role == Role::Etcd && self.wish.etcd.is_external() {
                continue;
            }
            let nodes: Vec<NodeName> = self.wish.with_role(role).map(|(name, _)| name.clone()).collect();
            let in_sight = nodes.iter().filter(|node| self.is_in_sight(node)).count();
            if in_sight * 2 <= nodes.len() {
                self.refuse(
                    "cluster",
                    format!("only {in_sight} of {} {role} nodes are in sight, and no ledger is", nodes.len()),
                    "a cluster may live on the others: bring them into sight, or take them out of cluster.yml"
                        .to_owned(),
                    None,
                );
                return;
            }
        }
    }

    /// What the cluster was founded on stays as it is.
    fn refuse_new_foundation(&mut self) {
        let Some(was) = self.seen.ledger.foundation.clone().filter(|_| self.may_live()) else {
            return;
        };
        for ((fact, from), (_, to)) in was.facts().into_iter().zip(self.wish.foundation.facts()) {
            if from != to {
                self.refuse(
                    "cluster",
                    format!("{} cannot change from {from} to {to} while the cluster lives", words(fact)),
                    advice(&was, &self.wish.foundation, fact, &from),
                    self.wish.origins.foundation.get(&fact).cloned(),
                );
            }
        }
    }

    /// A machine has one name, and a member of etcd one address: neither changes under a living cluster.
    fn refuse_moved_machines(&mut self) {
        let ledger = &self.seen.ledger;
        for (former, last) in ledger.nodes.iter().filter(|(name, _)| !self.wish.nodes.contains_key(*name)) {
            let is_same = |target: &NodeTarget| {
                target.address == last.target.address
                    || target.internal_address == last.target.internal_address
            };
            let renamed = self.wish.nodes.iter().find(|(_, node)| is_same(&node.target));
            if let Some((name, node)) = renamed {
                self.refuse(
                    "cluster",
                    format!("{name} is the machine that is {former} in the cluster"),
                    format!(
                        "say `hostname_override: {former}`; for another name, take the node out of \
                         cluster.yml, run `windlass up`, and add it then"
                    ),
                    Some(node.origin.clone()),
                );
            }
        }
        for (name, node) in &self.wish.nodes {
            let Some(last) = ledger.nodes.get(name).filter(|last| last.roles.contains(&Role::Etcd)) else {
                continue;
            };
            let (from, to) = (&last.target.internal_address, &node.target.internal_address);
            if from != to && ledger.born == Birth::Born {
                self.refuse(
                    "cluster",
                    format!("{name} is a member of etcd at {from}, and cannot become one at {to}"),
                    format!(
                        "say {from} as before; for another machine, take {name} out of cluster.yml, run \
                         `windlass up`, and add it then"
                    ),
                    Some(node.origin.clone()),
                );
            }
        }
    }

    /// Kubernetes goes one minor version at a time, and never back.
    ///
    /// Source: <https://kubernetes.io/releases/version-skew-policy/>, "Supported component upgrade order".
    fn refuse_version_jumps(&mut self) {
        let of = |component: Component| -> BTreeSet<&KubernetesVersion> {
            self.seen
                .nodes
                .values()
                .filter_map(NodeSeen::facts)
                .filter_map(|facts| facts.containers.get(component.as_str()))
                .filter_map(|container| container.spec.version.as_ref())
                .collect()
        };
        let mut versions = of(Component::KubeApiserver);
        if versions.is_empty() {
            versions = of(Component::Kubelet);
        }
        let (Some(&oldest), Some(&newest)) = (versions.first(), versions.last()) else {
            return;
        };
        let wished = &self.wish.version;
        let (what, help) = if wished.numbers() < newest.numbers() {
            (
                format!("Kubernetes {newest} cannot go back to {wished}"),
                format!("say `kubernetes_version: {newest}`; to go back, restore a snapshot of that time"),
            )
        } else if (wished.major, wished.minor) > (oldest.major, oldest.minor + 1) {
            (
                format!("Kubernetes cannot go from {oldest} to {wished} at once"),
                format!(
                    "upgrade one minor version at a time: to v{}.{} first",
                    oldest.major,
                    oldest.minor + 1
                ),
            )
        } else {
            return;
        };
        self.refuse("cluster", what, help, self.wish.origins.version.clone());
    }

    /// A cluster that has lived and whose data is gone is never started anew.
    fn refuse_lost_majority(&mut self) {
        let was_external = self.seen.ledger.foundation.as_ref().is_some_and(Foundation::is_on_external_etcd);
        if self.seen.ledger.born != Birth::Born || !self.etcd_is_silent() || was_external {
            return;
        }
        let etcd_nodes: BTreeSet<&NodeName> = self
            .wish
            .with_role(Role::Etcd)
            .map(|(name, _)| name)
            .chain(
                self.seen
                    .ledger
                    .nodes
                    .iter()
                    .filter(|(_, last)| last.roles.contains(&Role::Etcd))
                    .map(|(name, _)| name),
            )
            .collect();
        let could_hold_data =
            |name: &&NodeName| self.facts(name).is_none_or(|facts| facts.etcd_data == EtcdData::Present);
        if !etcd_nodes.iter().any(could_hold_data) {
            let gone: Vec<NodeName> = etcd_nodes.into_iter().cloned().collect();
            self.refuse(
                "cluster/etcd",
                format!("the data of etcd is gone from every member ({})", list(&gone)),
                "restore a snapshot; or, if nothing of the cluster is to be kept, run `windlass remove` and \
                 then `windlass up`"
                    .to_owned(),
                None,
            );
        }
    }
}

/// What to do where another etcd is wished.
const ETCD_STAYS: &str = "leave `services.etcd` and the role etcd as they were: everything that the cluster knows \
                          is there. To move it, build a second cluster where it shall be, and move the workloads";

fn words(fact: Fact) -> &'static str {
    match fact {
        Fact::ServiceRange => "the range of Service addresses",
        Fact::PodRange => "the range of pod addresses",
        Fact::ClusterDomain => "the cluster's domain",
        Fact::EtcdData => "the place of etcd's data",
        Fact::ServiceAccountIssuer => "the issuer of service-account tokens",
    }
}

fn advice(was: &Foundation, wished: &Foundation, fact: Fact, value: &str) -> String {
    if fact == Fact::EtcdData && (was.is_on_external_etcd() || wished.is_on_external_etcd()) {
        return ETCD_STAYS.to_owned();
    }
    format!("say {value} as before; for another value, build a second cluster and move the workloads there")
}

/// Names in a row: `node-1, node-2 and 3 more`.
pub(crate) fn list(nodes: &[NodeName]) -> String {
    row_of(nodes, 4)
}

/// Whether what is here was made for a cluster: etcd's data, or what only joins one that has its keys.
fn is_of_a_cluster(facts: &NodeFacts) -> bool {
    facts.etcd_data == EtcdData::Present
        || facts.containers.iter().any(|(container, seen)| {
            seen.maker != Maker::Other && Component::of_container(container).is_some()
        })
}
