//! etcd whose members are known: what is down is started at once; the rest is changed one at a time, each
//! gated on health.

use std::collections::BTreeMap;

use windlass_model::{
    Alarm, Because, Component, ContainerState, DesiredNode, Ending, EtcdData, Health, Intent, MemberSeen,
    NodeFacts, NodeName, Reason, Role, Subject, Unasked, Waiting,
};

use super::member_steps::{LookAgain, disturb, join, learns, leave, promote, start_leaving_member};
use super::membership::Membership;
use super::stage::{Etcd, birth_arguments, desired_members};
use crate::builder::{Lanes, PlanBuilder, StepHandle};
use crate::compare::Condition;
use crate::member_places::is_disk_there;
use crate::ownership::has_our_member;
use crate::site::{Site, await_container};

/// What a reachable node that should have a member needs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Need {
    /// Nothing.
    Nothing,
    /// It was started moments ago.
    Time,
    /// Its container must be started; the member exists.
    Start,
    /// Its container runs and does not work.
    Repair,
    /// Its member cannot recover and must be replaced by a new one.
    Replace(Reason),
    /// It has no member.
    Join,
    /// Its container works and differs from the desired one.
    Change,
    /// It is unknown whether it recovers, so nothing is done to it, and what was seen is reported.
    Unclear(Waiting),
}

/// The members, and the steps planned for them so far.
struct Roll<'s, 'c, 'a> {
    site: &'s Site<'c, 'a>,
    members: &'a [MemberSeen],
    desired: Vec<(&'a NodeName, &'a DesiredNode)>,
    needs: BTreeMap<&'a NodeName, Need>,
    /// The steps that take something down: one at a time.
    lanes: Lanes,
    etcd: Etcd<'a>,
}

/// Plans etcd whose members are these.
pub(super) fn plan<'a>(
    site: &Site<'_, 'a>,
    members: &'a [MemberSeen],
    build: &mut PlanBuilder<'a>,
) -> Etcd<'a> {
    let desired: Vec<(&'a NodeName, &'a DesiredNode)> = site.ctx.with_role(Role::Etcd).collect();
    let needs = desired
        .iter()
        .filter(|(name, _)| site.ctx.is_reachable(name))
        .map(|&(name, node)| (name, need_of(site, name, node, members)))
        .collect();
    let membership = Membership::of(members, &desired_members(site.ctx));
    let mut roll = Roll {
        site,
        members,
        desired,
        needs,
        lanes: Lanes::new(1, Because::OneAtATime),
        etcd: Etcd { membership, ..Etcd::default() },
    };
    roll.start(build);
    roll.start_leaving(build);
    roll.repair(build);
    if roll.is_held(build) {
        roll.etcd.held = true;
    } else {
        let heals = roll.etcd.heals.clone();
        match site.ctx.intent {
            Intent::Converge { .. } | Intent::Restore { .. } => {
                roll.drop_lost(&heals, build);
                let replaced = roll.drop_replaced(&heals, build);
                roll.promote_learners(&heals, build);
                roll.join(replaced, &heals, build);
            }
            // A reissue leaves members that join or leave as they are.
            Intent::Reissue { .. } | Intent::Dismantle { .. } => {}
        }
        roll.change(&heals, build);
    }
    let Roll { lanes, mut etcd, .. } = roll;
    etcd.ends.extend(lanes.open_ends());
    etcd
}

impl<'a> Roll<'_, '_, 'a> {
    /// The desired nodes that need this.
    fn that_need(&self, wanted: fn(&Need) -> bool) -> Vec<(&'a NodeName, &'a DesiredNode)> {
        self.desired.iter().filter(|(name, _)| self.needs.get(name).is_some_and(wanted)).copied().collect()
    }

