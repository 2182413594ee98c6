//! Which keys and certificates are made, and how they become durable before anything uses them.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{
    Action, Because, Birth, CertFace, CertKind, CertName, CertSelector, CertWish, Component, FileDifference,
    FileWish, FindingKind, Intent, LastNode, LedgerChange, NodeFacts, NodeName, Reason, Role, San, SpecPath,
    StepId,
};

use crate::builder::StepHandle;
use crate::planner::Planner;

/// A certificate with fewer days left than this is made anew by the next `up`.
const RENEW_DAYS_BEFORE_EXPIRY: u64 = 30;

/// What the ledger learns when the cluster's etcd is there for the first time.
pub(crate) const COME_TO_LIFE: &str = "etcd has come to life";

impl Planner<'_> {
    /// Plans what is minted, the commit of the ledger, and its copies on control-plane nodes.
    pub(crate) fn certificates(&mut self) {
        self.minted = self.certificates_to_mint();
        let change = self.ledger_change();
        self.report_expired_authorities();
        if self.minted.is_empty() && change.is_empty() {
            self.copy_ledger(false);
            return;
        }
        self.roots_change |= self.touches_roots(&change);
        let reasons = commit_reasons(self.minted.len(), &change);
        let commit = self.builder.step(
            StepId::new("cluster", "ledger", "commit"),
            Action::CommitLedger { change },
            reasons,
            vec![],
        );
        if !self.minted.is_empty() {
            let certs: BTreeMap<CertName, CertWish> = self
                .minted
                .keys()
                .filter_map(|name| Some((name.clone(), self.wish.certs.get(name)?.clone())))
                .collect();
            let mut reasons: Vec<Reason> = self.minted.values().flatten().cloned().collect();
            reasons.sort();
            reasons.dedup();
            let sans_changed = reasons.iter().any(|reason| matches!(reason, Reason::CertDiffers { .. }));
            let origins: Vec<SpecPath> =
                self.wish.origins.sans.iter().filter(|_| sans_changed).cloned().collect();
            let mint = self.builder.step(
                StepId::new("cluster", "certificates", "mint"),
                Action::MintCerts { certs },
                reasons,
                origins,
            );
            self.builder.after(commit, mint, Because::DurableFirst);
        }
        self.commit = Some(commit);
        self.copy_ledger(true);
    }

    /// Whether a cluster would begin to live by keys that no control-plane node holds: one lost disk would then
    /// be the loss of all keys.
    pub(crate) fn keys_would_be_here_only(&mut self) -> bool {
        let is_held = !self.copies.is_empty()
            || self.nodes_in_sight().any(|(_, _, facts)| facts.ledger.is_some())
            || self.seen.ledger.born == Birth::Born
            || self.is_seen_to_live();
        if is_held || !self.rules.durable_first {
            return false;
        }
        self.find(
            FindingKind::Held,
            "cluster/ledger",
            None,
            "the cluster does not begin to live: its keys would be on this machine only",
            "a control-plane node must be in sight and take a copy of the ledger",
            None,
        );
        true
    }

    /// Every certificate that must be made, with the reasons. Those of nodes out of sight wait for them.
    fn certificates_to_mint(&self) -> BTreeMap<CertName, Vec<Reason>> {
        let reissue = match self.intent {
            Intent::Converge { reissue } => reissue,
            Intent::Dismantle { .. } => &CertSelector::None,
        };
        let mut minted: BTreeMap<CertName, Vec<Reason>> = BTreeMap::new();
        // Authorities first: a new authority means a new certificate from it.
        let (authorities, others): (Vec<_>, Vec<_>) =
            self.wish.certs.iter().partition(|(_, wish)| wish.issuer.is_none());
        for (name, wish) in authorities.into_iter().chain(others) {
            let requested = reissue.selects(wish);
            // What is requested now is not known to be so later: the node takes it when it is back.
            if self.belongs_out_of_sight(name) && !(requested && self.seen.ledger.certs.contains_key(name)) {
                continue;
            }
            let mut reasons = match self.seen.ledger.certs.get(name) {
                None => vec![Reason::CertMissing],
                Some(face) => self.why_anew(wish, face),
            };
            if let Some(issuer) = &wish.issuer
                && minted.contains_key(issuer)
                && self.seen.ledger.certs.contains_key(name)
            {
                reasons.push(Reason::IssuerChanged);
            }
            if requested && reasons.is_empty() {
                reasons.push(Reason::Requested);
            }
            if !reasons.is_empty() {
                minted.insert(name.clone(), reasons);
            }
        }
        minted
    }

    fn belongs_out_of_sight(&self, cert: &CertName) -> bool {
        cert.node().is_some_and(|node| !self.is_in_sight(&NodeName::from(node)))
    }

    /// Why a certificate that is there must be made anew; an authority never is, short of a rotation.
    fn why_anew(&self, wish: &CertWish, face: &CertFace) -> Vec<Reason> {
        if wish.kind != CertKind::Leaf {
            return vec![];
        }
        let mut reasons: Vec<Reason> =
            differences(wish, &face.wish).into_iter().map(|how| Reason::CertDiffers { how }).collect();
        let issuer = wish.issuer.as_ref().and_then(|issuer| self.seen.ledger.certs.get(issuer));
        let now = self.seen.taken_at;
        let renew_at = now.plus_seconds(RENEW_DAYS_BEFORE_EXPIRY * 86_400);
        // Where the issuer ends too, a new certificate would end on the same day, and every `up` make one more.
        let new_end = now.plus_days(wish.valid_days);
        let new_end = issuer.map_or(new_end, |issuer| new_end.min(issuer.not_after));
        if face.not_after <= renew_at && new_end > face.not_after {
            reasons.push(Reason::CertExpires { on: face.not_after });
        }
        if issuer.is_some_and(|issuer| face.issuer != Some(issuer.certificate)) {
            reasons.push(Reason::IssuerChanged);
        }
        reasons
    }

    fn report_expired_authorities(&mut self) {
        let now = self.seen.taken_at;
        let expired: Vec<(CertName, windlass_model::Timestamp)> = self
            .wish
            .certs
            .iter()
            .filter(|(_, wish)| wish.kind == CertKind::Authority)
            .filter_map(|(name, _)| Some((name.clone(), self.seen.ledger.certs.get(name)?.not_after)))
            .filter(|(_, not_after)| *not_after <= now.plus_seconds(RENEW_DAYS_BEFORE_EXPIRY * 86_400))
            .collect();
        for (name, not_after) in expired {
            self.find(
                FindingKind::Notice,
                format!("cluster/{name}"),
                None,
                format!("the authority expires {not_after}, and with it all that it signed"),
                "authorities are not renewed by `up`: plan their rotation",
                None,
            );
        }
    }

    /// What must be in the ledger before anything is put on a node: where the nodes are, and what the cluster
    /// is founded on.
    fn ledger_change(&self) -> LedgerChange {
        let mut change = LedgerChange::default();
        for (name, node, facts) in self.nodes_in_sight() {
            let mut now = LastNode { target: node.target.clone(), roles: node.roles.clone() };
            if self.still_serves_the_api(name, facts) {
                now.roles.insert(Role::ControlPlane);
            }
            if self.seen.ledger.nodes.get(name) != Some(&now) {
                change.nodes.insert(name.clone(), now);
            }
        }
        if self.seen.ledger.foundation.as_ref() != Some(&self.wish.foundation) {
            change.foundation = Some(self.wish.foundation.clone());
        }
        change.born = self.seen.ledger.born == Birth::Expected && self.is_seen_to_live();
        let unwished: BTreeSet<CertName> = self
            .seen
            .ledger
            .certs
            .keys()
            .filter(|name| !self.wish.certs.contains_key(*name) && !self.holder_still_leaving(name))
            .cloned()
            .collect();
        change.forget_certs = unwished;
        change
    }

    /// Whether the API server of a node that is no control plane any more still has to go: until then the ledger says
    /// what it was, so that it is reckoned with where the node is lost from sight.
    fn still_serves_the_api(&self, name: &NodeName, facts: &NodeFacts) -> bool {
        let last = self.seen.ledger.nodes.get(name);
        last.is_some_and(|last| last.roles.contains(&Role::ControlPlane))
            && facts.containers.contains_key(Component::KubeApiserver.as_str())
    }

    /// Whether the certificate belongs to a node that has left and may still present it.
    fn holder_still_leaving(&self, cert: &CertName) -> bool {
        cert.node().is_some_and(|node| {
            !self.wish.nodes.contains_key(node) && self.seen.ledger.nodes.contains_key(node)
        })
    }

    /// Plans the copies of the ledger on control-plane nodes, after the commit if there is one.
    fn copy_ledger(&mut self, changes: bool) {
        let path = &self.wish.footprint.ledger;
        let copies: Vec<(&NodeName, &FileWish, FileDifference)> = self
            .nodes_in_sight()
            .filter(|(_, node, _)| node.has(Role::ControlPlane))
            .filter_map(|(name, node, facts)| {
                let wish = node.files.get(path)?;
                let how = match facts.files.get(path) {
                    None => FileDifference::Missing,
                    Some(_) if changes => FileDifference::Renewed,
                    Some(seen) if Some(seen.digest) != self.seen.ledger.digest => FileDifference::Content,
                    Some(seen) if seen.mode != wish.mode => FileDifference::Mode,
                    Some(seen) if seen.owner != wish.owner => FileDifference::Owner,
                    Some(_) => return None,
                };
                Some((name, wish, how))
            })
            .collect();
        for (name, wish, how) in copies {
            let copy = self.builder.step(
                StepId::new(name, "ledger", "write"),
                Action::WriteFiles {
                    node: name.clone(),
                    files: BTreeMap::from([(path.clone(), wish.clone())]),
                },
                vec![Reason::FileDiffers { path: path.clone(), how }],
                vec![],
            );
            if let Some(commit) = self.commit {
                self.builder.after(copy, commit, Because::DurableFirst);
            }
            self.copies.push(copy);
        }
    }

    /// Plans the ledger's last commit: what only became true by this plan.
    pub(crate) fn conclude(&mut self) {
        let mut last = self.born;
        if !self.conclusion.is_empty() {
            let change = std::mem::take(&mut self.conclusion);
            let after = std::mem::take(&mut self.conclude_after);
            self.roots_change |= self.touches_roots(&change);
            let reasons = commit_reasons(0, &change);
            let conclude = self.builder.step(
                StepId::new("cluster", "ledger", "conclude"),
                Action::CommitLedger { change },
                reasons,
                vec![],
            );
            self.builder.after_all(conclude, after, Because::Needs);
            self.builder.after_all(conclude, self.commit, Because::Needs);
            self.builder.after_all(conclude, self.born, Because::Needs);
            last = Some(conclude);
        }
        self.keep_roots(last.or(self.commit));
        let Some(last) = last else { return };
        let path = &self.wish.footprint.ledger;
        let nodes: Vec<(&NodeName, &FileWish)> = self
            .nodes_in_sight()
            .filter(|(_, node, _)| node.has(Role::ControlPlane))
            .filter_map(|(name, node, _)| Some((name, node.files.get(path)?)))
            .collect();
        for (name, wish) in nodes {
            let copy = self.builder.step(
                StepId::new(name, "ledger", "conclude"),
                Action::WriteFiles {
                    node: name.clone(),
                    files: BTreeMap::from([(path.clone(), wish.clone())]),
                },
                vec![Reason::FileDiffers { path: path.clone(), how: FileDifference::Renewed }],
                vec![],
            );
            self.builder.after(copy, last, Because::DurableFirst);
            self.builder.after_all(copy, self.copies.clone(), Because::Needs);
        }
    }
}

