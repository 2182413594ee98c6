//! From the file to the complete desired state.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_model::{
    AddonKind, BeforeUpgrade, Blueprint, BlueprintOrigins, Component, DesiredAddon, DesiredEtcd,
    DrainOptions, Emptied, EtcdPlace, Fact, Foundation, HostFacts, KeysPhase, LedgerInCluster, Limit,
    LogSnapshots, NodeName, PodRuntime, Prefix, Rollout, San, Secret, SecretName, SpecPath,
};
use windlass_spec::{Cidr, ClusterSpec, LedgerInClusterSpec, MaxUnavailable, Severity};

use crate::catalog::Catalog;
use crate::certificates::certificates;
use crate::checks::check;
use crate::cluster::{Cluster, place_of};
use crate::nodes::Kit;
use crate::prefixes::{self, footprints};
use crate::secrets::secrets;
use windlass_addons::{Problem, Problems, Wanted};

/// What a cluster.yml comes to with a catalog.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The complete desired state; absent exactly if a problem is an error.
    pub blueprint: Option<Blueprint>,
    /// The values of the secrets that the blueprint names.
    pub secrets: Vec<(SecretName, Secret<String>)>,
    /// What only the catalog can tell of the file.
    pub problems: Vec<Problem>,
}

/// Resolves a cluster.yml with a catalog into the complete desired state.
///
/// `hosts` are the facts seen of machines; where one has not been seen, the facts of an ordinary machine are
/// assumed. The order of nodes in the file changes nothing but origins.
///
/// What the cluster is founded on depends on no machine: there the place of etcd's data is the one under the
/// `prefix_path` of the file, also where the systems of machines ask for another prefix.
pub fn resolve(spec: &ClusterSpec, catalog: &Catalog, hosts: &BTreeMap<NodeName, HostFacts>) -> Resolution {
    let mut problems = Problems::default();
    let cluster = Cluster::new(spec, catalog, &mut problems);
    check(&cluster, &mut problems);
    let blueprint = if problems.has_error() { None } else { blueprint(&cluster, hosts) };
    Resolution { blueprint, secrets: secrets(spec), problems: problems.0 }
}

/// What only the catalog can tell of a cluster.yml of which not all could be read.
///
/// Where something could not be read, its default is assumed. So nothing but an error is reported of the sections in which
/// one of these paths lies, where something could not be read.
pub fn problems(partial: &ClusterSpec, catalog: &Catalog, unread: &[String]) -> Vec<Problem> {
    let mut problems = Problems::default();
    let cluster = Cluster::new(partial, catalog, &mut problems);
    check(&cluster, &mut problems);
    let is_unread = |path: &str| unread.iter().any(|unread| unread == path);
    let section = |path: &str| path.split(['.', '[']).take(2).map(str::to_owned).collect::<Vec<_>>();
    let sections: Vec<Vec<String>> = unread.iter().map(|path| section(path)).collect();
    let is_deployed = |path: &Vec<String>| {
        path.first()
            .is_some_and(|first| matches!(first.as_str(), "network" | "dns" | "ingress" | "monitoring"))
    };
    let is_sure = |problem: &Problem| {
        let path = problem.path.as_str();
        let is_of_deployed = path.is_empty() || is_deployed(&section(path));
        problem.severity == Severity::Error
            || (path.contains(".extra_args") && !is_unread(path))
            || !(sections.contains(&section(path)) || (is_of_deployed && sections.iter().any(is_deployed)))
    };
    problems.0.into_iter().filter(is_sure).collect()
}

