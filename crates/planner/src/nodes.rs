//! Kubelet, kube-proxy and nginx-proxy of every node: new ones all at once, live ones within the limit of
//! unavailable nodes, drained before an upgrade where cluster.yml wants it.

use std::collections::BTreeSet;

use windlass_model::{
    Action, Because, Birth, Component, Difference, FindingKind, Guard, KubernetesVersion, NodeFacts,
    NodeName, NodeSeen, NodeWish, Readiness, Reason, Role, Scheduling, StepId,
};

use crate::builder::{Lanes, StepHandle};
use crate::certificates::count;
use crate::compare::Condition;
use crate::planner::Planner;

/// The components of a node, in the order in which they are changed: the way to the API first.
const COMPONENTS: [Component; 3] = [Component::NginxProxy, Component::Kubelet, Component::KubeProxy];

/// What tells of which version a cluster is: API servers, and what is never newer than they are.
pub(crate) const VERSIONED: [Component; 3] =
    [Component::KubeApiserver, Component::Kubelet, Component::KubeProxy];

/// What is never newer than any API server was when it was started.
const NEVER_NEWER_THAN_APIS: [Component; 2] = [Component::Kubelet, Component::KubeProxy];

/// Why a kubelet of a new version waits.
const NEVER_NEWER: &str =
    "every API server must be of the new version first: a kubelet is never newer than they are";

/// Why nothing of a version is run while nobody knows which one the cluster has.
pub(crate) const HIDDEN: &str = "an API server on a node that is held or out of sight may be of another version: mend the \
                                 node, or take it out of cluster.yml";

/// Which nodes share a rolling window, in the order in which they roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    /// Whatever does not work: nothing is lost by changing it.
    Broken,
    /// Nodes with a control plane.
    ControlPlane,
    /// Nodes with etcd and no control plane: one at a time, whatever the limit of workers.
    Etcd,
    /// Workers only.
    Worker,
}

impl Group {
    fn of(node: &NodeWish) -> Self {
        if node.has(Role::ControlPlane) {
            Self::ControlPlane
        } else if node.has(Role::Etcd) {
            Self::Etcd
        } else {
            Self::Worker
        }
    }
}

