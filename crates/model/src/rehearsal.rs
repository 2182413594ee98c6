//! The trial of a snapshot: etcd is restored where nothing else reaches it, and an API server on it where that is asked for.

use std::sync::Arc;
use std::time::Duration;

use crate::blueprint::DesiredNode;
use crate::certificate::CertPart;
use crate::component::Component;
use crate::names::{CertName, FilePath, ImageRef, NodeName};

/// A snapshot that is to be restored for a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// The directory on the node.
    pub directory: FilePath,
    /// The name of its file.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The image of etcd that restores it, and serves it.
    pub image: ImageRef,
    /// The API server that is started on it, where that is asked for.
    pub api_server: Option<ApiServerTrial>,
}

/// What a trial has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsed {
    /// The revision that etcd reports.
    pub revision: u64,
    /// How many keys it has.
    pub keys: u64,
    /// How long its data took to be made.
    pub restored_in: Duration,
    /// How long etcd then took to answer.
    pub answered_in: Duration,
    /// What the API server has read, where one was asked for.
    pub api_server: Option<SecretsRead>,
}

/// What the API server of a trial has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretsRead {
    /// How many Secrets there are: it reads each with the keys that encrypt them.
    pub secrets: u64,
    /// How long it took to be ready and to read them.
    pub answered_in: Duration,
}

/// An API server for a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiServerTrial {
    /// Its image.
    pub image: ImageRef,
    /// Program and flags, but for where etcd is.
    pub command: Vec<Arc<str>>,
    /// Where the keys of Secrets begin in etcd, such as `/registry/secrets`.
    pub stored_at: String,
    /// The directories that it reads, as `(source, target)`.
    pub mounts: Vec<(FilePath, FilePath)>,
    /// The file on the node with the CA that it and its clients have.
    pub authority: FilePath,
    /// The file on the node with a client's certificate.
    pub certificate: FilePath,
    /// The file on the node with that client's key.
    pub key: FilePath,
}

/// Flags that decide how an API server reads what is stored, and what it cannot start without. All others are left out: a
/// trial writes no audit log and asks no service of others.
const KEPT: [&str; 19] = [
    "advertise-address",
    "allow-privileged",
    "anonymous-auth",
    "api-audiences",
    "client-ca-file",
    "encryption-provider-config",
    "etcd-prefix",
    "feature-gates",
    "insecure-port",
    "runtime-config",
    "secure-port",
    "service-account-issuer",
    "service-account-key-file",
    "service-account-signing-key-file",
    "service-cluster-ip-range",
    "storage-backend",
    "tls-cert-file",
    "tls-cipher-suites",
    "tls-private-key-file",
];

/// Flags of a trial alone: it is asked by one client that has a certificate, calls no webhook that the snapshot names, and
/// takes no part in the Service `kubernetes`.
const OWN: [&str; 4] = [
    "--bind-address=127.0.0.1",
    "--authorization-mode=AlwaysAllow",
    "--disable-admission-plugins=MutatingAdmissionWebhook,ValidatingAdmissionWebhook",
    "--endpoint-reconciler-type=none",
];

impl ApiServerTrial {
    /// The API server of a node, for a trial there; none if the node is to have none.
    pub fn on(node: &NodeName, desired: &DesiredNode) -> Option<Self> {
        let spec = &desired.containers.get(&Component::KubeApiserver)?.spec;
        let (program, flags) = spec.command.split_first()?;
        let is_kept = |flag: &&Arc<str>| {
            let name = flag.trim_start_matches("--").split('=').next().unwrap_or_default();
            KEPT.contains(&name)
        };
        let kept: Vec<Arc<str>> = flags.iter().filter(is_kept).cloned().collect();
        let reads = |target: &str| kept.iter().any(|flag| flag.contains(&format!("={target}/")));
        let mounts = spec.binds.iter().filter_map(|bind| {
            let mut parts = bind.split(':');
            let (source, target) = (parts.next()?, parts.next()?);
            reads(target.trim_end_matches('/')).then(|| (source.into(), target.into()))
        });
        let client = CertName::of_node("kube-node", node);
        Some(Self {
            image: spec.image.clone(),
            stored_at: format!("{}/secrets", spec.flag("etcd-prefix").unwrap_or("/registry")),
            mounts: mounts.collect(),
            command: [program.clone()].into_iter().chain(kept).chain(OWN.map(Arc::from)).collect(),
            authority: desired.file_of(&"kube-ca".into(), CertPart::Certificate)?,
            certificate: desired.file_of(&client, CertPart::Certificate)?,
            key: desired.file_of(&client, CertPart::Key)?,
        })
    }
}
