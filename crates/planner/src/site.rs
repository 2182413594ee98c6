//! What every step on a container depends on, and the steps that start, replace or restart one and wait for
//! it.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_model::{
    Action, Because, Component, Gate, Guard, ImageRef, NodeName, PodNetwork, Reason, RestartWhen, Role,
    SpecPath, StepId,
};

use crate::builder::{PlanBuilder, StepHandle};
use crate::compare::Condition;
use crate::conditions::Conditions;
use crate::context::Context;
use crate::files::Files;
use crate::ledger::Keys;

/// Seconds within which a container must become healthy.
///
/// An API server of 1.20 needs some seconds once etcd answers; slow disks make it a minute.
const CONTAINER_WITHIN_SECONDS: u32 = 180;

/// Seconds within which a node must become ready: kubelet registers, then the network plugin comes up.
const READY_WITHIN_SECONDS: u32 = 300;

/// The steps that replace, restart or remove a container of a node.
pub(crate) type Changes<'a> = BTreeMap<(&'a NodeName, Component), StepHandle>;

/// What steps on containers depend on: what is known, and what is prepared before any of them.
#[derive(Debug)]
pub(crate) struct Site<'c, 'a> {
    pub(crate) ctx: &'c Context<'a>,
    pub(crate) conditions: &'c Conditions<'c, 'a>,
    pub(crate) keys: &'c Keys,
    pub(crate) files: &'c Files<'a>,
    /// The steps that set the kernel of a node whose kubelet needs it.
    pub(crate) kernels: &'c BTreeMap<&'a NodeName, StepHandle>,
    /// The removals of left-overs, which occupy names that other steps need.
    pub(crate) left_overs: &'c BTreeMap<&'a NodeName, Vec<StepHandle>>,
}

impl<'a> Site<'_, 'a> {
    /// What is to be done about a desired container of a reachable node.
    pub(crate) fn condition(&self, node: &NodeName, component: Component) -> Option<&Condition> {
        self.conditions.of_container(node, component)
    }

    /// The pull of an image, if the node does not hold it.
    pub(crate) fn image(
        &self,
        node: &'a NodeName,
        image: &ImageRef,
        build: &mut PlanBuilder<'a>,
    ) -> Option<StepHandle> {
        let is_there = self.ctx.facts(node)?.images.contains(image);
        (!is_there).then(|| build.pull(node, image))
    }

    /// Makes a step that creates a container wait for its files, its image and its name.
    pub(crate) fn needs_ground(
        &self,
        step: StepHandle,
        node: &NodeName,
        image: Option<StepHandle>,
        build: &mut PlanBuilder<'_>,
    ) {
        build.after_all(step, self.files.written.get(node).copied(), Because::Needs);
        build.after_all(step, image, Because::Needs);
        let left_overs = self.left_overs.get(node).into_iter().flatten();
        build.after_all(step, left_overs.copied(), Because::Needs);
    }

    /// Makes a kubelet that only checks the kernel wait until the kernel is as it requires.
    pub(crate) fn needs_kernel(
        &self,
        step: StepHandle,
        node: &NodeName,
        component: Component,
        build: &mut PlanBuilder<'_>,
    ) {
        if component == Component::Kubelet {
            build.after_all(step, self.kernels.get(node).copied(), Because::Needs);
        }
    }

    /// Runs or starts a desired container that is absent or down: this takes nothing down, so it waits only
    /// for what it uses.
    pub(crate) fn bring_up(
        &self,
        node: &'a NodeName,
        component: Component,
        birth: Vec<Arc<str>>,
        build: &mut PlanBuilder<'a>,
    ) -> Option<StepHandle> {
        let desired = self.ctx.desired.nodes.get(node)?.containers.get(&component)?;
        let (action, reasons, origins, image) = match self.condition(node, component)? {
            Condition::Absent => (
                Action::RunContainer {
                    node: node.clone(),
                    component,
                    spec: desired.spec.clone(),
                    birth,
                    forgets: self.forgotten_by_new(node, component),
                },
                vec![Reason::Missing],
                self.place_of_new(node, component),
                self.image(node, &desired.spec.image, build),
            ),
            Condition::Down(reasons) => {
                (Action::StartContainer { node: node.clone(), component }, reasons.clone(), vec![], None)
            }
            _ => return None,
        };
        let step = build.step(node, component, action, reasons, origins);
        self.needs_ground(step, node, image, build);
        self.needs_kernel(step, node, component, build);
        Some(step)
    }

    /// The node in cluster.yml where the node, or its roles, are new there; a container that is missing
    /// elsewhere was removed on the machine.
    fn place_of_new(&self, node: &NodeName, component: Component) -> Vec<SpecPath> {
        let had_it = self.ctx.last(node).is_some_and(|last| component.nature().runs.on(&last.roles));
        self.ctx.origin(node).into_iter().filter(|_| !had_it).collect()
    }

    /// Replaces or restarts a desired container that differs or is sick.
    pub(crate) fn disturb(
        &self,
        node: &'a NodeName,
        component: Component,
        birth: Vec<Arc<str>>,
        guards: Vec<Guard>,
        build: &mut PlanBuilder<'a>,
    ) -> Option<StepHandle> {
        let desired = self.ctx.desired.nodes.get(node)?.containers.get(&component)?;
        let (action, reasons, origins, image) = match self.condition(node, component)? {
            Condition::Differs { reasons, origins, .. } => (
                Action::ReplaceContainer {
                    node: node.clone(),
                    component,
                    spec: desired.spec.clone(),
                    birth,
                    guards,
                    forgets: self.forgotten_by_next(node, component),
                },
                reasons.clone(),
                origins.clone(),
                self.image(node, &desired.spec.image, build),
            ),
            Condition::Sick(reasons) => (
                Action::RestartContainer {
                    node: node.clone(),
                    component,
                    when: if reasons.contains(&Reason::Unregistered) {
                        RestartWhen::Always
                    } else {
                        RestartWhen::StillSick
                    },
                    guards,
                },
                reasons.clone(),
                vec![],
                None,
            ),
            _ => return None,
        };
        let step = build.step(node, component, action, reasons, origins);
        self.needs_ground(step, node, image, build);
        self.needs_kernel(step, node, component, build);
        Some(step)
    }

    /// The limit on unavailable workers as a guard, if the node is a worker.
    pub(crate) fn window_guard(&self, node: &NodeName) -> Option<Guard> {
        let workers = &self.ctx.workers;
        workers.contains(node).then(|| Guard::Window {
            node: node.clone(),
            among: workers.clone(),
            new: self.ctx.new_workers.clone(),
            limit: self.ctx.desired.rollout.max_unavailable_worker.of(workers.len()),
        })
    }

    /// A guard that enough other API servers work, if there should be others.
    pub(crate) fn api_guard(&self, node: &NodeName) -> Option<Guard> {
        let others: Vec<NodeName> = self
            .ctx
            .with_role(Role::ControlPlane)
            .map(|(name, _)| name.clone())
            .filter(|name| name != node)
            .collect();
        let limit = self.ctx.desired.rollout.max_unavailable_controlplane.of(others.len() + 1);
        (!others.is_empty()).then(|| Guard::ApiServersBeside { node: node.clone(), others, limit })
    }
}

