//! The built-in table of values: the form of each flag, its limits and its words.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Deserializer};
use windlass_model::Component;

use crate::catalog::Minor;
use crate::flags::Words;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) forms: BTreeMap<Form, Words>,
    pub(super) only: BTreeMap<Component, BTreeMap<Form, Words>>,
    /// Durations that mean something below 0, or are judged elsewhere.
    pub(super) signed_durations: Words,
    pub(super) limits: BTreeMap<Component, BTreeMap<String, Limit>>,
    pub(super) shared_words: BTreeMap<String, Choice>,
    pub(super) words: BTreeMap<Component, BTreeMap<String, Choice>>,
    pub(super) plugins: Plugins,
    pub(super) controllers: Controllers,
    pub(super) api_groups: Words,
    pub(super) gates: BTreeMap<Minor, Words>,
    /// The gates that cannot be switched off from a version on.
    pub(super) locked_on: BTreeMap<Minor, Words>,
    /// The gates that cannot be switched on from a version on.
    pub(super) locked_off: BTreeMap<Minor, Words>,
    pub(super) new_gates: BTreeMap<Minor, Words>,
    pub(super) known_gates: Words,
}

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Form {
    Boolean,
    Integer,
    Number,
    Duration,
    Quantity,
    /// `name=quantity` with commas between.
    Resources,
    /// `signal<quantity` with commas between.
    Thresholds,
    /// `signal=quantity` with commas between.
    Reclaims,
    /// `signal=duration` with commas between.
    Grace,
    /// `memory=percentage`.
    Shares,
    Address,
    /// Addresses with commas between, of which those are left out that cannot be read.
    Addresses,
    /// The addresses of a node: one, or one of each family.
    NodeAddresses,
    /// An address, perhaps with a port.
    HostPort,
    /// One range of addresses, or one of each family.
    Ranges,
    /// Ranges of addresses, or a word for the node's own.
    NodePortRanges,
    Ports,
    /// One port.
    Port,
    Cpus,
    Labels,
    Taints,
    Urls,
    /// URLs to listen on.
    BindUrls,
    /// A URL of an issuer of tokens.
    HttpsUrl,
    /// A number or a duration.
    Retention,
    /// `pattern=level` with commas between.
    Levels,
    /// From which severity on klog also writes to the standard error.
    Severity,
    /// Names of kernel settings, or beginnings of them with `*` behind.
    Sysctls,
    /// `resource#size` with commas between.
    CacheSizes,
    /// `group/resource#servers` with commas between.
    EtcdOverrides,
    /// `certificate,key`, perhaps with names behind a colon.
    CertKey,
    /// The kind of etcd's tokens, with options behind commas.
    AuthToken,
    /// Regular expressions with commas between.
    Patterns,
}

/// The least and the most that a number or a duration may be; from a version on, if one is named.
pub(super) struct Limit {
    pub(super) least: Option<String>,
    pub(super) most: Option<String>,
    pub(super) since: Option<Minor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Choice {
    pub(super) words: Words,
    #[serde(default)]
    pub(super) list: bool,
    /// Whether the component goes on with another word.
    #[serde(default)]
    pub(super) doubtful: bool,
    /// Whether no word may be in the list twice.
    #[serde(default)]
    pub(super) unique: bool,
    /// The first version to which capital letters are the same as small ones.
    pub(super) caseless: Option<Minor>,
    #[serde(default)]
    pub(super) since: BTreeMap<String, Minor>,
    #[serde(default)]
    pub(super) gone: BTreeMap<String, Minor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugins {
    pub(super) known: Words,
    pub(super) since: BTreeMap<Minor, Words>,
    pub(super) gone: BTreeMap<Minor, Words>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Controllers {
    pub(super) known: Words,
    pub(super) since: BTreeMap<Minor, Words>,
}

pub(super) static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_yaml::from_str(include_str!("../flag-values.yml"))
        .expect("a test parses the built-in table of values")
});

impl FromStr for Limit {
    type Err = String;

    /// `0..100`, `1..`, `..1s`, each perhaps with ` since v1.24` behind it.
    fn from_str(text: &str) -> Result<Self, String> {
        let (range, since) = match text.split_once(" since ") {
            Some((range, minor)) => (range, Some(minor.parse()?)),
            None => (text, None),
        };
        let (least, most) = range.split_once("..").ok_or_else(|| format!("`{text}` is no limit"))?;
        let given = |end: &str| (!end.is_empty()).then(|| end.to_owned());
        Ok(Self { least: given(least), most: given(most), since })
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
