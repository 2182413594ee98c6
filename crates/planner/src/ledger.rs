//! The ledger: committed before anything derived from it is used, copied to control planes, kept in
//! Kubernetes, concluded last.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{
    Action, Because, Birth, CertKind, CertName, Component, Content, DesiredCert, DesiredFile, DesiredNode,
    FileDifference, FilePath, Intent, KeptByKubernetes, KeptForm, LastNode, LedgerChange, LedgerInCluster,
    LedgerNews, NodeFacts, NodeName, Note, Reason, Role, SpecPath, StepId, StoredSecrets, Subject, Waiting,
};

use crate::builder::{Allowed, PlanBuilder, StepHandle};
use crate::certificates::{self, Minted, Places};
use crate::context::Context;
use crate::encryption;
use crate::ownership::has_our_data;

/// What is issued, committed and copied before everything else.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// The certificates that this plan issues, and why.
    pub(crate) minted: Minted,
    /// The places in cluster.yml that cause some of them to be issued.
    places: Places,
    /// The commit of the ledger before anything else.
    pub(crate) commit: Option<StepHandle>,
    /// The copies on control-plane nodes.
    pub(crate) copies: Vec<StepHandle>,
    /// What the commit says of how Secrets are stored, if that changes: no API server writes before.
    pub(crate) stored: Option<Box<StoredSecrets>>,
    /// The rewrite of all Secrets before API servers lose keys.
    pub(crate) rewritten_first: Option<StepHandle>,
    /// Whether this plan creates keys that can never be recreated: CAs and bare key pairs.
    makes_roots: bool,
    /// Whether the commit changes what Kubernetes keeps of the ledger.
    roots_change: bool,
    /// Whether no reachable node holds a copy of the ledger yet, while the cluster is not live yet.
    no_copy_yet: bool,
}

/// What becomes true in the ledger only through this plan.
#[derive(Debug, Default)]
pub(crate) struct Conclusion {
    pub(crate) change: LedgerChange,
    pub(crate) after: Vec<StepHandle>,
}

/// Plans which certificates are issued, the commit of the ledger, and its copies on control-plane nodes.
pub(crate) fn plan(ctx: &Context<'_>, _: Allowed, build: &mut PlanBuilder<'_>) -> Keys {
    let minted = certificates::to_mint(ctx);
    let change = change_before_all(ctx);
    certificates::note_expiring_authorities(ctx, build);
    let no_copy_yet =
        ctx.seen.ledger.born == Birth::Expected && ctx.all_facts().all(|(_, facts)| facts.ledger.is_none());
    let is_root =
        |name: &CertName| ctx.desired.certs.get(name).is_some_and(|cert| cert.kind != CertKind::Leaf);
    let makes_roots = minted.keys().any(is_root);
    let places = certificates::places(ctx, &minted);
    let mut keys = Keys { minted, places, makes_roots, no_copy_yet, ..Keys::default() };
    keys.stored.clone_from(&change.stored);
    if !keys.minted.is_empty() || !change.is_empty() {
        keys.roots_change = touches_roots(ctx, &change) || keys.makes_roots;
        keys.commit = Some(commit(ctx, &keys, change, build));
    }
    keys.copies = copy(ctx, keys.commit, build);
    keys
}

impl Keys {
    /// What must be done before an API server gets other keys: the ledger no longer says that all Secrets are
    /// stored in one way, and nothing is stored with keys that leave.
    pub(crate) fn before_other_ciphers(&self) -> impl Iterator<Item = (StepHandle, Because)> {
        let commit = self.commit.filter(|_| self.stored.is_some());
        let rewritten = self.rewritten_first.map(|step| (step, Because::Needs));
        commit.map(|step| (step, Because::DurableFirst)).into_iter().chain(rewritten)
    }

