//! Every key that cluster.yml has or had, as data: its section, the form of its value, what it means and does.
//!
//! Reading, the warnings about unknown keys and about keys without effect, the hints on misspelt ones, the JSON
//! Schema and the reference are all driven from this tree, so that a key is known everywhere or nowhere.

mod aci;
mod addons;
mod cloud;
mod kubernetes;
mod nodes;
mod services;
mod top;

pub(crate) use self::aci::{ACI_NEEDED, ACI_REFUSED};
pub(crate) use self::addons::{DNS, INGRESS, MONITORING, NETWORK, NODELOCAL, is_network_option};
pub(crate) use self::cloud::CLOUD_PROVIDER;
pub(crate) use self::kubernetes::{OF_API_SERVER, OF_KUBERNETES};
pub(crate) use self::services::{
    AUDIT_LOG, AUDIT_LOG_CONFIGURATION, EVENT_RATE_LIMIT, KUBE_API, SECRETS_ENCRYPTION,
};
pub(crate) use self::top::{CLUSTER, SYSTEM_IMAGES};

use crate::yaml::{Node, Span, Value};

/// One key of a section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) status: Status,
    /// What it means, in one line.
    pub(crate) about: &'static str,
    /// What holds where the file is silent; empty for nothing.
    pub(crate) default: &'static str,
    /// Whether the section cannot be without it.
    pub(crate) needed: bool,
}

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Any scalar, kept as its source has it.
    Text,
    /// A text that no output may show.
    Secret,
    /// One of these texts.
    Word(&'static [&'static str]),
    /// One of these texts; any other is taken for the second, as RKE 1 did.
    WordOr(&'static [&'static str], &'static str),
    /// True or false.
    Flag,
    /// A whole number.
    Integer,
    /// A number, perhaps with a fraction.
    Number,
    /// A whole number or a text, such as `1` or `10%`.
    IntegerOrText,
    /// A list of texts.
    Texts,
    /// One text or a list of them.
    TextOrTexts,
    /// A map from names to texts.
    TextMap,
    /// As `TextMap`, of which these names mean something.
    Options(&'static [&'static str]),
    /// A map from names to lists of texts.
    TextsMap,
    /// A map with these keys.
    Section(&'static [Key]),
    /// A list of maps with these keys.
    Sections(&'static [Key]),
    /// A map from names that the user chooses to maps with these keys.
    SectionMap(&'static [Key]),
    /// Something in a format of Kubernetes that differs from version to version: kept whole, not looked into.
    Foreign,
}

/// What a key does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Status {
    /// It takes effect.
    Live,
    /// It becomes an object in the cluster, which this release does not deploy.
    Later,
    /// It is read but has no effect in this release, for this reason.
    Idle(&'static str),
    /// It takes effect, and this is written in its place today.
    Old(&'static str),
    /// It never has an effect, for this reason.
    Void(&'static str),
    /// It was a key of RKE 1 once.
    Gone {
        /// The key that does the same today.
        successor: Option<&'static str>,
        /// What became of it.
        why: &'static str,
    },
    /// People write it here, but it belongs to another format, as this says.
    Alien(&'static str),
}

impl Key {
    /// Whether cluster.yml has it, with or without effect.
    pub(crate) fn is_current(&self) -> bool {
        !matches!(self.status, Status::Gone { .. } | Status::Alien(_))
    }

    const fn or(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    const fn needed(mut self) -> Self {
        self.needed = true;
        self
    }

    const fn later(mut self) -> Self {
        self.status = Status::Later;
        self
    }

    const fn idle(mut self, reason: &'static str) -> Self {
        self.status = Status::Idle(reason);
        self
    }

    const fn old(mut self, successor: &'static str) -> Self {
        self.status = Status::Old(successor);
        self
    }

    const fn void(mut self, reason: &'static str) -> Self {
        self.status = Status::Void(reason);
        self
    }
}

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, status: Status::Live, about, default: "", needed: false }
}

const fn text(name: &'static str, about: &'static str) -> Key {
    key(name, Kind::Text, about)
}

const fn secret(name: &'static str, about: &'static str) -> Key {
    key(name, Kind::Secret, about)
}

const fn flag(name: &'static str, about: &'static str) -> Key {
    key(name, Kind::Flag, about)
}

const fn integer(name: &'static str, about: &'static str) -> Key {
    key(name, Kind::Integer, about)
}

const fn texts(name: &'static str, about: &'static str) -> Key {
    key(name, Kind::Texts, about)
}

const fn text_map(name: &'static str, about: &'static str) -> Key {
    key(name, Kind::TextMap, about)
}

const fn section(name: &'static str, keys: &'static [Key], about: &'static str) -> Key {
    key(name, Kind::Section(keys), about)
}

const fn gone(name: &'static str, why: &'static str) -> Key {
    Key { status: Status::Gone { successor: None, why }, ..key(name, Kind::Foreign, why) }
}

const fn renamed(name: &'static str, successor: &'static str, why: &'static str) -> Key {
    Key { status: Status::Gone { successor: Some(successor), why }, ..key(name, Kind::Foreign, why) }
}

const fn alien(name: &'static str, reason: &'static str) -> Key {
    Key { status: Status::Alien(reason), ..key(name, Kind::Foreign, reason) }
}

/// The key of this name in a section.
pub(crate) fn find(section: &'static [Key], name: &str) -> Option<&'static Key> {
    section.iter().find(|key| key.name == name)
}

/// The keys below a key, if its value is one map or a list of maps.
pub(crate) fn children(kind: Kind) -> &'static [Key] {
    match kind {
        Kind::Section(keys) | Kind::Sections(keys) | Kind::SectionMap(keys) => keys,
        _ => &[],
    }
}

/// The path of what is below a key, such as `nodes[]` or `cloud_provider.vsphereCloudProvider.virtual_center.<name>`.
pub(crate) fn path_below(path: &str, key: &Key) -> String {
    let list = if matches!(key.kind, Kind::Sections(_)) { "[]" } else { "" };
    let any = if matches!(key.kind, Kind::SectionMap(_)) { ".<name>" } else { "" };
    format!("{}{list}{any}", crate::yaml::join(path, key.name))
}

/// The paths of all sections that have a key of this name, such as `services.etcd`; nearest to the top first.
pub(crate) fn sections_with(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut level: Vec<(String, &'static [Key])> = vec![(String::new(), CLUSTER)];
    while !level.is_empty() {
        let mut below = Vec::new();
        for (path, keys) in level {
            if find(keys, name).is_some_and(Key::is_current) {
                found.push(path.clone());
            }
            for key in keys.iter().filter(|key| !children(key.kind).is_empty()) {
                below.push((path_below(&path, key), children(key.kind)));
            }
        }
        level = below;
    }
    found
}

/// The names of all keys whose values no output may show.
pub(crate) fn secret_names() -> Vec<&'static str> {
    let mut names = Vec::new();
    let mut left = vec![CLUSTER];
    while let Some(keys) = left.pop() {
        for key in keys {
            if matches!(key.kind, Kind::Secret) && !names.contains(&key.name) {
                names.push(key.name);
            }
            left.push(children(key.kind));
        }
    }
    // The key of a taint is no secret; that of an etcd client is PEM, which is known by its look.
    names.retain(|name| *name != "key");
    names.sort_unstable();
    names
}

/// The places of all values of a file that no output may show.
pub(crate) fn secret_spans(root: &Node<'_>) -> Vec<Span> {
    let mut spans = Vec::new();
    collect(Kind::Section(CLUSTER), root, &mut spans);
    spans
}

fn collect(kind: Kind, node: &Node<'_>, spans: &mut Vec<Span>) {
    match (kind, &node.value) {
        (_, Value::Null) => {}
        (Kind::Secret, _) => spans.push(node.span),
        (Kind::Section(keys), Value::Map(entries)) => {
            for entry in entries {
                if let Some(key) = find(keys, &entry.key) {
                    collect(key.kind, &entry.value, spans);
                }
            }
        }
        (Kind::SectionMap(keys), Value::Map(entries)) => {
            for entry in entries {
                collect(Kind::Section(keys), &entry.value, spans);
            }
        }
        (Kind::Sections(keys), Value::List(items)) => {
            for item in items {
                collect(Kind::Section(keys), item, spans);
            }
        }
        // A text where a section with secrets belongs may be the secret itself.
        (kind, Value::Scalar(_)) if children(kind).iter().any(|key| matches!(key.kind, Kind::Secret)) => {
            spans.push(node.span);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<(String, &'static Key)> {
        let mut all = Vec::new();
        let mut left: Vec<(String, &'static [Key])> = vec![(String::new(), CLUSTER)];
        while let Some((section, keys)) = left.pop() {
            for key in keys {
                left.push((path_below(&section, key), children(key.kind)));
                all.push((crate::yaml::join(&section, key.name), key));
            }
        }
        all
    }

    #[test]
    fn no_section_names_a_key_twice() {
        let mut paths: Vec<String> = all().into_iter().map(|(path, _)| path).collect();
        let before = paths.len();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), before);
        assert!(before > 500, "{before}");
    }

    #[test]
    fn every_key_says_in_a_line_what_it_means() {
        for (path, key) in all() {
            let is_line = !key.about.is_empty() && key.about.len() < 130 && !key.about.contains('\n');
            assert!(is_line && !key.about.ends_with('.'), "{path}: {}", key.about);
        }
    }

    #[test]
    fn a_name_is_found_in_every_section_that_has_it() {
        assert_eq!(sections_with("interval_hours"), ["services.etcd.backup_config"]);
        assert_eq!(sections_with("kubelet"), ["services", "system_images", "windlass.links.<name>"]);
        assert_eq!(sections_with("docker_socket"), ["nodes[]"]);
        assert_eq!(sections_with("nothing"), [""; 0]);
    }

    #[test]
    fn the_names_of_secrets_are_known() {
        assert_eq!(
            secret_names(),
            [
                "aadClientCertPassword",
                "aadClientSecret",
                "access_key",
                "apic_user_key",
                "aws_secret_access_key",
                "aws_session_token",
                "cloud_config",
                "config_file",
                "customCloudProvider",
                "kafka_client_key",
                "password",
                "secret",
                "secret_key",
                "ssh_key",
                "token",
            ]
        );
    }
}
