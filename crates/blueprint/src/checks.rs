//! What the file asks for in vain, or at its own risk: flags, labels and taints that windlass decides on, settings
//! that need another version, and what is not deployed yet.

use std::collections::BTreeSet;

use windlass_model::{Component, PodRuntime, SpecPath};
use windlass_spec::{AuthorizationMode, NetworkPlugin, PodSecurity, PortRange, ServiceSpec};

use crate::catalog::{Feature, Minor};
use crate::cluster::Cluster;
use crate::flags::{Fate, fate};
use crate::nodes::warn_of_reserved;
use crate::services::{name_of_flag, service_of};
use crate::values::ClusterValues;
use crate::{clouds, contradictions, flag_values, formats, mounts, named_files, places, proxies, registries};
use windlass_addons::{Problems, Severity};

pub(crate) fn check(cluster: &Cluster<'_>, problems: &mut Problems) {
    warn_of_reserved(cluster, problems);
    flags(cluster, problems);
    flag_values::together::check(cluster, problems);
    versions(cluster, problems);
    contradictions::check(cluster, problems);
    let values = ClusterValues::new(cluster, "");
    mounts::check(cluster, &values, problems);
    places::check(cluster, &values, problems);
    named_files::check(cluster, &values, problems);
    registries::check(cluster, problems);
    proxies::check(cluster, problems);
    names_of_nodes(cluster, problems);
    credentials(cluster, problems);
    doors(cluster, problems);
    windlass_addons::check(cluster.spec, &cluster.images.version, problems);
    not_deployed(cluster, problems);
}

/// Settings that let in anyone who knocks.
///
/// RKE 1 took them, and files that Rancher wrote have the first of them.
fn doors(cluster: &Cluster<'_>, problems: &mut Problems) {
    let authentication = &cluster.spec.authentication;
    let has_own = authentication.webhook.as_ref().is_some_and(|webhook| webhook.config_file.is_some());
    if cluster.has(Feature::Webhook) && !has_own {
        let is_named = authentication.strategy.iter().any(|strategy| strategy == "webhook");
        problems.warning(
            if is_named { "authentication.strategy" } else { "authentication.webhook" },
            "API servers ask http://127.0.0.1:6440 who the bearer of a token is, and believe every answer: anyone who opens \
             that port on a node of the control plane is an administrator"
                .to_owned(),
            Some(
                "write `strategy: x509` without `webhook`, or the kubeconfig of your own webhook under `webhook.config_file`"
                    .to_owned(),
            ),
        );
    }
    if cluster.spec.authorization == Some(AuthorizationMode::None) {
        problems.warning(
            "authorization.mode",
            "everybody who has any certificate or token of the cluster, each pod among them, may do everything: every word but \
             `rbac` means so, as in RKE 1"
                .to_owned(),
            Some("write `rbac`".to_owned()),
        );
    }
}

/// Flags by which the components find each other and their keys: with another value a cluster falls apart.
const OWN: [(Component, &[&str]); 6] = [
    (
        Component::Etcd,
        &[
            "name",
            "data-dir",
            "listen-client-urls",
            "listen-peer-urls",
            "advertise-client-urls",
            "initial-advertise-peer-urls",
            "trusted-ca-file",
            "cert-file",
            "key-file",
            "client-cert-auth",
            "peer-trusted-ca-file",
            "peer-cert-file",
            "peer-key-file",
            "peer-client-cert-auth",
        ],
    ),
    (
        Component::KubeApiserver,
        &[
            "bind-address",
            "secure-port",
            "client-ca-file",
            "etcd-cafile",
            "etcd-certfile",
            "etcd-keyfile",
            "etcd-prefix",
            "etcd-servers",
            "kubelet-client-certificate",
            "kubelet-client-key",
            "proxy-client-cert-file",
            "proxy-client-key-file",
            "requestheader-allowed-names",
            "requestheader-client-ca-file",
            "service-account-key-file",
            "service-account-signing-key-file",
            "service-cluster-ip-range",
            "service-node-port-range",
            "tls-cert-file",
            "tls-private-key-file",
            "authorization-mode",
            "encryption-provider-config",
            "cloud-provider",
            "cloud-config",
        ],
    ),
    (
        Component::KubeControllerManager,
        &[
            "kubeconfig",
            "root-ca-file",
            "service-account-private-key-file",
            "cluster-cidr",
            "service-cluster-ip-range",
            "cloud-provider",
            "cloud-config",
        ],
    ),
    (Component::KubeScheduler, &["kubeconfig"]),
    (
        Component::Kubelet,
        &[
            "client-ca-file",
            "kubeconfig",
            "hostname-override",
            "root-dir",
            "cluster-dns",
            "cluster-domain",
            "container-runtime-endpoint",
            "pod-infra-container-image",
            "cloud-provider",
            "cloud-config",
        ],
    ),
    (Component::KubeProxy, &["kubeconfig", "hostname-override", "cluster-cidr"]),
];

