//! Keeps Secrets readable: every API server reads what any of them writes, and what is stored.
//!
//! The label of an API server names the keys with which it writes and reads, so they are known of each that
//! runs or has run. The ledger says with what all Secrets are stored, once they were rewritten.
//!
//! ```text
//! running    a, identity      writes a                      desired    must read a, or is refused
//! running    a, identity      several API servers           desired    may write only what all of them read
//! stored     a and b                                        desired    reads both until all are rewritten
//! ```
//!
//! So keys change in stages, one in each round: what is written now stays first until all API servers read
//! what will be written, and what is read now leaves when nothing is stored with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_model::{
    Birth, Blueprint, CertName, Cipher, Ciphers, Component, ContainerSeen, Intent, Inventory, KubeSeen,
    LedgerFace, Maker, NodeName, Note, Refusal, Role, SECRETS, SecretsAtRest, Settings, SpecPath,
    StoredSecrets, Subject,
};

use crate::builder::PlanBuilder;
use crate::context::Context;

const API: Component = Component::KubeApiserver;
/// The key pair that windlass' own key is derived from. The ledger never forgets it: a snapshot may need it.
const OWN_KEY: &str = "kube-encryption";

/// How far API servers are on the way to the keys that cluster.yml has.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum KeysStage {
    /// They can have them as they are.
    #[default]
    Asked,
    /// They have the same keys in another order.
    First {
        /// What they write with meanwhile.
        writes: Cipher,
        /// What not all of them read yet, and will write with.
        learns: Cipher,
    },
    /// cluster.yml no longer asks for windlass' own key, and Secrets are stored with it: it is read, and plain
    /// text is written.
    OwnKeyBehind,
    /// cluster.yml asks for windlass' own key, which the ledger does not have yet. A control-plane node that is not seen may hold a
    /// newer ledger with one: none is made, and Secrets stay as they are.
    OwnKeyLater,
}

/// The stage in which every API server reads what any of them writes and what is stored; where there is none,
/// that of cluster.yml, which is refused then.
pub fn keys_stage(desired: &Blueprint, seen: &Inventory) -> KeysStage {
    let servers = Servers::of(desired, seen);
    let Some(asked) = at_rest(desired).as_ref().and_then(known) else { return KeysStage::Asked };
    let own = Cipher::own();
    let has_own_key = seen.ledger.certs.contains_key(&CertName::from(OWN_KEY));
    let is_known = servers.known.iter().any(|(_, ciphers)| ciphers.all().contains(&own));
    if asked.all().contains(&own)
        && seen.ledger.born == Birth::Born
        && !(has_own_key || is_known || servers.unseen.is_empty())
    {
        return KeysStage::OwnKeyLater;
    }
    if asked.is_empty() && servers.stored.contains(&Cipher::own()) {
        return KeysStage::OwnKeyBehind;
    }
    if servers.fit(&asked) {
        return KeysStage::Asked;
    }
    let staged = asked.all().into_iter().find_map(|writes| {
        let ordered = asked.with_first(&writes);
        let changes = |kind: &&Arc<str>| ordered.of(kind).first() != asked.of(kind).first();
        let learns = asked.of(asked.0.keys().find(changes)?).into_iter().next()?;
        servers.fit(&ordered).then_some(KeysStage::First { writes, learns })
    });
    staged.unwrap_or_default()
}

/// The API servers that exist, and what they have stored.
#[derive(Debug)]
pub(crate) struct Servers<'a> {
    /// The keys of each, whether it runs or not.
    pub(crate) known: Vec<(&'a NodeName, Ciphers)>,
    /// The control-plane nodes that are not seen: their API servers may have the keys of any time.
    pub(crate) unseen: BTreeSet<NodeName>,
    /// Whether there is one with unknown keys.
    pub(crate) has_unknown: bool,
    /// The ciphers with which Secrets may be stored.
    pub(crate) stored: BTreeSet<Cipher>,
    /// Whether several API servers are there or should be.
    several: bool,
}

