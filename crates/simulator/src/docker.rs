//! Docker on a machine: containers, images, and the effects of a container's start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_engine::{NewContainer, PortError, PortResult};
use windlass_model::{
    Ciphers, Component, ContainerName, ContainerSeen, ContainerSpec, ContainerState, Ending, FilePath,
    Health, ImageRef, Lineage, Loaded, Maker, Mode, OnChange, Owner, PodRuntime, Unasked,
};

use crate::etcd::Boot;
use crate::files::{FileState, is_under};
use crate::process::{LoadedFiles, Program, Start, kind_of, user_of};
use crate::world::{Node, Service, World, already, lasting, passing};

/// A container as it really is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Container {
    /// Older containers have lower numbers.
    #[serde(default)]
    pub(crate) number: u64,
    /// Its component; a rename does not change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Component>,
    /// What it really runs with.
    pub(crate) spec: Arc<ContainerSpec>,
    /// Its creator.
    pub(crate) maker: Maker,
    /// The cluster on its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lineage: Option<Lineage>,
    /// Whether it does not concern windlass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) foreign: bool,
    /// Arguments beyond the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) birth: Vec<Arc<str>>,
    /// The digests on its label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) declared: Loaded,
    /// The files as its process has read them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) loaded: LoadedFiles,
    /// The file without which Docker does not start it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) beside_data: Option<FilePath>,
    /// The same beside its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) beside_log: Option<FilePath>,
    /// Whether it runs.
    pub(crate) phase: Phase,
    /// When its process began.
    #[serde(default)]
    pub(crate) since: u64,
    /// Whether a former process of it has snapshotted the log of its member of etcd.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) log_is_past: bool,
    /// From when its process can answer.
    #[serde(default)]
    pub(crate) ready_at: u64,
    /// How etcd starts with its data and its arguments.
    #[serde(default, skip_serializing_if = "Boot::is_pending")]
    pub(crate) boot: Boot,
    #[serde(skip)]
    pub(crate) program: Option<Arc<Program>>,
}

/// Whether a container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Created,
    Running,
    Stopped,
    Paused,
}

/// The directory of a machine's configuration: the only place where a missing mount source is an error and is
/// not silently created as an empty directory owned by root, which is what Docker does.
const CONFIGURATION: &str = "/etc/kubernetes";

/// How long a container counts as starting while it does not answer yet.
const GRACE: u64 = 10_000;

/// How long a component takes until it can answer, in milliseconds.
fn startup(kind: Option<Component>) -> u64 {
    match kind {
        Some(Component::Etcd) => 2_000,
        Some(Component::KubeApiserver) => 5_000,
        _ => 1_000,
    }
}

/// Why Docker refuses a container of this spec.
///
/// Sources: `volume/mounts` and `daemon/volumes.go`, `opts.ValidateEnv` of moby/moby.
fn refuse(spec: &ContainerSpec) -> Option<String> {
    let mut targets = BTreeSet::new();
    for bind in &spec.binds {
        let target = bind.split(':').nth(1).unwrap_or(bind);
        let parts: Vec<&str> = target.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if !targets.insert(parts.join("/")) {
            return Some(format!("Duplicate mount point: {target}"));
        }
        if !target.starts_with('/') {
            return Some(format!("invalid mount config: mount path must be absolute: {target}"));
        }
    }
    let nameless = spec.env.keys().find(|name| name.is_empty() || name.contains('='));
    nameless.map(|name| format!("invalid environment variable: {name}="))
}

/// Whether Docker accepts a text as the name of an image: a registry, then small letters between slashes,
/// then a tag.
fn is_reference(image: &str) -> bool {
    let name = image.split('@').next().unwrap_or(image);
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (name, "latest"),
    };
    let parts: Vec<&str> = name.split('/').collect();
    let has_host = parts.len() > 1 && (parts[0].contains(['.', ':']) || parts[0] == "localhost");
    let of_path =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "._-".contains(letter);
    let of_tag = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let is_part = |part: &&str| !part.is_empty() && part.chars().all(of_path);
    let of_host = |letter: char| letter.is_ascii_alphanumeric() || ".-:[]".contains(letter);
    !image.contains("://")
        && (!has_host || parts[0].chars().all(of_host))
        && parts[usize::from(has_host)..].iter().all(is_part)
        && !tag.is_empty()
        && tag.chars().all(of_tag)
}

