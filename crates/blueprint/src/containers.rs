//! What each container is made of: the catalog's recipe, the user's additions, the node's values.
//!
//! A recipe is prepared once for all nodes with the same prefix; what is equal on all of them is then one text
//! that they share.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_model::{
    Ciphers, Component, Conduct, ContainerSpec, DesiredContainer, FilePath, ImageRef, KubernetesVersion,
    OnChange, Origins, Part, PidMode, PodRuntime, Privilege, SpecPath,
};
use windlass_spec::ServiceSpec;

use crate::catalog::{Entry, Feature, Setting};
use crate::cluster::Cluster;
use crate::encryption;
use crate::files::Places;
use crate::mounts::{CONFIGURATION, Mount};
use crate::pod_runtimes;
use crate::services::{name_of_flag, service_of};
use crate::template::Template;
use crate::values::{ClusterValues, NodeValues, Source};

/// A container's recipe with all filled in that does not depend on the node.
pub(crate) struct Prepared {
    component: Component,
    cluster_version: KubernetesVersion,
    image: ImageRef,
    program: Arc<str>,
    arguments: Vec<Slot>,
    env: Vec<Slot>,
    binds: Vec<Slot>,
    pid: PidMode,
    privilege: Privilege,
    user: Option<Arc<str>>,
    reads: BTreeMap<FilePath, OnChange>,
    ciphers: Ciphers,
    version: Option<KubernetesVersion>,
    origins: Arc<Origins>,
    /// The whole spec where no part of it depends on the node, and what the container does with it.
    shared: Option<(Arc<ContainerSpec>, Arc<Conduct>)>,
}

/// A text that all nodes share, or one that each fills for itself.
#[derive(Clone)]
enum Slot {
    Shared(Arc<str>),
    PerNode(Template),
}

impl Slot {
    /// The name of the flag with its dashes, or of the environment variable.
    fn name(&self) -> &str {
        match self {
            Self::Shared(text) => text.split_once('=').map_or(text, |(name, _)| name),
            Self::PerNode(template) => template.flag(),
        }
    }

    /// The text, if all nodes share it.
    fn shared(&self) -> Option<Arc<str>> {
        match self {
            Self::Shared(text) => Some(text.clone()),
            Self::PerNode(_) => None,
        }
    }

    fn text(&self, node: &NodeValues) -> Option<Arc<str>> {
        match self {
            Self::Shared(text) => Some(text.clone()),
            Self::PerNode(template) => template.fill(|name| node.text(name)).map(Arc::from),
        }
    }
}

/// Prepares a component's container; none if the cluster has no image for it.
pub(crate) fn prepare(
    component: Component,
    cluster: &Cluster<'_>,
    values: &ClusterValues,
    places: &Places,
    runtime: PodRuntime,
) -> Option<Prepared> {
    let recipe = cluster.catalog.recipe(component)?;
    let image = cluster.images.of_component(component, &recipe.image)?;
    let mut features = cluster.features.clone();
    if places.has_prefix() {
        features.insert(Feature::Prefix);
    }
    features.extend(pod_runtimes::feature(runtime));
    let setting = Setting { features: &features, ..cluster.setting() };

    let version_origin = cluster.images.version_origin.clone();
    let mut origins = Origins { whole: version_origin, image: image.origin.clone(), parts: BTreeMap::new() };
    let places_of = &cluster.places_of_features();
    let mut arguments = slots(&recipe.flags, &setting, values, places_of, &mut origins, |slot| {
        Part::Flag(slot.name().into())
    });
    let mut env =
        slots(&recipe.env, &setting, values, places_of, &mut origins, |slot| Part::Env(slot.name().into()));
    let mut binds = slots(&recipe.binds, &setting, values, places_of, &mut origins, |slot| match slot {
        Slot::Shared(bind) => Part::Bind(bind.clone()),
        Slot::PerNode(_) => Part::Bind(Arc::default()),
    });
    if let Some((service, path)) = service_of(component, cluster) {
        add_arguments(&mut arguments, component, service, path, &mut origins);
        add_env(&mut env, service, path, &mut origins);
        if writes_beside_its_configuration(service) {
            open_for_writing(&mut binds);
        }
        add_binds(&mut binds, service, path, &mut origins);
    }
    let reads = reads(&arguments, &binds, recipe.on_change, places);
    let mut prepared = Prepared {
        component,
        cluster_version: cluster.images.version.clone(),
        image: image.image.clone(),
        program: recipe.program.as_str().into(),
        arguments,
        env,
        binds,
        pid: recipe.pid,
        privilege: recipe.privilege,
        user: user_of(component, cluster),
        reads,
        ciphers: ciphers_of(component, cluster),
        version: (recipe.image == "kubernetes").then(|| cluster.images.version.clone()),
        origins: Arc::new(origins),
        shared: None,
    };
    prepared.shared = prepared.spec_of_all();
    Some(prepared)
}

