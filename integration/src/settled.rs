//! What a look finds on machines that nobody has touched, and on a cluster that is completely as desired.
//!
//! ```text
//! Blueprint ──▶ fresh_inventory      machines with nothing on them
//!           └─▶ settled_inventory    the same machines after a successful `up`
//! ```
//!
//! *Guarantees*: nothing of the inventory shares memory with the blueprint. In real runs an inventory comes
//! over the network, so containers are read back from the text of their label, and every name is a separate
//! copy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_model::{
    Birth, Blueprint, CertFace, CertName, Component, ContainerSeen, ContainerState, Content,
    DesiredContainer, DesiredFile, DesiredNode, Digest, EtcdData, EtcdSeen, FilePath, FileSeen, Health,
    Holds, Inventory, KeptForm, KeptRoots, KubeSeen, LedgerCopy, LedgerFace, Lineage, Loaded, Maker,
    MemberId, MemberSeen, Mode, NodeFacts, NodeName, NodeObject, NodeSeen, ObjectsSeen, Owned, Readiness,
    Role, Scheduling, Secret, SecretName, StoredCert, StoredSecrets, Taint, Timestamp, Vote,
};

/// The moment of the look; any will do, since nothing reads a clock.
const TAKEN_AT: Timestamp = Timestamp(1_700_000_000);

/// Every machine of the desired state is reachable, and nothing is on it.
pub fn fresh_inventory(desired: &Blueprint) -> Inventory {
    let nodes =
        desired.nodes.keys().map(|name| (copy_of_node(name), NodeSeen::InSight(Box::default()))).collect();
    Inventory {
        taken_at: TAKEN_AT,
        nodes,
        etcd: EtcdSeen::Silent,
        kube: KubeSeen::Silent,
        kept: None,
        objects: ObjectsSeen::Unknown,
        ledger: LedgerFace::default(),
    }
}

/// Everything is as desired, and has been for a day.
pub fn settled_inventory(desired: &Blueprint) -> Inventory {
    let ledger = ledger_of(desired);
    let peers: Vec<(&NodeName, &DesiredNode)> = desired.with_role(Role::Etcd).collect();
    let list: Vec<String> =
        peers.iter().map(|(name, node)| format!("etcd-{name}={}", node.target.peer_url())).collect();
    let birth = [
        format!("--initial-cluster={}", list.join(",")),
        "--initial-cluster-state=new".to_owned(),
        "--initial-cluster-token=etcd-cluster-1".to_owned(),
    ];
    let nodes = desired
        .nodes
        .iter()
        .map(|(name, node)| {
            let facts = facts_of(desired, node, &ledger, &birth);
            (copy_of_node(name), NodeSeen::InSight(Box::new(facts)))
        })
        .collect();
    let members = peers
        .iter()
        .zip(1..)
        .map(|((name, node), id)| MemberSeen {
            id: MemberId(id),
            name: format!("etcd-{name}"),
            peer_url: node.target.peer_url(),
            vote: Vote::Voter,
            health: Health::Healthy,
            leads: id == 1,
            alarms: std::collections::BTreeSet::new(),
            db_bytes: None,
        })
        .collect();
    let objects =
        desired.nodes.iter().map(|(name, node)| (copy_of_node(name), object_of(name, node))).collect();
    Inventory {
        taken_at: TAKEN_AT,
        nodes,
        etcd: EtcdSeen::Members(members),
        kube: KubeSeen::Nodes(objects),
        kept: ledger.lineage.clone().zip(ledger.roots).map(|(lineage, digest)| KeptRoots {
            form: KeptForm::Sealed,
            lineage,
            serial: ledger.serial,
            digest,
        }),
        objects: ObjectsSeen::Seen { objects: Vec::new(), noted: Vec::new() },
        ledger,
    }
}

fn facts_of(desired: &Blueprint, node: &DesiredNode, ledger: &LedgerFace, birth: &[String]) -> NodeFacts {
    let mut files: BTreeMap<FilePath, FileSeen> = node
        .files
        .iter()
        .map(|(path, file)| {
            let DesiredFile { content, mode, owner, .. } = file;
            let digest = digest_in(ledger, content);
            (copy_of_path(path), FileSeen { digest, mode: *mode, owner: *owner })
        })
        .collect();
    let containers = node
        .containers
        .iter()
        .map(|(&component, container)| {
            let seen = container_seen(component, container, &files, birth);
            (component.as_str().into(), seen)
        })
        .collect();
    let is_member = node.has(Role::Etcd);
    let footprint = desired.footprints.under(node.prefix.as_ref());
    if is_member {
        let mark =
            FileSeen { digest: Digest::of(""), mode: Mode::PUBLIC, owner: windlass_model::Owner::default() };
        files.insert(footprint.etcd().beside_data(), mark);
    }
    NodeFacts {
        images: node.containers.values().map(|container| container.spec.image.as_str().into()).collect(),
        containers,
        prefix: node.prefix.clone(),
        directories: footprint
            .all_directories()
            .iter()
            .filter(|(path, holds)| **holds != Holds::Snapshots && is_mounted(node, path))
            .map(|(path, _)| copy_of_path(path))
            .collect(),
        etcd_data: if is_member { EtcdData::Present } else { EtcdData::Absent },
        ledger: files
            .contains_key(&footprint.ledger)
            .then(|| LedgerCopy { lineage: Lineage::from("settled"), serial: ledger.serial }),
        files,
        ..NodeFacts::default()
    }
}

/// The directory of Calico's state; empty, and so not seen, on a cluster with another network or none.
const CALICO_STATE: &str = "/var/lib/calico";

