//! What windlass knows of Kubernetes versions: a version is data, and the code only reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Deserializer};
use windlass_model::{
    Component, DEFAULT_KUBERNETES, EtcdVersion, KubernetesVersion, OnChange, PidMode, Privilege,
};

use crate::rke_images;
use crate::template::Template;

/// Images by version, and what each component's container is made of by minor version.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// What is known beside RKE 1's own table: further versions, and further keys of its versions.
    versions: BTreeMap<KubernetesVersion, BTreeMap<String, String>>,
    default_version: KubernetesVersion,
    minors: Minors,
    /// The images that Kubernetes publishes of itself, by the minor version from which on they hold.
    beyond: BTreeMap<Minor, BTreeMap<String, Template>>,
    newest: Newest,
    components: BTreeMap<Component, Recipe>,
}

/// The newest known patches.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Newest {
    kubernetes: Vec<KubernetesVersion>,
    etcd: Vec<EtcdVersion>,
    etcd_image: String,
}

/// Why a text is no catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// It is not in the form of a catalog.
    #[error("the catalog cannot be read")]
    Form(#[from] serde_yaml::Error),
    /// The version taken where cluster.yml names none has no images.
    #[error("the default version {0} is not among the versions")]
    DefaultWithoutImages(KubernetesVersion),
}