impl Container {
    /// Its process ends, and it is in this phase then.
    pub(crate) fn ends(&mut self, phase: Phase, now: u64) {
        self.log_is_past = self.has_snapshotted_log(now);
        self.phase = phase;
    }

    /// Whether etcd has snapshotted its member's log since this container was created: with a low `snapshot-count` it does
    /// so half a minute after its start, as Kubernetes writes more than one entry a second. The file stays when it ends.
    pub(crate) fn has_snapshotted_log(&self, now: u64) -> bool {
        const HALF_A_MINUTE: u64 = 30_000;
        let early = || {
            let count = self.spec.flag("snapshot-count").and_then(|count| count.parse().ok());
            count.is_some_and(|count: u32| count <= 100)
        };
        let has_time = self.runs() && now >= self.since + HALF_A_MINUTE;
        self.kind == Some(Component::Etcd) && (self.log_is_past || has_time && early())
    }

    pub(crate) fn runs(&self) -> bool {
        self.phase == Phase::Running
    }

    /// What `look` reports of its arguments: the spec of its label, or what `inspect` reports.
    fn shown(&self) -> Arc<ContainerSpec> {
        match self.maker {
            Maker::Windlass => self.spec.clone(),
            // `inspect` knows neither the files that a process reads nor Kubernetes versions.
            Maker::Other | Maker::Rke | Maker::Unreadable => {
                let mut spec = ContainerSpec::clone(&self.spec);
                spec.command.extend(self.birth.iter().cloned());
                spec.reads.clear();
                spec.ciphers = Ciphers::default();
                spec.version = None;
                Arc::new(spec)
            }
        }
    }

    /// The digests of those files of its spec that its process has loaded; before its first start, those of
    /// its label.
    fn seen_loaded(&self) -> Loaded {
        if self.maker != Maker::Windlass {
            return Loaded::new();
        }
        if self.phase == Phase::Created {
            return self.declared.clone();
        }
        self.spec
            .reads
            .keys()
            .filter_map(|path| self.loaded.get(path).map(|file| (path.clone(), file.digest)))
            .collect()
    }
}

impl World {
    fn container_mut(&mut self, machine: usize, name: &ContainerName) -> PortResult<&mut Container> {
        let node = &mut self.nodes[machine];
        match node.containers.get_mut(name) {
            Some(container) => Ok(container),
            None => Err(lasting(format!("no such container: {name} on {}", node.name))),
        }
    }

    /// While Docker restarts it answers nothing.
    pub(crate) fn docker_answers(&self, machine: usize) -> PortResult<()> {
        let node = &self.nodes[machine];
        match node.docker_back_at {
            Some(at) if at > self.now => {
                Err(passing(format!("{}: cannot connect to the Docker daemon", node.name)))
            }
            _ => Ok(()),
        }
    }

    /// Pulls an image.
    pub(crate) fn pull(&mut self, machine: usize, image: &ImageRef) -> PortResult<()> {
        self.docker_answers(machine)?;
        let node = &mut self.nodes[machine];
        if node.images.contains(image) {
            return Ok(());
        }
        if !is_reference(image.as_str()) {
            return Err(lasting(format!("pull {image}: invalid reference format")));
        }
        if self.registry == Service::Down {
            return Err(passing("registry: connection refused"));
        }
        if node.disk == crate::world::Disk::Full {
            return Err(lasting("no space left on device"));
        }
        node.images.insert(image.clone());
        Ok(())
    }

