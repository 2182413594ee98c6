//! Snapshots of etcd, taken on the node itself: periodic ones, and one on request.
//!
//! ```text
//! moments_in the directory ─▶ due? ─▶ take, read back ─▶ expired ─▶ removed
//!          ▲                   │ not yet, or failed
//!          └───── a while ◀────┘
//! ```
//!
//! *Guarantees*: a file under its name is complete, checked and durable; the metadata beside it describes its
//! contents. When the next one is due is derived from the existing files, so a process that is restarted
//! every minute takes no more of them. Only the process' own periodic snapshots are removed, and none of them
//! before a newer one exists. Members take turns: each has its own moments in every interval.

mod arguments;
mod draft;
mod intake;
mod journal;
mod name;
mod proof;
mod record;
pub(crate) mod shelf;
mod take;
mod tree;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};
use windlass_model::{Timestamp, rolling_name};

use self::arguments::{Once, Rolling, Wrong};
use self::draft::Draft;
use self::journal::{log, now, reported};
use self::record::Record;
use self::take::{TakeError, Taken, take};

/// The verb that takes snapshots periodically until it is asked to stop.
pub const ROLLING: &str = "snapshots";
/// The verb that takes one snapshot.
pub const ONCE: &str = "snapshot";

/// The longest sleep: clocks are set, machines sleep, and people remove files.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The first wait after a failure; each further one is twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// The longest wait after a failure.
const RETRY_MOST: Duration = Duration::from_secs(300);
/// How long a snapshot on request waits for another that is being taken.
const WAIT_FOR_OTHER: Duration = Duration::from_secs(120);

/// Carries out `windlass-node snapshots`; ends with the first SIGTERM or SIGINT.
pub(crate) fn run_rolling(arguments: &[OsString]) -> ExitCode {
    match arguments::rolling(arguments) {
        Err(wrong) => refuse(&wrong),
        Ok(rolling) => until_stopped(async {
            take_rolling(&rolling).await;
            ExitCode::FAILURE
        })
        // A signal is the normal end.
        .unwrap_or(ExitCode::SUCCESS),
    }
}

/// Carries out `windlass-node snapshot`.
pub(crate) fn run_once(arguments: &[OsString]) -> ExitCode {
    match arguments::once(arguments) {
        Err(wrong) => refuse(&wrong),
        Ok(once) => until_stopped(take_once(&once)).unwrap_or(ExitCode::FAILURE),
    }
}

fn refuse(wrong: &Wrong) -> ExitCode {
    log(wrong);
    ExitCode::from(crate::USAGE)
}

/// The result of the work; none if a signal came before. The work is dropped then, and cleans up after
/// itself.
fn until_stopped(work: impl Future<Output = ExitCode>) -> Option<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs a few file descriptors, which every process has");
    runtime.block_on(async {
        // As the first process of a container it has no default handlers.
        let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
        let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be listened for");
        tokio::select! {
            exit = work => Some(exit),
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
        }
    })
}

/// Takes snapshots forever.
async fn take_rolling(rolling: &Rolling) {
    let Rolling { target, every, keep } = rolling;
    let directory = &target.directory;
    // What a killed process has left would stay until the next snapshot.
    drop(Draft::begin(directory));
    log(&format!("a snapshot every {} s into `{}`, {keep} kept", every.as_secs(), directory.display()));
    let mut record = Record::begin(directory, now());
    let mut failures = 0;
    let mut is_started = false;
    loop {
        let step = match name::moments_in(directory) {
            Err(error) => Err(format!("`{}` cannot be read: {error}", directory.display())),
            Ok(moments) => match wait_until_due(&moments, now(), *every, || place_by(directory, &moments)) {
                Some(wait) => {
                    if !is_started {
                        log(&format!("the last one is fresh: the next is due in {} s", wait.as_secs()));
                    }
                    is_started = true;
                    sleep(wait.min(LOOK_AGAIN)).await;
                    continue;
                }
                None => take_logged(target, &rolling_name(now())).await.map_err(|error| reported(&error)),
            },
        };
        match step {
            Ok(()) => {
                (failures, is_started) = (0, true);
                record.succeeded();
                remove_expired(directory, *keep);
            }
            Err(error) => {
                let wait = wait_after(failures);
                failures += 1;
                log(&format!("no snapshot: {error}; tried again in {} s", wait.as_secs()));
                record.failed(&error, now());
                sleep(wait).await;
            }
        }
    }
}

