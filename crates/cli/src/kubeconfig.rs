//! `kube_config_<config>` beside cluster.yml: how the operator's kubectl reaches the cluster, as its administrator.
//!
//! ```text
//! context demo          the common endpoint, or else the first API server by name
//! context demo-node-1   one for every API server, for when the former is down
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use windlass_model::{API_SERVER_PORT, Blueprint, CertName, Component, DesiredNode, Ledger, Role, Secret};
use windlass_spec::EndpointSpec;

use crate::ledger_file::write_durably;

const AUTHORITY: &str = "kube-ca";
const ADMINISTRATOR: &str = "kube-admin";

/// What happened to the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It did not exist.
    New(PathBuf),
    /// Its content was another.
    Changed(PathBuf),
    /// It has this content already and was not touched.
    Unchanged,
    /// The ledger has no administrator yet, or no node has an API server.
    NothingToSay,
}

/// The path of the file for this cluster.yml: `kube_config_cluster.yml` beside `cluster.yml`, as in RKE 1.
pub(crate) fn beside(config: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from("kube_config_");
    name.push(config.file_name().unwrap_or_default());
    config.with_file_name(name)
}

/// Writes how this cluster is reached, with the keys of this ledger; only its owner may read the file.
///
/// A context that the operator has chosen stays the current one as long as it exists, and what kubectl has
/// added to contexts, such as a namespace, is no reason to write the file again.
///
/// # Errors
/// The file exists and cannot be read, or cannot be written; the former one is then still whole.
pub(crate) fn write(config: &Path, ways: &Ways, ledger: &Ledger) -> io::Result<Written> {
    let path = beside(config);
    let Some(mut wanted) = Kubeconfig::of(ways, ledger) else {
        return Ok(Written::NothingToSay);
    };
    let present = match fs::read(&path) {
        Ok(bytes) => Some(serde_yaml::from_slice::<Kubeconfig>(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let written = if present.is_some() { Written::Changed } else { Written::New };
    if let Some(present) = present.flatten() {
        if wanted.contexts.iter().any(|context| context.name == present.current_context) {
            wanted.current_context.clone_from(&present.current_context);
        }
        if present.says(&wanted) {
            return Ok(Written::Unchanged);
        }
    }
    write_durably(&path, wanted.text().expose().as_bytes(), Some(0o600))?;
    Ok(written(path))
}

/// The addresses of a cluster, without its keys.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    cluster: String,
    /// The URL of each API server by the name of its context, and before them the common one, by the
    /// cluster's name. Empty where no node has an API server.
    servers: Vec<(String, String)>,
}

impl Ways {
    /// The addresses of a cluster with this desired state.
    pub(crate) fn of(blueprint: &Blueprint, endpoint: Option<&EndpointSpec>) -> Self {
        let cluster = blueprint.cluster.clone();
        // The address at which windlass itself reaches the node: `internal_address` may be unreachable from
        // here.
        let servers: Vec<(String, String)> = blueprint
            .with_role(Role::ControlPlane)
            .map(|(node, desired)| {
                let host = desired.target.address.clone();
                let url = format!("https://{}", EndpointSpec { host, port: port_of(desired) });
                (format!("{cluster}-{node}"), url)
            })
            .collect();
        let common = servers.first().map(|(_, first)| {
            let common = endpoint.map_or_else(|| first.clone(), |endpoint| format!("https://{endpoint}"));
            (cluster.clone(), common)
        });
        Self { servers: common.into_iter().chain(servers).collect(), cluster }
    }
}

/// Deletes the file; a missing file is no error.
pub(crate) fn delete(config: &Path) -> io::Result<()> {
    match fs::remove_file(beside(config)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A kubeconfig, with the fields that windlass writes. It holds the administrator's key: it has no `Debug`.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Kubeconfig {
    #[serde(rename = "apiVersion")]
    version: String,
    kind: String,
    clusters: Vec<Named<ClusterEntry>>,
    users: Vec<Named<UserEntry>>,
    contexts: Vec<Named<ContextEntry>>,
    #[serde(rename = "current-context", default)]
    current_context: String,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Named<T> {
    name: String,
    #[serde(flatten)]
    entry: T,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct ClusterEntry {
    cluster: ClusterFields,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct ClusterFields {
    server: String,
    #[serde(rename = "certificate-authority-data", default)]
    authority: String,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct UserEntry {
    user: UserFields,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct UserFields {
    #[serde(rename = "client-certificate-data", default)]
    certificate: String,
    #[serde(rename = "client-key-data", default)]
    key: String,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct ContextEntry {
    context: ContextFields,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct ContextFields {
    cluster: String,
    user: String,
}

/// The port at which a node's API server serves.
fn port_of(node: &DesiredNode) -> u16 {
    let api_server = node.containers.get(&Component::KubeApiserver);
    let port = api_server.and_then(|desired| desired.conduct.listens.keys().next().copied());
    port.unwrap_or(API_SERVER_PORT)
}

impl Kubeconfig {
    fn of(ways: &Ways, ledger: &Ledger) -> Option<Self> {
        let Ways { cluster: name, servers: all } = ways;
        let stored = |name: &str| ledger.certs.get(&CertName::from(name));
        let (authority, administrator) = (stored(AUTHORITY)?, stored(ADMINISTRATOR)?);
        if all.is_empty() {
            return None;
        }
        let user = format!("{ADMINISTRATOR}-{name}");
        let data = |pem: &str| BASE64_STANDARD.encode(pem);
        let cluster = |(name, server): &(String, String)| Named {
            name: name.clone(),
            entry: ClusterEntry {
                cluster: ClusterFields { server: server.clone(), authority: data(&authority.certificate) },
            },
        };
        let context = |(name, _): &(String, String)| Named {
            name: name.clone(),
            entry: ContextEntry { context: ContextFields { cluster: name.clone(), user: user.clone() } },
        };
        Some(Self {
            version: "v1".to_owned(),
            kind: "Config".to_owned(),
            clusters: all.iter().map(cluster).collect(),
            contexts: all.iter().map(context).collect(),
            users: vec![Named {
                name: user.clone(),
                entry: UserEntry {
                    user: UserFields {
                        certificate: data(&administrator.certificate),
                        key: data(administrator.key.expose()),
                    },
                },
            }],
            current_context: name.clone(),
        })
    }

    /// Whether this file contains all of `wanted`, and nothing else that windlass wrote.
    fn says(&self, wanted: &Self) -> bool {
        let Self { version, kind, clusters, users, contexts, current_context } = wanted;
        let users_names: Vec<&String> = users.iter().map(|user| &user.name).collect();
        let is_ours = |context: &Named<ContextEntry>| users_names.contains(&&context.entry.context.user);
        self.version == *version
            && self.kind == *kind
            && self.current_context == *current_context
            && holds(&self.clusters, clusters)
            && holds(&self.users, users)
            && holds(&self.contexts, contexts)
            && self.contexts.iter().filter(|context| is_ours(context)).count() == contexts.len()
    }

    fn text(&self) -> Secret<String> {
        Secret::new(serde_yaml::to_string(self).expect("a kubeconfig is plain text in maps and lists"))
    }
}

/// Whether every wanted entry is there, in any order.
fn holds<T: PartialEq>(present: &[Named<T>], wanted: &[Named<T>]) -> bool {
    let by_name: BTreeMap<&str, &T> =
        present.iter().map(|named| (named.name.as_str(), &named.entry)).collect();
    wanted.iter().all(|named| by_name.get(named.name.as_str()) == Some(&&named.entry))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::fs::PermissionsExt as _;

    use windlass_blueprint::{Catalog, resolve};
    use windlass_model::{CertKind, DesiredCert, Lineage, StoredCert, Timestamp};

    use super::*;

    const CLUSTER: &str = "
cluster_name: demo
kubernetes_version: v1.20.2
nodes:
- {address: 203.0.113.1, internal_address: 10.0.0.1, hostname_override: one, user: ops, role: [controlplane, etcd]}
- {address: 'fd00::2', internal_address: 10.0.0.2, hostname_override: two, user: ops, role: [controlplane, etcd]}
- {address: 203.0.113.3, hostname_override: three, user: ops, role: [worker]}
";

    fn blueprint(text: &str) -> Blueprint {
        let spec = windlass_spec::read(text.as_bytes()).spec.unwrap();
        resolve(&spec, Catalog::builtin(), &BTreeMap::new()).blueprint.unwrap()
    }

    fn stored(name: &str) -> StoredCert {
        StoredCert {
            desired: DesiredCert {
                kind: CertKind::Leaf,
                common_name: name.to_owned(),
                organizations: Vec::new(),
                issuer: None,
                usages: std::collections::BTreeSet::new(),
                sans: std::collections::BTreeSet::new(),
                valid_days: 1,
                service: None,
            },
            certificate: format!("certificate of {name}\n"),
            key: Secret::new(format!("key of {name}\n")),
            issued_at: None,
            not_before: Timestamp(0),
            not_after: Timestamp(1),
            issuer: None,
        }
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(Lineage::from("blue"));
        for name in [AUTHORITY, ADMINISTRATOR] {
            ledger.certs.insert(name.into(), stored(name));
        }
        ledger
    }

    /// An empty directory and the path of a cluster.yml in it.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let directory =
                std::env::temp_dir().join(format!("windlass-kubeconfig-{}-{name}", std::process::id()));
            fs::create_dir_all(&directory).unwrap();
            Self(directory)
        }

        fn config(&self) -> PathBuf {
            self.0.join("prod.yml")
        }

        fn write(&self, cluster: &str, endpoint: Option<&EndpointSpec>, ledger: &Ledger) -> Written {
            write(&self.config(), &Ways::of(&blueprint(cluster), endpoint), ledger).unwrap()
        }

        fn text(&self) -> String {
            fs::read_to_string(beside(&self.config())).unwrap()
        }

        fn edit(&self, from: &str, to: &str) {
            let text = self.text();
            assert!(text.contains(from), "{text}");
            fs::write(beside(&self.config()), text.replace(from, to)).unwrap();
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn every_api_server_has_a_context_and_so_has_the_common_endpoint() {
        let place = Place::new("contexts");
        let endpoint = EndpointSpec { host: "api.example.org".to_owned(), port: 443 };
        let path = place.0.join("kube_config_prod.yml");
        assert_eq!(place.write(CLUSTER, Some(&endpoint), &ledger()), Written::New(path.clone()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(
            place.text(),
            "apiVersion: v1
kind: Config
clusters:
- name: demo
  cluster:
    server: https://api.example.org:443
    certificate-authority-data: Y2VydGlmaWNhdGUgb2Yga3ViZS1jYQo=
- name: demo-one
  cluster:
    server: https://203.0.113.1:6443
    certificate-authority-data: Y2VydGlmaWNhdGUgb2Yga3ViZS1jYQo=
- name: demo-two
  cluster:
    server: https://[fd00::2]:6443
    certificate-authority-data: Y2VydGlmaWNhdGUgb2Yga3ViZS1jYQo=
users:
- name: kube-admin-demo
  user:
    client-certificate-data: Y2VydGlmaWNhdGUgb2Yga3ViZS1hZG1pbgo=
    client-key-data: a2V5IG9mIGt1YmUtYWRtaW4K
contexts:
- name: demo
  context:
    cluster: demo
    user: kube-admin-demo
- name: demo-one
  context:
    cluster: demo-one
    user: kube-admin-demo
- name: demo-two
  context:
    cluster: demo-two
    user: kube-admin-demo
current-context: demo
"
        );
    }

    #[test]
    fn without_an_endpoint_the_first_api_server_is_the_default() {
        let place = Place::new("default");
        place.write(CLUSTER, None, &ledger());
        let first = "- name: demo\n  cluster:\n    server: https://203.0.113.1:6443\n";
        assert!(place.text().contains(first), "{}", place.text());
    }

    #[test]
    fn what_is_said_already_is_not_written_again() {
        let place = Place::new("unchanged");
        let path = beside(&place.config());
        place.write(CLUSTER, None, &ledger());
        let inode = || fs::metadata(&path).unwrap().ino();
        let before = inode();
        assert_eq!(place.write(CLUSTER, None, &ledger()), Written::Unchanged);
        // As `kubectl config set-context --namespace` and `use-context` leave it.
        place.edit("    cluster: demo-two\n", "    cluster: demo-two\n    namespace: shop\n");
        place.edit("current-context: demo\n", "current-context: demo-two\npreferences: {}\n");
        assert_eq!(place.write(CLUSTER, None, &ledger()), Written::Unchanged);
        assert_eq!(inode(), before);
    }

    #[test]
    fn another_key_or_another_list_of_api_servers_is_written() {
        let place = Place::new("changed");
        let path = beside(&place.config());
        place.write(CLUSTER, None, &ledger());
        place.edit("current-context: demo\n", "current-context: demo-two\n");
        let mut renewed = ledger();
        renewed.certs.insert(ADMINISTRATOR.into(), stored("new"));
        assert_eq!(place.write(CLUSTER, None, &renewed), Written::Changed(path.clone()));
        assert!(place.text().ends_with("current-context: demo-two\n"), "the chosen context stays");
        let fewer =
            CLUSTER.replace("two, user: ops, role: [controlplane, etcd]", "two, user: ops, role: [etcd]");
        assert_eq!(place.write(&fewer, None, &renewed), Written::Changed(path.clone()));
        assert!(place.text().ends_with("current-context: demo\n"), "it is gone");
        fs::write(&path, "no kubeconfig").unwrap();
        assert_eq!(place.write(CLUSTER, None, &renewed), Written::Changed(path));
    }

    #[test]
    fn before_there_are_keys_nothing_is_written() {
        let place = Place::new("nothing");
        let none = Ledger::new(Lineage::from("blue"));
        assert_eq!(place.write(CLUSTER, None, &none), Written::NothingToSay);
        assert!(!beside(&place.config()).exists());
        place.write(CLUSTER, None, &ledger());
        delete(&place.config()).unwrap();
        delete(&place.config()).unwrap();
        assert!(!beside(&place.config()).exists());
    }
}
