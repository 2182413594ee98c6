//! Images and registries: names that Docker takes, and logins that nobody uses.

use std::collections::BTreeSet;

use crate::cluster::Cluster;
use crate::hub::{HOSTS, is_docker_hub, plain};
use windlass_addons::Problems;

pub(crate) fn check(cluster: &Cluster<'_>, problems: &mut Problems) {
    registries(cluster, problems);
    without_default(cluster, problems);
    of_nobody(cluster, problems);
    let help = "write it like `registry.example.com:5000/rancher/hyperkube:v1.20.15-rancher2`";
    for (key, image) in &cluster.spec.system_images {
        let place = format!("system_images.{key}");
        let Some(why) = image_flaw(image) else {
            let is_used = cluster.images.of(key).is_some_and(|used| used.image.as_str() == image);
            if is_used {
                image_without_host(image, &place, problems);
            }
            continue;
        };
        let summary = format!("`{image}` is no name of an image: {why}");
        // Docker is asked for those alone that are used.
        if cluster.images.of(key).is_some_and(|used| used.image.as_str() == image) {
            problems.error(&place, summary, Some(help.to_owned()));
        } else {
            problems.warning(&place, format!("{summary}; nothing here uses it"), Some(help.to_owned()));
        }
    }
    if let Some(image) = &cluster.spec.services.kubelet.infra_container_image
        && let Some(why) = image_flaw(image)
    {
        let place = "services.kubelet.infra_container_image";
        problems.error(place, format!("`{image}` is no name of an image: {why}"), Some(help.to_owned()));
    }
}

/// Why Docker takes a text for no name of an image.
///
/// Source: `reference/regexp.go` of distribution/reference.
fn image_flaw(image: &str) -> Option<String> {
    if image.contains("://") {
        return Some("it begins with a scheme, as a URL does".to_owned());
    }
    let (image, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Some("what follows its `@` is no digest".to_owned());
    }
    let (name, tag) = match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (image, None),
    };
    let of_tag = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if let Some(tag) = tag
        && (tag.is_empty() || tag.len() > 128 || tag.starts_with(['.', '-']) || !tag.chars().all(of_tag))
    {
        return Some(format!("`{tag}` is no tag"));
    }
    let parts: Vec<&str> = name.split('/').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Some("there is nothing before, after or between its slashes".to_owned());
    }
    if parts.len() > 1 && parts[0].contains('.') && parts[0].contains('_') {
        return Some(format!("`{}` is no name of a host: it has a `_`", parts[0]));
    }
    let has_host = parts.len() > 1 && (parts[0].contains(['.', ':']) || parts[0] == "localhost");
    if let Some((_, port)) = parts[0].rsplit_once(':').filter(|_| has_host)
        && !port.parse::<u16>().is_ok_and(|number| number > 0 && !port.starts_with('+'))
    {
        return Some(format!("`{port}` is no port"));
    }
    if let Some(why) = host_flaw(parts[0]).filter(|_| has_host) {
        return Some(why);
    }
    let path = if has_host { &parts[1..] } else { &parts[..] };
    let of_path =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_.-".contains(letter);
    let wrong = path.iter().flat_map(|part| part.chars()).find(|letter| !of_path(*letter));
    if let Some(wrong) = wrong {
        let why = if wrong.is_ascii_uppercase() { "has small letters alone" } else { "cannot have it" };
        return Some(format!("`{}` is in its path, which {why}", wrong.escape_debug()));
    }
    let outer = |part: &&str| part.starts_with(['.', '_', '-']) || part.ends_with(['.', '_', '-']);
    path.iter().find(|part| outer(part)).map(|part| format!("`{part}` begins or ends with a sign"))
}

