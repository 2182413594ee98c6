//! What Kubernetes demands of audit policies and encryption configurations beyond the form of their values.
//!
//! The API server reads both as it starts, and does not start with one that breaks these rules.
//! Sources: Kubernetes' `k8s.io/apiserver`, `pkg/apis/audit/validation` and `pkg/apis/apiserver/validation`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::syntax;
use crate::conform::{brief, cut};
use crate::report::{Draft, Reports};
use crate::view::{View, text_of};
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
    if is_empty_list(policy, "rules") {
        weight
            .tell(
                policy.path.key("rules"),
                policy.span_of("rules"),
                "a policy without rules".to_owned(),
                reports,
            )
            .help("the API server does not start with it: write `rules: [{level: Metadata}]` to log all");
    }
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

/// Whether a list is there with nothing in it.
fn is_empty_list(view: View<'_, '_>, name: &str) -> bool {
    matches!(view.entry(name).map(|entry| &entry.value.value), Some(Value::List(items)) if items.is_empty())
}

/// Says of lists that are there with nothing in them, and of texts that are.
fn not_empty(view: View<'_, '_>, name: &str, what: &str, weight: Weight, reports: &mut Reports<'_>) {
    let is_empty_text = view.entry(name).and_then(|entry| text_of(&entry.value)).is_some_and(str::is_empty);
    if is_empty_list(view, name) || is_empty_text {
        weight
            .tell(view.path.key(name), view.span_of(name), format!("`{name}` is empty"), reports)
            .help(format!("the API server does not start with it: give {what}"));
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
    not_empty(config, "resources", "at least one entry with `resources` and `providers`", weight, reports);
    let list = config.path.key("resources");
    let mut services = Vec::new();
    for (index, entries, span) in config.items("resources") {
        let path = list.item(index);
        let resources = View::new(entries, span, &path);
        not_empty(resources, "resources", "at least one resource, such as `secrets`", weight, reports);
        not_empty(resources, "providers", "at least one provider", weight, reports);
        names_of_resources(resources, reports);
        let list = resources.path.key("providers");
        for (index, entries, span) in resources.items("providers") {
            let path = list.item(index);
            let view = View::new(entries, span, &path);
            provider(view, weight, reports);
            kms(view, &mut services, weight, reports);
        }
    }
}

/// Resources of Kubernetes' core by the names that are none: of one object.
const ONE_OBJECT: [&str; 8] =
    ["secret", "configmap", "event", "pod", "service", "serviceaccount", "endpoint", "namespace"];

/// Names that address nothing, and those that address the same.
///
/// API servers before 1.27 take all of them, and encrypt nothing by the wrong ones.
fn names_of_resources(view: View<'_, '_>, reports: &mut Reports<'_>) {
    let names = view.texts("resources");
    let path = view.path.key("resources");
    for (index, name, span) in &names {
        let small = name.to_lowercase();
        let single = ONE_OBJECT.contains(&small.as_str()).then(|| format!("{small}s"));
        let right = single.or_else(|| (small != *name).then_some(small));
        if let Some(right) = right {
            reports
                .warning(path.item(*index), *span, format!("`{}` is the name of no resource", brief(name)))
                .note("nothing is encrypted by it")
                .help(format!("write `{right}`"));
        }
    }
    let covers = |one: &str, other: &str| {
        one == other
            || one == "*.*"
            || one.strip_prefix('*').is_some_and(|group| match group {
                "." => !other.contains('.'),
                group => group.starts_with('.') && other.ends_with(group),
            })
    };
    let twice = names.iter().enumerate().find_map(|(at, (index, name, span))| {
        let rest = names.iter().take(at);
        let other = rest.map(|(_, other, _)| *other).find(|other| covers(other, name) || covers(name, other));
        Some((*index, *name, *span, other?))
    });
    if let Some((index, name, span, other)) = twice {
        reports
            .warning(path.item(index), span, format!("`{}` is in `{}` already", brief(name), brief(other)))
            .note("API servers from 1.27 on do not start with both in one entry")
            .help("leave one of the two out, or write it in an entry of its own before this one");
    }
}

/// A key management service.
///
/// Source: `validateKMSConfiguration` in `pkg/apis/apiserver/validation` of kubernetes/apiserver.
fn kms(view: View<'_, '_>, services: &mut Vec<String>, weight: Weight, reports: &mut Reports<'_>) {
    let path = view.path.key("kms");
    if view.entry("kms").is_none() {
        return;
    }
    let kms = view.section("kms", &path);
    let mut tell = |name: &str, summary: String, help: &str| {
        weight.tell(path.key(name), kms.span_of(name), summary, reports).help(help);
    };
    let version = kms.text("apiVersion").unwrap_or("v1");
    if !matches!(version, "v1" | "v2") {
        tell("apiVersion", format!("`{}` is no version of a KMS", brief(version)), "write `v2`");
    }
    let is_second = version == "v2";
    if let Some(endpoint) = kms.text("endpoint").filter(|endpoint| !endpoint.starts_with("unix://")) {
        let summary = format!("`{}` is no socket", brief(endpoint));
        tell(
            "endpoint",
            summary,
            "write it like `unix:///run/kms/socket.sock`: the API server takes no others",
        );
    }
    if is_second && kms.entry("cachesize").is_some() {
        tell("cachesize", "`cachesize` is of version `v1` alone".to_owned(), "take it out");
    } else if kms.integer("cachesize") == Some(0) {
        let help = "write a number above 0, or one below for no cache";
        tell("cachesize", "`cachesize` is 0".to_owned(), help);
    }
    if let Some(timeout) = kms.text("timeout") {
        let is_long = syntax::go_duration(timeout).is_ok()
            && !timeout.starts_with('-')
            && timeout.contains(|letter: char| ('1'..='9').contains(&letter));
        if !is_long {
            let summary = format!("`{}` is no time above 0", brief(timeout));
            tell("timeout", summary, "write a number and a unit, such as `3s`");
        }
    }
    if let Some(name) = kms.text("name").filter(|_| is_second) {
        if name.contains(':') {
            tell("name", format!("`{}` has a `:` in it", brief(name)), "give it a name without");
        } else if services.iter().any(|other| other == name) {
            let summary = format!("`{}` is the name of another service", brief(name));
            tell("name", summary, "give each a name of its own");
        }
        services.push(name.to_owned());
    }
}

/// Checks `event_rate_limit`.
///
/// Source: `ValidateConfiguration` in `plugin/pkg/admission/eventratelimit/apis/eventratelimit/validation`.
pub(super) fn event_rate_limit(view: View<'_, '_>, reports: &mut Reports<'_>) {
    let weight = Weight::of(view);
    let path = view.path.key("configuration");
    let configuration = view.section("configuration", &path);
    not_empty(configuration, "limits", "at least one limit", weight, reports);
    let list = configuration.path.key("limits");
    for (index, entries, span) in configuration.items("limits") {
        let path = list.item(index);
        let limit = View::new(entries, span, &path);
        for name in ["qps", "burst"] {
            if limit.integer(name).is_some_and(|number| number <= 0) {
                weight
                    .tell(path.key(name), limit.span_of(name), format!("`{name}` is not above 0"), reports)
                    .help("the API server does not start with it: write a number above 0");
            }
        }
        let is_counted = limit.text("type").is_some_and(|kind| kind != "Server");
        if is_counted && limit.integer("cacheSize").is_some_and(|number| number < 0) {
            weight
                .tell(
                    path.key("cacheSize"),
                    limit.span_of("cacheSize"),
                    "`cacheSize` is below 0".to_owned(),
                    reports,
                )
                .help("the API server does not start with it: write 0 or a greater number");
        }
    }
}

/// Checks `admission_configuration`: what the plugin `PodSecurity` reads of it.
///
/// Source: `ValidatePodSecurityConfiguration` in `k8s.io/pod-security-admission/admission/api/validation`.
pub(super) fn admission(view: View<'_, '_>, reports: &mut Reports<'_>) {
    const LEVELS: [&str; 3] = ["privileged", "baseline", "restricted"];
    let plugins = view.path.key("plugins");
    for (index, entries, span) in view.items("plugins") {
        let path = plugins.item(index);
        let plugin = View::new(entries, span, &path);
        if plugin.text("name") != Some("PodSecurity") {
            continue;
        }
        let path = path.key("configuration");
        let configuration = plugin.section("configuration", &path);
        let path = path.key("defaults");
        let defaults = configuration.section("defaults", &path);
        for name in ["enforce", "audit", "warn"] {
            if let Some(level) = defaults.text(name).filter(|level| !LEVELS.contains(level)) {
                let draft = reports.error(
                    path.key(name),
                    defaults.span_of(name),
                    format!("`{}` is no level of pod security", brief(level)),
                );
                match crate::nearest::nearest(level, LEVELS) {
                    Some(near) => draft.help(format!("did you mean `{near}`?")),
                    None => draft.help(format!("the levels are {}", LEVELS.join(", "))),
                };
            }
            let name = format!("{name}-version");
            let is_version = |text: &str| {
                let minor = text.strip_prefix("v1.");
                text == "latest" || minor.is_some_and(|minor| minor.parse::<u32>().is_ok())
            };
            if let Some(version) = defaults.text(&name).filter(|version| !is_version(version)) {
                reports
                    .error(
                        path.key(&name),
                        defaults.span_of(&name),
                        format!("`{}` is no version of pod security", brief(version)),
                    )
                    .help("write `latest`, or a minor version such as `v1.30`");
            }
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
        not_empty(section, "keys", "at least one key", weight, reports);
        for (index, entries, span) in section.items("keys") {
            let path = list.item(index);
            let key = View::new(entries, span, &path);
            not_empty(key, "name", "a name, such as `key1`", weight, reports);
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
