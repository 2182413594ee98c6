//! Reads the top level, section by section, and checks what concerns several sections at once.

use std::collections::BTreeMap;

use windlass_model::{KubernetesVersion, Role};

use super::{access, addons, cloud, nodes, services, upgrade, windlass};
use crate::conform::brief;
use crate::path::Path;
use crate::report::Reports;
use crate::schema;
use crate::spec::{Cidr, ClusterSpec, NetworkPlugin};
use crate::view::View;

/// Reads everything that takes effect, as far as it can be read; nothing comes back if its version cannot.
pub(super) fn cluster(top: View<'_, '_>, reports: &mut Reports<'_>) -> Option<ClusterSpec> {
    let key = |name| Path::Key(&Path::Top, name);
    let services = services::services(top.section("services", &key("services")), reports);
    let has_external_etcd = !services.etcd.external_urls.is_empty();
    let spec = ClusterSpec {
        cluster_name: top.string("cluster_name"),
        kubernetes_version: kubernetes_version(top, reports),
        nodes: nodes::nodes(top, has_external_etcd, reports),
        services,
        network: addons::network(top.section("network", &key("network")), reports),
        authentication: access::authentication(
            top.section("authentication", &key("authentication")),
            reports,
        ),
        authorization: access::authorization(top.section("authorization", &key("authorization"))),
        system_images: system_images(top),
        private_registries: access::registries(top),
        prefix_path: prefix_path(top, reports),
        upgrade_strategy: upgrade::upgrade_strategy(
            top.section("upgrade_strategy", &key("upgrade_strategy")),
            reports,
        ),
        ssh_key_path: top.string("ssh_key_path"),
        ssh_cert_path: top.string("ssh_cert_path"),
        ssh_agent_auth: top.flag("ssh_agent_auth"),
        bastion_host: access::bastion(top.section("bastion_host", &key("bastion_host")), reports),
        enable_cri_dockerd: top.flag("enable_cri_dockerd"),
        cri_dockerd_stream_server_address: stream_address(top, reports),
        cri_dockerd_stream_server_port: nodes::port_at(top, "cri_dockerd_stream_server_port", reports),
        cloud_provider: cloud::cloud_provider(top.section("cloud_provider", &key("cloud_provider")), reports),
        dns: addons::dns(top.section("dns", &key("dns")), reports),
        ingress: addons::ingress(top.section("ingress", &key("ingress")), reports),
        monitoring: addons::monitoring(top.section("monitoring", &key("monitoring")), reports),
        addons: top.string("addons"),
        addons_include: top.strings("addons_include"),
        addon_job_timeout: services::count(top, "addon_job_timeout", reports).filter(|seconds| *seconds > 0),
        windlass: windlass::windlass(top.section("windlass", &key("windlass")), reports),
    };
    check_etcd(&spec, top, reports);
    check_version(&spec, top, reports);
    check_ranges(&spec, top, reports);
    check_families(&spec, top, reports);
    check_nodes_in_ranges(&spec, top, reports);
    check_encryption(&spec, top, reports);
    let is_of_its_version = spec.kubernetes_version.is_some() || top.text("kubernetes_version").is_none();
    is_of_its_version.then_some(spec)
}

fn kubernetes_version(top: View<'_, '_>, reports: &mut Reports<'_>) -> Option<KubernetesVersion> {
    const NAME: &str = "kubernetes_version";
    let text = top.text(NAME)?;
    let suffix_is_plain = |version: &KubernetesVersion| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-.+".contains(letter);
        version.suffix.chars().all(plain) && version.to_string() == text
    };
    match text.parse::<KubernetesVersion>() {
        Ok(version) if suffix_is_plain(&version) => Some(version),
        _ => {
            let summary = format!("`{}` is no Kubernetes version", brief(text));
            let draft = reports.error(top.path.key(NAME), top.span_of(NAME), summary);
            let with_v = format!("v{text}");
            if with_v.parse::<KubernetesVersion>().is_ok() {
                draft.help(format!("put a `v` before it: `{}`", brief(&with_v)));
            } else {
                draft.help("write all three numbers, as in `v1.20.2` or `v1.20.15-rancher2-2`");
            }
            None
        }
    }
}

fn stream_address(top: View<'_, '_>, reports: &mut Reports<'_>) -> Option<String> {
    const NAME: &str = "cri_dockerd_stream_server_address";
    let text = top.string(NAME)?;
    nodes::flaw(top, NAME, &text, super::syntax::address, reports);
    Some(text)
}

fn system_images(top: View<'_, '_>) -> BTreeMap<String, String> {
    let path = top.path.key("system_images");
    let images = top.section("system_images", &path).text_map_of_all();
    let is_known = |name: &str| schema::SYSTEM_IMAGES.iter().any(|key| key.name == name && key.is_current());
    images.into_iter().filter(|(name, image)| !image.is_empty() && is_known(name)).collect()
}

