//! The periodic snapshots of a node's member of etcd: their names, the journal of what takes them, and what is
//! wrong with them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::container::ContainerSpec;
use crate::snapshot::{SnapshotSeen, SnapshotState};
use crate::time::Timestamp;

/// The file in which the process that takes periodic snapshots records how it fares, in one line of JSON, in
/// the directory of the snapshots.
pub const ROLLING_JOURNAL: &str = ".windlass-rolling.json";
/// The extension, after the whole name of a snapshot, of the file that says why the snapshot is damaged.
pub const DAMAGED_EXTENSION: &str = ".damaged";
/// What distinguishes periodic snapshots from those on request.
const SUFFIX: &str = "_etcd.db";

/// How long it may take in addition to two intervals until the newest snapshot counts as overdue, and how long
/// attempts may fail, in seconds: a member that is replaced, or a node that boots, needs a few minutes.
const SLACK_SECONDS: u64 = 900;

/// The name of the periodic snapshot of this time: `2026-01-31T12-00-00Z_etcd.db`.
pub fn rolling_name(moment: Timestamp) -> String {
    moment.to_string().replace(':', "-") + SUFFIX
}

/// The time of a periodic snapshot; none if the name is not that of one.
pub fn rolling_moment(name: &str) -> Option<Timestamp> {
    let text = name.strip_suffix(SUFFIX)?;
    let (date, time) = text.split_once('T')?;
    let moment = format!("{date}T{}", time.replace('-', ":")).parse().ok()?;
    (rolling_name(moment) == name).then_some(moment)
}

/// How many seconds lie between two periodic snapshots, by the arguments of the container that takes them;
/// none where that is another container, or its interval is not understood.
pub fn rolling_interval(spec: &ContainerSpec) -> Option<u64> {
    seconds(spec.flag("every")?)
}

/// `12h`, `90m` or `30s`; never zero.
fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|seconds| *seconds > 0)
}

/// What the process that takes periodic snapshots records about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollingJournal {
    /// The version of this format.
    pub format: u32,
    /// When this process started.
    pub started_at: Timestamp,
    /// Why there is no new snapshot; none where the last attempt succeeded, or there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedSnapshot>,
    /// How copies in a bucket fare; none where none are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<CopiesJournal>,
}

/// What the process that takes periodic snapshots records of their copies in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CopiesJournal {
    /// The name of the newest copy; none where there was none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// Why the last attempt to copy failed; none where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedSnapshot>,
}

impl RollingJournal {
    /// The format that this version writes.
    pub const FORMAT: u32 = 1;
}

/// Attempts to take a snapshot that all failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailedSnapshot {
    /// When the first of them failed.
    pub since: Timestamp,
    /// The error of the last one.
    pub why: String,
}

/// The periodic snapshots on a node.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RollingSeen {
    /// The newest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<SnapshotSeen>,
    /// What takes them records about itself; none where it is of an earlier version, or has never run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<RollingJournal>,
}

impl RollingSeen {
    /// When the newest one was taken.
    pub fn newest_at(&self) -> Option<Timestamp> {
        let newest = self.newest.as_ref()?;
        Some(rolling_moment(&newest.name).unwrap_or(newest.written_at))
    }

    /// What is wrong with them now, where one is taken every so many seconds; none if nothing is known to be.
    pub fn fault(&self, every: u64, now: Timestamp) -> Option<RollingFault> {
        if let Some(newest) = &self.newest
            && let SnapshotState::Damaged(why) = &newest.state
        {
            return Some(RollingFault::Damaged { name: newest.name.clone(), why: why.clone() });
        }
        let journal = self.journal.as_ref();
        let failed = journal.and_then(|journal| journal.failed.as_ref());
        if let Some(failed) = failed.filter(|failed| now.seconds_since(failed.since) >= SLACK_SECONDS) {
            return Some(RollingFault::Failing { since: failed.since, why: failed.why.clone() });
        }
        let copies = journal.and_then(|journal| journal.copies.as_ref()?.failed.as_ref());
        if let Some(failed) = copies.filter(|failed| now.seconds_since(failed.since) >= SLACK_SECONDS) {
            return Some(RollingFault::NotCopied { since: failed.since, why: failed.why.clone() });
        }
        // One that has just been started takes one at once, and is not late before it could.
        let runs_for = journal.map(|journal| now.seconds_since(journal.started_at));
        if runs_for.is_some_and(|seconds| seconds < SLACK_SECONDS) {
            return None;
        }
        match self.newest_at() {
            Some(at) if now.seconds_since(at) <= every.saturating_mul(2).saturating_add(SLACK_SECONDS) => {
                None
            }
            Some(newest_at) => Some(RollingFault::Overdue { newest_at: Some(newest_at), every }),
            // Without a journal it is unknown whether it had time to take one.
            None if runs_for.is_some() => Some(RollingFault::Overdue { newest_at: None, every }),
            None => None,
        }
    }
}

/// What is wrong with the periodic snapshots of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum RollingFault {
    /// There should be a newer one.
    Overdue {
        /// When the newest was taken; none if there is none.
        newest_at: Option<Timestamp>,
        /// How many seconds lie between two of them.
        every: u64,
    },
    /// Every attempt fails.
    Failing {
        /// Since when.
        since: Timestamp,
        /// The last error.
        why: String,
    },
    /// No copy arrives in the bucket.
    NotCopied {
        /// Since when.
        since: Timestamp,
        /// The last error.
        why: String,
    },
    /// The newest one does not read back.
    Damaged {
        /// Its name.
        name: String,
        /// What was found.
        why: String,
    },
}

