//! Reads the top level, section by section, and checks what concerns several sections at once.

use std::collections::BTreeMap;

use windlass_model::{KubernetesVersion, Role};

use super::nodes::Members;
use super::versions::newest_version;
use super::{access, addons, cloud, nodes, ranges, services, upgrade, windlass};
use crate::conform::brief;
use crate::path::Path;
use crate::report::Reports;
use crate::schema;
use crate::spec::{ClusterSpec, NetworkPlugin};
use crate::view::View;

/// Reads everything that takes effect, as far as it can be read; nothing comes back if its version cannot.
pub(super) fn cluster(top: View<'_, '_>, reports: &mut Reports<'_>) -> Option<ClusterSpec> {
    let key = |name| Path::Key(&Path::Top, name);
    let services = services::services(top.section("services", &key("services")), reports);
    let is_external = !services.etcd.external_urls.is_empty();
    let members = if is_external { Members::External } else { Members::OfNodes };
    let spec = ClusterSpec {
        cluster_name: top.string("cluster_name"),
        kubernetes_version: kubernetes_version(top, reports),
        nodes: nodes::nodes(top, members, reports),
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
        manifests: addons::manifests(top, reports),
        addons_include: top.strings("addons_include"),
        addon_job_timeout: services::count(top, "addon_job_timeout", reports).filter(|seconds| *seconds > 0),
        windlass: windlass::windlass(top.section("windlass", &key("windlass")), reports),
    };
    nodes::key_path(top, reports);
    check_etcd(&spec, top, reports);
    check_version(&spec, top, reports);
    ranges::check(&spec, top, reports);
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
            let with_v = format!("v{}", text.trim_start_matches('V'));
            let is_dash = |letter: char| matches!(letter, '\u{2010}'..='\u{2015}' | '\u{2212}');
            let plain = text.trim().replace(is_dash, "-");
            if plain != text && plain.parse::<KubernetesVersion>().is_ok() {
                let what =
                    if text.contains(is_dash) { "has dashes of print" } else { "has a blank beside it" };
                draft.help(format!("it {what}: write `{}`", brief(&plain)));
            } else if with_v.parse::<KubernetesVersion>().is_ok() {
                let how = if text.starts_with('V') { "write a small `v`" } else { "put a `v` before it" };
                draft.help(format!("{how}: `{}`", brief(&with_v)));
            } else if let Some(newest) = newest_version(text).filter(|_| text.contains('+')) {
                draft.help(format!(
                    "that is of another distribution; the newest of its minor version here is `{newest}`"
                ));
            } else if let Some(newest) = newest_version(text) {
                draft.help(format!("write all three numbers: the newest of them is `{newest}`"));
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
    } else if let Some(what) = misread_in_paths(text) {
        reports
            .error(
                top.path.key("prefix_path"),
                top.span_of("prefix_path"),
                format!("`prefix_path` has {what}, which Docker reads otherwise in a mount"),
            )
            .help("name a directory without it");
    }
    Some(text.to_owned())
}

/// What in the path would make another mount than is meant, or lead elsewhere.
fn misread_in_paths(path: &str) -> Option<&'static str> {
    if path.contains(':') {
        Some("a colon")
    } else if path.contains(',') {
        Some("a comma")
    } else if path.split('/').any(|part| part == "..") {
        Some("the part `..`")
    } else if path.chars().any(char::is_control) {
        Some("a control character")
    } else {
        None
    }
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
