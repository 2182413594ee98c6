//! Why a command cannot be carried out at all, and what to do about it.

use std::error::Error;
use std::path::PathBuf;

use windlass_engine::PortError;
use windlass_model::NodeName;
use windlass_simulator::NotAWorld;
use windlass_spec::{Diagnostic, Place, Severity};

use crate::exit::Exit;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// cluster.yml cannot be read from the disk.
    #[error("`{}` cannot be read", path.display())]
    ConfigUnreadable { path: PathBuf, source: std::io::Error },
    /// The file of the simulated machines cannot be read from the disk.
    #[error("the world `{}` cannot be read", path.display())]
    WorldUnreadable { path: PathBuf, source: std::io::Error },
    /// The file of the simulated machines holds something else.
    #[error("`{}` describes no world", path.display())]
    NotAWorld { path: PathBuf, source: NotAWorld },
    /// The new state of the simulated machines cannot be written.
    #[error("the world `{}` cannot be written", path.display())]
    WorldUnwritable { path: PathBuf, source: std::io::Error },
    /// The replay of a plan cannot be written.
    #[error("the replay `{}` cannot be written", path.display())]
    ReplayUnwritable { path: PathBuf, source: std::io::Error },
    /// There is no terminal on which to ask.
    #[error("`windlass {command}` asks first, and there is no terminal to ask on")]
    NobodyToAsk { command: &'static str },
    /// The operator was asked and said no.
    #[error("nothing was done: `windlass {command}` was declined")]
    Declined { command: &'static str },
    /// No reachable node of etcd has a snapshot of this name.
    #[error("no node has a snapshot `{name}`")]
    NoSuchSnapshot { name: String, unreachable: Vec<NodeName> },
    /// cluster.yml names no bucket.
    #[error("cluster.yml names no bucket")]
    NoBucket,
    /// Members have different snapshots of one name in the bucket.
    #[error("the copies of `{name}` of {} in the bucket are not the same", members.join(", "))]
    CopiesDiffer { name: String, members: Vec<String> },
    /// The bucket does not answer, or refuses.
    #[error("the bucket cannot be listed: {why}")]
    BucketSilent { why: String },
    /// Only the bucket has the snapshot, and a plan changes nothing.
    #[error("no node has a snapshot `{name}`, the bucket has it")]
    OnlyInBucket { name: String },
    /// No file of this name can be used.
    #[error("the snapshot `{name}` cannot be used: {}", damage.join("; "))]
    SnapshotDamaged { name: String, damage: Vec<String> },
    /// A trial did not come to its end.
    #[error("`{name}` could not be restored for a trial: {why}")]
    NotRehearsed { name: String, why: String },
    /// Files of one name are different snapshots.
    #[error("the snapshots `{name}` on {} are not the same", windlass_model::row_of(nodes, 4))]
    SnapshotsDiffer { name: String, nodes: Vec<NodeName> },
    /// The etcd is none of windlass'.
    #[error("the cluster uses an etcd that windlass does not run")]
    ExternalEtcd,
    /// There is no ledger, and so no key to etcd.
    #[error("this cluster has no ledger yet, and so no etcd to ask")]
    NoLedger,
    /// etcd has a majority.
    #[error("etcd has a majority: there is nothing to recover from")]
    NothingToRecover,
    /// No member of etcd answers.
    #[error("no member of etcd answers, so none can go on")]
    NoSurvivor { silent: Vec<String> },
    /// Members that answer are of different clusters.
    #[error("the members that answer are of different clusters of etcd: {}", members.join(", "))]
    SurvivorsOfTwoClusters { members: Vec<String> },
    /// The member that goes on gave no usable snapshot.
    #[error("the member on {node} gives no snapshot: {why}")]
    NoSnapshotOfSurvivor { node: NodeName, why: String },
    /// The program cannot find its own file, and so cannot copy itself to nodes.
    #[error("this program cannot be found on the disk")]
    OwnProgram { source: std::io::Error },
    /// There is no directory for the sockets of connections.
    #[error("no private directory for connections can be made")]
    NoRoom { source: std::io::Error },
    /// Another run changes this cluster now.
    #[error("another windlass works on this cluster: {holder}")]
    Locked { path: PathBuf, holder: String },
    /// A run on another machine changes this cluster now.
    #[error("another windlass works on this cluster: {holder}")]
    Taken { node: NodeName, holder: String },
    /// The lock file cannot be written.
    #[error("the lock `{}` cannot be taken", path.display())]
    LockUnwritable { path: PathBuf, source: std::io::Error },
    /// The operator's kubeconfig cannot be written; the cluster is as was reported.
    #[error("`{}` cannot be written", path.display())]
    KubeconfigUnwritable { path: PathBuf, source: std::io::Error },
    /// The ledger, or something that a look requires, failed.
    #[error("the state of the cluster cannot be read")]
    Look { source: PortError },
    /// The new cluster.yml cannot be written.
    #[error("`{}` cannot be written", path.display())]
    ConfigUnwritable { path: PathBuf, source: std::io::Error },
    /// The answers to `windlass config` ended too early.
    #[error("not all questions were answered")]
    NoAnswer { source: std::io::Error },
    /// The text given as a version is none.
    #[error("there is no such version")]
    NotAVersion { source: windlass_model::NotAVersion, near: Option<String> },
    /// The images of this version are not known.
    #[error("no images are known for {version}")]
    UnknownVersion { version: String, near: Option<String> },
    /// The program cannot listen for signals.
    #[error("signals cannot be listened for")]
    Signals { source: std::io::Error },
}

impl CommandError {
    /// The exit of the program for this error.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::ConfigUnreadable { .. }
            | Self::WorldUnreadable { .. }
            | Self::NotAWorld { .. }
            | Self::NoAnswer { .. }
            | Self::NotAVersion { .. }
            | Self::UnknownVersion { .. }
            | Self::NobodyToAsk { .. } => Exit::BadInput,
            Self::WorldUnwritable { .. }
            | Self::ReplayUnwritable { .. }
            | Self::ConfigUnwritable { .. }
            | Self::Declined { .. }
            | Self::NoSuchSnapshot { .. }
            | Self::NoBucket
            | Self::CopiesDiffer { .. }
            | Self::BucketSilent { .. }
            | Self::OnlyInBucket { .. }
            | Self::SnapshotDamaged { .. }
            | Self::NotRehearsed { .. }
            | Self::SnapshotsDiffer { .. }
            | Self::ExternalEtcd
            | Self::NothingToRecover
            | Self::NoSurvivor { .. }
            | Self::SurvivorsOfTwoClusters { .. }
            | Self::NoSnapshotOfSurvivor { .. }
            | Self::NoLedger
            | Self::OwnProgram { .. }
            | Self::NoRoom { .. }
            | Self::KubeconfigUnwritable { .. }
            | Self::Locked { .. }
            | Self::Taken { .. }
            | Self::LockUnwritable { .. }
            | Self::Look { .. }
            | Self::Signals { .. } => Exit::Failed,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::ConfigUnreadable { .. } => "name the file with `--config`; cluster.example.yml shows one",
            Self::NotAWorld { source: NotAWorld::UnknownFormat(_), .. } => {
                "a newer windlass wrote it: use that version or a later one"
            }
            Self::WorldUnreadable { .. } | Self::NotAWorld { .. } => {
                "the smallest world is the line `bare: 3`: three machines with Docker and nothing else"
            }
            Self::Locked { path, .. } => {
                return Some(format!(
                    "wait until it ends, or end that process; the lock `{}` goes with it. `windlass plan` needs no lock",
                    path.display()
                ));
            }
            Self::Taken { node, .. } => {
                return Some(format!(
                    "wait until it ends, or end that process: its lease on {node} goes with it, a minute after its machine at \
                     the latest. `docker rm -f windlass-operator` on {node} ends the lease at once, and that run with it. \
                     `windlass plan` needs no lease"
                ));
            }
            Self::LockUnwritable { .. } => {
                "make the directory of cluster.yml writable: the ledger goes there too"
            }
            Self::NobodyToAsk { command: "remove" } => "say `--force` to remove without being asked",
            Self::NobodyToAsk { command: "etcd recover" } => "say `--yes` to recover without being asked",
            Self::NobodyToAsk { .. } => "say `--yes` to restore without being asked",
            Self::NoSuchSnapshot { .. }
            | Self::NoBucket
            | Self::CopiesDiffer { .. }
            | Self::BucketSilent { .. }
            | Self::OnlyInBucket { .. }
            | Self::SnapshotDamaged { .. }
            | Self::NotRehearsed { .. }
            | Self::SnapshotsDiffer { .. } => return self.help_on_snapshots(),
            Self::ExternalEtcd => "look after it by its own tools",
            Self::NothingToRecover => "`windlass up` repairs the members that are down",
            Self::NoSurvivor { silent } => {
                return Some(format!(
                    "`windlass up` starts those that have their data; without any, `windlass etcd snapshot restore`. Asked: {}",
                    silent.join("; ")
                ));
            }
            Self::SurvivorsOfTwoClusters { .. } => {
                "stop those that are not of this cluster; windlass never chooses between clusters"
            }
            Self::NoSnapshotOfSurvivor { .. } => {
                "nothing was stopped: make room on that node, or restore another snapshot"
            }
            Self::NoLedger => "`windlass up` creates the cluster, or brings its ledger back from a node",
            Self::NoRoom { .. } => "make `$XDG_RUNTIME_DIR` or the temporary directory writable",
            Self::KubeconfigUnwritable { .. } => {
                "the cluster itself is done with: make the file writable and run `windlass up` again"
            }
            Self::Look { .. } => {
                "nothing was changed; if the ledger file is damaged, move it away: it is \
                                  brought back from a control-plane node"
            }
            Self::ConfigUnwritable { .. } => {
                "a file that is there is never written over: name another with `--name`, or say `--print`"
            }
            Self::NoAnswer { .. } => "answer on the standard input, a line for each question",
            Self::NotAVersion { near: Some(near), .. } => {
                return Some(format!("put a `v` before it: `{near}`"));
            }
            Self::UnknownVersion { near: Some(near), .. } => return Some(format!("did you mean `{near}`?")),
            Self::NotAVersion { .. } | Self::UnknownVersion { .. } => {
                "`windlass config --list-version --all` prints those that are known"
            }
            Self::WorldUnwritable { .. }
            | Self::ReplayUnwritable { .. }
            | Self::Declined { .. }
            | Self::Signals { .. }
            | Self::OwnProgram { .. } => return None,
        };
        Some(help.to_owned())
    }

    fn help_on_snapshots(&self) -> Option<String> {
        let help = match self {
            Self::NoSuchSnapshot { unreachable, .. } if !unreachable.is_empty() => {
                return Some(format!(
                    "it may be on {}, which did not answer",
                    windlass_model::row_of(unreachable, 4)
                ));
            }
            Self::NoSuchSnapshot { .. } => "`windlass etcd snapshot list` shows those that are there",
            Self::CopiesDiffer { name, members } => {
                let member = members.first().map_or("NAME", String::as_str);
                return Some(format!("choose one: `windlass etcd snapshot fetch {name} --member {member}`"));
            }
            Self::NoBucket => "name one in `services.etcd.backup_config.s3backupconfig`",
            Self::BucketSilent { .. } => {
                "its address, keys and CA are in `services.etcd.backup_config.s3backupconfig`"
            }
            Self::OnlyInBucket { name } => {
                return Some(format!("`windlass etcd snapshot fetch {name}` brings it to a node"));
            }
            Self::SnapshotDamaged { .. } => {
                "nothing was stopped or changed: choose another one of `windlass etcd snapshot list`"
            }
            Self::NotRehearsed { .. } => {
                "the cluster did not notice it, and the next run removes what may be left of it; `--node NODE` tries another node"
            }
            Self::SnapshotsDiffer { .. } => "choose one with `--node NODE`",
            _ => return None,
        };
        Some(help.to_owned())
    }

    /// The same as a diagnostic without a place, with causes as notes.
    pub(crate) fn diagnostic(&self) -> Diagnostic {
        let mut notes = Vec::new();
        let mut cause = match self {
            // It says no more than this does.
            Self::NotAWorld { source: source @ NotAWorld::Unreadable(_), .. } => source.source(),
            other => other.source(),
        };
        while let Some(error) = cause {
            let text = error.to_string();
            if notes.last() != Some(&text) && self.to_string() != text {
                notes.push(text);
            }
            cause = error.source();
        }
        Diagnostic {
            severity: Severity::Error,
            summary: self.to_string(),
            place: Place::default(),
            label: String::new(),
            notes,
            help: self.help(),
        }
    }
}
