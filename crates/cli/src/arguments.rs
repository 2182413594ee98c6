//! The command line: every command and option, with the texts that `--help` shows.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};
use windlass_model::{CertSelector, Component, NodeName, Snapshots};
use windlass_render::{Detail, Paint};

/// Turns Linux hosts that have only sshd and Docker into a highly available Kubernetes cluster.
///
/// It compares cluster.yml, which is in the format of RKE 1, with the hosts, shows the difference as a plan, and
/// applies the plan.
#[derive(Debug, Parser)]
#[command(
    name = "windlass",
    version,
    term_width = 100,
    subcommand_required = true,
    arg_required_else_help = false,
    after_long_help = "\
Examples:
  windlass plan                                  show what `windlass up` would do
  windlass up                                    make the cluster match cluster.yml
  windlass plan --simulate world.yml             plan for machines that exist only in a file

Exit codes: 0 done or nothing to do, 1 failed or refused, 2 changes (`plan --detailed-exitcode`),
3 done but something is held, 64 wrong input."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) task: Task,
}

/// What is to be done, on machines or with the file alone.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    #[command(flatten)]
    Cluster(Command),
    #[command(flatten)]
    File(FileCommand),
}

/// What concerns cluster.yml alone.
#[derive(Debug, Subcommand)]
pub(crate) enum FileCommand {
    /// Report everything that is wrong or doubtful in cluster.yml; contact no machine.
    #[command(after_long_help = "\
Examples:
  windlass validate
  windlass validate --strict                     for CI: unknown keys are errors
  windlass validate --output json                for editors: every problem with its lines and columns")]
    Validate(ValidateArguments),
    /// Ask for the settings of a cluster, and write cluster.yml.
    ///
    /// It asks what `rke config` asked, in the same order, and never overwrites a file.
    #[command(after_long_help = "\
Examples:
  windlass config                                asks, and writes cluster.yml
  windlass config --print                        asks, and prints to the standard output
  windlass config --empty --name new.yml         asks nothing: writes every key, commented
  windlass config --list-version --all           list the known versions of Kubernetes
  windlass config --system-images --version v1.30.5-rancher1-1")]
    Config(ConfigArguments),
    /// Print the JSON Schema of cluster.yml, for editors and other programs.
    #[command(after_long_help = "\
Examples:
  windlass schema > cluster.schema.json
  # and as the first line of cluster.yml:
  # yaml-language-server: $schema=cluster.schema.json")]
    Schema,
}

/// `windlass validate`
#[derive(Debug, Args)]
pub(crate) struct ValidateArguments {
    /// cluster.yml, in the format of RKE 1.
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "WINDLASS_CONFIG",
        hide_env_values = true,
        default_value = "cluster.yml"
    )]
    pub(crate) config: PathBuf,
    /// Treat unknown keys as errors.
    #[arg(long)]
    pub(crate) strict: bool,
    /// The output format.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Output,
    /// Disable colours, even on a terminal; the environment variable `NO_COLOR` does too.
    #[arg(long)]
    no_color: bool,
    /// Print only the result.
    #[arg(short, long)]
    quiet: bool,
}

impl ValidateArguments {
    /// How much is printed.
    pub(crate) fn detail(&self) -> Detail {
        if self.quiet { Detail::Counts } else { Detail::Folded }
    }

    /// How it may be coloured.
    pub(crate) fn paint(&self) -> Paint {
        if self.no_color { Paint::Plain } else { Paint::Colours }
    }
}

