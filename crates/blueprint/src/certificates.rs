//! Every key and certificate of a cluster: who is named, by whom signed, for what.
//!
//! ```text
//! kube-ca ─┬─ kube-apiserver@…  kube-kubelet@…                     servers
//!          ├─ kube-apiserver-kubelet-client@…  kube-node@…  …      clients
//!          └─ kube-admin                                           the operator
//! kube-etcd-ca ─┬─ kube-etcd@…                                     members, to each other and to clients
//!               └─ kube-apiserver-etcd-client@…
//! kube-apiserver-requestheader-ca ── kube-apiserver-proxy-client@…
//! ```
//!
//! Each node has its own, so that a certificate is never where it is not used, and the Node authorizer knows
//! each kubelet (<https://kubernetes.io/docs/reference/access-authn-authz/node/>).

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{CertKind, CertName, Component, DesiredCert, NodeName, Role, San, Usage};
use windlass_spec::Cidr;

use crate::catalog::Feature;
use crate::cluster::{Cluster, Member};

/// The authority of Kubernetes' own servers and clients.
pub(crate) const KUBE_CA: &str = "kube-ca";
/// The authority of etcd's members and clients.
pub(crate) const ETCD_CA: &str = "kube-etcd-ca";
/// The authority of those who may speak for others to an extension API server.
pub(crate) const REQUESTHEADER_CA: &str = "kube-apiserver-requestheader-ca";
/// The key pair that the key is made of by which Secrets are encrypted.
pub(crate) const ENCRYPTION: &str = "kube-encryption";
/// The key pair that signs tokens of service accounts.
pub(crate) const SERVICE_ACCOUNT: &str = "kube-service-account-token";

/// RKE 1's ten years: for authorities always, since `up` does not renew them, and for others by default.
const VALID_DAYS: u32 = 3_650;

/// A certificate of which every node of a role has its own.
pub(crate) struct Leaf {
    /// Its name without the node, and the name of its files.
    pub(crate) base: &'static str,
    pub(crate) issuer: &'static str,
    /// The role that has it; every node where absent.
    pub(crate) role: Option<Role>,
    pub(crate) with: Option<Feature>,
    /// The component that presents it.
    service: Component,
    usages: &'static [Usage],
    organization: Option<&'static str>,
}

const SERVER: &[Usage] = &[Usage::ServerAuth];
const CLIENT: &[Usage] = &[Usage::ClientAuth];
const BOTH: &[Usage] = &[Usage::ServerAuth, Usage::ClientAuth];

/// All certificates of which nodes have their own.
pub(crate) const LEAVES: [Leaf; 9] = {
    use Component::{Etcd, KubeApiserver, KubeControllerManager, KubeProxy, KubeScheduler, Kubelet};
    const fn leaf(
        base: &'static str,
        issuer: &'static str,
        role: Option<Role>,
        service: Component,
        usages: &'static [Usage],
        organization: Option<&'static str>,
    ) -> Leaf {
        // Only an etcd of the cluster's own has an authority that windlass signs by.
        let with = match issuer.as_bytes() {
            b"kube-etcd-ca" => Some(Feature::OwnEtcd),
            _ => None,
        };
        Leaf { base, issuer, role, with, service, usages, organization }
    }
    const CONTROL_PLANE: Option<Role> = Some(Role::ControlPlane);
    const MASTERS: Option<&str> = Some("system:masters");
    [
        leaf("kube-etcd", ETCD_CA, Some(Role::Etcd), Etcd, BOTH, None),
        leaf("kube-apiserver", KUBE_CA, CONTROL_PLANE, KubeApiserver, SERVER, None),
        leaf("kube-apiserver-kubelet-client", KUBE_CA, CONTROL_PLANE, KubeApiserver, CLIENT, MASTERS),
        leaf("kube-apiserver-etcd-client", ETCD_CA, CONTROL_PLANE, KubeApiserver, CLIENT, None),
        leaf("kube-apiserver-proxy-client", REQUESTHEADER_CA, CONTROL_PLANE, KubeApiserver, CLIENT, None),
        leaf("kube-controller-manager", KUBE_CA, CONTROL_PLANE, KubeControllerManager, CLIENT, None),
        leaf("kube-scheduler", KUBE_CA, CONTROL_PLANE, KubeScheduler, CLIENT, None),
        leaf("kube-node", KUBE_CA, None, Kubelet, CLIENT, Some("system:nodes")),
        leaf("kube-proxy", KUBE_CA, None, KubeProxy, CLIENT, None),
    ]
};

/// What kubelet serves with, where it does not sign for itself.
pub(crate) const KUBELET_SERVING: Leaf = Leaf {
    base: "kube-kubelet",
    issuer: KUBE_CA,
    role: None,
    with: Some(Feature::ServingCertificates),
    service: Component::Kubelet,
    usages: SERVER,
    organization: None,
};

