//! The directories by which a look knows whether a member of etcd is on a node.

use std::collections::BTreeSet;

use windlass_engine::LookScope;
use windlass_model::{Component, ContainerSpec, EtcdPlaces, FilePath};

use crate::docker;
use crate::link::Link;
use crate::seen::Listed;

/// Every place where a node may have a member of etcd.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct OfEtcd {
    pub(crate) places: BTreeSet<EtcdPlaces>,
}

impl OfEtcd {
    /// Those of cluster.yml, whatever the machine's operating system; that of the ledger; and that of the
    /// container that is there.
    pub(crate) fn new(scope: &LookScope, there: Option<&ContainerSpec>) -> Self {
        let desired = scope.footprints.all().map(windlass_model::Footprint::etcd);
        let all = desired.chain(scope.last_etcd.clone()).chain(there.and_then(EtcdPlaces::of));
        // A scope without footprints has no places.
        Self { places: all.filter(|places| places.data.as_str().starts_with('/')).collect() }
    }

    /// The directories that are filled where there is a member.
    pub(crate) fn directories(&self) -> BTreeSet<FilePath> {
        self.places.iter().flat_map(|places| [places.snap(), places.wal()]).collect()
    }

    /// The data directories.
    pub(crate) fn data(&self) -> BTreeSet<FilePath> {
        self.places.iter().map(|places| places.data.clone()).collect()
    }
}

/// What the container of etcd runs with, whoever made it; none if there is none, or if it cannot be read now.
pub(crate) async fn etcd_there(link: &Link, lines: &[Listed]) -> Option<std::sync::Arc<ContainerSpec>> {
    let name = Component::Etcd.container();
    for line in lines {
        match line {
            Listed::Known(listed, known) if *listed == name => return Some(known.spec.clone()),
            Listed::Unclear(listed) if *listed == name => {
                return Some(docker::inspect(link, &name).await.ok()??.spec);
            }
            _ => {}
        }
    }
    None
}