impl Planner<'_> {
    /// Plans that Kubernetes keeps the ledger's roots, behind the `last` commit and as soon as it answers.
    ///
    /// A newer ledger of this cluster is never overwritten, nor is that of another.
    fn keep_roots(&mut self, last: Option<StepHandle>) {
        if !self.kube_answers() && self.api_up.is_empty() {
            return;
        }
        let reason = match &self.seen.kept {
            Some(kept) if Some(&kept.lineage) != self.seen.ledger.lineage.as_ref() => {
                self.keeps_something_else(
                    "the ledger of another cluster",
                    "if this one was restored from a snapshot of that one, delete the Secret: the next `up` writes it anew",
                );
                return;
            }
            Some(kept) if kept.serial > self.seen.ledger.serial => {
                self.keeps_something_else(
                    &format!("a newer ledger, of serial {}", kept.serial),
                    "bring it back as docs/reference/files-and-containers.md tells, or delete the Secret: the next \
                     `up` writes it anew",
                );
                return;
            }
            Some(kept) if Some(kept.digest) == self.seen.ledger.roots && !self.roots_change => return,
            Some(_) => "what Kubernetes keeps of the ledger is older",
            None => "Kubernetes keeps nothing of the ledger yet",
        };
        let keep = self.builder.step(
            StepId::new("cluster", "ledger", "keep"),
            Action::KeepRoots,
            vec![Reason::LedgerBehind { what: reason.to_owned() }],
            vec![],
        );
        self.builder.after_all(keep, last, Because::DurableFirst);
        self.builder.after_all(keep, self.api_up.values().copied().collect::<Vec<_>>(), Because::Needs);
    }

    fn keeps_something_else(&mut self, what: &str, help: &str) {
        let what = format!("Kubernetes keeps {what}, in the Secret kube-system/windlass-ledger");
        self.find(FindingKind::Notice, "cluster/ledger", None, what, help, None);
    }

    /// Whether a commit changes more than leaves and workers: what Kubernetes keeps of the ledger.
    fn touches_roots(&self, change: &LedgerChange) -> bool {
        let LedgerChange { nodes, forget, forget_certs, foundation, born } = change;
        let holds =
            |last: &LastNode| last.roles.contains(&Role::ControlPlane) || last.roles.contains(&Role::Etcd);
        let held = |name: &NodeName| self.seen.ledger.nodes.get(name).is_some_and(holds);
        let certs = &self.seen.ledger.certs;
        *born
            || foundation.is_some()
            || nodes.iter().any(|(name, last)| holds(last) || held(name))
            || forget.iter().any(held)
            || forget_certs
                .iter()
                .any(|name| certs.get(name).is_some_and(|cert| cert.wish.kind != CertKind::Leaf))
            || self
                .minted
                .keys()
                .any(|name| self.wish.certs.get(name).is_some_and(|wish| wish.kind != CertKind::Leaf))
    }
}

