//! Which version and which images: what cluster.yml names, and the catalog's for the rest.

use std::collections::BTreeMap;

use windlass_model::{ImageRef, KubernetesVersion, Role, SpecPath};
use windlass_spec::ClusterSpec;

use crate::catalog::{Catalog, EtcdVersion, tag_of};
use crate::problem::Problems;

/// The image that windlass makes of itself for what must run on nodes.
pub const NODE_IMAGE: &str = concat!("windlass/node:", env!("CARGO_PKG_VERSION"));

/// The version that runs, and the images of the cluster.
#[derive(Debug)]
pub(crate) struct Images {
    /// The version of the Kubernetes image, by which flags are chosen.
    pub(crate) version: KubernetesVersion,
    /// The place of the version, if cluster.yml names one.
    pub(crate) version_origin: Option<SpecPath>,
    /// The version of etcd, if its image's tag tells it.
    pub(crate) etcd: Option<EtcdVersion>,
    by_key: BTreeMap<&'static str, Image>,
}

/// An image and the place in cluster.yml that decides it.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) image: ImageRef,
    pub(crate) origin: Option<SpecPath>,
}

impl Images {
    /// The image of this key, if the cluster needs one.
    pub(crate) fn of(&self, key: &str) -> Option<&Image> {
        self.by_key.get(key)
    }
}

/// Chooses version and images. Problems are errors, after which the images are not whole.
pub(crate) fn choose(spec: &ClusterSpec, catalog: &Catalog, problems: &mut Problems) -> Images {
    let wished = spec.kubernetes_version.as_ref().unwrap_or_else(|| catalog.default_version());
    let mut version_origin = spec.kubernetes_version.as_ref().map(|_| SpecPath::from("kubernetes_version"));
    let like = if catalog.images(wished).is_none() { catalog.images_like(wished) } else { None };
    let known = catalog.images(wished).or(like.as_ref().map(|(_, images)| images));
    let mut guessed = Vec::new();
    let registry = default_registry(spec);

    let mut by_key = BTreeMap::new();
    let mut lacking = Vec::new();
    for key in needed(spec) {
        if let Some((image, place)) = named(spec, key) {
            by_key.insert(key, Image { image: image.into(), origin: Some(place) });
        } else if let Some(image) = known.and_then(|images| images.get(key)) {
            let image = match registry {
                Some(registry) => format!("{registry}/{image}").into(),
                None => image.as_str().into(),
            };
            by_key.insert(key, Image { image, origin: version_origin.clone() });
            if key != "kubernetes" {
                guessed.push(format!("`{key}`"));
            }
        } else {
            lacking.push(format!("`{key}`"));
        }
    }
    if let Some((near, _)) = like.as_ref().filter(|_| !guessed.is_empty()) {
        problems.warning(
            "kubernetes_version",
            format!(
                "the images of {wished} are not listed: those of {near} are taken for {}",
                guessed.join(", ")
            ),
            Some("name them under `system_images` if others are to run".to_owned()),
        );
    }
    by_key.insert("windlass_node", Image { image: NODE_IMAGE.into(), origin: None });

    let mut version = wished.clone();
    if let Some(tagged) = version_of_another_minor(wished, by_key.get("kubernetes")) {
        match &spec.kubernetes_version {
            Some(wished) => problems.warning(
                "system_images.kubernetes",
                format!("the image is of Kubernetes {tagged}, while `kubernetes_version` is {wished}"),
                Some("the image decides: its version is what runs and what flags are chosen by".to_owned()),
            ),
            None => version_origin = Some("system_images.kubernetes".into()),
        }
        version = tagged;
    }
    if !catalog.knows_flags_of(&version) {
        let (first, last) = catalog.minors();
        let place = version_origin.as_ref().map_or("kubernetes_version", SpecPath::as_str);
        problems.error(
            place,
            format!("the flags of Kubernetes {version} are not known"),
            Some(format!("windlass knows those from {first} to {last}")),
        );
    } else if !catalog.supports(&version) && lacking.is_empty() {
        let place = version_origin.as_ref().map_or("kubernetes_version", SpecPath::as_str);
        problems.warning(
            place,
            format!("Kubernetes {version} is older than what windlass is tried with"),
            Some(format!(
                "its flags are those that RKE 1 gave it, and are not checked; {} and later are tried",
                catalog.first_supported()
            )),
        );
    } else if !lacking.is_empty() {
        problems.error(
            "kubernetes_version",
            format!(
                "no images are known for {wished}, and `system_images` does not name {}",
                lacking.join(", ")
            ),
            Some(match catalog.near(wished) {
                Some(near) => format!("did you mean `{near}`? Else name them under `system_images`"),
                None => "name them under `system_images`, or take a version that `windlass config \
                         --list-version` lists"
                    .to_owned(),
            }),
        );
    }
    let etcd = by_key.get("etcd").and_then(|etcd| EtcdVersion::of_image(etcd.image.as_str()));
    Images { version, version_origin, etcd, by_key }
}

/// The keys of the images that this cluster needs.
fn needed(spec: &ClusterSpec) -> Vec<&'static str> {
    let mut keys = vec!["etcd", "kubernetes", "pod_infra_container"];
    if !spec.services.etcd.external_urls.is_empty() {
        keys.remove(0);
    }
    if spec.nodes.iter().any(|node| !node.role.contains(&Role::ControlPlane)) {
        keys.push("nginx_proxy");
    }
    keys
}

/// The image that cluster.yml names for this key, and where.
fn named<'a>(spec: &'a ClusterSpec, key: &str) -> Option<(&'a str, SpecPath)> {
    let kubelet = &spec.services.kubelet;
    if let Some(image) = kubelet.infra_container_image.as_deref().filter(|_| key == "pod_infra_container") {
        return Some((image, SpecPath::from("services.kubelet.infra_container_image")));
    }
    let image = spec.system_images.get(key)?;
    Some((image, SpecPath::from(format!("system_images.{key}"))))
}

/// The first default registry; the catalog's images are pulled through it, those of cluster.yml as they stand.
fn default_registry(spec: &ClusterSpec) -> Option<&str> {
    spec.private_registries
        .iter()
        .filter(|registry| registry.is_default)
        .find_map(|registry| registry.url.as_deref())
}

/// The version in the tag of the Kubernetes image, if its minor is another than the wished.
///
/// RKE 1 chooses flags by the image too, since a program does not start with flags that it does not know.
fn version_of_another_minor(
    wished: &KubernetesVersion,
    kubernetes: Option<&Image>,
) -> Option<KubernetesVersion> {
    let tagged: KubernetesVersion = tag_of(kubernetes?.image.as_str())?.parse().ok()?;
    ((tagged.major, tagged.minor) != (wished.major, wished.minor)).then_some(tagged)
}
