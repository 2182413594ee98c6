//! `nodes[]`: one machine, how it is reached and what it does.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use windlass_model::{NodeName, Roles, Secret};

use super::windlass::NodeWindlassSpec;

/// One entry of `nodes`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeSpec {
    /// `address`: where SSH connects to; unique in the cluster.
    pub address: String,
    /// `port` of sshd.
    pub port: Option<u16>,
    /// `internal_address`: what the components use among themselves; the address if absent.
    pub internal_address: Option<String>,
    /// `role`; never empty as it is read. A node without a role is left out of the cluster.
    pub role: Roles,
    /// `hostname_override` as written; [`NodeSpec::name`] is what Kubernetes sees.
    pub hostname_override: Option<String>,
    /// `user` that logs in over SSH and may use Docker's socket.
    pub user: String,
    /// `docker_socket`: the path of Docker's socket on the node.
    pub docker_socket: Option<String>,
    /// `ssh_agent_auth`, as this node has it; RKE 1 let the key of the top level win.
    pub ssh_agent_auth: Option<bool>,
    /// `ssh_key`: the private key itself; wins over a path.
    pub ssh_key: Option<Secret<String>>,
    /// `ssh_key_path`: the private key's file on the operator's machine.
    pub ssh_key_path: Option<String>,
    /// `ssh_cert`: the SSH certificate itself.
    pub ssh_cert: Option<String>,
    /// `ssh_cert_path`: the SSH certificate's file on the operator's machine.
    pub ssh_cert_path: Option<String>,
    /// `labels` of the Node object.
    pub labels: BTreeMap<String, String>,
    /// `taints` of the Node object, in the order of the file.
    pub taints: Vec<TaintSpec>,
    /// `windlass`: the keys of windlass' own.
    pub windlass: NodeWindlassSpec,
    /// `nodeName`: a reference of Rancher's; nothing reads it.
    pub node_name: Option<String>,
}

impl NodeSpec {
    /// The name of the Node object: `hostname_override`, or else the address, in lower case.
    pub fn name(&self) -> NodeName {
        NodeName::from(self.hostname_override.as_ref().unwrap_or(&self.address).to_lowercase())
    }

    /// What the components use among themselves: `internal_address`, or else the address.
    pub fn internal_address(&self) -> &str {
        self.internal_address.as_ref().unwrap_or(&self.address)
    }
}

/// A taint of a Node object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TaintSpec {
    /// The key, in the syntax of a label's key.
    pub key: String,
    /// The value; may be empty.
    pub value: String,
    /// What it does to pods that do not tolerate it.
    pub effect: TaintEffect,
}

impl fmt::Display for TaintSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}:{}", self.key, self.value, self.effect.as_str())
    }
}

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum TaintEffect {
    /// New pods are not scheduled there.
    NoSchedule,
    /// New pods are scheduled there only if nothing else is left.
    PreferNoSchedule,
    /// Running pods are evicted too.
    NoExecute,
}

impl TaintEffect {
    /// All effects.
    pub const ALL: [Self; 3] = [Self::NoSchedule, Self::PreferNoSchedule, Self::NoExecute];

    /// The word that Kubernetes uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}
