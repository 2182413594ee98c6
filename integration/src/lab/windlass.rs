//! The `windlass` program, run in a directory and a home directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use tempfile::TempDir;

use super::{Kubectl, Lab, LabError, Ran, Run};

/// The program and the directory with its cluster.yml, ledger and kubeconfig. Dropping it removes the directory.
#[derive(Debug)]
pub struct Windlass {
    program: PathBuf,
    directory: TempDir,
}

impl Windlass {
    /// With an empty directory. The program is `$WINDLASS`, or the `windlass` that was built beside this test
    /// (`cargo build --package windlass`).
    ///
    /// # Errors
    /// There is no program, or no directory can be created.
    pub fn new(lab: &Lab) -> Result<Self, LabError> {
        let program = program()?;
        let directory = tempfile::Builder::new()
            .prefix(&format!("{}-", lab.name()))
            .tempdir()
            .map_err(|source| LabError::File { path: std::env::temp_dir(), source })?;
        let own = Self { program, directory };
        std::fs::create_dir(own.temporary())
            .map_err(|source| LabError::File { path: own.temporary(), source })?;
        Ok(own)
    }

    /// The directory of its temporary files.
    pub fn temporary(&self) -> PathBuf {
        self.directory().join("tmp")
    }

    /// The directory in which it runs, which is its home directory too: no other `known_hosts` is used.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The cluster.yml.
    pub fn cluster_yml(&self) -> PathBuf {
        self.directory().join("cluster.yml")
    }

    /// The kubeconfig that `up` writes.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory().join("kube_config_cluster.yml")
    }

    /// `kubectl` with that kubeconfig.
    pub fn kubectl(&self, lab: &Lab) -> Kubectl {
        Kubectl::new(lab, &self.kubeconfig())
    }

    /// Runs it to its end, whether it succeeds or not; its time limit is ten minutes.
    ///
    /// # Errors
    /// It cannot be started or does not end.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Ran, LabError> {
        self.to(arguments).ran()
    }

    /// Runs it to its end, which must be a success; its stdout.
    ///
    /// # Errors
    /// As [`Windlass::run`], or it exited with another code than 0: then the error contains its whole output.
    pub fn succeeds<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<String, LabError> {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        let ran = self.run(arguments.iter().copied())?;
        if ran.is_success() {
            return Ok(ran.stdout);
        }
        Err(LabError::Failed {
            command: format!("windlass {}", arguments.join(" ")),
            code: ran.code,
            stderr: format!("{}{}", ran.stdout, ran.stderr),
        })
    }

    /// A run with an adjustable time limit, stdin and environment.
    pub fn to<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Run {
        Run::new(&self.program.to_string_lossy(), arguments)
            .within(Duration::from_secs(600))
            .with(|command| self.place(command))
    }

    /// Starts it without waiting for it, to be killed.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Child, LabError> {
        self.to(arguments).spawn()
    }

    fn place(&self, command: &mut Command) {
        // ssh finds its home directory in the user database, not in the environment: hosts of another lab,
        // with other keys, have the same addresses.
        command
            .current_dir(self.directory())
            .env("HOME", self.directory())
            // So its left-overs can be distinguished from those of others.
            .env("TMPDIR", self.temporary())
            .env("WINDLASS_SSH_KNOWN_HOSTS", self.directory().join("known_hosts"))
            .env_remove("SSH_AUTH_SOCK");
    }
}

fn program() -> Result<PathBuf, LabError> {
    if let Some(program) = std::env::var_os("WINDLASS") {
        return Ok(program.into());
    }
    let not_found = |path: PathBuf| LabError::File {
        path,
        source: std::io::Error::new(
            std::io::ErrorKind::NotFound,
            "build it first: cargo build --package windlass",
        ),
    };
    let test = std::env::current_exe().map_err(|_| not_found("windlass".into()))?;
    // target/…/debug/deps/lab-…, or target/…/debug/examples/…
    let beside = test.ancestors().skip(1).take(2).map(|directory| directory.join("windlass"));
    beside.clone().find(|path| path.is_file()).ok_or_else(|| not_found(beside.last().unwrap_or_default()))
}
