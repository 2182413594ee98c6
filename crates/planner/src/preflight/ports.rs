//! The TCP ports at which the existing containers may listen.

use std::collections::BTreeSet;

use windlass_model::{Component, ContainerName, KubernetesVersion, NodeFacts, listens};

/// All ports at which existing containers may listen, whatever their state.
pub(super) fn ports_in_use(facts: &NodeFacts, version: &KubernetesVersion) -> BTreeSet<u16> {
    let of = |(name, container): (&ContainerName, &windlass_model::ContainerSeen)| {
        let component = Component::of_container(name).or_else(|| {
            // A container that is being replaced has another name for a while.
            let program = container.spec.command.first()?.rsplit('/').next()?.to_owned();
            if program == "nginx" { Some(Component::NginxProxy) } else { Component::named(&program) }
        });
        component.map(|component| listens(component, &container.spec, version)).unwrap_or_default()
    };
    facts.containers.iter().flat_map(of).map(|(port, _)| port).collect()
}
