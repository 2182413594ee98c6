//! Values as Go and Kubernetes read them: booleans, numbers, durations, quantities, addresses.

use std::net::IpAddr;

/// Source: `strconv.ParseBool` of Go.
pub(super) fn is_boolean(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True" | "0" | "f" | "F" | "false" | "FALSE" | "False")
}

/// Whether a text is a boolean that is true.
pub(super) fn is_true(text: &str) -> bool {
    is_boolean(text) && text.starts_with(['1', 't', 'T'])
}

/// Source: `strconv.ParseInt` of Go with the base 0.
pub(super) fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (radix, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    let plain = digits.replace('_', "");
    if plain.starts_with(['+', '-']) {
        return None;
    }
    let number = i64::from_str_radix(&plain, radix).ok()?;
    Some(if text.starts_with('-') { -number } else { number })
}

/// The longest duration of Go, whose nanoseconds are a number of 64 bits: some 292 years.
const LONGEST: f64 = 9_223_372_036.854_775;

/// The seconds of a duration. Source: `time.ParseDuration` of Go.
pub(super) fn duration(text: &str) -> Option<f64> {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Some(0.0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let unit_end =
            tail.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let number: f64 = number.parse().ok()?;
        seconds += number
            * match unit {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3_600.0,
                _ => return None,
            };
        rest = tail;
    }
    if seconds > LONGEST {
        return None;
    }
    Some(if text.starts_with('-') { -seconds } else { seconds })
}

/// Whether a text is a duration but for its length.
pub(super) fn is_too_long(text: &str) -> bool {
    let hours = text.trim_start_matches(['+', '-']).strip_suffix('h');
    hours.and_then(|hours| hours.parse::<f64>().ok()).is_some_and(|hours| hours * 3_600.0 > LONGEST)
}

/// A quantity as a number. Source: `resource.ParseQuantity` of Kubernetes.
pub(super) fn quantity(text: &str) -> Option<f64> {
    let plain = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = plain.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(plain.len());
    let (number, suffix) = plain.split_at(end);
    let exponent: Option<i32> = suffix.strip_prefix(['e', 'E']).and_then(|digits| digits.parse().ok());
    let factor = match (exponent, suffix) {
        (Some(exponent), _) => 10_f64.powi(exponent),
        (None, "") => 1.0,
        (None, "n") => 1e-9,
        (None, "u") => 1e-6,
        (None, "m") => 1e-3,
        (None, "k") => 1e3,
        (None, "M") => 1e6,
        (None, "G") => 1e9,
        (None, "T") => 1e12,
        (None, "P") => 1e15,
        (None, "E") => 1e18,
        (None, binary) => {
            let power = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter().position(|unit| *unit == binary)?;
            1024_f64.powi(i32::try_from(power).ok()? + 1)
        }
    };
    let number: f64 = number.parse().ok()?;
    Some(if text.starts_with('-') { -number * factor } else { number * factor })
}

/// The number before `%`.
pub(super) fn percentage(text: &str) -> Option<f64> {
    text.strip_suffix('%')?.parse().ok()
}

/// An address, also with numbers that begin with 0. Source: `netutils.ParseIPSloppy` of Kubernetes, which keeps what Go
/// took before 1.17.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let plain = |part: &str| {
        let digits = part.trim_start_matches('0');
        if digits.is_empty() && !part.is_empty() { "0".to_owned() } else { digits.to_owned() }
    };
    text.parse().ok().or_else(|| text.split('.').map(plain).collect::<Vec<_>>().join(".").parse().ok())
}

/// A set of processors such as `0-3,6`. Source: `cpuset.Parse` of Kubernetes.
pub(super) fn is_cpu_set(text: &str) -> bool {
    let number = |text: &str| text.parse::<u32>().ok();
    text.split(',').all(|part| match part.split_once('-') {
        Some((first, last)) => {
            matches!((number(first), number(last)), (Some(first), Some(last)) if first <= last)
        }
        None => number(part).is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_go_reads_them() {
        for (right, number) in
            [("0", 0), ("-1", -1), ("+7", 7), ("110", 110), ("0x1F", 31), ("010", 8), ("1_000", 1_000)]
        {
            assert_eq!(integer(right), Some(number), "{right}");
        }
        for wrong in ["", "1O0", "1.5", "08", "10s", "--1", "0x"] {
            assert_eq!(integer(wrong), None, "{wrong}");
        }
        for right in ["0", "40s", "1h30m", "-1s", "1.5h", ".5s", "5m0s", "10µs"] {
            assert!(duration(right).is_some(), "{right}");
        }
        for wrong in ["", "40", "30d", "s", "1h-", "1 h", ".", "2562048h", "8760000h"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        for right in ["10Mi", "0.5", "500m", "1e3", "8G", "1Gi", "100"] {
            assert!(quantity(right).is_some(), "{right}");
        }
        for wrong in ["", "10MB", "1gi", "1 Gi", "Mi", "10mb", "1.2.3"] {
            assert_eq!(quantity(wrong), None, "{wrong}");
        }
        for right in ["10.0.0.1", " fd00::1", "010.000.0.1"] {
            assert!(address(right).is_some(), "{right}");
        }
        for wrong in ["", "10.0.0", "10.0.0.300", "node-1", "10.0.0.1:80", "..."] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
        assert!(is_cpu_set("0-3,6") && !is_cpu_set("3-0") && !is_cpu_set("all"));
    }
}
