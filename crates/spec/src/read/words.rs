//! Words of cluster.yml that several sections have. Other words than these are reported with the form of their key.

use crate::spec::PodRuntimeSpec;
use crate::view::View;

/// `pod_runtime`.
pub(super) fn pod_runtime(view: View<'_, '_>) -> Option<PodRuntimeSpec> {
    let word = view.text("pod_runtime")?;
    [PodRuntimeSpec::Docker, PodRuntimeSpec::Containerd].into_iter().find(|runtime| runtime.as_str() == word)
}
