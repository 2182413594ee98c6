//! The desired state of a cluster, on any machines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use windlass_blueprint::{Catalog, Link, Problem, Severity, resolve, with_first};
use windlass_model::{
    Blueprint, CertKind, Cipher, Foundation, HostFacts, KeysPhase, LocalPorts, LogSnapshots, NodeName,
    Secret, SecretName,
};
use windlass_planner::KeysStage;
use windlass_spec::{ClusterSpec, LocalPortsSpec, SecretsEncryptionSpec};

/// What a cluster.yml without errors asks for.
#[derive(Clone, Debug)]
pub struct Desired {
    spec: Arc<ClusterSpec>,
    catalog: &'static Catalog,
    ordinary: Arc<Blueprint>,
    secrets: BTreeMap<SecretName, Secret<String>>,
    leaf_days: Option<u32>,
    /// What API servers write with meanwhile, in the place of what cluster.yml asks for.
    first: Option<(Cipher, KeysPhase)>,
    altered: Option<Alteration>,
}

/// What a test changes behind the checks of cluster.yml.
#[derive(Clone)]
struct Alteration(Arc<dyn Fn(&mut Blueprint) + Send + Sync>);

impl fmt::Debug for Alteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alteration")
    }
}

impl Desired {
    /// Resolves a cluster.yml; none if something is wrong with it. Returns the problems that only the catalog
    /// can find as well.
    pub fn new(spec: Arc<ClusterSpec>, catalog: &'static Catalog) -> (Option<Self>, Vec<Problem>) {
        let resolution = resolve(&spec, catalog, &BTreeMap::new());
        let desired = resolution.blueprint.map(|blueprint| Self {
            spec,
            catalog,
            ordinary: Arc::new(blueprint),
            secrets: resolution.secrets.into_iter().collect(),
            leaf_days: None,
            first: None,
            altered: None,
        });
        (desired, resolution.problems)
    }

    /// The same with leaf certificates that are valid for this many days: for tests in which they expire
    /// before their CA.
    #[doc(hidden)]
    #[must_use]
    pub fn with_leaf_days(mut self, days: u32) -> Self {
        self.leaf_days = Some(days);
        self.ordinary = Arc::new(self.adjusted(Blueprint::clone(&self.ordinary)));
        self
    }

    /// The same with the issuer of tokens and the ports that the cluster was founded with, where cluster.yml names none.
    pub(crate) fn as_founded(&self, founded: &Foundation) -> Option<Self> {
        let mut spec = ClusterSpec::clone(&self.spec);
        let names_issuer = spec.windlass.token_issuer.is_some()
            || spec.services.kube_api.service.extra_args.contains_key("service-account-issuer");
        let issuer = &founded.service_account_issuer;
        if !names_issuer && self.ordinary.foundation.service_account_issuer != *issuer {
            spec.windlass.token_issuer = Some(issuer.clone());
        }
        spec.windlass.local_ports.get_or_insert(match founded.local_ports {
            LocalPorts::Open => LocalPortsSpec::Open,
            LocalPorts::Closed => LocalPortsSpec::Closed,
        });
        let mut kept = Self::new(Arc::new(spec), self.catalog).0?;
        kept.leaf_days = self.leaf_days;
        kept.ordinary = Arc::new(kept.adjusted(Blueprint::clone(&kept.ordinary)));
        Some(kept)
    }

    /// The same without these nodes; none if the rest cannot be a cluster. Places in cluster.yml stay the
    /// same.
    pub(crate) fn without(&self, nodes: &BTreeSet<NodeName>) -> Option<Self> {
        let mut spec = ClusterSpec::clone(&self.spec);
        for node in spec.nodes.iter_mut().filter(|node| nodes.contains(&node.name())) {
            node.role.clear();
        }
        let mut rest = Self::new(Arc::new(spec), self.catalog).0?;
        (rest.leaf_days, rest.altered) = (self.leaf_days, self.altered.clone());
        rest.ordinary = Arc::new(rest.adjusted(Blueprint::clone(&rest.ordinary)));
        Some(rest)
    }

    /// The same, altered without any check: for tests that prove a check necessary.
    #[doc(hidden)]
    #[must_use]
    pub fn altered(mut self, alter: impl Fn(&mut Blueprint) + Send + Sync + 'static) -> Self {
        self.altered = Some(Alteration(Arc::new(alter)));
        self.ordinary = Arc::new(self.adjusted(Blueprint::clone(&self.ordinary)));
        self
    }

