//! Documents as text for people: pure functions, whose outputs tests freeze.

mod findings;
mod fold;
mod graph;
mod paint;
mod plan;
mod report;
mod words;

pub(crate) use graph::graph;
pub(crate) use paint::Paint;
pub(crate) use plan::{Detail, PlanView, Sight, plan};
pub(crate) use report::{RunView, failure_in_a_line, result, seconds};
pub(crate) use words::{changes, counted};