    /// Creates a container. Docker refuses a name in use and an image that is not on the machine; a missing
    /// mount source it would create as a directory, which for configuration is always wrong, so this one
    /// refuses.
    pub(crate) fn create(
        &mut self,
        machine: usize,
        name: &ContainerName,
        new: &NewContainer,
    ) -> PortResult<()> {
        self.docker_answers(machine)?;
        let node = &self.nodes[machine];
        if let Some(there) = node.containers.get(name) {
            let same = there.phase == Phase::Created
                && there.spec == new.spec
                && there.birth == new.birth
                && there.declared == new.loaded
                && there.lineage == new.lineage;
            return Err(if same {
                already(format!("{name} is created"))
            } else {
                lasting(format!("the container name {name} is already in use on {}", node.name))
            });
        }
        if !node.images.contains(&new.spec.image) {
            return Err(lasting(format!("no such image: {} on {}", new.spec.image, node.name)));
        }
        refuse(&new.spec).map_or(Ok(()), |why| Err(lasting(format!("{why} on {}", node.name))))?;
        for bind in &new.spec.binds {
            let source = bind.split(':').next().unwrap_or(bind).trim_end_matches('/');
            let configured = source.ends_with(CONFIGURATION)
                || source.contains("/etc/kubernetes/")
                || new.spec.reads.contains_key(source);
            if configured && !node.holds_anything_under(source) {
                return Err(lasting(format!("bind source path does not exist: {source} on {}", node.name)));
            }
        }
        if node.disk == crate::world::Disk::Full {
            return Err(lasting(format!("{}: no space left on device", node.name)));
        }
        let container = self.container_of(name, &new.spec, &new.birth, &new.loaded, Maker::Windlass);
        let container = Container {
            lineage: new.lineage.clone(),
            beside_data: new.beside_data.clone(),
            beside_log: new.beside_log.clone(),
            ..container
        };
        for path in new.beside_data.iter().chain(&new.beside_log) {
            let empty = || Arc::new(FileState::new(b"", Mode::PUBLIC, Owner::default()));
            self.nodes[machine].files.entry(path.clone()).or_insert_with(empty);
        }
        self.nodes[machine].containers.insert(name.clone(), container);
        Ok(())
    }

    /// A container as it is before its first start.
    pub(crate) fn container_of(
        &mut self,
        name: &ContainerName,
        spec: &Arc<ContainerSpec>,
        birth: &[Arc<str>],
        declared: &Loaded,
        maker: Maker,
    ) -> Container {
        self.containers_made += 1;
        Container {
            number: self.containers_made,
            kind: kind_of(name.as_str(), spec),
            spec: spec.clone(),
            maker,
            lineage: None,
            foreign: false,
            birth: birth.to_vec(),
            declared: declared.clone(),
            loaded: LoadedFiles::new(),
            beside_data: None,
            beside_log: None,
            phase: Phase::Created,
            since: 0,
            log_is_past: false,
            ready_at: 0,
            boot: Boot::Pending,
            program: None,
        }
    }

    /// Starts a container; Docker refuses one that is paused.
    pub(crate) fn start(&mut self, machine: usize, name: &ContainerName) -> PortResult<()> {
        self.docker_answers(machine)?;
        let node_name = self.nodes[machine].name.clone();
        match self.container_mut(machine, name)?.phase {
            Phase::Running => Err(already(format!("{name} runs"))),
            Phase::Paused => Err(lasting(format!(
                "cannot start a paused container, try unpause instead: {name} on {node_name}"
            ))),
            Phase::Created | Phase::Stopped => {
                self.begin_process(machine, name);
                match self.nodes[machine].missing_beside(name) {
                    Some(path) => Err(lasting(format!("{path} on {node_name}: no such file or directory"))),
                    None => Ok(()),
                }
            }
        }
    }

    /// Stops a container. With restart `always` it stays stopped until Docker itself restarts:
    /// <https://docs.docker.com/engine/containers/start-containers-automatically/>.
    pub(crate) fn stop(&mut self, machine: usize, name: &ContainerName) -> PortResult<()> {
        self.docker_answers(machine)?;
        let now = self.now;
        let container = self.container_mut(machine, name)?;
        match container.phase {
            Phase::Created | Phase::Stopped => Err(already(format!("{name} does not run"))),
            Phase::Running | Phase::Paused => {
                container.ends(Phase::Stopped, now);
                container.boot = Boot::Pending;
                self.touch();
                Ok(())
            }
        }
    }

