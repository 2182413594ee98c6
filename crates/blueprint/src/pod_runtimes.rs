//! What runs the containers of pods: which runtime each version allows, and what cluster.yml asks for.

use windlass_model::{KubernetesVersion, PodRuntime};
use windlass_spec::{ClusterSpec, PodRuntimeSpec};

use crate::catalog::Feature;
use windlass_addons::Problems;

/// How kubelets of this version reach Docker: through cri-dockerd from 1.24 on, and from 1.21 on where it is asked for.
pub(crate) fn docker(spec: &ClusterSpec, version: &KubernetesVersion, problems: &mut Problems) -> PodRuntime {
    let by_containerd = |runtime: Option<PodRuntimeSpec>| {
        runtime.or(spec.windlass.pod_runtime) == Some(PodRuntimeSpec::Containerd)
    };
    let is_asked = spec.nodes.iter().any(|node| !by_containerd(node.windlass.pod_runtime));
    match spec.enable_cri_dockerd {
        Some(false) if version.at_least(1, 24) && is_asked => problems.error(
            "enable_cri_dockerd",
            format!("kubelet {version} can use Docker only through cri-dockerd"),
            Some("take the key out, or set `windlass.pod_runtime: containerd`".to_owned()),
        ),
        Some(true) if !version.at_least(1, 21) => problems.error(
            "enable_cri_dockerd",
            format!("cri-dockerd serves Kubernetes 1.21 and later, not {version}"),
            Some("take the key out".to_owned()),
        ),
        _ => {}
    }
    let uses = spec.enable_cri_dockerd.unwrap_or_else(|| version.at_least(1, 24));
    if uses && version.at_least(1, 21) { PodRuntime::CriDockerd } else { PodRuntime::Dockershim }
}

/// The feature that the catalog knows a node's runtime by.
pub(crate) fn feature(runtime: PodRuntime) -> Option<Feature> {
    match runtime {
        PodRuntime::CriDockerd => Some(Feature::CriDockerd),
        PodRuntime::Containerd => Some(Feature::Containerd),
        PodRuntime::Dockershim | PodRuntime::Other => None,
    }
}
