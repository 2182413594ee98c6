//! What `windlass plan` would do, by its output.

use serde_json::Value;

use super::{LabError, Windlass};

/// A plan as `plan --detailed-exitcode --output json` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The exit code: 0 where nothing is to be done, 2 where something is.
    pub code: Option<i32>,
    /// What would be changed and why, in order: `node-1/etcd/replace: --v=2 → --v=4`. Steps that only wait are left
    /// out.
    pub changes: Vec<String>,
    /// What the planner reported, held or refused.
    pub findings: Vec<Value>,
}

impl Windlass {
    /// Plans, and changes nothing.
    ///
    /// # Errors
    /// There is no plan, for example because cluster.yml is wrong.
    pub fn planned(&self) -> Result<Planned, LabError> {
        let ran = self.run(["plan", "--detailed-exitcode", "--output", "json"])?;
        let document: Value = serde_json::from_str(&ran.stdout).map_err(|error| LabError::NotUnderstood {
            what: "the plan".to_owned(),
            why: format!("{error}\n{}{}", ran.stdout, ran.stderr),
        })?;
        let changes =
            entries(&document["steps"]).filter(|step| step["sign"] != "waits").map(change).collect();
        Ok(Planned { code: ran.code, changes, findings: entries(&document["findings"]).cloned().collect() })
    }
}

fn change(step: &Value) -> String {
    let reasons: Vec<&str> = entries(&step["reasons"]).filter_map(|reason| reason["text"].as_str()).collect();
    format!("{}: {}", step["id"].as_str().unwrap_or_default(), reasons.join("; "))
}

fn entries(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
