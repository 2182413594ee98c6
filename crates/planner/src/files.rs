//! Files on nodes: written before the containers that read them, removed when nothing reads them any more.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{
    Action, Because, CertKind, CertName, Component, Content, FileDifference, FilePath, FileWish, NodeName,
    NodeWish, OnChange, Reason, SpecPath, StepId,
};

use crate::builder::StepHandle;
use crate::compare::Condition;
use crate::planner::{Planner, find};

/// Files of one node that differ, and why each is written.
pub(crate) type Differing = (BTreeMap<FilePath, FileWish>, Vec<Reason>);

impl<'a> Planner<'a> {
    /// Plans one write a node, of all files that differ there.
    ///
    /// A list of API servers that is there already waits until what is new in it works: see
    /// [`Self::write_proxy_files`]. What goes over to another user with etcd waits for its turn: see
    /// [`Self::hand_files_over`].
    pub(crate) fn files(&mut self) {
        let mut nodes: Vec<(&'a NodeName, Differing)> = Vec::new();
        let mut late_files: BTreeMap<&'a NodeName, Differing> = BTreeMap::new();
        let mut handed_files: BTreeMap<&'a NodeName, Differing> = BTreeMap::new();
        for node in self.sight.iter_mut() {
            let (mut now, mut later, mut handed) =
                (Differing::default(), Differing::default(), Differing::default());
            let etcd_is_replaced =
                matches!(find(&node.conditions, Component::Etcd), Some(Condition::Differs { .. }));
            for (path, wish, how) in std::mem::take(&mut node.files) {
                let waits = how != FileDifference::Missing && is_read_again(node.wish, path);
                let is_handed_over = etcd_is_replaced
                    && is_read_by_etcd(node.wish, path)
                    && node.facts.files.get(path).is_some_and(|seen| seen.owner != wish.owner);
                let (files, reasons) = match (waits, is_handed_over) {
                    (true, _) => &mut later,
                    (false, true) => &mut handed,
                    (false, false) => &mut now,
                };
                files.insert(path.clone(), wish.clone());
                reasons.push(Reason::FileDiffers { path: path.clone(), how });
            }
            if !now.0.is_empty() {
                nodes.push((node.name, now));
            }
            if !later.0.is_empty() {
                late_files.insert(node.name, later);
            }
            if !handed.0.is_empty() {
                handed_files.insert(node.name, handed);
            }
        }
        self.late_files = late_files;
        self.handed_files = handed_files;
        for (name, (files, reasons)) in nodes {
            let step = self.write(name, "files", files, reasons);
            self.files.insert(name, step);
        }
    }

    /// Plans the write of changed lists of API servers, when those that are new in them work.
    pub(crate) fn write_proxy_files(&mut self) {
        if !self.may_forget_api_servers() {
            return;
        }
        for (name, (files, reasons)) in std::mem::take(&mut self.late_files) {
            let step = self.write(name, "nginx-proxy", files, reasons);
            if self.rules.remove_last {
                let new_servers: Vec<StepHandle> = self.api_up.values().copied().collect();
                self.builder.after_all(step, new_servers, Because::RemoveLast);
            }
            self.proxy_files.insert(name, step);
        }
    }

    /// Plans that etcd's files become those of the user as whom this step runs it, right before: etcd reads its key at
    /// each handshake, and a member that must not any more is lost to the others.
    pub(crate) fn hand_files_over(&mut self, name: &'a NodeName, step: StepHandle) {
        let Some((files, reasons)) = self.handed_files.remove(name) else { return };
        let write = self.write(name, "etcd", files, reasons);
        self.builder.after(step, write, Because::Needs);
        self.handed_over.insert(name, write);
    }

    /// Whether an API server of the new list works, or will by this plan before the list is changed.
    pub(crate) fn may_forget_api_servers(&self) -> bool {
        !self.rules.remove_last || self.an_api_server_stays()
    }

    fn write(
        &mut self,
        name: &NodeName,
        subject: &str,
        files: BTreeMap<FilePath, FileWish>,
        reasons: Vec<Reason>,
    ) -> StepHandle {
        // Leaves can be made again; authorities and the service-account key cannot, so these are on every
        // control-plane node before anything made from them is on any.
        let is_minted = |cert: &CertName| self.minted.contains_key(cert);
        let is_root =
            |cert: &CertName| self.wish.certs.get(cert).is_some_and(|wish| wish.kind != CertKind::Leaf);
        let minted = files.values().any(|wish| match &wish.content {
            Content::Cert { cert, .. } => is_minted(cert),
            Content::Text(_) | Content::Secret(_) | Content::Ledger => false,
        });
        // As long as no node holds a copy, whatever is made from the keys waits for the first ones.
        let roots_are_new = self.minted.keys().any(is_root) || self.no_copy_yet;
        let after_copies = (minted || self.no_copy_yet) && self.rules.durable_first && roots_are_new;
        let origins: BTreeSet<SpecPath> = files.values().filter_map(|wish| wish.origin.clone()).collect();
        let step = self.builder.step(
            StepId::new(name, subject, "write"),
            Action::WriteFiles { node: name.clone(), files },
            reasons,
            origins.into_iter().collect(),
        );
        self.builder.after_all(step, self.commit, Because::DurableFirst);
        if after_copies {
            self.builder.after_all(step, self.copies.clone(), Because::DurableFirst);
        }
        step
    }
}

/// Whether etcd of the node reads this file.
fn is_read_by_etcd(node: &NodeWish, path: &FilePath) -> bool {
    node.containers.get(&Component::Etcd).is_some_and(|etcd| etcd.spec.reads.contains_key(path))
}

/// Whether a container of the node reads this file again while it runs.
fn is_read_again(node: &NodeWish, path: &FilePath) -> bool {
    node.containers.values().any(|wish| wish.spec.reads.get(path) == Some(&OnChange::Reload))
}
