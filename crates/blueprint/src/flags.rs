//! Which flags the components have, by minor version: so that one that stops a component is reported before it does.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use windlass_model::Component;

use crate::catalog::Minor;

/// What becomes of a flag that a component is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is known.
    Known,
    /// No version that windlass knows has it; this one is spelt alike.
    Unknown(Option<&'static str>),
    /// This minor version was the first without it.
    Removed(Minor),
    /// This minor version is the first with it.
    NotYet(Minor),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    known: Words,
    #[serde(default)]
    since: BTreeMap<Minor, Words>,
    #[serde(default)]
    gone: BTreeMap<Minor, Words>,
}

/// Words with blanks between.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(crate) struct Words(pub(crate) Vec<String>);

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self(text.split_whitespace().map(str::to_owned).collect())
    }
}

impl Words {
    pub(crate) fn has(&self, word: &str) -> bool {
        self.0.iter().any(|known| known == word)
    }
}

static TABLES: LazyLock<BTreeMap<Component, Table>> = LazyLock::new(|| {
    serde_yaml::from_str(include_str!("flags.yml")).expect("a test parses the built-in table of flags")
});

/// The first minor version of Kubernetes whose flags the table knows.
const FIRST: Minor = Minor(1, 20);

/// What becomes of a flag, without its dashes, with this minor version of the component: of Kubernetes, or of etcd.
///
/// Components and versions whose flags are not known accept all; where the version is not known, only what none of them
/// has is reported.
pub(crate) fn fate(component: Component, flag: &str, minor: Option<Minor>) -> Fate {
    let Some(Table { known, since, gone }) = TABLES.get(&component) else { return Fate::Known };
    // The programs of Kubernetes take `_` for `-`.
    let flag = if component == Component::Etcd { flag.to_owned() } else { flag.replace('_', "-") };
    if component != Component::Etcd && minor.is_some_and(|minor| minor < FIRST) {
        return Fate::Known;
    }
    let first_in = |lists: &BTreeMap<Minor, Words>| {
        lists.iter().find(|(_, words)| words.has(&flag)).map(|(minor, _)| *minor)
    };
    let came = first_in(since);
    if !known.has(&flag) && came.is_none() {
        // etcd reads its flags from variables of these names, too.
        let of_variable = flag.strip_prefix("ETCD_").map(|name| name.to_lowercase().replace('_', "-"));
        if let Some(name) = of_variable.filter(|_| component == Component::Etcd) {
            return Fate::Unknown(known.0.iter().find(|known| **known == name).map(String::as_str));
        }
        let all = known.0.iter().chain(since.values().flat_map(|words| &words.0));
        return Fate::Unknown(windlass_spec::nearest(&flag, all.map(String::as_str)));
    }
    match (first_in(gone), came, minor) {
        (Some(gone), _, Some(minor)) if gone <= minor => Fate::Removed(gone),
        (_, Some(came), Some(minor)) if minor < came => Fate::NotYet(came),
        _ => Fate::Known,
    }
}

#[cfg(test)]
mod tests {
    use windlass_model::KubernetesVersion;

    use super::*;

    fn reported(component: Component, flag: &str, version: &str) -> Fate {
        let version: KubernetesVersion = version.parse().expect("the tests name versions");
        fate(component, flag, Some(Minor::of(&version)))
    }

