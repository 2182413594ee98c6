//! The steps that make, replace, start, stop and remove containers.
//!
//! A replacement touches nothing that runs before its successor is known to be creatable:
//!
//! ```text
//! remove NAME.next   a left-over of a run that was cut off
//! create NAME.next   bad image, mount or argument: fails here, and the old one still runs
//! guards             do not hold: remove NAME.next again, fail
//! stop NAME · remove NAME · rename NAME.next NAME · start NAME
//! ```
//!
//! Cut off anywhere in between, the same body, or [`Run::run_container`] where `NAME` is gone already,
//! comes to the same end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_model::{
    ContainerName, ContainerSeen, ContainerSpec, ContainerState, Guard, Health, Loaded, NodeName,
    RestartWhen, SUCCESSOR,
};

use crate::ports::{Clock, Fleet, LedgerStore, LookScope, Minter, NewContainer};
use crate::run::Run;
use crate::step_error::{Doing, Done, StepError, accept_already_so};

/// The name under which the successor of a container is made.
fn successor(name: &ContainerName) -> ContainerName {
    ContainerName::from(format!("{name}{SUCCESSOR}"))
}

impl<F: Fleet, L: LedgerStore, M: Minter, C: Clock> Run<'_, F, L, M, C> {
    pub(crate) async fn run_container(
        &self,
        node: &NodeName,
        name: &ContainerName,
        spec: &Arc<ContainerSpec>,
        birth: &[Arc<str>],
    ) -> Done {
        self.remove_stopped(node, &successor(name)).await?;
        let new = self.new_container(node, spec, birth).await?;
        match self.look_for(node, name).await? {
            None => self.create(node, name, &new).await?,
            // An earlier attempt made it.
            Some(there) if there.spec == new.spec && there.loaded == new.loaded => {}
            Some(_) => {
                return Err(StepError::unfit(format!(
                    "another container named {name} has appeared on {node} since the plan was made"
                )));
            }
        }
        self.start(node, name).await
    }

    pub(crate) async fn replace_container(
        &self,
        node: &NodeName,
        name: &ContainerName,
        spec: &Arc<ContainerSpec>,
        birth: &[Arc<str>],
        guards: &[Guard],
    ) -> Done {
        let next = successor(name);
        self.remove_stopped(node, &next).await?;
        let new = self.new_container(node, spec, birth).await?;
        self.create(node, &next, &new).await?;
        // An attempt that was cut off may have removed it already: then nothing is disturbed any more.
        if self.look_for(node, name).await?.is_some() {
            if let Err(unguarded) = self.hold_guards(guards).await {
                // Should this fail too, the next look finds the left-over.
                let _ = self.ports.fleet.remove(node, &next).await;
                return Err(unguarded);
            }
            self.stop(node, name).await?;
            self.remove_stopped(node, name).await?;
        }
        accept_already_so(self.ports.fleet.rename(node, &next, name).await)
            .doing(|| format!("rename {next} to {name} on {node}"))?;
        self.start(node, name).await
    }

    pub(crate) async fn start_container(&self, node: &NodeName, name: &ContainerName) -> Done {
        self.start(node, name).await
    }

    pub(crate) async fn restart_container(
        &self,
        node: &NodeName,
        name: &ContainerName,
        when: RestartWhen,
        guards: &[Guard],
    ) -> Done {
        let works = |seen: &ContainerSeen| {
            when == RestartWhen::StillSick
                && seen.state == ContainerState::Running
                && seen.health == Health::Healthy
        };
        // It may have come to itself since the plan was made, or while the guards were waited for.
        if self.look_for(node, name).await?.as_ref().is_some_and(works) {
            return Ok(());
        }
        self.hold_guards(guards).await?;
        if !guards.is_empty() && self.look_for(node, name).await?.as_ref().is_some_and(works) {
            return Ok(());
        }
        self.stop(node, name).await?;
        self.start(node, name).await
    }

    pub(crate) async fn reload_container(&self, node: &NodeName, name: &ContainerName) -> Done {
        accept_already_so(self.ports.fleet.reload(node, name).await)
            .doing(|| format!("reload {name} on {node}"))
    }

    pub(crate) async fn remove_container(
        &self,
        node: &NodeName,
        name: &ContainerName,
        guards: &[Guard],
    ) -> Done {
        if self.look_for(node, name).await?.is_some() {
            self.hold_guards(guards).await?;
            self.stop(node, name).await?;
            self.remove_stopped(node, name).await?;
        }
        if name.as_str().ends_with(SUCCESSOR) {
            return Ok(());
        }
        self.remove_stopped(node, &successor(name)).await
    }

    /// The container to be made, with the digests of the files as they are on the node now: that is what it
    /// will load.
    async fn new_container(
        &self,
        node: &NodeName,
        spec: &Arc<ContainerSpec>,
        birth: &[Arc<str>],
    ) -> Result<NewContainer, StepError> {
        let loaded = if spec.reads.is_empty() { Loaded::new() } else { self.digests(node, spec).await? };
        Ok(NewContainer { spec: spec.clone(), birth: birth.to_vec(), loaded })
    }

    async fn digests(&self, node: &NodeName, spec: &ContainerSpec) -> Result<Loaded, StepError> {
        let scope = LookScope {
            files: Arc::new(spec.reads.keys().cloned().collect()),
            directories: Arc::new(BTreeSet::new()),
            ..self.assignment.scope.clone()
        };
        let facts = self.ports.fleet.look(node, &scope).await;
        let files: BTreeMap<_, _> = facts.doing(|| format!("look at the files of {node}"))?.files;
        Ok(files
            .into_iter()
            .filter(|(path, _)| spec.reads.contains_key(path))
            .map(|(path, file)| (path, file.digest))
            .collect())
    }

    async fn look_for(
        &self,
        node: &NodeName,
        name: &ContainerName,
    ) -> Result<Option<ContainerSeen>, StepError> {
        self.ports.fleet.container(node, name).await.doing(|| format!("look for {name} on {node}"))
    }

    async fn create(&self, node: &NodeName, name: &ContainerName, new: &NewContainer) -> Done {
        // `AlreadySo` is no success here: it would be a container that nobody has compared.
        self.ports.fleet.create(node, name, new).await.doing(|| format!("create {name} on {node}"))
    }

    async fn start(&self, node: &NodeName, name: &ContainerName) -> Done {
        accept_already_so(self.ports.fleet.start(node, name).await).map_err(|source| StepError::NotStarted {
            container: name.clone(),
            node: node.clone(),
            source,
        })
    }

    async fn stop(&self, node: &NodeName, name: &ContainerName) -> Done {
        accept_already_so(self.ports.fleet.stop(node, name).await).doing(|| format!("stop {name} on {node}"))
    }

    async fn remove_stopped(&self, node: &NodeName, name: &ContainerName) -> Done {
        accept_already_so(self.ports.fleet.remove(node, name).await)
            .doing(|| format!("remove {name} on {node}"))
    }
}
