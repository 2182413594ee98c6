//! The sections that have no effect in this release: known by name, so that none is taken for a mistake.

use super::Kind::{Flag, Foreign, Integer, Named, Secret, Section, SectionMap, Text, TextMap, Texts};
use super::{Key, idle, idle_except};

/// Secrets among the keys that are known by name alone.
pub(super) const SECRETS_KNOWN_BY_NAME: [&str; 6] = [
    "aadClientCertPassword",
    "aadClientSecret",
    "apic_user_key",
    "custom_config",
    "kafka_client_key",
    "token",
];

pub(super) const INGRESS: &[Key] = &[
    idle_except("provider", Text, "none"),
    idle("options", TextMap),
    idle("node_selector", TextMap),
    idle("extra_args", TextMap),
    idle("dns_policy", Text),
    idle("extra_envs", Foreign),
    idle("extra_volumes", Foreign),
    idle("extra_volume_mounts", Foreign),
    idle("update_strategy", Foreign),
    idle("http_port", Integer),
    idle("https_port", Integer),
    idle("network_mode", Text),
    idle("tolerations", Foreign),
    idle("default_backend", Flag),
    idle("default_http_backend_priority_class_name", Text),
    idle("nginx_ingress_controller_priority_class_name", Text),
    idle("default_ingress_class", Flag),
];

pub(super) const MONITORING: &[Key] = &[
    idle_except("provider", Text, "none"),
    idle("options", TextMap),
    idle("node_selector", TextMap),
    idle("update_strategy", Foreign),
    idle("replicas", Integer),
    idle("tolerations", Foreign),
    idle("metrics_server_priority_class_name", Text),
];

pub(super) const RESTORE: &[Key] = &[idle("restore", Flag), idle("snapshot_name", Text)];

pub(super) const ROTATE_CERTIFICATES: &[Key] = &[idle("cacertificates", Flag), idle("services", Texts)];

pub(super) const DNS: &[Key] = &[
    idle_except("provider", Text, "none"),
    idle("options", TextMap),
    idle("upstreamnameservers", Texts),
    idle("reversecidrs", Texts),
    idle("stubdomains", Foreign),
    idle("node_selector", TextMap),
    idle("nodelocal", Section(NODELOCAL)),
    idle("update_strategy", Foreign),
    idle("linear_autoscaler_params", Section(AUTOSCALER)),
    idle("tolerations", Foreign),
];

const NODELOCAL: &[Key] = &[
    idle("ip_address", Text),
    idle("update_strategy", Foreign),
    idle("node_selector", TextMap),
    idle("node_local_dns_priority_class_name", Text),
];

const AUTOSCALER: &[Key] = &[
    idle("cores_per_replica", Foreign),
    idle("nodes_per_replica", Foreign),
    idle("min", Integer),
    idle("max", Integer),
    idle("prevent_single_point_failure", Flag),
];

pub(super) const SECRETS_ENCRYPTION: &[Key] = &[idle("enabled", Flag), idle("custom_config", Foreign)];

pub(super) const EVENT_RATE_LIMIT: &[Key] = &[idle("enabled", Flag), idle("configuration", Foreign)];

pub(super) const ECR: &[Key] = &[
    idle("aws_access_key_id", Text),
    idle("aws_secret_access_key", Secret),
    idle("aws_session_token", Secret),
];

pub(super) const WEAVE: &[Key] = &[idle("password", Secret)];

pub(super) const CLOUD_PROVIDER: &[Key] = &[
    idle("name", Text),
    idle("useInstanceMetadataHostname", Flag),
    idle("awsCloudProvider", Section(AWS)),
    idle("azureCloudProvider", Named(AZURE)),
    idle("openstackCloudProvider", Section(OPENSTACK)),
    idle("vsphereCloudProvider", Section(VSPHERE)),
    idle("harvesterCloudProvider", Section(HARVESTER)),
    idle("customCloudProvider", Secret),
];

