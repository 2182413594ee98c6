//! `services`: the containers of the control plane and of the nodes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::{Cidr, PortRange};
use windlass_model::Secret;

/// `services`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ServicesSpec {
    /// `etcd`.
    pub etcd: EtcdSpec,
    /// `kube-api`.
    pub kube_api: KubeApiSpec,
    /// `kube-controller`.
    pub kube_controller: KubeControllerSpec,
    /// `scheduler`.
    pub scheduler: ServiceSpec,
    /// `kubelet`.
    pub kubelet: KubeletSpec,
    /// `kubeproxy`.
    pub kubeproxy: ServiceSpec,
}

/// The keys that every service has.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ServiceSpec {
    /// `image`; RKE 1 ignored it in favour of `system_images`.
    pub image: Option<String>,
    /// `extra_args`: flags by name, without dashes.
    pub extra_args: BTreeMap<String, String>,
    /// `extra_args_array`: flags that are given several times.
    pub extra_args_array: BTreeMap<String, Vec<String>>,
    /// `extra_binds`, each `from:to` or `from:to:options`.
    pub extra_binds: Vec<String>,
    /// `extra_env`, each `NAME=value`.
    pub extra_env: Vec<String>,
}

/// A flag that a service is given, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument<'a> {
    /// `extra_args` or `extra_args_array`.
    pub section: &'static str,
    /// Its name as it is written.
    pub name: &'a str,
    /// Its value; of several the last, which is what a program goes by.
    pub value: &'a str,
}

impl Argument<'_> {
    /// Its path below the service.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

impl ServiceSpec {
    /// The value that counts of a flag: one of `extra_args_array` comes behind that of `extra_args`. The programs of
    /// Kubernetes take `_` for `-`.
    pub fn argument(&self, flag: &str) -> Option<Argument<'_>> {
        let is_it = |name: &str| name == flag || name.replace('_', "-") == flag;
        let single = self.extra_args.iter().map(|(name, value)| ("extra_args", name, Some(value)));
        let repeated = self.extra_args_array.iter();
        let repeated = repeated.map(|(name, values)| ("extra_args_array", name, values.last()));
        let given = single.chain(repeated).filter(|(_, name, _)| is_it(name));
        given.filter_map(|(section, name, value)| Some(Argument { section, name, value: value? })).next_back()
    }
}

/// `services.etcd`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EtcdSpec {
    /// The keys that every service has.
    pub service: ServiceSpec,
    /// `uid` that etcd runs as; never zero, and only together with `gid`.
    pub uid: Option<u32>,
    /// `gid` that etcd runs as; never zero, and only together with `uid`.
    pub gid: Option<u32>,
    /// `snapshot`: whether rolling snapshots are taken.
    pub snapshot: Option<bool>,
    /// `retention`: how long snapshots are kept; for files without `backup_config`.
    pub retention: Option<Duration>,
    /// `creation`: how often a snapshot is taken; for files without `backup_config`.
    pub creation: Option<Duration>,
    /// `backup_config`.
    pub backup_config: Option<BackupSpec>,
    /// `external_urls`: the members of an etcd that is not of this cluster's nodes; empty for its own.
    pub external_urls: Vec<String>,
    /// `ca_cert` of the external etcd, PEM.
    pub ca_cert: Option<String>,
    /// `cert` for the external etcd, PEM.
    pub cert: Option<String>,
    /// `key` for the external etcd, PEM.
    pub key: Option<Secret<String>>,
    /// `path`: the prefix of keys in the external etcd.
    pub path: Option<String>,
}

/// `services.etcd.backup_config`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BackupSpec {
    /// `enabled`.
    pub enabled: Option<bool>,
    /// `interval_hours` between snapshots.
    pub interval_hours: Option<u32>,
    /// `retention`: how many snapshots are kept.
    pub retention: Option<u32>,
    /// `safe_timestamp`: no special characters in the names of snapshots.
    pub safe_timestamp: Option<bool>,
    /// `timeout` of taking or moving a snapshot, in seconds.
    pub timeout: Option<u32>,
    /// `s3backupconfig`: where snapshots are copied to.
    pub s3: Option<S3Spec>,
}

/// `services.etcd.backup_config.s3backupconfig`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct S3Spec {
    /// `access_key`; with it absent, the role of the machine is used.
    pub access_key: Option<Secret<String>>,
    /// `secret_key`.
    pub secret_key: Option<Secret<String>>,
    /// `bucket_name`.
    pub bucket_name: String,
    /// `endpoint`.
    pub endpoint: String,
    /// `region`.
    pub region: Option<String>,
    /// `folder` in the bucket.
    pub folder: Option<String>,
    /// `custom_ca` of the endpoint, PEM.
    pub custom_ca: Option<String>,
}

