//! A kubelet that would lose its pods, in words.

use crate::names::FilePath;

/// What to do about one whose root directory changes.
pub(super) const NODE_BY_NODE: &str =
    "node by node: remove it from cluster.yml, run `windlass up`, add it again; or restore `root-dir`";

/// That its root directory changes.
pub(super) fn moves(from: &FilePath, to: &FilePath) -> String {
    format!("its kubelet has its pods in {from}, and cluster.yml puts them into {to}: it is left as it is")
}