fn prefix_path(top: View<'_, '_>, reports: &mut Reports<'_>) -> Option<String> {
    let text = top.text("prefix_path")?;
    if !text.starts_with('/') {
        reports
            .error(
                top.path.key("prefix_path"),
                top.span_of("prefix_path"),
                "`prefix_path` is no absolute path",
            )
            .help("begin it with `/`");
    }
    Some(text.to_owned())
}

fn check_etcd(spec: &ClusterSpec, top: View<'_, '_>, reports: &mut Reports<'_>) {
    let is_external = !spec.services.etcd.external_urls.is_empty();
    if is_external && let Some(node) = spec.nodes.iter().find(|node| node.role.contains(&Role::Etcd)) {
        let services = top.path.key("services");
        let services = top.section("services", &services);
        let etcd = services.path.key("etcd");
        let etcd = services.section("etcd", &etcd);
        let summary = "an external etcd, and a node with the role etcd";
        reports
            .error(etcd.path.key("external_urls"), etcd.span_of("external_urls"), summary)
            .label(format!("node {} has the role etcd", brief(node.name().as_str())))
            .help("remove `external_urls`, or the role from every node");
    }
}

fn check_version(spec: &ClusterSpec, top: View<'_, '_>, reports: &mut Reports<'_>) {
    let Some(version) = &spec.kubernetes_version else { return };
    if spec.network.plugin == Some(NetworkPlugin::Weave) && version.at_least(1, 27) {
        let network = top.path.key("network");
        let view = top.section("network", &network);
        let (path, span) = (network.key("plugin"), view.span_of("plugin"));
        if version.at_least(1, 30) {
            reports
                .error(
                    path,
                    span,
                    format!("weave does not run with Kubernetes 1.30 and later, {version} too"),
                )
                .help("choose canal, calico or flannel");
        } else {
            reports.warning(path, span, "weave is deprecated").note("it does not run with Kubernetes 1.30");
        }
    }
}

/// What RKE 1 did not check: such a cluster comes up, and then its services are not reached.
fn check_ranges(spec: &ClusterSpec, top: View<'_, '_>, reports: &mut Reports<'_>) {
    let api = &spec.services.service_ranges();
    let controller = &spec.services.kube_controller.service_cluster_ip_range;
    let pods = &spec.services.pod_ranges();
    let services = top.path.key("services");
    let section = top.section("services", &services);
    // A range is at its key, or at the flag that stands for it.
    let place = |service: &'static str, name: &str| {
        let path = services.key(service);
        let service = section.section(service, &path);
        let args = path.key("extra_args");
        let flags = service.section("extra_args", &args);
        let flag = name.replace('_', "-");
        match flags.entry(&flag).filter(|_| service.text(name).is_none()) {
            Some(entry) => (args.key(&flag).to_string(), entry.span()),
            None => (path.key(name).to_string(), service.span_of(name)),
        }
    };
    if api.len() > 1 || pods.len() > 1 {
        let dual_stack = [NetworkPlugin::Calico, NetworkPlugin::Aci, NetworkPlugin::None];
        let plugin = spec.network.plugin.unwrap_or(NetworkPlugin::Canal);
        if !dual_stack.contains(&plugin) {
            let (path, span) = if pods.len() > 1 {
                place("kube-controller", "cluster_cidr")
            } else {
                place("kube-api", "service_cluster_ip_range")
            };
            reports
                .error(path, span, "two families of addresses need the network plugin calico or aci")
                .help("choose one of these under `network.plugin`, or give one range");
        }
    }
    if !api.is_empty() && !controller.is_empty() && api != controller {
        let (path, span) = place("kube-controller", "service_cluster_ip_range");
        let other = place("kube-api", "service_cluster_ip_range").1;
        let line = reports.line_of(other);
        reports
            .warning(path, span, "kube-controller and kube-api differ in `service_cluster_ip_range`")
            .label(format!("kube-api has {}, on line {line}", text(api)))
            .help("give both the same");
    }
    if let Some((one, other)) =
        pods.iter().find_map(|pod| Some((pod, api.iter().find(|range| range.overlaps(pod))?)))
    {
        let (path, span) = place("kube-controller", "cluster_cidr");
        reports
            .warning(path, span, format!("the pods' range {one} overlaps the services' range {other}"))
            .help("choose ranges that have no address in common");
    }
    let first = api.first().and_then(|range| range.nth(1));
    let dns = spec.services.kubelet.cluster_dns_server.as_deref();
    let dns = dns.and_then(|server| server.split(',').next()?.trim().parse().ok());
    if let Some(server) = dns.filter(|server| Some(*server) == first) {
        let (path, span) = place("kubelet", "cluster_dns_server");
        // RKE 1 went on where DNS could not be deployed.
        reports
            .warning(path, span, format!("{server} is the address of the API server's own Service"))
            .note("it is always the first of the services' range")
            .help("choose another address of the range, its tenth as a rule");
    }
    if let Some(server) = dns
        && !api.is_empty()
        && !api.iter().any(|range| range.contains(server))
    {
        let (path, span) = place("kubelet", "cluster_dns_server");
        reports
            .warning(path, span, format!("{server} is not in the services' range {}", text(api)))
            .note("the cluster's DNS is a service, so that no pod would reach it there")
            .help("choose an address of the range, its tenth as a rule");
    }
}

