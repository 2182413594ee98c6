//! The keys of cluster.yml that belong to a component.

use windlass_model::Component;
use windlass_spec::ServiceSpec;

use crate::cluster::Cluster;

/// The keys of `services` that add to a component's container.
pub(crate) fn service_of<'a>(
    component: Component,
    cluster: &Cluster<'a>,
) -> Option<(&'a ServiceSpec, &'static str)> {
    let services = &cluster.spec.services;
    match component {
        Component::Etcd => Some((&services.etcd.service, "services.etcd")),
        Component::KubeApiserver => Some((&services.kube_api.service, "services.kube-api")),
        Component::KubeControllerManager => {
            Some((&services.kube_controller.service, "services.kube-controller"))
        }
        Component::KubeScheduler => Some((&services.scheduler, "services.scheduler")),
        Component::Kubelet => Some((&services.kubelet.service, "services.kubelet")),
        Component::KubeProxy => Some((&services.kubeproxy, "services.kubeproxy")),
        Component::NginxProxy | Component::EtcdRollingSnapshots => None,
    }
}

/// A flag's name in its usual spelling: the programs of Kubernetes take `_` for `-`.
pub(crate) fn name_of_flag(component: Component, name: &str) -> String {
    if component == Component::Etcd { name.to_owned() } else { name.replace('_', "-") }
}
