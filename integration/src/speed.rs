//! What is measured of windlass: the time from the text of cluster.yml to the plan, in clusters of some
//! sizes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use windlass_blueprint::{Catalog, resolve};
use windlass_model::{Blueprint, Intent, Inventory, Planning};

use crate::draft::Draft;
use crate::settled::{fresh_inventory, settled_inventory};

/// The sizes measured: a lab, a usual cluster, a large one, and the largest that Kubernetes supports
/// (<https://kubernetes.io/docs/setup/best-practices/cluster-large/>).
pub const SIZES: [usize; 4] = [3, 50, 500, 5_000];

/// What is seen of the machines when the plan is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Nothing is on them: everything is planned.
    FirstBringUp,
    /// Everything is as desired: the plan is empty.
    NothingToDo,
}

impl Case {
    /// Both.
    pub const ALL: [Self; 2] = [Self::FirstBringUp, Self::NothingToDo];

    /// What a look finds in this case.
    pub fn inventory(self, desired: &Blueprint) -> Inventory {
        match self {
            Self::FirstBringUp => fresh_inventory(desired),
            Self::NothingToDo => settled_inventory(desired),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FirstBringUp => "first_bring_up",
            Self::NothingToDo => "nothing_to_do",
        })
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|case| case.to_string() == text);
        found.ok_or_else(|| format!("`{text}` is no case: first_bring_up, nothing_to_do"))
    }
}

/// The text of a cluster.yml with three nodes of etcd and control plane; all others are workers.
pub fn cluster_text(nodes: usize) -> String {
    let mut draft = Draft::sized(3, nodes.saturating_sub(3));
    for node in &mut draft.nodes {
        node.labels.insert("rack", format!("r{}", node.machine / 40));
    }
    draft.text()
}

/// The desired state of the text of a cluster.yml.
///
/// # Panics
/// The text is not accepted.
pub fn desired_in(text: &str) -> Blueprint {
    let reading = windlass_spec::read(text.as_bytes());
    let spec = reading.spec.expect("the text that is measured is a cluster.yml");
    let resolution = resolve(&spec, Catalog::builtin(), &BTreeMap::new());
    resolution.blueprint.expect("the catalog knows all that this text asks for")
}

/// The measured work: reads, resolves and plans.
///
/// # Panics
/// The text is not accepted.
pub fn text_to_plan(text: &str, seen: &Inventory) -> (Intent, Planning) {
    let intent = Intent::converge(Arc::new(desired_in(text)));
    let planning = windlass_planner::plan(&intent, seen);
    (intent, planning)
}
