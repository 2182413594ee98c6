//! The steps that concern files, directories and images of a node.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{DesiredFile, DesiredKernel, FilePath, Guard, ImageRef, NodeName, PodRuntime, row_of};

use crate::ports::{Clock, FilePut, Fleet, LedgerStore, Minter};
use crate::run::Run;
use crate::step_error::{Doing, Done, StepError, accept_already_so};

impl<F: Fleet, L: LedgerStore, M: Minter, C: Clock> Run<'_, F, L, M, C> {
    pub(crate) async fn pull_image(&self, node: &NodeName, image: &ImageRef) -> Done {
        accept_already_so(self.ports.fleet.pull(node, image).await)
            .doing(|| format!("pull {image} on {node}"))
    }

    pub(crate) async fn write_files(&self, node: &NodeName, files: &BTreeMap<FilePath, DesiredFile>) -> Done {
        let secret = |name: &_| self.assignment.secrets.get(name).cloned();
        let puts = files
            .iter()
            .map(|(path, DesiredFile { content, mode, owner, origin: _ })| {
                let content = self.keys.content(content, secret)?;
                Ok(FilePut { path: path.clone(), content, mode: *mode, owner: *owner })
            })
            .collect::<Result<Vec<FilePut>, StepError>>()?;
        accept_already_so(self.ports.fleet.put_files(node, &puts).await)
            .doing(|| format!("write {} on {node}", row_of(files.keys(), 1)))
    }

    pub(crate) async fn set_kernel(&self, node: &NodeName, kernel: &DesiredKernel) -> Done {
        accept_already_so(self.ports.fleet.set_kernel(node, kernel).await)
            .doing(|| format!("set the kernel of {node}"))
    }

    pub(crate) async fn remove_paths(&self, node: &NodeName, paths: &BTreeSet<FilePath>) -> Done {
        accept_already_so(self.ports.fleet.remove_paths(node, paths).await)
            .doing(|| format!("delete {} on {node}", row_of(paths, 1)))
    }

    pub(crate) async fn move_aside(
        &self,
        node: &NodeName,
        path: &FilePath,
        to: &FilePath,
        guards: &[Guard],
    ) -> Done {
        self.hold_guards(guards).await?;
        accept_already_so(self.ports.fleet.move_aside(node, path, to).await)
            .doing(|| format!("move {path} to {to} on {node}"))
    }

    pub(crate) async fn remove_pods(
        &self,
        node: &NodeName,
        kubelet: &FilePath,
        keep: Option<PodRuntime>,
    ) -> Done {
        accept_already_so(self.ports.fleet.remove_pods(node, kubelet, keep).await)
            .doing(|| format!("remove the pods of {node}"))
    }
}
