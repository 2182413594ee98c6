//! What a check of machines gets, and what it finds.

use windlass_model::{
    Component, DesiredContainer, DesiredNode, HostReport, MachineFault, Maker, NodeFacts, NodeName, SpecPath,
    Weight,
};

/// A desired node that sent a report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Examined<'a> {
    pub(super) name: &'a NodeName,
    pub(super) desired: &'a DesiredNode,
    pub(super) facts: &'a NodeFacts,
    pub(super) report: &'a HostReport,
}

/// Whether the cluster moves to the version in the desired state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moves {
    /// It does, or has that version already.
    ToDesired,
    /// That version is refused: the refusal is the only thing that counts.
    Nowhere,
}

/// Something that is wrong with a machine.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Held where nothing can be planned there, a notice where it is only unwise.
    pub(super) weight: Weight,
    pub(super) fault: MachineFault,
    pub(super) origin: Option<SpecPath>,
}

impl<'a> Examined<'a> {
    /// Whether windlass has made nothing there yet.
    pub(super) fn is_new(&self) -> bool {
        !self.facts.containers.values().any(|container| container.maker == Maker::Windlass)
    }

    /// The desired containers that are still to be made.
    pub(super) fn absent(&self) -> impl Iterator<Item = (Component, &'a DesiredContainer)> {
        let facts = self.facts;
        let is_absent = move |component: &Component| !facts.containers.contains_key(component.as_str());
        let desired = self.desired.containers.iter();
        desired
            .filter(move |(component, _)| is_absent(component))
            .map(|(component, desired)| (*component, desired))
    }
}

/// A fault because of which nothing is planned on a node.
pub(super) fn holds(fault: MachineFault) -> Wrong {
    Wrong { weight: Weight::Held, fault, origin: None }
}

/// A fault that is only unwise.
pub(super) fn warns(fault: MachineFault) -> Wrong {
    Wrong { weight: Weight::Notice, fault, origin: None }
}
