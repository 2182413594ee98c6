//! Files of API servers in cluster.yml whose formats differ by version: audit policies, settings of admission plugins, and
//! how Secrets are encrypted.

use serde_json::Value;
use windlass_addons::Problems;
use windlass_model::Component;

use crate::cluster::Cluster;
use crate::services::service_of;

pub(crate) fn check(cluster: &Cluster<'_>, problems: &mut Problems) {
    audit_format(cluster, problems);
    pod_security_format(cluster, problems);
    first_kms(cluster, problems);
}

/// The formats of audit policies before v1 ended with 1.24.
fn audit_format(cluster: &Cluster<'_>, problems: &mut Problems) {
    const PLACE: &str = "services.kube-api.audit_log.configuration.policy.apiVersion";
    let log = cluster.spec.services.kube_api.audit_log.as_ref().filter(|log| log.enabled == Some(true));
    let format = log.and_then(|log| log.policy.as_ref()?.get("apiVersion")?.as_str());
    let version = &cluster.images.version;
    if let Some(format @ ("audit.k8s.io/v1beta1" | "audit.k8s.io/v1alpha1")) = format
        && version.at_least(1, 24)
    {
        problems.error(
            PLACE,
            format!(
                "audit policies are no longer of `{format}` from Kubernetes 1.24 on, and this is {version}"
            ),
            Some("write `audit.k8s.io/v1`: its rules are the same".to_owned()),
        );
    }
}

/// The format of `PodSecurity` is v1 from 1.25 on, and was v1beta1 before.
///
/// Source: <https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-admission-controller/>.
fn pod_security_format(cluster: &Cluster<'_>, problems: &mut Problems) {
    const PLACE: &str = "services.kube-api.admission_configuration.plugins";
    const FORMAT: &str = "pod-security.admission.config.k8s.io/";
    let version = &cluster.images.version;
    let config = cluster.spec.services.kube_api.admission_configuration.as_ref();
    let plugins = config.and_then(|config| config.get("plugins")?.as_array()).into_iter().flatten();
    for (index, plugin) in plugins.enumerate() {
        let format = plugin.pointer("/configuration/apiVersion").and_then(Value::as_str).unwrap_or_default();
        if format.strip_prefix(FORMAT) == Some("v1") && !version.at_least(1, 25) {
            problems.error(
                &format!("{PLACE}[{index}].configuration.apiVersion"),
                format!("settings of pod security are of `{format}` from Kubernetes 1.25 on, and this is {version}"),
                Some(format!("write `{FORMAT}v1beta1`: its settings are the same")),
            );
        }
    }
}

/// A KMS in its first version needs a feature gate from 1.29 on.
///
/// Source: `getKMSProvider` in `pkg/server/options/encryptionconfig` of kubernetes/apiserver.
fn first_kms(cluster: &Cluster<'_>, problems: &mut Problems) {
    const PLACE: &str = "services.kube-api.secrets_encryption_config.custom_config";
    let version = &cluster.images.version;
    let encryption = cluster.spec.services.kube_api.secrets_encryption.as_ref();
    let config = encryption.filter(|encryption| encryption.enabled == Some(true));
    let Some(config) = config.and_then(|encryption| encryption.custom_config.as_ref()) else { return };
    if !version.at_least(1, 29) || has_gate(cluster) {
        return;
    }
    let array =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    for (entry, resources) in array(config.expose(), "resources").iter().enumerate() {
        for (index, provider) in array(resources, "providers").iter().enumerate() {
            let Some(kms) = provider.get("kms") else { continue };
            if kms.get("apiVersion").and_then(Value::as_str).unwrap_or("v1") == "v1" {
                problems.error(
                    &format!("{PLACE}.resources[{entry}].providers[{index}].kms"),
                    format!("a KMS of version v1 is off from Kubernetes 1.29 on, and this is {version}"),
                    Some(
                        "the API server does not start with it: write `apiVersion: v2` if the service knows it, or \
                         `feature-gates: KMSv1=true` under `services.kube-api.extra_args`"
                            .to_owned(),
                    ),
                );
            }
        }
    }
}

/// Whether cluster.yml switches the gate of KMS' first version on.
fn has_gate(cluster: &Cluster<'_>) -> bool {
    let Some((service, _)) = service_of(Component::KubeApiserver, cluster) else { return false };
    let lists = service.extra_args.get("feature-gates").into_iter();
    let lists = lists.chain(service.extra_args_array.get("feature-gates").into_iter().flatten());
    lists
        .flat_map(|list| list.split(','))
        .any(|gate| gate.replace(' ', "").eq_ignore_ascii_case("KMSv1=true"))
}