fn commit_reasons(minted: usize, change: &LedgerChange) -> Vec<Reason> {
    let LedgerChange { nodes, forget, forget_certs, foundation, born } = change;
    let mut what = Vec::new();
    if minted > 0 {
        what.push(count(minted, "new certificate with its key", "new certificates with their keys"));
    }
    if !nodes.is_empty() {
        what.push(format!("{} new or changed", count(nodes.len(), "node", "nodes")));
    }
    if !forget.is_empty() {
        what.push(format!("{} cleaned", count(forget.len(), "node", "nodes")));
    }
    if !forget_certs.is_empty() {
        what.push(format!("{} no longer wished", count(forget_certs.len(), "certificate", "certificates")));
    }
    if foundation.is_some() {
        what.push("what the cluster is founded on".to_owned());
    }
    if *born {
        what.push(COME_TO_LIFE.to_owned());
    }
    what.into_iter().map(|what| Reason::LedgerBehind { what }).collect()
}

/// `1 node`, `2 nodes`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// In what a certificate differs from its wish, in words.
fn differences(wish: &CertWish, made: &CertWish) -> Vec<String> {
    let CertWish { kind: _, common_name, organizations, issuer, usages, sans, valid_days: _, service: _ } =
        wish;
    let mut found = Vec::new();
    if *common_name != made.common_name || *organizations != made.organizations {
        found.push(format!("subject {} → {common_name}", made.common_name));
    }
    if *issuer != made.issuer {
        found.push("issuer changed".to_owned());
    }
    if *usages != made.usages {
        found.push("usages changed".to_owned());
    }
    let named = |names: Vec<&San>, is: &str| {
        names.into_iter().map(move |san| format!("SAN {san} {is}")).collect::<Vec<_>>()
    };
    found.extend(named(sans.difference(&made.sans).collect(), "added"));
    found.extend(named(made.sans.difference(sans).collect(), "removed"));
    found
}
