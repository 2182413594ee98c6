//! What is known of the API servers, computed once: which are desired, which leave, which are unreachable,
//! and which versions they may have.
//!
//! ```text
//! question                              asked where                     because
//! one_holds_back                        members that are removed        it may still use them
//! version_is_unknown                    new containers of a version     it may be older, or newer
//! oldest_for_kubelets_is_unknown        new kubelets, kube-proxies      a kubelet is never newer than it
//! why_old                               kubelets that are upgraded      = also when this plan is done
//! may_be_behind_proxy                   a node that gains one           its nginx-proxy is removed
//! one_stays                             removals, lists of API servers  one of cluster.yml works then
//! ```
//!
//! Source of the rules on versions: <https://kubernetes.io/releases/version-skew-policy/>.

use std::collections::BTreeMap;

use windlass_model::{Component, KubernetesVersion, NodeFacts, NodeName, Role};

use crate::builder::StepHandle;
use crate::compare::Condition;
use crate::conditions::Conditions;
use crate::context::Context;
use crate::ownership::may_live;
use crate::site::Changes;

/// Components that show the version of a cluster: API servers, and those that are never newer than they are.
const VERSIONED: [Component; 3] = [Component::KubeApiserver, Component::Kubelet, Component::KubeProxy];

/// Components that were never newer than any API server when they were started.
const NEVER_NEWER: [Component; 2] = [Component::Kubelet, Component::KubeProxy];

/// All API servers that exist or may exist.
#[derive(Debug, Default)]
pub(crate) struct ApiServers {
    servers: BTreeMap<NodeName, ApiServer>,
    /// Whether an unreachable one may have any version, as far as the reachable components show.
    version_is_unknown: bool,
    /// Whether it may be older than any reachable kubelet.
    oldest_is_unknown: bool,
    /// Whether any reachable component shows that Kubernetes is being upgraded to another minor version.
    on_the_way: bool,
}

/// One API server that exists, should exist, or may exist.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself, and none excludes another")]
struct ApiServer {
    /// Whether cluster.yml asks for it.
    desired: bool,
    /// Whether its node answers.
    reachable: bool,
    /// Whether it works now.
    works: bool,
    /// Whether it has an older minor version than desired.
    older: bool,
    /// Whether it is to be replaced by one with another image.
    has_new_image: bool,
}

/// Why an API server keeps an older version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Old {
    /// It is unreachable, or its change is held.
    Held,
    /// This plan removes it, after the nodes are changed.
    Leaving,
}

impl ApiServers {
    /// Looks at all nodes, desired or not.
    pub(crate) fn of(ctx: &Context<'_>, conditions: &Conditions<'_, '_>) -> Self {
        let api = Component::KubeApiserver;
        let mut servers = BTreeMap::new();
        for (name, node) in &ctx.desired.nodes {
            let desired = node.has(Role::ControlPlane);
            let facts = ctx.facts(name);
            let may_be_there = match facts {
                Some(facts) => facts.containers.contains_key(api.as_str()),
                // A node that lost the role keeps it in the ledger until its API server is removed.
                None => ctx.had(name, Role::ControlPlane),
            };
            if desired || may_be_there {
                let server = ApiServer {
                    desired,
                    reachable: facts.is_some(),
                    works: conditions.of_container(name, api).is_some_and(Condition::works),
                    older: facts.is_some_and(|facts| is_older(facts, api, &ctx.desired.version)),
                    has_new_image: conditions.has_new_image(name, api),
                };
                servers.insert(name.clone(), server);
            }
        }
        for (name, facts) in ctx.all_facts() {
            if !ctx.desired.nodes.contains_key(name) && facts.containers.contains_key(api.as_str()) {
                let server = ApiServer {
                    desired: false,
                    reachable: true,
                    works: false,
                    older: is_older(facts, api, &ctx.desired.version),
                    has_new_image: false,
                };
                servers.insert(name.clone(), server);
            }
        }
        let mut known = Self { servers, ..Self::default() };
        known.on_the_way = ctx.all_facts().any(|(_, facts)| {
            VERSIONED.into_iter().any(|component| is_older(facts, component, &ctx.desired.version))
        });
        let hides = may_live(ctx) && known.one_is_unreachable();
        known.version_is_unknown = hides && !any_shows_version(ctx, &VERSIONED);
        known.oldest_is_unknown = hides && !any_shows_version(ctx, &NEVER_NEWER);
        known
    }

