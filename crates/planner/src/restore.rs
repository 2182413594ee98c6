//! Restores etcd from a snapshot: everything that stops, moves data aside and creates new data, up to the
//! point where the ordinary stages continue.
//!
//! ```text
//! note in the ledger ─▶ a checked copy on every member's node
//!     ─▶ API servers, controller managers, schedulers are removed, and kubelets that would be newer
//!     ─▶ etcd is removed ─▶ data is moved aside
//!     ─▶ every member's data is created from its copy, with a token that no other cluster has
//! ```
//!
//! A recovery from a lost majority is the same for one member: the one that goes on, restored from its own
//! snapshot, while the data of all others that can be reached is moved aside too.
//!
//! Nothing is stopped before every node has its verified copy; no data is created before all former data has
//! been moved aside. So there are never two clusters, and a run that is killed in between is continued by the
//! same command. Restored data carries a mark with the token ([`RESTORED_MARK`]): progress is seen on the
//! nodes, not remembered.

use std::collections::BTreeSet;

use windlass_model::{
    Action, Because, CertPart, Component, DesiredNode, Digest, EtcdData, EtcdVersion, Intent,
    KubernetesVersion, LedgerChange, MemberRestore, NodeFacts, NodeName, Note, Planning, RESTORED_MARK,
    Reason, Recovery, Refusal, Restore, RestoreNote, RestoreRefused, Role, Subject, Waiting,
};

use crate::builder::{Follows, PlanBuilder, StepHandle};
use crate::clearing::remove_container;
use crate::context::Context;
use crate::control_plane::ControlPlane;
use crate::etcd::{initial_cluster, member_name};
use crate::ledger::{self, Conclusion};
use crate::member_places::{aside, member_directories};
use crate::ownership::{has_our_data, has_ours};
use crate::refusals;

/// The beginning of a restore's token; the second at which the restore was first asked for follows.
const TOKEN: &str = "windlass-";
/// By how much the revision is raised at least where etcd supports that: upstream's recommendation.
///
/// Source: <https://etcd.io/docs/v3.5/op-guide/recovery/>, "Restoring with revision bump".
const LEAST_BUMP: u64 = 1_000_000_000;
/// How many revisions a cluster is thought to write in a second on average: more than any does for long.
const REVISIONS_A_SECOND: u64 = 1_000;
/// The certificate that shows that a snapshot belongs to this cluster: it lives as long as the cluster.
const AUTHORITY: &str = "kube-etcd-ca";

/// The components that are stopped before etcd: those that keep what they have read from it.
const CONTROL_PLANE: [Component; 3] =
    [Component::KubeApiserver, Component::KubeControllerManager, Component::KubeScheduler];

/// The restore that is to be done before the ordinary stages; none where none is requested, where it is over,
/// or where all data exists already.
pub(crate) fn before_all<'a>(ctx: &Context<'a>) -> Option<(&'a Restore, RestoreNote)> {
    let Intent::Restore { restore, .. } = ctx.intent else { return None };
    let note = note_of(ctx, restore)?;
    (!is_formed(ctx, &note)).then_some((restore.as_ref(), note))
}

/// What the ledger says of this restore while it is under way; none if it is over.
fn note_of(ctx: &Context<'_>, restore: &Restore) -> Option<RestoreNote> {
    let members = members_of(ctx, restore);
    let noted = ctx.seen.ledger.restore.as_ref();
    if noted.is_some_and(|noted| noted.done_at >= Some(restore.asked_at)) {
        return None;
    }
    let goes_on = noted.filter(|noted| {
        noted.done_at.is_none() && noted.sha256 == restore.snapshot.sha256 && noted.members == members
    });
    Some(goes_on.cloned().unwrap_or_else(|| RestoreNote {
        snapshot: restore.snapshot.name.clone(),
        sha256: restore.snapshot.sha256,
        members,
        token: format!("{TOKEN}{}", restore.asked_at.0),
        recovers: restore.recovery.is_some(),
        done_at: None,
    }))
}

/// The members that are restored: those of cluster.yml, or the one that goes on alone.
fn members_of(ctx: &Context<'_>, restore: &Restore) -> String {
    match &restore.recovery {
        None => initial_cluster(ctx),
        Some(Recovery { node, .. }) => as_listed(ctx, node).unwrap_or_default(),
    }
}

