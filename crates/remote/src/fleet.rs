//! The fleet: the machines, the connections to them, and the number of requests to each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::OnceCell;
use windlass_engine::{PortError, PortResult};
use windlass_model::{LastNode, Ledger, NodeName, Role};

use crate::docker_error::lasting;
use crate::image::NodeImage;
use crate::kept_leases::KeptLeases;
use crate::keys::Keys;
use crate::link::{Counts, Link};
use crate::master::{self, Destination};
use crate::room::Room;
use crate::settings::Settings;

/// For how long, at least and at most, a machine that was not reached is not tried again. Within these limits
/// it is as long as the last attempt took: a caller that asks again at once gets the same error without
/// waiting.
const REST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15));

/// The machines, reached over SSH.
///
/// *Guarantees*: one connection for each machine, made when it is first needed and again after it broke.
/// Every verb is bounded in time. [`RemoteFleet::close`] ends all ssh processes; if windlass is killed, they
/// end by themselves.
#[derive(Debug)]
pub struct RemoteFleet {
    pub(crate) settings: Settings,
    room: Arc<Room>,
    machines: Mutex<BTreeMap<NodeName, Arc<Machine>>>,
    bastion: tokio::sync::Mutex<Option<std::path::PathBuf>>,
    bastion_connections: Arc<Counts>,
    keys: Mutex<Option<Arc<Keys>>>,
    pub(crate) image: OnceCell<Arc<NodeImage>>,
    /// Whether its API servers are too old for the newer version of evictions, as one of them has answered.
    pub(crate) old_evictions: AtomicBool,
    /// The leases of the run that changes the cluster.
    pub(crate) leases: KeptLeases,
    /// The control-plane node that answered last.
    pub(crate) last_api: Mutex<Option<NodeName>>,
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) name: NodeName,
    pub(crate) last: LastNode,
    counts: Arc<Counts>,
    connection: tokio::sync::Mutex<Connection>,
    /// Whether it is known to have the image with this very program.
    pub(crate) has_image: AtomicBool,
    pub(crate) loading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Connection {
    link: Option<Arc<Link>>,
    /// Until when the machine is not tried again, and the error.
    failed: Option<(Instant, PortError)>,
}

impl Machine {
    /// The connection to it, if there is one that works.
    pub(crate) fn connected(&self) -> Option<Arc<Link>> {
        let connection = self.connection.try_lock().ok()?;
        connection.link.clone().filter(|link| link.is_alive())
    }
}

/// How often a machine was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MachineStats {
    /// SSH connections made.
    pub ssh_connections: u64,
    /// Requests to Docker.
    pub docker_calls: u64,
    /// Commands run over SSH.
    pub commands: u64,
    /// Requests to components, etcd and Kubernetes among them.
    pub probes: u64,
}

/// How often all machines were asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// By node.
    pub nodes: BTreeMap<NodeName, MachineStats>,
    /// SSH connections made to the bastion.
    pub bastion_connections: u64,
}

impl RemoteFleet {
    /// A fleet without machines. Creates a directory of its own and contacts nothing.
    ///
    /// # Errors
    /// That directory cannot be created.
    pub fn new(settings: Settings) -> std::io::Result<Self> {
        Ok(Self {
            settings,
            room: Arc::new(Room::new()?),
            machines: Mutex::default(),
            bastion: tokio::sync::Mutex::default(),
            bastion_connections: Arc::default(),
            keys: Mutex::default(),
            image: OnceCell::new(),
            old_evictions: AtomicBool::new(false),
            leases: KeptLeases::default(),
            last_api: Mutex::default(),
        })
    }

    /// How often the machines were asked so far.
    pub fn stats(&self) -> Stats {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let stats = |counts: &Counts| MachineStats {
            ssh_connections: load(&counts.connections),
            docker_calls: load(&counts.docker_calls),
            commands: load(&counts.commands),
            probes: load(&counts.probes),
        };
        let machines = locked(&self.machines);
        let nodes = machines.iter().map(|(name, machine)| (name.clone(), stats(&machine.counts)));
        Stats { nodes: nodes.collect(), bastion_connections: load(&self.bastion_connections.connections) }
    }

    /// Closes all connections. A verb that is running may still succeed, or report a lost connection.
    pub async fn close(&self) {
        let machines = std::mem::take(&mut *locked(&self.machines));
        let closing = machines.into_values().map(|machine| async move {
            if let Some(link) = machine.connection.lock().await.link.take() {
                link.close().await;
            }
        });
        futures_util::future::join_all(closing).await;
        if let Some(control) = self.bastion.lock().await.take() {
            crate::link::stop(&control).await;
        }
    }

    pub(crate) fn enrol_machine(&self, node: &NodeName, last: &LastNode) {
        let mut machines = locked(&self.machines);
        match machines.get(node) {
            Some(known) if known.last == *last => {}
            known => {
                // Where it is reached as before, the connection is kept.
                let (counts, connection) = match known {
                    Some(known) if known.last.target == last.target => {
                        let taken = known.connection.try_lock().map(|mut it| std::mem::take(&mut *it));
                        (known.counts.clone(), taken.unwrap_or_default())
                    }
                    Some(known) => (known.counts.clone(), Connection::default()),
                    None => (Arc::default(), Connection::default()),
                };
                let machine = Machine {
                    name: node.clone(),
                    last: last.clone(),
                    counts,
                    connection: tokio::sync::Mutex::new(connection),
                    has_image: AtomicBool::new(false),
                    loading: tokio::sync::Mutex::default(),
                };
                machines.insert(node.clone(), Arc::new(machine));
            }
        }
    }

