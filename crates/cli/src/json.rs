//! The documents for programs, described in `docs/reference/json-output.md`; none of them contains a secret.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use windlass_engine::{Conclusion, End};
use windlass_model::{
    Action, Because, Blueprint, Cause, ContainerSpec, Content, DesiredFile, FilePath, Finding, Guard, HIDDEN,
    Inventory, NodeName, NodeSeen, Outcome, Plan, Planning, Reason, Sign, Step, StepId, Weight,
};
use windlass_render::changes;
use windlass_spec::{Diagnostic, SourceMap};

use crate::exit::Exit;
use crate::source::position;

/// What is wrong with the input.
#[derive(Debug, Serialize)]
pub(crate) struct DiagnosticsDocument<'a> {
    schema: &'static str,
    exit: u8,
    file: String,
    diagnostics: &'a [Diagnostic],
}

impl<'a> DiagnosticsDocument<'a> {
    pub(crate) fn new(file: String, diagnostics: &'a [Diagnostic], exit: Exit) -> Self {
        Self { schema: "windlass/diagnostics/1", exit: exit.code(), file, diagnostics }
    }
}

/// A plan.
#[derive(Debug, Serialize)]
pub(crate) struct PlanDocument<'a> {
    schema: &'static str,
    exit: u8,
    cluster: &'a str,
    version: String,
    /// Whether it would change anything.
    changes: bool,
    nodes_out_of_sight: Vec<&'a NodeName>,
    counts: Counts,
    steps: Vec<StepDocument<'a>>,
    edges: Vec<EdgeDocument<'a>>,
    findings: Vec<FindingDocument<'a>>,
    diagnostics: &'a [Diagnostic],
}

#[derive(Debug, Serialize)]
struct Counts {
    steps: usize,
    waits: usize,
    nodes_seen: usize,
    refused: usize,
    held: usize,
    next: usize,
    notices: usize,
}

#[derive(Debug, Serialize)]
struct StepDocument<'a> {
    id: &'a StepId,
    node: Option<&'a NodeName>,
    sign: Sign,
    verb: &'static str,
    action: Value,
    reasons: Vec<ReasonDocument<'a>>,
    origins: Vec<OriginDocument>,
}

#[derive(Debug, Serialize)]
struct ReasonDocument<'a> {
    text: String,
    #[serde(flatten)]
    reason: &'a Reason,
    /// The text once more, where version 1 of the schema had it under this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
    /// Likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<String>,
}

impl<'a> From<&'a Reason> for ReasonDocument<'a> {
    fn from(reason: &'a Reason) -> Self {
        let text = reason.to_string();
        let (what, how) = match reason {
            Reason::LedgerBehind { .. } | Reason::ObjectDiffers { .. } => (Some(text.clone()), None),
            Reason::CertDiffers { .. } => (None, Some(text.clone())),
            _ => (None, None),
        };
        Self { text, reason, what, how }
    }
}

#[derive(Clone, Debug, Serialize)]
struct OriginDocument {
    path: String,
    line: Option<u32>,
    column: Option<u32>,
}

#[derive(Debug, Serialize)]
struct EdgeDocument<'a> {
    before: &'a StepId,
    after: &'a StepId,
    because: Because,
    text: String,
}

#[derive(Debug, Serialize)]
struct FindingDocument<'a> {
    kind: Weight,
    subject: String,
    node: Option<&'a NodeName>,
    /// Whether nothing at all is planned on that node because of it.
    holds_node: bool,
    /// The cause as a word, and its fields.
    #[serde(flatten)]
    cause: &'a Cause,
    what: String,
    help: String,
    origin: Option<OriginDocument>,
}