    /// The places in cluster.yml that cause the content of a file, if there are any.
    pub(crate) fn places_of<'k>(&'k self, file: &'k DesiredFile) -> impl Iterator<Item = &'k SpecPath> {
        let of_cert = match &file.content {
            Content::Cert { cert, .. } => self.places.get(cert),
            Content::Text(_) | Content::Secret(_) | Content::Ledger => None,
        };
        file.origin.iter().chain(of_cert.into_iter().flatten())
    }

    /// The copies that must be on control planes before a file is on any node: as long as no node holds a
    /// copy, everything derived from the keys waits for the first ones.
    pub(crate) fn copies_before_any(&self) -> &[StepHandle] {
        if self.no_copy_yet { &self.copies } else { &[] }
    }

    /// The same before a file that contains something that this plan issues.
    ///
    /// Leaves can be reissued; CAs and the service-account key cannot, so these are on every control-plane
    /// node before anything derived from them is on any.
    pub(crate) fn copies_before_minted(&self) -> &[StepHandle] {
        if self.makes_roots { &self.copies } else { self.copies_before_any() }
    }
}

fn commit(
    ctx: &Context<'_>,
    Keys { minted, places, .. }: &Keys,
    change: LedgerChange,
    build: &mut PlanBuilder<'_>,
) -> StepHandle {
    let reasons = commit_reasons(minted.len(), &change);
    let commit =
        build.step("cluster", "ledger", Action::CommitLedger { change: Box::new(change) }, reasons, vec![]);
    if minted.is_empty() {
        return commit;
    }
    let certs: BTreeMap<CertName, DesiredCert> =
        minted.keys().filter_map(|name| Some((name.clone(), ctx.desired.certs.get(name)?.clone()))).collect();
    let reasons: BTreeSet<Reason> = minted.values().flatten().cloned().collect();
    let origins: BTreeSet<SpecPath> = places.values().flatten().cloned().collect();
    let mint = build.step(
        "cluster",
        "certificates",
        Action::MintCerts { certs },
        reasons.into_iter().collect(),
        origins.into_iter().collect(),
    );
    build.after(commit, mint, Because::DurableFirst);
    commit
}

/// Whether a cluster would become live with keys that no control-plane node holds: the loss of one disk would
/// then be the loss of all keys.
pub(crate) fn is_without_copy(ctx: &Context<'_>, keys: &Keys, build: &mut PlanBuilder<'_>) -> bool {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => {}
        Intent::Reissue { .. } | Intent::Dismantle { .. } => return false,
    }
    let is_held = !keys.copies.is_empty()
        || ctx.reachable().any(|node| node.facts.ledger.is_some())
        || ctx.seen.ledger.born == Birth::Born
        || ctx.is_seen_to_live();
    if is_held || ctx.may_lose_keys() {
        return false;
    }
    build.hold(Subject::Ledger, Waiting::KeysWithoutCopy, None);
    true
}

/// What must be in the ledger before anything is put on a node: where the nodes are, and the founding
/// settings of the cluster.
fn change_before_all(ctx: &Context<'_>) -> LedgerChange {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => {}
        Intent::Reissue { .. } | Intent::Dismantle { .. } => return LedgerChange::default(),
    }
    let ledger = &ctx.seen.ledger;
    let mut change = LedgerChange::default();
    for node in ctx.reachable() {
        let now = as_it_still_is(ctx, node.name, node.desired, node.facts);
        if ledger.nodes.get(node.name) != Some(&now) {
            change.nodes.insert(node.name.clone(), now);
        }
    }
    if ledger.foundation.as_ref() != Some(&ctx.desired.foundation) {
        change.foundation = Some(ctx.desired.foundation.clone());
    }
    change.born = ledger.born == Birth::Expected && ctx.is_seen_to_live();
    change.first_members = other_first_members(ctx);
    change.stored = encryption::stored_before_all(ctx).map(Box::new);
    // A node that has left may still present its certificate.
    let is_of_leaving_node = |cert: &CertName| {
        cert.node()
            .is_some_and(|node| !ctx.desired.nodes.contains_key(node) && ledger.nodes.contains_key(node))
    };
    change.forget_certs = ledger
        .certs
        .keys()
        .filter(|name| !ctx.desired.certs.contains_key(*name) && !is_of_leaving_node(name))
        // A snapshot may hold Secrets that only such a key reads.
        .filter(|name| ledger.certs[*name].desired.kind != CertKind::KeyPair)
        .cloned()
        .collect();
    change
}

