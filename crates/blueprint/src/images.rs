//! Which version and which images: what cluster.yml names, and the catalog's for the rest.

use std::collections::BTreeMap;

use windlass_model::{Component, EtcdVersion, ImageRef, KubernetesVersion, Role, SpecPath};
use windlass_spec::ClusterSpec;

use crate::catalog::Catalog;
use crate::tags;
use windlass_addons::Problems;

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

    /// The image of a component: its own where there is one, else that of the key.
    pub(crate) fn of_component(&self, component: Component, key: &str) -> Option<&Image> {
        self.of(&own_key(component)).or_else(|| self.of(key))
    }
}

/// The key of an image that holds this component alone.
fn own_key(component: Component) -> String {
    component.as_str().replace('-', "_")
}

/// The components of Kubernetes, all of which are in the one image `kubernetes` where there is one.
pub(crate) const OF_KUBERNETES: [&str; 5] =
    ["kube_apiserver", "kube_controller_manager", "kube_scheduler", "kube_proxy", "kubelet"];

/// The version by which images are looked up, and the one by which flags are chosen.
struct ChosenVersion {
    listed: KubernetesVersion,
    version: KubernetesVersion,
    origin: Option<SpecPath>,
}

/// Chooses version and images. Problems are errors, after which the images are not whole.
pub(crate) fn choose(spec: &ClusterSpec, catalog: &Catalog, problems: &mut Problems) -> Images {
    let ChosenVersion { listed, version, origin } = desired(spec, catalog, problems);
    let like = if catalog.images(&listed).is_none() { catalog.images_like(&listed) } else { None };
    let (near, known) = match like {
        Some((near, images)) => (Some(near), Some(images)),
        None => (None, catalog.images(&listed)),
    };
    let registry = default_registry(spec);
    let (mut by_key, mut guessed, mut lacking) = (BTreeMap::new(), Vec::new(), Vec::new());
    let of_addons = windlass_addons::images(spec, &version);
    // An add-on that is there goes on in every version: it must never seem to be no longer asked for.
    let before = if of_addons.is_empty() { BTreeMap::new() } else { catalog.images_before(&listed) };
    for key in needed(spec, catalog, &listed, &of_addons) {
        if let Some((image, place)) = named(spec, key) {
            by_key.insert(key, Image { image: image.into(), origin: Some(place) });
        } else if let Some(image) = known
            .as_ref()
            .and_then(|images| images.get(key))
            .or_else(|| before.get(key).filter(|_| of_addons.contains(&key)))
        {
            let image = match registry {
                Some(registry) => format!("{registry}/{image}").into(),
                None => image.as_str().into(),
            };
            by_key.insert(key, Image { image, origin: origin.clone() });
            guessed.push(key);
        } else if !OF_KUBERNETES.contains(&key) || catalog.is_beyond(&listed) {
            lacking.push(key);
        }
    }
    by_key.insert("windlass_node", Image { image: NODE_IMAGE.into(), origin: None });
    let images = Images {
        etcd: by_key.get("etcd").and_then(|etcd| EtcdVersion::of_image(etcd.image.as_str())),
        version,
        version_origin: origin,
        by_key,
    };
    // An image alone names a version that is not listed: the others are those of the nearest.
    let stands_for = near.is_none() && spec.kubernetes_version.is_none() && images.version != listed;
    if stands_for {
        report_guesses(&images.version, &listed, &guessed, catalog, &images, problems);
    } else if let Some(near) = near {
        report_guesses(&listed, near, &guessed, catalog, &images, problems);
    }
    check_etcd(&images, problems);
    tags::check(spec, &images.version, catalog, problems);
    check_version(&listed, &lacking, catalog, &images, problems);
    images
}

/// The version that cluster.yml names, or that of its image of Kubernetes, or the default.
///
/// RKE 1 chooses flags by the image too, since a program does not start with flags that it does not know.
fn desired(spec: &ClusterSpec, catalog: &Catalog, problems: &mut Problems) -> ChosenVersion {
    const IMAGE: &str = "system_images.kubernetes";
    let image = spec.system_images.get("kubernetes");
    let tagged: Option<KubernetesVersion> = image.and_then(|image| tags::version_in(image));
    match (&spec.kubernetes_version, tagged) {
        (Some(named), Some(tagged)) if (tagged.major, tagged.minor) != (named.major, named.minor) => {
            problems.warning(
                IMAGE,
                format!("the image is of Kubernetes {tagged}, while `kubernetes_version` is {named}"),
                Some("the image decides: its version is what runs and what flags are chosen by".to_owned()),
            );
            let origin = Some("kubernetes_version".into());
            ChosenVersion { listed: named.clone(), version: tagged, origin }
        }
        (Some(named), _) => {
            let origin = Some("kubernetes_version".into());
            ChosenVersion { listed: named.clone(), version: named.clone(), origin }
        }
        (None, Some(tagged)) => {
            let listed = catalog.of_tag(&tagged).unwrap_or(&tagged).clone();
            let is_exact = listed.numbers() == tagged.numbers() && listed.suffix.starts_with(&tagged.suffix);
            let version = if is_exact { listed.clone() } else { tagged };
            ChosenVersion { listed, version, origin: Some(IMAGE.into()) }
        }
        (None, None) => {
            let default = catalog.default_version().clone();
            ChosenVersion { listed: default.clone(), version: default, origin: None }
        }
    }
}

