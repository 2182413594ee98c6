//! Reads who may come in: authentication, authorization, registries, the bastion.

use windlass_model::Secret;

use super::nodes::{KeysFrom, MAX_WHY, flaw, key_path, port, private_key};
use super::{hosts, syntax};
use crate::conform::{brief, cut};
use crate::report::Reports;
use crate::spec::{AuthenticationSpec, AuthorizationMode, BastionSpec, EcrSpec, RegistrySpec, WebhookSpec};
use crate::template::{NO_VARIABLES, is_template};
use crate::view::View;

pub(super) fn authentication(view: View<'_, '_>, reports: &mut Reports<'_>) -> AuthenticationSpec {
    let strategy = strategy(view, reports);
    sans(view, reports);
    let path = view.path.key("webhook");
    let webhook = view.section("webhook", &path);
    AuthenticationSpec {
        strategy,
        sans: view.strings("sans"),
        webhook: view.entry("webhook").map(|_| WebhookSpec {
            config_file: webhook.string("config_file").map(Secret::new),
            cache_timeout: cache_timeout(webhook, reports),
        }),
    }
}

/// The API server also takes none at all, which switches the cache off.
fn cache_timeout(webhook: View<'_, '_>, reports: &mut Reports<'_>) -> Option<String> {
    const NAME: &str = "cache_timeout";
    let text = webhook.string(NAME)?;
    flaw(webhook, NAME, &text, syntax::go_duration, reports);
    syntax::go_duration(&text).ok().map(|()| text)
}

/// Names that a certificate cannot hold, or to no use: RKE 1 wrote all but those that are no ASCII into it.
fn sans(view: View<'_, '_>, reports: &mut Reports<'_>) {
    for (index, name, span) in view.texts("sans") {
        let Some((why, help)) = hosts::certificate_name_flaw(name) else { continue };
        let path = view.path.key("sans");
        let summary = format!("`{}` is no name in a certificate", brief(name));
        let draft = if name.is_ascii() {
            reports.warning(path.item(index), span, summary)
        } else {
            reports.error(path.item(index), span, summary)
        };
        draft.label(cut(&why, MAX_WHY)).help(if is_template(name) { NO_VARIABLES.to_owned() } else { help });
    }
}

fn strategy(view: View<'_, '_>, reports: &mut Reports<'_>) -> Vec<String> {
    let Some(text) = view.text("strategy") else { return Vec::new() };
    let path = view.path.key("strategy");
    let span = view.span_of("strategy");
    let strategies: Vec<String> = text.split('|').map(|part| part.trim().to_lowercase()).collect();
    let help = "write `x509`, or `x509|webhook`";
    if let Some(unknown) = strategies.iter().find(|part| !matches!(part.as_str(), "x509" | "webhook")) {
        reports.error(path, span, format!("unknown strategy `{}`", brief(unknown))).help(help);
    } else if !strategies.iter().any(|part| part == "x509") {
        reports.error(path, span, "the strategy x509 cannot be left out").help(help);
    }
    strategies
}

pub(super) fn authorization(view: View<'_, '_>) -> Option<AuthorizationMode> {
    match view.text("mode")? {
        "rbac" => Some(AuthorizationMode::Rbac),
        // RKE 1 compared with `rbac` alone; what comes of any other word is said with the desired state.
        _ => Some(AuthorizationMode::None),
    }
}

pub(super) fn registries(top: View<'_, '_>) -> Vec<RegistrySpec> {
    let list = top.path.key("private_registries");
    let read = |(index, entries, span)| {
        let path = list.item(index);
        let view = View::new(entries, span, &path);
        RegistrySpec {
            url: view.string("url"),
            user: view.string("user"),
            password: view.string("password").map(Secret::new),
            is_default: view.flag("is_default").unwrap_or(false),
            ecr_credential_plugin: view.entry("ecr_credential_plugin").map(|_| {
                let path = view.path.key("ecr_credential_plugin");
                let view = view.section("ecr_credential_plugin", &path);
                EcrSpec {
                    access_key_id: view.string("aws_access_key_id"),
                    secret_access_key: view.string("aws_secret_access_key").map(Secret::new),
                    session_token: view.string("aws_session_token").map(Secret::new),
                }
            }),
        }
    };
    let items = top.items("private_registries").into_iter();
    items.filter(|(_, entries, _)| !entries.is_empty()).map(read).collect()
}

/// The bastion; a section without an address, as `rke config` writes it, means none.
pub(super) fn bastion(view: View<'_, '_>, reports: &mut Reports<'_>) -> Option<BastionSpec> {
    let port = port(view, reports);
    let address = view.text("address")?;
    flaw(view, "address", address, syntax::address, reports);
    if let Some(user) = view.text("user") {
        flaw(view, "user", user, syntax::user, reports);
    }
    private_key(view, "ssh_key", KeysFrom::of(view), reports);
    key_path(view, reports);
    Some(BastionSpec {
        address: address.to_owned(),
        port,
        user: view.string("user"),
        ssh_agent_auth: view.flag("ssh_agent_auth"),
        ssh_key: view.string("ssh_key").map(Secret::new),
        ssh_key_path: view.string("ssh_key_path"),
        ssh_cert: view.string("ssh_cert"),
        ssh_cert_path: view.string("ssh_cert_path"),
    })
}
