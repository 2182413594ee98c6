//! Empties a node of pods: cordon, then drain, with the settings of cluster.yml.

use windlass_model::{Action, Because, Guard, NodeName, Reason, SpecPath};

use crate::builder::{PlanBuilder, StepHandle};
use crate::context::Context;

/// The first and the last step that empty a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    pub(crate) first: StepHandle,
    pub(crate) last: StepHandle,
}

/// Cordons a node with these guards, unless it is cordoned already, and drains it.
pub(crate) fn plan(
    ctx: &Context<'_>,
    name: &NodeName,
    cordon_by: Option<Vec<Guard>>,
    reasons: &[Reason],
    origins: &[SpecPath],
    build: &mut PlanBuilder<'_>,
) -> Drained {
    let options = ctx.desired.rollout.drain.clone();
    let cordon = cordon_by.map(|guards| {
        build.step(
            name,
            "node",
            Action::Cordon { node: name.clone(), guards },
            reasons.to_vec(),
            origins.to_vec(),
        )
    });
    let drain = build.step(
        name,
        "node",
        Action::Drain { node: name.clone(), options },
        reasons.to_vec(),
        origins.to_vec(),
    );
    build.after_all(drain, cordon, Because::Needs);
    Drained { first: cordon.unwrap_or(drain), last: drain }
}