impl Catalog {
    /// The catalog that is part of windlass.
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Catalog> = LazyLock::new(|| {
            Catalog::parse(include_str!("catalog.yml")).expect("a test parses the built-in catalog")
        });
        &BUILTIN
    }

    /// Reads a catalog.
    ///
    /// # Errors
    /// If the text is not in the form of a catalog, or lacks the default version.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let file: CatalogFile = serde_yaml::from_str(text)?;
        let CatalogFile { minors, versions, beyond, newest, components } = file;
        let default_version = DEFAULT_KUBERNETES.parse().expect("a test reads the built-in catalog");
        let catalog = Self { versions, default_version, minors, beyond, newest, components };
        if catalog.images_like(&catalog.default_version).is_none() {
            return Err(CatalogError::DefaultWithoutImages(catalog.default_version));
        }
        Ok(catalog)
    }

    /// The versions whose images are known, oldest first: all of RKE 1's, a few beside, and the newest patches beyond.
    pub fn versions(&self) -> impl Iterator<Item = &KubernetesVersion> {
        let mut all: BTreeSet<&KubernetesVersion> = self.versions.keys().collect();
        all.extend(&self.newest.kubernetes);
        for version in rke_images::versions() {
            all.insert(version);
        }
        all.into_iter()
    }

    /// The version taken where cluster.yml names none.
    pub fn default_version(&self) -> &KubernetesVersion {
        &self.default_version
    }

    /// The images of a version, by the keys of `system_images`; none if the version is unknown.
    pub fn images(&self, version: &KubernetesVersion) -> Option<BTreeMap<String, String>> {
        let (of_rke, beside) = (rke_images::images(version), self.versions.get(version));
        if of_rke.is_none() && beside.is_none() {
            return None;
        }
        let mut images = of_rke.unwrap_or_default();
        images.extend(beside.into_iter().flatten().map(|(key, image)| (key.clone(), image.clone())));
        Some(images)
    }

    /// The images of the newest of RKE 1's versions that is no newer: for what is deployed into a cluster whose other
    /// images cluster.yml names.
    pub(crate) fn images_before(&self, version: &KubernetesVersion) -> BTreeMap<String, String> {
        let near = rke_images::versions().rfind(|near| *near <= version);
        let near = near.or_else(|| rke_images::versions().next());
        let mut images = near.and_then(|near| self.images(near)).unwrap_or_default();
        // What RKE 1 did not have in any version is that of the first version that has it.
        let of_rke =
            rke_images::versions().next_back().and_then(|last| self.images(last)).unwrap_or_default();
        let beyond = self.beyond.values().next().into_iter().flatten();
        for (key, image) in beyond.filter(|(key, _)| !of_rke.contains_key(*key)) {
            images.extend(image.fill(|_| None).map(|image| (key.clone(), image)));
        }
        images
    }

    /// The images of a version that is not listed, and the listed version that most of them are of.
    ///
    /// A version of RKE 1 in form has Kubernetes' image by its name, and the others of the nearest listed version of
    /// the same minor, or else before it. Beyond the last minor version of RKE 1 the images are those that Kubernetes
    /// publishes of itself; what it does not publish is of the last listed version, but for Kubernetes itself.
    pub fn images_like(
        &self,
        version: &KubernetesVersion,
    ) -> Option<(&KubernetesVersion, BTreeMap<String, String>)> {
        if !self.knows_flags_of(version) {
            return None;
        }
        if self.is_beyond(version) {
            let near = rke_images::versions().next_back()?;
            let mut images = self.images(near)?;
            images.remove("kubernetes");
            images.extend(self.published(version));
            return Some((near, images));
        }
        let hyperkube = rke_images::hyperkube(version)?;
        let same = |near: &KubernetesVersion| (near.major, near.minor) == (version.major, version.minor);
        // A later etcd of the same minor is safe; one of an earlier minor may not read the data.
        let near = rke_images::versions()
            .rfind(|near| *near <= version && same(near))
            .or_else(|| rke_images::versions().find(|near| same(near)))
            .or_else(|| rke_images::versions().rfind(|near| *near <= version))
            .or_else(|| rke_images::versions().next())?;
        let mut images = self.images(near)?;
        images.insert("kubernetes".to_owned(), hyperkube);
        Some((near, images))
    }

    /// Whether a version is of a later minor than any that RKE 1 had.
    pub(crate) fn is_beyond(&self, version: &KubernetesVersion) -> bool {
        self.beyond.keys().next().is_some_and(|first| *first <= Minor::of(version))
    }

    /// The images that Kubernetes publishes of itself for a version.
    fn published(&self, version: &KubernetesVersion) -> impl Iterator<Item = (String, String)> {
        let (major, minor, patch) = version.numbers();
        let numbers = format!("v{major}.{minor}.{patch}");
        let of_minor = self.beyond.range(..=Minor::of(version)).flat_map(|(_, images)| images);
        of_minor.filter_map(move |(key, image)| {
            Some((key.clone(), image.fill(|name| (name == "version").then_some(&*numbers))?))
        })
    }

    /// The listed version that a version without RKE 1's suffix, such as `v1.24.8`, comes nearest to: of the same minor.
    pub fn near(&self, version: &KubernetesVersion) -> Option<&KubernetesVersion> {
        let patch = |near: &KubernetesVersion| near.numbers().2.abs_diff(version.numbers().2);
        rke_images::versions()
            .filter(|near| (near.major, near.minor) == (version.major, version.minor))
            // Of equally near ones the last: the newest build.
            .min_by_key(|near| (patch(near), std::cmp::Reverse(*near)))
    }

    /// The listed version that an image of this version belongs to: of those with its numbers and its build the
    /// newest, else the nearest of its minor.
    pub(crate) fn of_tag(&self, tagged: &KubernetesVersion) -> Option<&KubernetesVersion> {
        let build = format!("{}-", tagged.suffix);
        let is_of = |listed: &&KubernetesVersion| {
            listed.numbers() == tagged.numbers()
                && (listed.suffix == tagged.suffix || listed.suffix.starts_with(&build))
        };
        self.versions
            .get_key_value(tagged)
            .map(|(listed, _)| listed)
            .or_else(|| rke_images::versions().rfind(is_of).or_else(|| self.near(tagged)))
    }

    /// The newest known version of a minor version.
    pub(crate) fn newest_of(&self, minor: Minor) -> Option<KubernetesVersion> {
        let is_of = |version: &&KubernetesVersion| Minor::of(version) == minor;
        rke_images::versions().rfind(is_of).or_else(|| self.newest.kubernetes.iter().rfind(is_of)).cloned()
    }

    /// The etcd that goes with a version, where it is listed or its neighbours are.
    pub(crate) fn etcd_of(&self, version: &KubernetesVersion) -> Option<EtcdVersion> {
        let images = self.images(version).or_else(|| Some(self.images_like(version)?.1))?;
        EtcdVersion::of_image(images.get("etcd")?)
    }

    /// The newest known etcd of a minor version.
    pub(crate) fn newest_etcd(&self, minor: (u32, u32)) -> Option<EtcdVersion> {
        self.newest.etcd.iter().rfind(|etcd| etcd.minor() == minor).copied()
    }

    /// The newest minor version of etcd that is known.
    pub(crate) fn newest_minor_of_etcd(&self) -> Option<Minor> {
        self.newest.etcd.iter().map(|etcd| Minor::of_etcd(*etcd)).max()
    }

    /// etcd's own image of a version.
    pub(crate) fn etcd_image(&self, etcd: EtcdVersion) -> Option<String> {
        let name = &self.newest.etcd_image;
        (!name.is_empty()).then(|| format!("{name}:{etcd}"))
    }

    /// Whether the flags of this version's minor are known.
    pub fn knows_flags_of(&self, version: &KubernetesVersion) -> bool {
        let minor = Minor::of(version);
        self.minors.first <= minor && minor <= self.minors.last
    }

    /// The first and the last minor version whose flags are known.
    pub fn minors(&self) -> (String, String) {
        (self.minors.first.to_string(), self.minors.last.to_string())
    }

    /// Whether this is of the versions that windlass is made for; of older ones only RKE 1's flags are known.
    pub fn supports(&self, version: &KubernetesVersion) -> bool {
        self.knows_flags_of(version) && self.minors.supported <= Minor::of(version)
    }

    /// The first minor version that windlass is made for.
    pub(crate) fn first_supported(&self) -> String {
        self.minors.supported.to_string()
    }

    /// What a component's container is made of.
    pub(crate) fn recipe(&self, component: Component) -> Option<&Recipe> {
        self.components.get(&component)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogFile {
    minors: Minors,
    versions: BTreeMap<KubernetesVersion, BTreeMap<String, String>>,
    #[serde(default)]
    beyond: BTreeMap<Minor, BTreeMap<String, Template>>,
    #[serde(default)]
    newest: Newest,
    components: BTreeMap<Component, Recipe>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Minors {
    first: Minor,
    supported: Minor,
    last: Minor,
}

/// A minor version such as `v1.22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Minor(pub(crate) u32, pub(crate) u32);

impl Minor {
    pub(crate) fn of(version: &KubernetesVersion) -> Self {
        Self(version.major, version.minor)
    }

    /// That of etcd, by which its flags are known.
    pub(crate) fn of_etcd(version: EtcdVersion) -> Self {
        let (major, minor) = version.minor();
        Self(major, minor)
    }
}

impl std::fmt::Display for Minor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v{}.{}", self.0, self.1)
    }
}

