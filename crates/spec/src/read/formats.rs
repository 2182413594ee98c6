//! What Kubernetes demands of audit policies and encryption configurations beyond the form of their values.
//!
//! The API server reads both as it starts, and does not start with one that breaks these rules.
//! Sources: Kubernetes' `k8s.io/apiserver`, `pkg/apis/audit/validation` and `pkg/apis/apiserver/validation`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::syntax;
use crate::conform::{brief, cut};
use crate::report::{Draft, Reports};
use crate::view::View;
use crate::yaml::{Span, Value};

const STAGES: [&str; 4] = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"];

/// How bad it is: what is not switched on breaks nothing.
#[derive(Clone, Copy)]
struct Weight {
    is_read: bool,
}

impl Weight {
    fn of(view: View<'_, '_>) -> Self {
        Self { is_read: view.flag("enabled") == Some(true) }
    }

    fn tell<'r>(
        self,
        path: impl Into<String>,
        span: Span,
        summary: String,
        reports: &'r mut Reports<'_>,
    ) -> &'r mut Draft {
        if self.is_read { reports.error(path, span, summary) } else { reports.warning(path, span, summary) }
    }
}

/// Checks `audit_log`.
pub(super) fn audit_log(view: View<'_, '_>, reports: &mut Reports<'_>) {
    let weight = Weight::of(view);
    let path = view.path.key("configuration");
    let configuration = view.section("configuration", &path);
    let path = configuration.path.key("policy");
    let policy = configuration.section("policy", &path);
    kind(
        policy,
        &["Policy"],
        &["audit.k8s.io/v1", "audit.k8s.io/v1beta1", "audit.k8s.io/v1alpha1"],
        weight,
        reports,
    );
    stages(policy, weight, reports);
    let rules = policy.path.key("rules");
    for (index, entries, span) in policy.items("rules") {
        let path = rules.item(index);
        let rule = View::new(entries, span, &path);
        stages(rule, weight, reports);
        let urls = rule.texts("nonResourceURLs");
        for name in ["resources", "namespaces"].into_iter().filter(|_| !urls.is_empty()) {
            if !rule.items(name).is_empty() || !rule.texts(name).is_empty() {
                let summary = format!("a rule cannot have `{name}` beside `nonResourceURLs`");
                weight
                    .tell(rule.path.key(name), rule.span_of(name), summary, reports)
                    .help("make two rules of it");
            }
        }
        for (index, url, span) in urls {
            let is_path = url == "*" || (url.starts_with('/') && !url[..url.len() - 1].contains('*'));
            if !is_path {
                let summary = format!("`{}` is no path of the API server", brief(url));
                weight
                    .tell(rule.path.key("nonResourceURLs").item(index), span, summary, reports)
                    .help("begin it with `/`; a `*` may stand at its end alone");
            }
        }
        groups(rule, weight, reports);
    }
}

fn groups(rule: View<'_, '_>, weight: Weight, reports: &mut Reports<'_>) {
    let list = rule.path.key("resources");
    for (index, entries, span) in rule.items("resources") {
        let path = list.item(index);
        let group = View::new(entries, span, &path);
        if let Some(name) = group.text("group")
            && let Err(why) = syntax::subdomain(name)
        {
            let help = if name.contains('/') {
                "give the group without its version, such as `apps`"
            } else {
                "give the name of an API group, such as `apps`; the core has the empty one"
            };
            weight
                .tell(
                    path.key("group"),
                    group.span_of("group"),
                    format!("`{}` is no API group", brief(name)),
                    reports,
                )
                .label(cut(&why, 160))
                .help(help);
        }
        if !group.texts("resourceNames").is_empty() && group.texts("resources").is_empty() {
            let summary = "`resourceNames` needs `resources` beside it".to_owned();
            weight
                .tell(path.key("resourceNames"), group.span_of("resourceNames"), summary, reports)
                .help("say which resources have these names");
        }
    }
}

