//! Files on nodes: written before the containers that read them, removed when nothing reads them any more.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{
    Action, Because, CertKind, Content, FilePath, FileWish, NodeName, Reason, SpecPath, StepId,
};

use crate::compare::Contents;
use crate::planner::Planner;

impl<'a> Planner<'a> {
    /// Plans one write a node, of all files that differ there.
    pub(crate) fn files(&mut self) {
        let nodes: Vec<(&'a NodeName, BTreeMap<FilePath, FileWish>, Vec<Reason>)> = {
            let contents = Contents::new(self.seen, &self.minted);
            self.nodes_in_sight()
                .filter_map(|(name, node, facts)| {
                    let differing: Vec<_> = node
                        .files
                        .iter()
                        .filter(|(_, wish)| wish.content != Content::Ledger)
                        .filter_map(|(path, wish)| {
                            Some((path, wish, contents.file_difference(path, wish, facts)?))
                        })
                        .collect();
                    let reasons = differing
                        .iter()
                        .map(|(path, _, how)| Reason::FileDiffers { path: (*path).clone(), how: *how })
                        .collect();
                    let files: BTreeMap<FilePath, FileWish> =
                        differing.into_iter().map(|(path, wish, _)| (path.clone(), wish.clone())).collect();
                    (!files.is_empty()).then_some((name, files, reasons))
                })
                .collect()
        };
        // Leaves can be made again; authorities and the service-account key cannot, so these are on every
        // control-plane node before anything made from them is on any.
        let mints_root = self
            .minted
            .keys()
            .any(|name| self.wish.certs.get(name).is_some_and(|wish| wish.kind != CertKind::Leaf));
        for (name, files, reasons) in nodes {
            let minted = files.values().any(|wish| match &wish.content {
                Content::Cert { cert, .. } => self.minted.contains_key(cert),
                Content::Text(_) | Content::Secret(_) | Content::Ledger => false,
            });
            let origins: BTreeSet<SpecPath> = files.values().filter_map(|wish| wish.origin.clone()).collect();
            let step = self.builder.step(
                StepId::new(name, "files", "write"),
                Action::WriteFiles { node: name.clone(), files },
                reasons,
                origins.into_iter().collect(),
            );
            if let Some(commit) = self.commit {
                self.builder.after(step, commit, Because::DurableFirst);
            }
            if minted && mints_root && self.rules.durable_first {
                self.builder.after_all(step, self.copies.clone(), Because::DurableFirst);
            }
            self.files.insert(name, step);
        }
    }
}
