//! The values that the catalog's texts ask for: those of the cluster, and those of one node.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use windlass_model::{HostFacts, NodeName, Role, SpecPath};
use windlass_spec::Cidr;

use crate::catalog::Feature;
use crate::cloud;
use crate::cluster::{Cluster, Member, place_of};

/// The values that are equal on all nodes, with their places in cluster.yml.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterValues(BTreeMap<&'static str, Value>);

#[derive(Clone, Debug)]
struct Value {
    text: Option<String>,
    origin: Option<SpecPath>,
}

impl ClusterValues {
    /// The values of a cluster whose host directories are under `prefix`, which is empty for `/`.
    pub(crate) fn new(cluster: &Cluster<'_>, prefix: &str) -> Self {
        let mut values = Self::default();
        values.set("prefix", prefix, place_of(cluster.spec.prefix_path.as_ref(), "prefix_path"));
        values.ranges(cluster);
        values.kubelet(cluster);
        values.apiserver(cluster);
        values.cloud_and_etcd(cluster);
        values.snapshots(cluster);
        values
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.text.as_deref()
    }

    pub(crate) fn origin(&self, name: &str) -> Option<&SpecPath> {
        self.0.get(name)?.origin.as_ref()
    }

    fn set(&mut self, name: &'static str, text: impl Into<String>, origin: Option<SpecPath>) {
        self.0.insert(name, Value { text: Some(text.into()), origin });
    }

    fn set_if(&mut self, name: &'static str, text: Option<String>, origin: Option<SpecPath>) {
        self.0.insert(name, Value { text, origin });
    }

    fn ranges(&mut self, cluster: &Cluster<'_>) {
        let controller = &cluster.spec.services.kube_controller;
        let place = |ranges: &[Cidr], path: &str| place_of(ranges.first(), path);
        let services = &cluster.spec.services;
        let place_by = |path: &str, service: &windlass_spec::ServiceSpec, key: &str| {
            let argument = service.argument(&key.replace('_', "-"));
            format!("{path}.{}", argument.map_or_else(|| key.to_owned(), |argument| argument.path()))
        };
        let api = &services.kube_api.service;
        let api_path = place_by("services.kube-api", api, "service_cluster_ip_range");
        let api_place = place(&services.service_ranges(), &api_path);
        self.set("service_range", joined(&cluster.service_ranges), api_place.clone());

        // Where the controller manager is given nothing, it must agree with the API server.
        let controller_ranges = &controller.service_cluster_ip_range;
        if controller_ranges.is_empty() {
            self.set("controller_service_range", joined(&cluster.service_ranges), api_place);
        } else {
            let path = "services.kube-controller.service_cluster_ip_range";
            self.set("controller_service_range", joined(controller_ranges), place(controller_ranges, path));
        }
        let pods = services.pod_ranges();
        let pod_range = if pods.is_empty() { "10.42.0.0/16".to_owned() } else { joined(&pods) };
        let pods_path = place_by("services.kube-controller", &controller.service, "cluster_cidr");
        self.set("pod_range", pod_range, place(&pods, &pods_path));
    }

    fn kubelet(&mut self, cluster: &Cluster<'_>) {
        let kubelet = &cluster.spec.services.kubelet;
        // RKE 1's default is 10.43.0.10 whatever the range; the tenth address of the range is the same for
        // its default range, and right for all others.
        let dns = kubelet.cluster_dns_server.clone().or_else(|| {
            cluster.service_ranges.first().and_then(|range| range.nth(10)).map(|address| address.to_string())
        });
        let path = "services.kubelet.cluster_dns_server";
        self.set_if("cluster_dns", dns, place_of(kubelet.cluster_dns_server.as_ref(), path));
        let path = "services.kubelet.cluster_domain";
        self.set("cluster_domain", cluster.cluster_domain(), place_of(kubelet.cluster_domain.as_ref(), path));
        let path = "services.kubelet.fail_swap_on";
        let fail_swap_on = kubelet.fail_swap_on.unwrap_or(false).to_string();
        self.set("fail_swap_on", fail_swap_on, place_of(kubelet.fail_swap_on.as_ref(), path));
        let pause = cluster.images.of("pod_infra_container");
        self.set_if(
            "pause_image",
            pause.map(|pause| pause.image.to_string()),
            pause.and_then(|pause| pause.origin.clone()),
        );
    }

