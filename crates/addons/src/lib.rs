//! Computes the objects that windlass deploys into the cluster from cluster.yml, the version and facts of the
//! cluster.
//!
//! ```text
//! network.*  ─▶ flannel ─────────────┐
//! dns.*      ─▶ coredns, autoscaler ─┼─▶ DesiredAddon by AddonKind
//! images, ranges, domain ────────────┘
//! ```
//!
//! The objects have the names that RKE 1 gave them, so that those of its clusters are taken over in place.
//! Source of the names: <https://github.com/rancher/kontainer-driver-metadata/tree/dev-v2.10/pkg/rke/templates>.

mod coredns;
mod flannel;
mod objects;
mod problem;
mod strategy;

use std::collections::BTreeMap;

use windlass_model::{AddonKind, DesiredAddon, KubernetesVersion};
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
    [(AddonKind::Network, flannel::addon(wanted)), (AddonKind::Dns, coredns::addon(wanted))]
        .into_iter()
        .filter_map(|(kind, addon)| Some((kind, addon?)))
        .collect()
}

/// The keys of the images that the add-ons of this cluster need.
pub fn images(spec: &ClusterSpec) -> Vec<&'static str> {
    [(flannel::is_desired(spec), flannel::IMAGES), (coredns::is_desired(spec), coredns::IMAGES)]
        .into_iter()
        .filter(|(is_desired, _)| *is_desired)
        .flat_map(|(_, keys)| keys)
        .collect()
}

/// Reports the values that no add-on can use, and those without effect.
pub fn check(spec: &ClusterSpec, problems: &mut Problems) {
    if flannel::is_desired(spec) {
        flannel::check(spec, problems);
    }
    if coredns::is_desired(spec) {
        coredns::check(spec, problems);
    }
}
