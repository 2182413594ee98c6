//! Reads cluster.yml, the wish in the format of Rancher's RKE 1, into a `ClusterSpec` or into diagnostics.

mod conform;
mod diagnostic;
mod lines;
mod nearest;
mod path;
mod read;
mod render;
mod report;
mod scalar;
mod schema;
mod source_map;
mod spec;
mod view;
mod yaml;

pub use self::diagnostic::{Diagnostic, Place, Position, Range, Severity};
pub use self::read::read;
pub use self::render::render;
pub use self::source_map::SourceMap;
pub use self::spec::{
    AuditLogSpec, AuthenticationSpec, AuthorizationMode, BackupSpec, BastionSpec, Cidr, ClusterSpec,
    DrainSpec, EtcdSpec, KubeApiSpec, KubeControllerSpec, KubeletSpec, MaxUnavailable, NetworkPlugin,
    NetworkSpec, NodeSpec, PortRange, RegistrySpec, S3Spec, ServiceSpec, ServicesSpec, TaintEffect,
    TaintSpec, UpgradeSpec, WebhookSpec,
};

/// What reading a cluster.yml gave.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The wish; absent exactly if a diagnostic is an error.
    pub spec: Option<ClusterSpec>,
    /// Errors and warnings in the order of their places in the file.
    pub diagnostics: Vec<Diagnostic>,
}
