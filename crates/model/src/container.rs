//! The spec of a container, and the differences between two.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ciphers::Ciphers;
use crate::digest::Digest;
use crate::names::{FilePath, ImageRef, SpecPath};
use crate::permission::Owner;
use crate::version::KubernetesVersion;

/// The canonical description of a container, which its label contains and with which drift is found.
///
/// Every container is on the host's network, restarts always, and has its entrypoint replaced by `command`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The image, in the form that Docker gets.
    pub image: ImageRef,
    /// Program and flags, in the fixed order of the catalog; each flag as `--name=value`.
    pub command: Vec<Arc<str>>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<Arc<str>, Arc<str>>,
    /// Bind mounts as `source:target[:options]`, in the desired order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub binds: Vec<Arc<str>>,
    /// Whether it sees the host's processes.
    #[serde(default)]
    pub pid: PidMode,
    /// Whether it runs with every capability.
    #[serde(default)]
    pub privilege: Privilege,
    /// `uid:gid` to run as; root where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Arc<str>>,
    /// Files that it reads, and what must happen to it when one changes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reads: BTreeMap<FilePath, OnChange>,
    /// The keys with which it writes and reads what it stores; only of an API server whose keys windlass
    /// configures.
    #[serde(default, skip_serializing_if = "Ciphers::is_empty")]
    pub ciphers: Ciphers,
    /// The Kubernetes version of the image; absent for etcd and nginx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<KubernetesVersion>,
}

/// Which processes a container sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum PidMode {
    /// Its own only.
    #[default]
    Own,
    /// All of the host.
    Host,
}

/// What a container may do on its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Privilege {
    /// Docker's default.
    #[default]
    Confined,
    /// Every capability and device.
    Privileged,
}

/// What must happen to a running container when a file that it reads has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnChange {
    /// It reads the file only at its start: replace it.
    Replace,
    /// It reads the file again on SIGHUP: reload it.
    Reload,
}

