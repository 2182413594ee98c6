//! Keeps copies of the periodic snapshots in a bucket: each that is on the disk, and the latest of those that were.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use windlass_model::{BucketPlace, Timestamp, rolling_moment, rolling_name};

use super::arguments::Copied;
use super::journal::{log, now, reported};
use super::pace::{expired, wait_after};
use super::proof;
use super::record::Record;
use crate::bucket::{Bucket, BucketError};

/// The copies of one member's snapshots.
#[derive(Debug)]
pub(super) struct Copies {
    copied: Copied,
    /// etcd's CA, which names the cluster in the bucket.
    authority: PathBuf,
    keep: usize,
    /// The snapshots that are known to be in the bucket.
    done: Vec<Timestamp>,
    failures: u32,
    /// When the next attempt may begin, after one that failed.
    next: Option<Instant>,
}

/// Why the copies are not complete.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error("etcd's CA cannot be read")]
    NoAuthority,
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

impl Copies {
    pub(super) fn new(copied: Copied, authority: PathBuf, keep: usize) -> Self {
        Self { copied, authority, keep, done: Vec::new(), failures: 0, next: None }
    }

    /// Copies what the bucket lacks, unless that is known to be nothing or failed a moment ago. A failure is recorded,
    /// and never keeps the next snapshot from being taken.
    pub(super) async fn catch_up(
        &mut self,
        directory: &Path,
        moments: &[Timestamp],
        record: &mut Record<'_>,
    ) {
        if self.done == moments || self.next.is_some_and(|next| Instant::now() < next) {
            return;
        }
        match self.copy(directory, moments).await {
            Ok(newest) => {
                (self.failures, self.next) = (0, None);
                moments.clone_into(&mut self.done);
                record.copied(newest);
            }
            Err(error) => {
                let wait = wait_after(self.failures);
                self.failures += 1;
                self.next = Some(Instant::now() + wait);
                let why = reported(&error);
                log(&format!("no copy in the bucket: {why}; tried again in {} s", wait.as_secs()));
                record.not_copied(&why, now());
            }
        }
    }

    /// How long a caller may sleep at most.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(Instant::now()))
    }

    /// Returns the name of the newest copy.
    async fn copy(&self, directory: &Path, moments: &[Timestamp]) -> Result<Option<String>, CopyError> {
        let authority = proof::authority_in(&self.authority).ok_or(CopyError::NoAuthority)?;
        let place = BucketPlace::of(authority, &self.copied.member);
        let bucket = Bucket::described_in(&self.copied.description)?;
        let mut there = bucket.complete(&place).await?;
        // The newest is what a disaster needs.
        for moment in moments.iter().rev() {
            let name = rolling_name(*moment);
            let path = directory.join(&name);
            if there.contains(&name) {
                continue;
            }
            let Some(proof) = proof::noted(&path).filter(|_| proof::damage_noted(&path).is_none()) else {
                log(&format!("`{name}` is not copied: it is not known to be intact"));
                continue;
            };
            let begun = Instant::now();
            bucket.keep(&place, &path, &proof).await?;
            log(&format!("`{name}` copied: {} bytes in {:.1} s", proof.bytes, begun.elapsed().as_secs_f64()));
            there.push(name);
        }
        let mut copied: Vec<Timestamp> = there.iter().filter_map(|name| rolling_moment(name)).collect();
        copied.sort_unstable();
        for moment in expired(&copied, now(), self.keep) {
            let name = rolling_name(moment);
            bucket.delete(&place, &name).await?;
            log(&format!("removed the copy of `{name}`: {} newer ones are kept", self.keep));
        }
        Ok(copied.last().map(|moment| rolling_name(*moment)))
    }
}
