//! The files in which a simulated kubelet keeps how it has divided processors and memory: it exits where one was written under
//! other settings.

use windlass_model::{Component, ContainerSpec, FilePath, Mode, Owner};

use crate::docker::Container;
use crate::files::FileState;
use crate::process::path_on_machine;
use crate::world::Node;

/// One file, as it is and as kubelet would write it.
struct StateFile {
    path: FilePath,
    content: String,
    manager: &'static str,
}

/// Source: `restoreState` and `validateState` in `pkg/kubelet/cm/{cpumanager,memorymanager}` of kubernetes/kubernetes: the
/// policy is in the file, and under a static one so are the processors and the memory that it may divide.
fn state_files(spec: &ContainerSpec) -> Vec<StateFile> {
    let root = spec.flag("root-dir").unwrap_or("/var/lib/kubelet").trim_end_matches('/');
    let all = |flag: &str, of: &str| {
        let prefix = format!("--{flag}=");
        let values = spec.command.iter().filter_map(|argument| argument.strip_prefix(prefix.as_str()));
        let parts = values.flat_map(|value| value.split([',', ';'])).map(str::trim);
        let mut parts: Vec<&str> = parts.filter(|part| part.starts_with(of)).collect();
        parts.sort_unstable();
        parts.join(",")
    };
    let processors = match spec.flag("cpu-manager-policy").unwrap_or("none") {
        "static" => format!(
            "static, reserved {} {} {} {}",
            spec.flag("reserved-cpus").unwrap_or_default(),
            all("kube-reserved", "cpu="),
            all("system-reserved", "cpu="),
            all("cpu-manager-policy-options", "strict-cpu-reservation="),
        ),
        other => other.to_owned(),
    };
    let memory = match spec.flag("memory-manager-policy").unwrap_or("None") {
        "Static" => format!("Static, reserved {}", all("reserved-memory", "")),
        other => other.to_owned(),
    };
    let file = |name: &str, content: String, manager| {
        let path = path_on_machine(spec, &format!("{root}/{name}"))?;
        Some(StateFile { path, content, manager })
    };
    // The manager of memory is switched on from 1.22 on.
    let has_memory = spec.version.as_ref().is_none_or(|version| version.at_least(1, 22));
    let of_processors = file("cpu_manager_state", processors, "CPU");
    let of_memory = file("memory_manager_state", memory, "memory").filter(|_| has_memory);
    of_processors.into_iter().chain(of_memory).collect()
}

impl Node {
    /// Why a kubelet exits over the state that another has left, if it does.
    pub(crate) fn refuses_state(&self, container: &Container) -> Option<String> {
        if container.kind != Some(Component::Kubelet) {
            return None;
        }
        let differs = |state: &StateFile| {
            let there = self.files.get(&state.path)?.text();
            (there != state.content).then(|| {
                let StateFile { path, content, manager } = state;
                format!(
                    "could not restore state from checkpoint: configured policy \"{content}\" differs from state checkpoint \
                     policy \"{there}\", please drain this node and delete the {manager} manager checkpoint file \"{path}\" \
                     before restarting Kubelet"
                )
            })
        };
        state_files(&container.spec).iter().find_map(differs)
    }

    /// A kubelet that starts writes its state.
    pub(crate) fn write_state(&mut self, container: &ContainerSpec) {
        for StateFile { path, content, .. } in state_files(container) {
            let state =
                || std::sync::Arc::new(FileState::new(content.as_bytes(), Mode::PRIVATE, Owner::default()));
            self.files.entry(path).or_insert_with(state);
        }
    }
}
