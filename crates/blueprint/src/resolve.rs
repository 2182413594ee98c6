//! From the file to the complete wish.

use std::collections::BTreeMap;

use windlass_model::{
    Blueprint, BlueprintOrigins, Component, DrainOptions, EtcdWish, Foundation, HostFacts, Limit, NodeName,
    Rollout, Secret, SecretName, SpecPath,
};
use windlass_spec::{Cidr, ClusterSpec, MaxUnavailable, Severity};

use crate::catalog::Catalog;
use crate::certificates::certificates;
use crate::checks::check;
use crate::cluster::{Cluster, place_of};
use crate::nodes::{Kit, prefix_of};
use crate::problem::{Problem, Problems};
use crate::secrets::secrets;

/// What a cluster.yml comes to with a catalog.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The complete wish; absent exactly if a problem is an error.
    pub blueprint: Option<Blueprint>,
    /// The values of the secrets that the blueprint names.
    pub secrets: Vec<(SecretName, Secret<String>)>,
    /// What only the catalog can tell of the file.
    pub problems: Vec<Problem>,
}

/// Resolves a cluster.yml with a catalog into the complete wish.
///
/// `hosts` are the facts seen of machines; where one has not been seen, the facts of an ordinary machine are
/// assumed. The order of nodes in the file changes nothing but origins.
///
/// The footprint's directories of etcd and of the ledger are those under the `prefix_path` of the file; a
/// machine whose system asks for another prefix has its containers and files under that one.
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
    let section = |path: &str| path.split(['.', '[']).take(2).map(str::to_owned).collect::<Vec<_>>();
    let unread: Vec<Vec<String>> = unread.iter().map(|path| section(path)).collect();
    let is_deployed = |path: &Vec<String>| {
        path.first()
            .is_some_and(|first| matches!(first.as_str(), "network" | "dns" | "ingress" | "monitoring"))
    };
    let is_sure = |problem: &Problem| {
        let path = problem.path.as_str();
        let is_of_deployed = path.is_empty() || is_deployed(&section(path));
        problem.severity == Severity::Error
            || path.contains(".extra_args")
            || !(unread.contains(&section(path)) || (is_of_deployed && unread.iter().any(is_deployed)))
    };
    problems.0.into_iter().filter(is_sure).collect()
}

fn blueprint(cluster: &Cluster<'_>, hosts: &BTreeMap<NodeName, HostFacts>) -> Option<Blueprint> {
    let ordinary = HostFacts::default();
    let prefix = prefix_of(&ordinary, cluster);
    let facts_of = |name: &NodeName| hosts.get(name).unwrap_or(&ordinary);

    let mut kits = BTreeMap::from([(prefix.clone(), Kit::new(cluster, &prefix))]);
    for name in cluster.nodes.keys() {
        let prefix = prefix_of(facts_of(name), cluster);
        if !kits.contains_key(&prefix) {
            kits.insert(prefix.clone(), Kit::new(cluster, &prefix));
        }
    }
    let kit = &kits[&prefix];
    let nodes = cluster
        .nodes
        .iter()
        .map(|(name, node)| {
            let facts = facts_of(name);
            (name.clone(), kits[&prefix_of(facts, cluster)].node(name, node, facts, cluster))
        })
        .collect();

    let etcd = etcd_of(cluster.spec);
    let (foundation, foundation_origins) = foundation(kit, &etcd)?;
    let ranges: Vec<Cidr> =
        foundation.service_range.split(',').filter_map(|range| range.parse().ok()).collect();
    let mut footprint = kit.places.footprint();
    for kit in kits.values() {
        kit.places.add_to(&mut footprint);
    }
    Some(Blueprint {
        cluster: cluster.spec.cluster_name.clone().unwrap_or_else(|| "local".to_owned()),
        version: cluster.images.version.clone(),
        nodes,
        etcd,
        certs: certificates(cluster, &ranges, &foundation.cluster_domain),
        foundation,
        rollout: rollout(cluster.spec),
        footprint,
        origins: BlueprintOrigins {
            version: cluster.images.version_origin.clone(),
            sans: place_of(cluster.spec.authentication.sans.first(), "authentication.sans")
                .or_else(|| place_of(cluster.spec.windlass.endpoint.as_ref(), "windlass.endpoint")),
            foundation: foundation_origins,
        },
    })
}

fn etcd_of(spec: &ClusterSpec) -> EtcdWish {
    let etcd = &spec.services.etcd;
    if etcd.external_urls.is_empty() {
        return EtcdWish::OfNodes;
    }
    let prefix = etcd.path.clone().unwrap_or_else(|| "/registry".to_owned());
    EtcdWish::External { urls: etcd.external_urls.clone(), prefix }
}

/// What the components really get, whether by a key of its own or by `extra_args`.
fn foundation(kit: &Kit, etcd: &EtcdWish) -> Option<(Foundation, BTreeMap<String, SpecPath>)> {
    let mut origins = BTreeMap::new();
    let mut fact = |name: &str, component, flag| {
        let (value, place) = kit.prepared(component)?.shared_flag(flag)?;
        if let Some(place) = place {
            origins.insert(name.to_owned(), place.clone());
        }
        Some(value.to_owned())
    };
    let foundation = Foundation {
        service_range: fact("service_range", Component::KubeApiserver, "service-cluster-ip-range")?,
        pod_range: fact("pod_range", Component::KubeControllerManager, "cluster-cidr")?,
        cluster_domain: fact("cluster_domain", Component::Kubelet, "cluster-domain")?,
        // Before 1.20 tokens name an issuer that no flag sets, and later API servers take them beside their own:
        // the upgrade is no change of what the cluster is founded on.
        service_account_issuer: fact(
            "service_account_issuer",
            Component::KubeApiserver,
            "service-account-issuer",
        )
        .unwrap_or_else(|| "rke".to_owned()),
        etcd_data: match etcd {
            EtcdWish::External { prefix, .. } => {
                origins.insert("etcd_data".to_owned(), SpecPath::from("services.etcd.path"));
                Foundation::external_etcd_data(prefix)
            }
            EtcdWish::OfNodes => {
                let (data, place) = kit.prepared(Component::Etcd)?.shared_flag("data-dir")?;
                origins.extend(place.map(|place| ("etcd_data".to_owned(), place.clone())));
                format!("{}:{data}", kit.places.footprint().etcd_data)
            }
        },
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
        drain: strategy.drain.unwrap_or(false).then_some(drain),
    }
}