    #[test]
    fn cut_offs_are_where_kubernetes_has_them() {
        use Component::{KubeApiserver, KubeControllerManager, KubeProxy, KubeScheduler, Kubelet};
        let minor = |text: &str| text.parse::<Minor>().expect("the tests name minor versions");
        for (component, flag, gone, last) in [
            (KubeApiserver, "insecure-port", "v1.24", "v1.23.9"),
            (KubeControllerManager, "pod-eviction-timeout", "v1.27", "v1.26.9"),
            (KubeScheduler, "policy-config-file", "v1.23", "v1.22.9"),
            (Kubelet, "network-plugin", "v1.24", "v1.23.9"),
            (Kubelet, "container-runtime", "v1.27", "v1.26.9"),
            (Kubelet, "logtostderr", "v1.26", "v1.25.9"),
            (Kubelet, "keep-terminated-pod-volumes", "v1.31", "v1.30.9"),
            (KubeApiserver, "kubelet-https", "v1.22", "v1.21.9"),
            (KubeControllerManager, "experimental-cluster-signing-duration", "v1.25", "v1.24.9"),
            (KubeScheduler, "scheduler-name", "v1.22", "v1.21.9"),
            (KubeScheduler, "algorithm-provider", "v1.22", "v1.21.9"),
            (KubeApiserver, "ssh-user", "v1.22", "v1.21.9"),
            (KubeControllerManager, "horizontal-pod-autoscaler-use-rest-clients", "v1.22", "v1.21.9"),
            (Kubelet, "seccomp-profile-root", "v1.23", "v1.22.9"),
            (KubeControllerManager, "volume-host-cidr-denylist", "v1.31", "v1.30.9"),
            (Kubelet, "iptables-drop-bit", "v1.31", "v1.30.9"),
            (KubeProxy, "metrics-port", "v1.32", "v1.31.9"),
            (KubeApiserver, "cloud-provider", "v1.33", "v1.32.9"),
            (KubeApiserver, "target-ram-mb", "v1.24", "v1.23.9"),
            (KubeScheduler, "lock-object-name", "v1.28", "v1.27.9"),
            (Kubelet, "pod-infra-container-image", "v1.35", "v1.34.9"),
            (Kubelet, "storage-driver-db", "v1.37", "v1.36.9"),
            (Kubelet, "chaos-chance", "v1.22", "v1.21.9"),
            (KubeProxy, "cleanup-ipvs", "v1.21", "v1.20.9"),
        ] {
            assert_eq!(reported(component, flag, last), Fate::Known, "{flag}");
            assert_eq!(reported(component, flag, &format!("{gone}.0")), Fate::Removed(minor(gone)), "{flag}");
            assert_eq!(reported(component, flag, "v1.37.0"), Fate::Removed(minor(gone)), "{flag}");
        }
        assert_eq!(reported(Kubelet, "seccomp-default", "v1.21.0"), Fate::NotYet(minor("v1.22")));
        assert_eq!(reported(Kubelet, "max_pods", "v1.30.0"), Fate::Known);
        assert_eq!(reported(Kubelet, "max-pod", "v1.30.0"), Fate::Unknown(Some("max-pods")));
        // Those of etcd are by its own version.
        let of_etcd = |flag: &str, version: Option<&str>| fate(Component::Etcd, flag, version.map(minor));
        assert_eq!(of_etcd("enable-v2", Some("v3.5")), Fate::Known);
        assert_eq!(of_etcd("enable-v2", Some("v3.6")), Fate::Removed(minor("v3.6")));
        assert_eq!(of_etcd("enable-v2", None), Fate::Known);
        assert_eq!(of_etcd("experimental-memory-mlock", Some("v3.7")), Fate::Removed(minor("v3.7")));
        assert_eq!(of_etcd("feature-gates", Some("v3.5")), Fate::NotYet(minor("v3.6")));
        assert_eq!(of_etcd("ETCD_MAX_TXN_OPS", None), Fate::Unknown(Some("max-txn-ops")));
        assert_eq!(of_etcd("max_txn_ops", None), Fate::Unknown(Some("max-txn-ops")));
        assert_eq!(reported(Component::NginxProxy, "anything", "v1.30.0"), Fate::Known);
    }

    #[test]
    fn every_flag_of_windlass_is_known_to_the_versions_that_get_it() {
        use crate::catalog::{Catalog, Setting};
        for minor in 20..=37 {
            let version = KubernetesVersion::new(1, minor, 0);
            let features = crate::catalog::Feature::ALL.into_iter().collect();
            let setting = Setting { version: &version, etcd: None, features: &features };
            for component in TABLES.keys() {
                let recipe = Catalog::builtin().recipe(*component).expect("the catalog knows all components");
                for flag in recipe.flags.iter().filter_map(|entry| entry.text_in(&setting)) {
                    let name = flag.flag().trim_start_matches("--");
                    let minor = (*component != Component::Etcd).then(|| Minor::of(&version));
                    assert_eq!(fate(*component, name, minor), Fate::Known, "{component} --{name} {version}");
                }
            }
        }
    }
}
