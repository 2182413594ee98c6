//! Every key that cluster.yml has or had, as data: its section, the form of its value, and what it does.
//!
//! Reading, the warnings about unknown keys and about keys without effect, and the hints on misspelt ones are
//! all driven from this tree, so that a key is known everywhere or nowhere.

mod idle;
mod live;

pub(crate) use self::live::{CLUSTER, SYSTEM_IMAGES};

/// One key of a section.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) status: Status,
}

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Any scalar, kept as its source has it.
    Text,
    /// A text that no output may show.
    Secret,
    /// True or false.
    Flag,
    /// A whole number.
    Integer,
    /// A list of texts.
    Texts,
    /// One text or a list of them.
    TextOrTexts,
    /// A map from names to texts.
    TextMap,
    /// A map from names to lists of texts.
    TextsMap,
    /// A map with these keys.
    Section(&'static [Key]),
    /// A list of maps with these keys.
    Sections(&'static [Key]),
    /// A map from names that the user chooses to maps with these keys.
    SectionMap(&'static [Key]),
    /// A map whose keys are known by name alone.
    Named(&'static [&'static str]),
    /// Something in the format of Kubernetes itself, not looked into.
    Foreign,
}

/// What a key does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Status {
    /// It takes effect.
    Live,
    /// It is read but has no effect in this release.
    Idle,
    /// As `Idle`, but this value asks for what happens anyhow.
    IdleExcept(&'static str),
    /// It never has an effect, for this reason.
    Void(&'static str),
    /// It was a key of RKE 1 once, and this became of it.
    Gone(&'static str),
    /// People write it here, but it belongs to another format, as this says.
    Alien(&'static str),
}

impl Key {
    /// Whether it takes effect.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.status, Status::Live)
    }

    /// Whether cluster.yml has it, with or without effect.
    pub(crate) fn is_current(&self) -> bool {
        !matches!(self.status, Status::Gone(_) | Status::Alien(_))
    }
}

const fn live(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, status: Status::Live }
}

const fn idle(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, status: Status::Idle }
}

const fn idle_except(name: &'static str, kind: Kind, value: &'static str) -> Key {
    Key { name, kind, status: Status::IdleExcept(value) }
}

const fn void(name: &'static str, kind: Kind, reason: &'static str) -> Key {
    Key { name, kind, status: Status::Void(reason) }
}

const fn gone(name: &'static str, reason: &'static str) -> Key {
    Key { name, kind: Kind::Foreign, status: Status::Gone(reason) }
}

const fn alien(name: &'static str, reason: &'static str) -> Key {
    Key { name, kind: Kind::Foreign, status: Status::Alien(reason) }
}

/// The key of this name in a section.
pub(crate) fn key(section: &'static [Key], name: &str) -> Option<&'static Key> {
    section.iter().find(|key| key.name == name)
}

/// The keys below a key, if its value is one map or a list of maps.
fn children(kind: Kind) -> &'static [Key] {
    match kind {
        Kind::Section(keys) | Kind::Sections(keys) | Kind::SectionMap(keys) => keys,
        _ => &[],
    }
}

/// The paths of all sections that have a key of this name, such as `services.etcd`; nearest to the top first.
pub(crate) fn sections_with(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut level: Vec<(String, &'static [Key])> = vec![(String::new(), CLUSTER)];
    while !level.is_empty() {
        let mut below = Vec::new();
        for (path, keys) in level {
            if key(keys, name).is_some_and(Key::is_current) {
                found.push(path.clone());
            }
            for key in keys {
                let list = if matches!(key.kind, Kind::Sections(_)) { "[]" } else { "" };
                let any = if matches!(key.kind, Kind::SectionMap(_)) { ".<name>" } else { "" };
                let child = format!("{}{list}{any}", crate::yaml::join(&path, key.name));
                below.push((child, children(key.kind)));
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
    names.extend(idle::SECRETS_KNOWN_BY_NAME);
    // The key of a taint is no secret; that of an etcd client is PEM, which is known by its look.
    names.retain(|name| *name != "key");
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_section_names_a_key_twice() {
        let mut left = vec![("", CLUSTER)];
        while let Some((section, keys)) = left.pop() {
            for (position, key) in keys.iter().enumerate() {
                assert!(
                    keys[..position].iter().all(|other| other.name != key.name),
                    "{section}.{}",
                    key.name
                );
                left.push((key.name, children(key.kind)));
            }
        }
    }

    #[test]
    fn a_name_is_found_in_every_section_that_has_it() {
        assert_eq!(sections_with("interval_hours"), ["services.etcd.backup_config"]);
        assert_eq!(sections_with("kubelet"), ["services"]);
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
                "custom_config",
                "kafka_client_key",
                "password",
                "secret_key",
                "ssh_key",
                "token"
            ]
        );
    }
}
