//! The complete desired state: for each node every container, file, label and taint, and the settings of the
//! cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::certificate::{CertPart, DesiredCert, San};
use crate::ciphers::KeysPhase;
use crate::component::Component;
use crate::conduct::Conduct;
use crate::container::{ContainerSpec, Origins};
use crate::digest::Digest;
use crate::etcd_places::EtcdPlaces;
use crate::footprint::Footprints;
use crate::foundation::{Fact, Foundation};
use crate::names::{CertName, FilePath, ImageRef, NodeName, Prefix, Role, Roles, SecretName, SpecPath};
use crate::objects::{AddonKind, DesiredAddon, ObjectRef};
use crate::permission::{Mode, Owner};
use crate::target::{LastNode, NodeTarget};
use crate::version::KubernetesVersion;

/// The complete desired state, resolved from cluster.yml and the catalog. It contains no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blueprint {
    /// The cluster's name.
    pub cluster: String,
    /// The Kubernetes version of every component.
    pub version: KubernetesVersion,
    /// What every node should be.
    pub nodes: BTreeMap<NodeName, DesiredNode>,
    /// Where the API servers store their data.
    pub etcd: DesiredEtcd,
    /// Every key and certificate of the cluster.
    pub certs: BTreeMap<CertName, DesiredCert>,
    /// Settings whose change no live cluster survives.
    pub foundation: Foundation,
    /// How changes are rolled out to live nodes.
    pub rollout: Rollout,
    /// Whether the plan waits until members of etcd have snapshotted their logs.
    #[serde(default)]
    pub etcd_log: LogSnapshots,
    /// How far the keys that encrypt are from those of cluster.yml.
    #[serde(default, skip_serializing_if = "KeysPhase::is_asked")]
    pub keys_phase: KeysPhase,
    /// Whether the cluster keeps the ledger's roots.
    #[serde(default)]
    pub ledger_in_cluster: LedgerInCluster,
    /// Whether a snapshot of etcd is taken before a minor version changes.
    #[serde(default)]
    pub before_upgrade: BeforeUpgrade,
    /// The objects in the cluster that windlass manages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addons: BTreeMap<AddonKind, DesiredAddon>,
    /// Which paths on nodes are windlass' own.
    pub footprints: Arc<Footprints>,
    /// Where in cluster.yml the cluster-wide settings are.
    pub origins: BlueprintOrigins,
}

/// Whether the plan waits until members of etcd have snapshotted their logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogSnapshots {
    /// They do so when etcd decides to.
    #[default]
    Whenever,
    /// Each must do so once before the next link of a chain of upgrades.
    Awaited,
}

/// What is done before Kubernetes or etcd changes to another minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeforeUpgrade {
    /// A snapshot of etcd is taken.
    #[default]
    Snapshot,
    /// Nothing.
    Nothing,
}

/// Whether the cluster keeps the ledger's roots, in a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerInCluster {
    /// Encrypted, for the holders of the ledger and of its recovery key.
    #[default]
    Encrypted,
    /// Not at all.
    None,
}

/// Where the API servers store their data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DesiredEtcd {
    /// In an etcd on the cluster's own nodes.
    OfNodes,
    /// In an external one: its members are never asked and never touched.
    External {
        /// The addresses of its members, as in cluster.yml.
        urls: Vec<String>,
        /// The prefix of its keys.
        prefix: String,
    },
}

impl DesiredEtcd {
    /// Whether it is external.
    pub fn is_external(&self) -> bool {
        matches!(self, Self::External { .. })
    }
}

/// Where in cluster.yml the cluster-wide settings are.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BlueprintOrigins {
    /// The place of the version.
    pub version: Option<SpecPath>,
    /// The place of `authentication.sans`.
    pub sans: Option<SpecPath>,
    /// The places of single names of API servers, and the names: the items of `authentication.sans`, and the endpoint.
    pub each_san: BTreeMap<SpecPath, San>,
    /// The place of each founding setting of the cluster.
    pub foundation: BTreeMap<Fact, SpecPath>,
    /// The place of `windlass.ledger_in_cluster`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_in_cluster: Option<SpecPath>,
}

/// What one node should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredNode {
    /// Its place in cluster.yml, such as `nodes[2]`.
    pub origin: SpecPath,
    /// How it is reached, and by which address the components reach each other.
    pub target: NodeTarget,
    /// Its roles.
    pub roles: Roles,
    /// The prefix of host directories there, where its operating system requires another than ordinary
    /// machines have; see [`Footprints`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Prefix>,
    /// The containers that should run there.
    pub containers: BTreeMap<Component, DesiredContainer>,
    /// The files that should be there.
    pub files: BTreeMap<FilePath, DesiredFile>,
    /// How its kernel should be configured.
    pub kernel: Arc<DesiredKernel>,
    /// Images that its pods need, besides those of the containers.
    pub images: BTreeSet<ImageRef>,
    /// Labels of its node object that windlass manages.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Taints of its node object that windlass manages.
    pub taints: BTreeSet<Taint>,
    /// The places in cluster.yml of those of them that are there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "crate::pairs")]
    pub taint_places: BTreeMap<Taint, SpecPath>,
}

impl DesiredNode {
    /// Whether the node has this role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The file that holds a part of a certificate.
    pub fn file_of(&self, of: &CertName, half: CertPart) -> Option<FilePath> {
        let is_it = |content: &Content| matches!(content, Content::Cert { cert, part } if cert == of && *part == half);
        self.files.iter().find(|(_, file)| is_it(&file.content)).map(|(path, _)| path.clone())
    }

