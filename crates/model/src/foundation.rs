//! The founding settings of a cluster.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::FilePath;

/// The founding settings of a cluster: no live cluster survives a change of any of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foundation {
    /// The range of Service addresses.
    pub service_range: String,
    /// The range of pod addresses.
    pub pod_range: String,
    /// The DNS domain of the cluster.
    pub cluster_domain: String,
    /// The issuer of service-account tokens.
    pub service_account_issuer: String,
    /// Where the data of etcd is.
    pub etcd_data: EtcdPlace,
    /// Whether ports that a node alone needs can be reached from elsewhere. A live cluster survives the change, so it is none of
    /// its [`Fact`]s; it is kept so that another windlass does not make it.
    #[serde(default)]
    pub local_ports: LocalPorts,
}

/// Whether ports that a node alone needs can be reached from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalPorts {
    /// From everywhere, as in RKE 1 and in clusters of an earlier windlass.
    #[default]
    Open,
    /// Only from the node itself.
    Closed,
}

/// Where the data of etcd is: on nodes, or in an external etcd.
///
/// In documents it is a text, as in all ledgers so far; [`fmt::Display`] writes the same for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum EtcdPlace {
    /// On each node of etcd.
    OnNodes {
        /// The directory of the node.
        directory: FilePath,
        /// The same directory as the container sees it.
        inside: FilePath,
    },
    /// In an external etcd.
    External {
        /// The prefix of its keys.
        prefix: String,
    },
}

/// The beginning of the text for a place that is not on the cluster's nodes.
const EXTERNAL_ETCD: &str = "an external etcd, under ";

impl fmt::Display for EtcdPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnNodes { directory, inside } => write!(f, "{directory}:{inside}"),
            Self::External { prefix } => write!(f, "{EXTERNAL_ETCD}{prefix}"),
        }
    }
}

impl From<EtcdPlace> for String {
    fn from(place: EtcdPlace) -> Self {
        place.to_string()
    }
}

impl From<String> for EtcdPlace {
    fn from(text: String) -> Self {
        if let Some(prefix) = text.strip_prefix(EXTERNAL_ETCD) {
            return Self::External { prefix: prefix.to_owned() };
        }
        let (directory, inside) = text.split_once(':').unwrap_or((&text, ""));
        Self::OnNodes { directory: directory.into(), inside: inside.into() }
    }
}

/// One of the founding settings of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The range of Service addresses.
    ServiceRange,
    /// The range of pod addresses.
    PodRange,
    /// The DNS domain of the cluster.
    ClusterDomain,
    /// The issuer of service-account tokens.
    ServiceAccountIssuer,
    /// Where the data of etcd is.
    EtcdData,
}

impl Fact {
    /// Its name in documents, which is that of the field of [`Foundation`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceRange => "service_range",
            Self::PodRange => "pod_range",
            Self::ClusterDomain => "cluster_domain",
            Self::ServiceAccountIssuer => "service_account_issuer",
            Self::EtcdData => "etcd_data",
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Foundation {
    /// Whether the cluster uses an external etcd.
    pub fn is_on_external_etcd(&self) -> bool {
        matches!(self.etcd_data, EtcdPlace::External { .. })
    }

    /// All settings, each with its value in the form for people.
    pub fn facts(&self) -> [(Fact, String); 5] {
        let Self {
            service_range,
            pod_range,
            cluster_domain,
            service_account_issuer,
            etcd_data,
            local_ports: _,
        } = self;
        [
            (Fact::ServiceRange, service_range.clone()),
            (Fact::PodRange, pod_range.clone()),
            (Fact::ClusterDomain, cluster_domain.clone()),
            (Fact::ServiceAccountIssuer, service_account_issuer.clone()),
            (Fact::EtcdData, etcd_data.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_etcds_data_reads_back_as_ledgers_have_it() {
        let on_nodes = |directory: &str, inside: &str| EtcdPlace::OnNodes {
            directory: directory.into(),
            inside: inside.into(),
        };
        for (text, place) in [
            ("/var/lib/etcd:/var/lib/rancher/etcd/", on_nodes("/var/lib/etcd", "/var/lib/rancher/etcd/")),
            ("/var/lib/etcd", on_nodes("/var/lib/etcd", "")),
            ("an external etcd, under /registry", EtcdPlace::External { prefix: "/registry".to_owned() }),
        ] {
            assert_eq!(EtcdPlace::from(text.to_owned()), place);
        }
        let text = "/var/lib/etcd:/var/lib/rancher/etcd/".to_owned();
        assert_eq!(String::from(EtcdPlace::from(text.clone())), text);
    }
}
