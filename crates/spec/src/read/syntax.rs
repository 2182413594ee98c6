//! The small syntaxes inside texts: host names, labels, mounts, durations.

use std::time::Duration;

/// Why a text is not what it should be; completes the sentence "`…`: …".
pub(super) type Flaw = String;

/// A host name in the form that Kubernetes demands of a node: an RFC 1123 subdomain.
pub(super) fn subdomain(text: &str) -> Result<(), Flaw> {
    const MOST: usize = 253;
    if text.len() > MOST {
        return Err(format!("it has more than {MOST} characters"));
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    for part in text.split('.') {
        if part.is_empty() {
            return Err("there is nothing before, after or between its dots".to_owned());
        }
        if part.len() > 63 {
            return Err(format!("`{part}` has more than 63 characters"));
        }
        if let Some(wrong) = part.chars().find(|letter| !u8::try_from(*letter).is_ok_and(allowed)) {
            return Err(format!("`{}` is neither a letter, a digit, `-` nor `.`", wrong.escape_debug()));
        }
        if part.starts_with('-') || part.ends_with('-') {
            return Err(format!("`{part}` begins or ends with `-`"));
        }
    }
    Ok(())
}

/// Something that SSH can be asked to connect to: no room for options, users or paths.
pub(super) fn address(text: &str) -> Result<(), Flaw> {
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    if text.starts_with('-') {
        return Err("it begins with `-`".to_owned());
    }
    if text.contains("://") {
        return Err("it is a URL".to_owned());
    }
    if let Some((address, _)) = text.split_once('%')
        && address.parse::<std::net::Ipv6Addr>().is_ok()
    {
        return Err(format!("what follows `%` counts on one machine alone: `{address}`"));
    }
    if let Some((_, port)) = text.split_once(':')
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err("the port has a key of its own, `port`".to_owned());
    }
    let allowed = |letter: &char| letter.is_ascii_alphanumeric() || "-._".contains(*letter);
    match text.chars().find(|letter| !allowed(letter)) {
        Some(wrong) => {
            Err(format!("`{}` cannot be part of a host name or an IP address", wrong.escape_debug()))
        }
        None => super::hosts::number_flaw(text).map_or(Ok(()), Err),
    }
}

/// The name of a node: kubelet makes a label of it, whose value has at most 63 characters.
/// Source: `kubernetes.io/hostname` in `pkg/kubelet/kubelet_node_status.go`, and the syntax of labels.
pub(super) fn node_name(text: &str) -> Result<(), Flaw> {
    subdomain(text)?;
    if text.len() > 63 {
        return Err(format!("it has {} characters, and the label of its name at most 63", text.len()));
    }
    Ok(())
}

/// A user's name that no shell and no SSH takes for something else.
pub(super) fn user(text: &str) -> Result<(), Flaw> {
    if text.starts_with('-') {
        return Err("it begins with `-`".to_owned());
    }
    match text.chars().find(|letter| letter.is_whitespace() || letter.is_control() || ":/".contains(*letter))
    {
        Some(wrong) => Err(format!("`{}` cannot be part of a user's name", wrong.escape_debug())),
        None => Ok(()),
    }
}

/// A label's key: a name, with a domain and a slash before it if there is one.
/// Source: Kubernetes, "Labels and Selectors", syntax and character set.
pub(super) fn label_key(text: &str) -> Result<(), Flaw> {
    let name = match text.split_once('/') {
        Some((domain, name)) => {
            subdomain(domain).map_err(|flaw| format!("before its `/`, {flaw}"))?;
            name
        }
        None => text,
    };
    if name.is_empty() {
        return Err("it has no name".to_owned());
    }
    label_name(name)
}

/// A label's value, which may be empty.
pub(super) fn label_value(text: &str) -> Result<(), Flaw> {
    if text.is_empty() { Ok(()) } else { label_name(text) }
}

