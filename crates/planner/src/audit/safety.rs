//! Whether some execution of the plan could take down more than may be down at once.

use windlass_model::{
    Action, Component, ContainerState, EtcdSeen, Gate, Health, MemberSeen, NodeName, Readiness, Role,
    Scheduling, Vote,
};

use super::audited::Ordered;
use super::fault::Fault;

/// A step that disturbs etcd, and how.
struct Disturbance<'a> {
    index: usize,
    id: &'a str,
    node: Option<&'a NodeName>,
    peer_url: Option<String>,
    removes_member: bool,
}

/// Healthy members are disturbed one at a time, each awaited before the next, and the others always are a
/// majority.
pub(super) fn check_etcd(audited: &Ordered<'_>, faults: &mut Vec<Fault>) {
    let EtcdSeen::Members(members) = &audited.seen.etcd else { return };
    let disturbances = disturbances_of_etcd(audited);
    let voter = |peer: Option<&String>| {
        members.iter().find(|member| Some(&member.peer_url) == peer && member.vote == Vote::Voter)
    };
    let mut gone = 0;
    for (position, disturbance) in disturbances.iter().enumerate() {
        let Some(member) = voter(disturbance.peer_url.as_ref()) else { continue };
        gone += usize::from(disturbance.removes_member);
        if member.health != Health::Healthy {
            continue;
        }
        let healthy_beside = members
            .iter()
            .filter(|other| other.vote == Vote::Voter && other.id != member.id)
            .filter(|other| {
                other.health == Health::Healthy || is_healed_before(audited, other, disturbance.index)
            })
            .filter(|other| {
                !disturbances.iter().any(|earlier| {
                    earlier.removes_member
                        && earlier.peer_url.as_ref() == Some(&other.peer_url)
                        && audited.order.comes_before(earlier.index, disturbance.index)
                })
            })
            .count();
        let voters = members.iter().filter(|member| member.vote == Vote::Voter).count();
        let joined = audited
            .actions()
            .filter(|(index, _, action)| {
                matches!(action, Action::EtcdMemberPromote { .. })
                    && audited.order.comes_before(*index, disturbance.index)
            })
            .count();
        let dropped = disturbances
            .iter()
            .filter(|earlier| {
                earlier.removes_member
                    && voter(earlier.peer_url.as_ref()).is_some()
                    && audited.order.comes_before(earlier.index, disturbance.index)
            })
            .count();
        let total = (voters + joined).saturating_sub(dropped);
        let needed = if disturbance.removes_member { (total - 1) / 2 + 1 } else { total / 2 + 1 };
        if total > 2 && healthy_beside + joined < needed {
            faults.push(Fault(format!(
                "{}: {} of {total} members would stand, and {needed} are needed",
                disturbance.id,
                healthy_beside + joined
            )));
        }
        if blind_to_etcd(audited) {
            faults.push(Fault(format!("{}: an etcd node is unreachable", disturbance.id)));
        }
        for other in disturbances.iter().skip(position + 1) {
            if voter(other.peer_url.as_ref()).is_some_and(|other| other.health == Health::Healthy)
                && other.node != disturbance.node
                && !audited.order.never_together(disturbance.index, other.index)
            {
                faults.push(Fault(format!("{} and {} may be under way at once", disturbance.id, other.id)));
            }
        }
        if !disturbance.removes_member {
            check_awaited(audited, disturbance, &disturbances, faults);
        }
    }
    let voters = members.iter().filter(|member| member.vote == Vote::Voter).count();
    if gone >= voters
        && gone > 0
        && !audited.actions().any(|(_, _, action)| matches!(action, Action::EtcdMemberPromote { .. }))
    {
        faults.push(Fault("every member of etcd leaves".to_owned()));
    }
}

fn disturbances_of_etcd<'a>(audited: &'a Ordered<'_>) -> Vec<Disturbance<'a>> {
    let peer_of = |node: &NodeName| {
        audited
            .desired
            .nodes
            .get(node)
            .map(|desired| &desired.target)
            .or_else(|| audited.seen.ledger.nodes.get(node).map(|last| &last.target))
            .map(windlass_model::NodeTarget::peer_url)
    };
    let left = |peer: &str, index: usize| {
        audited.actions().any(|(earlier, _, action)| {
            matches!(action, Action::EtcdMemberRemove { peer_url, .. } if peer_url == peer)
                && audited.order.comes_before(earlier, index)
        })
    };
    audited
        .actions()
        .filter_map(|(index, id, action)| match action {
            Action::ReplaceContainer { node, component: Component::Etcd, .. }
            | Action::RestartContainer { node, component: Component::Etcd, .. } => Some(Disturbance {
                index,
                id,
                node: Some(node),
                peer_url: peer_of(node),
                removes_member: false,
            }),
            Action::RemoveContainer { node, container, .. } if container.as_str() == "etcd" => {
                let peer_url = peer_of(node).filter(|peer| !left(peer, index));
                Some(Disturbance { index, id, node: Some(node), peer_url, removes_member: false })
            }
            Action::EtcdMemberRemove { peer_url, .. } => Some(Disturbance {
                index,
                id,
                node: None,
                peer_url: Some(peer_url.clone()),
                removes_member: true,
            }),
            _ => None,
        })
        .collect()
}

