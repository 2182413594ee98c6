//! A lab of real hosts: containers with sshd and dockerd, and what a test does to them.
//!
//! `integration/lab/hosts` creates the hosts; `docs/guides/lab.md` describes them. A lab belongs to the
//! process that started it: it is taken down when its [`Lab`] is dropped, and where the process was killed,
//! by the next lab that starts.
//!
//! ```no_run
//! use windlass_integration::lab::{Cluster, Lab, LabError, LabShape, Windlass};
//!
//! # fn main() -> Result<(), LabError> {
//! let lab = Lab::start(&LabShape::nodes(5))?;
//! let windlass = Windlass::new(&lab)?;
//! Cluster::three_control_planes_two_workers(&lab).write(&windlass)?;
//! assert_eq!(windlass.run(["up"])?.code, Some(0));
//! lab.node(1).power_off()?;
//! # Ok(())
//! # }
//! ```

mod api;
mod authority;
mod balancer;
mod cluster;
mod command;
mod era;
mod faults;
mod floor;
mod kills;
mod kubectl;
mod node;
mod pacer;
mod planned;
mod prober;
mod s3_server;
mod snapshot;
mod state;
mod stops;
mod web;
mod windlass;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use serde::Deserialize;

pub use authority::{Authority, Issued};
pub use balancer::api_balancer;
pub use cluster::{ALL_ROLES, Cluster, Images};
pub use command::{Ran, Run, await_that};
pub use era::{Era, Versions};
pub use floor::Floor;
pub use kills::{Killed, Kills};
pub use kubectl::Kubectl;
pub use node::Node;
pub use planned::Planned;
pub use prober::{ApiProber, Probed};
pub use s3_server::S3Server;
pub use snapshot::{ContainerSeen, FileSeen};
pub use state::LabState;
pub use stops::Stops;
pub use web::{await_service, await_web, start_service, start_web};
pub use windlass::Windlass;
pub use writer::{Writer, Written};

/// Why a lab could not do what was requested.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A program does not exist, or may not be run.
    #[error("`{command}` cannot be started")]
    NotStarted {
        /// The program and its arguments.
        command: String,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A program exited with another code than 0.
    #[error("`{command}` ended with {code:?}: {stderr}")]
    Failed {
        /// The program and its arguments.
        command: String,
        /// The exit code; none if a signal ended it.
        code: Option<i32>,
        /// Its stderr.
        stderr: String,
    },
    /// A program took too long and was killed.
    #[error("`{command}` did not end within {limit:?}")]
    TimeOver {
        /// The program and its arguments.
        command: String,
        /// Its time limit.
        limit: Duration,
    },
    /// A condition did not become true.
    #[error("waited {limit:?} for this in vain: {what}; at last: {last}")]
    NotReached {
        /// The condition.
        what: String,
        /// How long it was waited for.
        limit: Duration,
        /// The last answer.
        last: String,
    },
    /// A file of the lab cannot be read or written.
    #[error("{path}")]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A certificate cannot be made.
    #[error("no certificate for `{name}`")]
    NoCertificate {
        /// Its common name.
        name: String,
        /// The reason.
        source: rcgen::Error,
    },
    /// An answer does not have the expected form.
    #[error("{what} is not understood: {why}")]
    NotUnderstood {
        /// What was read.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The hosts of a lab.
#[derive(Clone, Debug)]
pub struct LabShape {
    nodes: usize,
    era: Era,
    disk: Option<String>,
    images: NodeImages,
    pods_network: bool,
    company: Company,
}

/// Whether other labs of this process may run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    Welcome,
    None,
}

/// The images on the nodes from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NodeImages {
    None,
    Components,
}

impl LabShape {
    /// This many hosts, without images, with the pod network in place.
    pub fn nodes(nodes: usize) -> Self {
        Self {
            nodes,
            era: Era::Today,
            disk: None,
            images: NodeImages::None,
            pods_network: true,
            company: Company::Welcome,
        }
    }

    /// Hosts of another era.
    #[must_use]
    pub fn of_era(mut self, era: Era) -> Self {
        self.era = era;
        self
    }

    /// Each with a disk of this size (`4G`) under Docker, etcd and kubelet, so that it can be filled.
    #[must_use]
    pub fn with_disk(mut self, size: &str) -> Self {
        self.disk = Some(size.to_owned());
        self
    }

    /// The component images are in each node's Docker from the beginning.
    #[must_use]
    pub fn with_images_loaded(mut self) -> Self {
        self.images = NodeImages::Components;
        self
    }

    /// No other lab of this process runs at the same time: the test measures how soon something answers.
    #[must_use]
    pub fn undisturbed(mut self) -> Self {
        self.company = Company::None;
        self
    }

