//! etcd: its first start, its healing, its members coming and going, one at a time and never below a majority.
//!
//! ```text
//! up (all at once) ─▶ mend ─▶ drop the dead ─▶ join ─▶ roll ─▶ … control plane … ─▶ leave
//!                     ╰──────────── one at a time, each gated on health ────────────────╯
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_model::{
    Action, Because, Birth, Component, ContainerState, EtcdData, EtcdSeen, FindingKind, Guard, Health,
    LedgerChange, MemberSeen, NodeName, NodeWish, Reason, Role, SpecPath, StepId, Vote,
};

use crate::builder::{Lanes, StepHandle};
use crate::certificates::COME_TO_LIFE;
use crate::compare::Condition;
use crate::planner::Planner;

/// Seconds within which a learner must have caught up: etcd's own guide counts with 100 MB in 15 s.
const CATCH_UP_WITHIN_SECONDS: u32 = 600;

/// What a wished node in sight needs, when the members are known.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Need {
    /// Nothing.
    Nothing,
    /// It was started moments ago.
    Time,
    /// Its container must come up; the member is there.
    Up,
    /// Its container runs and does no good.
    Mend,
    /// Its member cannot come back and must be replaced by a new one.
    Replaced(Reason),
    /// It has no member.
    Join,
    /// Its container works and differs.
    Roll,
    /// It does not come up, and nobody can tell whether its data or its arguments are to blame.
    Puzzle,
}

impl<'a> Planner<'a> {
    /// Plans etcd, but for members that leave: those go when the control plane no longer asks them.
    pub(crate) fn etcd(&mut self) {
        if self.wish.etcd.is_external() {
            return;
        }
        let seen = self.seen;
        match &seen.etcd {
            EtcdSeen::Members(members) => self.etcd_of(members),
            EtcdSeen::Silent if self.seen.ledger.born == Birth::Expected => self.etcd_first_start(),
            EtcdSeen::Silent => self.etcd_revival(),
        }
        self.note_birth();
        self.rolling_snapshots();
    }

    // A cluster whose members are known.