/// `windlass config`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent option, as `rke config` had it")]
pub(crate) struct ConfigArguments {
    /// The file to write; it must not exist.
    #[arg(short, long, value_name = "FILE", default_value = "cluster.yml")]
    pub(crate) name: PathBuf,
    /// Ask nothing: write every key, commented, with its default and meaning.
    #[arg(short, long)]
    pub(crate) empty: bool,
    /// Print to the standard output, not to a file.
    #[arg(short, long)]
    pub(crate) print: bool,
    /// Print the version of Kubernetes that is used if cluster.yml names none.
    #[arg(short, long, conflicts_with_all = ["empty", "print", "system_images"])]
    pub(crate) list_version: bool,
    /// Print the images of a version, one on each line.
    #[arg(short, long, conflicts_with_all = ["empty", "print"])]
    pub(crate) system_images: bool,
    /// With `--list-version` or `--system-images`: print all known versions.
    #[arg(short, long)]
    pub(crate) all: bool,
    /// The version of Kubernetes.
    #[arg(long = "version", value_name = "VERSION")]
    pub(crate) kubernetes: Option<String>,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what `up` would do; change nothing.
    #[command(after_long_help = "\
Examples:
  windlass plan
  windlass plan --detailed-exitcode --quiet      for CI: exit code 2 if there are changes
  windlass plan --output json                    for programs
  windlass plan --graph dot | dot -Tsvg          draw the order and its reasons")]
    Plan(PlanArguments),
    /// Make the cluster match cluster.yml.
    ///
    /// It looks, plans and acts until there is nothing left to do. It may be interrupted at any moment and run again:
    /// Ctrl-C finishes the running steps, as does the loss of the terminal; a second Ctrl-C leaves at once.
    #[command(after_long_help = "\
Examples:
  windlass up
  windlass up --config prod/cluster.yml
  windlass up --quiet                            print only the result
  windlass up --gone node-5                      forget a machine that left cluster.yml and will not come back")]
    Up(UpArguments),
    /// Remove the cluster from all its nodes.
    ///
    /// It deletes containers, files, and the data of etcd and of pods. It keeps pulled images and snapshots of etcd.
    /// With `network.plugin: none`, it also keeps your files in /etc/cni and /opt/cni.
    #[command(after_long_help = "\
Examples:
  windlass remove --plan                         show what it would do, and why; change nothing
  windlass remove                                asks first
  windlass remove --force                        does not ask
  windlass remove --force --delete-snapshots     deletes the snapshots of etcd too
  windlass remove --gone node-5                  does not wait for a machine that will not come back")]
    Remove(RemoveArguments),
    /// Reissue certificates, and restart what reads them.
    ///
    /// Without `--service` it reissues all certificates that components present. It keeps the CAs and the key that
    /// signs service-account tokens.
    #[command(after_long_help = "\
Examples:
  windlass cert-rotate --plan                    show what it would do, and why; change nothing
  windlass cert-rotate
  windlass cert-rotate --service kubelet --service kube-proxy")]
    CertRotate(CertRotateArguments),
    /// Look after etcd: its state, its snapshots, and its members.
    #[command(after_long_help = "\
Examples:
  windlass etcd status                           exit code 1 if anything is wrong
  windlass etcd snapshot save before-upgrade
  windlass etcd snapshot list --output json
  windlass etcd snapshot restore before-upgrade --plan
  windlass etcd snapshot restore before-upgrade")]
    Etcd(EtcdArguments),
}

/// `windlass etcd`
#[derive(Debug, Args)]
pub(crate) struct EtcdArguments {
    #[command(subcommand)]
    pub(crate) command: EtcdCommand,
}

/// What is done with etcd.
#[derive(Debug, Subcommand)]
pub(crate) enum EtcdCommand {
    /// Show each member, its latency, and its newest snapshot; change nothing.
    ///
    /// It exits with 1 if anything is wrong or could not be asked: a member that does not work, no majority, an alarm,
    /// a database that is nearly full, an expired certificate, or a snapshot that is overdue, fails or is damaged.
    #[command(after_long_help = "\
Examples:
  windlass etcd status
  windlass etcd status --quiet                   only what is wrong; for monitoring
  windlass etcd status --output json             for programs")]
    Status(EtcdStatusArguments),
    /// Give back the free pages of all databases, one member at a time, the leader last.
    ///
    /// A member answers nobody while its database is rewritten, so nothing begins unless all members are healthy. The
    /// leader hands over first.
    Defrag(EtcdDefragArguments),
    /// Make the member on a node the leader.
    MoveLeader(EtcdMoveLeaderArguments),
    /// Lift NOSPACE alarms, after compaction and defragmentation have made room.
    ///
    /// It deletes old revisions from all databases, defragments them one at a time, and lifts the alarms if there is room
    /// then. It never lifts CORRUPT: members hold different data.
    Disarm(EtcdDisarmArguments),
    /// Let etcd go on from the most advanced member that is left, when its majority is gone for good.
    ///
    /// It shows how far each member that answers has come, takes a snapshot of the most advanced, and makes that the only
    /// member of a new cluster, as `snapshot restore` does; all other data that can be reached is moved aside. `windlass up`
    /// then adds members as cluster.yml says. It refuses while a majority may come back. If it is interrupted, run it again.
    #[command(after_long_help = "\
Examples:
  windlass etcd recover --gone node-2 --gone node-3 --plan
  windlass etcd recover --gone node-2 --gone node-3")]
    Recover(EtcdRecoverArguments),
    /// Snapshots of etcd, on its nodes.
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
}

