//! What windlass must never do, checked at every verb.

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_engine::PortResult;
use windlass_model::{
    Action, CertName, ChosenSnapshot, Component, ContainerName, DesiredKernel, ENCRYPTION_FILE, FilePath,
    ImageRef, KeptRoots, Ledger, MemberId, MemberRestore, NodeName,
};

use crate::at_rest::is_plain;
use crate::docker::is_already_so;
use crate::files::{FileState, is_under, ledger_copy};
use crate::process::path_on_machine;
use crate::run::Verb;
use crate::view::{Marks, Standing};
use crate::world::World;

/// Something that windlass did and must not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When, in milliseconds of the world.
    pub at: u64,
    /// The verb of the run.
    pub verb: u64,
    /// The broken rule.
    pub kind: ViolationKind,
    /// What happened.
    pub what: String,
    /// The last lines of the story before it.
    pub story: Vec<String>,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "verb {} broke {:?}: {}", self.verb, self.kind, self.what)?;
        self.story.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ViolationKind {
    /// A verb took the majority from a cluster of more than two voters.
    Quorum,
    /// A verb took the leader from a cluster of more than two voters, which does not answer until it has
    /// elected another.
    Stall,
    /// The data of a member was removed or abandoned.
    DataLoss,
    /// Two clusters of etcd were live in one world.
    Split,
    /// A verb made more workers unavailable than the limit allows.
    Window,
    /// A verb made more API servers unavailable than the limit allows, or stopped the last of several.
    ApiServers,
    /// A component was started that is too new for the API servers.
    Skew,
    /// A member of etcd was removed that works and is desired.
    Member,
    /// A node was uncordoned that somebody else had cordoned.
    CordonMark,
    /// A pod was evicted that the options of the drain protect.
    Drain,
    /// Something changed outside every step that had begun.
    Dishonest,
    /// A key left the operator's machine before it was on its disk.
    DurableFirst,
    /// A kubelet was started with another runtime while containers of pods ran with the former one: they keep
    /// ports and addresses, and nothing stops them any more. Or with another root directory while they have their volumes in the
    /// former one.
    PodsOfTwoRuntimes,
    /// An API server serves that cannot read stored Secrets.
    Unreadable,
    /// A private key was written into an object that many may read.
    InClear,
    /// Something was stopped, moved or deleted that windlass did not create for this cluster.
    Foreign,
    /// Something was stopped for a restore before every member's node had a copy of the snapshot that reads back.
    Unproven,
    /// A CA or service-account key was recreated although a live cluster uses the present one.
    NewAuthority,
}

/// The effect of a verb that is about to run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed<'a> {
    /// Asks a machine.
    Ask,
    /// Asks etcd or Kubernetes.
    AskApi,
    Pull {
        image: &'a ImageRef,
    },
    Create {
        name: &'a ContainerName,
    },
    Start {
        name: &'a ContainerName,
    },
    Stop {
        name: &'a ContainerName,
    },
    Rename {
        from: &'a ContainerName,
    },
    Remove {
        name: &'a ContainerName,
    },
    Reload {
        name: &'a ContainerName,
    },
    PutFiles {
        files: &'a [(FilePath, Arc<FileState>)],
    },
    SetKernel {
        kernel: &'a DesiredKernel,
    },
    HandOver {
        directory: &'a FilePath,
    },
    RemovePaths {
        paths: &'a BTreeSet<FilePath>,
    },
    MoveAside {
        path: &'a FilePath,
    },
    RemovePods,
    SaveSnapshot,
    StageSnapshot {
        snapshot: &'a ChosenSnapshot,
    },
    RestoreMember {
        restore: &'a MemberRestore,
    },
    AddLearner {
        peer_url: &'a str,
    },
    Promote {
        peer_url: &'a str,
    },
    RemoveMember {
        id: MemberId,
    },
    MoveLeader,
    /// Databases are compacted, or an alarm is lifted.
    CareForEtcd,
    Defragment,
    Cordon,
    Uncordon,
    Evict {
        pod: &'a str,
    },
    PatchNode,
    ChangeObject,
    RewriteSecrets,
    DeleteNode,
    KeepRoots {
        kept: &'a KeptRoots,
    },
    Mint {
        name: &'a CertName,
    },
    Commit {
        ledger: &'a Ledger,
    },
    DeleteLedger,
}

