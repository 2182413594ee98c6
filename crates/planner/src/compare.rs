//! Decides what is to be done about one desired container or file, from what was seen of it.

use std::cell::RefCell;
use std::sync::Arc;

use windlass_model::{
    Component, ContainerSeen, ContainerSpec, ContainerState, Content, DesiredContainer, DesiredFile,
    DesiredNode, Difference, Digest, FileDifference, FilePath, FileSeen, Health, Inventory, Maker, NodeFacts,
    OnChange, Reason, SpecPath, Unasked,
};

use crate::ledger::Keys;

/// What is to be done about a desired container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It is as desired and works.
    Good,
    /// It is as desired, and was started moments ago.
    Settling,
    /// It is as desired except for files that it can read again while it runs.
    Reload {
        /// Which files.
        reasons: Vec<Reason>,
        /// The places in cluster.yml that cause this.
        origins: Vec<SpecPath>,
        /// Whether it works all the same.
        works: bool,
    },
    /// It is not there.
    Absent,
    /// It is as desired but does not run.
    Down(Vec<Reason>),
    /// It runs as desired and does not work.
    Sick(Vec<Reason>),
    /// It runs as desired and cannot work while what it depends on does not: nothing is wrong with it.
    Waiting,
    /// It runs as desired, and it could not be asked whether it works.
    Unasked(Unasked),
    /// It is not as desired.
    Differs {
        /// The differences.
        reasons: Vec<Reason>,
        /// The places in cluster.yml that cause this.
        origins: Vec<SpecPath>,
        /// Whether it works all the same, or may.
        works: bool,
    },
}

impl Condition {
    /// Whether the container runs and works now.
    pub(crate) fn works(&self) -> bool {
        matches!(self, Self::Good | Self::Reload { works: true, .. } | Self::Differs { works: true, .. })
    }

    /// Whether the container is replaced by one with another image.
    pub(crate) fn has_new_image(&self) -> bool {
        let is_image =
            |reason: &Reason| matches!(reason, Reason::Differs { difference: Difference::Image { .. } });
        matches!(self, Self::Differs { reasons, .. } if reasons.iter().any(is_image))
    }
}

/// The contents that files will have after this plan's certificates are issued.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    seen: &'a Inventory,
    keys: &'a Keys,
    /// The most recent texts and their digests: nodes share most of their texts.
    texts: RefCell<Vec<(Arc<str>, Digest)>>,
}

/// How many texts are remembered: those that nodes share, and those of a single node.
const REMEMBERED_TEXTS: usize = 16;

/// A desired file beside what was seen of it.
#[derive(Debug)]
pub(crate) struct FileLook<'a> {
    pub(crate) path: &'a FilePath,
    pub(crate) desired: &'a DesiredFile,
    expected: Expected,
    /// How it differs, if it does.
    pub(crate) differs: Option<FileDifference>,
}

/// What is known of a content before the plan runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It has this digest.
    Digest(Digest),
    /// This plan reissues it.
    Renewed,
    /// It cannot be known now: a certificate that does not exist and is not issued either.
    Unknown,
}

impl<'a> Contents<'a> {
    pub(crate) fn new(seen: &'a Inventory, keys: &'a Keys) -> Self {
        Self { seen, keys, texts: RefCell::default() }
    }

    /// What is known of this content.
    pub(crate) fn expected(&self, content: &Content) -> Expected {
        let digest = match content {
            Content::Text(text) => Some(self.digest_of(text)),
            Content::Cert { cert, .. } if self.keys.minted.contains_key(cert) => return Expected::Renewed,
            Content::Cert { cert, part } => self.seen.ledger.digest_of(cert, *part),
            Content::Secret(name) => self.seen.ledger.secrets.get(name).copied(),
            Content::Ledger => self.seen.ledger.digest,
        };
        digest.map_or(Expected::Unknown, Expected::Digest)
    }