/// `windlass etcd recover`
#[derive(Debug, Args)]
pub(crate) struct EtcdRecoverArguments {
    #[command(flatten)]
    common: CommonArguments,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Do not ask for confirmation.
    #[arg(short, long, conflicts_with = "plan")]
    pub(crate) yes: bool,
    /// This machine is gone for good, and its member can never start again; may be given several times.
    #[arg(long, value_name = "NODE")]
    pub(crate) gone: Vec<String>,
    /// Give up the member on this node, which can be reached and has data; may be given several times.
    #[arg(long, value_name = "NODE")]
    pub(crate) abandon: Vec<String>,
}

/// `windlass etcd status`
#[derive(Debug, Args)]
pub(crate) struct EtcdStatusArguments {
    #[command(flatten)]
    common: CommonArguments,
}

/// `windlass etcd defrag`
#[derive(Debug, Args)]
pub(crate) struct EtcdDefragArguments {
    #[command(flatten)]
    common: CommonArguments,
    /// Show how much room it would give, and do nothing.
    #[arg(long)]
    pub(crate) plan: bool,
}

/// `windlass etcd move-leader`
#[derive(Debug, Args)]
pub(crate) struct EtcdMoveLeaderArguments {
    #[command(flatten)]
    common: CommonArguments,
    /// The node whose member is to lead.
    pub(crate) node: String,
}

/// `windlass etcd disarm`
#[derive(Debug, Args)]
pub(crate) struct EtcdDisarmArguments {
    #[command(flatten)]
    common: CommonArguments,
}

impl EtcdCommand {
    fn name(&self) -> &'static str {
        match self {
            Self::Status(_) => "etcd status",
            Self::Defrag(_) => "etcd defrag",
            Self::MoveLeader(_) => "etcd move-leader",
            Self::Disarm(_) => "etcd disarm",
            Self::Recover(_) => "etcd recover",
            Self::Snapshot(snapshot) => snapshot.name(),
        }
    }

    fn common(&self) -> &CommonArguments {
        match self {
            Self::Status(EtcdStatusArguments { common })
            | Self::Defrag(EtcdDefragArguments { common, .. })
            | Self::MoveLeader(EtcdMoveLeaderArguments { common, .. })
            | Self::Recover(EtcdRecoverArguments { common, .. })
            | Self::Disarm(EtcdDisarmArguments { common }) => common,
            Self::Snapshot(snapshot) => snapshot.common(),
        }
    }

    /// Whether it changes anything on a node.
    pub(crate) fn changes(&self) -> bool {
        match self {
            Self::Status(_) => false,
            Self::Defrag(defrag) => !defrag.plan,
            Self::Recover(recover) => !recover.plan,
            Self::MoveLeader(_) | Self::Disarm(_) => true,
            Self::Snapshot(snapshot) => snapshot.changes(),
        }
    }

    /// Whether it brings up the cluster afterwards, with the objects in it.
    pub(crate) fn goes_on_with_the_cluster(&self) -> bool {
        match self {
            Self::Recover(_) | Self::Snapshot(SnapshotCommand::Restore(_)) => true,
            Self::Status(_) | Self::Defrag(_) | Self::MoveLeader(_) | Self::Disarm(_) | Self::Snapshot(_) => {
                false
            }
        }
    }

    /// Whether it asks before it does anything.
    pub(crate) fn asks_first(&self) -> bool {
        match self {
            Self::Snapshot(SnapshotCommand::Restore(restore)) => !restore.yes && !restore.plan,
            Self::Recover(recover) => !recover.yes && !recover.plan,
            Self::Status(_) | Self::Defrag(_) | Self::MoveLeader(_) | Self::Disarm(_) | Self::Snapshot(_) => {
                false
            }
        }
    }
}