impl Deed<'_> {
    /// Whether it only reads.
    pub(crate) fn is_a_question(&self) -> bool {
        matches!(self, Self::Ask | Self::AskApi)
    }

    /// Whether it changes anything beyond the operator's machine.
    pub(crate) fn is_remote(&self) -> bool {
        !self.is_local() && !self.is_a_question()
    }

    /// Whether it stays on the operator's own machine.
    fn is_local(&self) -> bool {
        matches!(self, Self::Mint { .. } | Self::Commit { .. } | Self::DeleteLedger)
    }

    /// Whether it goes to etcd or to an API server, for which keys are needed.
    pub(crate) fn is_on_an_api(&self) -> bool {
        !self.is_on_a_machine() && !self.is_local()
    }

    /// Whether it goes to the verb's node, and not through any API server or member.
    pub(crate) fn is_on_a_machine(&self) -> bool {
        match self {
            Self::Ask
            | Self::Pull { .. }
            | Self::Create { .. }
            | Self::Start { .. }
            | Self::Stop { .. }
            | Self::Rename { .. }
            | Self::Remove { .. }
            | Self::Reload { .. }
            | Self::PutFiles { .. }
            | Self::SetKernel { .. }
            | Self::HandOver { .. }
            | Self::RemovePaths { .. }
            | Self::MoveAside { .. }
            | Self::RemovePods
            | Self::SaveSnapshot
            | Self::Defragment
            | Self::StageSnapshot { .. }
            | Self::RestoreMember { .. } => true,
            Self::AskApi
            | Self::AddLearner { .. }
            | Self::Promote { .. }
            | Self::RemoveMember { .. }
            | Self::MoveLeader
            | Self::CareForEtcd
            | Self::Cordon
            | Self::Uncordon
            | Self::Evict { .. }
            | Self::PatchNode
            | Self::ChangeObject
            | Self::RewriteSecrets
            | Self::DeleteNode
            | Self::KeepRoots { .. }
            | Self::Mint { .. }
            | Self::Commit { .. }
            | Self::DeleteLedger => false,
        }
    }
}

/// For how long after a fault windlass could not have noticed it, in milliseconds.
const FRESH: u64 = 2_000;

/// For how long after a fault the API still reports a node as ready: `--node-monitor-grace-period`, and a
/// little.
const UNSEEN_BY_THE_API: u64 = 45_000;

impl World {
    /// Records that windlass broke a rule.
    pub(crate) fn violate(&mut self, kind: ViolationKind, what: String) {
        let violation =
            Violation { at: self.now, verb: self.run.verbs, kind, what, story: self.run.story.tail(12) };
        self.run.story.note(self.now, format!("BROKEN {kind:?}: {}", violation.what));
        self.run.violations.push(violation);
    }

