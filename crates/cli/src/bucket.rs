//! `windlass etcd snapshot …` and the bucket of cluster.yml: listed, copied to, fetched from, and deleted in.

use std::collections::BTreeSet;

use windlass_blueprint::SNAPSHOTS_BUCKET;
use windlass_engine::Snapshots as _;
use windlass_model::{BucketPlace, InBucket, NodeName, Secret, SecretName};

use crate::arguments::SnapshotFetchArguments;
use crate::command_error::CommandError;
use crate::commands::Session;
use crate::exit::Exit;
use crate::scene::Scene;
use crate::snapshots_found::{Found, FoundInBucket, OnNode, files_named};

impl<S: Scene> Session<'_, S> {
    /// What cluster.yml says of the bucket; none where it names none.
    fn description(&self) -> Option<&Secret<String>> {
        self.desired.secrets().get(&SecretName::from(SNAPSHOTS_BUCKET))
    }

    fn needed_description(&self) -> Result<&Secret<String>, CommandError> {
        self.description().ok_or(CommandError::NoBucket)
    }

    /// What is in the bucket, asked from the first of these nodes that answers; nothing where cluster.yml names none.
    pub(crate) async fn in_bucket(&self, nodes: &[NodeName]) -> FoundInBucket {
        let Some(description) = self.description() else { return FoundInBucket::default() };
        let own = self.own_authority().map(BucketPlace::cluster_of);
        let mut error = None;
        for node in nodes {
            match self.scene.ports().fleet.bucket(node, description).await {
                Ok(mut snapshots) => {
                    let is_own = |at: &InBucket| own.as_ref().is_none_or(|own| at.place.cluster == *own);
                    snapshots.retain(|at| at.place.is_of_rke() || is_own(at));
                    return FoundInBucket { snapshots, error: None };
                }
                Err(why) => drop(error.get_or_insert(why.to_string())),
            }
        }
        FoundInBucket { snapshots: Vec::new(), error }
    }

    /// Copies what was just saved into the bucket.
    pub(crate) async fn copy_saved(&self, found: &mut Found) -> Result<(), CommandError> {
        let description = self.needed_description()?;
        let directory = self.directory();
        for on in &found.snapshots {
            let copied =
                self.scene.ports().fleet.copy_to_bucket(&on.node, description, &directory, &on.snapshot.name);
            match copied.await {
                Ok(copy) => found.bucket.snapshots.push(copy),
                Err(error) => found.bucket.error = Some(error.to_string()),
            }
        }
        Ok(())
    }

    /// An error where cluster.yml names no bucket, before anything is done that needs one.
    pub(crate) fn needs_bucket(&self, asked: bool) -> Result<(), CommandError> {
        if asked { self.needed_description().map(drop) } else { Ok(()) }
    }

    /// The snapshot of this name in the bucket, of this member or of any; an intact one first. Those of two members are two
    /// snapshots: which one is meant is never guessed.
    async fn named_in_bucket(
        &self,
        name: &str,
        member: Option<&str>,
        nodes: &[NodeName],
    ) -> Result<InBucket, CommandError> {
        let mut snapshots = self.all_named_in_bucket(name, nodes).await?;
        let file = snapshots[0].snapshot.name.clone();
        snapshots.retain(|at| member.is_none_or(|member| at.place.member == member));
        snapshots.sort_by_key(|at| at.snapshot.proof().is_none());
        let digests = snapshots.iter().filter_map(|at| Some(at.snapshot.proof()?.sha256));
        if digests.collect::<BTreeSet<_>>().len() > 1 {
            let members = snapshots.into_iter().map(|at| at.place.member).collect();
            return Err(CommandError::CopiesDiffer { name: file, members });
        }
        let found = snapshots.into_iter().next();
        found.ok_or(CommandError::NoSuchSnapshot { name: file, unreachable: vec![] })
    }

    /// All copies of this name; an error where there is none.
    async fn all_named_in_bucket(
        &self,
        name: &str,
        nodes: &[NodeName],
    ) -> Result<Vec<InBucket>, CommandError> {
        self.needs_bucket(true)?;
        let FoundInBucket { mut snapshots, error } = self.in_bucket(nodes).await;
        if let Some(why) = error {
            return Err(CommandError::BucketSilent { why });
        }
        let names = files_named(name);
        let there = names.iter().find(|name| snapshots.iter().any(|at| at.snapshot.name == **name));
        snapshots.retain(|at| there.is_some_and(|there| at.snapshot.name == *there));
        if snapshots.is_empty() {
            let [name, ..] = names;
            return Err(CommandError::NoSuchSnapshot { name, unreachable: vec![] });
        }
        Ok(snapshots)
    }

    /// `windlass etcd snapshot fetch`
    pub(crate) async fn fetch(&self, arguments: &SnapshotFetchArguments) -> Result<Exit, CommandError> {
        let SnapshotFetchArguments { which, member } = arguments;
        let found = self.fetched(&which.name, member.as_deref(), which.node.as_deref()).await?;
        let exit = if found.snapshots.is_empty() { Exit::Failed } else { Exit::Done };
        self.keep(exit)?;
        Ok(self.show_snapshots(&found, exit))
    }

    /// Fetches a snapshot of the bucket onto this node, or onto the first that takes it.
    pub(crate) async fn fetched(
        &self,
        name: &str,
        member: Option<&str>,
        only: Option<&str>,
    ) -> Result<Found, CommandError> {
        let mut nodes = self.enrol()?;
        nodes.retain(|node| only.is_none_or(|only| only == node.as_str()));
        let wanted = self.named_in_bucket(name, member, &nodes).await?;
        let description = self.needed_description()?;
        let (directory, mut found) = (self.directory(), Found::default());
        for node in nodes {
            match self.scene.ports().fleet.fetch_from_bucket(&node, description, &directory, &wanted).await {
                Ok(snapshot) => {
                    found.snapshots.push(OnNode { node, snapshot });
                    break;
                }
                Err(error) => drop(found.unreachable.insert(node, error.to_string())),
            }
        }
        Ok(found)
    }

    /// `windlass etcd snapshot delete --s3`: all copies of this name that this cluster has there. Without a ledger nothing
    /// says which they are, and others may use the folder.
    pub(crate) async fn delete_in_bucket(&self, name: &str) -> Result<Exit, CommandError> {
        let nodes = self.enrol()?;
        let description = self.needed_description()?;
        if self.own_authority().is_none() {
            return Err(CommandError::NoLedger);
        }
        let copies = self.all_named_in_bucket(name, &nodes).await?;
        let name = &copies[0].snapshot.name.clone();
        let mut found = Found::default();
        let mut deleted = Vec::new();
        for copy in copies {
            let mut error = None;
            for node in &nodes {
                match self.scene.ports().fleet.delete_from_bucket(node, description, &copy.place, name).await
                {
                    Ok(()) => {
                        deleted.push(format!("deleted {name} of {} in the bucket\n", copy.place.member));
                        error = None;
                        break;
                    }
                    Err(why) => error = Some(why.to_string()),
                }
            }
            found.bucket.error = found.bucket.error.or(error);
        }
        let exit = if found.bucket.error.is_none() { Exit::Done } else { Exit::Failed };
        self.keep(Exit::Done)?;
        if exit == Exit::Done && !self.printer.speaks_json() {
            self.printer.result(&deleted.concat());
            return Ok(exit);
        }
        Ok(self.show_snapshots(&found, exit))
    }
}
