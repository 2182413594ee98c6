//! Copies of snapshots in a bucket of an S3 service: uploaded and read back, listed, fetched and deleted.
//!
//! ```text
//! FOLDER/CLUSTER/MEMBER/2026-01-31T12-00-00Z_etcd.db       the snapshot
//! FOLDER/CLUSTER/MEMBER/2026-01-31T12-00-00Z_etcd.db.json  its metadata: written when the snapshot was read back
//! FOLDER/2026-01-31T12:00:00Z_etcd.zip                     of RKE 1: listed and fetched, never written nor deleted
//! ```
//!
//! CLUSTER is the beginning of the digest of etcd's CA, so that clusters may share a folder: nothing of another one
//! is ever deleted.

mod https;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload, RetryConfig};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use windlass_model::{
    BucketPlace, Digest, InBucket, RKE_ARCHIVE_EXTENSION, SNAPSHOT_EXTENSION, SnapshotProof, SnapshotSeen,
    SnapshotState, Timestamp,
};

use self::https::{Https, NoAuthority};

/// How much of a snapshot is sent in one request. S3 takes at most 10,000 parts of one object, so an etcd of 8 GiB,
/// the largest that is advised, needs a tenth of them.
const PART: usize = 8 << 20;
/// What signs requests where cluster.yml names no region.
const REGION: &str = "us-east-1";
/// How long a request that fails is repeated: who asked tries again later.
const REPEATED_FOR: Duration = Duration::from_secs(30);
/// The suffix of the name of a snapshot's metadata.
const NOTE: &str = ".json";

/// What the file on the node says of the bucket, in the words of cluster.yml. It holds the keys, so it is never shown.
#[derive(Deserialize)]
struct Config {
    endpoint: String,
    bucket_name: String,
    region: Option<String>,
    folder: Option<String>,
    custom_ca: Option<String>,
    access_key: Option<String>,
    secret_key: Option<String>,
}

/// Why a copy is not there, or cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BucketError {
    #[error("`{}` cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("`{name}` cannot be written here")]
    Unwritable { name: String, source: io::Error },
    #[error("there is no description of a bucket")]
    NoDescription,
    #[error(transparent)]
    NoAuthority(#[from] NoAuthority),
    #[error(transparent)]
    Service(#[from] object_store::Error),
    #[error("what the bucket returned of {name} is not what was sent: {why}")]
    ReadBack { name: String, why: String },
}

/// A bucket, or a folder in one. It holds keys, so it is never shown.
#[derive(Clone)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    folder: ObjectPath,
}

impl Bucket {
    /// The bucket that a file on the node describes. Nothing is asked of it yet.
    pub(crate) fn described_in(path: &Path) -> Result<Self, BucketError> {
        let text = std::fs::read(path)
            .map_err(|source| BucketError::Unreadable { path: path.to_owned(), source })?;
        Self::described(&text)
    }

    /// The bucket that a text describes. Nothing is asked of it yet.
    pub(crate) fn described(text: &[u8]) -> Result<Self, BucketError> {
        // The error could quote a key.
        let config: Config = serde_json::from_slice(text).map_err(|_| BucketError::NoDescription)?;
        let Address { endpoint, is_virtual } = address(&config);
        let mut builder = AmazonS3Builder::new()
            .with_http_connector(Https::new(config.custom_ca.as_deref())?)
            .with_allow_http(endpoint.starts_with("http://"))
            .with_endpoint(endpoint)
            .with_virtual_hosted_style_request(is_virtual)
            .with_bucket_name(&config.bucket_name)
            .with_region(config.region.as_deref().unwrap_or(REGION))
            .with_checksum_algorithm(Checksum::SHA256)
            .with_retry(RetryConfig {
                max_retries: 2,
                retry_timeout: REPEATED_FOR,
                ..RetryConfig::default()
            });
        if let (Some(access), Some(secret)) = (&config.access_key, &config.secret_key) {
            builder = builder.with_access_key_id(access).with_secret_access_key(secret);
        }
        let folder = ObjectPath::from(config.folder.unwrap_or_default());
        Ok(Self { store: Arc::new(builder.build()?), folder })
    }

    fn directory(&self, place: &BucketPlace) -> ObjectPath {
        if place.is_of_rke() {
            return self.folder.clone();
        }
        self.folder.clone().join(place.cluster.as_str()).join(place.member.as_str())
    }