/// What is done with snapshots.
#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// List the snapshots on all nodes of etcd.
    List(SnapshotListArguments),
    /// Take a snapshot of the first member of etcd that gives one, and read it back.
    Save(SnapshotSaveArguments),
    /// Read a snapshot back: its digest, and every page of the database in it.
    Verify(SnapshotArguments),
    /// Restore a snapshot for a trial, into an etcd that nothing else reaches, and ask it what it holds.
    ///
    /// It runs on the node that has the file, in a network of its own, with the image of that node's etcd. It says how long
    /// that took, compares revision and keys with what was read back, and leaves nothing. The cluster does not notice it.
    Rehearse(SnapshotRehearseArguments),
    /// Delete a snapshot.
    Delete(SnapshotDeleteArguments),
    /// Bring a snapshot from the bucket of cluster.yml to a node of etcd, and read it back there.
    Fetch(SnapshotFetchArguments),
    /// Bring etcd back to a snapshot, on all members at once.
    ///
    /// It checks the snapshot and copies it to all nodes of etcd before it stops anything. Then it stops the API servers
    /// and etcd, moves etcd's data aside, makes new data of the snapshot, and brings the cluster up as cluster.yml says.
    /// What was written after the snapshot is not there any more. If it is interrupted, run it again.
    Restore(SnapshotRestoreArguments),
}

/// `windlass etcd snapshot rehearse`
#[derive(Debug, Args)]
pub(crate) struct SnapshotRehearseArguments {
    #[command(flatten)]
    pub(crate) which: SnapshotArguments,
    /// Start an API server on the restored etcd, too, and have it read all Secrets: with the keys that encrypt them.
    #[arg(long)]
    pub(crate) api_server: bool,
}

/// `windlass etcd snapshot list`
#[derive(Debug, Args)]
pub(crate) struct SnapshotListArguments {
    #[command(flatten)]
    common: CommonArguments,
}

/// `windlass etcd snapshot save`
#[derive(Debug, Args)]
pub(crate) struct SnapshotSaveArguments {
    #[command(flatten)]
    common: CommonArguments,
    /// The name; without one, the time.
    pub(crate) name: Option<String>,
    /// Take it of the member on this node.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Copy it into the bucket of cluster.yml, too.
    #[arg(long)]
    pub(crate) s3: bool,
}

/// `windlass etcd snapshot delete`
#[derive(Debug, Args)]
pub(crate) struct SnapshotDeleteArguments {
    #[command(flatten)]
    pub(crate) which: SnapshotArguments,
    /// Delete it in the bucket of cluster.yml, and leave the files on nodes.
    #[arg(long, conflicts_with = "node")]
    pub(crate) s3: bool,
}

/// `windlass etcd snapshot fetch`
#[derive(Debug, Args)]
pub(crate) struct SnapshotFetchArguments {
    #[command(flatten)]
    pub(crate) which: SnapshotArguments,
    /// The copy of this member, such as `etcd-node-1`, where several have one of this name.
    #[arg(long, value_name = "MEMBER")]
    pub(crate) member: Option<String>,
}

/// `windlass etcd snapshot verify`
#[derive(Debug, Args)]
pub(crate) struct SnapshotArguments {
    #[command(flatten)]
    common: CommonArguments,
    /// The name, as `list` shows it; `.db` may be left out.
    pub(crate) name: String,
    /// Only the file on this node.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
}