    fn digest_of(&self, text: &Arc<str>) -> Digest {
        let mut texts = self.texts.borrow_mut();
        if let Some((_, digest)) = texts.iter().find(|(known, _)| Arc::ptr_eq(known, text)) {
            return *digest;
        }
        let digest = Digest::of(text.as_bytes());
        if texts.len() == REMEMBERED_TEXTS {
            texts.remove(0);
        }
        texts.push((text.clone(), digest));
        digest
    }

    /// The desired files of a node, by path, beside what was seen of them.
    pub(crate) fn files<'n>(&self, node: &'n DesiredNode, facts: &NodeFacts) -> Vec<FileLook<'n>> {
        let mut there = facts.files.iter().peekable();
        node.files
            .iter()
            .map(|(path, desired)| {
                while there.next_if(|(other, _)| *other < path).is_some() {}
                let seen = there.next_if(|(other, _)| *other == path).map(|(_, seen)| seen);
                let expected = self.expected(&desired.content);
                FileLook { path, desired, expected, differs: file_difference(expected, desired, seen) }
            })
            .collect()
    }
}

/// What is to be done about each desired container of a node.
pub(crate) fn conditions(
    node: &DesiredNode,
    files: &[FileLook<'_>],
    facts: &NodeFacts,
    keys: &Keys,
) -> impl Iterator<Item = (Component, Condition)> {
    node.containers.iter().map(move |(component, desired)| {
        let seen = facts.containers.get(component.as_str());
        let condition = seen.map_or(Condition::Absent, |seen| condition(desired, files, seen, keys));
        (*component, condition)
    })
}

fn condition(
    desired: &DesiredContainer,
    files: &[FileLook<'_>],
    seen: &ContainerSeen,
    keys: &Keys,
) -> Condition {
    let origins = |differences: &[Difference]| {
        origins_of(desired, &seen.spec, differences, |path| {
            let file = files.iter().find(|file| file.path == path);
            file.into_iter().flat_map(|file| keys.places_of(file.desired)).cloned().collect()
        })
    };
    if matches!(seen.maker, Maker::Other | Maker::Rke) {
        return made_by_other(desired, seen, origins);
    }
    let differences = desired.spec.differences_from(&seen.spec);
    let (stale, reloadable) = stale_files(desired, files, seen);
    let works = may_work(seen);
    if !differences.is_empty() || !stale.is_empty() {
        let differences: Vec<Difference> = differences.into_iter().chain(stale).collect();
        return Condition::Differs {
            origins: origins(&differences),
            reasons: differences
                .into_iter()
                .map(|difference| Reason::Differs { difference })
                .chain(not_running(seen))
                .collect(),
            works,
        };
    }
    match (seen.state, seen.health) {
        (ContainerState::Created | ContainerState::Stopped, _) => {
            Condition::Down(not_running(seen).into_iter().collect())
        }
        (ContainerState::Paused | ContainerState::Crashing, _) => {
            Condition::Sick(not_running(seen).into_iter().collect())
        }
        (ContainerState::Running, _) if !reloadable.is_empty() => Condition::Reload {
            origins: origins(&reloadable),
            reasons: reloadable.into_iter().map(|difference| Reason::Differs { difference }).collect(),
            works,
        },
        (ContainerState::Running, Health::Healthy) => Condition::Good,
        (ContainerState::Running, Health::Starting) => Condition::Settling,
        (ContainerState::Running, Health::Unhealthy) => Condition::Sick(vec![Reason::Unhealthy]),
        (ContainerState::Running, Health::Unknown(why)) => Condition::Unasked(why),
    }
}

/// A container that somebody else made is replaced, whatever it looks like: it is unknown which files it has
/// read at its start.
fn made_by_other(
    desired: &DesiredContainer,
    seen: &ContainerSeen,
    origins: impl Fn(&[Difference]) -> Vec<SpecPath>,
) -> Condition {
    let birth_flags = Component::Etcd.nature().birth_flags;
    let is_said = |difference: &Difference| match difference {
        Difference::Argument { flag, .. } => {
            !flag.strip_prefix("--").is_some_and(|flag| birth_flags.contains(&flag))
        }
        Difference::Setting { .. } | Difference::File { .. } => false,
        Difference::Image { .. } | Difference::Environment { .. } | Difference::Mount { .. } => true,
    };
    let mut differences = desired.spec.differences_from(&seen.spec);
    differences.retain(is_said);
    let said = differences.iter().map(|difference| Reason::Differs { difference: difference.clone() });
    Condition::Differs {
        reasons: std::iter::once(Reason::MadeByOther).chain(said).chain(not_running(seen)).collect(),
        origins: origins(&differences),
        works: may_work(seen),
    }
}

/// Whether a container works, or may work: one that does not answer in time is not taken down as if it were
/// useless. One that presents a certificate which nobody accepts is useless to its clients as well.
fn may_work(seen: &ContainerSeen) -> bool {
    let may = matches!(seen.health, Health::Healthy | Health::Unknown(Unasked::NoWay | Unasked::NoAnswer));
    seen.state == ContainerState::Running && may
}

/// The files whose loaded form differs from what they will contain: those for which the container must be
/// replaced, and those that it can read again.
fn stale_files(
    desired: &DesiredContainer,
    files: &[FileLook<'_>],
    seen: &ContainerSeen,
) -> (Vec<Difference>, Vec<Difference>) {
    let (mut replace, mut reload) = (Vec::new(), Vec::new());
    let mut files = files.iter().peekable();
    let mut loaded = seen.loaded.iter().peekable();
    for (path, on_change) in &desired.spec.reads {
        while files.next_if(|file| file.path < path).is_some() {}
        let Some(file) = files.next_if(|file| file.path == path) else { continue };
        while loaded.next_if(|(other, _)| *other < path).is_some() {}
        let has = loaded.next_if(|(other, _)| *other == path).map(|(_, digest)| digest);
        let stale = match file.expected {
            Expected::Renewed => true,
            Expected::Unknown => false,
            Expected::Digest(digest) => has != Some(&digest),
        };
        if stale {
            let difference = Difference::File { path: path.clone() };
            match on_change {
                OnChange::Replace => replace.push(difference),
                OnChange::Reload => reload.push(difference),
            }
        }
    }
    (replace, reload)
}

fn file_difference(
    expected: Expected,
    desired: &DesiredFile,
    seen: Option<&FileSeen>,
) -> Option<FileDifference> {
    match (seen, expected) {
        (_, Expected::Unknown) => None,
        (None, _) => Some(FileDifference::Missing),
        (_, Expected::Renewed) => Some(FileDifference::Renewed),
        (Some(seen), Expected::Digest(digest)) if seen.digest != digest => Some(FileDifference::Content),
        (Some(seen), _) if seen.mode != desired.mode => Some(FileDifference::Mode),
        (Some(seen), _) if seen.owner != desired.owner => Some(FileDifference::Owner),
        _ => None,
    }
}

fn not_running(seen: &ContainerSeen) -> Option<Reason> {
    (seen.state != ContainerState::Running).then_some(Reason::NotRunning { state: seen.state })
}

/// The places in cluster.yml that cause the differences: the place of each, or that of the version where it
/// changes.
fn origins_of(
    desired: &DesiredContainer,
    seen: &ContainerSpec,
    differences: &[Difference],
    of_file: impl Fn(&FilePath) -> Vec<SpecPath>,
) -> Vec<SpecPath> {
    let DesiredContainer { spec, origins, .. } = desired;
    let version = origins.whole.as_ref().filter(|_| spec.version != seen.version || spec.image != seen.image);
    let mut found: Vec<SpecPath> = differences
        .iter()
        .flat_map(|difference| match difference {
            Difference::File { path } => of_file(path),
            difference => origins.of(difference).or(version).cloned().into_iter().collect(),
        })
        .collect();
    found.sort();
    found.dedup();
    found
}
