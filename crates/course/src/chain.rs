//! Which link of a chain of upgrades a round works on, and what prevents the next link.
//!
//! ```text
//! all that runs is of one link ─▶ the next link
//! something is newer already   ─▶ the link that is under way
//! something lags behind        ─▶ the link that runs, until it is whole
//! ```

use std::collections::BTreeSet;

use windlass_blueprint::{EtcdLog, Link, Running, as_running, links};
use windlass_model::{
    Blueprint, Cause, ChainWaits, Component, ContainerSeen, EtcdVersion, Finding, ImageRef, Inventory,
    KubeSeen, KubernetesVersion, Maker, NodeFacts, NodeName, NodeSeen, Planning, Readiness, Refusal, Role,
    Scheduling, Subject, Waiting, Weight,
};

use crate::desired::Desired;
use crate::left::left_by;

/// The first minor version of etcd that does not start with a log of 3.5.
const PAST_MINOR_5: (u32, u32) = (3, 7);

/// What a round works on, where the upgrade to cluster.yml's version has several links, or its only one must wait.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// The link that the plan of this round is for.
    pub(crate) link: Link,
    /// The links after it, the last of them cluster.yml itself.
    follow: Vec<Link>,
    /// What prevents the next link from beginning.
    waits: Option<ChainWaits>,
}

/// Where the cluster is in a chain of upgrades; none where one link suffices and no kubelet is too old for it.
pub(crate) fn stage(desired: &Desired, seen: &Inventory) -> Option<Stage> {
    // No chain leads to a default: the planner refuses to upgrade a cluster whose version cluster.yml does
    // not name.
    desired.ordinary().origins.version.as_ref()?;
    let parts = Parts::of(desired, seen);
    let running = parts.running()?;
    let mut links = links(desired.spec(), desired.catalog(), &running);
    let waits = if links.len() < 2 {
        Some(parts.too_old_for(&links.last()?.kubernetes, desired.ordinary(), seen, &running)?)
    } else if parts.has_api_server() && !parts.is_under_way(&running) {
        // Without an API server nothing shows which version it had: the next link is at most one minor version
        // beyond it, and never before it, while the link of its followers may be.
        parts.why_unfinished(desired.ordinary(), seen, &running)
    } else {
        None
    };
    if waits.is_some() {
        let link = as_running(desired.spec(), desired.catalog(), &running);
        return Some(Stage { link, follow: links, waits });
    }
    let link = links.remove(0);
    Some(Stage { link, follow: links, waits: None })
}

impl Stage {
    /// The findings about the rest of the chain, in addition to the plan of this round.
    pub(crate) fn findings(&self, desired: &Desired, seen: &Inventory, planning: &Planning) -> Vec<Finding> {
        let left = left_by(planning, &self.link, desired, seen);
        let (mut weight, mut link_waits) = match self.once_done(desired, &left) {
            Follows::ByItself => (Weight::Next, self.waits.clone()),
            Follows::Waits(waits) => (Weight::Held, waits.or_else(|| self.waits.clone())),
        };
        let no_room = no_room_for_workers(desired.ordinary(), &left);
        let origin = desired.ordinary().origins.version.clone();
        let mut before = desired.sample(&self.link.spec);
        let mut findings = Vec::new();
        for link in &self.follow {
            let Some(at) = desired.sample(&link.spec) else {
                findings.push(Finding {
                    weight: Weight::Refused,
                    about: Subject::Link(link.kubernetes.clone()),
                    cause: Refusal::LinkImpossible {
                        kubernetes: link.kubernetes.clone(),
                        problems: desired.problems_of(&link.spec),
                    }
                    .into(),
                    origin: origin.clone(),
                });
                return findings;
            };
            let waits = link_waits.take();
            let changes = before.as_ref().map(|before| Changes::between(before, &at)).unwrap_or_default();
            findings.push(Finding {
                weight,
                about: Subject::Link(link.kubernetes.clone()),
                cause: Cause::Waiting(Waiting::Link {
                    kubernetes: link.kubernetes.clone(),
                    etcd: link.etcd.clone(),
                    images: changes.images,
                    ends: changes.ends,
                    begins: changes.begins,
                    waits,
                }),
                origin: origin.clone(),
            });
            before = Some(at);
            // This link is begun, and leaves the workers as they are: the one after it waits for them.
            if weight == Weight::Next && link.kubernetes > self.link.kubernetes && no_room.is_some() {
                weight = Weight::Held;
                link_waits.clone_from(&no_room);
            }
        }
        findings
    }