impl Prepared {
    /// The container on one node, which has these files.
    pub(crate) fn on_node<V>(&self, node: &NodeValues, files: &BTreeMap<FilePath, V>) -> DesiredContainer {
        let (spec, conduct) = match &self.shared {
            Some((spec, conduct)) if spec.reads.keys().all(|path| files.contains_key(path)) => {
                (spec.clone(), conduct.clone())
            }
            _ => self.with_conduct(self.spec(|slot| slot.text(node), |path| files.contains_key(path))),
        };
        DesiredContainer { spec, conduct, origins: self.origins.clone() }
    }

    fn with_conduct(&self, spec: ContainerSpec) -> (Arc<ContainerSpec>, Arc<Conduct>) {
        let conduct = Conduct::of(self.component, &spec, &self.cluster_version);
        (Arc::new(spec), Arc::new(conduct))
    }

    /// The container's spec; slots without a text and files that are not there are left out.
    fn spec(
        &self,
        text: impl Fn(&Slot) -> Option<Arc<str>>,
        is_there: impl Fn(&FilePath) -> bool,
    ) -> ContainerSpec {
        let mut command = Vec::with_capacity(self.arguments.len() + 1);
        command.push(self.program.clone());
        command.extend(self.arguments.iter().filter_map(&text));
        let env = self.env.iter().filter_map(|slot| {
            let variable = text(slot)?;
            let (name, value) = variable.split_once('=').unwrap_or((&variable, ""));
            Some((Arc::from(name), Arc::from(value)))
        });
        let reads = self.reads.iter().filter(|(path, _)| is_there(path));
        ContainerSpec {
            image: self.image.clone(),
            command,
            env: env.collect(),
            binds: self.binds.iter().filter_map(&text).collect(),
            pid: self.pid,
            privilege: self.privilege,
            user: self.user.clone(),
            reads: reads.map(|(path, change)| (path.clone(), *change)).collect(),
            ciphers: self.ciphers.clone(),
            version: self.version.clone(),
        }
    }

    /// The spec of all nodes, if nothing in it depends on the node.
    fn spec_of_all(&self) -> Option<(Arc<ContainerSpec>, Arc<Conduct>)> {
        let mut slots = self.arguments.iter().chain(&self.env).chain(&self.binds);
        slots
            .all(|slot| matches!(slot, Slot::Shared(_)))
            .then(|| self.with_conduct(self.spec(Slot::shared, |_| true)))
    }

    /// The container as far as all nodes share it.
    pub(crate) fn shared_spec(&self) -> ContainerSpec {
        self.spec(Slot::shared, |_| true)
    }

    /// The value of a flag, without dashes, that all nodes share, and its place in cluster.yml.
    ///
    /// Of several the last counts; of those that are lists the first, by which tokens are signed and pods ask for names.
    pub(crate) fn shared_flag(&self, name: &str) -> Option<(&str, Option<&SpecPath>)> {
        let mut values = self.arguments.iter().filter_map(|slot| match slot {
            Slot::Shared(text) => {
                let (flag, value) = text.split_once('=')?;
                (flag.strip_prefix("--") == Some(name)).then_some(value)
            }
            Slot::PerNode(_) => None,
        });
        let is_list = matches!(name, "service-account-issuer" | "cluster-dns");
        let value = if is_list { values.next() } else { values.next_back() };
        value.map(|value| (value, self.origins.of_flag(name)))
    }
}