impl fmt::Display for RollingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overdue { newest_at: Some(at), every } => {
                write!(f, "its newest snapshot is of {at}, although one is due every {}", span(*every))
            }
            Self::Overdue { newest_at: None, every } => {
                write!(f, "it has no snapshot, although one is due every {}", span(*every))
            }
            Self::Failing { since, why } => write!(f, "no snapshot succeeds since {since}: {why}"),
            Self::NotCopied { since, why } => {
                write!(f, "no snapshot is copied into the bucket since {since}: {why}")
            }
            Self::Damaged { name, why } => write!(f, "its newest snapshot {name} is damaged: {why}"),
        }
    }
}

/// Seconds in the largest unit that leaves no rest.
fn span(seconds: u64) -> String {
    match seconds {
        seconds if seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;
    const NOW: Timestamp = Timestamp(1_769_860_800);

    #[test]
    fn the_timers_names_read_back_and_no_others_do() {
        assert_eq!(rolling_name(NOW), "2026-01-31T12-00-00Z_etcd.db");
        assert_eq!(rolling_moment("2026-01-31T12-00-00Z_etcd.db"), Some(NOW));
        for other in [
            "2026-01-31T12:00:00Z_etcd",
            "2026-01-31T12:00:00Z_etcd.zip",
            "2026-01-31T12:00:00Z_etcd.db",
            "2026-01-31T12-00-00Z_etcd",
            "2026-01-31T12-00-00Z_etcd.db.zip",
            "2026-02-31T12-00-00Z_etcd.db",
            "2026-01-31T12-0-00Z_etcd.db",
            "2026:01:31T12-00-00Z_etcd.db",
            "c2026-01-31T12-00-00Z_etcd.db",
            "before-upgrade.db",
            "pki.bundle.tar.gz",
        ] {
            assert_eq!(rolling_moment(other), None, "{other}");
        }
    }

    /// What is known of a node whose newest snapshot has this age, and whose process runs for so long.
    fn seen(age: Option<u64>, runs_for: Option<u64>) -> RollingSeen {
        let ago = |seconds: u64| Timestamp(NOW.0 - seconds);
        RollingSeen {
            newest: age.map(|age| SnapshotSeen {
                name: rolling_name(ago(age)),
                bytes: 1,
                written_at: NOW,
                state: SnapshotState::Unproven,
            }),
            journal: runs_for.map(|seconds| RollingJournal {
                format: RollingJournal::FORMAT,
                started_at: ago(seconds),
                failed: None,
                copies: None,
            }),
        }
    }

    #[test]
    fn a_snapshot_is_overdue_after_two_intervals_and_some_time() {
        let fault = |age, runs_for| seen(age, runs_for).fault(12 * HOUR, NOW);
        assert_eq!(fault(Some(24 * HOUR), Some(48 * HOUR)), None);
        let late = fault(Some(24 * HOUR + SLACK_SECONDS + 1), Some(48 * HOUR)).unwrap();
        assert_eq!(
            late.to_string(),
            "its newest snapshot is of 2026-01-30T11:44:59Z, although one is due every 12 h"
        );
        assert_eq!(fault(Some(48 * HOUR), Some(60)), None, "it has just started");
        assert!(fault(Some(48 * HOUR), None).is_some(), "of a version without a journal");
        assert_eq!(fault(None, Some(60)), None);
        assert_eq!(fault(None, None), None, "nothing is known");
        assert!(fault(None, Some(HOUR)).is_some());
    }

    #[test]
    fn attempts_that_fail_and_damage_are_faults() {
        let mut seen = seen(Some(60), Some(60));
        let failed = |ago| FailedSnapshot { since: Timestamp(NOW.0 - ago), why: "no room".to_owned() };
        seen.journal.as_mut().unwrap().failed = Some(failed(60));
        assert_eq!(seen.fault(HOUR, NOW), None, "it may be a moment");
        seen.journal.as_mut().unwrap().failed = Some(failed(SLACK_SECONDS));
        assert_eq!(
            seen.fault(HOUR, NOW).unwrap().to_string(),
            "no snapshot succeeds since 2026-01-31T11:45:00Z: no room"
        );
        seen.journal.as_mut().unwrap().failed = None;
        let copies = CopiesJournal { newest: None, failed: Some(failed(SLACK_SECONDS)) };
        seen.journal.as_mut().unwrap().copies = Some(copies);
        assert_eq!(
            seen.fault(HOUR, NOW).unwrap().to_string(),
            "no snapshot is copied into the bucket since 2026-01-31T11:45:00Z: no room"
        );
        seen.newest.as_mut().unwrap().state = SnapshotState::Damaged("its digest is another".to_owned());
        assert!(matches!(seen.fault(HOUR, NOW), Some(RollingFault::Damaged { .. })));
    }

    #[test]
    fn an_interval_is_read_as_the_catalog_writes_it() {
        for (text, expected) in [
            ("12h", Some(43_200)),
            ("90m", Some(5_400)),
            ("5s", Some(5)),
            ("0h", None),
            ("h", None),
            ("x", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
