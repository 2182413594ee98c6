//! When the next snapshot is due, how long to wait after failures, and which snapshots have expired.

use std::time::Duration;

use windlass_model::Timestamp;

/// The first wait after a failure; each further one is twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// The longest wait after a failure.
const RETRY_MOST: Duration = Duration::from_secs(300);

/// How long until the next snapshot is due; none if it is.
///
/// Snapshots of the future, from before a clock was set back, say nothing about the last one.
pub(super) fn wait_until_due(
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

pub(super) fn wait_after(failures: u32) -> Duration {
    RETRY_FIRST.saturating_mul(2_u32.saturating_pow(failures)).min(RETRY_MOST)
}

/// All but the `keep` latest; those of the future, from before a clock was set back, count as the oldest.
pub(super) fn expired(moments: &[Timestamp], now: Timestamp, keep: usize) -> Vec<Timestamp> {
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