impl<'a> PlanDocument<'a> {
    pub(crate) fn new(
        blueprint: &'a Blueprint,
        inventory: &'a Inventory,
        planning: &'a Planning,
        places: &SourceMap<'_>,
        diagnostics: &'a [Diagnostic],
        exit: Exit,
    ) -> Self {
        let Planning { plan, findings } = planning;
        let Plan { steps, edges } = plan;
        let mut origins = Origins { places, known: BTreeMap::new() };
        Self {
            schema: "windlass/plan/1",
            exit: exit.code(),
            cluster: &blueprint.cluster,
            version: blueprint.version.to_string(),
            changes: changes(plan),
            nodes_out_of_sight: inventory
                .nodes
                .iter()
                .filter_map(|(name, node)| matches!(node, NodeSeen::OutOfSight(_)).then_some(name))
                .collect(),
            counts: counts(planning, inventory),
            steps: steps.iter().map(|step| step_document(step, &mut origins)).collect(),
            edges: edges
                .iter()
                .map(|edge| EdgeDocument {
                    before: &steps[edge.before].id,
                    after: &steps[edge.after].id,
                    because: edge.because,
                    text: edge.because.to_string(),
                })
                .collect(),
            findings: finding_documents(findings, &mut origins),
            diagnostics,
        }
    }
}

fn counts(planning: &Planning, inventory: &Inventory) -> Counts {
    let Planning { plan, findings } = planning;
    let of = |weight| findings.iter().filter(|finding| finding.weight == weight).count();
    let waits = plan.steps.iter().filter(|step| step.action.only_waits()).count();
    Counts {
        steps: plan.steps.len() - waits,
        waits,
        nodes_seen: inventory.nodes.values().filter(|node| node.facts().is_some()).count(),
        refused: of(Weight::Refused),
        held: of(Weight::Held),
        next: of(Weight::Next),
        notices: of(Weight::Notice),
    }
}

/// Finds each place once.
struct Origins<'a> {
    places: &'a SourceMap<'a>,
    known: BTreeMap<String, OriginDocument>,
}

impl Origins<'_> {
    fn of(&mut self, path: &windlass_model::SpecPath) -> OriginDocument {
        let places = self.places;
        let find = || {
            let (line, column) = position(path, places).unzip();
            OriginDocument { path: path.to_string(), line, column }
        };
        self.known.entry(path.as_str().to_owned()).or_insert_with(find).clone()
    }
}

fn step_document<'a>(step: &'a Step, origins: &mut Origins<'_>) -> StepDocument<'a> {
    let Step { id, action, reasons, origins: paths } = step;
    StepDocument {
        id,
        node: action.node(),
        sign: action.sign(),
        verb: action.verb(),
        action: self::action(action),
        reasons: reasons.iter().map(ReasonDocument::from).collect(),
        origins: paths.iter().map(|path| origins.of(path)).collect(),
    }
}

fn finding_documents<'a>(findings: &'a [Finding], origins: &mut Origins<'_>) -> Vec<FindingDocument<'a>> {
    findings
        .iter()
        .map(|finding| {
            let Finding { weight, about, cause, origin } = finding;
            FindingDocument {
                kind: *weight,
                subject: about.to_string(),
                node: about.node(),
                holds_node: finding.holds_all_of().is_some(),
                cause,
                what: finding.what(),
                help: finding.help(),
                origin: origin.as_ref().map(|path| origins.of(path)),
            }
        })
        .collect()
}

