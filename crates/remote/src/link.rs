//! One node's connection: ssh, the forwards through it, and Docker behind one of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use openssh::{ForwardType, Session, Socket, Stdio};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use windlass_engine::{PortError, PortResult};
use windlass_model::{FilePath, NodeName};

use crate::docker_error::{DockerError, lasting};
use crate::https::{self, Call, Reply, Speech};
use crate::master::Started;
use crate::room::Room;

/// How long the running ssh process may take for a request.
const CONTROL_WITHIN: Duration = Duration::from_secs(10);
/// How long a command on the node may take.
const COMMAND_WITHIN: Duration = Duration::from_secs(20);
/// A port at which nothing listens: the service of that name is from 1988 (RFC 1078).
const NOBODYS_PORT: u16 = 1;
/// How long sshd may take to report that nothing listens at a port of its own machine.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);
/// bollard's own limit, above every limit that is set here for a call.
const DOCKER_SECONDS: u64 = 3_600;

/// How often a node was asked so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connections: AtomicU64,
    pub(crate) docker_calls: AtomicU64,
    pub(crate) commands: AtomicU64,
    pub(crate) probes: AtomicU64,
}

impl Counts {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection that works, or worked a moment ago.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) node: NodeName,
    pub(crate) docker: Docker,
    pub(crate) counts: Arc<Counts>,
    session: Session,
    room: Arc<Room>,
    run_name: String,
    forwards: tokio::sync::Mutex<BTreeMap<Far, PathBuf>>,
    is_alive: Arc<AtomicBool>,
    /// Releases the ssh process with the link.
    _hold: Hold,
}

/// What sshd forwards, or refuses to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sockets,
    Tcp,
}

/// An address on the node, or one that the node can reach.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Far {
    /// A socket of its own.
    Socket(FilePath),
    /// A host and a port that it can reach.
    Port(String, u16),
}

impl Link {
    /// Takes over a running ssh process by its control socket, and connects to Docker through it.
    pub(crate) async fn new(
        node: &NodeName,
        started: &Started,
        docker_socket: &FilePath,
        counts: &Arc<Counts>,
        room: &Arc<Room>,
    ) -> PortResult<Self> {
        let control = started.control.clone();
        let is_alive = Arc::new(AtomicBool::new(true));
        let hold = watch(&control, is_alive.clone()).await.map_err(|error| PortError::OutOfSight {
            node: node.clone(),
            cause: format!("ssh ended at once: {error}"),
        })?;
        let session = Session::resume_mux(control.into_boxed_path(), None);
        let forwards = tokio::sync::Mutex::default();
        let far = Far::Socket(docker_socket.clone());
        let near = open_forward(&session, room, &far)
            .await
            .map_err(|cause| PortError::OutOfSight { node: node.clone(), cause })?;
        let docker = |version| {
            Docker::connect_with_unix(&near.to_string_lossy(), DOCKER_SECONDS, version)
                .map_err(|error| lasting(format!("Docker's socket for {node}: {error}")))
        };
        let link = Self {
            node: node.clone(),
            docker: docker(API_DEFAULT_VERSION)?,
            counts: counts.clone(),
            session,
            room: room.clone(),
            run_name: room.run(),
            forwards,
            is_alive,
            _hold: hold,
        };
        Counts::count(&link.counts.docker_calls);
        let link = match spoken_version(&near).await {
            Ok(version) if version < *API_DEFAULT_VERSION => Self { docker: docker(&version)?, ..link },
            Ok(_) => link,
            Err(_) if started.was_refused_to_forward() => return Err(link.forwards_no(Kind::Sockets)),
            Err(error) => return Err(link.why_no_docker(docker_socket, error).await),
        };
        link.try_a_port().await;
        if started.was_refused_to_forward() { Err(link.forwards_no(Kind::Tcp)) } else { Ok(link) }
    }

    /// Connects to a port at which nothing listens: sshd answers at once, either so or that it does not
    /// forward.
    async fn try_a_port(&self) {
        let Ok(near) = self.forward(&Far::Port("127.0.0.1".to_owned(), NOBODYS_PORT)).await else { return };
        let talk = async { UnixStream::connect(near).await?.read(&mut [0]).await };
        // Whatever the result: the log of ssh has the answer.
        let _ = timeout(REFUSED_WITHIN, talk).await;
    }

    /// sshd lets this user log in and forwards nothing: no component could be asked whether it works.
    fn forwards_no(&self, kind: Kind) -> PortError {
        let (what, setting, key) = match kind {
            Kind::Sockets => ("sockets", "AllowStreamLocalForwarding", "`restrict`"),
            Kind::Tcp => ("TCP", "AllowTcpForwarding", "`no-port-forwarding` or `permitopen`"),
        };
        let cause = format!(
            "sshd there refuses to forward {what}: put `{setting} local` into its sshd_config, with no \
             `DisableForwarding yes`, and no {key} before the key in authorized_keys; then `systemctl reload sshd`"
        );
        PortError::OutOfSight { node: self.node.clone(), cause }
    }

    /// The name of this run on the node.
    pub(crate) fn run_name(&self) -> &str {
        &self.run_name
    }

    /// Whether another run is known to have died.
    pub(crate) fn has_died(&self, run: &str) -> bool {
        self.room.has_died(run)
    }