    /// Uploads a snapshot, reads it back, and writes its metadata beside it. What did not arrive as it was sent is
    /// deleted again.
    pub(crate) async fn keep(
        &self,
        place: &BucketPlace,
        path: &Path,
        proof: &SnapshotProof,
    ) -> Result<(), BucketError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let object = self.directory(place).join(name.as_str());
        self.send(path, &object).await?;
        let arrived = self.receive(&object, |_| Ok(())).await?;
        if arrived != (proof.bytes, proof.sha256) {
            self.store.delete(&object).await?;
            let why = format!(
                "{} bytes with the digest {}, not {} with {}",
                arrived.0, arrived.1, proof.bytes, proof.sha256
            );
            return Err(BucketError::ReadBack { name, why });
        }
        let note = serde_json::to_vec(proof).unwrap_or_default();
        self.store.put(&self.directory(place).join(format!("{name}{NOTE}")), note.into()).await?;
        Ok(())
    }

    async fn send(&self, path: &Path, object: &ObjectPath) -> Result<(), BucketError> {
        let unreadable = |source| BucketError::Unreadable { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(unreadable)?;
        let first = piece(&mut file).map_err(unreadable)?;
        if first.len() < PART {
            self.store.put(object, PutPayload::from(first)).await?;
            return Ok(());
        }
        let mut upload = self.store.put_multipart(object).await?;
        let mut next = first;
        let sent = loop {
            if let Err(error) = upload.put_part(PutPayload::from(next)).await {
                break Err(error.into());
            }
            match piece(&mut file) {
                Ok(piece) if piece.is_empty() => break upload.complete().await.map(drop).map_err(Into::into),
                Ok(piece) => next = piece,
                Err(error) => break Err(unreadable(error)),
            }
        };
        if sent.is_err() {
            // Parts that stay are paid for. The service may be what fails: then its own rules remove them.
            let _ = upload.abort().await;
        }
        sent
    }

    /// Reads an object to its end: its size and digest.
    async fn receive(
        &self,
        object: &ObjectPath,
        mut into: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(u64, Digest), BucketError> {
        let mut stream = self.store.get(object).await?.into_stream();
        let (mut bytes, mut digest) = (0_u64, Sha256::new());
        while let Some(piece) = stream.try_next().await? {
            bytes += piece.len() as u64;
            digest.update(&piece);
            into(&piece).map_err(|source| BucketError::Unwritable { name: object.to_string(), source })?;
        }
        Ok((bytes, Digest::from_bytes(digest.finalize().into())))
    }

    /// All snapshots of all clusters and members in the folder, the oldest first; without metadata they are not proven.
    pub(crate) async fn list(&self) -> Result<Vec<InBucket>, BucketError> {
        self.list_in(&self.folder).await
    }

    /// The names of the snapshots of one member that have their metadata.
    pub(crate) async fn complete(&self, place: &BucketPlace) -> Result<Vec<String>, BucketError> {
        let objects = self.objects(&self.directory(place)).await?;
        let names: Vec<&str> = objects.iter().filter_map(|object| object.location.filename()).collect();
        let has_note = |name: &&str| names.iter().any(|other| other.strip_suffix(NOTE) == Some(*name));
        Ok(names
            .iter()
            .copied()
            .filter(|name| name.ends_with(SNAPSHOT_EXTENSION))
            .filter(has_note)
            .map(str::to_owned)
            .collect())
    }

    async fn objects(&self, directory: &ObjectPath) -> Result<Vec<object_store::ObjectMeta>, BucketError> {
        Ok(self.store.list(Some(directory)).try_collect().await?)
    }

    async fn list_in(&self, directory: &ObjectPath) -> Result<Vec<InBucket>, BucketError> {
        let objects = self.objects(directory).await?;
        let mut found = Vec::new();
        for object in &objects {
            let Some((place, name)) = self.place_of(&object.location) else { continue };
            let note = ObjectPath::from(format!("{}{NOTE}", object.location));
            let proof = if objects.iter().any(|other| other.location == note) {
                let text = self.store.get(&note).await?.bytes().await?;
                serde_json::from_slice::<SnapshotProof>(&text).ok()
            } else {
                None
            };
            let written_at = Timestamp(u64::try_from(object.last_modified.timestamp()).unwrap_or_default());
            let state = SnapshotState::noted(None, proof, object.size);
            found.push(InBucket {
                place,
                snapshot: SnapshotSeen { name, bytes: object.size, written_at, state },
            });
        }
        found.sort_by(|one, other| {
            let key = |at: &InBucket| (at.snapshot.taken_at(), at.snapshot.name.clone(), at.place.clone());
            key(one).cmp(&key(other))
        });
        Ok(found)
    }

    /// The place and name of a snapshot; none if it is something else.
    fn place_of(&self, object: &ObjectPath) -> Option<(BucketPlace, String)> {
        let mut parts = object.prefix_match(&self.folder)?;
        let first = parts.next()?;
        let Some(member) = parts.next() else {
            let is_archive = first.as_ref().ends_with(RKE_ARCHIVE_EXTENSION);
            return is_archive.then(|| (BucketPlace::of_rke(), first.as_ref().to_owned()));
        };
        let (cluster, name) = (first, parts.next()?);
        let is_snapshot = parts.next().is_none() && name.as_ref().ends_with(SNAPSHOT_EXTENSION);
        let place = BucketPlace { cluster: cluster.as_ref().to_owned(), member: member.as_ref().to_owned() };
        is_snapshot.then(|| (place, name.as_ref().to_owned()))
    }

    /// Fetches a snapshot piece by piece; returns its size and digest.
    pub(crate) async fn fetch(
        &self,
        place: &BucketPlace,
        name: &str,
        into: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(u64, Digest), BucketError> {
        self.receive(&self.directory(place).join(name), into).await
    }

    /// Deletes a snapshot and its metadata; the metadata first, since what lacks it counts as incomplete.
    pub(crate) async fn delete(&self, place: &BucketPlace, name: &str) -> Result<(), BucketError> {
        for object in [format!("{name}{NOTE}"), name.to_owned()] {
            match self.store.delete(&self.directory(place).join(object)).await {
                Err(object_store::Error::NotFound { .. }) | Ok(()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The next part of a file: shorter than [`PART`] only at its end.
fn piece(file: &mut File) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(PART);
    file.take(PART as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

/// Where requests go.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    endpoint: String,
    /// Whether the name of the bucket is a part of the host's.
    is_virtual: bool,
}

/// RKE 1 and its library ask HTTPS where no scheme is given, and put the bucket into the host's name where the large
/// clouds want it there (`getBucketLookupType` of rke-tools, `BucketLookupAuto` of minio-go).
fn address(config: &Config) -> Address {
    let (scheme, host) = config.endpoint.split_once("://").unwrap_or(("https", &config.endpoint));
    let host = host.trim_end_matches('/');
    let host = match &config.region {
        // The endpoint of all regions answers for other regions than its own with a redirection.
        Some(region) if host == "s3.amazonaws.com" && region != REGION => {
            format!("s3.{region}.amazonaws.com")
        }
        _ => host.to_owned(),
    };
    let bucket = &config.bucket_name;
    let name = host.split(':').next().unwrap_or_default();
    let is_large = |cloud: &str| name == cloud || name.ends_with(&format!(".{cloud}"));
    // A certificate for `*.s3.amazonaws.com` is none for a bucket with dots.
    let is_virtual = !bucket.contains('.')
        && ["amazonaws.com", "amazonaws.com.cn", "googleapis.com", "aliyuncs.com"].into_iter().any(is_large);
    let endpoint =
        if is_virtual { format!("{scheme}://{bucket}.{host}") } else { format!("{scheme}://{host}") };
    Address { endpoint, is_virtual }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use object_store::memory::InMemory;

    fn config(endpoint: &str, region: Option<&str>, bucket: &str) -> Config {
        Config {
            endpoint: endpoint.to_owned(),
            bucket_name: bucket.to_owned(),
            region: region.map(str::to_owned),
            folder: None,
            custom_ca: None,
            access_key: None,
            secret_key: None,
        }
    }

    #[test]
    fn requests_go_where_those_of_rke_1_went() {
        for (endpoint, region, bucket, expected, is_virtual) in [
            ("minio.lan:9000", None, "etcd", "https://minio.lan:9000", false),
            ("https://minio.lan/", None, "etcd", "https://minio.lan", false),
            ("http://10.0.0.9:7070", None, "etcd", "http://10.0.0.9:7070", false),
            ("s3.amazonaws.com", None, "etcd", "https://etcd.s3.amazonaws.com", true),
            ("s3.amazonaws.com", Some("us-east-1"), "etcd", "https://etcd.s3.amazonaws.com", true),
            ("s3.amazonaws.com", Some("eu-west-1"), "etcd", "https://etcd.s3.eu-west-1.amazonaws.com", true),
            (
                "s3.eu-west-1.amazonaws.com",
                Some("eu-west-1"),
                "a.b",
                "https://s3.eu-west-1.amazonaws.com",
                false,
            ),
            ("oss-cn-hangzhou.aliyuncs.com", None, "etcd", "https://etcd.oss-cn-hangzhou.aliyuncs.com", true),
            ("amazonaws.com.lan", None, "etcd", "https://amazonaws.com.lan", false),
        ] {
            let expected = Address { endpoint: expected.to_owned(), is_virtual };
            assert_eq!(address(&config(endpoint, region, bucket)), expected, "{endpoint}");
        }
    }

    fn in_memory(folder: &str) -> Bucket {
        Bucket { store: Arc::new(InMemory::new()), folder: ObjectPath::from(folder) }
    }

    fn place(cluster: &str, member: &str) -> BucketPlace {
        BucketPlace { cluster: cluster.to_owned(), member: member.to_owned() }
    }

    fn proof_of(content: &[u8]) -> SnapshotProof {
        SnapshotProof {
            format: SnapshotProof::FORMAT,
            sha256: Digest::of(content),
            bytes: content.len() as u64,
            revision: 7,
            keys: 1,
            keys_by_prefix: std::collections::BTreeMap::new(),
            etcd: None,
            kubernetes: None,
            ledger_serial: None,
            members: vec![],
            member: None,
            authority: None,
            endpoint: None,
            taken_at: Some(Timestamp(9)),
            archive_bytes: None,
            checked_at: Timestamp(9),
        }
    }

    #[tokio::test]
    async fn a_snapshot_of_any_size_comes_back_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let bucket = in_memory("a/b");
        let here = place("c0ffee", "etcd-node-1");
        for length in [0, 1, PART - 1, PART, PART + 1, 2 * PART] {
            let content: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let name = format!("{length}.db");
            let path = directory.path().join(&name);
            std::fs::write(&path, &content).unwrap();
            bucket.keep(&here, &path, &proof_of(&content)).await.unwrap();
            let back = directory.path().join("back");
            let mut file = File::create(&back).unwrap();
            let arrived = bucket.fetch(&here, &name, |piece| file.write_all(piece)).await.unwrap();
            assert_eq!(arrived, (length as u64, Digest::of(&content)));
            assert_eq!(std::fs::read(&back).unwrap(), content);
            assert!(bucket.complete(&here).await.unwrap().contains(&name));
        }
        let listed = bucket.list().await.unwrap();
        assert_eq!(listed.len(), 6);
        assert!(listed.iter().all(|at| at.place == here && at.snapshot.proof().is_some()));
        assert!(bucket.complete(&place("c0ffee", "etcd-node-2")).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_not_what_was_taken_does_not_stay() {
        let directory = tempfile::tempdir().unwrap();
        let bucket = in_memory("");
        let here = place("c0ffee", "etcd-node-1");
        let path = directory.path().join("x.db");
        std::fs::write(&path, b"changed since").unwrap();
        let error = bucket.keep(&here, &path, &proof_of(b"as it was taken")).await.unwrap_err();
        assert!(matches!(error, BucketError::ReadBack { .. }), "{error}");
        assert!(bucket.list().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_lacks_its_metadata_is_incomplete_and_what_is_others_stays() {
        let directory = tempfile::tempdir().unwrap();
        let bucket = in_memory("backups");
        let (here, there) = (place("c0ffee", "etcd-node-1"), place("decade", "etcd-node-1"));
        let path = directory.path().join("x.db");
        std::fs::write(&path, b"x").unwrap();
        bucket.keep(&here, &path, &proof_of(b"x")).await.unwrap();
        bucket.keep(&there, &path, &proof_of(b"x")).await.unwrap();
        bucket.store.delete(&bucket.directory(&here).join("x.db.json")).await.unwrap();
        assert!(bucket.complete(&here).await.unwrap().is_empty());
        let states: Vec<bool> =
            bucket.list().await.unwrap().iter().map(|at| at.snapshot.proof().is_some()).collect();
        assert_eq!(states.iter().filter(|proven| **proven).count(), 1);
        bucket.delete(&here, "x.db").await.unwrap();
        bucket.delete(&here, "x.db").await.unwrap();
        let left: Vec<BucketPlace> = bucket.list().await.unwrap().into_iter().map(|at| at.place).collect();
        assert_eq!(left, [there]);
    }

    #[tokio::test]
    async fn archives_of_rke_are_listed_and_fetched() {
        let bucket = in_memory("backups");
        let name = "2026-01-31T12:00:00Z_etcd.zip";
        let archive = bucket.folder.clone().join(name);
        bucket.store.put(&archive, PutPayload::from_static(b"zip")).await.unwrap();
        bucket
            .store
            .put(&bucket.folder.clone().join("notes.txt"), PutPayload::from_static(b"x"))
            .await
            .unwrap();
        let listed = bucket.list().await.unwrap();
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert!(listed[0].place.is_of_rke() && listed[0].snapshot.name == name, "{listed:?}");
        assert_eq!(listed[0].snapshot.state, SnapshotState::Unproven);
        let mut arrived = Vec::new();
        let into = |piece: &[u8]| {
            arrived.extend_from_slice(piece);
            Ok(())
        };
        assert_eq!(bucket.fetch(&listed[0].place, name, into).await.unwrap().0, 3);
        assert_eq!(arrived, b"zip");
    }
}
