//! etcd while no majority answers: its first start, and its revival from the data that its nodes hold.

use std::sync::Arc;

use windlass_model::{
    Action, Because, Component, ContainerState, EtcdData, FindingKind, NodeName, NodeSeen, NodeWish, Reason,
    Role, StepId,
};

use crate::builder::{Lanes, StepHandle};
use crate::compare::Condition;
use crate::etcd::{birth_arguments, initial_cluster, member_name};
use crate::planner::Planner;

impl<'a> Planner<'a> {
    // The first start.

    /// All members at once, each told of all the others.
    pub(crate) fn etcd_first_start(&mut self) {
        let wished: Vec<(&NodeName, &NodeWish)> = self.with_role(Role::Etcd).collect();
        let in_sight = wished.iter().filter(|(name, _)| self.is_in_sight(name)).count();
        if in_sight * 2 <= wished.len() {
            for (name, _) in wished {
                if !self.is_in_sight(name) {
                    continue;
                }
                self.hold(
                    name,
                    "etcd",
                    "etcd does not start for the first time",
                    "a majority of its nodes must be in sight, or out of cluster.yml",
                );
            }
            return;
        }
        let list = initial_cluster(
            wished.iter().map(|(name, node)| (node.target.peer_url(), member_name(name))).collect(),
        );
        if self.was_told_of_others(&list) {
            return;
        }
        let birth = birth_arguments("new", &list);
        let in_sight: Vec<&NodeName> =
            wished.into_iter().map(|(name, _)| name).filter(|name| self.is_in_sight(name)).collect();
        for name in &in_sight {
            if let Some(step) = self.bring_up(name, Component::Etcd, birth.clone()) {
                let wait = self.await_container(name, Component::Etcd, Some(step));
                self.etcd_heals.push(wait);
            }
        }
        self.mend_without_majority(&in_sight, &birth);
    }

    /// Whether an earlier first start, which was cut off, told etcd of other members than this one would.
    ///
    /// Its data cannot be taken on with another list, and nobody knows whether it has lived: so it is left alone.
    fn was_told_of_others(&mut self, list: &str) -> bool {
        let told = self.seen.nodes.values().filter_map(NodeSeen::facts).find_map(|facts| {
            let container = facts.containers.get(Component::Etcd.as_str())?;
            let told =
                container.birth.iter().find_map(|argument| argument.strip_prefix("--initial-cluster="))?;
            (told != list).then(|| told.to_owned())
        });
        let Some(told) = told else { return false };
        self.find(
            FindingKind::Held,
            "cluster/etcd",
            None,
            format!("etcd has begun to start with the members {told}"),
            "put these nodes back into cluster.yml until etcd has come up once, and change them then; or run \
             `windlass remove`, and begin anew",
            None,
        );
        true
    }

    // Revival.

    /// The cluster has lived and no majority answers: what has data comes up, nothing else is touched.
    pub(crate) fn etcd_revival(&mut self) {
        let list = initial_cluster(
            self.with_role(Role::Etcd)
                .map(|(name, node)| (node.target.peer_url(), member_name(name)))
                .collect(),
        );
        let birth = birth_arguments("existing", &list);
        let holders: Vec<&'a NodeName> = self
            .seen
            .nodes
            .iter()
            .filter(|(_, node)| node.facts().is_some_and(|facts| facts.etcd_data == EtcdData::Present))
            .map(|(name, _)| name)
            .collect();
        for &name in &holders {
            let step = if self.wish.nodes.get(name).is_some_and(|node| node.has(Role::Etcd)) {
                self.bring_up(name, Component::Etcd, birth.clone())
            } else {
                self.start_leaving_member(name)
            };
            if let Some(step) = step {
                let wait = self.await_container(name, Component::Etcd, Some(step));
                self.etcd_heals.push(wait);
            }
        }
        let empty: Vec<&NodeName> = self
            .with_role(Role::Etcd)
            .map(|(name, _)| name)
            .filter(|name| self.is_in_sight(name) && !holders.contains(name))
            .collect();
        // A process without data that still has the arguments of the first start founds a new cluster as soon as
        // nobody tells it of the old one: it goes before any member is touched.
        let mut founders = Vec::new();
        for name in empty {
            self.hold(
                name,
                "etcd",
                "the node holds no data of etcd",
                "etcd must have a majority again before it takes members; if it cannot, restore a snapshot",
            );
            if self.condition(name, Component::Etcd) != Some(&Condition::Absent) {
                founders.push(self.remove_component(name, Component::Etcd, vec![], Reason::MemberLostData));
            }
        }
        if self.etcd_heals.is_empty() || !self.rules.heal_first {
            let mended = self.mend_without_majority(&holders, &birth);
            if self.rules.majority_stands {
                for step in mended {
                    self.builder.after_all(step, founders.iter().copied(), Because::Gate);
                }
            }
            return;
        }
        for name in holders {
            let condition = self.condition(name, Component::Etcd);
            if matches!(condition, Some(Condition::Differs { .. } | Condition::Sick(_))) {
                self.hold(
                    name,
                    "etcd",
                    "etcd runs and is not changed",
                    "the members that are down come up first",
                );
            }
        }
    }

    /// Starts the member of a node that is about to leave: the others may need its vote until it has left.
    pub(crate) fn start_leaving_member(&mut self, name: &'a NodeName) -> Option<StepHandle> {
        let container = self.facts(name)?.containers.get(Component::Etcd.as_str())?;
        let down = matches!(container.state, ContainerState::Stopped | ContainerState::Created);
        down.then(|| {
            self.builder.step(
                StepId::new(name, Component::Etcd, "start"),
                Action::StartContainer { node: name.clone(), component: Component::Etcd },
                vec![Reason::NotRunning { state: container.state }],
                vec![],
            )
        })
    }

    /// Replaces or restarts what runs without a majority, one after another.
    ///
    /// Nothing becomes healthy before a majority is through, so the waits come behind the last of it. Where members
    /// are yet to start, they do so first: the majority may form with them, and must not be broken as it forms.
    /// Returns what takes something down.
    fn mend_without_majority(&mut self, nodes: &[&'a NodeName], birth: &[Arc<str>]) -> Vec<StepHandle> {
        let starts = if self.rules.heal_first { self.etcd_heals.clone() } else { vec![] };
        let mut lanes = Lanes::new(1, Because::OneAtATime);
        let mut mended = Vec::new();
        for &name in nodes {
            match self.condition(name, Component::Etcd) {
                Some(Condition::Settling) => {
                    let wait = self.await_container(name, Component::Etcd, None);
                    self.etcd_heals.push(wait);
                }
                Some(Condition::Differs { .. } | Condition::Sick(_)) => {
                    let guards = self.majority_guard(name);
                    if let Some(step) = self.disturb(name, Component::Etcd, birth.to_vec(), guards) {
                        self.builder.after_all(step, starts.iter().copied(), Because::HealFirst);
                        lanes.add(&mut self.builder, step, step);
                        mended.push((name, step));
                    }
                }
                _ => {}
            }
        }
        for &(name, step) in &mended {
            let wait = self.await_container(name, Component::Etcd, Some(step));
            self.builder.after_all(wait, lanes.open_ends().to_vec(), Because::Gate);
            self.etcd_heals.push(wait);
        }
        self.etcd_ends.extend(lanes.open_ends());
        mended.into_iter().map(|(_, step)| step).collect()
    }
}