    /// Carries out a verb and compares the world before and after it.
    pub(crate) fn do_under_watch<T>(
        &mut self,
        verb: &Verb<'_>,
        effect: impl FnOnce(&mut Self) -> PortResult<T>,
    ) -> PortResult<T> {
        if verb.deed.is_a_question() {
            return effect(self);
        }
        let machine = verb.node.and_then(|node| self.machine_of(node));
        let endangered = machine.map(|machine| self.data_in_danger(machine, &verb.deed)).unwrap_or_default();
        let foreign = machine.and_then(|machine| self.foreign_in_danger(machine, &verb.deed));
        let undurable = self.undurable(&verb.deed);
        let before = self.view.marks.clone();
        let leaders = self.leaders();
        let honest = !self.run.rules.honest || self.is_under_a_step(verb);
        let needed = self.needed_member(&verb.deed);
        let unproven = self.stopped_too_early(verb);
        let result = effect(self);
        if result.is_err() && !is_already_so(&result) {
            return result;
        }
        if self.view.stale {
            self.settle(self.now);
        }
        if !honest && result.is_ok() {
            let what = format!("{} {} {}", verb.word, verb.node.map_or("", NodeName::as_str), verb.object);
            self.violate(ViolationKind::Dishonest, what);
        }
        for what in undurable {
            self.violate(ViolationKind::DurableFirst, what);
        }
        if let Some(what) = foreign {
            self.violate(ViolationKind::Foreign, what);
        }
        self.judge_data(&verb.deed, endangered);
        if let Some(what) = unproven {
            self.violate(ViolationKind::Unproven, what);
        }
        if let Some(what) = needed {
            self.violate(ViolationKind::Member, what);
        }
        if let (Some(machine), Deed::Start { name }) = (machine, &verb.deed) {
            self.judge_versions(machine, name);
            self.judge_runtimes(machine, name);
        }
        let fresh = self.run.last_blow.is_some_and(|at| self.now < at + FRESH);
        let goes_down = self.run.rules.dismantling || self.run.rules.restoring;
        if !fresh && !goes_down {
            self.judge_quorum(&before, &leaders);
            self.judge_apis(&before);
        }
        let unseen = self.run.last_blow.is_some_and(|at| self.now < at + UNSEEN_BY_THE_API);
        let darkens = self.run.last_darkening.is_some_and(|at| self.now < at + FRESH);
        if !unseen && !darkens && !goes_down {
            self.judge_window(&before, machine);
        }
        result
    }

    /// Data of members is removed only with the cluster; from then on another one may be created.
    fn judge_data(&mut self, deed: &Deed<'_>, endangered: Vec<(u64, String)>) {
        let dismantling = self.run.rules.dismantling;
        if self.run.rules.restoring && matches!(deed, Deed::MoveAside { .. }) {
            // It is kept, and can be restored by hand.
            self.judge_superseded();
            return;
        }
        for (id, what) in endangered {
            match self.clusters.get_mut(&id) {
                Some(cluster) if dismantling => cluster.dismantled = true,
                _ => self.violate(ViolationKind::DataLoss, what),
            }
        }
        if dismantling && matches!(deed, Deed::DeleteLedger) {
            self.clusters.values_mut().for_each(|cluster| cluster.dismantled = true);
        }
        // Of a cluster with an external etcd, only the containers are left to be removed.
        if dismantling && matches!(deed, Deed::Remove { .. }) {
            let external = self.clusters.values_mut().filter(|cluster| cluster.is_elsewhere());
            external.for_each(|cluster| cluster.dismantled = true);
        }
    }

    fn leaders(&self) -> Vec<(u64, MemberId)> {
        self.view.clusters.iter().filter_map(|(id, view)| Some((*id, view.leader?))).collect()
    }

    /// A cluster of one or two voters has no majority without one: there is no other way to change it.
    fn judge_quorum(&mut self, before: &Marks, leaders: &[(u64, MemberId)]) {
        for (id, (voters, since)) in &before.quorate {
            let now = self.view.clusters.get(id);
            let standing = now.map_or(Standing::Broken, |view| view.standing);
            // A majority that has just formed did not exist when a guard checked.
            let has_stood = since.is_some_and(|since| self.now >= since + FRESH);
            if *voters <= 2 || !has_stood {
                continue;
            }
            if standing == Standing::Broken {
                self.violate(ViolationKind::Quorum, format!("etcd of {voters} voters lost its majority"));
            } else if leaders.iter().any(|(cluster, _)| cluster == id)
                && self.view.clusters[id].leader.is_none()
            {
                self.violate(ViolationKind::Stall, "the leader of etcd went without handing over".to_owned());
            }
        }
    }

    /// A verb affects only the worker on its own machine: proxies that lose their API servers are judged by
    /// the rules for etcd and API servers.
    fn judge_window(&mut self, before: &Marks, machine: Option<usize>) {
        if before.serving_apis.is_empty() || self.view.marks.serving_apis.is_empty() {
            return;
        }
        let (was, is) = (&before.unavailable_workers, &self.view.marks.unavailable_workers);
        // A worker that has only just become available was not when a guard checked.
        let has_stood = |machine: usize| {
            before.available_workers.get(&machine).is_none_or(|since| self.now >= since + FRESH)
        };
        let disturbed = machine
            .is_some_and(|machine| is.contains(&machine) && !was.contains(&machine) && has_stood(machine));
        let limit = self.run.rules.max_unavailable_worker;
        if disturbed && is.len() > limit {
            let names = self.names_of(is);
            self.violate(ViolationKind::Window, format!("unavailable workers over {limit}: {names}"));
        }
    }