impl FromStr for Minor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.strip_prefix('v')
            .and_then(|numbers| numbers.split_once('.'))
            .and_then(|(major, minor)| Some(Self(major.parse().ok()?, minor.parse().ok()?)))
            .ok_or_else(|| format!("`{text}` is no minor version such as `v1.22`"))
    }
}

impl<'de> Deserialize<'de> for Minor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a component's container is made of, for all versions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    /// The key of its image in `system_images`.
    pub(crate) image: String,
    /// The program that it runs.
    pub(crate) program: String,
    /// The arguments of the program.
    pub(crate) flags: Vec<Entry>,
    /// Environment variables as `NAME=value`.
    #[serde(default)]
    pub(crate) env: Vec<Entry>,
    /// Bind mounts.
    pub(crate) binds: Vec<Entry>,
    #[serde(default)]
    pub(crate) pid: PidMode,
    #[serde(default)]
    pub(crate) privilege: Privilege,
    /// What a change of a file that it reads asks for.
    #[serde(default = "replace")]
    pub(crate) on_change: OnChange,
}

fn replace() -> OnChange {
    OnChange::Replace
}

/// One line of a list, and when it holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "EntryFile")]
pub(crate) struct Entry(Conditional);

#[derive(Deserialize)]
#[serde(untagged)]
enum EntryFile {
    Always(Template),
    Sometimes(Conditional),
}

impl From<EntryFile> for Entry {
    fn from(file: EntryFile) -> Self {
        match file {
            EntryFile::Always(text) => Self(Conditional {
                text,
                from: None,
                before: None,
                etcd_from: None,
                etcd_before: None,
                only: None,
                with: None,
            }),
            EntryFile::Sometimes(conditional) => Self(conditional),
        }
    }
}

