//! API server, controller manager and scheduler: brought up all at once, changed one node after another.

use windlass_model::{
    Action, Because, Component, ContainerState, EtcdSeen, FindingKind, Guard, Health, NodeName, NodeWish,
    Reason, Role, StepId,
};

use crate::builder::{Lanes, StepHandle};
use crate::compare::Condition;
use crate::nodes::{HIDDEN, VERSIONED};
use crate::planner::Planner;

/// The components of a control-plane node, the API server first: the others talk to it alone.
const COMPONENTS: [Component; 3] =
    [Component::KubeApiserver, Component::KubeControllerManager, Component::KubeScheduler];

/// A control-plane node whose containers are to be disturbed.
#[derive(Debug)]
struct Disturbance<'a> {
    name: &'a NodeName,
    /// Whether the API server works now and would be taken down.
    takes_down_api: bool,
    /// Whether the API server runs, healthy or not.
    runs: bool,
    /// Whether the API server is of an older minor version than wished.
    is_older: bool,
}

impl<'a> Planner<'a> {
    /// Plans the control plane.
    pub(crate) fn control_plane(&mut self) {
        let nodes: Vec<(&'a NodeName, &'a NodeWish)> = self
            .nodes_in_sight()
            .filter(|(_, node, _)| node.has(Role::ControlPlane))
            .map(|(name, node, _)| (name, node))
            .collect();
        let mut gaining = Lanes::new(1, Because::OneAtATime);
        for &(name, _) in &nodes {
            self.bring_up_control_plane(name, &mut gaining);
        }
        let disturbed: Vec<Disturbance<'a>> =
            nodes.iter().filter_map(|(name, _)| self.disturbance(name)).collect();
        self.roll_control_plane(disturbed, &gaining);
        self.note_birth_in_external_etcd();
    }

    /// What only comes up waits for nothing but what it uses.
    fn bring_up_control_plane(&mut self, name: &'a NodeName, gaining: &mut Lanes) {
        for component in COMPONENTS {
            let api = Component::KubeApiserver;
            if self.condition(name, component) == Some(&Condition::Absent)
                && self.hides_its_version(&VERSIONED)
            {
                self.hold(name, component.as_str(), "is missing, and not run now", HIDDEN);
                continue;
            }
            if self.condition(name, component) == Some(&Condition::Absent)
                && self.may_be_led_out_of_sight(name)
            {
                let waits_for = "nginx-proxy of this node may lead to an API server that is out of sight, and would go: one \
                                 must be in sight, or out of cluster.yml";
                self.hold(name, component.as_str(), "is missing, and not run now", waits_for);
                continue;
            }
            if component != api
                && self.rules.hold_while_blind
                && self.condition(name, component) == Some(&Condition::Absent)
                && self.facts(name).is_some_and(|facts| self.is_older(facts, api))
            {
                let waits_for = "the API server of this node must be of the new version first";
                self.hold(name, component.as_str(), "is missing, and not run now", waits_for);
                continue;
            }
            let step = self.bring_up(name, component, vec![]);
            let is_mended = if component == Component::KubeApiserver {
                !self.etcd_heals.is_empty()
            } else {
                self.api_up.contains_key(name)
            };
            let settles = match self.condition(name, component) {
                Some(Condition::Settling) => true,
                Some(Condition::Waiting) if is_mended => true,
                Some(Condition::Waiting) => {
                    let waits_for = if component == Component::KubeApiserver {
                        "etcd must have a majority first"
                    } else {
                        "the API server of this node must work first"
                    };
                    self.hold(name, component.as_str(), "runs and cannot work", waits_for);
                    false
                }
                _ => false,
            };
            if step.is_none() && !settles {
                continue;
            }
            let wait = self.await_container(name, component, step);
            self.api_heals.push(wait);
            if component == Component::KubeApiserver {
                // An API server answers only when etcd does.
                self.builder.after_all(wait, self.etcd_heals.clone(), Because::Needs);
                self.api_up.insert(name, wait);
                if let Some(run) = step
                    && let Some(free) = self.free_port(name)
                {
                    self.builder.after(run, free, Because::Needs);
                    gaining.add(&mut self.builder, free, wait);
                }
            } else if let Some(&api) = self.api_up.get(name) {
                self.builder.after(wait, api, Because::Needs);
            }
        }
    }

    /// Whether a node that becomes a control plane may be at work by an API server that nobody can ask.
    fn may_be_led_out_of_sight(&self, name: &NodeName) -> bool {
        self.rules.hold_while_blind
            && !self.kube_answers()
            && self
                .facts(name)
                .is_some_and(|facts| facts.containers.contains_key(Component::NginxProxy.as_str()))
            && self.an_api_server_is_hidden()
    }

    /// On a node that becomes a control plane, nginx-proxy holds the API server's port: it goes first.
    fn free_port(&mut self, name: &'a NodeName) -> Option<StepHandle> {
        let proxy = Component::NginxProxy;
        self.facts(name)?.containers.get(proxy.as_str())?;
        // Where no API server answers, the node is not available, and nobody could tell.
        let guards: Vec<Guard> =
            self.window_guard(name).into_iter().filter(|_| self.kube_answers()).collect();
        let image = self.wish.nodes[name].containers[&Component::KubeApiserver].spec.image.clone();
        let pull = self.image(name, &image);
        let remove = self.builder.step(
            StepId::new(name, proxy, "remove"),
            Action::RemoveContainer { node: name.clone(), container: proxy.container(), guards },
            vec![Reason::Unwanted],
            vec![self.wish.nodes[name].origin.clone()],
        );
        // The node is without an API server in between: nothing else may keep it waiting.
        self.builder.after_all(remove, pull.into_iter().chain(self.files.get(name).copied()), Because::Needs);
        self.builder.after_all(remove, self.etcd_heals.clone(), Because::HealFirst);
        self.removed.insert((name, proxy), remove);
        Some(remove)
    }

