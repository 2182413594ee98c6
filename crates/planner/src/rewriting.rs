//! Rewrites all Secrets when API servers write with another cipher, and announces what follows.
//!
//! ```text
//! keys leave        rewrite ─▶ files and API servers          nothing is stored with them any more
//! another is first  API servers ─▶ rewrite ─▶ ledger's note    everything is stored with it
//! ```

use windlass_model::{
    Action, Because, Cipher, Intent, KeysPhase, NodeName, Reason, SECRETS, SpecPath, StoredSecrets, Subject,
    Waiting, WaitsFor,
};

use crate::builder::{Follows, PlanBuilder, StepHandle};
use crate::context::Context;
use crate::control_plane::ControlPlane;
use crate::encryption::{Servers, desired_ciphers};
use crate::ledger::{Conclusion, Keys};

/// Plans that Secrets are rewritten before API servers lose keys with which some may be stored.
pub(crate) fn before_keys_leave(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) -> Option<StepHandle> {
    if !changes_keys(ctx) {
        return None;
    }
    let servers = Servers::of(ctx.desired, ctx.seen);
    let unread = servers.unread(&desired_ciphers(ctx.desired)?);
    // Where API servers write in different ways, either will do: the desired ones read both.
    let by = servers.known.iter().find_map(|(_, ciphers)| ciphers.of(SECRETS).into_iter().next())?;
    (!unread.is_empty()).then(|| rewrite(by, build))
}

/// Plans that Secrets are rewritten after all API servers write as desired, and the ledger's note of it.
pub(crate) fn after_keys_change(
    ctx: &Context<'_>,
    keys: &Keys,
    (control_plane, comes_back): (&ControlPlane<'_>, Follows),
    conclusion: &mut Conclusion,
    build: &mut PlanBuilder<'_>,
) {
    if !changes_keys(ctx) {
        return;
    }
    let servers = Servers::of(ctx.desired, ctx.seen);
    let Some(to) = desired_ciphers(ctx.desired) else { return };
    let Some(writes) = to.of(SECRETS).into_iter().next() else { return };
    let turn = Turn { ctx, servers: &servers, control_plane, comes_back, writes: &writes };
    if let KeysPhase::Learns(key) = &ctx.desired.keys_phase {
        let waiting = Waiting::KeyLearned { key: key.to_string(), waits_for: turn.waits_for_reading() };
        build.defer(turn.follows(), Subject::Secrets, waiting, Some(origin()));
        return;
    }
    let rewritten = match keys.rewritten_first {
        Some(first) => Some(first).filter(|_| servers.writes().as_ref() == Some(&writes)),
        None if !is_needed(ctx, keys, &servers, &writes) => return,
        None if turn.is_ready() => {
            let step = rewrite(writes.clone(), build);
            build.after_all(step, control_plane.all_up(), Because::Needs);
            build.after_all(step, keys.commit, Because::DurableFirst);
            Some(step)
        }
        None => None,
    };
    if let Some(step) = rewritten {
        conclusion.change.stored = Some(Box::new(StoredSecrets::By(writes.clone())));
        conclusion.after.push(step);
    } else {
        let waits_for = turn.waits_for_writing();
        let waiting = Waiting::SecretsNotRewritten { cipher: writes.to_string(), waits_for };
        build.defer(turn.follows(), Subject::Secrets, waiting, Some(origin()));
    }
    if let KeysPhase::Leaves(key) = &ctx.desired.keys_phase {
        let follows = if rewritten.is_some() { Follows::ByItself } else { turn.follows() };
        let waiting = Waiting::KeyLeaves { key: key.to_string(), waits_for: WaitsFor::SecretsRewritten };
        build.defer(follows, Subject::Secrets, waiting, Some(origin()));
    }
}

/// Only these change by which keys API servers write.
fn changes_keys(ctx: &Context<'_>) -> bool {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => true,
        Intent::Reissue { .. } | Intent::Dismantle { .. } => false,
    }
}

/// Whether Secrets may be stored in another way than API servers write.
fn is_needed(ctx: &Context<'_>, keys: &Keys, servers: &Servers<'_>, writes: &Cipher) -> bool {
    let noted = keys.stored.as_deref().unwrap_or(&ctx.seen.ledger.stored);
    match noted {
        StoredSecrets::By(cipher) => cipher != writes,
        StoredSecrets::Among(ciphers) => ciphers.iter().any(|cipher| cipher != writes),
        StoredSecrets::Unknown => servers.stored.iter().any(|cipher| cipher != writes),
    }
}

fn rewrite(by: Cipher, build: &mut PlanBuilder<'_>) -> StepHandle {
    let reasons = vec![Reason::SecretsStoredOtherwise];
    build.step("cluster", "secrets", Action::RewriteSecrets { by }, reasons, vec![origin()])
}

fn origin() -> SpecPath {
    SpecPath::from("services.kube-api.secrets_encryption_config")
}

/// What this plan makes of the API servers.
struct Turn<'t> {
    ctx: &'t Context<'t>,
    servers: &'t Servers<'t>,
    control_plane: &'t ControlPlane<'t>,
    /// Whether this plan brings back an API server that answers.
    comes_back: Follows,
    writes: &'t Cipher,
}

impl Turn<'_> {
    /// The nodes whose API server writes in another way, also after this plan.
    fn late(&self) -> impl Iterator<Item = &NodeName> {
        let late = self.servers.known.iter().filter(|(name, ciphers)| {
            ciphers.of(SECRETS).first() != Some(self.writes) && !self.control_plane.up.contains_key(name)
        });
        late.map(|(name, _)| *name)
    }

    /// Whether after this plan's steps an API server answers.
    fn answers(&self) -> bool {
        self.ctx.kube_answers() || !self.control_plane.up.is_empty()
    }

    /// Whether after this plan's steps every API server writes as desired, and one answers.
    fn is_ready(&self) -> bool {
        let sees_all = self.servers.unseen.is_empty() && !self.servers.has_unknown;
        sees_all && self.late().next().is_none() && self.answers()
    }

    /// Whether a later round of the same run goes on.
    fn follows(&self) -> Follows {
        let sees_all = self.servers.unseen.is_empty() && !self.servers.has_unknown;
        let is_left = self.late().any(|name| !self.ctx.is_reachable(name));
        if self.control_plane.held || !sees_all || is_left {
            Follows::Not
        } else if self.answers() {
            Follows::ByItself
        } else {
            self.comes_back
        }
    }

    fn waits_for_reading(&self) -> WaitsFor {
        self.unless_unseen(WaitsFor::KeyReadEverywhere)
    }

    fn waits_for_writing(&self) -> WaitsFor {
        if self.answers() { self.unless_unseen(WaitsFor::CipherEverywhere) } else { WaitsFor::ApiServer }
    }

    fn unless_unseen(&self, waits_for: WaitsFor) -> WaitsFor {
        if self.servers.unseen.is_empty() { waits_for } else { WaitsFor::ControlPlanesReachable }
    }
}