    fn etcd_of(&mut self, members: &'a [MemberSeen]) {
        let wished: Vec<(&'a NodeName, &'a NodeWish)> = self.with_role(Role::Etcd).collect();
        let needs: BTreeMap<&'a NodeName, Need> = wished
            .iter()
            .filter(|(name, _)| self.is_in_sight(name))
            .map(|&(name, node)| (name, self.need_of_member(name, node, members)))
            .collect();
        let of = |node: &NodeWish| members.iter().find(|member| member.peer_url == node.target.peer_url());
        let mut membership: BTreeMap<String, String> = members
            .iter()
            .map(|member| {
                let node = wished.iter().find(|(_, node)| node.target.peer_url() == member.peer_url);
                let name = node.map_or_else(|| member.name.clone(), |(name, _)| member_name(name));
                let name = if name.is_empty() { format!("member-{}", member.id) } else { name };
                (member.peer_url.clone(), name)
            })
            .collect();
        let list = initial_cluster(membership.clone());
        let mut voters = Votes::of(members);
        let blind = self.rules.hold_while_blind && wished.iter().any(|(name, _)| !self.is_in_sight(name));

        // Up: whatever takes nothing down, all at once.
        for (&name, need) in &needs {
            match need {
                Need::Up => {
                    if let Some(step) =
                        self.bring_up(name, Component::Etcd, birth_arguments("existing", &list))
                    {
                        let wait = self.await_container(name, Component::Etcd, Some(step));
                        self.etcd_heals.push(wait);
                    }
                    voters.heals += 1;
                }
                Need::Time => {
                    let wait = self.await_container(name, Component::Etcd, None);
                    self.etcd_heals.push(wait);
                    voters.heals += 1;
                }
                Need::Puzzle => self.hold(
                    name,
                    "etcd",
                    "etcd ends again and again, and no other member shows that its arguments are good",
                    "look at `docker logs etcd` there; if the last change of cluster.yml caused it, take it back",
                ),
                _ => {}
            }
        }
        let leaving: Vec<&'a MemberSeen> = members
            .iter()
            .filter(|member| !wished.iter().any(|(_, node)| node.target.peer_url() == member.peer_url))
            .collect();
        for member in leaving.iter().filter(|member| member.health != Health::Healthy) {
            // It may yet be needed: a voter that only has to be started is started before it leaves.
            if let Some(node) = self.node_of_peer(&member.peer_url)
                && self.facts(node).is_some_and(|facts| facts.etcd_data == EtcdData::Present)
                && let Some(step) = self.start_leaving_member(node)
            {
                let wait = self.await_container(node, Component::Etcd, Some(step));
                self.etcd_heals.push(wait);
                voters.heals += 1;
            }
        }

        // The rest one at a time.
        let mut lanes =
            Lanes::new(if self.rules.one_at_a_time { 1 } else { usize::MAX }, Because::OneAtATime);
        let by_need = |wanted: fn(&Need) -> bool| -> Vec<(&'a NodeName, &'a NodeWish)> {
            wished.iter().filter(|(name, _)| needs.get(name).is_some_and(wanted)).copied().collect()
        };
        for (name, _) in by_need(|need| *need == Need::Mend) {
            let guards = self.majority_guard(name);
            let birth = birth_arguments("existing", &list);
            let Some(step) = self.disturb(name, Component::Etcd, birth, guards) else { continue };
            let first = self.handed_over.get(name).copied().unwrap_or(step);
            let wait = self.await_container(name, Component::Etcd, Some(step));
            lanes.add(&mut self.builder, first, wait);
            self.etcd_heals.push(wait);
            voters.heals += 1;
        }

        let puzzled = needs.values().any(|need| *need == Need::Puzzle);
        let disturbs = needs.values().any(|need| matches!(need, Need::Replaced(_) | Need::Join | Need::Roll))
            || !leaving.is_empty();
        if disturbs && (blind || puzzled) {
            self.find(
                FindingKind::Held,
                "cluster/etcd",
                None,
                "no healthy member is disturbed, none joins and none leaves",
                "every etcd node of cluster.yml must be in sight and no member a puzzle",
                None,
            );
            self.etcd_ends.extend(lanes.open_ends());
            self.etcd_held = true;
            return;
        }
        let heals = self.etcd_heals.clone();

        // Drop the dead: those that have left, and those that will be replaced.
        for member in leaving.iter().filter(|member| member.health != Health::Healthy) {
            let coming =
                self.node_of_peer(&member.peer_url).and_then(|node| self.facts(node)).is_some_and(|facts| {
                    facts.etcd_data == EtcdData::Present
                        && facts.containers.get(Component::Etcd.as_str()).is_some_and(|container| {
                            matches!(container.state, ContainerState::Stopped | ContainerState::Created)
                        })
                });
            if coming {
                continue;
            }
            self.drop_member(member, Reason::NodeLeft, &mut voters, &mut lanes, &heals);
            membership.remove(&member.peer_url);
        }
        let mut joining: Vec<(&'a NodeName, &'a NodeWish, Reason)> = Vec::new();
        for (name, node) in by_need(|need| matches!(need, Need::Replaced(_))) {
            let Some(Need::Replaced(reason)) = needs.get(name) else { continue };
            let Some(member) = of(node) else { continue };
            if self.drop_member(member, reason.clone(), &mut voters, &mut lanes, &heals) {
                membership.remove(&member.peer_url);
                joining.push((name, node, reason.clone()));
            }
        }

        // Join; a learner that is there already comes first, since etcd takes no second one.
        for (name, node) in &wished {
            if let Some(member) = of(node)
                && member.vote == Vote::Learner
                && matches!(needs.get(name), Some(Need::Nothing | Need::Up | Need::Time | Need::Mend))
            {
                let promote = self.promote(name, node, members);
                self.builder.after_all(promote, heals.clone(), Because::Needs);
                lanes.add(&mut self.builder, promote, promote);
                voters.total += 1;
                voters.healthy += 1;
            }
        }
        joining.extend(
            by_need(|need| *need == Need::Join)
                .into_iter()
                .map(|(name, node)| (name, node, Reason::MemberMissing)),
        );
        for (name, node, reason) in joining {
            membership.insert(node.target.peer_url(), member_name(name));
            let list = initial_cluster(membership.clone());
            let (first, promote) = self.join(name, node, &list, &reason, members);
            self.builder.after_all(first, heals.clone(), Because::HealFirst);
            lanes.add(&mut self.builder, first, promote);
            voters.total += 1;
            voters.healthy += 1;
        }

        // Roll; the leader last, so that leadership moves once.
        let mut rolling = by_need(|need| *need == Need::Roll);
        rolling.sort_by_key(|(name, node)| (of(node).is_some_and(|member| member.leads), *name));
        let list = initial_cluster(membership);
        for (name, _) in rolling {
            let guards = self.majority_guard(name);
            let birth = birth_arguments("existing", &list);
            let Some(step) = self.disturb(name, Component::Etcd, birth, guards) else { continue };
            let first = self.handed_over.get(name).copied().unwrap_or(step);
            if self.rules.heal_first {
                self.builder.after_all(first, heals.clone(), Because::HealFirst);
            }
            let wait = self.await_container(name, Component::Etcd, Some(step));
            lanes.add(&mut self.builder, first, wait);
        }
        self.votes = voters;
        self.etcd_ends.extend(lanes.open_ends());
    }

