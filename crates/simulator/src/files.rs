//! Files and directories of a machine.

use std::collections::BTreeSet;
use std::mem::take;
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_engine::{PortError, PortResult};
use windlass_model::{DesiredKernel, Digest, FilePath, LedgerCopy, Lineage, Mode, Owner};

use crate::world::{Disk, Node, OffDisk, World, already, lasting};

/// A file with its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FileText", into = "FileText")]
pub(crate) struct FileState {
    pub(crate) content: Arc<[u8]>,
    pub(crate) digest: Digest,
    pub(crate) mode: Mode,
    pub(crate) owner: Owner,
}

impl FileState {
    pub(crate) fn new(content: &[u8], mode: Mode, owner: Owner) -> Self {
        Self { content: content.into(), digest: Digest::of(content), mode, owner }
    }

    /// Its content as text; empty if it is not text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap_or_default()
    }

    /// Whether a process of this user and group may read it; root may read everything.
    pub(crate) fn is_readable_by(&self, uid: u32, gid: u32) -> bool {
        let bit = if self.owner.uid == uid {
            0o400
        } else if self.owner.gid == gid {
            0o040
        } else {
            0o004
        };
        uid == 0 || self.mode.0 & bit != 0
    }
}

/// A file as the world file shows it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bytes: Vec<u8>,
    #[serde(default = "public")]
    mode: Mode,
    #[serde(default)]
    owner: Owner,
}

fn public() -> Mode {
    Mode::PUBLIC
}

impl From<FileText> for FileState {
    fn from(file: FileText) -> Self {
        let content = if file.bytes.is_empty() { file.text.into_bytes() } else { file.bytes };
        Self::new(&content, file.mode, file.owner)
    }
}

impl From<FileState> for FileText {
    fn from(file: FileState) -> Self {
        let (text, bytes) = match String::from_utf8(file.content.to_vec()) {
            Ok(text) => (text, Vec::new()),
            Err(no_text) => (String::new(), no_text.into_bytes()),
        };
        Self { text, bytes, mode: file.mode, owner: file.owner }
    }
}