    /// Renames a container; Docker refuses a name in use.
    pub(crate) fn rename(
        &mut self,
        machine: usize,
        from: &ContainerName,
        to: &ContainerName,
    ) -> PortResult<()> {
        self.docker_answers(machine)?;
        let node = &mut self.nodes[machine];
        match (node.containers.contains_key(from), node.containers.contains_key(to)) {
            (true, true) => {
                Err(lasting(format!("the container name {to} is already in use on {}", node.name)))
            }
            (false, true) => Err(already(format!("{from} is called {to}"))),
            (false, false) => Err(lasting(format!("no such container: {from} on {}", node.name))),
            (true, false) => {
                if let Some(container) = node.containers.remove(from) {
                    node.containers.insert(to.clone(), container);
                }
                self.touch();
                Ok(())
            }
        }
    }

    /// Removes a container; Docker refuses one that runs, restarts or is paused.
    pub(crate) fn remove(&mut self, machine: usize, name: &ContainerName) -> PortResult<()> {
        self.docker_answers(machine)?;
        let node = &mut self.nodes[machine];
        match node.containers.get(name).map(|container| container.phase) {
            None => Err(already(format!("{name} is gone"))),
            Some(Phase::Running | Phase::Paused) => {
                Err(lasting(format!("you cannot remove a running container: {name} on {}", node.name)))
            }
            Some(Phase::Created | Phase::Stopped) => {
                node.containers.remove(name);
                Ok(())
            }
        }
    }

    /// SIGHUP: files are read again. A file that is itself the source of a mount keeps its old content in the
    /// container: the mount keeps the inode, and an atomic write creates another one.
    pub(crate) fn reload(&mut self, machine: usize, name: &ContainerName) -> PortResult<()> {
        self.docker_answers(machine)?;
        let files = self.nodes[machine].files.clone();
        let container = self.container_mut(machine, name)?;
        if !container.runs() {
            return Err(lasting(format!("container {name} is not running")));
        }
        for (path, on_change) in &container.spec.reads {
            let mounted = |bind: &Arc<str>| bind.split(':').next() == Some(path.as_str());
            if *on_change == OnChange::Reload
                && !container.spec.binds.iter().any(mounted)
                && let Some(file) = files.get(path)
                && !container.loaded.get(path).is_some_and(|loaded| binds_otherwise(loaded, file))
            {
                container.loaded.insert(path.clone(), file.clone());
            }
        }
        container.program = None;
        self.understand(machine);
        self.touch();
        Ok(())
    }

    /// Removes the containers of all pods; a running kubelet creates them again.
    pub(crate) fn remove_pods(&mut self, machine: usize, keep: Option<PodRuntime>) -> PortResult<()> {
        self.docker_answers(machine)?;
        let node = &mut self.nodes[machine];
        let stay = keep.is_some_and(|keep| {
            keep == node.pod_runtime || (keep.is_docker() && node.pod_runtime.is_docker())
        });
        node.pod_containers &= stay;
        self.touch();
        Ok(())
    }

    /// The process of a container begins: it reads its files, and Docker creates the directories that it
    /// mounts.
    pub(crate) fn begin_process(&mut self, machine: usize, name: &ContainerName) {
        let now = self.now;
        // A bind mount without a source fails the start, and Docker does not try again until asked.
        let is_missing = self.nodes[machine].missing_beside(name).is_some();
        let node = &mut self.nodes[machine];
        let slow = u64::from(node.slowness.max(1));
        let Some(container) = node.containers.get_mut(name) else { return };
        if container.kind == Some(Component::Etcd) {
            // Nobody mounts a directory beside the one that holds it, but for a disk of its own.
            let within = |source: &FilePath| {
                sources(&container.spec)
                    .any(|other| other != *source && is_under(source.as_str(), other.as_str()))
            };
            node.disks.extend(sources(&container.spec).filter(within));
        }
        container.ends(if is_missing { Phase::Stopped } else { Phase::Running }, now);
        container.since = now;
        container.ready_at = now + startup(container.kind) * slow;
        container.boot = Boot::Pending;
        read_files(container, &node.files, node.name.as_str(), [&node.address, &node.internal_address]);
        container.program = None;
        self.understand(machine);
        self.running_make_directories_again(machine);
        self.etcd_reads_its_key_again(machine);
        self.touch();
    }

