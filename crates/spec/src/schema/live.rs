//! The keys that take effect, section by section, with their idle neighbours in place.

use super::Kind::{Flag, Foreign, Integer, Section, Sections, Text, TextMap, TextOrTexts, Texts, TextsMap};
use super::{Key, Kind, alien, gone, idle, idle_except, live, void};

/// The top level.
pub(crate) const CLUSTER: &[Key] = &[
    live("nodes", Sections(NODE)),
    live("services", Section(SERVICES)),
    live("network", Section(NETWORK)),
    live("authentication", Section(AUTHENTICATION)),
    live("authorization", Section(AUTHORIZATION)),
    idle("addons", Text),
    idle("addons_include", Texts),
    live("system_images", Section(SYSTEM_IMAGES)),
    live("ssh_key_path", Text),
    live("ssh_cert_path", Text),
    live("ssh_agent_auth", Flag),
    void("ignore_docker_version", Flag, "RKE 1 overwrote it with the flag of its command line"),
    live("enable_cri_dockerd", Flag),
    idle("cri_dockerd_stream_server_address", Text),
    idle("cri_dockerd_stream_server_port", Text),
    live("kubernetes_version", Text),
    live("private_registries", Sections(REGISTRY)),
    idle("ingress", Section(super::idle::INGRESS)),
    live("cluster_name", Text),
    idle("cloud_provider", Section(super::idle::CLOUD_PROVIDER)),
    live("prefix_path", Text),
    idle("win_prefix_path", Text),
    idle("addon_job_timeout", Integer),
    live("bastion_host", Section(BASTION)),
    idle("monitoring", Section(super::idle::MONITORING)),
    idle("restore", Section(super::idle::RESTORE)),
    idle("rotate_certificates", Section(super::idle::ROTATE_CERTIFICATES)),
    idle("rotate_encryption_key", Flag),
    idle("dns", Section(super::idle::DNS)),
    live("upgrade_strategy", Section(UPGRADE_STRATEGY)),
    live("windlass", Section(WINDLASS)),
    alien("rancher_kubernetes_engine_config", RANCHER_WRAPPER),
    alien("name", RANCHER),
    alien("description", RANCHER),
    alien("docker_root_dir", RANCHER),
    alien("default_pod_security_policy_template_id", RANCHER),
    alien("default_pod_security_admission_configuration_template_name", RANCHER),
    alien("enable_cluster_alerting", RANCHER),
    alien("enable_cluster_monitoring", RANCHER),
    alien("enable_network_policy", RANCHER),
    alien("local_cluster_auth_endpoint", RANCHER),
    alien("windows_prefered_cluster", RANCHER),
    alien("scheduled_cluster_scan", RANCHER),
];

const RANCHER: &str = "it belongs to the cluster documents of Rancher's API, not to cluster.yml";
const RANCHER_WRAPPER: &str = "Rancher wraps a cluster.yml in it: move what is under it to the top level";

const NODE: &[Key] = &[
    live("address", Text),
    live("port", Text),
    live("internal_address", Text),
    live("role", TextOrTexts),
    live("hostname_override", Text),
    live("user", Text),
    live("docker_socket", Text),
    live("ssh_agent_auth", Flag),
    live("ssh_key", Kind::Secret),
    live("ssh_key_path", Text),
    live("ssh_cert", Text),
    live("ssh_cert_path", Text),
    live("labels", TextMap),
    live("taints", Sections(TAINT)),
    void("nodeName", Text, "it refers to a machine of Rancher's"),
];

const TAINT: &[Key] = &[
    live("key", Text),
    live("value", Text),
    live("effect", Text),
    void("timeAdded", Text, "Kubernetes sets it"),
];

const BASTION: &[Key] = &[
    live("address", Text),
    live("port", Text),
    live("user", Text),
    live("ssh_agent_auth", Flag),
    live("ssh_key", Kind::Secret),
    live("ssh_key_path", Text),
    live("ssh_cert", Text),
    live("ssh_cert_path", Text),
    idle("ignore_proxy_env_vars", Flag),
];

/// The keys that every service has, and then those of one alone.
macro_rules! service {
    ($($own:expr),* $(,)?) => {
        &[
            void("image", Text, "RKE 1 replaced it: the images of services are keys of `system_images`"),
            live("extra_args", TextMap),
            live("extra_args_array", TextsMap),
            live("extra_binds", Texts),
            live("extra_env", Texts),
            idle("win_extra_args", TextMap),
            idle("win_extra_args_array", TextsMap),
            idle("win_extra_binds", Texts),
            idle("win_extra_env", Texts),
            $($own),*
        ]
    };
}

const SERVICES: &[Key] = &[
    live("etcd", Section(ETCD)),
    live("kube-api", Section(KUBE_API)),
    live("kube-controller", Section(KUBE_CONTROLLER)),
    live("scheduler", Section(SCHEDULER)),
    live("kubelet", Section(KUBELET)),
    live("kubeproxy", Section(KUBEPROXY)),
];

const ETCD: &[Key] = service![
    live("external_urls", Texts),
    live("ca_cert", Text),
    live("cert", Text),
    live("key", Kind::Secret),
    live("path", Text),
    live("uid", Integer),
    live("gid", Integer),
    live("snapshot", Flag),
    live("retention", Text),
    live("creation", Text),
    live("backup_config", Section(BACKUP)),
];

const BACKUP: &[Key] = &[
    live("enabled", Flag),
    live("interval_hours", Integer),
    live("retention", Integer),
    live("safe_timestamp", Flag),
    live("timeout", Integer),
    live("s3backupconfig", Section(S3)),
];