/// An action as a program needs it: the values of environment variables, which may be secret, are hidden, and
/// the texts of files are replaced by their digests.
fn action(action: &Action) -> Value {
    match action {
        Action::MintCerts { certs } => {
            let certs: BTreeMap<_, _> =
                certs.iter().map(|(name, desired)| (name.as_str(), desired)).collect();
            json!({"do": "mint_certs", "certs": certs})
        }
        Action::CommitLedger { change } => json!({"do": "commit_ledger", "change": change}),
        Action::ForgetLedger => json!({"do": "forget_ledger"}),
        Action::KeepRoots => json!({"do": "keep_roots"}),
        Action::DropRoots => json!({"do": "drop_roots"}),
        Action::RewriteSecrets { by } => json!({"do": "rewrite_secrets", "by": by}),
        Action::PullImage { node: _, image } => json!({"do": "pull_image", "image": image}),
        Action::WriteFiles { node: _, files } => json!({"do": "write_files", "files": self::files(files)}),
        Action::SetKernel { node: _, kernel } => json!({"do": "set_kernel", "kernel": kernel}),
        Action::RemovePaths { node: _, paths } => json!({"do": "remove_paths", "paths": paths}),
        Action::MoveAside { node: _, path, to, guards: guarded } => {
            json!({"do": "move_aside", "path": path, "to": to, "guards": guards(guarded)})
        }
        Action::SaveSnapshot { node: _, snapshot } => {
            json!({"do": "save_snapshot", "directory": snapshot.directory, "name": snapshot.name})
        }
        Action::StageSnapshot { node: _, snapshot } => {
            json!({"do": "stage_snapshot", "snapshot": snapshot})
        }
        Action::RestoreMember { node: _, restore } => json!({"do": "restore_member", "restore": restore}),
        Action::RunContainer { node: _, component, spec, birth, forgets } => json!({
            "do": "run_container", "component": component, "spec": container(spec), "birth": birth,
            "forgets": forgets,
        }),
        Action::ReplaceContainer { node: _, component, spec, birth, guards, forgets } => json!({
            "do": "replace_container", "component": component, "spec": container(spec), "birth": birth,
            "guards": self::guards(guards), "forgets": forgets,
        }),
        Action::StartContainer { node: _, component } => {
            json!({"do": "start_container", "component": component})
        }
        Action::RestartContainer { node: _, component, when, guards } => {
            json!({
                "do": "restart_container", "component": component, "when": when,
                "guards": self::guards(guards),
            })
        }
        Action::ReloadContainer { node: _, component } => {
            json!({"do": "reload_container", "component": component})
        }
        Action::RemoveContainer { node: _, container, guards } => {
            json!({"do": "remove_container", "container": container, "guards": self::guards(guards)})
        }
        Action::RemovePods { node: _, kubelet: _, keep: _ } => json!({"do": "remove_pods"}),
        Action::AwaitHealthy { gate, within_seconds } => {
            json!({"do": "await_healthy", "gate": gate, "within_seconds": within_seconds})
        }
        Action::EtcdMemberAdd { node: _, peer_url, via: _ } => {
            json!({"do": "etcd_member_add", "peer_url": peer_url})
        }
        Action::EtcdMemberPromote { node: _, peer_url, via: _, within_seconds } => {
            json!({"do": "etcd_member_promote", "peer_url": peer_url, "within_seconds": within_seconds})
        }
        Action::EtcdMemberRemove { id, peer_url, via: _, guards } => json!({
            "do": "etcd_member_remove", "id": id.to_string(), "peer_url": peer_url,
            "guards": self::guards(guards),
        }),
        Action::Cordon { node: _, guards } => json!({"do": "cordon", "guards": self::guards(guards)}),
        Action::Drain { node: _, options } => json!({"do": "drain", "options": options}),
        Action::Uncordon { node: _ } => json!({"do": "uncordon"}),
        Action::LabelNode { node: _, change } => json!({"do": "label_node", "change": change}),
        Action::DeleteNodeObject { node: _ } => json!({"do": "delete_node_object"}),
        Action::ApplyObjects { addon, objects } => {
            let objects: Vec<_> = objects.iter().map(|desired| &desired.object).collect();
            json!({"do": "apply_objects", "addon": addon, "objects": objects})
        }
        Action::DeleteObjects { objects } => json!({"do": "delete_objects", "objects": objects}),
    }
}

fn container(spec: &ContainerSpec) -> Value {
    let mut shown = spec.clone();
    for value in shown.env.values_mut() {
        *value = HIDDEN.into();
    }
    json!(shown)
}

fn files(files: &BTreeMap<FilePath, DesiredFile>) -> Vec<Value> {
    files
        .iter()
        .map(|(path, DesiredFile { content, mode, owner, origin: _ })| {
            let content = match content {
                Content::Text(_) => json!({"text": Blueprint::digest_of_text(content)}),
                Content::Cert { cert, part } => json!({"cert": cert, "part": part}),
                Content::Secret(name) => json!({"secret": name}),
                Content::Ledger => json!("ledger"),
            };
            json!({"path": path, "mode": mode.to_string(), "owner": owner, "content": content})
        })
        .collect()
}

