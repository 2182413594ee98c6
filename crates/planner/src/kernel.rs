//! The kernels of nodes: modules that are not loaded, and settings that are not as desired.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_model::{Action, Because, Component, DesiredKernel, DesiredNode, HostReport, NodeName, Reason};

use crate::builder::{PlanBuilder, StepHandle};
use crate::context::Context;
use crate::files::Files;
use crate::ledger::Keys;

/// Plans that each reachable kernel becomes as desired, after the files that keep it so. Returns the steps
/// that a node's kubelet needs.
///
/// A kubelet that would exit without it waits for it. Nothing else does: a setting that a machine does not
/// allow must not prevent what works without it.
pub(crate) fn plan<'a>(
    ctx: &Context<'a>,
    keys: &Keys,
    files: &Files<'a>,
    build: &mut PlanBuilder<'a>,
) -> BTreeMap<&'a NodeName, StepHandle> {
    let mut needed = BTreeMap::new();
    for node in ctx.reachable() {
        let Some(report) = &node.facts.report else { continue };
        let reasons = differences(&node.desired.kernel, report);
        if reasons.is_empty() {
            continue;
        }
        let is_needed = kubelet_only_checks(node.desired)
            && reasons.iter().any(|reason| matches!(reason, Reason::SettingDiffers { .. }));
        let kernel = feasible(&node.desired.kernel, report);
        let step = build.step(
            node.name,
            "kernel",
            Action::SetKernel { node: node.name.clone(), kernel },
            reasons,
            vec![],
        );
        build.after_all(step, keys.commit, Because::DurableFirst);
        build.after_all(step, files.written.get(node.name).copied(), Because::Needs);
        if is_needed {
            needed.insert(node.name, step);
        }
    }
    needed
}

/// Whether kubelet exits where the kernel's settings are not those that it requires.
fn kubelet_only_checks(node: &DesiredNode) -> bool {
    let kubelet = node.containers.get(&Component::Kubelet);
    kubelet.is_some_and(|kubelet| kubelet.conduct.settings.checks_kernel())
}

/// The prefix of settings that a module of the desired state provides.
pub(crate) const BROUGHT_BY_MODULES: &str = "net.bridge.";

/// The differences of a kernel that can be set: not those of a setting that it does not know and no module
/// would provide.
fn differences(desired: &DesiredKernel, seen: &HostReport) -> Vec<Reason> {
    let modules = desired
        .modules
        .iter()
        .filter(|module| seen.loadable.contains(*module) && !seen.modules.contains(*module))
        .map(|module| Reason::ModuleMissing { module: module.clone() });
    let settings = desired.sysctls.iter().filter_map(|(name, to)| {
        let from = seen.sysctls.get(name).filter(|from| *from != to)?;
        Some(Reason::SettingDiffers { name: name.clone(), from: from.clone(), to: to.clone() })
    });
    modules.chain(settings).collect()
}

/// The part of a desired state that this kernel supports.
fn feasible(desired: &DesiredKernel, seen: &HostReport) -> DesiredKernel {
    let modules: BTreeSet<Arc<str>> = desired.modules.intersection(&seen.loadable).cloned().collect();
    let comes = |name: &str| name.starts_with(BROUGHT_BY_MODULES) && !modules.is_empty();
    let is_known = |name: &Arc<str>| seen.sysctls.contains_key(name) || comes(name);
    let sysctls = desired.sysctls.iter().filter(|(name, _)| is_known(name));
    DesiredKernel { sysctls: sysctls.map(|(name, value)| (name.clone(), value.clone())).collect(), modules }
}
