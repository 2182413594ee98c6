//! The kernels of nodes: modules that are not loaded, and settings that are not as wished.

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_model::{Action, Because, Component, HostReport, KernelWish, NodeName, Reason, StepId};

use crate::planner::Planner;

impl<'a> Planner<'a> {
    /// Plans that each kernel in sight becomes as wished, after the files by which it stays so.
    ///
    /// A kubelet that would end without it waits for it. Nothing else does: what a machine does not let anybody set must
    /// not keep it from whatever it can be without.
    pub(crate) fn kernels(&mut self) {
        let differing: Vec<(&'a NodeName, KernelWish, Vec<Reason>)> = self
            .nodes_in_sight()
            .filter_map(|(name, node, facts)| {
                let report = facts.report.as_ref()?;
                let reasons = differences(&node.kernel, report);
                (!reasons.is_empty()).then(|| (name, feasible(&node.kernel, report), reasons))
            })
            .collect();
        for (name, kernel, reasons) in differing {
            let needed = self.kubelet_only_checks(name)
                && reasons.iter().any(|reason| matches!(reason, Reason::SettingDiffers { .. }));
            let step = self.builder.step(
                StepId::new(name, "kernel", "set"),
                Action::SetKernel { node: name.clone(), kernel },
                reasons,
                vec![],
            );
            self.builder.after_all(step, self.commit, Because::DurableFirst);
            self.builder.after_all(step, self.files.get(name).copied(), Because::Needs);
            if needed {
                self.kernels.insert(name, step);
            }
        }
    }

    /// Whether kubelet ends where the kernel is not set as it wants.
    fn kubelet_only_checks(&self, name: &NodeName) -> bool {
        let kubelet = self.wish.nodes.get(name).and_then(|node| node.containers.get(&Component::Kubelet));
        kubelet.is_some_and(|kubelet| kubelet.conduct.settings.checks_kernel())
    }
}

/// What the settings begin with that a module of the wish brings.
pub(crate) const BROUGHT_BY_MODULES: &str = "net.bridge.";

/// In what a kernel differs that can be set: what it does not know, and no module would bring, cannot.
fn differences(wish: &KernelWish, seen: &HostReport) -> Vec<Reason> {
    let modules = wish
        .modules
        .iter()
        .filter(|module| seen.loadable.contains(*module) && !seen.modules.contains(*module))
        .map(|module| Reason::ModuleMissing { module: module.clone() });
    let settings = wish.sysctls.iter().filter_map(|(name, to)| {
        let from = seen.sysctls.get(name).filter(|from| *from != to)?;
        Some(Reason::SettingDiffers { name: name.clone(), from: from.clone(), to: to.clone() })
    });
    modules.chain(settings).collect()
}

/// The part of a wish that this kernel can do.
fn feasible(wish: &KernelWish, seen: &HostReport) -> KernelWish {
    let modules: BTreeSet<Arc<str>> = wish.modules.intersection(&seen.loadable).cloned().collect();
    let comes = |name: &str| name.starts_with(BROUGHT_BY_MODULES) && !modules.is_empty();
    let is_known = |name: &Arc<str>| seen.sysctls.contains_key(name) || comes(name);
    let sysctls = wish.sysctls.iter().filter(|(name, _)| is_known(name));
    KernelWish { sysctls: sysctls.map(|(name, value)| (name.clone(), value.clone())).collect(), modules }
}
