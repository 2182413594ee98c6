//! Documents as text for people: pure functions, whose outputs tests freeze.
//!
//! ```text
//! plan for cluster "demo": 3 nodes reachable             head
//!
//!   Replaced: kubelet on node-1…node-3 (one at a time).  summary: what the plan means
//!
//!   ~ kubelet on node-1…node-3  replace  --max-pods …    steps, folded; below each what it waits for, and
//!       one at a time: node-1, node-2, node-3            where in cluster.yml its cause is
//!
//! held: …                                                findings by weight
//!
//! 3 steps on 3 nodes, 6 waits                            counts
//! ```
//!
//! No line is wider than the [`Width`] that the caller sets. The command line and the scenarios use this same
//! text.

mod below;
mod findings;
mod fold;
mod graph;
mod group;
mod layout;
mod names;
mod page;
mod paint;
mod plan;
mod report;
mod summary;
mod words;

pub use findings::findings;
pub use graph::{Language, graph};
pub use layout::{USUAL_WIDTH, Width};
pub use names::{Room, addresses, names};
pub use page::{Detail, Page};
pub use paint::Paint;
pub use plan::{PlanView, Sight, plan};
pub use report::{RunView, failure_in_a_line, failures, result, seconds};
pub use words::{changes, counts};