fn flags(cluster: &Cluster<'_>, problems: &mut Problems) {
    let values = ClusterValues::new(cluster, "");
    let mut overrides = Vec::new();
    for component in Component::ALL {
        let Some((service, path)) = service_of(component, cluster) else { continue };
        let names = service.extra_args.keys().map(|name| ("extra_args", name));
        let repeated = service.extra_args_array.keys().map(|name| ("extra_args_array", name));
        for (key, name) in names.chain(repeated) {
            let place = format!("{path}.{key}.{name}");
            let written = name;
            let name = &name_of_flag(component, name);
            let is_birth = component.nature().birth_flags.contains(&name.as_str());
            if is_lost(component, service, (key, written), &place, problems) {
                continue;
            }
            if !is_birth && !known(component, name, &place, cluster, problems) {
                continue;
            }
            if key == "extra_args_array" && service.extra_args.contains_key(name) {
                problems.warning(
                    &place,
                    format!("`{name}` is in `extra_args` too"),
                    Some(format!(
                        "{component} gets all values of both, that of `extra_args` first: write it once"
                    )),
                );
            }
            if !is_birth && has_flaw(component, service, (key, name), &place, cluster, problems) {
                continue;
            }
            overrides.extend(overridden(component, service, name, &place, cluster, &values));
        }
    }
    report_overrides(overrides, problems);
}

/// Whether the same flag stands in the section in another spelling, which counts; that one tells of it.
fn is_lost(
    component: Component,
    service: &ServiceSpec,
    (key, written): (&str, &String),
    place: &str,
    problems: &mut Problems,
) -> bool {
    // Of lists all values are given.
    if key != "extra_args" {
        return false;
    }
    let name = name_of_flag(component, written);
    let is_it = |other: &&String| name_of_flag(component, other) == name;
    let spellings: Vec<&String> = service.extra_args.keys().filter(is_it).collect();
    let Some((last, others)) = spellings.split_last().filter(|(_, others)| !others.is_empty()) else {
        return false;
    };
    if *last != written {
        return true;
    }
    let names: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
    let is = if names.len() == 1 { "is" } else { "are" };
    problems.warning(
        place,
        format!(
            "{} {is} the same flag: {component} gets the value of `{written}` alone",
            names.join(" and ")
        ),
        Some("write it once".to_owned()),
    );
    false
}

/// Reports a value that the component does not start with, if there is one.
fn has_flaw(
    component: Component,
    service: &ServiceSpec,
    (key, name): (&str, &str),
    place: &str,
    cluster: &Cluster<'_>,
    problems: &mut Problems,
) -> bool {
    let given =
        |(flag, value): (&String, &String)| (name_of_flag(component, flag) == name).then(|| value.clone());
    let values: Vec<String> = if key == "extra_args" {
        // Of two spellings the last counts.
        service.extra_args.iter().filter_map(given).next_back().into_iter().collect()
    } else {
        let lists = service.extra_args_array.iter().filter(|(flag, _)| name_of_flag(component, flag) == name);
        lists.flat_map(|(_, values)| values.clone()).collect()
    };
    for value in values {
        let Some(flaw) = flag_values::flaw(component, name, &value, minor_of(component, cluster)) else {
            continue;
        };
        let shown: String = value.trim_end().replace(['\n', '\r'], " ").chars().take(60).collect();
        let summary = format!("`--{name}={shown}` {}", flaw.what);
        match flaw.severity {
            Severity::Error => problems.error(place, summary, Some(flaw.help)),
            Severity::Warning => problems.warning(place, summary, Some(flaw.help)),
        }
        return true;
    }
    false
}

/// The minor version of a component, as far as it is known: that of Kubernetes, or of etcd.
fn minor_of(component: Component, cluster: &Cluster<'_>) -> Option<Minor> {
    if component == Component::Etcd {
        cluster.images.etcd.map(Minor::of_etcd)
    } else {
        Some(Minor::of(&cluster.images.version))
    }
}

