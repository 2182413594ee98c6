//! Secrets in etcd: the keys with which they are stored, and whether every serving API server can read them.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::Component;

use crate::at_rest::{AtRest, named};
use crate::invariants::ViolationKind;
use crate::process::Work;
use crate::world::World;

/// An API server that serves.
struct Serving {
    machine: usize,
    cluster: u64,
    secrets: AtRest,
    /// When its process began.
    since: u64,
}

impl World {
    /// Every API server that serves stores Secrets, and must read those of the others.
    ///
    /// One without any encryption that has run since before the first key cannot read what the others write
    /// while encryption is switched on: no order of replacements avoids that, so it is no violation.
    pub(crate) fn settle_secrets(&mut self) {
        let serving = self.serving();
        let now = self.now;
        for Serving { cluster, secrets, .. } in &serving {
            if let Some(cluster) = self.clusters.get_mut(cluster) {
                cluster.kube.stored.entry(secrets.writes().to_owned()).or_insert(now);
            }
        }
        let mut found = BTreeSet::new();
        for Serving { machine, cluster, secrets, since } in &serving {
            let Some(cluster) = self.clusters.get(cluster) else { continue };
            let is_excused = |from: &u64| *secrets == AtRest::Plain && since < from;
            let unread =
                cluster.kube.stored.iter().filter(|(way, from)| !secrets.reads(way) && !is_excused(from));
            found.extend(unread.map(|(way, _)| (*machine, *since, way.clone())));
        }
        let fresh: Vec<_> = found.difference(&self.run.unreadable).cloned().collect();
        self.run.unreadable = found;
        for (machine, _, way) in fresh {
            let name = &self.nodes[machine].name;
            let what = format!("the API server of {name} cannot read Secrets of {}", named(&way));
            self.violate(ViolationKind::Unreadable, what);
        }
    }

    /// All Secrets are read and written again, by an API server that serves.
    pub(crate) fn rewrite_secrets(&mut self) {
        let now = self.now;
        for Serving { cluster, secrets, .. } in self.serving() {
            if let Some(cluster) = self.clusters.get_mut(&cluster) {
                cluster.kube.stored = BTreeMap::from([(secrets.writes().to_owned(), now)]);
            }
        }
        self.touch();
    }

    fn serving(&self) -> Vec<Serving> {
        let nodes = self.view.nodes.iter().enumerate();
        let serving = nodes.filter_map(|(machine, node)| {
            let container = self.nodes[machine].running(Component::KubeApiserver)?;
            let Work::Api(work) = &container.program.as_ref()?.work else { return None };
            let (secrets, since) = (work.secrets.clone(), container.since);
            Some(Serving { machine, cluster: node.api?, secrets, since })
        });
        serving.collect()
    }
}
