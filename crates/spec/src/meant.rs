//! What was meant by a key that its section does not know: one of its keys, or a place elsewhere.
//!
//! A hint is never worse than none. So a word is a misspelling of a key only where no word of its own in it says
//! something else (`flannel_image` is no `flannel_iface`), nothing is proposed that stands there already, and a name that
//! many sections have says nothing about where it belongs.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::nearest::nearest;
use crate::report::Draft;
use crate::schema::{self, CLUSTER, Key, SYSTEM_IMAGES, children};

/// How many sections are named.
const MOST_SECTIONS: usize = 3;

/// A name that more sections have says nothing about where it belongs.
const TELLING: usize = 2;

/// The names that things have elsewhere, by section, with the key that stands for each here.
const OTHER_NAMES: [(&str, &str, &str); 85] = [
    ("services", "kube-apiserver", "kube-api"),
    ("services", "apiserver", "kube-api"),
    ("services", "api-server", "kube-api"),
    ("services", "api", "kube-api"),
    ("services", "kubernetes-api", "kube-api"),
    ("services", "kubernetes-controller", "kube-controller"),
    ("services", "kubernetes-scheduler", "scheduler"),
    ("services", "kube-controller-manager", "kube-controller"),
    ("services", "controller-manager", "kube-controller"),
    ("services", "kube-scheduler", "scheduler"),
    ("services", "kube-proxy", "kubeproxy"),
    ("services", "proxy", "kubeproxy"),
    ("", "cni", "network"),
    ("", "version", "kubernetes_version"),
    ("", "kubernetes", "kubernetes_version"),
    ("", "k8s-version", "kubernetes_version"),
    ("", "name", "cluster_name"),
    ("", "hosts", "nodes"),
    ("", "registries", "private_registries"),
    ("", "images", "system_images"),
    ("", "bastion", "bastion_host"),
    ("", "addon", "addons"),
    ("", "enable-cri-docker", "enable_cri_dockerd"),
    ("", "cri-docker", "enable_cri_dockerd"),
    ("", "cri-dockerd", "enable_cri_dockerd"),
    ("nodes[]", "name", "hostname_override"),
    ("nodes[]", "node-name", "hostname_override"),
    ("nodes[]", "hostname", "hostname_override"),
    ("nodes[]", "ip", "address"),
    ("nodes[]", "host", "address"),
    ("nodes[]", "public-address", "address"),
    ("nodes[]", "external-address", "address"),
    ("nodes[]", "private-address", "internal_address"),
    ("nodes[]", "private-ip", "internal_address"),
    ("nodes[]", "internal-ip", "internal_address"),
    ("nodes[]", "ssh-user", "user"),
    ("nodes[]", "ssh-port", "port"),
    ("nodes[]", "ssh-private-key", "ssh_key"),
    ("nodes[]", "private-key", "ssh_key"),
    ("nodes[]", "username", "user"),
    ("nodes[]", "sshuser", "user"),
    ("nodes[]", "ssh-key-file", "ssh_key_path"),
    ("nodes[]", "identity-file", "ssh_key_path"),
    ("nodes[]", "docker-socket-path", "docker_socket"),
    ("nodes[]", "node-labels", "labels"),
    ("bastion_host", "host", "address"),
    ("bastion_host", "ip", "address"),
    ("bastion_host", "username", "user"),
    ("private_registries[]", "username", "user"),
    ("private_registries[]", "host", "url"),
    ("private_registries[]", "registry", "url"),
    ("network", "name", "plugin"),
    ("network", "provider", "plugin"),
    ("network", "type", "plugin"),
    ("cloud_provider", "provider", "name"),
    ("cloud_provider", "type", "name"),
    ("services", "controller", "kube-controller"),
    ("services.kube-api", "service-cidr", "service_cluster_ip_range"),
    ("services.kube-api", "node-port-range", "service_node_port_range"),
    ("services.kube-controller", "pod-cidr", "cluster_cidr"),
    ("services.kube-controller", "service-cidr", "service_cluster_ip_range"),
    ("system_images", "pause", "pod_infra_container"),
    ("system_images", "hyperkube", "kubernetes"),
    ("system_images", "ingress-nginx", "ingress"),
    ("system_images", "nginx-ingress", "ingress"),
    ("system_images", "ingress-controller", "ingress"),
    ("system_images", "nginx-ingress-controller", "ingress"),
    ("services.kubelet", "serving-certificates", "generate_serving_certificate"),
    ("authentication", "cert-sans", "sans"),
    ("dns", "nameservers", "upstreamnameservers"),
    ("dns.update_strategy", "type", "strategy"),
    ("dns.nodelocal.update_strategy", "type", "strategy"),
    ("ingress.update_strategy", "type", "strategy"),
    ("monitoring.update_strategy", "type", "strategy"),
    ("network.update_strategy", "type", "strategy"),
    ("services", "etcd-server", "etcd"),
    ("services", "kube-controllers", "kube-controller"),
    ("services.etcd.backup_config", "keep", "retention"),
    ("services.etcd.backup_config", "interval", "interval_hours"),
    ("services.etcd.backup_config", "s3", "s3backupconfig"),
    ("services.etcd.backup_config", "s3-backup-config", "s3backupconfig"),
    ("services.etcd.backup_config", "s3-config", "s3backupconfig"),
    ("services.etcd.backup_config", "enable", "enabled"),
    ("network.options", "flannel-priority-class-name", "kube_flannel_priority_class_name"),
    ("cloud_provider.azureCloudProvider", "aad-tenant-id", "tenantId"),
];

