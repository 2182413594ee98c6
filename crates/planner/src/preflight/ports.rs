//! At which TCP ports each component listens, by its flags or else by its own defaults.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{Component, ContainerName, ContainerSpec, KubernetesVersion, NodeFacts};

/// The flags of a component that say where it listens: the flag, and the port without it.
///
/// Sources: `cmd/*/app/options` and `pkg/cluster/ports/ports.go` of Kubernetes 1.20 to 1.32, `etcd --help` of 3.4.
const FLAGS: [(Component, &str, u16); 12] = [
    (Component::Etcd, "listen-client-urls", 2379),
    (Component::Etcd, "listen-peer-urls", 2380),
    (Component::Etcd, "listen-metrics-urls", 0),
    (Component::KubeApiserver, "secure-port", 6443),
    (Component::KubeControllerManager, "secure-port", 10257),
    (Component::KubeScheduler, "secure-port", 10259),
    (Component::Kubelet, "port", 10250),
    (Component::Kubelet, "healthz-port", 10248),
    (Component::Kubelet, "read-only-port", 0),
    (Component::KubeProxy, "healthz-bind-address", 10256),
    (Component::KubeProxy, "metrics-bind-address", 10249),
    // Its configuration, which windlass writes: where an API server would listen.
    (Component::NginxProxy, "", 6443),
];

/// Insecure ports, open by default until they were taken out: the flag, the port, and the minor version without it.
///
/// Sources: kube-apiserver refuses any but 0 from 1.20 on; the others were taken out in 1.23 (kubernetes#96345).
const INSECURE: [(Component, &str, u16, u32); 2] =
    [(Component::KubeControllerManager, "port", 10252, 23), (Component::KubeScheduler, "port", 10251, 23)];

/// The ports of a component, with the flag that says so; none that is switched off by 0.
pub(super) fn ports_of(
    component: Component,
    spec: &ContainerSpec,
    version: &KubernetesVersion,
) -> BTreeMap<u16, &'static str> {
    let by_flags = FLAGS.iter().filter(|(of, ..)| *of == component).map(|(_, flag, port)| (*flag, *port));
    let insecure = INSECURE
        .iter()
        .filter(|(of, _, _, until)| *of == component && !version.at_least(1, *until))
        .map(|(_, flag, port, _)| (*flag, *port));
    let mut ports = BTreeMap::new();
    for (flag, otherwise) in by_flags.chain(insecure) {
        match spec.flag(flag).filter(|_| !flag.is_empty()) {
            Some(value) => ports.extend(value.split(',').map(|one| (port_in(one, otherwise), flag))),
            None => drop(ports.insert(otherwise, flag)),
        }
    }
    ports.remove(&0);
    ports
}

/// The port in `6443`, `0.0.0.0:10249`, `[::]:10249`, `https://10.0.0.1:2379/`; where none is in it, the usual one.
fn port_in(value: &str, otherwise: u16) -> u16 {
    let place = value.rsplit("//").next().unwrap_or(value).trim_end_matches('/');
    if let Ok(port) = place.parse() {
        return port;
    }
    match place.rsplit_once(':') {
        // The last group of a bare IPv6 address is no port.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => port.parse().unwrap_or(otherwise),
        _ => otherwise,
    }
}

/// All ports at which containers that are there may listen, whatever their state.
pub(super) fn ports_in_use(facts: &NodeFacts, version: &KubernetesVersion) -> BTreeSet<u16> {
    let of = |(name, container): (&ContainerName, &windlass_model::ContainerSeen)| {
        let component = Component::of_container(name).or_else(|| {
            // A container that is being replaced has another name for a while.
            let program = container.spec.command.first()?.rsplit('/').next()?.to_owned();
            if program == "nginx" { Some(Component::NginxProxy) } else { Component::named(&program) }
        });
        let version = container.spec.version.as_ref().unwrap_or(version);
        component.map(|component| ports_of(component, &container.spec, version)).unwrap_or_default()
    };
    facts.containers.iter().flat_map(of).map(|(port, _)| port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_in_every_form_of_a_flag() {
        for (value, port) in [
            ("6443", 6443),
            ("0", 0),
            ("0.0.0.0:10249", 10249),
            ("127.0.0.1", 7),
            ("[::]:10249", 10249),
            ("fd00::2379", 7),
            ("https://10.0.0.1:2379/", 2379),
            ("https://[fd00::1]:2379", 2379),
        ] {
            assert_eq!(port_in(value, 7), port, "{value}");
        }
    }
}