/// A member in the form of etcd's `--initial-cluster`.
fn as_listed(ctx: &Context<'_>, node: &NodeName) -> Option<String> {
    Some(format!("{}={}", member_name(node), ctx.peer_url(node)?))
}

/// The nodes of cluster.yml whose members are restored.
fn restored<'c, 'a>(
    ctx: &'c Context<'a>,
    note: &'c RestoreNote,
) -> impl Iterator<Item = (&'a NodeName, &'a DesiredNode)> + 'c {
    let listed: BTreeSet<&str> = note.members.split(',').collect();
    let is_listed =
        move |name: &NodeName| as_listed(ctx, name).is_some_and(|member| listed.contains(member.as_str()));
    ctx.with_role(Role::Etcd).filter(move |(name, _)| is_listed(name))
}

/// Whether the data of all reachable members was created from the snapshot. It is created only after all
/// former data has been moved aside.
fn is_formed(ctx: &Context<'_>, note: &RestoreNote) -> bool {
    let mut seen = restored(ctx, note).filter_map(|(name, _)| ctx.facts(name)).peekable();
    seen.peek().is_some() && seen.all(|facts| is_restored(ctx, facts, note))
}

fn is_restored(ctx: &Context<'_>, facts: &NodeFacts, note: &RestoreNote) -> bool {
    let data = &ctx.desired.footprints.under(facts.prefix.as_ref()).etcd_data;
    let mark = facts.files.get(format!("{data}/{RESTORED_MARK}").as_str());
    facts.etcd_data == EtcdData::Present && mark.is_some_and(|mark| mark.digest == Digest::of(&note.token))
}

/// Whether a node holds data of a member, or remains of it: the log alone may be lost.
fn holds_something(ctx: &Context<'_>, name: &NodeName, facts: &NodeFacts) -> bool {
    let places = ctx.desired.footprints.under(facts.prefix.as_ref()).etcd();
    let is_left = || {
        ctx.had(name, Role::Etcd) && places.directories().iter().any(|path| facts.directories.contains(path))
    };
    has_our_data(ctx, name, facts) || is_left()
}

/// Any other command waits until an unfinished restore is over: its members hold data of two different times.
pub(crate) fn refuse_unfinished(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } | Intent::Reissue { .. } => {}
        Intent::Dismantle { .. } => return,
    }
    if let Some(note) = ctx.seen.ledger.restore.as_ref().filter(|note| note.done_at.is_none())
        && !is_formed(ctx, note)
    {
        let refused = RestoreRefused::Unfinished { snapshot: note.snapshot.clone(), recovers: note.recovers };
        build.refuse(Subject::Etcd, Refusal::Restore { refused }, None);
    }
}

/// A restore whose data is complete is over when the control plane works with it.
pub(crate) fn conclude(ctx: &Context<'_>, control_plane: &ControlPlane<'_>, conclusion: &mut Conclusion) {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => {}
        Intent::Reissue { .. } | Intent::Dismantle { .. } => return,
    }
    let Some(note) = ctx.seen.ledger.restore.as_ref().filter(|note| note.done_at.is_none()) else { return };
    let up = control_plane.all_up();
    if up.is_empty() && !ctx.kube_answers() {
        return;
    }
    conclusion.change.restore = Some(RestoreNote { done_at: Some(ctx.seen.taken_at), ..note.clone() });
    conclusion.after.extend(up);
}

/// Plans everything that comes before the ordinary stages.
pub(crate) fn plan<'a>(
    ctx: &Context<'a>,
    restore: &'a Restore,
    note: RestoreNote,
    mut build: PlanBuilder<'a>,
) -> Planning {
    refusals::check_for_restore(ctx, &restore.snapshot, &mut build);
    refuse(ctx, restore, &note, &mut build);
    if build.allowed().is_none() {
        return build.finish();
    }
    let mut stage = Stage { ctx, restore, note, reason: reason_of(restore), build };
    let noted = stage.note_in_ledger();
    let copies = stage.copies(noted);
    let control_plane = stage.stop_control_plane(&copies);
    let etcd = stage.stop_etcd(&copies, &control_plane);
    // Each removal of etcd comes after all of these. Where etcd is gone already, an API server may still be there.
    let stopped = if etcd.is_empty() { control_plane } else { etcd };
    let moved = stage.move_aside(&copies, &stopped);
    stage.restore_members(&copies, &stopped, &moved);
    stage.build.defer(Follows::ByItself, Subject::Restored, Waiting::AfterRestore, None);
    stage.build.finish()
}