fn label_name(text: &str) -> Result<(), Flaw> {
    if text.chars().count() > 63 {
        return Err("it has more than 63 characters".to_owned());
    }
    let allowed = |letter: &char| letter.is_ascii_alphanumeric() || "-_.".contains(*letter);
    if let Some(wrong) = text.chars().find(|letter| !allowed(letter)) {
        return Err(format!("`{}` is neither a letter, a digit, `-`, `_` nor `.`", wrong.escape_debug()));
    }
    let outer = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    if outer(text.chars().next()) && outer(text.chars().next_back()) {
        Ok(())
    } else {
        Err("it must begin and end with a letter or a digit".to_owned())
    }
}

/// Docker's options of a bind mount.
const BIND_OPTIONS: [&str; 14] = [
    "ro",
    "rw",
    "z",
    "Z",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "private",
    "rprivate",
    "nocopy",
    "consistent",
    "cached",
    "delegated",
];

/// The options of a mount that exclude each other, by what they decide; Docker takes one of each at most.
const EXCLUSIVE: [&[&str]; 5] = [
    &["ro", "rw"],
    &["z", "Z"],
    &["shared", "rshared", "slave", "rslave", "private", "rprivate"],
    &["nocopy"],
    &["consistent", "cached", "delegated"],
];

/// Whether a text is a path alone, which Docker takes for a volume without a name at that place.
pub(super) fn is_anonymous_volume(text: &str) -> bool {
    !text.contains(':') && text.starts_with('/') && text.len() > 1
}

/// A bind mount in Docker's short form: `from:to` or `from:to:options`.
///
/// Source: `volume/mounts/linux_parser.go` of moby/moby, and the names of volumes in `daemon/names`.
pub(super) fn bind(text: &str) -> Result<(), Flaw> {
    let parts: Vec<&str> = text.split(':').collect();
    let (from, to, options) = match parts[..] {
        [from, to] => (from, to, None),
        [from, to, options] => (from, to, Some(options)),
        [_] => return Err("it has no `:`".to_owned()),
        _ => return Err("it has more than two `:`".to_owned()),
    };
    if from.is_empty() {
        return Err("there is nothing before its first `:`".to_owned());
    }
    let is_volume = !from.starts_with('/');
    let of_name = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if is_volume && !(from.len() > 1 && from.chars().all(of_name) && !from.starts_with(['_', '.', '-'])) {
        return Err(format!("`{from}` is neither an absolute path nor the name of a volume"));
    }
    if !to.starts_with('/') {
        let all_known = !to.is_empty() && to.split(',').all(|option| BIND_OPTIONS.contains(&option));
        return Err(if all_known && options.is_none() {
            "there is no path in the container before its options".to_owned()
        } else {
            format!("`{to}` is no absolute path in the container")
        });
    }
    if to.trim_end_matches('/').is_empty() {
        return Err("nothing can be mounted over the whole container".to_owned());
    }
    // Docker takes nothing behind the second colon for no options.
    let options = options.filter(|options| !options.is_empty());
    let given: Vec<&str> = options.into_iter().flat_map(|options| options.split(',')).collect();
    if let Some(both) =
        EXCLUSIVE.iter().find(|group| given.iter().filter(|option| group.contains(option)).count() > 1)
    {
        return Err(format!("it has more than one of {}", both.join(", ")));
    }
    let spreads = given.iter().find(|option| {
        option.ends_with("shared") || option.ends_with("slave") || option.ends_with("private")
    });
    if let Some(option) = spreads.filter(|_| is_volume) {
        return Err(format!("`{option}` is for a directory of the node, and `{from}` is a volume of Docker"));
    }
    for option in given {
        if !BIND_OPTIONS.contains(&option) {
            return Err(format!("Docker knows no mount option `{option}`"));
        }
    }
    Ok(())
}

/// A duration as Go writes it, longer than nothing: `72h`, `1h30m`, `500ms`.
pub(super) fn duration(text: &str) -> Result<Duration, Flaw> {
    match Duration::try_from_secs_f64(seconds(text)?) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err("it must be longer than nothing".to_owned()),
        Err(_) => Err("it is longer than any clock can tell".to_owned()),
    }
}

