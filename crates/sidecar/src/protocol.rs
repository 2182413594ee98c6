//! The requests of windlass to its program on a node, and the answers: one document in each direction.
//!
//! A document is a length of four bytes, most significant first, and so many bytes of JSON. Nothing else is
//! on the two streams, and nothing of a request is in an argument, an environment or a log: it may contain
//! keys.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use windlass_model::{
    BucketPlace, ChosenSnapshot, Digest, FilePath, InBucket, Lineage, Mode, Owner, RollingSeen, SnapshotSeen,
    SnapshotWanted,
};

/// The version of these documents: two programs communicate only if it is the same.
pub const PROTOCOL: u32 = 9;

/// The longest document that is read, so that a stray stream does not fill the memory.
const LONGEST: u32 = 256 << 20;

/// The request, with the version of the documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// [`PROTOCOL`] of the client.
    pub protocol: u32,
    /// The request.
    pub request: Request,
}

/// Which node holds a snapshot that is copied to all members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// This node: its copy is made of the snapshot, where there is none.
    ThisNode,
    /// Another node: the copy is carried over.
    OtherNode,
}

/// One thing to do on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Reports files and directories. Changes nothing.
    Look {
        /// Files whose digest, mode and owner are requested.
        files: BTreeSet<FilePath>,
        /// Directories of which is requested whether they exist and are not empty. One on a file system of the
        /// network is not read and counts as filled, and so does one that does not answer.
        directories: BTreeSet<FilePath>,
        /// The same of directories of etcd: all are read, and must answer.
        of_etcd: BTreeSet<FilePath>,
        /// Where etcd's data may be: the data directories of which the newest snapshot is requested.
        etcd_data: BTreeSet<FilePath>,
        /// Where a copy of the ledger may be.
        ledgers: BTreeSet<FilePath>,
        /// The directory with snapshots of etcd, whose newest periodic one is requested. One on a file system of the
        /// network, or that does not answer, is not read.
        snapshots: Option<FilePath>,
    },
    /// Writes files in order, each completely or not at all; one that is as desired already is left alone.
    Put {
        /// The files.
        files: Vec<FileToPut>,
    },
    /// Loads modules into the kernel, with the host's own programs, and changes its settings.
    SetKernel {
        /// The modules.
        modules: BTreeSet<Arc<str>>,
        /// The settings by their names.
        sysctls: BTreeMap<Arc<str>, Arc<str>>,
    },
    /// Returns the content of a file. Changes nothing.
    Read {
        /// The path.
        path: FilePath,
    },
    /// Deletes files and directories with all their contents, but nothing that is mounted there.
    Remove {
        /// The paths.
        paths: BTreeSet<FilePath>,
    },
    /// Renames a directory, unless it is missing.
    Move {
        /// The directory.
        path: FilePath,
        /// Its new name.
        to: FilePath,
    },
    /// Gives a directory, closed to all others, with all its contents to a user; creates it if it is missing.
    HandOver {
        /// The directory.
        directory: FilePath,
        /// The new owner.
        owner: Owner,
    },
    /// Stops and removes the pods that kubelet had containerd run. A host without containerd, or one whose
    /// containerd runs no pods, has none.
    RemovePods {
        /// Kubelet's own directory: only pods with a directory there are removed, whatever else uses
        /// containerd.
        kubelet: FilePath,
    },
    /// Removes what Kubernetes has added to the host's network: rules and interfaces.
    CleanNetwork,
    /// Unmounts everything that is mounted below directories such as `/var/lib/kubelet`.
    Unmount {
        /// The directories.
        below: BTreeSet<FilePath>,
    },
    /// Lists the snapshots in a directory, with what the metadata beside them says. Changes nothing.
    ListSnapshots {
        /// The directory.
        directory: FilePath,
    },
    /// Reads a snapshot back, and writes the result into its metadata.
    VerifySnapshot {
        /// The directory.
        directory: FilePath,
        /// The name of the file.
        name: String,
    },
    /// Unpacks a snapshot that RKE 1 took, beside it, and reads it back.
    UnpackSnapshot {
        /// The directory.
        directory: FilePath,
        /// The name of RKE's file.
        name: String,
    },
    /// Whether Docker's disk, on which this program's own container is, has room for so many bytes beside what is left to
    /// etcd and kubelet.
    CheckRoom {
        /// How many bytes.
        bytes: u64,
    },
    /// Counts the objects of an API server at this program's loopback.
    CountObjects(Counting),
    /// Takes a snapshot of the member on this node, and reads it back.
    SaveSnapshot(SnapshotWanted),
    /// Deletes a snapshot and its metadata.
    DeleteSnapshot {
        /// The directory.
        directory: FilePath,
        /// The name of the file.
        name: String,
    },
    /// Lists the snapshots in a bucket. Changes nothing.
    ListBucket {
        /// What describes the bucket, with its keys.
        description: Bytes,
    },
    /// Copies a snapshot into a bucket, and reads it back from there.
    CopyToBucket {
        /// What describes the bucket, with its keys.
        description: Bytes,
        /// The directory.
        directory: FilePath,
        /// The name of the file.
        name: String,
        /// The member whose it is, where its metadata does not say.
        member: String,
    },
    /// Fetches a snapshot of a bucket into a directory, and reads it back there.
    FetchFromBucket {
        /// What describes the bucket, with its keys.
        description: Bytes,
        /// The directory.
        directory: FilePath,
        /// The snapshot.
        snapshot: Box<InBucket>,
    },
    /// Deletes a snapshot in a bucket.
    DeleteFromBucket {
        /// What describes the bucket, with its keys.
        description: Bytes,
        /// Whose it is.
        place: BucketPlace,
        /// Its name.
        name: String,
    },
    /// Reads back this node's copy of a snapshot; a copy of anything else is deleted.
    HoldCopy {
        /// The snapshot.
        snapshot: ChosenSnapshot,
        /// Where the snapshot itself is.
        holder: Holder,
    },
    /// Takes what arrived for this node's copy, and reads it back.
    AcceptCopy {
        /// The snapshot.
        snapshot: ChosenSnapshot,
    },
    /// Reports whether a member's data is of this restore; otherwise prepares its directories, unless other
    /// data is there.
    PrepareMember(Forming),
    /// Turns the created data into the member's data, with a mark, and removes this node's copy of the
    /// snapshot.
    AdoptMember(Forming),
}

