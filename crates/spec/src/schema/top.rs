//! The top level, with the sections that are small.

use super::Kind::{SectionMap, Sections, Word, WordOr};
use super::addons::{DNS, INGRESS, MONITORING, NETWORK};
use super::cloud::CLOUD_PROVIDER;
use super::nodes::{BASTION, NODE, POD_RUNTIMES, REGISTRY, UPGRADE_STRATEGY};
use super::services::SERVICES;
use super::{Key, alien, flag, gone, integer, key, renamed, secret, section, text, text_map, texts};

/// The top level.
pub(crate) const CLUSTER: &[Key] = &[
    key("nodes", Sections(NODE), "the machines of the cluster").needed(),
    section("services", SERVICES, "the components of Kubernetes, and etcd"),
    section("network", NETWORK, "how pods reach each other; deployed is flannel, any other plugin not yet"),
    section("authentication", AUTHENTICATION, "who the API server believes"),
    section("authorization", AUTHORIZATION, "who may do what"),
    text("addons", "manifests of your own, applied after all else"),
    texts("addons_include", "manifests of your own: URLs, and files relative to cluster.yml"),
    section("system_images", SYSTEM_IMAGES, "images by name, in the place of those of the version"),
    text("ssh_key_path", "the private key of nodes and bastion that name none").or("~/.ssh/id_rsa"),
    text("ssh_cert_path", "the SSH certificate of nodes and bastion that name none"),
    flag("ssh_agent_auth", "take keys from the SSH agent, for all nodes and the bastion").or("false"),
    flag("ignore_docker_version", "take any version of Docker")
        .or("false")
        .void("RKE 1 overwrote it with the flag of its command line"),
    flag("enable_cri_dockerd", "let kubelet reach Docker through cri-dockerd").or("true from 1.24 on"),
    text("cri_dockerd_stream_server_address", "the address that cri-dockerd streams on")
        .or("127.0.0.1")
        .idle(NO_CRI_DOCKERD),
    text("cri_dockerd_stream_server_port", "the port that cri-dockerd streams on")
        .or("10010")
        .idle(NO_CRI_DOCKERD),
    text("kubernetes_version", "the version of Kubernetes, such as v1.20.15-rancher2-2")
        .or(windlass_model::DEFAULT_KUBERNETES),
    key("private_registries", Sections(REGISTRY), "registries that images come from"),
    section("ingress", INGRESS, "how requests from outside reach Services"),
    text("cluster_name", "the name of the cluster in kubeconfigs").or("local"),
    section("cloud_provider", CLOUD_PROVIDER, "the cloud that the nodes run in"),
    text("prefix_path", "what the directories on nodes are put under").or("/"),
    text("win_prefix_path", "`prefix_path` of Windows nodes")
        .or("c:/")
        .void("windlass runs no Windows nodes"),
    integer("addon_job_timeout", "seconds to wait for each add-on").or("45").later(),
    section("bastion_host", BASTION, "the one host through which every node is reached"),
    section("monitoring", MONITORING, "who serves the metrics of pods and nodes"),
    section("restore", RESTORE, "restore a snapshot")
        .idle("the format has it for Rancher; no snapshot is restored by it"),
    section("rotate_certificates", ROTATE_CERTIFICATES, "reissue certificates")
        .idle("the format has it for Rancher; `windlass cert-rotate` reissues certificates"),
    flag("rotate_encryption_key", "replace the key that Secrets are encrypted with")
        .or("false")
        .idle("the key is not replaced yet"),
    section("dns", DNS, "who resolves the names of Services"),
    section("upgrade_strategy", UPGRADE_STRATEGY, "how many nodes may be away at once"),
    section("windlass", WINDLASS, "the keys that RKE 1 does not have"),
    renamed("auth", "authentication", "it is called `authentication` today"),
    gone("dashboard", "RKE 1 deploys no dashboard: apply its manifest by `addons_include`"),
    alien("rancher_kubernetes_engine_config", RANCHER_WRAPPER),
    alien("name", RANCHER),
    alien("description", RANCHER),
    alien("answers", RANCHER),
    alien("agent_env_vars", RANCHER),
    alien("agent_image_override", RANCHER),
    alien("cluster_template_id", RANCHER),
    alien("cluster_template_revision_id", RANCHER),
    alien("docker_root_dir", RANCHER),
    alien("default_cluster_role_for_project_members", RANCHER),
    alien("default_pod_security_policy_template_id", RANCHER),
    alien("default_pod_security_admission_configuration_template_name", RANCHER),
    alien("desired_agent_image", RANCHER),
    alien("desired_auth_image", RANCHER),
    alien("enable_cluster_alerting", RANCHER),
    alien("enable_cluster_monitoring", RANCHER),
    alien("enable_network_policy", RANCHER),
    alien("fleet_workspace_name", RANCHER),
    alien("local_cluster_auth_endpoint", RANCHER),
    alien("scheduled_cluster_scan", RANCHER),
    alien("windows_prefered_cluster", RANCHER),
];

const NO_CRI_DOCKERD: &str = "windlass does not run cri-dockerd by itself yet";
const RANCHER: &str = "it belongs to the cluster documents of Rancher's API, not to cluster.yml";
const RANCHER_WRAPPER: &str = "Rancher wraps a cluster.yml in it: move what is under it to the top level";

const AUTHENTICATION: &[Key] = &[
    text("strategy", "how users show who they are: `x509`, or `x509|webhook`").or("x509"),
    texts("sans", "further names and addresses in the API servers' certificates"),
    section("webhook", WEBHOOK, "who checks tokens; given alone, it is switched on too"),
    gone("options", "RKE 1 dropped it: nothing read it"),
];

