//! Whether a ledger that a node returns may be believed: its contents go into commands on the operator's
//! machine.
//!
//! cluster.yml is checked as it is read. The same values come back in copies of the ledger, and root on any
//! of these machines can write anything there: an address of `x$(…)` would be expanded by a shell that ssh
//! starts (<https://nvd.nist.gov/vuln/detail/CVE-2023-51385>), a path with `..` deleted.

use std::net::IpAddr;

use windlass_model::{LastNode, Ledger, NodeName, NodeTarget};

/// The longest name of a host (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 253;

/// Why a ledger is not believed. It quotes nothing of the ledger, which may contain control sequences for a
/// terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} in it is none that cluster.yml could have")]
pub(crate) struct NotCredible {
    what: &'static str,
}

/// Whether everything in a ledger that is used on the operator's machine is what cluster.yml could contain.
pub(crate) fn check(ledger: &Ledger) -> Result<(), NotCredible> {
    let Ledger { lineage, nodes, .. } = ledger;
    must(is_word(lineage.as_str(), "-_."), "the lineage")?;
    for (name, last) in nodes {
        check_node(name, last)?;
    }
    Ok(())
}

fn check_node(name: &NodeName, last: &LastNode) -> Result<(), NotCredible> {
    let LastNode { target, roles: _, prefix, etcd } = last;
    let NodeTarget { address, port, user, internal_address, docker_socket, key_path } = target;
    must(is_host(name.as_str()), "a name of a node")?;
    must(is_host(address) && is_host(internal_address), "an address")?;
    must(*port != 0, "a port")?;
    must(is_word(user, "-_.@\\+$"), "a user")?;
    must(is_path(docker_socket.as_str()), "the path of a socket")?;
    let key_path = key_path.as_deref();
    must(key_path.is_none_or(|path| !path.starts_with('-') && is_printable(path)), "the path of a key")?;
    let prefix = prefix.as_ref().map(windlass_model::Prefix::as_str);
    must(prefix.is_none_or(|prefix| prefix.is_empty() || is_path(prefix)), "a prefix")?;
    let places = etcd.iter().flat_map(|places| [&places.data].into_iter().chain(&places.log));
    must(places.into_iter().all(|path| is_path(path.as_str())), "a directory of etcd")
}

fn must(is_so: bool, what: &'static str) -> Result<(), NotCredible> {
    if is_so { Ok(()) } else { Err(NotCredible { what }) }
}

/// An address, or the name of a host.
fn is_host(text: &str) -> bool {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().is_ok() || (text.len() <= LONGEST_NAME && is_word(text, "-_."))
}

/// ASCII letters, digits and some signs, not beginning with a sign that begins an option.
fn is_word(text: &str, signs: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || signs.contains(letter);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(is_part)
}

/// An absolute path without `..` that a mount can have.
fn is_path(text: &str) -> bool {
    let is_taken = |letter: char| ":,".contains(letter);
    text.starts_with('/')
        && is_printable(text)
        && !text.chars().any(is_taken)
        && text.split('/').all(|part| part != "..")
}

fn is_printable(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use windlass_model::{EtcdPlaces, Lineage, Role, Roles};

    use super::*;

    fn with(change: impl FnOnce(&mut LastNode)) -> Result<(), NotCredible> {
        let mut last = LastNode {
            target: NodeTarget {
                address: "node-1.example.com".to_owned(),
                port: 22,
                user: "ops".to_owned(),
                internal_address: "fd00::1".to_owned(),
                docker_socket: "/var/run/docker.sock".into(),
                key_path: Some("~/.ssh/id_ed25519".to_owned()),
            },
            roles: Roles::from([Role::Worker]),
            prefix: Some("/opt/rke".into()),
            etcd: Some(EtcdPlaces { data: "/ssd/etcd".into(), log: Some("/ssd/wal/etcd".into()) }),
        };
        change(&mut last);
        let mut ledger = Ledger::new(Lineage::from("blue"));
        ledger.nodes.insert("node-1".into(), last);
        check(&ledger)
    }

    #[test]
    fn what_cluster_yml_could_have_said_is_believed() {
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(with(|last| last.target.address = "10.0.0.1".to_owned()), Ok(()));
        assert_eq!(with(|last| last.target.internal_address = "[fd00::1]".to_owned()), Ok(()));
        assert_eq!(with(|last| (last.prefix, last.target.key_path) = (None, None)), Ok(()));
    }

    #[test]
    fn what_a_shell_or_ssh_would_take_for_something_else_is_not() {
        for address in
            ["x$(reboot)", "`reboot`", "-oProxyCommand=reboot", "a b", "a\nb", "", "a;b", "a'b", "a/b"]
        {
            assert!(with(|last| last.target.address = address.to_owned()).is_err(), "{address}");
            assert!(with(|last| last.target.internal_address = address.to_owned()).is_err(), "{address}");
            assert!(with(|last| last.target.user = address.to_owned()).is_err(), "{address}");
        }
        for path in ["/a/../b", "a", "/a:b", "/a,b", "/a\u{1b}[2J", ""] {
            assert!(with(|last| last.target.docker_socket = path.into()).is_err(), "{path}");
        }
        assert!(with(|last| last.prefix = Some("/x/../../etc".into())).is_err());
        let at = |data: &str, log: &str| EtcdPlaces { data: data.into(), log: Some(log.into()) };
        assert!(with(|last| last.etcd = Some(at("/x/../etc", "/x"))).is_err());
        assert!(with(|last| last.etcd = Some(at("/x", "x"))).is_err());
        assert!(with(|last| last.target.key_path = Some("-x".to_owned())).is_err());
        assert!(with(|last| last.target.port = 0).is_err());
        let named = |name: &str| {
            let mut ledger = Ledger::new(Lineage::from("blue"));
            let mut last = None;
            let _ = with(|node| last = Some(node.clone()));
            ledger.nodes.insert(name.into(), last.expect("it was handed over"));
            check(&ledger)
        };
        assert!(named("$(reboot)").is_err() && named("node-1").is_ok());
    }
}
