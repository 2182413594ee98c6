//! The Corefile: what `CoreDNS` answers itself, and which servers it asks for the rest.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use windlass_spec::DnsSpec;

use crate::problem::Problems;

/// The most servers that the plugin `forward` accepts: <https://coredns.io/plugins/forward/>.
const MOST_SERVERS: usize = 15;

/// The zones of addresses where cluster.yml names no ranges.
const REVERSE: &str = "in-addr.arpa ip6.arpa";

pub(super) fn corefile(dns: &DnsSpec, domain: &str, ready: Option<&str>) -> String {
    let reverse = if dns.reverse_cidrs.is_empty() { REVERSE.to_owned() } else { dns.reverse_cidrs.join(" ") };
    let servers = if dns.upstream_nameservers.is_empty() {
        "/etc/resolv.conf".to_owned()
    } else {
        dns.upstream_nameservers.join(" ")
    };
    let ready = ready.map(|plugin| format!("\n    {plugin}")).unwrap_or_default();
    let mut text = format!(
        ".:53 {{
    errors
    health {{
        lameduck 5s
    }}{ready}
    kubernetes {domain} {reverse} {{
        pods insecure
        fallthrough {REVERSE}
    }}
    prometheus :9153
    forward . {servers}
    cache 30
    loop
    reload
    loadbalance
}}
"
    );
    for (zone, servers) in dns.stub_domains.iter().filter(|(_, servers)| !servers.is_empty()) {
        write!(text, "{zone}:53 {{\n    errors\n    cache 30\n    forward . {}\n}}\n", servers.join(" "))
            .expect("a String takes every text");
    }
    text
}

/// Reports settings with which `CoreDNS` would not start.
pub(super) fn check(dns: &DnsSpec, problems: &mut Problems) {
    servers(&dns.upstream_nameservers, "dns.upstreamnameservers", problems);
    for (index, range) in dns.reverse_cidrs.iter().enumerate() {
        if !is_word(range) {
            problems.error(
                &format!("dns.reversecidrs[{index}]"),
                format!("`{range}` is no range of addresses and no zone"),
                Some("write a range such as `10.42.0.0/16`".to_owned()),
            );
        }
    }
    for (zone, list) in &dns.stub_domains {
        let path = format!("dns.stubdomains.{zone}");
        if !is_word(zone) || zone.contains(':') {
            problems.error(
                &path,
                format!("`{zone}` is no domain"),
                Some("write one such as `example.com`".to_owned()),
            );
        } else if zone == "." {
            problems.error(
                &path,
                "`.` is every domain, for which CoreDNS asks `upstreamnameservers`".to_owned(),
                Some("write its name servers under `dns.upstreamnameservers`".to_owned()),
            );
        } else if list.is_empty() {
            problems.warning(
                &path,
                format!("`{zone}` has no name servers: no effect"),
                Some("list their addresses".to_owned()),
            );
        }
        servers(list, &path, problems);
    }
}

fn servers(list: &[String], path: &str, problems: &mut Problems) {
    for (index, server) in list.iter().enumerate() {
        if !is_server(server) {
            problems.error(
                &format!("{path}[{index}]"),
                format!("`{server}` is no address of a name server"),
                Some("write an IP address, with a port where it is not 53: `192.0.2.53:5353`".to_owned()),
            );
        }
    }
    if list.len() > MOST_SERVERS {
        problems.error(
            path,
            format!("{} name servers, and CoreDNS asks {MOST_SERVERS} at most", list.len()),
            Some("leave some out".to_owned()),
        );
    }
}

/// An address with or without a port, perhaps after a protocol; or a file such as `/etc/resolv.conf`.
fn is_server(text: &str) -> bool {
    let address = text
        .split_once("://")
        .map_or(text, |(protocol, address)| if matches!(protocol, "dns" | "tls") { address } else { "" });
    let is_file = text.starts_with('/') && is_word(text);
    is_file || address.parse::<IpAddr>().is_ok() || address.parse::<SocketAddr>().is_ok()
}

/// Whether a Corefile takes the text as one word.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|letter| !letter.is_whitespace() && !letter.is_control() && !"{}[]\"#`\\".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_addresses_or_files() {
        for server in [
            "192.0.2.53",
            "192.0.2.53:5353",
            "2001:db8::53",
            "[2001:db8::53]:53",
            "tls://9.9.9.9",
            "dns://192.0.2.53:53",
            "/etc/own.conf",
        ] {
            assert!(is_server(server), "{server}");
        }
        for other in ["ns.example.com", "https://9.9.9.9", "192.0.2.53:dns", "", "/etc/a b", "192.0.2.0/24"] {
            assert!(!is_server(other), "{other}");
        }
    }
}
