//! The images of RKE 1's versions, out of a table that says of each only what differs from the one before.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use windlass_model::KubernetesVersion;

/// The keys that have the image of `nginx_proxy` in every version.
const TOOLS: [&str; 3] = ["alpine", "cert_downloader", "kubernetes_services_sidecar"];

/// One line: a version, and the keys whose image changes with it.
type Line = (KubernetesVersion, Vec<(&'static str, &'static str)>);

/// The lines of the table, oldest first.
static LINES: LazyLock<Vec<Line>> = LazyLock::new(|| {
    let lines = include_str!("rke-images.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut words = line.split(' ');
            let version = words.next()?.parse().expect("a test reads every line of the table");
            Some((version, words.filter_map(|word| word.split_once('=')).collect()))
        })
        .collect()
});

/// All versions of RKE 1, oldest first.
pub(crate) fn versions() -> impl DoubleEndedIterator<Item = &'static KubernetesVersion> {
    LINES.iter().map(|(version, _)| version)
}

/// The images of a version of RKE 1 by the keys of `system_images`; none if RKE 1 did not have it.
pub(crate) fn images(version: &KubernetesVersion) -> Option<BTreeMap<String, String>> {
    let last = LINES.binary_search_by(|(listed, _)| listed.cmp(version)).ok()?;
    let mut images: BTreeMap<&str, &str> = BTreeMap::new();
    for (_, changes) in &LINES[..=last] {
        // The name of this image follows from the version; only one that does not is written, and for its line alone.
        images.remove("kubernetes");
        images.extend(changes.iter().copied());
    }
    images.retain(|_, image| !image.is_empty());
    let tools = images.get("nginx_proxy").copied();
    images.extend(TOOLS.into_iter().filter_map(|key| Some((key, tools?))));
    let mut images: BTreeMap<String, String> =
        images.into_iter().map(|(key, image)| (key.to_owned(), image.to_owned())).collect();
    if !images.contains_key("kubernetes") {
        images.insert("kubernetes".to_owned(), hyperkube(version)?);
    }
    Some(images)
}

/// The image of Kubernetes by its name: RKE 1 tagged it with the version without the number behind the last dash.
pub(crate) fn hyperkube(version: &KubernetesVersion) -> Option<String> {
    let (build, number) = version.suffix.strip_prefix("rancher")?.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(build) || !is_number(number) {
        return None;
    }
    let (major, minor, patch) = version.numbers();
    Some(format!("rancher/hyperkube:v{major}.{minor}.{patch}-rancher{build}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: &str) -> BTreeMap<String, String> {
        images(&version.parse().unwrap()).unwrap_or_else(|| panic!("{version}"))
    }

    #[test]
    fn the_table_is_in_order_and_whole() {
        assert_eq!(LINES.len(), 347);
        assert!(LINES.is_sorted_by(|one, other| one.0 < other.0));
        for version in versions() {
            let images = images(version).unwrap();
            for needed in
                ["etcd", "kubernetes", "nginx_proxy", "pod_infra_container", "canal_node", "ingress"]
            {
                assert!(images.contains_key(needed), "{version} {needed}");
            }
            assert!(images.values().all(|image| image.contains('/') && image.contains(':')), "{version}");
        }
    }

    /// Of each kind of oddity one: read off RKE's metadata, not off the table.
    #[test]
    fn a_sample_is_what_rke_ran() {
        for (version, key, image) in [
            ("v1.8.11-rancher2-1", "etcd", "rancher/coreos-etcd:v3.0.17"),
            ("v1.17.4-rancher1-3", "kubernetes", "rancher/hyperkube:v1.17.4-rancher1"),
            ("v1.18.18-rancher1-1", "etcd", "rancher/coreos-etcd:v3.4.15-rancher1"),
            ("v1.18.18-rancher1-2", "etcd", "rancher/mirrored-coreos-etcd:v3.4.15-rancher1"),
            ("v1.19.10-rancher1-1", "etcd", "rancher/mirrored-coreos-etcd:v3.4.15-rancher1"),
            ("v1.20.15-rancher1-1", "nginx_proxy", "rancher/rke-tools:v0.1.78"),
            ("v1.20.15-rancher1-1", "alpine", "rancher/rke-tools:v0.1.78"),
            ("v1.24.10-rancher4-1", "etcd", "rancher/mirrored-coreos-etcd:v3.5.4"),
            ("v1.29.15-rancher1-1", "weave_node", "weaveworks/weave-kube:2.8.1"),
            ("v1.31.14-rancher1-1", "kubernetes", "rke-extended-life/hyperkube:v1.31.14-rancher1"),
            ("v1.32.6-rancher1-1", "kubernetes", "rancher/hyperkube:v1.32.6-rancher1"),
        ] {
            assert_eq!(of(version).get(key).map(String::as_str), Some(image), "{version} {key}");
        }
        assert!(!of("v1.30.2-rancher1-1").contains_key("weave_node"), "weave ended with 1.29");
        assert_eq!(images(&"v1.20.2".parse().unwrap()), None);
    }
}
