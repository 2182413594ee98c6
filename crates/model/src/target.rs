//! How a node is reached, and its roles when it was last brought up.

use serde::{Deserialize, Serialize};

use crate::component::{ETCD_CLIENT_PORT, ETCD_PEER_PORT};
use crate::etcd_places::EtcdPlaces;
use crate::names::{FilePath, Prefix, Roles};

/// How a node is reached. It is in the ledger too, so that a node that left cluster.yml can be cleaned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTarget {
    /// The address for SSH.
    pub address: String,
    /// The port for SSH.
    pub port: u16,
    /// The user for SSH.
    pub user: String,
    /// The address by which components reach each other.
    pub internal_address: String,
    /// Docker's socket on the node.
    pub docker_socket: FilePath,
    /// The path of the private key on the operator's machine, where cluster.yml names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_path: Option<String>,
}

impl NodeTarget {
    /// The address at which other members reach this node's member of etcd.
    ///
    /// An IPv6 address is in brackets, as in every URL (RFC 3986, section 3.2.2).
    pub fn peer_url(&self) -> String {
        self.url(ETCD_PEER_PORT)
    }

    /// The address at which clients reach its member of etcd.
    pub fn client_url(&self) -> String {
        self.url(ETCD_CLIENT_PORT)
    }

    fn url(&self, port: u16) -> String {
        let address = &self.internal_address;
        if address.contains(':') && !address.starts_with('[') {
            format!("https://[{address}]:{port}")
        } else {
            format!("https://{address}:{port}")
        }
    }
}

/// A node of the last `up`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastNode {
    /// How it was reached.
    pub target: NodeTarget,
    /// Its roles.
    pub roles: Roles,
    /// The prefix of host directories there, where it was another than ordinary machines have. Ledgers of
    /// earlier versions do not say: then the machine's operating system decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Prefix>,
    /// Where its member of etcd has its data and its log, where that is another place than usual. Ledgers of
    /// earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd: Option<EtcdPlaces>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_reached_at_the_internal_address() {
        let peer_url = |internal_address: &str| {
            let target = NodeTarget {
                address: "lab-1".to_owned(),
                port: 22,
                user: "root".to_owned(),
                internal_address: internal_address.to_owned(),
                docker_socket: FilePath::from("/var/run/docker.sock"),
                key_path: None,
            };
            target.peer_url()
        };
        assert_eq!(peer_url("10.0.0.1"), "https://10.0.0.1:2380");
        assert_eq!(peer_url("fd00::1"), "https://[fd00::1]:2380");
        assert_eq!(peer_url("[fd00::1]"), "https://[fd00::1]:2380");
    }
}
