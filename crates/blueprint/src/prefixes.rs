//! Which prefix is put before host directories, by the system of a machine.

use windlass_model::{
    Component, ContainerSpec, Elsewhere, EtcdPlaces, FilePath, Footprint, Footprints, PodRuntime,
};

use crate::cluster::Cluster;
use crate::containers;
use crate::files::Places;
use crate::values::ClusterValues;

/// Systems with a read-only `/`, by words in the names that Docker has for them, and the prefix that RKE 1 chooses there
/// where cluster.yml leaves `/`.
const SYSTEMS: [(&[&str], &str); 2] =
    [(&["RancherOS", "CoreOS", "Flatcar"], "/opt/rke"), (&["Boot2Docker"], "/mnt/sda1/rke")];

/// What is put before host directories on ordinary machines; empty for `/`.
pub(crate) fn ordinary<'a>(cluster: &Cluster<'a>) -> &'a str {
    cluster.spec.prefix_path.as_deref().unwrap_or("/").trim_end_matches('/')
}

/// Everything of windlass on machines of any system: a look at one covers all, since its system is known only then.
pub(crate) fn footprints(cluster: &Cluster<'_>) -> Footprints {
    let ordinary = ordinary(cluster);
    let under = |prefix| footprint(cluster, prefix);
    let elsewhere = |(words, prefix): (&[&str], &'static str)| Elsewhere {
        systems: words.iter().map(|word| (*word).to_owned()).collect(),
        prefix: prefix.into(),
        footprint: under(prefix),
    };
    Footprints {
        ordinary: under(ordinary),
        // A prefix of cluster.yml is that of all machines.
        elsewhere: if ordinary.is_empty() { SYSTEMS.map(elsewhere).into() } else { Vec::new() },
    }
}

/// Everything of windlass on a machine with this prefix, where flags and mounts lead.
fn footprint(cluster: &Cluster<'_>, prefix: &str) -> Footprint {
    let (places, values) = (Places::new(cluster, prefix), ClusterValues::new(cluster, prefix));
    let spec_of = |component| -> Option<ContainerSpec> {
        let prepared = containers::prepare(component, cluster, &values, &places, PodRuntime::default())?;
        Some(prepared.shared_spec())
    };
    let etcd = spec_of(Component::Etcd).and_then(|spec| EtcdPlaces::of(&spec));
    // kubelet looks for its directory on the node too, by the same path.
    let kubelet = spec_of(Component::Kubelet).and_then(|spec| spec.flag("root-dir").map(FilePath::from));
    places.footprint(etcd, kubelet)
}
