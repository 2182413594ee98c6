//! The planner at work: what it was given, what it has made so far, and the steps that many subjects share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_model::{
    Action, Because, Birth, Blueprint, CertName, Component, Content, EtcdData, EtcdSeen, Finding,
    FindingKind, Gate, Guard, ImageRef, Intent, Inventory, KubeSeen, LedgerChange, NodeFacts, NodeName,
    NodeObject, NodeSeen, NodeWish, Planning, Readiness, Reason, RestartWhen, Role, Scheduling, SpecPath,
    StepId,
};

use crate::builder::{PlanBuilder, StepHandle};
use crate::compare::{Condition, Contents, conditions};
use crate::etcd::Votes;
use crate::files::Differing;
use crate::nodes::has_new_image;
use crate::rules::Rules;
use crate::sight::Sight;

/// Seconds within which a container must become healthy.
///
/// An API server of 1.20 needs some seconds once etcd answers; slow disks make it a minute.
const CONTAINER_WITHIN_SECONDS: u32 = 180;

/// Seconds within which a node must become ready: kubelet registers, then the network plugin comes up.
const READY_WITHIN_SECONDS: u32 = 300;

/// A plan in the making.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself, and none excludes another")]
#[derive(Debug)]
pub(crate) struct Planner<'a> {
    pub(crate) rules: Rules,
    pub(crate) wish: &'a Blueprint,
    pub(crate) seen: &'a Inventory,
    pub(crate) intent: &'a Intent,
    pub(crate) builder: PlanBuilder,
    pub(crate) findings: Vec<Finding>,
    /// The certificates that this plan makes, and why.
    pub(crate) minted: BTreeMap<CertName, Vec<Reason>>,
    /// The wished nodes in sight, with what is to be done about each of their containers.
    pub(crate) sight: Sight<'a>,
    /// Whether Kubernetes moves to another version by this plan.
    pub(crate) upgrading: bool,
    /// What becomes true in the ledger at the end, and after which steps.
    pub(crate) conclusion: LedgerChange,
    pub(crate) conclude_after: Vec<StepHandle>,
    /// The step that commits the ledger before anything else, and the copies of it on nodes.
    pub(crate) commit: Option<StepHandle>,
    /// The commit that notes etcd's first life.
    pub(crate) born: Option<StepHandle>,
    pub(crate) copies: Vec<StepHandle>,
    /// Whether a commit of this plan changes what Kubernetes keeps of the ledger.
    pub(crate) roots_change: bool,
    /// Whether no node in sight holds a copy of the ledger yet, while the cluster has not begun to live.
    pub(crate) no_copy_yet: bool,
    pub(crate) files: BTreeMap<&'a NodeName, StepHandle>,
    /// Changed lists of API servers: still to be planned, and planned.
    pub(crate) late_files: BTreeMap<&'a NodeName, Differing>,
    /// Files of etcd that go over to another user with it, and the writes by which they do.
    pub(crate) handed_files: BTreeMap<&'a NodeName, Differing>,
    pub(crate) handed_over: BTreeMap<&'a NodeName, StepHandle>,
    pub(crate) proxy_files: BTreeMap<&'a NodeName, StepHandle>,
    pulls: BTreeMap<(&'a NodeName, ImageRef), StepHandle>,
    /// The steps that set the kernel of a node whose kubelet needs it.
    pub(crate) kernels: BTreeMap<&'a NodeName, StepHandle>,
    /// The waits for what this plan brings up, by layer.
    pub(crate) etcd_heals: Vec<StepHandle>,
    pub(crate) api_heals: Vec<StepHandle>,
    /// The ends of each layer's disturbances: the next layer waits for them.
    pub(crate) etcd_ends: Vec<StepHandle>,
    pub(crate) control_plane_ends: Vec<StepHandle>,
    pub(crate) node_ends: Vec<StepHandle>,
    /// The last step that this plan makes for a node to be up again.
    pub(crate) ready: BTreeMap<&'a NodeName, StepHandle>,
    /// The wait for each API server that this plan brings up or disturbs.
    pub(crate) api_up: BTreeMap<&'a NodeName, StepHandle>,
    /// All workers of the wish: those that share the limit.
    pub(crate) workers: Arc<BTreeSet<NodeName>>,
    /// Those of them that have never been of use, as far as anybody can tell.
    pub(crate) new_workers: Arc<BTreeSet<NodeName>>,
    /// Whether changes of healthy members, or of the control plane, are held back.
    pub(crate) etcd_held: bool,
    pub(crate) control_plane_held: bool,
    /// The steps that take members out, and that clear a former member from its node, by node.
    pub(crate) left_member: BTreeMap<&'a NodeName, StepHandle>,
    pub(crate) cleared: BTreeMap<&'a NodeName, StepHandle>,
    /// The steps that let a new member vote, by node.
    pub(crate) joined: BTreeMap<&'a NodeName, StepHandle>,
    pub(crate) votes: Votes,
    /// The steps that remove, or that replace or restart, a component on a node.
    pub(crate) removed: BTreeMap<(&'a NodeName, Component), StepHandle>,
    pub(crate) disturbed: BTreeMap<(&'a NodeName, Component), StepHandle>,
    /// The removals of left-overs, which hold names that other steps need.
    pub(crate) left_over_removals: BTreeMap<&'a NodeName, Vec<StepHandle>>,
    /// The waits for nginx-proxies that read a new list of API servers.
    pub(crate) reloads: Vec<StepHandle>,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(rules: Rules, wish: &'a Blueprint, seen: &'a Inventory, intent: &'a Intent) -> Self {
        Self {
            rules,
            wish,
            seen,
            intent,
            builder: PlanBuilder::default(),
            findings: Vec::new(),
            minted: BTreeMap::new(),
            sight: Sight::new(wish, seen),
            upgrading: false,
            conclusion: LedgerChange::default(),
            conclude_after: Vec::new(),
            commit: None,
            born: None,
            copies: Vec::new(),
            roots_change: false,
            no_copy_yet: seen.ledger.born == Birth::Expected
                && seen.nodes.values().filter_map(NodeSeen::facts).all(|facts| facts.ledger.is_none()),
            files: BTreeMap::new(),
            late_files: BTreeMap::new(),
            handed_files: BTreeMap::new(),
            handed_over: BTreeMap::new(),
            proxy_files: BTreeMap::new(),
            pulls: BTreeMap::new(),
            kernels: BTreeMap::new(),
            etcd_heals: Vec::new(),
            api_heals: Vec::new(),
            etcd_ends: Vec::new(),
            control_plane_ends: Vec::new(),
            node_ends: Vec::new(),
            ready: BTreeMap::new(),
            api_up: BTreeMap::new(),
            etcd_held: false,
            control_plane_held: false,
            left_member: BTreeMap::new(),
            cleared: BTreeMap::new(),
            joined: BTreeMap::new(),
            votes: Votes::default(),
            removed: BTreeMap::new(),
            disturbed: BTreeMap::new(),
            left_over_removals: BTreeMap::new(),
            reloads: Vec::new(),
            workers: Arc::new(wish.with_role(Role::Worker).map(|(name, _)| name.clone()).collect()),
            new_workers: Arc::new(new_workers(wish, seen)),
        }
    }

    pub(crate) fn finish(self) -> Planning {
        let mut findings = self.findings;
        findings.sort();
        findings.dedup();
        Planning { plan: self.builder.finish(), findings }
    }

    /// Looks at every wished file and container of every node in sight, once the certificates to be made are known.
    pub(crate) fn compare(&mut self) {
        let contents = Contents::new(self.seen, &self.minted);
        let (kube_answers, etcd_is_silent) = (self.kube_answers(), self.etcd_is_silent());
        for node in self.sight.iter_mut() {
            let files = contents.files(node.wish, node.facts);
            let mut conditions: Vec<(Component, Condition)> =
                conditions(node.wish, &files, node.facts).collect();
            if kube_answers && node.object.is_none() {
                // A kubelet registers its node once, at its start (`registerWithAPIServer`).
                amend(&mut conditions, Component::Kubelet, |kubelet| {
                    (*kubelet == Condition::Good).then(|| Condition::Sick(vec![Reason::Unregistered]))
                });
            }
            excuse_dependents(&mut conditions, etcd_is_silent, kube_answers);
            node.conditions = conditions;
            let differing = files.into_iter().filter(|file| file.wish.content != Content::Ledger);
            node.files = differing.filter_map(|file| Some((file.path, file.wish, file.differs?))).collect();
        }
        self.upgrading = self.sight.iter().any(|node| {
            let api_server = find(&node.conditions, Component::KubeApiserver);
            matches!(api_server, Some(Condition::Differs { reasons, .. }) if has_new_image(reasons))
        });
    }

    // What was seen.

    /// What is known of a node, if it is in sight.
    pub(crate) fn facts(&self, node: &NodeName) -> Option<&'a NodeFacts> {
        match self.sight.of(node) {
            Some(node) => Some(node.facts),
            // It may have left the wish.
            None => self.seen.nodes.get(node)?.facts(),
        }
    }

    pub(crate) fn is_in_sight(&self, node: &NodeName) -> bool {
        self.facts(node).is_some()
    }

    /// The wished nodes in sight, with what is known of them.
    pub(crate) fn nodes_in_sight(&self) -> impl Iterator<Item = (&'a NodeName, &'a NodeWish, &'a NodeFacts)> {
        self.sight.iter().map(|node| (node.name, node.wish, node.facts))
    }

    /// The wished nodes with this role, by name.
    pub(crate) fn with_role(&self, role: Role) -> impl Iterator<Item = (&'a NodeName, &'a NodeWish)> {
        self.wish.with_role(role)
    }

    /// What is to be done about a wished container on a node in sight.
    pub(crate) fn condition(&self, node: &NodeName, component: Component) -> Option<&Condition> {
        find(&self.sight.of(node)?.conditions, component)
    }

    pub(crate) fn object(&self, node: &NodeName) -> Option<&'a NodeObject> {
        match self.sight.of(node) {
            Some(node) => node.object,
            None => self.seen.kube.node(node),
        }
    }

    /// Whether etcd has no majority. Nobody asks one that is not of the cluster's nodes: it is never said to be
    /// silent.
    pub(crate) fn etcd_is_silent(&self) -> bool {
        self.seen.etcd == EtcdSeen::Silent && !self.wish.etcd.is_external()
    }

    /// Whether the cluster is seen to live: etcd answers, or an API server does.
    pub(crate) fn is_seen_to_live(&self) -> bool {
        self.seen.etcd != EtcdSeen::Silent || (self.wish.etcd.is_external() && self.kube_answers())
    }

    /// Whether the cluster may live, though the ledger does not know yet that it was born, as the run was cut off that
    /// would have noted it.
    pub(crate) fn may_live(&self) -> bool {
        let mut facts = self.seen.nodes.values().filter_map(NodeSeen::facts);
        self.seen.ledger.born == Birth::Born
            || self.is_seen_to_live()
            || facts.any(|facts| facts.etcd_data == EtcdData::Present)
    }

    pub(crate) fn kube_answers(&self) -> bool {
        matches!(self.seen.kube, KubeSeen::Nodes(_))
    }

    /// Whether the node does its work for pods now: all its containers work, its object is ready and open.
    pub(crate) fn is_available(&self, node: &NodeName) -> bool {
        let works = |component| self.condition(node, component).is_none_or(Condition::works);
        works(Component::Kubelet)
            && works(Component::KubeProxy)
            && works(Component::NginxProxy)
            && self.object(node).is_some_and(|object| {
                object.ready == Readiness::Ready && object.scheduling == Scheduling::Open
            })
    }

    // Findings.

    pub(crate) fn find(
        &mut self,
        kind: FindingKind,
        subject: impl std::fmt::Display,
        node: Option<&NodeName>,
        what: impl Into<String>,
        help: impl Into<String>,
        origin: Option<SpecPath>,
    ) {
        self.findings.push(Finding {
            kind,
            subject: subject.to_string(),
            node: node.cloned(),
            what: what.into(),
            help: help.into(),
            origin,
        });
    }

    /// Something that is wished and not planned now.
    pub(crate) fn hold(&mut self, node: &NodeName, subject: &str, what: &str, waits_for: &str) {
        let origin = self.wish.nodes.get(node).map(|wish| wish.origin.clone());
        self.find(FindingKind::Held, format!("{node}/{subject}"), Some(node), what, waits_for, origin);
    }

    // Steps that many subjects share.

    /// The pull of an image, if the node does not hold it.
    pub(crate) fn image(&mut self, node: &'a NodeName, image: &ImageRef) -> Option<StepHandle> {
        if self.facts(node)?.images.contains(image) {
            return None;
        }
        if let Some(&handle) = self.pulls.get(&(node, image.clone())) {
            return Some(handle);
        }
        let handle = self.builder.step(
            StepId::new(node, image, "pull"),
            Action::PullImage { node: node.clone(), image: image.clone() },
            vec![Reason::ImageNeeded { image: image.clone() }],
            vec![],
        );
        self.pulls.insert((node, image.clone()), handle);
        Some(handle)
    }

    /// Makes a step that puts a container up wait for its files and its image.
    pub(crate) fn needs_files_and_image(
        &mut self,
        step: StepHandle,
        node: &'a NodeName,
        image: Option<StepHandle>,
    ) {
        if let Some(&files) = self.files.get(node) {
            self.builder.after(step, files, Because::Needs);
        }
        if let Some(pull) = image {
            self.builder.after(step, pull, Because::Needs);
        }
        let left_overs = self.left_over_removals.get(node).cloned().unwrap_or_default();
        self.builder.after_all(step, left_overs, Because::Needs);
    }

    /// Makes a kubelet that only checks the kernel wait until it is as it wants.
    fn needs_kernel(&mut self, step: StepHandle, node: &NodeName, component: Component) {
        if component == Component::Kubelet {
            self.builder.after_all(step, self.kernels.get(node).copied(), Because::Needs);
        }
    }

    /// Runs or starts a wished container that is absent or down: takes nothing away, so it waits for nothing
    /// but what it uses.
    pub(crate) fn bring_up(
        &mut self,
        node: &'a NodeName,
        component: Component,
        birth: Vec<Arc<str>>,
    ) -> Option<StepHandle> {
        let wish = self.wish.nodes.get(node)?.containers.get(&component)?;
        let (verb, action, reasons, image) = match self.condition(node, component)? {
            Condition::Absent => (
                "run",
                Action::RunContainer { node: node.clone(), component, spec: wish.spec.clone(), birth },
                vec![Reason::Missing],
                self.image(node, &wish.spec.image),
            ),
            Condition::Down(reasons) => {
                ("start", Action::StartContainer { node: node.clone(), component }, reasons.clone(), None)
            }
            _ => return None,
        };
        let origins = wish.origins.whole.iter().cloned().collect();
        let step = self.builder.step(StepId::new(node, component, verb), action, reasons, origins);
        self.needs_files_and_image(step, node, image);
        self.needs_kernel(step, node, component);
        if component == Component::NginxProxy {
            self.builder.after_all(step, self.proxy_files.get(node).copied(), Because::Needs);
        }
        Some(step)
    }

    /// Replaces or restarts a wished container that differs or is sick.
    pub(crate) fn disturb(
        &mut self,
        node: &'a NodeName,
        component: Component,
        birth: Vec<Arc<str>>,
        guards: Vec<Guard>,
    ) -> Option<StepHandle> {
        let wish = self.wish.nodes.get(node)?.containers.get(&component)?;
        let (verb, action, reasons, origins, image) = match self.condition(node, component)? {
            Condition::Differs { reasons, origins, .. } => (
                "replace",
                Action::ReplaceContainer {
                    node: node.clone(),
                    component,
                    spec: wish.spec.clone(),
                    birth,
                    guards,
                },
                reasons.clone(),
                origins.clone(),
                self.image(node, &wish.spec.image),
            ),
            Condition::Sick(reasons) => (
                "restart",
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
        let step = self.builder.step(StepId::new(node, component, verb), action, reasons, origins);
        self.needs_files_and_image(step, node, image);
        self.needs_kernel(step, node, component);
        if component == Component::NginxProxy {
            self.builder.after_all(step, self.proxy_files.get(node).copied(), Because::Needs);
        }
        if component == Component::Etcd {
            self.hand_files_over(node, step);
        }
        self.disturbed.insert((node, component), step);
        Some(step)
    }

    /// Waits for a container to be healthy after `step`; or, without one, because it was started moments ago.
    pub(crate) fn await_container(
        &mut self,
        node: &NodeName,
        component: Component,
        step: Option<StepHandle>,
    ) -> StepHandle {
        let gate = if component == Component::Etcd {
            Gate::EtcdMember { node: node.clone() }
        } else {
            Gate::Container { node: node.clone(), component }
        };
        let reason = if step.is_some() { Reason::Disturbed } else { Reason::Starting };
        let wait = self.builder.step(
            StepId::new(node, component, "await"),
            Action::AwaitHealthy { gate, within_seconds: CONTAINER_WITHIN_SECONDS },
            vec![reason],
            vec![],
        );
        if let Some(step) = step {
            self.builder.after(wait, step, Because::Needs);
        }
        wait
    }

    /// Waits for the node's object to be there and ready.
    pub(crate) fn await_ready(&mut self, node: &'a NodeName, reason: Reason) -> StepHandle {
        self.builder.step(
            StepId::new(node, "node", "await"),
            Action::AwaitHealthy {
                gate: Gate::NodeReady { node: node.clone() },
                within_seconds: READY_WITHIN_SECONDS,
            },
            vec![reason],
            vec![],
        )
    }

    /// The limit on unavailable workers as a guard, if the node is a worker.
    pub(crate) fn window_guard(&self, node: &NodeName) -> Option<Guard> {
        (self.rules.window && self.workers.contains(node)).then(|| Guard::Window {
            node: node.clone(),
            among: self.workers.clone(),
            new: self.new_workers.clone(),
            limit: self.wish.rollout.max_unavailable_worker.of(self.workers.len()),
        })
    }

    /// Enough API servers beside this one, as a guard, if there should be others.
    pub(crate) fn api_guard(&self, node: &NodeName) -> Option<Guard> {
        let others: Vec<NodeName> = self
            .with_role(Role::ControlPlane)
            .map(|(name, _)| name.clone())
            .filter(|name| name != node)
            .collect();
        let limit = self.wish.rollout.max_unavailable_controlplane.of(others.len() + 1);
        (self.rules.one_at_a_time && !others.is_empty()).then(|| Guard::ApiServersBeside {
            node: node.clone(),
            others,
            limit,
        })
    }
}

/// The workers that Kubernetes does not know and has never known, as far as anybody can tell.
fn new_workers(wish: &Blueprint, seen: &Inventory) -> BTreeSet<NodeName> {
    let is_new = |name: &NodeName| match &seen.kube {
        KubeSeen::Nodes(objects) if objects.contains_key(name) => false,
        kube => match seen.nodes.get(name).and_then(NodeSeen::facts) {
            Some(facts) => !facts.containers.contains_key(Component::Kubelet.as_str()),
            None => *kube != KubeSeen::Silent || !seen.ledger.nodes.contains_key(name),
        },
    };
    wish.with_role(Role::Worker).map(|(name, _)| name).filter(|name| is_new(name)).cloned().collect()
}

pub(crate) fn find(conditions: &[(Component, Condition)], component: Component) -> Option<&Condition> {
    conditions.iter().find(|(of, _)| *of == component).map(|(_, condition)| condition)
}

/// Puts another condition in the place of a component's, if `other` gives one.
fn amend(
    conditions: &mut [(Component, Condition)],
    component: Component,
    other: impl FnOnce(&Condition) -> Option<Condition>,
) {
    let Some((_, condition)) = conditions.iter_mut().find(|(of, _)| *of == component) else { return };
    if let Some(other) = other(condition) {
        *condition = other;
    }
}

/// What runs and cannot work because something else does not is left alone: a restart would not help.
fn excuse_dependents(conditions: &mut [(Component, Condition)], etcd_is_silent: bool, kube_answers: bool) {
    let waits = |sick: &Condition| matches!(sick, Condition::Sick(_)).then_some(Condition::Waiting);
    if etcd_is_silent {
        amend(conditions, Component::KubeApiserver, waits);
    }
    if find(conditions, Component::KubeApiserver).is_some_and(|condition| !condition.works()) {
        amend(conditions, Component::KubeControllerManager, waits);
        amend(conditions, Component::KubeScheduler, waits);
    }
    if !kube_answers {
        amend(conditions, Component::NginxProxy, waits);
    }
}