    /// All containers that have ever been started start: restart `always` does so even if one was stopped
    /// before Docker stopped. One that was only created does not (`HasBeenStartedBefore` in Docker's daemon).
    pub(crate) fn start_all(&mut self, machine: usize) {
        let started = |container: &Container| container.phase != Phase::Created;
        let containers = &self.nodes[machine].containers;
        let names: Vec<ContainerName> = containers
            .iter()
            .filter(|(_, container)| started(container))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.begin_process(machine, &name);
        }
    }

    /// Computes the processes again whose files or arguments have changed.
    pub(crate) fn understand(&mut self, machine: usize) {
        let node = &self.nodes[machine];
        let addresses = [node.address.as_str(), node.internal_address.as_str()];
        let kept = |container: &Container| {
            let by_machine = node.machine.keeps_from_starting(container.kind, &container.spec, &node.host);
            by_machine.or_else(|| node.refuses_state(container))
        };
        let pending = node.containers.iter().filter(|(_, container)| container.program.is_none());
        let understood: Vec<(ContainerName, Program)> = pending
            .map(|(name, container)| {
                let start = start_of(
                    container.kind,
                    &container.spec,
                    &container.birth,
                    node.name.as_str(),
                    addresses,
                );
                let mut program = start.run(&container.loaded, &self.keys);
                program.crash = program.crash.or_else(|| kept(container));
                (name.clone(), program)
            })
            .collect();
        let node = &mut self.nodes[machine];
        for (name, program) in understood {
            let Some(container) = node.containers.get_mut(&name) else { continue };
            let writes_state =
                container.kind == Some(Component::Kubelet) && container.runs() && program.crash.is_none();
            container.program = Some(Arc::new(program));
            let spec = container.spec.clone();
            if writes_state {
                node.write_state(&spec);
            }
        }
    }

    /// A process that exits again and again reads its files each time.
    pub(crate) fn crashed_read_again(&mut self, machine: usize) {
        let now = self.now;
        let node = &mut self.nodes[machine];
        let mut changed = false;
        for container in node.containers.values_mut() {
            if !container.runs() || container.program.as_ref().is_none_or(|program| program.crash.is_none()) {
                continue;
            }
            let addresses = [&node.address, &node.internal_address];
            read_files(container, &node.files, node.name.as_str(), addresses);
            container.program = None;
            container.ends(Phase::Running, now);
            container.since = now;
            container.ready_at = now + startup(container.kind) * u64::from(node.slowness.max(1));
            container.boot = Boot::Pending;
            changed = true;
        }
        if changed {
            self.understand(machine);
            self.touch();
        }
        self.etcd_reads_its_key_again(machine);
    }

    /// etcd reads its key again at each handshake: a component that starts after etcd has lost access to its
    /// key cannot connect to it. Source: `GetCertificate` in etcd's `pkg/transport/listener.go`.
    fn etcd_reads_its_key_again(&mut self, machine: usize) {
        let node = &mut self.nodes[machine];
        let is_locked_out = node.containers.values().any(|container| {
            let user = user_of(&container.spec);
            let may_read =
                |path| node.files.get(path).is_some_and(|file| file.is_readable_by(user.uid, user.gid));
            container.kind == Some(Component::Etcd)
                && container.runs()
                && user.uid != 0
                && !container.spec.reads.keys().all(may_read)
        });
        if is_locked_out != node.etcd_locked_out.is_some() {
            node.etcd_locked_out = is_locked_out.then_some(self.now);
            self.touch();
        }
    }

    /// Running containers write to the directories that they mount; if these are deleted, they come back.
    pub(crate) fn running_make_directories_again(&mut self, machine: usize) {
        let node = &mut self.nodes[machine];
        let mut made: Vec<FilePath> = Vec::new();
        for container in node.containers.values().filter(|container| container.runs()) {
            match container.kind {
                Some(Component::Kubelet) => {
                    let root = container.spec.flag("root-dir").unwrap_or("/var/lib/kubelet");
                    let root = FilePath::from(root);
                    // There may be other things in a directory that somebody chose.
                    let is_usual = root.as_str().ends_with("/var/lib/kubelet");
                    made.push(if is_usual { root } else { FilePath::from(format!("{root}/pods")) });
                    // The contents of /etc/cni and /opt/cni, from network plugins, belong to the user: they
                    // are not simulated.
                    let ends = ["/var/lib/cni", "/var/log/pods", "/var/log/containers"];
                    made.extend(
                        sources(&container.spec)
                            .filter(|source| ends.iter().any(|end| source.as_str().ends_with(end))),
                    );
                }
                Some(Component::KubeApiserver) if container.spec.flag("audit-log-path").is_some() => {
                    made.extend(sources(&container.spec).filter(|source| source.as_str().contains("audit")));
                }
                Some(Component::EtcdRollingSnapshots) => {
                    made.extend(sources(&container.spec).filter(is_snapshots));
                }
                _ => {}
            }
        }
        node.directories.extend(made);
    }

    /// The last lines of a container's log.
    pub(crate) fn log_tail(
        &self,
        machine: usize,
        name: &ContainerName,
        lines: usize,
    ) -> PortResult<Vec<String>> {
        self.docker_answers(machine)?;
        let node = &self.nodes[machine];
        let Some(container) = node.containers.get(name) else {
            return Err(lasting(format!("no such container: {name} on {}", node.name)));
        };
        let why = self.complaint(machine, container).unwrap_or_else(|| "serving".to_owned());
        Ok(std::iter::once(why).take(lines).collect())
    }

    /// Why a container does not work, if it knows.
    fn complaint(&self, machine: usize, container: &Container) -> Option<String> {
        let program = container.program.as_ref()?;
        if self.port_is_taken(machine, container) {
            return Some("listen tcp: bind: address already in use".to_owned());
        }
        if let Some(crash) = program.crash.as_ref().or(program.fault.as_ref()) {
            return Some(crash.clone());
        }
        if let Boot::Crash { why, .. } = &container.boot {
            return Some(why.clone());
        }
        (!self.is_in_date(program)).then(|| "x509: certificate has expired or is not yet valid".to_owned())
    }

    /// Whether another process, or an older running container, has the same port or the same data.
    pub(crate) fn port_is_taken(&self, machine: usize, container: &Container) -> bool {
        self.nodes[machine].is_ousted(container) || self.nodes[machine].keeps_port_from(container)
    }

    /// A container as a look reports it.
    pub(crate) fn seen(&self, machine: usize, container: &Container) -> ContainerSeen {
        let (state, health) = self.status(machine, container);
        ContainerSeen {
            spec: container.shown(),
            birth: container.birth.clone(),
            maker: container.maker,
            lineage: container.lineage.clone(),
            state,
            health,
            loaded: container.seen_loaded(),
            ending: self.ending(machine, container, state),
        }
    }

    /// What the log of etcd says while it exits again and again.
    fn ending(&self, machine: usize, container: &Container, state: ContainerState) -> Option<Ending> {
        let reads = container.kind == Some(Component::Etcd) && state == ContainerState::Crashing;
        let said = reads.then(|| self.complaint(machine, container)).flatten()?;
        Ending::of_log(&[said])
    }

    fn status(&self, machine: usize, container: &Container) -> (ContainerState, Health) {
        match container.phase {
            Phase::Created => return (ContainerState::Created, Health::Unhealthy),
            Phase::Stopped => return (ContainerState::Stopped, Health::Unhealthy),
            Phase::Paused => return (ContainerState::Paused, Health::Unhealthy),
            Phase::Running => {}
        }
        let crashes = self.port_is_taken(machine, container)
            || container.program.as_ref().is_some_and(|program| program.crash.is_some())
            || matches!(container.boot, Boot::Crash { .. });
        if crashes {
            return (ContainerState::Crashing, Health::Unhealthy);
        }
        let is_late = container.kind.is_some_and(|kind| self.is_busy(machine, kind));
        // windlass verifies the certificates of these two, and they verify its own.
        let checks = matches!(container.kind, Some(Component::Etcd | Component::KubeApiserver));
        let is_past = container.program.as_ref().is_some_and(|program| !self.is_in_date(program));
        let health = if is_late {
            Health::Unknown(Unasked::NoAnswer)
        } else if checks && is_past {
            Health::Unknown(Unasked::Certificates)
        } else if self.is_healthy(machine, container) {
            Health::Healthy
        } else if self.now < container.ready_at.max(container.since + GRACE) {
            Health::Starting
        } else {
            Health::Unhealthy
        };
        (ContainerState::Running, health)
    }
}

