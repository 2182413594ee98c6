//! A cluster.yml with what all its nodes share worked out: version, images, features, members by name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use windlass_model::{LocalPorts, NodeName, PodRuntime, Role, SpecPath};
use windlass_spec::{AuthorizationMode, Cidr, ClusterSpec, LocalPortsSpec, NodeSpec, PodRuntimeSpec};

use crate::catalog::{Catalog, Feature, Setting};
use crate::images::{self, Images};
use crate::pod_runtimes;
use crate::secrets::{self, BUCKET, bucket_of};
use windlass_addons::Problems;

/// What all nodes of a cluster share.
pub(crate) struct Cluster<'a> {
    pub(crate) spec: &'a ClusterSpec,
    pub(crate) catalog: &'a Catalog,
    pub(crate) images: Images,
    pub(crate) features: BTreeSet<Feature>,
    /// How kubelets reach Docker, on nodes whose pods it runs.
    docker: PodRuntime,
    /// The nodes by name, so that their order in the file means nothing.
    pub(crate) nodes: BTreeMap<NodeName, Member<'a>>,
    pub(crate) service_ranges: Vec<Cidr>,
}

/// One node and where it stands in cluster.yml.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) spec: &'a NodeSpec,
    pub(crate) index: usize,
}

impl Member<'_> {
    pub(crate) fn has(&self, role: Role) -> bool {
        self.spec.role.contains(&role)
    }

    /// The internal address as it stands in a URL.
    pub(crate) fn url_host(&self) -> String {
        url_host(self.spec.internal_address())
    }
}

/// A host as it stands in a URL: an IPv6 address goes in brackets. `NodeTarget::peer_url` does the same.
fn url_host(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// RKE 1's range of Service addresses.
const SERVICE_RANGE: Cidr = Cidr { address: IpAddr::V4(std::net::Ipv4Addr::new(10, 43, 0, 0)), prefix: 16 };

impl<'a> Cluster<'a> {
    pub(crate) fn new(spec: &'a ClusterSpec, catalog: &'a Catalog, problems: &mut Problems) -> Self {
        let images = images::choose(spec, catalog, problems);
        let features = features(spec, &images);
        let docker = pod_runtimes::docker(spec, &images.version, problems);
        let nodes = spec
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| !node.role.is_empty())
            .map(|(index, node)| (node.name(), Member { spec: node, index }))
            .collect();
        let ranges = spec.services.service_ranges();
        let service_ranges = if ranges.is_empty() { vec![SERVICE_RANGE] } else { ranges };
        Self { spec, catalog, images, features, docker, nodes, service_ranges }
    }

    /// What runs the containers of pods on a node.
    pub(crate) fn pod_runtime(&self, node: &Member<'_>) -> PodRuntime {
        match node.spec.windlass.pod_runtime.or(self.spec.windlass.pod_runtime) {
            Some(PodRuntimeSpec::Containerd) => PodRuntime::Containerd,
            Some(PodRuntimeSpec::Docker) | None => self.docker,
        }
    }

    /// The nodes that have this role, by name.
    pub(crate) fn with_role(&self, role: Role) -> impl Iterator<Item = (&NodeName, &Member<'a>)> {
        self.nodes.iter().filter(move |(_, node)| node.has(role))
    }

    pub(crate) fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    pub(crate) fn cluster_domain(&self) -> &'a str {
        self.spec.services.kubelet.cluster_domain.as_deref().unwrap_or("cluster.local")
    }

    /// What runs the containers of pods, on any node.
    pub(crate) fn pod_runtimes(&self) -> BTreeSet<PodRuntime> {
        self.nodes.values().map(|node| self.pod_runtime(node)).collect()
    }

    /// Who issues the tokens of service accounts.
    pub(crate) fn token_issuer(&self) -> String {
        let own = || format!("https://kubernetes.default.svc.{}", self.cluster_domain());
        self.spec.windlass.token_issuer.clone().unwrap_or_else(own)
    }

    /// Whether ports that a node alone needs can be reached from elsewhere.
    pub(crate) fn local_ports(&self) -> LocalPorts {
        if self.has(Feature::LocalPorts) { LocalPorts::Closed } else { LocalPorts::Open }
    }

    /// Whether etcd's nodes take snapshots by themselves.
    pub(crate) fn takes_snapshots(&self) -> bool {
        let etcd = &self.spec.services.etcd;
        etcd.snapshot.unwrap_or(true)
            && etcd.backup_config.as_ref().is_none_or(|backup| backup.enabled.unwrap_or(true))
    }

    /// Whether Secrets are encrypted with a key that windlass makes.
    pub(crate) fn has_own_encryption_key(&self) -> bool {
        let config = self.spec.services.kube_api.secrets_encryption.as_ref();
        self.has(Feature::Encryption) && config.is_some_and(|config| config.custom_config.is_none())
    }

    /// The keys of cluster.yml that switch features on, for those that it has.
    pub(crate) fn places_of_features(&self) -> BTreeMap<Feature, SpecPath> {
        let ClusterSpec { authentication, services, cloud_provider, private_registries, .. } = self.spec;
        [
            (Feature::Webhook, place_of(authentication.webhook.as_ref(), "authentication.webhook")),
            (Feature::Webhook, place_of(authentication.strategy.first(), "authentication.strategy")),
            (Feature::LocalPorts, place_of(self.spec.windlass.local_ports.as_ref(), "windlass.local_ports")),
            (Feature::Audit, place_of(services.kube_api.audit_log.as_ref(), "services.kube-api.audit_log")),
            (
                Feature::ServingCertificates,
                place_of(
                    services.kubelet.generate_serving_certificate.as_ref(),
                    "services.kubelet.generate_serving_certificate",
                ),
            ),
            (Feature::CriDockerd, place_of(self.spec.enable_cri_dockerd.as_ref(), "enable_cri_dockerd")),
            (Feature::RegistryAuth, place_of(private_registries.first(), "private_registries")),
            (Feature::CloudProvider, place_of(cloud_provider.as_ref(), "cloud_provider.name")),
            (
                Feature::Encryption,
                place_of(
                    services.kube_api.secrets_encryption.as_ref(),
                    "services.kube-api.secrets_encryption_config",
                ),
            ),
            (
                Feature::ExternalEtcd,
                place_of(services.etcd.external_urls.first(), "services.etcd.external_urls"),
            ),
            (Feature::Prefix, place_of(self.spec.prefix_path.as_ref(), "prefix_path")),
            (Feature::Bucket, place_of(bucket_of(self.spec), BUCKET)),
        ]
        .into_iter()
        .rev()
        .filter_map(|(feature, place)| Some((feature, place?)))
        .collect()
    }

    pub(crate) fn setting(&self) -> Setting<'_> {
        Setting { version: &self.images.version, etcd: self.images.etcd, features: &self.features }
    }
}