/// Whether a container mounts the directory or something in it: then Docker has created it, and the container
/// uses it.
fn is_mounted(node: &DesiredNode, path: &FilePath) -> bool {
    let mut binds = node.containers.values().flat_map(|container| &container.spec.binds);
    path.as_str() != CALICO_STATE
        && binds.any(|bind| {
            let source = bind.split(':').next().unwrap_or_default();
            source.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}

fn container_seen(
    component: Component,
    desired: &DesiredContainer,
    files: &BTreeMap<FilePath, FileSeen>,
    birth: &[String],
) -> ContainerSeen {
    let spec = read_back(desired.spec.as_ref());
    let loaded: Loaded =
        spec.reads.keys().filter_map(|path| Some((copy_of_path(path), files.get(path)?.digest))).collect();
    let is_member = component == Component::Etcd;
    ContainerSeen {
        spec: Arc::new(spec),
        birth: birth.iter().filter(|_| is_member).map(|argument| Arc::from(argument.as_str())).collect(),
        maker: Maker::Windlass,
        lineage: Some(Lineage::from("settled")),
        state: ContainerState::Running,
        health: Health::Healthy,
        loaded,
        ending: None,
    }
}

fn object_of(name: &NodeName, node: &DesiredNode) -> NodeObject {
    let owned: BTreeMap<Arc<str>, Arc<str>> =
        node.labels.iter().map(|(key, value)| (copy_of(key), copy_of(value))).collect();
    // What kubelet reports about its node (https://kubernetes.io/docs/reference/labels-annotations-taints/).
    let own = [
        ("kubernetes.io/arch", "amd64"),
        ("kubernetes.io/hostname", name.as_str()),
        ("kubernetes.io/os", "linux"),
    ];
    let own = own.map(|(key, value)| (Arc::from(key), Arc::from(value)));
    let taints: BTreeSet<Taint> = node
        .taints
        .iter()
        .map(|Taint { key, value, effect }| Taint {
            key: copy_of(key),
            value: copy_of(value),
            effect: copy_of(effect),
        })
        .collect();
    NodeObject {
        why_not_ready: String::new(),
        ready: Readiness::Ready,
        kubelet: node.containers.get(&Component::Kubelet).and_then(|kubelet| kubelet.spec.version.clone()),
        scheduling: Scheduling::Open,
        owned: Owned { labels: owned.keys().map(copy_of).collect(), taints: taints.clone() },
        labels: owned.into_iter().chain(own).collect(),
        taints,
    }
}

/// The public part of a ledger that contains everything desired, with a text instead of every key.
fn ledger_of(desired: &Blueprint) -> LedgerFace {
    let certificate_of = |name: &CertName| format!("certificate {name}");
    let certs: BTreeMap<CertName, CertFace> = desired
        .certs
        .iter()
        .map(|(name, cert)| {
            let stored = StoredCert {
                desired: read_back(cert),
                certificate: certificate_of(name),
                key: Secret::new(format!("key {name}")),
                issued_at: Some(TAKEN_AT),
                not_before: TAKEN_AT,
                not_after: TAKEN_AT.plus_seconds(u64::from(cert.valid_days) * 86_400),
                issuer: cert.issuer.as_ref().map(|issuer| Digest::of(certificate_of(issuer))),
            };
            (CertName::from(name.as_str()), windlass_engine::face_of(&stored))
        })
        .collect();
    let nodes = desired
        .nodes
        .iter()
        .map(|(name, node)| {
            let last = node.last();
            (copy_of_node(name), read_back(&last))
        })
        .collect();
    LedgerFace {
        lineage: Some(Lineage::from("settled")),
        serial: 1,
        digest: Some(Digest::of("ledger")),
        roots: Some(Digest::of("roots")),
        certs,
        nodes,
        foundation: Some(desired.foundation.clone()),
        born: Birth::Born,
        first_members: BTreeSet::new(),
        restore: None,
        stored: StoredSecrets::Unknown,
        secrets: secrets_of(desired),
        strangers: BTreeMap::new(),
    }
}

fn secrets_of(desired: &Blueprint) -> BTreeMap<SecretName, Digest> {
    let contents = desired.nodes.values().flat_map(|node| node.files.values()).map(|file| &file.content);
    contents
        .filter_map(|content| match content {
            Content::Secret(name) => Some((SecretName::from(name.as_str()), Digest::of(name.as_str()))),
            Content::Text(_) | Content::Cert { .. } | Content::Ledger => None,
        })
        .collect()
}

fn digest_in(ledger: &LedgerFace, content: &Content) -> Digest {
    let digest = match content {
        Content::Text(text) => Some(Digest::of(text.as_bytes())),
        Content::Cert { cert, part } => ledger.digest_of(cert, *part),
        Content::Secret(name) => ledger.secrets.get(name).copied(),
        Content::Ledger => ledger.digest,
    };
    digest.expect("the ledger was made from all that the files of this blueprint name")
}

/// The same as it comes over the network: written, and read into memory of its own.
fn read_back<T: Serialize + DeserializeOwned>(written: &T) -> T {
    let text = serde_json::to_vec(written).expect("documents are plain data with text for keys");
    serde_json::from_slice(&text).expect("a document reads what it has written")
}

fn copy_of(text: &Arc<str>) -> Arc<str> {
    Arc::from(text.as_ref())
}

fn copy_of_node(name: &NodeName) -> NodeName {
    NodeName::from(name.as_str())
}

fn copy_of_path(path: &FilePath) -> FilePath {
    FilePath::from(path.as_str())
}