impl<'a> Planner<'a> {
    /// Plans the nodes.
    pub(crate) fn nodes(&mut self) {
        let nodes: Vec<(&'a NodeName, &'a NodeWish)> =
            self.nodes_in_sight().map(|(name, node, _)| (name, node)).collect();
        let mut heals = Vec::new();
        self.write_proxy_files();
        let stays_old = if self.is_on_the_way() && self.an_api_server_stays_old() {
            Some(NEVER_NEWER)
        } else {
            // API servers in sight may be newer than those away.
            self.hides_its_version(&NEVER_NEWER_THAN_APIS).then_some(HIDDEN)
        };
        for &(name, _) in &nodes {
            if let Some(heal) = self.bring_up_node(name, stays_old) {
                heals.push(heal);
            }
            self.reload_proxy(name);
        }
        let mut rolling: Vec<(Group, &'a NodeName)> = nodes
            .iter()
            .filter(|(name, _)| self.is_to_be_disturbed(name))
            .map(|&(name, node)| {
                (if self.is_available(name) { Group::of(node) } else { Group::Broken }, name)
            })
            .collect();
        rolling.sort_unstable();
        self.roll_nodes(&rolling, &heals);
        for (name, _) in nodes {
            self.open_left_cordoned(name);
        }
    }

    fn is_to_be_disturbed(&self, name: &NodeName) -> bool {
        COMPONENTS.into_iter().any(|component| {
            matches!(self.condition(name, component), Some(Condition::Differs { .. } | Condition::Sick(_)))
        })
    }

    /// Brings up what is absent or down, and waits for the node to be ready. Returns the last wait.
    ///
    /// While an API server stays old, for this reason, no new kubelet or kube-proxy is run.
    fn bring_up_node(&mut self, name: &'a NodeName, stays_old: Option<&str>) -> Option<StepHandle> {
        let mut waits = Vec::new();
        let mut held = false;
        for component in COMPONENTS {
            if component == Component::NginxProxy && self.port_is_taken(name) {
                // The node is losing its control plane: the removal brings the proxy up.
                held = true;
                continue;
            }
            if let Some(waits_for) = stays_old
                && component != Component::NginxProxy
                && self.condition(name, component) == Some(&Condition::Absent)
            {
                self.hold(name, component.as_str(), "is missing, and not run now", waits_for);
                held = true;
                continue;
            }
            let step = self.bring_up(name, component, vec![]);
            let settles = match self.condition(name, component) {
                Some(Condition::Settling) => true,
                Some(Condition::Waiting) if !self.api_up.is_empty() => true,
                Some(Condition::Waiting) => {
                    self.hold(
                        name,
                        component.as_str(),
                        "runs and cannot work",
                        "an API server must answer first",
                    );
                    false
                }
                _ => false,
            };
            if step.is_some() || settles {
                if let Some(step) = step
                    && self.upgrading
                    && self.rules.version_order
                {
                    // A kubelet must not be newer than the API servers.
                    self.builder.after_all(step, self.control_plane_ends.clone(), Because::Skew);
                }
                let wait = self.await_container(name, component, step);
                if component == Component::NginxProxy {
                    self.builder.after_all(
                        wait,
                        self.api_up.values().copied().collect::<Vec<_>>(),
                        Because::Needs,
                    );
                }
                waits.push(wait);
            }
        }
        let object = self.object(name);
        let not_ready = if self.kube_answers() {
            object.is_none_or(|object| object.ready == Readiness::NotReady)
        } else {
            self.seen.ledger.born == Birth::Expected
        };
        if (waits.is_empty() && !not_ready) || self.is_to_be_disturbed(name) || held {
            return waits.last().copied();
        }
        let reason = if waits.is_empty() { Reason::NotReady } else { Reason::Disturbed };
        let ready = self.await_ready(name, reason);
        self.builder.after_all(ready, waits, Because::Needs);
        // Ready is what an API server says.
        let api: Vec<StepHandle> = match self.api_up.get(name) {
            Some(&own) => vec![own],
            None if self.wish.nodes[name].has(Role::ControlPlane) => vec![],
            None => self.api_up.values().copied().collect(),
        };
        self.builder.after_all(ready, api, Because::Needs);
        self.ready.insert(name, ready);
        Some(ready)
    }

    /// Whether an API server that is no longer wished still holds the port of nginx-proxy.
    pub(crate) fn port_is_taken(&self, name: &NodeName) -> bool {
        let wished = |component| {
            self.wish.nodes.get(name).is_some_and(|node| node.containers.contains_key(&component))
        };
        wished(Component::NginxProxy)
            && !wished(Component::KubeApiserver)
            && self
                .facts(name)
                .is_some_and(|facts| facts.containers.contains_key(Component::KubeApiserver.as_str()))
    }

    /// A changed list of API servers is read again while nginx runs.
    fn reload_proxy(&mut self, name: &'a NodeName) {
        let component = Component::NginxProxy;
        let Some(Condition::Reload { reasons, .. }) = self.condition(name, component) else { return };
        if !self.may_forget_api_servers() {
            self.hold(
                name,
                component.as_str(),
                "nginx-proxy keeps its list of API servers",
                "one of the new list must work first, or cluster.yml name another",
            );
            return;
        }
        let reload = self.builder.step(
            StepId::new(name, component, "reload"),
            Action::ReloadContainer { node: name.clone(), component },
            reasons.clone(),
            vec![],
        );
        let written = self.proxy_files.get(name).or(self.files.get(name)).copied();
        self.builder.after_all(reload, written, Because::Needs);
        let wait = self.await_container(name, component, Some(reload));
        self.reloads.push(wait);
    }

    /// Rolls changes over nodes: what is broken first, then group by group.
    fn roll_nodes(&mut self, rolling: &[(Group, &'a NodeName)], heals: &[StepHandle]) {
        let rollout = &self.wish.rollout;
        let worker_limit = rollout.max_unavailable_worker.of(self.workers.len());
        let control_planes = self.with_role(Role::ControlPlane).count();
        let away = self.unavailable_beside(rolling);
        let worker_room = worker_limit.saturating_sub(away);
        let healed: Vec<StepHandle> =
            heals.iter().chain(&self.api_heals).chain(&self.etcd_heals).copied().collect();
        let mut before: Vec<StepHandle> = Vec::new();
        for group in [Group::Broken, Group::ControlPlane, Group::Etcd, Group::Worker] {
            let members: Vec<&'a NodeName> =
                rolling.iter().filter(|(of, _)| *of == group).map(|(_, name)| *name).collect();
            let own_room = match group {
                Group::Broken => worker_limit,
                Group::ControlPlane => rollout.max_unavailable_controlplane.of(control_planes),
                Group::Etcd => 1,
                Group::Worker => worker_room,
            };
            let has_workers = members.iter().any(|name| self.workers.contains(*name));
            let room = if !self.rules.window {
                members.len()
            } else if group != Group::Broken && has_workers {
                own_room.min(worker_room)
            } else {
                own_room
            };
            let mut lanes = Lanes::new(room, Because::Window);
            for name in members {
                if group != Group::Broken && (room == 0 || self.is_blind_to(group)) {
                    self.hold_node(name, away, worker_limit);
                    continue;
                }
                if let Some(waits_for) = self.why_wait_for_the_api(name) {
                    self.hold(name, "node", "the node is not disturbed", waits_for);
                    continue;
                }
                let Some((first, last)) = self.disturb_node(name, group != Group::Broken) else { continue };
                if lanes.begins_lane() {
                    self.builder.after_all(first, before.iter().copied(), Because::Window);
                    let skew: Vec<StepHandle> =
                        self.etcd_ends.iter().chain(&self.control_plane_ends).copied().collect();
                    if self.rules.version_order {
                        self.builder.after_all(first, skew, Because::Skew);
                    }
                    if group != Group::Broken && self.rules.heal_first {
                        self.builder.after_all(first, healed.iter().copied(), Because::HealFirst);
                    }
                }
                lanes.add(&mut self.builder, first, last);
            }
            // Where a rule is off, the broken ones are not waited for.
            if !lanes.open_ends().is_empty() && (group != Group::Broken || self.rules.heal_first) {
                before = lanes.open_ends().to_vec();
            }
        }
        self.node_ends.extend(before);
    }

    /// Why a node must wait for API servers: none answers, or it would get a newer kubelet than they are.
    fn why_wait_for_the_api(&self, name: &NodeName) -> Option<&'static str> {
        let condition = self.condition(name, Component::Kubelet);
        let works = condition.is_some_and(Condition::works);
        if !self.kube_answers() && works && self.seen.ledger.born == Birth::Born && self.rules.heal_first {
            return Some("an API server must answer first");
        }
        let upgrades = [Component::Kubelet, Component::KubeProxy].into_iter().any(|component| {
            let condition = self.condition(name, component);
            matches!(condition, Some(Condition::Differs { reasons, .. }) if has_new_image(reasons))
        });
        (upgrades && self.an_api_server_stays_old()).then_some(NEVER_NEWER)
    }

    /// Whether an API server is, or may be, of an older version than this plan's kubelets, also when it is done.
    ///
    /// Source: <https://kubernetes.io/releases/version-skew-policy/#kubelet>.
    fn an_api_server_stays_old(&self) -> bool {
        if !self.rules.version_order {
            return false;
        }
        let api = Component::KubeApiserver;
        let stays_old = |(name, _): (&NodeName, &NodeWish)| {
            !self.disturbed.contains_key(&(name, api))
                && matches!(
                    self.condition(name, api),
                    Some(Condition::Differs { reasons, .. }) if has_new_image(reasons)
                )
        };
        // One that is no longer wished goes after the nodes have been changed.
        let leaves_old = |(name, node): (&NodeName, &NodeSeen)| {
            let is_wished = self.wish.nodes.get(name).is_some_and(|node| node.has(Role::ControlPlane));
            !is_wished && node.facts().is_some_and(|facts| self.is_older(facts, api))
        };
        self.an_api_server_is_hidden()
            || self.with_role(Role::ControlPlane).any(stays_old)
            || self.seen.nodes.iter().any(leaves_old)
    }

    /// Whether a node of cluster.yml is out of sight that is to be a control plane, or was one when last seen.
    pub(crate) fn an_api_server_is_hidden(&self) -> bool {
        let was = |name: &NodeName| {
            let last = self.seen.ledger.nodes.get(name);
            last.is_some_and(|last| last.roles.contains(&Role::ControlPlane))
        };
        let is_hidden = |(name, node): (&NodeName, &NodeWish)| {
            !self.is_in_sight(name) && (node.has(Role::ControlPlane) || was(name))
        };
        self.wish.nodes.iter().any(is_hidden)
    }

    /// Whether a cluster that may live may have API servers out of sight, and none of these in sight tells of which version
    /// they are: no kubelet is newer than they are, and no API server is brought to another version while one is away.
    pub(crate) fn hides_its_version(&self, who_tells: &[Component]) -> bool {
        let tells = |facts: &NodeFacts| {
            let mut seen = who_tells.iter().filter_map(|component| facts.containers.get(component.as_str()));
            seen.any(|seen| seen.spec.version.is_some())
        };
        self.rules.version_order
            && self.may_live()
            && self.an_api_server_is_hidden()
            && !self.seen.nodes.values().filter_map(NodeSeen::facts).any(tells)
    }

    /// Whether a node has this component in an older minor version than wished.
    pub(crate) fn is_older(&self, facts: &NodeFacts, component: Component) -> bool {
        let minor = |version: &KubernetesVersion| {
            let (major, minor, _) = version.numbers();
            (major, minor)
        };
        let seen = facts.containers.get(component.as_str());
        seen.and_then(|seen| seen.spec.version.as_ref())
            .is_some_and(|version| minor(version) < minor(&self.wish.version))
    }

    /// Whether Kubernetes is on its way to another minor version, by anything that is in sight.
    fn is_on_the_way(&self) -> bool {
        let facts = self.seen.nodes.values().filter_map(NodeSeen::facts);
        facts.into_iter().any(|facts| VERSIONED.into_iter().any(|part| self.is_older(facts, part)))
    }

    fn hold_node(&mut self, name: &NodeName, away: usize, limit: usize) {
        let waits_for = if away > 0 {
            format!(
                "{} unavailable, and the limit is {limit}: bring them back, or take them out of cluster.yml",
                count(away, "other worker is", "other workers are")
            )
        } else {
            "every node of its kind must be in sight, or out of cluster.yml".to_owned()
        };
        self.hold(name, "node", "the node is not disturbed", &waits_for);
    }

    /// How many workers are unavailable and stay so, whatever this plan does.
    fn unavailable_beside(&self, rolling: &[(Group, &'a NodeName)]) -> usize {
        let rolls: BTreeSet<&NodeName> = rolling.iter().map(|(_, name)| *name).collect();
        self.workers
            .iter()
            .filter(|name| {
                // Whatever this plan does for it, a node that somebody else cordoned stays so.
                self.object(name).is_some_and(|object| object.scheduling == Scheduling::CordonedByOther)
                    || (!rolls.contains(name) && !self.is_in_sight(name) && self.rules.hold_while_blind)
            })
            .count()
    }

    /// Whether nothing healthy of this group may be disturbed because nobody can see the consequences.
    fn is_blind_to(&self, group: Group) -> bool {
        if !self.rules.hold_while_blind {
            return false;
        }
        let away = self
            .wish
            .nodes
            .iter()
            .filter(|(name, node)| Group::of(node) == group && !self.is_in_sight(name))
            .count();
        match group {
            Group::ControlPlane => {
                let total = self.with_role(Role::ControlPlane).count();
                away >= self.wish.rollout.max_unavailable_controlplane.of(total)
            }
            Group::Etcd => away > 0,
            Group::Worker | Group::Broken => false,
        }
    }

    /// Changes one node: cordon and drain if it is upgraded so, one container after another, ready, uncordon.
    fn disturb_node(&mut self, name: &'a NodeName, available: bool) -> Option<(StepHandle, StepHandle)> {
        let mut first = None;
        let mut last: Option<StepHandle> = None;
        let mut guards: Vec<Guard> = self.window_guard(name).into_iter().collect();
        let object = self.object(name);
        let scheduling = object.map(|object| object.scheduling).unwrap_or_default();
        let drains = self.drains(name)
            && object.is_some_and(|object| object.ready == Readiness::Ready)
            && (available || scheduling != Scheduling::Open);
        if drains && let Some(options) = &self.wish.rollout.drain {
            let reasons = self.upgrade_reasons(name);
            if scheduling == Scheduling::Open {
                let cordon = self.builder.step(
                    StepId::new(name, "node", "cordon"),
                    Action::Cordon { node: name.clone(), guards: std::mem::take(&mut guards) },
                    reasons.clone(),
                    vec!["upgrade_strategy.drain".into()],
                );
                first = Some(cordon);
                last = Some(cordon);
            }
            let drain = self.builder.step(
                StepId::new(name, "node", "drain"),
                Action::Drain { node: name.clone(), options: options.clone() },
                reasons,
                vec!["upgrade_strategy.drain".into()],
            );
            self.builder.after_all(drain, last, Because::Needs);
            first = first.or(Some(drain));
            last = Some(drain);
        }
        let mut waits = Vec::new();
        for component in COMPONENTS {
            if self.port_is_taken(name) && component == Component::NginxProxy {
                continue;
            }
            let Some(step) = self.disturb(name, component, vec![], guards.clone()) else { continue };
            self.builder.after_all(step, last, Because::Gate);
            let wait = self.await_container(name, component, Some(step));
            first = first.or(Some(step));
            last = Some(wait);
            waits.push(wait);
        }
        first?;
        // The image is there before the node is emptied or touched.
        if drains
            && let Some(wish) = self.wish.nodes[name].containers.get(&Component::Kubelet)
            && let (Some(first), Some(pull)) = (first, self.image(name, &wish.spec.image))
        {
            self.builder.after(first, pull, Because::Needs);
        }
        // So is whatever else the new kubelet needs.
        if drains && let Some(first) = first {
            let ground = self.files.get(name).into_iter().chain(self.kernels.get(name)).copied();
            self.builder.after_all(first, ground.collect::<Vec<_>>(), Because::Needs);
        }
        let ready = self.await_ready(name, Reason::Disturbed);
        self.builder.after_all(ready, waits, Because::Needs);
        if let Some(&api) = self.api_up.get(name) {
            self.builder.after(ready, api, Because::Needs);
        }
        self.ready.insert(name, ready);
        last = Some(ready);
        let cordons = drains && scheduling == Scheduling::Open;
        if cordons || scheduling == Scheduling::CordonedByWindlass {
            let reason = if cordons { Reason::DoneWith } else { Reason::LeftCordoned };
            let uncordon = self.uncordon(name, reason);
            self.builder.after_all(uncordon, last, Because::Needs);
            last = Some(uncordon);
        }
        Some((first?, last?))
    }

    /// Whether the node's pods are moved away before it is changed: for a new kubelet, if cluster.yml wants it.
    fn drains(&self, name: &NodeName) -> bool {
        self.wish.rollout.drain.is_some()
            && self.workers.contains(name)
            && matches!(
                self.condition(name, Component::Kubelet),
                Some(Condition::Differs { reasons, .. }) if has_new_image(reasons)
            )
    }

    fn upgrade_reasons(&self, name: &NodeName) -> Vec<Reason> {
        let seen = self
            .facts(name)
            .and_then(|facts| facts.containers.get(Component::Kubelet.as_str()))
            .and_then(|container| container.spec.version.clone());
        match seen {
            Some(from) if from != self.wish.version => {
                vec![Reason::Upgrade { from, to: self.wish.version.clone() }]
            }
            _ => match self.condition(name, Component::Kubelet) {
                Some(Condition::Differs { reasons, .. }) => reasons.clone(),
                _ => vec![Reason::Requested],
            },
        }
    }

    /// Opens a node that an earlier run cordoned and that has nothing left to be done.
    fn open_left_cordoned(&mut self, name: &'a NodeName) {
        let cordoned = self.object(name).is_some_and(|object| match object.scheduling {
            Scheduling::CordonedByWindlass => true,
            Scheduling::CordonedByOther => !self.rules.respect_cordons,
            Scheduling::Open => false,
        });
        if !cordoned || self.is_to_be_disturbed(name) {
            return;
        }
        let uncordon = self.uncordon(name, Reason::LeftCordoned);
        self.builder.after_all(uncordon, self.ready.get(name).copied(), Because::Needs);
    }

    fn uncordon(&mut self, name: &'a NodeName, reason: Reason) -> StepHandle {
        self.builder.step(
            StepId::new(name, "node", "uncordon"),
            Action::Uncordon { node: name.clone() },
            vec![reason],
            vec![],
        )
    }

    /// Tells of nodes out of sight: nothing is planned there, and nothing else changes because they are away.
    pub(crate) fn report_nodes_out_of_sight(&mut self) {
        for (name, node) in &self.wish.nodes {
            let cause = match self.seen.nodes.get(name) {
                Some(windlass_model::NodeSeen::OutOfSight(cause)) => cause.clone(),
                None => "nobody looked".to_owned(),
                Some(windlass_model::NodeSeen::InSight(_)) => continue,
            };
            let roles: Vec<&str> = node.roles.iter().map(|role| role.as_str()).collect();
            self.find(
                FindingKind::Held,
                name,
                Some(name),
                format!("({}) out of sight: {cause}", roles.join(", ")),
                "nothing is planned there until it is back; if it is gone for ever, take it out of cluster.yml",
                Some(node.origin.clone()),
            );
        }
    }
}

pub(crate) fn has_new_image(reasons: &[Reason]) -> bool {
    reasons.iter().any(|reason| matches!(reason, Reason::Differs { difference: Difference::Image { .. } }))
}
