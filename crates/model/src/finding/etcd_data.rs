//! Findings about etcd's data that is not where it should be, in words.

use crate::etcd_places::EtcdPlaces;
use crate::names::{FilePath, NodeName};
use crate::words::named;

pub(super) fn disk_missing(path: &FilePath) -> String {
    format!("etcd does not run, and {path} holds nothing of it: the disk with its data seems to be missing")
}

pub(super) fn mount_it(path: &FilePath) -> String {
    format!(
        "mount the disk at {path}, and run windlass again; if its data is lost for good, `docker rm etcd` there: a new \
         member takes its place"
    )
}

pub(super) fn incomplete(places: &EtcdPlaces) -> String {
    format!(
        "one part of its member is missing: the data in {}, or the log in {}",
        places.snap(),
        places.wal()
    )
}

pub(super) const COMPLETE_IT: &str = "see whether its disks are mounted, and run windlass again; if it is lost for good, `docker rm -f etcd` there: \
     what is left is moved aside, and a new member takes its place";

pub(super) const SEE_ITS_LOG: &str = "see `docker logs etcd` there, and whether its disk is mounted; if the member is lost for good, \
     `docker rm -f etcd` there: a new one takes its place";

pub(super) fn elsewhere(nodes: &str, is: &EtcdPlaces, desired: &EtcdPlaces) -> String {
    format!(
        "etcd is in {is} on {nodes}, and cluster.yml has it in {desired}: there it would begin without its data"
    )
}

pub(super) const MOVE_IT: &str = "set `data-dir`, `wal-dir` and `extra_binds` of `services.etcd` back; to move the data, stop etcd on all \
     its nodes, move it yourself, `docker rm etcd` on each, and run `windlass up`";

/// No member has its data; after a removal that is not done with some nodes nobody looks for it.
pub(super) fn lost(nodes: &str, waits_for: &[NodeName]) -> String {
    if waits_for.is_empty() {
        return format!("every member of etcd has lost its data ({nodes})");
    }
    format!("a removal has cleared the members of etcd ({nodes}), and is not done with {}", named(waits_for))
}

pub(super) fn lost_help(waits_for: &[NodeName], restore: &str) -> String {
    if waits_for.is_empty() {
        return format!(
            "see whether the disks with the data are mounted there; if it is lost for good, {restore}; or, if nothing of the \
             cluster is to be kept, run `windlass remove`, then `windlass up`"
        );
    }
    let gone: Vec<String> = waits_for.iter().map(|node| format!("--gone {node}")).collect();
    format!(
        "run `windlass remove` once they answer, or `windlass remove {}` where they are gone for good; then `windlass up` \
         makes another cluster",
        gone.join(" ")
    )
}
