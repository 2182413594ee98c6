//! The steps that create, replace, start, stop and remove containers.
//!
//! A replacement touches nothing that runs before its successor is known to be creatable:
//!
//! ```text
//! remove NAME.next   a left-over of an interrupted run
//! create NAME.next   bad image, mount or argument: fails here, and the old one still runs
//! guards             do not hold: remove NAME.next again, fail
//! stop NAME · delete what the next one refuses · remove NAME · rename NAME.next NAME · hand its data over · start NAME
//! ```
//!
//! If it is interrupted anywhere in between, the same body, or [`Run::run_container`] where `NAME` is removed
//! already, reaches the same end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_model::{
    Component, ContainerName, ContainerSeen, ContainerSpec, ContainerState, EtcdPlaces, FilePath, Guard,
    Health, Loaded, NodeName, RestartWhen, SUCCESSOR,
};

use crate::ports::{Clock, Fleet, LedgerStore, LookScope, Minter, NewContainer, Traces};
use crate::run::Run;
use crate::step_error::{Doing, Done, StepError, accept_already_so};

/// The places of a member of etcd with this container. Without the files beside its data and its log it does not
/// start: where a disk of it is missing at a boot, a member with the arguments of the first start would create an
/// empty cluster in its place (decision 0062).
fn etcd_places(name: &ContainerName, spec: &ContainerSpec) -> Option<EtcdPlaces> {
    Component::of_container(name).filter(|component| *component == Component::Etcd)?;
    EtcdPlaces::of(spec)
}

/// The name under which the successor of a container is created.
fn successor(name: &ContainerName) -> ContainerName {
    ContainerName::from(format!("{name}{SUCCESSOR}"))
}

impl<F: Fleet, L: LedgerStore, M: Minter, C: Clock> Run<'_, F, L, M, C> {
    pub(crate) async fn run_container(
        &self,
        node: &NodeName,
        name: &ContainerName,
        (spec, birth): (&Arc<ContainerSpec>, &[Arc<str>]),
        forgets: &BTreeSet<FilePath>,
    ) -> Done {
        self.remove_stopped(node, &successor(name)).await?;
        let new = self.new_container(node, name, spec, birth).await?;
        match self.look_for(node, name).await? {
            None => {
                self.forget(node, forgets).await?;
                self.create(node, name, &new).await?;
            }
            // An earlier attempt created it.
            Some(there)
                if there.spec == new.spec && there.loaded == new.loaded && there.lineage == new.lineage => {}
            Some(_) => {
                return Err(StepError::unfit(format!(
                    "another container named {name} has appeared on {node} since the plan was made"
                )));
            }
        }
        self.hand_over(node, name, spec).await?;
        self.start(node, name).await
    }

    pub(crate) async fn replace_container(
        &self,
        node: &NodeName,
        name: &ContainerName,
        (spec, birth): (&Arc<ContainerSpec>, &[Arc<str>]),
        guards: &[Guard],
        forgets: &BTreeSet<FilePath>,
    ) -> Done {
        let next = successor(name);
        self.remove_stopped(node, &next).await?;
        let new = self.new_container(node, name, spec, birth).await?;
        self.create(node, &next, &new).await?;
        // An interrupted attempt may have removed it already: then nothing is disturbed any more.
        if self.look_for(node, name).await?.is_some() {
            if let Err(unguarded) = self.hold_guards(guards).await {
                // If this fails too, the next look finds the left-over.
                let _ = self.ports.fleet.remove(node, &next).await;
                return Err(unguarded);
            }
            self.stop(node, name).await?;
            // As long as the old one is there, the next look tells that they must go.
            self.forget(node, forgets).await?;
            self.remove_stopped(node, name).await?;
        }
        accept_already_so(self.ports.fleet.rename(node, &next, name).await)
            .doing(|| format!("rename {next} to {name} on {node}"))?;
        self.hand_over(node, name, spec).await?;
        self.start(node, name).await
    }

    /// Deletes what a former container wrote and the next one may refuse.
    async fn forget(&self, node: &NodeName, paths: &BTreeSet<FilePath>) -> Done {
        if paths.is_empty() { Ok(()) } else { self.remove_paths(node, paths).await }
    }

    pub(crate) async fn start_container(&self, node: &NodeName, name: &ContainerName) -> Done {
        // Only etcd keeps data whose owner may have to be another user than root.
        if Component::of_container(name) == Some(Component::Etcd)
            && let Some(there) = self.look_for(node, name).await?
        {
            self.hand_over(node, name, &there.spec).await?;
        }
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
        // It may have recovered since the plan was made, or while the guards were waited for.
        let there = self.look_for(node, name).await?;
        if there.as_ref().is_some_and(works) {
            return Ok(());
        }
        self.hold_guards(guards).await?;
        let again = if guards.is_empty() { there.clone() } else { self.look_for(node, name).await? };
        if again.as_ref().is_some_and(works) {
            return Ok(());
        }
        let unasked = again.filter(|seen| seen.state == ContainerState::Running);
        if let Some(why) = unasked.and_then(|seen| seen.health.unasked())
            && when == RestartWhen::StillSick
        {
            return Err(StepError::unfit(format!(
                "nobody knows any more whether {name} on {node} works, so it is not restarted: {why}"
            )));
        }
        self.stop(node, name).await?;
        if let Some(there) = there {
            self.hand_over(node, name, &there.spec).await?;
        }
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

    /// The container to be created, with the digests of the files as they are on the node now: that is what
    /// it will load.
    async fn new_container(
        &self,
        node: &NodeName,
        name: &ContainerName,
        spec: &Arc<ContainerSpec>,
        birth: &[Arc<str>],
    ) -> Result<NewContainer, StepError> {
        let loaded = if spec.reads.is_empty() { Loaded::new() } else { self.digests(node, spec).await? };
        let lineage = self.keys.lineage();
        let places = etcd_places(name, spec);
        Ok(NewContainer {
            spec: spec.clone(),
            birth: birth.to_vec(),
            loaded,
            lineage,
            beside_data: places.as_ref().map(EtcdPlaces::beside_data),
            beside_log: places.as_ref().and_then(EtcdPlaces::beside_log),
        })
    }

    async fn digests(&self, node: &NodeName, spec: &ContainerSpec) -> Result<Loaded, StepError> {
        let scope = LookScope {
            files: Arc::new(spec.reads.keys().cloned().collect()),
            directories: Arc::new(BTreeSet::new()),
            ..self.assignment.scope.clone()
        };
        let facts = self.ports.fleet.look(node, &scope, Traces::OwnProgram).await;
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
        // `AlreadySo` is no success here: it would be a container that was not compared.
        self.ports.fleet.create(node, name, new).await.doing(|| format!("create {name} on {node}"))
    }

    /// Gives the data of a container that is about to run as another user than root to that user: between the
    /// end of one etcd and the start of the next nobody writes there.
    async fn hand_over(&self, node: &NodeName, name: &ContainerName, spec: &ContainerSpec) -> Done {
        let Some(EtcdPlaces { data: directory, .. }) = etcd_places(name, spec) else { return Ok(()) };
        let Some(owner) = spec.owner() else { return Ok(()) };
        // An interrupted attempt may have started it.
        let there = self.look_for(node, name).await?;
        if there.is_some_and(|there| there.state == ContainerState::Running) {
            return Ok(());
        }
        accept_already_so(self.ports.fleet.hand_over(node, &directory, owner).await)
            .doing(|| format!("give {directory} on {node} to the user {owner}"))
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
