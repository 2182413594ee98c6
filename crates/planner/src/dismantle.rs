//! Removes a cluster: all nodes at once, and the ledger last.

use std::collections::BTreeSet;

use windlass_model::{
    Action, Because, Component, ContainerName, DesiredEtcd, FilePath, Foreign, Holds, LedgerChange, MadeBy,
    NodeFacts, NodeName, NodeSeen, Note, Reason, Snapshots, StepId, Subject, Waiting,
};

use crate::builder::{PlanBuilder, StepHandle};
use crate::clearing::{
    has_pod_state, note_foreign_containers, remove_container, remove_paths, remove_pods, root_of_pods, traces,
};
use crate::context::Context;
use crate::ownership::{found_on, is_known, is_our_place, is_ours};

/// The steps that clear a node.
struct Cleared {
    all: Vec<StepHandle>,
    /// The removal of its files, where a copy of the ledger is among them.
    ledger: Option<StepHandle>,
    api_server: Option<StepHandle>,
    etcd: Option<StepHandle>,
}

/// From how many nodes the cluster is removed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    All,
    Some,
}

/// Plans the removal of the whole cluster from every reachable node.
pub(crate) fn plan<'a>(ctx: &Context<'a>, snapshots: Snapshots, build: &mut PlanBuilder<'a>) {
    let kept: &[Holds] = match snapshots {
        Snapshots::Delete => &[],
        Snapshots::Keep => &[Holds::Snapshots],
    };
    let mut done = Vec::new();
    let mut cleared: BTreeSet<NodeName> = BTreeSet::new();
    let mut reached = Reached::All;
    let (mut api_servers, mut members) = (Vec::new(), Vec::new());
    let (mut copies, mut without_copy) = (Vec::new(), Vec::new());
    for (name, node) in &ctx.seen.nodes {
        match node {
            NodeSeen::InSight(facts) if !is_known(ctx, name, facts) => {
                let found = not_ours(ctx, name, facts);
                if found.made_by == MadeBy::Somebody && found.files.is_empty() {
                    note_foreign_containers(ctx, name, facts, build);
                    note_foreign_data(ctx, name, facts, build);
                } else {
                    build.hold(Subject::Node(name.clone()), Waiting::NotThisClusters { found }, None);
                }
            }
            NodeSeen::InSight(facts) => {
                note_foreign_containers(ctx, name, facts, build);
                note_foreign_data(ctx, name, facts, build);
                let gone = clear_node(ctx, name, facts, kept, build);
                match gone.ledger {
                    Some(files) => copies.push(files),
                    None => without_copy.extend(gone.all.iter().copied()),
                }
                done.extend(gone.all);
                api_servers.extend(gone.api_server);
                members.extend(gone.etcd);
                cleared.insert(name.clone());
            }
            NodeSeen::OutOfSight(error) => {
                reached = Reached::Some;
                let waiting = Waiting::NodeUnreachableForRemoval { error: error.clone() };
                build.hold(Subject::Node(name.clone()), waiting, None);
            }
        }
    }
    for member in members {
        // An API server that is stopped waits for etcd, in order to record there that it is gone.
        build.after_all(member, api_servers.iter().copied(), Because::RemoveLast);
    }
    for copy in copies {
        // If this run ends early and the operator's own ledger is lost, only a copy says whose the other nodes are.
        build.after_all(copy, without_copy.iter().copied(), Because::RemoveLast);
    }
    note_what_is_kept(ctx, kept, build);
    forget(ctx, &cleared, reached, &done, build);
}

fn note_what_is_kept(ctx: &Context<'_>, kept: &[Holds], build: &mut PlanBuilder<'_>) {
    let holds_snapshots = |(path, holds): (&FilePath, &Holds)| {
        let is_there = ctx.all_facts().any(|(_, facts)| facts.directories.contains(path));
        (*holds == Holds::Snapshots && kept.contains(holds) && is_there).then(|| path.clone())
    };
    if let Some(path) = ctx.desired.footprints.ordinary.directories.iter().find_map(holds_snapshots) {
        build.note(Subject::Snapshots, Note::SnapshotsKept { path }, None);
    }
    if let DesiredEtcd::External { urls, prefix } = &ctx.desired.etcd {
        let note = Note::ExternalEtcdDataKept { urls: urls.clone(), prefix: prefix.clone() };
        build.note(Subject::Etcd, note, Some("services.etcd.external_urls".into()));
    }
}

