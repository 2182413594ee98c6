//! The leases of runs: a run of the simulation gives its own back however it ends; those of others are in the
//! world.

use std::future::pending;

use windlass_engine::{Lease, Leases, PortError, PortResult};
use windlass_model::NodeName;

use crate::ports::SimFleet;
use crate::world::{World, lasting};

impl World {
    /// Whose lease a node keeps from now on.
    fn lease(&self, node: &NodeName) -> PortResult<Lease> {
        let machine = self.machine_of(node).ok_or_else(|| lasting(format!("{node} was never enrolled")))?;
        if !self.is_in_sight(machine) {
            let cause = "connection timed out".to_owned();
            return Err(PortError::OutOfSight { node: node.clone(), cause });
        }
        Ok(match &self.nodes[machine].operator_elsewhere {
            Some(holder) => Lease::Anothers { holder: holder.clone() },
            None => Lease::Ours,
        })
    }
}

impl Leases for SimFleet {
    async fn take_lease(&self, node: &NodeName, _holder: &str) -> PortResult<Lease> {
        self.with(|world| world.lease(node))
    }

    async fn end_leases(&self) {}

    async fn leases_lost(&self) {
        pending::<()>().await;
    }
}
