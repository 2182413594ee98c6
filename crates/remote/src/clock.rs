//! The time of day, and times as Docker writes them.

use std::time::{SystemTime, UNIX_EPOCH};

use windlass_engine::Clock;
use windlass_model::Timestamp;

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(since.as_secs())
    }
}

/// A moment in RFC 3339, in any zone; none before 1970, and none for other texts.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let rest = text.get(19..)?.trim_start_matches(|sign: char| sign == '.' || sign.is_ascii_digit());
    let offset = match rest.split_at_checked(1)? {
        ("Z" | "z", _) => 0,
        (sign @ ("+" | "-"), zone) => {
            let (hours, minutes) = zone.split_once(':')?;
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if sign == "+" { minutes * 60 } else { -minutes * 60 }
        }
        _ => return None,
    };
    // Years are counted from March, so that the leap day comes last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    u64::try_from(days * 86_400 + hour * 3_600 + minute * 60 + second - offset).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_any_zone() {
        for (text, wanted) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:00.123456789Z", Some(951_782_400)),
            ("2000-02-29T02:00:00.5+02:00", Some(951_782_400)),
            ("2000-02-28T23:30:00-00:30", Some(951_782_400)),
            ("2025-12-31T23:59:59Z", Some(1_767_225_599)),
            ("0001-01-01T00:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(parse(text), wanted.map(Timestamp), "{text}");
        }
    }
}