    fn member_of(&self, node: &DesiredNode) -> Option<&'a MemberSeen> {
        let peer_url = node.target.peer_url();
        self.members.iter().find(|member| member.peer_url == peer_url)
    }

    /// Members that are not desired and do not work.
    fn leaving_and_lost(&self) -> Vec<&'a MemberSeen> {
        let is_lost = |member: &&MemberSeen| {
            member.health != Health::Healthy
                && member.health.unasked().is_none()
                && self.etcd.membership.is_leaving(&member.peer_url)
        };
        self.members.iter().filter(is_lost).collect()
    }

    fn awaits(
        &mut self,
        name: &NodeName,
        peer_url: &str,
        step: Option<StepHandle>,
        build: &mut PlanBuilder<'a>,
    ) -> StepHandle {
        let wait = await_container(name, Component::Etcd, step, build);
        self.etcd.heals.push(wait);
        self.etcd.membership.heals(peer_url);
        wait
    }

    /// Everything that takes nothing down, all at once.
    fn start(&mut self, build: &mut PlanBuilder<'a>) {
        let list = self.etcd.membership.initial_cluster();
        for (name, node) in self.desired.clone() {
            let peer_url = node.target.peer_url();
            match self.needs.get(name) {
                Some(Need::Start) => {
                    let birth = birth_arguments("existing", &list);
                    let step = self.site.bring_up(name, Component::Etcd, birth, build);
                    if step.is_some() {
                        self.awaits(name, &peer_url, step, build);
                    }
                }
                Some(Need::Time) => {
                    self.awaits(name, &peer_url, None, build);
                }
                Some(Need::Unclear(waiting)) => {
                    let about = Subject::Container(name.clone(), Component::Etcd);
                    build.hold(about, waiting.clone(), self.site.ctx.origin(name));
                }
                _ => {}
            }
        }
    }

    /// A member that is to be removed may still be needed: a voter that only has to be started is started
    /// before it is removed.
    fn start_leaving(&mut self, build: &mut PlanBuilder<'a>) {
        for member in self.leaving_and_lost() {
            let ctx = self.site.ctx;
            let Some(node) = ctx.node_of_peer(&member.peer_url) else { continue };
            if ctx.facts(node).is_some_and(|facts| has_our_member(ctx, node, facts))
                && let Some(step) = start_leaving_member(ctx, node, build)
            {
                self.awaits(node, &member.peer_url, Some(step), build);
            }
        }
    }

    /// Members that run and do not work, one at a time.
    fn repair(&mut self, build: &mut PlanBuilder<'a>) {
        let list = self.etcd.membership.initial_cluster();
        for (name, node) in self.that_need(|need| *need == Need::Repair) {
            let birth = birth_arguments("existing", &list);
            let Some(steps) = disturb(self.site, &mut self.etcd, name, birth, build) else { continue };
            let wait = self.awaits(name, &node.target.peer_url(), Some(steps.last), build);
            self.lanes.add(build, steps.first, wait);
        }
    }

    /// Whether no healthy member is changed: a node is unreachable, or it is unknown whether a member
    /// recovers.
    fn is_held(&self, build: &mut PlanBuilder<'a>) -> bool {
        let ctx = self.site.ctx;
        let blind = self.desired.iter().any(|(name, _)| ctx.holds_back(name));
        let unclear = self.needs.values().any(|need| matches!(need, Need::Unclear(_)))
            || self.hold_unasked_leaving(build)
            // A person must first find out which of them are right.
            || self.members.iter().any(|member| member.alarms.contains(&Alarm::Corrupt));
        let disturbs = self.etcd.membership.has_leaving()
            || self.needs.values().any(|need| matches!(need, Need::Replace(_) | Need::Join | Need::Change));
        let is_held = disturbs && (blind || unclear);
        if is_held {
            build.hold(Subject::Etcd, Waiting::MembersUnchanged, None);
        }
        is_held
    }

    /// Holds members that are to be removed and could not be asked; whether there are any.
    fn hold_unasked_leaving(&self, build: &mut PlanBuilder<'a>) -> bool {
        let is_leaving = |member: &&MemberSeen| self.etcd.membership.is_leaving(&member.peer_url);
        let mut found = false;
        for member in self.members.iter().filter(is_leaving) {
            let Some(why) = member.health.unasked() else { continue };
            let about = match self.site.ctx.node_of_peer(&member.peer_url) {
                Some(node) => Subject::Container(node.clone(), Component::Etcd),
                None => Subject::Member(member.id),
            };
            build.hold(about, Waiting::HealthUnknown { why }, None);
            found = true;
        }
        found
    }

    /// Removes a member that cannot recover, if there is a majority without it.
    fn drop(
        &mut self,
        member: &MemberSeen,
        reason: Reason,
        again: LookAgain,
        heals: &[StepHandle],
        build: &mut PlanBuilder<'a>,
    ) -> bool {
        let ctx = self.site.ctx;
        let Some(step) = leave(ctx, &mut self.etcd.membership, member, reason, again, build) else {
            return false;
        };
        build.after_all(step, heals.iter().copied(), Because::HealFirst);
        self.lanes.add(build, step, step);
        if let Some(node) = ctx.node_of_peer(&member.peer_url) {
            self.etcd.left.insert(node, step);
        }
        true
    }

    /// Removes members that are not desired and do not work.
    fn drop_lost(&mut self, heals: &[StepHandle], build: &mut PlanBuilder<'a>) {
        for member in self.leaving_and_lost() {
            if !self.is_coming_up(member) {
                self.drop(member, Reason::NodeLeft, LookAgain::No, heals, build);
            }
        }
    }

    /// Whether this plan has started a member that is to be removed.
    fn is_coming_up(&self, member: &MemberSeen) -> bool {
        let ctx = self.site.ctx;
        let facts = ctx.node_of_peer(&member.peer_url).and_then(|node| ctx.facts(node));
        facts.is_some_and(|facts| {
            facts.etcd_data == EtcdData::Present
                && facts.containers.get(Component::Etcd.as_str()).is_some_and(|container| {
                    matches!(container.state, ContainerState::Stopped | ContainerState::Created)
                })
        })
    }

    /// Removes members that cannot recover; their nodes get new ones.
    fn drop_replaced(
        &mut self,
        heals: &[StepHandle],
        build: &mut PlanBuilder<'a>,
    ) -> Vec<(&'a NodeName, &'a DesiredNode, Reason)> {
        let mut replaced = Vec::new();
        for (name, node) in self.that_need(|need| matches!(need, Need::Replace(_))) {
            let Some(Need::Replace(reason)) = self.needs.get(name).cloned() else { continue };
            let Some(member) = self.member_of(node) else { continue };
            if self.drop(member, reason.clone(), LookAgain::IsItLost, heals, build) {
                replaced.push((name, node, reason));
            }
        }
        replaced
    }

    /// An existing learner comes first, since etcd accepts no second one.
    fn promote_learners(&mut self, heals: &[StepHandle], build: &mut PlanBuilder<'a>) {
        for (name, node) in self.desired.clone() {
            let may_vote =
                matches!(self.needs.get(name), Some(Need::Nothing | Need::Start | Need::Time | Need::Repair));
            if let Some(member) = self.member_of(node).filter(|member| may_vote && learns(member)) {
                let promote = promote(self.site.ctx, (name, node), build);
                build.after_all(promote, heals.iter().copied(), Because::Needs);
                self.lanes.add(build, promote, promote);
                self.etcd.membership.promoted(&member.peer_url);
            }
        }
    }

    /// New members, one after another: first those that replace others, then those of new nodes.
    fn join(
        &mut self,
        replaced: Vec<(&'a NodeName, &'a DesiredNode, Reason)>,
        heals: &[StepHandle],
        build: &mut PlanBuilder<'a>,
    ) {
        let new = self.that_need(|need| *need == Need::Join);
        let new = new.into_iter().map(|(name, node)| (name, node, Reason::MemberMissing));
        for (name, node, reason) in replaced.into_iter().chain(new) {
            let peer_url = node.target.peer_url();
            self.etcd.membership.joins(&peer_url, name);
            let list = self.etcd.membership.initial_cluster();
            let steps = join(self.site, &mut self.etcd, (name, node), &list, &reason, build);
            build.after_all(steps.first, heals.iter().copied(), Because::HealFirst);
            self.lanes.add(build, steps.first, steps.last);
            self.etcd.membership.promoted(&peer_url);
        }
    }

    /// Members that work and differ from the desired ones; the leader last, so that leadership moves once.
    fn change(&mut self, heals: &[StepHandle], build: &mut PlanBuilder<'a>) {
        let mut changing = self.that_need(|need| *need == Need::Change);
        changing.sort_by_key(|(name, node)| (self.member_of(node).is_some_and(|member| member.leads), *name));
        let list = self.etcd.membership.initial_cluster();
        for (name, node) in changing {
            if self.etcd.membership.needs_for_majority(&node.target.peer_url()) {
                let about = Subject::Container(name.clone(), Component::Etcd);
                build.hold(about, Waiting::MemberUnchangedForMajority, self.site.ctx.origin(name));
                continue;
            }
            let birth = birth_arguments("existing", &list);
            let Some(steps) = disturb(self.site, &mut self.etcd, name, birth, build) else { continue };
            build.after_all(steps.first, heals.iter().copied(), Because::HealFirst);
            let wait = await_container(name, Component::Etcd, Some(steps.last), build);
            self.lanes.add(build, steps.first, wait);
        }
    }
}

