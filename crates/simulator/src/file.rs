//! A world in a file: all of it, or in short only the machines.

use serde::Deserialize;

use crate::world::World;

/// The text describes no world.
#[derive(Debug, thiserror::Error)]
#[error("the text describes no world")]
pub struct NotAWorld {
    #[source]
    source: serde_yaml::Error,
}

/// The short form: so many bare machines.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bare {
    bare: usize,
    #[serde(default)]
    seed: u64,
}

impl World {
    /// The world that a text describes: `bare: 3`, or `nodes:` with name and address of each, or all that
    /// [`World::to_yaml`] writes.
    ///
    /// # Errors
    /// The text is neither.
    pub fn from_yaml(text: &str) -> Result<Self, NotAWorld> {
        if let Ok(Bare { bare, seed }) = serde_yaml::from_str(text) {
            return Ok(Self::bare(bare).seeded(seed));
        }
        let mut world: Self = serde_yaml::from_str(text).map_err(|source| NotAWorld { source })?;
        for node in &mut world.nodes {
            if node.internal_address.is_empty() {
                node.internal_address.clone_from(&node.address);
            }
        }
        world.keys.revive();
        world.revive();
        Ok(world)
    }

    /// All of the world that lasts, private keys in clear among it; without story, rules and violations.
    ///
    /// # Errors
    /// Never, as far as is known: the types all have a form in YAML.
    pub fn to_yaml(&self) -> Result<String, NotAWorld> {
        serde_yaml::to_string(self).map_err(|source| NotAWorld { source })
    }
}
