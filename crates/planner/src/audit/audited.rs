//! The data that all rules of the audit get.

use windlass_model::{Blueprint, Inventory, Planning};

use super::graph::Order;

/// What is being audited.
pub(super) struct Audited<'a> {
    pub(super) desired: &'a Blueprint,
    pub(super) seen: &'a Inventory,
    pub(super) planning: &'a Planning,
}

/// What is being audited, with the order of its steps.
pub(super) struct Ordered<'a> {
    pub(super) audited: Audited<'a>,
    pub(super) order: Order,
}

impl<'a> std::ops::Deref for Ordered<'a> {
    type Target = Audited<'a>;

    fn deref(&self) -> &Audited<'a> {
        &self.audited
    }
}