/// A text and the conditions that must all hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Conditional {
    text: Template,
    from: Option<Minor>,
    before: Option<Minor>,
    etcd_from: Option<EtcdVersion>,
    etcd_before: Option<EtcdVersion>,
    only: Option<Vec<KubernetesVersion>>,
    with: Option<Feature>,
}

/// Something that cluster.yml switches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Feature {
    /// Role-based access control.
    Rbac,
    /// Tokens are checked by a webhook.
    Webhook,
    /// The API server keeps an audit log.
    Audit,
    /// kubelet serves with a certificate of the cluster's authority.
    ServingCertificates,
    /// kubelet of the node reaches Docker through cri-dockerd.
    CriDockerd,
    /// kubelet of the node has pods run by containerd.
    Containerd,
    /// Pods' images are pulled with credentials out of cluster.yml.
    RegistryAuth,
    /// The nodes run in a cloud.
    CloudProvider,
    /// Tokens are issued by `rke`, which is no URL, as RKE 1 had it.
    RkeIssuer,
    /// Secrets are encrypted in etcd.
    Encryption,
    /// The members of etcd are nodes of the cluster.
    OwnEtcd,
    /// etcd is outside of the cluster.
    ExternalEtcd,
    /// Host directories are under another prefix than `/`.
    Prefix,
    /// Ports that a node alone needs are reached from there alone.
    LocalPorts,
    /// Snapshots of etcd are copied into a bucket.
    Bucket,
}

#[cfg(test)]
impl Feature {
    /// All of them.
    pub(crate) const ALL: [Self; 15] = [
        Self::Rbac,
        Self::Webhook,
        Self::Audit,
        Self::ServingCertificates,
        Self::CriDockerd,
        Self::Containerd,
        Self::RegistryAuth,
        Self::CloudProvider,
        Self::RkeIssuer,
        Self::Encryption,
        Self::OwnEtcd,
        Self::ExternalEtcd,
        Self::Prefix,
        Self::LocalPorts,
        Self::Bucket,
    ];
}

/// What the conditions of entries are held against.
pub(crate) struct Setting<'a> {
    pub(crate) version: &'a KubernetesVersion,
    /// Absent where the image's tag tells none: then the newest is assumed.
    pub(crate) etcd: Option<EtcdVersion>,
    pub(crate) features: &'a BTreeSet<Feature>,
}

impl Entry {
    /// What cluster.yml must switch on for it to hold.
    pub(crate) fn feature(&self) -> Option<Feature> {
        self.0.with
    }

    /// The text, if its conditions hold.
    pub(crate) fn text_in(&self, setting: &Setting<'_>) -> Option<&Template> {
        let Conditional { text, from, before, etcd_from, etcd_before, only, with } = &self.0;
        let minor = Minor::of(setting.version);
        let holds = from.is_none_or(|from| from <= minor)
            && before.is_none_or(|before| minor < before)
            && etcd_from.is_none_or(|from| setting.etcd.is_none_or(|etcd| from <= etcd))
            && etcd_before.is_none_or(|before| setting.etcd.is_some_and(|etcd| etcd < before))
            && only.as_ref().is_none_or(|only| only.contains(setting.version))
            && with.is_none_or(|feature| setting.features.contains(&feature));
        holds.then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalog_is_whole() {
        let catalog = Catalog::parse(include_str!("catalog.yml")).unwrap();
        for component in Component::ALL {
            assert!(catalog.recipe(component).is_some(), "{component}");
        }
        for version in catalog.versions() {
            assert!(catalog.knows_flags_of(version), "{version}");
            let images = catalog.images(version).or_else(|| Some(catalog.images_like(version)?.1)).unwrap();
            let kubernetes = if catalog.is_beyond(version) { "kubelet" } else { "kubernetes" };
            for needed in ["etcd", kubernetes, "nginx_proxy", "pod_infra_container"] {
                assert!(images.contains_key(needed), "{version} {needed}");
            }
        }
    }

    #[test]
    fn a_condition_that_is_misspelt_is_refused() {
        let text = include_str!("catalog.yml").replace("before: v1.24", "befor: v1.24");
        assert!(Catalog::parse(&text).is_err());
    }
}