    /// No CNI configuration and no routes: pods get no network.
    #[must_use]
    pub fn without_pods_network(mut self) -> Self {
        self.pods_network = false;
        self
    }
}

/// Running hosts, with a registry beside them. Dropping it takes them down.
#[derive(Debug)]
pub struct Lab {
    shape: LabShape,
    described: Described,
    /// Released when the hosts are down.
    _turn: Turn,
}

/// Shares this machine among labs that tolerate each other, or reserves it for one.
static MACHINE: RwLock<()> = RwLock::new(());

/// One lab's share of the machine.
#[derive(Debug)]
#[expect(dead_code, reason = "to hold it is all that is done with it")]
enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

impl Turn {
    fn take(company: Company) -> Self {
        match company {
            Company::Welcome => Self::Shared(MACHINE.read().unwrap_or_else(PoisonError::into_inner)),
            Company::None => Self::Alone(MACHINE.write().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

/// `hosts up`'s description of a lab.
#[derive(Debug, Deserialize)]
struct Described {
    name: String,
    /// The directory of the lab's files.
    directory: PathBuf,
    balancer: String,
    user: String,
    ssh_key: PathBuf,
    kubectl: PathBuf,
    balancer_image: String,
    era: Era,
    versions: Versions,
    earlier: Option<Versions>,
    registry: Registry,
    s3_server: Option<S3Place>,
    nodes: Vec<Node>,
}

/// Where the lab's S3 server will be, and its image.
#[derive(Debug, Deserialize)]
struct S3Place {
    address: String,
    image: String,
}

/// The lab's registry: `docker-registry` with TLS by a CA that the nodes' Docker trusts, and basic authentication.
#[derive(Clone, Debug, Deserialize)]
pub struct Registry {
    /// The container, on the machine's own Docker.
    pub container: String,
    /// Its name on nodes: `registry.lab:5000`.
    pub host: String,
    /// The user who may pull.
    pub user: String,
    password_file: PathBuf,
}

impl Registry {
    /// The password of [`Registry::user`].
    ///
    /// # Errors
    /// The lab's file with it does not exist any more.
    pub fn password(&self) -> Result<String, LabError> {
        read(&self.password_file)
    }

    /// Stops it: nothing listens at its address then.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn stop(&self) -> Result<(), LabError> {
        docker(["stop", "--time", "2", &self.container])
    }

    /// Starts it again.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn start(&self) -> Result<(), LabError> {
        docker(["start", &self.container])
    }
}

static STARTED: AtomicU32 = AtomicU32::new(0);

impl Lab {
    /// Starts hosts and waits until they answer SSH and Docker. The first lab on a machine builds everything
    /// that labs need, which takes a quarter of an hour; later it takes seconds.
    ///
    /// With `WINDLASS_LAB_KEEP` in the environment the lab stays when it is dropped: `hosts down NAME` takes it.
    ///
    /// # Errors
    /// The hosts cannot be created; those that exist are taken down.
    pub fn start(shape: &LabShape) -> Result<Self, LabError> {
        let turn = Turn::take(shape.company);
        let own = std::process::id();
        let name = format!("lab-{own}-{}", STARTED.fetch_add(1, Ordering::Relaxed));
        match up(&name, shape, 1) {
            Ok(described) => Ok(Self { shape: shape.clone(), described, _turn: turn }),
            Err(error) => {
                if !is_kept() {
                    // The first error is the informative one.
                    let _ = hosts(["down", &name]);
                }
                Err(error)
            }
        }
    }

    /// The lab's name, with which its containers begin.
    pub fn name(&self) -> &str {
        &self.described.name
    }

    /// The node of this number; they count from 1.
    ///
    /// # Panics
    /// The lab has no such node.
    pub fn node(&self, number: usize) -> &Node {
        self.nodes().iter().find(|node| node.number == number).expect("a test asks for nodes that it started")
    }

    /// All nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.described.nodes
    }

    /// The era of its hosts.
    pub fn era(&self) -> Era {
        self.described.era
    }

    /// The newest versions in its registry.
    pub fn versions(&self) -> &Versions {
        &self.described.versions
    }

    /// The versions of the previous link, from which an upgrade begins.
    ///
    /// # Panics
    /// The lab's era has only one version.
    pub fn earlier_versions(&self) -> &Versions {
        self.described.earlier.as_ref().expect("the lab of today has two versions")
    }

    /// The name of an image without a registry, by the key that cluster.yml has for it.
    ///
    /// # Panics
    /// The era has no such image.
    pub fn image(&self, key: &str) -> String {
        let images = self.era().images(self.versions());
        images.into_iter().find(|(of, _)| *of == key).expect("a test asks for images that the lab has").1
    }

    /// The registry that holds the component images.
    pub fn registry(&self) -> &Registry {
        &self.described.registry
    }

    /// The user who logs in: a member of the group `docker` who cannot become root.
    pub fn user(&self) -> &str {
        &self.described.user
    }

    /// The private key of [`Lab::user`], and of `visitor`, who is not in the group `docker`.
    pub fn ssh_key(&self) -> &Path {
        &self.described.ssh_key
    }

    /// The `kubectl` of the lab's Kubernetes.
    pub fn kubectl_program(&self) -> &Path {
        &self.described.kubectl
    }

    /// Adds nodes to those that run; their numbers follow.
    ///
    /// # Errors
    /// They cannot be created.
    pub fn add_nodes(&mut self, count: usize) -> Result<(), LabError> {
        let first = self.nodes().iter().map(|node| node.number).max().unwrap_or(0) + 1;
        let shape = LabShape { nodes: count, ..self.shape.clone() };
        self.described = up(self.name(), &shape, first)?;
        Ok(())
    }

    /// Removes this node's container and all its data: a destroyed host.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn remove_node_including_data(&mut self, number: usize) -> Result<(), LabError> {
        docker(["rm", "--force", "--volumes", &self.node(number).container.clone()])?;
        self.described.nodes.retain(|node| node.number != number);
        Ok(())
    }

