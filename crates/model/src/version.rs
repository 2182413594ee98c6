//! Kubernetes versions, ordered as releases are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The version used where cluster.yml names none: the newest that the lab brings up on real hosts.
pub const DEFAULT_KUBERNETES: &str = "v1.37.2";

/// A Kubernetes version such as `v1.20.15-rancher2-2`; the suffix is kept but orders only after the numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubernetesVersion {
    /// The first number.
    pub major: u32,
    /// The second number, in which version skew is counted.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
    /// What follows the numbers, without the dash; empty if nothing does.
    pub suffix: String,
}

impl KubernetesVersion {
    /// A version without a suffix.
    pub fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch, suffix: String::new() }
    }

    /// Whether this is `major.minor` or later.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }

    /// Whether a kubelet or kube-proxy of this version works with an API server of that one: it may be three minor versions
    /// older, two before 1.25, and never newer.
    ///
    /// Source: <https://kubernetes.io/releases/version-skew-policy/#kubelet>.
    pub fn serves_under(&self, api_server: &Self) -> bool {
        let most = if self.at_least(1, 25) { 3 } else { 2 };
        self.major == api_server.major
            && api_server.minor.checked_sub(self.minor).is_some_and(|behind| behind <= most)
    }

    /// The three numbers, without the suffix.
    pub fn numbers(&self) -> (u32, u32, u32) {
        (self.major, self.minor, self.patch)
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)?;
        if self.suffix.is_empty() { Ok(()) } else { write!(f, "-{}", self.suffix) }
    }
}

/// The text is not a version of the form `v1.20.2` or `v1.20.15-rancher2-2`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no Kubernetes version; the form is `v1.20.2` or `v1.20.15-rancher2-2`")]
pub struct NotAVersion(pub String);

impl FromStr for KubernetesVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let wrong = || NotAVersion(text.to_owned());
        let rest = text.strip_prefix('v').ok_or_else(wrong)?;
        let (numbers, suffix) = rest.split_once('-').unwrap_or((rest, ""));
        let mut parts = numbers.split('.').map(|part| part.parse::<u32>().ok());
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) => {
                Ok(Self { major, minor, patch, suffix: suffix.to_owned() })
            }
            _ => Err(wrong()),
        }
    }
}

impl Serialize for KubernetesVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KubernetesVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_by_their_numbers_first() {
        let parse = |text: &str| text.parse::<KubernetesVersion>().unwrap();
        assert!(parse("v1.9.8") < parse("v1.20.2"));
        assert!(parse("v1.20.15-rancher2-2") < parse("v1.21.0"));
        assert_eq!(parse("v1.20.15-rancher2-2").to_string(), "v1.20.15-rancher2-2");
        assert!("1.20.2".parse::<KubernetesVersion>().is_err());
        assert!("v1.20".parse::<KubernetesVersion>().is_err());
    }

    #[test]
    fn a_kubelet_is_at_most_two_or_three_minor_versions_older() {
        let version = |minor: u32| KubernetesVersion::new(1, minor, 7);
        let fits = |kubelet: u32, server: u32| version(kubelet).serves_under(&version(server));
        assert!(fits(24, 26) && fits(25, 28) && fits(30, 30));
        assert!(!fits(24, 27) && !fits(25, 29) && !fits(31, 30));
    }
}
