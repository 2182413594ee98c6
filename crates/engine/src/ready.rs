//! Which steps of a plan may begin: those whose predecessors are done, within the caps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use windlass_model::{NodeName, Plan};

use crate::limits::Limits;

/// The steps that may begin, lowest index first. All operations together cost O(steps + edges), times the
/// logarithm of an ordered set.
///
/// Steps that only wait have their own cap: what they wait for may need steps that have not begun, and those
/// must never queue behind them.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The steps after each step.
    after: Vec<Vec<usize>>,
    /// For each step, how many steps before it are not done.
    waiting: Vec<usize>,
    /// For each step, whether one before it failed.
    doomed: Vec<bool>,
    /// For each step, the lane that it runs in; none if it only waits.
    lane: Vec<Option<usize>>,
    lanes: Vec<Lane>,
    /// For each lane that has a free place and a ready step: the lowest such step, and the lane.
    open: BTreeSet<(usize, usize)>,
    /// How many more steps may run in all.
    places: usize,
    /// The ready steps that only wait.
    waits: Lane,
}

/// The steps of one node, or of the cluster as a whole, that are ready, and how many of them may begin.
#[derive(Debug)]
struct Lane {
    ready: BTreeSet<usize>,
    places: usize,
}

impl Lane {
    fn with_places(places: usize) -> Self {
        Self { ready: BTreeSet::new(), places }
    }

    fn first(&self) -> Option<usize> {
        if self.places == 0 { None } else { self.ready.first().copied() }
    }
}

impl Ready {
    pub(crate) fn new(plan: &Plan, limits: &Limits) -> Self {
        let count = plan.steps.len();
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut waiting = vec![0; count];
        for edge in &plan.edges {
            after[edge.before].push(edge.after);
            waiting[edge.after] += 1;
        }
        // Steps on no node are limited only by the cap on all steps.
        let mut lanes = vec![Lane::with_places(usize::MAX)];
        let mut lane_of: BTreeMap<&NodeName, usize> = BTreeMap::new();
        let lane = plan
            .steps
            .iter()
            .map(|step| match step.action.node() {
                _ if step.action.only_waits() => None,
                None => Some(0),
                Some(node) => Some(*lane_of.entry(node).or_insert_with(|| {
                    lanes.push(Lane::with_places(limits.steps_on_a_node.max(1)));
                    lanes.len() - 1
                })),
            })
            .collect();
        let mut ready = Self {
            after,
            waiting,
            doomed: vec![false; count],
            lane,
            lanes,
            open: BTreeSet::new(),
            places: limits.steps_in_all.max(1),
            waits: Lane::with_places(limits.waits_in_all.max(1)),
        };
        for step in 0..count {
            if ready.waiting[step] == 0 {
                ready.enter(step);
            }
        }
        ready
    }

    /// The next step that may begin now; it takes its place.
    pub(crate) fn begin(&mut self) -> Option<usize> {
        let acts = if self.places == 0 { None } else { self.open.first().map(|(step, _)| *step) };
        let step = match (acts, self.waits.first()) {
            (Some(acts), Some(waits)) => acts.min(waits),
            (acts, waits) => acts.or(waits)?,
        };
        self.change_lane(step, |lane| {
            lane.ready.remove(&step);
            lane.places -= 1;
        });
        if self.lane[step].is_some() {
            self.places -= 1;
        }
        Some(step)
    }

    /// A step that had begun is done: those after it may have become ready.
    pub(crate) fn done(&mut self, step: usize) {
        self.leave(step);
        for later in std::mem::take(&mut self.after[step]) {
            self.waiting[later] -= 1;
            if self.waiting[later] == 0 {
                self.enter(later);
            }
        }
    }

    /// A step that had begun ended without being done: returns all steps after it, direct or not, that were
    /// not returned before.
    ///
    /// None of them has begun, and none ever will.
    pub(crate) fn failed(&mut self, step: usize) -> Vec<usize> {
        self.leave(step);
        let mut descendants = Vec::new();
        let mut queue = VecDeque::from([step]);
        while let Some(next) = queue.pop_front() {
            for later in std::mem::take(&mut self.after[next]) {
                if !std::mem::replace(&mut self.doomed[later], true) {
                    descendants.push(later);
                    queue.push_back(later);
                }
            }
        }
        descendants
    }

    fn enter(&mut self, step: usize) {
        self.change_lane(step, |lane| {
            lane.ready.insert(step);
        });
    }

    fn leave(&mut self, step: usize) {
        self.change_lane(step, |lane| lane.places += 1);
        if self.lane[step].is_some() {
            self.places += 1;
        }
    }

    /// Changes the lane of a step and keeps `open` correct.
    fn change_lane(&mut self, step: usize, change: impl FnOnce(&mut Lane)) {
        let Some(index) = self.lane[step] else { return change(&mut self.waits) };
        let lane = &mut self.lanes[index];
        if let Some(first) = lane.first() {
            self.open.remove(&(first, index));
        }
        change(lane);
        if let Some(first) = lane.first() {
            self.open.insert((first, index));
        }
    }
}
