//! Parses Docker's description of containers: the label is believed only where everything else agrees with
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryStateEnum,
    MountPoint,
};
use windlass_engine::{Labelled, NewContainer, read_labels};
use windlass_model::{
    Ciphers, Component, ContainerName, ContainerSpec, ContainerState, ImageRef, Lineage, Loaded, Maker,
    PidMode, Privilege,
};

use crate::labels;
use crate::render::{BESIDE_DATA_INSIDE, BESIDE_LOG_INSIDE};

/// A container, as far as Docker alone describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) spec: Arc<ContainerSpec>,
    pub(crate) birth: Vec<Arc<str>>,
    pub(crate) maker: Maker,
    pub(crate) lineage: Option<Lineage>,
    pub(crate) state: ContainerState,
    pub(crate) loaded: Loaded,
    /// How long it has run, in seconds as from a list; an inspection has the time of its start.
    pub(crate) since: Since,
    /// When it was created, in seconds since 1970.
    pub(crate) created: u64,
}

/// How long a container has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// In Docker's words: `Up 3 seconds`.
    Words(String),
    /// When it began, as RFC 3339.
    Moment(String),
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// It does not concern windlass.
    Foreign,
    /// Everything about it is known.
    Known(ContainerName, Known),
    /// It must be inspected: it has one of our names without our label, or differs from its label.
    Unclear(ContainerName),
    /// One for a single request, of this run or of an interrupted one.
    Transient {
        /// Its id.
        id: String,
        /// Its run.
        run: String,
        /// When it was created, in seconds since 1970.
        created: i64,
    },
}

/// Parses one line of a list.
pub(crate) fn listed(line: ContainerSummary) -> Listed {
    let ContainerSummary { id, names, image, command, created, labels, state, status, mounts, .. } = line;
    let (id, labels) = (id.unwrap_or_default(), labels.unwrap_or_default());
    let state = match state {
        Some(ContainerSummaryStateEnum::CREATED) => ContainerState::Created,
        Some(ContainerSummaryStateEnum::RUNNING) => ContainerState::Running,
        Some(ContainerSummaryStateEnum::PAUSED) => ContainerState::Paused,
        Some(ContainerSummaryStateEnum::RESTARTING) => ContainerState::Crashing,
        _ => ContainerState::Stopped,
    };
    if let Some(run) = labels.get(labels::TRANSIENT) {
        return Listed::Transient { id, run: run.clone(), created: created.unwrap_or_default() };
    }
    // Old links between containers add names with a second slash.
    let name = names.unwrap_or_default().into_iter().find_map(|name| {
        let name = name.strip_prefix('/').unwrap_or(&name);
        (!name.contains('/')).then(|| ContainerName::from(name))
    });
    let Some(name) = name else { return Listed::Foreign };
    let NewContainer { spec, birth, loaded, lineage, beside_data: _, beside_log: _ } =
        match read_labels(&labels) {
            Labelled::Ours(new) => new,
            Labelled::Unreadable => return Listed::Unclear(name),
            Labelled::Foreign | Labelled::Rke if holds_our_name(&name) => return Listed::Unclear(name),
            Labelled::Foreign | Labelled::Rke => return Listed::Foreign,
        };
    let agrees = image.as_deref() == Some(spec.image.as_str())
        && command.as_deref() == Some(&shown_command(&spec.command, &birth))
        && targets(mounts.unwrap_or_default()).is_superset(&desired_targets(&spec));
    if !agrees {
        return Listed::Unclear(name);
    }
    let since = Since::Words(status.unwrap_or_default());
    let created = u64::try_from(created.unwrap_or_default()).unwrap_or_default();
    Listed::Known(
        name,
        Known { id, spec, birth, maker: Maker::Windlass, lineage, state, loaded, since, created },
    )
}

/// Whether the name is that of a component, or of its successor.
fn holds_our_name(name: &ContainerName) -> bool {
    Component::of_successor_or_container(name).is_some()
}