    /// Starts nginx as a load balancer in the lab's network, with this configuration, and returns its
    /// address.
    ///
    /// # Errors
    /// It cannot be started, or one runs already.
    pub fn start_balancer(&self, nginx_conf: &str) -> Result<String, LabError> {
        let Described { name, balancer, balancer_image, .. } = &self.described;
        let container = format!("{name}-balancer");
        docker([
            "create",
            "--name",
            &container,
            "--network",
            name,
            "--ip",
            balancer,
            "--label",
            &format!("windlass.lab={name}"),
            balancer_image,
            "nginx",
            "-g",
            "daemon off;",
            "-c",
            "/etc/nginx/lab.conf",
        ])?;
        self.write_into(&container, "/etc/nginx/lab.conf", nginx_conf)?;
        docker(["start", &container])?;
        Ok(balancer.clone())
    }

    /// Puts a file into a container of the machine's own Docker, which need not run.
    fn write_into(&self, container: &str, path: &str, text: &str) -> Result<(), LabError> {
        let directory =
            tempfile::tempdir().map_err(|source| LabError::File { path: std::env::temp_dir(), source })?;
        let file = directory.path().join(self.name());
        std::fs::write(&file, text).map_err(|source| LabError::File { path: file.clone(), source })?;
        docker(["cp", &file.to_string_lossy(), &format!("{container}:{path}")])
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !is_kept() {
            // An error cannot be reported here; the next lab that starts removes what is left over.
            let _ = hosts(["down", self.name()]);
        }
    }
}

/// Starts nodes from this number on, and reads what the lab has then.
fn up(name: &str, shape: &LabShape, first: usize) -> Result<Described, LabError> {
    let LabShape { nodes, era, disk, images, pods_network, company: _ } = shape;
    let (nodes, first, owner) = (nodes.to_string(), first.to_string(), std::process::id().to_string());
    let mut arguments = vec!["up", name, "--era", era.as_str(), "--nodes", &nodes, "--first", &first];
    if !is_kept() {
        arguments.extend(["--owner", &owner]);
    }
    if let Some(size) = disk {
        arguments.extend(["--disk", size]);
    }
    if *images == NodeImages::Components {
        arguments.push("--seeded");
    }
    if !pods_network {
        arguments.push("--empty-network");
    }
    let path = hosts(arguments)?;
    let path = Path::new(path.trim());
    let mut described: Described = serde_json::from_str(&read(path)?).map_err(|error| {
        LabError::NotUnderstood { what: path.display().to_string(), why: error.to_string() }
    })?;
    for node in &mut described.nodes {
        node.belongs_to(&described.user, &described.ssh_key);
    }
    Ok(described)
}

fn is_kept() -> bool {
    std::env::var_os("WINDLASS_LAB_KEEP").is_some()
}

/// Runs `integration/lab/hosts`. Its progress goes to this process's stderr.
fn hosts<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<String, LabError> {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/lab/hosts");
    // The first lab of a machine builds Kubernetes.
    Run::new(program, arguments).within(Duration::from_secs(3600)).output()
}

/// Runs `docker` on the machine's own engine.
fn docker<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<(), LabError> {
    Run::new("docker", arguments).output().map(|_| ())
}

fn read(path: &Path) -> Result<String, LabError> {
    std::fs::read_to_string(path).map_err(|source| LabError::File { path: path.to_owned(), source })
}
