//! What an address or a name of a host is good for: addresses that nobody reaches, and names for certificates.

use std::net::{IpAddr, Ipv4Addr};

/// An address or a name in the one spelling by which it is compared: `FD00:0::1` and `fd00::1` are one.
pub(super) fn canonical(text: &str) -> String {
    match text.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => text.trim_end_matches('.').to_lowercase(),
    }
}

/// What kind of address this is, if it is of a kind that only its own machine reaches.
pub(super) fn local_kind(text: &str) -> Option<&'static str> {
    // Names that systems give the loopback address in `/etc/hosts`.
    const LOOPBACK: [&str; 6] =
        ["localhost", "localhost4", "localhost6", "localhost.localdomain", "ip6-localhost", "ip6-loopback"];
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let is_of = |parent: &str| name.ends_with(parent);
    if LOOPBACK.contains(&&*name) || is_of(".localhost") || is_of(".localdomain4") || is_of(".localdomain6") {
        return Some("loopback");
    }
    match text.parse::<IpAddr>().ok()?.to_canonical() {
        address if address.is_loopback() => Some("loopback"),
        IpAddr::V4(address) if address.is_link_local() => Some("link-local"),
        IpAddr::V6(address) if address.is_unicast_link_local() => Some("link-local"),
        _ => None,
    }
}

/// What kind of address this is, if it is of a kind that no machine has.
pub(super) fn impossible_kind(text: &str) -> Option<&'static str> {
    match text.parse::<IpAddr>().ok()?.to_canonical() {
        address if address.is_unspecified() => Some("unspecified"),
        address if address.is_multicast() => Some("multicast"),
        IpAddr::V4(address) if address.is_broadcast() => Some("broadcast"),
        _ => None,
    }
}

/// Whether an address is of a range that is kept back, and that hardly a machine has: 0.0.0.0/8 and 240.0.0.0/4.
///
/// Source: RFC 6890. Linux takes such addresses, and some clouds use them inside.
pub(super) fn is_reserved(text: &str) -> bool {
    match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => {
            let first = address.octets()[0];
            (first == 0 && !address.is_unspecified()) || (first >= 240 && !address.is_broadcast())
        }
        _ => false,
    }
}

/// Why a text that ends in a number is no address; a name of a host never ends in one.
///
/// Source: RFC 1123, 2.1, and the URL standard, "ends in a number": programs read such a text as an IPv4 address, and
/// not all of them as the same one.
pub(super) fn number_flaw(text: &str) -> Option<String> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text.parse::<IpAddr>().is_ok()
        || !text.contains('.')
        || !text.rsplit('.').next().is_some_and(is_number)
    {
        return None;
    }
    let parts: Vec<&str> = text.split('.').collect();
    if !parts.iter().all(|part| is_number(part)) {
        return Some("the name of a host does not end in a number".to_owned());
    }
    Some(if parts.len() != 4 {
        format!("an IPv4 address has four numbers, and this has {}", parts.len())
    } else if let Some(large) = parts.iter().find(|part| part.parse::<u32>().is_ok_and(|number| number > 255))
    {
        format!("`{large}` is more than 255")
    } else {
        let plain: Vec<&str> = parts.iter().map(|part| part.trim_start_matches('0')).collect();
        let plain: Vec<&str> = plain.iter().map(|part| if part.is_empty() { "0" } else { *part }).collect();
        format!("a number does not begin with 0: `{}`", plain.join("."))
    })
}

/// The address that a number alone is taken for: the C library reads it so before it asks anybody for a name.
///
/// Source: `inet_aton` of POSIX; OpenSSH resolves names by it.
pub(super) fn address_of_number(text: &str) -> Option<Ipv4Addr> {
    let (radix, digits) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => (16, digits),
        None if text.len() > 1 && text.starts_with('0') => (8, &text[1..]),
        None => (10, text),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok().map(Ipv4Addr::from)
}

/// Whether a text is several addresses in one: `10.0.0.1-5`, `10.0.0.1-10.0.0.5`.
pub(super) fn is_span(text: &str) -> bool {
    text.split_once('-').is_some_and(|(first, last)| {
        let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
        first.parse::<IpAddr>().is_ok() && (is_number || last.parse::<IpAddr>().is_ok())
    })
}