/// The members that the first start of etcd is to name, where the ledger does not name them yet.
///
/// Those of an earlier start stay as long as one of them may have begun it: whoever starts etcd with other members
/// then may found a second cluster beside theirs.
fn other_first_members(ctx: &Context<'_>) -> BTreeSet<NodeName> {
    let ledger = &ctx.seen.ledger;
    let members: BTreeSet<NodeName> = ctx.with_role(Role::Etcd).map(|(name, _)| name.clone()).collect();
    let is_over = ledger.born == Birth::Born || !ctx.etcd_is_silent() || ctx.desired.etcd.is_external();
    let may_have_begun = |name: &NodeName| {
        ledger.nodes.contains_key(name)
            && ctx.facts(name).is_none_or(|facts| {
                facts.holds_a_member() || facts.containers.contains_key(Component::Etcd.as_str())
            })
    };
    if is_over || members == ledger.first_members || ledger.first_members.iter().any(may_have_begun) {
        return BTreeSet::new();
    }
    members
}

/// A node as cluster.yml has it, with the roles that it has lost and of which something still exists.
pub(crate) fn as_it_still_is(
    ctx: &Context<'_>,
    name: &NodeName,
    desired: &DesiredNode,
    facts: &NodeFacts,
) -> LastNode {
    let mut last = desired.last();
    if still_serves_the_api(ctx, name, facts) {
        last.roles.insert(Role::ControlPlane);
    }
    // Nothing else shows who owns the data.
    if ctx.had(name, Role::Etcd) && has_our_data(ctx, name, facts) {
        last.roles.insert(Role::Etcd);
        last.etcd = last.etcd.or_else(|| ctx.last(name)?.etcd.clone());
    }
    last
}

/// Whether the API server of a former control-plane node still has to be removed: until then the ledger keeps
/// its role, so that it is considered if the node becomes unreachable.
fn still_serves_the_api(ctx: &Context<'_>, name: &NodeName, facts: &NodeFacts) -> bool {
    ctx.had(name, Role::ControlPlane) && facts.containers.contains_key(Component::KubeApiserver.as_str())
}

/// Plans the copies of the ledger on control-plane nodes, after the commit if there is one.
fn copy(ctx: &Context<'_>, commit: Option<StepHandle>, build: &mut PlanBuilder<'_>) -> Vec<StepHandle> {
    let digest = ctx.seen.ledger.digest;
    let mut copies = Vec::new();
    for node in ctx.reachable().filter(|node| node.desired.has(Role::ControlPlane)) {
        let Some((path, file)) = place_of_copy(ctx, node.desired) else { continue };
        let how = match node.facts.files.get(path) {
            None => FileDifference::Missing,
            Some(_) if commit.is_some() => FileDifference::Renewed,
            Some(seen) if Some(seen.digest) != digest => FileDifference::Content,
            Some(seen) if seen.mode != file.mode => FileDifference::Mode,
            Some(seen) if seen.owner != file.owner => FileDifference::Owner,
            Some(_) => continue,
        };
        let (action, reasons) = copy_of(node.name, (path, file), how);
        let copy = build.step(node.name, "ledger", action, reasons, vec![]);
        build.after_all(copy, commit, Because::DurableFirst);
        copies.push(copy);
    }
    copies
}

/// Where a control-plane node keeps its copy of the ledger.
fn place_of_copy<'a>(ctx: &Context<'a>, node: &'a DesiredNode) -> Option<(&'a FilePath, &'a DesiredFile)> {
    let path = &ctx.desired.footprints.under(node.prefix.as_ref()).ledger;
    Some((path, node.files.get(path)?))
}

