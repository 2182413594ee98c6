//! Whether a plan that restores etcd's data from a snapshot does so only after all former data has been moved
//! aside.

use windlass_model::{Action, Component, NodeName, NodeSeen, Planning, Role};

use super::audited::Ordered;
use super::fault::Fault;

/// Whether a plan creates data from a snapshot: then the ordinary stages come in a later round.
pub(super) fn is_one(planning: &Planning) -> bool {
    planning.plan.steps.iter().any(|step| matches!(step.action, Action::RestoreMember { .. }))
}

/// Its steps are of these kinds, in this order: copies, stops, moves, new data.
pub(super) fn check(audited: &Ordered<'_>, faults: &mut Vec<Fault>) {
    let of = |kind: fn(&Action) -> bool| -> Vec<usize> {
        audited.actions().filter(|(_, _, action)| kind(action)).map(|(index, ..)| index).collect()
    };
    let copies = of(|action| matches!(action, Action::StageSnapshot { .. }));
    let stops = of(|action| matches!(action, Action::RemoveContainer { .. }));
    let moves = of(|action| matches!(action, Action::MoveAside { .. }));
    let all_before = |earlier: &[usize], later: usize| {
        earlier.iter().all(|earlier| audited.order.comes_before(*earlier, later))
    };
    for (index, id, action) in audited.actions() {
        let fine = match action {
            Action::CommitLedger { .. } | Action::PullImage { .. } | Action::StageSnapshot { .. } => true,
            Action::RemoveContainer { container, .. } => {
                let component = Component::of_container(container);
                let of_node = [Component::Kubelet, Component::KubeProxy];
                let stops = |what: Component| {
                    what == Component::Etcd || what.is_control_plane() || of_node.contains(&what)
                };
                component.is_some_and(stops) && all_before(&copies, index)
            }
            Action::MoveAside { .. } => all_before(&copies, index) && all_before(&stops, index),
            Action::RestoreMember { node, .. } => {
                all_before(&copies, index)
                    && all_before(&stops, index)
                    && all_before(&moves, index)
                    && audited.desired.nodes.get(node).is_some_and(|node| node.has(Role::Etcd))
            }
            _ => false,
        };
        if !fine {
            faults.push(Fault(format!("{id}: it has no place, or another one, in a restore of etcd")));
        }
    }
    check_one_cluster(audited, faults);
}

/// The data of all members is created from one file, with one token; no former member keeps running.
fn check_one_cluster(audited: &Ordered<'_>, faults: &mut Vec<Fault>) {
    let made: Vec<_> = audited
        .actions()
        .filter_map(|(_, _, action)| match action {
            Action::RestoreMember { restore, .. } => {
                Some((&restore.token, &restore.members, restore.snapshot.sha256))
            }
            _ => None,
        })
        .collect();
    if made.windows(2).any(|pair| pair[0] != pair[1]) {
        faults.push(Fault("members are restored as those of several clusters".to_owned()));
    }
    let removes = |node: &NodeName| {
        audited.actions().any(|(_, _, action)| {
            matches!(action, Action::RemoveContainer { node: of, container, .. }
                if of == node && Component::of_container(container) == Some(Component::Etcd))
        })
    };
    for (node, facts) in
        audited.seen.nodes.iter().filter_map(|(node, seen)| Some((node, NodeSeen::facts(seen)?)))
    {
        let ours = facts
            .containers
            .get(Component::Etcd.as_str())
            .is_some_and(|seen| seen.lineage.is_some() && seen.lineage == audited.seen.ledger.lineage);
        if ours && !removes(node) {
            faults.push(Fault(format!("{node}/etcd goes on while its cluster is restored")));
        }
    }
}