/// `windlass etcd snapshot restore`
#[derive(Debug, Args)]
pub(crate) struct SnapshotRestoreArguments {
    #[command(flatten)]
    pub(crate) which: SnapshotArguments,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Do not ask for confirmation.
    #[arg(short, long, visible_alias = "force", conflicts_with = "plan")]
    pub(crate) yes: bool,
    /// This former node of etcd is gone for good, and its member can never start again; may be given several times.
    #[arg(long, value_name = "NODE")]
    pub(crate) gone: Vec<String>,
    /// Use a snapshot of which nothing says from which cluster it is.
    #[arg(long)]
    pub(crate) of_this_cluster: bool,
}

impl SnapshotCommand {
    fn name(&self) -> &'static str {
        match self {
            Self::List(_) => "etcd snapshot list",
            Self::Save(_) => "etcd snapshot save",
            Self::Verify(_) => "etcd snapshot verify",
            Self::Rehearse(_) => "etcd snapshot rehearse",
            Self::Delete(_) => "etcd snapshot delete",
            Self::Fetch(_) => "etcd snapshot fetch",
            Self::Restore(_) => "etcd snapshot restore",
        }
    }

    fn common(&self) -> &CommonArguments {
        match self {
            Self::List(SnapshotListArguments { common })
            | Self::Save(SnapshotSaveArguments { common, .. })
            | Self::Verify(SnapshotArguments { common, .. })
            | Self::Rehearse(SnapshotRehearseArguments { which: SnapshotArguments { common, .. }, .. })
            | Self::Delete(SnapshotDeleteArguments { which: SnapshotArguments { common, .. }, .. })
            | Self::Fetch(SnapshotFetchArguments { which: SnapshotArguments { common, .. }, .. })
            | Self::Restore(SnapshotRestoreArguments { which: SnapshotArguments { common, .. }, .. }) => {
                common
            }
        }
    }

    /// Whether it changes anything on a node.
    pub(crate) fn changes(&self) -> bool {
        match self {
            Self::List(_) | Self::Verify(_) => false,
            Self::Restore(restore) => !restore.plan,
            Self::Save(_) | Self::Delete(_) | Self::Fetch(_) | Self::Rehearse(_) => true,
        }
    }
}

impl Command {
    /// The word for it on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Plan(_) => "plan",
            Self::Up(_) => "up",
            Self::Remove(_) => "remove",
            Self::CertRotate(_) => "cert-rotate",
            Self::Etcd(etcd) => etcd.command.name(),
        }
    }

    /// The options that every command has.
    pub(crate) fn common(&self) -> &CommonArguments {
        match self {
            Self::Plan(PlanArguments { common, .. })
            | Self::Up(UpArguments { common, .. })
            | Self::Remove(RemoveArguments { common, .. })
            | Self::CertRotate(CertRotateArguments { common, .. }) => common,
            Self::Etcd(etcd) => etcd.command.common(),
        }
    }
}

/// The options that every command has.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct CommonArguments {
    /// cluster.yml, in the format of RKE 1.
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "WINDLASS_CONFIG",
        hide_env_values = true,
        default_value = "cluster.yml"
    )]
    pub(crate) config: PathBuf,
    /// Work on the simulated machines of this file; every command that changes them writes their new state back to it.
    #[arg(long, value_name = "WORLD")]
    pub(crate) simulate: Option<PathBuf>,
    /// Connect only to hosts whose keys are known. Without this option, a new host's key is recorded; a changed key
    /// is refused in both cases.
    #[arg(long)]
    pub(crate) ssh_strict: bool,
    /// The file of known host keys, instead of ssh's own.
    #[arg(long, value_name = "FILE", env = "WINDLASS_SSH_KNOWN_HOSTS", hide_env_values = true)]
    pub(crate) ssh_known_hosts: Option<PathBuf>,
    /// The output format.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Output,
    /// Print at the end how many SSH connections, Docker calls and probes were made, and the peak memory of windlass
    /// itself.
    #[arg(long)]
    pub(crate) stats: bool,
    /// Disable colours, even on a terminal; the environment variable `NO_COLOR` does too.
    #[arg(long)]
    no_color: bool,
    /// Print only the result.
    #[arg(short, long)]
    quiet: bool,
    /// Print every step on a line of its own, with all reasons.
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
}