/// A member whose data is made of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forming {
    /// etcd's data directory.
    pub data: FilePath,
    /// The directory of etcd's log; none where it is with the data.
    pub log: Option<FilePath>,
    /// The token of this restore.
    pub token: String,
    /// This node's copy of the snapshot.
    pub staged: FilePath,
}

/// Which objects of an API server are to be counted, and by which certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counting {
    /// The path of their list, such as `/api/v1/secrets`.
    pub path: String,
    /// The file with the CA of the API server.
    pub authority: FilePath,
    /// The file with the client's certificate.
    pub certificate: FilePath,
    /// The file with the client's key.
    pub key: FilePath,
    /// How long it may take until it is ready.
    pub ready_within_seconds: u64,
}

/// The directory below etcd's own in which data is created before it gets its name.
pub const FORMING: &str = "windlass-restoring";
/// The directory beside that of the log in which the log is created before it gets its name.
pub const FORMING_LOG: &str = "windlass-restoring-log";

/// A file to be written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileToPut {
    /// Its path.
    pub path: FilePath,
    /// Its content.
    pub content: Bytes,
    /// Permission bits.
    pub mode: Mode,
    /// Its owner.
    pub owner: Owner,
}

impl std::fmt::Debug for FileToPut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileToPut")
            .field("path", &self.path)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// Bytes that may be secret: base64 in a document, and never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The error must not quote the text.
        STANDARD.decode(text).map(Self).map_err(|_| serde::de::Error::custom("no base64"))
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// What was seen.
    Seen(Box<Seen>),
    /// The content of the file; none if there is no such file.
    Content(Option<Bytes>),
    /// Snapshots.
    Snapshots(Vec<SnapshotSeen>),
    /// Snapshots in a bucket.
    InBucket(Vec<InBucket>),
    /// Whether the copy or the data is there.
    Held(bool),
    /// How many objects there are.
    Counted(u64),
    /// It is done, or was done already.
    Done,
    /// It is not done, or only in part: another attempt would not help.
    Failed(String),
}

/// What was seen of files and directories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The existing files.
    pub files: BTreeMap<FilePath, SeenFile>,
    /// The existing directories that are not empty, those of etcd among them.
    pub directories: BTreeSet<FilePath>,
    /// The copies of a ledger that were found: the lineage and serial of each.
    pub ledgers: BTreeMap<FilePath, (Lineage, u64)>,
    /// When the newest snapshot of a member's log was written, by its data directory: seconds since 1970.
    pub etcd_snapshots: BTreeMap<FilePath, u64>,
    /// The periodic snapshots of etcd; none where their directory does not exist or was not read.
    pub rolling: Option<RollingSeen>,
}

/// A file as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFile {
    /// The digest of its content.
    pub digest: Digest,
    /// Permission bits.
    pub mode: Mode,
    /// Its owner.
    pub owner: Owner,
}

/// The bytes of a document.
///
/// # Errors
/// It is longer than four gigabytes.
pub fn encode<T: Serialize>(document: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, document)?;
    let length = u32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// Reads a document.
///
/// # Errors
/// The stream ends too early, or contains no such document.
pub fn read<T: DeserializeOwned>(mut from: impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err(io::Error::other(format!("a document of {length} bytes is none of ours")));
    }
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        // The text of the error may quote a key.
        io::Error::other(format!("a document cannot be understood from column {}", error.column()))
    })
}

/// Writes a document.
///
/// # Errors
/// The stream is closed.
pub fn write<T: Serialize>(mut to: impl Write, document: &T) -> io::Result<()> {
    to.write_all(&encode(document)?)?;
    to.flush()
}
