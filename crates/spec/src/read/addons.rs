//! Reads what becomes objects in the cluster: `network`, `dns`, `ingress` and `monitoring`.

use windlass_model::Secret;

use super::manifests::{objects, within};
use super::scheduling::{self, Refusal};
use super::services::{count, texts_map};
use super::whole::{all, whole};
use crate::conform::brief;
use crate::nearest::nearest;
use crate::report::{Draft, Reports};
use crate::schema::{ACI_NEEDED, ACI_REFUSED, DNS, INGRESS, MONITORING, NETWORK, NODELOCAL};
use crate::spec::{
    DnsSpec, IngressSpec, Manifest, MonitoringSpec, NetworkPlugin, NetworkSpec, NodeLocalDnsSpec,
};
use crate::view::{View, text_of};

pub(super) fn network(view: View<'_, '_>, reports: &mut Reports<'_>) -> NetworkSpec {
    let plugin = plugin(view, reports);
    of_another_plugin(plugin.unwrap_or(NetworkPlugin::Canal), view, reports);
    section_of_another_plugin(plugin.unwrap_or(NetworkPlugin::Canal), view, reports);
    let is_deployed = plugin != Some(NetworkPlugin::None);
    scheduling::check(view, Refusal { is_certain: is_deployed }, reports);
    let provider = |section: &str, name: &str| {
        let path = view.path.key(section);
        view.section(section, &path).string(name)
    };
    if plugin == Some(NetworkPlugin::Aci) {
        check_aci(view, reports);
    }
    NetworkSpec {
        plugin,
        options: view.text_map("options"),
        mtu: count(view, "mtu", reports).filter(|mtu| *mtu > 0),
        node_selector: view.text_map("node_selector"),
        update_strategy: whole(view, NETWORK, "update_strategy"),
        tolerations: all(view, NETWORK, "tolerations"),
        calico_cloud_provider: provider("calico_network_provider", "cloudprovider"),
        canal_iface: provider("canal_network_provider", "iface"),
        flannel_iface: provider("flannel_network_provider", "iface"),
        weave_password: provider("weave_network_provider", "password").map(Secret::new),
        aci: whole(view, NETWORK, "aci_network_provider").map(Secret::new),
    }
}

fn plugin(view: View<'_, '_>, reports: &mut Reports<'_>) -> Option<NetworkPlugin> {
    let text = view.text("plugin")?;
    let plugin = NetworkPlugin::ALL.into_iter().find(|(word, _)| *word == text);
    if plugin.is_none() {
        let summary = format!("unknown network plugin `{}`", brief(text));
        let draft = reports.error(view.path.key("plugin"), view.span_of("plugin"), summary);
        match nearest(text, NetworkPlugin::ALL.map(|(word, _)| word)) {
            Some(near) => draft.help(format!("did you mean `{near}`?")),
            None => draft.help("the plugins are canal, flannel, calico, weave, aci and none"),
        };
    }
    plugin.map(|(_, plugin)| plugin)
}

/// Options that the manifest of the plugin does not read, because they are another one's.
fn of_another_plugin(plugin: NetworkPlugin, view: View<'_, '_>, reports: &mut Reports<'_>) {
    if plugin == NetworkPlugin::None {
        return;
    }
    let path = view.path.key("options");
    let owner = |option: &str| {
        let first =
            option.strip_prefix("kube_").unwrap_or(option).split('_').next().unwrap_or_default().to_owned();
        NetworkPlugin::ALL.into_iter().find(|(word, _)| *word == first).map(|(_, plugin)| plugin)
    };
    let options = view.names("options").iter();
    // What no plugin reads is reported as unknown.
    let options = options.filter(|entry| crate::schema::is_network_option(&entry.key));
    let others = options.filter(|entry| owner(&entry.key).is_some_and(|owner| owner != plugin));
    let others: Vec<_> =
        others.filter(|entry| text_of(&entry.value).is_some_and(|text| !text.is_empty())).collect();
    let Some((first, rest)) = others.split_first() else { return };
    let suffix = |option: &str| option.split_once('_').map_or(String::new(), |(_, rest)| rest.to_owned());
    let own = |option: &str| {
        [format!("{}_{option}", plugin.as_str()), format!("{}_{}", plugin.as_str(), suffix(option))]
            .into_iter()
            .find(|name| crate::schema::is_network_option(name))
    };
    let draft = reports.warning(
        path.key(&first.key),
        first.key_span,
        format!("`{}` has no effect: the plugin is {}", first.key, plugin.as_str()),
    );
    match own(&first.key) {
        Some(own) => draft.help(format!("did you mean `{own}`?")),
        None => draft.help("remove it, or choose the plugin that it belongs to"),
    };
    if !rest.is_empty() {
        let names: Vec<String> = rest.iter().map(|entry| format!("`{}`", entry.key)).collect();
        draft.note(format!("the same is so of {}", names.join(", ")));
    }
}

