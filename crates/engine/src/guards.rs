//! What must be true immediately before a disruption; it is checked again, since the plan is older.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};
use windlass_model::{
    Component, ContainerState, Ending, EtcdData, EtcdSeen, Gate, Guard, Health, KubeSeen, MemberSeen,
    NodeName, NodeObject, Readiness, Scheduling, Unasked, Vote,
};

use crate::disturbed::{Disturbed, Kind};
use crate::limits::GuardSwitch;
use crate::ports::{Clock, Fleet, LedgerStore, Minter, PortResult, Traces};
use crate::run::Run;
use crate::step_error::{Doing, Done, Seen, StepError, accept_already_so};

/// How long a guard is tried: an election or a slow answer passes within it.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long silence must last without a break to be longer than an election: twice the election timeout that
/// RKE sets is the longest (<https://etcd.io/docs/v3.4/tuning/>), and a little.
const SILENCE: Duration = Duration::from_secs(15);
/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// How old node objects may be for a guard. Any change of them by this run makes them too old at once.
const FRESH: Duration = Duration::from_secs(1);

/// A guard that is not satisfied, and what was seen.
struct Closed<'g> {
    guard: &'g Guard,
    seen: String,
    /// Whether only silence makes it fail.
    mute: bool,
}

/// The result of a check of a guard.
enum Verdict {
    /// It is satisfied, or the node has nothing left to lose.
    Holds,
    /// It is satisfied; but the member leads, and another should before it is disturbed.
    HoldsForALeader,
    /// It is not satisfied: this was seen.
    Not(String),
    /// Nobody answers, and the node's own component does not work: the guard is satisfied if that lasts.
    Mute(String),
}