const AWS: &[Key] = &[
    idle(
        "global",
        Named(&[
            "zone",
            "vpc",
            "subnet-id",
            "routetable-id",
            "role-arn",
            "kubernetes-cluster-tag",
            "kubernetes-cluster-id",
            "disable-security-group-ingress",
            "elb-security-group",
            "disable-strict-zone-check",
        ]),
    ),
    idle("service_override", SectionMap(AWS_OVERRIDE)),
];

const AWS_OVERRIDE: &[Key] = &[
    idle("service", Text),
    idle("region", Text),
    idle("url", Text),
    idle("signing-region", Text),
    idle("signing-method", Text),
    idle("signing-name", Text),
];

const OPENSTACK: &[Key] = &[
    idle("global", Section(OPENSTACK_GLOBAL)),
    idle(
        "load_balancer",
        Named(&[
            "lb-version",
            "use-octavia",
            "subnet-id",
            "floating-network-id",
            "lb-method",
            "lb-provider",
            "create-monitor",
            "monitor-delay",
            "monitor-timeout",
            "monitor-max-retries",
            "manage-security-groups",
        ]),
    ),
    idle("block_storage", Named(&["bs-version", "trust-device-path", "ignore-volume-az"])),
    idle("route", Named(&["router-id"])),
    idle("metadata", Named(&["search-order", "request-timeout"])),
];

const OPENSTACK_GLOBAL: &[Key] = &[
    idle("auth-url", Text),
    idle("username", Text),
    idle("user-id", Text),
    idle("password", Secret),
    idle("tenant-id", Text),
    idle("tenant-name", Text),
    idle("trust-id", Text),
    idle("domain-id", Text),
    idle("domain-name", Text),
    idle("region", Text),
    idle("ca-file", Text),
];

const VSPHERE: &[Key] = &[
    idle("global", Section(VSPHERE_GLOBAL)),
    idle("virtual_center", SectionMap(VSPHERE_CENTER)),
    idle("network", Named(&["public-network"])),
    idle("disk", Named(&["scsicontrollertype"])),
    idle("workspace", Named(&["server", "datacenter", "folder", "default-datastore", "resourcepool-path"])),
];

const VSPHERE_GLOBAL: &[Key] = &[
    idle("user", Text),
    idle("password", Secret),
    idle("server", Text),
    idle("port", Text),
    idle("insecure-flag", Flag),
    idle("datacenter", Text),
    idle("datacenters", Text),
    idle("datastore", Text),
    idle("working-dir", Text),
    idle("soap-roundtrip-count", Integer),
    idle("vm-uuid", Text),
    idle("vm-name", Text),
];

const VSPHERE_CENTER: &[Key] = &[
    idle("user", Text),
    idle("password", Secret),
    idle("port", Text),
    idle("datacenters", Text),
    idle("soap-roundtrip-count", Integer),
];

const HARVESTER: &[Key] = &[idle("cloud_config", Secret)];

const AZURE: &[&str] = &[
    "cloud",
    "tenantId",
    "subscriptionId",
    "resourceGroup",
    "location",
    "vnetName",
    "vnetResourceGroup",
    "subnetName",
    "securityGroupName",
    "securityGroupResourceGroup",
    "routeTableName",
    "primaryAvailabilitySetName",
    "vmType",
    "primaryScaleSetName",
    "aadClientId",
    "aadClientSecret",
    "aadClientCertPath",
    "aadClientCertPassword",
    "cloudProviderBackoff",
    "cloudProviderBackoffRetries",
    "cloudProviderBackoffExponent",
    "cloudProviderBackoffDuration",
    "cloudProviderBackoffJitter",
    "cloudProviderRateLimit",
    "cloudProviderRateLimitQPS",
    "cloudProviderRateLimitBucket",
    "useInstanceMetadata",
    "useManagedIdentityExtension",
    "userAssignedIdentityID",
    "maximumLoadBalancerRuleCount",
    "loadBalancerSku",
    "excludeMasterFromStandardLB",
    "tags",
];

