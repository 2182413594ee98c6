//! Where pods of add-ons may run, and how they are replaced: what the API server takes of it.
//!
//! Sources: `ValidatePodSpec` and `ValidateTolerations` in `pkg/apis/core/validation`, `ValidateDeploymentStrategy` in
//! `pkg/apis/apps/validation` of kubernetes/kubernetes.

use super::nodes::MAX_WHY;
use super::syntax;
use crate::conform::{brief, cut};
use crate::path::Path;
use crate::report::{Draft, Reports};
use crate::view::{View, text_of};
use crate::yaml::Span;

/// What became of a cluster whose API server refuses an object: RKE 1 went on without DNS, Ingress and metrics, and ended
/// without a network.
#[derive(Clone, Copy)]
pub(super) struct Refusal {
    pub(super) is_certain: bool,
}

impl Refusal {
    fn tell<'r>(
        self,
        path: &Path<'_>,
        span: Span,
        summary: String,
        reports: &'r mut Reports<'_>,
    ) -> &'r mut Draft {
        let draft = if self.is_certain {
            reports.error(path, span, summary)
        } else {
            reports.warning(path, span, summary)
        };
        draft.note("the API server refuses the object")
    }
}

/// `node_selector`, `tolerations` and `update_strategy` of a section.
pub(super) fn check(view: View<'_, '_>, refusal: Refusal, reports: &mut Reports<'_>) {
    selector(view, refusal, reports);
    let list = view.path.key("tolerations");
    for (index, entries, span) in view.items("tolerations") {
        let path = list.item(index);
        toleration(View::new(entries, span, &path), refusal, reports);
    }
    let path = view.path.key("update_strategy");
    let strategy = view.section("update_strategy", &path);
    if let Some(word) = strategy.text("strategy").filter(|word| *word == "Recreate")
        && !strategy.names("rollingUpdate").is_empty()
    {
        refusal
            .tell(
                &path.key("rollingUpdate"),
                strategy.span_of("rollingUpdate"),
                format!("`rollingUpdate` does not belong beside `{}`", brief(word)),
                reports,
            )
            .help("take one of the two out");
    }
}

fn selector(view: View<'_, '_>, refusal: Refusal, reports: &mut Reports<'_>) {
    let path = view.path.key("node_selector");
    for entry in view.names("node_selector") {
        let value = text_of(&entry.value).unwrap_or_default();
        let (what, why, span) = match (syntax::label_key(&entry.key), syntax::label_value(value)) {
            (Err(why), _) => (format!("`{}` is no key of a label", brief(&entry.key)), why, entry.key_span),
            (_, Err(why)) => (format!("`{}` is no value of a label", brief(value)), why, entry.span()),
            _ => continue,
        };
        refusal
            .tell(&path.key(&entry.key), span, what, reports)
            .label(cut(&why, MAX_WHY))
            .help("write the label as the nodes have it, such as `kubernetes.io/os: linux`");
    }
}

fn toleration(view: View<'_, '_>, refusal: Refusal, reports: &mut Reports<'_>) {
    let exists = view.text("operator") == Some("Exists");
    let (key, value) = (view.text("key"), view.text("value"));
    let mut tell = |name: &str, summary: String, help: &str| {
        refusal.tell(&view.path.key(name), view.span_of(name), summary, reports).help(help);
    };
    if let Some(key) = key
        && let Err(why) = syntax::label_key(key)
    {
        tell(
            "key",
            format!("`{}` is no key of a taint: {}", brief(key), cut(&why, MAX_WHY)),
            "write the key of the taint",
        );
    }
    if key.is_none() && !exists && view.entry("effect").or(view.entry("value")).is_some() {
        let help = "write `operator: Exists` beside it, or the key of the taint";
        tell("key", "a toleration without a `key` needs `operator: Exists`".to_owned(), help);
    }
    if exists && let Some(value) = value {
        let help = "take the value out, or write `operator: Equal`";
        tell("value", format!("`{}` has no place beside `operator: Exists`", brief(value)), help);
    } else if let Some(value) = value
        && let Err(why) = syntax::label_value(value)
    {
        let summary = format!("`{}` is no value of a taint: {}", brief(value), cut(&why, MAX_WHY));
        tell("value", summary, "write the value of the taint");
    }
    if view.integer("tolerationSeconds").is_some() && view.text("effect") != Some("NoExecute") {
        let help = "write `effect: NoExecute` beside it, or take it out";
        tell("tolerationSeconds", "`tolerationSeconds` needs `effect: NoExecute`".to_owned(), help);
    }
}