    /// The violation if a verb removes a member that works and is desired.
    fn needed_member(&self, deed: &Deed<'_>) -> Option<String> {
        let Deed::RemoveMember { id } = deed else { return None };
        let machine = self.view.clusters.values().find_map(|cluster| cluster.serving.get(id))?;
        let name = &self.nodes[*machine].name;
        let desired = self.run.rules.etcds.iter().any(|node| self.machine_of(node) == Some(*machine));
        desired.then(|| format!("member {id} on {name} works, is desired, and was removed"))
    }

    fn judge_apis(&mut self, before: &Marks) {
        let marks = &self.view.marks;
        if !before.etcd_serves || !marks.etcd_serves {
            return;
        }
        // A member that has just begun to serve did not when a guard checked.
        let has_stood = |since: &u64| self.now >= since + FRESH;
        let mut taken = marks.unavailable_apis.difference(&before.unavailable_apis);
        let limit = self.run.rules.max_unavailable_controlplane;
        if marks.unavailable_apis.len() > before.unavailable_apis.len()
            && marks.unavailable_apis.len() > limit
            && taken.any(|machine| before.serving_apis.get(machine).is_none_or(has_stood))
        {
            let names = self.names_of(&marks.unavailable_apis);
            self.violate(ViolationKind::ApiServers, format!("unavailable API servers over {limit}: {names}"));
        } else if before.serving_apis.values().any(has_stood)
            && marks.serving_apis.is_empty()
            && self.desired_apis_seen() > 1
        {
            self.violate(ViolationKind::ApiServers, "the last API server of several stopped".to_owned());
        }
    }

    /// How many of the machines that are to have an API server have served with one.
    fn desired_apis_seen(&self) -> usize {
        let desired = self.run.rules.controlplanes.iter().filter_map(|node| self.machine_of(node));
        desired.filter(|machine| self.run.apis_seen.contains(machine)).count()
    }

    fn names_of(&self, machines: &BTreeSet<usize>) -> String {
        let names: Vec<&str> = machines.iter().map(|machine| self.nodes[*machine].name.as_str()).collect();
        names.join(", ")
    }

    /// The data that a verb is about to take from members that still belong to a cluster that was live.
    fn data_in_danger(&self, machine: usize, deed: &Deed<'_>) -> Vec<(u64, String)> {
        let is_hit = |path: &FilePath| match deed {
            Deed::RemovePaths { paths } => paths.iter().any(|gone| is_under(path.as_str(), gone.as_str())),
            Deed::MoveAside { path: moved } => is_under(path.as_str(), moved.as_str()),
            _ => false,
        };
        let node = &self.nodes[machine];
        node.etcd_data
            .iter()
            .filter(|(path, data)| {
                let is_hit = is_hit(&FilePath::from(format!("{path}/member")))
                    || data.log.as_ref().is_some_and(is_hit);
                **path == data.home && !data.blank && is_hit
            })
            .filter(|(_, data)| {
                self.clusters.get(&data.cluster).is_some_and(|cluster| {
                    cluster.lived && !cluster.dismantled && cluster.members.contains_key(&data.member)
                })
            })
            .map(|(path, data)| {
                let (name, member) = (&node.name, data.member);
                (
                    data.cluster,
                    format!("{path} on {name} holds the data of member {member}, which still belongs"),
                )
            })
            .collect()
    }