/// A flag that takes the place of windlass' own.
struct Override {
    place: String,
    theirs: String,
    ours: String,
    help: String,
}

/// Says of each flag that takes the place of windlass' own; of the same in several components once.
fn report_overrides(overrides: Vec<Override>, problems: &mut Problems) {
    let mut reported: Vec<(Override, Vec<String>)> = Vec::new();
    for found in overrides {
        let same =
            reported.iter_mut().find(|(first, _)| first.theirs == found.theirs && first.help == found.help);
        match same {
            Some((_, places)) => places.push(found.place),
            None => reported.push((found, Vec::new())),
        }
    }
    for (Override { place, theirs, ours, help }, others) in reported {
        let also =
            if others.is_empty() { String::new() } else { format!("; so does `{}`", others.join("`, `")) };
        problems.warning(&place, format!("{theirs} overrides {ours}{also}"), Some(help));
    }
}

/// Warns of a flag that this version does not have.
fn known(
    component: Component,
    name: &str,
    place: &str,
    cluster: &Cluster<'_>,
    problems: &mut Problems,
) -> bool {
    let minor = minor_of(component, cluster);
    let version = if component == Component::Etcd {
        cluster.images.etcd.map(|etcd| etcd.to_string()).unwrap_or_default()
    } else {
        cluster.images.version.to_string()
    };
    let stops = format!("{component} does not start with a flag that it does not know");
    let blank = name.split_once(':').filter(|(flag, _)| fate(component, flag, minor) == Fate::Known);
    let (summary, help) = match fate(component, name, minor) {
        Fate::Known => return true,
        Fate::Unknown(_) if blank.is_some() => {
            let (flag, value) = blank.unwrap_or_default();
            (
                format!("{component} has no flag `{name}`"),
                format!("put a blank after the colon: `{flag}: {value}`"),
            )
        }
        Fate::Unknown(Some(near)) => {
            (format!("{component} has no flag `{name}`"), format!("did you mean `{near}`?"))
        }
        Fate::Unknown(None) => (
            format!("{component} has no flag `{name}` that windlass knows of"),
            format!("{stops}: look twice"),
        ),
        Fate::Removed(minor) => (
            format!("{component} has no flag `{name}` from {minor} on, and this is {version}"),
            format!("{stops}: take it out"),
        ),
        Fate::NotYet(minor) => (
            format!("{component} has the flag `{name}` from {minor} on, and this is {version}"),
            format!("{stops}: take it out"),
        ),
    };
    problems.warning(place, summary, Some(help));
    false
}

/// A flag that windlass sets for reasons of its own; the user's value counts.
fn overridden(
    component: Component,
    service: &ServiceSpec,
    name: &str,
    place: &str,
    cluster: &Cluster<'_>,
    values: &ClusterValues,
) -> Option<Override> {
    let is_own = OWN.iter().any(|(owner, names)| *owner == component && names.contains(&name));
    let key = contradictions::key_of(component, name, cluster.spec);
    let recipe = cluster.catalog.recipe(component).filter(|_| is_own || key.is_some())?;
    let flag = format!("--{name}");
    let entries = recipe.flags.iter().filter_map(|entry| entry.text_in(&cluster.setting()));
    let ours = entries.into_iter().find(|template| template.flag() == flag)?;
    let value = service.argument(name).map_or("", |argument| argument.value);
    let theirs = format!("`{flag}={value}`");
    let ours = ours
        .fill(|name| values.text(name))
        .map_or_else(|| format!("`{flag}` of each node"), |ours| format!("`{ours}`"));
    if ours == theirs || same_value(name, &ours, &theirs) {
        return None;
    }
    let found = |ours: String, help: String| {
        Some(Override { place: place.to_owned(), theirs: theirs.clone(), ours, help })
    };
    if let Some(key) = key.filter(|_| !is_own) {
        return found(format!("{ours}, which `{key}` asks for"), "keep one of the two".to_owned());
    }
    let help = advice(component, name, value)?;
    found(format!("windlass' own {ours}"), help)
}