/// The entries that hold, filled as far as the cluster's values go, and the places of those values.
fn slots(
    entries: &[Entry],
    setting: &Setting<'_>,
    values: &ClusterValues,
    features: &BTreeMap<Feature, SpecPath>,
    origins: &mut Origins,
    part: impl Fn(&Slot) -> Part,
) -> Vec<Slot> {
    let mut slots = Vec::new();
    for entry in entries {
        let Some(template) = entry.text_in(setting) else { continue };
        let sources: Vec<Source> = template.names().filter_map(NodeValues::source).collect();
        let slot = if sources.is_empty() {
            let Some(text) = template.fill(|name| values.text(name)) else { continue };
            Slot::Shared(text.into())
        } else {
            Slot::PerNode(template.with(|name| values.text(name)))
        };
        let nodes = sources.contains(&Source::Spec).then(|| SpecPath::from("nodes"));
        let own = template.names().find_map(|name| values.origin(name).cloned());
        let feature = || features.get(&entry.feature()?).cloned();
        if let Some(place) = own.or(nodes).or_else(feature) {
            origins.parts.insert(part(&slot), place);
        }
        slots.push(slot);
    }
    slots
}

/// `extra_args` in the place of a flag of the same name, else behind all in the order of their names; then
/// `extra_args_array`.
fn add_arguments(
    arguments: &mut Vec<Slot>,
    component: Component,
    service: &ServiceSpec,
    path: &str,
    origins: &mut Origins,
) {
    for (name, value) in &service.extra_args {
        if component.nature().birth_flags.contains(&name.as_str()) {
            continue;
        }
        let flag = format!("--{}", name_of_flag(component, name));
        let desired = Slot::Shared(format!("{flag}={value}").into());
        let mut place = arguments.iter().position(|slot| slot.name() == flag);
        if let Some(place) = place {
            arguments[place] = desired.clone();
        } else {
            arguments.push(desired);
            place = Some(arguments.len() - 1);
        }
        let mut index = 0;
        arguments.retain(|slot| {
            index += 1;
            Some(index - 1) == place || slot.name() != flag
        });
        origins.parts.insert(Part::Flag(flag.into()), SpecPath::from(format!("{path}.extra_args.{name}")));
    }
    for (name, values) in &service.extra_args_array {
        if component.nature().birth_flags.contains(&name.as_str()) {
            continue;
        }
        let flag = format!("--{}", name_of_flag(component, name));
        arguments.extend(values.iter().map(|value| Slot::Shared(format!("{flag}={value}").into())));
        origins
            .parts
            .insert(Part::Flag(flag.into()), SpecPath::from(format!("{path}.extra_args_array.{name}")));
    }
}

/// `extra_env` in the place of a variable of the same name, else behind all.
fn add_env(env: &mut Vec<Slot>, service: &ServiceSpec, path: &str, origins: &mut Origins) {
    for (index, variable) in service.extra_env.iter().enumerate() {
        if !variable.contains('=') {
            // Docker takes such a name away from the variables of the image, and so from ours.
            env.retain(|slot| slot.name() != variable);
            continue;
        }
        let desired = Slot::Shared(variable.as_str().into());
        origins
            .parts
            .insert(Part::Env(desired.name().into()), SpecPath::from(format!("{path}.extra_env[{index}]")));
        env.retain(|slot| slot.name() != desired.name());
        env.push(desired);
    }
}