    /// What a verb is about to take from others: their containers, or their files.
    fn foreign_in_danger(&self, machine: usize, deed: &Deed<'_>) -> Option<String> {
        let node = &self.nodes[machine];
        let container = match deed {
            Deed::Stop { name }
            | Deed::Remove { name }
            | Deed::Rename { from: name }
            | Deed::Reload { name } => {
                node.containers.get(*name).filter(|there| there.foreign).map(|_| name.to_string())
            }
            _ => None,
        };
        let is_hit = |path: &&FilePath| match deed {
            Deed::RemovePaths { paths } => paths
                .iter()
                .any(|gone| is_under(path.as_str(), gone.as_str()) || is_under(gone.as_str(), path.as_str())),
            Deed::MoveAside { path: moved } => {
                is_under(path.as_str(), moved.as_str()) || is_under(moved.as_str(), path.as_str())
            }
            _ => false,
        };
        let hit = || node.foreign.iter().find(is_hit).map(ToString::to_string);
        container.or_else(hit).map(|what| format!("{what} on {} is none of this cluster's", node.name))
    }

    /// The keys that a verb carries to a machine although the operator's disk does not have them yet.
    fn undurable(&self, deed: &Deed<'_>) -> Vec<String> {
        let committed = self.shelf.highest_serial();
        if let Deed::KeepRoots { kept } = deed
            && kept.serial > committed
        {
            return vec![format!(
                "ledger {} goes to Kubernetes and only {committed} is committed",
                kept.serial
            )];
        }
        let Deed::PutFiles { files } = deed else { return Vec::new() };
        files
            .iter()
            .filter_map(|(path, file)| {
                if let Some(name) = self.keys.not_durable(&file.digest) {
                    return Some(format!("{name} goes to {path} and is not in the ledger yet"));
                }
                if !self.run.ledger_paths.contains(path) {
                    return None;
                }
                let copy = ledger_copy(file)?;
                (copy.serial > committed).then(|| {
                    format!("ledger {} goes to {path} and only {committed} is committed", copy.serial)
                })
            })
            .collect()
    }

    /// A CA that a live cluster trusts is never recreated, nor is the key that signs its tokens, nor one by which
    /// its Secrets are stored.
    pub(crate) fn judge_new_authority(&mut self, name: &CertName) {
        let lives = self.clusters.values().any(|cluster| cluster.lived && !cluster.dismantled);
        // No API server has had it yet: the machine that made it was lost with its disk.
        let is_unused = name.base() == "kube-encryption"
            && self.clusters.values().all(|cluster| is_plain(&cluster.kube.stored))
            && !self
                .nodes
                .iter()
                .any(|node| node.files.keys().any(|path| path.as_str().ends_with(ENCRYPTION_FILE)));
        if lives && !is_unused && self.keys.has_durable(name) {
            self.violate(ViolationKind::NewAuthority, format!("{name} is made again"));
        }
    }

    fn is_under_a_step(&self, verb: &Verb<'_>) -> bool {
        // A ledger that a node holds is only recovered: nothing becomes true by it.
        matches!(verb.deed, Deed::Commit { ledger } if self.is_brought_back(ledger))
            || self.run.active.values().any(|action| self.permits(action, verb))
    }