fn stages(view: View<'_, '_>, weight: Weight, reports: &mut Reports<'_>) {
    for (index, stage, span) in view.texts("omitStages") {
        if !STAGES.contains(&stage) {
            let draft = weight.tell(
                view.path.key("omitStages").item(index),
                span,
                format!("`{}` is no stage of a request", brief(stage)),
                reports,
            );
            match crate::nearest::nearest(stage, STAGES) {
                Some(near) => draft.help(format!("did you mean `{near}`?")),
                None => draft.help(format!("the stages are {}", STAGES.join(", "))),
            };
        }
    }
}

/// Checks what a document says that it is, where it says so.
fn kind(view: View<'_, '_>, kinds: &[&str], versions: &[&str], weight: Weight, reports: &mut Reports<'_>) {
    for (name, known) in [("kind", kinds), ("apiVersion", versions)] {
        if let Some(text) = view.text(name).filter(|text| !known.contains(text)) {
            let summary = format!("`{}` is no `{name}` that belongs here", brief(text));
            weight
                .tell(view.path.key(name), view.span_of(name), summary, reports)
                .help(format!("write `{}`", known[0]));
        }
    }
}

/// How many bytes a key may have, by the provider.
const KEY_LENGTHS: [(&str, &[usize]); 3] =
    [("aescbc", &[16, 24, 32]), ("aesgcm", &[16, 24, 32]), ("secretbox", &[32])];

const PROVIDERS: [&str; 5] = ["aescbc", "aesgcm", "secretbox", "identity", "kms"];

/// Checks `secrets_encryption_config`.
pub(super) fn encryption(view: View<'_, '_>, reports: &mut Reports<'_>) {
    let weight = Weight::of(view);
    let path = view.path.key("custom_config");
    let config = view.section("custom_config", &path);
    kind(
        config,
        &["EncryptionConfiguration", "EncryptionConfig"],
        &["apiserver.config.k8s.io/v1", "v1"],
        weight,
        reports,
    );
    let list = config.path.key("resources");
    for (index, entries, span) in config.items("resources") {
        let path = list.item(index);
        let resources = View::new(entries, span, &path);
        let list = resources.path.key("providers");
        for (index, entries, span) in resources.items("providers") {
            let path = list.item(index);
            provider(View::new(entries, span, &path), weight, reports);
        }
    }
}

fn provider(view: View<'_, '_>, weight: Weight, reports: &mut Reports<'_>) {
    // `identity:` alone, with nothing behind it, is no provider to the API server: it must be `identity: {}`.
    let is_there =
        |name: &&str| view.entry(name).is_some() || (*name == "identity" && view.key(name).is_some());
    let there: Vec<&str> = PROVIDERS.into_iter().filter(is_there).collect();
    if there.len() != 1 {
        let summary = match there[..] {
            [] => "this is no provider of encryption".to_owned(),
            _ => format!("`{}` are one provider too many", there.join("` and `")),
        };
        weight.tell(view.path, view.head(), summary, reports).help(
            "each entry has one of aescbc, aesgcm, secretbox, kms and identity; begin the next with `- `",
        );
    } else if view.key("identity").is_some_and(|entry| matches!(entry.value.value, Value::Null)) {
        weight
            .tell(
                view.path.key("identity"),
                view.head(),
                "`identity` has nothing behind it".to_owned(),
                reports,
            )
            .help("write `identity: {}`");
    }
    for (name, lengths) in KEY_LENGTHS {
        let path = view.path.key(name);
        let section = view.section(name, &path);
        let list = section.path.key("keys");
        for (index, entries, span) in section.items("keys") {
            let path = list.item(index);
            let key = View::new(entries, span, &path);
            let Some(secret) = key.text("secret") else { continue };
            let length = STANDARD.decode(secret.replace(['\n', '\r'], "")).ok().map(|bytes| bytes.len());
            if length.is_none_or(|length| !lengths.contains(&length)) {
                let wanted: Vec<String> = lengths.iter().map(ToString::to_string).collect();
                let wanted = wanted.join(" or ");
                let summary = match length {
                    None => "`secret` is no base64".to_owned(),
                    Some(length) => format!("a key of {name} has {wanted} bytes, and this one has {length}"),
                };
                weight
                    .tell(path.key("secret"), key.span_of("secret"), summary, reports)
                    .help("write base64 of so many random bytes: `head -c 32 /dev/urandom | base64`");
            }
        }
    }
}