impl<F: Fleet, L: LedgerStore, M: Minter, C: Clock> Run<'_, F, L, M, C> {
    /// Returns when all guards are satisfied at once and etcd's leadership has been moved off the member;
    /// fails if they are not satisfied in time.
    pub(crate) async fn hold_guards(&self, guards: &[Guard]) -> Done {
        if self.limits.guards == GuardSwitch::Off {
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        let mut mute_since = None;
        loop {
            let lasts = mute_since.is_some_and(|since: Instant| since.elapsed() >= SILENCE);
            let (guard, seen) = match self.look_at_guards(guards, lasts).await {
                Ok(led) => return self.move_leaders_off(&led).await,
                Err(Closed { guard, seen, mute: true }) => {
                    mute_since.get_or_insert_with(Instant::now);
                    (guard, seen)
                }
                Err(Closed { guard, seen, mute: false }) => {
                    mute_since = None;
                    (guard, seen)
                }
            };
            if Instant::now() >= deadline {
                return Err(StepError::Unguarded {
                    guard: wanted(guard),
                    seconds: PATIENCE.as_secs(),
                    source: Seen(seen),
                });
            }
            sleep(PAUSE).await;
        }
    }

    /// If all guards are satisfied, those of a member that leads; otherwise the first that is not, and what
    /// was seen.
    ///
    /// Where silence has lasted longer than any election, a component that does not work has no part in a
    /// majority.
    async fn look_at_guards<'g>(
        &self,
        guards: &'g [Guard],
        silence_lasts: bool,
    ) -> Result<Vec<&'g Guard>, Closed<'g>> {
        let mut led = Vec::new();
        // Locked during the look, so that of two steps that look at once the second counts what the first
        // disturbs.
        let mut disturbed = self.disturbed.lock().await;
        for guard in guards {
            let verdict = match guard {
                Guard::EtcdMajorityWithout { node, via } => {
                    self.etcd_majority_without(node, via, &disturbed).await
                }
                Guard::ApiServersBeside { node, others, limit } => {
                    self.api_servers_beside(node, others, *limit, &disturbed).await
                }
                Guard::Window { node, among, new, limit } => {
                    self.window(node, (among, new), *limit, &disturbed).await
                }
                Guard::EtcdMemberLost { node, via } => self.etcd_member_lost(node, via).await,
                Guard::EtcdMemberOut { node, via } => self.etcd_member_out(node, via).await,
            };
            match verdict {
                Verdict::Holds => {}
                Verdict::HoldsForALeader => led.push(guard),
                Verdict::Mute(_) if silence_lasts => {}
                Verdict::Mute(seen) => return Err(Closed { guard, seen, mute: true }),
                Verdict::Not(seen) => return Err(Closed { guard, seen, mute: false }),
            }
        }
        disturbed.extend(guards.iter().filter_map(subject));
        Ok(led)
    }

    async fn move_leaders_off(&self, guards: &[&Guard]) -> Done {
        for guard in guards {
            let Guard::EtcdMajorityWithout { node, via } = guard else { continue };
            let Some(peer_url) = self.peer_url(node) else { continue };
            accept_already_so(self.ports.fleet.move_leader(via, &peer_url).await)
                .doing(|| format!("move etcd's leadership off {node}"))?;
        }
        Ok(())
    }

    async fn etcd_majority_without(
        &self,
        node: &NodeName,
        via: &[NodeName],
        disturbed: &Disturbed,
    ) -> Verdict {
        match self.ports.fleet.members(via).await {
            Ok(EtcdSeen::Members(members)) => {
                let down: Vec<String> = disturbed
                    .iter()
                    .filter(|(kind, other)| *kind == Kind::Etcd && other != node)
                    .filter_map(|(_, other)| self.peer_url(other))
                    .collect();
                majority_without(self.peer_url(node).as_deref(), &members, &down)
            }
            Ok(EtcdSeen::Silent) => {
                self.unless_needed(node, via, "etcd is silent, or has no majority".to_owned()).await
            }
            Err(error) => self.unless_needed(node, via, error.to_string()).await,
        }
    }

    /// etcd cannot be asked; but a member that does not even run is not needed for a majority, and where no
    /// two others run, there is none to lose.
    async fn unless_needed(&self, node: &NodeName, via: &[NodeName], seen: String) -> Verdict {
        if via.iter().filter(|other| *other != node).count() < 2 {
            return Verdict::Holds;
        }
        match self.ports.fleet.container(node, &Component::Etcd.container()).await {
            Ok(None) => Verdict::Holds,
            Ok(Some(etcd)) if etcd.state != ContainerState::Running => Verdict::Holds,
            Ok(Some(etcd)) if may_work(etcd.health) => Verdict::Not(seen),
            Ok(Some(_)) => Verdict::Mute(seen),
            Err(_) => Verdict::Not(seen),
        }
    }

    /// What a plan knows of a member that it removes is as old as the plan: a disk may be mounted, a cause
    /// repaired, and the member back. So etcd, its container and its data are checked once more.
    async fn etcd_member_lost(&self, node: &NodeName, via: &[NodeName]) -> Verdict {
        match self.listed(node, via).await {
            Err(seen) => return Verdict::Not(seen),
            Ok(Some(member)) if member.health == Health::Healthy => {
                return Verdict::Not(format!("the member of {node} is healthy"));
            }
            Ok(_) => {}
        }
        let facts = match self.ports.fleet.look(node, &self.assignment.scope, Traces::OwnProgram).await {
            Ok(facts) => facts,
            Err(error) => return Verdict::Not(error.to_string()),
        };
        let etcd = facts.containers.get(Component::Etcd.as_str());
        if let Some(etcd) = etcd.filter(|etcd| etcd.state == ContainerState::Running) {
            return Verdict::Not(format!("etcd runs on {node}, and is {}", shown(etcd.health)));
        }
        let ending = etcd.and_then(|etcd| etcd.ending.as_ref());
        // A member that was merely stopped may have its disk mounted, and be started.
        let places = self.assignment.scope.footprints.under(facts.prefix.as_ref()).etcd();
        let is_disk_there = facts.files.contains_key(&places.beside_data());
        let is_gone = match etcd.map(|etcd| etcd.state) {
            None => facts.etcd_data != EtcdData::Present,
            Some(ContainerState::Crashing) => facts.etcd_data == EtcdData::Absent,
            Some(ContainerState::Created | ContainerState::Stopped) => {
                facts.etcd_data == EtcdData::Absent && is_disk_there
            }
            Some(ContainerState::Running | ContainerState::Paused) => false,
        };
        if is_gone || ending.is_some_and(Ending::is_final) {
            return Verdict::Holds;
        }
        let said = ending.map(|ending| format!("; its log says `{}`", ending.said)).unwrap_or_default();
        Verdict::Not(format!("the member of {node} has its data and may come back{said}"))
    }

    /// A node that is a member, or works as one, keeps its data.
    async fn etcd_member_out(&self, node: &NodeName, via: &[NodeName]) -> Verdict {
        match self.listed(node, via).await {
            Err(seen) => return Verdict::Not(seen),
            Ok(Some(_)) => return Verdict::Not(format!("etcd lists a member on {node}")),
            Ok(None) => {}
        }
        match self.ports.fleet.container(node, &Component::Etcd.container()).await {
            Ok(Some(etcd)) if etcd.state == ContainerState::Running && may_work(etcd.health) => {
                Verdict::Not(format!("etcd on {node} runs, and is {}", shown(etcd.health)))
            }
            Ok(_) => Verdict::Holds,
            Err(error) => Verdict::Not(error.to_string()),
        }
    }

    /// The member that etcd lists for a node; what was seen where etcd does not answer.
    async fn listed(&self, node: &NodeName, via: &[NodeName]) -> Result<Option<MemberSeen>, String> {
        let Some(peer_url) = self.peer_url(node) else {
            return Err(format!("the address of {node} is unknown"));
        };
        match self.ports.fleet.members(via).await {
            Ok(EtcdSeen::Members(members)) => {
                Ok(members.into_iter().find(|member| member.peer_url == peer_url))
            }
            Ok(EtcdSeen::Silent) => Err("etcd is silent, or has no majority".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn api_servers_beside(
        &self,
        node: &NodeName,
        others: &[NodeName],
        limit: usize,
        disturbed: &Disturbed,
    ) -> Verdict {
        if others.is_empty() {
            return Verdict::Holds;
        }
        // A member that does not answer at once cannot be relied on, and must not make the others' answers
        // grow old.
        let looks = others.iter().map(|other| async move {
            let is_healthy = timeout(FRESH, self.is_api_server_healthy(other)).await;
            !disturbed.contains(&(Kind::ApiServer, other.clone())) && matches!(is_healthy, Ok(Ok(true)))
        });
        let healthy = join_all(looks).await.into_iter().filter(|healthy| *healthy).count();
        if healthy > 0 && others.len() - healthy < limit {
            return Verdict::Holds;
        }
        let seen = format!("{healthy} of {} other API servers healthy", others.len());
        match self.ports.fleet.container(node, &Component::KubeApiserver.container()).await {
            Ok(Some(api)) if api.state == ContainerState::Running && may_work(api.health) => {
                Verdict::Not(seen)
            }
            // It may only wait for etcd to elect a leader: let that pass first.
            Ok(_) => Verdict::Mute(seen),
            Err(error) => Verdict::Not(error.to_string()),
        }
    }

    async fn is_api_server_healthy(&self, node: &NodeName) -> PortResult<bool> {
        let seen = self.ports.fleet.container(node, &Component::KubeApiserver.container()).await?;
        Ok(seen.is_some_and(|seen| seen.state == ContainerState::Running && seen.health == Health::Healthy))
    }

    async fn window(
        &self,
        node: &NodeName,
        (among, new): (&BTreeSet<NodeName>, &BTreeSet<NodeName>),
        limit: usize,
        disturbed: &Disturbed,
    ) -> Verdict {
        let mut cached = self.node_objects.lock().await;
        if cached.as_ref().is_none_or(|(at, _)| at.elapsed() >= FRESH) {
            match self.ports.fleet.nodes().await {
                Ok(seen) => *cached = Some((Instant::now(), seen)),
                Err(error) => return Verdict::Not(error.to_string()),
            }
        }
        match cached.as_ref() {
            Some((_, KubeSeen::Nodes(objects))) => {
                let available = |node: &NodeName| {
                    objects.get(node).is_some_and(is_available)
                        && !disturbed.contains(&(Kind::Node, node.clone()))
                };
                let counts = |other: &NodeName| objects.contains_key(other) || !new.contains(other);
                let missing =
                    among.iter().filter(|other| *other != node && counts(other) && !available(other)).count();
                // A component that this run took down may be up again: only the node's object shows what
                // there is to lose.
                let has_left = !objects.get(node).is_some_and(is_available);
                if missing < limit || has_left || self.is_broken(node).await {
                    Verdict::Holds
                } else {
                    Verdict::Not(format!("{missing} of {} nodes are unavailable", among.len()))
                }
            }
            Some((_, KubeSeen::Silent)) | None => Verdict::Not("no API server answers".to_owned()),
        }
    }

    /// Whether a container of the node's own components runs and does not work, whether its object is ready
    /// or not.
    async fn is_broken(&self, node: &NodeName) -> bool {
        let parts = [Component::Kubelet, Component::KubeProxy, Component::NginxProxy];
        let looks = parts.iter().map(|part| async move {
            let seen = self.ports.fleet.container(node, &part.container()).await;
            matches!(seen, Ok(Some(seen)) if seen.health == Health::Unhealthy)
        });
        join_all(looks).await.contains(&true)
    }

    /// What a gate waited for is healthy: guards count it as available again.
    pub(crate) async fn count_again(&self, gate: &Gate) {
        let subject = match gate {
            Gate::EtcdMember { node } => (Kind::Etcd, node.clone()),
            Gate::Container { node, component: Component::KubeApiserver } => (Kind::ApiServer, node.clone()),
            Gate::NodeReady { node, .. } => (Kind::Node, node.clone()),
            Gate::Container { .. } | Gate::EtcdLogSnapshot { .. } | Gate::Addon { .. } => return,
        };
        self.disturbed.lock().await.remove(&subject);
    }

    /// Makes the next guard read the node objects again, whatever a read under way returns.
    pub(crate) async fn forget_node_objects(&self) {
        *self.node_objects.lock().await = None;
    }
}

fn majority_without(peer_url: Option<&str>, members: &[MemberSeen], down: &[String]) -> Verdict {
    let is_own = |member: &MemberSeen| Some(member.peer_url.as_str()) == peer_url;
    let voters: Vec<&MemberSeen> = members.iter().filter(|member| member.vote == Vote::Voter).collect();
    let own = voters.iter().find(|member| is_own(member));
    let stands = |member: &MemberSeen| member.health == Health::Healthy && !down.contains(&member.peer_url);
    let healthy_others = voters.iter().filter(|member| !is_own(member) && stands(member)).count();
    let majority_beside = voters.len() <= 2 || healthy_others > voters.len() / 2;
    // A node whose member does not vote has no vote to lose; but it must be known which member is its own.
    let has_no_vote = own.is_none() && peer_url.is_some();
    if !majority_beside && !has_no_vote {
        let healthy = voters.iter().filter(|member| member.health == Health::Healthy).count();
        return match own {
            // While a leader is elected, no member is healthy: let that pass first.
            Some(own) if !may_work(own.health) => {
                Verdict::Mute(format!("{healthy} of {} voters healthy", voters.len()))
            }
            _ => Verdict::Not(format!("{healthy} of {} voters healthy, this one among them", voters.len())),
        };
    }
    if own.is_some_and(|own| own.leads) && healthy_others > 0 {
        return Verdict::HoldsForALeader;
    }
    Verdict::Holds
}

/// What a disruption takes down, so that the next guard counts it before a look shows it.
fn subject(guard: &Guard) -> Option<(Kind, NodeName)> {
    match guard {
        Guard::EtcdMajorityWithout { node, .. } => Some((Kind::Etcd, node.clone())),
        Guard::ApiServersBeside { node, .. } => Some((Kind::ApiServer, node.clone())),
        Guard::Window { node, .. } => Some((Kind::Node, node.clone())),
        // What is lost, or not a member, is not counted anyway.
        Guard::EtcdMemberLost { .. } | Guard::EtcdMemberOut { .. } => None,
    }
}

/// Whether it works, or may work: one whose certificate nobody accepts does not, and waits for a new one.
fn may_work(health: Health) -> bool {
    match health {
        Health::Healthy | Health::Unknown(Unasked::NoWay | Unasked::NoAnswer) => true,
        Health::Starting | Health::Unhealthy | Health::Unknown(Unasked::Certificates) => false,
    }
}

fn shown(health: Health) -> String {
    match health {
        Health::Healthy => "healthy".to_owned(),
        Health::Starting => "starting".to_owned(),
        Health::Unhealthy => "not healthy".to_owned(),
        Health::Unknown(why) => format!("perhaps healthy: {why}"),
    }
}

fn is_available(object: &NodeObject) -> bool {
    object.ready == Readiness::Ready && object.scheduling == Scheduling::Open
}

fn wanted(guard: &Guard) -> String {
    match guard {
        Guard::EtcdMajorityWithout { node, .. } => format!("etcd has no majority without {node}"),
        Guard::ApiServersBeside { node, .. } => {
            format!("too few API servers work beside that of {node}")
        }
        Guard::Window { node, limit, .. } => {
            format!("{node} must wait: at most {limit} of its group may be unavailable at once")
        }
        Guard::EtcdMemberLost { node, .. } => format!("the member of etcd on {node} is not lost"),
        Guard::EtcdMemberOut { node, .. } => format!("{node} is not out of etcd"),
    }
}