/// Waits for a container to be healthy after `step`; or, without one, because it was started moments ago.
pub(crate) fn await_container(
    node: &NodeName,
    component: Component,
    step: Option<StepHandle>,
    build: &mut PlanBuilder<'_>,
) -> StepHandle {
    await_container_as("await", (node, component), step, build)
}

/// The same under a verb of its own, for a container that the plan waits for twice.
pub(crate) fn await_container_as(
    verb: &str,
    (node, component): (&NodeName, Component),
    step: Option<StepHandle>,
    build: &mut PlanBuilder<'_>,
) -> StepHandle {
    let gate = if component == Component::Etcd {
        Gate::EtcdMember { node: node.clone() }
    } else {
        Gate::Container { node: node.clone(), component }
    };
    let reason = if step.is_some() { Reason::Disturbed } else { Reason::Starting };
    let action = Action::AwaitHealthy { gate, within_seconds: CONTAINER_WITHIN_SECONDS };
    let wait = build.step_at(StepId::new(node, component, verb), action, vec![reason], vec![]);
    build.after_all(wait, step, Because::Needs);
    wait
}

/// Waits for the node's object to exist and be ready.
///
/// Where no node has a pod network, a node that lacks only that is ready enough: windlass deploys none.
pub(crate) fn await_ready(
    ctx: &Context<'_>,
    node: &NodeName,
    reason: Reason,
    build: &mut PlanBuilder<'_>,
) -> StepHandle {
    let action = until_ready(ctx, node);
    build.step(node, "node", action, vec![reason], vec![])
}

/// The same for a node that has become a control plane: its kubelet reaches the API again, by its own API server. Other
/// changes of the node come later, with their own wait.
pub(crate) fn await_reconnected(
    ctx: &Context<'_>,
    node: &NodeName,
    build: &mut PlanBuilder<'_>,
) -> StepHandle {
    let id = StepId::new(node, "node", "await-reconnected");
    build.step_at(id, until_ready(ctx, node), vec![Reason::Disturbed], vec![])
}

fn until_ready(ctx: &Context<'_>, node: &NodeName) -> Action {
    let network =
        if ctx.has_pod_network() || ctx.brings_network() { PodNetwork::Required } else { PodNetwork::NotYet };
    Action::AwaitHealthy {
        gate: Gate::NodeReady { node: node.clone(), network },
        within_seconds: READY_WITHIN_SECONDS,
    }
}
