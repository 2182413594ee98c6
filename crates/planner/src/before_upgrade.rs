//! A snapshot before Kubernetes or etcd changes to another minor version: the way back, since neither can be
//! stepped back with its data.

use std::sync::Arc;

use windlass_model::{
    Action, Because, BeforeUpgrade, Birth, Component, DesiredNode, EtcdSeen, EtcdVersion, Health, Holds,
    Intent, KubernetesVersion, NodeName, Reason, Role, SnapshotWanted,
};

use crate::builder::{PlanBuilder, StepHandle};
use crate::context::Context;
use crate::control_plane::ControlPlane;
use crate::etcd::Etcd;
use crate::ownership::has_our_member;
use crate::site::Site;

/// Plans the snapshot, if this plan is the first to change a minor version and cluster.yml does not say otherwise: it is
/// taken once the images are there, and before anything of the new version starts.
///
/// Where no member works there is none; nothing of the cluster is changed to another version then either.
pub(crate) fn plan<'a>(
    site: &Site<'_, 'a>,
    etcd: &Etcd<'a>,
    control_plane: &ControlPlane<'a>,
    build: &mut PlanBuilder<'a>,
) {
    let ctx = site.ctx;
    match ctx.intent {
        Intent::Converge { .. } => {}
        Intent::Restore { .. } | Intent::Reissue { .. } | Intent::Dismantle { .. } => return,
    }
    match ctx.desired.before_upgrade {
        BeforeUpgrade::Snapshot => {}
        BeforeUpgrade::Nothing => return,
    }
    if ctx.seen.ledger.born != Birth::Born || ctx.desired.etcd.is_external() {
        return;
    }
    let moves = |(node, component): &(&NodeName, Component)| {
        matches!(component, Component::Etcd | Component::KubeApiserver)
            && site.conditions.has_new_image(node, *component)
    };
    let moving = etcd.changed.iter().chain(&control_plane.changed).filter(|(key, _)| moves(key));
    // One that is new starts with the new version at once.
    let new = control_plane.started.iter().map(|(node, step)| (*node, *step));
    let steps: Vec<(&'a NodeName, StepHandle)> =
        moving.map(|((node, _), step)| (*node, *step)).chain(new).collect();
    let Some((upgrade, EtcdSeen::Members(members))) = Upgrade::of(ctx).zip(Some(&ctx.seen.etcd)) else {
        return;
    };
    let works = |node: &DesiredNode| {
        let peer_url = node.target.peer_url();
        members.iter().any(|member| member.peer_url == peer_url && member.health == Health::Healthy)
    };
    let mut nodes = ctx.reachable().filter(|node| node.desired.has(Role::Etcd) && works(node.desired));
    let chosen = nodes.find_map(|node| {
        let is_ours = has_our_member(ctx, node.name, node.facts);
        Some((node.name, wanted(ctx, node.name, node.desired, &upgrade).filter(|_| is_ours)?))
    });
    let Some((node, snapshot)) = chosen.filter(|_| !steps.is_empty()) else { return };
    let action = Action::SaveSnapshot { node: node.clone(), snapshot: Box::new(snapshot) };
    let origins = ctx.desired.origins.version.iter().cloned().collect();
    let saved = build.step(node, "etcd-snapshot", action, upgrade.reasons(), origins);
    for (on, step) in steps {
        build.after_all(saved, build.pulls_on(on), Because::Needs);
        build.after(step, saved, Because::DurableFirst);
    }
}

/// The minor versions that change.
struct Upgrade {
    /// The oldest API server.
    runs: Option<KubernetesVersion>,
    kubernetes: Option<(KubernetesVersion, KubernetesVersion)>,
    etcd: Option<(EtcdVersion, EtcdVersion)>,
}

impl Upgrade {
    /// What changes; none where nothing does, or has begun to.
    fn of(ctx: &Context<'_>) -> Option<Self> {
        let to = &ctx.desired.version;
        let minor = |version: &KubernetesVersion| (version.major, version.minor);
        let servers = || {
            let nodes = ctx.all_facts().filter_map(|(_, facts)| {
                facts.containers.get(Component::KubeApiserver.as_str())?.spec.version.clone()
            });
            nodes.collect::<Vec<_>>()
        };
        let servers = servers();
        let began = servers.iter().any(|version| minor(version) >= minor(to));
        let runs = servers.into_iter().min();
        let kubernetes = runs.clone().filter(|_| !began).map(|from| (from, to.clone()));
        let desired = ctx.with_role(Role::Etcd).find_map(|(_, node)| {
            EtcdVersion::of_image(node.containers.get(&Component::Etcd)?.spec.image.as_str())
        });
        let members: Vec<EtcdVersion> = ctx
            .all_facts()
            .filter_map(|(_, facts)| {
                EtcdVersion::of_image(facts.containers.get(Component::Etcd.as_str())?.spec.image.as_str())
            })
            .collect();
        let etcd = desired.and_then(|to| {
            let began = members.iter().any(|version| version.minor() >= to.minor());
            members.iter().min().filter(|_| !began).map(|from| (*from, to))
        });
        (kubernetes.is_some() || etcd.is_some()).then_some(Self { runs, kubernetes, etcd })
    }

    fn reasons(&self) -> Vec<Reason> {
        let kubernetes = self.kubernetes.as_ref();
        let kubernetes =
            kubernetes.map(|(from, to)| Reason::BeforeKubernetes { from: from.clone(), to: to.clone() });
        let etcd = self.etcd.map(|(from, to)| Reason::BeforeEtcd {
            from: Arc::from(from.to_string()),
            to: Arc::from(to.to_string()),
        });
        kubernetes.into_iter().chain(etcd).collect()
    }

    /// What the snapshot's name says of it.
    fn named(&self) -> String {
        match (&self.kubernetes, self.etcd) {
            (Some((_, to)), _) => format!("before-{to}"),
            (None, Some((_, to))) => format!("before-etcd-{to}"),
            (None, None) => "before-upgrade".to_owned(),
        }
    }
}

/// The request for a snapshot of a node's own member. Its name gets the time at which it is taken.
fn wanted(
    ctx: &Context<'_>,
    name: &NodeName,
    desired: &DesiredNode,
    upgrade: &Upgrade,
) -> Option<SnapshotWanted> {
    let footprint = ctx.desired.footprints.under(ctx.facts(name)?.prefix.as_ref());
    let mut directories = footprint.directories.iter().filter(|(_, holds)| **holds == Holds::Snapshots);
    let (directory, _) = directories.next()?;
    let wanted = SnapshotWanted::of_member(name, desired, directory.clone(), upgrade.named())?;
    Some(SnapshotWanted { kubernetes: upgrade.runs.clone(), ..wanted })
}
