//! Whether the versions of Kubernetes' components fit together: windlass must never start one that is too new.
//!
//! Source: <https://kubernetes.io/releases/version-skew-policy/>.

use std::collections::BTreeSet;

use windlass_model::{Component, ContainerName, KubernetesVersion, PodRuntime, kubelet_root};

use crate::invariants::ViolationKind;
use crate::world::World;

impl World {
    /// Checks a kubelet that was started beside pods of another runtime.
    pub(crate) fn judge_runtimes(&mut self, machine: usize, name: &ContainerName) {
        let node = &self.nodes[machine];
        let Some(kubelet) = node.containers.get(name).filter(|one| one.kind == Some(Component::Kubelet))
        else {
            return;
        };
        let runtime = PodRuntime::at_endpoint(kubelet.spec.flag("container-runtime-endpoint"));
        let is_same = runtime == node.pod_runtime || (runtime.is_docker() && node.pod_runtime.is_docker());
        let root = kubelet_root(&kubelet.spec);
        let former = node.kubelet_root.as_ref().filter(|former| **former != root);
        let beside = match former {
            _ if !node.pod_containers => None,
            _ if !is_same => Some(format!("with {runtime} beside pods of {}", node.pod_runtime)),
            former => former.map(|former| format!("in {root} beside pods with volumes in {former}")),
        };
        if let Some(beside) = beside {
            let what = format!("kubelet on {} was started {beside}", node.name);
            self.violate(ViolationKind::PodsOfTwoRuntimes, what);
        }
    }

    /// Checks what was started on a machine against the API servers that serve.
    pub(crate) fn judge_versions(&mut self, machine: usize, name: &ContainerName) {
        let kind = self.nodes[machine].containers.get(name).and_then(|container| container.kind);
        let (Some(kind), Some(started)) = (kind, kind.and_then(|kind| self.version_of(machine, kind))) else {
            return;
        };
        let api = Component::KubeApiserver;
        let beside: BTreeSet<usize> = match kind {
            // It may connect to any of them, or is one of them.
            Component::Kubelet | Component::KubeProxy | Component::KubeApiserver => {
                self.judge_old_nodes(machine, kind, &started);
                self.view.marks.serving_apis.keys().copied().collect()
            }
            // It connects to that of its own node.
            Component::KubeControllerManager | Component::KubeScheduler => [machine].into(),
            Component::Etcd | Component::EtcdRollingSnapshots | Component::NginxProxy => return,
        };
        let (major, minor, _) = started.numbers();
        let unfit = beside
            .into_iter()
            .filter(|other| *other != machine || kind != Component::KubeApiserver)
            .filter(|other| !self.is_given_up(*other))
            .find_map(|other| {
                let server = self.version_of(other, api)?;
                let (server_major, server_minor, _) = server.numbers();
                let fits = if kind == Component::KubeApiserver {
                    major == server_major && minor.abs_diff(server_minor) <= 1
                } else {
                    (major, minor) <= (server_major, server_minor)
                };
                (!fits).then_some((other, server))
            });
        if let Some((other, server)) = unfit {
            let (node, other) = (&self.nodes[machine].name, &self.nodes[other].name);
            let what = format!("{name} {started} on {node} beside the API server {server} on {other}");
            self.violate(ViolationKind::Skew, what);
        }
    }

    /// Checks the kubelets and kube-proxies of cluster.yml's nodes against an API server that was started.
    fn judge_old_nodes(&mut self, machine: usize, kind: Component, started: &KubernetesVersion) {
        if kind != Component::KubeApiserver {
            return;
        }
        let rules = &self.run.rules;
        let nodes: BTreeSet<usize> = [&rules.workers, &rules.etcds, &rules.controlplanes]
            .into_iter()
            .flatten()
            .filter_map(|node| self.machine_of(node))
            .collect();
        let unfit = nodes.into_iter().find_map(|other| {
            [Component::Kubelet, Component::KubeProxy].into_iter().find_map(|component| {
                let version = self.version_of(other, component)?;
                (!version.serves_under(started)).then_some((other, component, version))
            })
        });
        if let Some((other, component, version)) = unfit {
            let (node, other) = (&self.nodes[machine].name, &self.nodes[other].name);
            let what = format!("API server {started} on {node} above {component} {version} on {other}");
            self.violate(ViolationKind::Skew, what);
        }
    }

    /// The version of this component's container on a machine, whether or not it runs.
    pub(crate) fn version_of(&self, machine: usize, component: Component) -> Option<KubernetesVersion> {
        self.nodes[machine].containers.get(component.as_str())?.spec.version.clone()
    }

    /// Whether a control plane was removed from cluster.yml and is unreachable: no node connects to it any
    /// more, and windlass cannot even know that it serves.
    fn is_given_up(&self, machine: usize) -> bool {
        let is_desired =
            self.run.rules.controlplanes.iter().any(|node| self.machine_of(node) == Some(machine));
        !is_desired && !self.run.machines_seen.contains(&machine)
    }
}
