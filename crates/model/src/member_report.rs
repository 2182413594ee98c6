//! What a member of etcd reports about itself, with or without a majority behind it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::inventory::{Alarm, MemberId, Vote};

/// What one member reports about itself, asked on its own node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Its id.
    pub id: MemberId,
    /// The id of its cluster: members of one cluster have the same.
    pub cluster: u64,
    /// Its version, such as `3.5.21`.
    pub version: String,
    /// Whether it votes.
    pub vote: Vote,
    /// The member that leads as far as it knows; none if it knows of no leader.
    pub leader: Option<MemberId>,
    /// The term of raft.
    pub term: u64,
    /// The index of the newest entry of the log that it knows to be committed.
    pub index: u64,
    /// The index of the newest entry that is in its database.
    pub applied: u64,
    /// The revision of its database.
    pub revision: u64,
    /// The size of its database on the disk in bytes, free pages included.
    pub db_bytes: u64,
    /// How many of them are in use; defragmentation gives back the rest.
    pub db_used_bytes: u64,
    /// The most that its database may have; none where it does not report that.
    pub quota_bytes: Option<u64>,
    /// The alarms that it knows of, by the member that raised them.
    pub alarms: BTreeMap<MemberId, BTreeSet<Alarm>>,
    /// What else it reports to be wrong.
    pub errors: Vec<String>,
    /// The members of its cluster as it knows them.
    pub members: Vec<ListedMember>,
    /// Writing its log to the disk.
    pub fsync: Option<Latency>,
    /// Writing its database to the disk.
    pub commit: Option<Latency>,
    /// Round trips to each other member.
    pub peers: BTreeMap<MemberId, Latency>,
}

impl MemberReport {
    /// Whether it leads.
    pub fn leads(&self) -> bool {
        self.leader == Some(self.id)
    }

    /// How many bytes of its database are free pages.
    pub fn free_bytes(&self) -> u64 {
        self.db_bytes.saturating_sub(self.db_used_bytes)
    }

    /// How many percent of its quota its database has; none where the quota is unknown.
    pub fn quota_percent(&self) -> Option<u64> {
        self.quota_bytes.filter(|quota| *quota > 0).map(|quota| self.db_bytes.saturating_mul(100) / quota)
    }

    /// How advanced its data is: of two members of one cluster, the one with the greater value knows everything
    /// committed that the other one knows.
    ///
    /// The term is no part of it: a member that is disconnected for long may have a high one and old data.
    pub fn progress(&self) -> (u64, u64) {
        (self.index, self.revision)
    }
}

/// A member as another one, or it itself, lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedMember {
    /// Its id.
    pub id: MemberId,
    /// Its name; empty if it has never started.
    pub name: String,
    /// The address by which other members reach it.
    pub peer_url: String,
    /// Whether it votes.
    pub vote: Vote,
}

/// How long an operation takes, from a histogram that a member has kept since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// In 99 of 100 cases it took at most so many microseconds: interpolated within a bucket, as Prometheus
    /// does. None if it took longer than the greatest bound of the histogram.
    pub p99_micros: Option<u64>,
    /// The average in microseconds.
    pub average_micros: u64,
    /// How often it was measured.
    pub count: u64,
}

impl Latency {
    /// From the cumulative counts of a histogram, by the upper bounds of its buckets in microseconds, and the
    /// sum of all values; none if nothing was measured.
    pub fn of_histogram(buckets: &BTreeMap<u64, u64>, count: u64, sum_micros: u64) -> Option<Self> {
        if count == 0 {
            return None;
        }
        let rank = (count * 99).div_ceil(100);
        let mut below = (0, 0);
        let mut p99_micros = None;
        for (bound, cumulative) in buckets {
            if *cumulative >= rank {
                let (lower, before) = below;
                let inside = cumulative.saturating_sub(before).max(1);
                p99_micros = Some(lower + (bound - lower) * rank.saturating_sub(before) / inside);
                break;
            }
            below = (*bound, *cumulative);
        }
        Some(Self { p99_micros, average_micros: sum_micros / count, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_percentile_is_interpolated_within_its_bucket() {
        let buckets = BTreeMap::from([(1_000, 50), (2_000, 90), (4_000, 100)]);
        let latency = Latency::of_histogram(&buckets, 100, 150_000).unwrap();
        assert_eq!(latency, Latency { p99_micros: Some(3_800), average_micros: 1_500, count: 100 });
        let first = Latency::of_histogram(&buckets.clone(), 50, 10).unwrap();
        assert_eq!(first.p99_micros, Some(1_000));
        let beyond = Latency::of_histogram(&buckets, 200, 10).unwrap();
        assert_eq!(beyond.p99_micros, None, "slower than the greatest bound");
        assert_eq!(Latency::of_histogram(&buckets, 0, 0), None);
    }
}
