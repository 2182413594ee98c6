//! Builds a plan: steps, the order among them, and findings. An edge that would close a cycle is refused at
//! the line that adds it, and edges and guards of a switched-off rule are left out here and nowhere else.

use std::collections::BTreeMap;
use std::fmt::Display;

use petgraph::acyclic::Acyclic;
use petgraph::data::Build;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use windlass_model::{
    Action, Because, Cause, Edge, Finding, ImageRef, NodeName, Note, Plan, Planning, Reason, Refusal,
    SpecPath, Step, StepId, Subject, Waiting, Weight,
};

use crate::rules::Rules;

/// A step that has been added to the plan under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StepHandle(NodeIndex);

/// Proof that nothing was refused: keys are planned only with it.
#[derive(Debug)]
pub(crate) struct Allowed(());

/// A plan under construction.
#[derive(Debug)]
pub(crate) struct PlanBuilder<'a> {
    rules: Rules,
    graph: Acyclic<DiGraph<Step, Because>>,
    findings: Vec<Finding>,
    pulls: BTreeMap<(&'a NodeName, ImageRef), StepHandle>,
}

impl<'a> PlanBuilder<'a> {
    /// An empty plan, to be built with these rules.
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, graph: Acyclic::default(), findings: Vec::new(), pulls: BTreeMap::new() }
    }

    // Steps.

    /// Adds the step that does this to a subject of a node, or of the cluster.
    pub(crate) fn step(
        &mut self,
        place: impl Display,
        subject: impl Display,
        action: Action,
        reasons: Vec<Reason>,
        origins: Vec<SpecPath>,
    ) -> StepHandle {
        self.step_at(StepId::of(place, subject, &action), action, reasons, origins)
    }

    /// Adds a step at its own address: one that repeats another step of this plan at a later moment.
    pub(crate) fn step_at(
        &mut self,
        id: StepId,
        mut action: Action,
        reasons: Vec<Reason>,
        origins: Vec<SpecPath>,
    ) -> StepHandle {
        debug_assert!(!reasons.is_empty(), "{id} has no reason");
        if self.rules != Rules::ALL
            && let Some(guards) = action.guards_mut()
        {
            guards.retain(|guard| self.rules.ask_for(guard));
        }
        StepHandle(self.graph.add_node(Step { id, action, reasons, origins }))
    }

    /// The pull of an image onto a node, once for all containers that need it.
    pub(crate) fn pull(&mut self, node: &'a NodeName, image: &ImageRef) -> StepHandle {
        if let Some(&handle) = self.pulls.get(&(node, image.clone())) {
            return handle;
        }
        let handle = self.step(
            node,
            image,
            Action::PullImage { node: node.clone(), image: image.clone() },
            vec![Reason::ImageNeeded { image: image.clone() }],
            vec![],
        );
        self.pulls.insert((node, image.clone()), handle);
        handle
    }

    /// The pulls onto a node that are planned so far.
    pub(crate) fn pulls_on(&self, node: &NodeName) -> Vec<StepHandle> {
        self.pulls.iter().filter(|((of, _), _)| *of == node).map(|(_, pull)| *pull).collect()
    }

    // Order.

    /// Makes `later` wait for `earlier`.
    pub(crate) fn after(&mut self, later: StepHandle, earlier: StepHandle, because: Because) {
        if !self.rules.order_by(because) {
            return;
        }
        self.graph.try_add_edge(earlier.0, later.0, because).expect(
            "the planner adds edges from what comes first to what comes later, so none closes a cycle",
        );
    }

    /// Makes `later` wait for all of `earlier`.
    pub(crate) fn after_all(
        &mut self,
        later: StepHandle,
        earlier: impl IntoIterator<Item = StepHandle>,
        because: Because,
    ) {
        for handle in earlier {
            self.after(later, handle, because);
        }
    }

    /// Makes `later` wait for `earlier` where no other order asks for the opposite: for what is better, and not needed.
    pub(crate) fn after_if_possible(&mut self, later: StepHandle, earlier: StepHandle, because: Because) {
        if self.rules.order_by(because) {
            drop(self.graph.try_add_edge(earlier.0, later.0, because));
        }
    }

    // Findings.

    /// Adds a finding.
    pub(crate) fn find(
        &mut self,
        weight: Weight,
        about: Subject,
        cause: impl Into<Cause>,
        origin: Option<SpecPath>,
    ) {
        self.findings.push(Finding { weight, about, cause: cause.into(), origin });
    }

    /// Refuses to plan anything.
    pub(crate) fn refuse(&mut self, about: Subject, refusal: Refusal, origin: Option<SpecPath>) {
        if !self.rules.refuse {
            return;
        }
        self.find(Weight::Refused, about, refusal, origin);
    }

    /// Something desired is not planned.
    pub(crate) fn hold(&mut self, about: Subject, waiting: Waiting, origin: Option<SpecPath>) {
        self.find(Weight::Held, about, waiting, origin);
    }

    /// Defers something desired: announced where it `follows` by itself, held otherwise.
    pub(crate) fn defer(
        &mut self,
        follows: Follows,
        about: Subject,
        waiting: Waiting,
        origin: Option<SpecPath>,
    ) {
        let weight = match follows {
            Follows::ByItself => Weight::Next,
            Follows::Not => Weight::Held,
        };
        self.find(weight, about, waiting, origin);
    }

    /// Something is worth knowing.
    pub(crate) fn note(&mut self, about: Subject, note: Note, origin: Option<SpecPath>) {
        self.find(Weight::Notice, about, note, origin);
    }

    /// The proof that nothing was refused so far; none if anything was.
    pub(crate) fn allowed(&self) -> Option<Allowed> {
        let is_refused = self.findings.iter().any(|finding| finding.weight == Weight::Refused);
        (!is_refused).then_some(Allowed(()))
    }

    // Finishing.

    /// The finished plan: steps sorted by their ids, edges by their ends, no edge twice; and the findings.
    ///
    /// Where nothing is planned, nothing follows by itself: what was announced is held then.
    pub(crate) fn finish(self) -> Planning {
        let mut findings = self.findings;
        let plan = plan_of(self.graph.into_inner());
        if plan.is_empty() {
            for finding in findings.iter_mut().filter(|finding| finding.weight == Weight::Next) {
                finding.weight = Weight::Held;
            }
        }
        findings.sort();
        findings.dedup();
        Planning { plan, findings }
    }
}