/// The step that writes a copy, and its reason.
fn copy_of(
    node: &NodeName,
    (path, file): (&FilePath, &DesiredFile),
    how: FileDifference,
) -> (Action, Vec<Reason>) {
    let files = BTreeMap::from([(path.clone(), file.clone())]);
    let reason = Reason::FileDiffers { path: path.clone(), how };
    (Action::WriteFiles { node: node.clone(), files }, vec![reason])
}

/// The ledger's note that the cluster is live, after these waits.
pub(crate) fn note_birth(
    keys: &Keys,
    waits: &[StepHandle],
    news: LedgerNews,
    build: &mut PlanBuilder<'_>,
) -> StepHandle {
    let born = build.step_at(
        StepId::new("cluster", "ledger", "born"),
        Action::CommitLedger { change: Box::new(LedgerChange { born: true, ..LedgerChange::default() }) },
        vec![Reason::LedgerBehind { news }],
        vec![],
    );
    build.after_all(born, waits.iter().copied(), Because::Needs);
    build.after_all(born, keys.commit, Because::Needs);
    born
}

/// The same, of an etcd of the cluster's own nodes.
pub(crate) fn note_birth_of_etcd(
    keys: &Keys,
    waits: &[StepHandle],
    build: &mut PlanBuilder<'_>,
) -> StepHandle {
    note_birth(keys, waits, LedgerNews::EtcdBorn, build)
}

/// Plans the ledger's last commit: what became true only through this plan; then what Kubernetes keeps, and
/// the copies.
pub(crate) fn conclude(
    ctx: &Context<'_>,
    keys: &Keys,
    born: Option<StepHandle>,
    conclusion: Conclusion,
    api_servers_up: &[StepHandle],
    build: &mut PlanBuilder<'_>,
) {
    let Conclusion { change, after } = conclusion;
    let mut roots_change = keys.roots_change || born.is_some();
    let mut last = born;
    if !change.is_empty() {
        roots_change |= touches_roots(ctx, &change);
        let reasons = commit_reasons(0, &change);
        let conclude = build.step_at(
            StepId::new("cluster", "ledger", "conclude"),
            Action::CommitLedger { change: Box::new(change) },
            reasons,
            vec![],
        );
        build.after_all(conclude, after, Because::Needs);
        build.after_all(conclude, keys.commit, Because::Needs);
        build.after_all(conclude, born, Because::Needs);
        last = Some(conclude);
    }
    let roots = if roots_change { Roots::Change } else { Roots::Stay };
    keep_roots(ctx, last.or(keys.commit), roots, api_servers_up, build);
    let Some(last) = last else { return };
    for node in ctx.reachable().filter(|node| node.desired.has(Role::ControlPlane)) {
        let Some((path, file)) = place_of_copy(ctx, node.desired) else { continue };
        let (action, reasons) = copy_of(node.name, (path, file), FileDifference::Renewed);
        let id = StepId::new(node.name, "ledger", "conclude");
        let copy = build.step_at(id, action, reasons, vec![]);
        build.after(copy, last, Because::DurableFirst);
        build.after_all(copy, keys.copies.iter().copied(), Because::Needs);
    }
}

/// Whether this plan changes what Kubernetes keeps of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Roots {
    Stay,
    Change,
}

