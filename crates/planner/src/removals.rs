//! What is no longer wished goes last: containers, files, and nodes that have left cluster.yml.

use std::collections::BTreeSet;

use windlass_model::{
    Action, Because, Component, ContainerName, EtcdData, EtcdSeen, FilePath, FindingKind, Guard, Holds,
    LastNode, Maker, NodeFacts, NodeName, NodeWish, Readiness, Reason, Role, Scheduling, StepId,
};

use crate::builder::{Lanes, StepHandle};
use crate::compare::Condition;
use crate::planner::Planner;

impl<'a> Planner<'a> {
    /// Plans the removal of what a step that was cut off has left behind: nothing uses it.
    pub(crate) fn left_overs(&mut self) {
        let seen = self.seen;
        for (name, facts) in seen.nodes.iter().filter_map(|(name, node)| Some((name, node.facts()?))) {
            let left_over = facts.containers.iter().filter(|(container, seen)| {
                seen.maker == Maker::Windlass && Component::of_container(container).is_none()
            });
            for (container, _) in left_over {
                let step = self.remove_container(name, container, vec![], Reason::LeftOver);
                self.left_over_removals.entry(name).or_default().push(step);
            }
        }
    }

    /// Plans all removals: what replaces them is up by then.
    pub(crate) fn removals(&mut self) {
        let nodes: Vec<(&'a NodeName, &'a NodeWish, &'a NodeFacts)> = self.nodes_in_sight().collect();
        let mut lanes = Lanes::new(1, Because::OneAtATime);
        for (name, node, facts) in nodes {
            self.lost_roles(name, node, facts, &mut lanes);
            self.unwanted_files(name, node, facts);
        }
        let seen = self.seen;
        for (name, last) in &seen.ledger.nodes {
            if !self.wish.nodes.contains_key(name) {
                self.node_that_left(name, last);
            }
        }
    }

    // Roles that a node has lost.

    fn lost_roles(
        &mut self,
        name: &'a NodeName,
        node: &'a NodeWish,
        facts: &'a NodeFacts,
        lanes: &mut Lanes,
    ) {
        let last = self.seen.ledger.nodes.get(name);
        let is_wished = |component: &Component| node.containers.contains_key(component);
        for component in Component::ALL.into_iter().filter(|component| !is_wished(component)) {
            if facts.containers.contains_key(component.as_str()) && !is_ours(component, facts, last) {
                self.find(
                    FindingKind::Notice,
                    format!("{name}/{component}"),
                    Some(name),
                    "made by somebody else, on a node where windlass never had one: it is left alone",
                    "remove it by hand if nobody needs it, or give it another name",
                    None,
                );
            }
        }
        let unwished = |component: Component| !is_wished(&component) && is_ours(component, facts, last);
        if unwished(Component::EtcdRollingSnapshots) {
            let reason = lost(node, Role::Etcd);
            self.remove_component(name, Component::EtcdRollingSnapshots, vec![], reason);
        }
        if unwished(Component::Etcd) && !self.may_clear_member(name) {
            self.hold(name, "etcd", "etcd stays on this node", "its member must leave first");
        } else if unwished(Component::Etcd)
            && let Some(step) = self.clear_member(name, &Reason::RoleLost { role: Role::Etcd })
        {
            self.removed.insert((name, Component::Etcd), step);
        }
        if !unwished(Component::KubeApiserver)
            && !unwished(Component::KubeControllerManager)
            && !unwished(Component::KubeScheduler)
        {
            return;
        }
        if let Some(waits_for) = self.why_api_servers_stay() {
            self.hold(name, "control-plane", "the control plane stays on this node", &waits_for);
            return;
        }
        let replacements = self.what_replaces_an_api_server();
        let reason = lost(node, Role::ControlPlane);
        let mut last: Option<StepHandle> = None;
        let mut first: Option<StepHandle> = None;
        for component in
            [Component::KubeControllerManager, Component::KubeScheduler, Component::KubeApiserver]
        {
            if !unwished(component) {
                continue;
            }
            let mut guards = Vec::new();
            if component == Component::KubeApiserver {
                guards.extend(self.api_guard(name));
                guards.extend(self.window_guard(name));
            }
            let step = self.remove_component(name, component, guards, reason.clone());
            self.builder.after_all(step, last, Because::RemoveLast);
            self.builder.after_all(step, replacements.iter().copied(), Because::RemoveLast);
            first = first.or(Some(step));
            last = Some(step);
        }
        if let Some(&gone) = self.removed.get(&(name, Component::KubeApiserver)) {
            let now = LastNode { target: node.target.clone(), roles: node.roles.clone() };
            self.conclusion.nodes.insert(name.clone(), now);
            self.conclude_after.push(gone);
        }
        // The port is free: the node's own way to the other API servers comes up.
        if self.port_is_taken(name)
            && let Some(run) = self.bring_up(name, Component::NginxProxy, vec![])
        {
            self.builder.after_all(run, last, Because::Needs);
            if let (Some(apiserver), Some(image)) = (
                self.removed.get(&(name, Component::KubeApiserver)).copied(),
                node.containers.get(&Component::NginxProxy).map(|wish| wish.spec.image.clone()),
            ) {
                let pull = self.image(name, &image);
                let files = self.files.get(name).copied();
                self.builder.after_all(apiserver, pull.into_iter().chain(files), Because::Needs);
            }
            let wait = self.await_container(name, Component::NginxProxy, Some(run));
            last = Some(wait);
            if !self.ready.contains_key(name) {
                let ready = self.await_ready(name, Reason::Disturbed);
                self.builder.after(ready, wait, Because::Needs);
                self.ready.insert(name, ready);
                last = Some(ready);
            }
        }
        if let (Some(first), Some(last)) = (first, last) {
            if lanes.begins_lane() {
                self.builder.after_all(first, self.node_ends.clone(), Because::Window);
            }
            lanes.add(&mut self.builder, first, last);
        }
    }

    /// Why no API server goes: those that stay are not as wished, nor become so by this plan, or none of them works; or
    /// a node is at work out of sight, and nobody can tell its nginx-proxy of another one.
    fn why_api_servers_stay(&self) -> Option<String> {
        if !self.rules.remove_last {
            return None;
        }
        if !self.an_api_server_stays() || self.control_plane_held {
            return Some("the other API servers must be as wished first".to_owned());
        }
        let is_at_work =
            |name: &NodeName| self.object(name).is_some_and(|object| object.ready == Readiness::Ready);
        let mut others = self.wish.nodes.iter().filter(|(_, node)| !node.has(Role::ControlPlane));
        let (unseen, _) = others.find(|(name, _)| !self.is_in_sight(name) && is_at_work(name))?;
        Some(format!(
            "{unseen} is at work and out of sight, and its nginx-proxy may know no other API server: it must be in \
             sight, or out of cluster.yml"
        ))
    }

    /// Whether a wished API server works, or will by this plan.
    pub(crate) fn an_api_server_stays(&self) -> bool {
        self.with_role(Role::ControlPlane).any(|(name, _)| {
            self.api_up.contains_key(name)
                || self.condition(name, Component::KubeApiserver).is_some_and(Condition::works)
        })
    }

    /// The waits for all that takes the place of an API server that goes.
    fn what_replaces_an_api_server(&self) -> Vec<StepHandle> {
        if !self.rules.remove_last {
            return vec![];
        }
        self.control_plane_ends.iter().chain(&self.api_heals).chain(&self.reloads).copied().collect()
    }

    /// Whether a node's member is out of etcd by now, or leaves by this plan.
    fn may_clear_member(&self, name: &NodeName) -> bool {
        match &self.seen.etcd {
            EtcdSeen::Silent => false,
            EtcdSeen::Members(members) => {
                self.left_member.contains_key(name)
                    || !members.iter().any(|member| self.node_has_peer(name, &member.peer_url))
            }
        }
    }

    // Files.

    /// Files of ours that the node's roles do not wish, once no container there reads them.
    fn unwanted_files(&mut self, name: &'a NodeName, node: &NodeWish, facts: &NodeFacts) {
        let footprint = &self.wish.footprint;
        let ours = |path: &FilePath| footprint.files.contains(path) || *path == footprint.ledger;
        let unwanted: BTreeSet<FilePath> = facts
            .files
            .keys()
            .filter(|path| ours(path) && !node.files.contains_key(*path))
            .cloned()
            .collect();
        if unwanted.is_empty() {
            return;
        }
        let mut after = Vec::new();
        let mut kept = BTreeSet::new();
        for (container, seen) in &facts.containers {
            let Some(component) = Component::of_container(container) else { continue };
            let read: Vec<&FilePath> =
                seen.spec.reads.keys().filter(|path| unwanted.contains(*path)).collect();
            if read.is_empty() {
                continue;
            }
            match self.removed.get(&(name, component)).or(self.disturbed.get(&(name, component))) {
                Some(&step) => after.push(step),
                None => kept.extend(read.into_iter().cloned()),
            }
        }
        let paths: BTreeSet<FilePath> = unwanted.difference(&kept).cloned().collect();
        if paths.is_empty() {
            return;
        }
        let remove = self.builder.step(
            StepId::new(name, "files", "remove"),
            Action::RemovePaths { node: name.clone(), paths },
            vec![Reason::Unwanted],
            vec![],
        );
        self.builder.after_all(remove, after, Because::RemoveLast);
        self.builder.after_all(remove, self.files.get(name).copied(), Because::RemoveLast);
        self.builder.after_all(remove, self.ready.get(name).copied(), Because::RemoveLast);
    }

    // Nodes that have left cluster.yml.

    fn node_that_left(&mut self, name: &'a NodeName, last: &'a LastNode) {
        let Some(facts) = self.facts(name) else {
            self.node_that_left_and_is_away(name);
            return;
        };
        let is_member =
            self.seen.etcd.members().iter().any(|member| self.node_has_peer(name, &member.peer_url));
        let waits_for = if facts.etcd_data == EtcdData::Present && self.seen.etcd == EtcdSeen::Silent {
            Some("etcd has no majority, and this node's data may be needed for one".to_owned())
        } else if is_member && !self.left_member.contains_key(name) {
            Some("its member must leave etcd first".to_owned())
        } else if last.roles.contains(&Role::ControlPlane) {
            self.why_api_servers_stay()
        } else {
            None
        };
        if let Some(waits_for) = waits_for {
            self.hold(name, "node", "the node has left cluster.yml and is not cleaned yet", &waits_for);
            return;
        }
        let emptied = self.empty_of_pods(name);
        let replacements = self.what_replaces_an_api_server();
        let mut done: Vec<StepHandle> = emptied.into_iter().collect();
        let (mut kubelet, mut proxy) = (emptied, None);
        for component in [
            Component::Kubelet,
            Component::KubeProxy,
            Component::NginxProxy,
            Component::EtcdRollingSnapshots,
            Component::KubeControllerManager,
            Component::KubeScheduler,
            Component::KubeApiserver,
        ] {
            if !is_ours(component, facts, Some(last)) {
                continue;
            }
            let guards: Vec<Guard> = if component == Component::KubeApiserver {
                self.api_guard(name).into_iter().collect()
            } else {
                vec![]
            };
            let step = self.remove_component(name, component, guards, Reason::NodeLeft);
            self.builder.after_all(step, emptied, Because::Needs);
            self.builder.after_all(step, replacements.iter().copied(), Because::RemoveLast);
            match component {
                Component::Kubelet => kubelet = Some(step),
                Component::KubeProxy => proxy = Some(step),
                _ => {}
            }
            done.push(step);
        }
        done.extend(self.clear_member(name, &Reason::NodeLeft));
        if kubelet != emptied || self.has_pod_state(facts) {
            let pods = self.builder.step(
                StepId::new(name, "pods", "remove"),
                Action::RemovePods { node: name.clone() },
                vec![Reason::NodeLeft],
                vec![],
            );
            self.builder.after_all(pods, kubelet.into_iter().chain(proxy), Because::Needs);
            done.push(pods);
        }
        if self.object(name).is_some() || !self.kube_answers() {
            let delete = self.delete_object(name);
            self.builder.after_all(delete, kubelet, Because::Needs);
            self.builder.after_all(delete, self.api_up.values().copied().collect::<Vec<_>>(), Because::Needs);
            done.push(delete);
        }
        let kept = [Holds::Snapshots, Holds::EtcdData];
        let paths: BTreeSet<FilePath> = self.traces(facts, &kept);
        if !paths.is_empty() {
            let remove = self.builder.step(
                StepId::new(name, "files", "remove"),
                Action::RemovePaths { node: name.clone(), paths },
                vec![Reason::NodeLeft],
                vec![],
            );
            self.builder.after_all(remove, done.iter().copied(), Because::RemoveLast);
            done.push(remove);
        }
        self.conclusion.forget.insert(name.clone());
        self.conclusion
            .forget_certs
            .extend(self.seen.ledger.certs.keys().filter(|cert| cert.node() == Some(name.as_str())).cloned());
        self.conclude_after.extend(done);
    }

    /// Moves the pods of a node that leaves away, if cluster.yml has nodes drained.
    fn empty_of_pods(&mut self, name: &'a NodeName) -> Option<StepHandle> {
        let options = self.wish.rollout.drain.clone()?;
        let object = self.object(name).filter(|object| object.ready == Readiness::Ready)?;
        let cordon = (object.scheduling == Scheduling::Open).then(|| {
            self.builder.step(
                StepId::new(name, "node", "cordon"),
                Action::Cordon { node: name.clone(), guards: vec![] },
                vec![Reason::NodeLeft],
                vec![],
            )
        });
        let drain = self.builder.step(
            StepId::new(name, "node", "drain"),
            Action::Drain { node: name.clone(), options },
            vec![Reason::NodeLeft],
            vec!["upgrade_strategy.drain".into()],
        );
        self.builder.after_all(drain, cordon, Because::Needs);
        Some(drain)
    }

    fn node_that_left_and_is_away(&mut self, name: &'a NodeName) {
        self.find(
            FindingKind::Notice,
            name,
            Some(name),
            "has left cluster.yml and is out of sight: it is not cleaned",
            "the next `up` that sees it cleans it",
            None,
        );
        // A kubelet that still runs would only register again.
        if self.object(name).is_some_and(|object| object.ready == Readiness::NotReady) {
            self.delete_object(name);
        }
    }

    fn delete_object(&mut self, name: &NodeName) -> StepHandle {
        self.builder.step(
            StepId::new(name, "node", "delete"),
            Action::DeleteNodeObject { node: name.clone() },
            vec![Reason::NodeLeft],
            vec![],
        )
    }

    // Small things.

    /// Whether kubelet has left something of pods on a node.
    pub(crate) fn has_pod_state(&self, facts: &NodeFacts) -> bool {
        self.wish
            .footprint
            .directories
            .iter()
            .any(|(path, holds)| *holds == Holds::PodState && facts.directories.contains(path))
    }

    /// What of the footprint exists on a node, but for directories that hold what is kept.
    pub(crate) fn traces(&self, facts: &NodeFacts, kept: &[Holds]) -> BTreeSet<FilePath> {
        let footprint = &self.wish.footprint;
        let directories: BTreeSet<FilePath> = footprint
            .all_directories()
            .into_iter()
            .filter(|(path, holds)| !kept.contains(holds) && facts.directories.contains(path))
            .map(|(path, _)| path)
            .collect();
        let covered = |file: &FilePath| {
            directories.iter().any(|directory| {
                file.as_str().strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/'))
            })
        };
        let files: Vec<FilePath> = facts
            .files
            .keys()
            .filter(|path| footprint.files.contains(*path) || **path == footprint.ledger)
            .filter(|path| !covered(path))
            .cloned()
            .collect();
        directories.iter().cloned().chain(files).collect()
    }

    pub(crate) fn remove_component(
        &mut self,
        name: &'a NodeName,
        component: Component,
        guards: Vec<Guard>,
        reason: Reason,
    ) -> StepHandle {
        let step = self.remove_container(name, &component.container(), guards, reason);
        self.removed.insert((name, component), step);
        step
    }

    pub(crate) fn remove_container(
        &mut self,
        name: &NodeName,
        container: &ContainerName,
        guards: Vec<Guard>,
        reason: Reason,
    ) -> StepHandle {
        self.builder.step(
            StepId::new(name, container, "remove"),
            Action::RemoveContainer { node: name.clone(), container: container.clone(), guards },
            vec![reason],
            vec![],
        )
    }
}

/// Whether a node has this component, made by windlass, or on a node where windlass had one.
fn is_ours(component: Component, facts: &NodeFacts, last: Option<&LastNode>) -> bool {
    let role = component.nature().runs.role();
    facts.containers.get(component.as_str()).is_some_and(|seen| {
        seen.maker == Maker::Windlass
            || last.is_some_and(|last| role.is_none_or(|role| last.roles.contains(&role)))
    })
}

/// Why a component of this role is no longer wished on a node: the role is lost, or the feature is off.
fn lost(node: &NodeWish, role: Role) -> Reason {
    if node.has(role) { Reason::Unwanted } else { Reason::RoleLost { role } }
}