/// A path without a slash at its end, and without slashes or dots that mean nothing.
pub fn clean(path: &str) -> String {
    if !path.starts_with('/') {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("/{}", parts.join("/"))
}

impl ContainerSpec {
    /// The value of the flag of this name, without dashes: `flag("etcd-servers")`. Of several the last one counts, as it does
    /// to programs.
    pub fn flag(&self, name: &str) -> Option<&str> {
        // Asked tens of thousands of times in a large cluster: most arguments end at the one comparison of a byte.
        let at = "--".len() + name.len();
        self.command.iter().rev().find_map(|argument| {
            let value = argument.get(at..).filter(|rest| rest.starts_with('='))?.get(1..)?;
            (argument.strip_prefix("--")?.get(..name.len())? == name).then_some(value)
        })
    }

    /// The user as whom it runs, where that is not root and given by numbers.
    pub fn owner(&self) -> Option<Owner> {
        let (uid, gid) = self.user.as_deref()?.split_once(':')?;
        let owner = Owner { uid: uid.parse().ok()?, gid: gid.parse().ok()? };
        (owner.uid != 0).then_some(owner)
    }

    /// The path on its node of a path in the container, through the deepest mount above it; none where
    /// nothing can be written there.
    pub fn on_node(&self, path: &str) -> Option<FilePath> {
        let path = clean(path);
        let mounts = self.binds.iter().filter_map(|bind| {
            let mut parts = bind.splitn(3, ':');
            let (source, target) = (clean(parts.next()?), clean(parts.next()?));
            let (source, target) = (source.trim_end_matches('/'), target.trim_end_matches('/'));
            let rest = path.strip_prefix(target).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
            let is_read_only =
                parts.next().is_some_and(|options| options.split(',').any(|option| option == "ro"));
            Some((target.len(), (!is_read_only).then(|| FilePath::from(format!("{source}{rest}")))))
        });
        mounts.max_by_key(|(length, _)| *length)?.1
    }

    /// The differences of the running container `seen` from this desired state; empty if there are none.
    ///
    /// Digests of files are not compared here: a spec names the files, an observation their digests.
    pub fn differences_from(&self, seen: &Self) -> Vec<Difference> {
        let Self { image, command, env, binds, pid, privilege, user, reads, ciphers, version: _ } = self;
        let mut found = Vec::new();
        if *image != seen.image {
            found.push(Difference::Image { from: seen.image.clone(), to: image.clone() });
        }
        if *command != seen.command {
            found.extend(argument_differences(&seen.command, command));
        }
        if *env != seen.env {
            let names: BTreeSet<&Arc<str>> = env.keys().chain(seen.env.keys()).collect();
            found.extend(names.into_iter().filter_map(|name| {
                let is = match (seen.env.get(name), env.get(name)) {
                    (None, _) => Change::Added,
                    (_, None) => Change::Removed,
                    (was, is) if was == is => return None,
                    _ => Change::Changed,
                };
                Some(Difference::Environment { name: name.clone(), is })
            }));
        }
        if *binds != seen.binds {
            found.extend(mount_differences(&seen.binds, binds));
        }
        for (differs, name) in [
            (*pid != seen.pid, "pid mode"),
            (*privilege != seen.privilege, "privilege"),
            (*user != seen.user, "user"),
            (*reads != seen.reads, "files that it reads"),
            // A container of an older windlass does not name them.
            (*ciphers != seen.ciphers && !seen.ciphers.is_empty(), "keys that encrypt"),
        ] {
            if differs {
                found.push(Difference::Setting { name: name.into() });
            }
        }
        found
    }
}

fn mount_differences(from: &[Arc<str>], to: &[Arc<str>]) -> Vec<Difference> {
    let from: Vec<Arc<str>> = from.iter().map(|bind| as_desired_if_only_writable(bind, to)).collect();
    if from == to {
        return vec![];
    }
    let lacking = |binds: &[Arc<str>], others: &[Arc<str>], is| -> Vec<Difference> {
        let lacking = binds.iter().filter(|bind| !others.contains(bind));
        lacking.map(|bind| Difference::Mount { bind: bind.clone(), is }).collect()
    };
    let mut found = lacking(to, &from, Change::Added);
    found.extend(lacking(&from, to, Change::Removed));
    if found.is_empty() {
        found.push(Difference::Setting { name: "order of mounts".into() });
    }
    found
}

/// Where components have what configures them.
const CONFIGURATION: &str = "/etc/kubernetes";

/// A mount of a component's configuration counts as the desired one if it only lacks that nothing is written
/// there: an older windlass made it so, and no container is replaced for that.
fn as_desired_if_only_writable(bind: &Arc<str>, desired: &[Arc<str>]) -> Arc<str> {
    let read_only = format!("{bind}:ro");
    let is_configuration = bind.strip_suffix(CONFIGURATION).is_some_and(|source| source.ends_with(':'));
    let same = desired.iter().find(|other| is_configuration && ***other == *read_only);
    same.unwrap_or(bind).clone()
}

/// `--name=value` as name and value; an argument without `=` has no value.
fn split_flag(argument: &str) -> (&str, Option<&str>) {
    argument.split_once('=').map_or((argument, None), |(name, value)| (name, Some(value)))
}

/// Groups arguments by their flag: repeated flags keep the order of their values.
fn by_flag(command: &[Arc<str>]) -> BTreeMap<&str, Vec<Option<&str>>> {
    let mut flags: BTreeMap<&str, Vec<Option<&str>>> = BTreeMap::new();
    for argument in command {
        let (name, value) = split_flag(argument);
        flags.entry(name).or_default().push(value);
    }
    flags
}

fn argument_differences(from: &[Arc<str>], to: &[Arc<str>]) -> Vec<Difference> {
    let (before, after) = (by_flag(from), by_flag(to));
    let shown = |values: Option<&Vec<Option<&str>>>| {
        values.map(|values| {
            let texts: Vec<&str> = values.iter().map(|value| value.unwrap_or_default()).collect();
            Arc::from(texts.join(" "))
        })
    };
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let mut found: Vec<Difference> = names
        .into_iter()
        .filter(|name| before.get(name) != after.get(name))
        .map(|name| Difference::Argument {
            flag: name.into(),
            from: shown(before.get(name)),
            to: shown(after.get(name)),
        })
        .collect();
    if found.is_empty() {
        found.push(Difference::Setting { name: "order of arguments".into() });
    }
    found
}

/// One difference of a running container from the desired one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "of")]
pub enum Difference {
    /// Another image.
    Image {
        /// The image it runs.
        from: ImageRef,
        /// The image desired.
        to: ImageRef,
    },
    /// A flag added, removed or with another value.
    Argument {
        /// The flag with its dashes.
        flag: Arc<str>,
        /// Its value now; absent if the flag is not given.
        from: Option<Arc<str>>,
        /// Its value desired; absent if the flag is not desired.
        to: Option<Arc<str>>,
    },
    /// An environment variable added, removed or changed; values are never shown, since they may be secret.
    Environment {
        /// The variable's name.
        name: Arc<str>,
        /// What would happen to it.
        is: Change,
    },
    /// A bind mount that is missing or superfluous.
    Mount {
        /// The mount as `source:target[:options]`.
        bind: Arc<str>,
        /// Whether the desired state adds or removes it.
        is: Change,
    },
    /// Any other setting of the container.
    Setting {
        /// What it is, in words.
        name: Arc<str>,
    },
    /// A file that it read at its start has other content now, or will have.
    File {
        /// The file.
        path: FilePath,
    },
}

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Desired, and not there.
    Added,
    /// There, and not desired.
    Removed,
    /// There with another value than desired.
    Changed,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image { from, to } => write!(f, "image {from} → {to}"),
            Self::Argument { flag, from: Some(from), to: Some(to) } => {
                write!(f, "{flag} {} → {}", quoted(from), quoted(to))
            }
            Self::Argument { flag, from: None, to: Some(to) } if to.is_empty() => write!(f, "{flag} added"),
            Self::Argument { flag, from: None, to: Some(to) } => write!(f, "{flag}={to} added"),
            Self::Argument { flag, .. } => write!(f, "{flag} removed"),
            Self::Environment { name, is } => write!(f, "environment variable {name} {is}"),
            Self::Mount { bind, is } => write!(f, "mount {bind} {is}"),
            Self::Setting { name } => write!(f, "{name} changed"),
            Self::File { path } => write!(f, "{path} changed"),
        }
    }
}