/// The section of a plugin: of another one, or beside an option that counts in its place.
fn section_of_another_plugin(plugin: NetworkPlugin, view: View<'_, '_>, reports: &mut Reports<'_>) {
    for (word, owner) in NetworkPlugin::ALL {
        let name = format!("{word}_network_provider");
        let path = view.path.key(&name);
        let has_text =
            view.names(&name).iter().any(|entry| text_of(&entry.value).is_some_and(|text| !text.is_empty()));
        if !has_text || plugin == NetworkPlugin::None {
            continue;
        }
        let span = view.key(&name).map_or(view.span, |entry| entry.key_span);
        if owner != plugin {
            reports
                .warning(path, span, format!("`{name}` has no effect: the plugin is {}", plugin.as_str()))
                .help("remove it, or choose the plugin that it belongs to");
            continue;
        }
        let own = view.section(&name, &path);
        let options = view.path.key("options");
        let options = view.section("options", &options);
        for (key, option) in
            [("iface", format!("{word}_iface")), ("cloudprovider", format!("{word}_cloud_provider"))]
        {
            let (Some(theirs), Some(counts)) = (own.text(key), options.text(&option)) else { continue };
            if theirs != counts {
                reports
                    .warning(
                        path.key(key),
                        own.span_of(key),
                        format!("`{key}` has no effect: `options.{option}` counts, and is {}", brief(counts)),
                    )
                    .help("write it once");
            }
        }
    }
}

/// What RKE 1 demanded and refused of Cisco ACI.
fn check_aci(network: View<'_, '_>, reports: &mut Reports<'_>) {
    let path = network.path.key("aci_network_provider");
    let view = network.section("aci_network_provider", &path);
    let lacking: Vec<String> = ACI_NEEDED
        .iter()
        .filter(|name| view.text(name).is_none() && view.texts(name).is_empty())
        .map(|name| format!("`{name}`"))
        .collect();
    if !lacking.is_empty() {
        let summary = format!("the network plugin aci needs {}", lacking.join(", "));
        let place = network.span_of(if network.entry("aci_network_provider").is_some() {
            "aci_network_provider"
        } else {
            "plugin"
        });
        reports.error(path, place, summary).help("give them under `network.aci_network_provider`");
    }
    for name in ACI_REFUSED {
        if view.text(name).is_some_and(|text| text != "false") {
            reports
                .error(path.key(name), view.span_of(name), format!("`{name}` cannot be set"))
                .note("it belongs to the fabric of a cloud, which RKE 1 did not support")
                .help("remove it");
        }
    }
}

pub(super) fn dns(view: View<'_, '_>, reports: &mut Reports<'_>) -> DnsSpec {
    let nodelocal = view.path.key("nodelocal");
    scheduling::check(view, Refusal { is_certain: false }, reports);
    DnsSpec {
        provider: view.text("provider").map(|word| taken(word, &["coredns", "kube-dns", "none"], "none")),
        options: view.text_map("options"),
        upstream_nameservers: view.strings("upstreamnameservers"),
        reverse_cidrs: view.strings("reversecidrs"),
        stub_domains: texts_map(view, "stubdomains"),
        node_selector: view.text_map("node_selector"),
        node_local: node_local(view.section("nodelocal", &nodelocal), reports),
        update_strategy: whole(view, DNS, "update_strategy"),
        linear_autoscaler_params: whole(view, DNS, "linear_autoscaler_params"),
        tolerations: all(view, DNS, "tolerations"),
    }
}

/// One of these words, or what RKE 1 took any other for.
fn taken(word: &str, words: &[&str], otherwise: &str) -> String {
    if words.contains(&word) { word.to_owned() } else { otherwise.to_owned() }
}

fn node_local(view: View<'_, '_>, reports: &mut Reports<'_>) -> Option<NodeLocalDnsSpec> {
    scheduling::check(view, Refusal { is_certain: false }, reports);
    let ip_address = view.string("ip_address")?;
    if ip_address.parse::<std::net::IpAddr>().is_err() {
        // RKE 1 went on where the cache of names could not be deployed.
        reports
            .warning(
                view.path.key("ip_address"),
                view.span_of("ip_address"),
                format!("`{}` is no IP address", brief(&ip_address)),
            )
            .help("the usual one is 169.254.20.10");
    }
    Some(NodeLocalDnsSpec {
        ip_address,
        update_strategy: whole(view, NODELOCAL, "update_strategy"),
        node_selector: view.text_map("node_selector"),
        priority_class_name: view.string("node_local_dns_priority_class_name"),
    })
}

