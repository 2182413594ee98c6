//! The steps that change node objects of Kubernetes, and drain nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use windlass_model::{DrainOptions, Guard, NodeName, ObjectChange, row_of};

use crate::ports::{
    Clock, Eviction, Fleet, LedgerStore, Minter, PodController, PodSeen, PortError, PortResult,
};
use crate::run::Run;
use crate::step_error::{Doing, Done, Seen, StepError, accept_already_so};

/// The first and the longest pause between two attempts to evict the pods that are left on a node.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How many pods an error names.
const NAMED_PODS: usize = 10;

impl<F: Fleet, L: LedgerStore, M: Minter, C: Clock> Run<'_, F, L, M, C> {
    pub(crate) async fn cordon(&self, node: &NodeName, guards: &[Guard]) -> Done {
        self.hold_guards(guards).await?;
        let cordoned = self.ports.fleet.cordon(node).await;
        self.after_change(cordoned).await.doing(|| format!("cordon {node}"))
    }

    pub(crate) async fn uncordon(&self, node: &NodeName) -> Done {
        let opened = self.ports.fleet.uncordon(node).await;
        self.after_change(opened).await.doing(|| format!("uncordon {node}"))
    }

    pub(crate) async fn label_node(&self, node: &NodeName, change: &ObjectChange) -> Done {
        let patched = self.ports.fleet.patch_node(node, change).await;
        self.after_change(patched).await.doing(|| format!("patch the node object of {node}"))
    }

    pub(crate) async fn delete_node_object(&self, node: &NodeName) -> Done {
        let deleted = self.ports.fleet.delete_node(node).await;
        self.after_change(deleted).await.doing(|| format!("delete the node object of {node}"))
    }

    async fn after_change(&self, result: PortResult<()>) -> PortResult<()> {
        self.forget_node_objects().await;
        accept_already_so(result)
    }

    /// Evicts the pods, repeatedly while a disruption budget blocks it, until all are gone.
    pub(crate) async fn drain(&self, node: &NodeName, options: &DrainOptions) -> Done {
        let deadline = Instant::now() + Duration::from_secs(options.timeout_seconds.into());
        let mut pause = FIRST_PAUSE;
        let mut granted = BTreeSet::new();
        loop {
            let seen = match self.evict_all(node, options, &mut granted).await {
                Ok(None) => return Ok(()),
                Ok(Some(left)) => left,
                Err(error) if error.passing().is_some() => error.causes().join(": "),
                Err(error) => return Err(error),
            };
            if Instant::now() >= deadline {
                return Err(StepError::TimeUp {
                    wanted: format!("{node} to be empty"),
                    seconds: options.timeout_seconds,
                    source: Seen(seen),
                });
            }
            sleep_until(deadline.min(Instant::now() + pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Asks for the eviction of each pod; returns what is left, or none if nothing is.
    async fn evict_all(
        &self,
        node: &NodeName,
        options: &DrainOptions,
        granted: &mut BTreeSet<PodSeen>,
    ) -> Result<Option<String>, StepError> {
        let pods = self.ports.fleet.pods(node).await.doing(|| format!("list the pods on {node}"))?;
        let pods = to_evict(node, pods, options)?;
        if pods.is_empty() {
            return Ok(None);
        }
        let (mut blocked, mut going) = (Vec::new(), Vec::new());
        for pod in pods {
            if granted.contains(&pod) {
                going.push(pod);
                continue;
            }
            match self.ports.fleet.evict(&pod, options).await {
                Ok(Eviction::Granted) | Err(PortError::AlreadySo { .. }) => {
                    granted.insert(pod.clone());
                    going.push(pod);
                }
                Ok(Eviction::Blocked) => blocked.push(pod),
                Err(source) => {
                    return Err(StepError::Verb { doing: format!("evict {}", full_name(&pod)), source });
                }
            }
        }
        let reported = [("blocked by a disruption budget", blocked), ("still ending", going)]
            .into_iter()
            .filter(|(_, pods)| !pods.is_empty())
            .map(|(what, pods)| format!("{what}: {}", row_of(pods.iter().map(full_name), NAMED_PODS)))
            .collect::<Vec<_>>();
        Ok(Some(reported.join("; ")))
    }
}

/// The pods that are to be evicted; an error names those that may not be.
fn to_evict(node: &NodeName, pods: Vec<PodSeen>, options: &DrainOptions) -> Result<Vec<PodSeen>, StepError> {
    let (daemons, others): (Vec<PodSeen>, Vec<PodSeen>) =
        pods.into_iter().partition(|pod| pod.controller == PodController::DaemonSet);
    let alone = |pod: &&PodSeen| pod.controller == PodController::Nobody && !options.force;
    let with_data = |pod: &&PodSeen| pod.local_data && !options.delete_local_data;
    let alone: Vec<PodSeen> = others.iter().filter(alone).cloned().collect();
    let with_data: Vec<PodSeen> = others.iter().filter(with_data).cloned().collect();
    for (pods, but) in [
        (if options.ignore_daemonsets { Vec::new() } else { daemons }, "belong to a DaemonSet"),
        (alone, "would be brought back by nobody"),
        (with_data, "would lose their local data"),
    ] {
        if !pods.is_empty() {
            return Err(StepError::unfit(format!(
                "pods on {node} {but}: {}",
                row_of(pods.iter().map(full_name), NAMED_PODS)
            )));
        }
    }
    Ok(others)
}

fn full_name(pod: &PodSeen) -> String {
    format!("{}/{}", pod.namespace, pod.name)
}
