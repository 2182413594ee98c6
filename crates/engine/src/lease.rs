//! One run at a time changes a cluster: it has a lease on each of its control-plane nodes.
//!
//! ```text
//! first node by name ─┬─ ours ──▶ the others, at once ─┬─ all ours ──▶ the plan is carried out
//!                     └─ another run's ─┐              └─ another run's ─┐
//!                                       ▼                                ▼
//!                            ends; what it has is given back   ends; what it has is given back
//! ```
//!
//! Two runs that reach the same node first meet there, so not both give up. A node that is unreachable, or
//! cannot give a lease, is left out and reported: a cluster with such a node must be repaired too.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;
use windlass_model::{Finding, Inventory, LastNode, NodeName, Planning, Role};

use crate::events::{Event, Listener};
use crate::interrupt::Interrupt;
use crate::ports::{Assignment, Lease, Leases, PortResult};

/// How often a node is asked for a lease, and how long between.
const ATTEMPTS: u32 = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// Another run that changes the cluster now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnotherRun {
    /// The node that keeps its lease.
    pub node: NodeName,
    /// Which command, process and machine, and since when.
    pub holder: String,
}

/// The reachable nodes that have or are to have a control plane, by name. On those that are held as a whole
/// nothing is put: they may be of another cluster.
pub(crate) fn keepers(assignment: &Assignment, seen: &Inventory, planning: &Planning) -> Vec<NodeName> {
    let is_control_plane =
        |node: Option<&LastNode>| node.is_some_and(|node| node.roles.contains(&Role::ControlPlane));
    let keeps = |name: &NodeName| {
        is_control_plane(assignment.nodes.get(name)) || is_control_plane(seen.ledger.nodes.get(name))
    };
    let held: BTreeSet<&NodeName> = planning.findings.iter().filter_map(Finding::holds_all_of).collect();
    let reachable = seen.nodes.iter().filter(|(_, node)| node.facts().is_some()).map(|(name, _)| name);
    reachable.filter(|name| keeps(name) && !held.contains(name)).cloned().collect()
}

/// Takes a lease on each of these nodes; what was taken is given back where another run has one.
pub(crate) async fn take<F: Leases + Sync>(
    fleet: &F,
    nodes: &[NodeName],
    holder: &str,
    listener: &dyn Listener,
) -> Result<(), AnotherRun> {
    let take_one = async |node: &NodeName| match patiently(fleet, node, holder).await {
        Ok(Lease::Ours) => None,
        Ok(Lease::Anothers { holder }) => Some(AnotherRun { node: node.clone(), holder }),
        Err(error) => {
            listener.hear(Event::LeaseNotTaken { node, error: &error });
            None
        }
    };
    let Some((first, others)) = nodes.split_first() else { return Ok(()) };
    let mut another = take_one(first).await;
    if another.is_none() {
        another = join_all(others.iter().map(take_one)).await.into_iter().flatten().next();
    }
    match another {
        None => Ok(()),
        Some(another) => {
            fleet.end_leases().await;
            Err(another)
        }
    }
}

async fn patiently<F: Leases + Sync>(fleet: &F, node: &NodeName, holder: &str) -> PortResult<Lease> {
    for _ in 1..ATTEMPTS {
        match fleet.take_lease(node, holder).await {
            Err(error) if error.is_passing() => sleep(BETWEEN_ATTEMPTS).await,
            taken => return taken,
        }
    }
    fleet.take_lease(node, holder).await
}

/// Interrupts the run when its leases are gone: another one may begin then.
pub(crate) async fn end_with_leases<F: Leases + Sync>(
    fleet: &F,
    listener: &dyn Listener,
    interrupt: &Interrupt,
) -> std::convert::Infallible {
    fleet.leases_lost().await;
    listener.hear(Event::LeasesLost);
    interrupt.request();
    std::future::pending().await
}

/// Does work while this run has a lease on each of these nodes, except those that give none.
///
/// # Errors
/// Another run has one.
pub async fn with_leases<F: Leases + Sync, T>(
    fleet: &F,
    nodes: &[NodeName],
    holder: &str,
    listener: &dyn Listener,
    interrupt: &Interrupt,
    work: impl Future<Output = T>,
) -> Result<T, AnotherRun> {
    take(fleet, nodes, holder, listener).await?;
    let done = tokio::select! {
        biased;
        never = end_with_leases(fleet, listener, interrupt) => match never {},
        done = work => done,
    };
    fleet.end_leases().await;
    Ok(done)
}