fn reason_of(restore: &Restore) -> Reason {
    Reason::Restored {
        snapshot: restore.snapshot.name.clone(),
        revision: restore.snapshot.revision,
        taken_at: restore.snapshot.taken_at,
    }
}

/// What is refused before anything is stopped.
fn refuse(ctx: &Context<'_>, restore: &Restore, note: &RestoreNote, build: &mut PlanBuilder<'_>) {
    let mut refuse = |refused| build.refuse(Subject::Etcd, Refusal::Restore { refused }, None);
    if ctx.desired.etcd.is_external() {
        return refuse(RestoreRefused::ExternalEtcd);
    }
    let snapshot = &restore.snapshot;
    let own = ctx.seen.ledger.digest_of(&AUTHORITY.into(), CertPart::Certificate);
    match (snapshot.authority, own) {
        (None, _) => refuse(RestoreRefused::UnknownCluster { snapshot: snapshot.name.clone() }),
        (Some(authority), Some(own)) if authority != own => {
            refuse(RestoreRefused::OtherCluster { authority, own });
        }
        _ => {}
    }
    let mut unreachable = Vec::new();
    let mut too_new = None;
    for (name, node) in restored(ctx, note) {
        if !ctx.is_reachable(name) {
            unreachable.push(name.clone());
            continue;
        }
        let Some(etcd) = node.containers.get(&Component::Etcd) else { continue };
        let desired = EtcdVersion::of_image(etcd.spec.image.as_str());
        if let (Some(version), Some(desired)) = (snapshot.etcd_minor(), desired)
            && version > desired.minor()
        {
            too_new = snapshot.etcd.clone().zip(Some(desired.to_string()));
        }
    }
    if let Some((snapshot, desired)) = too_new {
        refuse(RestoreRefused::TooNew { snapshot, desired });
    }
    if !unreachable.is_empty() {
        refuse(RestoreRefused::Unreachable { nodes: unreachable });
    }
    if let Some(recovery) = &restore.recovery {
        // What was agreed on before the first step stays agreed on.
        if ctx.seen.ledger.restore.as_ref() != Some(note) {
            refuse_recovery(ctx, restore, recovery, &mut refuse);
        }
        return;
    }
    let former: Vec<&NodeName> =
        ctx.seen.ledger.nodes.keys().filter(|name| ctx.had(name, Role::Etcd)).collect();
    let is_away = |name: &&NodeName| {
        !ctx.is_reachable(name) && !ctx.should_have(name, Role::Etcd) && !restore.gone.contains(*name)
    };
    let away: Vec<NodeName> = former.iter().copied().filter(is_away).cloned().collect();
    if away.len() * 2 > former.len() {
        refuse(RestoreRefused::MajorityElsewhere { nodes: away });
    }
}

/// A cluster goes on from one member only where no majority of it can come back.
fn refuse_recovery(
    ctx: &Context<'_>,
    restore: &Restore,
    recovery: &Recovery,
    refuse: &mut impl FnMut(RestoreRefused),
) {
    let Recovery { node: survivor, voters, abandoned } = recovery;
    if !ctx.should_have(survivor, Role::Etcd) {
        refuse(RestoreRefused::SurvivorLeaves { node: survivor.clone() });
    }
    if !ctx.etcd_is_silent() {
        refuse(RestoreRefused::MajorityAnswers);
    }
    let answers: Vec<NodeName> = restore
        .gone
        .iter()
        .filter(|name| ctx.seen.nodes.get(*name).is_some_and(|seen| seen.facts().is_some()))
        .cloned()
        .collect();
    if !answers.is_empty() {
        refuse(RestoreRefused::GoneAnswers { nodes: answers });
    }
    let is_lost = |url: &str, name: &str| match ctx.node_of_peer(url) {
        None => restore.gone.contains(name) || restore.gone.contains(url),
        Some(node) => match ctx.seen.nodes.get(node).and_then(|seen| seen.facts()) {
            None => restore.gone.contains(node),
            Some(facts) => abandoned.contains(node) || !facts.holds_a_member(),
        },
    };
    let place =
        |url: &str, name: &str| ctx.node_of_peer(url).map_or_else(|| name.to_owned(), ToString::to_string);
    let left: Vec<String> =
        voters.iter().filter(|(url, name)| !is_lost(url, name)).map(|(url, name)| place(url, name)).collect();
    if left.len() * 2 > voters.len() {
        let places = left.into_iter().filter(|place| place != survivor.as_str()).collect();
        refuse(RestoreRefused::MajorityMayReturn { places });
    }
}

