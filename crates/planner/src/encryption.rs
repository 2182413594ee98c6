//! Keeps Secrets readable: the desired API servers can read what the present ones have written.
//!
//! The label of an API server names the keys with which it writes and reads, so they are known of each that
//! runs or has run.
//!
//! ```text
//! running    a, identity      writes a                      desired    must read a, or is refused
//! running    a, identity      several API servers           desired    may write only what all of them read already
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_model::{
    Birth, CertKind, CertName, Cipher, Ciphers, Component, Maker, NodeName, Note, Refusal, Role, SECRETS,
    SecretsAtRest, Settings, SpecPath, Subject,
};

use crate::builder::PlanBuilder;
use crate::context::Context;

const API: Component = Component::KubeApiserver;

/// Refuses what makes stored Secrets unreadable; reports which keys are removed.
pub(crate) fn check(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    if ctx.seen.ledger.born == Birth::Expected {
        return;
    }
    let ledger = ctx.seen.ledger.certs.iter();
    let keys: Vec<CertName> = ledger
        .filter(|(name, face)| {
            face.desired.kind == CertKind::KeyPair && !ctx.desired.certs.contains_key(*name)
        })
        .map(|(name, _)| name.clone())
        .collect();
    if !keys.is_empty() {
        build.refuse(Subject::Secrets, Refusal::EncryptionKeysDropped { keys }, None);
        return;
    }
    let running = running(ctx);
    let Some(desired) = desired(ctx) else { return };
    let origin = Some(SpecPath::from("services.kube-api.secrets_encryption_config"));
    if running.iter().any(|(_, secrets)| *secrets == SecretsAtRest::Encrypted)
        && (desired == SecretsAtRest::Plain || begins_with_own_key(ctx))
    {
        build.refuse(Subject::Secrets, Refusal::CustomEncryptionDropped, origin);
        return;
    }
    let Some(to) = known(&desired) else { return };
    let known: Vec<(&NodeName, Ciphers)> =
        running.iter().filter_map(|(name, secrets)| Some((*name, known(secrets)?))).collect();
    let resources: BTreeSet<Arc<str>> = known
        .iter()
        .flat_map(|(_, ciphers)| ciphers.0.keys())
        .chain(to.0.keys())
        .cloned()
        .chain([Arc::from(SECRETS)])
        .collect();
    for resource in resources {
        let change = Change { resource, to: &to, known: &known };
        if let Some(refusal) = change.lost().or_else(|| change.too_new(ctx)) {
            build.refuse(Subject::Secrets, refusal, origin.clone());
        } else if let Some(note) = change.leaving() {
            build.note(Subject::Secrets, note, origin.clone());
        }
    }
}

/// How the existing API servers store Secrets, whether they run or not.
fn running<'a>(ctx: &Context<'a>) -> Vec<(&'a NodeName, SecretsAtRest)> {
    ctx.all_facts()
        .filter_map(|(name, facts)| {
            let seen = facts.containers.get(API.as_str()).filter(|seen| seen.maker == Maker::Windlass)?;
            Some((name, Settings::of(API, &seen.spec).secrets()?.clone()))
        })
        .collect()
}

/// How they should store them; none if there should be no API server.
fn desired(ctx: &Context<'_>) -> Option<SecretsAtRest> {
    let mut servers = ctx.with_role(Role::ControlPlane);
    servers.find_map(|(_, node)| Settings::of(API, &node.containers.get(&API)?.spec).secrets().cloned())
}

/// Whether this run begins encryption with a key that windlass generates.
fn begins_with_own_key(ctx: &Context<'_>) -> bool {
    let ledger = &ctx.seen.ledger.certs;
    let certs = ctx.desired.certs.iter();
    certs.filter(|(_, cert)| cert.kind == CertKind::KeyPair).any(|(name, _)| !ledger.contains_key(name))
}

/// The keys, if it is known which they are.
fn known(secrets: &SecretsAtRest) -> Option<Ciphers> {
    match secrets {
        SecretsAtRest::Plain => Some(Ciphers::default()),
        SecretsAtRest::By(ciphers) => Some(ciphers.clone()),
        SecretsAtRest::Encrypted => None,
    }
}

/// The keys of one kind of resource, as API servers have them and as they should have them.
struct Change<'c> {
    resource: Arc<str>,
    to: &'c Ciphers,
    known: &'c [(&'c NodeName, Ciphers)],
}

impl Change<'_> {
    fn from(&self) -> impl Iterator<Item = (&NodeName, Vec<Cipher>)> {
        self.known.iter().map(|(name, ciphers)| (*name, ciphers.of(&self.resource)))
    }

    /// No desired API server can read any more what an API server writes.
    fn lost(&self) -> Option<Refusal> {
        let to = self.to.of(&self.resource);
        let lost: BTreeSet<Cipher> = self
            .from()
            .filter_map(|(_, from)| from.into_iter().next())
            .filter(|writes| !to.contains(writes))
            .collect();
        let is_plain = lost.iter().any(Cipher::is_identity);
        let keys = lost.iter().map(ToString::to_string).collect();
        let resource = self.resource.clone();
        match lost.is_empty() {
            true => None,
            false if self.to.is_empty() => Some(Refusal::CustomEncryptionDropped),
            false if is_plain => Some(Refusal::PlainTextUnread { resource }),
            false => Some(Refusal::EncryptionKeyLost { resource, keys }),
        }
    }

    /// What the first new API server writes, others cannot read until they are replaced.
    ///
    /// Only where encryption is changed, not begun: no order avoids it at the beginning.
    fn too_new(&self, ctx: &Context<'_>) -> Option<Refusal> {
        let writes = self.to.of(&self.resource).into_iter().next()?;
        let has_begun = self.from().any(|(_, from)| from.first() == Some(&writes));
        let encrypts = |from: &[Cipher]| from != [Cipher::identity()];
        if has_begun || ctx.with_role(Role::ControlPlane).count() < 2 {
            return None;
        }
        let cannot = self.from().filter(|(_, from)| encrypts(from) && !from.contains(&writes));
        let mut nodes: BTreeSet<NodeName> = cannot.map(|(name, _)| name.clone()).collect();
        if self.from().any(|(_, from)| encrypts(&from)) {
            let unseen = ctx.with_role(Role::ControlPlane).map(|(name, _)| name);
            let unseen = unseen.filter(|name| ctx.had(name, Role::ControlPlane) && !ctx.is_reachable(name));
            nodes.extend(unseen.cloned());
        }
        let refusal = Refusal::EncryptionKeyTooNew {
            resource: self.resource.clone(),
            key: writes.to_string(),
            nodes: nodes.iter().cloned().collect(),
        };
        (!nodes.is_empty()).then_some(refusal)
    }

    /// Keys that were used only to read, and are removed.
    fn leaving(&self) -> Option<Note> {
        let to = self.to.of(&self.resource);
        let from: BTreeSet<Cipher> = self.from().flat_map(|(_, from)| from).collect();
        let keys: Vec<String> =
            from.iter().filter(|key| !to.contains(key)).map(ToString::to_string).collect();
        (!keys.is_empty()).then(|| Note::EncryptionKeyLeaves { resource: self.resource.clone(), keys })
    }
}
