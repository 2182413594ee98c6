//! The engine against a small scripted fleet: what it does, verb by verb, frozen as text.

#![expect(clippy::unwrap_used, reason = "all of it is test; a helper of tests may panic as they do")]

mod containers;
mod converge;
mod drains;
mod fake;
mod gates;
mod guards;
mod interrupts;
mod keys;
mod leases;
mod looks;
mod members;
mod order;
mod plans;
mod recovery;
mod retries;
mod shelf;
