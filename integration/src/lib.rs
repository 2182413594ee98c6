//! Drives the whole pipeline, from the text of cluster.yml on, against the simulated world.

pub mod draft;
pub mod drive;
pub mod generate;
pub mod mishap;
pub mod properties;
pub mod scenario;
pub mod settled;
pub mod speed;