/// What a member needs whose data is not where it should be; none if it is all there.
///
/// A member that answers has its data, wherever that is, and one that runs may still answer. One that was stopped may have its
/// disk mounted, and be started: where nothing shows that the disk is there, only a person can say that it is lost, by
/// removing its container.
fn without_its_data(site: &Site<'_, '_>, facts: &NodeFacts, state: Option<ContainerState>) -> Option<Need> {
    let places = site.ctx.desired.footprints.under(facts.prefix.as_ref()).etcd();
    let lost = Need::Replace(Reason::MemberLostData);
    Some(match (facts.etcd_data, state) {
        // What a part of a member says as it ends shows whether it can come back.
        (EtcdData::Present, _) | (EtcdData::Incomplete, Some(ContainerState::Crashing)) => return None,
        (EtcdData::Absent | EtcdData::Incomplete, None)
        | (EtcdData::Absent, Some(ContainerState::Crashing)) => lost,
        (EtcdData::Absent, Some(ContainerState::Created | ContainerState::Stopped))
            if is_disk_there(site.ctx, facts) =>
        {
            lost
        }
        (EtcdData::Absent, Some(ContainerState::Created | ContainerState::Stopped)) => {
            Need::Unclear(Waiting::MemberDiskMissing { path: places.data })
        }
        (EtcdData::Incomplete, Some(ContainerState::Created | ContainerState::Stopped)) => {
            Need::Unclear(Waiting::MemberIncomplete { places })
        }
        (_, Some(ContainerState::Running | ContainerState::Paused)) => {
            Need::Unclear(Waiting::MemberDataUnseen { path: places.data })
        }
    })
}

