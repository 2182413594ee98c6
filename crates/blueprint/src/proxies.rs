//! Proxies that components use, and what they must not reach by them.

use std::net::IpAddr;

use windlass_model::{Component, Role};
use windlass_spec::Cidr;

use crate::cluster::Cluster;
use crate::services::service_of;
use windlass_addons::Problems;

/// Warns of a component that would ask a proxy for nodes or Services: the exceptions lack them.
///
/// Source: `golang.org/x/net/http/httpproxy`, which the components use: `getEnvAny` there; it leaves out the own machine by itself.
pub(crate) fn check(cluster: &Cluster<'_>, problems: &mut Problems) {
    for component in
        [Component::Etcd, Component::KubeApiserver, Component::KubeControllerManager, Component::Kubelet]
    {
        // A member of etcd asks the others alone, and none where it is the only one.
        let is_etcd = component == Component::Etcd;
        let asked: Vec<&str> = cluster
            .nodes
            .values()
            .filter(|node| !is_etcd || node.has(Role::Etcd))
            .map(|node| node.spec.internal_address())
            .collect();
        if is_etcd && asked.len() < 2 {
            continue;
        }
        let Some((service, path)) = service_of(component, cluster) else { continue };
        // The capital letters come first, whatever the order of the variables.
        let value = |names: [&str; 2]| {
            names.into_iter().find_map(|wanted| {
                service.extra_env.iter().enumerate().rev().find_map(|(index, variable)| {
                    let (name, value) = variable.split_once('=')?;
                    (name == wanted && !value.is_empty()).then_some((index, value))
                })
            })
        };
        let proxy = value(["HTTPS_PROXY", "https_proxy"]).or_else(|| value(["HTTP_PROXY", "http_proxy"]));
        let Some((index, _)) = proxy else { continue };
        let place = format!("{path}.extra_env[{index}]");
        let Some((exceptions, list)) = value(["NO_PROXY", "no_proxy"]) else {
            let (what, help) = if is_etcd {
                ("the other members", "add `NO_PROXY=…` with the nodes of etcd".to_owned())
            } else {
                ("nodes and Services too", format!("add `NO_PROXY=…` with the nodes and {}", ranges(cluster)))
            };
            let summary = format!("{component} asks the proxy for {what}: there is no NO_PROXY");
            problems.warning(&place, summary, Some(help));
            continue;
        };
        let help = help_of(list);
        let list: Vec<&str> = list.split(',').map(str::trim).collect();
        let mut lacking: Vec<String> = cluster
            .service_ranges
            .iter()
            .filter(|_| !is_etcd)
            .filter(|range| !range.nth(1).is_some_and(|first| covers(&list, &first.to_string())))
            .map(|range| format!("Services in {range}"))
            .collect();
        let outside: Vec<&str> = asked.into_iter().filter(|address| !covers(&list, address)).collect();
        if let Some(first) = outside.first() {
            let rest = outside.len() - 1;
            let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
            lacking.push(format!("node {first}{more}"));
        }
        if !lacking.is_empty() {
            problems.warning(
                &format!("{path}.extra_env[{exceptions}]"),
                format!("{component} asks the proxy for {}: NO_PROXY does not name them", lacking.join(", ")),
                Some(help.to_owned()),
            );
        }
    }
}

/// What to do about exceptions that lack something, in view of how they are written.
fn help_of(list: &str) -> &'static str {
    let list = list.trim();
    if list.contains(';') || list.split(',').any(|entry| entry.trim().contains(char::is_whitespace)) {
        "write commas between the exceptions"
    } else if list.contains("://") {
        "write names, addresses and ranges alone, without a scheme"
    } else if list.split(',').any(|entry| entry.trim().ends_with('*') && entry.trim() != "*") {
        "write ranges such as `10.0.0.0/8`: no program knows a `*` at the end"
    } else {
        "add their addresses or ranges"
    }
}

fn ranges(cluster: &Cluster<'_>) -> String {
    cluster.service_ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// Whether a host is among the exceptions.
fn covers(list: &[&str], host: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    list.iter().any(|entry| {
        let name = entry.trim_start_matches('*').trim_start_matches('.');
        *entry == "*"
            || entry.eq_ignore_ascii_case(host)
            || address.is_some_and(|address| {
                entry.parse::<Cidr>().is_ok_and(|range| range.contains(address))
                    || entry.parse::<IpAddr>().is_ok_and(|other| other == address)
            })
            || (address.is_none()
                && !name.is_empty()
                && host.to_ascii_lowercase().ends_with(&format!(".{}", name.to_ascii_lowercase())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_ranges_addresses_and_domains() {
        let list = ["10.0.0.0/8", "192.168.1.1", ".example.com", "*.lan"];
        for host in ["10.43.0.1", "192.168.1.1", "node-1.example.com", "a.lan"] {
            assert!(covers(&list, host), "{host}");
        }
        for host in ["11.0.0.1", "example.org", "192.168.1.2"] {
            assert!(!covers(&list, host), "{host}");
        }
        assert!(covers(&["*"], "anything"));
        for (list, help) in [
            ("10.0.0.1;10.0.0.2", "write commas between the exceptions"),
            ("10.0.0.1 10.0.0.2", "write commas between the exceptions"),
            ("https://10.0.0.1", "write names, addresses and ranges alone, without a scheme"),
            ("10.0.0.*", "write ranges such as `10.0.0.0/8`: no program knows a `*` at the end"),
            ("10.0.0.1, 10.0.0.2", "add their addresses or ranges"),
        ] {
            assert_eq!(help_of(list), help, "{list}");
        }
    }
}
