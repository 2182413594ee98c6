//! Computes the objects that windlass deploys into the cluster from cluster.yml, the version and facts of the
//! cluster.
//!
//! ```text
//! network.*  ─▶ flannel ─────────────┐
//! dns.*      ─▶ coredns, autoscaler ─┤
//! monitoring.* ▶ metrics ────────────┼─▶ DesiredAddon by AddonKind
//! ingress.*  ─▶ traefik ─────────────┤
//! addons*    ─▶ manifests ───────────┤
//! images, ranges, domain ────────────┘
//! ```
//!
//! The objects have the names that RKE 1 gave them, so that those of its clusters are taken over in place.
//! Source of the names: <https://github.com/rancher/kontainer-driver-metadata/tree/dev-v2.10/pkg/rke/templates>.

mod coredns;
mod flannel;
mod manifests;
mod metrics;
mod objects;
mod problem;
mod strategy;
mod traefik;

use std::collections::BTreeMap;

use windlass_model::{AddonKind, DesiredAddon, KubernetesVersion, ObjectRef};
use windlass_spec::{AuthorizationMode, Cidr, ClusterSpec};

pub use self::problem::{Problem, Problems, Severity};

/// The input of a cluster's add-ons.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What cluster.yml says.
    pub spec: &'a ClusterSpec,
    /// The version of Kubernetes.
    pub version: &'a KubernetesVersion,
    /// The ranges of the pods' addresses.
    pub pod_ranges: &'a [Cidr],
    /// The address of the DNS server that pods use.
    pub cluster_dns: &'a str,
    /// The domain of the names of Services.
    pub cluster_domain: &'a str,
    /// Images by the keys of `system_images`.
    pub images: &'a BTreeMap<&'static str, String>,
}

impl Wanted<'_> {
    /// Whether roles determine what an account may do.
    fn has_roles(&self) -> bool {
        self.spec.authorization != Some(AuthorizationMode::None)
    }
}

/// The add-ons of the cluster; one whose images are not all known is left out.
pub fn addons(wanted: &Wanted<'_>) -> BTreeMap<AddonKind, DesiredAddon> {
    let manifests = manifests::addon(wanted.spec);
    own(wanted)
        .into_iter()
        .chain([(AddonKind::Manifests, manifests)])
        .filter_map(|(kind, addon)| Some((kind, addon?)))
        .collect()
}

/// What windlass itself brings, in the order in which it is applied.
fn own(wanted: &Wanted<'_>) -> [(AddonKind, Option<DesiredAddon>); 4] {
    [
        (AddonKind::Network, flannel::addon(wanted)),
        (AddonKind::Dns, coredns::addon(wanted)),
        (AddonKind::Metrics, metrics::addon(wanted)),
        (AddonKind::Ingress, traefik::addon(wanted)),
    ]
}

/// The objects that windlass itself deploys; only their bodies depend on version, images and ranges.
fn own_objects(spec: &ClusterSpec, version: &KubernetesVersion) -> Vec<ObjectRef> {
    let wanted = Wanted {
        spec,
        version,
        pod_ranges: &[],
        cluster_dns: "",
        cluster_domain: "",
        images: &images(spec, version).into_iter().map(|key| (key, String::new())).collect(),
    };
    let addons = own(&wanted).into_iter().filter_map(|(_, addon)| addon);
    addons.flat_map(|addon| addon.objects).map(|desired| desired.object).collect()
}

/// The keys of the images that the add-ons of this cluster need.
pub fn images(spec: &ClusterSpec, version: &KubernetesVersion) -> Vec<&'static str> {
    [
        (flannel::is_desired(spec), &flannel::IMAGES[..]),
        (coredns::is_desired(spec), &coredns::IMAGES),
        (metrics::is_desired(spec), &metrics::IMAGES),
        (traefik::is_desired(spec, version), &traefik::IMAGES),
    ]
    .into_iter()
    .filter(|(is_desired, _)| *is_desired)
    .flat_map(|(_, keys)| keys.iter().copied())
    .collect()
}

/// What RKE 1 would deploy for this cluster.yml, and windlass does not; none where there is nothing.
pub fn ingress_not_deployed(spec: &ClusterSpec, version: &KubernetesVersion) -> Option<&'static str> {
    let is_none = spec.ingress.provider.as_deref() == Some("none");
    (!is_none && !traefik::is_desired(spec, version)).then_some("nginx")
}

/// Whether windlass deploys metrics-server.
pub fn deploys_metrics(spec: &ClusterSpec) -> bool {
    metrics::is_desired(spec)
}

/// Reports the values that no add-on can use, and those without effect.
pub fn check(spec: &ClusterSpec, version: &KubernetesVersion, problems: &mut Problems) {
    if flannel::is_desired(spec) {
        flannel::check(spec, problems);
    }
    if coredns::is_desired(spec) {
        coredns::check(spec, problems);
    }
    if metrics::is_desired(spec) {
        metrics::check(spec, problems);
    }
    if traefik::is_desired(spec, version) {
        traefik::check(spec, version, problems);
    }
    if !spec.manifests.is_empty() {
        manifests::check(spec, &own_objects(spec, version), problems);
    }
}
