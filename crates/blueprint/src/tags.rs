//! What the tags of images say of versions: by them flags are chosen, and steps back of etcd are seen.

use windlass_addons::Problems;
use windlass_model::{EtcdVersion, KubernetesVersion, tag_of};
use windlass_spec::ClusterSpec;

use crate::catalog::{Catalog, Minor};

/// The version of Kubernetes in an image's tag; as in RKE 1 its `v` may be missing.
pub(crate) fn version_in(image: &str) -> Option<KubernetesVersion> {
    let tag = tag_of(image)?;
    tag.parse().or_else(|_| format!("v{tag}").parse()).ok()
}

/// Says once of each image that cluster.yml names where its version cannot be known.
pub(crate) fn check(
    spec: &ClusterSpec,
    version: &KubernetesVersion,
    catalog: &Catalog,
    problems: &mut Problems,
) {
    if let Some(image) = spec.system_images.get("kubernetes").filter(|image| version_in(image).is_none()) {
        let help = if spec.kubernetes_version.is_some() {
            "name one whose tag is a version, so that flags fit the program and nodes do not differ"
        } else {
            "write the version under `kubernetes_version`, or name an image whose tag is a version"
        };
        problems.warning(
            "system_images.kubernetes",
            format!("`{image}` does not say its version: it is taken for {version}"),
            Some(help.to_owned()),
        );
    }
    let is_own = spec.services.etcd.external_urls.is_empty();
    if let Some(image) = spec.system_images.get("etcd").filter(|_| is_own) {
        etcd(image, catalog, problems);
    }
}

fn etcd(image: &str, catalog: &Catalog, problems: &mut Problems) {
    let place = "system_images.etcd";
    let version = EtcdVersion::of_image(image);
    let minor = version.map(Minor::of_etcd).or_else(|| begun(image));
    let oldest = EtcdVersion::OLDEST;
    let newest = catalog.newest_minor_of_etcd();
    match minor {
        // With all its numbers it is refused elsewhere.
        Some(minor) if version.is_none() && minor < Minor::of_etcd(oldest) => problems.error(
            place,
            format!("etcd {minor} is older than {oldest}, the oldest that windlass can drive"),
            Some(format!("name {oldest} or later")),
        ),
        Some(minor) if newest.is_some_and(|newest| newest < minor) => problems.warning(
            place,
            format!("windlass does not know etcd {minor}, and its data never goes back to an older one"),
            newest.map(|newest| format!("take one up to {newest}")),
        ),
        _ if version.is_none() => problems.warning(
            place,
            format!("`{image}` does not say its version: a step back that breaks its data is not seen"),
            Some("name one whose tag is a version, such as `v3.5.12`".to_owned()),
        ),
        _ => {}
    }
}

/// The minor version of a tag that has not all its numbers, such as `v3.3` or `v4`; a bare `1` is anybody's own count.
fn begun(image: &str) -> Option<Minor> {
    let tag = tag_of(image)?;
    let plain = tag.strip_prefix('v');
    let mut numbers = plain.unwrap_or(tag).split(['.', '-']);
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next().and_then(|minor| minor.parse().ok());
    match (major, minor, plain) {
        (2.., Some(minor), _) => Some(Minor(major, minor)),
        // Which minor version of this runs is not known.
        (3, None, Some(_)) | (..2, ..) | (_, None, None) => None,
        (2.., None, Some(_)) => Some(Minor(major, 0)),
    }
}