    /// What the ledger keeps of it.
    pub fn last(&self) -> LastNode {
        let Self { target, roles, prefix, containers, .. } = self;
        let etcd = containers.get(&Component::Etcd).and_then(|etcd| EtcdPlaces::of(&etcd.spec));
        LastNode {
            target: target.clone(),
            roles: roles.clone(),
            prefix: prefix.clone(),
            etcd: etcd.filter(|places| !places.are_usual()),
        }
    }
}

/// The modules that a node's kernel should have loaded and its settings; files of the node restore them at
/// boot.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DesiredKernel {
    /// Modules, loaded or built in.
    pub modules: BTreeSet<Arc<str>>,
    /// Settings by their names, as `sysctl` has them.
    pub sysctls: BTreeMap<Arc<str>, Arc<str>>,
}

/// One container that should run on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredContainer {
    /// Its spec.
    pub spec: Arc<ContainerSpec>,
    /// How it behaves with its arguments.
    pub conduct: Arc<Conduct>,
    /// Where in cluster.yml its parts come from.
    pub origins: Arc<Origins>,
}

/// One file that should be on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredFile {
    /// Its content.
    pub content: Content,
    /// Permission bits.
    pub mode: Mode,
    /// Its owner.
    pub owner: Owner,
    /// Where in cluster.yml it comes from, if from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<SpecPath>,
}

/// The content of a file: plain text, or a reference to what only the engine has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// This text, which contains no secret.
    Text(Arc<str>),
    /// A certificate or key from the ledger.
    Cert {
        /// The certificate.
        cert: CertName,
        /// Which part of it.
        part: CertPart,
    },
    /// A secret in cluster.yml.
    Secret(SecretName),
    /// A copy of the whole ledger.
    Ledger,
}

/// A taint of a node object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Taint {
    /// Its key.
    pub key: Arc<str>,
    /// Its value; may be empty.
    #[serde(default)]
    pub value: Arc<str>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: Arc<str>,
}

impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.is_empty() {
            write!(f, "{}:{}", self.key, self.effect)
        } else {
            write!(f, "{}={}:{}", self.key, self.value, self.effect)
        }
    }
}

/// How changes are rolled out to live nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// How many workers may be unavailable at once.
    pub max_unavailable_worker: Limit,
    /// How many control-plane nodes may be unavailable at once.
    pub max_unavailable_controlplane: Limit,
    /// How nodes are drained.
    pub drain: DrainOptions,
    /// Whether workers are drained before their kubelet is upgraded.
    pub upgraded: Emptied,
    /// Whether nodes are drained before they are removed.
    pub leaving: Emptied,
}

/// Whether a node is drained before it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Emptied {
    /// They are.
    Drained,
    /// They are not.
    AsItIs,
}

/// A number of nodes, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// That many.
    Count(u32),
    /// That percentage.
    Percent(u32),
}

impl Limit {
    /// How many of `total` nodes it allows: a share is rounded down; never less than one, never over 50.
    ///
    /// RKE rounds and caps the same way.
    pub fn of(self, total: usize) -> usize {
        let allowed = match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => total * percent as usize / 100,
        };
        allowed.clamp(1, 50)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// How a node is drained, with the options of `kubectl drain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainOptions {
    /// Also evict pods that no controller recreates.
    pub force: bool,
    /// Leave the pods of `DaemonSet`s where they are.
    pub ignore_daemonsets: bool,
    /// Also evict pods whose local data is lost then.
    pub delete_local_data: bool,
    /// Seconds for each pod to end; each pod's own grace period where absent.
    pub grace_period_seconds: Option<u32>,
    /// Seconds after which the drain fails.
    pub timeout_seconds: u32,
}

impl Blueprint {
    /// The nodes that have this role, by name.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = (&NodeName, &DesiredNode)> {
        self.nodes.iter().filter(move |(_, node)| node.has(role))
    }

    /// Where each node is and its roles, as a ledger records it.
    pub fn last_nodes(&self) -> BTreeMap<NodeName, LastNode> {
        self.nodes.iter().map(|(name, node)| (name.clone(), node.last())).collect()
    }

    /// The objects in the cluster that a look reads: the desired ones, and those that show that RKE 1
    /// deployed the same.
    pub fn looked_at_objects(&self) -> Vec<ObjectRef> {
        let of = |(kind, addon): (&AddonKind, &DesiredAddon)| {
            let objects: Vec<ObjectRef> =
                addon.objects.iter().map(|desired| desired.object.clone()).collect();
            objects.into_iter().chain(kind.rke_marker())
        };
        self.addons.iter().flat_map(of).collect()
    }

    /// The same cluster with nothing desired: the state to which `remove` converges.
    #[must_use]
    pub fn emptied(&self) -> Self {
        let mut empty = self.clone();
        empty.nodes.clear();
        empty.certs.clear();
        empty.addons.clear();
        empty
    }

    /// The digest of each file's content that is known before the ledger is asked.
    pub fn digest_of_text(content: &Content) -> Option<Digest> {
        match content {
            Content::Text(text) => Some(Digest::of(text.as_bytes())),
            Content::Cert { .. } | Content::Secret(_) | Content::Ledger => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_round_down_but_never_to_nothing() {
        assert_eq!(Limit::Percent(10).of(39), 3);
        assert_eq!(Limit::Percent(10).of(5), 1);
        assert_eq!(Limit::Count(0).of(5), 1);
        assert_eq!(Limit::Percent(100).of(5_000), 50);
    }
}
