//! The desired state of a cluster, for whatever machines it is on.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_blueprint::{Catalog, Problem, resolve};
use windlass_model::{Blueprint, CertKind, HostFacts, NodeName, Secret, SecretName};
use windlass_spec::ClusterSpec;

/// What a cluster.yml in which nothing is wrong asks for.
#[derive(Clone, Debug)]
pub struct Desired {
    spec: Arc<ClusterSpec>,
    catalog: &'static Catalog,
    ordinary: Arc<Blueprint>,
    secrets: BTreeMap<SecretName, Secret<String>>,
    leaf_days: Option<u32>,
}

impl Desired {
    /// Resolves a cluster.yml; none if something is wrong with it. What only the catalog can say of it comes with it.
    pub fn new(spec: Arc<ClusterSpec>, catalog: &'static Catalog) -> (Option<Self>, Vec<Problem>) {
        let resolution = resolve(&spec, catalog, &BTreeMap::new());
        let desired = resolution.blueprint.map(|blueprint| Self {
            spec,
            catalog,
            ordinary: Arc::new(blueprint),
            secrets: resolution.secrets.into_iter().collect(),
            leaf_days: None,
        });
        (desired, resolution.problems)
    }

    /// The same with leaf certificates that live so many days: for tests in which they expire before their CA does.
    #[doc(hidden)]
    #[must_use]
    pub fn with_leaf_days(mut self, days: u32) -> Self {
        self.leaf_days = Some(days);
        self.ordinary = Arc::new(self.adjusted(Blueprint::clone(&self.ordinary)));
        self
    }

    /// cluster.yml as it was written.
    pub fn spec(&self) -> &ClusterSpec {
        &self.spec
    }

    /// The desired state on ordinary machines: right in all that does not depend on machines.
    pub fn ordinary(&self) -> &Arc<Blueprint> {
        &self.ordinary
    }

    /// The secrets that cluster.yml carries.
    pub fn secrets(&self) -> &BTreeMap<SecretName, Secret<String>> {
        &self.secrets
    }

    /// The desired state on these machines; those that are not named are taken for ordinary ones.
    pub fn on(&self, hosts: &BTreeMap<NodeName, HostFacts>) -> Arc<Blueprint> {
        if hosts.is_empty() {
            return self.ordinary.clone();
        }
        let blueprint = resolve(&self.spec, self.catalog, hosts).blueprint;
        let blueprint = blueprint
            .expect("what is wrong with a file does not depend on machines, and nothing was wrong with it");
        Arc::new(self.adjusted(blueprint))
    }

    fn adjusted(&self, mut blueprint: Blueprint) -> Blueprint {
        if let Some(days) = self.leaf_days {
            for cert in blueprint.certs.values_mut().filter(|cert| cert.kind == CertKind::Leaf) {
                cert.valid_days = days;
            }
        }
        blueprint
    }
}