    /// What a wished node in sight needs, the members being known.
    fn need_of_member(&self, name: &NodeName, node: &NodeWish, members: &[MemberSeen]) -> Need {
        let Some(facts) = self.facts(name) else { return Need::Nothing };
        let Some(condition) = self.condition(name, Component::Etcd) else { return Need::Nothing };
        let peer_url = node.target.peer_url();
        let Some(member) = members.iter().find(|member| member.peer_url == peer_url) else {
            return Need::Join;
        };
        let has_data = facts.etcd_data == EtcdData::Present;
        let state = facts.containers.get(Component::Etcd.as_str()).map(|container| container.state);
        // A member that answers has its data, wherever that is.
        if member.has_started() && !has_data && member.health != Health::Healthy {
            return Need::Replaced(Reason::MemberLostData);
        }
        match condition {
            Condition::Good | Condition::Reload { .. } if member.health == Health::Healthy => Need::Nothing,
            Condition::Good | Condition::Reload { .. } | Condition::Settling | Condition::Waiting => {
                Need::Time
            }
            // etcd itself knows better than one question to its container, and is asked later.
            Condition::Sick(_)
                if matches!(state, Some(ContainerState::Running | ContainerState::Crashing))
                    && member.health == Health::Healthy =>
            {
                Need::Time
            }
            Condition::Absent | Condition::Down(_) => Need::Up,
            // Data of a member that etcd has not heard of yet may be its own, or of a former one: that one ends again and
            // again, as its peers know that it was removed.
            Condition::Sick(_)
                if state == Some(ContainerState::Crashing) && (member.has_started() || has_data) =>
            {
                if self.another_member_runs_as_wished(name, members) {
                    Need::Replaced(Reason::MemberDead)
                } else {
                    Need::Puzzle
                }
            }
            Condition::Differs { .. } if member.health == Health::Healthy => Need::Roll,
            Condition::Sick(_) | Condition::Differs { .. } => Need::Mend,
        }
    }

    /// Whether a healthy member runs just as the wish says: then arguments and image are not to blame where
    /// another does not come up.
    fn another_member_runs_as_wished(&self, name: &NodeName, members: &[MemberSeen]) -> bool {
        self.with_role(Role::Etcd).any(|(other, node)| {
            other != name
                && self.condition(other, Component::Etcd) == Some(&Condition::Good)
                && members.iter().any(|member| {
                    member.peer_url == node.target.peer_url() && member.health == Health::Healthy
                })
        })
    }

    /// Takes a member out that cannot come back, if a majority stands without it.
    fn drop_member(
        &mut self,
        member: &MemberSeen,
        reason: Reason,
        voters: &mut Votes,
        lanes: &mut Lanes,
        heals: &[StepHandle],
    ) -> bool {
        let Some(step) = self.leave_step(member, reason, voters) else { return false };
        self.builder.after_all(step, heals.iter().copied(), Because::HealFirst);
        lanes.add(&mut self.builder, step, step);
        if let Some(node) = self.node_of_peer(&member.peer_url) {
            self.left_member.insert(node, step);
        }
        true
    }

