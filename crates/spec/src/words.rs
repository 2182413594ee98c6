//! The shared words that cluster.yml uses, in the shape that the model gives them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A value that prints, debugs and serialises as `«secret»`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Secret<T>(T);

/// What stands in place of a secret wherever one would be shown.
const HIDDEN: &str = "«secret»";

impl<T> Secret<T> {
    /// Hides the value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it; never for output, a log, a label or an environment.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(HIDDEN)
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

/// What a node does in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs a member of etcd.
    Etcd,
    /// Runs API server, controller manager and scheduler.
    ControlPlane,
    /// Runs the users' pods.
    Worker,
}

/// The roles of one node.
pub type Roles = BTreeSet<Role>;

/// A Kubernetes version such as `v1.20.15-rancher2-2`; the suffix is kept but orders only after the numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubernetesVersion {
    /// The first number.
    pub major: u32,
    /// The second number: what version skew is counted in.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
    /// What follows the numbers, without the dash; empty if nothing does.
    pub suffix: String,
}

impl KubernetesVersion {
    /// Whether this is `major.minor` or later.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)?;
        if self.suffix.is_empty() { Ok(()) } else { write!(f, "-{}", self.suffix) }
    }
}

impl FromStr for KubernetesVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let rest = text.strip_prefix('v').ok_or(())?;
        let (numbers, suffix) = rest.split_once('-').unwrap_or((rest, ""));
        let mut parts = numbers.split('.').map(|part| part.parse::<u32>().ok());
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) => {
                Ok(Self { major, minor, patch, suffix: suffix.to_owned() })
            }
            _ => Err(()),
        }
    }
}

impl Serialize for KubernetesVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