/// Program and arguments as Docker's list shows them: those that contain a blank are quoted.
fn shown_command(command: &[Arc<str>], birth: &[Arc<str>]) -> String {
    let mut words = command.iter().chain(birth);
    let mut text = words.next().map(ToString::to_string).unwrap_or_default();
    for word in words {
        text.push(' ');
        if word.contains(' ') {
            text.extend(["'", word, "'"]);
        } else {
            text.push_str(word);
        }
    }
    text
}

fn targets(mounts: Vec<MountPoint>) -> BTreeSet<(String, String)> {
    let pair = |mount: MountPoint| Some((trimmed(&mount.source?), trimmed(&mount.destination?)));
    mounts.into_iter().filter_map(pair).collect()
}

fn desired_targets(spec: &ContainerSpec) -> BTreeSet<(String, String)> {
    let pair = |bind: &Arc<str>| {
        let mut parts = bind.splitn(3, ':');
        Some((trimmed(parts.next()?), trimmed(parts.next()?)))
    };
    spec.binds.iter().filter_map(pair).collect()
}

fn trimmed(path: &str) -> String {
    let short = path.trim_end_matches('/');
    if short.is_empty() { "/".to_owned() } else { short.to_owned() }
}

/// Parses an inspection.
pub(crate) fn inspected(seen: &ContainerInspectResponse) -> Known {
    let labels = seen.config.as_ref().and_then(|config| config.labels.clone()).unwrap_or_default();
    let state = seen.state.clone().unwrap_or_default();
    let since = Since::Moment(state.started_at.clone().unwrap_or_default());
    let created = seen.created.as_deref().and_then(crate::clock::parse).map_or(0, |created| created.0);
    let state = match state.status {
        Some(ContainerStateStatusEnum::CREATED) => ContainerState::Created,
        Some(ContainerStateStatusEnum::RUNNING) => ContainerState::Running,
        Some(ContainerStateStatusEnum::PAUSED) => ContainerState::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => ContainerState::Crashing,
        _ => ContainerState::Stopped,
    };
    let id = seen.id.clone().unwrap_or_default();
    let really = real_spec(seen);
    let unlabelled = |maker| {
        let mut spec = really.spec.clone();
        // An image, or Docker where the image has none, sets a search path for every container.
        spec.env.remove("PATH");
        let spec = Arc::new(spec);
        Known {
            id: id.clone(),
            spec,
            birth: Vec::new(),
            maker,
            lineage: None,
            state,
            loaded: Loaded::new(),
            since: since.clone(),
            created,
        }
    };
    let NewContainer { spec, birth, loaded, lineage, beside_data: _, beside_log: _ } =
        match read_labels(&labels) {
            Labelled::Ours(new) => new,
            Labelled::Unreadable => return unlabelled(Maker::Unreadable),
            Labelled::Rke => return unlabelled(Maker::Rke),
            Labelled::Foreign => return unlabelled(Maker::Other),
        };
    let (birth, spec) = really.measured_by(Arc::unwrap_or_clone(spec), birth);
    let (spec, maker) = (Arc::new(spec), Maker::Windlass);
    Known { id, spec, birth, maker, lineage, state, loaded, since, created }
}

/// What a container really runs with.
struct Real {
    spec: ContainerSpec,
}