/// Whether a directory holds snapshots, which outlive the cluster.
pub(crate) fn is_snapshots(path: &FilePath) -> bool {
    path.as_str().contains("snapshots")
}

fn sources(spec: &ContainerSpec) -> impl Iterator<Item = FilePath> + '_ {
    spec.binds.iter().map(|bind| FilePath::from(bind.split(':').next().unwrap_or(bind).trim_end_matches('/')))
}

fn start_of<'a>(
    kind: Option<Component>,
    spec: &'a ContainerSpec,
    birth: &'a [Arc<str>],
    machine: &'a str,
    addresses: [&'a str; 2],
) -> Start<'a> {
    Start { kind, spec, birth, machine, addresses }
}

fn read_files(
    container: &mut Container,
    files: &BTreeMap<FilePath, Arc<crate::files::FileState>>,
    machine: &str,
    addresses: [&String; 2],
) {
    let start =
        start_of(container.kind, &container.spec, &container.birth, machine, addresses.map(String::as_str));
    container.loaded = start
        .reads(files)
        .into_iter()
        .filter_map(|path| files.get(&path).cloned().map(|file| (path, file)))
        .collect();
}

impl Node {
    /// The container that runs this component and holds its port.
    pub(crate) fn running(&self, kind: Component) -> Option<&Container> {
        self.containers.values().find(|container| {
            container.kind == Some(kind)
                && container.runs()
                && !self.is_ousted(container)
                && !self.keeps_port_from(container)
        })
    }

