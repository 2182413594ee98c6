//! The function by which the engine's loop plans: from what is seen to what is to be done.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_engine::{Assignment, LookScope};
use windlass_model::{
    Blueprint, FilePath, Finding, Footprint, Holds, HostFacts, Intent, Inventory, MadeBy, NodeName, Planning,
    RESTORED_MARK, Reissue, Restore, Snapshots,
};

use windlass_blueprint::Link;

use windlass_planner::KeysStage;

use crate::chain::{self, Stage};
use crate::desired::Desired;

/// The goal of a command, whatever machines it meets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one in a run")]
pub enum Goal {
    /// The cluster becomes what cluster.yml says.
    Converge,
    /// These certificates are reissued, and nothing else is done.
    Reissue(Reissue),
    /// etcd is restored from this snapshot, and the cluster on it becomes what cluster.yml says.
    Restore(Restore),
    /// The cluster is removed.
    Dismantle(Snapshots),
}

impl Goal {
    /// The intent with which this goal is planned, for this desired state.
    pub fn intent(&self, desired: Arc<Blueprint>) -> Intent {
        match self {
            Self::Converge => Intent::converge(desired),
            Self::Reissue(reissue) => Intent::Reissue { desired, reissue: reissue.clone() },
            Self::Restore(restore) => Intent::Restore { desired, restore: Box::new(restore.clone()) },
            Self::Dismantle(snapshots) => Intent::dismantle(&desired, *snapshots),
        }
    }
}

/// Plans the rounds of one command.
#[derive(Debug)]
pub struct Course<'a> {
    desired: &'a Desired,
    goal: Goal,
    /// Nodes that are gone for good according to the operator, and have not been forgotten by this command.
    gone: BTreeSet<NodeName>,
    /// Those of them that the ledger had in an earlier round.
    met: BTreeSet<NodeName>,
    /// The desired state with the settings that a live cluster keeps though cluster.yml does not name them;
    /// none where nothing is kept.
    kept: Option<Desired>,
    /// How far API servers are on the way to the keys that cluster.yml has, and the desired state of that stage.
    keys: (KeysStage, Option<Desired>),
    /// The machines that were seen last, and the intent on them: resolving 5,000 nodes again in each round
    /// would cost as much as planning them. Equal machines give an equal intent, so nothing else depends on
    /// it.
    latest: Option<(BTreeMap<NodeName, HostFacts>, Option<Link>, Intent)>,
}

impl<'a> Course<'a> {
    /// The course from this cluster.yml to this goal.
    pub fn new(desired: &'a Desired, goal: Goal) -> Self {
        Self {
            desired,
            goal,
            gone: BTreeSet::new(),
            met: BTreeSet::new(),
            kept: None,
            keys: (KeysStage::Asked, None),
            latest: None,
        }
    }

    /// The same course, where these nodes are gone for good according to the operator.
    #[must_use]
    pub fn with_gone(mut self, gone: &BTreeSet<NodeName>) -> Self {
        self.gone.clone_from(gone);
        self
    }

    /// The goal of the command.
    pub fn goal(&self) -> &Goal {
        &self.goal
    }

    /// What the engine gets beside plans. It depends on no machine: a look covers every place in which a
    /// machine of any system may have things of windlass.
    pub fn assignment(&self) -> Assignment {
        let desired = self.desired.ordinary();
        let (nodes, footprints) = (desired.last_nodes(), &desired.footprints);
        let marks = MadeBy::MARKS.iter().map(|(path, _)| FilePath::from(*path));
        let restored =
            footprints.all().map(|place| FilePath::from(format!("{}/{RESTORED_MARK}", place.etcd_data)));
        let beside_etcd = footprints.all().flat_map(|place| {
            [Some(place.etcd().beside_data()), place.etcd().beside_log()].into_iter().flatten()
        });
        // They are often on a file system of the network, which may not answer: only who removes the cluster wants to know.
        let asks_for = |holds: Holds| match self.goal {
            Goal::Dismantle(_) => true,
            Goal::Converge | Goal::Reissue(_) | Goal::Restore(_) => holds != Holds::Snapshots,
        };
        let directories = footprints.all().flat_map(Footprint::all_directories);
        let directories = directories.filter(|(_, holds)| asks_for(*holds)).map(|(path, _)| path);
        Assignment {
            scope: LookScope {
                files: Arc::new(
                    footprints.files().into_iter().chain(marks).chain(restored).chain(beside_etcd).collect(),
                ),
                directories: Arc::new(directories.collect()),
                footprints: footprints.clone(),
                last_prefix: None,
                last_etcd: None,
                snapshots: footprints.ordinary.snapshots().cloned(),
                peers: Arc::new(LookScope::peers_of(&nodes)),
            },
            nodes,
            objects: Arc::new(desired.looked_at_objects()),
            secrets: self.desired.secrets().clone(),
        }
    }

    /// The intent on the machines that were seen, except those of another cluster.
    pub fn intent_for(&mut self, seen: &Inventory) -> Intent {
        self.without_strangers(seen).0
    }

    /// The intent without the machines of other clusters, and a finding about each of them.
    fn without_strangers(&mut self, seen: &Inventory) -> (Intent, Vec<Finding>) {
        let intent = self.intent_on_all(seen);
        let strangers = windlass_planner::strangers(&intent, seen);
        if strangers.is_empty() {
            return (intent, strangers);
        }
        let names = strangers.iter().filter_map(Finding::node).cloned().collect();
        // Where no other machine is left, they are held as they are.
        let Some(rest) = self.whole().without(&names) else { return (intent, Vec::new()) };
        let mut course = Course::new(&rest, self.goal.clone()).with_gone(&self.gone);
        (course.intent_on_all(&without(seen, &names)), strangers)
    }