/// Whether two arguments, between backquotes, mean the same in other spellings.
fn same_value(name: &str, ours: &str, theirs: &str) -> bool {
    let value = |text: &str| text.trim_matches('`').split_once('=').map(|(_, value)| value.to_owned());
    let (Some(ours), Some(theirs)) = (value(ours), value(theirs)) else { return false };
    match name {
        "service-node-port-range" => {
            let range = |text: &str| text.parse::<PortRange>().ok();
            range(&ours).is_some() && range(&ours) == range(&theirs)
        }
        "secure-port" => {
            let port = |text: &str| text.parse::<u16>().ok();
            port(&ours).is_some() && port(&ours) == port(&theirs)
        }
        "authorization-mode" => {
            let modes = |text: &str| text.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
            modes(&ours) == modes(&theirs)
        }
        _ => false,
    }
}

/// What to do about a flag that windlass sets itself; nothing where it is right as it is.
fn advice(component: Component, name: &str, value: &str) -> Option<String> {
    let advice = match (component, name) {
        // The usual way to a cloud provider that runs in the cluster.
        (_, "cloud-provider") if value == "external" => return None,
        (_, "cloud-provider" | "cloud-config") => {
            "write the provider under `cloud_provider`: all components that need it get it".to_owned()
        }
        (Component::KubeApiserver, "service-cluster-ip-range") => {
            "write it under `services.kube-api.service_cluster_ip_range`; two ranges with a comma".to_owned()
        }
        (Component::KubeControllerManager, "cluster-cidr" | "service-cluster-ip-range")
        | (Component::KubeProxy, "cluster-cidr") => {
            let key = name.replace('-', "_");
            format!("write it under `services.kube-controller.{key}`; two ranges with a comma")
        }
        // More modes than windlass' own take nothing away.
        (Component::KubeApiserver, "authorization-mode")
            if ["Node", "RBAC"].into_iter().all(|own| value.split(',').any(|mode| mode == own)) =>
        {
            return None;
        }
        (Component::KubeApiserver, "authorization-mode") => {
            "kubelets need `Node`, and windlass' own roles `RBAC`: keep both in the list, or take it out"
                .to_owned()
        }
        (Component::KubeApiserver, "service-node-port-range") => {
            "write it under `services.kube-api.service_node_port_range`".to_owned()
        }
        (Component::Kubelet, "cluster-dns" | "cluster-domain") => {
            let key = if name == "cluster-dns" { "cluster_dns_server" } else { "cluster_domain" };
            format!("write it under `services.kubelet.{key}`: DNS and certificates follow it")
        }
        (Component::Kubelet, "pod-infra-container-image") => {
            "write it under `system_images.pod_infra_container`".to_owned()
        }
        // What matters of it is where it is mounted from.
        (Component::Kubelet, "root-dir") | (Component::Etcd, "data-dir") => return None,
        _ => "the components find each other and their keys by it: take it out unless you know better"
            .to_owned(),
    };
    Some(advice)
}

fn versions(cluster: &Cluster<'_>, problems: &mut Problems) {
    const POD_SECURITY: &str = "services.kube-api.pod_security_configuration";
    let (spec, version) = (cluster.spec, &cluster.images.version);
    if spec.services.kube_api.pod_security == Some(PodSecurity::Restricted) {
        if !version.at_least(1, 23) {
            problems.error(
                POD_SECURITY,
                format!("pod security is configured from Kubernetes 1.23 on, and this is {version}"),
                Some("take the key out".to_owned()),
            );
        }
        if spec.authorization == Some(AuthorizationMode::None) {
            problems.error(
                POD_SECURITY,
                "pod security needs `authorization.mode: rbac`".to_owned(),
                Some("choose rbac, or take the key out".to_owned()),
            );
        }
    }
    pod_security_policies(cluster, problems);
    formats::check(cluster, problems);
    clouds::check(cluster, problems);
}

/// Pod security policies ended with 1.25; before, nothing starts where there is none that lets it in.
///
/// Source: <https://kubernetes.io/docs/concepts/security/pod-security-policy/>.
fn pod_security_policies(cluster: &Cluster<'_>, problems: &mut Problems) {
    const POLICY: &str = "PodSecurityPolicy";
    let (api, version) = (&cluster.spec.services.kube_api, &cluster.images.version);
    let is_gone = version.at_least(1, 25);
    // A list of the user's own may lack it, which is reported by itself.
    let lists = |flag: &str| {
        let own = api.service.argument(flag).filter(|list| list.section == "extra_args");
        own.is_none_or(|list| list.value.contains(POLICY))
    };
    let is_on = lists("enable-admission-plugins") && lists("admission-control");
    if api.pod_security_policy == Some(true) && (is_gone || is_on) {
        let (summary, help) = if is_gone {
            (
                format!(
                    "Kubernetes has no pod security policies from 1.25 on, and this is {version}: no effect"
                ),
                "take the key out; `pod_security_configuration` is what came after it",
            )
        } else {
            (
                "no pod starts before there is a policy that lets it in, and RKE 1's own is not yet deployed"
                    .to_owned(),
                "apply a PodSecurityPolicy, and roles that may use it, to the cluster yourself",
            )
        };
        problems.warning("services.kube-api.pod_security_policy", summary, Some(help.to_owned()));
    }
}