fn blueprint(cluster: &Cluster<'_>, hosts: &BTreeMap<NodeName, HostFacts>) -> Option<Blueprint> {
    let ordinary = HostFacts::default();
    let facts_of = |name: &NodeName| hosts.get(name).unwrap_or(&ordinary);
    let footprints = footprints(cluster);

    let ordinary_prefix = prefixes::ordinary(cluster);
    let mut kits: BTreeMap<(Option<&Prefix>, PodRuntime), Kit> = BTreeMap::new();
    let mut nodes = BTreeMap::new();
    for (name, node) in &cluster.nodes {
        let facts = facts_of(name);
        let prefix = footprints.prefix_on(&facts.operating_system);
        let runtime = cluster.pod_runtime(node);
        let kit = kits.entry((prefix, runtime)).or_insert_with(|| {
            Kit::new(cluster, prefix.map_or(ordinary_prefix, |prefix| prefix.as_str()), runtime)
        });
        nodes.insert(name.clone(), kit.node(name, node, facts, cluster, prefix));
    }

    let etcd = etcd_of(cluster.spec);
    // Neither the runtime nor the prefix of a machine's system is part of what a cluster is founded on.
    let kit = Kit::new(cluster, ordinary_prefix, PodRuntime::default());
    let (foundation, foundation_origins) = foundation(cluster, &kit, &etcd)?;
    let ranges = ranges_of(&foundation.service_range);
    let addons = addons_of(cluster, &kit, &foundation);
    Some(Blueprint {
        cluster: cluster.spec.cluster_name.clone().unwrap_or_else(|| "local".to_owned()),
        version: cluster.images.version.clone(),
        nodes,
        etcd,
        certs: certificates(cluster, &ranges, &foundation.cluster_domain),
        foundation,
        rollout: rollout(cluster.spec),
        etcd_log: LogSnapshots::default(),
        keys_phase: KeysPhase::default(),
        before_upgrade: match cluster.spec.windlass.snapshot_before_upgrade {
            Some(false) => BeforeUpgrade::Nothing,
            Some(true) | None => BeforeUpgrade::Snapshot,
        },
        ledger_in_cluster: match cluster.spec.windlass.ledger_in_cluster {
            Some(LedgerInClusterSpec::None) => LedgerInCluster::None,
            Some(LedgerInClusterSpec::Encrypted) | None => LedgerInCluster::Encrypted,
        },
        addons,
        footprints: Arc::new(footprints),
        origins: BlueprintOrigins {
            version: cluster.images.version_origin.clone(),
            sans: place_of(cluster.spec.authentication.sans.first(), "authentication.sans"),
            each_san: places_of_sans(cluster.spec),
            foundation: foundation_origins,
            ledger_in_cluster: place_of(
                cluster.spec.windlass.ledger_in_cluster.as_ref(),
                "windlass.ledger_in_cluster",
            ),
        },
    })
}

/// Where each name of the API servers is that no node has.
fn places_of_sans(spec: &ClusterSpec) -> BTreeMap<SpecPath, San> {
    let listed = spec.authentication.sans.iter().enumerate();
    let listed = listed.map(|(index, name)| (format!("authentication.sans[{index}]"), San::parse(name)));
    let endpoint = spec.windlass.endpoint.iter();
    let endpoint = endpoint.map(|endpoint| ("windlass.endpoint".to_owned(), San::parse(&endpoint.host)));
    listed.chain(endpoint).map(|(place, san)| (place.into(), san)).collect()
}

fn ranges_of(text: &str) -> Vec<Cidr> {
    text.split(',').filter_map(|range| range.parse().ok()).collect()
}

/// What is deployed into the cluster, made of what its components really get.
fn addons_of(cluster: &Cluster<'_>, kit: &Kit, foundation: &Foundation) -> BTreeMap<AddonKind, DesiredAddon> {
    let cluster_dns = kit.prepared(Component::Kubelet).and_then(|kubelet| kubelet.shared_flag("cluster-dns"));
    // With several addresses the first is that of the Service.
    let cluster_dns = cluster_dns.and_then(|(addresses, _)| addresses.split(',').next()).unwrap_or_default();
    let image = |key| Some((key, cluster.images.of(key)?.image.to_string()));
    windlass_addons::addons(&Wanted {
        spec: cluster.spec,
        version: &cluster.images.version,
        pod_ranges: &ranges_of(&foundation.pod_range),
        cluster_dns,
        cluster_domain: &foundation.cluster_domain,
        images: &windlass_addons::images(cluster.spec, &cluster.images.version)
            .into_iter()
            .filter_map(image)
            .collect(),
    })
}

