//! A world in a file: all of it, or in the short form only the machines.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::world::{Format, World};

/// The text describes no world.
#[derive(Debug, thiserror::Error)]
pub enum NotAWorld {
    /// It is not YAML, or has other keys than a world.
    #[error("the text describes no world")]
    Unreadable(#[source] serde_yaml::Error),
    /// A newer program wrote it.
    #[error("the world has format {0}; this version reads format {newest} and older", newest = Format::NEWEST.0)]
    UnknownFormat(u64),
    /// A machine without name or address.
    #[error("nodes[{0}] needs a name and an address")]
    Nameless(usize),
    /// Two machines that could not be distinguished.
    #[error("two nodes have the name or address `{0}`")]
    Twice(String),
}

/// The short form: this many bare machines.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bare {
    bare: usize,
    #[serde(default)]
    seed: u64,
}

/// What is read of a file before its format is known. Files from before formats had numbers name none.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default = "first")]
    format: u64,
}

fn first() -> u64 {
    1
}

impl World {
    /// The world that a text describes: `bare: 3`, or `nodes:` with name and address of each, or everything
    /// that [`World::to_yaml`] writes.
    ///
    /// # Errors
    /// The text is none of these, or of a newer format.
    pub fn from_yaml(text: &str) -> Result<Self, NotAWorld> {
        if let Ok(Bare { bare, seed }) = serde_yaml::from_str(text) {
            return Ok(Self::bare(bare).seeded(seed));
        }
        let Envelope { format } = serde_yaml::from_str(text).map_err(NotAWorld::Unreadable)?;
        if !(1..=Format::NEWEST.0).contains(&format) {
            return Err(NotAWorld::UnknownFormat(format));
        }
        let mut world: Self = serde_yaml::from_str(text).map_err(NotAWorld::Unreadable)?;
        world.format = Format::NEWEST;
        let mut known = BTreeSet::new();
        for (index, node) in world.nodes.iter_mut().enumerate() {
            if node.name.as_str().is_empty() || node.address.is_empty() {
                return Err(NotAWorld::Nameless(index));
            }
            if node.internal_address.is_empty() {
                node.internal_address.clone_from(&node.address);
            }
            let names = BTreeSet::from([node.name.as_str(), &node.address, &node.internal_address]);
            for name in names {
                if !known.insert(name.to_owned()) {
                    return Err(NotAWorld::Twice(name.to_owned()));
                }
            }
        }
        world.keys.revive();
        world.revive();
        Ok(world)
    }

    /// Everything persistent of the world, including private keys in clear text; without story, rules and
    /// violations.
    ///
    /// # Errors
    /// Never, as far as is known: all types have a YAML form.
    pub fn to_yaml(&self) -> Result<String, NotAWorld> {
        serde_yaml::to_string(self).map_err(NotAWorld::Unreadable)
    }
}