    fn apiserver(&mut self, cluster: &Cluster<'_>) {
        let api = &cluster.spec.services.kube_api;
        let ports =
            api.service_node_port_range.map_or_else(|| "30000-32767".to_owned(), |range| range.to_string());
        let path = "services.kube-api.service_node_port_range";
        self.set("node_port_range", ports, place_of(api.service_node_port_range.as_ref(), path));
        let pulls = api.always_pull_images.unwrap_or(false);
        let limits = api.event_rate_limit.as_ref().and_then(|limit| limit.enabled).unwrap_or(false);
        let policies = api.pod_security_policy.unwrap_or(false) && !cluster.images.version.at_least(1, 25);
        let more: String =
            [(policies, ",PodSecurityPolicy"), (pulls, ",AlwaysPullImages"), (limits, ",EventRateLimit")]
                .iter()
                .filter(|(on, _)| *on)
                .map(|(_, name)| *name)
                .collect();
        let origin = place_of(api.always_pull_images.as_ref(), "services.kube-api.always_pull_images")
            .or(place_of(api.event_rate_limit.as_ref(), "services.kube-api.event_rate_limit"))
            .or(place_of(api.pod_security_policy.as_ref(), "services.kube-api.pod_security_policy"));
        self.set("more_admission_plugins", more, origin);

        let issuer = cluster.spec.windlass.token_issuer.as_ref();
        self.set("token_issuer", cluster.token_issuer(), place_of(issuer, "windlass.token_issuer"));
        let webhook = cluster.spec.authentication.webhook.as_ref();
        let ttl = webhook.and_then(|webhook| webhook.cache_timeout.as_ref());
        let path = "authentication.webhook.cache_timeout";
        self.set("webhook_cache_ttl", ttl.map_or("5s", String::as_str), place_of(ttl, path));

        let log = api.audit_log.clone().unwrap_or_default();
        // The numbers have RKE's defaults only where `configuration` is absent as a whole; else those of
        // Kubernetes, which keep everything.
        for (name, given, default, key) in [
            ("audit_log_max_age", log.max_age, "30", "max_age"),
            ("audit_log_max_backup", log.max_backup, "10", "max_backup"),
            ("audit_log_max_size", log.max_size, "100", "max_size"),
        ] {
            let default = (!log.has_configuration).then(|| default.to_owned());
            let text = given.map(|number| number.to_string()).or(default);
            self.set_if(name, text, place_of(given.as_ref(), &audit_path(key)));
        }
        for (name, given, default, key) in [
            ("audit_log_path", &log.path, "/var/log/kube-audit/audit-log.json", "path"),
            ("audit_log_format", &log.format, "json", "format"),
        ] {
            let text = given.clone().unwrap_or_else(|| default.to_owned());
            self.set(name, text, place_of(given.as_ref(), &audit_path(key)));
        }
    }

    fn cloud_and_etcd(&mut self, cluster: &Cluster<'_>) {
        let cloud = cluster.spec.cloud_provider.as_ref();
        let name = cloud.map_or("", cloud::flag_of);
        self.set("cloud_provider", name, place_of(cloud, "cloud_provider.name"));
        let etcd = &cluster.spec.services.etcd;
        let prefix = etcd.path.as_ref().filter(|_| cluster.has(Feature::ExternalEtcd));
        self.set(
            "etcd_prefix",
            prefix.map_or("/registry", String::as_str),
            place_of(prefix, "services.etcd.path"),
        );
    }

    fn snapshots(&mut self, cluster: &Cluster<'_>) {
        const HOUR: u64 = 3_600;
        let etcd = &cluster.spec.services.etcd;
        let (every, keep, every_place, keep_place) = if let Some(backup) = &etcd.backup_config {
            (
                u64::from(backup.interval_hours.unwrap_or(12)) * HOUR,
                u64::from(backup.retention.unwrap_or(6)),
                place_of(backup.interval_hours.as_ref(), "services.etcd.backup_config.interval_hours"),
                place_of(backup.retention.as_ref(), "services.etcd.backup_config.retention"),
            )
        } else {
            let every = etcd.creation.map_or(12 * HOUR, |creation| creation.as_secs()).max(1);
            let retention = etcd.retention.map_or(72 * HOUR, |retention| retention.as_secs());
            (
                every,
                (retention / every).max(1),
                place_of(etcd.creation.as_ref(), "services.etcd.creation"),
                place_of(etcd.retention.as_ref(), "services.etcd.retention"),
            )
        };
        self.set("snapshot_every", span(Duration::from_secs(every)), every_place);
        self.set("snapshot_keep", keep.to_string(), keep_place);
    }
}