/// The same within any service.
const OF_ANY_SERVICE: [(&str, &str); 10] = [
    ("args", "extra_args"),
    ("arguments", "extra_args"),
    ("flags", "extra_args"),
    ("extra-flags", "extra_args"),
    ("env", "extra_env"),
    ("environment", "extra_env"),
    ("binds", "extra_binds"),
    ("mounts", "extra_binds"),
    ("volumes", "extra_binds"),
    ("extra-volumes", "extra_binds"),
];

/// Keys of other sections that stand for what people write here.
const ELSEWHERE: [(&str, &str, &str); 31] = [
    ("services", "etcd-snapshot", "services.etcd.backup_config"),
    ("services", "snapshot", "services.etcd.snapshot"),
    ("services", "coredns", "dns"),
    ("services", "kube-dns", "dns"),
    ("services", "kubedns", "dns"),
    ("services", "dns", "dns"),
    ("services", "nginx-ingress", "ingress"),
    ("services", "ingress-nginx", "ingress"),
    ("services", "metrics-server", "monitoring"),
    ("services", "canal", "network"),
    ("services", "calico", "network"),
    ("services", "flannel", "network"),
    ("services.etcd", "snapshot-interval", "services.etcd.backup_config.interval_hours"),
    ("services.etcd", "interval", "services.etcd.backup_config.interval_hours"),
    ("services.etcd", "snapshot-retention", "services.etcd.backup_config.retention"),
    ("services.etcd", "keep", "services.etcd.backup_config.retention"),
    ("services.etcd", "s3", "services.etcd.backup_config.s3backupconfig"),
    ("services.etcd", "s3-config", "services.etcd.backup_config.s3backupconfig"),
    ("services.kubeproxy", "mode", "services.kubeproxy.extra_args.proxy-mode"),
    ("", "service-cidr", "services.kube-api.service_cluster_ip_range"),
    ("", "pod-cidr", "services.kube-controller.cluster_cidr"),
    ("network", "service-cidr", "services.kube-api.service_cluster_ip_range"),
    ("network", "pod-cidr", "services.kube-controller.cluster_cidr"),
    ("", "ssh-user", "nodes[].user"),
    ("", "ssh-port", "nodes[].port"),
    ("", "max-pods", "services.kubelet.extra_args.max-pods"),
    ("nodes[]", "max-pods", "services.kubelet.extra_args.max-pods"),
    ("", "proxy-mode", "services.kubeproxy.extra_args.proxy-mode"),
    ("nodes[]", "zone", "labels` with the key `topology.kubernetes.io/zone"),
    ("nodes[]", "region", "labels` with the key `topology.kubernetes.io/region"),
    ("nodes[]", "availability-zone", "labels` with the key `topology.kubernetes.io/zone"),
];

/// An unknown key with its surroundings.
pub(crate) struct Unknown<'a> {
    pub(crate) key: &'a str,
    /// The pattern of the section that it stands in.
    pub(crate) section: &'a str,
    /// The keys that the section knows.
    pub(crate) known: Vec<&'static str>,
    /// The keys that stand in the section.
    pub(crate) present: &'a [String],
    /// The network plugin, as written.
    pub(crate) plugin: Option<&'a str>,
    /// What its value looks like.
    pub(crate) value: Looks,
}

