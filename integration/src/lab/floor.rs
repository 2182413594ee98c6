//! The floor that `windlass up` is measured against: `integration/lab/floor` on a lab with images loaded.

use std::path::PathBuf;
use std::time::Duration;

use super::{Kubectl, Lab, LabError, Run};

/// When the floor script reached which point, from its start.
#[derive(Clone, Copy, Debug)]
pub struct Floor {
    /// Keys and certificates were made.
    pub keys: Duration,
    /// All containers were started.
    pub started: Duration,
    /// The first API server was ready.
    pub api: Duration,
    /// All nodes were Ready.
    pub ready: Duration,
}

impl Lab {
    /// Creates a cluster of all nodes, each with all roles, as fast as a fixed script can.
    ///
    /// # Errors
    /// The images are not loaded, or the nodes are not Ready in time.
    pub fn run_floor(&self) -> Result<Floor, LabError> {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/lab/floor");
        let text = Run::new(program, [self.name()]).within(Duration::from_secs(330)).output()?;
        let at = |what: &str| {
            text.lines()
                .filter_map(|line| line.split_once(' '))
                .find_map(|(reached, seconds)| (reached == what).then(|| seconds.parse().ok()).flatten())
                .map(Duration::from_secs_f64)
                .ok_or_else(|| LabError::NotUnderstood { what: "the floor".to_owned(), why: text.clone() })
        };
        Ok(Floor { keys: at("keys")?, started: at("started")?, api: at("api")?, ready: at("ready")? })
    }

    /// The kubeconfig of the cluster that [`Lab::run_floor`] created.
    pub fn floor_kubeconfig(&self) -> PathBuf {
        self.described.directory.join("floor.kubeconfig")
    }

    /// `kubectl` with it.
    pub fn floor_kubectl(&self) -> Kubectl {
        Kubectl::new(self, &self.floor_kubeconfig())
    }
}
