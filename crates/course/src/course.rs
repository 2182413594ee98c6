//! From what is seen to what is to be done: the function that the engine's loop plans by.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_engine::{Assignment, LookScope};
use windlass_model::{Blueprint, HostFacts, Intent, Inventory, NodeName, Planning};

use crate::desired::Desired;

/// The way of one command from a look to a plan.
#[derive(Debug)]
pub struct Course<'a> {
    desired: &'a Desired,
    intent: Intent,
    /// The machines that were seen last, and the desired state on them: resolving 5,000 nodes again in each round
    /// would cost as much as planning them. Equal machines give an equal desired state, so nothing depends on it.
    latest: Option<(BTreeMap<NodeName, HostFacts>, Arc<Blueprint>)>,
}

impl<'a> Course<'a> {
    /// The course from this cluster.yml to this end.
    pub fn new(desired: &'a Desired, intent: Intent) -> Self {
        Self { desired, intent, latest: None }
    }

    /// What the command is for.
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// What the engine is handed beside plans. It depends on no machine: a look covers every place in which a machine
    /// of any system may have what is windlass' own.
    pub fn assignment(&self) -> Assignment {
        let Blueprint { nodes, footprints, .. } = self.desired.ordinary().as_ref();
        Assignment {
            nodes: nodes.iter().map(|(name, node)| (name.clone(), node.last())).collect(),
            scope: LookScope {
                files: Arc::new(footprints.files()),
                directories: Arc::new(footprints.directories()),
                footprints: footprints.clone(),
                last_prefix: None,
                peers: Arc::new(LookScope::peers_of(nodes)),
            },
            secrets: self.desired.secrets().clone(),
        }
    }

    /// The desired state on the machines that were seen; where the cluster is to go, that nothing of it is there.
    pub fn blueprint_for(&mut self, seen: &Inventory) -> Arc<Blueprint> {
        let ordinary = HostFacts::default();
        // Ordinary machines are what is assumed of those that were not seen.
        let hosts: BTreeMap<NodeName, HostFacts> = seen
            .nodes
            .iter()
            .filter_map(|(name, node)| Some((name.clone(), node.facts()?.host.clone())))
            .filter(|(_, host)| *host != ordinary)
            .collect();
        if let Some((latest, blueprint)) = &self.latest
            && *latest == hosts
        {
            return blueprint.clone();
        }
        let blueprint = match self.intent {
            Intent::Converge { .. } => self.desired.on(&hosts),
            Intent::Dismantle { .. } => Arc::new(self.desired.on(&hosts).emptied()),
        };
        self.latest = Some((hosts, blueprint.clone()));
        blueprint
    }

    /// Plans for what was seen.
    pub fn plan(&mut self, seen: &Inventory) -> Planning {
        windlass_planner::plan(&self.blueprint_for(seen), seen, &self.intent)
    }
}
