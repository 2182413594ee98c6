//! What kubelet keeps in its root directory. The files in which it keeps how it has divided processors and memory are
//! refused under other settings: the node is drained, and they are deleted between the old kubelet and the new one. A kubelet
//! that would get another root directory is held: pods that run have their volumes in the old one.
//!
//! ```text
//! cordon ─▶ drain ─▶ kubelet/replace (stops the old one, deletes the files, starts the new one) ─▶ await ─▶ uncordon
//! ```
//!
//! Source: "Changing the CPU Manager Policy" in
//! <https://kubernetes.io/docs/tasks/administer-cluster/cpu-management-policies/>.

use std::collections::BTreeSet;

use windlass_model::{
    Component, Difference, FilePath, NodeName, Reason, Settings, SpecPath, Waiting, kubelet_root,
    kubelet_state_files,
};

use crate::clearing::has_pod_state;
use crate::compare::Condition;
use crate::ownership::is_ours;
use crate::site::Site;

impl Site<'_, '_> {
    /// The flags that divide processors and memory otherwise than the kubelet of the node does now, as reasons with their
    /// places in cluster.yml; none if it divides them as desired.
    pub(crate) fn divides_otherwise(&self, node: &NodeName) -> Option<(Vec<Reason>, Vec<SpecPath>)> {
        let kubelet = Component::Kubelet;
        let seen = self.ctx.facts(node)?.containers.get(kubelet.as_str())?;
        let desired = self.ctx.desired.nodes.get(node)?.containers.get(&kubelet)?;
        let before = Settings::of(kubelet, &seen.spec);
        let differing = desired.conduct.settings.shares()?.differences_from(before.shares()?);
        let Some(Condition::Differs { reasons, .. }) = self.condition(node, kubelet) else { return None };
        if differing.is_empty() {
            return None;
        }
        let is_of_them = |reason: &&Reason| match reason {
            Reason::Differs { difference: Difference::Argument { flag, .. } } => {
                differing.contains(flag.trim_start_matches("--"))
            }
            _ => false,
        };
        let places = differing.iter().filter_map(|flag| desired.origins.of_flag(flag).cloned());
        Some((reasons.iter().filter(is_of_them).cloned().collect(), places.collect()))
    }

    /// The root directory of a node's kubelet, and the desired one, where these differ.
    pub(crate) fn moves_kubelet(&self, node: &NodeName) -> Option<Waiting> {
        let kubelet = Component::Kubelet;
        let container = kubelet.container();
        let seen = self.ctx.facts(node)?.containers.get(&container)?;
        let desired = self.ctx.desired.nodes.get(node)?.containers.get(&kubelet)?;
        let (from, to) = (kubelet_root(&seen.spec), kubelet_root(&desired.spec));
        (from != to && is_ours(self.ctx, node, &container, seen))
            .then_some(Waiting::KubeletMoves { from, to })
    }

    /// What the successor of a node's kubelet would refuse.
    pub(crate) fn forgotten_by_next(&self, node: &NodeName, component: Component) -> BTreeSet<FilePath> {
        if component != Component::Kubelet || self.divides_otherwise(node).is_none() {
            return BTreeSet::new();
        }
        self.state_files(node)
    }

    /// What a kubelet may refuse that is run where one has been: nobody knows with which settings it ran. Kubelet divides
    /// processors and memory among running pods again as it starts.
    pub(crate) fn forgotten_by_new(&self, node: &NodeName, component: Component) -> BTreeSet<FilePath> {
        let Some(facts) = self.ctx.facts(node).filter(|_| component == Component::Kubelet) else {
            return BTreeSet::new();
        };
        let footprint = self.ctx.desired.footprints.under(facts.prefix.as_ref());
        if has_pod_state(footprint, facts) { self.state_files(node) } else { BTreeSet::new() }
    }

    fn state_files(&self, node: &NodeName) -> BTreeSet<FilePath> {
        let desired = self.ctx.desired.nodes.get(node);
        let kubelet = desired.and_then(|desired| desired.containers.get(&Component::Kubelet));
        kubelet.map(|kubelet| kubelet_state_files(&kubelet.spec)).unwrap_or_default()
    }
}