impl Leaf {
    /// The name in the certificate: for clients the user that Kubernetes takes them for.
    fn common_name(&self, node: &NodeName) -> String {
        match self.base {
            "kube-node" => format!("system:node:{node}"),
            "kube-controller-manager" | "kube-scheduler" | "kube-proxy" => format!("system:{}", self.base),
            base => base.to_owned(),
        }
    }

    fn desired(&self, node: &NodeName, sans: BTreeSet<San>, valid_days: u32) -> DesiredCert {
        DesiredCert {
            kind: CertKind::Leaf,
            common_name: self.common_name(node),
            organizations: self.organization.map(ToOwned::to_owned).into_iter().collect(),
            issuer: Some(self.issuer.into()),
            usages: self.usages.iter().copied().collect(),
            sans,
            valid_days,
            service: Some(self.service),
        }
    }
}

/// All keys and certificates. `service_ranges` and `domain` are those that the API server really gets.
pub(crate) fn certificates(
    cluster: &Cluster<'_>,
    service_ranges: &[Cidr],
    domain: &str,
) -> BTreeMap<CertName, DesiredCert> {
    let valid_days = leaf_days(cluster);
    let mut certs: BTreeMap<CertName, DesiredCert> = [KUBE_CA, ETCD_CA, REQUESTHEADER_CA]
        .into_iter()
        .filter(|name| *name != ETCD_CA || cluster.has(Feature::OwnEtcd))
        .map(|name| (CertName::from(name), alone(CertKind::Authority, name)))
        .collect();
    certs.insert(SERVICE_ACCOUNT.into(), alone(CertKind::KeyPair, SERVICE_ACCOUNT));
    if cluster.has_own_encryption_key() {
        certs.insert(ENCRYPTION.into(), alone(CertKind::KeyPair, ENCRYPTION));
    }
    certs.insert(
        "kube-admin".into(),
        DesiredCert {
            organizations: vec!["system:masters".to_owned()],
            issuer: Some(KUBE_CA.into()),
            usages: CLIENT.iter().copied().collect(),
            valid_days,
            ..alone(CertKind::Leaf, "kube-admin")
        },
    );
    let apiserver = apiserver_sans(cluster, service_ranges, domain);
    for leaf in LEAVES.iter().chain([&KUBELET_SERVING]) {
        if leaf.with.is_some_and(|feature| !cluster.has(feature)) {
            continue;
        }
        for (name, node) in
            cluster.nodes.iter().filter(|(_, node)| leaf.role.is_none_or(|role| node.has(role)))
        {
            let sans = match leaf.base {
                "kube-apiserver" => apiserver.clone(),
                // A member's own names alone: with those of all members in it, as in RKE 1, a further member
                // would change, and restart, every other.
                "kube-etcd" => own_names(name, node).into_iter().chain(local_names(domain)).collect(),
                "kube-kubelet" => own_names(name, node).into(),
                _ => BTreeSet::new(),
            };
            certs.insert(CertName::of_node(leaf.base, name), leaf.desired(name, sans, valid_days));
        }
    }
    certs
}

/// How long a certificate is valid that is no authority's.
fn leaf_days(cluster: &Cluster<'_>) -> u32 {
    let validity = cluster.spec.windlass.certificate_validity;
    validity.and_then(|validity| u32::try_from(validity.as_secs() / 86_400).ok()).unwrap_or(VALID_DAYS)
}

/// A key or certificate that nobody else signs and no component presents.
fn alone(kind: CertKind, name: &str) -> DesiredCert {
    DesiredCert {
        kind,
        common_name: name.to_owned(),
        organizations: Vec::new(),
        issuer: None,
        usages: BTreeSet::new(),
        sans: BTreeSet::new(),
        valid_days: VALID_DAYS,
        service: None,
    }
}

/// The names under which an API server is reached: each of them, so that any may stand for all.
fn apiserver_sans(cluster: &Cluster<'_>, service_ranges: &[Cidr], domain: &str) -> BTreeSet<San> {
    let nodes = cluster.with_role(Role::ControlPlane).flat_map(|(name, node)| own_names(name, node));
    let desired = cluster.spec.authentication.sans.iter().map(|name| San::parse(name));
    let endpoint = cluster.spec.windlass.endpoint.iter().map(|endpoint| San::parse(&endpoint.host));
    let services = service_ranges.iter().filter_map(|range| range.nth(1)).map(San::Ip);
    nodes.chain(desired).chain(endpoint).chain(services).chain(local_names(domain)).collect()
}

fn own_names(name: &NodeName, node: &Member<'_>) -> [San; 3] {
    [&node.spec.address, node.spec.internal_address(), name.as_str()].map(San::parse)
}

fn local_names(domain: &str) -> [San; 6] {
    [
        "127.0.0.1",
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        &format!("kubernetes.default.svc.{domain}"),
    ]
    .map(San::parse)
}
