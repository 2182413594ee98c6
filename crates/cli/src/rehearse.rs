//! `windlass etcd snapshot rehearse`: a restore for a trial, which the cluster does not notice.

use std::fmt::Write as _;

use serde::Serialize;
use windlass_engine::Snapshots as _;
use windlass_model::{
    ApiServerTrial, ChosenSnapshot, Component, ImageRef, Rehearsal, Rehearsed, SnapshotProof, counted,
};

use crate::arguments::{SnapshotArguments, SnapshotRehearseArguments};
use crate::command_error::CommandError;
use crate::commands::Session;
use crate::exit::Exit;
use crate::scene::Scene;
use crate::snapshots_found::{Found, files_named};

/// A trial, for programs.
#[derive(Debug, Serialize)]
struct RehearsalDocument<'a> {
    schema: &'static str,
    exit: u8,
    node: &'a str,
    name: &'a str,
    /// The image of etcd that restored and served it.
    image: &'a str,
    /// How long its data took to be made.
    restored_in_seconds: f64,
    /// How long etcd then took to answer.
    answered_in_seconds: f64,
    /// What etcd reported.
    revision: u64,
    keys: u64,
    /// What was found when the file was read back.
    expected_revision: u64,
    expected_keys: u64,
    /// What the API server has read, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_server: Option<ApiServerDocument<'a>>,
}

/// What an API server has read in a trial, for programs.
#[derive(Debug, Serialize)]
struct ApiServerDocument<'a> {
    image: &'a str,
    /// How long it took to be ready and to read all Secrets.
    answered_in_seconds: f64,
    secrets: u64,
    /// How many keys of Secrets were found when the file was read back; none where that was not recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_secrets: Option<u64>,
}