impl ServicesSpec {
    /// The ranges of Services that the API server gets: by a flag, or by the key of its own; empty
    /// where the file is silent.
    pub fn service_ranges(&self) -> Vec<Cidr> {
        let KubeApiSpec { service, service_cluster_ip_range, .. } = &self.kube_api;
        ranges_of(service, "service-cluster-ip-range").unwrap_or_else(|| service_cluster_ip_range.clone())
    }

    /// The ranges of pods that the controller manager gets, in the same way.
    pub fn pod_ranges(&self) -> Vec<Cidr> {
        let KubeControllerSpec { service, cluster_cidr, .. } = &self.kube_controller;
        ranges_of(service, "cluster-cidr").unwrap_or_else(|| cluster_cidr.clone())
    }
}

/// The ranges that a flag gives, if all of them can be read.
fn ranges_of(service: &ServiceSpec, flag: &str) -> Option<Vec<Cidr>> {
    service.argument(flag)?.value.split(',').map(|range| range.trim().parse().ok()).collect()
}

/// `services.kube-api`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KubeApiSpec {
    /// The keys that every service has.
    pub service: ServiceSpec,
    /// `service_cluster_ip_range`: one range, or one of each family; empty if absent.
    pub service_cluster_ip_range: Vec<Cidr>,
    /// `service_node_port_range`.
    pub service_node_port_range: Option<PortRange>,
    /// `pod_security_policy`: the admission plugin `PodSecurityPolicy`, which is gone from 1.25 on.
    pub pod_security_policy: Option<bool>,
    /// `always_pull_images`: the admission plugin of that name.
    pub always_pull_images: Option<bool>,
    /// `audit_log`.
    pub audit_log: Option<AuditLogSpec>,
    /// `pod_security_configuration`.
    pub pod_security: Option<PodSecurity>,
    /// `secrets_encryption_config`.
    pub secrets_encryption: Option<SecretsEncryptionSpec>,
    /// `admission_configuration`, an `AdmissionConfiguration` of Kubernetes.
    pub admission_configuration: Option<Value>,
    /// `event_rate_limit`.
    pub event_rate_limit: Option<EventRateLimitSpec>,
}

/// `services.kube-api.pod_security_configuration`: what pods may do where their namespace does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurity {
    /// Everything.
    Privileged,
    /// Only what is known to be harmless; some system namespaces are exempt.
    Restricted,
}

impl PodSecurity {
    /// The word that cluster.yml uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Restricted => "restricted",
        }
    }
}

/// `services.kube-api.secrets_encryption_config`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SecretsEncryptionSpec {
    /// `enabled`.
    pub enabled: Option<bool>,
    /// `custom_config`, an `EncryptionConfiguration` of Kubernetes; it holds keys.
    pub custom_config: Option<Secret<Value>>,
}

/// `services.kube-api.event_rate_limit`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EventRateLimitSpec {
    /// `enabled`.
    pub enabled: Option<bool>,
    /// `configuration`, a Configuration of the admission plugin.
    pub configuration: Option<Value>,
}

/// `services.kube-api.audit_log`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AuditLogSpec {
    /// `enabled`.
    pub enabled: Option<bool>,
    /// Whether `configuration` is there at all: without it its numbers have defaults, with it they have none.
    pub has_configuration: bool,
    /// `configuration.max_age` in days.
    pub max_age: Option<u32>,
    /// `configuration.max_backup`: how many rotated files are kept.
    pub max_backup: Option<u32>,
    /// `configuration.max_size` of a file in megabytes.
    pub max_size: Option<u32>,
    /// `configuration.path` of the file.
    pub path: Option<String>,
    /// `configuration.format`.
    pub format: Option<String>,
    /// `configuration.policy`, an audit Policy of Kubernetes.
    pub policy: Option<Value>,
}

/// `services.kube-controller`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KubeControllerSpec {
    /// The keys that every service has.
    pub service: ServiceSpec,
    /// `cluster_cidr`, the range of pods: one, or one of each family; empty if absent.
    pub cluster_cidr: Vec<Cidr>,
    /// `service_cluster_ip_range`: one range, or one of each family; empty if absent.
    pub service_cluster_ip_range: Vec<Cidr>,
}

/// `services.kubelet`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KubeletSpec {
    /// The keys that every service has.
    pub service: ServiceSpec,
    /// `cluster_domain`.
    pub cluster_domain: Option<String>,
    /// `cluster_dns_server`: the address of the cluster's DNS, or several with commas between.
    pub cluster_dns_server: Option<String>,
    /// `infra_container_image`: the pause image.
    pub infra_container_image: Option<String>,
    /// `fail_swap_on`: refuse to start where swap is on.
    pub fail_swap_on: Option<bool>,
    /// `generate_serving_certificate`: serve with a certificate of the cluster's own CA.
    pub generate_serving_certificate: Option<bool>,
}
