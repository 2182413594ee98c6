//! Removes what Kubernetes and its network plugins have added to the host's network, with the host's own
//! programs.
//!
//! The rules are read, those of Kubernetes left out, and the rest written back at once: the rules of others,
//! above all Docker's, stay as they are. A host without such a program has no such rules.

use std::io;

use crate::fault::{At, Fault};
use crate::host::run;

/// Each program manages rules of its own: of the older kernel interface and of the newer, for both versions
/// of IP.
const TABLES: [&str; 4] = ["iptables-legacy", "iptables-nft", "ip6tables-legacy", "ip6tables-nft"];
/// The prefixes of the names of chains that Kubernetes and its plugins create.
const CHAINS: [&str; 4] = ["KUBE-", "CNI-", "cali-", "FLANNEL-"];
/// The interfaces of network plugins and of kube-proxy: whole names, or prefixes that end with a star.
const INTERFACES: [&str; 7] =
    ["cni0", "flannel.1", "kube-ipvs0", "nodelocaldns", "vxlan.calico", "cali*", "weave"];

/// Removes all of it.
pub(crate) fn clean() -> Result<(), Fault> {
    TABLES.iter().try_for_each(|tables| clean_rules(tables).at(tables))?;
    clean_interfaces().at("ip")
}

fn clean_rules(tables: &str) -> io::Result<()> {
    let Some(output) = run(&format!("{tables}-save"), &[], None)? else { return Ok(()) };
    let rules = String::from_utf8_lossy(&output.stdout);
    let Some(rest) = without_ours(&rules) else { return Ok(()) };
    run(&format!("{tables}-restore"), &[], Some(rest.as_bytes())).map(|_| ())
}

/// The rules without those of Kubernetes; none if there are no such rules.
fn without_ours(rules: &str) -> Option<String> {
    let is_ours = |line: &str| {
        let names = |chain: &str| CHAINS.iter().any(|begin| chain.starts_with(begin));
        let mut words = line.split(' ');
        line.strip_prefix(':').is_some_and(names)
            || (line.starts_with("-A ") && words.any(names))
            || line.contains("--comment \"kubernetes ")
    };
    rules.lines().any(is_ours).then(|| {
        rules.lines().filter(|line| !is_ours(line)).fold(String::new(), |all, line| all + line + "\n")
    })
}

fn clean_interfaces() -> io::Result<()> {
    let Some(output) = run("ip", &["-o", "link"], None)? else { return Ok(()) };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some(name) = interface(line).filter(|name| is_of_plugins(name)) {
            run("ip", &["link", "delete", name], None)?;
        }
    }
    Ok(())
}

/// The name in a line such as `5: cni0: <BROADCAST…` or `7: veth1@if2: <…`.
fn interface(line: &str) -> Option<&str> {
    let name = line.split(' ').nth(1)?.strip_suffix(':')?;
    Some(name.split_once('@').map_or(name, |(name, _)| name))
}

fn is_of_plugins(name: &str) -> bool {
    INTERFACES.iter().any(|wanted| match wanted.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == *wanted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_rules_of_kubernetes_go() {
        let rules = "\
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:KUBE-SERVICES - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A KUBE-SERVICES -j RETURN
COMMIT
";
        let rest = "\
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
COMMIT
";
        assert_eq!(without_ours(rules).as_deref(), Some(rest));
        assert_eq!(without_ours(rest), None);
    }

    #[test]
    fn interfaces_of_plugins_are_distinguished_from_others() {
        let lines = [
            "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536",
            "5: cni0: <BROADCAST> mtu 1500",
            "7: cali12@if3: <BROADCAST>",
            "8: docker0: <BROADCAST>",
            "9: cni01: <BROADCAST>",
        ];
        let gone: Vec<&str> =
            lines.into_iter().filter_map(interface).filter(|name| is_of_plugins(name)).collect();
        assert_eq!(gone, ["cni0", "cali12"]);
    }
}