fn quoted(value: &str) -> &str {
    if value.is_empty() { "\"\"" } else { value }
}

/// The places in cluster.yml that determine the parts of a container's desired state.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origins {
    /// The place of the version, which determines everything that has no place of its own.
    pub whole: Option<SpecPath>,
    /// The place of the image.
    pub image: Option<SpecPath>,
    /// The places of its parts.
    #[serde(with = "crate::pairs")]
    pub parts: BTreeMap<Part, SpecPath>,
}

/// A part of a container's desired state that may have a place of its own in cluster.yml.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A flag, with its dashes.
    Flag(Arc<str>),
    /// A mount, as a whole.
    Bind(Arc<str>),
    /// An environment variable, by its name.
    Env(Arc<str>),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Bind(bind) => write!(f, "bind {bind}"),
            Self::Env(name) => write!(f, "env {name}"),
        }
    }
}

impl Origins {
    /// The place in cluster.yml of a difference, if it has its own. A file has its place with the file.
    pub fn of(&self, difference: &Difference) -> Option<&SpecPath> {
        match difference {
            Difference::Image { .. } => self.image.as_ref().or(self.whole.as_ref()),
            Difference::Argument { flag, .. } => self.parts.get(&Part::Flag(flag.clone())),
            Difference::Environment { name, is: _ } => self.parts.get(&Part::Env(name.clone())),
            Difference::Mount { bind, .. } => self.parts.get(&Part::Bind(bind.clone())),
            Difference::Setting { .. } | Difference::File { .. } => None,
        }
    }

    /// The place of a flag of its own, by its name without dashes.
    pub fn of_flag(&self, name: &str) -> Option<&SpecPath> {
        self.parts.get(&Part::Flag(format!("--{name}").into()))
    }
}

/// The digests of the files that a container has loaded, by path.
pub type Loaded = BTreeMap<FilePath, Digest>;

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(command: &[&str]) -> ContainerSpec {
        ContainerSpec {
            image: "etcd:3.4".into(),
            command: command.iter().copied().map(Arc::from).collect(),
            env: BTreeMap::new(),
            binds: Vec::new(),
            pid: PidMode::Own,
            privilege: Privilege::Confined,
            user: None,
            reads: BTreeMap::new(),
            ciphers: Ciphers::default(),
            version: None,
        }
    }

    fn shown(desired: &ContainerSpec, seen: &ContainerSpec) -> Vec<String> {
        desired.differences_from(seen).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn differences_name_the_flag_and_both_values() {
        let desired = spec(&["kubelet", "--v=4", "--a=1", "--x"]);
        let seen = spec(&["kubelet", "--v=2", "--b=1"]);
        assert_eq!(shown(&desired, &seen), ["--a=1 added", "--b removed", "--v 2 → 4", "--x added"]);
    }

    #[test]
    fn a_path_in_a_container_is_found_on_the_node_through_its_deepest_mount() {
        let place = |binds: &[&str], path: &str| {
            let binds = binds.iter().copied().map(Arc::from).collect();
            ContainerSpec { binds, ..spec(&[]) }.on_node(path).map(|path| path.to_string())
        };
        let usual = "/opt/rke/var/lib/etcd:/var/lib/rancher/etcd/";
        for (binds, path, wanted) in [
            (&[usual][..], "/var/lib/rancher/etcd/", Some("/opt/rke/var/lib/etcd")),
            (&[usual], "/var/lib/rancher/etcd/own", Some("/opt/rke/var/lib/etcd/own")),
            (&[usual, "/disk:/var/lib/rancher/etcd/own:z"], "/var/lib/rancher/etcd/own", Some("/disk")),
            (&[usual, "/disk:/var/lib/rancher/etcd/own:z,ro"], "/var/lib/rancher/etcd/own", None),
            (&[usual], "/var/lib/rancher/etcd2", None),
        ] {
            assert_eq!(place(binds, path).as_deref(), wanted, "{path} in {binds:?}");
        }
    }

    #[test]
    fn equal_specs_differ_in_nothing_and_order_counts() {
        let desired = spec(&["kubelet", "--v=4", "--a=1"]);
        assert_eq!(shown(&desired, &desired), Vec::<String>::new());
        let swapped = spec(&["kubelet", "--a=1", "--v=4"]);
        assert_eq!(shown(&desired, &swapped), ["order of arguments changed"]);
    }

    #[test]
    fn a_secret_in_the_environment_is_never_shown() {
        let mut desired = spec(&["kubelet"]);
        desired.env.insert("TOKEN".into(), "hunter2".into());
        assert_eq!(shown(&desired, &spec(&["kubelet"])), ["environment variable TOKEN added"]);
    }
}
