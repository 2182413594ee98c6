//! Which prefix is put before host directories, by the system of a machine.

use windlass_model::{Elsewhere, Footprints};

use crate::cluster::Cluster;
use crate::files::Places;

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
    let under = |prefix| Places::new(cluster, prefix).footprint();
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