/// Whether `path` is `directory` or below it.
pub(crate) fn is_under(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `path` with its prefix `from` replaced by `to`.
pub(crate) fn moved(path: &FilePath, from: &FilePath, to: &FilePath) -> FilePath {
    let rest = &path.as_str()[from.as_str().trim_end_matches('/').len()..];
    FilePath::from(format!("{}{rest}", to.as_str().trim_end_matches('/')))
}

/// The description of a ledger's copy: its first two fields, in YAML or JSON.
pub(crate) fn ledger_copy(file: &FileState) -> Option<LedgerCopy> {
    let text = file.text();
    let value_of = |key: &str| {
        let after = &text[text.find(key)? + key.len()..];
        let value = after.trim_start_matches(['"', ':', ' ', '\'']);
        let end = value.find(['"', '\'', ',', '\n', '}', ' ']).unwrap_or(value.len());
        Some(&value[..end])
    };
    Some(LedgerCopy {
        lineage: Lineage::from(value_of("lineage")?),
        serial: value_of("serial")?.parse().ok()?,
    })
}

impl Node {
    /// Whether anything is at this path or below it.
    pub(crate) fn holds_anything_under(&self, path: &str) -> bool {
        let from = path.trim_end_matches('/');
        // What is in a directory sorts after its name and a slash; other names may be between the two.
        let inside = format!("{from}/");
        let next = self.files.range::<str, _>((Bound::Included(inside.as_str()), Bound::Unbounded)).next();
        self.files.contains_key(from)
            || next.is_some_and(|(file, _)| file.as_str().starts_with(&inside))
            || self.directories.iter().any(|directory| is_under(directory.as_str(), from))
            || self.holds_etcd_under(from)
    }
}

impl Node {
    /// Unmounts the disk at a directory, with everything on it.
    pub(crate) fn unmount(&mut self, path: &FilePath) {
        let below = |other: &FilePath| is_under(other.as_str(), path.as_str());
        let (files, rest) = take(&mut self.files).into_iter().partition(|(file, _)| below(file));
        self.files = rest;
        let (directories, rest) = take(&mut self.directories).into_iter().partition(below);
        self.directories = rest;
        let (etcd_data, etcd_logs) = self.take_etcd_on(path);
        let (etcd_owners, rest) = take(&mut self.etcd_owners).into_iter().partition(|(file, _)| below(file));
        self.etcd_owners = rest;
        self.unmounted
            .insert(path.clone(), OffDisk { files, directories, etcd_data, etcd_logs, etcd_owners });
    }

    /// Mounts it again; what is in the directory by now is hidden below it.
    pub(crate) fn mount(&mut self, path: &FilePath) {
        let Some(off) = self.unmounted.remove(path) else { return };
        self.unmount(path);
        self.unmounted.remove(path);
        self.files.extend(off.files);
        self.directories.extend(off.directories);
        self.etcd_data.extend(off.etcd_data);
        self.etcd_logs.extend(off.etcd_logs);
        self.etcd_owners.extend(off.etcd_owners);
    }
}

/// Whether a disk is mounted within a directory, and not the directory itself.
fn is_within(disk: &FilePath, directory: &FilePath) -> bool {
    disk != directory && is_under(disk.as_str(), directory.as_str())
}

impl World {
    /// Whether the program that windlass copies to a machine starts there.
    fn runs_windlass(&self, machine: usize) -> PortResult<()> {
        let node = &self.nodes[machine];
        if node.machine.runs_windlass() {
            Ok(())
        } else {
            Err(lasting(format!("{}: exec /windlass: exec format error", node.name)))
        }
    }

    /// Writes files in order, each completely or not at all.
    pub(crate) fn put_files(
        &mut self,
        machine: usize,
        files: &[(FilePath, Arc<FileState>)],
    ) -> PortResult<()> {
        self.runs_windlass(machine)?;
        let node = &mut self.nodes[machine];
        if node.disk == Disk::Full {
            return Err(lasting(format!("{}: no space left on device", node.name)));
        }
        for (path, file) in files {
            // A file cannot replace a directory.
            if node.directories.contains(path) {
                return Err(lasting(format!("{path} is a directory")));
            }
            node.files.insert(path.clone(), file.clone());
        }
        self.crashed_read_again(machine);
        Ok(())
    }

    /// Gives a directory for etcd's data to a user. Docker, which starts containers by itself, does not do so.
    pub(crate) fn hand_over(&mut self, machine: usize, directory: &FilePath, owner: Owner) -> PortResult<()> {
        let node = &mut self.nodes[machine];
        let is_so = node.etcd_owners.get(directory) == Some(&owner);
        if is_so {
            return Err(already(format!("{directory} belongs to {owner}")));
        }
        node.etcd_owners.insert(directory.clone(), owner);
        self.touch();
        Ok(())
    }

    /// Loads modules and changes the kernel's settings.
    pub(crate) fn set_kernel(&mut self, machine: usize, kernel: &DesiredKernel) -> PortResult<()> {
        self.runs_windlass(machine)?;
        let node = &mut self.nodes[machine];
        let set = node.machine.set_kernel(kernel).map_err(|what| lasting(format!("{}: {what}", node.name)));
        self.crashed_read_again(machine);
        self.touch();
        set
    }

    /// Deletes files and directories; a missing one is no error.
    pub(crate) fn remove_paths(&mut self, machine: usize, paths: &BTreeSet<FilePath>) -> PortResult<()> {
        self.runs_windlass(machine)?;
        for path in paths {
            let node = &mut self.nodes[machine];
            // kubelet mounts volumes of pods below its root directory: as long as pods run, it is busy.
            if node.pod_containers
                && node.kubelet_root.as_ref().is_some_and(|root| {
                    is_under(root.as_str(), path.as_str()) || is_under(path.as_str(), &format!("{root}/pods"))
                })
            {
                return Err(lasting(format!("{path}: device or resource busy")));
            }
            let disks: Vec<FilePath> =
                node.disks.iter().filter(|disk| is_within(disk, path)).cloned().collect();
            let goes = |file: &str| {
                is_under(file, path.as_str()) && !disks.iter().any(|disk| is_under(file, disk.as_str()))
            };
            node.files.retain(|file, _| !goes(file.as_str()));
            node.directories.retain(|directory| !goes(directory.as_str()));
            node.delete_etcd(goes);
            node.snapshots.retain(|file, _| !goes(file.as_str()));
            if crate::docker::is_snapshots(path) {
                node.rolling = crate::rolling::Rolling::default();
            }
            node.etcd_owners.retain(|data, _| !is_under(data.as_str(), path.as_str()));
        }
        self.running_make_directories_again(machine);
        self.crashed_read_again(machine);
        self.touch();
        Ok(())
    }

    /// Renames a directory; nothing happens if it does not exist.
    pub(crate) fn move_aside(&mut self, machine: usize, path: &FilePath, to: &FilePath) -> PortResult<()> {
        let node = &mut self.nodes[machine];
        if !node.holds_anything_under(path.as_str()) {
            return Ok(());
        }
        if node.holds_anything_under(to.as_str()) {
            return Err(PortError::Lasting { what: format!("{to} exists") });
        }
        let below = |file: &FilePath| is_under(file.as_str(), path.as_str());
        for file in node.files.keys().filter(|file| below(file)).cloned().collect::<Vec<_>>() {
            if let Some(state) = node.files.remove(&file) {
                node.files.insert(moved(&file, path, to), state);
            }
        }
        for directory in node.directories.iter().filter(|file| below(file)).cloned().collect::<Vec<_>>() {
            node.directories.remove(&directory);
            node.directories.insert(moved(&directory, path, to));
        }
        node.move_etcd(path, to);
        // Docker creates a new one in its place.
        node.etcd_owners.retain(|data, _| !below(data));
        self.running_make_directories_again(machine);
        self.crashed_read_again(machine);
        self.touch();
        Ok(())
    }
}
