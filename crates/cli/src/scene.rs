//! Where a command runs: on simulated machines, or on real ones.

use windlass_engine::{Clock, Fleet, LedgerStore, Listener, Minter, Ports};
use windlass_model::{Blueprint, Ledger, Restore};
use windlass_remote::Stats;

use crate::command_error::CommandError;

/// What a run is for, as far as the scene must know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    /// The desired state.
    pub(crate) blueprint: &'a Blueprint,
    /// Whether the cluster is to be removed.
    pub(crate) dismantles: bool,
    /// The snapshot from which etcd is restored, if it is.
    pub(crate) restore: Option<&'a Restore>,
    /// Whether steps were carried out.
    pub(crate) changed: bool,
}

/// Everything behind the ports of the engine, and what surrounds a run.
pub(crate) trait Scene {
    /// The machines, etcd and Kubernetes.
    type Fleet: Fleet;
    /// The operator's copy of the ledger.
    type Ledger: LedgerStore;
    /// The maker of keys.
    type Minter: Minter;
    /// The time of day.
    type Clock: Clock;

    /// The ports.
    fn ports(&self) -> Ports<'_, Self::Fleet, Self::Ledger, Self::Minter, Self::Clock>;

    /// A run that may change things begins.
    fn begin(&self, run: Run<'_>);

    /// The scene's own listener to a run.
    fn listener(&self) -> &dyn Listener;

    /// A run has ended that may have changed things; `ledger` is the present one, if there is one. Returns
    /// messages for people.
    ///
    /// # Errors
    /// What is kept between runs cannot be written.
    fn end(&self, run: Run<'_>, ledger: Option<&Ledger>) -> Result<Vec<String>, CommandError>;

    /// Something was changed outside a run.
    ///
    /// # Errors
    /// What is kept between runs cannot be written.
    fn remember(&self, run: Run<'_>) -> Result<(), CommandError>;

    /// What windlass did in this run and must never do, as far as the scene can know.
    fn violations(&self) -> Vec<String>;

    /// How often the machines were asked, where that is counted.
    fn stats(&self) -> Option<Stats> {
        None
    }
}
