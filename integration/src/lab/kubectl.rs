//! `kubectl` against a lab's cluster.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{Lab, LabError, Run, await_that};

/// `kubectl` with a kubeconfig.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    context: Option<String>,
}

impl Kubectl {
    /// With this kubeconfig and its current context.
    pub fn new(lab: &Lab, kubeconfig: &Path) -> Self {
        Self { program: lab.kubectl_program().to_owned(), kubeconfig: kubeconfig.to_owned(), context: None }
    }

    /// With another context of it.
    #[must_use]
    pub fn in_context(mut self, context: &str) -> Self {
        self.context = Some(context.to_owned());
        self
    }

    /// A run that may be given input or more time.
    pub fn to<'a>(&'a self, arguments: impl IntoIterator<Item = &'a str>) -> Run {
        let mut own = vec!["--kubeconfig".to_owned(), self.kubeconfig.to_string_lossy().into_owned()];
        own.push("--request-timeout=10s".to_owned());
        if let Some(context) = &self.context {
            own.extend(["--context".to_owned(), context.clone()]);
        }
        own.extend(arguments.into_iter().map(str::to_owned));
        Run::new(&self.program.to_string_lossy(), own)
    }

    /// Its stdout.
    ///
    /// # Errors
    /// It fails.
    pub fn run<'a>(&'a self, arguments: impl IntoIterator<Item = &'a str>) -> Result<String, LabError> {
        self.to(arguments).output()
    }

    /// Its stdout as JSON; `-o json` is added.
    ///
    /// # Errors
    /// It fails.
    pub fn json<'a>(&'a self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Value, LabError> {
        let text = self.run(arguments.into_iter().chain(["-o", "json"]))?;
        serde_json::from_str(&text)
            .map_err(|error| LabError::NotUnderstood { what: "kubectl".to_owned(), why: error.to_string() })
    }

    /// Applies a manifest.
    ///
    /// # Errors
    /// It fails.
    pub fn apply(&self, manifest: &str) -> Result<String, LabError> {
        self.to(["apply", "-f", "-"]).with_input(manifest).output()
    }

    /// The names of the nodes whose condition Ready is true.
    ///
    /// # Errors
    /// It fails.
    pub fn ready_nodes(&self) -> Result<Vec<String>, LabError> {
        let nodes = self.json(["get", "nodes"])?;
        let is_ready = |node: &&Value| {
            node["status"]["conditions"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        };
        let name = |node: &Value| node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        Ok(nodes["items"].as_array().into_iter().flatten().filter(is_ready).map(name).collect())
    }

    /// Waits until so many nodes are Ready; how long that took.
    ///
    /// # Errors
    /// They are not in time.
    pub fn await_ready_nodes(&self, count: usize, limit: Duration) -> Result<Duration, LabError> {
        await_that(&format!("{count} nodes are Ready"), limit, || Ok(self.ready_nodes()?.len() == count))
    }
}