/// Why a text is no name or address that a certificate can hold to any use, and what is meant perhaps.
pub(super) fn certificate_name_flaw(text: &str) -> Option<(String, String)> {
    if let Some(kind) = impossible_kind(text) {
        return Some((format!("no client asks for {kind} addresses"), "take it out".to_owned()));
    }
    if text.parse::<IpAddr>().is_ok() {
        return None;
    }
    let plain = |text: &str| text.trim_start_matches('[').trim_end_matches(']').to_owned();
    if let Some((address, _)) = text.split_once('%').filter(|(address, _)| address.parse::<IpAddr>().is_ok())
    {
        return Some((
            "what follows `%` counts on one machine alone, and is in no certificate".to_owned(),
            format!("write `{address}`, or an address that other machines reach"),
        ));
    }
    if let Some((_, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        let help = match plain(without_port(authority)) {
            name if name.is_empty() => "write a name or an address alone".to_owned(),
            name => format!("write the name alone: `{name}`"),
        };
        return Some(("it is a URL".to_owned(), help));
    }
    // As OpenSSL's own configuration has them.
    if let Some((kind, name)) = text.split_once(':').filter(|(kind, _)| matches!(*kind, "DNS" | "IP")) {
        return Some((format!("it begins with `{kind}:`"), format!("write it without: `{}`", name.trim())));
    }
    if text.contains([',', ';']) {
        return Some((
            "it is several in one".to_owned(),
            "write each as an item of its own, behind a `- `".to_owned(),
        ));
    }
    if is_span(text) || text.split_once('/').is_some_and(|(address, _)| address.parse::<IpAddr>().is_ok()) {
        return Some((
            "it is a range of addresses".to_owned(),
            "a certificate holds single addresses: list those that are used".to_owned(),
        ));
    }
    if without_port(text) != text {
        return Some((
            "it has a port".to_owned(),
            format!("write it without: `{}`", plain(without_port(text))),
        ));
    }
    if plain(text).parse::<IpAddr>().is_ok() {
        return Some(("it has brackets".to_owned(), format!("write it without: `{}`", plain(text))));
    }
    if let Some(why) = number_flaw(text) {
        return Some((why, "write an IP address or a DNS name".to_owned()));
    }
    let help = || "a DNS name has letters, digits, `-` and `.`, perhaps after `*.`".to_owned();
    if let Some(plain) = text.strip_suffix('.').filter(|plain| !plain.is_empty() && !plain.ends_with('.')) {
        return Some(("it ends with a dot".to_owned(), format!("write it without: `{plain}`")));
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    if text.len() > 253 {
        return Some(("it has more than 253 characters".to_owned(), help()));
    }
    let wrong = name.chars().find(|letter| !letter.is_ascii_alphanumeric() && !"-._".contains(*letter));
    if let Some(wrong) = wrong {
        let help =
            if wrong.is_ascii() { help() } else { "write the name in its ASCII form, `xn--…`".to_owned() };
        return Some((format!("`{}` cannot be part of a DNS name", wrong.escape_debug()), help));
    }
    if let Some(part) = name.split('.').find(|part| part.is_empty() || part.len() > 63) {
        let why = if part.is_empty() {
            "there is nothing before, after or between its dots".to_owned()
        } else {
            "a part of it has more than 63 characters".to_owned()
        };
        return Some((why, help()));
    }
    if let Some(part) = name.split('.').find(|part| part.starts_with('-') || part.ends_with('-')) {
        return Some((format!("`{part}` begins or ends with `-`"), help()));
    }
    None
}

/// What stands before a port, if there is one.
fn without_port(text: &str) -> &str {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match text.rsplit_once(':') {
        Some((host, port)) if is_port(port) && (!host.contains(':') || host.ends_with(']')) => host,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_one() {
        assert_eq!(canonical("FD00:0:0::0003"), canonical("fd00::3"));
        assert_eq!(canonical("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(canonical("Node-1.Example.COM."), "node-1.example.com");
    }

    #[test]
    fn addresses_that_nobody_else_reaches_have_a_kind() {
        for (text, kind) in [
            ("127.0.0.1", Some("loopback")),
            ("127.0.1.1", Some("loopback")),
            ("::1", Some("loopback")),
            ("LocalHost", Some("loopback")),
            ("169.254.10.1", Some("link-local")),
            ("fe80::1", Some("link-local")),
            ("10.0.0.1", None),
            ("fd00::1", None),
            ("localhost.localdomain", Some("loopback")),
            ("localhost6.localdomain6", Some("loopback")),
            ("localhost-1", None),
            ("node.localdomain", None),
        ] {
            assert_eq!(local_kind(text), kind, "{text}");
        }
        for (text, kind) in [
            ("0.0.0.0", Some("unspecified")),
            ("::", Some("unspecified")),
            ("224.0.0.1", Some("multicast")),
            ("ff02::1", Some("multicast")),
            ("255.255.255.255", Some("broadcast")),
            ("10.0.0.255", None),
        ] {
            assert_eq!(impossible_kind(text), kind, "{text}");
        }
    }

    #[test]
    fn ranges_that_are_kept_back_are_known() {
        for reserved in ["0.1.2.3", "240.0.0.1", "254.1.1.1", "::ffff:241.0.0.1"] {
            assert!(is_reserved(reserved), "{reserved}");
        }
        for plain in ["0.0.0.0", "1.0.0.1", "223.255.255.1", "255.255.255.255", "fd00::1", "node-1"] {
            assert!(!is_reserved(plain), "{plain}");
        }
    }

    #[test]
    fn a_name_does_not_end_in_a_number() {
        for right in ["10.0.0.9", "node-1", "20240101", "10.example", "fd00::1", "v1.2.x"] {
            assert_eq!(number_flaw(right), None, "{right}");
        }
        for (wrong, why) in [
            ("10.0.0.300", "`300` is more than 255"),
            ("10.0.0.09", "a number does not begin with 0: `10.0.0.9`"),
            ("10.0.0.00", "a number does not begin with 0: `10.0.0.0`"),
            ("10.0.1", "an IPv4 address has four numbers, and this has 3"),
            ("1.2.3.4.5", "an IPv4 address has four numbers, and this has 5"),
            ("node.1", "the name of a host does not end in a number"),
        ] {
            assert_eq!(number_flaw(wrong).as_deref(), Some(why), "{wrong}");
        }
    }

    #[test]
    fn a_number_alone_is_an_address() {
        for (text, address) in [
            ("2130706433", Some("127.0.0.1")),
            ("0x7f000001", Some("127.0.0.1")),
            ("017700000001", Some("127.0.0.1")),
            ("1", Some("0.0.0.1")),
            ("node-1", None),
            ("4294967296", None),
            ("10.0.0.1", None),
            ("089", None),
        ] {
            assert_eq!(
                address_of_number(text).map(|address| address.to_string()).as_deref(),
                address,
                "{text}"
            );
        }
        assert!(is_span("10.0.0.1-5") && is_span("10.0.0.1-10.0.0.5") && !is_span("node-5"));
    }

    #[test]
    fn names_for_certificates_are_dns_names_or_addresses() {
        for right in [
            "k8s.example.com",
            "*.example.com",
            "K8S",
            "10.0.0.1",
            "127.0.0.1",
            "fd00::1",
            "under_score.lan",
            "a-b.c",
        ] {
            assert_eq!(certificate_name_flaw(right), None, "{right}");
        }
        for (wrong, help) in [
            ("https://k8s.example.com:6443", "write the name alone: `k8s.example.com`"),
            ("https://[fd00::1]:6443/x", "write the name alone: `fd00::1`"),
            ("k8s.example.com:6443", "write it without: `k8s.example.com`"),
            ("10.0.0.1:6443", "write it without: `10.0.0.1`"),
            ("[fd00::1]:6443", "write it without: `fd00::1`"),
            ("10.0.0.0/24", "a certificate holds single addresses: list those that are used"),
            ("[fd00::1]", "write it without: `fd00::1`"),
            ("10.0.0.1-5", "a certificate holds single addresses: list those that are used"),
            ("DNS:api.example.com", "write it without: `api.example.com`"),
            ("a.example.com,b.example.com", "write each as an item of its own, behind a `- `"),
            ("https://", "write a name or an address alone"),
            ("10.0.0.300", "write an IP address or a DNS name"),
            ("my host", "a DNS name has letters, digits, `-` and `.`, perhaps after `*.`"),
            ("a..b", "a DNS name has letters, digits, `-` and `.`, perhaps after `*.`"),
            ("a.*.b", "a DNS name has letters, digits, `-` and `.`, perhaps after `*.`"),
            ("-a.example.com", "a DNS name has letters, digits, `-` and `.`, perhaps after `*.`"),
            ("a.b.", "write it without: `a.b`"),
            ("0.0.0.0", "take it out"),
            ("fd00::1%eth0", "write `fd00::1`, or an address that other machines reach"),
            ("::", "take it out"),
            ("ff02::1", "take it out"),
            ("müller.example.com", "write the name in its ASCII form, `xn--…`"),
        ] {
            assert_eq!(certificate_name_flaw(wrong).map(|(_, help)| help).as_deref(), Some(help), "{wrong}");
        }
    }
}