    /// The step that takes a member out, unless the rest would have no majority.
    fn leave_step(&mut self, member: &MemberSeen, reason: Reason, voters: &mut Votes) -> Option<StepHandle> {
        let node = self.node_of_peer(&member.peer_url);
        let place = node.map_or_else(|| "cluster".to_owned(), ToString::to_string);
        let subject = if node.is_some() { "etcd".to_owned() } else { format!("etcd-{}", member.id) };
        if member.vote == Vote::Voter {
            let healthy = voters.healthy + voters.heals - usize::from(member.health == Health::Healthy);
            if self.rules.majority_stands && healthy < (voters.total - 1) / 2 + 1 {
                self.find(
                    FindingKind::Held,
                    format!("{place}/{subject}"),
                    node,
                    "the member stays in etcd",
                    "without it no majority would stand: heal another member first, or restore a snapshot",
                    None,
                );
                return None;
            }
            voters.total -= 1;
            voters.healthy -= usize::from(member.health == Health::Healthy);
        }
        let guards = match node {
            Some(node) if self.rules.majority_stands => self.majority_guard(node),
            _ => vec![],
        };
        let origins: Vec<SpecPath> = node
            .and_then(|node| self.wish.nodes.get(node))
            .map(|node| node.origin.clone())
            .into_iter()
            .collect();
        Some(self.builder.step(
            StepId::new(place, subject, "leave"),
            Action::EtcdMemberRemove {
                id: member.id,
                peer_url: member.peer_url.clone(),
                via: self.via(self.seen.etcd.members(), node),
                guards,
            },
            vec![reason],
            origins,
        ))
    }

    /// Clears the node, adds a learner, runs it and lets it vote: first and last step.
    fn join(
        &mut self,
        name: &'a NodeName,
        node: &'a NodeWish,
        list: &str,
        reason: &Reason,
        members: &[MemberSeen],
    ) -> (StepHandle, StepHandle) {
        let cleared = self.clear_member(name, reason);
        let add = self.builder.step(
            StepId::new(name, Component::Etcd, "join"),
            Action::EtcdMemberAdd {
                node: name.clone(),
                peer_url: node.target.peer_url(),
                via: self.via(members, Some(name)),
            },
            vec![reason.clone()],
            vec![node.origin.clone()],
        );
        self.builder.after_all(add, cleared, Because::Needs);
        let run = self.run_etcd(name, birth_arguments("existing", list), reason.clone());
        self.builder.after(run, add, Because::Needs);
        let promote = self.promote(name, node, members);
        self.builder.after(promote, run, Because::Needs);
        // A learner that cannot start would block all further members: what it needs is there before it joins.
        let image = node.containers.get(&Component::Etcd).map(|wish| wish.spec.image.clone());
        let pull = image.and_then(|image| self.image(name, &image));
        let files = self.files.get(name).copied();
        self.builder.after_all(add, pull.into_iter().chain(files), Because::Needs);
        self.joined.insert(name, promote);
        (self.first_of(name, cleared, add), promote)
    }

    fn promote(&mut self, name: &'a NodeName, node: &'a NodeWish, members: &[MemberSeen]) -> StepHandle {
        self.builder.step(
            StepId::new(name, Component::Etcd, "promote"),
            Action::EtcdMemberPromote {
                node: name.clone(),
                peer_url: node.target.peer_url(),
                via: self.via(members, Some(name)),
                within_seconds: CATCH_UP_WITHIN_SECONDS,
            },
            vec![Reason::MemberLearns],
            vec![node.origin.clone()],
        )
    }

    /// A run of etcd on a node that is or will be cleared, whatever stands there now.
    fn run_etcd(&mut self, name: &'a NodeName, birth: Vec<Arc<str>>, reason: Reason) -> StepHandle {
        let node = &self.wish.nodes[name];
        let wish = &node.containers[&Component::Etcd];
        let image = self.image(name, &wish.spec.image);
        let step = self.builder.step(
            StepId::new(name, Component::Etcd, "run"),
            Action::RunContainer {
                node: name.clone(),
                component: Component::Etcd,
                spec: wish.spec.clone(),
                birth,
            },
            vec![reason],
            vec![node.origin.clone()],
        );
        self.needs_files_and_image(step, name, image);
        self.hand_files_over(name, step);
        step
    }

