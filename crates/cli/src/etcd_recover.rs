//! `windlass etcd recover`: chooses the most advanced member that answers, and lets etcd go on from it alone.

use std::collections::BTreeSet;

use windlass_course::Goal;
use windlass_engine::{Clock as _, Snapshots as _};
use windlass_model::{
    ChosenSnapshot, Digest, EtcdSurvey, Ledger, MemberReport, NodeName, Recovery, Restore, RestoreNote,
    SNAPSHOT_EXTENSION, Timestamp, Vote,
};

use crate::arguments::EtcdRecoverArguments;
use crate::command_error::CommandError;
use crate::commands::Session;
use crate::etcd_status::columns;
use crate::exit::Exit;
use crate::scene::Scene;
use crate::snapshots_found::{Found, OnNode};

impl<S: Scene> Session<'_, S> {
    /// `windlass etcd recover`
    pub(crate) async fn etcd_recover(&self, arguments: &EtcdRecoverArguments) -> Result<Exit, CommandError> {
        let ledger = self.own_ledger()?;
        let asked_at = self.scene.ports().clock.now();
        let unfinished = ledger.restore.as_ref().filter(|note| note.recovers && note.done_at.is_none());
        let restore = if let Some(begun) = unfinished {
            self.unfinished_recovery(&ledger, begun, asked_at).await?
        } else {
            let survey = self.etcd_survey().await?;
            self.new_recovery(&survey, asked_at)?
        };
        let nodes = |names: &[String]| names.iter().map(|name| NodeName::from(name.as_str())).collect();
        let restore = Restore {
            gone: nodes(&arguments.gone),
            recovery: restore
                .recovery
                .map(|recovery| Recovery { abandoned: nodes(&arguments.abandon), ..recovery }),
            ..restore
        };
        let goal = Goal::Restore(restore.clone());
        // What is refused is refused before anything is written to a node.
        if arguments.plan || self.survey(&goal).await?.planning.is_refused() {
            return self.preview(&goal).await;
        }
        let agreed = if arguments.yes { None } else { Some(self.agree(&goal).await?) };
        let goal = match unfinished {
            Some(_) => goal,
            None => Goal::Restore(self.with_snapshot(restore).await?),
        };
        self.act(goal, agreed).await
    }

    /// The recovery that was begun and is not finished.
    async fn unfinished_recovery(
        &self,
        ledger: &Ledger,
        begun: &RestoreNote,
        asked_at: Timestamp,
    ) -> Result<Restore, CommandError> {
        let mut found = self.named(&begun.snapshot, None).await?;
        self.read_back(&mut found).await;
        let snapshot = self.choose(&found, true)?;
        let is_listed =
            |url: &String| begun.members.split(',').any(|member| member.ends_with(&format!("={url}")));
        let nodes = self.nodes_of_etcd(ledger);
        let node = nodes.iter().find(|(_, url)| is_listed(url)).map(|(name, _)| name.clone());
        let node = node.unwrap_or_else(|| snapshot.node.clone());
        let recovery = Recovery { node, voters: [].into(), abandoned: BTreeSet::new() };
        Ok(Restore { snapshot, asked_at, gone: BTreeSet::new(), recovery: Some(recovery) })
    }

    /// A recovery from the most advanced member that answers; its snapshot is still to be taken.
    fn new_recovery(&self, survey: &EtcdSurvey, asked_at: Timestamp) -> Result<Restore, CommandError> {
        if survey.has_majority() {
            return Err(CommandError::NothingToRecover);
        }
        let Some((node, report)) = survey.most_advanced() else {
            let silent = survey
                .nodes
                .iter()
                .filter_map(|(name, node)| Some(format!("{name}: {}", node.report.as_ref().err()?)));
            return Err(CommandError::NoSurvivor { silent: silent.collect() });
        };
        let clusters: BTreeSet<u64> = survey.reports().map(|(_, report)| report.cluster).collect();
        if clusters.len() > 1 {
            let members = survey.reports().map(|(name, report)| format!("{name}: {:x}", report.cluster));
            return Err(CommandError::SurvivorsOfTwoClusters { members: members.collect() });
        }
        self.printer.progress(&survivors(survey, node));
        let voters = report.members.iter().filter(|member| member.vote == Vote::Voter);
        let voters = voters.map(|member| (member.peer_url.clone(), member.name.clone())).collect();
        Ok(Restore {
            snapshot: self.snapshot_to_take(node, report, asked_at),
            asked_at,
            gone: BTreeSet::new(),
            recovery: Some(Recovery { node: node.clone(), voters, abandoned: BTreeSet::new() }),
        })
    }

    /// What is known of a snapshot before it is taken.
    fn snapshot_to_take(
        &self,
        node: &NodeName,
        report: &MemberReport,
        asked_at: Timestamp,
    ) -> ChosenSnapshot {
        let name = format!("recover-{}{SNAPSHOT_EXTENSION}", asked_at.to_string().replace(':', "-"));
        ChosenSnapshot {
            node: node.clone(),
            directory: self.directory(),
            sha256: Digest::of(&name),
            name,
            bytes: report.db_bytes,
            revision: report.revision,
            taken_at: asked_at,
            etcd: Some(report.version.clone()),
            kubernetes: None,
            authority: self.own_authority(),
        }
    }

    /// The same recovery with the snapshot that was taken for it, and read back.
    async fn with_snapshot(&self, restore: Restore) -> Result<Restore, CommandError> {
        let planned = restore.snapshot.clone();
        let node = planned.node.clone();
        let failed = |why: String| CommandError::NoSnapshotOfSurvivor { node: node.clone(), why };
        let name = planned.name.trim_end_matches(SNAPSHOT_EXTENSION);
        let wanted = self.wanted(&node, name).ok_or_else(|| failed("it is to have no member".to_owned()))?;
        let fleet = self.scene.ports().fleet;
        let taken = self
            .caring(
                || Err("interrupted".to_owned()),
                async |_, _| fleet.save_snapshot(&node, &wanted).await.map_err(|error| error.to_string()),
            )
            .await?;
        let snapshot = taken.map_err(failed)?;
        let mut found = Found::default();
        found.snapshots.push(OnNode { node: node.clone(), snapshot });
        let snapshot = self.choose(&found, true)?;
        if snapshot.revision < planned.revision {
            let (has, said) = (snapshot.revision, planned.revision);
            return Err(failed(format!("it has revision {has}, and the member said {said}")));
        }
        self.keep(Exit::Done)?;
        Ok(Restore { snapshot, ..restore })
    }
}

/// How far each member that answers has come.
fn survivors(survey: &EtcdSurvey, chosen: &NodeName) -> String {
    let mut lines = vec![["NODE", "TERM", "INDEX", "REVISION", ""].map(str::to_owned)];
    lines.extend(survey.reports().map(|(name, report)| {
        let mark = if name == chosen { "goes on" } else { "" };
        [
            name.to_string(),
            report.term.to_string(),
            report.index.to_string(),
            report.revision.to_string(),
            mark.to_owned(),
        ]
    }));
    format!("{}\n", columns(&lines))
}