/// What is on a node that belongs to others, though the operator who runs `remove` may look for it there.
fn not_ours(ctx: &Context<'_>, name: &NodeName, facts: &NodeFacts) -> Foreign {
    let mut found = found_on(ctx, name, facts);
    let footprint = ctx.desired.footprints.under(facts.prefix.as_ref());
    found.files.extend(facts.files.keys().filter(|path| footprint.files.contains(*path)).cloned());
    found
}

fn note_foreign_data(ctx: &Context<'_>, name: &NodeName, facts: &NodeFacts, build: &mut PlanBuilder<'_>) {
    let path = ctx.desired.footprints.under(facts.prefix.as_ref()).etcd_data.clone();
    if facts.directories.contains(&path) && !is_our_place(ctx, name, facts) {
        build.note(Subject::EtcdData(name.clone()), Note::ForeignData { path }, None);
    }
}

/// Clears one node: containers, pods, then files and directories.
fn clear_node(
    ctx: &Context<'_>,
    name: &NodeName,
    facts: &NodeFacts,
    kept: &[Holds],
    build: &mut PlanBuilder<'_>,
) -> Cleared {
    let ours: Vec<&ContainerName> = facts
        .containers
        .iter()
        .filter(|(container, seen)| is_ours(ctx, name, container, seen))
        .map(|(container, _)| container)
        .collect();
    let mut removed = Vec::new();
    let (mut kubelet, mut proxy, mut api_server, mut etcd) = (None, None, None, None);
    for container in ours {
        let step = remove_container(name, container, vec![], Reason::Dismantled, build);
        match Component::of_container(container) {
            Some(Component::Kubelet) => kubelet = Some(step),
            Some(Component::KubeProxy) => proxy = Some(step),
            Some(Component::KubeApiserver) => api_server = Some(step),
            Some(Component::Etcd) => etcd = Some(step),
            _ => {}
        }
        removed.push(step);
    }
    let footprint = ctx.desired.footprints.under(facts.prefix.as_ref());
    if kubelet.is_some() || has_pod_state(footprint, facts) {
        removed.push(remove_pods(
            name,
            root_of_pods(ctx, name, facts),
            None,
            Reason::Dismantled,
            kubelet.into_iter().chain(proxy),
            build,
        ));
    }
    let paths = traces(ctx, name, facts, kept);
    let files = remove_paths(name, paths, Reason::Dismantled, removed.iter().copied(), build);
    removed.extend(files);
    Cleared { all: removed, ledger: files.filter(|_| facts.ledger.is_some()), api_server, etcd }
}

/// The ledger is deleted when nothing is left that needs it.
fn forget(
    ctx: &Context<'_>,
    cleared: &BTreeSet<NodeName>,
    reached: Reached,
    done: &[StepHandle],
    build: &mut PlanBuilder<'_>,
) {
    if ctx.seen.ledger.lineage.is_none() {
        return;
    }
    let step = if reached == Reached::All {
        build.step("cluster", "ledger", Action::ForgetLedger, vec![Reason::Dismantled], vec![])
    } else {
        let nodes = ctx.seen.ledger.nodes.keys();
        let forget: BTreeSet<NodeName> = nodes.filter(|name| cleared.contains(*name)).cloned().collect();
        if forget.is_empty() {
            return;
        }
        let change = LedgerChange { forget, ..LedgerChange::default() };
        let id = StepId::new("cluster", "ledger", "conclude");
        build.step_at(id, Action::CommitLedger { change: Box::new(change) }, vec![Reason::Dismantled], vec![])
    };
    build.after_all(step, done.iter().copied(), Because::RemoveLast);
}
