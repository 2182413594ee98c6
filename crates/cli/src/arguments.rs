//! The command line: every command and option, with the texts that `--help` shows.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};
use windlass_model::{CertSelector, Component, Snapshots};

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
    pub(crate) no_color: bool,
    /// Print only the result.
    #[arg(short, long)]
    pub(crate) quiet: bool,
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
    /// Ctrl-C finishes the running steps, a second Ctrl-C leaves at once.
    #[command(after_long_help = "\
Examples:
  windlass up
  windlass up --config prod/cluster.yml
  windlass up --quiet                            print only the result")]
    Up(UpArguments),
    /// Remove the cluster from all its nodes.
    ///
    /// It deletes containers, files, and the data of etcd and of pods. It keeps pulled images and snapshots of etcd.
    /// With `network.plugin: none`, it also keeps your files in /etc/cni and /opt/cni.
    #[command(after_long_help = "\
Examples:
  windlass remove                                asks first
  windlass remove --force                        does not ask
  windlass remove --force --delete-snapshots     deletes the snapshots of etcd too")]
    Remove(RemoveArguments),
    /// Reissue certificates, and restart what reads them.
    ///
    /// Without `--service` it reissues all certificates that components present. It keeps the CAs and the key that
    /// signs service-account tokens.
    #[command(after_long_help = "\
Examples:
  windlass cert-rotate
  windlass cert-rotate --service kubelet --service kube-proxy")]
    CertRotate(CertRotateArguments),
}

impl Command {
    /// The word for it on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Plan(_) => "plan",
            Self::Up(_) => "up",
            Self::Remove(_) => "remove",
            Self::CertRotate(_) => "cert-rotate",
        }
    }

    /// The options that every command has.
    pub(crate) fn common(&self) -> &CommonArguments {
        match self {
            Self::Plan(PlanArguments { common, .. })
            | Self::Up(UpArguments { common })
            | Self::Remove(RemoveArguments { common, .. })
            | Self::CertRotate(CertRotateArguments { common, .. }) => common,
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
    /// Work on the simulated machines of this file; all commands but `plan` write their new state back to it.
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
    pub(crate) no_color: bool,
    /// Print only the result.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print every step on a line of its own, with all reasons.
    #[arg(short, long, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
}

/// `windlass plan`
#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) common: CommonArguments,
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