/// The plan of a restore under construction.
struct Stage<'c, 'a> {
    ctx: &'c Context<'a>,
    restore: &'a Restore,
    note: RestoreNote,
    reason: Reason,
    build: PlanBuilder<'a>,
}

impl<'a> Stage<'_, 'a> {
    /// The members whose data does not exist yet.
    fn unformed(&self) -> Vec<(&'a NodeName, &'a NodeFacts)> {
        let (ctx, note) = (self.ctx, &self.note);
        let seen = restored(ctx, note).filter_map(|(name, _)| Some((name, ctx.facts(name)?)));
        seen.filter(|(_, facts)| !is_restored(ctx, facts, note)).collect()
    }

    /// The ledger records that a restore is under way, and where its members are, before anything else
    /// happens.
    fn note_in_ledger(&mut self) -> Option<StepHandle> {
        let ctx = self.ctx;
        let mut change = LedgerChange::default();
        if ctx.seen.ledger.restore.as_ref() != Some(&self.note) {
            change.restore = Some(self.note.clone());
        }
        for node in ctx.reachable().filter(|node| node.desired.has(Role::Etcd)) {
            let now = ledger::as_it_still_is(ctx, node.name, node.desired, node.facts);
            if ctx.last(node.name).is_none_or(|last| !last.roles.contains(&Role::Etcd)) {
                change.nodes.insert(node.name.clone(), now);
            }
        }
        if change.is_empty() {
            return None;
        }
        let action = Action::CommitLedger { change: Box::new(change) };
        Some(self.build.step("cluster", "ledger", action, vec![self.reason.clone()], vec![]))
    }

    /// A copy on each node, and the image that creates data from it.
    fn copies(&mut self, noted: Option<StepHandle>) -> Vec<StepHandle> {
        let mut ready = Vec::new();
        for (name, facts) in self.unformed() {
            let action = Action::StageSnapshot {
                node: name.clone(),
                snapshot: Box::new(self.restore.snapshot.clone()),
            };
            let copy = self.build.step(name, "etcd-snapshot", action, vec![self.reason.clone()], vec![]);
            self.build.after_all(copy, noted, Because::DurableFirst);
            ready.push(copy);
            let image = &self.ctx.desired.nodes[name].containers[&Component::Etcd].spec.image;
            if !facts.images.contains(image) {
                ready.push(self.build.pull(name, image));
            }
        }
        ready
    }

    fn stop_control_plane(&mut self, copies: &[StepHandle]) -> Vec<StepHandle> {
        let mut stopped = Vec::new();
        for component in CONTROL_PLANE {
            stopped.extend(self.stop(component, copies));
        }
        // Older API servers go on: nothing of a node may be newer than they are. Pods run meanwhile.
        for component in [Component::Kubelet, Component::KubeProxy] {
            if self.is_newer(component) {
                stopped.extend(self.stop(component, copies));
            }
        }
        stopped
    }

    /// Whether any node has this component in a later minor version than cluster.yml asks for.
    fn is_newer(&self, component: Component) -> bool {
        let minor = |version: &KubernetesVersion| (version.major, version.minor);
        let seen = self.ctx.all_facts().filter_map(|(_, facts)| facts.containers.get(component.as_str()));
        let mut versions = seen.filter_map(|container| container.spec.version.as_ref());
        versions.any(|version| minor(version) > minor(&self.ctx.desired.version))
    }

    fn stop_etcd(&mut self, copies: &[StepHandle], control_plane: &[StepHandle]) -> Vec<StepHandle> {
        let stopped = self.stop(Component::Etcd, copies);
        for step in &stopped {
            // An API server that is stopped waits for etcd, in order to record there that it is gone.
            self.build.after_all(*step, control_plane.iter().copied(), Because::Gate);
        }
        stopped
    }

    /// Removes a component from every reachable node that has it.
    fn stop(&mut self, component: Component, copies: &[StepHandle]) -> Vec<StepHandle> {
        let ctx = self.ctx;
        let holders: Vec<&'a NodeName> = ctx
            .all_facts()
            .filter(|(name, facts)| has_ours(ctx, name, facts, component))
            .map(|(name, _)| name)
            .collect();
        let mut stopped = Vec::new();
        for name in holders {
            let container = component.container();
            let step = remove_container(name, &container, vec![], self.reason.clone(), &mut self.build);
            self.build.after_all(step, copies.iter().copied(), Because::Gate);
            stopped.push(step);
        }
        stopped
    }

    /// All data that is not of this restore is moved aside, also that of nodes which are to have no member.
    fn move_aside(&mut self, copies: &[StepHandle], stopped: &[StepHandle]) -> Vec<StepHandle> {
        let (ctx, note) = (self.ctx, self.note.clone());
        let holders: Vec<(&'a NodeName, &'a NodeFacts)> = ctx
            .all_facts()
            .filter(|(name, facts)| holds_something(ctx, name, facts) && !is_restored(ctx, facts, &note))
            .collect();
        let mut moved = Vec::new();
        for (name, facts) in holders {
            let own = ctx.desired.footprints.under(facts.prefix.as_ref()).etcd().directories();
            let mut all = member_directories(ctx, facts);
            // What is left of a member where none is any more.
            let own = ["etcd-data", "etcd-log"].map(str::to_owned).into_iter().zip(own);
            let left = own.filter(|(_, path)| facts.directories.contains(path));
            let left: Vec<_> = left.filter(|(_, path)| all.iter().all(|(_, other)| other != path)).collect();
            all.extend(left);
            for (subject, path) in all {
                let to = aside(ctx, &path);
                let kept = Note::FormerDataKept { path: to.to_string() };
                self.build.note(Subject::EtcdData(name.clone()), kept, None);
                let action = Action::MoveAside { node: name.clone(), path, to, guards: vec![] };
                let step = self.build.step(name, subject, action, vec![self.reason.clone()], vec![]);
                self.build.after_all(step, copies.iter().copied(), Because::Gate);
                self.build.after_all(step, stopped.iter().copied(), Because::Gate);
                moved.push(step);
            }
        }
        moved
    }

    fn restore_members(&mut self, copies: &[StepHandle], stopped: &[StepHandle], moved: &[StepHandle]) {
        let ctx = self.ctx;
        for (name, facts) in self.unformed() {
            let node = &ctx.desired.nodes[name];
            let image = node.containers[&Component::Etcd].spec.image.clone();
            let places = ctx.desired.footprints.under(facts.prefix.as_ref()).etcd();
            let bumps = EtcdVersion::of_image(image.as_str()).is_some_and(EtcdVersion::restores_by_etcdutl);
            let restore = MemberRestore {
                snapshot: self.restore.snapshot.clone(),
                image,
                data: places.data,
                log: places.log,
                member: member_name(name),
                peer_url: node.target.peer_url(),
                members: self.note.members.clone(),
                token: self.note.token.clone(),
                bump_revision: bumps.then(|| bump(&self.note.token, self.restore.snapshot.revision)),
            };
            let action = Action::RestoreMember { node: name.clone(), restore: Box::new(restore) };
            let step = self.build.step(name, "etcd-data", action, vec![self.reason.clone()], vec![]);
            for earlier in [copies, stopped, moved] {
                self.build.after_all(step, earlier.iter().copied(), Because::Gate);
            }
        }
    }
}