impl<S: Scene> Session<'_, S> {
    /// `windlass etcd snapshot rehearse`
    pub(crate) async fn rehearse(&self, arguments: &SnapshotRehearseArguments) -> Result<Exit, CommandError> {
        let which = &arguments.which;
        let mut found = self.named_on_nodes(which).await?;
        self.read_back(&mut found).await;
        let chosen = self.choose(&found, false)?;
        let proofs = found.snapshots.iter().filter_map(|on| on.snapshot.proof());
        let proof = proofs.into_iter().find(|proof| proof.sha256 == chosen.sha256);
        let proof = proof.expect("it was chosen among those that were read back").clone();
        let image = self.image_of_etcd(&chosen)?;
        let api_server = if arguments.api_server { Some(self.api_server_for(&chosen)?) } else { None };
        let was_there = self.is_unpacked(&chosen).await;
        self.unpack(&found, &chosen).await?;
        let rehearsal = Rehearsal {
            directory: chosen.directory.clone(),
            name: chosen.name.clone(),
            bytes: chosen.bytes,
            image: image.clone(),
            api_server,
        };
        let fleet = &self.scene.ports().fleet;
        let rehearsed = fleet.rehearse_snapshot(&chosen.node, &rehearsal).await;
        if !was_there && is_packed(&found, &chosen) {
            // What was unpacked for this alone goes; where that fails, it is one more snapshot in the list.
            let _ = fleet.delete_snapshot(&chosen.node, &chosen.directory, &chosen.name).await;
        }
        let rehearsed = rehearsed.map_err(|error| CommandError::NotRehearsed {
            name: chosen.name.clone(),
            why: error.to_string(),
        })?;
        Ok(self.show_rehearsal(&chosen, &rehearsal, &proof, &rehearsed))
    }

    /// Those of this name on nodes; where only the bucket has one, it must be fetched first.
    async fn named_on_nodes(&self, which: &SnapshotArguments) -> Result<Found, CommandError> {
        match self.named(&which.name, which.node.as_deref()).await {
            Err(CommandError::NoSuchSnapshot { name, unreachable }) => {
                let copies = self.in_bucket(&self.enrol()?).await.snapshots;
                let is_copied = |name: &String| copies.iter().any(|at| at.snapshot.name == *name);
                Err(match files_named(&which.name).into_iter().find(is_copied) {
                    Some(name) => CommandError::OnlyInBucket { name },
                    None => CommandError::NoSuchSnapshot { name, unreachable },
                })
            }
            found => found,
        }
    }

    fn image_of_etcd(&self, chosen: &ChosenSnapshot) -> Result<ImageRef, CommandError> {
        let nodes = &self.desired.ordinary().nodes;
        let etcd = nodes.get(&chosen.node).and_then(|node| node.containers.get(&Component::Etcd));
        let etcd = etcd.ok_or_else(|| CommandError::NotRehearsed {
            name: chosen.name.clone(),
            why: format!("cluster.yml gives {} no etcd, and so no image that could restore it", chosen.node),
        })?;
        Ok(etcd.spec.image.clone())
    }

    /// The API server of the node that has the snapshot, for a trial.
    fn api_server_for(&self, chosen: &ChosenSnapshot) -> Result<ApiServerTrial, CommandError> {
        let node = self.desired.ordinary().nodes.get(&chosen.node);
        let trial = node.and_then(|node| ApiServerTrial::on(&chosen.node, node));
        trial.ok_or_else(|| CommandError::NotRehearsed {
            name: chosen.name.clone(),
            why: format!(
                "cluster.yml gives {} no API server: choose a node with the snapshot and the role controlplane by `--node`",
                chosen.node
            ),
        })
    }

    /// Whether a file of this name is on the node already.
    async fn is_unpacked(&self, chosen: &ChosenSnapshot) -> bool {
        let there = self.scene.ports().fleet.snapshots(&chosen.node, &chosen.directory).await;
        // What is not known is not deleted.
        there.map_or(true, |there| there.iter().any(|snapshot| snapshot.name == chosen.name))
    }

    fn show_rehearsal(
        &self,
        chosen: &ChosenSnapshot,
        rehearsal: &Rehearsal,
        proof: &SnapshotProof,
        rehearsed: &Rehearsed,
    ) -> Exit {
        let image = &rehearsal.image;
        let trial = rehearsal.api_server.as_ref().zip(rehearsed.api_server);
        let expected = trial.as_ref().and_then(|(trial, _)| secrets_of(proof, trial));
        let is_same = (rehearsed.revision, rehearsed.keys) == (proof.revision, proof.keys)
            && trial
                .as_ref()
                .is_none_or(|(_, read)| expected.is_none_or(|expected| expected == read.secrets));
        let exit = if is_same { Exit::Done } else { Exit::Failed };
        let (restored, answered) = (rehearsed.restored_in.as_secs_f64(), rehearsed.answered_in.as_secs_f64());
        let mut text = format!(
            "{} on {}: restored in {restored:.1} s, and {image} answered after {answered:.1} s more\n",
            chosen.name, chosen.node
        );
        let mut compared = |what: String, expected: u64, found: u64| {
            let _ = if expected == found {
                writeln!(text, "  {what}, as in the file")
            } else {
                writeln!(text, "  {what}, and {expected} in the file")
            };
        };
        compared(format!("revision {}", rehearsed.revision), proof.revision, rehearsed.revision);
        let keys = usize::try_from(rehearsed.keys).unwrap_or(usize::MAX);
        compared(counted(keys, "key"), proof.keys, rehearsed.keys);
        if let Some((trial, read)) = &trial {
            let _ =
                writeln!(text, "{} answered after {:.1} s more", trial.image, read.answered_in.as_secs_f64());
            let count = |count: u64| counted(usize::try_from(count).unwrap_or(usize::MAX), "Secret");
            let _ = match expected {
                Some(expected) if expected == read.secrets => {
                    writeln!(text, "  {} read, as in the file", count(read.secrets))
                }
                Some(expected) => {
                    writeln!(text, "  {} read, and {expected} in the file", count(read.secrets))
                }
                None => writeln!(text, "  {} read", count(read.secrets)),
            };
        }
        text.push_str("nothing of it is left\n");
        self.printer.result(&text);
        self.printer.document(&RehearsalDocument {
            schema: "windlass/rehearsal/1",
            exit: exit.code(),
            node: chosen.node.as_str(),
            name: &chosen.name,
            image: image.as_str(),
            restored_in_seconds: restored,
            answered_in_seconds: answered,
            revision: rehearsed.revision,
            keys: rehearsed.keys,
            expected_revision: proof.revision,
            expected_keys: proof.keys,
            api_server: trial.map(|(trial, read)| ApiServerDocument {
                image: trial.image.as_str(),
                answered_in_seconds: read.answered_in.as_secs_f64(),
                secrets: read.secrets,
                expected_secrets: expected,
            }),
        });
        exit
    }
}

/// How many keys of Secrets a snapshot has; none where that was not recorded.
fn secrets_of(proof: &SnapshotProof, trial: &ApiServerTrial) -> Option<u64> {
    // Keys are counted by their first two parts: with a longer `--etcd-prefix` those of Secrets are not apart.
    if proof.keys_by_prefix.is_empty() || trial.stored_at.matches('/').count() != 2 {
        return None;
    }
    Some(proof.keys_by_prefix.get(&trial.stored_at).copied().unwrap_or_default())
}

/// Whether what was found is packed as RKE did.
fn is_packed(found: &Found, chosen: &ChosenSnapshot) -> bool {
    !found.snapshots.iter().any(|on| on.snapshot.name == chosen.name)
}
