//! What the stage of etcd returns, and what its strategies share.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_model::{NodeName, Role};

use super::membership::Membership;
use crate::builder::StepHandle;
use crate::context::Context;
use crate::site::Changes;

/// What a plan does with etcd.
#[derive(Debug, Default)]
pub(crate) struct Etcd<'a> {
    /// The waits for what this plan starts: nothing healthy is disturbed before them.
    pub(crate) heals: Vec<StepHandle>,
    /// The ends of its disturbances: the control plane waits for them.
    pub(crate) ends: Vec<StepHandle>,
    /// Whether changes of healthy members are held back.
    pub(crate) held: bool,
    /// The steps that let a new member vote.
    pub(crate) joined: BTreeMap<&'a NodeName, StepHandle>,
    /// The steps that remove members.
    pub(crate) left: BTreeMap<&'a NodeName, StepHandle>,
    /// The steps that replace or restart its containers.
    pub(crate) changed: Changes<'a>,
    /// The commit that records that etcd is live.
    pub(crate) born: Option<StepHandle>,
    /// The members as this plan leaves them so far.
    pub(super) membership: Membership,
}

/// The nodes that should have a member, by its peer address.
pub(super) fn desired_members<'a>(ctx: &Context<'a>) -> BTreeMap<String, &'a NodeName> {
    ctx.with_role(Role::Etcd).map(|(name, node)| (node.target.peer_url(), name)).collect()
}

/// All members of cluster.yml, in the form of etcd's `--initial-cluster`.
pub(crate) fn initial_cluster(ctx: &Context<'_>) -> String {
    Membership::desired(&desired_members(ctx)).initial_cluster()
}

/// The arguments that count only while a member has no data.
///
/// Source: <https://etcd.io/docs/v3.4/op-guide/configuration/>, "Clustering flags".
pub(super) fn birth_arguments(state: &str, list: &str) -> Vec<Arc<str>> {
    vec![
        Arc::from(format!("--initial-cluster={list}")),
        Arc::from(format!("--initial-cluster-state={state}")),
        Arc::from("--initial-cluster-token=etcd-cluster-1"),
    ]
}