/// The API server ends where its own address is of another family than the first range of Services.
///
/// Source: `validatePublicIPServiceClusterIPRangeIPFamilies` in `cmd/kube-apiserver/app/options/validation.go` of
/// kubernetes/kubernetes, from 1.20 on.
fn check_families(spec: &ClusterSpec, top: View<'_, '_>, reports: &mut Reports<'_>) {
    let ranges = spec.services.service_ranges();
    let is_ipv4 = ranges.first().is_none_or(|range| range.address.is_ipv4());
    let list = top.path.key("nodes");
    for (index, entries, span) in top.items("nodes") {
        let path = list.item(index);
        let view = View::new(entries, span, &path);
        let name = if view.text("internal_address").is_some() { "internal_address" } else { "address" };
        let address: Option<std::net::IpAddr> = view.text(name).and_then(|text| text.parse().ok());
        let Some(address) = address.filter(|address| address.to_canonical().is_ipv4() != is_ipv4) else {
            continue;
        };
        let is_control_plane = view.text("role") == Some("controlplane")
            || view.texts("role").iter().any(|(_, role, _)| *role == "controlplane");
        if !is_control_plane {
            continue;
        }
        let (own, first) = if is_ipv4 { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
        let range = ranges.first().map_or_else(|| SERVICE_RANGE.to_owned(), ToString::to_string);
        reports
            .error(
                path.key(name),
                view.span_of(name),
                format!("an API server at the {own} address {address}, and Services in {range}"),
            )
            .label(format!("the first range of Services is {first}"))
            .help(format!(
                "the API server starts only where both are of one family: write the {own} range first in \
                 `service_cluster_ip_range` and `cluster_cidr`"
            ));
        // What is so of one is so of all.
        return;
    }
}

/// RKE 1's ranges where the file is silent.
const SERVICE_RANGE: &str = "10.43.0.0/16";
const POD_RANGE: &str = "10.42.0.0/16";

/// A node inside a range of the cluster's own is cut off from what is behind it.
fn check_nodes_in_ranges(spec: &ClusterSpec, top: View<'_, '_>, reports: &mut Reports<'_>) {
    let or = |ranges: &[Cidr], default: &str| {
        if ranges.is_empty() { default.parse().into_iter().collect() } else { ranges.to_vec() }
    };
    let services = or(&spec.services.service_ranges(), SERVICE_RANGE);
    let pods = or(&spec.services.pod_ranges(), POD_RANGE);
    let list = top.path.key("nodes");
    let mut told = 0;
    for (index, entries, span) in top.items("nodes") {
        let path = list.item(index);
        let view = View::new(entries, span, &path);
        for name in ["address", "internal_address"] {
            let Some(address) = view.text(name).and_then(|text| text.parse().ok()) else { continue };
            let within = |ranges: &[Cidr]| ranges.iter().find(|range| range.contains(address)).copied();
            let found = within(&services).map(|range| ("services'", range));
            if let Some((whose, range)) = found.or(within(&pods).map(|range| ("pods'", range)))
                && told < MAX_NODES_TOLD
            {
                told += 1;
                reports
                    .warning(
                        path.key(name),
                        view.span_of(name),
                        format!("{address} is in the {whose} range {range}"),
                    )
                    .note("pods will not reach this node by that address")
                    .help("choose another range, before the cluster is brought up");
            }
        }
    }
}

/// Of a whole network in the wrong range, a few nodes say enough.
const MAX_NODES_TOLD: usize = 3;

fn check_encryption(spec: &ClusterSpec, top: View<'_, '_>, reports: &mut Reports<'_>) {
    let Some(encryption) = &spec.services.kube_api.secrets_encryption else { return };
    if encryption.custom_config.is_some() && encryption.enabled != Some(true) {
        let services = top.path.key("services");
        let api = services.key("kube-api");
        let path = api.key("secrets_encryption_config");
        let view = top.section("services", &services);
        let view = view.section("kube-api", &api);
        let view = view.section("secrets_encryption_config", &path);
        reports
            .warning(
                path.key("custom_config"),
                view.span_of("custom_config"),
                "`custom_config` has no effect",
            )
            .note("Secrets are encrypted only with `enabled: true`")
            .help("write `enabled: true` beside it, or remove it");
    }
}

fn text(ranges: &[Cidr]) -> String {
    ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
