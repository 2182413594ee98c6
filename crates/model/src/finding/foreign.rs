//! What was found on a node and was not created by this cluster: as data, and in words.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::names::{ContainerName, FilePath, Lineage, NodeName};
use crate::words::{named, row};

/// What was found on a node and was not created by this cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Foreign {
    /// Who made it, as far as is known.
    pub made_by: MadeBy,
    /// Containers.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub containers: BTreeSet<ContainerName>,
    /// Files.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub files: BTreeSet<FilePath>,
    /// A directory with the data of an etcd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd_data: Option<FilePath>,
}

/// The owner of something that this cluster did not create.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MadeBy {
    /// windlass, for the cluster of this lineage.
    Cluster(Lineage),
    /// windlass, for a cluster that is not named there.
    SomeCluster,
    /// RKE 1.
    Rke,
    /// kubeadm, or a tool that uses it.
    Kubeadm,
    /// K3s.
    K3s,
    /// RKE 2.
    Rke2,
    /// Unknown.
    Somebody,
}

impl MadeBy {
    /// Files that show that a machine belongs to a cluster of another tool.
    ///
    /// Sources: `cmd/kubeadm/app/constants/constants.go` of Kubernetes; "server" and "agent" of
    /// <https://docs.k3s.io/cli> and <https://docs.rke2.io/reference/server_config>.
    pub const MARKS: [(&'static str, Self); 7] = [
        ("/etc/kubernetes/admin.conf", Self::Kubeadm),
        ("/etc/kubernetes/kubelet.conf", Self::Kubeadm),
        ("/etc/kubernetes/manifests/kube-apiserver.yaml", Self::Kubeadm),
        ("/etc/rancher/k3s/k3s.yaml", Self::K3s),
        ("/var/lib/rancher/k3s/agent/kubelet.kubeconfig", Self::K3s),
        ("/etc/rancher/rke2/rke2.yaml", Self::Rke2),
        ("/var/lib/rancher/rke2/agent/kubelet.kubeconfig", Self::Rke2),
    ];

    /// That a cluster of this tool is on nodes where there is none of windlass.
    pub(super) fn cluster(
        &self,
        containers: &[(NodeName, ContainerName)],
        files: &[(NodeName, FilePath)],
    ) -> String {
        let who = match self {
            Self::Rke => "RKE 1",
            Self::Kubeadm => "kubeadm",
            Self::K3s => "K3s",
            Self::Rke2 => "RKE 2",
            Self::Cluster(_) | Self::SomeCluster | Self::Somebody => "another tool",
        };
        format!("a cluster that {who} made exists here: {}", row(by_node(containers, files)))
    }

    /// What to do about such a cluster.
    pub(super) fn cluster_help(&self) -> String {
        let how = match self {
            Self::Rke => "by `rke remove`, with RKE's own cluster.yml and state file",
            _ => "by its own tool",
        };
        format!(
            "windlass changes nothing of it, and cannot adopt it: take these nodes out of cluster.yml, or, if nobody \
             needs that cluster any more, take it away {how}"
        )
    }

    /// The command with which this tool removes a machine from its own cluster.
    fn own_way_out(&self) -> &'static str {
        match self {
            Self::Cluster(_) | Self::SomeCluster => {
                "remove it from that cluster by windlass, with that cluster's own cluster.yml and ledger"
            }
            Self::Rke => {
                "take it out of RKE's cluster first: out of the nodes of its cluster.yml with `rke up`, or with `rke \
                 remove`"
            }
            Self::Kubeadm => {
                "take it out of its cluster first, with `kubectl delete node` there and `kubeadm reset`"
            }
            Self::K3s => {
                "take it out of its cluster first, with `k3s-uninstall.sh` or `k3s-agent-uninstall.sh`"
            }
            Self::Rke2 => "take it out of its cluster first, with `rke2-uninstall.sh`",
            Self::Somebody => "stop, rename or move away by hand what nobody needs",
        }
    }
}

impl Foreign {
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.files.is_empty() && self.etcd_data.is_none()
    }

    /// What was found, as the end of a sentence about a machine.
    pub(super) fn what(&self) -> String {
        let found = self.found();
        match &self.made_by {
            MadeBy::Cluster(lineage) => {
                format!("it is of another cluster of windlass, with the lineage {lineage}: it has {found}")
            }
            MadeBy::SomeCluster => {
                format!(
                    "it is of a cluster of windlass, and this one's ledger does not know it: it has {found}"
                )
            }
            MadeBy::Rke => format!("it is of a cluster that RKE 1 made: it has {found}"),
            MadeBy::Kubeadm => format!("it is of a cluster that kubeadm made: it has {found}"),
            MadeBy::K3s => format!("it is of a cluster of K3s: it has {found}"),
            MadeBy::Rke2 => format!("it is of a cluster of RKE 2: it has {found}"),
            MadeBy::Somebody => format!("it has {found}, which this cluster did not make"),
        }
    }

    /// What to do about it.
    pub(super) fn help(&self) -> String {
        format!(
            "nothing of it is touched: remove the node from cluster.yml, or {}",
            self.made_by.own_way_out()
        )
    }

    fn found(&self) -> String {
        let containers: Vec<&ContainerName> = self.containers.iter().collect();
        let files: Vec<&FilePath> = self.files.iter().collect();
        let mut all = Vec::new();
        match containers.as_slice() {
            [] => {}
            [one] => all.push(format!("the container {one}")),
            many => all.push(format!("the containers {}", named(many))),
        }
        if !files.is_empty() {
            all.push(named(&files));
        }
        all.extend(self.etcd_data.iter().map(|path| format!("data of etcd in {path}")));
        row(all)
    }
}

/// What is on each node: `etcd and kubelet on a`.
fn by_node(containers: &[(NodeName, ContainerName)], files: &[(NodeName, FilePath)]) -> Vec<String> {
    let mut all: BTreeMap<&NodeName, Vec<String>> = BTreeMap::new();
    let containers = containers.iter().map(|(node, container)| (node, container.to_string()));
    let files = files.iter().map(|(node, file)| (node, file.to_string()));
    for (node, thing) in containers.chain(files) {
        all.entry(node).or_default().push(thing);
    }
    all.into_iter().map(|(node, things)| format!("{} on {node}", named(&things))).collect()
}