const S3: &[Key] = &[
    live("access_key", Kind::Secret),
    live("secret_key", Kind::Secret),
    live("bucket_name", Text),
    live("endpoint", Text),
    live("region", Text),
    live("folder", Text),
    live("custom_ca", Text),
];

const KUBE_API: &[Key] = service![
    live("service_cluster_ip_range", Text),
    live("service_node_port_range", Text),
    live("always_pull_images", Flag),
    live("audit_log", Section(AUDIT_LOG)),
    idle_except("pod_security_configuration", Text, "privileged"),
    idle("secrets_encryption_config", Section(super::idle::SECRETS_ENCRYPTION)),
    idle("admission_configuration", Foreign),
    idle("event_rate_limit", Section(super::idle::EVENT_RATE_LIMIT)),
    gone(
        "pod_security_policy",
        "later releases of RKE 1 ignored it: Kubernetes 1.25 has no pod security policies"
    ),
];

const AUDIT_LOG: &[Key] = &[live("enabled", Flag), live("configuration", Section(AUDIT_LOG_CONFIGURATION))];

const AUDIT_LOG_CONFIGURATION: &[Key] = &[
    live("max_age", Integer),
    live("max_backup", Integer),
    live("max_size", Integer),
    live("path", Text),
    live("format", Text),
    idle("policy", Foreign),
];

const KUBE_CONTROLLER: &[Key] = service![live("cluster_cidr", Text), live("service_cluster_ip_range", Text)];

const SCHEDULER: &[Key] = service![];

const KUBELET: &[Key] = service![
    live("cluster_domain", Text),
    live("cluster_dns_server", Text),
    live("infra_container_image", Text),
    live("fail_swap_on", Flag),
    live("generate_serving_certificate", Flag),
];

const KUBEPROXY: &[Key] = service![];

const NETWORK: &[Key] = &[
    live("plugin", Text),
    live("options", TextMap),
    idle("mtu", Integer),
    idle("node_selector", TextMap),
    idle("update_strategy", Foreign),
    idle("tolerations", Foreign),
    idle("calico_network_provider", Kind::Named(&["cloudprovider", "cloud_provider"])),
    idle("canal_network_provider", Kind::Named(&["iface"])),
    idle("flannel_network_provider", Kind::Named(&["iface"])),
    idle("weave_network_provider", Section(super::idle::WEAVE)),
    idle("aci_network_provider", Kind::Named(super::idle::ACI)),
];

const AUTHENTICATION: &[Key] = &[
    live("strategy", Text),
    live("sans", Texts),
    live("webhook", Section(WEBHOOK)),
    gone("options", "later releases of RKE 1 ignored it"),
];

const WEBHOOK: &[Key] = &[live("config_file", Kind::Secret), live("cache_timeout", Text)];

const AUTHORIZATION: &[Key] = &[live("mode", Text), void("options", TextMap, "RKE 1 never read it")];

const REGISTRY: &[Key] = &[
    live("url", Text),
    live("user", Text),
    live("password", Kind::Secret),
    live("is_default", Flag),
    idle("ecr_credential_plugin", Section(super::idle::ECR)),
];

const UPGRADE_STRATEGY: &[Key] = &[
    live("max_unavailable_worker", Text),
    live("max_unavailable_controlplane", Text),
    live("drain", Flag),
    live("node_drain_input", Section(NODE_DRAIN_INPUT)),
];

const NODE_DRAIN_INPUT: &[Key] = &[
    live("force", Flag),
    live("ignore_daemonsets", Flag),
    live("delete_local_data", Flag),
    live("grace_period", Integer),
    live("timeout", Integer),
];

/// What RKE 1 does not have, in a section of its own that RKE 1 ignores.
const WINDLASS: &[Key] = &[live("endpoint", Text), live("certificate_validity", Text)];

/// `system_images`.
pub(crate) const SYSTEM_IMAGES: &[Key] = &[
    live("etcd", Text),
    live("alpine", Text),
    live("nginx_proxy", Text),
    live("cert_downloader", Text),
    live("kubernetes_services_sidecar", Text),
    live("kubernetes", Text),
    live("pod_infra_container", Text),
    live("windows_pod_infra_container", Text),
    live("kubedns", Text),
    live("dnsmasq", Text),
    live("kubedns_sidecar", Text),
    live("kubedns_autoscaler", Text),
    live("coredns", Text),
    live("coredns_autoscaler", Text),
    live("nodelocal", Text),
    live("flannel", Text),
    live("flannel_cni", Text),
    live("calico_node", Text),
    live("calico_cni", Text),
    live("calico_controllers", Text),
    live("calico_ctl", Text),
    live("calico_flexvol", Text),
    live("canal_node", Text),
    live("canal_cni", Text),
    live("canal_controllers", Text),
    live("canal_flannel", Text),
    live("canal_flexvol", Text),
    live("weave_node", Text),
    live("weave_cni", Text),
    live("ingress", Text),
    live("ingress_backend", Text),
    live("ingress_webhook", Text),
    live("metrics_server", Text),
    live("aci_cni_deploy_container", Text),
    live("aci_host_container", Text),
    live("aci_opflex_container", Text),
    live("aci_mcast_container", Text),
    live("aci_ovs_container", Text),
    live("aci_controller_container", Text),
    live("aci_gbp_server_container", Text),
    live("aci_opflex_server_container", Text),
    gone("wave_node", "early releases of RKE 1 misspelt `weave_node` so, and later ones ignored it"),
];
