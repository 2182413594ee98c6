//! Copies of snapshots in a bucket of an S3 service.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::snapshot::SnapshotSeen;

/// How much of the digest of etcd's CA names a cluster in a bucket.
const CLUSTER_DIGITS: usize = 16;

/// Whose snapshots they are: a directory in the folder of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BucketPlace {
    /// The beginning of the digest of etcd's CA: clusters may share a folder.
    pub cluster: String,
    /// The member of etcd that gave them.
    pub member: String,
}

impl BucketPlace {
    /// The place of a member of the cluster whose etcd has this CA.
    pub fn of(authority: Digest, member: &str) -> Self {
        Self { cluster: Self::cluster_of(authority), member: member.to_owned() }
    }

    /// The folder itself, where RKE 1 puts its archives. Nothing says of which cluster and member they are.
    pub fn of_rke() -> Self {
        Self { cluster: String::new(), member: String::new() }
    }

    /// Whether this is the folder itself.
    pub fn is_of_rke(&self) -> bool {
        *self == Self::of_rke()
    }

    /// The name of the cluster whose etcd has this CA.
    pub fn cluster_of(authority: Digest) -> String {
        let digest = authority.to_string();
        digest.trim_start_matches("sha256:").chars().take(CLUSTER_DIGITS).collect()
    }
}

/// A snapshot in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InBucket {
    /// Whose it is.
    #[serde(flatten)]
    pub place: BucketPlace,
    /// What is known of it without reading it.
    #[serde(flatten)]
    pub snapshot: SnapshotSeen,
}
