//! What is to be done about one wished container or one wished file, from what was seen of it.

use std::collections::BTreeMap;

use windlass_model::{
    Blueprint, CertName, Component, ContainerSeen, ContainerState, ContainerWish, Content, Difference,
    Digest, FileDifference, FilePath, FileWish, Health, Inventory, NodeFacts, NodeWish, OnChange, Reason,
    SpecPath,
};

/// What is to be done about a wished container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It is as wished and does its work.
    Good,
    /// It is as wished, and was started moments ago.
    Settling,
    /// It is as wished but for files that it can read again while it runs.
    Reload {
        /// Which files.
        reasons: Vec<Reason>,
        /// Whether it does its work all the same.
        works: bool,
    },
    /// It is not there.
    Absent,
    /// It is as wished but does not run.
    Down(Vec<Reason>),
    /// It runs as wished and does not do its work.
    Sick(Vec<Reason>),
    /// It runs as wished and cannot do its work while what it depends on does not: nothing is wrong with it.
    Waiting,
    /// It is not as wished.
    Differs {
        /// In what.
        reasons: Vec<Reason>,
        /// Where in cluster.yml that stems from.
        origins: Vec<SpecPath>,
        /// Whether it does its work all the same.
        works: bool,
    },
}

impl Condition {
    /// Whether the container runs and does its work now.
    pub(crate) fn works(&self) -> bool {
        matches!(self, Self::Good | Self::Reload { works: true, .. } | Self::Differs { works: true, .. })
    }
}

/// The contents that files will have when this plan's certificates are made.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    seen: &'a Inventory,
    minted: &'a BTreeMap<CertName, Vec<Reason>>,
}

/// What is known of a content before the plan runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It has this digest.
    Digest(Digest),
    /// This plan makes it anew.
    Renewed,
    /// It cannot be known now: a certificate that is not there and not made either.
    Unknown,
}

impl<'a> Contents<'a> {
    pub(crate) fn new(seen: &'a Inventory, minted: &'a BTreeMap<CertName, Vec<Reason>>) -> Self {
        Self { seen, minted }
    }

    /// What is known of this content.
    pub(crate) fn expected(&self, content: &Content) -> Expected {
        let digest = match content {
            Content::Text(_) => Blueprint::digest_of_text(content),
            Content::Cert { cert, .. } if self.minted.contains_key(cert) => return Expected::Renewed,
            Content::Cert { cert, part } => self.seen.ledger.digest_of(cert, *part),
            Content::Secret(name) => self.seen.ledger.secrets.get(name).copied(),
            Content::Ledger => self.seen.ledger.digest,
        };
        digest.map_or(Expected::Unknown, Expected::Digest)
    }

    /// How a file on a node differs from its wish, if it does.
    pub(crate) fn file_difference(
        &self,
        path: &FilePath,
        wish: &FileWish,
        facts: &NodeFacts,
    ) -> Option<FileDifference> {
        let expected = self.expected(&wish.content);
        match (facts.files.get(path), expected) {
            (_, Expected::Renewed) => Some(FileDifference::Renewed),
            (_, Expected::Unknown) => None,
            (None, Expected::Digest(_)) => Some(FileDifference::Missing),
            (Some(seen), Expected::Digest(digest)) if seen.digest != digest => Some(FileDifference::Content),
            (Some(seen), _) if seen.mode != wish.mode => Some(FileDifference::Mode),
            (Some(seen), _) if seen.owner != wish.owner => Some(FileDifference::Owner),
            _ => None,
        }
    }

    /// What is to be done about a wished container.
    pub(crate) fn condition(&self, node: &NodeWish, facts: &NodeFacts, component: Component) -> Condition {
        let Some(wish) = node.containers.get(&component) else {
            return Condition::Good;
        };
        let Some(seen) = facts.containers.get(component.as_str()) else {
            return Condition::Absent;
        };
        let differences = wish.spec.differences_from(&seen.spec);
        let (stale, reloadable) = self.stale_files(node, wish, seen);
        let works = seen.state == ContainerState::Running && seen.health == Health::Healthy;
        if !differences.is_empty() || !stale.is_empty() {
            let differences: Vec<Difference> = differences.into_iter().chain(stale).collect();
            return Condition::Differs {
                origins: origins_of(wish, &differences),
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
                reasons: reloadable.into_iter().map(|difference| Reason::Differs { difference }).collect(),
                works,
            },
            (ContainerState::Running, Health::Healthy) => Condition::Good,
            (ContainerState::Running, Health::Starting) => Condition::Settling,
            (ContainerState::Running, Health::Unhealthy) => Condition::Sick(vec![Reason::Unhealthy]),
        }
    }

    /// The files that the container has loaded in another form than they will have: those for which it must
    /// be replaced, and those that it can read again.
    fn stale_files(
        &self,
        node: &NodeWish,
        wish: &ContainerWish,
        seen: &ContainerSeen,
    ) -> (Vec<Difference>, Vec<Difference>) {
        let (mut replace, mut reload) = (Vec::new(), Vec::new());
        for (path, on_change) in &wish.spec.reads {
            let Some(file) = node.files.get(path) else { continue };
            let stale = match self.expected(&file.content) {
                Expected::Renewed => true,
                Expected::Unknown => false,
                Expected::Digest(digest) => seen.loaded.get(path) != Some(&digest),
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
}

fn not_running(seen: &ContainerSeen) -> Option<Reason> {
    (seen.state != ContainerState::Running).then_some(Reason::NotRunning { state: seen.state })
}

fn origins_of(wish: &ContainerWish, differences: &[Difference]) -> Vec<SpecPath> {
    let mut origins: Vec<SpecPath> =
        differences.iter().filter_map(|difference| wish.origins.of(difference)).cloned().collect();
    origins.sort();
    origins.dedup();
    origins
}