impl Real {
    /// The label's spec, with every part corrected that differs in reality. What Docker adds by itself, such
    /// as the variables of an image, is no difference.
    fn measured_by(self, label: ContainerSpec, birth: Vec<Arc<str>>) -> (Vec<Arc<str>>, ContainerSpec) {
        let Self { mut spec } = self;
        let whole: Vec<Arc<str>> = label.command.iter().chain(&birth).cloned().collect();
        let birth = if spec.command == whole {
            spec.command.clone_from(&label.command);
            birth
        } else {
            Vec::new()
        };
        if label.env.iter().all(|(name, value)| spec.env.get(name) == Some(value)) {
            spec.env = label.env;
        }
        let as_set = |binds: &[Arc<str>]| binds.iter().map(|bind| canonical(bind)).collect::<BTreeSet<_>>();
        if as_set(&spec.binds) == as_set(&label.binds) {
            spec.binds = label.binds;
        }
        if spec.user.is_none() || spec.user == label.user {
            spec.user = label.user;
        }
        spec.reads = label.reads;
        spec.version = label.version;
        (birth, spec)
    }
}

fn real_spec(seen: &ContainerInspectResponse) -> Real {
    let config = seen.config.clone().unwrap_or_default();
    let host = seen.host_config.clone().unwrap_or_default();
    let text = |text: String| Arc::<str>::from(text);
    let command = seen.path.iter().chain(seen.args.iter().flatten()).cloned().map(text).collect();
    let env: BTreeMap<Arc<str>, Arc<str>> = config
        .env
        .unwrap_or_default()
        .iter()
        .map(|variable| variable.split_once('=').unwrap_or((variable, "")))
        .map(|(name, value)| (Arc::from(name), Arc::from(value)))
        .collect();
    let mounts = host.mounts.unwrap_or_default().into_iter();
    // These have no effect on what runs.
    let is_mark = |mount: &bollard::models::Mount| {
        let target = mount.target.as_deref();
        target == Some(BESIDE_DATA_INSIDE) || target == Some(BESIDE_LOG_INSIDE)
    };
    let mounts = mounts.filter(|mount| !is_mark(mount)).filter_map(|mount| {
        let mut bind = format!("{}:{}", mount.source?, mount.target?);
        let propagation = mount.bind_options.and_then(|options| options.propagation).map(|it| it.to_string());
        let read_only = (mount.read_only == Some(true)).then(|| "ro".to_owned());
        let options: Vec<String> =
            read_only.into_iter().chain(propagation).filter(|option| !option.is_empty()).collect();
        if !options.is_empty() {
            bind = format!("{bind}:{}", options.join(","));
        }
        Some(bind)
    });
    let binds = host.binds.unwrap_or_default().into_iter().chain(mounts).map(text).collect();
    Real {
        spec: ContainerSpec {
            image: ImageRef::from(config.image.unwrap_or_default()),
            command,
            env,
            binds,
            pid: if host.pid_mode.as_deref() == Some("host") { PidMode::Host } else { PidMode::Own },
            privilege: if host.privileged == Some(true) {
                Privilege::Privileged
            } else {
                Privilege::Confined
            },
            user: config.user.filter(|user| !user.is_empty()).map(text),
            reads: BTreeMap::new(),
            ciphers: Ciphers::default(),
            version: None,
        },
    }
}