    /// Whether the next link follows on this inventory, which is as the plan of this round leaves it.
    fn once_done(&self, desired: &Desired, left: &Inventory) -> Follows {
        let of = |link: &Link| (link.kubernetes.clone(), link.etcd.clone(), link.snapshots_log);
        match stage(desired, left) {
            Some(Self { waits: Some(waits), .. }) => Follows::Waits(Some(waits)),
            // API servers or members of etcd stay as they are.
            Some(Self { link, .. }) if self.waits.is_none() && of(&link) == of(&self.link) => {
                Follows::Waits(None)
            }
            Some(_) | None => Follows::ByItself,
        }
    }
}

/// Why a link that replaces every worker cannot replace most of them: as many as may be unavailable are cordoned by
/// somebody else.
fn no_room_for_workers(desired: &Blueprint, left: &Inventory) -> Option<ChainWaits> {
    let workers: Vec<&NodeName> = desired.with_role(Role::Worker).map(|(name, _)| name).collect();
    let is_cordoned = |name: &NodeName| {
        left.kube.node(name).is_some_and(|object| object.scheduling == Scheduling::CordonedByOther)
    };
    let cordoned: Vec<NodeName> =
        workers.iter().filter(|name| is_cordoned(name)).map(|name| (*name).clone()).collect();
    let limit = desired.rollout.max_unavailable_worker.of(workers.len());
    (cordoned.len() >= limit && cordoned.len() < workers.len())
        .then_some(ChainWaits::Cordoned { nodes: cordoned })
}

/// Whether the next link is begun by this same `up`.
enum Follows {
    ByItself,
    /// Not before something else happens: this, where it is known.
    Waits(Option<ChainWaits>),
}

/// What one link replaces, and which flags begin and end with it.
#[derive(Default)]
struct Changes {
    images: BTreeSet<ImageRef>,
    ends: BTreeSet<String>,
    begins: BTreeSet<String>,
}

impl Changes {
    fn between(before: &Blueprint, after: &Blueprint) -> Self {
        let (before, after) = (flags(before), flags(after));
        let images = |all: &BTreeSet<(Component, ImageRef)>| -> BTreeSet<ImageRef> {
            all.iter().map(|(_, image)| image.clone()).collect()
        };
        let named = |flags: BTreeSet<(Component, String)>| -> BTreeSet<String> {
            flags.into_iter().map(|(component, flag)| format!("{component} {flag}")).collect()
        };
        Self {
            images: &images(&after.1) - &images(&before.1),
            ends: named(&before.0 - &after.0),
            begins: named(&after.0 - &before.0),
        }
    }
}

type Flags = (BTreeSet<(Component, String)>, BTreeSet<(Component, ImageRef)>);

/// The flags and images of all components.
fn flags(blueprint: &Blueprint) -> Flags {
    let (mut flags, mut images) = (BTreeSet::new(), BTreeSet::new());
    for (component, container) in blueprint.nodes.values().flat_map(|node| &node.containers) {
        images.insert((*component, container.spec.image.clone()));
        for argument in container.spec.command.iter().filter(|argument| argument.starts_with("--")) {
            let name = argument.split_once('=').map_or(&**argument, |(name, _)| name);
            flags.insert((*component, name.to_owned()));
        }
    }
    (flags, images)
}

/// The containers of windlass on the nodes of cluster.yml.
struct Parts<'a> {
    nodes: Vec<(&'a NodeName, &'a NodeFacts)>,
    unreachable: Vec<&'a NodeName>,
}

/// Components that are never newer than the API servers, and follow them in each link.
const FOLLOWERS: [Component; 4] =
    [Component::KubeControllerManager, Component::KubeScheduler, Component::Kubelet, Component::KubeProxy];

impl<'a> Parts<'a> {
    fn of(desired: &Desired, seen: &'a Inventory) -> Self {
        let (mut nodes, mut unreachable) = (Vec::new(), Vec::new());
        for (name, node) in &seen.nodes {
            match node {
                NodeSeen::InSight(facts) => nodes.push((name, &**facts)),
                NodeSeen::OutOfSight(_) if desired.ordinary().nodes.contains_key(name) => {
                    unreachable.push(name);
                }
                NodeSeen::OutOfSight(_) => {}
            }
        }
        Self { nodes, unreachable }
    }

    fn seen(
        &self,
        component: Component,
    ) -> impl Iterator<Item = (&'a NodeName, &'a NodeFacts, &'a ContainerSeen)> {
        self.nodes.iter().filter_map(move |(name, facts)| {
            let seen = facts.containers.get(component.as_str())?;
            (seen.maker == Maker::Windlass).then_some((*name, *facts, seen))
        })
    }

    fn versions(&self, component: Component) -> impl Iterator<Item = (&'a NodeName, &'a KubernetesVersion)> {
        self.seen(component).filter_map(|(name, _, seen)| Some((name, seen.spec.version.as_ref()?)))
    }

