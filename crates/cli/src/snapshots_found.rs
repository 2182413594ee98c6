//! The snapshots that were found on nodes and in the bucket, as a table and as a document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use windlass_model::{
    InBucket, NodeName, RKE_ARCHIVE_EXTENSION, SNAPSHOT_EXTENSION, SnapshotSeen, SnapshotState,
};

use crate::commands::Session;
use crate::exit::Exit;
use crate::scene::Scene;

/// Snapshots, for programs.
#[derive(Debug, Serialize)]
struct SnapshotsDocument<'a> {
    schema: &'static str,
    exit: u8,
    snapshots: &'a [OnNode],
    /// The copies in the bucket of cluster.yml.
    bucket: &'a [InBucket],
    /// Why the bucket did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_error: Option<&'a str>,
    /// The nodes that did not answer, and why.
    unreachable: &'a BTreeMap<NodeName, String>,
}

/// A snapshot, and where it is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OnNode {
    pub(crate) node: NodeName,
    #[serde(flatten)]
    pub(crate) snapshot: SnapshotSeen,
}

/// What was found on all nodes of etcd.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) snapshots: Vec<OnNode>,
    pub(crate) bucket: FoundInBucket,
    pub(crate) unreachable: BTreeMap<NodeName, String>,
}

/// What was found in the bucket.
#[derive(Debug, Default)]
pub(crate) struct FoundInBucket {
    /// The snapshots of this cluster; of all clusters where the ledger does not say which it is.
    pub(crate) snapshots: Vec<InBucket>,
    /// Why the bucket did not answer.
    pub(crate) error: Option<String>,
}

/// The files that a name of the command line may mean: windlass' own first, then what RKE took.
pub(crate) fn files_named(name: &str) -> [String; 3] {
    let own = format!("{}{SNAPSHOT_EXTENSION}", name.trim_end_matches(SNAPSHOT_EXTENSION));
    [own, name.to_owned(), format!("{name}{RKE_ARCHIVE_EXTENSION}")]
}

impl<S: Scene> Session<'_, S> {
    pub(crate) fn show_snapshots(&self, found: &Found, exit: Exit) -> Exit {
        self.printer.result(&table(found));
        self.printer.document(&SnapshotsDocument {
            schema: "windlass/snapshots/1",
            exit: exit.code(),
            snapshots: &found.snapshots,
            bucket: &found.bucket.snapshots,
            bucket_error: found.bucket.error.as_deref(),
            unreachable: &found.unreachable,
        });
        exit
    }
}

/// Where a copy is, in a table.
fn place_of(at: &InBucket) -> String {
    if at.place.is_of_rke() { "s3 of RKE".to_owned() } else { format!("s3 {}", at.place.member) }
}

/// Snapshots in columns, and the nodes that did not answer.
fn table(found: &Found) -> String {
    let mut text = String::new();
    let on_nodes = found.snapshots.iter().map(|on| (on.node.to_string(), &on.snapshot));
    let in_bucket = found.bucket.snapshots.iter().map(|at| (place_of(at), &at.snapshot));
    let rows: Vec<[String; 7]> = on_nodes
        .chain(in_bucket)
        .map(|(place, snapshot)| {
            let proof = snapshot.proof();
            let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
            let state = match &snapshot.state {
                SnapshotState::Proven(proof) => format!("whole, read back {}", proof.checked_at),
                SnapshotState::Unproven => "not read back yet".to_owned(),
                SnapshotState::Damaged(why) => format!("damaged: {why}"),
            };
            [
                place,
                snapshot.name.clone(),
                snapshot.taken_at().to_string(),
                snapshot.bytes.to_string(),
                count(proof.map(|proof| proof.revision)),
                count(proof.map(|proof| proof.keys)),
                state,
            ]
        })
        .collect();
    let head = ["PLACE", "NAME", "TAKEN", "BYTES", "REVISION", "KEYS", "STATE"].map(str::to_owned);
    let width = |column: usize| {
        rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for row in [&head].into_iter().chain(&rows).filter(|_| !rows.is_empty()) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if rows.is_empty() && found.unreachable.is_empty() && found.bucket.error.is_none() {
        text.push_str("no snapshots\n");
    }
    for (node, why) in &found.unreachable {
        let _ = writeln!(text, "{node}: {why}");
    }
    if let Some(why) = &found.bucket.error {
        let _ = writeln!(text, "s3: {why}");
    }
    text
}
