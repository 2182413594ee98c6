//! `windlass etcd snapshot …`: reads the nodes directly; a restore is planned like any other change.

use std::collections::BTreeMap;

use windlass_course::Goal;
use windlass_engine::{Clock as _, LedgerStore as _, Nodes as _, Snapshots as _};
use windlass_model::{
    ChosenSnapshot, FilePath, Holds, LastNode, NodeName, Restore, Role, SnapshotState, SnapshotWanted,
    Timestamp, unpacked_name,
};

use crate::arguments::{
    SnapshotArguments, SnapshotCommand, SnapshotDeleteArguments, SnapshotRestoreArguments,
    SnapshotSaveArguments,
};
use crate::command_error::CommandError;
use crate::commands::Session;
use crate::exit::Exit;
use crate::scene::{Run, Scene};
use crate::snapshots_found::{Found, OnNode, files_named};

/// The CA of etcd.
const AUTHORITY: &str = "kube-etcd-ca";

impl<S: Scene> Session<'_, S> {
    /// `windlass etcd snapshot …`
    pub(crate) async fn snapshot(&self, command: &SnapshotCommand) -> Result<Exit, CommandError> {
        match command {
            SnapshotCommand::List(_) => {
                let mut found = self.found(None).await?;
                found.bucket = self.in_bucket(&self.enrol()?).await;
                let exit = if found.bucket.error.is_some() { Exit::Failed } else { Exit::Done };
                Ok(self.show_snapshots(&found, exit))
            }
            SnapshotCommand::Save(save) => self.save(save).await,
            SnapshotCommand::Verify(which) => self.verify(which).await,
            SnapshotCommand::Rehearse(which) => self.rehearse(which).await,
            SnapshotCommand::Delete(SnapshotDeleteArguments { which, s3: true }) => {
                self.delete_in_bucket(&which.name).await
            }
            SnapshotCommand::Delete(SnapshotDeleteArguments { which, s3: false }) => self.delete(which).await,
            SnapshotCommand::Fetch(fetch) => self.fetch(fetch).await,
            SnapshotCommand::Restore(restore) => self.restore(restore).await,
        }
    }

    /// Makes the nodes of etcd known to the fleet: those of cluster.yml, and those that the ledger has.
    pub(crate) fn enrol(&self) -> Result<Vec<NodeName>, CommandError> {
        let ports = self.scene.ports();
        let ledger = ports.ledger.read().map_err(|source| CommandError::Look { source })?;
        let mut nodes: BTreeMap<NodeName, LastNode> =
            ledger.as_ref().map(|ledger| ledger.nodes.clone()).unwrap_or_default();
        nodes.extend(self.desired.ordinary().last_nodes());
        nodes.retain(|_, last| last.roles.contains(&Role::Etcd));
        for (node, last) in &nodes {
            ports.fleet.enrol(node, last);
        }
        if let Some(ledger) = &ledger {
            ports.fleet.entrust(ledger);
        }
        Ok(nodes.into_keys().collect())
    }

    pub(crate) fn directory(&self) -> FilePath {
        let directories = &self.desired.ordinary().footprints.ordinary.directories;
        let mut snapshots = directories.iter().filter(|(_, holds)| **holds == Holds::Snapshots);
        let (path, _) = snapshots.next().expect("the footprint of every cluster names one for snapshots");
        path.clone()
    }

    /// The snapshots of all nodes, or of one.
    async fn found(&self, only: Option<&str>) -> Result<Found, CommandError> {
        let directory = self.directory();
        let mut found = Found::default();
        for node in self.enrol()? {
            if only.is_some_and(|only| only != node.as_str()) {
                continue;
            }
            match self.scene.ports().fleet.snapshots(&node, &directory).await {
                Ok(snapshots) => found
                    .snapshots
                    .extend(snapshots.into_iter().map(|snapshot| OnNode { node: node.clone(), snapshot })),
                Err(error) => drop(found.unreachable.insert(node, error.to_string())),
            }
        }
        let key = |on: &OnNode| (on.snapshot.taken_at(), on.snapshot.name.clone(), on.node.clone());
        found.snapshots.sort_by_key(key);
        Ok(found)
    }

    /// Those of this name; an error if there is none. Where windlass took none of this name, RKE's count.
    pub(crate) async fn named(&self, name: &str, only: Option<&str>) -> Result<Found, CommandError> {
        let mut found = self.found(only).await?;
        let names = files_named(name);
        let is_there = |name: &&String| found.snapshots.iter().any(|on| on.snapshot.name == **name);
        let there = names.iter().find(is_there);
        found.snapshots.retain(|on| there.is_some_and(|there| on.snapshot.name == *there));
        if found.snapshots.is_empty() {
            let [name, ..] = names;
            return Err(CommandError::NoSuchSnapshot {
                name,
                unreachable: found.unreachable.into_keys().collect(),
            });
        }
        Ok(found)
    }

    /// `windlass etcd snapshot save`: of the first member that returns one.
    async fn save(&self, arguments: &SnapshotSaveArguments) -> Result<Exit, CommandError> {
        let (name, only) = (arguments.name.as_deref(), arguments.node.as_deref());
        self.needs_bucket(arguments.s3)?;
        let ports = self.scene.ports();
        let name = name.map_or_else(|| on_request(ports.clock.now()), str::to_owned);
        let mut found = Found::default();
        for node in self.enrol()? {
            if only.is_some_and(|only| only != node.as_str()) {
                continue;
            }
            let Some(wanted) = self.wanted(&node, &name) else { continue };
            match ports.fleet.save_snapshot(&node, &wanted).await {
                Ok(snapshot) => {
                    found.snapshots.push(OnNode { node, snapshot });
                    break;
                }
                Err(error) => drop(found.unreachable.insert(node, error.to_string())),
            }
        }
        if arguments.s3 {
            self.copy_saved(&mut found).await?;
        }
        let is_done = !found.snapshots.is_empty() && found.bucket.error.is_none();
        self.keep(if found.snapshots.is_empty() { Exit::Failed } else { Exit::Done })?;
        Ok(self.show_snapshots(&found, if is_done { Exit::Done } else { Exit::Failed }))
    }

    /// The request for a snapshot of a node's own member; none if it is to have no member.
    pub(crate) fn wanted(&self, node: &NodeName, name: &str) -> Option<SnapshotWanted> {
        let desired = self.desired.ordinary().nodes.get(node)?;
        let wanted = SnapshotWanted::of_member(node, desired, self.directory(), name.to_owned())?;
        let ledger = self.scene.ports().ledger.read().ok().flatten();
        Some(SnapshotWanted { ledger_serial: ledger.map(|ledger| ledger.serial), ..wanted })
    }

    /// `windlass etcd snapshot verify`
    async fn verify(&self, which: &SnapshotArguments) -> Result<Exit, CommandError> {
        let mut found = self.named(&which.name, which.node.as_deref()).await?;
        self.read_back(&mut found).await;
        let damaged = found.snapshots.iter().any(|on| on.snapshot.proof().is_none());
        let exit = if damaged || !found.unreachable.is_empty() { Exit::Failed } else { Exit::Done };
        Ok(self.show_snapshots(&found, exit))
    }

    pub(crate) async fn read_back(&self, found: &mut Found) {
        let directory = self.directory();
        for on in &mut found.snapshots {
            match self.scene.ports().fleet.verify_snapshot(&on.node, &directory, &on.snapshot.name).await {
                Ok(seen) => on.snapshot = seen,
                Err(error) => on.snapshot.state = SnapshotState::Damaged(error.to_string()),
            }
        }
    }

    /// `windlass etcd snapshot delete`
    async fn delete(&self, which: &SnapshotArguments) -> Result<Exit, CommandError> {
        let directory = self.directory();
        let mut found = self.named(&which.name, which.node.as_deref()).await?;
        let mut deleted = Vec::new();
        for on in std::mem::take(&mut found.snapshots) {
            match self.scene.ports().fleet.delete_snapshot(&on.node, &directory, &on.snapshot.name).await {
                Ok(()) => deleted.push(format!("deleted {} on {}\n", on.snapshot.name, on.node)),
                Err(error) => drop(found.unreachable.insert(on.node, error.to_string())),
            }
        }
        let exit = if found.unreachable.is_empty() { Exit::Done } else { Exit::Failed };
        self.keep(Exit::Done)?;
        if exit == Exit::Done && !self.printer.speaks_json() {
            self.printer.result(&deleted.concat());
            return Ok(exit);
        }
        Ok(self.show_snapshots(&found, exit))
    }

    /// `windlass etcd snapshot restore`: chooses one file, reads it back, and plans.
    async fn restore(&self, arguments: &SnapshotRestoreArguments) -> Result<Exit, CommandError> {
        let asked_at = self.scene.ports().clock.now();
        let which = &arguments.which;
        let mut found = match self.named(&which.name, which.node.as_deref()).await {
            Err(CommandError::NoSuchSnapshot { name, unreachable }) => {
                self.only_in_bucket(arguments, name, unreachable).await?
            }
            found => found?,
        };
        self.read_back(&mut found).await;
        let snapshot = self.choose(&found, arguments.of_this_cluster)?;
        let gone = arguments.gone.iter().map(|node| NodeName::from(node.as_str())).collect();
        let goal = Goal::Restore(Restore { snapshot, asked_at, gone, recovery: None });
        if arguments.plan {
            return self.preview(&goal).await;
        }
        let agreed = if arguments.yes { None } else { Some(self.agree(&goal).await?) };
        if let Goal::Restore(Restore { snapshot, .. }) = &goal {
            self.unpack(&found, snapshot).await?;
        }
        self.act(goal, agreed).await
    }

    /// Unpacks the chosen snapshot, where it is one of RKE.
    pub(crate) async fn unpack(&self, found: &Found, snapshot: &ChosenSnapshot) -> Result<(), CommandError> {
        let of_rke = |on: &&OnNode| {
            on.node == snapshot.node && unpacked_name(&on.snapshot.name).as_ref() == Some(&snapshot.name)
        };
        let Some(packed) = found.snapshots.iter().find(of_rke) else { return Ok(()) };
        let damaged = |why: String| CommandError::SnapshotDamaged {
            name: packed.snapshot.name.clone(),
            damage: vec![format!("{}: {why}", packed.node)],
        };
        let fleet = &self.scene.ports().fleet;
        let unpacked = fleet
            .unpack_snapshot(&packed.node, &snapshot.directory, &packed.snapshot.name)
            .await
            .map_err(|error| damaged(error.to_string()))?;
        match unpacked.proof() {
            Some(proof) if proof.sha256 == snapshot.sha256 => Ok(()),
            _ => Err(damaged("it is not what was read back before".to_owned())),
        }
    }

    /// Fetches a snapshot that no node has, where the bucket has it.
    async fn only_in_bucket(
        &self,
        arguments: &SnapshotRestoreArguments,
        name: String,
        unreachable: Vec<NodeName>,
    ) -> Result<Found, CommandError> {
        let copies = self.in_bucket(&self.enrol()?).await.snapshots;
        let names = files_named(&arguments.which.name);
        let Some(name) = names.into_iter().find(|name| copies.iter().any(|at| at.snapshot.name == *name))
        else {
            return Err(CommandError::NoSuchSnapshot { name, unreachable });
        };
        if arguments.plan {
            return Err(CommandError::OnlyInBucket { name });
        }
        let found = self.fetched(&name, None, arguments.which.node.as_deref()).await?;
        if found.snapshots.is_empty() {
            let damage = found.unreachable.iter().map(|(node, why)| format!("{node}: {why}"));
            return Err(CommandError::SnapshotDamaged { name, damage: damage.collect() });
        }
        Ok(found)
    }

    pub(crate) fn choose(
        &self,
        found: &Found,
        of_this_cluster: bool,
    ) -> Result<ChosenSnapshot, CommandError> {
        let whole = || found.snapshots.iter().filter_map(|on| Some((on, on.snapshot.proof()?)));
        let Some((on, proof)) = whole().next() else {
            let damage = found.snapshots.iter().map(|on| match &on.snapshot.state {
                SnapshotState::Damaged(why) => format!("{}: {why}", on.node),
                SnapshotState::Proven(_) | SnapshotState::Unproven => on.node.to_string(),
            });
            let name = found.snapshots[0].snapshot.name.clone();
            return Err(CommandError::SnapshotDamaged { name, damage: damage.collect() });
        };
        if whole().any(|(_, other)| other.sha256 != proof.sha256) {
            let nodes = whole().map(|(on, _)| on.node.clone()).collect();
            return Err(CommandError::SnapshotsDiffer { name: on.snapshot.name.clone(), nodes });
        }
        let authority = proof.authority.or_else(|| if of_this_cluster { self.own_authority() } else { None });
        Ok(ChosenSnapshot {
            node: on.node.clone(),
            directory: self.directory(),
            name: unpacked_name(&on.snapshot.name).unwrap_or_else(|| on.snapshot.name.clone()),
            sha256: proof.sha256,
            bytes: proof.bytes,
            revision: proof.revision,
            taken_at: on.snapshot.taken_at(),
            etcd: proof.etcd.clone(),
            kubernetes: proof.kubernetes.clone(),
            authority,
        })
    }

    /// The digest of the CA of this cluster's etcd.
    pub(crate) fn own_authority(&self) -> Option<windlass_model::Digest> {
        let ledger = self.scene.ports().ledger.read().ok().flatten()?;
        let authority = ledger.certs.get(AUTHORITY)?;
        Some(windlass_model::Digest::of(&authority.certificate))
    }

    /// Stores the changed state of simulated machines.
    pub(crate) fn keep(&self, exit: Exit) -> Result<(), CommandError> {
        let blueprint = self.desired.ordinary();
        let run = Run { blueprint, dismantles: false, restore: None, changed: exit == Exit::Done };
        self.scene.remember(run)
    }
}

/// The name of a snapshot for which none was given.
fn on_request(now: Timestamp) -> String {
    format!("manual-{}", now.to_string().replace(':', "-"))
}