/// Any duration that Go reads, also none and one below zero.
pub(super) fn go_duration(text: &str) -> Result<(), Flaw> {
    let plain = text.strip_prefix(['+', '-']).unwrap_or(text);
    if plain == "0" { Ok(()) } else { seconds(plain).map(|_| ()) }
}

/// The longest duration of Go, whose nanoseconds are a number of 64 bits.
const LONGEST: f64 = 9_223_372_036.854_775;

fn seconds(text: &str) -> Result<f64, Flaw> {
    let form = || "a duration is written like `72h` or `1h30m`".to_owned();
    let mut rest = text;
    let mut seconds = 0.0_f64;
    if rest.is_empty() {
        return Err(form());
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').ok_or_else(form)?;
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| form())?;
        let unit_end =
            tail.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        seconds += number
            * match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                "d" => return Err("there is no unit `d`: write days in hours".to_owned()),
                _ => return Err(form()),
            };
        rest = tail;
    }
    if seconds > LONGEST {
        return Err("it is longer than `2562047h`, some 292 years: no program reads it".to_owned());
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_names_follow_rfc_1123() {
        for right in ["node-1", "10.0.0.1", "a.b.c", "1", &"a".repeat(63)] {
            assert_eq!(subdomain(right), Ok(()), "{right}");
        }
        for wrong in [
            "",
            "a..b",
            ".a",
            "a.",
            "-a",
            "a-",
            "a_b",
            "A",
            "fd00::1",
            "a b",
            &"a".repeat(64),
            &"a.".repeat(200),
        ] {
            assert!(subdomain(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn labels_follow_the_rules_of_kubernetes() {
        for right in ["app", "example.com/app", "node-role.kubernetes.io/master", "A_b.c-d"] {
            assert_eq!(label_key(right), Ok(()), "{right}");
        }
        for wrong in ["", "/app", "a/b/c", "example.com/", "-a", "a b", "Example.com/a", &"a".repeat(64)] {
            assert!(label_key(wrong).is_err(), "{wrong}");
        }
        assert_eq!(label_value(""), Ok(()));
        assert_eq!(label_value("true"), Ok(()));
        assert!(label_value("a/b").is_err());
    }

    #[test]
    fn binds_have_two_or_three_parts() {
        for right in ["/a:/b", "/:/host:rslave", "data:/b:ro,z", "/a:/b:"] {
            assert_eq!(bind(right), Ok(()), "{right}");
        }
        for wrong in [
            "/a",
            "/a:b",
            ":/b",
            "/a:/b:ro:z",
            "/a:/b:readonly",
            "/a:/b:ro,",
            "/a:/",
            "/a:ro",
            "./a:/b",
            "~/a:/b",
            "/a:/b:ro,rw",
            "/a:/b:z,z",
            "x:/b",
            "data:/b:rshared",
            "data:/b:ro,private",
        ] {
            assert!(bind(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_those_of_go() {
        let seconds = |text| duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("72h"), Ok(259_200));
        assert_eq!(seconds("1h30m"), Ok(5_400));
        assert_eq!(seconds("1.5h"), Ok(5_400));
        for right in ["0", "0s", "-5s", "+1m30s"] {
            assert_eq!(go_duration(right), Ok(()), "{right}");
        }
        for wrong in ["", "5", "-", "5 s", "1d"] {
            assert!(go_duration(wrong).is_err(), "{wrong}");
        }
        for wrong in
            ["", "72", "3d", "h", "0s", "1h-", "-1h", "1 h", "1e9h", "8760000h", "999999999999999999999h"]
        {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_cannot_smuggle_anything_to_ssh() {
        for right in ["10.0.0.1", "fd00::1", "node-1.example.com", "under_score"] {
            assert_eq!(address(right), Ok(()), "{right}");
        }
        assert!(node_name("a.".repeat(31).trim_end_matches('.')).is_ok());
        assert!(node_name(&format!("{}.b", "a".repeat(62))).is_err());
        for wrong in ["10.0.0.300", "-oProxyCommand=x", "root@host", "host:22", "a b", "a/b", "$(x)"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
