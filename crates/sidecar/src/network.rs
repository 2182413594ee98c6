//! Removes what Kubernetes and its network plugins have added to the host's network, with the host's own
//! programs.
//!
//! Chains and rules are deleted by their names, each table in one transaction that leaves everything else as
//! it is: rules that Docker, firewalld or fail2ban add meanwhile stay. A host without such a program has no
//! such rules.

use std::fmt::Write as _;
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

/// How often the rules are read again, where a rule that was to be deleted is gone already.
const ATTEMPTS: u32 = 3;

fn clean_rules(tables: &str) -> io::Result<()> {
    let mut outcome = Ok(());
    for _ in 0..ATTEMPTS {
        let Some(output) = run(&format!("{tables}-save"), &[], None)? else { return Ok(()) };
        let Some(deletion) = deletion_of_ours(&String::from_utf8_lossy(&output.stdout)) else {
            return Ok(());
        };
        let restore = format!("{tables}-restore");
        // With the lock that other programs take too; those before 1.6.2 know none.
        outcome = run(&restore, &["--noflush", "--wait=5"], Some(deletion.as_bytes()))
            .or_else(|_| run(&restore, &["--noflush"], Some(deletion.as_bytes())))
            .map(|_| ());
        if outcome.is_ok() {
            return outcome;
        }
    }
    outcome
}

/// The input of `iptables-restore --noflush` that deletes the chains and rules of Kubernetes, and nothing
/// else; none if there are none.
///
/// A chain is named to empty it, rules of other chains that lead to it are deleted, and then the chain is:
/// as kube-proxy does when it cleans up.
fn deletion_of_ours(rules: &str) -> Option<String> {
    let names = |chain: &str| CHAINS.iter().any(|begin| chain.starts_with(begin));
    let (mut all, mut is_any) = (String::new(), false);
    let (mut emptied, mut rules_gone, mut gone) = (String::new(), String::new(), String::new());
    for line in rules.lines() {
        if let Some(chain) =
            line.strip_prefix(':').and_then(|rest| rest.split(' ').next()).filter(|chain| names(chain))
        {
            let _ = writeln!(emptied, ":{chain} - [0:0]");
            let _ = writeln!(gone, "-X {chain}");
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let in_ours = rule.split(' ').next().is_some_and(names);
            let leads_to_ours = rule.split(' ').any(names) || rule.contains("--comment \"kubernetes ");
            if leads_to_ours && !in_ours {
                let _ = writeln!(rules_gone, "-D {rule}");
            }
        } else if line.starts_with('*') {
            all = all + line + "\n";
        } else if line == "COMMIT" {
            is_any |= !(emptied.is_empty() && rules_gone.is_empty());
            for part in [&mut emptied, &mut rules_gone, &mut gone] {
                all += &std::mem::take(part);
            }
            all += "COMMIT\n";
        }
    }
    is_any.then_some(all)
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
        let deletion = "\
*nat
:KUBE-SERVICES - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
-D PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-X KUBE-SERVICES
-X CNI-HOSTPORT-DNAT
COMMIT
";
        assert_eq!(deletion_of_ours(rules).as_deref(), Some(deletion));
        let of_others = "\
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
COMMIT
";
        assert_eq!(deletion_of_ours(of_others), None);
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