    /// Whether a node of cluster.yml is unreachable that should be a control plane, or was one when last
    /// seen.
    fn one_is_unreachable(&self) -> bool {
        self.servers.values().any(|server| !server.reachable)
    }

    /// Whether one is unreachable, and what it may still use stays for that reason.
    pub(crate) fn one_holds_back(&self, ctx: &Context<'_>) -> bool {
        self.servers.iter().any(|(name, server)| !server.reachable && ctx.holds_back(name))
    }

    /// Whether a cluster that may be live may have unreachable API servers whose version no reachable
    /// component shows: then no API server is changed to another version.
    pub(crate) fn version_is_unknown(&self) -> bool {
        self.version_is_unknown
    }

    /// The same for kubelets: API servers that are reachable may be newer than those that are not, so only kubelets and
    /// kube-proxies show how old one may be.
    pub(crate) fn oldest_for_kubelets_is_unknown(&self) -> bool {
        self.oldest_is_unknown
    }

    /// Whether this node's API server has an older minor version than desired.
    pub(crate) fn is_older(&self, node: &NodeName) -> bool {
        self.servers.get(node).is_some_and(|server| server.older)
    }

    /// Whether Kubernetes is being upgraded to another minor version.
    pub(crate) fn on_the_way(&self) -> bool {
        self.on_the_way
    }

    /// Whether a node that gains an API server may depend on one that cannot be asked: its own nginx-proxy
    /// would be removed in exchange.
    pub(crate) fn may_be_behind_proxy(&self, ctx: &Context<'_>, node: &NodeName) -> bool {
        let has_proxy = |facts: &NodeFacts| facts.containers.contains_key(Component::NginxProxy.as_str());
        !ctx.kube_answers() && ctx.facts(node).is_some_and(has_proxy) && self.one_holds_back(ctx)
    }

    /// The same API servers after the stage of the control plane, with those that it brings up or replaces.
    pub(crate) fn after<'p, 'a>(
        &'p self,
        ctx: &Context<'_>,
        up: &'p BTreeMap<&'a NodeName, StepHandle>,
        changed: &'p Changes<'a>,
    ) -> ApiServersAfter<'p, 'a> {
        ApiServersAfter { known: self, orders_versions: ctx.orders_versions(), up, changed }
    }
}

/// The API servers after the stage of the control plane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApiServersAfter<'p, 'a> {
    known: &'p ApiServers,
    /// Whether it matters that one is older.
    orders_versions: bool,
    /// The wait for each that comes up or is replaced.
    up: &'p BTreeMap<&'a NodeName, StepHandle>,
    changed: &'p Changes<'a>,
}

impl ApiServersAfter<'_, '_> {
    /// Why an API server has, or may have, an older version than this plan's kubelets even after the control
    /// plane has been changed; none if each is as new as they are.
    pub(crate) fn why_old(&self) -> Option<Old> {
        if !self.orders_versions {
            return None;
        }
        let servers = &self.known.servers;
        let is_held = |(name, server): (&NodeName, &ApiServer)| {
            let is_replaced = || self.changed.contains_key(&(name, Component::KubeApiserver));
            !server.reachable || (server.desired && server.has_new_image && !is_replaced())
        };
        if servers.iter().any(is_held) {
            return Some(Old::Held);
        }
        let leaves = |server: &ApiServer| !server.desired && server.older;
        servers.values().any(leaves).then_some(Old::Leaving)
    }

    /// Whether an API server that cluster.yml asks for works, or will by this plan.
    pub(crate) fn one_stays(&self) -> bool {
        let stays = |(name, server): (&NodeName, &ApiServer)| {
            server.desired && (server.works || self.up.contains_key(name))
        };
        self.known.servers.iter().any(stays)
    }
}

/// Whether a node has this component in an older minor version than desired.
fn is_older(facts: &NodeFacts, component: Component, desired: &KubernetesVersion) -> bool {
    let seen = facts.containers.get(component.as_str());
    seen.and_then(|seen| seen.spec.version.as_ref())
        .is_some_and(|version| (version.major, version.minor) < (desired.major, desired.minor))
}

fn any_shows_version(ctx: &Context<'_>, components: &[Component]) -> bool {
    let shows = |facts: &NodeFacts| {
        let mut seen = components.iter().filter_map(|component| facts.containers.get(component.as_str()));
        seen.any(|seen| seen.spec.version.is_some())
    };
    ctx.all_facts().any(|(_, facts)| shows(facts))
}