impl CommonArguments {
    /// How much of a plan is printed.
    pub(crate) fn detail(&self) -> Detail {
        match (self.quiet, self.verbose) {
            (true, _) => Detail::Counts,
            (false, true) => Detail::Everything,
            (false, false) => Detail::Folded,
        }
    }

    /// How it may be coloured.
    pub(crate) fn paint(&self) -> Paint {
        if self.no_color { Paint::Plain } else { Paint::Colours }
    }
}

/// `windlass plan`
#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) common: CommonArguments,
    #[command(flatten)]
    pub(crate) gone: GoneArguments,
    /// Exit with 2 if there are changes.
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
    /// Print the plan as a graph, in this language.
    #[arg(long, value_name = "LANGUAGE", conflicts_with = "output")]
    pub(crate) graph: Option<Graph>,
    /// Write what the plan was made from to this file, for a bug report: the desired state and what was seen, without
    /// keys, passwords and values of environment variables.
    #[arg(long, value_name = "FILE")]
    pub(crate) save_replay: Option<PathBuf>,
}

/// `windlass up`
#[derive(Debug, Args)]
pub(crate) struct UpArguments {
    #[command(flatten)]
    pub(crate) common: CommonArguments,
    #[command(flatten)]
    pub(crate) gone: GoneArguments,
}

/// Nodes that will never come back.
#[derive(Debug, Args)]
pub(crate) struct GoneArguments {
    /// This node is gone for good: it is forgotten instead of cleared, and not waited for; may be given several times.
    #[arg(long = "gone", value_name = "NODE")]
    nodes: Vec<String>,
}

impl GoneArguments {
    /// Their names.
    pub(crate) fn names(&self) -> BTreeSet<NodeName> {
        self.nodes.iter().map(|name| NodeName::from(name.as_str())).collect()
    }
}

/// `windlass remove`
#[derive(Debug, Args)]
pub(crate) struct RemoveArguments {
    #[command(flatten)]
    pub(crate) common: CommonArguments,
    /// Do not ask for confirmation.
    #[arg(long)]
    pub(crate) force: bool,
    /// Show what would be done, and do nothing.
    #[arg(long, conflicts_with = "force")]
    pub(crate) plan: bool,
    /// Delete the snapshots of etcd on the nodes too.
    #[arg(long)]
    delete_snapshots: bool,
    #[command(flatten)]
    pub(crate) gone: GoneArguments,
}

impl RemoveArguments {
    /// What becomes of the snapshots of etcd.
    pub(crate) fn snapshots(&self) -> Snapshots {
        if self.delete_snapshots { Snapshots::Delete } else { Snapshots::Keep }
    }
}

/// `windlass cert-rotate`
#[derive(Debug, Args)]
pub(crate) struct CertRotateArguments {
    #[command(flatten)]
    pub(crate) common: CommonArguments,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Reissue only the certificates of this component; may be given several times.
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    service: Vec<Service>,
    /// Reissue the certificates of all components; this is also the default.
    #[arg(long)]
    all: bool,
}

impl CertRotateArguments {
    /// The certificates to reissue.
    pub(crate) fn selector(&self) -> CertSelector {
        if self.service.is_empty() {
            CertSelector::All
        } else {
            CertSelector::Services(self.service.iter().map(|service| service.0).collect::<BTreeSet<_>>())
        }
    }
}

/// The format of the standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Text for people.
    Text,
    /// One document for programs; see docs/reference/json-output.md.
    Json,
}

/// A language of graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Graph {
    /// Graphviz.
    Dot,
    /// Mermaid.
    Mermaid,
}

/// A component that presents certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Service(Component);

impl ValueEnum for Service {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self(Component::Etcd),
            Self(Component::Kubelet),
            Self(Component::KubeApiserver),
            Self(Component::KubeProxy),
            Self(Component::KubeScheduler),
            Self(Component::KubeControllerManager),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
