//! Resolves a cluster.yml and the catalog into the complete wish.
//!
//! ```text
//! ClusterSpec ─┐              images ─▶ values ─▶ containers ─┐
//!              ├─▶ Cluster ─▶ files, texts, secrets ──────────┼─▶ Blueprint
//! Catalog ─────┘              certificates ───────────────────┘
//! ```

mod catalog;
mod certificates;
mod checks;
mod cloud;
mod cluster;
mod containers;
mod contradictions;
mod files;
mod flag_values;
mod flags;
mod images;
mod kernel;
mod mounts;
mod nodes;
mod prefixes;
mod problem;
mod proxies;
mod registries;
mod render;
mod resolve;
mod rke_images;
mod secrets;
mod services;
mod template;
mod texts;
mod values;

pub use self::catalog::{Catalog, CatalogError};
pub use self::images::NODE_IMAGE;
pub use self::problem::{Problem, Severity};
pub use self::render::render;
pub use self::resolve::{Resolution, problems, resolve};
pub use self::secrets::REGISTRY_AUTH;
