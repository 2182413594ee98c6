//! Snapshots of etcd as they are found on nodes, and what is known of each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::blueprint::DesiredNode;
use crate::certificate::CertPart;
use crate::digest::Digest;
use crate::names::{CertName, FilePath, NodeName, Role};
use crate::time::Timestamp;
use crate::version::KubernetesVersion;

/// The extension of a snapshot's file.
pub const SNAPSHOT_EXTENSION: &str = ".db";
/// The extension of an archive of RKE 1 with a snapshot and the cluster's state.
pub const RKE_ARCHIVE_EXTENSION: &str = ".zip";

/// The contents of a snapshot, as found by reading the whole file; written beside the file as `NAME.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotProof {
    /// The version of this format.
    pub format: u32,
    /// The digest of the whole file.
    pub sha256: Digest,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The revision of etcd that it holds.
    pub revision: u64,
    /// How many keys exist in that revision.
    pub keys: u64,
    /// The same by the first two parts of the keys, such as `/registry/pods`.
    pub keys_by_prefix: BTreeMap<String, u64>,
    /// The version that the members had agreed on, such as `3.5.0`; none where they had not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd: Option<String>,
    /// The oldest version of Kubernetes that wrote into it; none where it was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesVersion>,
    /// The serial of the ledger when it was taken; none of periodic ones: what takes them may not see the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_serial: Option<u64>,
    /// The names of the members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// The name of the member that gave it; none where it was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The digest of the CA of the cluster from which it was taken; none where it was not recorded.
    #[serde(default, rename = "ca", skip_serializing_if = "Option::is_none")]
    pub authority: Option<Digest>,
    /// The member from which it was taken; none where it was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// When it was taken; none where it was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Timestamp>,
    /// The size in bytes of RKE 1's archive that holds it; none where the file is the snapshot itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_bytes: Option<u64>,
    /// When it was last read back from the disk: its digest, and every page of its tree.
    pub checked_at: Timestamp,
}

impl SnapshotProof {
    /// The format that this version writes.
    pub const FORMAT: u32 = 1;

    /// The major and minor version of etcd whose data it holds.
    pub fn etcd_minor(&self) -> Option<(u32, u32)> {
        minor_of(self.etcd.as_deref()?)
    }

    /// The place of the member that gave it among all members by name, from 0, and how many there are.
    pub fn place(&self) -> Option<(u64, u64)> {
        let own = self.member.as_ref()?;
        let place = self.members.iter().position(|name| name == own)?;
        Some((u64::try_from(place).ok()?, u64::try_from(self.members.len()).ok()?))
    }
}

fn minor_of(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A snapshot in a node's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSeen {
    /// The name of its file.
    pub name: String,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// When the file was written.
    pub written_at: Timestamp,
    /// What is known of it.
    pub state: SnapshotState,
}

/// What is known of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotState {
    /// It was read back, and is intact.
    Proven(Box<SnapshotProof>),
    /// It has not been read back yet.
    Unproven,
    /// It cannot be used, for this reason.
    Damaged(String),
}

impl SnapshotState {
    /// What is known of a file of this size without reading it: by the damage that was found when it was read
    /// last, and by the metadata beside it, which with another size belongs to another file.
    pub fn noted(damage: Option<String>, proof: Option<SnapshotProof>, bytes: u64) -> Self {
        match (damage, proof.filter(|proof| proof.format == SnapshotProof::FORMAT)) {
            (Some(why), _) => Self::Damaged(why),
            (None, Some(proof)) if proof.archive_bytes.unwrap_or(proof.bytes) == bytes => {
                Self::Proven(Box::new(proof))
            }
            (None, Some(_)) => Self::Damaged("its size is another than when it was checked".to_owned()),
            (None, None) => Self::Unproven,
        }
    }
}

/// The name under which a snapshot of RKE 1 is unpacked; none for one that is in the form of windlass already.
///
/// RKE calls its files `NAME.zip`, before its version 0.2 `NAME`, and periodic ones after the moment, as in
/// `2026-01-31T12:00:00Z_etcd`: the prefix keeps these off the retention of periodic snapshots, and no `:` confuses `scp`.
pub fn unpacked_name(name: &str) -> Option<String> {
    if name.ends_with(SNAPSHOT_EXTENSION) {
        return None;
    }
    let stem = name.strip_suffix(RKE_ARCHIVE_EXTENSION).unwrap_or(name);
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_.+".contains(letter);
    let plain: String = stem.chars().map(|letter| if is_allowed(letter) { letter } else { '-' }).collect();
    Some(format!("rke-{plain}{SNAPSHOT_EXTENSION}"))
}

impl SnapshotSeen {
    /// What was found when it was read, if it is intact.
    pub fn proof(&self) -> Option<&SnapshotProof> {
        match &self.state {
            SnapshotState::Proven(proof) => Some(proof),
            SnapshotState::Unproven | SnapshotState::Damaged(_) => None,
        }
    }

    /// When it was taken, if that is known; otherwise when the file was written.
    pub fn taken_at(&self) -> Timestamp {
        self.proof().and_then(|proof| proof.taken_at).unwrap_or(self.written_at)
    }
}