/// What the value of an unknown key looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looks {
    /// The path of a file.
    Path,
    /// Anything else.
    Otherwise,
}

impl Looks {
    /// Of a text.
    pub(crate) fn of(text: Option<&str>) -> Self {
        let is_path = |text: &str| !text.contains('\n') && text.starts_with(['/', '~', '.']);
        if text.is_some_and(is_path) { Self::Path } else { Self::Otherwise }
    }
}

/// Says what was meant, as far as it can be known.
pub(crate) fn hint(unknown: &Unknown<'_>, draft: &mut Draft) {
    let Unknown { key, section, known, .. } = unknown;
    if key.starts_with(|letter: char| letter.is_whitespace() && !letter.is_ascii()) {
        draft
            .note("it begins with a blank that is no space: text copied from a web page often has them")
            .help("indent the line by spaces");
    } else if let Some(help) = copied_along(key) {
        draft.note("it is ignored").help(help);
    } else if let Some((name, value)) = key.split_once(':').filter(|(name, _)| known.contains(name)) {
        draft.note("it is ignored").help(format!("put a blank after the colon: `{name}: {value}`"));
    } else if let Some(meant) = other_name(key, section, known).or_else(|| spelt_alike(key, known)) {
        propose(unknown, meant, draft);
    } else if let Some((meant, help)) = interface(unknown) {
        match meant {
            Some(meant) => propose(unknown, meant, draft),
            None => {
                draft.note("it is ignored").help(help);
            }
        }
    } else if let Some(meant) = image_beside(unknown) {
        propose(unknown, meant, draft);
    } else if let Some(place) = of_an_image(unknown).or_else(|| elsewhere_by_name(key, section)) {
        draft.note("it is lost here").help(format!("write it as `{place}`"));
    } else if let Some(help) = of_services(key, section).or_else(|| exact_elsewhere(key, section)) {
        draft.note("it is lost here").help(help);
    } else if let Some(help) = begun_by_several(key, known) {
        draft.note("it is ignored").help(help);
    } else if let Some(meant) = by_suffix(unknown).or_else(|| misspelt(key, known)) {
        propose(unknown, meant, draft);
    } else if let Some(help) = as_a_flag(key, section, known) {
        draft.note("it is ignored").help(help);
    } else if let Some(help) = far_elsewhere(key) {
        draft.note("it is lost here").help(help);
    } else {
        draft.note("it is ignored").help("remove it");
    }
}

/// What stands on a page or in an editor beside the file: the numbers of lines, and the name of the file.
fn copied_along(key: &str) -> Option<&'static str> {
    let rest = key.trim_start_matches(|letter: char| letter.is_ascii_digit());
    if rest.len() < key.len() && rest.starts_with([' ', '|']) {
        return Some("the numbers of lines were copied along: take them away from all lines");
    }
    let is_file = [".yml", ".yaml"].iter().any(|ending| key.to_lowercase().ends_with(ending));
    is_file.then_some("remove it: it is the name of a file")
}