impl<'a> Servers<'a> {
    pub(crate) fn of(desired: &Blueprint, seen: &'a Inventory) -> Self {
        let ledger = &seen.ledger;
        let own_key = ledger.certs.contains_key(&CertName::from(OWN_KEY));
        let (mut known_of, mut has_unknown) = (Vec::new(), false);
        for (name, node) in &seen.nodes {
            let Some(container) = node.facts().and_then(|facts| facts.containers.get(API.as_str())) else {
                continue;
            };
            let is_ours = container.lineage.is_none() || container.lineage == ledger.lineage;
            if container.maker == Maker::Other && has_role(ledger, name) {
                known_of.extend(by_hand(container, &ledger.stored).map(|ciphers| (name, ciphers)));
            }
            if container.maker != Maker::Windlass || !is_ours {
                continue;
            }
            match Settings::of(API, &container.spec).secrets() {
                Some(SecretsAtRest::Encrypted) if own_key => known_of.push((name, own_ciphers())),
                Some(secrets) => match known(secrets) {
                    Some(ciphers) => known_of.push((name, ciphers)),
                    None => has_unknown = true,
                },
                None => {}
            }
        }
        let is_unseen = |name: &NodeName| {
            has_role(ledger, name) && seen.nodes.get(name).and_then(|node| node.facts()).is_none()
        };
        let desired_names: BTreeSet<&NodeName> =
            desired.with_role(Role::ControlPlane).map(|(name, _)| name).collect();
        // A node that loses the role keeps it in the ledger until its API server is removed.
        let unseen: BTreeSet<NodeName> =
            desired.nodes.keys().filter(|name| is_unseen(name)).cloned().collect();
        let is_other = |name: &&NodeName| !desired_names.contains(*name);
        let others = known_of.iter().map(|(name, _)| *name).chain(&unseen).filter(is_other).count();
        let mut stored: BTreeSet<Cipher> =
            known_of.iter().filter_map(|(_, ciphers)| ciphers.of(SECRETS).into_iter().next()).collect();
        match &ledger.stored {
            StoredSecrets::By(cipher) => drop(stored.insert(cipher.clone())),
            StoredSecrets::Among(ciphers) => stored.extend(ciphers.iter().cloned()),
            StoredSecrets::Unknown => {
                stored.extend(known_of.iter().flat_map(|(_, ciphers)| ciphers.of(SECRETS)));
                let lives = ledger.born == Birth::Born;
                stored.extend(Some(Cipher::own()).filter(|_| own_key && lives));
                // Where no label says how, as after a container was made by hand, they are as without encryption.
                stored.extend(Some(Cipher::identity()).filter(|_| !own_key && lives && known_of.is_empty()));
            }
        }
        Self { known: known_of, unseen, has_unknown, stored, several: desired_names.len() + others > 1 }
    }

    /// The cipher with which all of them write Secrets; none where they differ.
    pub(crate) fn writes(&self) -> Option<Cipher> {
        let mut writes = self.known.iter().filter_map(|(_, ciphers)| ciphers.of(SECRETS).into_iter().next());
        let first = writes.next()?;
        writes.all(|other| other == first).then_some(first)
    }

    /// Whether all of these can be replaced by one with these keys, one after another.
    fn fit(&self, to: &Ciphers) -> bool {
        self.changes(to).all(|change| change.lost().is_none() && change.too_new().is_none())
    }

    /// The changes for each kind of resources.
    fn changes<'c>(&'c self, to: &'c Ciphers) -> impl Iterator<Item = Change<'c>> {
        let kinds: BTreeSet<Arc<str>> = self
            .known
            .iter()
            .flat_map(|(_, ciphers)| ciphers.0.keys())
            .chain(to.0.keys())
            .cloned()
            .chain([Arc::from(SECRETS)])
            .collect();
        kinds.into_iter().map(move |resource| Change { resource, to, servers: self })
    }

    /// The ciphers with which Secrets may be stored and that these keys do not read.
    pub(crate) fn unread(&self, to: &Ciphers) -> BTreeSet<Cipher> {
        let to = to.of(SECRETS);
        self.stored.iter().filter(|cipher| !to.contains(cipher)).cloned().collect()
    }

    /// Whether all Secrets can be rewritten now, so that they are stored as these API servers write.
    fn can_rewrite(&self, seen: &Inventory) -> bool {
        let answers = matches!(seen.kube, KubeSeen::Nodes(_));
        answers && !self.known.is_empty() && self.unseen.is_empty() && !self.has_unknown
    }
}

/// The keys that this round gives to API servers; none where they are unknown, or where there is none.
pub(crate) fn desired_ciphers(desired: &Blueprint) -> Option<Ciphers> {
    known(&at_rest(desired)?)
}

/// What the ledger must say of stored Secrets before any API server of this plan writes; none if it says so.
pub(crate) fn stored_before_all(ctx: &Context<'_>) -> Option<StoredSecrets> {
    let writes = desired_ciphers(ctx.desired)?.of(SECRETS).into_iter().next()?;
    let noted = &ctx.seen.ledger.stored;
    let servers = Servers::of(ctx.desired, ctx.seen);
    // Behind a node that does not answer there may be a newer ledger, and a cluster that has stored Secrets.
    let all_answer = ctx.seen.nodes.values().all(|node| node.facts().is_some());
    let is_new = ctx.seen.ledger.born == Birth::Expected && servers.known.is_empty() && all_answer;
    // What API servers write now, and will.
    let mut ciphers = servers.stored;
    ciphers.insert(writes.clone());
    match noted {
        StoredSecrets::By(cipher) if *cipher == writes => None,
        StoredSecrets::Unknown | StoredSecrets::By(_) | StoredSecrets::Among(_)
            if is_new && !writes.is_identity() =>
        {
            Some(StoredSecrets::By(writes))
        }
        StoredSecrets::Among(noted) if *noted == ciphers => None,
        StoredSecrets::By(_) | StoredSecrets::Among(_) => Some(StoredSecrets::Among(ciphers)),
        StoredSecrets::Unknown => None,
    }
}