    fn permits(&self, action: &Action, verb: &Verb<'_>) -> bool {
        let here = action.node() == verb.node;
        let runs = |component: &Component, name: &ContainerName| {
            // A successor is created under a name of its own and replaces the old one later.
            let base = name.as_str().strip_suffix(".next").unwrap_or(name.as_str());
            base == component.as_str() || self.has_component(verb.node, name, *component)
        };
        match (action, &verb.deed) {
            (Action::MintCerts { certs }, Deed::Mint { name }) => certs.contains_key(*name),
            (Action::PullImage { image, .. }, Deed::Pull { image: pulled }) => here && image == *pulled,
            (Action::WriteFiles { files, .. }, Deed::PutFiles { files: put }) => {
                here && put.iter().all(|(path, _)| files.contains_key(path))
            }
            (Action::SetKernel { kernel, .. }, Deed::SetKernel { kernel: set }) => here && kernel == *set,
            (_, Deed::RemovePaths { paths }) => {
                here && action.deletes().is_some_and(|deleted| paths.is_subset(deleted))
            }
            (Action::MoveAside { path, .. }, Deed::MoveAside { path: moved }) => here && path == *moved,
            (Action::StageSnapshot { snapshot, .. }, Deed::StageSnapshot { snapshot: staged }) => {
                here && **snapshot == **staged
            }
            (Action::RestoreMember { restore, .. }, Deed::RestoreMember { restore: made }) => {
                here && **restore == **made
            }
            (
                Action::RunContainer { component, .. },
                Deed::Create { name } | Deed::Start { name } | Deed::Remove { name },
            )
            | (
                Action::ReplaceContainer { component, .. },
                Deed::Create { name }
                | Deed::Start { name }
                | Deed::Stop { name }
                | Deed::Rename { from: name }
                | Deed::Remove { name },
            )
            | (Action::StartContainer { component, .. }, Deed::Start { name })
            | (Action::RestartContainer { component, .. }, Deed::Stop { name } | Deed::Start { name })
            | (Action::ReloadContainer { component, .. }, Deed::Reload { name }) => {
                here && runs(component, name)
            }
            (
                Action::RunContainer { component, .. }
                | Action::ReplaceContainer { component, .. }
                | Action::StartContainer { component, .. }
                | Action::RestartContainer { component, .. },
                Deed::HandOver { directory },
            ) => here && *component == Component::Etcd && self.is_data_of_etcd(verb.node, directory),
            (Action::RemoveContainer { container, .. }, Deed::Stop { name } | Deed::Remove { name }) => {
                here && name.as_str().strip_suffix(".next").unwrap_or(name.as_str())
                    == container.as_str().strip_suffix(".next").unwrap_or(container.as_str())
            }
            (
                Action::ReplaceContainer { .. }
                | Action::RestartContainer { .. }
                | Action::RemoveContainer { .. }
                | Action::EtcdMemberRemove { .. },
                Deed::MoveLeader,
            )
            | (Action::CommitLedger { .. }, Deed::Commit { .. })
            | (Action::ForgetLedger, Deed::DeleteLedger)
            | (Action::KeepRoots, Deed::KeepRoots { .. })
            | (Action::RewriteSecrets { .. }, Deed::RewriteSecrets)
            | (
                Action::ApplyObjects { .. } | Action::DeleteObjects { .. } | Action::DropRoots,
                Deed::ChangeObject,
            ) => true,
            (Action::EtcdMemberAdd { peer_url, .. }, Deed::AddLearner { peer_url: url })
            | (Action::EtcdMemberPromote { peer_url, .. }, Deed::Promote { peer_url: url }) => {
                peer_url == url
            }
            (Action::EtcdMemberRemove { id, .. }, Deed::RemoveMember { id: removed }) => id == removed,
            (Action::Drain { node, .. }, Deed::Evict { pod }) => self.is_pod_on(pod, node),
            (Action::SaveSnapshot { .. }, Deed::SaveSnapshot)
            | (Action::RemovePods { .. }, Deed::RemovePods)
            | (Action::Cordon { .. }, Deed::Cordon)
            | (Action::Uncordon { .. }, Deed::Uncordon)
            | (Action::LabelNode { .. }, Deed::PatchNode)
            | (Action::DeleteNodeObject { .. }, Deed::DeleteNode) => here,
            _ => false,
        }
    }

    /// Whether an etcd on this node keeps its data in this directory.
    fn is_data_of_etcd(&self, node: Option<&NodeName>, directory: &FilePath) -> bool {
        let machine = node.and_then(|node| self.machine_of(node));
        let keeps = |container: &crate::docker::Container| {
            let data = container.spec.flag("data-dir");
            container.kind == Some(Component::Etcd)
                && data.and_then(|path| path_on_machine(&container.spec, path)).as_ref() == Some(directory)
        };
        machine.is_some_and(|machine| self.nodes[machine].containers.values().any(keeps))
    }

    fn has_component(&self, node: Option<&NodeName>, name: &ContainerName, component: Component) -> bool {
        node.and_then(|node| self.machine_of(node))
            .and_then(|machine| self.nodes[machine].containers.get(name))
            .is_some_and(|container| container.kind == Some(component))
    }
}
