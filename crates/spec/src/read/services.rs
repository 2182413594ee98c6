//! Reads `services`: the common keys of each, and those of one alone.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_model::{Secret, counted};

use super::formats;
use super::nodes::{MAX_WHY, right_form};
use super::syntax;
use super::urls::{UrlFlaw, external_url_flaw};
use super::whole::whole;
use crate::conform::{brief, cut};
use crate::path::Path;
use crate::report::Reports;
use crate::schema::{AUDIT_LOG_CONFIGURATION, EVENT_RATE_LIMIT, KUBE_API, SECRETS_ENCRYPTION};
use crate::spec::{
    AuditLogSpec, BackupSpec, Cidr, EtcdSpec, EventRateLimitSpec, KubeApiSpec, KubeControllerSpec,
    KubeletSpec, PodSecurity, PortRange, S3Spec, SecretsEncryptionSpec, ServiceSpec, ServicesSpec,
};
use crate::template::{NO_VARIABLES, is_template};
use crate::view::{View, text_of};
use crate::yaml::{Span, Value};

pub(super) fn services(view: View<'_, '_>, reports: &mut Reports<'_>) -> ServicesSpec {
    let path = |name| view.path.key(name);
    ServicesSpec {
        etcd: etcd(view.section("etcd", &path("etcd")), reports),
        kube_api: kube_api(view.section("kube-api", &path("kube-api")), reports),
        kube_controller: kube_controller(view.section("kube-controller", &path("kube-controller")), reports),
        scheduler: service(view.section("scheduler", &path("scheduler")), reports),
        kubelet: kubelet(view.section("kubelet", &path("kubelet")), reports),
        kubeproxy: service(view.section("kubeproxy", &path("kubeproxy")), reports),
    }
}

fn service(view: View<'_, '_>, reports: &mut Reports<'_>) -> ServiceSpec {
    for (index, bind, span) in view.texts("extra_binds") {
        if syntax::is_anonymous_volume(bind.trim()) {
            let summary = format!("`{}` is a path alone: Docker makes an empty volume of it", brief(bind));
            reports
                .warning(view.path.key("extra_binds").item(index), span, summary)
                .help(format!("write `{0}:{0}` if the node's own is meant", brief(bind.trim())));
        } else if let Err(why) = syntax::bind(bind.trim()) {
            let summary = format!("`{}` is no bind mount", brief(bind));
            reports
                .error(view.path.key("extra_binds").item(index), span, summary)
                .label(cut(&why, MAX_WHY))
                .help(if is_template(bind) {
                    NO_VARIABLES
                } else {
                    "write `/on/the/node:/in/the/container`, and `:ro` after it if it is only read"
                });
        } else if bind.trim().split(':').any(|part| part.trim() != part) {
            let plain = bind.split(':').map(str::trim).collect::<Vec<_>>().join(":");
            reports
                .warning(
                    view.path.key("extra_binds").item(index),
                    span,
                    format!("a path of `{}` begins or ends with a blank", brief(bind)),
                )
                .note("the blank is a part of its name")
                .help(format!("write `{}`", brief(&plain)));
        }
    }
    let mut names: BTreeMap<&str, Span> = BTreeMap::new();
    for (index, variable, span) in view.texts("extra_env") {
        let path = view.path.key("extra_env");
        variable_flaw(variable.trim(), (&path.item(index), span), reports);
        let Some((name, _)) = variable.trim().split_once('=') else { continue };
        if let Some(before) = names.insert(name, span) {
            let line = reports.line_of(before);
            reports
                .warning(path.item(index), span, format!("`{}` is set twice: this value counts", brief(name)))
                .label(format!("the other is on line {line}"))
                .help("leave one of the two out");
        }
    }
    for key in ["extra_args", "extra_args_array"] {
        for entry in view.names(key) {
            let is_name = !entry.key.is_empty() && !entry.key.starts_with(['-', '=']);
            let summary = format!("`{}` is no name of a flag", brief(&entry.key));
            if !is_name || entry.key.contains(char::is_whitespace) {
                reports
                    .error(view.path.key(key).key(&entry.key), entry.key_span, summary)
                    .help("write the name without dashes, and the value after a colon");
            } else if let Some((name, _)) = entry.key.split_once('=') {
                // RKE 1 wrote `--` before and `=` after it; so the program understood it.
                reports
                    .warning(view.path.key(key).key(&entry.key), entry.key_span, summary)
                    .note(format!("it is taken for a part of the value of `{}`, as in RKE 1", brief(name)))
                    .help("write the name alone, and the whole value after a colon");
            }
        }
    }
    ServiceSpec {
        image: view.string("image"),
        extra_args: extra_args(view),
        extra_args_array: texts_map(view, "extra_args_array"),
        extra_binds: trimmed(view, "extra_binds"),
        extra_env: trimmed(view, "extra_env"),
    }
}

