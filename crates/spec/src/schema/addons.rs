//! `network`, `dns`, `ingress` and `monitoring`: what becomes objects in the cluster.

use super::Kind::{Flag, Foreign, Integer, Number, Options, Section, Sections, TextsMap, Word, WordOr};
use super::aci::ACI;
use super::kubernetes::{DAEMON_SET_STRATEGY, DEPLOYMENT_STRATEGY, ENV_VAR, TOLERATION, VOLUME_MOUNT};
use super::{Key, flag, integer, key, secret, section, text, text_map, texts};

pub(crate) const NETWORK: &[Key] = &[
    text("plugin", "the network plugin: canal, flannel, calico, weave, aci, or none to bring your own")
        .or("canal"),
    key("options", Options(NETWORK_OPTIONS), "settings of the plugin"),
    integer("mtu", "the largest packet of pods").or("0"),
    flag(
        "enable_br_netfilter",
        "load the kernel module br_netfilter on every node, as windlass does in any case",
    ),
    text_map("node_selector", "labels of the nodes that the plugin runs on"),
    section("update_strategy", DAEMON_SET_STRATEGY, "how its DaemonSets are updated"),
    key("tolerations", Sections(TOLERATION), "what its Deployments tolerate"),
    section(
        "calico_network_provider",
        &[text("cloudprovider", "the cloud: aws, gce or none").or("none")],
        "of calico",
    ),
    section("canal_network_provider", IFACE, "of canal"),
    section("flannel_network_provider", IFACE, "of flannel"),
    section("weave_network_provider", &[secret("password", "what traffic is encrypted with")], "of weave"),
    section("aci_network_provider", ACI, "of aci"),
];

const IFACE: &[Key] = &[text("iface", "the interface between the nodes")];

/// The names that the manifests of RKE 1's plugins ask for; those of aci are its keys with `aci_` before them.
const NETWORK_OPTIONS: &[&str] = &[
    "flannel_iface",
    "flannel_backend_type",
    "flannel_backend_port",
    "flannel_backend_vni",
    "kube_flannel_priority_class_name",
    "calico_cloud_provider",
    "calico_flex_volume_plugin_dir",
    "calico_node_priority_class_name",
    "calico_kube_controllers_priority_class_name",
    "canal_iface",
    "canal_flannel_backend_type",
    "canal_flannel_backend_port",
    "canal_flannel_backend_vni",
    "canal_flex_volume_plugin_dir",
    "canal_priority_class_name",
    "weave_net_priority_class_name",
];

/// Whether the manifest of any plugin reads an option of this name.
pub(crate) fn is_network_option(name: &str) -> bool {
    NETWORK_OPTIONS.contains(&name)
}

pub(crate) const INGRESS: &[Key] = &[
    key(
        "provider",
        Word(&["traefik", "nginx", "none"]),
        "the ingress controller; nginx is not deployed yet, and retired",
    )
    .or("traefik from 1.33 on, where windlass deploys the network"),
    text_map("options", "keys of the controller's ConfigMap"),
    text_map("node_selector", "labels of the nodes that it runs on"),
    text_map("extra_args", "flags of the controller"),
    key(
        "dns_policy",
        Word(&["ClusterFirst", "ClusterFirstWithHostNet", "None", "Default"]),
        "how its pods resolve names",
    ),
    key("extra_envs", Sections(ENV_VAR), "environment variables of the controller"),
    key("extra_volumes", Foreign, "volumes of the controller, in Kubernetes' format"),
    key("extra_volume_mounts", Sections(VOLUME_MOUNT), "where its volumes are mounted"),
    section("update_strategy", DAEMON_SET_STRATEGY, "how its DaemonSet is updated"),
    key("http_port", Integer, "the port for HTTP on the nodes").or("80"),
    key("https_port", Integer, "the port for HTTPS on the nodes").or("443"),
    key("network_mode", Word(&["hostPort", "hostNetwork", "none"]), "how it is reached from outside")
        .or("hostPort from 1.21 on, hostNetwork before"),
    key("tolerations", Sections(TOLERATION), "what the default backend tolerates"),
    flag("default_backend", "run a default backend").or("false from 1.21 on, true before"),
    text("default_http_backend_priority_class_name", "the priority class of the default backend"),
    text("nginx_ingress_controller_priority_class_name", "the priority class of the controller"),
    flag("default_ingress_class", "make its IngressClass the default one").or("true"),
];

pub(crate) const MONITORING: &[Key] = &[
    key(
        "provider",
        WordOr(&["metrics-server", "none"], "metrics-server"),
        "who serves the metrics of pods and nodes",
    )
    .or("metrics-server"),
    text_map("options", "flags of metrics-server"),
    text_map("node_selector", "labels of the nodes that it runs on"),
    section("update_strategy", DEPLOYMENT_STRATEGY, "how its Deployment is updated"),
    integer("replicas", "how many pods").or("1"),
    key("tolerations", Sections(TOLERATION), "what it tolerates"),
    text("metrics_server_priority_class_name", "its priority class"),
];

pub(crate) const DNS: &[Key] = &[
    key(
        "provider",
        WordOr(&["coredns", "kube-dns", "none"], "none"),
        "who resolves the names of Services: kube-dns is taken for coredns",
    )
    .or("coredns"),
    key("options", Options(DNS_OPTIONS), "priority classes"),
    texts("upstreamnameservers", "who resolves other names").or("those of the node"),
    texts("reversecidrs", "ranges whose addresses are resolved to names").or("in-addr.arpa ip6.arpa"),
    key("stubdomains", TextsMap, "name servers by domain"),
    text_map("node_selector", "labels of the nodes that it runs on"),
    key("nodelocal", Section(NODELOCAL), "a cache on every node; not yet deployed"),
    section("update_strategy", DEPLOYMENT_STRATEGY, "how its Deployment is updated"),
    key("linear_autoscaler_params", Section(AUTOSCALER), "how many pods for how many nodes"),
    key("tolerations", Sections(TOLERATION), "what it tolerates, in the place of its defaults"),
];

const DNS_OPTIONS: &[&str] = &[
    "coredns_priority_class_name",
    "coredns_autoscaler_priority_class_name",
    "kube_dns_priority_class_name",
    "kube_dns_autoscaler_priority_class_name",
];

pub(crate) const NODELOCAL: &[Key] = &[
    text("ip_address", "the address that the cache listens on; without it there is none"),
    section("update_strategy", DAEMON_SET_STRATEGY, "how its DaemonSet is updated"),
    text_map("node_selector", "labels of the nodes that it runs on"),
    text("node_local_dns_priority_class_name", "its priority class"),
];

const AUTOSCALER: &[Key] = &[
    key("cores_per_replica", Number, "processor cores for each pod").or("128"),
    key("nodes_per_replica", Number, "nodes for each pod").or("4"),
    integer("min", "at least so many pods").or("1"),
    integer("max", "at most so many pods"),
    key("prevent_single_point_failure", Flag, "at least two pods where there are two nodes").or("true"),
];
