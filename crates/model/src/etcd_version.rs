//! Versions of etcd, read from the tags of images.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// A version of etcd as in its image's tag, such as `v3.4.15-rancher1`.
///
/// `-rancherN` marks a rebuild and orders before the plain version, as pre-releases do in semantic versioning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtcdVersion {
    numbers: (u32, u32, u32),
    rebuild: Option<u32>,
}

impl Ord for EtcdVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let rebuild = |version: &Self| version.rebuild.unwrap_or(u32::MAX);
        self.numbers.cmp(&other.numbers).then_with(|| rebuild(self).cmp(&rebuild(other)))
    }
}

impl PartialOrd for EtcdVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl EtcdVersion {
    /// The oldest that windlass supports: before 3.4 no member joins as a learner, and `member list` shows
    /// none (<https://etcd.io/docs/v3.4/learning/design-learner/>).
    /// (<https://etcd.io/docs/v3.4/learning/design-learner/>).
    pub const OLDEST: Self = Self { numbers: (3, 4, 0), rebuild: None };

    /// Its major and minor version, which determine its flags and the form of its data.
    pub fn minor(self) -> (u32, u32) {
        (self.numbers.0, self.numbers.1)
    }

    /// Major, minor and patch version.
    pub fn numbers(self) -> (u32, u32, u32) {
        self.numbers
    }

    /// Whether it comes with an `etcdutl` that restores snapshots, and raises the revision on the way: `--bump-revision` came
    /// back to 3.5 with this patch release, and from 3.6 on `etcdctl` restores none.
    ///
    /// Source: <https://etcd.io/docs/v3.5/op-guide/recovery/>.
    pub fn restores_by_etcdutl(self) -> bool {
        self.numbers >= (3, 5, 10)
    }

    /// The version in an image's tag, if it is one.
    pub fn of_image(image: &str) -> Option<Self> {
        tag_of(image)?.parse().ok()
    }
}

impl fmt::Display for EtcdVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.numbers;
        write!(f, "v{major}.{minor}.{patch}")
    }
}

impl FromStr for EtcdVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no version of etcd such as `v3.4.15-rancher1`");
        let rest = text.strip_prefix('v').unwrap_or(text);
        let (numbers, suffix) = rest.split_once('-').unwrap_or((rest, ""));
        let parts: Vec<u32> = numbers.split('.').map_while(|part| part.parse().ok()).collect();
        let [major, minor, patch] = parts[..] else { return Err(wrong()) };
        let rebuild = suffix.strip_prefix("rancher").and_then(|digits| digits.parse().ok());
        Ok(Self { numbers: (major, minor, patch), rebuild })
    }
}

impl<'de> Deserialize<'de> for EtcdVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The tag of an image: what follows the last colon, unless that belongs to a registry's port.
pub fn tag_of(image: &str) -> Option<&str> {
    let unpinned = image.split_once('@').map_or(image, |(name, _)| name);
    unpinned.rsplit_once(':').map(|(_, tag)| tag).filter(|tag| !tag.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rebuilds_of_etcd_order_before_the_plain_version() {
        let parse = |text: &str| text.parse::<EtcdVersion>().unwrap();
        assert!(parse("v3.4.3-rancher1") < parse("v3.4.3-rancher99"));
        assert!(parse("v3.4.3-rancher99") < parse("3.4.3"));
        assert!(parse("3.4.3") < parse("v3.4.15-rancher1"));
        assert_eq!(EtcdVersion::of_image("10.0.0.1:5000/lab/etcd:v3.4.23"), Some(parse("v3.4.23")));
        assert_eq!(EtcdVersion::of_image("10.0.0.1:5000/lab/etcd"), None);
        assert_eq!(EtcdVersion::of_image("lab/etcd:latest"), None);
    }
}
