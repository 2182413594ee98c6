//! Everything that windlass keeps on the hosts of a lab at one moment, and what has changed since.

use std::collections::BTreeMap;

use super::{ContainerSeen, FileSeen, Lab, LabError, Node};

/// The directories on a node that windlass writes, except etcd's data and snapshots.
const KEPT: [&str; 2] = ["/etc/kubernetes", "/var/lib/kubelet/config.json"];

/// The components of which one leads, by a lease in Kubernetes.
const LED_BY_LEASE: [&str; 2] = [" kube-controller-manager", " kube-scheduler"];

/// The containers of components and the files of all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabState {
    containers: BTreeMap<String, ContainerSeen>,
    files: BTreeMap<String, FileSeen>,
}

impl Lab {
    /// What is on the nodes now. Pods are not in it: they change by themselves.
    ///
    /// # Errors
    /// A node or its Docker does not answer.
    pub fn state(&self) -> Result<LabState, LabError> {
        let mut state = LabState { containers: BTreeMap::new(), files: BTreeMap::new() };
        std::thread::scope(|scope| {
            let looks: Vec<_> = self.nodes().iter().map(|node| scope.spawn(|| LabState::of(node))).collect();
            looks.into_iter().try_for_each(|look| {
                let LabState { containers, files } = look.join().expect("a look does not panic")?;
                state.containers.extend(containers);
                state.files.extend(files);
                Ok(())
            })
        })?;
        Ok(state)
    }
}

impl LabState {
    fn of(node: &Node) -> Result<Self, LabError> {
        let (mut containers, mut files) = (BTreeMap::new(), BTreeMap::new());
        for (name, container) in node.components()? {
            containers.insert(format!("{} {name}", node.name), container);
        }
        for directory in KEPT {
            for (path, file) in node.files(directory)? {
                files.insert(format!("{} {path}", node.name), file);
            }
        }
        Ok(Self { containers, files })
    }

    /// The containers by node and name: `node-1 etcd`.
    pub fn containers(&self) -> &BTreeMap<String, ContainerSeen> {
        &self.containers
    }

    /// The files by node and path: `node-1 /etc/kubernetes/ssl/kube-ca.pem`.
    pub fn files(&self) -> &BTreeMap<String, FileSeen> {
        &self.files
    }

    /// What has changed, in order: `node-1 etcd created`, `node-1 etcd restarted`, `node-1 /etc/… written`.
    ///
    /// A component that leads by a lease exits when it cannot renew it, as where the machine is busy or the
    /// API server beside it is replaced, and Docker restarts it: that is Kubernetes' normal behaviour, and
    /// not reported.
    pub fn since(&self, before: &Self) -> Vec<String> {
        let mut reported = differences(&before.containers, &self.containers, |name, old, new| {
            let leads = LED_BY_LEASE.iter().any(|component| name.ends_with(component));
            if old.id != new.id {
                Some("created")
            } else if leads && new.restarts > old.restarts && new.state != "exited" {
                None
            } else if (&old.started, &old.state) != (&new.started, &new.state) {
                Some("restarted")
            } else {
                (old != new).then_some("changed")
            }
        });
        reported.extend(differences(&before.files, &self.files, |_, old, new| {
            if (&old.modified, old.inode, old.size) == (&new.modified, new.inode, new.size) {
                (old != new).then_some("changed")
            } else {
                Some("written")
            }
        }));
        reported.sort();
        reported
    }
}

fn differences<T>(
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
    between: impl Fn(&str, &T, &T) -> Option<&'static str>,
) -> Vec<String> {
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("{name} gone"));
    let others = after.iter().filter_map(|(name, new)| match before.get(name) {
        None => Some(format!("{name} new")),
        Some(old) => between(name, old, new).map(|how| format!("{name} {how}")),
    });
    gone.chain(others).collect()
}