/// A key of a service that its section does not know is a flag of its program, more often than not; one that begins as
/// a known key does is a part of something else.
fn as_a_flag(key: &str, section: &str, known: &[&'static str]) -> Option<String> {
    let service = section.strip_prefix("services.").filter(|service| !service.contains('.'))?;
    let own = tokens(key);
    let is_other = own.last().is_some_and(|last| matches!(last.as_str(), "image" | "images"))
        || own.first().is_some_and(|first| first == "win")
        || known.iter().any(|name| own.starts_with(&tokens(name)));
    let flag = own.join("-");
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    (own.len() > 1 && !is_other && flag.chars().all(is_word)).then(|| {
        format!("if it is a flag of its program, write `{flag}` under `services.{service}.extra_args`")
    })
}

/// A key that most services have, outside of all of them.
fn of_services(key: &str, section: &str) -> Option<String> {
    let homes = schema::sections_with(key);
    // A key of a format of Kubernetes, such as `kind`, is one of no service itself.
    let is_service = |home: &&String| home.starts_with("services.") && home.matches('.').count() == 1;
    let services = homes.iter().filter(is_service).count();
    (section.is_empty() && services > TELLING)
        .then(|| format!("write it under the service that it is for, as in `services.kubelet.{key}`"))
}

/// The interface between the nodes, under any name: it has one for each plugin that takes it.
fn interface(unknown: &Unknown<'_>) -> Option<(Option<&'static str>, String)> {
    if unknown.section != "network.options"
        || !matches!(tokens(unknown.key).last()?.as_str(), "iface" | "interface")
    {
        return None;
    }
    let plugin = unknown.plugin.unwrap_or("canal");
    let own = format!("{plugin}_iface");
    match unknown.known.iter().find(|name| **name == own) {
        Some(own) => Some((Some(own), String::new())),
        None => Some((None, format!("{plugin} takes the interface of the node's address: remove it"))),
    }
}

fn propose(unknown: &Unknown<'_>, meant: &str, draft: &mut Draft) {
    // A path is a key's file, and not the key.
    let file = format!("{meant}_path");
    let is_file = unknown.value == Looks::Path && unknown.known.iter().any(|name| *name == file);
    let meant = if is_file { &file } else { meant };
    if unknown.present.iter().any(|key| key == meant) {
        draft.note("it is ignored").help(format!("`{meant}` is beside it: remove this one"));
    } else {
        draft.help(format!("did you mean `{meant}`?"));
    }
}

/// A word in small letters with one dash between its parts, however it was written.
fn plain(word: &str) -> String {
    tokens(word).join("-")
}

/// The parts of a word: between `_`, `-` and `.`, and before a capital letter.
fn tokens(word: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut last = String::new();
    let mut was_small = false;
    for letter in word.chars() {
        let is_border = matches!(letter, '_' | '-' | '.' | ' ');
        if is_border || (letter.is_uppercase() && was_small) {
            tokens.push(std::mem::take(&mut last));
        }
        if !is_border {
            last.extend(letter.to_lowercase());
        }
        was_small = letter.is_lowercase() || letter.is_ascii_digit();
    }
    tokens.push(last);
    tokens.retain(|token| !token.is_empty());
    tokens
}

fn other_name(key: &str, section: &str, known: &[&'static str]) -> Option<&'static str> {
    let plain = plain(key);
    let here = OTHER_NAMES.iter().find(|(place, other, _)| *place == section && *other == plain);
    let of_service = OF_ANY_SERVICE.iter().find(|(other, _)| *other == plain);
    let found = here.map(|(_, _, meant)| *meant).or(of_service.map(|(_, meant)| *meant));
    found.filter(|meant| known.contains(meant))
}

/// A key that is the same but for case and strokes.
fn spelt_alike(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let letters = |word: &str| tokens(word).concat();
    let own = letters(key);
    known.iter().find(|name| letters(name) == own).copied()
}

/// An image under a name of its own: `kubedns_sidecar_image`, `flannel_image`; that of the plugin where it has its own.
fn of_an_image(unknown: &Unknown<'_>) -> Option<String> {
    let Unknown { key, section, plugin, .. } = unknown;
    let stem = key.strip_suffix("_image").or_else(|| key.strip_suffix("_images"))?;
    let rest = stem.split_once('_').map_or("", |(_, rest)| rest);
    let of_canal = [format!("canal_{stem}"), format!("canal_{rest}")];
    let of_canal = of_canal.iter().filter(|_| *plugin == Some("canal") && stem.starts_with("flannel"));
    let mut names = of_canal.map(String::as_str).chain([stem]);
    let image = names.find_map(|name| schema::find(SYSTEM_IMAGES, name).filter(|key| key.is_current()))?;
    let is_near = *section == "system_images" || section.is_empty() || section.starts_with("network");
    is_near.then(|| {
        if *section == "system_images" {
            image.name.to_owned()
        } else {
            format!("system_images.{}", image.name)
        }
    })
}

/// An image under a name of its own that stands beside it under the right one.
fn image_beside(unknown: &Unknown<'_>) -> Option<&'static str> {
    let stem = unknown.key.strip_suffix("_image").filter(|_| unknown.section == "system_images")?;
    unknown
        .known
        .iter()
        .copied()
        .find(|name| *name == stem)
        .filter(|name| unknown.present.iter().any(|key| key == name))
}

fn elsewhere_by_name(key: &str, section: &str) -> Option<String> {
    let plain = plain(key);
    let found = ELSEWHERE.iter().find(|(place, other, _)| *place == section && *other == plain);
    found.map(|(_, _, place)| (*place).to_owned())
}

/// The same key in a section just below or around this one.
fn exact_elsewhere(key: &str, section: &str) -> Option<String> {
    let homes = schema::sections_with(key);
    let parent = |path: &str| path.rsplit_once('.').map_or(String::new(), |(outer, _)| outer.to_owned());
    let deeper: Vec<&String> =
        homes.iter().filter(|home| !home.is_empty() && parent(home) == section).collect();
    if let Some(first) = deeper.first().filter(|_| deeper.len() <= TELLING) {
        return Some(format!("indent it deeper: `{key}` belongs {}", home(first)));
    }
    let shallower = homes.iter().rfind(|home| {
        home.is_empty() || section.strip_prefix(home.as_str()).is_some_and(|rest| rest.starts_with('.'))
    });
    shallower
        .filter(|_| !section.is_empty())
        .map(|nearest| format!("indent it less: `{key}` belongs {}", home(nearest)))
}

/// The keys that begin with this word, where it could be any of them.
fn begun_by_several(key: &str, known: &[&'static str]) -> Option<String> {
    let own = tokens(key);
    let begin = |name: &&&'static str| {
        let theirs = tokens(name);
        theirs.len() > own.len() && theirs.starts_with(&own)
    };
    let names: Vec<String> = known.iter().filter(begin).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 | 1 => None,
        2 | 3 => Some(format!("did you mean {}?", names.join(" or "))),
        _ => Some("several keys begin so: write the whole name".to_owned()),
    }
}

/// An option of the network that ends as this word does, where no other does: of several, that of the plugin.
fn by_suffix(unknown: &Unknown<'_>) -> Option<&'static str> {
    let Unknown { key, section, known, plugin, .. } = unknown;
    if *section != "network.options" {
        return None;
    }
    let ending = format!("_{key}");
    let ends: Vec<&'static str> = known.iter().filter(|name| name.ends_with(&ending)).copied().collect();
    if let [one] = ends[..] {
        return Some(one);
    }
    let own = format!("{}_", plugin.unwrap_or("canal"));
    let of_plugin: Vec<&'static str> = ends.into_iter().filter(|name| name.starts_with(&own)).collect();
    if let [one] = of_plugin[..] { Some(one) } else { None }
}

/// All words that keys are made of.
static VOCABULARY: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut words = BTreeSet::new();
    let mut left: Vec<&'static [Key]> = vec![CLUSTER];
    while let Some(keys) = left.pop() {
        for key in keys {
            words.extend(tokens(key.name));
            left.push(children(key.kind));
        }
    }
    words.extend(["images", "ip"].map(str::to_owned));
    words
});

/// The key that this word is a misspelling of: every part of it that is a word of its own is one of the key's.
fn misspelt(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let own = tokens(key);
    let fits = |name: &&&'static str| {
        let theirs = tokens(name);
        own.iter().all(|token| {
            theirs.contains(token)
                || !VOCABULARY.contains(token)
                || theirs.iter().any(|other| is_form_of(token, other) || is_form_of(other, token))
        })
    };
    nearest(key, known.iter().filter(fits).copied())
}

/// Whether a word is another one with the ending of a plural, or of what one does.
fn is_form_of(word: &str, of: &str) -> bool {
    let stem = word.strip_suffix("ies").filter(|stem| of.strip_suffix('y') == Some(stem));
    stem.is_some() || word.strip_suffix('s') == Some(of) || word.strip_suffix("ing") == Some(of)
}

/// Where a name belongs that few sections have.
fn far_elsewhere(key: &str) -> Option<String> {
    let homes = schema::sections_with(key);
    if homes.is_empty() || homes.len() > TELLING {
        return None;
    }
    let homes: Vec<String> = homes.iter().take(MOST_SECTIONS).map(|section| home(section)).collect();
    Some(format!("`{key}` belongs {}", homes.join(" or ")))
}

/// A section by name.
fn name(section: &str) -> String {
    match section.strip_suffix("[]") {
        _ if section.is_empty() => "the top level".to_owned(),
        Some(list) => format!("an entry of `{list}`"),
        None => format!("`{section}`"),
    }
}

/// Where a key belongs, in words.
pub(crate) fn home(section: &str) -> String {
    match section {
        "" => "at the top level".to_owned(),
        section => format!("in {}", name(section)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_cut_however_it_is_written() {
        for word in ["hostname_override", "hostname-override", "hostnameOverride", "Hostname_Override"] {
            assert_eq!(tokens(word), ["hostname", "override"], "{word}");
        }
        assert_eq!(tokens("s3backupconfig"), ["s3backupconfig"]);
    }
}
