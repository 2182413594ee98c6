//! From what is seen to what is to be done: the function that the engine's loop plans by.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_engine::{Assignment, LookScope};
use windlass_model::{Blueprint, HostFacts, Intent, Inventory, NodeName, Planning, Reissue, Snapshots};

use crate::desired::Desired;

/// What a command is for, whatever machines it meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The cluster becomes what cluster.yml says.
    Converge,
    /// These certificates are reissued, and nothing else is done.
    Reissue(Reissue),
    /// The cluster goes.
    Dismantle(Snapshots),
}

impl Goal {
    /// The intent by which this is planned, where cluster.yml asks for this.
    pub fn intent(&self, desired: Arc<Blueprint>) -> Intent {
        match self {
            Self::Converge => Intent::converge(desired),
            Self::Reissue(reissue) => Intent::Reissue { desired, reissue: reissue.clone() },
            Self::Dismantle(snapshots) => Intent::dismantle(&desired, *snapshots),
        }
    }
}

/// The way of one command from a look to a plan.
#[derive(Debug)]
pub struct Course<'a> {
    desired: &'a Desired,
    goal: Goal,
    /// The machines that were seen last, and the intent on them: resolving 5,000 nodes again in each round would cost as
    /// much as planning them. Equal machines give an equal intent, so nothing depends on it.
    latest: Option<(BTreeMap<NodeName, HostFacts>, Intent)>,
}

impl<'a> Course<'a> {
    /// The course from this cluster.yml to this end.
    pub fn new(desired: &'a Desired, goal: Goal) -> Self {
        Self { desired, goal, latest: None }
    }

    /// What the command is for.
    pub fn goal(&self) -> &Goal {
        &self.goal
    }

    /// What the engine is handed beside plans. It depends on no machine: a look covers every place in which a machine
    /// of any system may have what is windlass' own.
    pub fn assignment(&self) -> Assignment {
        let desired = self.desired.ordinary();
        let (nodes, footprints) = (desired.last_nodes(), &desired.footprints);
        Assignment {
            scope: LookScope {
                files: Arc::new(footprints.files()),
                directories: Arc::new(footprints.directories()),
                footprints: footprints.clone(),
                last_prefix: None,
                peers: Arc::new(LookScope::peers_of(&nodes)),
            },
            nodes,
            secrets: self.desired.secrets().clone(),
        }
    }

    /// The intent on the machines that were seen.
    pub fn intent_for(&mut self, seen: &Inventory) -> Intent {
        let ordinary = HostFacts::default();
        // Ordinary machines are what is assumed of those that were not seen.
        let hosts: BTreeMap<NodeName, HostFacts> = seen
            .nodes
            .iter()
            .filter_map(|(name, node)| Some((name.clone(), node.facts()?.host.clone())))
            .filter(|(_, host)| *host != ordinary)
            .collect();
        if let Some((latest, intent)) = &self.latest
            && *latest == hosts
        {
            return intent.clone();
        }
        let intent = self.goal.intent(self.desired.on(&hosts));
        self.latest = Some((hosts, intent.clone()));
        intent
    }

    /// The desired state on the machines that were seen; where the cluster is to go, that nothing of it is there.
    pub fn blueprint_for(&mut self, seen: &Inventory) -> Arc<Blueprint> {
        self.intent_for(seen).desired().clone()
    }

    /// Plans for what was seen.
    pub fn plan(&mut self, seen: &Inventory) -> Planning {
        windlass_planner::plan(&self.intent_for(seen), seen)
    }
}