/// What cluster.yml switches on.
fn features(spec: &ClusterSpec, images: &Images) -> BTreeSet<Feature> {
    let authentication = &spec.authentication;
    // Without the section the audit log is on, from these versions on; a section must say so itself. So RKE 1 has it.
    let audit = match &spec.services.kube_api.audit_log {
        Some(log) => log.enabled.unwrap_or(false),
        None => match images.version.numbers() {
            (1, 15, patch) => patch >= 11,
            (1, 16, patch) => patch >= 8,
            (1, 17, patch) => patch >= 4,
            (major, minor, _) => (major, minor) > (1, 17),
        },
    };
    [
        (Feature::Rbac, spec.authorization != Some(AuthorizationMode::None)),
        (
            Feature::Webhook,
            authentication.webhook.is_some()
                || authentication.strategy.iter().any(|strategy| strategy == "webhook"),
        ),
        (Feature::Audit, audit),
        (Feature::ServingCertificates, spec.services.kubelet.generate_serving_certificate.unwrap_or(false)),
        (Feature::RegistryAuth, secrets::has_credentials(spec)),
        (Feature::CloudProvider, spec.cloud_provider.as_ref().is_some_and(|cloud| cloud.name.is_some())),
        (Feature::LocalPorts, spec.windlass.local_ports != Some(LocalPortsSpec::Open)),
        (Feature::RkeIssuer, spec.windlass.token_issuer.as_deref() == Some("rke")),
        (
            Feature::Encryption,
            spec.services
                .kube_api
                .secrets_encryption
                .as_ref()
                .is_some_and(|config| config.enabled == Some(true)),
        ),
        (Feature::OwnEtcd, spec.services.etcd.external_urls.is_empty()),
        (Feature::ExternalEtcd, !spec.services.etcd.external_urls.is_empty()),
        (Feature::Bucket, bucket_of(spec).is_some()),
    ]
    .into_iter()
    .filter_map(|(feature, on)| on.then_some(feature))
    .collect()
}

/// The place, if cluster.yml has something there.
pub(crate) fn place_of<T>(value: Option<&T>, path: &str) -> Option<SpecPath> {
    value.map(|_| SpecPath::from(path))
}