/// The one snapshot from which all members are restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenSnapshot {
    /// The node that holds it.
    pub node: NodeName,
    /// The directory on that node, which is the same on all.
    pub directory: FilePath,
    /// The name of its file.
    pub name: String,
    /// The digest of the whole file.
    pub sha256: Digest,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The revision that it holds.
    pub revision: u64,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// The version of etcd that its members had agreed on.
    pub etcd: Option<String>,
    /// The oldest version of Kubernetes that wrote into it; none where it was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesVersion>,
    /// The digest of the CA of its cluster; none where it was not recorded.
    pub authority: Option<Digest>,
}

impl ChosenSnapshot {
    /// Whether API servers of this version read all of it: it was taken before anything newer wrote. What is not recorded is
    /// not known.
    pub fn is_read_by(&self, version: &KubernetesVersion) -> bool {
        let minor = |version: &KubernetesVersion| (version.major, version.minor);
        self.kubernetes.as_ref().is_some_and(|wrote| minor(wrote) <= minor(version))
    }

    /// The major and minor version of etcd whose data it holds.
    pub fn etcd_minor(&self) -> Option<(u32, u32)> {
        minor_of(self.etcd.as_deref()?)
    }

    /// Where its copies are until a member is restored from them: a name that says what it contains.
    pub fn staged(&self) -> FilePath {
        let digest = self.sha256.to_string();
        let digits = digest.trim_start_matches("sha256:");
        FilePath::from(format!("{}/{STAGING}/{digits}{SNAPSHOT_EXTENSION}", self.directory))
    }
}

/// The directory beside snapshots for the copies of a restore.
pub const STAGING: &str = ".windlass-restore";

/// The file in restored data that says from which restore it is, below the data directory. etcd ignores files
/// there that it does not know.
pub const RESTORED_MARK: &str = "member/windlass-restored";

/// What the ledger records of a restore, from before anything is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreNote {
    /// The file.
    pub snapshot: String,
    /// Its digest.
    pub sha256: Digest,
    /// The members that are restored from it, in the form of etcd's `--initial-cluster`.
    pub members: String,
    /// What distinguishes the new cluster of etcd from every other: its `--initial-cluster-token`.
    pub token: String,
    /// Whether it makes a cluster of the only member that survived.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recovers: bool,
    /// When it was finished; none while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
}

/// How one member's data is created from a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRestore {
    /// The snapshot.
    pub snapshot: ChosenSnapshot,
    /// The image of the etcd that will run, which contains the program that restores.
    pub image: crate::names::ImageRef,
    /// etcd's data directory.
    pub data: FilePath,
    /// The directory of etcd's log; none where it is with the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<FilePath>,
    /// The member's name.
    pub member: String,
    /// The member's peer address.
    pub peer_url: String,
    /// All members, in the form of etcd's `--initial-cluster`.
    pub members: String,
    /// The token of the new cluster.
    pub token: String,
    /// By how much the revision is raised, so that no watcher sees it decrease; none where that etcd cannot
    /// do it.
    pub bump_revision: Option<u64>,
}

/// A snapshot that is to be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotWanted {
    /// The directory on the node.
    pub directory: FilePath,
    /// The name of its file.
    pub name: String,
    /// The address of the node's own member, such as `https://10.0.0.1:2379`.
    pub endpoint: String,
    /// The file with the CA on the node.
    pub authority: FilePath,
    /// The file with the client's certificate on the node.
    pub certificate: FilePath,
    /// The file with the client's key on the node.
    pub key: FilePath,
    /// The oldest version of the API servers, which is recorded beside the snapshot; none where it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesVersion>,
    /// The serial of the ledger, which is recorded beside the snapshot; none where there is no ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_serial: Option<u64>,
}

impl SnapshotWanted {
    /// The request for a snapshot of a node's own member, into this directory; none if the node is to have no member.
    pub fn of_member(
        node: &NodeName,
        desired: &DesiredNode,
        directory: FilePath,
        name: String,
    ) -> Option<Self> {
        if !desired.has(Role::Etcd) {
            return None;
        }
        let client = CertName::of_node("kube-etcd", node);
        Some(Self {
            directory,
            name,
            endpoint: desired.target.client_url(),
            authority: desired.file_of(&"kube-etcd-ca".into(), CertPart::Certificate)?,
            certificate: desired.file_of(&client, CertPart::Certificate)?,
            key: desired.file_of(&client, CertPart::Key)?,
            kubernetes: None,
            ledger_serial: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_of_rke_gets_a_name_that_no_timer_deletes() {
        let periodic = unpacked_name("2026-01-31T12:00:00Z_etcd.zip").unwrap();
        assert_eq!(periodic, "rke-2026-01-31T12-00-00Z_etcd.db");
        assert_eq!(crate::rolling_moment(&periodic), None);
        assert_eq!(unpacked_name("mine").as_deref(), Some("rke-mine.db"));
        assert_eq!(unpacked_name("mine.db"), None);
    }

    #[test]
    fn the_version_of_the_data_is_read_as_far_as_it_counts() {
        assert_eq!(minor_of("3.5.0"), Some((3, 5)));
        assert_eq!(minor_of("3"), None);
        assert_eq!(minor_of("a.b.c"), None);
    }
}