/// What a reachable node that should have a member needs.
fn need_of(site: &Site<'_, '_>, name: &NodeName, node: &DesiredNode, members: &[MemberSeen]) -> Need {
    let Some(facts) = site.ctx.facts(name) else { return Need::Nothing };
    let Some(condition) = site.condition(name, Component::Etcd) else { return Need::Nothing };
    let peer_url = node.target.peer_url();
    let Some(member) = members.iter().find(|member| member.peer_url == peer_url) else {
        return Need::Join;
    };
    let has_data = facts.etcd_data != EtcdData::Absent;
    let container = facts.containers.get(Component::Etcd.as_str());
    let state = container.map(|container| container.state);
    let is_healthy = member.health == Health::Healthy;
    let unasked = member.health.unasked().filter(|_| state == Some(ContainerState::Running));
    if member.has_started()
        && !is_healthy
        && let Some(need) = without_its_data(site, facts, state)
    {
        return need;
    }
    match (condition, unasked) {
        // A certificate that nobody accepts may be the difference, and changing it may help.
        (Condition::Differs { .. }, Some(Unasked::Certificates)) => {}
        (Condition::Sick(_) | Condition::Differs { .. }, Some(why)) => {
            return Need::Unclear(Waiting::HealthUnknown { why });
        }
        _ => {}
    }
    match condition {
        Condition::Good | Condition::Reload { .. } if is_healthy => Need::Nothing,
        Condition::Good | Condition::Reload { .. } | Condition::Settling | Condition::Waiting => Need::Time,
        // The list of etcd says more than one request to its container, and is read later.
        Condition::Sick(_)
            if is_healthy && matches!(state, Some(ContainerState::Running | ContainerState::Crashing)) =>
        {
            Need::Time
        }
        Condition::Unasked(why) => Need::Unclear(Waiting::HealthUnknown { why: *why }),
        Condition::Absent | Condition::Down(_) => Need::Start,
        // A look may fall between two runs of a member that comes up a moment later, and a full disk can be
        // emptied: only the member's own log shows that it never recovers. Data of a member that etcd does
        // not list yet may be its own or that of a former one; in the latter case it exits again and again,
        // as its peers know that it was removed.
        Condition::Sick(_)
            if state == Some(ContainerState::Crashing) && (member.has_started() || has_data) =>
        {
            let ending = container.and_then(|container| container.ending.as_ref());
            if ending.is_some_and(Ending::is_final) {
                Need::Replace(Reason::MemberDead)
            } else if site.files.written.contains_key(name) {
                Need::Repair
            } else {
                Need::Unclear(Waiting::UnexplainedCrashes { said: ending.map(|ending| ending.said.clone()) })
            }
        }
        Condition::Differs { .. } if is_healthy => Need::Change,
        Condition::Sick(_) | Condition::Differs { .. } => Need::Repair,
    }
}