fn guards(guards: &[Guard]) -> Vec<Value> {
    guards
        .iter()
        .map(|guard| match guard {
            Guard::EtcdMajorityWithout { node, via: _ } => json!({"etcd_majority_without": node}),
            Guard::ApiServersBeside { node, .. } => json!({"api_servers_beside": node}),
            Guard::EtcdMemberLost { node, via: _ } => json!({"etcd_member_lost": node}),
            Guard::EtcdMemberOut { node, via: _ } => json!({"etcd_member_out": node}),
            Guard::Window { node: _, among, new: _, limit } => {
                json!({"window": {"limit": limit, "among": among.len()}})
            }
        })
        .collect()
}

/// The result of a run.
#[derive(Debug, Serialize)]
pub(crate) struct RunDocument<'a> {
    schema: &'static str,
    exit: u8,
    command: &'static str,
    cluster: &'a str,
    end: &'static str,
    milliseconds: u128,
    /// How many looks were taken.
    looks: u32,
    /// The rounds in which something was done.
    rounds: Vec<Vec<OutcomeDocument<'a>>>,
    /// What is left to be done.
    left: Vec<&'a StepId>,
    findings: Vec<FindingDocument<'a>>,
    /// What the simulated world saw that must never happen; always empty except for faults of windlass
    /// itself.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    violations: &'a [String],
    diagnostics: &'a [Diagnostic],
}

#[derive(Debug, Serialize)]
struct OutcomeDocument<'a> {
    id: &'a StepId,
    node: Option<&'a NodeName>,
    verb: Option<&'static str>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a windlass_model::Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<&'a StepId>,
}

/// The input of a run's document.
#[derive(Debug)]
pub(crate) struct RunFacts<'a> {
    pub(crate) command: &'static str,
    pub(crate) blueprint: &'a Blueprint,
    pub(crate) conclusion: &'a Conclusion,
    pub(crate) plans: &'a [Plan],
    pub(crate) elapsed: Duration,
    pub(crate) violations: &'a [String],
    pub(crate) diagnostics: &'a [Diagnostic],
    pub(crate) exit: Exit,
}

impl<'a> RunDocument<'a> {
    pub(crate) fn new(facts: &RunFacts<'a>, places: &SourceMap<'_>) -> Self {
        let RunFacts { command, blueprint, conclusion, plans, elapsed, violations, diagnostics, exit } =
            facts;
        let mut origins = Origins { places, known: BTreeMap::new() };
        let rounds = conclusion
            .reports
            .iter()
            .enumerate()
            .map(|(round, report)| {
                let steps: BTreeMap<&StepId, &Step> = plans
                    .get(round)
                    .into_iter()
                    .flat_map(|plan| &plan.steps)
                    .map(|step| (&step.id, step))
                    .collect();
                report
                    .outcomes
                    .iter()
                    .map(|(id, outcome)| outcome_document(id, steps.get(id), outcome))
                    .collect()
            })
            .collect();
        Self {
            schema: "windlass/run/1",
            exit: exit.code(),
            command,
            cluster: &blueprint.cluster,
            end: match conclusion.end {
                End::Converged => "converged",
                End::Held => "held",
                End::Refused => "refused",
                End::Failed => "failed",
                End::Interrupted => "interrupted",
                End::StoodStill => "stood_still",
            },
            milliseconds: elapsed.as_millis(),
            looks: conclusion.rounds,
            rounds,
            left: conclusion.planning.plan.steps.iter().map(|step| &step.id).collect(),
            findings: finding_documents(&conclusion.planning.findings, &mut origins),
            violations,
            diagnostics,
        }
    }
}

fn outcome_document<'a>(
    id: &'a StepId,
    step: Option<&&'a Step>,
    outcome: &'a Outcome,
) -> OutcomeDocument<'a> {
    let (word, failure, because) = match outcome {
        Outcome::Done => ("done", None, None),
        Outcome::Failed(failure) => ("failed", Some(failure), None),
        Outcome::Skipped { because } => ("skipped", None, Some(because)),
        Outcome::Interrupted => ("interrupted", None, None),
    };
    OutcomeDocument {
        id,
        node: step.and_then(|step| step.action.node()),
        verb: step.map(|step| step.action.verb()),
        outcome: word,
        failure,
        because,
    }
}