/// Refuses what makes stored Secrets unreadable; reports which keys are removed.
pub(crate) fn check(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } => {}
        // They change no key.
        Intent::Reissue { .. } | Intent::Dismantle { .. } => return,
    }
    if ctx.seen.ledger.born == Birth::Expected {
        return;
    }
    let servers = Servers::of(ctx.desired, ctx.seen);
    let Some(desired) = at_rest(ctx.desired) else { return };
    let origin = Some(SpecPath::from("services.kube-api.secrets_encryption_config"));
    if servers.has_unknown && (desired == SecretsAtRest::Plain || begins_with_own_key(ctx)) {
        build.refuse(Subject::Secrets, Refusal::CustomEncryptionDropped, origin);
        return;
    }
    let Some(to) = known(&desired) else { return };
    let unread = servers.unread(&to);
    if unread.contains(&Cipher::own()) {
        let keys = vec![CertName::from(OWN_KEY)];
        build.refuse(Subject::Secrets, Refusal::EncryptionKeysDropped { keys }, origin);
        return;
    }
    let mut is_refused = false;
    for change in servers.changes(&to) {
        if let Some(refusal) = change.lost().or_else(|| change.too_new()) {
            is_refused = true;
            build.refuse(Subject::Secrets, refusal, origin.clone());
        } else if let Some(note) = change.leaving().filter(|_| &*change.resource != SECRETS) {
            build.note(Subject::Secrets, note, origin.clone());
        }
    }
    if !is_refused && !unread.is_empty() && !servers.can_rewrite(ctx.seen) {
        let keys = unread.iter().map(ToString::to_string).collect();
        build.refuse(Subject::Secrets, Refusal::EncryptionKeyStillNeeded { keys }, origin);
    }
}

/// How the API servers of this desired state store Secrets; none if there should be none.
fn at_rest(desired: &Blueprint) -> Option<SecretsAtRest> {
    let mut servers = desired.with_role(Role::ControlPlane);
    servers.find_map(|(_, node)| Settings::of(API, &node.containers.get(&API)?.spec).secrets().cloned())
}

/// Whether this run begins encryption with a key that windlass generates.
fn begins_with_own_key(ctx: &Context<'_>) -> bool {
    let name = CertName::from(OWN_KEY);
    ctx.desired.certs.contains_key(&name) && !ctx.seen.ledger.certs.contains_key(&name)
}

/// The keys, if it is known which they are.
fn known(secrets: &SecretsAtRest) -> Option<Ciphers> {
    match secrets {
        SecretsAtRest::Plain => Some(Ciphers::default()),
        SecretsAtRest::By(ciphers) => Some(ciphers.clone()),
        SecretsAtRest::Encrypted => None,
    }
}

/// Whether a node has a control plane according to the ledger.
fn has_role(ledger: &LedgerFace, name: &NodeName) -> bool {
    ledger.nodes.get(name).is_some_and(|last| last.roles.contains(&Role::ControlPlane))
}

/// The keys of an API server that somebody made by hand, so that no label names them: none without the flag. With it those
/// with which all Secrets are stored, where the ledger says so, and plain text, which is missing in few configurations.
fn by_hand(container: &ContainerSeen, stored: &StoredSecrets) -> Option<Ciphers> {
    // Whatever else has this name stores no Secrets.
    container.spec.flag("etcd-servers")?;
    if container.spec.flag("encryption-provider-config").is_none() {
        return Some(Ciphers::default());
    }
    match stored {
        StoredSecrets::By(cipher) => {
            let plain = Some(Cipher::identity()).filter(|_| !cipher.is_identity());
            Some(Ciphers([(Arc::from(SECRETS), [cipher.clone()].into_iter().chain(plain).collect())].into()))
        }
        StoredSecrets::Among(_) | StoredSecrets::Unknown => None,
    }
}

/// Those of an API server with windlass' own key; an older windlass did not record them.
fn own_ciphers() -> Ciphers {
    Ciphers([(Arc::from(SECRETS), vec![Cipher::own(), Cipher::identity()])].into())
}

/// The keys of one kind of resource, as API servers have them and as they should have them.
struct Change<'c> {
    resource: Arc<str>,
    to: &'c Ciphers,
    servers: &'c Servers<'c>,
}

impl Change<'_> {
    fn from(&self) -> impl Iterator<Item = (&NodeName, Vec<Cipher>)> {
        self.servers.known.iter().map(|(name, ciphers)| (*name, ciphers.of(&self.resource)))
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
    /// Where one writes it already, it is best that all of them read it soon.
    fn too_new(&self) -> Option<Refusal> {
        let writes = self.to.of(&self.resource).into_iter().next()?;
        let has_begun = self.from().any(|(_, from)| from.first() == Some(&writes));
        if has_begun || !self.servers.several {
            return None;
        }
        let cannot = self.from().filter(|(_, from)| !from.contains(&writes));
        let mut nodes: BTreeSet<NodeName> = cannot.map(|(name, _)| name.clone()).collect();
        if !writes.is_identity() {
            nodes.extend(self.servers.unseen.iter().cloned());
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
