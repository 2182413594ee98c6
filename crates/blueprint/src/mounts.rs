//! Mounts of the user's own: in the one spelling that they are compared in, and what they do to windlass' own.

use std::collections::BTreeMap;

use windlass_model::{Component, clean};

use crate::cluster::Cluster;
use crate::services::service_of;
use crate::values::ClusterValues;
use windlass_addons::Problems;

/// A mount in parts: where it comes from, where it goes, and its options in order, without those that change nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mount<'a> {
    target: String,
    source: Option<String>,
    options: Vec<&'a str>,
}

impl<'a> Mount<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let mut parts = text.splitn(3, ':');
        let first = parts.next().unwrap_or_default();
        let Some(target) = parts.next() else {
            return Self { target: clean(first), source: None, options: Vec::new() };
        };
        let mut options: Vec<&str> =
            parts.next().into_iter().flat_map(|options| options.split(',')).collect();
        // Docker mounts for writing where nothing is said, and by `rprivate`.
        options.retain(|option| !matches!(*option, "rw" | "rprivate" | ""));
        options.sort_unstable();
        Self { target: clean(target), source: Some(clean(first)), options }
    }

    /// Whether a path of the container is in it.
    pub(crate) fn holds(&self, path: &str) -> bool {
        self.source.is_some() && format!("{}/", clean(path)).starts_with(&format!("{}/", self.target))
    }

    /// Where it goes.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// Whether it is of a directory of the node, and of no volume of Docker.
    pub(crate) fn is_of_node(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.starts_with('/'))
    }

    /// Whether its place is this path.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        self.source.is_some() && clean(path) == self.target
    }

    /// How many directories its place is below the root: of two that hold a path the deeper counts.
    pub(crate) fn depth(&self) -> usize {
        self.target.matches('/').count()
    }

    /// Whether it has this option.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.options.contains(&option)
    }

    /// Whether it is the same but for `z` and `Z`, by which Docker labels files again for `SELinux`.
    pub(crate) fn is_same_but_for_label(&self, other: &Self) -> bool {
        let plain = |mount: &Self| -> Vec<String> {
            let options = mount.options.iter().filter(|option| !matches!(**option, "z" | "Z"));
            options.map(|option| (*option).to_owned()).collect()
        };
        self.target == other.target && self.source == other.source && plain(self) == plain(other)
    }

    /// Whether it is this mount of a component's configuration, but for writing in it and for labels.
    pub(crate) fn is_only_read_of(&self, writable: &Self) -> bool {
        let rest = |mount: &Self| -> Vec<String> {
            let options = mount.options.iter().filter(|option| !matches!(**option, "ro" | "z" | "Z"));
            options.map(|option| (*option).to_owned()).collect()
        };
        self.has("ro")
            && !writable.has("ro")
            && self.target == CONFIGURATION
            && (&self.target, &self.source, rest(self))
                == (&writable.target, &writable.source, rest(writable))
    }

    /// Whether it has the same path on the node.
    pub(crate) fn is_same_path(&self) -> bool {
        self.source.as_ref() == Some(&self.target)
    }

    /// The mount as Docker takes it: the same text for all spellings that mean the same.
    pub(crate) fn text(&self) -> String {
        let Self { target, source, options } = self;
        let source = source.as_ref().map(|source| format!("{source}:")).unwrap_or_default();
        let options = if options.is_empty() { String::new() } else { format!(":{}", options.join(",")) };
        format!("{source}{target}{options}")
    }
}

/// Where components have what configures them.
pub(crate) const CONFIGURATION: &str = "/etc/kubernetes";

/// Places of a container that its program is in, or that it lives on.
const NEEDED: [&str; 14] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/sbin",
    "/sys",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
];