/// Says which images are not those of the version itself.
fn report_guesses(
    listed: &KubernetesVersion,
    near: &KubernetesVersion,
    guessed: &[&str],
    catalog: &Catalog,
    images: &Images,
    problems: &mut Problems,
) {
    let quoted = |keys: &[&str]| keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    let summary = if catalog.is_beyond(listed) {
        let (of_rke, published): (Vec<&str>, Vec<&str>) =
            guessed.iter().partition(|key| images.by_key[*key].image.as_str().contains("rancher/"));
        if published.is_empty() && of_rke.is_empty() {
            return;
        }
        let rest = if of_rke.is_empty() {
            String::new()
        } else {
            format!(", and those of {near} for {}", quoted(&of_rke))
        };
        match images.version_origin {
            Some(_) => format!("RKE 1 had no {listed}: the images that Kubernetes publishes are taken{rest}"),
            None => format!(
                "no `kubernetes_version`: {listed} is taken, with the images that Kubernetes publishes{rest}"
            ),
        }
    } else {
        let guessed: Vec<&str> = guessed.iter().copied().filter(|key| *key != "kubernetes").collect();
        if guessed.is_empty() {
            return;
        }
        format!("the images of {listed} are not listed: those of {near} are taken for {}", quoted(&guessed))
    };
    let help = "name them under `system_images` if others are to run".to_owned();
    problems.warning(place_of_version(images), summary, Some(help));
}

/// The place of the version; the file as a whole where it names none.
fn place_of_version(images: &Images) -> &str {
    images.version_origin.as_ref().map_or("", SpecPath::as_str)
}

fn check_version(
    listed: &KubernetesVersion,
    lacking: &[&str],
    catalog: &Catalog,
    images: &Images,
    problems: &mut Problems,
) {
    let version = &images.version;
    let place = place_of_version(images);
    if !catalog.knows_flags_of(version) {
        let (first, last) = catalog.minors();
        problems.error(
            place,
            format!("the flags of Kubernetes {version} are not known"),
            Some(format!("windlass knows those from {first} to {last}")),
        );
    } else if lacking == ["kubelet"] {
        problems.error(
            place,
            format!("Kubernetes publishes no image of kubelet, and {listed} needs one"),
            Some(
                "name one under `system_images.kubelet`, or one with all components under \
                 `system_images.kubernetes`"
                    .to_owned(),
            ),
        );
    } else if !lacking.is_empty() {
        let lacking: Vec<String> = lacking.iter().map(|key| format!("`{key}`")).collect();
        problems.error(
            place,
            format!(
                "no images are known for {listed}, and `system_images` does not name {}",
                lacking.join(", ")
            ),
            Some(match catalog.near(listed) {
                Some(near) => format!("did you mean `{near}`? Else name them under `system_images`"),
                None => "name them under `system_images`, or take a version that `windlass config \
                         --list-version --all` lists"
                    .to_owned(),
            }),
        );
    } else if !catalog.supports(version) && !problems.has_error() {
        problems.warning(
            place,
            format!("Kubernetes {version} is older than what windlass is tried with"),
            Some(format!(
                "its flags are those that RKE 1 gave it, and are not checked; {} and later are tried",
                catalog.first_supported()
            )),
        );
    }
}

/// An etcd that windlass does not understand is refused before a host is touched.
fn check_etcd(images: &Images, problems: &mut Problems) {
    let (Some(etcd), Some(image)) =
        (images.etcd.filter(|etcd| *etcd < EtcdVersion::OLDEST), images.of("etcd"))
    else {
        return;
    };
    let place = image.origin.as_ref().map_or("", SpecPath::as_str);
    let oldest = EtcdVersion::OLDEST;
    let later = if place == "system_images.etcd" {
        format!("name {oldest} or later")
    } else {
        format!("take Kubernetes v1.17 or later, or name an etcd from {oldest} on under `system_images.etcd`")
    };
    problems.error(
        place,
        format!("etcd {etcd} is older than {oldest}, the oldest that windlass can drive"),
        Some(format!(
            "{later}; bring the data of a running cluster there first, one minor version at a time"
        )),
    );
}

/// The keys of the images that this cluster needs, with those of its add-ons.
fn needed(
    spec: &ClusterSpec,
    catalog: &Catalog,
    version: &KubernetesVersion,
    of_addons: &[&'static str],
) -> Vec<&'static str> {
    let mut keys = vec!["pod_infra_container"];
    keys.extend(of_addons);
    if spec.services.etcd.external_urls.is_empty() {
        keys.push("etcd");
    }
    if !catalog.is_beyond(version) || spec.system_images.contains_key("kubernetes") {
        keys.push("kubernetes");
        keys.extend(OF_KUBERNETES.iter().filter(|key| spec.system_images.contains_key(**key)));
    } else {
        keys.extend(OF_KUBERNETES);
    }
    if spec.nodes.iter().any(|node| !node.role.contains(&Role::ControlPlane)) {
        keys.push("nginx_proxy");
    }
    keys.sort_unstable();
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