/// A bind with its options sorted and without `rw`, which is the default.
fn canonical(bind: &str) -> String {
    let mut parts = bind.splitn(3, ':');
    let (source, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let options: BTreeSet<&str> =
        parts.next().unwrap_or_default().split(',').filter(|option| !["", "rw"].contains(option)).collect();
    let options: Vec<&str> = options.into_iter().collect();
    format!("{}:{}:{}", trimmed(source), trimmed(target), options.join(","))
}

impl Since {
    /// Whether the container started less than so many seconds before `now`, which is Docker's own clock in
    /// seconds since 1970.
    pub(crate) fn is_within(&self, seconds: u64, now: u64) -> bool {
        match self {
            Self::Words(words) => up_for(words).is_some_and(|up| up < seconds),
            Self::Moment(moment) => {
                crate::clock::parse(moment).is_some_and(|then| now.saturating_sub(then.0) < seconds)
            }
        }
    }
}

/// The seconds in Docker's `Up 3 seconds`; none where it says minutes or more.
fn up_for(words: &str) -> Option<u64> {
    let rest = words.strip_prefix("Up ")?;
    if rest.starts_with("Less than a second") {
        return Some(0);
    }
    if rest.starts_with("About a minute") {
        return Some(60);
    }
    let (count, unit) = rest.split_once(' ')?;
    unit.starts_with("second").then(|| count.parse().ok())?
}

#[cfg(test)]
mod tests {
    use bollard::models::{ContainerConfig, ContainerState as StateSeen, HostConfig};
    use windlass_engine::NewContainer;

    use super::*;
    use crate::render::create_body;

    fn new() -> NewContainer {
        let texts = |texts: &[&str]| texts.iter().copied().map(Arc::from).collect::<Vec<Arc<str>>>();
        let spec = ContainerSpec {
            image: "etcd:v3".into(),
            command: texts(&["etcd", "--a=1", "--b=x y"]),
            env: BTreeMap::from([("A".into(), "1".into())]),
            binds: texts(&["/etc/kubernetes:/etc/kubernetes", "/run/:/run:rw,rprivate"]),
            pid: PidMode::Own,
            privilege: Privilege::Confined,
            user: None,
            reads: BTreeMap::new(),
            ciphers: Ciphers::default(),
            version: Some("v1.20.2".parse().unwrap()),
        };
        let (birth, loaded, lineage) = (texts(&["--born=1"]), Loaded::new(), Some("blue".into()));
        NewContainer { spec: Arc::new(spec), birth, loaded, lineage, beside_data: None, beside_log: None }
    }

    fn summary(new: &NewContainer) -> ContainerSummary {
        let mount = |source: &str, destination: &str| MountPoint {
            source: Some(source.to_owned()),
            destination: Some(destination.to_owned()),
            ..MountPoint::default()
        };
        ContainerSummary {
            id: Some("id".to_owned()),
            names: Some(vec!["/kubelet/alias".to_owned(), "/etcd".to_owned()]),
            image: Some("etcd:v3".to_owned()),
            command: Some("etcd --a=1 '--b=x y' --born=1".to_owned()),
            labels: create_body(new).labels,
            state: Some(ContainerSummaryStateEnum::RUNNING),
            status: Some("Up 3 seconds".to_owned()),
            mounts: Some(vec![mount("/etc/kubernetes", "/etc/kubernetes"), mount("/run", "/run")]),
            ..ContainerSummary::default()
        }
    }

    fn inspection(new: &NewContainer) -> ContainerInspectResponse {
        let body = create_body(new);
        let whole: Vec<String> = new.spec.command.iter().chain(&new.birth).map(ToString::to_string).collect();
        let mut env = body.env.unwrap();
        env.push("PATH=/bin".to_owned());
        ContainerInspectResponse {
            id: Some("id".to_owned()),
            path: Some(whole[0].clone()),
            args: Some(whole[1..].to_vec()),
            state: Some(StateSeen {
                status: Some(ContainerStateStatusEnum::RUNNING),
                ..StateSeen::default()
            }),
            config: Some(ContainerConfig {
                env: Some(env),
                image: body.image,
                labels: body.labels,
                ..ContainerConfig::default()
            }),
            host_config: body.host_config,
            ..ContainerInspectResponse::default()
        }
    }

    #[test]
    fn a_label_with_which_all_agrees_is_believed() {
        let new = new();
        let Listed::Known(name, known) = listed(summary(&new)) else { panic!() };
        assert_eq!(name.as_str(), "etcd");
        assert_eq!((&known.spec, &known.birth, known.maker), (&new.spec, &new.birth, Maker::Windlass));
        assert!(known.since.is_within(5, 0) && !known.since.is_within(3, 0));
    }

    #[test]
    fn a_label_with_which_something_disagrees_is_not() {
        let new = new();
        for change in [
            |line: &mut ContainerSummary| line.image = Some("sha256:123".to_owned()),
            |line: &mut ContainerSummary| line.command = Some("etcd --a=2 '--b=x y' --born=1".to_owned()),
            |line: &mut ContainerSummary| line.mounts = None,
            |line: &mut ContainerSummary| line.labels = None,
        ] {
            let mut line = summary(&new);
            change(&mut line);
            assert_eq!(listed(line), Listed::Unclear("etcd".into()));
        }
        let mut line = summary(&new);
        line.labels = None;
        line.names = Some(vec!["/k8s_POD_x".to_owned()]);
        assert_eq!(listed(line), Listed::Foreign);
    }

    #[test]
    fn an_inspection_that_agrees_gives_the_label_back() {
        let new = new();
        let known = inspected(&inspection(&new));
        assert_eq!((known.spec, known.birth, known.maker), (new.spec, new.birth, Maker::Windlass));
        assert_eq!(known.lineage, new.lineage);
    }

    #[test]
    fn a_container_of_rke_is_known_from_others() {
        let mut seen = inspection(&new());
        let label = ("io.rancher.rke.container.name".to_owned(), "etcd".to_owned());
        seen.config.as_mut().unwrap().labels = Some([label].into());
        assert_eq!(inspected(&seen).maker, Maker::Rke);
    }

    #[test]
    fn an_inspection_tells_what_is_really_so() {
        let new = new();
        let mut seen = inspection(&new);
        seen.args = Some(vec!["--a=2".to_owned()]);
        seen.host_config = Some(HostConfig { privileged: Some(true), ..seen.host_config.unwrap() });
        let known = inspected(&seen);
        let found: Vec<String> =
            new.spec.differences_from(&known.spec).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["--a 2 → 1", "--b=x y added", "privilege changed"]);
    }

    #[test]
    fn a_container_of_somebody_else_is_reported_by_what_it_runs() {
        let mut seen = inspection(&new());
        seen.config.as_mut().unwrap().labels = None;
        let known = inspected(&seen);
        assert_eq!(known.maker, Maker::Other);
        assert_eq!(known.spec.command.len(), 4);
        assert_eq!(known.spec.version, None);
    }

    #[test]
    fn the_search_path_of_an_image_is_no_difference() {
        let mut seen = inspection(&new());
        let config = seen.config.as_mut().unwrap();
        config.labels = None;
        config.env = Some(vec!["PATH=/usr/sbin:/usr/bin".to_owned(), "OWN=1".to_owned()]);
        let known = inspected(&seen);
        assert_eq!(known.spec.env.keys().map(|name| &**name).collect::<Vec<_>>(), ["OWN"]);
    }

    #[test]
    fn a_container_whose_label_cannot_be_read_is_ours_and_its_spec_unknown() {
        let newer = |labels: &mut Option<std::collections::HashMap<String, String>>| {
            labels.as_mut().unwrap().insert(windlass_engine::label::FORMAT.to_owned(), "2".to_owned());
        };
        let mut line = summary(&new());
        newer(&mut line.labels);
        assert_eq!(listed(line), Listed::Unclear("etcd".into()));
        let mut seen = inspection(&new());
        newer(&mut seen.config.as_mut().unwrap().labels);
        assert_eq!(inspected(&seen).maker, Maker::Unreadable);
    }

    #[test]
    fn how_long_it_runs_is_read_from_either() {
        for (since, wanted) in [
            (Since::Words("Up Less than a second".to_owned()), true),
            (Since::Words("Up 29 seconds".to_owned()), true),
            (Since::Words("Up About a minute".to_owned()), false),
            (Since::Words("Up 2 days".to_owned()), false),
            (Since::Moment("2000-02-29T00:00:00.123456789Z".to_owned()), true),
            (Since::Moment("2000-02-28T23:59:00Z".to_owned()), false),
            (Since::Moment(String::new()), false),
        ] {
            assert_eq!(since.is_within(30, 951_782_410), wanted, "{since:?}");
        }
    }
}
