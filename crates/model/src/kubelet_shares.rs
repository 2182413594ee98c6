//! How kubelet divides the processors and the memory of its node, as far as its state files record it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::container::{ContainerSpec, clean};
use crate::names::FilePath;

/// The files in which kubelet keeps what it has divided, in its root directory.
///
/// Sources: `cpuManagerStateFileName` in `pkg/kubelet/cm/cpumanager/cpu_manager.go`, `memoryManagerStateFileName` in
/// `pkg/kubelet/cm/memorymanager/memory_manager.go` of kubernetes/kubernetes.
pub const KUBELET_STATE_FILES: [&str; 2] = ["cpu_manager_state", "memory_manager_state"];

/// The directories that kubelet has in its root directory.
pub const KUBELETS_OWN: [&str; 8] = [
    "pods",
    "plugins",
    "plugins_registry",
    "device-plugins",
    "pod-resources",
    "checkpoints",
    "usernamespaces",
    "pki",
];

/// The root directory of a kubelet with these arguments: it has the same path on its node.
pub fn kubelet_root(spec: &ContainerSpec) -> FilePath {
    let root = spec.flag("root-dir").filter(|root| !root.is_empty()).unwrap_or("/var/lib/kubelet");
    FilePath::from(clean(root))
}

/// The flags by which kubelet divides processors and memory, with their values; empty where it divides nothing.
///
/// Kubelet exits where a state file was written under others: "please drain this node and delete the CPU manager checkpoint
/// file". The policy of topology is not among them: no file records it.
///
/// Sources: `restoreState` in `pkg/kubelet/cm/cpumanager/state/state_checkpoint.go`, `validateState` of the static policies in
/// `pkg/kubelet/cm/cpumanager` and `pkg/kubelet/cm/memorymanager` of kubernetes/kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KubeletShares(BTreeMap<Arc<str>, Arc<str>>);

impl KubeletShares {
    /// The shares of a kubelet with these arguments.
    pub fn of(spec: &ContainerSpec) -> Self {
        let mut flags = BTreeMap::new();
        let mut note = |flag: &str, value: &str| {
            if !value.is_empty() {
                flags.insert(Arc::from(flag), Arc::from(value));
            }
        };
        if let Some(policy) = spec.flag("cpu-manager-policy").filter(|policy| !["", "none"].contains(policy))
        {
            note("cpu-manager-policy", policy);
            for flag in ["kube-reserved", "system-reserved"] {
                note(flag, &parts(spec, flag, |part| part.starts_with("cpu=")));
            }
            note("reserved-cpus", spec.flag("reserved-cpus").unwrap_or_default());
            // It says which processors the state may name at all.
            let options = "cpu-manager-policy-options";
            note(options, &parts(spec, options, |part| part.starts_with("strict-cpu-reservation=")));
        }
        if let Some(policy) =
            spec.flag("memory-manager-policy").filter(|policy| !["", "None"].contains(policy))
        {
            note("memory-manager-policy", policy);
            note("reserved-memory", &parts(spec, "reserved-memory", |_| true));
        }
        Self(flags)
    }

    /// The flags in which they differ from others, without dashes.
    pub fn differences_from(&self, other: &Self) -> BTreeSet<Arc<str>> {
        let flags = self.0.keys().chain(other.0.keys());
        flags.filter(|flag| self.0.get(*flag) != other.0.get(*flag)).cloned().collect()
    }
}

/// Where the state files of a kubelet with these arguments are on its node; empty where they are in its container alone.
pub fn kubelet_state_files(spec: &ContainerSpec) -> BTreeSet<FilePath> {
    let root = spec.flag("root-dir").filter(|root| !root.is_empty()).unwrap_or("/var/lib/kubelet");
    KUBELET_STATE_FILES.iter().filter_map(|name| spec.on_node(&format!("{root}/{name}"))).collect()
}

/// Those parts of all values of a flag that count, in one order.
fn parts(spec: &ContainerSpec, flag: &str, counts: impl Fn(&str) -> bool) -> String {
    let values = spec
        .command
        .iter()
        .filter_map(|argument| argument.strip_prefix("--")?.strip_prefix(flag)?.strip_prefix('='));
    let parts: BTreeSet<&str> =
        values.flat_map(|value| value.split([',', ';'])).map(str::trim).filter(|part| counts(part)).collect();
    parts.into_iter().collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ciphers::Ciphers;
    use crate::container::{PidMode, Privilege};

    fn spec(flags: &[&str], binds: &[&str]) -> ContainerSpec {
        ContainerSpec {
            image: "x".into(),
            command: flags.iter().copied().map(Arc::from).collect(),
            env: BTreeMap::new(),
            binds: binds.iter().copied().map(Arc::from).collect(),
            pid: PidMode::Host,
            privilege: Privilege::Privileged,
            user: None,
            reads: BTreeMap::new(),
            ciphers: Ciphers::default(),
            version: None,
        }
    }

    fn differ(one: &[&str], other: &[&str]) -> Vec<String> {
        let shares = |flags| KubeletShares::of(&spec(flags, &[]));
        shares(one).differences_from(&shares(other)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_state_file_records_is_compared_and_nothing_else() {
        let fixed = "--cpu-manager-policy=static";
        assert_eq!(differ(&[fixed, "--kube-reserved=cpu=1"], &[]), ["cpu-manager-policy", "kube-reserved"]);
        assert_eq!(differ(&["--cpu-manager-policy=none"], &[]), Vec::<String>::new());
        assert_eq!(differ(&["--kube-reserved=cpu=1"], &["--kube-reserved=cpu=2"]), Vec::<String>::new());
        assert_eq!(
            differ(
                &[fixed, "--kube-reserved=cpu=1,memory=1Gi"],
                &[fixed, "--kube-reserved=memory=2Gi,cpu=1"]
            ),
            Vec::<String>::new()
        );
        assert_eq!(differ(&[fixed, "--reserved-cpus=0"], &[fixed, "--reserved-cpus=0-1"]), ["reserved-cpus"]);
        let options = |value: &str| format!("--cpu-manager-policy-options={value}");
        assert_eq!(
            differ(
                &[fixed, &options("full-pcpus-only=true"), &options("strict-cpu-reservation=true")],
                &[fixed]
            ),
            ["cpu-manager-policy-options"]
        );
        assert_eq!(differ(&[fixed, &options("full-pcpus-only=true")], &[fixed]), Vec::<String>::new());
        assert_eq!(
            differ(
                &["--memory-manager-policy=Static", "--reserved-memory=0:memory=1Gi"],
                &["--memory-manager-policy=None"]
            ),
            ["memory-manager-policy", "reserved-memory"]
        );
        assert_eq!(
            differ(&["--topology-manager-policy=restricted"], &["--topology-manager-policy=none"]),
            Vec::<String>::new(),
            "no file records it"
        );
    }

    #[test]
    fn state_files_are_where_the_root_directory_is_mounted_from() {
        let shown = |flags: &[&str], binds: &[&str]| -> Vec<String> {
            kubelet_state_files(&spec(flags, binds)).iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            shown(&[], &["/var/lib/kubelet:/var/lib/kubelet:shared,z"]),
            ["/var/lib/kubelet/cpu_manager_state", "/var/lib/kubelet/memory_manager_state"]
        );
        assert_eq!(
            shown(&["--root-dir=/data/kubelet/"], &["/mnt:/data:shared"]),
            ["/mnt/kubelet/cpu_manager_state", "/mnt/kubelet/memory_manager_state"]
        );
        assert!(shown(&["--root-dir=/data"], &[]).is_empty(), "they go with the container");
    }
}