fn is_healed_before(audited: &Ordered<'_>, member: &MemberSeen, index: usize) -> bool {
    audited.actions().any(|(earlier, _, action)| {
        matches!(action, Action::AwaitHealthy { gate: Gate::EtcdMember { node }, .. }
            if audited.desired.nodes.get(node).map(|desired| desired.target.peer_url()).as_deref() == Some(&member.peer_url)
                || audited.seen.ledger.nodes.get(node).map(|last| last.target.peer_url()).as_deref() == Some(&member.peer_url))
            && audited.order.comes_before(earlier, index)
    })
}

/// Between two disturbances of healthy members the plan waits for the first.
fn check_awaited(
    audited: &Ordered<'_>,
    disturbance: &Disturbance<'_>,
    all: &[Disturbance<'_>],
    faults: &mut Vec<Fault>,
) {
    for later in all.iter().filter(|later| audited.order.comes_before(disturbance.index, later.index)) {
        if later.node == disturbance.node {
            continue;
        }
        let awaited = audited.actions().any(|(index, _, action)| {
            matches!(action, Action::AwaitHealthy { gate: Gate::EtcdMember { node }, .. } if Some(node) == disturbance.node)
                && audited.order.comes_before(disturbance.index, index)
                && audited.order.comes_before(index, later.index)
        });
        if !awaited {
            faults.push(Fault(format!("{} does not wait for {}", later.id, disturbance.id)));
        }
    }
}

fn blind_to_etcd(audited: &Ordered<'_>) -> bool {
    audited.desired.with_role(Role::Etcd).any(|(name, _)| audited.facts(name).is_none())
}

/// The data of a member that counts is not touched, and etcd's data is never deleted while a cluster is live.
pub(super) fn check_data(audited: &Ordered<'_>, faults: &mut Vec<Fault>) {
    for (index, id, action) in audited.actions() {
        match action {
            Action::RemovePaths { paths, .. }
                if audited.desired.footprints.all().any(|place| {
                    place.etcd().directories().iter().any(|directory| paths.contains(directory))
                }) =>
            {
                faults.push(Fault(format!("{id}: deletes the data of etcd")));
            }
            Action::MoveAside { node, .. } => {
                let peer = audited
                    .desired
                    .nodes
                    .get(node)
                    .map(|desired| desired.target.peer_url())
                    .or_else(|| audited.seen.ledger.nodes.get(node).map(|last| last.target.peer_url()));
                let member = audited
                    .seen
                    .etcd
                    .members()
                    .iter()
                    .find(|member| Some(&member.peer_url) == peer.as_ref() && member.has_started());
                let left = audited.actions().any(|(earlier, _, other)| {
                    matches!(other, Action::EtcdMemberRemove { peer_url, .. } if Some(peer_url) == peer.as_ref())
                        && audited.order.comes_before(earlier, index)
                });
                if member.is_some() && !left {
                    faults.push(Fault(format!("{id}: moves the data of a member that counts")));
                }
            }
            _ => {}
        }
    }
}

/// No more healthy API servers are down at once than allowed.
pub(super) fn check_api_servers(audited: &Ordered<'_>, faults: &mut Vec<Fault>) {
    let healthy = |node: &NodeName| {
        audited.facts(node).is_some_and(|facts| {
            facts.containers.get(Component::KubeApiserver.as_str()).is_some_and(|container| {
                container.state == ContainerState::Running && container.health == Health::Healthy
            })
        })
    };
    let spans: Vec<(usize, usize)> = audited
        .actions()
        .filter_map(|(index, _, action)| match action {
            Action::ReplaceContainer { node, component: Component::KubeApiserver, .. }
            | Action::RestartContainer { node, component: Component::KubeApiserver, .. }
                if healthy(node) =>
            {
                Some((index, wait_after(audited, node, Component::KubeApiserver, index)))
            }
            _ => None,
        })
        .collect();
    let total = audited.desired.with_role(Role::ControlPlane).count();
    let limit = audited.desired.rollout.max_unavailable_controlplane.of(total);
    let together = at_once(audited, &spans);
    if together > limit {
        faults.push(Fault(format!("{together} API servers may be down at once, and the limit is {limit}")));
    }
}

fn wait_after(audited: &Ordered<'_>, node: &NodeName, component: Component, index: usize) -> usize {
    audited
        .actions()
        .find_map(|(later, _, action)| match action {
            Action::AwaitHealthy { gate: Gate::Container { node: of, component: what }, .. }
                if of == node && *what == component && audited.order.comes_before(index, later) =>
            {
                Some(later)
            }
            _ => None,
        })
        .unwrap_or(index)
}

/// No more available workers are taken down at once than the limit allows.
pub(super) fn check_workers(audited: &Ordered<'_>, faults: &mut Vec<Fault>) {
    let workers: Vec<&NodeName> = audited.desired.with_role(Role::Worker).map(|(name, _)| name).collect();
    let works = |node: &NodeName| {
        let Some(facts) = audited.facts(node) else { return false };
        let desired = &audited.desired.nodes[node];
        let runs = |component: Component| {
            !desired.containers.contains_key(&component)
                || facts.containers.get(component.as_str()).is_some_and(|container| {
                    container.state == ContainerState::Running && container.health == Health::Healthy
                })
        };
        runs(Component::Kubelet)
            && runs(Component::KubeProxy)
            && runs(Component::NginxProxy)
            && audited.seen.kube.node(node).is_some_and(|object| {
                object.ready == Readiness::Ready && object.scheduling == Scheduling::Open
            })
    };
    let mut spans = Vec::new();
    for &worker in workers.iter().filter(|worker| works(worker)) {
        let steps: Vec<usize> = audited
            .actions()
            .filter(|(_, _, action)| action.node() == Some(worker))
            .filter(|(_, _, action)| {
                matches!(
                    action,
                    Action::Cordon { .. }
                        | Action::Drain { .. }
                        | Action::ReplaceContainer {
                            component: Component::Kubelet | Component::KubeProxy | Component::NginxProxy,
                            ..
                        }
                )
            })
            .map(|(index, ..)| index)
            .collect();
        let first = steps.iter().copied().find(|&step| {
            steps.iter().all(|&other| other == step || audited.order.comes_before(step, other))
        });
        if steps.is_empty() {
            continue;
        }
        let Some(first) = first else {
            faults.push(Fault(format!("the changes of {worker} have no first step")));
            continue;
        };
        let last = audited
            .actions()
            .filter(|(index, _, action)| {
                action.node() == Some(worker)
                    && matches!(
                        action,
                        Action::AwaitHealthy { gate: Gate::NodeReady { .. }, .. } | Action::Uncordon { .. }
                    )
                    && audited.order.comes_before(first, *index)
            })
            .map(|(index, ..)| index)
            .reduce(|one, other| if audited.order.comes_before(one, other) { other } else { one });
        let Some(last) = last else {
            faults.push(Fault(format!("{worker} is changed, and nothing waits for it")));
            continue;
        };
        spans.push((first, last));
    }
    let limit = audited.desired.rollout.max_unavailable_worker.of(workers.len());
    let blind = workers.iter().filter(|worker| audited.facts(worker).is_none()).count();
    let together = at_once(audited, &spans);
    if together > 0 && together + blind > limit {
        faults.push(Fault(format!(
            "{together} workers may be down at once beside {blind} that are unreachable, and the limit is {limit}"
        )));
    }
}

/// How many of these spans may be open at once: a greedy cover by chains, which is never too few.
fn at_once(audited: &Ordered<'_>, spans: &[(usize, usize)]) -> usize {
    let mut spans = spans.to_vec();
    // Sorted so that each span comes after all spans that must end before it begins.
    let rank = |first: usize| spans_before(audited, first);
    spans.sort_by_key(|&(first, _)| rank(first));
    let mut chains: Vec<usize> = Vec::new();
    for (first, last) in spans {
        match chains.iter_mut().find(|end| audited.order.comes_before(**end, first)) {
            Some(end) => *end = last,
            None => chains.push(last),
        }
    }
    chains.len()
}

fn spans_before(audited: &Ordered<'_>, first: usize) -> usize {
    (0..audited.planning.plan.steps.len()).filter(|&step| audited.order.comes_before(step, first)).count()
}

/// Nodes are cordoned before they are drained, and uncordoned only where windlass cordoned them.
pub(super) fn check_cordons(audited: &Ordered<'_>, faults: &mut Vec<Fault>) {
    for (index, id, action) in audited.actions() {
        let (node, opens) = match action {
            Action::Drain { node, .. } => (node, false),
            Action::Uncordon { node } => (node, true),
            _ => continue,
        };
        let cordoned_here = audited.actions().any(|(earlier, _, other)| {
            matches!(other, Action::Cordon { node: of, .. } if of == node)
                && audited.order.comes_before(earlier, index)
        });
        let scheduling = audited.seen.kube.node(node).map(|object| object.scheduling).unwrap_or_default();
        let fine = if opens {
            cordoned_here || scheduling == Scheduling::CordonedByWindlass
        } else {
            cordoned_here || scheduling != Scheduling::Open
        };
        if !fine {
            faults.push(Fault(format!("{id}: nobody cordoned {node} for it")));
        }
    }
}
