//! Resolves a cluster.yml and the catalog into the complete desired state.
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
mod clouds;
mod cluster;
mod containers;
mod contradictions;
mod encryption;
mod files;
mod flag_values;
mod flags;
mod formats;
mod hub;
mod images;
mod kernel;
mod links;
mod mounts;
mod named_files;
mod nodes;
mod places;
mod pod_runtimes;
mod prefixes;
mod proxies;
mod registries;
mod render;
mod resolve;
mod rke_images;
mod secrets;
mod services;
mod tags;
mod template;
mod texts;
mod values;

pub use windlass_addons::{Problem, Severity};

pub use self::catalog::{Catalog, CatalogError};
pub use self::encryption::with_first;
pub use self::images::NODE_IMAGE;
pub use self::links::{EtcdLog, Link, Running, as_running, links, snapshots_log_early};
pub use self::render::render;
pub use self::resolve::{Resolution, problems, resolve};
pub use self::secrets::{REGISTRY_AUTH, SNAPSHOTS_BUCKET};