const WEBHOOK: &[Key] = &[
    secret("config_file", "the text of the kubeconfig that the webhook is reached by")
        .or("one for http://127.0.0.1:6440/v1/authenticate"),
    text("cache_timeout", "how long an answer is believed").or("5s"),
];

const AUTHORIZATION: &[Key] = &[
    key(
        "mode",
        WordOr(&["rbac", "none"], "none"),
        "who may do what: roles decide, or everybody may do everything",
    )
    .or("rbac"),
    text_map("options", "settings").void("RKE 1 never read it"),
];

const RESTORE: &[Key] = &[flag("restore", "restore").or("false"), text("snapshot_name", "the snapshot")];

const ROTATE_CERTIFICATES: &[Key] =
    &[flag("cacertificates", "CAs too").or("false"), texts("services", "the components")];

const WINDLASS: &[Key] = &[
    text("endpoint", "the name or address of all API servers together, perhaps with a port"),
    text("certificate_validity", "how long certificates other than CAs are valid").or("87600h"),
    key("pod_runtime", Word(POD_RUNTIMES), "what runs the containers of pods; a node may have its own")
        .or("docker"),
    text(
        "token_issuer",
        "who issues the tokens of service accounts; a living cluster keeps the one that it has",
    )
    .or("https://kubernetes.default.svc. and the cluster domain"),
    flag("drain_leaving", "drain a node that has left cluster.yml before it is cleared").or("true"),
    flag(
        "snapshot_before_upgrade",
        "take a snapshot of etcd before Kubernetes or etcd changes to another minor version",
    )
    .or("true"),
    key(
        "ledger_in_cluster",
        Word(LEDGER_IN_CLUSTER),
        "whether the cluster keeps the CAs and keys of the ledger, in a Secret that the recovery key opens",
    )
    .or("encrypted"),
    key("local_ports", Word(LOCAL_PORTS), LOCAL_PORTS_MEANING).or("closed"),
    text_map(
        "checksums",
        "the SHA-256 of what `addons_include` names, by the file or URL as it is written there",
    ),
    key("links", SectionMap(SYSTEM_IMAGES), LINKS).or("the newest known of each minor version"),
];

/// `windlass.ledger_in_cluster`.
const LEDGER_IN_CLUSTER: &[&str] = &["encrypted", "none"];

/// `windlass.local_ports`.
const LOCAL_PORTS: &[&str] = &["closed", "open"];

const LOCAL_PORTS_MEANING: &str = "whether ports that the node alone needs can be reached from elsewhere; a living cluster keeps what it has";

const LINKS: &str =
    "versions that an upgrade over several minor versions goes through, each perhaps with images";

const TOOLS: &str = "RKE 1's tools; windlass needs them not";

/// `system_images`.
pub(crate) const SYSTEM_IMAGES: &[Key] = &[
    text("etcd", "etcd"),
    text("alpine", TOOLS),
    text("nginx_proxy", "the proxy on nodes without a control plane"),
    text("cert_downloader", TOOLS),
    text("kubernetes_services_sidecar", TOOLS),
    text("kubernetes", "all components of Kubernetes"),
    text("kubelet", "kubelet alone; a key of windlass, needed beyond RKE 1's versions"),
    text("kube_apiserver", "the API server alone; a key of windlass"),
    text("kube_controller_manager", "the controller manager alone; a key of windlass"),
    text("kube_scheduler", "the scheduler alone; a key of windlass"),
    text("kube_proxy", "kube-proxy alone; a key of windlass"),
    text("pod_infra_container", "the pause container of every pod"),
    text("windows_pod_infra_container", "the same on Windows"),
    text("kubedns", "kube-dns"),
    text("dnsmasq", "kube-dns: its cache"),
    text("kubedns_sidecar", "kube-dns: its metrics"),
    text("kubedns_autoscaler", "kube-dns: how many pods"),
    text("coredns", "CoreDNS"),
    text("coredns_autoscaler", "CoreDNS: how many pods"),
    text("nodelocal", "the cache of names on every node"),
    text("flannel", "flannel"),
    text("flannel_cni", "flannel: its plugin"),
    text("calico_node", "calico: its agent"),
    text("calico_cni", "calico: its plugin"),
    text("calico_controllers", "calico: its controllers"),
    text("calico_ctl", "calico: its command"),
    text("calico_flexvol", "calico: its volume driver"),
    text("canal_node", "canal: its agent"),
    text("canal_cni", "canal: its plugin"),
    text("canal_controllers", "canal: its controllers"),
    text("canal_flannel", "canal: its flannel"),
    text("canal_flexvol", "canal: its volume driver"),
    text("weave_node", "weave: its agent"),
    text("weave_cni", "weave: its plugin"),
    text("ingress", "ingress-nginx"),
    text("ingress_traefik", "Traefik; a key of windlass"),
    text("ingress_backend", "its default backend"),
    text("ingress_webhook", "the certificates of its webhook"),
    text("metrics_server", "metrics-server"),
    text("aci_cni_deploy_container", "aci: what installs its plugin"),
    text("aci_host_container", "aci: its host agent"),
    text("aci_opflex_container", "aci: its OpFlex agent"),
    text("aci_mcast_container", "aci: its multicast daemon"),
    text("aci_ovs_container", "aci: its Open vSwitch"),
    text("aci_controller_container", "aci: its controller"),
    text("aci_gbp_server_container", "aci: its policy server"),
    text("aci_opflex_server_container", "aci: its OpFlex server"),
    gone("wave_node", "early releases of RKE 1 misspelt `weave_node` so, and later ones ignored it"),
];