/// Plans that Kubernetes keeps the ledger's roots, after the `last` commit and as soon as it answers.
///
/// A newer ledger of this cluster is never overwritten, nor is that of another cluster.
fn keep_roots(
    ctx: &Context<'_>,
    last: Option<StepHandle>,
    roots: Roots,
    api_servers_up: &[StepHandle],
    build: &mut PlanBuilder<'_>,
) {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => {}
        Intent::Reissue { .. } | Intent::Dismantle { .. } => return,
    }
    if !ctx.kube_answers() && api_servers_up.is_empty() {
        return;
    }
    let ledger = &ctx.seen.ledger;
    if ctx.desired.ledger_in_cluster == LedgerInCluster::None {
        if ctx.seen.kept.as_ref().is_some_and(|kept| Some(&kept.lineage) == ledger.lineage.as_ref()) {
            let origin = ctx.desired.origins.ledger_in_cluster.iter().cloned().collect();
            build.step("cluster", "ledger", Action::DropRoots, vec![Reason::Unwanted], origin);
        }
        return;
    }
    let left_alone = |kept| Note::LedgerInKubernetesKept { kept };
    let news = match &ctx.seen.kept {
        Some(kept) if Some(&kept.lineage) != ledger.lineage.as_ref() => {
            build.note(Subject::Ledger, left_alone(KeptByKubernetes::OtherCluster), None);
            return;
        }
        Some(kept) if kept.serial > ledger.serial => {
            build.note(Subject::Ledger, left_alone(KeptByKubernetes::Newer(kept.serial)), None);
            return;
        }
        Some(kept) if kept.form == KeptForm::Clear => LedgerNews::KeptInClear,
        Some(kept) if Some(kept.digest) == ledger.roots && roots == Roots::Stay => return,
        Some(_) => LedgerNews::KeptOlder,
        None => LedgerNews::KeptMissing,
    };
    let keep =
        build.step("cluster", "ledger", Action::KeepRoots, vec![Reason::LedgerBehind { news }], vec![]);
    build.after_all(keep, last, Because::DurableFirst);
    build.after_all(keep, api_servers_up.iter().copied(), Because::Needs);
}

/// Whether a commit changes more than leaves and workers: what Kubernetes keeps of the ledger.
fn touches_roots(ctx: &Context<'_>, change: &LedgerChange) -> bool {
    let LedgerChange { nodes, forget, forget_certs, foundation, born, first_members, restore: _, stored: _ } =
        change;
    let ledger = &ctx.seen.ledger;
    let holds =
        |last: &LastNode| last.roles.contains(&Role::ControlPlane) || last.roles.contains(&Role::Etcd);
    let held = |name: &NodeName| ledger.nodes.get(name).is_some_and(holds);
    let is_root =
        |name: &CertName| ledger.certs.get(name).is_some_and(|cert| cert.desired.kind != CertKind::Leaf);
    *born
        || !first_members.is_empty()
        || foundation.is_some()
        || nodes.iter().any(|(name, last)| holds(last) || held(name))
        || forget.iter().any(held)
        || forget_certs.iter().any(is_root)
}

fn commit_reasons(minted: usize, change: &LedgerChange) -> Vec<Reason> {
    let LedgerChange { nodes, forget, forget_certs, foundation, born, first_members, restore, stored } =
        change;
    let count_of = |count: usize| Some(count).filter(|count| *count > 0);
    let news = [
        count_of(minted).map(|count| LedgerNews::Certificates { count }),
        count_of(nodes.len()).map(|count| LedgerNews::Nodes { count }),
        count_of(forget.len()).map(|count| LedgerNews::NodesCleared { count }),
        count_of(forget_certs.len()).map(|count| LedgerNews::CertificatesGone { count }),
        foundation.is_some().then_some(LedgerNews::Foundation),
        restore.as_ref().map(|restore| LedgerNews::Restore { snapshot: restore.snapshot.clone() }),
        born.then_some(LedgerNews::EtcdBorn),
        stored.as_deref().map(|stored| match stored {
            StoredSecrets::By(cipher) => LedgerNews::SecretsBy { cipher: cipher.to_string() },
            StoredSecrets::Among(_) | StoredSecrets::Unknown => LedgerNews::SecretsMixed,
        }),
    ];
    let mut news: Vec<LedgerNews> = news.into_iter().flatten().collect();
    // The first commit has more important news.
    if news.is_empty() {
        news.extend(count_of(first_members.len()).map(|count| LedgerNews::FirstMembers { count }));
    }
    news.into_iter().map(|news| Reason::LedgerBehind { news }).collect()
}
