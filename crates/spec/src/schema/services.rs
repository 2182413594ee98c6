//! `services` and what surrounds the API server: the containers of the control plane and of the nodes.

use super::Kind::{Section, TextsMap, Word};
use super::kubernetes::{
    ADMISSION_CONFIGURATION, AUDIT_POLICY, ENCRYPTION_CONFIGURATION, EVENT_RATE_LIMIT_CONFIGURATION,
};
use super::{Key, flag, integer, key, secret, section, text, text_map, texts};

const NO_WINDOWS: &str = "windlass runs no Windows nodes";

/// The keys that every service has, and then those of one alone.
macro_rules! service {
    ($($own:expr),* $(,)?) => {
        &[
            text("image", "an image").void("RKE 1 replaced it: the images of services are keys of `system_images`"),
            text_map("extra_args", "flags by name without dashes; they win over windlass' own"),
            key("extra_args_array", TextsMap, "flags that are given several times, after all others"),
            texts("extra_binds", "mounts, each `from:to` or `from:to:options`"),
            texts("extra_env", "environment variables, each `NAME=value`"),
            text_map("win_extra_args", "`extra_args` on Windows nodes").void(NO_WINDOWS),
            key("win_extra_args_array", TextsMap, "`extra_args_array` on Windows nodes").void(NO_WINDOWS),
            texts("win_extra_binds", "`extra_binds` on Windows nodes").void(NO_WINDOWS),
            texts("win_extra_env", "`extra_env` on Windows nodes").void(NO_WINDOWS),
            $($own),*
        ]
    };
}

pub(super) const SERVICES: &[Key] = &[
    section("etcd", ETCD, "the store of the cluster's state"),
    section("kube-api", KUBE_API, "the API server"),
    section("kube-controller", KUBE_CONTROLLER, "the controller manager"),
    section("scheduler", SCHEDULER, "the scheduler"),
    section("kubelet", KUBELET, "the agent on every node"),
    section("kubeproxy", KUBEPROXY, "the proxy of Services on every node"),
];

const ETCD: &[Key] = service![
    texts("external_urls", "the members of an etcd that is not of this cluster's nodes"),
    text("ca_cert", "PEM: the CA of the external etcd"),
    text("cert", "PEM: the certificate to show to the external etcd"),
    secret("key", "PEM: its key"),
    text("path", "the prefix of keys in the external etcd").or("/registry"),
    integer("uid", "the user that etcd runs as; only with `gid`").or("0"),
    integer("gid", "the group that etcd runs as; only with `uid`").or("0"),
    flag("snapshot", "take rolling snapshots").or("true"),
    text("retention", "how long snapshots are kept")
        .or("72h")
        .old("`backup_config.retention`, a number of snapshots"),
    text("creation", "how often a snapshot is taken").or("12h").old("`backup_config.interval_hours`"),
    section(
        "backup_config",
        BACKUP,
        "the rolling snapshots; with it, `creation` and `retention` do not count"
    ),
];

const BACKUP: &[Key] = &[
    flag("enabled", "take rolling snapshots").or("true"),
    integer("interval_hours", "hours between snapshots").or("12"),
    integer("retention", "how many snapshots are kept").or("6"),
    flag("safe_timestamp", "no special characters in the names of snapshots")
        .or("false")
        .idle("windlass names them without special characters in any case"),
    integer("timeout", "how long RKE 1 waited for a snapshot, in seconds; windlass needs no such limit")
        .or("300"),
    section("s3backupconfig", S3, "where snapshots are copied to"),
];

const S3: &[Key] = &[
    secret("access_key", "the access key; the role of the machine where absent"),
    secret("secret_key", "its secret"),
    text("bucket_name", "the bucket").needed(),
    text("endpoint", "the host of the service").needed(),
    text("region", "the region"),
    text("folder", "the folder in the bucket"),
    text("custom_ca", "PEM: the CA of the endpoint"),
];

pub(crate) const KUBE_API: &[Key] = service![
    text("service_cluster_ip_range", "the range of Service addresses; two with a comma for dual stack")
        .or("10.43.0.0/16"),
    text("service_node_port_range", "the ports of Services of type NodePort").or("30000-32767"),
    key(
        "pod_security_configuration",
        Word(&["privileged", "restricted"]),
        "what pods may do where their namespace does not say, from 1.23 on"
    )
    .or("privileged"),
    flag("always_pull_images", "pull the image each time a pod starts").or("false"),
    section("secrets_encryption_config", SECRETS_ENCRYPTION, "encrypt Secrets in etcd"),
    section("audit_log", AUDIT_LOG, "the log of all requests").or("on, where the section is absent"),
    section("admission_configuration", ADMISSION_CONFIGURATION, "settings of admission plugins"),
    section("event_rate_limit", EVENT_RATE_LIMIT, "limit how many events are accepted"),
    flag("pod_security_policy", "the admission plugin PodSecurityPolicy, before 1.25").or("false"),
];

pub(crate) const SECRETS_ENCRYPTION: &[Key] = &[
    flag("enabled", "encrypt Secrets in etcd, with a key that windlass makes").or("false"),
    section(
        "custom_config",
        ENCRYPTION_CONFIGURATION,
        "your own providers and keys, in the place of windlass'",
    ),
];

pub(crate) const AUDIT_LOG: &[Key] = &[
    flag("enabled", "keep the log").or("false"),
    section("configuration", AUDIT_LOG_CONFIGURATION, "where and how much is kept"),
];

pub(crate) const AUDIT_LOG_CONFIGURATION: &[Key] = &[
    integer("max_age", "days that a file is kept").or("30, where `configuration` is absent"),
    integer("max_backup", "how many rotated files are kept").or("10, where `configuration` is absent"),
    integer("max_size", "megabytes after which a file is rotated").or("100, where `configuration` is absent"),
    text("path", "the file in the container").or("/var/log/kube-audit/audit-log.json"),
    key("format", Word(&["json", "legacy"]), "the format of its lines").or("json"),
    section("policy", AUDIT_POLICY, "what is logged of which requests").or("the metadata of all"),
];

pub(crate) const EVENT_RATE_LIMIT: &[Key] = &[
    flag("enabled", "switch the admission plugin on").or("false"),
    key("configuration", Section(EVENT_RATE_LIMIT_CONFIGURATION), "the limits")
        .or("5000 a second for the whole server, bursts of 20000"),
];

const KUBE_CONTROLLER: &[Key] = service![
    text("cluster_cidr", "the range of pod addresses; two with a comma for dual stack").or("10.42.0.0/16"),
    text("service_cluster_ip_range", "the range of Service addresses, as under `kube-api`")
        .or("10.43.0.0/16"),
];

const SCHEDULER: &[Key] = service![];

const KUBELET: &[Key] = service![
    text("cluster_domain", "the DNS domain of the cluster").or("cluster.local"),
    text("cluster_dns_server", "the address of the cluster's DNS")
        .or("the tenth address of the service range"),
    text("infra_container_image", "the pause image").or("`system_images.pod_infra_container`"),
    flag("fail_swap_on", "refuse to start where swap is on").or("false"),
    flag("generate_serving_certificate", "serve with a certificate of the cluster's own CA").or("false"),
];

const KUBEPROXY: &[Key] = service![];