/// By how much a snapshot's revision is raised: to one that is higher than any that a watcher has seen.
///
/// A fixed number is not enough. Where an old snapshot is restored for the second time, watchers have seen what was
/// written after the first time. So the revision goes by the clock, to a thousand for each second since 1970, and runs
/// ahead of what is written: a cluster that was restored before has added less than that in each second since then.
fn bump(token: &str, revision: u64) -> u64 {
    let asked_at: u64 = token.strip_prefix(TOKEN).and_then(|second| second.parse().ok()).unwrap_or_default();
    asked_at.saturating_mul(REVISIONS_A_SECOND).saturating_sub(revision).max(LEAST_BUMP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_watcher_sees_time_run_backwards() {
        let restored = |second: u64, revision: u64| revision + bump(&format!("{TOKEN}{second}"), revision);
        let (old, first) = (5_000, 1_800_000_000);
        let once = restored(first, old);
        // Six hundred writes a second for a minute, and then the same snapshot again, or one from in between.
        let seen = once + 36_000;
        assert!(restored(first + 60, old) > seen);
        assert!(restored(first + 60, once + 500) > seen);
        // Also where the clock went wrong in between.
        assert!(restored(0, seen) >= seen + LEAST_BUMP);
        assert!(
            once > 400 * 31_536_000 * 2,
            "a cluster that was never restored, after years at 400 writes a second"
        );
    }
}
