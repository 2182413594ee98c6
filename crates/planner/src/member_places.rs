//! The directories of members of etcd on a node, and where they are moved aside to.

use windlass_model::{EtcdData, FilePath, NodeFacts, aside_of};

use crate::context::Context;

/// The directories on a node that hold something of a member: of its data, of its log, and those elsewhere; each with the
/// subject of a step for it.
pub(crate) fn member_directories(ctx: &Context<'_>, facts: &NodeFacts) -> Vec<(String, FilePath)> {
    let own = ctx.desired.footprints.under(facts.prefix.as_ref()).etcd();
    let subjects = |place: String| [format!("etcd-data{place}"), format!("etcd-log{place}")];
    let mut found: Vec<(String, FilePath)> = Vec::new();
    if facts.etcd_data != EtcdData::Absent {
        found.extend(subjects(String::new()).into_iter().zip(own.directories()));
        // The disk of one of them may be missing.
        found.retain(|(_, path)| facts.directories.contains(path));
    }
    for (index, elsewhere) in facts.etcd_elsewhere.iter().enumerate() {
        if elsewhere.data != EtcdData::Absent {
            let all = subjects(format!("-{}", index + 2)).into_iter().zip(elsewhere.places.directories());
            let known: Vec<FilePath> = found.iter().map(|(_, path)| path.clone()).collect();
            found.extend(all.filter(|(_, path)| !known.contains(path)));
        }
    }
    found
}

/// Whether the disk with the data of a member is there, whatever else is on it: the file shows it without which etcd does not
/// start.
pub(crate) fn is_disk_there(ctx: &Context<'_>, facts: &NodeFacts) -> bool {
    let places = ctx.desired.footprints.under(facts.prefix.as_ref()).etcd();
    facts.files.contains_key(&places.beside_data())
}

/// Where a directory is moved aside to.
pub(crate) fn aside(ctx: &Context<'_>, directory: &FilePath) -> FilePath {
    FilePath::from(format!("{}/{}", aside_of(directory), ctx.seen.taken_at.0))
}
