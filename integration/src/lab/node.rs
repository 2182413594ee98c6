//! One host of a lab: commands on it, as its user over SSH and as root through the lab's Docker.

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
    /// Its address, which does not change.
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

    /// A command of its shell, run as the user over SSH, whether it succeeds or not.
    ///
    /// # Errors
    /// `ssh` does not exist, or the host does not answer within the time of [`Run`].
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

    /// The same with an adjustable time limit and stdin.
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

    /// The content of a file.
    ///
    /// # Errors
    /// There is no such file.
    pub fn read_file(&self, path: &str) -> Result<String, LabError> {
        self.root(&format!("cat {}", quoted(path)))
    }

    /// Writes a file in place, without a rename; mode and owner of an existing file stay.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_file(&self, path: &str, text: &str) -> Result<(), LabError> {
        self.as_root(&format!("cat > {}", quoted(path))).with_input(text).output().map(|_| ())
    }

    /// Removes a file or a directory with all its contents.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove_path(&self, path: &str) -> Result<(), LabError> {
        self.root(&format!("rm -rf {}", quoted(path))).map(|_| ())
    }

    /// Whether something exists at this path.
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

/// A word that the shell does not change.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