fn etcd_of(spec: &ClusterSpec) -> DesiredEtcd {
    let etcd = &spec.services.etcd;
    if etcd.external_urls.is_empty() {
        return DesiredEtcd::OfNodes;
    }
    let prefix = etcd.path.clone().unwrap_or_else(|| "/registry".to_owned());
    DesiredEtcd::External { urls: etcd.external_urls.clone(), prefix }
}

/// What the components really get, whether by a key of its own or by `extra_args`.
fn foundation(
    cluster: &Cluster<'_>,
    kit: &Kit,
    etcd: &DesiredEtcd,
) -> Option<(Foundation, BTreeMap<Fact, SpecPath>)> {
    let mut origins = BTreeMap::new();
    let mut fact = |fact: Fact, component, flag| {
        let (value, place) = kit.prepared(component)?.shared_flag(flag)?;
        if let Some(place) = place {
            origins.insert(fact, place.clone());
        }
        Some(value.to_owned())
    };
    let foundation = Foundation {
        service_range: fact(Fact::ServiceRange, Component::KubeApiserver, "service-cluster-ip-range")?,
        pod_range: fact(Fact::PodRange, Component::KubeControllerManager, "cluster-cidr")?,
        cluster_domain: fact(Fact::ClusterDomain, Component::Kubelet, "cluster-domain")?,
        // Before 1.20 tokens name an issuer that no flag sets, and later API servers take them beside their own:
        // the upgrade is no change of what the cluster is founded on.
        service_account_issuer: fact(
            Fact::ServiceAccountIssuer,
            Component::KubeApiserver,
            "service-account-issuer",
        )
        .unwrap_or_else(|| "rke".to_owned()),
        etcd_data: match etcd {
            DesiredEtcd::External { prefix, .. } => {
                origins.insert(Fact::EtcdData, SpecPath::from("services.etcd.path"));
                EtcdPlace::External { prefix: prefix.clone() }
            }
            DesiredEtcd::OfNodes => {
                let (data, place) = kit.prepared(Component::Etcd)?.shared_flag("data-dir")?;
                let prefix = place_of(cluster.spec.prefix_path.as_ref(), "prefix_path");
                origins.extend(place.cloned().or(prefix).map(|place| (Fact::EtcdData, place)));
                EtcdPlace::OnNodes { directory: kit.places.etcd_base(), inside: data.into() }
            }
        },
        local_ports: cluster.local_ports(),
    };
    Some((foundation, origins))
}

/// RKE 1's defaults where the file is silent.
fn rollout(spec: &ClusterSpec) -> Rollout {
    let limit = |limit: MaxUnavailable| match limit {
        MaxUnavailable::Count(count) => Limit::Count(count),
        MaxUnavailable::Percent(percent) => Limit::Percent(percent),
    };
    let strategy = &spec.upgrade_strategy;
    let input = &strategy.node_drain_input;
    let drain = DrainOptions {
        force: input.force.unwrap_or(false),
        ignore_daemonsets: input.ignore_daemonsets.unwrap_or(true),
        delete_local_data: input.delete_local_data.unwrap_or(false),
        // A negative period means each pod's own.
        grace_period_seconds: input.grace_period.and_then(|seconds| u32::try_from(seconds).ok()),
        timeout_seconds: input.timeout.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(120),
    };
    Rollout {
        max_unavailable_worker: strategy.max_unavailable_worker.map_or(Limit::Percent(10), limit),
        max_unavailable_controlplane: strategy.max_unavailable_controlplane.map_or(Limit::Count(1), limit),
        drain,
        upgraded: if strategy.drain.unwrap_or(false) { Emptied::Drained } else { Emptied::AsItIs },
        leaving: if spec.windlass.drain_leaving.unwrap_or(true) { Emptied::Drained } else { Emptied::AsItIs },
    }
}
