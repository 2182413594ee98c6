//! Proxies that components use, and what they must not reach by them.

use std::net::IpAddr;

use windlass_model::Component;
use windlass_spec::Cidr;

use crate::cluster::Cluster;
use crate::services::service_of;
use windlass_addons::Problems;

/// Warns of a component that would ask a proxy for nodes or Services: the exceptions lack them.
///
/// Source: `golang.org/x/net/http/httpproxy`, which the components use; it leaves out the own machine by itself.
pub(crate) fn check(cluster: &Cluster<'_>, problems: &mut Problems) {
    for component in [Component::KubeApiserver, Component::KubeControllerManager, Component::Kubelet] {
        let Some((service, path)) = service_of(component, cluster) else { continue };
        let value = |names: [&str; 2]| {
            service.extra_env.iter().enumerate().rev().find_map(|(index, variable)| {
                let (name, value) = variable.split_once('=')?;
                (names.contains(&name) && !value.is_empty()).then_some((index, value))
            })
        };
        let proxy = value(["HTTPS_PROXY", "https_proxy"]).or_else(|| value(["HTTP_PROXY", "http_proxy"]));
        let Some((index, _)) = proxy else { continue };
        let place = format!("{path}.extra_env[{index}]");
        let Some((exceptions, list)) = value(["NO_PROXY", "no_proxy"]) else {
            problems.warning(
                &place,
                format!("{component} asks the proxy for nodes and Services too: there is no NO_PROXY"),
                Some(format!("add `NO_PROXY=…` with the nodes and {}", ranges(cluster))),
            );
            continue;
        };
        let list: Vec<&str> = list.split(',').map(str::trim).collect();
        let mut lacking: Vec<String> = cluster
            .service_ranges
            .iter()
            .filter(|range| !range.nth(1).is_some_and(|first| covers(&list, &first.to_string())))
            .map(|range| format!("Services in {range}"))
            .collect();
        let outside: Vec<&str> = cluster
            .nodes
            .values()
            .map(|node| node.spec.internal_address())
            .filter(|address| !covers(&list, address))
            .collect();
        if let Some(first) = outside.first() {
            let rest = outside.len() - 1;
            let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
            lacking.push(format!("node {first}{more}"));
        }
        if !lacking.is_empty() {
            problems.warning(
                &format!("{path}.extra_env[{exceptions}]"),
                format!("{component} asks the proxy for {}: NO_PROXY does not name them", lacking.join(", ")),
                Some("add their addresses or ranges".to_owned()),
            );
        }
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
    }
}
