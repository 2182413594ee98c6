//! The kernels of nodes: modules that are not loaded, and settings that are not as wished.

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_model::{Action, Because, HostReport, KernelWish, NodeName, Reason, StepId};

use crate::planner::Planner;

impl<'a> Planner<'a> {
    /// Plans that each kernel in sight becomes as wished, after the files by which it stays so.
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
            let step = self.builder.step(
                StepId::new(name, "kernel", "set"),
                Action::SetKernel { node: name.clone(), kernel },
                reasons,
                vec![],
            );
            self.builder.after_all(step, self.commit, Because::DurableFirst);
            self.builder.after_all(step, self.files.get(name).copied(), Because::Needs);
            self.kernels.insert(name, step);
        }
    }
}

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
    let is_known = |name: &Arc<str>| seen.sysctls.contains_key(name) || !modules.is_empty();
    let sysctls = wish.sysctls.iter().filter(|(name, _)| is_known(name));
    KernelWish { sysctls: sysctls.map(|(name, value)| (name.clone(), value.clone())).collect(), modules }
}
