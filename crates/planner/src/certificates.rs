//! Which keys and certificates this plan issues, and why.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{
    BlueprintOrigins, CertDifference, CertFace, CertKind, CertName, DesiredCert, Intent, LastNode, NodeName,
    NodeTarget, Note, Reason, Reissue, San, SpecPath, Subject,
};

use crate::builder::PlanBuilder;
use crate::context::Context;

/// A certificate with fewer days left than this is renewed by the next `up`.
const RENEW_DAYS_BEFORE_EXPIRY: u64 = 30;

/// The certificates that a plan issues, and why.
pub(crate) type Minted = BTreeMap<CertName, Vec<Reason>>;

/// The places in cluster.yml that cause certificates to be issued; only certificates with such a cause are in
/// it.
pub(crate) type Places = BTreeMap<CertName, BTreeSet<SpecPath>>;

/// Every certificate that must be issued, with the reasons.
pub(crate) fn to_mint(ctx: &Context<'_>) -> Minted {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => missing_or_stale(ctx),
        Intent::Reissue { reissue, .. } => requested(ctx, reissue),
        Intent::Dismantle { .. } => Minted::new(),
    }
}

/// The requested ones, including those of unreachable nodes: a later run does not know what is requested now,
/// and the node takes its certificate when it is back.
fn requested(ctx: &Context<'_>, reissue: &Reissue) -> Minted {
    ctx.desired
        .certs
        .iter()
        .filter(|(name, desired)| reissue.selects(desired, ctx.seen.ledger.certs.get(*name)))
        .map(|(name, _)| (name.clone(), vec![Reason::Requested]))
        .collect()
}

/// Those that are missing, expire, or are not as desired. Those of unreachable nodes wait until these are
/// back.
fn missing_or_stale(ctx: &Context<'_>) -> Minted {
    let mut minted = Minted::new();
    // CAs first: a new CA means new certificates from it.
    let (authorities, others): (Vec<_>, Vec<_>) =
        ctx.desired.certs.iter().partition(|(_, desired)| desired.issuer.is_none());
    for (name, desired) in authorities.into_iter().chain(others) {
        let face = ctx.seen.ledger.certs.get(name);
        let mut reasons = match face {
            None => vec![Reason::CertMissing],
            Some(face) => why_renewed(ctx, desired, face),
        };
        if face.is_some() && desired.issuer.as_ref().is_some_and(|issuer| minted.contains_key(issuer)) {
            reasons.push(Reason::IssuerChanged);
        }
        if !reasons.is_empty() && !is_of_unreachable_node(ctx, name) {
            minted.insert(name.clone(), reasons);
        }
    }
    minted
}

/// The places in cluster.yml that cause a certificate to have other names.
pub(crate) fn places(ctx: &Context<'_>, minted: &Minted) -> Places {
    let mut places = Places::new();
    for (name, reasons) in minted {
        let (Some(desired), Some(face)) = (ctx.desired.certs.get(name), ctx.seen.ledger.certs.get(name))
        else {
            continue;
        };
        if reasons.iter().any(|reason| matches!(reason, Reason::CertDiffers { .. })) {
            let changed = desired.sans.symmetric_difference(&face.desired.sans);
            let found: BTreeSet<SpecPath> = changed.filter_map(|san| place_of(ctx, san)).collect();
            places.insert(name.clone(), found);
        }
    }
    places
}

/// The node that has this name or address, if that has changed there or is new; otherwise the place of the name
/// itself, or of the list that it has left.
fn place_of(ctx: &Context<'_>, san: &San) -> Option<SpecPath> {
    let names = |name: &NodeName, target: &NodeTarget| {
        [target.address.as_str(), &target.internal_address, name.as_str()].map(San::parse)
    };
    let is_of = |last: Option<&LastNode>, name: &NodeName| {
        last.is_some_and(|last| names(name, &last.target).contains(san))
    };
    let of_node = ctx.desired.nodes.iter().find(|(name, node)| {
        let last = ctx.last(name).filter(|last| last.roles == node.roles);
        names(name, &node.target).contains(san) != is_of(last, name)
    });
    if let Some((_, node)) = of_node {
        return Some(node.origin.clone());
    }
    // Names of a node that has left cluster.yml have no place there.
    let mut gone = ctx.seen.ledger.nodes.iter().filter(|(name, _)| !ctx.desired.nodes.contains_key(*name));
    if gone.any(|(name, last)| is_of(Some(last), name)) {
        return None;
    }
    let BlueprintOrigins { sans, each_san, .. } = &ctx.desired.origins;
    let itself = each_san.iter().find(|(_, other)| *other == san).map(|(place, _)| place);
    itself.or(sans.as_ref()).cloned()
}

fn is_of_unreachable_node(ctx: &Context<'_>, cert: &CertName) -> bool {
    cert.node().is_some_and(|node| !ctx.is_reachable(&NodeName::from(node)))
}

/// Why an existing certificate must be renewed; a CA never is, except by a rotation.
fn why_renewed(ctx: &Context<'_>, desired: &DesiredCert, face: &CertFace) -> Vec<Reason> {
    if desired.kind != CertKind::Leaf {
        return vec![];
    }
    let mut reasons: Vec<Reason> = differences(desired, &face.desired)
        .into_iter()
        .map(|difference| Reason::CertDiffers { difference })
        .collect();
    let issuer = desired.issuer.as_ref().and_then(|issuer| ctx.seen.ledger.certs.get(issuer));
    let now = ctx.seen.taken_at;
    let renew_at = now.plus_seconds(RENEW_DAYS_BEFORE_EXPIRY * 86_400);
    // If the issuer expires first, a new certificate would end on the same day, and every `up` would issue
    // another.
    let new_end = now.plus_days(desired.valid_days);
    let new_end = issuer.map_or(new_end, |issuer| new_end.min(issuer.not_after));
    if face.not_after <= renew_at && new_end > face.not_after {
        reasons.push(Reason::CertExpires { on: face.not_after });
    }
    if issuer.is_some_and(|issuer| face.issuer != Some(issuer.certificate)) {
        reasons.push(Reason::IssuerChanged);
    }
    reasons
}

/// Reports CAs that expire soon or have expired.
pub(crate) fn note_expiring_authorities(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    let soon = ctx.seen.taken_at.plus_seconds(RENEW_DAYS_BEFORE_EXPIRY * 86_400);
    for (name, desired) in &ctx.desired.certs {
        let face = ctx.seen.ledger.certs.get(name).filter(|_| desired.kind == CertKind::Authority);
        if let Some(face) = face.filter(|face| face.not_after <= soon) {
            build.note(Subject::Certificate(name.clone()), Note::CaExpires { on: face.not_after }, None);
        }
    }
}

/// In what a certificate differs from the desired one.
fn differences(desired: &DesiredCert, made: &DesiredCert) -> Vec<CertDifference> {
    let DesiredCert { kind: _, common_name, organizations, issuer, usages, sans, valid_days: _, service: _ } =
        desired;
    let mut found = Vec::new();
    if *common_name != made.common_name || *organizations != made.organizations {
        found.push(CertDifference::Subject { from: made.common_name.clone(), to: common_name.clone() });
    }
    if *issuer != made.issuer {
        found.push(CertDifference::Issuer);
    }
    if *usages != made.usages {
        found.push(CertDifference::Usages);
    }
    found.extend(sans.difference(&made.sans).map(|san| CertDifference::SanAdded { san: san.clone() }));
    found.extend(made.sans.difference(sans).map(|san| CertDifference::SanRemoved { san: san.clone() }));
    found
}
