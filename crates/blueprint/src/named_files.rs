//! Files that flags of cluster.yml name: whether the component's container has them.

use windlass_addons::Problems;
use windlass_model::Component;

use crate::cluster::Cluster;
use crate::mounts::{self, Mount};
use crate::services::service_of;
use crate::values::ClusterValues;

/// The flags that name a file without which the component ends.
const FLAGS: [(Component, &[&str]); 6] = [
    (
        Component::Etcd,
        &[
            "config-file",
            "trusted-ca-file",
            "cert-file",
            "key-file",
            "peer-trusted-ca-file",
            "peer-cert-file",
            "peer-key-file",
        ],
    ),
    (
        Component::KubeApiserver,
        &[
            "admission-control-config-file",
            "audit-policy-file",
            "audit-webhook-config-file",
            "authentication-config",
            "authentication-token-webhook-config-file",
            "authorization-config",
            "authorization-policy-file",
            "authorization-webhook-config-file",
            "client-ca-file",
            "egress-selector-config-file",
            "encryption-provider-config",
            "etcd-cafile",
            "etcd-certfile",
            "etcd-keyfile",
            "oidc-ca-file",
            "service-account-key-file",
            "service-account-signing-key-file",
            "tls-cert-file",
            "tls-private-key-file",
            "token-auth-file",
            "tracing-config-file",
        ],
    ),
    (
        Component::KubeControllerManager,
        &[
            "cluster-signing-cert-file",
            "cluster-signing-key-file",
            "root-ca-file",
            "service-account-private-key-file",
        ],
    ),
    (Component::KubeScheduler, &["config", "policy-config-file"]),
    (Component::Kubelet, &["config", "client-ca-file", "tls-cert-file", "tls-private-key-file"]),
    (Component::KubeProxy, &["config"]),
];

/// The flags that name a place in the container which is to be one of the node's, and what comes of one that is not.
const PLACES: [(Component, &str, &str); 3] = [
    (Component::KubeApiserver, "audit-log-path", "the log goes with the container"),
    (Component::Kubelet, "resolv-conf", "kubelet does not find it, and no pod starts"),
    (Component::Kubelet, "volume-plugin-dir", "kubelet finds no plugin that is put there on the node"),
];

/// What is in every container, or no file at all.
const OF_CONTAINERS: [&str; 5] = ["", "-", "/etc/resolv.conf", "/dev/stdout", "/dev/stderr"];

/// Places that images have files of certificates in.
const OF_IMAGES: [&str; 3] = ["/etc/ssl/", "/usr/", "/etc/pki/"];

pub(crate) fn check(cluster: &Cluster<'_>, values: &ClusterValues, problems: &mut Problems) {
    files(cluster, values, problems);
    places(cluster, values, problems);
}

/// Places that are in the container alone.
fn places(cluster: &Cluster<'_>, values: &ClusterValues, problems: &mut Problems) {
    for (component, flag, what) in PLACES {
        let Some((service, path)) = service_of(component, cluster) else { continue };
        let log = cluster.spec.services.kube_api.audit_log.as_ref().filter(|log| log.enabled == Some(true));
        let of_key = log.and_then(|log| log.path.as_deref()).filter(|_| flag == "audit-log-path");
        let (given, place) = match (service.argument(flag), of_key) {
            (Some(argument), _) => (argument.value, format!("{path}.{}", argument.path())),
            (None, Some(given)) => (given, format!("{path}.audit_log.configuration.path")),
            (None, None) => continue,
        };
        if OF_CONTAINERS.contains(&given) || OF_IMAGES.iter().any(|place| given.starts_with(place)) {
            continue;
        }
        let own = mounts::own(component, cluster, values);
        let mut mounts = service.extra_binds.iter().chain(&own).map(|text| Mount::of(text));
        if !given.starts_with('/') {
            problems.warning(
                &place,
                format!("`{given}` is no absolute path: {what}"),
                Some("write it from `/` on".to_owned()),
            );
        } else if !mounts.any(|mount| mount.holds(given)) {
            let folder = match given.rsplit_once('/') {
                Some((folder, _)) if flag == "audit-log-path" && !folder.is_empty() => folder,
                _ => given,
            };
            problems.warning(
                &place,
                format!("`{given}` is under no mount: {what}"),
                Some(format!("write `{folder}:{folder}` under `extra_binds`, or a place under a mount")),
            );
        }
    }
}

/// Files that are not in the container.
fn files(cluster: &Cluster<'_>, values: &ClusterValues, problems: &mut Problems) {
    for (component, flags) in FLAGS {
        let Some((service, path)) = service_of(component, cluster) else { continue };
        let own = mounts::own(component, cluster, values);
        let mounts: Vec<Mount<'_>> =
            service.extra_binds.iter().chain(&own).map(|text| Mount::of(text)).collect();
        for flag in flags {
            let Some(argument) = service.argument(flag) else { continue };
            let file = argument.value;
            if file.is_empty() || OF_IMAGES.iter().any(|place| file.starts_with(place)) {
                continue;
            }
            let place = format!("{path}.{}", argument.path());
            if !file.starts_with('/') {
                problems.warning(
                    &place,
                    format!("`--{flag}={file}` is no absolute path"),
                    Some("write it from `/` on".to_owned()),
                );
            } else if !mounts.iter().any(|mount| mount.holds(file)) {
                problems.warning(
                    &place,
                    format!("`{file}` is under no mount: {component} does not find it, and does not start"),
                    Some(format!("write `{file}:{file}:ro` under `extra_binds`, and put it on each node")),
                );
            }
        }
    }
}