    /// Removes the container of a former member and moves its data aside; the last of these steps.
    pub(crate) fn clear_member(&mut self, name: &'a NodeName, reason: &Reason) -> Option<StepHandle> {
        let facts = self.facts(name)?;
        let mut last = self.left_member.get(name).copied();
        if facts.containers.contains_key(Component::Etcd.as_str()) {
            let remove = self.builder.step(
                StepId::new(name, Component::Etcd, "remove"),
                Action::RemoveContainer {
                    node: name.clone(),
                    container: Component::Etcd.container(),
                    guards: vec![],
                },
                vec![reason.clone()],
                vec![],
            );
            self.builder.after_all(remove, last, Because::Needs);
            self.cleared.insert(name, remove);
            last = Some(remove);
        }
        if facts.etcd_data == EtcdData::Present {
            let path = self.wish.footprint.etcd_data.clone();
            let to = format!("{}/{}", self.wish.footprint.aside(), self.seen.taken_at.0);
            let aside = self.builder.step(
                StepId::new(name, "etcd-data", "aside"),
                Action::MoveAside { node: name.clone(), path, to: to.as_str().into() },
                vec![Reason::DataOfFormerMember],
                vec![],
            );
            self.builder.after_all(aside, last, Because::Needs);
            self.cleared.entry(name).or_insert(aside);
            last = Some(aside);
            self.find(
                FindingKind::Notice,
                format!("{name}/etcd-data"),
                Some(name),
                format!("the data of the former member is kept in {to}"),
                "delete it when nobody wants it any more",
                None,
            );
        }
        last
    }

    /// The first step of a sequence that may begin with clearing the node.
    fn first_of(&self, name: &NodeName, cleared: Option<StepHandle>, otherwise: StepHandle) -> StepHandle {
        cleared.and_then(|_| self.cleared.get(name).copied()).unwrap_or(otherwise)
    }

    // Leaving.

    /// Plans the leave of healthy members that are no longer wished, after the control plane has learnt of it.
    pub(crate) fn etcd_leave(&mut self) {
        let seen = self.seen;
        let leaving: Vec<&'a MemberSeen> = seen
            .etcd
            .members()
            .iter()
            .filter(|member| member.health == Health::Healthy)
            .filter(|member| {
                !self.with_role(Role::Etcd).any(|(_, node)| node.target.peer_url() == member.peer_url)
            })
            .collect();
        if leaving.is_empty() || self.etcd_held {
            return;
        }
        let is_blind = self.rules.hold_while_blind && self.an_api_server_is_hidden();
        if self.control_plane_held || is_blind {
            self.find(
                FindingKind::Held,
                "cluster/etcd",
                None,
                "no member leaves",
                "the API servers may still ask it: all must be in sight, and have been told of the members that stay",
                None,
            );
            return;
        }
        let mut voters = self.votes;
        let mut lanes = Lanes::new(1, Because::OneAtATime);
        for member in leaving {
            let node = self.node_of_peer(&member.peer_url);
            let reason = if node.is_some_and(|node| self.wish.nodes.contains_key(node)) {
                Reason::RoleLost { role: Role::Etcd }
            } else {
                Reason::NodeLeft
            };
            let Some(step) = self.leave_step(member, reason, &mut voters) else { continue };
            if lanes.begins_lane() {
                let before: Vec<StepHandle> = self
                    .etcd_ends
                    .iter()
                    .chain(&self.control_plane_ends)
                    .chain(&self.api_heals)
                    .copied()
                    .collect();
                self.builder.after_all(step, before, Because::RemoveLast);
                self.builder.after_all(step, self.etcd_heals.clone(), Because::HealFirst);
            }
            lanes.add(&mut self.builder, step, step);
            if let Some(node) = node {
                self.left_member.insert(node, step);
            }
        }
    }

    // Small things.

    /// Once etcd is healthy the ledger says so, and its data is never started anew.
    fn note_birth(&mut self) {
        if self.seen.ledger.born == Birth::Born {
            return;
        }
        // Where it lives already, the first commit says so.
        if self.seen.etcd == EtcdSeen::Silent && !self.etcd_heals.is_empty() {
            let heals = self.etcd_heals.clone();
            self.commit_birth(heals, COME_TO_LIFE);
        }
    }

    /// The ledger's note that the cluster lives, after these waits.
    pub(crate) fn commit_birth(&mut self, waits: Vec<StepHandle>, what: &str) {
        self.roots_change = true;
        let change = LedgerChange { born: true, ..LedgerChange::default() };
        self.roots_change = true;
        let born = self.builder.step(
            StepId::new("cluster", "ledger", "born"),
            Action::CommitLedger { change },
            vec![Reason::LedgerBehind { what: what.to_owned() }],
            vec![],
        );
        self.builder.after_all(born, waits, Because::Needs);
        self.builder.after_all(born, self.commit, Because::Needs);
        self.born = Some(born);
    }