/// RKE 1 let the cloud name nodes; then windlass would know none of them.
fn names_of_nodes(cluster: &Cluster<'_>, problems: &mut Problems) {
    let cloud = cluster.spec.cloud_provider.as_ref();
    if cloud.and_then(|cloud| cloud.use_instance_metadata_hostname) == Some(true) {
        problems.warning(
            "cloud_provider.useInstanceMetadataHostname",
            "nodes are named by `hostname_override`, not by the cloud".to_owned(),
            Some(
                "give each node the name that the cloud has for it, such as its private DNS name".to_owned(),
            ),
        );
    }
}

fn credentials(cluster: &Cluster<'_>, problems: &mut Problems) {
    for (index, registry) in cluster.spec.private_registries.iter().enumerate() {
        if registry.ecr_credential_plugin.is_some() {
            problems.warning(
                &format!("private_registries[{index}].ecr_credential_plugin"),
                format!(
                    "windlass does not ask Amazon for credentials{}; kubelet does, by \
                     `docker-credential-ecr-login` on the node",
                    if registry.is_default { ": it cannot pull the system images from this registry" } else { "" }
                ),
                Some(
                    "give `user: AWS` and the `password` of `aws ecr get-login-password`, pull the system images \
                     from another registry, or load them onto the nodes beforehand"
                        .to_owned(),
                ),
            );
        }
    }
}

/// What RKE 1 deployed and this release does not, in one warning.
fn not_deployed(cluster: &Cluster<'_>, problems: &mut Problems) {
    let spec = cluster.spec;
    let mut missing = Vec::new();
    let mut place = SpecPath::from("");
    let mut miss = |what: String, at: Option<&str>| {
        missing.push(what);
        if let Some(at) = at.filter(|_| place.as_str().is_empty()) {
            place = at.into();
        }
    };
    let plugin = spec.network.plugin.unwrap_or(NetworkPlugin::Canal);
    let lacks_network = !matches!(plugin, NetworkPlugin::Flannel | NetworkPlugin::None);
    if lacks_network {
        miss(format!("the pod network {}", plugin.as_str()), spec.network.plugin.map(|_| "network.plugin"));
    }
    // Where somebody else brings the network, they may have brought the names of Services with it.
    if spec.dns.provider.is_none() && plugin != NetworkPlugin::Flannel {
        miss("coredns".to_owned(), None);
    }
    if let Some(provider) = windlass_addons::ingress_not_deployed(spec, &cluster.images.version) {
        miss(provider.to_owned(), spec.ingress.provider.as_ref().map(|_| "ingress.provider"));
    }
    if spec.monitoring.provider.is_none() && !windlass_addons::deploys_metrics(spec) {
        miss("metrics-server".to_owned(), None);
    }
    if let Some(local) = &spec.dns.node_local {
        miss(format!("the cache of names at {}", local.ip_address), Some("dns.nodelocal"));
    }
    let mut help = Vec::new();
    if !missing.is_empty() {
        help.push(
            "apply what you need of it yourself, and write `none` where a provider can be left out"
                .to_owned(),
        );
    }
    if lacks_network {
        help.push("the pod network that windlass deploys is flannel: `network.plugin: flannel`".to_owned());
    }
    if cluster.pod_runtimes().contains(&PodRuntime::CriDockerd) {
        let socket =
            if cluster.images.version.at_least(1, 24) { "cri-dockerd.sock" } else { "dockershim.sock" };
        missing.push("cri-dockerd".to_owned());
        help.push(format!(
            "run cri-dockerd, through which kubelet reaches Docker, on every node, with its socket at /var/run/{socket}, or \
             have pods run by the hosts' containerd: `windlass.pod_runtime: containerd`"
        ));
    }
    if !missing.is_empty() {
        let summary = format!("not yet deployed: {}", missing.join(", "));
        problems.warning(place.as_str(), summary, Some(help.join("; ")));
    }
}
