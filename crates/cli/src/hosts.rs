//! Real machines: reached over SSH as cluster.yml says, with keys made for real.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use windlass_engine::{Listener, Ports, Silence};
use windlass_model::{Ledger, NodeName, Secret};
use windlass_pki::X509Minter;
use windlass_remote::{
    Access, Agent, Bastion, HostKeys, KeySource, Looks, RemoteFleet, Settings, Stats, SystemClock,
};
use windlass_spec::{BastionSpec, ClusterSpec, NodeSpec};

use crate::arguments::CommonArguments;
use crate::kubeconfig::{self, Written};
use crate::ledger_file::FileLedger;
use crate::scene::{Run, Scene};
use crate::trouble::Trouble;
use crate::wish::Wish;

/// The port of sshd where cluster.yml names none.
const SSH_PORT: u16 = 22;

/// The machines of a cluster.yml, behind the ports of the engine.
#[derive(Debug)]
pub(crate) struct Hosts<'a> {
    config: &'a Path,
    wish: &'a Wish,
    fleet: RemoteFleet,
    ledger: FileLedger,
}

impl<'a> Hosts<'a> {
    /// Reaches for nothing yet.
    pub(crate) fn of(
        common: &CommonArguments,
        config: &'a Path,
        wish: &'a Wish,
        looks: Looks,
    ) -> Result<Self, Trouble> {
        let program = std::env::current_exe().map_err(|source| Trouble::OwnProgram { source })?;
        let settings = Settings {
            host_keys: if common.ssh_strict { HostKeys::KnownOnly } else { HostKeys::AcceptNew },
            known_hosts: common.ssh_known_hosts.clone(),
            access: access(wish),
            common_access: common_access(wish.spec()),
            bastion: wish.spec().bastion_host.as_ref().map(|bastion| bastion_of(bastion, wish.spec())),
            registry_auth: wish.secret("registry-auth").cloned(),
            node_image: windlass_blueprint::NODE_IMAGE.into(),
            program,
            looks,
        };
        let fleet = RemoteFleet::new(settings).map_err(|source| Trouble::NoRoom { source })?;
        Ok(Self { config, wish, fleet, ledger: FileLedger::beside(config) })
    }

    /// Ends all connections.
    pub(crate) async fn close(self) {
        self.fleet.close().await;
    }
}

impl Scene for Hosts<'_> {
    type Fleet = RemoteFleet;
    type Ledger = FileLedger;
    type Minter = X509Minter;
    type Clock = SystemClock;

    fn ports(&self) -> Ports<'_, RemoteFleet, FileLedger, X509Minter, SystemClock> {
        Ports { fleet: &self.fleet, ledger: &self.ledger, minter: &X509Minter, clock: &SystemClock }
    }

    fn begin(&self, _run: Run<'_>) {}

    fn listener(&self) -> &dyn Listener {
        &Silence
    }

    /// The operator's kubeconfig follows the ledger.
    fn end(&self, run: Run<'_>, ledger: Option<&Ledger>) -> Result<Vec<String>, Trouble> {
        let failed = |source| Trouble::KubeconfigUnwritable { path: kubeconfig::beside(self.config), source };
        let Some(ledger) = ledger else {
            if run.dismantles {
                kubeconfig::delete(self.config).map_err(failed)?;
            }
            return Ok(Vec::new());
        };
        if run.dismantles {
            return Ok(Vec::new());
        }
        let written =
            kubeconfig::write(self.config, run.blueprint, self.wish.endpoint(), ledger).map_err(failed)?;
        Ok(match written {
            Written::New(path) => {
                vec![format!("wrote {}: how kubectl reaches the cluster\n", path.display())]
            }
            Written::Changed(path) => vec![format!("wrote {} anew\n", path.display())],
            Written::Unchanged | Written::NothingToSay => Vec::new(),
        })
    }

    fn violations(&self) -> Vec<String> {
        Vec::new()
    }

    fn stats(&self) -> Option<Stats> {
        Some(self.fleet.stats())
    }
}

/// What opens each node: its own keys before those of the top level.
fn access(wish: &Wish) -> BTreeMap<NodeName, Access> {
    let spec = wish.spec();
    spec.nodes.iter().map(|node| (node.name(), access_of(node, spec))).collect()
}

fn access_of(node: &NodeSpec, spec: &ClusterSpec) -> Access {
    let common = common_access(spec);
    let own_key = key(node.ssh_key.clone(), node.ssh_key_path.as_deref());
    let own_certificate = key(node.ssh_cert.clone().map(Secret::new), node.ssh_cert_path.as_deref());
    Access {
        // A certificate belongs to its key.
        certificate: own_certificate.or(if own_key.is_none() { common.certificate } else { None }),
        key: own_key.or(common.key),
        agent: if node.ssh_agent_auth == Some(true) { Agent::Always } else { common.agent },
    }
}

fn common_access(spec: &ClusterSpec) -> Access {
    Access {
        key: key(None, spec.ssh_key_path.as_deref()),
        certificate: key(None, spec.ssh_cert_path.as_deref()),
        agent: if spec.ssh_agent_auth == Some(true) { Agent::Always } else { Agent::default() },
    }
}

fn bastion_of(bastion: &BastionSpec, spec: &ClusterSpec) -> Bastion {
    let common = common_access(spec);
    let own_key = key(bastion.ssh_key.clone(), bastion.ssh_key_path.as_deref());
    let own_certificate = key(bastion.ssh_cert.clone().map(Secret::new), bastion.ssh_cert_path.as_deref());
    Bastion {
        address: bastion.address.clone(),
        port: bastion.port.unwrap_or(SSH_PORT),
        user: bastion.user.clone().unwrap_or_else(|| "root".to_owned()),
        access: Access {
            certificate: own_certificate.or(if own_key.is_none() { common.certificate } else { None }),
            key: own_key.or(common.key),
            agent: if bastion.ssh_agent_auth == Some(true) { Agent::Always } else { common.agent },
        },
    }
}

/// A key given as text goes before one given by its path, as in RKE 1.
fn key(inline: Option<Secret<String>>, path: Option<&str>) -> Option<KeySource> {
    inline.map(KeySource::Inline).or_else(|| path.map(|path| KeySource::Path(PathBuf::from(path))))
}
