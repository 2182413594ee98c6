//! Reads cluster.yml, the desired state in the format of Rancher's RKE 1, into a `ClusterSpec` or into diagnostics.
//!
//! ```
//! let text = b"nodes:\n- {address: 10.0.0.1, user: ops, role: [controlplane, etcd, worker]}\n";
//! let spec = windlass_spec::read(text).spec.expect("nothing is wrong with it");
//! assert_eq!(spec.nodes[0].name().as_str(), "10.0.0.1");
//! ```
//!
//! What RKE 1 took is taken: bare numbers and booleans as texts, YAML 1.1's `yes` and `no`, keys that stand
//! twice. What it dropped in silence is reported: unknown keys, keys without effect.

mod conform;
mod diagnostic;
mod json_schema;
mod lines;
mod meant;
mod nearest;
mod path;
mod read;
mod reference;
mod render;
mod report;
mod scalar;
mod schema;
mod source_map;
mod spec;
mod spelling;
mod strictness;
mod template;
mod view;
mod yaml;

pub use self::diagnostic::{Diagnostic, Place, Position, Range, Severity};
pub use self::json_schema::json_schema;
pub use self::nearest::nearest;
pub use self::read::{Flaw, label_key_flaw, label_value_flaw, manifests, newest_version, read, read_with};
pub use self::reference::{reference, skeleton};
pub use self::render::render;
pub use self::source_map::SourceMap;
pub use self::spec::{
    Argument, AuditLogSpec, AuthenticationSpec, AuthorizationMode, BackupSpec, BastionSpec, Cidr,
    CloudProviderSpec, ClusterSpec, DnsSpec, DrainSpec, EcrSpec, EndpointSpec, EtcdSpec, EventRateLimitSpec,
    IngressSpec, KubeApiSpec, KubeControllerSpec, KubeletSpec, LedgerInClusterSpec, LocalPortsSpec, Manifest,
    MaxUnavailable, MonitoringSpec, NetworkPlugin, NetworkSpec, NodeLocalDnsSpec, NodeSpec, NodeWindlassSpec,
    NotACidr, NotAPortRange, PodRuntimeSpec, PodSecurity, PortRange, RegistrySpec, S3Spec,
    SecretsEncryptionSpec, ServiceSpec, ServicesSpec, TaintEffect, TaintSpec, UpgradeSpec, WebhookSpec,
    WindlassSpec,
};
pub use self::strictness::Strictness;

/// What reading a cluster.yml gave.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The desired state; absent exactly if a diagnostic is an error.
    pub spec: Option<ClusterSpec>,
    /// As much of the desired state as could be read in spite of errors, for those who look for more of them; absent where
    /// not even the version is known by which to look.
    pub partial: Option<ClusterSpec>,
    /// Errors and warnings in the order of their places in the file.
    pub diagnostics: Vec<Diagnostic>,
}