/// `extra_args`; a name with the beginning of the value in it is taken apart.
fn extra_args(view: View<'_, '_>) -> BTreeMap<String, String> {
    let apart = |(name, value): (String, String)| match name.split_once('=') {
        Some((name, start)) => (name.to_owned(), format!("{start}={value}")),
        None => (name, value),
    };
    view.text_map("extra_args").into_iter().map(apart).collect()
}

/// What Docker, or whoever should read a variable, makes of one that is not `NAME=value`.
fn variable_flaw(variable: &str, (path, span): (&Path<'_>, Span), reports: &mut Reports<'_>) {
    let Some((name, value)) = variable.split_once('=') else {
        let draft =
            reports.warning(path, span, format!("`{}` sets no environment variable", brief(variable)));
        draft.note("Docker takes the variable of this name away from those of the image");
        match variable.split_once(": ") {
            Some((name, value)) => draft.help(format!("write `{}={}`", brief(name), brief(value.trim()))),
            None => draft.help("write `NAME=value`"),
        };
        return;
    };
    if name.is_empty() {
        let summary = format!("`{}` sets no environment variable", brief(variable));
        reports.error(path, span, summary).help("write `NAME=value`");
    } else if name.contains(char::is_whitespace) || name.contains(['"', '\'']) {
        let plain = name.trim().trim_start_matches("export ").trim_matches(['"', '\'']).trim();
        let help = if plain.contains(char::is_whitespace) || plain.is_empty() {
            "write `NAME=value`: a name has no blanks, and each variable a line of its own".to_owned()
        } else {
            format!("write `{}=`, without blanks or quotes around the name", brief(plain))
        };
        reports.warning(path, span, format!("no program reads a variable `{}`", brief(name))).help(help);
    } else if value.len() > 1
        && ['"', '\''].iter().any(|quote| value.starts_with(*quote) && value.ends_with(*quote))
    {
        reports
            .warning(path, span, format!("the quotes around the value of `{}` are a part of it", brief(name)))
            .help("no shell reads the list: write the value without quotes, or all of `NAME=value` between them");
    }
}

/// The texts of a list without blanks around them, which RKE 1 took off here.
fn trimmed(view: View<'_, '_>, name: &str) -> Vec<String> {
    view.texts(name)
        .into_iter()
        .map(|(_, text, _)| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect()
}

pub(super) fn texts_map(view: View<'_, '_>, name: &str) -> BTreeMap<String, Vec<String>> {
    let lists = view.names(name).iter().map(|entry| {
        let texts = match &entry.value.value {
            Value::List(items) => items.iter().filter_map(text_of).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        (entry.key.to_string(), texts)
    });
    lists.collect()
}

fn etcd(view: View<'_, '_>, reports: &mut Reports<'_>) -> EtcdSpec {
    let (uid, gid) = owner(view, reports);
    let spec = EtcdSpec {
        service: service(view, reports),
        uid,
        gid,
        snapshot: view.flag("snapshot"),
        retention: view.text("retention").and_then(|text| syntax::duration(text).ok()),
        creation: view.text("creation").and_then(|text| syntax::duration(text).ok()),
        backup_config: view
            .entry("backup_config")
            .map(|_| backup(view.section("backup_config", &view.path.key("backup_config")), reports)),
        external_urls: view.strings("external_urls"),
        ca_cert: view.string("ca_cert"),
        cert: view.string("cert"),
        key: view.string("key").map(Secret::new),
        path: view.string("path"),
    };
    former_snapshots(&spec, view, reports);
    snapshot_times(&spec, view, reports);
    if spec.external_urls.is_empty() {
        for name in ["ca_cert", "cert", "key", "path"].into_iter().filter(|name| view.text(name).is_some()) {
            reports
                .warning(view.path.key(name), view.span_of(name), format!("`{name}` has no effect"))
                .note("it belongs to an external etcd, and there are no `external_urls`");
        }
    } else {
        for (index, url, span) in view.texts("external_urls") {
            let Some(UrlFlaw { what, help, is_certain }) = external_url_flaw(url) else { continue };
            let path = view.path.key("external_urls").item(index).to_string();
            let summary = format!("`{}` {what}", brief(url));
            let draft = if is_certain {
                reports.error(path, span, summary)
            } else {
                reports.warning(path, span, summary)
            };
            draft.help(help);
        }
        for name in ["ca_cert", "cert", "key"] {
            let wanted = if name == "key" { "PRIVATE KEY-----" } else { "BEGIN CERTIFICATE-----" };
            if view.text(name).is_some_and(|text| !text.contains(wanted)) {
                reports
                    .warning(view.path.key(name), view.span_of(name), format!("`{name}` is no PEM"))
                    .help("paste the whole text, with its lines BEGIN and END, after `|-`");
            }
        }
        for name in ["ca_cert", "cert", "key", "path"] {
            if view.text(name).is_none() {
                reports
                    .error(
                        view.path.key(name),
                        view.span_of("external_urls"),
                        format!("an external etcd needs `{name}`"),
                    )
                    .help("give `ca_cert`, `cert`, `key` and `path` beside `external_urls`");
            }
        }
    }
    spec
}

/// RKE 1's tool for snapshots ends at a duration that it cannot read; where nobody takes snapshots, nobody reads it.
fn snapshot_times(spec: &EtcdSpec, view: View<'_, '_>, reports: &mut Reports<'_>) {
    let is_read = spec.snapshot != Some(false) && spec.backup_config.is_none();
    for name in ["creation", "retention"] {
        if let Some(Err(why)) = view.text(name).map(syntax::duration) {
            let text = view.text(name).unwrap_or_default();
            let summary = format!("`{}` is no valid `{name}`", brief(text));
            let draft = if is_read {
                reports.error(view.path.key(name), view.span_of(name), summary)
            } else {
                reports.warning(view.path.key(name), view.span_of(name), summary)
            };
            draft.label(cut(&why, MAX_WHY)).help("write a number and a unit, such as `12h`");
        }
    }
}

/// `creation` and `retention`, which `backup_config` took the place of.
fn former_snapshots(spec: &EtcdSpec, view: View<'_, '_>, reports: &mut Reports<'_>) {
    for name in ["creation", "retention"].into_iter().filter(|name| view.text(name).is_some()) {
        if spec.backup_config.is_some() {
            reports
                .warning(
                    view.path.key(name),
                    view.span_of(name),
                    format!("`{name}` has no effect beside `backup_config`"),
                )
                .help("remove it");
        }
    }
    let old = view.key("creation").or(view.key("retention"));
    let is_read = spec.backup_config.is_none() && spec.snapshot != Some(false);
    if let Some(entry) = old.filter(|_| is_read && (spec.creation.or(spec.retention)).is_some()) {
        const HOUR: u64 = 3_600;
        let seconds = |duration: Option<Duration>, hours: u64| {
            duration.map_or(hours * HOUR, |duration| duration.as_secs())
        };
        let (every, keep) = (seconds(spec.creation, 12).max(1), seconds(spec.retention, 72));
        let kept = (keep / every).max(1);
        let form = if every.is_multiple_of(HOUR) {
            format!(
                "the new form is `backup_config: {{interval_hours: {}, retention: {kept}}}`",
                every / HOUR
            )
        } else {
            let kept = counted(usize::try_from(kept).unwrap_or(usize::MAX), "snapshot");
            format!("the new form counts whole hours and cannot say this; {kept} stay")
        };
        reports
            .warning(
                view.path.key(&entry.key),
                entry.key_span,
                "`creation` and `retention` are the old form of `backup_config`",
            )
            .note("they take effect as before")
            .help(form);
    }
}

/// `uid` and `gid`: both or none.
fn owner(view: View<'_, '_>, reports: &mut Reports<'_>) -> (Option<u32>, Option<u32>) {
    let uid = count(view, "uid", reports);
    let gid = count(view, "gid", reports);
    for (name, one, other, there) in [("uid", uid, gid, "gid"), ("gid", gid, uid, "uid")] {
        // A number that could not be read was reported; whether it was meant to be zero is unknown.
        let unread = view.entry(name).is_some() && one.is_none();
        if other.is_some_and(|other| other > 0) && one.unwrap_or(0) == 0 && !unread {
            reports
                .warning(
                    view.path.key(there),
                    view.span_of(there),
                    format!("`{there}` has no effect without `{name}`"),
                )
                .help("etcd runs as another user only if both `uid` and `gid` are other than 0");
        }
    }
    (uid.filter(|uid| *uid > 0), gid.filter(|gid| *gid > 0))
}

/// A whole number from zero on.
pub(super) fn count(view: View<'_, '_>, name: &str, reports: &mut Reports<'_>) -> Option<u32> {
    let number = view.integer(name)?;
    let count = u32::try_from(number).ok();
    if count.is_none() {
        let (what, help) = if number < 0 {
            ("below zero", "write 0 or a greater number")
        } else {
            ("too large", "write a smaller number")
        };
        reports.error(view.path.key(name), view.span_of(name), format!("`{name}` is {what}")).help(help);
    }
    count
}

/// A whole number where zero means that the file is silent, as it did in RKE 1.
fn positive(view: View<'_, '_>, name: &str, reports: &mut Reports<'_>) -> Option<u32> {
    count(view, name, reports).filter(|number| *number > 0)
}

fn backup(view: View<'_, '_>, reports: &mut Reports<'_>) -> BackupSpec {
    BackupSpec {
        enabled: view.flag("enabled"),
        interval_hours: positive(view, "interval_hours", reports),
        retention: positive(view, "retention", reports),
        safe_timestamp: view.flag("safe_timestamp"),
        timeout: positive(view, "timeout", reports),
        s3: view
            .entry("s3backupconfig")
            .and_then(|_| s3(view.section("s3backupconfig", &view.path.key("s3backupconfig")), reports)),
    }
}

fn s3(view: View<'_, '_>, reports: &mut Reports<'_>) -> Option<S3Spec> {
    for name in ["bucket_name", "endpoint"] {
        if view.text(name).is_none() {
            reports
                .error(view.path.key(name), view.head(), format!("the S3 target has no `{name}`"))
                .help("snapshots are copied to S3 only with `bucket_name` and `endpoint`");
        }
    }
    if let Some(ca) = view.text("custom_ca")
        && !ca.contains("-----BEGIN CERTIFICATE-----")
    {
        reports
            .error(
                view.path.key("custom_ca"),
                view.span_of("custom_ca"),
                "`custom_ca` holds no PEM certificate",
            )
            .help("paste the text between and with the lines BEGIN CERTIFICATE and END CERTIFICATE");
    }
    Some(S3Spec {
        access_key: view.string("access_key").map(Secret::new),
        secret_key: view.string("secret_key").map(Secret::new),
        bucket_name: view.string("bucket_name")?,
        endpoint: view.string("endpoint")?,
        region: view.string("region"),
        folder: view.string("folder"),
        custom_ca: view.string("custom_ca"),
    })
}

fn kube_api(view: View<'_, '_>, reports: &mut Reports<'_>) -> KubeApiSpec {
    KubeApiSpec {
        service: service(view, reports),
        service_cluster_ip_range: ranges(view, "service_cluster_ip_range", reports),
        service_node_port_range: port_range(view, "service_node_port_range", reports),
        pod_security_policy: view.flag("pod_security_policy"),
        always_pull_images: view.flag("always_pull_images"),
        audit_log: view
            .entry("audit_log")
            .map(|_| audit_log(view.section("audit_log", &view.path.key("audit_log")), reports)),
        pod_security: match view.text("pod_security_configuration") {
            Some("privileged") => Some(PodSecurity::Privileged),
            Some("restricted") => Some(PodSecurity::Restricted),
            _ => None,
        },
        secrets_encryption: view.entry("secrets_encryption_config").map(|_| {
            let path = view.path.key("secrets_encryption_config");
            let view = view.section("secrets_encryption_config", &path);
            formats::encryption(view, reports);
            SecretsEncryptionSpec {
                enabled: view.flag("enabled"),
                custom_config: whole(view, SECRETS_ENCRYPTION, "custom_config").map(Secret::new),
            }
        }),
        admission_configuration: {
            let path = view.path.key("admission_configuration");
            formats::admission(view.section("admission_configuration", &path), reports);
            whole(view, KUBE_API, "admission_configuration")
        },
        event_rate_limit: view.entry("event_rate_limit").map(|_| {
            let path = view.path.key("event_rate_limit");
            let view = view.section("event_rate_limit", &path);
            formats::event_rate_limit(view, reports);
            EventRateLimitSpec {
                enabled: view.flag("enabled"),
                configuration: whole(view, EVENT_RATE_LIMIT, "configuration"),
            }
        }),
    }
}

fn audit_log(view: View<'_, '_>, reports: &mut Reports<'_>) -> AuditLogSpec {
    formats::audit_log(view, reports);
    let path = view.path.key("configuration");
    let configuration = view.section("configuration", &path);
    AuditLogSpec {
        enabled: view.flag("enabled"),
        has_configuration: view.entry("configuration").is_some(),
        max_age: count(configuration, "max_age", reports),
        max_backup: count(configuration, "max_backup", reports),
        max_size: count(configuration, "max_size", reports),
        path: configuration.string("path"),
        format: configuration.string("format"),
        policy: whole(configuration, AUDIT_LOG_CONFIGURATION, "policy"),
    }
}

fn port_range(view: View<'_, '_>, name: &str, reports: &mut Reports<'_>) -> Option<PortRange> {
    let text = view.text(name)?;
    let range = text.parse::<PortRange>().ok();
    if range.is_none() {
        reports
            .error(view.path.key(name), view.span_of(name), format!("`{}` is no range of ports", brief(text)))
            .help("write the first and the last port, as in `30000-32767`");
    }
    range
}

/// One range of addresses, or one of each family with a comma between.
fn ranges(view: View<'_, '_>, name: &str, reports: &mut Reports<'_>) -> Vec<Cidr> {
    let Some(text) = view.text(name) else { return Vec::new() };
    let mut ranges = Vec::new();
    for part in text.split(',').map(str::trim) {
        match part.parse::<Cidr>() {
            Ok(range) => ranges.push(range),
            Err(why) => {
                reports
                    .error(
                        view.path.key(name),
                        view.span_of(name),
                        format!("`{}` is no range of addresses", brief(part)),
                    )
                    .label(cut(&why.to_string(), MAX_WHY))
                    .help("write an address and a prefix length, as in `10.43.0.0/16`");
                return Vec::new();
            }
        }
    }
    let same_family = |one: &Cidr, other: &Cidr| one.address.is_ipv4() == other.address.is_ipv4();
    if ranges.len() > 2 || matches!(&ranges[..], [one, other] if same_family(one, other)) {
        reports
            .error(
                view.path.key(name),
                view.span_of(name),
                format!("`{name}` has more than one range of a family"),
            )
            .help("give one range, or one of IPv4 and one of IPv6");
    }
    ranges
}

fn kube_controller(view: View<'_, '_>, reports: &mut Reports<'_>) -> KubeControllerSpec {
    KubeControllerSpec {
        service: service(view, reports),
        cluster_cidr: ranges(view, "cluster_cidr", reports),
        service_cluster_ip_range: ranges(view, "service_cluster_ip_range", reports),
    }
}

fn kubelet(view: View<'_, '_>, reports: &mut Reports<'_>) -> KubeletSpec {
    if let Some(domain) = view.text("cluster_domain")
        && let Err(why) = syntax::subdomain(domain.trim_end_matches('.'))
    {
        // Nobody refused capital letters or a `_`; what is in no name at all can be in no certificate.
        let of_names = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        let taken = if domain.chars().all(of_names) { Taken::AsItIs } else { Taken::Not };
        taken_as_it_is(view, "cluster_domain", domain, &why, taken, reports);
    }
    if let Some(servers) = view.text("cluster_dns_server") {
        let address = |part: &str| part.trim().parse::<std::net::IpAddr>();
        if let Some(wrong) = servers.split(',').find(|part| address(part).is_err()) {
            // Kubelet leaves out what it cannot read.
            let why = format!("`{}` is no IP address", wrong.trim());
            taken_as_it_is(view, "cluster_dns_server", servers, &why, Taken::AsItIs, reports);
        }
    }
    KubeletSpec {
        service: service(view, reports),
        cluster_domain: view.string("cluster_domain"),
        cluster_dns_server: view.string("cluster_dns_server"),
        infra_container_image: view.string("infra_container_image"),
        fail_swap_on: view.flag("fail_swap_on"),
        generate_serving_certificate: view.flag("generate_serving_certificate"),
    }
}

/// What becomes of a text in which something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    AsItIs,
    Not,
}

/// Says what is wrong with a text; whether it is taken all the same decides how bad that is.
fn taken_as_it_is(
    view: View<'_, '_>,
    name: &str,
    text: &str,
    why: &str,
    taken: Taken,
    reports: &mut Reports<'_>,
) {
    let summary = format!("`{}` is no valid `{name}`", brief(text));
    let (path, span) = (view.path.key(name), view.span_of(name));
    let draft = match taken {
        Taken::AsItIs => reports.warning(path, span, summary),
        Taken::Not => reports.error(path, span, summary),
    };
    draft.label(cut(why, MAX_WHY)).help(if is_template(text) { NO_VARIABLES } else { right_form(name) });
}
