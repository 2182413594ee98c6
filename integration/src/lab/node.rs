//! One host of a lab: commands on it, as its user over SSH and as root by the lab's own hand.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::{LabError, Ran, Run, await_that};

/// A host: a container with sshd and dockerd.
#[derive(Clone, Debug, Deserialize)]
pub struct Node {
    /// Its number in the lab, from 1.
    pub number: usize,
    /// Its host name: `node-1`.
    pub name: String,
    /// Its address, which it keeps.
    pub address: String,
    pub(super) container: String,
    #[serde(skip)]
    user: String,
    #[serde(skip)]
    ssh_key: PathBuf,
}

impl Node {
    pub(super) fn belongs_to(&mut self, user: &str, ssh_key: &Path) {
        user.clone_into(&mut self.user);
        ssh_key.clone_into(&mut self.ssh_key);
    }

    /// A command of its shell, run as the user over SSH, whatever comes of it.
    ///
    /// # Errors
    /// `ssh` is not there, or the host does not answer within the time of [`Run`].
    pub fn ssh(&self, command: &str) -> Result<Ran, LabError> {
        let destination = format!("{}@{}", self.user, self.address);
        let key = self.ssh_key.to_string_lossy();
        Run::new(
            "ssh",
            [
                "-F",
                "none",
                "-i",
                &key,
                "-o",
                "BatchMode=yes",
                "-o",
                "ConnectTimeout=5",
                "-o",
                "LogLevel=ERROR",
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
                &destination,
                command,
            ],
        )
        .ran()
    }

    /// A command of its shell, run as root without SSH; its stdout.
    ///
    /// # Errors
    /// The host does not run, or the command fails.
    pub fn root(&self, command: &str) -> Result<String, LabError> {
        self.as_root(command).output()
    }

    /// The same, to be given more time or something to read.
    pub fn as_root(&self, command: &str) -> Run {
        Run::new("docker", ["exec", "--interactive", &self.container, "sh", "-c", command])
    }

    /// `docker` of the node itself; its stdout.
    ///
    /// # Errors
    /// The node's Docker refuses or does not answer.
    pub fn docker<'a>(&'a self, arguments: impl IntoIterator<Item = &'a str>) -> Result<String, LabError> {
        let own = ["exec", self.container.as_str(), "docker"];
        Run::new("docker", own.into_iter().chain(arguments)).within(Duration::from_secs(300)).output()
    }

    /// What a file holds.
    ///
    /// # Errors
    /// There is no such file.
    pub fn read_file(&self, path: &str) -> Result<String, LabError> {
        self.root(&format!("cat {}", quoted(path)))
    }

    /// Writes a file in place, as a careless hand does; mode and owner stay where it exists.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_file(&self, path: &str, text: &str) -> Result<(), LabError> {
        self.as_root(&format!("cat > {}", quoted(path))).with_input(text).output().map(|_| ())
    }

    /// Removes a file or a directory with all that is in it.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove_path(&self, path: &str) -> Result<(), LabError> {
        self.root(&format!("rm -rf {}", quoted(path))).map(|_| ())
    }

    /// Whether something is at this path.
    ///
    /// # Errors
    /// The host does not run.
    pub fn has_path(&self, path: &str) -> Result<bool, LabError> {
        self.as_root(&format!("test -e {}", quoted(path))).ran().map(|ran| ran.is_success())
    }

    /// Waits until it answers SSH and its Docker answers; how long that took.
    ///
    /// # Errors
    /// It does not within a minute.
    pub fn await_answering(&self) -> Result<Duration, LabError> {
        await_that(&format!("{} answers SSH and Docker", self.name), Duration::from_secs(60), || {
            self.ssh("docker info").map(|ran| ran.is_success())
        })
    }
}

/// A word that the shell takes as it stands.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