    fn has_api_server(&self) -> bool {
        self.versions(Component::KubeApiserver).next().is_some()
    }

    /// The running version; none where nothing of Kubernetes runs. Where every API server is gone, as in the
    /// middle of an interrupted replacement, the newest of its followers counts: none of them is ever newer.
    fn running(&self) -> Option<Running> {
        let oldest = self.versions(Component::KubeApiserver).map(|(_, version)| version).min();
        let followers = || FOLLOWERS.into_iter().flat_map(|component| self.versions(component));
        let kubernetes = oldest.or_else(|| followers().map(|(_, version)| version).max())?.clone();
        let mut log = Some(EtcdLog::PastMinor5);
        let mut etcd = Vec::new();
        for (_, facts, seen) in self.seen(Component::Etcd) {
            etcd.push(seen.spec.image.to_string());
            // In the link that has members snapshot their logs early, one that did so since it started is past them all; one
            // that the next link has replaced already got there by it.
            let version = EtcdVersion::of_image(seen.spec.image.as_str());
            let is_past = version.is_some_and(|version| version.minor() >= PAST_MINOR_5)
                || windlass_blueprint::snapshots_log_early(&seen.spec)
                    && facts.etcd_log == windlass_model::EtcdLogSeen::SnapshotSinceCreated;
            log = log.filter(|_| is_past);
        }
        Some(Running { kubernetes, etcd, log: log.unwrap_or(EtcdLog::Unknown) })
    }

    /// Whether something has a later version than the oldest API server.
    fn is_under_way(&self, running: &Running) -> bool {
        let all = FOLLOWERS.into_iter().chain([Component::KubeApiserver]);
        let newer = |version: &KubernetesVersion| *version > running.kubernetes;
        all.into_iter().any(|component| self.versions(component).any(|(_, version)| newer(version)))
            || running.has_two_etcds()
    }

    /// The first node whose kubelet or kube-proxy would be too old for API servers of this later minor version.
    fn too_old_for(
        &self,
        later: &KubernetesVersion,
        desired: &Blueprint,
        seen: &Inventory,
        running: &Running,
    ) -> Option<ChainWaits> {
        if !later.at_least(running.kubernetes.major, running.kubernetes.minor + 1)
            || self.is_under_way(running)
        {
            return None;
        }
        let too_old = [Component::Kubelet, Component::KubeProxy].into_iter().find_map(|component| {
            let mut versions = self.versions(component).filter(|(node, _)| desired.nodes.contains_key(*node));
            let (node, version) = versions.find(|(_, version)| !version.serves_under(later))?;
            Some(ChainWaits::Older { node: node.clone(), component, version: version.clone() })
        });
        too_old.or_else(|| {
            let reported = |node: &NodeName| seen.kube.node(node)?.kubelet.as_ref();
            let mut unreachable = self.unreachable.iter().copied();
            let node = unreachable
                .find(|node| reported(node).is_some_and(|version| !version.serves_under(later)))?;
            Some(ChainWaits::Unreachable { node: node.clone() })
        })
    }

    /// What is not complete yet in the present link.
    fn why_unfinished(&self, desired: &Blueprint, seen: &Inventory, running: &Running) -> Option<ChainWaits> {
        if let Some(node) = self.unreachable.first() {
            return Some(ChainWaits::Unreachable { node: (*node).clone() });
        }
        for component in FOLLOWERS {
            let older = self.versions(component).find(|(_, version)| **version < running.kubernetes);
            if let Some((node, version)) = older {
                let (node, version) = (node.clone(), version.clone());
                return Some(ChainWaits::Older { node, component, version });
            }
        }
        let KubeSeen::Nodes(objects) = &seen.kube else { return Some(ChainWaits::KubernetesSilent) };
        let is_desired = |name: &NodeName| desired.nodes.contains_key(name);
        let not_ready =
            objects.iter().find(|(name, object)| is_desired(name) && object.ready == Readiness::NotReady);
        if let Some((node, _)) = not_ready {
            return Some(ChainWaits::NotReady { node: node.clone() });
        }
        let without_role =
            |name: &&NodeName| desired.nodes[*name].has(Role::Etcd) && !seen.etcd.members().is_empty();
        let missing =
            self.nodes.iter().map(|(name, _)| *name).filter(|name| is_desired(name)).filter(without_role);
        let mut members = missing.filter(|name| {
            let peer = desired.nodes[*name].target.peer_url();
            let member = seen.etcd.members().iter().find(|member| member.peer_url == peer);
            member.is_some_and(|member| member.health != windlass_model::Health::Healthy)
        });
        members.next().map(|node| ChainWaits::MemberUnhealthy { node: node.clone() })
    }
}