async fn take_once(once: &Once) -> ExitCode {
    let Once { target, name } = once;
    let patience = Instant::now() + WAIT_FOR_OTHER;
    loop {
        match take_logged(target, name).await {
            Ok(()) => return ExitCode::SUCCESS,
            Err(TakeError::Busy) if Instant::now() < patience => sleep(Duration::from_secs(1)).await,
            Err(error) => {
                log(&format!("no snapshot: {}", reported(&error)));
                return ExitCode::FAILURE;
            }
        }
    }
}

async fn take_logged(target: &arguments::Target, name: &str) -> Result<(), TakeError> {
    let begun = Instant::now();
    let Taken { bytes, endpoint } = take(&target.access, &target.directory, name).await?;
    let seconds = begun.elapsed().as_secs_f64();
    log(&format!("snapshot `{name}`: {bytes} bytes from {endpoint} in {seconds:.1} s"));
    Ok(())
}

/// The place of this node's member among all, and how many there are, as the newest snapshot says.
fn place_by(directory: &Path, moments: &[Timestamp]) -> Option<(u64, u64)> {
    let newest = directory.join(rolling_name(*moments.last()?));
    proof::noted(&newest)?.place()
}

/// How long until the next snapshot is due; none if it is.
///
/// Snapshots of the future, from before a clock was set back, say nothing about the last one.
fn wait_until_due(
    moments: &[Timestamp],
    now: Timestamp,
    every: Duration,
    place: impl FnOnce() -> Option<(u64, u64)>,
) -> Option<Duration> {
    let last = moments.iter().rfind(|moment| **moment <= now)?;
    let due = due_after(*last, every.as_secs(), place());
    Some(Duration::from_secs(due.seconds_since(now))).filter(|wait| !wait.is_zero())
}

/// When the next snapshot is due: one interval after the last one, moved to the member's own moment.
///
/// Each interval of the calendar has one moment for each member, at equal distances: so three members never
/// read, write and flush their databases at the same time. The first snapshot comes at once, and the second
/// after half an interval at least, and one and a half at most.
fn due_after(last: Timestamp, every: u64, place: Option<(u64, u64)>) -> Timestamp {
    let Some((place, of)) = place.filter(|(_, of)| *of > 1) else { return last.plus_seconds(every) };
    let own = every.saturating_mul(place) / of;
    let earliest = last.plus_seconds(every.div_ceil(2));
    let ahead = (own + every - earliest.0 % every) % every;
    earliest.plus_seconds(ahead)
}

fn wait_after(failures: u32) -> Duration {
    RETRY_FIRST.saturating_mul(2_u32.saturating_pow(failures)).min(RETRY_MOST)
}

/// Removes the oldest periodic snapshots; one has just been taken.
fn remove_expired(directory: &Path, keep: usize) {
    let moments = match name::moments_in(directory) {
        Ok(moments) => moments,
        Err(error) => return log(&format!("`{}` cannot be read: {error}", directory.display())),
    };
    for moment in expired(&moments, now(), keep) {
        let name = rolling_name(moment);
        let path = directory.join(&name);
        match std::fs::remove_file(&path) {
            Ok(()) => log(&format!("removed `{name}`: {keep} newer ones are kept")),
            Err(error) => log(&format!("`{name}` cannot be removed: {error}")),
        }
        // Metadata of a deleted file is useless; the next snapshot of this name overwrites it.
        let _ = std::fs::remove_file(proof::note_of(&path));
        let _ = std::fs::remove_file(proof::damage_of(&path));
    }
}