/// `extra_binds` behind windlass' own, those that are there already left out; in the order of their places, so that
/// another order in the file changes nothing.
fn add_binds(binds: &mut Vec<Slot>, service: &ServiceSpec, path: &str, origins: &mut Origins) {
    let mut mounts: Vec<(Mount<'_>, usize)> =
        service.extra_binds.iter().enumerate().map(|(index, bind)| (Mount::of(bind), index)).collect();
    mounts.sort();
    for (mount, index) in mounts {
        let is_same = |text: &str| Mount::of(text).is_same_but_for_label(&mount);
        let is_there = |slot: &Slot| matches!(slot, Slot::Shared(text) if is_same(text));
        if binds.iter().any(is_there) {
            continue;
        }
        let only_read = |slot: &&mut Slot| matches!(&**slot, Slot::Shared(text) if Mount::of(text).is_only_read_of(&mount));
        if let Some(own) = binds.iter_mut().find(only_read) {
            *own = Slot::Shared(mount.text().into());
            continue;
        }
        let bind = mount.text();
        let place = SpecPath::from(format!("{path}.extra_binds[{index}]"));
        origins.parts.insert(Part::Bind(bind.as_str().into()), place);
        binds.push(Slot::Shared(bind.into()));
    }
}

/// Flags of all components that name a place to write to.
const PLACES_WRITTEN: [&str; 4] = ["audit-log-path", "cert-dir", "log-dir", "log-file"];

/// Whether cluster.yml has a component write where it has what configures it.
fn writes_beside_its_configuration(service: &ServiceSpec) -> bool {
    PLACES_WRITTEN
        .iter()
        .any(|flag| service.argument(flag).is_some_and(|argument| argument.value.starts_with(CONFIGURATION)))
}

/// Makes the mount of the configuration one that may be written.
fn open_for_writing(binds: &mut [Slot]) {
    for slot in binds {
        let writable = match slot {
            Slot::Shared(text) => text.strip_suffix(":ro").filter(|text| text.ends_with(CONFIGURATION)),
            Slot::PerNode(_) => None,
        };
        if let Some(writable) = writable.map(Arc::from) {
            *slot = Slot::Shared(writable);
        }
    }
}

/// Whom a container runs as, if not root.
fn user_of(component: Component, cluster: &Cluster<'_>) -> Option<Arc<str>> {
    let etcd = &cluster.spec.services.etcd;
    match (component, etcd.uid, etcd.gid) {
        (Component::Etcd, Some(uid), Some(gid)) => Some(format!("{uid}:{gid}").into()),
        _ => None,
    }
}

/// By which keys an API server writes and reads, where the file with them is windlass' own.
fn ciphers_of(component: Component, cluster: &Cluster<'_>) -> Ciphers {
    let api = &cluster.spec.services.kube_api;
    let is_own = api.service.argument("encryption-provider-config").is_none();
    if component == Component::KubeApiserver && cluster.has(Feature::Encryption) && is_own {
        encryption::ciphers(api)
    } else {
        Ciphers::default()
    }
}

/// The files of windlass that a container reads: those that its arguments name, seen through its mounts, and
/// those that these name in turn.
fn reads(
    arguments: &[Slot],
    binds: &[Slot],
    on_change: OnChange,
    places: &Places,
) -> BTreeMap<FilePath, OnChange> {
    let shared = |slots: &[Slot]| slots.iter().filter_map(Slot::shared).collect::<Vec<_>>();
    let binds = shared(binds);
    shared(arguments)
        .iter()
        .map(|argument| argument.split_once('=').map_or(&**argument, |(_, value)| value))
        .filter_map(|value| on_host(value, &binds))
        .flat_map(|path| places.read_with(&path))
        .map(|path| (path, on_change))
        .collect()
}

/// The path on the host of a path in the container, by the deepest mount that it is under.
fn on_host(path: &str, binds: &[Arc<str>]) -> Option<String> {
    binds
        .iter()
        .filter_map(|bind| {
            let mut parts = bind.splitn(3, ':');
            let (source, target) = (parts.next()?, parts.next()?.trim_end_matches('/'));
            let rest = path.strip_prefix(target)?;
            rest.starts_with('/').then(|| (target.len(), format!("{}{rest}", source.trim_end_matches('/'))))
        })
        .max()
        .map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_seen_through_the_deepest_mount() {
        let binds: Vec<Arc<str>> =
            ["/a/etc:/etc", "/b/ssl:/etc/ssl:ro", "/c:/etc/sslx"].map(Arc::from).to_vec();
        assert_eq!(on_host("/etc/hosts", &binds).as_deref(), Some("/a/etc/hosts"));
        assert_eq!(on_host("/etc/ssl/ca.pem", &binds).as_deref(), Some("/b/ssl/ca.pem"));
        assert_eq!(on_host("/var/x", &binds), None);
        assert_eq!(on_host("10.0.0.1", &binds), None);
    }
}