    /// The containers that snapshot etcd by a timer: nobody waits for them.
    fn rolling_snapshots(&mut self) {
        let nodes: Vec<&'a NodeName> = self.nodes_in_sight().map(|(name, _, _)| name).collect();
        for name in nodes {
            let component = Component::EtcdRollingSnapshots;
            let step = self
                .bring_up(name, component, vec![])
                .or_else(|| self.disturb(name, component, vec![], vec![]));
            let settling = self.condition(name, component) == Some(&Condition::Settling);
            if step.is_some() || settling {
                let wait = self.await_container(name, component, step);
                self.builder.after_all(wait, self.etcd_heals.clone(), Because::Needs);
                self.builder.after_all(wait, self.joined.get(name).copied(), Because::Needs);
            }
        }
    }

    pub(crate) fn majority_guard(&self, node: &NodeName) -> Vec<Guard> {
        if !self.rules.one_at_a_time {
            return vec![];
        }
        let via = self.via(self.seen.etcd.members(), None);
        vec![Guard::EtcdMajorityWithout { node: node.clone(), via }]
    }

    /// All nodes whose members can be asked, those out of sight too, since they count: those that will answer
    /// first, `except` behind its like. While etcd says nothing of its members, whoever has data of one may be one.
    fn via(&self, members: &[MemberSeen], except: Option<&NodeName>) -> Vec<NodeName> {
        let mut nodes: Vec<(bool, bool, bool, NodeName)> = self
            .seen
            .nodes
            .keys()
            .filter_map(|name| {
                let peer = self.peer_url(name)?;
                let member = members.iter().find(|member| member.peer_url == peer);
                let is_etcd = self.wish.nodes.get(name).is_some_and(|node| node.has(Role::Etcd));
                let may_be_one = || members.is_empty() && self.may_hold_a_member(name);
                (member.is_some() || is_etcd || may_be_one()).then(|| {
                    let healthy = member.is_some_and(|member| member.health == Health::Healthy);
                    (!self.is_in_sight(name), Some(name) == except, !healthy, name.clone())
                })
            })
            .collect();
        nodes.sort();
        nodes.into_iter().map(|(_, _, _, name)| name).collect()
    }

    /// Whether a node has etcd's data, or had etcd when it was last seen.
    fn may_hold_a_member(&self, name: &NodeName) -> bool {
        if let Some(facts) = self.facts(name) {
            return facts.etcd_data == EtcdData::Present;
        }
        let last = self.seen.ledger.nodes.get(name);
        last.is_some_and(|last| last.roles.contains(&Role::Etcd))
    }

    /// The peer address of a node of cluster.yml or of the ledger.
    fn peer_url(&self, name: &NodeName) -> Option<String> {
        let target = match self.wish.nodes.get(name) {
            Some(node) => &node.target,
            None => &self.seen.ledger.nodes.get(name)?.target,
        };
        Some(target.peer_url())
    }

    pub(crate) fn node_has_peer(&self, name: &NodeName, peer_url: &str) -> bool {
        self.peer_url(name).as_deref() == Some(peer_url)
    }

    fn node_of_peer(&self, peer_url: &str) -> Option<&'a NodeName> {
        self.seen.nodes.keys().find(|name| self.peer_url(name).as_deref() == Some(peer_url))
    }
}

/// The arithmetic of a majority while members come and go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Votes {
    total: usize,
    healthy: usize,
    /// Voters that are not healthy now and will be when this plan has brought them up.
    heals: usize,
}

impl Votes {
    fn of(members: &[MemberSeen]) -> Self {
        let voters = members.iter().filter(|member| member.vote == Vote::Voter);
        Self {
            total: voters.clone().count(),
            healthy: voters.filter(|member| member.health == Health::Healthy).count(),
            heals: 0,
        }
    }
}

/// A member's name, which is RKE's.
pub(crate) fn member_name(node: &NodeName) -> String {
    format!("etcd-{node}")
}

/// The value of `--initial-cluster`, in the order of the peer addresses.
pub(crate) fn initial_cluster(members: BTreeMap<String, String>) -> String {
    let members: Vec<String> = members.into_iter().map(|(peer, name)| format!("{name}={peer}")).collect();
    members.join(",")
}

/// The arguments that count only while a member has no data.
///
/// Source: <https://etcd.io/docs/v3.4/op-guide/configuration/>, "Clustering flags".
pub(crate) fn birth_arguments(state: &str, list: &str) -> Vec<Arc<str>> {
    vec![
        Arc::from(format!("--initial-cluster={list}")),
        Arc::from(format!("--initial-cluster-state={state}")),
        Arc::from("--initial-cluster-token=etcd-cluster-1"),
    ]
}