/// All but the `keep` latest; those of the future, from before a clock was set back, count as the oldest.
fn expired(moments: &[Timestamp], now: Timestamp, keep: usize) -> Vec<Timestamp> {
    let (past, future): (Vec<Timestamp>, Vec<Timestamp>) = moments.iter().partition(|moment| **moment <= now);
    let by_age: Vec<Timestamp> = future.into_iter().chain(past).collect();
    by_age[..by_age.len().saturating_sub(keep)].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(seconds: &[u64]) -> Vec<Timestamp> {
        seconds.iter().copied().map(Timestamp).collect()
    }

    #[test]
    fn the_first_is_due_at_once_and_a_fresh_one_is_enough() {
        let wait = |moments: &[u64], now| wait_until_due(&at(moments), Timestamp(now), HOUR, || None);
        assert_eq!(wait(&[], 10_000), None);
        assert_eq!(wait(&[10_000], 10_000), Some(HOUR));
        assert_eq!(wait(&[5_000, 10_000], 13_599), Some(Duration::from_secs(1)));
        assert_eq!(wait(&[5_000, 10_000], 13_600), None);
    }

    #[test]
    fn a_clock_that_was_set_back_neither_stops_snapshots_nor_doubles_them() {
        let wait = |moments: &[u64]| wait_until_due(&at(moments), Timestamp(10_000), HOUR, || None);
        assert_eq!(wait(&[90_000]), None);
        assert_eq!(wait(&[9_999, 90_000]), Some(Duration::from_secs(3_599)));
    }

    #[test]
    fn members_take_turns() {
        const DAY: u64 = 86_400;
        // All begin at the same time, as the first snapshot comes at once.
        let firsts = [0, 7, 12_345, 43_200, 86_399].map(|first| Timestamp(20_000 * DAY + first));
        for every in [DAY / 2, DAY, 3_600, 60, 5, 1] {
            for of in [2, 3, 5, 7] {
                for first in firsts {
                    let moments: Vec<Timestamp> =
                        (0..of).map(|place| due_after(first, every, Some((place, of)))).collect();
                    for (place, due) in (0..).zip(&moments) {
                        let waits = due.seconds_since(first);
                        assert!(
                            waits >= every / 2 && waits <= every + every.div_ceil(2),
                            "{every} {of}: {waits}"
                        );
                        // From then on one each interval, whatever the delay of an attempt.
                        let late = due.plus_seconds(every / 4);
                        assert_eq!(due_after(*due, every, Some((place, of))), due.plus_seconds(every));
                        assert_eq!(due_after(late, every, Some((place, of))), due.plus_seconds(every));
                    }
                    let apart = every / of;
                    for (one, other) in moments.iter().zip(&moments[1..]) {
                        let distance = one.0.abs_diff(other.0) % every;
                        assert!(distance.min(every - distance) >= apart, "{every} {of}: {moments:?}");
                    }
                }
            }
        }
        assert_eq!(due_after(Timestamp(7), 60, None), Timestamp(67), "nobody knows its place");
        assert_eq!(due_after(Timestamp(7), 60, Some((0, 1))), Timestamp(67));
    }

    #[test]
    fn the_oldest_expire_and_never_the_one_just_taken() {
        let gone = |moments: &[u64], keep| expired(&at(moments), Timestamp(100), keep);
        assert_eq!(gone(&[10, 20, 30], 3), at(&[]));
        assert_eq!(gone(&[10, 20, 30, 100], 3), at(&[10]));
        assert_eq!(gone(&[10, 20, 100], 1), at(&[10, 20]));
        assert_eq!(gone(&[10, 100, 500, 600], 2), at(&[500, 600]));
        assert_eq!(gone(&[100, 500, 600], 1), at(&[500, 600]));
    }

    #[test]
    fn waits_after_failures_grow_to_five_minutes() {
        let waits: Vec<u64> = (0..8).map(|failures| wait_after(failures).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(wait_after(u32::MAX), RETRY_MOST);
    }
}