    /// cluster.yml as it was written.
    pub fn spec(&self) -> &ClusterSpec {
        &self.spec
    }

    /// The desired state on ordinary machines: correct in everything that does not depend on machines.
    pub fn ordinary(&self) -> &Arc<Blueprint> {
        &self.ordinary
    }

    /// The catalog by which it was resolved.
    pub(crate) fn catalog(&self) -> &'static Catalog {
        self.catalog
    }

    /// The state of a link of a chain of upgrades on these machines; none if the versions of the link do not
    /// allow what cluster.yml asks for.
    pub(crate) fn link_on(
        &self,
        link: &Link,
        hosts: &BTreeMap<NodeName, HostFacts>,
    ) -> Option<Arc<Blueprint>> {
        let mut blueprint = resolve(&link.spec, self.catalog, hosts).blueprint?;
        if link.snapshots_log {
            blueprint.etcd_log = LogSnapshots::Awaited;
        }
        Some(Arc::new(self.adjusted(blueprint)))
    }

    /// The state of a link with only one node of each kind, to see what it changes.
    pub(crate) fn sample(&self, link: &ClusterSpec) -> Option<Blueprint> {
        let mut few = link.clone();
        let mut kinds = BTreeSet::new();
        few.nodes.retain(|node| kinds.insert((node.role.clone(), node.windlass.pod_runtime)));
        resolve(&few, self.catalog, &BTreeMap::new()).blueprint
    }

    /// The problems of a link.
    pub(crate) fn problems_of(&self, link: &ClusterSpec) -> Vec<String> {
        let problems = resolve(link, self.catalog, &BTreeMap::new()).problems;
        problems
            .into_iter()
            .filter(|problem| problem.severity == Severity::Error)
            .map(|problem| problem.summary)
            .collect()
    }

    /// The secrets in cluster.yml.
    pub fn secrets(&self) -> &BTreeMap<SecretName, Secret<String>> {
        &self.secrets
    }

    /// The desired state on these machines; nodes that are not named count as ordinary machines.
    pub fn on(&self, hosts: &BTreeMap<NodeName, HostFacts>) -> Arc<Blueprint> {
        if hosts.is_empty() {
            return self.ordinary.clone();
        }
        let blueprint = resolve(&self.spec, self.catalog, hosts).blueprint;
        let blueprint = blueprint
            .expect("what is wrong with a file does not depend on machines, and nothing was wrong with it");
        Arc::new(self.adjusted(blueprint))
    }

    /// The same on the way to its keys of encryption.
    pub(crate) fn staged(&self, stage: &KeysStage) -> Option<Self> {
        let (mut staged, first, phase) = match stage {
            KeysStage::Asked => return None,
            KeysStage::First { writes, learns } => {
                (self.clone(), writes.clone(), KeysPhase::Learns(learns.clone()))
            }
            KeysStage::OwnKeyBehind => {
                let own_key = SecretsEncryptionSpec { enabled: Some(true), custom_config: None };
                let staged = self.with_encryption(Some(own_key))?;
                (staged, Cipher::identity(), KeysPhase::Leaves(Cipher::own()))
            }
            KeysStage::OwnKeyLater => {
                (self.with_encryption(None)?, Cipher::identity(), KeysPhase::Learns(Cipher::own()))
            }
        };
        staged.first = Some((first, phase));
        staged.ordinary = Arc::new(staged.adjusted(Blueprint::clone(&staged.ordinary)));
        Some(staged)
    }

    /// The same with another `secrets_encryption_config`.
    fn with_encryption(&self, encryption: Option<SecretsEncryptionSpec>) -> Option<Self> {
        let mut spec = ClusterSpec::clone(&self.spec);
        spec.services.kube_api.secrets_encryption = encryption;
        let mut kept = Self::new(Arc::new(spec), self.catalog).0?;
        (kept.leaf_days, kept.altered) = (self.leaf_days, self.altered.clone());
        Some(kept)
    }

    fn adjusted(&self, mut blueprint: Blueprint) -> Blueprint {
        if let Some(days) = self.leaf_days {
            for cert in blueprint.certs.values_mut().filter(|cert| cert.kind == CertKind::Leaf) {
                cert.valid_days = days;
            }
        }
        if let Some((first, phase)) = &self.first {
            blueprint = with_first(blueprint, first, phase.clone());
        }
        if let Some(Alteration(alter)) = &self.altered {
            alter(&mut blueprint);
        }
        blueprint
    }
}
