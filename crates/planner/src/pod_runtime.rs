//! Changes the runtime of a node's pods: the node is drained, kubelet and the remains of its pods are
//! removed, and kubelet is started with the other runtime.
//!
//! ```text
//! cordon ─▶ drain ─▶ kubelet/remove ─▶ pods/remove ─▶ kubelet/run ─▶ await ─▶ uncordon
//! ```
//!
//! A run that is interrupted in between leaves a node without kubelet; the step that starts kubelet there
//! first removes the pods of every other runtime, which would keep ports and addresses.

use windlass_model::{
    Action, Because, Component, Guard, NodeName, PodRuntime, Reason, Settings, kubelet_state_files,
};

use crate::builder::{PlanBuilder, StepHandle};
use crate::clearing::{has_pod_state, remove_container, remove_pods, root_of_pods};
use crate::site::Site;

impl<'a> Site<'_, 'a> {
    /// What runs the pods of a node and what is to run them, where these differ.
    pub(crate) fn changes_runtime(&self, node: &NodeName) -> Option<(PodRuntime, PodRuntime)> {
        let kubelet = Component::Kubelet;
        let seen = self.ctx.facts(node)?.containers.get(kubelet.as_str())?;
        let desired = self.ctx.desired.nodes.get(node)?.containers.get(&kubelet)?;
        let from = Settings::of(kubelet, &seen.spec).pod_runtime()?;
        let to = desired.conduct.settings.pod_runtime()?;
        // Through dockershim or cri-dockerd, Docker's containers of pods are the same.
        let is_same = from == to || (from.is_docker() && to.is_docker());
        (!is_same).then_some((from, to))
    }

    /// Removes kubelet and its pods and runs it with the other runtime. Returns the first and the last step.
    pub(crate) fn change_runtime(
        &self,
        node: &'a NodeName,
        (from, to): (PodRuntime, PodRuntime),
        guards: Vec<Guard>,
        build: &mut PlanBuilder<'a>,
    ) -> (StepHandle, StepHandle) {
        let kubelet = Component::Kubelet;
        let reason = Reason::PodRuntime { from, to };
        let desired = &self.ctx.desired.nodes[node].containers[&kubelet];
        let gone = remove_container(node, &kubelet.container(), guards, reason.clone(), build);
        let root = self.ctx.facts(node).map(|facts| root_of_pods(self.ctx, node, facts));
        let pods = remove_pods(node, root.unwrap_or_default(), Some(to), reason.clone(), [gone], build);
        let run = build.step(
            node,
            kubelet,
            Action::RunContainer {
                node: node.clone(),
                component: kubelet,
                spec: desired.spec.clone(),
                birth: Vec::new(),
                forgets: kubelet_state_files(&desired.spec),
            },
            vec![reason],
            desired.origins.of_flag("container-runtime-endpoint").cloned().into_iter().collect(),
        );
        // Everything that the new one needs is on the node before the old one is removed.
        let image = self.image(node, &desired.spec.image, build);
        self.needs_ground(gone, node, image, build);
        self.needs_kernel(gone, node, kubelet, build);
        build.after(run, pods, Because::Needs);
        (gone, run)
    }

    /// Removes the pods of other runtimes than the desired one before a kubelet is run where one has been.
    pub(crate) fn clear_other_pods(&self, node: &'a NodeName, run: StepHandle, build: &mut PlanBuilder<'a>) {
        let Some(facts) = self.ctx.facts(node) else { return };
        let footprint = self.ctx.desired.footprints.under(facts.prefix.as_ref());
        let desired = &self.ctx.desired.nodes[node].containers[&Component::Kubelet];
        let Some(keep) = desired.conduct.settings.pod_runtime() else { return };
        if has_pod_state(footprint, facts) {
            let root = root_of_pods(self.ctx, node, facts);
            let pods = remove_pods(node, root, Some(keep), Reason::LeftOver, [], build);
            build.after(run, pods, Because::Needs);
        }
    }
}