    /// Whether the ssh process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.is_alive.load(Ordering::Relaxed)
    }

    /// Calls Docker, and counts it.
    pub(crate) async fn call<T>(
        &self,
        within: Duration,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, DockerError> {
        Counts::count(&self.counts.docker_calls);
        match timeout(within, call).await {
            Ok(ended) => ended.map_err(DockerError::from),
            Err(_) => Err(DockerError::TimeUp(within)),
        }
    }

    /// A local socket that is connected to that address.
    pub(crate) async fn forward(&self, far: &Far) -> PortResult<PathBuf> {
        let mut forwards = self.forwards.lock().await;
        if let Some(near) = forwards.get(far) {
            return Ok(near.clone());
        }
        let near = open_forward(&self.session, &self.room, far)
            .await
            .map_err(|what| PortError::Passing { what: format!("{}: {what}", self.node) })?;
        forwards.insert(far.clone(), near.clone());
        Ok(near)
    }

    /// Runs a shell script as the user, and returns its output.
    pub(crate) async fn run(&self, script: &str) -> PortResult<String> {
        Counts::count(&self.counts.commands);
        let failed =
            |what: String| PortError::Passing { what: format!("a command on {}: {what}", self.node) };
        let mut command = self.session.shell(script);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        match timeout(COMMAND_WITHIN, command.output()).await {
            Err(_) => Err(failed(format!("no end within {} s", COMMAND_WITHIN.as_secs()))),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Ok(Ok(output)) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        }
    }

    /// Ends the ssh process once its last user has released it.
    pub(crate) async fn close(&self) {
        stop(self.session.control_socket()).await;
    }

    async fn why_no_docker(&self, socket: &FilePath, error: DockerError) -> PortError {
        let script = format!(
            "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; s={}; if [ ! -e \"$s\" ]; then command -v dockerd >/dev/null && echo stopped || echo absent; \
             elif [ ! -w \"$s\" ]; then echo forbidden; id -un; else echo deaf; fi",
            quoted(socket.as_str())
        );
        let reported = self.run(&script).await.unwrap_or_default();
        let mut words = reported.split_whitespace();
        let cause = match words.next() {
            Some("absent") => format!("Docker is not installed there (there is no {socket}): install it"),
            Some("stopped") => {
                format!("Docker does not run there (there is no {socket}): `systemctl enable --now docker`")
            }
            Some("deaf") if matches!(error, DockerError::Lost(_)) => {
                format!(
                    "Docker does not run there (nobody answers at {socket}): `systemctl enable --now docker`"
                )
            }
            Some("forbidden") => {
                let user = words.next().unwrap_or("of the connection");
                format!("the user {user} may not use Docker: `usermod -aG docker {user}` as root there")
            }
            _ => match error {
                DockerError::Refused { message, .. } => format!("Docker refuses: {message}"),
                DockerError::Lost(cause) => format!("Docker does not answer: {cause}"),
                DockerError::TimeUp(within) => {
                    format!("Docker does not answer within {} s", within.as_secs())
                }
            },
        };
        PortError::OutOfSight { node: self.node.clone(), cause }
    }
}

/// The task that keeps an ssh process; when it is dropped, the process is released.
#[derive(Debug)]
struct Hold(AbortHandle);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks an ssh process to end once its last user has released it.
pub(crate) async fn stop(control: &Path) {
    let session = Session::resume_mux(control.into(), None);
    // If this fails, the process ends by itself a little later.
    let _ = timeout(CONTROL_WITHIN, session.close()).await;
}

async fn open_forward(session: &Session, room: &Room, far: &Far) -> Result<PathBuf, String> {
    let near = room.path("f");
    let target = match far {
        Far::Socket(path) => Socket::from(PathBuf::from(path.as_str())),
        Far::Port(host, port) => Socket::new(host.as_str(), *port),
    };
    match timeout(CONTROL_WITHIN, session.request_port_forward(ForwardType::Local, near.as_path(), target))
        .await
    {
        Err(_) => Err("ssh does not answer".to_owned()),
        Ok(Err(error)) => Err(format!("ssh does not forward: {}", crate::docker_error::chain(&error))),
        Ok(Ok(())) => Ok(near),
    }
}

/// The newest version of its API that Docker speaks, from its answer to a ping. To report its own version,
/// Docker would first run other programs.
async fn spoken_version(near: &Path) -> Result<ClientVersion, DockerError> {
    let asked = https::ask(near, &Speech::Clear, Call::get("/_ping"), COMMAND_WITHIN);
    let Reply { status, api_version, body } = match timeout(CONTROL_WITHIN, asked).await {
        Ok(reply) => reply.map_err(|silence| DockerError::Lost(silence.to_string()))?,
        Err(_) => return Err(DockerError::TimeUp(CONTROL_WITHIN)),
    };
    let reported = api_version.as_deref().and_then(|reported| reported.split_once('.'));
    let version = reported.and_then(|(major, minor)| {
        Some(ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? })
    });
    match version {
        Some(version) if status == 200 => Ok(version),
        // The header exists from Docker 1.13 on (https://github.com/moby/moby/pull/27745).
        None if status == 200 => Err(DockerError::Refused {
            status,
            message: "it does not say which version of its API it speaks, as every Docker from 1.13 on does"
                .to_owned(),
        }),
        Some(_) | None => {
            Err(DockerError::Refused { status, message: String::from_utf8_lossy(&body).trim().to_owned() })
        }
    }
}

/// Keeps the ssh process, so that it does not count as unused, and records when it ends.
async fn watch(control: &Path, is_alive: Arc<AtomicBool>) -> std::io::Result<Hold> {
    let mut held = UnixStream::connect(control).await?;
    let task = tokio::spawn(async move {
        let mut greeting = [0; 256];
        while matches!(held.read(&mut greeting).await, Ok(length) if length > 0) {}
        is_alive.store(false, Ordering::Relaxed);
    });
    Ok(Hold(task.abort_handle()))
}

/// A text as one word for the shell.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