/// Keys of Cisco ACI's network; RKE 1 demanded some of them and refused others.
pub(super) const ACI: &[&str] = &[
    "system_id",
    "apic_hosts",
    "token",
    "apic_user_name",
    "apic_user_key",
    "apic_user_crt",
    "encap_type",
    "mcast_range_start",
    "mcast_range_end",
    "node_subnet",
    "aep",
    "vrf_name",
    "vrf_tenant",
    "l3out",
    "l3out_external_networks",
    "extern_dynamic",
    "extern_static",
    "node_svc_subnet",
    "kube_api_vlan",
    "service_vlan",
    "infra_vlan",
    "ep_registry",
    "opflex_mode",
    "use_host_netns_volume",
    "use_opflex_server_volume",
    "subnet_domain_name",
    "kafka_client_crt",
    "kafka_client_key",
    "capic",
    "use_aci_anywhere_crd",
    "overlay_vrf_name",
    "gbp_pod_subnet",
    "run_gbp_container",
    "run_opflex_server_container",
    "opflex_server_port",
    "apic_refresh_time",
    "vmm_domain",
    "vmm_controller",
    "tenant",
    "ovs_memory_limit",
    "ovs_memory_request",
    "image_pull_policy",
    "image_pull_secret",
    "service_monitor_interval",
    "pbr_tracking_non_snat",
    "install_istio",
    "istio_profile",
    "drop_log_enable",
    "controller_log_level",
    "host_agent_log_level",
    "opflex_log_level",
    "use_aci_cni_priority_class",
    "no_priority_class",
    "max_nodes_svc_graph",
    "snat_contract_scope",
    "pod_subnet_chunk_size",
    "enable_endpoint_slice",
    "snat_namespace",
    "snat_port_range_start",
    "snat_port_range_end",
    "snat_ports_per_node",
    "opflex_client_ssl",
    "use_privileged_container",
    "kafka_brokers",
    "duration_wait_for_network",
    "disable_wait_for_network",
    "apic_subscription_delay",
    "apic_refresh_ticker_adjust",
    "disable_periodic_snat_global_info_sync",
    "opflex_device_delete_timeout",
    "mtu_head_room",
    "node_pod_if_enable",
    "sriov_enable",
    "multus_disable",
    "use_cluster_role",
    "no_wait_for_service_ep_readiness",
    "add_external_subnets_to_rdconfig",
    "service_graph_endpoint_add_delay",
    "service_graph_endpoint_add_services",
    "hpp_optimization",
    "sleep_time_snat_global_info_sync",
    "opflex_agent_opflex_asyncjson_enabled",
    "opflex_agent_ovs_asyncjson_enabled",
    "opflex_agent_policy_retry_delay_timer",
    "aci_multipod",
    "aci_multipod_ubuntu",
    "opflex_device_reconnect_wait_timeout",
    "dhcp_renew_max_retry_count",
    "dhcp_delay",
    "use_system_node_priority_class",
    "aci_containers_controller_memory_request",
    "aci_containers_controller_memory_limit",
    "aci_containers_host_memory_request",
    "aci_containers_host_memory_limit",
    "mcast_daemon_memory_request",
    "mcast_daemon_memory_limit",
    "opflex_agent_memory_request",
    "opflex_agent_memory_limit",
    "aci_containers_memory_request",
    "aci_containers_memory_limit",
    "opflex_agent_statistics",
    "add_external_contract_to_default_epg",
    "enable_opflex_agent_reconnect",
    "opflex_openssl_compat",
    "node_snat_redirect_exclude",
    "toleration_seconds",
    "disable_hpp_rendering",
    "apic_connection_retry_limit",
    "taint_not_ready_node",
    "drop_log_disable_events",
    "opflex_startup_enabled",
    "opflex_startup_policy_duration",
    "opflex_startup_resolve_aft_conn",
    "opflex_switch_sync_delay",
    "opflex_switch_sync_dynamic",
    "unknown_mac_unicast_action",
    "enable_hpp_direct",
    "opflex_agent_reset_wait_delay",
];