fn audit_path(key: &str) -> String {
    format!("services.kube-api.audit_log.configuration.{key}")
}

fn joined(ranges: &[Cidr]) -> String {
    ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A duration in the largest unit that leaves no rest.
fn span(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// The values of one node.
#[derive(Clone, Debug)]
pub(crate) struct NodeValues {
    node: String,
    internal_host: String,
    advertise_address: Option<String>,
    node_ip: Option<String>,
    internal_ip: Option<String>,
    etcd_listen: String,
    etcdctl_host: String,
    etcd_servers: Option<String>,
    etcd_unsupported_arch: Option<&'static str>,
    register_with_taints: Option<&'static str>,
    cgroup_driver: String,
    resolv_conf: String,
    docker_root: String,
}

impl NodeValues {
    pub(crate) fn new(name: &NodeName, node: &Member<'_>, facts: &HostFacts, cluster: &Cluster<'_>) -> Self {
        let internal = node.spec.internal_address();
        let is_address = internal.parse::<IpAddr>().is_ok();
        // A machine with one address alone may reach itself by others too: it listens on all.
        let listens_on_all = internal == node.spec.address;
        let host = node.url_host();
        let alone_on_control_plane = node.has(Role::ControlPlane) && !node.has(Role::Worker);
        Self {
            node: name.to_string(),
            advertise_address: is_address.then(|| internal.to_owned()),
            internal_ip: is_address.then(|| internal.to_owned()),
            // Whoever names it means it, also where it is the address: a machine may have others.
            node_ip: (is_address && node.spec.internal_address.is_some()).then(|| internal.to_owned()),
            etcd_listen: if listens_on_all { "0.0.0.0".to_owned() } else { host.clone() },
            etcdctl_host: if listens_on_all { "127.0.0.1".to_owned() } else { host.clone() },
            etcd_servers: node.has(Role::ControlPlane).then(|| etcd_servers(name, cluster)),
            etcd_unsupported_arch: (facts.architecture == "aarch64").then_some("arm64"),
            // The taint of etcd-only nodes waits for the API, as in RKE 1.
            register_with_taints: alone_on_control_plane
                .then_some("node-role.kubernetes.io/controlplane=true:NoSchedule"),
            cgroup_driver: facts.cgroup_driver.to_string(),
            resolv_conf: facts.resolv_conf.to_string(),
            docker_root: facts.docker_root.to_string(),
            internal_host: host,
        }
    }

    /// The value of this name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match name {
            "node" => Some(&self.node),
            "internal_host" => Some(&self.internal_host),
            "advertise_address" => self.advertise_address.as_deref(),
            "node_ip" => self.node_ip.as_deref(),
            "internal_ip" => self.internal_ip.as_deref(),
            "etcd_listen" => Some(&self.etcd_listen),
            "etcdctl_host" => Some(&self.etcdctl_host),
            "etcd_servers" => self.etcd_servers.as_deref(),
            "etcd_unsupported_arch" => self.etcd_unsupported_arch,
            "register_with_taints" => self.register_with_taints,
            "cgroup_driver" => Some(&self.cgroup_driver),
            "resolv_conf" => Some(&self.resolv_conf),
            "docker_root" => Some(&self.docker_root),
            _ => None,
        }
    }

    /// Whether nodes have a value of this name, and whether it comes from cluster.yml or from the machine.
    pub(crate) fn source(name: &str) -> Option<Source> {
        match name {
            "node"
            | "internal_host"
            | "advertise_address"
            | "node_ip"
            | "internal_ip"
            | "etcd_listen"
            | "etcdctl_host"
            | "etcd_servers"
            | "register_with_taints" => Some(Source::Spec),
            "cgroup_driver" | "resolv_conf" | "docker_root" | "etcd_unsupported_arch" => {
                Some(Source::Machine)
            }
            _ => None,
        }
    }
}

/// Where a value of a node comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `nodes` in cluster.yml.
    Spec,
    /// The machine itself.
    Machine,
}

/// All members of etcd: the node's own first, so that it is preferred, then the others by name.
fn etcd_servers(name: &NodeName, cluster: &Cluster<'_>) -> String {
    let external = &cluster.spec.services.etcd.external_urls;
    if !external.is_empty() {
        return external.join(",");
    }
    let (own, others): (Vec<_>, Vec<_>) =
        cluster.with_role(Role::Etcd).partition(|(other, _)| *other == name);
    let urls: Vec<String> =
        own.into_iter().chain(others).map(|(_, node)| format!("https://{}:2379", node.url_host())).collect();
    urls.join(",")
}
