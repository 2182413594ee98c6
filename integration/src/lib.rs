//! Runs the whole pipeline, from the text of cluster.yml on, against the simulated world and a lab of real
//! hosts.

pub mod draft;
pub mod drive;
pub mod generate;
pub mod hosts;
pub mod lab;
pub mod mishap;
pub mod properties;
pub mod restoring;
pub mod scenario;
pub mod settled;
pub mod speed;