pub(super) fn ingress(view: View<'_, '_>, reports: &mut Reports<'_>) -> IngressSpec {
    // RKE 1 looked at the ports only where it opened them; without a word on it that depended on the version.
    let mode = view.text("network_mode").filter(|_| view.text("provider") != Some("none"));
    let opens = Opens { certain: mode == Some("hostPort") };
    scheduling::check(view, Refusal { is_certain: false }, reports);
    let (plain, encrypted) =
        (port(view, "http_port", opens, reports), port(view, "https_port", opens, reports));
    if plain.unwrap_or(80) == encrypted.unwrap_or(443)
        && !matches!(view.text("network_mode"), Some("hostNetwork" | "none"))
    {
        let name = if encrypted.is_some() { "https_port" } else { "http_port" };
        opens
            .tell(view, name, "HTTP and HTTPS share a port".to_owned(), reports)
            .note("they are 80 and 443 where the file is silent")
            .help("give each a port of its own");
    }
    IngressSpec {
        provider: view.string("provider"),
        options: view.text_map("options"),
        node_selector: view.text_map("node_selector"),
        extra_args: view.text_map("extra_args"),
        dns_policy: view.string("dns_policy"),
        extra_envs: all(view, INGRESS, "extra_envs"),
        extra_volumes: all(view, INGRESS, "extra_volumes"),
        extra_volume_mounts: all(view, INGRESS, "extra_volume_mounts"),
        update_strategy: whole(view, INGRESS, "update_strategy"),
        http_port: plain,
        https_port: encrypted,
        network_mode: view.string("network_mode"),
        tolerations: all(view, INGRESS, "tolerations"),
        default_backend: view.flag("default_backend"),
        default_backend_priority_class_name: view.string("default_http_backend_priority_class_name"),
        controller_priority_class_name: view.string("nginx_ingress_controller_priority_class_name"),
        default_ingress_class: view.flag("default_ingress_class"),
    }
}

/// Whether the ports of the ingress controller are opened on the node for certain.
#[derive(Clone, Copy)]
struct Opens {
    certain: bool,
}

impl Opens {
    fn tell<'r>(
        self,
        view: View<'_, '_>,
        name: &str,
        summary: String,
        reports: &'r mut Reports<'_>,
    ) -> &'r mut Draft {
        let (path, span) = (view.path.key(name), view.span_of(name));
        if self.certain { reports.error(path, span, summary) } else { reports.warning(path, span, summary) }
    }
}

/// A port where zero means that the file is silent, as it did in RKE 1.
fn port(view: View<'_, '_>, name: &str, opens: Opens, reports: &mut Reports<'_>) -> Option<u16> {
    let number = view.integer(name)?;
    let port = u16::try_from(number).ok();
    if port.is_none() {
        opens
            .tell(view, name, format!("{number} is no port"), reports)
            .help("a port is a number from 1 to 65535");
    }
    port.filter(|port| *port > 0)
}

/// The objects of `addons`; what is wrong with them is reported at its line.
pub(super) fn manifests(top: View<'_, '_>, reports: &mut Reports<'_>) -> Vec<Manifest> {
    let Some(text) = top.text("addons") else { return Vec::new() };
    let span = top.span_of("addons");
    let (objects, flaws) = objects(text);
    for flaw in flaws {
        let place = reports.within(span, text, flaw.at);
        let summary = match place {
            Some(_) => flaw.summary,
            None => format!("line {} of the text: {}", flaw.line, flaw.summary),
        };
        reports.error("addons", place.unwrap_or(span), summary).help(flaw.help);
    }
    let manifest = |(body, at)| {
        let line = reports.within(span, text, at).map(|place| reports.line_of(place));
        Manifest { body: Secret::new(body), from: within(line, text, at), path: "addons".to_owned() }
    };
    objects.into_iter().map(manifest).collect()
}

/// RKE 1 went on where metrics-server could not be deployed.
fn replicas(view: View<'_, '_>, reports: &mut Reports<'_>) -> Option<u32> {
    let number = view.integer("replicas")?;
    let replicas = u32::try_from(number).ok();
    if replicas.is_none() {
        reports
            .warning(
                view.path.key("replicas"),
                view.span_of("replicas"),
                format!("{number} is no number of replicas"),
            )
            .help("write 1 or a greater number");
    }
    replicas
}

pub(super) fn monitoring(view: View<'_, '_>, reports: &mut Reports<'_>) -> MonitoringSpec {
    scheduling::check(view, Refusal { is_certain: false }, reports);
    MonitoringSpec {
        provider: view
            .text("provider")
            .map(|word| taken(word, &["metrics-server", "none"], "metrics-server")),
        options: view.text_map("options"),
        node_selector: view.text_map("node_selector"),
        update_strategy: whole(view, MONITORING, "update_strategy"),
        replicas: replicas(view, reports),
        tolerations: all(view, MONITORING, "tolerations"),
        priority_class_name: view.string("metrics_server_priority_class_name"),
    }
}
