//! How nodes are reached: keys, the bastion, host keys, and the program that windlass copies to them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use windlass_model::{ImageRef, NodeName, Secret};

/// The settings that the fleet gets once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How strictly host keys are checked. They are always checked.
    pub host_keys: HostKeys,
    /// The file of known host keys; ssh's own where absent.
    pub known_hosts: Option<PathBuf>,
    /// The credentials of each node of cluster.yml.
    pub access: BTreeMap<NodeName, Access>,
    /// The credentials of every other node, such as those that only the ledger has.
    pub common_access: Access,
    /// The machine through which all nodes are reached.
    pub bastion: Option<Bastion>,
    /// Credentials of registries, in the form of Docker's own configuration file.
    pub registry_auth: Option<Secret<String>>,
    /// The image that windlass creates of itself for what must run on nodes.
    pub node_image: ImageRef,
    /// The program of that image: one static file.
    pub program: PathBuf,
}

/// How strictly host keys are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HostKeys {
    /// The key of an unknown host is recorded; a changed key is refused.
    #[default]
    AcceptNew,
    /// Only known hosts are connected to.
    KnownOnly,
}

/// The credentials of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Access {
    /// The private key; ssh's own defaults where absent.
    pub key: Option<KeySource>,
    /// The certificate of that key.
    pub certificate: Option<KeySource>,
    /// Whether the agent may be used.
    pub agent: Agent,
}

/// Where a key or certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In a file; `~` is the home directory.
    Path(PathBuf),
    /// In cluster.yml itself.
    Inline(Secret<String>),
}

/// Whether the ssh agent may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Agent {
    /// It may, besides the default keys, where no key is named.
    #[default]
    WithoutKey,
    /// It may in any case.
    Always,
}

/// The machine through which all nodes are reached, by one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bastion {
    /// Its address.
    pub address: String,
    /// The port of its sshd.
    pub port: u16,
    /// Who to log in as.
    pub user: String,
    /// Its credentials.
    pub access: Access,
}