    fn disturbance(&self, name: &'a NodeName) -> Option<Disturbance<'a>> {
        let disturbed = |component| {
            matches!(self.condition(name, component), Some(Condition::Differs { .. } | Condition::Sick(_)))
        };
        let facts = self.facts(name)?;
        let container = facts.containers.get(Component::KubeApiserver.as_str());
        COMPONENTS.into_iter().any(disturbed).then(|| Disturbance {
            name,
            runs: container.is_some_and(|container| container.state == ContainerState::Running),
            is_older: self.is_older(facts, Component::KubeApiserver),
            takes_down_api: matches!(
                self.condition(name, Component::KubeApiserver),
                Some(Condition::Differs { works: true, .. })
            ),
        })
    }

    /// What takes something down goes node by node, what is broken first.
    fn roll_control_plane(&mut self, mut disturbed: Vec<Disturbance<'a>>, gaining: &Lanes) {
        let total = self.with_role(Role::ControlPlane).count();
        // Whatever the limit allows, one API server stays.
        let limit = if self.rules.one_at_a_time {
            self.wish.rollout.max_unavailable_controlplane.of(total).min(total.saturating_sub(1)).max(1)
        } else {
            total
        };
        let blind = self.with_role(Role::ControlPlane).filter(|(name, _)| !self.is_in_sight(name)).count();
        let capacity = if self.rules.hold_while_blind { limit.saturating_sub(blind) } else { limit };
        let etcd_is_silent = self.etcd_is_silent();
        // Without etcd no API server works: whether one is sick by itself cannot be told.
        let blames_etcd = etcd_is_silent && self.rules.heal_first && self.etcd_heals.is_empty();
        let a_member_works = self.a_wished_member_works() || !self.rules.heal_first;
        disturbed.sort_by_key(|node| (node.takes_down_api, node.name));
        let mut lanes = Lanes::new(capacity.max(1), Because::OneAtATime);
        let heals = self.api_heals.clone();
        for node in disturbed {
            // One that is out of sight may be of a still older version, and API servers differ by one at most:
            // <https://kubernetes.io/releases/version-skew-policy/#kube-apiserver>.
            let may_skip = node.is_older && blind > 0 && self.rules.version_order;
            let loses_etcd = node.takes_down_api && !a_member_works;
            if (node.takes_down_api && capacity == 0) || (node.runs && blames_etcd) || may_skip || loses_etcd
            {
                let waits_for = if blames_etcd {
                    "etcd must have a majority first"
                } else if loses_etcd {
                    "a member of etcd on a node of cluster.yml must work first: it would be told of no other"
                } else {
                    "every control-plane node must be in sight, or out of cluster.yml"
                };
                self.hold(
                    node.name,
                    "control-plane",
                    "the control plane of this node is not changed",
                    waits_for,
                );
                self.control_plane_held = true;
                continue;
            }
            let Some((first, last)) = self.disturb_control_plane(node.name) else { continue };
            if self.rules.version_order {
                self.builder.after_all(first, self.etcd_ends.clone(), Because::Skew);
            }
            if (node.takes_down_api || etcd_is_silent) && self.rules.heal_first {
                self.builder.after_all(
                    first,
                    heals.iter().chain(&self.etcd_heals).copied().collect::<Vec<_>>(),
                    Because::HealFirst,
                );
            }
            lanes.add(&mut self.builder, first, last);
        }
        self.control_plane_ends.extend(gaining.open_ends().iter().chain(lanes.open_ends()));
        if self.control_plane_held {
            self.find(
                FindingKind::Held,
                "cluster/control-plane",
                None,
                "healthy API servers stay as they are",
                "see the nodes held above",
                None,
            );
        }
    }

    /// Whether an API server that knows the members of cluster.yml alone finds one that works, or will by this plan.
    fn a_wished_member_works(&self) -> bool {
        let EtcdSeen::Members(members) = &self.seen.etcd else { return true };
        let works = |node: &NodeWish| {
            let peer_url = node.target.peer_url();
            members.iter().any(|member| member.peer_url == peer_url && member.health == Health::Healthy)
        };
        self.wish.etcd.is_external()
            || !self.joined.is_empty()
            || !self.etcd_heals.is_empty()
            || self.with_role(Role::Etcd).any(|(_, node)| works(node))
    }

    /// Changes one node: API server, wait, then the two that talk to it, wait.
    fn disturb_control_plane(&mut self, name: &'a NodeName) -> Option<(StepHandle, StepHandle)> {
        let mut first = None;
        let mut last: Vec<StepHandle> = Vec::new();
        for component in COMPONENTS {
            let guards: Vec<Guard> = if component == Component::KubeApiserver {
                self.api_guard(name).into_iter().collect()
            } else {
                vec![]
            };
            let Some(step) = self.disturb(name, component, vec![], guards) else { continue };
            self.builder.after_all(step, last.iter().copied(), Because::Gate);
            let wait = self.await_container(name, component, Some(step));
            if component == Component::KubeApiserver {
                self.api_up.insert(name, wait);
            } else if let Some(&api) = self.api_up.get(name) {
                self.builder.after(wait, api, Because::Needs);
            }
            first = first.or(Some(step));
            last = vec![wait];
        }
        Some((first?, *last.first()?))
    }
}
