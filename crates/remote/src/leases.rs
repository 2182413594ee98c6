//! The lease of a run on a node: a container with a fixed name, whose program runs as long as windlass sends
//! signs of life.
//!
//! ```text
//! create `windlass-operator` ─┬─ the name is free ──▶ start ─▶ attach ─▶ a byte every 10 s ─▶ … ─▶ removed
//!                             └─ it is taken ──▶ runs: another run's │ ends or never started: removed, and again
//! ```
//!
//! Docker gives a name once. If windlass dies, stdin ends, the program exits, and Docker removes the container;
//! where the connection breaks without an end, the program exits after a minute of silence.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerStateStatusEnum, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, InspectContainerOptions,
    StartContainerOptions,
};
use tokio::time::sleep;
use windlass_engine::{Lease, Leases, PortResult};
use windlass_model::NodeName;
use windlass_sidecar::LEASE;

use crate::docker::ASK_WITHIN;
use crate::docker_error::{lasting, passing};
use crate::fleet::{Machine, RemoteFleet};
use crate::kept_leases::remove;
use crate::labels;
use crate::link::Link;

/// The name of the container that keeps the lease.
const NAME: &str = "windlass-operator";
/// How often its name is tried.
const ATTEMPTS: u32 = 4;
/// How long a container of this name may take to start, to end, or to be removed, in steps of [`BETWEEN_LOOKS`].
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

impl Leases for RemoteFleet {
    async fn take_lease(&self, node: &NodeName, holder: &str) -> PortResult<Lease> {
        let machine = self.machine(node)?;
        let link = self.link_of(&machine).await?;
        for _ in 0..ATTEMPTS {
            match self.create_lease(&machine, &link, holder).await? {
                Created::Ours(id) => return self.start_lease(link, id).await,
                Created::NameTaken => {
                    if let Some(holder) = who_has_it(&link).await? {
                        return Ok(Lease::Anothers { holder });
                    }
                }
                Created::NoImage => {}
            }
        }
        Err(passing(format!("{node}: the container {NAME} comes and goes")))
    }

    async fn end_leases(&self) {
        self.leases.end().await;
    }

    async fn leases_lost(&self) {
        self.leases.lost().await;
    }
}

/// The result of an attempt to create the container.
enum Created {
    /// It exists, with this id.
    Ours(String),
    /// A container has the name.
    NameTaken,
    /// The image was removed meanwhile.
    NoImage,
}

impl RemoteFleet {
    async fn create_lease(&self, machine: &Machine, link: &Link, holder: &str) -> PortResult<Created> {
        self.have_image(machine, link).await?;
        let host = HostConfig {
            auto_remove: Some(true),
            network_mode: Some("none".to_owned()),
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            ipc_mode: Some("none".to_owned()),
            ..HostConfig::default()
        };
        let body = ContainerCreateBody {
            image: Some(self.settings.node_image.to_string()),
            cmd: Some(vec![LEASE.to_owned()]),
            labels: Some(HashMap::from([(labels::OPERATOR.to_owned(), holder.to_owned())])),
            attach_stdin: Some(true),
            open_stdin: Some(true),
            stdin_once: Some(true),
            network_disabled: Some(true),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(NAME).build();
        match link.call(ASK_WITHIN, link.docker.create_container(Some(options), body)).await {
            Ok(created) => Ok(Created::Ours(created.id)),
            Err(error) if error.is(409) => Ok(Created::NameTaken),
            Err(error) if error.is(404) => {
                machine.has_image.store(false, std::sync::atomic::Ordering::Relaxed);
                Ok(Created::NoImage)
            }
            Err(error) => Err(error.of(&link.node, &format!("create {NAME}"))),
        }
    }

    async fn start_lease(&self, link: Arc<Link>, container: String) -> PortResult<Lease> {
        let started = async {
            let options = AttachContainerOptionsBuilder::new().stdin(true).stdout(true).stream(true).build();
            // In this order: Docker keeps the connection of one that was attached to and never started, and with it
            // the ssh of a run that died in between.
            let start = link.docker.start_container(&container, None::<StartContainerOptions>);
            link.call(ASK_WITHIN, start).await?;
            link.call(ASK_WITHIN, link.docker.attach_container(&container, Some(options))).await
        };
        let attached = match started.await {
            Ok(attached) => attached,
            Err(error) => {
                remove(&link, &container).await;
                return Err(error.of(&link.node, &format!("start {NAME}")));
            }
        };
        self.leases.keep(link, container, attached);
        Ok(Lease::Ours)
    }
}

/// The description of the run whose container has the name; none if the name is free again.
async fn who_has_it(link: &Link) -> PortResult<Option<String>> {
    for look in 1..=LOOKS {
        let inspect = link.docker.inspect_container(NAME, None::<InspectContainerOptions>);
        let seen = match link.call(ASK_WITHIN, inspect).await {
            Ok(seen) => seen,
            Err(error) if error.is(404) => return Ok(None),
            Err(error) => return Err(error.of(&link.node, &format!("inspect {NAME}"))),
        };
        let labels = seen.config.and_then(|config| config.labels).unwrap_or_default();
        let Some(holder) = labels.get(labels::OPERATOR) else {
            return Err(lasting(format!("{}: somebody else\u{2019}s container is called {NAME}", link.node)));
        };
        match seen.state.and_then(|state| state.status) {
            // It starts, ends or is removed in a moment, where its run has just begun or died.
            _ if look < LOOKS => sleep(BETWEEN_LOOKS).await,
            Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::PAUSED) => {
                return Ok(Some(holder.clone()));
            }
            _ => remove(link, &seen.id.unwrap_or_default()).await,
        }
    }
    Ok(None)
}
