//! From cluster.yml and the goal of a command to what the engine's loop needs.
//!
//! ```text
//! ClusterSpec + Catalog ─▶ Desired ─┐            ┌─▶ assignment: where nodes are, what a look covers
//!                                   ├─▶ Course ──┤
//!                            Goal ──┘            └─▶ plan: Inventory ─▶ Planning
//! ```
//!
//! The desired state of a node depends on its machine, so it is resolved for what was seen, in each round. Nothing else
//! is carried from one round to the next: what a look covers is known before the first.

mod chain;
mod course;
mod desired;
mod left;

pub use course::{Course, Goal};
pub use desired::Desired;
