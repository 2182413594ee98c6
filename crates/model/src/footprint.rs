//! Which paths on a node are windlass' own: it deletes and reads no others.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::etcd_places::{EtcdPlaces, aside_of};
use crate::names::{FilePath, Prefix};

/// The footprints of a cluster, one for each prefix that the operating system of a machine may require.
///
/// The footprint of a machine is known once its operating system is known, so a look covers them all.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Footprints {
    /// On an ordinary machine: under the `prefix_path` of cluster.yml.
    pub ordinary: Footprint,
    /// On machines whose operating system requires another prefix; none where cluster.yml sets one for all
    /// machines.
    pub elsewhere: Vec<Elsewhere>,
}

/// The footprint on machines with certain operating systems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Words of which Docker's name for the operating system contains one.
    pub systems: BTreeSet<String>,
    /// The prefix of host directories there.
    pub prefix: Prefix,
    /// The paths there.
    pub footprint: Footprint,
}

impl Footprints {
    /// The prefix on a machine with this operating system; none where it is that of ordinary machines.
    pub fn prefix_on(&self, system: &str) -> Option<&Prefix> {
        let is_meant = |other: &&Elsewhere| other.systems.iter().any(|word| system.contains(word.as_str()));
        self.elsewhere.iter().find(is_meant).map(|other| &other.prefix)
    }

    /// Whether a footprint has this prefix.
    pub fn knows(&self, prefix: &Prefix) -> bool {
        self.elsewhere.iter().any(|other| other.prefix == *prefix)
    }

    /// The footprint under a prefix; the ordinary one without a prefix, or with one that is not known.
    pub fn under(&self, prefix: Option<&Prefix>) -> &Footprint {
        let elsewhere = self.elsewhere.iter().find(|other| Some(&other.prefix) == prefix);
        elsewhere.map_or(&self.ordinary, |other| &other.footprint)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Footprint> {
        [&self.ordinary].into_iter().chain(self.elsewhere.iter().map(|other| &other.footprint))
    }

    /// Every file that any machine may have, including copies of the ledger.
    pub fn files(&self) -> BTreeSet<FilePath> {
        self.all().flat_map(|footprint| footprint.files.iter().chain([&footprint.ledger])).cloned().collect()
    }
}

/// The paths on one node that are windlass' own.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Footprint {
    /// Every file that windlass writes for any role; one that a node's roles do not ask for is removed.
    pub files: BTreeSet<FilePath>,
    /// Directories that containers write; only `remove` deletes them.
    pub directories: BTreeMap<FilePath, Holds>,
    /// The data directory of etcd, as its flags say.
    pub etcd_data: FilePath,
    /// The directory of etcd's log, where that is not with the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd_log: Option<FilePath>,
    /// The copy of the ledger on a control-plane node.
    pub ledger: FilePath,
    /// Kubelet's own directory.
    #[serde(default)]
    pub kubelet: FilePath,
}

impl Footprint {
    /// Where a member of etcd has its data and its log.
    pub fn etcd(&self) -> EtcdPlaces {
        EtcdPlaces { data: self.etcd_data.clone(), log: self.etcd_log.clone() }
    }

    /// The directory with snapshots of etcd.
    pub fn snapshots(&self) -> Option<&FilePath> {
        let mut directories = self.directories.iter().filter(|(_, holds)| **holds == Holds::Snapshots);
        directories.next().map(|(path, _)| path)
    }

    /// All directories to look for: those above, etcd's own, and what was moved aside.
    pub fn all_directories(&self) -> BTreeMap<FilePath, Holds> {
        let mut all = self.directories.clone();
        for directory in self.etcd().directories() {
            all.insert(aside_of(&directory), Holds::EtcdData);
            all.insert(directory, Holds::EtcdData);
        }
        all
    }
}

/// What a directory of the footprint holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// Configuration and keys that windlass writes.
    Configuration,
    /// The data of etcd.
    EtcdData,
    /// The state of kubelet and of the pods on the node.
    PodState,
    /// Network configuration and plugins.
    Network,
    /// Logs.
    Logs,
    /// Snapshots of etcd: `remove` keeps them unless asked to delete them.
    Snapshots,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_decides_which_footprint_is_meant() {
        let at = |path: &str| Footprint { etcd_data: path.into(), ..Footprint::default() };
        let flatcar = Elsewhere {
            systems: ["CoreOS", "Flatcar"].map(str::to_owned).into(),
            prefix: "/opt/rke".into(),
            footprint: at("/opt/rke/etcd"),
        };
        let footprints = Footprints { ordinary: at("/etcd"), elsewhere: vec![flatcar] };
        let data_on = |system: &str| footprints.under(footprints.prefix_on(system)).etcd_data.to_string();
        assert_eq!(data_on("Flatcar Container Linux by Kinvolk 3510.2.0"), "/opt/rke/etcd");
        assert_eq!(data_on("Fedora CoreOS 38"), "/opt/rke/etcd");
        assert_eq!(data_on("Ubuntu 22.04.4 LTS"), "/etcd");
        assert_eq!(footprints.under(Some(&"/elsewhere".into())).etcd_data.as_str(), "/etcd");
    }
}
