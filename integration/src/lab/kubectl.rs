//! `kubectl` against a lab's cluster.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use windlass_model::Timestamp;

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

    /// A run with an adjustable stdin and time limit.
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

    /// Waits until each of these nodes has renewed its lease after this moment: then its kubelet runs and
    /// reaches the API, which an old condition does not show.
    ///
    /// # Errors
    /// They have not in time.
    pub fn await_leases(
        &self,
        nodes: &[&str],
        after: SystemTime,
        limit: Duration,
    ) -> Result<Duration, LabError> {
        let seconds = after.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
        // `2026-01-31T12:00:00`, the common beginning of both forms.
        let moment = Timestamp(seconds).to_string().trim_end_matches('Z').to_owned();
        await_that(&format!("{nodes:?} have renewed their leases after {moment}"), limit, || {
            let leases = self.json(["get", "leases", "--namespace", "kube-node-lease"])?;
            let is_fresh = |lease: &&Value| {
                let renewed = lease["spec"]["renewTime"].as_str().unwrap_or_default();
                renewed.get(..moment.len()).is_some_and(|renewed| *renewed > *moment)
            };
            let fresh: Vec<&str> = leases["items"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(is_fresh)
                .filter_map(|lease| lease["metadata"]["name"].as_str())
                .collect();
            Ok(nodes.iter().all(|node| fresh.contains(node)))
        })
    }

    /// Waits until this many nodes are Ready; returns how long that took.
    ///
    /// # Errors
    /// They are not in time.
    pub fn await_ready_nodes(&self, count: usize, limit: Duration) -> Result<Duration, LabError> {
        await_that(&format!("{count} nodes are Ready"), limit, || Ok(self.ready_nodes()?.len() == count))
    }
}