    fn intent_on_all(&mut self, seen: &Inventory) -> Intent {
        let ordinary = HostFacts::default();
        // Machines that were not seen count as ordinary ones.
        let hosts: BTreeMap<NodeName, HostFacts> = seen
            .nodes
            .iter()
            .filter_map(|(name, node)| Some((name.clone(), node.facts()?.host.clone())))
            .filter(|(_, host)| *host != ordinary)
            .collect();
        self.leave_out_forgotten(seen);
        self.keep_founded(seen);
        self.stage_keys(seen);
        let link = self.stage(seen).map(|stage| stage.link);
        if let Some((latest, of_link, intent)) = &self.latest
            && (latest, of_link) == (&hosts, &link)
        {
            return intent.clone();
        }
        let own = self.desired();
        let desired = link.as_ref().and_then(|link| own.link_on(link, &hosts));
        let intent = self.goal.intent(desired.unwrap_or_else(|| own.on(&hosts))).with_gone(&self.gone);
        self.latest = Some((hosts, link, intent.clone()));
        intent
    }

    /// What an earlier round of this command has forgotten is gone no more: the ledger does not know it.
    fn leave_out_forgotten(&mut self, seen: &Inventory) {
        let is_known =
            |name: &NodeName| seen.ledger.nodes.contains_key(name) || seen.nodes.contains_key(name);
        self.met.extend(self.gone.iter().filter(|name| is_known(name)).cloned());
        let count = self.gone.len();
        self.gone.retain(|name| is_known(name) || !self.met.contains(name));
        if self.gone.len() != count {
            self.latest = None;
        }
    }

    /// The desired state of this round: with what is kept, on the way to the keys of cluster.yml.
    fn desired(&self) -> &Desired {
        self.keys.1.as_ref().unwrap_or(self.whole())
    }

    /// The desired state, with what is kept.
    fn whole(&self) -> &Desired {
        self.kept.as_ref().unwrap_or(self.desired)
    }

    /// Finds how far API servers are on the way to the keys of cluster.yml. No other goal changes any key.
    fn stage_keys(&mut self, seen: &Inventory) {
        let stage = match self.goal {
            Goal::Converge | Goal::Restore(_) => windlass_planner::keys_stage(self.whole().ordinary(), seen),
            Goal::Reissue(_) | Goal::Dismantle(_) => KeysStage::Asked,
        };
        if stage != self.keys.0 {
            self.keys = (stage.clone(), self.whole().staged(&stage));
            self.latest = None;
        }
    }

    /// Keeps the issuer of tokens with which the cluster was created, where cluster.yml names none: tokens of
    /// another one would be refused. And its ports: another windlass alone opens or closes none.
    fn keep_founded(&mut self, seen: &Inventory) {
        let Some(founded) = &seen.ledger.foundation else { return };
        let now = &self.whole().ordinary().foundation;
        let is_kept = (&now.service_account_issuer, now.local_ports)
            == (&founded.service_account_issuer, founded.local_ports);
        if !is_kept {
            self.kept = self.desired.as_founded(founded);
            self.keys = (KeysStage::Asked, None);
            self.latest = None;
        }
    }

    /// Where the cluster is in a chain of upgrades. Only the goal to converge upgrades anything.
    fn stage(&self, seen: &Inventory) -> Option<Stage> {
        match self.goal {
            Goal::Converge | Goal::Restore(_) => chain::stage(self.desired(), seen),
            Goal::Reissue(_) | Goal::Dismantle(_) => None,
        }
    }

    /// The desired state on the machines that were seen; where the cluster is to be removed, an empty one.
    pub fn blueprint_for(&mut self, seen: &Inventory) -> Arc<Blueprint> {
        self.intent_for(seen).desired().clone()
    }

    /// Plans for what was seen.
    pub fn plan(&mut self, seen: &Inventory) -> Planning {
        self.plan_by(seen, windlass_planner::plan)
    }

    /// The same by another planner: one with rules switched off, in tests.
    #[doc(hidden)]
    pub fn plan_by(
        &mut self,
        seen: &Inventory,
        planner: impl FnOnce(&Intent, &Inventory) -> Planning,
    ) -> Planning {
        let (intent, strangers) = self.without_strangers(seen);
        let names: BTreeSet<NodeName> = strangers.iter().filter_map(Finding::node).cloned().collect();
        let seen = &if names.is_empty() { Cow::Borrowed(seen) } else { Cow::Owned(without(seen, &names)) };
        let mut planning = planner(&intent, seen);
        if !strangers.is_empty() {
            planning.findings.extend(strangers);
            planning.findings.sort();
        }
        if let Some(stage) = self.stage(seen)
            && !planning.is_refused()
        {
            let findings = stage.findings(self.desired(), seen, &planning);
            planning.findings.extend(findings);
            planning.findings.sort();
        }
        planning
    }
}

/// What was seen, without these machines.
fn without(seen: &Inventory, nodes: &BTreeSet<NodeName>) -> Inventory {
    let mut rest = seen.clone();
    rest.nodes.retain(|name, _| !nodes.contains(name));
    for holders in rest.ledger.strangers.values_mut() {
        holders.retain(|name| !nodes.contains(name));
    }
    rest.ledger.strangers.retain(|_, holders| !holders.is_empty());
    rest
}