/// Reports mounts that Docker refuses because something is mounted there already, and those that hide what the
/// container needs.
///
/// Source: "Duplicate mount point" of `volume/mounts` and `daemon/volumes.go` of moby/moby.
pub(crate) fn check(cluster: &Cluster<'_>, values: &ClusterValues, problems: &mut Problems) {
    for component in Component::ALL {
        let Some((service, path)) = service_of(component, cluster) else { continue };
        if service.extra_binds.is_empty() {
            continue;
        }
        let own = own(component, cluster, values);
        let own: BTreeMap<String, Mount<'_>> =
            own.iter().map(|text| Mount::of(text)).map(|mount| (mount.target.clone(), mount)).collect();
        let files = files(component, cluster, values);
        let mut seen: BTreeMap<String, Mount<'_>> = BTreeMap::new();
        for (index, bind) in service.extra_binds.iter().enumerate() {
            let mount = Mount::of(bind);
            let place = format!("{path}.extra_binds[{index}]");
            let target = &mount.target;
            if let Some(ours) = own.get(target) {
                if ours.is_same_but_for_label(&mount) {
                    // RKE 1 mounted with `z` itself before 1.22, and left out what was there.
                    if *ours != mount {
                        problems.warning(
                            &place,
                            format!(
                                "`{bind}`: windlass mounts `{}` there, and relabels no files",
                                ours.text()
                            ),
                            Some("take it out".to_owned()),
                        );
                    }
                } else if !ours.is_only_read_of(&mount) {
                    problems.error(
                        &place,
                        format!(
                            "`{bind}`: windlass mounts `{}` there, and Docker takes one mount of a place",
                            ours.text()
                        ),
                        Some("take it out".to_owned()),
                    );
                }
            } else if let Some(other) = seen.get(target).filter(|other| **other != mount) {
                problems.error(
                    &place,
                    format!(
                        "`{bind}`: `{}` is mounted there, and Docker takes one mount of a place",
                        other.text()
                    ),
                    Some("leave one of the two out".to_owned()),
                );
            } else if let Some(file) = files.iter().find(|file| hides(&mount, file, &own))
                && !mount.is_same_path()
            {
                problems.warning(
                    &place,
                    format!("`{bind}` hides windlass' own {file} from {component}"),
                    Some("mount it at another place, and name that in a flag".to_owned()),
                );
            } else if NEEDED.contains(&target.as_str()) && mount.source.as_ref() != Some(target) {
                problems.warning(
                    &place,
                    format!("`{bind}` hides {target} of the container from {component}"),
                    Some("is it the other way round? The path on the node comes first".to_owned()),
                );
            }
            seen.entry(target.clone()).or_insert(mount);
        }
    }
}

/// Whether a mount is what a path of the container leads through: Docker mounts the deeper of two later.
fn hides(mount: &Mount<'_>, path: &str, own: &BTreeMap<String, Mount<'_>>) -> bool {
    mount.holds(path) && !own.values().any(|ours| ours.holds(path) && ours.depth() > mount.depth())
}

/// The mounts that windlass gives a component.
pub(crate) fn own(component: Component, cluster: &Cluster<'_>, values: &ClusterValues) -> Vec<String> {
    let recipe = cluster.catalog.recipe(component);
    let binds = recipe.into_iter().flat_map(|recipe| &recipe.binds);
    let texts = binds.filter_map(|entry| entry.text_in(&cluster.setting()));
    texts.filter_map(|text| text.fill(|name| values.text(name).or(assumed(name)))).collect()
}

/// The data directory of etcd that windlass gives it.
pub(crate) fn own_data_of_etcd(cluster: &Cluster<'_>, values: &ClusterValues) -> Option<String> {
    let recipe = cluster.catalog.recipe(Component::Etcd)?;
    let texts = recipe.flags.iter().filter_map(|entry| entry.text_in(&cluster.setting()));
    let mut texts = texts.filter_map(|text| text.fill(|name| values.text(name)));
    texts.find_map(|text| Some(text.strip_prefix("--data-dir=")?.trim_end_matches('/').to_owned()))
}

/// The files of windlass' own that a component is given the names of.
fn files(component: Component, cluster: &Cluster<'_>, values: &ClusterValues) -> Vec<String> {
    let recipe = cluster.catalog.recipe(component);
    let entries = recipe.into_iter().flat_map(|recipe| &recipe.flags);
    let texts = entries.filter_map(|entry| entry.text_in(&cluster.setting()));
    let texts = texts.filter_map(|text| text.fill(|name| values.text(name)));
    let paths = texts.filter_map(|text| text.split_once('=').map(|(_, path)| path.to_owned()));
    paths.filter(|path| path.starts_with("/etc/kubernetes/")).collect()
}

/// What only a machine says, as ordinary machines have it.
fn assumed(name: &str) -> Option<&'static str> {
    (name == "docker_root").then_some("/var/lib/docker")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_mount_are_one_text() {
        for (text, plain) in [
            ("/a/:/a/", "/a:/a"),
            ("/a:/b:rw", "/a:/b"),
            ("/a:/b:z,ro", "/a:/b:ro,z"),
            ("/a//x/./y:/b/../c", "/a/x/y:/c"),
            ("data:/b", "data:/b"),
            ("/lib/modules", "/lib/modules"),
            ("/:/host:rslave", "/:/host:rslave"),
        ] {
            assert_eq!(Mount::of(text).text(), plain, "{text}");
        }
    }
}
