//! Flags under `extra_args` that take back what another key of cluster.yml asks for.

use windlass_model::Component;
use windlass_spec::{ClusterSpec, PodSecurity};

use crate::cluster::Cluster;
use windlass_addons::Problems;

/// The key of cluster.yml that asks for this flag, if the file has it.
pub(crate) fn key_of(component: Component, flag: &str, spec: &ClusterSpec) -> Option<&'static str> {
    let api = &spec.services.kube_api;
    let log = api.audit_log.as_ref().filter(|log| log.enabled == Some(true));
    let webhook = spec.authentication.webhook.as_ref();
    let kubelet = &spec.services.kubelet;
    let limits_events = api.event_rate_limit.as_ref().is_some_and(|limit| limit.enabled == Some(true));
    let (key, asks) = match (component, flag) {
        (Component::KubeApiserver, "audit-log-path") => {
            ("audit_log.configuration.path", log.is_some_and(|log| log.path.is_some()))
        }
        (Component::KubeApiserver, "audit-log-maxage") => {
            ("audit_log.configuration.max_age", log.is_some_and(|log| log.max_age.is_some()))
        }
        (Component::KubeApiserver, "audit-log-maxbackup") => {
            ("audit_log.configuration.max_backup", log.is_some_and(|log| log.max_backup.is_some()))
        }
        (Component::KubeApiserver, "audit-log-maxsize") => {
            ("audit_log.configuration.max_size", log.is_some_and(|log| log.max_size.is_some()))
        }
        (Component::KubeApiserver, "audit-log-format") => {
            ("audit_log.configuration.format", log.is_some_and(|log| log.format.is_some()))
        }
        (Component::KubeApiserver, "audit-policy-file") => {
            ("audit_log.configuration.policy", log.is_some_and(|log| log.policy.is_some()))
        }
        (Component::KubeApiserver, "admission-control-config-file") => {
            if api.admission_configuration.is_some() {
                ("admission_configuration", true)
            } else if limits_events {
                ("event_rate_limit", true)
            } else {
                ("pod_security_configuration", api.pod_security == Some(PodSecurity::Restricted))
            }
        }
        (Component::KubeApiserver, "authentication-token-webhook-config-file") => (
            "authentication.webhook.config_file",
            webhook.is_some_and(|webhook| webhook.config_file.is_some()),
        ),
        (Component::KubeApiserver, "authentication-token-webhook-cache-ttl") => (
            "authentication.webhook.cache_timeout",
            webhook.is_some_and(|webhook| webhook.cache_timeout.is_some()),
        ),
        (Component::Kubelet, "fail-swap-on") => ("fail_swap_on", kubelet.fail_swap_on.is_some()),
        (Component::Kubelet, "tls-cert-file" | "tls-private-key-file") => {
            ("generate_serving_certificate", kubelet.generate_serving_certificate == Some(true))
        }
        _ => return None,
    };
    asks.then_some(key)
}

/// Warns of lists of admission plugins that lack one which another key switches on.
pub(crate) fn check(cluster: &Cluster<'_>, problems: &mut Problems) {
    let api = &cluster.spec.services.kube_api;
    let limits_events = api.event_rate_limit.as_ref().is_some_and(|limit| limit.enabled == Some(true));
    let has_policies = api.pod_security_policy == Some(true) && !cluster.images.version.at_least(1, 25);
    let desired = [
        ("AlwaysPullImages", "always_pull_images", api.always_pull_images == Some(true)),
        ("EventRateLimit", "event_rate_limit", limits_events),
        ("PodSecurityPolicy", "pod_security_policy", has_policies),
    ];
    for flag in ["enable-admission-plugins", "admission-control"] {
        // One under `extra_args_array` adds to windlass' own.
        let Some(list) = api.service.argument(flag).filter(|list| list.section == "extra_args") else {
            continue;
        };
        for (plugin, key, _) in desired.into_iter().filter(|(_, _, asks)| *asks) {
            if list.value.split(',').all(|listed| listed.trim() != plugin) {
                problems.warning(
                    &format!("services.kube-api.{}", list.path()),
                    format!("`{key}` has no effect: this list takes the place of windlass' own, and lacks {plugin}"),
                    Some(format!("add {plugin} to the list")),
                );
            }
        }
    }
}