/// Whether something that is not planned now follows in a later round of the same `up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follows {
    /// This plan's own steps make it possible.
    ByItself,
    /// A person must act first, or something outside must change.
    Not,
}

impl Follows {
    /// By itself where this plan has a step that brings it about.
    pub(crate) fn any_of<T>(steps: impl IntoIterator<Item = T>) -> Self {
        match steps.into_iter().next() {
            Some(_) => Self::ByItself,
            None => Self::Not,
        }
    }
}

fn plan_of(graph: DiGraph<Step, Because>) -> Plan {
    let mut edges: Vec<(usize, usize, Because)> = graph
        .edge_references()
        .map(|edge| (edge.source().index(), edge.target().index(), *edge.weight()))
        .collect();
    let mut steps: Vec<Option<Step>> =
        graph.into_nodes_edges().0.into_iter().map(|node| Some(node.weight)).collect();
    // Only their indexes are sorted: a step is large, and there may be ten for each of thousands of nodes.
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.sort_by(|one, other| {
        let id = |at: &usize| steps[*at].as_ref().map(|step| &step.id);
        id(one).cmp(&id(other))
    });
    let mut position = vec![0; steps.len()];
    for (new, old) in order.iter().enumerate() {
        position[*old] = new;
    }
    for edge in &mut edges {
        (edge.0, edge.1) = (position[edge.0], position[edge.1]);
    }
    edges.sort_unstable();
    edges.dedup_by_key(|edge| (edge.0, edge.1));
    Plan {
        steps: order.into_iter().filter_map(|old| steps[old].take()).collect(),
        edges: edges.into_iter().map(|(before, after, because)| Edge { before, after, because }).collect(),
    }
}

/// Sequences of steps that take something down and bring it up again, with a limit on how many run at once.
///
/// Each sequence waits for the end of the one that began `width` before it.
#[derive(Debug)]
pub(crate) struct Lanes {
    width: usize,
    because: Because,
    ends: Vec<StepHandle>,
}

impl Lanes {
    /// This many sequences at once, for this reason.
    pub(crate) fn new(width: usize, because: Because) -> Self {
        Self { width: width.max(1), because, ends: Vec::new() }
    }

    /// Adds a sequence by its first and last step.
    pub(crate) fn add(&mut self, builder: &mut PlanBuilder<'_>, first: StepHandle, last: StepHandle) {
        if let Some(index) = self.ends.len().checked_sub(self.width) {
            builder.after(first, self.ends[index], self.because);
        }
        self.ends.push(last);
    }

    /// Whether the next sequence begins a lane, so that no other comes before it.
    pub(crate) fn begins_lane(&self) -> bool {
        self.ends.len() < self.width
    }

    /// The last steps of the sequences that no other sequence follows.
    pub(crate) fn open_ends(&self) -> &[StepHandle] {
        &self.ends[self.ends.len().saturating_sub(self.width)..]
    }
}

#[cfg(test)]
mod tests {
    use windlass_model::NodeName;

    use super::*;

    fn step(builder: &mut PlanBuilder<'_>, name: &str) -> StepHandle {
        let node = NodeName::from(name);
        builder.step(name, "node", Action::Uncordon { node }, vec![Reason::Requested], vec![])
    }

    #[test]
    fn a_plan_is_sorted_whatever_the_order_of_building() {
        let mut builder = PlanBuilder::new(Rules::ALL);
        let (c, a, b) = (step(&mut builder, "c"), step(&mut builder, "a"), step(&mut builder, "b"));
        builder.after(a, c, Because::Needs);
        builder.after(a, c, Because::Window);
        builder.after(b, c, Because::Needs);
        let plan = builder.finish().plan;
        assert_eq!(
            plan.steps.iter().map(|step| step.id.as_str()).collect::<Vec<_>>(),
            ["a/node/uncordon", "b/node/uncordon", "c/node/uncordon"]
        );
        assert_eq!(
            plan.edges,
            [
                Edge { before: 2, after: 0, because: Because::Needs },
                Edge { before: 2, after: 1, because: Because::Needs }
            ]
        );
        assert_eq!(plan.in_order(), [2, 0, 1]);
    }

    #[test]
    #[should_panic(expected = "none closes a cycle")]
    fn an_edge_that_closes_a_cycle_is_refused() {
        let mut builder = PlanBuilder::new(Rules::ALL);
        let (a, b) = (step(&mut builder, "a"), step(&mut builder, "b"));
        builder.after(a, b, Because::Needs);
        builder.after(b, a, Because::Needs);
    }

    #[test]
    fn lanes_let_no_more_than_their_number_be_open() {
        let mut builder = PlanBuilder::new(Rules::ALL);
        let mut lanes = Lanes::new(2, Because::Window);
        for name in ["a", "b", "c", "d"] {
            let handle = step(&mut builder, name);
            lanes.add(&mut builder, handle, handle);
        }
        let edges: Vec<(usize, usize)> =
            builder.finish().plan.edges.iter().map(|edge| (edge.before, edge.after)).collect();
        assert_eq!(edges, [(0, 2), (1, 3)]);
    }
}
