//! Words of cluster.yml that several sections have. Other words than these are reported with the form of their key.

use crate::spec::{LedgerInClusterSpec, LocalPortsSpec, PodRuntimeSpec};
use crate::view::View;

/// `pod_runtime`.
pub(super) fn pod_runtime(view: View<'_, '_>) -> Option<PodRuntimeSpec> {
    let word = view.text("pod_runtime")?;
    [PodRuntimeSpec::Docker, PodRuntimeSpec::Containerd].into_iter().find(|runtime| runtime.as_str() == word)
}

/// `ledger_in_cluster`.
pub(super) fn ledger_in_cluster(view: View<'_, '_>) -> Option<LedgerInClusterSpec> {
    let word = view.text("ledger_in_cluster")?;
    let known = [LedgerInClusterSpec::Encrypted, LedgerInClusterSpec::None];
    known.into_iter().find(|choice| choice.as_str() == word)
}

/// `local_ports`.
pub(super) fn local_ports(view: View<'_, '_>) -> Option<LocalPortsSpec> {
    let word = view.text("local_ports")?;
    [LocalPortsSpec::Closed, LocalPortsSpec::Open].into_iter().find(|choice| choice.as_str() == word)
}