    pub(crate) fn take_keys(&self, ledger: &Ledger) {
        let now = windlass_engine::Clock::now(&crate::clock::SystemClock);
        *locked(&self.keys) = Some(Arc::new(Keys::of(ledger, now)));
    }

    pub(crate) fn keys(&self) -> Option<Arc<Keys>> {
        locked(&self.keys).clone()
    }

    /// The keys; an error where there are none yet.
    pub(crate) fn needed_keys(&self) -> PortResult<Arc<Keys>> {
        self.keys().ok_or_else(|| lasting("nobody has handed over the keys of etcd and Kubernetes"))
    }

    pub(crate) fn machine(&self, node: &NodeName) -> PortResult<Arc<Machine>> {
        locked(&self.machines).get(node).cloned().ok_or_else(|| lasting(format!("{node} was never enrolled")))
    }

    pub(crate) fn machines(&self) -> Vec<Arc<Machine>> {
        locked(&self.machines).values().cloned().collect()
    }

    /// The machines that have an API server.
    pub(crate) fn control_planes(&self) -> Vec<Arc<Machine>> {
        let has_api = |machine: &&Arc<Machine>| machine.last.roles.contains(&Role::ControlPlane);
        locked(&self.machines).values().filter(has_api).cloned().collect()
    }

    /// The machine with this internal address.
    pub(crate) fn machine_at(&self, host: &str) -> Option<Arc<Machine>> {
        let bare = |host: &str| host.trim_matches(['[', ']']).to_owned();
        let is_there = |machine: &&Arc<Machine>| bare(&machine.last.target.internal_address) == bare(host);
        locked(&self.machines).values().find(is_there).cloned()
    }

    pub(crate) async fn link(&self, node: &NodeName) -> PortResult<Arc<Link>> {
        self.link_of(&*self.machine(node)?).await
    }

    /// The connection to a machine; a new one if none works.
    pub(crate) async fn link_of(&self, machine: &Machine) -> PortResult<Arc<Link>> {
        let mut connection = machine.connection.lock().await;
        if let Some(link) = connection.link.as_ref().filter(|link| link.is_alive()) {
            return Ok(link.clone());
        }
        connection.link = None;
        if let Some((until, error)) = &connection.failed
            && *until > Instant::now()
        {
            return Err(error.clone());
        }
        let begun = Instant::now();
        let made = self.connect(machine).await;
        match made {
            Ok(link) => {
                let link = Arc::new(link);
                *connection = Connection { link: Some(link.clone()), failed: None };
                Ok(link)
            }
            Err(error) => {
                let rest = begun.elapsed().clamp(REST.0, REST.1);
                connection.failed = Some((Instant::now() + rest, error.clone()));
                Err(error)
            }
        }
    }

    async fn connect(&self, machine: &Machine) -> PortResult<Link> {
        let out_of_sight = |cause| PortError::OutOfSight { node: machine.name.clone(), cause };
        let target = &machine.last.target;
        let mut access =
            self.settings.access.get(&machine.name).unwrap_or(&self.settings.common_access).clone();
        if access.key.is_none() {
            access.key = target.key_path.as_ref().map(|path| crate::settings::KeySource::Path(path.into()));
        }
        let through = self.bastion().await.map_err(out_of_sight)?;
        Counts::count(&machine.counts.connections);
        let destination = Destination {
            address: &target.address,
            port: target.port,
            user: &target.user,
            access: &access,
            through: through.as_deref(),
            host_keys: self.settings.host_keys,
            known_hosts: self.settings.known_hosts.as_deref(),
        };
        let started = master::start(&destination, &self.room).await.map_err(out_of_sight)?;
        let linked =
            Link::new(&machine.name, &started, &target.docker_socket, &machine.counts, &self.room).await;
        if linked.is_err() {
            crate::link::stop(&started.control).await;
        }
        linked
    }

    /// The control socket of the one connection to the bastion, if there is one.
    async fn bastion(&self) -> Result<Option<std::path::PathBuf>, String> {
        let Some(bastion) = &self.settings.bastion else { return Ok(None) };
        let mut control = self.bastion.lock().await;
        if let Some(known) = control.as_ref() {
            let session = openssh::Session::resume_mux(known.clone().into_boxed_path(), None);
            if matches!(tokio::time::timeout(Duration::from_secs(5), session.check()).await, Ok(Ok(()))) {
                return Ok(Some(known.clone()));
            }
        }
        Counts::count(&self.bastion_connections.connections);
        let destination = Destination {
            address: &bastion.address,
            port: bastion.port,
            user: &bastion.user,
            access: &bastion.access,
            through: None,
            host_keys: self.settings.host_keys,
            known_hosts: self.settings.known_hosts.as_deref(),
        };
        let made = master::start(&destination, &self.room).await;
        *control = Some(made.map_err(|cause| format!("the bastion is unreachable: {cause}"))?.control);
        Ok(control.clone())
    }
}

/// Every change under these locks is a single assignment, so a panic elsewhere leaves them complete.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