/// What keeps a text from being the host of a registry, whose port is right.
fn host_flaw(host: &str) -> Option<String> {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
        return (!is_address).then(|| format!("`{address}` is no IPv6 address"));
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let of_host = |letter: char| letter.is_ascii_alphanumeric() || ".-".contains(letter);
    let is_outer = |part: &str| part.is_empty() || part.starts_with('-') || part.ends_with('-');
    match name.chars().find(|letter| !of_host(*letter)) {
        Some(wrong) => {
            Some(format!("`{}` is in the name of its host, which cannot have it", wrong.escape_debug()))
        }
        None if name.split('.').any(is_outer) => Some(format!("`{name}` is no name of a host")),
        None => None,
    }
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, digits)| {
        !algorithm.is_empty() && digits.len() >= 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The name of a registry as Docker takes it: without a scheme, with single slashes, and in small letters.
fn plain_name(url: &str) -> String {
    let bare = url.rsplit("://").next().unwrap_or(url);
    let parts: Vec<&str> = bare.split('/').filter(|part| !part.is_empty()).collect();
    parts.join("/").to_ascii_lowercase()
}

/// What two logins of one registry have in common.
fn name_of_login(url: &str) -> String {
    if is_docker_hub(url) { "docker.io".to_owned() } else { plain(url) }
}

/// Docker Hub's names have two parts, and its web site is no registry.
fn docker_hub(url: &str, place: &str, problems: &mut Problems) {
    let plain = plain(url);
    let (host, path) = plain.split_once('/').unwrap_or((&plain, ""));
    if !HOSTS.contains(&host) {
        return;
    }
    if host == "hub.docker.com" {
        problems.warning(
            place,
            format!("`{url}` is a web site, and no registry"),
            Some("write `docker.io`".to_owned()),
        );
    } else if !path.is_empty() {
        problems.warning(
            place,
            format!("`{url}/rancher/…` is no name on Docker Hub, which has names of two parts alone"),
            Some("write `docker.io`, and name images of your own under `system_images`".to_owned()),
        );
    }
}

/// Whether the first part of a name is a host to Docker, where another one follows.
///
/// Source: `splitDockerDomain` in `normalize.go` of distribution/reference.
fn is_host(first: &str) -> bool {
    first.contains(['.', ':'])
        || first == "localhost"
        || first.contains(|letter: char| letter.is_ascii_uppercase())
}

/// A registry whose name Docker takes for a part of a name on Docker Hub.
fn no_host(url: &str, place: &str, problems: &mut Problems) {
    let first = url.split('/').next().unwrap_or(url);
    if is_host(first) || image_flaw(&format!("{url}/x")).is_some() {
        return;
    }
    problems.warning(
        place,
        format!("`{first}` is no host to Docker, which asks Docker Hub for `{url}/…`"),
        Some(format!(
            "write the whole name of the host, or its port: `{}`",
            url.replacen(first, &format!("{first}:443"), 1)
        )),
    );
}

/// An image of three parts without a host: no such name is on Docker Hub.
fn image_without_host(image: &str, place: &str, problems: &mut Problems) {
    let name = image.split('@').next().unwrap_or(image);
    let parts: Vec<&str> = name.split('/').collect();
    let Some(first) = parts.first().filter(|first| parts.len() > 2 && !is_host(first)) else { return };
    problems.warning(
        place,
        format!("`{first}` is no host to Docker, which asks Docker Hub for `{image}`"),
        Some(format!("write the whole name of the host, or its port, as in `{first}:443/…`")),
    );
}

/// RKE's images for subscribers have names that are in no public registry: on Docker Hub somebody else may take
/// them.
///
/// Source: the release notes of RKE 1.8.14.
fn of_nobody(cluster: &Cluster<'_>, problems: &mut Problems) {
    const PAID: &str = "rke-extended-life/";
    let used = cluster.images.of("kubernetes").map(|used| used.image.as_str());
    if let Some(image) = used.filter(|image| image.starts_with(PAID)) {
        problems.warning(
            "kubernetes_version",
            format!(
                "`{image}` is in no public registry, and anyone who takes the name `{PAID}` on Docker Hub would run on every node as root"
            ),
            Some("name the registry that has it in `private_registries`, with `is_default: true`, or another image in `system_images.kubernetes`".to_owned()),
        );
    }
}

/// Says of registries of which none is the default that no image of the cluster comes from them.
fn without_default(cluster: &Cluster<'_>, problems: &mut Problems) {
    let registries = &cluster.spec.private_registries;
    if registries.iter().any(|registry| registry.is_default) {
        return;
    }
    let kubelet = &cluster.spec.services.kubelet;
    let images: Vec<&String> =
        cluster.spec.system_images.values().chain(&kubelet.infra_container_image).collect();
    let unused = registries.iter().enumerate().find_map(|(index, registry)| {
        let url = registry.url.as_deref().filter(|url| !is_docker_hub(url))?;
        let is_used = images.iter().any(|image| image.starts_with(&format!("{}/", plain(url))));
        (!is_used && registry.ecr_credential_plugin.is_none()).then_some((index, url))
    });
    if let Some((index, url)) = unused {
        problems.warning(
            &format!("private_registries[{index}].url"),
            format!("no image of the cluster is pulled from {url}: pods alone use it"),
            Some("write `is_default: true` beside it if it has the images of the cluster".to_owned()),
        );
    }
}

fn registries(cluster: &Cluster<'_>, problems: &mut Problems) {
    let (mut default, mut logins) = (None, BTreeSet::new());
    for (index, registry) in cluster.spec.private_registries.iter().enumerate() {
        let place = |key: &str| format!("private_registries[{index}].{key}");
        let url = registry.url.as_deref().unwrap_or("docker.io");
        if registry.is_default {
            if let Some(first) = default {
                problems.warning(
                    &place("is_default"),
                    format!(
                        "the default registry is {first} already: no image is pulled through {url} by itself"
                    ),
                    Some("leave one `is_default: true`".to_owned()),
                );
            } else {
                default = Some(url);
                if let Some(why) = image_flaw(&format!("{url}/x")) {
                    let plain = plain_name(url);
                    let help = match image_flaw(&format!("{plain}/x")) {
                        None => format!("write `{plain}`"),
                        Some(_) => "write the name alone, such as `registry.example.com:5000`".to_owned(),
                    };
                    let what = format!("no image can be pulled through `{url}`: {why}");
                    problems.error(&place("url"), what, Some(help));
                } else {
                    docker_hub(url, &place("url"), problems);
                }
            }
        }
        no_host(url, &place("url"), problems);
        let has_plugin = registry.ecr_credential_plugin.is_some();
        match (&registry.user, &registry.password) {
            (Some(_), Some(_)) if logins.insert(name_of_login(url)) => {}
            (Some(_), Some(_)) => problems.warning(
                &place("user"),
                format!("there is a login for {url} before: the last one counts"),
                Some("leave one of them out".to_owned()),
            ),
            (Some(_), None) if !has_plugin => problems.warning(
                &place("user"),
                "a `user` without a `password` has no effect".to_owned(),
                Some("give both, or none".to_owned()),
            ),
            (None, Some(_)) if !has_plugin => problems.warning(
                &place("password"),
                "a `password` without a `user` has no effect".to_owned(),
                Some("give both, or none".to_owned()),
            ),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_are_those_that_docker_takes() {
        for right in [
            "rancher/hyperkube:v1.20.15-rancher2",
            "etcd",
            "localhost:5000/etcd:3.5.1-0",
            "10.0.0.1:5000/qa/mirror/rancher/pause:3.6",
            "REG.example.com/rancher/pause:3.6",
            "[fd00::1]:5000/rancher/pause:3.6",
            "registry.k8s.io/pause@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(image_flaw(right), None, "{right}");
        }
        for wrong in [
            "https://registry.example.com/rancher/pause:3.6",
            "registry.example.com//rancher/pause:3.6",
            "/rancher/pause",
            "Rancher/pause:3.6",
            "rancher/pause:",
            "rancher/pause:v 1",
            "rancher/pause@sha256:short",
            "rancher/-pause",
            "registry.example.com:port/rancher/pause",
            "registry.example.com:70000/rancher/pause",
            "my_registry.example.com/rancher/pause",
            "registry example.com/rancher/pause",
            "registry.example.com?x=1/rancher/pause",
            "user:password@registry.example.com/rancher/pause",
            "-registry.example.com/rancher/pause",
            "registry..example.com/rancher/pause",
            "[fd00::1x]:5000/rancher/pause",
        ] {
            assert!(image_flaw(wrong).is_some(), "{wrong}");
        }
        for host in ["harbor.example.com", "harbor:443", "localhost", "HARBOR"] {
            assert!(is_host(host), "{host}");
        }
        assert!(!is_host("harbor") && !is_host("rancher"));
    }
}