    /// Whether an older running container has the same port: one of the same component, or, on port 6443, API
    /// server or nginx-proxy.
    fn is_ousted(&self, container: &Container) -> bool {
        let port = |kind| match kind {
            Some(Component::NginxProxy) => Some(Component::KubeApiserver),
            kind => kind,
        };
        container.kind.is_some()
            && self.containers.values().any(|other| {
                other.number < container.number && other.runs() && port(other.kind) == port(container.kind)
            })
    }
}

/// An image that is already on a machine.
pub(crate) fn images(names: &[&str]) -> std::collections::BTreeSet<ImageRef> {
    names.iter().copied().map(ImageRef::from).collect()
}

/// Whether an error says that the effect existed already.
pub(crate) fn is_already_so<T>(result: &PortResult<T>) -> bool {
    matches!(result, Err(PortError::AlreadySo { .. }))
}

/// Whether nginx would have to bind another address of a port that it has: it cannot while it runs, says so in its log, and
/// goes on with what it had ("`bind()` failed (98: Address already in use)").
fn binds_otherwise(loaded: &FileState, file: &FileState) -> bool {
    let listens = |file: &FileState| -> Vec<String> {
        let lines = file.text().lines().map(str::trim);
        lines.filter(|line| line.starts_with("listen ")).map(str::to_owned).collect()
    };
    let (had, has) = (listens(loaded), listens(file));
    !had.is_empty() && !has.is_empty() && had != has
}
